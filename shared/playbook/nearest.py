"""
What an author may have meant by a name that nothing bears.
"""

import difflib
from collections.abc import Collection
from itertools import islice

LOOKED_UP_MAX = 50
"""Names of one check: each is compared with all that are known, which takes milliseconds."""
KNOWN_MAX = 500
NAME_CHARS_MAX = 64


class Nearest:
    """Looks for the known name that is most like an unknown one; made anew for each check, whose time it bounds."""

    def __init__(self) -> None:
        self._left = LOOKED_UP_MAX

    def hint(self, name: str, known: Collection[str], otherwise: str) -> str:
        """The question whether a name of *known* was meant by *name*; *otherwise* where none is like it."""
        if self._left == 0 or len(name) > NAME_CHARS_MAX:
            return otherwise
        self._left -= 1
        near = difflib.get_close_matches(name, list(islice(known, KNOWN_MAX)), n=1)
        return f"did you mean `{near[0]}`?" if near else otherwise
