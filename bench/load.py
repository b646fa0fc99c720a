"""The load: transactions made and signed before the clock starts, ready to be posted.

Each request is the MessagePack body of `POST /v1/transactions:batch`. Contracts are chosen at
random from all that were opened, so that the state tree is used all over. Bodies are written
directly in their canonical spelling (the nodes check it anyway); everything else is the ordinary
client code. Seeded, so that two runs post the same kind of load.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ledger.signing import SeedSigner
from ledger.transaction import sign_batch, sign_transaction
from ledger.wire import encode

BATCH_SIGNED: Final = 100
"""Transactions under one batch signature."""

_encoder = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Merchant:
    """A registered submitter."""

    party: str
    signer: SeedSigner


class LoadMaker:
    """Makes signed requests for one chain."""

    def __init__(
        self, chain_id: bytes, merchants: Sequence[Merchant], custodian: str, not_after: int
    ) -> None:
        self._chain_id = chain_id
        self._merchants = merchants
        self._custodian = custodian
        self._not_after = not_after
        self._chance = random.Random(20260101)
        self._count = 0

    def open_contracts(self, count: int, request_size: int) -> Iterator[bytes]:
        """Yield requests that open contracts 0 to `count` − 1, batch-signed."""
        for begin in range(0, count, request_size):
            at = (begin // request_size) % len(self._merchants)
            merchant = self._merchants[at]
            bodies = [
                self._body(
                    "prepaid.open", self._contract(number), merchant, self._opening(merchant)
                )
                for number in range(begin, min(begin + request_size, count))
            ]
            yield encode(self._sign_by_batch(bodies, merchant))

    def prepayments(
        self,
        contract_count: int,
        count: int,
        request_size: int,
        *,
        is_batch_signed: bool,
        opened_size: int | None = None,
    ) -> Iterator[bytes]:
        """Yield requests of prepayments into contracts chosen at random, each by who opened it.

        `opened_size` is the size of the requests that opened them, where these have another.
        """
        opened_size = request_size if opened_size is None else opened_size
        for begin in range(0, count, request_size):
            at = (begin // request_size) % len(self._merchants)
            merchant = self._merchants[at]
            bodies = []
            for _ in range(request_size):
                number = self._own_contract(at, contract_count, opened_size)
                data = {"amount": 100 + self._count % 900, "channel": "ecny"}
                bodies.append(self._body("prepaid.prepay", self._contract(number), merchant, data))
            if is_batch_signed:
                yield encode(self._sign_by_batch(bodies, merchant))
            else:
                yield encode(
                    [sign_transaction(body, self._chain_id, [merchant.signer]) for body in bodies]
                )

    def _own_contract(self, at: int, contract_count: int, opened_size: int) -> int:
        """Return a random contract that merchant `at` opened."""
        stride = opened_size * len(self._merchants)
        rows = max(1, contract_count // stride)
        return (
            self._chance.randrange(rows) * stride
            + at * opened_size
            + self._chance.randrange(opened_size)
        )

    def _contract(self, number: int) -> str:
        return f"contract/bench-{number:07d}"

    def _opening(self, merchant: Merchant) -> dict[str, Any]:
        return {
            "consumer": self._chance.randbytes(32).hex(),
            "custodian": self._custodian,
            "industry": "fitness",
            "merchant": merchant.party,
            "terms_hash": "ab" * 32,
        }

    def _body(self, kind: str, stream: str, merchant: Merchant, data: dict[str, Any]) -> bytes:
        self._count += 1
        salt = base64.urlsafe_b64encode(self._chance.randbytes(18)).decode()
        return _encoder.encode(
            {
                "data": data,
                "kind": kind,
                "not_after": self._not_after,
                "reference": f"BENCH-{self._not_after:x}-{self._count}",
                "salt": salt,
                "signers": [merchant.party],
                "stream": stream,
                "version": 1,
            }
        )

    def _sign_by_batch(self, bodies: list[bytes], merchant: Merchant) -> list[bytes]:
        envelopes: list[bytes] = []
        for begin in range(0, len(bodies), BATCH_SIGNED):
            group = bodies[begin : begin + BATCH_SIGNED]
            envelopes += sign_batch(group, self._chain_id, merchant.signer)
        return envelopes
