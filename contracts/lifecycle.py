"""The life of a prepaid contract as one table: which event may follow in which state.

Three things run beside one another: the contract itself, its card, and a dispute about it; a
merchant has a life of its own. Each row says from which states an event leads where (the same state
where it says nothing), who may attest it, and what it needs besides. An event that the table does
not allow in a state is refused as `transition_not_allowed` and stays on record as that. Diagram and
table in docs/CONTRACTS.md are drawn from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from law.facts import KINDS as FACTS
from law.facts import REFERS

NONE: Final = "none"
SIGNED: Final = "signed"
ACTIVE: Final = "active"
ENDING: Final = "ending"
CLOSED: Final = "closed"

ISSUED: Final = "issued"
IN_USE: Final = "in_use"
LOST: Final = "lost"
EXPIRED: Final = "expired"

OPEN: Final = "open"
RESOLVED: Final = "resolved"

TRADING: Final = "trading"
AT_RISK: Final = "at_risk"
LIQUIDATION: Final = "liquidation"

CONTRACT: Final = "contract"
CARD: Final = "card"
DISPUTE: Final = "dispute"
MERCHANT: Final = "merchant"
REGIONS: Final[dict[str, tuple[str, ...]]] = {
    CONTRACT: (NONE, SIGNED, ACTIVE, ENDING, CLOSED),
    CARD: (ISSUED, IN_USE, LOST, EXPIRED),
    DISPUTE: (NONE, OPEN, RESOLVED),
    MERCHANT: (TRADING, AT_RISK, LIQUIDATION, CLOSED),
}
"""What runs by itself, with its states, the first one first."""

ANY_PARTY: Final = (
    "consumer", "merchant", "custodian", "issuer", "platform", "consumer_council", "district",
    "regulator", "arbitrator", "court", "both",
)  # fmt: skip
AUTHORITIES: Final = ("court", "arbitrator", "regulator")

AFTERLIFE_MS: Final = 5 * 366 * 86_400_000
"""How long after a contract is closed its entries are still looked back on: five years, as long as
an issuer of cards keeps its records (单用途商业预付卡管理办法), and longer than a claim lasts
(民法典 art. 188: three years). Later everything may still be stated of it but what reads them."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: an event in one region."""

    event: str
    region: str
    sources: tuple[str, ...]
    target: str
    """Empty: the state stays."""
    needs: str = ""
    """What it needs besides, in words."""


def _row(event: str, sources: tuple[str, ...], target: str = "", needs: str = "") -> Transition:
    return Transition(event, CONTRACT, sources, target, needs)


_LIVE: Final = (SIGNED, ACTIVE, ENDING)
_EVER: Final = (SIGNED, ACTIVE, ENDING, CLOSED)
_PAID: Final = (ACTIVE, ENDING)
_TRADES: Final = (TRADING, AT_RISK)

