"""
Settings of the conversations service, section `conversations`.
"""

from typing import Self

from pydantic import Field, model_validator

from shared.settings import Section
from shared.stage.process import StageProcessSettings

_DAY_SECONDS = 86_400


class ConversationsSection(Section):
    """What bounds a conversation's state; limits that together do not keep it within a record are refused."""

    covers_max: int = Field(100, ge=1, le=150, description="messages that one turn answers; a burst is cut there")
    seen_events_max: int = Field(
        128, ge=1, le=2_000, description="events of a conversation that are recognised when they are repeated"
    )
    history_bytes_max: int = Field(
        262_144, ge=1_024, le=393_216, description="of the transcript kept; the playbook's window is usually smaller"
    )
    variables_bytes_max: int = Field(
        65_536, ge=1_024, le=98_304, description="of a conversation's variables and when each was set, as JSON"
    )
    journeys_bytes_max: int = Field(16_384, ge=1_024, le=65_536, description="of its journey positions, as JSON")
    calls_max: int = Field(
        16, ge=1, le=64, description="tool calls kept in mind: waiting for approval or a result, or not yet told of"
    )
    calls_bytes_max: int = Field(
        131_072, ge=8_192, le=163_840, description="of these calls with their results, as JSON; a longer result is cut"
    )
    legs_max: int = Field(16, ge=2, le=64, description="passes of one turn through the stages; beyond, it fails")
    grant_seconds: float = Field(
        3_600.0, ge=1, description="a call that was allowed and not reported on for so long is of unknown outcome"
    )
    applied_max: int = Field(200, ge=1, le=500, description="performed guidelines remembered, the latest ones")
    erasure_retention_seconds: float = Field(
        7 * _DAY_SECONDS,
        ge=_DAY_SECONDS,
        description="how long an erased conversation refuses what arrives; no shorter than the topics' retention",
    )
    idle_retention_seconds: float = Field(
        30 * _DAY_SECONDS, ge=_DAY_SECONDS, description="after its last event a conversation is forgotten"
    )
    tenant_turns_per_minute: float = Field(
        0.0,
        ge=0,
        description="turns that each tenant may open, of all processes together; 0 is no limit. Needs `partitions`",
    )
    tenant_turns_burst: int = Field(20, ge=1, description="turns that a tenant may open at once beyond that rate")
    tenant_wait_max_seconds: float = Field(
        10.0, ge=0, le=3_600, description="a turn over its tenant's budget waits so long at most; else it is refused"
    )
    tenants_max: int = Field(
        10_000, ge=1, description="tenants whose budget is kept track of, the least recent one forgotten first"
    )
    partitions: int = Field(
        0,
        ge=0,
        description="of the topics; where given, a new conversation whose key belongs to another partition by Kafka's "
        "own hash (murmur2) is refused as `misrouted`. 0 takes any consistent partitioner, as librdkafka's CRC32",
    )

    verified_from_finished: bool = Field(
        default=False,
        description="believe verified replies on `turns.finished` too, where verifiers of an older release write them; "
        "only while one of those runs (docs/operations.md, Upgrade)",
    )
    approvals_from_events: bool = Field(
        default=False,
        description="take `approval.given` on `conversation.events` too, where approvers of an older release write it; "
        "only until all of them write on `conversation.decisions`",
    )

    @model_validator(mode="after")
    def _budget_is_shared(self) -> Self:
        if self.tenant_turns_per_minute and not self.partitions:
            raise ValueError(
                "a budget of turns is divided among the processes by their share of the partitions: give "
                "HOLDFAST_CONVERSATIONS_PARTITIONS as well"
            )
        return self


class ConversationsSettings(StageProcessSettings):
    """Everything that the process reads."""

    conversations: ConversationsSection = ConversationsSection()
