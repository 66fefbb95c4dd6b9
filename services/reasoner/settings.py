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
    host_connections_max: int = Field(32, ge=1, description="open at once to one host; more wait")
    connect_timeout_seconds: float = Field(3.0, gt=0, description="for a connection to stand")
    answer_bytes_max: int = Field(262_144, ge=1, description="of an answer, where nothing smaller is declared")


class ReasonerSettings(StageProcessSettings):
    """All that the reasoner's process reads."""

    llm: LlmSettings = LlmSettings()
    reasoner: ReasonerSection = ReasonerSection()
    outgoing: OutgoingSection = OutgoingSection()
