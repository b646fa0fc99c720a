// What an RFC 3161 token says of itself: which hash of which bytes, when, and how exactly.
//
// A small reader of DER (X.690) that goes down one way only, from the TimeStampResp to the TSTInfo in
// it: each element on that way has its tag, its length in the shortest form, and nothing behind it.
// Certificates and signatures are passed over as whole elements; anybody can write a token that is
// read here. Whether an authority signed it is for software that knows CMS (`openssl ts`).

import { toHex } from "./bytes.js";
import { refuse } from "./refusal.js";

const INTEGER = 0x02;
const OCTETS = 0x04;
const NULL = 0x05;
const OID = 0x06;
const TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const CONTEXT_0 = 0xa0;
const CONTEXT_1 = 0xa1;

/** 1.2.840.113549.1.7.2 and 1.2.840.113549.1.9.16.1.4, as they stand in DER. */
const SIGNED_DATA = "2a864886f70d010702";
const TST_INFO = "2a864886f70d0109100104";
const HASH_OIDS = { sha256: "608648016503040201", sm3: "2a811ccf55018311" };
const IMPRINT_BYTES = 32;
/** Of an accuracy: tag, name, least and greatest number, microseconds in one. */
const ACCURACY = [
  [INTEGER, "accuracy.seconds", 0, 0x7fffffff, 1_000_000],
  [0x80, "accuracy.millis", 0, 999, 1000],
  [0x81, "accuracy.micros", 0, 999, 1],
];
const GENERALIZED = /^([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(?:\.([0-9]{0,8}[1-9]))?Z$/;

/** The elements in a constructed value, taken one after another; throws `Rejected`. */
class Elements {
  #raw;
  #token;
  #name;
  #at = 0;

  constructor(raw, token, name) {
    this.#raw = raw;
    this.#token = token;
    this.#name = name;
  }

  get isEmpty() {
    return this.#at === this.#raw.length;
  }

  /** The tag of the element that comes next, or undefined. */
  get nextTag() {
    return this.#raw[this.#at];
  }

  /** What is in an element of this tag. */
  take(tag, name) {
    const found = this.nextTag;
    if (found === undefined) this.#fail(`${name} is missing`);
    if (found !== tag) this.#fail(`${name} has tag ${hexOf(found)} instead of ${hexOf(tag)}`);
    return this.#takeAny(name);
  }

  /** An element of this tag that has elements in it. */
  open(tag, name) {
    return new Elements(this.take(tag, name), this.#token, name);
  }

  /** Take all that are left, each whole, and look at none. */
  passOver() {
    while (!this.isEmpty) this.#takeAny(`an element of ${this.#name}`);
  }

  /** Refuse whatever is left. */
  close() {
    const left = this.#raw.length - this.#at;
    if (left > 0) this.#fail(`${left} bytes too many in ${this.#name}`);
  }

  #takeAny(name) {
    const raw = this.#raw;
    const at = this.#at;
    if ((raw[at] & 0x1f) === 0x1f) this.#fail(`${name} has a tag of several bytes`);
    if (at + 1 >= raw.length) this.#fail(`${name} is cut off`);
    let length = raw[at + 1];
    let begin = at + 2;
    if (length >= 0x80) {
      const digits = length - 0x80;
      if (digits !== 1 && digits !== 2) this.#fail(`${name} has a length that is not DER, or too large`);
      if (begin + digits > raw.length) this.#fail(`${name} is cut off`);
      length = digits === 1 ? raw[begin] : raw[begin] * 0x100 + raw[begin + 1];
      begin += digits;
      if (length < (digits === 1 ? 0x80 : 0x100)) {
        this.#fail(`${name} has a length that is not DER, or too large`);
      }
    }
    if (begin + length > raw.length) this.#fail(`${name} is cut off`);
    this.#at = begin + length;
    return raw.subarray(begin, this.#at);
  }

  #fail(detail) {
    fail(this.#token, detail);
  }
}

/** Read a TimeStampResp: imprint (32 bytes), time (ms) and accuracy (μs, or null). `token` names it; throws `Rejected`. */
export function readToken(raw, algorithm, token) {
  const top = new Elements(raw, token, "the token");
  const response = top.open(SEQUENCE, "TimeStampResp");
  top.close();
  const status = response.open(SEQUENCE, "status");
  takeNumber(status, "status.status", "00", "status.status is not 0 (granted)", token);
  status.passOver();
  const content = response.open(SEQUENCE, "timeStampToken");
  response.close();
  takeIdentifier(content, "contentType", SIGNED_DATA, token);
  const wrapped = content.open(CONTEXT_0, "content");
  content.close();
  const signed = wrapped.open(SEQUENCE, "SignedData");
  wrapped.close();
  const info = openInfo(signed, token);
  takeNumber(info, "TSTInfo.version", "01", "TSTInfo.version is not 1", token);
  info.take(OID, "policy");
  const imprint = takeImprint(info.open(SEQUENCE, "messageImprint"), algorithm, token);
  info.take(INTEGER, "serialNumber");
  const timeMs = readTime(info.take(TIME, "genTime"), token);
  const accuracyUs = readAccuracy(info, token);
  info.passOver();
  return { imprint, timeMs, accuracyUs };
}

/** From a SignedData to the TSTInfo that it is about. */
function openInfo(signed, token) {
  signed.take(INTEGER, "SignedData.version");
  signed.take(SET, "digestAlgorithms");
  const encapsulated = signed.open(SEQUENCE, "encapContentInfo");
  for (const [tag, name] of [[CONTEXT_0, "certificates"], [CONTEXT_1, "crls"]]) {
    if (signed.nextTag === tag) signed.take(tag, name);
  }
  if (signed.take(SET, "signerInfos").length === 0) fail(token, "signerInfos is empty");
  signed.close();
  takeIdentifier(encapsulated, "eContentType", TST_INFO, token);
  const wrapped = encapsulated.open(CONTEXT_0, "eContent");
  encapsulated.close();
  const octets = wrapped.open(OCTETS, "eContent");
  wrapped.close();
  const info = octets.open(SEQUENCE, "TSTInfo");
  octets.close();
  return info;
}

function takeNumber(elements, name, expected, sentence, token) {
  if (toHex(elements.take(INTEGER, name)) !== expected) fail(token, sentence, "bad_field");
}

function takeIdentifier(elements, name, expected, token) {
  const found = toHex(elements.take(OID, name));
  if (found !== expected) {
    fail(token, `${name} is the identifier ${found.slice(0, 40)} instead of ${expected}`, "bad_field");
  }
}

function takeImprint(elements, algorithm, token) {
  const identifier = elements.open(SEQUENCE, "hashAlgorithm");
  takeIdentifier(identifier, "hashAlgorithm", HASH_OIDS[algorithm], token);
  if (!identifier.isEmpty && identifier.take(NULL, "hashAlgorithm.parameters").length > 0) {
    fail(token, "hashAlgorithm.parameters is not empty");
  }
  identifier.close();
  const imprint = elements.take(OCTETS, "hashedMessage");
  elements.close();
  if (imprint.length !== IMPRINT_BYTES) {
    fail(token, `hashedMessage has ${imprint.length} bytes instead of ${IMPRINT_BYTES}`, "bad_field");
  }
  return imprint;
}

/** A GeneralizedTime as RFC 3161 section 2.4.2 has it, ms since 1970, what is smaller cut off. */
function readTime(raw, token) {
  const found = GENERALIZED.exec(String.fromCharCode(...raw.subarray(0, 40)));
  const moment = found === null || raw.length > 40 ? null : readMoment(found.slice(1, 7).map(Number));
  if (moment === null) {
    fail(token, "genTime is no moment since 1970 as YYYYMMDDhhmmss[.f]Z", "bad_field");
  }
  return moment + Number((found[7] ?? "").padEnd(3, "0").slice(0, 3));
}

/** How exact the time is said to be (section 2.4.2), in microseconds; null where it is not said. */
function readAccuracy(info, token) {
  if (info.nextTag !== SEQUENCE) return null;
  const parts = info.open(SEQUENCE, "accuracy");
  let accuracyUs = 0;
  for (const [tag, name, least, greatest, unitUs] of ACCURACY) {
    if (parts.nextTag !== tag) continue;
    const number = readPositive(parts.take(tag, name));
    if (number === null || number < least || number > greatest) {
      fail(token, `${name} is no number from ${least} to ${greatest}`, "bad_field");
    }
    accuracyUs += number * unitUs;
  }
  parts.close();
  return accuracyUs;
}

/** A number of at most four bytes that is not negative, in its shortest form; null for another. */
function readPositive(raw) {
  if (raw.length === 0 || raw.length > 4 || raw[0] > 0x7f) return null;
  if (raw.length > 1 && raw[0] === 0 && raw[1] < 0x80) return null;
  return raw.reduce((number, byte) => number * 0x100 + byte, 0);
}

/** The moment of these numbers, or null where the calendar since 1970 has none. */
function readMoment([year, month, day, hour, minute, second]) {
  if (year < 1970 || hour > 23 || minute > 59 || second > 59) return null;
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() : null;
}

function hexOf(byte) {
  return `0x${toHex([byte])}`;
}

function fail(token, detail, reason = "malformed") {
  refuse(reason, `${token}: ${detail}`);
}
