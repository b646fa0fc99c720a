// Two signed statements of one validator that no correct one can both have made.
//
// Genesis alone decides: it names the validator's keys, and the two signatures do the rest. Nothing of
// a chain is read, so it does not matter who brings the file.

import { concat, equal, toBase64, toHex, u64 } from "./bytes.js";
import { verifyCosignature } from "./checkpoint.js";
import { SIGNATURE_BYTES, verifySignature } from "./ed25519.js";
import { VIEW_MAX } from "./formats.js";
import { HASH_BYTES, TAGS } from "./hashing.js";
import { verifyConsistency } from "./merkle.js";
import { Refuted } from "./refusal.js";
import { readArray, takeArray, takeBytes, takeInteger, takeText } from "./strict_msgpack.js";
import { formatInstitutions } from "./wording.js";

const PHASES = ["pre-prepare", "prepare", "commit"];
const PHASES_ZH = ["预准备", "准备", "提交"];
const PHASE_TAGS = [TAGS.prePrepare, TAGS.prepare, TAGS.commit];
const COMMIT = 2;
const TREE_BYTES = 8 + SIGNATURE_BYTES;

/** Throw `Refuted` or `Rejected` unless the evidence contradicts itself. */
export async function checkEquivocation(subject) {
  const fields = readArray(subject.file.evidence, "equivocation");
  const kind = takeInteger(fields[0], "equivocation: kind", 1, 4);
  takeArray(fields, "equivocation", kind === 4 ? 7 : 3);
  if (kind === 4) return checkFork(subject, fields);
  if (kind === 1) return checkVotes(subject, takeVote(fields[1], "first"), takeVote(fields[2], "second"));
  if (kind === 2) {
    return checkClaims(subject, takeClaim(fields[1], "first"), takeClaim(fields[2], "second"));
  }
  return checkAmnesia(subject, takeVote(fields[1], "commit"), takeClaim(fields[2], "view-change"));
}

async function checkVotes(subject, first, second) {
  const name = oneValidator(subject, first.replica, second.replica);
  const isPrimary =
    BigInt(first.replica) ===
    (BigInt(first.height) + BigInt(first.view)) % BigInt(subject.root.institutions.length);
  const isPair = isPrimary && first.phase + second.phase === 1;
  const isOneSlot = first.height === second.height && first.view === second.view;
  if (!isOneSlot || !(first.phase === second.phase || isPair)) {
    fail(
      "bad_field",
      `两票分属 ${slotZh(first)} 与 ${slotZh(second)}，并不矛盾。`,
      `The votes are of slots ${slot(first)} and ${slot(second)}, which do not contradict each other.`,
    );
  }
  const [one, other] = [toHex(first.blockHash), toHex(second.blockHash)];
  if (one === other) fail("bad_field", `两票都投给区块 ${one}。`, `Both votes are for block ${one}.`);
  if (one > other) {
    fail(
      "not_canonical",
      "区块哈希较小的一票应排在前面。",
      "The vote for the lower block hash stands second.",
    );
  }
  for (const vote of [first, second]) await verifyVote(subject, vote);
  return {
    zh:
      `${name.zh}在${slotZh(first)}投票给区块 ${one}，又在${slotZh(second)}投票给区块 ${other}，` +
      "两票均有其签名：自相矛盾。",
    en:
      `${name.en} voted in ${slot(first)} for block ${one} and in ${slot(second)} for block ${other}, ` +
      "and signed both: it contradicted itself.",
  };
}

async function checkClaims(subject, first, second) {
  const name = oneValidator(subject, first.replica, second.replica);
  if (first.height !== second.height || first.view !== second.view) {
    fail(
      "bad_field",
      `两份视图变更分别针对高度 ${first.height} 第 ${first.view} 视图与高度 ${second.height} 第 ` +
        `${second.view} 视图，并不矛盾。`,
      `The view-changes are of height ${first.height} to view ${first.view} and of height ` +
        `${second.height} to view ${second.view}, which do not contradict each other.`,
    );
  }
  const order = compareClaims(first, second);
  if (order === 0) {
    fail("bad_field", "两份视图变更所称相同。", "Both view-changes claim the same.");
  }
  if (order > 0) {
    fail(
      "not_canonical",
      "所称较低的视图变更应排在前面。",
      "The view-change with the lower claim stands second.",
    );
  }
  for (const claim of [first, second]) await verifyClaim(subject, claim);
  return {
    zh:
      `${name.zh}在高度 ${first.height} 转入第 ${first.view} 视图时签署了两份内容不同的视图变更：` +
      "自相矛盾。",
    en:
      `${name.en} signed two view-changes of height ${first.height} to view ${first.view} that claim ` +
      "different things: it contradicted itself.",
  };
}

