"""
The one way in which a service's process runs.

    # services/matcher/__main__.py
    def main() -> None:
        sys.exit(run("matcher", MatcherSettings, build))

    # services/matcher/app.py: the composition root
    @asynccontextmanager
    async def build(settings: MatcherSettings, process: Process) -> AsyncIterator[Runnable]:
        async with model_client(settings.llm) as model:
            ...
            yield ConcurrentStage(..., health=process.health)

`run` reads the settings, sets up logging and the telemetry server, and runs what *build* yields until it ends or
SIGTERM (or SIGINT) comes. Liveness is the event loop's own: it stays green while the broker or the model is away. The
stage sets `health.ready` when it has joined its group.

Exit codes: 0 drained, 1 a `Fatal` or a bug (one critical line in the log), 2 wrong settings, 3 no more memory (at once,
see `shared/stage/memory_error.py`), 130 a second SIGINT.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from shared.broker.clients import KafkaSettings
from shared.errors import Fatal, HoldfastError
from shared.settings import ProcessSettings, read_settings
from shared.stage.memory_error import end, end_on_memory_error
from shared.stage.settings import StageSettings
from shared.telemetry import logging
from shared.telemetry.health import Health
from shared.telemetry.metrics import SpanMetrics
from shared.telemetry.registry import new_registry
from shared.telemetry.server import TelemetryServer
from shared.telemetry.settings import TelemetrySettings
from shared.telemetry.spans import Spans

BEAT_SECONDS = 1.0
COLLECTOR_THRESHOLDS = (50_000, 20, 50)
"""Of the three generations (`gc.set_threshold`): new containers, then collections of the generation below."""
EXIT_DRAINED, EXIT_FAILED, EXIT_SETTINGS, EXIT_INTERRUPTED = 0, 1, 2, 130

_log = structlog.get_logger(__name__)


class StageProcessSettings(ProcessSettings):
    """What every stage process reads; a service subclasses it and adds its sections."""

    kafka: KafkaSettings = KafkaSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    stage: StageSettings = StageSettings()


@dataclass(frozen=True, slots=True)
class Process:
    """
    What the process offers to its composition root. Whoever yields a stage passes `health` on: the stage sets it
    ready. `spans` is `None` where no collector is set.
    """

    service: str
    registry: CollectorRegistry
    health: Health
    spans: Spans | None = None


class Runnable(Protocol):
    """A stage, or several."""

    async def run(self, stop: asyncio.Event) -> None:
        """
        Work until *stop* is set, then drain and return.

        Raises:
            Fatal: the process cannot do its work.

        """
        ...


S = TypeVar("S", bound=StageProcessSettings)
Build = Callable[[S, Process], AbstractAsyncContextManager[Runnable]]


def run(service: str, settings_type: type[S], build: Build[S]) -> int:
    """Run *service* until it is told to stop; returns the exit code."""
    try:
        settings = read_settings(settings_type, os.environ)
    except Fatal as error:
        print(f"{service}: {error}", file=sys.stderr)  # noqa: T201  there is no logging yet
        return EXIT_SETTINGS
    telemetry = settings.telemetry
    logging.configure(service, level=telemetry.log_level, format=telemetry.log_format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(service, settings, build))
    except HoldfastError as error:
        _log.critical("the process stops", error=str(error), kind=type(error).__name__)
        return EXIT_FAILED
    except Exception:  # noqa: BLE001
        # The last line of defence: a bug outside any task's own handling still leaves its trace in the one log.
        _log.critical("the process stops on an unexpected error", exc_info=True)
        return EXIT_FAILED
    return EXIT_DRAINED


async def _serve(service: str, settings: S, build: Build[S]) -> None:
    end_on_memory_error(asyncio.get_running_loop())
    registry, health = new_registry(service), Health(limit_seconds=settings.telemetry.liveness_limit_seconds)
    with _spans(service, settings.telemetry, registry) as spans:
        await _run(settings, build, Process(service, registry, health, spans))


async def _run(settings: S, build: Build[S], process: Process) -> None:
    server = TelemetryServer(process.registry, process.health, settings.telemetry.host, settings.telemetry.port)
    stop = _stop_on_signals()
    await server.start()
    beating = asyncio.create_task(_beat(process.health))
    try:
        async with build(settings, process) as runnable:
            _spare_the_collector()
            await runnable.run(stop)
    except MemoryError:
        end()
    finally:
        process.health.ready = False
        beating.cancel()
        await server.stop()


def _spans(
    service: str, settings: TelemetrySettings, registry: CollectorRegistry
) -> AbstractContextManager[Spans | None]:
    if not settings.otlp_url:
        return nullcontext()
    try:
        # Only here: the SDK costs memory and start-up time, and is an extra that need not be installed.
        from shared.telemetry.otlp import exporting  # noqa: PLC0415
    except ImportError as error:
        raise Fatal(f"HOLDFAST_TELEMETRY_OTLP_URL needs the extra `otlp` to be installed: {error}") from error
    return exporting(service, settings, SpanMetrics(registry))


def _spare_the_collector() -> None:
    """
    Leave what was loaded out of garbage collection, and collect less often.

    Records are handled without reference cycles, so the collector finds next to nothing, yet its default paces made it
    walk every living object again and again: a sixth of the conversations service's CPU (316 against 268 µs an event).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(BEAT_SECONDS)


def _stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; a second SIGINT ends the process at once, with nothing committed."""
    stop = asyncio.Event()

    def interrupted() -> None:
        if stop.is_set():
            os._exit(EXIT_INTERRUPTED)
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    return stop
