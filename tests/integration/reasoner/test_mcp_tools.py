"""MCP tools against a real server of the official SDK on loopback."""

import asyncio
import socket

import pytest
import uvicorn
from mcp.server.mcpserver import Context, MCPServer

from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.runners import Runners
from services.reasoner.settings import OutgoingSection
from shared.events.tools import ToolCall, ToolStatus
from shared.playbook.tools import McpCall, Tool


class World:
    """The server, what its tools were called with, and the headers of the requests."""

    def __init__(self):
        self.called, self.headers = [], []
        self.stalled = asyncio.Event()
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/mcp"

    def build(self, *, json_response):
        server = MCPServer("world")

        @server.tool()
        def balance(account: str) -> dict[str, str]:
            """Of an account."""
            self.called.append(("balance", account))
            return {"balance": f"5 euros on {account}"}

        @server.tool()
        def greeting(name: str) -> str:
            """A text."""
            return f"Hello {name}"

        @server.tool()
        def channels() -> dict[str, dict[str, object]]:
            """Speaks by channels."""
            return {"holdfast": {"data": "shown", "metadata": {"hidden": 1}, "fields": {"who": "Ana"}}}

        @server.tool()
        def broken() -> str:
            """Raises."""
            raise ValueError("account 4711")

        @server.tool()
        def large(size: int) -> str:
            """A long text."""
            return "x" * size

        @server.tool()
        async def slow(context: Context) -> str:
            """Answers when the test lets it."""
            self.called.append(("slow", ""))
            await self.stalled.wait()
            return "late"

        app = server.streamable_http_app(json_response=json_response)

        async def noted(scope, receive, send):
            if scope["type"] == "http":
                self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
            await app(scope, receive, send)

        return noted


class Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config):
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        self.listens.set()


@pytest.fixture(params=[False, True], ids=["event-stream", "json"])
async def world(request):
    made = World()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    made.port = listening.getsockname()[1]
    config = uvicorn.Config(made.build(json_response=request.param), log_level="critical", lifespan="on")
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await server.listens.wait()
    yield made
    made.stalled.set()
    server.should_exit = True
    await serving


async def call(world, name, *, consequential=False, seconds=20.0, url="", directory="", private=None, **declared):
    tool = Tool(
        id=name, description="x", consequential=consequential, mcp=McpCall(**{"url": url or world.url} | declared)
    )
    arguments = declared_arguments.get(name, {})
    section = OutgoingSection(
        private_hosts=f"127.0.0.1:{world.port}" if private is None else private, secrets_directory=directory
    )
    async with Outgoing(section) as outgoing:
        asked = ToolCall(id="call-1", tool=name, arguments=arguments)
        until = asyncio.get_running_loop().time() + seconds
        return await Runners(outgoing, section).call(tool, asked, tenant="acme", deadline=until)


declared_arguments = {"balance": {"account": "1234"}, "greeting": {"name": "Ana"}, "large": {"size": 40_000}}


async def test_a_tool_is_called_with_its_arguments_and_its_structured_answer_is_the_data(world):
    came = await call(world, "balance")
    assert (came.status, came.data, came.error) == (ToolStatus.DONE, {"balance": "5 euros on 1234"}, "")
    assert world.called == [("balance", "1234")]


async def test_a_text_is_data_and_channels_are_taken_apart(world):
    assert (await call(world, "greeting")).data == "Hello Ana"
    came = await call(world, "channels")
    assert (came.data, came.metadata, came.fields) == ("shown", {"hidden": 1}, {"who": "Ana"})


async def test_a_tool_may_have_another_name_on_its_server(world):
    declared_arguments["local"] = {"account": "1"}
    assert (await call(world, "local", tool="balance")).data == {"balance": "5 euros on 1"}


@pytest.mark.parametrize("name", ["broken", "unheard_of"])
@pytest.mark.parametrize("consequential", [False, True])
async def test_an_error_of_the_tool_fails_the_call_without_its_words(world, name, consequential):
    came = await call(world, name, consequential=consequential)
    assert came.status is ToolStatus.FAILED
    assert "4711" not in came.error


@pytest.mark.parametrize(("consequential", "status"), [(False, ToolStatus.FAILED), (True, ToolStatus.UNKNOWN)])
async def test_a_call_that_got_no_answer_in_time_is_unknown_where_it_changes_something(world, consequential, status):
    came = await call(world, "slow", consequential=consequential, timeout_seconds=1.5)
    assert came.status is status
    assert world.called == [("slow", "")]


async def test_too_large_an_answer_is_no_result(world):
    came = await call(world, "large", consequential=True, result_bytes_max=1_000)
    assert (came.status, came.data) == (ToolStatus.UNKNOWN, None)


async def test_a_server_that_is_not_allowed_gets_no_request(world):
    came = await call(world, "balance", consequential=True, private="")
    assert (came.status, world.headers) == (ToolStatus.FAILED, [])
    assert "HOLDFAST_OUTGOING_ALLOWED_HOSTS" in came.error


async def test_a_server_that_is_away_changed_nothing(world):
    came = await call(world, "balance", consequential=True, url="http://127.0.0.1:9/mcp", private="127.0.0.1:9")
    assert came.status is ToolStatus.FAILED


async def test_an_address_that_is_no_mcp_server_fails(world):
    came = await call(world, "balance", url=f"http://127.0.0.1:{world.port}/other")
    assert came.status is ToolStatus.FAILED


async def test_a_secret_is_in_every_request_of_the_session_and_in_no_result(world, tmp_path):
    (tmp_path / "key").write_text("s3cr3t-value")
    came = await call(world, "broken", directory=str(tmp_path), headers={"x-key": "secret:key"})
    assert {headers["x-key"] for headers in world.headers} == {"s3cr3t-value"}
    assert "s3cr3t" not in repr(came)


async def test_without_time_nothing_is_sent(world):
    came = await call(world, "balance", consequential=True, seconds=0)
    assert (came.status, world.headers) == (ToolStatus.FAILED, [])
