"""A chain with a registered statement, and a Transparent Statement whose every part can be bent."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
import msgpack

from ledger.cose_receipt import sign_cose_receipt
from ledger.merkle import compute_root, inclusion_proof, leaf_hash
from ledger.scitt import (
    EVIDENCE,
    RECEIPTS,
    SIGN1,
    compute_key_thumbprint,
    compute_sign1_message,
    format_issuer,
    format_subject,
)
from ledger.signing import SeedSigner
from ledger.transaction import compute_tx_id
from tests.verifier.small_chain import SmallChain, signer

PAYLOAD = "2026年3月验收：共到课 12 次。".encode()
CARD = "contract/card-1"


@dataclass
class Signed:
    """A COSE_Sign1 in its parts; `encode` signs what `header` says unless it is told otherwise."""

    header: dict[Any, Any]
    payload: bytes | None
    key: SeedSigner
    unprotected: dict[Any, Any] = field(default_factory=dict)
    signature: bytes | None = None
    protected: bytes | None = None
    """Instead of the header's own bytes."""
    tag: int = SIGN1

    def copy(self) -> Signed:
        """The same, to be bent; a key is never copied."""
        members = vars(self) | {
            "header": copy.deepcopy(self.header),
            "unprotected": dict(self.unprotected),
        }
        return Signed(**members)

    def encode(self) -> bytes:
        protected = self.protected
        if protected is None:
            protected = cbor2.dumps(self.header, canonical=True)
        signature = self.signature
        if signature is None:
            signature = self.key.sign(compute_sign1_message(protected, self.payload or b""))
        parts = [protected, self.unprotected, self.payload, signature]
        return cbor2.dumps(cbor2.CBORTag(self.tag, parts), canonical=True)


def statement_of(chain: SmallChain, party: str, about: bytes) -> Signed:
    """A statement of `party` about a transaction."""
    key = chain.key(party)
    return Signed(
        {
            1: -8,
            3: "text/plain; charset=utf-8",
            4: compute_key_thumbprint(key.public_key),
            15: {
                1: format_issuer(chain.genesis.origin, party),
                2: format_subject(about.hex()),
            },
        },
        PAYLOAD,
        key,
    )


def receipt_of(chain: SmallChain, index: int, tx_id: bytes, institution: str = "bank-0") -> bytes:
    """A receipt of the entry at `index` of the whole log, as a node gives it."""
    leaves = [leaf_hash(leaf) for leaf in chain.leaves]
    return sign_cose_receipt(
        root=compute_root(leaves),
        size=len(leaves),
        index=index,
        path=inclusion_proof(leaves, index),
        issuer=format_issuer(chain.genesis.origin, institution),
        subject=format_subject(tx_id.hex()),
        signer=signer(f"{chain.network} {institution} log"),
    )


@dataclass
class Registered:
    """A statement, the entry that registered it, and what a client has collected of it."""

    chain: SmallChain
    statement: Signed
    tx_id: bytes
    """Of the attest."""
    index: int
    signers: tuple[str, ...]

    def transparent(
        self, receipts: Sequence[bytes] | None = None, evidence: bytes | None = None
    ) -> bytes:
        if receipts is None:
            names = ("bank-0", "bank-2")
            receipts = [receipt_of(self.chain, self.index, self.tx_id, one) for one in names]
        if evidence is None:
            evidence = self.chain.transaction(self.index, self.signers).encode()
        made = self.statement.copy()
        made.unprotected = {RECEIPTS: list(receipts), EVIDENCE: evidence}
        return made.encode()


def registered_bytes(statement: Signed) -> bytes:
    """What is registered: the statement with an empty unprotected header."""
    bare = statement.copy()
    bare.unprotected = {}
    return bare.encode()


def card_chain() -> tuple[SmallChain, bytes]:
    """A card with a prepayment; also the id of that transaction, of which statements speak."""
    made = SmallChain()
    for party, role in (("m-1", "merchant"), ("m-2", "merchant")):
        data = {"keys": [made.key(party).public_key.hex()], "party": party, "role": role}
        made.commit(made.submit("party.register", f"party/{party}", data, "bank-0"))
    opening = {
        "consumer": "ab" * 32,
        "custodian": "bank-1",
        "industry": "fitness",
        "merchant": "m-1",
        "terms_hash": "cd" * 32,
    }
    made.commit(made.submit("prepaid.open", CARD, opening, "m-1"))
    made.commit(made.submit("prepaid.prepay", CARD, {"amount": 100}, "m-1", "bank-1"))
    return made, made.chain.stream(CARD).newest


def register(
    chain: SmallChain,
    statement: Signed,
    about: bytes,
    *signers: str,
    note_hash: str | None = None,
    kind: str = "attest",
    stream: str = CARD,
) -> Registered:
    """Put the attest of a statement on the chain."""
    digest = sha256(registered_bytes(statement)).hexdigest()
    data: dict[str, Any] = {
        "note_hash": digest if note_hash is None else note_hash,
        "statement": "witnessed",
        "tx_id": about.hex(),
    }
    chain.commit(chain.submit(kind, stream, data, *signers))
    chain.commit()
    index = chain.indices_of(stream)[-1]
    body = msgpack.unpackb(chain.leaves[index])[3][0]
    return Registered(chain, statement, compute_tx_id(body), index, signers)


@functools.cache
def good() -> Registered:
    """A merchant's statement about a prepayment."""
    chain, about = card_chain()
    return register(chain, statement_of(chain, "m-1", about), about, "m-1")
