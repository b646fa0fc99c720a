"""Who runs the ledger, who signed for it, and what the law asks of it (在线诉讼规则 arts 16 to 18).

The platform is described as the genesis document and the proofs of one file show it: operators and
their roles, the assumption under which the ledger holds, who cosigned and whose cosignature the
file lacks, whether a party is tied to the platform, the cryptography and the source of time. What a
court must ask the operators for, because no evidence file holds it, is said to be missing instead
of being filled in.
"""

from __future__ import annotations

from typing import Final

from certificate.document import Block, Exact, Fields, Section, Table, Text
from ledger.checkpoint import count_cosignatures
from ledger.note import encode_base64, parse_note
from ledger.tlog_proof import parse_tlog_proof
from verifier.evidence_file import (
    BareProof,
    ConsistencyFile,
    EquivocationFile,
    EvidenceFile,
    HistoryFile,
    RecordFile,
    TransactionFile,
)
from verifier.formats import Certificate as CommitCertificate
from verifier.formats import read_body, read_certificate, read_transaction_entry
from verifier.platform_statement import describe_platform_statement, read_platform_statement
from verifier.platform_step import find_statements
from verifier.report import Report, Result, Words
from verifier.strict_json import JsonValue, read_object
from verifier.trust_root import TrustRoot
from verifier.wording import describe_role, format_time_ms

_NONE: Final = Words("—", "—")
_NOT_HERE: Final = Words("文件中未见", "not in the file")
"""Whoever hands a file on may leave a cosignature out, as long as a quorum is left."""

CRYPTOGRAPHY: Final = Words(
    "哈希 SHA-256（带用途标记）；签名 Ed25519（libsodium 严格规则）；日志 RFC 9162 默克尔树；"
    "检查点与联署 C2SP；正文 RFC 8785 规范 JSON",
    "SHA-256 with domain tags; Ed25519 by libsodium's strict rules; a Merkle log (RFC 9162); "
    "checkpoints and cosignatures of C2SP; bodies in canonical JSON (RFC 8785)",
)


def describe_institutions(file: EvidenceFile, root: TrustRoot) -> Section:
    """Return the validators with what each of them signed."""
    title = Words("验证机构与签名", "The institutions and their signatures")
    checkpoint = _find_checkpoint(file)
    if checkpoint is None:
        return Section(title, (_list_institutions(file, root),))
    note = parse_note(checkpoint)
    times = {one.cosigner: one.time_s for one in count_cosignatures(note, root.cosigner_keys)}
    lines = {one.name: one.signature for one in note.signatures}
    commits = _read_commits(file)
    told = _read_institutions(file.genesis)
    rows: list[tuple[Text | Exact, ...]] = []
    signatures: list[tuple[Words, Text | Exact]] = []
    for at, one in enumerate(root.institutions):
        role, district = told.get(one.id, ("", ""))
        name = Words(one.name_zh, one.name_en)
        rows.append(
            (
                name,
                one.id,
                _join(describe_role(role), district),
                format_time_ms(times[at] * 1000) if at in times else _NOT_HERE,
                _say_commit(commits, at),
            )
        )
        key = root.cosigner_keys[at]
        if at in times and key.name in lines:
            signatures.append(
                (
                    Words(f"{one.id} 联署", f"Cosignature of {one.id}"),
                    Exact(encode_base64(lines[key.name])),
                )
            )
        if commits is not None and at in dict(commits.commits):
            signatures.append(
                (
                    Words(f"{one.id} 提交票", f"Commit of {one.id}"),
                    Exact(dict(commits.commits)[at].hex()),
                )
            )
    count, faulty, quorum = len(root.institutions), root.faulty_max, root.quorum
    blocks: tuple[Block, ...] = (
        Fields(
            (
                (
                    Words("共识规则", "Consensus"),
                    Words(
                        f"PBFT：共 {count} 家机构（n），至多 {faulty} 家不诚实时仍可靠（f），"
                        f"法定多数 {quorum} 家；本检查点由 {len(times)} 家联署",
                        f"PBFT among n = {count} institutions, which holds while at most f = "
                        f"{faulty} lie; a quorum is {quorum}; {len(times)} cosigned here",
                    ),
                ),
            )
        ),
        Table(
            (
                Words("机构", "Institution"),
                Words("标识", "Id"),
                Words("身份／辖区", "Role / district"),
                Words("联署时间（机构时钟）", "Cosigned at (its clock)"),
                Words("提交票", "Commit"),
            ),
            (32, 20, 24, 50, 14),
            tuple(rows),
        ),
        Fields(tuple(signatures)),
    )
    return Section(title, blocks)


