"""
Reading `dead.letters`, and driving letters again: each with its receipt in one transaction.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from services.operator.adapters.scan import Progress, scan
from services.operator.domain.letters import Box, Filter, Letter, again, receipt, refusal
from services.operator.domain.marker import erased_among
from services.operator.domain.quarantine import set_apart
from shared.broker.clients import KafkaSettings
from shared.errors import Fatal
from shared.events.topics import CONVERSATIONS_STATE, DEAD_LETTERS
from shared.stage.base import Output, Record
from shared.stage.errors import OwnershipLost
from shared.stage.kafka_producers import KafkaTransactionalProducer

TRANSACTIONAL_ID = "operator.redrive"
"""One at a time: a second redrive fences the first."""


async def read_box(settings: KafkaSettings, progress: Progress = lambda _passed, _due: None) -> Box:
    """
    Everything that `dead.letters` holds now.

    Raises:
        Fatal: the topic does not exist.
        Retryable: the broker stopped answering.

    """
    box = Box()
    async for record in scan(settings, DEAD_LETTERS, progress=progress):
        box.take(record)
    return box


async def states_of(settings: KafkaSettings, letters: Sequence[Letter]) -> list[Record]:
    """
    The newest records of the states of the conversations of *letters*: each lies in the partition that the letter's
    record was read from.
    """
    wanted = {(letter.record.key, letter.partition) for letter in letters}
    states: dict[tuple[bytes | None, int], Record] = {}
    if not wanted:
        return []
    async for record in scan(settings, CONVERSATIONS_STATE, partitions={number for _, number in wanted}):
        if (record.key, record.partition) in wanted:
            states[record.key, record.partition] = record
    return list(states.values())


async def refusals(settings: KafkaSettings, box: Box, letters: Sequence[Letter]) -> dict[str, str]:
    """By the letter's name, why it may not be driven again; a letter that may is not in it."""
    states = await states_of(settings, [letter for letter in letters if letter.address is not None])
    erased = box.erased_ms | erased_among(states)
    quarantined = set_apart(states)
    now_ms = round(time.time() * 1000)
    why = {letter.name: refusal(letter, erased=erased, quarantined=quarantined, now_ms=now_ms) for letter in letters}
    return {name: reason for name, reason in why.items() if reason}


async def redrive(
    settings: KafkaSettings, wanted: Filter, *, rate: float, told: Callable[[Letter, str], None], letters_max: int
) -> tuple[int, int]:
    """
    Drive the letters that *wanted* takes again, *rate* a second and the oldest *letters_max* at most; how many were
    driven, and how many refused. *told* hears of each as it is done, with the reason where it was refused.

    Raises:
        Fatal: another redrive has begun meanwhile, or this one may not write.
        Retryable: the broker stopped answering; what was driven so far has its receipts.

    """
    writing = KafkaTransactionalProducer(settings, TRANSACTIONAL_ID, "operator")
    # Begun before the letters are read: from here on a redrive that reads older receipts can commit nothing.
    await writing.start()
    driven = refused = 0
    try:
        box = await read_box(settings)
        letters = box.found(wanted)[:letters_max]
        why = await refusals(settings, box, letters)
        begun = time.monotonic()
        for letter in letters:
            reason = why.get(letter.name, "")
            if reason:
                refused += 1
            else:
                await asyncio.sleep(max(0.0, begun + driven / rate - time.monotonic()))
                await _drive(writing, letter)
                driven += 1
            told(letter, reason)
    finally:
        with suppress(OwnershipLost):
            await writing.stop()
    return driven, refused


async def _drive(writing: KafkaTransactionalProducer, letter: Letter) -> None:
    key, headers = receipt(letter)
    outputs = (Output(letter.topic, *again(letter)), Output(DEAD_LETTERS, key, None, headers))
    try:
        await writing.transact(outputs, letter.partition, {})
    except OwnershipLost as error:
        raise Fatal(
            f"letter {letter.name} was not driven, or nobody can tell: {error}. Another redrive may have begun; once "
            "it is done, run this again: what was driven has a receipt and is passed over"
        ) from error
