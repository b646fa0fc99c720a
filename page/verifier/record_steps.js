// Steps 7 to 11: what was said, who signed it, with which right, what came of it, who decided it.
//
// A history runs steps 7 to 10 over every entry. A signature is checked over the exact bytes of the
// body; a signer's key against the party record that the certified state commits to, at the height of
// the entry. Keys carry the heights at which they sign, so a later record serves as well.

import { concat, equal, toHex, toUtf8, u64 } from "./bytes.js";
import { verifySignature } from "./ed25519.js";
import { HISTORY, RECORD, TRANSACTION } from "./evidence_file.js";
import { checkFindings } from "./findings.js";
import { readBody, readCertificate, readStateProof, readStateValue, takePartyRecord } from "./formats.js";
import { TAGS, leafHash, sha256 } from "./hashing.js";
import { rootFromInclusion, verifyStateProof } from "./merkle.js";
import { quote } from "./quoting.js";
import { NotRun, Refuted, Rejected } from "./refusal.js";
import { isInteger } from "./strict_msgpack.js";
import { describeOutcome, describeRefusal, describeRole, formatInstitutions, formatTimeMs, listNames, listNumbers, showText } from "./wording.js";

const MONEY_AFTER = ["paid", "locked", "released", "refunded"];
const CUSTODY = ["balance", "locked", "gap", "excess"];
const SIGNATURES_AT_ONCE = 64;

/** A state value that `stateHeader` commits to, null where it commits to none; throws `Rejected`. */
export async function readClaim({ stateHeader }, { stream, value, proof }) {
  const name = `state of ${quote(stream)}`;
  await verifyStateProof(
    stateHeader.stateRoot,
    await sha256(TAGS.stateKey, toUtf8(stream)),
    value === null ? null : await sha256(TAGS.stateValue, value),
    readStateProof(proof, `${name}: proof`),
  );
  return value === null ? null : readStateValue(value, name);
}

/** Step 7: each body is canonical, and its hash is the transaction id. */
export async function checkBodies(subject, pause) {
  const { file, entries } = subject;
  const bodies = [];
  const seen = new Map();
  for (const [place, entry] of entries.entries()) {
    const body = await readBody(entry.body, nameOf(subject, place, "body"));
    const { signers } = body;
    if (entry.signatures.length !== signers.length) {
      throw new Refuted(
        "signature_count",
        `${placeZh(subject, place)}有 ${entry.signatures.length} 个签名，而正文要求 ` +
          `${signers.length} 个：${signers.join("、")}。`,
        `${nameOf(subject, place, "entry")}: ${entry.signatures.length} signatures, but the body names ` +
          `${signers.length} signers: ${signers.join(", ")}.`,
      );
    }
    const txId = toHex(body.txId);
    if (seen.has(txId)) {
      const first = seen.get(txId);
      throw new Refuted(
        "duplicate",
        `交易 ${txId} 出现两次（第 ${first + 1} 条与第 ${place + 1} 条）。`,
        `Transaction ${txId} stands twice, in entries[${first}] and entries[${place}].`,
      );
    }
    seen.set(txId, place);
    bodies.push(body);
    if (place % 64 === 63) await pause(place, entries.length);
  }
  subject.bodies = bodies;
  if (isMany(file)) {
    return {
      zh: `${bodies.length} 条正文均为规范写法，交易号各不相同。`,
      en: `All ${bodies.length} bodies are canonical; their transaction ids are distinct.`,
    };
  }
  const [body] = bodies;
  checkDeadline(subject, body);
  const [bytes, txId] = [entries[0].body.length, toHex(body.txId)];
  return {
    zh: `正文 ${bytes} 字节，为规范写法；交易号 ${txId}，归属 ${body.stream}，业务编号 ${showText(body.reference)}。`,
    en:
      `The body of ${bytes} bytes is canonical; transaction ${txId} in stream ${body.stream}, ` +
      `reference ${showText(body.reference)}.`,
  };
}