def _find_checkpoint(file: EvidenceFile) -> bytes | None:
    """Return the checkpoint that a file rests on; None where it rests on genesis alone."""
    match file:
        case EquivocationFile():
            return None
        case ConsistencyFile():
            return file.newer
        case BareProof():
            return parse_tlog_proof(file.proof).checkpoint
        case _:
            return parse_tlog_proof(file.header_proof).checkpoint


def _list_institutions(file: EvidenceFile, root: TrustRoot) -> Table:
    """Return the validators of genesis, of whom this file shows no cosignature."""
    told = _read_institutions(file.genesis)
    rows = []
    for one in root.institutions:
        role, district = told.get(one.id, ("", ""))
        name = Words(one.name_zh, one.name_en)
        rows.append((name, one.id, _join(describe_role(role), district)))
    heads = (
        Words("机构", "Institution"),
        Words("标识", "Id"),
        Words("身份／辖区", "Role / district"),
    )
    return Table(heads, (50, 40, 50), tuple(rows))


def _read_commits(file: EvidenceFile) -> CommitCertificate | None:
    if isinstance(file, TransactionFile):
        return read_certificate(file.certificate, "certificate")
    return None


def _say_commit(commits: CommitCertificate | None, replica: int) -> Words:
    if commits is None:
        return _NONE
    if replica in dict(commits.commits):
        return Words(f"视图 {commits.view}", f"view {commits.view}")
    return Words("无", "none")


def _read_institutions(genesis: bytes) -> dict[str, tuple[str, str]]:
    """Return each institution's role and district; the document's hash was verified."""
    listed = read_object(genesis, "genesis").get("institutions")
    found = {}
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            role, district = item.get("role"), item.get("district")
            found[str(item.get("id"))] = (_word(role), _word(district))
    return found


