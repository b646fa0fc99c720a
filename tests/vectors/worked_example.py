"""One worked example of every format, with fixed keys, made by the ledger itself.

A yoga studio's card: registered, opened, paid with the bank's confirmation, and used. The seed of
every key is the SHA-256 of `<network> <id> <purpose>`, so that anybody can make the same bytes.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import msgspec

from contracts.prepaid import compute_consumer_commitment
from ledger.block import compute_block_hash, encode_header
from ledger.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    cosigner_verifier_key,
    log_verifier_key,
)
from ledger.disclosure import (
    FIELDS,
    compute_commitment,
    disclose,
    encode_disclosure,
    make_fields,
)
from ledger.equivocation import (
    Amnesia,
    CheckpointFork,
    CosignedTree,
    Equivocation,
    ViewChangeEquivocation,
    VoteEquivocation,
    encode_equivocation,
)
from ledger.hashing import sha256
from ledger.merkle import compute_root, consistency_proof, leaf_hash
from ledger.note import parse_note
from ledger.receipt import batch_receipt_form, encode_receipt, sign_batch_receipt, sign_receipt
from ledger.state_tree import encode_state_proof
from ledger.stream import compute_state_key, compute_value_hash
from ledger.tlog_policy import format_tlog_policy
from ledger.transaction import (
    compute_batch_message,
    compute_signed_message,
    compute_tx_id,
    decode_transaction,
    sign_batch,
)
from ledger.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    PreparedClaim,
    ViewClaim,
    Vote,
    compute_view_change_message,
    compute_vote_message,
)
from tests.contracts.world import World, terms
from tests.verifier.small_chain import signer

NETWORK = "example.evidence.test"
CARD = "contract/yoga-0001"
CONSUMER_ID = "consumer-1"
CONSUMER_SALT = sha256(b"salt of yoga-0001")[:16]
PRIVATE_VALUES = {"name": "示例消费者", "phone": "00000000000"}
PRIVATE_FIELDS = make_fields(
    PRIVATE_VALUES, [sha256(f"salt of yoga-0001 {name}".encode())[:16] for name in FIELDS]
)
INTAKE_HEIGHTS = 10


@dataclass(frozen=True)
class Example:
    """The chain, and the transactions that stand for their formats."""

    world: World
    opening: bytes
    """Body of `prepaid.open`."""
    paying: bytes
    """Body that two parties sign, each for itself."""
    batch: list[bytes]
    """Three bodies under one signature."""
    envelopes: list[bytes]
    """Of height 3: `paying`, then `batch`."""


def make_example() -> Example:
    """Run the example's three blocks."""
    world = World(network=NETWORK)

    def body(kind: str, stream: str, data: dict[str, Any], *signers: str, reference: str) -> bytes:
        salt = base64.urlsafe_b64encode(sha256(reference.encode())[:16]).rstrip(b"=").decode()
        return world.body(kind, stream, data, *signers, reference=reference, salt=salt)

    key = world.key("m-yoga").public_key.hex()
    merchant = {"district": "futian", "keys": [key], "party": "m-yoga", "role": "merchant"}
    registering = body("party.register", "party/m-yoga", merchant, "bank-0", reference="KYC-17")
    world.commit(world.signed(registering, "bank-0"))
    opening = body(
        "prepaid.open",
        CARD,
        terms(
            attesters={
                "consume": ["merchant"],
                "prepay": ["merchant", "custodian"],
                "refund": ["merchant"],
            },
            consumer=compute_consumer_commitment(CONSUMER_SALT, CONSUMER_ID).hex(),
            merchant="m-yoga",
            terms_hash=sha256("团课 × 20".encode()).hex(),
        ),
        "m-yoga",
        reference="20260101-0001",
    )
    world.commit(world.signed(opening, "m-yoga"))
    paying = body(
        "prepaid.prepay",
        CARD,
        {"amount": 198_000, "channel": "ecny", "item": "团课 × 20"},
        "m-yoga",
        "bank-1",
        reference="20260101-0002",
    )
    batch = [
        body(kind, CARD, data, "m-yoga", reference=f"20260101-000{number}")
        for number, kind, data in (
            (3, "prepaid.consume", {"amount": 9_900, "item": "团课", "units": 1}),
            (4, "prepaid.consume", {"amount": 200_000, "item": "团课"}),
            (5, "prepaid.refund", {"amount": 100, "channel": "ecny"}),
        )
    ]
    envelopes = [
        world.signed(paying, "m-yoga", "bank-1"),
        *sign_batch(batch, world.chain_id, world.key("m-yoga")),
    ]
    world.commit(*envelopes)
    return Example(world, opening, paying, batch, envelopes)


