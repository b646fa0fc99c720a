"""What `submit --keep` writes down: each promise with what it is about, and nothing worthless."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.drafts import Draft, SignedItem, read_items
from cli.failure import Failure
from cli.promises import PromiseBook, find_promise
from cli.submission import Submitter
from ledger.merkle import leaf_hash, root_from_inclusion
from ledger.receipt import (
    IntakeReceipt,
    batch_receipt_form,
    receipt_form,
    sign_batch_receipt,
    sign_receipt,
)
from ledger.signing import SeedSigner
from ledger.transaction import decode_transaction
from tests.cli.running import Command
from tests.verifier.small_chain import busy_chain

STREAM = "contract/card-1"
NODE = "bank-1"


def draft(number: int, stream: str = STREAM) -> Draft:
    return Draft("prepaid.prepay", {"amount": 10}, stream, f"r{number}", ["m-yoga"])


def promise(tx_id: bytes, node: str = NODE, key: str = NODE, **changes: int) -> IntakeReceipt:
    chain = busy_chain()
    when = {"received_ms": 1, "height_max": 4} | changes
    return sign_receipt(chain.key(key), node, chain.chain_id, tx_id, **when)


def form_of(receipt: IntakeReceipt) -> dict[str, Any]:
    return msgspec.to_builtins(receipt_form(receipt))  # type: ignore[no-any-return]


class PromisingNode:
    """Takes everything in, and has it on the chain when asked once more."""

    def __init__(self, key: str = NODE, patience: int = 0) -> None:
        self.url = "https://node.example"
        self.envelopes: list[bytes] = []
        self._key = key
        self._patience = patience

    def post_batch(self, envelopes: Sequence[bytes]) -> dict[str, Any]:
        self.envelopes += envelopes
        tx_ids = [decode_transaction(envelope).tx_id for envelope in envelopes]
        results: list[dict[str, Any]] = [
            {"http_status": 202, "accepted": {"tx_id": tx_id.hex(), "status": "accepted"}}
            for tx_id in tx_ids
        ]
        if len(envelopes) == 1:
            results[0]["accepted"]["receipt"] = form_of(promise(tx_ids[0], key=self._key))
            return {"results": results}
        results[0] = {"http_status": 200, "position": {"status": "applied"}}
        made = sign_batch_receipt(
            busy_chain().key(self._key), NODE, busy_chain().chain_id, tx_ids[1:],
            received_ms=1, height_max=4,
        )  # fmt: skip
        return {"results": results, "receipt": msgspec.to_builtins(batch_receipt_form(made))}

    def settle(self, envelope: bytes, level: str = "committed", meanwhile: Any = None) -> Any:
        for late in range(self._patience):
            tx_id = decode_transaction(envelope).tx_id
            meanwhile({"receipt": form_of(promise(tx_id, key=self._key, height_max=5 + late))})
        return {"status": "applied", "code": "", "height": 3, "index": 9}


class NoProgress:
    def advance(self, count: int = 1) -> None:
        pass


@pytest.fixture
def book(tmp_path: Path) -> Iterator[PromiseBook]:
    with PromiseBook.create(tmp_path / "promises.jsonl", busy_chain().genesis) as made:
        yield made


def submit(book: PromiseBook, node: PromisingNode, *drafts: Draft) -> None:
    Submitter(
        genesis=busy_chain().genesis,
        clients=[node],  # type: ignore[list-item]
        signers={"m-yoga": SeedSigner(bytes(32))},
        now_ms=lambda: 0,
        promises=book,
    ).submit(drafts, NoProgress(), is_ordered=False)


def lines_of(book: PromiseBook) -> list[dict[str, Any]]:
    return [json.loads(line) for line in book.path.read_text().splitlines()]


def test_each_promise_is_kept_with_what_it_is_about(book: PromiseBook) -> None:
    """Of several in one request each has its own way to the root; the first needs no promise."""
    node = PromisingNode()
    submit(book, node, *(draft(number) for number in range(4)))
    lines = lines_of(book)
    assert book.count == len(lines) == 3
    assert [base64.b64decode(line["envelope"]) for line in lines] == node.envelopes[1:]
    for line in lines:
        tx_id = bytes.fromhex(line["tx_id"])
        assert decode_transaction(base64.b64decode(line["envelope"])).tx_id == tx_id
        path = [base64.b64decode(each) for each in line["batch"]["path"]]
        root = root_from_inclusion(leaf_hash(tx_id), line["batch"]["index"], 3, path)
        assert root.hex() == line["receipt"]["root"]
        assert line["node"] == node.url
    assert not book.worthless


def test_a_promise_about_one_is_kept_and_the_later_ones_are_not(book: PromiseBook) -> None:
    submit(book, PromisingNode(patience=2), draft(1))
    (line,) = lines_of(book)
    assert (line["batch"], line["receipt"]["height_max"]) == (None, 4)


def test_a_promise_that_is_only_given_while_one_waits_is_kept(book: PromiseBook) -> None:
    """The node said "later" to the request of several."""

    class Busy(PromisingNode):
        def post_batch(self, envelopes: Sequence[bytes]) -> dict[str, Any]:
            problem = {"type": "x:pool_full", "detail": "full"}
            return {"results": [{"http_status": 503, "problem": problem} for _ in envelopes]}

    submit(book, Busy(patience=2), draft(1))
    (line,) = lines_of(book)
    assert line["receipt"]["height_max"] == 5


@pytest.mark.parametrize("count", [1, 3])
def test_what_proves_nothing_is_said_and_not_kept(book: PromiseBook, count: int) -> None:
    """Signed, but not with the key that genesis gives that institution."""
    submit(book, PromisingNode(key="bank-2"), *(draft(number) for number in range(count)))
    assert (book.count, lines_of(book)) == (0, [])
    (rejected,) = book.worthless.values()
    assert rejected.reason == "unknown_key"


@pytest.mark.parametrize("count", [1, 3])
def test_a_node_that_takes_in_and_gives_no_receipt_is_said(book: PromiseBook, count: int) -> None:
    class Mute(PromisingNode):
        def post_batch(self, envelopes: Sequence[bytes]) -> dict[str, Any]:
            answer = super().post_batch(envelopes)
            answer.pop("receipt", None)
            for result in answer["results"]:
                result.get("accepted", {}).pop("receipt", None)
            return answer

    submit(book, Mute(), *(draft(number) for number in range(count)))
    assert lines_of(book) == []
    (rejected,) = book.worthless.values()
    assert rejected.detail.endswith(" was taken in without one")


@pytest.mark.parametrize(
    ("receipt", "reason"),
    [
        ({}, "bad_field"),
        ("?", "bad_field"),
        ({"root": "00"}, "bad_field"),
        (form_of(promise(bytes(32))), "root_mismatch"),
        (form_of(promise(bytes(32), node="nobody")), "not_a_validator"),
        (form_of(promise(bytes(32))) | {"format": "of/another"}, "bad_field"),
        (form_of(promise(bytes(32))) | {"height_max": 5}, "bad_signature"),
        (form_of(promise(bytes(32))) | {"chain_id": "00" * 32}, "wrong_chain"),
    ],
    ids=range(8),
)
def test_a_receipt_must_hold(book: PromiseBook, receipt: object, reason: str) -> None:
    node = PromisingNode()
    submit(book, node, draft(1))
    book.keep_answer("https://other.example", node.envelopes[0], {"receipt": receipt})
    assert book.count == 1
    assert book.worthless["https://other.example"].reason == reason


def test_only_the_owner_reads_it_and_nothing_is_overwritten(book: PromiseBook) -> None:
    assert book.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Failure, match="exists and is not overwritten"):
        PromiseBook.create(book.path, busy_chain().genesis)
    with pytest.raises(Failure, match="cannot be written"):
        PromiseBook.create(book.path / "beyond", busy_chain().genesis)


def test_a_file_without_promises_is_in_nobodys_way(tmp_path: Path) -> None:
    """Where an attempt ended before it began: a key was not given, a node did not answer."""
    path = tmp_path / "promises.jsonl"
    for _ in range(2):
        with PromiseBook.create(path, busy_chain().genesis):
            assert path.exists()
        assert not path.exists()


def test_of_what_cannot_be_written_whole_nothing_stays(
    book: PromiseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = PromisingNode()
    submit(book, node, draft(1))
    before = book.path.read_bytes()

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 300:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:200])

    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr("os.write", half)
        with pytest.raises(Failure, match="cannot be written: No space left on device"):
            submit(book, node, draft(2))
    assert book.path.read_bytes() == before
    submit(book, node, draft(3))
    assert [line["batch"] for line in lines_of(book)] == [None, None]


def test_the_promise_about_a_contract_is_found(book: PromiseBook) -> None:
    node = PromisingNode()
    submit(book, node, draft(0), draft(1), draft(2, "contract/card-2"), draft(3))
    kept = {line["receipt"]["root"]: line for line in lines_of(book)}
    assert len(kept) == 1
    other = find_promise(book.path, "card-2", None)
    assert decode_transaction(other.sent).body.stream == "contract/card-2"
    with pytest.raises(Failure, match="promises about 2 transactions of contract/card-1; choose"):
        find_promise(book.path, "card-1", None)
    chosen = lines_of(book)[2]["tx_id"]
    assert find_promise(book.path, "card-1", chosen).tx_id == chosen
    with pytest.raises(Failure, match="has no promise about a transaction of contract/card-3"):
        find_promise(book.path, "card-3", None)
    with pytest.raises(Failure, match=f"of contract/card-2 by id {chosen}"):
        find_promise(book.path, "card-2", chosen)


@pytest.mark.parametrize(
    "line",
    ["{}", "[]", "?", '{"batch":null,"envelope":"?","node":"","receipt":{},"tx_id":""}',
     '{"batch":null,"envelope":"kA==","node":"","receipt":{},"tx_id":""}'],
)  # fmt: skip
def test_what_is_no_promise_is_said_with_its_line(book: PromiseBook, line: str) -> None:
    submit(book, PromisingNode(), draft(1))
    with book.path.open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(Failure, match=r"promises\.jsonl, line 2: not what submit --keep wrote: "):
        find_promise(book.path, "card-1", None)


def test_a_last_line_that_a_crash_broke_off_hides_no_other(book: PromiseBook) -> None:
    submit(book, PromisingNode(), draft(1))
    whole = book.path.read_bytes()
    for end in (whole, whole[:-1], *(whole + whole[:cut] for cut in range(1, len(whole) - 1))):
        book.path.write_bytes(end)
        assert find_promise(book.path, "card-1", None).tx_id == json.loads(whole)["tx_id"]


def test_what_was_kept_may_be_submitted_again(book: PromiseBook) -> None:
    node = PromisingNode()
    submit(book, node, *(draft(number) for number in range(3)))
    items = read_items(book.path)
    assert all(isinstance(item, SignedItem) for item in items)
    assert [item.envelope for item in items if isinstance(item, SignedItem)] == node.envelopes[1:]


@pytest.mark.parametrize(
    "words", [[], ["--receipt", "r.json"], ["--envelope", "t.bin"],
              ["--kept", "k.jsonl", "--receipt", "r.json"],
              ["--receipt", "r.json", "--envelope", "t.bin", "--transaction", "ab" * 32]],
)  # fmt: skip
def test_an_omission_is_asked_in_one_of_two_ways(command: Command, words: list[str]) -> None:
    node = ["--api", "http://127.0.0.1:1"]
    assert command.run("proof", "omission", "card-1", *words, *node) == 2
    assert command.refusal == (
        "Name what submit --keep wrote with --kept (and --transaction, if it has several), or "
        "both --receipt and --envelope."
    )
