"""
The truth, derived a second time: the committed transactions of the ledger are repeated from the log, input by input,
from an empty state, and must come out byte for byte (I7).

That also shows that each input took effect exactly once and in its order, that timers rang when they were due and only
then, and that what a transaction wrote and what it committed belong together.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.conversations.domain.bounds import Bounds
from services.conversations.metrics import ConversationsMetrics
from services.conversations.stage import ConversationLedger
from shared.errors import Invalid
from shared.events.topics import CONVERSATIONS_STATE, DEAD_LETTERS
from shared.stage.base import Output, Record
from shared.stage.timers import due_of
from tests.simulation.journal import Applied, Woken
from tests.simulation.playbooks import Press, Reading
from tests.simulation.watcher import Transaction


class Differs(Exception):
    """The log is not what the ledger makes of its inputs."""


@dataclass(slots=True)
class Replay:
    """*records* tells the committed records of a topic and partition, as a read_committed consumer has them."""

    press: Press
    bounds: Bounds
    metrics: ConversationsMetrics
    partitions: int
    records: dict[tuple[str, int], Sequence[Record]]
    states: dict[bytes, bytes] = field(default_factory=dict)
    dues: dict[bytes, int] = field(default_factory=dict)
    _next: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _as_of: float = 0.0

    def run(self, transactions: Sequence[Transaction]) -> None:
        """
        Repeat *transactions*, in the order in which they were committed.

        Raises:
            Differs: something comes out otherwise.

        """
        ledger = ConversationLedger(
            Reading(self.press, lambda: self._as_of), self.bounds, self.metrics, partitions=self.partitions
        )
        for transaction in transactions:
            self._repeat(ledger, transaction)

    def unread(self) -> list[str]:
        """The input records that no transaction applied."""
        return [
            f"{topic}/{partition}@{record.offset}"
            for (topic, partition), records in sorted(self.records.items())
            if topic != CONVERSATIONS_STATE
            for record in records[self._next[topic, partition] :]
        ]

    def _repeat(self, ledger: ConversationLedger, transaction: Transaction) -> None:
        outputs: list[Output] = []
        touched: dict[bytes, None] = {}
        reached: dict[str, int] = {}
        for entry in transaction.entries:
            self._as_of = entry.as_of
            if isinstance(entry, Woken):
                outputs += self._wake(ledger, entry)
                touched[entry.key] = None
            else:
                record = self._take(entry, transaction.partition)
                reached[entry.topic] = record.offset + 1
                outputs += self._apply(ledger, entry, record)
                if record.key is not None:
                    touched[record.key] = None
        self._compare(outputs, [output for output in transaction.outputs if output.topic != CONVERSATIONS_STATE])
        self._compare_states(touched, transaction)
        committed = {position.topic: at.offset for position, at in transaction.progress.items()}
        if committed != reached:
            raise Differs(f"task {transaction.partition} commits {committed} with inputs up to {reached}")

    def _take(self, entry: Applied, partition: int) -> Record:
        """The next record of the log, which *entry* must be."""
        place = entry.topic, partition
        records, index = self.records[place], self._next[place]
        if index >= len(records) or records[index].offset != entry.offset:
            due = records[index].offset if index < len(records) else "none"
            raise Differs(f"{entry.topic}/{partition}@{entry.offset} took effect when {due} was next")
        self._next[place] += 1
        return records[index]

    def _apply(self, ledger: ConversationLedger, entry: Applied, record: Record) -> Sequence[Output]:
        data = self.states.get(record.key) if record.key is not None else None
        state = None if data is None else ledger.decode(data)
        try:
            transition = ledger.apply(state, record, entry.now_ms)
        except Invalid:
            return [Output(DEAD_LETTERS, record.key, record.value, record.headers)]
        if record.key is not None and transition.state is not state:
            self._keep(record.key, transition.state and ledger.encode(transition.state), transition.due_ms)
        return transition.outputs

    def _wake(self, ledger: ConversationLedger, entry: Woken) -> Sequence[Output]:
        due = self.dues.get(entry.key)
        if due is None or due > entry.now_ms:
            raise Differs(f"{entry.key!r} was woken at {entry.now_ms} though it was due at {due}")
        transition = ledger.wake(entry.key, ledger.decode(self.states[entry.key]), entry.now_ms)
        self._keep(entry.key, transition.state and ledger.encode(transition.state), transition.due_ms)
        return transition.outputs

    def _keep(self, key: bytes, data: bytes | None, due_ms: int | None) -> None:
        for kept, value in ((self.states, data), (self.dues, due_ms)):
            if value is None:
                kept.pop(key, None)
            else:
                kept[key] = value

    @staticmethod
    def _compare(expected: Sequence[Output], written: Sequence[Output]) -> None:
        if len(expected) != len(written):
            raise Differs(f"{len(written)} outputs were committed where {len(expected)} follow from the inputs")
        for one, other in zip(expected, written, strict=True):
            # A dead letter carries more headers than its record: why it is one.
            headers = other.headers[: len(one.headers)] if one.topic == DEAD_LETTERS else other.headers
            if (one.topic, one.key, one.value, one.headers) != (other.topic, other.key, other.value, headers):
                raise Differs(f"{other.topic} of {other.key!r} is not what follows from the inputs")

    def _compare_states(self, touched: dict[bytes, None], transaction: Transaction) -> None:
        written = {o.key: o for o in transaction.outputs if o.topic == CONVERSATIONS_STATE}
        for key, output in written.items():
            due = None if output.value is None else due_of(output.headers)
            if (output.value, due) != (self.states.get(key), self.dues.get(key)):
                raise Differs(f"the state of {key!r} in the changelog is not what follows from the inputs")
            touched.pop(key, None)
        last = {r.key: r.value for r in self.records[CONVERSATIONS_STATE, transaction.partition]}
        for key in touched:
            if self.states.get(key) is not None and last.get(key) is None:
                raise Differs(f"the state of {key!r} is missing in the changelog")
