"""
A playbook's file: its plain data, with the place of every part of it.
"""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from shared.playbook.composing import BEGIN, Composer, Place, Refused, Tree
from shared.playbook.finding import Finding, Path, PlaybookError, Severity

TEXT_BYTES_MAX = 16 * 1_048_576
"""The largest file that is read; 10,000 guidelines of ordinary size take about 2 MiB."""
REASON_CHARS_MAX = 300
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read: its plain data, and the place of each part of it (a key's, or a list's item)."""

    file: str
    data: Any
    tree: Tree = field(repr=False)

    def place(self, path: Path) -> Place:
        """The place of *path*, or of the nearest part around it that the file has."""
        tree = self.tree
        for key in path:
            inner = tree.inner.get(key)
            if inner is None:
                break
            tree = inner
        return tree.place if tree is not self.tree else BEGIN


def read_source(text: bytes, file: str) -> Source:
    """
    The YAML document *text*, called *file* in complaints.

    Raises:
        PlaybookError: it is too large, not UTF-8, not one YAML document, or holds what a playbook cannot hold.

    """
    if len(text) > TEXT_BYTES_MAX:
        raise too_large(file, f"the file has {len(text):,} bytes")
    try:
        yaml = YAML(typ="safe", pure=True)
        composer = Composer(yaml)
        with contextlib.closing(yaml.parse(_decoded(text))) as events:
            composer.take(events)
    except Refused as refused:
        raise _refused(file, refused) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else BEGIN
        reason = " ".join(filter(None, (error.context, error.problem))).strip()
        raise _refused(file, Refused(place, "bad_yaml", reason, "correct the YAML there")) from None
    except ReaderError as error:
        reason = f"the character U+{error.character:04X} cannot stand in YAML"
        place = _place_in(text.decode("utf-8-sig"), error.position)
        raise _refused(file, Refused(place, "bad_yaml", reason, "remove it, or write it as an escape")) from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (a foreign call: the parser's own faults are the document's refusal)
        reason = f"the parser of YAML gave up: {type(error).__name__}: {error}"
        raise _refused(file, Refused(BEGIN, "bad_yaml", reason, "write the YAML in a simpler way")) from None
    root = composer.root
    return Source(file, root.value if root else None, root.tree if root else Tree(BEGIN))


def too_large(file: str, size: str) -> PlaybookError:
    """What is said of a *file* of *size* bytes, as a text, that is not read."""
    reason = f"{size}; at most {TEXT_BYTES_MAX:,} are read"
    return _refused(file, Refused(BEGIN, "too_large", reason, "split the agent's work between several agents"))


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = "UTF-16" if text.startswith(_UTF_16) else "not UTF-8"
        place = _place_in(text[: error.start].decode("utf-8-sig", errors="replace"), None)
        raise Refused(place, "bad_encoding", f"the file is {kind}", "save it as UTF-8") from None


def _place_in(text: str, position: int | None) -> Place:
    before = text[:position]
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _refused(file: str, why: Refused) -> PlaybookError:
    reason = str(why).splitlines()[0] if str(why) else "the document cannot be read"
    return PlaybookError(
        [
            Finding(
                Severity.ERROR,
                why.rule,
                (),
                reason[:REASON_CHARS_MAX],
                why.remedy,
                file,
                why.place.line,
                why.place.column,
            )
        ]
    )