def compute_vectors(example: Example) -> dict[str, dict[str, Any]]:
    """Return every format of the example: names, hex, and text where it is text."""
    world = example.world
    chain_id, header = world.chain_id, world.chain.header
    header_bytes = encode_header(header)
    block_hash = compute_block_hash(header_bytes)
    first = header.first_index
    paid_id = compute_tx_id(example.paying)
    ids = [compute_tx_id(body) for body in example.batch]
    leaves = [leaf_hash(tx_id) for tx_id in ids]
    state, absent = world.proven(CARD), compute_state_key("contract/yoga-0002")
    party = world.proven("party/m-yoga")
    note = world.note()
    size = len(world.leaves)
    checkpoint = Checkpoint(
        world.genesis.origin, size, compute_root([leaf_hash(leaf) for leaf in world.leaves])
    )
    lines = {(line.name, line.key_id): line for line in parse_note(note).signatures}
    origin = world.genesis.origin
    log_key = log_verifier_key(origin, signer(f"{NETWORK} bank-0 log").public_key)
    cosigner = cosigner_verifier_key(
        f"{origin}/bank-1", signer(f"{NETWORK} bank-1 cosign").public_key
    )
    log_line = lines[(log_key.name, log_key.key_id)]
    cosigner_line = lines[(cosigner.name, cosigner.key_id)]
    bank = world.key("bank-0")
    promise = {"received_ms": header.time_ms - 500, "height_max": 2 + INTAKE_HEIGHTS}
    receipt = sign_receipt(bank, "bank-0", chain_id, paid_id, **promise)
    receipts = sign_batch_receipt(bank, "bank-0", chain_id, ids, **promise)
    votes = {
        name: compute_vote_message(phase, chain_id, 3, 0, block_hash).hex()
        for name, phase in (("pre_prepare", PRE_PREPARE), ("prepare", PREPARE), ("commit", COMMIT))
    }
    return {
        "genesis": {
            "document": world.genesis.raw.decode(),
            "chain_id": chain_id.hex(),
            "origin": origin,
            "validators_hash": world.genesis.validators.hash.hex(),
            "entry": world.leaves[0].hex(),
            "header_entry": world.leaves[1].hex(),
        },
        "consumer": {
            "salt": CONSUMER_SALT.hex(),
            "consumer_id": CONSUMER_ID,
            "commitment": compute_consumer_commitment(CONSUMER_SALT, CONSUMER_ID).hex(),
        },
        "private": {
            "fields": [[one.name, one.salt.hex(), one.value] for one in PRIVATE_FIELDS],
            "root": compute_root([one.compute_leaf_hash() for one in PRIVATE_FIELDS]).hex(),
            "commitment": compute_commitment("yoga-0001", PRIVATE_FIELDS).hex(),
            "disclosure": encode_disclosure(
                disclose("yoga-0001", PRIVATE_FIELDS, ["guardian_name", "phone"])
            ).decode(),
        },
        "transaction": {
            "body": example.paying.decode(),
            "tx_id": paid_id.hex(),
            "signed": compute_signed_message(chain_id, paid_id).hex(),
            "envelope": example.envelopes[0].hex(),
            "envelope_hash": decode_transaction(example.envelopes[0]).envelope_hash.hex(),
            "reference_key": decode_transaction(example.envelopes[0]).reference_key.hex(),
            "submission": submission_of(example.envelopes[0]),
        },
        "batch": {
            "bodies": [body.decode() for body in example.batch],
            "tx_ids": [tx_id.hex() for tx_id in ids],
            "leaf_hashes": [leaf.hex() for leaf in leaves],
            "root": compute_root(leaves).hex(),
            "signed": compute_batch_message(chain_id, compute_root(leaves), len(leaves)).hex(),
            "envelopes": [envelope.hex() for envelope in example.envelopes[1:]],
            "submission": submission_of(example.envelopes[1]),
        },
        "block": {
            "transaction_entries": [
                world.leaves[index].hex() for index in range(first, header.index)
            ],
            "header": header_bytes.hex(),
            "block_hash": block_hash.hex(),
            "header_entry": world.leaves[header.index].hex(),
        },
        "log": {"entries": [entry.hex() for entry in world.leaves]},
        "state": {
            "root": header.state_root.hex(),
            "contract": {
                "stream": CARD,
                "key_hash": compute_state_key(CARD).hex(),
                "value": state.value.hex(),
                "value_hash": compute_value_hash(state.value).hex(),
                "proof": state.proof.hex(),
            },
            "party": {
                "stream": "party/m-yoga",
                "key_hash": compute_state_key("party/m-yoga").hex(),
                "value": party.value.hex(),
                "value_hash": compute_value_hash(party.value).hex(),
                "proof": party.proof.hex(),
            },
            "absent": {
                "stream": "contract/yoga-0002",
                "key_hash": absent.hex(),
                "proof": encode_state_proof(world.chain.tree.prove(absent)).hex(),
            },
        },
        "votes": votes
        | {"certificate": world.certificate(header).hex()},
        "evidence": {
            name: encode_equivocation(evidence).hex()
            for name, evidence in equivocate(world, block_hash).items()
        },
        "checkpoint": {
            "text": checkpoint.text(),
            "note": note.decode(),
            "log_vkey": log_key.format(),
            "log_line": format_line(log_line),
            "cosigner_vkey": cosigner.format(),
            "cosigner_line": format_line(cosigner_line),
            "cosigned": f"cosignature/v1\ntime {read_time(cosigner_line)}\n{checkpoint.text()}",
            "proof": world.proof(first + 1, note).decode(),
            "policy": format_policy(world),
        },
        "receipts": {
            "signed": (
                b"evidence-ledger/v1/intake-receipt\0" + chain_id + paid_id
                + promise["received_ms"].to_bytes(8, "big")
                + promise["height_max"].to_bytes(8, "big")
            ).hex(),
            "receipt": encode_receipt(receipt).decode(),
            "batch_receipt": to_json(batch_receipt_form(receipts)),
        },
    }  # fmt: skip


