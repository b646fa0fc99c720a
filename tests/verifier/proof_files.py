"""Files of the newer kinds on a chain in memory: consistency, state, record, equivocation."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from contracts.questions import Question, Row, find_promise, find_span, read_question, to_member
from ledger.block import TransactionEntry, decode_entry
from ledger.evidence import (
    ProvenBlock,
    StateClaim,
    contract_stream,
    encode_consistency_evidence,
    encode_record_evidence,
    encode_state_evidence,
)
from ledger.merkle import consistency_proof, inclusion_proof, leaf_hash
from ledger.merkle_range import range_proof
from ledger.receipt import receipt_form, sign_receipt
from ledger.state_tree import encode_state_proof
from ledger.stream import compute_state_key
from ledger.transaction import compute_tx_id, read_head
from tests.contracts.life_world import CARD, PERSONS, LifeWorld, hash_of, load, paid_world
from tests.verifier.small_chain import BLOCK_MS, START_MS, SmallChain, busy_chain

DAY_MS = 86_400_000


def hashes_of(leaves: Sequence[bytes]) -> list[bytes]:
    return [leaf_hash(leaf) for leaf in leaves]


def size_at(chain: SmallChain, height: int) -> int:
    return chain.headers[height].index + 1


def consistency(
    chain: SmallChain | None = None,
    older_height: int = 2,
    newer_height: int = 5,
    **changes: Any,
) -> bytes:
    """The tree of one height is the beginning of that of a later one."""
    chain = chain or busy_chain()
    sizes = size_at(chain, older_height), size_at(chain, newer_height)
    members: dict[str, Any] = {
        "genesis": chain.genesis.raw,
        "older": chain.note(chain.leaves[: sizes[0]]),
        "newer": chain.note(chain.leaves[: sizes[1]]),
        "path": consistency_proof(hashes_of(chain.leaves), *sizes),
    }
    return encode_consistency_evidence(**(members | changes))


def claim(chain: SmallChain, stream: str) -> StateClaim:
    """What the newest state says of a stream, be it nothing."""
    proof = encode_state_proof(chain.chain.tree.prove(compute_state_key(stream)))
    if stream not in chain.memory.streams:
        return StateClaim(stream, None, proof)
    return StateClaim(stream, chain.proven(stream).value, proof)


def state(
    chain: SmallChain | None = None, stream: str = "contract/card-1", **changes: Any
) -> bytes:
    chain = chain or busy_chain()
    newest = chain.headers[-1]
    members: dict[str, Any] = {
        "genesis": chain.genesis.raw,
        "header": chain.leaves[newest.index],
        "header_proof": chain.proof(newest.index),
        "state": claim(chain, stream),
    }
    return encode_state_evidence(**(members | changes))


def rows_of(chain: SmallChain, stream: str) -> list[Row]:
    rows = []
    for index in chain.indices_of(stream):
        header = next(h for h in chain.headers if h.first_index <= index < h.index)
        rows.append(Row(header.time_ms, compute_tx_id(body_of(chain, index))))
    return rows


def body_of(chain: SmallChain, index: int) -> bytes:
    entry = decode_entry(chain.leaves[index])
    assert isinstance(entry, TransactionEntry)
    return entry.envelope.body


def block_of(chain: SmallChain, height: int) -> ProvenBlock:
    index = chain.headers[height].index
    path = inclusion_proof(hashes_of(chain.leaves), index)
    return ProvenBlock(chain.leaves[index], tuple(path))


def record(
    chain: SmallChain,
    question: dict[str, Any],
    contract: str = "card-1",
    span: tuple[int, int] | None = None,
    heights: Sequence[int] | None = None,
    **changes: Any,
) -> bytes:
    """The part of a contract's record that answers a question, as a node makes it."""
    stream = contract_stream(contract)
    asked: Question = read_question(msgspec.json.encode(question))
    indices = chain.indices_of(stream)
    newest = chain.headers[-1]
    if span is None:
        span = find_span(
            asked,
            rows_of(chain, stream),
            newest.time_ms,
            lambda place: json.loads(body_of(chain, indices[place]))["data"],
        )
    first, end = span
    chosen = indices[first:end]
    promise = find_promise(asked)
    signers = {s for index in chosen for s in read_head(body_of(chain, index)).signers}
    own = {h.height for h in chain.headers for i in chosen if h.first_index <= i < h.index}
    if promise is not None:
        own.add(promise[0])
        signers |= set(promise[1])
    leaves = hashes_of([chain.leaves[index] for index in indices])
    members: dict[str, Any] = {
        "contract": contract,
        "genesis": chain.genesis.raw,
        "header": chain.leaves[newest.index],
        "header_proof": chain.proof(newest.index),
        "state": claim(chain, stream),
        "first": first,
        "entries": [chain.leaves[index] for index in chosen],
        "range_": range_proof(leaves, first, end) if chosen else [],
        "blocks": [
            block_of(chain, height)
            for height in (sorted(own) if heights is None else heights)
            if height < len(chain.headers)
        ],
        "parties": chain.parties(signers),
        "question": to_member(asked),
    }
    return encode_record_evidence(**(members | changes))


