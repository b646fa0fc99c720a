"""Names of things in Chinese and English: kinds, refusals, money and time.

An outcome on the chain is a code and a few values, so that every node writes the same bytes. Here
they become sentences a judge can read. A code that is not in these tables is shown as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from ledger import time_words
from ledger.outcome_words import CAUSES, FINDINGS, REFUSALS
from verifier.formats import Body, Outcome
from verifier.report import Words
from verifier.trust_root import Institution

KIND_WORDS: Final[Mapping[str, Words]] = {
    "party.register": Words("登记主体", "register a party"),
    "party.revoke": Words("撤销主体", "revoke a party"),
    "party.add_key": Words("增加密钥", "add a key"),
    "party.revoke_key": Words("停用密钥", "end a key"),
    "prepaid.open": Words("开立预付合同", "open a prepaid contract"),
    "prepaid.prepay": Words("预付并锁定", "lock a prepayment"),
    "prepaid.consume": Words("消费并释放", "release for a delivery"),
    "prepaid.refund": Words("退款", "refund"),
    "attest": Words("事后陈述", "a later statement"),
    "private.committed": Words("承诺非公开信息", "commit to private fields"),
    "custody.stated": Words("托管机构陈述余额", "a custodian's statement of its balance"),
    "validator.equivocation": Words("验证者自相矛盾的证据", "proof of a validator's equivocation"),
    "terms.publish": Words("公布合同条款", "publish terms"),
    "rules.publish": Words("公布规则", "publish a rule pack"),
    "data.publish": Words("公布利率或放假安排", "publish rates or rest days"),
    "competence.publish": Words("公布职权分工", "say who is competent for what"),
    "wallet.opened": Words("开立钱包", "wallet opened"),
    "card.replaced": Words("换卡", "card replaced"),
    "card.expired": Words("卡片到期", "card expired"),
    "refund.computed": Words("计算应退金额", "refund computed"),
    "findings.computed": Words("查核规则", "rules looked at"),
    "contract.closed": Words("合同了结", "contract closed"),
    "dispute.opened": Words("提起争议", "dispute opened"),
    "evidence.attached": Words("提交证据", "evidence attached"),
    "dispute.resolved": Words("争议解决", "dispute resolved"),
    "court.linked": Words("关联案号", "court case linked"),
    "finance.linked": Words("关联金融业务", "loan, policy or voucher linked"),
    "financing.linked": Words("关联经营者金融业务", "loan or policy of the merchant linked"),
    "risk.lifted": Words("风险解除", "risk lifted"),
}
"""Of the kinds that no law speaks of; `list_kinds` has all."""

REFUSAL_WORDS: Final[Mapping[str, Words]] = {
    code: Words(zh, en) for code, (zh, en) in REFUSALS.items()
}

FINDING_WORDS: Final[Mapping[str, Words]] = {
    name: Words(zh, en) for name, (zh, en) in FINDINGS.items()
}
"""What an outcome finds and does not refuse."""

CAUSE_NAMES: Final = ("reason", "why")
"""Effects that name one of `CAUSES`."""

MONEY: Final[Mapping[str, Words]] = {
    "amount": Words("金额", "amount"),
    "paid": Words("已付", "paid"),
    "locked": Words("锁定", "locked"),
    "released": Words("已释放", "released"),
    "refunded": Words("已退款", "refunded"),
    "balance": Words("托管机构所称余额", "balance that the custodian states"),
    "gap": Words("缺口（锁定减余额）", "gap (locked less balance)"),
    "excess": Words("超出锁定之数", "balance above what is locked"),
    "owed": Words("尚应退", "still owed"),
    "due": Words("应退", "due"),
    "due_low": Words("应退最低", "due at least"),
    "due_high": Words("应退最高", "due at most"),
    "returned": Words("已返还", "returned"),
    "repaid": Words("经营者已退", "repaid by the merchant"),
    "debited": Words("已扣减", "debited"),
    "frozen": Words("冻结", "frozen"),
    "interest": Words("账户利息", "the account's interest"),
    "left": Words("未付利息", "interest left"),
    "deposited": Words("存入", "deposited"),
    "frozen_now": Words("冻结合计", "frozen in all"),
    "interest_paid": Words("已付利息", "interest paid"),
}
"""Effects that are amounts in fen."""

ROLE_WORDS: Final[Mapping[str, Words]] = {
    "arbitrator": Words("仲裁机构", "arbitrator"),
    "bank": Words("银行", "bank"),
    "both": Words("双方", "both sides"),
    "consumer": Words("消费者", "consumer"),
    "consumer_council": Words("消费者委员会", "consumer council"),
    "court": Words("法院", "court"),
    "credit_bureau": Words("征信机构", "credit bureau"),
    "custodian": Words("托管机构", "custodian"),
    "district": Words("区政府", "district"),
    "gateway": Words("网关", "gateway"),
    "issuer": Words("其他金融机构", "issuer"),
    "merchant": Words("经营者", "merchant"),
    "payment": Words("支付机构", "payment company"),
    "platform": Words("平台", "platform"),
    "regulator": Words("监管部门", "regulator"),
}
"""Who a party is on the chain, and who somebody is to a contract."""

EFFECTS_ZH: Final[Mapping[str, str]] = {
    "allowed": "可取",
    "allowed_ms": "可用毫秒数",
    "answer": "答复",
    "answer.confirmed": "确认",
    "answer.objected": "有异议",
    "answer.reversed": "收回",
    "answer.silence": "沉默",
    "approvers": "批准者",
    "as_of": "截至",
    "assignee": "受让人",
    "assignee_party": "受让人主体",
    "assignments": "转让次数",
    "attester": "签名者",
    "authority": "作出机关",
    "basis": "计算依据的哈希",
    "bytes": "字节数",
    "closed_ms": "终结时间（毫秒）",
    "commitment": "承诺值",
    "consumer": "消费者",
    "consumer_party": "消费者主体",
    "count": "笔数",
    "counter": "计数",
    "court": "法院",
    "custodian": "托管机构",
    "custodians": "托管机构数",
    "day": "日期",
    "days_ahead": "提前天数",
    "deliveries": "已提供次数",
    "derivation": "推算书的哈希",
    "detail": "说明",
    "device": "设备",
    "district": "区",
    "document": "文书",
    "entries": "记录数",
    "event": "事件",
    "expected": "应为",
    "facts": "所读事实数",
    "findings": "发现项数",
    "freezes": "冻结数",
    "from_height": "起始高度",
    "hash": "哈希",
    "industry": "行业",
    "industry.car_wash": "车身清洁",
    "industry.catering": "餐饮",
    "industry.culture_sports": "文化体育",
    "industry.driving": "驾驶培训",
    "industry.fitness": "健身娱乐",
    "industry.hair_beauty": "理发及美容服务",
    "industry.housekeeping": "家政",
    "industry.pets": "宠物服务",
    "industry.training": "教育培训",
    "industry.vocational": "职业技能培训",
    "issuers": "发券方数",
    "keys": "密钥数",
    "kind": "种类",
    "known": "可用值",
    "member": "字段",
    "merchant": "经营者",
    "missing": "缺少",
    "needed": "所需",
    "newest": "最新版本",
    "number": "编号",
    "of": "所指交易",
    "ordered_by": "决定机关",
    "owner": "归属",
    "party": "主体",
    "payee": "收款人",
    "public_key": "公钥",
    "publisher": "发布者",
    "region": "所属",
    "region.card": "卡片",
    "region.contract": "合同",
    "region.dispute": "争议",
    "region.merchant": "经营者",
    "registrar": "登记机构",
    "regulators": "监管部门数",
    "results": "结果数",
    "revoked_height": "停用高度",
    "role": "身份",
    "roles": "身份",
    "rule": "规则",
    "rules": "规则包",
    "series": "数据系列",
    "share_ppm": "比例（百万分之）",
    "signed": "签名者数",
    "signer": "签名者",
    "signers": "签名者",
    "slot": "表决位",
    "slots": "表决位数",
    "state": "状态",
    "state.active": "履行中",
    "state.at_risk": "有风险",
    "state.closed": "已终结",
    "state.ending": "终止中",
    "state.expired": "已到期",
    "state.in_use": "使用中",
    "state.issued": "已发卡",
    "state.liquidation": "清算中",
    "state.lost": "已挂失",
    "state.none": "尚无",
    "state.open": "未解决",
    "state.resolved": "已解决",
    "state.signed": "已订立",
    "state.trading": "正常经营",
    "statement": "陈述",
    "statement.confirmed": "确认",
    "statement.objected": "有异议",
    "statement.reversed": "收回",
    "statement.witnessed": "见证",
    "stream": "记录",
    "taken_by": "占用者",
    "template": "条款模板",
    "template_version": "模板版本",
    "terms": "条款的哈希",
    "time_ms": "时间（毫秒）",
    "tx_id": "所指交易",
    "until": "截至",
    "until_height": "截止高度",
    "validator": "验证者",
    "version": "版本",
    "versions": "版本数",
    "vouched_by": "为其登记者",
}
"""Effects in Chinese by their names, and by name and value what has a word of its own."""

NAMES_SHOWN: Final = 8
NAME_CHARS_SHOWN: Final = 120
"""No name of a stream is longer."""

_PLAIN: Final = re.compile(r"[0-9A-Za-z._/-]+(?: [0-9A-Za-z._/-]+)*")


def show_text(text: str) -> str:
    """Return free text for a sentence: as it stands, or as a JSON string if it could pass for more.

    A value must not read like the next value, or like what the verifier itself says.
    """
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def show_name(text: str) -> str:
    """Return a name that a file makes up, for a sentence: the beginning of one that is longer than
    names are."""
    return show_text(text[:NAME_CHARS_SHOWN])


def list_names(names: Sequence[str]) -> Words:
    """Return the first names that a file makes up, and of more how many there are."""
    shown = [show_name(one) for one in names[:NAMES_SHOWN]]
    is_cut = len(names) > NAMES_SHOWN
    return Words(
        "、".join(shown) + f" 等 {len(names)} 个" * is_cut or "无",
        ", ".join(shown) + f" and others, {len(names)} in all" * is_cut or "none",
    )


def list_numbers(numbers: Sequence[int]) -> Words:
    """Return the first numbers of a list that a file makes up, and of more how many there are."""
    shown = ", ".join(map(str, numbers[:NAMES_SHOWN]))
    is_cut = len(numbers) > NAMES_SHOWN
    return Words(
        f"[{shown}" + f" 等 {len(numbers)} 个" * is_cut + "]",
        f"[{shown}" + f" and others, {len(numbers)} in all" * is_cut + "]",
    )


def format_fen(fen: int) -> Words:
    """Return an amount in yuan, from whole fen."""
    sign = "-" if fen < 0 else ""
    yuan = f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02}"
    return Words(f"{yuan} 元", f"{yuan} yuan")


def count_entries(count: int) -> str:
    """Return so many entries in English, one of them in the singular."""
    return "1 entry" if count == 1 else f"{count} entries"


def count_contracts(count: int) -> str:
    """Return so many contracts in English, one of them in the singular."""
    return "1 contract" if count == 1 else f"{count} contracts"


def format_time_ms(time_ms: int) -> Words:
    """Return a time: Beijing time in Chinese, UTC in English."""
    return Words(*time_words.format_time_ms(time_ms))


def format_accuracy_us(accuracy_us: int | None) -> Words:
    """Return how exact a time stamp says that its time is, to stand behind the time."""
    if accuracy_us is None:
        return Words("，未载明误差", ", accuracy not stated")
    seconds, rest = divmod(accuracy_us, 1_000_000)
    shown = f"{seconds}.{rest:06}".rstrip("0").rstrip(".")
    return Words(f"，误差至多 {shown} 秒", f" to within {shown} s")


def format_institutions(institutions: Iterable[Institution]) -> Words:
    """Return institutions by name, with their ids."""
    listed = list(institutions)
    return Words(
        "、".join([f"{one.name_zh}（{one.id}）" for one in listed]) or "无",
        ", ".join([f"{one.name_en} ({one.id})" for one in listed]) or "none",
    )


def describe_role(role: str) -> Words:
    """Return who somebody of a role is; one that is not known here is shown as it stands."""
    return ROLE_WORDS.get(role, Words(role, role))


@cache
def list_kinds() -> Mapping[str, Words]:
    """Return every kind with what it does; a plain contract's file does without the law."""
    from law.facts import KINDS

    return {**KIND_WORDS, **{name: Words(kind.zh, kind.en) for name, kind in KINDS.items()}}


