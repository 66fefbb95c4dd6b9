"""
What a search has done so far, in a file, so that it goes on where it stopped; and the entries that broke something.
"""

import json
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.entry import Entry, dump, load
from tests.fuzz.search import Found, Search
from tests.fuzz.watchman import Passed


class Journal:
    """Files below *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self, search: Search) -> None:
        """Let *search* go on where an earlier one of its door and seed stopped."""
        path = self._state(search)
        if path.exists():
            held = json.loads(path.read_text())
            search.number, search.passed = held["number"], Passed(**held["passed"])
            search.kinds = set(held["kinds"])

    def keep(self, search: Search) -> None:
        """Note how far *search* is."""
        held = {"number": search.number, "passed": asdict(search.passed), "kinds": sorted(search.kinds)}
        path = self._state(search)
        written = path.with_suffix(".new")
        written.write_text(json.dumps(held))
        written.replace(path)

    def save(self, search: Search, found: Found) -> Path:
        """Keep what *found* holds; the file that `read` reads."""
        path = self._folder / f"{search.door.name}-{search.seed}-{found.number}.json"
        held = {
            "door": search.door.name,
            "kind": found.finding.kind,
            "told": found.finding.told,
            "entries": json.loads(dump(found.entries)),
        }
        path.write_text(json.dumps(held, indent=1))
        return path

    def _state(self, search: Search) -> Path:
        return self._folder / f"{search.door.name}-{search.seed}.state"


def read(path: Path) -> tuple[str, list[Entry]]:
    """The door's name and the entries that a finding's file holds."""
    held = json.loads(path.read_text())
    return held["door"], load(json.dumps(held["entries"]))
