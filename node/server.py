"""One node process: opens its home, joins its peers, serves its API, and stops in order.

    home ─► keys, genesis ─► chain (replayed if need be) ─► driver ─► shell ─► transport, API
                      └────► a snapshot from the peers, if the home is marked JOIN ─► chain

Opening comes before listening: a node that cannot reproduce its own chain never speaks. Stopping
goes the other way round: no new requests, no new events, then the disk is closed; what was
promised lies in the spool and the journal, so killing the process instead loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from api.problems import explain_rejected
from consensus.timers import Timing
from contracts.execution import Chain
from genesis.document import Parameters, parse_genesis
from ledger.kernel import KERNEL
from ledger.refusal import Reason, Rejected
from ledger.system_words import explain_system
from ledger.words import Words
from node.api_server import ApiServer
from node.archived import find_archived, open_segments
from node.asking import Rounds
from node.certification import log_trust
from node.collector import collect_cycles
from node.config import NodeConfig, StorageConfig, load_config
from node.config_section import ConfigError
from node.connection_table import ConnectionTable
from node.descriptors import ClientPlaces, TooFewDescriptors, raise_limit
from node.disk_usage import DiskUsage
from node.driver import Driver, Identity, Signers
from node.effects import CommitBlock
from node.exceptions import describe_failure, make_exception_handler
from node.home import NodeHome
from node.huge_pages import keep_huge
from node.joining import fetch_snapshot
from node.kept_entries import keep_before
from node.keystore import KeyPurpose, Keystore, KeystoreError, read_passphrase
from node.ledger_store import REPLAY_PROGRESS, STATE_PROGRESS, LedgerStore, OtherChain, open_ledger
from node.logs import bind_context, configure_logs
from node.mempool import Mempool
from node.metrics import NodeMetrics
from node.peer_meter import NO_METER, PeerMeter
from node.platform_statements import PlatformStatements
from node.post_quantum import PostQuantumCosigning
from node.post_quantum_shelf import PostQuantumShelf
from node.private_records import PrivateRecords
from node.queries import Queries
from node.restored_checkpoints import RESTORED_PROGRESS, take_restored
from node.service import NodeService
from node.shell import TICK_S, TURNS_PER_PROCESS, Disk, Shell
from node.snapshot_export import SnapshotExport
from node.snapshot_install import install, is_complete, prepare_chain
from node.snapshot_serving import ShelfAnswers
from node.snapshot_shelf import SnapshotShelf
from node.submissions import Quota, Submissions
from node.timestamp_protocol import Authority, HashName
from node.timestamp_shelf import TimestampShelf
from node.timestamping import Timestamping, load_authorities
from node.tls import TlsIdentity, TlsIdentityError
from node.transport import Transport
from node.verification import SignatureVerifier, VerifierUnavailable
from node.witness_shelf import WitnessShelf
from node.witnessing import Witnessing, load_witnesses
from storage.archive import NotMounted
from storage.backup import clear_recovery, is_recovery_demanded
from storage.files import Damaged, Directory, DiskDirectory, InUse, StorageFailure
from storage.journal import Journal
from storage.keyvalue import KeyValue
from storage.spool import Spool

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_UNUSABLE: Final = 2

LOCK_FILE: Final = "node.lock"

PROGRESS_INTERVAL_S: Final = 2.0
"""Between two lines about a long start."""

AGAIN_S: Final = 60.0
"""Pause after a mistake in asking outsiders: it must neither end the asking nor fill the log."""

log = logging.getLogger("evidence_ledger.node")


def run_node(home: Path, prompt: Callable[[], str] | None = None) -> int:
    """Run the node whose home this is until SIGTERM or SIGINT; return the exit status.

    `prompt` asks for the keystore's passphrase where neither file nor environment has it.
    """
    place = NodeHome(home)
    try:
        config = load_config(place)
        configure_logs(config.log)
        identity, keystore = open_identity(place, config, prompt)
    except (ConfigError, KeystoreError, OSError, Rejected) as error:
        sys.stderr.write(
            f"evidence-ledger: this node cannot start: {error}\n节点无法启动：{_explain(error)}\n"
        )
        return EXIT_UNUSABLE
    bind_context(node=identity.genesis.institutions[identity.replica].id, replica=identity.replica)
    gc.disable()
    raise_limit()
    try:
        return uvloop.run(_Server(place, config, identity, keystore).run())
    except (ConfigError, TlsIdentityError, TooFewDescriptors) as error:
        log.error("this node cannot start: %s 节点无法启动：%s", error, error.detail_zh)
        return EXIT_UNUSABLE
    except VerifierUnavailable as error:
        log.error("this node cannot start: %s 节点无法启动：%s", error, error.detail_zh)
    except InUse as error:
        log.error(
            "another process holds this home: %s 另一进程占用此节点目录：%s", error, error.detail_zh
        )
    except NotMounted as error:
        log.error(
            "this node cannot start: it has to read its oldest blocks once more, and %s "
            "节点无法启动：须再读取一次最早的区块，而%s",
            error,
            error.detail_zh,
        )
    except Damaged as error:
        log.error(
            "what is stored here is damaged, and this node does not start: %s "
            "所存数据已损坏，节点不启动：%s",
            error,
            error.detail_zh,
        )
    except StorageFailure as error:
        log.error("the disk failed: %s 磁盘出错：%s", error, error.detail_zh)
    except OSError as error:
        log.error("this node cannot start: %s 节点无法启动：%s", error, _explain(error))
    return EXIT_FAILED


def _explain(error: ConfigError | KeystoreError | OSError | Rejected) -> str:
    """Return in Chinese why this node cannot start."""
    match error:
        case Rejected():
            return explain_rejected(error)
        case OSError():
            where = f"{error.filename}：" if error.filename else ""
            return f"{where}{explain_system(error)}"
        case _:
            return error.detail_zh


def open_identity(
    place: NodeHome, config: NodeConfig, prompt: Callable[[], str] | None = None
) -> tuple[Identity, Keystore]:
    """Read genesis and keys, and check that they belong together."""
    genesis = parse_genesis(place.resolve(config.genesis).read_bytes())
    file = place.resolve(config.keys.passphrase_file) if config.keys.passphrase_file else None
    passphrase = read_passphrase(file, environ=os.environ, prompt=prompt)
    keystore = Keystore.open(place.resolve(config.keys.keystore), passphrase)
    if not genesis.validators.is_member(config.replica):
        raise Rejected(
            Reason.NOT_A_VALIDATOR,
            f"replica {config.replica}: genesis names {len(genesis.validators)} institutions",
            f"replica 为 {config.replica}，而创世文件载有 {len(genesis.validators)} 家机构",
        )
    signers = Signers(
        vote=keystore.signer(KeyPurpose.VOTE),
        cosign=keystore.signer(KeyPurpose.COSIGN),
        log=keystore.signer(KeyPurpose.LOG),
        party=keystore.signer(KeyPurpose.PARTY),
    )
    validator = genesis.validators[config.replica]
    for purpose, signer, expected in (
        ("vote", signers.vote, validator.vote_key),
        ("cosign", signers.cosign, validator.cosign_key),
        ("log", signers.log, validator.log_key),
        ("party", signers.party, validator.party_key),
    ):
        if signer.public_key != expected:
            raise Rejected(
                Reason.UNKNOWN_KEY,
                f"the {purpose} key here is {signer.public_key.hex()}, and genesis gives "
                f"{validator.id} {expected.hex()}",
                f"此处的 {purpose} 公钥为 {signer.public_key.hex()}，而创世文件为 {validator.id} "
                f"载明 {expected.hex()}",
            )
    return Identity(config.replica, genesis, signers), keystore


def timing_of(parameters: Parameters) -> Timing:
    """Return genesis' times in ticks."""
    tick_ms = int(TICK_S * 1000)
    view_timeout = max(2, parameters.view_timeout_ms // tick_ms)
    return Timing(
        view_timeout_ticks=view_timeout,
        view_timeout_ticks_max=max(view_timeout, 60_000 // tick_ms),
        idle_interval_ticks=max(1, parameters.idle_block_interval_ms // tick_ms),
        clock_skew_ms_max=parameters.proposal_clock_skew_ms,
    )


def open_keyvalue(path: Path, config: StorageConfig) -> KeyValue:
    """Open the configured key-value store in a directory."""
    if config.backend == "rocksdb":
        from storage.rocks import RocksStore

        return RocksStore(
            path, cache_bytes=config.cache_bytes, write_buffer_bytes=config.write_buffer_bytes
        )
    from storage.leveldb import LevelDBStore

    return LevelDBStore(
        path, cache_bytes=config.cache_bytes, write_buffer_bytes=config.write_buffer_bytes
    )


@dataclass(slots=True)
class _Observer:
    """Tells metrics and waiting requests what happened."""

    metrics: NodeMetrics
    export: SnapshotExport
    queries: Queries | None = None
    submissions: Submissions | None = None
    post_quantum: PostQuantumCosigning | None = None

    def committed(self, effect: CommitBlock) -> None:
        block = effect.block
        tx_ids = [row.tx_id for row in block.rows]
        if self.queries is not None and self.submissions is not None:
            self.queries.block_committed(tx_ids)
            self.submissions.settle(tx_ids)
        refused = block.refused_count
        self.metrics.block_applied(
            height=block.header.height, applied=len(tx_ids) - refused, refused=refused
        )
        self.export.block_applied(block.header)
        if self.post_quantum is not None:
            self.post_quantum.committed(block.header)

    def certified(self, height: int) -> None:
        self.metrics.height_certified(height)
        if self.queries is not None:
            self.queries.height_certified(height)
        if self.post_quantum is not None:
            self.post_quantum.certified(height)


class _Server:
    def __init__(
        self, place: NodeHome, config: NodeConfig, identity: Identity, keystore: Keystore
    ) -> None:
        self._place = place
        self._config = config
        self._identity = identity
        self._keystore = keystore
        self._places = ClientPlaces(
            len(identity.genesis.validators) - 1, config.verification.workers
        )
        self._stopping = asyncio.Event()
        self._status = EXIT_OK

    async def run(self) -> int:
        """Start everything, wait to be told to stop, stop everything."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.set_exception_handler(make_exception_handler(self._fail))
        place, config, genesis = self._place, self._config, self._identity.genesis
        self._places.check()
        authorities = load_authorities(place, config.timestamp)
        is_recovering = is_recovery_demanded(place.path)
        metrics, usage = NodeMetrics(genesis), DiskUsage(place.path)
        table = ConnectionTable(self._places.count, metrics.api_dropped)
        verifier = SignatureVerifier(config.verification.workers, meter=metrics)
        async with contextlib.AsyncExitStack() as stack:
            home = _open_folder(stack, place.path)
            home.lock(LOCK_FILE)
            if not await self._join():
                return self._status
            store, chain = self._open_ledger(stack)
            journal = open_journal(_open_folder(stack, place.journal), home, is_recovering)
            spool = Spool(_open_folder(stack, place.spool), is_expected=chain.header.height > 0)
            shelf = SnapshotShelf(_open_folder(stack, place.snapshots))
            stamped, witnessed, post_quantum = (
                TimestampShelf(_open_folder(stack, place.timestamps)),
                WitnessShelf(_open_folder(stack, place.witnessed)),
                PostQuantumShelf(
                    _open_folder(stack, place.post_quantum), config.post_quantum.interval_heights
                ),
            )
            driver = self._make_driver(chain, store, is_recovering, shelf)
            export = SnapshotExport(
                store,
                chain.limits,
                shelf,
                config.snapshot.interval_blocks,
                stack.enter_context(ThreadPoolExecutor(1, "snapshot")),
                _say,
            )
            stack.push_async_callback(export.close)
            observer = _Observer(metrics, export)
            shell = Shell(
                driver,
                Disk(store, journal, spool),
                verifier,
                observer,
                say=_say,
                stop=self._fail,
                end_recovery=lambda: clear_recovery(place.path),
                turns=TURNS_PER_PROCESS * (1 + config.verification.workers),
                disk_thread=stack.enter_context(ThreadPoolExecutor(1, "disk")),
                spool_thread=stack.enter_context(ThreadPoolExecutor(1, "spool")),
            )
            queries = Queries(shell)
            submissions = Submissions(
                shell,
                Quota(
                    config.quotas.transactions_per_second_per_submitter,
                    config.quotas.burst_per_submitter,
                ),
                queries.position,
                metrics.intake_refused,
            )
            observer.queries, observer.submissions = queries, submissions
            statements = PlatformStatements(
                genesis,
                self._identity.replica,
                self._keystore.signer(KeyPurpose.LOG),
                config.platform,
            )
            service = NodeService(
                shell,
                submissions,
                queries,
                metrics,
                stamped,
                witnessed,
                post_quantum,
                statements,
            )
            private = self._open_private(stack, service)
            transport = self._make_transport(shell.frame_arrived, shell.peer_changed, metrics)
            stack.push_async_callback(verifier.close)
            await verifier.start()
            gc.freeze()
            stack.push_async_callback(shell.close)
            if not await resume(shell):
                return self._status  # said already; nobody has heard of this node yet
            for opened in (journal, spool, shelf, stamped, witnessed, post_quantum):
                log_notices(opened.notices)
            shell.carrier = transport
            await transport.start()
            stack.push_async_callback(transport.close)
            newest = store.chain_store.newest_checkpoint()
            metrics.resumed(
                height=chain.header.height, certified=0 if newest is None else newest[0]
            )
            metrics.watch(
                view=lambda: driver.replica.view,
                view_changes=lambda: driver.replica.views_entered_count,
                pool_count=lambda: len(driver.pool),
                pool_bytes=lambda: driver.pool.bytes,
                storage_bytes=lambda: usage.bytes,
                api_connections=lambda: table.count,
                api_places=lambda: table.limit,
            )
            for beside in (
                metrics.watch_event_loop(),
                usage.watch(),
                collect_cycles(driver.pool),
                keep_huge(),
                store.fill_references(),
                _prepare(statements),
            ):
                stack.callback(asyncio.create_task(beside).cancel)
            self._start_asking(stack, authorities, stamped, witnessed, store, metrics)
            self._start_cosigning(stack, post_quantum, shell, observer)
            log.info(
                "node %s (replica %d of %d) at height %d, chain %s, %s kernel",
                service.node_id,
                self._identity.replica,
                len(genesis.validators),
                chain.header.height,
                genesis.chain_id.hex(),
                KERNEL,
            )
            await self._serve(service, table, private)
        return self._status

    async def _join(self) -> bool:
        """Take a snapshot from the peers if this home is marked for it; return whether to go on."""
        place, meter = self._place, NO_METER
        if place.join_marker.exists() and not is_complete(place):
            failure = await fetch_snapshot(
                place,
                self._identity.genesis,
                lambda on_frame, on_peer: self._make_transport(on_frame, on_peer, meter),
                self._stopping,
            )
            if failure:
                self._fail(failure)
            if not is_complete(place):
                return False
        if is_complete(place):
            install(place)
            log.info("the snapshot is in its place; blocks after it come from the peers")
        return True

    def _open_keyvalue(self, path: Path) -> KeyValue:
        return open_keyvalue(path, self._config.storage)

    def _make_driver(
        self, chain: Chain, store: LedgerStore, is_recovering: bool, shelf: SnapshotShelf
    ) -> Driver:
        quotas = self._config.quotas
        return Driver(
            self._identity,
            chain,
            store,
            timing_of(self._identity.genesis.parameters),
            pool=Mempool(quotas.pool_transactions_max, quotas.pool_bytes_max),
            is_recovering=is_recovering,
            snapshots=ShelfAnswers(shelf, store),
        )

    def _make_transport(
        self,
        on_frame: Callable[[int, bytes], None],
        on_peer: Callable[[int, bool], None],
        meter: PeerMeter,
    ) -> Transport:
        config = self._config
        return Transport(
            replica=config.replica,
            genesis=self._identity.genesis,
            listen=config.peer.listen,
            endpoints=config.endpoints_by_replica(self._identity.genesis),
            tls=TlsIdentity(
                certificate=self._place.tls_certificate,
                key=self._place.tls_key,
                passphrase=self._keystore.tls_passphrase,
            ),
            on_frame=on_frame,
            on_peer=on_peer,
            meter=meter,
        )

    def _open_ledger(self, stack: contextlib.AsyncExitStack) -> tuple[LedgerStore, Chain]:
        """Open the chain and its index, with whatever else execution will read."""
        place, genesis = self._place, self._identity.genesis
        start = prepare_chain(place, self._open_keyvalue, ProgressLog())
        segments = open_segments(
            place, self._config, genesis.chain_id, _open_folder(stack, place.chain)
        )
        try:
            store, chain = open_ledger(
                segments,
                self._open_keyvalue(place.index),
                genesis,
                ProgressLog(),
                start,
                self._config.storage.rows_max,
            )
        except OtherChain as error:
            raise error.of(str(place.resolve(self._config.genesis)), segments.path) from None
        stack.callback(store.chain_store.close)
        keep_before(store, find_archived(place), chain.header.time_ms, ProgressLog())
        log_notices(store.chain_store.notices)
        take_restored(store, place.path, log_trust(genesis), ProgressLog())
        return store, chain

    def _open_private(
        self, stack: contextlib.AsyncExitStack, service: NodeService
    ) -> PrivateRecords | None:
        """Open the private fields beside the chain, if this node keeps any."""
        if not self._config.private.keep:
            return None

        def custodian_of(contract: str) -> str:
            view = service.contract(f"contract/{contract}")
            return "" if view is None else view.custodian

        records = PrivateRecords(
            _open_folder(stack, self._place.private),
            self._keystore.private_fields_key,
            custodian_of=custodian_of,
            thread=stack.enter_context(ThreadPoolExecutor(1, "private")),
            stop=self._fail,
        )
        log_notices(records.notices)
        return records

    async def _serve(
        self, service: NodeService, table: ConnectionTable, private: PrivateRecords | None
    ) -> None:
        """Serve the API until told to stop."""
        server = ApiServer(
            service, self._place, self._config.api, self._keystore.tls_passphrase, table, private
        )
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        service.close()
        server.stop()
        stopping.cancel()
        await serving

    def _start_asking(
        self,
        stack: contextlib.AsyncExitStack,
        authorities: Sequence[Authority],
        stamped: TimestampShelf,
        witnessed: WitnessShelf,
        store: LedgerStore,
        metrics: NodeMetrics,
    ) -> None:
        """Ask the configured authorities and witnesses in the background, if there are any."""
        asking: list[Timestamping | Witnessing] = []
        newest = store.chain_store.newest_checkpoint
        if authorities:
            stamping = Timestamping(
                authorities,
                [HashName(name) for name in self._config.timestamp.hashes],
                Rounds(self._config.timestamp.interval_s, newest),
                stamped,
                thread=stack.enter_context(ThreadPoolExecutor(1, "timestamps")),
                say=_say,
                count=metrics.timestamp_asked,
            )
            asking.append(stamping)
        witnesses = load_witnesses(self._config.witness)
        if witnesses:
            witnessing = Witnessing(
                witnesses,
                Rounds(self._config.witness.interval_s, newest),
                witnessed,
                store.read_tile,
                thread=stack.enter_context(ThreadPoolExecutor(1, "witnesses")),
                say=_say,
            )
            asking.append(witnessing)
        for one in asking:
            stack.callback(asyncio.create_task(self._ask_outsiders(one)).cancel)

    def _start_cosigning(
        self,
        stack: contextlib.AsyncExitStack,
        shelf: PostQuantumShelf,
        shell: Shell,
        observer: _Observer,
    ) -> None:
        """Give and collect post-quantum cosignatures, if genesis names keys for them."""
        genesis, replica = self._identity.genesis, self._identity.replica
        named = sum(one.key_hash is not None for one in genesis.post_quantum_members)
        if named == 0:
            return
        if named < genesis.validators.quorum:
            log.warning(
                "genesis names %d ML-DSA-44 keys, and a quorum needs %d: none is used "
                "创世文件载有 %d 个 ML-DSA-44 公钥，而法定多数须有 %d 个：均不使用",
                *(named, genesis.validators.quorum) * 2,
            )
            return
        store = shell.disk.store.chain_store
        cosigning = PostQuantumCosigning(
            genesis,
            replica,
            self._keystore.post_quantum_signer(),
            shelf,
            self._config.post_quantum.interval_heights,
            store.checkpoint,
            lambda payload: (
                None if shell.carrier is None else shell.carrier.broadcast(payload, True)
            ),
            thread=stack.enter_context(ThreadPoolExecutor(1, "post-quantum")),
            say=_say,
        )
        if not cosigning.can_sign and genesis.post_quantum_members[replica].key_hash is not None:
            log.error(
                "the ML-DSA-44 key here is not the one of genesis: this node gives none "
                "此处的 ML-DSA-44 密钥与创世文件所载不符：本节点不作后量子联署"
            )
        newest = store.newest_checkpoint()
        cosigning.resume(0 if newest is None else newest[0])
        observer.post_quantum, shell.on_post_quantum = cosigning, cosigning.frame_arrived
        stack.callback(asyncio.create_task(self._ask_outsiders(cosigning)).cancel)

    async def _ask_outsiders(
        self, asking: Timestamping | Witnessing | PostQuantumCosigning
    ) -> None:
        """Ask in the background; a disk that fails stops the node, an outsider never."""
        while True:
            try:
                await asking.run()
            except StorageFailure as failure:
                self._fail(describe_failure(failure))
                return
            except Exception:
                log.exception(
                    "asking outsiders broke off; it begins again in %g s "
                    "向外部机构的请求中断，%g 秒后重新开始",
                    AGAIN_S,
                    AGAIN_S,
                )
            await asyncio.sleep(AGAIN_S)

    def _fail(self, reason: Words) -> None:
        log.error("this node stops: %s 节点停止：%s", reason.en, reason.zh)
        self._status = EXIT_FAILED
        self._stopping.set()


async def resume(shell: Shell) -> bool:
    """Go on where the journal ends; return False if the driver refuses to, and has said why."""
    try:
        await shell.start()
    except StorageFailure:
        if not shell.driver.halted:
            raise
        return False
    return True


async def _prepare(statements: PlatformStatements) -> None:
    """Find what platform statements are made of; without it the node does all but state it."""
    try:
        await statements.prepare()
    except OSError as failure:
        log.error(
            "no platform statement can be made: this program's source: %s "
            "无法出具平台声明：读取本程序源码时%s",
            failure,
            explain_system(failure),
        )


def _open_folder(stack: contextlib.AsyncExitStack, path: Path) -> DiskDirectory:
    directory = DiskDirectory(path, create=True)
    stack.callback(directory.close)
    return directory


def open_journal(directory: Directory, home: Directory, is_recovering: bool) -> Journal:
    """Open the vote journal; with `recover` a new one takes the place of whatever is there.

    The marker in `home` is durable before that: of a command that was killed it may be in the page
    cache only, and a new journal without it would be taken for one that has forgotten nothing.
    """
    if is_recovering:
        home.fsync_directory()
        Journal.discard(directory)
        return Journal.create(directory)
    return Journal.open(directory)


def _say(level: str, text: str) -> None:
    log.log(_LEVELS[level], text)


_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def log_notices(notices: Sequence[Words]) -> None:
    """Log what storage found and mended."""
    for notice in notices:
        log.warning("storage: %s 存储：%s", notice.en, notice.zh)


class ProgressLog:
    """Says how far a long start is, every two seconds at most and at the end of the replay."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_s = clock()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take one step's count (`node.ledger_store.Progress`)."""
        now_s = self._clock()
        if done != total and now_s - self._said_s < PROGRESS_INTERVAL_S:
            return
        self._said_s = now_s
        if what == REPLAY_PROGRESS:
            log.info("replayed %d of %d blocks", done, total)
        elif what == STATE_PROGRESS:
            log.info("read %d buckets of the state", done)
        elif what == RESTORED_PROGRESS:
            log.info("verified %d of %d checkpoints of the backup", done, total)
        else:
            log.info("building the index: %d %s", done, what)
