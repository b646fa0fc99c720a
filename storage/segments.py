"""Block bodies in append-only, checksummed segment files.

A segment is a file header and then one record per block, heights dense and ascending through all
segments. Every byte of a file lies under exactly one CRC-32C, so there is no byte whose flip goes
unseen. One record at a time may be unsynced: `append_block`, then
`sync`. A power loss can therefore tear only the last record of the last segment, and only above
the height the index has applied; that tail, and nothing else, is cut off at `open` and said in
`notices`. What breaks anywhere else raises `Damaged`.
It does not know what an entry means; lengths and counts are all it reads.

File header: magic(8) number(u32) first_height(u64) crc(u32). Records: `storage.records`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from google_crc32c import value as crc32c

from ledger.system_words import explain_system
from ledger.words import Words
from storage.files import Damaged, Directory, StorageFailure
from storage.records import (
    RECORD_HEADER,
    RECORD_MAGIC,
    Appended,
    Place,
    RecordHeader,
    StoredBlock,
    decode_header,
    encode_record,
)

SEGMENT_BYTES: Final = 256 * 1024 * 1024
"""A segment is sealed before it would grow past this: 4,000 files per TB, and one file is still
copied and checked in about a second."""

_COPY_BYTES: Final = 4 * 1024 * 1024
"""Bytes of a segment read at a time for a backup."""

_FILE_HEADER: Final = struct.Struct(">8sIQI")
_FILE_MAGIC: Final = b"EVLSEG\x00\x01"
_CRC: Final = struct.Struct(">I")
_CRC_BYTES: Final = 4
_NAME: Final = re.compile(r"([0-9]{8})\.segment")

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all) while a long check runs."""


_Table = tuple[RecordHeader, tuple[int, ...], tuple[int, ...], bytes]
"""A record's header, the lengths and CRCs of its entries, and its certificate."""


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """A segment that nothing is appended to any more."""

    name: str
    first_height: int
    last_height: int


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{number:08d}.segment"


