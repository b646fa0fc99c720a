// Merkle sum trees: what is locked and what is owed, claim by claim, in one total (docs/EVIDENCE.md).
//
// A node is hash ‖ u64 locked ‖ u64 owed; its hash covers both children whole, and no amount or sum
// passes 2^53−1. An odd node is carried up as it is, so a path has exactly one length.

import { concat, fromBigEndian, toHex, u64 } from "./bytes.js";
import { HASH_BYTES, TAGS, sha256 } from "./hashing.js";
import { refuse } from "./refusal.js";

const AMOUNT_MAX = 2n ** 53n - 1n;
const SIZE_MAX = 2 ** 32;
const NODE_BYTES = HASH_BYTES + 16;

export function checkAmounts(locked, owed) {
  for (const [name, amount] of [["locked", locked], ["owed", owed]]) {
    if (amount < 0 || amount > AMOUNT_MAX) {
      refuse("bad_field", `Sum tree: ${name} ${amount} is not between 0 and ${AMOUNT_MAX}`);
    }
  }
}

/** The node of a claim. */
export async function computeLeaf(name, locked, owed) {
  checkAmounts(locked, owed);
  if (name.length !== HASH_BYTES) {
    refuse("bad_field", `Sum tree: a name has ${HASH_BYTES} bytes, not ${name.length}`);
  }
  const amounts = concat(u64(locked), u64(owed));
  return concat(await sha256(TAGS.sumLeaf, name, amounts), amounts);
}

function readNode(raw) {
  if (raw.length !== NODE_BYTES) {
    refuse("malformed", `Sum tree: a node has ${NODE_BYTES} bytes, not ${raw.length}`);
  }
  const locked = fromBigEndian(raw.subarray(HASH_BYTES, HASH_BYTES + 8));
  const owed = fromBigEndian(raw.subarray(HASH_BYTES + 8));
  checkAmounts(locked, owed);
  return { locked, owed };
}

async function join(left, right) {
  const [one, other] = [readNode(left), readNode(right)];
  const [locked, owed] = [one.locked + other.locked, one.owed + other.owed];
  checkAmounts(locked, owed);
  return concat(await sha256(TAGS.sumNode, left, right), u64(locked), u64(owed));
}

/** Check that a leaf is the `index`-th of a tree and in its total; throws `Rejected`. */
export async function verifyClaim(total, index, leaf, path) {
  const { size } = total;
  if (!(index >= 0 && index < size && size <= SIZE_MAX)) {
    refuse("bad_proof", `Sum tree: leaf ${index} is not in a tree of ${size} leaves`);
  }
  let [node, place, width, taken] = [leaf, index, size, 0];
  readNode(node);
  while (width > 1) {
    const isLeft = place % 2 === 0;
    if (!isLeft || place + 1 < width) {
      if (taken === path.length) {
        refuse(
          "bad_proof",
          `Sum tree: a path of ${path.length} nodes is too short for its place in ${size} leaves`,
        );
      }
      const beside = path[taken];
      taken += 1;
      readNode(beside);
      node = isLeft ? await join(node, beside) : await join(beside, node);
    }
    place = Math.floor(place / 2);
    width = Math.ceil(width / 2);
  }
  if (taken < path.length) {
    refuse(
      "bad_proof",
      `Sum tree: a path of ${path.length} nodes is too long for its place in ${size} leaves`,
    );
  }
  const { locked, owed } = readNode(node);
  const hash = toHex(await sha256(TAGS.sumTotal, u64(size), node));
  if (hash !== toHex(total.hash) || locked !== BigInt(total.locked) || owed !== BigInt(total.owed)) {
    refuse(
      "bad_proof",
      `Sum tree: leaf ${index} of ${size} leads to ${hash} with locked ${locked} and owed ${owed}, ` +
        `not to ${toHex(total.hash)} with locked ${total.locked} and owed ${total.owed}`,
    );
  }
}

/** A tree's leaves one after another: the total without the tree. */
export class SumFrontier {
  constructor() {
    this.size = 0;
    this.tops = []; // [leaves below, node] of the whole subtrees, the largest first
  }

  async append(leaf) {
    let [width, node] = [1, leaf];
    while (this.tops.at(-1)?.[0] === width) {
      node = await join(this.tops.pop()[1], node);
      width *= 2;
    }
    this.tops.push([width, node]);
    this.size += 1;
  }

  /** The hash of the total over the leaves so far. */
  async totalHash() {
    let node = this.tops.at(-1)?.[1] ?? new Uint8Array(NODE_BYTES);
    for (const [, left] of this.tops.slice(0, -1).reverse()) node = await join(left, node);
    return sha256(TAGS.sumTotal, u64(this.size), node);
  }
}
