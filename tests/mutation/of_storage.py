"""Mistakes in the journal, the segments, the chain store and the spool."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

JOURNAL = "tests/storage/test_journal.py::"
SEGMENTS = "tests/storage/test_segments.py::"
CHAIN = "tests/storage/test_chain.py::"
SPOOL = "tests/storage/test_spool.py::"
ARCHIVE = "tests/storage/test_archive.py::"
BACKUP = "tests/storage/test_backup.py::"

PRIVATE = "tests/storage/test_private_box.py::"

MUTANTS = (
    Mutant(
        "erased-not-overwritten",
        "storage/private_box.py",
        "        self._directory.pwrite(file, 0, bytes(self._directory.size(file)))\n",
        "",
        "an erased key is removed and not overwritten where it lies",
        PRIVATE + "test_erasing_leaves_no_byte_of_key_or_box_where_they_lay",
    ),
    Mutant(
        "private-name-not-bound",
        "storage/private_box.py",
        "        if not plain.startswith(head):\n",
        "        if False:\n",
        "one document's files pass for another's",
        PRIVATE + "test_a_box_under_another_name_is_noticed",
    ),
    Mutant(
        "vote-not-synced",
        "storage/journal.py",
        "        self._directory.fsync(VOTES_FILE)\n        self._used[at] = used",
        "        self._used[at] = used",
        "a record is written and not synced",
        JOURNAL + "test_crash_at_every_step_forgets_nothing_acknowledged",
    ),
    Mutant(
        "pending-not-synced",
        "storage/journal.py",
        "        self._directory.fsync(name)\n        return _PendingReference(",
        "        return _PendingReference(",
        "the pending block is written and not synced",
        JOURNAL + "test_crash_at_every_step_forgets_nothing_acknowledged",
    ),
    Mutant(
        "one-slot",
        "storage/journal.py",
        "        at = slot.sequence % 2\n        used = ",
        "        at = 0\n        used = ",
        "a record is written over the one before it",
        JOURNAL + "test_crash_at_every_step_forgets_nothing_acknowledged",
    ),
    Mutant(
        "one-pending-file",
        "storage/journal.py",
        "        file = 0 if current is None else 1 - current.file",
        "        file = 0",
        "a pending block is written over the one that is referred to",
        JOURNAL + "test_crash_at_every_step_forgets_nothing_acknowledged",
    ),
    Mutant(
        "slot-crc-unchecked",
        "storage/journal.py",
        "    if _CRC.unpack_from(data, _SLOT.size)[0] != crc32c(head + rest):\n"
        "        return None\n",
        "",
        "a slot's checksum is not checked",
        JOURNAL + "test_every_flipped_byte_is_reported_and_none_changes_what_is_loaded",
    ),
    Mutant(
        "one-copy-written",
        "storage/journal.py",
        "        for copy in range(2):\n            self._directory.pwrite(",
        "        for copy in range(1):\n            self._directory.pwrite(",
        "a slot's second copy is not written",
        JOURNAL + "test_a_power_loss_that_takes_the_mark_and_then_rot_forget_nothing",
    ),
    Mutant(
        "broken-copy-stays",
        "storage/journal.py",
        "            self._directory.pwrite(VOTES_FILE, offset, _encode_slot(slot))\n",
        "",
        "a broken copy is not written again",
        JOURNAL + "test_a_power_loss_that_takes_the_mark_and_then_rot_forget_nothing",
    ),
    Mutant(
        "pending-crc-unchecked",
        "storage/journal.py",
        "        if len(body) != length or crc32c(body) != body_crc:",
        "        if len(body) != length:",
        "a pending block's checksum is not checked",
        JOURNAL + "test_every_flipped_byte_is_reported_and_none_changes_what_is_loaded",
    ),
    Mutant(
        "mark-ignored",
        "storage/journal.py",
        "        if newest is None or newest.sequence < acknowledged or any(is_unknown):",
        "        if newest is None or any(is_unknown):",
        "an acknowledged record that rots is taken for a power loss",
        JOURNAL + "test_damage_to_an_acknowledged_record_or_its_block_stops_the_vote",
    ),
    Mutant(
        "mark-not-written",
        "storage/journal.py",
        "        self._write_mark(sequence)\n        self._current = slot",
        "        self._current = slot",
        "a record is not marked as acknowledged",
        JOURNAL + "test_damage_to_an_acknowledged_record_or_its_block_stops_the_vote",
    ),
    Mutant(
        "journal-goes-on-after-failure",
        "storage/journal.py",
        "        self._failed = True  # until everything has gone well\n",
        "",
        "after a failed write the journal goes on",
        JOURNAL + "test_journal_refuses_after_a_failure_even_if_the_disk_answers_again",
    ),
    Mutant(
        "missing-journal-is-new",
        "storage/journal.py",
        "            if name not in names:\n                raise Damaged(",
        "            if name not in names:\n                return cls.create(directory)\n"
        "                raise Damaged(",
        "a missing journal is made anew, silently",
        JOURNAL + "test_missing_file_is_damage_and_is_not_made_anew",
    ),
    Mutant(
        "block-not-synced",
        "storage/segments.py",
        "        self._directory.fsync(segment_name(self._unsynced.segment))\n",
        "",
        "a block is written and not synced",
        SEGMENTS + "test_crash_at_every_step_loses_only_the_block_being_written",
    ),
    Mutant(
        "torn-tail-not-cut",
        "storage/segments.py",
        "        self._directory.truncate(name, self._end)  # made durable by `open`\n",
        "",
        "a torn record stays at the end of a segment",
        SEGMENTS + "test_torn_tail_is_cut_and_said",
    ),
    Mutant(
        "rot-taken-for-a-torn-tail",
        "storage/segments.py",
        "                if not is_last or self._has_record(number, self._end + 1, "
        "self._next_height + 1):",
        "                if not is_last:",
        "rot in the middle cuts off the good blocks behind it",
        SEGMENTS + "test_rot_before_the_last_block_is_never_taken_for_a_torn_tail",
    ),
    Mutant(
        "entry-crc-unchecked",
        "storage/segments.py",
        "            if crc32c(entry) != crc:",
        "            if not entry:",
        "an entry's checksum is not checked when its block is read",
        SEGMENTS + "test_every_flipped_byte_is_noticed",
    ),
    Mutant(
        "entry-crc-unchecked-alone",
        "storage/segments.py",
        "        if crc32c(data) != crc:\n            raise self._damaged(segment, offset,",
        "        if not data:\n            raise self._damaged(segment, offset,",
        "an entry's checksum is not checked when it is read alone",
        SEGMENTS + "test_an_entry_that_is_read_alone_is_checked",
    ),
    Mutant(
        "table-crc-unchecked",
        "storage/segments.py",
        "        if crc32c(data) != record.table_crc:",
        "        if not data:",
        "the checksum over lengths and certificate is not checked",
        SEGMENTS + "test_every_flipped_byte_is_noticed",
    ),
    Mutant(
        "segments-go-on-after-failure",
        "storage/segments.py",
        "        self._failed = True\n        self._directory.fsync(segment_name(self._unsynced",
        "        self._directory.fsync(segment_name(self._unsynced",
        "after a failed fsync the segments go on",
        SEGMENTS + "test_segments_refuse_after_a_failure_even_if_the_disk_answers_again",
    ),
    Mutant(
        "index-before-the-block",
        "storage/chain.py",
        "        self.segments.sync()\n        return appended",
        "        return appended",
        "the index is written before the block is synced",
        CHAIN + "test_crash_at_every_disk_step_of_every_commit",
    ),
    Mutant(
        "store-goes-on-after-failure",
        "storage/chain.py",
        "        if self._failure is not None:",
        "        if self._failure is not None and not self._failure:",
        "after a failed write the store takes the next block",
        CHAIN + "test_full_disk_and_failing_fsync_leave_the_chain_whole",
    ),
    Mutant(
        "replay-not-compared",
        "storage/chain.py",
        "        if stored.entries != list(block.entries):",
        "        if not stored.entries:",
        "another block may stand at a height that is stored",
        CHAIN + "test_another_block_at_a_stored_height_is_refused",
    ),
    Mutant(
        "gap-in-the-stored-log",
        "storage/chain.py",
        "        if block.first_index != self.log_size:",
        "        if block.first_index < self.log_size:",
        "a block may be stored behind a gap in the log",
        CHAIN + "test_wrong_height_and_wrong_index_are_refused_by_name",
    ),
    Mutant(
        "state-written-apart",
        "storage/chain.py",
        '        puts += [(b"s" + stream.encode(), value) for stream, value in block.state]\n',
        '        self.keyvalue.write([(b"s" + s.encode(), v) for s, v in block.state])\n',
        "state and height are not one atomic batch",
        CHAIN + "test_crash_at_every_index_batch",
    ),
    Mutant(
        "promise-not-synced",
        "storage/spool.py",
        "        self._directory.append(SPOOL_FILES[self._active], data)\n"
        "        self._directory.fsync(SPOOL_FILES[self._active])",
        "        self._directory.append(SPOOL_FILES[self._active], data)",
        "a receipt is given for what is not durable",
        SPOOL + "test_what_was_appended_survives_a_power_cut",
    ),
    Mutant(
        "promise-crc-unchecked",
        "storage/spool.py",
        "            if crc32c(raw) == crc:",
        "            if raw or crc:",
        "a damaged promise is believed",
        SPOOL + "test_damaged_record_is_said_and_those_behind_it_are_kept",
    ),
    Mutant(
        "promises-dropped",
        "storage/spool.py",
        "        self.append(owed)\n        other = 1 - self._active",
        "        other = 1 - self._active",
        "changing files forgets what is owed",
        SPOOL + "test_change_over_carries_what_has_been_owed_for_long",
    ),
    Mutant(
        "promises-emptied-first",
        "storage/spool.py",
        "        self.append(owed)\n"
        "        other = 1 - self._active\n"
        "        self._directory.truncate(SPOOL_FILES[other], 0)\n"
        "        self._directory.fsync(SPOOL_FILES[other])\n",
        "        other = 1 - self._active\n"
        "        self._directory.truncate(SPOOL_FILES[other], 0)\n"
        "        self._directory.fsync(SPOOL_FILES[other])\n"
        "        self.append(owed)\n",
        "changing files empties one before the other has what is owed",
        SPOOL + "test_power_lost_at_any_step_of_a_change_over_leaves_all_that_is_owed",
    ),
    Mutant(
        "archive-copy-not-synced",
        "storage/archive.py",
        "    archive.fsync(partial)\n",
        "",
        "a segment goes when its copy is only in memory",
        ARCHIVE + "test_a_copy_is_durable_under_its_name_before_it_counts",
    ),
    Mutant(
        "backup-not-synced",
        "storage/backup.py",
        "            stream.flush()\n"
        "            os.fsync(stream.fileno())\n"
        "        sync_directory(path.parent)",
        "            stream.flush()\n        sync_directory(path.parent)",
        "a backup is said to be made when it is only in memory",
        BACKUP + "test_every_byte_of_a_backup_and_of_what_is_restored_is_synced",
    ),
)
