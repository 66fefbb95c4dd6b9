"""A playbook's file: what is accepted, and where and how a mistake is told."""

from pathlib import Path

import pytest

from shared.playbook.composing import PARTS_MAX
from shared.playbook.finding import PlaybookError, Severity
from shared.playbook.loading import load, parse
from shared.playbook.model import Criticality
from shared.playbook.source import TEXT_BYTES_MAX

GOOD = b"""\
agent: desk
profile:
  name: Ada
guidelines:
  - id: card-lost
    condition: The customer lost a card
    action: Block it
    criticality: high
"""


def complaints(text: bytes) -> list[tuple[int, str, str]]:
    with pytest.raises(PlaybookError) as caught:
        parse(text, "desk.yaml")
    assert caught.value.reason == "bad_playbook"
    assert all(finding.reason and finding.remedy for finding in caught.value.findings)
    return [(f.line, f.rule, f.reason) for f in caught.value.findings]


def test_a_good_file_is_a_playbook() -> None:
    loaded = parse(GOOD, "desk.yaml")
    assert loaded.findings == ()
    assert loaded.playbook.guidelines[0].criticality is Criticality.HIGH


def test_a_misspelt_key_names_its_line_and_the_nearest_known_key() -> None:
    with pytest.raises(PlaybookError) as caught:
        parse(GOOD.replace(b"criticality", b"critcality"), "desk.yaml")
    (finding,) = caught.value.findings
    assert (finding.place, finding.rule) == ("desk.yaml:8", "extra_forbidden")
    assert "`criticality`" in finding.remedy


def test_every_mistake_is_told_at_once_in_order_of_lines() -> None:
    text = (
        b"agent: Desk One\nprofile: {}\nguidelines:\n  - id: a\n  - id: b\n    condition: ''\n    criticality: urgent\n"
    )
    assert [(line, rule) for line, rule, _ in complaints(text)] == [
        (1, "string_pattern_mismatch"),
        (2, "missing"),
        (4, "missing"),
        (6, "string_too_short"),
        (7, "enum"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "rule"),
    [
        (b"agent: [unclosed\n", 2, "bad_yaml"),
        (b"agent: desk\nagent: other\n", 2, "bad_yaml"),
        (b"agent: desk\nprofile: {name: A}\n---\nagent: two\n", 3, "bad_yaml"),
        (b"a: 1\nb: \xff\n", 2, "bad_encoding"),
        (b"", 1, "missing"),
        (b"- a\n- b\n", 1, "model_type"),
        (b"agent: !!python/object:os.system desk\n", 1, "bad_yaml"),
    ],
)
def test_what_is_no_playbook_is_refused_with_its_line(text: bytes, line: int, rule: str) -> None:
    assert (line, rule) in [(found, name) for found, name, _ in complaints(text)]


def test_nested_aliases_cannot_exhaust_memory() -> None:
    depth, width = 8, 10
    lines = [b"a0: &a0 [x, x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]".encode() for n in range(1, depth)
    ]
    assert width**depth > PARTS_MAX
    assert complaints(b"\n".join(lines))[0][1] == "too_large"


def test_an_overlong_file_is_not_even_parsed() -> None:
    assert complaints(b"#" * (TEXT_BYTES_MAX + 1))[0][1] == "too_large"


def test_a_missing_file_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match=r"nothing\.yaml:1: error: the file cannot be read"):
        load(tmp_path / "nothing.yaml")


def test_a_number_where_a_text_belongs_is_refused() -> None:
    text = GOOD.replace(b"condition: The customer lost a card", b"condition: 12")
    assert [(line, rule) for line, rule, _ in complaints(text)] == [(6, "string_type")]


@pytest.mark.parametrize(
    ("text", "place", "rule"),
    [
        (GOOD + b"  - id: card-lost\n    condition: Again\n", 9, "duplicate_id"),
        (GOOD + b"facts:\n  - {id: a, text: One}\n  - {id: a, text: Two}\n", 11, "duplicate_id"),
        (GOOD + b"glossary:\n  - {term: APR, meaning: x}\n  - {term: 'apr ', meaning: y}\n", 11, "duplicate_id"),
        (GOOD.replace(b"Block it", b"' '"), 7, "blank_text"),
        (
            GOOD + b"phrases:\n  forbidden: [free  Money]\n  required: ['Get FREE money']\n",
            11,
            "contradictory_phrases",
        ),
        (GOOD + b"phrases:\n  forbidden: [colleague]\n", 1, "contradictory_phrases"),
    ],
)
def test_checks_find_what_the_schema_cannot_see(text: bytes, place: int, rule: str) -> None:
    assert (place, rule) in [(line, name) for line, name, _ in complaints(text)]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (GOOD.replace(b"Block it", "Block\u202e it".encode()), 7, "U+202E"),
        (GOOD + b'fallbacks:\n  failed: "Sorry\\e[31m."\n', 10, "U+001B"),
        (GOOD + 'acknowledgement: "One\U000e0041\U000e0042 moment"\n'.encode(), 9, "U+E0041, U+E0042"),
        (GOOD + "phrases:\n  forbidden: [risk\u200bfree]\n".encode(), 10, "U+200B"),
    ],
    ids=["a guideline", "a fallback", "the acknowledgement", "a phrase"],
)
def test_a_text_that_hides_characters_is_a_warning_that_names_them(text: bytes, line: int, told: str) -> None:
    (finding,) = parse(text, "desk.yaml").findings
    assert (finding.severity, finding.rule, finding.line) == (Severity.WARNING, "hidden_characters", line)
    assert told in finding.reason


