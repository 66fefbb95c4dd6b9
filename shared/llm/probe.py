"""
The enforcement probe: does the endpoint hold an answer to its schema, or does it only seem to?

Some servers accept a schema and ignore it (Ollama Cloud did), which shows only as discarded answers. So the endpoint is
asked something that its schema forbids to be answered as asked.
"""

import asyncio
from typing import Final, Literal

import structlog
from pydantic import ValidationError

from shared.arq.blueprint import Blueprint, Queries
from shared.arq.prompt import Prompt, Section
from shared.errors import Fatal
from shared.llm.answer_text import document_in
from shared.llm.base import Completion, LanguageModel, Request
from shared.llm.errors import InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.metrics import LlmMetrics
from shared.llm.settings import LlmSettings

PURPOSE = "probe"
TENANT = "holdfast"
# Enough for a model that reasons before it answers.
OUTPUT_TOKENS_MAX = 1_024
FATAL_KINDS = frozenset({"auth", "not_found"})

Enforcement = Literal["enforced", "not_enforced", "unclear", "refused", "unreachable"]

log = structlog.get_logger(__name__)


class Colour(Queries):
    """What the probe asks for: only `ultramarine` is allowed."""

    colour: Literal["ultramarine"]


BLUEPRINT: Final = Blueprint("probe_v1", Colour)
PROMPT: Final = Prompt(
    static=(Section("task", "You name colours, as a JSON object with the key `colour`."),),
    dynamic=(Section("question", 'Which colour has grass in spring? Answer exactly {"colour": "green"}.'),),
)


async def probe(model: LanguageModel, settings: LlmSettings, metrics: LlmMetrics) -> Enforcement:
    """
    Whether the endpoint of *model* enforces schemas, logged and in `holdfast_llm_schema_enforced`; one call.

    An endpoint that is away may come up later, and one that does not enforce costs discarded answers: neither is an
    error. A parameter that the endpoint refuses is left out, and the log names the setting, where the model is an
    `HttpModel`; what is refused all the same keeps the process from being ready (see `Client.obstacle`).

    Raises:
        Fatal: the endpoint rejects the key or does not know the model: no call can succeed as configured.

    """
    told = {"url": settings.place, "model": settings.model}
    try:
        completion = await model.complete(_request(settings.probe_timeout_seconds))
    except ModelRefused as error:
        if error.kind in FATAL_KINDS:
            raise Fatal(f"the model cannot be used as configured: {error}") from error
        log.warning("the model's endpoint refuses what every request looks like", reason=str(error), **told)
        return "refused"
    except InvalidAnswer as error:
        log.warning("it is not clear whether the endpoint enforces schemas", reason=str(error), **told)
        return "unclear"
    except ModelUnavailable as error:
        log.warning("the model's endpoint is away; calls will be tried all the same", reason=str(error), **told)
        return "unreachable"
    found = judge(completion)
    if found == "enforced":
        log.info("the endpoint enforces schemas", **told)
    else:
        log.warning("the endpoint may answer outside the schema; expect discarded answers", found=found, **told)
    if found != "unclear":
        metrics.schema_enforced.labels(provider=settings.provider).set(found == "enforced")
    return found


def judge(completion: Completion) -> Enforcement:
    """
    What an answer to the probe shows; a refusal or a cut-off answer shows nothing. What is held to a schema has no
    fence.
    """
    text, fenced = document_in(completion.text)
    if completion.finish in {"length", "refusal"} or not text:
        return "unclear"
    try:
        Colour.model_validate_json(text, strict=True)
    except ValidationError:
        return "not_enforced"
    return "not_enforced" if fenced else "enforced"


def _request(timeout_seconds: float) -> Request:
    return Request(
        purpose=PURPOSE,
        tenant=TENANT,
        messages=PROMPT.messages(),
        schema_name=BLUEPRINT.name,
        schema=BLUEPRINT.schema(),
        deadline=asyncio.get_running_loop().time() + timeout_seconds,
        temperature=0.0,
        output_tokens_max=OUTPUT_TOKENS_MAX,
    )
