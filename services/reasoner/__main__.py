"""
The reasoner: `python -m services.reasoner`.
"""

import sys

from services.reasoner.app import build
from services.reasoner.settings import ReasonerSettings
from shared.stage.process import run


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run("reasoner", ReasonerSettings, build)


if __name__ == "__main__":
    sys.exit(main())
