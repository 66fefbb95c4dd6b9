"""
Settings of the matcher's process.
"""

from pydantic import Field

from shared.llm.embeddings import EmbeddingsSettings
from shared.llm.settings import LlmSettings
from shared.settings import Section
from shared.stage.process import StageProcessSettings


class MatchingSettings(Section):
    """Limits of matching (section `matcher`)."""

    temperature: float = Field(0.1, ge=0, le=1, description="of the sampling of matching's answers")
    model_share: float = Field(
        0.4, gt=0, le=1, description="of a turn's time from opening to deadline, that matching may use"
    )
    model_wait_max_seconds: float = Field(
        20.0, gt=0, description="from a turn's opening, however late its deadline; then the playbook's policy decides"
    )
    playbook_wait_max_seconds: float = Field(
        10.0, ge=0, description="from a turn's opening, that a playbook version may be missing before the turn fails"
    )
    output_tokens_base: int = Field(400, ge=1, description="of the answer, whatever it is about")
    output_tokens_per_guideline: int = Field(
        120, ge=1, description="of the answer, which is asked for anew where it is longer"
    )
    compiled_bytes_max: int = Field(
        536_870_912, ge=1, description="of all tenants' playbook versions kept ready for matching (3.6 kB a guideline)"
    )
    vectors_bytes_max: int = Field(
        268_435_456, ge=1, description="of all tenants' guidelines as vectors (1 byte a dimension and guideline)"
    )
    retrieved_max: int = Field(
        24, ge=1, le=40, description="guidelines found by similarity, where there are too many to ask about all"
    )
    unspoken_max: int = Field(
        16, ge=0, le=24, description="guidelines asked about although their conditions name nothing that is said"
    )
    guidelines_per_call_max: int = Field(
        64, ge=1, description="asked about in one model call; more are divided over several"
    )
    guideline_chars_per_call_max: int = Field(
        60_000, ge=1, description="of the texts of the guidelines that one model call asks about"
    )
    calls_at_once_max: int = Field(4, ge=1, description="of the model calls that a divided turn makes")


class MatcherSettings(StageProcessSettings):
    """What the matcher reads from its environment."""

    llm: LlmSettings = LlmSettings()
    embeddings: EmbeddingsSettings = EmbeddingsSettings()
    matcher: MatchingSettings = MatchingSettings()
