"""
What a row's customers send: posts, drawn from a seed, and the shapes that a load may take.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from services.operator.domain.workload import messages
from shared.events.base import Body
from shared.events.codec import Headers, encode, source_of
from shared.events.conversation import Author, MessagePosted
from shared.events.envelope import Address, Envelope

AGENT = "bank"
TENANTS = ("red", "blue")
"""Each message carries its tenant's canary, which must never be seen with the other's records."""


@dataclass(frozen=True, slots=True)
class Post:
    """
    A record on `conversation.events`: `key`, `headers` and `value` as they are written. `expected` is the event's id
    where an outcome must cover it, and empty where the record is to be refused.
    """

    key: bytes
    headers: Headers
    value: bytes | None
    expected: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """*events* messages over *conversations* conversations a tenant, from *seed*."""

    texts: Sequence[str]
    events: int
    conversations: int
    seed: int


Shape = Callable[[LoadPlan], Iterator[Post]]

SILENCE = Post(b"", (), None)
"""A moment of a load in which nobody writes."""
LOUD_MESSAGES = 10
"""What the loud tenant sends for one message of the quiet one."""


def canary(tenant: str) -> str:
    """A word that only *tenant*'s customers write."""
    return f"canary-{tenant}-5b0f2c"


def message(address: Address, text: str, event_id: str, *, sequence: int | None = None) -> Post:
    """A customer's message, as of now, with the tenant's canary in it."""
    marked = f"{text} ({canary(address.tenant)})"
    body = MessagePosted(agent=AGENT, author=Author.CUSTOMER, text=marked, sequence=sequence)
    return _post(address, body, event_id, expected=event_id, text=marked)


def steady(plan: LoadPlan) -> Iterator[Post]:
    """Single questions, follow-ups and some bursts, the tenants by turns."""
    source = random.Random(plan.seed)
    load = messages(plan.texts, count=plan.events, conversations=plan.conversations, seed=plan.seed)
    for number, one in enumerate(load):
        yield message(Address(TENANTS[number % 2], one.conversation), one.text, _id(source))


def hot_key(plan: LoadPlan) -> Iterator[Post]:
    """Half of all messages in one conversation."""
    source = _source(plan, "hot_key")
    for number, post in enumerate(steady(plan)):
        yield message(Address(TENANTS[0], "hot"), source.choice(plan.texts), _id(source)) if number % 2 else post


def hot_tenant(plan: LoadPlan) -> Iterator[Post]:
    """
    One message of the quiet tenant, then ten of the loud one, over and over; the loud tenant is silent for the first
    half of the quiet one's messages.
    """
    source = _source(plan, "hot_tenant")
    loud, quiet = TENANTS
    rounds = round(plan.events / (1 + LOUD_MESSAGES / 2))
    load = messages(plan.texts, count=plan.events - rounds, conversations=plan.conversations, seed=plan.seed)
    for number in range(rounds):
        # Each of the quiet tenant's questions is a conversation of its own: what is measured is waiting, and a turn
        # that a newer message supersedes waits for nothing.
        yield message(Address(quiet, f"quiet-{number}"), source.choice(plan.texts), _id(source))
        for _ in range(LOUD_MESSAGES):
            one = next(load, None) if number >= rounds / 2 else None
            yield SILENCE if one is None else message(Address(loud, one.conversation), one.text, _id(source))
    for one in load:
        yield message(Address(loud, one.conversation), one.text, _id(source))


def bursts(plan: LoadPlan) -> Iterator[Post]:
    """Every customer sends three messages at once."""
    source = _source(plan, "bursts")
    for number in range(math.ceil(plan.events / 3)):
        address = Address(TENANTS[number % 2], f"burst-{source.randrange(plan.conversations)}")
        for _ in range(3):
            yield message(address, source.choice(plan.texts), _id(source))


def duplicates(plan: LoadPlan) -> Iterator[Post]:
    """A tenth of the messages comes twice, a hundredth again with another text under the same id."""
    source = _source(plan, "duplicates")
    for post in steady(plan):
        yield post
        draw = source.random()
        if draw < 0.1:  # noqa: PLR2004  a share
            yield post
        elif draw < 0.11:  # noqa: PLR2004
            yield _refused(message(Address.from_key(post.key), "something else", post.expected))


def reordered(plan: LoadPlan) -> Iterator[Post]:
    """Running numbers of which a twentieth comes after its successor, and a twentieth is left out."""
    source = _source(plan, "reordered")
    sequences: dict[bytes, int] = {}
    kept: dict[bytes, Post] = {}
    for post in steady(plan):
        number = sequences.get(post.key, 0) + (2 if source.random() < 0.05 else 1)  # noqa: PLR2004
        sequences[post.key] = number
        text = post.text.rsplit(" (", 1)[0]
        now = message(Address.from_key(post.key), text, post.expected, sequence=number)
        if post.key not in kept and source.random() < 0.05:  # noqa: PLR2004
            kept[post.key] = now
            continue
        yield now
        if late := kept.pop(post.key, None):
            yield late
    yield from kept.values()


def poisoned(plan: LoadPlan) -> Iterator[Post]:
    """A hundredth of the records cannot be read, each in another way."""
    source = _source(plan, "poisoned")
    for number, post in enumerate(steady(plan)):
        yield post
        if number % 100 == 0:
            yield _poison(post, number // 100, _id(source))


def oversized(plan: LoadPlan) -> Iterator[Post]:
    """A hundredth of the messages is longer than any playbook allows, up to nearly a record's limit."""
    source = _source(plan, "oversized")
    for number, post in enumerate(steady(plan)):
        if number % 100:
            yield post
        else:
            yield message(Address.from_key(post.key), "x" * source.choice((70_000, 300_000, 900_000)), post.expected)


POISONS = ("broken UTF-8", "broken JSON", "no id", "unknown type", "null value", "no key's separator")


def _poison(post: Post, number: int, event_id: str) -> Post:
    kind = POISONS[number % len(POISONS)]
    key, value = post.key, post.value or b""
    headers = tuple((name, event_id.encode() if name == "ce_id" else held) for name, held in post.headers)
    if kind == "broken UTF-8":
        value = b"\xff\xfe" + value
    elif kind == "broken JSON":
        value = value[:-2]
    elif kind == "no id":
        headers = tuple(pair for pair in headers if pair[0] != "ce_id")
    elif kind == "unknown type":
        headers = tuple((name, b"message.sung" if name == "ce_type" else held) for name, held in headers)
    elif kind == "null value":
        return Post(key, headers, None)
    else:
        key = key.replace(b":", b"_")
    return Post(key, headers, value)


def _post(address: Address, body: Body, event_id: str, *, expected: str, text: str) -> Post:
    headers, value = encode(
        Envelope(
            id=event_id,
            source=source_of(address.tenant),
            type="message.posted",
            time=datetime.now(UTC),
            subject=address.conversation,
            data=body,
        )
    )
    return Post(address.key, headers, value, expected, text)


def _refused(post: Post) -> Post:
    return Post(post.key, post.headers, post.value)


def _source(plan: LoadPlan, shape: str) -> random.Random:
    """Its own for each shape: two alike would draw the same ids as the steady load below."""
    return random.Random(f"{plan.seed} {shape}")


def _id(source: random.Random) -> str:
    return str(UUID(int=source.getrandbits(128), version=4))
