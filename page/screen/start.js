// The page: a hash typed in, a file dropped, a report shown. The only module with state and events.
//
// One examination runs at a time; a new file or hash ends the one before. Work is done in slices, so
// that the page answers while it verifies. Nothing is stored: the language is the document's own
// attribute, and the address, cookies and storage are never touched.

import { fromHex } from "../verifier/bytes.js";
import { requireEd25519 } from "../verifier/ed25519.js";
import { FILE_BYTES_MAX } from "../verifier/evidence_file.js";
import { Unsupported } from "../verifier/refusal.js";
import { verifyEvidence } from "../verifier/verify.js";
import { make, printable } from "./elements.js";
import { sayConclusion, showReport } from "./report.js";
import { LANGUAGES, LANGUAGE_TAGS, say } from "./texts.js";

const SLICE_MS = 24;
const PDF = [0x25, 0x50, 0x44, 0x46, 0x2d]; // "%PDF-"
const HASH = /^[0-9a-f]{64}$/u;

const at = (id) => document.getElementById(id);
const now = { examination: 0, file: null, hasOthers: false, report: null, notice: null };

class Stopped extends Error {}

const language = () => (document.documentElement.lang === LANGUAGE_TAGS.zh ? "zh" : "en");
const trustedHash = () => at("genesis").value.replace(/\s/gu, "").toLowerCase();

function speak() {
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = say(language(), element.dataset.text);
  }
  const other = LANGUAGES.find((one) => one !== language());
  const toggle = at("language");
  toggle.textContent = say(language(), "otherLanguage");
  toggle.lang = LANGUAGE_TAGS[other];
  document.title = say(language(), "title");
  showHashState();
  showFileState();
  showNotice(now.notice);
}

function setState(id, text, mood = "") {
  const element = at(id);
  element.textContent = text;
  element.className = `state ${mood}`;
}

function showHashState() {
  const text = trustedHash();
  const isGood = HASH.test(text);
  at("genesis").setAttribute("aria-invalid", String(text !== "" && !isGood));
  if (text === "") {
    setState("genesis-state", now.file === null ? "" : say(language(), "genesisMissing"), "bad");
  } else if (isGood) {
    setState("genesis-state", say(language(), "genesisGood"), "good");
  } else {
    const [foreign] = text.match(/[^0-9a-f]/u) ?? [];
    const said =
      foreign === undefined
        ? say(language(), "genesisBad", text.length)
        : say(language(), "genesisForeign", printable(foreign));
    setState("genesis-state", said, "bad");
  }
}

function showFileState() {
  const { file, hasOthers } = now;
  const chosen = file === null ? "" : say(language(), "fileChosen", printable(file.name), file.size);
  setState("file-state", hasOthers ? `${chosen} ${say(language(), "severalFiles")}` : chosen);
}

/** Say why there is no report: a function of the language, or null. */
function showNotice(words) {
  now.notice = words;
  const notice = at("notice");
  notice.hidden = words === null;
  notice.textContent = words === null ? "" : words(language());
}

function takeFiles(files) {
  if (files.length === 0) return;
  const [file, ...others] = files;
  if (file.size > FILE_BYTES_MAX) {
    endExamination();
    now.file = null;
    now.hasOthers = false;
    showFileState();
    const name = printable(file.name);
    showNotice((one) => say(one, "fileTooLarge", name, file.size, FILE_BYTES_MAX));
    return;
  }
  now.file = file;
  now.hasOthers = others.length > 0;
  showFileState();
  showHashState();
  examine();
}

/** End what runs and take its result off the page. */
function endExamination() {
  now.examination += 1;
  now.report = null;
  at("working").hidden = true;
  at("result").hidden = true;
  at("result").replaceChildren();
  at("announcement").textContent = "";
  showNotice(null);
}

