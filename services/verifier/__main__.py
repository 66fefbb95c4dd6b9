"""
The verifier: `python -m services.verifier`.
"""

import sys

from services.verifier.app import build
from services.verifier.settings import VerifierSettings
from shared.stage.process import run


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run("verifier", VerifierSettings, build)


if __name__ == "__main__":
    sys.exit(main())