def at(height: int) -> int:
    """Time of a height's block on the small chain."""
    return START_MS + height * BLOCK_MS


def window(from_height: int, until_height: int, *kinds: str) -> dict[str, Any]:
    """Everything from the block of one height to before that of another."""
    return {
        "ask": "window",
        "from": at(from_height),
        "kinds": sorted(kinds),
        "until": at(until_height),
    }


@functools.cache
def life_chain() -> SmallChain:
    """The whole life of `live_to`."""
    return live_to(10)


def live_to(height: int) -> SmallChain:
    """A contract under terms on the small chain: paid, a price changed, delivered, records asked.

    Heights: 1 parties, 2 terms, 3 signed, 4 paid, 5 delivered, 6 price changed, 7 records
    requested until the end of that day, 8 delivered, 9 and 10 on the next day.
    """
    chain = SmallChain(roles=("bank", "regulator", "regulator", "district"))

    def register(party: str, role: str) -> bytes:
        data = {"keys": [chain.key(party).public_key.hex()], "party": party, "role": role}
        return chain.submit("party.register", f"party/{party}", data, "bank-0")

    chain.commit(register("m-1", "merchant"), register("c-1", "consumer"))
    terms = load("terms/hair-card.v1.json")
    chain.commit(chain.submit("terms.publish", "terms/hair-card", {"document": terms}, "m-1"))
    signing = {
        "card": "named",
        "consumer_party": "c-1",
        "custodian": "bank-0",
        "merchant": "m-1",
        "persons": PERSONS,
        "prompted": [],
        "terms": hash_of(terms),
    }
    locked = {
        "account": None,
        "amount": 100_000,
        "bonus": 0,
        "channel": "ecny",
        "custody": "held",
        "vouchers": [],
    }
    delivered = {"debited": 2_000, "item": "cut", "units": 1}
    chain.commit(chain.submit("contract.signed", CARD, signing, "m-1", "c-1"))
    chain.commit(chain.submit("funds.locked", CARD, locked, "bank-0"))
    chain.commit(
        chain.submit("service.delivered", CARD, delivered, "m-1"),
        chain.submit("funds.released", CARD, {"amount": 2_000}, "bank-0"),
    )
    chain.commit(chain.submit("price.changed", CARD, {"item": "cut", "price": 2_500}, "m-1"))
    chain.commit(chain.submit("records.requested", CARD, {"until": "2026-01-01"}, "c-1"))
    if height == 7:
        return chain
    chain.commit(chain.submit("service.delivered", CARD, delivered, "m-1"))
    chain.step_ms = DAY_MS
    chain.commit(chain.submit("service.delivered", CARD, delivered, "m-1"))
    chain.step_ms = BLOCK_MS
    chain.commit()
    return chain


def tx_of(chain: SmallChain, place: int, stream: str = CARD) -> str:
    """Id of the entry at a place of a stream's record."""
    return rows_of(chain, stream)[place].tx_id.hex()


def receipt(
    chain: SmallChain, tx_id: bytes, height_max: int, node: str = "bank-1", **changes: Any
) -> dict[str, Any]:
    """A node's promise in its JSON form."""
    made = sign_receipt(
        chain.key(node),
        node,
        chain.chain_id,
        tx_id,
        received_ms=START_MS + 5,
        height_max=height_max,
    )
    form: dict[str, Any] = msgspec.to_builtins(receipt_form(made))
    return form | changes


def base64_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@functools.cache
def custody_chain() -> LifeWorld:
    """1,000 yuan locked with bank-0, which says of m-1's that 900 are there, then of all that 1,000
    are; heights: 5 and 6."""
    world = paid_world()
    stream = "custodian/bank-0"
    world.must("custody.stated", stream, {"balance": 90_000, "merchant": "m-1"}, "bank-0")
    world.must("custody.stated", stream, {"balance": 100_000}, "g-1")
    return world


def custody(number: int, chain: SmallChain | None = None) -> bytes:
    """The transaction file of a statement of `custody_chain`."""
    chain = chain or custody_chain()
    index = chain.indices_of("custodian/bank-0")[number - 1]
    parts = chain.transaction(index, [["bank-0"], ["g-1"]][number - 1])
    header = next(header for header in chain.headers if header.first_index <= index < header.index)
    parts.certificate = chain.certificate(header, range(4))
    return parts.encode()
