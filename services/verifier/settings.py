"""
Settings of the verifier, section `verifier`, beside those of every stage process and of the model.
"""

from pydantic import Field

from shared.llm.settings import LlmSettings
from shared.settings import Section
from shared.stage.process import StageProcessSettings


class VerifierSection(Section):
    """How a model is asked."""

    temperature: float = Field(0.0, ge=0, le=1, description="of the first attempt; the second is made hotter")
    model_share: float = Field(
        0.97, gt=0, le=1, description="share of a turn's time, from its opening, after which no answer is waited for"
    )
    output_tokens_max: int = Field(4_096, ge=256, description="ceiling on what one answer may cost")


class VerifierSettings(StageProcessSettings):
    """All that the verifier's process reads."""

    llm: LlmSettings = LlmSettings()
    verifier: VerifierSection = VerifierSection()
