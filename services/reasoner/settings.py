"""
Settings of the reasoner, section `reasoner`, beside those of every stage process and of the model.
"""

from pydantic import Field

from shared.llm.settings import LlmSettings
from shared.settings import Section
from shared.stage.process import StageProcessSettings


class ReasonerSection(Section):
    """How drafts are asked for."""

    temperature: float = Field(0.1, ge=0, le=1, description="of the first attempt; the second is made hotter")
    model_share: float = Field(
        0.8, gt=0, le=1, description="share of a turn's time, from its opening, after which no answer is waited for"
    )
    output_tokens_max: int = Field(8_192, ge=256, description="ceiling on what a draft may cost, reasoning included")


class ReasonerSettings(StageProcessSettings):
    """All that the reasoner's process reads."""

    llm: LlmSettings = LlmSettings()
    reasoner: ReasonerSection = ReasonerSection()
