"""
What authors get wrong in approved texts, variables and retrievers: templates that cannot be filled, names that nothing
bears.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from shared.arq.wording import contains_phrase
from shared.events.composition import Composition
from shared.playbook.checking_tools import SECRET_HEADERS
from shared.playbook.finding import Finding, Path, Severity
from shared.playbook.model import Playbook
from shared.playbook.nearest import Nearest
from shared.playbook.templates import (
    AGENT_NAME,
    CUSTOMER_NAME,
    FACTS,
    GENERATIVE,
    ROOTS,
    VARIABLES,
    TemplateFault,
    fields_of,
)
from shared.text.plain import folded


def template_findings(playbook: Playbook) -> Iterator[Finding]:
    """Everything that the rules find in the approved texts of *playbook* and in what it knows."""
    guidelines = {guideline.id: None for guideline in playbook.guidelines}
    known = _Known(
        {variable.name: None for variable in playbook.variables}, {fact.id: None for fact in playbook.facts}, Nearest()
    )
    for index, reply in enumerate(playbook.canned_replies):
        where: Path = ("canned_replies", index)
        yield from _template(playbook, known, reply.text, (*where, "text"))
        yield from _unknown(known.nearest, reply.guidelines, guidelines, (*where, "guidelines"))
    yield from _strictness(playbook)
    yield from _repeated([variable.name for variable in playbook.variables], "variables", "name")
    yield from _repeated([retriever.id for retriever in playbook.retrievers], "retrievers", "id")
    for index, retriever in enumerate(playbook.retrievers):
        yield from _unknown(known.nearest, retriever.guidelines, guidelines, ("retrievers", index, "guidelines"))
        for name, value in retriever.headers.items():
            if name.lower() in SECRET_HEADERS and "secret:" not in value:
                reason = "a secret stands in the playbook, which every stage and every reader of its topic sees"
                path: Path = ("retrievers", index, "headers", name)
                yield Finding(Severity.ERROR, "secret", path, reason, "write `secret:NAME`")


class _Known(NamedTuple):
    """What fields may name, looked up once a check."""

    variables: Mapping[str, None]
    facts: Mapping[str, None]
    nearest: Nearest


def _template(playbook: Playbook, known: _Known, text: str, where: Path) -> Iterator[Finding]:
    try:
        fields = fields_of(text)
    except TemplateFault as fault:
        reason = f"line {fault.line} of the text: {fault}" if fault.line else str(fault)
        yield Finding(Severity.ERROR, "bad_template", where, reason, "write fields as `{{ std.variables.name }}`")
        return
    for field in fields:
        yield from _field(playbook, known, field, where)


def _field(playbook: Playbook, known: _Known, field: str, where: Path) -> Iterator[Finding]:
    if field in {CUSTOMER_NAME, AGENT_NAME} or (field.startswith(GENERATIVE) and field != GENERATIVE):
        return
    if field.startswith(VARIABLES):
        name = field.removeprefix(VARIABLES)
        if name not in known.variables:
            finding = _missing(known.nearest, name, known.variables, "declared variable", where)
            yield Finding(Severity.WARNING, "undeclared_variable", where, finding.reason, finding.remedy)
    elif field.startswith(FACTS):
        if field.removeprefix(FACTS) not in known.facts:
            yield _missing(known.nearest, field.removeprefix(FACTS), known.facts, "fact", where)
    elif field.partition(".")[0] in ROOTS:
        fields = (CUSTOMER_NAME, AGENT_NAME, f"{VARIABLES}NAME", f"{FACTS}ID", f"{GENERATIVE}NAME")
        reason = f"there is no field `{field}`"
        yield Finding(Severity.ERROR, "unknown_field", where, reason, f"there are {', '.join(fields)}")
    elif not playbook.tools:
        reason = f"`{field}` can only come from a tool, and there are none"
        yield Finding(Severity.WARNING, "unfilled_field", where, reason, "declare the tool, or name another field")


def _strictness(playbook: Playbook) -> Iterator[Finding]:
    strict = playbook.composition is Composition.STRICT
    places: list[Path] = [("composition",)] if strict else []
    places += [
        ("guidelines", index, "composition")
        for index, guideline in enumerate(playbook.guidelines)
        if guideline.composition is Composition.STRICT
    ]
    if not places:
        return
    if not playbook.canned_replies:
        reason = "only approved texts may be sent, and there are none"
        yield Finding(Severity.ERROR, "nothing_approved", places[0], reason, "write `canned_replies`")
    texts = [(reply.id, reply.text, folded(reply.text)) for reply in playbook.canned_replies]
    for index, phrase in enumerate(playbook.phrases.required):
        sought = folded(phrase)
        lacking = (name for name, text, whole in texts if sought not in whole or not contains_phrase(text, phrase))
        if name := next(lacking, ""):
            reason = f"no reply leaves without it, and approved texts such as `{name}` do not have it"
            path: Path = ("phrases", "required", index)
            yield Finding(Severity.WARNING, "required_phrase", path, reason, "write it into the approved texts")


def _unknown(nearest: Nearest, names: Iterable[str], guidelines: Mapping[str, None], where: Path) -> Iterator[Finding]:
    for place, name in enumerate(names):
        if name not in guidelines:
            yield _missing(nearest, name, guidelines, "guideline", (*where, place))


def _missing(nearest: Nearest, name: str, known: Mapping[str, None], noun: str, where: Path) -> Finding:
    hint = nearest.hint(name, known, "name one that exists, or declare it")
    return Finding(Severity.ERROR, "unknown_reference", where, f"there is no {noun} `{name}`", hint)


def _repeated(names: Iterable[str], part: str, key: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            reason = f"`{name}` is declared twice"
            yield Finding(Severity.ERROR, "duplicate_id", (part, index, key), reason, f"give each its own {key}")
        seen.add(name)
