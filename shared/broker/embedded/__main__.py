"""
The embedded broker as a process of its own: `python -m shared.broker.embedded --port 9092`.

It prints `listening on HOST:PORT` when clients may connect, and ends on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import logging
import signal
import sys

import uvloop

from shared.broker.embedded import EmbeddedBroker
from shared.broker.embedded.broker import DEFAULT_PARTITIONS
from shared.broker.embedded.limits import MIB, Limits
from shared.errors import Fatal


def main() -> int:
    """Run until told to stop; 1 if the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m shared.broker.embedded", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9092, help="0 is any free port (default: %(default)s)")
    parser.add_argument(
        "--partitions", type=int, default=DEFAULT_PARTITIONS, help="of a topic created without a number"
    )
    parser.add_argument("--auto-create-topics", action="store_true", help="make a topic when a client mentions it")
    parser.add_argument(
        "--retention-mib",
        type=int,
        default=Limits.retention_bytes // MIB,
        help="kept per partition (default: %(default)s)",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    broker = EmbeddedBroker(
        host=options.host,
        port=options.port,
        partitions=options.partitions,
        auto_create_topics=options.auto_create_topics,
        limits=Limits(retention_bytes=options.retention_mib * MIB),
    )
    try:
        uvloop.run(_serve(broker))
    except Fatal as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


async def _serve(broker: EmbeddedBroker) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with broker:
        sys.stdout.write(f"listening on {broker.bootstrap_servers}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
