"""A log of any size with its members' signatures, and a second history of it."""

from __future__ import annotations

from ledger.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from ledger.merkle import compute_root, consistency_proof, leaf_hash
from ledger.note import format_note
from node.certification import cosigner_keys
from sim.deployment import make_deployment

DEPLOYMENT = make_deployment(4)
GENESIS = DEPLOYMENT.genesis
TIME_S = 1_767_225_600


def leaves(size: int, fork_at: int | None = None) -> list[bytes]:
    """Return leaf hashes; from `fork_at` on those of another history."""
    return [
        leaf_hash(b"%d" % n if fork_at is None or n < fork_at else b"other %d" % n)
        for n in range(size)
    ]


def make_note(
    size: int, *, fork_at: int | None = None, cosigners: int = 3, origin: str = GENESIS.origin
) -> bytes:
    """Return a checkpoint with the signature of one log key and of some cosigners."""
    checkpoint = Checkpoint(origin, size, compute_root(leaves(size, fork_at)))
    lines = [sign_checkpoint(checkpoint, DEPLOYMENT.signers[0].log)]
    for key, signers in list(zip(cosigner_keys(GENESIS), DEPLOYMENT.signers, strict=True))[
        :cosigners
    ]:
        lines.append(cosign_checkpoint(checkpoint, key.name, signers.cosign, TIME_S))
    return format_note(checkpoint.text(), lines)


def prove(old: int, new: int, fork_at: int | None = None) -> list[bytes]:
    """Return the consistency proof between two sizes; none where there is nothing to prove."""
    return consistency_proof(leaves(new, fork_at), old) if 0 < old < new else []
