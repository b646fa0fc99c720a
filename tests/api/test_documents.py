"""docs/API.md and docs/API.zh-CN.md say what the application does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.app import create_app
from api.problems import PROBLEMS
from api.settings import ApiSettings
from api.tokens import TokenSet
from tests.api.fake import FakeNode

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH, CHINESE = (DOCS.joinpath(name).read_text("utf-8") for name in ("API.md", "API.zh-CN.md"))
in_each = pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])


@in_each
def test_lists_every_route_and_no_other(text: str) -> None:
    listed = re.findall(r"^\| `(GET|POST|PUT|DELETE) (/\S+)` \|", text, flags=re.MULTILINE)
    paths = create_app(FakeNode(), TokenSet()).openapi()["paths"]
    served = {(method.upper(), path) for path, item in paths.items() for method in item}
    assert set(listed) == served
    assert len(listed) == len(served)


@in_each
def test_lists_every_problem_as_it_is(text: str) -> None:
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (\d{3}) \| ([^|]+) \| ([^|]+) \|$", text, flags=re.MULTILINE
    )
    assert {reason: (int(status), en, zh) for reason, status, en, zh in rows} == dict(PROBLEMS)


def test_names_the_bounds_there_are() -> None:
    settings = ApiSettings()
    one = settings.transaction_bytes_max // 1024
    batch = settings.batch_bytes_max // 2**20
    body = f"{settings.body_timeout_s:g} s"
    longest, usual = settings.wait_timeout_max_s, settings.wait_timeout_default_s
    for english, chinese in (
        (f"At most {one} KiB", f"单笔至多 {one} KiB"),
        (f"a batch at most {batch} MiB", f"一个批次至多 {batch} MiB"),
        (f"within {body} is a 408", f"未能在 {body} 内全部到达的，返回 408"),
        (f"(1 to {longest}, default {usual})", f"（1 至 {longest}，默认 {usual}）"),
        (f"up to {settings.batch_count_max} |", f"至多 {settings.batch_count_max} 笔 |"),
    ):
        assert english in ENGLISH
        assert chinese in CHINESE
