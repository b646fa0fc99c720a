"""Fetching a snapshot: whom to ask for what, and what of it to keep. Pure.

    asking ─► manifest ─► chunks and blocks ─► complete
       ▲                        │
       └──── peers have it no longer

A snapshot counts when f+1 members offer the same digest for its height, so that at least one
correct node made it; the newest such is taken, and another one if, before its manifest is here,
fewer offer it than that. Its manifest and every chunk and block are checked as they come
(`ledger.snapshot`), and are asked of any peers at once, one request to each. A peer that answers
falsely, with nothing or not at all loses its turn: it is left alone for a while and others are
asked; and who gave blocks last is not asked for the next ones while others can be. What is asked
for to be kept must be durable before the machine is told to go on after a restart; what is not
there then is fetched again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ledger.refusal import Rejected
from ledger.snapshot import (
    Manifest,
    SnapshotTrust,
    check_chunk,
    compute_digest,
    decode_manifest,
    verify_manifest,
)
from ledger.snapshot_blocks import SnapshotBlocks
from ledger.validators import compute_faulty_max
from node.messages import (
    Blocks,
    BlocksBegin,
    CertifiedBlock,
    FetchBlocks,
    FetchChunk,
    FetchManifest,
    FetchSnapshots,
    Frame,
    SnapshotChunk,
    SnapshotManifest,
    Snapshots,
)

ASK_INTERVAL_TICKS: Final = 20
"""Between two questions who has which snapshots (1 s at 50 ms)."""

ANSWER_TICKS_MAX: Final = 100
"""How long a peer may take over one answer (5 s): 8 MiB of blocks on a line of 13 Mbit/s."""

ASKS_PER_TICK_MAX: Final = 4
"""Requests to one peer in a tick: half of what it answers (`node.driver`), because its ticks do not
begin with ours. With chunks of half a mebibyte that is 40 MB/s from each."""

REST_TICKS: Final = 200
"""How long a peer is left alone that answered falsely or not at all (10 s)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a frame to a peer."""

    replica: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class KeepManifest:
    """A snapshot is begun: keep these durably, and nothing of another one."""

    manifest: bytes
    note: bytes


@dataclass(frozen=True, slots=True)
class KeepChunk:
    """Keep a chunk."""

    index: int
    chunk: bytes


@dataclass(frozen=True, slots=True)
class KeepBlock:
    """Keep the next block."""

    height: int
    block: CertifiedBlock


@dataclass(frozen=True, slots=True)
class Discard:
    """Throw away what was kept: nobody has that snapshot any more."""


@dataclass(frozen=True, slots=True)
class Complete:
    """All is kept: make it durable and install it."""


@dataclass(frozen=True, slots=True)
class Told:
    """A line for the log."""

    level: str
    text: str


Effect = Ask | KeepManifest | KeepChunk | KeepBlock | Discard | Complete | Told


class _Begun:
    """A snapshot that is being fetched."""

    def __init__(self, manifest: Manifest, blocks: SnapshotBlocks, height: int) -> None:
        self.manifest = manifest
        self.blocks = blocks
        self.height = height
        self.missing = set(range(len(manifest.chunks)))
        self.waiting = deque(range(len(manifest.chunks)))
        """Chunks to ask for next; those asked for are in neither this nor kept."""


class SnapshotFetch:
    """See the module's text."""

    def __init__(self, trust: SnapshotTrust) -> None:
        self._trust = trust
        self._faulty_max = compute_faulty_max(len(trust.validators))
        self._ticks = 0
        self._connected: set[int] = set()
        self._offers: dict[int, dict[int, bytes]] = {}
        """What each peer offers: height → digest."""
        self._chosen: tuple[int, bytes] | None = None
        self._begun: _Begun | None = None
        self._asked: dict[int, tuple[Frame, int]] = {}
        """What each peer was asked, and at which tick."""
        self._asks: dict[int, int] = {}
        """How often each peer was asked in this tick."""
        self._resting: dict[int, int] = {}
        """Until which tick a peer is left alone."""
        self._gave: int | None = None
        """Who gave blocks last."""
        self._lacking: set[int] = set()
        """Peers that do not have the chosen snapshot any more."""
        self.is_complete = False

    @property
    def progress(self) -> tuple[int, int, int, int] | None:
        """(chunks kept, chunks, blocks kept, blocks) of what is being fetched; None before."""
        if self._begun is None:
            return None
        manifest, blocks = self._begun.manifest, self._begun.blocks
        count = self._begun.height - manifest.base_height + 1
        return (
            len(manifest.chunks) - len(self._begun.missing),
            len(manifest.chunks),
            blocks.next_height - manifest.base_height,
            count,
        )

    def resume(self, manifest: Manifest, blocks: SnapshotBlocks, missing: Collection[int]) -> None:
        """Go on with what is kept already: verified once, and checked again when it was read."""
        height = blocks.last_height
        self._begun = _Begun(manifest, blocks, height)
        self._begun.missing = set(missing)
        self._begun.waiting = deque(sorted(missing))
        self._chosen = height, b""

    def change_peer(self, replica: int, is_connected: bool) -> list[Effect]:
        """A connection came up or went down."""
        self._withdraw(replica)
        if not is_connected:
            self._connected.discard(replica)
            self._offers.pop(replica, None)
            return []
        self._connected.add(replica)
        first: list[Effect] = [Ask(replica, FetchSnapshots())] if self._begun is None else []
        return first + self._go_on()

    def tick(self) -> list[Effect]:
        """A fixed span passed."""
        self._ticks += 1
        self._asks.clear()
        effects: list[Effect] = []
        for replica, (frame, since) in list(self._asked.items()):
            if self._ticks - since >= ANSWER_TICKS_MAX:
                effects.append(Told("info", f"replica {replica} did not answer {_name(frame)}"))
                self._rest(replica)
        if self._begun is None and self._ticks % ASK_INTERVAL_TICKS == 0:
            effects += [Ask(replica, FetchSnapshots()) for replica in sorted(self._connected)]
        return effects + self._go_on()

    def take(self, replica: int, frame: Frame) -> list[Effect]:
        """A peer sent something; what was not asked of it is passed over."""
        if self.is_complete:
            return []
        if isinstance(frame, Snapshots):
            self._offers[replica] = {offer.height: offer.digest for offer in frame.offers}
            return self._choose()
        asked, _ = self._asked.get(replica, (None, 0))
        effects: list[Effect] = []
        try:
            match frame, asked:
                case SnapshotManifest(), FetchManifest() if frame.height == asked.height:
                    effects += self._take_manifest(replica, frame)
                case SnapshotChunk(), FetchChunk() if (frame.height, frame.index) == (
                    asked.height,
                    asked.index,
                ):
                    effects += self._take_chunk(replica, frame)
                case Blocks(), FetchBlocks() if frame.blocks:
                    self._gave = replica
                    for block in frame.blocks:
                        effects += self._take_block(block)
                case Blocks() | BlocksBegin(), FetchBlocks():
                    self._rest(replica)
                case _:
                    return []
        except Rejected as rejected:
            effects.append(
                Told(
                    "warning",
                    f"replica {replica} gave what is refused: {rejected} "
                    f"第 {replica} 号副本给出的快照内容被拒绝，原因见前",
                )
            )
            self._rest(replica)
        else:
            self._asked.pop(replica, None)
        return effects + self._go_on()

    # Which

    def _choose(self) -> list[Effect]:
        if self._begun is not None:
            return []
        counts: dict[tuple[int, bytes], int] = {}
        for offers in self._offers.values():
            for offer in offers.items():
                counts[offer] = counts.get(offer, 0) + 1
        needed = self._faulty_max + 1
        agreed = [offer for offer, count in counts.items() if count >= needed]
        if self._chosen in agreed:
            return []
        self._chosen = max(agreed, default=None)
        self._lacking.clear()
        if self._chosen is None:
            return []
        height, digest = self._chosen
        told = Told(
            "info",
            f"{counts[self._chosen]} members offer snapshot {digest.hex()[:16]} of block {height}",
        )
        return [told, *self._go_on()]

    # Taking

    def _take_manifest(self, replica: int, frame: SnapshotManifest) -> list[Effect]:
        chosen = self._chosen
        if chosen is None or self._begun is not None or frame.height != chosen[0]:
            return []
        if not frame.manifest:
            return self._take_lack(replica)
        digest = compute_digest(frame.manifest)
        if digest != chosen[1]:
            self._rest(replica)
            return [
                Told(
                    "warning",
                    f"replica {replica} gave a manifest of digest {digest.hex()[:16]}, and "
                    f"{chosen[1].hex()[:16]} was offered "
                    f"第 {replica} 号副本给出的清单与所提供的摘要不符",
                )
            ]
        manifest = decode_manifest(frame.manifest)
        header = verify_manifest(manifest, frame.certificate, frame.note, frame.proof, self._trust)
        blocks = SnapshotBlocks(manifest, header, self._trust)
        self._begun = _Begun(manifest, blocks, header.height)
        return [KeepManifest(frame.manifest, frame.note)]

    def _take_chunk(self, replica: int, frame: SnapshotChunk) -> list[Effect]:
        begun = self._begun
        if begun is None or frame.height != begun.height or frame.index not in begun.missing:
            return []
        if not frame.chunk:
            return self._take_lack(replica)
        check_chunk(begun.manifest, frame.index, frame.chunk)
        begun.missing.discard(frame.index)
        return [KeepChunk(frame.index, frame.chunk)]

    def _take_block(self, block: CertifiedBlock) -> list[Effect]:
        begun = self._begun
        if begun is None or begun.blocks.is_complete:
            return []
        height = begun.blocks.next_height
        begun.blocks.add(block.entries, block.certificate)
        return [KeepBlock(height, block)]

    def _take_lack(self, replica: int) -> list[Effect]:
        """A peer has the snapshot no longer; once f+1 say so, a newer one is looked for."""
        self._withdraw(replica)
        self._lacking.add(replica)
        self._offers.pop(replica, None)
        if len(self._lacking) <= self._faulty_max:
            return []
        height = 0 if self._chosen is None else self._chosen[0]
        self._chosen = self._begun = None
        self._lacking.clear()
        self._offers.clear()
        self._asked.clear()
        return [
            Told("info", f"the snapshot of block {height} is gone, a newer one is looked for"),
            Discard(),
            *[Ask(peer, FetchSnapshots()) for peer in sorted(self._connected)],
        ]

    # Asking

    def _go_on(self) -> list[Effect]:
        """Ask every peer that has nothing to do, or say that all is there."""
        if self._chosen is None or self.is_complete:
            return []
        begun = self._begun
        if begun is not None and begun.blocks.is_complete and not begun.missing:
            self.is_complete = True
            return [Complete()]
        effects: list[Effect] = []
        for replica in sorted(self._connected - self._asked.keys()):
            asks = self._asks.get(replica, 0)
            if self._resting.get(replica, 0) > self._ticks or asks >= ASKS_PER_TICK_MAX:
                continue
            frame = self._next_request(replica, begun)
            if frame is not None:
                self._asks[replica] = asks + 1
                self._asked[replica] = frame, self._ticks
                effects.append(Ask(replica, frame))
        return effects

    def _next_request(self, replica: int, begun: _Begun | None) -> Frame | None:
        frames = [frame for frame, _ in self._asked.values()]
        if self._chosen is None:
            return None
        if begun is None:
            is_free = not frames and replica not in self._lacking
            has_it = self._chosen[0] in self._offers.get(replica, {})
            return FetchManifest(self._chosen[0]) if is_free and has_it else None
        is_asked = any(isinstance(frame, FetchBlocks) for frame in frames)
        if not begun.blocks.is_complete and not is_asked and self._may_give(replica):
            return FetchBlocks(begun.blocks.next_height)
        if replica in self._lacking:
            return None
        return FetchChunk(begun.height, begun.waiting.popleft()) if begun.waiting else None

    def _may_give(self, replica: int) -> bool:
        """Say whether a peer may be asked for blocks: not twice running while others can be."""
        return replica != self._gave or all(
            self._resting.get(peer, 0) > self._ticks for peer in self._connected - {replica}
        )

    def _rest(self, replica: int) -> None:
        """Ask others for what this peer was asked, and leave it alone for a while."""
        self._withdraw(replica)
        self._resting[replica] = self._ticks + REST_TICKS

    def _withdraw(self, replica: int) -> None:
        frame, _ = self._asked.pop(replica, (None, 0))
        if isinstance(frame, FetchChunk) and self._begun is not None:
            self._begun.waiting.appendleft(frame.index)


def _name(frame: Frame) -> str:
    match frame:
        case FetchChunk():
            return f"for chunk {frame.index}"
        case FetchBlocks():
            return f"for blocks from {frame.height} on"
        case _:
            return "for the manifest"
