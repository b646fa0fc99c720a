"""Frames: what a peer may put into one is bounded in number before any of it is read."""

from __future__ import annotations

import msgspec
import pytest

from consensus.messages import PROPOSAL_TRANSACTIONS_MAX
from ledger.refusal import Reason, Rejected
from node.messages import (
    BLOCKS_MAX,
    ENTRIES_MAX,
    Blocks,
    CertifiedBlock,
    FetchedProposal,
    FetchedTransactions,
    FetchTransactions,
    Frame,
    Transactions,
    decode_frame,
    encode_frame,
)

MANY = [b""] * PROPOSAL_TRANSACTIONS_MAX


@pytest.mark.parametrize(
    ("largest", "larger"),
    [
        (Transactions(MANY), Transactions([*MANY, b""])),
        (FetchedTransactions(MANY), FetchedTransactions([*MANY, b""])),
        (FetchedProposal(b"", b"", MANY), FetchedProposal(b"", b"", [*MANY, b""])),
        (
            FetchTransactions(bytes(32 * PROPOSAL_TRANSACTIONS_MAX)),
            FetchTransactions(bytes(32 * PROPOSAL_TRANSACTIONS_MAX + 1)),
        ),
        (
            Blocks([CertifiedBlock([b""] * ENTRIES_MAX, b"")]),
            Blocks([CertifiedBlock([b""] * (ENTRIES_MAX + 1), b"")]),
        ),
        (
            Blocks([CertifiedBlock([], b"")] * BLOCKS_MAX),
            Blocks([CertifiedBlock([], b"")] * (BLOCKS_MAX + 1)),
        ),
    ],
    ids=["gossip", "envelopes", "proposal", "hashes", "entries", "blocks"],
)
def test_no_frame_holds_more_than_a_block_may(largest: Frame, larger: Frame) -> None:
    """Of empty envelopes, two bytes each, one frame held twelve million: a node had no memory for
    as many refusals."""
    assert msgspec.structs.astuple(decode_frame(encode_frame(largest))) == msgspec.structs.astuple(
        largest
    )
    with pytest.raises(Rejected) as caught:
        decode_frame(encode_frame(larger))
    assert caught.value.reason is Reason.MALFORMED
    assert "of length <= " in caught.value.detail
