"""The page's verifier under Node, as a process that answers one question a line.

Where there is no Node the tests that ask it are skipped, by name; nothing stands in for it.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NODE = shutil.which("node")
ANSWER = Path(__file__).with_name("answer.mjs")


class JavaScript:
    """What the page's verifier says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, question: str, **members: Any) -> dict[str, Any]:
        """Ask one question of `answer.mjs`."""
        given, told = self._process.stdin, self._process.stdout
        assert given is not None
        assert told is not None
        given.write(json.dumps({"ask": question} | members) + "\n")
        given.flush()
        line = told.readline()
        assert line, f"Node ended while it was asked {question}: {members}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def verify(self, raw: bytes, chain_id: bytes) -> dict[str, Any]:
        """Return its report on an evidence file."""
        file = base64.b64encode(raw).decode()
        return self.ask("evidence", file=file, chain_id=chain_id.hex())


@pytest.fixture(scope="session")
def javascript() -> Iterator[JavaScript]:
    if NODE is None:
        pytest.skip("the page's verifier needs Node.js to run outside a browser: no `node` on PATH")
    with subprocess.Popen(
        [NODE, str(ANSWER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield JavaScript(process)
        assert process.stdin is not None
        process.stdin.close()
