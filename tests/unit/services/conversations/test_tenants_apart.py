"""
A tenant with a topic of its own is believed there alone.
"""

import pytest

from services.conversations.stage import ConversationLedger
from shared.errors import Fatal, Invalid
from shared.events.conversation import Author, MessagePosted
from shared.events.topics import (
    CONVERSATION_DECISIONS,
    CONVERSATION_EVENTS,
    TURNS_CLOSED,
    shared_topic,
    tenant_named_by,
    tenant_topic,
)
from shared.settings import read_settings
from shared.stage.process import StageProcessSettings


@pytest.fixture
def apart(world):
    """A ledger where `tenants` have topics of their own; the driver's tenant is `bank`."""

    def make(*tenants):
        w = world()
        w.ledger = ConversationLedger(w.playbooks, w.ledger._bounds, w.ledger._metrics, tenants_apart=tenants)
        return w

    return make


def post(w, topic):
    body = MessagePosted(agent="desk", author=Author.CUSTOMER, text="hello")
    return w.event("message.posted", body, topic=topic)


def test_its_events_count_on_its_topic(apart):
    w = apart("bank")
    post(w, tenant_topic("bank"))
    assert len(w.opened) == 1
    w.finish()
    assert w.outcomes == [("answered", "")]


@pytest.mark.parametrize(
    ("tenants", "topic"),
    [
        (("bank",), CONVERSATION_EVENTS),
        (("bank", "acme"), tenant_topic("acme")),
        (("acme",), tenant_topic("acme")),
        (("acme",), tenant_topic("bank")),
    ],
    ids=["bank's on the shared topic", "bank's on acme's", "a sharer's on acme's", "on the topic of a tenant unnamed"],
)
def test_anywhere_else_they_are_refused(apart, tenants, topic):
    w = apart(*tenants)
    with pytest.raises(Invalid) as refused:
        post(w, topic)
    assert refused.value.reason == "tenant_mismatch"


def test_tenants_without_a_topic_share_the_common_one(apart):
    w = apart("acme")
    post(w, CONVERSATION_EVENTS)
    assert len(w.opened) == 1


def test_a_topic_names_its_tenant():
    assert tenant_topic("acme") == "tenant.acme.conversation.events"
    assert tenant_named_by(tenant_topic("acme")) == "acme"
    assert [tenant_named_by(name) for name in (CONVERSATION_EVENTS, "turns.opened", "tenant.acme.turns")] == [
        "",
        "",
        "",
    ]
    assert tenant_named_by("tenant.acme.conversation.decisions") == "acme"
    assert shared_topic("tenant.acme.conversation.decisions") == CONVERSATION_DECISIONS
    assert shared_topic("tenant..conversation.events") == "tenant..conversation.events"


def test_the_setting_names_tenants_by_commas():
    kafka = read_settings(StageProcessSettings, {"HOLDFAST_KAFKA_TENANT_TOPICS": "acme, globex,acme,"}).kafka
    assert kafka.tenants_apart == ("acme", "globex")
    assert kafka.received_topics == (
        CONVERSATION_EVENTS,
        tenant_topic("acme"),
        tenant_topic("globex"),
        CONVERSATION_DECISIONS,
        tenant_topic("acme", CONVERSATION_DECISIONS),
        tenant_topic("globex", CONVERSATION_DECISIONS),
    )
    assert kafka.topic_for("acme", CONVERSATION_DECISIONS) == "tenant.acme.conversation.decisions"
    assert kafka.topic_for("bank", CONVERSATION_EVENTS) == CONVERSATION_EVENTS
    assert kafka.topic_for("acme", TURNS_CLOSED) == TURNS_CLOSED
    with pytest.raises(Fatal, match=r"HOLDFAST_KAFKA_TENANT_TOPICS.*'Acme'"):
        read_settings(StageProcessSettings, {"HOLDFAST_KAFKA_TENANT_TOPICS": "Acme"})
