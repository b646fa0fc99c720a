// Step 22: what institutions said of their nodes, each signed with its own log key of genesis.
//
// The statements are no condition of any other step. What they say is told, and a limit adds that it
// is the institutions' own word.

import { concat, equal, fromHex, toHex, toUtf8 } from "./bytes.js";
import { verifySignature } from "./ed25519.js";
import { TAGS } from "./hashing.js";
import { quote } from "./quoting.js";
import { Refuted, refuse } from "./refusal.js";
import { readObject } from "./strict_json.js";
import { takeInteger } from "./strict_msgpack.js";
import { formatTimeMs, showText } from "./wording.js";

const FORMAT = "evidence-ledger/platform-statement/v1";
const HEAD = toUtf8(`{"format":"${FORMAT}","signature":"`);
const MIDDLE = toUtf8('","statement":');
const TAIL = toUtf8("}");
const SIGNATURE_HEX_CHARS = 128;
const BYTES_MAX = 32 * 1024;
const HASH = /^[0-9a-f]{64}$/;
const SIGNATURE = /^[0-9a-f]{128}$/;

const MEMBERS = [
  "build",
  "chain_id",
  "conflicts_of_interest",
  "cryptography",
  "health",
  "kernel",
  "node",
  "operator",
  "time_ms",
  "time_source",
  "version",
  "versions",
];
const HEALTH_MEMBERS = [
  "certified_height",
  "detail",
  "height",
  "is_ready",
  "mode",
  "peers_connected",
];
const TIME_SOURCE_MEMBERS = ["error_max_us", "is_synchronized", "text"];

export const PLATFORM_LIMIT = {
  zh:
    "平台声明（《人民法院在线诉讼规则》第十七条）是各机构自己的说明：签名证明由其作出，不证明内容属实；" +
    "所述为其声明时间的情形，未必是条目上链之时的；源码哈希可与公开源码比对。",
  en:
    "The platform statements (Rules of Online Litigation, art. 17) are the institutions' own word: " +
    "a signature proves who said it, not that it is true. Each speaks of the time that it names, " +
    "which need not be the entry's. Build hashes can be compared with published source.",
};

/** Step 22: every statement's signature is good, each of another institution, in order. */
export async function checkPlatform({ file, root }) {
  const said = [];
  for (const raw of file.platform) said.push(await readStatement(raw, root));
  if (said.some(({ place }, at) => at > 0 && place <= said[at - 1].place)) {
    throw new Refuted(
      "bad_field",
      "平台声明未按创世文件中机构的次序排列，或同一机构有多份。",
      "The platform statements are not in the order of the institutions, each once.",
    );
  }
  const zh = said.map(({ lines }) => lines.map((one) => `${one.name[0]}：${one.zh}`).join("；"));
  const en = said.map(({ lines }) => lines.map((one) => `${one.name[1]}: ${one.en}`).join("; "));
  return {
    zh: `${said.length} 份平台声明签名有效。${zh.join("。")}。`,
    en: `${said.length} platform statements with good signatures. ${en.join(". ")}.`,
  };
}

/** Read one statement and verify its signature; throws `Rejected`. */
async function readStatement(raw, root) {
  if (raw.length > BYTES_MAX) {
    fail("too_large", `${raw.length} bytes; at most ${BYTES_MAX} are allowed`);
  }
  const start = HEAD.length + SIGNATURE_HEX_CHARS;
  const end = raw.length - TAIL.length;
  const signature = String.fromCharCode(...raw.subarray(HEAD.length, start));
  const isFramed =
    equal(raw.subarray(0, HEAD.length), HEAD) &&
    SIGNATURE.test(signature) &&
    equal(raw.subarray(start, start + MIDDLE.length), MIDDLE) &&
    equal(raw.subarray(end), TAIL);
  if (!isFramed) fail("malformed", `not of the format ${quote(FORMAT)}`);
  const signed = raw.subarray(start + MIDDLE.length, Math.max(end, start + MIDDLE.length));
  const members = readObject(signed, "platform statement");
  checkMembers(members, MEMBERS, "statement");
  const chainId = takeText(members.get("chain_id"), "chain_id");
  if (chainId !== toHex(root.chainId)) {
    fail("wrong_chain", `chain ${quote(first(chainId, 64))}, not ${toHex(root.chainId)}`);
  }
  const node = takeText(members.get("node"), "node");
  const place = root.institutions.findIndex((one) => one.id === node);
  if (place < 0) fail("not_a_validator", `${quote(first(node, 120))} is no institution of genesis`);
  const institution = root.institutions[place];
  const message = concat(TAGS.platformStatement, root.chainId, signed);
  if (!(await verifySignature(institution.keys.log, message, fromHex(signature)))) {
    const key = toHex(institution.keys.log);
    fail("bad_signature", `the signature of ${node} with its log key ${key} does not verify`);
  }
  const operator = takeObject(members.get("operator"), ["en", "zh"], "operator");
  if (operator.get("zh") !== institution.nameZh || operator.get("en") !== institution.nameEn) {
    fail("bad_field", `the operator's names are not those genesis gives ${node}`);
  }
  return { place, lines: describe(members, institution) };
}

