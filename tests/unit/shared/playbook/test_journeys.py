"""Journeys in a playbook: what is checked, and how they are drawn."""

import pytest

from shared.playbook.finding import PlaybookError, Severity
from shared.playbook.loading import parse
from shared.playbook.mermaid import mermaid
from shared.playbook.model import Journey, State, Transition

GOOD = """\
agent: desk
profile: {name: Ada}
guidelines:
  - {id: warn, condition: The item is fragile, action: Warn them, journey: return}
journeys:
  - id: return
    title: Return an item
    conditions: [The customer wants to return an item]
    states:
      - {id: ask, action: Ask for the number, needs_customer: true, next: [{to: find}]}
      - {id: find, kind: tool, tool: find-order, next: [{to: late, when: It is late}, {to: label}]}
      - {id: late, action: Refuse}
      - {id: label, action: Send a label, next: [{to: end}]}
relationships:
  - {kind: priority, source: 'journey:return', targets: [warn]}
"""


def test_a_sound_journey_has_no_findings() -> None:
    assert parse(GOOD.encode(), "f").findings == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("{to: find}", "{to: fnd}", 10, "unknown_reference"),
        ("{id: late,", "{id: ask,", 12, "duplicate_id"),
        ("{id: late,", "{id: end,", 12, "reserved_id"),
        (", tool: find-order", "", 11, "missing_tool"),
        ("action: Refuse", "kind: fork", 12, "dead_end"),
        (", action: Refuse", "", 12, "missing_action"),
        ("journey: return}", "journey: retrun}", 4, "unknown_reference"),
        ("'journey:return'", "'journey:nowhere'", 15, "unknown_reference"),
        ("    states:", "    stats:", 9, "extra_forbidden"),
        ("[The customer wants to return an item]", "[]", 8, "too_short"),
    ],
)
def test_mistakes_are_found_on_their_line(old: str, new: str, line: int, rule: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        parse(GOOD.replace(old, new, 1).encode(), "f")
    assert (line, rule) in [(finding.line, finding.rule) for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("{to: late, when: It is late}, {to: label}", "{to: label}", "unreachable_state"),
        ("{to: late, when: It is late}, {to: label}", "{to: label}, {to: late, when: x}", "way_always_open"),
    ],
)
def test_likely_mistakes_are_warnings(old: str, new: str, rule: str) -> None:
    (finding,) = parse(GOOD.replace(old, new, 1).encode(), "f").findings
    assert (finding.severity, finding.rule) == (Severity.WARNING, rule)


def test_a_journey_is_drawn_with_all_its_ways_and_no_text_breaks_the_picture() -> None:
    journey = parse(GOOD.encode(), "f").playbook.journeys[0]
    assert mermaid(journey).splitlines() == [
        "flowchart TD",
        '    begin(["Return an item"]) --> s0',
        '    s0["Ask for the number"]',
        '    s1[["tool find-order"]]',
        '    s2["Refuse"]',
        '    s3["Send a label"]',
        "    s0 --> s1",
        '    s1 -->|"It is late"| s2',
        "    s1 --> s3",
        "    s3 --> finish",
        "    finish(( ))",
    ]
    hostile = Journey(
        id="j",
        title='A "quoted" <b> #1',
        conditions=("c",),
        states=(State(id="s", action='x"] --> y\n' + "long " * 40, next=(Transition(to="end", when='|"|'),)),),
    )
    drawn = mermaid(hostile)
    assert len(drawn.splitlines()) == 5
    assert drawn.count('"') == 6
