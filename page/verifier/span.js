// Which entries of a record a question turns on, and that the file holds exactly these.
//
// A span of time is covered by the entries inside it with the one before and the one after, where the
// contract's record has them; its end must have passed by the header's own time.

import { equal, toHex } from "./bytes.js";
import { Refuted } from "./refusal.js";
import { formatTimeMs } from "./wording.js";

/** The time of the block of an entry, ms. */
export function timeOf({ blocks, entries }, place) {
  return blocks.get(entries[place].height).timeMs;
}

/** [first, end) of the entries in `[from, until)`; null: the record's own ends. */
export function takeSpan(subject, from, until) {
  const { file, entries } = subject;
  let begin = 0;
  if (from === null) {
    if (file.first !== 0) refuseStart(file.first + 1);
  } else {
    begin = entries.filter((_, place) => timeOf(subject, place) < from).length;
    if (begin > 1 || (begin === 0 && file.first !== 0)) refuseStart(file.first + 1);
  }
  return [begin, takeEnd(subject, until)];
}

/** [1, end) of the entries after the first one, which must be this transaction. */
export function takeAfter(subject, txId, until) {
  const { bodies } = subject;
  if (bodies.length === 0 || !equal(bodies[0].txId, txId)) {
    throw new Refuted(
      "bad_proof",
      `文件的第一条不是所问的交易 ${toHex(txId)}。`,
      `The first entry of the file is not transaction ${toHex(txId)}, which is asked about.`,
    );
  }
  return [1, takeEnd(subject, until)];
}

function takeEnd(subject, until) {
  const { file, entries, stateValue, stateHeader } = subject;
  const last = file.first + entries.length;
  const isLast = last === stateValue.count;
  if (until === null) {
    if (!isLast) refuseEnd(last, stateValue.count);
    return entries.length;
  }
  const after = entries.filter((_, place) => timeOf(subject, place) >= until).length;
  if (after > 1 || (after === 0 && !isLast)) refuseEnd(last, stateValue.count);
  if (after === 0 && stateHeader.timeMs < until) {
    const [limit, time] = [formatTimeMs(until), formatTimeMs(stateHeader.timeMs)];
    throw new Refuted(
      "wrong_height",
      `所问的时间至${limit.zh} 为止，而文件只证明到${time.zh} 的区块；其后仍可能有记录。`,
      `What is asked ends at ${limit.en}, and the file proves up to a block of ${time.en}; an entry ` +
        "may still come.",
    );
  }
  return entries.length - after;
}

/** A span of time in words. */
export function describeSpan(from, until) {
  const [first, last] = [formatTimeMs(from), formatTimeMs(until)];
  return { zh: `自${first.zh} 起至${last.zh} 前`, en: `From ${first.en} to before ${last.en}` };
}

function refuseStart(number) {
  throw new Refuted(
    "bad_proof",
    `文件自第 ${number} 条记录起，与所问的开始不合：缺少其前一条，或多附了无关的记录。`,
    `The file starts with entry number ${number}, which does not fit where the question starts: the ` +
      "entry before it is missing, or entries are there that it does not turn on.",
  );
}

function refuseEnd(number, count) {
  throw new Refuted(
    "bad_proof",
    `文件至第 ${number} 条记录（共 ${count} 条）止，与所问的结束不合：缺少其后一条，或多附了无关的记录。`,
    `The file ends with entry number ${number} of ${count}, which does not fit where the question ` +
      "ends: the entry after it is missing, or entries are there that it does not turn on.",
  );
}
