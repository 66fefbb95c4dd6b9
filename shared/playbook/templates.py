"""
The language of approved texts: a small part of Jinja, in a sandbox, whose cost is linear in the text and its values.

A field is `{{ std.customer.name }}`, `{{ std.agent.name }}`, `{{ std.variables.NAME }}`, `{{ facts.ID }}` (written
`facts["the-id"]` where the id has a hyphen), `{{ generative.NAME }}` (taken by the model from a fact, word by word),
or the bare name of a field that a tool brings. `if` and `for` (not one within another), comparisons and a few filters
are all the rest: no calls, no attributes with an underscore, no macros, no other templates, no arithmetic.

An undefined field is an error, never an empty string: an approved text with a hole in it was not approved.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import JsonValue

from shared.errors import HoldfastError

RENDERED_CHARS_MAX: Final = 8_192
ITEMS_MAX: Final = 50
"""Of a list that a `for` goes through, and of the items of a list that `join` joins."""
NESTING_MAX: Final = 16
TEMPLATES_KEPT_MAX: Final = 4_096
ROOTS: Final = frozenset({"std", "facts", "generative"})
GENERATIVE: Final = "generative."
FACTS: Final = "facts."
VARIABLES: Final = "std.variables."
CUSTOMER_NAME: Final = "std.customer.name"
AGENT_NAME: Final = "std.agent.name"
FILTERS: Final = frozenset(
    ["upper", "lower", "title", "capitalize", "trim", "round", "join", "default", "first", "last"],
)
TESTS: Final = frozenset({"defined", "none", "undefined"})
_ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.Filter,
    nodes.Test,
    nodes.If,
    nodes.For,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
)


class TemplateFault(HoldfastError):
    """An approved text that cannot be used; `line` counts from 1 within the text, 0 where it is of no line."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class Unfilled(HoldfastError):
    """A field of an approved text has no value now, or one that does not fit."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Without globals, and with attributes of mappings only."""

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Nothing but the keys of mappings is ever looked up."""
        del obj, attr, value
        return False

    def is_safe_callable(self, obj: object) -> bool:
        """Nothing is called."""
        del obj
        return False

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The value under the key *attribute*; no method of a mapping hides it."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The value under *argument* of a mapping."""
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        return self.undefined(obj=obj, name=argument)


# Plain text leaves, not markup: what a channel shows it as is escaped there.
_ENVIRONMENT: Final = _Sandbox(undefined=StrictUndefined, autoescape=False)
_ENVIRONMENT.globals.clear()
_ENVIRONMENT.filters = {name: held for name, held in _ENVIRONMENT.filters.items() if name in FILTERS}
_ENVIRONMENT.tests = {name: held for name, held in _ENVIRONMENT.tests.items() if name in TESTS} | {
    name: held for name, held in _ENVIRONMENT.tests.items() if name in {"eq", "ne", "lt", "le", "gt", "ge", "in"}
}


@lru_cache(maxsize=TEMPLATES_KEPT_MAX)
def fields_of(text: str) -> tuple[str, ...]:
    """
    The fields that *text* may ask for, dotted, in order of first appearance.

    Raises:
        TemplateFault: *text* is no template of this language.

    """
    tree = _parsed(text)
    return tuple(dict.fromkeys(_fields(tree, frozenset())))


def render(text: str, values: Mapping[str, JsonValue]) -> str:
    """
    *text* with its fields filled from *values* (by dotted name), without white space around it.

    Raises:
        TemplateFault: *text* is no template of this language.
        Unfilled: a field that is needed has no value, a value does not fit, or the result is empty or longer than
            `RENDERED_CHARS_MAX`.

    """
    template = _compiled(text)
    parts: list[str] = []
    length = 0
    try:
        for part in template.generate(_nested({name: values[name] for name in sources(text, values)})):
            length += len(part)
            if length > RENDERED_CHARS_MAX:
                raise Unfilled(f"the text filled in is longer than {RENDERED_CHARS_MAX} characters")
            parts.append(part)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise Unfilled(f"{type(error).__name__}: {error}") from None
    whole = "".join(parts).strip()
    if not whole:
        raise Unfilled("the text filled in is empty")
    return whole


