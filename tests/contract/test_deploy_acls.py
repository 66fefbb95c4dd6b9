"""
Each principal may do what its service does on the wire, and nothing else.

What a service does is read from its sources: the topics that it imports from the one table.
"""

import ast
import os
import shlex
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from services.observer.adapters.faust_app import GROUP, changelogs_of
from services.observer.settings import ObserverSettings
from services.operator.adapters.inputs import LEDGER_GROUP
from services.operator.adapters.letters import TRANSACTIONAL_ID
from shared.events import topics
from shared.events.topics import CONVERSATIONS_STATE, DEAD_LETTERS, PLAYBOOKS, TOPICS, tenant_topic

ROOT = Path(__file__).parents[2]
STAGES = ("conversations", "matcher", "reasoner", "verifier")


def granted(**environ):
    """What each principal is granted, as (operation, resource, name, pattern), by the script's calls."""
    done = subprocess.run(
        ["bash", str(ROOT / "deploy/kafka/acls.sh")],
        env={"PATH": os.environ["PATH"], "KAFKA_ACLS": "echo", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    found = defaultdict(set)
    for line in done.stdout.splitlines():
        words = shlex.split(line)
        principal = words[words.index("--allow-principal") + 1].removeprefix("User:")
        operation = words.index("--operation")
        pattern = "prefixed" if "--resource-pattern-type" in words else "literal"
        resource, name = words[operation + 2].removeprefix("--"), words[operation + 3]
        found[principal].add((words[operation + 1], resource, name, pattern))
    return found


@pytest.fixture(scope="module")
def acls():
    return granted()


def topics_in(service):
    """The topics that the sources of a service name, imported one by one or as `topics.NAME`."""
    named = set()
    for file in (ROOT / "services" / service).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.ImportFrom(module="shared.events.topics", names=aliases):
                    named |= {alias.name for alias in aliases}
                case ast.Attribute(value=ast.Name(id="topics"), attr=name):
                    named.add(name)
    constants = (getattr(topics, name) for name in named)
    return {constant for constant in constants if isinstance(constant, str)}


def names(acls, principal, resource, *operations):
    return {name for operation, kind, name, _ in acls[principal] if kind == resource and operation in operations}


@pytest.mark.parametrize("service", STAGES)
def test_a_stage_may_use_the_topics_that_its_sources_name(service, acls):
    # The runtimes write dead letters, and follow the playbooks, for every stage.
    expected = topics_in(service) | {DEAD_LETTERS, PLAYBOOKS}

    assert names(acls, service, "topic", "Read", "Write") == expected


@pytest.mark.parametrize("service", STAGES)
def test_a_stage_writes_no_topic_that_it_reads_but_its_own_state(service, acls):
    both = names(acls, service, "topic", "Read") & names(acls, service, "topic", "Write")

    assert both == ({CONVERSATIONS_STATE} if service == "conversations" else set())


def test_only_the_ledger_writes_what_leaves(acls):
    leaving = {topics.CONVERSATION_RESPONSES, topics.TURNS_CLOSED, topics.CLAIMS_JUDGED, CONVERSATIONS_STATE}

    for principal in acls:
        written = names(acls, principal, "topic", "Write") & leaving
        assert written == (leaving if principal == "conversations" else set()), principal


def writers(acls, topic):
    return {who for who in acls if topic in names(acls, who, "topic", "Write")}


def test_only_people_publish_playbooks(acls):
    assert writers(acls, PLAYBOOKS) == {"operator"}


def test_only_people_decide_and_what_relays_messages_does_not(acls):
    assert writers(acls, topics.CONVERSATION_DECISIONS) == {"approver", "operator"}
    assert names(acls, "approver", "topic", "Write") == {topics.CONVERSATION_DECISIONS}


def test_only_the_verifier_says_that_a_text_is_verified(acls):
    assert writers(acls, topics.TURNS_VERIFIED) == {"verifier"}
    assert names(acls, "verifier", "topic", "Write") == {topics.TURNS_VERIFIED, DEAD_LETTERS}


@pytest.mark.parametrize("service", [*STAGES, GROUP])
def test_a_service_joins_its_own_group_and_no_other(service, acls):
    assert names(acls, service, "group", "Read") == {service}


def test_only_the_ledger_has_transactions_under_its_own_name(acls):
    held = {who: {grant for grant in grants if grant[1] == "transactional-id"} for who, grants in acls.items()}

    assert held.pop("conversations") == {
        (operation, "transactional-id", "conversations.", "prefixed") for operation in ("Write", "Describe")
    }
    assert {name for _, _, name, _ in held.pop("operator")} == {TRANSACTIONAL_ID}
    assert not any(held.values())


def test_the_observer_keeps_its_own_changelogs_and_reads_what_it_counts(acls):
    changelogs = set(changelogs_of(ObserverSettings()))

    assert names(acls, "observer", "topic", "Create", "Write") == changelogs
    assert names(acls, "observer", "topic", "Read") == changelogs | topics_in("observer")


def test_nobody_but_the_operator_and_the_observer_creates_topics_and_nobody_alters_or_deletes(acls):
    operations = {who: {operation for operation, *_ in grants} for who, grants in acls.items()}

    assert {who for who, held in operations.items() if "Create" in held} == {"operator", "observer"}
    assert not any(held & {"Alter", "AlterConfigs", "Delete", "All", "ClusterAction"} for held in operations.values())


def test_a_namespace_stands_before_every_name():
    for who, grants in granted(HOLDFAST_KAFKA_NAMESPACE="blue.").items():
        assert all(name.startswith("blue.") for _, _, name, _ in grants), who


@pytest.mark.parametrize(
    ("shared", "principal"),
    [(topics.CONVERSATION_EVENTS, "platform-acme"), (topics.CONVERSATION_DECISIONS, "approver-acme")],
)
def test_a_tenant_with_topics_of_its_own_is_the_only_one_that_writes_there(shared, principal):
    grants = granted(HOLDFAST_KAFKA_TENANT_TOPICS="acme, globex")
    topic = tenant_topic("acme", shared)

    assert writers(grants, topic) == {principal, "operator"}
    assert grants[principal] == {("Write", "topic", topic, "literal")}
    assert ("Read", "topic", topic, "literal") in grants["conversations"]


def test_every_topic_of_the_table_is_somebodys(acls):
    used = {name for who in acls for name in names(acls, who, "topic", "Read", "Write")}

    assert used - set(changelogs_of(ObserverSettings())) == TOPICS.keys()


def test_the_operator_sees_where_the_ledger_stands_and_which_inputs_it_has_paused(acls):
    assert names(acls, "operator", "group", "Describe") == {LEDGER_GROUP}


def test_the_operator_may_look_for_a_conversation_wherever_one_may_lie(acls):
    readable = names(acls, "operator", "topic", "Read")

    assert readable >= {name for name in TOPICS if topics.holds_conversations(name)} | {topics.OBSERVER_CONVERSATIONS}


def test_the_table_of_topics_knows_the_observers_changelog_of_conversations():
    assert topics.OBSERVER_CONVERSATIONS in changelogs_of(ObserverSettings())