class SegmentLog:
    """All segments of one directory. Reads may come from any thread, writes from one."""

    def __init__(self, directory: Directory, segment_bytes: int, first_height: int = 0) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._first_height = first_height
        self._first_heights: list[int] = []
        self._end = 0
        self._next_height = first_height
        self._unsynced: Place | None = None
        self._recent: tuple[Place, _Table] | None = None
        self._failed = False
        self.notices: list[Words] = []

    @classmethod
    def open(
        cls,
        directory: Directory,
        applied: Place | None,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        first_height: int = 0,
    ) -> SegmentLog:
        """Open the segments, cutting off a torn record above `applied` (None: nothing applied).

        Everything after `applied` is walked; what lies before it is left to `verify`. A log that
        was begun by a snapshot has `first_height` as its first block, and none before it.
        """
        log = cls(directory, segment_bytes, first_height)
        log._read_names(applied)
        log._find_end(applied)
        if log._first_heights:
            # A record seen here may still be only in the page cache of a killed process.
            directory.fsync(segment_name(len(log._first_heights) - 1))
            directory.fsync_directory()
        return log

    @property
    def next_height(self) -> int:
        """Height of the next block to append."""
        return self._next_height

    @property
    def first_height(self) -> int:
        """Height of the first block that stands here, or will."""
        return self._first_height

    @property
    def end(self) -> tuple[int, int]:
        """The (segment, offset) after the last record; (0, 0) when there is no file."""
        return max(len(self._first_heights) - 1, 0), self._end

    @property
    def last_first_height(self) -> int:
        """First block of the newest segment."""
        return self._first_heights[-1] if self._first_heights else self._first_height

    def sealed(self) -> list[SealedSegment]:
        """Return the segments before the newest, oldest first."""
        heights = self._first_heights
        return [
            SealedSegment(segment_name(number), first, heights[number + 1] - 1)
            for number, first in enumerate(heights[:-1])
        ]

    def append_block(self, height: int, entries: Sequence[bytes], certificate: bytes) -> Appended:
        """Write one record after the last; durable only after `sync`."""
        if self._failed:
            raise StorageFailure(
                f"{self._directory.path}: refused after a failed write",
                f"{self._directory.path}：此前写入失败，不再写入",
            )
        if self._unsynced is not None:
            raise RuntimeError(f"block {self._unsynced.height} must be synced before {height}")
        if height != self._next_height:
            raise ValueError(f"block {height} cannot follow, {self._next_height} is next")
        header, lengths, crcs, parts = encode_record(height, entries, certificate)
        if not self._first_heights or (
            self._end > _FILE_HEADER.size and self._end + header.length > self._segment_bytes
        ):
            self._begin_segment(height)
        number = len(self._first_heights) - 1
        place = Place(height, number, self._end, header.length)
        first = self._end + header.entries_start
        offsets = list(accumulate(lengths, initial=first))
        self._failed = True  # until the bytes are written
        self._directory.pwrite(segment_name(number), self._end, b"".join(parts))
        self._failed = False
        self._end = place.end
        self._next_height = height + 1
        self._unsynced = place
        return Appended(place, offsets, lengths, crcs)

    def sync(self) -> None:
        """Make the appended record durable."""
        if self._unsynced is None:
            return
        if self._failed:
            raise StorageFailure(
                f"{self._directory.path}: refused after a failed write",
                f"{self._directory.path}：此前写入失败，不再写入",
            )
        self._failed = True
        self._directory.fsync(segment_name(self._unsynced.segment))
        self._failed = False
        self._unsynced = None

    def read_block(self, place: Place) -> StoredBlock:
        """Return a whole block, every CRC checked."""
        record, lengths, crcs, certificate = self._read_table(place)
        start = place.offset + record.entries_start
        data = self._read(place.segment, start, record.entries_bytes)
        entries = self._split(place.segment, start, data, lengths, crcs)
        return StoredBlock(place, entries, certificate)

    def read_entries(self, place: Place, begin: int, end: int) -> list[bytes]:
        """Return the entries [begin, end) of a block, counted from the block's first."""
        recent = self._recent
        if recent is None or recent[0] != place:
            recent = (place, self._read_table(place))
            self._recent = recent
        record, lengths, crcs, _ = recent[1]
        if not 0 <= begin <= end <= record.entry_count:
            raise IndexError(f"entries [{begin}, {end}) of block {place.height}, which has "
                             f"{record.entry_count}")  # fmt: skip
        start = place.offset + record.entries_start + sum(lengths[:begin])
        data = self._read(place.segment, start, sum(lengths[begin:end]))
        return self._split(place.segment, start, data, lengths[begin:end], crcs[begin:end])

    def read_ends(self, place: Place) -> tuple[bytes, bytes]:
        """Return (last entry, commit certificate) of a block, without its other entries."""
        record, lengths, crcs, certificate = self._read_table(place)
        length = lengths[-1]
        start = place.offset + record.entries_start + record.entries_bytes - length
        return self.read_at(place.segment, start, length, crcs[-1]), certificate

    def read_at(self, segment: int, offset: int, length: int, crc: int) -> bytes:
        """Return one entry whose place and CRC are known, in one read."""
        data = self._read(segment, offset, length)
        if crc32c(data) != crc:
            raise self._bad_entry(segment, offset, length)
        return data

    def locate(self, place: Place) -> Appended:
        """Return what `append_block` returned for a block that is already here."""
        record, lengths, crcs, _ = self._read_table(place)
        first = place.offset + record.entries_start
        return Appended(place, list(accumulate(lengths, initial=first)), lengths, crcs)

    def scan(self, after: Place | None = None) -> Iterator[StoredBlock]:
        """Yield the blocks after `after` (None: from the first), each checked as it is read."""
        for place in self.places(after):
            yield self.read_block(place)

    def places(self, after: Place | None = None) -> Iterator[Place]:
        """Yield where the blocks after `after` lie, reading record headers only."""
        last, end = self.end
        number, offset = (0, _FILE_HEADER.size) if after is None else (after.segment, after.end)
        height = self._first_height if after is None else after.height + 1
        while height < self._next_height:
            size = end if number == last else self._directory.size(segment_name(number))
            if offset == size and number < last:
                number, offset = number + 1, _FILE_HEADER.size
                if self._first_heights[number] != height:
                    raise self._damaged(number, 0, *_begins_at(self._first_heights[number], height))
                continue
            record = self._read_header(number, offset)
            place = Place(height, number, offset, record.length)
            if record.height != height:
                raise self._damaged(number, offset, *_holds(record.height, height))
            if place.end > size:
                raise self._damaged(number, offset, *_reaches_past(height, size))
            yield place
            offset, height = place.end, height + 1

    def size(self, number: int) -> int:
        """Return the size of a segment file."""
        return self._directory.size(segment_name(number))

    def copy(self, number: int, size: int) -> Iterator[bytes]:
        """Yield the first `size` bytes of a segment file in chunks, as a backup wants them."""
        for offset in range(0, size, _COPY_BYTES):
            yield self._read(number, offset, min(_COPY_BYTES, size - offset))

    def verify(self, progress: Progress | None = None) -> None:
        """Read every byte of every segment; raise `Damaged` at the first wrong one."""
        self._check_names(self._directory.names())
        last, end = self.end
        sizes = [self._directory.size(segment_name(n)) for n in range(len(self._first_heights))]
        if sizes and sizes[last] != end:
            raise self._damaged(
                last, min(end, sizes[last]), f"has {sizes[last]} bytes, not {end}",
                f"有 {sizes[last]} 字节，应为 {end} 字节",
            )  # fmt: skip
        for number, first_height in enumerate(self._first_heights):
            if self._read_file_header(number) != first_height:
                raise self._damaged(
                    number, 0, "the file header is not the one read at opening",
                    "文件头与打开时所读的不同",
                )  # fmt: skip
        done = 0
        number, number_end = 0, _FILE_HEADER.size
        for place in self.places():
            if place.segment != number:
                done, number = done + sizes[number], place.segment
            self.read_block(place)
            number_end = place.end
            if progress is not None:
                progress(done + place.end, sum(sizes))
        is_empty_last = end == _FILE_HEADER.size and number == max(last - 1, 0)
        if sizes and (number, number_end) != (last, end) and not is_empty_last:
            raise self._damaged(
                last, 0, f"the last block ends at {number_end}, not at {end}",
                f"最后一个区块止于 {number_end}，应止于 {end}",
            )  # fmt: skip

    # -- opening

    def _check_names(self, names: Sequence[str]) -> int:
        numbers = []
        for name in names:
            match = _NAME.fullmatch(name)
            if match is None:
                raise Damaged(
                    f"{self._directory.path}/{name}", 0, "is no segment of this log",
                    "不是本日志的数据段",
                )  # fmt: skip
            numbers.append(int(match[1]))
        for expected, number in enumerate(numbers):
            if number != expected:
                raise self._damaged(
                    expected, 0, f"is missing, while {segment_name(number)} exists",
                    f"缺失，而 {segment_name(number)} 存在",
                )  # fmt: skip
        return len(numbers)

    def _read_names(self, applied: Place | None) -> None:
        count = self._check_names(self._directory.names())
        for number in range(count):
            try:
                first_height = self._read_file_header(number)
            except Damaged as damage:
                is_last = number == count - 1
                is_above = applied is None or applied.segment < number
                if is_last and is_above and not self._has_record(number, 0, 0):
                    self._drop_segment(number, damage)
                    return
                raise
            self._first_heights.append(first_height)

    def _find_end(self, applied: Place | None) -> None:
        if applied is None:
            place, self._end = None, _FILE_HEADER.size if self._first_heights else 0
            if self._first_heights and self._first_heights[0] != self._first_height:
                raise self._damaged(0, 0, *_begins_at(self._first_heights[0], self._first_height))
        else:
            if applied.segment >= len(self._first_heights):
                raise self._damaged(
                    applied.segment, 0, f"is missing, and the index has applied block "
                    f"{applied.height} from it",
                    f"缺失，而索引已由其中执行区块 {applied.height}",
                )  # fmt: skip
            self.read_block(applied)
            place, self._end, self._next_height = applied, applied.end, applied.height + 1
        number = 0 if place is None else place.segment
        while number < len(self._first_heights):
            self._walk(number)
            number += 1
            if number < len(self._first_heights):
                if self._first_heights[number] != self._next_height:
                    raise self._damaged(
                        number, 0, *_begins_at(self._first_heights[number], self._next_height)
                    )
                self._end = _FILE_HEADER.size

    def _walk(self, number: int) -> None:
        """Follow the records of one segment from `_end`, cutting a torn one off the last."""
        is_last = number == len(self._first_heights) - 1
        size = self._directory.size(segment_name(number))
        while self._end < size:
            try:
                record = self._read_header(number, self._end)
                place = Place(record.height, number, self._end, record.length)
                if record.height != self._next_height:
                    raise self._damaged(
                        number, self._end, *_holds(record.height, self._next_height)
                    )
                if place.end > size:
                    raise self._damaged(number, self._end, *_reaches_past(record.height, size))
                if place.end == size and is_last:
                    self.read_block(place)
            except Damaged as damage:
                if not is_last or self._has_record(number, self._end + 1, self._next_height + 1):
                    raise
                self._cut_tail(number, size, damage)
                return
            self._end = place.end
            self._next_height += 1

    def _has_record(self, number: int, start: int, height_min: int) -> bool:
        """Say whether an intact record of at least `height_min` begins at or after `start`.

        A power loss tears one record and writes none after it, so one that stands behind a broken
        one means rot, not a torn tail. JSON holds no NUL, so an entry cannot imitate a header.
        """
        size = self._directory.size(segment_name(number))
        data = self._directory.pread(segment_name(number), start, size - start)
        at = data.find(RECORD_MAGIC)
        while at >= 0:
            record = decode_header(data[at : at + RECORD_HEADER.size])
            if record is not None and record.height >= height_min:
                try:
                    self.read_block(Place(record.height, number, start + at, record.length))
                    return True
                except Damaged:
                    pass
            at = data.find(RECORD_MAGIC, at + 1)
        return False

    def _cut_tail(self, number: int, size: int, damage: Damaged) -> None:
        name = segment_name(number)
        self._directory.truncate(name, self._end)  # made durable by `open`
        self.notices.append(
            Words(
                f"{self._directory.path}/{name}：自偏移 {self._end} 起截去末尾未写完的区块 "
                f"{self._next_height}，共 {size - self._end} 字节（{damage.what_zh}）。",
                f"{self._directory.path}/{name}: cut {size - self._end} bytes of an unfinished "
                f"block {self._next_height} off the end at offset {self._end} ({damage.what}).",
            )
        )

    def _drop_segment(self, number: int, damage: Damaged) -> None:
        name = segment_name(number)
        self._directory.remove(name)
        self._directory.fsync_directory()
        self.notices.append(
            Words(
                f"{self._directory.path}/{name}：已删除一个新建而从未存有区块的数据段"
                f"（{damage.what_zh}）。",
                f"{self._directory.path}/{name}: removed a segment that was begun and never held "
                f"a block ({damage.what}).",
            )
        )

    # -- bytes

    def _begin_segment(self, first_height: int) -> None:
        number = len(self._first_heights)
        head = _FILE_HEADER.pack(_FILE_MAGIC, number, first_height, 0)[:-_CRC_BYTES]
        self._failed = True
        self._directory.create(segment_name(number))
        self._directory.pwrite(segment_name(number), 0, head + _CRC.pack(crc32c(head)))
        # Durable before the first record, so that a broken header before an intact record is rot.
        self._directory.fsync(segment_name(number))
        self._directory.fsync_directory()
        self._failed = False
        self._first_heights.append(first_height)
        self._end = _FILE_HEADER.size

    def _read(self, segment: int, offset: int, length: int) -> bytes:
        try:
            data = self._directory.pread(segment_name(segment), offset, length)
        except FileNotFoundError:
            raise self._damaged(segment, 0, "is missing", "缺失") from None
        except PermissionError as error:  # whoever may not open it knows nothing of its bytes
            file = f"{self._directory.path}/{segment_name(segment)}"
            raise StorageFailure(
                f"{file} cannot be opened: {error.strerror}",
                f"{file} 无法打开：{explain_system(error)}",
            ) from error
        except OSError as error:
            raise self._damaged(
                segment, offset, f"cannot be read: {error.strerror}",
                f"无法读取：{explain_system(error)}",
            ) from error  # fmt: skip
        if len(data) != length:
            raise self._damaged(
                segment, offset, f"ends after {len(data)} of the {length} bytes expected here",
                f"此处应有 {length} 字节，只有 {len(data)} 字节",
            )  # fmt: skip
        return data

    def _read_file_header(self, number: int) -> int:
        data = self._read(number, 0, _FILE_HEADER.size)
        magic, stored_number, first_height, crc = _FILE_HEADER.unpack(data)
        if crc32c(data[:-_CRC_BYTES]) != crc:
            raise self._damaged(
                number, 0, "the CRC of the file header is wrong", "文件头的 CRC 不符"
            )
        if magic != _FILE_MAGIC or stored_number != number:
            raise self._damaged(
                number, 0, "the file header is another segment's", "文件头属于另一数据段"
            )
        return int(first_height)

    def _read_header(self, segment: int, offset: int) -> RecordHeader:
        record = decode_header(self._read(segment, offset, RECORD_HEADER.size))
        if record is None:
            raise self._damaged(
                segment, offset, "no intact record header here", "此处没有完好的记录头"
            )
        return record

    def _read_table(self, place: Place) -> _Table:
        segment, offset = place.segment, place.offset
        record = self._read_header(segment, offset)
        if record.height != place.height or record.length != place.length:
            raise self._damaged(
                segment, offset,
                f"holds block {record.height} of {record.length} bytes, not block "
                f"{place.height} of {place.length}",
                f"存有区块 {record.height}（{record.length} 字节），应为区块 {place.height}"
                f"（{place.length} 字节）",
            )  # fmt: skip
        at = offset + RECORD_HEADER.size
        data = self._read(segment, at, record.table_bytes + record.certificate_bytes)
        if crc32c(data) != record.table_crc:
            raise self._damaged(
                segment, at, f"the CRC of block {record.height}'s table and certificate is wrong",
                f"区块 {record.height} 的目录与证书的 CRC 不符",
            )  # fmt: skip
        count = record.entry_count
        numbers = struct.unpack_from(f">{2 * count}I", data)
        lengths, crcs = numbers[:count], numbers[count:]
        if sum(lengths) != record.entries_bytes:
            raise self._damaged(
                segment, at, f"block {record.height}'s lengths do not add up",
                f"区块 {record.height} 各条目的长度与总长不符",
            )  # fmt: skip
        return record, lengths, crcs, data[record.table_bytes :]

    def _split(
        self,
        segment: int,
        start: int,
        data: bytes,
        lengths: Sequence[int],
        crcs: Sequence[int],
    ) -> list[bytes]:
        entries = []
        at = 0
        for length, crc in zip(lengths, crcs, strict=True):
            entry = data[at : at + length]
            if crc32c(entry) != crc:
                raise self._bad_entry(segment, start + at, length)
            entries.append(entry)
            at += length
        return entries

    def _bad_entry(self, segment: int, offset: int, length: int) -> Damaged:
        return self._damaged(
            segment, offset, f"the CRC of an entry of {length} bytes is wrong",
            f"一个 {length} 字节条目的 CRC 不符",
        )  # fmt: skip

    def _damaged(self, segment: int, offset: int, what: str, what_zh: str) -> Damaged:
        return Damaged(f"{self._directory.path}/{segment_name(segment)}", offset, what, what_zh)


def _begins_at(found: int, wanted: int) -> tuple[str, str]:
    return f"begins at height {found}, not {wanted}", f"自高度 {found} 开始，应为 {wanted}"


def _holds(found: int, wanted: int) -> tuple[str, str]:
    return f"holds block {found}, not {wanted}", f"存有区块 {found}，应为 {wanted}"


def _reaches_past(height: int, size: int) -> tuple[str, str]:
    return f"block {height} reaches past the end {size}", f"区块 {height} 超出文件末尾 {size}"
