"""
The rehearsal model as a process: `python -m shared.llm.rehearsal --port 8081 --base-latency-seconds 2`.

Flags come before `HOLDFAST_REHEARSAL_*`. Writes its address to standard output once it listens; ends on SIGTERM or
SIGINT.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

from shared.errors import Fatal
from shared.llm.rehearsal.server import LOOPBACK, RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.settings import ProcessSettings, read_settings
from shared.telemetry import logging
from shared.telemetry.settings import TelemetrySettings

PORT = 8_081
SERVICE = "rehearsal"


class Settings(ProcessSettings):
    """What this process reads from its environment."""

    rehearsal: RehearsalSettings = RehearsalSettings()
    telemetry: TelemetrySettings = TelemetrySettings()


def read_arguments(arguments: Sequence[str], settings: RehearsalSettings) -> tuple[str, int, RehearsalSettings]:
    """
    The host, the port, and *settings* with what *arguments* override.

    Raises:
        SystemExit: an argument is unknown (argparse prints the usage). Fatal: a value is out of range.

    """
    parser = argparse.ArgumentParser(prog="python -m shared.llm.rehearsal", description="A stand-in model.")
    parser.add_argument("--host", default=LOOPBACK, help=f"the address to listen on (default {LOOPBACK})")
    parser.add_argument("--port", type=int, default=PORT, help=f"0 takes a free one (default {PORT})")
    for name, field in RehearsalSettings.model_fields.items():
        number = int if field.annotation is int else float
        parser.add_argument(f"--{name.replace('_', '-')}", type=number, help=f"default {field.default}")
    given = vars(parser.parse_args(arguments))
    host, port = given.pop("host"), given.pop("port")
    try:
        changed = {name: value for name, value in given.items() if value is not None}
        return host, port, RehearsalSettings(**{**settings.model_dump(), **changed})
    except ValidationError as error:
        raise Fatal("; ".join(f"--{item['loc'][0]}: {item['msg']}" for item in error.errors())) from None


async def serve(host: str, port: int, settings: RehearsalSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with RehearsalServer(settings, host=host, port=port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> int:
    """Run the process; the exit code."""
    try:
        process = read_settings(Settings, os.environ)
        host, port, settings = read_arguments(sys.argv[1:], process.rehearsal)
        logging.configure(SERVICE, level=process.telemetry.log_level, format=process.telemetry.log_format)
        uvloop.run(serve(host, port, settings))
    except (Fatal, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
