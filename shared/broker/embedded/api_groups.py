"""FindCoordinator and the APIs of consumer groups."""

from collections.abc import Callable

from shared.broker.embedded.codes import Code
from shared.broker.embedded.coordinator import Groups
from shared.broker.embedded.groups import Group
from shared.broker.embedded.membership import Joined, Synced, Wish
from shared.broker.embedded.server import Call

_ID_FIRST_SINCE = 4
"""JoinGroup version from which a client knows MEMBER_ID_REQUIRED (KIP-394)."""
_DEAD = "Dead"


class GroupApi:
    """What members of groups, and those who look at groups, ask."""

    def __init__(self, groups: Groups, address: Callable[[], tuple[int, str, int]]) -> None:
        self._groups = groups
        self._address = address

    def find_coordinator(self, call: Call) -> None:
        """The one node, for every group and transactional id."""
        call.answer(0, Code.NONE, None, *self._address())

    def join(self, call: Call) -> None:
        """Join a group; answered when the generation is complete."""
        body = call.body
        wish = Wish(
            member_id=body.member_id or "",
            instance_id=body.group_instance_id,
            client_id=call.caller.client_id,
            client_host=call.caller.host,
            session_seconds=body.session_timeout / 1000,
            rebalance_seconds=(body.session_timeout if body.rebalance_timeout is None else body.rebalance_timeout)
            / 1000,
            protocol_type=body.protocol_type or "",
            protocols={name: metadata or b"" for name, metadata in body.group_protocols},
            id_first=call.request.version >= _ID_FIRST_SINCE,
        )

        def answer(joined: Joined) -> None:
            call.answer(0, *joined)

        if not body.group:
            answer(Joined(Code.INVALID_GROUP_ID, member_id=wish.member_id))
            return
        self._groups.get(body.group).join(wish, answer)

    def sync(self, call: Call) -> None:
        """Fetch the assignment; answered when the leader has brought it."""
        body = call.body

        def answer(synced: Synced) -> None:
            call.answer(0, *synced)

        group = self._groups.find(body.group)
        if group is None:
            answer(Synced(Code.UNKNOWN_MEMBER_ID))
            return
        assignments = {member_id: assignment or b"" for member_id, assignment in body.group_assignment or ()}
        group.sync(body.member_id, body.group_instance_id, body.generation_id, assignments, answer)

    def heartbeat(self, call: Call) -> None:
        """Stay a member."""
        group = self._groups.find(call.body.group)
        call.answer(
            0,
            Code.UNKNOWN_MEMBER_ID if group is None else group.heartbeat(call.body.member_id, call.body.generation_id),
        )

    def leave(self, call: Call) -> None:
        """Leave a group."""
        group = self._groups.find(call.body.group)
        call.answer(0, Code.UNKNOWN_MEMBER_ID if group is None else group.leave(call.body.member_id))

    def commit(self, call: Call) -> None:
        """Commit offsets with their metadata."""
        body = call.body
        offsets = {
            (topic, index): (offset, metadata)
            for topic, partitions in body.topics
            for index, offset, metadata in partitions
        }
        codes = self._groups.commit(
            body.consumer_group, body.consumer_id or "", body.consumer_group_generation_id, offsets
        )
        call.answer(
            0,
            [(topic, [(index, codes[topic, index]) for index, *_ in partitions]) for topic, partitions in body.topics],
        )

    def fetch_offsets(self, call: Call) -> None:
        """Committed offsets with their metadata; -1 where nothing was committed."""
        group = self._groups.find(call.body.consumer_group)
        committed = group.offsets if group is not None else {}
        asked = call.body.topics
        if asked is None:
            by_topic: dict[str, list[int]] = {}
            for topic, index in committed:
                by_topic.setdefault(topic, []).append(index)
            asked = list(by_topic.items())
        call.answer(
            0,
            [
                (topic, [(index, *committed.get((topic, index), (-1, "")), Code.NONE) for index in indices])
                for topic, indices in asked
            ],
            Code.NONE,
        )

    def describe(self, call: Call) -> None:
        """State, members and assignments of groups."""
        call.answer(0, [_described(name, self._groups.find(name)) for name in call.body.groups])

    def list_groups(self, call: Call) -> None:
        """All groups."""
        call.answer(0, Code.NONE, [(group.name, group.protocol_type) for group in self._groups])

    def delete(self, call: Call) -> None:
        """Delete empty groups."""
        call.answer(0, [(name, self._groups.delete(name)) for name in call.body.groups_names])


def _described(
    name: str, group: Group | None
) -> tuple[Code, str, str, str, str, list[tuple[str, str, str, bytes, bytes]]]:
    if group is None:
        return Code.NONE, name, _DEAD, "", "", []
    members = [
        (m.id, m.wish.client_id, m.wish.client_host, m.wish.protocols.get(group.protocol, b""), m.assignment)
        for m in group.members.values()
    ]
    return Code.NONE, name, group.state, group.protocol_type, group.protocol, members
