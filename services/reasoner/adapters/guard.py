"""
The one way out of the reasoner: an httpx client that reaches the hosts which its operator allows, and nothing else.

Host and address are checked at the only places where nothing can come in between: the host as the request is sent, the
address as the name is resolved for the very connection that follows. A name that resolves to something else the next
time (DNS rebinding) is checked again the next time. No redirect is followed; environment proxies are not used.
"""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Literal, Self, cast

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from httpx_aiohttp import AiohttpTransport

from services.reasoner.adapters.answers import Answer, NotAnswered, Refused
from services.reasoner.adapters.connections import CheckedResolver, Places, of_tenant, session
from services.reasoner.domain.outgoing import PORTS, Destinations, hosts
from services.reasoner.settings import OutgoingSection
from shared.errors import Fatal, HoldfastError
from shared.playbook.headers import OF_PROXIES, OF_THE_CONNECTION, header_name, header_value

HEADERS: Final[Mapping[str, str]] = {
    "accept": "application/json, text/plain;q=0.9",
    # An unexpanded body keeps the size limit exact.
    "accept-encoding": "identity",
    "user-agent": "holdfast",
}


class GuardedTransport(httpx.AsyncBaseTransport):
    """
    Sends requests to allowed destinations over aiohttp.

    A request's extensions say whose it is (`tenant`, whose connections it uses) and how large its answer may be
    (`response_bytes_max`). *resolver* replaces the system's in tests.
    """

    def __init__(self, settings: OutgoingSection, *, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._destinations = destinations(settings)
        self._resolver = resolver
        self._inner = AiohttpTransport(client=self._session, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; raises Refused, NotAnswered."""
        self._check(request.url)
        _check_headers(request)
        bytes_max = request.extensions.get("response_bytes_max", self._settings.answer_bytes_max)
        try:
            with of_tenant(request.extensions["tenant"]):
                response = await self._inner.handle_async_request(request)
        except (HoldfastError, MemoryError):
            raise
        except (httpx.TransportError, aiohttp.ClientError, TimeoutError) as error:
            raise _not_answered(error, request.url) from error
        except Exception as error:
            # A foreign call: whatever its library trips over fails this request alone.
            raise _fault(error, request.url) from error
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
        if not _read_alike(url, host):
            raise Refused("host", f"{_where(url)}: the host can be read in two ways")
        if reason := self._destinations.refusal(url.scheme, host, port):
            raise Refused(reason, f"{_where(url)}: {_ADVICE[reason]}")
        # A literal address is connected to without being resolved.
        if _is_address(host) and not self._destinations.permits(host, port or PORTS[url.scheme], host):
            raise Refused("address", f"{_where(url)}: not a public address")

    def _session(self) -> aiohttp.ClientSession:
        inner = self._resolver or ThreadedResolver()
        resolver = CheckedResolver(self._destinations, inner, self._settings.tenant_lookups_max)
        return session(self._settings, resolver)


class Outgoing:
    """
    Requests through the guard, each within its time and size.

    An async context manager that closes its connections. *resolver* replaces the system's in tests.
    """

    def __init__(self, settings: OutgoingSection, *, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self.places = Places(settings.tenant_requests_max)
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
        tenant: str,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_seconds: float,
        bytes_max: int,
    ) -> Answer:
        """
        The answer to one request of *tenant*, whatever its status; redirects are answers too.

        Raises:
            Refused: the destination is not allowed, or no such request can be made; nothing was sent.
            NotAnswered: no whole answer within *timeout_seconds* and *bytes_max*.

        """
        try:
            built = self._client.build_request(
                method,
                _url(url, params),
                headers=declarable(headers or {}),
                content=content,
                timeout=self._phases(timeout_seconds),
                extensions={"response_bytes_max": bytes_max, "tenant": tenant},
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise Refused("request", f"no request can be made of it: {type(error).__name__}") from error
        placed = False
        try:
            async with asyncio.timeout(timeout_seconds), self.places.taken(tenant):
                placed = True
                return await self._answer(built)
        except TimeoutError as error:
            told = f"{_where(built.url)}: no whole answer in {timeout_seconds:g} s"
            raise NotAnswered("timeout", told, sent=placed) from error
        raise AssertionError("a timeout's block was left without its result")

    async def _answer(self, request: httpx.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            return Answer(response.status_code, response.headers, await _read(response))
        finally:
            await response.aclose()

    def _phases(self, timeout_seconds: float) -> httpx.Timeout:
        connect = min(self._settings.connect_timeout_seconds, timeout_seconds)
        # aiohttp counts the wait for a place in the pool and the connecting together.
        return httpx.Timeout(connect=connect, read=timeout_seconds, write=timeout_seconds, pool=timeout_seconds)


def declarable(headers: Mapping[str, str]) -> dict[str, str]:
    """
    *headers*, if a playbook may declare each of them (see `shared.playbook.headers`).

    Raises:
        Refused: it may not; the message does not quote a value, which may hold a secret.

    """
    try:
        return {header_name(name): header_value(value) for name, value in headers.items()}
    except ValueError as error:
        raise Refused("header", str(error)) from None


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
                    self._check(size)
                    yield chunk
        except (httpx.TransportError, aiohttp.ClientError, TimeoutError) as error:
            raise NotAnswered("connection", f"{_where(self._url)}: the answer broke off", sent=True) from error
        except (HoldfastError, MemoryError):
            raise
        except Exception as error:
            raise _fault(error, self._url) from error

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _check(self, size: int) -> None:
        if size > self._bytes_max:
            told = f"{_where(self._url)}: the answer exceeds {self._bytes_max} bytes"
            raise NotAnswered("oversized", told, sent=True)


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


def _fault(error: Exception, url: httpx.URL) -> NotAnswered:
    """An *error* that nobody foresaw; by then the other side may have got anything."""
    return NotAnswered("fault", f"{_where(url)}: {type(error).__name__}", sent=True)


def _check_headers(request: httpx.Request) -> None:
    """Leave to the client what frames the message; refuse what would not be one line of its own."""
    for name in [name for name in request.headers if name in OF_THE_CONNECTION or name.startswith(OF_PROXIES)]:
        del request.headers[name]
    declarable(dict(request.headers))


def _read_alike(url: httpx.URL, host: str) -> bool:
    try:
        return yarl.URL(str(url)).raw_host == host
    except ValueError:
        return False


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
