"""What counts as one client where clients are told apart by address alone."""

from __future__ import annotations

import pytest

from api.client_address import LOOPBACK, group_of


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("127.0.0.1", LOOPBACK),
        ("127.3.2.1", LOOPBACK),
        ("::1", LOOPBACK),
        ("::ffff:127.0.0.1", LOOPBACK),
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_one_address_is_what_one_subscriber_has(address: str, group: str) -> None:
    assert group_of(address) == group
