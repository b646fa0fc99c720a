// Steps 20 and 21: a merchant's schedule of claims, contract by contract, and that it is whole.
//
// The first line proves the merchant's record at one height; each further line is the complete record
// of one contract at that height or a later one. What a contract had locked and owed at the height of
// the total follows from those of its entries that are not later; the leaves made of that, in the order
// of the lines, must give the sum tree that the merchant's record has.

import { fromHex, toHex, toUtf8 } from "./bytes.js";
import { readScheduleLine } from "./evidence_file.js";
import { TAGS, sha256 } from "./hashing.js";
import { foldLife } from "./life_replay.js";
import { NotRun, Refuted, Rejected } from "./refusal.js";
import { SumFrontier, computeLeaf } from "./sum_tree.js";
import { countContracts, countEntries, formatFen, wordsOf } from "./wording.js";

export const COLUMNS = ["paid", "released", "refunded", "locked", "owed"];
const ADDED = ["paid", "deposited", "interest", "locked", "released", "refunded", "owed"];
const COMPARED = ["deposited", "interest", "locked", "released", "refunded", "owed"];
const READING = { number: 1, zh: "文件可读", en: "the file can be read" };
const WHOLE = { number: 21, zh: "债权表齐全", en: "the schedule is whole" };
/** The step without which a contract's amounts are not known. */
const BALANCES = 13;
const COMMITMENT = /^[0-9a-f]{64}$/u;

/** Step 20: each line proves one contract's whole record; `plan` are the steps of one. */
export function makeContractsCheck(plan) {
  return async (subject, pause) => {
    const { file, total } = subject;
    const frontier = new SumFrontier();
    const sums = new Map(ADDED.map((name) => [name, 0n]));
    const rows = [];
    let [entries, statedCount] = [0, 0];
    for (let place = 0; place < total.size; place += 1) {
      await pause(place, total.size);
      const { value: raw, done } = file.lines.next();
      if (done) break;
      const found = await checkLine(subject, raw, place, plan, () => pause(place + 1, total.size));
      await frontier.append(await computeLeaf(found.name, found.amounts.locked, found.amounts.owed));
      for (const name of ADDED) sums.set(name, sums.get(name) + BigInt(found.amounts[name]));
      entries += found.entries;
      if (found.isOwedStated) statedCount += 1;
      rows.push({ contract: found.contract, height: found.height, amounts: found.amounts });
    }
    subject.reached = { size: frontier.size, hash: await frontier.totalHash(), sums };
    subject.schedule = rows;
    subject.statedCount = statedCount;
    const count = rows.length;
    return {
      zh:
        `文件所载 ${count} 份合同，逐份核验：各份记录完整（共 ${entries} 条），签名、密钥与余额均复核` +
        "一致。",
      en:
        `${countContracts(count)} in the file, each examined by itself: its record is complete ` +
        `(${countEntries(entries)} in all), and signatures, keys and balances hold.`,
    };
  };
}

/** Step 21: the contracts are all that the merchant's record counts, with its sums. */
export async function checkWhole(subject) {
  const { file, total, reached, sums, stateHeader } = subject;
  const extra = reached.size < total.size ? 0 : [...file.lines].length;
  const count = reached.size + extra;
  if (count !== total.size) {
    const difference = Math.abs(total.size - count);
    const isLess = count < total.size;
    throw new Refuted(
      "root_mismatch",
      `经营者的记录载明 ${total.size} 份合同，文件中有 ${count} 份，${isLess ? "缺少" : "多出"} ` +
        `${difference} 份。`,
      `The merchant's record counts ${countContracts(total.size)} and the file holds ${count}: ` +
        `${difference} ${isLess ? "missing" : "too many"}.`,
    );
  }
  const [hash, expected] = [toHex(reached.hash), toHex(total.hash)];
  if (hash !== expected) {
    throw new Refuted(
      "root_mismatch",
      `${count} 份合同的和树为 ${hash}，经营者的记录载明 ${expected}：有合同被遗漏、重复、替换或调换` +
        "次序。",
      `The sum tree of ${countContracts(count)} is ${hash}, the merchant's record says ${expected}: some ` +
        "contract was left out, doubled, replaced or moved.",
    );
  }
  for (const name of COMPARED) {
    if (reached.sums.get(name) !== BigInt(sums.get(name))) {
      throw new Refuted(
        "root_mismatch",
        `各合同的 ${name} 合计 ${reached.sums.get(name)} 分，经营者的记录载明 ${sums.get(name)} 分。`,
        `The contracts' ${name} add up to ${reached.sums.get(name)} fen, the merchant's record says ` +
          `${sums.get(name)} fen.`,
      );
    }
  }
  const [paid, released, refunded, locked, owed] = COLUMNS.map((name) => formatFen(reached.sums.get(name)));
  return {
    zh:
      `这 ${count} 份即为该经营者截至高度 ${stateHeader.height} 按条款订立的全部合同，无遗漏、无重复：` +
      `已付 ${paid.zh}，已释放 ${released.zh}，已退款 ${refunded.zh}，锁定 ${locked.zh}，应退余额至多 ` +
      `${owed.zh}。`,
    en:
      `These ${count} are all contracts under terms that the merchant has as of height ` +
      `${stateHeader.height}; none is left out and none counted twice: ${paid.en} paid, ${released.en} ` +
      `released, ${refunded.en} refunded, ${locked.en} locked, at most ${owed.en} owed.`,
  };
}

