"""
The playbooks that records have told of so far: a pure fold over the `playbooks` topic.
"""

from collections import OrderedDict
from dataclasses import dataclass

from shared.errors import Invalid
from shared.playbook.checking import check
from shared.playbook.finding import errors
from shared.playbook.model import Playbook
from shared.playbook.records import Head, PlaybookKey, decode_head, decode_key, unpack
from shared.playbook.version import from_canonical, hash_of

OLD_VERSIONS_PARSED_MAX = 64
"""
Playbooks no longer in force that stay parsed; the others are kept packed, a tenth of the size, and parsed when asked
for.
"""


@dataclass(frozen=True, slots=True)
class Change:
    """
    What one record says of *name*: a version's playbook, as it came and as it reads, or a head; neither of them where
    the version is retired or the agent's playbook withdrawn.
    """

    name: PlaybookKey
    packed: bytes = b""
    playbook: Playbook | None = None
    head: Head | None = None


def change_of(key: bytes | None, value: bytes | None) -> Change:
    """
    What a record says. It takes as long as its playbook is large (seconds for the largest), and depends on nothing
    else, so that it can be done on a thread.

    Raises:
        Invalid: the record cannot be used.

    """
    name = decode_key(key)
    if value is None:
        return Change(name)
    if not name.version:
        return Change(name, head=decode_head(value))
    content = unpack(value)
    if hash_of(content) != name.version:
        raise Invalid("hash_mismatch", f"the content's hash is {hash_of(content)}, the key says {name.version}")
    playbook = from_canonical(content)
    if playbook.agent != name.agent:
        raise Invalid("bad_playbook", f"the playbook is for agent {playbook.agent!r}, the key says {name.agent!r}")
    if wrong := errors(check(playbook)):
        raise Invalid("bad_playbook", str(wrong[0]))
    return Change(name, value, playbook)


class Shelf:
    """
    Every kept version of every agent's playbook, and which one is in force: the newest of the head's versions that is
    held here, so a version which was refused leaves the last good one in force, after a restart too.
    """

    def __init__(self) -> None:
        self._packed: dict[PlaybookKey, bytes] = {}
        self._heads: dict[PlaybookKey, Head] = {}
        self._current: dict[PlaybookKey, tuple[str, Playbook]] = {}
        self._old: OrderedDict[PlaybookKey, Playbook] = OrderedDict()

    def apply(self, key: bytes | None, value: bytes | None) -> str:
        """
        Take one record in; what it was: `published`, `retired`, `head`, `withdrawn`.

        Raises:
            Invalid: the record cannot be used; what was in force stays.

        """
        return self.take(change_of(key, value))

    def take(self, change: Change) -> str:
        """
        Take in what a record says; what it was: `published`, `retired`, `head`, `withdrawn`.

        Raises:
            Invalid: (`unknown_version`) a head names a version that is not held; what was in force stays, or the next
                of the head's versions is.

        """
        name = change.name
        if change.playbook is not None:
            return self._publish(name, change.packed, change.playbook)
        if change.head is not None:
            return self._point(name, change.head)
        if name.version:
            return self._retire(name)
        self._heads.pop(name, None)
        self._current.pop(name, None)
        return "withdrawn"

    def current(self, tenant: str, agent: str) -> tuple[str, Playbook] | None:
        """The version in force with its playbook."""
        return self._current.get(PlaybookKey(tenant, agent))

    def version(self, tenant: str, agent: str, version: str) -> Playbook | None:
        """A kept version."""
        current = self._current.get(PlaybookKey(tenant, agent))
        if current is not None and current[0] == version:
            return current[1]
        key = PlaybookKey(tenant, agent, version)
        packed = self._packed.get(key)
        if packed is None:
            return None
        if key not in self._old:
            self._old[key] = from_canonical(unpack(packed))
            if len(self._old) > OLD_VERSIONS_PARSED_MAX:
                self._old.popitem(last=False)
        self._old.move_to_end(key)
        return self._old[key]

    def kept(self, tenant: str, agent: str) -> tuple[str, ...]:
        """The versions that turns may still name, newest first."""
        head = self._heads.get(PlaybookKey(tenant, agent))
        return head.kept if head else ()

    def agents(self) -> tuple[tuple[str, str], ...]:
        """Tenant and agent of every playbook in force."""
        return tuple(sorted((key.tenant, key.agent) for key in self._current))

    def __len__(self) -> int:
        return len(self._packed)

    def _publish(self, name: PlaybookKey, packed: bytes, playbook: Playbook) -> str:
        self._packed[name] = packed
        head = self._heads.get(name.head)
        if head is not None and head.version == name.version:
            self._current[name.head] = (name.version, playbook)
        elif head is not None:
            self._elect(name.head)
        return "published"

    def _point(self, name: PlaybookKey, head: Head) -> str:
        self._heads[name] = head
        self._elect(name)
        if PlaybookKey(name.tenant, name.agent, head.version) not in self._packed:
            raise Invalid("unknown_version", f"the head names version {head.version}, which is not held")
        return "head"

    def _retire(self, name: PlaybookKey) -> str:
        self._packed.pop(name, None)
        self._old.pop(name, None)
        if name.head in self._heads:
            self._elect(name.head)
        return "retired"

    def _elect(self, name: PlaybookKey) -> None:
        head, current = self._heads[name], self._current.get(name)
        for version in dict.fromkeys((head.version, *head.kept)):
            key = PlaybookKey(name.tenant, name.agent, version)
            if key in self._packed:
                if current is None or current[0] != version:
                    self._current[name] = (version, from_canonical(unpack(self._packed[key])))
                return
        # None of the head's versions is held: what was in force stays, as long as this process lives.
