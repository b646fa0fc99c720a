"""Contracts under the law and nodes without their old blocks: they execute and vote as the others.

`refund.computed` reads every earlier entry of its contract. So these must be at hand on a node that
began with a snapshot, and on one whose archive is not mounted.
"""

from __future__ import annotations

import gc
import random
import tracemalloc
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from api.ports import NotCertified, NotFound, TooLong
from contracts.lifecycle import AFTERLIFE_MS
from contracts.lookback import may_look_back
from ledger.block import TransactionEntry, decode_entry, encode_header_entry
from ledger.snapshot import (
    Chunk,
    KeptChunk,
    KeptRow,
    ReferenceChunk,
    StreamChunk,
    decode_chunk,
    read_kept,
    read_rows,
)
from ledger.wire import encode
from node.effects import PeerChanged
from node.kept_entries import drop_ended, keep_before, verify_entries
from node.queries import Queries, _read_both
from node.schedules import Schedules
from node.snapshot_export import freeze
from node.snapshot_files import Base
from node.snapshot_index import build_index
from node.stream_walk import USUAL_BYTES, StreamWalk
from sim.deployment import REPLAY_WINDOW_MS
from sim.disk import VirtualDirectory
from storage.archive import HEAD_BYTES, ArchivedFile, ArchivedSegments, NotMounted
from storage.chain import ChainStore, NotHeld
from storage.files import Damaged
from storage.memory import MemoryStore
from storage.rows import APPLIED_KEY
from tests.node.driving import Machine
from tests.node.lives import AS_OF, CARD, Lives, members, old_lives
from tests.node.snapshotting import JOINER, Joiner, join, make_snapshot
from tests.node.test_snapshot_export import Export
from verifier.verify import verify_evidence

COMPUTED = {"as_of": AS_OF}


def heads(network: Lives) -> set[bytes]:
    return {each.driver.chain.header_hash for each in network.machines if network.is_up(each)}


def isolate(network: Lives, number: int) -> None:
    """Nothing leaves or reaches one machine any more."""
    network.down = frozenset({number})
    network.loses = lambda sender, receiver, _frame: number in (sender, receiver)
    for machine in network.machines:
        if machine.number != number:
            machine.step(PeerChanged(number, False))


def queries(machine: Machine) -> Queries:
    driver = machine.driver
    return Queries(
        SimpleNamespace(  # type: ignore[arg-type]
            disk=SimpleNamespace(store=machine.store), chain=driver.chain, driver=driver
        )
    )


def kept_ids(machine: Machine) -> set[bytes]:
    return {entry.tx_id for entry in machine.store.chain_store.scan_kept()}


def test_a_node_that_joined_computes_what_is_owed_from_entries_older_than_its_base() -> None:
    network = old_lives()
    machine = join(network)
    assert machine.driver.chain.tree.root == network.machines[0].driver.chain.tree.root
    first = network.machines[0].store.chain_store.transaction(bytes.fromhex(network.notice))
    assert first is not None
    assert first.height < machine.begins.height, "its contract is older than what it holds"
    with pytest.raises(NotHeld):
        machine.store.block(first.height)
    network.grow(4)
    assert heads(network) == {machine.driver.chain.header_hash}
    isolate(network, 1)  # with one of four gone the network needs its vote
    assert not network.attempt("notice.arrived", CARD, {"of": network.notice}, "m-1").refused
    computed = network.attempt("refund.computed", CARD, COMPUTED, "c-1")
    assert computed.code == ""
    assert dict(computed.effects)["facts"] == 9
    assert dict(computed.effects)["due_high"] == network.card(machine).due_high
    again = network.attempt("findings.computed", CARD, {**COMPUTED, "packs": []}, "c-1")
    assert again.code == ""
    assert heads(network) == {machine.driver.chain.header_hash}
    assert machine.voted()


