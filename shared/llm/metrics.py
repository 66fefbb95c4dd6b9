"""
Metrics of model calls, by OpenTelemetry's GenAI names where there are any; every label is bounded.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# The buckets that OpenTelemetry's GenAI conventions give for these two.
DURATION_BUCKETS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BUCKETS: Final = tuple(4.0**power for power in range(14))
WAIT_BUCKETS: Final = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
CIRCUIT_STATES: Final[Mapping[str, int]] = {"closed": 0, "half_open": 1, "open": 2}
MODEL_NAMES_MAX = 16
OTHER = "other"

CALL_LABELS = (
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "server_address",
    "server_port",
)


class LlmMetrics:
    """
    The metric families of model calls in one registry; one object a process, shared by its models.

    What each means and what to do about it is in shared/telemetry/catalogue.py.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "Duration of one model call, failed ones included.",
            (*CALL_LABELS, "error_type"),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self.tokens = Histogram(
            "gen_ai_client_token_usage",
            "Billable tokens of one model call.",
            (*CALL_LABELS, "gen_ai_token_type"),
            buckets=TOKEN_BUCKETS,
            registry=registry,
        )
        self.retries = Counter("holdfast_llm_retries_total", "Model calls sent again.", ("reason",), registry=registry)
        self.retries_denied = Counter(
            "holdfast_llm_retries_denied_total",
            "Model calls not sent again although that might have helped.",
            ("cause",),
            registry=registry,
        )
        self.circuit = Gauge(
            "holdfast_circuit_state",
            "State of the circuit breaker: 0 closed, 1 half open, 2 open.",
            ("provider",),
            registry=registry,
        )
        self.wait = Histogram(
            "holdfast_rate_limit_wait_seconds",
            "Wait for permission to send a model call.",
            ("limit",),
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self.invalid = Counter(
            "holdfast_structured_output_invalid_total",
            "Answers that were not what their schema asks.",
            ("provider", "purpose", "kind"),
            registry=registry,
        )
        self.in_flight = Gauge("holdfast_llm_in_flight", "Model calls under way.", ("provider",), registry=registry)
        self.in_flight_limit = Gauge(
            "holdfast_llm_in_flight_limit",
            "Model calls allowed at once.",
            ("provider",),
            registry=registry,
        )
        self.schema_enforced = Gauge(
            "holdfast_llm_schema_enforced",
            "Whether the endpoint enforces answer schemas: 1 yes, 0 no.",
            ("provider",),
            registry=registry,
        )
        self._names: set[str] = set()

    def bounded_name(self, model: str) -> str:
        """*model* as a label: what an endpoint calls itself is its own choice, so only so many names are kept."""
        if model not in self._names:
            if len(self._names) >= MODEL_NAMES_MAX:
                return OTHER
            self._names.add(model)
        return model
