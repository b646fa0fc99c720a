"""Streams full of refused attempts: every kind of node finds the applied entries, no others."""

from __future__ import annotations

import itertools

import pytest

from cli.inspection import identify_entry
from contracts import handling
from contracts.room import CONTRACT_ROOM
from contracts.streams import StreamState, decode_stream_state, walk_applied, walk_back
from ledger.hashing import ZERO_HASH, sha256
from ledger.snapshot import KeptEntryHead, KeptRow
from ledger.stream import encode_stored_stream
from ledger.transaction import Outcome, refused
from node.kept_entries import keep_before, verify_entries
from node.snapshot_files import Base
from node.snapshot_index import _link, build_index
from sim.deployment import REPLAY_WINDOW_MS
from storage.archive import NotMounted
from storage.audit import verify_chain
from storage.files import Damaged
from storage.memory import MemoryStore
from tests.node.driving import Machine
from tests.node.lives import CARD, Lives
from tests.node.snapshotting import JOINER, join
from tests.node.test_snapshot_contracts import (
    COMPUTED,
    archive,
    heads,
    isolate,
    network_base,
    restart,
    small_segments,
)

MERCHANT = "merchant/m-1"
STREAMS = (CARD, MERCHANT)


STRANGER = refused("not_entitled", ("signer", "c-2"))
TOO_EARLY = (
    refused("unknown_contract", ("stream", CARD)),
    refused("unknown_merchant", ("merchant", "m-1")),
)


def flood(
    network: Lives, count: int = 3, outcomes: tuple[Outcome, Outcome] = (STRANGER, STRANGER)
) -> None:
    """Have a consumer of other contracts try in vain, in both streams, what it may not."""
    for _ in range(count):
        stopped = network.attempt("service.stopped", CARD, {}, "c-2")
        declared = network.attempt("risk.declared", MERCHANT, {}, "c-2")
        assert (stopped, declared) == outcomes


def flooded_lives() -> Lives:
    """A contract's life among attempts: before the snapshot's blocks, in them, and at their end."""
    network = Lives()
    network.start(*range(JOINER))
    data = {"keys": [network.key("c-2").public_key.hex()], "party": "c-2", "role": "consumer"}
    network.must("party.register", "party/c-2", data, "bank-0")
    flood(network, 2, TOO_EARLY)
    network.begin_life()
    flood(network)
    network.must("cause.stated", CARD, {"cause": "merchant", "standing": "claim"}, "c-1")
    flood(network, 1)
    network.grow(1)
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(2)
    flood(network, 1)
    network.must("service.stopped", CARD, {}, "m-1")
    network.must("risk.lifted", MERCHANT, {}, "bank-1")
    flood(network, 1)
    network.grow(1)
    network.snapshot()
    return network


def state_of(machine: Machine, stream: str) -> StreamState:
    return decode_stream_state(machine.store.chain_store.state(stream))


def applied_of(machine: Machine, stream: str) -> list[bytes]:
    state = state_of(machine, stream)
    return [tx_id for tx_id, _ in walk_applied(machine.store.read_entry, stream, state)]


def assert_all_find_the_same(network: Lives) -> None:
    up = [machine for machine in network.machines if network.is_up(machine)]
    assert len(heads(network)) == 1
    for stream in STREAMS:
        first = state_of(up[0], stream)
        assert min(first.refused, first.applied) > 1
        for machine in up:
            assert state_of(machine, stream) == first
            assert applied_of(machine, stream) == applied_of(up[0], stream)
            every = [
                (tx_id, entry.previous_applied, entry.raw)
                for tx_id, entry in walk_back(machine.store.read_entry, stream, first)
            ]
            assert every == [
                (tx_id, entry.previous_applied, entry.raw)
                for tx_id, entry in walk_back(up[0].store.read_entry, stream, first)
            ]
    for machine in up:
        verify_entries(machine.store, machine.driver.chain.header.time_ms)


