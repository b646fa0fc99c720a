"""Step 19: the file's tree is the beginning of one that a quorum cosigned with ML-DSA-44.

Keys, lines and the consistency path are looked at in any case. The signatures need an
implementation of ML-DSA-44; where none is installed the step is *not run* and a limit says so,
whatever the other steps found. Its success is no condition of theirs, and theirs none of it but
for the tree: who no longer believes Ed25519 reads on from here.
"""

from __future__ import annotations

from typing import Final

from ledger.checkpoint import parse_checkpoint_text
from ledger.merkle import verify_consistency
from ledger.note import parse_note
from ledger.post_quantum import PostQuantumPart, read_lines, verify_line
from ledger.refusal import Reason
from verifier.case import Case
from verifier.evidence_file import WITHOUT_MORE, EvidenceFile
from verifier.mldsa import PACKAGE, find_verify
from verifier.report import NotRun, Refuted, Words

UNCHECKED_LIMIT: Final = Words(
    f"后量子联署未核验：请安装 Python 包 {PACKAGE} 后用 evidence-ledger verify 核验；"
    "在此之前本结论只凭 Ed25519 签名。",
    f"The post-quantum cosignatures were not checked: install the Python package {PACKAGE} and run "
    "evidence-ledger verify. Until then this conclusion rests on Ed25519 alone.",
)


def find_part(file: EvidenceFile) -> PostQuantumPart | None:
    """Return a file's post-quantum part, if it has one."""
    if isinstance(file, WITHOUT_MORE):
        return None
    return file.post_quantum


def check_post_quantum(case: Case) -> Words:
    """Step 19: one tree, a quorum of genesis' ML-DSA-44 keys, and every line good."""
    part = find_part(case.file)
    assert part is not None, "the step is in the plan only where there is a part"
    root, older = case.root, case.checkpoint.checkpoint
    note = parse_note(part.checkpoint.encode())
    newer = parse_checkpoint_text(note.text)
    if newer.origin != root.origin:
        raise Refuted(
            Reason.WRONG_CHAIN,
            f"后量子检查点的来源是 {newer.origin!r}，而不是 {root.origin!r}。",
            f"The post-quantum checkpoint's origin is {newer.origin!r} instead of {root.origin!r}.",
        )
    lines = read_lines(note, part.keys, root.post_quantum_members)
    if len(lines) < root.quorum:
        raise Refuted(
            Reason.NO_QUORUM,
            f"只有 {len(lines)} 家机构作了后量子联署，法定多数为 {root.quorum} 家。",
            f"Only {len(lines)} institutions gave post-quantum cosignatures, and a quorum is "
            f"{root.quorum}.",
        )
    verify_consistency(older.size, newer.size, part.path, older.root, newer.root)
    verify = find_verify()
    if verify is None:
        raise NotRun(
            f"{len(lines)} 份 ML-DSA-44 签名未核验：请安装 Python 包 {PACKAGE} 后用 "
            "evidence-ledger verify 核验。密钥与日志路径相符。",
            f"{len(lines)} ML-DSA-44 signatures not checked: install the Python package {PACKAGE} "
            "and run evidence-ledger verify. Their keys are those of genesis, and the log's path "
            "holds.",
        )
    signed = [verify_line(line, newer, verify) for line in lines]
    case.facts["post_quantum_cosigners"] = [root.institutions[one.cosigner].id for one in signed]
    case.facts["post_quantum_size"] = newer.size
    by_s = sorted(one.time_s for one in signed)[root.faulty_max]
    case.facts["post_quantum_existed_by_s"] = by_s
    return Words(
        f"{len(signed)} 家机构以 ML-DSA-44 联署了大小为 {newer.size} 的检查点，"
        "此文件的日志是其开头。",
        f"{len(signed)} institutions cosigned the checkpoint of size {newer.size} with ML-DSA-44; "
        "this file's log is the beginning of it.",
    )
