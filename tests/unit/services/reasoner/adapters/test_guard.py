"""The guard over real sockets on loopback: what is reached, what is refused, how much is read."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from services.reasoner.adapters.answers import NotAnswered, Refused
from services.reasoner.adapters.guard import Outgoing
from services.reasoner.settings import OutgoingSection
from shared.errors import Fatal


class Server:
    """Answers each connection's request by *answer* (bytes, or a coroutine that gets the writer); keeps the heads."""

    def __init__(self, answer):
        self.heads = []
        self._answer = answer

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader, writer):
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if callable(self._answer):
                await self._answer(writer)
            else:
                writer.write(self._answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


class Names:
    """A name server that answers with the addresses given, one list a question."""

    def __init__(self, *answers):
        self.asked = []
        self._answers = list(answers)

    async def resolve(self, host, port=0, _family=socket.AF_UNSPEC):
        self.asked.append(host)
        addresses = self._answers.pop(0)
        return [
            {"hostname": host, "host": a, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
            for a in addresses
        ]

    async def close(self):
        return


def response(body=b"{}", status="200 OK", *headers):
    head = "".join(f"{line}\r\n" for line in (*headers, f"content-length: {len(body)}", "connection: close"))
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def settings(server, **changes):
    return OutgoingSection(private_hosts=f"127.0.0.1:{server.port},tools.test:{server.port}", **changes)


async def get(outgoing, url, **changes):
    return await outgoing.request("GET", url, **{"tenant": "acme", "timeout_seconds": 5, "bytes_max": 1_000} | changes)


async def test_an_allowed_host_is_reached_at_the_address_that_was_checked(monkeypatch):
    names = Names(["127.0.0.1"])
    async with Server(response(b'{"a":1}')).running() as server, Outgoing(settings(server), resolver=names) as out:
        answer = await get(out, f"http://tools.test:{server.port}/x", params={"q": "a b&c"})
    assert (answer.status, answer.content) == (200, b'{"a":1}')
    assert names.asked == ["tools.test"]
    assert f"host: tools.test:{server.port}" in server.heads[0].lower()
    assert server.heads[0].startswith("GET /x?q=a%20b%26c ") or server.heads[0].startswith("GET /x?q=a+b%26c ")
    assert "accept-encoding: identity" in server.heads[0].lower()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://other.test/", "host"),
        ("https://tools.test/", "host"),
        ("http://169.254.169.254/latest/meta-data", "host"),
        ("http://2130706433/", "host"),
        ("ftp://tools.test/", "scheme"),
        ("http://user:word@tools.test:{port}/", "credentials"),
        ("http://tools.test:{port}@other.test/", "credentials"),
        ("https://public.test/", "address"),
        ("http:///x", "host"),
    ],
)
async def test_a_destination_that_is_not_allowed_gets_no_connection(url, reason):
    async with Server(response()).running() as server:
        allowed = settings(server, allowed_hosts="public.test,*.public.test")
        async with Outgoing(allowed, resolver=Names(["10.0.0.1"])) as out:
            with pytest.raises(Refused) as refused:
                await get(out, url.format(port=server.port))
    assert refused.value.reason == reason
    assert server.heads == []


async def test_a_literal_private_address_needs_to_be_listed_as_private():
    async with Outgoing(OutgoingSection(allowed_hosts="127.0.0.1:1")) as out:
        with pytest.raises(Refused) as refused:
            await get(out, "https://127.0.0.1:1/")
    assert refused.value.reason == "address"


async def test_a_name_that_is_bound_anew_is_checked_anew():
    """DNS rebinding: the first answer is public, the second leads inside; the connection follows neither unchecked."""
    names = Names(["169.254.169.254", "fe80::1"], ["10.0.0.1"], ["127.0.0.1"])
    async with Outgoing(OutgoingSection(allowed_hosts="public.test"), resolver=names) as out:
        for _ in range(3):
            with pytest.raises(Refused, match="resolves to no address"):
                await get(out, "https://public.test/")


async def test_a_redirect_is_an_answer_and_is_not_followed():
    moved = response(b"", "302 Found", "location: http://169.254.169.254/")
    async with Server(moved).running() as server, Outgoing(settings(server)) as out:
        answer = await get(out, f"http://127.0.0.1:{server.port}/")
    assert answer.status == 302
    assert len(server.heads) == 1


