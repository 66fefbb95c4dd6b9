"""
Arguments of a call, checked by code: of the right type, among the choices, fitting the pattern, and from where the
playbook lets them come.

A model says where a value stands; it is believed only as far as the text bears it out. A value that a parameter takes
from the customer alone must stand in the customer's own words or in a variable, so that no tool's answer and no
guess can put it there.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from services.reasoner.domain.tools.blueprints import INVALID, MISSING
from shared.arq.wording import contains_phrase
from shared.events.base import INTEGER_MAX
from shared.events.tools import ParameterProblem
from shared.events.values import bounded
from shared.playbook.patterns import fits
from shared.playbook.tools import Parameter, ParameterType, Scalar, Tool, ValueSource
from shared.text.numbers import figures
from shared.text.plain import folded
from shared.text.visible import cleaned

VALUE_CHARS_MAX: Final = 1_000
SHOWN_CHARS_MAX: Final = 200
INTEGERS_END: Final = 2**63
COMPACT_CHARS_MIN: Final = 3
"""Shorter values are compared word by word only: `AB` stands in too many texts once spaces are gone."""
_SEPARATORS: Final = "[.,'\N{RIGHT SINGLE QUOTATION MARK}]"
_NUMBER: Final = re.compile(rf"(?P<sign>(?<!\w)-)?(?P<digits>\d+(?:{_SEPARATORS}\d+)*)")
_MANTISSA_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Said:
    """What is known in a turn, by who said it: the customer's words, the variables, and the rest."""

    customer: tuple[str, ...]
    variables: tuple[str, ...] = ()
    context: tuple[str, ...] = ()

    def texts(self, source: ValueSource) -> tuple[str, ...]:
        """Where a value from *source* may stand."""
        return self.variables + (self.customer if source is ValueSource.CUSTOMER else self.context)


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, or what is wrong with them."""

    values: Mapping[str, Scalar]
    problems: tuple[ParameterProblem, ...]


def arguments(tool: Tool, said: Mapping[str, Any], known: Said) -> Arguments:
    """What the model *said* of each parameter of *tool* (evidence, value, status) comes to."""
    values: dict[str, Scalar] = {}
    problems: list[ParameterProblem] = []
    for parameter in tool.parameters:
        found = _argument(parameter, said[parameter.name], known)
        if isinstance(found, _Wrong):
            problems.append(
                ParameterProblem(
                    tool=tool.id, parameter=parameter.name, problem=found.problem, value=_shown(found.value)
                )
            )
        elif found is not None:
            values[parameter.name] = found
    return Arguments(values, tuple(problems))


@dataclass(frozen=True, slots=True)
class _Wrong:
    problem: str
    value: Scalar = ""


def _argument(parameter: Parameter, said: Mapping[str, Any], known: Said) -> Scalar | _Wrong | None:
    if said["status"] == INVALID:
        return _Wrong(INVALID, said["evidence"] or said["value"])
    if said["status"] == MISSING or said["value"] == "":
        return _absent(parameter)
    value = typed(parameter, said["value"])
    if value is None:
        return _Wrong(INVALID, said["value"])
    if parameter.source is not ValueSource.ANY and not _stands(
        parameter, value, said["evidence"], known.texts(parameter.source)
    ):
        return _absent(parameter)
    return value


def _absent(parameter: Parameter) -> Scalar | _Wrong | None:
    if parameter.default is not None:
        return parameter.default if _is_held(parameter.default) else _Wrong(INVALID, parameter.default)
    return _Wrong(MISSING) if parameter.required else None


def typed(parameter: Parameter, value: object) -> Scalar | None:
    """*value* as *parameter* takes it; None where it does not fit."""
    match parameter.type, value:
        case ParameterType.BOOLEAN, bool():
            return value
        case _, bool():
            return None
        case ((ParameterType.INTEGER | ParameterType.NUMBER), int()):
            return _number(parameter, value)
        case ParameterType.NUMBER, float():
            return _number(parameter, value)
        case ((ParameterType.STRING | ParameterType.DATE | ParameterType.DATETIME), str()):
            return _text(parameter, cleaned(value).strip())
    return None


def _text(parameter: Parameter, value: str) -> str | None:
    if not 0 < len(value) <= VALUE_CHARS_MAX:
        return None
    if parameter.choices:
        chosen = [choice for choice in parameter.choices if folded(choice) == folded(value)]
        value = chosen[0] if chosen else ""
    if parameter.type is not ParameterType.STRING:
        value = _instant(parameter.type, value)
    if parameter.pattern and not fits(parameter.pattern, value):
        return None
    return value or None


def _instant(kind: ParameterType, value: str) -> str:
    reads = date.fromisoformat if kind is ParameterType.DATE else datetime.fromisoformat
    try:
        return reads(value).isoformat()
    except ValueError:
        return ""


def _number(parameter: Parameter, value: float) -> int | float | None:
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) <= INTEGER_MAX:
        value = int(value)
    return _chosen(parameter, value) if _is_held(value) else None


def _is_held(value: Scalar) -> bool:
    """Whether endpoints hold *value*: a number is finite and, as an integer, of no more than 64 bits."""
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or -INTEGERS_END <= value < INTEGERS_END


def _shown(value: Scalar) -> str:
    if isinstance(value, int) and not _is_held(value):
        return "a number of too many digits"
    return str(bounded(str(value)))[:SHOWN_CHARS_MAX]


def _chosen(parameter: Parameter, value: float) -> int | float | None:
    if not parameter.choices:
        return value
    return value if any(_same_number(choice, value) for choice in parameter.choices) else None


def _same_number(choice: str, value: float) -> bool:
    try:
        return float(choice) == value
    except ValueError:
        return False


def _stands(parameter: Parameter, value: Scalar, evidence: str, texts: Sequence[str]) -> bool:
    """
    Whether *texts* bear *value* out: it stands there itself; or, where it is worked out from words (a date from
    `tomorrow`, a choice, a yes), the words that are given as *evidence* do.
    """
    if isinstance(value, bool):
        return _quoted(evidence, texts)
    if isinstance(value, int | float):
        if any(value in _numbers(text) for text in texts):
            return True
        return not _numbers(evidence) and _quoted(evidence, texts)
    if _quoted(value, texts) or any(_compact(value) in _compact(text) for text in texts if _is_compact(value)):
        return True
    derived = bool(parameter.choices) or parameter.type is not ParameterType.STRING
    return derived and _quoted(evidence, texts)


def _quoted(words: str, texts: Sequence[str]) -> bool:
    return any(contains_phrase(text, words.strip(" .,;:!?\"'")) for text in texts)


def _compact(text: str) -> str:
    return "".join(char for char in folded(text) if char.isalnum())


def _is_compact(value: str) -> bool:
    return len(_compact(value)) >= COMPACT_CHARS_MIN and any(char.isdigit() for char in value)


def _numbers(text: str) -> set[float]:
    """
    The numbers in *text*; one with a single separator before three digits is read both ways, and so is one behind a
    minus, which may be a dash.
    """
    found: set[float] = set()
    for match in _NUMBER.finditer(figures(cleaned(text))):
        read = _readings(re.split(_SEPARATORS, match["digits"]))
        found |= read
        if match["sign"]:
            found |= {-value for value in read}
    return found


def _readings(parts: Sequence[str]) -> set[float]:
    whole = float("".join(parts))
    if len(parts) == 1:
        return {whole}
    decimal = float(f"{''.join(parts[:-1])}.{parts[-1]}")
    return {whole, decimal} if len(parts[-1]) == _MANTISSA_DIGITS else {decimal}
