// From a contract's entries and the papers beside them to what the law reads, named by one hash.
//
// An entry says more than a fact: where the statement came from, which device made it, on what authority.
// Those members are taken off; an earlier entry is spoken of by its transaction id and here by its position.
// A computation of what is owed names, as its `basis`, the hash of the facts it read and of the published
// pages that it could select from; the contract names the hash of its terms. So whether terms, times, facts
// and pages in the file are those that a quorum read is found before any of it is read.

import { fromBase64, toHex, toUtf8 } from "./bytes.js";
import { sha256 } from "./hashing.js";
import { BOTH, FACT_ROLES, FROZEN, LOCKED, readFact, readFacts } from "./law_facts.js";
import { refuseLaw } from "./law_fields.js";
import { ACCOUNT, Published, SERIES, readPage } from "./law_published.js";
import { readTerms } from "./law_terms.js";
import { SIGNED, textOf } from "./life_replay.js";
import { show } from "./quoting.js";
import { Refuted } from "./refusal.js";
import { countEntries } from "./wording.js";

const LEDGER_MEMBERS = [
  "assignee_party", "consumer_party", "counter", "custodian", "device", "merchant", "occurred_at",
  "provenance",
];
/** Further ones of `funds.frozen`: on what authority, and a share that its outcome has as a sum. */
const FREEZE_MEMBERS = ["authority", "document", "legal_basis", "rank", "share_ppm", "starts_at"];

/** The entries that took effect, with the time and the roles of their signers. */
export async function readStated({ entries, bodies, records }, law) {
  const times = law.get("times");
  if (times.length !== entries.length) {
    throw new Refuted(
      "bad_field",
      `文件有 ${entries.length} 条记录，而时间有 ${times.length} 个。`,
      `The file has ${countEntries(entries.length)} and ${times.length} times.`,
    );
  }
  const stated = [];
  let signed = null;
  let consumer = "";
  for (const [place, entry] of entries.entries()) {
    if (entry.outcome.refused) continue;
    const { kind, data, signers, txId } = bodies[place];
    const effects = new Map(entry.outcome.effects);
    if (signed === null) {
      signed = data;
      const terms = toHex(await sha256(fromBase64(law.get("terms"))));
      if (kind !== SIGNED || data.get("terms") !== terms) {
        throw new Refuted(
          "root_mismatch",
          "所附条款不是合同订立时的条款。",
          "The terms in the file are not those that the contract was signed on.",
        );
      }
      consumer = textOf(data, "consumer_party");
    }
    const roles = signers.map((signer) => findRole(records.get(signer), signed, consumer));
    const position = entry.index;
    stated.push({ position, txId: toHex(txId), recorded: times[place], kind, data, signers, roles, effects });
    if (effects.has("consumer_party")) consumer = textOf(effects, "consumer_party");
    else if (kind === SIGNED) consumer = textOf(data, "consumer_party");
  }
  return stated;
}

/**
 * Refutes papers that do not stand as every node writes them: times as blocks follow one another, the
 * merchant's facts by position, pages by series and position. Of what no computation read, no more is bound.
 */
export function checkOrder({ entries }, stated, law) {
  const times = law.get("times");
  for (let place = 1; place < entries.length; place += 1) {
    const [before, time] = times.slice(place - 1, place + 1);
    const isLater = entries[place].height > entries[place - 1].height;
    if (isLater ? time <= before : time !== before) {
      throw disordered(
        "times",
        place,
        "同一区块的条目时间相同，其后区块的时间较晚",
        "entries of one block have one time, and a later block a later one",
      );
    }
  }
  const merchant = law.get("merchant");
  for (let place = 1; place < merchant.length; place += 1) {
    if (merchant[place].get("position") <= merchant[place - 1].get("position")) {
      throw disordered("merchant", place, "经营者事实按位置排列", "facts stand by position");
    }
  }
  const named = stated.map(({ kind, data }) => new Map([["kind", kind], ["data", data]]));
  const series = [...findSeries([...named, ...merchant])];
  let [lastRank, lastPosition] = [0, -1];
  for (const [place, page] of law.get("pages").entries()) {
    const [rank, position] = [series.indexOf(page.get("series")), page.get("position")];
    if (rank < lastRank || (rank === lastRank && position <= lastPosition)) {
      throw disordered(
        "pages",
        place,
        "公布数据依次为 lpr_1y、deposit_1y、rest_days 与合同各账户，同一序列按位置排列",
        "pages stand by series (lpr_1y, deposit_1y, rest_days, then the contract's accounts), those of one " +
          "series by position",
      );
    }
    [lastRank, lastPosition] = [rank, position];
  }
}

function disordered(name, place, zh, en) {
  return new Refuted(
    "not_canonical",
    `law.${name}[${place}] 次序不合：${zh}。`,
    `law.${name}[${place}] is out of order: ${en}.`,
  );
}

