"""A node that joins by a snapshot of hand-stepped drivers: the real fetching, files and index."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.snapshot import name_chunk, pack_chunks
from node.effects import FrameReceived, SendFrame
from node.joining import Joining, trust_of
from node.messages import Frame, decode_frame, encode_frame
from node.snapshot_export import freeze
from node.snapshot_files import Base, SnapshotFiles
from node.snapshot_index import build_index
from sim.deployment import REPLAY_WINDOW_MS
from sim.disk import VirtualDirectory
from storage.memory import MemoryStore
from tests.node.driving import Drivers, Machine

JOINER = 3

Tampers = Callable[[int, Frame], Frame | None]
"""(peer, its answer) → what arrives; None if nothing does."""


def make_snapshot(machine: Machine) -> int:
    """Put a snapshot of a machine's newest block on its shelf; return its height."""
    chain = machine.driver.chain
    frozen = freeze(machine.store, chain.header, chain.limits)
    height = chain.header.height
    machine.shelf.begin(height)
    names = []
    for chunk in pack_chunks(frozen.rows()):
        if chunk is not None:
            machine.shelf.append(height, chunk)
            names.append(name_chunk(chunk))
    machine.shelf.finish(height, frozen.manifest(tuple(names)))
    return height


def old_network(streams: int = 6, *, passes_window: bool = True) -> Drivers:
    """Three machines with a chain and a snapshot of it; the fourth was never there.

    More than the replay window lies between its first blocks and the last.
    """
    network = Drivers()
    network.start(0, 1, 2)
    for at in range(streams):
        network.submit(0, network.transaction(f"old-{at}", stream=f"contract/c-{at}"))
        network.grow(1)
    if passes_window:
        network.now_ms += REPLAY_WINDOW_MS
    network.grow(3)
    for machine in network.machines[:JOINER]:
        make_snapshot(machine)
    return network


@dataclass
class Joiner:
    """The fourth machine while it fetches."""

    network: Drivers
    directory: VirtualDirectory = field(default_factory=lambda: VirtualDirectory("joining"))
    segments: VirtualDirectory = field(default_factory=lambda: VirtualDirectory("blocks"))
    tampers: Tampers = lambda _peer, frame: frame
    asked: list[tuple[int, Frame]] = field(default_factory=list)
    is_done: bool = False

    def begin(self) -> None:
        """Start, or start again with what is on the disks."""
        self.inbox: deque[tuple[int, Frame]] = deque()
        self.is_done = False
        genesis = self.network.deployment.genesis
        files = SnapshotFiles(self.directory, self.segments)
        self.joining = Joining(trust_of(genesis), files, self._stop)
        self.joining.carrier = self
        for peer in range(JOINER):
            self.joining.peer_changed(peer, True)

    def _stop(self) -> None:
        self.is_done = True

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to end."""

    def send(self, replica: int, payload: bytes, bulk: bool = False) -> bool:
        """Have a real driver answer."""
        self.asked.append((replica, decode_frame(payload)))
        machine = self.network.machines[replica]
        before = len(machine.done)
        machine.step(FrameReceived(JOINER, payload))
        for effect in machine.done[before:]:
            if isinstance(effect, SendFrame) and effect.replica == JOINER:
                self.inbox.append((replica, effect.frame))
        return True

    def run(self, ticks: int = 2_000) -> None:
        """Take what comes, and let time pass when nothing does, until it is done."""
        for _ in range(ticks):
            while self.inbox and not self.is_done:
                replica, frame = self.inbox.popleft()
                arrived = self.tampers(replica, frame)
                if arrived is not None:
                    self.joining.frame_arrived(replica, encode_frame(arrived))
            if self.is_done:
                return
            self.network.tick(1, *range(JOINER))
            self.joining._perform(self.joining._fetch.tick())
        raise AssertionError("the snapshot is not complete")

    def install(self) -> Machine:
        """Begin the fourth machine with what was fetched."""
        base = Base(self.directory)
        index = MemoryStore()
        build_index(base, self.segments, index)
        machine = Machine(JOINER, self.network, segments=self.segments, index=index)
        machine.begins = base.start
        self.network.machines[JOINER] = machine
        return machine


def join(network: Drivers, joiner: Joiner | None = None) -> Machine:
    """Fetch, install and start in recovery, connected to all."""
    from node.effects import PeerChanged

    fetching = Joiner(network) if joiner is None else joiner
    fetching.begin()
    fetching.run()
    machine = fetching.install()
    machine.start(is_recovering=True)
    for other in range(JOINER):
        machine.step(PeerChanged(other, True))
        network.machines[other].step(PeerChanged(JOINER, True))
    return machine
