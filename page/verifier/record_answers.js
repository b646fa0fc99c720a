// What stands in a span of time, which terms were in force, and whether a balance is right.

import { toHex } from "./bytes.js";
import { sha256 } from "./hashing.js";
import { SIGNED, foldLife, isUnderTerms } from "./life_replay.js";
import { fold } from "./prepaid_replay.js";
import { NotRun, Refuted } from "./refusal.js";
import { describeSpan, takeSpan, timeOf } from "./span.js";
import { KIND_WORDS, countEntries, describeKind, formatFen, formatTimeMs, showText } from "./wording.js";

const LISTED_MAX = 8;
const TERMS_MEMBER = new Map([[SIGNED, "terms"], ["prepaid.open", "terms_hash"]]);
const PRICE_CHANGED = "price.changed";
const ENDS = new Set([
  "cooling_off.requested",
  "termination.requested",
  "complaint.served",
  "termination.agreed",
  "termination.judged",
  "invalidity.found",
  "contract.closed",
]);

function places([begin, end]) {
  return Array.from({ length: Math.max(0, end - begin) }, (_, at) => begin + at);
}

/** What of some kinds stands in a span of time, above all that nothing does. */
export async function answerWindow(subject) {
  const { file, entries, bodies } = subject;
  const { from, until, kinds } = file.question;
  const inside = places(takeSpan(subject, from, until));
  const found = inside.filter((place) => kinds.length === 0 || kinds.includes(bodies[place].kind));
  const refused = found.filter((place) => entries[place].outcome.refused).length;
  const span = describeSpan(from, until);
  const listed = kinds.join(", ");
  const listedZh = kinds.length > 0 ? ` ${kinds.join("、")} ` : "";
  const of = listed === "" ? "" : ` of ${listed}`;
  const stream = `contract/${file.contract}`;
  const there = new Set(found.map((place) => bodies[place].kind));
  const caution = cautionOf(kinds.filter((kind) => !KIND_WORDS.has(kind) && !there.has(kind)));
  if (found.length === 0) {
    return {
      zh: `${span.zh}，${stream} 没有${listedZh || "任何"}记录；该期间共有 ${inside.length} 条记录。${caution.zh}`,
      en:
        `${span.en} ${stream} has no entry${of}; in that time it has ` +
        `${countEntries(inside.length)} in all.${caution.en}`,
    };
  }
  const told = found.slice(0, LISTED_MAX).map((place) => describeEntry(subject, place));
  const more = found.length - told.length;
  return {
    zh:
      `${span.zh}，${stream} 有 ${found.length} 条${listedZh || "任何种类的"}记录（其中已记录为拒绝 ` +
      `${refused} 条），该期间共有 ${inside.length} 条：${told.map((one) => one.zh).join("；")}` +
      `${more > 0 ? `；另有 ${more} 条` : ""}。${caution.zh}`,
    en:
      `${span.en} ${stream} has ${countEntries(found.length)}${of} (${refused} of them recorded as ` +
      `refused), of ${countEntries(inside.length)} in that time: ${told.map((one) => one.en).join("; ")}` +
      `${more > 0 ? `; and ${more} more` : ""}.${caution.en}`,
  };
}

/** A word that no kind of transaction bears has no entries, whatever happened. */
function cautionOf(unknown) {
  if (unknown.length === 0) return { zh: "", en: "" };
  const listed = unknown.join(", ");
  return {
    zh: `本核验程序不认识种类 ${listed}：若系误写，没有记录不说明任何事。`,
    en:
      ` This verifier does not know the kind ${listed}: if it is misspelt, that it has no entry says ` +
      "nothing.",
  };
}

/** Which terms were in force at a moment, by what the record held until then. */
export async function answerTerms(subject) {
  const { file, entries, bodies } = subject;
  const { at, document } = file.question;
  const inside = places(takeSpan(subject, null, at + 1));
  const applied = inside.filter((place) => !entries[place].outcome.refused);
  const moment = formatTimeMs(at);
  if (applied.length === 0) {
    if (document !== null) {
      throw new Refuted(
        "root_mismatch",
        "此时合同尚未订立，文件所附条款不是其条款。",
        "The contract was not open then; the document in the file is not its terms.",
      );
    }
    return {
      zh: `截至${moment.zh}，合同尚未订立，没有条款。`,
      en: `At ${moment.en} the contract was not open and had no terms.`,
    };
  }
  const [opened] = applied;
  const member = TERMS_MEMBER.get(bodies[opened].kind);
  const terms = member === undefined ? undefined : bodies[opened].data.get(member);
  if (typeof terms !== "string") {
    throw new Refuted(
      "bad_field",
      `第 ${opened + 1} 条已生效，却未载明条款。`,
      `entries[${opened}] took effect and names no terms.`,
    );
  }
  const hash = document === null ? null : toHex(await sha256(document));
  if (hash !== null && hash !== terms) {
    throw new Refuted(
      "root_mismatch",
      `文件所附条款的 SHA-256 为 ${hash}，合同载明 ${terms}。`,
      `The document in the file has SHA-256 ${hash}; the contract names ${terms}.`,
    );
  }
  const changes = applied
    .filter((place) => bodies[place].kind === PRICE_CHANGED)
    .map((place) => describeChange(subject, place));
  const since = formatTimeMs(timeOf(subject, opened));
  const colon = changes.length > 0;
  const ends = applied.filter((place) => ENDS.has(bodies[place].kind));
  const { lead, ended } = describeEnds(subject, moment, ends);
  return {
    zh:
      `${lead.zh}${since.zh} 订立的条款，SHA-256 ${terms}` +
      `${hash !== null ? "，即文件所附者" : "（文件未附全文）"}；其后至此时记录的价格变更 ` +
      `${changes.length} 项${colon ? "：" : ""}${changes.map((one) => one.zh).join("；")}。` +
      `未经消费者同意的涨价不生效力（法释〔2025〕4号第十二条）。${ended.zh}`,
    en:
      `${lead.en} agreed at ${since.en}, SHA-256 ${terms}` +
      `${hash !== null ? ", which is the document in the file" : " (not in the file)"}; price changes ` +
      `recorded until then: ${changes.length}${colon ? ": " : ""}` +
      `${changes.map((one) => one.en).join("; ")}. A rise without the consumer's consent has no effect ` +
      `(法释〔2025〕4号 art. 12).${ended.en}`,
  };
}

