// The prepaid contract, version 1, replayed from its entries by a third reading of its rules.
//
//     open ──► prepay ──► consume … ──► refund
//              paid += a   locked → released   locked → refunded
//
// An entry that was applied must be one the rules allow (opened once, signed by whom the terms name,
// never more than is locked) and state the balances it led to. One that was refused changes nothing;
// a refusal for want of money names the balance that was there. The end is the record in the state.
// A kind or version that is not known here is no contradiction: then the step is not run.

import { toHex } from "./bytes.js";
import { show } from "./quoting.js";
import { NotRun, Refuted } from "./refusal.js";
import { checkRefusal, compareWithState, fail, isSame } from "./replaying.js";
import { INTEGER_MAX } from "./strict_json.js";

const ACTIONS = ["prepaid.prepay", "prepaid.consume", "prepaid.refund"];
const OTHERS = ["prepaid.open", "attest", "private.committed"];
const ROLES = ["merchant", "custodian", "consumer"];
const RECORD_VERSION = 1;
const RECORD_FIELDS = 18;

/** What `fold` gives, compared with the record in the state. */
export async function replay(entries, bodies, record, pause) {
  const balance = await fold(entries, bodies, pause);
  compare(balance, record);
  return balance;
}

/** The balance the entries lead to, or null if none of them opened the contract. */
export async function fold(entries, bodies, pause) {
  let balance = null;
  for (const [place, entry] of entries.entries()) {
    const body = bodies[place];
    if (place % 512 === 511) await pause(place, entries.length);
    if (entry.outcome.refused) {
      checkRefusal(place, entry, body, balance === null ? 0 : balance.locked);
      continue;
    }
    if (body.version !== 1 || !(ACTIONS.includes(body.kind) || OTHERS.includes(body.kind))) {
      throw new NotRun(
        `第 ${place + 1} 条适用 ${body.kind} 第 ${body.version} 版规则，本核验程序不认识；` +
          "记录的完整性（第 12 步）不受影响。",
        `entries[${place}] ran under ${body.kind} version ${body.version}, which this verifier does ` +
          "not know; completeness (step 12) does not depend on it.",
      );
    }
    if (body.kind === "prepaid.open") {
      if (balance !== null) fail(place, "合同已开立，不能再次开立", "the contract was already open");
      balance = open(place, entry, body);
    } else if (balance === null) {
      fail(place, "合同尚未开立", "the contract was not open");
    } else if (ACTIONS.includes(body.kind)) {
      apply(place, entry, body, balance);
    }
  }
  return balance;
}

function open(place, entry, { data, signers }) {
  const attesters = data.has("attesters") ? data.get("attesters") : new Map();
  if (!(attesters instanceof Map)) fail(place, "attesters 格式不符", "attesters is not an object");
  const balance = {
    parties: {
      merchant: text(place, data, "merchant"),
      custodian: text(place, data, "custodian"),
      consumer: data.has("consumer_party") ? text(place, data, "consumer_party") : "",
    },
    consumer: text(place, data, "consumer"),
    industry: text(place, data, "industry"),
    termsHash: text(place, data, "terms_hash"),
    attesters: ["prepay", "consume", "refund"].map((action) => roles(place, attesters.get(action))),
    openedHeight: entry.height,
    paid: 0,
    locked: 0,
    released: 0,
    refunded: 0,
    counts: [0, 0, 0],
  };
  checkSigners(place, signers, balance, "merchant");
  if (!isSame(entry.outcome.effects, [["locked", 0]])) {
    fail(place, "开立后的余额应为 0", "an opened contract has nothing locked");
  }
  return balance;
}

