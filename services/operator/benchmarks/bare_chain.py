"""
The yardstick: aiokafka alone, consuming from one topic and producing each record to the next, one process a hop.

It does nothing with a record, keeps no state and commits lazily, so no service of the same number of hops can be
faster. `python -m services.operator.benchmarks.bare_chain IN OUT`.
"""

import asyncio
import os
import signal
import sys

import uvloop

from shared.broker.clients import KafkaSettings, consumer, producer
from shared.settings import ProcessSettings, read_settings

BATCH_RECORDS_MAX = 2_000
FETCH_MS = 50


class Settings(ProcessSettings):
    """What this process reads from its environment, besides the topics on its command line."""

    kafka: KafkaSettings = KafkaSettings()


async def chain(settings: KafkaSettings, source: str, target: str) -> None:
    """Copy *source* to *target* until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    reading = consumer(settings, group=f"bare-{source}")
    writing = producer(settings)
    reading.subscribe([source])
    await reading.start()
    await writing.start()
    try:
        while not stopped.is_set():
            fetched = await reading.getmany(timeout_ms=FETCH_MS, max_records=BATCH_RECORDS_MAX)
            futures = [
                await writing.send(target, record.value, key=record.key, headers=list(record.headers))
                for records in fetched.values()
                for record in records
            ]
            if futures:
                await asyncio.gather(*futures)
                await reading.commit()
    finally:
        await reading.stop()
        await writing.stop()


if __name__ == "__main__":
    uvloop.run(chain(read_settings(Settings, os.environ).kafka, sys.argv[1], sys.argv[2]))
