// Offline verification of evidence, step by step: bytes and a trusted hash in, a report out.
//
// The steps are those of docs/EVIDENCE.md, under the same numbers, and this is a second implementation
// of them, written from that page. The first step that fails ends the examination; what comes after it
// is not run. Nothing here reads a clock, a network or a file; `pause` lets a page stay alive.

import { checkAnswer } from "./answer_steps.js";
import { toHex } from "./bytes.js";
import { DISCLOSED_LIMIT, checkDisclosures } from "./disclosure_step.js";
import { requireEd25519 } from "./ed25519.js";
import {
  CONSISTENCY,
  EQUIVOCATION,
  HISTORY,
  LIABILITIES,
  RECORD,
  SCHEDULE,
  SCHEDULE_START,
  STATE,
  kindOf,
  readEvidence,
  readScheduleHead,
} from "./evidence_file.js";
import { checkBalances, checkCompleteness } from "./history_steps.js";
import { checkClaims, checkTotal } from "./liability_steps.js";
import { checkCheckpoint, checkEntries, checkGenesis, checkHeaders, checkValidators } from "./log_steps.js";
import { sha256Slowly } from "./long_hash.js";
import { WORKING_LIMIT, checkOwed } from "./owed_step.js";
import { PLATFORM_LIMIT, checkPlatform } from "./platform_step.js";
import { UNCHECKED_LIMIT, checkPostQuantum } from "./post_quantum_step.js";
import { checkBodies, checkCertificate, checkKeys, checkOutcome, checkSignatures } from "./record_steps.js";
import { NotRun, Refuted, Rejected } from "./refusal.js";
import { checkWhole, makeContractsCheck } from "./schedule_steps.js";
import { HASH_LIMIT, STATEMENT_LIMIT, checkReceipts, checkStatement } from "./statement_step.js";
import { TIMESTAMP_LIMIT, checkTimestamps } from "./timestamp_step.js";
import { countContracts, formatTimeMs, wordsOf, wordsOfFile } from "./wording.js";

const STEPS = [
  { number: 1, zh: "文件可读", en: "the file can be read" },
  { number: 2, zh: "创世文件", en: "the trusted genesis", check: checkGenesis },
  { number: 3, zh: "验证者与法定多数", en: "validators and quorum", check: checkValidators },
  { number: 4, zh: "检查点与联署", en: "checkpoint and cosignatures", check: checkCheckpoint },
  { number: 5, zh: "区块头在日志中", en: "the header in the log", check: checkHeaders },
  { number: 6, zh: "条目的位置", en: "the entry in its place", check: checkEntries },
  { number: 7, zh: "正文与交易号", en: "body and transaction id", check: checkBodies },
  { number: 8, zh: "签名", en: "signatures", check: checkSignatures },
  { number: 9, zh: "签名者的密钥", en: "the signers' keys", check: checkKeys },
  { number: 10, zh: "执行结果", en: "the outcome", check: checkOutcome },
  { number: 11, zh: "提交证书", en: "commit certificate", check: checkCertificate },
  { number: 12, zh: "记录完整", en: "completeness", check: checkCompleteness },
  { number: 13, zh: "余额复算", en: "balances", check: checkBalances },
  { number: 14, zh: "应退复算", en: "what is owed", check: checkOwed },
  { number: 15, zh: "披露的信息", en: "disclosed fields", check: checkDisclosures },
];

export const ANSWER = { number: 18, zh: "所证事项", en: "what is asked", check: checkAnswer };

/** Of a file with cosignatures that outlive Ed25519. */
const POST_QUANTUM = {
  number: 19, zh: "后量子联署", en: "post-quantum cosignatures", check: checkPostQuantum,
};

/** Of a file with platform statements, after the one before. */
const PLATFORM = {
  number: 22, zh: "平台声明", en: "platform statements", check: checkPlatform,
};

/** Of a Transparent Statement, after the steps of its evidence. */
const STATEMENT_STEPS = [
  { number: 23, zh: "已登记的声明", en: "the registered statement", check: checkStatement },
  { number: 24, zh: "COSE 收据", en: "COSE receipts", check: checkReceipts },
];

/** Of a file with time stamps, after all its other steps. */
const TIMESTAMPS = { number: 25, zh: "可信时间戳", en: "time stamps", check: checkTimestamps };

/** Of a file of liabilities, which is about no entry. */
const LIABILITY_STEPS = [
  ...STEPS.slice(0, 5),
  { number: 16, zh: "经营者合计", en: "the merchant's total", check: checkTotal },
  { number: 17, zh: "合同计入合计", en: "contracts in the total", check: checkClaims },
];

/** Of a schedule, whose lines each have the steps of a contract. */
const SCHEDULE_STEPS = [
  ...LIABILITY_STEPS.slice(0, 6),
  { number: 20, zh: "逐份合同", en: "each contract", check: makeContractsCheck(STEPS.slice(3)) },
  { number: 21, zh: "债权表齐全", en: "the schedule is whole", check: checkWhole },
];

