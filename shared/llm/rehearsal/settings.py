"""
Settings of the rehearsal model (section `rehearsal`), read from `HOLDFAST_REHEARSAL_*`.
"""

from typing import Annotated

from pydantic import ConfigDict, Field

from shared.settings import Section

Rate = Annotated[float, Field(ge=0, le=1)]


class RehearsalSettings(Section):
    """
    How the stand-in behaves. Rates are shares of requests (`error_rate`, `malformed_rate`), of the claims it makes
    (`hallucination_rate`), of the mistakes it is shown (`verifier_miss_rate`) and of the questions that it could answer
    (`verifier_false_alarm_rate`).
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    base_latency_seconds: float = Field(default=0.0, ge=0)
    """Before any answer."""
    seconds_per_output_token: float = Field(default=0.0, ge=0)
    """On top of it, by the answer's length."""
    error_rate: Rate = 0.0
    """429 and 500, half each; a request that is sent again is drawn anew, as an overload passes."""
    malformed_rate: Rate = 0.0
    """Truncated, in prose, wrong in enum, empty, refused, or 1 MB long: a sixth each."""
    hallucination_rate: Rate = 0.0
    """Of its claims that say something else than their source."""
    verifier_miss_rate: Rate = 0.0
    """Of the mistakes shown to it that it takes for right."""
    verifier_false_alarm_rate: Rate = 0.0
    """Of the questions that the facts answer, those to which it says that they do not."""
    seed: int = 0
    """The same seed and requests give the same answers, errors and mistakes."""
    retry_after_seconds: float = Field(default=0.1, ge=0)
    """What a 429 asks for."""
