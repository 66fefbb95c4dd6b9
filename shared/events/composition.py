"""
How free a reply's wording is, and what an approved text was filled with.
"""

from enum import StrEnum

from pydantic import Field

from shared.events.base import Body
from shared.events.values import BoundedJson


class Composition(StrEnum):
    """
    How free a reply's wording is; the strictest among the matched guidelines wins.

    * fluid: the model words it.
    * composed: the model words it in the voice of the approved texts, which it may also rest on.
    * strict: approved texts only, their fields filled in by code.
    """

    FLUID = "fluid"
    COMPOSED = "composed"
    STRICT = "strict"


class FilledField(Body):
    """What stands for a field of an approved text; `fact_id` is the fact that it was taken from, if it is one."""

    name: str = Field(description="as the template writes it, such as `std.variables.plan`")
    value: BoundedJson
    fact_id: str = ""
