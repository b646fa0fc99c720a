// Step 15: the private fields that a file shows are those that an entry of it commits to.
//
// A contract has 32 fields, one salted leaf each, in a fixed order; a field that is empty is a leaf
// too. Every field shown leads by its path to a commitment over the contract's stream and the root,
// and that has to stand in an applied entry of the file. Of what is withheld nothing is known but
// that it is unchanged.

import { concat, toHex, toUtf8 } from "./bytes.js";
import { FIELDS } from "./disclosure_format.js";
import { HISTORY } from "./evidence_file.js";
import { FIELD_WORDS } from "./field_words.js";
import { TAGS, leafHash, sha256 } from "./hashing.js";
import { rootFromInclusion } from "./merkle.js";
import { NotRun, Refuted, Rejected, refuse } from "./refusal.js";
import { showText } from "./wording.js";

const PERSONS = ["party", "payer", "beneficiary", "holder", "guardian"];

export const DISCLOSED_LIMIT = {
  zh:
    "披露的信息自承诺上链起未被改动；其内容在当时是否属实，此文件不能证明。未披露者是否有内容，亦不可知。",
  en:
    "The disclosed fields are unchanged since their commitment was put on the chain; whether they " +
    "were true then, this file does not prove. Whether a withheld field has a value is not known.",
};

/** Throw `Rejected` unless every field shown is one of those that the commitment is over. */
async function verifyDisclosure({ contract, commitment, shown }) {
  const stream = toUtf8(`contract/${contract}`);
  let previous = -1;
  for (const { name, salt, value, path } of shown) {
    const place = FIELDS.indexOf(name);
    if (place === previous) refuse("duplicate", `field ${name} is shown twice`);
    if (place < previous) {
      refuse("not_canonical", `field ${name} stands behind ${FIELDS[previous]}; fields are ascending`);
    }
    previous = place;
    const said = value === null ? Uint8Array.of(0) : concat(Uint8Array.of(1), toUtf8(value));
    const data = concat(TAGS.privateField, salt, Uint8Array.of(name.length), toUtf8(name), said);
    const leaf = await leafHash(data);
    const root = await rootFromInclusion(leaf, BigInt(place), BigInt(FIELDS.length), path);
    const length = Uint8Array.of(stream.length);
    const reached = toHex(await sha256(TAGS.privateCommitment, length, stream, root));
    if (reached !== toHex(commitment)) {
      refuse(
        "bad_proof",
        `field ${name} with its value, salt and path leads to commitment ${reached}, not to ` +
          toHex(commitment),
      );
    }
  }
}

/** Step 15: every disclosure belongs to this contract and to a commitment in its entries. */
export async function checkDisclosures(subject) {
  const { file } = subject;
  if (file.disclosures.length === 0) {
    throw new NotRun("此文件未披露非公开信息。", "The file discloses no private fields.");
  }
  const said = [];
  const disclosed = [];
  const seen = new Set();
  for (const [number, disclosure] of file.disclosures.entries()) {
    const name = `disclosures[${number}]`;
    checkContract(subject, disclosure, number);
    try {
      await verifyDisclosure(disclosure);
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      throw new Refuted(
        error.reason,
        `第 ${number + 1} 份披露不成立（${error.reason}）。原文：${error.detail}`,
        `${name}: ${error.detail}.`,
      );
    }
    const commitment = toHex(disclosure.commitment);
    if (seen.has(commitment)) {
      throw new Refuted(
        "duplicate",
        `第 ${number + 1} 份披露与前一份针对同一承诺 ${commitment}。`,
        `${name}: commitment ${commitment} has a disclosure already.`,
      );
    }
    seen.add(commitment);
    const place = findPlaces(subject).find((one) => one.value === commitment);
    if (place === undefined) {
      throw new Refuted(
        "root_mismatch",
        `第 ${number + 1} 份披露的承诺 ${commitment} 不在此文件任何已生效的记录中。`,
        `${name}: no applied entry of this file holds commitment ${commitment}.`,
      );
    }
    const found = {
      entry: place.entry,
      kind: place.body.kind,
      member: place.member,
      shown: disclosure.shown,
      withheld: listWithheld(disclosure),
      later: findLater(subject, place),
    };
    disclosed.push(found);
    said.push(describe(subject, found));
  }
  subject.disclosed = disclosed;
  return { zh: said.map(({ zh }) => zh).join(""), en: said.map(({ en }) => en).join(" ") };
}