def test_a_life_goes_on_the_same_on_a_node_that_joined() -> None:
    """Every entry the life goes on with gives the same root, and so do those of a new contract."""
    network = old_lives()
    machine = join(network)
    network.grow(4)
    network.must("dispute.opened", CARD, {"matter": "closed-shop", "note_hash": "cd" * 32}, "c-1")
    frozen = network.must("funds.frozen", CARD, {
        "amount": 100, "authority": "court", "document": "1", "legal_basis": "art. 106",
        "until": None,
    }, "bank-1", "bank-2")  # fmt: skip
    network.must("funds.unfrozen", CARD, {"of": frozen}, "bank-1", "bank-2")
    network.must("refund.computed", CARD, COMPUTED, "bank-0")
    due = network.card(machine).due_high
    pay = {"amount": 80_000, "payee": "ab" * 32, "source": "custody"}
    network.must("refund.paid", CARD, pay, "bank-0")
    assert network.card(machine).owed == due - 80_000
    other = network.attempt("delivery.answered", "contract/card-2", {
        "answer": "confirmed", "of": network.notice,
    }, "c-1")  # fmt: skip
    assert other.code == "unknown_contract"
    foreign = network.attempt("notice.arrived", CARD, {"of": "ab" * 32}, "m-1")
    assert foreign.code == "unknown_entry"
    assert heads(network) == {machine.driver.chain.header_hash}
    for each in network.machines:
        assert verify_entries(each.store, each.driver.chain.header.time_ms)[1] > 10


async def test_a_node_that_joined_serves_the_whole_case() -> None:
    network = old_lives()
    machine = join(network)
    network.grow(4)
    network.must("refund.computed", CARD, COMPUTED, "c-1")
    network.grow(1)
    with_blocks = await queries(network.machines[0]).history("card-1")
    joined = await queries(machine).history("card-1")
    assert members(joined) == members(with_blocks)
    report = verify_evidence(joined, network.deployment.genesis.chain_id)
    assert report.is_consistent, report
    assert members(joined)["kind"] == "case"
    assert report.steps[13].result.value == "ok"


async def test_what_is_heaped_up_in_a_merchants_stream_hides_no_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refused attempts there are not even read; too much that was applied costs only the papers."""
    network = old_lives()
    network.must("refund.computed", CARD, COMPUTED, "c-1")
    count = network.machines[0].driver.chain.stream(CARD).count
    monkeypatch.setattr("node.queries.HISTORY_ENTRIES_MAX", count)
    for _ in range(count + 1):
        assert network.attempt("risk.declared", "merchant/m-1", {}, "c-1").refused
    network.grow(1)
    asked = queries(network.machines[0])
    assert members(await asked.history("card-1"))["kind"] == "case"
    for _ in range(count + 1):
        network.must("closing.notified", "merchant/m-1", {"effective": "2026-03-01"}, "m-1")
    network.grow(1)
    raw = await asked.history("card-1")
    assert verify_evidence(raw, network.deployment.genesis.chain_id).is_consistent
    document = msgspec.json.decode(raw)
    assert (document["kind"], len(document["entries"])) == ("history", count)
    monkeypatch.setattr("node.queries.HISTORY_ENTRIES_MAX", count - 1)
    with pytest.raises(TooLong) as too_long:
        await asked.history("card-1")
    assert str(too_long.value) == (
        f"{CARD} has {count} entries; a history holds at most {count - 1}: "
        "ask for shorter windows, one after another"
    )


async def test_what_is_made_of_few_large_entries_is_made_beside_other_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand of 32 KiB take as long as thirty thousand usual ones."""
    network = old_lives()
    for _ in range(8):
        document = {"a": ["x" * 10_000] * 3}
        assert network.attempt("terms.publish", CARD, {"document": document}, "c-1").refused
    network.grow(1)
    weights: list[int] = []

    async def watched(weight: int, work: Callable[[], bytes]) -> bytes:
        weights.append(weight)
        return work()

    monkeypatch.setattr("node.queries.work_aside", watched)
    raw = await queries(network.machines[0]).history("card-1")
    assert verify_evidence(raw, network.deployment.genesis.chain_id).is_consistent
    assert weights[0] >= 8 * 30_000 // USUAL_BYTES + len(msgspec.json.decode(raw)["entries"])


