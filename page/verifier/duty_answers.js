// Who attested and who did not, a promise that was not kept, and records not produced in time.

import { concat, equal, toHex, u64 } from "./bytes.js";
import { verifySignature } from "./ed25519.js";
import { readBody } from "./formats.js";
import { TAGS, leafHash } from "./hashing.js";
import { rootFromInclusion } from "./merkle.js";
import { show } from "./quoting.js";
import { checkKey, signedMessage } from "./record_steps.js";
import { Refuted } from "./refusal.js";
import { takeAfter, takeSpan, timeOf } from "./span.js";
import {
  EFFECTS_ZH,
  REFUSAL_WORDS,
  describeKind,
  describeRole,
  formatInstitutions,
  formatTimeMs,
  showName,
  showText,
} from "./wording.js";

const ROLES = ["merchant", "custodian", "consumer"];
const PLACES = new Map([["prepaid", [2, 3, 5]], ["contract", [2, 3, 4]]]);
const DAY_MS = 86_400_000;
const CHINA_MS = 8 * 3_600_000;

/** Who of the contract signed a transaction or spoke of it since, and who did not. */
export async function answerAttestation(subject) {
  const { file, entries, bodies, stateValue, stateHeader, root, cosignedBy } = subject;
  const [begin, end] = takeAfter(subject, file.question.txId, null);
  const txId = toHex(file.question.txId);
  const [spoke, tried] = [[], []];
  for (let place = begin; place < end; place += 1) {
    const { data, kind } = bodies[place];
    const isAbout = data.get("of") === txId || (kind === "attest" && data.get("tx_id") === txId);
    if (isAbout) (entries[place].outcome.refused ? tried : spoke).push(place);
  }
  const [{ signers }] = bodies;
  const about = [...spoke, ...tried];
  const all = [...signers, ...about.flatMap((place) => bodies[place].signers)];
  const heard = new Set([...all, ...all.map((signer) => principalOf(subject, signer))]);
  const parties = partiesOf(stateValue.record);
  const former = formerConsumers(stateValue.record);
  const spokeBefore = former.some((party) => heard.has(party));
  const unheard = [...parties.keys()].filter(
    (role) => !heard.has(parties.get(role)) && !(role === "consumer" && spokeBefore),
  );
  const silent = unheard.filter((role) => parties.get(role) !== "");
  const keyless = unheard.filter((role) => parties.get(role) === "");
  const roles = new Map();
  for (const party of former) roles.set(party, "consumer");
  for (const [role, party] of parties) if (party !== "") roles.set(party, role);
  const said = spoke.map((place) => describeStatement(subject, place));
  const refused = tried.map((place) => describeStatement(subject, place));
  const signed = formatInstitutions(root.institutions.filter((_, at) => cosignedBy.has(at)));
  const unsigned = formatInstitutions(root.institutions.filter((_, at) => !cosignedBy.has(at)));
  const [time, now] = [formatTimeMs(timeOf(subject, 0)), formatTimeMs(stateHeader.timeMs)];
  const { height } = stateHeader;
  const became = describeRefusal(entries[0].outcome);
  const nobody =
    parties.size > 0
      ? {
          zh:
            `合同各方中未签名也未陈述的：${silent.map((role) => describeRole(role).zh).join("、") || "无"}` +
            (keyless.length > 0 ? "；在账本上没有密钥、其沉默不说明任何事的：" : "") +
            `${keyless.map((role) => describeRole(role).zh).join("、")}。`,
          en:
            `of the contract's parties neither signed nor spoke: ${silent.join(", ") || "none"}` +
            (keyless.length > 0 ? "; has no key here, so that its silence says nothing: " : "") +
            `${keyless.join(", ")}.`,
        }
      : {
          zh: "链上状态中没有本核验程序认识的合同，故不知其各方。",
          en: "the state holds no contract here that this verifier knows, so its parties are not known.",
        };
  const count = root.institutions.length;
  const names = signers.map((signer) => nameSigner(subject, signer, roles));
  const signersZh = names.map((one) => one.zh).join("、");
  const signersEn = names.map((one) => one.en).join(", ");
  const colon = said.length > 0;
  const refusals =
    refused.length > 0
      ? {
          zh: `已记录为拒绝的 ${refused.length} 项：${refused.map((one) => one.zh).join("；")}；`,
          en: `recorded as refused: ${refused.length}: ${refused.map((one) => one.en).join("; ")}; `,
        }
      : { zh: "", en: "" };
  return {
    zh:
      `交易 ${txId}：${became.zh}，签名者 ${signersZh}；其后截至高度 ${height}（${now.zh}）的陈述 ` +
      `${said.length} 项${colon ? "：" : ""}${said.map((one) => one.zh).join("；")}；` +
      `${refusals.zh}${nobody.zh}` +
      `检查点由${signed.zh}联署，` +
      `文件中未见联署：${unsigned.zh}（联署可被略去，略去不说明没有）。该区块之时（${time.zh}）的验证者即创世文件所列 ${count} 家，法定多数 ` +
      `${root.quorum} 家；本版本尚无验证者变更。`,
    en:
      `Transaction ${txId}: ${became.en}, signed by ${signersEn}; statements about it since, up to ` +
      `height ${height} (${now.en}): ${said.length}${colon ? ": " : ""}` +
      `${said.map((one) => one.en).join("; ")}; ${refusals.en}${nobody.en} The checkpoint was cosigned by ` +
      `${signed.en}; no cosignature here of: ${unsigned.en} (one that is left out of a file is not ` +
      `one that was not made). At the time of the block (${time.en}) the validators ` +
      `were the ${count} of genesis and a quorum ${root.quorum}: this version knows no change of ` +
      "validators.",
  };
}

