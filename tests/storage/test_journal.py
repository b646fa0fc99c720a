"""The vote journal: crash at every step, every byte flipped, nothing acknowledged forgotten."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from sim.disk import ProcessEnded, Survival
from storage.files import Damaged, StorageFailure
from storage.journal import (
    KEEP,
    MARKS_OFFSET,
    PENDING_FILES,
    RECORD_BYTES_MAX,
    SLOT_BYTES,
    VOTES_FILE,
    Journal,
    JournalState,
    Keep,
    RecordTooLarge,
)
from tests.storage.crashing import CrashingDirectory

PROGRAMME: list[tuple[bytes, bytes | Keep | None]] = [
    (b"vote 1", None),
    (b"vote 2" * 100, b"block A" * 300),
    (b"vote 3", KEEP),
    (b"vote 4" * 3000, b"block B"),
    (b"v5", b"block C" * 200),
    (b"vote 6", None),
    (b"vote 7", KEEP),
    (b"vote 8", b"block D"),
]


FIRST = 0
"""Offset of the first copy of slot 0; slot 1 is `SLOT_BYTES` further."""
SECOND = 2 * SLOT_BYTES
"""Offset of the second copy of slot 0."""


def rot_slot(disk: CrashingDirectory, slot: int, where: int = 20) -> None:
    """Flip a bit in both copies of a slot."""
    for copy in (FIRST, SECOND):
        disk.flip(VOTES_FILE, copy + slot * SLOT_BYTES + where)


def states() -> list[JournalState]:
    """What `load` must return after each save; first, before any."""
    found = [JournalState(None, None)]
    for record, pending in PROGRAMME:
        kept = found[-1].pending if isinstance(pending, Keep) else pending
        found.append(JournalState(record, kept))
    return found


def fresh() -> CrashingDirectory:
    disk = CrashingDirectory()
    Journal.create(disk).load()
    return disk


def test_looking_at_the_newest_record_changes_nothing() -> None:
    disk = CrashingDirectory()
    Journal.create(disk)
    assert Journal.open(disk).newest() is None
    journal = Journal.open(disk)
    journal.load()
    for record, pending in PROGRAMME:
        journal.save(record, pending)
        before = disk.step
        assert Journal.open(disk).newest() == record
        assert disk.step == before
    disk.flip(VOTES_FILE, 9)  # of the slot that was written last
    assert Journal.open(disk).newest() == PROGRAMME[-1][0]
    disk.flip(VOTES_FILE, SECOND + 9)
    assert Journal.open(disk).newest() == PROGRAMME[-2][0]


def test_a_new_journal_is_empty_and_remembers_what_is_saved() -> None:
    disk = CrashingDirectory()
    journal = Journal.create(disk)
    assert journal.load() == JournalState(None, None)
    for (record, pending), expected in zip(PROGRAMME, states()[1:], strict=True):
        journal.save(record, pending)
        again = Journal.open(disk)
        assert again.load() == expected
        assert again.notices == []
        assert again.verify() == ()


@pytest.mark.parametrize("survival", list(Survival))
@pytest.mark.parametrize("seed", range(6))
def test_crash_at_every_step_forgets_nothing_acknowledged(survival: Survival, seed: int) -> None:
    expected = states()
    probe = fresh()
    start = probe.step
    journal = Journal.open(probe)
    journal.load()
    for record, pending in PROGRAMME:
        journal.save(record, pending)
    for step in range(start, probe.step + 1):
        disk = fresh()
        disk.crash_at = step
        saved = 0
        try:
            journal = Journal.open(disk)
            journal.load()
            for record, pending in PROGRAMME:
                journal.save(record, pending)
                saved += 1
        except ProcessEnded:
            pass
        disk.lose_power(survival, seed=seed * 1000 + step)
        journal = Journal.open(disk)
        state = journal.load()
        found = expected.index(state)
        assert saved <= found <= saved + 1
        # What was returned stays, whatever happens before the next save.
        disk.lose_power(Survival.NONE)
        journal = Journal.open(disk)
        assert journal.load() == state
        for record, pending in PROGRAMME[found:]:
            journal.save(record, pending)
        assert Journal.open(disk).load() == expected[-1]


def test_a_journal_that_a_killed_process_made_stays_once_it_was_loaded() -> None:
    """A kill leaves a name that only the page cache holds; a loss of power would take it."""
    steps = CrashingDirectory()
    Journal.create(steps)
    for step in range(steps.step):
        disk = CrashingDirectory()
        disk.crash_at = step
        with suppress(ProcessEnded):
            Journal.create(disk)
        disk.crash_at = None
        if VOTES_FILE in disk.names():
            record, pending = PROGRAMME[0]
            journal = Journal.open(disk)
            journal.load()
            journal.save(record, pending)
            disk.lose_power(Survival.NONE)
            assert Journal.open(disk).load() == states()[1], step


@pytest.mark.parametrize("survival", list(Survival))
def test_crash_while_creating_leaves_a_journal_or_none(survival: Survival) -> None:
    steps = fresh().step
    for step in range(steps):
        disk = CrashingDirectory()
        disk.crash_at = step
        with pytest.raises(ProcessEnded):
            Journal.create(disk).load()
        disk.lose_power(survival, seed=step)
        if VOTES_FILE not in disk.names():
            Journal.create(disk)
        assert Journal.open(disk).load() == JournalState(None, None)


def saved_twice() -> CrashingDirectory:
    disk = fresh()
    journal = Journal.open(disk)
    journal.load()
    journal.save(b"old vote", b"old block")
    journal.save(b"new vote", b"new block")
    return disk


def test_every_flipped_byte_is_reported_and_none_changes_what_is_loaded() -> None:
    disk = saved_twice()
    assert Journal.open(disk).verify() == ()
    expected = JournalState(b"new vote", b"new block")
    assert Journal.open(disk).load() == expected  # from here on all of it is durable
    for name in disk.names():
        size = disk.size(name)
        dense = {*range(200), *range(SLOT_BYTES - 8, SLOT_BYTES + 200), *range(size - 8200, size)}
        dense |= {*range(SECOND, SECOND + 60), *range(3 * SLOT_BYTES - 8, 3 * SLOT_BYTES + 60)}
        sparse = set(range(0, size, 997))
        for offset in sorted(at for at in dense | sparse if 0 <= at < size):
            flipped = disk.durable_copy()
            flipped.flip(name, offset)
            journal = Journal.open(flipped)
            assert any(name in finding.en for finding in journal.verify()), (name, offset)
            if name == PENDING_FILES[1]:
                with pytest.raises(Damaged):
                    journal.load()
                continue
            assert journal.load() == expected
            if name == VOTES_FILE:
                # Loading writes a broken copy again, and the broken mark of the newest slot.
                assert journal.notices, offset
                if offset < MARKS_OFFSET:
                    assert Journal.open(flipped).verify() == ()


def test_damage_to_an_acknowledged_record_or_its_block_stops_the_vote() -> None:
    for name, offsets, sentence in (
        (VOTES_FILE, (5, SECOND + 5), "an acknowledged record is unreadable: this node may have "),
        (VOTES_FILE, (SLOT_BYTES - 1, SECOND), "an acknowledged record is unreadable"),
        (PENDING_FILES[1], (0,), "the header of the pending block is broken"),
        (PENDING_FILES[1], (35,), "the pending block is broken"),
    ):
        disk = saved_twice()
        for offset in offsets:
            disk.flip(name, offset)
        journal = Journal.open(disk)
        with pytest.raises(Damaged, match=sentence):
            journal.load()
        with pytest.raises(RuntimeError, match="must be loaded before it is saved to"):
            journal.save(b"vote", None)


def test_torn_unacknowledged_slot_is_ignored_and_said() -> None:
    disk = saved_twice()
    rot_slot(disk, 1)
    journal = Journal.open(disk)
    assert journal.load() == JournalState(b"new vote", b"new block")
    assert [one.en for one in journal.notices] == [
        (
            "fake/votes: ignored the slot at offset 65536, which was being written when the node "
            "stopped or is damaged; record 2 holds."
        )
    ]


@pytest.mark.parametrize("survival", list(Survival))
@pytest.mark.parametrize("copy", [FIRST, SECOND], ids=["first copy", "second copy"])
def test_a_power_loss_that_takes_the_mark_and_then_rot_forget_nothing(
    survival: Survival, copy: int
) -> None:
    """The vote may be out in the world, and its mark, which is not synced, is gone."""
    for slot in range(2):
        for where in (0, 20, 45, 50, 300, SLOT_BYTES - 1):
            disk = saved_twice()
            journal = Journal.open(disk)
            journal.load()
            if slot:
                journal.save(b"third vote", None)
            disk.lose_power(survival, seed=where)
            before = Journal.open(disk).newest()
            offset = copy + slot * SLOT_BYTES
            disk.flip(VOTES_FILE, offset + where)
            journal = Journal.open(disk)
            assert journal.load().record == before == (b"third vote" if slot else b"new vote")
            said = (
                f"fake/votes: the copy at offset {offset} was torn or is damaged; record "
                f"{2 + slot} was read from its other copy and written again."
            )
            assert journal.notices[-1].en == said
            again = Journal.open(disk)
            assert again.load().record == before
            assert (again.notices, again.verify()) == ([], ())


def test_a_power_loss_while_a_broken_copy_is_written_again_is_innocent() -> None:
    for survival in Survival:
        for load_step in range(3, 7):
            disk = saved_twice()
            disk.flip(VOTES_FILE, 20)
            disk.crash_at = disk.step + load_step
            try:
                Journal.open(disk).load()
            except ProcessEnded:
                disk.lose_power(survival, seed=load_step)
            disk.crash_at = None
            assert Journal.open(disk).load() == JournalState(b"new vote", b"new block")
            assert Journal.open(disk).verify() == ()


def test_a_copy_that_kept_an_older_record_is_said_and_written_again() -> None:
    """A drive that says it wrote and did not."""
    disk = saved_twice()
    journal = Journal.open(disk)
    journal.load()
    old = disk.pread(VOTES_FILE, SECOND + SLOT_BYTES, SLOT_BYTES)
    journal.save(b"third vote", None)
    disk.pwrite(VOTES_FILE, SECOND + SLOT_BYTES, old)
    journal = Journal.open(disk)
    assert tuple(one.en for one in journal.verify()) == (
        "fake/votes, offset 196608: copy 1 of slot 1 is older than its other copy.",
    )
    assert journal.newest() == journal.load().record == b"third vote"
    assert journal.verify() == ()


@pytest.mark.parametrize("survival", list(Survival))
def test_power_loss_while_loading_after_a_kill_is_innocent(survival: Survival) -> None:
    """What a killed process left in the page cache is synced before its mark can reach the disk."""
    expected = states()
    probe = fresh()
    start = probe.step
    run(probe, None)
    for step in range(start, probe.step + 1):
        for load_step in range(6):
            disk = fresh()
            saved = run(disk, step)
            disk.lose_power(Survival.ALL)
            disk.crash_at = disk.step + load_step
            try:
                Journal.open(disk).load()
            except ProcessEnded:
                disk.lose_power(survival, seed=step * 10 + load_step)
            disk.crash_at = None
            assert saved <= expected.index(Journal.open(disk).load()) <= saved + 1


def run(disk: CrashingDirectory, crash_at: int | None) -> int:
    """Save the first three of the programme, or up to a crash; return how many were saved."""
    disk.crash_at = crash_at
    saved = 0
    try:
        journal = Journal.open(disk)
        journal.load()
        for record, pending in PROGRAMME[:3]:
            journal.save(record, pending)
            saved += 1
    except ProcessEnded:
        pass
    return saved


def test_loaded_record_counts_as_acknowledged() -> None:
    """A process killed between a slot's fsync and its mark: loading sends the vote again."""
    disk = saved_twice()
    disk.crash_at = disk.step + 6  # three fsyncs of loading, two writes and a fsync of saving
    journal = Journal.open(disk)
    with pytest.raises(ProcessEnded):
        save_after_loading(journal, b"third vote")
    disk.lose_power(Survival.ALL)
    assert Journal.open(disk).load().record == b"third vote"
    rot_slot(disk, 1)
    with pytest.raises(Damaged, match="an acknowledged record is unreadable"):
        Journal.open(disk).load()


