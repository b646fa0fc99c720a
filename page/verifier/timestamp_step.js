// Step 25: RFC 3161 tokens are of a certified checkpoint whose tree begins with the file's own.
//
// Looked at here: the checkpoint's signatures and quorum, the path, each token's form, that its SHA-256
// imprint is that of the checkpoint's bytes, and what time it says and how exactly. The authority's signature and
// certificates are not, and SM3 is not computed; the sentence has the command that does both.

import { equal, toHex } from "./bytes.js";
import { sha256 } from "./hashing.js";
import { certify } from "./log_steps.js";
import { verifyConsistency } from "./merkle.js";
import { NotRun, Refuted } from "./refusal.js";
import { readToken } from "./timestamp_token.js";
import { formatAccuracyUs, formatTimeMs } from "./wording.js";

const CLOCK_DIFFERENCE_MAX_MS = 300_000n;

export const TIMESTAMP_LIMIT = {
  zh:
    "时间戳只经读取：时间戳机构的签名与证书未核验，因此由谁加盖、何时加盖均未得到证明，须以 openssl ts " +
    "核验；机构名称是取得时间戳的节点所起的名称。",
  en:
    "The time stamps were read, no more: the authorities' signatures and certificates were not checked, " +
    "so neither who stamped nor when is proven until openssl ts does; an authority's name is what the " +
    "node that asked calls it.",
};

/** Step 25. */
export async function checkTimestamps({ file, root, tree }) {
  const { checkpoint, path, tokens } = file.timestamps;
  const { tree: newer, cosignedFrom } = await certify(root, checkpoint);
  await verifyConsistency(tree.size, newer.size, path, tree.root, newer.root);
  const digest = await sha256(checkpoint);
  const told = tokens.map((token, at) => tellToken(token, at, digest, cosignedFrom));
  const [first] = tokens;
  const command =
    "evidence-ledger stamps --file FILE -o stamped && openssl ts -verify -data stamped/checkpoint -in " +
    `stamped/${first.authority}.${first.algorithm}.tsr -CAfile root.pem -untrusted signer.pem`;
  const zh =
    `大小为 ${newer.size} 的检查点由法定多数联署，此文件的日志是其开头；其 ${told.length} 个时间戳自` +
    `称的时间：${told.map((one) => one.zh).join("；")}。时间戳机构的签名与证书未在此核验，核验命令：` +
    command;
  const en =
    `A quorum cosigned the checkpoint of size ${newer.size}; this file's log is the beginning of it. ` +
    `What its ${told.length} time stamps say: ${told.map((one) => one.en).join("; ")}. The authorities' ` +
    `signatures and certificates are not checked here; to check them: ${command}`;
  if (!tokens.some(({ algorithm }) => algorithm === "sha256")) throw new NotRun(zh, en);
  return { zh, en };
}

function tellToken({ algorithm, authority, raw }, at, digest, cosignedFrom) {
  const name = `timestamps.tokens[${at}]`;
  const { imprint, timeMs, accuracyUs } = readToken(raw, algorithm, name);
  const isCompared = algorithm === "sha256";
  if (isCompared && !equal(imprint, digest)) {
    throw new Refuted(
      "root_mismatch",
      `第 ${at + 1} 个时间戳的摘要为 ${toHex(imprint)}，而检查点的 SHA-256 为 ${toHex(digest)}。`,
      `${name}: the imprint is ${toHex(imprint)}; the checkpoint's SHA-256 is ${toHex(digest)}.`,
    );
  }
  const by = formatTimeMs(timeMs);
  const exactly = formatAccuracyUs(accuracyUs);
  if (BigInt(timeMs) < cosignedFrom - CLOCK_DIFFERENCE_MAX_MS) {
    const since = formatTimeMs(cosignedFrom);
    throw new Refuted(
      "bad_field",
      `第 ${at + 1} 个时间戳自称的时间为${by.zh}，而其检查点在${since.zh} 之前尚未联署。`,
      `${name}: it says ${by.en}, and its checkpoint was not cosigned before ${since.en}.`,
    );
  }
  return {
    zh: `${authority}（${algorithm}）：${by.zh}${exactly.zh}，${isCompared ? "摘要相符" : "摘要未比对"}`,
    en: `${authority} (${algorithm}): ${by.en}${exactly.en}, ${isCompared ? "of these bytes" : "imprint not compared"}`,
  };
}
