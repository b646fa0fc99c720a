// Names of things in Chinese and English: kinds, refusals, money and time.
//
// An outcome on the chain is a code and a few values; here they become sentences a judge can read.
// A code that is not in these tables is shown as it stands.

import { firstCharacters } from "./quoting.js";
import { isInteger } from "./strict_msgpack.js";

export const KIND_WORDS = new Map([
  ["party.register", ["登记主体", "register a party"]],
  ["party.revoke", ["撤销主体", "revoke a party"]],
  ["party.add_key", ["增加密钥", "add a key"]],
  ["party.revoke_key", ["停用密钥", "end a key"]],
  ["prepaid.open", ["开立预付合同", "open a prepaid contract"]],
  ["prepaid.prepay", ["预付并锁定", "lock a prepayment"]],
  ["prepaid.consume", ["消费并释放", "release for a delivery"]],
  ["prepaid.refund", ["退款", "refund"]],
  ["attest", ["事后陈述", "a later statement"]],
  ["private.committed", ["承诺非公开信息", "commit to private fields"]],
  ["custody.stated", ["托管机构陈述余额", "a custodian's statement of its balance"]],
  ["validator.equivocation", ["验证者自相矛盾的证据", "proof of a validator's equivocation"]],
  ["terms.publish", ["公布合同条款", "publish terms"]],
  ["rules.publish", ["公布规则", "publish a rule pack"]],
  ["data.publish", ["公布利率或放假安排", "publish rates or rest days"]],
  ["competence.publish", ["公布职权分工", "say who is competent for what"]],
  ["wallet.opened", ["开立钱包", "wallet opened"]],
  ["card.replaced", ["换卡", "card replaced"]],
  ["card.expired", ["卡片到期", "card expired"]],
  ["refund.computed", ["计算应退金额", "refund computed"]],
  ["findings.computed", ["查核规则", "rules looked at"]],
  ["contract.closed", ["合同了结", "contract closed"]],
  ["dispute.opened", ["提起争议", "dispute opened"]],
  ["evidence.attached", ["提交证据", "evidence attached"]],
  ["dispute.resolved", ["争议解决", "dispute resolved"]],
  ["court.linked", ["关联案号", "court case linked"]],
  ["finance.linked", ["关联金融业务", "loan, policy or voucher linked"]],
  ["financing.linked", ["关联经营者金融业务", "loan or policy of the merchant linked"]],
  ["risk.lifted", ["风险解除", "risk lifted"]],
  ["contract.signed", ["合同订立", "contract signed"]],
  ["funds.locked", ["预付款", "prepayment"]],
  ["funds.released", ["释放给经营者", "released to the merchant"]],
  ["funds.frozen", ["冻结", "frozen"]],
  ["funds.unfrozen", ["解冻", "unfrozen"]],
  ["interest.accrued", ["账户结息", "account interest credited"]],
  ["interest.paid", ["支付账户利息", "account interest paid"]],
  ["card.activated", ["首次启用", "first use"]],
  ["service.delivered", ["已提供", "delivered"]],
  ["delivery.answered", ["确认或异议", "a delivery confirmed or denied"]],
  ["gift.given", ["赠品", "gift given"]],
  ["price.changed", ["价格变更", "price changed"]],
  ["premises.moved", ["变更经营场所", "premises moved"]],
  ["obligation.transferred", ["义务转移", "obligations passed on"]],
  ["service.stopped", ["停止提供", "service stopped"]],
  ["service.resumed", ["恢复提供", "service resumed"]],
  ["cooling_off.requested", ["无理由退款", "refund without reason"]],
  ["prior_use.stated", ["此前获得过", "same service had before"]],
  ["termination.requested", ["解除通知", "notice of termination"]],
  ["notice.arrived", ["通知到达", "notice arrived"]],
  ["complaint.served", ["起诉状副本送达", "complaint served"]],
  ["termination.agreed", ["协议解除", "ended by agreement"]],
  ["termination.judged", ["裁判确定解除日", "end named by judgment"]],
  ["invalidity.found", ["确认无效或撤销", "found invalid"]],
  ["cause.stated", ["退款原因", "cause"]],
  ["ground.stated", ["解除事由", "ground to end"]],
  ["deduction.claimed", ["主张抵扣", "deduction claimed"]],
  ["minor_service.stated", ["违法向未成年人", "unlawful to minors"]],
  ["price.disputed", ["主张原价不合理", "price disputed"]],
  ["sales_records.produced", ["提供交易记录", "sales shown"]],
  ["market_price.stated", ["市场价格", "market price"]],
  ["assignment.notified", ["债权转让", "assignment"]],
  ["actual_rate.requested", ["请求实际利率", "account rate asked"]],
  ["refund.paid", ["已退款", "refund paid"]],
  ["card.lost", ["挂失", "loss reported"]],
  ["card.reissued", ["补办", "card reissued"]],
  ["balance.forfeited", ["扣除余额", "balance taken"]],
  ["records.requested", ["请求提交记录", "records requested"]],
  ["records.produced", ["提交记录", "records produced"]],
  ["records.refused", ["拒绝提交", "records refused"]],
  ["risk.declared", ["重大经营风险", "major risk"]],
  ["closing.notified", ["停业告知", "closing announced"]],
  ["moving.notified", ["迁移告知", "moving announced"]],
  ["balance.reported", ["季末预收余额", "quarter's balance"]],
  ["business.closed", ["终止营业", "business closed"]],
  ["liquidation.opened", ["进入清算", "liquidation opened"]],
]);

