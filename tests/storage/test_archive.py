"""A segment on its way to the archive: the copy is durable before anything is removed."""

from __future__ import annotations

import hashlib

import pytest

from sim.disk import ProcessEnded, Survival, VirtualDirectory
from storage.archive import copy_to_archive
from storage.files import StorageFailure
from tests.storage.crashing import CrashingDirectory

NAME = "00000000.segment"
DATA = bytes(range(256)) * 40


def segments() -> VirtualDirectory:
    disk = VirtualDirectory("segments")
    disk.create(NAME)
    disk.pwrite(NAME, 0, DATA)
    disk.fsync(NAME)
    disk.fsync_directory()
    return disk


@pytest.mark.parametrize("survival", list(Survival))
def test_a_copy_that_was_reported_survives_a_power_loss(survival: Survival) -> None:
    archive = CrashingDirectory()
    size, digest, head = copy_to_archive(segments(), archive, NAME)
    archive.lose_power(survival)
    assert archive.names() == [NAME]
    assert archive.pread(NAME, 0, len(DATA) + 1) == DATA
    assert (size, digest) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert DATA.startswith(bytes.fromhex(head))


@pytest.mark.parametrize("survival", list(Survival))
def test_a_copy_that_was_broken_off_is_made_again(survival: Survival) -> None:
    steps = CrashingDirectory()
    copy_to_archive(segments(), steps, NAME)
    for step in range(steps.step):
        archive = CrashingDirectory()
        archive.crash_at = step
        source = segments()
        with pytest.raises(ProcessEnded):
            copy_to_archive(source, archive, NAME)
        archive.lose_power(survival, seed=step)
        assert source.pread(NAME, 0, len(DATA)) == DATA
        copy_to_archive(source, archive, NAME)
        archive.lose_power(survival, seed=step)
        assert archive.pread(NAME, 0, len(DATA) + 1) == DATA


def test_a_copy_that_reads_back_otherwise_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = CrashingDirectory()
    rename = archive.rename

    def rot(old: str, new: str) -> None:
        rename(old, new)
        archive.flip(new, 100)

    monkeypatch.setattr(archive, "rename", rot)
    with pytest.raises(StorageFailure, match="nothing was removed"):
        copy_to_archive(segments(), archive, NAME)
