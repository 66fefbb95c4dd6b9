"""
Typed settings, read once from the environment.

A process's settings are one frozen model whose fields are *sections*; section `kafka`, field `bootstrap_servers` is
read from `HOLDFAST_KAFKA_BOOTSTRAP_SERVERS`. Units stand at the end of a field's name. A name that no section knows
stops the process at start, with the nearest known name; a value from a file is given as `NAME_FILE`.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import Fatal

PREFIX = "HOLDFAST_"
FILE_SUFFIX = "_FILE"

# Every process of an installation is given the same environment: a process leaves its siblings' sections to them.
SECTIONS = frozenset(
    {
        "kafka",
        "topics",
        "llm",
        "embeddings",
        "rehearsal",
        "telemetry",
        "stage",
        "conversations",
        "matcher",
        "reasoner",
        "outgoing",
        "verifier",
        "observer",
        "operator",
        "heartbeat",
    },
)


class Section(BaseModel):
    """
    A named group of settings; each field has a default and a unit, and refuses what it does not know.

    A field's meaning is its description, or the docstring below it; docs/settings.md is made of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ProcessSettings(BaseModel):
    """The settings of one process: its fields are sections."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=ProcessSettings)


def read_settings(model: type[S], environ: Mapping[str, str]) -> S:
    """
    The settings of a process, from *environ*.

    Raises:
        Fatal: a name is unknown, or a value is not of its type; the message names the variable and what to do.

    """
    values: dict[str, dict[str, str]] = {}
    for name in sorted(environ):
        if name.startswith(PREFIX):
            section, field, value = _place(model, name, environ[name])
            if field in values.setdefault(section, {}):
                raise Fatal(f"{name} is given twice, as a value and as {FILE_SUFFIX}; take one of them away")
            values[section][field] = value
    try:
        return model.model_validate({name: held for name, held in values.items() if name in model.model_fields})
    except ValidationError as error:
        raise Fatal("; ".join(_complaint(e["loc"], e["msg"]) for e in error.errors())) from None


def variable_names(model: type[ProcessSettings]) -> dict[str, tuple[str, str]]:
    """Every variable that *model* reads → (section, field)."""
    return {
        f"{PREFIX}{section}_{field}".upper(): (section, field)
        for section, info in model.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section)
        for field in info.annotation.model_fields
    }


def _place(model: type[ProcessSettings], name: str, value: str) -> tuple[str, str, str]:
    known = variable_names(model)
    if name in known:
        return (*known[name], value)
    if name.endswith(FILE_SUFFIX) and (bare := name.removesuffix(FILE_SUFFIX)) in known:
        return (*known[bare], _read(name, value))
    section = name.removeprefix(PREFIX).split("_", 1)[0].lower()
    if section in SECTIONS and section not in model.model_fields:
        return section, name, value
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    raise Fatal(f"unknown setting {name}; {hint}")


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Fatal(f"{name} points at {path}, which cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Fatal(f"{name} points at {path}, which is not UTF-8 text") from None


def _complaint(loc: tuple[int | str, ...], message: str) -> str:
    return f"{PREFIX}{'_'.join(map(str, loc))}".upper() + f": {message}"
