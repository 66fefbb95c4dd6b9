"""
The ledger behind the doors: the fold of a task with conversations of both tenants, each state read back.
"""

from collections.abc import Sequence
from functools import lru_cache

from prometheus_client import CollectorRegistry

from services.conversations.domain.bounds import Bounds
from services.conversations.domain.speakers import RESULT_TOPICS
from services.conversations.metrics import ConversationsMetrics
from services.conversations.settings import ConversationsSection
from services.conversations.stage import ConversationLedger
from shared.broker.clients import RECORD_BYTES_MAX
from shared.errors import Invalid
from shared.events import codec
from shared.events.conversation import Author, MessagePosted
from shared.events.envelope import Address, Envelope
from shared.events.topics import CONVERSATION_EVENTS, CONVERSATIONS_STATE, DEAD_LETTERS, RECEIVED_FROM_TENANTS, TOPICS
from shared.events.turns import TurnOpened
from shared.stage.base import Output, Record
from shared.stage.commit_group import CommitGroup
from shared.stage.dead_letters import dead_letter
from shared.stage.fold import Fold
from shared.stage.state import KeyedState, MemoryStateStore
from shared.stage.timers import Timers
from tests.fuzz.desk import AGENT, NOW, NOW_MS, QUESTION, directory
from tests.fuzz.door import CANARY, OTHER, OWNER, Broken, unseen
from tests.fuzz.entry import Entry

INPUTS = (*RECEIVED_FROM_TENANTS, *RESULT_TOPICS)
STEP_MS = 3_000
CACHE_BYTES_MAX = 4_096
"""So small that states are decoded again and again."""
WAKES_MAX = 50
GROUP_MAX = 1_000_000_000
CONVERSATIONS = {OWNER: ("c-1", "c-2", "c-3"), OTHER: ("b-1",)}
UNEXPECTED = "unexpected_error"
"""The reason of a dead letter that tells of a fault of the ledger, not of the record."""


class _Letters:
    """Dead letters at any rate; *clock* tells unix seconds."""

    def __init__(self, clock):
        self._clock = clock

    def rejected(self, record: Record, error: Invalid) -> Output:
        """See `shared.stage.commit_group.Letters`."""
        return dead_letter("conversations", record, error, attempts=1, first_failed_at=self._clock())

    held = rejected


