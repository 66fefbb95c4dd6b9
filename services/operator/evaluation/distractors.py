"""
Distractors: guidelines beside a scenario's own, which its conversation does not concern.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Final

from services.operator.evaluation.scenario import Scenario
from shared.errors import Fatal
from shared.playbook.model import Guideline

PREFIX = "distractor-"

# A trade that no scenario is about, so that none of these can apply; distinct enough for retrieval to tell apart.
_THINGS: Final = (
    "harbour crane", "grain silo", "tugboat", "ballast tank", "dry dock", "mooring buoy", "conveyor belt", "forklift",
    "shipping container", "customs seal", "cargo manifest", "pilot ladder", "radar mast", "bilge pump", "anchor chain",
    "lifeboat winch", "propeller shaft", "deck hatch", "fuel barge", "quay wall", "reefer plug", "gangway", "capstan",
    "hull plate", "sounding line", "fender", "rudder stock", "cargo net", "derrick", "sluice gate", "weighbridge",
    "sonar dome",
)  # fmt: skip
_MATTERS: Final = (
    ("inspection certificate of", "state when it was issued and by whom"),
    ("spare parts for", "give the catalogue number and the warehouse"),
    ("hire rates of", "quote the rate per tide"),
    ("noise limits of", "name the limit in decibels by day and by night"),
    ("load rating of", "state the rating in tonnes and the margin"),
    ("paint colours of", "list the colours of the register"),
    ("lubrication plan of", "give the interval in running hours"),
    ("crew training for", "name the next course and its length"),
    ("insurance class of", "name the class and the underwriter"),
    ("decommissioning of", "explain the order of dismantling"),
    ("icing of", "advise on heating and inspection"),
    ("corrosion of", "advise on anodes and coating"),
    ("lighting of", "state the lamp's colour and range"),
    ("steel grade of", "name the grade and its yield strength"),
    ("night watch over", "name the watch and its relief"),
    ("historic photographs of", "name the archive and its hours"),
    ("vibration of", "advise on balancing and dampers"),
    ("remote control of", "name the frequency and the licence"),
    ("salvage rights to", "name the notice and the receiver"),
    ("export papers for", "list the papers in order"),
    ("leasing plan for", "state the term and the residual value"),
    ("welding record of", "give the number of the record"),
    ("wind limits of", "state the limit in knots"),
    ("dredging around", "name the depth and the season"),
    ("timber packing for", "name the treatment and its mark"),
    ("smoke test of", "say when it is due"),
    ("pressure test of", "state the pressure in bar"),
    ("tidal window of", "give hours before and after high water"),
    ("x-ray images of", "name the laboratory"),
    ("serial plate of", "say where it is riveted"),
    ("rope splicing on", "name the splice and its strength"),
    ("scrap value of", "quote the price per tonne"),
)

_PORTS: Final = ("", *(f" at {name}" for name in (
    "Aberholm", "Brackmouth", "Corvenhaven", "Dunsilt", "Eastrova", "Fennport", "Garvik", "Hallowquay", "Innerstrand",
)))  # fmt: skip


def distractors(scenario: Scenario, guidelines: int) -> tuple[Guideline, ...]:
    """
    What brings *scenario* to *guidelines* guidelines in all; none where it has as many. The same each time.

    Raises:
        Fatal: there are not so many.

    """
    missing = max(0, guidelines - len(scenario.guidelines))
    found = made()
    if missing > len(found):
        raise Fatal(f"there are {len(found):,} distractors; ask for fewer guidelines than {guidelines:,}")
    return found[:missing]


@cache
def made() -> tuple[Guideline, ...]:
    """All distractors there are."""
    return tuple(_all())


def own(ids: Sequence[str]) -> tuple[str, ...]:
    """Those of *ids* that are no distractor's."""
    return tuple(name for name in ids if not name.startswith(PREFIX))


def _all() -> Iterator[Guideline]:
    # Matters change fastest: a short padding is about many matters of few things, not one matter thirty times.
    for number, (port, thing, (matter, action)) in enumerate(product(_PORTS, _THINGS, _MATTERS), start=1):
        condition = f"The customer asks about the {matter} the {thing}{port}"
        yield Guideline(id=f"{PREFIX}{number}", condition=condition, action=action[0].upper() + action[1:])
