"""Addresses of machines, and the versions, times and scopes that look like them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detect.values import values, wide

FOURS = ["192.168.0.12", "10.20.30.41", "203.0.113.9", "198.51.100.255", "172.16.254.3"]
SIXES = [
    "2001:db8::8a2e:370:7334",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "fe80::1",
    "fd12:3456:789a::1",
    "::ffff:10.20.30.40",
    "2001:db8::",
    "ff02::fb",
]
PLACES = [
    "{}",
    "{}에서 접속",
    "서버는 {}입니다",
    "({})",
    '"{}"',
    '{{"ip":"{}"}}',
    "http://[{}]/",
    "up {},",
]

NEITHER = [
    "Chrome/126.0.0.0 Safari/537.36",
    "OID 1.3.6.1.4.1.311",
    "2.5.4.3",
    "version 10.20.30.40",
    "v10.20.30.40 is out",
    "Upgrade from 10.20.14.3 to 10.20.15.1 first",
    'AssemblyVersion("4.0.12.7")',
    "버전 10.20.30.40",
    "foo==10.20.30.40",
    "Section 10.2.30.4",
    "제 10.20.30.4 조",
    "10.20.30.40-beta",
    "300.400.500.600",
    "192.168.1.256",
    "192.168.x.x",
    "1.1.1",
    "10.20.30.40.50",
    "05.06.07.08",
    "std::vector<int> v; a::b::c",
    "use crate::feed::dead;",
    "x[::2] y[1::2]",
    "12:34:56 and 1:2:3:4:5",
    "ratio 16:9:4",
    "::",
    "aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99",
    "684D:1111:222:3333:4444:5555:77",
    "127.0.0.1 and ::1",
]

MACS = ["00:1A:2B:3C:4D:5E", "3c-22-fb-19-aa-07", "0a5d.0e36.b31e"]
NO_MACS = [
    "00:1A:2B:3C:4D",
    "로또 03-12-25-31-40-44",
    "10:20:30:40:50:60",
    "aa:bb:cc:dd:ee:ff:00",
    "550e8400-e29b-41d4-a716-446655440000",
    "ff:ff:ff:ff:ff:ff",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("address", [*FOURS, *SIXES])
def test_an_address_is_found_wherever_it_stands(place: str, address: str) -> None:
    """Glued, quoted, in brackets and in addresses of pages."""
    assert values(place.format(address), "ip_address") == [address]


@pytest.mark.parametrize("text", NEITHER)
def test_what_looks_like_an_address_is_left_alone(text: str) -> None:
    """Versions, sections, OIDs, times, scopes, and addresses of nobody."""
    assert values(text, "ip_address") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("fe80::1%eth0", "fe80::1"),
        ("10.20.30.40:8080", "10.20.30.40"),
        ("root@10.20.30.40", "10.20.30.40"),
        ("host is 1.2.3.4", "1.2.3.4"),
        ("ping 8.8.8.8", "8.8.8.8"),
        (wide("192.168.0.12"), wide("192.168.0.12")),
        ("192\u200b.168.1.1", "192\u200b.168.1.1"),
    ],
)
def test_what_belongs_to_an_address(text: str, found: str) -> None:
    """The length of a network does; a port, a zone and a user do not."""
    assert values(text, "ip_address") == [found]


@given(st.ip_addresses(v=6, network="2000::/3"))
def test_every_global_address_is_found(address: ipaddress.IPv6Address) -> None:
    """As RFC 5952 shortens it, and in full."""
    for text in {str(address), address.exploded}:
        assert values(f"from {text}로", "ip_address") == [text]


@given(st.text(alphabet="0123456789abf:.[]/%- v", max_size=60))
def test_any_digits_and_dots(text: str) -> None:
    """What is found is an address or a network, by the standard library."""
    for value in values(text, "ip_address"):
        host, slash, length = value.partition("/")
        stripped = ".".join(str(int(part)) for part in host.split(".")) if ":" not in host else host
        ipaddress.ip_interface(stripped + slash + length)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("address", MACS)
def test_a_network_card_is_found(place: str, address: str) -> None:
    """In each of the three ways of writing it."""
    assert values(place.format(address), "mac_address") == [address]


@pytest.mark.parametrize("text", NO_MACS)
def test_other_pairs_are_left_alone(text: str) -> None:
    """Fingerprints, times, draws of a lottery, UUIDs."""
    assert values(text, "mac_address") == []


def test_digits_alone_are_a_card_where_the_text_says_so() -> None:
    """Six pairs of digits are an address if they are called one."""
    assert values("MAC 12:34:56:78:90:12", "mac_address") == ["12:34:56:78:90:12"]


@given(st.text(alphabet="0a1F:-. 가", max_size=60))
def test_any_pairs(text: str) -> None:
    """What is found has twelve hexadecimal digits."""
    for value in values(text, "mac_address"):
        assert sum(letter.isalnum() for letter in value) == 12
