"""Joining by a snapshot: what it holds, what a liar can do, and what a crash costs."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable

import msgspec
import pytest

from contracts.execution import Executor
from ledger.block import TransactionEntry, decode_entry, decode_header
from ledger.refusal import Reason, Rejected
from ledger.snapshot import (
    ReferenceRow,
    StreamChunk,
    StreamRow,
    decode_chunk,
    decode_manifest,
    edge_from_tiles,
    read_rows,
    verify_manifest,
)
from ledger.snapshot_blocks import SnapshotBlocks
from ledger.votes import decode_commit_certificate, encode_commit_certificate
from ledger.wire import encode
from node.catch_up import ANSWER_TICKS_MAX, LACKING_TICKS
from node.effects import PeerChanged, Said, SendFrame, Ticked
from node.intake import parse_relayed
from node.joining import trust_of
from node.messages import (
    Blocks,
    BlocksBegin,
    CertifiedBlock,
    FetchBlocks,
    FetchChunk,
    FetchManifest,
    Frame,
    SnapshotChunk,
    SnapshotManifest,
    SnapshotOffer,
    Snapshots,
    encode_frame,
)
from node.snapshot_export import freeze
from node.snapshot_fetch import SnapshotFetch, Told
from node.snapshot_files import COMPLETE_FILE, Base
from node.snapshot_index import build_index
from node.snapshot_shelf import KEPT, SnapshotShelf
from sim.deployment import REPLAY_WINDOW_MS, TICK_MS, make_deployment
from sim.disk import ProcessEnded, Survival, VirtualDirectory
from storage.chain import NotHeld
from storage.files import Damaged
from storage.memory import MemoryStore
from storage.rows import APPLIED_KEY
from tests.node.driving import Drivers, Machine
from tests.node.snapshotting import JOINER, Joiner, join, make_snapshot, old_network

REFERENCE_WINDOW_MS = 10**10
"""`sim.deployment`'s."""


def newest(network: Drivers) -> int:
    """Height of the newest snapshot the first machine has."""
    return network.machines[0].shelf.heights[-1]


def rows(machine: Machine, start: bytes, stop: bytes) -> list[tuple[bytes, bytes]]:
    return list(machine.store.chain_store.keyvalue.scan(start, stop))


def test_a_node_joins_by_a_snapshot_and_goes_on_with_the_same_chain() -> None:
    network = old_network()
    machine = join(network)
    assert machine.height == newest(network)
    assert machine.begins.height > 1
    network.grow(6)
    assert {each.driver.chain.header_hash for each in network.machines} == {
        machine.driver.chain.header_hash
    }
    assert machine.voted(), "it votes again"
    for prefix in (b"k", b"r"):
        after = bytes([prefix[0] + 1])
        assert rows(machine, prefix, after) == rows(network.machines[0], prefix, after)


def test_what_a_joined_node_does_not_hold_it_refuses_by_name_and_passes_on_to_others() -> None:
    network = old_network()
    machine = join(network)
    start = machine.begins
    with pytest.raises(NotHeld) as refused:
        machine.store.block(start.height - 1)
    assert str(refused.value) == (
        f"block {start.height - 1} is not held here: this node began with a snapshot and holds "
        f"blocks from {start.height} and entries from {start.log_size} on; ask another node"
    )
    with pytest.raises(NotHeld, match=f"^entry {start.log_size - 1} is not held here: "):
        machine.store.chain_store.entry(start.log_size - 1)
    assert machine.store.certificate(start.height - 1) is None
    assert machine.store.certificate(start.height)
    sent = len(machine.sent(BlocksBegin))
    machine.hear(0, FetchBlocks(1))
    assert machine.sent(BlocksBegin)[sent:] == [BlocksBegin(start.height)]


