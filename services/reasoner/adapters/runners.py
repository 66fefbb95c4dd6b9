"""
Whichever adapter a tool's declaration asks for.
"""

import asyncio

from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.http_tools import HttpTools
from services.reasoner.adapters.secrets import Secrets
from services.reasoner.calling import Runner
from services.reasoner.domain.tools.results import Came
from services.reasoner.settings import OutgoingSection
from shared.events.tools import ToolCall
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
        """See `Runner.call`."""
        if tool.http is not None:
            return await self._http.call(tool, call, deadline=deadline)
        if self._mcp is None:
            self._mcp = await asyncio.to_thread(self._load_mcp)
        return await self._mcp.call(tool, call, deadline=deadline)

    def _load_mcp(self) -> Runner:
        # The SDK brings its server's side along: 2 s and 26 MB, which a process without such tools does not spend.
        from services.reasoner.adapters.mcp_tools import McpTools  # noqa: PLC0415

        return McpTools(self._outgoing, self._secrets, self._settings)
