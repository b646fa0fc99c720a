"""The offline check of everything that a stopped node stores, from the trust root down.

Nothing stored is believed because it was stored. Genesis and keys must belong together; every file
must be what its checksums say; the chain is executed again from its segments into an index of its
own, which is then compared with the stored one row by row, so that state, tiles and positions are
each computed twice; and every signature is verified: the submitters' on their transactions, the
validators' on each block, the cosigners' on each checkpoint. Checks go on where they can after one
has failed, and each says what is damaged, with file and offset where there are such.

Not a byte of the home is changed. Segments, journal and spool are read through a view that cannot
write; the index is opened in a working copy elsewhere (`storage.working_copy`), which takes the
space of its logs and, while the store tidies up, at the most that of the index. The second index is
kept in memory: about 1 kB for a transaction, so a chain of some million transactions asks for a
machine with some gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.failure import Failure
from cli.founding import read_genesis
from cli.node_storage import view_home
from cli.passed_on import explain
from cli.read_only import ReadOnlyDirectory
from cli.scratch import scratch_directory
from cli.shelf_inspection import (
    Caution,
    check_archive,
    check_audit,
    check_base,
    check_secrets,
    check_snapshots,
    check_statements,
    complaint,
    join_words,
)
from contracts.execution import Chain
from genesis.document import Genesis
from ledger.block import (
    TransactionEntry,
    compute_block_hash,
    decode_entry,
    encode_header,
)
from ledger.checkpoint import verify_checkpoint
from ledger.log import root_from_tiles
from ledger.refusal import Rejected
from ledger.state_tree import StateTree
from ledger.stream import compute_state_key, compute_value_hash, decode_stored_stream
from ledger.system_words import explain_system
from ledger.transaction import decode_transaction, verify_transaction_signatures
from ledger.votes import decode_commit_certificate
from ledger.wire import encode
from ledger.words import Words
from node.archived import open_segments
from node.certificates import read_certificate
from node.certification import log_trust
from node.config import NodeConfig
from node.home import NodeHome
from node.journal_record import decode_journal_record
from node.kept_entries import verify_entries
from node.ledger_store import LedgerStore, OtherChain, open_ledger
from node.recovery import find_amnesia, find_stranger
from node.restored_checkpoints import verify_restored
from node.server import open_keyvalue
from node.snapshot_files import Base
from node.snapshot_index import build_index
from node.snapshot_install import open_base
from storage.audit import EntryFacts, Progress, verify_chain
from storage.backup import CHECKPOINTS_FILE
from storage.chain import GENESIS_START, ChainStart
from storage.files import Damaged, Directory, Refusal
from storage.journal import Journal
from storage.keyvalue import KeyValue
from storage.leveldb_files import find_missing_log, is_unmade, verify_database, verify_tables
from storage.memory import MemoryStore
from storage.spool import BOTH_EMPTY, SPOOL_FILES, Spool
from storage.working_copy import make_working_copy

REFERENCE_REUSED: Final = "reference_reused"
"""Outcome of a transaction whose reference was taken, so that it has no reference row."""

COMPARED: Final = (
    (b"a", b"b", Words("已执行高度", "applied height")),
    (b"b", b"c", Words("区块行", "block rows")),
    (b"f", b"g", Words("首条目序号行", "first-index rows")),
    (b"h", b"i", Words("日志瓦片", "log tiles")),
    (b"k", b"l", Words("状态分桶", "state buckets")),
    (b"r", b"s", Words("业务编号行", "reference rows")),
    (b"s", b"t", Words("流", "streams")),
    (b"t", b"u", Words("交易行", "transaction rows")),
)
"""Everything in the index but checkpoints, which are verified by their signatures."""

BUILT_AGAIN: Final = Words(
    "启动时由数据段重新建立；其中已收集的检查点不会由此恢复，此后的证据使用各机构联署的较新检查点，"
    "或启动前放入节点目录的备份中的 checkpoints.json。",
    "The start builds it again from the segments. The checkpoints that it had collected do not "
    "come back by that: proofs then carry later ones, which the members cosign, or those of a "
    "backup's checkpoints.json, put into the home before the start.",
)

STATE_BATCH: Final = 10_000
"""Streams put into the second state tree at a time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    what: str
    is_good: bool
    said: Words

    @property
    def is_caution(self) -> bool:
        """Say whether nothing is damaged and people should look at it all the same."""
        return isinstance(self.said, Caution)


