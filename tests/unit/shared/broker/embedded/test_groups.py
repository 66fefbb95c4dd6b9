"""The classic group protocol, driven call by call on a clock that is turned by hand."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.broker.embedded.codes import Code
from shared.broker.embedded.coordinator import Groups
from shared.broker.embedded.groups import State
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.membership import Wish

SESSION, REBALANCE = 10.0, 30.0
LIMITS = Limits(rebalance_initial_delay_seconds=1.0)
TP = ("t", 0)


def wish(member_id="", *, instance_id=None, protocols=None, **changes):
    base = Wish(
        member_id=member_id,
        instance_id=instance_id,
        client_id="c",
        client_host="h",
        session_seconds=SESSION,
        rebalance_seconds=REBALANCE,
        protocol_type="consumer",
        protocols=protocols or {"range": b"meta"},
        id_first=False,
    )
    return base._replace(**changes)


class HandClock:
    """Time that passes only when told; a `Scheduler` of the broker."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, list[Callable[[], object]]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> "Due":
        holder = [callback]
        heapq.heappush(self._due, (self.now + delay, next(self._order), holder))
        return Due(holder)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, holder = heapq.heappop(self._due)
            for callback in holder:
                callback()
        self.now = end


class Due:
    def __init__(self, holder: list[Callable[[], object]]) -> None:
        self._holder = holder

    def cancel(self) -> None:
        self._holder.clear()


@pytest.fixture
def clock():
    return HandClock()


class Room:
    """A group and the answers that its members got."""

    def __init__(self, clock, limits=LIMITS) -> None:
        numbers = itertools.count(1)
        self.clock = clock
        self.groups = Groups(
            limits=limits, scheduler=clock, knows=lambda topic, _: topic == "t", new_suffix=lambda: str(next(numbers))
        )
        self.group = self.groups.get("g")

    def join(self, asked):
        answers: list = []
        self.group.join(asked, answers.append)
        return answers

    def sync(self, member_id, generation, assignments=(), instance_id=None):
        answers: list = []
        self.group.sync(member_id, instance_id, generation, dict(assignments), answers.append)
        return answers

    def stable(self, size, instances=()):
        """Bring *size* members to a stable group; their ids, the leader's first."""
        instances = [*instances, *[None] * size][:size]
        parked = [self.join(wish(instance_id=instance)) for instance in instances]
        self.clock.advance(LIMITS.rebalance_initial_delay_seconds)
        ids = [answers[0].member_id for answers in parked]
        assert all(answers[0].code is Code.NONE for answers in parked)
        shares = {member_id: b"share of " + member_id.encode() for member_id in ids}
        for member_id in reversed(ids):
            given = shares if member_id == self.group.leader_id else {}
            self.sync(member_id, self.group.generation, given)
        assert self.group.state is State.STABLE
        return ids


@pytest.fixture
def room(clock):
    return Room(clock)


def test_an_empty_group_waits_its_initial_delay_and_takes_in_who_comes(room, clock):
    first, second = room.join(wish()), room.join(wish())
    clock.advance(0.9)
    assert first == second == []
    clock.advance(0.2)
    [one], [two] = first, second
    assert one.generation == two.generation == 1
    assert one.leader_id == one.member_id == two.leader_id
    assert [member[0] for member in one.members] == [one.member_id, two.member_id]
    assert two.members == []


def test_followers_wait_for_the_leaders_assignment(room, clock):
    parked = [room.join(wish()), room.join(wish())]
    clock.advance(1)
    leader, follower = (answers[0].member_id for answers in parked)
    waiting = room.sync(follower, 1)
    assert waiting == []
    assert room.sync(leader, 1, {leader: b"L", follower: b"F"}) == [(Code.NONE, b"L")]
    assert waiting == [(Code.NONE, b"F")]
    assert room.sync(follower, 1) == [(Code.NONE, b"F")]


def test_a_newcomer_makes_all_join_again(room):
    [old] = room.stable(1)
    newcomer = room.join(wish())
    assert room.group.heartbeat(old, 1) is Code.REBALANCE_IN_PROGRESS
    assert newcomer == []
    again = room.join(wish(old))
    assert again[0].generation == newcomer[0].generation == 2
    assert room.group.leader_id == old


