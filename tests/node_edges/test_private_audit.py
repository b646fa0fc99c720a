"""The audit of private fields: of no line a byte changes unseen, and older files are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from node.private_audit import AuditCount, AuditLine, PrivateAudit, seal_line, verify_audit
from sim.disk import ProcessEnded, Survival
from storage.files import Damaged, DiskDirectory
from tests.storage.crashing import CrashingDirectory

JANUARY = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)


def make_line(contract: str) -> AuditLine:
    return AuditLine(
        "read", contract, [], "done", "r-1", "custodian:bank-a", JANUARY.isoformat(), "till"
    )


def make_older(contract: str) -> bytes:
    return msgspec.json.encode(make_line(contract), order="sorted") + b"\n"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DiskDirectory]:
    opened = DiskDirectory(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def file(directory: DiskDirectory) -> Path:
    """Three lines in January and one in February."""
    audit = PrivateAudit(directory, FEBRUARY)
    for contract in ("a", "b", "c"):
        audit.write(make_line(contract), JANUARY)
    audit.write(make_line("d"), FEBRUARY)
    return Path(directory.path) / "audit-2026-01.log"


def test_a_line_ends_in_the_hash_of_the_one_before_and_itself(
    directory: DiskDirectory, file: Path
) -> None:
    before = b""
    for line, contract in zip(file.read_bytes().splitlines(keepends=True), "abc", strict=True):
        plain = make_older(contract).removesuffix(b"\n")
        digest = sha256(before + plain).hexdigest().encode()
        assert line == plain[:-1] + b',"sha256":"' + digest + b'"}\n'
        before = line
    assert verify_audit(directory) == AuditCount(lines=4, unsealed=0)


def test_every_flipped_bit_is_found_and_its_line_named(
    directory: DiskDirectory, file: Path
) -> None:
    raw = file.read_bytes()
    starts = [0, *(at + 1 for at, byte in enumerate(raw) if byte == 0x0A)]
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1 << at % 8
        file.write_bytes(changed)
        with pytest.raises(Damaged) as damaged:
            verify_audit(directory)
        line = max(number for number, start in enumerate(starts) if start <= at)
        found = max(number for number, start in enumerate(starts) if start <= damaged.value.offset)
        assert found in (line, line + 1), (at, damaged.value)
        assert damaged.value.file == str(file)


@pytest.mark.parametrize("left_out", [0, 1])
def test_a_line_that_is_left_out_is_missed(
    directory: DiskDirectory, file: Path, left_out: int
) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    del lines[left_out]
    file.write_bytes(b"".join(lines))
    with pytest.raises(Damaged, match=f"line {left_out + 1} or the one before it is not as"):
        verify_audit(directory)


def test_a_file_stands_by_itself(directory: DiskDirectory, file: Path) -> None:
    """One may be removed when its time is over; lines cut off the end leave no trace."""
    file.write_bytes(file.read_bytes().partition(b"\n")[0] + b"\n")
    assert verify_audit(directory) == AuditCount(lines=2, unsealed=0)
    file.unlink()
    assert verify_audit(directory) == AuditCount(lines=1, unsealed=0)


def test_it_goes_on_where_it_ended(directory: DiskDirectory, file: Path) -> None:
    PrivateAudit(directory, FEBRUARY).write(make_line("e"), JANUARY)
    assert len(file.read_bytes().splitlines()) == 4
    assert verify_audit(directory) == AuditCount(lines=5, unsealed=0)


def test_older_lines_are_read_and_the_last_of_them_is_vouched_for(
    directory: DiskDirectory, tmp_path: Path
) -> None:
    file = tmp_path / "audit-2026-01.log"
    older = make_older("a") + b'{"action":"read","con\n' + make_older("b")
    file.write_bytes(older)
    assert verify_audit(directory) == AuditCount(lines=3, unsealed=3)
    PrivateAudit(directory, FEBRUARY).write(make_line("c"), JANUARY)
    assert verify_audit(directory) == AuditCount(lines=4, unsealed=2)
    file.write_bytes(file.read_bytes().replace(b'"contract":"b"', b'"contract":"x"'))
    with pytest.raises(Damaged, match="line 4 or the one before it is not as it was written"):
        verify_audit(directory)


@pytest.mark.parametrize("kept", [1, 13, -1])
def test_behind_a_line_that_lost_power_broke_off_the_next_start_says_so(
    directory: DiskDirectory, file: Path, kept: int
) -> None:
    """The month may be over, so that no access would ever stand behind it."""
    whole = file.read_bytes()
    line = seal_line(b"".join(whole.splitlines(keepends=True)[-1:]), make_line("e"))
    file.write_bytes(whole + line[:kept])
    if kept > 0:
        with pytest.raises(Damaged, match="broken off as it was written, or is damaged") as found:
            verify_audit(directory)
        assert found.value.offset == len(whole)
    (notice,) = PrivateAudit(directory, FEBRUARY).notices
    assert notice.en == f"{file}: its last line was broken off; it stays so"
    assert file.read_bytes().startswith(whole + line[:kept] + b"\n{")
    assert verify_audit(directory) == AuditCount(lines=6, unsealed=0)
    assert PrivateAudit(directory, FEBRUARY).notices == []
    PrivateAudit(directory, FEBRUARY).write(make_line("f"), JANUARY)
    assert verify_audit(directory) == AuditCount(lines=7, unsealed=0)
    last = json.loads(file.read_bytes().splitlines()[-2])
    assert (last["outcome"], last["time"]) == (
        "the line before was broken off",
        "2026-02-01T00:00:00.000+00:00",
    )


def test_the_example_of_the_document_is_one(directory: DiskDirectory, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/FORMATS.md").read_text("utf-8")
    example = text.partition("### Audit of private fields")[2].split("```")[1]
    (tmp_path / "audit-2026-03.log").write_text(example.removeprefix("text\n"), "utf-8")
    assert verify_audit(directory) == AuditCount(lines=2, unsealed=0)


def test_a_file_that_a_killed_process_made_stays_once_the_audit_was_opened() -> None:
    """A kill leaves a name that only the page cache holds; a loss of power would take it."""
    for step in range(4):
        directory = CrashingDirectory()
        directory.crash_at = step
        with suppress(ProcessEnded):
            PrivateAudit(directory, JANUARY).write(make_line("a"), JANUARY)
        directory.crash_at = None
        PrivateAudit(directory, JANUARY).write(make_line("b"), JANUARY)
        directory.lose_power(Survival.NONE)
        assert b'"b"' in directory.pread("audit-2026-01.log", 0, 4096), step