async def test_a_walk_takes_memory_in_proportion_to_the_bytes_that_are_counted() -> None:
    """A byte or two of JSON may make an object of seventy; whoever is refused may send many."""
    network = old_lives()
    for _ in range(8):
        document = {"a": [{}] * 10_000}
        attempt = network.attempt("terms.publish", CARD, {"document": document}, "c-1")
        assert attempt.refused
    network.grow(1)
    asked = queries(network.machines[0])
    walk = StreamWalk(CARD, _read_both)
    tracemalloc.start()
    try:
        async with asked.walk(walk):
            gc.collect()
            taken_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert walk.held_bytes > 8 * 30_000
    assert taken_bytes < 3 * walk.held_bytes
    raw = await asked.history("card-1")
    assert verify_evidence(raw, network.deployment.genesis.chain_id).is_consistent


async def test_a_line_that_waits_for_its_turn_holds_nothing_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = old_lives()
    network.grow(1)
    asked = queries(network.machines[0])
    walks: list[weakref.ref[StreamWalk[Any]]] = []
    left: list[StreamWalk[Any] | None] = []

    def make_walk(*given: Any, **named: Any) -> StreamWalk[Any]:
        walk: StreamWalk[Any] = StreamWalk(*given, **named)
        walks.append(weakref.ref(walk))
        return walk

    async def not_yet(_height: int) -> tuple[bytes, int]:
        monkeypatch.undo()
        monkeypatch.setattr("node.schedules.asyncio.sleep", sleep)
        raise NotCertified("not certified yet", "尚未认证", 1)

    async def sleep(_seconds: float) -> None:
        left.extend([each() for each in walks])
        monkeypatch.undo()

    monkeypatch.setattr("node.queries.StreamWalk", make_walk)
    monkeypatch.setattr(asked, "certified_checkpoint", not_yet)
    line = await Schedules(asked._shell, asked)._make_line("card-1")
    assert members(line)["kind"] == "case"
    assert left == [None, None]


async def test_what_it_does_not_keep_it_refuses_by_name_as_before() -> None:
    network = old_lives()
    plain = network.attempt("prepaid.open", "contract/plain", {
        "consumer": "ab" * 32, "custodian": "bank-0", "industry": "fitness", "merchant": "m-1",
        "terms_hash": "cd" * 32,
    }, "m-1")  # fmt: skip
    assert not plain.refused
    network.grow(1)
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(3)
    network.snapshot()
    machine = join(network)
    with pytest.raises(NotFound) as refused:
        await queries(machine).history("plain")
    assert str(refused.value) == (
        "1 of the 1 entries of contract/plain is not held here: this node began with a snapshot "
        f"and holds blocks from {machine.begins.height} and entries from "
        f"{machine.begins.log_size} on; ask another node"
    )
    assert refused.value.detail_zh == (
        "contract/plain 的 1 个条目中有 1 个不在本节点：本节点自快照开始，只存有高度 "
        f"{machine.begins.height} 起的区块和序号 {machine.begins.log_size} 起的条目；"
        "请向其他节点查询"
    )
    assert await queries(network.machines[0]).history("plain")


def test_the_index_of_a_joined_node_is_built_again_and_executes() -> None:
    network = old_lives()
    machine = join(network)
    network.grow(4)
    network.must("refund.computed", CARD, COMPUTED, "c-1")
    before = dict(machine.index.scan(b"\x00", b"\xff"))
    joined = Base(network_base(network))
    machine.index = MemoryStore()
    build_index(joined, machine.segments, machine.index)
    machine.start()
    again = dict(machine.index.scan(b"\x00", b"\xff"))
    for prefix in (b"e", b"g", b"k", b"r", b"s", b"t"):
        assert {key: row for key, row in again.items() if key[:1] == prefix} == {
            key: row for key, row in before.items() if key[:1] == prefix
        }
    assert heads(network) == {machine.driver.chain.header_hash}


