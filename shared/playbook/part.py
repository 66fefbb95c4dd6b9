"""
What every part of a playbook has in common.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.events.base import INTEGER_MAX

NAMES_MAX = 200
"""Of the names in one list of a part: tags, tools, guidelines that a text is bound to."""
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Whole = Annotated[int, Field(ge=-INTEGER_MAX, le=INTEGER_MAX)]
"""An integer that every reader of JSON reads exactly."""
Identifier = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")


class Part(BaseModel):
    """A part of a playbook: frozen, and refusing what it does not know, so that a misspelt key is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")
