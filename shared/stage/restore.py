"""
How a task comes back from what is committed: the positions to read from, its state and its timers.
"""

import asyncio
from collections.abc import Sequence

from shared.errors import Fatal
from shared.stage.fold import due_of
from shared.stage.ports import Changelog, Group, Position
from shared.stage.state import StateStore
from shared.stage.timers import Timers

_RECORDS_BETWEEN_YIELDS = 500


async def restore(changelog: Changelog, topic: str, partition: int, store: StateStore) -> Timers:
    """
    Fill *store* from a compacted *topic*, and return the timers of what it holds; no state is decoded.

    Raises:
        Fatal: the topic holds what no ledger wrote.

    """
    read = 0
    async for key, value, headers in changelog.read(topic, partition):
        if value is None:
            store.delete(key)
        else:
            try:
                store.put(key, value, due_of(headers))
            except ValueError as error:
                raise Fatal(
                    f"{topic}, partition {partition}, key {key!r}: the due time cannot be read: {error}"
                ) from None
        read += 1
        if read % _RECORDS_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)  # a changelog at hand is read without a pause; tasks that are open must go on
    timers = Timers()
    for key, _, due_ms in store.iterate():
        timers.schedule(key, due_ms)
    return timers


async def positions_to_read(group: Group, positions: Sequence[Position]) -> dict[str, int]:
    """
    By topic, the next offset to read of each of a task's *positions*: the committed one, else the first there is.
    """
    committed = await group.committed(positions)
    unread = [position for position in positions if position not in committed]
    first = await group.beginning(unread) if unread else {}
    return {
        position.topic: committed[position].offset if position in committed else first[position]
        for position in positions
    }
