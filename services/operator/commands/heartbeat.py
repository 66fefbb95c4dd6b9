"""
`holdfast heartbeat`: walk the way of a message again and again, for Prometheus to watch.
"""

import typer

from services.operator.heartbeat import HeartbeatSettings, build
from shared.stage.process import run


def command() -> None:
    """
    Ask a question of its own tenant again and again, the next partition each time, and export what became of it.

    Runs until it is stopped, as a process beside the services; `HOLDFAST_TELEMETRY_PORT` is where Prometheus finds it
    and `HOLDFAST_HEARTBEAT_INTERVAL_SECONDS` how often it asks. The question goes through every stage, so it costs the
    model calls of one reply.
    """
    raise typer.Exit(run("heartbeat", HeartbeatSettings, build))
