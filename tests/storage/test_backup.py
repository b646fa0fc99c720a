"""Backup and restore: what is in it, what is not, and that no changed byte gets through."""

from __future__ import annotations

import errno
import os
import resource
import tarfile
from pathlib import Path

import pytest

from storage.backup import (
    CHECKPOINTS_FILE,
    MANIFEST_FILE,
    RECOVER_MARKER,
    BackupRefused,
    back_up,
    clear_recovery,
    demand_recovery,
    import_checkpoints,
    is_recovery_demanded,
    read_checkpoints,
    restore,
    verify_backup,
)
from storage.chain import ChainStore
from storage.files import Damaged, DiskDirectory, StorageFailure
from storage.journal import Journal
from storage.memory import MemoryStore
from tests.storage.test_chain import SEGMENT_BYTES, assert_is_chain, blocks_of, replay

BLOCKS = 9


def take(store: ChainStore, home: Path) -> int:
    """Take over what is there; what a note says is not storage's to know."""
    held = read_checkpoints(store, home)
    import_checkpoints(store, home, held)
    return len(held)


def running(home: Path) -> ChainStore:
    """A node's home with a chain, a journal, a key and a genesis document."""
    Journal.create(DiskDirectory(home / "votes", create=True))
    (home / "genesis.json").write_text('{"network":"北京"}', "utf-8")
    (home / "vote.key").write_text("secret")
    disk = DiskDirectory(home / "segments", create=True)
    store = ChainStore.open(disk, MemoryStore(), segment_bytes=SEGMENT_BYTES)
    for block in blocks_of(BLOCKS):
        store.commit_block(block)
    store.put_checkpoint(3, "network\n9\n北京\n".encode())
    return store


@pytest.mark.parametrize("suffix", ["", ".tar"])
def test_every_byte_of_a_backup_and_of_what_is_restored_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """The old disk may be wiped as soon as either says that it is done."""
    synced: set[int] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    store = running(tmp_path / "home")
    monkeypatch.setattr(os, "fsync", noted)
    destination, again = tmp_path / f"backup{suffix}", tmp_path / "again"
    back_up(store, destination, tmp_path / "home", ["genesis.json"])
    restore(destination, again)
    made = [tmp_path, destination, *destination.rglob("*"), again, *again.rglob("*")]
    assert [path for path in made if path.stat().st_ino not in synced] == []


@pytest.mark.parametrize("suffix", ["", ".tar"])
def test_restored_chain_is_the_chain_and_must_recover(tmp_path: Path, suffix: str) -> None:
    store = running(tmp_path / "home")
    destination = tmp_path / f"backup{suffix}"
    stamped = f"timestamps/{9:020d}.json"
    (tmp_path / "home/timestamps").mkdir()
    (tmp_path / "home" / stamped).write_bytes(b"{}")
    (tmp_path / "home/timestamps/draft").write_bytes(b"not finished")
    manifest = back_up(store, destination, tmp_path / "home", ["genesis.json"])
    assert (manifest.applied_height, manifest.log_size) == (BLOCKS - 1, store.log_size)
    assert verify_backup(destination) == manifest
    # The node goes on meanwhile; the backup does not change.
    store.commit_block(blocks_of(BLOCKS + 1)[-1])
    again = tmp_path / "again"
    assert restore(destination, again) == manifest
    assert sorted(file.name for file in again.iterdir()) == [
        RECOVER_MARKER, CHECKPOINTS_FILE, "genesis.json", "segments", "timestamps",
    ]  # fmt: skip
    assert [file.name for file in (again / "timestamps").iterdir()] == [Path(stamped).name]
    assert (again / stamped).read_bytes() == b"{}"
    assert is_recovery_demanded(again)
    assert (again / RECOVER_MARKER).read_text() == (
        "Restored from a backup at height 8. The votes of this node are not in a backup: it must "
        "go through recover before it votes.\n"
    )
    assert (again / "genesis.json").read_bytes() == (tmp_path / "home/genesis.json").read_bytes()
    restored = ChainStore.open(
        DiskDirectory(again / "segments"), MemoryStore(), segment_bytes=SEGMENT_BYTES
    )
    assert len(replay(restored)) == BLOCKS
    assert_is_chain(restored, BLOCKS)
    assert take(restored, again) == 1
    assert restored.newest_checkpoint() == (3, "network\n9\n北京\n".encode())
    assert take(restored, again) == 0
    clear_recovery(again)
    assert not is_recovery_demanded(again)
    demand_recovery(again, "The journal is damaged.")
    assert is_recovery_demanded(again)


