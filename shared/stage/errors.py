"""
What the runtimes and their adapters raise to each other; a service meets none of it.
"""

from shared.errors import HoldfastError


class OwnershipLost(HoldfastError):
    """
    The task is no longer this process's, or nobody can tell whether it is: close it, keep nothing of it, and open it
    anew where the group assigns it again.
    """