function describe(members, { id, nameZh, nameEn }) {
  const build = takeObject(members.get("build"), ["files", "sha256"], "build");
  const kernel = takeObject(members.get("kernel"), ["kind", "sha256"], "kernel");
  const clock = takeObject(members.get("time_source"), TIME_SOURCE_MEMBERS, "time_source");
  const health = takeObject(members.get("health"), HEALTH_MEMBERS, "health");
  const versions = members.get("versions");
  if (!(versions instanceof Map)) fail("bad_field", "versions is not an object");
  const schemes = members.get("cryptography");
  if (!Array.isArray(schemes)) fail("bad_field", "cryptography is not a list");
  const version = showText(takeText(members.get("version"), "version"));
  const hash = takeHash(build.get("sha256"), "build");
  const files = takeCount(build.get("files"), "build.files");
  const kind = showText(takeText(kernel.get("kind"), "kernel.kind"));
  if (kernel.get("sha256") !== null) takeHash(kernel.get("sha256"), "kernel");
  const libraries = [...versions].map(
    ([name, one]) => `${name} ${takeText(one, `versions.${first(name, 40)}`)}`,
  );
  const cryptography = schemes.map((one) => takeText(one, "a scheme of cryptography"));
  const source = sayClock(clock);
  const conflicts = takeText(members.get("conflicts_of_interest"), "conflicts_of_interest");
  const state = sayHealth(health);
  const said = formatTimeMs(takeCount(members.get("time_ms"), "time_ms"));
  return [
    { name: ["运营机构", "Operator"], zh: `${nameZh}（${id}）`, en: `${nameEn} (${id})` },
    { name: ["声明时间", "Said at"], ...said },
    {
      name: ["软件", "Software"],
      zh: `版本 ${version}，源码哈希 ${hash}（${files} 个文件），内核 ${kind}`,
      en: `version ${version}, build hash ${hash} (${files} files), kernel ${kind}`,
    },
    { name: ["程序库", "Libraries"], ...list(libraries) },
    { name: ["密码技术", "Cryptography"], ...list(cryptography) },
    { name: ["时间来源", "Source of time"], ...source },
    {
      name: ["利害关系", "Conflicts of interest"],
      ...(conflicts ? list([conflicts]) : { zh: "未声明", en: "none declared" }),
    },
    { name: ["节点状态", "Health"], ...state },
  ];
}

function sayClock(clock) {
  const text = showText(takeText(clock.get("text"), "time_source.text"));
  const isSynchronized = clock.get("is_synchronized");
  if (isSynchronized !== null) takeBool(isSynchronized, "time_source.is_synchronized");
  const error = clock.get("error_max_us");
  if (error !== null) takeCount(error, "time_source.error_max_us");
  let known = {
    zh: `已同步，系统估计误差不超过 ${error} 微秒`,
    en: `synchronized, to within ${error} microseconds as the system estimates`,
  };
  if (isSynchronized === null) {
    known = { zh: "是否同步不明", en: "whether it is synchronized is not known" };
  } else if (!isSynchronized) {
    known = { zh: "系统未报告同步", en: "the system does not report it synchronized" };
  } else if (error === null) {
    known = { zh: "已同步", en: "synchronized" };
  }
  return { zh: `${text}，${known.zh}`, en: `${text}, ${known.en}` };
}

function sayHealth(health) {
  const mode = showText(takeText(health.get("mode"), "health.mode"));
  const detail = takeText(health.get("detail"), "health.detail");
  const height = takeCount(health.get("height"), "health.height");
  const certified = takeCount(health.get("certified_height"), "health.certified_height");
  const peers = takeCount(health.get("peers_connected"), "health.peers_connected");
  const isReady = takeBool(health.get("is_ready"), "health.is_ready");
  const zh = detail ? `（${showText(detail)}）` : "";
  const en = detail ? ` (${showText(detail)})` : "";
  return {
    zh:
      `${mode}${zh}，${isReady ? "可用" : "不可用"}，高度 ${height}，` +
      `已认证至 ${certified}，连接节点 ${peers} 个`,
    en:
      `${mode}${en}, ${isReady ? "ready" : "not ready"}, height ${height}, certified to ` +
      `${certified}, ${peers} peers connected`,
  };
}

function list(texts) {
  const shown = texts.map(showText);
  return { zh: shown.join("、"), en: shown.join(", ") };
}

/** The first characters of a text, counted as Python counts them. */
function first(text, count) {
  return [...text].slice(0, count).join("");
}

function checkMembers(members, expected, name) {
  if (members.size !== expected.length || !expected.every((one) => members.has(one))) {
    const found = first([...members.keys()].join(", "), 200);
    fail("bad_field", `${name} has the members ${found} instead of ${expected.join(", ")}`);
  }
}

function takeObject(value, expected, name) {
  if (!(value instanceof Map)) fail("bad_field", `${name} is not an object`);
  checkMembers(value, expected, name);
  return value;
}

function takeText(value, name) {
  return typeof value === "string" ? value : fail("bad_field", `${name} is not a text`);
}

function takeHash(value, name) {
  const text = takeText(value, `${name}.sha256`);
  return HASH.test(text) ? text : fail("bad_field", `${name}.sha256 is not 64 hex digits`);
}

function takeBool(value, name) {
  return typeof value === "boolean" ? value : fail("bad_field", `${name} is neither true nor false`);
}

function takeCount(value, name) {
  return takeInteger(value, `platform statement: ${name}`);
}

function fail(reason, detail) {
  refuse(reason, `platform statement: ${detail}`);
}
