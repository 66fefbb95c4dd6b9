"""
The assignment of tasks as the group protocol of Kafka carries it.

aiokafka's own sticky assignor balances single partitions, so partition 3 of two topics may land on two members. Here
the unit is the task: partition p of every topic.
"""

import struct
from collections.abc import Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from shared.stage.assignment import Claim, assign

_PROTOCOL_VERSION = 0
_FORMAT = 1
_HEAD = struct.Struct(">BI")
_TASK = struct.Struct(">I")


class TaskAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """
    One member's part in the protocol: tells what it owns, assigns where it is the leader, and learns what it got.

    An instance per membership: aiokafka's own keep the former assignment in their class, which two consumers of a
    process would share. The leader counts rounds, so that a member which was away cannot claim what has been
    another's since.
    """

    name = "holdfast-tasks"

    def __init__(self) -> None:
        self._claim = Claim()

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells when it joins."""
        return ConsumerProtocolMemberMetadata(_PROTOCOL_VERSION, sorted(topics), encode_claim(self._claim))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Every member's partitions; called on the leader."""
        topics = {topic for metadata in members.values() for topic in metadata.subscription}
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        claims = {member: decode_claim(metadata.user_data) for member, metadata in members.items()}
        number = 1 + max((claim.round for claim in claims.values()), default=0)
        shares = assign(claims, range(max(counts.values(), default=0)))
        return {
            member: ConsumerProtocolMemberAssignment(
                _PROTOCOL_VERSION,
                [
                    (topic, [task for task in sorted(share) if task < counts[topic]])
                    for topic in sorted(members[member].subscription)
                ],
                encode_claim(Claim(share, number)),
            )
            for member, share in shares.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """What the leader decided for this member."""
        self._claim = decode_claim(assignment.user_data)


def encode_claim(claim: Claim) -> bytes:
    """*claim* as the protocol's user data."""
    return _HEAD.pack(_FORMAT, claim.round) + b"".join(_TASK.pack(task) for task in sorted(claim.tasks))


def decode_claim(data: bytes | None) -> Claim:
    """The claim in *data*; an empty one where it is absent, damaged or of another format."""
    if not data or len(data) < _HEAD.size or data[0] != _FORMAT or (len(data) - _HEAD.size) % _TASK.size:
        return Claim()
    _, number = _HEAD.unpack_from(data)
    return Claim(frozenset(task for (task,) in _TASK.iter_unpack(data[_HEAD.size :])), number)
