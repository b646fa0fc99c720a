"""The node as a pure machine: replica, pool, chain, catch-up and certification in one order.

    for effect in driver.step(event, now_ms): perform(effect)

The replica decides about votes and knows only hashes; the driver gives it blocks to vote on
(`node.workbench`), fills its pool (`node.pool_admission`) and turns what it decides into effects.
Nothing here reads a clock, draws a number, opens a file or waits: time comes with each event, and
whatever must be durable before something is sent stands earlier in the list. The asyncio shell and
the simulator run this same code.

A decided block becomes one `CommitBlock`. The state here moves on when `Committed` says that it is
on disk, and not before, so a step never reads what is not there yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, assert_never

import msgspec

from consensus import actions as act
from consensus import events as ev
from consensus.messages import Decided, Message, Proposal, decode_message, encode_message
from consensus.replica import Replica
from consensus.timers import Timing
from contracts.execution import Candidate, Chain, ExecutedBlock
from genesis.document import Genesis
from ledger import tags
from ledger.block import compute_block_hash, decode_header
from ledger.equivocation import Equivocation
from ledger.hashing import tagged_hash
from ledger.refusal import Reason, Rejected
from ledger.signing import Signer, verify_signature
from ledger.transaction import Transaction
from ledger.votes import VerifySignature, decode_commit_certificate, encode_commit_certificate
from ledger.words import Words
from node.blocks import Limits
from node.catch_up import BlockSource, CatchUp, read_certified_block
from node.certification import Certification
from node.chain_tip import ChainTip
from node.convictions import Convictions
from node.effects import (
    Admitted,
    BroadcastFrame,
    CommitBlock,
    Committed,
    Effect,
    FetchEnvelopes,
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
from node.journal_record import decode_journal_record, encode_journal_record
from node.mempool import Mempool
from node.messages import (
    Blocks,
    BlocksBegin,
    Consensus,
    Cosigned,
    FetchBlocks,
    FetchChunk,
    FetchedProposal,
    FetchedTransactions,
    FetchManifest,
    FetchProposal,
    FetchSnapshots,
    FetchTransactions,
    Frame,
    PostQuantumCosigned,
    SnapshotChunk,
    SnapshotManifest,
    Snapshots,
    Status,
    Transactions,
    decode_frame,
)
from node.pool_admission import PoolAdmission
from node.recovery import SILENT_ALWAYS, Recovery, find_amnesia, find_stranger
from node.serving import (
    collect_blocks,
    find_envelopes,
    split_by_bytes,
    weigh_answer,
    whole_proposal,
)
from node.snapshot_serving import NoSnapshots, SnapshotAnswers
from node.undecided import Undecided
from node.workbench import Workbench

STATUS_INTERVAL_TICKS: Final = 40
"""Between status frames to every peer (2 s at 50 ms): how a lagging node notices."""

CONVICTION_INTERVAL_TICKS: Final = 10
PURGE_INTERVAL_TICKS: Final = 20
SPREAD_AGAIN_MS: Final = 20_000
"""A local transaction still waiting after this long is sent to everyone again."""

SPREAD_AGAIN_COUNT: Final = 200
SPREAD_ANEW_COUNT: Final = 4096
"""Local transactions that a peer is sent when it connects, the oldest: what it missed meanwhile, or
what this node has kept from before its start. About a block."""
SPREAD_ANEW_FRAMES: Final = 4
"""Frames that these may fill, 1 MiB each: large ones would fill all the room there is for what this
peer asks for, such as blocks, every time it connects."""

ANSWERS_PER_TICK_MAX: Final = 8
"""Answers that one peer is given in one tick, a large one counting as several (`node.serving`): 160
a second, or 80 MB. A peer that needs more is not behind but attacking. What it was given beyond
that it pays with the next ticks, in the first of which its newest request is answered."""


Request = (
    FetchTransactions | FetchProposal | FetchBlocks | FetchSnapshots | FetchManifest | FetchChunk
)
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
        snapshots: SnapshotAnswers = NoSnapshots(),  # noqa: B008 it has no state
    ) -> None:
        genesis = identity.genesis
        self.identity = identity
        self.chain = chain
        self.pool = Mempool() if pool is None else pool
        self.replica = Replica(
            own=identity.replica,
            validators=genesis.validators,
            chain_id=genesis.chain_id,
            signer=identity.signers.vote,
            verify_signature=verify,
            timing=timing,
        )
        self.certification = Certification(
            genesis,
            identity.replica,
            identity.signers.cosign,
            identity.signers.log,
            source.read_tile,
            verify,
            source.first_size,
        )
        self.convictions = Convictions(genesis, identity.replica, identity.signers.party)
        self.recovery = Recovery(genesis.validators, identity.replica, is_recovering)
        self.catch_up = CatchUp(len(genesis.validators), identity.replica)
        self._tip = ChainTip(genesis.validators.quorum)
        self.bench = Workbench(
            chain,
            self.pool,
            Limits(
                genesis.parameters.block_transactions_max,
                genesis.parameters.block_bytes_max,
                genesis.rule_pack.version,
            ),
            identity.replica,
            self._say,
        )
        self.halted: Words | None = None
        """Why this node stopped, once it has."""
        self._source = source
        self._verify = verify
        self._snapshots = snapshots
        self._connected: set[int] = set()
        self._committing: CommitBlock | None = None
        self._admission = PoolAdmission(chain, self.pool, self._say)
        self._has_new_evidence = False
        self._record = b""
        self._cosigned_size = 0
        self._journal_height = 0
        """Height that the journal on disk says this node had come to; never below the chain's."""
        self._certificate = b""
        self._answered: dict[int, int] = {}
        self._unanswered: dict[int, Request] = {}
        self._ticks = 0
        self._now_ms = 0
        self._effects: list[Effect] = []

    @property
    def connected_count(self) -> int:
        """Peers this node is connected to."""
        return len(self._connected)

    @property
    def is_far_behind(self) -> bool:
        """Say whether relayed transactions are of no use yet.

        Most of them stand in the decided blocks this node is about to fetch, and their signatures
        would cost it more than those blocks do. A proposal asks for what it lacks.
        """
        return self.catch_up.is_far(self.chain.header.height)

    @property
    def tip_height(self) -> int | None:
        """The newest height proven to be decided anywhere; None while too few have told theirs."""
        own = self.chain.header.height
        return max(own, self.catch_up.target) if self._tip.is_known else None

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        """Take one event at this node's clock `now_ms`; return what must be done, in order."""
        if self.halted:
            return []
        self._now_ms = now_ms
        self._tip.step(now_ms)
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
        if self._has_new_evidence:
            self._submit_convictions()
        return effects

    def is_recent(self, tx_id: bytes) -> bool:
        """Say whether a transaction was committed just now; False means nothing."""
        return self._admission.is_recent(tx_id)

    def is_known(self, tx_id: bytes) -> bool:
        """Say whether a transaction is on the chain already."""
        return self._source.transaction_height(tx_id) is not None

    def is_on_chain(self, transaction: Transaction) -> bool:
        """Say the same of a body that was read: by its reference, which is nearly always new.

        In a block held here: a reference is also known from before those a snapshot came with.
        """
        return self._admission.is_on_chain(transaction) and self.is_known(transaction.tx_id)

    def check_admission(self, candidate: Candidate) -> None:
        """Raise `Rejected` unless this can be promised, and the pool has room.

        The same rule a block is held to (`Executor.admit`), against the applied state
        and this node's clock, with time to spare; signatures come after, because they cost most.
        """
        skew_ms = self.identity.genesis.parameters.proposal_clock_skew_ms
        self._admission.check(candidate, self._now_ms, skew_ms)

    def may_admit_all(self, candidates: Sequence[Candidate]) -> bool:
        """Say whether all of these are new and `check_admission` has nothing against any."""
        skew_ms = self.identity.genesis.parameters.proposal_clock_skew_ms
        return self._admission.may_promise_all(candidates, self._now_ms, skew_ms)

    def is_on_trial(self, candidate: Candidate) -> bool:
        """Say whether a submission's record is so full of attempts that it is tried first."""
        return self._admission.is_on_trial(candidate)

    def check_attempt(self, candidate: Candidate, arriving: Undecided) -> None:
        """Raise `Rejected` for one more attempt on a record that is full of refused ones.

        For what has good signatures: it may be executed to know. See `node.attempts`.
        """
        self._admission.check_attempt(candidate, arriving, self._now_ms)

    # Start, time, peers

    def _start(self, event: Started) -> None:
        header = self.chain.header
        self.certification.open_height(header.height, header.log_size, self.chain.log.root())
        self._certificate = self._source.certificate(header.height) or b""
        if (note := self._source.checkpoint(header.height)) is not None:
            self.certification.resume(header.height, note)
        record = None
        if event.record is not None:
            record, self._cosigned_size, self._journal_height = decode_journal_record(event.record)
            self._record = record or b""
        genesis = self.identity.genesis
        flaw = find_stranger(record, genesis.chain_id, self.identity.replica) or find_amnesia(
            self._journal_height, header.height
        )
        if flaw and not self.recovery.is_active:
            self._halt(flaw)
            return
        pending = None if event.pending is None else self.bench.restore(event.pending)
        silent = SILENT_ALWAYS if self.recovery.is_active else 0
        self._drive(ev.Restored(record, pending, header, silent))
        self._cosign()
        self._certify(header.height)

    def _tick(self) -> None:
        self._ticks += 1
        self._answer_waiting()
        self._drive(ev.Tick(self._now_ms, self._admission.has_work))
        self._ask_for_missing()
        for verdict in self.bench.expire(self._ticks):
            self._drive(verdict)
        peer = self.catch_up.tick(self._connected)
        if peer is not None:
            self._send(peer, FetchBlocks(self.chain.header.height + 1))
        if self._ticks % CONVICTION_INTERVAL_TICKS == 0 and self.convictions:
            self._submit_convictions()
        if self._ticks % PURGE_INTERVAL_TICKS == 0:
            skew_ms = self.identity.genesis.parameters.proposal_clock_skew_ms
            self._admission.purge(self._now_ms, skew_ms)
        if self._ticks % STATUS_INTERVAL_TICKS == 0:
            self._effects.append(BroadcastFrame(self._status(), is_news=True))
            if self.certification.own is not None:
                self._broadcast(self.certification.own, is_bulk=True)
            old = self.pool.find_local_before(self._now_ms - SPREAD_AGAIN_MS, SPREAD_AGAIN_COUNT)
            self._spread(old)
            for height in self.certification.find_grown():
                note = self.certification.make_note(height)
                if note is not None:
                    self._emit(PutCheckpoint(height, note))

    def _change_peer(self, event: PeerChanged) -> None:
        if not event.is_connected:
            self._connected.discard(event.replica)
            self._tip.leave(event.replica)
            return
        self._connected.add(event.replica)
        self._send(event.replica, self._status())
        if self.certification.own is not None:
            self._send(event.replica, self.certification.own)
        kept = self.pool.local_candidates()[:SPREAD_ANEW_COUNT]
        groups = split_by_bytes(candidate.transaction.raw for candidate in kept)
        for group in islice(groups, SPREAD_ANEW_FRAMES):
            self._send(event.replica, Transactions(group), is_bulk=True)
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
            self._take(replica, frame)
        except Rejected as rejected:
            self._say(
                "warning",
                f"replica {replica} sent what is refused: {rejected} "
                f"第 {replica} 号副本发来的内容被拒绝，原因见前",
            )

    def _take(self, replica: int, frame: Frame) -> None:
        match frame:
            case Consensus():
                self._drive(ev.Received(decode_message(frame.payload), replica))
            case Transactions():
                if not self.is_far_behind:
                    self._emit(VerifyEnvelopes(frame.envelopes, replica))
            case FetchedTransactions():
                if self.bench.desk.is_waiting:
                    wanted = self.bench.desk.missing()
                    self._emit(VerifyEnvelopes(frame.envelopes, replica, wanted))
            case FetchedProposal():
                self._take_proposal(replica, frame)
            case Status():
                self._take_status(replica, frame)
            case Blocks():
                if self.catch_up.take(replica, frame.blocks, self.chain.header.height):
                    self._apply_next()
            case Cosigned():
                self._take_cosigned(replica, frame)
            case BlocksBegin():
                self._take_beginning(replica, frame.height)
            case Snapshots() | SnapshotManifest() | SnapshotChunk():
                pass  # answers to a node that joins, which has no driver yet (`node.joining`)
            case PostQuantumCosigned():
                pass  # kept beside the ledger (`node.post_quantum`)
            case _:
                self._answer(replica, frame)

    def _answer(self, replica: int, request: Request) -> None:
        if self._answered.get(replica, 0) >= ANSWERS_PER_TICK_MAX:
            self._unanswered[replica] = request
            return
        match request:
            case FetchTransactions():
                answers: list[Frame] = list(
                    find_envelopes(request.envelope_hashes, self.bench.find)
                )
            case FetchProposal():
                answers = self._find_proposal(request)
            case FetchBlocks():
                applied = self.chain.header.height
                blocks = collect_blocks(self._source, request.height, applied)
                answers = [] if blocks is None else [blocks]
            case FetchSnapshots() | FetchManifest() | FetchChunk():
                answers = [self._snapshots.answer(request)]
            case _:
                assert_never(request)
        weight = sum(map(weigh_answer, answers)) or 1
        self._answered[replica] = self._answered.get(replica, 0) + weight
        for frame in answers:
            self._send(replica, frame, is_bulk=True)

    def _answer_waiting(self) -> None:
        """A tick passed: peers may ask again, and what waited of theirs is answered."""
        self._answered = {
            replica: count - ANSWERS_PER_TICK_MAX
            for replica, count in self._answered.items()
            if count > ANSWERS_PER_TICK_MAX
        }
        waiting, self._unanswered = self._unanswered, {}
        for replica, request in waiting.items():
            self._answer(replica, request)

    def _find_proposal(self, request: FetchProposal) -> list[Frame]:
        prepared = self.bench.desk.find_prepared(request.block_hash)
        return [] if prepared is None else [whole_proposal(*prepared)]

    def _take_proposal(self, replica: int, frame: FetchedProposal) -> None:
        if not self.bench.desk.is_fetching(compute_block_hash(frame.header)):
            return
        proposal = Proposal(
            frame.header,
            b"".join([tagged_hash(tags.ENVELOPE, raw) for raw in frame.envelopes]),
            frame.leaf_hashes,
        )
        self._emit(VerifyEnvelopes(frame.envelopes, replica))
        self._drive(ev.ProposalFetched(proposal.block_hash, proposal, replica))

    def _take_status(self, replica: int, status: Status) -> None:
        own = self.chain.header.height
        if status.wants_answer:
            # An answer asks for none, or two that recover would answer one another for ever.
            self._send(replica, msgspec.structs.replace(self._status(), wants_answer=False))
        if status.height > own or self.recovery.is_active:
            header = decode_header(status.header)
            if header.height != status.height:
                raise Rejected(Reason.WRONG_HEIGHT, f"status of height {status.height}")
            self._check_certified(status.header, status.height, status.certificate)
        if self.recovery.is_active:
            self._hear(replica, status.height)
        if status.height > own and self.catch_up.is_late(replica, status.height, own):
            self._begin_catch_up(status.height, replica)
        self._tip.hear(replica)

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
            f"signs nothing at heights up to {silent_through} "
            f"已恢复：法定多数的节点位于高度 {silent_through - 2} 或以下；"
            f"本节点在高度 {silent_through} 及以下不签名",
        )
        self._drive(ev.SilenceSet(silent_through))
        self._emit(RecoveryEnded())

    def _take_beginning(self, replica: int, first_height: int) -> None:
        """A peer began with a snapshot and holds no block before `first_height`."""
        wanted = self.chain.header.height + 1
        is_all = self.catch_up.lacks(replica, self._connected)
        if is_all is None:
            return
        if is_all:
            self._say(
                "error",
                f"no connected peer holds block {wanted}: each has begun with a snapshot after it; "
                "connect one that holds it, or let this node join by a snapshot "
                "(`evidence-ledger node join`) "
                f"已连接的节点均无区块 {wanted}：它们都自此后的快照开始；请连接存有该区块的节点，"
                "或使本节点以快照加入（`evidence-ledger node join`）",
            )
        else:
            self._say(
                "info",
                f"replica {replica} holds blocks from {first_height} on, and not block {wanted}",
            )

    def _take_cosigned(self, replica: int, frame: Cosigned) -> None:
        """A member's cosignature arrives, which tells where the member is as well."""
        self._take_cosignature(replica, frame)
        if frame.height <= self.chain.header.height + 1:
            self._tip.hear_again(replica)

    def _take_cosignature(self, replica: int, frame: Cosigned) -> None:
        doubt = self.certification.add(replica, frame, self.chain.header.height)
        if doubt is not None:
            if doubt.complaint:
                # Errors are never thinned out in the log, so a peer must not make them at will.
                self._say("error" if doubt.is_signed else "warning", doubt.complaint)
            for fork in doubt.evidence:
                self._report(fork)
        self._certify(frame.height)

    # The pool

    def _admit(self, event: Admitted) -> None:
        desk = self.bench.desk
        if desk.is_waiting:
            for candidate in event.candidates:
                desk.offer(candidate)
        fresh = self._admission.admit(event.candidates, self._now_ms, is_local=event.is_local)
        for envelope_hash, reason in event.rejected:
            desk.refuse(envelope_hash, reason)
        if fresh and event.is_local:
            self._spread(fresh)
        for verdict in self.bench.check_waiting():
            self._drive(verdict)

    def _spread(self, candidates: Sequence[Candidate]) -> None:
        for group in split_by_bytes(candidate.transaction.raw for candidate in candidates):
            self._broadcast(Transactions(group), is_bulk=True)

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
                return self.bench.build(action, self._now_ms)
            case act.CheckProposal():
                return self._check(action)
            case act.FetchProposal():
                self.bench.desk.fetch(action.block_hash)
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
                self._halt(
                    Words(
                        f"高度 {action.height}：区块已提交，但在本节点无法复现。"
                        f"原文：{action.detail}",
                        f"height {action.height}: {action.detail}",
                    )
                )
            case act.Note():
                self._say("warning" if action.is_warning else "info", action.text)
            case _:
                assert_never(action)
        return None

    def _persist(self, action: act.Persist) -> None:
        pending = action.pending
        raw = self.bench.pin(pending) if isinstance(pending, bytes) else pending
        self._record = action.record
        self._save(raw)

    def _save(self, pending: bytes | act.Keep | None) -> None:
        self._journal_height = self.chain.header.height + 1
        record = encode_journal_record(self._record, self._cosigned_size, self._journal_height)
        self._emit(SaveJournal(record, pending))

    def _check(self, action: act.CheckProposal) -> ev.Event | None:
        verdict = self.bench.check(action)
        if verdict is None:
            self._ask_for_missing()
        return verdict

    def _ask_for_missing(self) -> None:
        """Ask for envelopes that proposals lack."""
        if not self.bench.desk.is_waiting:
            return
        for peer, hashes in self.bench.desk.requests(self._ticks, sorted(self._connected)):
            if peer != self.identity.replica:
                self._emit(FetchEnvelopes(peer, hashes))

    def _decide(self, action: act.Decide) -> None:
        block = self.bench.find_executed(action.height, action.block_hash)
        if block is None:
            self._begin_catch_up(action.height, self.chain.validators.primary(action.height, 0))
            return
        self._commit(block, encode_commit_certificate(action.certificate))

    def _send_decided(self, action: act.SendDecided) -> None:
        raw = self._source.certificate(action.height)
        if raw:
            message = encode_message(_decided(raw))
            self._send(action.to_replica, Consensus(message))

    def _report(self, equivocation: Equivocation) -> None:
        """Owe evidence to the chain: it goes there as a transaction of this institution."""
        if not self.convictions.add(equivocation, self.chain, self._ticks):
            return
        convicted = self.identity.genesis.validators[equivocation.replica].id
        self._say(
            "error",
            f"validator {convicted} contradicted itself: {equivocation.slot} "
            f"验证节点 {convicted} 自相矛盾，证据将上链：{equivocation.slot}",
        )
        self._has_new_evidence = True

    def _submit_convictions(self) -> None:
        """Put what is owed to the chain into the pool, unless it waits there."""
        self._has_new_evidence = False
        chain_id = self.chain.chain_id
        candidates = [
            parse_relayed(raw, chain_id).candidate
            for raw in self.convictions.take_due(self.chain, self._ticks, self._now_ms)
        ]
        if candidates:
            self._admit(Admitted(candidates, [], is_local=True))

    # Blocks that are decided

    def _commit(self, block: ExecutedBlock, certificate: bytes) -> None:
        if self._committing is not None:
            return
        if self._journal_height < block.header.height:
            # Caught up without a vote: the journal hears of a height before the chain has it, so
            # that one which has not is an old one, put back.
            self._save(act.KEEP)
        self._committing = CommitBlock(block, certificate)
        self.bench.is_closed = True
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
        self.bench.block_applied()
        streams = [stream for stream, _ in block.stored]
        self._admission.block_applied([row.tx_id for row in block.rows], streams)
        self.convictions.block_applied(streams, self.chain, self._ticks)
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

    def _cosign(self) -> None:
        """Cosign the newest checkpoint, in order, once, and durably before it is sent."""
        header = self.chain.header
        silent_through = self.replica.silent_through_height
        if self.recovery.is_active or 0 < silent_through >= header.height:
            return
        if header.log_size < self._cosigned_size:
            return
        own = self.certification.own
        if own is not None and own.height == header.height:
            return
        # Rounded up: the time is read as a moment by which the tree existed.
        item = self.certification.cosign(header.height, -(-self._now_ms // 1000))
        self._cosigned_size = header.log_size
        self._save(act.KEEP)
        self._broadcast(item)
        self._certify(header.height)

    def _certify(self, height: int) -> None:
        note = self.certification.certify(height)
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
                self._say(
                    "warning",
                    f"replica {replica} gave a false block {height}: {rejected} "
                    f"第 {replica} 号副本给出的区块 {height} 是假的，原因见前",
                )
            peer = self.catch_up.give_up(replica, self._connected)
            if peer is not None:
                self._send(peer, FetchBlocks(height))
            return
        if isinstance(certified_block, str):
            self._halt(
                Words(
                    f"区块 {height} 已决定，但无法复现。原文：{certified_block}",
                    f"block {height} is decided and cannot be reproduced: {certified_block}",
                )
            )
            return
        self._commit(certified_block, certified.certificate)

    # Effects

    def _halt(self, reason: Words) -> None:
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