/** Step 8: every signature verifies, over the transaction or over its batch. */
export async function checkSignatures(subject, pause) {
  const { entries, bodies } = subject;
  const total = entries.reduce((sum, entry) => sum + entry.signatures.length, 0);
  const verified = new Set();
  let count = 0;
  let batched = 0;
  let waiting = [];
  // Many are under way at once; the first that fails, in the order of the file, is the one told.
  const settle = async () => {
    for (const { place, signer, signature, verdict, error } of await Promise.all(waiting)) {
      if (error) throw error;
      if (!verdict) {
        const key = toHex(signature.publicKey);
        throw new Refuted(
          "bad_signature",
          `${placeZh(subject, place)}中 ${signer} 以密钥 ${key} 所作签名无法通过验证。`,
          `${nameOf(subject, place, "entry")}: the signature of ${signer} with key ${key} does not verify.`,
        );
      }
    }
    waiting = [];
    await pause(count, total);
  };
  for (const [place, entry] of entries.entries()) {
    const body = bodies[place];
    for (const [at, signer] of body.signers.entries()) {
      const signature = entry.signatures[at];
      waiting.push(judge(subject, verified, body, signature, { place, signer, signature }));
      count += 1;
      if (signature.batch !== null) batched += 1;
    }
    if (waiting.length >= SIGNATURES_AT_ONCE) await settle();
  }
  await settle();
  return {
    zh: `${count} 个签名全部通过验证（其中批量签名 ${batched} 个）。`,
    en: `All ${count} signatures verify, ${batched} of them made over a batch.`,
  };
}

async function judge(subject, verified, body, signature, told) {
  try {
    const message = await signedMessage(subject, body, signature);
    const { publicKey, signature: bytes } = signature;
    const label = toHex(concat(publicKey, message, bytes));
    const verdict = verified.has(label) || (await verifySignature(publicKey, message, bytes));
    if (verdict && signature.batch !== null) verified.add(label);
    return { ...told, verdict };
  } catch (error) {
    return { ...told, error };
  }
}

/** Step 9: each signer's key was valid at the entry's height, by the proven party record. */
export async function checkKeys(subject, pause) {
  const { file, header, stateHeader, entries, bodies } = subject;
  if (stateHeader.height < header.height) {
    throw new Refuted(
      "wrong_height",
      `主体登记取自高度 ${stateHeader.height}，早于条目的高度 ${header.height}。`,
      `The party records are of height ${stateHeader.height}, before the entry's ${header.height}.`,
    );
  }
  const signers = new Set(bodies.flatMap((body) => body.signers));
  if (subject.omitted !== undefined) {
    const promised = await readBody(subject.omitted.body, "question.envelope: body");
    for (const signer of promised.signers) signers.add(signer);
  }
  const expected = [...signers].map((signer) => `party/${signer}`).sort();
  const { parties } = file;
  if (parties.length !== expected.length || parties.some((one, at) => one.stream !== expected[at])) {
    const given = listNames(parties.map((party) => party.stream));
    throw new Refuted(
      "unknown_party",
      `文件所附主体为 ${given.zh}，应为 ${expected.join("、") || "无"}。`,
      `The file holds the parties ${given.en}; the signers are ` +
        `${expected.join(", ") || "none"}.`,
    );
  }
  const records = new Map();
  for (const proven of file.parties) {
    const record = takePartyRecord((await readClaim(subject, proven)).record, proven.stream);
    if (proven.stream !== `party/${record.party}`) {
      throw new Refuted(
        "bad_field",
        `${proven.stream} 下登记的是 ${record.party}。`,
        `The record under ${proven.stream} is of ${record.party}.`,
      );
    }
    records.set(record.party, record);
  }
  const used = new Map([...records.keys()].map((party) => [party, new Set()]));
  for (const [place, entry] of entries.entries()) {
    for (const [at, signer] of bodies[place].signers.entries()) {
      const { publicKey } = entry.signatures[at];
      checkKey(records.get(signer), publicKey, entry.height);
      used.get(signer).add(toHex(publicKey));
    }
    if (place % 256 === 255) await pause(place, entries.length);
  }
  subject.records = records;
  if (records.size === 0) return { zh: "文件不含签名者。", en: "The file has no signers." };
  const described = [...records].map(([party, record]) => describeParty(record, used.get(party)));
  return {
    zh: `签名时密钥均有效。${described.map((one) => one.zh).join("；")}。`,
    en: `Every key was valid when it signed. ${described.map((one) => one.en).join("; ")}.`,
  };
}

