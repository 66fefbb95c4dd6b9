"""
The conversations: `python -m services.conversations`.
"""

import sys

from services.conversations.app import build
from services.conversations.settings import ConversationsSettings
from shared.stage.process import run


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run("conversations", ConversationsSettings, build)


if __name__ == "__main__":
    sys.exit(main())
