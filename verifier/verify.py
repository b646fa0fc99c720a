"""Offline verification of evidence, step by step. Pure: bytes and a trusted hash in, a report out.

The steps, numbered here once and everywhere else by this numbering:

 1. The file can be read: canonical JSON of a known kind.
 2. The genesis document in it has the hash that the reader trusts.
 3. Institutions, keys and quorum follow from the genesis document.
 4. The checkpoint is of this log, signed by it and cosigned by a quorum; the (f+1)-th smallest
    time of the cosignatures bounds from above when the tree existed.
 5. The header is in the log, of this chain and of this validator set; so is the header whose
    state root is used.
 6. The entry is in the log at the index it names, inside its block's range.
    In a history: all entries ascend and none is later than the header.
 7. The body is canonical JSON; its hash is the transaction id.
 8. Every signature verifies, over the transaction or over its batch.
 9. Every signer's key was valid at the entry's height, by the party's proven record.
10. The outcome, in words.
11. The commit certificate: a quorum of one view committed to this block.
12. In a history: the entries are all there are; count and root are computed again.
13. In a history: the balances are derived again from the entries and compared with the state.
14. In a case: what was computed to be owed is derived again by the law from entries and papers.
15. Where private fields are shown: each is one that an entry of the file commits to.

A file of liabilities is about no entry; after step 5 it has two of its own:

16. The merchant's record is under the state root, with the totals over its contracts.
17. Each claim is in those totals, in a place of its own, and is that of the contract shown.

Whatever else answers one question has the steps that its answer rests on, and at the end:

18. What is asked: the growth of the log, a value in the state, a validator's contradiction, or a
    question about a part of a contract's record.

A file may have, besides, a part that outlives Ed25519; then there is one step more:

19. The tree of step 4 is the beginning of one that a quorum cosigned with ML-DSA-44.

A schedule, one line for each contract of a merchant, has steps 1 to 5 and 16, and then

20. Each line is one contract's whole record: steps 4 to 15 of it.
21. The contracts are all that the merchant's record counts, and their sums are its sums.

Any file of one line may also have what institutions said of their nodes:

22. Each platform statement is signed by the institution that it is of.

A Transparent Statement (RFC 9943) is verified by the evidence of the entry that registered it, and

23. The statement is the one that the entry registered, signed by its issuer with the key it names.
24. Each COSE Receipt is of this entry and signed by an institution of genesis.

Any file of one line may have time stamps too:

25. Each RFC 3161 token is of a certified checkpoint whose tree begins with that of step 4. Whether
    the authority signed it is left to `openssl ts`.

The first step that fails ends the examination; what comes after it is *not run*. A file is
consistent when none failed. Nothing here reads a clock, a network or a file.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from ledger.evidence import SCHEDULE_START
from ledger.hashing import sha256
from ledger.refusal import Rejected
from verifier.answer_steps import check_answer
from verifier.case import Case
from verifier.disclosure_step import DISCLOSED_LIMIT, check_disclosures
from verifier.evidence_file import (
    BareProof,
    ConsistencyFile,
    EquivocationFile,
    EvidenceFile,
    HistoryFile,
    LiabilitiesFile,
    RecordFile,
    ScheduleFile,
    StateFile,
    kind_of,
    read_evidence,
    read_schedule_head,
)
from verifier.history_steps import check_balances, check_completeness
from verifier.liability_steps import check_claims, check_total
from verifier.log_steps import (
    check_checkpoint,
    check_entries,
    check_genesis,
    check_headers,
    check_validators,
)
from verifier.platform_step import PLATFORM_LIMIT, check_platform, find_statements
from verifier.post_quantum_step import UNCHECKED_LIMIT, check_post_quantum, find_part
from verifier.record_steps import (
    check_bodies,
    check_certificate,
    check_keys,
    check_outcome,
    check_signatures,
)
from verifier.report import (
    NotRun,
    Refuted,
    Report,
    Result,
    Said,
    Saying,
    Step,
    Words,
    words_of,
    words_of_file,
)
from verifier.schedule_steps import check_contracts, check_whole
from verifier.statement_step import (
    check_receipts,
    check_statement,
    describe_limits,
    find_statement,
)
from verifier.timestamp_step import TIMESTAMP_LIMIT, check_timestamps, find_timestamps
from verifier.wording import count_contracts, format_time_ms

FILE_STEP: Final = Words("文件可读", "the file can be read")


def check_owed(case: Case) -> Said:
    """Step 14: the law derives again what is owed; no file without its papers needs the law."""
    file = case.file
    if not isinstance(file, HistoryFile) or file.law is None:
        raise NotRun(
            "此文件不含条款与公布数据，应退金额未复算。",
            "The file has no terms and no published data; what is owed is not derived.",
        )
    from verifier import law_steps

    return law_steps.check_owed(case)


Plan = tuple[tuple[int, Words, Callable[[Case], Said]], ...]

STEPS: Final[Plan] = (
    (2, Words("创世文件", "the trusted genesis"), check_genesis),
    (3, Words("验证者与法定多数", "validators and quorum"), check_validators),
    (4, Words("检查点与联署", "checkpoint and cosignatures"), check_checkpoint),
    (5, Words("区块头在日志中", "the header in the log"), check_headers),
    (6, Words("条目的位置", "the entry in its place"), check_entries),
    (7, Words("正文与交易号", "body and transaction id"), check_bodies),
    (8, Words("签名", "signatures"), check_signatures),
    (9, Words("签名者的密钥", "the signers' keys"), check_keys),
    (10, Words("执行结果", "the outcome"), check_outcome),
    (11, Words("提交证书", "commit certificate"), check_certificate),
    (12, Words("记录完整", "completeness"), check_completeness),
    (13, Words("余额复算", "balances"), check_balances),
    (14, Words("应退复算", "what is owed"), check_owed),
    (15, Words("披露的信息", "disclosed fields"), check_disclosures),
)

LIABILITY_STEPS: Final[Plan] = (
    *STEPS[:4],
    (16, Words("经营者合计", "the merchant's total"), check_total),
    (17, Words("合同计入合计", "contracts in the total"), check_claims),
)
"""Of a file of liabilities."""

SCHEDULE_STEPS: Final[Plan] = (
    *LIABILITY_STEPS[:5],
    (20, Words("逐份合同", "each contract"), partial(check_contracts, plan=STEPS[2:])),
    (21, Words("债权表齐全", "the schedule is whole"), check_whole),
)
"""Of a schedule; step 20 goes through the steps of a contract for each line."""

ANSWER: Final = (18, Words("所证事项", "what is asked"), check_answer)

POST_QUANTUM: Final = (
    19,
    Words("后量子联署", "post-quantum cosignatures"),
    check_post_quantum,
)

PLATFORM: Final = (22, Words("平台声明", "platform statements"), check_platform)

STATEMENT: Final[Plan] = (
    (23, Words("已登记的声明", "the registered statement"), check_statement),
    (24, Words("COSE 收据", "COSE receipts"), check_receipts),
)
"""Of a Transparent Statement, after the steps of its evidence."""

TIMESTAMPS: Final = (25, Words("可信时间戳", "time stamps"), check_timestamps)

PLANS: Final[dict[type, Plan]] = {
    LiabilitiesFile: LIABILITY_STEPS,
    ScheduleFile: SCHEDULE_STEPS,
    EquivocationFile: (*STEPS[:2], ANSWER),
    ConsistencyFile: (*STEPS[:3], ANSWER),
    StateFile: (*STEPS[:4], ANSWER),
    RecordFile: (*STEPS[:9], STEPS[10], ANSWER),
}
"""The steps of a kind of file; `STEPS` for one that is not here."""


def verify_evidence(raw: bytes, trusted_chain_id: bytes) -> Report:
    """Verify an evidence file against the genesis hash a person trusts; never raises."""
    if raw.startswith(SCHEDULE_START):
        return verify_schedule(io.BytesIO(raw), trusted_chain_id)
    digest = sha256(raw).hex()
    try:
        file = read_evidence(raw)
    except Rejected as rejected:
        failed = Step(1, FILE_STEP, Result.FAILED, words_of_file(rejected), rejected.reason)
        return Report((failed, *_not_run(1, STEPS)), {}, tuple, digest)
    say = partial(_say_file, len(raw), kind_of(file), find_statement(file) is not None)
    return _examine(file, trusted_chain_id, Saying(say), digest)


def _say_file(size: int, kind: str, is_statement: bool) -> Words:
    if is_statement:
        return Words(
            f"{size} 字节，COSE 透明声明，内含种类为 {kind} 的存证文件。",
            f"{size} bytes of COSE, a Transparent Statement with an evidence file of kind "
            f"{kind} in it.",
        )
    return Words(
        f"{size} 字节，规范 JSON，种类 {kind}。",
        f"{size} bytes of canonical JSON, kind {kind}.",
    )


def verify_schedule(lines: Iterable[bytes], trusted_chain_id: bytes) -> Report:
    """Verify a schedule from its lines, line feeds included, of which one is held at a time.

    A line of more than `FILE_BYTES_MAX` bytes may come in several pieces; it is refused.
    """
    hasher = hashlib.sha256()

    def count() -> Iterator[bytes]:
        for line in lines:
            hasher.update(line)
            yield line

    counted = count()
    head = next(counted, b"")
    try:
        file = read_schedule_head(head, counted)
    except Rejected as rejected:
        failed = Step(1, FILE_STEP, Result.FAILED, words_of_file(rejected), rejected.reason)
        report = Report((failed, *_not_run(1, SCHEDULE_STEPS)), {}, tuple, "")
    else:
        words = Words(
            f"首行 {len(head)} 字节，规范 JSON，债权表。",
            f"A first line of {len(head)} bytes of canonical JSON, a schedule of claims.",
        )
        report = _examine(file, trusted_chain_id, words, "")
    for _ in counted:  # what was not examined belongs to the file all the same
        pass
    return replace(report, file_sha256=hasher.hexdigest())


def verify_bare_proof(
    genesis: bytes, entry: bytes, proof: bytes, trusted_chain_id: bytes
) -> Report:
    """Verify an entry with its C2SP tlog-proof; the report's digest is the entry's."""
    words = Words(
        f"条目 {len(entry)} 字节，日志证明 {len(proof)} 字节。",
        f"An entry of {len(entry)} bytes with a log proof of {len(proof)} bytes.",
    )
    file = BareProof(genesis, entry, proof)
    return _examine(file, trusted_chain_id, words, sha256(entry).hex())


def _examine(file: EvidenceFile, trusted_chain_id: bytes, words: Said, digest: str) -> Report:
    case = Case(trusted_chain_id)
    case.file = file
    steps = [Step(1, FILE_STEP, Result.OK, words)]
    plan = PLANS.get(type(file), STEPS)
    if find_part(file) is not None:
        plan = (*plan, POST_QUANTUM)
    if find_statements(file):
        plan = (*plan, PLATFORM)
    if find_statement(file) is not None:
        plan = (*plan, *STATEMENT)
    if find_timestamps(file) is not None:
        plan = (*plan, TIMESTAMPS)
    for number, name, check in plan:
        try:
            steps.append(Step(number, name, Result.OK, check(case)))
        except NotRun as why:
            steps.append(Step(number, name, Result.NOT_RUN, why.words))
        except (Refuted, Rejected) as why:
            said = why.words if isinstance(why, Refuted) else words_of(why)
            steps.append(Step(number, name, Result.FAILED, said, why.reason))
            tell_limits = partial(_tell_limits, case, False)
            return Report((*steps, *_not_run(number, plan)), case.facts, tell_limits, digest)
    tell_limits = partial(_tell_limits, case, True)
    return Report(tuple(steps), case.facts, tell_limits, digest, case.working)


def _not_run(failed: int, plan: Plan) -> list[Step]:
    words = Words(f"因第 {failed} 步失败而未执行。", f"Not run, because step {failed} failed.")
    return [
        Step(number, name, Result.NOT_RUN, words) for number, name, _ in plan if number > failed
    ]


def _tell_limits(case: Case, is_consistent: bool) -> tuple[Words, ...]:
    """What the conclusion does not say."""
    if not is_consistent:
        return (
            Words(
                "“不一致”只说明此文件不能证明其内容，并不说明账本本身被改动；可另取一份文件再核验。",
                "“Inconsistent” says that this file does not prove its content. It does not say "
                "that the ledger was altered; another copy may verify.",
            ),
        )
    root = case.root
    if isinstance(case.file, EquivocationFile):
        return (
            Words(
                "证明：该验证者的密钥签署了两份不能同真的陈述，凭创世文件即可核验。",
                "Proven: that validator's key signed two statements of which not both can be "
                "true; genesis alone decides.",
            ),
            Words(
                "不证明：何人使用该密钥，以及出于何种原因。",
                "Not proven: who used the key, and why.",
            ),
            Words(
                "前提：创世哈希取自可信来源。",
                "Assumed: the genesis hash is from a trusted source.",
            ),
        )
    limits = [
        Words(
            "证明：自上链之时起内容未被改动（《人民法院在线诉讼规则》第十六条）。",
            "Proven: the content is unchanged since it was put on the chain (Rules of Online "
            "Litigation of People's Courts, art. 16).",
        ),
        Words(
            "不证明：上链之前即为真实。上链前的真实性须结合来源、生成机制、存储过程、公证、第三方见证"
            "及关联印证数据另行审查（同规则第十八条）。",
            "Not proven: that it was true before. That turns on source, generation, storage, "
            "notarisation, witnesses and corroborating data (the same, art. 18).",
        ),
        Words(
            f"前提：{len(root.institutions)} 家机构中至多 {root.faulty_max} 家不诚实，且创世哈希"
            "取自可信来源。",
            f"Assumed: at most {root.faulty_max} of {len(root.institutions)} institutions lie, "
            "and the genesis hash came from a source that is trusted.",
        ),
    ]
    if isinstance(case.file, BareProof):
        limits.append(
            Words(
                "未核验：密钥属于谁、区块头、提交证书与记录完整性。",
                "Not checked: whose keys signed, the block's header, its commit certificate, and "
                "completeness.",
            )
        )
    elif isinstance(case.file, LiabilitiesFile | ScheduleFile):
        limits += _tell_limits_of_totals(case)
    elif isinstance(case.file, ConsistencyFile):
        limits.append(
            Words(
                "此文件不含条目，不说明条目的内容。",
                "The file holds no entries and does not say what they are.",
            )
        )
    elif isinstance(case.file, StateFile | RecordFile):
        up_to = _describe_height(case)
        limits.append(
            Words(
                f"所证截至{up_to.zh}；其后的记录不在此文件之内。",
                f"What is proven is up to {up_to.en}; what came later is not in this file.",
            )
        )
        if isinstance(case.file, RecordFile):
            limits.append(
                Words(
                    "时间是区块的时间：记录上链之时，而不是事情发生之时。",
                    "Times are those of blocks: when it was recorded, not when it happened.",
                )
            )
    elif isinstance(case.file, HistoryFile):
        up_to = _describe_height(case)
        limits.append(
            Words(
                f"完整性截至{up_to.zh}；其后的记录不在此文件之内。",
                f"Completeness is up to {up_to.en}; what came later is not in this file.",
            )
        )
        if "balance_fen" not in case.facts:
            limits.append(Words("余额未经复算。", "The balances were not derived again."))
    else:
        limits.append(
            Words(
                "此文件只涉及一笔交易，不说明同一合同的其他记录。",
                "This file is about one transaction and says nothing of the contract's others.",
            )
        )
    if find_part(case.file) is not None and "post_quantum_cosigners" not in case.facts:
        limits.append(UNCHECKED_LIMIT)
    if "platform_statements" in case.facts:
        limits.append(PLATFORM_LIMIT)
    if "disclosed" in case.facts:
        limits.append(DISCLOSED_LIMIT)
    limits += describe_limits(case.file)
    if "timestamps" in case.facts:
        limits.append(TIMESTAMP_LIMIT)
    return tuple(limits)


def _tell_limits_of_totals(case: Case) -> list[Words]:
    """What sums over a merchant's contracts do not say."""
    up_to = _describe_height(case)
    limits = [
        Words(
            f"合计截至{up_to.zh}；应退余额取各种可能结果中的最高者，未经计算者计为零。",
            f"The totals are those of {up_to.en}; what is owed is the highest of the possible "
            "results, and 0 until it was computed.",
        ),
        Words(
            "合计只含按条款订立的合同；不含条款的预付合同与未上链的债务不在其内。",
            "The totals are of contracts under terms; plain prepaid contracts, and debts that "
            "are not on the chain, are not in them.",
        ),
    ]
    if case.stated_count:
        limits.append(
            Words(
                f"其中 {case.stated_count} 份合同的应退余额依其上链时的计算结果列出，未经复算："
                "文件未附其条款与公布数据。",
                f"Of {count_contracts(case.stated_count)} what is owed is as it was computed "
                "on the chain, and was not derived again: the file holds no terms and no "
                "published data of theirs.",
            )
        )
    return limits


def _describe_height(case: Case) -> Words:
    """Up to where a file speaks, with the date: an old file is as consistent as a new one."""
    header = case.state_header
    time = format_time_ms(header.time_ms)
    return Words(f"高度 {header.height}（{time.zh}）", f"height {header.height} ({time.en})")
