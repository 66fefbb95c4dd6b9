"""
Settings of the reasoner, sections `reasoner` and `outgoing`, beside those of every stage process and of the model.
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
    tool_calls_max: int = Field(8, ge=0, le=16, description="of one turn, over all its legs")
    tool_calls_at_once_max: int = Field(4, ge=1, description="of one turn, those that only read")
    legs_max: int = Field(6, ge=1, le=50, description="after which results no longer lead to matching anew")


class OutgoingSection(Section):
    """
    Which hosts the reasoner's tools and retrievers may reach, and how. An entry is `name`, `name:port`, `name:*` or
    `*.name`; without a port it is the scheme's own. Addresses of link-local, multicast and metadata services are never
    reached.
    """

    allowed_hosts: str = Field("", description="hosts that may be reached by https at public addresses, by commas")
    private_hosts: str = Field(
        "", description="hosts that may also be reached by http and at private or loopback addresses, by commas"
    )
    secrets_directory: str = Field("", description="where `secret:NAME` of a header is read from, as the file NAME")
    connections_max: int = Field(256, ge=1, description="open at once, to all hosts together")
    host_connections_max: int = Field(32, ge=1, description="open at once to one host for one tenant; more wait")
    tenant_requests_max: int = Field(64, ge=1, description="under way at once of one tenant; more wait")
    tenant_lookups_max: int = Field(2, ge=1, description="names of one tenant looked up at once; more wait")
    connect_timeout_seconds: float = Field(3.0, gt=0, description="for a connection to stand")
    answer_bytes_max: int = Field(
        65_536, ge=1, le=131_072, description="of an answer, where nothing smaller is declared; results travel by Kafka"
    )
    retries_max: int = Field(2, ge=0, le=10, description="of one tool call, where it is harmless to make it again")
    retry_wait_first_seconds: float = Field(0.2, gt=0, description="longest wait before the first retry; then twice")
    retry_after_max_seconds: float = Field(5.0, ge=0, description="a longer wait that a tool asks for is cut to this")


class ReasonerSettings(StageProcessSettings):
    """All that the reasoner's process reads."""

    llm: LlmSettings = LlmSettings()
    reasoner: ReasonerSection = ReasonerSection()
    outgoing: OutgoingSection = OutgoingSection()