export const REFUSAL_WORDS = new Map([
  ["already_assigned", ["债权先已转让他人", "the claim had passed to another before"]],
  ["assignee_holds_claim", ["受让人已持有该债权，转让给自己不成其为转让", "the assignee holds the claim already; to oneself nothing is assigned"]],
  ["claim_assigned", ["债权已转让，签名者不再是消费者", "the claim was assigned; the signer is the consumer no more"]],
  ["consumers_interest", ["账户利息归消费者所有", "what is left is the account's interest, which is the consumer's"]],
  ["interest_above_credited", ["超过未付的账户利息", "it is more than the interest that is left"]],
  ["merchants_interest", ["依条款，账户利息归经营者", "by the terms the account's interest is the merchant's"]],
  ["payee_not_computed", ["转让后尚未重新计算收款人", "since the assignment it was not computed who is paid"]],
  ["too_many_assignments", ["转让次数已达上限", "too many assignments"]],
  ["wrong_payee", ["收款人有误", "the payee is nobody who is owed this"]],
  ["already_open", ["合同已经开立", "the contract is already open"]],
  ["already_revoked", ["已经撤销或停用", "it is already revoked"]],
  ["amount_too_large", ["金额超过上限", "the amount is too large"]],
  ["consumer_party_not_distinct", ["消费者主体即经营者或托管机构", "the consumer's party is the merchant or the custodian"]],
  ["evidence_enough", ["该验证者的证据已达上限", "enough is recorded of this validator"]],
  ["evidence_invalid", ["证据不成立", "the evidence does not hold"]],
  ["evidence_known", ["该证据已有记录", "the evidence is already recorded"]],
  ["institution_of_genesis", ["创世机构不可如此变更", "an institution of genesis cannot be changed so"]],
  ["insufficient_locked", ["锁定余额不足", "less is locked than was asked for"]],
  ["key_exists", ["密钥已存在", "the key exists already"]],
  ["key_of_another", ["密钥属于另一主体", "the key is another party's"]],
  ["two_roles_needed", ["须由两家不同类别的机构共同签名", "two institutions of different roles have to sign this"]],
  ["malformed_data", ["数据不符合该类交易的格式", "the data is not of this kind's shape"]],
  ["unknown_entry", ["所指记录不存在", "the entry it speaks of is not there"]],
  ["wrong_entry", ["所指记录种类不符", "the entry it speaks of is of the wrong kind"]],
  ["missing_attester", ["缺少应签名的一方", "a party that must sign did not"]],
  ["no_consumer_party", ["未指明消费者主体", "no party is named for the consumer"]],
  ["not_an_institution", ["签名者不是创世机构", "the signer is no institution of genesis"]],
  ["not_entitled", ["签名者无权办理", "the signer is not entitled to this"]],
  ["party_exists", ["主体已存在", "the party exists already"]],
  ["reference_reused", ["业务编号已被占用", "the business reference is already taken"]],
  ["too_many_keys", ["密钥数量已达上限", "the party holds too many keys"]],
  ["unknown_consumer_party", ["消费者主体未登记", "the consumer's party is not registered"]],
  ["unknown_contract", ["合同不存在", "there is no such contract"]],
  ["unknown_custodian", ["托管机构未登记", "the custodian is not registered as one"]],
  ["unknown_industry", ["行业未知", "the industry is not known"]],
  ["unknown_key", ["密钥未知", "the key is not known"]],
  ["unknown_merchant", ["经营者未登记", "the merchant is not registered as one"]],
  ["unknown_party", ["主体未登记", "the party is not registered"]],
  ["unknown_role", ["角色未知", "the role is not known"]],
  ["unknown_statement", ["陈述种类未知", "the statement is not of a known sort"]],
  ["amount_or_share", ["金额与比例须择一", "either an amount or a share is wanted"]],
  ["contract_over", ["合同了结已久，不再查阅其记录", "the contract was closed too long ago"]],
  ["counter_repeated", ["设备流水号重复", "the device's counter was used before"]],
  ["document_refused", ["文件不合格式", "the document is not of its format"]],
  ["freeze_over", ["冻结期限已过", "the freeze would be over already"]],
  ["frozen", ["资金已被冻结", "the money is frozen"]],
  ["intake_suspended", ["已暂停收取预付款", "the merchant may take in no more"]],
  ["total_too_large", ["经营者合计超过上限", "the merchant's total would be too large"]],
  ["too_many_custodians", ["托管机构过多", "too many keep this merchant's money"]],
  ["freeze_of_another", ["冻结由另一类机关作出", "an authority of another sort froze it"]],
  ["no_legal_basis", ["缺少法律依据或文号", "it names no legal basis or no document"]],
  ["no_majority", ["签名未过监管机构半数", "no majority of the regulators signed"]],
  ["no_such_day", ["日期不存在", "there is no such day"]],
  ["no_such_freeze", ["该冻结不存在", "there is no such freeze"]],
  ["not_a_regulator", ["签名者不是监管机构", "the signer is no regulator"]],
  ["not_attested", ["签名者无权证明此事", "nobody signed who may attest this"]],
  ["not_competent", ["该行业不在职权范围内", "the industry is outside its competence"]],
  ["not_competent_for_series", ["该数据不在职权范围内", "the series is outside its competence"]],
  ["not_its_custodian", ["该机构不保管此经营者的资金", "it keeps none of this merchant's money"]],
  ["several_custodians", ["该经营者的资金由多家机构保管，账本无逐家合计", "several keep this merchant's money, and the ledger has no sum for each"]],
  ["not_computable", ["无法计算", "it cannot be computed"]],
  ["not_computed", ["尚未计算应退金额", "what is owed was not computed yet"]],
  ["not_enough_approvers", ["批准机关不足", "too few approved"]],
  ["not_the_side", ["应由另一方陈述", "it is for the other side to say"]],
  ["nothing_paid", ["未付任何金额", "nothing was paid"]],
  ["own_notice", ["通知人不得自证送达", "who sent a notice cannot say that it arrived"]],
  ["published_by_another", ["该名称由他人公布", "another publishes under this name"]],
  ["refund_above_due", ["退款超过应退金额", "it is more than is owed"]],
  ["as_of_before_end", ["计算截止日早于合同终止之日", "the as-of day lies before the end"]],
  ["as_of_too_far_ahead", ["计算截止日过于靠后", "the as-of day lies too far ahead"]],
  ["share_above_due", ["退款超过该收款人的份额", "it is more than this payee's share"]],
  ["still_locked", ["尚有锁定资金", "money is still locked"]],
  ["too_many_entries", ["该方可记录条数已达上限", "the signer has stated all it may here"]],
  ["too_many_issuers", ["代金券发行人数量已达上限", "too many issuers of vouchers"]],
  ["too_many_freezes", ["冻结数量已达上限", "too many freezes"]],
  ["series_too_large", ["该系列各页合计超过上限", "the series' pages are too large together"]],
  ["too_many_versions", ["版本数量已达上限", "too many versions"]],
  ["too_much_to_read", ["本区块可读记录已达上限", "a block reads no more earlier entries"]],
  ["transition_not_allowed", ["当前状态下不可办理", "the state does not allow this event"]],
  ["unknown_entry", ["所指记录不存在", "the entry it speaks of is not there"]],
  ["unknown_rules", ["规则未公布", "no such rules are published"]],
  ["unknown_terms", ["条款未公布", "the terms are not published"]],
  ["version_not_above", ["版本号须递增", "the version is not above the newest"]],
  ["wrong_entry", ["所指记录种类不符", "the entry it speaks of is of the wrong kind"]],
  ["wrong_district", ["不属本区", "it is another district's"]],
  ["wrong_stream", ["记录归属不符", "it names the wrong stream"]],
  ["custody_not_attested", ["资金是否进入托管须由托管机构陈述", "that money went into custody is for the custodian to say"]],
]);