/** Whose word a signature is: a gateway's is that of who registered it. */
function principalOf({ records }, signer) {
  const { role, registrar } = records.get(signer);
  return role === "gateway" ? registrar : signer;
}

/** A signer with what it is to the contract. */
function nameSigner(subject, signer, roles) {
  const [own, by] = [roles.get(signer), roles.get(principalOf(subject, signer))];
  if (own !== undefined) return { zh: `${signer}（${describeRole(own).zh}）`, en: `${signer} (${own})` };
  if (by !== undefined) {
    return { zh: `${signer}（${describeRole(by).zh}的网关）`, en: `${signer} (gateway of the ${by})` };
  }
  return { zh: `${signer}（非合同方）`, en: `${signer} (no party of it)` };
}

/** That what a request asks for was not produced in time (法释〔2025〕4号 art. 25). */
export async function answerProduction(subject) {
  const { file, entries, bodies } = subject;
  const txId = toHex(file.question.txId);
  let deadline = 0;
  if (bodies.length > 0 && equal(bodies[0].txId, file.question.txId)) {
    const start = startOf(bodies[0].data.get("until"));
    if (bodies[0].kind !== "records.requested" || entries[0].outcome.refused || start === null) {
      throw new Refuted(
        "bad_field",
        `交易 ${txId} 不是已生效的、有期限的提供记录请求。`,
        `Transaction ${txId} is no request for records that took effect with a deadline.`,
      );
    }
    deadline = start + DAY_MS;
    if (timeOf(subject, 0) >= deadline) {
      throw new Refuted(
        "bad_field",
        `请求 ${txId} 在其自身期限之后才上链。`,
        `Request ${txId} was recorded after its own deadline.`,
      );
    }
  }
  const [begin, end] = takeAfter(subject, file.question.txId, deadline);
  const reasons = [];
  const tried = [];
  let otherwise = 0;
  for (let place = begin; place < end; place += 1) {
    const { data, kind } = bodies[place];
    const [isRefused, isOf] = [entries[place].outcome.refused, data.get("of") === txId];
    if (isRefused || !isOf) {
      if (!isRefused && (kind === "records.produced" || kind === "sales_records.produced")) otherwise += 1;
      if (isRefused && isOf && kind === "records.produced") tried.push(bodies[place].signers.join(", "));
      continue;
    }
    if (kind === "records.produced") {
      const time = formatTimeMs(timeOf(subject, place));
      throw new Refuted(
        "bad_field",
        `所请求的记录已于${time.zh} 提供（第 ${place + 1} 条）。`,
        `What was asked for was produced at ${time.en} (entries[${place}]).`,
      );
    }
    if (kind === "records.refused") reasons.push(showText(show(data.get("reason"))));
  }
  const [asked, limit] = [formatTimeMs(timeOf(subject, 0)), formatTimeMs(deadline)];
  const signers = bodies[0].signers.join(", ");
  const stated = reasons.join("; ");
  const because = reasons.length > 0 ? `and the reasons stated are: ${stated}` : "and no reason is on record";
  const besides = describeBesides(otherwise, tried);
  return {
    zh:
      `${signers} 于${asked.zh} 请求提供记录，期限至${limit.zh}；在此之前没有就此提供` +
      `${reasons.length > 0 ? `，所载拒绝理由：${stated}` : "，也没有载明任何理由"}` +
      `（法释〔2025〕4号第二十五条）。${besides.zh}期限的末日是否为休息日，此处不查。`,
    en:
      `${signers} asked for records at ${asked.en}, until ${limit.en}; nothing was produced in answer ` +
      `to it before that, ${because} (法释〔2025〕4号 art. 25). ${besides.en}Whether the last day is a ` +
      "rest day is not examined.",
  };
}

