"""Two contradictory statements of a validator as a file, and ways in which they are none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgpack
import msgspec

from ledger.checkpoint import Checkpoint, cosign_checkpoint
from ledger.equivocation import (
    Amnesia,
    CheckpointFork,
    CosignedTree,
    ViewChangeEquivocation,
    VoteEquivocation,
    encode_equivocation,
)
from ledger.evidence import encode_equivocation_evidence
from ledger.merkle import compute_root, consistency_proof, leaf_hash
from ledger.refusal import Reason
from ledger.votes import (
    COMMIT,
    PREPARE,
    PreparedClaim,
    ViewClaim,
    Vote,
    compute_view_change_message,
    compute_vote_message,
)
from tests.verifier.mutating import flip, other_chain
from tests.verifier.small_chain import START_MS, SmallChain, busy_chain, edit, signer

A, B = bytes([1]) * 32, bytes([2]) * 32
HEIGHT = 4


def vote(
    block_hash: bytes,
    phase: int = COMMIT,
    view: int = 0,
    replica: int = 2,
    height: int = HEIGHT,
    chain: SmallChain | None = None,
    key: str = "vote",
) -> Vote:
    chain = chain or busy_chain()
    message = compute_vote_message(phase, chain.chain_id, height, view, block_hash)
    signature = signer(f"{chain.network} bank-{replica} {key}").sign(message)
    return Vote(phase, height, view, block_hash, replica, signature)


def change(
    claim: tuple[int, bytes] | None, view: int = 3, replica: int = 2, height: int = HEIGHT
) -> ViewClaim:
    chain = busy_chain()
    prepared = None if claim is None else PreparedClaim(*claim)
    message = compute_view_change_message(chain.chain_id, height, view, prepared)
    signature = signer(f"{chain.network} bank-{replica} vote").sign(message)
    return ViewClaim(height, view, prepared, replica, signature)


def cosigned(size: int, root: bytes, replica: int = 2) -> CosignedTree:
    chain = busy_chain()
    line = cosign_checkpoint(
        Checkpoint(chain.genesis.origin, size, root),
        f"{chain.genesis.origin}/bank-{replica}",
        signer(f"{chain.network} bank-{replica} cosign"),
        START_MS // 1000,
    )
    return CosignedTree(size, root, line.signature)


@functools.cache
def leaves() -> list[bytes]:
    return [leaf_hash(bytes([at])) for at in range(7)]


def make_votes() -> bytes:
    return encode_equivocation(VoteEquivocation.of(vote(A), vote(B)))


def make_claims() -> bytes:
    return encode_equivocation(ViewChangeEquivocation.of(change((1, A)), change(None)))


def make_amnesia() -> bytes:
    return encode_equivocation(Amnesia(vote(A, view=1), change(None)))


def make_fork() -> bytes:
    smaller, larger = cosigned(3, A), cosigned(7, compute_root(leaves()))
    prefix = compute_root(leaves()[:3])
    proof = tuple(consistency_proof(leaves(), 3))
    return encode_equivocation(
        CheckpointFork(2, busy_chain().genesis.origin, smaller, larger, prefix, proof)
    )


def lie(evidence: bytes) -> bytes:
    """The file of a piece of evidence."""
    return encode_equivocation_evidence(genesis=busy_chain().genesis.raw, evidence=evidence)


def votes(first: Vote, second: Vote) -> bytes:
    return lie(encode_equivocation(VoteEquivocation(first, second)))


def claims(first: ViewClaim, second: ViewClaim) -> bytes:
    return lie(encode_equivocation(ViewChangeEquivocation(first, second)))


def amnesia(commit: Vote, view_change: ViewClaim) -> bytes:
    return lie(encode_equivocation(Amnesia(commit, view_change)))


def spoilt(evidence: bytes, place: list[Any], value: Any) -> bytes:
    """The evidence with one field of its arrays replaced."""
    fields = msgpack.unpackb(evidence)
    inner = fields
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value(inner[place[-1]]) if callable(value) else value
    return lie(msgpack.packb(fields))


def equal_trees(first: bytes, second: bytes) -> bytes:
    one, other = cosigned(3, first), cosigned(3, second)
    return lie(
        encode_equivocation(
            CheckpointFork(2, busy_chain().genesis.origin, one, other, other.root, ())
        )
    )


def no_fork() -> bytes:
    prefix = compute_root(leaves()[:3])
    fork = CheckpointFork(
        2,
        busy_chain().genesis.origin,
        cosigned(3, prefix),
        cosigned(7, compute_root(leaves())),
        prefix,
        tuple(consistency_proof(leaves(), 3)),
    )
    return lie(encode_equivocation(fork))


FIELD, SIGNED, PROOF = Reason.BAD_FIELD, Reason.BAD_SIGNATURE, Reason.BAD_PROOF

MUTATIONS: dict[str, tuple[Callable[[], bytes], int, Reason]] = {
    "trailing-byte": (lambda: lie(make_votes()) + b"\n", 1, Reason.NOT_CANONICAL),
    "member-missing": (lambda: edit(lie(make_votes()), evidence=None), 1, FIELD),
    "member-added": (lambda: edit(lie(make_votes()), zz=1), 1, FIELD),
    "no-base64": (lambda: edit(lie(make_votes()), evidence="?"), 1, FIELD),
    "genesis-of-another-chain": (
        lambda: encode_equivocation_evidence(
            genesis=other_chain().genesis.raw, evidence=make_votes()
        ),
        2,
        Reason.WRONG_CHAIN,
    ),
    "evidence-empty": (lambda: lie(b""), 18, Reason.MALFORMED),
    "evidence-of-nothing": (lambda: lie(b"\x90"), 18, Reason.MALFORMED),
    "evidence-trailing-byte": (lambda: lie(make_votes() + b"\0"), 18, Reason.MALFORMED),
    "evidence-second-spelling": (
        lambda: lie(b"\x93\xcc\x01" + make_votes()[2:]),
        18,
        Reason.NOT_CANONICAL,
    ),
    "unknown-kind": (lambda: spoilt(make_votes(), [0], 5), 18, FIELD),
    "too-many-fields": (lambda: spoilt(make_votes(), [0], 4), 18, Reason.MALFORMED),
    "kind-of-view-changes": (lambda: spoilt(make_votes(), [0], 2), 18, Reason.MALFORMED),
    "votes-of-two": (lambda: votes(vote(A), vote(B, replica=1)), 18, FIELD),
    "votes-of-a-stranger": (
        lambda: votes(vote(A, replica=9), vote(B, replica=9)),
        18,
        Reason.NOT_A_VALIDATOR,
    ),
    "votes-of-two-views": (lambda: votes(vote(A), vote(B, view=1)), 18, FIELD),
    "votes-of-two-heights": (lambda: votes(vote(A), vote(B, height=5)), 18, FIELD),
    "votes-of-two-phases": (lambda: votes(vote(A), vote(B, phase=PREPARE)), 18, FIELD),
    "prepare-of-no-primary": (
        lambda: votes(vote(A, phase=0), vote(B, phase=PREPARE)),
        18,
        FIELD,
    ),
    "votes-for-one-block": (lambda: votes(vote(A), vote(A)), 18, FIELD),
    "votes-exchanged": (lambda: votes(vote(B), vote(A)), 18, Reason.NOT_CANONICAL),
    "vote-of-another-chain": (lambda: votes(vote(A), vote(B, chain=other_chain())), 18, SIGNED),
    "vote-with-another-key": (lambda: votes(vote(A), vote(B, key="log")), 18, SIGNED),
    "vote-signature-one-bit": (lambda: spoilt(make_votes(), [1, 5], flip), 18, SIGNED),
    "vote-block-one-bit": (lambda: spoilt(make_votes(), [2, 3], flip), 18, SIGNED),
    "vote-view-moved": (
        lambda: votes(
            msgspec.structs.replace(vote(A), view=1), msgspec.structs.replace(vote(B), view=1)
        ),
        18,
        SIGNED,
    ),
    "vote-phase-unknown": (lambda: spoilt(make_votes(), [1, 0], 3), 18, FIELD),
    "vote-height-zero": (lambda: spoilt(make_votes(), [1, 1], 0), 18, FIELD),
    "vote-view-huge": (lambda: spoilt(make_votes(), [1, 2], 1_000_001), 18, FIELD),
    "vote-hash-short": (lambda: spoilt(make_votes(), [1, 3], bytes(31)), 18, Reason.MALFORMED),
    "claims-the-same": (lambda: claims(change(None), change(None)), 18, FIELD),
    "claims-exchanged": (
        lambda: claims(change((1, A)), change(None)),
        18,
        Reason.NOT_CANONICAL,
    ),
    "claims-of-two-views": (lambda: claims(change(None), change((1, A), view=4)), 18, FIELD),
    "claims-of-two": (lambda: claims(change(None), change((1, A), replica=1)), 18, FIELD),
    "claim-of-a-later-view": (lambda: claims(change(None), change((3, A))), 18, FIELD),
    "claim-signature-one-bit": (lambda: spoilt(make_claims(), [1, 4], flip), 18, SIGNED),
    "claim-invented": (lambda: spoilt(make_claims(), [2, 2], [0, B]), 18, SIGNED),
    "commit-not-denied": (lambda: amnesia(vote(A, view=1), change((1, A))), 18, FIELD),
    "commit-and-a-later-view": (lambda: amnesia(vote(A, view=1), change((2, B))), 18, FIELD),
    "commit-after-the-change": (lambda: amnesia(vote(A, view=3), change(None)), 18, FIELD),
    "prepare-and-a-change": (
        lambda: amnesia(vote(A, phase=PREPARE, view=1), change(None)),
        18,
        FIELD,
    ),
    "commit-of-another-height": (
        lambda: amnesia(vote(A, view=1, height=5), change(None)),
        18,
        FIELD,
    ),
    "commit-signature-one-bit": (lambda: spoilt(make_amnesia(), [1, 5], flip), 18, SIGNED),
    "fork-that-is-none": (no_fork, 18, FIELD),
    "fork-of-another-log": (
        lambda: spoilt(make_fork(), [2], "other.example/0123456789abcdef"),
        18,
        Reason.WRONG_CHAIN,
    ),
    "fork-proof-cut": (lambda: spoilt(make_fork(), [6], lambda proof: proof[1:]), 18, PROOF),
    "fork-proof-one-bit": (lambda: spoilt(make_fork(), [6, 0], flip), 18, PROOF),
    "fork-prefix-one-bit": (lambda: spoilt(make_fork(), [5], flip), 18, PROOF),
    "fork-sizes-swapped": (lambda: spoilt(make_fork(), [3, 0], 8), 18, PROOF),
    "fork-root-one-bit": (lambda: spoilt(make_fork(), [3, 1], flip), 18, SIGNED),
    "fork-signature-one-bit": (lambda: spoilt(make_fork(), [4, 2], flip), 18, SIGNED),
    "fork-of-a-stranger": (lambda: spoilt(make_fork(), [1], 4), 18, Reason.NOT_A_VALIDATOR),
    "fork-of-another-validator": (lambda: spoilt(make_fork(), [1], 1), 18, SIGNED),
    "fork-of-one-tree": (lambda: equal_trees(A, A), 18, Reason.NOT_CANONICAL),
    "fork-in-the-wrong-order": (lambda: equal_trees(B, A), 18, Reason.NOT_CANONICAL),
}
