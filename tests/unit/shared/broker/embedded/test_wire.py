"""Requests of every version are lifted to one shape, answers lowered to what was asked."""

import pytest
from aiokafka.protocol.fetch import FetchRequest_v4, FetchResponse_v4
from aiokafka.protocol.group import JoinGroupRequest_v0, JoinGroupResponse_v0, JoinGroupResponse_v2
from aiokafka.protocol.types import Array, Schema

from shared.broker.embedded import wire
from shared.broker.embedded.wire import Api


def test_every_api_is_spoken_in_a_range_without_holes():
    for api, first, last in wire.RANGES:
        assert all(wire.speaks(api, version) for version in range(first, last + 1))
        assert not wire.speaks(api, last + 1)
    assert not wire.speaks(4, 0)
    assert not wire.speaks(-1, 0)


def test_an_old_request_has_the_newest_fields_and_none_for_what_it_lacks():
    old = JoinGroupRequest_v0("g", 6_000, "m", "consumer", [("range", b"x")])
    body = wire.decode(Api.JOIN_GROUP, 0, old.encode()).body
    assert (body.group, body.session_timeout, body.rebalance_timeout, body.group_instance_id) == (
        "g",
        6_000,
        None,
        None,
    )
    assert body.group_protocols == [("range", b"x")]


def test_nested_fields_are_lifted_by_name():
    old = FetchRequest_v4(-1, 500, 1, 1_000, 1, [("t", [(3, 42, 100)])])
    body = wire.decode(Api.FETCH, 4, old.encode()).body
    assert body.topics == [("t", [(3, None, 42, None, 100)])]
    assert body.isolation_level == 1


def lost(source, target):
    """The fields of *source* that have no place in *target*."""
    for name, kind in zip(source.names, source.fields, strict=True):
        other = next((new for new, old in wire.RENAMED.items() if old == name and name not in target.names), name)
        if other not in target.names:
            yield name
            continue
        twin = target.fields[target.names.index(other)]
        while isinstance(kind, Array):
            kind, twin = kind.array_of, twin.array_of  # noqa: PLW2901
        if isinstance(kind, Schema):
            yield from lost(kind, twin)


@pytest.mark.parametrize("api", list(wire.REQUESTS))
def test_no_field_is_lost_between_versions(api):
    versions = wire.REQUESTS[api]
    newest = versions[max(versions)]
    for own in versions.values():
        assert list(lost(own.SCHEMA, newest.SCHEMA)) == []
        assert list(lost(own.RESPONSE_TYPE.SCHEMA, newest.RESPONSE_TYPE.SCHEMA)) == []


def test_an_answer_is_lowered_by_name():
    fields = (0, 0, 0, [("t", [(3, 0, 9, 8, 7, [(1, 2)], -1, b"data")])])
    answer = FetchResponse_v4.decode(wire.encode(Api.FETCH, 4, fields))
    assert answer.topics == [("t", [(3, 0, 9, 8, [(1, 2)], b"data")])]


@pytest.mark.parametrize(
    ("version", "response", "members"),
    [(0, JoinGroupResponse_v0, [("m", b"x")]), (4, JoinGroupResponse_v2, [("m", b"x")])],
)
def test_an_answer_to_a_version_between_two_that_are_shipped_is_the_lower_ones(version, response, members):
    encoded = wire.encode(Api.JOIN_GROUP, version, (0, 0, 1, "range", "m", "m", [("m", None, b"x")]))
    assert response.decode(encoded).members == members


@pytest.mark.parametrize("api", list(wire.REQUESTS))
def test_bytes_that_are_no_request_are_refused(api):
    versions = wire.REQUESTS[api]
    if not versions[max(versions)].SCHEMA.fields:
        return
    with pytest.raises(ValueError, match=r".+"):
        wire.decode(api, max(versions), b"\x7f")
