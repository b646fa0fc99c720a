"""Copying a segment to the archive: what is named in the list is there after any power loss."""

from __future__ import annotations

import hashlib

import pytest

from sim.disk import Survival
from storage.archive import HEAD_BYTES, copy_to_archive
from storage.files import StorageFailure
from tests.storage.crashing import CrashingDirectory

NAME = "00000000.segment"
DATA = bytes(range(256)) * 8


def directory_of(files: dict[str, bytes]) -> CrashingDirectory:
    directory = CrashingDirectory()
    for name, data in files.items():
        directory.create(name)
        directory.pwrite(name, 0, data)
        directory.fsync(name)
    directory.fsync_directory()
    return directory


@pytest.mark.parametrize("survival", Survival)
def test_a_copy_is_durable_under_its_name_before_it_counts(survival: Survival) -> None:
    """The original goes as soon as the list says that the copy is there."""
    archive = directory_of({NAME + ".partial": b"left by a move that was broken off"})
    copied = copy_to_archive(directory_of({NAME: DATA}), archive, NAME)
    assert copied == (len(DATA), hashlib.sha256(DATA).hexdigest(), DATA[:HEAD_BYTES].hex())
    archive.lose_power(survival)
    assert archive.names() == [NAME]
    assert archive.pread(NAME, 0, len(DATA) + 1) == DATA


def test_a_copy_that_reads_back_differently_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    segments, archive = directory_of({NAME: DATA}), CrashingDirectory()
    monkeypatch.setattr(archive, "pread", lambda name, offset, length: bytes(length))
    with pytest.raises(StorageFailure, match="nothing was removed"):
        copy_to_archive(segments, archive, NAME)
    assert segments.pread(NAME, 0, len(DATA)) == DATA
