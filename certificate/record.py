"""What was recorded: the signers, the transaction or the contract's record, its place in the log.

Read again from the file by the verifier's own readers, after the verifier found it consistent; so
every value here hangs on the trusted genesis hash. Long records are shown by their first and last
entries, and how many are left out is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

from certificate.document import Block, Exact, Fields, Section, Sentences, Table, Text
from law.canonical import compute_hash
from law.terms import parse_terms
from law.terms_text import NAMES, render_terms
from ledger.tlog_proof import parse_tlog_proof
from verifier.evidence_file import HistoryFile, TransactionFile
from verifier.formats import Body, Entry, Signature, read_body, read_transaction_entry
from verifier.report import Report, Words
from verifier.state_formats import PartyRecord, read_state_value, take_party_record
from verifier.strict_json import JsonValue
from verifier.trust_root import TrustRoot
from verifier.wording import (
    EFFECTS_ZH,
    describe_kind,
    describe_outcome,
    describe_role,
    format_fen,
    format_institutions,
    format_time_ms,
)

ENTRIES_SHOWN_MAX: Final = 120
"""Entries in the table of a long record, half from each end: some eight pages."""

FIELDS_SHOWN_MAX: Final = 40
"""Lines for the members of one body, which has at most 32 KiB."""

SIGNERS_SHOWN_MAX: Final = 100
"""Lines of the signers' table; a contract has a few, a record of years perhaps dozens."""

MEMBERS: Final = {
    "amount": Words("金额", "Amount"),
    "balance": Words("余额", "Balance"),
    "bonus": Words("赠送", "Bonus"),
    "channel": Words("支付渠道", "Channel"),
    "consumer": Words("消费者承诺值（加盐，不含身份）", "Consumer (salted commitment)"),
    "consumer_party": Words("消费者主体", "Consumer's party"),
    "custodian": Words("资金托管机构", "Custodian"),
    "debited": Words("扣减", "Debited"),
    "industry": Words("行业", "Industry"),
    "item": Words("项目", "Item"),
    "merchant": Words("经营者", "Merchant"),
    "occurred_at": Words("发生时间", "Occurred at"),
    "price": Words("价格", "Price"),
    "provenance.captured_at": Words("采集时间", "Captured at"),
    "provenance.corroborates": Words("所印证的交易", "Corroborates"),
    "provenance.device": Words("采集设备", "Device"),
    "provenance.generated_at": Words("生成时间", "Generated at"),
    "provenance.method": Words("采集方式", "Method of capture"),
    "provenance.source": Words("来源系统", "Source system"),
    "provenance.submitted_at": Words("提交时间", "Submitted at"),
    "statement": Words("陈述", "Statement"),
    "terms": Words("合同条款哈希", "Hash of the terms"),
    "terms_hash": Words("合同文本哈希", "Hash of the contract's text"),
    "tx_id": Words("所指交易", "Speaks of transaction"),
    "units": Words("次数", "Units"),
}
"""Members of bodies by name; another is shown under its own."""

MONEY: Final = ("amount", "balance", "bonus", "debited", "price", "worth")
"""Members of bodies that are whole fen, at whatever depth (`contracts.events`)."""

_BALANCES: Final = {
    "paid": Words("已付", "Paid"),
    "deposited": Words("存入", "Deposited"),
    "interest": Words("结息", "Interest"),
    "locked": Words("锁定中", "Locked"),
    "released": Words("已释放给经营者", "Released to the merchant"),
    "refunded": Words("已退还消费者", "Refunded"),
}


