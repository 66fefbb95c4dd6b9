"""
Apache Kafka on this machine without Docker: official artifacts by Maven, KRaft nodes on loopback.

`LocalKafka` is all that callers need; `free_port_base` finds ports for one that lives as long as a test.
"""

from shared.broker.local.artifacts import DEFAULT_VERSION
from shared.broker.local.cluster import LocalKafka, NodeStatus
from shared.broker.local.ports import free_port_base

__all__ = ["DEFAULT_VERSION", "LocalKafka", "NodeStatus", "free_port_base"]
