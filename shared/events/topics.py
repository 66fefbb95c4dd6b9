"""
The one table of topics: name, what travels on it, how long it is kept.

Every topic but `playbooks` has the same number of partitions and the key `{tenant}:{conversation}`, so that a
conversation has one partition number throughout; what a stage writes goes to the partition number that it read from.
"""

from dataclasses import dataclass
from typing import Literal

from shared.events import claims, conversation, release, turns
from shared.events.base import Body
from shared.events.verified import TurnVerified

DAY_MS = 86_400_000

CONVERSATION_EVENTS = "conversation.events"
CONVERSATION_DECISIONS = "conversation.decisions"
CONVERSATION_RESPONSES = "conversation.responses"
TURNS_OPENED = "turns.opened"
TURNS_MATCHED = "turns.matched"
TURNS_DRAFTED = "turns.drafted"
TURNS_FINISHED = "turns.finished"
TURNS_VERIFIED = "turns.verified"
TURNS_CLOSED = "turns.closed"
CLAIMS_JUDGED = "claims.judged"
CONVERSATION_RELEASES = "conversation.releases"
CONVERSATIONS_STATE = "conversations.state"
PLAYBOOKS = "playbooks"
DEAD_LETTERS = "dead.letters"
OBSERVER_CONVERSATIONS = "observer-conversations-changelog"
"""The changelog of the observer's table of conversations, which Faust names and the observer alone writes."""

RECEIVED_FROM_TENANTS = (CONVERSATION_EVENTS, CONVERSATION_DECISIONS)
"""What platforms and approvers write; each exists once more for every tenant that has topics of its own."""

_TENANT_PREFIX = "tenant."


def tenant_topic(tenant: str, topic: str = CONVERSATION_EVENTS) -> str:
    """
    Where the records of *topic* come that are about *tenant*, where it has topics of its own: a broker's rules can keep
    others from writing there, as they cannot from naming the tenant in a key of the shared topic.
    """
    return f"{_TENANT_PREFIX}{tenant}.{topic}"


def tenant_named_by(topic: str) -> str:
    """Whose topic *topic* is; empty for one that tenants share."""
    shared = shared_topic(topic)
    return topic[len(_TENANT_PREFIX) : -len(shared) - 1] if shared != topic else ""


def shared_topic(topic: str) -> str:
    """The topic that *topic* is a tenant's own of, by which its types are found; *topic* itself for one they share."""
    if topic.startswith(_TENANT_PREFIX):
        for name in RECEIVED_FROM_TENANTS:
            if topic.endswith(f".{name}") and len(topic) > len(_TENANT_PREFIX) + len(name) + 1:
                return name
    return topic


@dataclass(frozen=True, slots=True)
class Topic:
    """
    A topic as it should exist. `types` maps each CloudEvents type on it to its body; empty where the records are not
    events.
    """

    name: str
    types: dict[str, type[Body]]
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int = 7 * DAY_MS
    partitioned_by_conversation: bool = True


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic(
            CONVERSATION_EVENTS,
            {
                "message.posted": conversation.MessagePosted,
                "conversation.mode_changed": conversation.ModeChanged,
                "variable.set": conversation.VariableSet,
                "conversation.closed": conversation.ConversationClosed,
                "conversation.erased": conversation.ConversationErased,
            },
        ),
        Topic(CONVERSATION_DECISIONS, {"approval.given": conversation.ApprovalGiven}),
        Topic(TURNS_OPENED, {"turn.opened": turns.TurnOpened}, retention_ms=DAY_MS),
        Topic(TURNS_MATCHED, {"turn.matched": turns.TurnMatched}, retention_ms=DAY_MS),
        Topic(TURNS_DRAFTED, {"turn.drafted": turns.TurnDrafted}, retention_ms=DAY_MS),
        Topic(TURNS_FINISHED, {"turn.finished": turns.TurnFinished}, retention_ms=DAY_MS),
        Topic(TURNS_VERIFIED, {"turn.verified": TurnVerified}, retention_ms=DAY_MS),
        Topic(
            CONVERSATION_RESPONSES,
            {
                "response.sent": conversation.ResponseSent,
                "approval.requested": conversation.ApprovalRequested,
                "acknowledgement.sent": conversation.AcknowledgementSent,
            },
        ),
        Topic(TURNS_CLOSED, {"turn.closed": turns.TurnClosed}, retention_ms=30 * DAY_MS),
        Topic(CLAIMS_JUDGED, {"claim.judged": claims.ClaimJudged}, retention_ms=90 * DAY_MS),
        Topic(CONVERSATION_RELEASES, {release.RELEASED: release.ConversationReleased}),
        Topic(CONVERSATIONS_STATE, {}, cleanup="compact"),
        Topic(PLAYBOOKS, {}, cleanup="compact", partitioned_by_conversation=False),
        Topic(DEAD_LETTERS, {}, retention_ms=30 * DAY_MS),
    )
}


def holds_conversations(topic: str) -> bool:
    """Whether records on *topic* (without the namespace) belong to conversations, a tenant's own topic included."""
    declared = TOPICS.get(topic)
    return bool(tenant_named_by(topic)) if declared is None else declared.partitioned_by_conversation