/** What stands against saying that nothing was produced, in the time that was given for it. */
function describeBesides(otherwise, tried) {
  let [zh, en] = ["", ""];
  if (otherwise > 0) {
    zh = `期间另有并非就此的提供 ${otherwise} 次，是否即为所请求者，此处不作判断。`;
    en =
      `Produced in that time, and not as an answer to it: ${otherwise}; whether that is what was asked ` +
      "for is not said here. ";
  }
  if (tried.length > 0) {
    zh += `提供而已记录为拒绝的 ${tried.length} 次（${tried.join("；")}）。`;
    en += `Attempts to produce that are recorded as refused: ${tried.length} (${tried.join("; ")}). `;
  }
  return { zh, en };
}

/** The first instant of a day in China written YYYY-MM-DD, or null. */
function startOf(text) {
  if (typeof text !== "string" || !/^[12][0-9]{3}-[01][0-9]-[0-3][0-9]$/u.test(text)) return null;
  const [year, month, day] = text.split("-").map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.toISOString().slice(0, 10) === text ? date.getTime() - CHINA_MS : null;
}

/** That a transaction which a node promised is not in the contract's record in time. */
export async function answerOmission(subject) {
  const { file, entries, bodies, omitted, root, stateHeader } = subject;
  takeSpan(subject, null, null);
  const { receipt } = file.question;
  const body = await readBody(omitted.body, "question.envelope: body");
  await checkReceipt(subject, body);
  if (body.stream !== `contract/${file.contract}`) {
    throw new Refuted(
      "bad_field",
      `所承诺的交易归属 ${body.stream}，而不是 contract/${file.contract}。`,
      `The promised transaction names ${body.stream}, not contract/${file.contract}.`,
    );
  }
  const height = receipt.heightMax;
  await checkAdmissible(subject, body, height);
  const txId = toHex(body.txId);
  let late = 0;
  for (const [place, entry] of entries.entries()) {
    if (!equal(bodies[place].txId, body.txId)) continue;
    if (entry.height <= height) {
      throw new Refuted(
        "duplicate",
        `交易 ${txId} 在高度 ${entry.height} 已上链，承诺（高度 ${height}）已兑现。`,
        `Transaction ${txId} is on the chain at height ${entry.height}; the promise of height ` +
          `${height} was kept.`,
      );
    }
    late = entry.height;
  }
  const name = formatInstitutions(root.institutions.filter((one) => one.id === receipt.node));
  const received = formatTimeMs(receipt.receivedMs);
  return {
    zh:
      `${name.zh}于${received.zh}（其自身时钟）承诺交易 ${txId} 至迟在高度 ${height} 上链；截至高度 ` +
      `${stateHeader.height}，${late ? `它迟至高度 ${late} 才` : "它从未"}出现在该合同的全部记录中。` +
      "承诺未兑现；是否故意，此处不作判断。",
    en:
      `${name.en} promised at ${received.en}, by its own clock, that transaction ${txId} would be in a ` +
      `block of height ${height} or below; in the contract's whole record up to height ` +
      `${stateHeader.height} it stands ${late ? `only at height ${late}` : "nowhere"}. The promise was ` +
      "not kept; whether by intent is not said here.",
  };
}

