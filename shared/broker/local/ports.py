"""Ports on loopback."""

import random
import socket

LOOPBACK = "127.0.0.1"
PORTS_PER_NODE = 2
"""One for clients and brokers, one for the KRaft controllers."""

_FIRST, _LAST = 20_000, 32_000
"""Below the range from which Linux gives ports to outgoing connections (32,768 on)."""
_TRIES = 200


def is_free(port: int) -> bool:
    """Can a server bind this port of loopback now?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port_base(nodes: int = 1) -> int:
    """
    The first of as many adjacent free ports as *nodes* need.

    Raises:
        OSError: none were found.

    """
    count = nodes * PORTS_PER_NODE
    for _ in range(_TRIES):
        base = random.randrange(_FIRST, _LAST - count)
        if all(is_free(base + offset) for offset in range(count)):
            return base
    raise OSError(f"no {count} adjacent free ports between {_FIRST} and {_LAST}")
