"""
The configuration of a KRaft node, combined broker and controller, on loopback.

Production-like where it changes what clients meet (replication, minimum in-sync replicas, no topics by mention, clean
leader election), small where it only costs memory and time here.
"""

from collections.abc import Mapping
from pathlib import Path

from shared.broker.local.ports import LOOPBACK, PORTS_PER_NODE

INTERNAL_PARTITIONS = 8
"""
Partitions of the offsets and of the transaction log: Kafka's 50 each cost seconds at every fail-over, for nothing
here.
"""

_LOG4J = """\
status = warn
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {folder}/server.log
appender.file.filePattern = {folder}/server.%i.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %m (%c{{1}})%n%ex
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 16MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


def client_port(port_base: int, node: int) -> int:
    """Where clients, and other brokers, reach node 1, 2 or 3."""
    return port_base + PORTS_PER_NODE * (node - 1)


def controller_port(port_base: int, node: int) -> int:
    """Where the controllers of the quorum reach each other."""
    return client_port(port_base, node) + 1


def tls_port(port_base: int, node: int, *, nodes: int) -> int:
    """Where clients reach the node over TLS, if it has certificates; these ports come after all the others."""
    return client_port(port_base, nodes + 1) + node - 1


def tls_properties(folder: Path) -> dict[str, str]:
    """
    A listener that asks clients for a certificate; the node's own is `keystore.pem` in its folder (key and chain), and
    whom it trusts `trusted.pem`.
    """
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "keystore.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "trusted.pem"),
        "ssl.client.auth": "required",
    }


def server_properties(
    node: int, *, nodes: int, port_base: int, folder: Path, overrides: Mapping[str, str], tls: bool = False
) -> dict[str, str]:
    """The settings of one node of *nodes*, with a listener over TLS besides where *tls*; *overrides* come last."""
    replicas = min(3, nodes)
    in_sync = max(1, replicas - 1)
    voters = ",".join(f"{other}@{LOOPBACK}:{controller_port(port_base, other)}" for other in range(1, nodes + 1))
    client = f"PLAINTEXT://{LOOPBACK}:{client_port(port_base, node)}"
    if tls:
        client += f",SSL://{LOOPBACK}:{tls_port(port_base, node, nodes=nodes)}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": voters,
        "listeners": f"{client},CONTROLLER://{LOOPBACK}:{controller_port(port_base, node)}",
        "advertised.listeners": client,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        # As in production: what is acknowledged survives the loss of one node of three.
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(replicas),
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        "offsets.topic.num.partitions": str(INTERNAL_PARTITIONS),
        "transaction.state.log.num.partitions": str(INTERNAL_PARTITIONS),
        "auto.create.topics.enable": "false",
        # A member that joins an empty group waits this long for others; Kafka's 3 s are felt at every start.
        "group.initial.rebalance.delay.ms": "100",
        # A killed broker leads its partitions until its session ends: 9 s by default. On one machine a heartbeat that
        # is 4 s late means death; eight may be missed.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        # A paused or slow follower holds acks=all back for this long at most; 30 s by default.
        "replica.lag.time.max.ms": "10000",
        # Memory: the cleaner alone takes 128 MB by default.
        "log.cleaner.dedupe.buffer.size": str(16 * 1_048_576),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.replica.fetchers": "1",
        # Disk: enough to look back at a day of tests.
        "log.retention.hours": "24",
        "log.segment.bytes": str(64 * 1_048_576),
        "log.retention.bytes": str(1024 * 1_048_576),
        **(tls_properties(folder) if tls else {}),
        **overrides,
    }


def write_config(folder: Path, properties: Mapping[str, str]) -> None:
    """Write server.properties and log4j2.properties into a node's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{name}={value}\n" for name, value in properties.items())
    (folder / "server.properties").write_text(lines, encoding="utf-8")
    (folder / "log4j2.properties").write_text(_LOG4J.format(folder=folder), encoding="utf-8")
