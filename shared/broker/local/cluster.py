"""Bring a local Apache Kafka up and down, and do to its nodes what fate does."""

import asyncio
import base64
import json
import shutil
import signal
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from shared.broker.local.artifacts import DEFAULT_CACHE, DEFAULT_VERSION, jars
from shared.broker.local.config import client_port, controller_port, server_properties, tls_port, write_config
from shared.broker.local.node import Node, State
from shared.broker.local.ports import LOOPBACK, is_free
from shared.errors import Fatal

DEFAULT_DATA = Path(".holdfast/kafka")
DEFAULT_PORT_BASE = 9092
UP_SECONDS_MAX = 90.0
"""How long the nodes may take to answer; 4 s for one and 10 s for three on two idle cores."""
STOP_SECONDS_MAX = 20.0
"""
How long a clean stop may take before SIGKILL. The last of three nodes has lost its quorum and waits for it in vain, so
it always runs into this limit; its log is recovered at the next start.
"""
LAST_STOP_SECONDS_MAX = 3.0
POLL_SECONDS = 0.1
REQUEST_SECONDS_MAX = 2.0

_LAYOUT = "cluster.json"


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What one node is doing: `answers` is whether a Kafka request was answered just now."""

    node: int
    address: str
    state: State
    pid: int | None
    answers: bool


class LocalKafka:
    """
    A local Apache Kafka of one or three KRaft nodes (numbered from 1) on loopback.

    *data* holds everything of the cluster (default `.holdfast/kafka` under the working directory); *cache* the jars.
    Node n listens on `port_base + 2 (n - 1)`, its controller on the port after that. Every node takes `heap_mib` of
    heap. *overrides* are further settings of every node. With *tls* every node has a listener over TLS besides, which
    asks clients for a certificate; `certificates` tells where the node's own must lie before it starts, and one more
    port per node, after all the others, must be free.

    The methods block; call them from a thread that runs no asyncio loop (`asyncio.to_thread`).
    """

    def __init__(
        self,
        *,
        nodes: int = 1,
        version: str = DEFAULT_VERSION,
        cache: Path = DEFAULT_CACHE,
        data: Path = DEFAULT_DATA,
        port_base: int = DEFAULT_PORT_BASE,
        heap_mib: int = 512,
        overrides: Mapping[str, str] | None = None,
        tls: bool = False,
    ) -> None:
        if nodes not in {1, 3}:
            raise Fatal(f"a local Apache Kafka has 1 or 3 nodes, not {nodes}")
        self.version = version
        self._cache = cache
        self._data = data.expanduser().absolute()
        self._port_base = port_base
        self._overrides = dict(overrides or {})
        self._tls = tls
        self._nodes = [Node(n, self._data / f"node-{n}", heap_mib=heap_mib) for n in range(1, nodes + 1)]

    @classmethod
    def found(cls, data: Path = DEFAULT_DATA, *, cache: Path = DEFAULT_CACHE) -> Self | None:
        """The cluster that was laid out under *data*, so that another process may stop it; None if there is none."""
        try:
            layout = json.loads((data.expanduser() / _LAYOUT).read_text(encoding="utf-8"))
            return cls(
                nodes=layout["nodes"], version=layout["version"], cache=cache, data=data, port_base=layout["port_base"]
            )
        except (OSError, ValueError, KeyError):
            return None

    @property
    def bootstrap_servers(self) -> str:
        """host:port of every node, for clients."""
        return ",".join(self._address(node.number) for node in self._nodes)

    @property
    def tls_servers(self) -> str:
        """host:port of every node's listener over TLS."""
        count = len(self._nodes)
        return ",".join(f"{LOOPBACK}:{tls_port(self._port_base, number, nodes=count)}" for number in self.numbers)

    def certificates(self, node: int) -> Path:
        """The folder that must hold a node's `keystore.pem` (its key and certificate) and `trusted.pem`."""
        return self._node(node).folder

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of its nodes."""
        return tuple(node.number for node in self._nodes)

    def up(self) -> None:
        """
        Lay out, format and start what is not there yet; return when every node answers.

        What was stored before is kept. Nodes that run already are left alone.

        Raises:
            Fatal: Java or Maven is missing, an artifact cannot be had, a port is taken, the folder belongs to another
                layout, or a node died or did not answer; the message holds the end of its log.

        """
        library = jars(self.version, self._cache)
        cluster_id = self._lay_out()
        stopped = [node for node in self._nodes if node.state == "stopped"]
        self._check_ports(node.number for node in stopped)
        for node in stopped:
            write_config(
                node.folder,
                server_properties(
                    node.number,
                    nodes=len(self._nodes),
                    port_base=self._port_base,
                    folder=node.folder,
                    overrides=self._overrides,
                    tls=self._tls,
                ),
            )
            node.format(library, cluster_id)
        for node in stopped:
            node.launch(library)
        try:
            for node in self._nodes:
                self._wait_until_it_answers(node, members=len(self._nodes))
        except Fatal:
            self.down()
            raise

    def down(self, *, wipe: bool = False) -> None:
        """Stop every node, cleanly where it heeds SIGTERM in time; with *wipe* delete its data too."""
        for node in self._nodes:
            node.send(signal.SIGCONT)
            node.send(signal.SIGTERM)
        *others, last = self._nodes
        for node in others:
            self._stop(node, STOP_SECONDS_MAX)
        self._stop(last, STOP_SECONDS_MAX if not others else LAST_STOP_SECONDS_MAX)
        if wipe:
            shutil.rmtree(self._data, ignore_errors=True)

    def status(self) -> list[NodeStatus]:
        """What every node is doing."""
        return [
            NodeStatus(
                node.number,
                self._address(node.number),
                state := node.state,
                node.pid,
                state == "running" and node.number in self._members_seen_by(node.number),
            )
            for node in self._nodes
        ]

    def stop(self, node: int) -> None:
        """SIGTERM a node: it hands its partitions over and leaves; SIGKILL where it does not in time."""
        it = self._node(node)
        it.send(signal.SIGTERM)
        self._stop(it, STOP_SECONDS_MAX)

    def kill(self, node: int) -> None:
        """SIGKILL a node, as a crash of its machine would; nothing happens if it is stopped."""
        it = self._node(node)
        it.send(signal.SIGKILL)
        it.wait_gone(STOP_SECONDS_MAX)

    def start(self, node: int) -> None:
        """
        Start a stopped node again and wait until it answers.

        Raises:
            Fatal: its port is taken, or it did not come up.

        """
        it = self._node(node)
        if it.state == "stopped":
            self._check_ports([node])
            it.launch(jars(self.version, self._cache))
        self._wait_until_it_answers(it, members=1)

    def pause(self, node: int) -> None:
        """SIGSTOP: the node's connections stay and nothing is answered, as on a long pause of its machine."""
        self._signal_until(self._node(node), signal.SIGSTOP, "paused")

    def resume(self, node: int) -> None:
        """SIGCONT a paused node."""
        self._signal_until(self._node(node), signal.SIGCONT, "running")

    def _signal_until(self, node: Node, signum: signal.Signals, state: State) -> None:
        """The threads of a JVM stop and go on one after another, so the effect is waited for."""
        until = time.monotonic() + STOP_SECONDS_MAX
        while node.send(signum) and node.state != state and time.monotonic() < until:
            time.sleep(POLL_SECONDS)

    def _node(self, number: int) -> Node:
        if not 1 <= number <= len(self._nodes):
            raise Fatal(f"there is no node {number}: this Apache Kafka has {len(self._nodes)}")
        return self._nodes[number - 1]

    def _address(self, node: int) -> str:
        return f"{LOOPBACK}:{client_port(self._port_base, node)}"

    def _lay_out(self) -> str:
        path = self._data / _LAYOUT
        mine = {"nodes": len(self._nodes), "version": self.version, "port_base": self._port_base}
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            known = {"cluster_id": _cluster_id()}
        if known.get("nodes", mine["nodes"]) != mine["nodes"]:
            raise Fatal(
                f"{self._data} holds an Apache Kafka of {known['nodes']} nodes, not {mine['nodes']}; "
                "take it down with its data wiped first, or choose another folder"
            )
        self._data.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known | mine), encoding="utf-8")
        cluster_id: str = known["cluster_id"]
        return cluster_id

    def _check_ports(self, nodes: Iterable[int]) -> None:
        for node in nodes:
            for port in (client_port(self._port_base, node), controller_port(self._port_base, node)):
                if not is_free(port):
                    raise Fatal(
                        f"port {port} of {LOOPBACK}, which node {node} of Apache Kafka needs, is taken; "
                        "stop what listens there or choose another base port"
                    )

    def _stop(self, node: Node, seconds: float) -> None:
        if not node.wait_gone(seconds):
            node.send(signal.SIGKILL)
            node.wait_gone(STOP_SECONDS_MAX)

    def _wait_until_it_answers(self, node: Node, *, members: int) -> None:
        """An open port is not enough: a node answers when it is unfenced and sees *members* nodes, itself included."""
        until = time.monotonic() + UP_SECONDS_MAX
        while True:
            seen = self._members_seen_by(node.number)
            if node.number in seen and len(seen) >= members:
                return
            if node.state == "stopped":
                raise Fatal(f"node {node.number} of Apache Kafka died at its start; its log ends:\n{node.log_tail()}")
            if time.monotonic() > until:
                raise Fatal(
                    f"node {node.number} of Apache Kafka did not answer within {UP_SECONDS_MAX:g} s; "
                    f"its log ends:\n{node.log_tail()}"
                )
            time.sleep(POLL_SECONDS)

    def _members_seen_by(self, node: int) -> set[int]:
        try:
            return asyncio.run(_members(client_port(self._port_base, node)))
        except (KafkaError, TimeoutError, OSError):
            return set()


def _cluster_id() -> str:
    """As Kafka's own: 22 characters, the first of them no dash, which its tools would take for an option's."""
    while (drawn := base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return drawn


async def _members(port: int) -> set[int]:
    """The nodes that the one at *port* knows to be alive; a bare connection, as the clients log every failed try."""
    connection = await create_conn(LOOPBACK, port, request_timeout_ms=round(REQUEST_SECONDS_MAX * 1000))
    try:
        answer = await connection.send(MetadataRequest([]))
        return {broker[0] for broker in answer.brokers}
    finally:
        connection.close()
