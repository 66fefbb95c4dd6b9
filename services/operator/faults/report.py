"""
What rows came to, kept in a file: a matrix of hours can be interrupted and gone on with.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from services.operator.faults.running import RowResult
from shared.errors import Fatal

_RESULTS = TypeAdapter(tuple[RowResult, ...])


def read_results(path: Path) -> dict[str, RowResult]:
    """
    The results in *path* by row; none where it is not there.

    Raises:
        Fatal: the file is no report of the matrix.

    """
    if not path.exists():
        return {}
    try:
        return {result.row: result for result in _RESULTS.validate_json(path.read_bytes())}
    except ValidationError as error:
        raise Fatal(f"{path} is no report of the fault matrix: {error}; name another file") from None


def write_results(path: Path, results: Mapping[str, RowResult]) -> None:
    """Put *results* in the place of what *path* holds, whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(_RESULTS.dump_json(tuple(results.values()), indent=1))
    fresh.replace(path)