def test_a_text_of_which_nothing_can_be_seen_is_refused() -> None:
    assert "blank_text" in [name for _, name, _ in complaints(GOOD.replace(b"Block it", "'\u200b \u2060'".encode()))]


def test_what_a_script_or_an_emoji_needs_is_no_finding() -> None:
    text = GOOD.replace(b"Block it", "می\u200cخواهم \U0001f468\u200d\U0001f4bb".encode())
    assert parse(text, "desk.yaml").findings == ()


def test_an_overlong_guideline_is_a_warning_and_no_error() -> None:
    (finding,) = parse(GOOD.replace(b"Block it", b"Block it. " * 200), "desk.yaml").findings
    assert (finding.severity, finding.rule, finding.line) == (Severity.WARNING, "long_text", 7)


RELATED = (
    GOOD
    + b"""\
  - id: stolen
    condition: The customer's card was stolen
    tags: [cards]
relationships:
"""
)


@pytest.mark.parametrize(
    ("lines", "line", "rule"),
    [
        (b"  - {kind: priority, source: stolen, targets: [card-lots]}\n", 13, "unknown_reference"),
        (b"  - {kind: priority, source: tag:card, targets: [card-lost]}\n", 13, "unknown_reference"),
        (b"  - {kind: dependency, source: stolen, targets: [any:cash]}\n", 13, "unknown_reference"),
        (b"  - {kind: dependency, source: stolen, targets: [journey:none]}\n", 13, "unknown_reference"),
        (b"  - {kind: dependency, source: stolen, targets: []}\n", 13, "too_short"),
        (b"  - {kind: likes, source: stolen, targets: [card-lost]}\n", 13, "enum"),
        (b"  - {kind: priority, source: 'a b', targets: [card-lost]}\n", 13, "string_pattern_mismatch"),
        (b"  - {kind: disambiguation, source: stolen, targets: [card-lost]}\n", 13, "single_target"),
        (b"  - {kind: disambiguation, source: card-lost, targets: [stolen, card-lost]}\n", 13, "bad_head"),
        (
            (
                b"  - {kind: priority, source: stolen, targets: [card-lost]}\n"
                b"  - {kind: priority, source: card-lost, targets: [stolen]}\n"
            ),
            14,
            "priority_circle",
        ),
    ],
)
def test_relationships_are_checked(lines: bytes, line: int, rule: str) -> None:
    assert (line, rule) in [(found, name) for found, name, _ in complaints(RELATED + lines)]


def test_an_unknown_reference_is_met_with_the_nearest_known_one() -> None:
    with pytest.raises(PlaybookError, match="did you mean `card-lost`"):
        parse(RELATED + b"  - {kind: priority, source: stolen, targets: [card-lots]}\n", "desk.yaml")


def test_a_reference_to_oneself_is_a_warning() -> None:
    (finding,) = parse(RELATED + b"  - {kind: entailment, source: stolen, targets: [stolen]}\n", "desk.yaml").findings
    assert (finding.severity, finding.rule, finding.line) == (Severity.WARNING, "self_reference", 13)


def test_a_long_circle_is_told_in_full_and_a_thousand_links_are_no_matter() -> None:
    guidelines = "".join(f"  - {{id: g{n}, condition: c}}\n" for n in range(1_000))
    chain = "".join(f"  - {{kind: priority, source: g{n}, targets: [g{n + 1}]}}\n" for n in range(999))
    head = "agent: desk\nprofile: {name: A}\nguidelines:\n"
    assert parse(f"{head}{guidelines}relationships:\n{chain}".encode(), "f").findings == ()
    closed = f"{head}{guidelines}relationships:\n{chain}  - {{kind: priority, source: g2, targets: [g0]}}\n"
    (found,) = complaints(closed.encode())
    assert found[1] == "priority_circle"
    assert "g0 → g1 → g2 → g0" in found[2]
