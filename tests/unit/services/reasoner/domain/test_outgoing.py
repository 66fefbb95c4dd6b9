"""Destinations: which hosts and which addresses a request may go to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reasoner.domain.outgoing import Destinations, hosts

UNSPECIFIED = ".".join("0000")
OURS = Destinations(hosts("api.example.com, *.shop.example:8443, [2001:4860::1]:*"), hosts("127.0.0.1:9000,intern"))


@pytest.mark.parametrize(
    ("scheme", "host", "port", "reason"),
    [
        ("https", "api.example.com", None, ""),
        ("https", "api.example.com", 443, ""),
        ("https", "api.example.com", 8443, "host"),
        ("http", "api.example.com", None, "not_encrypted"),
        ("https", "api.example.com.evil.example", None, "host"),
        ("https", "notapi.example.com", None, "host"),
        ("https", "a.shop.example", 8443, ""),
        ("https", "shop.example", 8443, "host"),
        ("https", "evilshop.example", 8443, "host"),
        ("https", "2001:4860::1", 17, ""),
        ("http", "127.0.0.1", 9000, ""),
        ("http", "127.0.0.1", 9001, "host"),
        ("http", "intern", None, ""),
        ("https", "intern", None, ""),
        ("file", "intern", None, "scheme"),
        ("gopher", "api.example.com", None, "scheme"),
    ],
)
def test_a_host_is_reached_only_as_it_is_listed(scheme, host, port, reason):
    assert OURS.refusal(scheme, host, port) == reason


NOT_PUBLIC = [
    "127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1", UNSPECIFIED, "169.254.1.1", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "2002:7f00:1::",
    "64:ff9b::a00:1", "169.254.169.254", "fd00:ec2::254", "100.100.100.200", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "198.18.0.1", "192.0.2.1", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_public_host_stands_for_public_addresses_only(address):
    assert not OURS.permits("api.example.com", 443, address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_reached_in_every_form(address):
    assert OURS.permits("api.example.com", 443, address)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "fc00::1", "8.8.8.8"])
def test_a_private_host_may_stand_for_private_addresses(address):
    assert OURS.permits("intern", 80, address)
    assert OURS.permits("127.0.0.1", 9000, address)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "fe80::1", "224.0.0.1", UNSPECIFIED, "100.100.100.200"]
)
def test_no_host_stands_for_link_local_multicast_or_metadata(address):
    assert not OURS.permits("intern", 80, address)


@given(st.integers(0, 2**32 - 1))
def test_an_embedded_address_is_judged_as_the_address_itself(number):
    plain = f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    wanted = OURS.permits("api.example.com", 443, plain)
    assert OURS.permits("api.example.com", 443, f"::ffff:{plain}") == wanted
    assert OURS.permits("api.example.com", 443, f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}") == wanted


@pytest.mark.parametrize("text", ["http://a.example", "a b", "*", "a.*.b", "a:0", "a:70000", "a:x", "a/b", "[::1"])
def test_what_is_no_host_is_refused_by_name(text):
    with pytest.raises(ValueError, match=r"no host|a port is"):
        hosts(text)


def test_an_empty_list_allows_nothing():
    assert hosts(" , ") == ()
    assert Destinations().refusal("https", "example.com", None) == "host"
