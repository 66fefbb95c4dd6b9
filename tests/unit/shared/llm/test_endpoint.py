"""
The endpoint against a real server on loopback that misbehaves in every way that matters.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from shared.llm.endpoint import Endpoint, address
from shared.llm.errors import DeadlineExceeded, InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.settings import LlmSettings

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(talk: Talk, **changes) -> AsyncIterator[Endpoint]:
    """An endpoint whose server reads one request and then talks as *talk* says, until the test is over."""
    over = asyncio.Event()

    async def serve(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            await talk(reader, writer)
            await over.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    endpoint = Endpoint(LlmSettings(url=f"http://127.0.0.1:{port}/v1", **changes), "/chat", {})
    try:
        yield endpoint
    finally:
        over.set()
        await endpoint.close()
        server.close()
        await server.wait_closed()


def answering(body: bytes, *, status: str = "200 OK", headers: str = "", length: int | None = None) -> Talk:
    async def talk(_, writer):
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body) if length is None else length}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return talk


def soon(seconds: float = 30.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_an_answer_is_the_json_object_in_it():
    async with serving(answering(b'{"a": [1]}')) as endpoint:
        assert await endpoint.post({}, deadline=soon()) == {"a": [1]}


async def test_a_lone_surrogate_in_a_text_is_replaced_on_the_way():
    seen = []

    async def handle(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(200, json={})

    endpoint = Endpoint(LlmSettings(), "/chat", {}, transport=httpx.MockTransport(handle))
    await endpoint.post({"text": "a\ud800b"}, deadline=soon())
    await endpoint.close()
    assert seen == [{"text": "a?b"}]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"<html>no</html>", b"[{}, {}]", b": alive"])
async def test_a_success_without_a_json_object_is_a_server_error(body):
    async with serving(answering(body)) as endpoint:
        with pytest.raises(ModelUnavailable) as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "server_error"


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        ("https://api.example/v1/", "https://api.example/v1/chat"),
        ("https://api.example", "https://api.example/chat"),
        ("https://api.example/openai?api-version=2024-10-21", "https://api.example/openai/chat?api-version=2024-10-21"),
        ("https://api.example/openai/?a=b%2Fc&d", "https://api.example/openai/chat?a=b%2Fc&d"),
        ("https://api.example/a%2Fb", "https://api.example/a%2Fb/chat"),
    ],
)
def test_the_path_goes_before_the_query(base, asked):
    assert str(address(LlmSettings(url=base).url, "/chat")) == asked


async def test_a_query_is_told_to_nobody_but_the_endpoint():
    settings = LlmSettings(url="http://127.0.0.1:1/v1?key=secret")
    endpoint = Endpoint(settings, "/chat", {})
    with pytest.raises(ModelUnavailable) as caught:
        await endpoint.post({}, deadline=soon())
    await endpoint.close()
    assert "secret" not in str(caught.value)
    assert settings.place == "http://127.0.0.1:1/v1"


async def test_no_first_byte_in_time_is_a_time_out():
    async def silent(_, __):
        return

    async with serving(silent, first_byte_timeout_seconds=0.05) as endpoint:
        with pytest.raises(ModelUnavailable) as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "timeout"
    assert not isinstance(caught.value, DeadlineExceeded)


async def test_an_answer_that_stalls_half_way_is_a_time_out():
    async with serving(answering(b'{"half', length=1_000), chunk_timeout_seconds=0.05) as endpoint:
        with pytest.raises(ModelUnavailable, match="stalled") as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "timeout"


async def drip(_, writer):
    """A byte now and then, each in time, the whole never."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_a_slow_loris_ends_at_the_total_time_out():
    async with serving(drip, total_timeout_seconds=0.1) as endpoint:
        with pytest.raises(ModelUnavailable, match="no whole answer") as caught:
            await endpoint.post({}, deadline=soon())
    assert not isinstance(caught.value, DeadlineExceeded)


async def test_a_slow_loris_ends_at_the_requests_deadline():
    async with serving(drip) as endpoint:
        with pytest.raises(DeadlineExceeded):
            await endpoint.post({}, deadline=soon(0.1))


