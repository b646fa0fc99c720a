"""Post-quantum cosignatures: who gives and collects them, what is kept, what a liar gets."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from genesis.document import Genesis
from ledger.block import Header
from ledger.checkpoint import Checkpoint, parse_checkpoint_text
from ledger.hashing import sha256
from ledger.note import NoteSignature, parse_note
from ledger.post_quantum import post_quantum_cosign, read_lines, verify_line
from node.messages import (
    POST_QUANTUM_START,
    PostQuantumCosigned,
    decode_frame,
    encode_frame,
)
from node.mldsa import MlDsaSigner, verify_mldsa
from node.post_quantum import HEIGHTS_MAX, RESEND_S, PostQuantumCosigning
from node.post_quantum_shelf import PostQuantumShelf, encode_answer
from node.timestamp_shelf import TimestampShelf
from node.witness_shelf import WitnessShelf
from sim.disk import Survival, VirtualDirectory
from storage.files import Damaged, DiskDirectory
from tests.verifier.small_chain import START_MS, SmallChain, post_quantum_signer

CHAIN = SmallChain(post_quantum=range(4))
GENESIS: Genesis = CHAIN.genesis
INTERVAL = 4


def note_at(height: int) -> bytes:
    """The certified checkpoint of a height: any tree will do, of 10 entries a block."""
    return CHAIN.note([b"%d" % at for at in range(10 * height)])


class Network:
    """Nodes whose frames reach one another at once, and one disk folder each."""

    def __init__(self, folder: Path, count: int = 4) -> None:
        self.now_ms = START_MS
        self.said: list[str] = []
        self.frames: list[tuple[int, bytes]] = []
        self.folder = folder
        self.thread = ThreadPoolExecutor(1)
        self.nodes = [self.make(replica) for replica in range(count)]

    def make(self, replica: int, signer: MlDsaSigner | None = None) -> PostQuantumCosigning:
        return PostQuantumCosigning(
            GENESIS,
            replica,
            signer or post_quantum_signer(CHAIN.network, replica),
            self.shelf(replica),
            INTERVAL,
            note_at,
            lambda payload: self.send(replica, payload),
            thread=self.thread,
            say=lambda level, text: self.said.append(f"{level}: {text}"),
            clock_ms=lambda: self.now_ms,
        )

    def shelf(self, replica: int) -> PostQuantumShelf:
        directory = DiskDirectory(self.folder / str(replica), create=True)
        return PostQuantumShelf(directory, INTERVAL)

    def send(self, replica: int, payload: bytes) -> None:
        self.frames.append((replica, payload))
        for other, node in enumerate(self.nodes):
            if other != replica:
                node.frame_arrived(replica, payload)

    def certify(self, height: int) -> None:
        for node in self.nodes:
            node.certified(height)

    async def work(self) -> None:
        for _ in range(2):
            for node in self.nodes:
                await node.work()


def header(height: int, count: int) -> Header:
    first = CHAIN.headers[0]
    return msgspec.structs.replace(first, height=height, count=count)


def answered(shelf: PostQuantumShelf, size: int) -> tuple[int, int]:
    """The height and number of good lines that the API answers of a size."""
    file = msgspec.json.decode(encode_answer(shelf.read(size)[0], [bytes(32)]))
    note = parse_note(file["checkpoint"].encode())
    checkpoint = parse_checkpoint_text(note.text)
    keys = [msgspec.convert(key, bytes) for key in file["keys"]]
    lines = read_lines(note, keys, GENESIS.post_quantum_members)
    assert [verify_line(line, checkpoint, verify_mldsa).cosigner for line in lines] == sorted(
        line.member for line in lines
    )
    assert file["size"] == checkpoint.size == size
    assert len(file["path"]) == 1
    return file["height"], len(lines)


async def test_all_lines_of_a_due_height_are_kept(tmp_path: Path) -> None:
    network = Network(tmp_path)
    for height in (3, 4, 5):
        network.certify(height)
    await network.work()
    for replica in range(4):
        shelf = network.shelf(replica)
        assert (shelf.first_size_at_or_after(1), shelf.newest_size) == (40, 40)
        assert answered(shelf, 40) == (4, 4)
    assert len(network.frames) == 4
    assert all(payload.startswith(POST_QUANTUM_START) for _, payload in network.frames)


async def test_a_quorum_is_enough_and_less_is_not_served(tmp_path: Path) -> None:
    network = Network(tmp_path, count=2)
    network.certify(4)
    await network.work()
    assert network.shelf(0).newest_size == 0
    network.nodes.append(network.make(2))
    network.nodes[2].certified(4)
    await network.work()
    assert answered(network.shelf(0), 40) == (4, 3)


async def test_a_missing_line_is_asked_for_by_saying_ones_own_again(tmp_path: Path) -> None:
    network = Network(tmp_path, count=3)
    network.certify(4)
    await network.work()
    await network.work()
    assert len(network.frames) == 3
    network.now_ms += int(RESEND_S * 1000)
    await network.work()
    assert len(network.frames) == 6
    network.now_ms -= 3 * 3_600_000  # somebody sets the clocks back
    await network.work()
    assert len(network.frames) == 9


async def test_the_first_idle_block_is_due_and_goes_when_a_later_one_is_kept(
    tmp_path: Path,
) -> None:
    network = Network(tmp_path)
    for height, count, kept in ((5, 3, 0), (6, 0, 60), (7, 0, 60), (9, 2, 60), (10, 0, 100)):
        for node in network.nodes:
            node.committed(header(height, count))
        network.certify(height)
        await network.work()
        assert network.shelf(0).newest_size == kept
    assert network.shelf(0).first_size_at_or_after(1) == 100
    network.certify(12)
    await network.work()
    assert network.shelf(0).first_size_at_or_after(1) == 120
    network.certify(16)
    await network.work()
    assert network.shelf(0).first_size_at_or_after(1) == 120


async def test_a_line_that_comes_early_waits(tmp_path: Path) -> None:
    network = Network(tmp_path)
    for node in network.nodes[1:]:
        node.certified(4)
    await network.work()
    assert network.shelf(0).newest_size == 0
    network.nodes[0].certified(4)
    await network.work()
    assert answered(network.shelf(0), 40) == (4, 4)


async def test_a_node_goes_on_with_the_last_height_of_the_interval(tmp_path: Path) -> None:
    network = Network(tmp_path)
    for node in network.nodes:
        node.resume(6)
    await network.work()
    assert answered(network.shelf(0), 40) == (4, 4)
    again = network.make(0)
    again.resume(6)
    await again.work()
    assert len(network.frames) == 4


def lie(height: int = 4, seed: int = 1, size: int = 40) -> PostQuantumCosigned:
    """What replica 1 says of a tree that nobody else has, or with another key."""
    key = post_quantum_signer(CHAIN.network, seed) if seed < 4 else MlDsaSigner(bytes(32))
    tree = Checkpoint(GENESIS.origin, size, sha256(b"fork"))
    name = GENESIS.post_quantum_members[1].name
    line: NoteSignature = post_quantum_cosign(tree, name, key.public_key, key.sign, 9)
    return PostQuantumCosigned(height, size, tree.root, key.public_key, line.signature)


async def test_a_lie_is_named_and_does_not_count(tmp_path: Path) -> None:
    network = Network(tmp_path, count=1)
    node, name = network.nodes[0], GENESIS.post_quantum_members[1].name
    node.certified(4)
    node.frame_arrived(1, encode_frame(lie()))
    await node.work()
    node.frame_arrived(1, encode_frame(lie(seed=9)))
    await node.work()
    expected = GENESIS.post_quantum_members[1].key_hash
    assert expected is not None
    assert network.said == [
        (
            f"warning: post-quantum: replica 1: bad_signature: Checkpoint: the ML-DSA-44 "
            f"cosignature of {name} is wrong 第 1 号副本的后量子联署未通过核验，原因见前"
        ),
        (
            f"warning: post-quantum: replica 1: unknown_key: Post-quantum line of {name}: the "
            f"key's SHA-256 is {sha256(lie(seed=9).public_key).hex()}, and genesis gives "
            f"{expected.hex()} 第 1 号副本的后量子联署未通过核验，原因见前"
        ),
    ]
    assert network.shelf(0).newest_size == 0


async def test_a_flood_fills_few_slots(tmp_path: Path) -> None:
    network = Network(tmp_path, count=1)
    node = network.nodes[0]
    for height in range(100, 120):
        node.frame_arrived(1, encode_frame(lie(height)))
    assert len(node._inbox[1]) == HEIGHTS_MAX
    node.certified(4)
    await node.work()
    assert network.said == []


async def test_with_another_key_than_genesis_names_nothing_is_signed(tmp_path: Path) -> None:
    network = Network(tmp_path, count=0)
    node = network.make(0, MlDsaSigner(bytes(32)))
    assert not node.can_sign
    node.certified(4)
    await node.work()
    assert network.frames == []


async def test_a_changed_file_is_damaged(tmp_path: Path) -> None:
    network = Network(tmp_path)
    network.certify(4)
    await network.work()
    path = tmp_path / "0" / f"{40:020d}.json"
    path.write_bytes(path.read_bytes().replace(b'"height":4', b'"height":8 ', 1))
    with pytest.raises(Damaged, match="it is not what is written as evidence-ledger/post-quantum"):
        network.shelf(0).read(40)


async def test_a_damaged_file_does_not_keep_later_ones_from_being_kept(tmp_path: Path) -> None:
    network = Network(tmp_path)
    network.certify(4)
    await network.work()
    (tmp_path / "0" / f"{40:020d}.json").write_bytes(b"{")
    network.certify(8)
    await network.work()
    assert network.shelf(0).read(80)[0].height == 8
    with pytest.raises(Damaged):
        network.shelf(0).read(40)


class MovingDirectory(DiskDirectory):
    """Has the shelf's thread write just before a file that the API chose is read."""

    meanwhile: Callable[[], None] | None = None

    def pread(self, name: str, offset: int, length: int) -> bytes:
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            act()
        return super().pread(name, offset, length)


