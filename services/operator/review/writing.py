"""
Declaring kinds in a playbook's file: lines are put in, and nothing else in it changes.
"""

import difflib
from collections.abc import Iterable, Mapping

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from services.operator.review.blueprints import KINDS, Kind
from shared.errors import Invalid
from shared.playbook.loading import read_text


def declared(text: str, file: str, kinds: Mapping[int, Iterable[Kind]]) -> str:
    """
    The YAML *text* with *kinds* declared true on its guidelines, by index; comments, order and layout stay.

    Raises:
        Invalid: a guideline stands there by an alias or a merge, so that a line could not be put in for it alone.

    """
    edits: list[tuple[int, str]] = []
    before = read_text(text.encode(), file).playbook
    items = _guidelines(YAML(typ="safe", pure=True).compose(text))
    for index, found in kinds.items():
        if wanted := [kind for kind in KINDS if kind in set(found)]:
            if index >= len(items):
                raise _unwritable(file, before.guidelines[index].id)
            edits.append(_edit(items[index], wanted))
    for offset, addition in sorted(edits, reverse=True):
        text = text[:offset] + addition + text[offset:]
    after = read_text(text.encode(), file).playbook
    for index, (old, new) in enumerate(zip(before.guidelines, after.guidelines, strict=True)):
        if new != old.model_copy(update=dict.fromkeys(kinds.get(index, ()), True)):
            raise _unwritable(file, old.id)
    return text


def difference(before: str, after: str, file: str) -> str:
    """What changes from *before* to *after*, as a unified diff."""
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(old, new, file, f"{file} (proposed)"))


def _unwritable(file: str, guideline: str) -> Invalid:
    return Invalid(
        "unwritable", f"{file}: the kinds of `{guideline}` cannot be put in where it stands; write them by hand"
    )


def _guidelines(root: Node) -> list[Node]:
    if isinstance(root, MappingNode):
        for key, value in root.value:
            if isinstance(key, ScalarNode) and key.value == "guidelines" and isinstance(value, SequenceNode):
                return list(value.value)
    return []


def _edit(item: Node, kinds: list[Kind]) -> tuple[int, str]:
    """Where in the text to put what: before the key that follows the action, or before the action where it is last."""
    keys = [key for key, _ in item.value if isinstance(key, ScalarNode)]
    names = [key.value for key in keys]
    after = names.index("action") + 1 if "action" in names else len(names)
    key = keys[after] if after < len(keys) else keys[-1]
    if isinstance(item, MappingNode) and item.flow_style:
        return key.start_mark.index, "".join(f"{kind}: true, " for kind in kinds)
    indent = " " * key.start_mark.column
    return key.start_mark.index, "".join(f"{kind}: true\n{indent}" for kind in kinds)
