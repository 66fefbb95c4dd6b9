"""Fixtures that every suite may use: brokers to talk to, each test in a namespace of its own."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from shared.broker.clients import KafkaSettings
from shared.broker.embedded import EmbeddedBroker


def _own_namespace(bootstrap_servers: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=bootstrap_servers, namespace=f"{uuid4().hex[:8]}.")


@pytest.fixture
async def embedded_broker() -> AsyncIterator[EmbeddedBroker]:
    """An embedded broker on the test's own loop."""
    async with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def embedded_settings(embedded_broker: EmbeddedBroker) -> KafkaSettings:
    """How to reach the embedded broker."""
    return _own_namespace(embedded_broker.bootstrap_servers)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker_settings(request: pytest.FixtureRequest) -> Iterator[KafkaSettings]:
    """How to reach a broker: the test runs on the embedded one and on Apache Kafka."""
    return request.getfixturevalue(f"{request.param}_settings")
