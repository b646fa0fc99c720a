"""docs/API.md says what the application does."""

from __future__ import annotations

import re
from pathlib import Path

from api.app import create_app
from api.problems import PROBLEMS
from api.settings import ApiSettings
from api.tokens import TokenSet
from tests.api.fake import FakeNode

TEXT = (Path(__file__).parents[2] / "docs/API.md").read_text("utf-8")


def test_lists_every_route_and_no_other() -> None:
    listed = re.findall(r"^\| `(GET|POST|PUT|DELETE) (/\S+)` \|", TEXT, flags=re.MULTILINE)
    paths = create_app(FakeNode(), TokenSet()).openapi()["paths"]
    served = {(method.upper(), path) for path, item in paths.items() for method in item}
    assert set(listed) == served
    assert len(listed) == len(served)


def test_lists_every_problem_as_it_is() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (\d{3}) \| ([^|]+) \| ([^|]+) \|$", TEXT, flags=re.MULTILINE
    )
    assert {reason: (int(status), en, zh) for reason, status, en, zh in rows} == dict(PROBLEMS)


def test_names_the_bounds_there_are() -> None:
    settings = ApiSettings()
    for sentence in (
        f"At most {settings.transaction_bytes_max // 1024} KiB",
        f"a batch at most {settings.batch_bytes_max // 2**20} MiB",
        f"within {settings.body_timeout_s:g} s is a 408",
        f"(1 to {settings.wait_timeout_max_s}, default {settings.wait_timeout_default_s})",
        f"up to {settings.batch_count_max} |",
    ):
        assert sentence in TEXT
