"""Both verifiers before files spoilt by chance: the same steps, results, reasons and sentences."""

from __future__ import annotations

import os

import pytest

from tests.page.conftest import NODE
from tests.page.differential import WAYS, find_differences, run

COUNT = 4_000 if os.environ.get("CAMPAIGN") else 40


@pytest.mark.skipif(NODE is None, reason="the page's verifier needs Node.js: no `node` on PATH")
def test_spoilt_files_are_judged_alike(capsys: pytest.CaptureFixture[str]) -> None:
    count = run(COUNT, 0, list(WAYS))
    assert not find_differences(count), capsys.readouterr().out
    assert sum(number for line, number in count.items() if line.endswith(": alike")) > COUNT / 2