def assert_built_again_alike(network: Lives, machine: Machine) -> None:
    """The index of a node that joined, built anew, has the same entries, streams, transactions."""
    before = dict(machine.index.scan(b"\x00", b"\xff"))
    machine.index = MemoryStore()
    build_index(Base(network_base(network)), machine.segments, machine.index)
    machine.start()
    again = dict(machine.index.scan(b"\x00", b"\xff"))
    for prefix in (b"e", b"s", b"t"):
        assert {key: row for key, row in again.items() if key[:1] == prefix} == {
            key: row for key, row in before.items() if key[:1] == prefix
        }


def read_by_a_refund(network: Lives) -> int:
    return sum(len(applied_of(network.machines[0], stream)) for stream in STREAMS)


def test_a_node_that_joined_finds_the_applied_entries_among_the_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = flooded_lives()
    machine = join(network)
    assert_all_find_the_same(network)
    monkeypatch.setattr(handling, "READS_MAX", read_by_a_refund(network) + 1)
    network.grow(4)
    flood(network, 1)
    isolate(network, 1)  # with one of four gone the network needs its vote
    assert network.attempt("refund.computed", CARD, COMPUTED, "c-1").code == ""
    assert_all_find_the_same(network)
    assert machine.voted()
    assert machine.driver.chain.tree.root == network.machines[0].driver.chain.tree.root


def test_a_node_that_joined_bounds_what_a_party_states_as_the_others_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = flooded_lives()
    join(network)
    count = state_of(network.machines[0], CARD).applied
    monkeypatch.setitem(CONTRACT_ROOM, "merchant", count + 1)
    network.grow(4)
    isolate(network, 1)
    network.must("service.stopped", CARD, {}, "m-1")
    assert network.attempt("service.stopped", CARD, {}, "m-1") == refused(
        "too_many_entries", ("entries", count + 1), ("allowed", count + 1)
    )
    assert network.attempt("refund.computed", CARD, COMPUTED, "c-1").code == ""
    assert_all_find_the_same(network)


def test_snapshot_and_index_of_a_node_that_joined_are_those_of_the_others() -> None:
    network = flooded_lives()
    machine = join(network)
    network.grow(4)
    flood(network, 1)
    network.must("refund.computed", CARD, COMPUTED, "c-1")
    assert_built_again_alike(network, machine)
    assert_all_find_the_same(network)
    network.snapshot()
    assert len({each.shelf.offers()[-1] for each in network.machines}) == 1


@pytest.mark.usefixtures(small_segments.__name__)
def test_without_its_archive_a_node_finds_the_applied_entries_among_the_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = flooded_lives()
    machine = network.machines[2]
    height = archive(machine, None)
    restart(network, machine)
    with pytest.raises(NotMounted):
        machine.store.block(height - 1)
    assert_all_find_the_same(network)
    monkeypatch.setattr(handling, "READS_MAX", read_by_a_refund(network) + 1)
    assert network.attempt("refund.computed", CARD, COMPUTED, "c-1").code == ""
    assert_all_find_the_same(network)
    assert keep_before(machine.store, height, machine.driver.chain.header.time_ms) == 0


def test_a_broken_chain_of_applied_entries_is_found() -> None:
    network = flooded_lives()
    machine = network.machines[0]
    time_ms = machine.driver.chain.header.time_ms
    verify_entries(machine.store, time_ms)
    state = state_of(machine, CARD)
    key = b"s" + CARD.encode()
    walked = applied_of(machine, CARD)
    good = machine.index.get(key)
    assert good is not None
    for refused_count, newest in (
        (state.refused, walked[1]),
        (state.refused, ZERO_HASH),
        (state.refused + 1, walked[0]),
        (state.refused - 1, walked[0]),
    ):
        raw = encode_stored_stream(state.encode(), state.peaks, state.newest, refused_count, newest)
        machine.index.write([(key, raw)])
        with pytest.raises(Damaged) as told:
            verify_entries(machine.store, time_ms)
        assert told.value.what == f"the chain of applied entries of {CARD} is broken"
    machine.index.write([(key, good)])
    linked = next(
        tx_id
        for tx_id, entry in walk_back(machine.store.read_entry, CARD, state)
        if entry.previous_applied
    )
    row = machine.index.get(b"t" + linked)
    assert row is not None
    machine.index.write([(b"t" + linked, row[:-32])])
    with pytest.raises(Damaged) as told:
        verify_entries(machine.store, time_ms)
    assert told.value.what == f"the chain of applied entries of {CARD} is broken"


