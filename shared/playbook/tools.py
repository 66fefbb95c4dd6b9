"""
The tools that a playbook declares: what they need, where each value may come from, and how they are called.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.playbook.headers import Headers, OptionalHeaderName
from shared.playbook.part import Identifier, Name, Part, Whole

ParameterName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
Scalar = str | Whole | float | bool


class ParameterType(StrEnum):
    """What a parameter's value is; a date is ISO 8601."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"


class ValueSource(StrEnum):
    """
    Where a parameter's value may come from.

    * customer: only what the customer said or the platform set as a variable; never guessed from the rest.
    * context: only what is known of the conversation otherwise (variables, facts, earlier results).
    * any: either.
    """

    CUSTOMER = "customer"
    CONTEXT = "context"
    ANY = "any"


class Parameter(Part):
    """A value that a tool needs. Of those missing, only the lowest `precedence` is asked for, then the next."""

    name: ParameterName
    type: ParameterType = ParameterType.STRING
    description: str = Field("", max_length=1_000)
    significance: str = Field("", max_length=1_000, description="what it is needed for, should the customer ask")
    examples: tuple[str, ...] = Field((), max_length=10)
    choices: tuple[str, ...] = Field((), max_length=100, description="the only values that it may have")
    pattern: str = Field(
        "", max_length=200, description="of a text, what it fits as a whole: a regular expression of RE2"
    )
    required: bool = True
    default: Scalar | None = None
    source: ValueSource = ValueSource.ANY
    precedence: int = Field(0, ge=0, le=100)
    hidden: bool = Field(default=False, description="never asked of the customer by name")


class HttpCall(Part):
    """
    A call of an HTTP endpoint. In `url`, `{parameter}` stands for a value, percent-encoded; what neither `url` nor
    `query` names goes into the JSON body (of POST, PUT, PATCH) or the query (of GET, DELETE).

    A header's value may be `secret:NAME`, which is read from the file NAME in the secrets' folder.
    """

    url: str = Field(min_length=1, max_length=2_000, pattern=r"^https?://")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: Headers = Field(default_factory=dict)
    query: tuple[ParameterName, ...] = Field((), max_length=32)
    idempotency_header: OptionalHeaderName = Field(
        "", max_length=64, description="the header by which the endpoint recognises a repeated call, if it does"
    )
    timeout_seconds: float = Field(10.0, gt=0, le=120)
    result_bytes_max: int = Field(32_768, ge=1, le=262_144)


class McpCall(Part):
    """A tool of an MCP server over streamable HTTP (Model Context Protocol, 2025-06-18); headers as in `HttpCall`."""

    url: str = Field(min_length=1, max_length=2_000, pattern=r"^https?://")
    tool: str = Field("", max_length=128, description="its name on the server; without, the tool's own id")
    headers: Headers = Field(default_factory=dict)
    timeout_seconds: float = Field(10.0, gt=0, le=120)
    result_bytes_max: int = Field(32_768, ge=1, le=262_144)


class Tool(Part):
    """
    Something that may be done or looked up for a customer, by exactly one of `http` and `mcp`.

    A guideline or a journey's state that names the tool makes it a candidate when it is active. What is
    `consequential` changes the world: it is done at most once, by the ledger's leave, with `approval` after a
    person's.
    """

    id: str = Identifier
    description: str = Field(min_length=1, max_length=2_000)
    parameters: tuple[Parameter, ...] = Field((), max_length=32)
    http: HttpCall | None = None
    mcp: McpCall | None = None
    consequential: bool = False
    approval: bool = Field(default=False, description="a person must allow each call")
    approval_seconds: float = Field(3_600.0, gt=0, le=604_800, description="how long an approval is waited for")
    text_speaks: bool = Field(
        default=False,
        description="what its text says under `holdfast` sets fields, guidelines and the mode, as JSON does",
    )
    overlap: Name | None = Field(None, description="tools of one name here do alike; the best fitting one is called")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.http is None) == (self.mcp is None):
            raise ValueError(f"tool {self.id!r} needs exactly one of `http` and `mcp`")
        if self.approval and not self.consequential:
            raise ValueError(f"tool {self.id!r} asks for approval, so it must be `consequential`")
        return self
