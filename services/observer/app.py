"""
The composition root of the observer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from services.observer.adapters.changelogs import prepare
from services.observer.adapters.counting import Counting
from services.observer.adapters.faust_app import Observing, changelogs_of, create
from services.observer.adapters.views import Views
from services.observer.adapters.web import Web
from services.observer.metrics import ObserverMetrics
from services.observer.settings import ObserverSettings
from shared.errors import Fatal, Retryable
from shared.stage.metrics import UnexpectedMetrics
from shared.stage.process import Process
from shared.stage.unexpected import Unexpected
from shared.telemetry.health import Health

PREPARE_PAUSE_SECONDS = 2.0
RESTORE_POLL_SECONDS = 0.2
STOP_SECONDS_MAX = 20.0

log = structlog.get_logger(__name__)


class Observer:
    """Prepares the changelogs, then runs the Faust app and serves its views until told to stop."""

    def __init__(
        self, settings: ObserverSettings, metrics: ObserverMetrics, unexpected: Unexpected, health: Health
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._unexpected = unexpected
        self._health = health

    async def run(self, stop: asyncio.Event) -> None:
        """
        Work until *stop* is set, then commit and leave.

        Raises:
            Fatal: the topics do not exist, the views' address is taken, or Faust gave up; what was not committed is
                read again by the next start.

        """
        partitions = await self._prepared(stop)
        if partitions is None:
            return
        own = self._settings.observer
        observing = create(self._settings, partitions)
        Counting(self._settings, observing, self._metrics, self._unexpected)
        views = Views(observing, self._metrics, arms_max=own.arms_max)
        web = Web(views, own.web_host, own.web_port)
        await web.start()
        try:
            await self._observe(observing, views, stop)
        finally:
            self._health.ready = False
            await web.stop()

    async def _prepared(self, stop: asyncio.Event) -> int | None:
        """The number of partitions, once the broker has told it; None if *stop* came first."""
        while not stop.is_set():
            try:
                return await prepare(self._settings.kafka, changelogs_of(self._settings))
            except Retryable as error:
                log.warning("the broker is waited for", error=str(error))
            try:
                await asyncio.wait_for(stop.wait(), PREPARE_PAUSE_SECONDS)
            except TimeoutError:
                continue
        return None

    async def _observe(self, observing: Observing, views: Views, stop: asyncio.Event) -> None:
        app = observing.app
        starting = asyncio.create_task(app.start())
        refreshing = asyncio.create_task(self._refresh(observing, views))
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(app.wait_until_stopped()), refreshing]
        try:
            await starting
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if refreshing.done():
                refreshing.result()
            if app.crashed:
                raise Fatal(f"Faust gave up: {app.crash_reason!r}; restart the process, which reads on where it was")
        finally:
            for task in ends:
                task.cancel()
            await _stop(observing)

    async def _refresh(self, observing: Observing, views: Views) -> None:
        while True:
            await observing.mend()
            # What cannot be summed leaves the former sums standing.
            with self._unexpected.spared("refresh"):
                views.refresh()
            self._health.ready = views.restored
            await asyncio.sleep(self._settings.observer.refresh_seconds if views.restored else RESTORE_POLL_SECONDS)


async def _stop(observing: Observing) -> None:
    """Let Faust commit and leave its group."""
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await observing.app.stop()
    except TimeoutError:
        log.warning("Faust did not stop in time; what was not committed is read again", seconds=STOP_SECONDS_MAX)


@asynccontextmanager
async def build(settings: ObserverSettings, process: Process) -> AsyncIterator[Observer]:
    """The observer of a process."""
    unexpected = Unexpected(process.service, UnexpectedMetrics(process.registry, process.service))
    yield Observer(settings, ObserverMetrics(process.registry), unexpected, process.health)
