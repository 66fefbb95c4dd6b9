"""
How a command ends: with an exit code, and with an error told in words, never as a traceback.

0: done. 1: the answer is no (a playbook is refused, a promise did not hold, nothing waits), or whoever read the output
stopped reading. 2: a wrong command line, wrong settings, or something outside that is missing or does not answer.
3: a fault of Holdfast itself; the traceback is in a file that the message names. 130: Ctrl-C. 143: SIGTERM.
"""

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from rich.console import Console

from services.operator.domain.showing import marked
from shared.errors import HoldfastError, Invalid

EXIT_ERROR = 2
EXIT_FAULT = 3
REASON_CHARS_MAX = 4_000
_FORESEEN: Final = (
    (
        (KafkaConnectionError, KafkaTimeoutError),
        "no broker answers",
        "check HOLDFAST_KAFKA_BOOTSTRAP_SERVERS, and that the broker runs",
    ),
    ((TopicAuthorizationFailedError,), "the broker does not allow it to this user", "see deploy/kafka/acls.sh"),
    ((UnknownTopicOrPartitionError,), "a topic is missing", "`holdfast topics apply` creates what is missing"),
    ((KafkaError,), "the broker refused", "see its log, and docs/operations.md"),
    ((httpx.HTTPError, httpx.InvalidURL), "an endpoint could not be called", "check its address, and that it runs"),
    ((UnicodeError,), "what was read or written is not UTF-8", "save it as UTF-8, or set the terminal to it"),
)
"""Kinds of errors, the first that fits: what happened, and what to do."""


def run(command: Callable[[], object], arguments: Sequence[str]) -> None:
    """
    Run *command*, whose command line *arguments* are.

    Raises:
        SystemExit: always where it does not end well, with the exit code.

    """
    _write_anything()
    try:
        _check(arguments)
        command()
        sys.stdout.flush()
    except MemoryError:
        _tell("no memory is left; give it more, or less to do")
        sys.exit(EXIT_ERROR)
    except Exception as error:  # noqa: BLE001  (the boundary of the process: told in words, and not swallowed)
        reason = explained(error)
        _tell(reason or _kept(error))
        sys.exit(EXIT_ERROR if reason else EXIT_FAULT)


def explained(error: Exception) -> str:
    """What happened and what to do, in words; empty where nobody foresaw *error*."""
    if isinstance(error, HoldfastError):
        return str(error)
    if isinstance(error, OSError):
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror or _said(error)}"
    for kinds, what, remedy in _FORESEEN:
        if isinstance(error, kinds):
            return f"{what}: {_said(error)}; {remedy}"
    return ""


def _said(error: Exception) -> str:
    name = type(error).__name__
    return str(error) if str(error).startswith(name) else f"{name}: {error}".removesuffix(": ")


def _check(arguments: Sequence[str]) -> None:
    for number, argument in enumerate(arguments, 1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(argument).decode(errors="backslashreplace")
            raise Invalid(
                "bad_encoding",
                f"argument {number} ({shown}) is not UTF-8; set the terminal to UTF-8, or rename the file",
            ) from None


def _write_anything() -> None:
    """What a terminal's encoding does not have is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _tell(reason: str) -> None:
    with suppress(OSError):  # nobody reads the error stream either
        console = Console(stderr=True)
        console.print(f"[bold red]holdfast:[/] {marked(reason[:REASON_CHARS_MAX])}", highlight=False, soft_wrap=True)


def _kept(error: Exception) -> str:
    """What is said of an error that nobody foresaw, whose traceback is written to a file."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    told = f"a fault of Holdfast itself, in {where}: {_said(error)}"
    try:
        handle, name = tempfile.mkstemp(prefix="holdfast-", suffix=".traceback", text=True)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(traceback.format_exception(error))
    except OSError as unwritten:
        return f"{told}; its traceback could not be written: {unwritten.strerror}"
    return f"{told}; please report it, with {name}"
