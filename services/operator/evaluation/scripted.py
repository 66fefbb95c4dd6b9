"""
A model that answers as the scenarios' labels demand: it proves that what a right model says arrives as the right
decision, and says nothing about any model.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from services.operator.evaluation.scenario import Judged, Scenario
from services.operator.evaluation.scripted_replies import is_asked_about, labelled_reply
from shared.errors import Fatal
from shared.events.claims import ReasoningMode
from shared.llm.rehearsal.rules import Rule, Situation
from shared.llm.rehearsal.rules_draft import RULES as DRAFTS
from shared.llm.rehearsal.rules_pick import RULES as PICKS
from shared.llm.rehearsal.rules_tools import BEST, NEED
from shared.playbook.model import END, RelationshipKind

_FITTING: Mapping[str, Any] = {
    "integer": 1,
    "number": 1.0,
    "boolean": False,
    "date": "2026-01-02",
    "datetime": "2026-01-02T10:00",
}
_USUAL: Mapping[str, Rule] = {**DRAFTS, **PICKS}
_Key = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]


def scripted_rules(scenarios: Iterable[Scenario]) -> dict[str, Rule]:
    """Rules for the rehearsal model's server; a prompt is known by its conversation, variables and guidelines."""
    script = _Script(scenarios)
    return {
        "match_guidelines_v1": script.plain,
        "match_situations_v1": script.full,
        "cross_check_v2": script.judged_reply,
        "classify_guidelines_v1": script.classified,
        "call_tools_v1": script.called,
        **{
            f"{kind}_{mode}_v1": script.drafted(f"{kind}_{mode}_v1")
            for kind in ("draft", "pick")
            for mode in ReasoningMode
        },
    }


