"""What counts as a signature check that a file cannot do without (`bench.verifying`)."""

from __future__ import annotations

from bench.verifying import list_checks, make_checks
from tests.verifier.cost import FILES
from tests.verifier.mutating import SIGNERS


def test_every_signature_of_a_transactions_evidence_is_checked_once() -> None:
    raw, chain_id = FILES["transaction"]()
    checks = list_checks(raw, chain_id)
    log_lines, cosignatures, commits = 1, 4, 3
    assert len(checks) == log_lines + cosignatures + len(SIGNERS) + commits
    make_checks(checks)


def test_a_checkpoint_of_several_lines_of_a_schedule_counts_once() -> None:
    raw, chain_id = FILES["schedule"]()
    checkpoints = {line.partition(b"\\n\\n")[2].partition(b'"')[0] for line in raw.splitlines()}
    assert len(checkpoints) == 3
    note_lines, entries = sum(note.count("— ".encode()) for note in checkpoints), 18
    assert len(list_checks(raw, chain_id)) == note_lines + entries
