"""
The one way out of the reasoner: an httpx client that reaches the hosts which its operator allows, and nothing else.

Host and address are checked at the only places where nothing can come in between: the host as the request is sent, the
address as the name is resolved for the very connection that follows. A name that resolves to something else the next
time (DNS rebinding) is checked again the next time. No redirect is followed; environment proxies are not used.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Literal, Self, cast

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from httpx_aiohttp import AiohttpTransport

from services.reasoner.domain.outgoing import PORTS, Destinations, hosts
from services.reasoner.settings import OutgoingSection
from shared.errors import Fatal, HoldfastError

KEEPALIVE_SECONDS = 15.0
HEADERS: Final[Mapping[str, str]] = {
    "accept": "application/json, text/plain;q=0.9",
    # An unexpanded body keeps the size limit exact.
    "accept-encoding": "identity",
    "user-agent": "holdfast",
}


class Refused(HoldfastError):
    """
    A request that was not made: its destination is not allowed.

    `reason` is one of scheme, host, not_encrypted, address, credentials.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotAnswered(HoldfastError):
    """
    A request that got no whole answer.

    `reason` is one of timeout, connection, oversized, encoded; `sent` says whether the other side may have acted on it.
    """

    def __init__(self, reason: str, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: httpx.Headers
    content: bytes


class CheckedResolver(AbstractResolver):
    """Resolves only names that are allowed, and only to addresses that their names may stand for."""

    def __init__(self, destinations: Destinations, inner: AbstractResolver) -> None:
        self._destinations = destinations
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of *host* that are allowed; raises Refused where it has others only."""
        if all(self._destinations.refusal(scheme, host, port) for scheme in PORTS):
            raise Refused("host", f"{host}:{port} is not allowed")
        found = await self._inner.resolve(host, port, family)
        permitted = [entry for entry in found if self._destinations.permits(host, port, entry["host"])]
        if not permitted:
            raise Refused("address", f"{host} resolves to no address that it may stand for")
        return permitted

    async def close(self) -> None:
        """Close what it asks."""
        await self._inner.close()


class GuardedTransport(httpx.AsyncBaseTransport):
    """
    Sends requests to allowed destinations over aiohttp.

    *resolver* replaces the system's in tests. A request's `extensions["response_bytes_max"]` bounds its answer.
    """

    def __init__(self, settings: OutgoingSection, *, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._destinations = destinations(settings)
        self._resolver = resolver
        self._inner = AiohttpTransport(client=self._session, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; raises Refused, NotAnswered."""
        self._check(request.url)
        bytes_max = request.extensions.get("response_bytes_max", self._settings.answer_bytes_max)
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx.TransportError, aiohttp.ClientError, TimeoutError) as error:
            raise _not_answered(error, request.url) from error
        response.stream = _Bounded(cast("httpx.AsyncByteStream", response.stream), bytes_max, request.url)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise NotAnswered("encoded", f"{_where(request.url)}: answers in an encoding not asked for", sent=True)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()

    def _check(self, url: httpx.URL) -> None:
        host, port = url.raw_host.decode("ascii").lower(), url.port
        if url.userinfo:
            raise Refused("credentials", f"{_where(url)}: give credentials in a header, as `secret:NAME`")
        # The connection is made by what yarl reads in the address; both must read the same.
        if yarl.URL(str(url)).raw_host != host:
            raise Refused("host", f"{_where(url)}: the host can be read in two ways")
        if reason := self._destinations.refusal(url.scheme, host, port):
            raise Refused(reason, f"{_where(url)}: {_ADVICE[reason]}")
        # A literal address is connected to without being resolved.
        if _is_address(host) and not self._destinations.permits(host, port or PORTS[url.scheme], host):
            raise Refused("address", f"{_where(url)}: not a public address")

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(self._destinations, self._resolver or ThreadedResolver()),
            limit=self._settings.connections_max,
            limit_per_host=self._settings.host_connections_max,
            keepalive_timeout=KEEPALIVE_SECONDS,
            use_dns_cache=False,
        )
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        # By itself aiohttp sends a PUT or DELETE again when its connection breaks; whether to is the caller's affair.
        session._retry_connection = False  # noqa: SLF001 - it has no public name; a test holds the behaviour
        return session