/** The steps of a kind of file; `STEPS` for one that is not here. */
const PLANS = {
  [LIABILITIES]: LIABILITY_STEPS,
  [SCHEDULE]: SCHEDULE_STEPS,
  [EQUIVOCATION]: [...STEPS.slice(0, 3), ANSWER],
  [CONSISTENCY]: [...STEPS.slice(0, 4), ANSWER],
  [STATE]: [...STEPS.slice(0, 5), ANSWER],
  [RECORD]: [...STEPS.slice(0, 10), STEPS[11], ANSWER],
};

function planOf(file) {
  const plan = PLANS[file?.kind] ?? STEPS;
  return [
    ...plan,
    ...(file?.postQuantum ? [POST_QUANTUM] : []),
    ...(file?.platform ? [PLATFORM] : []),
    ...(file?.statement ? STATEMENT_STEPS : []),
    ...(file?.timestamps ? [TIMESTAMPS] : []),
  ];
}

/**
 * Verify an evidence file against the genesis hash a person trusts (32 bytes).
 *
 * `onProgress(place, done, total)` may be async; it is awaited between pieces of work and lets the page
 * breathe. A place is a step among the steps of this file, counted from 1: `{ step, number, count }`.
 * Throws `Unsupported` where the browser cannot verify, and whatever `onProgress` throws.
 */
export async function verifyEvidence(raw, trustedChainId, onProgress = async () => {}, onStep = () => {}) {
  await requireEd25519();
  const subject = { trustedChainId };
  const steps = [];
  const add = (step, result, words, reason = "") => {
    const { number, zh, en } = step;
    const told = { number, name: { zh, en }, result, explanation: words, reason };
    steps.push(told);
    onStep(told);
  };
  const [first] = STEPS;
  const reading = { step: first, number: 1, count: STEPS.length };
  const pause = (at) => onProgress(reading, at, raw.length);
  await pause(0);
  const digest = toHex(await sha256Slowly(raw, pause));
  let failedAt = 0;
  const isSchedule = SCHEDULE_START.every((byte, at) => raw[at] === byte);
  try {
    subject.file = await (isSchedule ? readScheduleHead(raw, pause) : readEvidence(raw, pause));
    add(first, "ok", describeFile(subject.file, raw.length));
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    failedAt = 1;
    add(first, "failed", wordsOfFile(error), error.reason);
  }
  const plan = isSchedule ? SCHEDULE_STEPS : planOf(subject.file);
  for (const [at, step] of plan.entries()) {
    if (step === first) continue;
    const { number } = step;
    const place = { step, number: at + 1, count: plan.length };
    if (failedAt) {
      add(step, "not-run", {
        zh: `因第 ${failedAt} 步失败而未执行。`,
        en: `Not run, because step ${failedAt} failed.`,
      });
      continue;
    }
    await onProgress(place, 0, 0);
    try {
      add(step, "ok", await step.check(subject, (done, total) => onProgress(place, done, total)));
    } catch (error) {
      if (error instanceof NotRun) {
        add(step, "not-run", error.words);
      } else if (error instanceof Refuted || error instanceof Rejected) {
        failedAt = number;
        add(step, "failed", error instanceof Refuted ? error.words : wordsOf(error), error.reason);
      } else {
        throw error;
      }
    }
  }
  return {
    steps,
    failedAt,
    conclusion: conclude(failedAt),
    limits: failedAt === 1 ? [] : limitsOf(subject, failedAt === 0),
    sha256: digest,
    subject,
  };
}

function describeFile(file, size) {
  const { kind, headBytes, statement } = file;
  if (kind === SCHEDULE) {
    return {
      zh: `首行 ${headBytes} 字节，规范 JSON，债权表。`,
      en: `A first line of ${headBytes} bytes of canonical JSON, a schedule of claims.`,
    };
  }
  const name = kindOf(file);
  if (statement) {
    return {
      zh: `${size} 字节，COSE 透明声明，内含种类为 ${name} 的存证文件。`,
      en:
        `${size} bytes of COSE, a Transparent Statement with an evidence file of kind ${name} in it.`,
    };
  }
  return {
    zh: `${size} 字节，规范 JSON，种类 ${name}。`,
    en: `${size} bytes of canonical JSON, kind ${name}.`,
  };
}

function conclude(failedAt) {
  if (failedAt === 0) return { exitStatus: 0, zh: "一致", en: "consistent" };
  if (failedAt === 1) return { exitStatus: 2, zh: "无法核验", en: "unusable" };
  return { exitStatus: 1, zh: "不一致", en: "inconsistent" };
}

