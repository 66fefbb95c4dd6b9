"""
Whichever adapter a tool's declaration asks for.
"""

import asyncio
from dataclasses import replace
from typing import Any, Final, cast

import structlog
from pydantic import JsonValue
from pydantic_core import to_json

from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.http_tools import HttpTools
from services.reasoner.adapters.secrets import Secrets, masked
from services.reasoner.calling import Runner
from services.reasoner.domain.tools.results import Came, executed, failed, unknown
from services.reasoner.settings import OutgoingSection
from shared.events.tools import ToolCall, ToolGuideline, ToolStatus
from shared.playbook.tools import Tool

FRAME_BYTES: Final = 64
"""Of the JSON around what is measured."""

log = structlog.get_logger(__name__)


class Runners:
    """Makes calls of every kind of tool, through *outgoing*."""

    def __init__(self, outgoing: Outgoing, settings: OutgoingSection) -> None:
        self._outgoing = outgoing
        self._settings = settings
        self._secrets = Secrets(settings.secrets_directory)
        self._http = HttpTools(outgoing, self._secrets, settings)
        self._mcp: Runner | None = None

    async def call(self, tool: Tool, call: ToolCall, *, tenant: str, deadline: float) -> Came:
        """See `Runner.call`; what comes back holds none of the secrets that were sent, and fits into a record."""
        declared = tool.http or tool.mcp
        held = self._secrets.values(declared.headers) if declared else ()
        try:
            came = await (await self._runner(tool)).call(tool, call, tenant=tenant, deadline=deadline)
            held = (*held, *self._secrets.values(declared.headers)) if declared else ()
            return _small(_masked(came, held) if held else came, tool, self._settings.answer_bytes_max)
        except MemoryError:
            raise
        except Exception as error:
            log.debug("a tool could not be called", tool=tool.id, exc_info=True)
            told = f"the call broke off: {type(error).__name__}"
            return unknown(told) if tool.consequential else failed(told)

    async def _runner(self, tool: Tool) -> Runner:
        if tool.http is not None:
            return self._http
        if self._mcp is None:
            self._mcp = await asyncio.to_thread(self._load_mcp)
        return self._mcp

    def _load_mcp(self) -> Runner:
        # The SDK brings its server's side along: 2 s and 26 MB, which a process without such tools does not spend.
        from services.reasoner.adapters.mcp_tools import McpTools  # noqa: PLC0415

        return McpTools(self._outgoing, self._secrets, self._settings)


def _small(came: Came, tool: Tool, bytes_max: int) -> Came:
    """*came*, unless it grew beyond *bytes_max* as it was read: numbers may be longer in a record than in an answer."""
    said = {"data": came.data, "metadata": dict(came.metadata), "fields": dict(came.fields)}
    if len(to_json(said)) <= bytes_max + FRAME_BYTES:
        return came
    told = failed(f"the answer exceeds {bytes_max} bytes in a record")
    return executed(told, consequential=tool.consequential and came.status is ToolStatus.DONE)


def _masked(came: Came, secrets: tuple[str, ...]) -> Came:
    told = {"data": came.data, "metadata": dict(came.metadata), "fields": dict(came.fields), "error": came.error}
    clean: Any = masked(cast("JsonValue", told), secrets)
    guidelines = tuple(
        ToolGuideline.model_validate(masked(guideline.model_dump(), secrets)) for guideline in came.guidelines
    )
    return replace(came, guidelines=guidelines, **clean)
