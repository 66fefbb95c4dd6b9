"""
A whole Holdfast on this machine: broker, model and every service as processes of their own.
"""

import asyncio
import fcntl
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import httpx

from services.operator.adapters.certificates import Certificates
from services.operator.adapters.fleet import Fleet, Member
from services.operator.adapters.playbooks import publish_playbook
from shared.broker.clients import KafkaSettings
from shared.broker.local import LocalKafka, free_port_base
from shared.broker.topics import TopicsSettings, create_topics
from shared.errors import Fatal
from shared.playbook.model import Playbook

STAGES = ("conversations", "matcher", "reasoner", "verifier")
POLL_SECONDS = 0.1
CHECK_SECONDS = 1.0


class Broker(StrEnum):
    """Where a stack's topics live: the embedded broker, a local Apache Kafka, or the one that the settings name."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"
    KAFKA3 = "kafka3"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class StackPlan:
    """
    What to bring up.

    `model_url` empty starts the rehearsal model with `rehearsal` as its flags. `environ` is given to every service.
    `stages` may name `observer` too, which no other needs and whose start takes seconds. `broker_settings` overrides
    a local Apache Kafka's configuration. `environ_of` tells what one service alone is given besides, by its name; it is
    asked with the folder, in which it may put files, as soon as the broker runs. With `tls` a local Apache Kafka's
    services come over TLS, each with a certificate (services/operator/adapters/certificates.py).
    """

    folder: Path
    tenant: str
    playbook: Playbook
    broker: Broker = Broker.EMBEDDED
    stages: tuple[str, ...] = STAGES
    broker_settings: Mapping[str, str] = field(default_factory=dict)
    partitions: int = 8
    replicas: int = 1
    model_url: str = ""
    rehearsal: Mapping[str, float] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    environ_of: Callable[[Path, str], Mapping[str, str]] = lambda _folder, _name: {}
    tls: bool = False
    ready_seconds_max: float = 45.0


@dataclass(slots=True)
class Stack:
    """What runs: how to reach the broker, and the processes."""

    kafka: KafkaSettings
    services: Fleet
    aids: Fleet
    nodes: LocalKafka | None = None
    certificates: Certificates | None = None
    model_url: str = ""

    def check(self) -> None:
        """
        Raise what a fallen process said last.

        Raises:
            Fatal: a process of the stack has ended by itself.

        """
        for member in (*self.aids.fallen(), *self.services.fallen()):
            raise Fatal(f"{member.name} ended; the end of {member.log}:\n{member.log_tail()}")

    async def guard(self, work: Coroutine[None, None, None]) -> None:
        """
        Await *work*, but no longer than the processes live: a dead service answers no turn.

        Raises:
            Fatal: a process of the stack has ended by itself.

        """
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=CHECK_SECONDS)
                self.check()
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def running(plan: StackPlan, kafka: KafkaSettings) -> AsyncIterator[Stack]:
    """
    Bring everything up, in order, and take it down again whatever happens.

    Raises:
        Fatal: something did not come up; the message holds the end of its log.

    """
    async with AsyncExitStack() as stack:
        stack.enter_context(_alone_in(plan.folder))
        shutil.rmtree(plan.folder, ignore_errors=True)
        aids = Fleet(plan.folder, {})
        stack.push_async_callback(aids.stop)
        settings, nodes, certificates = await _broker(plan, kafka, aids, stack)
        await create_topics(settings, TopicsSettings(partitions=plan.partitions))
        await publish_playbook(settings, plan.tenant, plan.playbook)
        model_url = plan.model_url or await _rehearsal(plan, aids)
        environ = _environ(settings, plan, model_url)
        if nodes is not None and certificates is not None:
            environ |= certificates.environ(nodes.tls_servers)
        services = Fleet(plan.folder, environ)
        stack.push_async_callback(services.stop)
        built = Stack(settings, services, aids, nodes, certificates, model_url)
        for number in range(1, plan.replicas + 1):
            for stage in plan.stages:
                name = f"{stage}-{number}"
                # A name that outlives the process spares the group a rebalance when the process is started again.
                own = {"HOLDFAST_KAFKA_GROUP_INSTANCE_ID": name, **plan.environ_of(plan.folder, name)}
                await services.start(name, f"services.{stage}", **own)
        await _ready(built, plan.ready_seconds_max)
        yield built


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """A stack deletes what an earlier one left in its folder; two at once would delete each other's."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Fatal(f"another run uses {folder}; wait for it, or set HOLDFAST_OPERATOR_FOLDER") from None
        yield