async function checkAmnesia(subject, commit, change) {
  const name = oneValidator(subject, commit.replica, change.replica);
  if (commit.phase !== COMMIT || commit.height !== change.height) {
    fail(
      "bad_field",
      `${slotZh(commit)}的一票不涉及高度 ${change.height} 的视图变更。`,
      `A vote in ${slot(commit)} says nothing about a view-change of height ${change.height}.`,
    );
  }
  const { claim } = change;
  const isDenied =
    change.view > commit.view &&
    (claim === null ||
      claim.view < commit.view ||
      (claim.view === commit.view && !equal(claim.blockHash, commit.blockHash)));
  if (!isDenied) {
    fail(
      "bad_field",
      `视图变更没有否认第 ${commit.view} 视图的提交票。`,
      `The view-change does not deny the commit of view ${commit.view}.`,
    );
  }
  await verifyVote(subject, commit);
  await verifyClaim(subject, change);
  const block = toHex(commit.blockHash);
  return {
    zh:
      `${name.zh}在高度 ${commit.height} 第 ${commit.view} 视图对区块 ${block} 投了提交票，却在转入第 ` +
      `${change.view} 视图时否认：自相矛盾。`,
    en:
      `${name.en} committed to block ${block} at height ${commit.height} in view ${commit.view} and ` +
      `denied it when it changed to view ${change.view}: it contradicted itself.`,
  };
}

async function checkFork(subject, fields) {
  const { root } = subject;
  const replica = takeInteger(fields[1], "equivocation: replica");
  const origin = takeText(fields[2], "equivocation: origin");
  const [smaller, larger] = [[fields[3], "smaller"], [fields[4], "larger"]].map(([item, which]) => {
    const [size, hash, signature] = takeArray(item, `equivocation: ${which}`, 3);
    return {
      size: takeInteger(size, `equivocation: ${which}: size`),
      root: takeBytes(hash, `equivocation: ${which}: root`, HASH_BYTES),
      signature: takeBytes(signature, `equivocation: ${which}: signature`, TREE_BYTES),
    };
  });
  const prefix = takeBytes(fields[5], "equivocation: prefix root", HASH_BYTES);
  const proof = takeArray(fields[6], "equivocation: proof").map((node) =>
    takeBytes(node, "equivocation: proof", HASH_BYTES),
  );
  const name = oneValidator(subject, replica, replica);
  if (origin !== root.origin) {
    fail(
      "wrong_chain",
      `两棵树属于日志 ${origin}，而不是 ${root.origin}。`,
      `The trees are of log ${origin}, not of ${root.origin}.`,
    );
  }
  if (smaller.size === larger.size) {
    const isOrdered = toHex(smaller.root) < toHex(larger.root);
    if (!isOrdered || !equal(prefix, larger.root) || proof.length > 0) {
      fail(
        "not_canonical",
        "大小相同的两棵树：根较小者在前，且不附证明。",
        "Two trees of one size: the lower root stands first, and nothing is proven.",
      );
    }
  } else {
    await verifyConsistency(BigInt(smaller.size), BigInt(larger.size), proof, prefix, larger.root);
    if (equal(prefix, smaller.root)) {
      fail(
        "bad_field",
        `大小 ${larger.size} 的树以此树为开头，并不矛盾。`,
        `The tree of size ${larger.size} begins with this one; they do not contradict each other.`,
      );
    }
  }
  for (const tree of [smaller, larger]) {
    const text = `${origin}\n${tree.size}\n${toBase64(tree.root)}\n`;
    await verifyCosignature(text, root.cosignerKeys[replica], tree.signature);
  }
  return {
    zh:
      `${name.zh}联署了大小 ${smaller.size}、根 ${toHex(smaller.root)} 的树，又联署了大小 ` +
      `${larger.size} 的树，而后者前 ${smaller.size} 条的根为 ${toHex(prefix)}：两棵树不能同真，自相矛盾。`,
    en:
      `${name.en} cosigned a tree of size ${smaller.size} with root ${toHex(smaller.root)} and one of ` +
      `size ${larger.size} whose first ${smaller.size} entries have root ${toHex(prefix)}: not both can ` +
      "be the log; it contradicted itself.",
  };
}

