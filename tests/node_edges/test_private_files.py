"""Files for their owner alone: whole or not at all, and named where they cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from node.private_files import readable_by_others, write_file


def test_a_file_is_for_its_owner_and_is_not_overwritten_unasked(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    write_file(file, b"one")
    assert not readable_by_others(file)
    with pytest.raises(FileExistsError):
        write_file(file, b"two")
    assert file.read_bytes() == b"one"
    write_file(file, b"two", replace=True)
    assert file.read_bytes() == b"two"


@pytest.mark.parametrize("step", ["write", "fsync"])
def test_what_cannot_be_written_is_named_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The system says of an open file no name, and nobody would know which disk is full."""

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "tokens.json"
    write_file(file, b"one")
    with monkeypatch.context() as full:
        full.setattr(f"os.{step}", fail)
        with pytest.raises(OSError, match=r"No space left on device: '.*/tokens\.json'"):
            write_file(file, b"two", replace=True)
    assert file.read_bytes() == b"one"
    assert [each.name for each in tmp_path.iterdir()] == ["tokens.json"]