def test_a_mark_that_loading_wrote_again_is_durable() -> None:
    """Power is lost twice, then a slot rots: it held a vote that was loaded and sent again."""
    disk = saved_twice()
    disk.lose_power(Survival.NONE)
    assert Journal.open(disk).load().record == b"new vote"
    disk.lose_power(Survival.NONE)
    rot_slot(disk, 0)
    with pytest.raises(Damaged, match="an acknowledged record is unreadable"):
        Journal.open(disk).load()


def test_a_slot_in_the_place_of_the_other_is_no_slot() -> None:
    """A drive that wrote to the wrong place."""
    disk = saved_twice()
    newest = disk.pread(VOTES_FILE, FIRST, SLOT_BYTES)
    for copy in (FIRST, SECOND):
        disk.pwrite(VOTES_FILE, copy + SLOT_BYTES, newest)
    said = [one.en for one in Journal.open(disk).verify()]
    assert [line.partition(": ")[2] for line in said] == [
        "copy 0 of slot 1 is broken.",
        "copy 1 of slot 1 is broken.",
    ]
    assert Journal.open(disk).load().record == b"new vote"


def save_after_loading(journal: Journal, record: bytes) -> None:
    journal.load()
    journal.save(record, None)


@pytest.mark.parametrize("torn", [0, 1])
def test_a_torn_mark_is_written_again_so_that_the_next_power_loss_is_one(torn: int) -> None:
    """Left as it was, one more torn slot beside it looked like rot: two honest losses of power."""
    disk = saved_twice()
    disk.flip(VOTES_FILE, MARKS_OFFSET + 4096 * torn + 20)
    assert Journal.open(disk).verify() != ()
    Journal.open(disk).load()
    assert Journal.open(disk).verify() == ()


