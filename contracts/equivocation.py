"""Equivocation on the record: a validator signed two things that cannot both be honest.

Whoever holds both statements submits them as an ordinary transaction in the stream
`validator/<id>`. The two signatures prove themselves (`ledger.equivocation`), so it does not matter
who submits them; a proof is recorded once per validator and slot.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from contracts.handling import Context, Refusal
from ledger.equivocation import decode_equivocation
from ledger.refusal import Rejected
from ledger.transaction import Outcome, applied

EVIDENCE_HEX_MAX: Final = 6144
"""Two cosigned trees of about 120 bytes and a consistency proof of at most 64 hashes, in hex."""

SLOTS_MAX: Final = 128
"""Slots remembered per validator: whoever lied so often is known as a liar."""


class EquivocationData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`validator.equivocation`, in the stream of the validator it convicts."""

    evidence: Annotated[
        str, msgspec.Meta(pattern=r"^([0-9a-f]{2})+$(?!\n)", max_length=EVIDENCE_HEX_MAX)
    ]
    """MessagePack of `ledger.equivocation.Equivocation`, in hex."""


class ValidatorRecord(msgspec.Struct, frozen=True, array_like=True, tag="validator", gc=False):
    """What is proven against a validator: the slots in which it equivocated."""

    slots: list[str]


def validator_stream(validator: str) -> str:
    """Return the stream under which a validator's equivocations are kept."""
    return f"validator/{validator}"


def apply_equivocation(context: Context, data: EquivocationData) -> Outcome:
    """Record a proof of equivocation, once per validator and slot."""
    try:
        evidence = decode_equivocation(bytes.fromhex(data.evidence))
        evidence.verify(context.validators, context.chain_id)
    except Rejected as rejected:
        raise Refusal("evidence_invalid", ("reason", str(rejected.reason))) from None
    validator = context.validators[evidence.replica].id
    if context.stream != validator_stream(validator):
        raise Refusal(
            "wrong_stream", ("stream", context.stream), ("expected", validator_stream(validator))
        )
    if evidence.height > context.height:
        raise Refusal("evidence_invalid", ("reason", "height_not_reached"))
    record = context.record if isinstance(context.record, ValidatorRecord) else ValidatorRecord([])
    slot = evidence.slot
    if slot in record.slots:
        raise Refusal("evidence_known", ("slot", slot))
    if len(record.slots) >= SLOTS_MAX:
        raise Refusal("evidence_enough", ("slots", len(record.slots)))
    context.record = ValidatorRecord([*record.slots, slot])
    return applied(("validator", validator), ("slot", slot))
