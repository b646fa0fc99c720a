"""What verifying a file costs, against the signature checks that it cannot do without.

The checks are those that the verifier made, each once: of every line of a checkpoint, of every
signer of every entry, of every commit of a certificate, of every post-quantum cosignature, of every
statement and receipt; a checkpoint or a batch's signature that stands in several places is one.
None of them could be left out, since a wrong one anywhere refuses the file. They are measured again
alone, with the same keys, messages and signatures. Both times are the processor's, and the least of
many turns taken alternately: what a neighbour on the machine takes is in neither, as far as that
goes.

    python -m bench.verifying FILE --genesis-hash HASH
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from nacl.bindings import crypto_sign_open

from ledger import signing
from ledger.post_quantum import Verify
from verifier import mldsa
from verifier.verify import verify_evidence

TURNS = 200
"""Times that a file and its signature checks are measured in turn, at most."""
SECONDS = 2.0
"""Turns of one file take no longer than about this."""
PROCESSES = 7
"""Fresh processes that are asked what their first file costs."""

Check = tuple[Verify, bytes, bytes, bytes]
"""How it is checked (Ed25519 or ML-DSA-44); public key, message, signature."""


@dataclass(frozen=True, slots=True)
class VerifyingResult:
    """Figures of verifying one file."""

    bytes: int
    checks: int
    """Signatures that had to be checked."""
    checks_us: float
    """Time of these checks alone."""
    verify_us: float
    """Time of verifying the file."""

    @property
    def ratio(self) -> float:
        """`verify_us` ÷ `checks_us`."""
        return self.verify_us / self.checks_us


def list_checks(raw: bytes, chain_id: bytes) -> list[Check]:
    """Return the signature checks that verifying this file makes, each once."""
    made: dict[Check, None] = {}
    verify_mldsa = mldsa.find_verify()

    def note(signed: bytes, public_key: bytes) -> bytes:
        signature, message = signed[: signing.SIGNATURE_BYTES], signed[signing.SIGNATURE_BYTES :]
        made[signing.verify_signature, public_key, message, signature] = None
        return crypto_sign_open(signed, public_key)

    def note_mldsa(public_key: bytes, message: bytes, signature: bytes) -> bool:
        assert verify_mldsa is not None, "it is offered only where it is there"
        made[verify_mldsa, public_key, message, signature] = None
        return verify_mldsa(public_key, message, signature)

    with (
        patch("ledger.signing.crypto_sign_open", note),
        patch(
            "verifier.post_quantum_step.find_verify",
            lambda: None if verify_mldsa is None else note_mldsa,
        ),
    ):
        report = verify_evidence(raw, chain_id)
    if not report.is_consistent:
        raise ValueError(f"the file does not verify: {report.failed}")
    return list(made)


def measure_verifying(raw: bytes, chain_id: bytes, turns: int = TURNS) -> VerifyingResult:
    """Measure one file in this process, after it has been verified once."""
    checks = list_checks(raw, chain_id)
    verify_s: list[float] = []
    checks_s: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(verify_s) < turns and (not verify_s or time.perf_counter() < end):
        verify_s.append(_time(lambda: verify_evidence(raw, chain_id)))
        checks_s.append(_time(lambda: make_checks(checks)))
    return VerifyingResult(len(raw), len(checks), min(checks_s) * 1e6, min(verify_s) * 1e6)


def measure_first(file: Path, chain_id: bytes) -> VerifyingResult:
    """Measure the file as the first of a fresh process; starting Python and importing not counted.

    The genesis document is read, and what an interpreter does at first use is done.
    """
    command = [sys.executable, "-m", "bench.verifying", str(file), "--genesis-hash", chain_id.hex()]
    found = []
    for _ in range(PROCESSES):
        told = subprocess.run([*command, "--first"], check=True, capture_output=True, text=True)
        size, checks, checks_us, verify_us = told.stdout.split()
        found.append(VerifyingResult(int(size), int(checks), float(checks_us), float(verify_us)))
    return min(found, key=lambda one: one.verify_us)


def make_checks(checks: Sequence[Check]) -> None:
    """Check these signatures and do nothing else."""
    for verify, public_key, message, signature in checks:
        if not verify(public_key, message, signature):
            raise ValueError("a signature that verified does not verify")


def _time(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def format_row(kind: str, one: VerifyingResult, first: VerifyingResult) -> str:
    """Return one row of the table in bench/README.md."""
    return (
        f"| {kind} | {one.bytes:,} | {one.checks} | {one.checks_us:,.0f} | {one.verify_us:,.0f} | "
        f"{one.ratio:.2f} | {first.verify_us:,.0f} | {first.verify_us / one.checks_us:.2f} |"
    )


HEAD = (
    "| file | bytes | signature checks | µs of these alone | µs to verify | ratio "
    "| µs as first file | ratio |\n|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Measure the file that is named."""
    parser = argparse.ArgumentParser(prog="python -m bench.verifying", description=__doc__)
    parser.add_argument("file", type=Path, help="an evidence file")
    parser.add_argument("--genesis-hash", type=bytes.fromhex, required=True)
    parser.add_argument("--first", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    raw, chain_id = arguments.file.read_bytes(), arguments.genesis_hash
    if arguments.first:
        importlib.import_module("verifier.law_steps")  # imported late; importing is not counted
        mldsa.find_verify()
        first_s = _time(lambda: verify_evidence(raw, chain_id))
        checks = list_checks(raw, chain_id)
        checks_s = _time(lambda: make_checks(checks))
        print(len(raw), len(checks), checks_s * 1e6, first_s * 1e6)
        return
    print(HEAD)
    one = measure_verifying(raw, chain_id)
    print(format_row(arguments.file.name, one, measure_first(arguments.file, chain_id)))


if __name__ == "__main__":
    main()