/** How the sentence begins, and how it ends: terms of what was ended may bind nobody. */
function describeEnds(subject, moment, ends) {
  if (ends.length === 0) {
    const lead = { zh: `${moment.zh} 有效的是`, en: `In force at ${moment.en} were the terms` };
    return { lead, ended: { zh: "", en: "" } };
  }
  const told = ends.map((place) => ({
    kind: describeKind(subject.bodies[place].kind, 1),
    time: formatTimeMs(timeOf(subject, place)),
  }));
  return {
    lead: { zh: `截至${moment.zh}，条款为`, en: `The terms up to ${moment.en} were those` },
    ended: {
      zh:
        `其后至此时记录的终结事项 ${ends.length} 项：` +
        `${told.map(({ kind, time }) => `${kind.zh}（${time.zh}）`).join("；")}。条款是否仍有约束力，` +
        "此处不作判断。",
      en:
        ` Recorded of its end until then: ${ends.length}: ` +
        `${told.map(({ kind, time }) => `${kind.en} at ${time.en}`).join("; ")}. Whether they still ` +
        "bound anybody is not said here.",
    },
  };
}

/** What was locked: opening + paid in − delivered − refunded. */
export async function answerBalance(subject, pause) {
  const { from, until, stated } = subject.file.question;
  const [, end] = takeSpan(subject, null, until);
  const opening = places([0, end]).filter((place) => timeOf(subject, place) < from).length;
  let before;
  let after;
  try {
    before = await foldAmounts(subject, opening, pause);
    after = await foldAmounts(subject, end, pause);
  } catch (error) {
    // An answer that is not derived must not look like one that was.
    if (!(error instanceof NotRun)) throw error;
    throw new Refuted("unknown_kind", error.words.zh, error.words.en);
  }
  if (after.locked !== stated) {
    const [said, derived] = [formatFen(stated), formatFen(after.locked)];
    throw new Refuted(
      "bad_field",
      `所称余额为 ${said.zh}，复算为 ${derived.zh}。`,
      `The balance is said to be ${said.en}; the entries give ${derived.en}.`,
    );
  }
  const span = describeSpan(from, until);
  const moved = (name) => formatFen(after[name] - before[name]);
  const [first, paid, interest, released, refunded, last] = [
    formatFen(before.locked), moved("paid"), moved("interest"), moved("released"), moved("refunded"),
    formatFen(after.locked),
  ];
  return {
    zh:
      `${span.zh}：期初 ${first.zh} + 预付 ${paid.zh} + 结息 ${interest.zh} − 交付 ${released.zh} − ` +
      `退款 ${refunded.zh} = 期末 ${last.zh}，与所称一致。`,
    en:
      `${span.en}: opening ${first.en} + paid in ${paid.en} + interest ${interest.en} − delivered ` +
      `${released.en} − refunded ${refunded.en} = closing ${last.en}, as stated.`,
  };
}

/** The amounts after the first `count` entries. */
async function foldAmounts(subject, count, pause) {
  const entries = subject.entries.slice(0, count);
  const bodies = subject.bodies.slice(0, count);
  if (isUnderTerms(entries, bodies)) {
    const { amounts } = await foldLife(entries, bodies, pause);
    const { deposited, interest, released, refunded, locked } = amounts;
    return { paid: deposited, interest, released, refunded, locked };
  }
  const balance = await fold(entries, bodies, pause);
  if (balance === null) return { paid: 0, interest: 0, released: 0, refunded: 0, locked: 0 };
  const { paid, released, refunded, locked } = balance;
  return { paid, interest: 0, released, refunded, locked };
}

function describeEntry(subject, place) {
  const { outcome } = subject.entries[place];
  const body = subject.bodies[place];
  const [kind, time] = [describeKind(body.kind, body.version), formatTimeMs(timeOf(subject, place))];
  const number = subject.file.first + place + 1;
  return {
    zh: `第 ${number} 条，${time.zh}，${kind.zh}${outcome.refused ? "，已记录为拒绝" : ""}`,
    en: `number ${number} at ${time.en}, ${kind.en}${outcome.refused ? ", recorded as refused" : ""}`,
  };
}

function describeChange(subject, place) {
  const { data, signers } = subject.bodies[place];
  const time = formatTimeMs(timeOf(subject, place));
  const price = data.get("price");
  const fen = typeof price === "number" ? formatFen(price) : { zh: "？", en: "?" };
  const item = data.get("item");
  const name = typeof item === "string" ? showText(item) : "?";
  const listed = signers.join(", ");
  return {
    zh: `${name} 改为 ${fen.zh}（${time.zh}，签名：${listed}）`,
    en: `${name} at ${fen.en} (${time.en}, signed by ${listed})`,
  };
}
