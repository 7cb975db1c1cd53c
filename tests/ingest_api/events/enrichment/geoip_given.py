"""A writer of small files in MaxMind's format (version 2.0), enough for looking up countries."""

import struct
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import Any

_EMPTY = -1
# Unsigned of 32 and of 64 bits; all other numbers have 16.
_KIND_OF_NUMBER = {"node_count": 6, "build_epoch": 9}


def write_geoip_file(path: Path, records: Mapping[str, object]) -> Path:
    """Write records by network, for example `{"203.0.113.0/24": {"country": {"iso_code": "DE"}}}`."""
    nodes: list[list[Any]] = [[_EMPTY, _EMPTY]]
    data = b""
    for network, record in records.items():
        # IPv4 lives below ::/96 in a tree for IPv6.
        subnet = ip_network(network)
        bits = int(IPv6Address(int(subnet.network_address)))
        length = subnet.prefixlen + (96 if subnet.version == 4 else 0)
        node = 0
        for place in range(length - 1):
            side = bits >> (127 - place) & 1
            if nodes[node][side] == _EMPTY:
                nodes.append([_EMPTY, _EMPTY])
                nodes[node][side] = len(nodes) - 1
            node = nodes[node][side]
        nodes[node][bits >> (128 - length) & 1] = ("record", len(data))
        data += _encoded(record)
    count = len(nodes)
    tree = b"".join(_pointer(side, count) for node in nodes for side in node)
    metadata = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,
        "database_type": "Test-Country",
        "description": {"en": "test"},
        "ip_version": 6,
        "languages": ["en"],
        "node_count": count,
        "record_size": 32,
    }
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encoded(metadata))
    return path


def _pointer(side: Any, count: int) -> bytes:
    if side == _EMPTY:
        return struct.pack(">I", count)
    return struct.pack(">I", side if isinstance(side, int) else count + 16 + side[1])


def _encoded(value: object, kind_of_number: int = 5) -> bytes:
    match value:
        case str():
            return _control(2, len(value.encode())) + value.encode()
        case int():
            size = (value.bit_length() + 7) // 8
            return _control(kind_of_number, size) + value.to_bytes(size, "big")
        case dict():
            members = [_encoded(key) + _encoded(one, _KIND_OF_NUMBER.get(key, 5)) for key, one in value.items()]
            return _control(7, len(value)) + b"".join(members)
        case list():
            return _control(11, len(value)) + b"".join(map(_encoded, value))
    raise TypeError(type(value))


def _control(kind: int, size: int) -> bytes:
    assert size < 29
    return bytes([kind << 5 | size]) if kind <= 7 else bytes([size, kind - 7])