def _word(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _join(words: Words, more: str) -> Words:
    if not more:
        return words
    return Words(f"{words.zh}／{more}", f"{words.en} / {more}")


def describe_articles(file: EvidenceFile, report: Report) -> Section:
    """Return, article by article, what the file answers and what it leaves to be asked."""
    rows: list[tuple[Text, ...]] = [
        (
            Words("第十六条　技术核验", "Art. 16: technical verification"),
            _say_technique(report),
        ),
        (
            Words("第十七条（一）　平台", "Art. 17 (1): the platform"),
            Words(
                "运营机构见“验证机构与签名”。其存证服务的资质与备案不在存证文件内，由运营机构另行说明。",
                "The operators are listed above. Their licences and filings are not in an evidence "
                "file: ask the operators.",
            ),
        ),
        (
            Words("第十七条（二）　利害关系", "Art. 17 (2): ties to a party"),
            _say_ties(file, report),
        ),
        (
            Words("第十七条（三）　系统安全可靠", "Art. 17 (3): the system"),
            _say_health(report),
        ),
        (
            Words("第十七条（四）　技术与过程", "Art. 17 (4): technique and process"),
            Words(
                "加密方式、数据格式与核验方法公开，任何人可离线复核；核验软件亦有独立的第二实现（浏览器）。"
                "传输与主机环境的管理由运营机构另行说明。",
                "Cryptography, formats and verification are public and can be repeated offline; "
                "the browser's verifier is an independent second one. How hosts and links are "
                "managed is for the operators to say.",
            ),
        ),
        (Words("第十八条　上链前的真实性", "Art. 18: before the chain"), _say_provenance(file)),
    ]
    return Section(
        Words(
            "与《人民法院在线诉讼规则》的对应", "The Rules of Online Litigation of People's Courts"
        ),
        (
            Table(
                (Words("条款", "Article"), Words("本文件所示", "What this file shows")),
                (38, 90),
                tuple(rows),
            ),
        ),
    )


def _say_technique(report: Report) -> Words:
    passed = [step.name for step in report.steps if step.result is Result.OK]
    return Words(
        f"一致。依据：{'、'.join([name.zh for name in passed])}（见“技术核验步骤”）。",
        f"Consistent, by the steps on: {', '.join([name.en for name in passed])}.",
    )


def _say_ties(file: EvidenceFile, report: Report) -> Words:
    """Say whether a signer of the record also runs a node."""
    if not isinstance(file, TransactionFile | HistoryFile | RecordFile):
        return Words("须另行声明。", "To be declared.")
    signers = {proven.stream.removeprefix("party/") for proven in file.parties}
    tied = [one for one in _validators(report) if one in signers]
    if not tied:
        return Words(
            "记录的签名主体均非验证机构。当事人与运营机构的其他关系须另行声明。",
            "No signer of the record is a validator. Other ties between a party and an operator "
            "are to be declared.",
        )
    quorum, faulty = report.facts["quorum"], report.facts["faulty_max"]
    return Words(
        f"签名主体 {'、'.join(tied)} 同时是验证机构，共 {len(tied)} 家；法定多数须 "
        f"{quorum} 家，至多 {faulty} 家不诚实时账本仍可靠。其他关系须另行声明。",
        f"Signers that are validators too: {', '.join(tied)}, {len(tied)} in all; a quorum takes "
        f"{quorum}, and the ledger holds while at most {faulty} lie. Other ties are to be "
        "declared.",
    )


def _validators(report: Report) -> list[str]:
    found: list[str] = []
    for name in ("cosigned_by", "not_cosigned_by"):
        found += _texts(report, name)
    return found


def _texts(report: Report, name: str) -> list[str]:
    """Return a fact that is a list of texts; empty where there is none."""
    value = report.facts.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _say_health(report: Report) -> Words:
    if "cosigned_by" not in report.facts:
        return Words(
            "此文件不依据检查点，不说明系统当时的状态。",
            "This file rests on no checkpoint and does not say how the system was.",
        )
    count = len(_texts(report, "cosigned_by"))
    absent = _texts(report, "not_cosigned_by")
    missing = "、".join(absent) or "无"
    missing_en = ", ".join(absent) or "none"
    return Words(
        f"检查点形成时至少 {count} 家机构的节点在正常运行并各自核验、联署；文件中未见联署："
        f"{missing}（联署可被略去，略去不说明没有）。各节点当时的运行日志不在存证文件内。",
        f"When the checkpoint was made, the nodes of at least {count} institutions were running, "
        f"verified it and cosigned it; no cosignature here of: {missing_en} (one that is left out "
        "of a file is not one that was not made). The nodes' own logs are not in an evidence file.",
    )


def _say_provenance(file: EvidenceFile) -> Words:
    """Say what the record holds of source, device, method and time of capture."""
    entries: tuple[bytes, ...] = ()
    if isinstance(file, TransactionFile):
        entries = (file.entry,)
    elif isinstance(file, HistoryFile | RecordFile):
        entries = file.entries
    if not entries:
        return Words(
            "此文件不含条目，不涉及上链前的内容。",
            "This file holds no entries and says nothing of what was before the chain.",
        )
    count = sum(
        isinstance(
            read_body(read_transaction_entry(raw, "entry").body, "body").data.get("provenance"),
            dict,
        )
        for raw in entries
    )
    return Words(
        f"{len(entries)} 条记录中 {count} 条载有来源系统、设备、采集方式或生成时间；"
        "签名主体已验明。技术核验不证明上链前的内容为真，须结合来源、生成机制、存储过程、公证、第三方见证与关联印证数据"
        "审查。",
        f"{count} of {len(entries)} entries state source system, device, method or time of "
        "capture; who signed is verified. That the content was true before is not proven: "
        "look at source, generation, storage, notarisation, witnesses and corroborating data.",
    )


def describe_platform(file: EvidenceFile, report: Report, root: TrustRoot) -> Section:
    """Return the platform as it follows from the file, and as the institutions state it."""
    statements = [read_platform_statement(raw, root) for raw in find_statements(file)]
    facts = report.facts
    rows: list[tuple[Words, Text | Exact]] = []
    if "validators" in facts:
        rows.append(
            (
                Words("运营方式", "Operation"),
                Words(
                    f"许可链，{facts['validators']} 家机构各自运行一个节点，各持私钥，互不信任；"
                    "名单与公钥由创世文件固定",
                    f"a permissioned ledger: {facts['validators']} institutions run a node each, "
                    "hold their own keys and do not trust one another; the genesis document fixes "
                    "names and keys",
                ),
            )
        )
    rows += [
        (Words("密码与格式", "Cryptography and formats"), CRYPTOGRAPHY),
        (
            Words("时间来源", "Source of time"),
            Words(
                "区块时间由提议机构给出并经法定多数按各自时钟核对；检查点以各联署机构自己的时钟为准，"
                "取第 f+1 个最小值",
                "a block's time is its proposer's, checked by a quorum against their own clocks; a "
                "checkpoint has each cosigner's own clock, of which the (f+1)-th smallest counts",
            ),
        ),
        (
            Words("本文件未载", "Not in this file"),
            _say_missing(has_statements=bool(statements), has_stamps="timestamps" in facts),
        ),
    ]
    stated = [Fields(tuple(describe_platform_statement(one))) for one in statements]
    return Section(Words("平台说明", "The platform"), (Fields(tuple(rows)), *stated))


def _say_missing(*, has_statements: bool, has_stamps: bool) -> Words:
    software = Words("各节点软件版本与构建哈希", "each node's software version and build hash")
    missing = [
        *[software] * (not has_statements),
        Words("运营资质与备案", "licences and filings"),
        Words("运行日志", "operating logs"),
        Words("统一社会信用代码", "unified social credit codes"),
        *[Words("第三方时间戳", "time stamps of third parties")] * (not has_stamps),
    ]
    return Words("、".join([one.zh for one in missing]), ", ".join([one.en for one in missing]))
