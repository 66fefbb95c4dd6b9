"""
Settings of the observer, section `observer`.
"""

from pydantic import Field

from shared.settings import Section
from shared.stage.process import StageProcessSettings

_DAY_SECONDS = 86_400


class ObserverSection(Section):
    """What the observer keeps, and where it shows it."""

    web_host: str = Field("127.0.0.1", description="the address that the views listen on")
    web_port: int = Field(
        0, ge=0, le=65_535, description="their port; 0 takes a free one, which the start-up log names"
    )
    arms_max: int = Field(8, ge=1, le=64, description="experiment arms shown by name, the largest; others are `other`")
    refresh_seconds: float = Field(5.0, gt=0, le=300, description="between two sums of the windows")
    commit_interval_seconds: float = Field(
        1.0, gt=0, le=60, description="between two commits of what was read; a crash repeats as much, without effect"
    )
    conversation_retention_seconds: float = Field(
        _DAY_SECONDS, ge=60, le=30 * _DAY_SECONDS, description="a conversation's last state is shown for so long"
    )
    conversations_max: int = Field(
        200_000, ge=1, le=10_000_000, description="last states held; beyond it the oldest are let go"
    )


class ObserverSettings(StageProcessSettings):
    """Everything that the process reads."""

    observer: ObserverSection = ObserverSection()
