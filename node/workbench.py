"""Where blocks of the next height are built and checked: the replica's `BuildProposal` and
`CheckProposal`, answered by executing.

A proposal names envelopes by hash; one that lacks some waits on the desk (`node.proposals`) until
they have come or can no longer come, and is then executed once. Nothing here votes, sends or
writes. While a decided block is being written the bench is closed: the state below is about to
move, and whatever is asked then is asked again after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from consensus import actions as act
from consensus import events as ev
from consensus.messages import Proposal
from contracts.execution import Candidate, Chain, ExecutedBlock
from ledger.refusal import Reason, Rejected
from node.blocks import Limits, build_block, check_block, proposal_of
from node.effects import Say
from node.intake import parse_relayed
from node.mempool import Mempool
from node.messages import FetchedProposal, decode_frame, encode_frame
from node.proposals import ProposalDesk
from node.serving import whole_proposal


class Workbench:
    """See the module's text."""

    def __init__(self, chain: Chain, pool: Mempool, limits: Limits, replica: int, say: Say) -> None:
        self.desk: Final = ProposalDesk()
        self.is_closed = False
        """Whether a decided block is being written."""
        self._chain = chain
        self._pool = pool
        self._limits = limits
        self._replica = replica
        self._say = say

    def block_applied(self) -> None:
        """Begin the next height with an empty desk."""
        self.desk.clear()
        self.is_closed = False

    def find(self, envelope_hash: bytes) -> Candidate | None:
        """Return a transaction that lies here or waits in the pool."""
        return self._pool.find_envelope(envelope_hash) or self.desk.find(envelope_hash)

    def _find_all(self, envelope_hashes: Sequence[bytes]) -> list[Candidate | None]:
        found = self._pool.find_envelopes(envelope_hashes)
        if all(found):
            return found
        return [
            candidate or self.desk.find(envelope_hash)
            for candidate, envelope_hash in zip(found, envelope_hashes, strict=True)
        ]

    def find_executed(self, height: int, block_hash: bytes) -> ExecutedBlock | None:
        """Return what executing a proposal gave, if it is of the next height."""
        return self.desk.find_executed(block_hash) if self._is_next(height) else None

    def build(self, action: act.BuildProposal, now_ms: int) -> ev.ProposalBuilt:
        """Build a block of what waits; what cannot be executed leaves the pool."""
        if self.is_closed or not self._is_next(action.height):
            return ev.ProposalBuilt(action.height, action.view, None)
        built = build_block(
            self._chain,
            self._pool.candidates(),
            self._limits,
            replica=self._replica,
            now_ms=now_ms,
            batch_divisor=action.batch_divisor,
        )
        for tx_id, rejected in built.dropped:
            if not self._may_wait(tx_id, rejected):
                self._pool.remove([tx_id])
                self._say("debug", f"transaction {tx_id.hex()} leaves the pool: {rejected}")
        for failure in built.poisoned:
            self._pool.quarantine(failure.tx_id)
            self._say(
                "error", f"set aside, not proposed: {failure} 该交易执行时出错，已搁置，不再提议"
            )
        if not built.candidates and not action.allow_empty:
            return ev.ProposalBuilt(action.height, action.view, None)
        proposal = proposal_of(built.block, built.candidates)
        self.desk.keep(proposal, built.candidates, built.block)
        return ev.ProposalBuilt(action.height, action.view, proposal)

    def _may_wait(self, tx_id: bytes, rejected: Rejected) -> bool:
        """Say whether only this clock keeps a transaction out, and not the chain's time."""
        candidate = self._pool.get(tx_id)
        return (
            rejected.reason is Reason.STALE
            and candidate is not None
            and candidate.transaction.body.not_after >= self._chain.header.time_ms
        )

    def check(self, action: act.CheckProposal) -> ev.ProposalChecked | None:
        """Return the verdict on a proposal, or None while it waits for envelopes."""
        block_hash = action.proposal.block_hash
        if self.desk.find_executed(block_hash) is not None:
            return ev.ProposalChecked(action.height, action.view, block_hash, ev.Verdict.OK)
        if self.is_closed or not self._is_next(action.height):
            return ev.ProposalChecked(
                action.height, action.view, block_hash, ev.Verdict.UNAVAILABLE, "not that height"
            )
        self.desk.wait(action, self._find_all)
        return self._check_if_complete(block_hash)

    def check_waiting(self) -> Iterator[ev.ProposalChecked]:
        """Yield verdicts on the proposals whose envelopes have all come, or can no longer."""
        for block_hash in self.desk.waiting_hashes():
            verdict = self._check_if_complete(block_hash)
            if verdict is not None:
                yield verdict

    def expire(self, tick: int) -> Iterator[ev.ProposalChecked]:
        """Yield verdicts on the proposals that have waited too long."""
        for action in self.desk.expire(tick):
            yield ev.ProposalChecked(
                action.height,
                action.view,
                action.proposal.block_hash,
                ev.Verdict.UNAVAILABLE,
                "its envelopes could not be had from any peer",
            )

    def _check_if_complete(self, block_hash: bytes) -> ev.ProposalChecked | None:
        waiting = self.desk.find_waiting(block_hash)
        if waiting is None:
            return None
        action = waiting.action
        if waiting.refused is not None:
            self.desk.stop_waiting(block_hash)
            return ev.ProposalChecked(
                action.height,
                action.view,
                block_hash,
                ev.Verdict.INADMISSIBLE,
                str(waiting.refused),
            )
        candidates = waiting.candidates()
        if candidates is None:
            return None
        self.desk.stop_waiting(block_hash)
        if not self._is_next(action.height):
            return None
        checked = check_block(self._chain, action.proposal, candidates, self._limits)
        if checked.block is not None:
            self.desk.keep(action.proposal, candidates, checked.block)
        return ev.ProposalChecked(
            action.height, action.view, block_hash, checked.verdict, checked.detail
        )

    # The pending slot

    def pin(self, block_hash: bytes) -> bytes:
        """Return the bytes of an executed proposal for the pending slot, and keep it here too."""
        prepared = self.desk.find_prepared(block_hash)
        if prepared is None:
            raise LookupError(f"the bytes of block {block_hash.hex()} are not at hand")
        self.desk.pin(block_hash)
        return encode_frame(whole_proposal(*prepared))

    def restore(self, raw: bytes) -> Proposal:
        """Read the pending slot this node itself wrote; its signatures were verified then."""
        stored = decode_frame(raw)
        if not isinstance(stored, FetchedProposal):
            raise Rejected(Reason.MALFORMED, "pending slot: not a proposal")
        candidates = [
            parse_relayed(envelope, self._chain.chain_id).candidate for envelope in stored.envelopes
        ]
        self.desk.stash(candidates)
        return Proposal(
            stored.header,
            b"".join([candidate.transaction.envelope_hash for candidate in candidates]),
            stored.leaf_hashes,
        )

    def _is_next(self, height: int) -> bool:
        return height == self._chain.header.height + 1