def find_kind(kind: str) -> Words | None:
    """Return what a kind of transaction does, or None of a kind that is not known here."""
    return KIND_WORDS.get(kind) or list_kinds().get(kind)


def describe_kind(kind: str, version: int) -> Words:
    """Return what a kind of transaction does."""
    words = find_kind(kind)
    if words is None:
        return Words(f"{kind} 第 {version} 版", f"{kind} version {version}")
    return Words(f"{words.zh}（{kind} 第 {version} 版）", f"{words.en} ({kind} version {version})")


def describe_outcome(body: Body, outcome: Outcome) -> Words:
    """Return a transaction and what became of it, with its values."""
    kind = describe_kind(body.kind, body.version)
    amount = body.data.get("amount")
    if body.kind.startswith("prepaid.") and type(amount) is int:
        fen = format_fen(amount)
        kind = Words(f"{kind.zh}，金额 {fen.zh}", f"{kind.en} of {fen.en}")
    if outcome.refused:
        why = describe_refusal(outcome.code, outcome.effects)
        return Words(
            f"{kind.zh}：已记录为拒绝，原因是{why.zh}",
            f"{kind.en}: recorded as refused, because {why.en}",
        )
    values = [_describe_effect(name, value) for name, value in outcome.effects]
    zh, en = "，".join(v.zh for v in values), ", ".join(v.en for v in values)
    return Words(
        f"{kind.zh}：已生效{'，其后 ' * bool(zh)}{zh}",
        f"{kind.en}: applied{'; after it ' * bool(en)}{en}",
    )