/** What an outcome finds and does not refuse. */
export const FINDING_WORDS = new Map([
  ["activation_backdated", ["首次使用日期由经营者单方倒填", "the merchant alone dates a pass's first use to an earlier day"]],
  ["balance_forfeited", ["称余额作废，但不生效（第二十四条）", "a balance is said to be taken, which takes nothing (art. 24)"]],
  ["claimed_only", ["并非由收款人或保管人陈述，不计为已退", "neither who was paid nor who keeps the money says so; it moves nothing"]],
  ["counter_below_window", ["设备流水号过旧，无从判断是否重复", "the device's counter lies too far back to be told from a repeat"]],
  ["counter_gap", ["设备流水号有缺号", "the device's counters leave a gap"]],
  ["custody_short", ["托管余额少于账本锁定金额", "less stands in custody than the ledger has locked"]],
  ["debit_after_loss", ["挂失之后仍有扣款入账", "a debit reached the ledger after the card was reported lost"]],
  ["delivered_after_the_end", ["合同开始终止之后才称已提供", "a delivery was stated after the contract began to end"]],
  ["delivered_beyond_payment", ["提供的金额超过已付与赠送之和", "more was delivered than was paid and added"]],
  ["intake_after_risk", ["不得收款期间收取了预付款", "money was taken in while the merchant may not"]],
  ["occurred_in_the_future", ["所称发生时间晚于区块时间", "it is dated after its block"]],
  ["payment_backdated", ["付款日期由经营者单方倒填", "the merchant alone dates the payment to an earlier day"]],
  ["price_change_backdated", ["价格变更倒填至最近一次提供之前", "the price change is dated before the last delivery"]],
  ["released_above_delivered", ["释放超过已提供而可释放的份额", "more was released than the share of what was delivered"]],
  ["released_before_delivery", ["尚未提供即已释放", "money was released before anything was delivered"]],
  ["released_what_is_owed", ["释放之后，托管余额少于尚应退还的金额", "what is left in custody is less than what is still owed"]],
  ["rules_backdated", ["规则包自公布之前的日期起施行", "a rule pack begins before it was published"]],
  ["signing_backdated", ["订立日期由经营者单方倒填", "the merchant alone dates the contract to an earlier day"]],
  ["silence_stated", ["称对方沉默；沉默仅在法律规定、约定或交易习惯之下才作数", "silence is stated, which counts only where law, agreement or usage lets it"]],
]);

