"""
The envelope of every record: CloudEvents 1.0 attributes around a typed body.

Source: CloudEvents 1.0.2, its Kafka protocol binding, and the correlation extension.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1
from typing import Generic, TypeVar
from uuid import UUID

from shared.errors import Invalid

T = TypeVar("T")

NAMESPACE = UUID("6f9b5a5e-0d8f-5e0a-9a57-2d8a3d0a7c11")
"""The uuid5 namespace of every identifier that Holdfast derives."""
_NAMESPACE_BYTES = NAMESPACE.bytes

CONVERSATION_CHARS_MAX = 128
KEY_BYTES_SHOWN_MAX = 200
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_CONVERSATION = re.compile(r"[^\x00-\x20\x7f]+")


@dataclass(frozen=True, slots=True)
class Address:
    """
    Which conversation of which tenant; also the Kafka key, `{tenant}:{conversation}`.

    A tenant is 1-63 of `a-z 0-9 _ -`; a conversation is 1-128 printable characters without spaces.
    """

    tenant: str
    conversation: str

    @property
    def key(self) -> bytes:
        """The Kafka key."""
        return f"{self.tenant}:{self.conversation}".encode()

    @classmethod
    def from_key(cls, key: bytes | None) -> "Address":
        """
        The address that *key* names.

        Raises:
            Invalid: (`bad_key`) *key* is no `{tenant}:{conversation}`.

        """
        try:
            tenant, _, conversation = (key or b"").decode().partition(":")
        except UnicodeDecodeError:
            tenant = conversation = ""
        if not _TENANT.fullmatch(tenant) or not _CONVERSATION.fullmatch(conversation):
            raise Invalid("bad_key", f"the record's key is {_shown(key)}; it must be {{tenant}}:{{conversation}}")
        if len(conversation) > CONVERSATION_CHARS_MAX:
            raise Invalid("bad_key", f"the conversation's name is longer than {CONVERSATION_CHARS_MAX} characters")
        return cls(tenant, conversation)


@dataclass(frozen=True, slots=True)
class Envelope(Generic[T]):
    """
    One event.

    `id` with `source` identifies it for ever; `correlation_id` names the turn, `causation_id` the event that caused
    this one. `traceparent` is W3C trace context and changes at every hop.
    """

    id: str
    source: str
    type: str
    time: datetime
    subject: str
    data: T
    correlation_id: str = ""
    causation_id: str = ""
    expires: datetime | None = None
    traceparent: str = ""


def _shown(key: bytes | None) -> str:
    return "missing" if key is None else repr(key[:KEY_BYTES_SHOWN_MAX])


def derived_id(*parts: str | int) -> str:
    """An identifier that is the same whenever it is derived again from the same *parts*: a UUID of version 5."""
    # What uuid.uuid5 does, without its objects: a third of the time, for five identifiers a turn.
    digits = sha1(_NAMESPACE_BYTES + "\x1f".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
