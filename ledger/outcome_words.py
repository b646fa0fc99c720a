"""What the codes of outcomes mean, each in Chinese and English.

An outcome on the chain (`ledger.transaction.Outcome`) is a code and a few values, so that every
node writes the same bytes. The codes are the contracts'; their words stand here, below the API, the
command line and the verifier, which show them to people. Nothing of a word is ever hashed. Whoever
adds a code adds its words here and to the verification page; tests hold that none is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "already_assigned": ("债权先已转让他人", "the claim had passed to another before"),
    "assignee_holds_claim": (
        "受让人已持有该债权，转让给自己不成其为转让",
        "the assignee holds the claim already; to oneself nothing is assigned",
    ),
    "claim_assigned": (
        "债权已转让，签名者不再是消费者",
        "the claim was assigned; the signer is the consumer no more",
    ),
    "consumers_interest": (
        "账户利息归消费者所有",
        "what is left is the account's interest, which is the consumer's",
    ),
    "interest_above_credited": ("超过未付的账户利息", "it is more than the interest that is left"),
    "merchants_interest": (
        "依条款，账户利息归经营者",
        "by the terms the account's interest is the merchant's",
    ),
    "payee_not_computed": (
        "转让后尚未重新计算收款人",
        "since the assignment it was not computed who is paid",
    ),
    "too_many_assignments": ("转让次数已达上限", "too many assignments"),
    "wrong_payee": ("收款人有误", "the payee is nobody who is owed this"),
    "already_open": ("合同已经开立", "the contract is already open"),
    "already_revoked": ("已经撤销或停用", "it is already revoked"),
    "amount_too_large": ("金额超过上限", "the amount is too large"),
    "consumer_party_not_distinct": (
        "消费者主体即经营者或托管机构",
        "the consumer's party is the merchant or the custodian",
    ),
    "evidence_enough": ("该验证者的证据已达上限", "enough is recorded of this validator"),
    "evidence_invalid": ("证据不成立", "the evidence does not hold"),
    "evidence_known": ("该证据已有记录", "the evidence is already recorded"),
    "institution_of_genesis": (
        "创世机构不可如此变更",
        "an institution of genesis cannot be changed so",
    ),
    "insufficient_locked": ("锁定余额不足", "less is locked than was asked for"),
    "key_exists": ("密钥已存在", "the key exists already"),
    "key_of_another": ("密钥属于另一主体", "the key is another party's"),
    "two_roles_needed": (
        "须由两家不同类别的机构共同签名",
        "two institutions of different roles have to sign this",
    ),
    "malformed_data": ("数据不符合该类交易的格式", "the data is not of this kind's shape"),
    "missing_attester": ("缺少应签名的一方", "a party that must sign did not"),
    "no_consumer_party": ("未指明消费者主体", "no party is named for the consumer"),
    "not_an_institution": ("签名者不是创世机构", "the signer is no institution of genesis"),
    "not_entitled": ("签名者无权办理", "the signer is not entitled to this"),
    "party_exists": ("主体已存在", "the party exists already"),
    "reference_reused": ("业务编号已被占用", "the business reference is already taken"),
    "too_many_keys": ("密钥数量已达上限", "the party holds too many keys"),
    "unknown_consumer_party": ("消费者主体未登记", "the consumer's party is not registered"),
    "unknown_contract": ("合同不存在", "there is no such contract"),
    "unknown_custodian": ("托管机构未登记", "the custodian is not registered as one"),
    "unknown_industry": ("行业未知", "the industry is not known"),
    "unknown_key": ("密钥未知", "the key is not known"),
    "unknown_merchant": ("经营者未登记", "the merchant is not registered as one"),
    "unknown_party": ("主体未登记", "the party is not registered"),
    "unknown_role": ("角色未知", "the role is not known"),
    "unknown_statement": ("陈述种类未知", "the statement is not of a known sort"),
    "amount_or_share": ("金额与比例须择一", "either an amount or a share is wanted"),
    "counter_repeated": ("设备流水号重复", "the device's counter was used before"),
    "document_refused": ("文件不合格式", "the document is not of its format"),
    "freeze_over": ("冻结期限已过", "the freeze would be over already"),
    "frozen": ("资金已被冻结", "the money is frozen"),
    "intake_suspended": ("已暂停收取预付款", "the merchant may take in no more"),
    "total_too_large": ("经营者合计超过上限", "the merchant's total would be too large"),
    "contract_over": ("合同了结已久，不再查阅其记录", "the contract was closed too long ago"),
    "too_many_custodians": ("托管机构过多", "too many keep this merchant's money"),
    "freeze_of_another": ("冻结由另一类机关作出", "an authority of another sort froze it"),
    "no_legal_basis": ("缺少法律依据或文号", "it names no legal basis or no document"),
    "no_majority": ("签名未过监管机构半数", "no majority of the regulators signed"),
    "no_such_day": ("日期不存在", "there is no such day"),
    "no_such_freeze": ("该冻结不存在", "there is no such freeze"),
    "not_a_regulator": ("签名者不是监管机构", "the signer is no regulator"),
    "not_attested": ("签名者无权证明此事", "nobody signed who may attest this"),
    "not_competent": ("该行业不在职权范围内", "the industry is outside its competence"),
    "not_competent_for_series": ("该数据不在职权范围内", "the series is outside its competence"),
    "not_its_custodian": (
        "该机构不保管此经营者的资金",
        "it keeps none of this merchant's money",
    ),
    "several_custodians": (
        "该经营者的资金由多家机构保管，账本无逐家合计",
        "several keep this merchant's money, and the ledger has no sum for each",
    ),
    "not_computable": ("无法计算", "it cannot be computed"),
    "not_computed": ("尚未计算应退金额", "what is owed was not computed yet"),
    "not_enough_approvers": ("批准机关不足", "too few approved"),
    "not_the_side": ("应由另一方陈述", "it is for the other side to say"),
    "nothing_paid": ("未付任何金额", "nothing was paid"),
    "own_notice": ("通知人不得自证送达", "who sent a notice cannot say that it arrived"),
    "published_by_another": ("该名称由他人公布", "another publishes under this name"),
    "refund_above_due": ("退款超过应退金额", "it is more than is owed"),
    "as_of_before_end": (
        "计算截止日早于合同终止之日",
        "the as-of day lies before the end",
    ),
    "as_of_too_far_ahead": ("计算截止日过于靠后", "the as-of day lies too far ahead"),
    "share_above_due": ("退款超过该收款人的份额", "it is more than this payee's share"),
    "still_locked": ("尚有锁定资金", "money is still locked"),
    "too_many_entries": ("该方可记录条数已达上限", "the signer has stated all it may here"),
    "too_many_issuers": ("代金券发行人数量已达上限", "too many issuers of vouchers"),
    "too_many_freezes": ("冻结数量已达上限", "too many freezes"),
    "series_too_large": ("该系列各页合计超过上限", "the series' pages are too large together"),
    "too_many_versions": ("版本数量已达上限", "too many versions"),
    "too_much_to_read": ("本区块可读记录已达上限", "a block reads no more earlier entries"),
    "transition_not_allowed": ("当前状态下不可办理", "the state does not allow this event"),
    "unknown_entry": ("所指记录不存在", "the entry it speaks of is not there"),
    "unknown_rules": ("规则未公布", "no such rules are published"),
    "unknown_terms": ("条款未公布", "the terms are not published"),
    "version_not_above": ("版本号须递增", "the version is not above the newest"),
    "wrong_entry": ("所指记录种类不符", "the entry it speaks of is of the wrong kind"),
    "wrong_district": ("不属本区", "it is another district's"),
    "wrong_stream": ("记录归属不符", "it names the wrong stream"),
    "custody_not_attested": (
        "资金是否进入托管须由托管机构陈述",
        "that money went into custody is for the custodian to say",
    ),
}
"""Why an outcome is recorded as refused."""

CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    "malformed": ("格式错误", "it cannot be read"),
    "not_canonical": ("不是规范写法", "it is not in its one spelling"),
    "too_large": ("超过大小限制", "it is too large"),
    "too_deep": ("嵌套过深", "it is nested too deeply"),
    "not_integer": ("数值不是允许的整数", "a number is not a permitted integer"),
    "bad_field": ("字段值不符合要求", "a field is not as it must be"),
    "bad_signature": ("签名无法通过验证", "a signature does not verify"),
    "signature_count": ("签名数量不符", "there are too few or too many signatures"),
    "bad_batch_path": ("批量签名路径不符", "the path of a batch does not fit"),
    "unknown_party": ("主体未登记或不相干", "the party is not registered, or not concerned"),
    "unknown_key": ("密钥未知或不属于该主体", "the key is not known, or not the party's"),
    "key_not_valid": ("密钥在该高度无效", "the key is not valid at this height"),
    "stale": ("已过截止时间", "its time is over"),
    "too_far_ahead": ("截止时间过远", "its time lies too far ahead"),
    "duplicate": ("重复", "it is there already"),
    "unknown_kind": ("种类未知或不符", "the kind is not known, or not the right one"),
    "wrong_chain": ("不属于这条链", "it is of another chain"),
    "wrong_height": ("高度不符", "it is of another height"),
    "not_a_validator": ("不是验证者", "it is no validator"),
    "no_quorum": ("未达到法定多数", "no quorum signed it"),
    "bad_proof": ("证明不成立", "a proof does not hold"),
    "root_mismatch": ("根哈希不符", "a hash or root differs"),
    "quota_exceeded": ("超出配额", "the quota is used up"),
    "pool_full": ("交易池已满", "the pool is full"),
    "set_aside": ("节点执行时出错，已搁置", "executing it failed on a node, which set it aside"),
    "too_many_attempts": ("该记录的失败提交过多", "the record has too many refused attempts"),
    "unknown_format": ("格式或版本未知", "the format or version is not known"),
    "missing_member": ("缺少成员", "a member is missing"),
    "unknown_member": ("有未知的成员", "a member is not known"),
    "wrong_type": ("类型不符", "a value is of the wrong type"),
    "out_of_range": ("数值超出范围", "a number is out of range"),
    "unknown_word": ("用词不在允许之列", "a word is none of those allowed"),
    "inconsistent": ("前后矛盾", "it contradicts itself"),
    "not_entitled": ("无权为之", "whoever does it is not entitled"),
    "missing_data": ("缺少所需数据", "data that it needs is missing"),
    "height_not_reached": ("尚未到所述高度", "the height is not reached yet"),
}
"""Why evidence or a document does not hold: `ledger.refusal.Reason`, `law.refusal.Code`, and what
execution adds. An outcome names one of them beside its own code, as `reason` or `why`."""

FINDINGS: Final[Mapping[str, tuple[str, str]]] = {
    "activation_backdated": (
        "首次使用日期由经营者单方倒填",
        "the merchant alone dates a pass's first use to an earlier day",
    ),
    "balance_forfeited": (
        "称余额作废，但不生效（第二十四条）",
        "a balance is said to be taken, which takes nothing (art. 24)",
    ),
    "claimed_only": (
        "并非由收款人或保管人陈述，不计为已退",
        "neither who was paid nor who keeps the money says so; it moves nothing",
    ),
    "counter_below_window": (
        "设备流水号过旧，无从判断是否重复",
        "the device's counter lies too far back to be told from a repeat",
    ),
    "counter_gap": ("设备流水号有缺号", "the device's counters leave a gap"),
    "custody_short": (
        "托管余额少于账本锁定金额",
        "less stands in custody than the ledger has locked",
    ),
    "debit_after_loss": (
        "挂失之后仍有扣款入账",
        "a debit reached the ledger after the card was reported lost",
    ),
    "delivered_after_the_end": (
        "合同开始终止之后才称已提供",
        "a delivery was stated after the contract began to end",
    ),
    "delivered_beyond_payment": (
        "提供的金额超过已付与赠送之和",
        "more was delivered than was paid and added",
    ),
    "intake_after_risk": (
        "不得收款期间收取了预付款",
        "money was taken in while the merchant may not",
    ),
    "occurred_in_the_future": ("所称发生时间晚于区块时间", "it is dated after its block"),
    "payment_backdated": (
        "付款日期由经营者单方倒填",
        "the merchant alone dates the payment to an earlier day",
    ),
    "price_change_backdated": (
        "价格变更倒填至最近一次提供之前",
        "the price change is dated before the last delivery",
    ),
    "released_above_delivered": (
        "释放超过已提供而可释放的份额",
        "more was released than the share of what was delivered",
    ),
    "released_before_delivery": (
        "尚未提供即已释放",
        "money was released before anything was delivered",
    ),
    "released_what_is_owed": (
        "释放之后，托管余额少于尚应退还的金额",
        "what is left in custody is less than what is still owed",
    ),
    "rules_backdated": (
        "规则包自公布之前的日期起施行",
        "a rule pack begins before it was published",
    ),
    "signing_backdated": (
        "订立日期由经营者单方倒填",
        "the merchant alone dates the contract to an earlier day",
    ),
    "silence_stated": (
        "称对方沉默；沉默仅在法律规定、约定或交易习惯之下才作数",
        "silence is stated, which counts only where law, agreement or usage lets it",
    ),
}
"""What an outcome finds and does not refuse."""