/** Effects that are amounts in fen. */
export const MONEY = new Map([
  ["amount", ["金额", "amount"]],
  ["paid", ["已付", "paid"]],
  ["locked", ["锁定", "locked"]],
  ["released", ["已释放", "released"]],
  ["refunded", ["已退款", "refunded"]],
  ["balance", ["托管机构所称余额", "balance that the custodian states"]],
  ["gap", ["缺口（锁定减余额）", "gap (locked less balance)"]],
  ["excess", ["超出锁定之数", "balance above what is locked"]],
  ["owed", ["尚应退", "still owed"]],
  ["due", ["应退", "due"]],
  ["due_low", ["应退最低", "due at least"]],
  ["due_high", ["应退最高", "due at most"]],
  ["returned", ["已返还", "returned"]],
  ["repaid", ["经营者已退", "repaid by the merchant"]],
  ["debited", ["已扣减", "debited"]],
  ["frozen", ["冻结", "frozen"]],
  ["interest", ["账户利息", "the account's interest"]],
  ["left", ["未付利息", "interest left"]],
  ["deposited", ["存入", "deposited"]],
  ["frozen_now", ["冻结合计", "frozen in all"]],
  ["interest_paid", ["已付利息", "interest paid"]],
]);

/** Who a party is on the chain, and who somebody is to a contract. */
export const ROLE_WORDS = new Map([
  ["arbitrator", ["仲裁机构", "arbitrator"]],
  ["bank", ["银行", "bank"]],
  ["both", ["双方", "both sides"]],
  ["consumer", ["消费者", "consumer"]],
  ["consumer_council", ["消费者委员会", "consumer council"]],
  ["court", ["法院", "court"]],
  ["credit_bureau", ["征信机构", "credit bureau"]],
  ["custodian", ["托管机构", "custodian"]],
  ["district", ["区政府", "district"]],
  ["gateway", ["网关", "gateway"]],
  ["issuer", ["其他金融机构", "issuer"]],
  ["merchant", ["经营者", "merchant"]],
  ["payment", ["支付机构", "payment company"]],
  ["platform", ["平台", "platform"]],
  ["regulator", ["监管部门", "regulator"]],
]);

