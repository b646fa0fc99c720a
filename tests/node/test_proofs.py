"""The files a node makes for a question: each verifies, also after a restart and more blocks."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from api.ports import NotFound, TooLong
from cli.drafts import Draft
from contracts.questions import read_question
from ledger.equivocation import VoteEquivocation, encode_equivocation
from ledger.receipt import receipt_form, sign_receipt
from ledger.refusal import Rejected
from ledger.time_words import format_time_ms, quote_time_ms
from ledger.transaction import compute_tx_id, decode_transaction
from ledger.votes import COMMIT, Vote, compute_vote_message
from node.config import load_config
from node.keystore import KeyPurpose
from node.ledger_store import open_ledger
from node.proofs import HELD_BYTES, Proofs
from node.queries import Queries
from node.server import open_keyvalue
from node.stream_walk import IN_WINDOWS
from storage.files import DiskDirectory
from tests.cli.running import StoredChain, amount, opening, registrations
from tests.node.turns import other_work
from verifier.report import Report
from verifier.verify import verify_evidence

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredChain:
    chain = StoredChain(tmp_path_factory.mktemp("proofs") / "net")
    chain.append(registrations(chain.state), [opening("a")])
    chain.append(*[[amount("prepaid.prepay", "a", 100, f"pay-{at}")] for at in range(3)])
    chain.append([amount("prepaid.consume", "a", 30, "used")], [])
    return chain


@contextmanager
def opened(stored: StoredChain) -> Iterator[tuple[Proofs, Any]]:
    """The node's own reading of its folder, as after a start."""
    directory = DiskDirectory(stored.home.chain)
    keyvalue = open_keyvalue(stored.home.index, load_config(stored.home).storage)
    store, chain = open_ledger(directory, keyvalue, stored.genesis)
    shell: Any = SimpleNamespace(
        disk=SimpleNamespace(store=store),
        chain=chain,
        driver=SimpleNamespace(identity=SimpleNamespace(genesis=stored.genesis)),
    )
    yield Proofs(shell, Queries(shell)), shell
    store.chain_store.close()
    directory.close()


def check(stored: StoredChain, raw: bytes) -> Report:
    report = verify_evidence(raw, stored.genesis.chain_id)
    assert report.is_consistent, report.failed
    return report


async def ask(proofs: Proofs, **members: Any) -> bytes:
    return await proofs.record("a", read_question(msgspec.json.encode(members)))


def times(shell: Any) -> list[int]:
    newest = shell.chain.header.height
    return [shell.disk.store.header(height).time_ms for height in range(newest + 1)]


def tx_at(shell: Any, height: int) -> str:
    block = shell.disk.store.chain_store.block(height)[0]
    body = msgspec.msgpack.decode(block[0])[3][0]
    return compute_tx_id(body).hex()


async def test_each_file_verifies_and_says_what_was_asked(stored: StoredChain) -> None:
    with opened(stored) as (proofs, shell):
        when = times(shell)
        report = check(stored, await proofs.consistency(1, shell.chain.header.height))
        assert report.facts["older_size"] < report.facts["tree_size"]  # type: ignore[operator]
        report = check(stored, await proofs.state("contract/a"))
        assert report.facts["stream_count"] == 5
        report = check(stored, await proofs.state("contract/none"))
        assert report.facts["stream_count"] == 0
        window = {"from": when[4], "kinds": ["prepaid.consume"], "until": when[5] + 1}
        report = check(stored, await ask(proofs, ask="window", **window))
        assert (report.facts["inside"], report.facts["found"]) == (2, 0)
        balance = {"from": when[4], "stated": 300, "until": when[5] + 1}
        report = check(stored, await ask(proofs, ask="balance", **balance))
        assert report.facts["balance_fen"] == {
            "opening": 100,
            "paid": 200,
            "interest": 0,
            "released": 0,
            "refunded": 0,
            "closing": 300,
        }
        report = check(stored, await ask(proofs, ask="terms", at=when[3], document=None))
        assert report.facts["terms"] == "00" * 32
        report = check(stored, await ask(proofs, ask="attestation", transaction=tx_at(shell, 4)))
        assert report.facts["silent"] == ["custodian"]  # the consumer has no key to speak with


