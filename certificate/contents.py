"""What a certificate says about one file: the verifier's report, and what it established.

It is made from the file and the report on it and from nothing else; the report comes from
`verifier.verify` and the hash that the reader trusts. Of a file that is inconsistent nothing is
certified: such a document holds the steps, the reason and the digests, and no field of the content.
Parts that this module does not know a kind of file to have are left out; the steps never are.
"""

from __future__ import annotations

from typing import Any, Final, cast

from certificate.attachment import ATTACHMENT_NAME
from certificate.disclosed import describe_disclosed
from certificate.document import Certificate, Exact, Fields, Section, Sentences, Table, Text
from certificate.fact_words import name_fact, name_part
from certificate.platform import describe_articles, describe_institutions, describe_platform
from certificate.record import describe_position, describe_record, describe_signers
from verifier.evidence_file import (
    EquivocationFile,
    EvidenceFile,
    HistoryFile,
    TransactionFile,
    read_evidence,
)
from verifier.report import RESULT_ZH, Report, Result, Step, Words
from verifier.strict_json import read_object
from verifier.trust_root import read_trust_root
from verifier.verify import PLATFORM, TIMESTAMPS
from verifier.wording import format_accuracy_us, format_fen, format_time_ms

TITLE: Final = Words("区块链存证核验证书", "Certificate of Verified Evidence")
TITLE_OF_FAILURE: Final = Words("区块链存证核验报告", "Report of Failed Verification")
"""What certifies nothing is not called a certificate."""

KINDS: Final = {
    "transaction": Words("单笔交易", "one transaction"),
    "history": Words("一份合同的完整记录", "a contract's whole record"),
    "case": Words(
        "一份合同的完整记录及应退计算", "a contract's whole record, with what is owed computed"
    ),
    "consistency": Words("账本只增未改", "that the ledger only grew"),
    "equivocation": Words("验证机构自相矛盾", "a validator's contradiction of itself"),
    "liabilities": Words("合同计入经营者合计", "contracts in their merchant's total"),
    "record": Words("就一份合同的记录所问之事", "a question about a contract's record"),
    "state": Words("账本状态中的一项或其不存在", "a value of the ledger's state, or its absence"),
}

ANSWERS: Final = (16, 17, 18)
"""Steps that say what a file without entries of its own to show is for."""

_RESULT_EN: Final = {Result.OK: "passed", Result.FAILED: "failed", Result.NOT_RUN: "not run"}


def make_number(file_sha256: str, genesis_hash: str) -> str:
    """Return the certificate's number; it follows from the file and the chain alone."""
    return f"EL-{genesis_hash[:8]}-{file_sha256[:8]}-{file_sha256[8:16]}".upper()


PLATFORM_STEP: Final = PLATFORM[0]
"""What it found has a section of its own."""

TIMESTAMPS_STEP: Final = TIMESTAMPS[0]
"""What it found stands in the summary."""


CHAIN_STEPS: Final = 5
"""The steps up to this number are about genesis, checkpoint and header; the rest read content."""


TIME_S_MAX: Final = 253_402_300_799
"""The last second of the year 9999, the last of which a PDF's date has digits."""


def find_time_s(report: Report) -> int:
    """Return the certificate's date: when the evidence existed at the latest, or 0."""
    time_s = report.facts.get("existed_by_s") if report.is_consistent else None
    return time_s if isinstance(time_s, int) and time_s <= TIME_S_MAX else 0


def make_certificate(raw: bytes, report: Report, genesis_hash: str, software: str) -> Certificate:
    """Return what is certified of the file `raw`, on which `report` was made.

    `genesis_hash` is the trusted one in hex, `software` the name and version of this program. The
    file must be readable (`report.exit_status` 0 or 1).
    """
    file = _read(raw)
    sections = [_summarise(raw, report, genesis_hash)]
    if report.is_consistent:
        root = read_trust_root(file.genesis)
        if isinstance(file, TransactionFile | HistoryFile):
            sections += [
                describe_signers(file, root),
                *describe_record(file, report, root),
                *describe_disclosed(file, report),
                describe_position(file, report),
            ]
        else:
            sections += [_say_answer(report), _list_facts(report)]
        sections.append(describe_institutions(file, root))
    sections.append(_list_steps(report))
    if report.is_consistent:
        platform = describe_platform(file, report, read_trust_root(file.genesis))
        sections += [describe_articles(file, report), platform]
    sections += [
        _list_limits(report, software),
        _describe_attachment(report, genesis_hash),
    ]
    return Certificate(
        title=TITLE if report.is_consistent else TITLE_OF_FAILURE,
        issuer=Words("预付式消费存证账本", "Evidence ledger of prepaid consumption"),
        number=make_number(report.file_sha256, genesis_hash),
        conclusion=Words(report.conclusion.zh, report.conclusion.en.capitalize()),
        is_consistent=report.is_consistent,
        meaning=_say_conclusion(file, report),
        sections=tuple(sections),
    )


