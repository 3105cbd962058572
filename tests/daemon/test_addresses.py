"""Which resolved addresses may be called."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.addresses import why_never, why_not_outside

PLAIN = ["93.184.215.14", "1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111"]
PLAIN += ["2a00:1450:4001:82a::200e", "::ffff:8.8.8.8", "64:ff9b::808:808", "192.0.1.1"]

FORBIDDEN = {
    "0.0.0.0": "of this machine",
    "0.1.2.3": "of this machine",
    "10.0.0.1": "private",
    "100.64.0.1": "carrier",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.8": "reserved",
    "192.0.2.1": "documentation",
    "192.88.99.1": "reserved",
    "192.168.1.1": "private",
    "198.19.255.255": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "of this machine",
    "::1": "loopback",
    "::127.0.0.1": "reserved",
    "::8.8.8.8": "reserved",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.0.0.1": "private",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "link-local",
    "64:ff9b:1::808:808": "reserved",
    "100::1": "reserved",
    "2001::1": "reserved",
    "2001:20::1": "reserved",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "reserved",
    "2002:808:808::": "reserved",
    "3fff::1": "documentation",
    "5f00::1": "reserved",
    "4000::1": "reserved",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "reserved",
    "ff02::1": "multicast",
}

METADATA = ["169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"]
METADATA += ["fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe", "169.254.170.2"]

V4 = st.integers(0, 2**32 - 1).map(IPv4Address)


def forms(inner: str) -> list[str]:
    """The IPv6 addresses that hold an IPv4 one."""
    number = int(IPv4Address(inner))
    whole = [
        0xFFFF << 32 | number,
        number,
        0x64FF9B << 96 | number,
        0x64FF9B0001 << 80 | number,
        0x64FF9B0001 << 80 | (number >> 16) << 64 | (number & 0xFFFF) << 40,
        0x2002 << 112 | number << 80,
        0x20010000 << 96 | (number ^ 0xFFFFFFFF),
        0x20010000 << 96 | number << 64,
    ]
    return [str(IPv6Address(one)) for one in whole]


@pytest.mark.parametrize("address", PLAIN)
def test_a_plain_global_address_may_be_called(address: str) -> None:
    assert why_not_outside(address) is None
    assert why_never(address) is None


@pytest.mark.parametrize(("address", "kind"), FORBIDDEN.items())
def test_anything_else_may_not_and_is_said_for_what_it_is(address: str, kind: str) -> None:
    assert kind in (why_not_outside(address) or "")


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_may_not_be_configured_either(address: str) -> None:
    assert why_never(address)
    assert why_not_outside(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.0.9", "fd12::1"])
def test_a_local_server_may_be_configured(address: str) -> None:
    assert why_never(address) is None


@pytest.mark.parametrize("inner", ["169.254.169.254", "100.100.100.200"])
def test_metadata_services_are_found_inside_of_other_addresses(inner: str) -> None:
    for address in forms(inner):
        assert why_never(address), address


@given(V4)
def test_no_form_makes_a_forbidden_address_a_permitted_one(inner: IPv4Address) -> None:
    for address in forms(str(inner)):
        if why_not_outside(address) is None:
            assert why_not_outside(str(inner)) is None


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_only_global_unicast_is_permitted(address: IPv6Address) -> None:
    inner = address.ipv4_mapped or (int(address) >> 32 == 0x64FF9B << 64)
    if why_not_outside(str(address)) is None and not inner:
        assert int(address) >> 125 == 1


@given(V4)
def test_what_python_calls_inside_is_forbidden(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert why_not_outside(str(address))
