"""From entries of a contract's stream to the facts that the engine reads.

An entry says more than a fact: where the statement came from, which device made it, on what
authority. Those members belong to the ledger and are taken off here; what is left is the fact's own
data. An entry speaks of an earlier one by its transaction id, a fact by its position, so ids are
looked up. Who stated a fact follows from the roles of its signers. What is dated after its block
counts as of its block: nobody can know what has not happened, and a payment dated ahead would come
after every request (art. 14). The node and the offline verifier both read through this module, so
that both read the same facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from law.facts import KINDS
from law.refusal import Code, Refused

BOTH: Final = "both"

LEDGER_MEMBERS: Final = frozenset(
    {
        "assignee_party",
        "consumer_party",
        "counter",
        "custodian",
        "device",
        "merchant",
        "occurred_at",
        "provenance",
    }
)
"""Members of any entry's data that are the ledger's own."""

FREEZE_MEMBERS: Final = frozenset({"authority", "document", "legal_basis", "rank", "starts_at"})
"""Further ones of `funds.frozen`: on what authority."""


class StreamEntry(NamedTuple):
    """One transaction of a stream that was applied, as whoever holds the entry reads it."""

    position: int
    """Index of the entry in the log."""
    tx_id: str
    recorded: int
    """The block's time, milliseconds since 1970."""
    kind: str
    data: Mapping[str, Any]
    signers: Sequence[str]
    roles: Sequence[str]
    """Role of each signer towards this contract: merchant, consumer, custodian, regulator…"""
    effects: Mapping[str, int | str]


def find_consumer(
    before: str, kind: str, data: Mapping[str, Any], effects: Mapping[str, int | str]
) -> str:
    """Return the party under which the consumer signs after an applied entry: the one that the
    contract names, and from an assignment that took effect the assignee's (art. 11(1))."""
    if "consumer_party" in effects:
        return str(effects["consumer_party"])
    return str(data.get("consumer_party", "")) if kind == "contract.signed" else before


def choose_role(allowed: Sequence[str], roles: Sequence[str]) -> str | None:
    """Return the role in which signers state something, or None if none of theirs may.

    Consumer and merchant together are `both`, the strongest; else the first allowed role that
    somebody has.
    """
    if BOTH in allowed and "merchant" in roles and "consumer" in roles:
        return BOTH
    return next((role for role in allowed if role in roles), None)


def to_facts(entries: Iterable[StreamEntry]) -> list[dict[str, Any]]:
    """Return the documents of the facts that these entries state; other kinds state none.

    Raises `Refused` (INCONSISTENT) for an entry about one that is not among them.
    """
    known = list(entries)
    positions = list_positions(known)
    return [to_fact(entry, positions) for entry in known if entry.kind in KINDS]


def list_positions(entries: Iterable[StreamEntry]) -> dict[str, int]:
    """Return where each entry of a stream stands in the log, by transaction id."""
    return {entry.tx_id: entry.position for entry in entries}


def to_fact(entry: StreamEntry, positions: Mapping[str, int]) -> dict[str, Any]:
    """Return the document of the fact that an entry of a kind of `KINDS` states, among entries at
    these positions; raise `Refused` as `to_facts` does.

    What only a quorum that lies lets through stands in it as it is, for `read_fact` to refuse.
    """
    role = choose_role(KINDS[entry.kind].roles, entry.roles)
    if role is None:
        raise Refused(
            Code.NOT_ENTITLED,
            f"entry {entry.position}: {entry.kind} is signed by {', '.join(entry.roles)}; "
            f"{' or '.join(KINDS[entry.kind].roles)} is expected",
        )
    taken = LEDGER_MEMBERS | FREEZE_MEMBERS if entry.kind == "funds.frozen" else LEDGER_MEMBERS
    data = {name: value for name, value in entry.data.items() if name not in taken}
    if entry.kind == "contract.signed" and isinstance(data.get("persons"), Mapping):
        data["persons"] = {**data["persons"], "merchant": entry.data.get("merchant")}
    elif entry.kind == "funds.frozen":
        data["amount"] = entry.effects.get("frozen")
        data.pop("share_ppm", None)
    if "of" in data:
        if not isinstance(data["of"], str) or data["of"] not in positions:
            raise Refused(
                Code.INCONSISTENT,
                f"entry {entry.position} speaks of transaction {data['of']}, which is not among "
                "the entries",
            )
        data["of"] = positions[data["of"]]
    dated = entry.data.get("occurred_at")
    if dated is None or type(dated) is int:
        dated = min(dated or entry.recorded, entry.recorded)
    return {
        "at": dated,
        "author": entry.signers[0],
        "data": data,
        "kind": entry.kind,
        "position": entry.position,
        "recorded": entry.recorded,
        "role": role,
    }