/** Effects in Chinese by their names, and by name and value what has a word of its own. */
export const EFFECTS_ZH = new Map([
  ["allowed", "可取"],
  ["allowed_ms", "可用毫秒数"],
  ["answer", "答复"],
  ["answer.confirmed", "确认"],
  ["answer.objected", "有异议"],
  ["answer.reversed", "收回"],
  ["answer.silence", "沉默"],
  ["approvers", "批准者"],
  ["as_of", "截至"],
  ["assignee", "受让人"],
  ["assignee_party", "受让人主体"],
  ["assignments", "转让次数"],
  ["attester", "签名者"],
  ["authority", "作出机关"],
  ["basis", "计算依据的哈希"],
  ["bytes", "字节数"],
  ["closed_ms", "终结时间（毫秒）"],
  ["commitment", "承诺值"],
  ["consumer", "消费者"],
  ["consumer_party", "消费者主体"],
  ["count", "笔数"],
  ["counter", "计数"],
  ["court", "法院"],
  ["custodian", "托管机构"],
  ["custodians", "托管机构数"],
  ["day", "日期"],
  ["days_ahead", "提前天数"],
  ["deliveries", "已提供次数"],
  ["derivation", "推算书的哈希"],
  ["detail", "说明"],
  ["device", "设备"],
  ["district", "区"],
  ["document", "文书"],
  ["entries", "记录数"],
  ["event", "事件"],
  ["expected", "应为"],
  ["facts", "所读事实数"],
  ["findings", "发现项数"],
  ["freezes", "冻结数"],
  ["from_height", "起始高度"],
  ["hash", "哈希"],
  ["industry", "行业"],
  ["industry.car_wash", "车身清洁"],
  ["industry.catering", "餐饮"],
  ["industry.culture_sports", "文化体育"],
  ["industry.driving", "驾驶培训"],
  ["industry.fitness", "健身娱乐"],
  ["industry.hair_beauty", "理发及美容服务"],
  ["industry.housekeeping", "家政"],
  ["industry.pets", "宠物服务"],
  ["industry.training", "教育培训"],
  ["industry.vocational", "职业技能培训"],
  ["issuers", "发券方数"],
  ["keys", "密钥数"],
  ["kind", "种类"],
  ["known", "可用值"],
  ["member", "字段"],
  ["merchant", "经营者"],
  ["missing", "缺少"],
  ["needed", "所需"],
  ["newest", "最新版本"],
  ["number", "编号"],
  ["of", "所指交易"],
  ["ordered_by", "决定机关"],
  ["owner", "归属"],
  ["party", "主体"],
  ["payee", "收款人"],
  ["public_key", "公钥"],
  ["publisher", "发布者"],
  ["region", "所属"],
  ["region.card", "卡片"],
  ["region.contract", "合同"],
  ["region.dispute", "争议"],
  ["region.merchant", "经营者"],
  ["registrar", "登记机构"],
  ["regulators", "监管部门数"],
  ["results", "结果数"],
  ["revoked_height", "停用高度"],
  ["role", "身份"],
  ["roles", "身份"],
  ["rule", "规则"],
  ["rules", "规则包"],
  ["series", "数据系列"],
  ["share_ppm", "比例（百万分之）"],
  ["signed", "签名者数"],
  ["signer", "签名者"],
  ["signers", "签名者"],
  ["slot", "表决位"],
  ["slots", "表决位数"],
  ["state", "状态"],
  ["state.active", "履行中"],
  ["state.at_risk", "有风险"],
  ["state.closed", "已终结"],
  ["state.ending", "终止中"],
  ["state.expired", "已到期"],
  ["state.in_use", "使用中"],
  ["state.issued", "已发卡"],
  ["state.liquidation", "清算中"],
  ["state.lost", "已挂失"],
  ["state.none", "尚无"],
  ["state.open", "未解决"],
  ["state.resolved", "已解决"],
  ["state.signed", "已订立"],
  ["state.trading", "正常经营"],
  ["statement", "陈述"],
  ["statement.confirmed", "确认"],
  ["statement.objected", "有异议"],
  ["statement.reversed", "收回"],
  ["statement.witnessed", "见证"],
  ["stream", "记录"],
  ["taken_by", "占用者"],
  ["template", "条款模板"],
  ["template_version", "模板版本"],
  ["terms", "条款的哈希"],
  ["time_ms", "时间（毫秒）"],
  ["tx_id", "所指交易"],
  ["until", "截至"],
  ["until_height", "截止高度"],
  ["validator", "验证者"],
  ["version", "版本"],
  ["versions", "版本数"],
  ["vouched_by", "为其登记者"],
]);

