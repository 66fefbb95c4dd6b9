"""
MCP servers that do not keep to the protocol, or keep to it in ways that are seldom met: each call has its result, and
of a call that changes something nobody says "nothing was changed" once the server may have made it.
"""

import asyncio
import json
import math
from contextlib import asynccontextmanager

import pytest

from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.runners import Runners
from services.reasoner.settings import OutgoingSection
from shared.events.tools import ToolCall
from shared.playbook.tools import McpCall, Tool

TEXT = {"type": "text", "text": "the rate is 1.1"}
SPOKEN = '{"holdfast": {"data": "shown", "metadata": {"account": "hidden"}, "mode": "manual"}}'


def text(words=TEXT["text"], **more):
    return {"content": [{"type": "text", "text": words}], **more}


def parts(*content):
    return {"content": list(content)}


def nested(depth):
    return {"a": nested(depth - 1)} if depth else 1


class Odd:
    """
    A server of plain sockets. *result* is what a call comes to (or *error*, a JSON-RPC error); the rest says how the
    server departs from what is usual; `calls` counts the requests for the tool.
    """

    def __init__(self, result=None, **ways):
        self.calls = 0
        self.result, self.ways = result, ways

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.lower().split("\r\n")
            size = next((int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")), 0)
            asked = json.loads(await reader.readexactly(size)) if size else {}
            await self._answer(head.split(" ")[0], asked, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _answer(self, method, asked, writer):
        calling = asked.get("method") == "tools/call"
        self.calls += calling
        if method == "GET":
            return self._write(writer, 405, "", b"")
        if method == "DELETE":
            if self.ways.get("keeps_session"):
                await asyncio.Event().wait()
            return self._write(writer, self.ways.get("deleted", 200), "", b"")
        if "id" not in asked or "method" not in asked:
            return self._write(writer, self.ways.get("noted", 202), "", b"")
        if calling and "hangs_up" in self.ways:
            return None
        status = self.ways.get("status", {}).get(asked["method"], 200)
        if status != 200:
            return self._write(writer, status, "text/html", b"<h1>no</h1>", self.ways.get("headers", ()))
        body = self.ways["raw"] if calling and "raw" in self.ways else json.dumps(self._said(asked)).encode()
        kind = self.ways.get("kind", {}).get(asked["method"], "application/json")
        if calling and "stream" in self.ways:
            kind, body = "text/event-stream", self.ways["stream"].replace(b"BODY", body)
        return self._write(writer, 200, kind, body, self.ways.get("headers", ()))

    def _said(self, asked):
        said = {"jsonrpc": "2.0", "id": self.ways.get("id", lambda sent: sent)(asked["id"])}
        if asked["method"] == "initialize":
            usual = {
                "protocolVersion": self.ways.get("version", asked["params"]["protocolVersion"]),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "odd", "version": "1"},
            }
            said["result"] = {k: v for k, v in (usual | self.ways.get("opened", {})).items() if v != "left out"}
        elif "error" in self.ways:
            said["error"] = self.ways["error"]
        else:
            said["result"] = self.result
        return [said] if self.ways.get("batch") == asked["method"] else said

    def _write(self, writer, status, kind, body, headers=()):
        rows = [f"content-type: {kind}"] * bool(kind) + [f"{name}: {value}" for name, value in headers]
        rows += [f"content-length: {len(body)}", "connection: close"]
        head = "".join(f"{row}\r\n" for row in (f"HTTP/1.1 {status} X", *rows))
        writer.write(head.encode() + b"\r\n" + body)


async def came_of(odd, *, consequential=False, seconds=3.0, **declared):
    async with odd.running():
        section = OutgoingSection(private_hosts=f"127.0.0.1:{odd.port}")
        mcp = McpCall(url=f"http://127.0.0.1:{odd.port}/mcp", timeout_seconds=seconds)
        tool = Tool(id="rate", description="A rate", consequential=consequential, mcp=mcp, **declared)
        async with Outgoing(section) as outgoing:
            runners = Runners(outgoing, section)
            deadline = asyncio.get_running_loop().time() + 30
            return await runners.call(tool, ToolCall(id="1", tool="rate"), tenant="acme", deadline=deadline)


FRAME = b"event: message\ndata: BODY\n\n"
READ = {
    "an event stream": Odd(text(), stream=FRAME),
    "an event stream without names": Odd(text(), stream=b"data: BODY\n\n"),
    "an event stream in CRLF": Odd(text(), stream=FRAME.replace(b"\n", b"\r\n")),
    "a comment and a ping before": Odd(text(), stream=b": ping\n\nevent: ping\ndata: {}\n\n" + FRAME),
    "a log line before": Odd(
        text(),
        stream=b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}\n\n'
        + FRAME,
    ),
    "a question of the server before": Odd(
        text(), stream=b'data: {"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{}}\n\n' + FRAME
    ),
    "an old version": Odd(text(), version="2024-11-05"),
    "a notification answered by 200": Odd(text(), noted=200),
    "ids as texts": Odd(text(), id=str),
    "a charset": Odd(text(), kind={"tools/call": "application/json; charset=utf-8"}),
    "a session": Odd(text(), headers=[("mcp-session-id", "abc")]),
    "a session that cannot be ended": Odd(text(), headers=[("mcp-session-id", "abc")], deleted=405),
    "members that nobody knows": Odd(text(extra={"x": 1}, _meta={"y": 2})),
    "structured content that is null": Odd(text(structuredContent=None)),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
async def test_what_is_unusual_and_can_be_read_is_read(name):
    came = await came_of(READ[name], consequential=True)
    assert (came.status, came.data, came.error) == ("done", "the rate is 1.1", "")


CONTENT = {
    "a text of an embedded resource": (
        parts({"type": "resource", "resource": {"uri": "file:///a", "mimeType": "text/plain", "text": "1.1 euros"}}),
        "1.1 euros",
    ),
    "a text and an embedded one": (
        parts(TEXT, {"type": "resource", "resource": {"uri": "file:///a", "text": "as of today"}}),
        "the rate is 1.1\nas of today",
    ),
    "bytes of an embedded resource": (
        parts({"type": "resource", "resource": {"uri": "file:///a", "mimeType": "application/pdf", "blob": "aGk="}}),
        "file:///a (application/pdf), not shown",
    ),
    "a link": (
        parts({"type": "resource_link", "uri": "https://x.example/a", "name": "rates", "description": "All rates"}),
        "rates, All rates, https://x.example/a",
    ),
    "a picture": (
        parts({"type": "image", "data": "aGk=", "mimeType": "image/png"}), "image (image/png), not shown"
    ),
    "sound": (parts({"type": "audio", "data": "aGk=", "mimeType": "audio/wav"}), "audio (audio/wav), not shown"),
    "nothing": (parts(), None),
    "json as a text": (text('{"a": 1}'), {"a": 1}),
    "structured content": (text(structuredContent={"a": 1}), {"a": 1}),
    "a wrapped list": (text(structuredContent={"result": [1, 2]}), [1, 2]),
    "a wrapped text": (text(structuredContent={"result": "1.1 euros"}), "1.1 euros"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENT)
async def test_whatever_a_result_consists_of_is_told(name):
    result, data = CONTENT[name]
    came = await came_of(Odd(result))
    assert (came.status, came.data) == ("done", data)


@pytest.mark.parametrize("result", [text(SPOKEN), text(structuredContent={"result": SPOKEN})], ids=["text", "wrapped"])
@pytest.mark.parametrize(("declared", "mode"), [({}, ""), ({"text_speaks": True}, "manual")])
async def test_a_text_sets_the_mode_only_where_the_tool_is_declared_to(result, declared, mode):
    came = await came_of(Odd(result), **declared)
    assert (came.data, came.metadata, came.mode) == ("shown", {"account": "hidden"}, mode)


NO_SESSION = {
    "a version to come": Odd(text(), version="2099-01-01"),
    "no name of the server": Odd(text(), opened={"serverInfo": "left out"}),
    "no capabilities": Odd(text(), opened={"capabilities": None}),
    "another kind of answer": Odd(text(), kind={"initialize": "text/plain"}),
    "a batch": Odd(text(), batch="initialize"),
    "unauthorized": Odd(text(), status={"initialize": 401}),
    "gone": Odd(text(), status={"initialize": 404}),
    "broken": Odd(text(), status={"initialize": 500}),
    "moved elsewhere": Odd(text(), status={"initialize": 307}, headers=[("location", "http://169.254.169.254/")]),
    "a session's name that is no header": Odd(text(), headers=[("mcp-session-id", "ab cé")]),
}


@pytest.mark.parametrize("name", NO_SESSION)
async def test_without_a_session_nothing_was_called_and_the_call_failed(name):
    odd = NO_SESSION[name]
    came = await came_of(odd, consequential=True)
    assert (came.status, came.data, odd.calls) == ("failed", None, 0)
    assert came.error


UNREADABLE = {
    "no content": Odd({"structuredContent": {"a": 1}}),
    "content that is null": Odd({"content": None}),
    "a part that nobody knows": Odd(parts({"type": "widget", "x": 1}, TEXT)),
    "an embedded resource without its text": Odd(parts({"type": "resource", "resource": {"uri": "file:///a"}})),
    "neither yes nor no": Odd(text(isError=None)),
    "no object": Odd([1, 2]),
    "nothing": Odd(None),
    "a task instead": Odd({"task": {"taskId": "t", "status": "working"}}),
    "an error that is none": Odd(error="bad"),
    "an error with a text for its code": Odd(error={"code": "X", "message": "bad"}),
    "half a surrogate pair": Odd(text("hi \ud83d")),
    "a batch": Odd(text(), batch="tools/call"),
    "another kind of answer": Odd(text(), kind={"tools/call": "text/plain"}),
    "no JSON": Odd(raw=b"{"),
    "no text": Odd(raw=b"\xff\xfe"),
    "lists within lists": Odd(raw=b"[" * 2_000 + b"]" * 2_000),
    "a number of five thousand digits": Odd(raw=b'{"jsonrpc":"2.0","id":1,"result":' + b"9" * 5_000 + b"}"),
    "an empty stream": Odd(text(), stream=b""),
    "a stream of another's answer": Odd(text(), stream=b"data: {}\n\n"),
    "a connection that breaks": Odd(text(), hangs_up=True),
    "a question whose answer it refuses, and no word more": Odd(
        text(), stream=b'data: {"jsonrpc":"2.0","id":7,"method":"ping"}\n\n', noted=400
    ),
    "an inner error": Odd(error={"code": -32603, "message": "bad"}),
    "a server error": Odd(text(), status={"tools/call": 503}),
}


@pytest.mark.parametrize(("consequential", "status"), [(False, "failed"), (True, "unknown")])
@pytest.mark.parametrize("name", UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_of_unknown_outcome_where_the_tool_changes_something(
    name, consequential, status
):
    odd = UNREADABLE[name]
    came = await came_of(odd, consequential=consequential)
    assert (came.status, came.data) == (status, None)
    assert came.error
    assert odd.calls


NOT_DONE = {
    "a tool that is not there": Odd(error={"code": -32602, "message": "bad"}),
    "a method that is not there": Odd(error={"code": -32601, "message": "bad"}),
    "an error of the tool": Odd(text(isError=True)),
    "forbidden": Odd(text(), status={"tools/call": 403}),
    "a session that is gone": Odd(text(), status={"tools/call": 404}),
}


@pytest.mark.parametrize("name", NOT_DONE)
async def test_what_the_server_refused_changed_nothing(name):
    assert (await came_of(NOT_DONE[name], consequential=True)).status == "failed"


BEYOND = [{"a": math.nan}, {"a": math.inf}, {"a": 10**200}, nested(40), {"holdfast": {"datum": 1}}]


@pytest.mark.parametrize("structured", BEYOND, ids=range(len(BEYOND)))
@pytest.mark.parametrize(("consequential", "status"), [(False, "failed"), (True, "done")])
async def test_what_no_record_could_hold_is_left_out_and_does_not_undo_what_was_done(structured, consequential, status):
    came = await came_of(Odd(text(structuredContent=structured)), consequential=consequential)
    assert (came.status, came.data) == (status, None)
    assert came.error


async def test_a_server_that_keeps_the_session_does_not_keep_the_answer():
    odd = Odd(text(), headers=[("mcp-session-id", "abc")], keeps_session=True)
    came = await came_of(odd, consequential=True, seconds=20.0)
    assert (came.status, came.data) == ("done", "the rate is 1.1")


async def test_an_answer_counts_though_the_time_was_over_before_the_server_let_go_of_the_session():
    odd = Odd(text(), headers=[("mcp-session-id", "abc")], keeps_session=True)
    came = await came_of(odd, consequential=True, seconds=0.7)
    assert (came.status, came.data) == ("done", "the rate is 1.1")


async def test_the_task_of_the_caller_is_not_cancelled_by_what_a_session_leaves_behind():
    await came_of(UNREADABLE["a part that nobody knows"])
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