def sources(text: str, values: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The names among *values* that the fields of *text* take their values from: the field's own, or a part before."""
    found: dict[str, None] = {}
    for field in fields_of(text):
        parts = field.split(".")
        names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        if name := next((name for name in names if values.get(name) is not None), ""):
            found[name] = None
    return tuple(found)


@lru_cache(maxsize=TEMPLATES_KEPT_MAX)
def _compiled(text: str) -> Template:
    _parsed(text)
    return _ENVIRONMENT.from_string(text)


def _parsed(text: str) -> nodes.Template:
    try:
        tree = _ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        raise TemplateFault(error.message or "no template", error.lineno) from None
    except RecursionError:
        raise TemplateFault("nested too deeply") from None
    except (ValueError, OverflowError) as error:  # numbers and escapes that Python does not read
        raise TemplateFault(str(error)) from None
    _check(tree, 0, in_loop=False)
    return tree


def _check(node: nodes.Node, depth: int, *, in_loop: bool) -> None:
    if not isinstance(node, _ALLOWED) or depth > NESTING_MAX:
        _refuse(node, f"`{type(node).__name__.lower()}` is not part of the language of approved texts")
    if isinstance(node, nodes.For):
        if in_loop or node.recursive or node.test is not None or not isinstance(node.target, nodes.Name):
            _refuse(node, "a `for` goes through one list, with one name, and holds no other")
        in_loop = True
    _check_words(node)
    if isinstance(node, nodes.Filter) and (node.name not in FILTERS or node.dyn_args or node.dyn_kwargs):
        _refuse(node, f"there is no filter `{node.name}`; there are {', '.join(sorted(FILTERS))}")
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        _refuse(node, f"there is no test `{node.name}`; there are {', '.join(sorted(TESTS))}")
    for inner in node.iter_child_nodes():
        _check(inner, depth + 1, in_loop=in_loop)


def _check_words(node: nodes.Node) -> None:
    """Refuse names, and texts in quotation marks, that may not be used."""
    match node:
        case nodes.Name(name=name) | nodes.Getattr(attr=name):
            if name.startswith("_") or name in {"loop", "self", "caller", "super"}:
                _refuse(node, f"`{name}` may not be used")
        case nodes.Getitem(arg=key):
            if not _is_key(key):
                _refuse(node, "what stands in brackets is a field's name in quotation marks")
        case nodes.Const(value=str(text)):
            if not _is_unicode(text):
                _refuse(node, "a text in quotation marks holds half a character; write the character itself")


def _is_key(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.Const) and isinstance(node.value, str) and not node.value.startswith("_")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(node: nodes.Node, reason: str) -> NoReturn:
    raise TemplateFault(reason, node.lineno)


def _fields(node: nodes.Node, bound: frozenset[str]) -> Iterator[str]:
    """The dotted names that *node* looks up, except those that a `for` has *bound*."""
    if isinstance(node, nodes.For) and isinstance(node.target, nodes.Name):
        yield from _fields(node.iter, bound)
        inside = bound | {node.target.name}
        for inner in (*node.body, *node.else_):
            yield from _fields(inner, inside)
        return
    path = _path(node)
    if path:
        if path[0] not in bound:
            yield ".".join(path)
        return
    for child in node.iter_child_nodes():
        yield from _fields(child, bound)


def _path(node: nodes.Node) -> tuple[str, ...]:
    """`std.variables.x` as its parts; empty where *node* is no name."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        before = _path(node.node)
        return (*before, node.attr) if before else ()
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        before = _path(node.node)
        return (*before, str(node.arg.value)) if before else ()
    return ()


def _nested(values: Mapping[str, JsonValue]) -> dict[str, Any]:
    # The roots are always there, so that a field that is not known is undefined and can be asked about.
    whole: dict[str, Any] = {"std": {"variables": {}, "customer": {}, "agent": {}}, "facts": {}, "generative": {}}
    for name, value in values.items():
        *parents, last = name.split(".")
        place = whole
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value[:ITEMS_MAX] if isinstance(value, list) else value
    return whole
