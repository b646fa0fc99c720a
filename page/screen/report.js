// A report on the screen: conclusion with its limits, the steps, the contract's life, the path through
// the tree, and what the file holds. A report is a value; it is shown again when the language changes.

import { fromUtf8, toHex } from "../verifier/bytes.js";
import { CONSISTENCY, EQUIVOCATION, LIABILITIES, SCHEDULE, TRANSACTION } from "../verifier/evidence_file.js";
import { walkInclusion } from "../verifier/merkle.js";
import { COLUMNS } from "../verifier/schedule_steps.js";
import { ANSWER } from "../verifier/verify.js";
import { formatFen, formatInstitutions } from "../verifier/wording.js";
import { showDisclosed } from "./disclosed.js";
import { make, makeSection, printable, printableLines } from "./elements.js";
import { showFindings } from "./findings.js";
import { drawPath } from "./merkle_drawing.js";
import { showOwed } from "./owed.js";
import { say } from "./texts.js";
import { showTimeline } from "./timeline.js";

/** Rows of a table that the page draws; verified are all. */
const ROWS_SHOWN_MAX = 2000;
const ANSWERS = [16, 17, ANSWER.number];
/** Types of content that are shown as the text they are. */
const TEXTUAL = /^(?:text\/|application\/(?:[\w.-]+\+)?json\b)/u;
const MOODS = { 0: "good", 1: "bad", 2: "idle" };

/** The sections of a report, in the order in which they are read. */
export async function showReport(language, report, fileName) {
  const sections = [
    showConclusion(language, report, fileName),
    showStatement(language, report),
    showSteps(language, report),
    showSchedule(language, report),
    showOwed(language, report),
    showFindings(language, report),
    showDisclosed(language, report),
    showTimeline(language, report),
    await showPaths(language, report),
    showContents(language, report),
  ];
  return sections.filter((section) => section !== null);
}

/** The conclusion in one sentence, for those who hear the page. */
export function sayConclusion(language, { conclusion, steps, failedAt }) {
  const failed = steps.find((step) => step.number === failedAt);
  const behind = failed
    ? say(language, "failedAt", failedAt, failed.name[language])
    : say(language, "allPassed");
  return { verdict: say(language, conclusion.en), behind };
}

function showConclusion(language, report, fileName) {
  const { verdict, behind } = sayConclusion(language, report);
  const failed = report.steps.find((step) => step.result === "failed");
  const limits = report.limits.map((limit) => make("li", {}, limit[language]));
  const facts = make("dl");
  const add = (name, value, className = "") =>
    facts.append(make("dt", {}, say(language, name)), make("dd", { class: className }, value));
  add("file", printable(fileName));
  add("sha256", report.sha256, "mono");
  add("trusted", toHex(report.subject.trustedChainId), "mono");
  add("browser", say(language, "browserValue"));
  return makeSection(
    "conclusion",
    say(language, "conclusion"),
    `conclusion ${MOODS[report.conclusion.exitStatus]}`,
    make("p", { class: "verdict" }, verdict),
    make("p", {}, behind),
    ...(failed ? [] : answersOf(report).map((answer) => make("p", { class: "answer" }, printable(answer[language])))),
    failed ? make("p", {}, printable(failed.explanation[language])) : null,
    limits.length > 0 ? make("ul", {}, ...limits) : null,
    facts,
  );
}

/** What a file proves that is for one thing, as the steps about it found it. */
function answersOf({ steps }) {
  const said = steps.filter(({ number, result }) => ANSWERS.includes(number) && result === "ok");
  return said.map(({ explanation }) => explanation);
}

/** A SCITT statement: who states what of which transaction, and who gave receipts of it. */
function showStatement(language, { failedAt, subject }) {
  const { file, root, bodies, stated, receiptsBy } = subject;
  if (failedAt !== 0 || !file.statement) return null;
  const { contentType, payload, isHash } = file.statement;
  const issuer = root.institutions.filter(({ id }) => id === stated.party);
  const facts = make("dl");
  const add = (name, value, className = "") =>
    facts.append(make("dt", {}, say(language, name)), make("dd", { class: className }, printable(value)));
  add("statementIssuer", issuer.length > 0 ? formatInstitutions(issuer)[language] : stated.party);
  add("statementAbout", bodies[0].data.get("tx_id"), "mono");
  add(isHash ? "statementDocumentType" : "statementType", contentType);
  add(isHash ? "statementDocument" : "statementPayload", stated.payload, "mono");
  add("statementHash", stated.digest, "mono");
  add("statementReceipts", formatInstitutions(receiptsBy)[language]);
  return makeSection(
    "statement",
    say(language, "statement"),
    "",
    facts,
    ...(isHash ? [] : showPayload(language, contentType, payload)),
  );
}

