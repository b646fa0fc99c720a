"""What is asked of a node for a proof, from what somebody typed or was answered before."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from cli.failure import UNUSABLE, Failure
from cli.main import main, make_parser
from cli.proof_command import make_question, read_document, read_receipt
from law.terms import read_terms
from ledger.merkle import leaf_hash, root_from_inclusion
from ledger.note import decode_base64
from ledger.receipt import batch_receipt_form, sign_batch_receipt
from ledger.transaction import decode_transaction
from tests.verifier.small_chain import busy_chain
from tests.verifier.test_proofs import promised


def test_a_receipt_for_several_is_found_in_the_answer_to_the_batch(tmp_path: Path) -> None:
    chain = busy_chain()
    tx_id = decode_transaction(promised()).tx_id
    tx_ids = [bytes(32), bytes([7]) * 32, tx_id]
    made = sign_batch_receipt(
        chain.key("bank-1"), "bank-1", chain.chain_id, tx_ids, received_ms=1, height_max=4
    )
    answer = {
        "receipt": msgspec.to_builtins(batch_receipt_form(made)),
        "results": [
            {"http_status": 422, "problem": {}},
            *({"http_status": 202, "accepted": {"tx_id": each.hex()}} for each in tx_ids),
        ],
    }
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(answer))
    receipt, batch = read_receipt(file, promised())
    assert batch is not None
    path = [decode_base64(node) or b"" for node in batch["path"]]
    assert root_from_inclusion(leaf_hash(tx_id), batch["index"], 3, path).hex() == receipt["root"]


@pytest.mark.parametrize("text", ["", "[]", '{"receipt": 1}', '{"receipt": {"root": "00"}}'])
def test_what_is_no_receipt_is_said(tmp_path: Path, text: str) -> None:
    file = tmp_path / "answer.json"
    file.write_text(text)
    with pytest.raises(Failure, match="is neither a receipt for this transaction nor what a node"):
        read_receipt(file, promised())


def test_times_are_read_with_their_zone() -> None:
    words = ["proof", "window", "c1", "--from", "2026-03-01T00:00+08:00", "--until", "5"]
    arguments = make_parser().parse_args([*words, "--kind", "b.c", "--kind", "a", "--kind", "a"])
    assert make_question(arguments) == {
        "ask": "window",
        "from": 1_772_294_400_000,
        "kinds": ["a", "b.c"],
        "until": 5,
    }


GYM = Path(__file__).parents[2] / "examples" / "dispute" / "gym-sessions.v1.json"


def test_terms_are_sent_in_the_spelling_that_has_their_hash() -> None:
    """A template has line breaks; the contract names the hash of its one spelling."""
    terms = read_terms(json.loads(GYM.read_text("utf-8")))
    assert GYM.read_bytes() != terms.raw
    assert read_document(GYM) == terms.raw


@pytest.mark.parametrize("raw", [b"%PDF-1.7", b'{ "price": 5 }', b"[1, 2]", b"\xff", b"[" * 9_999])
def test_a_document_that_is_no_terms_is_sent_as_it_is(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "document"
    file.write_bytes(raw)
    assert read_document(file) == raw


def test_a_sum_is_in_whole_fen(capsys: pytest.CaptureFixture[str]) -> None:
    question = ["proof", "balance", "c-1", "--until", "1", "--api", "https://node.example"]
    assert main([*question, "--stated", "1640.00"]) == UNUSABLE
    told = capsys.readouterr().err
    assert "'1640.00' is no sum in whole fen; 1,640.00 yuan are 164000" in " ".join(told.split())


def test_a_contract_stands_in_a_claim_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The node says the same (tests/api/test_reading.py)."""
    claim = ["claim", "c-1", "contract/c-1", "--api", "https://node.example"]
    assert main(claim) == UNUSABLE
    assert capsys.readouterr().err == (
        "Contract 'c-1' is named twice; a claim has each once.\n"
        "合同 'c-1' 列出了两次；每份合同只能列一次。\n"
    )
