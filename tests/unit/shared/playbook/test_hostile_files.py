"""A file that was made to hurt: it is told what is wrong, by line, in bounded time and memory."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.playbook.composing import DEPTH_MAX
from shared.playbook.finding import PlaybookError, Severity
from shared.playbook.loading import parse, read, read_text
from shared.playbook.source import TEXT_BYTES_MAX

HEAD = b"agent: desk\nprofile: {name: Ada}\n"
TOOL = "tools: [{id: t, description: d, parameters: [{name: p, %s}], http: {url: 'https://h/'}}]\n"


def told(text: bytes) -> list[tuple[int, str]]:
    with pytest.raises(PlaybookError) as caught:
        parse(text, "desk.yaml")
    return [(f.line, f.rule) for f in caught.value.findings if f.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"guidelines: &g\n  - *g\n", (4, "bad_yaml")),
        (b"guidelines: &g\n  a: {<<: *g}\n", (4, "bad_yaml")),
        (b"guidelines: *g\n", (3, "bad_yaml")),
        (b"guidelines: " + b"[" * 10_000, (3, "too_deep")),
        (b"guidelines:\n " + b"- " * 10_000, (4, "too_deep")),
        (b"guidelines: " + b"{a: " * (DEPTH_MAX + 1), (3, "too_deep")),
        (b"facts: [{id: a, text: !!binary aGVsbG8=}]\n", (3, "bad_yaml")),
        (b"facts: !!set {a, b}\n", (3, "bad_yaml")),
        (b"facts: !custom [a]\n", (3, "bad_yaml")),
        (b"1: one\n", (3, "bad_yaml")),
        (b"? [a, b]\n: one\n", (3, "bad_yaml")),
        (b"limits: {<<: 3}\n", (3, "bad_yaml")),
        (b"limits: {window_messages: !!int x}\n", (3, "bad_number")),
        (b"limits: {window_messages: " + b"9" * 5_000 + b"}\n", (3, "bad_number")),
        (b"limits: {window_messages: 9007199254740993}\n", (3, "bad_number")),
        (b'facts: [{id: a, text: "\\ud83d"}]\n', (3, "bad_encoding")),
        (b'facts: [{id: a, text: "\\ude00\\ud83d"}]\n', (3, "bad_encoding")),
        (b"facts: [{id: a, text: '\x01'}]\n", (3, "bad_yaml")),
        (b"facts: [{id: a, text: caf\xe9}]\n", (3, "bad_encoding")),
        (b"%YAML 1.3\n---\na: b\n", (1, "bad_yaml")),
        (b"experiment: {name: e, arms: {a: {weight: .inf}}}\n", (3, "bad_number")),
        (b"experiment: {name: e, arms: {a: {weight: 1e400}}}\n", (3, "bad_number")),
        (b"experiment: {name: e, arms: {a: {weight: 1e300}}}\n", (3, "bad_number")),
        ((TOOL % "default: .nan").encode(), (3, "bad_number")),
        ((TOOL % "type: number, default: '1e400'").encode(), (3, "bad_default")),
        ((TOOL % "type: number, choices: ['1', '1e400']").encode(), (3, "bad_choice")),
        ((TOOL % "type: number, choices: [nan]").encode(), (3, "bad_choice")),
        ((TOOL % "pattern: 'a{99999999999}'").encode(), (3, "bad_pattern")),
        ((TOOL % "pattern: '(?=a)b'").encode(), (3, "bad_pattern")),
        ((TOOL % r"pattern: '(a)\1'").encode(), (3, "bad_pattern")),
        (("canned_replies: [{id: a, text: '{{ \"" + "\\ud83d" + "\" }}'}]\n").encode(), (3, "bad_template")),
    ],
)
def test_it_is_refused_where_it_stands(text: bytes, place: tuple[int, str]) -> None:
    assert place in told(text if text.startswith(b"%") else HEAD + text)


@pytest.mark.parametrize(
    "url",
    ["http://[", "http://h:99999/", "http://xn--/", "http:///path", "http://h:x/", "http://a b/", "http://u:p@h/"],
)
@pytest.mark.parametrize(
    "part",
    [
        "tools: [{id: t, description: d, http: {url: '%s'}}]",
        "tools: [{id: t, description: d, mcp: {url: '%s'}}]",
        "retrievers: [{id: r, url: '%s'}]",
    ],
)
def test_an_address_that_no_client_can_call_is_told(part: str, url: str) -> None:
    assert (3, "bad_address") in told(HEAD + (part % url).encode())


@pytest.mark.parametrize("repetition", ["*a{n}", "{{<<: [*a{n}, *a{n}]}}"])
def test_aliases_of_aliases_are_counted_as_if_written_out(repetition: str) -> None:
    first = "{x: 1, y: 2}" if "<<" in repetition else "[x, x]"
    lines = [f"a0: &a0 {first}"] + [
        f"a{n}: &a{n} [{', '.join([repetition.format(n=n - 1)] * 10)}]"
        if "<<" not in repetition
        else f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}"
        for n in range(1, 9)
    ]
    assert told(HEAD + "\n".join(lines).encode())[0][1] == "too_large"


def test_a_long_text_is_counted_as_often_as_it_is_named() -> None:
    text = b"- &t '" + b"x" * 1_000_000 + b"'\n" + b"- *t\n" * 20
    assert told(HEAD + b"facts:\n" + text)[0][1] == "too_large"


def test_an_anchor_may_be_named_and_taken_in_where_that_ends() -> None:
    text = HEAD + b"guidelines:\n- &g {id: a, condition: One}\n- {<<: *g, id: b}\nfacts: []\n"
    a, b = parse(text, "desk.yaml").playbook.guidelines
    assert (a.id, b.id, b.condition) == ("a", "b", "One")


def test_a_mistake_in_what_an_alias_names_is_told_at_the_anchor() -> None:
    text = HEAD + b"x: &w\n- nonsense\nguidelines: *w\n"
    assert (4, "model_type") in told(text)


def test_a_date_without_quotes_is_the_text_that_it_looks_like() -> None:
    loaded = parse(HEAD + b"facts: [{id: a, text: 2026-01-31}]\n", "desk.yaml")
    assert loaded.playbook.facts[0].text == "2026-01-31"


def test_the_halves_of_a_character_written_as_json_does_are_one_character() -> None:
    loaded = parse(HEAD + b'facts: [{id: a, text: "\\ud83d\\ude00"}]\n', "desk.yaml")
    assert loaded.playbook.facts[0].text == "\N{GRINNING FACE}"


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    assert parse(b"\xef\xbb\xbf" + HEAD, "desk.yaml").findings == ()


def test_a_file_in_utf_16_is_told_what_it_is() -> None:
    with pytest.raises(PlaybookError, match="UTF-16; save it as UTF-8"):
        parse(HEAD.decode().encode("utf-16"), "desk.yaml")


def test_a_character_that_nobody_sees_is_a_warning() -> None:
    (finding,) = parse(HEAD + b'facts: [{id: a, text: "a\\0b\\u202e"}]\n', "desk.yaml").findings
    assert (finding.severity, finding.rule, finding.line) == (Severity.WARNING, "hidden_characters", 3)
    assert "U+0000, U+202E" in finding.reason


def test_a_key_of_a_million_characters_is_told_in_short() -> None:
    with pytest.raises(PlaybookError) as caught:
        parse(HEAD + b"? '" + b"k" * 1_000_000 + b"'\n: 1\n", "desk.yaml")
    assert len(str(caught.value)) < 1_000


def test_names_that_nothing_bears_cost_no_more_than_their_number() -> None:
    known = b"".join(b"- {id: g%d, condition: c}\n" % n for n in range(2_000))
    unknown = b"".join(b"- {kind: priority, source: g0, targets: [x%d]}\n" % n for n in range(3_000))
    assert len(told(HEAD + b"guidelines:\n" + known + b"relationships:\n" + unknown)) == 1_000


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        # Texts of digits by chance pack to a half; commas are counted as parts.
        (lambda n: "".join(hashlib.sha512(b"%d %d" % (n, k)).hexdigest() for k in range(24)), "too_large"),
        (lambda _: "," * 4_000, "bad_playbook"),
    ],
)
def test_a_playbook_that_no_record_holds_or_no_reader_takes_is_told(text: Callable[[int], str], rule: str) -> None:
    facts = "".join(f"- {{id: f{n}, text: '{text(n)}'}}\n" for n in range(1_000))
    assert told(HEAD + b"facts:\n" + facts.encode()) == [(1, rule)]


def test_no_more_of_a_file_is_read_than_is_taken(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    with large.open("wb") as file:
        file.truncate(TEXT_BYTES_MAX * 8)
    with pytest.raises(PlaybookError, match="too_large"):
        read(large)


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5_000])
def test_a_name_that_is_no_file_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(PlaybookError, match="cannot be read"):
        read(tmp_path / name)


def test_what_the_checks_refuse_is_still_a_playbook_whose_findings_are_told() -> None:
    loaded = read_text(HEAD + b"experiment: {name: e, arms: {a: {weight: .inf}}}\n", "desk.yaml")
    assert [finding.rule for finding in loaded.findings] == ["bad_number"]
