from services.operator.domain.timing import Spread, breakdown, hops
from shared.events.turns import Mark


def test_the_parts_of_a_turn_add_up_to_the_whole():
    marks = [
        Mark(stage="conversations", received_ms=10, finished_ms=12),
        Mark(stage="matcher", received_ms=15, finished_ms=40),
        Mark(stage="conversations", received_ms=44, finished_ms=45),
    ]

    parts = hops(marks, posted_ms=0, seen_ms=50)

    assert sum(parts.values()) == 50
    assert parts == {
        "→ conversations": 10,
        "conversations": 2,
        "→ matcher": 3,
        "matcher": 25,
        "→ conversations (close)": 4,
        "conversations (close)": 1,
        "→ reader": 5,
    }


def test_what_a_tool_call_repeats_is_named_by_its_leg():
    stages = ["conversations", "matcher", "reasoner", "conversations", "matcher", "conversations"]
    marks = [Mark(stage=stage, received_ms=at, finished_ms=at) for at, stage in enumerate(stages)]

    parts = hops(marks, posted_ms=0, seen_ms=9)

    assert [name for name in parts if not name.startswith("→")] == [
        "conversations",
        "matcher",
        "reasoner",
        "conversations (leg 2)",
        "matcher (leg 2)",
        "conversations (close)",
    ]


def test_percentiles_are_values_that_occurred():
    assert Spread(50.0, 90.0, 99.0, 100) == Spread.of([float(n) for n in range(1, 101)])


def test_nothing_measured_is_zero():
    assert Spread(0.0, 0.0, 0.0, 0) == Spread.of([])


def test_a_breakdown_keeps_the_order_of_the_way():
    assert list(breakdown([{"a": 3.0, "c": 1.0}, {"a": 1.0, "b": 2.0, "c": 1.0}])) == ["a", "b", "c"]
