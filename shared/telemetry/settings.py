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
    otlp_url: str = Field(
        "",
        description="a collector's address, as in http://collector:4318, that spans go to by OTLP/HTTP; empty: none do "
        "(needs the extra `otlp`)",
    )
    otlp_queue_max: int = Field(4_096, gt=0, description="spans that may wait for the collector; more are dropped")
    otlp_batch_max: int = Field(512, gt=0, description="spans in one request to the collector")
    otlp_wait_seconds: float = Field(1.0, gt=0, description="how long spans are gathered before they are sent")
    otlp_timeout_seconds: float = Field(
        5.0, gt=0, description="how long the collector may take, with all attempts; then the batch is lost"
    )
    log_level: LogLevel = Field("info", description="`debug` may write message texts to the log; nothing above it does")
    log_format: LogFormat = Field("auto", description="`auto` is `console` on a terminal, else `json`")