def test_a_file_removed_while_it_is_read_is_not_called_damaged(tmp_path: Path) -> None:
    """One between the configured heights goes when a later one is kept: the API's reader, on
    another thread, had chosen it just before."""
    directory = MovingDirectory(tmp_path / "moving", create=True)
    shelf = PostQuantumShelf(directory, INTERVAL)
    shelf.keep(3, 30, note_at(3), [])
    directory.meanwhile = lambda: shelf.keep(4, 40, note_at(4), [])
    found = shelf.find(25)
    assert found is not None
    assert (found[0].size, shelf.newest_size, shelf.first_size_at_or_after(1)) == (40, 40, 40)
    directory.close()


def test_the_frame_is_known_by_its_start() -> None:
    frame = lie()
    raw = encode_frame(frame)
    assert raw.startswith(POST_QUANTUM_START)
    assert decode_frame(raw) == frame


@pytest.mark.parametrize("shelf", [TimestampShelf, WitnessShelf])
def test_what_a_killed_process_left_unsynced_stays_once_it_was_seen(
    shelf: type[TimestampShelf | WitnessShelf],
) -> None:
    """Nobody is asked again for what a start has seen, and a loss of power took it."""
    directory = VirtualDirectory("fake")
    directory.create("draft")
    directory.pwrite("draft", 0, b"{}")
    directory.fsync("draft")
    directory.rename("draft", f"{40:020d}.json")
    assert shelf(directory).newest_size == 40
    directory.power_loss(Survival.NONE, random.Random(1))
    assert shelf(directory).newest_size == 40
