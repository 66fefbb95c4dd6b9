"""
Settings of the model endpoint (section `llm`), read from `HOLDFAST_LLM_*`.
"""

from typing import Annotated, ClassVar, Literal

import httpx
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from shared.settings import Section

Provider = Literal["openai", "anthropic"]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]
PORT_MAX = 65_535


class LlmSettings(Section):
    """
    Where the model is, and how far it may be trusted with time, size and load.

    All limits are those of one process: an endpoint that many processes share is to be divided among them.
    """

    # A rejected key must not be quoted.
    model_config = ConfigDict(hide_input_in_errors=True, use_attribute_docstrings=True)

    operation: ClassVar[str] = "chat"
    """What its metrics call its calls."""

    url: str = "http://127.0.0.1:8081/v1"
    """
    Base address; `/chat/completions` (openai) or `/messages` (anthropic) is appended to its path, before a query if it
    has one.
    """
    key: SecretStr = SecretStr("")
    """Empty: no key is sent."""
    model: str = Field(default="rehearsal", min_length=1)
    """The model's name, as the endpoint knows it."""
    provider: Provider = "openai"
    """The protocol: `openai` is any OpenAI-compatible chat completions endpoint."""

    output_limit_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """OpenAI's reasoning models accept only the latter, most other servers only the former."""
    send_temperature: bool = True
    """Off for models that reject a temperature (the reasoning models of both vendors)."""
    prompt_cache_key: bool = False
    """
    OpenAI: send a key that routes requests with the same static part to the same cache; other servers may reject it.
    """

    connect_timeout_seconds: Seconds = 5.0
    """For a connection to stand."""
    first_byte_timeout_seconds: Seconds = 30.0
    """An answer is not streamed, so its first byte comes when all of it has been generated."""
    chunk_timeout_seconds: Seconds = 10.0
    """Between two reads of an answer under way."""
    total_timeout_seconds: Seconds = 60.0
    """Of one attempt; the request's own deadline may be nearer."""
    answer_bytes_max: int = Field(default=1_048_576, ge=1_024)
    """A longer answer is discarded, and read no further."""
    output_tokens_max: int = Field(default=16_384, ge=1)
    """Ceiling on what a request may ask for."""

    requests_per_minute: float = Field(default=0, ge=0)
    """Of all tenants together; 0 = no limit."""
    tokens_per_minute: float = Field(default=0, ge=0)
    """Input and output of all tenants together; 0 = no limit."""
    tenant_requests_per_minute: float = Field(default=0, ge=0)
    """Of each tenant; 0 = no limit."""
    tenant_tokens_per_minute: float = Field(default=0, ge=0)
    """Of each tenant; 0 = no limit."""
    burst_seconds: Seconds = 10.0
    """A bucket holds this much of its rate: any minute sees at most `1 + burst_seconds / 60` of the limit."""
    tenants_max: int = Field(default=10_000, ge=1)
    """Buckets kept; the least recently used one is forgotten, which at worst grants that tenant one burst."""

    in_flight_max: int = Field(default=512, ge=1)
    """Calls and so connections at once; each takes a file descriptor."""
    in_flight_min: int = Field(default=2, ge=1)
    """The adaptive limit never falls below this."""
    waiting_max: int = Field(default=10_000, ge=1)
    """Calls that may wait for a free place."""
    fair_chance_seconds: float = Field(default=5.0, ge=0)
    """A deadline that passes sooner after the call was sent is held against our own waits, not against the endpoint."""
    slow_seconds: float = Field(default=0, ge=0)
    """An answer that took longer counts as congestion; 0 = only errors do."""

    retries_max: int = Field(default=3, ge=0, le=10)
    """Of one call, after its first attempt."""
    retry_wait_first_seconds: Seconds = 0.5
    """Before the first retry; it doubles, with jitter."""
    retry_wait_max_seconds: Seconds = 8.0
    """It doubles no further than this."""
    retry_after_max_seconds: Seconds = 120.0
    """A longer wait that the endpoint asks for is cut to this."""
    retry_share_max: Share = 0.1
    """Retries as a share of calls, so that retries cannot multiply an overload."""
    retry_floor_per_second: float = Field(default=1.0, ge=0)
    """Retries that are allowed at any rate of calls."""

    circuit_window_seconds: Seconds = 30.0
    """The past that the circuit breaker looks at."""
    circuit_calls_min: int = Field(default=20, ge=1)
    """With fewer calls in the window it never opens."""
    circuit_failure_share: Share = 0.5
    """Of the calls in the window that failed, at which it opens."""
    circuit_probe_seconds: Seconds = 10.0
    """While the circuit is open, one call is let through each time this has passed."""

    probe_timeout_seconds: Seconds = 15.0
    """Of the enforcement probe at start, retries included."""

    @property
    def place(self) -> str:
        """The address as it may be told: without a query, which may hold a key."""
        return self.url.partition("?")[0]

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        try:
            url = httpx.URL(value)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ValueError(f"not an address: {error}") from None
        if url.port is not None and not 0 < url.port <= PORT_MAX:
            raise ValueError(f"the port is {url.port}; it must be 1 to {PORT_MAX}")
        if url.fragment:
            raise ValueError("leave the fragment (`#` and what follows) out of the address")
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("give a whole address, as in https://api.openai.com/v1")
        if url.userinfo:
            raise ValueError("give the key as HOLDFAST_LLM_KEY (or HOLDFAST_LLM_KEY_FILE), not inside the address")
        return value.rstrip("/")

    @field_validator("key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ValueError("a key is printable ASCII without blanks; is a line break or a quote in it?")
        return value

    @model_validator(mode="after")
    def _limits_agree(self) -> "LlmSettings":
        if self.in_flight_min > self.in_flight_max:
            raise ValueError("in_flight_min must not exceed in_flight_max")
        return self
