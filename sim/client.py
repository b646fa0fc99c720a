"""Clients: merchants' and banks' gateways that keep asking until their transaction is on the chain.

Two merchants are registered by institutions; contracts are opened, paid into, consumed, refunded
and overdrawn. A client submits to a random node and, as long as no correct node has promised to put
it on the chain, asks later and submits the same envelope again, perhaps elsewhere: the same bytes
at many nodes must come onto the chain once. What a correct node promised it has to do by itself;
only when its disk was destroyed the client asks again. Some transactions reuse a business reference
with another body, some lack a valid signature; these must never be applied.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from api.ports import Accepted, Intake, Known, Refused
from ledger.hashing import sha256
from ledger.signing import Signer
from ledger.transaction import decode_transaction, encode_body, sign_transaction
from sim.chain_checker import ChainChecker
from sim.coverage import Coverage
from sim.deployment import CENSORED_MERCHANT, Deployment, make_signer
from sim.node import Node
from sim.world import MS, SECOND, World

NOT_AFTER_MS: Final = 1_800_000
"""Longer than any simulation, so that no honest transaction may be given up."""

BATCH_PART: Final = 0.1
"""How often a request has more than one transaction."""

BATCH_MAX: Final = 5

MERCHANTS: Final = ("m-1", CENSORED_MERCHANT)


@dataclass(slots=True)
class Ordered:
    """A transaction a client wants on the chain."""

    raw: bytes
    tx_id: bytes
    label: str
    must_commit: bool
    attempts: int = 0
    promised_by: list[Node] = field(default_factory=list)
    promised_height: int | None = None
    """Newest height decided anywhere when a correct node first promised it."""

    @property
    def is_promised(self) -> bool:
        """Whether a node that has kept its disk has promised it."""
        return any(node.is_correct and not node.may_be_damaged for node in self.promised_by)


class Clients:
    """All clients of one simulation."""

    def __init__(
        self,
        world: World,
        deployment: Deployment,
        nodes: Sequence[Node],
        chain: ChainChecker,
        coverage: Coverage,
    ) -> None:
        self.ordered: list[Ordered] = []
        self.interval_us = 250 * MS
        """Mean span between two orders."""
        self.is_ordering = True
        self._world = world
        self._deployment = deployment
        self._nodes = nodes
        self._chain = chain
        self._coverage = coverage
        self._chance = world.chance("clients")
        self._stranger = make_signer("stranger")
        self._references = 0
        self._contracts: list[tuple[str, str]] = []
        """(stream, merchant)."""

    def start(self) -> None:
        """Register the merchants and begin."""
        for merchant in MERCHANTS:
            bank = self._chance.randrange(len(self._deployment.signers))
            key = make_signer(merchant).public_key.hex()
            data = {"keys": [key], "party": merchant, "role": "merchant"}
            signer = self._deployment.signers[bank].party
            self._order(
                "register", "party.register", f"party/{merchant}", data, f"bank-{bank}", signer
            )
        self._world.after(SECOND, self._next)

    def outstanding(self) -> list[Ordered]:
        """Return what must be on the chain and is not."""
        return [
            item
            for item in self.ordered
            if item.must_commit and item.tx_id not in self._chain.tx_heights
        ]

    def order_marker(self) -> Ordered:
        """Order one more transaction, to see whether the healed network takes it."""
        bank = self._chance.randrange(len(self._deployment.signers))
        signer = self._deployment.signers[bank].party
        data = {"amount": 1}
        return self._order(
            "marker", "prepaid.prepay", "contract/marker", data, f"bank-{bank}", signer
        )

    def _next(self) -> None:
        if self.is_ordering:
            for _ in range(self._chance.choice([1, 1, 1, 2, 5])):
                self._order_something()
        if self.is_ordering:
            span_us = self._chance.randint(self.interval_us // 5, self.interval_us * 9 // 5)
            self._world.after(span_us, self._next)

    def _order_something(self) -> None:
        chance = self._chance
        draw = chance.random()
        if not self._contracts or draw < 0.2:
            self._open()
        elif draw < 0.5:
            self._amount("prepay", chance.randint(1, 1000))
        elif draw < 0.75:
            self._amount("consume", chance.randint(1, 300))
        elif draw < 0.85:
            self._amount("refund", chance.randint(1, 100))
        elif draw < 0.92:
            self._amount("consume", 10**9)
        elif draw < 0.96:
            self._coverage.count("reference reused")
            self._amount("prepay", 7, reference=f"R{max(self._references - 1, 0)}")
        else:
            self._amount("prepay", 13, signer=self._stranger)

    def _open(self) -> None:
        name = f"contract/c-{len(self._contracts)}"
        merchant = self._chance.choice(MERCHANTS)
        self._contracts.append((name, merchant))
        data = {
            "consumer": sha256(name.encode()).hex(),
            "custodian": "bank-0",
            "industry": "fitness",
            "merchant": merchant,
            "terms_hash": sha256(b"terms").hex(),
        }
        self._order("open", "prepaid.open", name, data, merchant, make_signer(merchant))

    def _amount(
        self, what: str, amount: int, reference: str | None = None, signer: Signer | None = None
    ) -> None:
        stream, merchant = self._chance.choice(self._contracts)
        self._order(
            what, f"prepaid.{what}", stream, {"amount": amount}, merchant,
            signer or make_signer(merchant), reference,
        )  # fmt: skip

    def _order(
        self, label: str, kind: str, stream: str, data: dict[str, Any], party: str,
        signer: Signer, reference: str | None = None,
    ) -> Ordered:  # fmt: skip
        if reference is None:
            reference = f"R{self._references}"
            self._references += 1
        body = encode_body(
            data=data,
            kind=kind,
            not_after=self._world.true_ms + NOT_AFTER_MS,
            reference=reference,
            salt=base64.urlsafe_b64encode(self._chance.randbytes(16)).decode().rstrip("="),
            signers=[party],
            stream=stream,
            version=1,
        )
        raw = sign_transaction(body, self._deployment.genesis.chain_id, [signer])
        tx_id = decode_transaction(raw).tx_id
        item = Ordered(raw, tx_id, label, signer is not self._stranger)
        self.ordered.append(item)
        if item.must_commit:
            self._chain.ordered.add(tx_id)
        self._submit(item)
        return item

    def _submit(self, item: Ordered) -> None:
        """Submit, or submit again, until it is promised by who keeps promises, or on the chain."""
        if item.tx_id in self._chain.tx_heights:
            return
        if not item.is_promised:
            item.attempts += 1
            if item.attempts > 1:
                self._coverage.count("submission repeated")
            count = min(self._chance.choice([1, 1, 2]), len(self._nodes))
            for node in self._chance.sample(list(self._nodes), count):
                self._world.after(self._chance.randint(1, 5) * MS, self._knock(item, node))
        if item.must_commit:
            self._world.after(self._chance.randint(1500, 4000) * MS, lambda: self._submit(item))

    def _knock(self, item: Ordered, node: Node) -> Callable[[], None]:
        def knock() -> None:
            if item.tx_id in self._chain.tx_heights and self._chance.random() < 0.5:
                return
            asked = [item, *self._find_more(item)]

            def answered(answers: Sequence[Intake]) -> None:
                for each, answer in zip(asked, answers, strict=True):
                    self._answered(each, node, answer)

            try:
                node.submit([each.raw for each in asked], answered)
            except ConnectionError:
                self._coverage.count("submission found a node down")

        return knock

    def _find_more(self, item: Ordered) -> list[Ordered]:
        """Return what else of late goes into the same request, which then has one receipt."""
        if self._chance.random() >= BATCH_PART:
            return []
        return [
            other
            for other in self.ordered[-BATCH_MAX:]
            if other is not item and other.tx_id not in self._chain.tx_heights
        ]

    def _answered(self, item: Ordered, node: Node, answer: Intake) -> None:
        match answer:
            case Accepted():
                item.promised_by.append(node)
                if item.promised_height is None and item.is_promised:
                    item.promised_height = len(self._chain.blocks) - 1
            case Known():
                self._coverage.count("submission known already")
            case Refused():
                self._coverage.count("submission refused")
                self._world.trace("client", f"{item.label} refused: {answer.rejected.reason}")
