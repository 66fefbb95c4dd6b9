"""
The rows, by name, in the order in which they are run.
"""

from collections.abc import Sequence

from services.operator.faults import (
    broker_rows,
    clock_rows,
    hostile_rows,
    input_rows,
    model_rows,
    upgrade_rows,
    worker_rows,
)
from services.operator.faults.world import Row
from shared.errors import Fatal

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        *worker_rows.ROWS,
        *clock_rows.ROWS,
        *broker_rows.ROWS,
        *model_rows.ROWS,
        *input_rows.ROWS,
        *hostile_rows.ROWS,
        *upgrade_rows.ROWS,
    )
}


def chosen(names: Sequence[str]) -> list[Row]:
    """
    The rows called *names*; all of them where none is named.

    Raises:
        Fatal: there is no row of such a name.

    """
    if unknown := [name for name in names if name not in ROWS]:
        raise Fatal(f"no row {', '.join(unknown)} in the fault matrix; there are: {', '.join(ROWS)}")
    return [ROWS[name] for name in names] or list(ROWS.values())
