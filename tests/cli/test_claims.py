"""A node's answer of claims, from what it has stored: the file verifies, the refusals are whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.ports import NotFound, Unavailable
from cli.drafts import Draft
from ledger.evidence import SCHEDULE_START
from node.config import load_config
from node.ledger_store import open_ledger
from node.queries import Queries
from node.schedules import SCHEDULES_MAX, SCHEDULES_OF_READER_MAX, Schedules
from node.server import open_keyvalue
from storage.files import DiskDirectory
from tests.cli.running import StoredChain, opening, registrations
from tests.contracts.life_world import LOCKED, PERSONS, hash_of, load
from verifier.verify import verify_evidence

READER = "auditor"
TERMS = load("terms/hair-card.v1.json")


def signing(contract: str, merchant: str) -> Draft:
    data = {
        "card": "named",
        "custodian": "bank-a",
        "merchant": merchant,
        "persons": PERSONS,
        "prompted": [],
        "terms": hash_of(TERMS),
    }
    return Draft("contract.signed", data, f"contract/{contract}", f"sign-{contract}", [merchant])


def paying(contract: str, amount: int) -> Draft:
    data = LOCKED | {"amount": amount}
    return Draft("funds.locked", data, f"contract/{contract}", f"pay-{contract}", ["bank-a"])


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[tuple[Any, bytes]]:
    """A stored chain: five contracts of m-yoga, one of another, one plain; and its id."""
    made = StoredChain(tmp_path / "net")
    parties = [who.party for who in made.state.submitters if who.role == "merchant"]
    other = next(party for party in parties if party != "m-yoga")
    contracts = [f"k-{at}" for at in range(5)]
    publish = Draft(
        "terms.publish", {"document": TERMS}, "terms/hair-card", "publish-terms", ["bank-a"]
    )
    made.append(
        registrations(made.state),
        [publish],
        [*[signing(contract, "m-yoga") for contract in contracts], signing("of-other", other)],
        [*[paying(each, 100 * (at + 1)) for at, each in enumerate(contracts)], opening("plain")],
    )
    directory = DiskDirectory(made.home.chain)
    keyvalue = open_keyvalue(made.home.index, load_config(made.home).storage)
    store, chain = open_ledger(directory, keyvalue, made.genesis)
    driver = SimpleNamespace(identity=SimpleNamespace(genesis=made.genesis))
    disk = SimpleNamespace(store=store)
    yield SimpleNamespace(disk=disk, chain=chain, driver=driver), made.genesis.chain_id
    store.chain_store.close()
    directory.close()


@pytest.fixture
def node(stored: tuple[Any, bytes]) -> tuple[Queries, bytes]:
    """Queries over it."""
    shell, chain_id = stored
    return Queries(shell), chain_id


@pytest.fixture
def maker(stored: tuple[Any, bytes]) -> tuple[Schedules, bytes]:
    """The schedules made of it."""
    shell, chain_id = stored
    return Schedules(shell, Queries(shell)), chain_id


async def test_a_consumers_own_claim(node: tuple[Queries, bytes]) -> None:
    queries, chain_id = node
    report = verify_evidence(await queries.liabilities(["k-3"], is_shown=True), chain_id)
    assert report.is_consistent, report.failed
    assert report.facts["shown"] == ["contract/k-3"]
    assert report.facts["claims_fen"] == {"locked": 400, "owed": 0}
    assert report.facts["total_fen"] == {"locked": 1500, "owed": 0}
    assert report.facts["contracts"] == 5


async def test_a_class_in_any_order_and_unnamed(node: tuple[Queries, bytes]) -> None:
    queries, chain_id = node
    raw = await queries.liabilities(["k-4", "k-0"], is_shown=False)
    report = verify_evidence(raw, chain_id)
    assert report.is_consistent, report.failed
    assert report.facts["claims"] == 2
    assert report.facts["claims_fen"] == {"locked": 600, "owed": 0}
    assert [claim["shown"] for claim in json.loads(raw)["claims"]] == [None, None]


@pytest.mark.parametrize(
    ("contracts", "sentence"),
    [
        (["k-9"], "no contract under terms was signed as contract/k-9"),
        (["plain"], "no contract under terms was signed as contract/plain"),
        (
            ["k-0", "of-other"],
            "the contracts are of 2 merchants (m-yoga, {other}), and a total is one merchant's",
        ),
    ],
)
async def test_what_is_in_no_one_total(
    node: tuple[Queries, bytes], contracts: list[str], sentence: str
) -> None:
    queries, _ = node
    with pytest.raises(NotFound) as caught:
        await queries.liabilities(contracts, is_shown=False)
    view = queries.contract("contract/of-other")
    assert view is not None
    assert str(caught.value) == sentence.format(other=view.merchant)


async def test_a_merchants_schedule(maker: tuple[Schedules, bytes]) -> None:
    """Every contract under terms, and no other merchant's, and no plain one."""
    schedules, chain_id = maker
    raw = b"".join([line async for line in await schedules.schedule("m-yoga", READER)])
    report = verify_evidence(raw, chain_id)
    assert report.is_consistent, report.failed
    rows: Any = report.facts["schedule"]
    assert [row["contract"] for row in rows] == [f"k-{at}" for at in range(5)]
    assert report.facts["schedule_fen"] == {
        "locked": 1500, "owed": 0, "paid": 1500, "refunded": 0, "released": 0,
    }  # fmt: skip


