"""
What fits a record of the broker, and what a ledger may make of an input.
"""

from typing import Any

from shared.broker.clients import RECORD_BYTES_MAX
from shared.broker.topics import DEAD_LETTER_BYTES_MAX
from shared.errors import Invalid
from shared.events.codec import Headers
from shared.stage.base import Output, Transition
from shared.stage.dead_letters import without_value

_BATCH_OVERHEAD_BYTES = 512
"""How much larger than its record a batch of one record is at most: 61 bytes of batch header, and the varints."""

OUTPUT_BYTES_MAX = RECORD_BYTES_MAX - _BATCH_OVERHEAD_BYTES
_LETTER_BYTES_MAX = DEAD_LETTER_BYTES_MAX - _BATCH_OVERHEAD_BYTES


def checked(key: bytes | None, transition: Transition[Any]) -> int:
    """
    The bytes of the outputs of *transition*, which is one that a ledger may make.

    Raises:
        Invalid: `missing_key`, or `output_too_large`.
        ValueError: no ledger may make it.

    """
    if transition.state is None:
        if transition.due_ms is not None:
            raise ValueError("a transition deletes the state and still wants to be woken")
    elif key is None:
        raise Invalid("missing_key", "the record has no key, so there is no state that it could change")
    size_bytes = size_of(transition.outputs)
    if size_bytes > OUTPUT_BYTES_MAX and (largest := max(size_of((o,)) for o in transition.outputs)) > OUTPUT_BYTES_MAX:
        raise Invalid(
            "output_too_large",
            f"the record makes an output of {largest} bytes; the broker takes at most {OUTPUT_BYTES_MAX}",
        )
    return size_bytes


def size_of(outputs: tuple[Output, ...]) -> int:
    """The bytes of *outputs*. The records of a transition often share their headers: those are measured once."""
    size_bytes = headers_bytes = 0
    measured: Headers | None = None
    for output in outputs:
        if output.headers is not measured:
            measured = output.headers
            headers_bytes = 0
            for name, value in measured:
                headers_bytes += len(name if name.isascii() else name.encode()) + len(value or b"")
        size_bytes += headers_bytes + len(output.key or b"") + len(output.value or b"")
    return size_bytes


def fitted(letter: Output) -> Output:
    """*letter*, without its value where the broker would refuse it as too large."""
    return without_value(letter) if size_of((letter,)) > _LETTER_BYTES_MAX else letter
