"""
The result of one scenario, played once.
"""

import re

from services.operator.evaluation.distractors import own
from services.operator.evaluation.kept import Kept
from services.operator.evaluation.scenario import Judged, Scenario
from shared.events.composition import Composition
from shared.events.turns import Matching, MatchVerdict
from shared.text.plain import folded

REPLY = "reply"
APPROVED_TEXTS = "approved texts"
_OPTION = re.compile(r"(?:^|; )\(\d+\) ")


class Result(Kept):
    """
    One scenario played once. `unknown` counts guidelines that the model gave no usable verdict on, `strays` distractors
    that were found to apply; `failure` says why there is no decision at all.
    """

    scenario: str
    area: str
    guidelines: int
    expected: tuple[str, ...]
    observed: tuple[str, ...]
    unknown: int = 0
    strays: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
    seconds: float = 0.0
    failure: str = ""

    @property
    def is_final(self) -> bool:
        """Whether playing it again could not be expected to say more: the model did answer."""
        return not self.failure and not self.unknown

    @property
    def is_right(self) -> bool:
        """Whether the decision is exactly the expected one and the model's: a policy's for want of one is not."""
        return self.is_final and set(self.expected) == set(self.observed)


def observed(scenario: Scenario, matching: Matching) -> tuple[str, ...]:
    """What *matching* decided of that which *scenario* judges, without the distractors."""
    match scenario.expected.judged:
        case Judged.ACTIVE:
            known = {guideline.id for guideline in scenario.guidelines}
            return tuple(name for name in matching.active if name in known)
        case Judged.VERDICTS:
            said = [match.guideline_id for match in matching.matches if match.verdict is MatchVerdict.APPLIES]
            return tuple(name for name in own(said) if not name.startswith("journey:"))
        case Judged.CHOICE:
            return _offered(scenario, matching)
        case Judged.STEP:
            prefix = f"{scenario.journey.id}." if scenario.journey else "."
            return tuple(name.removeprefix(prefix) for name in matching.active if name.startswith(prefix))
        case Judged.PERFORMED | Judged.CLASSIFIED | Judged.CALLS | Judged.REPLIED as judged:
            raise ValueError(f"matching does not decide what is {judged}")


def accepted(scenario: Scenario, decided: tuple[str, ...]) -> tuple[str, ...]:
    """The label that *decided* is compared with: of alternative steps, the one that was taken, else the first."""
    ids = scenario.expected.ids
    if scenario.expected.judged is Judged.REPLIED:
        return labels(scenario)
    if scenario.expected.judged is Judged.CALLS:
        return tuple(map(str, scenario.expected.calls))
    if scenario.expected.judged is not Judged.STEP:
        return ids
    return tuple(name for name in decided if name in ids) or ids[:1]


def labels(scenario: Scenario) -> tuple[str, ...]:
    """What a right reply to *scenario* is, as results name it."""
    expected = scenario.expected
    if expected.answer != "reply":
        return (expected.answer,)
    leaves = APPROVED_TEXTS if scenario.composition is Composition.STRICT else REPLY
    return (leaves, *(f"says: {' | '.join(group)}" for group in expected.says))


def said_by(scenario: Scenario, text: str, *, approved: bool) -> tuple[str, ...]:
    """What the reply *text* is of that which `labels` names."""
    leaves = APPROVED_TEXTS if approved else REPLY
    groups = [group for group in scenario.expected.says if any(folded(one) in folded(text) for one in group)]
    return (leaves, *(f"says: {' | '.join(group)}" for group in groups))


def strays(matching: Matching) -> int:
    """Distractors that were found to apply."""
    said = [match.guideline_id for match in matching.matches if match.verdict is MatchVerdict.APPLIES]
    return len(said) - len(own(said))


def _offered(scenario: Scenario, matching: Matching) -> tuple[str, ...]:
    """The options of the open question, which names them by their conditions."""
    asked = [item.action.partition(": ")[2] for item in matching.instructions if item.id.endswith(".choice")]
    offered = {text.strip() for action in asked for text in _OPTION.split(action) if text.strip()}
    return tuple(item.id for item in scenario.guidelines if item.condition.strip().rstrip(".") in offered)
