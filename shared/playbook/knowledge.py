"""
What a playbook declares of what replies may know: variables with their freshness, and retrievers of documents.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.playbook.headers import Headers
from shared.playbook.part import NAMES_MAX, Identifier, Name, Part

VariableName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class VariableScope(StrEnum):
    """
    Whose a variable is.

    * conversation, customer: the platform tells the value to each conversation (`variable.set`), which keeps it.
      Conversations share no state, so what is true of a customer is told to each of theirs.
    * tenant: the value stands in the playbook; no event can change it.
    """

    CONVERSATION = "conversation"
    CUSTOMER = "customer"
    TENANT = "tenant"


class Variable(Part):
    """A value that replies may state and approved texts may be filled with."""

    name: VariableName
    description: str = Field("", max_length=1_000)
    scope: VariableScope = VariableScope.CONVERSATION
    value: str = Field("", max_length=4_096, description="of scope `tenant` only")
    fresh_seconds: float | None = Field(
        None, gt=0, le=31_536_000, description="from `variable.set`; later the value is out of date and not stated"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.scope is VariableScope.TENANT) != bool(self.value):
            raise ValueError(f"variable {self.name!r}: one of scope `tenant` needs a `value`, and no other has one")
        return self


class Retriever(Part):
    """
    An HTTP endpoint that finds documents for what the customer asks.

    It is sent `{"query": ..., "top_k": ...}` as JSON (POST) or as the query of the address (GET), and answers with a
    list, or with an object that has one under `documents`, of objects with `text`, and `source` where there is one.
    A header's value may be `secret:NAME`, as for tools.
    """

    id: str = Identifier
    url: str = Field(min_length=1, max_length=2_000, pattern=r"^https?://")
    method: Literal["GET", "POST"] = "POST"
    guidelines: tuple[Name, ...] = Field(
        (), max_length=NAMES_MAX, description="asked only while one of these is active; without any, always"
    )
    headers: Headers = Field(default_factory=dict)
    top_k: int = Field(5, ge=1, le=20)
    document_chars_max: int = Field(1_500, ge=1, le=8_000, description="of one document; the rest is cut off")
    timeout_seconds: float = Field(3.0, gt=0, le=30)
    result_bytes_max: int = Field(65_536, ge=1, le=262_144)
