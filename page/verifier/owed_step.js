// Step 14: what was computed to be owed is worked again from what the file holds.
//
// The facts are the contract's own entries, whose record was found complete in step 12. Whatever else the
// law reads comes with the file and is bound by what the entries say (`law_papers.js`). From it the figures
// follow by the page's own reading of the law (`law_refund.js`): how many results there are, and the lowest
// and highest sum. The hash that an outcome gives as `derivation` is of the whole working in its words;
// those are not written here, and the hash is not compared, which a limit says.

import { HISTORY } from "./evidence_file.js";
import { parseDay } from "./law_days.js";
import { CaseReader, checkOrder, readStated } from "./law_papers.js";
import { deriveRefund, findRange } from "./law_refund.js";
import { show } from "./quoting.js";
import { NotRun, Refuted, Rejected } from "./refusal.js";
import { isInteger } from "./strict_msgpack.js";
import { formatFen } from "./wording.js";

const COMPUTED = "refund.computed";

/** Of a file in which what is owed was worked again. */
export const WORKING_LIMIT = {
  zh:
    "应退金额由本网页依自己对法律的实现复算，核对了结果数与最低、最高金额；链上另载推算书全文的哈希" +
    "（derivation），本网页不撰写推算书，未予比对，命令行核验程序予以比对。",
  en:
    "What is owed was derived again by this page's own reading of the law: the number of results, the " +
    "lowest and the highest sum. The chain also holds the hash of the whole working in words " +
    "(derivation); the page does not write that working and did not compare it; the command line does.",
};

/** Step 14: each computation of what is owed gives again the figures that its outcome says. */
export async function checkOwed(subject, pause) {
  const { file } = subject;
  if (file.kind !== HISTORY || file.law === null) {
    throw new NotRun(
      "此文件不含条款与公布数据，应退金额未复算。",
      "The file has no terms and no published data; what is owed is not derived.",
    );
  }
  const stated = await readStated(subject, file.law);
  const reader = new CaseReader(stated, file.law);
  let count = 0;
  let last = null;
  for (const [place, { kind }] of stated.entries()) {
    if (kind !== COMPUTED) continue;
    last = await workAgain(reader, place, stated[place], pause);
    count += 1;
  }
  checkOrder(subject, stated, file.law);
  if (last === null) throw new NotRun("尚未计算过应退金额。", "What is owed was not computed yet.");
  subject.owed = last;
  subject.isOwedDerived = true;
  return describe(count, last);
}

/** What the outcome of a computation must follow from; throws `Refuted` where it says anything else. */
async function workAgain(reader, place, computed, pause) {
  const { position, data, effects } = computed;
  try {
    const gathered = await reader.gather(place);
    // Before any of it is read: papers that a quorum never read are not judged.
    compare(position, "basis", effects.get("basis"), gathered.basis);
    const { terms, facts, published } = reader.read(gathered);
    const asOf = parseDay(data.get("as_of"));
    if (asOf === null) throw differs(position, "as_of", data.get("as_of"), "a day");
    const derived = await deriveRefund(terms, facts, published, asOf, pause);
    const { low, high } = findRange(derived);
    compare(position, "due_low", effects.get("due_low"), low);
    compare(position, "due_high", effects.get("due_high"), high);
    compare(position, "results", effects.get("results"), BigInt(derived.results.length));
    return { ...derived, low, high, position, asOf };
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    throw new Refuted(
      "bad_field",
      `第 ${position} 号条目：无法复算：${error.detail}`,
      `Entry ${position} cannot be derived again: ${error.detail}`,
    );
  }
}

/** Both are texts, or both whole numbers of which the derived one is a BigInt. */
function compare(position, name, said, derived) {
  const isSame = isInteger(said) ? BigInt(said) === derived : said === derived;
  if (!isSame) throw differs(position, name, said, derived);
}

function differs(position, name, said, derived) {
  const [first, second] = [show(said), show(derived)];
  return new Refuted(
    "root_mismatch",
    `第 ${position} 号条目所载 ${name} 为 ${first}，复算为 ${second}。`,
    `Entry ${position} states ${name} ${first}; derived again it is ${second}.`,
  );
}

function describe(count, { low, high, results }) {
  const [first, second] = [formatFen(low), formatFen(high)];
  const times = count === 1 ? "The computation is" : `All ${count} computations are`;
  const sum = low === high ? `are ${first.en}` : `from ${first.en} to ${second.en}`;
  return {
    zh:
      `${count} 次计算均复算一致；最近一次共 ${results.length} 种结果，本息合计 ` +
      `${low === high ? first.zh : `${first.zh} 至 ${second.zh}`}。推算书全文的哈希，本网页不比对。`,
    en:
      `${times} derived again; the last has ${results.length} result${results.length > 1 ? "s" : ""}, ` +
      `principal and interest ${sum}. The hash of the working in words this page does not compare.`,
  };
}
