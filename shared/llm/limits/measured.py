"""
Measures every call that is really sent, and tells it as a span where somebody wants to know.
"""

import asyncio
import time
from typing import Final

import httpx

from shared.llm.base import Completion, LanguageModel, Request
from shared.llm.errors import InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.metrics import OTHER, LlmMetrics
from shared.llm.settings import LlmSettings
from shared.telemetry.spans import Call, tell, under_way

CHAT: Final = "chat"
PORTS: Final = {"http": 80, "https": 443}


class Measured:
    """Observes duration, tokens and calls under way; a cancelled call is observed as such, too."""

    def __init__(self, inner: LanguageModel, settings: LlmSettings, metrics: LlmMetrics) -> None:
        url = httpx.URL(settings.url)
        self._inner = inner
        self._metrics = metrics
        self._in_flight = metrics.in_flight.labels(provider=settings.provider)
        self._labels = {
            "gen_ai_operation_name": settings.operation,
            "gen_ai_provider_name": settings.provider,
            "gen_ai_request_model": settings.model,
            "server_address": url.host,
            "server_port": str(url.port or PORTS[url.scheme]),
        }

    async def complete(self, request: Request) -> Completion:
        """The completion of *request*."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        begun_ns, completion = time.time_ns(), None
        error_type, answered_by = OTHER, ""
        self._in_flight.inc()
        try:
            completion = await self._inner.complete(request)
            error_type, answered_by = "", self._metrics.bounded_name(completion.model)
            self._count_tokens(completion, answered_by)
        except (ModelUnavailable, ModelRefused, InvalidAnswer) as error:
            error_type = error.kind
            raise
        except asyncio.CancelledError:
            error_type = "cancelled"
            raise
        finally:
            self._in_flight.dec()
            labels = {**self._labels, "gen_ai_response_model": answered_by, "error_type": error_type}
            self._metrics.duration.labels(**labels).observe(loop.time() - started)
            if under_way() is not None:
                tell(self._call(request, completion, begun_ns, answered_by, error_type))
        return completion

    def _call(
        self, request: Request, completion: Completion | None, begun_ns: int, answered_by: str, error_type: str
    ) -> Call:
        """A call as OpenTelemetry's GenAI conventions have it; without any of the texts."""
        labels = self._labels
        attributes: dict[str, str | int | float | tuple[str, ...]] = {
            "gen_ai.operation.name": labels["gen_ai_operation_name"],
            "gen_ai.provider.name": labels["gen_ai_provider_name"],
            "gen_ai.request.model": labels["gen_ai_request_model"],
            "server.address": labels["server_address"],
            "server.port": int(labels["server_port"]),
            "holdfast.purpose": request.purpose,
        }
        if labels["gen_ai_operation_name"] == CHAT:
            attributes |= {
                "gen_ai.request.temperature": request.temperature,
                "gen_ai.request.max_tokens": request.output_tokens_max,
                "gen_ai.output.type": "json",
            }
        if completion is not None:
            attributes |= {
                "gen_ai.response.model": answered_by,
                "gen_ai.response.finish_reasons": (completion.finish,),
                "gen_ai.usage.input_tokens": completion.usage.input_tokens,
                "gen_ai.usage.output_tokens": completion.usage.output_tokens,
            }
        name = f"{labels['gen_ai_operation_name']} {labels['gen_ai_request_model']}"
        return Call(name, begun_ns, attributes, error_type)

    def _count_tokens(self, completion: Completion, answered_by: str) -> None:
        counts = {"input": completion.usage.input_tokens, "output": completion.usage.output_tokens}
        for kind, count in counts.items():
            labels = {**self._labels, "gen_ai_response_model": answered_by, "gen_ai_token_type": kind}
            self._metrics.tokens.labels(**labels).observe(count)