async def test_what_cannot_be_answered_is_refused_by_name(stored: StoredChain) -> None:
    with opened(stored) as (proofs, shell):
        newest = times(shell)[-1]
        with pytest.raises(Rejected) as refused:
            await ask(proofs, ask="window", **{"from": 0, "kinds": [], "until": newest + DAY_MS})
        assert refused.value.detail == (
            f"question: it ends at {quote_time_ms(newest + DAY_MS).en}, and the newest block is of "
            f"{format_time_ms(newest).en}; an entry may still come"
        )
        assert refused.value.detail_zh == (
            f"问题：所问的时间至{quote_time_ms(newest + DAY_MS).zh}为止，而最新区块的时间为"
            f"{format_time_ms(newest).zh}；其后仍可能有记录"
        )
        with pytest.raises(Rejected) as refused:
            await ask(proofs, ask="attestation", transaction="00" * 32)
        assert refused.value.detail == (
            f"question: transaction {'00' * 32} is not in this contract's record"
        )
        with pytest.raises(NotFound, match="heights 3 and 2 are not two of 0 to 7 in order"):
            await proofs.consistency(3, 2)
        with pytest.raises(NotFound, match="holds 0 proofs against bank-a, counted from 0"):
            await proofs.equivocation("bank-a", 0)
        with pytest.raises(NotFound, match="'bank-z' is no validator; they are bank-a"):
            await proofs.equivocation("bank-z", 0)


