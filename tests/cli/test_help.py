"""Help teaches, is quick to come, and needs no package; refusals are whole sentences."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli.arguments import write_output
from cli.failure import Failure
from cli.main import make_parser
from tests.cli.running import Command
from verifier.help import LANGUAGE_VARIABLE

ROOT = Path(__file__).parents[2]

COMMANDS = [
    ["genesis", "member"],
    ["genesis", "make"],
    ["genesis", "show"],
    ["genesis", "policy"],
    ["node", "init"],
    ["node", "run"],
    ["node", "backup"],
    ["node", "restore"],
    ["node", "recover"],
    ["node", "token", "issue"],
    ["node", "token", "list"],
    ["node", "token", "revoke"],
    ["devnet"],
    ["submit"],
    ["play"],
    ["proof"],
    ["evidence"],
    ["history"],
    ["claim"],
    ["schedule"],
    ["private", "put"],
    ["private", "show"],
    ["private", "disclose"],
    ["private", "erase"],
    ["statement", "register"],
    ["statement", "collect"],
    ["statement", "extract"],
    ["verify"],
    ["certificate", "make"],
    ["certificate", "extract"],
    ["certificate", "check"],
    ["page"],
    ["inspect"],
]


def test_help_names_every_command(command: Command) -> None:
    assert command.run("--help") == 0
    for words in COMMANDS:
        assert re.search(rf"^    {words[0]}\b", command.out, flags=re.MULTILINE), words
    assert command.run() == 2
    assert "usage: evidence-ledger" in command.err


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_each_command_shows_an_example(command: Command, words: list[str]) -> None:
    assert command.run(*words, "--help") == 0
    assert f"usage: evidence-ledger {' '.join(words)}" in command.out
    assert re.search(r"^examples?:$", command.out, flags=re.MULTILINE), command.out
    assert f"  evidence-ledger {' '.join(words)} " in command.out


def test_every_example_in_the_help_is_a_command_that_exists() -> None:
    text = subprocess.run(
        [sys.executable, "-c", ("import sys; from cli.main import make_parser; "
         "print(make_parser().format_help())")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for line in re.findall(r"^  evidence-ledger (.+)$", text, flags=re.MULTILINE):
        words = line.split()
        if words[0] in {"verify", "bench"}:
            continue
        listed = [command for command in COMMANDS if words[: len(command)] == command]
        assert listed, line


HEAVY = {"httpx", "fastapi", "pydantic", "cryptography", "msgspec", "nacl", "rich", "uvloop"}


def test_help_imports_the_standard_library_only() -> None:
    code = (
        "import sys\n"
        "from cli.main import make_parser\n"
        "make_parser().format_help()\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_verify_runs_with_the_verifiers_two_packages_only() -> None:
    code = (
        "import sys\n"
        "for name in ('httpx', 'fastapi', 'pydantic', 'cryptography', 'msgspec', 'rich', 'uvloop',"
        " 'rfc8785', 'plyvel', 'rocksdict', 'google_crc32c', 'structlog', 'uvicorn'):\n"
        "    sys.modules[name] = None\n"
        "from cli.main import main\n"
        "sys.exit(main(['verify', 'nowhere.json', '--genesis-hash', '0' * 64]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (2, "")
    assert result.stdout.startswith("nowhere.json cannot be read: ")


@pytest.mark.parametrize("module", ["cli.main", "cli.quickstart", "verifier.main"])
def test_a_terminal_without_chinese_shows_code_points(module: str) -> None:
    code = f"import sys; from {module} import main; sys.exit(main(['--help']))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii", LANGUAGE_VARIABLE: "zh"},
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{'用法：'.encode('unicode_escape').decode()} ")


def test_a_missing_package_is_said() -> None:
    code = (
        "import sys\n"
        "sys.modules['httpx'] = None\n"
        "from cli.main import main\n"
        "sys.exit(main(['proof', 'inclusion', '0' * 64, '--api', 'https://node.example']))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (
        1,
        (
            "The package httpx is not installed; this command needs the node's packages "
            "(pip install 'evidence-ledger[node]'). `verify` does without them.\n"
            "未安装软件包 httpx；此命令须安装节点所用的软件包"
            "（pip install 'evidence-ledger[node]'）。verify 命令无须安装。\n"
        ),
    )


def test_the_version_is_printed(command: Command) -> None:
    assert command.run("--version") == 0
    assert command.out == "evidence-ledger 0.1.0\n"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["nonsense"], "Argument command: invalid choice: 'nonsense'"),
        (["devnet"], "The following arguments are required: --home/--directory"),
        (["devnet", "--hom", "x"], "Argument action: invalid choice: 'x' (choose from "),
        (
            ["proof", "inclusion", "xyz", "--api", "https://node.example"],
            "'xyz' is not a transaction id of 64 lower-case hex digits.",
        ),
        (
            ["proof", "inclusion", "0" * 64],
            "Name a network: --devnet DIR, or --api URL with --authority PEM.",
        ),
        (
            ["proof", "inclusion", "0" * 64, "--api", "http://node.example"],
            "http://node.example: plain HTTP is spoken to this machine only; write https://.",
        ),
        (
            ["proof", "inclusion", "0" * 64, "--api", "node.example"],
            "'node.example' is not the URL of a node, such as https://node.example:8443.",
        ),
        (
            ["inspect", "--home", "nowhere"],
            "nowhere is not a node's home: it holds no node.toml.",
        ),
        (
            ["inspect", "--devnet", "nowhere"],
            (
                "nowhere/devnet.json cannot be read; `evidence-ledger devnet --home nowhere` makes "
                "a devnet there."
            ),
        ),
        (
            ["submit", "nowhere.jsonl", "--api", "https://node.example"],
            "nowhere.jsonl cannot be read: No such file or directory.",
        ),
        (
            ["devnet", "--home", "nowhere", "--nodes", "40"],
            (
                "A network has 1 to 36 nodes, not 40; four is the fewest that bears one faulty "
                "institution."
            ),
        ),
        (
            ["devnet", "init", "--home", "nowhere", "--host", "node"],
            (
                "--host 'node' is the same for every node; write it with {replica}, such as "
                "node-{replica}."
            ),
        ),
        (
            ["devnet", "init", "--home", "nowhere", "--host", "n-{replica}", "--no-tls"],
            "Plain HTTP is for loopback only; leave out --host or --no-tls.",
        ),
    ],
)
def test_what_is_wrong_is_a_sentence(
    command: Command,
    argv: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.run(*argv) == 2
    assert command.out == ""
    assert command.refusal.startswith(sentence), command.err
    assert list(tmp_path.iterdir()) == []


def test_of_a_file_that_could_not_be_written_whole_nothing_stays(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
        with pytest.raises(Failure) as refused:
            write_output(file, bytes(100_000), "the page", "网页")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert refused.value.english == f"{file} cannot be written: File too large."
    assert not file.exists()


def test_a_node_that_speaks_https_is_named_as_such(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def close_at_once() -> None:
            connection, _ = listening.accept()
            connection.recv(65_536)
            connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(close_at_once)
            url = f"http://127.0.0.1:{port}"
            assert command.run("proof", "inclusion", "0" * 64, "--api", url) == 1
    assert command.err.startswith(f"{url} does not answer: ")
    assert command.refusal.endswith(". It may speak HTTPS: write https://.")
    assert ".." not in command.err


def test_no_node_answering_is_a_sentence(command: Command) -> None:
    assert command.run("proof", "inclusion", "0" * 64, "--api", "http://127.0.0.1:9") == 1
    assert command.refusal == "http://127.0.0.1:9 does not answer: [Errno 111] Connection refused."


def test_the_parser_is_built_without_abbreviations() -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["node", "run", "--hom", "x"])
