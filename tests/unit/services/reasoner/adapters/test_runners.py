"""Whatever a kind of tool trips over: the call has a result, and the process goes on."""

import asyncio

import pytest

from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.runners import Runners
from services.reasoner.domain.tools.results import of_value
from services.reasoner.settings import OutgoingSection
from shared.events.tools import ToolCall
from shared.playbook.tools import HttpCall, Tool

CALL = ToolCall(id="1", tool="pay")


async def came_of(monkeypatch, does, *, consequential, **settings):
    async def call(*_, **__):
        return does()

    section = OutgoingSection(**settings)
    tool = Tool(id="pay", description="x", consequential=consequential, http=HttpCall(url="https://x.example/"))
    async with Outgoing(section) as outgoing:
        runners = Runners(outgoing, section)
        monkeypatch.setattr("services.reasoner.adapters.http_tools.HttpTools.call", call)
        return await runners.call(tool, CALL, tenant="acme", deadline=asyncio.get_running_loop().time() + 5)


def raises(error):
    def does():
        raise error

    return does


@pytest.mark.parametrize(("consequential", "status"), [(False, "failed"), (True, "unknown")])
@pytest.mark.parametrize(
    "error",
    [
        RecursionError(), ValueError("4711"), UnicodeEncodeError("utf-8", "4711", 0, 1, "x"), OverflowError(),
        KeyError("4711"), ExceptionGroup("4711", [OSError("4711")]), AssertionError(),
        AttributeError("4711"), StopAsyncIteration(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
async def test_an_error_that_nobody_foresaw_is_a_result_without_its_words(monkeypatch, error, consequential, status):
    came = await came_of(monkeypatch, raises(error), consequential=consequential)
    assert (came.status, came.data) == (status, None)
    assert type(error).__name__ in came.error
    assert "4711" not in came.error


@pytest.mark.parametrize("error", [MemoryError(), asyncio.CancelledError()], ids=lambda error: type(error).__name__)
async def test_what_is_the_processs_own_passes(monkeypatch, error):
    with pytest.raises(type(error)):
        await came_of(monkeypatch, raises(error), consequential=False)


@pytest.mark.parametrize(("consequential", "status"), [(False, "failed"), (True, "done")])
async def test_an_answer_that_grows_as_it_is_read_is_left_out_of_the_record(monkeypatch, consequential, status):
    grown = of_value([1e15] * 100)
    came = await came_of(monkeypatch, lambda: grown, consequential=consequential, answer_bytes_max=600)
    assert (came.status, came.data) == (status, None)
    assert "600 bytes" in came.error
