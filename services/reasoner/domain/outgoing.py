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
_NEVER_NAMED: Final = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.azure.internal",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.tencentyun.com",
    }
)
"""Names of clouds' metadata services, which hand out credentials of the machine."""
_NEVER: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        # "This network": some systems take it for themselves. Link-local: metadata services of most clouds.
        "0.0.0.0/8",
        "169.254.0.0/16",
        "fe80::/10",
        # Metadata services outside of it: Azure, Alibaba, Oracle, AWS, Google, Scaleway.
        "168.63.129.16/32",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "fd00:ec2::/32",
        "fd20:ce::254/128",
        "fd00:42::42/128",
        "255.255.255.255/32",
    )
)
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        # What the standard library takes for global: protocol assignments, the relays of 6to4, documentation.
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2001::/23",
        "3fff::/20",
    )
)
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is given out for public use (RFC 4291, IANA)."""
_IPV4_LAST: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        # Mapped, compatible, translated (RFC 4291 §2.5.5, RFC 2765), NAT64 (RFC 6052, RFC 8215).
        "::ffff:0:0/96",
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
    )
)
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
_ADDRESS_LIKE: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")


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
        if host in _NEVER_NAMED or is_odd_address(host) or (port is not None and not 0 < port <= PORT_MAX):
            return "host"
        where = host, port or own_port, own_port
        if not _covered(self.allowed + self.private, *where):
            return "host"
        # What goes in the clear over public networks is anybody's, secrets included.
        return "not_encrypted" if scheme == "http" and not _covered(self.private, *where) else ""

    def permits(self, host: str, port: int, address: str) -> bool:
        """
        Whether a connection for *port* at *host* may go to *address*, which its name stands for: each address that it
        leads to must be one that the host may stand for.
        """
        try:
            leads = leads_to(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if any(_is_never_reached(each) for each in leads):
            return False
        is_private = any(_covered(self.private, host, port, own) for own in PORTS.values())
        return is_private or all(_is_public(each) for each in leads)


def leads_to(address: Address) -> tuple[Address, ...]:
    """The addresses that a packet to *address* may end up at: IPv6 has many ways to write an IPv4 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if any(address in network for network in _IPV4_LAST):
        # `::` and `::1` are no IPv4 addresses.
        return _inside(address) if int(address) > 1 else (address,)
    number = int(address)
    found: list[Address] = [address]
    if address.sixtofour is not None:
        found = [address.sixtofour]
    if address.teredo is not None:
        found = list(address.teredo)
    if number >> 32 & 0xFFFF_FFFF in _ISATAP:
        found.append(ipaddress.IPv4Address(number & 0xFFFF_FFFF))
    return tuple(found)


def is_odd_address(host: str) -> bool:
    """Whether *host* is a number that some readers take for an IPv4 address (`127.1`, `0x7f000001`), and no name."""
    if _ADDRESS_LIKE.fullmatch(host) is None:
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False


def _inside(address: ipaddress.IPv6Address) -> tuple[Address, ...]:
    number = int(address)
    last = ipaddress.IPv4Address(number & 0xFFFF_FFFF)
    if address not in _LOCAL_NAT64:
        return (last,)
    # A prefix of 48 bits has the address around bits 64 to 71 (RFC 6052 §2.2); longer prefixes of it have it last.
    around = ipaddress.IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
    return tuple(found for found in (last, around) if int(found)) or (last,)


def _is_never_reached(address: Address) -> bool:
    named = any(address.version == network.version and address in network for network in _NEVER)
    return named or address.is_multicast or address.is_unspecified


def _is_public(address: Address) -> bool:
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and (isinstance(address, ipaddress.IPv4Address) or address in _UNICAST)


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
