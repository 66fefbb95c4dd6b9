"""
Faults that are planted to see whether the share of the search finds them: each takes away what keeps an unexpected
input from costing more than itself.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.conversations import stage as ledger
from services.reasoner.adapters import http_retriever
from services.reasoner.domain.retrieval import Unreadable
from shared.errors import HoldfastError
from shared.llm import embeddings
from shared.playbook import shelf
from shared.stage import sizes, turn_stage

Patch = tuple[object, str, object]
"""An object, the name of its attribute, and what it is replaced by."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A planted fault, and the door that is to find it."""

    name: str
    door: str
    patches: Callable[[], tuple[Patch, ...]]


def null_header_has_no_length() -> tuple[Patch, ...]:
    """A header without a value ends the ledger when its record becomes a dead letter."""

    def mutated(outputs: Any) -> int:
        headers = sum(len(name) + len(value) for output in outputs for name, value in output.headers)
        return headers + sum(len(output.key or b"") + len(output.value or b"") for output in outputs)

    return ((sizes, "size_of", mutated),)


def timer_raises() -> tuple[Patch, ...]:
    """What is due raises in a conversation of several messages."""
    apply_time = ledger.apply_time

    def mutated(step: Any) -> bool:
        if len(step.state.transcript.entries) > 1:
            raise IndexError("transcript")
        return apply_time(step)

    return ((ledger, "apply_time", mutated),)


def state_cannot_be_read_back() -> tuple[Patch, ...]:
    """What reads a state takes ASCII alone, and what writes it more."""
    decode = ledger.decode

    def mutated(data: bytes) -> Any:
        data.decode("ascii")
        return decode(data)

    return ((ledger, "decode", mutated),)


def retriever_raises() -> tuple[Patch, ...]:
    """An answer nested too deeply is an error that nobody expects of a retriever."""
    find = http_retriever.HttpRetrievers._found

    def read(content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError as error:
            raise Unreadable("no JSON") from error

    async def mutated(self: Any, retriever: Any, query: str, *, tenant: str, deadline: float) -> Any:
        try:
            return await find(self, retriever, query, tenant, deadline)
        except HoldfastError:
            return ()

    return (http_retriever, "read", read), (http_retriever.HttpRetrievers, "find", mutated)


def secret_repeated() -> tuple[Patch, ...]:
    """What a retriever repeats of the secret that it was sent is not masked."""
    return ((http_retriever, "masked", lambda value, _secrets: value),)


def vector_overflows() -> tuple[Patch, ...]:
    """A number beyond a float is an error that nobody expects of an embedding."""

    def mutated(given: Any) -> Any:
        return np.array(given, dtype=np.float32)

    return ((embeddings, "_row", mutated),)


def head_raises() -> tuple[Patch, ...]:
    """A playbook's head that is no JSON ends whoever follows."""

    def mutated(value: bytes) -> Any:
        return shelf.Head(**json.loads(value))

    return ((shelf, "decode_head", mutated),)


def turn_is_not_looked_at() -> tuple[Patch, ...]:
    """A stage takes the turn of a record for the one that its key names."""

    def mutated(body: Any) -> Any:
        if body.turn.epoch < 0:
            raise ArithmeticError("an epoch before the first")
        return body.turn

    return ((turn_stage, "turn_of", mutated),)


MUTATIONS = (
    Mutation("a null header has no length", "records", null_header_has_no_length),
    Mutation("a timer raises", "records", timer_raises),
    Mutation("a state cannot be read back", "records", state_cannot_be_read_back),
    Mutation("a retriever raises", "answers", retriever_raises),
    Mutation("a secret is repeated", "answers", secret_repeated),
    Mutation("a vector overflows", "models", vector_overflows),
    Mutation("a head raises", "playbooks", head_raises),
    Mutation("a turn is not looked at", "records", turn_is_not_looked_at),
)
