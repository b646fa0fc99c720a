"""The running numbers of a merchant's devices: what was skipped, and what comes a second time.

A till or a reader of hard wallets numbers the receipts that it makes, whichever contract each is
about, and may hand them in late. So its numbers are kept once for all contracts of a merchant, in a
row of their own, `device/<merchant>/<device>`: a number that comes again is refused wherever it was
used before, a gap is a finding that a late receipt fills. Another merchant's device of the same
name is another device; one that is not named is the contract's own.
"""

from __future__ import annotations

from typing import Final

import msgspec

from contracts.events import DeviceEvent
from contracts.handling import Context, Refusal

RECORD_VERSION: Final = 1
DEVICE_PREFIX: Final = "device/"

WINDOW: Final = 64
"""Numbers below a device's highest that are told apart one by one: what RFC 6347 section 4.1.2.6
prefers for a window against replay."""


class DeviceRecord(msgspec.Struct, frozen=True, array_like=True, tag="device", gc=False):
    """What was seen of one device."""

    version: int
    highest: int
    window: int
    """Bit i: the number `highest - i` was seen."""


def device_row(merchant: str, device: str) -> str:
    """Return the name of a device's row, which no body can bear."""
    return f"{DEVICE_PREFIX}{merchant}/{device}"


def count_device(context: Context, merchant: str, data: DeviceEvent) -> list[tuple[str, int | str]]:
    """Note the number of a receipt, if its device gave it one; return what is to be said of it.

    A number seen before is refused as `counter_repeated`. One below the window cannot be told from
    a repeat and is a finding; so is a gap.
    """
    if not data.counter:
        return []
    row = device_row(merchant, data.device or context.stream)
    known = context.read(row)
    if not isinstance(known, DeviceRecord):
        context.write(row, DeviceRecord(RECORD_VERSION, data.counter, 1))
        return []
    ahead = data.counter - known.highest
    if ahead <= -WINDOW:
        return [("finding", "counter_below_window")]
    if ahead <= 0:
        bit = 1 << -ahead
        if known.window & bit:
            raise Refusal("counter_repeated", ("device", data.device), ("counter", data.counter))
        context.write(row, DeviceRecord(RECORD_VERSION, known.highest, known.window | bit))
        return []
    window = 1 if ahead >= WINDOW else (known.window << ahead | 1) & (2**WINDOW - 1)
    context.write(row, DeviceRecord(RECORD_VERSION, data.counter, window))
    return [] if ahead == 1 else [("finding", "counter_gap"), ("missing", ahead - 1)]