def test_broken_slot_with_a_broken_mark_is_never_taken_for_a_power_loss() -> None:
    for slot, mark in ((1, 0), (1, 1)):
        disk = saved_twice()
        save_after_loading(Journal.open(disk), b"third vote")
        rot_slot(disk, slot)
        disk.flip(VOTES_FILE, MARKS_OFFSET + 4096 * mark + 20)
        with pytest.raises(Damaged, match="votes, offset 65536: an acknowledged record is unread"):
            Journal.open(disk).load()


def test_journal_refuses_after_a_failure_even_if_the_disk_answers_again() -> None:
    disk = saved_twice()
    journal = Journal.open(disk)
    journal.load()
    disk.fsyncs_until_failure = 0
    with pytest.raises(StorageFailure, match="fsync failed"):
        journal.save(b"vote", None)
    disk.mend()
    with pytest.raises(StorageFailure, match="fake: refused after a failed write"):
        journal.save(b"vote", None)


def test_both_slots_broken_is_damage() -> None:
    disk = saved_twice()
    for at in range(2):
        rot_slot(disk, at, 0)
        disk.flip(VOTES_FILE, MARKS_OFFSET + 4096 * at)
    with pytest.raises(Damaged, match="an acknowledged record is unreadable"):
        Journal.open(disk).load()