/** What the conclusion does not say. */
function limitsOf(
  { root, file, stateHeader, isReplayed, isOwedDerived, isPostQuantumVerified, disclosed, statedCount },
  isConsistent,
) {
  if (!isConsistent) {
    return [
      {
        zh: "“不一致”只说明此文件不能证明其内容，并不说明账本本身被改动；可另取一份文件再核验。",
        en:
          "“Inconsistent” says that this file does not prove its content. It does not say that the " +
          "ledger was altered; another copy may verify.",
      },
    ];
  }
  if (file.kind === EQUIVOCATION) {
    return [
      {
        zh: "证明：该验证者的密钥签署了两份不能同真的陈述，凭创世文件即可核验。",
        en:
          "Proven: that validator's key signed two statements of which not both can be true; genesis " +
          "alone decides.",
      },
      { zh: "不证明：何人使用该密钥，以及出于何种原因。", en: "Not proven: who used the key, and why." },
      { zh: "前提：创世哈希取自可信来源。", en: "Assumed: the genesis hash is from a trusted source." },
    ];
  }
  const limits = [
    {
      zh: "证明：自上链之时起内容未被改动（《人民法院在线诉讼规则》第十六条）。",
      en:
        "Proven: the content is unchanged since it was put on the chain (Rules of Online Litigation " +
        "of People's Courts, art. 16).",
    },
    {
      zh:
        "不证明：上链之前即为真实。上链前的真实性须结合来源、生成机制、存储过程、公证、第三方见证" +
        "及关联印证数据另行审查（同规则第十八条）。",
      en:
        "Not proven: that it was true before. That turns on source, generation, storage, notarisation, " +
        "witnesses and corroborating data (the same, art. 18).",
    },
    {
      zh:
        `前提：${root.institutions.length} 家机构中至多 ${root.faultyMax} 家不诚实，且创世哈希` +
        "取自可信来源。",
      en:
        `Assumed: at most ${root.faultyMax} of ${root.institutions.length} institutions lie, and the ` +
        "genesis hash came from a source that is trusted.",
    },
  ];
  const upTo = stateHeader === undefined ? null : describeHeight(stateHeader);
  if (file.kind === CONSISTENCY) {
    limits.push({
      zh: "此文件不含条目，不说明条目的内容。",
      en: "The file holds no entries and does not say what they are.",
    });
  } else if (file.kind === STATE || file.kind === RECORD) {
    limits.push({
      zh: `所证截至${upTo.zh}；其后的记录不在此文件之内。`,
      en: `What is proven is up to ${upTo.en}; what came later is not in this file.`,
    });
    if (file.kind === RECORD) {
      limits.push({
        zh: "时间是区块的时间：记录上链之时，而不是事情发生之时。",
        en: "Times are those of blocks: when it was recorded, not when it happened.",
      });
    }
  } else if (file.kind === LIABILITIES || file.kind === SCHEDULE) {
    limits.push(
      {
        zh: `合计截至${upTo.zh}；应退余额取各种可能结果中的最高者，未经计算者计为零。`,
        en:
          `The totals are those of ${upTo.en}; what is owed is the highest of the ` +
          "possible results, and 0 until it was computed.",
      },
      {
        zh: "合计只含按条款订立的合同；不含条款的预付合同与未上链的债务不在其内。",
        en:
          "The totals are of contracts under terms; plain prepaid contracts, and debts that are not on " +
          "the chain, are not in them.",
      },
    );
    if (statedCount > 0) {
      limits.push({
        zh:
          `其中 ${statedCount} 份合同的应退余额依其上链时的计算结果列出，未经复算：文件未附其条款与` +
          "公布数据。",
        en:
          `Of ${countContracts(statedCount)} what is owed is as it was computed on the chain, and was ` +
          "not derived again: the file holds no terms and no published data of theirs.",
      });
    }
  } else if (file.kind === HISTORY) {
    limits.push({
      zh: `完整性截至${upTo.zh}；其后的记录不在此文件之内。`,
      en: `Completeness is up to ${upTo.en}; what came later is not in this file.`,
    });
    if (!isReplayed) {
      limits.push({ zh: "余额未经复算。", en: "The balances were not derived again." });
    }
  } else {
    limits.push({
      zh: "此文件只涉及一笔交易，不说明同一合同的其他记录。",
      en: "This file is about one transaction and says nothing of the contract's others.",
    });
  }
  if (isOwedDerived) limits.push(WORKING_LIMIT);
  if (file.postQuantum && !isPostQuantumVerified) limits.push(UNCHECKED_LIMIT);
  if (file.platform) limits.push(PLATFORM_LIMIT);
  if (disclosed) limits.push(DISCLOSED_LIMIT);
  if (file.statement) limits.push(STATEMENT_LIMIT, ...(file.statement.isHash ? [HASH_LIMIT] : []));
  if (file.timestamps) limits.push(TIMESTAMP_LIMIT);
  return limits;
}

/** Up to where a file speaks, with the date: an old file is as consistent as a new one. */
function describeHeight({ height, timeMs }) {
  const time = formatTimeMs(timeMs);
  return { zh: `高度 ${height}（${time.zh}）`, en: `height ${height} (${time.en})` };
}
