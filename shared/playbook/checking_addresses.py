"""
What authors get wrong in the addresses of tools, MCP servers and retrievers: no host, a port that is none, a name that
no client takes.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

import httpx

from shared.playbook.finding import Finding, Path, Severity
from shared.playbook.model import Playbook

PLACE: Final = re.compile(r"\{([^{}]*)\}")
PORT_MAX: Final = 65_535
HOST_CHARS_MAX: Final = 253
REASON_CHARS_MAX: Final = 200

_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def address_findings(playbook: Playbook) -> Iterator[Finding]:
    """Everything that is wrong with the addresses that *playbook* calls."""
    for path, url in _addresses(playbook):
        if reason := unusable(url):
            remedy = "write it as `https://host/path`, with the port after the host if need be"
            yield Finding(Severity.ERROR, "bad_address", path, f"the address cannot be called: {reason}", remedy)


def unusable(url: str) -> str:
    """Why no client could call *url*, in which `{name}` stands for a value; empty where one could."""
    try:
        read = httpx.URL(PLACE.sub("value", url))
        # Worked out when asked for: names that IDNA refuses are found there.
        host, port = read.host and read.raw_host.decode("ascii"), read.port
    except (httpx.InvalidURL, ValueError) as error:
        return str(error)[:REASON_CHARS_MAX] or "it is no address"
    if not host:
        return "it names no host"
    if not _is_host(host):
        return f"`{host[:HOST_CHARS_MAX]}` is no host"
    if port is not None and not 0 < port <= PORT_MAX:
        return f"{port} is no port"
    if read.userinfo:
        return "it holds credentials, which stand in a header as `secret:NAME`"
    return ""


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return len(host) <= HOST_CHARS_MAX and all(map(_LABEL.fullmatch, host.removesuffix(".").split(".")))
    return True


def _addresses(playbook: Playbook) -> Iterator[tuple[Path, str]]:
    for index, tool in enumerate(playbook.tools):
        if tool.http is not None:
            yield ("tools", index, "http", "url"), tool.http.url
        if tool.mcp is not None:
            yield ("tools", index, "mcp", "url"), tool.mcp.url
    for index, retriever in enumerate(playbook.retrievers):
        yield ("retrievers", index, "url"), retriever.url