def network_base(network: Lives) -> VirtualDirectory:
    """Fetch the newest snapshot again, as the base that the joined node keeps."""
    joiner = Joiner(network)
    joiner.begin()
    joiner.run()
    return joiner.directory


def test_a_snapshot_is_the_same_on_all_nodes_also_on_one_that_joined() -> None:
    network = old_lives()
    assert len({machine.shelf.offers()[-1] for machine in network.machines[:JOINER]}) == 1
    join(network)
    network.grow(4)
    network.must("refund.computed", CARD, COMPUTED, "c-1")
    network.snapshot()
    assert len({machine.shelf.offers()[-1] for machine in network.machines}) == 1
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(3)
    network.snapshot()
    assert len({machine.shelf.offers()[-1] for machine in network.machines}) == 1


def test_a_second_node_joins_from_one_that_joined() -> None:
    network = old_lives()
    join(network)
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(4)
    network.snapshot()
    machine = join(network)
    network.grow(4)
    network.must("refund.computed", CARD, COMPUTED, "c-1")
    assert heads(network) == {machine.driver.chain.header_hash}


# What a snapshot carries


def kept_rows(machine: Machine) -> list[KeptRow]:
    chain = machine.driver.chain
    frozen = freeze(machine.store, chain.header, chain.limits)
    rows = [row for row in frozen.rows() if isinstance(row, KeptRow)]
    frozen.close()
    return rows


def test_a_snapshot_carries_what_later_blocks_may_read_and_nothing_else() -> None:
    network = old_lives()
    machine = network.machines[0]
    chain = machine.driver.chain
    streams = [name for name, _ in machine.store.chain_store.scan_state()]
    expected = {
        name: chain.stream(name).count
        for name in streams
        if may_look_back(name, chain.stream(name), chain.header.time_ms)
    }
    carried: dict[str, list[int]] = {}
    for row in kept_rows(machine):
        position, _, stream, _ = read_kept(row)
        carried.setdefault(stream, []).append(position)
        height = decode_entry(row.entry).height
        assert row.time_ms == machine.store.header(height).time_ms
    assert {name: len(found) for name, found in carried.items()} == {
        name: count for name, count in expected.items() if count
    }
    assert list(carried) == sorted(carried) == ["contract/c-1", CARD, "merchant/m-1"]
    for positions in carried.values():
        assert positions == sorted(positions, reverse=True)
    for name in ("terms/hair-card", "party/m-1", f"signed/{CARD}", "custodian/bank-0"):
        assert name in streams, "its state comes along"
        assert name not in carried, "and its entries do not"


def joined_base() -> tuple[Base, VirtualDirectory, list[Chunk]]:
    network = old_lives()
    joiner = Joiner(network)
    joiner.begin()
    joiner.run()
    base = Base(joiner.directory)
    return base, joiner.segments, [decode_chunk(chunk) for chunk in base.chunks()]


def forge_kept(change: Callable[[list[KeptRow]], list[KeptRow]]) -> str:
    """Say why a snapshot whose entries were changed is refused; nothing of it counts."""
    base, segments, chunks = joined_base()
    rows = [row for chunk in chunks if isinstance(chunk, KeptChunk) for row in chunk.rows]
    forged: list[Chunk] = [chunk for chunk in chunks if not isinstance(chunk, KeptChunk)]
    if changed := change(list(rows)):
        forged.append(KeptChunk(changed))
    base.chunks = lambda: iter([encode(chunk) for chunk in forged])  # type: ignore[method-assign]
    index = MemoryStore()
    with pytest.raises(Damaged) as told:
        build_index(base, segments, index)
    assert index.get(APPLIED_KEY) is None, "nothing counts as applied"
    prefix = "base, offset 0: its rows are refused: "
    assert str(told.value).startswith(prefix)
    return str(told.value).removeprefix(prefix)


