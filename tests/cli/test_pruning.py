"""`node prune`: old segments move to an archive, and nothing is lost at any step."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from api.ports import Unavailable
from cli import pruning
from cli.drafts import Draft
from contracts.execution import Chain, execute_block, parse_candidate
from law.days import day_of, show_day
from ledger.block import TransactionEntry, decode_entry
from ledger.transaction import compute_tx_id, decode_transaction
from node.archived import find_archived, open_segments
from node.config import load_config, render_config
from node.home import NodeHome
from node.kept_entries import keep_before
from node.ledger_store import LedgerStore, open_ledger
from node.messages import BlocksBegin
from node.queries import Queries
from node.server import LOCK_FILE, open_keyvalue
from node.serving import collect_blocks
from storage.archive import MARK_FILE, NotMounted
from storage.chain import ChainStore
from storage.files import DiskDirectory
from storage.rows import KEPT, KEPT_BEFORE_KEY
from tests.cli.running import Command, StoredChain, amount, opening, registrations
from tests.contracts.life_world import LOCKED, PERSONS, hash_of, load
from tests.storage.killing import Changes, Crash

HOUR_MS = 3_600_000
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def long_chain(tmp_path_factory: pytest.TempPathFactory) -> StoredChain:
    """Blocks in segments of their own; the last two are three hours younger."""
    chain = StoredChain(tmp_path_factory.mktemp("stored") / "net")
    defaults = ChainStore.open.__func__.__kwdefaults__  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(defaults, "segment_bytes", 100)
        chain.append(registrations(chain.state), [opening("a"), *living()])
        chain.append(*[[amount("prepaid.prepay", "a", 100, f"pay-{at}")] for at in range(3)])
        now_ns = time.time_ns()
        patch.setattr("tests.cli.running.time.time_ns", lambda: now_ns + 3 * HOUR_MS * 10**6)
        chain.append([amount("prepaid.prepay", "a", 100, "late")], [])
    return chain


def living() -> list[Draft]:
    """A contract under terms, signed, paid, served and ended."""
    terms = load("terms/hair-card.v1.json")
    signing = {
        "card": "bearer", "consumer_party": "", "custodian": "bank-a", "merchant": "m-yoga",
        "persons": PERSONS, "prompted": [], "terms": hash_of(terms),
    }  # fmt: skip
    delivery = {"debited": 4800, "item": "cut", "units": 1}
    return [
        Draft("terms.publish", {"document": terms}, "terms/hair-card", "terms", ["m-yoga"]),
        Draft("contract.signed", signing, "contract/life", "sign", ["m-yoga"]),
        Draft("funds.locked", LOCKED, "contract/life", "lock", ["bank-a"]),
        Draft("service.delivered", delivery, "contract/life", "cut", ["m-yoga"]),
        Draft("termination.requested", {"cure_until": None}, "contract/life", "end", ["m-yoga"]),
    ]


@contextmanager
def unmounted(home: NodeHome) -> Iterator[None]:
    """The archive's disk is elsewhere."""
    place = archive_of(home)
    place.rename(place.with_name(place.name + "-elsewhere"))
    yield
    place.with_name(place.name + "-elsewhere").rename(place)


def execute_later(home: NodeHome, chain: StoredChain) -> tuple[bytes, list[str]]:
    """Execute a block that looks back on the contract; return its state root and the codes."""
    _, state, close = opened(home, chain.genesis)
    notice = state.stream("contract/life").newest.hex()
    time_ms = state.header.time_ms + 1
    owed = {"as_of": show_day(day_of(time_ms))}
    drafts = [
        Draft("notice.arrived", {"of": notice}, "contract/life", "arrived", ["bank-a"]),
        Draft("refund.computed", owed, "contract/life", "owed", ["bank-a"]),
    ]
    signed = [
        chain._sign(replace(draft, salt=f"{at:032x}"), time_ms) for at, draft in enumerate(drafts)
    ]
    candidates = [parse_candidate(decode_transaction(raw)) for raw in signed]
    block = execute_block(state, time_ms, candidates, proposer=0, rule_pack_version=1)
    close()
    return block.header.state_root, [outcome.code for outcome in block.outcomes]


@pytest.fixture
def home(long_chain: StoredChain, tmp_path: Path) -> NodeHome:
    """A copy of that home, whose configuration names an archive."""
    place = NodeHome(Path(shutil.copytree(long_chain.home.path, tmp_path / "home")))
    (tmp_path / "archive").mkdir()
    set_archive(place, str(tmp_path / "archive"))
    return place


def set_archive(home: NodeHome, path: str) -> None:
    text = render_config(load_config(home))
    old = next(line for line in text.splitlines() if line.startswith("archive = "))
    home.config.write_text(text.replace(old, f'archive = "{path}"'))


def archive_of(home: NodeHome) -> Path:
    return home.resolve(load_config(home).storage.archive)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.segment"))


def opened(home: NodeHome, genesis: Any) -> tuple[LedgerStore, Chain, Callable[[], None]]:
    config = load_config(home)
    directory = DiskDirectory(home.chain)
    segments = open_segments(home, config, genesis.chain_id, directory)
    store, chain = open_ledger(segments, open_keyvalue(home.index, config.storage), genesis)

    def close() -> None:
        store.chain_store.close()
        segments.close()

    return store, chain, close


def all_blocks(home: NodeHome, genesis: Any) -> list[Any]:
    store, chain, close = opened(home, genesis)
    found = [store.block(height) for height in range(chain.header.height + 1)]
    close()
    return found


def prune(command: Command, home: NodeHome, keep: int = 1) -> int:
    return command.run("node", "prune", "--home", home.path, "--keep-blocks", str(keep))


def test_old_segments_move_and_are_read_from_the_archive(
    command: Command, long_chain: StoredChain, home: NodeHome
) -> None:
    before = all_blocks(home, long_chain.genesis)
    everything = names(home.chain)
    assert prune(command, home) == 0, command.err
    moved = names(archive_of(home))
    assert len(moved) >= 4
    assert moved + names(home.chain) == everything
    assert f"Moved {len(moved)} segments (" in command.out
    assert all_blocks(home, long_chain.genesis) == before
    assert command.run("inspect", "--home", home.path) == 0, command.out
    assert prune(command, home) == 0
    assert command.out.startswith("Moved 0 segments (0 bytes); blocks from ")
    assert command.run("node", "backup", "--home", home.path, "-o", home.path / "b.tar") == 0


@pytest.mark.parametrize("cut", [0, 100, None])
def test_a_file_that_a_mounted_archive_lacks_is_named(
    command: Command, home: NodeHome, cut: int | None
) -> None:
    assert prune(command, home) == 0, command.err
    file = archive_of(home) / names(archive_of(home))[1]
    if cut is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:cut])
    assert command.run("inspect", "--home", home.path) == 1
    assert (
        f"DAMAGED  files and rows: {file.name} was moved to the archive, where {file} is missing, "
        "cannot be read or has another size; blocks from "
    ) in command.out


def test_a_list_of_moved_segments_with_another_name_in_it_is_named(
    command: Command, home: NodeHome
) -> None:
    assert prune(command, home) == 0, command.err
    raw = home.archived.read_bytes()
    for old, new in ((b"00000001.segment", b"00000003.segment"), (b"0.segment", b"0.segmunt")):
        home.archived.write_bytes(raw.replace(old, new))
        assert command.run("inspect", "--home", home.path) == 1
        said = f"DAMAGED  chain: {home.archived}, offset 0: cannot be read: it does not name the "
        assert said in command.out


def test_the_replay_window_and_the_newest_blocks_stay(
    command: Command, long_chain: StoredChain, home: NodeHome
) -> None:
    """The window reaches back to the last block before the three hours."""
    assert prune(command, home, keep=10_000) == 0
    assert names(archive_of(home)) == []
    assert "Segments that hold block 0 or a later one stay." in command.out
    assert prune(command, home) == 0
    store, chain, close = opened(home, long_chain.genesis)
    newest = chain.header
    in_home = [
        sealed.first_height
        for sealed in store.chain_store.segments.sealed()
        if sealed.name in names(home.chain)
    ]
    window = newest.time_ms - long_chain.genesis.parameters.replay_window_ms
    assert store.header(min(in_home)).time_ms < window
    assert store.header(min(in_home) + 1).time_ms >= window
    close()


async def test_without_its_archive_a_node_proves_as_before_and_names_what_it_lacks(
    command: Command, long_chain: StoredChain, home: NodeHome
) -> None:
    assert prune(command, home) == 0
    place = archive_of(home)
    lost = names(place)[0]
    place.rename(place.with_name("elsewhere"))
    store, chain, close = opened(home, long_chain.genesis)
    held_from = min(
        sealed.first_height
        for sealed in store.chain_store.segments.sealed()
        if sealed.name in names(home.chain)
    )
    sentence = (
        f"{lost} was moved to the archive, which is not mounted at {place} (no ARCHIVE of this "
        f"chain is there); blocks from {held_from} on are held here"
    )
    with pytest.raises(NotMounted) as missing:
        store.block(0)
    assert str(missing.value) == sentence
    assert store.certificate(1) is None
    assert collect_blocks(store, 1, chain.header.height) == BlocksBegin(held_from)
    assert collect_blocks(store, held_from, chain.header.height) is not None
    queries = Queries(SimpleNamespace(disk=SimpleNamespace(store=store), chain=chain))  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as unavailable:
        await queries.block(0)
    assert str(unavailable.value) == sentence
    assert unavailable.value.detail_zh == (
        f"{lost} 已移至归档，而归档未挂载在 {place}（该处没有本链的 ARCHIVE 文件）；本节点存有高度 "
        f"{held_from} 起的区块"
    )
    close()
    place.with_name("elsewhere").rename(place)
    mounted, _, close = opened(home, long_chain.genesis)
    entry = decode_entry(mounted.block(2)[0][0])
    assert isinstance(entry, TransactionEntry)
    tx_id = compute_tx_id(entry.envelope.body)
    with_archive = await Queries(
        SimpleNamespace(disk=SimpleNamespace(store=mounted), chain=chain)  # type: ignore[arg-type]
    ).proof(tx_id)
    close()
    place.rename(place.with_name("elsewhere"))
    store, chain, close = opened(home, long_chain.genesis)
    queries = Queries(SimpleNamespace(disk=SimpleNamespace(store=store), chain=chain))  # type: ignore[arg-type]
    assert await queries.proof(tx_id) == with_archive
    assert queries.tile(0, 0, 2)
    for ask in (queries.position, queries.entry):
        with pytest.raises(Unavailable, match="which is not mounted at"):
            ask(tx_id)
    with pytest.raises(Unavailable, match="which is not mounted at"):
        await queries.evidence(tx_id)
    with pytest.raises(Unavailable, match="which is not mounted at"):
        await queries.history("a")
    close()
    assert command.run("inspect", "--home", home.path) == 1
    assert "which is not mounted at" in command.out
    assert command.run("node", "backup", "--home", home.path, "-o", home.path / "b.tar") == 1
    assert "A backup is of the whole chain: " in command.err
    assert prune(command, home) == 1
    assert f"{place} (storage.archive) is no folder, or not mounted." in command.err


def test_without_its_archive_a_node_executes_what_looks_back(
    command: Command, long_chain: StoredChain, home: NodeHome
) -> None:
    expected = execute_later(home, long_chain)
    assert expected[1] == ["", ""]
    assert prune(command, home) == 0
    with unmounted(home):
        assert execute_later(home, long_chain) == expected
    assert execute_later(home, long_chain) == expected


def test_a_lost_index_is_built_from_the_archive_too(
    command: Command, long_chain: StoredChain, home: NodeHome
) -> None:
    before = all_blocks(home, long_chain.genesis)
    expected = execute_later(home, long_chain)
    assert prune(command, home) == 0
    shutil.rmtree(home.index)
    home.index.mkdir()
    assert all_blocks(home, long_chain.genesis) == before
    with unmounted(home):
        store, chain, close = opened(home, long_chain.genesis)
        with pytest.raises(NotMounted):
            keep_before(store, find_archived(home), chain.header.time_ms)
        close()
    store, chain, close = opened(home, long_chain.genesis)
    assert keep_before(store, find_archived(home), chain.header.time_ms)
    close()
    with unmounted(home):
        assert execute_later(home, long_chain) == expected


def test_a_node_starts_without_its_archive_only_if_it_has_kept_what_it_may_read(
    command: Command, long_chain: StoredChain, home: NodeHome
) -> None:
    """As one pruned before there were such rows: it reads them once from the mounted archive."""
    assert prune(command, home) == 0
    index = open_keyvalue(home.index, load_config(home).storage)
    assert index.get(KEPT_BEFORE_KEY) is not None
    index.write([], [KEPT_BEFORE_KEY, *(key for key, _ in index.freeze(KEPT, KEPT_BEFORE_KEY))])
    index.close()
    run = [sys.executable, "-m", "cli", "node", "run", "--home", str(home.path)]
    with unmounted(home):
        ended = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 1
    assert (
        "this node cannot start: it has to read its oldest blocks once more, and 0000"
        in ended.stdout + ended.stderr
    )
    assert "was moved to the archive, which is not mounted at" in ended.stdout + ended.stderr


def test_what_cannot_be_done_safely_is_refused(
    command: Command, long_chain: StoredChain, home: NodeHome
) -> None:
    place = archive_of(home)
    running = DiskDirectory(home.path)
    running.lock(LOCK_FILE)
    assert prune(command, home) == 1
    assert "stop it first" in command.err
    running.close()
    (place / "holiday.jpg").write_bytes(b"")
    assert prune(command, home) == 1
    assert "is not empty and not the archive of this chain; nothing was moved." in command.err
    (place / "holiday.jpg").unlink()
    assert prune(command, home, keep=0) == 2
    assert names(place) == []
    assert prune(command, home) == 0
    for path in place.iterdir():
        path.unlink()
    assert prune(command, home) == 1
    assert "is empty, and segments were moved there: mount the archive first." in command.err
    (place / MARK_FILE).write_bytes(b"evidence-ledger archive of chain 00\n")
    assert prune(command, home) == 1
    assert "not the archive of this chain" in command.err
    set_archive(home, "")
    assert prune(command, home) == 2
    assert "names no archive" in command.err


@pytest.mark.parametrize("at", [0, 9, 23, 24, 200])
def test_a_flipped_byte_of_an_archived_segment_is_named(
    command: Command, home: NodeHome, at: int
) -> None:
    """Also of the first bytes, which are read from the home's list and not from the archive."""
    assert prune(command, home) == 0
    assert command.run("inspect", "--home", home.path) == 0, command.out
    assert "segments, each as listed" in command.out
    file = next(path for path in sorted(archive_of(home).iterdir()) if path.suffix == ".segment")
    raw = bytearray(file.read_bytes())
    raw[at] ^= 1
    file.write_bytes(raw)
    assert command.run("inspect", "--home", home.path) == 1
    assert file.name in command.out


