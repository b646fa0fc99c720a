"""`proof timestamps` puts what a node serves into the file; `stamps --file` takes it out again."""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cli.failure import Failure
from cli.main import main
from cli.proof_command import _timestamps
from ledger.timestamp_part import describe_timestamps
from tests.verifier.test_timestamps import chain, good, judge, older_size, part


class Node:
    """A node that serves one checkpoint, or nonsense."""

    url = "https://node.example"

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[int] = []

    def joined_timestamps(self, size: int) -> bytes:
        self.asked.append(size)
        return self.answer


def put(tmp_path: Path, raw: bytes, answer: bytes) -> tuple[Node, bytes]:
    path = tmp_path / "file.json"
    path.write_bytes(raw)
    node = Node(answer)
    return node, _timestamps(node, argparse.Namespace(file=path))  # type: ignore[arg-type]


def served() -> dict[str, Any]:
    """The part as a node answers it."""
    described = describe_timestamps(part())
    tokens = [
        {
            "authority": one["authority"],
            "hash": one["algorithm"],
            "policy": "1.2",
            "serial": "7",
            "time_ms": 1,
            "token": one["token"],
        }
        for one in described["tokens"]
    ]
    return {
        "asked_ms": 1,
        "checkpoint": described["checkpoint"],
        "format": "…",
        "path": described["path"],
        "size": 9,
        "timestamps": tokens,
    }


def test_the_part_is_put_into_the_file(tmp_path: Path) -> None:
    node, made = put(tmp_path, chain()[1], json.dumps(served()).encode())
    assert node.asked == [older_size()]
    assert made == good()
    assert [step.number for step in judge(made).steps] == [*range(1, 16), 25]


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"checkpoint":"","path":[],"timestamps":[{"hash":"sha256"}]}']
)
def test_nonsense_from_a_node_is_named(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(Failure) as caught:
        put(tmp_path, chain()[1], answer)
    assert str(caught.value) == ("https://node.example answered what is no timestamped checkpoint.")


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        put(tmp_path, b'{"kind":"consistency"}', b"")
    assert str(caught.value) == (
        f"{tmp_path / 'file.json'} is of kind 'consistency'; time stamps go into "
        "transaction, history, case, state, record, liabilities."
    )


def test_the_tokens_are_taken_out_as_they_were_put_in(tmp_path: Path) -> None:
    path, folder = tmp_path / "file.json", tmp_path / "stamped"
    path.write_bytes(good())
    assert main(["stamps", "--file", str(path), "-o", str(folder)]) == 0
    taken = {one.name: one.read_bytes() for one in folder.iterdir()}
    assert taken == {
        "checkpoint": part().checkpoint.encode(),
        "tsa-1.sha256.tsr": part().tokens[0].raw,
        "tsa-1.sm3.tsr": part().tokens[1].raw,
    }


def test_what_has_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, folder = tmp_path / "file.json", tmp_path / "stamped"
    one_of_two = "Name a transaction or, with --file, an evidence file; one of the two.\n"
    tx_id = base64.b16encode(bytes(32)).decode()
    for raw, given, sentence in (
        (
            chain()[1],
            ["--file", str(path)],
            f"{path} has no time stamps; `proof timestamps` puts them into a file.\n",
        ),
        (
            b"{}",
            ["--file", str(path)],
            f"{path}: evidence file: format is not 'evidence-ledger/evidence/v1'.\n",
        ),
        (b"", [], one_of_two),
        (b"", [tx_id, "--file", str(path)], one_of_two),
    ):
        path.write_bytes(raw)
        assert main(["stamps", *given, "-o", str(folder)]) == 2
        assert capsys.readouterr().err == sentence
        assert not folder.exists()
