"""
Who answers in an evaluation: an endpoint, whose answers may be kept and used again, the rehearsal model, or the labels.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.operator.evaluation.recording import RecordingProxy
from shared.errors import Fatal
from shared.llm.rehearsal.rules import Rule
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.settings import LlmSettings


class Model(StrEnum):
    """Who answers: the endpoint of the settings, the rehearsal model, or the labels themselves."""

    ENDPOINT = "endpoint"
    REHEARSAL = "rehearsal"
    SCRIPTED = "scripted"


@dataclass(frozen=True, slots=True)
class Answers:
    """Where answers come from; an endpoint's are kept in the folder *record*, or only taken from that of *replay*."""

    model: Model
    record: Path | None = None
    replay: Path | None = None

    def check(self, llm: LlmSettings) -> None:
        """
        Refuse what cannot be done with the endpoint that *llm* names.

        Raises:
            Fatal: answers are to be kept that are no OpenAI-compatible endpoint's, or both folders are given.

        """
        if self.record and self.replay:
            raise Fatal("--record also reuses what its folder holds, and --replay asks no model: give one of them")
        if not (self.record or self.replay):
            return
        if self.model is not Model.ENDPOINT:
            raise Fatal(
                "--record and --replay keep the answers of an OpenAI-compatible endpoint, and of nothing else; "
                f"`--model {self.model}` has none"
            )
        if llm.provider != "openai":
            raise Fatal(f"--record and --replay know only OpenAI-compatible endpoints, not {llm.provider}")

    @asynccontextmanager
    async def url(
        self, llm: LlmSettings, scripted: Callable[[], Mapping[str, Rule]], seconds_max: float
    ) -> AsyncIterator[str]:
        """
        The address to ask, for as long as the context lasts; empty: the stack starts the rehearsal model.

        *scripted* makes the rules that answer as labelled; *seconds_max* is for one answer of the endpoint.
        """
        if self.model is Model.SCRIPTED:
            async with RehearsalServer(RehearsalSettings(), rules=scripted()) as server:
                yield server.url
        elif self.model is Model.REHEARSAL:
            yield ""
        elif folder := self.replay or self.record:
            upstream = "" if self.replay else llm.url
            async with RecordingProxy(folder, upstream, answer_seconds_max=seconds_max) as proxy:
                yield proxy.url
        else:
            yield llm.url
