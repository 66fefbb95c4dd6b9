"""
What a seed means: the weather between processes, what customers write, and what is done to the processes when.

Pure: the same seed always gives the same plan.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

CHAOS_SECONDS = 10.0
"""How long customers write and things go wrong; after that everybody is left in peace."""
TENANTS = ("acme", "bolt")
SERVICES = ("conversations", "matcher", "reasoner", "verifier")
TEXTS = (
    "hello",
    "What does the account cost?",
    "I lost my card",
    "How long does a transfer take?",
    "My card was stolen and what does the account cost?",
    "ok",
    "Is there an overdraft, and how long does a transfer take?",
    "I want a refund",
    "Send a courier, please",
    "I want a refund, and a courier",
    "My card was stolen, send a courier",
)

Profile = Literal["calm", "rolling", "rough"]


@dataclass(frozen=True, slots=True)
class Weather:
    """
    Rates are shares of operations. `calm`: nothing goes wrong but the model; `rolling`: processes come, go and
    rebalance in good order; `rough`: everything.
    """

    profile: Profile
    fault_rate: float
    slow_rate: float
    slow_seconds: float
    session_seconds: float
    skew_seconds: float
    model_seconds: float
    model_slow_rate: float
    model_fault_rate: float
    model_waver_rate: float
    tool_seconds: float
    tool_slow_rate: float
    tool_fault_rate: float


@dataclass(frozen=True, slots=True)
class Act:
    """Something that is done at *at* seconds; *pick*, from 0 to 1, chooses to whom, *seconds* for how long."""

    at: float
    what: str
    pick: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the platform tells of a conversation; *copies* of it arrive, the later ones *late* seconds on."""

    at: float
    tenant: str
    conversation: str
    number: int
    what: str
    text: str = ""
    copies: int = 1
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A seed, spelt out; `edition` is that of the playbooks which are in force at first."""

    seed: int
    weather: Weather
    partitions: int
    replicas: dict[str, int]
    edition: int
    settle_seconds: float
    span_max: int
    group_records_max: int
    cache_bytes_max: int
    events: tuple[Event, ...]
    acts: tuple[Act, ...]


def plan_of(seed: int) -> Plan:
    """The plan of *seed*."""
    chance = Random(f"plan {seed}")
    weather = _weather(chance)
    return Plan(
        seed=seed,
        weather=weather,
        partitions=chance.choice((1, 2, 3)),
        replicas={service: chance.choice((1, 2, 2)) for service in SERVICES},
        edition=chance.randrange(3),
        settle_seconds=chance.choice((0.0, 0.0, 0.4)),
        span_max=chance.choice((3, 24_000)),
        group_records_max=chance.choice((2, 500)),
        cache_bytes_max=chance.choice((500, 1_000_000)),
        events=_events(chance),
        acts=_acts(chance, weather.profile),
    )


def _weather(chance: Random) -> Weather:
    profile: Profile = chance.choices(("calm", "rolling", "rough"), (1, 2, 7))[0]
    rough = profile == "rough"
    return Weather(
        profile=profile,
        fault_rate=chance.choice((0.0, 0.02, 0.1, 0.2)) if rough else 0.0,
        slow_rate=chance.choice((0.0, 0.02, 0.1)),
        slow_seconds=chance.choice((0.05, 0.5)),
        session_seconds=chance.choice((0.3, 1.5)) if rough else 30.0,
        skew_seconds=chance.choice((0.0, 0.5)) if rough else 0.0,
        model_seconds=chance.choice((0.02, 0.2, 0.6)),
        model_slow_rate=chance.choice((0.0, 0.1)),
        model_fault_rate=chance.choice((0.0, 0.0, 0.1, 0.4)),
        model_waver_rate=chance.choice((0.0, 0.3)),
        tool_seconds=chance.choice((0.02, 0.3, 1.0)),
        tool_slow_rate=chance.choice((0.0, 0.1)),
        tool_fault_rate=chance.choice((0.0, 0.15, 0.5)),
    )


_KINDS = (
    ("message", 60),
    ("conflict", 3),
    ("too_large", 2),
    ("expired", 2),
    ("unknown_agent", 2),
    ("human", 3),
    ("echo", 2),
    ("variable", 5),
    ("manual", 3),
    ("auto", 6),
    ("closed", 3),
    ("erased", 2),
    ("forged", 4),
    ("poison", 5),
)


def _events(chance: Random) -> tuple[Event, ...]:
    events: list[Event] = []
    for number in range(chance.randrange(2, 5)):
        tenant = TENANTS[number % len(TENANTS)]
        at = chance.random() * CHAOS_SECONDS / 2
        for place in range(chance.randrange(1, 7)):
            what = "message" if not place else chance.choices(*zip(*_KINDS, strict=True))[0]
            twice = chance.random() < 0.15
            events.append(
                Event(
                    at=at,
                    tenant=tenant,
                    conversation=f"c{number}",
                    number=place,
                    what=what,
                    text=chance.choice(TEXTS),
                    copies=2 if twice else 1,
                    late=chance.choice((0.0, 0.3, 4.0)),
                )
            )
            # A burst now and then; else as long as an answer may take.
            at = min(CHAOS_SECONDS, at + chance.choice((0.0, 0.02, 0.3, 1.5, 4.0)))
    return tuple(sorted(events, key=lambda event: event.at))


def _acts(chance: Random, profile: Profile) -> tuple[Act, ...]:
    kinds: dict[Profile, tuple[str, ...]] = {
        "calm": ("publish",),
        "rolling": ("drain", "drain", "start", "rebalance", "publish"),
        "rough": (
            *("kill",) * 4,
            *("freeze",) * 3,
            *("drain", "start", "rebalance", "expel", "pause", "publish", "compact", "gap"),
        ),
    }
    several = {"calm": (0, 1), "rolling": (1, 5), "rough": (1, 9)}[profile]
    acts = [
        Act(
            at=chance.random() * CHAOS_SECONDS,
            what=chance.choice(kinds[profile]),
            pick=chance.random(),
            seconds=chance.choice((0.05, 0.4, 1.0, 2.5)),
        )
        for _ in range(chance.randint(*several))
    ]
    return tuple(sorted(acts, key=lambda act: act.at))
