"""
Connections of the reasoner's way out: opened only to addresses that were checked, reused only by the tenant that opened
them.

A connection remembers what was sent over it: who can leave half a request on one would have the next request read as
its rest. So a tenant's endpoint never meets another tenant's request on a connection of its own.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ConnectionKey

from services.reasoner.adapters.answers import Refused
from services.reasoner.domain.outgoing import PORTS, Destinations
from services.reasoner.settings import OutgoingSection

KEEPALIVE_SECONDS: Final = 15.0
_tenant: ContextVar[str] = ContextVar("tenant")


class _Key(NamedTuple):
    """aiohttp's key of a connection, field by field, and whose it is."""

    host: str
    port: int | None
    is_ssl: bool
    ssl: Any
    proxy: Any
    proxy_auth: Any
    proxy_headers_hash: int | None
    server_hostname: str | None
    tenant: str


class CheckedResolver(AbstractResolver):
    """
    Resolves only names that are allowed, and only to addresses that their names may stand for; of each tenant, no more
    than *tenant_max* at once: lookups share a few threads, and a name server may keep one waiting.
    """

    def __init__(self, destinations: Destinations, inner: AbstractResolver, tenant_max: int) -> None:
        self._destinations = destinations
        self._inner = inner
        self._tenant_max = tenant_max
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of *host* that are allowed; raises Refused where it has others only, or can have none."""
        if all(self._destinations.refusal(scheme, host, port) for scheme in PORTS):
            raise Refused("host", f"{host}:{port} is not allowed")
        try:
            found = await self._looked_up(host, port, family)
        except (ValueError, OverflowError):
            raise Refused("host", f"{host}:{port} is nothing that can be looked up") from None
        permitted = [entry for entry in found if self._destinations.permits(host, port, entry["host"])]
        if not permitted:
            raise Refused("address", f"{host} resolves to no address that it may stand for")
        return permitted

    async def close(self) -> None:
        """Close what it asks."""
        await self._inner.close()

    async def _looked_up(self, host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        places = self._places.setdefault(_tenant.get(), asyncio.Semaphore(self._tenant_max))
        await places.acquire()
        looking = asyncio.create_task(self._inner.resolve(host, port, family))

        def ended(task: asyncio.Task[list[ResolveResult]]) -> None:
            places.release()
            # Whoever asked may be gone; then its error is nobody's.
            _ = task.cancelled() or task.exception()

        looking.add_done_callback(ended)
        # A lookup under way cannot be called off: it keeps its thread, and so its place, to its end.
        return await asyncio.shield(looking)


@contextmanager
def of_tenant(tenant: str) -> Iterator[None]:
    """A request that is made inside uses connections of *tenant* alone."""
    token = _tenant.set(tenant)
    try:
        yield
    finally:
        _tenant.reset(token)


def session(settings: OutgoingSection, resolver: CheckedResolver) -> aiohttp.ClientSession:
    """A session whose requests are each made inside `of_tenant`."""
    connector = aiohttp.TCPConnector(
        resolver=resolver,
        limit=settings.connections_max,
        limit_per_host=settings.host_connections_max,
        keepalive_timeout=KEEPALIVE_SECONDS,
        use_dns_cache=False,
    )
    made = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        request_class=_TenantsRequest,
    )
    # By itself aiohttp sends a PUT or DELETE again when its connection breaks; whether to is the caller's affair.
    made._retry_connection = False  # noqa: SLF001 - it has no public name; a test holds the behaviour
    return made


class Places:
    """How many requests each tenant may have under way, so that none can take all connections."""

    def __init__(self, tenant_max: int) -> None:
        self._tenant_max = tenant_max
        self._of_tenants: dict[str, _Tenant] = {}

    @asynccontextmanager
    async def taken(self, tenant: str) -> AsyncIterator[None]:
        """A place of *tenant*, waited for while all are taken."""
        places = self._of_tenants.setdefault(tenant, _Tenant(asyncio.Semaphore(self._tenant_max)))
        places.users += 1
        try:
            async with places.free:
                yield
        finally:
            places.users -= 1
            if not places.users:
                del self._of_tenants[tenant]

    def tenants(self) -> tuple[str, ...]:
        """Those that have requests under way."""
        return tuple(self._of_tenants)


@dataclass(slots=True)
class _Tenant:
    free: asyncio.Semaphore
    users: int = 0
    """Those that hold a place or wait for one."""


class _TenantsRequest(aiohttp.ClientRequest):
    """A request whose connection is shared with its own tenant's requests only."""

    @property
    def connection_key(self) -> ConnectionKey:
        return cast("ConnectionKey", _Key(*super().connection_key, _tenant.get()))
