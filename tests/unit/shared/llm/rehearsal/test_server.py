"""
The rehearsal model as a server and as a process.
"""

import asyncio
import json
import signal
import sys

import aiohttp
import pytest

from shared.errors import Fatal
from shared.llm.rehearsal import server as server_module
from shared.llm.rehearsal.__main__ import read_arguments
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings

SCHEMA = {"type": "object", "properties": {"word": {"type": "string", "enum": ["one", "two"]}}}


def body(**changes):
    return {
        "model": "any",
        "messages": [{"role": "user", "content": "hello"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "unit_v1", "schema": SCHEMA}},
        **changes,
    }


async def post(session, url, document, **headers):
    async with session.post(f"{url}/chat/completions", data=json.dumps(document), headers=headers) as response:
        return response.status, dict(response.headers), await response.json()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_an_answer_conforms_and_says_what_gave_it(session):
    async with RehearsalServer(RehearsalSettings(), rules={}) as server:
        status, headers, document = await post(session, server.url, body())
    assert status == 200
    assert headers["x-holdfast-model"] == "rehearsal"
    assert document["model"] == document["system_fingerprint"] == "rehearsal"
    assert json.loads(document["choices"][0]["message"]["content"]) == {"word": "one"}
    assert document["usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}
    assert server.requests_answered == 1


async def test_models_and_health_are_told(session):
    async with RehearsalServer(RehearsalSettings(), rules={}) as server:
        async with session.get(f"{server.url}/models") as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["rehearsal"]
        async with session.get(server.url.removesuffix("/v1") + "/healthz") as response:
            assert response.status == 200


async def test_an_unreadable_request_is_a_bad_request(session):
    async with RehearsalServer(RehearsalSettings(), rules={}) as server:
        status, _, document = await post(session, server.url, [])
    assert status == 400
    assert "messages" in document["error"]["message"]


async def test_errors_come_as_openai_tells_them_and_pass(session):
    async with RehearsalServer(RehearsalSettings(error_rate=0.5, retry_after_seconds=0.25), rules={}) as server:
        first = [await post(session, server.url, body(seed=number)) for number in range(60)]
        failed = [number for number, (status, _, _) in enumerate(first) if status != 200]
        seen = {status for status, _, _ in first}
        again = [(await post(session, server.url, body(seed=number)))[0] for number in failed]
    assert seen == {200, 429, 500}
    assert 200 in again
    waits = {headers.get("retry-after-ms") for status, headers, _ in first if status == 429}
    assert waits == {"250"}


async def test_only_so_many_failed_requests_are_remembered(session, monkeypatch):
    monkeypatch.setattr(server_module, "FAILED_KEPT_MAX", 5)
    async with RehearsalServer(RehearsalSettings(error_rate=1.0), rules={}) as server:
        for number in range(12):
            await post(session, server.url, body(seed=number))
        assert len(server._failed) == 5


async def test_latency_is_the_base_and_a_share_for_each_token(session, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(server_module.asyncio, "sleep", sleep)
    settings = RehearsalSettings(base_latency_seconds=2.0, seconds_per_output_token=0.5)
    async with RehearsalServer(settings, rules={}) as server:
        await post(session, server.url, body())
    assert 4.0 in slept


async def test_a_hundred_requests_are_served_at_once(session):
    async with RehearsalServer(RehearsalSettings(base_latency_seconds=0.05), rules={}) as server:
        answers = await asyncio.gather(*(post(session, server.url, body(seed=number)) for number in range(100)))
    assert {status for status, _, _ in answers} == {200}
    assert server.requests_answered == 100


async def test_a_taken_port_is_told_and_leaves_nothing_open():
    async with RehearsalServer(RehearsalSettings(), rules={}) as one:
        port = int(one.url.split(":")[2].split("/")[0])
        other = RehearsalServer(RehearsalSettings(), rules={}, port=port)
        with pytest.raises(OSError, match="address already in use"):
            await other.start()
        await other.stop()


def test_arguments_override_the_environment():
    host, port, settings = read_arguments(
        ["--host", "127.0.0.2", "--port", "0", "--seed", "7", "--error-rate", "0.25"],
        RehearsalSettings(seed=1, malformed_rate=0.5),
    )
    assert (host, port) == ("127.0.0.2", 0)
    assert settings == RehearsalSettings(seed=7, error_rate=0.25, malformed_rate=0.5)


def test_an_argument_out_of_range_is_told_by_name():
    with pytest.raises(Fatal, match="--error_rate"):
        read_arguments(["--error-rate", "2"], RehearsalSettings())


async def test_the_process_tells_its_address_serves_and_ends_on_sigterm(session):
    arguments = ["-m", "shared.llm.rehearsal", "--port", "0"]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        url = (await process.stdout.readline()).decode().strip()
        status, _, _ = await post(session, url, body())
        assert status == 200
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_repeated_calls_are_counted_apart(session):
    async with RehearsalServer(RehearsalSettings(), rules={}) as server:
        for document in (body(), body(temperature=0.2), body()):
            await post(session, server.url, document)
        await post(session, server.url, body(), **{"x-client-request-id": "another turn"})
        async with session.get(server.url.removesuffix("/v1") + "/stats") as response:
            assert await response.json() == {"calls": 4, "repeated": 1}