/** Why evidence or a document does not hold, and why bytes of a file were refused. */
export const CAUSE_WORDS = new Map([
  ["malformed", ["格式错误", "it cannot be read"]],
  ["not_canonical", ["不是规范写法", "it is not in its one spelling"]],
  ["too_large", ["超过大小限制", "it is too large"]],
  ["too_deep", ["嵌套过深", "it is nested too deeply"]],
  ["not_integer", ["数值不是允许的整数", "a number is not a permitted integer"]],
  ["bad_field", ["字段值不符合要求", "a field is not as it must be"]],
  ["bad_signature", ["签名无法通过验证", "a signature does not verify"]],
  ["signature_count", ["签名数量不符", "there are too few or too many signatures"]],
  ["bad_batch_path", ["批量签名路径不符", "the path of a batch does not fit"]],
  ["unknown_party", ["主体未登记或不相干", "the party is not registered, or not concerned"]],
  ["unknown_key", ["密钥未知或不属于该主体", "the key is not known, or not the party's"]],
  ["key_not_valid", ["密钥在该高度无效", "the key is not valid at this height"]],
  ["stale", ["已过截止时间", "its time is over"]],
  ["too_far_ahead", ["截止时间过远", "its time lies too far ahead"]],
  ["duplicate", ["重复", "it is there already"]],
  ["unknown_kind", ["种类未知或不符", "the kind is not known, or not the right one"]],
  ["wrong_chain", ["不属于这条链", "it is of another chain"]],
  ["wrong_height", ["高度不符", "it is of another height"]],
  ["not_a_validator", ["不是验证者", "it is no validator"]],
  ["no_quorum", ["未达到法定多数", "no quorum signed it"]],
  ["bad_proof", ["证明不成立", "a proof does not hold"]],
  ["root_mismatch", ["根哈希不符", "a hash or root differs"]],
  ["quota_exceeded", ["超出配额", "the quota is used up"]],
  ["pool_full", ["交易池已满", "the pool is full"]],
  ["set_aside", ["节点执行时出错，已搁置", "executing it failed on a node, which set it aside"]],
  ["too_many_attempts", ["该记录的失败提交过多", "the record has too many refused attempts"]],
  ["unknown_format", ["格式或版本未知", "the format or version is not known"]],
  ["missing_member", ["缺少成员", "a member is missing"]],
  ["unknown_member", ["有未知的成员", "a member is not known"]],
  ["wrong_type", ["类型不符", "a value is of the wrong type"]],
  ["out_of_range", ["数值超出范围", "a number is out of range"]],
  ["unknown_word", ["用词不在允许之列", "a word is none of those allowed"]],
  ["inconsistent", ["前后矛盾", "it contradicts itself"]],
  ["not_entitled", ["无权为之", "whoever does it is not entitled"]],
  ["missing_data", ["缺少所需数据", "data that it needs is missing"]],
  ["height_not_reached", ["尚未到所述高度", "the height is not reached yet"]],
]);
/** Effects that name one of them. */
const CAUSE_NAMES = ["reason", "why"];

const CHINA_MS = 8 * 3_600_000;
const YEAR_9999_S = 253_402_214_400;

