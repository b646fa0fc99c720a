"""Segments: round trip, sealing, crash at every step, every byte flipped."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from sim.disk import ProcessEnded, Survival
from storage.files import Damaged, DiskDirectory, StorageFailure
from storage.records import Place
from storage.segments import SegmentLog, segment_name
from tests.storage.crashing import CrashingDirectory


def entries_of(height: int) -> list[bytes]:
    chance = random.Random(height)
    count = chance.randrange(1, 6)
    return [chance.randbytes(chance.randrange(0, 300)) for _ in range(count)]


def certificate_of(height: int) -> bytes:
    return f"certificate of {height}".encode() if height else b""


def append(log: SegmentLog, *heights: int) -> list[Place]:
    places = []
    for height in heights:
        places.append(log.append_block(height, entries_of(height), certificate_of(height)).place)
        log.sync()
    return places


def filled(blocks: int, segment_bytes: int = 1500) -> tuple[CrashingDirectory, list[Place]]:
    disk = CrashingDirectory()
    log = SegmentLog.open(disk, None, segment_bytes=segment_bytes)
    return disk, append(log, *range(blocks))


def assert_holds(log: SegmentLog, blocks: int) -> None:
    found = list(log.scan())
    assert [block.place.height for block in found] == list(range(blocks))
    for height, block in enumerate(found):
        assert block.entries == entries_of(height)
        assert block.certificate == certificate_of(height)


def test_blocks_come_back_whole_and_by_entry(tmp_path: Path) -> None:
    disk = DiskDirectory(tmp_path)
    log = SegmentLog.open(disk, None, segment_bytes=1500)
    places = append(log, *range(12))
    assert_holds(log, 12)
    assert len(disk.names()) > 2
    for place in places:
        entries = entries_of(place.height)
        assert log.read_entries(place, 0, len(entries)) == entries
        assert log.read_entries(place, len(entries) - 1, len(entries)) == entries[-1:]
        assert log.read_entries(place, 0, 0) == []
        located = log.locate(place)
        for at, entry in enumerate(entries):
            assert log.read_at(
                place.segment, located.offsets[at], located.lengths[at], located.crcs[at]
            ) == entry  # fmt: skip
    log.verify()
    disk.close()
    for applied in (None, places[3], places[-1]):
        again = SegmentLog.open(DiskDirectory(tmp_path), applied, segment_bytes=1500)
        assert again.notices == []
        assert_holds(again, 12)
        assert [block.place for block in again.scan(places[5])] == places[6:]


def test_append_says_where_each_entry_lies() -> None:
    log = SegmentLog.open(CrashingDirectory(), None)
    appended = log.append_block(0, [b"one", b"", b"three"], b"c")
    assert list(appended.lengths) == [3, 0, 5]
    found = [
        log.read_at(0, *entry)
        for entry in zip(appended.offsets, appended.lengths, appended.crcs, strict=False)
    ]
    assert found == [b"one", b"", b"three"]


def test_an_entry_that_is_read_alone_is_checked() -> None:
    disk, places = filled(1)
    log = SegmentLog.open(disk, places[0])
    located = log.locate(places[0])
    name = segment_name(0)
    for offset, length, crc in zip(located.offsets, located.lengths, located.crcs, strict=False):
        for at in range(offset, offset + length):
            disk.flip(name, at)
            with pytest.raises(Damaged, match=f"the CRC of an entry of {length} bytes is wrong"):
                log.read_at(0, offset, length, crc)
            disk.flip(name, at)
        assert len(log.read_at(0, offset, length, crc)) == length


def test_only_the_next_height_is_taken_and_one_unsynced_block() -> None:
    log = SegmentLog.open(CrashingDirectory(), None)
    with pytest.raises(ValueError, match="block 1 cannot follow, 0 is next"):
        log.append_block(1, [b"x"], b"")
    log.append_block(0, [b"x"], b"")
    with pytest.raises(RuntimeError, match="block 0 must be synced before 1"):
        log.append_block(1, [b"x"], b"")
    log.sync()
    with pytest.raises(ValueError, match="block 1 has no entries; its header is always one"):
        log.append_block(1, [], b"")


@pytest.mark.parametrize("survival", list(Survival))
@pytest.mark.parametrize("seed", range(4))
def test_crash_at_every_step_loses_only_the_block_being_written(
    survival: Survival, seed: int
) -> None:
    blocks = 6
    probe, _ = filled(blocks)
    for step in range(probe.step + 1):
        disk = CrashingDirectory()
        disk.crash_at = step
        synced = 0
        places: list[Place] = []
        try:
            log = SegmentLog.open(disk, None, segment_bytes=900)
            for height in range(blocks):
                places += append(log, height)
                synced = height + 1
        except ProcessEnded:
            pass
        disk.lose_power(survival, seed=seed * 1000 + step)
        for applied in (None, places[-1] if places else None):
            log = SegmentLog.open(disk, applied, segment_bytes=900)
            assert synced <= log.next_height <= synced + 1
            log.verify()
            assert_holds(log, log.next_height)
        log = SegmentLog.open(disk, None, segment_bytes=900)
        append(log, *range(log.next_height, blocks))
        assert_holds(log, blocks)
        log.verify()
        assert_holds(SegmentLog.open(disk, None, segment_bytes=900), blocks)


@pytest.mark.parametrize("survival", list(Survival))
def test_what_opening_has_seen_is_durable(survival: Survival) -> None:
    """A killed process leaves a whole record in the page cache; the index may then rely on it."""
    probe, _ = filled(4, segment_bytes=900)
    for step in range(probe.step):
        disk = CrashingDirectory()
        disk.crash_at = step
        try:
            append(SegmentLog.open(disk, None, segment_bytes=900), *range(4))
        except ProcessEnded:
            pass
        disk.lose_power(Survival.ALL)
        seen = SegmentLog.open(disk, None, segment_bytes=900).next_height
        disk.lose_power(survival, seed=step)
        assert_holds(SegmentLog.open(disk, None, segment_bytes=900), seen)


def test_segments_refuse_after_a_failure_even_if_the_disk_answers_again() -> None:
    disk, places = filled(2)
    log = SegmentLog.open(disk, places[-1])
    disk.fsyncs_until_failure = 0
    log.append_block(2, entries_of(2), b"")
    with pytest.raises(StorageFailure, match="fsync failed"):
        log.sync()
    disk.mend()
    with pytest.raises(StorageFailure, match="fake: refused after a failed write"):
        log.sync()
    with pytest.raises(StorageFailure, match="fake: refused after a failed write"):
        log.append_block(3, entries_of(3), b"")


def test_torn_tail_is_cut_and_said() -> None:
    disk, places = filled(3, segment_bytes=10**6)
    disk.flip(segment_name(0), places[2].end - 1)
    log = SegmentLog.open(disk, places[1])
    cut = places[2].length
    offset = places[2].offset
    length = len(entries_of(2)[-1])
    assert [one.en for one in log.notices] == [
        (
            f"fake/00000000.segment: cut {cut} bytes of an unfinished block 2 off the end at "
            f"offset {offset} (the CRC of an entry of {length} bytes is wrong)."
        )
    ]
    assert log.next_height == 2
    assert disk.size(segment_name(0)) == places[1].end
    append(log, 2)
    assert_holds(log, 3)


def test_tail_at_or_below_the_applied_height_is_never_cut() -> None:
    disk, places = filled(3, segment_bytes=10**6)
    disk.truncate(segment_name(0), places[2].end - 1)
    size = disk.size(segment_name(0))
    with pytest.raises(Damaged, match=r"00000000\.segment, offset"):
        SegmentLog.open(disk, places[2])
    assert disk.size(segment_name(0)) == size


@pytest.mark.parametrize("segment_bytes", [900, 10**6])
def test_every_flipped_byte_is_noticed(segment_bytes: int) -> None:
    disk, places = filled(5, segment_bytes)
    log = SegmentLog.open(disk, places[-1], segment_bytes=segment_bytes)
    log.verify()
    for name in disk.names():
        for offset in range(disk.size(name)):
            for mask in (0x01, 0x80, 0xFF):
                disk.flip(name, offset, mask)
                with pytest.raises(Damaged, match=name):
                    log.verify()
                disk.flip(name, offset, mask)
    log.verify()


def test_rot_before_the_last_block_is_never_taken_for_a_torn_tail() -> None:
    """With the index gone nothing is applied, and still only the end may be cut."""
    disk, places = filled(5, segment_bytes=10**6)
    name = segment_name(0)
    for offset in range(places[3].end):
        before = disk.pread(name, 0, disk.size(name))
        disk.flip(name, offset)
        with pytest.raises(Damaged, match=name):
            list(SegmentLog.open(disk, None).scan())
        disk.flip(name, offset)
        assert disk.pread(name, 0, disk.size(name)) == before


def test_missing_segment_and_strange_file_are_named() -> None:
    names = filled(8, segment_bytes=900)[0].names()
    for number in range(len(names) - 1):
        disk, places = filled(8, segment_bytes=900)
        disk.remove(segment_name(number))
        with pytest.raises(Damaged, match=f"{segment_name(number)}, offset 0: is missing, while"):
            SegmentLog.open(disk, places[-1])
    disk, places = filled(8, segment_bytes=900)
    disk.remove(max(names))
    with pytest.raises(Damaged, match="is missing, and the index has applied block 7 from it"):
        SegmentLog.open(disk, places[-1])
    disk, places = filled(8, segment_bytes=900)
    disk.create("stray")
    with pytest.raises(Damaged, match="fake/stray, offset 0: is no segment of this log"):
        SegmentLog.open(disk, places[-1])


def test_a_file_that_may_not_be_opened_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where somebody ran a command as another user: its bytes are as they were."""
    disk, places = filled(3)

    def refuse(name: str, offset: int, length: int) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)

    monkeypatch.setattr(disk, "pread", refuse)
    with pytest.raises(StorageFailure) as caught:
        SegmentLog.open(disk, places[-1])
    assert str(caught.value) == f"{disk.path}/{segment_name(0)} cannot be opened: Permission denied"


