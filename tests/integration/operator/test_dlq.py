"""Dead letters on a real broker: listed, shown, driven again once, and never for an erased conversation."""

import asyncio
import json
import time

import pytest
from typer.testing import CliRunner

from services.conversations.domain.state import ConversationState, encode
from services.operator.adapters.scan import home_of, scan
from services.operator.cli import app
from shared.broker.clients import producer
from shared.broker.topics import TopicsSettings, create_topics
from shared.errors import Invalid
from shared.events import topics
from shared.stage.base import Record
from shared.stage.dead_letters import dead_letter

PARTITIONS = 3
SENT = {
    b"acme:chat-1": (b"{broken", "bad_json"),
    b"acme:chat-2": (b'{"text":"my card is 4111"}', "bad_body"),
    b"other:chat-3": (b"\xff\x00", "bad_encoding"),
    b"acme:erased": (b"{broken", "bad_json"),
}


@pytest.fixture
async def published(broker_settings):
    """A topic of dead letters as a stage leaves it; the conversation `erased` was erased."""
    await create_topics(broker_settings, TopicsSettings(partitions=PARTITIONS))
    name = broker_settings.namespace
    async with producer(broker_settings) as client:
        for key, (value, reason) in SENT.items():
            place = home_of(key, PARTITIONS)
            record = Record(topics.CONVERSATION_EVENTS, place, 5, 1, key, value, (("ce_id", key), ("odd", b"\xff")))
            letter = dead_letter(
                "conversations", record, Invalid(reason, "mend it"), attempts=1, first_failed_at=time.time()
            )
            await client.send_and_wait(
                name + topics.DEAD_LETTERS,
                letter.value,
                key=letter.key,
                partition=place,
                headers=list(letter.headers),
            )
        erased = encode(ConversationState(epoch=3, erased_at_ms=7))
        await client.send_and_wait(name + topics.CONVERSATIONS_STATE, erased, key=b"acme:erased")
    return broker_settings


async def holdfast(settings, *arguments):
    """The command, on a thread: the embedded broker lives on this loop."""
    environ = {
        "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "HOLDFAST_KAFKA_NAMESPACE": settings.namespace,
    }
    return await asyncio.to_thread(CliRunner(env=environ).invoke, app, arguments)


async def listed(settings, *arguments):
    done = await holdfast(settings, "dlq", "list", "--json", *arguments)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def arrived(settings):
    return [record async for record in scan(settings, topics.CONVERSATION_EVENTS)]


async def test_letters_are_listed_counted_and_filtered(published):
    everything = await listed(published)
    ours = await listed(published, "--tenant", "acme", "--reason", "bad_json")
    table = await holdfast(published, "dlq", "list")

    assert everything["count"] == 4
    assert {(row["reason"], row["count"]) for row in everything["counts"]} == {
        ("bad_json", 2),
        ("bad_body", 1),
        ("bad_encoding", 1),
    }
    assert {row["conversation"] for row in ours["letters"]} == {"chat-1", "erased"}
    assert table.exit_code == 0
    assert "4 dead letters" in table.output


async def test_a_letter_is_shown_without_what_was_said_unless_asked(published):
    (row,) = (await listed(published, "--reason", "bad_body"))["letters"]

    closed = await holdfast(published, "dlq", "show", row["letter"])
    opened = await holdfast(published, "dlq", "show", row["letter"], "--reveal")

    assert closed.exit_code == opened.exit_code == 0
    assert "4111" not in closed.output
    assert "4111" in opened.output
    assert "mend it" in closed.output


async def test_driving_again_restores_the_record_once_and_refuses_what_was_erased(published):
    rehearsed = await holdfast(published, "dlq", "redrive", "--tenant", "acme")
    assert "would be driven" in rehearsed.output
    assert await arrived(published) == []

    first = await holdfast(published, "dlq", "redrive", "--tenant", "acme", "--yes", "--rate", "1000", "--json")
    second = await holdfast(published, "dlq", "redrive", "--tenant", "acme", "--yes", "--json")

    assert first.exit_code == second.exit_code == 1, first.output  # the erased one is refused
    told = {row["conversation"]: row["refused"] for row in json.loads(first.stdout)["letters"]}
    assert told == {"chat-1": "", "chat-2": "", "erased": "its conversation was erased"}
    assert [row["conversation"] for row in json.loads(second.stdout)["letters"]] == ["erased"]
    found = {record.key: record for record in await arrived(published)}
    assert set(found) == {b"acme:chat-1", b"acme:chat-2"}
    for key, record in found.items():
        assert record.value == SENT[key][0]
        assert record.partition == home_of(key, PARTITIONS)
        assert record.headers[:2] == (("ce_id", key), ("odd", b"\xff"))
        assert [name for name, _ in record.headers[2:]] == ["x-holdfast-redriven"]
    assert (await listed(published, "--driven"))["count"] == 2


async def test_what_does_not_exist_is_told(published):
    done = await holdfast(published, "dlq", "redrive", "0:999")

    assert done.exit_code != 0
    assert "no dead letter 0:999" in str(done.exception)


@pytest.mark.parametrize("arguments", [(), ("--all", "--tenant", "acme")])
async def test_everything_is_driven_only_where_that_is_said_alone(published, arguments):
    done = await holdfast(published, "dlq", "redrive", *arguments)

    assert done.exit_code != 0
    assert "--all" in str(done.exception)