const NAMES_SHOWN = 8;
const NAME_CHARS_SHOWN = 120;
const PLAIN = /^[0-9A-Za-z._/-]+(?: [0-9A-Za-z._/-]+)*$/;

/** Free text in a sentence: as it stands, or as a JSON string if it could pass for more. */
export function showText(text) {
  return PLAIN.test(text) ? text : JSON.stringify(text);
}

/** A name that a file makes up, for a sentence: the beginning of one that is longer than names are. */
export function showName(text) {
  return showText(firstCharacters(text, NAME_CHARS_SHOWN));
}

/** The first names that a file makes up, and of more how many there are. */
export function listNames(names) {
  const shown = names.slice(0, NAMES_SHOWN).map(showName);
  const isCut = names.length > NAMES_SHOWN;
  return {
    zh: (shown.join("、") || "无") + (isCut ? ` 等 ${names.length} 个` : ""),
    en: (shown.join(", ") || "none") + (isCut ? ` and others, ${names.length} in all` : ""),
  };
}

/** The first numbers of a list that a file makes up, and of more how many there are. */
export function listNumbers(numbers) {
  const shown = numbers.slice(0, NAMES_SHOWN).join(", ");
  const isCut = numbers.length > NAMES_SHOWN;
  return {
    zh: `[${shown}${isCut ? ` 等 ${numbers.length} 个` : ""}]`,
    en: `[${shown}${isCut ? ` and others, ${numbers.length} in all` : ""}]`,
  };
}

/** An amount in yuan, from whole fen, without its unit. */
export function formatYuan(fen) {
  const whole = BigInt(fen);
  const size = whole < 0n ? -whole : whole;
  return `${whole < 0n ? "-" : ""}${size / 100n}.${String(size % 100n).padStart(2, "0")}`;
}

/** The same with its unit. */
export function formatFen(fen) {
  const yuan = formatYuan(fen);
  return { zh: `${yuan} 元`, en: `${yuan} yuan` };
}

/** So many entries in English, one of them in the singular. */
export function countEntries(count) {
  return count === 1 ? "1 entry" : `${count} entries`;
}

/** So many contracts in English, one of them in the singular. */
export function countContracts(count) {
  return count === 1 ? "1 contract" : `${count} contracts`;
}

/** A time in milliseconds: Beijing time in Chinese, UTC in English. */
export function formatTimeMs(timeMs) {
  const time = BigInt(timeMs);
  if (time < 0n || time / 1000n >= BigInt(YEAR_9999_S)) {
    return { zh: `${time} 毫秒（自 1970 年）`, en: `${time} ms since 1970` };
  }
  const spell = (ms) => new Date(ms).toISOString().slice(0, 23).replace("T", " ");
  return {
    zh: `北京时间 ${spell(Number(time) + CHINA_MS)}`,
    en: `${spell(Number(time))} UTC`,
  };
}

/** How exact a time stamp says that its time is, to stand behind the time. */
export function formatAccuracyUs(accuracyUs) {
  if (accuracyUs === null) return { zh: "，未载明误差", en: ", accuracy not stated" };
  const rest = String(accuracyUs % 1_000_000).padStart(6, "0");
  const shown = `${Math.floor(accuracyUs / 1_000_000)}.${rest}`.replace(/\.?0+$/u, "");
  return { zh: `，误差至多 ${shown} 秒`, en: ` to within ${shown} s` };
}

/** Institutions by name, with their ids. */
export function formatInstitutions(institutions) {
  return {
    zh: institutions.map((one) => `${one.nameZh}（${one.id}）`).join("、") || "无",
    en: institutions.map((one) => `${one.nameEn} (${one.id})`).join(", ") || "none",
  };
}

/** Who somebody of a role is; one that is not known here is shown as it stands. */
export function describeRole(role) {
  const [zh, en] = ROLE_WORDS.get(role) ?? [role, role];
  return { zh, en };
}

/** What a kind of transaction does. */
export function describeKind(kind, version) {
  const words = KIND_WORDS.get(kind);
  if (words === undefined) return { zh: `${kind} 第 ${version} 版`, en: `${kind} version ${version}` };
  const [zh, en] = words;
  return { zh: `${zh}（${kind} 第 ${version} 版）`, en: `${en} (${kind} version ${version})` };
}