def test_bytes_after_the_end_are_noticed() -> None:
    disk, places = filled(3, segment_bytes=10**6)
    log = SegmentLog.open(disk, places[-1])
    disk.append(segment_name(0), b"\0")
    with pytest.raises(Damaged, match=r"00000000\.segment, offset"):
        log.verify()


def test_swapped_segments_are_noticed() -> None:
    disk, places = filled(8, segment_bytes=900)
    one, two = segment_name(1), segment_name(2)
    for old, new in ((one, "other"), (two, one), ("other", two)):
        disk.rename(old, new)
    with pytest.raises(Damaged, match="the file header is another segment's"):
        SegmentLog.open(disk, places[-1])


def test_full_disk_and_failing_fsync_leave_earlier_blocks_whole() -> None:
    probe, _ = filled(4, segment_bytes=900)
    total = sum(probe.size(name) for name in probe.names())
    for capacity in range(0, total, 37):
        assert_earlier_blocks_whole(capacity, None)
    for fsync in range(probe.fsync_count):
        assert_earlier_blocks_whole(None, fsync)


def assert_earlier_blocks_whole(capacity: int | None, fsync: int | None) -> None:
    disk = CrashingDirectory()
    disk.room_bytes, disk.fsyncs_until_failure = capacity, fsync
    log = SegmentLog.open(disk, None, segment_bytes=900)
    synced, sentence = 0, ""
    places: list[Place] = []
    try:
        for height in range(4):
            places += append(log, height)
            synced = height + 1
    except StorageFailure as failure:
        sentence = str(failure)
    assert "failed: " in sentence
    assert synced < 4
    with pytest.raises((StorageFailure, RuntimeError)):
        append(log, synced)
    disk.lose_power(Survival.ALL if capacity is not None else Survival.NONE)
    again = SegmentLog.open(disk, places[-1] if places else None, segment_bytes=900)
    assert synced <= again.next_height <= synced + 1
    assert_holds(again, again.next_height)
    append(again, again.next_height)
    again.verify()


def test_progress_ends_at_the_whole() -> None:
    disk, places = filled(8, segment_bytes=900)
    seen: list[tuple[int, int]] = []
    SegmentLog.open(disk, places[-1]).verify(lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] == sum(disk.size(name) for name in disk.names())
