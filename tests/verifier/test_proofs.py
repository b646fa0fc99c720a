"""Consistency, state, equivocation, and the questions a record answers: good files and spoilt ones.

Every table says at which step and for which reason a file is refused; `tests/page` asks the page of
the same tables, and both must say the same sentence.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgpack
import msgspec
import pytest

from ledger.canonical import encode_canonical
from ledger.evidence import BATCH_MEMBERS, QUESTIONS, RECEIPTS, StateClaim
from ledger.merkle import consistency_proof, inclusion_proof, leaf_hash
from ledger.receipt import (
    BATCH_FORMAT,
    FORMAT,
    BatchReceiptForm,
    ReceiptForm,
    batch_receipt_form,
    sign_batch_receipt,
)
from ledger.refusal import Reason
from ledger.tlog_proof import format_tlog_proof, parse_tlog_proof
from ledger.transaction import decode_transaction, sign_transaction
from tests.contracts.life_world import load
from tests.verifier import proof_files
from tests.verifier.equivocations import MUTATIONS as LIES
from tests.verifier.equivocations import lie, make_amnesia, make_claims, make_fork, make_votes
from tests.verifier.mutating import CARD, flip, other_chain, set_field
from tests.verifier.proof_files import (
    DAY_MS,
    at,
    base64_of,
    claim,
    consistency,
    hashes_of,
    life_chain,
    live_to,
    receipt,
    record,
    size_at,
    state,
    tx_of,
    window,
)
from tests.verifier.small_chain import START_MS, SmallChain, alter, busy_chain, edit, forge
from verifier.report import Report, Result
from verifier.verify import verify_evidence

Made = tuple[SmallChain, bytes]
Mutation = tuple[Callable[[], Made], int, Reason]
"""A spoilt file with the chain it claims to be of, and the step and reason that refuse it."""


# -- good files


def ask(name: str, **members: Any) -> dict[str, Any]:
    return {"ask": name, **members}


@functools.cache
def promised() -> bytes:
    """An envelope for the card that never reaches the chain."""
    chain = busy_chain()
    body = chain.body(
        "prepaid.refund", CARD, {"amount": 5}, "m-1", not_after=at(4) + 60_000, salt="s" * 30
    )
    return chain.signed(body, "m-1")


def omission(envelope: bytes | None = None, height_max: int = 4, **changes: Any) -> dict[str, Any]:
    envelope = envelope or promised()
    tx_id = decode_transaction(envelope).tx_id
    return ask(
        "omission",
        batch=None,
        envelope=base64_of(envelope),
        receipt=receipt(busy_chain(), tx_id, height_max, **changes),
    )


def batch_omission() -> dict[str, Any]:
    """The same promise in a receipt for three transactions."""
    chain = busy_chain()
    tx_id = decode_transaction(promised()).tx_id
    tx_ids = [bytes(32), tx_id, bytes(31) + b"\1"]
    made = sign_batch_receipt(
        chain.key("bank-1"), "bank-1", chain.chain_id, tx_ids, received_ms=START_MS, height_max=4
    )
    path = inclusion_proof([leaf_hash(each) for each in tx_ids], 1)
    return ask(
        "omission",
        batch={"index": 1, "path": [base64_of(node) for node in path]},
        envelope=base64_of(promised()),
        receipt=msgspec.to_builtins(batch_receipt_form(made)),
    )


def document() -> bytes:
    return encode_canonical(load("terms/hair-card.v1.json"))


BASES: dict[str, Callable[[], tuple[SmallChain, dict[str, Any]]]] = {
    "window": lambda: (busy_chain(), window(3, 4, "prepaid.refund")),
    "balance": lambda: (
        busy_chain(),
        ask("balance", **{"from": at(3), "stated": 90_050, "until": at(4)}),
    ),
    "terms": lambda: (life_chain(), ask("terms", at=at(6), document=base64_of(document()))),
    "attestation": lambda: (busy_chain(), ask("attestation", transaction=tx_of(busy_chain(), 2))),
    "omission": lambda: (busy_chain(), omission()),
    "production": lambda: (life_chain(), ask("production", request=tx_of(life_chain(), 5))),
}
"""What a record is asked, each on a chain that answers it."""


@functools.cache
def base(name: str) -> bytes:
    chain, question = BASES[name]()
    return record(chain, question)


GOOD: dict[str, Callable[[], Made]] = {
    "consistency": lambda: (busy_chain(), consistency()),
    "consistency-of-one-tree": lambda: (busy_chain(), consistency(older_height=5)),
    "consistency-from-genesis": lambda: (busy_chain(), consistency(older_height=0)),
    "state": lambda: (busy_chain(), state()),
    "state-of-a-party": lambda: (busy_chain(), state(stream="party/m-1")),
    **{
        f"absence-{at}": lambda at=at: (busy_chain(), state(stream=f"contract/none-{at}"))
        for at in range(4)
    },
    **{name: lambda name=name: (BASES[name]()[0], base(name)) for name in BASES},
    "window-with-what-was-asked": lambda: (
        busy_chain(),
        record(busy_chain(), window(3, 5, "prepaid.consume")),
    ),
    "window-of-all-kinds": lambda: (busy_chain(), record(busy_chain(), window(0, 5))),
    "window-before-the-first": lambda: (busy_chain(), record(busy_chain(), window(0, 2))),
    "window-after-the-last": lambda: (
        busy_chain(),
        record(busy_chain(), ask("window", **{"from": at(4) + 1, "kinds": [], "until": at(5)})),
    ),
    "window-of-a-contract-nobody-named": lambda: (
        busy_chain(),
        record(busy_chain(), window(1, 4), "none-1"),
    ),
    "attestation-by-a-gateway": lambda: through_gateway(),
    "attestation-of-who-has-no-key": lambda: without_key(),
    "attestation-with-a-refused-attempt": lambda: objected_to(),
    "production-for-another-request": lambda: asked_again(),
    "terms-of-what-was-ended": lambda: ended(),
    "window-of-a-kind-that-is-misspelt": lambda: (
        busy_chain(),
        record(busy_chain(), window(1, 5, "prepaid.comsume", "prepaid.consume")),
    ),
    "window-without-a-kind-that-is-misspelt": lambda: (
        busy_chain(),
        record(busy_chain(), window(1, 5, "prepaid.refunded")),
    ),
    "attestation-of-what-was-refused": lambda: (
        busy_chain(),
        record(busy_chain(), ask("attestation", transaction=tx_of(busy_chain(), 4))),
    ),
    "attestation-where-nothing-was-opened": lambda: attempted(),
    "window-with-many": lambda: (life_chain(), record(life_chain(), window(0, 9))),
    "balance-under-terms": lambda: (
        life_chain(),
        record(life_chain(), ask("balance", **{"from": at(5), "stated": 98_000, "until": at(8)})),
    ),
    "balance-before-it-was-opened": lambda: (
        busy_chain(),
        record(busy_chain(), ask("balance", **{"from": 0, "stated": 0, "until": at(2)})),
    ),
    "terms-not-attached": lambda: (
        busy_chain(),
        record(busy_chain(), ask("terms", at=at(4), document=None)),
    ),
    "terms-before-there-were-any": lambda: (
        life_chain(),
        record(life_chain(), ask("terms", at=at(2), document=None)),
    ),
    "omission-in-a-batch": lambda: (busy_chain(), record(busy_chain(), batch_omission())),
    "omission-from-a-contract-nobody-named": lambda: omitted_elsewhere(),
    "equivocation-votes": lambda: (busy_chain(), lie(make_votes())),
    "equivocation-view-changes": lambda: (busy_chain(), lie(make_claims())),
    "equivocation-amnesia": lambda: (busy_chain(), lie(make_amnesia())),
    "equivocation-fork": lambda: (busy_chain(), lie(make_fork())),
}


def attempted() -> Made:
    """A transaction of a contract that was never opened."""
    chain = SmallChain(count=1, network="one.evidence.example")
    chain.commit(chain.submit("prepaid.prepay", CARD, {"amount": 1}, "bank-0"))
    return chain, record(chain, ask("attestation", transaction=tx_of(chain, 0)))


def omitted_elsewhere() -> Made:
    """The promised transaction names a contract that no entry ever named."""
    chain = busy_chain()
    body = chain.body("prepaid.open", "contract/new", {}, "m-1", not_after=at(4) + 60_000)
    return chain, record(chain, omission(chain.signed(body, "m-1")), "new")


def examine(made: Made) -> Report:
    chain, raw = made
    return verify_evidence(raw, chain.chain_id)


@pytest.mark.parametrize("name", GOOD)
def test_good_file_is_consistent(name: str) -> None:
    report = examine(GOOD[name]())
    assert report.is_consistent, report.failed
    assert report.steps[-1].result is Result.OK


def answer(made: Made) -> str:
    report = examine(made)
    assert report.is_consistent, report.failed
    return report.steps[-1].explanation.en


def test_absence_in_a_window_is_said() -> None:
    assert answer(GOOD["window"]()) == (
        "From 2026-01-01 00:00:03.000 UTC to before 2026-01-01 00:00:04.000 UTC contract/card-1 "
        "has no entry of prepaid.refund; in that time it has 2 entries in all."
    )
    document = json.loads(base("window"))
    assert (document["first"], len(document["entries"])) == (1, 4)  # a neighbour at each side


def test_where_nobody_signed_no_key_is_said_to_have_been_valid() -> None:
    report = examine(GOOD["window-of-a-contract-nobody-named"]())
    said = next(step for step in report.steps if step.number == 9).explanation
    assert (said.zh, said.en) == ("文件不含签名者。", "The file has no signers.")


def test_a_balance_is_derived() -> None:
    assert answer(GOOD["balance-under-terms"]()) == (
        "From 2026-01-01 00:00:05.000 UTC to before 2026-01-01 00:00:08.000 UTC: opening 1000.00 "
        "yuan + paid in 0.00 yuan + interest 0.00 yuan − delivered 20.00 yuan − refunded 0.00 "
        "yuan = closing 980.00 yuan, as stated."
    )


def test_an_omission_is_said_to_be_one() -> None:
    assert answer(GOOD["omission"]()).endswith(
        "would be in a block of height 4 or below; in the contract's whole record up to height 5 "
        "it stands nowhere. The promise was not kept; whether by intent is not said here."
    )


def test_what_comes_late_is_told() -> None:
    """The height promised is below the one at which the transaction stands."""
    chain = busy_chain()
    index = chain.indices_of(CARD)[5]
    envelope = msgpack.packb(msgpack.unpackb(chain.leaves[index])[3])
    assert "it stands only at height 4" in answer((chain, record(chain, omission(envelope, 3))))


def test_production_names_the_deadline_and_the_law() -> None:
    said = answer(GOOD["production"]())
    assert said.startswith(
        "c-1 asked for records at 2026-01-01 00:00:07.000 UTC, until 2026-01-01 16:00:00.000 UTC; "
        "nothing was produced in answer to it before that, and no reason is on record"
    )
    assert "art. 25" in said


def test_who_attested_and_who_did_not() -> None:
    said = answer(GOOD["attestation"]())
    assert (
        ": applied, signed by m-1 (merchant), bank-1 (custodian); statements about it since, up to "
        "height 5 (2026-01-01 00:00:05.000 UTC): 0; of the contract's parties "
    ) in said
    assert "neither signed nor spoke: consumer. The checkpoint" in said
    assert (
        "the validators were the 4 of genesis and a quorum 3: this version knows no change" in said
    )


def test_a_signature_under_what_was_refused_attests_an_attempt() -> None:
    assert (
        ": recorded as refused and of no effect (less is locked than was asked for, "
        "insufficient_locked), signed by m-1"
    ) in answer(GOOD["attestation-of-what-was-refused"]())


def test_where_there_is_no_contract_its_parties_are_not_said_to_have_spoken() -> None:
    assert answer(attempted()).startswith(f"Transaction {tx_of(attempted()[0], 0)}: recorded as ")
    assert (
        "the state holds no contract here that this verifier knows, so its parties are not known."
    ) in answer(attempted())


def test_a_kind_that_does_not_exist_is_no_absence() -> None:
    assert answer(GOOD["window-without-a-kind-that-is-misspelt"]()).endswith(
        "7 entries in all. This verifier does not know the kind prepaid.refunded: if it is "
        "misspelt, that it has no entry says nothing."
    )
    assert answer(GOOD["window-of-a-kind-that-is-misspelt"]()).endswith(
        "This verifier does not know the kind prepaid.comsume: if it is misspelt, that it has no "
        "entry says nothing."
    )


def test_absence_of_a_name_that_cannot_be_is_refused() -> None:
    failed = examine((busy_chain(), state(stream="contract/Card-1"))).failed
    assert failed is not None
    assert failed.explanation.en == (
        "'contract/Card-1' is no name that a record of the ledger may bear; its absence says "
        "nothing."
    )


def test_one_definition_of_a_receipts_members() -> None:
    assert {
        BATCH_FORMAT: BatchReceiptForm.__struct_fields__,
        FORMAT: ReceiptForm.__struct_fields__,
    } == RECEIPTS
    assert set(QUESTIONS) == set(BASES)
    assert BATCH_MEMBERS == ("index", "path")


# -- an honest node is not convicted


def revoked_chain() -> SmallChain:
    """A merchant's transaction is promised, and the merchant is revoked before the block."""
    chain = SmallChain(roles=("bank", "payment"))
    data = {"keys": [chain.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    chain.commit(chain.submit("party.revoke", "party/m-1", {"party": "m-1"}, "bank-0", "bank-1"))
    for _ in range(3):
        chain.commit()
    return chain


def no_longer_entitled() -> Made:
    chain = revoked_chain()
    body = chain.body("prepaid.open", CARD, {}, "m-1", not_after=at(4) + 60_000)
    envelope = chain.signed(body, "m-1")
    question = omission(envelope) | {
        "receipt": receipt(chain, decode_transaction(envelope).tx_id, 4)
    }
    return chain, record(chain, question)


def signed_anew() -> Made:
    """A transaction is promised, its key ends before the block, and its author signs with another.

    The receipt names the transaction alone; a node that rightly dropped it was to be convicted.
    """
    chain = SmallChain()
    keys = [chain.key(name).public_key.hex() for name in ("m-1", "m-1 other")]
    data = {"keys": keys, "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    ended = {"party": "m-1", "public_key": keys[0]}
    chain.commit(chain.submit("party.revoke_key", "party/m-1", ended, "bank-0"))
    for _ in range(3):
        chain.commit()
    body = chain.body("prepaid.open", CARD, {}, "m-1", not_after=at(4) + 60_000)
    envelope = sign_transaction(body, chain.chain_id, [chain.key("m-1 other")])
    question = omission(envelope) | {
        "receipt": receipt(chain, decode_transaction(envelope).tx_id, 4)
    }
    return chain, record(chain, question)


def test_a_transaction_signed_anew_convicts_nobody() -> None:
    failed = examine(signed_anew()).failed
    assert failed is not None
    chain, _ = signed_anew()
    assert failed.explanation.en == (
        f"Key {chain.key('m-1').public_key.hex()} of party m-1 ended at height 3, after the "
        "promise and not after the promised height; what was taken in may have been signed with "
        "it, and that is no omission."
    )


def promised_with(**changes: Any) -> Made:
    chain = busy_chain()
    body = chain.body("prepaid.refund", CARD, {"amount": 5}, "m-1", **changes)
    return chain, record(chain, omission(chain.signed(body, "m-1")))


def promised_and_on_the_chain(place: int) -> Made:
    chain = busy_chain()
    index = chain.indices_of(CARD)[place]
    return chain, record(chain, omission(msgpack.packb(msgpack.unpackb(chain.leaves[index])[3]), 4))


# -- spoilt files


def changed(name: str, **changes: Any) -> Made:
    """The good file of a question with members replaced."""
    return BASES[name]()[0], edit(base(name), **changes)


def change_in(name: str, change: Callable[[dict[str, Any]], None]) -> Made:
    document = json.loads(base(name))
    change(document)
    return BASES[name]()[0], encode_canonical(document)


def rebuilt(name: str, **changes: Any) -> Made:
    chain, question = BASES[name]()
    return chain, record(chain, question, **changes)


def noted(name: str, **note: Any) -> Made:
    chain, _ = BASES[name]()
    proof = chain.proof(chain.headers[-1].index, chain.note(**note))
    return changed(name, header_proof=proof.decode())


def reproved(name: str, **changes: Any) -> Made:
    chain, _ = BASES[name]()
    proof = replace(parse_tlog_proof(json.loads(base(name))["header_proof"].encode()), **changes)
    return chain, edit(base(name), header_proof=format_tlog_proof(proof).decode())


def with_note(name: str, old: str, new: str) -> Made:
    proof = json.loads(base(name))["header_proof"]
    assert old in proof
    return changed(name, header_proof=proof.replace(old, new, 1))


def bit(text: str) -> str:
    """One bit of what base64 spells."""
    return base64_of(flip(base64.b64decode(text)))


def bit_in(name: str, *path: Any) -> Made:
    """One bit flipped in a binary member."""

    def change(document: dict[str, Any]) -> None:
        inner: Any = document
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = bit(inner[path[-1]])

    return change_in(name, change)


def altered(name: str, member: str, place: int, change: Callable[[list[Any]], None]) -> Made:
    """One entry or block's header with its array changed."""

    def spoil(document: dict[str, Any]) -> None:
        items = document[member]
        if member == "blocks":
            raw = base64.b64decode(items[place]["header"])
            items[place]["header"] = base64_of(alter(raw, change))
        else:
            items[place] = base64_of(alter(base64.b64decode(items[place]), change))

    return change_in(name, spoil)


def forged_signature(name: str) -> Made:
    """An entry whose signature is wrong, in a tree that liars certified."""
    chain, question = BASES[name]()
    place = json.loads(base(name))["first"]
    index = chain.indices_of(CARD)[place]
    lying = forge(
        chain, {index: alter(chain.leaves[index], lambda f: f[3][1][0].__setitem__(1, bytes(64)))}
    )
    return lying, record(lying, question)


def earlier_state(name: str) -> Made:
    """The newest header beside the state value of another contract under this one's name."""
    chain, _ = BASES[name]()
    wrong = claim(chain, "party/m-1")
    own = claim(chain, CARD)
    return rebuilt(name, state=StateClaim(CARD, wrong.value, own.proof))


EVERYBODY = ("m-1", "c-1", "bank-0", "bank-1", "bank-2", "bank-3")


def common(name: str) -> dict[str, Mutation]:
    """What can be done to the file of any question about a record."""
    chain, _ = BASES[name]()
    document = json.loads(base(name))
    heights = [msgpack.unpackb(_raw(block["header"]))[1] for block in document["blocks"]]
    other = next(h for h in range(len(chain.headers)) if h not in heights)
    newest = chain.headers[-1].index
    made: dict[str, Mutation] = {
        "trailing-byte": (lambda: (chain, base(name) + b"\n"), 1, Reason.NOT_CANONICAL),
        "first-negative": (lambda: changed(name, first=-1), 1, Reason.BAD_FIELD),
        "first-true": (lambda: changed(name, first=True), 1, Reason.BAD_FIELD),
        "blocks-no-list": (lambda: changed(name, blocks={}), 1, Reason.BAD_FIELD),
        "range-no-hash": (lambda: changed(name, range=["AAAA"]), 1, Reason.BAD_FIELD),
        "question-missing": (lambda: changed(name, question={}), 1, Reason.BAD_FIELD),
        "question-unknown": (lambda: changed(name, question={"ask": "x"}), 1, Reason.BAD_FIELD),
        "question-with-more": (
            lambda: changed(name, question=document["question"] | {"zz": 1}),
            1,
            Reason.BAD_FIELD,
        ),
        "genesis-one-bit": (lambda: bit_in(name, "genesis"), 2, Reason.WRONG_CHAIN),
        "genesis-of-another-chain": (
            lambda: changed(name, genesis=base64_of(other_chain().genesis.raw)),
            2,
            Reason.WRONG_CHAIN,
        ),
        "two-of-four-cosigned": (lambda: noted(name, cosigners=(0, 1)), 4, Reason.NO_QUORUM),
        "cosigner-twice": (lambda: noted(name, cosigners=(0, 1, 1)), 4, Reason.DUPLICATE),
        "log-did-not-sign": (lambda: noted(name, log_signers=()), 4, Reason.BAD_SIGNATURE),
        "another-logs-checkpoint": (
            lambda: noted(name, origin="other.example/0123456789abcdef"),
            4,
            Reason.WRONG_CHAIN,
        ),
        "unknown-cosigner": (
            lambda: with_note(name, "/bank-3 ", "/bank-9 "),
            4,
            Reason.UNKNOWN_KEY,
        ),
        "size-swapped": (
            lambda: with_note(name, f"\n{len(chain.leaves)}\n", f"\n{len(chain.leaves) + 1}\n"),
            4,
            Reason.BAD_SIGNATURE,
        ),
        "proof-with-extra": (lambda: reproved(name, extra=b"x"), 4, Reason.MALFORMED),
        "header-proof-shifted": (lambda: reproved(name, index=newest - 1), 5, Reason.BAD_PROOF),
        "header-of-another-height": (
            lambda: changed(name, header=base64_of(chain.leaves[chain.headers[1].index])),
            5,
            Reason.BAD_PROOF,
        ),
        "header-is-an-entry": (
            lambda: changed(name, header=document["entries"][0]),
            5,
            Reason.BAD_FIELD,
        ),
        "stale-header": (
            lambda: changed(
                name,
                header=base64_of(chain.leaves[chain.headers[1].index]),
                header_proof=chain.proof(chain.headers[1].index).decode(),
            ),
            6,
            Reason.WRONG_HEIGHT,
        ),
        "block-dropped": (
            lambda: changed(name, blocks=document["blocks"][:-1]),
            6,
            Reason.WRONG_HEIGHT,
        ),
        "block-added": (
            lambda: rebuilt(name, heights=sorted([*heights, other])),
            6,
            Reason.WRONG_HEIGHT,
        ),
        "blocks-reordered": (
            lambda: changed(name, blocks=document["blocks"][::-1]),
            6,
            Reason.NOT_CANONICAL,
        ),
        "block-twice": (
            lambda: changed(name, blocks=[document["blocks"][0], *document["blocks"]]),
            6,
            Reason.NOT_CANONICAL,
        ),
        "block-path-cut": (
            lambda: change_in(name, lambda d: d["blocks"][0]["path"].pop()),
            6,
            Reason.BAD_PROOF,
        ),
        "block-path-one-bit": (lambda: bit_in(name, "blocks", 0, "path", 0), 6, Reason.BAD_PROOF),
        "block-time-moved": (
            lambda: altered(name, "blocks", 0, lambda f: f[3].__setitem__(4, f[3][4] + 1)),
            6,
            Reason.BAD_PROOF,
        ),
        "block-is-an-entry": (
            lambda: change_in(
                name, lambda d: d["blocks"][0].__setitem__("header", d["entries"][0])
            ),
            6,
            Reason.BAD_FIELD,
        ),
        "entries-exchanged": (
            lambda: changed(name, entries=[*document["entries"][1::-1], *document["entries"][2:]]),
            6,
            Reason.WRONG_HEIGHT,
        ),
        "entry-doubled": (
            lambda: changed(name, entries=[document["entries"][0], *document["entries"]]),
            6,
            Reason.WRONG_HEIGHT,
        ),
        "entry-of-another-height": (
            lambda: altered(name, "entries", 0, set_field(1, value=other)),
            6,
            Reason.WRONG_HEIGHT,
        ),
        "signature-forged": (lambda: forged_signature(name), 8, Reason.BAD_SIGNATURE),
        "party-dropped": (
            lambda: changed(name, parties=document["parties"][1:]),
            9,
            Reason.UNKNOWN_PARTY,
        ),
        "party-added": (
            lambda: rebuilt(name, parties=chain.parties(EVERYBODY)),
            9,
            Reason.UNKNOWN_PARTY,
        ),
        "first-shifted": (lambda: changed(name, first=document["first"] + 1), 12, Reason.BAD_PROOF),
        "first-beyond": (lambda: changed(name, first=1_000), 12, Reason.BAD_PROOF),
        "first-at-its-bound": (lambda: changed(name, first=2**53 - 1), 12, Reason.BAD_PROOF),
        "range-hash-added": (
            lambda: changed(name, range=[*document["range"], base64_of(bytes(32))]),
            12,
            Reason.BAD_PROOF,
        ),
        "outcome-altered": (
            lambda: altered(name, "entries", 0, lambda f: f[4].__setitem__(2, [["x", 1]])),
            12,
            Reason.BAD_PROOF,
        ),
        "state-one-bit": (lambda: bit_in(name, "state", "proof"), 12, Reason.MALFORMED),
        "state-of-another-contract": (
            lambda: rebuilt(name, state=claim(chain, "party/m-1")),
            12,
            Reason.BAD_FIELD,
        ),
        "value-of-another-contract": (lambda: earlier_state(name), 12, Reason.BAD_PROOF),
        "state-said-to-be-absent": (
            lambda: change_in(name, lambda d: d["state"].__setitem__("value", None)),
            12,
            Reason.BAD_PROOF,
        ),
        "contract-renamed": (lambda: changed(name, contract="card-9"), 12, Reason.BAD_FIELD),
    }
    if document["range"]:
        made["range-one-bit"] = (lambda: bit_in(name, "range", 0), 12, Reason.BAD_PROOF)
        made["range-hash-dropped"] = (
            lambda: changed(name, range=document["range"][1:]),
            12,
            Reason.BAD_PROOF,
        )
    return made


def _raw(text: str) -> bytes:
    return base64.b64decode(text)


def spanned(name: str, first: int, end: int) -> Made:
    """The file of a question with other entries than it turns on, well proven."""
    return rebuilt(name, span=(first, end))


def asked(name: str, **members: Any) -> Made:
    """A good file whose question is another."""
    return changed(name, question=json.loads(base(name))["question"] | members)


def receipted(**changes: Any) -> Made:
    return asked("omission", receipt=json.loads(base("omission"))["question"]["receipt"] | changes)


SPECIFIC: dict[str, dict[str, Mutation]] = {
    "window": {
        "neighbour-before-missing": (lambda: spanned("window", 2, 5), 18, Reason.BAD_PROOF),
        "neighbour-after-missing": (lambda: spanned("window", 1, 4), 18, Reason.BAD_PROOF),
        "one-more-before": (lambda: spanned("window", 0, 5), 18, Reason.BAD_PROOF),
        "one-more-after": (lambda: spanned("window", 1, 6), 18, Reason.BAD_PROOF),
        "starts-earlier": (lambda: asked("window", **{"from": at(2)}), 18, Reason.BAD_PROOF),
        "ends-later": (lambda: asked("window", until=at(4) + 1), 18, Reason.BAD_PROOF),
        "ends-in-the-future": (
            lambda: (
                busy_chain(),
                edit(
                    record(busy_chain(), window(3, 5)),
                    question=window(3, 5) | {"until": at(5) + 1},
                ),
            ),
            18,
            Reason.WRONG_HEIGHT,
        ),
        "entry-outside-its-block": (lambda: misplaced(10**6), 6, Reason.WRONG_HEIGHT),
        "entry-before-its-block": (lambda: misplaced(0), 6, Reason.WRONG_HEIGHT),
        "nothing-between": (lambda: asked("window", until=at(3)), 1, Reason.BAD_FIELD),
        "kinds-not-in-order": (lambda: asked("window", kinds=["b", "a"]), 1, Reason.BAD_FIELD),
        "kind-twice": (lambda: asked("window", kinds=["a", "a"]), 1, Reason.BAD_FIELD),
        "time-true": (lambda: asked("window", **{"from": True}), 1, Reason.BAD_FIELD),
    },
    "balance": {
        "stated-one-fen-more": (lambda: asked("balance", stated=90_051), 18, Reason.BAD_FIELD),
        "stated-one-fen-less": (lambda: asked("balance", stated=90_049), 18, Reason.BAD_FIELD),
        "stated-negative": (lambda: asked("balance", stated=-1), 1, Reason.BAD_FIELD),
        "not-from-the-first": (lambda: spanned("balance", 1, 5), 18, Reason.BAD_PROOF),
        "not-to-the-end": (lambda: spanned("balance", 0, 4), 18, Reason.BAD_PROOF),
        "beyond-the-end": (lambda: spanned("balance", 0, 6), 18, Reason.BAD_PROOF),
        "ends-later": (lambda: asked("balance", until=at(4) + 1), 18, Reason.BAD_PROOF),
        "rules-not-known": (lambda: rebodied("prepaid.freeze", 3), 18, Reason.UNKNOWN_KIND),
        "data-out-of-shape": (lambda: misshapen(), 18, Reason.BAD_FIELD),
        "balances-misstated": (lambda: misstated(), 18, Reason.BAD_FIELD),
    },
    "terms": {
        "document-one-bit": (
            lambda: bit_in("terms", "question", "document"),
            18,
            Reason.ROOT_MISMATCH,
        ),
        "document-of-another-deal": (
            lambda: asked("terms", document=base64_of(b"{}")),
            18,
            Reason.ROOT_MISMATCH,
        ),
        "document-before-there-was-any": (
            lambda: (
                life_chain(),
                record(life_chain(), ask("terms", at=at(2), document=base64_of(document()))),
            ),
            18,
            Reason.ROOT_MISMATCH,
        ),
        "document-no-base64": (lambda: asked("terms", document="?"), 1, Reason.BAD_FIELD),
        "change-left-out": (lambda: spanned("terms", 0, 5), 18, Reason.BAD_PROOF),
        "not-from-the-first": (lambda: spanned("terms", 1, 6), 18, Reason.BAD_PROOF),
        "a-later-moment": (lambda: asked("terms", at=at(7)), 18, Reason.BAD_PROOF),
        "in-the-future": (
            lambda: (
                life_chain(),
                edit(
                    record(
                        life_chain(),
                        ask("terms", at=at(8), document=None),
                    ),
                    question=ask("terms", at=START_MS + 3 * DAY_MS, document=None),
                ),
            ),
            18,
            Reason.WRONG_HEIGHT,
        ),
    },
    "attestation": {
        "later-statements-cut": (lambda: spanned("attestation", 2, 5), 18, Reason.BAD_PROOF),
        "starts-one-later": (lambda: spanned("attestation", 3, 7), 18, Reason.BAD_PROOF),
        "starts-one-earlier": (lambda: spanned("attestation", 1, 7), 18, Reason.BAD_PROOF),
        "another-transaction": (
            lambda: asked("attestation", transaction="00" * 32),
            18,
            Reason.BAD_PROOF,
        ),
        "transaction-no-hash": (
            lambda: asked("attestation", transaction="00"),
            1,
            Reason.BAD_FIELD,
        ),
        "transaction-in-capitals": (
            lambda: asked("attestation", transaction="AB" * 32),
            1,
            Reason.BAD_FIELD,
        ),
    },
    "omission": {
        "tail-cut": (lambda: spanned("omission", 0, 5), 18, Reason.BAD_PROOF),
        "head-cut": (lambda: spanned("omission", 1, 7), 18, Reason.BAD_PROOF),
        "promise-kept": (lambda: promised_and_on_the_chain(5), 18, Reason.DUPLICATE),
        "promise-kept-by-a-refusal": (lambda: promised_and_on_the_chain(4), 18, Reason.DUPLICATE),
        "too-late-for-anyone": (
            lambda: promised_with(not_after=at(4) - 1),
            18,
            Reason.STALE,
        ),
        "too-early-for-anyone": (
            lambda: promised_with(not_after=at(4) + 600_001),
            18,
            Reason.TOO_FAR_AHEAD,
        ),
        "signer-revoked-meanwhile": (lambda: no_longer_entitled(), 18, Reason.KEY_NOT_VALID),
        "signed-anew-with-another-key": (lambda: signed_anew(), 18, Reason.KEY_NOT_VALID),
        "promise-not-yet-due": (
            lambda: (
                busy_chain(),
                record(busy_chain(), omission(height_max=6)),
            ),
            6,
            Reason.WRONG_HEIGHT,
        ),
        "height-lowered": (lambda: receipted(height_max=3), 18, Reason.BAD_SIGNATURE),
        "received-moved": (lambda: receipted(received_ms=1), 18, Reason.BAD_SIGNATURE),
        "signature-forged": (lambda: receipted(signature="00" * 64), 18, Reason.BAD_SIGNATURE),
        "another-chains-receipt": (lambda: receipted(chain_id="00" * 32), 18, Reason.WRONG_CHAIN),
        "another-nodes-receipt": (lambda: receipted(node="bank-2"), 18, Reason.UNKNOWN_KEY),
        "a-strangers-receipt": (lambda: receipted(node="bank-9"), 18, Reason.NOT_A_VALIDATOR),
        "a-keys-own-receipt": (
            lambda: receipted(public_key=busy_chain().key("m-1").public_key.hex()),
            18,
            Reason.UNKNOWN_KEY,
        ),
        "receipt-for-another": (lambda: receipted(tx_id="00" * 32), 18, Reason.ROOT_MISMATCH),
        "receipt-of-no-format": (lambda: receipted(format="x"), 1, Reason.BAD_FIELD),
        "batch-without-batch": (
            lambda: asked("omission", batch={"index": 0, "path": []}),
            1,
            Reason.BAD_FIELD,
        ),
        "batch-index-moved": (lambda: batched(index=2), 18, Reason.BAD_PROOF),
        "batch-index-beyond": (lambda: batched(index=3), 18, Reason.BAD_PROOF),
        "batch-path-one-bit": (
            lambda: batched(path=[base64_of(bytes(32)), base64_of(bytes(32))]),
            18,
            Reason.ROOT_MISMATCH,
        ),
        "batch-size-moved": (lambda: batch_sized(4), 18, Reason.BAD_SIGNATURE),
        "of-another-contract": (
            lambda: (busy_chain(), record(busy_chain(), omission(), "card-2")),
            18,
            Reason.BAD_FIELD,
        ),
        "envelope-one-bit": (lambda: unsigned(), 18, Reason.BAD_SIGNATURE),
        "envelope-without-signatures": (
            lambda: asked("omission", envelope=base64_of(msgpack.packb([b"{}", []]))),
            6,
            Reason.SIGNATURE_COUNT,
        ),
        "envelope-trailing-byte": (
            lambda: asked("omission", envelope=base64_of(promised() + b"\0")),
            6,
            Reason.MALFORMED,
        ),
        "envelope-of-nothing": (
            lambda: asked("omission", envelope=""),
            6,
            Reason.MALFORMED,
        ),
    },
    "production": {
        "produced-in-time": (lambda: produced("records.produced"), 18, Reason.BAD_FIELD),
        "neighbour-after-missing": (lambda: spanned("production", 5, 7), 18, Reason.BAD_PROOF),
        "starts-one-later": (lambda: spanned("production", 6, 8), 18, Reason.BAD_PROOF),
        "starts-one-earlier": (lambda: spanned("production", 4, 8), 18, Reason.BAD_PROOF),
        "another-request": (lambda: asked("production", request="00" * 32), 18, Reason.BAD_PROOF),
        "not-a-request": (
            lambda: (
                life_chain(),
                edit(
                    record(life_chain(), ask("attestation", transaction=tx_of(life_chain(), 4))),
                    question=ask("production", request=tx_of(life_chain(), 4)),
                ),
            ),
            18,
            Reason.BAD_FIELD,
        ),
        "deadline-not-over": (lambda: too_soon(), 18, Reason.WRONG_HEIGHT),
    },
}


def misplaced(index: int) -> Made:
    """A quorum of liars certified an entry that says it stands where its block does not."""
    chain, question = BASES["window"]()
    place = chain.indices_of(CARD)[1 if index == 0 else 4]
    lying = forge(chain, {place: alter(chain.leaves[place], set_field(0, value=index))})
    return lying, record(lying, question)


def misstated() -> Made:
    """A quorum of liars certified an entry whose balances do not follow."""
    chain, question = BASES["balance"]()
    index = chain.indices_of(CARD)[3]
    change = set_field(4, 2, 1, 1, value=90_049)
    lying = forge(chain, {index: alter(chain.leaves[index], change)})
    return lying, record(lying, question)


def rebodied(kind: str, version: int) -> Made:
    """An entry of other rules, rightly signed, in the place of a prepayment."""
    chain, question = BASES["balance"]()
    index = chain.indices_of(CARD)[2]
    signers = ("m-1", "bank-1")
    envelope = chain.signed(chain.body(kind, CARD, {}, *signers, version=version), *signers)
    change = set_field(3, value=msgpack.unpackb(envelope))
    lying = forge(chain, {index: alter(chain.leaves[index], change)})
    return lying, record(lying, question)


def misshapen() -> Made:
    """A quorum of liars let in a payment under terms that names no vouchers."""
    chain = life_chain()
    index = chain.indices_of(CARD)[1]
    envelope = chain.signed(chain.body("funds.locked", CARD, {"amount": 1}, "bank-0"), "bank-0")
    change = set_field(3, value=msgpack.unpackb(envelope))
    lying = forge(chain, {index: alter(chain.leaves[index], change)})
    question = ask("balance", **{"from": at(5), "stated": 98_000, "until": at(8)})
    return lying, record(lying, question)


def batched(**changes: Any) -> Made:
    question = batch_omission()
    question["batch"] |= changes
    return busy_chain(), edit(record(busy_chain(), batch_omission()), question=question)


def batch_sized(size: int) -> Made:
    question = batch_omission()
    question["receipt"]["size"] = size
    return busy_chain(), edit(record(busy_chain(), batch_omission()), question=question)


def unsigned() -> Made:
    """The promised body with a signature that is not its signer's."""
    body, signatures = msgpack.unpackb(promised())
    signatures[0][1] = bytes(64)
    return asked("omission", envelope=base64_of(msgpack.packb([body, signatures])))


def produced(kind: str, **more: Any) -> Made:
    chain, request = asking()
    chain.commit(chain.submit(kind, CARD, {"of": request} | more, "m-1"))
    return over(chain, request)


def asking() -> tuple[SmallChain, str]:
    """A copy of the life up to the request, and the request's id."""
    chain = live_to(7)
    return chain, tx_of(chain, 5)


def over(chain: SmallChain, request: str) -> Made:
    chain.step_ms = DAY_MS
    chain.commit()
    return chain, record(chain, ask("production", request=request))


def too_soon() -> Made:
    chain, request = asking()
    chain.commit()
    return chain, record(chain, ask("production", request=request), span=(5, 6))


def test_a_stated_reason_for_refusing_is_told() -> None:
    said = answer(produced("records.refused", reason="stocktaking"))
    assert "and the reasons stated are: stocktaking" in said


def asked_again() -> Made:
    """What the consumer asked for twice is produced in answer to the second request alone."""
    chain, request = asking()
    chain.commit(chain.submit("records.requested", CARD, {"until": "2026-01-01"}, "c-1"))
    chain.commit(
        chain.submit("records.produced", CARD, {"of": tx_of(chain, 6)}, "m-1"),
        chain.submit("sales_records.produced", CARD, {"items": ["cut"]}, "m-1"),
        chain.submit("records.produced", CARD, {"of": request}, "c-1"),
    )
    return over(chain, request)


def test_what_was_produced_for_another_request_is_told() -> None:
    said = answer(asked_again())
    assert "nothing was produced in answer to it before that" in said
    assert said.endswith(
        "Produced in that time, and not as an answer to it: 2; whether that is what was asked for "
        "is not said here. Attempts to produce that are recorded as refused: 1 (c-1). Whether the "
        "last day is a rest day is not examined."
    )


def objected_to() -> Made:
    """Of a delivery the custodian speaks, which it may not do so."""
    chain = live_to(7)
    delivery = tx_of(chain, 2)
    answered = {"answer": "objected", "of": delivery}
    chain.commit(chain.submit("delivery.answered", CARD, answered, "bank-0"))
    return chain, record(chain, ask("attestation", transaction=delivery))


def test_an_attempt_to_speak_that_was_refused_is_no_silence() -> None:
    assert (
        "statements about it since, up to height 8 (2026-01-01 00:00:08.000 UTC): 0; recorded as "
        "refused: 1: bank-0 at 2026-01-01 00:00:08.000 UTC, a delivery confirmed or denied "
        "(delivery.answered version 1) objected; of the contract's parties neither signed nor "
        "spoke: consumer. The checkpoint"
    ) in answer(objected_to())


def without_key() -> Made:
    """A contract whose consumer has no party of its own, and so cannot sign anything."""
    chain = SmallChain(roles=("bank", "payment"))
    data = {"keys": [chain.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    opening = {
        "consumer": "ab" * 32,
        "custodian": "bank-1",
        "industry": "fitness",
        "merchant": "m-1",
        "terms_hash": "cd" * 32,
    }
    chain.commit(chain.submit("prepaid.open", CARD, opening, "m-1"))
    return chain, record(chain, ask("attestation", transaction=tx_of(chain, 0)))


def test_who_has_no_key_is_not_said_to_be_silent() -> None:
    made = without_key()
    assert (
        "neither signed nor spoke: custodian; has no key here, so that its silence says nothing: "
        "consumer. The checkpoint"
    ) in answer(made)
    assert examine(made).facts["silent"] == ["custodian"]


def through_gateway() -> Made:
    """The custodian releases money through its gateway."""
    chain = live_to(7)
    data = {"keys": [chain.key("gw-1").public_key.hex()], "party": "gw-1", "role": "gateway"}
    chain.commit(chain.submit("party.register", "party/gw-1", data, "bank-0"))
    chain.commit(chain.submit("funds.released", CARD, {"amount": 100}, "gw-1"))
    return chain, record(chain, ask("attestation", transaction=tx_of(chain, -1)))


def test_a_gateway_speaks_for_the_custodian_that_registered_it() -> None:
    said = answer(through_gateway())
    assert "signed by gw-1 (gateway of the custodian); statements about it" in said
    assert "neither signed nor spoke: merchant, consumer. The checkpoint" in said
    said_zh = examine(through_gateway()).steps[-1].explanation.zh
    assert "签名者 gw-1（托管机构的网关）；" in said_zh


def ended() -> Made:
    """A contract that the consumer ended, asked afterwards for the terms in force."""
    chain = live_to(7)
    chain.commit(chain.submit("cooling_off.requested", CARD, {}, "c-1"))
    chain.commit()
    return chain, record(chain, ask("terms", at=at(8), document=None))


def test_terms_of_a_contract_that_was_ended_are_not_said_to_be_in_force() -> None:
    said = answer(ended())
    assert said.startswith("The terms up to 2026-01-01 00:00:08.000 UTC were those agreed at ")
    assert said.endswith(
        " Recorded of its end until then: 1: refund without reason "
        "(cooling_off.requested version 1) at 2026-01-01 00:00:08.000 UTC. Whether they still "
        "bound anybody is not said here."
    )
    chain = ended()[0]
    before = answer((chain, record(chain, ask("terms", at=at(7), document=None))))
    assert before.startswith("In force at 2026-01-01 00:00:07.000 UTC were the terms agreed at ")
    assert "of its end" not in before


# -- consistency and state


def notes(member: str, **note: Any) -> Made:
    chain = busy_chain()
    size = size_at(chain, 2 if member == "older" else 5)
    return chain, consistency(**{member: chain.note(chain.leaves[:size], **note)})


def pathed(change: Callable[[list[bytes]], Sequence[bytes]]) -> Made:
    chain = busy_chain()
    path = consistency_proof(hashes_of(chain.leaves), size_at(chain, 2), size_at(chain, 5))
    return chain, consistency(path=change(path))


def note_replaced(member: str, old: str, new: str) -> Made:
    raw = consistency()
    text = json.loads(raw)[member]
    assert old in text
    return busy_chain(), edit(raw, **{member: text.replace(old, new, 1)})


def consistent(**changes: Any) -> Made:
    return busy_chain(), edit(consistency(), **changes)


CONSISTENCY: dict[str, Mutation] = {
    "trailing-byte": (lambda: (busy_chain(), consistency() + b" "), 1, Reason.NOT_CANONICAL),
    "member-missing": (lambda: consistent(path=None), 1, Reason.BAD_FIELD),
    "member-added": (lambda: consistent(zz=1), 1, Reason.BAD_FIELD),
    "path-no-list": (lambda: consistent(path="x"), 1, Reason.BAD_FIELD),
    "path-no-hash": (lambda: consistent(path=["AAAA"]), 1, Reason.BAD_FIELD),
    "older-no-text": (lambda: consistent(older=1), 1, Reason.BAD_FIELD),
    "genesis-of-another-chain": (
        lambda: consistent(genesis=base64_of(other_chain().genesis.raw)),
        2,
        Reason.WRONG_CHAIN,
    ),
    **{
        f"{member}-{name}": (lambda m=member, n=note: notes(m, **n), step, reason)
        for member, step in (("newer", 4), ("older", 18))
        for name, note, reason in (
            ("two-of-four-cosigned", {"cosigners": (0, 2)}, Reason.NO_QUORUM),
            ("nobody-cosigned", {"cosigners": ()}, Reason.NO_QUORUM),
            ("cosigner-twice", {"cosigners": (0, 1, 1)}, Reason.DUPLICATE),
            ("log-did-not-sign", {"log_signers": ()}, Reason.BAD_SIGNATURE),
            ("log-twice", {"log_signers": (0, 0)}, Reason.DUPLICATE),
            ("of-another-log", {"origin": "other.example/0123456789abcdef"}, Reason.WRONG_CHAIN),
        )
    },
    "newer-unknown-cosigner": (
        lambda: note_replaced("newer", "/bank-3 ", "/bank-8 "),
        4,
        Reason.UNKNOWN_KEY,
    ),
    "older-unknown-cosigner": (
        lambda: note_replaced("older", "/bank-3 ", "/bank-8 "),
        18,
        Reason.UNKNOWN_KEY,
    ),
    "newer-size-swapped": (
        lambda: note_replaced("newer", "\n18\n", "\n17\n"),
        4,
        Reason.BAD_SIGNATURE,
    ),
    "older-size-swapped": (
        lambda: note_replaced("older", "\n9\n", "\n8\n"),
        18,
        Reason.BAD_SIGNATURE,
    ),
    "older-extension": (
        lambda: note_replaced("older", "\n\n", "\nx\n\n"),
        18,
        Reason.MALFORMED,
    ),
    "swapped": (
        lambda: consistent(
            older=json.loads(consistency())["newer"], newer=json.loads(consistency())["older"]
        ),
        18,
        Reason.BAD_PROOF,
    ),
    "older-is-the-newer": (
        lambda: consistent(older=json.loads(consistency())["newer"]),
        18,
        Reason.BAD_PROOF,
    ),
    "older-of-a-fork": (lambda: forked(), 18, Reason.BAD_PROOF),
    "path-empty": (lambda: pathed(lambda path: []), 18, Reason.BAD_PROOF),
    "path-first-dropped": (lambda: pathed(lambda path: path[1:]), 18, Reason.BAD_PROOF),
    "path-last-dropped": (lambda: pathed(lambda path: path[:-1]), 18, Reason.BAD_PROOF),
    "path-hash-added": (lambda: pathed(lambda path: [*path, bytes(32)]), 18, Reason.BAD_PROOF),
    "path-reversed": (lambda: pathed(lambda path: path[::-1]), 18, Reason.BAD_PROOF),
    "path-hash-doubled": (lambda: pathed(lambda path: [path[0], *path]), 18, Reason.BAD_PROOF),
    **{
        f"path-bit-{place}": (
            lambda place=place: pathed(
                lambda path: [*path[:place], flip(path[place]), *path[place + 1 :]]
            ),
            18,
            Reason.BAD_PROOF,
        )
        for place in range(4)
    },
    "path-between-other-sizes": (
        lambda: pathed(lambda path: consistency_proof(hashes_of(busy_chain().leaves), 10, 18)),
        18,
        Reason.BAD_PROOF,
    ),
}


def forked() -> Made:
    """A quorum once certified a tree of which one entry was later changed."""
    chain = busy_chain()
    leaves = chain.leaves[: size_at(chain, 2)]
    leaves[5] = alter(leaves[5], set_field(0, value=4))
    return chain, consistency(older=chain.note(leaves))


def stated(**changes: Any) -> Made:
    return busy_chain(), edit(state(), **changes)


def claimed(**changes: Any) -> Made:
    document = json.loads(state())
    return stated(state=document["state"] | changes)


def claim_of(of: str, **changes: Any) -> Made:
    raw = state(stream=of)
    return busy_chain(), edit(raw, state=json.loads(raw)["state"] | changes)


def proof_bytes(change: Callable[[list[Any]], None], stream: str = CARD) -> Made:
    fields = msgpack.unpackb(claim(busy_chain(), stream).proof)
    change(fields)
    return claim_of(stream, proof=base64_of(msgpack.packb(fields)))


def far_absent() -> str:
    """A stream whose absence is shown by another key's leaf."""
    for number in range(1_000):
        stream = f"contract/none-{number}"
        if msgpack.unpackb(claim(busy_chain(), stream).proof)[3] is not None:
            return stream
    raise AssertionError("no key ends beside another leaf")


STATE: dict[str, Mutation] = {
    "trailing-byte": (lambda: (busy_chain(), state() + b"\n"), 1, Reason.NOT_CANONICAL),
    "member-missing": (lambda: stated(state=None), 1, Reason.BAD_FIELD),
    "state-no-object": (lambda: stated(state="x"), 1, Reason.BAD_FIELD),
    "state-with-more": (lambda: claimed(zz=1), 1, Reason.BAD_FIELD),
    "stream-no-text": (lambda: claimed(stream=1), 1, Reason.BAD_FIELD),
    "value-no-base64": (lambda: claimed(value="?"), 1, Reason.BAD_FIELD),
    "value-false": (lambda: claimed(value=False), 1, Reason.BAD_FIELD),
    "genesis-one-byte": (
        lambda: stated(genesis=base64_of(busy_chain().genesis.raw + b"\n")),
        2,
        Reason.WRONG_CHAIN,
    ),
    "genesis-of-another-chain": (
        lambda: stated(genesis=base64_of(other_chain().genesis.raw)),
        2,
        Reason.WRONG_CHAIN,
    ),
    **{
        f"note-{name}": (
            lambda note=note: stated(
                header_proof=busy_chain().proof(17, busy_chain().note(**note)).decode()
            ),
            4,
            reason,
        )
        for name, note, reason in (
            ("two-of-four-cosigned", {"cosigners": (2, 3)}, Reason.NO_QUORUM),
            ("nobody-cosigned", {"cosigners": ()}, Reason.NO_QUORUM),
            ("cosigner-twice", {"cosigners": (0, 1, 1)}, Reason.DUPLICATE),
            ("log-did-not-sign", {"log_signers": ()}, Reason.BAD_SIGNATURE),
            ("of-another-log", {"origin": "other.example/0123456789abcdef"}, Reason.WRONG_CHAIN),
        )
    },
    "header-of-another-height": (
        lambda: stated(header=base64_of(busy_chain().leaves[12])),
        5,
        Reason.BAD_PROOF,
    ),
    "header-one-bit": (
        lambda: stated(
            header=base64_of(alter(busy_chain().leaves[17], set_field(3, 9, value=bytes(32))))
        ),
        5,
        Reason.BAD_PROOF,
    ),
    "header-is-an-entry": (
        lambda: stated(header=base64_of(busy_chain().leaves[15])),
        5,
        Reason.BAD_FIELD,
    ),
    "stale-height": (
        lambda: stated(
            header=base64_of(busy_chain().leaves[12]),
            header_proof=busy_chain().proof(12).decode(),
        ),
        18,
        Reason.BAD_PROOF,
    ),
    **{
        f"absence-of-a-name-that-cannot-be-{number}": (
            lambda stream=stream: (busy_chain(), state(stream=stream)),
            18,
            Reason.BAD_FIELD,
        )
        for number, stream in enumerate(
            (
                "contract/Card-1",
                "contract/card-1 ",
                "contract/c\u0430rd-1",
                "contract/card-1\u200b",
                "contract/",
                "card-1",
                "",
                "signed/contract/card-1",
                "contract/" + "x" * 81,
                "contract/card-1\n",
            )
        )
    },
    "stream-renamed": (lambda: claimed(stream="contract/card-2"), 18, Reason.BAD_PROOF),
    "value-of-another": (
        lambda: claimed(value=base64_of(claim(busy_chain(), "party/m-1").value or b"")),
        18,
        Reason.BAD_PROOF,
    ),
    "value-one-bit": (
        lambda: claimed(value=bit(json.loads(state())["state"]["value"])),
        18,
        Reason.BAD_PROOF,
    ),
    "value-empty": (lambda: claimed(value=""), 18, Reason.BAD_PROOF),
    "said-to-be-absent": (lambda: claimed(value=None), 18, Reason.BAD_PROOF),
    "absent-said-to-be-there": (
        lambda: claim_of(
            "contract/none-1", value=base64_of(claim(busy_chain(), CARD).value or b"")
        ),
        18,
        Reason.BAD_PROOF,
    ),
    "absent-under-another-name": (
        lambda: claim_of("contract/none-1", stream=CARD),
        18,
        Reason.BAD_PROOF,
    ),
    "proof-depth-more": (
        lambda: proof_bytes(lambda f: f.__setitem__(0, f[0] + 1)),
        18,
        Reason.BAD_PROOF,
    ),
    "proof-depth-less": (
        lambda: proof_bytes(lambda f: f.__setitem__(0, f[0] - 1)),
        18,
        Reason.BAD_PROOF,
    ),
    "proof-depth-huge": (
        lambda: proof_bytes(lambda f: f.__setitem__(0, 300)),
        18,
        Reason.BAD_PROOF,
    ),
    "proof-bitmap-empty": (
        lambda: proof_bytes(lambda f: f.__setitem__(1, b"")),
        18,
        Reason.BAD_PROOF,
    ),
    "proof-sibling-dropped": (lambda: proof_bytes(lambda f: f[2].pop()), 18, Reason.BAD_PROOF),
    "proof-sibling-added": (
        lambda: proof_bytes(lambda f: f[2].append(bytes(32))),
        18,
        Reason.BAD_PROOF,
    ),
    "proof-sibling-one-bit": (
        lambda: proof_bytes(lambda f: f[2].__setitem__(0, flip(f[2][0]))),
        18,
        Reason.BAD_PROOF,
    ),
    "proof-siblings-exchanged": (
        lambda: proof_bytes(lambda f: f.__setitem__(2, f[2][::-1])),
        18,
        Reason.BAD_PROOF,
    ),
    "proof-beside-another": (
        lambda: proof_bytes(lambda f: f.__setitem__(3, [bytes(32), bytes(32)])),
        18,
        Reason.BAD_PROOF,
    ),
    "absence-other-leaf-dropped": (
        lambda: proof_bytes(lambda f: f.__setitem__(3, None), far_absent()),
        18,
        Reason.BAD_PROOF,
    ),
    "absence-other-leaf-one-bit": (
        lambda: proof_bytes(lambda f: f[3].__setitem__(1, flip(f[3][1])), far_absent()),
        18,
        Reason.BAD_PROOF,
    ),
    "absence-other-leaf-far-away": (
        lambda: proof_bytes(lambda f: f[3].__setitem__(0, flip_high(f[3][0])), far_absent()),
        18,
        Reason.BAD_PROOF,
    ),
    "absence-other-leaf-is-itself": (
        lambda: proof_bytes(
            lambda f: f[3].__setitem__(0, proof_files.compute_state_key(far_absent())),
            far_absent(),
        ),
        18,
        Reason.BAD_PROOF,
    ),
    "proof-trailing-byte": (
        lambda: claimed(proof=base64_of(claim(busy_chain(), CARD).proof + b"\0")),
        18,
        Reason.MALFORMED,
    ),
}


def flip_high(raw: bytes) -> bytes:
    return bytes([raw[0] ^ 0x80]) + raw[1:]


def tables() -> dict[str, dict[str, Mutation]]:
    """All tables, by what the file proves."""
    records = {name: common(name) | SPECIFIC[name] for name in BASES}
    lies: dict[str, Mutation] = {
        name: (lambda make=make: (busy_chain(), make()), step, reason)
        for name, (make, step, reason) in LIES.items()
    }
    return {"consistency": CONSISTENCY, "state": STATE, "equivocation": lies} | records


MUTATIONS: dict[str, Mutation] = {
    f"{kind}-{name}": mutation
    for kind, table in tables().items()
    for name, mutation in table.items()
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_refused(name: str) -> None:
    make, step, reason = MUTATIONS[name]
    failed = examine(make()).failed
    assert failed is not None, "it passed as consistent"
    assert (failed.number, failed.reason) == (step, reason), failed
    assert failed.explanation.zh


def test_there_are_enough_mutations_of_each_kind() -> None:
    assert {name: len(table) for name, table in tables().items() if len(table) < 30} == {}
