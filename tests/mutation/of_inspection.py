"""Mistakes in noticing what a home has lost or what rotted in it, by `inspect` and by a start."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

INSPECTED = "tests/cli/test_node_storage.py::"
PRUNING = "tests/cli/test_pruning.py::"
BESIDE = "tests/cli/test_shelf_inspection.py::"

MUTANTS = (
    Mutant(
        "list-of-moved-segments-with-any-names",
        "storage/archive.py",
        "        if [file.name for file in files] != [segment_name(at)"
        " for at in range(len(files))]:",
        "        if False:",
        "a rotten name in the list of moved segments is looked for beside the others",
        PRUNING + "test_a_list_of_moved_segments_with_another_name_in_it_is_named",
    ),
    Mutant(
        "archive-lacks-a-file-as-if-unmounted",
        "storage/archive.py",
        '        found = "" if self._archive is None else f"{self._archive.path}/{name}"',
        '        found = ""',
        "a file that the archive has lost sends people to the mount point",
        PRUNING + "test_a_file_that_a_mounted_archive_lacks_is_named",
    ),
    Mutant(
        "empty-manifest-opened",
        "storage/leveldb_files.py",
        "    if not named.stat().st_size:",
        "    if False:",
        "an emptied manifest of the index is told by no name",
        INSPECTED + "test_an_emptied_file_of_the_index_is_named",
    ),
    Mutant(
        "tables-read-after-they-were-merged",
        "cli/inspection.py",
        "            verify_tables(self._home.index)  # the copy's",
        "            pass  # the copy's",
        "rot in a table that LevelDB merges away is found by chance",
        INSPECTED + "test_a_flipped_byte_of_a_table_that_is_merged_away_is_named",
    ),
    Mutant(
        "index-however-far-behind",
        "cli/inspection.py",
        "        if lacked <= 1 or self._home",
        "        if lacked >= 0 or self._home",
        "an index that lost its rows is taken for one that a crash left behind",
        INSPECTED + "test_an_index_whose_log_was_emptied_is_told",
    ),
    Mutant(
        "index-without-its-log",
        "cli/inspection.py",
        "        if self._missing_log is not None:",
        "        if False:",
        "the log that the manifest names is not missed by name",
        INSPECTED + "test_an_index_whose_log_is_gone_is_told_by_the_log",
    ),
    Mutant(
        "absent-index-passed-over",
        "cli/inspection.py",
        "        if not self._has_index:\n            return",
        "        if False:\n            return",
        "an index that somebody removed is called damaged",
        INSPECTED + "test_a_removed_index_is_built_again_in_the_copy_only",
    ),
    Mutant(
        "joined-index-not-built-by-inspection",
        "cli/inspection.py",
        "            if self._base is not None and not self._has_index:",
        "            if False:",
        "the removed index of a node that joined is called damaged",
        BESIDE
        + "test_a_removed_index_of_a_chain_that_began_with_a_snapshot_is_built_as_by_a_start",
    ),
    Mutant(
        "whole-spool-gone-unsaid",
        "cli/inspection.py",
        "                if self._has_voted():",
        "                if False:",
        "a spool of which both files are gone is taken for one that was never written",
        INSPECTED + "test_a_spool_that_has_lost_all_it_held_is_told",
    ),
    Mutant(
        "chain-gone-unsaid",
        "cli/inspection.py",
        "        if self._has_voted() and not",
        "        if False and not",
        "a chain of which nothing is left is taken for one that never began",
        INSPECTED + "test_a_chain_of_which_nothing_is_left_is_told",
    ),
    Mutant(
        "other-genesis-under-an-empty-index",
        "node/ledger_store.py",
        "        _check_first(chain_store, genesis)\n",
        "",
        "a changed genesis document is called a segment with other entries",
        INSPECTED + "test_a_changed_genesis_document_is_told_by_its_name",
    ),
    Mutant(
        "genesis-document-not-named",
        "node/server.py",
        "            raise error.of(str(place.resolve(self._config.genesis)), segments.path)"
        " from None",
        "            raise",
        "a start says that a genesis document is another, and not which file",
        INSPECTED + "test_a_node_with_another_genesis_document_does_not_start_and_names_it",
    ),
    Mutant(
        "restored-checkpoints-believed",
        "node/restored_checkpoints.py",
        "lambda height, note: _judge(store, home, trust, height, note)",
        "lambda height, note: None",
        "a backup's checkpoints are served without a look at their signatures",
        INSPECTED + "test_a_start_takes_over_checkpoints_of_this_log_alone",
    ),
    Mutant(
        "restored-checkpoints-of-any-height",
        "node/restored_checkpoints.py",
        "    if (said.size, said.root) != (size,",
        "    if False and (said.size, said.root) != (size,",
        "a certified checkpoint is taken over for another height than its own",
        INSPECTED + "test_a_start_takes_over_checkpoints_of_this_log_alone",
    ),
    Mutant(
        "missing-private-fields-unsaid",
        "node/private_records.py",
        '        if not names & {f"{contract}.box", f"{contract}.erased"}:',
        "        if False:",
        "private fields are gone that the audit has as written",
        BESIDE + "test_private_fields_that_the_audit_has_as_written_are_missed",
    ),
    Mutant(
        "private-name-anothers-now",
        "node/private_records.py",
        "            elif before is not None and line.scope != before[1].scope:",
        "            elif False:",
        "fields that made room for another custodian's are missed for ever",
        BESIDE + "test_private_fields_that_the_audit_has_as_written_are_missed",
    ),
    Mutant(
        "lone-keys-unsaid",
        "cli/shelf_inspection.py",
        "    return _with_lone_keys(said, lone) if lone else said",
        "    return said",
        "a key whose box is gone is not spoken of",
        BESIDE + "test_a_key_without_its_box_is_told",
    ),
    Mutant(
        "rows-without-manifest-unsaid",
        "cli/shelf_inspection.py",
        "    if not unfinished:",
        "    if True:",
        "a snapshot that has lost its manifest goes without a word",
        BESIDE + "test_rows_of_a_snapshot_without_their_manifest_are_told",
    ),
    Mutant(
        "empty-audit-unsaid",
        "cli/shelf_inspection.py",
        "    if not count.empty:",
        "    if True:",
        "an audit that was emptied goes without a word",
        BESIDE + "test_an_audit_without_a_line_is_told",
    ),
    Mutant(
        "witness-line-by-its-signature-alone",
        "cli/shelf_inspection.py",
        "            if (line.name, line.key_id) != (key.name, key.key_id):",
        "            if False:",
        "a line whose name rotted is called good, and nobody who reads the note finds it",
        BESIDE + "test_a_changed_name_of_a_witness_is_named",
    ),
    Mutant(
        "token-of-whoever-is-named",
        "cli/shelf_inspection.py",
        "                    if not find_flaw(token, imprint, other):",
        "                    if False:",
        "a token under another authority's name is left unjudged",
        BESIDE + "test_a_changed_name_of_an_authority_is_named",
    ),
)
