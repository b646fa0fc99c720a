"""Contracts in their merchant's total: what verifies, and what must not, with step and reason."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.refusal import Reason
from ledger.stream import decode_stored_stream, decode_stream_value
from ledger.sum_tree import compute_leaf, decode_node, encode_node
from tests.contracts.life_world import LifeWorld
from tests.contracts.test_claims import crowded, stream_of
from tests.verifier.small_chain import SmallChain, edit, forge
from verifier.report import Report, Result
from verifier.verify import LIABILITY_STEPS, verify_evidence

COUNT = 7
OF = 4
"""The contract that most files are about: `k-4`, with 5 yuan."""


@functools.cache
def world() -> LifeWorld:
    made = crowded(COUNT)
    made.publish_data()
    made.must("termination.requested", stream_of(OF), {"cure_until": None}, "c-1")
    made.must("refund.computed", stream_of(OF), {"as_of": "2026-01-20"}, "bank-0")
    made.must("contract.signed", "contract/other", made.signing() | {"merchant": "m-2"}, "m-2")
    made.must("prepaid.open", "contract/plain", plain(), "m-1")
    return made


def plain() -> dict[str, Any]:
    return {
        "consumer": "ab" * 32,
        "custodian": "bank-0",
        "industry": "fitness",
        "merchant": "m-1",
        "terms_hash": "cd" * 32,
    }


def examine(raw: bytes, chain: SmallChain | None = None) -> Report:
    return verify_evidence(raw, (chain or world()).chain_id)


def one() -> bytes:
    return world().liabilities(f"k-{OF}")


def several(*places: int, is_shown: bool = False) -> bytes:
    return world().liabilities(*[f"k-{place}" for place in places], is_shown=is_shown)


def test_a_consumer_sees_the_own_contract_in_the_total() -> None:
    report = examine(one())
    assert report.is_consistent, report.failed
    assert [step.number for step in report.steps] == [1, 2, 3, 4, 5, 16, 17]
    record: Any = world().record(stream_of(OF))
    assert record.owed > 0
    assert report.facts["merchant"] == "m-1"
    assert report.facts["contracts"] == COUNT
    assert report.facts["total_fen"] == {"locked": 2800, "owed": record.owed}
    assert report.facts["claims_fen"] == {"locked": 500, "owed": record.owed}
    assert report.facts["shown"] == [stream_of(OF)]
    total, claims = report.steps[-2:]
    height = world().chain.header.height
    assert total.explanation.en == (
        f"As of height {height} merchant m-1 has 7 contracts, with 28.00 yuan locked in all and at "
        "most 5.01 yuan owed in all, as far as computed."
    )
    assert claims.explanation.en == (
        "1 contract is in that total, in a place of its own and counted once: 5.00 "
        "yuan locked, at most 5.01 yuan owed. Shown: contract/k-4; the others stand under names "
        "that say nobody's."
    )


def test_a_class_is_counted_and_nobody_is_named() -> None:
    raw = several(0, 2, 3, 6)
    report = examine(raw)
    assert report.is_consistent, report.failed
    assert report.facts["claims"] == 4
    assert report.facts["claims_fen"] == {"locked": 100 + 300 + 400 + 700, "owed": 0}
    assert report.facts["shown"] == []
    said = raw + b"".join([base64.b64decode(blob) for blob in blobs_of(json.loads(raw))])
    assert b"contract/" not in said
    assert bytes.fromhex("ab" * 32) not in said


def test_who_is_shown_one_contract_learns_of_no_other() -> None:
    raw = one()
    said = raw + b"".join([base64.b64decode(blob) for blob in blobs_of(json.loads(raw))])
    assert set(re.findall(rb"contract/[a-z0-9-]+", said)) == {stream_of(OF).encode()}


def blobs_of(value: Any) -> Iterator[str]:
    """Every string of a document that is base64."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from blobs_of(inner)
    elif (
        isinstance(value, str)
        and re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", value)
        and not len(value) % 4
    ):
        yield value


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_every_contract_of_every_size_of_tree(count: int) -> None:
    made = crowded(count)
    for place in range(count):
        assert examine(made.liabilities(f"k-{place}"), made).is_consistent
    every = [f"k-{place}" for place in range(count)]
    report = examine(made.liabilities(*every, is_shown=False), made)
    assert report.facts["claims_fen"] == report.facts["total_fen"]


# Mutations

Claims = list[dict[str, Any]]


