"""An independent reader of LevelDB's own files that accounts for every byte of them.

LevelDB skips some damage even with paranoid checks: a wrong filter block silently hides keys, the
padding of a footer is never read, and a log that ends early is taken for a power loss. This module
reads the formats (LevelDB's doc/table_format.md and doc/log_format.md) and demands that each file
is covered without gap by pieces whose CRC is right or whose value is fixed, so one flipped byte
anywhere is `Damaged`. Run it on a closed database only: an open one appends and removes files
meanwhile. Not covered: LOG and LOG.old (LevelDB's messages to people) and LOCK, which hold no
data, and tables that the manifest does not name: LevelDB was closed or killed while it merged, and
removes them when it opens. It does not know what keys mean.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from google_crc32c import extend
from google_crc32c import value as crc32c

from ledger.words import Words
from storage.files import Damaged

_MASK_DELTA: Final = 0xA282EAD8
"""LevelDB stores a CRC rotated and shifted by this (util/crc32c.h), so that a CRC of bytes that
contain CRCs stays sound."""

_LOG_BLOCK_BYTES: Final = 32768
_LOG_HEADER: Final = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_FOOTER_BYTES: Final = 48
_HANDLES_BYTES: Final = 40
_TABLE_MAGIC: Final = struct.pack("<Q", 0xDB4775248B80FB57)
_TRAILER: Final = struct.Struct("<BI")
_NO_COMPRESSION: Final = 0

_TABLE: Final = re.compile(r"[0-9]{6,}\.(ldb|sst)")
_LOG: Final = re.compile(r"[0-9]{6,}\.log")
_MANIFEST: Final = re.compile(r"MANIFEST-[0-9]{6,}")
_CURRENT: Final = re.compile(rb"MANIFEST-[0-9]{6,}\n")
_FIRST_MANIFESTS: Final = frozenset({"MANIFEST-000001", "MANIFEST-000002"})
_WITHOUT_DATA: Final = frozenset({"LOG", "LOG.old", "LOCK"})


_NO_FILE: Final = ("is no file of a LevelDB database", "不是 LevelDB 数据库的文件")
_ENDS_INSIDE: Final = Words("文件在一条记录中间结束", "the file ends inside a record")


def verify_database(path: Path) -> None:
    """Check every file of a closed database; raise `Damaged` at the first wrong byte."""
    verify_outline(path)
    named = _list_tables(_find_manifest(path))
    for name in sorted(os.listdir(path)):
        if _LOG.fullmatch(name):
            verify_log(path / name)
        elif _TABLE.fullmatch(name):
            number = int(name.partition(".")[0])
            if number in named:
                verify_table(path / name)
                named.remove(number)
        elif name not in _WITHOUT_DATA and name != "CURRENT" and not _MANIFEST.fullmatch(name):
            raise Damaged(str(path / name), 0, *_NO_FILE)
    for number in sorted(named):
        raise Damaged(str(path / f"{number:06}.ldb"), 0, "is missing", "缺失")


def verify_tables(path: Path) -> None:
    """Check every table that a closed database names; raise `Damaged` at the first wrong byte.

    For one that is about to be opened: LevelDB may merge tables at once and remove them, and what
    it does not read of them (filters, what stands behind the footer) would be gone unseen.
    """
    verify_outline(path)
    for number in sorted(_list_tables(_find_manifest(path))):
        names = (f"{number:06}.ldb", f"{number:06}.sst")
        found = [path / name for name in names if (path / name).exists()]
        if not found:
            raise Damaged(str(path / names[0]), 0, "is missing", "缺失")
        verify_table(found[0])


def verify_outline(path: Path) -> None:
    """Check CURRENT and every MANIFEST: what LevelDB reads first."""
    named = _find_manifest(path)
    if not named.stat().st_size:
        raise Damaged(str(named), 0, "is empty", "为空")
    for name in sorted(os.listdir(path)):
        if _MANIFEST.fullmatch(name):
            verify_log(path / name)


def is_unmade(path: Path) -> bool:
    """Return whether a crash stopped LevelDB while it made this database: nothing was in it yet.

    It writes MANIFEST-000001, which it does not sync, has CURRENT name it, begins 000003.log and
    has CURRENT name MANIFEST-000002 (db/db_impl.cc, `NewDB` and `Open`). Then it is a database.
    """
    current, first = path / "CURRENT", path / "MANIFEST-000001"
    if current.exists() and (
        current.read_bytes() != b"MANIFEST-000001\n" or not first.exists() or first.stat().st_size
    ):
        return False
    for name in os.listdir(path):
        if _TABLE.fullmatch(name) or (_LOG.fullmatch(name) and (path / name).stat().st_size):
            return False
        if _MANIFEST.fullmatch(name) and name not in _FIRST_MANIFESTS:
            return False
    return True


def find_missing_log(path: Path) -> Path | None:
    """Return the write-ahead log that a sound manifest names, if it is not there.

    LevelDB has it before the manifest names it, and passes over one that is gone.
    """
    manifest = _find_manifest(path)
    numbers = [fields[0] for tag, fields in _read_edits(manifest) if tag == _LOG_NUMBER]
    named = path / f"{numbers[-1] if numbers else 0:06}.log"
    return named if numbers and numbers[-1] and not named.exists() else None


def reserve_numbers(path: Path, number: int) -> None:
    """Have a closed database give new files numbers from `number` on, by one more manifest record.

    A record is a version edit (db/version_edit.cc); its field 3 is the next file's number, and of
    several edits the last one counts.
    """
    manifest = _find_manifest(path)
    verify_log(manifest)
    edit = bytes([3]) + _encode_varint(number)
    data = b""
    at = manifest.stat().st_size
    kind = _FIRST
    while edit or kind == _FIRST:
        room = _LOG_BLOCK_BYTES - (at + len(data)) % _LOG_BLOCK_BYTES
        if room < _LOG_HEADER.size:
            data += bytes(room)
            continue
        piece, edit = edit[: room - _LOG_HEADER.size], edit[room - _LOG_HEADER.size :]
        if not edit:
            kind = _FULL if kind == _FIRST else _LAST
        body = bytes([kind]) + piece
        data += _LOG_HEADER.pack(_mask(crc32c(body)), len(piece), kind) + piece
        kind = _MIDDLE
    with open(manifest, "ab") as stream:
        stream.write(data)


def verify_log(path: Path) -> None:
    """Check a write-ahead log or a manifest; both have the same format."""
    data = path.read_bytes()
    end, damage = _walk_log(data)
    if damage is not None:
        raise Damaged(str(path), damage[0], damage[1].en, damage[1].zh)
    if end != len(data):
        raise Damaged(str(path), end, _ENDS_INSIDE.en, _ENDS_INSIDE.zh)


def cut_torn_log(path: Path) -> list[Words]:
    """Cut an unfinished last record off the newest write-ahead log, and say so.

    A power loss during a write leaves one, and LevelDB would then either refuse to open or drop it
    without a word. Only a record after which no other begins is cut; the caller's segments hold
    the blocks that a cut may take away, if it was rot and not a power loss. Anything else is
    `Damaged`.
    """
    notices = []
    logs = sorted(name for name in os.listdir(path) if _LOG.fullmatch(name))
    for name in logs:
        file = path / name
        data = file.read_bytes()
        end, damage = _walk_log(data)
        if damage is None and end == len(data):
            continue
        offset, what = damage or (end, _ENDS_INSIDE)
        if name != logs[-1] or _has_record_start(data, offset):
            raise Damaged(str(file), offset, what.en, what.zh)
        with open(file, "r+b") as stream:
            stream.truncate(end)
            os.fsync(stream.fileno())
        notices.append(
            Words(
                f"{file}：自偏移 {end} 起截去末尾未写完的 {len(data) - end} 字节（{what.zh}）。",
                f"{file}: cut {len(data) - end} bytes of an unfinished write off the end at "
                f"offset {end} ({what.en}).",
            )
        )
    return notices


def verify_table(path: Path) -> None:
    """Check a table: footer, index, metaindex, filter and every data block, without a gap."""
    data = path.read_bytes()
    name = str(path)
    if len(data) < _FOOTER_BYTES:
        raise Damaged(
            name, 0, f"has {len(data)} bytes, less than a footer",
            f"有 {len(data)} 字节，不足一个文件尾",
        )  # fmt: skip
    start = len(data) - _FOOTER_BYTES
    footer = data[start:]
    if footer[_HANDLES_BYTES:] != _TABLE_MAGIC:
        raise Damaged(
            name, start + _HANDLES_BYTES, "the table's magic number is wrong", "表的标识数不符"
        )
    metaindex, at = _read_handle(name, footer, 0, start)
    index, at = _read_handle(name, footer, at, start)
    if at > _HANDLES_BYTES or any(footer[at:_HANDLES_BYTES]):
        raise Damaged(
            name, start + at, "the footer's padding is not zero", "文件尾的填充字节不为零"
        )
    handles = [metaindex, index]
    for block in (metaindex, index):
        content = _read_block(name, data, *block)
        for entry_at, value in _block_values(name, block[0], content):
            handle, used = _read_handle(name, value, 0, entry_at)
            if used != len(value):
                raise Damaged(
                    name, entry_at, "bytes follow a block's handle", "块的位置之后另有字节"
                )
            handles.append(handle)
    end = 0
    for offset, size in sorted(handles):
        if offset != end:
            raise Damaged(
                name, end, f"no block covers the bytes from {end} to {offset}",
                f"自 {end} 至 {offset} 的字节不属于任何块",
            )  # fmt: skip
        _read_block(name, data, offset, size)
        end = offset + size + _TRAILER.size
    if end != start:
        raise Damaged(
            name, end, f"no block covers the bytes from {end} to the footer at {start}",
            f"自 {end} 至位于 {start} 的文件尾，其间的字节不属于任何块",
        )  # fmt: skip


def _find_manifest(path: Path) -> Path:
    """Return the manifest that CURRENT names."""
    current = path / "CURRENT"
    try:
        data = current.read_bytes()
    except FileNotFoundError:
        raise Damaged(str(current), 0, "is missing", "缺失") from None
    if _CURRENT.fullmatch(data) is None:
        raise Damaged(
            str(current), 0, f"names no manifest: {data[:40]!r}",
            f"没有写明清单文件：{data[:40]!r}",
        )  # fmt: skip
    named = path / data[:-1].decode("ascii")
    if not named.is_file():
        raise Damaged(
            str(current), 0, f"names {named.name}, which is missing",
            f"所写明的 {named.name} 缺失",
        )  # fmt: skip
    return named


def _list_tables(manifest: Path) -> set[int]:
    """Return the numbers of the tables that a sound manifest names in the end."""
    tables: set[int] = set()
    for tag, fields in _read_edits(manifest):
        if tag == _DELETED:
            tables.discard(fields[1])
        elif tag == _ADDED:
            tables.add(fields[1])
    return tables


def _read_edits(manifest: Path) -> Iterator[tuple[int, list[int]]]:
    """Yield what a sound manifest says, in order, as (tag, its fields; of a text its length).

    A record is a version edit (db/version_edit.cc): tags, each with its fields.
    """
    name = str(manifest)
    edits: list[bytes] = []
    _walk_log(manifest.read_bytes(), edits)
    for edit in edits:
        at = 0
        while at < len(edit):
            tag, at = _read_varint(name, edit, at, 0)
            if tag not in _EDIT:
                raise Damaged(
                    name, 0, f"an edit has the unknown tag {tag}", f"一条更改的标记 {tag} 未知"
                )
            fields = []
            for is_text in _EDIT[tag]:
                field, at = _read_varint(name, edit, at, 0)
                fields.append(field)
                at += field if is_text else 0
            yield tag, fields


_LOG_NUMBER, _DELETED, _ADDED = 2, 6, 7
_EDIT: Final = {
    1: (True,), _LOG_NUMBER: (False,), 3: (False,), 4: (False,), 5: (False, True),
    _DELETED: (False, False), _ADDED: (False, False, False, True, True), 9: (False,),
}  # fmt: skip
"""The fields of each tag, numbers or texts behind their length: comparator, log, next file, last
sequence, where merging goes on, a table that is gone, a new one (level, number, size, smallest and
largest key), former log."""


def _mask(crc: int) -> int:
    """Return a CRC as LevelDB stores it."""
    rotated = ((crc >> 15) | (crc << 17)) & 0xFFFFFFFF
    return (rotated + _MASK_DELTA) & 0xFFFFFFFF


def _is_crc(stored: int, computed: int) -> bool:
    return stored == _mask(computed)


def _walk_log(
    data: bytes, records: list[bytes] | None = None
) -> tuple[int, tuple[int, Words] | None]:
    """Return where the last whole record ends, and the first damage as (offset, what).

    What is read of the records is appended to `records`, where somebody wants them.
    """
    at = end = 0
    inside = False
    while at < len(data):
        room = _LOG_BLOCK_BYTES - at % _LOG_BLOCK_BYTES
        if room < _LOG_HEADER.size:
            padding = data[at : at + room]
            if any(padding):
                return end, (
                    at,
                    Words("块末的填充字节不为零", "the padding at a block's end is not zero"),
                )
            # LevelDB writes the padding together with the record after it.
            at = min(at + room, len(data))
            continue
        if len(data) - at < _LOG_HEADER.size:
            said = Words("文件在记录头中间结束", "the file ends inside a record's header")
            return end, (at, said)
        stored, length, kind = _LOG_HEADER.unpack_from(data, at)
        if length > room - _LOG_HEADER.size:
            said = Words(
                f"一条 {length} 字节的记录超出所在的块",
                f"a record of {length} bytes does not fit in its block",
            )
            return end, (at, said)
        if at + _LOG_HEADER.size + length > len(data):
            return end, (at, _ENDS_INSIDE)
        body = data[at + 6 : at + _LOG_HEADER.size + length]
        if not _is_crc(stored, crc32c(body)):
            return end, (at, Words("一条记录的 CRC 不符", "the CRC of a record is wrong"))
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST):
            said = Words(f"一条记录的类型 {kind} 未知", f"a record has the unknown type {kind}")
            return end, (at, said)
        if inside != (kind in (_MIDDLE, _LAST)):
            said = Words(
                f"类型为 {kind} 的一段与其前的内容不符",
                f"a piece of type {kind} does not fit what stands before it",
            )
            return end, (at, said)
        if records is not None:
            if not inside:
                records.append(b"")
            records[-1] += body[1:]
        at += _LOG_HEADER.size + length
        inside = kind in (_FIRST, _MIDDLE)
        if not inside:
            end = at
    return end if inside else at, None


def _has_record_start(data: bytes, damaged_at: int) -> bool:
    """Say whether an intact record begins behind the damaged place.

    The damaged piece's own length may be right or wrong, so both what follows it and the starts of
    the later 32 KiB blocks are tried, as LevelDB's own reader does after an error.
    """
    at = damaged_at
    if at + _LOG_HEADER.size <= len(data):
        at += _LOG_HEADER.size + _LOG_HEADER.unpack_from(data, at)[1]
    next_block = (damaged_at // _LOG_BLOCK_BYTES + 1) * _LOG_BLOCK_BYTES
    starts = [at, *range(next_block, len(data), _LOG_BLOCK_BYTES)]
    return any(kind in (_FULL, _FIRST) for start in starts for kind in _intact_kinds(data, start))


def _intact_kinds(data: bytes, at: int) -> Iterator[int]:
    """Yield the types of the intact pieces from `at` to the end of its block."""
    while at % _LOG_BLOCK_BYTES <= _LOG_BLOCK_BYTES - _LOG_HEADER.size:
        if at + _LOG_HEADER.size > len(data):
            return
        stored, length, kind = _LOG_HEADER.unpack_from(data, at)
        body = data[at + 6 : at + _LOG_HEADER.size + length]
        if len(body) != 1 + length or not _is_crc(stored, crc32c(body)):
            return
        yield kind
        at += _LOG_HEADER.size + length


def _encode_varint(value: int) -> bytes:
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _read_varint(name: str, data: bytes, at: int, base: int) -> tuple[int, int]:
    value = shift = 0
    for position in range(at, min(at + 10, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte == 0 and position > at:
            # A flip can turn the first zero of the padding into one more, empty, digit.
            raise Damaged(
                name, base + at, "a number is not in its shortest spelling", "一个数未用最短写法"
            )
        if byte < 0x80:
            return value, position + 1
    raise Damaged(name, base + at, "a number does not end", "一个数没有结束")


def _read_handle(name: str, data: bytes, at: int, base: int) -> tuple[tuple[int, int], int]:
    offset, middle = _read_varint(name, data, at, base)
    size, end = _read_varint(name, data, middle, base)
    return (offset, size), end


def _read_block(name: str, data: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + _TRAILER.size > len(data) - _FOOTER_BYTES:
        raise Damaged(
            name, offset, f"a block of {size} bytes reaches past the end",
            f"一个 {size} 字节的块超出文件末尾",
        )  # fmt: skip
    block = data[offset:end]
    kind, stored = _TRAILER.unpack_from(data, end)
    if not _is_crc(stored, extend(crc32c(block), data[end : end + 1])):
        raise Damaged(
            name, offset, f"the CRC of a block of {size} bytes is wrong",
            f"一个 {size} 字节的块的 CRC 不符",
        )  # fmt: skip
    if kind != _NO_COMPRESSION:
        raise Damaged(
            name, end, f"a block is of type {kind}; this ledger writes none compressed",
            f"一个块的类型为 {kind}；本账本不写压缩块",
        )  # fmt: skip
    return block


def _block_values(name: str, base: int, block: bytes) -> list[tuple[int, bytes]]:
    """Return the (offset in the file, value) pairs of an index block."""
    if len(block) < 4:
        raise Damaged(
            name, base, f"an index block has only {len(block)} bytes",
            f"一个索引块只有 {len(block)} 字节",
        )  # fmt: skip
    restarts = struct.unpack_from("<I", block, len(block) - 4)[0]
    limit = len(block) - 4 - 4 * restarts
    values = []
    at = 0
    while at < limit:
        start = at
        _, at = _read_varint(name, block, at, base)
        key_bytes, at = _read_varint(name, block, at, base)
        value_bytes, at = _read_varint(name, block, at, base)
        values.append((base + start, block[at + key_bytes : at + key_bytes + value_bytes]))
        at += key_bytes + value_bytes
    if at != limit:
        raise Damaged(
            name, base, "an index block does not end where its restarts begin",
            "一个索引块没有止于重启点开始处",
        )  # fmt: skip
    return values
