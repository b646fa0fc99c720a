"""The node as a pure machine: replica, pool, chain, catch-up and certification in one order.

    for effect in driver.step(event, now_ms): perform(effect)

The replica decides about votes and knows only hashes; the driver gives it blocks to vote on and
turns what it decides into effects. Nothing here reads a clock, draws a number, opens a file or
waits: time comes with each event, and whatever must be durable before something is sent stands
earlier in the list. The asyncio shell and the simulator run this same code.

A decided block becomes one `CommitBlock`. The state here moves on when `Committed` says that it is
on disk, and not before, so a step never reads what is not there yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import msgspec

from consensus import actions as act
from consensus import events as ev
from consensus.messages import Decided, Message, Proposal, decode_message, encode_message
from consensus.replica import Replica
from consensus.timers import Timing
from contracts.equivocation import slot_name
from contracts.execution import Candidate, Chain, ExecutedBlock, check_keys, check_time
from contracts.parties import PARTY_PREFIX
from genesis.document import Genesis
from ledger import tags
from ledger.block import decode_header
from ledger.hashing import tagged_hash
from ledger.refusal import Reason, Rejected
from ledger.signing import Signer, verify_signature
from ledger.transaction import Transaction
from ledger.votes import (
    Equivocation,
    decode_commit_certificate,
    encode_commit_certificate,
)
from ledger.wire import StrictDecoder, encode
from node.blocks import Limits, build_block, check_block, proposal_of
from node.catch_up import BlockSource, CatchUp, read_certified_block
from node.certification import Certification
from node.convictions import make_conviction
from node.effects import (
    Admitted,
    BroadcastFrame,
    CommitBlock,
    Committed,
    Effect,
    FrameReceived,
    Halted,
    NodeEvent,
    PeerChanged,
    PutCheckpoint,
    RecoveryEnded,
    Said,
    SaveJournal,
    SendFrame,
    Started,
    Ticked,
    VerifyEnvelopes,
)
from node.intake import parse_relayed
from node.mempool import Mempool
from node.messages import (
    Blocks,
    Consensus,
    Cosigned,
    FetchBlocks,
    FetchedProposal,
    FetchedTransactions,
    FetchProposal,
    FetchTransactions,
    Frame,
    Status,
    Transactions,
    decode_frame,
    encode_frame,
)
from node.proposals import ProposalDesk
from node.recent_ids import RecentIds
from node.recovery import SILENT_ALWAYS, Recovery, find_amnesia
from node.serving import collect_blocks, find_envelopes, split_by_bytes, whole_proposal

STATUS_INTERVAL_TICKS: Final = 40
"""Between status frames to every peer (2 s at 50 ms): how a lagging node notices."""

PURGE_INTERVAL_TICKS: Final = 20
PURGE_COUNT: Final = 5_000
"""Waiting transactions looked at once a second, oldest first (1 ms)."""

SPREAD_AGAIN_MS: Final = 20_000
"""A local transaction still waiting after this long is sent to everyone again."""

SPREAD_AGAIN_COUNT: Final = 200

ANSWERS_PER_TICK_MAX: Final = 8
"""Requests of one peer that are answered in one tick: a peer that needs more than 160 answers a
second is not behind but attacking."""


REQUESTS: Final = (FetchTransactions, FetchProposal, FetchBlocks)
"""Frames that cost this node reading and sending."""


@dataclass(frozen=True, slots=True)
class Signers:
    """The institution's signing keys, each for its one purpose."""

    vote: Signer
    cosign: Signer
    log: Signer
    party: Signer


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is."""

    replica: int
    genesis: Genesis
    signers: Signers


VerifySignature = Callable[[bytes, bytes, bytes], bool]


class Driver:
    """See the module's text. `step` is the only way in."""

    def __init__(
        self,
        identity: Identity,
        chain: Chain,
        source: BlockSource,
        timing: Timing,
        *,
        pool: Mempool | None = None,
        is_recovering: bool = False,
        verify: VerifySignature = verify_signature,
    ) -> None:
        genesis = identity.genesis
        self.identity = identity
        self.chain = chain
        self.pool = pool or Mempool()
        self.replica = Replica(
            own=identity.replica,
            validators=genesis.validators,
            chain_id=genesis.chain_id,
            signer=identity.signers.vote,
            verify_signature=verify,
            timing=timing,
        )
        self.certification = Certification(
            genesis, identity.replica, identity.signers.cosign, identity.signers.log
        )
        self.recovery = Recovery(genesis.validators, identity.replica, is_recovering)
        self.catch_up = CatchUp(len(genesis.validators), identity.replica)
        self.desk = ProposalDesk()
        self.halted = ""
        """Why this node stopped, once it has."""
        self._source = source
        self._verify = verify
        self._limits = Limits(
            genesis.parameters.block_transactions_max,
            genesis.parameters.block_bytes_max,
            genesis.rule_pack.version,
        )
        self._connected: set[int] = set()
        self._committing: CommitBlock | None = None
        self._recent = RecentIds()
        self._valid_keys: set[tuple[str, bytes]] = set()
        """Keys found valid for the next height; forgotten with every block."""
        self._record = b""
        self._cosigned_size = 0
        self._journal_height = 0
        """Height that the journal on disk says this node had come to; never below the chain's."""
        self._certificate = b""
        self._answered: dict[int, int] = {}
        self._ticks = 0
        self._now_ms = 0
        self._effects: list[Effect] = []

    @property
    def connected_count(self) -> int:
        """Peers this node is connected to."""
        return len(self._connected)

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        """Take one event at this node's clock `now_ms`; return what must be done, in order."""
        if self.halted:
            return []
        self._now_ms = now_ms
        effects: list[Effect] = []
        self._effects = effects
        match event:
            case Started():
                self._start(event)
            case Ticked():
                self._tick()
            case FrameReceived():
                self._receive(event.replica, event.payload)
            case PeerChanged():
                self._change_peer(event)
            case Admitted():
                self._admit(event)
            case Committed():
                self._advance(event.height)
            case _:
                assert_never(event)
        return effects

    def is_recent(self, tx_id: bytes) -> bool:
        """Say whether a transaction was committed just now; False means nothing."""
        return tx_id in self._recent

    def is_known(self, tx_id: bytes) -> bool:
        """Say whether a transaction is on the chain already."""
        return self._source.transaction_height(tx_id) is not None

    def check_admission(self, candidate: Candidate) -> None:
        """Raise `Rejected` unless this could enter the next block, and the pool has room.

        The same rule a block is held to (`Executor.admit`), against the applied state
        and this node's clock; signatures come after, because they cost most.
        """
        self._check_valid(candidate.transaction)
        if candidate.transaction.tx_id not in self.pool:
            self.pool.check_room(candidate)

    def _check_valid(self, transaction: Transaction) -> None:
        time_ms = max(self._now_ms, self.chain.header.time_ms + 1)
        check_time(transaction, time_ms, self.chain.limits.replay_window_ms)
        check_keys(transaction, self.chain.header.height + 1, self.chain.party, self._valid_keys)

    # Start, time, peers

    def _start(self, event: Started) -> None:
        header = self.chain.header
        self.certification.open_height(header.height, header.log_size, self.chain.log.root())
        self._certificate = self._source.certificate(header.height) or b""
        record = None
        if event.record is not None:
            record, self._cosigned_size, self._journal_height = decode_node_record(event.record)
            self._record = record or b""
        amnesia = find_amnesia(self._journal_height, header.height)
        if amnesia and not self.recovery.is_active:
            self._halt(amnesia)
            return
        pending = None
        if event.pending is not None:
            pending = self._restore_pending(event.pending)
        silent = SILENT_ALWAYS if self.recovery.is_active else 0
        self._drive(ev.Restored(record, pending, header, silent))
        self._cosign()

    def _restore_pending(self, raw: bytes) -> Proposal:
        """Read the pending slot this node itself wrote; its signatures were verified then."""
        stored = decode_frame(raw)
        if not isinstance(stored, FetchedProposal):
            raise Rejected(Reason.MALFORMED, "pending slot: not a proposal")
        candidates = [
            parse_relayed(envelope, self.chain.chain_id).candidate for envelope in stored.envelopes
        ]
        self.desk.stash(candidates)
        return Proposal(
            stored.header,
            b"".join([candidate.transaction.envelope_hash for candidate in candidates]),
            stored.leaf_hashes,
        )

    def _tick(self) -> None:
        self._ticks += 1
        self._answered.clear()
        self._drive(ev.Tick(self._now_ms, len(self.pool) > 0))
        self._ask_for_missing()
        peer = self.catch_up.tick(self._connected)
        if peer is not None:
            self._send(peer, FetchBlocks(self.chain.header.height + 1))
        if self._ticks % PURGE_INTERVAL_TICKS == 0:
            self._purge()
        if self._ticks % STATUS_INTERVAL_TICKS == 0:
            self._broadcast(self._status(), is_bulk=True)
            if self.certification.own is not None:
                self._broadcast(self.certification.own, is_bulk=True)
            old = self.pool.find_local_before(self._now_ms - SPREAD_AGAIN_MS, SPREAD_AGAIN_COUNT)
            self._spread(old)

    def _purge(self) -> None:
        """Drop what no block may take any more: waiting for it would look like a silent primary."""
        skew_ms = self.identity.genesis.parameters.proposal_clock_skew_ms
        time_ms = max(self._now_ms - skew_ms, self.chain.header.time_ms)
        self.pool.remove(self.pool.find_stale(time_ms, PURGE_COUNT))

    def _change_peer(self, event: PeerChanged) -> None:
        if not event.is_connected:
            self._connected.discard(event.replica)
            return
        self._connected.add(event.replica)
        self._send(event.replica, self._status())
        if self.certification.own is not None:
            self._send(event.replica, self.certification.own)
        self._drive(ev.PeerConnected(event.replica))

    def _status(self) -> Status:
        return Status(
            self.chain.header.height,
            self.chain.header_bytes,
            self._certificate,
            self.recovery.is_active,
        )

    # Frames

    def _receive(self, replica: int, payload: bytes) -> None:
        try:
            frame = decode_frame(payload)
            if isinstance(frame, REQUESTS) and not self._may_answer(replica):
                return
            self._take(replica, frame)
        except Rejected as rejected:
            self._say("warning", f"replica {replica} sent what is refused: {rejected}")

    def _take(self, replica: int, frame: Frame) -> None:
        match frame:
            case Consensus():
                self._drive(ev.Received(decode_message(frame.payload)))
            case Transactions():
                self._emit(VerifyEnvelopes(frame.envelopes, replica, is_urgent=False))
            case FetchTransactions():
                self._answer_transactions(replica, frame.envelope_hashes)
            case FetchedTransactions():
                if self.desk.is_waiting:
                    self._emit(VerifyEnvelopes(frame.envelopes, replica, is_urgent=True))
            case FetchProposal():
                self._answer_proposal(replica, frame)
            case FetchedProposal():
                self._take_proposal(replica, frame)
            case Status():
                self._take_status(replica, frame)
            case FetchBlocks():
                self._answer_blocks(replica, frame.height)
            case Blocks():
                if self.catch_up.take(replica, frame.blocks, self.chain.header.height):
                    self._apply_next()
            case Cosigned():
                self._take_cosignature(replica, frame)
            case _:
                assert_never(frame)

    def _may_answer(self, replica: int) -> bool:
        """Count a peer's request; say whether it is still within what a tick allows."""
        count = self._answered.get(replica, 0) + 1
        self._answered[replica] = count
        return count <= ANSWERS_PER_TICK_MAX

    def _answer_transactions(self, replica: int, hashes: bytes) -> None:
        for frame in find_envelopes(hashes, self._find):
            self._send(replica, frame, is_bulk=True)

    def _answer_proposal(self, replica: int, frame: FetchProposal) -> None:
        prepared = self.desk.find_prepared(frame.block_hash)
        if prepared is not None:
            proposal, candidates = prepared
            self._send(replica, whole_proposal(proposal, candidates), is_bulk=True)

    def _take_proposal(self, replica: int, frame: FetchedProposal) -> None:
        proposal = Proposal(
            frame.header,
            b"".join([tagged_hash(tags.ENVELOPE, raw) for raw in frame.envelopes]),
            frame.leaf_hashes,
        )
        if not self.desk.is_fetching(proposal.block_hash):
            return
        self._emit(VerifyEnvelopes(frame.envelopes, replica, is_urgent=True))
        self._drive(ev.ProposalFetched(proposal.block_hash, proposal, replica))

    def _take_status(self, replica: int, status: Status) -> None:
        own = self.chain.header.height
        if status.wants_answer:
            self._send(replica, self._status())
        if status.height > own or self.recovery.is_active:
            header = decode_header(status.header)
            if header.height != status.height:
                raise Rejected(Reason.WRONG_HEIGHT, f"status of height {status.height}")
            self._check_certified(status.header, status.height, status.certificate)
        if self.recovery.is_active:
            self._hear(replica, status.height)
        if status.height > own:
            self._begin_catch_up(status.height, replica)

    def _check_certified(self, header: bytes, height: int, raw: bytes) -> None:
        if height == 0:
            return
        certificate = decode_commit_certificate(raw)
        genesis = self.identity.genesis
        certificate.verify(genesis.validators, genesis.chain_id, self._verify)
        if certificate.block_hash != tagged_hash(tags.BLOCK, header):
            raise Rejected(Reason.BAD_PROOF, f"status of height {height}: another block's votes")

    def _hear(self, replica: int, height: int) -> None:
        silent_through = self.recovery.hear(replica, height)
        if silent_through is None:
            return
        self._say(
            "warning",
            f"recovered: a quorum of peers is at height {silent_through - 2} or below; this node "
            f"signs nothing at heights up to {silent_through}",
        )
        self._drive(ev.SilenceSet(silent_through))
        self._emit(RecoveryEnded())

    def _answer_blocks(self, replica: int, height: int) -> None:
        blocks = collect_blocks(self._source, height, self.chain.header.height)
        if blocks is not None:
            self._send(replica, blocks, is_bulk=True)

    def _take_cosignature(self, replica: int, frame: Cosigned) -> None:
        complaint = self.certification.add(replica, frame, self.chain.header.height)
        if complaint is not None:
            self._say("error", complaint)
        self._certify(frame.height)

    # The pool

    def _admit(self, event: Admitted) -> None:
        fresh: list[Candidate] = []
        is_awaited = self.desk.is_waiting
        for candidate in event.candidates:
            if is_awaited:
                self.desk.offer(candidate)
            transaction = candidate.transaction
            if transaction.tx_id in self._recent:
                continue
            try:
                self._check_valid(transaction)
                if self.pool.add(candidate, is_local=event.is_local, now_ms=self._now_ms):
                    fresh.append(candidate)
            except Rejected as rejected:
                self._say("debug", f"transaction {transaction.tx_id.hex()}: {rejected}")
        for envelope_hash, reason in event.rejected:
            self.desk.refuse(envelope_hash, reason)
        if fresh and event.is_local:
            self._spread(fresh)
        self._check_waiting()

    def _spread(self, candidates: Sequence[Candidate]) -> None:
        for group in split_by_bytes(candidate.transaction.raw for candidate in candidates):
            self._broadcast(Transactions(group), is_bulk=True)

    def _find(self, envelope_hash: bytes) -> Candidate | None:
        return self.pool.find_envelope(envelope_hash) or self.desk.find(envelope_hash)

    # The replica

    def _drive(self, event: ev.Event) -> None:
        """Step the replica, and again for every answer its actions have at once."""
        waiting = [event]
        while waiting:
            for action in self.replica.step(waiting.pop(0)):
                answer = self._perform(action)
                if answer is not None:
                    waiting.append(answer)

    def _perform(self, action: act.Action) -> ev.Event | None:
        match action:
            case act.Persist():
                self._persist(action)
            case act.Broadcast():
                self._broadcast(_consensus(action.message))
            case act.Send():
                self._send(action.replica, _consensus(action.message))
            case act.BuildProposal():
                return self._build(action)
            case act.CheckProposal():
                return self._check(action)
            case act.FetchProposal():
                self.desk.fetch(action.block_hash)
                for replica in action.from_replicas:
                    self._send(replica, FetchProposal(action.height, action.block_hash))
            case act.Decide():
                self._decide(action)
            case act.CatchUp():
                self._begin_catch_up(action.height_hint, action.from_replica)
            case act.SendDecided():
                self._send_decided(action)
            case act.ReportEvidence():
                self._report(action.equivocation)
            case act.Halt():
                self._halt(f"height {action.height}: {action.detail}")
            case act.Note():
                self._say("info", action.text)
            case _:
                assert_never(action)
        return None

    def _persist(self, action: act.Persist) -> None:
        pending = action.pending
        raw: bytes | act.Keep | None
        if isinstance(pending, bytes):
            prepared = self.desk.find_prepared(pending)
            if prepared is None:
                raise LookupError(f"the bytes of block {pending.hex()} are not at hand")
            self.desk.pin(pending)
            raw = encode_frame(whole_proposal(*prepared))
        else:
            raw = pending
        self._record = action.record
        self._save(raw)

    def _save(self, pending: bytes | act.Keep | None) -> None:
        self._journal_height = self.chain.header.height + 1
        record = encode_node_record(self._record, self._cosigned_size, self._journal_height)
        self._emit(SaveJournal(record, pending))

    def _build(self, action: act.BuildProposal) -> ev.Event | None:
        if self._committing is not None or action.height != self.chain.header.height + 1:
            return ev.ProposalBuilt(action.height, action.view, None)
        built = build_block(
            self.chain,
            self.pool.candidates(),
            self._limits,
            replica=self.identity.replica,
            now_ms=self._now_ms,
            batch_divisor=action.batch_divisor,
        )
        self.pool.remove([tx_id for tx_id, _ in built.dropped])
        for tx_id, rejected in built.dropped:
            self._say("debug", f"transaction {tx_id.hex()} leaves the pool: {rejected}")
        for failure in built.poisoned:
            self.pool.quarantine(failure.tx_id)
            self._say("error", f"set aside, not proposed: {failure}")
        if not built.candidates and not action.allow_empty:
            return ev.ProposalBuilt(action.height, action.view, None)
        proposal = proposal_of(built.block, built.candidates)
        self.desk.keep(proposal, built.candidates, built.block)
        return ev.ProposalBuilt(action.height, action.view, proposal)

    def _check(self, action: act.CheckProposal) -> ev.Event | None:
        block_hash = action.proposal.block_hash
        if self.desk.find_executed(block_hash) is not None:
            return ev.ProposalChecked(action.height, action.view, block_hash, ev.Verdict.OK)
        if self._committing is not None or action.height != self.chain.header.height + 1:
            return ev.ProposalChecked(
                action.height, action.view, block_hash, ev.Verdict.UNAVAILABLE, "not that height"
            )
        self.desk.wait(action, self._find)
        verdict = self._check_if_complete(block_hash)
        if verdict is None:
            self._ask_for_missing()
        return verdict

    def _check_waiting(self) -> None:
        """Check the proposals whose envelopes have all arrived, or can no longer."""
        for block_hash in self.desk.waiting_hashes():
            verdict = self._check_if_complete(block_hash)
            if verdict is not None:
                self._drive(verdict)

    def _check_if_complete(self, block_hash: bytes) -> ev.Event | None:
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
        if action.height != self.chain.header.height + 1:
            return None
        checked = check_block(self.chain, action.proposal, candidates, self._limits)
        if checked.block is not None:
            self.desk.keep(action.proposal, candidates, checked.block)
        return ev.ProposalChecked(
            action.height, action.view, block_hash, checked.verdict, checked.detail
        )

    def _ask_for_missing(self) -> None:
        for peer, hashes in self.desk.requests(self._ticks, sorted(self._connected)):
            self._send(peer, FetchTransactions(hashes))
        for action in self.desk.expire(self._ticks):
            self._drive(
                ev.ProposalChecked(
                    action.height,
                    action.view,
                    action.proposal.block_hash,
                    ev.Verdict.UNAVAILABLE,
                    "its envelopes could not be had from any peer",
                )
            )

    def _decide(self, action: act.Decide) -> None:
        block = self.desk.find_executed(action.block_hash)
        if block is None or block.header.height != self.chain.header.height + 1:
            self._begin_catch_up(action.height, self.chain.validators.primary(action.height, 0))
            return
        self._commit(block, encode_commit_certificate(action.certificate))

    def _send_decided(self, action: act.SendDecided) -> None:
        raw = self._source.certificate(action.height)
        if raw:
            message = encode_message(_decided(raw))
            self._send(action.to_replica, Consensus(message))

    def _report(self, equivocation: Equivocation) -> None:
        """Submit the evidence as an ordinary transaction of this institution."""
        genesis = self.identity.genesis
        convicted = genesis.validators[equivocation.replica].id
        self._say(
            "error", f"validator {convicted} contradicted itself in {slot_name(equivocation)}"
        )
        raw = make_conviction(
            equivocation,
            genesis,
            self.chain.header,
            replica=self.identity.replica,
            party=self.identity.signers.party,
            now_ms=self._now_ms,
        )
        candidate = parse_relayed(raw, genesis.chain_id).candidate
        self._admit(Admitted([candidate], [], is_local=True))

    # Blocks that are decided

    def _commit(self, block: ExecutedBlock, certificate: bytes) -> None:
        if self._committing is not None:
            return
        if self._journal_height < block.header.height:
            # Caught up without a vote: the journal hears of a height before the chain has it, so
            # that one which has not is an old one, put back.
            self._save(act.KEEP)
        self._committing = CommitBlock(block, certificate)
        self._emit(self._committing)

    def _advance(self, height: int) -> None:
        """The block is on disk: move on to it and tell everyone."""
        done = self._committing
        if done is None or done.block.header.height != height:
            raise LookupError(f"height {height} was reported committed, and none was asked for")
        self._committing = None
        block = done.block
        self.chain.adopt(block)
        self._certificate = done.certificate
        tx_ids = [row.tx_id for row in block.rows]
        self.pool.remove(tx_ids)
        self._recent.add(tx_ids)
        self._valid_keys.clear()
        self._drop_revoked([stream for stream, _ in block.stored])
        self.desk.clear()
        self.certification.open_height(height, block.header.log_size, block.log.root())
        for replica, early in self.certification.take_early(height):
            self._take_cosignature(replica, early)
        is_behind = self.catch_up.has_blocks
        self._drive(ev.BlockApplied(block.header))
        if is_behind:
            self._apply_next()
        else:
            self._cosign()
            peer = self.catch_up.advance(height, self._connected)
            if peer is not None:
                self._send(peer, FetchBlocks(height + 1))

    def _drop_revoked(self, streams: Iterable[str]) -> None:
        """Drop what waits under keys that a block has just ended: no block may take it any more."""
        if not any(stream.startswith(PARTY_PREFIX) for stream in streams):
            return
        height = self.chain.header.height + 1
        lost = []
        for candidate in self.pool.candidates():
            transaction = candidate.transaction
            try:
                check_keys(transaction, height, self.chain.party, self._valid_keys)
            except Rejected as rejected:
                lost.append(transaction.tx_id)
                self._say("info", f"{transaction.tx_id.hex()} leaves the pool: {rejected}")
        self.pool.remove(lost)

    def _cosign(self) -> None:
        """Cosign the newest checkpoint, in order, once, and durably before it is sent."""
        header = self.chain.header
        silent_through = self.replica.silent_through_height
        if self.recovery.is_active or 0 < silent_through >= header.height:
            return
        if header.log_size < self._cosigned_size:
            return
        # Rounded up: the time is read as a moment by which the tree existed.
        item = self.certification.cosign(header.height, -(-self._now_ms // 1000))
        self._cosigned_size = header.log_size
        self._save(act.KEEP)
        self._broadcast(item)
        self._certify(header.height)

    def _certify(self, height: int) -> None:
        note = self.certification.make_note(height)
        if note is not None:
            self._emit(PutCheckpoint(height, note))

    # Catching up

    def _begin_catch_up(self, height: int, replica: int) -> None:
        peer = self.catch_up.begin(height, replica, self.chain.header.height, self._connected)
        if peer is not None:
            self._send(peer, FetchBlocks(self.chain.header.height + 1))

    def _apply_next(self) -> None:
        """Verify, execute and commit the next block a peer gave us."""
        if self._committing is not None:
            return
        item = self.catch_up.next_block()
        if item is None:
            return
        replica, certified = item
        height = self.chain.header.height + 1
        try:
            certified_block = read_certified_block(certified, self.chain, self._verify)
        except Rejected as rejected:
            if rejected.reason is Reason.WRONG_HEIGHT:  # decided here meanwhile: nobody's lie
                self._say("debug", f"replica {replica} gave an outdated block: {rejected}")
            else:
                self._say("warning", f"replica {replica} gave a false block {height}: {rejected}")
            peer = self.catch_up.give_up(replica, self._connected)
            if peer is not None:
                self._send(peer, FetchBlocks(height))
            return
        if isinstance(certified_block, str):
            self._halt(f"block {height} is decided and cannot be reproduced: {certified_block}")
            return
        self._commit(certified_block, certified.certificate)

    # Effects

    def _halt(self, reason: str) -> None:
        self.halted = reason
        self._emit(Halted(reason))

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def _say(self, level: str, text: str) -> None:
        self._effects.append(Said(level, text))

    def _send(self, replica: int, frame: object, *, is_bulk: bool = False) -> None:
        if replica != self.identity.replica:
            self._effects.append(SendFrame(replica, frame, is_bulk))  # type: ignore[arg-type]

    def _broadcast(self, frame: object, *, is_bulk: bool = False) -> None:
        self._effects.append(BroadcastFrame(frame, is_bulk))  # type: ignore[arg-type]


def _consensus(message: Message) -> Consensus:
    return Consensus(encode_message(message))


def _decided(raw: bytes) -> Decided:
    return Decided(decode_commit_certificate(raw))


class _NodeRecord(msgspec.Struct, frozen=True, array_like=True):
    replica: bytes
    cosigned_size: int
    height: int


_record_decoder = StrictDecoder(_NodeRecord, "journal record")


def encode_node_record(replica: bytes, cosigned_size: int, height: int) -> bytes:
    """Return what the journal holds: the replica's record, the largest size cosigned, and the
    height this node had come to: the one after its newest block, or the block it is applying."""
    return encode(_NodeRecord(replica, cosigned_size, height))


def decode_node_record(raw: bytes) -> tuple[bytes | None, int, int]:
    """Read a journal record; the replica's is None while it has never voted."""
    record = _record_decoder.decode(raw)
    return record.replica or None, record.cosigned_size, record.height
