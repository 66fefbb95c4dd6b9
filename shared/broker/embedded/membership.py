"""The members of a consumer group, and the answers that they wait for."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.broker.embedded.clock import Handle
from shared.broker.embedded.codes import Code


class Joined(NamedTuple):
    """The answer to JoinGroup; *members* (id, instance id, metadata) only for the leader."""

    code: Code
    generation: int = -1
    protocol: str = ""
    leader_id: str = ""
    member_id: str = ""
    members: list[tuple[str, str | None, bytes]] = []  # noqa: RUF012 - a NamedTuple's default, never changed


class Synced(NamedTuple):
    """The answer to SyncGroup."""

    code: Code
    assignment: bytes = b""


class Wish(NamedTuple):
    """What a client asks of JoinGroup; *protocols* in the order of its preference."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_seconds: float
    rebalance_seconds: float
    protocol_type: str
    protocols: Mapping[str, bytes]
    id_first: bool
    """Does the client know MEMBER_ID_REQUIRED (KIP-394)?"""


@dataclass(slots=True)
class Member:
    """One member; *join* and *sync* are the answers it waits for."""

    id: str
    wish: Wish
    deadline: float
    assignment: bytes = b""
    join: Callable[[Joined], None] | None = None
    sync: Callable[[Synced], None] | None = None
    expiry: Handle | None = field(default=None, repr=False)

    @property
    def waiting(self) -> bool:
        """Is it parked in JoinGroup or SyncGroup? Then it cannot heartbeat, and its silence is no sign of death."""
        return self.join is not None or self.sync is not None

    def answer_join(self, answer: Joined) -> None:
        """Answer the JoinGroup that it waits in, if any."""
        join, self.join = self.join, None
        if join is not None:
            join(answer)

    def answer_sync(self, answer: Synced) -> None:
        """Answer the SyncGroup that it waits in, if any."""
        sync, self.sync = self.sync, None
        if sync is not None:
            sync(answer)


def common_protocols(members: Iterable[Member]) -> set[str]:
    """The assignment protocols that all *members* support."""
    return set.intersection(*(set(member.wish.protocols) for member in members))


def preferred_protocol(members: Iterable[Member]) -> str:
    """Each member votes for the first of its list that all support; the most votes win (as in Kafka)."""
    members = list(members)
    candidates = common_protocols(members)
    votes = Counter(next(name for name in member.wish.protocols if name in candidates) for member in members)
    return votes.most_common(1)[0][0]
