// Steps 12 and 13: the record is complete, and its balances follow from it.
//
// Completeness is one state proof and a recount: the certified state commits to how many entries name
// the contract and to the RFC 9162 root over them, so an entry left out, added, altered or moved gives
// another count or another root. The balances are derived in `prepaid_replay.js` and, of a contract
// under terms, in `life_replay.js`.

import { equal, toHex } from "./bytes.js";
import { HISTORY, RECORD } from "./evidence_file.js";
import { isUnderTerms, replayLife } from "./life_replay.js";
import { computeRoot, verifyRange } from "./merkle.js";
import { replay } from "./prepaid_replay.js";
import { readClaim } from "./record_steps.js";
import { NotRun, Refuted } from "./refusal.js";
import { countEntries, formatFen, showName } from "./wording.js";

/** Step 12: the entries are all there are of this contract up to the header's height. */
export async function checkCompleteness(subject, pause) {
  const { file, bodies, entries, stateHeader } = subject;
  if (file.kind !== HISTORY && file.kind !== RECORD) {
    throw new NotRun(
      "此文件只涉及一笔交易；记录是否完整，须用 kind 为 history 的文件核验。",
      "This file is about one transaction; whether a record is complete is what a file of kind history shows.",
    );
  }
  const stream = `contract/${file.contract}`;
  if (file.state.stream !== stream) {
    throw new Refuted(
      "bad_field",
      `状态值属于 ${showName(file.state.stream)}，而不是 ${stream}。`,
      `The state value is that of ${showName(file.state.stream)}, not of ${stream}.`,
    );
  }
  const place = bodies.findIndex((body) => body.stream !== stream);
  if (place >= 0) {
    throw new Refuted(
      "bad_field",
      `第 ${place + 1} 条归属 ${bodies[place].stream}，而不是 ${stream}。`,
      `entries[${place}] names stream ${bodies[place].stream}, not ${stream}.`,
    );
  }
  if (file.kind === RECORD) return checkPositions(subject, stream);
  const value = (subject.stateValue = await readClaim(subject, file.state));
  const count = entries.length;
  if (count !== value.count) {
    const difference = Math.abs(value.count - count);
    throw new Refuted(
      "root_mismatch",
      `链上状态载明 ${value.count} 条，文件中有 ${count} 条，` +
        `${count < value.count ? "缺少" : "多出"} ${difference} 条。`,
      `The state counts ${countEntries(value.count)} and the file holds ${count}: ` +
        `${difference} ${count < value.count ? "missing" : "too many"}.`,
    );
  }
  const leaves = entries.map((entry) => entry.leaf);
  const root = await computeRoot(leaves, () => pause(count, count));
  if (!equal(root, value.root)) {
    throw new Refuted(
      "root_mismatch",
      `${count} 条记录的根为 ${toHex(root)}，链上状态载明 ${toHex(value.root)}：有记录被替换、` +
        "改动或调换次序。",
      `The root of ${countEntries(count)} is ${toHex(root)}, the state says ${toHex(value.root)}: ` +
        "some entry was replaced, altered or moved.",
    );
  }
  const { height } = stateHeader;
  return {
    zh:
      `截至高度 ${height}，${stream} 的全部记录恰为这 ${count} 条，无遗漏、无增添、无调换；根 ` +
      `${toHex(root)}。`,
    en:
      `Up to height ${height} ${tellWhole(count)} the whole record of ${stream}: none is ` +
      `missing, added or moved; root ${toHex(root)}.`,
  };
}

function tellWhole(count) {
  return count === 1 ? "this 1 entry is" : `these ${count} entries are`;
}

/** The entries of a record are consecutive in the contract's own record. */
async function checkPositions(subject, stream) {
  const { file, entries, stateHeader } = subject;
  const empty = { count: 0, root: await computeRoot([], async () => {}), record: null };
  const value = (subject.stateValue = (await readClaim(subject, file.state)) ?? empty);
  const leaves = entries.map((entry) => entry.leaf);
  await verifyRange(leaves, file.first, value.count, file.range, value.root);
  const { height } = stateHeader;
  if (value.count === 0) {
    return {
      zh: `截至高度 ${height}，没有任何记录归属 ${stream}。`,
      en: `Up to height ${height} no entry ever named ${stream}.`,
    };
  }
  const [first, last] = [file.first + 1, file.first + entries.length];
  return {
    zh:
      `截至高度 ${height}，${stream} 共有 ${value.count} 条记录；文件所载为其中第 ${first} 至第 ${last} 条，` +
      "其间无遗漏、无增添、无调换。",
    en:
      `Up to height ${height} ${stream} has ${countEntries(value.count)}; the file holds numbers ${first} ` +
      `to ${last} of them, and between these none is missing, added or moved.`,
  };
}

/** Step 13: replaying the outcomes gives the balances that the state holds. */
export async function checkBalances(subject, pause) {
  if (subject.file.kind !== HISTORY) {
    throw new NotRun(
      "此文件只涉及一笔交易；余额复算须有全部记录。",
      "This file is about one transaction; balances are derived from a whole record.",
    );
  }
  if (isUnderTerms(subject.entries, subject.bodies)) return checkBooks(subject, pause);
  const balance = await replay(subject.entries, subject.bodies, subject.stateValue.record, pause);
  subject.isReplayed = true;
  if (balance === null) {
    return {
      zh: "该合同从未开立：链上只有被拒绝的交易，没有余额。",
      en: "The contract was never opened: the chain holds refused attempts and no balance.",
    };
  }
  const [paid, locked, released, refunded] = [
    balance.paid, balance.locked, balance.released, balance.refunded,
  ].map(formatFen);
  return {
    zh:
      `逐条复算：锁定 ${locked.zh} + 已释放 ${released.zh} + 已退款 ${refunded.zh} = 已付 ` +
      `${paid.zh}，与链上状态一致。`,
    en:
      `Replayed: locked ${locked.en} + released ${released.en} + refunded ${refunded.en} = paid ` +
      `${paid.en}, as the state holds it.`,
  };
}

/** The same of a contract under terms. */
async function checkBooks(subject, pause) {
  const { entries, bodies, stateValue } = subject;
  const { amounts } = await replayLife(entries, bodies, stateValue.record, pause);
  subject.isReplayed = true;
  const [locked, released, refunded, deposited, interest] = [
    amounts.locked, amounts.released, amounts.refunded, amounts.deposited, amounts.interest,
  ].map(formatFen);
  return {
    zh:
      `逐条复算：锁定 ${locked.zh} + 已释放 ${released.zh} + 已退款 ${refunded.zh} = 存入 ` +
      `${deposited.zh} + 结息 ${interest.zh}，与链上状态一致。`,
    en:
      `Replayed: locked ${locked.en} + released ${released.en} + refunded ${refunded.en} = ` +
      `deposited ${deposited.en} + interest ${interest.en}, as the state holds it.`,
  };
}
