"""Taking in what clients submit: parse, admit, verify, make durable, promise.

The order is the order of cost and of honesty: what can be refused for nothing is refused first,
signatures come next, and a receipt is signed only when the transaction is on this node's disk
and in its pool. Everything that is promised together is synced together. A body that is already on
the chain is answered with its position, but only to an envelope whose signatures are good.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from api.ports import Accepted, Intake, Known, Position, Refused, Unavailable
from contracts.execution import Candidate, Chain, check_keys
from ledger.receipt import BatchReceipt, IntakeReceipt, sign_batch_receipt, sign_receipt
from ledger.refusal import Reason, Rejected
from ledger.words import Words
from node.driver import Driver
from node.effects import Admitted
from node.examiner import Examiner
from node.exceptions import describe_failure
from node.fair_turns import FairTurns
from node.intake import Parsed
from node.relayed import PART_COUNT, Relayed
from node.shell import Disk
from node.undecided import Arrivals
from storage.files import StorageFailure

IN_FLIGHT_MAX: Final = 20_000
"""Submitted transactions between arrival and pool; beyond it clients are told to come back."""

FEW_COUNT: Final = 16
"""Transactions in a request that take turns with other small ones and not behind the large."""

RELAYED_SHARE: Final = 0.5
"""Of the room: as much of it may be taken by what peers relay and nobody here has looked at yet."""

RETRY_AFTER_S: Final = 1
BLOCKS_WAITING_MAX: Final = 2
"""Blocks' worth of transactions in the pool, in number or in bytes, beyond which submissions wait
at the door: one being decided and one being gathered. More would only wait longer, and verifying
them would take the processor from deciding. What is promised has no more before it in this pool, so
it comes onto the chain with this node's own turns, whatever others hold."""

TIP_LOOK_S: Final = 0.05
"""Between two looks whether it is known how far the chain is: right after a start and no more."""

ROOM_WAIT_S: Final = 5.0
"""How long a submission waits for room, or for the others to tell how far the chain is, before its
client is told to come back."""

SUBMITTERS_MAX: Final = 10_000
PROMISES_MAX: Final = 200_000


@dataclass(slots=True)
class TokenBucket:
    """A submitter's quota: `rate_per_s` on average, `burst` at once."""

    rate_per_s: float
    burst: float
    level: float
    at_s: float

    def take(self, now_s: float) -> float:
        """Take one; return 0, or for how many seconds there is none to take.

        A clock that was set back takes nothing away: it goes on from there.
        """
        passed_s = max(now_s - self.at_s, 0.0)
        self.level = min(self.burst, self.level + passed_s * self.rate_per_s)
        self.at_s = now_s
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.rate_per_s


@dataclass(slots=True)
class Quota:
    """One bucket per submitter, bounded in number: the longest idle one is forgotten."""

    rate_per_s: float
    burst: float
    _buckets: dict[str, TokenBucket] = field(default_factory=dict)

    def take(self, submitter: str, now_s: float) -> float:
        """Take one of a submitter's; return 0, or the seconds until it may come back."""
        bucket = self._buckets.pop(submitter, None)
        if bucket is None:
            bucket = TokenBucket(self.rate_per_s, self.burst, self.burst, now_s)
            if len(self._buckets) >= SUBMITTERS_MAX:
                del self._buckets[next(iter(self._buckets))]
        self._buckets[submitter] = bucket
        return bucket.take(now_s)


class Source(enum.Enum):
    """Clients, as sources of work beside the peers (`node.fair_turns`)."""

    FEW = "few"
    MANY = "many"


class Surroundings(Protocol):
    """The shell, as intake needs it (`node.shell.Shell`)."""

    driver: Driver
    disk: Disk
    examiner: Examiner
    turns: FairTurns
    relayed: Relayed

    @property
    def chain(self) -> Chain:
        """The applied state."""

    @property
    def is_stopped(self) -> bool:
        """Say whether nothing happens any more."""

    def now_ms(self) -> int:
        """Return this node's clock, milliseconds since 1970."""

    def fail(self, reason: Words) -> None:
        """Stop at once."""

    async def perform(self, event: Admitted) -> None:
        """Have the driver step on it, and its effects performed; raise `StorageFailure`."""

    async def write_spool(self, work: Callable[[], None]) -> None:
        """Write to the spool, in the order of the calls; raise `StorageFailure`."""


