"""A node that joins by a snapshot: before it opens its chain, it takes one from its peers.

The same connections as later carry it. Nothing else is said on them, and what peers say of other
things is passed over. What is fetched lies on the disk as it comes (`node.snapshot_files`), so a
node that is stopped or killed goes on where it was. It ends when the snapshot is complete, or when
it is told to stop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Protocol

from genesis.document import Genesis
from ledger.refusal import Rejected
from ledger.snapshot import SnapshotTrust
from ledger.words import Words
from node.certification import log_trust
from node.exceptions import describe_failure
from node.home import NodeHome
from node.messages import decode_frame, encode_frame
from node.shell import TICK_S
from node.snapshot_fetch import (
    Ask,
    Complete,
    Discard,
    Effect,
    KeepBlock,
    KeepChunk,
    KeepManifest,
    SnapshotFetch,
    Told,
)
from node.snapshot_files import SnapshotFiles
from node.snapshot_install import JOINING_SEGMENTS
from storage.files import Damaged, DiskDirectory, StorageFailure

PROGRESS_INTERVAL_S: Final = 2.0

log = logging.getLogger("evidence_ledger.joining")

_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING}


def trust_of(genesis: Genesis) -> SnapshotTrust:
    """Return what a snapshot is held against."""
    return SnapshotTrust(
        genesis.chain_id,
        genesis.validators,
        log_trust(genesis),
        genesis.parameters.replay_window_ms,
    )


class Carrier(Protocol):
    """The transport, as this needs it (`node.transport.Transport`)."""

    async def start(self) -> None:
        """Listen and dial."""

    async def close(self) -> None:
        """End all connections."""

    def send(self, replica: int, payload: bytes, bulk: bool = False) -> bool:
        """Queue a frame for one peer."""


class Joining:
    """Moves frames and files for a `SnapshotFetch`. All methods are called on the event loop."""

    def __init__(self, trust: SnapshotTrust, files: SnapshotFiles, stop: Callable[[], None]):
        """`stop` is called when there is nothing more to do: complete, or the disk failed."""
        self.carrier: Carrier | None = None
        self.failure: Words | None = None
        """Why this ended, if not because the snapshot is complete."""
        self._files = files
        self._stop = stop
        self._fetch = SnapshotFetch(trust)
        self._said_s = time.monotonic()
        self._resume(trust)

    def _resume(self, trust: SnapshotTrust) -> None:
        try:
            kept = self._files.resume(trust)
        except (Damaged, Rejected) as error:
            log.warning(
                "what was fetched of a snapshot is of no use and is fetched anew: %s "
                "已取得的快照部分不可用，将重新取得",
                error,
            )
            self._files.discard()
            return
        if kept is not None:
            self._fetch.resume(*kept)
            self._tell_progress(is_due=True)

    def frame_arrived(self, replica: int, payload: bytes) -> None:
        """A peer's frame (called by the transport)."""
        try:
            frame = decode_frame(payload)
        except Rejected as rejected:
            log.warning(
                "replica %d sent what is refused: %s 第 %d 号副本发来的内容被拒绝，原因见前",
                replica,
                rejected,
                replica,
            )
            return
        self._perform(self._fetch.take(replica, frame))

    def peer_changed(self, replica: int, is_connected: bool) -> None:
        """A connection came up or went down (called by the transport)."""
        self._perform(self._fetch.change_peer(replica, is_connected))

    async def tick(self) -> None:
        """Let time pass until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self._perform(self._fetch.tick())
            self._tell_progress(is_due=False)

    def _perform(self, effects: list[Effect]) -> None:
        """Do what is asked, in order. Waiting for the disk here costs nobody but this node."""
        if self.failure:
            return
        try:
            for effect in effects:
                self._do(effect)
        except StorageFailure as failure:
            self.failure = describe_failure(failure)
            self._stop()

    def _do(self, effect: Effect) -> None:
        match effect:
            case Ask():
                if self.carrier is not None:
                    self.carrier.send(effect.replica, encode_frame(effect.frame))
            case KeepManifest():
                self._files.keep_manifest(effect.manifest, effect.note)
            case KeepChunk():
                self._files.keep_chunk(effect.index, effect.chunk)
            case KeepBlock():
                self._files.keep_block(effect.height, effect.block)
            case Discard():
                self._files.discard()
            case Complete():
                self._files.complete()
                self._tell_progress(is_due=True)
                self._stop()
            case Told():
                log.log(_LEVELS[effect.level], "%s", effect.text)

    def _tell_progress(self, *, is_due: bool) -> None:
        now_s = time.monotonic()
        progress = self._fetch.progress
        if not is_due and now_s - self._said_s < PROGRESS_INTERVAL_S:
            return
        self._said_s = now_s
        if progress is None:
            log.info("no snapshot yet that enough members agree on")
        else:
            log.info("snapshot: %d of %d chunks, %d of %d blocks", *progress)


MakeCarrier = Callable[[Callable[[int, bytes], None], Callable[[int, bool], None]], Carrier]
"""Given who is told of frames and who of connections."""


async def fetch_snapshot(
    home: NodeHome, genesis: Genesis, make_carrier: MakeCarrier, stopping: asyncio.Event
) -> Words | None:
    """Fetch a snapshot into a home until it is complete or `stopping` is set.

    Returns why it failed, empty if it did not.
    """
    folders = (home.joining, home.joining / JOINING_SEGMENTS)
    with ExitStack() as stack:
        directories = [DiskDirectory(folder, create=True) for folder in folders]
        for directory in directories:
            stack.callback(directory.close)
        done = asyncio.Event()
        joining = Joining(trust_of(genesis), SnapshotFiles(*directories), done.set)
        joining.carrier = carrier = make_carrier(joining.frame_arrived, joining.peer_changed)
        log.info("this node joins by a snapshot of its peers")
        await carrier.start()
        tasks = [
            asyncio.create_task(each) for each in (joining.tick(), stopping.wait(), done.wait())
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await carrier.close()
        if isinstance(ended[0], Exception):
            raise ended[0]
        return joining.failure
