// Steps 23 and 24: a SCITT statement is what its entry registered; its receipts are of that entry.
//
// The steps before have proven the entry's place, its signatures and its signers' keys. A receipt is one
// institution's signature on a root that the entry leads to; it signs neither index nor size, so the
// place of the entry rests on step 6 and never on a receipt.

import { equal, toHex } from "./bytes.js";
import { verifySignature } from "./ed25519.js";
import { sha256 } from "./hashing.js";
import { rootFromInclusion } from "./merkle.js";
import { show } from "./quoting.js";
import { Refuted, Rejected, refuse } from "./refusal.js";
import { ISSUER, SUBJECT, keyThumbprint, readReceipt, signedMessage } from "./statement_format.js";
import { CAUSE_WORDS, formatInstitutions, showText } from "./wording.js";

const ATTEST = "attest";
const TRANSACTION_URN = "urn:evidence-ledger:transaction:";

export const STATEMENT_LIMIT = {
  zh: "证明：该声明由签发者签署，并最迟于该条目上链时存在；声明内容是否属实、所述交易是否在链上，此文件不能证明。",
  en:
    "Proven: the issuer signed the statement, and it existed when the entry was put on the chain. " +
    "Whether what it says is true, and whether the transaction that it speaks of is on this " +
    "chain, this file does not prove.",
};

/** Of a statement that has the hash of what it is about. */
export const HASH_LIMIT = {
  zh: "声明只含所述文件的 SHA-256；请自行计算该文件的 SHA-256 并与之比对。",
  en:
    "The statement has the SHA-256 of a document and not the document: compute the document's SHA-256 " +
    "and compare.",
};

/** Step 23: the statement is the one that the entry registered, signed by its issuer. */
export async function checkStatement(subject) {
  const { file: { statement }, root, entries: [entry], bodies: [body] } = subject;
  if (body.kind !== ATTEST || entry.outcome.refused) {
    const [zh, en] = entry.outcome.refused ? ["已记录为拒绝的", "refused"] : ["", "applied"];
    throw new Refuted(
      "unknown_kind",
      `声明由已生效的 ${ATTEST} 条目登记，而此条目为${zh} ${body.kind}。`,
      `A statement is registered by an ${ATTEST} entry that was applied; this one is ${body.kind}, ${en}.`,
    );
  }
  const digest = toHex(await sha256(statement.registered));
  const named = body.data.get("note_hash");
  if (named !== digest) {
    const shown = showText(show(named));
    throw new Refuted(
      "root_mismatch",
      `条目登记的声明哈希为 ${shown}，而此声明的哈希为 ${digest}。`,
      `The entry registers the statement with hash ${shown}; the hash of this one is ${digest}.`,
    );
  }
  const start = `${root.origin}/`;
  const party = statement.issuer.startsWith(start) ? statement.issuer.slice(start.length) : null;
  const place = party === null ? -1 : body.signers.indexOf(party);
  if (place < 0) {
    const shown = showText(statement.issuer);
    throw new Refuted(
      "unknown_party",
      `声明的签发者 ${shown} 不是该条目的签名者（${body.signers.join("、")}）。`,
      `The statement's issuer ${shown} is not one of the entry's signers (${body.signers.join(", ")}).`,
    );
  }
  const key = entry.signatures[place].publicKey;
  const thumbprint = await keyThumbprint(key);
  if (!equal(statement.keyId, thumbprint)) {
    const [kid, own] = [toHex(statement.keyId), toHex(thumbprint)];
    throw new Refuted(
      "unknown_key",
      `声明的 kid 为 ${kid}，而 ${party} 签署该条目之密钥的指纹为 ${own}。`,
      `The statement's kid is ${kid}; the thumbprint of the key with which ${party} signed the entry is ` +
        `${own}.`,
    );
  }
  const message = signedMessage(statement.protectedBytes, statement.payload);
  if (!(await verifySignature(key, message, statement.signature))) {
    throw new Refuted(
      "bad_signature",
      `${party} 对声明的签名无法通过验证。`,
      `The signature of ${party} on the statement does not verify.`,
    );
  }
  const about = TRANSACTION_URN + show(body.data.get("tx_id"));
  if (statement.subject !== about) {
    const [shown, own] = [showText(statement.subject), showText(about)];
    throw new Refuted(
      "bad_field",
      `声明的主题为 ${shown}，而条目所指为 ${own}。`,
      `The statement's subject is ${shown}; the entry speaks of ${own}.`,
    );
  }
  const payload = toHex(statement.isHash ? statement.payload : await sha256(statement.payload));
  subject.stated = { party, digest, payload };
  const kind = showText(statement.contentType);
  const size = statement.payload.length;
  const [zh, en] = statement.isHash
    ? [`一份 ${kind} 文件的 SHA-256`, `the SHA-256 of a document of type ${kind}`]
    : [`${kind}，${size} 字节`, `${kind}, ${size} bytes`];
  return {
    zh:
      `签发者 ${party} 以登记的密钥签署；声明哈希 ${digest} 与条目相符；主题 ${about}；内容为${zh}，` +
      `SHA-256 ${payload}。`,
    en:
      `Its issuer ${party} signed it with the key of the entry; its hash ${digest} is the entry's; its ` +
      `subject is ${about}; its content is ${en}, SHA-256 ${payload}.`,
  };
}

