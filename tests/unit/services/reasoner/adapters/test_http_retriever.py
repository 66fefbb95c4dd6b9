"""Retrievers over real sockets: the question that leaves, what its answer lets a reply say, and what stays out."""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client import CollectorRegistry

from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.http_retriever import HttpRetrievers
from services.reasoner.metrics import ReasonerMetrics
from services.reasoner.settings import OutgoingSection
from shared.playbook.knowledge import Retriever

FOUND = {"documents": [{"text": " Open from 9. ", "source": "hours.md"}, {"text": "Closed on Sunday."}, {"text": ""}]}


async def found(server, *, allowed=True, seconds=5.0, directory="", **declared):
    registry = CollectorRegistry()
    section = OutgoingSection(
        private_hosts=f"127.0.0.1:{server.port}" if allowed else "", secrets_directory=str(directory)
    )
    async with Outgoing(section) as outgoing:
        retrievers = HttpRetrievers(outgoing, section, ReasonerMetrics(registry), lambda: 1_790_000_000.0)
        retriever = Retriever(id="docs", url=f"{server.url}/find", **declared)
        deadline = asyncio.get_running_loop().time() + seconds
        records = await retrievers.find(retriever, "When open? ü", tenant="acme", deadline=deadline)
    results = [
        sample.labels["result"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "holdfast_retrievals_total" and sample.value
    ]
    return records, results


async def test_documents_become_facts_with_their_source_and_time(endpoint):
    async with endpoint((200, {}, FOUND)).running() as server:
        records, results = await found(server)
    [(method, path, headers, body)] = server.requests
    assert (method, path, headers["content-type"]) == ("POST", "/find", "application/json")
    assert json.loads(body) == {"query": "When open? ü", "top_k": 5}
    assert [(r.id, r.text, r.source, r.origin) for r in records] == [
        ("retriever.docs.1", "Open from 9.", "retriever:docs", "hours.md"),
        ("retriever.docs.2", "Closed on Sunday.", "retriever:docs", ""),
    ]
    assert {r.fetched_at.timestamp() for r in records} == {1_790_000_000.0}
    assert results == ["found"]


async def test_by_get_the_question_is_in_the_address(endpoint):
    async with endpoint((200, {}, [])).running() as server:
        records, results = await found(server, method="GET", top_k=2)
    asked = urlsplit(server.requests[0][1])
    assert (asked.path, parse_qs(asked.query)) == ("/find", {"query": ["When open? ü"], "top_k": ["2"]})
    assert (records, results) == ((), ["empty"])


async def test_no_more_and_no_longer_documents_than_declared_and_each_once(endpoint):
    same = {"text": "a" * 50}
    async with endpoint((200, {}, [same, same, {"text": "b"}, {"text": "c"}])).running() as server:
        records, _ = await found(server, top_k=3, document_chars_max=10)
    assert [record.text for record in records] == ["a" * 10, "b"]


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ((500, {}, FOUND), "status"),
        ((302, {"location": "http://127.0.0.1:1/"}, FOUND), "status"),
        ((200, {}, "no json"), "unreadable"),
        ((200, {}, {"hits": []}), "unreadable"),
        ((200, {}, [{"content": "x"}]), "unreadable"),
        ((200, {}, [["x"]]), "unreadable"),
        ((200, {}, [{"text": "x" * 70_000}]), "oversized"),
        ("hang_up", "connection"),
    ],
)
async def test_an_answer_that_is_no_good_gives_no_facts_and_is_counted_by_its_reason(endpoint, line, result):
    async with endpoint(line).running() as server:
        assert await found(server) == ((), [result])


async def test_a_silent_retriever_is_waited_for_no_longer_than_declared(endpoint):
    async with endpoint("silent").running() as server:
        assert await found(server, timeout_seconds=0.05) == ((), ["timeout"])


async def test_without_time_or_leave_nothing_is_sent(endpoint):
    async with endpoint().running() as server:
        assert await found(server, seconds=-1) == ((), ["no_time"])
        assert await found(server, allowed=False) == ((), ["host"])
        assert await found(server, headers={"authorization": "Bearer secret:NONE"}) == ((), ["secret"])
    assert server.requests == []


async def test_a_secret_is_sent_and_stands_in_no_record(endpoint, tmp_path):
    (tmp_path / "KEY").write_text("s3cret-value")
    async with endpoint((200, {}, FOUND)).running() as server:
        records, _ = await found(server, directory=tmp_path, headers={"authorization": "Bearer secret:KEY"})
    assert server.requests[0][2]["authorization"] == "Bearer s3cret-value"
    assert "s3cret" not in "".join(record.model_dump_json() for record in records)