async def test_a_deadline_that_has_passed_sends_nothing():
    def handle(_: httpx.Request) -> httpx.Response:
        pytest.fail("a request was sent")

    endpoint = Endpoint(LlmSettings(), "/chat", {}, transport=httpx.MockTransport(handle))
    with pytest.raises(DeadlineExceeded):
        await endpoint.post({}, deadline=soon(-1))
    await endpoint.close()


async def test_a_connection_closed_before_the_answer_is_a_broken_connection():
    async def hang_up(_, writer):
        writer.close()

    async with serving(hang_up) as endpoint:
        with pytest.raises(ModelUnavailable) as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "connection"


async def test_a_connection_closed_within_the_answer_is_a_broken_connection():
    async def hang_up(_, writer):
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"ha')
        await writer.drain()
        writer.close()

    async with serving(hang_up) as endpoint:
        with pytest.raises(ModelUnavailable) as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "connection"


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x16\x03\x01\x00" * 64])
async def test_garbage_instead_of_http_is_a_broken_connection(garbage):
    async def talk(_, writer):
        writer.write(garbage)
        await writer.drain()
        writer.close()

    async with serving(talk) as endpoint:
        with pytest.raises(ModelUnavailable) as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "connection"


async def test_nobody_listening_is_a_broken_connection(unused_port):
    endpoint = Endpoint(LlmSettings(url=f"http://127.0.0.1:{unused_port}"), "/chat", {})
    with pytest.raises(ModelUnavailable) as caught:
        await endpoint.post({}, deadline=soon())
    await endpoint.close()
    assert caught.value.kind == "connection"


@pytest.fixture
async def unused_port() -> int:
    server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_reading_stops_at_the_size_limit_even_if_the_answer_never_ends():
    async def flood(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b" " * 4_096 + b"\r\n")
            await writer.drain()

    async with serving(flood, answer_bytes_max=10_000) as endpoint:
        with pytest.raises(InvalidAnswer) as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "oversized"
    assert caught.value.usage.output_tokens == 2_500


async def test_an_answer_of_just_the_size_limit_is_read():
    body = b'{"a": "' + b"x" * (2_000 - 9) + b'"}'
    async with serving(answering(body), answer_bytes_max=2_000) as endpoint:
        assert len((await endpoint.post({}, deadline=soon()))["a"]) == 1_991


async def test_an_error_document_without_end_is_cut_and_its_status_told():
    body = b'{"error": {"message": "' + b"x" * 200_000
    async with serving(answering(body, status="500 Oops", length=10**9)) as endpoint:
        with pytest.raises(ModelUnavailable) as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "server_error"


async def test_a_redirect_is_not_followed():
    async with serving(answering(b"", status="302 Found", headers="location: http://127.0.0.1:1/\r\n")) as endpoint:
        with pytest.raises(ModelRefused) as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "bad_request"


async def test_cookies_of_an_answer_are_not_sent_back():
    requests = []

    async def handle(reader, writer):
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            requests.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: tenant=acme\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    endpoint = Endpoint(LlmSettings(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), "/chat", {})
    await endpoint.post({}, deadline=soon())
    await endpoint.post({}, deadline=soon())
    await endpoint.close()
    server.close()
    assert len(requests) == 2
    assert b"cookie" not in requests[1].lower()


async def test_the_key_is_in_neither_error_nor_log():
    body = json.dumps({"error": {"code": "invalid_api_key", "message": "no such key: sk-very-secret"}}).encode()
    settings = {"key": SecretStr("sk-very-secret")}
    async with serving(answering(body, status="401 Unauthorized"), **settings) as endpoint:
        with capture_logs() as logs, pytest.raises(ModelRefused) as caught:
            await endpoint.post({}, deadline=soon())
    assert caught.value.kind == "auth"
    assert "sk-very-secret" not in str(caught.value)
    assert logs
    assert "sk-very-secret" not in str(logs)
    assert "sk-very-secret" not in repr(LlmSettings(**settings))


async def test_cancelling_a_call_frees_its_connection():
    arrived = asyncio.Event()

    async def silent(_, __):
        arrived.set()

    async with serving(silent, in_flight_max=2) as endpoint:
        call = asyncio.create_task(endpoint.post({}, deadline=soon()))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        connector = endpoint._client._transport.client.connector
        assert not connector._acquired