def describe_signers(file: TransactionFile | HistoryFile, root: TrustRoot) -> Section:
    """Return who signed, as the certified state has them registered."""
    names = {one.id: format_institutions([one]) for one in root.institutions}
    rows: list[tuple[Text | Exact, ...]] = []
    for proven in file.parties[:SIGNERS_SHOWN_MAX]:
        party = _read_party(proven.stream, proven.value)
        own = names.get(party.party, Words(party.party, party.party))
        rows.append(
            (
                own,
                describe_role(party.role),
                names.get(party.registrar, party.registrar),
                _say_since(party),
            )
        )
    table = Table(
        (
            Words("签名主体", "Signer"),
            Words("身份", "Role"),
            Words("登记机构", "Registered by"),
            Words("登记情况", "Registration"),
        ),
        (32, 18, 32, 38),
        tuple(rows),
    )
    more = len(file.parties) - len(rows)
    blocks: list[Block] = [table]
    if more > 0:
        blocks.append(
            Sentences(
                (Words(f"另有 {more} 个主体，见附件。", f"{more} more are in the attachment."),)
            )
        )
    return Section(Words("存证主体", "Who put it on the chain"), tuple(blocks))


def _read_party(stream: str, value: bytes) -> PartyRecord:
    return take_party_record(read_state_value(value, stream).record, stream)


def _say_since(party: PartyRecord) -> Words:
    if party.registrar == party.party:
        since = Words("创世机构", "institution of genesis")
    else:
        since = Words(f"高度 {party.registered_height}", f"height {party.registered_height}")
    if not party.revoked_height:
        return since
    return Words(
        f"{since.zh}；自高度 {party.revoked_height} 起撤销",
        f"{since.en}; revoked from height {party.revoked_height}",
    )


def describe_record(
    file: TransactionFile | HistoryFile, report: Report, root: TrustRoot
) -> list[Section]:
    """Return what was recorded: one transaction's content, or a contract's books and entries."""
    if isinstance(file, TransactionFile):
        return [_describe_transaction(file)]
    return _describe_history(file, report, root)


def _describe_transaction(file: TransactionFile) -> Section:
    entry = read_transaction_entry(file.entry, "entry")
    body = read_body(entry.body, "body")
    rows: list[tuple[Words, Text | Exact]] = [
        (Words("业务种类", "Business"), describe_kind(body.kind, body.version)),
        (Words("业务编号", "Reference"), body.reference),
        (Words("归属", "Record"), body.stream),
        (Words("执行结果", "Outcome"), describe_outcome(body, entry.outcome)),
    ]
    members = list(_flatten(body.data, ""))
    rows += [_show_member(name, value) for name, value in members[:FIELDS_SHOWN_MAX]]
    if len(members) > FIELDS_SHOWN_MAX:
        more = len(members) - FIELDS_SHOWN_MAX
        rows.append(
            (
                Words("其余内容", "The rest"),
                Words(f"另有 {more} 项，见附件", f"{more} more in the attachment"),
            )
        )
    rows.append(
        (Words("提交有效期至", "Valid for submission until"), format_time_ms(body.not_after))
    )
    blocks: list[Block] = [Fields(tuple(rows))]
    signatures: list[tuple[Words, Text | Exact]] = []
    for signer, signature in zip(body.signers, entry.signatures, strict=True):
        signatures += _show_signature(signer, signature)
    blocks.append(Fields(tuple(signatures)))
    return Section(Words("存证内容与提交签名", "The content and its signatures"), tuple(blocks))


def _show_signature(signer: str, signature: Signature) -> list[tuple[Words, Text | Exact]]:
    batch = Words("", "")
    if signature.batch is not None:
        batch = Words("（批量签名）", " (over a batch)")
    return [
        (
            Words(f"{signer} 的公钥", f"Public key of {signer}"),
            Exact(signature.public_key.hex()),
        ),
        (
            Words(f"{signer} 的签名{batch.zh}", f"Signature of {signer}{batch.en}"),
            Exact(signature.signature.hex()),
        ),
    ]


def _flatten(value: JsonValue, name: str) -> Iterator[tuple[str, JsonValue]]:
    """Yield the members of a body with dotted names, in order."""
    if isinstance(value, dict):
        for member, inner in value.items():
            yield from _flatten(inner, f"{name}.{member}" if name else member)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _flatten(inner, f"{name}[{at}]")
    else:
        yield name, value


