"""The embedded broker: its parts put together on a running asyncio loop."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.broker.embedded.api_admin import NODE_ID, AdminApi
from shared.broker.embedded.api_data import DataApi
from shared.broker.embedded.api_groups import GroupApi
from shared.broker.embedded.api_transactions import TransactionApi
from shared.broker.embedded.coordinator import Groups
from shared.broker.embedded.faults import Act, Delay, Drop, Effect, Faults, Refuse, group_of
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.refusals import refusal
from shared.broker.embedded.registry import Topics
from shared.broker.embedded.server import Call, Connection
from shared.broker.embedded.transactions import Transactions
from shared.broker.embedded.wire import Api
from shared.errors import Fatal

logger = logging.getLogger(__name__)

EXPIRY_INTERVAL_SECONDS = 0.25
"""How often open transactions are checked against their timeout."""
DEFAULT_PARTITIONS = 8
CLOSE_SECONDS = 5.0
"""How long `stop` waits for connections to close."""


class EmbeddedBroker:
    """
    A Kafka broker in memory: one node, no disk, the Kafka protocol on a TCP port of *host* (0: any free port).

    Groups (classic protocol, static members), transactions with fencing and isolation, idempotent producers,
    compaction, time look-up; what it speaks is in `wire.RANGES`, what it refuses to keep in `Limits`. It has no
    authentication, no encryption and no replicas: for development, demonstration and tests.

    Use it as an async context manager, or with `start` and `stop`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        partitions: int = DEFAULT_PARTITIONS,
        auto_create_topics: bool = False,
        faults: Faults | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self._host = host
        self._port = port
        self._limits = limits or Limits()
        self._topics = Topics(partitions=partitions, auto_create=auto_create_topics, limits=self._limits)
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def bootstrap_servers(self) -> str:
        """host:port to connect to, once started."""
        if self._server is None:
            raise RuntimeError("the broker is not started: its port is not known yet")
        return f"{self._host}:{self._port}"

    @property
    def size_bytes(self) -> int:
        """Bytes of all records kept in memory."""
        return self._topics.size_bytes

    async def start(self) -> None:
        """
        Listen.

        Raises:
            Fatal: the port is taken.

        """
        loop = asyncio.get_running_loop()
        self._groups = Groups(
            limits=self._limits, scheduler=loop, knows=self._topics.knows, new_suffix=lambda: str(uuid.uuid4())
        )
        self._transactions = Transactions(
            limits=self._limits,
            partition=self._topics.partition,
            commit_offsets=self._groups.commit_transaction,
            now=loop.time,
            wall_ms=lambda: time.time_ns() // 1_000_000,
        )
        self._handlers = self._routes(loop)
        try:
            self._server = await loop.create_server(self._connection, self._host, self._port)
        except OSError as error:
            raise Fatal(
                f"the embedded broker cannot listen on {self._host}:{self._port}: {error.strerror}; "
                "choose another port, or 0 for a free one"
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]
        self._expire_transactions(loop)

    async def stop(self) -> None:
        """Close all connections and forget all records."""
        if self._server is None:
            return
        if self._expiry is not None:
            self._expiry.cancel()
        self._server.close()
        for group in self._groups:
            group.close()
        for connection in list(self._connections):
            connection.close()
        server, self._server = self._server, None
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._all_closed(server)
        except TimeoutError:
            # Somebody asked for more than he reads; what is left for him is lost.
            for connection in list(self._connections):
                connection.abort()
            await self._all_closed(server)

    async def _all_closed(self, server: asyncio.Server) -> None:
        await server.wait_closed()
        while self._connections:  # noqa: ASYNC110 - each turn of the loop closes some
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def fence(self, transactional_id: str) -> bool:
        """Make the owner of a transactional id a zombie; False if the id is unknown."""
        return self._transactions.fence(transactional_id)

    def expire_member(self, group: str, member_id: str | None = None) -> bool:
        """End a group member's session (None: of the longest-standing one); False if there is none."""
        return self._groups.expire(group, member_id)

    def rebalance(self, group: str) -> bool:
        """Make a group's members join again; False if there is no such group with members."""
        return self._groups.rebalance(group)

    def drop_connections(self) -> int:
        """Close every connection, as a restart of a broker would; how many there were."""
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        return len(connections)

    def _connection(self) -> Connection:
        return Connection(self._receive, self._connections, request_bytes_max=self._limits.request_bytes_max)

    def _address(self) -> tuple[int, str, int]:
        return NODE_ID, self._host, self._port

    def _routes(self, loop: asyncio.AbstractEventLoop) -> dict[Api, Callable[[Call], None]]:
        data = DataApi(self._topics, self._transactions, loop)
        groups = GroupApi(self._groups, self._address)
        transactions = TransactionApi(self._transactions)
        admin = AdminApi(self._topics, self._groups, self._address)
        return {
            Api.PRODUCE: data.produce,
            Api.FETCH: data.fetch,
            Api.LIST_OFFSETS: data.list_offsets,
            Api.DELETE_RECORDS: data.delete_records,
            Api.METADATA: admin.metadata,
            Api.API_VERSIONS: admin.versions,
            Api.CREATE_TOPICS: admin.create_topics,
            Api.DELETE_TOPICS: admin.delete_topics,
            Api.CREATE_PARTITIONS: admin.create_partitions,
            Api.DESCRIBE_CONFIGS: admin.describe_configs,
            Api.ALTER_CONFIGS: admin.alter_configs,
            Api.FIND_COORDINATOR: groups.find_coordinator,
            Api.JOIN_GROUP: groups.join,
            Api.SYNC_GROUP: groups.sync,
            Api.HEARTBEAT: groups.heartbeat,
            Api.LEAVE_GROUP: groups.leave,
            Api.OFFSET_COMMIT: groups.commit,
            Api.OFFSET_FETCH: groups.fetch_offsets,
            Api.DESCRIBE_GROUPS: groups.describe,
            Api.LIST_GROUPS: groups.list_groups,
            Api.DELETE_GROUPS: groups.delete,
            Api.INIT_PRODUCER_ID: transactions.initialise,
            Api.ADD_PARTITIONS_TO_TXN: transactions.add_partitions,
            Api.ADD_OFFSETS_TO_TXN: transactions.add_offsets,
            Api.TXN_OFFSET_COMMIT: transactions.commit_offsets,
            Api.END_TXN: transactions.end,
        }

    def _receive(self, call: Call) -> None:
        effects = self.faults.decide(call.request)
        delay = sum(effect.seconds for effect in effects if isinstance(effect, Delay))
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, self._handle, call, effects)
        else:
            self._handle(call, effects)

    def _handle(self, call: Call, effects: list[Effect]) -> None:
        if call.abandoned:
            return
        if Drop.BEFORE in effects:
            call.drop()
            return
        for effect in effects:
            if isinstance(effect, Act):
                self._act(effect, call)
            elif isinstance(effect, Refuse):
                fields = refusal(call.request, effect.code)
                if fields is not None:
                    call.answer(*fields)
                    return
        if Drop.AFTER in effects:
            call.drop()
        self._handlers[call.request.api](call)

    def _act(self, act: Act, call: Call) -> None:
        group = group_of(call.request)
        transactional_id = getattr(call.body, "transactional_id", None)
        if act is Act.FENCE_PRODUCER and transactional_id:
            self.fence(transactional_id)
        elif act is Act.EXPIRE_MEMBER and group:
            self.expire_member(group, getattr(call.body, "member_id", None) or None)
        elif act is Act.REBALANCE and group:
            self.rebalance(group)

    def _expire_transactions(self, loop: asyncio.AbstractEventLoop) -> None:
        for transactional_id in self._transactions.abort_expired():
            logger.warning("transaction of %s aborted: open for longer than its timeout", transactional_id)
        self._expiry = loop.call_later(EXPIRY_INTERVAL_SECONDS, self._expire_transactions, loop)
