"""
Which approved texts a turn may use, filled as far as code can fill them, the likeliest first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from services.reasoner.domain.ranking import all_fit, index, ranked, within
from shared.events.composition import Composition, FilledField
from shared.events.tools import ToolResult
from shared.events.turns import FactRecord, Matching, TurnOpened
from shared.playbook.approved import Known, eligible, filled, known_values
from shared.playbook.model import CannedReply, Playbook
from shared.playbook.templates import GENERATIVE, TemplateFault, Unfilled, fields_of, render, sources

CANNED = "canned"
STRICT_MAX = 20
STRICT_CHARS_MAX = 8_000
VOICE_MAX = 6
VOICE_CHARS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Choice:
    """
    An approved text. `shown` is its text with what code knows filled in and the `generative` fields, which the model
    has yet to find in the facts, as `{{generative.NAME}}`.
    """

    reply: CannedReply
    shown: str
    fields: tuple[FilledField, ...]
    generative: tuple[str, ...]

    @property
    def record(self) -> FactRecord:
        """The text as something that a reply may assert: it was approved."""
        return FactRecord(id=f"{CANNED}.{self.reply.id}", text=self.shown, source=CANNED)

    def text(self, found: Sequence[FilledField]) -> str:
        """
        The text with what the model *found* for its generative fields.

        Raises:
            Unfilled: a field is missing, or the text with it is too long.

        """
        return render(self.reply.text, {field.name: field.value for field in (*self.fields, *found)})


def choices_of(
    playbook: Playbook,
    composition: Composition,
    opened: TurnOpened,
    matching: Matching,
    results: Sequence[ToolResult],
    words: Sequence[str],
    *,
    english: bool = True,
) -> tuple[Choice, ...]:
    """
    The texts to show in a turn that consists of *words* (terms): in `composed` those that share words with it, whole
    ones only; in `strict` every one that may be used, if they are few, and those that an active guideline names first.
    """
    if composition is Composition.FLUID:
        return ()
    known = known_values(playbook, opened, results)
    offered = [choice for reply in eligible(playbook, opened, matching) if (choice := _choice(reply, known))]
    strict = composition is Composition.STRICT
    if not strict:
        offered = [choice for choice in offered if not choice.generative]
    texts = [choice.shown for choice in offered]
    count_max, chars_max = (STRICT_MAX, STRICT_CHARS_MAX) if strict else (VOICE_MAX, VOICE_CHARS_MAX)
    if all_fit(texts, count_max, chars_max):
        return tuple(offered)
    named = [place for place, choice in enumerate(offered) if choice.reply.guidelines]
    spoken = index([" ".join((choice.shown, *choice.reply.signals)) for choice in offered], english=english)
    order = dict.fromkeys([*named, *ranked(spoken, words, len(offered))])
    return tuple(offered[place] for place in within(order, texts, count_max, chars_max))


def _choice(reply: CannedReply, known: Mapping[str, Known]) -> Choice | None:
    """The text of *reply* as far as code can fill it; None where a field has no value, or it is no template."""
    try:
        generative = tuple(name for name in fields_of(reply.text) if name.startswith(GENERATIVE))
        values: dict[str, JsonValue] = {name: held.value for name, held in known.items()}
        values |= {name: "{{" + name + "}}" for name in generative}
        shown = render(reply.text, values)
        names = [name for name in sources(reply.text, values) if name in known]
    except (TemplateFault, Unfilled):
        return None
    return Choice(reply, shown, filled(names, known), generative)
