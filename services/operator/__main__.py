"""
`holdfast`, or `python -m services.operator`.
"""

import signal
import sys

from rich.console import Console
from rich.markup import escape

from services.operator.cli import app
from shared.errors import HoldfastError
from shared.telemetry import logging

EXIT_ERROR = 2


def main() -> None:
    """Run the command; an error that Holdfast foresaw is told in a line, not as a traceback."""
    logging.configure("holdfast", level="warning")
    # As Ctrl-C, which asyncio hears in its own way: what was started is stopped again, and not left behind.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app()
    except HoldfastError as error:
        Console(stderr=True).print(f"[bold red]holdfast:[/] {escape(str(error))}", highlight=False)
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
