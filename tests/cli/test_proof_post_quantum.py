"""`proof post-quantum`: what a node serves goes into the file, and the verifier judges it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cli.failure import Failure
from cli.proof_command import _post_quantum
from ledger.post_quantum import describe_part
from tests.cli.part_node import Node, put_by
from tests.verifier.test_post_quantum import chain, good, judge, older_size, part


def put(tmp_path: Path, raw: bytes, answer: bytes) -> tuple[Node, bytes]:
    return put_by(_post_quantum, tmp_path, raw, answer)


def test_the_part_is_put_into_the_file(tmp_path: Path) -> None:
    served = msgspec.json.encode({"format": "…", "height": 1, "size": 9} | describe_part(part()))
    node, made = put(tmp_path, chain()[1], served)
    assert node.asked == [older_size()]
    assert judge(made).is_consistent
    assert [step.number for step in judge(made).steps] == [*range(1, 16), 19]
    assert len(made) == len(good())


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"checkpoint":1,"keys":[1],"path":[]}'])
def test_nonsense_from_a_node_is_named(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(Failure) as caught:
        put(tmp_path, chain()[1], answer)
    assert caught.value.english == (
        "https://node.example answered what is no post-quantum checkpoint."
    )


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        put(tmp_path, b"{}", b"")
    assert caught.value.english == f"{tmp_path / 'file.json'} is not an evidence file."
    with pytest.raises(Failure) as caught:
        put(tmp_path, b'{"kind":"consistency"}', b"")
    assert caught.value.english == (
        f"{tmp_path / 'file.json'} is of kind 'consistency'; post-quantum cosignatures go into "
        "transaction, history, case, state, record, liabilities."
    )