TABLE: Final[tuple[Transition, ...]] = (
    _row("contract.signed", (NONE,), SIGNED, "terms on the ledger; merchant and custodian known"),
    _row("wallet.opened", (SIGNED, ACTIVE)),
    _row(
        "funds.locked", (SIGNED, ACTIVE), ACTIVE, "custody by the custodian, while intake is open"
    ),
    _row("funds.released", _PAID, "", "locked and not frozen"),
    _row("funds.frozen", _PAID, "", "document and legal basis; a court, an arbitrator, or two"),
    _row("funds.unfrozen", _PAID, "", "a freeze that stands; whoever could order it, or a court"),
    _row("interest.accrued", _PAID),
    _row("interest.paid", _PAID, "", "the consumer's, credited and not frozen"),
    _row("card.activated", (SIGNED, ACTIVE)),
    _row("card.replaced", _LIVE),
    _row("card.lost", _LIVE),
    _row("card.reissued", _LIVE, "", "the loss it answers"),
    _row("card.expired", _LIVE, "", "takes no balance"),
    _row("service.delivered", _PAID, "", "a counter not used before"),
    _row("delivery.answered", (ACTIVE, ENDING, CLOSED), "", "the delivery it speaks of"),
    _row("gift.given", (SIGNED, ACTIVE)),
    _row("price.changed", (SIGNED, ACTIVE)),
    _row("premises.moved", _LIVE),
    _row("obligation.transferred", _LIVE),
    _row("service.stopped", _LIVE),
    _row("service.resumed", _LIVE),
    _row("cooling_off.requested", _PAID, ENDING),
    _row("termination.requested", _LIVE, ENDING),
    _row("complaint.served", _LIVE, ENDING),
    _row("termination.agreed", _LIVE, ENDING),
    _row("termination.judged", _LIVE, ENDING),
    _row("invalidity.found", _LIVE, ENDING),
    _row("notice.arrived", _EVER, "", "the notice; stated by another side than sent it"),
    _row("prior_use.stated", _EVER),
    _row("cause.stated", _EVER),
    _row("ground.stated", _EVER),
    _row("deduction.claimed", _EVER),
    _row("minor_service.stated", _EVER),
    _row("price.disputed", _EVER),
    _row("sales_records.produced", _EVER),
    _row("market_price.stated", _EVER),
    _row("actual_rate.requested", _EVER),
    _row("assignment.notified", _LIVE),
    _row("balance.forfeited", _EVER, "", "takes nothing; it is a finding"),
    _row("refund.computed", _PAID, "", "everything the computation reads is on the ledger"),
    _row("findings.computed", _EVER, "", "the rule packs it names"),
    _row("refund.paid", (ENDING, CLOSED), "", "computed before; never above the highest result"),
    _row("contract.closed", _LIVE, CLOSED, "nothing locked"),
    _row("records.requested", _EVER),
    _row("records.produced", _EVER, "", "the request it answers"),
    _row("records.refused", _EVER, "", "the request it answers"),
    _row("dispute.opened", _EVER),
    _row("evidence.attached", _EVER),
    _row("dispute.resolved", _EVER),
    _row("court.linked", _EVER),
    _row("finance.linked", _LIVE),
    Transition("card.activated", CARD, (ISSUED, IN_USE, EXPIRED), IN_USE),
    Transition("card.replaced", CARD, (IN_USE, EXPIRED), IN_USE),
    Transition("card.lost", CARD, (ISSUED, IN_USE, EXPIRED), LOST),
    Transition("card.reissued", CARD, (LOST,), IN_USE),
    Transition("card.expired", CARD, (ISSUED, IN_USE), EXPIRED),
    Transition("dispute.opened", DISPUTE, (NONE, RESOLVED), OPEN),
    Transition("evidence.attached", DISPUTE, (OPEN,), ""),
    Transition("dispute.resolved", DISPUTE, (OPEN,), RESOLVED),
    Transition("court.linked", DISPUTE, (OPEN, RESOLVED), ""),
    Transition("risk.declared", MERCHANT, _TRADES, AT_RISK, "suspends intake into custody"),
    Transition("risk.lifted", MERCHANT, (AT_RISK,), TRADING),
    Transition("closing.notified", MERCHANT, _TRADES, ""),
    Transition("moving.notified", MERCHANT, _TRADES, ""),
    Transition("financing.linked", MERCHANT, REGIONS[MERCHANT], ""),
    Transition("balance.reported", MERCHANT, (TRADING, AT_RISK, LIQUIDATION, CLOSED), ""),
    Transition("liquidation.opened", MERCHANT, (TRADING, AT_RISK, CLOSED), LIQUIDATION),
    Transition("business.closed", MERCHANT, (TRADING, AT_RISK, LIQUIDATION), CLOSED),
)

_OWN_ATTESTERS: Final[dict[str, tuple[str, ...]]] = {
    "wallet.opened": ("custodian",),
    "card.replaced": ("merchant", "both"),
    "card.expired": ("merchant", "both"),
    "refund.computed": ("custodian", "consumer", "merchant", "consumer_council", *AUTHORITIES),
    "findings.computed": ANY_PARTY,
    "contract.closed": ("custodian", "both"),
    "dispute.opened": ("consumer", "consumer_council", "district"),
    "evidence.attached": ANY_PARTY,
    "dispute.resolved": ("both", "consumer_council", "district", *AUTHORITIES),
    "court.linked": ANY_PARTY,
    "finance.linked": ("custodian", "issuer", "both"),
    "financing.linked": ("merchant", "custodian"),
    "liquidation.opened": ("merchant", "district", *AUTHORITIES),
    "business.closed": ("merchant", "district", *AUTHORITIES),
}
"""Who attests what is no fact of the law, and what anybody may state of one contract but only some
of a whole merchant, whose intake it stops."""

EVENTS: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(row.event for row in TABLE if row.region == CONTRACT)
)
MERCHANT_EVENTS: Final[tuple[str, ...]] = tuple(
    row.event for row in TABLE if row.region == MERCHANT
)

LOOKING_BACK: Final = frozenset({*REFERS, "refund.computed", "findings.computed"})
"""Events whose execution reads earlier entries of the contract or of its merchant."""

ROWS: Final[dict[tuple[str, str], Transition]] = {(row.event, row.region): row for row in TABLE}


def find_attesters(event: str) -> tuple[str, ...]:
    """Return the roles that may attest an event: those of the law's fact of that name, or ours."""
    own = _OWN_ATTESTERS.get(event)
    return FACTS[event].roles if own is None else own


def find_next(event: str, region: str, state: str) -> str | None:
    """Return the state after an event, or None where the table does not allow it.

    A region in which the event has no row stays as it is.
    """
    row = ROWS.get((event, region))
    if row is None:
        return state
    if state not in row.sources:
        return None
    return row.target or state