def equivocate(world: World, block_hash: bytes) -> dict[str, Equivocation]:
    """Every way in which bank 3 could contradict itself about height 3."""
    chain_id, other = world.chain_id, bytes([0xEE]) * 32
    key = signer(f"{NETWORK} bank-3 vote")

    def commit(named: bytes) -> Vote:
        message = compute_vote_message(COMMIT, chain_id, 3, 0, named)
        return Vote(COMMIT, 3, 0, named, 3, key.sign(message))

    def change(claim: PreparedClaim | None) -> ViewClaim:
        message = compute_view_change_message(chain_id, 3, 1, claim)
        return ViewClaim(3, 1, claim, 3, key.sign(message))

    def cosign(size: int, root: bytes) -> CosignedTree:
        name = f"{world.genesis.origin}/bank-3"
        checkpoint = Checkpoint(world.genesis.origin, size, root)
        cosigner = signer(f"{NETWORK} bank-3 cosign")
        line = cosign_checkpoint(checkpoint, name, cosigner, world.chain.header.time_ms // 1000)
        return CosignedTree(size, root, line.signature)

    leaves = [leaf_hash(leaf) for leaf in world.leaves]
    size = world.chain.header.first_index
    return {
        "two_votes": VoteEquivocation.of(commit(block_hash), commit(other)),
        "two_view_changes": ViewChangeEquivocation.of(
            change(None), change(PreparedClaim(0, block_hash))
        ),
        "amnesia": Amnesia(commit(block_hash), change(None)),
        "fork": CheckpointFork(
            3,
            world.genesis.origin,
            cosign(size, other),
            cosign(len(leaves), compute_root(leaves)),
            compute_root(leaves[:size]),
            tuple(consistency_proof(leaves, size)),
        ),
    }


def submission_of(envelope: bytes) -> dict[str, Any]:
    """Return the JSON form of an envelope, as a client posts it."""
    read = decode_transaction(envelope).envelope
    signatures: list[dict[str, Any]] = []
    for each in read.signatures:
        form: dict[str, Any] = {
            "public_key": each.public_key.hex(),
            "signature": each.signature.hex(),
        }
        if each.batch is not None:
            form["batch"] = {
                "index": each.batch.index,
                "size": each.batch.size,
                "path": [node.hex() for node in each.batch.hashes],
            }
        signatures.append(form)
    return {"body": read.body.decode(), "signatures": signatures}


def format_line(line: Any) -> str:
    """Return a signature line of a note."""
    blob = base64.b64encode(line.key_id + line.signature).decode()
    return f"— {line.name} {blob}"


def read_time(line: Any) -> int:
    """Return the time a cosignature begins with, in seconds."""
    return int.from_bytes(line.signature[:8], "big")


def format_policy(world: World) -> str:
    """Return the network's tlog-policy."""
    origin = world.genesis.origin
    keys = [
        log_verifier_key(origin, validator.log_key)
        for validator in world.genesis.validators.validators
    ]
    witnesses = [
        (validator.id, cosigner_verifier_key(f"{origin}/{validator.id}", validator.cosign_key))
        for validator in world.genesis.validators.validators
    ]
    return format_tlog_policy(keys, witnesses, world.genesis.validators.quorum)


def to_json(form: Any) -> str:
    """Return a form's canonical JSON."""
    return msgspec.json.encode(form, order="sorted").decode()
