"""
The operator's settings: those of the broker and the model that its services will use.
"""

from pydantic import Field

from shared.broker.clients import KafkaSettings
from shared.broker.topics import TopicsSettings
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.settings import LlmSettings
from shared.settings import ProcessSettings, Section


class OperatorOwnSettings(Section):
    """What concerns the `holdfast` command alone."""

    folder: str = Field(".holdfast", description="where logs and local brokers are kept")
    ready_seconds_max: float = Field(45.0, gt=0, description="how long services may take to become ready")
    review_folder: str = Field(".holdfast/review", description="where `playbook check` keeps a model's answers")
    review_seconds_max: float = Field(300.0, gt=0, description="for one question of `playbook check` to the model")
    review_pairs_max: int = Field(400, ge=0, description="pairs of guidelines that the model compares at most")


class OperatorSettings(ProcessSettings):
    """All that the operator reads from the environment."""

    kafka: KafkaSettings = KafkaSettings()
    llm: LlmSettings = LlmSettings()
    rehearsal: RehearsalSettings = RehearsalSettings()
    topics: TopicsSettings = TopicsSettings()
    operator: OperatorOwnSettings = OperatorOwnSettings()