def test_a_peer_without_the_block_asked_for_is_passed_over_and_said() -> None:
    network = Drivers()
    network.start(0, 1, 2)
    network.grow(3)
    late = network.machines[3]
    late.start()
    network.loses = lambda _sender, _receiver, _frame: True
    for peer in range(3):
        late.step(PeerChanged(peer, True))
    late.hear(0, network.machines[0].driver._status())
    late.hear(0, BlocksBegin(3))
    assert late.said("info")[-1] == "replica 0 holds blocks from 3 on, and not block 1"
    network.now_ms += TICK_MS
    for _ in range(2):
        late.step(Ticked())
    asked = [
        effect.replica
        for effect in late.done
        if isinstance(effect, SendFrame) and isinstance(effect.frame, FetchBlocks)
    ]
    assert asked == [0, 1], "at the next tick and not in a loop"
    late.hear(1, BlocksBegin(3))
    late.step(Ticked())
    late.hear(2, BlocksBegin(2))
    (told,) = late.said("error")
    assert told == (
        "no connected peer holds block 1: each has begun with a snapshot after it; connect one "
        "that holds it, or let this node join by a snapshot (`evidence-ledger node join`) "
        "已连接的节点均无区块 1：它们都自此后的快照开始；请连接存有该区块的节点，"
        "或使本节点以快照加入（`evidence-ledger node join`）"
    )
    done = len(late.done)
    for _ in range(LACKING_TICKS):
        late.step(Ticked())
        late.hear(0, network.machines[0].driver._status())
        for peer in range(3):
            late.hear(peer, BlocksBegin(3))
    later = [effect.text for effect in late.done[done:] if isinstance(effect, Said)]
    assert not [text for text in later if "hold" in text], "it lasts until somebody acts"
    assert late.sent(FetchBlocks)[3:] == []
    for _ in range(ANSWER_TICKS_MAX):
        late.step(Ticked())
    assert late.sent(FetchBlocks)[3:] == [FetchBlocks(1)]
    late.hear(0, BlocksBegin(3))
    assert late.said("info")[-1].startswith("replica 0 holds blocks from 3 on")


def test_transactions_of_the_replay_window_cannot_be_repeated_on_a_joined_node() -> None:
    """The duplicate stands in a block beside the snapshot, its reference in the snapshot's rows."""
    network = old_network()
    raw = network.transaction("repeated", stream="contract/again")
    network.submit(0, raw)
    network.grow(2)
    for machine in network.machines[:JOINER]:
        make_snapshot(machine)
    machine = join(network)
    candidate = parse_relayed(raw, machine.driver.chain.chain_id).candidate
    executor = Executor(machine.driver.chain, network.now_ms)
    (rejected,) = executor.admit([candidate.transaction])
    assert rejected is not None
    assert rejected.reason is Reason.DUPLICATE
    assert machine.driver.is_known(candidate.transaction.tx_id)