class Outgoing:
    """
    Requests through the guard, each within its time and size.

    An async context manager that closes its connections. *resolver* replaces the system's in tests.
    """

    def __init__(self, settings: OutgoingSection, *, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self.transport = GuardedTransport(settings, resolver=resolver)
        self._client = httpx.AsyncClient(
            transport=self.transport,
            headers=HEADERS,
            # No cookie of an answer may travel to another tenant's request.
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def request(
        self,
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        url: str | httpx.URL,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_seconds: float,
        bytes_max: int,
    ) -> Answer:
        """
        The answer to one request, whatever its status; redirects are answers too.

        Raises:
            Refused: the destination is not allowed; nothing was sent.
            NotAnswered: no whole answer within *timeout_seconds* and *bytes_max*.

        """
        try:
            built = self._client.build_request(
                method,
                _url(url, params),
                headers=headers,
                content=content,
                timeout=self._phases(timeout_seconds),
                extensions={"response_bytes_max": bytes_max},
            )
        except httpx.InvalidURL as error:
            raise Refused("host", f"{error}: not an address") from error
        async with within(timeout_seconds, built.url):
            response = await self._client.send(built, stream=True)
            try:
                return Answer(response.status_code, response.headers, await _read(response))
            finally:
                await response.aclose()

    def _phases(self, timeout_seconds: float) -> httpx.Timeout:
        connect = min(self._settings.connect_timeout_seconds, timeout_seconds)
        # aiohttp counts the wait for a place in the pool and the connecting together.
        return httpx.Timeout(connect=connect, read=timeout_seconds, write=timeout_seconds, pool=timeout_seconds)


@asynccontextmanager
async def within(timeout_seconds: float, url: httpx.URL) -> AsyncIterator[None]:
    """What runs inside has *timeout_seconds* in all; raises NotAnswered when they are over."""
    try:
        async with asyncio.timeout(timeout_seconds):
            yield
    except TimeoutError as error:
        raise NotAnswered("timeout", f"{_where(url)}: no whole answer in {timeout_seconds:g} s", sent=True) from error


def destinations(settings: OutgoingSection) -> Destinations:
    """
    The destinations that *settings* allow.

    Raises:
        Fatal: a list names something that is no host.

    """
    try:
        return Destinations(hosts(settings.allowed_hosts), hosts(settings.private_hosts))
    except ValueError as error:
        raise Fatal(f"HOLDFAST_OUTGOING_ALLOWED_HOSTS, HOLDFAST_OUTGOING_PRIVATE_HOSTS: {error}") from None


class _Bounded(httpx.AsyncByteStream):
    """A body that may not exceed *bytes_max*."""

    def __init__(self, inner: httpx.AsyncByteStream, bytes_max: int, url: httpx.URL) -> None:
        self._inner = inner
        self._bytes_max = bytes_max
        self._url = url

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async with aclosing(cast("AsyncGenerator[bytes, None]", aiter(self._inner))) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self._bytes_max:
                        told = f"{_where(self._url)}: the answer exceeds {self._bytes_max} bytes"
                        raise NotAnswered("oversized", told, sent=True)
                    yield chunk
        except (httpx.TransportError, aiohttp.ClientError, TimeoutError) as error:
            raise NotAnswered("connection", f"{_where(self._url)}: the answer broke off", sent=True) from error

    async def aclose(self) -> None:
        await self._inner.aclose()


_ADVICE: Final[Mapping[str, str]] = {
    "scheme": "only http and https are spoken",
    "host": "not allowed; list it in HOLDFAST_OUTGOING_ALLOWED_HOSTS",
    "not_encrypted": "http is for hosts in HOLDFAST_OUTGOING_PRIVATE_HOSTS; use https",
}


def _not_answered(error: Exception, url: httpx.URL) -> NotAnswered:
    """
    *error* as ours. httpx-aiohttp takes every broken connection for one that was never made, so aiohttp's own error
    decides.
    """
    cause = error.__cause__ or error
    sent = not isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    reason = "timeout" if isinstance(cause, TimeoutError) else "connection"
    return NotAnswered(reason, f"{_where(url)}: {type(cause).__name__}", sent=sent)


def _where(url: httpx.URL) -> str:
    """The address without what may be secret or a customer's: user, path and query."""
    return f"{url.scheme}://{url.raw_host.decode('ascii')}{f':{url.port}' if url.port else ''}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _url(url: str | httpx.URL, params: Mapping[str, str] | None) -> httpx.URL:
    whole = httpx.URL(url)
    return whole.copy_merge_params(dict(params)) if params else whole


async def _read(response: httpx.Response) -> bytes:
    return b"".join([chunk async for chunk in response.aiter_raw()])
