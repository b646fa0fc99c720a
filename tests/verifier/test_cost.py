"""What counts as a signature check that a file cannot do without (`bench.verifying`), and what the
verifier does not do beside: read twice, write sentences nobody reads, import the law for nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.verifying import list_checks, make_checks
from law.case import Case, CaseReader, Gathered
from law.entries import StreamEntry
from ledger.post_quantum import SIGNATURE_BYTES
from tests.verifier.cost import FILES
from tests.verifier.mutating import SIGNERS
from verifier.report import Words
from verifier.trust_root import Institution
from verifier.verify import verify_evidence
from verifier.wording import format_institutions


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


def test_post_quantum_cosignatures_count() -> None:
    checks = list_checks(*FILES["history with post-quantum cosignatures"]())
    assert sum(len(signature) == SIGNATURE_BYTES for _, _, _, signature in checks) == 3
    make_checks(checks)


def test_what_several_computations_share_is_read_as_if_each_were_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[tuple[Case, Case]] = []

    class Reader(CaseReader):
        def gather(
            self,
            entries: Sequence[StreamEntry],
            merchant_facts: Sequence[dict[str, Any]],
            pages: Sequence[dict[str, Any]],
        ) -> Gathered:
            self.alone = CaseReader().gather(entries, merchant_facts, pages)
            return super().gather(entries, merchant_facts, pages)

        def read(self, terms: bytes, gathered: Gathered) -> Case:
            case = super().read(terms, gathered)
            built.append((case, CaseReader().read(terms, self.alone)))
            return case

    monkeypatch.setattr("verifier.law_steps.CaseReader", Reader)
    assert verify_evidence(*FILES["case"]()).is_consistent
    (one, alone), (other, other_alone) = built
    assert (one, other) == (alone, other_alone)
    assert one.basis != other.basis


def test_a_sentence_is_written_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def note(institutions: Iterable[Institution]) -> Words:
        written.append("institutions")
        return format_institutions(institutions)

    monkeypatch.setattr("verifier.log_steps.format_institutions", note)
    report = verify_evidence(*FILES["transaction"]())
    assert report.is_consistent
    assert not written
    assert "institutions" not in report.steps[2].explanation.en
    assert written == ["institutions"]


def test_a_transaction_is_verified_without_the_law(tmp_path: Path) -> None:
    raw, chain_id = FILES["transaction"]()
    file = tmp_path / "transaction.json"
    file.write_bytes(raw)
    program = (
        "import sys; from verifier.main import main; "
        "status = main(sys.argv[1:]); "
        "print(status, sorted(name for name in sys.modules if name.startswith('law.')))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(file), "--genesis-hash", chain_id.hex()],
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.splitlines()[-1] == "0 ['law.days']"
