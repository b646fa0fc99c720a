"""What counts as one client where clients are told apart by address alone.

A line has one IPv4 address and 2^64 of IPv6; this machine is one client, however it comes. Pure.
"""

from __future__ import annotations

import ipaddress
from typing import Final

LOOPBACK: Final = "loopback"


def group_of(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 that one IPv6 line gets."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            if ip.is_loopback:
                return LOOPBACK
            return str(ipaddress.IPv6Network((ip, 64), strict=False))
        ip = ip.ipv4_mapped
    return LOOPBACK if ip.is_loopback else str(ip)
