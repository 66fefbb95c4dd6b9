"""
aiokafka clients with every default that matters set by hand.

aiokafka's own defaults commit in the background, read uncommitted, start at the latest offset and send without
idempotence: each of them loses or doubles records here.
"""

import ssl
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.helpers import create_ssl_context
from pydantic import Field, SecretStr, field_validator

from shared.broker.codecs import bound_decompression
from shared.broker.lost_connections import notice_lost_connections
from shared.broker.unreadable import read_past_the_unreadable
from shared.errors import Invalid
from shared.events.envelope import Address
from shared.events.topics import RECEIVED_FROM_TENANTS, tenant_topic
from shared.settings import Section

notice_lost_connections()
bound_decompression()
read_past_the_unreadable()

RECORD_BYTES_MAX = 1_048_576
"""The largest record, as brokers count it by default (`max.message.bytes`)."""

TRANSACTION_RETRY_MS = 20
"""
Between two attempts of a transactional producer. A transaction that begins while the markers of the one before are
being written is answered CONCURRENT_TRANSACTIONS; aiokafka then waits 20 ms where partitions are added, but its
`retry_backoff_ms`, by default 100, where offsets are. On one Apache Kafka node a tenth of the turns paid that.
"""


class KafkaSettings(Section):
    """How to reach the broker; the same in every process."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="brokers to begin with: `host:port`, by commas")
    namespace: str = Field(
        "", description="put before every topic, group and transactional id; apart worlds on one broker"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="whether the connection is encrypted (SSL) and authenticated (SASL)"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how user name and password are proven"
    )
    sasl_username: str = Field("", description="whom the broker's rules are about")
    sasl_password: SecretStr = Field(SecretStr(""), description="best given from a file")
    ssl_cafile: str = Field("", description="certificates to trust, PEM; empty trusts the system's")
    ssl_certfile: str = Field("", description="this client's certificate, PEM, where the broker asks for one")
    ssl_keyfile: str = Field("", description="its private key, PEM")
    tenant_topics: str = Field(
        "",
        description="tenants, by commas, whose events and decisions come on topics of their own, "
        "`tenant.NAME.conversation.events` and `.decisions`; from them alone, and from nobody else there. The same in "
        "every process",
    )
    group_instance_id: str = Field(
        "", description="static membership: a stable name of this process within its group; empty is dynamic"
    )
    session_timeout_seconds: float = Field(10.0, gt=0, description="silence after which a group member is given up")
    heartbeat_interval_seconds: float = Field(
        1.0, gt=0, description="between two signs of life; at most a third of the session timeout"
    )
    poll_interval_max_seconds: float = Field(
        300.0, gt=0, description="without a fetch for longer, a group member counts as stuck and is given up"
    )
    request_timeout_seconds: float = Field(15.0, gt=0, description="how long the broker may take to answer a request")
    metadata_age_max_seconds: float = Field(15.0, gt=0, description="how long a dead leader may be believed in")
    transaction_timeout_seconds: float = Field(
        15.0, gt=0, description="how long a dead owner's open transaction may hold readers back"
    )

    @field_validator("tenant_topics")
    @classmethod
    def _names_tenants(cls, text: str) -> str:
        for tenant in _listed(text):
            try:
                Address.from_key(f"{tenant}:any".encode())
            except Invalid:
                raise ValueError(f"{tenant!r} is no tenant: 1 to 63 of a-z 0-9 _ -") from None
        return text

    @property
    def tenants_apart(self) -> tuple[str, ...]:
        """The tenants that have topics of their own."""
        return _listed(self.tenant_topics)

    @property
    def received_topics(self) -> tuple[str, ...]:
        """Every topic that platforms and approvers publish on, without the namespace; the shared ones first."""
        return tuple(name for shared in RECEIVED_FROM_TENANTS for name in self.topics_of(shared))

    def topics_of(self, topic: str) -> tuple[str, ...]:
        """*topic*, and what tenants have of their own instead of it, without the namespace."""
        apart = self.tenants_apart if topic in RECEIVED_FROM_TENANTS else ()
        return (topic, *[tenant_topic(tenant, topic) for tenant in apart])

    def topic_for(self, tenant: str, topic: str) -> str:
        """Where the records of *topic* about *tenant* are, without the namespace."""
        apart = topic in RECEIVED_FROM_TENANTS and tenant in self.tenants_apart
        return tenant_topic(tenant, topic) if apart else topic


def consumer(settings: KafkaSettings, *, group: str | None, **overrides: Any) -> AIOKafkaConsumer:
    """
    A consumer that reads committed records from the earliest offset and never commits by itself.

    *group* is taken as it is given; the namespace is the caller's to put before it. A consumer without one reads by
    assignment.
    """
    options: dict[str, Any] = {
        "group_id": group,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "metadata_max_age_ms": _ms(settings.metadata_age_max_seconds),
        "request_timeout_ms": _ms(settings.request_timeout_seconds),
    }
    if group is not None:
        options |= {
            "group_instance_id": settings.group_instance_id or None,
            "session_timeout_ms": _ms(settings.session_timeout_seconds),
            "heartbeat_interval_ms": _ms(settings.heartbeat_interval_seconds),
            "max_poll_interval_ms": _ms(settings.poll_interval_max_seconds),
        }
    return AIOKafkaConsumer(**_connection(settings), **(options | overrides))


def producer(settings: KafkaSettings, *, transactional_id: str | None = None, **overrides: Any) -> AIOKafkaProducer:
    """
    An idempotent producer with acks=all; transactional where an id is given.
    """
    options: dict[str, Any] = {
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": 0,
        "max_batch_size": 262_144,
        "max_request_size": RECORD_BYTES_MAX,
        "metadata_max_age_ms": _ms(settings.metadata_age_max_seconds),
        "request_timeout_ms": _ms(settings.request_timeout_seconds),
    }
    if transactional_id is not None:
        options |= {
            "transactional_id": transactional_id,
            "retry_backoff_ms": TRANSACTION_RETRY_MS,
            "transaction_timeout_ms": _ms(settings.transaction_timeout_seconds),
        }
    return AIOKafkaProducer(**_connection(settings), **(options | overrides))


def admin(settings: KafkaSettings, **overrides: Any) -> AIOKafkaAdminClient:
    """A client for topics and groups."""
    options = {"request_timeout_ms": _ms(settings.request_timeout_seconds)}
    return AIOKafkaAdminClient(**_connection(settings), **(options | overrides))


def _connection(settings: KafkaSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    return options


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    context: ssl.SSLContext = create_ssl_context(
        cafile=settings.ssl_cafile or None,
        certfile=settings.ssl_certfile or None,
        keyfile=settings.ssl_keyfile or None,
    )
    return context


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
