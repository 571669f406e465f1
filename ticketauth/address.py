"""The client's address, through the proxies that are trusted and no others."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from .exceptions import Misconfigured

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

LONGEST_ADDRESS = 100
"""Characters, with zone and port."""


def networks(setting: str, values: Iterable[str]) -> tuple[_Network, ...]:
    """The networks that a setting names.

    Raises:
        Misconfigured: A value is not an address or a network in CIDR form.
    """
    try:
        return tuple(ip_network(value) for value in values)
    except ValueError as error:
        raise Misconfigured(f"{setting}: {error}; expected networks like 10.0.0.0/8 or 127.0.0.1.") from None


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[_Network]) -> str:
    """The last address of the chain that is not a trusted proxy's.

    `X-Forwarded-For` grows to the right, and only what a trusted proxy wrote is believed: the rightmost address
    that is not trusted is the client's, whatever a client put to the left of it.

    Args:
        peer: Who holds the TCP connection; empty on a Unix socket, which counts as trusted if any proxy is.
        forwarded_for: All `X-Forwarded-For` values, in order.
        trusted: The proxies' networks.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    client = peer
    while trusted and _is_trusted(client, trusted) and hops:
        hop = _parse(hops.pop())
        if hop is None:
            break
        client = str(hop)
    address = _parse(client)
    return str(address) if address else ""


@functools.lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What to count by: an IPv6 client has a whole /64 of addresses to choose from."""
    parsed = _parse(address)
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address


def _parse(text: str) -> _Address | None:
    # A header may hold anything; what is remembered is short.
    return _parsed(text) if len(text) <= LONGEST_ADDRESS else None


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> _Address | None:
    """An address, which may come with a zone (RFC 4007) or, as some proxies write it, a port."""
    bare = text.partition("%")[0]
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_trusted(text: str, trusted: Sequence[_Network]) -> bool:
    if not text:
        return True
    address = _parse(text)
    return address is not None and any(address in network for network in trusted)
