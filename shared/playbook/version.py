"""
A version is the hash of a playbook's content: the same text is the same version wherever and whenever it is published.
"""

import hashlib
import json

from pydantic import ValidationError

from shared.errors import Invalid
from shared.playbook.model import Playbook

VERSION_CHARS = 16
"""64 bits: two of a million versions of one agent collide with a chance of 3 in 10^8."""
PARTS_MAX = 500_000
"""Of a playbook's content, counted by its commas and brackets, those in texts too."""
MISTAKES_TOLD_MAX = 1_000


def canonical(playbook: Playbook) -> bytes:
    """
    *playbook* as canonical JSON (sorted keys, no spaces, UTF-8), without what is left at its default, so that a release
    which adds a setting does not give every playbook a new version.

    A number that is not finite is written as Python does; `check` finds it, and no reader takes it.
    """
    data = playbook.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def hash_of(content: bytes) -> str:
    """The version of the canonical JSON *content*: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:VERSION_CHARS]


def version_of(playbook: Playbook) -> str:
    """The version of *playbook*."""
    return hash_of(canonical(playbook))


def from_canonical(content: bytes) -> Playbook:
    """
    The playbook whose canonical JSON is *content*.

    Raises:
        Invalid: (`bad_playbook`) this release cannot read it; the message says where.

    """
    if (parts := sum(map(content.count, (b",", b"[", b"{")))) > PARTS_MAX:
        # Each part that does not fit costs a thousand bytes of complaint, and a record of zeros packs a thousandfold.
        raise Invalid("bad_playbook", f"the content has up to {parts:,} parts; at most {PARTS_MAX:,} are read")
    try:
        return Playbook.model_validate_json(content)
    except ValidationError as error:
        if error.error_count() > MISTAKES_TOLD_MAX:
            raise Invalid("bad_playbook", f"the content has {error.error_count():,} mistakes") from None
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the content"
        raise Invalid("bad_playbook", f"{where}: {first['msg']}") from None