class Submissions:
    """The intake of one node; see the module's text."""

    def __init__(
        self,
        shell: Surroundings,
        quota: Quota,
        position: Callable[[bytes], Position | None],
        count_refusal: Callable[[Reason], None],
    ) -> None:
        self._shell = shell
        self._quota = quota
        self._position = position
        self._count_refusal = count_refusal
        self._in_flight = 0
        self._entering = self._entering_bytes = 0
        parameters = shell.driver.identity.genesis.parameters
        self._room = BLOCKS_WAITING_MAX * parameters.block_transactions_max
        self._room_bytes = BLOCKS_WAITING_MAX * parameters.block_bytes_max
        self._at_the_door: list[asyncio.Future[None]] = []
        self._arrivals = Arrivals()
        self._promises: dict[bytes, tuple[int, int]] = {}
        self._waiting: list[tuple[list[Candidate], asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def submit(self, envelopes: Sequence[bytes]) -> list[Intake]:
        """Take in envelopes; one answer each, in order."""
        count, size = len(envelopes), sum(map(len, envelopes))
        if self._in_flight + count > IN_FLIGHT_MAX or not await self._enter(count, size):
            busy = Rejected(
                Reason.POOL_FULL,
                f"{self._in_flight} submitted transactions are being taken in; try again shortly",
                f"正在收录 {self._in_flight} 笔提交的交易，请稍后重试",
            )
            return [Refused(busy, None, RETRY_AFTER_S)] * count
        try:
            return await self._submit(envelopes)
        finally:
            self._entering -= count
            self._entering_bytes -= size
            self._open_the_door()

    def promise(self, tx_id: bytes) -> tuple[int, int] | None:
        """Return (received_ms, height_max) of a receipt this node gave."""
        return self._promises.get(tx_id)

    def settle(self, tx_ids: Sequence[bytes]) -> None:
        """Forget the promises that are kept, and let in whoever waited for room."""
        if self._promises:
            for tx_id in tx_ids:
                self._promises.pop(tx_id, None)
        self._arrivals.undecided.block_applied()
        self._open_the_door()

    def _open_the_door(self) -> None:
        """Let whoever waits look again whether there is room."""
        waiting, self._at_the_door = self._at_the_door, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)

    async def _enter(self, count: int, size: int) -> bool:
        """Wait until there is room for so many of `size` bytes together; return False when there is
        none in time."""
        self._in_flight += count
        try:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + ROOM_WAIT_S
            while not self._has_room(count, size):
                turn = loop.create_future()
                self._at_the_door.append(turn)
                # Not `wait_for`: in Python 3.11 it loses a cancellation as its turn comes.
                done, _ = await asyncio.wait([turn], timeout=deadline - loop.time())
                if not done:
                    return False
            self._entering += count
            self._entering_bytes += size
            return True
        finally:
            self._in_flight -= count

    def _has_room(self, count: int, size: int) -> bool:
        pool, relayed = self._shell.driver.pool, self._shell.relayed
        held, held_bytes = len(pool) + self._entering, pool.bytes + self._entering_bytes
        if held == 0:
            return True
        held += min(relayed.count, int(self._room * RELAYED_SHARE))
        held_bytes += min(relayed.bytes, int(self._room_bytes * RELAYED_SHARE))
        return held + count <= self._room and held_bytes + size <= self._room_bytes

    async def _submit(self, envelopes: Sequence[bytes]) -> list[Intake]:
        source = Source.MANY if len(envelopes) > FEW_COUNT else Source.FEW
        examined: list[Candidate | Intake] = []
        for begin in range(0, len(envelopes), PART_COUNT):
            async with self._shell.turns.turn(source):
                examined += await self._examine(envelopes[begin : begin + PART_COUNT])
        if any(isinstance(item, Candidate) for item in examined):
            await self._reach_tip()
        answers: list[Intake | None] = []
        fresh: dict[int, Candidate] = {}
        now_s = self._shell.now_ms() / 1000
        try:
            for at, item in enumerate(examined):
                if not isinstance(item, Candidate):
                    answers.append(item)
                    continue
                refusal = self._check_set_aside(item) or self._take_quota(item, now_s)
                if refusal is None and self._is_on_trial(item):
                    await asyncio.sleep(0)  # a trial is a turn of its own
                    refusal = self._check_attempt(item)
                    now_s = self._shell.now_ms() / 1000
                answers.append(refusal)
                if refusal is None:
                    fresh[at] = item
                    self._arrivals.begin(item.transaction)
            await self._make_durable(list(fresh.values()))
        finally:
            self._arrivals.end([each.transaction for each in fresh.values()])
        if fresh:
            await self._reach_tip()
        self._promise(fresh, answers)
        return [answer for answer in answers if answer is not None]

    async def _reach_tip(self) -> None:
        """Wait until this node is as far as the chain is proven to be anywhere: a promise counts
        from its own height, and from one behind may be broken as it is signed.

        Nor is counting from the others' height enough. Behind it, this node would take for good a
        key that has ended in between: a promise that cannot be kept, and no excuse, for one is
        excused by the keys that end after the height it counts from. Raises `Unavailable` where
        that is not in time.
        """
        loop, driver = asyncio.get_running_loop(), self._shell.driver
        deadline = loop.time() + ROOM_WAIT_S
        while (height := driver.tip_height) is None or height > self._shell.chain.header.height:
            if self._shell.is_stopped or loop.time() >= deadline:
                raise tip_unknown() if height is None else _behind(height)
            await asyncio.sleep(TIP_LOOK_S)

    async def _examine(self, raws: Sequence[bytes]) -> list[Candidate | Intake]:
        """Return of each what may go on, or its answer.

        Refused first is what the applied state refuses, before signatures are paid for.
        """
        shell = self._shell
        read = shell.examiner.parse_submitted(raws)
        found: list[Parsed | Refused] = []
        known: set[bytes] = set()
        parsed = [item for item in read if isinstance(item, Parsed)]
        if len(parsed) == len(read) and shell.driver.may_admit_all(
            [item.candidate for item in parsed]
        ):
            found += parsed
        else:
            for item in read:
                found.append(self._judge(item, known))
        _, bad = await shell.examiner.verify([each for each in found if isinstance(each, Parsed)])
        is_bad = {id(item) for item in bad}
        examined: list[Candidate | Intake] = []
        for each in found:
            if isinstance(each, Refused):
                examined.append(each)
            elif id(each) in is_bad:
                examined.append(self._refuse(_bad_signature(each.candidate), each.candidate))
            elif each.candidate.transaction.tx_id in known:
                examined.append(self._answer_known(each.candidate))
            else:
                examined.append(each.candidate)
        return examined

    def _judge(self, item: Parsed | Rejected, known: set[bytes]) -> Parsed | Refused:
        """Return what may go on, or why not; `known` gets the id of what is on the chain."""
        if isinstance(item, Rejected):
            return self._refuse(item, None)
        driver, candidate = self._shell.driver, item.candidate
        if driver.is_on_chain(candidate.transaction):
            known.add(candidate.transaction.tx_id)
            return item
        try:
            driver.check_admission(candidate)
        except Rejected as rejected:
            return self._refuse(rejected, candidate)
        return item

    def _answer_known(self, candidate: Candidate) -> Intake:
        """Return the position of a body on the chain, to whoever holds its signers' keys."""
        transaction = candidate.transaction
        position = self._position(transaction.tx_id)
        if position is None:
            raise LookupError(f"{transaction.tx_id.hex()} was on the chain a moment ago")
        try:
            check_keys(transaction, position.height, self._shell.chain.party, set())
        except Rejected as rejected:
            return self._refuse(rejected, candidate)
        return Known(position)

    def _take_quota(self, candidate: Candidate, now_s: float) -> Refused | None:
        transaction = candidate.transaction
        if transaction.tx_id in self._promises:
            return None
        submitter = transaction.body.signers[0]
        wait_s = self._quota.take(submitter, now_s)
        if not wait_s:
            return None
        rejected = Rejected(
            Reason.QUOTA_EXCEEDED,
            f"submitter {submitter} is over its {self._quota.rate_per_s:g} transactions a second",
            f"提交者 {submitter} 超过每秒 {self._quota.rate_per_s:g} 笔的配额",
        )
        self._count_refusal(rejected.reason)
        return Refused(rejected, transaction.tx_id, max(RETRY_AFTER_S, round(wait_s + 0.5)))

    def _check_set_aside(self, candidate: Candidate) -> Refused | None:
        """Refuse, before it takes room on the disk, what executing raised on and nobody here
        promised: no block of this node will hold it until the mistake is mended."""
        tx_id = candidate.transaction.tx_id
        if tx_id in self._promises or not self._shell.driver.pool.is_set_aside(tx_id):
            return None
        set_aside = Rejected(
            Reason.SET_ASIDE,
            f"transaction {tx_id.hex()} is set aside: executing it failed on this node, by a "
            "mistake of the software, and it is not taken in until that is mended",
            f"交易 {tx_id.hex()} 已搁置：本节点执行该交易时因软件缺陷出错，修复之前不再收录",
        )
        return self._refuse(set_aside, candidate)

    def _is_on_trial(self, candidate: Candidate) -> bool:
        """Say whether this is an attempt that may be one too many: not what is promised, waits or
        is decided already, which adds nothing to its record."""
        tx_id, driver = candidate.transaction.tx_id, self._shell.driver
        return driver.is_on_trial(candidate) and not (
            tx_id in self._promises
            or tx_id in self._arrivals
            or tx_id in driver.pool
            or driver.is_recent(tx_id)
        )

    def _check_attempt(self, candidate: Candidate) -> Refused | None:
        if not self._is_on_trial(candidate):
            return None
        try:
            self._shell.driver.check_attempt(candidate, self._arrivals.undecided)
        except Rejected as rejected:
            return self._refuse(rejected, candidate)
        return None

    async def _make_durable(self, candidates: list[Candidate]) -> None:
        """Spool, then pool; what arrives while the disk syncs shares the next sync."""
        fresh = [
            candidate for candidate in candidates if not self._is_kept(candidate.transaction.tx_id)
        ]
        if not fresh:
            return
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((fresh, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await done

    def _is_kept(self, tx_id: bytes) -> bool:
        """Say whether this is promised and still here: it may have left the pool since, under a key
        that ended, and come again under another."""
        driver = self._shell.driver
        return tx_id in self._promises and (
            tx_id in driver.pool or driver.is_recent(tx_id) or driver.pool.is_set_aside(tx_id)
        )

    async def _flush(self) -> None:
        """Make durable whatever waits, until nothing does."""
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                try:
                    await self._flush_together([each for group, _ in waiting for each in group])
                except Exception as error:  # a step that broke off, too, is told to who waits
                    for _, done in waiting:
                        if not done.done():
                            done.set_exception(error)
                    if not isinstance(error, StorageFailure):
                        raise
                else:
                    for _, done in waiting:
                        if not done.done():
                            done.set_result(None)
        finally:
            self._flushing = None

    async def _flush_together(self, candidates: list[Candidate]) -> None:
        spool = self._shell.disk.spool
        raws = [candidate.transaction.raw for candidate in candidates]
        try:
            await self._shell.write_spool(lambda: spool.append(raws))
        except Exception as error:  # whatever it is, who waits is answered
            reason = describe_failure(error)
            self._shell.fail(reason)
            if isinstance(error, StorageFailure):
                raise
            raise StorageFailure(reason.en, reason.zh) from error
        await self._shell.perform(Admitted(candidates, [], is_local=True))

    def _promise(self, fresh: dict[int, Candidate], answers: list[Intake | None]) -> None:
        """Answer what is durable now: one receipt each, or one for all that came together."""
        promised: dict[int, bytes] = {}
        for at, candidate in fresh.items():
            tx_id = candidate.transaction.tx_id
            driver = self._shell.driver
            if self._is_kept(tx_id) or tx_id in driver.pool or driver.is_recent(tx_id):
                promised[at] = tx_id
                continue
            known = self._position(tx_id)
            full = Rejected(
                Reason.POOL_FULL,
                "the pool filled up meanwhile; try again shortly",
                "交易池此间已满，请稍后重试",
            )
            answers[at] = self._refuse(full, candidate) if known is None else Known(known)
        if not promised:
            return
        now_ms = self._shell.now_ms()
        genesis = self._shell.driver.identity.genesis
        height_max = self._shell.chain.header.height + genesis.parameters.intake_heights
        if len(answers) > 1:
            receipt = self._sign_all(list(promised.values()), now_ms, height_max)
            for at, tx_id in promised.items():
                self._remember(tx_id, now_ms, height_max)
                answers[at] = Accepted(tx_id, receipt)
            return
        for at, tx_id in promised.items():
            answers[at] = Accepted(tx_id, self._sign(tx_id, now_ms, height_max))

    def _sign(self, tx_id: bytes, now_ms: int, height_max: int) -> IntakeReceipt:
        """Return the receipt of one transaction: asked again, the same promise again."""
        received_ms, height_max = self._remember(tx_id, now_ms, height_max)
        identity = self._shell.driver.identity
        return sign_receipt(
            identity.signers.party,
            identity.genesis.institutions[identity.replica].id,
            identity.genesis.chain_id,
            tx_id,
            received_ms=received_ms,
            height_max=height_max,
        )

    def _sign_all(self, tx_ids: list[bytes], now_ms: int, height_max: int) -> BatchReceipt:
        identity = self._shell.driver.identity
        return sign_batch_receipt(
            identity.signers.party,
            identity.genesis.institutions[identity.replica].id,
            identity.genesis.chain_id,
            tx_ids,
            received_ms=now_ms,
            height_max=height_max,
        )

    def _remember(self, tx_id: bytes, now_ms: int, height_max: int) -> tuple[int, int]:
        """Return the first promise made about a transaction, making it if there is none."""
        promise = self._promises.get(tx_id)
        if promise is None:
            if len(self._promises) >= PROMISES_MAX:
                del self._promises[next(iter(self._promises))]
            promise = self._promises[tx_id] = (now_ms, height_max)
        return promise

    def _refuse(self, rejected: Rejected, candidate: Candidate | None) -> Refused:
        self._count_refusal(rejected.reason)
        tx_id = None if candidate is None else candidate.transaction.tx_id
        is_later = rejected.reason in {Reason.POOL_FULL, Reason.QUOTA_EXCEEDED}
        return Refused(rejected, tx_id, RETRY_AFTER_S if is_later else None)


def tip_unknown() -> Unavailable:
    """Return what is said while it is not known how far the chain is."""
    return Unavailable(
        "too few members have told this node lately how far the chain is: it has just started, was "
        "stopped for a while, or is cut off; it promises nothing before",
        "最近告知本节点链高度的成员不足：本节点刚刚启动、曾停顿，或与其他成员断开；足数之前不作收录承诺",
    )


def _behind(height: int) -> Unavailable:
    return Unavailable(
        f"this node has not caught up with block {height}, which is decided; it promises nothing "
        "before",
        f"本节点尚未追上已决定的区块 {height}；追上之前不作收录承诺",
    )


def _bad_signature(candidate: Candidate) -> Rejected:
    transaction = candidate.transaction
    return Rejected(
        Reason.BAD_SIGNATURE,
        f"transaction {transaction.tx_id.hex()}: a signature of "
        f"{', '.join(transaction.body.signers)} does not verify for this chain",
        f"交易 {transaction.tx_id.hex()}：{'、'.join(transaction.body.signers)} 的签名之一对本链"
        "无法通过验证",
    )
