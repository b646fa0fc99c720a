"""What `submit` reads and in which order it sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.drafts import Draft, SignedItem, complete_body, read_items
from cli.failure import Failure
from cli.submission import Result, Submitter, plan_rounds, summarise
from ledger.signing import SeedSigner
from ledger.transaction import decode_body, decode_transaction, sign_transaction
from tests.cli.running import Command
from tests.verifier.small_chain import busy_chain

DRAFT = {
    "kind": "prepaid.consume",
    "data": {"amount": 100},
    "stream": "contract/a",
    "reference": "r1",
    "signers": ["m-yoga"],
    "occurred_at": 1772408488000,
}


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "receipts.jsonl"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DRAFT),
        json.dumps(DRAFT) + "\n\n" + json.dumps(DRAFT) + "\n",
        json.dumps([DRAFT]),
        json.dumps(DRAFT, indent=2),
    ],
)
def test_an_object_a_list_and_lines_are_read(tmp_path: Path, text: str) -> None:
    items = read_items(write(tmp_path, text))
    assert items[0] == Draft(**DRAFT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}\n", ("receipts.jsonl, item 1: Object missing required field `kind`; a draft has kind, "
         "data, stream, reference and signers.")),
        ('{"kind"\n[]\n', "receipts.jsonl, line 1: not JSON: "),
        (json.dumps(DRAFT) + "\nnonsense\n", "receipts.jsonl, line 2: not JSON: "),
        (json.dumps({**DRAFT, "amount": 1}), ("receipts.jsonl, item 1: Object contains unknown "
         "field `amount`; a draft has kind, data, stream, reference and signers.")),
        ('{"body": "{}", "signatures": []}', ("receipts.jsonl, item 1: Expected `array` of length "
         ">= 1")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(Failure) as refused:
        read_items(write(tmp_path, text))
    assert refused.value.english.removeprefix(f"{tmp_path}/").startswith(sentence)
    assert refused.value.status == 2


def test_a_body_is_salted_dated_and_canonical() -> None:
    body = decode_body(complete_body(Draft(**DRAFT), 5, {}, lambda count: bytes(count)))  # type: ignore[arg-type]
    assert body.salt == "A" * 22
    assert body.not_after == 5
    assert body.data == {"amount": 100, "occurred_at": 1772408488000}


def test_two_salts_differ() -> None:
    draft = Draft(**DRAFT)  # type: ignore[arg-type]
    assert complete_body(draft, 5, {}) != complete_body(draft, 5, {})


def test_a_reference_stands_for_the_earlier_transactions_id() -> None:
    data = {"statement": "confirmed", "tx_id": "@m-yoga/r1"}
    draft = Draft("attest", data, "contract/a", "r2", ["bank-a-gateway"])
    body = decode_body(complete_body(draft, 5, {("m-yoga", "r1"): "ab" * 32}))
    assert body.data["tx_id"] == "ab" * 32
    with pytest.raises(Failure) as refused:
        complete_body(draft, 5, {})
    assert refused.value.english == (
        "'r2' names @m-yoga/r1, and m-yoga has no transaction 'r1' earlier in this file."
    )


def test_an_event_under_terms_is_dated_and_speaks_of_an_earlier_one() -> None:
    draft = Draft(
        "card.reissued", {"of": "@c-1/loss"}, "contract/a", "r2", ["m-hair"], occurred_at=7
    )
    body = decode_body(complete_body(draft, 5, {("c-1", "loss"): "ab" * 32}))
    assert body.data == {"occurred_at": 7, "of": "ab" * 32}


def test_what_no_node_would_take_is_refused_before_it_is_signed() -> None:
    draft = Draft("prepaid.consume", {"amount": 1.5}, "contract/a", "r1", ["m-yoga"])
    with pytest.raises(Failure, match=r"only integers are allowed"):
        complete_body(draft, 5, {})


def test_a_signed_transaction_is_sent_as_it_stands(tmp_path: Path) -> None:
    signer = SeedSigner(bytes(32))
    body = complete_body(Draft(**DRAFT), 5, {})  # type: ignore[arg-type]
    raw = sign_transaction(body, bytes(32), [signer])
    signature = decode_transaction(raw).envelope.signatures[0]
    form = {
        "body": body.decode(),
        "signatures": [
            {"public_key": signature.public_key.hex(), "signature": signature.signature.hex()}
        ],
    }
    (item,) = read_items(write(tmp_path, json.dumps(form)))
    assert isinstance(item, SignedItem)
    assert item.envelope == raw
    assert (item.stream, item.reference) == ("contract/a", "r1")


def test_a_round_holds_the_next_of_every_stream() -> None:
    streams = ["a", "a", "b", "a", "c", "b"]
    items = [Draft("k", {}, stream, str(at), ["p"]) for at, stream in enumerate(streams)]
    assert plan_rounds(items) == [[0, 2, 4], [1, 5], [3]]


def test_a_summary_counts_reasons_and_tells_the_first_of_each() -> None:
    def result(status: str, code: str, at: int, **more: Any) -> Result:
        return Result("", "", f"contract/card-{at}", "", "", status, code, **more)

    less = (("locked", 100_000), ("amount", 100_001))
    results = [
        result("applied", "", 0),
        result("refused", "insufficient_locked", 1, effects=less),
        result("refused", "insufficient_locked", 2),
        result("refused", "of_a_later_version", 3),
        result("rejected", "stale", 4, detail="not_after 5 is not above 6"),
        result("rejected", "draining", 5),
    ]
    assert summarise(results) == [
        (
            "1 applied, 3 recorded as refused, 2 not taken in. "
            "已执行 1 笔，被拒绝但已留痕 3 笔，未收下 2 笔。"
        ),
        (
            "Recorded as refused: insufficient_locked (2), of_a_later_version (1). "
            "以上被拒绝，已留痕。"
        ),
        (
            "  contract/card-1: 锁定余额不足（insufficient_locked）；锁定 1000.00 元，"
            "金额 1000.01 元。 Less is locked than was asked for (insufficient_locked); "
            "locked 1000.00 yuan, amount 1000.01 yuan."
        ),
        (
            "  contract/card-3: of_a_later_version（of_a_later_version）。 "
            "Of_a_later_version (of_a_later_version)."
        ),
        "Not taken in: stale (1), draining (1). 以上未收下。",
        "  contract/card-4: stale。 not_after 5 is not above 6.",
        "  contract/card-5: draining。 draining.",
    ]


def test_a_summary_tells_the_findings() -> None:
    effects = (("state", "active"), ("finding", "counter_gap"), ("missing", 1))
    found = Result("", "", "contract/card-1", "", "", "applied", "", effects=effects)
    assert found.findings == ["counter_gap"]
    assert summarise([found, found]) == [
        (
            "2 applied, 0 recorded as refused, 0 not taken in. "
            "已执行 2 笔，被拒绝但已留痕 0 笔，未收下 0 笔。"
        ),
        "Findings: counter_gap (2). 以上为发现事项。",
        (
            "  contract/card-1: 设备流水号有缺号（counter_gap）。 "
            "The device's counters leave a gap (counter_gap)."
        ),
    ]


class NoProgress:
    def advance(self, count: int = 1) -> None:
        raise AssertionError("something was sent")


@pytest.mark.parametrize("is_ordered", [True, False])
def test_nothing_is_sent_of_a_file_with_a_draft_that_cannot_be_completed(is_ordered: bool) -> None:
    good = Draft(**DRAFT)  # type: ignore[arg-type]
    data = {"tx_id": "@m-yoga/nothing", "statement": "witnessed"}
    lost = Draft(**{**DRAFT, "kind": "attest", "data": data, "reference": "r2"})  # type: ignore[arg-type]
    submitter = Submitter(
        genesis=busy_chain().genesis,
        clients=[],
        signers={"m-yoga": SeedSigner(bytes(32))},
        now_ms=lambda: 0,
        is_batch=False,
        level="committed",
    )
    with pytest.raises(Failure) as refused:
        submitter.submit([good, lost], NoProgress(), is_ordered=is_ordered)
    assert (refused.value.english, refused.value.status) == (
        "'r2' names @m-yoga/nothing, and m-yoga has no transaction 'nothing' earlier in this file.",
        2,
    )


def test_a_draft_may_name_what_the_same_submitter_sent_before() -> None:
    """As each event of a life that is played names the one before."""
    data = {"tx_id": "@m-yoga/sent", "statement": "witnessed"}
    draft = Draft(**{**DRAFT, "kind": "attest", "data": data})  # type: ignore[arg-type]
    submitter = Submitter(
        genesis=busy_chain().genesis,
        clients=[],
        signers={"m-yoga": SeedSigner(bytes(32))},
        now_ms=lambda: 0,
        tx_ids={("m-yoga", "sent"): "ab" * 32},
    )
    with pytest.raises(ValueError, match="max_workers"):  # it would be sent, and there is no node
        submitter.submit([draft], NoProgress())


class OneNode:
    """Answers what the command asks before it sends."""

    url = "https://node.example"

    def __enter__(self) -> OneNode:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def genesis(self) -> bytes:
        return busy_chain().genesis.raw


@pytest.mark.parametrize(
    ("end", "status"),
    [(KeyboardInterrupt(), 130), (Failure("No node answers any more.", "已没有节点应答。"), 1)],
)
def test_the_results_of_a_submission_that_is_broken_off_are_kept(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: BaseException,
    status: int,
) -> None:
    def break_off(self: Submitter, *_: object, **__: object) -> None:
        self.settled.append(Result("ab" * 32, "attest", "contract/a", "r1", "m", "applied", "", ""))
        raise end

    monkeypatch.setattr("cli.submit_command.make_clients", lambda _: [OneNode()])
    monkeypatch.setattr(Submitter, "submit", break_off)
    file = write(tmp_path, json.dumps(DRAFT) + "\n" + json.dumps(DRAFT))
    out = tmp_path / "results.jsonl"
    assert command.run("submit", file, "--api", "https://node.example", "-o", out) == status
    assert command.out.startswith("Broken off: 1 of 2 have a result. 中断：1 笔已有结果。\n")
    assert json.loads(out.read_text())["tx_id"] == "ab" * 32
