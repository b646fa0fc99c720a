"""Attestations: what another party says later of a transaction already on the chain.

An envelope carries exactly the signatures its body names, so a signature that comes later is a
record of its own, in the same stream. Confirming, objecting and reversing are different facts and
stay different. Whether the transaction named is there, and where, anyone sees in the stream
itself, whose record is complete.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from contracts.custody import ContractRecord, read_static
from contracts.handling import Context, Refusal
from contracts.parties import HexKey, Word
from contracts.prepaid import PrepaidRecord
from contracts.room import check_room
from contracts.scope import check_scope
from ledger.transaction import Outcome, applied

STATEMENTS: Final = ("confirmed", "objected", "reversed", "witnessed")
"""What may be said of an entry; each stays a fact of its own."""


class AttestData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`attest`, in the stream of the transaction it speaks of."""

    statement: Word
    tx_id: HexKey
    note_hash: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$(?!\n)")] = ""
    """SHA-256 of a document kept elsewhere, if there is one."""


def apply_attest(context: Context, data: AttestData) -> Outcome:
    """Record a party's later statement; parties of the contract and institutions may make one."""
    if data.statement not in STATEMENTS:
        raise Refusal("unknown_statement", ("statement", data.statement))
    record = context.record
    if not isinstance(record, PrepaidRecord | ContractRecord):
        raise Refusal("unknown_contract", ("stream", context.stream))
    own = (record.merchant, record.custodian, record.consumer_party)
    for signer in context.signers:
        party = context.party(signer)
        if signer in own:
            continue
        if party is None or not party.is_institution:
            raise Refusal("not_entitled", ("signer", signer))
        merchant = context.party(record.merchant)
        district = "" if merchant is None else merchant.district
        check_scope(context, signer, district, (_find_industry(context, record),))
    if isinstance(record, ContractRecord):
        check_room(context, record)
    return applied(("statement", data.statement), ("tx_id", data.tx_id))


def _find_industry(context: Context, record: PrepaidRecord | ContractRecord) -> str:
    if isinstance(record, PrepaidRecord):
        return record.industry
    return read_static(context).industry