/** What a statement says, where it is text. */
function showPayload(language, contentType, payload) {
  const text = TEXTUAL.test(contentType) ? fromUtf8(payload) : null;
  if (text === null) return [make("p", { class: "help" }, say(language, "statementNoText", payload.length))];
  return [make("h3", {}, say(language, "statementSaid")), make("p", { class: "said" }, printableLines(text))];
}

function showSteps(language, { steps }) {
  const list = make("ol", { class: "steps" });
  for (const { number, name, result, explanation, reason } of steps) {
    const code = reason ? ` [${say(language, "reason")}: ${reason}]` : "";
    list.append(
      make(
        "li",
        { class: result },
        make("span", { class: "number" }, String(number)),
        make("span", { class: "mark" }, say(language, result)),
        make("h3", {}, name[language]),
        make("p", {}, printable(explanation[language] + code)),
      ),
    );
  }
  return makeSection("steps", say(language, "steps"), "", list);
}

/** The table of a merchant's contracts, in yuan, the sums last. */
function showSchedule(language, { failedAt, subject }) {
  if (failedAt !== 0 || subject.file?.kind !== SCHEDULE) return null;
  const cells = (tag, values) => values.map((value) => make(tag, {}, value));
  const yuan = (fen) => formatFen(fen)[language];
  const heads = ["contract", ...COLUMNS].map((name) => say(language, `column_${name}`));
  const rows = subject.schedule.slice(0, ROWS_SHOWN_MAX).map(({ contract, amounts }) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, printable(contract)),
      ...cells("td", COLUMNS.map((name) => yuan(amounts[name]))),
    ),
  );
  const { sums } = subject.reached;
  const whole = make(
    "tr",
    {},
    make("th", { scope: "row" }, say(language, "scheduleAll")),
    ...cells("td", COLUMNS.map((name) => yuan(sums.get(name)))),
  );
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  return makeSection(
    "schedule",
    say(language, "schedule"),
    "",
    subject.schedule.length > rows.length
      ? make("p", {}, say(language, "shownOfContracts", rows.length, subject.schedule.length))
      : null,
    make(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-labelledby": "schedule-title" },
      make(
        "table",
        { class: "figures" },
        make("thead", {}, head),
        make("tbody", {}, ...rows),
        make("tfoot", {}, whole),
      ),
    ),
  );
}

async function showPaths(language, { steps, subject }) {
  const isPassed = (number) => steps.some((step) => step.number === number && step.result === "ok");
  const { file, tree, proofs, header, entries } = subject;
  const paths = [];
  if (file?.kind === TRANSACTION && isPassed(6)) {
    paths.push(["pathOfEntry", entries[0].leaf, proofs.get("proof")]);
  }
  if (isPassed(5)) paths.push(["pathOfHeader", header.leaf, proofs.get("header_proof")]);
  if (paths.length === 0) return null;
  const figures = [];
  for (const [title, leaf, { index, path }] of paths) {
    const walk = await walkInclusion(leaf, index, tree.size, path);
    figures.push(drawPath(language, say(language, title), leaf, index, tree.size, walk));
  }
  const columns = make("div", { class: "columns" }, ...figures);
  return makeSection("path", say(language, "path"), "", columns);
}

