"""
Whichever adapter a tool's declaration asks for.
"""

import asyncio
from dataclasses import replace
from typing import Any, cast

from pydantic import JsonValue

from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.http_tools import HttpTools
from services.reasoner.adapters.secrets import Secrets, masked
from services.reasoner.calling import Runner
from services.reasoner.domain.tools.results import Came
from services.reasoner.settings import OutgoingSection
from shared.events.tools import ToolCall, ToolGuideline
from shared.playbook.tools import Tool


class Runners:
    """Makes calls of every kind of tool, through *outgoing*."""

    def __init__(self, outgoing: Outgoing, settings: OutgoingSection) -> None:
        self._outgoing = outgoing
        self._settings = settings
        self._secrets = Secrets(settings.secrets_directory)
        self._http = HttpTools(outgoing, self._secrets, settings)
        self._mcp: Runner | None = None

    async def call(self, tool: Tool, call: ToolCall, *, deadline: float) -> Came:
        """See `Runner.call`; what comes back holds none of the secrets that were sent."""
        declared = tool.http or tool.mcp
        held = self._secrets.values(declared.headers) if declared else ()
        came = await (await self._runner(tool)).call(tool, call, deadline=deadline)
        return _masked(came, held) if held else came

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


def _masked(came: Came, secrets: tuple[str, ...]) -> Came:
    told = {"data": came.data, "metadata": dict(came.metadata), "fields": dict(came.fields), "error": came.error}
    clean: Any = masked(cast("JsonValue", told), secrets)
    guidelines = tuple(
        ToolGuideline.model_validate(masked(guideline.model_dump(), secrets)) for guideline in came.guidelines
    )
    return replace(came, guidelines=guidelines, **clean)
