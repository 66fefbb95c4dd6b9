"""
A playbook as a record holds it, if every reader can take it from there.
"""

from dataclasses import dataclass

from shared.broker.clients import RECORD_BYTES_MAX
from shared.errors import Invalid
from shared.playbook.model import Playbook
from shared.playbook.records import CONTENT_BYTES_MAX, pack
from shared.playbook.version import canonical, from_canonical, hash_of

PACKED_BYTES_MAX = RECORD_BYTES_MAX - 1_024
"""Of a record's value; the rest is room for its key and headers."""
REMEDY = "divide the agent's work between several agents"


@dataclass(frozen=True, slots=True)
class Sealed:
    """The version of a playbook, and its content as the record's value."""

    version: str
    packed: bytes


def sealed(playbook: Playbook) -> Sealed:
    """
    *playbook*, in which checks find no error, for publication.

    Raises:
        Invalid: (`too_large`, `bad_playbook`) a record cannot hold it, or a reader would refuse it.

    """
    content = canonical(playbook)
    if len(content) > CONTENT_BYTES_MAX:
        raise _too_large(f"the playbook's content has {len(content):,} bytes; at most {CONTENT_BYTES_MAX:,} are read")
    packed = pack(content)
    if len(packed) > PACKED_BYTES_MAX:
        raise _too_large(f"the playbook takes {len(packed):,} bytes packed; a record holds {PACKED_BYTES_MAX:,}")
    from_canonical(content)
    return Sealed(hash_of(content), packed)


def _too_large(size: str) -> Invalid:
    return Invalid("too_large", f"{size}; {REMEDY}")