Check = Callable[[], Words]


class Inspection:
    """The checks of one home; `run` yields a finding for each as it is made."""

    def __init__(self, home: NodeHome, progress: Progress = lambda what, done, total: None) -> None:
        """`progress` is told (what is done, how much of it, how much there is; 0 if unknown)."""
        self._home = home
        self._progress = progress
        self._genesis: Genesis
        self._config: NodeConfig
        self._copy: Path
        self._segments: Directory
        self._store: LedgerStore
        self._chain: Chain
        self._base: Base | None = None
        self._has_index = False
        self._missing_log: Path | None = None

    def run(self) -> Generator[Finding, None, None]:
        """Make every check; raise `Failure` when there is nothing to check or the node runs."""
        with ExitStack() as stack:
            self._config = stack.enter_context(view_home(self._home))
            self._copy = stack.enter_context(scratch_directory())
            genesis = self._try("genesis", self._check_genesis)
            yield genesis
            if not genesis.is_good:
                return
            yield self._try("identity", self._check_identity)
            yield self._try("secrets", lambda: check_secrets(self._home, self._config))
            yield self._try("audit", lambda: check_audit(self._home))
            yield self._try("vote journal", self._check_journal)
            yield self._try("spool", self._check_spool)
            if self._is_unstarted():
                yield Finding("chain", True, self._tell_unstarted())
                return
            stores = stack.enter_context(ExitStack())
            opened = self._try("chain", lambda: self._open_chain(stores))
            yield opened
            if not opened.is_good:
                return
            yield self._try("torn ends", self._check_ends)
            yield self._try("index", self._check_index)
            yield self._try("votes and chain", self._check_memory)
            yield self._try("files and rows", self._check_rows)
            yield self._try("execution", self._check_execution)
            yield self._try("state", self._check_state)
            yield self._try("earlier entries", self._check_earlier_entries)
            yield self._try("client signatures", self._check_signatures)
            yield self._try("commit certificates", self._check_certificates)
            yield self._try("checkpoints", self._check_checkpoints)
            yield self._try(
                "base",
                lambda: check_base(self._base, self._home.base, self._genesis, self._store),
            )
            yield self._try(
                "archive", lambda: check_archive(self._home, self._segments, self._store)
            )
            yield self._try("snapshots", lambda: check_snapshots(self._home, self._store))
            yield self._try(
                "statements",
                lambda: check_statements(self._home, self._config, self._genesis, self._store),
            )

    def _try(self, what: str, check: Check) -> Finding:
        try:
            return Finding(what, True, check())
        except (Refusal, Rejected, Failure, OSError, ValueError) as error:
            # People look for the home's own file, not for its link in the copy.
            copy, index = str(self._copy), str(self._home.index)
            said = describe(error)
            return Finding(
                what, False, Words(said.zh.replace(copy, index), said.en.replace(copy, index))
            )

    # Trust root and promises

    def _check_genesis(self) -> Words:
        self._genesis = read_genesis(self._genesis_file)
        chain, count = self._genesis.chain_id.hex(), len(self._genesis.institutions)
        return Words(f"链 {chain}，{count} 家机构", f"chain {chain}, {count} members")

    def _check_identity(self) -> Words:
        replica = self._config.replica
        if not self._genesis.validators.is_member(replica):
            raise Failure(
                f"{self._home.config}: replica {replica}, and genesis names "
                f"{len(self._genesis.institutions)} institutions.",
                f"{self._home.config} 的 replica 为 {replica}，而创世文件载有 "
                f"{len(self._genesis.institutions)} 家机构。",
            )
        if read_certificate(self._home.tls_certificate) != self._genesis.certificate(replica):
            raise Failure(
                f"{self._home.tls_certificate} is not the certificate that {self._genesis_file} "
                "pins.",
                f"{self._home.tls_certificate} 不是 {self._genesis_file} 载明的证书。",
            )
        member = self._genesis.institutions[replica].id
        return Words(f"{member}，第 {replica} 号副本", f"{member}, replica {replica}")

    def _check_journal(self) -> Words:
        if self._home.recover_marker.exists():
            return Words(
                "未查看：节点目录已标记为恢复启动，届时以新的投票日志取代",
                "not looked at: the home is marked to recover, so that a new one takes its place",
            )
        with closing(ReadOnlyDirectory(self._home.journal)) as directory:
            complaints = Journal.open(directory).verify()
        if complaints:
            raise complaint(complaints)
        return Words(
            "两个槽、两个标记与待决区块均完好",
            "both slots, both marks and the pending block are intact",
        )

    def _check_spool(self) -> Words:
        if not any((self._home.spool / name).is_file() for name in SPOOL_FILES):
            if self._has_voted():
                raise Failure(
                    f"{self._home.spool} holds no file, and a node that has voted, as this one "
                    "by its journal, has two there: the promised transactions in them are "
                    "lost here; whoever has one can submit it again.",
                    f"{self._home.spool} 中没有文件，而投过票的节点（据投票日志，本节点即是）"
                    "在此有两个文件：其中承诺上链的交易已丢失，仍在对方手中的可凭收据再次提交。",
                )
            return Words("为空；尚未作出承诺", "empty; nothing was promised yet")
        with closing(ReadOnlyDirectory(self._home.spool)) as directory:
            spool = Spool(directory, is_read_only=True, is_expected=self._has_voted())
            held = spool.load()
        if spool.notices == [BOTH_EMPTY]:
            return Caution(*_place(BOTH_EMPTY, directory.path))
        if spool.notices:
            raise complaint([_place(one, directory.path) for one in spool.notices])
        return Words(
            f"已承诺的交易 {len(held)} 笔，均完好",
            f"{len(held)} promised transactions, each intact",
        )

    def _has_voted(self) -> bool:
        """Say whether the journal, as far as it can be read, has a record of the replica's."""
        try:
            with closing(ReadOnlyDirectory(self._home.journal)) as directory:
                return Journal.open(directory).newest() is not None
        except (Refusal, OSError):
            return False  # what is wrong with it is another check's to say

    # The chain

    def _is_unstarted(self) -> bool:
        folders = (self._home.chain, self._home.index)
        return not any(path.is_dir() and any(path.iterdir()) for path in folders)

    def _tell_unstarted(self) -> Words:
        if self._has_voted() and not self._home.recover_marker.exists():
            return Caution(
                "没有任何区块，而据投票日志本节点投过票：区块已被移走或丢失，启动后向其他节点取得",
                "no block is here, and by its journal this node has voted: its blocks were removed "
                "or lost, and come from the other members once it is started",
            )
        return Words(
            "尚未存有区块；创世区块在启动时建立",
            "no block is stored yet; genesis comes with the start",
        )

    def _open_chain(self, stack: ExitStack) -> Words:
        self._segments = open_segments(
            self._home, self._config, self._genesis.chain_id, ReadOnlyDirectory(self._home.chain)
        )
        stack.callback(self._segments.close)
        if self._home.index.is_dir():  # a start makes it, and builds what is in it
            make_working_copy(self._home.index, self._copy, self._config.storage.backend)
        try:
            self._find_index()
            keyvalue = self._open_copy()
            stack.callback(keyvalue.close)
            self._base = open_base(self._home)
            if self._base is not None and not self._has_index:
                build_index(self._base, self._segments, keyvalue, self._progress)
            self._store, self._chain = open_ledger(
                self._segments, keyvalue, self._genesis, self._progress, self._start
            )
        except OtherChain as error:
            raise error.of(str(self._genesis_file), self._segments.path) from None
        except Damaged:
            stack.pop_all().close()
            if self._config.storage.backend == "leveldb" and self._has_index:
                verify_tables(self._home.index)  # names the file, where a file is at fault
                verify_database(self._copy)
            raise
        stack.callback(self._store.chain_store.close)
        header = self._chain.header
        replayed = self._store.chain_store.notices[len(self._find_torn()) :]
        more = join_words(replayed)
        return Words(
            f"高度 {header.height}，{header.log_size} 个条目。{more.zh}",
            f"height {header.height}, {header.log_size} entries. {more.en}".strip(),
        )

    def _find_index(self) -> None:
        """Look, before the copy is opened and tidied up, whether an index is there and its log."""
        self._missing_log = None
        if self._config.storage.backend != "leveldb":
            self._has_index = any(self._copy.iterdir())
            return
        self._has_index = not is_unmade(self._copy)
        if self._has_index and (self._copy / "CURRENT").exists():
            missing = find_missing_log(self._copy)
            self._missing_log = None if missing is None else self._home.index / missing.name

    @property
    def _genesis_file(self) -> Path:
        return self._home.resolve(self._config.genesis)

    @property
    def _start(self) -> ChainStart:
        return GENESIS_START if self._base is None else self._base.start

    def _open_copy(self) -> KeyValue:
        storage = self._config.storage
        if storage.backend == "rocksdb":
            from storage.rocks import RocksStore

            return RocksStore(self._copy, cache_bytes=storage.cache_bytes, is_strict=True)
        return open_keyvalue(self._copy, storage)

    def _find_torn(self) -> list[Words]:
        store = self._store.chain_store
        return [*store.keyvalue.notices, *store.segments.notices]

    def _check_ends(self) -> Words:
        """What the node would cut off at its start is either of a power loss or damaged."""
        found = self._find_torn()
        if found:
            torn = join_words(found)
            raise Failure(
                "The power was lost or the disk was full during a write, or the end of a file is "
                "damaged; the node would cut it off at its start and execute or fetch the block "
                f"again. In a copy of the home that was tried: {torn.en}",
                "写入时断电或磁盘已满，或文件末尾损坏；节点启动时会截去该部分，并重新执行或取得该区块。"
                f"在节点目录的副本上试行的结果：{torn.zh}",
            )
        return Words("无", "none")

    def _check_index(self) -> Words:
        """Tell an index that a crash left behind the segments from one that has lost rows.

        A block's rows are synced before the next block is begun, so a crash leaves one block too
        few; one that ends a start which replays many leaves more, and a row that says so.
        Otherwise rows are lost. The start mends it all, but for checkpoints.
        """
        store = self._store.chain_store
        lacked, total = store.lacked_count, store.segments.next_height - store.start.height
        if not self._has_index:
            return self._tell_absent(total)
        if self._missing_log is not None:
            raise Failure(
                f"{self._missing_log} is missing, which the manifest beside it names: the rows in "
                f"it are lost. {BUILT_AGAIN.en}",
                f"{self._missing_log} 缺失，而旁边的清单文件载有它：其中的行已丢失。"
                f"{BUILT_AGAIN.zh}",
            )
        if not lacked:
            return Words("与数据段同样高", "it reaches as far as the segments")
        said = f"it lacks {lacked} of the segments' {total} blocks"
        said_zh = f"数据段的 {total} 个区块中缺 {lacked} 个"
        if lacked == 1 or self._home.recover_marker.exists():
            return Words(f"{said_zh}，启动时补上", f"{said}, and the start adds them")
        if store.is_replay_cut_off:
            return Caution(
                f"{said_zh}：重新建立时中断。{BUILT_AGAIN.zh}",
                f"{said}: building it anew was cut off. {BUILT_AGAIN.en}",
            )
        raise Failure(
            f"{self._home.index} lacks {lacked} of the segments' {total} blocks, and a crash "
            "leaves it one behind: it has lost rows, or an earlier version's building it anew was "
            f"cut off. {BUILT_AGAIN.en}",
            f"{self._home.index} 缺数据段 {total} 个区块中的 {lacked} 个，而崩溃至多使其缺一个："
            f"其中的行已丢失，或旧版本重新建立时中断。{BUILT_AGAIN.zh}",
        )

    def _tell_absent(self, total: int) -> Words:
        said = f"there is none, and the segments have {total} blocks: the start builds it from them"
        said_zh = f"尚无索引，而数据段有 {total} 个区块：启动时由数据段建立"
        if self._home.recover_marker.exists():
            return Words(said_zh, said)
        return Caution(f"{said_zh}。{BUILT_AGAIN.zh}", f"{said}. {BUILT_AGAIN.en}")

    def _check_memory(self) -> Words:
        if self._home.recover_marker.exists():
            return Words(
                "节点目录已标记为恢复启动：在其他节点证明的高度之后再过两个高度才投票",
                "the home is marked to recover: it votes two heights after its peers' proof",
            )
        with closing(ReadOnlyDirectory(self._home.journal)) as directory:
            record = Journal.open(directory).newest()
        votes, _, height = (None, 0, 0) if record is None else decode_journal_record(record)
        flaw = find_stranger(votes, self._genesis.chain_id, self._config.replica) or find_amnesia(
            height, self._chain.header.height
        )
        if flaw:
            raise Failure(f"{self._home.journal}: {flaw.en}", f"{self._home.journal}：{flaw.zh}")
        applied = self._chain.header.height
        return Words(
            f"投票日志的高度为 {height}，链的高度为 {applied}",
            f"the journal is of height {height}, the chain of {applied}",
        )

    def _check_rows(self) -> Words:
        if self._config.storage.backend == "leveldb" and self._has_index:
            verify_tables(self._home.index)  # the copy's may have been merged since it was opened
        verify_chain(self._store.chain_store, identify_entry, self._progress)
        return Words(
            "数据段与索引的每个字节，索引的每一行",
            "every byte of segments and index, every row of the index",
        )

    def _check_execution(self) -> Words:
        """Execute the whole chain again into a second index and compare the two."""
        second = MemoryStore()
        if self._base is not None:
            build_index(self._base, self._segments, second, self._progress)
        again, chain = open_ledger(
            self._segments, second, self._genesis, self._progress, self._start
        )
        if chain.header_hash != self._chain.header_hash:
            raise Failure(
                f"Executed again the chain ends in block {chain.header_hash.hex()}, and the index "
                f"in {self._chain.header_hash.hex()}.",
                f"重新执行后，链的末块为 {chain.header_hash.hex()}，而索引中为 "
                f"{self._chain.header_hash.hex()}。",
            )
        stored = self._store.chain_store.keyvalue
        count = 0
        for start, stop, name in COMPARED:
            ours = again.chain_store.keyvalue.scan(start, stop)
            count += _compare(stored.scan(start, stop), ours, name)
        first = 0
        told, told_zh = "", ""
        if self._base is not None:
            first = self._base.header.height + 1
            told = f" from the snapshot of block {first - 1}, whose state is what it certifies"
            told_zh = f"自区块 {first - 1} 的快照起（其状态与所证明的一致），"
        blocks = chain.header.height + 1 - first
        return Words(
            f"{told_zh}重新执行 {blocks} 个区块；{count} 行相同",
            f"{blocks} blocks executed again{told}; {count} rows are the same",
        )

    def _check_state(self) -> Words:
        """Build the state root from the streams' values, and the log root from the tiles."""
        buckets: dict[bytes, bytes] = {}
        tree = StateTree(buckets.get)
        updates: dict[bytes, bytes] = {}
        count = 0

        def flush() -> None:
            plan = tree.plan(updates)
            buckets.update(plan.buckets)
            tree.apply(plan)
            updates.clear()

        for stream, raw in self._store.chain_store.scan_state():
            value = decode_stored_stream(raw).value
            updates[compute_state_key(stream)] = compute_value_hash(value)
            count += 1
            self._progress("streams", count, 0)
            if len(updates) >= STATE_BATCH:
                flush()
        flush()
        header = self._chain.header
        if tree.root != header.state_root:
            raise Damaged(
                "index",
                0,
                f"its {count} streams give state root {tree.root.hex()}, and the header of block "
                f"{header.height} has {header.state_root.hex()}",
                f"其中 {count} 个流算得状态根 {tree.root.hex()}，而区块 {header.height} 的区块头"
                f"载明 {header.state_root.hex()}",
            )
        root = f"{header.state_root.hex()[:16]}…"
        return Words(
            f"由分桶与 {count} 个流分别算得根 {root}",
            f"root {root} from buckets and from {count} streams",
        )

    def _check_earlier_entries(self) -> Words:
        """Whatever later blocks may read of earlier entries is there, and what its stream's root is
        of."""
        streams, count = verify_entries(self._store, self._chain.header.time_ms, self._progress)
        return Words(
            f"{streams} 个流的 {count} 个条目可能再被读取，均在",
            f"{count} of {streams} streams may be read again; each is there",
        )

    # Signatures

    def _check_signatures(self) -> Words:
        count = 0
        last = self._chain.header.height
        for block in self._store.chain_store.segments.scan():
            self._progress("blocks' client signatures", block.place.height, last)
            for raw in block.entries:
                entry = decode_entry(raw)
                if not isinstance(entry, TransactionEntry):
                    continue
                transaction = decode_transaction(encode(entry.envelope))
                verify_transaction_signatures(transaction, self._genesis.chain_id)
                count += 1
        return Words(f"{count} 笔交易的每个签名", f"every signature of {count} transactions")

    def _check_certificates(self) -> Words:
        height = self._chain.header.height
        first = max(self._start.height, 1)
        for at in range(first, height + 1):
            self._progress("commit certificates", at, height)
            header = self._store.header(at)
            raw = self._store.certificate(at)
            if raw is None:
                raise Damaged(
                    "segments", 0, f"block {at} has no commit certificate",
                    f"区块 {at} 没有提交证书",
                )  # fmt: skip
            certificate = decode_commit_certificate(raw)
            if (certificate.height, certificate.block_hash) != (
                at,
                compute_block_hash(encode_header(header)),
            ):
                raise Damaged(
                    "segments", 0, f"the certificate of block {at} is for another block",
                    f"区块 {at} 的提交证书属于另一区块",
                )  # fmt: skip
            certificate.verify(self._genesis.validators, self._genesis.chain_id)
        count = height + 1 - first
        return Words(
            f"{count} 个区块均有法定多数的签名", f"a quorum's signatures on each of {count} blocks"
        )

    def _check_checkpoints(self) -> Words:
        trust = log_trust(self._genesis)
        count = 0
        for height, note in self._store.chain_store.scan_checkpoints():
            self._progress("checkpoints, by height", height, self._chain.header.height)
            checkpoint = verify_checkpoint(note, trust).checkpoint
            size = self._store.header(height).log_size
            root = root_from_tiles(size, self._store.read_tile)
            if (checkpoint.size, checkpoint.root) != (size, root):
                raise Damaged(
                    "index",
                    0,
                    f"the checkpoint of height {height} is of size {checkpoint.size} and root "
                    f"{checkpoint.root.hex()}; the log has size {size} and root {root.hex()}",
                    f"高度 {height} 的检查点大小为 {checkpoint.size}、根哈希为 "
                    f"{checkpoint.root.hex()}；而日志大小为 {size}、根哈希为 {root.hex()}",
                )
            count += 1
        restored = verify_restored(self._store, self._home.path, trust, self._progress)
        more, more_zh = "", ""
        if restored:
            more = f", and of {restored} in {CHECKPOINTS_FILE}, which the start takes over"
            more_zh = f"；{CHECKPOINTS_FILE} 中的 {restored} 个亦然，启动时移入索引"
        return Words(
            f"{count} 个检查点均有法定多数的联署{more_zh}",
            f"a quorum's cosignatures on each of {count}{more}",
        )