@pytest.mark.parametrize("suffix", ["", ".tar"])
def test_what_is_no_file_of_a_backup_does_not_make_it_unusable(tmp_path: Path, suffix: str) -> None:
    """A shelf passes over strangers' files; a backup that could not be restored would be none."""
    home = tmp_path / "home"
    store = running(home)
    stamped = f"timestamps/{9:020d}.json"
    (home / "timestamps").mkdir()
    (home / stamped).write_bytes(b"{}")
    (home / "timestamps/notes.json").write_bytes(b"somebody's")
    (home / f"timestamps/{10:020d}.json").mkdir()
    manifest = back_up(store, tmp_path / f"backup{suffix}", home)
    restore(tmp_path / f"backup{suffix}", tmp_path / "again")
    assert [file.name for file in manifest.files if "/" in file.name][-1] == stamped
    assert [file.name for file in (tmp_path / "again/timestamps").iterdir()] == [Path(stamped).name]


@pytest.mark.parametrize("suffix", ["", ".tar"])
def test_a_backup_for_which_there_is_no_room_leaves_nothing_in_the_way(
    tmp_path: Path, suffix: str
) -> None:
    store, destination = running(tmp_path / "home"), tmp_path / f"backup{suffix}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(StorageFailure, match=r"backup.*: write failed: File too large$"):
            back_up(store, destination, tmp_path / "home")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    back_up(store, destination, tmp_path / "home")
    verify_backup(destination)


