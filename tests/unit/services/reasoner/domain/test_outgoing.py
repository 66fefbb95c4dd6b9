"""Destinations: which hosts and which addresses a request may go to."""

from ipaddress import IPv4Address, IPv6Address

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
    "64:ff9b::a9fe:a9fe", "198.18.0.1", "192.0.2.1", "240.0.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
    "0.1.2.3", "192.0.0.8", "::a00:1", "::ffff:0:a00:1", "2001:0:808:808::f5ff:fffe", "64:ff9b:1::a00:1",
    "64:ff9b:1:a00:0:100::", "2001:4860::5efe:a00:1", "2001:4860::200:5efe:a00:1", "fec0::1", "2001:db8::1",
    "3fff::1", "5f00::1", "4000::1", "100::1", "2001:20::1", "fd00::1", "168.63.129.16", "192.0.0.192",
    "fd20:ce::254", "fe80::1%eth0", "no address", "", "127.1", "0x7f000001", "2130706433",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_public_host_stands_for_public_addresses_only(address):
    assert not OURS.permits("api.example.com", 443, address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "::808:808", "2002:808:808::1",
        "64:ff9b:1::808:808", "64:ff9b:1:808:8:800::", "2001:4860::5efe:808:808",
    ],
)  # fmt: skip
def test_a_public_address_is_reached_in_every_form(address):
    assert OURS.permits("api.example.com", 443, address)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "fc00::1", "8.8.8.8"])
def test_a_private_host_may_stand_for_private_addresses(address):
    assert OURS.permits("intern", 80, address)
    assert OURS.permits("127.0.0.1", 9000, address)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fd00:ec2::254",
        "fe80::1",
        "224.0.0.1",
        UNSPECIFIED,
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
        "169.254.170.2",
        "::ffff:168.63.129.16",
        "::",
        "2002:a9fe:a9fe::1",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2001:4860::5efe:a9fe:a9fe",
        "fe80::a9fe:a9fe%2",
        "ff02::1",
        "255.255.255.255",
        "0.1.2.3",
    ],
)
def test_no_host_stands_for_link_local_multicast_or_metadata(address):
    assert not OURS.permits("intern", 80, address)


@pytest.mark.parametrize(
    "host",
    ["metadata.google.internal", "metadata", "127.1", "2130706433", "0x7f.1", "017700000001", "0x7f000001", "1.2.3.0x4",
     "127.0.0.01", "127.0.0.1.", "1.2.3.4.5"],
)  # fmt: skip
def test_a_host_that_is_a_number_in_disguise_or_a_metadata_service_is_refused_even_if_listed(host):
    listed = Destinations(hosts(f"{host.rstrip('.')}:*"), hosts(f"{host.rstrip('.')}:*"))
    assert listed.refusal("https", host, None) == "host"
    assert listed.refusal("http", host, 80) == "host"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "8.8.8.8", "a1.example", "1.example", "0x7f.example", "xn--p1ai.example"]
)
def test_an_address_and_a_name_with_numbers_are_what_they_are(host):
    assert Destinations((), hosts(f"{host}:*")).refusal("http", host, 8080) == ""


@pytest.mark.parametrize("port", [0, -1, 65_536, 99_999])
def test_a_port_that_is_none_is_refused(port):
    assert Destinations((), hosts("intern:*")).refusal("http", "intern", port) == "host"


def embedded_forms(number):
    high, low = number >> 16, number & 0xFFFF
    flipped = number ^ 0xFFFF_FFFF
    yield f"::ffff:{high:x}:{low:x}"
    yield f"::ffff:0:{high:x}:{low:x}"
    yield f"64:ff9b::{high:x}:{low:x}"
    yield f"64:ff9b:1::{high:x}:{low:x}"
    yield f"64:ff9b:1:{high:x}:{low >> 8:x}:{(low & 0xFF) << 8:x}::"
    yield f"2002:{high:x}:{low:x}::1"
    yield f"2001:0:808:808::{flipped >> 16:x}:{flipped & 0xFFFF:x}"
    yield f"2001:4860::5efe:{high:x}:{low:x}"
    yield f"2001:4860::200:5efe:{high:x}:{low:x}"
    if number > 1:
        yield f"::{high:x}:{low:x}"


@given(st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["10.0.0.1", "169.254.169.254", "127.0.0.1", "100.64.0.1", "168.63.129.16", "8.8.8.8"])
    .map(lambda text: int(IPv4Address(text))),
))  # fmt: skip
def test_no_way_of_writing_an_address_inside_ipv6_permits_more_than_the_address_itself(number):
    plain = str(IPv4Address(number))
    for form in embedded_forms(number):
        for host, port in (("api.example.com", 443), ("intern", 80)):
            permitted = OURS.permits(host, port, plain)
            assert OURS.permits(host, port, form) <= permitted, (form, plain)


@given(st.integers(0, 2**128 - 1) | st.integers(0, 2**32 - 1).map(lambda low: (0xFE80 << 112) | low))
def test_what_a_public_host_may_stand_for_a_private_one_may_too(number):
    address = str(IPv6Address(number))
    assert OURS.permits("api.example.com", 443, address) <= OURS.permits("intern", 80, address)


@given(st.text(max_size=30))
def test_whatever_a_name_server_answers_is_judged(answer):
    assert OURS.permits("intern", 80, answer) in {True, False}


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
