// The life of a contract, entry by entry, from what verification has proven and from nothing else.
//
// It is shown only when no step failed. A long life is shown by its first and last
// entries; verification covered all of them.

import { toHex } from "../verifier/bytes.js";
import { TRANSACTION } from "../verifier/evidence_file.js";
import { REFUSAL_WORDS, describeEffect, describeKind, formatFen, formatTimeMs } from "../verifier/wording.js";
import { make, makeSection, printable } from "./elements.js";
import { LANGUAGES, say } from "./texts.js";

const SHOWN_AT_EACH_END = 100;

/** The section, or null where nothing is proven or there is no entry. */
export function showTimeline(language, { failedAt, subject }) {
  const { file, entries, bodies, blocks, header, stateValue } = subject;
  if (failedAt !== 0 || entries === undefined || entries.length === 0) return null;
  const isOne = file.kind === TRANSACTION;
  // A record proves the time of each of its blocks, a history does not.
  const timeOf = ({ height }) => (isOne ? header.timeMs : (blocks?.get(height).timeMs ?? null));
  const places = [...entries.keys()].filter(
    (at) => at < SHOWN_AT_EACH_END || at >= entries.length - SHOWN_AT_EACH_END,
  );
  const list = make("ol", { class: "timeline" });
  for (const at of places) {
    list.append(showEntry(language, entries[at], bodies[at], timeOf(entries[at])));
  }
  const title =
    file.first === undefined
      ? say(language, isOne ? "timelineOne" : "timeline")
      : say(language, "timelinePart", file.first + 1, file.first + entries.length, stateValue.count);
  return makeSection(
    "timeline",
    title,
    "",
    isOne || blocks !== undefined ? null : make("p", { class: "help" }, say(language, "timelineNote")),
    places.length < entries.length
      ? make("p", { class: "help" }, say(language, "shownOf", places.length, entries.length))
      : null,
    list,
  );
}

function showEntry(language, entry, body, blockTimeMs) {
  const { outcome } = entry;
  const time = formatTimeMs(blockTimeMs ?? body.notAfter)[language];
  const when = say(language, blockTimeMs === null ? "by" : "recorded", time);
  const kind = describeKind(body.kind, body.version)[language];
  const amount = body.data.get("amount");
  const money =
    body.kind.startsWith("prepaid.") && typeof amount === "number"
      ? ` · ${say(language, "amount", formatFen(amount)[language])}`
      : "";
  const why = REFUSAL_WORDS.get(outcome.code)?.[LANGUAGES.indexOf(language)] ?? outcome.code;
  // A receipt may reach the chain long after what it tells of: both times are said, each by its name.
  const occurred = body.data.get("occurred_at");
  const happened = typeof occurred === "number" && occurred > 0 ? formatTimeMs(occurred)[language] : null;
  const effects = outcome.effects.map(([name, value]) => describeEffect(name, value)[language]);
  return make(
    "li",
    { class: outcome.refused ? "refused" : "applied" },
    make("div", { class: "when" }, `${when} · ${say(language, "height", entry.height, entry.index)}`),
    make("h3", {}, printable(`${kind}${money}`)),
    happened === null ? null : make("div", { class: "happened" }, say(language, "happened", happened)),
    outcome.refused
      ? make("div", { class: "why" }, printable(say(language, "refused", [why, ...effects].join(" · "))))
      : null,
    effects.length > 0 && !outcome.refused
      ? make("div", { class: "balances" }, printable(say(language, "after", effects.join(" · "))))
      : null,
    make("div", { class: "when" }, say(language, "signedBy", body.signers.join(", "))),
    make(
      "details",
      {},
      make("summary", {}, say(language, "said")),
      make("p", { class: "mono" }, `tx_id ${toHex(body.txId)}`),
      make("p", { class: "mono" }, printable(new TextDecoder().decode(entry.body))),
    ),
  );
}
