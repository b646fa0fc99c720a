"""Putting a snapshot in its place on a real disk: whatever a crash leaves is the old or the new."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli.founding import default_backend
from node import snapshot_install
from node.config import StorageConfig
from node.home import NodeHome
from node.ledger_store import open_ledger
from node.server import open_keyvalue
from node.snapshot_install import ensure_index, install, is_complete, open_base, prepare_chain
from storage.chain import GENESIS_START
from storage.files import Damaged, DiskDirectory
from storage.keyvalue import KeyValue
from tests.node.driving import Drivers
from tests.node.snapshotting import Joiner, old_network
from tests.storage.killing import Changes, Crash


def copy_out(virtual: Any, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in virtual.names():
        (folder / name).write_bytes(virtual.pread(name, 0, virtual.size(name)))


@pytest.fixture(scope="module")
def network() -> Drivers:
    return old_network()


def fetched(home: NodeHome, network: Drivers) -> None:
    """An old chain of one's own, and a complete snapshot waiting beside it."""
    home.create()
    copy_out(network.machines[0].segments, home.path / "old")
    shutil.rmtree(home.chain)
    os.rename(home.path / "old", home.chain)
    (home.index / "CURRENT").write_bytes(b"an old index")
    home.join_marker.write_bytes(b"a reason\n")
    joiner = Joiner(network)
    joiner.begin()
    joiner.run()
    copy_out(joiner.directory, home.joining)
    copy_out(joiner.segments, home.joining / "segments")


def open_store(path: Path) -> KeyValue:
    return open_keyvalue(path, StorageConfig(backend=default_backend()))


def open_chain(home: NodeHome, network: Drivers) -> tuple[int, bytes]:
    """Open what stands in a home; return (height, header hash)."""
    start = prepare_chain(home, open_store, lambda what, done, total: None)
    directory = DiskDirectory(home.chain)
    store, chain = open_ledger(
        directory, open_store(home.index), network.deployment.genesis, None, start
    )
    store.chain_store.close()
    directory.close()
    return chain.header.height, chain.header_hash


def crash_before(monkeypatch: pytest.MonkeyPatch, number: int) -> list[str]:
    """Have the `number`-th change of the disk not happen, or half of it; return what is done."""
    changes = Changes(number)

    def remove_half(folder: Path, *rest: Any) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in files[: len(files) // 2 + 1]:
            path.unlink()

    rmtree = changes.counted("rmtree", shutil.rmtree, remove_half)
    monkeypatch.setattr(snapshot_install.os, "rename", changes.counted("rename", os.rename))
    monkeypatch.setattr(snapshot_install.shutil, "rmtree", rmtree)
    monkeypatch.setattr(Path, "unlink", changes.counted("unlink", Path.unlink))
    return changes.done


def test_a_crash_at_any_step_of_installing_leads_to_the_new_chain(
    tmp_path: Path, network: Drivers
) -> None:
    expected = network.machines[0].shelf.heights[-1]
    number, is_through = 0, False
    while not is_through:
        number += 1
        home = NodeHome(tmp_path / str(number))
        fetched(home, network)
        with pytest.MonkeyPatch.context() as patch:
            crash_before(patch, number)
            try:
                install(home)
                is_through = True
            except Crash:
                assert is_complete(home), "the next start goes on"
        if is_complete(home):
            install(home)
        assert not home.joining.exists()
        assert not home.join_marker.exists()
        height, header_hash = open_chain(home, network)
        assert height == expected
        entry = network.machines[0].store.header(height)
        assert network.machines[0].store.header(height) == entry
        assert open_chain(home, network) == (height, header_hash), "and it opens again"
    assert number > 5


def test_the_mark_of_completeness_is_durable_before_anything_old_goes(
    tmp_path: Path, network: Drivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was killed just before syncing it finds it, and a power loss now could take it back."""
    home = NodeHome(tmp_path / "home")
    fetched(home, network)
    done = crash_before(monkeypatch, 0)
    monkeypatch.setattr(snapshot_install, "sync_directory", lambda path: done.append(path.name))
    install(home)
    assert done[:3] == [home.joining.name, "unlink", home.path.name]
    at = done.index("rename")
    assert "rmtree" in done[:at]
    assert done[at - 1] == home.path.name, "what is old is gone for good before what is new stands"


def test_a_crash_while_the_index_is_built_leaves_nothing_that_counts(
    tmp_path: Path, network: Drivers
) -> None:
    home = NodeHome(tmp_path / "home")
    fetched(home, network)
    install(home)
    base = open_base(home)
    assert base is not None
    with pytest.MonkeyPatch.context() as patch:
        crash_before(patch, 1)
        with pytest.raises(Crash):
            ensure_index(home, base, open_store, lambda what, done, total: None)
    assert (home.path / "index.partial").exists()
    assert not any(home.index.iterdir())
    height, _ = open_chain(home, network)
    assert height == base.header.height
    shutil.rmtree(home.index)
    assert open_chain(home, network)[0] == height, "an index that is lost is built again"


def test_a_home_that_began_with_genesis_has_no_base(tmp_path: Path) -> None:
    home = NodeHome(tmp_path / "home")
    home.create()
    assert prepare_chain(home, open_store, lambda what, done, total: None) == GENESIS_START
    assert not any(home.index.iterdir()), "its index is the ledger's to begin"


@pytest.mark.parametrize("file", ["manifest", "rows"])
def test_a_rotten_base_is_told_and_no_index_is_built_from_it(
    tmp_path: Path, network: Drivers, file: str
) -> None:
    home = NodeHome(tmp_path / "home")
    fetched(home, network)
    install(home)
    raw = bytearray((home.base / file).read_bytes())
    raw[len(raw) // 2] ^= 1
    (home.base / file).write_bytes(raw)
    with pytest.raises(Damaged) as told:
        open_chain(home, network)
    if file == "rows":
        assert told.value.file == str(home.base / "rows")
        assert told.value.what.startswith("snapshot: chunk 2 has ")
