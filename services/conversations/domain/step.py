"""
One step of a conversation: the state being worked on, what the step may look at, and what it has made known so far.
"""

from dataclasses import dataclass, field

from services.conversations.domain.admission import Admission
from services.conversations.domain.bounds import Bounds
from services.conversations.domain.effects import Acknowledged, Asked, Closed, Note, Opened
from services.conversations.domain.state import ConversationState, OpenTurn
from shared.events.envelope import Address
from shared.playbook.directory import Directory
from shared.playbook.model import Fallbacks, Limits

NO_PLAYBOOK = Limits()
"""What a conversation is held to whose agent has no playbook."""


@dataclass(slots=True)
class Step:
    """
    `cause` is the id of the event that the step follows from (empty when it is the passing of time), `traceparent`
    that of the span which the step is. `older_release` tells that the event came where only an older release writes,
    which does not know newer fields.
    """

    address: Address
    state: ConversationState
    now_ms: int
    playbooks: Directory
    bounds: Bounds
    admission: Admission
    cause: str = ""
    traceparent: str = ""
    older_release: bool = False
    effects: list[Opened | Closed | Asked | Acknowledged] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def limits(self, agent: str) -> Limits:
        """The limits of *agent*'s playbook in force; the default ones where there is none."""
        found = self.playbooks.current(self.address.tenant, agent)
        return found[1].limits if found else NO_PLAYBOOK

    def fallbacks(self, turn: OpenTurn) -> Fallbacks | None:
        """
        The fallback texts of *turn*'s playbook version. Where that version was retired meanwhile, those in force;
        None where the tenant has no such agent (any more).
        """
        playbook = self.playbooks.version(self.address.tenant, turn.agent, turn.playbook_version)
        if playbook is None:
            found = self.playbooks.current(self.address.tenant, turn.agent)
            playbook = found[1] if found else None
        return playbook.fallbacks if playbook else None
