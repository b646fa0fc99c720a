"""Names of things in Chinese and English: kinds, refusals, money and time.

An outcome on the chain is a code and a few values, so that every node writes the same bytes. Here
they become sentences a judge can read. A code that is not in these tables is shown as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Final

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
    "risk.lifted": Words("风险解除", "risk lifted"),
}
"""Of the kinds that no law speaks of; `list_kinds` has all."""

REFUSAL_WORDS: Final[Mapping[str, Words]] = {
    "already_assigned": Words("债权先已转让他人", "the claim had passed to another before"),
    "claim_assigned": Words(
        "债权已转让，签名者不再是消费者",
        "the claim was assigned; the signer is the consumer no more",
    ),
    "consumers_interest": Words(
        "账户利息归消费者所有", "what is left is the account's interest, which is the consumer's"
    ),
    "interest_above_credited": Words(
        "超过未付的账户利息", "it is more than the interest that is left"
    ),
    "merchants_interest": Words(
        "依条款，账户利息归经营者", "by the terms the account's interest is the merchant's"
    ),
    "payee_not_computed": Words(
        "转让后尚未重新计算收款人", "since the assignment it was not computed who is paid"
    ),
    "too_many_assignments": Words("转让次数已达上限", "too many assignments"),
    "wrong_payee": Words("收款人有误", "the payee is nobody who is owed this"),
    "already_open": Words("合同已经开立", "the contract is already open"),
    "already_revoked": Words("已经撤销或停用", "it is already revoked"),
    "amount_too_large": Words("金额超过上限", "the amount is too large"),
    "consumer_party_not_distinct": Words(
        "消费者主体即商户或托管机构", "the consumer's party is the merchant or the custodian"
    ),
    "evidence_enough": Words("该验证者的证据已达上限", "enough is recorded of this validator"),
    "evidence_invalid": Words("证据不成立", "the evidence does not hold"),
    "evidence_known": Words("该证据已有记录", "the evidence is already recorded"),
    "institution_of_genesis": Words(
        "创世机构不可如此变更", "an institution of genesis cannot be changed so"
    ),
    "insufficient_locked": Words("锁定余额不足", "less is locked than was asked for"),
    "key_exists": Words("密钥已存在", "the key exists already"),
    "key_of_another": Words("密钥属于另一主体", "the key is another party's"),
    "two_roles_needed": Words(
        "须由两家不同类别的机构共同签名", "two institutions of different roles have to sign this"
    ),
    "malformed_data": Words("数据不符合该类交易的格式", "the data is not of this kind's shape"),
    "missing_attester": Words("缺少应签名的一方", "a party that must sign did not"),
    "no_consumer_party": Words("未指明消费者主体", "no party is named for the consumer"),
    "not_an_institution": Words("签名者不是创世机构", "the signer is no institution of genesis"),
    "not_entitled": Words("签名者无权办理", "the signer is not entitled to this"),
    "party_exists": Words("主体已存在", "the party exists already"),
    "reference_reused": Words("业务编号已被占用", "the business reference is already taken"),
    "too_many_keys": Words("密钥数量已达上限", "the party holds too many keys"),
    "unknown_consumer_party": Words("消费者主体未登记", "the consumer's party is not registered"),
    "unknown_contract": Words("合同不存在", "there is no such contract"),
    "unknown_custodian": Words("托管机构未登记", "the custodian is not registered as one"),
    "unknown_industry": Words("行业未知", "the industry is not known"),
    "unknown_key": Words("密钥未知", "the key is not known"),
    "unknown_merchant": Words("商户未登记", "the merchant is not registered as one"),
    "unknown_party": Words("主体未登记", "the party is not registered"),
    "unknown_role": Words("角色未知", "the role is not known"),
    "unknown_statement": Words("陈述种类未知", "the statement is not of a known sort"),
    "amount_or_share": Words("金额与比例须择一", "either an amount or a share is wanted"),
    "counter_repeated": Words("设备流水号重复", "the device's counter was used before"),
    "document_refused": Words("文件不合格式", "the document is not of its format"),
    "freeze_over": Words("冻结期限已过", "the freeze would be over already"),
    "frozen": Words("资金已被冻结", "the money is frozen"),
    "intake_suspended": Words("已暂停收取预付款", "the merchant may take in no more"),
    "total_too_large": Words("经营者合计超过上限", "the merchant's total would be too large"),
    "contract_over": Words("合同了结已久，不再查阅其记录", "the contract was closed too long ago"),
    "too_many_custodians": Words("托管机构过多", "too many keep this merchant's money"),
    "freeze_of_another": Words("冻结由另一类机关作出", "an authority of another sort froze it"),
    "no_legal_basis": Words("缺少法律依据或文号", "it names no legal basis or no document"),
    "no_majority": Words("签名未过监管机构半数", "no majority of the regulators signed"),
    "no_such_day": Words("日期不存在", "there is no such day"),
    "no_such_freeze": Words("该冻结不存在", "there is no such freeze"),
    "not_a_regulator": Words("签名者不是监管机构", "the signer is no regulator"),
    "not_attested": Words("签名者无权证明此事", "nobody signed who may attest this"),
    "not_competent": Words("该行业不在职权范围内", "the industry is outside its competence"),
    "not_competent_for_series": Words(
        "该数据不在职权范围内", "the series is outside its competence"
    ),
    "not_computable": Words("无法计算", "it cannot be computed"),
    "not_computed": Words("尚未计算应退金额", "what is owed was not computed yet"),
    "not_enough_approvers": Words("批准机关不足", "too few approved"),
    "not_the_side": Words("应由另一方陈述", "it is for the other side to say"),
    "nothing_paid": Words("未付任何金额", "nothing was paid"),
    "own_notice": Words("通知人不得自证送达", "who sent a notice cannot say that it arrived"),
    "published_by_another": Words("该名称由他人公布", "another publishes under this name"),
    "refund_above_due": Words("退款超过应退金额", "it is more than is owed"),
    "still_locked": Words("尚有锁定资金", "money is still locked"),
    "too_many_devices": Words("设备数量已达上限", "too many devices"),
    "too_many_entries": Words("该方可记录条数已达上限", "the signer has stated all it may here"),
    "too_many_freezes": Words("冻结数量已达上限", "too many freezes"),
    "too_many_versions": Words("版本数量已达上限", "too many versions"),
    "too_much_to_read": Words("本区块可读记录已达上限", "a block reads no more earlier entries"),
    "transition_not_allowed": Words("当前状态下不可办理", "the state does not allow this event"),
    "unknown_entry": Words("所指记录不存在", "the entry it speaks of is not there"),
    "unknown_rules": Words("规则未公布", "no such rules are published"),
    "unknown_terms": Words("条款未公布", "the terms are not published"),
    "version_not_above": Words("版本号须递增", "the version is not above the newest"),
    "wrong_entry": Words("所指记录种类不符", "the entry it speaks of is of the wrong kind"),
    "wrong_district": Words("不属本区", "it is another district's"),
    "wrong_stream": Words("记录归属不符", "it names the wrong stream"),
    "custody_not_attested": Words(
        "资金是否进入托管须由托管机构陈述",
        "that money went into custody is for the custodian to say",
    ),
}

FINDING_WORDS: Final[Mapping[str, Words]] = {
    "activation_backdated": Words(
        "首次使用日期由经营者单方倒填",
        "the merchant alone dates a pass's first use to an earlier day",
    ),
    "balance_forfeited": Words(
        "称余额作废，但不生效（第二十四条）",
        "a balance is said to be taken, which takes nothing (art. 24)",
    ),
    "claimed_only": Words(
        "仅由付款义务人自述，不计为已退",
        "only whoever owes it says that it was paid; it moves nothing",
    ),
    "counter_below_window": Words(
        "设备流水号过旧，无从判断是否重复",
        "the device's counter lies too far back to be told from a repeat",
    ),
    "counter_gap": Words("设备流水号有缺号", "the device's counters leave a gap"),
    "debit_after_loss": Words("挂失之后仍被扣款", "a card reported lost was debited"),
    "delivered_after_the_end": Words(
        "合同开始终止之后仍称已提供", "it was delivered after the contract began to end"
    ),
    "delivered_beyond_payment": Words(
        "提供的金额超过已付与赠送之和", "more was delivered than was paid and added"
    ),
    "intake_after_risk": Words(
        "不得收款期间收取了预付款", "money was taken in while the merchant may not"
    ),
    "occurred_in_the_future": Words("所称发生时间晚于区块时间", "it is dated after its block"),
    "payment_backdated": Words(
        "付款日期由经营者单方倒填", "the merchant alone dates the payment to an earlier day"
    ),
    "price_change_backdated": Words(
        "价格变更倒填至最近一次提供之前", "the price change is dated before the last delivery"
    ),
    "released_above_delivered": Words(
        "释放超过已提供而可释放的份额", "more was released than the share of what was delivered"
    ),
    "released_before_delivery": Words(
        "尚未提供即已释放", "money was released before anything was delivered"
    ),
    "released_what_is_owed": Words(
        "释放之后，托管余额少于尚应退还的金额",
        "what is left in custody is less than what is still owed",
    ),
    "rules_backdated": Words(
        "规则包的新版本自公布之前的日期起施行",
        "a later version of a rule pack begins before it was published",
    ),
    "signing_backdated": Words(
        "订立日期由经营者单方倒填", "the merchant alone dates the contract to an earlier day"
    ),
    "silence_stated": Words(
        "称对方沉默；沉默仅在法律规定、约定或交易习惯之下才作数",
        "silence is stated, which counts only where law, agreement or usage lets it",
    ),
}
"""What an outcome finds and does not refuse."""

MONEY: Final[Mapping[str, Words]] = {
    "amount": Words("金额", "amount"),
    "paid": Words("已付", "paid"),
    "locked": Words("锁定", "locked"),
    "released": Words("已释放", "released"),
    "refunded": Words("已退款", "refunded"),
}
"""Effects that are amounts in fen."""

_PLAIN: Final = re.compile(r"[0-9A-Za-z._/-]+(?: [0-9A-Za-z._/-]+)*")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, and then China's time
_CHINA: Final = timedelta(hours=8)
_YEAR_9999_S: Final = 253_402_214_400
"""Past it (less a day for the time zone) Python has no calendar; the bare number is shown."""


def show_text(text: str) -> str:
    """Return free text for a sentence: as it stands, or as a JSON string if it could pass for more.

    A value must not read like the next value, or like what the verifier itself says.
    """
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def format_fen(fen: int) -> Words:
    """Return an amount in yuan, from whole fen."""
    sign = "-" if fen < 0 else ""
    yuan = f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02}"
    return Words(f"{yuan} 元", f"{yuan} yuan")


def format_time_ms(time_ms: int) -> Words:
    """Return a time: Beijing time in Chinese, UTC in English."""
    seconds, rest = divmod(time_ms, 1000)
    if not 0 <= seconds < _YEAR_9999_S:
        return Words(f"{time_ms} 毫秒（自 1970 年）", f"{time_ms} ms since 1970")
    utc = _EPOCH + timedelta(seconds=seconds)
    china = utc + _CHINA
    return Words(
        f"北京时间 {china.isoformat(' ')}.{rest:03}", f"{utc.isoformat(' ')}.{rest:03} UTC"
    )


def format_institutions(institutions: Iterable[Institution]) -> Words:
    """Return institutions by name, with their ids."""
    listed = list(institutions)
    return Words(
        "、".join([f"{one.name_zh}（{one.id}）" for one in listed]) or "无",
        ", ".join([f"{one.name_en} ({one.id})" for one in listed]) or "none",
    )


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
    why = REFUSAL_WORDS.get(code, Words(code, code))
    values = [_describe_effect(name, value) for name, value in effects]
    return Words(
        "；".join([f"{why.zh}（{code}）", *filter(None, ["，".join(v.zh for v in values)])]),
        "; ".join([f"{why.en} ({code})", *filter(None, [", ".join(v.en for v in values)])]),
    )


def describe_finding(name: str) -> Words:
    """Return what an outcome finds."""
    words = FINDING_WORDS.get(name, Words(show_text(name), show_text(name)))
    return Words(f"{words.zh}（{show_text(name)}）", f"{words.en} ({show_text(name)})")


def _describe_effect(name: str, value: int | str) -> Words:
    if name == "finding" and value in FINDING_WORDS:
        found = describe_finding(str(value))
        return Words(f"发现：{found.zh}", f"found: {found.en}")
    label = MONEY.get(name)
    if label is not None and type(value) is int:
        fen = format_fen(value)
        return Words(f"{label.zh} {fen.zh}", f"{label.en} {fen.en}")
    shown = f"{name} = {show_text(value) if isinstance(value, str) else value}"
    return Words(shown, shown)
