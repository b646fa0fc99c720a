"""Building a block as primary, and checking another's by executing it.

Both run the same executor over the same chain, so a correct primary's block passes every correct
replica's check. A primary leaves out what may not enter (and says so); a replica refuses the whole
block and names the first transaction at fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from consensus.events import Verdict
from consensus.messages import Proposal
from contracts.execution import (
    CHUNK,
    Candidate,
    Chain,
    ExecutedBlock,
    ExecutionFailed,
    Executor,
    Inadmissible,
    execute_block,
)
from ledger.block import Header, check_successor, decode_header
from ledger.hashing import HASH_BYTES
from ledger.refusal import Reason, Rejected


@dataclass(frozen=True, slots=True)
class Limits:
    """What one block may hold (genesis parameters) and the rule pack it runs under."""

    transactions_max: int
    bytes_max: int
    rule_pack_version: int


@dataclass(frozen=True, slots=True)
class Built:
    """A block this node proposes, and what it left out of it for good."""

    block: ExecutedBlock
    candidates: list[Candidate]
    dropped: list[tuple[bytes, Rejected]] = field(default_factory=list)
    poisoned: list[ExecutionFailed] = field(default_factory=list)


def proposal_of(block: ExecutedBlock, candidates: Sequence[Candidate]) -> Proposal:
    """Return what consensus sees of an executed block."""
    return Proposal(
        block.header_bytes,
        b"".join([candidate.transaction.envelope_hash for candidate in candidates]),
        b"".join(block.leaf_hashes[:-1]),
    )


def build_block(
    chain: Chain,
    waiting: Iterable[Candidate],
    limits: Limits,
    *,
    replica: int,
    now_ms: int,
    batch_divisor: int,
) -> Built:
    """Execute as many waiting transactions as the limits allow; the block may be empty.

    The header's time is this node's clock, or just after the parent's if the clock is behind.
    """
    executor = Executor(chain, max(now_ms, chain.header.time_ms + 1))
    count_left = limits.transactions_max // batch_divisor
    candidates: list[Candidate] = []
    dropped: list[tuple[bytes, Rejected]] = []
    poisoned: list[ExecutionFailed] = []
    fitting = _take_bytes(waiting, limits.bytes_max // batch_divisor)
    while chunk := list(islice(fitting, min(count_left, CHUNK))):
        admitted: list[Candidate] = []
        verdicts = executor.admit([candidate.transaction for candidate in chunk])
        for candidate, rejected in zip(chunk, verdicts, strict=True):
            if rejected is None:
                admitted.append(candidate)
            elif rejected.reason is not Reason.TOO_FAR_AHEAD:
                dropped.append((candidate.transaction.tx_id, rejected))
        failures = executor.execute(admitted)
        if failures:
            poisoned += failures
            ill = {failure.tx_id for failure in failures}
            admitted = [each for each in admitted if each.transaction.tx_id not in ill]
        candidates += admitted
        count_left -= len(admitted)
    block = executor.finish(replica, limits.rule_pack_version)
    return Built(block, candidates, dropped, poisoned)


def _take_bytes(waiting: Iterable[Candidate], bytes_max: int) -> Iterator[Candidate]:
    """Yield what waits until it is too many bytes; what is then left out counts too."""
    for candidate in waiting:
        bytes_max -= len(candidate.transaction.raw)
        if bytes_max < 0:
            return
        yield candidate


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on a proposal; the block only when it is `OK`."""

    verdict: Verdict
    detail: str
    block: ExecutedBlock | None


def check_block(
    chain: Chain, proposal: Proposal, candidates: Sequence[Candidate], limits: Limits
) -> Checked:
    """Execute a proposal on the applied state and compare every leaf hash and both roots."""
    try:
        header = decode_header(proposal.header)
        check_successor(chain.header, header)
        _check_shape(chain, header, proposal, candidates, limits)
    except Rejected as rejected:
        return Checked(Verdict.INADMISSIBLE, rejected.detail, None)
    checked = _execute(chain, header, proposal, candidates, limits)
    if checked.block is not None:
        return checked
    # What agrees in all leaf hashes and in the header agrees in the log's root too.
    claimed = split_hashes(proposal.leaf_hashes)
    if chain.log.extend(claimed).root() != header.log_root:
        return Checked(
            Verdict.BAD_BODY,
            f"the {len(claimed)} leaf hashes do not give log root {header.log_root.hex()}",
            None,
        )
    return checked


def _execute(
    chain: Chain,
    header: Header,
    proposal: Proposal,
    candidates: Sequence[Candidate],
    limits: Limits,
) -> Checked:
    try:
        block = execute_block(
            chain,
            header.time_ms,
            candidates,
            proposer=header.proposer,
            rule_pack_version=limits.rule_pack_version,
        )
    except Inadmissible as error:
        return Checked(Verdict.INADMISSIBLE, str(error), None)
    except ExecutionFailed as error:
        return Checked(Verdict.CANNOT_EXECUTE, str(error), None)
    return _compare(block, header, proposal)


def _compare(block: ExecutedBlock, header: Header, proposal: Proposal) -> Checked:
    here = block.leaf_hashes[:-1]
    if b"".join(here) != proposal.leaf_hashes:
        claimed = split_hashes(proposal.leaf_hashes)
        position = next(at for at, leaf in enumerate(claimed) if here[at] != leaf)
        outcome = block.outcomes[position]
        became = f"{outcome.status} {outcome.code}".rstrip()
        return Checked(
            Verdict.ENTRIES_DIFFER,
            f"transaction {position} ({block.rows[position].tx_id.hex()}) is the first that "
            f"differs: here it is {became} with leaf hash {here[position].hex()}, the proposal "
            f"has {claimed[position].hex()}",
            None,
        )
    if block.header.state_root != header.state_root:
        return Checked(
            Verdict.STATE_DIFFERS,
            f"all {len(here)} entries agree; the state root here is "
            f"{block.header.state_root.hex()}, the proposal has {header.state_root.hex()}",
            None,
        )
    if block.header_bytes != proposal.header:
        return Checked(
            Verdict.INADMISSIBLE,
            f"the header's fields differ: here {block.header}, the proposal has {header}",
            None,
        )
    return Checked(Verdict.OK, "", block)


def _check_shape(
    chain: Chain,
    header: Header,
    proposal: Proposal,
    candidates: Sequence[Candidate],
    limits: Limits,
) -> None:
    count = len(candidates)
    if not (
        header.count * HASH_BYTES == len(proposal.envelope_hashes) == len(proposal.leaf_hashes)
        and header.count == count
    ):
        raise Rejected(
            Reason.BAD_FIELD,
            f"header {header.height} counts {header.count} transactions; the proposal has "
            f"{len(proposal.envelope_hashes)} and {len(proposal.leaf_hashes)} bytes of hashes "
            f"and {count} envelopes",
        )
    if count > limits.transactions_max:
        raise Rejected(
            Reason.TOO_LARGE,
            f"block of {count} transactions; at most {limits.transactions_max} are allowed",
        )
    size = sum([len(candidate.transaction.raw) for candidate in candidates])
    if size > limits.bytes_max:
        raise Rejected(
            Reason.TOO_LARGE, f"block of {size} bytes; at most {limits.bytes_max} are allowed"
        )
    if not chain.validators.is_member(header.proposer):
        raise Rejected(Reason.NOT_A_VALIDATOR, f"proposer {header.proposer} is no replica number")


def split_hashes(raw: bytes) -> list[bytes]:
    """Return the 32-byte hashes that `raw` concatenates."""
    return [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]