/** Step 24: each receipt is of this entry, by an institution of genesis, and no two by one. */
export async function checkReceipts(subject, pause) {
  const { receipts } = subject.file.statement;
  if (receipts.length === 0) {
    throw new Refuted(
      "signature_count",
      "声明未附收据（标头 394），因此不是透明声明。",
      "The statement has no receipt (header 394), so it is not a Transparent Statement.",
    );
  }
  const { institutions } = subject.root;
  const thumbprints = await Promise.all(institutions.map(({ keys }) => keyThumbprint(keys.log)));
  const found = [];
  for (const [place, raw] of receipts.entries()) {
    let institution;
    try {
      institution = await checkReceipt(subject, readReceipt(raw, `receipts[${place}]`), thumbprints);
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      const { reason, detail } = error;
      throw new Refuted(
        reason,
        `第 ${place + 1} 份收据：${CAUSE_WORDS.get(reason)[0]}（${reason}）。原文：${detail}`,
        `${detail}.`,
      );
    }
    if (found.includes(institution)) {
      throw new Refuted(
        "duplicate",
        `第 ${place + 1} 份收据出自 ${institution.id}，其已有一份收据。`,
        `receipts[${place}]: ${institution.id} has given a receipt already.`,
      );
    }
    found.push(institution);
    await pause(place, receipts.length);
  }
  subject.receiptsBy = found;
  const names = formatInstitutions(found);
  return {
    zh:
      `${found.length} 份收据均针对该条目，签名有效：${names.zh}。收据不签署位置与树的大小，位置以第 6 ` +
      "步为准。",
    en:
      `${found.length} receipts are of this entry and their signatures verify: ${names.en}. A receipt ` +
      "signs neither index nor size; the place rests on step 6.",
  };
}

/** The institution that gave a receipt of the file's entry; throws `Rejected`. */
async function checkReceipt({ root, entries: [entry], bodies: [body] }, receipt, thumbprints) {
  const { name, keyId, claims, index, size, path } = receipt;
  const place = thumbprints.findIndex((one) => equal(one, keyId));
  if (place < 0) refuse("unknown_key", `${name}: kid ${toHex(keyId)} is of no log key of genesis`);
  const institution = root.institutions[place];
  const issuer = `${root.origin}/${institution.id}`;
  const about = TRANSACTION_URN + toHex(body.txId);
  if (claims.size !== 2 || claims.get(ISSUER) !== issuer || claims.get(SUBJECT) !== about) {
    refuse("bad_field", `${name}: its claims are not issuer ${issuer} and subject ${about}`);
  }
  if (index !== entry.index) {
    refuse(
      "bad_proof",
      `${name}: its proof is of index ${index}, and the entry stands at ${entry.index}`,
    );
  }
  let tree;
  try {
    tree = await rootFromInclusion(entry.leaf, BigInt(index), BigInt(size), path);
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    refuse("bad_proof", `${name}: ${error.detail}`);
  }
  const message = signedMessage(receipt.protectedBytes, tree);
  if (!(await verifySignature(institution.keys.log, message, receipt.signature))) {
    refuse(
      "bad_signature",
      `${name}: the signature of ${institution.id} on the root that the entry leads to does not verify`,
    );
  }
  return institution;
}
