"""Sealed documents: found again, destroyed for good, whole after a crash at any step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.disk import ProcessEnded, Survival
from storage.files import Damaged, DiskDirectory
from storage.private_box import DOCUMENT_BYTES_MAX, Erased, PrivateBox
from tests.storage.crashing import CrashingDirectory

MASTER = bytes(range(32))
SECRET = "张小宝 13800138000".encode()
OTHER = b"another person's papers"
REST = b'{"erased":1}'


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DiskDirectory]:
    opened = DiskDirectory(tmp_path)
    yield opened
    opened.close()


def files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def test_a_document_is_found_again_and_nothing_of_it_is_in_clear(
    directory: DiskDirectory, tmp_path: Path
) -> None:
    box = PrivateBox(directory, MASTER)
    assert box.read("card-1") is None
    box.write("card-1", SECRET)
    box.write("card-2", OTHER)
    again = PrivateBox(directory, MASTER)
    assert (again.read("card-1"), again.read("card-2")) == (SECRET, OTHER)
    assert sorted(files(tmp_path)) == ["card-1.box", "card-1.key", "card-2.box", "card-2.key"]
    everything = b"".join(files(tmp_path).values())
    assert SECRET not in everything
    assert OTHER not in everything
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_a_document_is_replaced_whole_under_the_same_key(
    directory: DiskDirectory, tmp_path: Path
) -> None:
    box = PrivateBox(directory, MASTER)
    box.write("card-1", SECRET)
    key = files(tmp_path)["card-1.key"]
    box.write("card-1", OTHER)
    assert box.read("card-1") == OTHER
    assert files(tmp_path)["card-1.key"] == key


def test_erasing_leaves_no_byte_of_key_or_box_where_they_lay(
    directory: DiskDirectory, tmp_path: Path
) -> None:
    """The very blocks are looked at: names that still lead to them, made before, show zeros."""
    box = PrivateBox(directory, MASTER)
    box.write("card-1", SECRET)
    before = files(tmp_path)
    kept = tmp_path.parent / "kept"
    kept.mkdir()
    for name in before:
        os.link(tmp_path / name, kept / name)
    box.erase("card-1", REST)
    assert files(tmp_path) == {"card-1.erased": REST}
    assert files(kept) == {name: bytes(len(raw)) for name, raw in before.items()}
    for opened in (box, PrivateBox(directory, MASTER)):
        with pytest.raises(Erased) as gone:
            opened.read("card-1")
        assert gone.value.rest == REST
        with pytest.raises(Erased):
            opened.write("card-1", SECRET)


def test_an_older_box_that_somebody_kept_dies_with_the_key(
    directory: DiskDirectory, tmp_path: Path
) -> None:
    """As a backup of the boxes, or blocks that a file system has not used again, would be."""
    box = PrivateBox(directory, MASTER)
    box.write("card-1", SECRET)
    old = files(tmp_path)["card-1.box"]
    box.write("card-1", OTHER)
    box.erase("card-1", REST)
    (tmp_path / "card-1.erased").unlink()
    (tmp_path / "card-1.box").write_bytes(old)
    with pytest.raises(Damaged, match=r"card-1\.key, offset 0: is missing, and the box"):
        PrivateBox(directory, MASTER).read("card-1")
    box.write("card-9", OTHER)
    (tmp_path / "card-1.key").write_bytes(files(tmp_path)["card-9.key"])
    with pytest.raises(Damaged, match=r"card-1\.key, offset 0: is the file of another document"):
        PrivateBox(directory, MASTER).read("card-1")


def test_what_was_copied_with_its_key_can_be_read_again(
    directory: DiskDirectory, tmp_path: Path
) -> None:
    """Why keys must not be in a backup; and the proof that the test above can fail."""
    box = PrivateBox(directory, MASTER)
    box.write("card-1", SECRET)
    copied = files(tmp_path)
    box.erase("card-1", REST)
    (tmp_path / "card-1.erased").unlink()
    for name, raw in copied.items():
        (tmp_path / name).write_bytes(raw)
    assert PrivateBox(directory, MASTER).read("card-1") == SECRET


def test_one_bit_anywhere_and_another_master_key_are_noticed(
    directory: DiskDirectory, tmp_path: Path
) -> None:
    PrivateBox(directory, MASTER).write("card-1", SECRET)
    for name, raw in files(tmp_path).items():
        for at in range(len(raw)):
            (tmp_path / name).write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
            with pytest.raises(Damaged, match="is damaged, or sealed under another key than this"):
                PrivateBox(directory, MASTER).read("card-1")
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(Damaged, match=r"card-1\.key, offset 0: is damaged, or sealed under"):
        PrivateBox(directory, bytes(32)).read("card-1")


def test_a_box_under_another_name_is_noticed(directory: DiskDirectory, tmp_path: Path) -> None:
    PrivateBox(directory, MASTER).write("card-1", SECRET)
    for suffix in (".box", ".key"):
        (tmp_path / f"card-1{suffix}").rename(tmp_path / f"card-2{suffix}")
    with pytest.raises(Damaged, match=r"card-2\.key, offset 0: is the file of another document"):
        PrivateBox(directory, MASTER).read("card-2")


def test_a_document_too_large_is_not_written(directory: DiskDirectory, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a document has at most 4194304 bytes"):
        PrivateBox(directory, MASTER).write("card-1", bytes(DOCUMENT_BYTES_MAX + 1))
    assert files(tmp_path) == {}


LIFE = (
    ("write", SECRET),
    ("write", OTHER),
    ("erase", REST),
    ("forget", REST),
    ("write", SECRET),
    ("forget", REST),
)


def live(directory: CrashingDirectory) -> int:
    """Write, correct, erase, forget; return how many were promised before the end."""
    done = 0
    try:
        box = PrivateBox(directory, MASTER)
        for verb, data in LIFE:
            getattr(box, verb)("card-1", data)
            done += 1
    except ProcessEnded:
        pass
    return done


def found(directory: CrashingDirectory) -> bytes | None:
    try:
        return PrivateBox(directory, MASTER).read("card-1")
    except Erased as gone:
        assert not [name for name in directory.names() if not name.endswith(".erased")]
        return gone.rest


@pytest.mark.parametrize("survival", list(Survival))
def test_power_lost_at_any_step_leaves_the_last_promise_or_the_next(survival: Survival) -> None:
    steps = CrashingDirectory()
    assert live(steps) == len(LIFE)
    states = [None, SECRET, OTHER, REST, None, SECRET, None]
    for at in range(steps.step):
        directory = CrashingDirectory()
        directory.crash_at = at
        done = live(directory)
        assert done < len(LIFE)
        directory.lose_power(survival, seed=at)
        allowed = states[done : done + 2]
        if LIFE[done][0] == "forget":
            allowed.append(REST)
        assert found(directory) in allowed, f"at step {at}, after {done} promises"


def test_what_a_killed_process_left_unsynced_stays_once_it_was_seen() -> None:
    """A kill leaves names that only the page cache holds; a loss of power would take them."""
    steps = CrashingDirectory()
    live(steps)
    for at in range(steps.step):
        directory = CrashingDirectory()
        directory.crash_at = at
        live(directory)
        directory.crash_at = None
        seen = found(directory)
        directory.lose_power(Survival.NONE)
        assert found(directory) == seen, f"at step {at}"


@pytest.mark.parametrize("survival", list(Survival))
def test_power_lost_while_a_killed_process_is_tidied_up_after_damages_nothing(
    survival: Survival,
) -> None:
    """The key was destroyed for good, and the word that its document is erased was not."""
    steps = CrashingDirectory()
    live(steps)
    states = [None, SECRET, OTHER, REST, None, SECRET, None]
    for at in range(steps.step):
        for later in range(12):
            directory = CrashingDirectory()
            directory.crash_at = at
            done = live(directory)
            directory.crash_at = directory.step + later
            try:
                PrivateBox(directory, MASTER)
            except ProcessEnded:
                pass
            directory.lose_power(survival, seed=at)
            allowed = [*states[done : done + 2], REST]
            assert found(directory) in allowed, f"at step {at}, and {later} steps later"