/** A signer's role towards the contract while the consumer signs as `consumer`. */
function findRole({ party, role, registrar }, signed, consumer) {
  for (const member of ["merchant", "custodian"]) {
    if (signed.get(member) === party) return member;
  }
  if (party === consumer) return "consumer";
  if (role === "gateway") return registrar === signed.get("custodian") ? "custodian" : "stranger";
  return role === "bank" || role === "payment" ? "issuer" : role;
}

/**
 * Reads what each computation read, the contract having grown in between: an entry, a fact or a page is read
 * and spelled once, however many computations read it.
 */
export class CaseReader {
  #law;
  #stated;
  #taken = 0;
  #positions = new Map();
  #facts = [];
  #spelled = once(spell);
  #readFact = once(readFact);
  #readPage = once(readPage);
  #terms = null;

  constructor(stated, law) {
    this.#stated = stated;
    this.#law = law;
  }

  /** Documents and pages before the entry at `place` of those stated, and the hash that names them. */
  async gather(place) {
    const before = this.#stated[place].position;
    for (const { txId, position } of this.#stated.slice(this.#taken, place)) {
      this.#positions.set(txId, position);
    }
    for (; this.#taken < place; this.#taken += 1) {
      const entry = this.#stated[this.#taken];
      if (FACT_ROLES.has(entry.kind)) this.#facts.push(toFact(entry, this.#positions));
    }
    const earlier = (name) => this.#law.get(name).filter((document) => document.get("position") < before);
    const documents = [...this.#facts, ...earlier("merchant")];
    const series = findSeries(documents);
    const pages = earlier("pages").filter((page) => series.has(page.get("series")));
    pages.sort((one, other) => one.get("position") - other.get("position"));
    const [facts, published] = [await this.#digest(documents), await this.#digest(pages)];
    const named = new Map([["facts", facts], ["pages", published]]);
    return { documents, pages, basis: await this.#digest([named]) };
  }

  /** Terms, facts and published data of what was gathered; refuses what cannot be read. */
  read({ documents, pages }) {
    const facts = readFacts(documents, this.#readFact);
    const published = new Published(pages, this.#readPage);
    this.#terms ??= readTerms(fromBase64(this.#law.get("terms")));
    return { terms: this.#terms, facts, published };
  }

  async #digest(documents) {
    const spelled = documents.map((document) => this.#spelled(document));
    return toHex(await sha256(toUtf8(spelled.join(""))));
  }
}

/** What a function gives of a document, made once. */
function once(make) {
  const made = new Map();
  return (document, ...others) => {
    if (!made.has(document)) made.set(document, make(document, ...others));
    return made.get(document);
  };
}

/** The published series that a derivation from these documents may select from. */
function findSeries(documents) {
  const series = new Set(SERIES);
  for (const document of documents) {
    const data = document.get("data");
    const account = document.get("kind") === LOCKED && data instanceof Map ? data.get("account") : null;
    if (typeof account === "string") series.add(ACCOUNT + account);
  }
  return series;
}

/** The document of the fact that an entry states; refuses an entry that cannot be one. */
function toFact({ position, recorded, kind, data, signers, roles, effects }, positions) {
  const allowed = FACT_ROLES.get(kind);
  const isBoth = allowed.includes(BOTH) && roles.includes("merchant") && roles.includes("consumer");
  const role = isBoth ? BOTH : allowed.find((one) => roles.includes(one));
  if (role === undefined) {
    refuseLaw(
      `entry ${position}: ${kind} is signed by ${roles.join(", ")}; ${allowed.join(" or ")} is expected`,
    );
  }
  const taken = kind === FROZEN ? [...LEDGER_MEMBERS, ...FREEZE_MEMBERS] : LEDGER_MEMBERS;
  const own = new Map([...data].filter(([name]) => !taken.includes(name)));
  if (kind === SIGNED && own.get("persons") instanceof Map) {
    own.set("persons", new Map(own.get("persons")).set("merchant", data.get("merchant") ?? null));
  } else if (kind === FROZEN) {
    own.set("amount", effects.get("frozen") ?? null);
  }
  if (own.has("of")) {
    const of = positions.get(own.get("of"));
    if (of === undefined) {
      refuseLaw(
        `entry ${position} speaks of transaction ${show(own.get("of"))}, which is not among the entries`,
      );
    }
    own.set("of", of);
  }
  const dated = data.get("occurred_at") ?? recorded;
  return new Map([
    ["at", typeof dated === "number" ? Math.min(dated || recorded, recorded) : dated],
    ["author", signers[0]],
    ["data", own],
    ["kind", kind],
    ["position", position],
    ["recorded", recorded],
    ["role", role],
  ]);
}

/** A value that was read from JSON in its one spelling (RFC 8785). */
function spell(value) {
  if (Array.isArray(value)) return `[${value.map(spell).join(",")}]`;
  if (typeof value === "bigint") return String(value);
  if (!(value instanceof Map)) return JSON.stringify(value);
  const names = [...value.keys()].sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${spell(value.get(name))}`).join(",")}}`;
}
