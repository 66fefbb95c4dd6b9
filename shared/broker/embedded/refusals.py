"""Answers that carry one error for the whole of a request: what an injected fault says."""

from collections.abc import Callable
from typing import Any

from shared.broker.embedded.codes import Code
from shared.broker.embedded.wire import Api, Request

Answer = tuple[Any, ...]


def refusal(request: Request, code: Code) -> Answer | None:
    """The answer's fields; None where the API has no place for an error."""
    build = _ANSWERS.get(request.api)
    return None if build is None else build(request.body, code)


def _per_partition(topics: Any, entry: Callable[[Any], Any]) -> list[tuple[str, list[Any]]]:
    return [(topic, [entry(partition) for partition in partitions]) for topic, partitions in topics or ()]


def _produce(body: Any, code: Code) -> Answer:
    return _per_partition(body.topics, lambda p: (p[0], code, -1, -1, -1)), 0


def _fetch(body: Any, code: Code) -> Answer:
    return 0, Code.NONE, 0, _per_partition(body.topics, lambda p: (p[0], code, -1, -1, -1, None, -1, b""))


def _list_offsets(body: Any, code: Code) -> Answer:
    return 0, _per_partition(body.topics, lambda p: (p[0], code, -1, -1))


def _numbered(body: Any, code: Code) -> Answer:
    return 0, _per_partition(body.topics, lambda p: (p[0] if isinstance(p, tuple) else p, code))


def _offset_fetch(body: Any, code: Code) -> Answer:
    return 0, _per_partition(body.topics, lambda p: (p, -1, "", code)), code


def _topics_by_name(names: list[str], code: Code) -> Answer:
    return 0, [(name, code, None) for name in names]


_ANSWERS: dict[Api, Callable[[Any, Code], Answer]] = {
    Api.PRODUCE: _produce,
    Api.FETCH: _fetch,
    Api.LIST_OFFSETS: _list_offsets,
    Api.OFFSET_COMMIT: _numbered,
    Api.OFFSET_FETCH: _offset_fetch,
    Api.FIND_COORDINATOR: lambda _, code: (0, code, None, -1, "", -1),
    Api.JOIN_GROUP: lambda body, code: (0, code, -1, "", "", body.member_id or "", []),
    Api.HEARTBEAT: lambda _, code: (0, code),
    Api.LEAVE_GROUP: lambda _, code: (0, code),
    Api.SYNC_GROUP: lambda _, code: (0, code, b""),
    Api.LIST_GROUPS: lambda _, code: (0, code, []),
    Api.CREATE_TOPICS: lambda body, code: _topics_by_name([t[0] for t in body.create_topic_requests], code),
    Api.CREATE_PARTITIONS: lambda body, code: _topics_by_name([t[0] for t in body.topic_partitions], code),
    Api.DELETE_TOPICS: lambda body, code: (0, [(name, code) for name in body.topics]),
    Api.INIT_PRODUCER_ID: lambda _, code: (0, code, -1, -1),
    Api.ADD_PARTITIONS_TO_TXN: _numbered,
    Api.ADD_OFFSETS_TO_TXN: lambda _, code: (0, code),
    Api.TXN_OFFSET_COMMIT: _numbered,
    Api.END_TXN: lambda _, code: (0, code),
}
