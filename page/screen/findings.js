// What the law found in a contract, in words, computation by computation, the newest first.
//
// The words are those whose hash the chain holds. They are shown only when no step failed.

import { make, makeSection, printable } from "./elements.js";
import { say } from "./texts.js";

const SEVERITIES = ["notice", "breach", "grave"];

/** The section, or null where the file has no findings in words. */
export function showFindings(language, { failedAt, subject }) {
  if (failedAt !== 0 || !subject.findings) return null;
  const shown = [...subject.findings].reverse().map(({ position, asOf, found }) =>
    make(
      "div",
      {},
      make("h3", {}, printable(say(language, "findingsOf", position, asOf, found.length))),
      found.length === 0
        ? make("p", { class: "help" }, say(language, "findingsNone"))
        : make("ol", { class: "findings" }, ...found.map((one) => showFinding(language, one))),
    ),
  );
  const help = make("p", { class: "help" }, say(language, "findingsHelp"));
  return makeSection("findings", say(language, "findings"), "", help, ...shown);
}

function showFinding(language, finding) {
  const severity = finding.get("severity");
  const isKnown = SEVERITIES.includes(severity);
  const weight = isKnown ? say(language, `severity_${severity}`) : printable(severity);
  return make(
    "li",
    { class: isKnown ? severity : "" },
    make("span", { class: "mark" }, weight),
    make("p", {}, printable(finding.get(language))),
    make("p", { class: "help" }, printable(`${finding.get("article")} · ${finding.get("rule")}`)),
  );
}
