"""
A playbook's file → a checked `Playbook`, or every reason why not, by line.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from shared.errors import Invalid
from shared.playbook.checking import check
from shared.playbook.finding import Finding, Path, PlaybookError, Severity, errors
from shared.playbook.model import Playbook
from shared.playbook.sealed import REMEDY, sealed
from shared.playbook.source import TEXT_BYTES_MAX, Source, read_source
from shared.text.visible import shown

FINDINGS_MAX = 1_000
"""Of what one file's parts are told to be wrong with; the first by their lines."""
KEY_CHARS_SHOWN_MAX = 80
MESSAGE_CHARS_MAX = 500
_REMEDIES: Mapping[str, str] = {
    "string_pattern_mismatch": "write lower-case letters, digits, `-` and `_`, beginning with a letter or digit",
    "string_too_short": "write a text there",
    "string_too_long": "shorten it, or divide it into several",
    "string_type": "write a text; put it in quotes where YAML takes it for a number or a truth value",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "enum": "choose one of those",
    "literal_error": "choose one of those",
    "missing": "add it",
    "tuple_type": "write a list, each item on a line of its own that begins with `- `",
    "model_type": "write a mapping, `key: value` on lines of their own",
    "dict_type": "write a mapping, `key: value` on lines of their own",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A playbook, what is to be said of it by line, and the file's places."""

    playbook: Playbook
    findings: tuple[Finding, ...]
    source: Source


def load(path: FilePath | str) -> Loaded:
    """
    The playbook in the file *path*.

    Raises:
        PlaybookError: the file cannot be read, is no playbook, or a check found an error.

    """
    return _accepted(read(path))


def read(path: FilePath | str) -> Loaded:
    """
    The playbook in the file *path*, as it is: among its findings may be errors.

    Raises:
        PlaybookError: the file cannot be read or is no playbook.

    """
    file = shown(str(path))
    try:
        with FilePath(path).open("rb") as held:
            text = held.read(TEXT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        reason = f"the file cannot be read: {why}"
        raise PlaybookError(
            [Finding(Severity.ERROR, "unreadable", (), reason, "name a readable file", file, 1)]
        ) from None
    return read_text(text, file)


def parse(text: bytes, file: str) -> Loaded:
    """
    The playbook that the YAML *text* holds; *file* names it in findings.

    Raises:
        PlaybookError: it is no playbook, or a check found an error.

    """
    return _accepted(read_text(text, file))


def located(source: Source, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """*findings* with the places that *source* gives their paths, in order of place."""
    placed = (replace(finding, file=source.file, **source.place(finding.path)._asdict()) for finding in findings)
    return tuple(sorted(placed, key=lambda finding: (finding.line, finding.column)))


def _accepted(loaded: Loaded) -> Loaded:
    if errors(loaded.findings):
        raise PlaybookError(loaded.findings)
    return loaded


def read_text(text: bytes, file: str) -> Loaded:
    """
    The playbook that the YAML *text* holds, as it is: among its findings may be errors.

    Raises:
        PlaybookError: it is no playbook.

    """
    source = read_source(text, file)
    try:
        # JSON's rules and not Python's: a YAML list stands for a tuple, a text for an enum's value.
        playbook = Playbook.model_validate(source.data if source.data is not None else {})
    except ValidationError as error:
        raise PlaybookError(located(source, _complaints(error))[:FINDINGS_MAX]) from None
    found = check(playbook)
    if not errors(found):
        found += _unpublishable(playbook)
    return Loaded(playbook, located(source, found), source)


def _unpublishable(playbook: Playbook) -> tuple[Finding, ...]:
    """Why *playbook* would be refused when it is published, although it is in order."""
    try:
        sealed(playbook)
    except Invalid as refused:
        return (Finding(Severity.ERROR, refused.reason, (), str(refused), REMEDY),)
    return ()


def _complaints(error: ValidationError) -> list[Finding]:
    return [_complaint(item) for item in error.errors(include_url=False, include_context=False, include_input=False)]


def _complaint(item: Mapping[str, Any]) -> Finding:
    kind, path = str(item["type"]), tuple(item["loc"])
    name = ".".join(_cut(str(key)) for key in path) or "the playbook"
    describe: Callable[[Path, str, Mapping[str, Any]], tuple[str, str]] = {
        "extra_forbidden": _unknown_key,
        "missing": _missing_key,
    }.get(kind, _other)
    reason, remedy = describe(path, name, item)
    return Finding(Severity.ERROR, kind, path, reason, remedy)


def _unknown_key(path: Path, name: str, _item: Mapping[str, Any]) -> tuple[str, str]:
    known = _fields_at(path[:-1])
    near = difflib.get_close_matches(_cut(str(path[-1])), known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known there: {', '.join(sorted(known))}"
    return f"`{name}` is not a key of a playbook", hint


def _missing_key(path: Path, name: str, _item: Mapping[str, Any]) -> tuple[str, str]:
    return f"`{name}` is missing", f"add `{path[-1]}:`"


def _cut(key: str) -> str:
    return shown(key if len(key) <= KEY_CHARS_SHOWN_MAX else f"{key[: KEY_CHARS_SHOWN_MAX - 1]}…")


def _other(_path: Path, name: str, item: Mapping[str, Any]) -> tuple[str, str]:
    message = str(item["msg"])
    return f"`{name}`: {message[:1].lower()}{shown(message[1:MESSAGE_CHARS_MAX])}", _REMEDIES.get(
        str(item["type"]), "correct the value"
    )


def _fields_at(path: Path) -> list[str]:
    model: type[BaseModel] = Playbook
    for key in path:
        if isinstance(key, str) and key in model.model_fields:
            model = _model_in(model.model_fields[key].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)