class LedgerWorld:
    """
    Two conversations of the owner with an open turn, a quiet one, and one of the other tenant.

    Each entry is committed by itself; time goes on by `STEP_MS`, and timers ring.
    """

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self._offset = 0
        self._ledger = ConversationLedger(directory(), _bounds(), _metrics())
        self._store = MemoryStateStore()
        self._apart: list[str] = []
        self._letters = _Letters(lambda: self.now_ms / 1_000)
        self._fold = self._new(Timers())
        self.outputs: list[Output] = []

    def take(self, entry: Entry) -> Sequence[Output]:
        """
        What the ledger writes for *entry*, and for the time that goes by.

        Raises:
            Broken: an invariant does not hold.

        """
        self._offset += 1
        record = Record(entry.kind, 0, self._offset, self.now_ms, entry.key, entry.body, entry.headers)
        self._fold.apply(record, self.now_ms)
        written = [*self._commit()]
        self.now_ms += STEP_MS
        wakes = 0
        while self._fold.wake(self.now_ms):
            wakes += 1
            if wakes > WAKES_MAX:
                raise Broken(f"more than {WAKES_MAX} timers ring for one record")
        return [*written, *self._commit()]

    def _commit(self) -> Sequence[Output]:
        group = self._fold.seal()
        if group is None:
            return ()
        self._check(group)
        self._fold.settle()
        return group.outputs

    def _check(self, group: CommitGroup) -> None:
        if self._apart:
            raise Broken(f"the ledger fails, and sets a conversation apart: {self._apart[0]}")
        if UNEXPECTED in group.rejected:
            raise Broken("the ledger fails at a record without a key")
        for output in group.outputs:
            size = len(output.key or b"") + len(output.value or b"")
            if size > RECORD_BYTES_MAX:
                raise Broken(f"a record of {output.topic} has {size} bytes")
            if output.topic == CONVERSATIONS_STATE:
                self._check_state(output)
            elif output.topic != DEAD_LETTERS:
                _check_event(output)
            if not (output.key or b"").startswith(f"{OTHER}:".encode()):
                unseen(output.value, output.topic)

    def _check_state(self, output: Output) -> None:
        if output.value is None:
            return
        if self._ledger.encode(self._ledger.decode(output.value)) != output.value:
            raise Broken("a state is encoded otherwise after it was read back")

    def _new(self, timers: Timers) -> Fold:
        state = KeyedState(self._store, self._ledger.decode, self._ledger.encode, cache_bytes_max=CACHE_BYTES_MAX)
        return Fold(
            self._ledger,
            state,
            timers,
            task=0,
            changelog=CONVERSATIONS_STATE,
            positions=dict.fromkeys(INPUTS, 0),
            letters=self._letters,
            records_max=GROUP_MAX,
            bytes_max=GROUP_MAX,
            quarantined={},
            set_apart=lambda _key, mark: self._apart.append(f"{mark.error} at {mark.where.partition(',')[0]}"),
        )

    @classmethod
    def prepared(cls) -> "LedgerWorld":
        """A world with the conversations in it, as fast as it can be had."""
        world = cls()
        timers = Timers()
        entries, now_ms, offset = _begun()
        for key, value, due_ms in entries:
            world._store.put(key, value, due_ms)
            timers.schedule(key, due_ms)
        world._fold = world._new(timers)
        world.now_ms, world._offset = now_ms, offset
        return world


def _check_event(output: Output) -> None:
    types = TOPICS[output.topic].types
    headers, value = codec.encode(codec.decode(types, output.key, output.headers, output.value))
    if codec.encode(codec.decode(types, output.key, headers, value)) != (headers, value):
        raise Broken(f"what is written to {output.topic} is encoded otherwise after it was read back")


@lru_cache(maxsize=1)
def _begun() -> tuple[list[tuple[bytes, bytes, int | None]], int, int]:
    world = LedgerWorld()
    for tenant, names in CONVERSATIONS.items():
        for name in names:
            text = QUESTION if tenant == OWNER else f"{QUESTION} {CANARY}"
            world.outputs += world.take(posted(Address(tenant, name), f"m-{name}", text))
    _BEGUN_TURNS.extend(
        codec.decode(TOPICS[output.topic].types, output.key, output.headers, output.value).data
        for output in world.outputs
        if output.topic == "turns.opened"
    )
    return list(world._store.iterate()), world.now_ms, world._offset


_BEGUN_TURNS: list[TurnOpened] = []


def open_turns() -> list[TurnOpened]:
    """The turns that are open in a prepared world."""
    _begun()
    return [turn for turn in _BEGUN_TURNS if turn.turn.tenant == OWNER]


def posted(address: Address, event_id: str, text: str) -> Entry:
    """A customer's message."""
    body = MessagePosted(agent=AGENT, author=Author.CUSTOMER, text=text)
    return of_event(address, "message.posted", body, event_id, CONVERSATION_EVENTS)


def of_event(address: Address, kind: str, body, event_id: str, topic: str, source: str = "") -> Entry:
    """An event as an entry."""
    event = Envelope(event_id, codec.source_of(address.tenant, source), kind, NOW, address.conversation, body)
    headers, value = codec.encode(event)
    return Entry(topic, value, address.key, headers)


@lru_cache(maxsize=1)
def _bounds() -> Bounds:
    return Bounds.of(ConversationsSection(seen_events_max=16).model_dump())


@lru_cache(maxsize=1)
def _metrics() -> ConversationsMetrics:
    return ConversationsMetrics(CollectorRegistry())
