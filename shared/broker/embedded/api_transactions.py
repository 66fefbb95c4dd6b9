"""The APIs of idempotent and transactional producers."""

from shared.broker.embedded.server import Call
from shared.broker.embedded.transactions import Transactions


class TransactionApi:
    """What transactional producers ask."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def initialise(self, call: Call) -> None:
        """A producer id; for a transactional id, the former owner is fenced."""
        body = call.body
        call.answer(0, *self._transactions.initialise(body.transactional_id, body.transaction_timeout_ms / 1000))

    def add_partitions(self, call: Call) -> None:
        """Add partitions to the transaction."""
        body = call.body
        wanted = [(topic, index) for topic, indices in body.topics for index in indices]
        codes = self._transactions.add_partitions(body.transactional_id, body.producer_id, body.producer_epoch, wanted)
        call.answer(0, [(topic, [(i, codes[topic, i]) for i in indices]) for topic, indices in body.topics])

    def add_offsets(self, call: Call) -> None:
        """Add a group's offsets to the transaction."""
        body = call.body
        call.answer(
            0,
            self._transactions.add_offsets(body.transactional_id, body.producer_id, body.producer_epoch, body.group_id),
        )

    def commit_offsets(self, call: Call) -> None:
        """Offsets that become visible when the transaction commits."""
        body = call.body
        offsets = {
            (topic, index): (offset, metadata)
            for topic, partitions in body.topics
            for index, offset, metadata in partitions
        }
        codes = self._transactions.hold_offsets(
            body.transactional_id, body.producer_id, body.producer_epoch, body.group_id, offsets
        )
        call.answer(
            0,
            [(topic, [(index, codes[topic, index]) for index, *_ in partitions]) for topic, partitions in body.topics],
        )

    def end(self, call: Call) -> None:
        """Commit or abort."""
        body = call.body
        call.answer(
            0,
            self._transactions.end(
                body.transactional_id, body.producer_id, body.producer_epoch, commit=body.transaction_result
            ),
        )