def test_what_stands_before_the_blocks_that_came_along_has_no_position_to_answer_with() -> None:
    """Its reference is known and its place is not: submitted again, it is refused as too late."""
    network = old_network(0, passes_window=False)
    old = network.transaction("old", left_ms=REPLAY_WINDOW_MS // 2)
    network.submit(0, old)
    network.grow(1)
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(3)
    recent = network.transaction("recent")
    network.submit(0, recent)
    network.grow(1)
    for machine in network.machines[:JOINER]:
        make_snapshot(machine)
    driver = join(network).driver
    chain_id = driver.chain.chain_id
    before, held = (parse_relayed(raw, chain_id).candidate for raw in (old, recent))
    assert driver.is_on_chain(held.transaction)
    assert not driver.is_on_chain(before.transaction)
    with pytest.raises(Rejected) as refused:
        driver.check_admission(before)
    assert refused.value.reason is Reason.STALE


def test_a_reference_taken_before_the_blocks_that_came_along_is_still_taken() -> None:
    network = old_network()
    machine = join(network)
    raw = network.transaction("old-0", stream="contract/c-9")  # another body under it
    for each in network.machines:
        network.submit(each.number, raw, is_local=False)
    network.grow(2)
    heads = {each.driver.chain.header_hash for each in network.machines}
    assert len(heads) == 1
    tx_id = parse_relayed(raw, machine.driver.chain.chain_id).candidate.transaction.tx_id
    for each in (network.machines[0], machine):
        position = each.store.chain_store.transaction(tx_id)
        assert position is not None
        entry = decode_entry(each.store.chain_store.entry_of(position))
        assert isinstance(entry, TransactionEntry)
        assert entry.outcome.code == "reference_reused"


def test_a_snapshot_is_the_same_to_the_byte_on_all_nodes_also_on_one_that_joined() -> None:
    network = old_network()
    digests = [machine.shelf.offers() for machine in network.machines[:JOINER]]
    assert digests[0] == digests[1] == digests[2]
    join(network)
    network.grow(4)
    heights = {make_snapshot(machine) for machine in network.machines}
    assert len(heights) == 1
    offers = [machine.shelf.offers()[-1] for machine in network.machines]
    assert len(set(offers)) == 1


def test_a_second_node_joins_from_nodes_of_which_one_joined_itself() -> None:
    network = old_network()
    join(network)
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(4)
    for machine in network.machines:
        make_snapshot(machine)
    again = Joiner(network)
    again.begin()
    again.run()
    first = network.machines[JOINER].begins
    assert again.install().begins.height > first.height


# Liars


def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.snapshot.CHUNK_BYTES", 300)


def test_a_false_chunk_is_refused_and_costs_the_liar_its_turn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small_chunks(monkeypatch)
    network = old_network(12)
    joiner = Joiner(network)

    def lies(peer: int, frame: Frame) -> Frame:
        if peer == 1 and isinstance(frame, SnapshotChunk):
            return msgspec.structs.replace(frame, chunk=frame.chunk[:-1] + b"\0")
        return frame

    joiner.tampers = lies
    machine = join(network, joiner)
    assert machine.height == newest(network)
    chunks = [peer for peer, frame in joiner.asked if isinstance(frame, FetchChunk)]
    assert len(set(chunks)) == 3
    assert chunks.count(1) == 1, "left alone after its lie"
    assert "replica 1 gave what is refused: bad_proof: snapshot: chunk " in caplog.text


def one_less(raw: bytes) -> bytes:
    certificate = decode_commit_certificate(raw)
    fewer = msgspec.structs.replace(certificate, commits=certificate.commits[1:])
    return encode_commit_certificate(fewer)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: msgspec.structs.replace(f, manifest=f.manifest + b"\0"), "was offered"),
        (lambda f: msgspec.structs.replace(f, certificate=b""), "malformed"),
        (
            lambda f: msgspec.structs.replace(f, certificate=one_less(f.certificate)),
            "a quorum is",
        ),
        (lambda f: msgspec.structs.replace(f, note=b"no note"), "malformed"),
        (lambda f: msgspec.structs.replace(f, proof=f.proof[:-1]), "too few"),
        (lambda f: msgspec.structs.replace(f, proof=[bytes(32)] * len(f.proof)), "leads to root"),
    ],
)
def test_a_false_manifest_is_refused_and_another_peer_is_asked(
    change: Callable[[SnapshotManifest], Frame], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    network = old_network()
    joiner = Joiner(network)
    liars: list[int] = []

    def lies(peer: int, frame: Frame) -> Frame:
        if isinstance(frame, SnapshotManifest) and not liars:
            liars.append(peer)
            return change(frame)
        return frame

    joiner.tampers = lies
    machine = join(network, joiner)
    assert machine.height == newest(network)
    asked = [peer for peer, frame in joiner.asked if isinstance(frame, FetchManifest)]
    assert len(asked) == 2
    assert asked[0] == liars[0] != asked[1]
    assert sentence in caplog.text


def test_votes_for_another_block_are_none_for_a_snapshots_header(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = old_network()
    joiner = Joiner(network)
    other = network.machines[0].store.certificate(newest(network) - 1)

    def lies(peer: int, frame: Frame) -> Frame:
        if peer == 0 and isinstance(frame, SnapshotManifest):
            return msgspec.structs.replace(frame, certificate=other)
        return frame

    joiner.tampers = lies
    machine = join(network, joiner)
    assert machine.height == newest(network)
    assert f"snapshot {newest(network)}: the votes are for another block" in caplog.text


@pytest.mark.parametrize("field", ["base_height", "base_size"])
def test_a_base_behind_its_own_block_is_refused(field: str) -> None:
    network = old_network()
    machine = network.machines[0]
    held = machine.shelf.manifest(newest(network))
    assert held is not None
    manifest = decode_manifest(held[0])
    header = decode_header(manifest.header)
    behind = {"base_height": header.height + 1, "base_size": header.first_index + 1}[field]
    false = msgspec.structs.replace(manifest, **{field: behind})
    with pytest.raises(Rejected) as caught:
        verify_manifest(false, b"", b"", [], trust_of(network.deployment.genesis))
    assert "which is not before it" in caught.value.detail


@pytest.mark.parametrize("liar", range(JOINER))
def test_one_member_alone_cannot_offer_a_snapshot(liar: int) -> None:
    """A later snapshot that only a liar has is not taken, also where it speaks first."""
    network = old_network()
    joiner = Joiner(network)
    honest = network.machines[0].shelf.offers()[-1]

    def lies(peer: int, frame: Frame) -> Frame:
        if peer == liar and isinstance(frame, Snapshots):
            return Snapshots([SnapshotOffer(honest[0] + 5, bytes(32))])
        return frame

    joiner.tampers = lies
    machine = join(network, joiner)
    assert machine.height == honest[0]
    wanted = {frame.height for _, frame in joiner.asked if isinstance(frame, FetchManifest)}
    assert wanted == {honest[0]}


def test_what_a_peer_was_not_asked_for_is_passed_over() -> None:
    network = old_network()
    joiner = Joiner(network)
    joiner.begin()
    fetch = joiner.joining._fetch
    while fetch.progress is None:
        replica, frame = joiner.inbox.popleft()
        joiner.joining.frame_arrived(replica, encode_frame(frame))
    (asked,) = {peer for peer, frame in joiner.asked if isinstance(frame, FetchBlocks)}
    first = decode_manifest(network.machines[0].shelf.manifest(newest(network))[0]).base_height
    entries, certificate = network.machines[0].store.block(first)
    block = Blocks([CertifiedBlock(list(entries), certificate)])
    for peer in {*range(JOINER)} - {asked}:
        assert fetch.take(peer, block) == []
    assert fetch.take(asked, block) != []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: CertifiedBlock([*b.entries[:-2], b.entries[-1]], b.certificate), "bad_field"),
        (lambda b: CertifiedBlock([b"x", *b.entries[1:]], b.certificate), "root_mismatch"),
        (lambda b: CertifiedBlock(b.entries, b""), "malformed"),
        (lambda b: CertifiedBlock([], b.certificate), "malformed"),
    ],
)
def test_a_false_block_beside_a_snapshot_is_refused(
    change: Callable[[CertifiedBlock], CertifiedBlock],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = old_network()
    joiner = Joiner(network)
    lied: list[int] = []

    def lies(peer: int, frame: Frame) -> Frame:
        if isinstance(frame, Blocks) and not lied:
            lied.append(peer)
            first, *rest = frame.blocks
            return Blocks([change(first), *rest])
        return frame

    joiner.tampers = lies
    machine = join(network, joiner)
    assert machine.height == newest(network)
    assert f"replica {lied[0]} gave what is refused: {reason}: " in caplog.text


def test_a_base_that_does_not_reach_back_over_the_replay_window_is_refused() -> None:
    """Two members that agree on it are more than f, and it is refused all the same."""
    network = old_network()
    frozen = freeze(
        network.machines[0].store,
        network.machines[0].driver.chain.header,
        network.machines[0].driver.chain.limits,
    )
    manifest = decode_manifest(frozen.manifest(()))
    late = network.machines[0].store.chain_store.block_position(manifest.base_height + 1)
    moved = msgspec.structs.replace(
        manifest,
        base_height=manifest.base_height + 1,
        base_size=late.first_index,
        edge=edge_from_tiles(late.first_index, network.machines[0].store.read_tile),
    )
    trust = trust_of(network.deployment.genesis)
    header = decode_header(manifest.header)
    for each, is_good in ((manifest, True), (moved, False)):
        blocks = SnapshotBlocks(each, header, trust)
        entries, certificate = network.machines[0].store.block(each.base_height)
        if is_good:
            blocks.add(entries, certificate)
            continue
        with pytest.raises(Rejected) as refused:
            blocks.add(entries, certificate)
        assert refused.value.detail.endswith(
            f" ms older, and transactions may be repeated for {REPLAY_WINDOW_MS} ms"
        )


def test_rows_that_are_not_the_state_of_the_header_are_never_installed() -> None:
    """What more than f members agree on falsely still has to give the certified state root."""
    network = old_network()
    joiner = Joiner(network)
    joiner.begin()
    joiner.run()
    base = Base(joiner.directory)
    chunks = [decode_chunk(chunk) for chunk in base.chunks()]
    assert isinstance(chunks[0], StreamChunk)
    forged = [encode(StreamChunk(chunks[0].rows[1:])), *list(base.chunks())[1:]]
    base.chunks = lambda: iter(forged)  # type: ignore[method-assign]
    index = MemoryStore()
    with pytest.raises(Damaged, match=r"^base, offset 0: its streams give state root "):
        build_index(base, joiner.segments, index)
    assert index.get(APPLIED_KEY) is None, "nothing counts as applied"


# Peers that forget


def test_when_the_snapshot_is_gone_a_newer_one_is_fetched_from_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_chunks(monkeypatch)
    network = old_network()
    joiner = Joiner(network)
    first = newest(network)
    grown: list[int] = []

    def forgets(_peer: int, frame: Frame) -> Frame:
        if isinstance(frame, SnapshotChunk) and not grown:
            network.grow(1)
            for _ in range(KEPT):
                network.grow(1)
                for each in network.machines[:JOINER]:
                    make_snapshot(each)
            grown.append(newest(network))
        return frame

    joiner.tampers = forgets
    machine = join(network, joiner)
    assert machine.height == grown[0] > first


def test_a_peer_that_does_not_answer_is_passed_over() -> None:
    network = old_network()
    joiner = Joiner(network)
    joiner.tampers = lambda peer, frame: (
        None if peer == 0 and not isinstance(frame, Snapshots) else frame
    )
    assert join(network, joiner).height == newest(network)


def blocks_asked(joiner: Joiner) -> list[int]:
    """The peers that were asked for blocks, in order."""
    return [peer for peer, frame in joiner.asked if isinstance(frame, FetchBlocks)]


def test_a_peer_that_answers_with_no_block_loses_its_turn() -> None:
    """Or it could answer so again and again, each time just before its time is over."""
    network = old_network()
    joiner = Joiner(network)
    joiner.tampers = lambda peer, frame: (
        Blocks([]) if peer == 0 and isinstance(frame, Blocks) else frame
    )
    assert join(network, joiner).height == newest(network)
    assert blocks_asked(joiner).count(0) == 1


def test_a_peer_that_gives_one_block_at_a_time_is_not_the_one_asked_next() -> None:
    network = old_network()
    joiner = Joiner(network)
    joiner.tampers = lambda peer, frame: (
        Blocks(frame.blocks[:1]) if peer == 0 and isinstance(frame, Blocks) else frame
    )
    assert join(network, joiner).height == newest(network)
    assert blocks_asked(joiner)[:2] == [0, 1]


def test_who_alone_gives_blocks_is_asked_again() -> None:
    network = old_network()
    joiner = Joiner(network)

    def gives(peer: int, frame: Frame) -> Frame:
        if not isinstance(frame, Blocks):
            return frame
        return Blocks(frame.blocks[:1]) if peer == 0 else Blocks([])

    joiner.tampers = gives
    assert join(network, joiner).height == newest(network)


def test_a_liar_holds_nobody_to_a_snapshot_that_others_no_longer_offer() -> None:
    """A member and a liar offered it; the member cannot give it any more, the liar never will."""
    network = old_network()
    joiner = Joiner(network)
    first = network.machines[0].shelf.offers()
    is_grown: list[bool] = []

    def lies(peer: int, frame: Frame) -> Frame | None:
        if peer == 0:
            is_asked_for = isinstance(frame, Snapshots)
            return Snapshots([SnapshotOffer(*offer) for offer in first]) if is_asked_for else None
        if peer == 2 and isinstance(frame, Snapshots) and not is_grown:
            return Snapshots([])  # still being written there
        return frame

    joiner.tampers = lies
    joiner.begin()
    with pytest.raises(AssertionError, match="not complete"):
        joiner.run(1)
    assert joiner.asked[-1] == (0, FetchManifest(first[-1][0]))
    is_grown.append(True)
    for _ in range(KEPT):
        network.grow(1)
        for each in network.machines[1:JOINER]:
            make_snapshot(each)
    joiner.run()
    assert Base(joiner.directory).header.height == network.machines[1].shelf.heights[-1]


def test_what_a_peer_offered_counts_while_it_is_there() -> None:
    """Two liars and a member that went away do not keep a node from what the others have."""
    fetch = SnapshotFetch(trust_of(make_deployment(7).genesis))
    old, new = Snapshots([SnapshotOffer(10, bytes(32))]), Snapshots([SnapshotOffer(20, bytes(32))])
    for peer in range(6):
        fetch.change_peer(peer, True)
    for peer in (0, 1, 2):
        fetch.take(peer, old)
    fetch.change_peer(2, False)
    for peer in (3, 4):
        fetch.take(peer, new)
    (told, *_) = fetch.take(5, new)
    assert told == Told("info", f"3 members offer snapshot {'0' * 16} of block 20")


def test_a_snapshot_that_enough_offer_is_kept_to() -> None:
    """A liar that backs a newer one, and then does not, would have its manifest passed over."""
    fetch = SnapshotFetch(trust_of(make_deployment(4).genesis))
    old, both = (
        Snapshots([SnapshotOffer(height, bytes(32)) for height in heights])
        for heights in ((10,), (10, 20))
    )
    for peer in range(3):
        fetch.change_peer(peer, True)
    fetch.take(0, old)
    assert fetch.take(1, both)
    assert fetch.take(2, both) == []


def test_a_node_asks_until_enough_members_have_the_same_snapshot() -> None:
    network = Drivers()
    network.start(0, 1, 2)
    network.grow(2)
    make_snapshot(network.machines[0])
    joiner = Joiner(network)
    joiner.begin()
    with pytest.raises(AssertionError, match="not complete"):
        joiner.run(60)
    make_snapshot(network.machines[1])
    joiner.run(60)


# Crashes


def test_a_crash_at_any_step_of_fetching_costs_only_what_was_not_synced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed before every change of the disk in turn, with each kind of loss; it always ends well.

    What is kept never takes another value: the machine that starts has the others' state.
    """
    small_chunks(monkeypatch)
    monkeypatch.setattr("node.snapshot_files.SYNC_CHUNKS", 2)
    network = old_network(3)
    chance = random.Random(5)
    step, is_through = 0, False
    while not is_through:
        step += 1
        joiner = Joiner(network)
        countdown = [step]

        def hook(_name: str, countdown: list[int] = countdown) -> None:
            countdown[0] -= 1
            if countdown[0] == 0:
                raise ProcessEnded

        joiner.directory = VirtualDirectory("joining", hook)
        joiner.segments = VirtualDirectory("blocks", hook)
        try:
            joiner.begin()
            joiner.run()
            is_through = True
            countdown[0] = -1
        except ProcessEnded:
            countdown[0] = -1
            survival = list(Survival)[step % len(Survival)]
            for directory in (joiner.directory, joiner.segments):
                directory.power_loss(survival, chance)
            if COMPLETE_FILE not in joiner.directory.names():
                joiner.begin()
                joiner.run()
        machine = joiner.install()
        machine.start(is_recovering=True)
        assert machine.height == newest(network)
        header = network.machines[0].store.header(machine.height)
        assert machine.driver.chain.header == header
        assert machine.driver.chain.tree.root == header.state_root
    assert step > 40


def test_what_is_kept_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    small_chunks(monkeypatch)
    network = old_network()
    joiner = Joiner(network)
    arrived: list[Frame] = []

    def stops(_peer: int, frame: Frame) -> Frame | None:
        if isinstance(frame, SnapshotChunk) and len(arrived) < 3:
            arrived.append(frame)
            return frame
        return None if isinstance(frame, SnapshotChunk) else frame

    joiner.tampers = stops
    joiner.begin()
    with pytest.raises(AssertionError, match="not complete"):
        joiner.run(20)
    joiner.asked.clear()
    joiner.tampers = lambda _peer, frame: frame
    joiner.begin()
    joiner.run()
    again = {frame.index for _, frame in joiner.asked if isinstance(frame, FetchChunk)}
    kept = {frame.index for frame in arrived if isinstance(frame, SnapshotChunk)}
    assert len(kept) == 3
    assert again.isdisjoint(kept)
    assert not any(isinstance(frame, FetchManifest | FetchBlocks) for _, frame in joiner.asked)


# The shelf


def test_a_shelf_keeps_two_and_removes_what_a_crash_left() -> None:
    network = old_network()
    machine = network.machines[0]
    for _ in range(3):
        network.grow(1)
        make_snapshot(machine)
    assert len(machine.shelf.heights) == KEPT
    directory = machine.shelf._directory
    assert len(directory.names()) == 2 * KEPT
    directory.create("0000000000000099.rows")
    directory.create("0000000000000098.partial")
    again = SnapshotShelf(directory)
    assert again.offers() == machine.shelf.offers()
    assert len(directory.names()) == 2 * KEPT


@pytest.mark.parametrize("survival", Survival)
def test_a_snapshot_is_durable_before_it_is_offered(survival: Survival) -> None:
    """The oldest one has just been removed for it."""
    network = old_network()
    directory = VirtualDirectory("snapshots")
    machine = network.machines[0]
    machine.shelf = SnapshotShelf(directory)
    height = make_snapshot(machine)
    chunk = machine.shelf.chunk(height, 0)
    directory.power_loss(survival, random.Random(1))
    assert chunk
    assert SnapshotShelf(directory).chunk(height, 0) == chunk


@pytest.mark.parametrize("is_unreadable", [False, True])
def test_a_chunk_that_the_disk_has_changed_is_not_given_away(
    is_unreadable: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said while the node runs, and a peer that asks for it stops nobody."""
    network = old_network()
    shelf = network.machines[0].shelf
    (height,) = shelf.heights
    assert shelf.chunk(height, 0)
    assert shelf.chunk(height, 99) is None
    name = f"{height:016d}.rows"
    what = "is not what its manifest says"
    if is_unreadable:
        what = "cannot be read (Input/output error)"

        def broken(*_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(shelf._directory, "pread", broken)
    else:
        byte = shelf._directory.pread(name, 10, 1)
        shelf._directory.pwrite(name, 10, bytes([byte[0] ^ 1]))
    assert shelf.chunk(height, 0) is None
    assert shelf.chunk(height, 0) is None
    [line] = [each.getMessage() for each in caplog.records]
    said, _, said_zh = line.partition(" snapshots/")
    assert said == f"snapshots/{name}, offset 0: chunk 0 {what}; this snapshot is no longer served"
    assert said_zh.startswith(f"{name}，偏移 0：第 0 块")
    assert said_zh.endswith("；不再提供此快照")
    assert shelf.offers() == []


def test_offers_are_of_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread takes an old snapshot's place while a peer is answered."""
    network = old_network()
    machine = network.machines[0]
    network.grow(1)
    make_snapshot(machine)
    shelf = machine.shelf
    before, heights = shelf.offers(), shelf.heights

    def interrupted(_: SnapshotShelf) -> list[int]:
        shelf._forget(heights[0])
        return heights

    monkeypatch.setattr(SnapshotShelf, "heights", property(interrupted))
    assert shelf.offers() == before
    assert len(before) == 2


def test_what_is_fetched_does_not_grow_with_the_chain() -> None:
    """Once references are free again and the replay window is past, older blocks cost nothing."""
    network = Drivers()
    network.start(0, 1, 2)
    network.grow(20)
    network.now_ms += REFERENCE_WINDOW_MS + REPLAY_WINDOW_MS
    recent_ms = network.now_ms
    network.grow(2)
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(2)
    for machine in network.machines[:JOINER]:
        make_snapshot(machine)
    joiner = Joiner(network)
    joiner.begin()
    joiner.run()
    base = Base(joiner.directory)
    rows = list(read_rows(base.chunks()))
    references = [row for row in rows if isinstance(row, ReferenceRow)]
    assert references
    assert all(row.time_ms >= recent_ms for row in references)
    streams = [row.name for row in rows if isinstance(row, StreamRow)]
    assert streams == ["contract/c-1", *(f"party/bank-{at}" for at in range(4))]
    times = [network.machines[0].store.header(at).time_ms for at in range(base.header.height)]
    assert base.start.height > 20
    assert times[base.start.height] < base.header.time_ms - REPLAY_WINDOW_MS
    assert times[base.start.height + 1] >= base.header.time_ms - REPLAY_WINDOW_MS
    assert joiner.install().begins == base.start
