"""Records and statements in shapes that no honest chain holds: both verifiers say the same of them.

A quorum of liars certifies them, so that the last step reads them.
"""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from ledger.canonical import encode_canonical
from tests.page.conftest import JavaScript
from tests.page.test_agreement import agree
from tests.verifier import proof_files
from tests.verifier.mutating import CARD
from tests.verifier.small_chain import SmallChain, busy_chain, forge
from tests.verifier.test_proofs import ask, tx_of


def record_of(chain: SmallChain) -> list[Any]:
    record: list[Any] = msgpack.unpackb(chain.proven(CARD).value)[2]
    return record


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([], "nil"),
        ([None], "None"),
        ([True], "True"),
        ([["a", b"b"]], "\"['a', b'b']\""),
        (["x; its root is false"], '"x; its root is false"'),
    ],
    ids=["empty", "nil", "true", "list", "sentence"],
)
def test_a_record_of_any_shape_is_named(
    javascript: JavaScript, record: list[Any], said: str
) -> None:
    lying = forge(busy_chain(), records={CARD: record})
    report = agree(javascript, proof_files.state(lying), lying.chain_id)
    assert report.steps[-1].explanation.en.endswith(f"; its record is {said}.")


@pytest.mark.parametrize("party", [["m-1"], b"m-1", None, 7])
def test_a_party_that_is_no_text_is_nobody(javascript: JavaScript, party: Any) -> None:
    record = record_of(busy_chain())
    record[2] = party
    lying = forge(busy_chain(), records={CARD: record})
    question = ask("attestation", transaction=tx_of(lying, 1))
    report = agree(javascript, proof_files.record(lying, question), lying.chain_id)
    assert "m-1 (no party of it)" in report.steps[-1].explanation.en


def stating(data: dict[str, Any]) -> SmallChain:
    """The card's chain, in which the last statement about an entry says something else."""
    chain = busy_chain()
    (*_, index) = [
        index
        for index in chain.indices_of(CARD)
        if json.loads(msgpack.unpackb(chain.leaves[index])[3][0])["kind"] == "attest"
    ]
    fields = msgpack.unpackb(chain.leaves[index])
    body = json.loads(fields[3][0])
    body["data"] = {**data, "tx_id": tx_of(chain, 2)}
    raw = encode_canonical(body)
    fields[3] = msgpack.unpackb(chain.signed(raw, *body["signers"]))
    return forge(chain, {index: msgpack.packb(fields)})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"statement": "confirmed"}, " confirmed;"),
        ({"statement": [], "answer": "denied"}, " denied;"),
        ({"statement": 1, "answer": "denied"}, " denied;"),
        ({"statement": {}}, "(attest version 1);"),
        ({"statement": "no; of the contract's parties"}, '"no; of the contract\'s parties";'),
    ],
    ids=["word", "list", "number", "object", "sentence"],
)
def test_a_statement_is_quoted_where_it_could_pass_for_more(
    javascript: JavaScript, data: dict[str, Any], said: str
) -> None:
    lying = stating(data)
    question = ask("attestation", transaction=tx_of(lying, 2))
    report = agree(javascript, proof_files.record(lying, question), lying.chain_id)
    assert said in report.steps[-1].explanation.en
