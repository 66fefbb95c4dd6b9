"""
Clocks apart: what a process is given, and what is judged of the marks that stages leave.
"""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from services.operator.faults import clock_rows
from shared.errors import Fatal
from shared.events.turns import Mark

OPENED_MS = 1_800_000_000_000


@pytest.fixture
def library(tmp_path, monkeypatch):
    path = tmp_path / "lib" / "faketime" / "libfaketimeMT.so.1"
    path.parent.mkdir(parents=True)
    path.touch()
    monkeypatch.setattr(clock_rows, "LIBRARIES", (str(tmp_path / "lib"),))
    return path


def test_the_first_worker_of_a_service_is_ahead_the_others_are_behind_and_the_ledger_is_right(tmp_path, library):
    first, second = clock_rows.apart(tmp_path, "matcher-1"), clock_rows.apart(tmp_path, "matcher-2")

    assert first["LD_PRELOAD"] == second["LD_PRELOAD"] == str(library)
    assert (tmp_path / "matcher-1.clock").read_text() == "+10m\n"
    assert (tmp_path / "matcher-2.clock").read_text() == "-10m\n"
    clock_rows.apart(tmp_path, "conversations-1")
    assert (tmp_path / "conversations-1.clock").read_text() == "+0m\n"
    assert first["FAKETIME_TIMESTAMP_FILE"] == str(tmp_path / "matcher-1.clock")


def test_without_libfaketime_the_row_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(clock_rows, "LIBRARIES", (str(tmp_path),))
    with pytest.raises(Fatal, match="apt install libfaketime"):
        clock_rows.apart(tmp_path, "matcher-1")


@pytest.mark.parametrize(
    ("received_ms", "finished_ms", "broken"),
    [
        (OPENED_MS + 5, OPENED_MS + 9, []),
        (OPENED_MS - 4_000, OPENED_MS, []),
        (OPENED_MS + 9, OPENED_MS + 5, ["1 stages took less than no time for a turn"]),
        (OPENED_MS - 600_000, OPENED_MS, ["1 stages took a turn up before it was opened"]),
    ],
)
async def test_no_time_may_be_negative(received_ms, finished_ms, broken):
    closed = SimpleNamespace(
        turn=SimpleNamespace(opened_at=datetime.fromtimestamp(OPENED_MS / 1_000, UTC)),
        marks=(
            Mark(stage="conversations", received_ms=OPENED_MS, finished_ms=OPENED_MS),
            Mark(stage="matcher", received_ms=received_ms, finished_ms=finished_ms),
        ),
    )
    exchanges = {"t1": SimpleNamespace(closed=closed)}
    world = SimpleNamespace(watch=SimpleNamespace(exchanges=exchanges), figures={}, broken=[])

    await clock_rows.no_time_is_negative(world)

    assert world.broken == broken
