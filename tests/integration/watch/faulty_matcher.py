"""
A matcher with a bug: while FILE exists, each attempt at one conversation in five meets an error that nobody foresaw.

    python -m tests.integration.watch.faulty_matcher FILE
"""

import sys
import zlib
from pathlib import Path

from services.matcher.app import build
from services.matcher.settings import MatcherSettings
from services.matcher.stage import Matcher
from shared.stage.process import run

SHARE = 5


def under_way(bug: Path) -> bool:
    """A stat, which blocks the loop for some microseconds."""
    return bug.exists()


def main() -> int:
    bug, process = Path(sys.argv[1]), Matcher.process

    async def faulty(self, event):
        if under_way(bug) and zlib.crc32(event.subject.encode()) % SHARE == 0:
            raise RecursionError("maximum recursion depth exceeded")
        return await process(self, event)

    Matcher.process = faulty
    return run("matcher", MatcherSettings, build)


if __name__ == "__main__":
    sys.exit(main())
