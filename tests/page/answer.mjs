// Reads one question a line, answers one line: the page's verifier under Node, asked by pytest.

import { createInterface } from "node:readline";

import {
  CAUSE_OF_RETURN_WORDS,
  QUESTION_WORDS,
  ROUTE_WORDS,
  STANDARD_WORDS,
} from "../../page/screen/owed_words.js";
import { fromBase64, toHex } from "../../page/verifier/bytes.js";
import { isStrict, verifySignature } from "../../page/verifier/ed25519.js";
import {
  countMonthsBegun,
  dayOf,
  daysInYear,
  deadlineOf,
  endOfMonths,
  isWeekend,
  parseDay,
  showDay,
  startOf,
  yearOf,
} from "../../page/verifier/law_days.js";
import { FIELD_WORDS } from "../../page/verifier/field_words.js";
import { FACT_ROLES, readFacts } from "../../page/verifier/law_facts.js";
import { fraction, round } from "../../page/verifier/law_fractions.js";
import { Published } from "../../page/verifier/law_published.js";
import { deriveRefund, findRange } from "../../page/verifier/law_refund.js";
import { readTerms } from "../../page/verifier/law_terms.js";
import { findVerify } from "../../page/verifier/mldsa.js";
import { Rejected } from "../../page/verifier/refusal.js";
import { Tagged, readCbor } from "../../page/verifier/strict_cbor.js";
import { readObject } from "../../page/verifier/strict_json.js";
import { readArray } from "../../page/verifier/strict_msgpack.js";
import { isNormal } from "../../page/verifier/unicode_3_2.js";
import { verifyEvidence } from "../../page/verifier/verify.js";

/** Node's own reader: questions of many megabytes come in hexadecimal. */
function fromHex(text) {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function plain(value) {
  if (value instanceof Map) {
    return { object: [...value].map(([name, held]) => [plain(name), plain(held)]) };
  }
  if (value instanceof Tagged) return { tag: plain(value.tag), value: plain(value.value) };
  if (Array.isArray(value)) return { array: value.map(plain) };
  if (value instanceof Uint8Array) return { bytes: toHex(value) };
  return typeof value === "bigint" ? { integer: String(value) } : value;
}

function orRefusal(read) {
  try {
    return { value: plain(read()) };
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    return { reason: error.reason, detail: error.detail };
  }
}

/** JSON as the page's reader gives it: Maps for objects. */
function mapped(value) {
  if (Array.isArray(value)) return value.map(mapped);
  if (value === null || typeof value !== "object") return value;
  return new Map(Object.entries(value).map(([name, held]) => [name, mapped(held)]));
}

const QUESTIONS = {
  fact_roles: async () => ({ value: [...FACT_ROLES] }),
  field_words: async () => ({ value: [...FIELD_WORDS] }),
  owed_words: async () => ({
    value: {
      routes: Object.fromEntries(ROUTE_WORDS),
      causes: Object.fromEntries(CAUSE_OF_RETURN_WORDS),
      standards: Object.fromEntries(STANDARD_WORDS),
      questions: [...QUESTION_WORDS].map(([name, [articles, answers]]) => [name, articles, [...answers]]),
    },
  }),
  days: async ({ days, months, closes }) => ({
    value: days.map((day) => [
      showDay(day),
      parseDay(showDay(day)),
      yearOf(day),
      daysInYear(yearOf(day)),
      isWeekend(day),
      startOf(day),
      dayOf(startOf(day) - 1),
      dayOf(startOf(day)),
      deadlineOf(day, closes),
      deadlineOf(day, null),
      endOfMonths(day, months),
      countMonthsBegun(days[0], day),
    ]),
  }),
  round: async ({ amounts, mode, unit }) => ({
    value: amounts.map(([over, under]) => round(fraction(over, under), { mode, unit: BigInt(unit) })),
  }),
  async refund({ terms, facts, published, as_of }) {
    try {
      const derived = await deriveRefund(
        readTerms(fromHex(terms)),
        readFacts(facts.map(mapped)),
        new Published(published.map(mapped)),
        parseDay(as_of),
      );
      return { value: { ...derived, ...findRange(derived) } };
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      return { reason: error.reason, detail: error.detail };
    }
  },
  async evidence({ file, chain_id }) {
    const report = await verifyEvidence(new Uint8Array(Buffer.from(file, "base64")), fromHex(chain_id));
    const { subject, ...rest } = report;
    return rest;
  },
  signature: async ({ key, message, signature }) => ({
    value: await verifySignature(fromHex(key), fromHex(message), fromHex(signature)),
  }),
  mldsa: async () => ({ value: (await findVerify()) !== null }),
  strict: async ({ key, signature }) => ({ value: isStrict(fromHex(key), fromHex(signature)) }),
  json: async ({ raw }) => orRefusal(() => readObject(fromHex(raw), "value")),
  msgpack: async ({ raw }) => orRefusal(() => readArray(fromHex(raw), "value")),
  cbor: async ({ raws }) => ({
    value: raws.map((raw) => orRefusal(() => readCbor(fromHex(raw), "value"))),
  }),
  base64: async ({ text }) => {
    const bytes = fromBase64(text);
    return { value: bytes === null ? null : toHex(bytes) };
  },
  normal: async ({ texts }) => ({ value: texts.map(isNormal) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, ...question } = JSON.parse(line);
  const answer = await QUESTIONS[ask](question);
  const spelled = JSON.stringify(answer, (_, held) => (typeof held === "bigint" ? Number(held) : held));
  process.stdout.write(`${spelled}\n`);
}
