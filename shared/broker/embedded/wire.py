"""
Which APIs and versions are spoken, and their bytes.

The schemas are those of aiokafka. Every request is lifted to the newest version that is spoken, by field name, so that
a handler knows one shape; every answer is lowered to the version that was asked. A version that aiokafka leaves out is
named here where its schema equals a neighbour's (the protocol guide), so that ranges have no holes.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from aiokafka.protocol import admin, commit, coordination, fetch, group, metadata, offset, produce, transaction
from aiokafka.protocol.types import Array, Schema


class Api(IntEnum):
    """An API key of the Kafka protocol."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    DESCRIBE_GROUPS = 15
    LIST_GROUPS = 16
    API_VERSIONS = 18
    CREATE_TOPICS = 19
    DELETE_TOPICS = 20
    DELETE_RECORDS = 21
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28
    DESCRIBE_CONFIGS = 32
    ALTER_CONFIGS = 33
    CREATE_PARTITIONS = 37
    DELETE_GROUPS = 42


def _versions(module: Any, stem: str, first: int, last: int, same_as: dict[int, int] | None = None) -> dict[int, Any]:
    same_as = same_as or {}
    return {v: getattr(module, f"{stem}_v{same_as.get(v, v)}") for v in range(first, last + 1)}


REQUESTS: dict[Api, dict[int, Any]] = {
    # Versions below carry message formats 0 and 1, which Kafka 4 has dropped too (KIP-724).
    Api.PRODUCE: _versions(produce, "ProduceRequest", 3, 7),
    Api.FETCH: _versions(fetch, "FetchRequest", 4, 11),
    Api.LIST_OFFSETS: _versions(offset, "OffsetRequest", 1, 3),
    Api.METADATA: _versions(metadata, "MetadataRequest", 0, 5),
    Api.OFFSET_COMMIT: _versions(commit, "OffsetCommitRequest", 2, 3),
    Api.OFFSET_FETCH: _versions(commit, "OffsetFetchRequest", 1, 3),
    Api.FIND_COORDINATOR: _versions(coordination, "FindCoordinatorRequest", 0, 1),
    Api.JOIN_GROUP: _versions(group, "JoinGroupRequest", 0, 5, {3: 2, 4: 2}),
    Api.HEARTBEAT: _versions(group, "HeartbeatRequest", 0, 1),
    Api.LEAVE_GROUP: _versions(group, "LeaveGroupRequest", 0, 1),
    Api.SYNC_GROUP: _versions(group, "SyncGroupRequest", 0, 3, {2: 1}),
    Api.DESCRIBE_GROUPS: _versions(admin, "DescribeGroupsRequest", 0, 2),
    Api.LIST_GROUPS: _versions(admin, "ListGroupsRequest", 0, 1),
    Api.API_VERSIONS: _versions(admin, "ApiVersionRequest", 0, 2),
    Api.CREATE_TOPICS: _versions(admin, "CreateTopicsRequest", 0, 3),
    Api.DELETE_TOPICS: _versions(admin, "DeleteTopicsRequest", 0, 3),
    Api.DELETE_RECORDS: _versions(admin, "DeleteRecordsRequest", 0, 1),
    Api.INIT_PRODUCER_ID: _versions(transaction, "InitProducerIdRequest", 0, 0),
    Api.ADD_PARTITIONS_TO_TXN: _versions(transaction, "AddPartitionsToTxnRequest", 0, 0),
    Api.ADD_OFFSETS_TO_TXN: _versions(transaction, "AddOffsetsToTxnRequest", 0, 0),
    Api.END_TXN: _versions(transaction, "EndTxnRequest", 0, 0),
    Api.TXN_OFFSET_COMMIT: _versions(transaction, "TxnOffsetCommitRequest", 0, 0),
    Api.DESCRIBE_CONFIGS: _versions(admin, "DescribeConfigsRequest", 1, 2),
    Api.ALTER_CONFIGS: _versions(admin, "AlterConfigsRequest", 0, 1),
    Api.CREATE_PARTITIONS: _versions(admin, "CreatePartitionsRequest", 0, 1),
    Api.DELETE_GROUPS: _versions(admin, "DeleteGroupsRequest", 0, 1),
}

RENAMED = {"fetch_offset": "offset", "coordinator_key": "consumer_group"}
"""Fields whose name aiokafka changes between versions: the newest → the older."""

RANGES: list[tuple[int, int, int]] = [(api, min(versions), max(versions)) for api, versions in REQUESTS.items()]
"""What ApiVersions answers: (key, first version, last version)."""

Convert = Callable[[Any], Any]


class Request(NamedTuple):
    """A decoded request: *body* has the fields of the newest version; those that its own lacks are None."""

    api: Api
    version: int
    body: Any


def speaks(api_key: int, version: int) -> bool:
    """Is this version of this API spoken?"""
    return api_key in _KEYS and version in REQUESTS[_KEYS[api_key]]


def decode(api: Api, version: int, body: bytes) -> Request:
    """
    The request in *body*.

    Raises:
        ValueError: the bytes are not a request of this version.

    """
    own = REQUESTS[api][version]
    newest = _newest(api)
    decoded = own.decode(body)
    if own.SCHEMA is newest.SCHEMA:
        return Request(api, version, decoded)
    fields = _converter(api, version, request=True)([decoded.__dict__[name] for name in own.SCHEMA.names])
    return Request(api, version, newest(*fields))


def encode(api: Api, version: int, fields: Sequence[Any]) -> bytes:
    """The bytes of an answer that is given in the newest version's *fields*."""
    own = REQUESTS[api][version].RESPONSE_TYPE.SCHEMA
    if own is not _newest(api).RESPONSE_TYPE.SCHEMA:
        fields = _converter(api, version, request=False)(fields)
    encoded: bytes = own.encode(fields)
    return encoded


_KEYS = {api.value: api for api in Api}


def _newest(api: Api) -> Any:
    versions = REQUESTS[api]
    return versions[max(versions)]


@cache
def _converter(api: Api, version: int, *, request: bool) -> Convert:
    own, newest = REQUESTS[api][version], _newest(api)
    if request:
        return _between(own.SCHEMA, newest.SCHEMA)
    return _between(newest.RESPONSE_TYPE.SCHEMA, own.RESPONSE_TYPE.SCHEMA)


def _between(source: Schema, target: Schema) -> Convert:
    """Fields of *source* → fields of *target*, matched by name; what *source* lacks is None."""
    plan: list[tuple[int | None, Convert | None]] = []
    for name, kind in zip(target.names, target.fields, strict=True):
        name = name if name in source.names else RENAMED.get(name, name)  # noqa: PLW2901
        if name in source.names:
            at = source.names.index(name)
            plan.append((at, _nested(source.fields[at], kind)))
        else:
            plan.append((None, None))

    def convert(values: Any) -> Any:
        return tuple(
            None if at is None else values[at] if nested is None else nested(values[at]) for at, nested in plan
        )

    return convert


def _nested(source: Any, target: Any) -> Convert | None:
    if isinstance(target, Array):
        inner = _nested(source.array_of, target.array_of)
        return None if inner is None else lambda items: None if items is None else [inner(item) for item in items]
    if isinstance(target, Schema) and source is not target:
        return _between(source, target)
    return None
