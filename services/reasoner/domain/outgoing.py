"""
Where a request may go: the hosts that are allowed by name, and the addresses that their names may stand for.

A playbook's author, a model and a name server each have a say in a request's destination, so none of them is believed:
the host must be listed by whoever runs the process, and the address that is connected to must be a public one unless
the host is listed as private (OWASP, Server-Side Request Forgery Prevention).
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS: Final = {"http": 80, "https": 443}
PORT_MAX: Final = 65_535
_ENTRY: Final = re.compile(
    r"(?P<host>\[[0-9a-f:.]+\]|(\*\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?)(:(?P<port>\d{1,5}|\*))?"
)
_METADATA: Final = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")))
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Host:
    """
    An entry of a list of hosts: `name`, where `*.name` stands for every name below it, and `port`.

    Without a port it is for the scheme's own; `:*` is for any.
    """

    name: str
    port: str = ""

    def covers(self, host: str, port: int, own_port: int) -> bool:
        """Whether *port* at *host* (lower case, ASCII) is meant, where a scheme's usual port is *own_port*."""
        named = host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name
        return named and (self.port == "*" or port == int(self.port or own_port))


def hosts(text: str) -> tuple[Host, ...]:
    """
    The hosts that *text* lists by commas.

    Raises:
        ValueError: an entry is no host with an optional port.

    """
    return tuple(_host(entry.strip().lower()) for entry in text.split(",") if entry.strip())


@dataclass(frozen=True, slots=True)
class Destinations:
    """The hosts that requests may go to; those in `private` may stand for addresses that are not public."""

    allowed: tuple[Host, ...] = ()
    private: tuple[Host, ...] = ()

    def refusal(self, scheme: str, host: str, port: int | None) -> str:
        """Why no request goes to *host*, a bounded word; empty where one may."""
        own_port = PORTS.get(scheme)
        if own_port is None:
            return "scheme"
        where = host, port or own_port, own_port
        if not _covered(self.allowed + self.private, *where):
            return "host"
        # What goes in the clear over public networks is anybody's, secrets included.
        return "not_encrypted" if scheme == "http" and not _covered(self.private, *where) else ""

    def permits(self, host: str, port: int, address: str) -> bool:
        """Whether a connection for *port* at *host* may go to *address*, which its name stands for."""
        found = embedded(ipaddress.ip_address(address))
        if found in _METADATA or found.is_link_local or found.is_multicast or found.is_unspecified:
            return False
        return found.is_global or any(_covered(self.private, host, port, own) for own in PORTS.values())


def embedded(address: Address) -> Address:
    """The IPv4 address that *address* leads to, where it is an IPv6 form of one (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _covered(listed: Iterable[Host], host: str, port: int, own_port: int) -> bool:
    return any(entry.covers(host, port, own_port) for entry in listed)


def _host(entry: str) -> Host:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise ValueError(f"{entry!r} is no host: write `name`, `name:port`, `*.name` or `[address]:port`")
    port = found["port"] or ""
    if port not in {"", "*"} and not 0 < int(port) <= PORT_MAX:
        raise ValueError(f"{entry!r}: a port is a number from 1 to {PORT_MAX}")
    return Host(found["host"].strip("[]"), port)
