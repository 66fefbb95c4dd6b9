"""
YAML with the place of every part of it.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from shared.playbook.finding import Finding, Path, PlaybookError, Severity

TEXT_BYTES_MAX = 16 * 1_048_576
"""The largest file that is read; 10,000 guidelines of ordinary size take about 2 MiB."""
NODES_MAX = 1_000_000
"""Parts of a document with its aliases expanded, so that nested aliases cannot exhaust memory."""


class Place(NamedTuple):
    """Where something begins in a file, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read: its plain data, and the place of each path in it (a key's, or a list's item)."""

    file: str
    data: Any
    places: dict[Path, Place] = field(repr=False)

    def place(self, path: Path) -> Place:
        """The place of *path*, or of the nearest part around it that the file has."""
        for length in range(len(path), 0, -1):
            if place := self.places.get(path[:length]):
                return place
        return Place(1, 1)


def read_source(text: bytes, file: str) -> Source:
    """
    The YAML document *text*, called *file* in complaints.

    Raises:
        PlaybookError: it is too large, not UTF-8, or not one YAML document.

    """
    if len(text) > TEXT_BYTES_MAX:
        size = f"the file has {len(text):,} bytes; at most {TEXT_BYTES_MAX:,} are read"
        raise _refused(file, 1, "too_large", size, "split the agent's work between several agents")
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text.decode())
        places = _places(node, file)
        data = None if node is None else yaml.constructor.construct_document(node)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise _refused(file, line, "bad_encoding", "the file is not UTF-8", "save it as UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, (error.context, error.problem))).strip()
        raise _refused(file, mark.line + 1 if mark else 1, "bad_yaml", reason, "correct the YAML there") from None
    except (YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _refused(file, 1, "bad_yaml", reason, "correct the YAML") from None
    return Source(file, data, places)


def _places(root: Node | None, file: str) -> dict[Path, Place]:
    places: dict[Path, Place] = {}
    pending: list[tuple[Path, Node]] = [((), root)] if root is not None else []
    while pending:
        path, node = pending.pop()
        if len(places) > NODES_MAX:
            reason = f"the document has more than {NODES_MAX:,} parts once its aliases are expanded"
            raise _refused(file, 1, "too_large", reason, "write the repeated parts out, or fewer of them")
        for inner, child, place in _children(path, node):
            places[inner] = place
            pending.append((inner, child))
    return places


def _children(path: Path, node: Node) -> list[tuple[Path, Node, Place]]:
    if isinstance(node, MappingNode):
        return [((*path, key.value), value, _begin(key)) for key, value in node.value if isinstance(key, ScalarNode)]
    if isinstance(node, SequenceNode):
        return [((*path, index), value, _begin(value)) for index, value in enumerate(node.value)]
    return []


def _begin(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _refused(file: str, line: int, rule: str, reason: str, remedy: str) -> PlaybookError:
    return PlaybookError([Finding(Severity.ERROR, rule, (), reason, remedy, file, line)])
