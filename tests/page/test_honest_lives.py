"""Whatever a chain without liars went through, no proof of it is refused, by neither verifier.

The lives are the contracts' own random walks: right and wrong events through three contracts. What
is wrong in a verifier's sums shows here as an honest file refused, which mutations never show.
"""

from __future__ import annotations

import pytest

from contracts.custody import ContractRecord, MerchantRecord
from tests.contracts.test_lives import CARDS, live
from tests.page.conftest import JavaScript
from tests.page.test_agreement import agree
from tests.verifier.test_schedule import head_of, line_of, signers

SEEDS = range(16)
"""With 11 and 14 a refund is computed and interest of the account paid."""


@pytest.mark.parametrize("seed", SEEDS)
def test_no_proof_of_an_honest_life_is_refused(seed: int, javascript: JavaScript) -> None:
    world, _, _ = live(seed)
    contracts = {}
    for card in CARDS:
        record = world.record(card)
        if isinstance(record, ContractRecord):
            contracts[card.partition("/")[2]] = record
    files = [world.history(contract, signers(world, contract)) for contract in contracts]
    files += [world.liabilities(contract) for contract in contracts]
    for merchant in ("m-1", "m-2"):
        whole = world.record(f"merchant/{merchant}")
        if not isinstance(whole, MerchantRecord):
            continue
        placed = {one.place: name for name, one in contracts.items() if one.merchant == merchant}
        assert sorted(placed) == list(range(whole.contracts))
        lines = [line_of(world, placed[place]) for place in sorted(placed)]
        files.append(b"".join([head_of(world, merchant), *lines]))
    assert len(files) > len(contracts)
    for raw in files:
        report = agree(javascript, raw, world.chain_id)
        assert report.is_consistent, (report.failed, raw[:40])
