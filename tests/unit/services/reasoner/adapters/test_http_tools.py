"""HTTP tools over real sockets: the request that a call makes, what is tried again, what its end is."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from yarl import URL

from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.http_tools import HttpTools, request_of
from services.reasoner.adapters.secrets import Secrets
from services.reasoner.settings import OutgoingSection
from shared.errors import HoldfastError
from shared.events.tools import ToolCall, ToolStatus
from shared.playbook.tools import HttpCall, Tool

OK = (200, {}, {"balance": 5})


def tool(url, *, consequential=False, **http):
    return Tool(id="tool", description="A tool", consequential=consequential, http=HttpCall(url=url, **http))


async def call(server, declared, *, arguments=None, directory="", seconds=5.0, **settings):
    section = OutgoingSection(
        private_hosts=f"127.0.0.1:{server.port}",
        retry_wait_first_seconds=0.001,
        secrets_directory=directory,
        **settings,
    )
    async with Outgoing(section) as outgoing:
        tools = HttpTools(outgoing, Secrets(directory), section)
        deadline = asyncio.get_running_loop().time() + seconds
        asked = ToolCall.model_construct(id="call-1", tool="tool", arguments=arguments or {})
        return await tools.call(declared, asked, tenant="acme", deadline=deadline)


async def test_a_call_that_reads_is_a_request_with_its_values_in_place(endpoint):
    async with endpoint(OK).running() as server:
        declared = tool(f"{server.url}/a/{{account}}/b", headers={"x-tenant": "acme"})
        came = await call(server, declared, arguments={"account": "12/34 ü", "year": 2026, "all": True})
    [(method, path, headers, body)] = server.requests
    assert (method, path, body) == ("GET", "/a/12%2F34%20%C3%BC/b?year=2026&all=true", "")
    assert (headers["x-tenant"], headers["x-holdfast-call-id"]) == ("acme", "call-1")
    assert (came.status, came.data) == (ToolStatus.DONE, {"balance": 5})


async def test_a_call_that_changes_something_carries_its_key_and_a_json_body(endpoint):
    async with endpoint((201, {}, {"id": 1})).running() as server:
        declared = tool(
            f"{server.url}/pay?v=1", consequential=True, method="POST", query=("mode",), idempotency_header="x-key"
        )
        came = await call(server, declared, arguments={"to": "Ana", "amount": 5.5, "mode": "fast", "on": None})
    [(method, path, headers, body)] = server.requests
    assert (method, path) == ("POST", "/pay?v=1&mode=fast")
    assert json.loads(body) == {"to": "Ana", "amount": 5.5, "on": None}
    assert (headers["x-key"], headers["content-type"]) == ("call-1", "application/json")
    assert came.status is ToolStatus.DONE


BUSY = [429, 500, 502, 503, 504, 408, "hang_up"]


@pytest.mark.parametrize("busy", BUSY)
@pytest.mark.parametrize(
    "declared",
    [
        {"method": "GET"},
        {"method": "PUT"},
        {"method": "DELETE"},
        {"method": "POST", "idempotency_header": "x-key"},
        {"method": "POST", "idempotency_header": "x-key", "consequential": True},
    ],
    ids=str,
)
async def test_what_may_be_repeated_is_tried_again_under_the_same_key(endpoint, busy, declared):
    async with endpoint(busy if busy == "hang_up" else (busy, {}, {}), OK).running() as server:
        came = await call(server, tool(f"{server.url}/x", **declared))
    assert came.status is ToolStatus.DONE
    assert len(server.requests) == 2
    assert len({headers.get("x-key") for _, _, headers, _ in server.requests}) == 1


@pytest.mark.parametrize("busy", BUSY)
@pytest.mark.parametrize(
    "declared",
    [
        {"method": "POST"},
        {"method": "POST", "consequential": True},
        {"method": "PUT", "consequential": True},
        {"method": "DELETE", "consequential": True},
        {"method": "GET", "consequential": True},
    ],
    ids=str,
)
async def test_what_may_not_be_repeated_is_sent_once_and_what_may_have_changed_is_unknown(endpoint, busy, declared):
    async with endpoint(busy if busy == "hang_up" else (busy, {}, {}), OK).running() as server:
        came = await call(server, tool(f"{server.url}/x", **declared))
    assert len(server.requests) == 1
    maybe_done = declared.get("consequential") and busy != 429
    assert came.status is (ToolStatus.UNKNOWN if maybe_done else ToolStatus.FAILED)
    assert came.error


async def test_tries_end_after_the_allowed_ones(endpoint):
    async with endpoint(*[(503, {}, {})] * 9).running() as server:
        came = await call(server, tool(f"{server.url}/x"), retries_max=2)
    assert len(server.requests) == 3
    assert (came.status, came.error) == (ToolStatus.FAILED, "HTTP 503 Service Unavailable")


async def test_no_try_is_begun_that_the_deadline_would_cut_off(endpoint):
    async with endpoint((503, {"retry-after": "60"}, {}), OK).running() as server:
        came = await call(server, tool(f"{server.url}/x"), retry_after_max_seconds=60)
    assert len(server.requests) == 1
    assert came.status is ToolStatus.FAILED


async def test_a_wait_that_the_tool_asks_for_is_kept_up_to_a_limit(endpoint):
    async with endpoint((429, {"retry-after": "3600"}, {}), OK).running() as server:
        came = await call(server, tool(f"{server.url}/x"), retry_after_max_seconds=0.001)
    assert came.status is ToolStatus.DONE


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 302])
async def test_a_refusal_is_final_and_its_words_stay_out_of_the_record(endpoint, status):
    async with endpoint((status, {"location": "/y"}, {"detail": "account 4711 of Ana"})).running() as server:
        came = await call(
            server, tool(f"{server.url}/x", consequential=True, method="POST", idempotency_header="x-key")
        )
    assert len(server.requests) == 1
    assert (came.status, came.data) == (ToolStatus.FAILED, None)
    assert str(status) in came.error
    assert "4711" not in came.error


@pytest.mark.parametrize(("consequential", "status"), [(False, ToolStatus.FAILED), (True, ToolStatus.UNKNOWN)])
async def test_silence_ends_with_the_tools_time(endpoint, consequential, status):
    async with endpoint("silent").running() as server:
        declared = tool(f"{server.url}/x", consequential=consequential, method="POST", timeout_seconds=0.05)
        came = await call(server, declared)
    assert came.status is status


async def test_without_time_nothing_is_sent(endpoint):
    async with endpoint(OK).running() as server:
        came = await call(server, tool(f"{server.url}/x", consequential=True, method="POST"), seconds=0)
    assert (came.status, server.requests) == (ToolStatus.FAILED, [])


@pytest.mark.parametrize(("consequential", "status"), [(False, ToolStatus.FAILED), (True, ToolStatus.UNKNOWN)])
async def test_too_large_an_answer_is_no_result(endpoint, consequential, status):
    async with endpoint((200, {}, "x" * 2_000)).running() as server:
        declared = tool(f"{server.url}/x", consequential=consequential, method="POST", result_bytes_max=1_999)
        came = await call(server, declared)
    assert (came.status, came.data) == (status, None)
    assert len(server.requests) == 1


async def test_a_change_that_is_reported_in_words_nobody_can_read_was_made_all_the_same(endpoint):
    async with endpoint((200, {"content-type": "application/json"}, "{")).running() as server:
        came = await call(server, tool(f"{server.url}/x", consequential=True, method="POST"))
    assert (came.status, came.data) == (ToolStatus.DONE, None)
    assert "JSON" in came.error


async def test_a_host_that_is_not_allowed_is_not_called(endpoint):
    async with endpoint(OK).running() as server:
        came = await call(server, tool(f"http://localhost:{server.port}/x", consequential=True, method="POST"))
    assert (came.status, server.requests) == (ToolStatus.FAILED, [])
    assert "HOLDFAST_OUTGOING_ALLOWED_HOSTS" in came.error


async def test_a_secret_travels_in_its_header_and_stands_in_no_record_and_no_log(endpoint, tmp_path):
    (tmp_path / "bank-key").write_text("s3cr3t-value")
    async with endpoint(OK, (403, {}, {"holdfast": {"data": "no"}})).running() as server:
        declared = tool(f"{server.url}/x", headers={"authorization": "Bearer secret:bank-key"})
        with capture_logs() as logs:
            came = [await call(server, declared, directory=str(tmp_path), arguments={"pin": "8765"}) for _ in range(2)]
    assert server.requests[0][2]["authorization"] == "Bearer s3cr3t-value"
    assert "s3cr3t" not in repr((came, logs))
    assert "8765" not in repr(logs)


async def test_a_secret_that_is_not_there_fails_the_call_by_its_name(endpoint, tmp_path):
    async with endpoint(OK).running() as server:
        declared = tool(f"{server.url}/x", headers={"x-key": "secret:missing"})
        came = await call(server, declared, directory=str(tmp_path))
    assert (came.status, server.requests) == (ToolStatus.FAILED, [])
    assert "'missing'" in came.error


@pytest.mark.parametrize("value", ["", ".", "..", "...", None])
async def test_a_value_that_would_lead_to_another_path_is_not_sent(endpoint, value):
    async with endpoint(OK).running() as server:
        came = await call(server, tool(f"{server.url}/a/{{account}}/b"), arguments={"account": value})
    assert (came.status, server.requests) == (ToolStatus.FAILED, [])
    assert "'account'" in came.error


@given(st.text(max_size=40).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text)))
def test_no_value_leaves_its_place_in_the_address(value):
    """Whatever it says (`../`, `@`, `?`, `#`, `%2e`), host, the path around it and the query stay as declared."""
    http = HttpCall(url="https://bank.example/a/{account}/b?v=1")
    try:
        url = URL(request_of(http, {"account": value}).url)
    except HoldfastError:
        assert value.strip(".") == ""
        return
    assert (url.host, url.query_string) == ("bank.example", "v=1")
    assert len(url.raw_parts) == 4
    assert (url.raw_parts[1], url.raw_parts[3]) == ("a", "b")
    assert url.parts[2] == value


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_at_an_address_that_is_none_nothing_was_done(odd_address, nowhere, method):
    section = OutgoingSection(private_hosts="127.0.0.1:*,*.test:*,127.1", retries_max=0)
    http = HttpCall.model_construct(
        url=odd_address, method=method, headers={}, query=(), idempotency_header="", timeout_seconds=2.0,
        result_bytes_max=100,
    )  # fmt: skip
    declared = Tool.model_construct(
        id="tool", description="x", consequential=True, http=http, mcp=None, text_speaks=False
    )
    async with Outgoing(section, resolver=nowhere) as outgoing:
        deadline = asyncio.get_running_loop().time() + 5
        asked = ToolCall(id="call-1", tool="tool", arguments={"a": "1"})
        came = await HttpTools(outgoing, Secrets(""), section).call(declared, asked, tenant="acme", deadline=deadline)
    assert (came.status, bool(came.error)) == (ToolStatus.FAILED, True)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**200], ids=range(3))
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_value_that_no_json_holds_is_not_sent(endpoint, value, method):
    async with endpoint(OK).running() as server:
        declared = tool(f"{server.url}/x", consequential=True, method=method)
        came = await call(server, declared, arguments={"amount": value})
    assert (came.status, server.requests) == (ToolStatus.FAILED, [])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_half_a_surrogate_pair_is_sent_as_a_replacement_character(endpoint, method):
    async with endpoint(OK).running() as server:
        came = await call(
            server, tool(f"{server.url}/{{a}}", method=method), arguments={"a": "x\ud83d", "b": "y\ud83d"}
        )
    assert came.status is ToolStatus.DONE
    assert server.requests[0][1].startswith("/x%EF%BF%BD")


async def test_what_is_sent_by_the_tools_own_name_wins_over_a_header_of_the_playbook(endpoint):
    async with endpoint(OK).running() as server:
        declared = tool(
            f"{server.url}/x", method="POST", consequential=True, idempotency_header="Idempotency-Key",
            headers={"X-Holdfast-Call-Id": "theirs", "idempotency-KEY": "theirs", "Content-Type": "application/x+json"},
        )  # fmt: skip
        await call(server, declared)
    headers = server.requests[0][2]
    assert (headers["x-holdfast-call-id"], headers["idempotency-key"]) == ("call-1", "call-1")
    assert headers["content-type"] == "application/x+json"


@pytest.mark.parametrize("consequential", [False, True])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", "[" * 2_000), ("application/json", '{"a": 1e400}'), ("text/json", "9" * 5_000),
        ("application/json", '{"a": "\\ud83d"}'), ("text/plain", '{"holdfast": {"metadata": {"pin": 4711}'),
    ],
    ids=range(5),
)  # fmt: skip
async def test_an_answer_that_no_record_holds_costs_its_words_and_no_more(endpoint, kind, body, consequential):
    async with endpoint((200, {"content-type": kind}, body)).running() as server:
        came = await call(server, tool(f"{server.url}/x", method="POST", consequential=consequential))
    assert (came.status, came.data) == (ToolStatus.DONE if consequential else ToolStatus.FAILED, None)
    assert came.error