def of_card(rows: list[KeptRow]) -> list[int]:
    return [at for at, row in enumerate(rows) if read_kept(row)[2] == CARD]


def altered(rows: list[KeptRow]) -> list[KeptRow]:
    """The role in which an event was attested is another."""
    at = next(at for at in of_card(rows) if rows[at].entry.endswith(b"consumer"))
    rows[at] = KeptRow(rows[at].time_ms, rows[at].entry.removesuffix(b"consumer") + b"merchant")
    return rows


def test_entries_that_are_not_the_streams_are_refused_by_name() -> None:
    def without_newest(rows: list[KeptRow]) -> list[KeptRow]:
        del rows[of_card(rows)[0]]
        return rows

    def without_last(rows: list[KeptRow]) -> list[KeptRow]:
        return rows[:-1]

    def twice(rows: list[KeptRow]) -> list[KeptRow]:
        return [*rows, rows[-1]]

    def swapped(rows: list[KeptRow]) -> list[KeptRow]:
        one, two = of_card(rows)[1:3]
        rows[one], rows[two] = rows[two], rows[one]
        return rows

    def doubled(rows: list[KeptRow]) -> list[KeptRow]:
        one, two = of_card(rows)[1:3]
        rows[two] = rows[one]
        return rows

    _, _, chunks = joined_base()
    rows = [row for chunk in chunks if isinstance(chunk, KeptChunk) for row in chunk.rows]
    card = of_card(rows)
    count = len(card)
    after = read_kept(rows[card[-1] + 1])
    last = read_kept(rows[-1])
    assert forge_kept(without_newest) == (
        f"bad_field: snapshot: entry {after[0]} of stream {after[2]} stands where 1 of the {count} "
        f"entries of stream {CARD} are missing"
    )
    assert forge_kept(without_last) == (
        f"bad_field: snapshot: 1 of the {last_count(rows)} entries of stream {last[2]} are missing"
    )
    assert forge_kept(lambda _: []) == (
        f"bad_field: snapshot: {card[0]} of the {card[0]} entries of stream contract/c-1 are "
        "missing"
    )
    assert forge_kept(twice) == (
        f"bad_field: snapshot: entry {last[0]} of stream {last[2]} is one too many: no later block "
        "reads that stream's entries, or they have all come"
    )
    for change in (altered, swapped, doubled):
        assert forge_kept(change) == (
            f"root_mismatch: snapshot: the {count} entries given for stream {CARD} do not give "
            "its root"
        )


def last_count(rows: list[KeptRow]) -> int:
    last = read_kept(rows[-1])[2]
    return sum(read_kept(row)[2] == last for row in rows)


def test_entries_before_other_rows_and_rows_of_no_transaction_are_refused() -> None:
    _, segments, chunks = joined_base()
    base, _, _ = joined_base()
    kept = next(chunk for chunk in chunks if isinstance(chunk, KeptChunk))
    references = next(chunk for chunk in chunks if isinstance(chunk, ReferenceChunk))
    assert isinstance(chunks[0], StreamChunk)
    forged = [encode(chunk) for chunk in (chunks[0], kept, references)]
    base.chunks = lambda: iter(forged)  # type: ignore[method-assign]
    with pytest.raises(Damaged, match="its rows are refused: bad_field: snapshot: row b'"):
        build_index(base, segments, MemoryStore())
    header = encode_header_entry(base.header)
    assert forge_kept(lambda rows: [KeptRow(1, header), *rows]) == (
        f"bad_field: snapshot: entry {base.header.index} is no transaction"
    )

    def unreadable(rows: list[KeptRow]) -> list[KeptRow]:
        entry = decode_entry(rows[0].entry)
        assert isinstance(entry, TransactionEntry)
        envelope = msgspec.structs.replace(entry.envelope, body=b"{")
        rows[0] = KeptRow(1, encode(msgspec.structs.replace(entry, envelope=envelope)))
        return rows

    newest = decode_entry(kept.rows[0].entry).index
    assert forge_kept(unreadable) == (
        f"malformed: snapshot: the body of entry {newest} cannot be read"
    )


