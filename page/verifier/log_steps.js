// Steps 2 to 6: from the hash a person trusts to an entry's place in the log.
//
// The trusted hash fixes the genesis document, the document fixes institutions, keys and quorum, a
// quorum's cosignatures fix one tree of the log, and an inclusion proof fixes what stands at one index
// of that tree. Nothing is believed that does not hang on this chain.

import { equal, toHex } from "./bytes.js";
import {
  checkLines,
  readCheckpointText,
  readLogProof,
  readNote,
  verifyCosignatures,
  verifyLogSignatures,
} from "./checkpoint.js";
import { CONSISTENCY, HISTORY, RECORD, TRANSACTION } from "./evidence_file.js";
import { readEnvelope, readHeaderEntry, readTransactionEntry } from "./formats.js";
import { verifyInclusion } from "./merkle.js";
import { quoteValue } from "./quoting.js";
import { Refuted } from "./refusal.js";
import { computeChainId, readTrustRoot } from "./trust_root.js";
import { countEntries, formatInstitutions, formatTimeMs } from "./wording.js";

/** Step 2: the file's genesis document is the one whose hash is trusted. */
export async function checkGenesis(subject) {
  const chainId = toHex(await computeChainId(subject.file.genesis));
  const trusted = toHex(subject.trustedChainId);
  if (chainId !== trusted) {
    throw new Refuted(
      "wrong_chain",
      `文件中创世文件的哈希为 ${chainId}，所信任的是 ${trusted}。`,
      `The genesis document in the file has hash ${chainId}; trusted is ${trusted}.`,
    );
  }
  return {
    zh: `创世文件的哈希 ${chainId} 与所信任的一致。`,
    en: `The genesis document's hash ${chainId} is the trusted one.`,
  };
}

/** Step 3: institutions, keys and quorum follow from the genesis document. */
export async function checkValidators(subject) {
  const root = (subject.root = await readTrustRoot(subject.file.genesis));
  const count = root.institutions.length;
  const names = formatInstitutions(root.institutions);
  return {
    zh:
      `网络 ${root.network} 由 ${count} 家机构共同验证：${names.zh}；至多 ${root.faultyMax} 家` +
      `不诚实时仍可靠，法定多数为 ${root.quorum} 家。`,
    en:
      `Network ${root.network} has ${count} validators: ${names.en}; it holds while at most ` +
      `${root.faultyMax} lie, and a quorum is ${root.quorum}.`,
  };
}

/** Step 4: one checkpoint of this log, signed by the log and cosigned by a quorum. */
export async function checkCheckpoint(subject) {
  const { file, root } = subject;
  let raw = file.newer;
  if (file.kind !== CONSISTENCY) {
    subject.proofs = readProofs(file);
    raw = subject.proofs.get("header_proof").checkpoint;
  }
  const { tree, times, existedBy } = await certify(root, raw);
  subject.tree = tree;
  subject.cosignedBy = times;
  const { signed, unsigned } = splitCosigners(root, times);
  const by = formatTimeMs(existedBy);
  const rootHex = toHex(tree.root);
  return {
    zh:
      `检查点：树大小 ${tree.size}，根 ${rootHex}；由 ${times.size} 家机构联署：${signed.zh}；` +
      `文件中未见联署：${unsigned.zh}。即使其中 ${root.faultyMax} 家的时钟不实，该树最迟于${by.zh} 已存在。`,
    en:
      `Checkpoint of size ${tree.size}, root ${rootHex}, cosigned by ${times.size}: ${signed.en}; ` +
      `no cosignature here of: ${unsigned.en}. Even if ${root.faultyMax} of their clocks lie, the tree existed by ` +
      `${by.en}.`,
  };
}

/** The institutions that cosigned, and those that did not. */
export function splitCosigners(root, times) {
  return {
    signed: formatInstitutions(root.institutions.filter((_, at) => times.has(at))),
    unsigned: formatInstitutions(root.institutions.filter((_, at) => !times.has(at))),
  };
}

/** A checkpoint of this log that a quorum cosigned: tree, times of cosigners, by when the tree existed
 * and from when on the note with these cosignatures did (ms). */
