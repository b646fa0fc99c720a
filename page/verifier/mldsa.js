// ML-DSA-44 (FIPS 204) by WebCrypto, if this browser has it.
//
// The verification needs none: what rests on Ed25519 is decided without it, and a post-quantum part is
// then said not to be checked. Whatever calls itself ML-DSA-44 is tried before it is believed.

import { orNoKey } from "./webcrypto.js";

const ALGORITHM = { name: "ML-DSA-44" };

let found = null;

/** A promise of (public key, message, signature) → promise of a boolean, or of null where there is none. */
export function findVerify() {
  found ??= probe().then(
    (works) => (works ? verify : null),
    () => null,
  );
  return found;
}

function verify(publicKey, message, signature) {
  const { subtle } = globalThis.crypto;
  return orNoKey(async () => {
    const key = await subtle.importKey("raw-public", publicKey, ALGORITHM, false, ["verify"]);
    return subtle.verify(ALGORITHM, key, signature, message);
  });
}

/** Whether a signature is taken, and refused with one bit of it, or of what was signed, changed. */
async function probe() {
  const { subtle } = globalThis.crypto;
  const { publicKey, privateKey } = await subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const raw = new Uint8Array(await subtle.exportKey("raw-public", publicKey));
  const message = new Uint8Array(32);
  const signature = new Uint8Array(await subtle.sign(ALGORITHM, privateKey, message));
  if (!(await verify(raw, message, signature))) return false;
  if (await verify(raw, Uint8Array.of(1, ...message.subarray(1)), signature)) return false;
  signature[0] ^= 1;
  return !(await verify(raw, message, signature));
}
