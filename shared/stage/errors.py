"""
What the runtimes and their adapters raise to each other; a service meets none of it.
"""

from shared.errors import HoldfastError


class OwnershipLost(HoldfastError):
    """
    The task is no longer this process's, or nobody can tell whether it is: close it, keep nothing of it, and open it
    anew where the group assigns it again.
    """


class UnreadableStateError(HoldfastError):
    """
    A record of a changelog cannot be decoded by the client: its task stays closed, for no state is passed over.
    """

    def __init__(self, topic: str, partition: int, offset: int, why: str) -> None:
        super().__init__(
            f"{topic}-{partition} cannot be decoded at offset {offset} ({why}); the task stays closed: restore the "
            "partition from a replica, see docs/operations.md"
        )
        self.topic = topic
        self.partition = partition
        self.offset = offset