def describe_refusal(code: str, effects: Iterable[tuple[str, int | str]]) -> Words:
    """Return why a transaction is recorded as refused, with the values that say so."""
    shown = show_text(code)
    why = REFUSAL_WORDS.get(code, Words(shown, shown))
    values = [_describe_effect(name, value) for name, value in effects]
    return Words(
        "；".join([f"{why.zh}（{shown}）", *filter(None, ["，".join(v.zh for v in values)])]),
        "; ".join([f"{why.en} ({shown})", *filter(None, [", ".join(v.en for v in values)])]),
    )


def describe_finding(name: str) -> Words:
    """Return what an outcome finds."""
    words = FINDING_WORDS.get(name, Words(show_text(name), show_text(name)))
    return Words(f"{words.zh}（{show_text(name)}）", f"{words.en} ({show_text(name)})")


def _describe_effect(name: str, value: int | str) -> Words:
    if name == "finding" and value in FINDING_WORDS:
        found = describe_finding(str(value))
        return Words(f"发现：{found.zh}", f"found: {found.en}")
    if name in CAUSE_NAMES and value in CAUSES:
        zh, en = CAUSES[str(value)]
        return Words(f"缘由：{zh}（{value}）", f"cause: {en} ({value})")
    label = MONEY.get(name)
    if label is not None and type(value) is int:
        fen = format_fen(value)
        return Words(f"{label.zh} {fen.zh}", f"{label.en} {fen.en}")
    shown = show_text(value) if isinstance(value, str) else str(value)
    return Words(_name_effect(name, shown), f"{show_text(name)} = {shown}")


def _name_effect(name: str, shown: str) -> str:
    """Return an effect in Chinese; a word for its value has the value itself behind it."""
    name_zh, value_zh = EFFECTS_ZH.get(name), EFFECTS_ZH.get(f"{name}.{shown}")
    roles = shown.split(" ") if name in ("needed", "role") else []
    if roles and all(role in ROLE_WORDS for role in roles):
        value_zh = "或".join(ROLE_WORDS[role].zh for role in roles)
    kind = find_kind(shown) if name == "event" else None
    if kind is not None:
        value_zh = kind.zh
    if name_zh is None:
        return f"{show_text(name)} = {shown}"
    return f"{name_zh} {shown}" if value_zh is None else f"{name_zh} {value_zh}（{shown}）"