/** Step 10: what the contracts made of it, in words. */
export async function checkOutcome(subject) {
  const { file, entries, bodies } = subject;
  if (file.kind === TRANSACTION) {
    const [{ outcome }] = entries;
    if (!outcome.refused && bodies[0].kind.startsWith("prepaid.")) checkMoney(outcome.effects);
    if (!outcome.refused && bodies[0].kind === "custody.stated" && bodies[0].version === 1) {
      checkCustody(bodies[0], outcome.effects);
    }
    const words = describeOutcome(bodies[0], outcome);
    return { zh: `${words.zh}。`, en: `${words.en[0].toUpperCase()}${words.en.slice(1)}.` };
  }
  const refusals = new Map();
  for (const { outcome } of entries) {
    if (outcome.refused) refusals.set(outcome.code, (refusals.get(outcome.code) ?? 0) + 1);
  }
  const refused = [...refusals.values()].reduce((sum, count) => sum + count, 0);
  const applied = entries.length - refused;
  const codes = [...refusals.keys()].sort(byCodePoints);
  const whys = codes.map((code) => ({ ...describeRefusal(code), count: refusals.get(code) }));
  const [colonZh, colonEn] = codes.length > 0 ? ["：", ": "] : ["", ""];
  const listedZh = whys.map(({ zh, count }) => `${zh}× ${count}`).join("；");
  const listedEn = whys.map(({ en, count }) => `${en} × ${count}`).join("; ");
  let last = { zh: "", en: "" };
  if (entries.length > 0) {
    const words = describeOutcome(bodies[bodies.length - 1], entries[entries.length - 1].outcome);
    last = { zh: `最后一条：${words.zh}。`, en: ` The last: ${words.en}.` };
  }
  const found = await checkFindings(subject);
  return {
    zh: `已生效 ${applied} 条，已记录为拒绝 ${refused} 条${colonZh}${listedZh}。${last.zh}${found.zh}`,
    en: `${applied} applied, ${refused} recorded as refused${colonEn}${listedEn}.${last.en}${found.en}`,
  };
}

/** Step 11: a quorum of commits of one view on this block (Castro & Liskov, section 4.2). */
export async function checkCertificate(subject) {
  const { file, root, header } = subject;
  if (file.kind !== TRANSACTION) {
    throw new NotRun(
      "此类文件不含提交证书；其依据是法定多数联署的检查点（第 4 步）。",
      "This kind of file holds no commit certificate; it rests on the checkpoint that a quorum cosigned (step 4).",
    );
  }
  const certificate = readCertificate(file.certificate, "certificate");
  const { height, view, blockHash, commits } = certificate;
  if (height !== header.height || !equal(blockHash, header.blockHash)) {
    throw new Refuted(
      "root_mismatch",
      `证书针对高度 ${height} 的区块 ${toHex(blockHash)}，而不是高度 ${header.height} 的 ` +
        `${toHex(header.blockHash)}。`,
      `The certificate is of block ${toHex(blockHash)} at height ${height}, not of ` +
        `${toHex(header.blockHash)} at height ${header.height}.`,
    );
  }
  const replicas = commits.map((commit) => commit.replica);
  const listed = listNumbers(replicas);
  const count = root.institutions.length;
  if (replicas.some((replica) => replica >= count)) {
    throw new Refuted(
      "not_a_validator",
      `证书列出机构 ${listed.zh}，而机构编号为 0 至 ${count - 1}。`,
      `The certificate lists replicas ${listed.en}; there are 0 to ${count - 1}.`,
    );
  }
  if (replicas.some((replica, at) => at > 0 && replica <= replicas[at - 1])) {
    throw new Refuted(
      "not_canonical",
      `证书中的机构 ${listed.zh} 未按编号递增，或有重复。`,
      `The certificate's replicas ${listed.en} are not ascending, or one stands twice.`,
    );
  }
  if (replicas.length < root.quorum) {
    throw new Refuted(
      "no_quorum",
      `证书仅有 ${replicas.length} 票，法定多数为 ${root.quorum} 票。`,
      `The certificate has ${replicas.length} commits, and a quorum is ${root.quorum}.`,
    );
  }
  const message = concat(TAGS.commit, root.chainId, u64(height), u64(view), blockHash);
  for (const { replica, signature } of commits) {
    const institution = root.institutions[replica];
    if (!(await verifySignature(institution.keys.vote, message, signature))) {
      const name = formatInstitutions([institution]);
      throw new Refuted(
        "bad_signature",
        `${name.zh}在第 ${view} 视图的提交票无法通过验证。`,
        `The commit of ${name.en} in view ${view} does not verify.`,
      );
    }
  }
  const names = formatInstitutions(replicas.map((replica) => root.institutions[replica]));
  return {
    zh: `${replicas.length} 家机构在第 ${view} 视图对该区块投提交票：${names.zh}。`,
    en: `${replicas.length} institutions committed to this block in view ${view}: ${names.en}.`,
  };
}