class _Script:
    def __init__(self, scenarios: Iterable[Scenario]) -> None:
        self._known: dict[_Key, list[Scenario]] = defaultdict(list)
        self._replies: dict[str, list[Scenario]] = defaultdict(list)
        self._kinds: dict[tuple[str, str], set[str]] = defaultdict(set)
        for scenario in scenarios:
            if scenario.expected.judged is Judged.CLASSIFIED:
                self._add_kinds(scenario)
                continue
            if scenario.expected.judged is Judged.PERFORMED:
                self._replies[scenario.conversation[-1].text].append(scenario)
            texts = tuple(line.text for line in scenario.conversation)
            self._known[texts, tuple(sorted(scenario.variables.items()))].append(scenario)

    def plain(self, situation: Situation) -> dict[str, Any]:
        """The answer to `match_guidelines_v1`."""
        return self._judged(situation, self._scenario(situation))

    def full(self, situation: Situation) -> dict[str, Any]:
        """The answer to `match_situations_v1`."""
        scenario = self._scenario(situation)
        shown = _shown(situation)
        numbers = {item["id"]: _id(scenario, item) for item in shown}
        choices = [_choice(scenario, item, numbers) for item in shown if item.get("kind") == "choice"]
        journeys = [_journey(scenario, item) for item in situation.sections.get("journeys", [])]
        return {**self._judged(situation, scenario), "choices": choices, "journeys": journeys}

    def judged_reply(self, situation: Situation) -> dict[str, Any]:
        """The answer to `cross_check_v2` about the guidelines of a reply; there is no claim to compare."""
        sections = situation.sections
        reply = sections["reply"]["text"]
        known = self._replies.get(reply)
        if not known:
            raise Fatal("the scripted model was asked about a reply of no scenario")
        asked = sections["guidelines"]
        scenario = next(one for one in known if len(one.guidelines) == len(asked))
        return {
            "claims": [],
            "guidelines": [
                {"guideline": item["guideline"], "evidence": reply if done else ""}
                | {"verdict": "performed" if done else "not_performed"}
                for item, one in zip(asked, scenario.guidelines, strict=True)
                for done in [one.id in scenario.expected.ids]
            ],
        }

    def called(self, situation: Situation) -> dict[str, Any]:
        """The answer to `call_tools_v1`: the labelled calls; where none is labelled, what is asked for lacks values."""
        messages = [*situation.sections.get("history", []), *situation.sections["now"]["messages"]]
        texts = tuple(message["text"] for message in messages)
        shown = {tool["tool"]: tool for tool in situation.sections["tools"]}
        known = [one for (said, _), found in self._known.items() if said == texts for one in found]
        scenario = max(known, key=lambda one: len(shown.keys() & {tool.id for tool in one.tools}))
        return {name: _about_tool(name, scenario, shown) for name in situation.schema["properties"]}

    def drafted(self, name: str) -> Rule:
        """The rule for the drafts' blueprint *name*: the labelled reply, or what the rehearsal model would say."""
        usual = _USUAL[name]

        def rule(situation: Situation) -> dict[str, Any]:
            messages = [*situation.sections.get("history", []), *situation.sections["now"]["messages"]]
            texts = tuple(message["text"] for message in messages)
            known = [one for (said, _), found in self._known.items() if said == texts for one in found]
            labelled = next((one for one in known if is_asked_about(one, situation)), None)
            said = usual(situation)
            return said if labelled is None else said | labelled_reply(labelled, situation, said)

        return rule

    def classified(self, situation: Situation) -> dict[str, Any]:
        """The answer to `classify_guidelines_v1`."""
        return {
            "guidelines": [
                {
                    "guideline": item["id"],
                    "condition": "as labelled",
                    "agent_is_about_to": "",
                    "action": "as labelled",
                    "goes_on_for_ever": "",
                    "customer_has_to_give": "",
                    "verdict": sorted(self._kinds[item["when"], item["do"]]),
                }
                for item in situation.sections["guidelines"]
            ]
        }

    def _add_kinds(self, scenario: Scenario) -> None:
        for one in scenario.guidelines:
            if scenario.expected.kind and one.id in scenario.expected.ids:
                self._kinds[one.condition, one.action].add(scenario.expected.kind)

    def _scenario(self, situation: Situation) -> Scenario:
        texts = tuple(message["text"] for message in situation.sections["conversation"])
        variables = tuple(sorted(situation.sections.get("variables", {}).items()))
        known = self._known.get((texts, variables))
        if not known:
            raise Fatal("the scripted model was asked about a conversation of no scenario")
        shown = _shown(situation)
        return max(known, key=lambda scenario: sum(bool(_id(scenario, item)) for item in shown))

    @staticmethod
    def _judged(situation: Situation, scenario: Scenario) -> dict[str, Any]:
        applied = frozenset(situation.sections.get("already_applied", []))
        applying = _applying(scenario)
        checks, again, principles = [], [], []
        for item in _shown(situation):
            applies = _id(scenario, item) in applying or item.get("kind") == "beginning"
            judged = {"guideline": item["id"], "condition": "as labelled", "evidence": "as labelled"}
            verdict = {"verdict": "applies" if applies else "not_now"}
            if item["id"] in applied:
                outstanding = "substance" if applies else "nothing"
                again.append(judged | {"met_again": "yes" if applies else "no", "outstanding": outstanding} | verdict)
            elif item.get("kind") == "principle":
                principles += [item["id"]] if applies else []
            elif item.get("kind") != "choice":
                checks.append(judged | verdict)
        return {"checks": checks, "reapplications": again, "principles": principles}


def _about_tool(name: str, scenario: Scenario, shown: Mapping[str, Any]) -> Any:
    if name == NEED:
        return "as labelled"
    labelled = [call for call in scenario.expected.calls if call.tool in shown]
    if name.startswith(BEST):
        best = list(dict.fromkeys(call.tool for call in labelled if shown[call.tool].get("alike")))
        return {"comparison": "as labelled", "decision": best}
    calls = [_arguments(shown[name], call.arguments) for call in labelled if call.tool == name]
    answer: dict[str, Any] = {"rationale": "as labelled", "decision": "call" if calls else "not_now"}
    return answer | ({"calls": calls} if shown[name].get("parameters") else {})


