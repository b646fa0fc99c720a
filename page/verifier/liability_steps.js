// Steps 16 and 17: a merchant's total, and contracts that are in it.
//
// The merchant's record in the certified state says how many contracts there are, what is locked and
// owed in all, and the hash of the sum tree over them. Each claim leads to that hash and those sums, in
// a place of its own; a contract that is shown is compared with its own rows of the state.

import { toHex, toUtf8 } from "./bytes.js";
import { HASH_BYTES, TAGS, sha256 } from "./hashing.js";
import { show } from "./quoting.js";
import { readClaim } from "./record_steps.js";
import { Refuted } from "./refusal.js";
import { isInteger, takeBytes, takeInteger, takeText } from "./strict_msgpack.js";
import { checkAmounts, computeLeaf, verifyClaim } from "./sum_tree.js";
import { countContracts, formatFen, listNumbers, showName } from "./wording.js";

const MERCHANT = 14;
const CONTRACT = 31;
const SIGNED = 11;
/** Places of the merchant's sums in its record. */
const SUMS = [
  ["deposited", 4], ["interest", 5], ["locked", 6], ["released", 7], ["refunded", 8], ["owed", 9],
];

/** Step 16: what the merchant's record says of all its contracts, under the state root. */
export async function checkTotal(subject) {
  const { file, stateHeader } = subject;
  const { stream } = file.merchant;
  const at = stream.indexOf("/");
  const merchant = at < 0 ? "" : stream.slice(at + 1);
  if ((at < 0 ? stream : stream.slice(0, at)) !== "merchant" || merchant === "") {
    const shown = showName(stream);
    throw new Refuted("bad_field", `${shown} 不是经营者的记录。`, `${shown} is not the record of a merchant.`);
  }
  const record = takeRecord((await readClaim(subject, file.merchant)).record, "merchant", MERCHANT, stream);
  const total = {
    hash: takeBytes(record[11], `${stream}: claims`, HASH_BYTES),
    size: takeInteger(record[3], `${stream}: contracts`),
    locked: takeInteger(record[6], `${stream}: locked`),
    owed: takeInteger(record[9], `${stream}: owed`),
  };
  checkAmounts(total.locked, total.owed);
  subject.sums = new Map(SUMS.map(([name, at]) => [name, takeInteger(record[at], `${stream}: ${name}`)]));
  subject.total = total;
  subject.merchant = merchant;
  const { height } = stateHeader;
  const [locked, owed] = [formatFen(total.locked), formatFen(total.owed)];
  return {
    zh:
      `截至高度 ${height}，经营者 ${merchant} 共有 ${total.size} 份合同，托管锁定合计 ${locked.zh}，` +
      `已计算的应退余额合计至多 ${owed.zh}。`,
    en:
      `As of height ${height} merchant ${merchant} has ${countContracts(total.size)}, with ` +
      `${locked.en} locked in all and at most ${owed.en} owed in all, as far as computed.`,
  };
}

/** Step 17: each claim of the file is in the total, in a place of its own. */
export async function checkClaims(subject, pause) {
  const { claims } = subject.file;
  const places = claims.map((claim) => claim.place);
  if (places.length === 0 || places.some((place, at) => at > 0 && place <= places[at - 1])) {
    const listed = listNumbers(places);
    throw new Refuted(
      "not_canonical",
      `合同位置 ${listed.zh} 未按次序递增、有重复或为空。`,
      `The claims' places ${listed.en} are not ascending, or one stands twice, or there is none.`,
    );
  }
  const shown = [];
  let [locked, owed] = [0n, 0n];
  for (const [done, claim] of claims.entries()) {
    await verifyClaim(subject.total, claim.place, await computeLeaf(claim.name, claim.locked, claim.owed), claim.path);
    if (claim.shown !== null) shown.push(await checkShown(subject, claim));
    locked += BigInt(claim.locked);
    owed += BigInt(claim.owed);
    if (done % 32 === 31) await pause(done, claims.length);
  }
  const names = shown.join(", ");
  const [lockedWords, owedWords] = [formatFen(locked), formatFen(owed)];
  return {
    zh:
      `${places.length} 份合同各占一位、均计入上述合计，无一重复计算：锁定 ${lockedWords.zh}，应退` +
      `余额至多 ${owedWords.zh}。所示合同：${names || "无"}；其余仅以不可辨认的代号列出。`,
    en:
      `${tellPlaces(places.length)}: ${lockedWords.en} locked, at most ${owedWords.en} owed. Shown: ${names || "none"}; the ` +
      "others stand under names that say nobody's.",
  };
}

function tellPlaces(count) {
  return count === 1
    ? "1 contract is in that total, in a place of its own and counted once"
    : `${count} contracts are in that total, each in a place of its own and none counted twice`;
}

/** Compare a claim with the rows of the contract that it is; the contract's stream. */
async function checkShown(subject, claim) {
  const { contract, signed } = claim.shown;
  const { stream } = contract;
  if (!stream.startsWith("contract/") || signed.stream !== `signed/${stream}`) {
    const [one, other] = [showName(stream), showName(signed.stream)];
    throw new Refuted(
      "bad_field",
      `第 ${claim.place} 位所附为 ${one} 与 ${other}，不是同一合同的两项记录。`,
      `The claim at place ${claim.place} shows ${one} and ${other}, which are not the two rows of one ` +
        "contract.",
    );
  }
  const record = takeRecord((await readClaim(subject, contract)).record, "contract", CONTRACT, stream);
  const fixed = takeRecord((await readClaim(subject, signed)).record, "signed", SIGNED, signed.stream);
  const merchant = `merchant/${takeText(record[2], `${stream}: merchant`)}`;
  const due = record[21];
  if (!isInteger(due) || due < -1) {
    throw new Refuted("bad_field", `${stream} 的应退金额不是整数。`, `${stream}: due_high is no amount.`);
  }
  const refunded = BigInt(takeInteger(record[15], `${stream}: refunded`));
  const repaid = BigInt(takeInteger(record[16], `${stream}: repaid`));
  const interestPaid = BigInt(takeInteger(record[26], `${stream}: interest_paid`));
  const left = BigInt(due) - refunded + interestPaid - repaid;
  const party = takeBytes(fixed[8], `${signed.stream}: party`, HASH_BYTES);
  const expected = [
    ["merchant", merchant, subject.file.merchant.stream],
    ["place", takeInteger(record[25], `${stream}: place`), claim.place],
    ["locked", takeInteger(record[13], `${stream}: locked`), claim.locked],
    ["owed", left > 0n ? left : 0n, claim.owed],
    ["name", toHex(await sha256(TAGS.claim, party, toUtf8(stream))), toHex(claim.name)],
  ];
  for (const [member, held, said] of expected) {
    if (String(held) !== String(said)) {
      throw new Refuted(
        "root_mismatch",
        `第 ${claim.place} 位的 ${member} 为 ${show(said)}，而 ${stream} 的记录为 ${show(held)}。`,
        `The claim at place ${claim.place} has ${member} ${show(said)}, and the record of ${stream} ` +
          `has ${show(held)}.`,
      );
    }
  }
  return stream;
}

function takeRecord(record, kind, length, name) {
  if (record === null || record[0] !== kind || record[1] !== 1 || record.length !== length) {
    throw new Refuted(
      "bad_field",
      `${name} 在链上状态中不是本核验程序认识的 ${kind} 记录。`,
      `The state holds no ${kind} record under ${name} that this verifier knows.`,
    );
  }
  return record;
}
