"""All consumer groups of a broker."""

from collections.abc import Callable, Iterator, Mapping

from shared.broker.embedded.clock import Scheduler
from shared.broker.embedded.codes import Code
from shared.broker.embedded.groups import Group, State
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.transactions import Offsets, TopicPartition


class Groups:
    """
    The groups by name.

    *knows* says whether a partition exists; *new_suffix* makes member ids unique.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        scheduler: Scheduler,
        knows: Callable[[str, int], bool],
        new_suffix: Callable[[], str],
    ) -> None:
        self._limits = limits
        self._scheduler = scheduler
        self._knows = knows
        self._new_suffix = new_suffix
        self._groups: dict[str, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def find(self, name: str) -> Group | None:
        """The group, if it exists."""
        return self._groups.get(name)

    def get(self, name: str) -> Group:
        """The group, made where it does not exist."""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(
                name, limits=self._limits, scheduler=self._scheduler, new_suffix=self._new_suffix
            )
        return group

    def commit(
        self, name: str, member_id: str, generation: int, offsets: Mapping[TopicPartition, tuple[int, str | None]]
    ) -> dict[TopicPartition, Code]:
        """Commit offsets outside a transaction; the answer per partition."""
        if not name:
            return dict.fromkeys(offsets, Code.INVALID_GROUP_ID)
        if name not in self._groups and generation >= 0:
            return dict.fromkeys(offsets, Code.ILLEGAL_GENERATION)
        answer = {tp: self._offset_complaint(tp, metadata) for tp, (_, metadata) in offsets.items()}
        accepted = {tp: (offset, metadata or "") for tp, (offset, metadata) in offsets.items() if not answer[tp]}
        code = self.get(name).commit(member_id, generation, accepted)
        return answer if code is Code.NONE else dict.fromkeys(offsets, code)

    def commit_transaction(self, name: str, offsets: Offsets) -> None:
        """Apply the offsets of a committed transaction."""
        self.get(name).offsets.update({tp: value for tp, value in offsets.items() if self._knows(*tp)})

    def delete(self, name: str) -> Code:
        """Forget an empty group and its offsets."""
        group = self._groups.get(name)
        if group is None:
            return Code.GROUP_ID_NOT_FOUND
        if group.state is not State.EMPTY:
            return Code.NON_EMPTY_GROUP
        del self._groups[name]
        return Code.NONE

    def forget_topic(self, topic: str) -> None:
        """Forget the offsets of a deleted topic."""
        for group in self._groups.values():
            for tp in [tp for tp in group.offsets if tp[0] == topic]:
                del group.offsets[tp]

    def expire(self, name: str, member_id: str | None = None) -> bool:
        """End a member's session now (*member_id* None: of the longest-standing member); False if there is none."""
        group = self._groups.get(name)
        if group is None or not group.members:
            return False
        member = group.members.get(member_id) if member_id else next(iter(group.members.values()))
        if member is None:
            return False
        group.remove(member)
        return True

    def rebalance(self, name: str) -> bool:
        """Make a group's members join again; False if there is no such group with members."""
        group = self._groups.get(name)
        if group is None or not group.members:
            return False
        group.rebalance()
        return True

    def _offset_complaint(self, tp: TopicPartition, metadata: str | None) -> Code:
        if len(metadata or "") > self._limits.commit_metadata_chars_max:
            return Code.OFFSET_METADATA_TOO_LARGE
        return Code.NONE if self._knows(*tp) else Code.UNKNOWN_TOPIC_OR_PARTITION