function checkContract({ file, bodies }, { contract }, number) {
  const stream = file.kind === HISTORY ? `contract/${file.contract}` : bodies[0].stream;
  if (stream !== `contract/${contract}`) {
    throw new Refuted(
      "bad_field",
      `第 ${number + 1} 份披露属于 contract/${contract}，而此文件属于 ${stream}。`,
      `disclosures[${number}]: it is of contract/${contract}; the file is of ${stream}.`,
    );
  }
}

/** Every place of an applied entry where a commitment may stand, with what stands there. */
function findPlaces({ entries, bodies }) {
  return entries.flatMap((entry, at) => {
    const body = bodies[at];
    if (entry.outcome.refused) return [];
    const found = (member, value) => ({ entry, body, member, value });
    if (body.kind === "private.committed") return [found("commitment", body.data.get("commitment"))];
    if (body.kind === "prepaid.open") return [found("consumer", body.data.get("consumer"))];
    if (body.kind !== "contract.signed") return [];
    const persons = body.data.get("persons");
    return PERSONS.map((one) =>
      found(`persons.${one}`, persons instanceof Map ? persons.get(one) : null),
    );
  });
}

function findLater({ entries, bodies }, place) {
  let later = null;
  const replaced = new Set([toHex(place.body.txId)]);
  for (const [at, body] of bodies.entries()) {
    if (body.kind !== "private.committed" || entries[at].outcome.refused) continue;
    if (replaced.has(body.data.get("of"))) {
      later = entries[at];
      replaced.add(toHex(body.txId));
    }
  }
  return later;
}

function listWithheld({ shown }) {
  const names = shown.map(({ name }) => name);
  return FIELDS.filter((name) => !names.includes(name));
}

function describeField({ name, value }) {
  const [zh] = FIELD_WORDS.get(name);
  if (value === null) return { zh: `${zh}为空`, en: `${name} is empty` };
  return { zh: `${zh} = ${showText(value)}`, en: `${name} = ${showText(value)}` };
}

function describe(subject, { entry, kind, member, shown, withheld, later }) {
  const told = shown.map(describeField);
  const names = withheld.map((name) => `${FIELD_WORDS.get(name)[0]}（${name}）`);
  let corrected = { zh: "", en: "" };
  if (later !== null) {
    corrected = {
      zh: `该承诺其后已被更正（第 ${later.index} 号条目）。`,
      en: ` This commitment was corrected later, in the entry at index ${later.index}.`,
    };
  } else if (subject.file.kind === HISTORY) {
    corrected = { zh: "其后未有更正。", en: " It was not corrected since." };
  }
  return {
    zh:
      `第 ${entry.index} 号条目（高度 ${entry.height}）的 ${kind} 以 ${member} 承诺了 ` +
      `${FIELDS.length} 项信息；披露 ${shown.length} 项：${told.map(({ zh }) => zh).join("、")}；未披露 ` +
      `${withheld.length} 项（有无内容不可知），经证明未改动：${names.join("、") || "无"}。` +
      corrected.zh,
    en:
      `The entry at index ${entry.index} (height ${entry.height}, ${kind}) commits to ` +
      `${FIELDS.length} fields as ${member}; ${shown.length} disclosed: ` +
      `${told.map(({ en }) => en).join(", ")}; ${withheld.length} withheld, filled or empty, and proven ` +
      `unchanged: ${withheld.join(", ") || "none"}.${corrected.en}`,
  };
}