@pytest.mark.parametrize("name", [VOTES_FILE, *PENDING_FILES])
def test_missing_file_is_damage_and_is_not_made_anew(name: str) -> None:
    disk = saved_twice()
    disk.remove(name)
    with pytest.raises(Damaged, match=f"fake/{name}, offset 0: is missing, so what this node"):
        Journal.open(disk)


def test_wrong_size_is_damage() -> None:
    for size in (0, SLOT_BYTES, MARKS_OFFSET + 8191, MARKS_OFFSET + 8193):
        disk = saved_twice()
        disk.truncate(VOTES_FILE, size)
        with pytest.raises(Damaged, match=f"has {size} bytes, not 270336"):
            Journal.open(disk)


def test_existing_journal_is_not_created_over_but_can_be_put_aside() -> None:
    disk = saved_twice()
    with pytest.raises(FileExistsError, match="fake/votes exists"):
        Journal.create(disk)
    Journal.discard(disk)
    assert Journal.create(disk).load() == JournalState(None, None)
    assert "votes.damaged-1" in disk.names()


def test_a_journal_put_aside_does_not_overwrite_an_earlier_one() -> None:
    disk = saved_twice()
    first = disk.pread(VOTES_FILE, 0, disk.size(VOTES_FILE))
    Journal.discard(disk)
    journal = Journal.create(disk)
    journal.load()
    journal.save(b"since", None)
    second = disk.pread(VOTES_FILE, 0, disk.size(VOTES_FILE))
    assert first != second
    Journal.discard(disk)
    Journal.discard(disk)  # there is none, as after a crash before `create`
    aside = [name for name in disk.names() if name.startswith(VOTES_FILE)]
    assert aside == ["votes.damaged-1", "votes.damaged-2"]
    assert [disk.pread(name, 0, disk.size(name)) for name in aside] == [first, second]


