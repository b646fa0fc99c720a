// Ed25519 by WebCrypto, behind the checks that make it accept exactly what the ledger accepts.
//
// Libraries disagree on edge cases. The ledger's rule is libsodium's: S < L, A and R in their
// canonical encoding, neither of small order, and the equation without the cofactor. The first three
// are checked here on the bytes; what passes them, every conforming WebCrypto judges alike. A browser
// without Ed25519, or one that fails the test of RFC 8032, is named and nothing is verified.

import { fromHex, fromLittleEndian, toHex } from "./bytes.js";
import { Unsupported } from "./refusal.js";
import { orNoKey } from "./webcrypto.js";

export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const Y_MASK = 2n ** 255n - 1n;

/** y of the eight points of small order (both signs): orders 4, 1, 2, and 8 twice. */
const SMALL_ORDER = new Set([
  0n,
  1n,
  P - 1n,
  fromLittleEndian(fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")),
  fromLittleEndian(fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
]);

const keys = new Map();
const KEYS_MAX = 4096;
let support = null;

/** Whether 32 bytes may encode a point: y < p, and not one of small order. */
function isStrictPoint(encoded) {
  const y = fromLittleEndian(encoded) & Y_MASK;
  return y < P && !SMALL_ORDER.has(y);
}

/** Say whether libsodium would accept; never throws for what is merely wrong. */
export async function verifySignature(publicKey, message, signature) {
  await requireEd25519();
  return isStrict(publicKey, signature) && verifyWithWebCrypto(publicKey, message, signature);
}

/** Whether key and signature have the form that libsodium asks for; nothing is verified. */
export function isStrict(publicKey, signature) {
  return (
    signature.length === SIGNATURE_BYTES &&
    publicKey.length === PUBLIC_KEY_BYTES &&
    fromLittleEndian(signature.subarray(32)) < L &&
    isStrictPoint(signature.subarray(0, 32)) &&
    isStrictPoint(publicKey)
  );
}

/** Raise `Unsupported` unless this browser has an Ed25519 that passes RFC 8032's own test. */
export function requireEd25519() {
  support ??= probe();
  return support;
}

function verifyWithWebCrypto(publicKey, message, signature) {
  const name = toHex(publicKey);
  return orNoKey(async () => {
    let key = keys.get(name);
    if (key === undefined) {
      key = await globalThis.crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
      if (keys.size >= KEYS_MAX) keys.clear();
      keys.set(name, key);
    }
    return globalThis.crypto.subtle.verify("Ed25519", key, signature, message);
  });
}

async function probe() {
  if (globalThis.crypto?.subtle === undefined) {
    throw new Unsupported(
      "本浏览器在此地址不提供 WebCrypto：请将本页存为文件后打开，或使用 https 地址。",
      "This browser offers no WebCrypto at this address: open the page as a file, or over https.",
    );
  }
  // RFC 8032 section 7.1, test 3; and the same with one bit of the message changed.
  const key = fromHex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
  const signature = fromHex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac" +
      "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  );
  let isRight = false;
  try {
    isRight =
      (await verifyWithWebCrypto(key, fromHex("af82"), signature)) &&
      !(await verifyWithWebCrypto(key, fromHex("af83"), signature));
  } catch {
    isRight = false;
  }
  if (!isRight) {
    throw new Unsupported(
      "本浏览器的 WebCrypto 没有可用的 Ed25519，无法验证签名。请用较新的浏览器（Chrome 137、Firefox 129、Safari 17 或更新），或命令行核验程序。",
      "This browser's WebCrypto has no working Ed25519, so no signature can be verified. Use a newer " +
        "browser (Chrome 137, Firefox 129, Safari 17 or later) or the verifier's command line.",
    );
  }
}
