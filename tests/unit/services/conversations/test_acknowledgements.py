"""The text that is shown at once: beside the turn, never in its place."""

from services.operator.domain.audit import Auditor
from shared.events.conversation import VariableSet
from shared.events.turns import FinishResult

WORDS = "One moment, I am looking into it."


def test_a_turn_is_acknowledged_as_it_opens_and_answered_all_the_same(world):
    w = world(playbook={"acknowledgement": WORDS})
    message = w.post("what does it cost?")
    assert [output.topic for output in w.last] == ["turns.opened", "conversation.responses"]
    [told] = w.acknowledged
    assert (told.text, told.turn_id, told.epoch, told.in_reply_to) == (WORDS, w.opened[-1].turn.id, 1, (message,))
    assert w.responses == []
    assert w.closed == []
    w.finish()
    assert [response.text for response in w.responses] == ["Certainly."]
    assert w.outcomes == [("answered", "")]


def test_it_has_an_id_of_its_own_that_a_repeated_step_writes_again(world):
    ids = []
    for _ in range(2):
        w = world(playbook={"acknowledgement": WORDS})
        w.post(event_id="m-1")
        ids.append([event.id for event in w.envelopes])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_no_turn_is_acknowledged_without_words_for_it(world):
    w = world()
    w.post()
    assert w.acknowledged == []


def test_a_turn_in_a_superseded_ones_place_is_not_acknowledged_again(world):
    w = world(playbook={"acknowledgement": WORDS})
    w.post("first")
    w.post("and second")
    assert [told.turn_id for told in w.acknowledged] == [w.opened[0].turn.id]
    w.finish()
    w.post("third")
    assert len(w.acknowledged) == 2


def test_it_is_said_after_the_burst_has_settled_and_not_before(world):
    w = world(limits={"settle_seconds": 2}, playbook={"acknowledgement": WORDS})
    w.post("hello")
    assert w.acknowledged == []
    w.settle()
    assert len(w.acknowledged) == 1


def test_it_stays_out_of_the_transcript(world):
    w = world(playbook={"acknowledgement": WORDS})
    w.post("q")
    w.finish()
    w.post("q2")
    assert [said.text for said in w.opened[-1].transcript] == ["q", "Certainly.", "q2"]


def test_a_message_that_people_answer_is_not_acknowledged(world):
    w = world(playbook={"acknowledgement": WORDS})
    w.tell("conversation.mode_changed", mode="manual")
    w.post()
    assert w.acknowledged == []


def test_the_audit_counts_no_acknowledgement_as_a_response(world):
    w = world(playbook={"acknowledgement": WORDS})
    auditor = Auditor()
    w.post("q")
    w.finish(result=FinishResult.SILENT)
    for event in w.envelopes:
        if event.type == "turn.closed":
            auditor.closing(w.address, event)
    report = auditor.report()
    assert report.responses == 0
    assert [finding.invariant for finding in report.findings] == []


def test_a_variable_is_carried_with_the_time_at_which_it_was_told(world):
    w = world()
    told_ms = w.now_ms - 5_000
    w.event("variable.set", _set("plan", "gold"), time_ms=told_ms)
    w.event("variable.set", _set("city", "Oslo"), time_ms=w.now_ms + 60_000)
    w.post()
    told = {name: round(at.timestamp() * 1000) for name, at in w.opened[-1].variables_set_at.items()}
    assert told == {"plan": told_ms, "city": w.now_ms}
    w.event("variable.set", _set("plan", ""))
    assert w.state.variables_ms == {"city": w.now_ms}


def _set(name, value):
    return VariableSet(name=name, value=value)


def test_it_is_said_without_what_it_hides(world):
    w = world(playbook={"acknowledgement": "One\u200b mo\u202ement."})
    w.post()
    assert [told.text for told in w.acknowledged] == ["One moment."]
