"""
An exception as a log line tells it: where it came from, and what it says only where that quotes nobody.

What an exception says may be a customer's text (`UnicodeEncodeError` holds the whole string, a library's `ValueError`
the input that it refuses), so at info and above its type and its frames stand alone.
"""

import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Final

from shared.errors import HoldfastError

CHAIN_MAX: Final = 5
"""Exceptions of a chain of causes that are told, the last one first among them."""
GROUP_MAX: Final = 3
"""Of an exception group, so many are told."""
FIRST_FRAMES, LAST_FRAMES = 10, 20
"""Of a longer stack (a recursion, say) the rest is counted."""

_QUOTE_NOBODY: Final = (HoldfastError, OSError)


def told(error: BaseException, *, texts_allowed: bool) -> list[str]:
    """
    *error* with what caused it, the first cause first, each with its frames and its type; with what it says where
    *texts_allowed*, or where its class quotes nothing.
    """
    chain = list(_chain(error))
    return [_one(link, texts_allowed) for link in reversed(chain)]


def said(error: BaseException) -> str:
    """What *error* says, however its class was written."""
    try:
        return str(error)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a foreign call: any class may be an exception's
        return "(its text cannot be told)"


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(CHAIN_MAX):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _one(error: BaseException, texts_allowed: bool) -> str:
    named = f"{type(error).__module__}.{type(error).__qualname__}"
    if texts_allowed or isinstance(error, _QUOTE_NOBODY):
        named = f"{named}: {said(error)}"
    lines = [*_frames(error), named]
    if isinstance(error, BaseExceptionGroup):
        members = error.exceptions[:GROUP_MAX]
        lines += [f"one of {len(error.exceptions)}:\n{_one(member, texts_allowed)}" for member in members]
    return "\n".join(lines)


def _frames(error: BaseException) -> list[str]:
    walked = list(traceback.walk_tb(error.__traceback__))
    left_out = len(walked) - FIRST_FRAMES - LAST_FRAMES
    if left_out <= 0:
        return _formatted(walked)
    between = f"  ({left_out} frames)"
    return [*_formatted(walked[:FIRST_FRAMES]), between, *_formatted(walked[-LAST_FRAMES:])]


def _formatted(walked: list[tuple[FrameType, int]]) -> list[str]:
    # Locals of a frame hold message texts: they are never extracted.
    return [line.rstrip() for line in traceback.StackSummary.extract(iter(walked)).format()]