/** A transaction and what became of it, with its values. */
export function describeOutcome(body, outcome) {
  const kind = describeKind(body.kind, body.version);
  const amount = body.data.get("amount");
  if (body.kind.startsWith("prepaid.") && typeof amount === "number") {
    const fen = formatFen(amount);
    kind.zh += `，金额 ${fen.zh}`;
    kind.en += ` of ${fen.en}`;
  }
  const values = outcome.effects.map(([name, value]) => describeEffect(name, value));
  const zh = values.map((one) => one.zh).join("，");
  const en = values.map((one) => one.en).join(", ");
  if (outcome.refused) {
    const why = describeRefusal(outcome.code);
    return {
      zh: `${kind.zh}：已记录为拒绝，原因是${why.zh}${zh ? "；" : ""}${zh}`,
      en: `${kind.en}: recorded as refused, because ${why.en}${en ? "; " : ""}${en}`,
    };
  }
  return {
    zh: `${kind.zh}：已生效${zh ? "，其后 " : ""}${zh}`,
    en: `${kind.en}: applied${en ? "; after it " : ""}${en}`,
  };
}

/** Why a transaction is recorded as refused, with the code behind it. */
export function describeRefusal(code) {
  const shown = showText(code);
  const [zh, en] = REFUSAL_WORDS.get(code) ?? [shown, shown];
  return { zh: `${zh}（${shown}）`, en: `${en} (${shown})` };
}

/** One value of an outcome. */
export function describeEffect(name, value) {
  const found = name === "finding" ? FINDING_WORDS.get(value) : undefined;
  if (found !== undefined) {
    return { zh: `发现：${found[0]}（${value}）`, en: `found: ${found[1]} (${value})` };
  }
  const cause = CAUSE_NAMES.includes(name) ? CAUSE_WORDS.get(value) : undefined;
  if (cause !== undefined) {
    return { zh: `缘由：${cause[0]}（${value}）`, en: `cause: ${cause[1]} (${value})` };
  }
  const label = MONEY.get(name);
  if (label !== undefined && isInteger(value)) {
    const fen = formatFen(value);
    return { zh: `${label[0]} ${fen.zh}`, en: `${label[1]} ${fen.en}` };
  }
  const shown = typeof value === "string" ? showText(value) : String(value);
  return { zh: nameEffect(name, shown), en: `${showText(name)} = ${shown}` };
}

/** An effect in Chinese; a word for its value has the value itself behind it. */
function nameEffect(name, shown) {
  const nameZh = EFFECTS_ZH.get(name);
  let valueZh = EFFECTS_ZH.get(`${name}.${shown}`);
  const roles = ["needed", "role"].includes(name) ? shown.split(" ") : [];
  if (roles.length > 0 && roles.every((role) => ROLE_WORDS.has(role))) {
    valueZh = roles.map((role) => ROLE_WORDS.get(role)[0]).join("或");
  }
  if (name === "event") valueZh = KIND_WORDS.get(shown)?.[0];
  if (nameZh === undefined) return `${showText(name)} = ${shown}`;
  return valueZh === undefined ? `${nameZh} ${shown}` : `${nameZh} ${valueZh}（${shown}）`;
}

/** A refusal's sentence; in Chinese its reason, with the exact finding behind it. */
export function wordsOf({ reason, detail }) {
  return { zh: `${CAUSE_WORDS.get(reason)[0]}（${reason}）。原文：${detail}`, en: `${detail}.` };
}

/** What may have become of a file that cannot be read, by the reason: Chinese, English. */
const FILE_ADVICE = new Map([
  [
    "malformed",
    [
      "文件可能不完整、被压缩，或并非存证文件，请改用原件。",
      "The file may be cut short, packed, or no evidence file: take the original.",
    ],
  ],
  [
    "not_canonical",
    [
      "文件若曾由编辑软件打开并另存，请改用未经改动的原件。",
      "If an editor opened and saved the file, take the original, byte for byte.",
    ],
  ],
]);

/** Why a file cannot be read, and what to do about it. */
export function wordsOfFile(error) {
  const { zh, en } = wordsOf(error);
  const advice = FILE_ADVICE.get(error.reason);
  return advice === undefined ? { zh, en } : { zh: `${zh}。${advice[0]}`, en: `${en} ${advice[1]}` };
}
