"""The assignor keeps partition p of every topic together, through Kafka's protocol."""

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from shared.stage.assignment import Claim
from shared.stage.assignor import TaskAssignor, decode_claim, encode_claim


class Cluster:
    def __init__(self, **counts):
        self.counts = counts

    def partitions_for_topic(self, topic):
        return set(range(self.counts[topic])) if topic in self.counts else None


def round_trip(metadata):
    """As the group's coordinator passes it on."""
    return ConsumerProtocolMemberMetadata.decode(metadata.encode())


def rebalance(cluster, members, topics):
    told = {name: round_trip(assignor.metadata(topics)) for name, assignor in members.items()}
    leader = next(iter(members.values()))
    result = {}
    for name, assignment in leader.assign(cluster, told).items():
        decoded = ConsumerProtocolMemberAssignment.decode(assignment.encode())
        members[name].on_assignment(decoded)
        result[name] = {(p.topic, p.partition) for p in decoded.partitions()}
    return result


def test_partitions_of_a_task_go_to_one_member():
    members = {"a": TaskAssignor(), "b": TaskAssignor()}
    owned = rebalance(Cluster(matched=8, opened=8), members, ["matched", "opened"])
    for partitions in owned.values():
        assert {p for t, p in partitions if t == "matched"} == {p for t, p in partitions if t == "opened"}
    assert len(owned["a"]) == len(owned["b"]) == 8


def test_a_member_keeps_its_tasks_when_another_leaves_or_joins():
    cluster = Cluster(x=9)
    members = {name: TaskAssignor() for name in "abc"}
    first = rebalance(cluster, members, ["x"])
    del members["c"]
    second = rebalance(cluster, members, ["x"])
    assert first["a"] <= second["a"]
    assert first["b"] <= second["b"]
    members["d"] = TaskAssignor()
    third = rebalance(cluster, members, ["x"])
    assert third["a"] <= second["a"]
    assert len(third["d"]) == 3


def test_a_member_that_missed_a_round_loses_its_claim():
    cluster = Cluster(x=4)
    away, here = TaskAssignor(), TaskAssignor()
    rebalance(cluster, {"away": away, "here": here}, ["x"])
    rebalance(cluster, {"here": here}, ["x"])
    owned = rebalance(cluster, {"away": away, "here": here}, ["x"])
    assert len(owned["here"]) == 2
    assert not owned["here"] & owned["away"]


def test_an_unknown_topic_gets_no_partitions_and_fails_nobody():
    owned = rebalance(Cluster(x=2), {"a": TaskAssignor()}, ["x", "missing"])
    assert owned["a"] == {("x", 0), ("x", 1)}


@pytest.mark.parametrize("data", [None, b"", b"\x01", b"\x02\0\0\0\1", b"\x01\0\0\0\1\0", b"sticky"])
def test_foreign_user_data_claims_nothing(data):
    assert decode_claim(data) == Claim()


def test_a_claim_survives_the_wire():
    claim = Claim(frozenset({0, 7, 70_000}), 12)
    assert decode_claim(encode_claim(claim)) == claim


@pytest.mark.parametrize("leader", ["newer", "older"])
def test_members_of_two_releases_get_the_positions_of_the_topics_that_each_reads(leader):
    """While processes are replaced one by one, members of a group read different topics; either kind may lead."""
    cluster = Cluster(events=6, finished=6, verified=6)
    reads = {"older": ["events", "finished"], "newer": ["events", "finished", "verified"]}
    members = {name: TaskAssignor() for name in reads}
    told = {name: round_trip(assignor.metadata(reads[name])) for name, assignor in members.items()}

    owned = {
        name: {(p.topic, p.partition) for p in ConsumerProtocolMemberAssignment.decode(share.encode()).partitions()}
        for name, share in members[leader].assign(cluster, told).items()
    }

    tasks = {name: {number for _, number in positions} for name, positions in owned.items()}
    assert tasks["older"] | tasks["newer"] == set(range(6))
    assert not tasks["older"] & tasks["newer"]
    assert owned == {name: {(topic, number) for topic in reads[name] for number in tasks[name]} for name in reads}
