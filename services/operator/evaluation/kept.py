"""
The file that keeps the finished results of an evaluation, one a line, so that an interrupted run goes on.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import Fatal


class Kept(BaseModel):
    """A result that is kept: of what (`fingerprint`), and the how manieth of it."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    repeat: int


K = TypeVar("K", bound=Kept)


def read_results(path: Path, kind: type[K]) -> dict[tuple[str, int], K]:
    """
    The results of *kind* that *path* keeps, by fingerprint and repeat, the last of each; none where there is no file.

    A last line that was cut off is left out: the run was interrupted while it was written.

    Raises:
        Fatal: a line before the last is no result.

    """
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    kept: dict[tuple[str, int], K] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            result = kind.model_validate_json(line)
        except ValidationError as error:
            if number == len(lines):
                continue
            raise Fatal(f"{path}:{number} is no result of an evaluation ({error.error_count()} errors)") from None
        kept[result.fingerprint, result.repeat] = result
    return kept


def append_result(path: Path, result: Kept) -> None:
    """Add *result* to the end of *path*."""
    with path.open("a", encoding="utf-8") as file:
        file.write(result.model_dump_json() + "\n")


def drop_partial_line(path: Path) -> None:
    """Remove what an interruption left of a last line, so that the next one begins a line of its own."""
    if path.exists():
        with path.open("r+b") as file:
            file.truncate(path.read_bytes().rfind(b"\n") + 1)