def _show_member(name: str, value: JsonValue) -> tuple[Words, Text | Exact]:
    label = MEMBERS.get(name.partition("[")[0], Words(EFFECTS_ZH.get(name, name), name))
    last = name.rpartition(".")[2]
    if type(value) is int:
        if last in MONEY:
            return label, format_fen(value)
        if last.endswith("_at"):
            return label, format_time_ms(value)
    if isinstance(value, str):
        if name == "industry" and value in NAMES:
            return label, Words(NAMES[value].zh, NAMES[value].en)
        if len(value) == 64 and all(one in "0123456789abcdef" for one in value):
            return label, Exact(value)
        return label, value
    return label, str(value)


def _describe_history(file: HistoryFile, report: Report, root: TrustRoot) -> list[Section]:
    sections = [
        Section(Words("合同与账目", "The contract and its books"), _books(file, report, root))
    ]
    terms = _describe_terms(file)
    if terms is not None:
        sections.append(terms)
    sections.append(_list_entries(file))
    return sections


def _show_party(name: str, value: JsonValue, root: TrustRoot) -> tuple[Words, Text | Exact]:
    """Return a member of the opening body; an institution of genesis by its name."""
    one = next((one for one in root.institutions if one.id == value), None)
    if one is None or name == "industry":
        return _show_member(name, value)
    return MEMBERS[name], format_institutions([one])


def _books(file: HistoryFile, report: Report, root: TrustRoot) -> tuple[Block, ...]:
    facts = report.facts
    rows: list[tuple[Words, Text | Exact]] = []
    opening = _find_opening(file)
    if opening is not None:
        body = opening[1]
        for name in (
            "merchant",
            "custodian",
            "consumer",
            "consumer_party",
            "industry",
            "terms",
            "terms_hash",
        ):
            if name in body.data:
                rows.append(_show_party(name, body.data[name], root))
    count = facts.get("entries", 0)
    height = facts.get("state_height", 0)
    rows.append(
        (
            Words("记录完整性", "Completeness"),
            Words(
                f"截至高度 {height}，全部记录恰为 {count} 条，无遗漏、无增添",
                f"up to height {height} the record has exactly {count} entries, none left out",
            ),
        )
    )
    balances = facts.get("balance_fen")
    if isinstance(balances, dict):
        rows += [
            (_BALANCES.get(name, Words(name, name)), format_fen(fen))
            for name, fen in balances.items()
        ]
    owed = facts.get("owed_fen")
    if isinstance(owed, dict):
        rows.append((Words("依法应退（本息）", "Owed by law, with interest"), _describe_owed(owed)))
    return (Fields(tuple(rows)),)


def _describe_owed(owed: Mapping[str, Any]) -> Words:
    low, high = format_fen(owed["low"]), format_fen(owed["high"])
    if owed["results"] == 1:
        return Words(f"{low.zh}（1 种结果）", f"{low.en} (1 result)")
    return Words(
        f"{owed['results']} 种结果，{low.zh} 至 {high.zh}；取决于尚未认定的事实或法院的选择",
        f"{owed['results']} results, {low.en} to {high.en}: it turns on what is not found yet or "
        "is the court's to choose",
    )


def _find_opening(file: HistoryFile) -> tuple[Entry, Body] | None:
    """Return the first entry that took effect: the one that opened the contract."""
    for raw in file.entries:
        entry = read_transaction_entry(raw, "entry")
        if not entry.outcome.refused:
            return entry, read_body(entry.body, "body")
    return None


def _describe_terms(file: HistoryFile) -> Section | None:
    """Return the terms in words and whole, if they are those on which the contract was signed.

    Their length is bounded by that of the document, 32 KiB, and by its lists' of at most 256.
    Nothing else binds the terms in a file: in one whose entries were all refused they are anyone's.
    """
    opening = _find_opening(file)
    if file.law is None or opening is None:
        return None
    if opening[1].data.get("terms") != compute_hash(file.law.terms):
        return None
    terms = parse_terms(file.law.terms)
    zh, en = (
        [line.strip() for line in render_terms(terms, language).splitlines() if line.strip()]
        for language in ("zh", "en")
    )
    lines = [Words(one, other) for one, other in zip_longest(zh, en, fillvalue="")]
    return Section(
        Words("合同条款", "The contract's terms"),
        (Sentences(tuple(lines), are_marked=False),),
    )


