"""
A bar while topics are read, on the error stream: it never mixes with what a program reads.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from services.operator.adapters import scan


@contextmanager
def reading(console: Console, what: str, *, quiet: bool = False) -> Iterator[scan.Progress]:
    """Show how far the reading of *what* is, unless *quiet* or nobody watches *console*."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=quiet or not console.is_terminal
    ) as bar:
        task = bar.add_task(f"reading {what}", total=None)
        yield lambda passed, due: bar.update(task, completed=passed, total=due)
