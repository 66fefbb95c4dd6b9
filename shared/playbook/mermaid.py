"""
A journey as a picture: Mermaid's flowchart text, which Markdown viewers draw.
"""

from typing import Final

from shared.playbook.model import END, Journey, State, StateKind

_SHAPES: Final = {StateKind.CHAT: ("[", "]"), StateKind.TOOL: ("[[", "]]"), StateKind.FORK: ("{", "}")}
LABEL_CHARS_MAX = 60
# `end` is a keyword of Mermaid and breaks a flowchart as a name.
_FINISH = "finish"


def mermaid(journey: Journey) -> str:
    """*journey* as a flowchart: boxes say something, double boxes use a tool, diamonds divide the way."""
    names = {state.id: f"s{place}" for place, state in enumerate(journey.states)} | {END: _FINISH}
    lines = ["flowchart TD", f"    begin([{_quoted(journey.title)}]) --> {names[journey.states[0].id]}"]
    for state in journey.states:
        opening, closing = _SHAPES[state.kind]
        lines.append(f"    {names[state.id]}{opening}{_quoted(_label(state))}{closing}")
    for state in journey.states:
        for transition in state.next:
            label = f"|{_quoted(transition.when)}|" if transition.when else ""
            lines.append(f"    {names[state.id]} -->{label} {names.get(transition.to, _FINISH)}")
    return "\n".join([*lines, f"    {_FINISH}(( ))", ""])


def _label(state: State) -> str:
    return state.action or (f"tool {state.tool}" if state.tool else state.id)


def _quoted(text: str) -> str:
    """*text* as a label: in quotes, within which only quotes and Mermaid's own escapes need replacing."""
    shown = " ".join(text.split())
    shown = shown if len(shown) <= LABEL_CHARS_MAX else f"{shown[: LABEL_CHARS_MAX - 1]}…"
    return '"' + shown.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;") + '"'
