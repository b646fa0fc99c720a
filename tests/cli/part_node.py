"""A node that serves the further part of an evidence file, for the tests that put one in."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Node:
    """Serves one checkpoint with its part, or nonsense."""

    url = "https://node.example"

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[int] = []

    def _serve(self, size: int) -> bytes:
        self.asked.append(size)
        return self.answer

    post_quantum = joined_timestamps = _serve


def put_by(
    take: Callable[[Any, argparse.Namespace], bytes], tmp_path: Path, raw: bytes, answer: bytes
) -> tuple[Node, bytes]:
    """Return the node that was asked and what `take` made of the file and its answer."""
    path = tmp_path / "file.json"
    path.write_bytes(raw)
    node = Node(answer)
    return node, take(node, argparse.Namespace(file=path))
