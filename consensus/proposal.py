"""Proposals: which may stand on the applied block, and the few whose bytes are at hand.

A header decides its block's hash; the two hash lists beside it do not enter that hash, so one block
hash can come with a wrong body. A body is therefore believed only after the driver executed it
(`OK`), and a refused body is forgotten while its hash stays acceptable from somebody else.
A block proposed again after a view change is the same bytes, its time included: the clock is asked
about fresh proposals only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from consensus.messages import PROPOSAL_TRANSACTIONS_MAX, Proposal
from ledger.block import Header, check_successor, decode_header
from ledger.hashing import HASH_BYTES
from ledger.refusal import Reason, Rejected
from ledger.validators import ValidatorSet

PROPOSALS_KEPT: Final = 4
"""Proposals of one height kept in memory: accepted now, prepared, decided and asked for; these can
be four different ones, and more are never needed at once."""


def check_proposal(proposal: Proposal, parent: Header, validators: ValidatorSet) -> Header:
    """Return the header if the proposal may stand on `parent`; raise `Rejected`.

    Execution, log root and state root are the driver's to check.
    """
    header = decode_header(proposal.header)
    check_successor(parent, header)
    name = f"proposal of height {header.height}"
    if header.validators_hash != validators.hash:
        raise Rejected(
            Reason.BAD_FIELD,
            f"{name}: validator set {header.validators_hash.hex()}, not {validators.hash.hex()}",
        )
    if not validators.is_member(header.proposer):
        raise Rejected(
            Reason.NOT_A_VALIDATOR,
            f"{name}: proposer {header.proposer} is not one of {len(validators)}",
        )
    if header.count > PROPOSAL_TRANSACTIONS_MAX:
        raise Rejected(
            Reason.TOO_LARGE,
            f"{name}: {header.count} transactions; at most {PROPOSAL_TRANSACTIONS_MAX} are allowed",
        )
    for what, hashes in (
        ("envelope", proposal.envelope_hashes),
        ("leaf", proposal.leaf_hashes),
    ):
        if len(hashes) != header.count * HASH_BYTES:
            raise Rejected(
                Reason.BAD_FIELD,
                f"{name}: {len(hashes)} bytes of {what} hashes for {header.count} transactions",
            )
    return header


def check_fresh(header: Header, primary: int, now_ms: int | None, skew_ms: int) -> None:
    """Raise `Rejected` unless a header may be proposed for the first time, now, by `primary`."""
    name = f"fresh proposal of height {header.height}"
    if header.proposer != primary:
        raise Rejected(
            Reason.BAD_FIELD, f"{name}: proposer {header.proposer}, but the primary is {primary}"
        )
    if now_ms is None:
        raise Rejected(Reason.TOO_FAR_AHEAD, f"{name}: this replica has not read its clock yet")
    if header.time_ms > now_ms + skew_ms:
        raise Rejected(
            Reason.TOO_FAR_AHEAD,
            f"{name}: time {header.time_ms} is more than {skew_ms} ms after this clock's {now_ms}",
        )


@dataclass(slots=True)
class HeldProposal:
    """A proposal whose bytes are at hand."""

    proposal: Proposal
    source: int
    """The replica that these bytes are said to come from, and that is asked for what they lack."""
    is_ok: bool
    """Whether the driver executed it and everything agreed."""
    checking_view: int | None = None
    """The view for which an answer of the driver is awaited; a verdict of another view is stale."""
    brought_by: int | None = None
    """Who passed the bytes on, if they stood in a proposal: its signature covers the block hash
    alone, so that anybody on the way may have changed them, and `source` does not answer for them.
    """

    def may_give_way(self, proposal: Proposal) -> bool:
        """Return whether another body for this block is to be tried instead of this one."""
        return self.brought_by is not None and not self.is_ok and self.proposal != proposal


class ProposalStore:
    """At most `PROPOSALS_KEPT` proposals of one height, one body per block hash."""

    def __init__(self) -> None:
        self._held: dict[bytes, HeldProposal] = {}

    def get(self, block_hash: bytes) -> HeldProposal | None:
        """Return the proposal with this block hash, if its bytes are at hand."""
        return self._held.get(block_hash)

    def hold(
        self, block_hash: bytes, held: HeldProposal, needed: Iterable[bytes]
    ) -> HeldProposal | None:
        """Keep a proposal, making room among those not in `needed`; None if there is no room.

        A body already held under this hash stays, and is returned.
        """
        present = self._held.get(block_hash)
        if present is not None:
            return present
        if len(self._held) >= PROPOSALS_KEPT:
            kept = set(needed)
            victims = [key for key in self._held if key not in kept]
            if not victims:
                return None
            del self._held[victims[0]]
        self._held[block_hash] = held
        return held

    def drop(self, block_hash: bytes) -> None:
        """Forget a body that was refused."""
        self._held.pop(block_hash, None)