@pytest.mark.parametrize("suffix", ["", ".tar"])
def test_a_backup_and_what_is_restored_are_for_their_owner_alone(
    tmp_path: Path, suffix: str
) -> None:
    """They hold every body, which a node shows to its tokens' holders only."""
    destination, again = tmp_path / f"backup{suffix}", tmp_path / "again"
    back_up(running(tmp_path / "home"), destination, tmp_path / "home", ["genesis.json"])
    restore(destination, again)
    made = [destination, *destination.rglob("*"), again, *again.rglob("*")]
    assert [path for path in made if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize(
    "spoilt",
    [b"", b"[[3,", b"[3]", b'[["x",1]]', b'[[3,"\xff"]]', b'[[3,"one"]]', b'[["3", "one"]]'],
)
def test_checkpoints_that_cannot_be_read_are_named(tmp_path: Path, spoilt: bytes) -> None:
    store = running(tmp_path / "home")
    (tmp_path / CHECKPOINTS_FILE).write_bytes(spoilt)
    with pytest.raises(Damaged) as caught:
        take(store, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/{CHECKPOINTS_FILE}, offset 0: ")


def test_checkpoints_of_blocks_that_were_not_restored_are_left_out(tmp_path: Path) -> None:
    """As where a restore was cut off, and the node was started without it."""
    store = running(tmp_path / "home")
    (tmp_path / CHECKPOINTS_FILE).write_text(f'[[4, "four"], [{BLOCKS}, "none such"]]')
    assert take(store, tmp_path) == 1
    assert store.newest_checkpoint() == (4, b"four")
    assert not (tmp_path / CHECKPOINTS_FILE).exists()


def test_unapplied_tail_of_the_last_segment_is_left_out(tmp_path: Path) -> None:
    store = running(tmp_path / "home")
    store.segments.append_block(BLOCKS, [b"header only appended"], b"")
    store.segments.sync()
    back_up(store, tmp_path / "backup", tmp_path / "home")
    restore(tmp_path / "backup", tmp_path / "again")
    disk = DiskDirectory(tmp_path / "again" / "segments")
    restored = ChainStore.open(disk, MemoryStore(), segment_bytes=SEGMENT_BYTES)
    assert restored.unapplied_count == BLOCKS


def test_home_that_is_not_empty_is_refused_and_untouched(tmp_path: Path) -> None:
    store = running(tmp_path / "home")
    back_up(store, tmp_path / "backup", tmp_path / "home")
    before = sorted(file.name for file in (tmp_path / "home").iterdir())
    with pytest.raises(BackupRefused) as caught:
        restore(tmp_path / "backup", tmp_path / "home")
    sentence = f"{tmp_path}/home is not empty; restore never overwrites a node's home"
    assert str(caught.value) == sentence
    assert sorted(file.name for file in (tmp_path / "home").iterdir()) == before


def test_every_changed_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    store = running(tmp_path / "home")
    backup = tmp_path / "backup"
    back_up(store, backup, tmp_path / "home", ["genesis.json"])
    for file in sorted(path for path in backup.rglob("*") if path.is_file()):
        data = file.read_bytes()
        for offset in {*range(0, len(data), 29), len(data) - 1}:
            changed = bytearray(data)
            changed[offset] ^= 1
            file.write_bytes(changed)
            with pytest.raises(BackupRefused):
                restore(backup, tmp_path / "again")
            assert not (tmp_path / "again").exists()
        file.write_bytes(data)
        file.unlink()
        with pytest.raises(BackupRefused, match="is missing from the backup"):
            verify_backup(backup)
        file.write_bytes(data)
    verify_backup(backup)


def test_every_changed_byte_of_a_tar_that_carries_content_is_refused(tmp_path: Path) -> None:
    store = running(tmp_path / "home")
    backup = tmp_path / "backup.tar"
    back_up(store, backup, tmp_path / "home", ["genesis.json"])
    data = backup.read_bytes()
    with tarfile.open(backup) as tar:
        spans = [(m.offset_data, m.offset_data + m.size) for m in tar.getmembers()]
    for begin, end in spans:
        for offset in range(begin, end, 31):
            changed = bytearray(data)
            changed[offset] ^= 1
            backup.write_bytes(changed)
            with pytest.raises(BackupRefused):
                verify_backup(backup)


@pytest.mark.parametrize(
    "name", ["../escape", "/etc/passwd", "votes", "RECOVER", "segments", "segments/../x", "a/b", ""]
)
def test_manifest_cannot_name_a_file_outside_or_the_journal(tmp_path: Path, name: str) -> None:
    store = running(tmp_path / "home")
    backup = tmp_path / "backup"
    back_up(store, backup, tmp_path / "home", ["genesis.json"])
    manifest = (backup / MANIFEST_FILE).read_text("utf-8")
    (backup / MANIFEST_FILE).write_text(manifest.replace("genesis.json", name), "utf-8")
    with pytest.raises(BackupRefused, match="which is no file of a backup"):
        restore(backup, tmp_path / "again")
    with pytest.raises(BackupRefused, match="is not the name of a file directly in the home"):
        back_up(store, tmp_path / "other", tmp_path / "home", [name])


def test_what_cannot_be_backed_up_is_refused_by_name(tmp_path: Path) -> None:
    disk = DiskDirectory(tmp_path / "empty", create=True)
    with pytest.raises(BackupRefused, match="the chain is empty, there is nothing to back up"):
        back_up(ChainStore.open(disk, MemoryStore()), tmp_path / "backup", tmp_path)
    store = running(tmp_path / "home")
    (tmp_path / "taken").mkdir()
    with pytest.raises(BackupRefused, match="taken exists; a backup never overwrites"):
        back_up(store, tmp_path / "taken", tmp_path / "home")
    with pytest.raises(BackupRefused, match="is no backup"):
        verify_backup(tmp_path / "absent")
    (tmp_path / "text").write_text("not a tar")
    with pytest.raises(BackupRefused, match="is no backup"):
        verify_backup(tmp_path / "text")


def test_recovery_that_could_not_be_demanded_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a node forgets its journal behind a command that said it had failed."""
    with monkeypatch.context() as full:
        full.setattr("storage.backup.os.fsync", fail_without_room)
        with pytest.raises(StorageFailure, match=r"write failed: No space left on device$"):
            demand_recovery(tmp_path, "a new disk")
    assert not is_recovery_demanded(tmp_path)
    assert list(tmp_path.iterdir()) == []
    demand_recovery(tmp_path, "a new disk")
    assert is_recovery_demanded(tmp_path)


def fail_without_room(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