export async function certify(root, raw) {
  const note = readNote(raw);
  const tree = readCheckpointText(note.text);
  if (tree.origin !== root.origin) {
    throw new Refuted(
      "wrong_chain",
      `检查点属于日志 ${tree.origin}，而不是 ${root.origin}。`,
      `The checkpoint is of log ${tree.origin}, not of ${root.origin}.`,
    );
  }
  checkLines(note, [...root.logKeys, ...root.cosignerKeys]);
  const times = await verifyCosignatures(note, root.cosignerKeys);
  const { signed, unsigned } = splitCosigners(root, times);
  if (times.size < root.quorum) {
    throw new Refuted(
      "no_quorum",
      `检查点仅由 ${times.size} 家机构联署（${signed.zh}），法定多数为 ${root.quorum} 家；` +
        `未联署：${unsigned.zh}。`,
      `Only ${times.size} institutions cosigned the checkpoint (${signed.en}), and a quorum is ` +
        `${root.quorum}; not: ${unsigned.en}.`,
    );
  }
  await verifyLogSignatures(note, root.logKeys, root.origin);
  // At least one of f+1 cosigners is honest, so the tree existed by the (f+1)-th smallest time.
  const ascending = [...times.values()].sort((one, other) => (one < other ? -1 : 1));
  return {
    tree,
    times,
    existedBy: ascending[root.faultyMax] * 1000n,
    cosignedFrom: ascending[ascending.length - 1 - root.faultyMax] * 1000n,
  };
}

/** Step 5: each header of the file is in the log and of this chain and validator set. */
export async function checkHeaders(subject) {
  const { file, proofs } = subject;
  const header = await checkHeader(subject, file.header, "header", proofs.get("header_proof"));
  subject.header = subject.stateHeader = header;
  if (file.kind === TRANSACTION) {
    subject.stateHeader = await checkHeader(
      subject,
      file.stateHeader,
      "state header",
      proofs.get("state_header_proof"),
    );
  }
  const time = formatTimeMs(header.timeMs);
  const proposer = nameOf(subject, header.proposer);
  const hash = toHex(header.blockHash);
  return {
    zh:
      `高度 ${header.height} 的区块头在日志第 ${header.index} 位，区块哈希 ${hash}，区块时间${time.zh}，` +
      `最初由${proposer.zh}提议，规则包版本 ${header.rulePackVersion}；状态根取自高度 ` +
      `${subject.stateHeader.height}。`,
    en:
      `The header of height ${header.height} stands at index ${header.index}: block hash ${hash}, ` +
      `time ${time.en}, first proposed by ${proposer.en}, rule pack version ` +
      `${header.rulePackVersion}; the state root is that of height ${subject.stateHeader.height}.`,
  };
}

/** Step 6: each entry is at the place that it names itself. */
export async function checkEntries(subject, pause) {
  const { file, header } = subject;
  if (file.kind === RECORD) return checkRecordEntries(subject, pause);
  if (file.kind === HISTORY) return checkHistoryEntries(subject, pause);
  const entry = await readTransactionEntry(file.entry, "entry");
  const proof = subject.proofs.get("proof");
  if (proof.index !== BigInt(entry.index)) {
    throw new Refuted(
      "bad_proof",
      `条目自称在第 ${entry.index} 位，日志证明却指第 ${proof.index} 位。`,
      `The entry says it stands at index ${entry.index}, its proof says ${proof.index}.`,
    );
  }
  await checkInclusion(subject, entry.leaf, proof);
  subject.entries = [entry];
  const range = `[${header.firstIndex}, ${header.index})`;
  if (entry.height !== header.height || entry.index < header.firstIndex || entry.index >= header.index) {
    throw new Refuted(
      "wrong_height",
      `条目在高度 ${entry.height}、第 ${entry.index} 位，而高度 ${header.height} 的区块包含 ${range}。`,
      `The entry is of height ${entry.height} at index ${entry.index}, but the block of height ` +
        `${header.height} holds ${range}.`,
    );
  }
  return {
    zh: `条目在日志第 ${entry.index} 位，属于高度 ${entry.height} 的区块（该块包含 ${range}）。`,
    en:
      `The entry stands at index ${entry.index}, in the block of height ${entry.height}, which holds ` +
      `${range}.`,
  };
}

