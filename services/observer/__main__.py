"""
The observer: `python -m services.observer`.
"""

import sys

from services.observer.app import build
from services.observer.settings import ObserverSettings
from shared.stage.process import run


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run("observer", ObserverSettings, build)


if __name__ == "__main__":
    sys.exit(main())
