"""The tool world: what its tools do, and what it counts."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest

from services.operator.adapters.samples import toolworld_playbook
from services.operator.toolworld.desks import CHANGING, READING
from services.operator.toolworld.server import Manners, ToolWorld

ANNA = {"full_name": "anna berg", "account_number": "482913", "date_of_birth": "1984-05-17"}


@asynccontextmanager
async def running(**manners):
    world = ToolWorld(Manners(**manners))
    await world.start()
    async with httpx.AsyncClient(base_url=world.url) as client:
        try:
            yield client
        finally:
            await world.stop()


async def call(client, name, key="", **given):
    headers = {"idempotency-key": key, "x-holdfast-call-id": key} if key else {}
    return await client.post(f"/tools/{name}", json=given, headers=headers)


async def effects(client):
    return (await client.get("/effects")).json()


def test_the_sample_playbook_uses_only_tools_that_are_served_and_says_which_change_something():
    tools = toolworld_playbook("http://127.0.0.1:1").tools
    assert {tool.id for tool in tools if not tool.consequential} <= READING.keys()
    assert {tool.id for tool in tools if tool.consequential} <= CHANGING.keys()
    assert {tool.http.url for tool in tools} == {f"http://127.0.0.1:1/tools/{tool.id}" for tool in tools}


async def test_a_balance_is_told_to_whoever_knows_the_owner():
    async with running() as client:
        found = await call(client, "bank_balance", **ANNA)
        assert found.json()["holdfast"]["data"] == "The balance of account 482913 at Harbour Bank is 1250.40 euros."
        assert (await call(client, "bank_balance", **ANNA | {"date_of_birth": "1984-05-18"})).status_code == 404
        assert (await effects(client))["deliveries"] == 0


async def test_a_key_stands_for_one_effect_and_one_answer():
    async with running(latency_seconds=0.01) as client:
        calls = [call(client, "ride_book", "k-1", departure="A", arrival="B") for _ in range(5)]
        answers = {(await answer).text for answer in asyncio.as_completed(calls)}
        await call(client, "ride_book", "k-2", departure="A", arrival="B")
        counts = await effects(client)
    assert len(answers) == 1
    assert (counts["deliveries"], counts["executions"], counts["doubled"]) == (6, 2, 0)
    assert counts["by_key"] == {"k-1": 1, "k-2": 1}


async def test_a_server_that_knows_no_keys_does_it_each_time_and_tells():
    async with running(honours_keys=False) as client:
        for _ in range(2):
            await call(client, "register_order", "k-1", order="123456")
        counts = await effects(client)
    assert (counts["executions"], counts["doubled"], counts["by_key"]) == (2, 1, {"k-1": 2})


async def test_what_is_turned_away_is_not_done():
    async with running(failure_rate=1.0) as client:
        assert (await call(client, "register_order", "k-1", order="1")).status_code == 503
        assert (await effects(client))["executions"] == 0


async def test_a_lost_answer_is_of_something_that_was_done():
    async with running(lost_answer_rate=1.0) as client:
        with pytest.raises(httpx.HTTPError):
            await call(client, "register_order", "k-1", order="1")
        assert (await effects(client))["executions"] == 1


async def test_what_is_refused_has_no_effect():
    async with running() as client:
        assert (await call(client, "bank_fraud_report", "k-1", **ANNA | {"account_number": "1"})).status_code == 404
        assert (await call(client, "register_order", order="1")).status_code == 400
        assert (await call(client, "unheard_of", "k-2")).status_code == 404
        assert (await client.post("/tools/ride_search", content=b"[")).status_code == 400
        assert (await effects(client))["by_key"] == {}


async def test_rides_are_offered_the_cheapest_first():
    async with running() as client:
        offers = (await call(client, "ride_search", "k")).json()["holdfast"]["data"]
        assert [offer.split(" ")[0] for offer in offers] == ["Shuttle", "Taxi", "Taxi"]
        assert (await call(client, "ride_search", "k", provider="Boat")).status_code == 404