async def test_an_answer_is_read_to_its_limit_and_no_further():
    async def endless(writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 1_024 + b"\r\n")
            await writer.drain()

    async with Server(endless).running() as server, Outgoing(settings(server)) as out:
        with pytest.raises(NotAnswered) as failed:
            await get(out, f"http://127.0.0.1:{server.port}/", bytes_max=4_096)
    assert (failed.value.reason, failed.value.sent) == ("oversized", True)


async def test_an_answer_of_exactly_the_limit_is_read():
    async with Server(response(b"x" * 1_000)).running() as server, Outgoing(settings(server)) as out:
        assert len((await get(out, f"http://127.0.0.1:{server.port}/")).content) == 1_000


async def test_an_encoded_answer_is_refused():
    packed = response(b"\x1f\x8b", "200 OK", "content-encoding: gzip")
    async with Server(packed).running() as server, Outgoing(settings(server)) as out:
        with pytest.raises(NotAnswered) as failed:
            await get(out, f"http://127.0.0.1:{server.port}/")
    assert failed.value.reason == "encoded"


async def test_silence_ends_in_time_and_counts_as_sent():
    async def silent(writer):
        await writer.drain()
        await asyncio.Event().wait()

    async with Server(silent).running() as server, Outgoing(settings(server)) as out:
        with pytest.raises(NotAnswered) as failed:
            await get(out, f"http://127.0.0.1:{server.port}/", timeout_seconds=0.05)
    assert (failed.value.reason, failed.value.sent) == ("timeout", True)


async def test_a_connection_that_never_stood_sent_nothing():
    async with Server(response()).running() as server:
        reached = settings(server)
        port = server.port
    async with Outgoing(reached) as out:
        with pytest.raises(NotAnswered) as failed:
            await get(out, f"http://127.0.0.1:{port}/")
    assert (failed.value.reason, failed.value.sent) == ("connection", False)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_broken_connection_counts_as_sent_and_is_not_tried_again_behind_the_callers_back(method):
    async def hang_up(writer):
        writer.close()

    async with Server(hang_up).running() as server, Outgoing(settings(server)) as out:
        with pytest.raises(NotAnswered) as failed:
            await out.request(
                method, f"http://127.0.0.1:{server.port}/", tenant="acme", timeout_seconds=5, bytes_max=10
            )
    assert (failed.value.reason, failed.value.sent) == ("connection", True)
    assert len(server.heads) == 1


async def test_an_answer_that_breaks_off_is_no_answer():
    torn = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"
    async with Server(torn).running() as server, Outgoing(settings(server)) as out:
        with pytest.raises(NotAnswered) as failed:
            await get(out, f"http://127.0.0.1:{server.port}/")
    assert (failed.value.reason, failed.value.sent) == ("connection", True)


async def test_one_host_gets_no_more_connections_than_allowed_at_once():
    open_now, most, release = 0, 0, asyncio.Event()

    async def counted(writer):
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if open_now == 2:
            release.set()
        await release.wait()
        open_now -= 1
        writer.write(response())
        await writer.drain()

    async with Server(counted).running() as server, Outgoing(settings(server, host_connections_max=2)) as out:
        await asyncio.gather(*(get(out, f"http://127.0.0.1:{server.port}/") for _ in range(6)))
    assert most == 2
    assert len(server.heads) == 6


async def test_errors_name_the_host_and_nothing_of_the_query():
    async with Server(b"").running() as server, Outgoing(settings(server)) as out:
        with pytest.raises(NotAnswered) as failed:
            await get(out, f"http://127.0.0.1:{server.port}/accounts/4711?pin=1234")
    assert "4711" not in str(failed.value)
    assert "1234" not in str(failed.value)


async def test_a_cookie_of_one_answer_does_not_travel_to_the_next_request():
    setting = response(b"{}", "200 OK", "set-cookie: session=a")
    async with Server(setting).running() as server, Outgoing(settings(server)) as out:
        for _ in range(2):
            await get(out, f"http://127.0.0.1:{server.port}/")
    assert "cookie:" not in server.heads[1].lower()


async def test_a_list_that_names_no_host_stops_the_process():
    with pytest.raises(Fatal, match="HOLDFAST_OUTGOING_ALLOWED_HOSTS"):
        Outgoing(OutgoingSection(allowed_hosts="https://api.example.com"))