def _read(raw: bytes) -> EvidenceFile:
    """Return the file, of any kind that the verifier knows, now or later."""
    return read_evidence(raw)


def _say_conclusion(file: EvidenceFile, report: Report) -> Words:
    failed = report.failed
    if failed is None:
        run = sum(step.result is Result.OK for step in report.steps)
        holds = _say_what_holds(file)
        return Words(
            f"经逐步技术核验，适用的 {run} 个步骤全部通过：{holds.zh}。",
            f"All {run} steps that apply passed: {holds.en}.",
        )
    return Words(
        f"核验未通过：第 {failed.number} 步“{failed.name.zh}”失败。所附文件不能证明其内容，"
        "本文件不证明任何事实。",
        f"Not verified: step {failed.number}, “{failed.name.en}”, failed. The attached file does "
        "not prove its content, and this document certifies no fact.",
    )


def _say_what_holds(file: EvidenceFile) -> Words:
    """What a file proves as a whole; two statements that contradict each other rest on no chain."""
    if isinstance(file, EquivocationFile):
        return Words(
            "所附两份陈述均有同一验证机构的签名，且不能同真",
            "the two attached statements are signed by one validator, and not both can be true",
        )
    if isinstance(file, TransactionFile | HistoryFile):
        return Words(
            "所附存证文件自上链之时起未被改动",
            "the attached evidence is unchanged since it was put on the chain",
        )
    return Words(
        "所附存证文件关于账本的陈述成立，见“所证事项”",
        "what the attached evidence says of the ledger holds; see “What was asked”",
    )


def _summarise(raw: bytes, report: Report, genesis_hash: str) -> Section:
    facts = report.facts if report.is_consistent else {}
    rows: list[tuple[Words, Text | Exact]] = []
    for name, label in (
        ("contract", Words("合同编号", "Contract")),
        ("kind", Words("业务种类代码", "Kind of business")),
        ("network", Words("账本网络", "Ledger's network")),
    ):
        if name in facts:
            rows.append((label, str(facts[name])))
    if "existed_by_s" in facts:
        rows.append(
            (
                Words("最迟存在时间", "Existed no later than"),
                format_time_ms(find_time_s(report) * 1000),
            )
        )
    if "timestamps" in facts:
        rows.append((Words("可信时间戳", "Time stamps"), _name_timestamps(report)))
    return Section(
        Words("证据概要", "The evidence"),
        (
            Fields(
                (
                    (Words("证据种类", "What it is"), _name_kind(raw)),
                    *rows,
                    (Words("存证文件大小", "Size of the file"), _count_bytes(len(raw))),
                    (Words("存证文件 SHA-256", "SHA-256 of the file"), Exact(report.file_sha256)),
                    (Words("所信任的创世哈希", "Trusted genesis hash"), Exact(genesis_hash)),
                )
            ),
        ),
    )


def _name_timestamps(report: Report) -> Words:
    """Return what the tokens say, and that nobody looked at their signatures."""
    told: list[Words] = []
    for one in cast("list[dict[str, Any]]", report.facts["timestamps"]):
        by, exactly = format_time_ms(one["time_ms"]), format_accuracy_us(one["accuracy_us"])
        name = f"{one['authority']}, {one['algorithm']}"
        unseen = (", 摘要未比对", ", imprint not compared")
        zh, en = ("", "") if one["is_imprint_compared"] else unseen
        told.append(
            Words(f"{by.zh}{exactly.zh}（{name}{zh}）", f"{by.en}{exactly.en} ({name}{en})")
        )
    zh = "；".join([one.zh for one in told])
    en = "; ".join([one.en for one in told])
    return Words(
        f"{len(told)} 个，自称：{zh}；时间戳机构的签名未核验",
        f"{len(told)}, which say: {en}; the authorities' signatures are not checked",
    )


def _name_kind(raw: bytes) -> Words:
    kind = str(read_object(raw, "evidence file").get("kind"))
    return KINDS.get(kind, Words(kind, kind))


def _count_bytes(count: int) -> Words:
    return Words(f"{count} 字节", f"{count} bytes")


def _say_answer(report: Report) -> Section:
    """Return what the file is for, as the steps about it found it."""
    said = [
        step.explanation
        for step in report.steps
        if step.number in ANSWERS and step.result is Result.OK
    ]
    return Section(Words("所证事项", "What was asked"), (Sentences(tuple(said), are_marked=False),))


