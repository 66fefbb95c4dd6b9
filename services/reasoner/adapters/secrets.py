"""
Secrets of tools and retrievers: a header `secret:NAME` stands for what the file NAME in the secrets' directory holds.

Read anew for each request, so that a rotated secret counts at once.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

from pydantic import JsonValue

from shared.errors import HoldfastError

PREFIX: Final = "secret:"
SECRET_BYTES_MAX: Final = 8_192
MASK: Final = "***"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# A short secret would mask half of what an error says.
_MASKED_CHARS_MIN: Final = 4


class SecretMissing(HoldfastError):
    """A header names a secret that cannot be read; the message names it, never what it holds."""


class Secrets:
    """The secrets in *directory*; with an empty one there are none."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def headers(self, declared: Mapping[str, str]) -> dict[str, str]:
        """
        *declared* headers, their names in lower case, with every `secret:NAME`, whole or after a word such as `Bearer`,
        replaced by the secret.

        Raises:
            SecretMissing: there is no such file, or it holds nothing that a header can carry.

        """
        return {name.lower(): self._filled(value) for name, value in declared.items()}

    def values(self, declared: Mapping[str, str]) -> tuple[str, ...]:
        """What the secrets that *declared* headers name hold now, those that can be read."""
        found = []
        for value in declared.values():
            if PREFIX in value:
                try:
                    found.append(self._secret(value.partition(PREFIX)[2]))
                except SecretMissing:
                    continue
        return tuple(found)

    def _filled(self, value: str) -> str:
        before, prefix, name = value.partition(PREFIX)
        return before + self._secret(name) if prefix and (not before or before.endswith(" ")) else value

    def _secret(self, name: str) -> str:
        if not self._directory or _NAME.fullmatch(name) is None:
            raise SecretMissing(f"secret {name!r}: set HOLDFAST_OUTGOING_SECRETS_DIRECTORY and put it there as a file")
        try:
            with (Path(self._directory) / name).open("rb") as file:
                secret = file.read(SECRET_BYTES_MAX + 1).decode("ascii").strip()
        except OSError as error:
            raise SecretMissing(f"secret {name!r} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SecretMissing(f"secret {name!r} is not ASCII text") from None
        if not secret or len(secret) > SECRET_BYTES_MAX or not secret.isprintable():
            raise SecretMissing(f"secret {name!r} is empty, of several lines or longer than {SECRET_BYTES_MAX} bytes")
        return secret


def masked(value: JsonValue, secrets: Sequence[str]) -> JsonValue:
    """
    *value* without *secrets* in any of its texts and names, such as a tool may echo: as they are, percent-encoded as an
    address has them, or in Base64.
    """
    return _masked(value, [form for secret in secrets if len(secret) >= _MASKED_CHARS_MIN for form in _forms(secret)])


def _forms(secret: str) -> tuple[str, ...]:
    # Padding is left out: what follows the secret in the text that was encoded changes it.
    return secret, quote(secret, safe=""), quote_plus(secret), b64encode(secret.encode()).decode().rstrip("=")


def _masked(value: JsonValue, forms: Sequence[str]) -> JsonValue:
    if isinstance(value, str):
        for form in forms:
            value = value.replace(form, MASK)
        return value
    if isinstance(value, list):
        return [_masked(held, forms) for held in value]
    if isinstance(value, dict):
        return {str(_masked(name, forms)): _masked(held, forms) for name, held in value.items()}
    return value