def _arguments(tool: Mapping[str, Any], given: Mapping[str, str | float]) -> dict[str, Any]:
    """The labelled arguments; of those that are needed and not labelled, any value that fits."""
    said = {}
    for parameter in tool.get("parameters", []):
        name, kind = parameter["name"], parameter["type"]
        value = given.get(name, _FITTING.get(kind, parameter.get("choices", ["any"])[0]))
        if kind == "integer":
            value = int(value)
        told = name in given or parameter["required"]
        said[name] = {"evidence": str(value), "value": value, "status": "given" if told else "missing"}
    return said


def _shown(situation: Situation) -> list[Any]:
    return [*situation.sections.get("guidelines", []), *situation.sections.get("more_guidelines", [])]


def _id(scenario: Scenario, item: Mapping[str, Any]) -> str:
    """The id of the guideline that the prompt shows as *item*; empty for a distractor or a journey."""
    shown = (item["when"], item.get("do", ""))
    return next((one.id for one in scenario.guidelines if (one.condition, one.action) == shown), "")


def _applying(scenario: Scenario) -> frozenset[str]:
    expected = scenario.expected
    if expected.judged is Judged.CHOICE:
        return frozenset(expected.matched or ())
    return frozenset(expected.ids if expected.matched is None else expected.matched)


def _choice(scenario: Scenario, item: Mapping[str, Any], numbers: Mapping[str, str]) -> dict[str, Any]:
    """Open with the labelled options, or, where verdicts are judged, with those that do not apply by themselves."""
    head, expected = numbers[item["id"]], scenario.expected
    targets = {
        target
        for one in scenario.relationships
        if one.kind is RelationshipKind.DISAMBIGUATION and one.source == head
        for target in one.targets
    }
    offered = targets & set(expected.ids)
    if expected.judged is not Judged.CHOICE:
        offered = targets - set(expected.ids) if head in _applying(scenario) else set()
    return {
        "guideline": item["id"],
        "evidence": "as labelled",
        "asked_before": "no",
        "settled": "no" if offered else "yes",
        "options": [number for number in item["options"] if numbers[number] in offered],
        "verdict": "ask" if offered else "clear",
    }


def _journey(scenario: Scenario, item: Mapping[str, Any]) -> dict[str, Any]:
    """The walk to the labelled state, from the current one or, where it leads there no more, from an earlier one."""
    ways = {state["id"]: [way["to"] for way in state.get("next", [])] or [END] for state in item["states"]}
    numbers = dict(zip([state.id for state in scenario.journey.states], ways, strict=True)) if scenario.journey else {}
    wanted = [numbers[name] for name in scenario.expected.ids] or [END]
    path = item.get("path", [])
    starts = list(dict.fromkeys(reversed(path))) or list(ways)[:1]
    for start in starts:
        if (walk := _walk(ways, start, wanted)) is not None:
            is_back = bool(path) and start != path[-1]
            return _check(item, "revises" if is_back else "goes_on", start if is_back else "none", walk)
    return _check(item, "set_aside", "none", ())


def _walk(ways: Mapping[str, Sequence[str]], start: str, wanted: Sequence[str]) -> tuple[str, ...] | None:
    """The shortest way from *start* to one of *wanted*, both included."""
    pending: deque[tuple[str, ...]] = deque([(start,)])
    seen = {start}
    while pending:
        walk = pending.popleft()
        if walk[-1] in wanted:
            return walk
        for following in ways.get(walk[-1], ()):
            if following not in seen:
                seen.add(following)
                pending.append((*walk, following))
    return None


def _check(item: Mapping[str, Any], course: str, back_to: str, walk: Sequence[str]) -> dict[str, Any]:
    steps = [
        {"state": state, "evidence": "as labelled", "completed": "completed", "leads_to": following}
        for state, following in pairwise(walk)
    ]
    return {
        "journey": item["id"],
        "situation": "as labelled",
        "course": course,
        "back_to": back_to,
        "steps": steps,
    }
