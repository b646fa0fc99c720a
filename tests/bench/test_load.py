"""The load that benchmarks post is what its merchants may say."""

from __future__ import annotations

from collections.abc import Iterable

import msgpack
import pytest

from bench.load import LoadMaker, Merchant
from ledger.signing import SeedSigner
from ledger.transaction import decode_transaction

MERCHANTS = [Merchant(f"m-{at}", SeedSigner(bytes([at + 1]) * 32)) for at in range(3)]
OPENED_SIZE = 4
COUNT = 4 * OPENED_SIZE * len(MERCHANTS)


def signers(requests: Iterable[bytes]) -> list[tuple[str, str]]:
    """Return (contract, who signed) of every transaction."""
    bodies = [decode_transaction(raw).body for raws in requests for raw in msgpack.unpackb(raws)]
    return [(body.stream, *body.signers) for body in bodies]


@pytest.mark.parametrize(("request_size", "count"), [(OPENED_SIZE, 60), (1, 60)])
@pytest.mark.parametrize("is_batch_signed", [False, True])
def test_who_pays_into_a_contract_has_opened_it(
    request_size: int, count: int, is_batch_signed: bool
) -> None:
    """Probes are requests of one, and the contracts were opened by the hundred."""
    maker = LoadMaker(b"c" * 32, MERCHANTS, "bank-a", 10**12)
    opened = dict(signers(maker.open_contracts(COUNT, OPENED_SIZE)))
    paid = signers(
        maker.prepayments(
            COUNT, count, request_size, is_batch_signed=is_batch_signed, opened_size=OPENED_SIZE
        )
    )
    assert len(paid) == count
    assert {opened[stream] == party for stream, party in paid} == {True}
    assert {party for _, party in paid} == {merchant.party for merchant in MERCHANTS}
