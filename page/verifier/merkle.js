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

/** Throw `Rejected` unless the older tree is the beginning of the newer one (section 2.1.4.2). */
export async function verifyConsistency(size1, size2, proof, root1, root2) {
  const fail = (detail) => refuse("bad_proof", `Consistency proof: ${detail}`);
  if (!(size1 > 0n && size1 <= size2 && size2 <= SIZE_MAX)) {
    fail(`nothing leads from size ${size1} to size ${size2}`);
  }
  if (size1 === size2) {
    if (proof.length > 0) fail(`${proof.length} hashes between equal sizes ${size1}`);
    if (!equal(root1, root2)) {
      fail(`size ${size1} has two roots, ${toHex(root1)} and ${toHex(root2)}`);
    }
    return;
  }
  if (proof.length === 0) fail(`it is empty, from size ${size1} to size ${size2}`);
  const [start, ...rest] = (size1 & (size1 - 1n)) === 0n ? [root1, ...proof] : proof;
  let [fn, sn] = [size1 - 1n, size2 - 1n];
  while (fn & 1n) {
    fn >>= 1n;
    sn >>= 1n;
  }
  let [before, after] = [start, start];
  for (const sibling of rest) {
    if (sn === 0n) {
      fail(`${proof.length} hashes are too many from size ${size1} to size ${size2}`);
    }
    if (fn & 1n || fn === sn) {
      before = await nodeHash(sibling, before);
      after = await nodeHash(sibling, after);
      while (fn !== 0n && !(fn & 1n)) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      after = await nodeHash(after, sibling);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  if (sn !== 0n) fail(`${proof.length} hashes are too few from size ${size1} to size ${size2}`);
  if (!equal(before, root1)) {
    fail(`it leads to old root ${toHex(before)} at size ${size1}, not to ${toHex(root1)}`);
  }
  if (!equal(after, root2)) {
    fail(`it leads to new root ${toHex(after)} at size ${size2}, not to ${toHex(root2)}`);
  }
}

/** Throw `Rejected` unless these leaves stand at `begin` and after in the tree of `size`. */
export async function verifyRange(leaves, begin, size, proof, root) {
  const fail = (detail) => refuse("bad_proof", `Range proof: ${detail}`);
  const end = begin + leaves.length;
  const range = `[${begin}, ${end})`;
  let reached;
  if (leaves.length === 0) {
    if (begin !== 0 || size !== 0 || proof.length > 0) {
      fail(`no leaves from ${begin} on prove nothing about a tree of ${size}`);
    }
    reached = await computeRoot([], async () => {});
  } else {
    // `end` may be past what a number here holds exactly, so it is not told.
    if (end > size) fail(`${leaves.length} leaves from ${begin} on are not in a tree of ${size}`);
    const isOutside = (low, high) => high <= begin || low >= end;
    const isInside = (low, high) => begin <= low && high <= end;
    // The largest power of two below the count; sizes may pass 2^32, so nothing is shifted.
    const middle = (low, high) => {
      let half = 1;
      while (2 * half < high - low) half *= 2;
      return low + half;
    };
    const count = (low, high) =>
      isOutside(low, high)
        ? 1
        : isInside(low, high)
          ? 0
          : count(low, middle(low, high)) + count(middle(low, high), high);
    const wanted = count(0, size);
    if (proof.length !== wanted) {
      const much = proof.length > wanted ? "many" : "few";
      fail(`${proof.length} hashes are too ${much} for ${range} of ${size}`);
    }
    const hashes = proof.values();
    const rootOf = async (low, high) => {
      if (isOutside(low, high)) return hashes.next().value;
      if (isInside(low, high)) return computeRoot(leaves.slice(low - begin, high - begin), async () => {});
      const left = await rootOf(low, middle(low, high));
      return nodeHash(left, await rootOf(middle(low, high), high));
    };
    reached = await rootOf(0, size);
  }
  if (!equal(reached, root)) {
    fail(`${range} of ${size} leads to root ${toHex(reached)}, not to ${toHex(root)}`);
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

/** How many leading bits two hashes share. */
function countSharedBits(left, right) {
  const difference = fromBigEndian(left) ^ fromBigEndian(right);
  return difference === 0n ? KEY_BITS : KEY_BITS - difference.toString(2).length;
}

/** What the walk along a key ends at: its own leaf, another's, or nothing. */
async function endOfWalk(keyHash, valueHash, { depth, other }) {
  if (valueHash !== null) {
    if (other !== null) refuseState(`key ${toHex(keyHash)} is claimed present beside another leaf`);
    return leafHash(Uint8Array.from([...keyHash, ...valueHash]));
  }
  if (other === null) return ZERO_HASH;
  const [otherKey, otherValue] = other;
  const shared = countSharedBits(keyHash, otherKey);
  if (shared === KEY_BITS || shared < depth) {
    refuseState(
      `the leaf of ${toHex(otherKey)} shares ${shared} bits with ${toHex(keyHash)} and cannot stand at ` +
        `depth ${depth} on its way`,
    );
  }
  return leafHash(Uint8Array.from([...otherKey, ...otherValue]));
}

/** Throw `Rejected` unless the state tree under `root` maps the key to this value, or to none (null). */
export async function verifyStateProof(root, keyHash, valueHash, proof) {
  let bits = checkStateProof(proof);
  let node = await endOfWalk(keyHash, valueHash, proof);
  let key = fromBigEndian(keyHash) >> BigInt(KEY_BITS - proof.depth);
  let place = proof.siblings.length;
  for (let depth = 0; depth < proof.depth; depth += 1) {
    const sibling = bits & 1n ? proof.siblings[(place -= 1)] : ZERO_HASH;
    node = key & 1n ? await nodeHash(sibling, node) : await nodeHash(node, sibling);
    key >>= 1n;
    bits >>= 1n;
  }
  if (!equal(node, root)) {
    const claim = valueHash === null ? "absent" : toHex(valueHash);
    refuseState(
      `key ${toHex(keyHash)} as ${claim} leads to root ${toHex(node)}, not to ${toHex(root)}`,
    );
  }
}