/** Examine one line; what it established. Throws `Refuted`, naming the line and the step of it. */
async function checkLine(subject, raw, place, plan, pause) {
  const { trustedChainId, root, file } = subject;
  const inner = { trustedChainId, root };
  let step = READING;
  try {
    inner.file = await readScheduleLine(raw, file.genesis);
    for (step of plan) {
      try {
        await step.check(inner, pause);
      } catch (error) {
        if (!(error instanceof NotRun)) throw error;
        if (step.number === BALANCES) throw new Refuted("unknown_kind", error.words.zh, error.words.en);
      }
    }
    subject.isOwedDerived ||= inner.isOwedDerived;
    step = WHOLE;
    return await deriveAt(subject, inner);
  } catch (error) {
    if (!(error instanceof Refuted || error instanceof Rejected)) throw error;
    const said = error instanceof Refuted ? error.words : wordsOf(error);
    throw new Refuted(
      error.reason,
      `第 ${place + 1} 份合同，第 ${step.number} 步（${step.zh}）：${said.zh}`,
      `Contract ${place + 1}, step ${step.number} (${step.en}): ${said.en}`,
    );
  }
}

/** Amounts and name of a contract as of the height of the total. */
async function deriveAt(subject, inner) {
  const { height } = subject.stateHeader;
  const proven = inner.stateHeader.height;
  if (proven < height) {
    throw new Refuted(
      "wrong_height",
      `该合同证明到高度 ${proven}，而合计是高度 ${height} 的。`,
      `The contract is proven up to height ${proven}, and the total is that of height ${height}.`,
    );
  }
  const entries = inner.entries.filter((entry) => entry.height <= height);
  const bodies = inner.bodies.slice(0, entries.length);
  const books = await foldLife(entries, bodies, async () => {});
  if (books === null) {
    throw new Refuted(
      "wrong_height",
      `该合同在高度 ${height} 尚未按条款订立。`,
      `The contract was not signed under terms by height ${height}.`,
    );
  }
  if (books.parties.merchant !== subject.merchant) {
    throw new Refuted(
      "bad_field",
      `该合同的经营者为 ${books.parties.merchant}，而不是 ${subject.merchant}。`,
      `The contract is of merchant ${books.parties.merchant}, not of ${subject.merchant}.`,
    );
  }
  let [due, party] = [null, ""];
  for (const [place, { outcome }] of entries.entries()) {
    if (outcome.refused) continue;
    const { kind, data } = bodies[place];
    if (kind === "refund.computed") due = takeDue(new Map(outcome.effects));
    else if (kind === "contract.signed") party = takeParty(data);
  }
  const { contract } = inner.file;
  const amounts = { ...books.amounts };
  const returned = amounts.refunded - amounts.interest_paid + amounts.repaid;
  amounts.owed = Math.max(0, (due ?? 0) - returned);
  return {
    contract,
    amounts,
    entries: inner.entries.length,
    height: proven,
    isOwedStated: due !== null && !inner.isOwedDerived,
    name: await sha256(TAGS.claim, fromHex(party), toUtf8(`contract/${contract}`)),
  };
}

function takeDue(effects) {
  const due = effects.get("due_high");
  if (!Number.isSafeInteger(due) || due < 0) {
    throw new Refuted(
      "bad_field",
      "应退金额的计算没有载明 due_high。",
      "A computation of what is owed states no due_high.",
    );
  }
  return due;
}

function takeParty(data) {
  const persons = data.get("persons");
  const party = persons instanceof Map ? persons.get("party") : null;
  if (typeof party !== "string" || !COMMITMENT.test(party)) {
    throw new Refuted(
      "bad_field",
      "订立合同的记录没有载明消费者承诺值。",
      "The entry that signed the contract has no commitment to the consumer.",
    );
  }
  return party;
}
