"""Clients: merchants' and banks' gateways that keep asking until their transaction is on the chain.

One merchant is registered by an institution; contracts are opened, paid into, consumed, refunded
and overdrawn. A client submits to a random node, asks later whether it is committed, and submits
the same envelope again, perhaps elsewhere, while it is not: the same bytes at many nodes must come
onto the chain once. Some transactions reuse a business reference with another body, some lack a
valid signature; these must never be applied.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.hashing import sha256
from ledger.refusal import Rejected
from ledger.signing import Signer
from ledger.transaction import decode_transaction, encode_body, sign_transaction
from sim.checkers import Checkers
from sim.coverage import Coverage
from sim.deployment import Deployment, make_signer
from sim.node import Node
from sim.world import MS, SECOND, World

NOT_AFTER_MS: Final = 1_800_000
"""Longer than any simulation, so that no honest transaction may be given up."""

MERCHANT: Final = "m-1"


@dataclass(slots=True)
class Ordered:
    """A transaction a client wants on the chain."""

    raw: bytes
    tx_id: bytes
    label: str
    must_commit: bool
    attempts: int = 0


class Clients:
    """All clients of one simulation."""

    def __init__(
        self, world: World, deployment: Deployment, nodes: Sequence[Node], checkers: Checkers,
        coverage: Coverage,
    ) -> None:  # fmt: skip
        self.ordered: list[Ordered] = []
        self.interval_us = 1_000 * MS
        """Mean span between two orders."""
        self.is_ordering = True
        self._world = world
        self._deployment = deployment
        self._nodes = nodes
        self._checkers = checkers
        self._coverage = coverage
        self._chance = world.chance("clients")
        self._merchant = make_signer("merchant")
        self._stranger = make_signer("stranger")
        self._references = 0
        self._contracts: list[str] = []

    def start(self) -> None:
        """Register the merchant and begin."""
        bank = self._chance.randrange(len(self._nodes))
        data = {"keys": [self._merchant.public_key.hex()], "party": MERCHANT, "role": "merchant"}
        signer = self._deployment.signers[bank].party
        self._order("register", "party.register", f"party/{MERCHANT}", data, f"bank-{bank}", signer)
        self._world.after(SECOND, self._next)

    def outstanding(self) -> list[Ordered]:
        """Return what must be on the chain and is not."""
        return [
            item
            for item in self.ordered
            if item.must_commit and item.tx_id not in self._checkers.chain.tx_heights
        ]

    def order_marker(self) -> Ordered:
        """Order one more transaction, to see whether the healed network takes it."""
        bank = self._chance.randrange(len(self._nodes))
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
        self._contracts.append(name)
        data = {
            "consumer": sha256(name.encode()).hex(),
            "custodian": "bank-0",
            "industry": "fitness",
            "merchant": MERCHANT,
            "terms_hash": sha256(b"terms").hex(),
        }
        self._order("open", "prepaid.open", name, data, MERCHANT, self._merchant)

    def _amount(
        self, what: str, amount: int, reference: str | None = None, signer: Signer | None = None
    ) -> None:
        stream = self._chance.choice(self._contracts)
        self._order(
            what, f"prepaid.{what}", stream, {"amount": amount}, MERCHANT,
            signer or self._merchant, reference,
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
        transaction = decode_transaction(raw)
        item = Ordered(raw, transaction.tx_id, label, signer is not self._stranger)
        self.ordered.append(item)
        self._submit(item)
        return item

    def _submit(self, item: Ordered) -> None:
        """Submit, or submit again, until it is on the chain."""
        if item.tx_id in self._checkers.chain.tx_heights:
            return
        item.attempts += 1
        if item.attempts > 1:
            self._coverage.count("submission repeated")
        targets = self._chance.sample(
            range(len(self._nodes)), min(self._chance.choice([1, 1, 2]), len(self._nodes))
        )
        for target in targets:
            self._world.after(self._chance.randint(1, 5) * MS, self._knock(item, target))
        if item.must_commit:
            self._world.after(self._chance.randint(1500, 4000) * MS, lambda: self._submit(item))

    def _knock(self, item: Ordered, target: int) -> Any:
        def knock() -> None:
            if item.tx_id in self._checkers.chain.tx_heights and self._chance.random() < 0.5:
                return
            try:
                self._nodes[target].submit(item.raw)
            except ConnectionError:
                self._coverage.count("submission found a node down")
            except Rejected as rejected:
                self._coverage.count("submission refused")
                self._world.trace("client", f"{item.label} refused: {rejected.reason}")

        return knock
