"""
Reading which conversations are in quarantine, and letting one out.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from services.operator.adapters.letters import TRANSACTIONAL_ID, read_box
from services.operator.adapters.scan import Progress, scan
from services.operator.domain.letters import Filter, Letter, receipt
from services.operator.domain.quarantine import SetApart, handing_on, held_of, lost_of, release, set_apart
from shared.broker.clients import KafkaSettings
from shared.errors import Fatal
from shared.events.topics import CONVERSATION_RELEASES, CONVERSATIONS_STATE, DEAD_LETTERS
from shared.stage.base import Output
from shared.stage.errors import OwnershipLost
from shared.stage.kafka_producers import KafkaTransactionalProducer
from shared.stage.quarantine import REASON

LETTERS_MAX = 50
"""Handed on in one transaction."""
ROUNDS_MAX = 1_000
"""Of letters that are handed on: a conversation that is written to faster than they are never comes out."""
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator wants of a release, and how long the ledger may take for each step of it."""

    discard_state: bool = False
    without_lost: bool = False
    by: str = ""
    reason: str = ""
    wait_seconds: float = 60.0


async def read_set_apart(
    settings: KafkaSettings, key: bytes | None = None, progress: Progress = lambda _passed, _due: None
) -> dict[bytes, SetApart]:
    """By key, the conversations in quarantine, or only that of *key*; the oldest first."""
    return set_apart([record async for record in scan(settings, CONVERSATIONS_STATE, key=key, progress=progress)])


async def read_held(settings: KafkaSettings, apart: SetApart) -> dict[int, Letter]:
    """By number, the letters of *apart* that are still to be handed on."""
    return held_of((await read_box(settings)).found(Filter(reason=REASON)), apart)


async def let_out(settings: KafkaSettings, key: bytes, wish: Wish, told: Callable[[str], None]) -> None:
    """
    End the quarantine of *key*: hand on what is held, and what comes meanwhile, until nothing is. *told* hears of each
    step.

    Raises:
        Fatal: it is not in quarantine, letters of it are lost, the ledger fails at it again or does not answer.
        Retryable: the broker stopped answering; what was handed on so far has its receipts.

    """
    writing = KafkaTransactionalProducer(settings, TRANSACTIONAL_ID, "operator")
    await writing.start()
    try:
        await _Release(settings, writing, key, wish, told).run()
    except OwnershipLost as error:
        raise Fatal(f"the release did not end: {error}. Run it again: it goes on where it stands") from error
    finally:
        with suppress(OwnershipLost):
            await writing.stop()


class _Release:
    def __init__(
        self,
        settings: KafkaSettings,
        writing: KafkaTransactionalProducer,
        key: bytes,
        wish: Wish,
        told: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._writing = writing
        self._key = key
        self._wish = wish
        self._told = told

    async def run(self) -> None:
        begun = await self._apart()
        if begun is None:
            raise Fatal(f"{self._key.decode(errors='replace')} is not in quarantine; see `holdfast quarantine list`")
        self._refuse_lost(await read_held(self._settings, begun), begun)
        await self._say(begun, discard_state=self._wish.discard_state)
        apart = await self._once(
            lambda now: now.offset > begun.offset and (now.mark.releasing or bool(now.mark.refused))
        )
        rounds = 0
        while apart is not None:
            self._check(apart)
            rounds += 1
            if rounds > ROUNDS_MAX:
                raise Fatal("records of the conversation come faster than they are handed on; stop its sender first")
            apart = await self._hand_on(apart)
        self._told("out of quarantine")

    async def _hand_on(self, apart: SetApart) -> SetApart | None:
        """Hand on the next letters of *apart*; how it stands once the ledger has had them, None where it is out."""
        held = await read_held(self._settings, apart)
        self._refuse_lost(held, apart)
        whole = {number: letter for number, letter in held.items() if not letter.lost_value_bytes}
        batch = dict(islice(whole.items(), LETTERS_MAX))
        if not batch:
            await self._say(apart, through=apart.mark.held)
            return await self._once(lambda now: now.mark.released >= apart.mark.held)
        outputs: list[Output] = []
        for number, letter in batch.items():
            key, headers = receipt(letter)
            outputs.append(
                Output(CONVERSATION_RELEASES, self._key, letter.record.value, handing_on(letter, number, apart))
            )
            outputs.append(Output(DEAD_LETTERS, key, None, headers))
        await self._writing.transact(outputs, apart.partition, {})
        self._told(f"handed on {len(batch)} records, up to {max(batch)} of {apart.mark.held}")
        return await self._once(lambda now: now.mark.released >= max(batch) or not now.mark.releasing)

    async def _say(self, apart: SetApart, *, through: int = 0, discard_state: bool = False) -> None:
        now_ms = round(time.time() * 1_000)
        headers, value = release(
            apart,
            now_ms,
            through=through,
            discard_state=discard_state,
            by=self._wish.by,
            reason=self._wish.reason,
        )
        await self._writing.transact([Output(CONVERSATION_RELEASES, self._key, value, headers)], apart.partition, {})

    async def _once(self, reached: Callable[[SetApart], bool]) -> SetApart | None:
        """How the conversation stands once it has *reached* that; None where it is out of quarantine."""
        until = time.monotonic() + self._wish.wait_seconds
        while (apart := await self._apart()) is not None and not reached(apart):
            if time.monotonic() > until:
                raise Fatal(
                    f"the conversations service has not answered for {self._wish.wait_seconds:g} s: does it run? Run "
                    "this again: it goes on where it stands"
                )
            await asyncio.sleep(POLL_SECONDS)
        return apart

    async def _apart(self) -> SetApart | None:
        return (await read_set_apart(self._settings, self._key)).get(self._key)

    def _check(self, apart: SetApart) -> None:
        mark = apart.mark
        if mark.refused:
            raise Fatal(
                f"not released: {mark.refused}. Run a conversations service that reads it, or give the state up with "
                "--discard-state"
            )
        if not mark.releasing:
            raise Fatal(
                f"the ledger failed again, at {mark.where} with {mark.error}: {mark.released} of {mark.held} records "
                "were applied, the others are held on in their order. Mend the cause, and run this again"
            )

    def _refuse_lost(self, held: dict[int, Letter], apart: SetApart) -> None:
        if (lost := lost_of(held, apart)) and not self._wish.without_lost:
            raise Fatal(
                f"{len(lost)} of the records held are on dead.letters no more (the first is number {lost[0]}): "
                "driven again otherwise, or older than its retention. Release without them: --without-lost"
            )
