"""The spool: what was appended is found again, whatever the crash; nothing owed is ever dropped."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from itertools import accumulate

import pytest

from sim.disk import ProcessEnded, Survival
from storage.files import DiskDirectory
from storage.spool import BOTH_EMPTY, HEADER, RECORD_BYTES_MAX, SPOOL_FILES, Spool
from tests.storage.crashing import CrashingDirectory

ENVELOPES = [bytes([at]) * (100 + at) for at in range(20)]


@pytest.fixture
def directory(tmp_path):
    opened = DiskDirectory(tmp_path)
    yield opened
    opened.close()


def reopen(directory):
    spool = Spool(directory)
    return spool, spool.load()


def test_appended_envelopes_are_found_again(directory):
    spool = Spool(directory)
    assert spool.load() == []
    spool.append(ENVELOPES[:5])
    spool.append(ENVELOPES[5:])
    again, found = reopen(directory)
    assert found == ENVELOPES
    assert again.notices == []


def test_a_spool_that_is_gone_from_a_home_in_use_is_said(directory):
    Spool(directory).append(ENVELOPES)
    for name in SPOOL_FILES:
        directory.remove(name)
    spool = Spool(directory, is_expected=True)
    (notice,) = spool.notices
    assert notice.en == (
        f"{' and '.join(SPOOL_FILES)} missing, as on a new machine: what this node has promised "
        "and is not on the chain is not known here"
    )
    assert Spool(directory, is_expected=True).notices == []


def test_a_first_start_makes_its_spool_without_a_word(directory):
    assert Spool(directory).notices == []
    assert set(directory.names()) == set(SPOOL_FILES)


@pytest.mark.parametrize("survival", list(Survival))
def test_power_lost_at_any_step_of_the_first_opening_is_no_loss(survival):
    for step in range(15):
        disk = CrashingDirectory()
        disk.crash_at = step
        with suppress(ProcessEnded):
            Spool(disk).load()
        disk.lose_power(survival, step)
        looked_at = Spool(disk, is_read_only=True)
        looked_at.load()
        again = Spool(disk)
        assert (again.load(), looked_at.notices, again.notices) == ([], [], []), step


def test_change_over_keeps_what_is_owed_at_every_moment(directory):
    spool = Spool(directory, file_bytes=500)
    spool.load()
    owed = []
    for envelope in ENVELOPES * 10:
        spool.append([envelope])
        owed = [*owed, envelope][-4:]
        if spool.is_full:
            spool.change_over(owed)
        _, found = reopen(directory)
        assert set(owed) <= set(found)
    assert sum(directory.size(name) for name in SPOOL_FILES) < 3000


def test_change_over_carries_what_has_been_owed_for_long(directory):
    spool = Spool(directory, file_bytes=500)
    spool.load()
    for envelope in ENVELOPES * 3:
        spool.append([envelope])
        if spool.is_full:
            spool.change_over(ENVELOPES[:1])
        assert ENVELOPES[0] in reopen(directory)[1]


@pytest.mark.parametrize("survival", list(Survival))
def test_what_was_appended_survives_a_power_cut(survival):
    disk = CrashingDirectory()
    spool = Spool(disk)
    spool.load()
    for envelope in ENVELOPES:
        spool.append([envelope])
    disk.lose_power(survival)
    assert reopen(disk)[1] == ENVELOPES


def test_crash_inside_change_over_loses_nothing_owed(directory, monkeypatch):
    spool = Spool(directory)
    spool.load()
    spool.append(ENVELOPES)

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(directory, "rename", fail)
    with pytest.raises(KeyboardInterrupt):
        spool.change_over(ENVELOPES[10:])
    monkeypatch.undo()
    _, found = reopen(directory)
    assert set(ENVELOPES) <= set(found)


@pytest.mark.parametrize("survival", list(Survival))
def test_power_lost_at_any_step_of_a_change_over_loses_nothing_owed(survival):
    """What has been owed for long stands in the file that is to be emptied and nowhere else."""
    owed = [ENVELOPES[0], ENVELOPES[6], ENVELOPES[7]]
    for step in range(8):
        disk = CrashingDirectory()
        spool = Spool(disk)
        spool.load()
        spool.append(ENVELOPES[:5])
        spool.change_over(ENVELOPES[:2])
        spool.append(ENVELOPES[5:8])
        disk.crash_at = disk.step + step
        is_done = True
        try:
            spool.change_over(owed)
        except ProcessEnded:
            is_done = False
        disk.lose_power(survival, seed=step)
        assert set(owed) <= set(reopen(disk)[1])
    assert is_done, "every step was tried"


@pytest.mark.parametrize("later", [[], ENVELOPES[8:10]], ids=["nothing more", "two more"])
def test_what_a_killed_process_left_unsynced_does_not_take_later_promises_along(later):
    """A kill leaves a rename and bytes in the page cache; a loss of power after it takes both."""
    for step in range(12):
        disk = CrashingDirectory()
        spool = Spool(disk)
        spool.load()
        spool.append(ENVELOPES[:5])
        spool.change_over(ENVELOPES[:2])
        disk.crash_at = disk.step + step
        is_done = True
        try:
            spool.append(ENVELOPES[5:8])
            spool.change_over(ENVELOPES[:8])
        except ProcessEnded:
            is_done = False
        disk.crash_at = None
        spool, seen = reopen(disk)
        if later:
            spool.append(later)
        disk.lose_power(Survival.NONE)
        assert {*seen, *later} <= set(reopen(disk)[1]), step
    assert is_done, "every step was tried"


@pytest.mark.parametrize("cut", [1, 5, 8, 60])
def test_torn_end_is_cut_off_and_said(directory, cut):
    spool = Spool(directory)
    spool.load()
    spool.append(ENVELOPES[:3])
    name = next(name for name in SPOOL_FILES if directory.size(name))
    size = directory.size(name)
    directory.truncate(name, size - cut)
    again, found = reopen(directory)
    assert found == ENVELOPES[:2]
    begin = size - 8 - len(ENVELOPES[2])
    assert [one.en for one in again.notices] == [
        f"{name}: torn at byte {begin} of {size - cut}; a start cuts it off there"
    ]
    again.append([b"next"])
    assert reopen(directory)[1] == [*ENVELOPES[:2], b"next"]


def test_damaged_record_is_said_and_those_behind_it_are_kept(directory):
    spool = Spool(directory)
    spool.load()
    spool.append(ENVELOPES[:3])
    name = next(name for name in SPOOL_FILES if directory.size(name))
    directory.pwrite(name, len(HEADER) + 8, b"\xff")
    again, found = reopen(directory)
    assert found == ENVELOPES[1:3]
    assert [one.en for one in again.notices] == [f"{name}: bytes 8 to 116 are damaged and left out"]


def test_whatever_byte_rots_no_other_promise_goes_with_it(directory):
    """A length is what says where the next record begins; it may rot as well."""
    spool = Spool(directory)
    spool.load()
    spool.append(ENVELOPES[:4])
    name = next(name for name in SPOOL_FILES if directory.size(name))
    whole = directory.pread(name, 0, directory.size(name))
    ends = list(accumulate((8 + len(one) for one in ENVELOPES[:4]), initial=len(HEADER)))[1:]
    for at in range(len(HEADER), ends[3]):
        directory.truncate(name, 0)
        directory.append(name, whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])
        struck = bisect_right(ends, at)
        again, found = reopen(directory)
        assert found == [*ENVELOPES[:struck], *ENVELOPES[struck + 1 : 4]], at
        assert len(again.notices) == 1


def test_a_record_inside_rotten_bytes_is_no_more_than_an_envelope_to_be_read(directory):
    spool = Spool(directory)
    spool.load()
    spool.append([b"inside"])
    name = next(name for name in SPOOL_FILES if directory.size(name))
    inside = directory.pread(name, len(HEADER), directory.size(name))
    spool.append([b"before" + inside + b"after", b"next"])
    directory.pwrite(name, len(HEADER) + len(inside) + 8, b"X")
    assert reopen(directory)[1] == [b"inside", b"inside", b"next"]


def test_absurd_length_ends_the_reading(directory):
    spool = Spool(directory)
    spool.load()
    spool.append(ENVELOPES[:1])
    name = next(name for name in SPOOL_FILES if directory.size(name))
    directory.append(name, (RECORD_BYTES_MAX + 1).to_bytes(4, "big") + bytes(100))
    again, found = reopen(directory)
    assert found == ENVELOPES[:1]
    assert len(again.notices) == 1


def test_zeros_at_the_end_are_torn_and_no_promise(directory):
    """What is left of a file that grew, with its bytes lost: no record of nothing."""
    Spool(directory).append([b"first"])
    name = SPOOL_FILES[0]
    size = directory.size(name)
    directory.append(name, bytes(40))
    again = Spool(directory)
    assert again.load() == [b"first"]
    assert [one.en for one in again.notices] == [
        f"{name}: torn at byte {size} of {size + 40}; a start cuts it off there"
    ]
    assert directory.size(name) == size


LOST = (
    ", and none is written with less than 8 bytes: the promised transactions in it are lost here; "
    "whoever has one can submit it again"
)


@pytest.mark.parametrize("name", SPOOL_FILES)
@pytest.mark.parametrize("is_removed", [False, True])
def test_a_file_that_has_lost_all_it_held_is_said(directory, name, is_removed):
    spool = Spool(directory, file_bytes=500)
    spool.load()
    spool.append(ENVELOPES[:8])
    spool.change_over(ENVELOPES[7:8])
    spool.append(ENVELOPES[8:9])
    if is_removed:
        directory.remove(name)
    else:
        directory.truncate(name, 0)
    said = [f"{name}: {'is missing' if is_removed else 'has no byte'}{LOST}"]
    looked_at = Spool(directory, is_read_only=True)
    looked_at.load()
    assert [one.en for one in looked_at.notices] == said
    assert (name in directory.names()) is not is_removed, "looking changes nothing"
    again, found = reopen(directory)
    assert [one.en for one in again.notices] == said
    assert found
    assert reopen(directory)[0].notices == [], "it is said once"


def test_a_spool_without_promises_is_told_from_one_that_was_emptied(directory):
    assert Spool(directory).load() == []
    assert [directory.size(name) for name in SPOOL_FILES] == [len(HEADER)] * 2
    assert reopen(directory)[0].notices == []
    directory.truncate(SPOOL_FILES[0], 0)
    spool = Spool(directory, is_expected=True)
    assert [one.en for one in spool.notices] == [f"{SPOOL_FILES[0]}: has no byte{LOST}"]


def test_the_files_of_an_older_version_that_promised_nothing_are_no_loss_for_certain(directory):
    for name in SPOOL_FILES:
        directory.create(name)
    assert Spool(directory, is_read_only=True).notices == []
    looked_at = Spool(directory, is_read_only=True, is_expected=True)
    assert looked_at.notices == [BOTH_EMPTY]
    assert Spool(directory, is_expected=True).notices == [BOTH_EMPTY]
    assert Spool(directory, is_expected=True).notices == [], "it is said once"


@pytest.mark.parametrize("cut", [1, 7])
def test_a_header_that_was_cut_is_said_and_written_again(directory, cut):
    Spool(directory).append([b"first"])
    directory.truncate(SPOOL_FILES[0], cut)
    again, found = reopen(directory)
    assert found == []
    assert [one.en for one in again.notices] == [
        f"{SPOOL_FILES[0]}: torn at byte 0 of {cut}; a start cuts it off there"
    ]
    assert directory.pread(SPOOL_FILES[0], 0, 100) == HEADER


def test_a_flipped_bit_of_the_header_is_said_and_no_promise_goes_with_it(directory):
    Spool(directory).append(ENVELOPES[:2])
    for at in range(len(HEADER)):
        directory.pwrite(SPOOL_FILES[0], at, bytes([HEADER[at] ^ 1]))
        again, found = reopen(directory)
        assert found == ENVELOPES[:2]
        assert [one.en for one in again.notices] == [
            f"{SPOOL_FILES[0]}: bytes 0 to 8 are damaged and left out"
        ]
        directory.pwrite(SPOOL_FILES[0], at, HEADER[at : at + 1])


@pytest.mark.parametrize("number", [0, 1])
def test_files_of_older_versions_have_no_header_and_are_read_as_they_are(directory, number):
    Spool(directory).append(ENVELOPES[:3])
    records = directory.pread(SPOOL_FILES[0], len(HEADER), 10_000)
    for name in SPOOL_FILES:
        directory.truncate(name, 0)
    directory.append(SPOOL_FILES[number], records)
    again, found = reopen(directory)
    assert (found, again.notices) == (ENVELOPES[:3], [])
    again.append(ENVELOPES[3:4])
    again.change_over(ENVELOPES[:1])
    again.change_over(ENVELOPES[:1])
    after, found = reopen(directory)
    assert (set(found), after.notices) == ({ENVELOPES[0]}, [])
    assert all(directory.pread(name, 0, 8) == HEADER for name in SPOOL_FILES)
