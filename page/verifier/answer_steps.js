// Step 18: what the file is for: one question, answered from what the steps before established.
//
// Growth of the log, a value in the state, two statements of a validator, or a question about a part of
// a contract's record.

import { toHex } from "./bytes.js";
import { answerAttestation, answerOmission, answerProduction } from "./duty_answers.js";
import { checkEquivocation } from "./equivocation.js";
import { CONSISTENCY, EQUIVOCATION, RECORD, STATE } from "./evidence_file.js";
import { isStreamName } from "./formats.js";
import { certify, splitCosigners } from "./log_steps.js";
import { verifyConsistency } from "./merkle.js";
import { answerBalance, answerTerms, answerWindow } from "./record_answers.js";
import { readClaim } from "./record_steps.js";
import { quote, show } from "./quoting.js";
import { NotRun, Refuted } from "./refusal.js";
import { takeInteger } from "./strict_msgpack.js";
import { countEntries, formatFen, formatTimeMs, showText } from "./wording.js";

/** Members of a custodian's record (docs/FORMATS.md, State). */
const CUSTODIAN = 9;

const ANSWERS = {
  attestation: answerAttestation,
  balance: answerBalance,
  omission: answerOmission,
  production: answerProduction,
  terms: answerTerms,
  window: answerWindow,
};

/** Step 18: the question that the file answers, and its answer. */
export async function checkAnswer(subject, pause) {
  const { file } = subject;
  switch (file.kind) {
    case CONSISTENCY:
      return checkConsistency(subject);
    case STATE:
      return checkState(subject);
    case EQUIVOCATION:
      return checkEquivocation(subject);
    case RECORD:
      return ANSWERS[file.question.ask](subject, pause);
    default:
      throw new NotRun("此文件没有提出问题。", "The file asks no question.");
  }
}

async function checkConsistency({ file, root, tree: newer }) {
  const { tree: older, times, existedBy } = await certify(root, file.older);
  await verifyConsistency(older.size, newer.size, file.path, older.root, newer.root);
  const { signed, unsigned } = splitCosigners(root, times);
  const by = formatTimeMs(existedBy);
  const hash = toHex(older.root);
  return {
    zh:
      `较早的检查点：树大小 ${older.size}，根 ${hash}，最迟于${by.zh} 已存在；由 ${times.size} 家机构联署：` +
      `${signed.zh}；文件中未见联署：${unsigned.zh}。其全部条目原样是树大小 ${newer.size} 的开头：只增未改，` +
      "无删除、无调换。",
    en:
      `The older checkpoint of size ${older.size}, root ${hash}, existed by ${by.en}, cosigned by ` +
      `${times.size}: ${signed.en}; no cosignature here of: ${unsigned.en}. All its entries are, as they were, the ` +
      `beginning of the tree of size ${newer.size}: entries were only added, none changed, removed or ` +
      "moved.",
  };
}

async function checkState(subject) {
  const { file, stateHeader } = subject;
  // Absence is proven of any name whatever, so one that no entry may bear is refused.
  if (!isStreamName(file.state.stream)) {
    const shown = quote([...file.state.stream].slice(0, 100).join(""));
    throw new Refuted(
      "bad_field",
      `${shown} 不是账本中记录可用的名称；其不存在不说明任何事。`,
      `${shown} is no name that a record of the ledger may bear; its absence says nothing.`,
    );
  }
  const value = await readClaim(subject, file.state);
  const { height } = stateHeader;
  const time = formatTimeMs(stateHeader.timeMs);
  const { stream } = file.state;
  if (value === null) {
    return {
      zh:
        `高度 ${height}（${time.zh}）的状态中没有 ${stream}：截至该高度，没有任何记录归属于它；` +
        "记录从不删除，故在此前任何高度也没有。",
      en:
        `The state of height ${height} (${time.en}) has no ${stream}: up to it no entry ever named it, ` +
        "and, as entries are never removed, none had at any earlier height.",
    };
  }
  const [first] = value.record ?? [];
  const kind = first === undefined ? "nil" : showText(show(first));
  const root = toHex(value.root);
  const sums = describeCustody(value.record);
  return {
    zh:
      `高度 ${height}（${time.zh}）的状态中，${stream} 共有 ${value.count} 条记录，根 ${root}，` +
      `其登记为 ${kind}。${sums.zh}`,
    en:
      `In the state of height ${height} (${time.en}) ${stream} has ${countEntries(value.count)} with ` +
      `root ${root}; its record is ${kind}.${sums.en}`,
  };
}

/** What a custodian's record holds, above all how many statements there are to be shown. */
function describeCustody(record) {
  if (record === null || record[0] !== "custodian") return { zh: "", en: "" };
  if (record.length !== CUSTODIAN || record[1] !== 1) {
    return {
      zh: "此登记的格式不为本软件所识，其金额与余额陈述（custody.stated）次数未予说明。",
      en:
        " The form of this record is not known here: its sums, and how many statements of a balance " +
        "(custody.stated) there are, are not told.",
    };
  }
  const [contracts, locked, stated] = [[2, "contracts"], [5, "locked"], [8, "stated"]].map(
    ([at, name]) => takeInteger(record[at], `custodian: ${name}`),
  );
  const fen = formatFen(locked);
  return {
    zh:
      `该机构保管 ${contracts} 份合同的资金，账本锁定 ${fen.zh}；` +
      (stated
        ? `其余额陈述（custody.stated）共 ${stated} 次，编号 1 至 ${stated}：出示不足此数的，即有未出示者。`
        : "其从未陈述余额（custody.stated）。"),
    en:
      ` Contracts whose money it keeps: ${contracts}, with ${fen.en} locked; ` +
      (stated
        ? `its statements of a balance (custody.stated) have the numbers 1 to ${stated}: whoever is ` +
          "shown fewer is not shown all."
        : "it never stated a balance (custody.stated)."),
  };
}