function readProofs(file) {
  const texts = [["header_proof", file.headerProof]];
  if (file.kind === TRANSACTION) {
    texts.push(["proof", file.proof], ["state_header_proof", file.stateHeaderProof]);
  }
  const proofs = new Map();
  for (const [name, raw] of texts) {
    const proof = readLogProof(raw);
    proofs.set(name, proof);
    if (proof.extra !== null) {
      throw new Refuted(
        "malformed",
        `${name} 含有未受签名保护的 extra 行，存证文件不允许。`,
        `${name} has an extra line, which no signature covers; evidence has none.`,
      );
    }
    if (!equal(proof.checkpoint, proofs.get("header_proof").checkpoint)) {
      throw new Refuted(
        "bad_proof",
        `${name} 与 header_proof 的检查点不同；一份证据只有一个检查点。`,
        `${name} and header_proof carry different checkpoints; evidence has one.`,
      );
    }
  }
  return proofs;
}

function checkInclusion({ tree }, leaf, proof) {
  return verifyInclusion(leaf, proof.index, tree.size, proof.path, tree.root);
}

async function checkHeader(subject, raw, name, proof) {
  const { root } = subject;
  const header = await readHeaderEntry(raw, name);
  if (proof.index !== header.index) {
    throw new Refuted(
      "bad_proof",
      `区块头自称在第 ${header.index} 位，日志证明却指第 ${proof.index} 位。`,
      `The header says it stands at index ${header.index}, its proof says ${proof.index}.`,
    );
  }
  await checkInclusion(subject, header.leaf, proof);
  checkOwn(root, header);
  return header;
}

/** The header is of this chain and of the validators of genesis. */
function checkOwn(root, header) {
  if (!equal(header.chainId, root.chainId)) {
    const [found, own] = [toHex(header.chainId), toHex(root.chainId)];
    throw new Refuted(
      "wrong_chain",
      `区块头属于链 ${found}，而不是 ${own}。`,
      `The header is of chain ${found}, not of ${own}.`,
    );
  }
  if (!equal(header.validatorsHash, root.validatorsHash)) {
    const [found, own] = [toHex(header.validatorsHash), toHex(root.validatorsHash)];
    throw new Refuted(
      "root_mismatch",
      `区块头的验证者集合哈希 ${found} 与创世文件的 ${own} 不符。`,
      `The header's validator set ${found} is not that of genesis, ${own}.`,
    );
  }
}