function takeVote(item, which) {
  const name = `equivocation: ${which}`;
  const [phase, height, view, blockHash, replica, signature] = takeArray(item, name, 6);
  return {
    phase: takeInteger(phase, `${name}: phase`, 0, COMMIT),
    height: takeInteger(height, `${name}: height`, 1),
    view: takeInteger(view, `${name}: view`, 0, VIEW_MAX),
    blockHash: takeBytes(blockHash, `${name}: block hash`, HASH_BYTES),
    replica: takeInteger(replica, `${name}: replica`),
    signature: takeBytes(signature, `${name}: signature`, SIGNATURE_BYTES),
  };
}

function takeClaim(item, which) {
  const name = `equivocation: ${which}`;
  const [height, viewField, claimField, replica, signature] = takeArray(item, name, 5);
  const view = takeInteger(viewField, `${name}: view`, 1, VIEW_MAX);
  let claim = null;
  if (claimField !== null) {
    const [prepared, blockHash] = takeArray(claimField, `${name}: claim`, 2);
    claim = {
      view: takeInteger(prepared, `${name}: prepared view`, 0, view - 1),
      blockHash: takeBytes(blockHash, `${name}: block hash`, HASH_BYTES),
    };
  }
  return {
    height: takeInteger(height, `${name}: height`, 1),
    view,
    claim,
    replica: takeInteger(replica, `${name}: replica`),
    signature: takeBytes(signature, `${name}: signature`, SIGNATURE_BYTES),
  };
}

/** Order of two claims: nothing is the lowest, then the view, then the block. */
function compareClaims({ claim: one }, { claim: other }) {
  if (one === null || other === null) return (one === null ? 0 : 1) - (other === null ? 0 : 1);
  if (one.view !== other.view) return one.view - other.view;
  const [left, right] = [toHex(one.blockHash), toHex(other.blockHash)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function oneValidator({ root }, one, other) {
  const count = root.institutions.length;
  if (one !== other) {
    fail(
      "bad_field",
      `两份陈述分属验证者 ${one} 与 ${other}。`,
      `The statements are of two validators, ${one} and ${other}.`,
    );
  }
  if (one >= count) {
    fail(
      "not_a_validator",
      `验证者 ${one} 不在 ${count} 家机构之列。`,
      `Validator ${one} is not one of ${count} institutions.`,
    );
  }
  return formatInstitutions([root.institutions[one]]);
}

function verifyVote({ root }, vote) {
  const { phase, height, view, blockHash, replica, signature } = vote;
  const message = concat(PHASE_TAGS[phase], root.chainId, u64(height), u64(view), blockHash);
  return verify(root.institutions[replica], message, signature, slotZh(vote), slot(vote));
}

function verifyClaim({ root }, { height, view, claim, replica, signature }) {
  const tail = claim === null ? [Uint8Array.of(0)] : [Uint8Array.of(1), u64(claim.view), claim.blockHash];
  const message = concat(TAGS.viewChange, root.chainId, u64(height), u64(view), ...tail);
  const [zh, en] = [`高度 ${height} 转入第 ${view} 视图`, `view-change/${height}/${view}`];
  return verify(root.institutions[replica], message, signature, zh, en);
}

async function verify(who, message, signature, whereZh, whereEn) {
  if (await verifySignature(who.keys.vote, message, signature)) return;
  const name = formatInstitutions([who]);
  fail(
    "bad_signature",
    `${name.zh}在${whereZh}的签名无法通过验证。`,
    `The signature of ${name.en} in ${whereEn} does not verify.`,
  );
}

function slot({ phase, height, view }) {
  return `${PHASES[phase]}/${height}/${view}`;
}

function slotZh({ phase, height, view }) {
  return `高度 ${height} 第 ${view} 视图${PHASES_ZH[phase]}阶段`;
}

function fail(reason, zh, en) {
  throw new Refuted(reason, zh, en);
}