function apply(place, { outcome }, body, balance) {
  const action = ACTIONS.indexOf(body.kind);
  checkSigners(place, body.signers, balance, balance.attesters[action]);
  const amount = body.data.get("amount");
  if (typeof amount !== "number" || amount < 1) {
    fail(place, `金额 ${show(amount)} 不是正整数分`, `amount ${show(amount)} is not whole fen`);
  }
  if (action > 0 && amount > balance.locked) {
    fail(
      place,
      `动用 ${amount} 分，而锁定余额仅 ${balance.locked} 分`,
      `${amount} fen were moved, but only ${balance.locked} were locked`,
    );
  }
  move(balance, action, amount);
  if (balance.paid > INTEGER_MAX) {
    fail(place, "已付金额超过上限", "more was paid than the bound allows");
  }
  const expected = ["paid", "locked", "released", "refunded"].map((name) => [name, balance[name]]);
  if (!isSame(outcome.effects, expected)) {
    const spell = (effects) => effects.map(([name, value]) => `${name} ${value}`).join(", ");
    fail(
      place,
      `所载余额为 ${spell(outcome.effects)}，复算为 ${spell(expected)}（分）`,
      `it states ${spell(outcome.effects)}, but the entries give ${spell(expected)} (fen)`,
    );
  }
}

function move(balance, action, amount) {
  if (action === 0) {
    balance.paid += amount;
    balance.locked += amount;
  } else {
    balance.locked -= amount;
    balance[action === 1 ? "released" : "refunded"] += amount;
  }
  balance.counts[action] += 1;
}

/** Every needed role signed, and nobody who is not of this contract. */
function checkSigners(place, signers, balance, needed) {
  const parties = Object.values(balance.parties);
  const hasStranger = signers.some((signer) => !parties.includes(signer));
  const isMissing = needed.split(" ").some((role) => !signers.includes(balance.parties[role]));
  if (hasStranger || isMissing) {
    fail(
      place,
      `签名者为 ${signers.join("、")}，而合同要求 ${needed} 签名且仅限合同各方`,
      `it was signed by ${signers.join(", ")}, but ${needed} must sign, and only parties of the contract may`,
    );
  }
}

function compare(balance, record) {
  if (balance === null || record === null) {
    if (balance === record) return;
    throw new Refuted(
      "root_mismatch",
      `依记录合同${balance === null ? "未" : "已"}开立，链上状态却相反。`,
      `By its entries the contract was ${balance === null ? "never " : ""}opened; the state says otherwise.`,
    );
  }
  if (record[0] !== "prepaid" || record[1] !== RECORD_VERSION || record.length !== RECORD_FIELDS) {
    const shown = show(record.slice(0, 2));
    throw new NotRun(
      `链上状态 ${shown} 的格式本核验程序不认识。`,
      `The state's record ${shown} is not of a version this verifier knows.`,
    );
  }
  const hex = (value) => (value instanceof Uint8Array ? toHex(value) : show([value]).slice(1, -1));
  const derived = [
    ["merchant", record[2], balance.parties.merchant],
    ["custodian", record[3], balance.parties.custodian],
    ["consumer", hex(record[4]), balance.consumer],
    ["consumer_party", record[5], balance.parties.consumer],
    ["industry", record[6], balance.industry],
    ["terms_hash", hex(record[7]), balance.termsHash],
    ["attesters", record[8], balance.attesters],
    ["opened_height", record[9], balance.openedHeight],
    ["paid", record[11], balance.paid],
    ["locked", record[12], balance.locked],
    ["released", record[13], balance.released],
    ["refunded", record[14], balance.refunded],
    ["counts", record.slice(15, 18), balance.counts],
  ];
  compareWithState(derived);
}

function text(place, data, name) {
  const value = data.get(name);
  if (typeof value !== "string") fail(place, `缺少 ${name}`, `${name} is missing`);
  return value;
}

function roles(place, value) {
  if (value === undefined || value === null) return "merchant";
  if (!Array.isArray(value) || value.length === 0 || !value.every((role) => ROLES.includes(role))) {
    fail(place, "attesters 含未知角色", "attesters names an unknown role");
  }
  return value.join(" ");
}