def test_a_member_that_does_not_join_again_is_given_up_after_the_rebalance_timeout(room, clock):
    gone, stays = room.stable(2)
    newcomer, again = room.join(wish()), room.join(wish(stays))
    for _ in range(29):
        clock.advance(1)
        assert room.group.heartbeat(gone, 1) is Code.REBALANCE_IN_PROGRESS
    assert newcomer == again == []
    clock.advance(1)
    assert set(room.group.members) == {stays, newcomer[0].member_id}
    assert room.group.heartbeat(gone, 1) is Code.UNKNOWN_MEMBER_ID


def test_a_silent_member_is_given_up_after_its_session_and_heartbeats_prolong_it(room, clock):
    [member] = room.stable(1)
    clock.advance(9)
    assert room.group.heartbeat(member, 1) is Code.NONE
    clock.advance(9)
    assert room.group.state is State.STABLE
    clock.advance(1.1)
    assert room.group.state is State.EMPTY
    assert room.group.heartbeat(member, 1) is Code.UNKNOWN_MEMBER_ID


def test_waiting_in_join_is_no_silence(room, clock):
    leader, slow = room.stable(2)
    parked = room.join(wish(leader))
    for _ in range(25):
        clock.advance(1)
        room.group.heartbeat(slow, 1)
    assert parked == []
    assert leader in room.group.members


def test_a_leader_that_never_assigns_is_given_up(room, clock):
    parked = [room.join(wish()), room.join(wish())]
    clock.advance(1)
    leader, follower = (answers[0].member_id for answers in parked)
    waiting = room.sync(follower, 1)
    for _ in range(31):
        clock.advance(1)
        room.group.heartbeat(leader, 1)
    assert waiting == [(Code.REBALANCE_IN_PROGRESS, b"")]
    assert leader not in room.group.members


def test_leaving_hands_over_at_once(room):
    one, two = room.stable(2)
    assert room.group.leave(one) is Code.NONE
    assert room.group.heartbeat(two, 1) is Code.REBALANCE_IN_PROGRESS
    assert room.join(wish(two))[0].generation == 2
    assert room.group.leave(one) is Code.UNKNOWN_MEMBER_ID


def test_the_last_to_leave_empties_the_group(room):
    [member] = room.stable(1)
    room.group.leave(member)
    assert room.group.state is State.EMPTY
    assert room.groups.delete("g") is Code.NONE
    assert room.groups.delete("g") is Code.GROUP_ID_NOT_FOUND


def test_a_group_with_members_is_not_deleted(room):
    room.stable(1)
    assert room.groups.delete("g") is Code.NON_EMPTY_GROUP


def test_an_id_is_handed_out_first_where_the_client_knows_of_it(room, clock):
    [first] = room.join(wish(id_first=True))
    assert first.code is Code.MEMBER_ID_REQUIRED
    assert room.group.members == {}
    joined = room.join(wish(first.member_id, id_first=True))
    clock.advance(1)
    assert joined[0].member_id == first.member_id


def test_an_id_that_is_not_used_within_the_session_is_void(room, clock):
    [first] = room.join(wish(id_first=True))
    clock.advance(SESSION + 1)
    assert room.join(wish(first.member_id))[0].code is Code.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"session_seconds": 0.01}, Code.INVALID_SESSION_TIMEOUT),
        ({"session_seconds": 4_000.0}, Code.INVALID_SESSION_TIMEOUT),
        ({"protocol_type": ""}, Code.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": "connect"}, Code.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": {"sticky": b""}}, Code.INCONSISTENT_GROUP_PROTOCOL),
        ({"member_id": "stranger"}, Code.UNKNOWN_MEMBER_ID),
    ],
)
def test_who_does_not_fit_is_refused(room, changes, code):
    room.stable(1)
    assert room.join(wish()._replace(**changes))[0].code is code
    assert room.group.state is State.STABLE


def test_a_full_group_takes_nobody_in(clock):
    room = Room(clock, replace(LIMITS, group_members_max=1))
    room.stable(1)
    assert room.join(wish())[0].code is Code.GROUP_MAX_SIZE_REACHED


