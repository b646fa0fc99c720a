"""Evidence of a whole history: complete, and re-counted by the reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from ledger.evidence import MEMBERS, ProvenStream
from ledger.merkle import compute_root, leaf_hash
from ledger.refusal import Reason
from tests.verifier.mutating import CARD, check, set_field
from tests.verifier.small_chain import (
    CARD_SIGNERS,
    SmallChain,
    alter,
    busy_chain,
    edit,
    forge,
)
from verifier.report import Result
from verifier.verify import verify_evidence

TERMS: dict[str, Any] = {
    "consumer": "ab" * 32,
    "custodian": "bank-1",
    "industry": "fitness",
    "merchant": "m-1",
    "terms_hash": "cd" * 32,
}

Mutation = tuple[Callable[[], bytes], int, Reason, str]


def history(chain: SmallChain | None = None, **changes: Any) -> bytes:
    chain = chain or busy_chain()
    signers = changes.pop("signers", CARD_SIGNERS)
    return chain.history("card-1", signers, **changes)


def entries(chain: SmallChain | None = None) -> list[bytes]:
    chain = chain or busy_chain()
    return [chain.leaves[index] for index in chain.indices_of(CARD)]


def without(place: int) -> list[bytes]:
    kept = entries()
    del kept[place]
    return kept


def exchanged(one: int, other: int) -> list[bytes]:
    order = entries()
    order[one], order[other] = order[other], order[one]
    return order


def renumbered(one: int, other: int) -> list[bytes]:
    """Two entries of one block change places, and each takes the other's index."""
    order = entries()
    first, second = order[one], order[other]
    index_one, index_other = msgpack.unpackb(first)[0], msgpack.unpackb(second)[0]
    order[one] = alter(second, set_field(0, value=index_one))
    order[other] = alter(first, set_field(0, value=index_other))
    return order


def forged(place: int, change: Callable[[list[Any]], None]) -> bytes:
    """One of the card's entries lies; count, root and every signature above agree with it."""
    chain = busy_chain()
    index = chain.indices_of(CARD)[place]
    return history(forge(chain, {index: alter(chain.leaves[index], change)}))


def record(chain: SmallChain) -> list[Any]:
    fields: list[Any] = msgpack.unpackb(chain.proven(CARD).value)[2]
    return fields


def forged_record(place: int, value: Any) -> bytes:
    """The card's record in the state says something else."""
    chain = busy_chain()
    changed = record(chain)
    changed[place] = value
    return history(forge(chain, records={CARD: changed}))


def rebodied(place: int, kind: str, data: dict[str, Any], *signers: str, **changes: Any) -> bytes:
    """Another body, rightly signed, with the outcome of the entry whose place it takes."""
    chain = busy_chain()
    envelope = msgpack.unpackb(
        chain.signed(chain.body(kind, CARD, data, *signers, **changes), *signers)
    )
    return forged(place, set_field(3, value=envelope))


def grown(count: int) -> SmallChain:
    """A chain on which the card has `count` prepayments more."""
    chain = SmallChain()
    chain.commit(
        *(chain.submit("prepaid.prepay", CARD, {"amount": at + 1}, "bank-0") for at in range(count))
    )
    return chain


def stale_state() -> bytes:
    """The newest header and entries beside the state value of an earlier height."""
    chain = SmallChain()
    prepay = ("prepaid.prepay", CARD, {"amount": 1}, "bank-0")
    chain.commit(chain.submit(*prepay))
    old = chain.proven(CARD)
    chain.commit(chain.submit(*prepay))
    return chain.history("card-1", ["bank-0"], state=old)


def test_honest_history_is_complete() -> None:
    report = verify_evidence(history(), busy_chain().chain_id)
    assert [s.number for s in report.steps if s.result is not Result.OK] == [11, 14, 15]
    assert report.facts["refused"] == {"insufficient_locked": 1, "unknown_contract": 1}
    assert report.facts["applied"] == 5
    assert report.facts["balance_fen"] == {
        "paid": 100_000,
        "locked": 90_000,
        "released": 9_950,
        "refunded": 50,
    }
    assert report.steps[11].explanation.en.startswith(
        "Up to height 5 these 7 entries are the whole record of contract/card-1"
    )
    assert any("up to height 5" in limit.en for limit in report.limits)


def test_history_of_a_card_never_opened() -> None:
    chain = grown(3)
    report = verify_evidence(chain.history("card-1", ["bank-0"]), chain.chain_id)
    assert report.is_consistent
    assert "never opened" in report.steps[12].explanation.en


