"""
How a task comes back from what is committed: the positions to read from, its state and its timers.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from shared.events.codec import Headers
from shared.stage.ports import Changelog, Committed, Group, Position
from shared.stage.quarantine import Quarantine, mark_of
from shared.stage.state import StateStore
from shared.stage.timers import Timers, due_of

_RECORDS_BETWEEN_YIELDS = 500


class Restored(NamedTuple):
    """What a changelog says beside the states: when keys want to be woken, and which are in quarantine."""

    timers: Timers
    quarantined: dict[bytes, Quarantine]


async def restore(changelog: Changelog, topic: str, partition: int, store: StateStore) -> Restored:
    """
    Fill *store* from a compacted *topic*; no state is decoded. A key whose due time cannot be read is in quarantine.
    """
    read = 0
    quarantined: dict[bytes, Quarantine] = {}
    async for key, value, headers in changelog.read(topic, partition):
        quarantined.pop(key, None)
        due_ms, mark = (None, None) if value is None else _timing(key, headers)
        if mark is not None:
            quarantined[key] = mark
        if value is None or (mark is not None and mark.stateless):
            store.delete(key)
        else:
            store.put(key, value, due_ms)
        read += 1
        if read % _RECORDS_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)  # a changelog at hand is read without a pause; tasks that are open must go on
    timers = Timers()
    for key, _, due_ms in store.iterate():
        timers.schedule(key, due_ms)
    return Restored(timers, quarantined)


def _timing(key: bytes, headers: Headers) -> tuple[int | None, Quarantine | None]:
    """When a changelog record's key wants to be woken; in quarantine it does not."""
    if (mark := mark_of(key, headers)) is not None:
        return None, mark
    try:
        return due_of(headers), None
    except ValueError:
        return None, Quarantine.of(key, "its due time in the changelog", "ValueError", now_ms=0, due_ms=None)


async def positions_to_read(group: Group, positions: Sequence[Position]) -> dict[str, Committed]:
    """
    By topic, from where each of a task's *positions* is read: what is committed, else the first offset there is.
    """
    committed = await group.committed(positions)
    unread = [position for position in positions if position not in committed]
    first = await group.beginning(unread) if unread else {}
    return {
        position.topic: committed[position] if position in committed else Committed(first[position])
        for position in positions
    }
