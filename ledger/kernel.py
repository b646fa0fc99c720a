"""The kernel: what is computed for every entry of the log, compiled where it can be.

`ledger.kernel_plain` is the definition and runs everywhere; `ledger.kernel_native` is built from
Cython when the project is installed with a C compiler at hand and gives the same bytes. Which of
the two serves is said by `KERNEL`, in a node's log and in its metrics. Nothing else imports either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.kernel_plain import EMPTY, HASH_BYTES, ITEM_BYTES, KEY_BITS, MANY, ONE, Signed

if TYPE_CHECKING:
    from ledger.kernel_plain import (
        KeyFilter,
        TopChange,
        TreeTop,
        append_peak,
        are_canonical,
        fold_bucket,
        fold_path,
        fold_peaks,
        hash_pairs,
        leaf_hash,
        leaf_hashes,
        node_hash,
        read_envelope,
        set_item,
        sha256,
        tagged_hash,
        tagged_hashes,
    )
else:
    try:
        from ledger import kernel_native as _kernel
    except ImportError:
        from ledger import kernel_plain as _kernel
    KeyFilter = _kernel.KeyFilter
    TopChange = _kernel.TopChange
    TreeTop = _kernel.TreeTop
    append_peak = _kernel.append_peak
    are_canonical = _kernel.are_canonical
    fold_bucket = _kernel.fold_bucket
    fold_path = _kernel.fold_path
    fold_peaks = _kernel.fold_peaks
    hash_pairs = _kernel.hash_pairs
    leaf_hash = _kernel.leaf_hash
    leaf_hashes = _kernel.leaf_hashes
    node_hash = _kernel.node_hash
    read_envelope = _kernel.read_envelope
    set_item = _kernel.set_item
    sha256 = _kernel.sha256
    tagged_hash = _kernel.tagged_hash
    tagged_hashes = _kernel.tagged_hashes

KERNEL: Final = sha256.__module__.removeprefix("ledger.kernel_") if sha256.__module__ else "native"
"""`native` or `plain`."""

__all__ = [
    "EMPTY",
    "HASH_BYTES",
    "ITEM_BYTES",
    "KEY_BITS",
    "KeyFilter",
    "KERNEL",
    "MANY",
    "ONE",
    "Signed",
    "TopChange",
    "TreeTop",
    "append_peak",
    "are_canonical",
    "fold_bucket",
    "fold_path",
    "fold_peaks",
    "hash_pairs",
    "leaf_hash",
    "leaf_hashes",
    "node_hash",
    "read_envelope",
    "set_item",
    "sha256",
    "tagged_hash",
    "tagged_hashes",
]