def test_the_protocol_that_most_members_prefer_wins(room, clock):
    for first, second in (("a", "b"), ("b", "a"), ("b", "a")):
        room.join(wish(protocols={first: b"", second: b""}))
    clock.advance(1)
    assert room.group.protocol == "b"


def test_a_repeated_join_of_the_same_generation_is_answered_without_a_rebalance(room):
    leader, follower = room.stable(2)
    assert room.join(wish(follower))[0].generation == 1
    assert room.group.state is State.STABLE
    room.join(wish(leader))
    assert room.group.state is State.PREPARING


def test_a_static_member_takes_its_own_place_without_a_rebalance(room):
    old, other = room.stable(2, ["one", "two"])
    [joined] = room.join(wish(instance_id="one"))
    assert (joined.code, joined.generation) == (Code.NONE, 1)
    assert joined.member_id != old
    assert joined.leader_id == old, "a returning leader must not assign anew"
    assert room.sync(joined.member_id, 1, instance_id="one") == [(Code.NONE, b"share of " + old.encode())]
    assert room.group.heartbeat(other, 1) is Code.NONE
    assert room.group.heartbeat(old, 1) is Code.UNKNOWN_MEMBER_ID
    assert room.sync(old, 1, instance_id="one") == [(Code.FENCED_INSTANCE_ID, b"")]
    assert room.join(wish(old, instance_id="one"))[0].code is Code.FENCED_INSTANCE_ID


def test_the_former_incarnation_that_waits_in_join_is_fenced(room):
    parked = room.join(wish(instance_id="one"))
    room.join(wish(instance_id="one"))
    assert parked[0].code is Code.FENCED_INSTANCE_ID
    assert len(room.group.members) == 1


def test_a_static_member_keeps_its_place_through_a_rebalance_that_it_misses(room, clock):
    parked = [room.join(wish(instance_id="one", session_seconds=100.0)), room.join(wish())]
    clock.advance(1)
    static, dynamic = (answers[0].member_id for answers in parked)
    room.sync(static, 1, {static: b"S", dynamic: b"D"})
    room.sync(dynamic, 1)
    room.group.rebalance()
    again = room.join(wish(dynamic))
    clock.advance(REBALANCE + 0.1)
    [joined] = again
    assert (joined.generation, joined.leader_id) == (2, dynamic)
    assert {member[0] for member in joined.members} == {static, dynamic}


def test_a_static_member_that_came_again_without_saying_so_leaves_no_trace(room, clock):
    """Its name was kept after its session, and the next one of that name broke the coordinator."""
    static, dynamic = room.stable(2, ["one"])
    room.join(wish(static))
    room.join(wish(dynamic))
    clock.advance(SESSION - 0.1)
    room.join(wish(dynamic))
    clock.advance(0.2)
    assert static not in room.group.members

    again = room.join(wish(instance_id="one"))
    room.join(wish(dynamic))

    assert again[0].code is Code.NONE
    assert again[0].member_id not in {static, dynamic}


def test_a_static_member_loses_its_place_when_its_session_ends(room, clock):
    static, dynamic = room.stable(2, ["one"])
    room.group.rebalance()
    again = room.join(wish(dynamic))
    clock.advance(SESSION - 0.1)
    assert static in room.group.members
    clock.advance(0.2)
    assert [member[0] for member in again[0].members] == [dynamic]


def test_commits_are_for_members_of_this_generation(room):
    [member] = room.stable(1)
    commit = room.groups.commit
    offsets = {TP: (5, "m")}
    assert commit("g", member, 1, offsets) == {TP: Code.NONE}
    assert commit("g", member, 0, offsets) == {TP: Code.ILLEGAL_GENERATION}
    assert commit("g", "stranger", 1, offsets) == {TP: Code.UNKNOWN_MEMBER_ID}
    assert commit("g", "", -1, offsets) == {TP: Code.UNKNOWN_MEMBER_ID}
    assert room.group.offsets == {TP: (5, "m")}


def test_anybody_commits_to_an_empty_group(room):
    assert room.groups.commit("new", "", -1, {TP: (5, None)}) == {TP: Code.NONE}
    assert room.groups.get("new").offsets == {TP: (5, "")}


