"""Submitting what convicts a validator: two contradictory votes, as an ordinary transaction.

Everything in it follows from the evidence and the chain (the salt too), so the same node that finds
the same proof again makes the same body again, and a repeat is recognised as one.
"""

from __future__ import annotations

from contracts.equivocation import slot_name, validator_stream
from genesis.document import Genesis
from ledger import tags
from ledger.block import Header
from ledger.hashing import tagged_hash
from ledger.signing import Signer
from ledger.transaction import encode_body, sign_transaction
from ledger.votes import Equivocation, encode_equivocation


def make_conviction(
    equivocation: Equivocation,
    genesis: Genesis,
    header: Header,
    *,
    replica: int,
    party: Signer,
    now_ms: int,
) -> bytes:
    """Return the envelope in which institution `replica` reports an equivocation.

    Its `not_after` is near the chain's own time, so that a wrong clock here does not make it
    inadmissible elsewhere.
    """
    evidence = encode_equivocation(equivocation)
    window_ms = genesis.parameters.replay_window_ms
    near_ms = min(max(now_ms, header.time_ms), header.time_ms + window_ms // 2)
    body = encode_body(
        data={"evidence": evidence.hex()},
        kind="validator.equivocation",
        not_after=near_ms + window_ms // 2,
        reference=f"equivocation/{equivocation.replica}/{slot_name(equivocation)}"[:64],
        salt=tagged_hash(tags.REFERENCE, evidence).hex()[:43],
        signers=[genesis.institutions[replica].id],
        stream=validator_stream(genesis.validators[equivocation.replica].id),
        version=1,
    )
    return sign_transaction(body, genesis.chain_id, [party])
