"""Executing blocks: admissibility, references, streams, failures of our own, and no trace."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import msgpack
import msgspec
import pytest

from contracts.execution import (
    ExecutionFailed,
    Executor,
    Inadmissible,
    are_signed,
    check_time,
    execute_block,
    parse_candidate,
)
from contracts.kinds import KINDS, Kind, find_kind, parse_data
from contracts.lifecycle import EVENTS, MERCHANT_EVENTS
from contracts.streams import Parties, StoredEntry
from ledger.block import ENTRY_BYTES_MAX, TransactionEntry, decode_entry, encode_header_entry
from ledger.hashing import ZERO_HASH
from ledger.merkle import compute_root, leaf_hash
from ledger.refusal import Reason, Rejected
from ledger.stream import compute_state_key, decode_stored_stream, decode_stream_value
from ledger.transaction import (
    BODY_BYTES_MAX,
    EFFECTS_BYTES_MAX,
    Body,
    applied,
    decode_transaction,
    encode_envelope,
    refused,
    sign_batch,
    sign_transaction,
)
from ledger.wire import encode
from tests.contracts.world import CARD, World, open_world, read, settled_world
from tests.verifier.small_chain import BLOCK_MS, MONTH_MS

STATEMENT = {"statement": "confirmed", "tx_id": "0" * 64}
WINDOW_MS = 600_000


def prepay(world: World, amount: int = 1, stream: str = CARD, **changes: Any) -> bytes:
    return world.submit("prepaid.prepay", stream, {"amount": amount}, "m-1", **changes)


def executor_of(world: World) -> Executor:
    return Executor(world.chain, world.next_ms)


def why_inadmissible(world: World, envelope: bytes) -> Rejected | None:
    (verdict,) = executor_of(world).admit([read(envelope).transaction])
    return verdict


# Admissible


@pytest.mark.parametrize(
    ("after_ms", "reason"),
    [
        (-1, Reason.STALE),
        (0, None),
        (1, None),
        (WINDOW_MS, None),
        (WINDOW_MS + 1, Reason.TOO_FAR_AHEAD),
    ],
)
def test_not_after_lies_between_the_blocks_time_and_the_window(
    after_ms: int, reason: Reason | None
) -> None:
    world = open_world()
    envelope = prepay(world, not_after=world.next_ms + after_ms)
    rejected = why_inadmissible(world, envelope)
    assert (None if rejected is None else rejected.reason) is reason


def test_a_wrong_time_is_a_sentence() -> None:
    transaction = read(prepay(open_world(), not_after=1_000)).transaction
    with pytest.raises(Rejected) as caught:
        check_time(transaction, 1_500, 200)
    assert str(caught.value) == (
        "stale: not_after 1970-01-01 00:00:01.000 UTC (1000 ms) is 500 ms before "
        "1970-01-01 00:00:01.500 UTC; sign it anew with a later not_after"
    )
    assert caught.value.detail_zh == (
        "截止时间 not_after 为北京时间 1970-01-01 08:00:01.000（1000 毫秒），早于北京时间 "
        "1970-01-01 08:00:01.500，相差 500 毫秒；请以更晚的截止时间重新签名"
    )
    with pytest.raises(Rejected) as caught:
        check_time(transaction, 500, 200)
    assert str(caught.value) == (
        "too_far_ahead: not_after 1970-01-01 00:00:01.000 UTC (1000 ms) lies 500 ms after "
        "1970-01-01 00:00:00.500 UTC; at most 200 ms are allowed"
    )


def test_a_duplicate_is_inadmissible_in_the_same_and_in_a_later_block() -> None:
    world = open_world()
    envelope = prepay(world)
    candidate = read(envelope)
    with pytest.raises(Inadmissible) as caught:
        execute_block(
            world.chain, world.next_ms, [candidate, candidate], proposer=0, rule_pack_version=1
        )
    tx_id = candidate.transaction.tx_id.hex()
    assert caught.value.position == 1
    assert str(caught.value) == (
        f"transaction 1 ({tx_id}) is inadmissible: duplicate: transaction {tx_id} is already on "
        "the chain"
    )
    world.run(envelope)
    rejected = why_inadmissible(world, envelope)
    assert rejected is not None
    assert rejected.reason is Reason.DUPLICATE


def test_a_body_whose_reference_is_anothers_is_a_duplicate_all_the_same() -> None:
    world = open_world()
    reused = prepay(world, 2, reference="R")
    outcomes = world.run(prepay(world, 1, reference="R"), reused)
    assert [outcome.code for outcome in outcomes] == ["", "reference_reused"]
    rejected = why_inadmissible(world, reused)
    assert rejected is not None
    assert rejected.reason is Reason.DUPLICATE


def test_another_envelope_of_the_same_body_is_the_same_transaction() -> None:
    world = open_world()
    body = world.body("prepaid.prepay", CARD, {"amount": 1}, "m-1")
    single = world.signed(body, "m-1")
    (batched,) = sign_batch([body], world.chain_id, world.key("m-1"))
    assert single != batched
    world.run(single)
    rejected = why_inadmissible(world, batched)
    assert rejected is not None
    assert rejected.reason is Reason.DUPLICATE


def test_signatures_in_another_order_belong_to_other_parties() -> None:
    world = open_world()
    body = world.body("prepaid.prepay", CARD, {"amount": 1}, "m-1", "bank-1")
    right = world.signed(body, "m-1", "bank-1")
    assert why_inadmissible(world, right) is None
    first, second = decode_transaction(right).envelope.signatures
    for signatures in ([second, first], [first, first], [second, second]):
        rejected = why_inadmissible(world, encode_envelope(body, signatures))
        assert rejected is not None
        assert rejected.reason is Reason.UNKNOWN_KEY


def test_a_key_found_good_for_one_party_is_not_good_for_another() -> None:
    world = open_world()
    executor = executor_of(world)
    body = world.body("prepaid.prepay", CARD, {"amount": 1}, "m-2")
    stolen = sign_transaction(body, world.chain_id, [world.key("m-1")])
    good, bad = executor.admit([read(prepay(world)).transaction, read(stolen).transaction])
    assert good is None
    assert bad is not None
    assert bad.reason is Reason.UNKNOWN_KEY


def test_a_second_signers_key_is_looked_at_where_the_first_ones_is_known() -> None:
    world = open_world()
    height = world.chain.header.height + 1
    known: set[tuple[str, bytes]] = set()
    alone = read(prepay(world)).transaction
    assert are_signed([alone, alone], height, world.chain.party, known)
    assert known == {("m-1", world.key("m-1").public_key)}
    body = world.body("prepaid.prepay", CARD, {"amount": 1}, "m-1", "bank-1")
    right = read(world.signed(body, "m-1", "bank-1")).transaction
    stolen = sign_transaction(body, world.chain_id, [world.key("m-1"), world.key("bank-2")])
    wrong = read(stolen).transaction
    for several in ([wrong], [alone, wrong], [wrong, alone, right]):
        assert not are_signed(several, height, world.chain.party, known)
    assert are_signed([alone, right], height, world.chain.party, known)


def test_a_block_names_the_first_inadmissible_transaction() -> None:
    world = open_world()
    good, stale = read(prepay(world)), read(prepay(world, not_after=1))
    with pytest.raises(Inadmissible) as caught:
        execute_block(
            world.chain, world.next_ms, [good, stale, stale], proposer=0, rule_pack_version=1
        )
    assert (caught.value.position, caught.value.tx_id) == (1, stale.transaction.tx_id)
    assert caught.value.rejected.reason is Reason.STALE


# References


def test_a_reference_is_taken_within_a_block_and_later_until_its_window_ends() -> None:
    world = open_world()
    first = prepay(world, 5, reference="R")
    taken_by = read(first).transaction.tx_id
    reused = refused("reference_reused", ("taken_by", taken_by.hex()))
    outcomes = world.run(first, prepay(world, 7, reference="R"))
    assert outcomes[1] == reused
    assert [row.reference_key for row in world.block.rows] == [
        read(first).transaction.reference_key,
        b"",
    ]
    taken_ms = world.chain.header.time_ms
    assert world.run(prepay(world, 7, reference="R")) == [reused]
    # Another party has references of its own.
    other = world.submit("prepaid.prepay", CARD, {"amount": 1}, "m-2", reference="R")
    assert world.run(other)[0].code == "not_entitled"
    candidate = read(prepay(world, 7, reference="R", not_after=taken_ms + MONTH_MS + 1))
    for time_ms, code in ((taken_ms + MONTH_MS, "reference_reused"), (taken_ms + MONTH_MS + 1, "")):
        block = execute_block(world.chain, time_ms, [candidate], proposer=0, rule_pack_version=1)
        assert block.outcomes[0].code == code
        assert bool(block.rows[0].reference_key) is (code == "")


def test_a_refused_attempt_uses_its_reference_up() -> None:
    world = open_world()
    consume = world.submit("prepaid.consume", CARD, {"amount": 9}, "m-1", reference="R")
    malformed = world.submit("prepaid.consume", CARD, {"amount": 0}, "m-1", reference="S")
    assert [o.code for o in world.run(consume, malformed)] == [
        "insufficient_locked",
        "malformed_data",
    ]
    again = world.run(prepay(world, reference="R"), prepay(world, reference="S"))
    assert [outcome.code for outcome in again] == ["reference_reused"] * 2


def test_a_reused_reference_does_not_hand_the_reference_on() -> None:
    world = open_world()
    first = prepay(world, 5, reference="R")
    world.run(first)
    world.run(prepay(world, 6, reference="R"))
    outcome = world.run(prepay(world, 7, reference="R"))[0]
    assert outcome.effects == [("taken_by", read(first).transaction.tx_id.hex())]


# Unknown and misshapen


@pytest.mark.parametrize(
    ("kind", "version"), [("prepaid.close", 1), ("prepaid.prepay", 2), ("nothing", 65_535)]
)
def test_an_unknown_kind_or_version_is_recorded_as_refused(kind: str, version: int) -> None:
    world = open_world()
    outcome = world.one(kind, CARD, {"amount": 1}, "m-1", version=version)
    assert outcome == refused("malformed_data", ("kind", kind))
    body = Body(msgspec.Raw(b"{}"), kind, 0, "r", "A" * 22, ["m-1"], CARD, version)
    with pytest.raises(Rejected) as caught:
        find_kind(body)
    assert caught.value.reason is Reason.UNKNOWN_KIND
    assert caught.value.detail.startswith(f"kind {kind} version {version}; known are: party.regis")


def test_the_table_of_kinds() -> None:
    assert set(KINDS) == {
        (name, 1)
        for name in (
            "party.register", "party.revoke", "party.add_key", "party.revoke_key",
            "prepaid.open", "prepaid.prepay", "prepaid.consume", "prepaid.refund",
            "attest", "private.committed", "custody.stated", "validator.equivocation",
            "terms.publish", "rules.publish", "data.publish", "competence.publish",
            *EVENTS, *MERCHANT_EVENTS,
        )
    }  # fmt: skip
    assert all(kind.summary for kind in KINDS.values())


def test_misshapen_data_is_told_at_the_door() -> None:
    data = msgspec.Raw(b'{"amount":0}')
    body = Body(data, "prepaid.prepay", 0, "r", "A" * 22, ["m-1"], CARD, 1)
    with pytest.raises(Rejected) as caught:
        parse_data(body)
    assert str(caught.value) == (
        "bad_field: data of prepaid.prepay: Expected `int` >= 1 - at `$.amount`"
    )


def test_a_stream_counts_what_no_contract_answers_for() -> None:
    """Refused attempts on a contract that never was are a record too, and countable."""
    world = settled_world()
    stream = "contract/never-opened"
    world.run(prepay(world, 1, stream), prepay(world, 2, stream))
    world.run(prepay(world, 3, stream))
    assert world.record(stream) is None
    leaves = [leaf_hash(leaf) for leaf in world.leaves if stream.encode() in leaf]
    value = decode_stream_value(decode_stored_stream(world.memory.streams[stream]).value)
    assert (value.count, value.root, value.record) == (3, compute_root(leaves), None)
    world.chain.tree.prove(compute_state_key(stream))


def test_the_previous_entry_of_a_stream_is_known_to_the_index() -> None:
    world = settled_world()
    envelopes = [prepay(world), prepay(world)]
    ids = [read(envelope).transaction.tx_id for envelope in envelopes]
    world.run(*envelopes)
    assert [row.previous for row in world.block.rows] == [ZERO_HASH, ids[0]]
    world.run(prepay(world))
    assert world.block.rows[0].previous == ids[1]


# Failures of our own


def break_kind(monkeypatch: pytest.MonkeyPatch, name: str, amount: int) -> None:
    """Let the rules of `name` raise for one amount, after they have begun to write."""
    kind = KINDS[(name, 1)]

    def apply(context: Any, data: Any) -> Any:
        outcome = kind.apply(context, data)
        if data.amount == amount:
            raise ZeroDivisionError("our own mistake")
        return outcome

    monkeypatch.setitem(KINDS, (name, 1), Kind(kind.data, apply, kind.summary))


def test_an_exception_names_its_position_and_nothing_of_it_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = open_world()
    break_kind(monkeypatch, "prepaid.prepay", 13)
    good, bad, after = (
        read(prepay(world, amount, reference=name))
        for amount, name in ((1, "A"), (13, "B"), (2, "B"))
    )
    with pytest.raises(ExecutionFailed) as caught:
        execute_block(
            world.chain, world.next_ms, [good, bad, after], proposer=0, rule_pack_version=1
        )
    assert (caught.value.position, caught.value.tx_id) == (1, bad.transaction.tx_id)
    assert str(caught.value) == (
        f"transaction 1 ({bad.transaction.tx_id.hex()}) could not be executed: "
        "ZeroDivisionError: our own mistake"
    )
    # Whoever goes on without it gets the block of whoever never saw it.
    executor = executor_of(world)
    assert executor.execute([good]) == []
    (failure,) = executor.execute([bad, after])
    assert str(failure) == str(caught.value)
    assert executor.count == 2
    assert executor.admit([bad.transaction]) == [None]
    without = execute_block(
        world.chain, world.next_ms, [good, after], proposer=0, rule_pack_version=1
    )
    finished = executor.finish(0, 1)
    assert finished.header == without.header
    assert finished.rows == without.rows
    assert [outcome.code for outcome in finished.outcomes] == ["", ""]


def test_a_block_says_how_many_it_refused() -> None:
    world = open_world()
    too_much = [
        world.submit(kind, CARD, {"amount": 10**9}, "m-1")
        for kind in ("prepaid.consume", "prepaid.refund")
    ]
    outcomes = world.run(prepay(world), too_much[0], prepay(world), too_much[1])
    assert [outcome.refused for outcome in outcomes] == [False, True, False, True]
    assert world.block.refused_count == 2
    for entry, outcome in zip(world.block.entries, outcomes, strict=False):
        found = decode_entry(entry)
        assert isinstance(found, TransactionEntry)
        assert found.outcome == outcome


def test_an_outcome_or_an_entry_that_is_too_large_is_our_own_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = open_world()
    kind = KINDS[("prepaid.prepay", 1)]
    for effects in ([("n", "x" * EFFECTS_BYTES_MAX)], [("n", 1)] * EFFECTS_BYTES_MAX):
        large = Kind(kind.data, lambda _context, _data, e=effects: applied(*e), "large")  # type: ignore[misc]
        monkeypatch.setitem(KINDS, ("prepaid.prepay", 1), large)
        (failure,) = executor_of(world).execute([read(prepay(world))])
        assert "ValueError: its outcome is too large: " in str(failure)


def test_no_refusal_repeats_more_than_fits_its_outcome() -> None:
    """Whatever a submitter may write is bounded where a refusal would repeat it."""
    world = open_world()
    long = "w" * 20_000
    attempts = [
        world.submit("prepaid.open", "contract/n", {"industry": long, "merchant": "m-1"}, "m-1"),
        world.submit("attest", CARD, {"statement": long, "tx_id": "0" * 64}, "m-1"),
        world.submit(
            "party.register", "party/p", {"keys": ["0" * 64], "party": "p", "role": long}, "bank-0"
        ),
    ]
    assert [outcome.code for outcome in world.run(*attempts)] == ["malformed_data"] * 3


def test_the_largest_transaction_makes_an_entry_that_fits() -> None:
    world = open_world()
    signers = ["m-1", "bank-0", "bank-1", "bank-2", "bank-3", "c-1", "g-1", "m-2"]

    def make(filling: int) -> bytes:
        data = {"filling": ["f"] * filling}
        return world.body("x." * 3 + "y", CARD, data, *signers, reference="🎫" * 64, salt="s" * 64)

    body = make((BODY_BYTES_MAX - len(make(1))) // 4)
    assert BODY_BYTES_MAX - 8 <= len(body) <= BODY_BYTES_MAX
    others = [world.body("x", CARD, {}, name) for name in signers] * 8
    signatures = []
    for name in signers:
        batch = sign_batch([*others, body], world.chain_id, world.key(name))
        signatures.append(msgpack.unpackb(batch[-1])[1][0])
    envelope = encode([body, signatures])
    assert world.run(envelope) == [refused("malformed_data", ("kind", "x.x.x.y"))]
    assert len(world.block.entries[0]) <= ENTRY_BYTES_MAX
    entry = decode_entry(world.block.entries[0])
    assert isinstance(entry, TransactionEntry)
    assert entry.envelope.body == body


# A block and its trace


def test_a_block_closes_over_everything_in_it() -> None:
    world = open_world()
    before = world.chain.header
    world.run(prepay(world, 5), prepay(world, 0), prepay(world, 7, "contract/other"))
    block, header = world.block, world.block.header
    assert (header.height, header.first_index, header.count) == (3, before.log_size, 3)
    assert header.log_root == compute_root([leaf_hash(leaf) for leaf in world.leaves[:-1]])
    assert block.log.root() == compute_root([leaf_hash(leaf) for leaf in world.leaves])
    assert block.entries[-1] == encode_header_entry(header)
    assert block.leaf_hashes == [leaf_hash(leaf) for leaf in block.entries]
    assert header.state_root == world.chain.tree.root
    assert header.validators_hash == world.genesis.validators.hash
    for position, leaf in enumerate(block.entries[:-1]):
        entry = decode_entry(leaf)
        assert (entry.index, entry.height) == (header.first_index + position, 3)


def test_execution_leaves_no_trace_until_it_is_adopted() -> None:
    world = open_world()
    envelopes = [
        prepay(world, 5),
        prepay(world, 0),
        prepay(world, 7, "contract/other"),
        world.registration("m-7"),
    ]
    candidates = [read(envelope) for envelope in envelopes]

    def snapshot() -> list[Any]:
        chain = world.chain
        return [
            chain.header,
            chain.header_hash,
            chain.log,
            chain.tree.root,
            copy.deepcopy(vars(world.memory)),
            [chain.stream(stream).encode() for stream in (CARD, "contract/other", "party/m-7")],
            chain.party("m-7"),
        ]

    before = snapshot()
    first = execute_block(world.chain, world.next_ms, candidates, proposer=0, rule_pack_version=1)
    assert snapshot() == before
    # A second proposal of the same height sees nothing of the first, in whatever order.
    execute_block(world.chain, world.next_ms, candidates[::-1], proposer=1, rule_pack_version=1)
    again = execute_block(world.chain, world.next_ms, candidates, proposer=0, rule_pack_version=1)
    assert (again.header, again.stored, again.rows) == (first.header, first.stored, first.rows)
    assert snapshot() == before
    world.commit(*envelopes)
    assert world.block.header == reproposed(first.header, world)
    assert snapshot() != before
    assert world.chain.party("m-7") is not None


def reproposed(header: Any, world: World) -> Any:
    """The header that `World.commit` gives the same block: another proposer."""
    return msgspec.structs.replace(header, proposer=world.block.header.proposer)


def test_an_empty_block_changes_only_log_and_time() -> None:
    world = open_world()
    before = world.chain.header
    world.commit()
    header = world.chain.header
    assert (header.count, header.state_root) == (0, before.state_root)
    assert header.time_ms == before.time_ms + BLOCK_MS
    assert header.log_size == before.log_size + 1


# The cache


class CountingReader:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def state(self, stream: str) -> bytes | None:
        self.asked.append(stream)
        return None

    def transaction_height(self, tx_id: bytes) -> int | None:
        raise NotImplementedError

    def states(self, streams: Sequence[str]) -> list[bytes | None]:
        return [self.state(stream) for stream in streams]

    def references(self, keys: Sequence[bytes]) -> list[tuple[bytes, int] | None]:
        raise NotImplementedError

    def entry(self, tx_id: bytes) -> StoredEntry | None:
        raise NotImplementedError


def test_parties_are_read_once_and_again_after_a_change() -> None:
    reader = CountingReader()
    parties = Parties(reader, records_max=3)
    for _ in range(5):
        assert parties.get("m-1") is None
    assert reader.asked == ["party/m-1"]
    parties.forget(["contract/m-1", "party/m-2"])
    parties.get("m-1")
    assert reader.asked == ["party/m-1"]
    parties.forget(["party/m-1"])
    parties.get("m-1")
    assert reader.asked == ["party/m-1", "party/m-1"]
    for number in range(100):
        parties.get(f"m-{number}")
        assert len(parties._records) <= 3


def test_candidates_are_parsed_once() -> None:
    candidate = parse_candidate(decode_transaction(prepay(open_world())))
    assert candidate.kind is KINDS[("prepaid.prepay", 1)]
    assert candidate.data.amount == 1
