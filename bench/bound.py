"""The physical bound: how many client signatures this machine can verify for n replicas.

Every replica verifies every individually signed transaction, so a machine that runs n replicas
cannot commit more of them than

    libsodium verifications per second and core × cores ÷ n

even if everything else were free. All cores are measured at once, because cores that share power
and caches are slower together than alone.
"""

from __future__ import annotations

import multiprocessing
import time
from typing import Final

from ledger.signing import SeedSigner, verify_signature

MESSAGE_BYTES: Final = 95
"""What a transaction's signature covers: tag, chain id, transaction id."""

SLICE: Final = 200


def measure_verifications(seconds: float) -> float:
    """Return the Ed25519 verifications per second of one core, measured for so long."""
    signer = SeedSigner(b"\x07" * 32)
    message = b"m" * MESSAGE_BYTES
    signature = signer.sign(message)
    key = signer.public_key
    count = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for _ in range(SLICE):
            verify_signature(key, message, signature)
        count += SLICE
    return count / (time.perf_counter() - begin)


def measure_bound(core_count: int, replica_count: int, seconds: float = 3.0) -> float:
    """Return the signature bound in transactions per second, with all cores busy."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(core_count) as pool:
        rates = pool.map(measure_verifications, [seconds] * core_count)
    return sum(rates) / replica_count