async function checkReceipt({ root, file }, body) {
  const { receipt, batch } = file.question;
  const txId = toHex(body.txId);
  if (!equal(receipt.chainId, root.chainId)) {
    const [found, own] = [toHex(receipt.chainId), toHex(root.chainId)];
    throw new Refuted(
      "wrong_chain",
      `回执属于链 ${found}，而不是 ${own}。`,
      `The receipt is of chain ${found}, not of ${own}.`,
    );
  }
  const issuer = root.institutions.find((one) => one.id === receipt.node);
  if (issuer === undefined) {
    throw new Refuted(
      "not_a_validator",
      `回执的出具者 ${showName(receipt.node)} 不在创世文件所列机构之内。`,
      `The receipt is by ${showName(receipt.node)}, which is no institution of genesis.`,
    );
  }
  if (!equal(receipt.publicKey, issuer.keys.party)) {
    const key = toHex(receipt.publicKey);
    throw new Refuted(
      "unknown_key",
      `回执的密钥 ${key} 不是 ${receipt.node} 的密钥。`,
      `The receipt's key ${key} is not that of ${receipt.node}.`,
    );
  }
  let message;
  if (receipt.root === null) {
    if (!equal(receipt.txId, body.txId)) {
      const about = toHex(receipt.txId);
      throw new Refuted(
        "root_mismatch",
        `回执针对交易 ${about}，而不是 ${txId}。`,
        `The receipt is about transaction ${about}, not ${txId}.`,
      );
    }
    message = concat(TAGS.intakeReceipt, receipt.chainId, receipt.txId);
  } else {
    const leaf = await leafHash(body.txId);
    const reached = await rootFromInclusion(leaf, BigInt(batch.index), BigInt(receipt.size), batch.path);
    if (!equal(reached, receipt.root)) {
      const [got, own] = [toHex(reached), toHex(receipt.root)];
      throw new Refuted(
        "root_mismatch",
        `交易 ${txId} 的路径得根 ${got}，回执载明 ${own}。`,
        `The path of transaction ${txId} leads to root ${got}, the receipt says ${own}.`,
      );
    }
    message = concat(TAGS.batchReceipt, receipt.chainId, receipt.root, u64(receipt.size));
  }
  message = concat(message, u64(receipt.receivedMs), u64(receipt.heightMax));
  if (!(await verifySignature(receipt.publicKey, message, receipt.signature))) {
    throw new Refuted(
      "bad_signature",
      `${receipt.node} 在回执上的签名无法通过验证。`,
      `The signature of ${receipt.node} on the receipt does not verify.`,
    );
  }
}

