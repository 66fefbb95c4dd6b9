"""
Recorded dialogues: one JSON object a line, with `events` of `source` (customer, agent, …), `text`, and `at` (unix
seconds).

The shape is that of the STAR corpus (RasaHQ/STAR), and of the samples that come with Holdfast. What the customers said
is published; what the agents said is left out, because Holdfast answers in their place.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.errors import Invalid


@dataclass(frozen=True, slots=True)
class Line:
    """Something that a customer said, and how many seconds after the dialogue's beginning."""

    text: str
    after_seconds: float


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What the customer said in one conversation."""

    name: str
    domains: tuple[str, ...]
    lines: tuple[Line, ...]


def read_dialogues(rows: Iterable[str], *, domain: str = "") -> Iterator[Dialogue]:
    """
    The dialogues of a file, those of *domain* alone where one is given; dialogues in which no customer speaks are left
    out.

    Raises:
        Invalid: (`bad_dialogue`) a row is no dialogue; the message names its line.

    """
    for number, row in enumerate(rows, start=1):
        if not row.strip():
            continue
        dialogue = _dialogue(number, row)
        if dialogue.lines and (not domain or domain in dialogue.domains):
            yield dialogue


def _dialogue(number: int, row: str) -> Dialogue:
    try:
        found = json.loads(row)
        events = [event for event in found["events"] if event["source"] == "customer"]
        times = [event["at"] for event in events if event.get("at") is not None]
        begin = min(times, default=0)
        return Dialogue(
            name=str(found["dialogue"]),
            domains=tuple(found.get("domains", ())),
            lines=tuple(
                Line(str(event["text"]), max(0.0, float(event.get("at") or begin) - begin)) for event in events
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid("bad_dialogue", f"line {number} is no dialogue ({type(error).__name__}: {error})") from None
