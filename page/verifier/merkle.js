// Merkle trees of RFC 9162 section 2.1, the compact sparse tree of the state, and their proofs.
//
// A leaf hash starts from 00 and a node from 01; an odd node is carried up as it is. A proof has
// exactly the length that its position asks for, so each claim has one proof. Sizes and indices are
// BigInts: a tree may have up to 2^63−1 leaves.

import { equal, fromBigEndian, toHex } from "./bytes.js";
import { HASH_BYTES, ZERO_HASH, leafHash, nodeHash, sha256 } from "./hashing.js";
import { refuse } from "./refusal.js";

export const SIZE_MAX = 2n ** 63n - 1n;
const KEY_BITS = 256;
const HASHES_AT_ONCE = 512;

/** Root of the tree over these leaf hashes, level by level. */
export async function computeRoot(leaves, pause) {
  if (leaves.length === 0) return sha256(new Uint8Array(0));
  let row = leaves;
  while (row.length > 1) {
    const above = [];
    for (let from = 0; from < row.length; from += 2 * HASHES_AT_ONCE) {
      const pairs = [];
      for (let at = from; at < Math.min(from + 2 * HASHES_AT_ONCE, row.length); at += 2) {
        pairs.push(at + 1 < row.length ? nodeHash(row[at], row[at + 1]) : row[at]);
      }
      above.push(...(await Promise.all(pairs)));
      await pause();
    }
    row = above;
  }
  return row[0];
}

/** How many hashes PATH(index, D[size]) has (RFC 9162 section 2.1.3.1). */
function pathLength(index, size) {
  let [fn, sn, count] = [index, size - 1n, 0];
  while (sn > 0n) {
    if (fn & 1n || fn < sn) count += 1;
    fn >>= 1n;
    sn >>= 1n;
  }
  return count;
}

/** Nodes on the way from a leaf to the root, each with its sibling and side; the last is the root. */
export async function walkInclusion(leaf, index, size, path) {
  if (!(index >= 0n && index < size && size <= SIZE_MAX)) {
    refuse("bad_proof", `Inclusion proof: leaf ${index} is not in a tree of size ${size}`);
  }
  const wanted = pathLength(index, size);
  if (path.length !== wanted) {
    const much = path.length > wanted ? "many" : "few";
    refuse(
      "bad_proof",
      `Inclusion proof: ${path.length} hashes are too ${much} for leaf ${index} of ${size}`,
    );
  }
  const walk = [];
  let [fn, sn, node] = [index, size - 1n, leaf];
  for (const sibling of path) {
    while (!(fn & 1n) && fn === sn) {
      fn >>= 1n; // an odd node, carried up
      sn >>= 1n;
    }
    const isRight = (fn & 1n) === 1n;
    node = isRight ? await nodeHash(sibling, node) : await nodeHash(node, sibling);
    walk.push({ sibling, isSiblingLeft: isRight, node });
    fn >>= 1n;
    sn >>= 1n;
  }
  return walk;
}

/** The root that a path leads to (RFC 9162 section 2.1.3.2). */
export async function rootFromInclusion(leaf, index, size, path) {
  const walk = await walkInclusion(leaf, index, size, path);
  return walk.length > 0 ? walk[walk.length - 1].node : leaf;
}

/** Throw `Rejected` unless the leaf stands at `index` under `root`. */
export async function verifyInclusion(leaf, index, size, path, root) {
  const reached = await rootFromInclusion(leaf, index, size, path);
  if (!equal(reached, root)) {
    refuse(
      "bad_proof",
      `Inclusion proof: leaf ${index} of ${size} leads to root ${toHex(reached)}, not to ${toHex(root)}`,
    );
  }
}

function refuseState(detail) {
  refuse("bad_proof", `State proof: ${detail}`);
}

function checkStateProof({ depth, bitmap, siblings }) {
  if (depth > KEY_BITS) refuseState(`depth ${depth} is not between 0 and ${KEY_BITS}`);
  if (bitmap.length !== Math.ceil(depth / 8)) {
    refuseState(`${bitmap.length} bytes of bitmap do not belong to depth ${depth}`);
  }
  const bits = fromBigEndian(bitmap);
  const padding = BigInt(8 * bitmap.length - depth);
  if (bits & ((1n << padding) - 1n)) {
    refuseState(`the bitmap ${toHex(bitmap)} has bits below depth ${depth}`);
  }
  const count = [...bits.toString(2)].filter((bit) => bit === "1").length;
  if (count !== siblings.length) {
    refuseState(`${siblings.length} siblings do not match the ${count} bits of bitmap ${toHex(bitmap)}`);
  }
  for (const sibling of siblings) {
    if (sibling.length !== HASH_BYTES || equal(sibling, ZERO_HASH)) {
      refuseState(`'${toHex(sibling)}' is not the hash of a sibling that is not empty`);
    }
  }
  // A subtree of fewer than two leaves is not a node, so the last sibling cannot be empty.
  if (depth > 0 && !((bits >> padding) & 1n)) {
    refuseState(`the sibling at depth ${depth} is empty, so the walk ends above it`);
  }
  return bits >> padding;
}

/** Throw `Rejected` unless the state tree under `root` maps the key to this value. */
export async function verifyStateProof(root, keyHash, valueHash, proof) {
  let bits = checkStateProof(proof);
  if (proof.other !== null) refuseState(`key ${toHex(keyHash)} is claimed present beside another leaf`);
  let key = fromBigEndian(keyHash) >> BigInt(KEY_BITS - proof.depth);
  let node = await leafHash(Uint8Array.from([...keyHash, ...valueHash]));
  let place = proof.siblings.length;
  for (let depth = 0; depth < proof.depth; depth += 1) {
    const sibling = bits & 1n ? proof.siblings[(place -= 1)] : ZERO_HASH;
    node = key & 1n ? await nodeHash(sibling, node) : await nodeHash(node, sibling);
    key >>= 1n;
    bits >>= 1n;
  }
  if (!equal(node, root)) {
    refuseState(
      `key ${toHex(keyHash)} as ${toHex(valueHash)} leads to root ${toHex(node)}, not to ${toHex(root)}`,
    );
  }
}
