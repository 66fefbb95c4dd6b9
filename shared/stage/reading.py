"""
Which positions of its open tasks a ledger stage reads: neither those that rest (letter_pace.py) nor those that are
paused (input_pause.py).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from shared.stage.ledger_task import LedgerTask
from shared.stage.letter_pace import LetterPace, Rests
from shared.stage.ports import Group, Position
from shared.stage.settings import StageSettings

_log = structlog.get_logger(__name__)


class Reading:
    """Chooses for *stage* what its group reads."""

    def __init__(self, stage: str, settings: StageSettings) -> None:
        self._stage = stage
        self._pace = LetterPace(settings.dead_letters_per_second)
        self._rests = Rests(self._pace)
        self._paused: frozenset[Position] = frozenset()

    def rejected(self, position: Position) -> None:
        """A record of *position* becomes a dead letter."""
        self._pace.letter(position, asyncio.get_running_loop().time())

    def chosen(self, task: LedgerTask[Any]) -> list[Position]:
        """The positions of *task* that are read now, while it takes records."""
        fold = task.fold
        return self._rests.awake(
            Position(topic, task.number) for topic in fold.positions if topic not in fold.pauses.since_ms
        )

    def look(self, group: Group, tasks: Mapping[int, LedgerTask[Any]]) -> list[LedgerTask[Any]]:
        """
        Pause in *group* what is not to be read now, and resume what has rested; returns the
        tasks that must be sought because a pause has ended. No fetch is under way.
        """
        begun, ended = self._rests.look(asyncio.get_running_loop().time())
        before, self._paused = (
            self._paused,
            frozenset(Position(topic, number) for number, task in tasks.items() for topic in task.fold.pauses.since_ms),
        )
        for position in self._paused - before:
            _log.error(
                "input paused, as too many of its records are rejected; see `holdfast inputs list`",
                stage=self._stage,
                topic=position.topic,
                partition=position.partition,
            )
        group.pause(begun | self._paused)
        group.resume(
            position
            for position in ended - self._paused
            if (task := tasks.get(position.partition)) is not None and not task.held
        )
        return [task for task in tasks.values() if task.fold.pauses.released]