def _place(said: Words, folder: str) -> Words:
    """Return a sentence that begins with a file's name with its folder before it."""
    return Words(f"{folder}/{said.zh}", f"{folder}/{said.en}")


def describe(error: Exception) -> Words:
    """Return what a check says of what is wrong."""
    match error:
        case Refusal():
            return Words(error.detail_zh, str(error))
        case Failure():
            return Words(error.chinese, error.english)
        case Rejected():
            return Words(explain(error), error.detail)
        case OSError():
            where = f"{error.filename}：" if error.filename else ""
            return Words(f"{where}{explain_system(error)}", str(error))
        case _:
            return Words(f"不合格式。原文：{error}", str(error))


def identify_entry(index: int, raw: bytes) -> EntryFacts | None:
    """Return what the index must say of an entry; None of one that is no transaction.

    Raises `Damaged` if another entry than that of `index` stands there, `Rejected` if none does.
    """
    entry = decode_entry(raw)
    if entry.index != index:
        raise Damaged(
            "segments", 0, f"entry {index} says that it is {entry.index}",
            f"第 {index} 个条目自称为第 {entry.index} 个",
        )  # fmt: skip
    if not isinstance(entry, TransactionEntry):
        return None
    transaction = decode_transaction(encode(entry.envelope))
    is_taken = entry.outcome.refused and entry.outcome.code == REFERENCE_REUSED
    return EntryFacts(
        transaction.tx_id,
        transaction.body.stream,
        b"" if is_taken else transaction.reference_key,
        entry.outcome.refused,
    )


def _compare(
    stored: Iterator[tuple[bytes, bytes]], ours: Iterator[tuple[bytes, bytes]], name: Words
) -> int:
    """Return how many rows there are; raise `Damaged` at the first that differs."""
    count = 0
    while True:
        one, other = next(stored, None), next(ours, None)
        if one != other:
            key = min(pair[0] for pair in (one, other) if pair is not None)
            raise Damaged(
                "index",
                0,
                f"the {name.en} differ from what the segments give, first at key {key.hex()}; "
                "remove the index directory and it is built again",
                f"{name.zh}与由数据段算得的不同，首个不同的键为 {key.hex()}；"
                "删除索引目录，节点会重新建立",
            )
        if one is None:
            return count
        count += 1
