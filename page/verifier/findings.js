// What the law found, in words: the outcome of a `findings.computed` has their hash.
//
// An outcome names the broken rules and has no room for sentences, so a case brings them. A quorum put
// the hash of exactly these bytes on record; it is compared here, in step 10. This page holds no law and
// derives nothing again: the words are the chain's own.

import { toHex } from "./bytes.js";
import { sha256 } from "./hashing.js";
import { show } from "./quoting.js";
import { Refuted, refuse } from "./refusal.js";
import { readObject } from "./strict_json.js";
import { showText } from "./wording.js";

const COMPUTED = "findings.computed";
const TEXTS = ["article", "en", "rule", "severity", "zh"];
const MEMBERS = ["article", "en", "positions", "rule", "severity", "values", "zh"];

/** Compare the findings that a case brings with their outcomes; say how many there are. */
export async function checkFindings(subject) {
  const { file, entries, bodies } = subject;
  if (!file.findings || file.findings.length === 0) return { zh: "", en: "" };
  const places = new Map(entries.map((entry, place) => [entry.index, place]));
  const told = [];
  let total = 0;
  let before = -1;
  for (const [number, { position, documents }] of file.findings.entries()) {
    const place = places.get(position);
    const isComputed =
      place !== undefined && bodies[place].kind === COMPUTED && !entries[place].outcome.refused;
    if (!isComputed || position <= before) {
      throw new Refuted(
        "bad_field",
        `所附第 ${number + 1} 份查核发现指日志第 ${position} 位，该处不是排在前一份之后、已生效的 ` +
          `${COMPUTED} 条目。`,
        `law.findings[${number}] is of index ${position}, where no applied ${COMPUTED} stands after ` +
          "the one before it.",
      );
    }
    before = position;
    const effects = new Map(entries[place].outcome.effects);
    const found = readFindings(documents, `law.findings[${number}]`);
    for (const [name, value] of [["findings", toHex(await sha256(documents))], ["count", found.length]]) {
      if (effects.get(name) !== value) {
        const said = showText(show(effects.get(name)));
        throw new Refuted(
          "root_mismatch",
          `日志第 ${position} 位的条目所载 ${name} 为 ${said}，而所附查核发现为 ${value}。`,
          `The entry at index ${position} states ${name} ${said}; of the findings in the file it is ` +
            `${value}.`,
        );
      }
    }
    total += found.length;
    told.push({ position, asOf: show(bodies[place].data.get("as_of")), found });
  }
  subject.findings = told;
  return {
    zh: `所附 ${told.length} 次查核的 ${total} 项发现与链上所载哈希相符。`,
    en:
      ` The ${total} findings of ${told.length} computations in the file are those whose hash is on ` +
      "the chain.",
  };
}

/** Read `{"findings":[…]}`; throws `Rejected`. */
function readFindings(raw, name) {
  const members = readObject(raw, name);
  const listed = members.get("findings");
  if (members.size !== 1 || !Array.isArray(listed)) fail(name);
  for (const item of listed) {
    const isFinding =
      item instanceof Map &&
      item.size === MEMBERS.length &&
      MEMBERS.every((member) => item.has(member)) &&
      TEXTS.every((member) => typeof item.get(member) === "string") &&
      Array.isArray(item.get("positions")) &&
      Array.isArray(item.get("values"));
    if (!isFinding) fail(name);
  }
  return listed;
}

function fail(name) {
  refuse("bad_field", `${name}: it is not a list of findings`);
}
