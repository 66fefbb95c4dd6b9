"""
The group coordinator: the classic consumer group protocol (KIP-62 rebalance timeouts, KIP-345 static members, KIP-394).

A group goes Empty → PreparingRebalance → CompletingRebalance → Stable. Answers that have to wait (JoinGroup until all
have joined, SyncGroup until the leader has assigned) are given through callbacks; time comes from a `Scheduler`.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

from shared.broker.embedded.clock import Handle, Scheduler
from shared.broker.embedded.codes import Code
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.membership import Joined, Member, Synced, Wish, common_protocols, preferred_protocol
from shared.broker.embedded.transactions import Offsets


class State(StrEnum):
    """A group's state, by the names that DescribeGroups shows."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"


class Group:
    """One group: its members, its generation, its committed offsets."""

    def __init__(self, name: str, *, limits: Limits, scheduler: Scheduler, new_suffix: Callable[[], str]) -> None:
        self.name = name
        self.state = State.EMPTY
        self.generation = 0
        self.protocol = ""
        self.protocol_type = ""
        self.leader_id = ""
        self.members: dict[str, Member] = {}
        self.offsets: Offsets = {}
        self._limits = limits
        self._scheduler = scheduler
        self._new_suffix = new_suffix
        self._static: dict[str, str] = {}
        self._promised: dict[str, Handle] = {}
        self._deadline: Handle | None = None
        self._unsynced: set[str] = set()
        self._initial = False
        """Is the rebalance under way the one out of an empty group, which lasts its initial delay?"""

    # -- JoinGroup

    def join(self, wish: Wish, answer: Callable[[Joined], None]) -> None:
        """Take a member in, or back, for the next generation; *answer* is called once, now or when all have joined."""
        code = self._join_complaint(wish)
        if code is not Code.NONE:
            answer(Joined(code, member_id=wish.member_id))
        elif wish.member_id:
            self._join_known(wish, answer)
        elif wish.instance_id is not None and wish.instance_id in self._static:
            self._replace_static(wish, answer)
        elif wish.instance_id is None and wish.id_first:
            member_id = self._new_id(wish)
            self._promised[member_id] = self._scheduler.call_later(
                wish.session_seconds, lambda: self._promised.pop(member_id, None)
            )
            answer(Joined(Code.MEMBER_ID_REQUIRED, member_id=member_id))
        else:
            self._add(self._new_id(wish), wish, answer)

    def _join_complaint(self, wish: Wish) -> Code:
        if not self._limits.session_seconds_min <= wish.session_seconds <= self._limits.session_seconds_max:
            return Code.INVALID_SESSION_TIMEOUT
        if not wish.protocol_type or not wish.protocols:
            return Code.INCONSISTENT_GROUP_PROTOCOL
        others = [m for m in self.members.values() if m.id != wish.member_id and not self._is_old_incarnation(m, wish)]
        if others and (self.protocol_type != wish.protocol_type or not common_protocols(others) & set(wish.protocols)):
            return Code.INCONSISTENT_GROUP_PROTOCOL
        if len(others) >= self._limits.group_members_max:
            return Code.GROUP_MAX_SIZE_REACHED
        return Code.NONE

    def _is_old_incarnation(self, member: Member, wish: Wish) -> bool:
        return wish.instance_id is not None and member.wish.instance_id == wish.instance_id

    def _join_known(self, wish: Wish, answer: Callable[[Joined], None]) -> None:
        promised = self._promised.pop(wish.member_id, None)
        if promised is not None:
            promised.cancel()
            self._add(wish.member_id, wish, answer)
            return
        code = self._identity(wish.member_id, wish.instance_id)
        if code is not Code.NONE:
            answer(Joined(code, member_id=wish.member_id))
            return
        member = self.members[wish.member_id]
        unchanged = dict(member.wish.protocols) == dict(wish.protocols)
        settled = self.state is State.COMPLETING or (self.state is State.STABLE and member.id != self.leader_id)
        if unchanged and settled:
            # The answer to its first JoinGroup was lost, or it asks without need: it is in this generation already.
            self._touch(member)
            answer(self._joined(member))
            return
        self._park(member, wish, answer)

    def _add(self, member_id: str, wish: Wish, answer: Callable[[Joined], None]) -> None:
        if not self.members:
            self.protocol_type = wish.protocol_type
        member = self.members[member_id] = Member(member_id, wish, self._scheduler.time() + wish.session_seconds)
        if wish.instance_id is not None:
            self._static[wish.instance_id] = member_id
        self._watch(member, wish.session_seconds)
        self._park(member, wish, answer)

    def _replace_static(self, wish: Wish, answer: Callable[[Joined], None]) -> None:
        """
        A static member came back without its member id (KIP-345): it takes its own place, the former incarnation is
        fenced.

        A stable group whose protocol stays goes on without a rebalance. The answer then names the former leader id, so
        that a returning leader does not assign anew: nobody would hear of it.
        """
        instance_id = wish.instance_id or ""
        old = self.members.pop(self._static[instance_id])
        self._forget_timer(old)
        old.answer_join(Joined(Code.FENCED_INSTANCE_ID, member_id=old.id))
        old.answer_sync(Synced(Code.FENCED_INSTANCE_ID))
        new = Member(self._new_id(wish), wish, self._scheduler.time() + wish.session_seconds, old.assignment)
        self.members[new.id] = new
        self._static[instance_id] = new.id
        self._unsynced.discard(old.id)
        self._watch(new, wish.session_seconds)
        leader_before = self.leader_id
        if leader_before == old.id:
            self.leader_id = new.id
        if self.state is State.STABLE and preferred_protocol(self.members.values()) == self.protocol:
            answer(Joined(Code.NONE, self.generation, self.protocol, leader_before, new.id))
        else:
            self._park(new, wish, answer)

    def _park(self, member: Member, wish: Wish, answer: Callable[[Joined], None]) -> None:
        member.answer_join(Joined(Code.UNKNOWN_MEMBER_ID, member_id=member.id))
        member.wish = wish
        member.join = answer
        self._touch(member)
        if self.state is State.PREPARING:
            self._complete_if_all_joined()
        else:
            self.rebalance()

    # -- the rebalance

    def rebalance(self) -> None:
        """Ask all members to join again; those that do not within the longest rebalance time-out are given up."""
        if self.state is State.PREPARING:
            return
        was_empty = self.state is State.EMPTY
        for member in self.members.values():
            member.answer_sync(Synced(Code.REBALANCE_IN_PROGRESS))
        self._unsynced.clear()
        self.state = State.PREPARING
        self._initial = was_empty
        if was_empty:
            self._set_deadline(self._limits.rebalance_initial_delay_seconds, self._complete_join)
            return
        self._set_deadline(self._rebalance_seconds(), self._complete_join)
        self._complete_if_all_joined()

    def _complete_if_all_joined(self) -> None:
        if not self._initial and all(member.join is not None for member in self.members.values()):
            self._complete_join()

    def _complete_join(self) -> None:
        self._initial = False
        for member in [m for m in self.members.values() if m.join is None and m.wish.instance_id is None]:
            self._drop(member, Code.UNKNOWN_MEMBER_ID)
        if self.members and all(member.join is None for member in self.members.values()):
            # Only static members are left and none came back yet: their sessions decide.
            self._set_deadline(self._rebalance_seconds(), self._complete_join)
            return
        self._clear_deadline()
        self.generation += 1
        if not self.members:
            self.state, self.protocol, self.leader_id = State.EMPTY, "", ""
            return
        self.state = State.COMPLETING
        self.protocol = preferred_protocol(self.members.values())
        if self.leader_id not in self.members or self.members[self.leader_id].join is None:
            self.leader_id = next(m.id for m in self.members.values() if m.join is not None)
        self._unsynced = set(self.members)
        self._set_deadline(self._rebalance_seconds(), self._drop_unsynced)
        for member in list(self.members.values()):
            member.assignment = b""
            self._touch(member)
            member.answer_join(self._joined(member))

    def _joined(self, member: Member) -> Joined:
        members = [(m.id, m.wish.instance_id, m.wish.protocols.get(self.protocol, b"")) for m in self.members.values()]
        return Joined(
            Code.NONE,
            self.generation,
            self.protocol,
            self.leader_id,
            member.id,
            members if member.id == self.leader_id else [],
        )

    # -- SyncGroup, Heartbeat, LeaveGroup

    def sync(
        self,
        member_id: str,
        instance_id: str | None,
        generation: int,
        assignments: Mapping[str, bytes],
        answer: Callable[[Synced], None],
    ) -> None:
        """Give a member its assignment, once the leader has brought them; *answer* is called once."""
        code = self._standing(member_id, instance_id, generation)
        if code is Code.NONE and self.state is State.PREPARING:
            code = Code.REBALANCE_IN_PROGRESS
        if code is not Code.NONE:
            answer(Synced(code))
            return
        member = self.members[member_id]
        self._touch(member)
        self._unsynced.discard(member_id)
        if self.state is State.STABLE:
            answer(Synced(Code.NONE, member.assignment))
            return
        member.answer_sync(Synced(Code.UNKNOWN_MEMBER_ID))
        member.sync = answer
        if member_id == self.leader_id:
            self._assign(assignments)

    def _assign(self, assignments: Mapping[str, bytes]) -> None:
        self.state = State.STABLE
        self._clear_deadline()
        if self._unsynced:
            self._set_deadline(self._rebalance_seconds(), self._drop_unsynced)
        for member in self.members.values():
            member.assignment = assignments.get(member.id, b"")
            if member.sync is not None:
                self._touch(member)
                member.answer_sync(Synced(Code.NONE, member.assignment))

    def _drop_unsynced(self) -> None:
        late = [self.members[member_id] for member_id in self._unsynced if member_id in self.members]
        for member in late:
            self._drop(member, Code.UNKNOWN_MEMBER_ID)
        if late:
            self.rebalance()

    def heartbeat(self, member_id: str, generation: int) -> Code:
        """Keep a member's session alive, and tell it of a rebalance."""
        code = self._standing(member_id, None, generation)
        if code is not Code.NONE:
            return code
        self._touch(self.members[member_id])
        return Code.REBALANCE_IN_PROGRESS if self.state is State.PREPARING else Code.NONE

    def leave(self, member_id: str) -> Code:
        """Let a member go at once."""
        promised = self._promised.pop(member_id, None)
        if promised is not None:
            promised.cancel()
            return Code.NONE
        member = self.members.get(member_id)
        if member is None:
            return Code.UNKNOWN_MEMBER_ID
        self.remove(member)
        return Code.NONE

    def remove(self, member: Member) -> None:
        """Give a member up and hand its share to the others."""
        self._drop(member, Code.UNKNOWN_MEMBER_ID)
        if self.state is State.PREPARING:
            self._complete_if_all_joined()
        else:
            self.rebalance()

    def close(self) -> None:
        """Set no timer any more; nobody is answered."""
        self._clear_deadline()
        for member in self.members.values():
            self._forget_timer(member)
        for promised in self._promised.values():
            promised.cancel()

    # -- offsets

    def commit(self, member_id: str, generation: int, offsets: Mapping[tuple[str, int], tuple[int, str]]) -> Code:
        """Store offsets for a member of the present generation, or for anybody while the group is empty."""
        if generation < 0 and self.state is State.EMPTY:
            self.offsets.update(offsets)
            return Code.NONE
        code = self._standing(member_id, None, generation)
        if code is Code.NONE:
            self._touch(self.members[member_id])
            if self.state is State.COMPLETING:
                return Code.REBALANCE_IN_PROGRESS
            self.offsets.update(offsets)
        return code

    # -- members

    def _standing(self, member_id: str, instance_id: str | None, generation: int) -> Code:
        code = self._identity(member_id, instance_id)
        if code is Code.NONE and generation != self.generation:
            return Code.ILLEGAL_GENERATION
        return code

    def _identity(self, member_id: str, instance_id: str | None) -> Code:
        if instance_id is not None and self._static.get(instance_id, member_id) != member_id:
            return Code.FENCED_INSTANCE_ID
        return Code.NONE if member_id in self.members else Code.UNKNOWN_MEMBER_ID

    def _new_id(self, wish: Wish) -> str:
        return f"{wish.instance_id or wish.client_id}-{self._new_suffix()}"

    def _touch(self, member: Member) -> None:
        member.deadline = self._scheduler.time() + member.wish.session_seconds

    def _watch(self, member: Member, seconds: float) -> None:
        member.expiry = self._scheduler.call_later(seconds, lambda: self._check_session(member))

    def _check_session(self, member: Member) -> None:
        """One timer a member, set again for what is left of its session: a heartbeat then costs no timer."""
        left = member.deadline - self._scheduler.time()
        if member.waiting:
            left = member.wish.session_seconds
        if left > 0:
            self._watch(member, left)
        else:
            self.remove(member)

    def _drop(self, member: Member, code: Code) -> None:
        del self.members[member.id]
        self._unsynced.discard(member.id)
        # By the member, not by its latest wish: a static member may have joined again without saying that it is one.
        self._static = {instance: holder for instance, holder in self._static.items() if holder != member.id}
        self._forget_timer(member)
        member.answer_join(Joined(code, member_id=member.id))
        member.answer_sync(Synced(code))

    def _forget_timer(self, member: Member) -> None:
        if member.expiry is not None:
            member.expiry.cancel()

    def _rebalance_seconds(self) -> float:
        return max((m.wish.rebalance_seconds for m in self.members.values()), default=0.0)

    def _set_deadline(self, seconds: float, callback: Callable[[], None]) -> None:
        self._clear_deadline()
        self._deadline = self._scheduler.call_later(seconds, callback)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
