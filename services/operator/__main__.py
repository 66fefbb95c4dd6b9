"""
`holdfast`, or `python -m services.operator`.
"""

import signal
import sys
from logging import CRITICAL, getLogger
from types import FrameType

from services.operator import ending
from services.operator.cli import app
from shared.telemetry import logging


def main() -> None:
    """Run the command; how it ends is told in words, with the exit codes of `ending`."""
    logging.configure("holdfast", level="warning")
    # What keeps the client from the broker is told at the end, once.
    getLogger("aiokafka").setLevel(CRITICAL)
    signal.signal(signal.SIGTERM, _interrupt)
    ending.run(app, sys.argv[1:])


def _interrupt(number: int, frame: FrameType | None) -> None:
    """
    As Ctrl-C, which asyncio hears in its own way: what was started is stopped again, and not left behind. A shell lets
    what it runs in the background ignore Ctrl-C; that is none of SIGTERM's.
    """
    hear = signal.getsignal(signal.SIGINT)
    (hear if callable(hear) else signal.default_int_handler)(number, frame)


if __name__ == "__main__":
    main()
