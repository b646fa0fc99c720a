"""The audit of private fields: who asked for what, in lines of which no byte changes unseen.

    private/audit-<year>-<month>.log

Each line is a JSON object that ends in a member `sha256`: of the line before it in the file,
newline included, followed by this line without that member (docs/FORMATS.md, "Audit of private
fields"). So a line vouches for itself and, through the one before, for all above it; each file
begins anew, so that one may be removed when its time is over. It is a checksum and no signature:
whoever writes the file can write it anew, and lines cut off the end leave no trace. It tells of rot
and of careless hands; against others it helps to keep a line's hash elsewhere. Lines of older
versions have none and stand at the beginning; the first that has one vouches for the last of them.
A line that lost power broke off stays, and at the next start a line that says so stands behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec

from ledger.words import Words
from storage.files import Damaged, Directory

_NAME: Final = re.compile(r"audit-[0-9]{4}-[0-9]{2}\.log")
_LINE: Final = re.compile(rb'(\{.*),"sha256":"([0-9a-f]{64})"\}\n')

_TAIL_BYTES: Final = 64 * 1024
"""Read to find a file's last line, which has some 300 bytes."""


class AuditLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One access, allowed or not."""

    action: str
    contract: str
    fields: list[str]
    """Names only."""
    outcome: str
    request_id: str
    scope: str
    time: str
    token: str


@dataclass(frozen=True, slots=True)
class AuditCount:
    """How much of the audit there is."""

    lines: int
    unsealed: int
    """Of these, lines that no hash vouches for: of older versions."""
    empty: tuple[str, ...] = ()
    """Files without a line: begun when the power was lost, or emptied since."""


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(AuditLine)


class PrivateAudit:
    """The audit of one store, which has one writer."""

    def __init__(self, directory: Directory, now: datetime) -> None:
        """Open; behind a last line that lost power broke off stands one that says so.

        It is written now because the next access may belong to another month, and thus file.
        """
        self.notices: list[Words] = []
        self._directory = directory
        self._last: tuple[str, bytes] | None = None
        """The file written last, and its last line."""
        for name in _names(directory):
            size = directory.size(name)
            if size and directory.pread(name, size - 1, 1) != b"\n":
                broken = self._read_last(name) + b"\n"
                directory.append(name, b"\n" + seal_line(broken, _note_broken(now)))
                directory.fsync(name)
                path = f"{directory.path}/{name}"
                self.notices.append(
                    Words(
                        f"{path}：最后一行残缺，保留原样",
                        f"{path}: its last line was broken off; it stays so",
                    )
                )
        directory.fsync_directory()  # what is seen may be in the page cache only, after a kill

    def write(self, line: AuditLine, now: datetime) -> None:
        """Make a line durable in the file of its month."""
        file = f"audit-{now.astimezone(UTC):%Y-%m}.log"
        before = self._read_last(file)
        sealed = seal_line(before, line)
        self._directory.append(file, sealed)
        self._directory.fsync(file)
        self._last = file, sealed

    def _read_last(self, file: str) -> bytes:
        """Return a file's last line, empty where there is none; the file is there afterwards."""
        if self._last is not None and self._last[0] == file:
            return self._last[1]
        try:
            size = self._directory.size(file)
        except FileNotFoundError:
            self._directory.create(file)
            self._directory.fsync_directory()
            return b""
        start = max(size - _TAIL_BYTES, 0)
        lines = _split(self._directory.pread(file, start, size - start))
        return lines[-1] if lines else b""


def _note_broken(now: datetime) -> AuditLine:
    time = now.isoformat(timespec="milliseconds")
    return AuditLine("open", "", [], "the line before was broken off", "", "node", time, "")


def seal_line(before: bytes, line: AuditLine) -> bytes:
    """Return a line as it stands in the file behind the line `before`."""
    plain = _encoder.encode(line)
    return b'%s,"sha256":"%s"}\n' % (plain[:-1], _hash(before, plain))


def verify_audit(directory: Directory) -> AuditCount:
    """Hold every line against its hash; raise `Damaged` at the first that is not as written."""
    names = _names(directory)
    counts = [_verify_file(directory, name) for name in names]
    return AuditCount(
        sum(lines for lines, _ in counts),
        sum(unsealed for _, unsealed in counts),
        tuple(name for name, (lines, _) in zip(names, counts, strict=True) if not lines),
    )


def read_lines(directory: Directory) -> Iterator[tuple[str, AuditLine]]:
    """Yield every line that can be read, oldest first, with its file's name; damage is not said."""
    for name in _names(directory):
        for raw in _split(directory.pread(name, 0, directory.size(name))):
            found = _LINE.fullmatch(raw)
            try:
                yield name, _decoder.decode(raw if found is None else found[1] + b"}")
            except (msgspec.DecodeError, UnicodeError):
                continue


def _verify_file(directory: Directory, name: str) -> tuple[int, int]:
    """Return how many lines there are, and of how many no hash vouches."""
    file = f"{directory.path}/{name}"
    lines = _split(directory.pread(name, 0, directory.size(name)))
    is_sealed = []
    before, offset = b"", 0
    for at, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if found is not None and found[2] != _hash(before, found[1] + b"}"):
            raise Damaged(
                file, offset, f"line {at + 1} or the one before it is not as it was written",
                f"第 {at + 1} 行或其前一行与写入时不同",
            )  # fmt: skip
        is_sealed.append(found is not None)
        before, offset = line, offset + len(line)
    if not lines:
        return 0, 0
    if not is_sealed[-1] and (any(is_sealed) or not _is_older(lines[-1])):
        raise Damaged(
            file, offset - len(lines[-1]),
            "its last line was broken off as it was written, or is damaged",
            "最后一行写入时中断，或已损坏",
        )  # fmt: skip
    vouched = zip(is_sealed, [*is_sealed[1:], False], strict=True)
    return len(lines), sum(not (one or following) for one, following in vouched)


def _split(raw: bytes) -> list[bytes]:
    """Return the lines, each with its newline, and what stands behind the last newline."""
    return re.findall(rb"[^\n]*\n|[^\n]+", raw)


def _is_older(line: bytes) -> bool:
    """Say whether a line is one as versions before the hashes wrote them."""
    try:
        return _encoder.encode(_decoder.decode(line)) + b"\n" == line
    except (msgspec.DecodeError, UnicodeError):
        return False


def _hash(before: bytes, plain: bytes) -> bytes:
    return sha256(before + plain).hexdigest().encode()


def _names(directory: Directory) -> list[str]:
    return [name for name in directory.names() if _NAME.fullmatch(name)]
