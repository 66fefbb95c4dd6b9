"""
Which arm of an experiment a conversation belongs to.
"""

from hashlib import blake2b

from shared.events.envelope import Address
from shared.playbook.model import Experiment


def arm_of(experiment: Experiment | None, address: Address) -> str:
    """
    The arm's name; empty without an experiment.

    The same for a conversation whenever it is asked; the experiment's name is hashed with it, so that two experiments
    divide independently. Arms are taken by name, not in the order in which they are written.
    """
    if experiment is None:
        return ""
    data = f"{experiment.name}\0{address.tenant}:{address.conversation}".encode()
    share = int.from_bytes(blake2b(data, digest_size=8).digest(), "big") / 2**64
    names = sorted(experiment.arms)
    point = share * sum(experiment.arms[name].weight for name in names)
    for name in names:
        point -= experiment.arms[name].weight
        if point < 0:
            return name
    return names[-1]
