"""
The spans of a process: its work on each record, and the model calls that this work took.

A hop's span has the ids that travel in the `traceparent` headers anyway: it is the context in what the hop wrote, and
its parent is the context in what it read. So a trace needs nothing but the headers, and spans of several processes fit
together without asking each other. Names and attributes are OpenTelemetry's (messaging and GenAI semantic conventions
1.44); none holds what anybody said, or who a customer is.

Without a sink nothing here is done.
"""

import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from random import getrandbits
from typing import Literal, Protocol

from shared.telemetry.trace import TraceContext, continued, parse

CALLS_MAX = 64
"""Calls of one hop that are told of; a hop that makes more is shown by its first ones."""
Kind = Literal["consumer", "client", "internal"]
Attributes = Mapping[str, str | int | float | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Span:
    """
    A span that has ended. Times are unix nanoseconds; *parent* is `None` at the root of a trace; *error* is a bounded
    word, empty for a success.
    """

    name: str
    kind: Kind
    context: TraceContext
    parent: TraceContext | None
    begun_ns: int
    ended_ns: int
    attributes: Attributes
    error: str = ""


class Spans(Protocol):
    """Where spans go."""

    def offer(self, span: Span) -> None:
        """Take *span*, or drop it. Never waits, never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the hop under way, as `Span` says; its ids follow from the hop's."""

    name: str
    begun_ns: int
    attributes: Attributes
    error: str = ""
    ended_ns: int = field(default_factory=time.time_ns)


@dataclass(slots=True)
class Hop:
    """
    Work on a record, under way: what it read, and what is to be told of it. `wrote` is the `traceparent` of its first
    output, once there is one.
    """

    name: str
    kind: Kind
    read: str
    attributes: MutableMapping[str, str | int | float | tuple[str, ...]]
    begun_ns: int = field(default_factory=time.time_ns)
    wrote: str = ""
    error: str = ""
    calls: list[Call] = field(default_factory=list)

    def end(self, spans: Spans) -> None:
        """Offer the hop's span, and those of its calls; none where the trace is not sampled."""
        context = parse(self.wrote) or continued(self.read, getrandbits)
        if not context.sampled:
            return
        ended_ns = time.time_ns()
        parent = parse(self.read)
        spans.offer(Span(self.name, self.kind, context, parent, self.begun_ns, ended_ns, self.attributes, self.error))
        for call in self.calls:
            own = context.child(getrandbits)
            spans.offer(
                Span(call.name, "client", own, context, call.begun_ns, call.ended_ns, call.attributes, call.error)
            )


_under_way: ContextVar[Hop | None] = ContextVar("hop", default=None)


def under_way() -> Hop | None:
    """The hop that this task, or the one that started it, works on; `None` where nobody wants to know."""
    return _under_way.get()


@contextmanager
def telling(spans: Spans, hop: Hop) -> Iterator[Hop]:
    """While the block lasts, *hop* is under way; then it ends. What the block raises is its error."""
    token = _under_way.set(hop)
    try:
        yield hop
    except BaseException as error:
        hop.error = type(error).__name__
        raise
    finally:
        _under_way.reset(token)
        hop.end(spans)


def tell(call: Call) -> None:
    """Add *call* to the hop under way, if there is one and it has room."""
    hop = under_way()
    if hop is not None and len(hop.calls) < CALLS_MAX:
        hop.calls.append(call)
