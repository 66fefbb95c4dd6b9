"""
Labelled drafts: what a reply says, by which facts, and what is right or wrong about each claim.

A file holds one domain: its facts, each with the open question behind it, its guidelines, and drafts. A draft is what
the customer `asks`, the guidelines that it `follows`, and the segments that it `says`. A segment is one key that names
what it is (`social`, `question`, or the label of a claim) with its text, and for a claim the fact(s) `by` which it is
drafted, the words that make it `wrong`, the open question `asked` where it is not the fact's, and the guideline that it
`does`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from shared.errors import Fatal
from shared.playbook.finding import PlaybookError
from shared.playbook.model import Fact, Guideline, Playbook, Profile, Variant
from shared.playbook.part import Name, Part
from shared.playbook.source import read_source

FILE_BYTES_MAX = 16 * 1_048_576


class Label(StrEnum):
    """What a claim is. The first two are right."""

    SUPPORTED = "supported"
    PARAPHRASE = "paraphrase"
    CONTRADICTED_NUMBER = "contradicted_number"
    WRONG_ENTITY = "wrong_entity"
    UNSUPPORTED_PROMISE = "unsupported_promise"
    INVENTED_POLICY = "invented_policy"


RIGHT = frozenset({Label.SUPPORTED, Label.PARAPHRASE})
OMITTED = "omitted_guideline"
"""The class of drafts that do not do what a guideline of high criticality asks."""
_SAID = (*Label, "social", "question")


class Stated(Part):
    """A fact, and the question that it answers."""

    text: str = Field(min_length=1, max_length=4_096)
    question: str = Field(min_length=1, max_length=400)


class Said(Part):
    """A segment; `label` is None for one that states nothing."""

    kind: str
    text: str = Field(min_length=1, max_length=4_096)
    label: Label | None = None
    by: tuple[Name, ...] = ()
    wrong: str = ""
    asked: str = ""
    does: tuple[Name, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether the claim must not leave."""
        return self.label is not None and self.label not in RIGHT

    @model_validator(mode="before")
    @classmethod
    def _by_its_key(cls, data: Any) -> Any:
        """`{paraphrase: TEXT, by: fee}` as the fields of this class."""
        if not isinstance(data, Mapping) or "kind" in data:
            return data
        named = [name for name in _SAID if name in data]
        if len(named) != 1:
            raise ValueError(f"a segment is one of {', '.join(_SAID)}; this one has {', '.join(named) or 'none'}")
        [name] = named
        rest = {key: value for key, value in data.items() if key != name}
        label = name if name in set(Label) else None
        for key in ("by", "does"):
            if isinstance(rest.get(key), str):
                rest[key] = (rest[key],)
        kind = "claim" if label else str(name)
        return {"kind": kind, "text": data[name], "label": label, **rest}

    @model_validator(mode="after")
    def _is_labelled_in_full(self) -> "Said":
        if self.label is not None and not self.by:
            raise ValueError(f"the claim {self.text!r} names no fact in `by`")
        if self.is_wrong and (not self.wrong or self.wrong not in self.text):
            raise ValueError(f"`wrong` of {self.text!r} must be words of it that make it wrong")
        if self.wrong and not self.is_wrong:
            raise ValueError(f"{self.text!r} is right and yet has `wrong`")
        return self


class Draft(Part):
    """A drafted reply; `omits` are guidelines of high criticality that it follows and does not perform."""

    asks: str = Field(min_length=1, max_length=16_384)
    follows: tuple[Name, ...] = ()
    says: tuple[Said, ...] = Field(min_length=1)
    omits: tuple[Name, ...] = ()


class Domain(Part):
    """A business with its drafts."""

    domain: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
    name: str
    facts: dict[Name, Stated] = Field(min_length=1)
    guidelines: tuple[Guideline, ...] = ()
    drafts: tuple[Draft, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_what_is_there(self) -> "Domain":
        guidelines = {guideline.id for guideline in self.guidelines}
        for number, draft in enumerate(self.drafts, start=1):
            strays = {name for said in draft.says for name in said.by} - self.facts.keys()
            does = {name for said in draft.says for name in said.does}
            strays |= (does | {*draft.follows, *draft.omits}) - guidelines
            if strays:
                raise ValueError(f"draft {number} names {', '.join(sorted(strays))}, which the domain does not have")
            if not {*draft.omits, *does} <= {*draft.follows}:
                raise ValueError(f"draft {number} omits or does what it does not follow")
            if does & {*draft.omits}:
                raise ValueError(f"draft {number} both does and omits {', '.join(does & {*draft.omits})}")
        return self

    def playbook(self, agent: str, variant: Variant) -> Playbook:
        """The playbook of *agent* that drafts are verified by: they are mended, and none is checked for calibration."""
        return Playbook.model_validate(
            {
                "agent": agent,
                "profile": Profile(name=self.name),
                "guidelines": self.guidelines,
                "facts": [Fact(id=name, text=fact.text) for name, fact in self.facts.items()],
                "verification": {"variant": variant, "corrects": True, "calibration_share": 0.0},
            }
        )


def read_domains(paths: Iterable[Path]) -> tuple[Domain, ...]:
    """
    The domains of *paths*, one a file.

    Raises:
        Fatal: a file cannot be read or holds no such drafts, or two hold the same domain; the message names the place.

    """
    found: dict[str, Domain] = {}
    for path in paths:
        domain = _read(path)
        if domain.domain in found:
            raise Fatal(f"{path}: another file has the domain {domain.domain} as well; rename one")
        found[domain.domain] = domain
    if not found:
        raise Fatal("no drafts to verify: name a file, or reinstall the samples")
    return tuple(found.values())


def claims(domains: Sequence[Domain]) -> list[Said]:
    """Every labelled claim of *domains*."""
    return [said for domain in domains for draft in domain.drafts for said in draft.says if said.label is not None]


_DOMAIN = TypeAdapter(Domain)


def _read(path: Path) -> Domain:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Fatal(f"{path} is larger than {FILE_BYTES_MAX:,} bytes; divide it")
        data = read_source(path.read_bytes(), str(path)).data
        return _DOMAIN.validate_json(json.dumps(data))
    except (OSError, PlaybookError) as error:
        raise Fatal(f"{path} cannot be read as labelled drafts: {error}; see samples/verification") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise Fatal(f"{path}: {place}: {first['msg']} ({error.error_count()} in all); correct it") from None