def _list_facts(report: Report) -> Section:
    """Return what the steps established, fact by fact: for a kind with no section of its own."""
    rows: list[tuple[Words, Text | Exact]] = []
    for name, value in report.facts.items():
        if name == "timestamps":
            continue  # in the summary, in words
        if isinstance(value, dict):
            is_fen = name.endswith("_fen")
            rows += [
                (name_part(name, one), format_fen(it) if is_fen else str(it))
                for one, it in value.items()
            ]
        elif isinstance(value, list):
            texts = [str(one) for one in value]
            rows.append((name_fact(name), Words("、".join(texts) or "—", ", ".join(texts) or "—")))
        elif isinstance(value, int) and name.endswith(("_ms", "_by_s")):
            rows.append((name_fact(name), format_time_ms(value * (1, 1000)[name[-2:] == "_s"])))
        else:
            rows.append((name_fact(name), str(value)))
    return Section(Words("已核验的事实", "What was verified"), (Fields(tuple(rows)),))


def _list_steps(report: Report) -> Section:
    rows = [
        (str(step.number), step.name, _name_result(step), _explain(step, report))
        for step in report.steps
    ]
    return Section(
        Words("技术核验步骤", "The steps of verification"),
        (
            Table(
                (
                    Words("步骤", "No."),
                    Words("核验事项", "What"),
                    Words("结果", "Result"),
                    Words("说明", "Finding"),
                ),
                (8, 20, 12, 80),
                tuple(rows),
            ),
        ),
    )


def _name_result(step: Step) -> Words:
    return Words(RESULT_ZH[step.result], _RESULT_EN[step.result])


def _explain(step: Step, report: Report) -> Words:
    is_passed = step.result is Result.OK
    if is_passed and step.number > CHAIN_STEPS and not report.is_consistent:
        return Words(
            "该步通过；文件不一致，其所见不在此列出。",
            "It passed; the file is inconsistent, and what it found is not told.",
        )
    if step.number == PLATFORM_STEP and is_passed:
        return Words("签名均有效；内容见“平台说明”。", "All signatures good; see “The platform”.")
    if step.number == TIMESTAMPS_STEP and "timestamps" in report.facts:
        return Words(
            "检查点由法定多数联署，时间戳格式正确；机构签名须以 openssl ts 核验。",
            "A quorum cosigned the checkpoint, and the tokens are well-formed; openssl ts checks "
            "the authorities' signatures.",
        )
    if step.reason is None:
        return step.explanation
    said = step.explanation
    return Words(f"{said.zh}（{step.reason}）", f"{said.en} ({step.reason})")


def _list_limits(report: Report, software: str) -> Section:
    own = (
        Words(
            f"本文件由软件（{software}）据所附存证文件生成，不含出具时间：同一文件、同一语言、同一软件"
            "版本，无论何时何地生成，字节均相同。",
            f"This document is made from the attached file by software ({software}) and bears no "
            "date of issue: the same file, language and version give the same bytes wherever and "
            "whenever it is made.",
        ),
        Words(
            "任何人都能制作外观相同的文件。证明力在所附存证文件，不在纸面：请以取自独立来源的创世哈希"
            "重新核验附件。",
            "Anybody can make a document that looks like this one. What proves is the attached "
            "file: verify it again, with a genesis hash from an independent source.",
        ),
        Words(
            "形似手机号码、居民身份证号码的内容已遮蔽；无法显示或可能误导的字符"
            "以其编码 \\u{…} 表示；附件中为原文。经披露的非公开信息在其专节中不遮蔽。",
            "What has the form of a mobile or identity number is masked, save in the section of "
            "disclosed fields, and characters that cannot be shown, or could mislead, stand as "
            "their code \\u{…}. The attachment has the original.",
        ),
    )
    return Section(
        Words("证明范围与限制", "What is proven, and what is not"),
        (Sentences((*report.limits, *own)),),
    )


def _describe_attachment(report: Report, genesis_hash: str) -> Section:
    command = "evidence-ledger verify certificate.pdf --genesis-hash"
    return Section(
        Words("附件与复核方法", "The attachment, and how to verify it again"),
        (
            Fields(
                (
                    (Words("附件", "Attachment"), ATTACHMENT_NAME),
                    (Words("附件 SHA-256", "Its SHA-256"), Exact(report.file_sha256)),
                    (
                        Words("复核附件", "Verify the attachment"),
                        Exact(f"{command} {genesis_hash}"),
                    ),
                    (
                        Words("复核纸面", "Check the pages"),
                        Exact(
                            "evidence-ledger certificate check certificate.pdf --genesis-hash "
                            f"{genesis_hash}"
                        ),
                    ),
                    (
                        Words("在浏览器中", "In a browser"),
                        Words(
                            "将附件另存后拖入核验网页（各节点 /verify，或离线文件），无需联网。",
                            "Save the attachment and drop it on the verification page (/verify of "
                            "any node, or the same page as a file); no network is needed.",
                        ),
                    ),
                )
            ),
        ),
    )
