"""
What every part of a playbook has in common.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Identifier = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")


class Part(BaseModel):
    """A part of a playbook: frozen, and refusing what it does not know, so that a misspelt key is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")
