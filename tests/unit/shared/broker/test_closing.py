import asyncio
from contextlib import suppress

import pytest

from shared.broker.closing import uninterrupted


class Closing:
    """A client that takes until *may_end* to close, and may fail at it."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.may_end = asyncio.Event()
        self.ended = False
        self.failure = failure

    async def stop(self) -> None:
        await self.may_end.wait()
        self.ended = True
        if self.failure is not None:
            raise self.failure


async def begun(closing: Closing) -> asyncio.Task[None]:
    owner = asyncio.create_task(uninterrupted(closing.stop()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return owner


async def test_a_closing_is_waited_for_and_its_failure_is_the_callers():
    closing = Closing(OSError("gone"))
    closing.may_end.set()
    with pytest.raises(OSError, match="gone"):
        await uninterrupted(closing.stop())


@pytest.mark.parametrize("cancellations", [1, 2, 3])
@pytest.mark.parametrize("failure", [None, OSError("gone")], ids=["closes", "fails"])
async def test_an_owner_that_is_cancelled_however_often_ends_when_the_client_is_closed(cancellations, failure):
    closing = Closing(failure)
    owner = await begun(closing)
    for _ in range(cancellations):
        owner.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not owner.done()
    closing.may_end.set()
    with suppress(asyncio.CancelledError):
        await owner
    assert closing.ended
    assert owner.cancelled()


async def test_a_limit_of_the_caller_takes_effect_when_the_client_is_closed():
    closing = Closing()
    asyncio.get_running_loop().call_later(0.05, closing.may_end.set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await uninterrupted(closing.stop())
    assert closing.ended
