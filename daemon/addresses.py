"""Which resolved addresses may be called. Pure.

An address is judged as numbers, after its name was resolved, and by a table of our own: the flags
of `ipaddress` call some of these global, and differ between versions of Python. The table follows
the registries of IANA (iana-ipv4-special-registry, iana-ipv6-special-registry, both multicast
registries, ipv6-address-space); where the registry leaves room the answer is no: whoever hands out
pictures has a plain global address.

IPv4 addresses also travel inside of IPv6 ones: mapped and compatible (RFC 4291), 6to4 (RFC 3056),
Teredo (RFC 4380, its bits inverted), NAT64 (RFC 6052, RFC 8215).
"""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def _networks(table: dict[str, str]) -> tuple[tuple[_Network, str], ...]:
    return tuple((ip_network(network), kind) for network, kind in table.items())


_NEVER = _networks(
    {
        "169.254.0.0/16": "a link-local address",
        "fe80::/10": "a link-local address",
        "100.100.100.200/32": "a metadata service",  # Alibaba Cloud
        "168.63.129.16/32": "a metadata service",  # Azure
        "192.0.0.192/32": "a metadata service",  # Oracle Cloud
        "fd00:ec2::/32": "a metadata service",  # Amazon
        "fd20:ce::254/128": "a metadata service",  # Google
    }
)
"""What no configuration may name either: it hands out the machine's own credentials."""

_FORBIDDEN = _NEVER + _networks(
    {
        "0.0.0.0/8": "an address of this machine",
        "10.0.0.0/8": "a private address",
        "100.64.0.0/10": "an address behind a carrier's NAT",
        "127.0.0.0/8": "a loopback address",
        "172.16.0.0/12": "a private address",
        "192.0.0.0/24": "a reserved address",
        "192.0.2.0/24": "an address for documentation",
        "192.31.196.0/24": "a reserved address",  # AS112
        "192.52.193.0/24": "a reserved address",  # AMT
        "192.88.99.0/24": "a reserved address",  # 6to4 relays, deprecated
        "192.168.0.0/16": "a private address",
        "192.175.48.0/24": "a reserved address",  # AS112
        "198.18.0.0/15": "an address for benchmarks",
        "198.51.100.0/24": "an address for documentation",
        "203.0.113.0/24": "an address for documentation",
        "224.0.0.0/4": "a multicast address",
        "240.0.0.0/4": "a reserved address",
        "::/128": "an address of this machine",
        "::1/128": "a loopback address",
        "fc00::/7": "a private address",
        "ff00::/8": "a multicast address",
        "2001::/23": "a reserved address",  # IETF protocols, Teredo and ORCHID among them
        "2001:db8::/32": "an address for documentation",
        "2002::/16": "a reserved address",  # 6to4
        "2620:4f:8000::/48": "a reserved address",  # AS112
        "3fff::/20": "an address for documentation",
    }
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = IPv6Network("64:ff9b::/96")
_TRANSLATED_LOCALLY = IPv6Network("64:ff9b:1::/48")


def why_not_outside(address: str) -> str | None:
    """Why an address that a stranger named may not be called; None where it may.

    Args:
        address: as a resolver gives it: "93.184.215.14", "fe80::1%eth0".

    Returns:
        What it is: "a private address".
    """
    judged = _unmapped(ip_address(address))
    kind = why_never(address) or _kind(judged, _FORBIDDEN)
    if kind is None and isinstance(judged, IPv6Address) and judged not in _GLOBAL_UNICAST:
        return "a reserved address"
    return kind


def why_never(address: str) -> str | None:
    """Why an address may not be called even where the configuration names it; None where it may.

    Args:
        address: as a resolver gives it.

    Returns:
        What it is: "a metadata service".
    """
    whole = ip_address(address)
    return next(
        (kind for one in (whole, *_inside(whole)) if (kind := _kind(one, _NEVER)) is not None),
        None,
    )


def _kind(address: Address, table: tuple[tuple[_Network, str], ...]) -> str | None:
    return next((kind for network, kind in table if address in network), None)


def _unmapped(address: Address) -> Address:
    """The address that is really reached: what maps or translates one of IPv4 is no place of its
    own. The other forms that hold one are nowhere in use, and judged as they are."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return _low(address) if address in _TRANSLATED else address


def _inside(address: Address) -> tuple[IPv4Address, ...]:
    """Every IPv4 address that an address may stand for."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _TRANSLATED_LOCALLY:  # how long the prefix is, its network decides
        middle = (int(address) >> 64 & 0xFFFF) << 16 | int(address) >> 40 & 0xFFFF
        return (_low(address), IPv4Address(middle))
    return (_low(address),) if address in _TRANSLATED or address in _COMPATIBLE else ()


def _low(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)
