"""The example week: the script writes it, the contracts take it, and nobody can be recognised."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from pathlib import Path

from cli.demo import MERCHANTS
from cli.drafts import Draft, complete_body, read_items
from contracts.kinds import parse_data
from law.terms import INDUSTRIES
from ledger.transaction import decode_body
from tests.cli.running import StoredChain, registrations

ROOT = Path(__file__).parents[2]
WEEK = ROOT / "examples/week.jsonl"
REFUSED = {
    "insufficient_locked": 2,
    "reference_reused": 1,
    "already_open": 1,
    "not_entitled": 1,
    "unknown_contract": 1,
}


def drafts() -> list[Draft]:
    return [item for item in read_items(WEEK) if isinstance(item, Draft)]


def test_the_script_writes_what_is_committed() -> None:
    module = runpy.run_path(str(ROOT / "examples/make_week.py"))
    assert module["make_week"]() == WEEK.read_bytes()


def test_the_readme_counts_rightly() -> None:
    text = (ROOT / "examples/README.md").read_text("utf-8")
    assert f"holds {len(drafts())} receipts" in text
    assert len(drafts()) >= 400


def test_merchants_are_of_different_industries_of_the_plan() -> None:
    industries = [merchant.industry for merchant in MERCHANTS]
    assert len(set(industries)) == len(industries) == 8
    assert set(industries) <= set(INDUSTRIES)


def test_every_line_has_the_shape_of_its_kind() -> None:
    ids = {(draft.signers[0], draft.reference): "00" * 32 for draft in drafts()}
    for draft in drafts():
        parse_data(decode_body(complete_body(draft, 5, ids)))


def test_lines_are_in_the_order_of_time() -> None:
    times = [draft.occurred_at or 0 for draft in drafts()]
    assert times == sorted(times)
    assert times[-1] - times[0] < 7 * 86_400_000


def test_consumers_are_commitments_only() -> None:
    text = WEEK.read_text("utf-8")
    openings = [json.loads(line) for line in text.splitlines() if '"prepaid.open"' in line]
    commitments = {line["data"]["consumer"] for line in openings}
    streams = {line["stream"] for line in openings}
    assert len(commitments) == len(streams), "two contracts share a commitment"
    assert not {"phone", "name", "id_number"} & {key for line in openings for key in line["data"]}


def test_the_contracts_apply_all_but_what_is_meant_to_be_refused(tmp_path: Path) -> None:
    """Executed round by round on a chain of one, as the network executes it."""
    from cli.submission import plan_rounds
    from contracts.execution import execute_block, parse_candidate
    from ledger.signing import SeedSigner
    from ledger.transaction import compute_tx_id, decode_transaction, sign_transaction
    from node.ledger_store import open_ledger
    from storage.files import DiskDirectory
    from storage.memory import MemoryStore

    made = StoredChain(tmp_path / "net")
    made.append(registrations(made.state))
    store, chain = open_ledger(DiskDirectory(made.home.chain), MemoryStore(), made.genesis)
    seeds = {who.party: SeedSigner(bytes.fromhex(who.seed)) for who in made.state.submitters}
    ids: dict[tuple[str, str], str] = {}
    codes: Counter[str] = Counter()
    items = drafts()
    for places in plan_rounds(items):
        candidates = []
        time_ms = chain.header.time_ms + 1
        for draft in (items[place] for place in places):
            body = complete_body(draft, time_ms + 1000, ids)
            ids.setdefault((draft.signers[0], draft.reference), compute_tx_id(body).hex())
            signers = [seeds[party] for party in draft.signers]
            raw = sign_transaction(body, made.genesis.chain_id, signers)
            candidates.append(parse_candidate(decode_transaction(raw)))
        block = execute_block(chain, time_ms, candidates, proposer=0, rule_pack_version=1)
        codes.update(outcome.code for outcome in block.outcomes)
        store.commit(block, b"", chain.log)
        chain.adopt(block)
    assert dict(codes - Counter({"": codes[""]})) == REFUSED
    assert codes[""] == len(items) - sum(REFUSED.values())