def test_an_entry_twice_as_long_as_a_chunk_splits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.snapshot.CHUNK_BYTES", 300)
    network = Lives()
    network.start(*range(JOINER))
    network.begin_life()
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(3)
    network.snapshot()
    joiner = Joiner(network)
    joiner.begin()
    joiner.run()
    chunks = list(Base(joiner.directory).chunks())
    kept = [chunk for chunk in map(decode_chunk, chunks) if isinstance(chunk, KeptChunk)]
    assert len(kept) > 5
    assert [row for chunk in kept for row in chunk.rows] == [
        row for row in read_rows(chunks) if isinstance(row, KeptRow)
    ]
    machine = joiner.install()
    machine.start(is_recovering=True)
    assert kept_ids(machine)


# Contracts that are over


def end_life(network: Lives) -> None:
    """Pay everything back, close `CARD`, and let its afterlife pass."""
    network.must("refund.computed", CARD, COMPUTED, "bank-0")
    locked = network.card(network.machines[0]).locked
    network.must("funds.released", CARD, {"amount": locked}, "bank-0")
    network.must("contract.closed", CARD, {}, "bank-0")


def test_what_is_over_is_carried_no_more_and_its_rows_are_dropped() -> None:
    network = old_lives()
    machine = join(network)
    network.grow(4)
    end_life(network)
    network.grow(1)
    closed = {row.entry for row in kept_rows(network.machines[0])}
    network.now_ms += AFTERLIFE_MS + REPLAY_WINDOW_MS
    network.grow(3)
    late = network.attempt("notice.arrived", CARD, {"of": network.notice}, "m-1")
    assert late.code == "contract_over"
    assert network.attempt("findings.computed", CARD, {**COMPUTED, "packs": []}, "c-1").code == (
        "contract_over"
    )
    paid = {"amount": 1, "payee": "ab" * 32, "source": "merchant"}
    assert network.attempt("refund.paid", CARD, paid, "bank-0").code == "", "that may still come"
    time_ms = machine.driver.chain.header.time_ms
    before = kept_ids(machine)
    carried = {read_kept(row)[2] for row in kept_rows(machine)}
    assert CARD not in carried
    assert len(closed) > 10
    assert sum(drop_ended(machine.store, time_ms)) == 7
    dropped = before - kept_ids(machine)
    assert bytes.fromhex(network.notice) in dropped
    assert sum(drop_ended(machine.store, time_ms)) == 0
    assert network.attempt("contract.signed", "contract/none", {}, "m-1").refused
    network.grow(1)
    network.snapshot()
    assert len({each.shelf.offers()[-1] for each in network.machines}) == 1
    assert heads(network) == {machine.driver.chain.header_hash}


async def test_the_next_snapshot_drops_what_is_over() -> None:
    network = old_lives()
    machine = join(network)
    network.grow(4)
    end_life(network)
    network.now_ms += AFTERLIFE_MS + 1_000
    network.grow(2)
    other = len(kept_ids(machine)) - 7
    export = Export(machine)
    export.export.block_applied(machine.driver.chain.header)
    await export.finish()
    assert [text for _, text in export.said][1:] == [
        "dropped 7 kept entries of contracts that are over"
    ]
    assert len(kept_ids(machine)) == other
    assert export.shelf.heights == [machine.height]


async def test_the_history_of_one_whose_rows_are_dropped_is_refused_by_name() -> None:
    network = old_lives()
    machine = join(network)
    network.grow(4)
    end_life(network)
    network.now_ms += AFTERLIFE_MS + 1_000
    network.grow(2)
    assert await queries(machine).history("card-1")
    assert sum(drop_ended(machine.store, machine.driver.chain.header.time_ms))
    count = machine.driver.chain.stream(CARD).count
    with pytest.raises(NotFound) as refused:
        await queries(machine).history("card-1")
    assert str(refused.value).startswith(
        f"7 of the {count} entries of contract/card-1 is not held here: this node began with a "
        "snapshot"
    )


