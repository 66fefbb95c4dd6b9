"""
`holdfast`, or `python -m services.operator`.
"""

import signal
import sys
from types import FrameType

from rich.console import Console
from rich.markup import escape

from services.operator.cli import app
from shared.errors import HoldfastError
from shared.telemetry import logging

EXIT_ERROR = 2


def main() -> None:
    """Run the command; an error that Holdfast foresaw is told in a line, not as a traceback."""
    logging.configure("holdfast", level="warning")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except HoldfastError as error:
        Console(stderr=True).print(f"[bold red]holdfast:[/] {escape(str(error))}", highlight=False)
        sys.exit(EXIT_ERROR)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """
    As Ctrl-C, which asyncio hears in its own way: what was started is stopped again, and not left behind. A shell lets
    what it runs in the background ignore Ctrl-C; that is none of SIGTERM's.
    """
    hear = signal.getsignal(signal.SIGINT)
    (hear if callable(hear) else signal.default_int_handler)(number, frame)


if __name__ == "__main__":
    main()
