"""
From the bytes of a chat completion request to the rehearsal model's reply: pure, and the same for the same bytes and
seed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from pydantic_core import from_json

from shared.arq.prompt import parse
from shared.llm.rehearsal.conform import least_answer
from shared.llm.rehearsal.faults import HttpFault, Reply, draw_http_fault, draw_malformation, dump
from shared.llm.rehearsal.rules import Rule, Situation
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.tokens import CHARACTERS_PER_TOKEN, estimate_tokens

PLAIN_REPLY = "This is the rehearsal model: it answers only requests with a JSON schema."
OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")


class UnreadableQuestion(ValueError):
    """The request is no chat completion request."""


@dataclass(frozen=True, slots=True)
class Question:
    """
    A readable request: its schema (none for plain chat), the prompt's texts and the output limit in tokens (0 = none).
    """

    schema_name: str
    schema: Mapping[str, Any] | None
    texts: tuple[str, ...]
    output_tokens_max: int

    @property
    def input_tokens(self) -> int:
        """Estimated from the texts."""
        return estimate_tokens(sum(map(len, self.texts)))


def read_question(body: bytes) -> Question:
    """
    The request in *body*.

    Raises:
        UnreadableQuestion: it is no chat completion request; the message tells what is wrong.

    """
    try:
        document = from_json(body)
    except ValueError as error:
        raise UnreadableQuestion(f"the body is no JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("messages"), list):
        raise UnreadableQuestion("an object with a list `messages` is needed")
    texts = tuple(
        message["content"]
        for message in document["messages"]
        if isinstance(message, dict) and isinstance(message.get("content"), str)
    )
    limit = next((document[name] for name in OUTPUT_LIMITS if isinstance(document.get(name), int)), 0)
    name, schema = _schema(document.get("response_format"))
    return Question(name, schema, texts, limit)


def stream(seed: int, body: bytes, use: str) -> Random:
    """Random numbers that depend on *seed*, the request's bytes and what they are for, and on nothing else."""
    digest = hashlib.blake2b(body, digest_size=16, salt=use.encode()[:16], key=str(seed).encode()).digest()
    return Random(int.from_bytes(digest, "big"))


def http_fault(body: bytes, seen: int, settings: RehearsalSettings) -> HttpFault | None:
    """The error that meets the request when it comes for the *seen*-th time (from 0)."""
    if not settings.error_rate:
        return None
    return draw_http_fault(stream(settings.seed, body, f"http {seen}"), settings.error_rate)


def answer(question: Question, body: bytes, rules: Mapping[str, Rule], settings: RehearsalSettings) -> Reply:
    """What the rehearsal model says to *question* (read from *body*)."""
    if question.schema is None:
        return _within_limit(Reply(PLAIN_REPLY), question.output_tokens_max)
    if rule := rules.get(question.schema_name):
        sections: dict[str, Any] = {}
        for text in question.texts:
            sections |= parse(text)
        said = rule(Situation(sections, question.schema, stream(settings.seed, body, "rule"), settings))
    else:
        said = least_answer(question.schema)
    spoil = draw_malformation(stream(settings.seed, body, "form"), settings.malformed_rate)
    reply = spoil(said, question.schema) if spoil else Reply(dump(said))
    return _within_limit(reply, question.output_tokens_max)


def _within_limit(reply: Reply, output_tokens_max: int) -> Reply:
    characters = output_tokens_max * CHARACTERS_PER_TOKEN
    if reply.boundless or not output_tokens_max or len(reply.text) <= characters:
        return reply
    return Reply(reply.text[:characters], finish="length")


def _schema(response_format: object) -> tuple[str, Mapping[str, Any] | None]:
    if not isinstance(response_format, dict) or response_format.get("type") != "json_schema":
        return "", None
    described = response_format.get("json_schema")
    if not isinstance(described, dict) or not isinstance(described.get("schema"), dict):
        raise UnreadableQuestion("`response_format.json_schema.schema` is needed")
    return str(described.get("name", "")), described["schema"]