function showContents(language, { failedAt, subject }) {
  if (failedAt !== 0) return null;
  const { file, root, cosignedBy, header, stateHeader, entries, records, stated, receiptsBy, disclosed } =
    subject;
  if (file.kind === LIABILITIES) return showLiabilities(language, subject);
  if (file.kind === SCHEDULE) return showScheduled(language, subject);
  if (file.kind === EQUIVOCATION) {
    const inside = [say(language, "insideGenesis", root.institutions.length), say(language, "insideStatements")];
    return makeContents(language, inside, [say(language, "outsideWho")]);
  }
  const isOne = file.kind === TRANSACTION;
  const hasPapers = Boolean(file.law);
  const hasTerms = Boolean(file.question?.document);
  const inside = [say(language, "insideGenesis", root.institutions.length)];
  const outside = [];
  if (cosignedBy !== undefined) inside.push(say(language, "insideCheckpoint", cosignedBy.size));
  if (file.kind === CONSISTENCY) inside.push(say(language, "insideOlder"));
  if (header !== undefined) {
    const states = [...(records?.keys() ?? [])].map((party) => `party/${party}`);
    if (file.state !== undefined) states.push(file.state.stream);
    inside.push(say(language, "insideHeader", header.height));
    if (entries !== undefined) inside.push(say(language, "insideEntries", entries.length));
    inside.push(say(language, "insideState", stateHeader.height, states.join(", ")));
  }
  if (isOne) inside.push(say(language, "insideCertificate"));
  if (file.statement) {
    inside.push(say(language, "insideStatement", stated.party, receiptsBy.length));
    if (file.statement.isHash) outside.push(say(language, "outsideDocument"));
  }
  if (hasTerms) inside.push(say(language, "insideTerms"));
  if (hasPapers) inside.push(say(language, "insidePapers"));
  if (file.findings?.length > 0) inside.push(say(language, "insideFindings", file.findings.length));
  if (disclosed) {
    const count = disclosed.reduce((sum, { shown }) => sum + shown.length, 0);
    inside.push(say(language, "insideDisclosed", count));
  }
  inside.push(...listAdded(language, file));
  if (entries !== undefined) {
    outside.push(say(language, disclosed ? "outsideWithheld" : "outsideConsumer"), say(language, hasTerms || hasPapers ? "outsideVouchers" : "outsideTerms"));
    if (isOne) outside.push(say(language, "outsideSame"));
    outside.push(say(language, "outsideOthers"));
  }
  if (header !== undefined && !isOne) outside.push(say(language, "outsideLater", stateHeader.height));
  outside.push(say(language, "outsideTruth"));
  return makeContents(language, inside, outside);
}

/** What whoever held the file has added to it. */
function listAdded(language, { postQuantum, platform, timestamps }) {
  return [
    ...(postQuantum ? [say(language, "insidePostQuantum", postQuantum.keys.length)] : []),
    ...(platform ? [say(language, "insidePlatform", platform.length)] : []),
    ...(timestamps ? [say(language, "insideTimestamps", timestamps.tokens.length)] : []),
  ];
}

function showLiabilities(language, { file, root, cosignedBy, header, stateHeader, total, merchant }) {
  const named = file.claims.filter((claim) => claim.shown !== null);
  const states = [file.merchant, ...named.flatMap(({ shown }) => [shown.contract, shown.signed])];
  const inside = [
    say(language, "insideGenesis", root.institutions.length),
    say(language, "insideCheckpoint", cosignedBy.size),
    say(language, "insideHeader", header.height),
    say(language, "insideClaims", file.claims.length, named.length),
    say(language, "insideState", stateHeader.height, states.map(({ stream }) => stream).join(", ")),
    ...listAdded(language, file),
  ];
  const outside = [
    say(language, "outsideConsumer"),
    say(language, "outsideClaims", merchant, total.size - named.length),
    say(language, "outsideLater", stateHeader.height),
    say(language, "outsideTruth"),
  ];
  return makeContents(language, inside, outside);
}

function showScheduled(language, { root, cosignedBy, header, merchant, schedule, stateHeader }) {
  const inside = [
    say(language, "insideGenesis", root.institutions.length),
    say(language, "insideCheckpoint", cosignedBy.size),
    say(language, "insideHeader", header.height),
    say(language, "insideSchedule", merchant, schedule.length),
  ];
  const outside = [
    say(language, "outsideConsumer"),
    say(language, "outsideSchedule", merchant, stateHeader.height),
    say(language, "outsideTruth"),
  ];
  return makeContents(language, inside, outside);
}

function makeContents(language, inside, outside) {
  const column = (title, items) =>
    make(
      "div",
      {},
      make("h3", {}, say(language, title)),
      make("ul", {}, ...items.map((item) => make("li", {}, printable(item)))),
    );
  const columns = make("div", { class: "columns" }, column("inside", inside), column("outside", outside));
  return makeSection("contents", say(language, "contents"), "", columns);
}