async def _broker(
    plan: StackPlan, kafka: KafkaSettings, aids: Fleet, stack: AsyncExitStack
) -> tuple[KafkaSettings, LocalKafka | None, Certificates | None]:
    if plan.broker is Broker.OUTSIDE:
        return kafka, None, None
    if plan.broker is Broker.EMBEDDED:
        port = free_port_base()
        broker = await aids.start("broker", "shared.broker.embedded", "--port", str(port))
        await listening(broker, port, plan.ready_seconds_max)
        return kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{port}"}), None, None
    count = 3 if plan.broker is Broker.KAFKA3 else 1
    nodes = LocalKafka(
        nodes=count,
        data=plan.folder / "kafka",
        port_base=free_port_base(2 * count),
        overrides=plan.broker_settings,
        tls=plan.tls,
    )
    certificates = Certificates(plan.folder / "certificates") if plan.tls else None
    if certificates is not None:
        await asyncio.to_thread(certificates.issue, nodes)
    await aids.start("kafka-guard", "services.operator.kafka_guard", str(plan.folder / "kafka"))
    stack.push_async_callback(asyncio.to_thread, nodes.down)
    await asyncio.to_thread(nodes.up)
    return kafka.model_copy(update={"bootstrap_servers": nodes.bootstrap_servers}), nodes, certificates


async def _rehearsal(plan: StackPlan, aids: Fleet) -> str:
    port = free_port_base()
    flags = [part for name, value in plan.rehearsal.items() for part in (f"--{name.replace('_', '-')}", f"{value:g}")]
    model = await aids.start("model", "shared.llm.rehearsal", "--port", str(port), *flags)
    await listening(model, port, plan.ready_seconds_max)
    return f"http://127.0.0.1:{port}/v1"


def _environ(settings: KafkaSettings, plan: StackPlan, model_url: str) -> dict[str, str]:
    return {
        "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "HOLDFAST_KAFKA_NAMESPACE": settings.namespace,
        "HOLDFAST_LLM_URL": model_url,
        **plan.environ,
    }


async def listening(member: Member, port: int, seconds_max: float) -> None:
    """
    Wait until *member* takes connections on *port* of loopback.

    Raises:
        Fatal: it did not within *seconds_max*, or ended; the message holds the end of its log.

    """
    until = time.monotonic() + seconds_max
    while time.monotonic() < until and member.alive:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(POLL_SECONDS)
        else:
            writer.close()
            return
    raise Fatal(f"{member.name} did not come up; the end of {member.log}:\n{member.log_tail()}")


async def _ready(stack: Stack, seconds_max: float) -> None:
    until = time.monotonic() + seconds_max
    async with httpx.AsyncClient(timeout=2.0) as client:
        for member in stack.services.members.values():
            while not await ready(client, member):
                stack.check()
                if time.monotonic() > until:
                    raise Fatal(f"{member.name} is not ready after {seconds_max:g} s; its log:\n{member.log_tail()}")
                await asyncio.sleep(POLL_SECONDS)


async def ready(client: httpx.AsyncClient, member: Member) -> bool:
    """Whether a service says that it is ready for work."""
    try:
        response = await client.get(f"http://127.0.0.1:{member.environ['HOLDFAST_TELEMETRY_PORT']}/readyz")
    except httpx.HTTPError:
        return False
    return response.is_success
