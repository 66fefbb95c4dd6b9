"""
Stops the local Apache Kafka of a stack when told to: `python -m services.operator.kafka_guard FOLDER`.

Its nodes are built to outlive whoever brought them up; bound to the operator (`bound`), this one sees to it that those
of a stack do not outlive an operator that was killed.
"""

import asyncio
import signal
import sys
from pathlib import Path

from shared.broker.local import LocalKafka


def main() -> None:
    """Wait for SIGTERM, then stop the nodes that run under the folder which the command line names."""
    asyncio.run(_told_to_stop())
    nodes = LocalKafka.found(Path(sys.argv[1]))
    if nodes is not None:
        nodes.down()


async def _told_to_stop() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await told.wait()


if __name__ == "__main__":
    main()
