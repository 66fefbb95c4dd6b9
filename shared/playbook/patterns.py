r"""
Regular expressions that authors write, on an engine whose time grows with the text alone (RE2), never by backtracking.

RE2 knows no look-around, no back-references and no repetition beyond 1,000; `\d`, `\w` and `\s` stand for ASCII
characters, `\p{L}` and `\p{N}` for letters and digits of every script.
"""

from functools import lru_cache
from typing import Final, Protocol, cast

import re2

PATTERN_BYTES_MAX: Final = 1_048_576
"""Of one compiled pattern, in memory: a bound on repetitions within repetitions."""
PATTERNS_KEPT_MAX: Final = 128
TEXT_CHARS_MAX: Final = 10_000
"""A longer text fits no pattern."""


class Pattern(Protocol):
    """A pattern that is ready to be compared with texts."""

    def fullmatch(self, text: str) -> object | None:
        """What of *text* fits, where the whole of it does; else None."""
        ...


def compiled(pattern: str) -> Pattern:
    """
    *pattern*, ready for use.

    Raises:
        ValueError: it is no pattern that RE2 takes, or one that grows too large; the message says why, in words for
            its author.

    """
    found, reason = _compiled(pattern)
    if found is None:
        raise ValueError(reason)
    return found


def fits(pattern: str, text: str) -> bool:
    """Whether *text* fits *pattern* as a whole; nothing fits a pattern that cannot be used."""
    found, _ = _compiled(pattern)
    if found is None or len(text) > TEXT_CHARS_MAX or not _is_unicode(text):
        return False
    return found.fullmatch(text) is not None


@lru_cache(maxsize=PATTERNS_KEPT_MAX)
def _compiled(pattern: str) -> tuple[Pattern | None, str]:
    """The compiled pattern, or why there is none, so that a bad one is not compiled anew each time."""
    if not _is_unicode(pattern):
        return None, "half a surrogate pair stands in it"
    options = re2.Options()
    options.max_mem = PATTERN_BYTES_MAX
    options.never_capture = True
    options.log_errors = False
    try:
        return cast("Pattern", re2.compile(pattern, options)), ""
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        return None, reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
