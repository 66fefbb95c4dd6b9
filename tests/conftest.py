"""Fixtures that every suite may use: brokers to talk to, each test in a namespace of its own."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

# pytest's summary imports it where no test did; that late, with closed loops to collect meanwhile, CPython 3.11 raises
# "AST constructor recursion depth mismatch" and the run fails.
import hypothesis
import pytest

from shared.broker.clients import KafkaSettings
from shared.broker.embedded import EmbeddedBroker
from shared.broker.local import LocalKafka, free_port_base

# A deadline an example would time the machine, which others share, and not the code.
hypothesis.settings.register_profile("holdfast", deadline=None)
hypothesis.settings.load_profile("holdfast")


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


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One node of Apache Kafka for the whole run, on ports of its own; tests that use it carry the mark `kafka`."""
    node = LocalKafka(
        data=tmp_path_factory.mktemp("kafka"),
        port_base=free_port_base(),
        # Kafka's floor of 6 s would make every test of a lost member take so long.
        overrides={"group.min.session.timeout.ms": "500"},
    )
    node.up()
    yield node
    node.down(wipe=True)


@pytest.fixture
def kafka_settings(kafka: LocalKafka) -> KafkaSettings:
    """How to reach Apache Kafka."""
    return _own_namespace(kafka.bootstrap_servers)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker_settings(request: pytest.FixtureRequest) -> KafkaSettings:
    """How to reach a broker: the test runs on the embedded one and on Apache Kafka."""
    settings: KafkaSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings
