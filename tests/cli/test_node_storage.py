"""Backup, restore and recovery of a stopped node, and the full offline inspection."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli import inspection, node_storage
from cli.devnet_addresses import Layout
from cli.devnet_homes import create_devnet
from node.certification import log_trust
from node.config import load_config, render_config
from node.home import NodeHome
from node.ledger_store import open_ledger
from node.restored_checkpoints import RESTORED_PROGRESS, take_restored
from node.server import LOCK_FILE, _Server, open_identity, open_journal, open_keyvalue
from sim.disk import Survival
from storage.audit import verify_chain
from storage.backup import RECOVER_MARKER
from storage.chain import ChainStore
from storage.files import Damaged, DiskDirectory
from storage.journal import Journal
from storage.memory import MemoryStore
from storage.rows import HEIGHT, REPLAY_KEY
from tests.cli.running import Command, StoredChain, encode_votes, write_journal
from tests.leveldb import needs_leveldb
from tests.storage.crashing import CrashingDirectory
from tests.storage.killing import Changes, Crash


def test_a_whole_home_passes_every_check(command: Command, home: Path) -> None:
    assert command.run("inspect", "--home", home) == 0, command.out
    lines = command.out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == [
        "ok       genesis",
        "ok       identity",
        "ok       secrets",
        "ok       audit",
        "ok       vote journal",
        "ok       spool",
        "ok       chain",
        "ok       torn ends",
        "ok       index",
        "ok       votes and chain",
        "ok       files and rows",
        "ok       execution",
        "ok       state",
        "ok       earlier entries",
        "ok       client signatures",
        "ok       commit certificates",
        "ok       checkpoints",
        "ok       base",
        "ok       archive",
        "ok       snapshots",
        "ok       statements",
    ]
    assert lines[-1] == f"Everything in {home} is as it should be. 全部检查通过。"
    assert "every signature of 17 transactions" in command.out


def read_home(home: Path) -> dict[str, tuple[bytes, int, int]]:
    """Everything that could tell that somebody was there, but for the time of reading."""
    return {
        str(path.relative_to(home)): (
            path.read_bytes() if path.is_file() else b"",
            path.stat().st_mtime_ns,
            path.stat().st_ctime_ns,
        )
        for path in [home, *sorted(home.rglob("*"))]
    }


def test_inspecting_changes_nothing(
    command: Command, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (home / LOCK_FILE).unlink(missing_ok=True)
    before = read_home(home)
    assert command.run("inspect", "--home", home) == 0
    assert read_home(home) == before
    flip(segment(home), 300)
    before = read_home(home)
    assert command.run("inspect", "--home", home) == 1
    assert read_home(home) == before
    assert list(temporary.iterdir()) == []


def test_a_home_that_never_started_is_in_order_and_stays_so(command: Command, home: Path) -> None:
    place = NodeHome(home)
    for path in (place.chain, place.index, place.journal, place.spool):
        shutil.rmtree(path)
        path.mkdir()
    with closing(DiskDirectory(place.journal)) as journal:
        Journal.create(journal)
    before = read_home(home)
    assert command.run("inspect", "--home", home) == 0, command.out
    assert "ok       chain: no block is stored yet; genesis comes with the start" in command.out
    assert read_home(home) == before


def test_a_home_that_never_started_stays_fit_to_be_restored_into(
    command: Command, home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "backup.tar"
    assert command.run("node", "backup", "--home", home, "-o", out) == 0
    place = NodeHome(home)
    for path in (place.chain, place.index):
        shutil.rmtree(path)
        path.mkdir()
    assert command.run("node", "backup", "--home", home, "-o", tmp_path / "none.tar") == 1
    assert command.refusal == f"{home} holds no chain yet; nothing was changed."
    assert command.run("node", "restore", out, "--home", home) == 0, command.err


def test_a_removed_index_is_built_again_in_the_copy_only(command: Command, home: Path) -> None:
    shutil.rmtree(NodeHome(home).index)
    NodeHome(home).index.mkdir()
    assert command.run("inspect", "--home", home) == 0, command.out
    assert "The index is empty and the segments reach block 5: 6 to replay." in command.out
    assert (
        "WARNING  index: there is none, and the segments have 6 blocks: the start builds it from "
        "them. The start builds it again"
    ) in command.out
    assert command.out.endswith(
        f"Nothing in {home} is damaged; 1 checks found what you should look at. "
        "未发现损坏；有 1 项请留意。\n"
    )
    assert list(NodeHome(home).index.iterdir()) == []


def test_a_folder_that_is_gone_is_as_an_empty_one(command: Command, home: Path) -> None:
    """A start makes both."""
    shutil.rmtree(NodeHome(home).index)
    assert command.run("inspect", "--home", home) == 0, command.out
    assert "WARNING  index: there is none, and the segments have 6 blocks" in command.out
    assert not NodeHome(home).index.exists()
    shutil.rmtree(NodeHome(home).spool)
    assert command.run("inspect", "--home", home) == 1, command.out
    assert f"DAMAGED  spool: {NodeHome(home).spool} holds no file, and a node that" in command.out


@needs_leveldb
@pytest.mark.parametrize(
    "left",
    [
        {"MANIFEST-000001": b""},
        {"MANIFEST-000001": b"", "CURRENT": b"MANIFEST-000001\n"},
    ],
    ids=["without CURRENT", "with CURRENT"],
)
def test_an_index_whose_making_a_crash_cut_off_is_as_an_empty_one(
    command: Command, home: Path, left: dict[str, bytes]
) -> None:
    for path in NodeHome(home).index.iterdir():
        path.unlink()
    for name, data in left.items():
        (NodeHome(home).index / name).write_bytes(data)
    assert command.run("inspect", "--home", home) == 0, command.out
    assert "WARNING  index: there is none, and the segments have 6 blocks" in command.out


def test_a_damaged_segment_beside_a_removed_index_is_named(command: Command, home: Path) -> None:
    place = NodeHome(home)
    shutil.rmtree(place.index)
    place.index.mkdir()
    (segment,) = place.chain.glob("*.segment")
    raw = segment.read_bytes()
    segment.write_bytes(raw[:1000] + bytes([raw[1000] ^ 1]) + raw[1001:])
    assert command.run("inspect", "--home", home) == 1
    (line,) = [line for line in command.out.splitlines() if line.startswith("DAMAGED")]
    assert line.startswith("DAMAGED  chain: ")
    assert segment.name in line


def find_log(home: Path) -> Path:
    (log,) = NodeHome(home).index.glob("*.log")
    return log


@needs_leveldb
def test_an_index_whose_log_was_emptied_is_told(command: Command, home: Path) -> None:
    """The log holds all rows of a small chain, and LevelDB opens without them."""
    find_log(home).write_bytes(b"")
    assert command.run("inspect", "--home", home) == 1, command.out
    (line,) = [line for line in command.out.splitlines() if line.startswith("DAMAGED")]
    assert line.startswith(
        f"DAMAGED  index: {NodeHome(home).index} lacks 6 of the segments' 6 blocks, and a crash "
        "leaves it one behind: it has lost rows, or an earlier version's building it anew was cut "
    )
    place = NodeHome(home)
    place.recover_marker.write_text("restored\n")
    assert command.run("inspect", "--home", home) == 0, command.out
    said = "ok       index: it lacks 6 of the segments' 6 blocks, and the start adds them"
    assert said in command.out


@needs_leveldb
@pytest.mark.parametrize("count", [1, 2])
def test_an_index_one_block_behind_is_as_a_crash_leaves_it_and_two_are_not(
    command: Command, home: Path, count: int
) -> None:
    StoredChain.resume(home).append(*[[] for _ in range(count)])
    find_log(home).write_bytes(b"")  # all that was written since it was opened
    assert command.run("inspect", "--home", home) == count - 1, command.out
    said = f"lacks {count} of the segments' {6 + count} blocks, and "
    assert said + ("the start adds them" if count == 1 else "a crash leaves it") in command.out


def replay(home: NodeHome, stored_chain: StoredChain) -> None:
    """Start, and be killed when two blocks have been replayed, if there are as many."""

    def end(what: str, done: int, total: int) -> None:
        if done == 2:
            raise Crash

    with (
        closing(DiskDirectory(home.chain)) as segments,
        closing(open_keyvalue(home.index, load_config(home).storage)) as keyvalue,
        suppress(Crash),
    ):
        open_ledger(segments, keyvalue, stored_chain.genesis, end)


def test_an_index_whose_building_anew_was_cut_off_is_no_damage(
    command: Command, stored_chain: StoredChain, home: Path
) -> None:
    """The process may end while a start replays any number of blocks, and again."""
    shutil.rmtree(NodeHome(home).index)
    for mark, end in (
        ("WARNING ", "lacks 3 of the segments' 6 blocks: building it anew was cut off. The start "),
        ("ok      ", "lacks 1 of the segments' 6 blocks, and the start adds them"),
        ("ok      ", "reaches as far as the segments"),
    ):
        replay(NodeHome(home), stored_chain)
        assert command.run("inspect", "--home", home) == 0, command.out
        assert f"{mark} index: it {end}" in command.out


def test_a_building_anew_that_was_cut_off_long_ago_excuses_nothing(
    command: Command, stored_chain: StoredChain, home: Path
) -> None:
    """The segments have grown since, which they do only behind a whole index."""
    place = NodeHome(home)
    shutil.rmtree(place.index)
    replay(place, stored_chain)
    with closing(open_keyvalue(place.index, load_config(place).storage)) as keyvalue:
        keyvalue.write([(REPLAY_KEY, HEIGHT.pack(5))])
    assert command.run("inspect", "--home", home) == 1
    assert "lacks 3 of the segments' 6 blocks, and a crash leaves it one behind" in command.out


@needs_leveldb
def test_an_index_whose_log_is_gone_is_told_by_the_log(command: Command, home: Path) -> None:
    log = find_log(home)
    log.unlink()
    assert command.run("inspect", "--home", home) == 1, command.out
    said = f"DAMAGED  index: {log} is missing, which the manifest beside it names: the rows in it "
    assert said in command.out


@pytest.mark.parametrize("names", [["spool-0"], ["spool-1"], ["spool-0", "spool-1"]])
@pytest.mark.parametrize("is_removed", [False, True])
def test_a_spool_that_has_lost_all_it_held_is_told(
    command: Command, home: Path, names: list[str], is_removed: bool
) -> None:
    spool = NodeHome(home).spool
    for name in names:
        if is_removed:
            (spool / name).unlink()
        else:
            (spool / name).write_bytes(b"")
    what = "is missing" if is_removed else "has no byte"
    said = f"DAMAGED  spool: {spool}/{names[0]}: {what}, and none is written with less than 8 bytes"
    if len(names) == 2:
        said = f"DAMAGED  spool: {spool} holds no file, and a node that has voted, as this one by "
        if not is_removed:  # an earlier version's where nothing was promised are the same
            said = f"WARNING  spool: {spool}/spool-0 and spool-1: have no byte, as an earlier "
    assert command.run("inspect", "--home", home) == int("DAMAGED" in said), command.out
    assert said in command.out


def test_a_spool_that_a_crash_left_half_begun_at_the_first_start_is_no_loss(
    command: Command, home: Path
) -> None:
    place = NodeHome(home)
    shutil.rmtree(place.journal)
    place.journal.mkdir()
    with closing(DiskDirectory(place.journal)) as journal:
        Journal.create(journal)
    (place.spool / "spool-1").unlink()
    command.run("inspect", "--home", home)
    assert "ok       spool: 0 promised transactions, each intact" in command.out


def test_a_chain_of_which_nothing_is_left_is_told(command: Command, home: Path) -> None:
    """By hand, as docs/OPERATING.md has it, or lost: the journal alone knows that it was there."""
    place = NodeHome(home)
    for path in (place.chain, place.index):
        shutil.rmtree(path)
        path.mkdir()
    assert command.run("inspect", "--home", home) == 0, command.out
    assert "WARNING  chain: no block is here, and by its journal this node has voted" in command.out


@pytest.mark.parametrize("has_index", [False, True])
def test_a_changed_genesis_document_is_told_by_its_name(
    command: Command, home: Path, has_index: bool
) -> None:
    place = NodeHome(home)
    raw = place.genesis.read_bytes()
    at = raw.index(b'"consortium"') if b'"consortium"' in raw else raw.index(b"bank-a") + 5
    place.genesis.write_bytes(raw[:at] + b"b" + raw[at + 1 :])
    if not has_index:
        shutil.rmtree(place.index)
        place.index.mkdir()
    assert command.run("inspect", "--home", home) == 1, command.out
    assert f"DAMAGED  chain: {place.genesis}, offset 0: is the genesis document of chain " in (
        command.out
    )
    assert f", and {place.chain} holds chain " in command.out


def restored(command: Command, home: Path, tmp_path: Path) -> Path:
    """The checkpoints of a home that was restored from its own backup."""
    place = NodeHome(home)
    assert command.run("node", "backup", "--home", home, "-o", tmp_path / "b.tar") == 0
    shutil.rmtree(place.chain)
    shutil.rmtree(place.index)
    assert command.run("node", "restore", tmp_path / "b.tar", "--home", home) == 0, command.err
    return home / "checkpoints.json"


def test_checkpoints_of_a_backup_are_verified_before_they_are_taken(
    command: Command, home: Path, tmp_path: Path
) -> None:
    file = restored(command, home, tmp_path)
    assert command.run("inspect", "--home", home) == 0, command.out
    assert "on each of 0, and of 5 in checkpoints.json, which the start takes over" in command.out
    raw = file.read_bytes()
    for share in range(20):
        at = round(share / 19 * (len(raw) - 1))
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert command.run("inspect", "--home", home) == 1, (at, command.out)
        assert f"DAMAGED  checkpoints: {file}, offset 0: " in command.out, (at, command.out)


def test_a_start_takes_over_checkpoints_of_this_log_alone(
    command: Command, stored_chain: StoredChain, home: Path, tmp_path: Path
) -> None:
    file = restored(command, home, tmp_path)
    raw = file.read_bytes()
    trust = log_trust(stored_chain.genesis)
    with closing(DiskDirectory(NodeHome(home).chain)) as segments:
        store, _ = open_ledger(segments, MemoryStore(), stored_chain.genesis)
        for changed in (raw.replace(b"[[1, ", b"[[2, "), raw.replace(b"devnet/", b"devmet/", 1)):
            file.write_bytes(changed)
            with pytest.raises(Damaged, match="without the file later ones are collected"):
                take_restored(store, home, trust, lambda *_: None)
            assert store.chain_store.newest_checkpoint() is None
            assert file.exists()
        file.write_bytes(raw)
        told = []
        assert take_restored(store, home, trust, lambda *step: told.append(step)) == 5
        assert told[-1] == (RESTORED_PROGRESS, 5, 5)
        assert not file.exists()
        found = store.chain_store.newest_checkpoint()
    assert found is not None
    assert found[0] == 5


def test_a_node_with_another_genesis_document_does_not_start_and_names_it(
    home: Path,
) -> None:
    place = NodeHome(home)
    raw = place.genesis.read_bytes()
    place.genesis.write_bytes(raw.replace(b"Example Bank A", b"Example Bank B", 1))
    server = _Server(place, load_config(place), *open_identity(place, load_config(place)))
    with ExitStack() as stack, pytest.raises(Damaged) as found:
        server._open_ledger(stack)  # type: ignore[arg-type]
    assert str(found.value).startswith(
        f"{place.genesis}, offset 0: is the genesis document of chain "
    )
    assert f", and {place.chain} holds chain " in str(found.value)


def test_a_block_that_a_killed_node_had_not_applied_is_no_damage(
    command: Command, stored_chain: StoredChain, home: Path
) -> None:
    """Its segment is newer than its index, as after a kill between the two."""
    index = shutil.copytree(NodeHome(home).index, home / "older")
    chain = StoredChain.resume(home)
    chain.append([])
    shutil.rmtree(NodeHome(home).index)
    index.rename(NodeHome(home).index)
    before = read_home(home)
    assert command.run("inspect", "--home", home) == 0, command.out
    assert "The index is at block 5 and the segments reach block 6: 1 to replay." in command.out
    assert read_home(home) == before


@pytest.mark.parametrize("folder", [pytest.param("index", marks=needs_leveldb), "segments"])
def test_an_end_that_would_be_cut_off_is_told_and_left(
    command: Command, home: Path, folder: str
) -> None:
    """A power loss and a damaged end look the same, so neither passes in silence."""
    if folder == "index":
        file = next(path for path in NodeHome(home).index.iterdir() if path.suffix == ".log")
        with file.open("ab") as stream:
            stream.write(b"\x01\x02\x03\x04\x40\x00\x01 torn")
    else:
        file = segment(home)
        with file.open("ab") as stream:
            stream.write(file.read_bytes()[32:100])
    before = read_home(home)
    assert command.run("inspect", "--home", home) == 1
    line = next(line for line in command.out.splitlines() if line.startswith("DAMAGED"))
    assert line.startswith(
        "DAMAGED  torn ends: The power was lost or the disk was full during a write, or the end of "
        "a file is damaged; "
    )
    assert str(file) in line
    assert read_home(home) == before


def segment(home: Path) -> Path:
    return next(path for path in NodeHome(home).chain.iterdir() if path.suffix == ".segment")


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(bytes(raw))


def change_row(home: Path, prefix: bytes, change: Callable[[bytes], bytes]) -> None:
    """Change the last row of a kind in the index, checksums intact."""
    place = NodeHome(home)
    store = open_keyvalue(place.index, load_config(place).storage)
    key, value = next(store.scan(prefix, bytes([prefix[0] + 1]), reverse=True))
    store.write([(key, change(value))])
    store.close()


def last_bit(value: bytes) -> bytes:
    return value[:-1] + bytes([value[-1] ^ 1])


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_flipped_byte_of_a_segment_is_named(command: Command, home: Path, share: float) -> None:
    file = segment(home)
    flip(file, int(file.stat().st_size * share))
    assert command.run("inspect", "--home", home) == 1
    assert "DAMAGED" in command.out
    assert file.name in command.out
    assert "offset" in command.out


@needs_leveldb
def test_a_flipped_byte_of_a_table_that_is_merged_away_is_named(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened, LevelDB merges small tables and removes them; of their filters it reads nothing."""
    for _ in range(3):  # whereupon the next who opens it has enough of them
        StoredChain.resume(home).append([])
    merged: set[str] = set()
    whole = {path.name for path in NodeHome(home).index.glob("*.ldb")}

    def wait(store: ChainStore, *rest: Any) -> None:
        time.sleep(0.5)
        merged.update(whole - {path.name for path in store.keyvalue._path.glob("*.ldb")})  # type: ignore[attr-defined]
        verify_chain(store, *rest)

    monkeypatch.setattr(inspection, "verify_chain", wait)
    assert command.run("inspect", "--home", home) == 0, command.out
    assert merged
    for name in sorted(merged):
        file = NodeHome(home).index / name
        raw = bytearray(file.read_bytes())
        at = raw.index(b"filter.leveldb")
        file.write_bytes(raw[:at] + b"F" + raw[at + 1 :])
        assert command.run("inspect", "--home", home) == 1, name
        assert f"DAMAGED  files and rows: {file}, offset " in command.out
        file.write_bytes(raw)