@pytest.mark.parametrize("key", ["name", "size_bytes", "sha256", "head", "last_height"])
def test_a_list_of_archived_segments_that_says_something_else_is_named(
    command: Command, home: NodeHome, key: str
) -> None:
    """A node that cannot go by it says so and does not start; nor does anything else end badly."""
    assert prune(command, home) == 0
    value = json.loads(home.archived.read_bytes())
    for spoilt in (value["segments"][0], value["segments"][-1]):
        right = spoilt[key]
        for wrong in (
            (f"x{right}", right[1:]) if isinstance(right, str) else (right + 1, -1 - right)
        ):
            spoilt[key] = wrong
            home.archived.write_bytes(json.dumps(value, indent=1).encode() + b"\n")
            assert command.run("inspect", "--home", home.path) == 1, (wrong, command.out)
            assert command.run("node", "backup", "--home", home.path, "-o", home.path / "b") in (
                0,
                1,
            )
            shutil.rmtree(home.path / "b", ignore_errors=True)
        spoilt[key] = right


def test_a_segment_that_is_damaged_is_not_archived(
    command: Command, long_chain: StoredChain, home: NodeHome
) -> None:
    first = home.chain / names(home.chain)[1]
    raw = bytearray(first.read_bytes())
    raw[-3] ^= 1
    first.write_bytes(raw)
    assert prune(command, home) == 1
    assert f"{first}, offset " in command.err
    assert first.read_bytes() == raw
    assert names(archive_of(home)) == [names(archive_of(home))[0]] == ["00000000.segment"]


def test_a_copy_that_reads_back_otherwise_costs_nothing(
    command: Command, home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, everything = archive_of(home), names(home.chain)
    real = DiskDirectory.pread

    def rotten(self: DiskDirectory, name: str, offset: int, length: int) -> bytes:
        data = real(self, name, offset, length)
        return b"\0" + data[1:] if self.path == str(place) else data

    monkeypatch.setattr(DiskDirectory, "pread", rotten)
    assert prune(command, home) == 1
    assert "was written; nothing was removed" in command.err
    assert names(home.chain) == everything


def test_a_kill_at_any_step_loses_nothing_and_the_next_run_ends_well(
    command: Command, long_chain: StoredChain, home: NodeHome, tmp_path: Path
) -> None:
    before = all_blocks(home, long_chain.genesis)
    expected = execute_later(home, long_chain)
    number, is_through = 0, False
    while not is_through:
        number += 1
        copy = NodeHome(Path(shutil.copytree(home.path, tmp_path / f"home-{number}")))
        (tmp_path / f"archive-{number}").mkdir()
        set_archive(copy, str(tmp_path / f"archive-{number}"))
        with pytest.MonkeyPatch.context() as patch:
            kill_before(patch, number)
            try:
                assert pruning.prune(copy, 1).count
                is_through = True
            except Crash:
                pass
        assert all_blocks(copy, long_chain.genesis) == before
        if copy.archived.exists():
            with unmounted(copy):
                assert execute_later(copy, long_chain) == expected
        pruning.prune(copy, 1)
        assert all_blocks(copy, long_chain.genesis) == before
        shutil.rmtree(copy.path)
    assert number > 20


def kill_before(patch: pytest.MonkeyPatch, number: int) -> None:
    """End the process before the `number`-th change of a disk."""
    changes = Changes(number)
    for name in ("create", "pwrite", "fsync", "fsync_directory", "rename", "remove"):
        patch.setattr(DiskDirectory, name, changes.counted(name, getattr(DiskDirectory, name)))
    write_file = changes.counted("write_file", pruning.write_file)
    patch.setattr(pruning, "write_file", write_file)


def test_a_pruned_home_is_restored_whole_and_its_list_goes(
    command: Command, long_chain: StoredChain, home: NodeHome, tmp_path: Path
) -> None:
    before = all_blocks(home, long_chain.genesis)
    assert prune(command, home) == 0
    backup = tmp_path / "backup.tar"
    assert command.run("node", "backup", "--home", home.path, "-o", backup) == 0
    for folder in (home.chain, home.index):
        shutil.rmtree(folder)
    home.base.mkdir()
    (home.base / "manifest").write_bytes(b"of another time")
    assert command.run("node", "restore", backup, "--home", home.path) == 0, command.err
    assert not home.archived.exists()
    assert not home.base.exists()
    assert all_blocks(home, long_chain.genesis) == before
