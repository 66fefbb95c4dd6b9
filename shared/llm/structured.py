"""
Structured answers: ask a blueprint, get its answer model or a clear refusal.

A malformed or overlong answer is a sign that the model has lost its way: its errors are then correlated, and repairing
it keeps them (MAKER, arXiv 2511.09030 §red-flagging). So it is discarded and asked anew, once, at a higher temperature,
and never enters the context.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Generic, Protocol, runtime_checkable

import structlog
from pydantic import ValidationError
from pydantic_core import from_json

from shared.arq.blueprint import Answer, Blueprint
from shared.arq.prompt import Prompt
from shared.llm.answer_text import document_in
from shared.llm.base import Completion, LanguageModel, Request, Usage
from shared.llm.errors import InvalidAnswer

ATTEMPTS_MAX = 2
RESAMPLE_TEMPERATURE_STEP = 0.2
TEMPERATURE_MAX = 1.0
TEXT_LENGTH_MAX = 1_048_576
SCHEMAS_KEPT_MAX = 256
COMPLAINTS_TOLD_MAX = 3

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answered(Generic[Answer]):
    """A valid answer; `usage` is what all `attempts` cost, `model` what the model calls itself."""

    answer: Answer
    usage: Usage
    model: str
    attempts: int


@runtime_checkable
class CountsAnswers(Protocol):
    """
    A model that keeps count of the answers that were no good; `kind` as in InvalidAnswer, or `fenced` (and accepted).
    """

    def count_answer(self, purpose: str, kind: str) -> None:
        """Count one."""
        ...


@dataclass(frozen=True, slots=True)
class _Rejected:
    kind: str
    complaint: str


async def ask(
    model: LanguageModel,
    blueprint: Blueprint[Answer],
    prompt: Prompt,
    *,
    purpose: str,
    tenant: str,
    deadline: float,
    temperature: float = 0.1,
    output_tokens_max: int = 4_096,
    check: Callable[[Answer], str | None] | None = None,
    request_id: str = "",
) -> Answered[Answer]:
    """
    The model's answer to *blueprint*, valid by its schema and by *check* (which returns a complaint, or None).

    At most two calls: an answer that is no good is discarded and asked anew: hotter, or with twice the output limit if
    it was cut off. *deadline* is in the event loop's clock, seconds, and covers both.

    Raises:
        InvalidAnswer: neither answer was good; its kind is the last one's, its usage that of both.
        ModelUnavailable, ModelRefused: see `LanguageModel.complete`.

    """
    request = Request(
        purpose=purpose,
        tenant=tenant,
        messages=prompt.messages(),
        schema_name=blueprint.name,
        schema=_schema(blueprint),
        deadline=deadline,
        temperature=temperature,
        output_tokens_max=output_tokens_max,
        request_id=request_id,
    )
    spent = Usage()
    attempt = 0
    while True:
        attempt += 1
        result, usage, name = await _attempt(model, blueprint, request, check)
        spent += usage
        if not isinstance(result, _Rejected):
            return Answered(result, spent, name, attempt)
        _count(model, purpose, result.kind)
        log.debug("answer discarded", purpose=purpose, schema=blueprint.name, attempt=attempt, kind=result.kind)
        if attempt == ATTEMPTS_MAX:
            told = f"{purpose} by {blueprint.name}: {attempt} answers were no good; the last: {result.complaint}"
            raise InvalidAnswer(result.kind, told, usage=spent)
        request = _resample(request, result.kind)


async def _attempt(
    model: LanguageModel,
    blueprint: Blueprint[Answer],
    request: Request,
    check: Callable[[Answer], str | None] | None,
) -> tuple[Answer | _Rejected, Usage, str]:
    try:
        completion = await model.complete(request)
    except InvalidAnswer as error:
        return _Rejected(error.kind, str(error)), error.usage, ""
    result, fenced = _read(blueprint, completion)
    if not isinstance(result, _Rejected):
        if fenced:
            _count(model, request.purpose, "fenced")
        if check is not None and (complaint := check(result)) is not None:
            result = _Rejected("check", complaint)
    return result, completion.usage, completion.model


def _read(blueprint: Blueprint[Answer], completion: Completion) -> tuple[Answer | _Rejected, bool]:
    """The answer in *completion*, and whether it was fenced."""
    if completion.finish == "refusal":
        return _Rejected("refused", "the model declined to answer"), False
    if len(completion.text) > TEXT_LENGTH_MAX:
        return _Rejected("oversized", f"{len(completion.text)} characters"), False
    text, fenced = document_in(completion.text)
    result = _parse(blueprint, text) if text else _Rejected("empty", f"no text (finish {completion.finish})")
    if isinstance(result, _Rejected) and completion.finish == "length":
        # What satisfies the schema is whole, whatever the server says of its end.
        result = _Rejected("truncated", f"cut off after {completion.usage.output_tokens} tokens")
    return result, fenced


def _parse(blueprint: Blueprint[Answer], text: str) -> Answer | _Rejected:
    try:
        # By itself pydantic takes NaN and Infinity, which are no JSON.
        from_json(text, allow_inf_nan=False)
    except ValueError as error:
        return _Rejected("not_json", str(error))
    try:
        return blueprint.answer.model_validate_json(text, strict=True)
    except ValidationError as error:
        return _Rejected("schema", complaints(error))


def complaints(error: ValidationError) -> str:
    """Where and how an answer breaks its schema, in one line and without any of its text."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    told = [f"{_place(item['loc'], item['type'])}: {item['type']}" for item in found[:COMPLAINTS_TOLD_MAX]]
    more = len(found) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _place(loc: tuple[int | str, ...], kind: str) -> str:
    # The name of an extra key is the model's text.
    shown = loc[:-1] if kind == "extra_forbidden" else loc
    return ".".join(map(str, shown)) or "the answer"


def _resample(request: Request, kind: str) -> Request:
    if kind == "truncated":
        # What lacked is room, not another draw.
        return replace(request, output_tokens_max=request.output_tokens_max * 2)
    hotter = min(request.temperature + RESAMPLE_TEMPERATURE_STEP, TEMPERATURE_MAX)
    return replace(request, temperature=max(request.temperature, hotter))


def _count(model: LanguageModel, purpose: str, kind: str) -> None:
    if isinstance(model, CountsAnswers):
        model.count_answer(purpose, kind)


@lru_cache(maxsize=SCHEMAS_KEPT_MAX)
def _schema(blueprint: Blueprint[Any]) -> dict[str, Any]:
    return blueprint.schema()
