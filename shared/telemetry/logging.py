"""
Logs: JSON lines in production, coloured lines on a terminal, libraries' records in the same form.

One canonical line for each record handled; nothing else above debug in normal operation. No text that a customer, an
agent or a model wrote gets into a line at info or above, not even by way of an exception, and no secret into any.
"""

import json
import logging
import sys
import warnings
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from pydantic_core import PydanticSerializationError, to_json
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from shared.telemetry.redaction import redact
from shared.telemetry.repeats import RepeatLimit
from shared.telemetry.settings import LogFormat, LogLevel
from shared.telemetry.tracebacks import told

LIBRARIES: Final = (
    "aiokafka",
    "aiohttp",
    "asyncio",
    "faust",
    "httpcore",
    "httpx",
    "httpx2",
    "mcp",
    "mode",
    "py.warnings",
)
"""Loggers that speak from warning on (from info on at level debug: their own debug output prints whole records)."""


def configure(
    service: str,
    *,
    level: LogLevel = "info",
    format: LogFormat = "auto",  # noqa: A002 - named as the setting is
    stream: TextIO | None = None,
) -> None:
    """
    Set logging up for this process, structlog's and the standard library's alike; to be called once, by `__main__`.

    *service* stands in every line. *stream* is standard error unless given: standard output belongs to commands. `auto`
    is `console` where *stream* is a terminal. Calling it again replaces what the former call set up.
    """
    out = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and out.isatty())
    numeric = logging.getLevelNamesMapping()[level.upper()]
    common = _common(service)
    rendering = _console(out) if console else _json()
    structlog.configure(
        processors=[*common, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=_LoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _take_over_standard_logging(numeric, _LibraryHandler(out, common, rendering))
    sys.excepthook = _log_uncaught


def canonical(
    logger: FilteringBoundLogger,
    *,
    topic: str,
    partition: int,
    offset: int,
    outcome: str,
    duration_seconds: float,
    event_id: str = "",
    tenant: str = "",
    conversation: str = "",
    turn: str = "",
    trace: str = "",
    **more: str | float | bool,
) -> None:
    """
    Write the one line that tells of a record handled.

    *outcome* is a bounded word; *trace* is the record's `traceparent`. Empty values are left out. *more* are measures
    and bounded words, never texts.
    """
    named = {
        "event_id": event_id,
        "tenant": tenant,
        "conversation": conversation,
        "turn": turn,
        "traceparent": trace,
    }
    logger.info(
        "record handled",
        topic=topic,
        partition=partition,
        offset=offset,
        outcome=outcome,
        duration_seconds=round(duration_seconds, 6),
        **{name: value for name, value in named.items() if value},
        **more,
    )


def _common(service: str) -> list[Processor]:
    def place(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        record = event.get("_record")
        event["logger"] = record.name if record else getattr(logger, "name", "")
        event["service"] = service
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        place,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]


def _json() -> list[Processor]:
    return [
        structlog.processors.StackInfoRenderer(),
        _exception,
        redact,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _console(out: TextIO) -> list[Processor]:
    return [
        structlog.processors.StackInfoRenderer(),
        # Rendered before the redaction, which sees only what is text by then.
        _exception,
        _as_one_text,
        redact,
        structlog.dev.ConsoleRenderer(
            colors=out.isatty(), timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if error and not isinstance(error, BaseException):
        error = sys.exception()
    if error:
        event["exception"] = told(error, texts_allowed=event.get("level") == "debug")
    return event


def _as_one_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if "exception" in event:
        event["exception"] = "\n\n".join(event["exception"])
    return event


def _to_json(event: EventDict, **_: Any) -> str:
    try:
        return to_json(event, fallback=repr, inf_nan_mode="strings").decode()
    except PydanticSerializationError:
        # Lone surrogates, of which only json makes escapes; a line is never lost for its content.
        return json.dumps(event, default=repr)


class _Logger(structlog.WriteLogger):
    def __init__(self, out: TextIO, name: str) -> None:
        super().__init__(out)
        self.name = name


class _LoggerFactory:
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, *args: Any) -> _Logger:
        return _Logger(self._out, str(args[0]) if args else "")


class _LibraryHandler(logging.StreamHandler[TextIO]):
    """Writes the standard library's records through structlog's processors, each repeated message only so often."""

    def __init__(self, out: TextIO, common: list[Processor], rendering: list[Processor]) -> None:
        super().__init__(out)
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=common,
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            )
        )
        self.addFilter(RepeatLimit())


def _take_over_standard_logging(level: int, handler: _LibraryHandler) -> None:
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _LibraryHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    quiet = logging.INFO if level <= logging.DEBUG else max(level, logging.WARNING)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(quiet)
    if not sys.warnoptions:
        # Whoever set Python's warnings by hand (tests turn them into errors) keeps them.
        warnings.simplefilter("default")
    logging.captureWarnings(capture=True)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger(__name__).critical("uncaught exception: the process stops", exc_info=(kind, error, trace))
