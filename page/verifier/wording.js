// Names of things in Chinese and English: kinds, refusals, money and time.
//
// An outcome on the chain is a code and a few values; here they become sentences a judge can read.
// A code that is not in these tables is shown as it stands.

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
  ["validator.equivocation", ["验证者自相矛盾的证据", "proof of a validator's equivocation"]],
]);

export const REFUSAL_WORDS = new Map([
  ["already_open", ["合同已经开立", "the contract is already open"]],
  ["already_revoked", ["已经撤销或停用", "it is already revoked"]],
  ["amount_too_large", ["金额超过上限", "the amount is too large"]],
  ["consumer_party_not_distinct", ["消费者主体即商户或托管机构", "the consumer's party is the merchant or the custodian"]],
  ["evidence_enough", ["该验证者的证据已达上限", "enough is recorded of this validator"]],
  ["evidence_invalid", ["证据不成立", "the evidence does not hold"]],
  ["evidence_known", ["该证据已有记录", "the evidence is already recorded"]],
  ["institution_of_genesis", ["创世机构不可如此变更", "an institution of genesis cannot be changed so"]],
  ["insufficient_locked", ["锁定余额不足", "less is locked than was asked for"]],
  ["key_exists", ["密钥已存在", "the key exists already"]],
  ["malformed_data", ["数据不符合该类交易的格式", "the data is not of this kind's shape"]],
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
  ["unknown_merchant", ["商户未登记", "the merchant is not registered as one"]],
  ["unknown_party", ["主体未登记", "the party is not registered"]],
  ["unknown_role", ["角色未知", "the role is not known"]],
  ["unknown_statement", ["陈述种类未知", "the statement is not of a known sort"]],
  ["wrong_stream", ["记录归属不符", "it names the wrong stream"]],
]);

/** Effects that are amounts in fen. */
export const MONEY = new Map([
  ["amount", ["金额", "amount"]],
  ["paid", ["已付", "paid"]],
  ["locked", ["锁定", "locked"]],
  ["released", ["已释放", "released"]],
  ["refunded", ["已退款", "refunded"]],
]);

/** Why something was refused, in Chinese; the sentence behind it is the exact finding. */
export const REASON_ZH = new Map([
  ["malformed", "格式错误"],
  ["not_canonical", "不是规范写法"],
  ["too_large", "超过大小限制"],
  ["too_deep", "嵌套过深"],
  ["not_integer", "数值不是允许的整数"],
  ["bad_field", "字段值不符合要求"],
  ["bad_signature", "签名无法通过验证"],
  ["signature_count", "签名数量不符"],
  ["bad_batch_path", "批量签名路径不符"],
  ["wrong_chain", "不属于这条链"],
  ["no_quorum", "未达到法定多数"],
  ["bad_proof", "证明不成立"],
  ["root_mismatch", "根哈希不符"],
]);

const CHINA_MS = 8 * 3_600_000;
const YEAR_9999_S = 253_402_214_400;

/** An amount in yuan, from whole fen. */
export function formatFen(fen) {
  const whole = BigInt(fen);
  const size = whole < 0n ? -whole : whole;
  const yuan = `${whole < 0n ? "-" : ""}${size / 100n}.${String(size % 100n).padStart(2, "0")}`;
  return { zh: `${yuan} 元`, en: `${yuan} yuan` };
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

/** Institutions by name, with their ids. */
export function formatInstitutions(institutions) {
  return {
    zh: institutions.map((one) => `${one.nameZh}（${one.id}）`).join("、") || "无",
    en: institutions.map((one) => `${one.nameEn} (${one.id})`).join(", ") || "none",
  };
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
    const [whyZh, whyEn] = REFUSAL_WORDS.get(outcome.code) ?? [outcome.code, outcome.code];
    return {
      zh: `${kind.zh}：已记录为拒绝，原因是${whyZh}（${outcome.code}）${zh ? "；" : ""}${zh}`,
      en: `${kind.en}: recorded as refused, because ${whyEn} (${outcome.code})${en ? "; " : ""}${en}`,
    };
  }
  return {
    zh: `${kind.zh}：已生效${zh ? "，其后 " : ""}${zh}`,
    en: `${kind.en}: applied${en ? "; after it " : ""}${en}`,
  };
}

function describeEffect(name, value) {
  const label = MONEY.get(name);
  if (label !== undefined && isInteger(value)) {
    const fen = formatFen(value);
    return { zh: `${label[0]} ${fen.zh}`, en: `${label[1]} ${fen.en}` };
  }
  return { zh: `${name} = ${value}`, en: `${name} = ${value}` };
}