def test_record_that_does_not_fit_is_refused_by_name_and_changes_nothing() -> None:
    disk = saved_twice()
    journal = Journal.open(disk)
    journal.load()
    with pytest.raises(RecordTooLarge, match="a record of 65500 bytes does not fit in a slot of"):
        journal.save(b"x" * 65500, None)
    journal.save(b"y" * RECORD_BYTES_MAX, None)
    assert Journal.open(disk).load() == JournalState(b"y" * RECORD_BYTES_MAX, None)


def test_short_records_after_long_ones_leave_no_trace() -> None:
    disk = fresh()
    journal = Journal.open(disk)
    journal.load()
    chance = random.Random(3)
    for turn in range(40):
        record = chance.randbytes(chance.choice((0, 10, 5000, RECORD_BYTES_MAX)))
        journal.save(record, None)
        again = Journal.open(disk)
        assert again.verify() == ()
        assert again.load().record == record
        if turn % 7 == 6:
            journal = again


def test_full_disk_and_failing_fsync_are_final_and_leave_the_last_record() -> None:
    probe = fresh()
    start = probe.fsync_count
    journal = Journal.open(probe)
    journal.load()
    for record, pending in PROGRAMME:
        journal.save(record, pending)
    expected = states()
    for fsync in range(probe.fsync_count - start):
        disk = fresh()
        disk.fsyncs_until_failure = fsync
        saved, sentence = 0, ""
        journal = Journal.open(disk)
        try:
            journal.load()
            for record, pending in PROGRAMME:
                journal.save(record, pending)
                saved += 1
        except StorageFailure as failure:
            sentence = str(failure)
        assert sentence.endswith("fsync failed: Input/output error")
        assert saved < len(PROGRAMME)
        with pytest.raises((StorageFailure, RuntimeError)):
            journal.save(b"once more", None)
        disk.lose_power(Survival.NONE)
        assert Journal.open(disk).load() == expected[saved]
    disk = fresh()
    journal = Journal.open(disk)
    journal.load()
    journal.save(b"vote", b"block")
    disk.room_bytes = 0
    with pytest.raises(StorageFailure, match="No space left on device"):
        journal.save(b"next", b"block" * 100)
    disk.lose_power(Survival.ALL)
    assert Journal.open(disk).load() == JournalState(b"vote", b"block")


def test_a_journal_that_holds_nothing_is_not_put_aside() -> None:
    """A supervisor starts a node that recovers every few seconds while its port is taken."""
    disk = saved_twice()
    for _ in range(3):
        Journal.discard(disk)
        Journal.create(disk).load()
    assert [name for name in disk.names() if "damaged" in name] == ["votes.damaged-1"]