@needs_leveldb
@pytest.mark.parametrize("name", ["MANIFEST-*", "CURRENT"])
def test_an_emptied_file_of_the_index_is_named(command: Command, home: Path, name: str) -> None:
    (file,) = NodeHome(home).index.glob(name)
    file.write_bytes(b"")
    assert command.run("inspect", "--home", home) == 1
    assert f"DAMAGED  chain: {NodeHome(home).index / file.name}, offset 0: " in command.out


@needs_leveldb
def test_a_flipped_byte_of_the_index_is_named(command: Command, home: Path) -> None:
    files = [path for path in NodeHome(home).index.iterdir() if path.suffix in {".log", ".ldb"}]
    largest = max(files, key=lambda path: path.stat().st_size)
    flip(largest, largest.stat().st_size // 2)
    assert command.run("inspect", "--home", home) == 1
    assert f"{largest.name}, offset" in command.out


@pytest.mark.parametrize(
    ("prefix", "check"),
    [
        (b"b", "chain"),
        (b"t", "files and rows"),
        (b"r", "files and rows"),
        (b"s", "execution: the streams differ"),
        (b"k", "chain"),
        (b"c", "checkpoints"),
    ],
)
def test_a_row_that_is_intact_and_wrong_is_found(
    command: Command, home: Path, prefix: bytes, check: str
) -> None:
    change_row(home, prefix, last_bit)
    assert command.run("inspect", "--home", home) == 1
    name = check.split(":", maxsplit=1)[0]
    damaged = [line for line in command.out.splitlines() if line.startswith("DAMAGED")]
    assert any(check in line or f"  {name}:" in line for line in damaged), command.out


def test_a_row_too_many_is_found(command: Command, home: Path) -> None:
    place = NodeHome(home)
    store = open_keyvalue(place.index, load_config(place).storage)
    store.write([(b"sparty/ghost", b"\x00")])
    store.close()
    assert command.run("inspect", "--home", home) == 1
    assert "DAMAGED  execution: index, offset 0: the streams differ" in command.out


def test_a_flipped_byte_of_the_vote_journal_is_named(command: Command, home: Path) -> None:
    flip(NodeHome(home).journal / "votes", 100)
    assert command.run("inspect", "--home", home) == 1
    assert "votes, offset 0: copy 0 of slot 0 is broken." in command.out


def test_a_journal_of_another_node_or_chain_is_told(
    command: Command, stored_chain: StoredChain, home: Path
) -> None:
    chain_id, journal = stored_chain.genesis.chain_id, NodeHome(home).journal
    written = f"DAMAGED  votes and chain: {journal}: the vote journal is not this node's own: "
    write_journal(NodeHome(home), encode_votes(chain_id, 3, 6), 40, 6)
    assert command.run("inspect", "--home", home) == 1
    assert f"{written}consensus record: written by replica 3, but this is 0; " in command.out
    write_journal(NodeHome(home), encode_votes(bytes(32), 0, 6), 40, 6)
    assert command.run("inspect", "--home", home) == 1
    assert f"{written}consensus record: written on chain {bytes(32).hex()}, not " in command.out
    write_journal(NodeHome(home), encode_votes(chain_id, 0, 6), 40, 6)
    assert command.run("inspect", "--home", home) == 0, command.out


OLD_JOURNAL = (
    "the vote journal is older than the chain: it ends at height 6, and block 7 is applied; what "
    "this node has signed since is unknown, so it must not vote before `evidence-ledger node "
    "recover`"
)


def test_an_old_journal_under_a_newer_chain_is_told(command: Command, home: Path) -> None:
    old = shutil.copytree(NodeHome(home).journal, home / "old")
    chain = StoredChain.resume(home)
    chain.append([])
    assert command.run("inspect", "--home", home) == 0, command.out
    assert "ok       votes and chain: the journal is of height 7, the chain of 6" in command.out
    chain.append([])
    shutil.rmtree(NodeHome(home).journal)
    shutil.copytree(old, NodeHome(home).journal)
    assert command.run("inspect", "--home", home) == 1
    damaged = [line for line in command.out.splitlines() if line.startswith("DAMAGED")]
    said = f"DAMAGED  votes and chain: {NodeHome(home).journal}: {OLD_JOURNAL} "
    said += "投票与链的进度：未通过。"
    assert [line.startswith(said) for line in damaged] == [True]


def test_another_chains_certificate_is_found(command: Command, home: Path) -> None:
    shutil.copy(NodeHome(home).api_certificate, NodeHome(home).tls_certificate)
    assert command.run("inspect", "--home", home) == 1
    said = f"{NodeHome(home).tls_certificate} is not the certificate that {home}/genesis.json pins."
    assert said in command.out


def test_a_path_is_said_as_it_was_given(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    Path("keystore").mkdir()
    Path("keystore/keystore.json").write_text("{}")
    monkeypatch.setenv("EVIDENCE_LEDGER_PASSPHRASE", "correct horse")
    asked = ("witness", "init", "--home", "keystore", "--name", "court.example/witness")
    assert command.run(*asked) == 1
    assert command.err.startswith("keystore/keystore.json exists; "), command.err


def test_a_running_nodes_home_is_left_alone(command: Command, home: Path) -> None:
    held = DiskDirectory(home)
    held.lock(LOCK_FILE)
    try:
        assert command.run("inspect", "--home", home) == 1
        own = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        refusal = f"{home} is in use by process {os.getpid()} ({own}); stop it first."
        assert command.refusal == refusal
        assert command.run("node", "backup", "--home", home, "-o", home / "b.tar") == 1
        assert command.refusal == refusal
        assert command.run("node", "recover", "--home", home, "--reason", "a try") == 1
        assert command.refusal == refusal
        assert not (home / "RECOVER").exists()
    finally:
        held.close()


@pytest.mark.parametrize("name", ["backup.tar", "backup"])
def test_a_backup_restores_to_the_same_chain_in_recovery(
    command: Command, home: Path, stored_chain: StoredChain, tmp_path: Path, name: str
) -> None:
    assert command.run("node", "backup", "--home", home, "-o", tmp_path / name) == 0
    assert "Backed up 24 entries up to height 5" in command.out
    place = NodeHome(home)
    kept = {path.name: path.read_bytes() for path in place.chain.iterdir()}
    assert command.run("node", "restore", tmp_path / name, "--home", home) == 2
    assert command.refusal == f"{home} holds a chain; restore never overwrites one."
    shutil.rmtree(place.chain)
    shutil.rmtree(place.index)
    assert command.run("node", "restore", tmp_path / name, "--home", home) == 0, command.err
    assert {path.name: path.read_bytes() for path in place.chain.iterdir()} == kept
    assert place.recover_marker.read_text().startswith("Restored from a backup at height 5")
    assert not (home / "restore.partial").exists()
    assert command.out.endswith(
        "Recovery cannot end in this network: it needs the answers of one other, and there are "
        "none. The node will serve what it has and sign nothing.\n"
        "在此网络中恢复无法完成：须有其他 1 个节点应答，而其他节点只有 0 个。"
        "节点只提供已有数据，不作任何签名。\n"
    )
    assert command.run("inspect", "--home", home) == 0, command.out


@pytest.mark.parametrize("action", [["backup", "-o", "b.tar"], ["prune"]])
def test_no_command_leaves_an_empty_index_where_there_is_none(
    command: Command, home: Path, tmp_path: Path, action: list[str]
) -> None:
    """A node that began with a snapshot builds its index only where nothing is."""
    place = NodeHome(home)
    (tmp_path / "archive").mkdir()
    named = replace(load_config(place).storage, archive=str(tmp_path / "archive"))
    place.config.write_text(render_config(replace(load_config(place), storage=named)))
    shutil.rmtree(place.index)
    place.index.mkdir()
    given = [str(tmp_path / each) if each == "b.tar" else each for each in action]
    assert command.run("node", given[0], "--home", home, *given[1:]) == 1
    assert command.err == (
        f"{place.index} is empty: start the node and stop it once, so that it builds the index. "
        "Nothing was changed.\n"
        f"{place.index} 为空：请启动节点并停止一次，使其建立索引。未作任何更改。\n"
    )
    assert list(place.index.iterdir()) == []


def crash_before(patch: pytest.MonkeyPatch, number: int) -> None:
    """Have the `number`-th change of the home's names not happen."""
    changes = Changes(number)
    for owner, name in (
        (os, "rename"),
        (os, "replace"),
        (shutil, "rmtree"),
        (Path, "unlink"),
        (node_storage, "demand_recovery"),
    ):
        patch.setattr(owner, name, changes.counted(name, getattr(owner, name)))


def test_a_restore_that_is_killed_at_any_step_is_run_again_or_is_done(
    command: Command, stored_chain: StoredChain, home: Path, tmp_path: Path
) -> None:
    """Whatever chain stands in a home is the whole one, and under the mark that it recovers."""
    defaults = ChainStore.open.__func__.__kwdefaults__  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(defaults, "segment_bytes", 100)
        StoredChain.resume(home).append([], [])
    backup = tmp_path / "b.tar"
    assert command.run("node", "backup", "--home", home, "-o", backup) == 0
    expected = {path.name: path.read_bytes() for path in NodeHome(home).chain.iterdir()}
    assert len(expected) > 2
    shutil.rmtree(NodeHome(home).chain)
    shutil.rmtree(NodeHome(home).index)
    number, is_through, done = 0, False, 0
    while not is_through:
        number += 1
        place = NodeHome(Path(shutil.copytree(home, tmp_path / str(number))))
        with pytest.MonkeyPatch.context() as patch:
            crash_before(patch, number)
            try:
                assert command.run("node", "restore", backup, "--home", place.path) == 0
                is_through = True
            except Crash:
                pass
        if any(place.chain.glob("*")):
            done += 1
        else:
            assert command.run("node", "restore", backup, "--home", place.path) == 0, command.err
        assert {path.name: path.read_bytes() for path in place.chain.iterdir()} == expected
        assert place.recover_marker.exists()
        assert command.run("inspect", "--home", place.path) == 0, command.out
    assert number > 4
    assert done > 1, "one crash comes after the chain is in its place"


@pytest.mark.parametrize("mark", ["JOIN", "joining/COMPLETE"])
def test_nothing_is_restored_where_a_snapshot_would_take_its_place(
    command: Command, home: Path, tmp_path: Path, mark: str
) -> None:
    backup = tmp_path / "b.tar"
    assert command.run("node", "backup", "--home", home, "-o", backup) == 0
    place = NodeHome(home)
    shutil.rmtree(place.chain)
    shutil.rmtree(place.index)
    place.joining.mkdir()
    (home / mark).write_bytes(b"a reason\n")
    assert command.run("node", "restore", backup, "--home", home) == 1
    assert command.err == (
        f"{home} is to join by a snapshot, which would take the place of what is restored. Nothing "
        f"was changed. To restore instead, remove {place.join_marker} and {place.joining}.\n"
        f"{home} 将以快照加入，届时会取代恢复的数据。未作任何更改。"
        f"如要恢复备份，请先删除 {place.join_marker} 与 {place.joining}。\n"
    )
    assert not any(place.chain.glob("*"))
    (home / mark).unlink()
    shutil.rmtree(place.joining)
    assert command.run("node", "restore", backup, "--home", home) == 0, command.err


def test_what_outsiders_said_of_checkpoints_is_restored_and_nothing_newer_overwritten(
    command: Command, home: Path, tmp_path: Path
) -> None:
    """Nobody can get these tokens and cosignatures again."""
    place = NodeHome(home)
    folders = (place.timestamps, place.witnessed, place.post_quantum)
    for folder in folders:
        folder.mkdir(exist_ok=True)
        (folder / f"{9:020d}.json").write_bytes(b"of the time of the backup")
    assert command.run("node", "backup", "--home", home, "-o", tmp_path / "b.tar") == 0
    (place.timestamps / f"{9:020d}.json").write_bytes(b"with one more since")
    (place.timestamps / f"{12:020d}.json").write_bytes(b"later")
    for folder in (place.chain, place.index, place.witnessed, place.post_quantum):
        shutil.rmtree(folder)
    assert command.run("node", "restore", tmp_path / "b.tar", "--home", home) == 0, command.err
    held = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    first = f"{9:020d}.json"
    assert held == [
        {first: b"with one more since", f"{12:020d}.json": b"later"},
        {first: b"of the time of the backup"},
        {first: b"of the time of the backup"},
    ]


def test_a_new_home_needs_no_more_than_keys_configuration_and_genesis(
    command: Command, home: Path, tmp_path: Path
) -> None:
    assert command.run("node", "backup", "--home", home, "-o", tmp_path / "b.tar") == 0
    old, new = NodeHome(home), NodeHome(tmp_path / "new")
    new.path.mkdir()
    shutil.copytree(old.keys, new.keys)
    shutil.copy(old.config, new.path)
    assert command.run("node", "restore", tmp_path / "b.tar", "--home", new.path) == 2
    assert command.refusal == f"{new.genesis} cannot be read: No such file or directory."
    shutil.copy(old.genesis, new.path)
    assert command.run("node", "restore", tmp_path / "b.tar", "--home", new.path) == 0, command.err
    assert [path.name for path in new.chain.iterdir()] == [p.name for p in old.chain.iterdir()]
    for path in (new.chain, new.index, new.journal, new.spool):
        assert path.stat().st_mode & 0o777 == 0o700, path
    journal, folder = DiskDirectory(new.journal), DiskDirectory(new.path)
    assert open_journal(journal, folder, is_recovering=True).load().record is None
    journal.close()
    folder.close()
    assert command.run("inspect", "--home", new.path) == 0, command.out


def test_the_marker_that_a_killed_command_left_is_durable_before_the_journal_is_new() -> None:
    """Else power lost later takes it, and the new journal passes for one that forgot nothing."""
    home, journal = CrashingDirectory(), CrashingDirectory()
    home.create(RECOVER_MARKER)
    home.fsync(RECOVER_MARKER)
    open_journal(journal, home, is_recovering=True)
    home.lose_power(Survival.NONE)
    assert home.names() == [RECOVER_MARKER]


def test_recovery_of_a_home_with_nothing_else_makes_what_is_missing(
    command: Command, home: Path
) -> None:
    place = NodeHome(home)
    for path in (place.chain, place.index, place.journal, place.spool):
        shutil.rmtree(path)
    arguments = ("node", "recover", "--home", home, "--reason", "new disk", "--serve-only")
    assert command.run(*arguments) == 0
    assert all(path.is_dir() for path in (place.chain, place.index, place.journal, place.spool))


@pytest.mark.parametrize(
    ("count", "missing"), [(1, "one other, and there are none"), (2, "2 others, and there is 1")]
)
def test_recovery_that_cannot_end_is_refused_and_taken_only_for_serving(
    command: Command, tmp_path: Path, count: int, missing: str
) -> None:
    state = create_devnet(Layout(directory=tmp_path / "net", node_count=count))
    home = NodeHome(Path(state.nodes[0].home))
    sentence = f"Recovery cannot end in this network: it needs the answers of {missing}."
    arguments = ("node", "recover", "--home", home.path, "--reason", "disk replaced")
    assert command.run(*arguments) == 1
    assert command.refusal == (
        f"{sentence} Nothing was changed. With --serve-only the node is marked all the same: it "
        "then serves what it has and never signs again. What the operators can do instead stands "
        'in docs/OPERATING.md, "When too many have forgotten".'
    )
    assert command.err.endswith("其他办法见 docs/OPERATING.zh-CN.md“遗忘者过多时”。\n")
    assert not home.recover_marker.exists()
    assert command.run(*arguments, "--serve-only") == 0
    assert f"{sentence} The node will serve what it has and sign nothing.\n" in command.out
    assert command.out.endswith("节点只提供已有数据，不作任何签名。\n")
    assert home.recover_marker.read_text() == "disk replaced\n"


@pytest.mark.parametrize(("count", "room"), [(3, 1), (4, 1), (7, 2)])
def test_recovery_that_can_end_says_how_many_may_recover_at_once(
    command: Command, tmp_path: Path, count: int, room: int
) -> None:
    state = create_devnet(Layout(directory=tmp_path / "net", node_count=count))
    arguments = ("--home", Path(state.nodes[0].home), "--reason", "disk replaced")
    assert command.run("node", "recover", *arguments) == 0
    assert "cannot end" not in command.out
    assert command.out.endswith(
        f"At most {room} of {count} nodes may recover at once; with more, the chain stands still: "
        'see docs/OPERATING.md, "When too many have forgotten".\n'
        f"同时恢复的节点至多 {room} 个（共 {count} 个）；超过此数，链即停止，"
        "见 docs/OPERATING.zh-CN.md“遗忘者过多时”。\n"
    )


def test_a_backup_of_another_chain_is_refused(command: Command, home: Path, tmp_path: Path) -> None:
    other = StoredChain(tmp_path / "other")
    other.append([])
    backup = tmp_path / "other.tar"
    assert command.run("node", "backup", "--home", other.home.path, "-o", backup) == 0
    shutil.rmtree(NodeHome(home).chain)
    shutil.rmtree(NodeHome(home).index)
    assert command.run("node", "restore", backup, "--home", home) == 2
    assert command.refusal == f"{backup} is of another chain than {home}/genesis.json."
    assert not NodeHome(home).recover_marker.exists()


def test_recover_leaves_a_mark_with_its_reason(command: Command, home: Path) -> None:
    arguments = ("node", "recover", "--home", home, "--reason", "disk replaced", "--serve-only")
    assert command.run(*arguments) == 0
    assert (home / "RECOVER").read_text() == "disk replaced\n"
    assert command.run(*arguments) == 2
    assert command.refusal == f"{home}/RECOVER is there already; nothing was changed."
