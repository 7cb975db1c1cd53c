"""Whose address a request comes from, and how much of it is kept."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, TypeAlias

Keeping: TypeAlias = Literal["truncate", "drop"]
Address: TypeAlias = IPv4Address | IPv6Address

# The last 8 bits of IPv4, the last 80 of IPv6: what remains is a neighbourhood, not a household.
_IPV4_HOST_BITS = 8
_IPV6_HOST_BITS = 80
_MEMBER = re.compile(rb'("ip"\s*+:\s*+")([0-9A-Fa-f.:]{2,45}+)(")')


def sender_address(peer: str, forwarded_for: str, trusted_proxies: int) -> Address | None:
    """The address that a request came from, or nothing when it cannot be told.

    Args:
        peer: the other end of the connection.
        forwarded_for: `X-Forwarded-For`; several such headers joined with commas.
        trusted_proxies: how many proxies in front append to it. What the client itself put there is to the left of
            what they appended, and does not count.
    """
    if not trusted_proxies or not forwarded_for:
        return read_address(peer)
    hops = forwarded_for.split(",")
    return read_address(hops[-min(trusted_proxies, len(hops))])


def read_address(text: str) -> Address | None:
    """Read an address, also with a port or in brackets. An IPv4 address in the form of IPv6 comes out as IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def kept_address(address: Address, keeping: Keeping) -> str:
    """What may be stored of an address: the network of 256 addresses (IPv4) or of a site (IPv6, /48), or nothing."""
    if keeping == "drop":
        return ""
    host_bits = _IPV4_HOST_BITS if isinstance(address, IPv4Address) else _IPV6_HOST_BITS
    return str(type(address)(int(address) >> host_bits << host_bits))


def without_full_addresses(text: bytes, keeping: Keeping) -> bytes:
    """JSON text in which the address of each member `ip` is cut to what may be stored."""

    def cut(match: re.Match[bytes]) -> bytes:
        address = read_address(match[2].decode())
        return match[0] if address is None else match[1] + kept_address(address, keeping).encode() + match[3]

    return _MEMBER.sub(cut, text)
