"""One thing has one name in every Chinese text: two words would be read as two things."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CHOSEN = {
    "截止日": ("截算日", "基准日", "推算日"),
}
"""A term, and the words that must not stand for the same: 截止日 is the as-of day."""

HELD = (".css", ".html", ".js", ".json", ".md", ".py", ".toml", ".typ")
HERE = "tests/house/test_chinese_terms.py"


def list_texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name.endswith(HELD) and name != HERE]


@pytest.mark.parametrize("term", CHOSEN)
def test_one_thing_has_one_name(term: str) -> None:
    texts = {path: path.read_text("utf-8") for path in list_texts()}
    assert any(term in text for text in texts.values()), "the chosen term is in use"
    found = [
        (path.relative_to(ROOT).as_posix(), word)
        for path, text in texts.items()
        for word in CHOSEN[term]
        if word in text
    ]
    assert found == []
