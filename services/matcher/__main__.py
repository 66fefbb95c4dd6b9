"""
The matcher: `python -m services.matcher`.
"""

import sys

from services.matcher.app import build
from services.matcher.settings import MatcherSettings
from shared.stage.process import run


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run("matcher", MatcherSettings, build)


if __name__ == "__main__":
    sys.exit(main())
