"""A small network's genesis, keys and timing, made from nothing but the number of nodes.

Keys come from fixed seeds, so every simulation of n nodes has the same trust root and the genesis
work is done once per process. What was signed here is remembered as validly signed, and every other
answer of libsodium by the whole triple: n nodes ask the same question n times.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import Final

from consensus.timers import Timing
from genesis.document import (
    Endpoints,
    Genesis,
    Institution,
    Keys,
    Name,
    Parameters,
    RulePack,
    encode_genesis,
    parse_genesis,
)
from ledger.hashing import sha256
from ledger.signing import SeedSigner, Signer, verify_signature
from node.driver import Signers
from sim.world import EPOCH_MS

TICK_MS: Final = 50
"""As in production (`node.shell.TICK_S`)."""

TIMING: Final = Timing(
    view_timeout_ticks=40,
    view_timeout_ticks_max=320,
    resend_interval_ticks=10,
    idle_interval_ticks=200,
    catch_up_interval_ticks=20,
    clock_skew_ms_max=10_000,
)
"""Production's, but for a cap of 16 s instead of 60 and an idle block after 10 s instead of 60: a
virtual second costs real time too."""

INTAKE_HEIGHTS: Final = 20
"""Heights that a receipt promises: fewer than production's 100, so that who is away for seconds can
miss them all; some two times those that are decided while a member's word of its height is good
(`node.chain_tip`)."""

REPLAY_WINDOW_MS: Final = 3_600_000
MEMORY_MAX: Final = 300_000
"""Signature checks, or signatures, that are remembered; at the bound all are forgotten."""

CENSORED_MERCHANT: Final = "m-2"
"""Whose transactions a censoring primary leaves out."""


class SignatureMemory:
    """Ed25519 verification that remembers its answers, and the signatures that were made here."""

    def __init__(self) -> None:
        self._answers: dict[tuple[bytes, bytes, bytes], bool] = {}
        self._signatures: dict[tuple[bytes, bytes], bytes] = {}

    def forget(self) -> None:
        """Forget everything: the next simulation hardly ever asks what the last one did."""
        self._answers.clear()
        self._signatures.clear()

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Return whether libsodium accepts the signature."""
        key = (public_key, message, signature)
        answer = self._answers.get(key)
        if answer is None:
            answer = verify_signature(public_key, message, signature)
            self.remember(public_key, message, signature, answer)
        return answer

    def remember(self, public_key: bytes, message: bytes, signature: bytes, answer: bool) -> None:
        """Keep an answer."""
        if len(self._answers) >= MEMORY_MAX:
            self._answers.clear()
        self._answers[public_key, message, signature] = answer

    def sign(self, signer: Signer, message: bytes) -> bytes:
        """Return the one Ed25519 signature on a message (RFC 8032 is deterministic)."""
        key = (signer.public_key, message)
        signature = self._signatures.get(key)
        if signature is None:
            if len(self._signatures) >= MEMORY_MAX:
                self._signatures.clear()
            signature = self._signatures[key] = signer.sign(message)
        self.remember(signer.public_key, message, signature, True)
        return signature


MEMORY: Final = SignatureMemory()
"""One for the process: signatures and answers are the same in every simulation."""


class RememberingSigner:
    """A signer whose signatures need no verification here: they are its own."""

    def __init__(self, name: str) -> None:
        self._signer = SeedSigner(sha256(name.encode()))
        self.public_key: Final = self._signer.public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature on a message."""
        return MEMORY.sign(self._signer, message)


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything that is fixed before a simulation begins."""

    genesis: Genesis
    signers: tuple[Signers, ...]


@cache
def make_signer(name: str) -> RememberingSigner:
    """Return the signer that belongs to a name."""
    return RememberingSigner(name)


@cache
def make_deployment(count: int, roles: tuple[str, ...] = ()) -> Deployment:
    """Return the deployment of so many nodes; those without a role are banks."""
    signers = tuple(
        Signers(*(make_signer(f"{i}/{use}") for use in ("vote", "cosign", "log", "party")))
        for i in range(count)
    )
    institutions = [
        _institution(i, signers[i], roles[i] if i < len(roles) else "bank") for i in range(count)
    ]
    raw = encode_genesis(
        network="simulation",
        time_ms=EPOCH_MS - 60_000,
        institutions=institutions,
        parameters=Parameters(
            block_bytes_max=1 << 20,
            block_transactions_max=64,
            idle_block_interval_ms=TIMING.idle_interval_ticks * TICK_MS,
            intake_heights=INTAKE_HEIGHTS,
            proposal_clock_skew_ms=TIMING.clock_skew_ms_max,
            reference_window_ms=10**10,
            replay_window_ms=REPLAY_WINDOW_MS,
            view_timeout_ms=TIMING.view_timeout_ticks * TICK_MS,
        ),
        rule_pack=RulePack("base", 1),
    )
    return Deployment(parse_genesis(raw), signers)


def _institution(number: int, signers: Signers, role: str) -> Institution:
    return Institution(
        district="futian",
        endpoints=Endpoints(f"https://127.0.0.1:{8000 + number}", f"127.0.0.1:{7000 + number}"),
        id=f"bank-{number}",
        keys=Keys(
            cosign=signers.cosign.public_key.hex(),
            log=signers.log.public_key.hex(),
            party=signers.party.public_key.hex(),
            vote=signers.vote.public_key.hex(),
        ),
        name=Name(f"Bank {number}", f"银行{number}"),
        role=role,
        tls_certificate=base64.b64encode(b"certificate %d" % number).decode(),
    )