def test_a_commit_while_the_group_prepares_is_kept_and_while_it_completes_is_refused(room, clock):
    [member] = room.stable(1)
    newcomer = room.join(wish())
    assert room.groups.commit("g", member, 1, {TP: (5, "")}) == {TP: Code.NONE}
    room.join(wish(member))
    assert room.groups.commit("g", newcomer[0].member_id, 2, {TP: (6, "")}) == {TP: Code.REBALANCE_IN_PROGRESS}
    assert room.group.offsets == {TP: (5, "")}
    clock.advance(0)


def test_bad_offsets_are_refused_each_on_its_own(room):
    [member] = room.stable(1)
    offsets = {TP: (1, "m" * 4_097), ("t", 1): (2, "m" * 4_096), ("gone", 0): (3, "")}
    assert room.groups.commit("g", member, 1, offsets) == {
        TP: Code.OFFSET_METADATA_TOO_LARGE,
        ("t", 1): Code.NONE,
        ("gone", 0): Code.UNKNOWN_TOPIC_OR_PARTITION,
    }
    assert room.groups.commit("", "", -1, {TP: (1, "")}) == {TP: Code.INVALID_GROUP_ID}


def test_the_offsets_of_a_deleted_topic_are_forgotten(room):
    room.groups.commit("g", "", -1, {TP: (5, "")})
    room.groups.forget_topic("t")
    assert room.group.offsets == {}


class AnyClients(RuleBasedStateMachine):
    """
    Clients that join, sync, heartbeat, leave and fall silent in any order.

    Each call is answered at most once; a generation is never handed out with two assignments of the same share; when
    all are silent, the group ends up empty.
    """

    clients = st.integers(0, 3)

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(HandClock())
        self.known = [{"id": "", "generation": -1, "members": []} for _ in range(4)]
        self.calls: list[list] = []
        self.shares: dict[tuple[int, bytes], str] = {}
        self.generation = 0

    @rule(client=clients, static=st.booleans())
    def join(self, client, static):
        me = self.known[client]
        answers: list = []
        self.calls.append(answers)

        def answered(joined):
            answers.append(joined)
            if joined.code is Code.NONE:
                me.update(id=joined.member_id, generation=joined.generation, members=joined.members)
            elif joined.code in {Code.UNKNOWN_MEMBER_ID, Code.FENCED_INSTANCE_ID}:
                me.update(id="", generation=-1, members=[])

        self.room.group.join(wish(me["id"], instance_id=f"i{client}" if static else None), answered)

    @rule(client=clients)
    def sync(self, client):
        me = self.known[client]
        generation, member_id = me["generation"], me["id"]
        answers: list = []
        self.calls.append(answers)

        def answered(synced):
            answers.append(synced)
            if synced.code is Code.NONE and synced.assignment:
                owner = self.shares.setdefault((generation, synced.assignment), member_id)
                assert owner == member_id or self.room.group.members[member_id].wish.instance_id is not None

        shares = {m[0]: b"share %d" % i for i, m in enumerate(me["members"])}
        self.room.group.sync(member_id, None, generation, shares, answered)

    @rule(client=clients)
    def heartbeat(self, client):
        me = self.known[client]
        self.room.group.heartbeat(me["id"], me["generation"])

    @rule(client=clients)
    def leave(self, client):
        self.room.group.leave(self.known[client]["id"])

    @rule(seconds=st.floats(0.1, 12))
    def time_passes(self, seconds):
        self.room.clock.advance(seconds)

    @invariant()
    def every_call_is_answered_at_most_once(self):
        assert all(len(answers) <= 1 for answers in self.calls)

    @invariant()
    def generations_only_rise(self):
        assert self.room.group.generation >= self.generation
        self.generation = self.room.group.generation

    @invariant()
    def an_empty_group_has_no_members_and_no_other_has_none(self):
        assert (self.room.group.state is State.EMPTY) == (not self.room.group.members)

    def teardown(self):
        self.room.clock.advance(10 * (SESSION + REBALANCE))
        assert self.room.group.state is State.EMPTY
        assert all(len(answers) == 1 for answers in self.calls)


TestAnyClients = AnyClients.TestCase
TestAnyClients.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