def _list_entries(file: HistoryFile) -> Section:
    count = len(file.entries)
    shown = range(count)
    note: list[Block] = []
    places: list[int] = list(shown)
    if count > ENTRIES_SHOWN_MAX:
        half = ENTRIES_SHOWN_MAX // 2
        places = [*shown[:half], *shown[count - half :]]
        left = count - len(places)
        note.append(
            Sentences(
                (
                    Words(
                        f"记录较多：此处列出最初 {half} 条与最后 {half} 条，中间 {left} 条未列出；"
                        "全部记录在附件中，并已逐条核验。",
                        f"The first {half} and the last {half} entries are listed; {left} between "
                        "them are not. All are in the attachment, and each was verified.",
                    ),
                )
            )
        )
    rows: list[tuple[Text | Exact, ...]] = []
    for place in places:
        entry = read_transaction_entry(file.entries[place], "entry")
        body = read_body(entry.body, "body")
        rows.append(
            (
                str(place + 1),
                Words(f"{entry.height}／{entry.index}", f"{entry.height} / {entry.index}"),
                _say_when(body),
                describe_outcome(body, entry.outcome),
                Words("、".join(body.signers), ", ".join(body.signers)),
            )
        )
    table = Table(
        (
            Words("序号", "No."),
            Words("高度／位置", "Height / index"),
            Words("发生时间（所陈述）", "Occurred (as stated)"),
            Words("事项与结果", "What, and its outcome"),
            Words("签名主体", "Signers"),
        ),
        (9, 18, 27, 62, 24),
        tuple(rows),
    )
    return Section(Words("全部记录", "The record"), (*note, table))


def _say_when(body: Body) -> Text:
    """Return when it happened, as the signers say; the times of blocks are not in a history.

    The times that a case brings for the law are bound by its computations only, and not shown.
    """
    occurred = body.data.get("occurred_at")
    return format_time_ms(occurred) if type(occurred) is int and occurred else "—"


def describe_position(file: TransactionFile | HistoryFile, report: Report) -> Section:
    """Return where it stands: block, log, tree and the path between them.

    Of a history, the block up to which it is the whole record.
    """
    facts = report.facts
    height_label = Words("区块高度", "Block height")
    time_label = Words("上链时间（区块时间）", "Put on the chain (block time)")
    if isinstance(file, HistoryFile):
        height_label = Words("记录截至区块高度", "Record up to block height")
        time_label = Words("该区块时间", "Time of that block")
    proof = parse_tlog_proof(file.proof if isinstance(file, TransactionFile) else file.header_proof)
    rows: list[tuple[Words, Text | Exact]] = []
    for name, label in (
        ("tx_id", Words("交易号", "Transaction id")),
        ("stream_root", Words("合同记录的根", "Root of the contract's record")),
    ):
        if name in facts:
            rows.append((label, Exact(str(facts[name]))))
    rows += [
        (height_label, str(facts["height"])),
        (time_label, format_time_ms(int(str(facts["block_time_ms"])))),
        (Words("区块哈希", "Block hash"), Exact(str(facts["block_hash"]))),
        (Words("前一区块哈希", "Hash of the block before"), Exact(str(facts["parent_hash"]))),
        (Words("日志位置", "Index in the log"), str(proof.index)),
        (Words("日志大小", "Size of the log"), str(facts["tree_size"])),
        (Words("日志根", "Root of the log"), Exact(str(facts["tree_root"]))),
    ]
    path = proof.path
    rows += [
        (
            Words(f"默克尔路径 {at + 1}／{len(path)}", f"Merkle path {at + 1} of {len(path)}"),
            Exact(node.hex()),
        )
        for at, node in enumerate(path)
    ]
    return Section(Words("上链位置", "Its place on the chain"), (Fields(tuple(rows)),))
