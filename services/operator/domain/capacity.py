"""
What a load needs: partitions, processes, turns in flight, model quota, money.

Little's law carries it: of turns that come at a rate λ and stay for a mean time W in a stage, L = λ·W are in it,
whatever the distributions (J. D. C. Little, Operations Research 9(3), 1961). A stage that never queues is an M/G/∞
system, in which the number present is Poisson around L, so L + 3.09·√L is exceeded a thousandth of the time. The mean
of a latency follows from its median and 95th percentile as a log-normal's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

STAGES = ("conversations", "matcher", "reasoner", "verifier")
ROLES = STAGES[1:]
Z95 = 1.6449
"""Standard normal quantile at 0.95."""
Z999 = 3.0902
"""Standard normal quantile at 0.999."""
PARTITIONS_A_PROCESS = 4
"""Partitions are never added later, so there are four times what the peak needs."""
PARTITIONS_MIN = 12


@dataclass(frozen=True, slots=True)
class Role:
    """
    A stage's use of its model for one turn: sequential calls, seconds a call at the 50th and 95th percentile, and
    tokens of all calls together.
    """

    p50_seconds: float
    p95_seconds: float
    calls: float = 1.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0

    @property
    def mean_seconds(self) -> float:
        """Of one call."""
        sigma = math.log(max(1.0, self.p95_seconds / self.p50_seconds)) / Z95 if self.p50_seconds else 0.0
        return self.p50_seconds * math.exp(sigma**2 / 2)

    @property
    def turn_seconds(self) -> float:
        """Of all calls of a turn, one after another."""
        return self.calls * self.mean_seconds


@dataclass(frozen=True, slots=True)
class Load:
    """
    What comes: customer messages a second on average, the factor of the peak, turns a message (below 1 where bursts
    settle into one turn), and the share of turns that are answered.
    """

    messages_per_second: float
    peak_factor: float = 3.0
    turns_per_message: float = 1.0
    answered_share: float = 1.0

    @property
    def turns_per_second(self) -> float:
        """On average."""
        return self.messages_per_second * self.turns_per_message

    @property
    def peak_turns_per_second(self) -> float:
        """At the peak."""
        return self.turns_per_second * self.peak_factor


@dataclass(frozen=True, slots=True)
class Means:
    """
    What there is to work with: milliseconds of CPU a turn by stage, the share of a core that a process may use on
    average at the peak, records in flight a process, processes a stage at the least, prices a million tokens, and the
    share of a core that a process of a stage uses whatever comes (polling, heartbeats, idle commits).
    """

    cpu_ms: Mapping[str, float]
    utilisation_max: float = 0.6
    in_flight_max: int = 2_000
    processes_min: int = 2
    input_price: float = 0.0
    output_price: float = 0.0
    idle_cores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageNeed:
    """Needed at the peak: turns in flight (mean, and what is exceeded a thousandth of the time), cores, processes."""

    in_flight: float
    in_flight_high: float
    cores: float
    processes: int
    utilisation: float
    bound_by: str


@dataclass(frozen=True, slots=True)
class Need:
    """What the whole needs. Quotas are those of the peak; money is of the average."""

    stages: dict[str, StageNeed]
    partitions: int
    requests_per_minute: float
    tokens_per_minute: float
    calls_in_flight: float
    model_seconds: float
    cost_per_1000_replies: float
    cost_per_day: float
    warnings: tuple[str, ...] = field(default=())


def plan(load: Load, roles: Mapping[str, Role], means: Means, *, deadline_seconds: float = 60.0) -> Need:
    """What *load* needs, where the model stages use their models as *roles* say."""
    peak = load.peak_turns_per_second
    stages = {stage: _stage(peak, stage, roles.get(stage), means) for stage in STAGES}
    tokens_in = sum(role.input_tokens for role in roles.values())
    tokens_out = sum(role.output_tokens for role in roles.values())
    turn_cost = (tokens_in * means.input_price + tokens_out * means.output_price) / 1e6
    model_seconds = sum(role.turn_seconds for role in roles.values())
    most = max(need.processes for need in stages.values())
    return Need(
        stages=stages,
        partitions=max(PARTITIONS_MIN, PARTITIONS_A_PROCESS * most),
        requests_per_minute=60 * peak * sum(role.calls for role in roles.values()),
        tokens_per_minute=60 * peak * (tokens_in + tokens_out),
        calls_in_flight=peak * model_seconds,
        model_seconds=model_seconds,
        cost_per_1000_replies=1_000 * turn_cost / load.answered_share,
        cost_per_day=86_400 * load.turns_per_second * turn_cost,
        warnings=_warnings(roles, model_seconds, deadline_seconds),
    )


def high(mean: float) -> float:
    """What a Poisson count of *mean* exceeds a thousandth of the time, by its normal approximation."""
    return mean + Z999 * math.sqrt(mean)


def _stage(peak: float, stage: str, role: Role | None, means: Means) -> StageNeed:
    cpu_seconds = means.cpu_ms.get(stage, 0.0) / 1_000
    idle = min(means.idle_cores.get(stage, 0.0), means.utilisation_max / 2)
    in_flight = peak * (cpu_seconds + (role.turn_seconds if role else 0.0))
    wanted = {
        "availability": means.processes_min,
        "CPU": math.ceil(peak * cpu_seconds / (means.utilisation_max - idle)),
        "turns in flight": math.ceil(high(in_flight) / means.in_flight_max),
    }
    bound_by = max(wanted, key=lambda name: wanted[name])
    processes = wanted[bound_by]
    cores = peak * cpu_seconds + idle * processes
    return StageNeed(in_flight, high(in_flight), cores, processes, cores / processes, bound_by)


def _warnings(roles: Mapping[str, Role], model_seconds: float, deadline_seconds: float) -> tuple[str, ...]:
    found = []
    slow = sum(role.calls * role.p95_seconds for role in roles.values())
    if slow > deadline_seconds:
        found.append(
            f"turns whose calls are all slow take {slow:.0f} s of model time, beyond the deadline of "
            f"{deadline_seconds:g} s: they end as expired"
        )
    elif model_seconds > deadline_seconds / 2:
        found.append(f"the model's mean {model_seconds:.0f} s a turn leave little of {deadline_seconds:g} s")
    return tuple(found)
