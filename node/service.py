"""What the API asks of a node, answered: `api.ports.LedgerService`.

Nothing is decided here; submissions and queries do the work, and this says how the node is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final, Literal

from api.ports import (
    BlockView,
    ContractView,
    DiskFailed,
    Intake,
    Level,
    NotFound,
    Pending,
    Position,
    StatusView,
    Unavailable,
)
from contracts.questions import read_question
from genesis.document import Genesis
from ledger.log import consistency_proof_from_tiles
from ledger.words import Words
from node.checkpoint_files import CheckpointFiles, F
from node.metrics import NodeMetrics
from node.platform_statements import PlatformStatements
from node.post_quantum_shelf import PostQuantumShelf, encode_answer
from node.proofs import Proofs
from node.queries import Queries
from node.schedules import Schedules
from node.shell import Shell
from node.submissions import Submissions, tip_unknown
from node.timestamp_shelf import TimestampShelf, encode_joined, encode_transaction_timestamps
from node.verification import VerifierUnavailable
from node.witness_shelf import WitnessShelf
from storage.files import Damaged, StorageFailure

VERSION: Final = "0.1.0"

Mode = Literal["starting", "normal", "catching_up", "recovering", "halted"]

DAMAGED_RETRY_AFTER_S: Final = 3600
"""A person has to bring the file back from a backup."""

LAG_HEIGHTS_MAX: Final = 20
"""A node this far behind the heights its peers prove is not ready for requests."""


class NodeService:
    """One node's answers."""

    def __init__(
        self,
        shell: Shell,
        submissions: Submissions,
        queries: Queries,
        metrics: NodeMetrics,
        stamped: TimestampShelf,
        witnessed: WitnessShelf,
        post_quantum: PostQuantumShelf,
        statements: PlatformStatements,
    ) -> None:
        self._shell = shell
        self._submissions = submissions
        self._queries = queries
        self._proofs = Proofs(shell, queries)
        self._schedules = Schedules(shell, queries)
        self._metrics = metrics
        self._stamped = stamped
        self._witnessed = witnessed
        self._post_quantum = post_quantum
        self._statements = statements
        self.is_closing = False

    @property
    def genesis(self) -> Genesis:
        """The chain's genesis document."""
        return self._shell.driver.identity.genesis

    @property
    def node_id(self) -> str:
        """Id of the institution that runs this node."""
        return self.genesis.institutions[self._shell.driver.identity.replica].id

    async def submit(self, envelopes: Sequence[bytes], client: str) -> Sequence[Intake]:
        """Take in envelopes; `client` is whom the log names."""
        try:
            return await self._submissions.submit(envelopes)
        except VerifierUnavailable as error:
            raise Unavailable(
                f"signatures cannot be checked just now: {error}",
                f"暂时无法验证签名：{error.detail_zh}",
            ) from error
        except StorageFailure as failure:
            # The shell has said which file; the node stops, and nothing was promised.
            raise DiskFailed from failure

    async def wait(self, tx_id: bytes, level: Level, timeout_s: float) -> Position | None:
        """Return the position once `level` is reached, None when the time is over."""
        if not await self._queries.wait_committed(tx_id, timeout_s):
            return None
        position = self._queries.position(tx_id)
        if position is None or level == "committed" or position.certified:
            return position
        if not await self._queries.wait_certified(position.height, timeout_s):
            return None
        return self._queries.position(tx_id)

    def position(self, tx_id: bytes) -> Position | Pending | None:
        """Return where a transaction is; raise `NotFound` where it may be on another node only."""
        found = self._queries.position(tx_id)
        if found is not None:
            return found
        promise = self._submissions.promise(tx_id)
        if promise is not None:
            return Pending(tx_id, promise[0], promise[1])
        if tx_id in self._shell.driver.pool:
            return Pending(tx_id, 0, 0)
        self._queries.check_absence(tx_id)
        return None

    def entry(self, tx_id: bytes) -> bytes | None:
        """Return a transaction's leaf data."""
        return self._queries.entry(tx_id)

    def contract(self, stream: str) -> ContractView | None:
        """Return a stream's committed value."""
        return self._queries.contract(stream)

    async def proof(self, tx_id: bytes) -> str:
        """Return a C2SP tlog-proof."""
        return await self._queries.proof(tx_id)

    async def receipt(self, tx_id: bytes) -> bytes:
        """Return a COSE Receipt of a transaction's entry."""
        return await self._queries.receipt(tx_id)

    def timestamps(self, size: int, *, is_joined: bool) -> bytes | None:
        """Return the first timestamped checkpoint of at least `size` entries with its tokens."""
        found = _find_kept(self._stamped, size)
        if found is None:
            return None
        file, raw = found
        if not is_joined:
            return raw
        self._require_log(file.size)
        return encode_joined(file, self._prove_growth(size, file.size))

    def witnesses(self, size: int) -> bytes | None:
        """Return the first witnessed checkpoint of at least `size` entries."""
        found = _find_kept(self._witnessed, size)
        return None if found is None else found[1]

    def post_quantum(self, size: int) -> bytes | None:
        """Return the first checkpoint of at least `size` entries with ML-DSA-44 cosignatures."""
        found = _find_kept(self._post_quantum, size)
        if found is None:
            return None
        file, _ = found
        return encode_answer(file, self._prove_growth(size, file.size))

    def transaction_timestamps(self, tx_id: bytes) -> bytes:
        """Return the first timestamped checkpoint that covers a transaction, with its proof."""
        index = self._queries.index(tx_id)
        found = _find_kept(self._stamped, index + 1)
        if found is None:
            raise NotFound(
                f"no timestamped checkpoint of this node covers entry {index} yet",
                f"本节点尚无覆盖条目 {index} 的、加盖时间戳的检查点",
            )
        file, raw = found
        self._require_log(file.size)
        proof = self._queries.prove_entry(index, file.note, file.size)
        return encode_transaction_timestamps(index, proof, raw)

    def _require_log(self, stamped_size: int) -> None:
        """Raise `Unavailable` on a node brought back from a backup, whose chain is behind it."""
        log_size = self._shell.chain.header.log_size
        if stamped_size > log_size:
            raise Unavailable(
                f"the timestamped checkpoint has {stamped_size} entries, and this node has caught "
                f"up with {log_size} of them",
                f"加盖时间戳的检查点有 {stamped_size} 个条目，本节点目前只追到其中 {log_size} 个",
            )

    def _prove_growth(self, older: int, newer: int) -> list[bytes]:
        """Return the consistency proof between two sizes; empty where it has nothing to join."""
        if not 0 < older < newer:
            return []
        return consistency_proof_from_tiles(older, newer, self._shell.disk.store.read_tile)

    async def evidence(self, tx_id: bytes) -> bytes:
        """Return a transaction's evidence file."""
        return await self._queries.evidence(tx_id)

    async def history(self, contract_id: str) -> bytes:
        """Return a contract's complete history."""
        return await self._queries.history(contract_id)

    async def record(self, contract_id: str, question: bytes) -> bytes:
        """Return the part of a contract's record that answers a question."""
        return await self._proofs.record(contract_id, read_question(question))

    async def state(self, stream: str) -> bytes:
        """Return the evidence of a stream's value, or of its absence."""
        return await self._proofs.state(stream)

    async def consistency(self, older_height: int, newer_height: int) -> bytes:
        """Return the evidence that the log only grew."""
        return await self._proofs.consistency(older_height, newer_height)

    async def equivocation(self, validator: str, number: int) -> bytes:
        """Return the evidence that a validator contradicted itself."""
        return await self._proofs.equivocation(validator, number)

    async def liabilities(self, contracts: Sequence[str], *, is_shown: bool) -> bytes:
        """Return the evidence that contracts are in their one merchant's total."""
        return await self._queries.liabilities(contracts, is_shown=is_shown)

    async def schedule(self, merchant: str, reader: str) -> AsyncGenerator[bytes, None]:
        """Return a merchant's schedule of claims, line by line."""
        return await self._schedules.schedule(merchant, reader)

    async def block(self, height: int) -> BlockView | None:
        """Return a decided block."""
        return await self._queries.block(height)

    def checkpoint(self) -> str | None:
        """Return the newest certified checkpoint."""
        return self._queries.checkpoint()

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return a tile of the certified tree."""
        return self._queries.tile(level, index, width)

    def entry_bundle(self, index: int, width: int) -> bytes | None:
        """Return entries of the certified tree."""
        return self._queries.entry_bundle(index, width)

    def status(self) -> StatusView:
        """Return how this node is."""
        driver = self._shell.driver
        chain = driver.chain
        header = chain.header
        validators = chain.validators
        mode, said = self._mode()
        view = driver.replica.view
        certified_height, certified_size = self._queries.find_certified()
        return StatusView(
            version=VERSION,
            mode=mode,
            detail=said.en,
            detail_zh=said.zh,
            height=header.height,
            block_hash=chain.header_hash,
            time_ms=header.time_ms,
            log_size=header.log_size,
            log_root=chain.log.root(),
            state_root=header.state_root,
            certified_height=certified_height,
            certified_size=certified_size,
            view=view,
            primary=validators.primary(header.height + 1, view),
            validator_count=len(validators),
            quorum=validators.quorum,
            peers_connected=driver.connected_count,
            pool_count=len(driver.pool),
            pool_bytes=driver.pool.bytes,
        )

    def platform(self) -> bytes:
        """Return the platform statement as of now; raise `Unavailable` right after a start."""
        made = self._statements.make(self.status(), is_ready=self.find_obstacle() is None)
        if made is None:
            raise Unavailable(
                "this node has just started and still reads its own source",
                "本节点刚刚启动，仍在读取自身的源代码",
                1,
            )
        return made

    def close(self) -> None:
        """The node is shutting down: nobody is sent here, and nobody waits for what is to come."""
        self.is_closing = True
        self._queries.end_waiting()

    def find_failure(self) -> Unavailable | None:
        """Return why the process does not work at all, None where it does."""
        if not self._shell.is_stopped:
            return None
        halted = self._shell.driver.halted
        if halted:
            return Unavailable(halted.en, f"节点已停止：{halted.zh}")
        return Unavailable("the node has stopped", "节点已停止")

    def find_obstacle(self) -> Unavailable | None:
        """Return why to send no requests here, None where they may come."""
        failure = self.find_failure()
        if failure is not None:
            return failure
        if self.is_closing:
            return Unavailable("the node is shutting down", "节点正在关闭")
        driver = self._shell.driver
        connected, quorum = driver.connected_count, driver.chain.validators.quorum
        if connected + 1 < quorum:
            return Unavailable(
                f"{connected} peers are connected; a quorum needs {quorum} institutions, this one "
                "included",
                f"已连接 {connected} 个其他节点；法定多数须有 {quorum} 家机构，本节点计算在内",
            )
        height, target = driver.chain.header.height, driver.catch_up.target
        if target - height > LAG_HEIGHTS_MAX:
            return Unavailable(
                f"catching up: height {height} of {target}",
                f"正在追赶：高度 {height}，目标高度 {target}",
            )
        return tip_unknown() if driver.tip_height is None else None

    def metrics(self) -> bytes:
        """Return the metrics in Prometheus text format."""
        return self._metrics.render()

    def _mode(self) -> tuple[Mode, Words]:
        driver = self._shell.driver
        if driver.halted:
            return "halted", driver.halted
        if driver.recovery.is_active:
            return (
                "recovering",
                Words(
                    "等待法定多数的节点应答；此前不签名",
                    "waiting to hear from a quorum of peers; signing nothing until then",
                ),
            )
        silent_through = driver.replica.silent_through_height
        if silent_through > 0 and silent_through > driver.chain.header.height:
            return "recovering", Words(
                f"在高度 {silent_through} 及以下不签名",
                f"signs nothing at heights up to {silent_through}",
            )
        target = driver.catch_up.target
        if target > driver.chain.header.height + 1:
            return "catching_up", Words(f"落后于高度 {target}", f"behind height {target}")
        return "normal", Words("", "")


def _find_kept(shelf: CheckpointFiles[F], size: int) -> tuple[F, bytes] | None:
    """Return the first file of at least `size` entries; raise `Unavailable` if it is damaged."""
    try:
        return shelf.find(size)
    except Damaged as damaged:
        raise Unavailable(
            f"this node's copy is damaged: {damaged}",
            f"本节点所存的副本已损坏：{damaged.detail_zh}",
            DAMAGED_RETRY_AFTER_S,
        ) from None