function byCodePoints(one, other) {
  const [left, right] = [[...one], [...other]];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const difference = left[at].codePointAt(0) - right[at].codePointAt(0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Whether a file is of several entries. */
function isMany({ kind }) {
  return kind === HISTORY || kind === RECORD;
}

function nameOf({ file }, place, what) {
  return isMany(file) ? `entries[${place}]` : what;
}

function placeZh({ file }, place) {
  return isMany(file) ? `第 ${place + 1} 条` : "条目";
}

/** A block takes a transaction only if header time ≤ not_after ≤ header time + W. */
function checkDeadline({ header, root }, body) {
  const late = body.notAfter - header.timeMs;
  if (late >= 0 && late <= root.replayWindowMs) return;
  const [limit, time] = [formatTimeMs(body.notAfter), formatTimeMs(header.timeMs)];
  throw new Refuted(
    late < 0 ? "stale" : "too_far_ahead",
    `正文的截止时间（${limit.zh}）与区块时间（${time.zh}）不合：应在其后 ${root.replayWindowMs} 毫秒之内。`,
    `The body's not_after (${limit.en}) does not lie within ${root.replayWindowMs} ms after the ` +
      `block's time (${time.en}).`,
  );
}

/** What a signer signed: the transaction id, or the root of its batch. */
export async function signedMessage({ root: { chainId } }, body, { batch }) {
  if (batch === null) return concat(TAGS.txSignature, chainId, body.txId);
  const { index, size, hashes } = batch;
  try {
    const leaf = await leafHash(body.txId);
    const root = await rootFromInclusion(leaf, BigInt(index), BigInt(size), hashes);
    return concat(TAGS.batchSignature, chainId, root, u64(size));
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    const txId = toHex(body.txId);
    throw new Refuted(
      "bad_batch_path",
      `交易 ${txId} 的批量签名路径不成立（第 ${index} 位，共 ${size} 笔，${hashes.length} 个哈希）。`,
      `Transaction ${txId}: its batch path does not hold: ${error.detail}.`,
    );
  }
}

/** Throw `Refuted` unless a party's key signs for a transaction at this height. */
export function checkKey(record, publicKey, height) {
  const hex = toHex(publicKey);
  const key = [...record.keys].reverse().find((one) => toHex(one.publicKey) === hex);
  if (key === undefined) {
    throw new Refuted(
      "unknown_key",
      `密钥 ${hex} 从未登记为 ${record.party} 的密钥。`,
      `Key ${hex} was never a key of party ${record.party}.`,
    );
  }
  if (record.revokedHeight !== 0 && height >= record.revokedHeight) {
    throw new Refuted(
      "key_not_valid",
      `主体 ${record.party} 自高度 ${record.revokedHeight} 起已撤销，条目在高度 ${height}。`,
      `Party ${record.party} is revoked from height ${record.revokedHeight}; the entry is of height ${height}.`,
    );
  }
  if (height < key.fromHeight || (key.untilHeight !== 0 && height >= key.untilHeight)) {
    throw new Refuted(
      "key_not_valid",
      `${record.party} 的密钥 ${hex} 在高度 [${key.fromHeight}, ${key.untilHeight || "∞"}) 有效，` +
        `条目在高度 ${height}。`,
      `Key ${hex} of party ${record.party} is valid for heights [${key.fromHeight}, ` +
        `${key.untilHeight || "open"}); the entry is of height ${height}.`,
    );
  }
}

/** Who it is by the state, and of the keys it signed with here those that it did not have from its
 * registrar alone. */
function describeParty(record, used) {
  const role = describeRole(record.role);
  if (record.registrar === record.party) {
    return {
      zh: `${record.party}（${role.zh}），创世机构`,
      en: `${record.party} (${role.en}), of genesis`,
    };
  }
  const keys = record.keys
    .filter(({ publicKey, vouchedBy }) => {
      const isRegistrars = vouchedBy.length === 1 && vouchedBy[0] === record.registrar;
      return used.has(toHex(publicKey)) && !isRegistrars;
    })
    .map((key) => describeKey(record, key));
  return {
    zh:
      `${record.party}（${role.zh}），由 ${record.registrar} 于高度 ${record.registeredHeight} ` +
      `登记${keys.map((one) => one.zh).join("")}`,
    en:
      `${record.party} (${role.en}), registered by ${record.registrar} at height ` +
      `${record.registeredHeight}${keys.map((one) => one.en).join("")}`,
  };
}

/** Who vouched for a key: whoever reads a signature is told whose word it rests on. */
function describeKey(record, { publicKey, fromHeight, vouchedBy }) {
  const shown = toHex(publicKey);
  if (vouchedBy.length === 1 && vouchedBy[0] === record.party) {
    return {
      zh: `，其密钥 ${shown} 由其自行增加，自高度 ${fromHeight} 起有效`,
      en: `, its key ${shown} added by itself, valid from height ${fromHeight}`,
    };
  }
  return {
    zh:
      `，密钥 ${shown} 由 ${vouchedBy.join("、")} 为其登记，未经其本人签名，自高度 ${fromHeight} ` +
      "起有效",
    en:
      `, key ${shown} given to it by ${vouchedBy.join(" and ")} without its own signature, ` +
      `valid from height ${fromHeight}`,
  };
}

/** The balances after it, where it states them: locked + released + refunded = paid. */
function checkMoney(effects) {
  const stated = new Map(effects);
  if (!MONEY_AFTER.every((name) => stated.has(name))) return; // `open` names only what is locked
  const values = MONEY_AFTER.map((name) => stated.get(name));
  if (values.every(isInteger)) {
    const [paid, locked, released, refunded] = values.map(BigInt);
    if (paid === locked + released + refunded) return;
  }
  const said = MONEY_AFTER.map((name) => `${name} ${stated.get(name)}`).join(", ");
  throw new Refuted(
    "bad_field",
    `锁定、已释放、已退款之和不等于已付：${said}（分）。`,
    `Locked, released and refunded do not add up to paid: ${said} (fen).`,
  );
}

/** What is short or above follows from what was stated and what was locked, and is of whom the custodian
 * spoke. */
function checkCustody(body, effects) {
  const told = new Map(effects);
  const values = [body.data.get("balance"), ...CUSTODY.map((name) => told.get(name))];
  if (values.every(isInteger)) {
    const [stated, balance, locked, gap, excess] = values.map(BigInt);
    const above = (one, other) => (one > other ? one - other : 0n);
    const isFound = effects.some(([name, value]) => name === "finding" && value === "custody_short");
    const of = (members) => (members.has("merchant") ? members.get("merchant") : "");
    if (
      stated === balance && gap === above(locked, balance) && excess === above(balance, locked) &&
      isFound === gap > 0n && of(told) === of(body.data)
    ) {
      return;
    }
  }
  const said = CUSTODY.map((name) => `${name} ${told.get(name) ?? "None"}`).join(", ");
  throw new Refuted(
    "bad_field",
    `缺口与盈余不是由所称余额与锁定之数得出：${said}（分）。`,
    `Gap and excess do not follow from the balance stated and what is locked: ${said} (fen).`,
  );
}