async def test_a_schedule_of_many_batches(
    maker: tuple[Schedules, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules, chain_id = maker
    monkeypatch.setattr("node.schedules.SCHEDULE_AT_ONCE", 2)
    raw = b"".join([line async for line in await schedules.schedule("m-yoga", READER)])
    assert verify_evidence(raw, chain_id).is_consistent


async def test_no_more_schedules_at_a_time_than_the_bound(
    maker: tuple[Schedules, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules, _ = maker
    monkeypatch.setattr("node.schedules.SCHEDULES_MAX", 1)
    first = await schedules.schedule("m-yoga", READER)
    assert (await anext(first)).startswith(SCHEDULE_START)
    with pytest.raises(Unavailable, match=r"^1 schedules are being made here already$"):
        await schedules.schedule("m-yoga", READER)
    await first.aclose()
    await schedules.schedule("m-yoga", READER)


async def test_no_more_schedules_than_the_bound_when_all_are_asked_for_at_once(
    maker: tuple[Schedules, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a place lost with a schedule of which nobody took a line."""
    schedules, _ = maker
    monkeypatch.setattr("node.schedules.SCHEDULES_MAX", 2)
    for _ in range(3):
        asked = [schedules.schedule("m-yoga", f"reader-{number}") for number in range(5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in answers].count(Unavailable) == 3
        answers.clear()
        for _ in range(3):
            await asyncio.sleep(0)  # the event loop closes what nobody goes on with
    assert b"".join([line async for line in await schedules.schedule("m-yoga", READER)])


async def test_no_reader_has_all_the_schedules(maker: tuple[Schedules, bytes]) -> None:
    schedules, _ = maker
    held = [await schedules.schedule("m-yoga", READER) for _ in range(SCHEDULES_OF_READER_MAX)]
    with pytest.raises(Unavailable) as unavailable:
        await schedules.schedule("m-yoga", READER)
    assert str(unavailable.value) == "2 schedules are being made here for auditor already"
    assert SCHEDULES_OF_READER_MAX < SCHEDULES_MAX
    held.append(await schedules.schedule("m-yoga", "regulator"))
    for each in held:
        await anext(each)
        await each.aclose()
    assert not schedules._under_way


async def test_a_long_record_is_a_line_made_alone(
    maker: tuple[Schedules, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight of the largest lines at once, of four schedules, would be gigabytes."""
    schedules, chain_id = maker
    making = most = 0
    history = schedules._queries.history

    async def watched(contract: str, *, is_line: bool = False) -> bytes:
        nonlocal making, most
        making += 1
        most = max(most, making)
        await asyncio.sleep(0)
        making -= 1
        return await history(contract, is_line=is_line)

    monkeypatch.setattr(schedules._queries, "history", watched)
    for entries_max, expected in ((1, 1), (4, 2), (100, 5)):
        most = 0
        monkeypatch.setattr("node.schedules.SCHEDULE_ENTRIES_AT_ONCE", entries_max)
        raw = b"".join([line async for line in await schedules.schedule("m-yoga", READER)])
        assert verify_evidence(raw, chain_id).is_consistent
        assert most == expected


async def test_a_schedule_of_nobody(maker: tuple[Schedules, bytes]) -> None:
    schedules, _ = maker
    with pytest.raises(NotFound, match=r"^merchant m-none has no contract under terms$"):
        await schedules.schedule("m-none", READER)
