"""
The records of the compacted `playbooks` topic.

An agent has two kinds of record, and not one under a single key: compaction keeps the last record of a key only, so
with one key a stage that restarts could no longer serve a turn that was opened with an older version.

* content, key `{tenant}:{agent}:{version}`: canonical JSON, gzipped, because 10,000 guidelines exceed the largest
  record;
* head, key `{tenant}:{agent}`: which version is in force, and which older ones are kept, newest first.

All records of an agent go to one partition, content before head, so a reader never meets a head before its content.
"""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import Invalid
from shared.playbook.version import VERSION_CHARS

VersionName = Annotated[str, Field(max_length=64)]
KEY_BYTES_SHOWN_MAX = 200
KEPT_MAX = 1_000
"""Of the versions that a head may name."""
HEAD_BYTES_MAX = 65_536
CONTENT_BYTES_MAX = 16 * 1_048_576
"""Of a playbook's canonical JSON; a record that unpacks to more is refused unread."""
_GZIP = 16 + zlib.MAX_WBITS
_KEY = re.compile(rf"([a-z0-9][a-z0-9_-]{{0,62}}):([a-z0-9][a-z0-9_-]{{0,63}})(?::([0-9a-f]{{{VERSION_CHARS}}}))?")


@dataclass(frozen=True, slots=True)
class PlaybookKey:
    """Whose record it is; `version` is empty in the key of a head."""

    tenant: str
    agent: str
    version: str = ""

    def encode(self) -> bytes:
        """The Kafka key."""
        return ":".join(filter(None, (self.tenant, self.agent, self.version))).encode()

    @property
    def head(self) -> "PlaybookKey":
        """The key of the agent's head."""
        return PlaybookKey(self.tenant, self.agent)


class Head(BaseModel):
    """
    Which version is in force; `kept` are the versions that turns may still name, newest first, `version` among them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: VersionName
    kept: tuple[VersionName, ...] = Field(min_length=1, max_length=KEPT_MAX)


def decode_key(key: bytes | None) -> PlaybookKey:
    """
    What *key* names.

    Raises:
        Invalid: (`bad_key`) it is neither a head's nor a content's key.

    """
    match = _KEY.fullmatch((key or b"").decode(errors="replace"))
    if match is None:
        shown = repr((key or b"")[:KEY_BYTES_SHOWN_MAX])
        raise Invalid(
            "bad_key", f"the key is {shown}; it must be {{tenant}}:{{agent}} or {{tenant}}:{{agent}}:{{version}}"
        )
    return PlaybookKey(match[1], match[2], match[3] or "")


def check_address(tenant: str, agent: str) -> None:
    """
    Refuse names that no key can hold.

    Raises:
        Invalid: (`bad_key`) *tenant* or *agent* is no such name.

    """
    decode_key(PlaybookKey(tenant, agent).encode())


def pack(content: bytes) -> bytes:
    """*content* gzipped; the same bytes every time, as no clock goes in."""
    packer = zlib.compressobj(wbits=_GZIP)
    return packer.compress(content) + packer.flush()


def unpack(value: bytes) -> bytes:
    """
    The inverse of `pack`.

    Raises:
        Invalid: (`bad_encoding`) *value* is not gzip, or unpacks to more than `CONTENT_BYTES_MAX`.

    """
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        content = unpacker.decompress(value, CONTENT_BYTES_MAX)
    except zlib.error as error:
        raise Invalid("bad_encoding", f"the content is not gzip: {error}") from None
    if not unpacker.eof:
        raise Invalid("bad_encoding", f"the content is cut short, or unpacks to more than {CONTENT_BYTES_MAX:,} bytes")
    return content


def decode_head(value: bytes) -> Head:
    """
    The head that *value* holds.

    Raises:
        Invalid: (`bad_head`) it holds none.

    """
    if len(value) > HEAD_BYTES_MAX:
        raise Invalid("bad_head", f"the head has {len(value):,} bytes; at most {HEAD_BYTES_MAX:,} are read")
    try:
        return Head.model_validate_json(value)
    except ValidationError as error:
        raise Invalid("bad_head", f"the head is unreadable: {error.errors(include_input=False)[0]['msg']}") from None


def succession(version: str, kept: Iterable[str], keep: int) -> tuple[Head, tuple[str, ...]]:
    """The head after *version* was published over those *kept* so far, and the versions that this retires."""
    versions = (version, *(old for old in dict.fromkeys(kept) if old != version))
    return Head(version=version, kept=versions[:keep]), versions[keep:]