def change(raw: bytes, alter: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(raw)
    alter(document)
    return encode_canonical(document)


def claim(raw: Callable[[], bytes] = one, **changes: Any) -> Callable[[], bytes]:
    return lambda: change(raw(), lambda document: document["claims"][0].update(changes))


def path(alter: Callable[[list[bytes]], list[bytes]]) -> Callable[[], bytes]:
    def put(document: dict[str, Any]) -> None:
        nodes = [base64.b64decode(node) for node in document["claims"][0]["path"]]
        document["claims"][0]["path"] = [base64.b64encode(node).decode() for node in alter(nodes)]

    return lambda: change(one(), put)


def less(node: bytes, locked: int = 0, owed: int = 0) -> bytes:
    old = decode_node(node)
    return encode_node(old._replace(locked=old.locked - locked, owed=old.owed - owed))


def shown(**changes: Any) -> Callable[[], bytes]:
    return lambda: change(one(), lambda doc: doc["claims"][0]["shown"].update(changes))


def proven(stream: str) -> dict[str, str]:
    value = world().proven(stream)
    return {
        "proof": base64.b64encode(value.proof).decode(),
        "stream": stream,
        "value": base64.b64encode(value.value).decode(),
    }


def swap_claims(document: dict[str, Any]) -> None:
    document["claims"].reverse()


def double(document: dict[str, Any]) -> None:
    document["claims"].append(document["claims"][0])


def count_again(document: dict[str, Any]) -> None:
    """The same leaf and path once more, under another place."""
    document["claims"].append(document["claims"][0] | {"place": 6})


def move_fen(document: dict[str, Any]) -> None:
    first, second = document["claims"]
    first["locked"] += 1
    second["locked"] -= 1


def forged(stream: str, place: int, value: Any) -> Callable[[], bytes]:
    """What a dishonest quorum would state: another record, and every proof agrees."""

    def make() -> bytes:
        record = decode_stream_value(decode_stored_stream(world().memory.streams[stream]).value)
        assert record.record is not None
        changed = list(record.record)
        changed[place] = value(changed[place]) if callable(value) else value
        lying = forge(world(), records={stream: changed})
        old = json.loads(one())
        new = json.loads(
            SmallChain.liabilities(lying, f"k-{OF}", claims=[])  # the claims as they were
        )
        new["claims"] = old["claims"]
        for kind in ("contract", "signed"):
            row = lying.proven(new["claims"][0]["shown"][kind]["stream"])
            new["claims"][0]["shown"][kind] |= {
                "proof": base64.b64encode(row.proof).decode(),
                "value": base64.b64encode(row.value).decode(),
            }
        return encode_canonical(new)

    return make


def old_merchant() -> bytes:
    """The total of another height, beside claims of now."""
    early = crowded(COUNT)
    return change(
        one(),
        lambda document: document.update(merchant=json.loads(early.liabilities("k-0"))["merchant"]),
    )


LEAF_OF_NOBODY = base64.b64encode(bytes(32)).decode()
Mutation = tuple[Callable[[], bytes], int, Reason]
MUTATIONS: dict[str, Mutation] = {
    "one-fen-less-locked": (claim(locked=499), 17, Reason.BAD_PROOF),
    "one-fen-more-locked": (claim(locked=501), 17, Reason.BAD_PROOF),
    "nothing-owed": (claim(owed=0), 17, Reason.BAD_PROOF),
    "more-owed": (claim(owed=10**6), 17, Reason.BAD_PROOF),
    "amounts-exchanged": (claim(lambda: several(1), locked=0, owed=200), 17, Reason.BAD_PROOF),
    "amount-above-the-bound": (claim(locked=2**53 - 1), 17, Reason.BAD_FIELD),
    "amount-below-0": (claim(locked=-1), 1, Reason.BAD_FIELD),
    "amount-as-text": (claim(locked="500"), 1, Reason.BAD_FIELD),
    "amount-true": (claim(owed=True), 1, Reason.BAD_FIELD),
    "place-before": (claim(place=3), 17, Reason.BAD_PROOF),
    "place-after": (claim(place=5), 17, Reason.BAD_PROOF),
    "place-of-the-last": (claim(place=6), 17, Reason.BAD_PROOF),
    "place-outside": (claim(place=7), 17, Reason.BAD_PROOF),
    "place-below-0": (claim(place=-1), 1, Reason.BAD_FIELD),
    "name-of-nobody": (claim(name=LEAF_OF_NOBODY), 17, Reason.BAD_PROOF),
    "short-name": (claim(name="AAAA"), 17, Reason.BAD_FIELD),
    "name-not-base64": (claim(name="AB=="), 1, Reason.BAD_FIELD),
    "node-dropped-below": (path(lambda nodes: nodes[1:]), 17, Reason.BAD_PROOF),
    "node-dropped-above": (path(lambda nodes: nodes[:-1]), 17, Reason.BAD_PROOF),
    "no-path": (path(lambda nodes: []), 17, Reason.BAD_PROOF),
    "node-added": (path(lambda nodes: [*nodes, nodes[0]]), 17, Reason.BAD_PROOF),
    "nodes-reversed": (path(lambda nodes: nodes[::-1]), 17, Reason.BAD_PROOF),
    "node-truncated": (path(lambda nodes: [nodes[0][:-1], *nodes[1:]]), 17, Reason.MALFORMED),
    "node-hash-only": (path(lambda nodes: [nodes[0][:32], *nodes[1:]]), 17, Reason.MALFORMED),
    "boundary-shifted": (
        path(lambda nodes: [nodes[0] + nodes[1][:1], nodes[1][1:], *nodes[2:]]),
        17,
        Reason.MALFORMED,
    ),
    "neighbour-without-money": (
        path(lambda nodes: [less(nodes[0], locked=decode_node(nodes[0]).locked), *nodes[1:]]),
        17,
        Reason.BAD_PROOF,
    ),
    "neighbours-fen-moved": (
        path(lambda nodes: [less(nodes[0], locked=1, owed=-1), *nodes[1:]]),
        17,
        Reason.BAD_PROOF,
    ),
    "sum-above-the-bound": (
        path(lambda nodes: [nodes[0][:32] + b"\0\x1f" + b"\xff" * 6 + nodes[0][40:], *nodes[1:]]),
        17,
        Reason.BAD_FIELD,
    ),
    "claims-out-of-order": (
        lambda: change(several(1, 3), swap_claims),
        17,
        Reason.NOT_CANONICAL,
    ),
    "claim-twice": (lambda: change(several(1, 3), double), 17, Reason.NOT_CANONICAL),
    "claim-twice-elsewhere": (lambda: change(several(1), count_again), 17, Reason.BAD_PROOF),
    "fen-moved-between-claims": (lambda: change(several(1, 3), move_fen), 17, Reason.BAD_PROOF),
    "no-claims": (
        lambda: change(one(), lambda document: document.update(claims=[])),
        17,
        Reason.NOT_CANONICAL,
    ),
    "another-contract-shown": (
        lambda: shown(contract=proven(stream_of(3)), signed=proven(f"signed/{stream_of(3)}"))(),
        17,
        Reason.ROOT_MISMATCH,
    ),
    "rows-of-two-contracts": (
        lambda: shown(signed=proven(f"signed/{stream_of(3)}"))(),
        17,
        Reason.BAD_FIELD,
    ),
    "contract-of-another-merchant": (
        lambda: shown(contract=proven("contract/other"), signed=proven("signed/contract/other"))(),
        17,
        Reason.ROOT_MISMATCH,
    ),
    "a-plain-contract-shown": (
        lambda: shown(
            contract=proven("contract/plain"),
            signed=proven(f"signed/{stream_of(OF)}") | {"stream": "signed/contract/plain"},
        )(),
        17,
        Reason.BAD_FIELD,
    ),
    "shown-value-altered": (
        lambda: shown(contract=proven(stream_of(OF)) | {"value": proven(stream_of(3))["value"]})(),
        17,
        Reason.BAD_PROOF,
    ),
    "merchant-of-another": (
        lambda: change(one(), lambda doc: doc.update(merchant=proven("merchant/m-2"))),
        17,
        Reason.BAD_PROOF,
    ),
    "merchant-is-a-custodian": (
        lambda: change(one(), lambda doc: doc.update(merchant=proven("custodian/bank-0"))),
        16,
        Reason.BAD_FIELD,
    ),
    "merchant-is-a-contract": (
        lambda: change(one(), lambda doc: doc.update(merchant=proven(stream_of(OF)))),
        16,
        Reason.BAD_FIELD,
    ),
    "merchant-under-another-name": (
        lambda: change(
            one(),
            lambda doc: doc.update(merchant=proven("merchant/m-1") | {"stream": "merchant/m-3"}),
        ),
        16,
        Reason.BAD_PROOF,
    ),
    "merchant-of-another-height": (old_merchant, 16, Reason.BAD_PROOF),
    "other-chain": (
        lambda: crowded(2).liabilities("k-0", genesis=SmallChain(network="o.example").genesis.raw),
        2,
        Reason.WRONG_CHAIN,
    ),
    "header-of-another-height": (
        lambda: world().liabilities(
            f"k-{OF}",
            header=world().leaves[world().headers[-2].index],
            header_proof=world().proof(world().headers[-2].index),
        ),
        16,
        Reason.BAD_PROOF,
    ),
    "quorum-lies-of-the-number": (forged("merchant/m-1", 3, 6), 17, Reason.BAD_PROOF),
    "quorum-lies-of-the-sum": (
        forged("merchant/m-1", 6, lambda locked: locked - 500),
        17,
        Reason.BAD_PROOF,
    ),
    "quorum-lies-of-a-version": (forged("merchant/m-1", 1, True), 16, Reason.BAD_FIELD),
    "quorum-lies-of-the-contracts-version": (forged(stream_of(OF), 1, True), 17, Reason.BAD_FIELD),
    "quorum-lies-of-the-hash": (forged("merchant/m-1", 11, bytes(32)), 17, Reason.BAD_PROOF),
    "quorum-lies-of-a-sum-too-large": (forged("merchant/m-1", 9, 2**53), 16, Reason.BAD_FIELD),
    "quorum-lies-of-the-contract": (
        forged(stream_of(OF), 13, lambda locked: locked + 1),
        17,
        Reason.ROOT_MISMATCH,
    ),
    "quorum-lies-of-its-place": (forged(stream_of(OF), 26, 5), 17, Reason.ROOT_MISMATCH),
    "quorum-lies-of-its-merchant": (forged(stream_of(OF), 2, "m-2"), 17, Reason.ROOT_MISMATCH),
    "quorum-lies-of-its-consumer": (
        forged(f"signed/{stream_of(OF)}", 8, bytes(32)),
        17,
        Reason.ROOT_MISMATCH,
    ),
    "quorum-lies-of-what-is-due": (forged(stream_of(OF), 21, -7), 17, Reason.BAD_FIELD),
    "unknown-member": (claim(comment="see page 3"), 1, Reason.BAD_FIELD),
    "member-missing": (
        lambda: change(one(), lambda doc: doc["claims"][0].pop("shown")),
        1,
        Reason.BAD_FIELD,
    ),
    "shown-a-list": (claim(shown=[]), 1, Reason.BAD_FIELD),
    "claims-an-object": (lambda: edit(one(), claims={}), 1, Reason.BAD_FIELD),
}


def test_there_are_enough_mutations() -> None:
    assert len(MUTATIONS) >= 30


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_refused(name: str) -> None:
    make, number, reason = MUTATIONS[name]
    report = examine(make())
    failed = report.failed
    assert failed is not None, name
    assert (failed.number, failed.reason) == (number, reason), failed.explanation.en
    after = report.steps[report.steps.index(failed) + 1 :]
    assert all(step.result is Result.NOT_RUN for step in after)


def test_every_bit_of_a_claim_counts() -> None:
    """Names, amounts and paths: no flipped bit of one claim verifies."""
    raw = several(2)
    document = json.loads(raw)
    blobs = [("name", None), *[("path", at) for at in range(len(document["claims"][0]["path"]))]]
    for member, at in blobs:
        held = document["claims"][0][member]
        blob = base64.b64decode(held if at is None else held[at])
        for bit in range(0, len(blob) * 8, 7):
            flipped = bytearray(blob)
            flipped[bit // 8] ^= 1 << bit % 8
            text = base64.b64encode(flipped).decode()
            new = text if at is None else [*held[:at], text, *held[at + 1 :]]
            spoilt = change(raw, lambda doc, m=member, n=new: doc["claims"][0].update({m: n}))
            assert not examine(spoilt).is_consistent, (member, at, bit)


def test_the_sentence_of_a_claim_that_is_not_its_contracts() -> None:
    step = examine(MUTATIONS["another-contract-shown"][0]()).failed
    assert step is not None
    assert step.explanation.en == (
        "The claim at place 4 has place 4, and the record of contract/k-3 has 3."
    )
    assert step.explanation.zh == "第 4 位的 place 为 4，而 contract/k-3 的记录为 3。"


def test_the_steps_are_those_of_other_files_and_two_more() -> None:
    assert [number for number, _, _ in LIABILITY_STEPS] == [2, 3, 4, 5, 16, 17]


def test_a_leaf_is_what_the_document_says() -> None:
    node = compute_leaf(bytes(32), 5, 7)
    assert decode_node(node)[1:] == (5, 7)
