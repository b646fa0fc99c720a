// What is owed by the last computation: every result that the law leaves possible, side by side.
//
// The figures are those that this page worked again in step 14. On a narrow screen each row of the table
// becomes a block in which every figure has its name beside it.

import { showDay } from "../verifier/law_days.js";
import { formatYuan } from "../verifier/wording.js";
import { make, makeSection, printable } from "./elements.js";
import { CAUSE_OF_RETURN_WORDS, QUESTION_WORDS, ROUTE_WORDS, STANDARD_WORDS } from "./owed_words.js";
import { LANGUAGES, say } from "./texts.js";

/** Results that the page draws; worked are all. */
const RESULTS_SHOWN_MAX = 200;
const AT_ACCOUNT = "+account";
const NOTHING = "—";
/** Each column with the class of its cells. */
const COLUMNS = [
  ["Number", ""],
  ["Route", ""],
  ["Assumed", ""],
  ["Principal", "sum"],
  ["Interest", ""],
  ["Custody", "sum"],
  ["Merchant", "sum"],
];

/** The section, or null where nothing was computed. */
export function showOwed(language, { failedAt, subject }) {
  const { owed } = subject;
  if (failedAt !== 0 || !owed) return null;
  const { paid, results, position, asOf } = owed;
  const shown = results.slice(0, RESULTS_SHOWN_MAX);
  const heads = COLUMNS.map(([name]) => say(language, `owed${name}`));
  const rows = shown.map((result, place) => showResult(language, heads, result, place + 1));
  return makeSection(
    "owed",
    say(language, "owed"),
    "",
    make("p", {}, say(language, "owedOf", position, showDay(asOf), formatYuan(paid), results.length)),
    shown.length < results.length
      ? make("p", { class: "help" }, say(language, "shownOfResults", shown.length, results.length))
      : null,
    make(
      "table",
      { class: "figures" },
      make("thead", {}, make("tr", {}, ...heads.map(showHead))),
      make("tbody", {}, ...rows),
    ),
    make("p", { class: "help" }, say(language, "owedOpen")),
  );
}

function showHead(text, place) {
  const [, className] = COLUMNS[place];
  return make("th", { scope: "col", class: className }, text);
}

function showResult(language, heads, result, number) {
  const { route, cause, assumptions, principal, custody, merchant } = result;
  const pick = (words) => words[LANGUAGES.indexOf(language)];
  const sum = (fen) => [principal === null ? NOTHING : formatYuan(fen)];
  const cells = [
    [pick(ROUTE_WORDS.get(route)), pick(CAUSE_OF_RETURN_WORDS.get(cause))],
    orNothing(assumptions.map((one) => showAssumption(language, one))),
    showPrincipal(language, result),
    orNothing(result.interest.map((one) => showInterest(language, one))),
    sum(custody),
    sum(merchant),
  ];
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, String(number)),
    ...cells.map((lines, place) => {
      const [, className] = COLUMNS[place + 1];
      const named = { class: className, "data-name": heads[place + 1] };
      return make("td", named, ...lines.map((line) => make("p", {}, line)));
    }),
  );
}

function orNothing(lines) {
  return lines.length > 0 ? lines : [NOTHING];
}

function showAssumption(language, [question, answer]) {
  const [article, answers] = QUESTION_WORDS.get(question);
  const place = LANGUAGES.indexOf(language);
  return say(language, "owedAssumption", answers.get(answer)[place], article[place]);
}

/** The principal, whose it is where voucher issuers have a share, and what was delivered beyond it. */
function showPrincipal(language, { principal, consumer, issuers, beyond }) {
  if (principal === null) return [say(language, "owedUnknown")];
  const shares = issuers.map(([issuer, fen]) => {
    return printable(say(language, "owedShare", issuer, formatYuan(fen)));
  });
  if (shares.length > 0) shares.unshift(say(language, "owedConsumer", formatYuan(consumer)));
  if (beyond > 0n) shares.push(say(language, "owedBeyond", formatYuan(beyond)));
  return [formatYuan(principal), ...shares];
}

function showInterest(language, [standard, fen, outstanding]) {
  const words = STANDARD_WORDS.get(standard.replace(AT_ACCOUNT, ""));
  const name =
    words[LANGUAGES.indexOf(language)] +
    (standard.endsWith(AT_ACCOUNT) ? say(language, "owedAtAccount") : "");
  if (fen === null) return say(language, "owedInterestUnknown", name);
  return say(language, "owedInterestOf", name, formatYuan(fen), formatYuan(outstanding));
}