/** The entries of a record, each in its own proven block. */
async function checkRecordEntries(subject, pause) {
  const { file, root, tree, header: newest } = subject;
  const blocks = new Map();
  let before = null;
  for (const [place, block] of file.blocks.entries()) {
    const header = await readHeaderEntry(block.header, `blocks[${place}]`);
    await verifyInclusion(header.leaf, header.index, tree.size, block.path, tree.root);
    checkOwn(root, header);
    if (before !== null && (header.height <= before.height || header.timeMs <= before.timeMs)) {
      throw new Refuted(
        "not_canonical",
        `第 ${place + 1} 个区块（高度 ${header.height}）没有排在前一个（高度 ${before.height}）之后。`,
        `blocks[${place}] of height ${header.height} does not come after the one before it, of height ` +
          `${before.height}.`,
      );
    }
    before = header;
    blocks.set(header.height, header);
    if (place % 64 === 63) await pause(place, file.blocks.length);
  }
  const entries = [];
  for (const [place, raw] of file.entries.entries()) {
    const entry = await readTransactionEntry(raw, `entries[${place}]`);
    const own = blocks.get(entry.height);
    const isInPlace =
      own !== undefined &&
      own.firstIndex <= entry.index &&
      entry.index < own.index &&
      (place === 0 || entry.index > entries[place - 1].index);
    if (!isInPlace) {
      throw new Refuted(
        "wrong_height",
        `第 ${place + 1} 条在第 ${entry.index} 位、高度 ${entry.height}，文件中没有与之相符且依次递增的区块。`,
        `entries[${place}] at index ${entry.index}, height ${entry.height}: the file has no block that ` +
          "holds it, or it does not come after the one before it.",
      );
    }
    entries.push(entry);
    if (place % 64 === 63) await pause(place, file.entries.length);
  }
  const wanted = new Set(entries.map((entry) => entry.height));
  if (file.question.ask === "omission") {
    subject.omitted = readEnvelope(file.question.envelope, "question.envelope");
    wanted.add(file.question.receipt.heightMax);
  }
  const given = [...blocks.keys()];
  const expected = [...wanted].sort((one, other) => one - other);
  const highest = expected[expected.length - 1] ?? 0;
  const isSame = given.length === expected.length && given.every((one, at) => one === expected[at]);
  if (!isSame || highest > newest.height) {
    const [shown, asked] = [quoteValue(given), quoteValue(expected)];
    throw new Refuted(
      "wrong_height",
      `文件所附区块的高度为 ${shown}，应为 ${asked}，且不高于 ${newest.height}。`,
      `The file has blocks of heights ${shown}; they should be ${asked}, none above ${newest.height}.`,
    );
  }
  subject.entries = entries;
  subject.blocks = blocks;
  if (entries.length === 0) return { zh: "文件不含条目。", en: "The file holds no entries." };
  const timeOf = (entry) => formatTimeMs(blocks.get(entry.height).timeMs);
  const [first, last] = [timeOf(entries[0]), timeOf(entries[entries.length - 1])];
  return {
    zh: `${entries.length} 条记录依次递增，各在其区块之内；区块时间自${first.zh} 至${last.zh}。`,
    en:
      `${countEntries(entries.length)} in ascending order, each in its block; the blocks are of ` +
      `${first.en} to ${last.en}.`,
  };
}

async function checkHistoryEntries(subject, pause) {
  const { file, header } = subject;
  const entries = [];
  for (const [place, raw] of file.entries.entries()) {
    const entry = await readTransactionEntry(raw, `entries[${place}]`);
    const before = entries[place - 1];
    if (before !== undefined && (entry.index <= before.index || entry.height < before.height)) {
      throw new Refuted(
        "bad_field",
        `第 ${place + 1} 条（第 ${entry.index} 位，高度 ${entry.height}）没有排在前一条` +
          `（第 ${before.index} 位，高度 ${before.height}）之后。`,
        `entries[${place}] (index ${entry.index}, height ${entry.height}) does not come after the one ` +
          `before it (index ${before.index}, height ${before.height}).`,
      );
    }
    const isInPlace =
      entry.height === header.height
        ? header.firstIndex <= entry.index && entry.index < header.index
        : entry.height < header.height && entry.index < header.firstIndex;
    if (!isInPlace) {
      const range = `[${header.firstIndex}, ${header.index})`;
      throw new Refuted(
        "wrong_height",
        `第 ${place + 1} 条在第 ${entry.index} 位、高度 ${entry.height}，与高度 ${header.height} ` +
          `的区块 ${range} 矛盾。`,
        `entries[${place}] at index ${entry.index}, height ${entry.height}, contradicts the block of ` +
          `height ${header.height}, ${range}.`,
      );
    }
    entries.push(entry);
    if (place % 64 === 63) await pause(place, file.entries.length);
  }
  subject.entries = entries;
  if (entries.length === 0) return { zh: "文件不含条目。", en: "The file holds no entries." };
  const [first, last] = [entries[0], entries[entries.length - 1]];
  return {
    zh:
      `${entries.length} 条记录依次递增：第 ${first.index} 位（高度 ${first.height}）至第 ` +
      `${last.index} 位（高度 ${last.height}）；是否齐全见第 12 步。`,
    en:
      `${countEntries(entries.length)} in ascending order, from index ${first.index} (height ` +
      `${first.height}) to ${last.index} (height ${last.height}); step 12 says whether they are all.`,
  };
}

function nameOf({ root }, replica) {
  const count = root.institutions.length;
  if (replica >= count) {
    throw new Refuted(
      "not_a_validator",
      `提议者 ${replica} 不在 ${count} 家机构之列。`,
      `Proposer ${replica} is not one of ${count} institutions.`,
    );
  }
  return formatInstitutions([root.institutions[replica]]);
}
