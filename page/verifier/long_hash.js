// SHA-256 of a whole file (FIPS 180-4), in pieces between which a page can breathe.
//
// WebCrypto takes a text in one piece only, and Chromium hashes it before the call returns: a second
// for a large file, in which the page can neither show how far it is nor be stopped. Everything else is
// short and hashed by WebCrypto.

const BLOCK_BYTES = 64;
const PIECE_BYTES = 1024 * 1024;

/** Section 4.2.2: from the cube roots of the first 64 primes; section 5.3.3: from the square roots. */
const PRIMES = listPrimes(64);
const CONSTANTS = Int32Array.from(PRIMES, (prime) => fractionOf(prime, 3n));
const INITIAL = Int32Array.from(PRIMES.slice(0, 8), (prime) => fractionOf(prime, 2n));

function listPrimes(count) {
  const primes = [];
  for (let number = 2; primes.length < count; number += 1) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  return primes;
}

/** The first 32 bits of the fraction of a number's root of this degree. */
function fractionOf(number, degree) {
  const scaled = BigInt(number) << (32n * degree);
  let root = 0n;
  for (let bit = 1n << 36n; bit > 0n; bit >>= 1n) {
    if ((root + bit) ** degree <= scaled) root += bit;
  }
  return Number(BigInt.asIntN(32, root));
}

/** SHA-256 of `raw`, with `pause` awaited now and then and told how many bytes are hashed. */
export async function sha256Slowly(raw, pause) {
  const state = INITIAL.slice();
  const whole = raw.length - (raw.length % BLOCK_BYTES);
  for (let at = 0; at < whole; at += PIECE_BYTES) {
    compress(state, raw.subarray(at, Math.min(at + PIECE_BYTES, whole)));
    await pause(at);
  }
  compress(state, pad(raw.subarray(whole), raw.length));
  const hash = new DataView(new ArrayBuffer(state.byteLength));
  state.forEach((word, at) => hash.setInt32(4 * at, word));
  return new Uint8Array(hash.buffer);
}

/** Section 5.1.1: a one bit, zeros, and the length in bits. */
function pad(rest, length) {
  const padded = new Uint8Array(rest.length + 9 > BLOCK_BYTES ? 2 * BLOCK_BYTES : BLOCK_BYTES);
  padded.set(rest);
  padded[rest.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, 8n * BigInt(length));
  return padded;
}

/** Section 6.2.2, for each block in turn. */
function compress(state, blocks) {
  const words = new Int32Array(64);
  const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.length);
  for (let start = 0; start < blocks.length; start += BLOCK_BYTES) {
    for (let t = 0; t < 16; t += 1) words[t] = view.getInt32(start + 4 * t, false);
    for (let t = 16; t < 64; t += 1) {
      const early = words[t - 15];
      const late = words[t - 2];
      const first = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
      const second = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
      words[t] = (second + words[t - 7] + first + words[t - 16]) | 0;
    }
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let t = 0; t < 64; t += 1) {
      const above = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const choice = (e & f) ^ (~e & g);
      const one = (h + above + choice + CONSTANTS[t] + words[t]) | 0;
      const below = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + below + majority) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

function rotate(word, count) {
  return (word >>> count) | (word << (32 - count));
}
