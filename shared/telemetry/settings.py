"""
Settings of what a process tells about itself (section `telemetry`), read from `HOLDFAST_TELEMETRY_*`.
"""

from typing import Literal

from pydantic import Field

from shared.settings import Section

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]


class TelemetrySettings(Section):
    """Where metrics and probes are served, and how logs are written."""

    host: str = Field("127.0.0.1", description="the address that /metrics, /healthz and /readyz listen on")
    port: int = Field(0, ge=0, le=65_535, description="their port; 0 takes a free one, which the start-up log names")
    liveness_limit_seconds: float = Field(
        60.0, gt=0, description="/healthz turns red when the event loop has made no progress for longer"
    )
    log_level: LogLevel = Field("info", description="`debug` may write message texts to the log; nothing above it does")
    log_format: LogFormat = Field("auto", description="`auto` is `console` on a terminal, else `json`")
