"""Connections over real sockets: whose request reads which bytes, and how many a tenant may have under way."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest

from services.reasoner.adapters.answers import NotAnswered, Refused
from services.reasoner.adapters.connections import Places
from services.reasoner.adapters.guard import Outgoing
from services.reasoner.settings import OutgoingSection


class Kept:
    """
    A server that keeps its connections open, and reads each request as its headers say: `read` has one list a
    connection, of (path, body).
    """

    def __init__(self, *, answers=True):
        self.read = []
        self._answers, self._serving = answers, set()

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            yield self
        finally:
            server.close()
            await asyncio.gather(*self._serving)

    async def _serve(self, reader, writer):
        requests = []
        self.read.append(requests)
        self._serving.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.lower().split("\r\n")
                size = next((int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")), 0)
                if not self._answers:
                    await reader.read()
                # It answers before it has read the body, as many do, and reads that on until it is whole.
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                await writer.drain()
                body = await reader.readexactly(size) if size else b""
                requests.append((head.split(" ")[1], head, body.decode()))
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


def section(server, **changes):
    return OutgoingSection(private_hosts=f"127.0.0.1:{server.port}", **changes)


async def get(outgoing, url, tenant, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await outgoing.request("GET", url, tenant=tenant, headers=named, timeout_seconds=5, bytes_max=100)


async def sent_raw(outgoing, url, tenant, **headers):
    """A request whose headers nobody looked at before they reached the transport."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = httpx.Request("GET", url, headers=named, extensions={"tenant": tenant})
    response = await outgoing.transport.handle_async_request(request)
    await response.aread()
    await response.aclose()


async def test_no_header_makes_one_tenants_endpoint_read_the_request_of_another():
    """`content-length` on a request without a body has the server take the next request for that body."""
    async with Kept().running() as server, Outgoing(section(server)) as outgoing:
        await sent_raw(outgoing, f"{server.url}/a", "mallory", content_length="60")
        await get(outgoing, f"{server.url}/b", "acme", authorization="Bearer acmes-secret")
    bodies = [body for connection in server.read for _, _, body in connection]
    assert "acmes-secret" not in "".join(bodies)
    assert [[path for path, _, _ in connection] for connection in server.read] == [["/a"], ["/b"]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-length", "60"),
        ("transfer-encoding", "chunked"),
        ("host", "other.test"),
        ("connection", "upgrade"),
        ("expect", "100-continue"),
        ("proxy-authorization", "x"),
    ],
)
async def test_what_frames_a_message_is_refused_and_where_it_slips_through_is_not_sent(name, value):
    async with Kept().running() as server, Outgoing(section(server)) as outgoing:
        with pytest.raises(Refused, match="connection itself"):
            await get(outgoing, f"{server.url}/a", "acme", **{name.replace("-", "_"): value})
        await sent_raw(outgoing, f"{server.url}/a", "acme", **{name.replace("-", "_"): value})
        await get(outgoing, f"{server.url}/b", "acme")
    [[(_, head, _), (path, _, _)]] = server.read
    assert (f"{name}: {value}" in head.lower(), path) == (False, "/b")


@pytest.mark.parametrize("value", ["a\r\nhost: other.test", "a\nb", "a\x00b", "schlüssel", "\ud83d"], ids=ascii)
async def test_a_value_that_is_not_one_line_is_refused_without_being_quoted(value):
    async with Kept().running() as server, Outgoing(section(server)) as outgoing:
        with pytest.raises(Refused) as refused:
            await get(outgoing, f"{server.url}/a", "acme", x_key=value)
    assert (refused.value.reason, value[:1] + value[1:] in str(refused.value), server.read) == ("header", False, [])


async def test_a_tenants_requests_share_a_connection_and_no_two_tenants_do():
    async with Kept().running() as server, Outgoing(section(server)) as outgoing:
        for tenant in ("acme", "globex", "acme", "globex"):
            await get(outgoing, f"{server.url}/{tenant}", tenant)
    assert [[path for path, _, _ in connection] for connection in server.read] == [["/acme"] * 2, ["/globex"] * 2]


async def test_a_tenant_has_no_more_requests_under_way_than_its_places_and_others_have_theirs():
    async with Kept(answers=False).running() as bad, Kept().running() as good:
        hosts = OutgoingSection(private_hosts=f"127.0.0.1:{bad.port},127.0.0.1:{good.port}", tenant_requests_max=2)
        async with Outgoing(hosts) as outgoing:
            stuck = [asyncio.create_task(get(outgoing, bad.url, "mallory")) for _ in range(10)]
            assert (await get(outgoing, good.url, "acme")).status == 200
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
    assert len(bad.read) <= 2


async def test_a_request_that_got_no_place_in_time_was_not_sent():
    async with Kept().running() as server, Outgoing(section(server, tenant_requests_max=1)) as outgoing:
        async with outgoing.places.taken("acme"):
            with pytest.raises(NotAnswered) as late:
                await outgoing.request("GET", server.url, tenant="acme", timeout_seconds=0.05, bytes_max=100)
        assert (late.value.reason, late.value.sent) == ("timeout", False)
        assert (await get(outgoing, server.url, "acme")).status == 200


async def test_the_places_of_a_tenant_that_is_gone_are_forgotten():
    places = Places(1)
    async with places.taken("acme"):
        waiting = asyncio.create_task(places.taken("acme").__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert places.tenants() == ()


class Slow:
    """A name server that answers for `good.test` at once, and for others when it is let go."""

    def __init__(self):
        self.asked, self.let_go = [], asyncio.Event()

    async def resolve(self, host, port=0, _family=0):
        self.asked.append(host)
        if host != "good.test":
            await self.let_go.wait()
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self):
        return


async def test_a_tenant_has_no_more_lookups_under_way_than_allowed_though_nobody_waits_for_them_any_more():
    names = Slow()
    async with Kept().running() as server:
        listed = OutgoingSection(private_hosts=f"*.test:{server.port}", tenant_lookups_max=2)
        async with Outgoing(listed, resolver=names) as outgoing:
            for number in range(4):
                with pytest.raises(NotAnswered, match="no whole answer"):
                    await outgoing.request(
                        "GET", f"http://slow{number}.test:{server.port}/", tenant="mallory", timeout_seconds=0.05,
                        bytes_max=100,
                    )  # fmt: skip
            assert (await get(outgoing, f"http://good.test:{server.port}/", "acme")).status == 200
            assert names.asked == ["slow0.test", "slow1.test", "good.test"]
            names.let_go.set()
            assert (await get(outgoing, f"http://slow5.test:{server.port}/", "mallory")).status == 200