def test_history_under_unknown_rules_is_complete_but_not_replayed() -> None:
    """Rules of a later version: completeness holds, the balances are honestly not derived."""
    raw = rebodied(6, "prepaid.freeze", {}, "m-1", version=3)
    report = verify_evidence(edit_parties(raw, ("m-1", "c-1", "bank-1")), busy_chain().chain_id)
    assert report.is_consistent
    assert report.steps[11].result is Result.OK
    assert report.steps[12].result is Result.NOT_RUN
    assert "prepaid.freeze version 3" in report.steps[12].explanation.en
    assert any("not derived" in limit.en for limit in report.limits)


def test_record_whose_version_is_true_is_of_an_unknown_version() -> None:
    report = verify_evidence(forged_record(1, True), busy_chain().chain_id)
    assert report.steps[12].result is Result.NOT_RUN
    assert "['prepaid', True]" in report.steps[12].explanation.en


def test_record_of_an_unknown_version_is_not_compared() -> None:
    report = verify_evidence(forged_record(1, 2), busy_chain().chain_id)
    assert report.is_consistent
    assert report.steps[12].result is Result.NOT_RUN
    assert "['prepaid', 2]" in report.steps[12].explanation.en


def edit_parties(raw: bytes, names: tuple[str, ...]) -> bytes:
    """Keep only the parties of `names`."""
    parties = json.loads(raw)["parties"]
    streams = {f"party/{name}" for name in names}
    return edit(raw, parties=[party for party in parties if party["stream"] in streams])


