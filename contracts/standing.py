"""Who somebody is towards a contract, and whether that entitles him to what he signs.

Merchant, custodian and the consumer's party are named in the contract; everybody else has the role
under which the ledger knows him. How far a district or a regulator reaches is `contracts.scope`'s.
Keys and revocation were checked before (`contracts.parties`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from contracts.custody import ContractRecord, MerchantRecord, read_static
from contracts.handling import Context, Refusal
from contracts.lifecycle import find_attesters
from contracts.parties import CUSTODIAN_ROLES, PartyRecord
from contracts.scope import check_scope
from law.entries import choose_role

ROLE_OF: Final[dict[str, str]] = {
    "regulator": "regulator",
    "district": "district",
    "consumer_council": "consumer_council",
    "court": "court",
    "arbitrator": "arbitrator",
    "platform": "platform",
    "bank": "issuer",
    "payment": "issuer",
}
"""Role towards a contract that somebody has who is not named in it."""


def find_role(
    find_party: Callable[[str], PartyRecord | None], record: ContractRecord, signer: str
) -> str | None:
    """Return a signer's role towards a contract; None for a stranger."""
    if signer == record.merchant:
        return "merchant"
    if signer == record.custodian:
        return "custodian"
    if signer == record.consumer_party:
        return "consumer"
    party = find_party(signer)
    if party is None:
        return None
    if party.role == "gateway":
        return "custodian" if speaks_for_custodian(party, record.custodian) else None
    return ROLE_OF.get(party.role)


def speaks_for_custodian(party: PartyRecord, custodian: str) -> bool:
    """Say whether what a party signs is the custodian's word: its own, or its gateway's."""
    return party.party == custodian or (party.role == "gateway" and party.registrar == custodian)


def find_role_towards_merchant(
    find_party: Callable[[str], PartyRecord | None],
    merchant: str,
    record: MerchantRecord,
    signer: str,
) -> str | None:
    """Return a signer's role towards a whole merchant; None for a stranger.

    A bank or a gateway has one only if it keeps money of one of its contracts; which of them does
    not matter. Who has one keeps it, since no custodian is ever taken off the merchant's record.
    """
    if signer == merchant:
        return "merchant"
    party = find_party(signer)
    if party is None:
        return None
    if party.role in CUSTODIAN_ROLES:
        keeps = party.party in record.custodians or (
            party.role == "gateway" and party.registrar in record.custodians
        )
        return "custodian" if keeps else None
    return ROLE_OF.get(party.role)


def find_past_roles(context: Context, record: ContractRecord, signers: Sequence[str]) -> list[str]:
    """Return the roles in which somebody signed earlier: who was the consumer then counts as it."""
    former = {each.assignor_party for each in record.assigned} - {""}
    return [
        "consumer" if signer in former else find_role(context.party, record, signer) or "stranger"
        for signer in signers
    ]


def find_roles(context: Context, record: ContractRecord, signers: Sequence[str]) -> list[str]:
    """Return each signer's role; refuse a stranger (`not_entitled`), and by another name whoever
    was the consumer before the claim was assigned (`claim_assigned`)."""
    roles = []
    for signer in signers:
        role = find_role(context.party, record, signer)
        if role is None and any(each.assignor_party == signer for each in record.assigned):
            assignee = record.assigned[-1].assignee
            raise Refusal("claim_assigned", ("signer", signer), ("assignee", assignee))
        if role is None:
            raise Refusal("not_entitled", ("signer", signer))
        roles.append(role)
    return roles


def attest(context: Context, record: ContractRecord, event: str) -> str:
    """Return the role in which an event is attested; refuse whoever may not attest it."""
    allowed = find_attesters(event)
    roles = find_roles(context, record, context.signers)
    role = choose_role(allowed, roles)
    if role is None:
        raise Refusal(
            "not_attested", ("signers", " ".join(context.signers)), ("needed", " ".join(allowed))
        )
    if "district" in roles or "regulator" in roles:
        static = read_static(context)
        for signer in context.signers:
            check_scope(context, signer, static.district, (static.industry,))
    return role
