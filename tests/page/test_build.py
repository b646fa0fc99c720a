"""The one file: the same bytes each time, whole in itself, and the same from node and command."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import unicodedata
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.tokens import TokenSet
from ledger.outcome_words import CAUSES
from page.build import build_page, bundle, content_security_policy
from tests.api.fake import FakeNode
from verifier.wording import (
    EFFECTS_ZH,
    FINDING_WORDS,
    MONEY,
    REFUSAL_WORDS,
    ROLE_WORDS,
    list_kinds,
)

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "page/verifier").glob("*.js"), *(ROOT / "page/screen").glob("*.js")])


def text_between(tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", build_page().decode(), flags=re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_same_bytes_from_another_process() -> None:
    script = "import sys; from page.build import build_page; sys.stdout.buffer.write(build_page())"
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True
    )
    assert other.stdout == build_page()


def test_policy_allows_exactly_the_script_and_the_style() -> None:
    policy = content_security_policy()
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        digest = base64.b64encode(sha256(text_between(tag).encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("; frame-ancestors 'none'")
    in_page = policy.removesuffix("; frame-ancestors 'none'")
    assert f'http-equiv="Content-Security-Policy" content="{in_page}"' in build_page().decode()
    assert "unsafe" not in policy


def test_nothing_outside_is_named() -> None:
    class Attributes(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(attrs)

    found: list[tuple[str, str | None]] = []
    Attributes().feed(build_page().decode())
    outside = [(n, v) for n, v in found if n in ("src", "href", "action", "style")]
    assert outside == [("href", "data:,"), ("href", "#examination")]
    assert not [name for name, _ in found if name.startswith("on")]
    addresses = set(re.findall(r"https?://[^\s\"'`]+", build_page().decode()))
    assert addresses == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_sources_parse_no_markup_and_ask_nobody(path: Path) -> None:
    source = path.read_text("utf-8")
    assert source.startswith("// ")
    for word in (
        "innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function",
        "fetch(", "XMLHttpRequest", "WebSocket", "EventSource", "sendBeacon", "localStorage",
        "sessionStorage", "indexedDB", "cookie =", "import(", "Math.random", "Date.now",
    ):  # fmt: skip
        assert word not in source, word
    assert all(len(line) <= 320 for line in source.splitlines())


def test_every_module_is_in_the_page() -> None:
    script = text_between("script")
    for path in SOURCES:
        assert f"const ${path.parent.name}_{path.stem} = (() => {{" in script
    assert script == bundle("screen/start.js")


@pytest.mark.parametrize(
    "line", ["export function* walk() {}", "export default 1;", "export { x };"]
)
def test_an_export_that_the_build_does_not_know_is_refused(
    monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr("page.build._read", lambda _: f"{line}\n")
    with pytest.raises(
        ValueError, match="imports or exports in a way that the build does not know"
    ):
        bundle("screen/start.js")


async def test_every_node_serves_these_bytes() -> None:
    transport = httpx.ASGITransport(app=create_app(FakeNode(), TokenSet()))
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        answer = await client.get("/verify")
    assert answer.status_code == 200
    assert answer.content == build_page()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == content_security_policy()
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_command_writes_these_bytes(tmp_path: Path) -> None:
    path = tmp_path / "verify.html"
    command = [sys.executable, "-m", "cli", "page", "-o", str(path)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == (
        f"Wrote the verification page to {path} ({len(build_page())} bytes). 已写出离线核验网页。\n"
    )
    assert path.read_bytes() == build_page()
    again = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (
        2,
        f"{path} exists and is not overwritten.\n{path} 已存在，不予覆盖。\n",
    )


def test_table_of_unicode_3_2_is_pythons() -> None:
    source = (ROOT / "page/verifier/unicode_3_2.js").read_text("utf-8")
    numbers = [int(one, 36) for one in source.split("`")[1].split()]
    at = 0
    unassigned = set()
    for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
        unassigned |= set(range(at + gap, at + gap + length))
        at += gap + length
    assert unassigned == {
        code for code in range(0x110000) if unicodedata.ucd_3_2_0.category(chr(code)) == "Cn"
    }


def test_words_are_those_of_the_command_line() -> None:
    """Every kind, refusal, finding, cause, role and amount has its words here, the same."""
    source = (ROOT / "page/verifier/wording.js").read_text("utf-8")
    tables = {
        name: {
            code: (zh, en)
            for code, zh, en in re.findall(r'^  \["([\w.]+)", \["(.*)", "(.*)"\]\],$', rows, re.M)
        }
        for name, rows in re.findall(
            r"^export const (\w+) = new Map\(\[\n(.*?)^\]\);", source, re.M | re.S
        )
    }
    assert tables.pop("CAUSE_WORDS") == CAUSES
    assert not tables.pop("EFFECTS_ZH")  # in one language
    (rows,) = re.findall(
        r"^export const EFFECTS_ZH = new Map\(\[\n(.*?)^\]\);", source, re.M | re.S
    )
    assert dict(re.findall(r'^  \["([\w.]+)", "(.*)"\],$', rows, re.M)) == EFFECTS_ZH
    words = {"KIND_WORDS": list_kinds(), "REFUSAL_WORDS": REFUSAL_WORDS}
    words |= {"FINDING_WORDS": FINDING_WORDS, "MONEY": MONEY, "ROLE_WORDS": ROLE_WORDS}
    assert tables == {
        name: {code: (one.zh, one.en) for code, one in table.items()}
        for name, table in words.items()
    }