/** The block of the promised height itself could have taken the transaction in. */
async function checkAdmissible(subject, body, height) {
  const { blocks, root, omitted, records } = subject;
  const { timeMs } = blocks.get(height);
  const ahead = body.notAfter - timeMs;
  if (ahead < 0 || ahead > root.replayWindowMs) {
    const [limit, time] = [formatTimeMs(body.notAfter), formatTimeMs(timeMs)];
    throw new Refuted(
      ahead < 0 ? "stale" : "too_far_ahead",
      `所承诺高度的区块（${time.zh}）已不能或尚不能收入截止时间为${limit.zh} 的交易；不构成遗漏。`,
      `The block of the promised height (${time.en}) could not take in a transaction whose not_after ` +
        `is ${limit.en}; that is no omission.`,
    );
  }
  const { signatures } = omitted;
  if (signatures.length !== body.signers.length) {
    throw new Refuted(
      "signature_count",
      `所承诺的交易有 ${signatures.length} 个签名，应为 ${body.signers.length} 个；不构成遗漏。`,
      `The promised transaction has ${signatures.length} signatures and names ${body.signers.length} ` +
        "signers; that is no omission.",
    );
  }
  for (const [at, signer] of body.signers.entries()) {
    const signature = signatures[at];
    const message = await signedMessage(subject, body, signature);
    if (!(await verifySignature(signature.publicKey, message, signature.signature))) {
      throw new Refuted(
        "bad_signature",
        `所承诺的交易中 ${signer} 的签名无法通过验证；不构成遗漏。`,
        `In the promised transaction the signature of ${signer} does not verify; that is no omission.`,
      );
    }
    checkKey(records.get(signer), signature.publicKey, height);
    checkNoKeyEnded(root, records.get(signer), height);
  }
}

/** Whatever key the transaction came under, it was valid up to the promised height. */
function checkNoKeyEnded({ intakeHeights }, { party, keys }, height) {
  for (const { publicKey, untilHeight } of keys) {
    if (untilHeight <= Math.max(0, height - intakeHeights) || untilHeight > height) continue;
    const key = toHex(publicKey);
    throw new Refuted(
      "key_not_valid",
      `${party} 的密钥 ${key} 在承诺之后、不晚于所承诺高度失效（高度 ${untilHeight}）；所收的交易可能由它签名，` +
        "不构成遗漏。",
      `Key ${key} of party ${party} ended at height ${untilHeight}, after the promise and not after the ` +
        "promised height; what was taken in may have been signed with it, and that is no omission.",
    );
  }
}

/** Whether a transaction took effect: a signature under what was refused attests an attempt. */
function describeRefusal({ refused, code }) {
  if (!refused) return { zh: "已生效", en: "applied" };
  const [zh, en] = REFUSAL_WORDS.get(code) ?? [code, code];
  return {
    zh: `已记录为拒绝（${zh}，${code}），未生效`,
    en: `recorded as refused and of no effect (${en}, ${code})`,
  };
}

/** The party of each role; of a record of another kind or version, as of none, none is known. */
function partiesOf(record) {
  const found = new Map();
  const places = record === null ? undefined : PLACES.get(record[0]);
  if (places === undefined || record.length <= Math.max(...places) || record[1] !== 1) return found;
  for (const [at, role] of ROLES.entries()) found.set(role, show(record[places[at]]));
  return found;
}

/** The parties under which consumers signed before they assigned their claim. */
function formerConsumers(record) {
  const assigned = record !== null && record[0] === "contract" ? record[28] : undefined;
  if (!Array.isArray(assigned)) return [];
  const isOne = (one) => Array.isArray(one) && one.length > 2 && one[2] !== "";
  return assigned.filter(isOne).map((one) => show(one[2]));
}

/** What somebody stated, to stand behind its kind. */
function tell(name, stated) {
  const [shown, zh] = [showText(stated), EFFECTS_ZH.get(`${name}.${stated}`)];
  return { zh: zh === undefined ? `：${shown}` : `：${zh}（${shown}）`, en: ` ${shown}` };
}

function describeStatement(subject, place) {
  const { kind, version, data, signers } = subject.bodies[place];
  const [words, time] = [describeKind(kind, version), formatTimeMs(timeOf(subject, place))];
  const stated = ["statement", "answer"].map((name) => [name, data.get(name)]);
  const said = stated.find(([, one]) => typeof one === "string" && one !== "");
  const shown = said === undefined ? { zh: "", en: "" } : tell(...said);
  const listed = signers.join(", ");
  return {
    zh: `${listed}，${time.zh}，${words.zh}${shown.zh}`,
    en: `${listed} at ${time.en}, ${words.en}${shown.en}`,
  };
}