MUTATIONS: dict[str, Mutation] = {
    # 1
    "entry-no-base64": (
        lambda: edit(history(), entries=["?"]),
        1,
        Reason.BAD_FIELD,
        "entries[0] is not canonical",
    ),
    "contract-no-id": (
        lambda: edit(history(), contract="contract/card-1"),
        1,
        Reason.BAD_FIELD,
        "contract is not an id",
    ),
    "contract-number": (
        lambda: edit(history(), contract=1),
        1,
        Reason.BAD_FIELD,
        "contract is not an id",
    ),
    "state-no-object": (
        lambda: edit(history(), state="x"),
        1,
        Reason.BAD_FIELD,
        "state is not an object",
    ),
    # 4, 5
    "two-of-four-cosigned": (
        lambda: history(header_proof=busy_chain().proof(17, busy_chain().note(cosigners=(0, 1)))),
        4,
        Reason.NO_QUORUM,
        "Only 2",
    ),
    "header-of-an-earlier-block": (
        lambda: history(header=busy_chain().leaves[12]),
        5,
        Reason.BAD_PROOF,
        "its proof says 17",
    ),
    # 6
    "entries-exchanged": (
        lambda: history(entries=exchanged(2, 3)),
        6,
        Reason.BAD_FIELD,
        "entries[3] (index 9, height 3) does not come after",
    ),
    "entry-doubled": (
        lambda: history(entries=[entries()[0], *entries()]),
        6,
        Reason.BAD_FIELD,
        "entries[1] (index 5, height 2) does not come after",
    ),
    "entry-after-the-header": (
        lambda: history(entries=[*entries()[:-1], alter(entries()[-1], set_field(1, value=6))]),
        6,
        Reason.WRONG_HEIGHT,
        "contradicts the block of height 5",
    ),
    "entry-behind-its-height": (
        lambda: history(entries=[*entries()[:-1], alter(entries()[-1], set_field(0, value=17))]),
        6,
        Reason.WRONG_HEIGHT,
        "entries[6] at index 17, height 4",
    ),
    "header-among-entries": (
        lambda: history(entries=[*entries(), busy_chain().leaves[16]]),
        6,
        Reason.BAD_FIELD,
        "entries[7]: it is a header entry",
    ),
    "stale-header": (
        lambda: history(header=busy_chain().leaves[12], header_proof=busy_chain().proof(12)),
        6,
        Reason.WRONG_HEIGHT,
        "contradicts the block of height 3",
    ),
    # 7, 8
    "entry-outcome-second-spelling": (
        lambda: history(entries=[*entries()[:-1], entries()[-1][:1] + b"\xcc" + entries()[-1][1:]]),
        6,
        Reason.NOT_CANONICAL,
        "entries[6]: these",
    ),
    "same-transaction-twice": (
        lambda: forged(6, lambda f: f.__setitem__(3, msgpack.unpackb(entries()[5])[3])),
        7,
        Reason.DUPLICATE,
        "stands twice, in entries[5] and entries[6]",
    ),
    "signature-one-bit": (
        lambda: forged(5, lambda f: f[3][1][0].__setitem__(1, bytes(64))),
        8,
        Reason.BAD_SIGNATURE,
        "entries[5]: the signature of m-1",
    ),
    # 9
    "party-dropped": (
        lambda: history(signers=("m-1", "c-1", "bank-1")),
        9,
        Reason.UNKNOWN_PARTY,
        "the signers are party/bank-1, party/bank-2, party/c-1, party/m-1",
    ),
    "party-added": (
        lambda: history(signers=(*CARD_SIGNERS, "bank-3")),
        9,
        Reason.UNKNOWN_PARTY,
        "party/bank-3",
    ),
    # 12
    "first-dropped": (
        lambda: history(entries=without(0)),
        12,
        Reason.ROOT_MISMATCH,
        "The state counts 7 entries and the file holds 6: 1 missing",
    ),
    "middle-dropped": (
        lambda: history(entries=without(4)),
        12,
        Reason.ROOT_MISMATCH,
        "1 missing",
    ),
    "tail-cut": (
        lambda: history(entries=entries()[:-2], signers=("m-1", "c-1", "bank-1")),
        12,
        Reason.ROOT_MISMATCH,
        "2 missing",
    ),
    "all-dropped": (
        lambda: history(entries=[], signers=()),
        12,
        Reason.ROOT_MISMATCH,
        "7 missing",
    ),
    "entry-of-another-card": (
        lambda: history(
            entries=sorted(
                [*entries(), busy_chain().leaves[10]], key=lambda leaf: msgpack.unpackb(leaf)[0]
            )
        ),
        12,
        Reason.BAD_FIELD,
        "entries[3] names stream contract/card-2",
    ),
    "entry-replaced-by-its-like": (
        lambda: history(
            entries=[
                *entries()[:5],
                alter(entries()[5], set_field(4, 2, 0, 1, value=7)),
                entries()[6],
            ],
        ),
        12,
        Reason.ROOT_MISMATCH,
        "some entry was replaced, altered or moved",
    ),
    "entries-renumbered": (
        lambda: history(entries=renumbered(2, 3)),
        12,
        Reason.ROOT_MISMATCH,
        "some entry was replaced, altered or moved",
    ),
    "state-of-another-card": (
        lambda: history(state=busy_chain().proven("contract/card-2")),
        12,
        Reason.BAD_FIELD,
        "The state value is that of contract/card-2",
    ),
    "state-value-of-another-card": (
        lambda: history(
            state=ProvenStream(
                CARD,
                busy_chain().proven("contract/card-2").value,
                busy_chain().proven(CARD).proof,
            )
        ),
        12,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "contract-renamed": (
        lambda: edit(history(), contract="card-2"),
        12,
        Reason.BAD_FIELD,
        "not of contract/card-2",
    ),
    "state-counts-less": (
        lambda: history(forge(busy_chain(), roots={CARD: (6, bytes(32))})),
        12,
        Reason.ROOT_MISMATCH,
        "1 too many",
    ),
    "state-root-is-the-logs": (
        lambda: history(
            forge(
                busy_chain(),
                roots={CARD: (7, compute_root([leaf_hash(e) for e in entries()[:6]]))},
            )
        ),
        12,
        Reason.ROOT_MISMATCH,
        "The root of 7 entries is",
    ),
    # 13
    "balance-misstated": (
        lambda: forged(3, set_field(4, 2, 1, 1, value=90_051)),
        13,
        Reason.BAD_FIELD,
        "locked 90051, released 9950, refunded 0, but the entries give paid 100000, locked 90050",
    ),
    "count-is-true": (
        lambda: forged_record(15, True),
        13,
        Reason.ROOT_MISMATCH,
        "The state holds counts [True, 1, 1]; the entries give [1, 1, 1].",
    ),
    "refusal-forged": (
        lambda: forged(3, set_field(4, value=[True, "insufficient_locked", []])),
        13,
        Reason.BAD_FIELD,
        "refused 9950 fen as more than is locked, but 100000 fen were locked",
    ),
    "refused-though-covered": (
        lambda: rebodied(4, "prepaid.consume", {"amount": 5}, "m-1", "c-1"),
        13,
        Reason.BAD_FIELD,
        "refused 5 fen as more than is locked, but 90050 fen were locked",
    ),
    "applied-though-refused": (
        lambda: forged(4, set_field(4, value=[False, "", []])),
        13,
        Reason.BAD_FIELD,
        "99999 fen were moved, but only 90050 were locked",
    ),
    "applied-before-open": (
        lambda: forged(0, set_field(4, value=[False, "", []])),
        13,
        Reason.BAD_FIELD,
        "entries[0]: the contract was not open",
    ),
    "opened-twice": (
        lambda: rebodied(2, "prepaid.open", {}, "m-1", "bank-1"),
        13,
        Reason.BAD_FIELD,
        "entries[2]: the contract was already open",
    ),
    "open-without-terms": (
        lambda: rebodied(1, "prepaid.open", {"merchant": "m-1"}, "m-1"),
        13,
        Reason.BAD_FIELD,
        "entries[1]: custodian is missing",
    ),
    "open-with-strange-attesters": (
        lambda: rebodied(1, "prepaid.open", TERMS | {"attesters": []}, "m-1"),
        13,
        Reason.BAD_FIELD,
        "entries[1]: attesters is not an object",
    ),
    "open-with-an-unknown-role": (
        lambda: rebodied(1, "prepaid.open", TERMS | {"attesters": {"consume": ["x"]}}, "m-1"),
        13,
        Reason.BAD_FIELD,
        "attesters names an unknown role",
    ),
    "open-signed-by-a-stranger": (
        lambda: rebodied(1, "prepaid.open", TERMS, "m-1", "bank-2"),
        13,
        Reason.BAD_FIELD,
        "entries[1]: it was signed by m-1, bank-2",
    ),
    "paid-beyond-the-bound": (
        lambda: rebodied(5, "prepaid.prepay", {"amount": 2**53 - 1}, "m-1", "bank-1"),
        13,
        Reason.BAD_FIELD,
        "entries[5]: more was paid than the bound allows",
    ),
    "open-with-money": (
        lambda: forged(1, set_field(4, 2, value=[["locked", 5]])),
        13,
        Reason.BAD_FIELD,
        "an opened contract has nothing locked",
    ),
    "attester-missing": (
        lambda: rebodied(3, "prepaid.consume", {"amount": 9_950}, "m-1"),
        13,
        Reason.BAD_FIELD,
        "it was signed by m-1, but merchant consumer must sign",
    ),
    "stranger-signed": (
        lambda: rebodied(5, "prepaid.refund", {"amount": 50}, "m-1", "bank-2"),
        13,
        Reason.BAD_FIELD,
        "it was signed by m-1, bank-2, but merchant must sign",
    ),
    "amount-zero": (
        lambda: rebodied(5, "prepaid.refund", {"amount": 0}, "m-1"),
        13,
        Reason.BAD_FIELD,
        "amount 0 is not whole fen",
    ),
    "amount-boolean": (
        lambda: rebodied(5, "prepaid.refund", {"amount": True}, "m-1"),
        13,
        Reason.BAD_FIELD,
        "amount True is not whole fen",
    ),
    "record-missing": (
        lambda: history(forge(busy_chain(), records={CARD: None})),
        13,
        Reason.ROOT_MISMATCH,
        "the contract was opened; the state says otherwise",
    ),
    "record-merchant": (
        lambda: forged_record(2, "m-2"),
        13,
        Reason.ROOT_MISMATCH,
        "The state holds merchant m-2; the entries give m-1",
    ),
    "record-attesters": (
        lambda: forged_record(8, ["merchant"] * 3),
        13,
        Reason.ROOT_MISMATCH,
        "The state holds attesters",
    ),
    "record-locked": (
        lambda: forged_record(12, 90_001),
        13,
        Reason.ROOT_MISMATCH,
        "The state holds locked 90001; the entries give 90000",
    ),
    "record-counts": (
        lambda: forged_record(16, 2),
        13,
        Reason.ROOT_MISMATCH,
        "The state holds counts [1, 2, 1]; the entries give [1, 1, 1]",
    ),
    "record-terms": (
        lambda: forged_record(7, bytes(32)),
        13,
        Reason.ROOT_MISMATCH,
        "The state holds terms_hash 0000",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_refused(name: str) -> None:
    make, step, reason, says = MUTATIONS[name]
    check(make(), step, reason, says)


@pytest.mark.parametrize("member", MEMBERS["history"])
def test_missing_member(member: str) -> None:
    raw = edit(history(), **{member: None})
    check(raw, 1, Reason.BAD_FIELD, member if member in ("format", "kind") else "members missing")


def test_stale_state_value() -> None:
    raw = stale_state()
    chain = SmallChain()  # the same genesis, hence the same trusted hash
    failed = verify_evidence(raw, chain.chain_id).failed
    assert failed is not None
    assert (failed.number, failed.reason) == (12, Reason.BAD_PROOF)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9, 64, 65])
def test_every_count_is_complete_and_none_less(count: int) -> None:
    chain = grown(count)
    signers = ["bank-0"]
    assert verify_evidence(chain.history("card-1", signers), chain.chain_id).is_consistent
    every = [chain.leaves[index] for index in chain.indices_of(CARD)]
    for place in {0, count // 2, count - 1}:
        kept = [*every[:place], *every[place + 1 :]]
        raw = chain.history("card-1", signers if kept else [], entries=kept)
        failed = verify_evidence(raw, chain.chain_id).failed
        assert failed is not None
        assert (failed.number, failed.reason) == (12, Reason.ROOT_MISMATCH)
