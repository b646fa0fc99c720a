"""`proof timestamps` puts what a node serves into the file; `stamps --file` takes it out again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cli.failure import Failure
from cli.main import main
from cli.proof_command import _timestamps
from cli.stamps_command import _write
from ledger.timestamp_part import describe_timestamps
from tests.cli.part_node import Node, put_by
from tests.cli.running import Command
from tests.verifier.test_timestamps import chain, good, judge, older_size, part


def put(tmp_path: Path, raw: bytes, answer: bytes) -> tuple[Node, bytes]:
    return put_by(_timestamps, tmp_path, raw, answer)


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
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"checkpoint":"","path":[],"timestamps":[{"hash":"sha256"}]}',
        pytest.param(b"[" * 100_000, id="nested"),
        b'{"checkpoint":"\\ud800","path":[],"timestamps":[]}',
    ],
)
def test_nonsense_from_a_node_is_named(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(Failure) as caught:
        put(tmp_path, chain()[1], answer)
    assert caught.value.english == (
        "https://node.example answered what is no timestamped checkpoint."
    )


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"checkpoint": 7}, "timestamps.checkpoint is not a string"),
        ({"timestamps": []}, "timestamps.tokens has 0; 1 to 16 may be"),
        (
            {"timestamps": [{"authority": "../\x1b[2J", "hash": "sha256", "token": ""}]},
            "timestamps.tokens[0].authority is not a name that matches [a-z0-9][a-z0-9-]{0,47}",
        ),
    ],
)
def test_what_would_spoil_the_file_is_not_put_into_it(
    tmp_path: Path, changes: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(Failure) as caught:
        put(tmp_path, chain()[1], json.dumps(served() | changes).encode())
    assert caught.value.english == (
        f"{tmp_path / 'file.json'} with what https://node.example answered is no evidence file: "
        f"evidence file: {wrong}."
    )


def test_a_file_nested_too_deeply_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        put(tmp_path, b"[" * 100_000, b"")
    assert caught.value.english == f"{tmp_path / 'file.json'} is not an evidence file."


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        put(tmp_path, b'{"kind":"consistency"}', b"")
    assert caught.value.english == (
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


def test_where_one_file_is_there_already_none_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a checkpoint would lie beside the token of another."""
    path, folder = tmp_path / "file.json", tmp_path / "stamped"
    path.write_bytes(good())
    folder.mkdir()
    there = folder / "tsa-1.sm3.tsr"
    there.symlink_to(tmp_path / "elsewhere")
    assert main(["stamps", "--file", str(path), "-o", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"{there} exists and is not overwritten.\n{there} 已存在，不予覆盖。\n"
    )
    assert list(folder.iterdir()) == [there]
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("authority", ["../tsa-1", "-in", "\x1b[2J"])
def test_a_nodes_names_are_no_paths_and_are_shown_as_text(tmp_path: Path, authority: str) -> None:
    described = served()
    described["timestamps"][0]["authority"] = authority
    folder = tmp_path / "stamped"
    with pytest.raises(Failure) as caught:
        _write(folder, "00" * 32, {"timestamps": described, "proof": ""})
    assert caught.value.english == (
        "The node's answer is not of the format of timestamps: "
        f"{authority + '.sha256.tsr'!r} is no name of a token."
    )
    assert not folder.exists()


def test_what_has_none_is_named(tmp_path: Path, command: Command) -> None:
    path, folder = tmp_path / "file.json", tmp_path / "stamped"
    one_of_two = "Name a transaction or, with --file, an evidence file; one of the two."
    tx_id = base64.b16encode(bytes(32)).decode()
    for raw, given, sentence in (
        (
            chain()[1],
            ["--file", str(path)],
            f"{path} has no time stamps; `proof timestamps` puts them into a file.",
        ),
        (
            b"{}",
            ["--file", str(path)],
            f"{path}: evidence file: format is not 'evidence-ledger/evidence/v1'.",
        ),
        (b"", [], one_of_two),
        (b"", [tx_id, "--file", str(path)], one_of_two),
    ):
        path.write_bytes(raw)
        assert command.run("stamps", *given, "-o", folder) == 2
        assert command.refusal == sentence
        assert not folder.exists()
