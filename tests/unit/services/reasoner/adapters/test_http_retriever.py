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


async def test_a_secret_that_is_echoed_is_masked_also_where_a_document_is_cut_in_its_midst(endpoint, tmp_path):
    (tmp_path / "KEY").write_text("s3cret-value")
    echoing = [
        {"text": "asked with s3cret-value", "source": "?key=s3cret-value"},
        {"text": "12345678 s3cret-value"},
        {"text": "asked with s3cret%2Dvalue, in Base64 czNjcmV0LXZhbHVl"},
    ]
    async with endpoint((200, {}, echoing)).running() as server:
        records, _ = await found(
            server, directory=tmp_path, headers={"authorization": "Bearer secret:KEY"}, document_chars_max=15
        )
    assert [record.text for record in records] == ["asked with ***", "12345678 ***", "asked with s3cr"[:15]]
    assert records[0].origin == "?key=***"
    assert "s3cret-v" not in "".join(record.model_dump_json() for record in records)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 2_000 + "]" * 2_000, '{"documents": [' + "[" * 40 + "]" * 40 + "]}", '[{"text": 1e400}]', "9" * 5_000,
        '[{"text": NaN}]', '[{"text": "\\ud83d"}]', '[{"text": "a"}]\x00', '{"documents": {"text": "a"}}', "null", "",
    ],
    ids=range(10),
)  # fmt: skip
async def test_an_answer_that_no_record_could_hold_gives_nothing(endpoint, body):
    async with endpoint((200, {"content-type": "application/json"}, body)).running() as server:
        assert await found(server) == ((), ["unreadable"])


async def test_a_byte_order_mark_is_passed_over(endpoint):
    async with endpoint((200, {}, "\ufeff" + json.dumps(FOUND))).running() as server:
        records, results = await found(server)
    assert (len(records), results) == (2, ["found"])


@pytest.mark.parametrize(
    "line",
    [
        (200, {"x": "\u00fc"}, FOUND), (99, {}, FOUND), ("2\u0660\u0660", {}, FOUND), (200, {"a b": "1"}, FOUND),
        (200, {"content-encoding": "x"}, FOUND), (200, {"transfer-encoding": "chunked"}, FOUND),
        (200, {"a\x00": "1"}, FOUND),
    ],
    ids=range(7),
)  # fmt: skip
async def test_an_answer_that_is_no_proper_http_costs_its_documents_at_most(endpoint, line):
    async with endpoint(line).running() as server:
        records, results = await found(server)
    assert len(results) == 1
    assert len(records) in {0, 2}


async def test_an_address_that_is_none_gives_nothing_and_ends_nothing(odd_address, nowhere):
    registry = CollectorRegistry()
    section = OutgoingSection(private_hosts="127.0.0.1:*,*.test:*,127.1")
    async with Outgoing(section, resolver=nowhere) as outgoing:
        retrievers = HttpRetrievers(outgoing, section, ReasonerMetrics(registry), lambda: 0.0)
        retriever = Retriever.model_construct(
            id="docs", url=odd_address, method="GET", guidelines=(), headers={}, top_k=5, document_chars_max=10,
            timeout_seconds=0.5, result_bytes_max=100,
        )  # fmt: skip
        deadline = asyncio.get_running_loop().time() + 5
        assert await retrievers.find(retriever, "x\ud83d", tenant="acme", deadline=deadline) == ()
