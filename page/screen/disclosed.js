// The private fields that a file shows: each by name and value, and the names of those it withholds.
//
// They are those of step 15, shown only when no step failed. A value stands between quotation marks
// where it could pass for more than a value.

import { FIELDS } from "../verifier/disclosure_format.js";
import { FIELD_WORDS } from "../verifier/field_words.js";
import { showText } from "../verifier/wording.js";
import { make, makeSection, printable } from "./elements.js";
import { LANGUAGES, say } from "./texts.js";

const SEPARATORS = { zh: "、", en: ", " };

/** The section, or null where nothing is disclosed. */
export function showDisclosed(language, { failedAt, subject }) {
  if (failedAt !== 0 || !subject.disclosed) return null;
  const help = make("p", {}, say(language, "disclosedHelp"));
  const parts = subject.disclosed.map((one) => showOne(language, one));
  return makeSection("disclosed", say(language, "disclosed"), "", help, ...parts);
}

function nameOf(language, name) {
  return FIELD_WORDS.get(name)[LANGUAGES.indexOf(language)];
}

function showOne(language, { entry, member, shown, withheld, later }) {
  const facts = make("dl");
  for (const { name, value } of shown) {
    const said = value === null ? say(language, "disclosedEmpty") : printable(showText(value));
    facts.append(make("dt", {}, say(language, "disclosedField", nameOf(language, name), name)), make("dd", {}, said));
  }
  const rest = say(language, "withheld", withheld.length, FIELDS.length, withheld.map((name) => nameOf(language, name)).join(SEPARATORS[language]));
  return make(
    "div",
    {},
    make("h3", {}, say(language, "disclosedIn", entry.index, entry.height, member)),
    facts,
    withheld.length > 0 ? make("p", { class: "help" }, rest) : null,
    later === null ? null : make("p", {}, say(language, "disclosedCorrected", later.index)),
  );
}
