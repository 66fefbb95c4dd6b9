"""
The request headers that a playbook may declare for its tools and retrievers.

Names are tokens and values are field values of RFC 9110 (§5.1, §5.5), in ASCII. What frames a message, or speaks of the
connection and not of the request, is the client's: a header of that kind lets one request pass for two, or end up at
another host.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

HEADERS_MAX: Final = 32
NAME_CHARS_MAX: Final = 128
VALUE_CHARS_MAX: Final = 8_192
OF_THE_CONNECTION: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
OF_PROXIES: Final = "proxy-"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\t \x21-\x7e]*[\x21-\x7e])?|")


def header_name(name: str) -> str:
    """
    *name*, if a request may be given a header of that name.

    Raises:
        ValueError: it is no token, or a name that is the connection's.

    """
    lower = name.lower()
    if _TOKEN.fullmatch(name) is None or len(name) > NAME_CHARS_MAX:
        raise ValueError(f"{name[:NAME_CHARS_MAX]!r} is no name of a header: write letters, digits and `-`")
    if lower in OF_THE_CONNECTION or lower.startswith(OF_PROXIES):
        raise ValueError(f"the header `{name}` is set by the connection itself: leave it out")
    return name


def header_value(value: str) -> str:
    """
    *value*, if a header may have it.

    Raises:
        ValueError: it is longer than `VALUE_CHARS_MAX`, holds a line break, a control character or what is not ASCII,
            or begins or ends with a space. The message does not quote it: it may hold a secret.

    """
    if len(value) > VALUE_CHARS_MAX:
        raise ValueError(f"a header's value has at most {VALUE_CHARS_MAX:,} characters")
    if _VALUE.fullmatch(value) is None:
        raise ValueError("a header's value is one line of ASCII without a space at its ends: write other text encoded")
    return value


def headers_told_apart(headers: dict[str, str]) -> dict[str, str]:
    """
    *headers*, if no two of them have one name; the case of letters does not count.

    Raises:
        ValueError: two have.

    """
    seen: set[str] = set()
    for name in headers:
        if name.lower() in seen:
            raise ValueError(f"the header `{name}` is given twice: the case of letters does not count")
        seen.add(name.lower())
    return headers


HeaderName = Annotated[str, AfterValidator(header_name)]
HeaderValue = Annotated[str, AfterValidator(header_value)]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(max_length=HEADERS_MAX), AfterValidator(headers_told_apart)]


def optional_header_name(name: str) -> str:
    """*name* where it is empty, or one that `header_name` takes."""
    return header_name(name) if name else name


OptionalHeaderName = Annotated[str, AfterValidator(optional_header_name)]