@pytest.mark.parametrize("count", range(7))
def test_links_are_those_of_every_pattern_of_refusals(count: int) -> None:
    ids = [sha256(b"%d" % at) for at in range(count)]
    for pattern in itertools.product((False, True), repeat=count):
        taken = [
            (KeptEntryHead(at, ids[at], CARD, pattern[at]), KeptRow(at, b"%d" % at))
            for at in reversed(range(count))
        ]
        found = dict(_link(taken))
        assert sorted(found) == list(range(count))
        for at, entry in found.items():
            previous = ids[at - 1] if at else ZERO_HASH
            before = [ids[each] for each in range(at) if not pattern[each]]
            applied = before[-1] if before else ZERO_HASH
            assert (entry.tx_id, entry.previous, entry.raw) == (ids[at], previous, b"%d" % at)
            assert entry.previous_applied == (
                b"" if pattern[at] or applied == previous else applied
            )


# Streams on which nothing looks back: what stands before the blocks is not held


PLAIN = [
    (before, beside, after)
    for before in ("", "A", "AR")
    for beside in ("", "A", "R", "AR", "RA", "ARA")
    for after in ("A", "RARA")
]
"""Of each plain contract, after it was opened: which attempts were applied, and which refused,
before the blocks that come along with a snapshot, in them, and after the node joined."""


def live_plainly(network: Lives, span: int) -> None:
    """Have all plain contracts live one span of their lives, a step of all in one block or so."""
    up = [machine for machine in network.machines if network.is_up(machine)]
    for step in range(max(len(pattern[span]) for pattern in PLAIN)):
        for at, pattern in enumerate(PLAIN):
            if step >= len(pattern[span]):
                continue
            is_applied = pattern[span][step] == "A"
            kind, amount = ("prepaid.prepay", 1) if is_applied else ("prepaid.consume", 100)
            raw = network.envelope(kind, f"contract/p-{at}", {"amount": amount}, "m-1")
            network.submit(up[0].number, raw)
        network.grow(2)


def assert_links_are_true(joined: Machine, whole: Machine) -> int:
    """Each row of a node that joined says what that of another does, as far as it holds it."""
    count = 0
    for key, _ in joined.index.scan(b"t", b"u"):
        found = joined.store.chain_store.transaction(key[1:])
        expected = whole.store.chain_store.transaction(key[1:])
        assert found is not None
        assert expected is not None
        for one, other in (
            (found.previous, expected.previous),
            (
                found.previous_applied or found.previous,
                expected.previous_applied or expected.previous,
            ),
        ):
            is_held = joined.store.read_entry(other) is not None
            assert one == (other if is_held else ZERO_HASH)
        count += 1
    return count


def test_links_between_entries_are_true_also_where_nothing_looks_back() -> None:
    """An applied entry and then a refused one beside the snapshot: the refused one is not the
    applied one before the next, and inspection does not call the index damaged."""
    network = Lives()
    network.start(*range(JOINER))
    data = {"keys": [network.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    network.must("party.register", "party/m-1", data, "bank-0")
    opening = {
        "consumer": "ab" * 32, "custodian": "bank-0", "industry": "fitness", "merchant": "m-1",
        "terms_hash": "cd" * 32,
    }  # fmt: skip
    for at in range(len(PLAIN)):
        network.submit(0, network.envelope("prepaid.open", f"contract/p-{at}", opening, "m-1"))
    network.grow(1)
    live_plainly(network, 0)
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(2)
    live_plainly(network, 1)
    network.snapshot()
    machine = join(network)
    network.grow(1)
    live_plainly(network, 2)
    for at, pattern in enumerate(PLAIN):
        state = state_of(network.machines[0], f"contract/p-{at}")
        assert (state.count, state.refused) == (
            1 + len("".join(pattern)),
            "".join(pattern).count("R"),
        )
    assert assert_links_are_true(machine, network.machines[0]) > len(PLAIN)
    verify_chain(machine.store.chain_store, identify_entry)
    assert_built_again_alike(network, machine)
