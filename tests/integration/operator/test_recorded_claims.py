"""Claims go from the topic to a file and into the report: committed ones, all of them, once."""

import asyncio
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from typer.testing import CliRunner

from services.operator.adapters.claims import recorded_claims
from services.operator.cli import app
from services.operator.hazard.records import read_claims
from services.operator.hazard.simulate import PROCESSES, TENANT, simulate, to_records
from shared.broker.clients import producer
from shared.broker.topics import TopicsSettings, create_topics
from shared.errors import Fatal
from shared.events import topics
from shared.events.claims import ClaimJudged
from shared.events.codec import encode, source_of
from shared.events.envelope import Address, Envelope


@pytest.fixture(scope="module")
def records():
    return list(to_records(simulate(PROCESSES["constant"], 60, np.random.default_rng(1))))


@pytest.fixture
async def published(broker_settings, records):
    """The topic as ledgers leave it: transactions, one of them aborted, the last word of a partition a marker."""
    await create_topics(broker_settings, TopicsSettings(partitions=3))
    async with producer(broker_settings, transactional_id="ledger") as client:
        for begin in range(0, len(records), 100):
            async with client.transaction():
                await send(client, broker_settings, records[begin : begin + 100])
        await client.begin_transaction()
        await send(
            client, broker_settings, [record.model_copy(update={"id": f"no-{record.id}"}) for record in records[:5]]
        )
        await client.abort_transaction()
    return broker_settings


async def send(client, settings, claims):
    for claim in claims:
        address = Address(TENANT, claim.conversation)
        event = Envelope(
            id=claim.id,
            source=source_of(TENANT, "conversations"),
            type="claim.judged",
            time=datetime.now(UTC),
            subject=claim.conversation,
            data=ClaimJudged(**claim.model_dump(exclude={"id", "tenant", "conversation"})),
        )
        headers, value = encode(event)
        await client.send_and_wait(
            settings.namespace + topics.CLAIMS_JUDGED, value, key=address.key, headers=list(headers)
        )


def key(record):
    return record.id


async def holdfast(settings, *arguments):
    """The command, on a thread: the embedded broker lives on this loop."""
    environ = {
        "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "HOLDFAST_KAFKA_NAMESPACE": settings.namespace,
    }
    return await asyncio.to_thread(CliRunner(env=environ).invoke, app, arguments)


async def test_every_committed_claim_is_read_once_and_no_aborted_one(published, records):
    found = [claim async for claim in recorded_claims(published)]

    assert sorted(found, key=key) == sorted(records, key=key)


async def test_record_writes_what_the_report_reads_from_topics(published, records, tmp_path):
    file = tmp_path / "claims.jsonl"

    written = await holdfast(published, "report", "record", "--out", str(file))
    from_topics = await holdfast(published, "report", "hazard", "--json", "--draws", "100")
    from_file = await holdfast(published, "report", "hazard", "--from", str(file), "--json", "--draws", "100")

    assert written.exit_code == from_topics.exit_code == from_file.exit_code == 0
    with file.open(encoding="utf-8") as rows:
        assert sorted(read_claims(rows), key=key) == sorted(records, key=key)
    assert json.loads(from_topics.stdout)["arms"][0]["series"][0]["claims"] == len(records)
    assert from_topics.stdout == from_file.stdout


async def test_a_missing_topic_is_told(broker_settings):
    with pytest.raises(Fatal, match=r"claims\.judged"):
        [claim async for claim in recorded_claims(broker_settings)]