async function examine() {
  const hash = trustedHash();
  const { file } = now;
  endExamination();
  if (file === null || !HASH.test(hash)) return;
  const mine = now.examination;
  const isCurrent = () => mine === now.examination;
  let since = performance.now();
  const onProgress = async (place, done, total) => {
    if (performance.now() - since < SLICE_MS && done > 0) return;
    showProgress(place, done, total);
    await new Promise((resume) => setTimeout(resume));
    since = performance.now();
    if (!isCurrent()) throw new Stopped();
  };
  at("working").hidden = false;
  at("progress-label").textContent = say(language(), "reading");
  at("progress").removeAttribute("value");
  try {
    let raw;
    try {
      raw = new Uint8Array(await file.arrayBuffer());
    } catch {
      if (isCurrent()) showNotice((one) => say(one, "fileUnreadable", printable(file.name)));
      return;
    }
    if (!isCurrent()) return;
    if (PDF.every((byte, place) => raw[place] === byte)) {
      showNotice((one) => say(one, "fileIsPdf", printable(file.name)));
      return;
    }
    const report = await verifyEvidence(raw, fromHex(hash), onProgress);
    if (!isCurrent()) return;
    now.report = { ...report, fileName: file.name };
    await showResult();
    if (!isCurrent()) return;
    at("conclusion").scrollIntoView();
  } catch (error) {
    if (error instanceof Stopped || !isCurrent()) return;
    showNotice((one) =>
      error instanceof Unsupported ? error.words[one] : say(one, "mistake", String(error)),
    );
  } finally {
    if (isCurrent()) at("working").hidden = true;
  }
}

function showProgress({ step, number, count }, done, total) {
  const name = step[language()];
  const progress = at("progress");
  const label = at("progress-label");
  if (total > 0 && done > 0) {
    progress.max = total;
    progress.value = done;
    label.textContent = say(language(), "workingShare", number, count, name, Math.floor((100 * done) / total));
  } else {
    progress.removeAttribute("value");
    label.textContent = say(language(), "working", number, count, name);
  }
}

async function showResult() {
  const { report } = now;
  if (report === null) return;
  const spoken = language();
  const shown = await showReport(spoken, report, report.fileName);
  if (report !== now.report || spoken !== language()) return;
  const print = make("button", { type: "button" }, say(language(), "print"));
  print.addEventListener("click", () => window.print());
  const again = make("button", { type: "button", class: "quiet" }, say(language(), "again"));
  again.addEventListener("click", () => {
    at("examination").scrollIntoView();
    at("file").focus();
  });
  at("result").replaceChildren(...shown, make("div", { class: "actions" }, print, again));
  at("result").hidden = false;
  const { verdict, behind } = sayConclusion(spoken, report);
  at("announcement").textContent = say(spoken, "announced", verdict, behind);
}

function listen() {
  const drop = at("drop");
  at("language").addEventListener("click", async () => {
    const other = LANGUAGES.find((one) => one !== language());
    document.documentElement.lang = LANGUAGE_TAGS[other];
    speak();
    await showResult();
  });
  at("genesis").addEventListener("input", () => {
    showHashState();
    examine();
  });
  at("file").addEventListener("change", () => {
    takeFiles([...at("file").files]);
    at("file").value = ""; // so that the same file can be chosen again
  });
  at("stop").addEventListener("click", () => {
    endExamination();
    showNotice((one) => say(one, "stopped"));
    at("file").focus();
  });
  // A file dropped beside the field must not make the browser leave the page; and where the page has
  // moved under the pointer, as it does when a report is shown, what is now there takes it as well.
  for (const name of ["dragenter", "dragover", "drop"]) {
    document.addEventListener(name, (event) => event.preventDefault());
  }
  document.addEventListener("dragover", () => drop.classList.add("over"));
  document.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    takeFiles([...event.dataTransfer.files]);
  });
}

if (!navigator.languages.some((one) => one.toLowerCase().startsWith("zh"))) {
  document.documentElement.lang = LANGUAGE_TAGS.en;
}
speak();
listen();
requireEd25519().catch((error) => {
  showNotice((one) => (error instanceof Unsupported ? error.words[one] : say(one, "mistake", String(error))));
});