# An archive that is not mounted


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = ChainStore.open.__func__.__kwdefaults__  # type: ignore[attr-defined]
    monkeypatch.setitem(defaults, "segment_bytes", 100)


def archive(machine: Machine, archive: VirtualDirectory | None, *, keeps: bool = True) -> int:
    """Move all sealed segments that are older than the replay window; return the height kept from.

    The machine then goes on with them at hand (`archive`) or not.
    """
    store = machine.store.chain_store
    header = machine.driver.chain.header
    movable = [
        sealed
        for sealed in store.segments.sealed()
        if store.block_position(sealed.last_height).time_ms < header.time_ms - REPLAY_WINDOW_MS
    ]
    height = movable[-1].last_height + 1
    if keeps:
        keep_before(machine.store, height, header.time_ms)
    here = machine.segments
    moved = []
    for sealed in movable:
        raw = here.pread(sealed.name, 0, here.size(sealed.name))
        head = raw[:HEAD_BYTES].hex()
        moved.append(ArchivedFile(sealed.name, len(raw), "", head, sealed.last_height))
        if archive is not None:
            archive.create(sealed.name)
            archive.pwrite(sealed.name, 0, raw)
        here.remove(sealed.name)
    machine.segments = ArchivedSegments(here, archive, moved, "/archive")  # type: ignore[assignment]
    return height


def restart(network: Lives, machine: Machine) -> None:
    machine.start()
    for other in network.machines:
        if other is not machine and network.is_up(other):
            machine.step(PeerChanged(other.number, True))


@pytest.mark.usefixtures("small_segments")
def test_without_its_archive_a_node_computes_what_is_owed() -> None:
    network = old_lives()
    machine = network.machines[2]
    height = archive(machine, None)
    restart(network, machine)
    with pytest.raises(NotMounted):
        machine.store.block(height - 1)
    assert machine.store.chain_store.kept_before == height
    assert not network.attempt("notice.arrived", CARD, {"of": network.notice}, "m-1").refused
    assert network.attempt("refund.computed", CARD, COMPUTED, "c-1").code == ""
    assert len(heads(network)) == 1, "with three of four up every vote is needed"
    assert kept_ids(machine)
    network.snapshot()
    assert len({each.shelf.offers()[-1] for each in network.machines[:JOINER]}) == 1


@pytest.mark.usefixtures("small_segments")
def test_nobody_stops_a_node_with_the_name_of_an_entry_in_its_archive() -> None:
    """Naming any old entry in an event of a living contract must not make a node read it."""
    network = old_lives()
    machine = network.machines[2]
    published = network.machines[0].driver.chain.stream("terms/hair-card").newest
    archive(machine, None)
    restart(network, machine)
    with pytest.raises(NotMounted):
        machine.store.read_entry(published)
    outcome = network.attempt("notice.arrived", CARD, {"of": published.hex()}, "m-1")
    assert outcome.code == "unknown_entry"
    assert len(heads(network)) == 1


@pytest.mark.usefixtures("small_segments")
async def test_without_its_archive_a_node_serves_the_case_of_a_living_contract() -> None:
    network = old_lives()
    machine = network.machines[2]
    archive(machine, None)
    restart(network, machine)
    network.must("refund.computed", CARD, COMPUTED, "c-1")
    network.grow(1)
    with_blocks = await queries(network.machines[0]).history("card-1")
    assert members(await queries(machine).history("card-1")) == members(with_blocks)


