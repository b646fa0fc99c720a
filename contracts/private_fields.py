"""`private.committed`: the commitment to a contract's private fields, put on the chain.

The fields themselves are with the custodian (`ledger.disclosure` says how they are committed to).
A commitment may also stand where a consumer's plain one does, in `prepaid.open` or among the
`persons` of `contract.signed`; this kind is for a contract that was signed without one, and for a
correction, which is a new record and names the entry whose commitment it replaces. Nothing moves
and nothing is compared: which commitment is the newest, anyone sees in the stream.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from contracts.custody import ContractRecord
from contracts.handling import Context, Refusal
from contracts.parties import HexKey
from contracts.prepaid import PrepaidRecord
from ledger.transaction import Outcome, applied

COMMITTED: Final = "private.committed"
COMMITTING: Final = ("prepaid.open", "contract.signed", COMMITTED)
"""Kinds whose entries may hold a commitment, and so may be replaced."""


class CommittedData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`private.committed`, in the contract's own stream, signed by the custodian."""

    commitment: HexKey
    """`ledger.disclosure.compute_commitment`."""
    of: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$(?!\n)")] = ""
    """Transaction whose commitment this one replaces, if it does."""


def apply_committed(context: Context, data: CommittedData) -> Outcome:
    """Record a commitment of the custodian's; others of the contract may sign as well.

    What it replaces is looked at while every node has the contract's entries at hand
    (`contracts.lookback`); of a plain contract and of one that is over it is the custodian's word,
    which whoever has the whole record can check.
    """
    record = context.record
    if not isinstance(record, PrepaidRecord | ContractRecord):
        raise Refusal("unknown_contract", ("stream", context.stream))
    own = (record.merchant, record.custodian, record.consumer_party)
    for signer in context.signers:
        if signer not in own:
            raise Refusal("not_entitled", ("signer", signer))
    if record.custodian not in context.signers:
        raise Refusal("missing_attester", ("role", "custodian"), ("party", record.custodian))
    if not data.of:
        return applied(("commitment", data.commitment))
    if isinstance(record, ContractRecord) and not record.is_over_at(context.time_ms):
        _check_replaced(context, data)
    return applied(("commitment", data.commitment), ("of", data.of))


def _check_replaced(context: Context, data: CommittedData) -> None:
    replaced = context.find(bytes.fromhex(data.of))
    if replaced is None or replaced.stream != context.stream or replaced.refused:
        raise Refusal("unknown_entry", ("of", data.of))
    if replaced.kind not in COMMITTING:
        raise Refusal(
            "wrong_entry",
            ("of", data.of),
            ("kind", replaced.kind),
            ("expected", " ".join(COMMITTING)),
        )
