// What the replays of a contract's entries share, whatever rules they replay.
//
// A refusal for want of money names the balance that was there; the end is compared with the record in
// the state, member by member; what contradicts is told by the entry's place.

import { equal } from "./bytes.js";
import { show } from "./quoting.js";
import { Refuted } from "./refusal.js";

/** A refusal for want of money names `locked` fen, and more was wanted. */
export function checkRefusal(place, { outcome }, body, locked) {
  if (outcome.code !== "insufficient_locked" || body.version !== 1) return;
  const amount = body.data.get("amount");
  const expected = [["locked", locked], ["amount", amount]];
  if (typeof amount !== "number" || amount <= locked || !isSame(outcome.effects, expected)) {
    fail(
      place,
      `以余额不足拒绝 ${show(amount)} 分，而锁定余额为 ${locked} 分`,
      `refused ${show(amount)} fen as more than is locked, but ${locked} fen were locked`,
    );
  }
}

/** Each member, as [name, held in the state, derived], is the same twice. */
export function compareWithState(derived) {
  for (const [name, held, expected] of derived) {
    if (!isSame(held, expected)) {
      throw new Refuted(
        "root_mismatch",
        `链上状态的 ${name} 为 ${show(held)}，依记录复算为 ${show(expected)}。`,
        `The state holds ${name} ${show(held)}; the entries give ${show(expected)}.`,
      );
    }
  }
}

/** Whether two values are the same, lists by their elements, bytes by theirs. */
export function isSame(one, other) {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return equal(one, other);
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other;
  return one.length === other.length && one.every((item, at) => isSame(item, other[at]));
}

/** What contradicts in the entry at `place`, from 0. */
export function fail(place, zh, en) {
  throw new Refuted("bad_field", `第 ${place + 1} 条：${zh}。`, `entries[${place}]: ${en}.`);
}
