"""What this node gives to peers that ask: envelopes, prepared proposals, decided blocks.

Each answer is bounded in bytes; a peer that needs more asks again from where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, takewhile
from typing import Final

from consensus.messages import Proposal
from contracts.execution import Candidate
from node.blocks import split_hashes
from node.catch_up import BlockSource
from node.messages import (
    BLOCKS_BYTES_MAX,
    BLOCKS_MAX,
    FETCHED_BYTES_MAX,
    GOSSIP_BYTES_MAX,
    Blocks,
    BlocksBegin,
    CertifiedBlock,
    FetchedProposal,
    FetchedTransactions,
    Frame,
)
from storage.archive import NotMounted

ANSWER_WEIGHT_BYTES: Final = 512 * 1024
"""An answer counts once, and once more for each so many bytes: a chunk of a snapshot is one."""


def split_by_bytes(envelopes: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Group envelopes so that no group is larger than a gossip frame may be."""
    group: list[bytes] = []
    size = 0
    for raw in envelopes:
        if group and size + len(raw) > GOSSIP_BYTES_MAX:
            yield group
            group, size = [], 0
        group.append(raw)
        size += len(raw)
    if group:
        yield group


def find_envelopes(
    hashes: bytes, find: Callable[[bytes], Candidate | None]
) -> Iterator[FetchedTransactions]:
    """Yield the frames that answer a request for envelopes: those of them that are here.

    Each is given once, however often it is named, and no more of them than fit in a block.
    """
    found = (find(envelope_hash) for envelope_hash in dict.fromkeys(split_hashes(hashes)))
    raws = [candidate.transaction.raw for candidate in found if candidate is not None]
    sizes = takewhile(FETCHED_BYTES_MAX.__ge__, accumulate(map(len, raws)))
    for group in split_by_bytes(raw for raw, _ in zip(raws, sizes, strict=False)):
        yield FetchedTransactions(group)


def weigh_answer(frame: Frame) -> int:
    """Return as how many answers a frame counts."""
    match frame:
        case Blocks():
            size = sum([len(entry) for block in frame.blocks for entry in block.entries])
        case FetchedProposal() | FetchedTransactions():
            size = sum(map(len, frame.envelopes))
        case _:
            size = 0
    return 1 + size // ANSWER_WEIGHT_BYTES


def collect_blocks(source: BlockSource, height: int, applied: int) -> Blocks | BlocksBegin | None:
    """Return decided blocks from `height` on, one at least and no more than fit; None above.

    Below the first block that can be read here the answer is which one that is.
    """
    if max(height, 1) < source.first_height:
        return BlocksBegin(source.first_height)
    blocks: list[CertifiedBlock] = []
    size = 0
    for at in range(max(height, 1), applied + 1):
        try:
            entries, certificate = source.block(at)
        except NotMounted as missing:
            return Blocks(blocks) if blocks else BlocksBegin(missing.held_from)
        size += sum([len(entry) for entry in entries])
        if blocks and (size > BLOCKS_BYTES_MAX or len(blocks) >= BLOCKS_MAX):
            break
        blocks.append(CertifiedBlock(list(entries), certificate))
    return Blocks(blocks) if blocks else None


def whole_proposal(proposal: Proposal, candidates: Sequence[Candidate]) -> FetchedProposal:
    """Return a proposal with its envelopes, as a peer fetches it and the pending slot holds it."""
    return FetchedProposal(
        proposal.header,
        proposal.leaf_hashes,
        [candidate.transaction.raw for candidate in candidates],
    )
