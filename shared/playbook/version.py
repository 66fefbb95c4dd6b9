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


def canonical(playbook: Playbook) -> bytes:
    """
    *playbook* as canonical JSON (sorted keys, no spaces, UTF-8), without what is left at its default, so that a release
    which adds a setting does not give every playbook a new version.
    """
    data = playbook.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


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
    try:
        return Playbook.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the content"
        raise Invalid("bad_playbook", f"{where}: {first['msg']}") from None