async def test_a_record_too_long_for_one_answer_is_proven_window_by_window(
    stored: StoredChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever heaps up attempts on a contract makes its record longer, and hides none of it."""
    with opened(stored) as (proofs, shell):
        when = times(shell)
        whole = {"from": when[0], "kinds": [], "until": when[-1]}
        count = shell.chain.stream("contract/a").count
        monkeypatch.setattr("node.queries.HISTORY_ENTRIES_MAX", 3)
        monkeypatch.setattr("node.proofs.HISTORY_ENTRIES_MAX", 3)
        for question in ({"ask": "window", **whole}, {"ask": "balance", "stated": 0, **whole}):
            question.pop("kinds" if question["ask"] == "balance" else "", None)
            with pytest.raises(TooLong, match=f"{IN_WINDOWS}$"):
                await ask(proofs, **question)
        seen: dict[int, str] = {}
        for begin, until in pairwise(when):
            raw = await ask(proofs, ask="window", **{"from": begin, "kinds": [], "until": until})
            check(stored, raw)
            document = json.loads(raw)
            assert len(document["entries"]) <= 3
            seen |= dict(enumerate(document["entries"], document["first"]))
        assert sorted(seen) == list(range(count))


async def test_a_window_holds_of_what_is_outside_the_hashes_alone(
    stored: StoredChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(stored) as (proofs, shell):
        when = times(shell)
        count = shell.chain.stream("contract/a").count
        window = {"from": when[5], "kinds": [], "until": when[5] + 1}
        _before, inside, _after = json.loads(await ask(proofs, ask="window", **window))["entries"]
        room_bytes = HELD_BYTES * count + len(base64.b64decode(inside))
        monkeypatch.setattr("node.stream_walk.READ_BYTES_MAX", room_bytes)
        report = check(stored, await ask(proofs, ask="window", **window))
        assert report.facts["inside"] == 1
        with pytest.raises(TooLong) as refused:
            await ask(proofs, ask="window", **(window | {"from": when[4]}))
        assert str(refused.value) == (
            f"the entries of contract/a that are asked for have more than {room_bytes} bytes; an "
            "answer holds at most so many: ask for shorter windows, one after another"
        )


async def test_a_broken_promise_is_shown_and_a_kept_one_is_not(stored: StoredChain) -> None:
    envelope = stored._sign(amount("prepaid.prepay", "a", 1, "never"), stored_time(stored, 6))
    tx_id = decode_transaction(envelope).tx_id
    key = stored._keystore.signer(KeyPurpose.PARTY)

    def promise(tx_id: bytes, height: int) -> dict[str, Any]:
        made = sign_receipt(
            key, "bank-a", stored.genesis.chain_id, tx_id, received_ms=1, height_max=height
        )
        form: dict[str, Any] = msgspec.to_builtins(receipt_form(made))
        return form

    with opened(stored) as (proofs, shell):
        question: dict[str, Any] = {
            "ask": "omission",
            "batch": None,
            "envelope": base64.b64encode(envelope).decode(),
            "receipt": promise(tx_id, 6),
        }
        report = check(stored, await ask(proofs, **question))
        assert (report.facts["promised_by"], report.facts["late_height"]) == ("bank-a", 0)
        with pytest.raises(Rejected, match="the promised height 99 is not reached"):
            await ask(proofs, **(question | {"receipt": promise(tx_id, 99)}))
        block = shell.disk.store.chain_store.block(6)[0]
        kept = msgspec.msgpack.encode(msgspec.msgpack.decode(block[0])[3])
        question |= {
            "envelope": base64.b64encode(kept).decode(),
            "receipt": promise(decode_transaction(kept).tx_id, 6),
        }
        report = verify_evidence(await ask(proofs, **question), stored.genesis.chain_id)
        assert report.failed is not None
        assert report.failed.explanation.en.endswith("the promise of height 6 was kept.")


def stored_time(stored: StoredChain, height: int) -> int:
    with opened(stored) as (_, shell):
        time_ms: int = shell.disk.store.header(height).time_ms
        return time_ms


async def test_asked_again_later_the_answer_is_the_same(stored: StoredChain) -> None:
    """After a restart and more blocks; what is certified for a block stays what it was."""
    with opened(stored) as (proofs, shell):
        when = times(shell)
        question = {"ask": "window", "from": when[3], "kinds": [], "until": when[6]}
        before = await ask(proofs, **question)
        grown = await proofs.consistency(2, 5)
    stored.append([amount("prepaid.prepay", "a", 7, "later")], [])
    with opened(stored) as (proofs, _):
        after = await ask(proofs, **question)
        assert await proofs.consistency(2, 5) == grown
    old, new = json.loads(before), json.loads(after)
    assert (old["entries"], old["first"]) == (new["entries"], new["first"])
    first, second = check(stored, before), check(stored, after)
    assert first.steps[-1].explanation == second.steps[-1].explanation


@pytest.fixture(scope="module")
def convicted(stored: StoredChain) -> StoredChain:
    """With a contradiction of its one validator on it."""
    key = stored._keystore.signer(KeyPurpose.VOTE)
    votes = []
    for block_hash in (bytes(32), bytes([1]) * 32):
        message = compute_vote_message(COMMIT, stored.genesis.chain_id, 2, 0, block_hash)
        votes.append(Vote(COMMIT, 2, 0, block_hash, 0, key.sign(message)))
    evidence = encode_equivocation(VoteEquivocation.of(*votes))
    draft = Draft(
        "validator.equivocation",
        {"evidence": evidence.hex()},
        "validator/bank-a",
        "liar",
        ["bank-a"],
    )
    stored.append([draft], [])
    return stored


async def test_a_contradiction_on_the_chain_is_a_file(convicted: StoredChain) -> None:
    with opened(convicted) as (proofs, _):
        report = check(convicted, await proofs.equivocation("bank-a", 0))
        assert (report.facts["validator"], report.facts["slot"]) == ("bank-a", "commit/2/0")


async def test_a_liar_cannot_bury_its_contradiction_under_refused_attempts(
    convicted: StoredChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody registered may send them, and they count in the stream like all others."""
    junk = [
        Draft("validator.equivocation", {"evidence": "00"}, "validator/bank-a", ref, ["bank-a"])
        for ref in ("junk-1", "junk-2", "junk-3")
    ]
    convicted.append(junk, [])
    monkeypatch.setattr("node.queries.HISTORY_ENTRIES_MAX", 3)
    with opened(convicted) as (proofs, _):
        report = check(convicted, await proofs.equivocation("bank-a", 0))
        assert report.facts["slot"] == "commit/2/0"
        with pytest.raises(NotFound, match="holds 1 proofs against bank-a, counted from 0"):
            await proofs.equivocation("bank-a", 1)


async def test_others_have_their_turns_while_a_records_blocks_are_proven(
    stored: StoredChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of a hundred thousand entries may stand in as many blocks."""
    monkeypatch.setattr("node.proofs.BLOCKS_PER_TURN", 1)
    with opened(stored) as (proofs, shell):
        when = times(shell)
        balance = {"from": when[4], "stated": 300, "until": when[5] + 1}
        async with other_work() as turns:
            await asyncio.sleep(0)
            before = turns.count
            raw = await ask(proofs, ask="balance", **balance)
            seen = turns.count - before
        assert len(json.loads(raw)["blocks"]) > 1
        assert seen >= len(json.loads(raw)["blocks"])
        check(stored, raw)
