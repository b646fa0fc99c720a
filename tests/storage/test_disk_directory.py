"""The real directory: the simulator's keeps the same contract, and failures are final."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.disk import VirtualDirectory
from storage import files
from storage.files import Directory, DiskDirectory, InUse, StorageFailure

Make = Callable[[Path], Directory]


@pytest.fixture(
    params=[DiskDirectory, lambda path: VirtualDirectory(str(path))], ids=["disk", "virtual"]
)
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Directory:
    make: Make = request.param
    return make(tmp_path)


def test_bytes_are_written_read_cut_renamed_and_removed(directory: Directory) -> None:
    directory.create("b")
    directory.create("a")
    assert directory.names() == ["a", "b"]
    directory.pwrite("a", 3, b"defg")
    directory.append("a", b"h")
    assert directory.size("a") == 8
    assert directory.pread("a", 0, 100) == b"\0\0\0defgh"
    assert directory.pread("a", 4, 2) == b"ef"
    assert directory.pread("a", 8, 1) == b""
    directory.truncate("a", 4)
    assert directory.pread("a", 0, 100) == b"\0\0\0d"
    directory.fsync("a")
    directory.rename("a", "b")
    directory.fsync_directory()
    assert directory.names() == ["b"]
    assert directory.pread("b", 0, 100) == b"\0\0\0d"
    directory.remove("b")
    assert directory.names() == []
    directory.close()


def test_absent_and_existing_files_are_told_apart(directory: Directory) -> None:
    with pytest.raises(FileNotFoundError):
        directory.pread("a", 0, 1)
    with pytest.raises(FileNotFoundError):
        directory.size("a")
    directory.create("a")
    with pytest.raises(FileExistsError):
        directory.create("a")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_only_plain_names_are_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a file name"):
        DiskDirectory(tmp_path).create(name)


def test_many_files_stay_usable_beyond_the_descriptors_kept(tmp_path: Path) -> None:
    shown = Path("/proc/self/fd")
    before = len(os.listdir(shown)) if shown.is_dir() else 0
    directory = DiskDirectory(tmp_path)
    names = [f"{n:03d}" for n in range(200)]
    for name in names:
        directory.create(name)
        directory.pwrite(name, 0, name.encode())
        directory.fsync(name)
    assert [directory.pread(name, 0, 9).decode() for name in names] == names
    assert not shown.is_dir() or len(os.listdir(shown)) < before + 100
    directory.close()


def test_second_holder_of_the_lock_is_refused(tmp_path: Path) -> None:
    first, second = DiskDirectory(tmp_path), DiskDirectory(tmp_path)
    first.lock("LOCK")
    with pytest.raises(InUse) as refused:
        second.lock("LOCK")
    own = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    assert str(refused.value) == f"{tmp_path} is in use by process {os.getpid()} ({own})"
    first.close()
    second.lock("LOCK")
    second.close()


def test_where_the_system_does_not_say_who_holds_a_lock_it_is_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = DiskDirectory(tmp_path), DiskDirectory(tmp_path)
    first.lock("LOCK")
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: "1: FLOCK\n")
    with pytest.raises(InUse) as refused:
        second.lock("LOCK")
    assert str(refused.value) == f"{tmp_path} is in use by another process"
    first.close()


def test_read_only_nothing_is_made_changed_or_kept_from_other_readers(tmp_path: Path) -> None:
    writer = DiskDirectory(tmp_path)
    writer.create("a")
    writer.pwrite("a", 0, b"kept")
    for path in (tmp_path / "a", tmp_path):
        path.chmod(0o500)
    one, other = (DiskDirectory(tmp_path, is_read_only=True) for _ in range(2))
    one.lock("LOCK")  # there is no such file, and none is made
    assert one.names() == ["a"]
    assert one.pread("a", 0, 9) == b"kept"
    attempts: list[Callable[[], None]] = [
        lambda: one.create("b"),
        lambda: one.pwrite("a", 0, b"x"),
        lambda: one.append("a", b"x"),
        lambda: one.truncate("a", 0),
        lambda: one.fsync("a"),
        lambda: one.fsync_directory(),
        lambda: one.rename("a", "b"),
        lambda: one.remove("a"),
    ]
    for attempt in attempts:
        with pytest.raises(StorageFailure, match="refused, because the directory is open for read"):
            attempt()
    for path in (tmp_path, tmp_path / "a"):
        path.chmod(0o700)
    writer.lock("LOCK")
    with pytest.raises(InUse):
        one.lock("LOCK")
    writer.close()
    one.lock("LOCK")
    other.lock("LOCK")
    with pytest.raises(InUse):
        writer.lock("LOCK")
    assert (tmp_path / "a").read_bytes() == b"kept"


def test_failed_fsync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = DiskDirectory(tmp_path)
    directory.create("a")
    directory.pwrite("a", 0, b"x")

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "_fsync_data", fail)
    with pytest.raises(StorageFailure) as caught:
        directory.fsync("a")
    assert str(caught.value) == f"{tmp_path}/a: fsync failed: Input/output error"
    monkeypatch.undo()
    refusal = f"{tmp_path}/a: refused, because fsync of a failed: Input/output error"
    attempts: list[Callable[[], None]] = [
        lambda: directory.fsync("a"),
        lambda: directory.pwrite("a", 0, b"y"),
        lambda: directory.truncate("a", 0),
        lambda: directory.remove("a"),
        lambda: directory.rename("a", "b"),
    ]
    for attempt in attempts:
        with pytest.raises(StorageFailure) as caught:
            attempt()
        assert str(caught.value) == refusal
    assert directory.pread("a", 0, 9) == b"x"


def test_full_disk_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = DiskDirectory(tmp_path)
    directory.create("a")

    def fail(fd: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(StorageFailure, match="a: write failed: No space left on device"):
        directory.append("a", b"x")
    monkeypatch.undo()
    with pytest.raises(StorageFailure, match="refused, because write of a failed"):
        directory.append("a", b"x")


def test_short_writes_are_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = DiskDirectory(tmp_path)
    directory.create("a")
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, bytes(data[:3]), at))
    directory.pwrite("a", 1, b"abcdefgh")
    monkeypatch.undo()
    assert directory.pread("a", 0, 99) == b"\0abcdefgh"


@pytest.mark.parametrize("change", ["rename", "remove"])
def test_a_reader_beside_a_change_of_names_keeps_no_old_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """It would be served its old bytes for ever, or hold the space of a file that is gone."""
    directory = DiskDirectory(tmp_path)
    for name in ("name", "other"):
        directory.create(name)
        directory.pwrite(name, 0, name.encode())
        directory.fsync(name)
    real = {"rename": os.replace, "remove": os.unlink}[change]

    def beside(*paths: str) -> None:
        assert directory.pread("name", 0, 9) == b"name"
        real(*paths)  # type: ignore[operator]

    monkeypatch.setattr(os, real.__name__, beside)
    if change == "rename":
        directory.rename("other", "name")
        assert directory.pread("name", 0, 9) == b"other"
    else:
        directory.remove("name")
        with pytest.raises(FileNotFoundError):
            directory.pread("name", 0, 9)


def test_what_was_opened_before_a_change_of_names_is_read_once_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = DiskDirectory(tmp_path)
    for name in ("name", "other"):
        (tmp_path / name).write_bytes(name.encode())
    real = os.open

    def interrupted(path: str, *rest: int) -> int:
        fd = real(path, *rest)
        monkeypatch.setattr(os, "open", real)
        directory.rename("other", "name")
        return fd

    monkeypatch.setattr(os, "open", interrupted)
    assert directory.pread("name", 0, 9) == b"name"
    assert directory.pread("name", 0, 9) == b"other"


@pytest.mark.parametrize("change", ["pwrite", "append", "truncate", "fsync"])
def test_a_file_that_cannot_be_opened_to_be_changed_is_a_disk_that_failed(
    tmp_path: Path, change: str
) -> None:
    """No descriptor is left, or the file is gone: whoever writes knows no other failure."""
    directory = DiskDirectory(tmp_path)
    with pytest.raises(StorageFailure, match=r"/gone: open failed: No such file or directory$"):
        {
            "pwrite": lambda: directory.pwrite("gone", 0, b"1"),
            "append": lambda: directory.append("gone", b"1"),
            "truncate": lambda: directory.truncate("gone", 0),
            "fsync": lambda: directory.fsync("gone"),
        }[change]()
    with pytest.raises(StorageFailure, match="refused, because open of gone failed"):
        directory.create("other")
