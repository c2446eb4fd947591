"""What kind of address an address is, and which way a connection goes."""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class AddressScope(StrEnum):
    """How far an address reaches, after the IANA special-purpose registries (RFC 6890)."""

    GLOBAL = "global"
    PRIVATE = "private"
    """RFC 1918 and unique local addresses."""
    LOOPBACK = "loopback"
    LINK_LOCAL = "link_local"
    MULTICAST = "multicast"
    DOCUMENTATION = "documentation"
    """Set aside for examples; real traffic never has them."""
    SHARED = "shared"
    """Between a provider and its customers (carrier-grade NAT, RFC 6598)."""
    RESERVED = "reserved"
    """Every other special purpose: benchmarking, protocol assignments, future use, broadcast."""
    UNSPECIFIED = "unspecified"

    @property
    def is_internal(self) -> bool:
        """Whether a peer with such an address is in one's own network."""
        return self in _INTERNAL


_INTERNAL = frozenset({AddressScope.PRIVATE, AddressScope.LOOPBACK, AddressScope.LINK_LOCAL, AddressScope.SHARED})


class Direction(StrEnum):
    """Which way a connection goes, seen from one's own network."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"
    EXTERNAL = "external"
    """Neither end is one's own."""
    UNKNOWN = "unknown"


@lru_cache(maxsize=16_384)
def scope_of(address: str) -> AddressScope | None:
    """Return the scope of an IPv4 or IPv6 address, or `None` if the text is none.

    An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4) has the scope of the IPv4 address;
    an IPv6 zone (`%eth0`) is ignored.
    """
    try:
        parsed = ip_address(address.strip())
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or _nat64(parsed)
        if inner is not None:
            parsed = inner
    starts, scopes = _table(parsed.version)
    return scopes[bisect_right(starts, int(parsed)) - 1]


def direction(source: str | None, destination: str | None) -> Direction:
    """Return which way a connection from `source` to `destination` goes.

    Multicast and broadcast destinations count as internal when the source is: they do not leave
    the network. `UNKNOWN` where an end is missing, is no address or is unspecified.
    """
    start, end = scope_of(source or ""), scope_of(destination or "")
    if start is None or end is None or AddressScope.UNSPECIFIED in {start, end}:
        return Direction.UNKNOWN
    stays = end.is_internal or end in {AddressScope.MULTICAST, AddressScope.RESERVED}
    if start.is_internal:
        return Direction.INTERNAL if stays else Direction.OUTBOUND
    return Direction.INBOUND if end.is_internal else Direction.EXTERNAL


def _nat64(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFF_FFFF) if int(address) >> 32 == _NAT64_PREFIX else None


_NAT64_PREFIX = 0x0064_FF9B_0000_0000_0000_0000  # 64:ff9b::/96, RFC 6052

_S = AddressScope
_V4_REGISTRY = {
    "0.0.0.0/0": _S.GLOBAL,
    "0.0.0.0/32": _S.UNSPECIFIED,
    "0.0.0.0/8": _S.RESERVED,
    "10.0.0.0/8": _S.PRIVATE,
    "100.64.0.0/10": _S.SHARED,
    "127.0.0.0/8": _S.LOOPBACK,
    "169.254.0.0/16": _S.LINK_LOCAL,
    "172.16.0.0/12": _S.PRIVATE,
    "192.0.0.0/24": _S.RESERVED,
    "192.0.0.9/32": _S.GLOBAL,
    "192.0.0.10/32": _S.GLOBAL,
    "192.0.2.0/24": _S.DOCUMENTATION,
    "192.88.99.0/24": _S.RESERVED,
    "192.168.0.0/16": _S.PRIVATE,
    "198.18.0.0/15": _S.RESERVED,
    "198.51.100.0/24": _S.DOCUMENTATION,
    "203.0.113.0/24": _S.DOCUMENTATION,
    "224.0.0.0/4": _S.MULTICAST,
    "233.252.0.0/24": _S.DOCUMENTATION,
    "240.0.0.0/4": _S.RESERVED,
}
_V6_REGISTRY = {
    "::/0": _S.RESERVED,
    "2000::/3": _S.GLOBAL,  # IANA assigns from 2000::/3 only
    "::/128": _S.UNSPECIFIED,
    "::1/128": _S.LOOPBACK,
    "100::/64": _S.RESERVED,
    "64:ff9b:1::/48": _S.PRIVATE,
    "2001::/23": _S.RESERVED,
    "2001::/32": _S.GLOBAL,
    "2001:1::1/128": _S.GLOBAL,
    "2001:1::2/128": _S.GLOBAL,
    "2001:1::3/128": _S.GLOBAL,
    "2001:3::/32": _S.GLOBAL,
    "2001:4:112::/48": _S.GLOBAL,
    "2001:20::/28": _S.GLOBAL,
    "2001:30::/28": _S.GLOBAL,
    "2001:db8::/32": _S.DOCUMENTATION,
    "3fff::/20": _S.DOCUMENTATION,
    "5f00::/16": _S.RESERVED,
    "fc00::/7": _S.PRIVATE,
    "fe80::/10": _S.LINK_LOCAL,
    "fec0::/10": _S.PRIVATE,
    "ff00::/8": _S.MULTICAST,
}
# fec0::/10 (site-local, RFC 3879) is withdrawn, but where it still occurs it is an inner address.


@cache
def _table(version: int) -> tuple[list[int], list[AddressScope]]:
    """Flatten a registry into first addresses and their scopes, the innermost range on top."""
    registry = _V4_REGISTRY if version == 4 else _V6_REGISTRY
    ranges = sorted(
        (int(net.network_address), -int(net.broadcast_address), scope)
        for net, scope in ((ip_network(text), scope) for text, scope in registry.items())
    )
    steps: dict[int, AddressScope] = {}
    open_: list[tuple[int, AddressScope]] = []
    for first, minus_last, scope in [*ranges, (1 << 128, 0, AddressScope.GLOBAL)]:
        while open_ and open_[-1][0] < first:
            last, _ = open_.pop()
            if open_:
                steps[last + 1] = open_[-1][1]
        steps[first] = scope
        open_.append((-minus_last, scope))
    return list(steps), list(steps.values())
