"""The verifier's command line: what it prints, and its exit status."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.verifier import test_disclosure
from tests.verifier.mutating import honest
from tests.verifier.small_chain import CARD_SIGNERS, busy_chain, edit
from verifier.main import main, make_parser
from verifier.report import printable
from verifier.verify import STEPS

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    return main(arguments, out=out), out.getvalue()


@pytest.fixture
def evidence(tmp_path: Path) -> str:
    path = tmp_path / "card-1.evidence.json"
    path.write_bytes(honest().encode())
    return str(path)


def genesis_hash() -> str:
    return busy_chain().chain_id.hex()


def test_consistent(evidence: str) -> None:
    status, text = run(evidence, "--genesis-hash", genesis_hash())
    assert status == 0
    assert "结论\uff1a一致\nConclusion: consistent\n" in text
    for number, name, _ in STEPS:
        assert f"{number:>2}  " in text
        assert name.zh in text
        assert name.en in text
    assert "Not proven: that it was true before." in text


@pytest.mark.parametrize(("language", "has_zh", "has_en"), [("zh", 1, 0), ("en", 0, 1)])
def test_one_language(evidence: str, language: str, has_zh: bool, has_en: bool) -> None:
    _, text = run(evidence, "--genesis-hash", genesis_hash(), "--lang", language)
    assert ("结论" in text) == bool(has_zh)
    assert ("Conclusion" in text) == bool(has_en)


def test_inconsistent_names_step_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "cut.evidence.json"
    raw = busy_chain().history("card-1", CARD_SIGNERS)
    path.write_bytes(edit(raw, entries=json.loads(raw)["entries"][1:]))
    status, text = run(str(path), "--genesis-hash", genesis_hash())
    assert status == 1
    assert "Conclusion: inconsistent (step 12 failed)" in text
    assert "结论\uff1a不一致\uff08第 12 步失败\uff09" in text
    assert "1 missing" in text


def test_json_report(evidence: str) -> None:
    status, text = run(evidence, "--genesis-hash", genesis_hash(), "--json")
    report = json.loads(text)
    assert (status, report["conclusion"], report["conclusion_zh"]) == (0, "consistent", "一致")
    assert [step["number"] for step in report["steps"]] == list(range(1, 16))
    assert {step["result"] for step in report["steps"]} == {"ok", "not-run"}
    assert report["facts"]["chain_id"] == genesis_hash()
    assert report["failed_step"] == 0


def test_json_report_of_a_failure(evidence: str) -> None:
    status, text = run(evidence, "--genesis-hash", "00" * 32, "--json")
    report = json.loads(text)
    assert (status, report["failed_step"], report["exit_status"]) == (1, 2, 1)
    assert report["steps"][1]["reason"] == "wrong_chain"
    assert report["facts"] == {}


def test_genesis_hash_is_required_and_never_taken_from_the_file(evidence: str) -> None:
    status, text = run(evidence)
    assert status == 2
    assert "--genesis-hash is required" in text
    assert genesis_hash() in text
    assert "that alone proves nothing" in text
    assert "consistent" not in text


@pytest.mark.parametrize("given", ["", "abc", "zz" * 32, "ab" * 33, "ab " * 21 + "a"])
def test_genesis_hash_must_be_one(evidence: str, given: str) -> None:
    status, text = run(evidence, "--genesis-hash", given)
    assert status == 2
    assert "64 hex digits" in text


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--json"],
        ["--lang", "de"],
        ["--nonsense"],
        ["a", "b"],
        ["/no/such/file", "--genesis-hash", "00" * 32],
        ["/", "--genesis-hash", "00" * 32],
        ["\0", "--genesis-hash", "00" * 32],
        ["x", "--entry", "y", "--genesis-hash", "00" * 32],
        ["--entry", "y", "--genesis-hash", "00" * 32],
    ],
)
def test_unusable_arguments(arguments: list[str]) -> None:
    status, text = run(*arguments)
    assert status == 2
    assert text.strip()
    assert "\0" not in text


def test_too_large_a_file_is_refused_unread(evidence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.main.FILE_BYTES_MAX", 1000)
    status, text = run(evidence, "--genesis-hash", genesis_hash())
    assert (status, "more than 1000 bytes" in text) == (2, True)


def test_file_that_is_no_evidence(tmp_path: Path) -> None:
    path = tmp_path / "photo.json"
    path.write_bytes(bytes(range(256)))
    status, text = run(str(path), "--genesis-hash", genesis_hash())
    assert status == 2
    assert "Conclusion: unusable (step 1 failed)" in text
    assert run(str(path))[0] == 2


def test_bare_proof(tmp_path: Path) -> None:
    parts = honest()
    names = {}
    for name in ("entry", "proof", "genesis"):
        names[name] = str(tmp_path / name)
        Path(names[name]).write_bytes(getattr(parts, name))
    bare = [word for name, path in names.items() for word in (f"--{name}", path)]
    status, text = run(*bare, "--genesis-hash", genesis_hash())
    assert status == 0
    assert "whose keys signed" in text
    status, text = run(*bare)
    assert status == 2
    assert genesis_hash() in text


def test_what_a_file_says_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[2Jb\u202ec\nd\ud800") == "a\\u{1b}[2Jb\\u{202e}c\\u{a}d\\u{d800}"
    assert printable("一致, ok") == "一致, ok"


def test_what_a_file_says_cannot_command_the_terminal_in_json_either(tmp_path: Path) -> None:
    value = "a\x9b2J\u202eb\u2028é\U0001f600\U000e0041"
    chain, raw = test_disclosure.named(value)
    path = tmp_path / "card.json"
    path.write_bytes(raw)
    _, text = run(str(path), "--genesis-hash", chain.chain_id.hex(), "--json")
    assert all(line.isprintable() for line in text.split("\n"))
    assert json.loads(text)["facts"]["disclosed"][0]["fields"] == {"name": value}
    arguments = (str(path), "--genesis-hash", chain.chain_id.hex(), "--json")
    for encoding in ("ascii", "gb2312"):
        out = io.TextIOWrapper(io.BytesIO(), encoding)
        assert main(arguments, out=out) == 0
        out.seek(0)
        assert json.loads(out.read())["facts"]["disclosed"][0]["fields"] == {"name": value}


def test_want_of_memory_is_no_inconsistency(evidence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("verifier.main.verify_evidence", exhaust)
    status, said = run(evidence, "--genesis-hash", genesis_hash())
    assert status == 2
    assert said == (
        f"{evidence}: this machine has not the memory to verify it; nothing was verified. "
        "本机内存不足，未作任何核验。\n"
    )


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in (
        "--genesis-hash",
        "exit status",
        "examples",
        "independent",
        "consistent",
        "tlog-proof",
    ):
        assert word in text
    assert make_parser("evidence-ledger verify").format_usage().startswith("usage: evidence-ledger")


def in_a_process(
    code: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the verifier where nothing but PyNaCl and msgpack can be imported."""
    return subprocess.run(
        [sys.executable, "-O", "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )


ALONE = """
import importlib.abc, sys
ALLOWED = {"nacl", "_cffi_backend", "cffi", "msgpack", "law", "ledger", "verifier"}
REFUSED = {"socket", "ssl", "asyncio", "http", "urllib.request", "selectors", "subprocess"}
class Gate(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if name in REFUSED or (top not in sys.stdlib_module_names and top not in ALLOWED):
            raise ImportError(f"{name} is not for the verifier")
        return None
sys.meta_path.insert(0, Gate())
sys.path.insert(0, ".")
from verifier.main import main
status = main(sys.argv[1:])
assert True
print(sorted({m.partition(".")[0] for m in sys.modules} & {"msgspec", "rfc8785", "asyncio"}))
sys.exit(status)
"""


def test_needs_nothing_but_pynacl_and_msgpack(evidence: str) -> None:
    done = in_a_process(ALONE, evidence, "--genesis-hash", genesis_hash(), "--lang", "en")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("[]\n")
    assert "Conclusion: consistent" in done.stdout


def test_terminal_without_chinese(evidence: str) -> None:
    code = "import sys; from verifier.main import main; sys.exit(main(sys.argv[1:]))"
    done = in_a_process(code, evidence, "--genesis-hash", genesis_hash(), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Conclusion: consistent" in done.stdout


def test_module_runs_by_itself(evidence: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "verifier", evidence, "--genesis-hash", "11" * 32],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, b"")


def run_module(
    *arguments: str, stdout: IO[bytes] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "verifier", *arguments]
    return subprocess.run(
        command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


@pytest.mark.parametrize("form", ["--json", "--working"])
def test_a_report_that_is_not_written_whole_says_nothing_of_the_file(
    evidence: str, form: str
) -> None:
    with open("/dev/full", "wb") as full:
        done = run_module(evidence, "--genesis-hash", genesis_hash(), form, stdout=full)
    assert done.returncode == 2
    assert done.stderr == (
        "the report could not be written whole; take no conclusion from it. "
        "报告未能完整写出，不可据以得出结论。 (No space left on device)\n"
    )


def test_a_reader_that_leaves_is_no_inconsistency(evidence: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = run_module(evidence, "--genesis-hash", genesis_hash(), stdout=pipe)
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.parametrize("nowhere", [">/dev/full", ">/dev/full 2>/dev/full", ">&- 2>&-"])
@pytest.mark.parametrize("program", ["verifier", "cli verify"])
def test_what_cannot_be_said_is_no_verdict(nowhere: str, program: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = f"{sys.executable} -m {program} /nowhere --genesis-hash {genesis_hash()} {nowhere}"
    assert subprocess.run(command, shell=True, cwd=ROOT, check=False).returncode == 2


def test_the_status_alone_can_be_asked_for(evidence: str) -> None:
    command = f"{sys.executable} -m verifier {evidence} --genesis-hash {genesis_hash()} >&-"
    done = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_proof_without_its_entry_says_what_else_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "17.tlog-proof"
    path.write_text("c2sp.org/tlog-proof@v1\nindex 17\n", "utf-8")
    status, text = run(str(path), "--genesis-hash", genesis_hash())
    assert status == 2
    assert "does not hold its entry: give --entry, --proof and --genesis" in text
    assert "不含条目本身" in text


def test_a_missing_file_is_said_in_both_languages(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    status, text = run(str(path), "--genesis-hash", genesis_hash(), "--json")
    assert status == 2
    assert text == (
        f"{path} cannot be read: No such file or directory. {path} 无法读取：没有这个文件或目录。\n"
    )