@pytest.mark.usefixtures("small_segments")
def test_an_index_that_is_lost_gets_its_rows_from_the_archive_again() -> None:
    network = old_lives()
    machine = network.machines[2]
    place = VirtualDirectory("archive")
    height = archive(machine, place)
    rows = kept_ids(machine)
    machine.index = MemoryStore()
    restart(network, machine)
    time_ms = machine.driver.chain.header.time_ms
    assert not kept_ids(machine)
    assert keep_before(machine.store, height, time_ms) == len(rows)
    assert kept_ids(machine) == rows
    assert keep_before(machine.store, height, time_ms) == 0, "and once is enough"
    network.must("refund.computed", CARD, COMPUTED, "c-1")
    assert len(heads(network)) == 1


@pytest.mark.usefixtures("small_segments")
def test_rows_that_only_an_unmounted_archive_has_are_asked_for_by_name() -> None:
    network = old_lives()
    machine = network.machines[2]
    height = archive(machine, None, keeps=False)
    restart(network, machine)
    with pytest.raises(NotMounted) as missing:
        keep_before(machine.store, height, machine.driver.chain.header.time_ms)
    assert str(missing.value) == (
        f"{height - 1:08d}.segment was moved to the archive, which is not mounted at /archive "
        "(no ARCHIVE of this chain is there); "
        f"blocks from {height} on are held here"
    )
    assert machine.store.chain_store.kept_before == 0


@pytest.mark.usefixtures("small_segments")
def test_a_node_that_joined_moves_its_own_blocks_to_an_archive_too() -> None:
    network = old_lives()
    machine = join(network)
    network.grow(4)
    network.must("service.resumed", CARD, {}, "m-1")
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(4)
    archive(machine, None)
    restart(network, machine)
    isolate(network, 1)
    assert network.attempt("refund.computed", CARD, COMPUTED, "c-1").code == ""
    assert len(heads(network)) == 1
    for each in network.machines:
        if network.is_up(each):
            make_snapshot(each)
    assert len({network.machines[n].shelf.offers()[-1] for n in (0, 2, 3)}) == 1


@pytest.mark.usefixtures("small_segments")
def test_a_crash_at_any_write_of_the_rows_is_made_good_by_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from storage.files import StorageFailure
    from storage.memory import Fault

    monkeypatch.setattr("node.kept_entries.BATCH_BYTES", 1)
    network = old_lives()
    machine = network.machines[2]
    store, time_ms = machine.store, machine.driver.chain.header.time_ms
    height = machine.driver.chain.header.height - 1
    crashes = 0
    while True:
        fault = random.Random(crashes).choice([Fault.FAILS, Fault.FAILS_AFTERWARDS])
        machine.index.plan_faults(*[None] * crashes, fault)
        try:
            keep_before(store, height, time_ms)
            break
        except StorageFailure:
            machine.index.reopen()
        crashes += 1
        assert store.chain_store.kept_before in (0, height)
        if store.chain_store.kept_before == height:
            break
    assert crashes > 5
    assert store.chain_store.kept_before == height
    needed = {
        read_kept(row)[1] for row in kept_rows(machine) if decode_entry(row.entry).height < height
    }
    assert kept_ids(machine) == needed


def test_a_row_that_rots_is_found_by_the_roots() -> None:
    network = old_lives()
    machine = join(network)
    time_ms = machine.driver.chain.header.time_ms
    streams, count = verify_entries(machine.store, time_ms)
    assert (streams, count > 10) == (3, True)
    tx_id = bytes.fromhex(network.notice)
    row = machine.index.get(b"e" + tx_id)
    assert row is not None
    machine.index.write([(b"e" + tx_id, row[:-1] + bytes([row[-1] ^ 1]))])
    with pytest.raises(Damaged) as told:
        verify_entries(machine.store, time_ms)
    assert told.value.what == f"the entries of {CARD} do not give its root"
    machine.index.write([], [b"e" + tx_id])
    with pytest.raises(Damaged, match=f"lacks [0-9]+ of the [0-9]+ entries of {CARD}"):
        verify_entries(machine.store, time_ms)
