"""Random lives of prepaid contracts against a second, plain reading of the rules.

The plain one knows no records, contexts or chains: balances in a dictionary, rules in sentences.
After every step the two agree on the outcome, the balances, and that nothing was made or lost.
"""

from __future__ import annotations

import random
from typing import Any

import msgpack
import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts.handling import Context, Refusal
from contracts.kinds import parse_data
from contracts.parties import PartyRecord
from contracts.prepaid import PrepaidRecord
from ledger.canonical import encode_canonical
from ledger.merkle import compute_root, leaf_hash
from ledger.stream import decode_stored_stream, decode_stream_value
from ledger.transaction import Body, Outcome
from tests.contracts.world import World, read, settled_world, terms

LIMIT = 2**53 - 1
ROLES = ("merchant", "custodian", "consumer")
NAMES = {"merchant": "m-1", "custodian": "bank-1", "consumer": "c-1"}
PARTIES = {
    name: PartyRecord(name, role, "", "bank-0", 1, 0, [])
    for name, role in (
        ("m-1", "merchant"), ("m-2", "merchant"), ("bank-1", "bank"), ("c-1", "consumer"),
    )
}  # fmt: skip


class PlainCard:
    """The rules once more, as a clerk would keep them."""

    def __init__(self) -> None:
        self.needs: dict[str, list[str]] | None = None
        self.purse = {"paid": 0, "locked": 0, "released": 0, "refunded": 0}
        self.counts = {"prepay": 0, "consume": 0, "refund": 0}

    def open(self, needs: dict[str, list[str]], signers: list[str]) -> str:
        if self.needs is not None:
            return "already_open"
        fault = self._who(["merchant"], signers)
        if not fault:
            self.needs = needs
        return fault

    def move(self, action: str, amount: int, signers: list[str]) -> str:
        if self.needs is None:
            return "unknown_contract"
        fault = self._who(self.needs[action], signers)
        if fault:
            return fault
        if action == "prepay":
            if self.purse["paid"] + amount > LIMIT:
                return "amount_too_large"
            self.purse["paid"] += amount
            self.purse["locked"] += amount
        else:
            if self.purse["locked"] < amount:
                return "insufficient_locked"
            self.purse["locked"] -= amount
            self.purse["released" if action == "consume" else "refunded"] += amount
        self.counts[action] += 1
        return ""

    def _who(self, needed: list[str], signers: list[str]) -> str:
        if set(signers) - set(NAMES.values()):
            return "not_entitled"
        if {NAMES[role] for role in needed} - set(signers):
            return "missing_attester"
        return ""


class Life:
    """One contract run by the real rules and by the plain ones, side by side."""

    def __init__(self) -> None:
        self.plain = PlainCard()
        self.record: Any = None

    def step(self, action: str, data: dict[str, Any], signers: list[str]) -> None:
        before = self.record
        outcome = self._apply(action, data, signers)
        if action == "open":
            expected = self.plain.open(data["attesters"], signers)
        else:
            expected = self.plain.move(action, data["amount"], signers)
        if outcome.code != expected:
            raise AssertionError(f"{action} {data} by {signers}: {outcome}, expected {expected!r}")
        if outcome.refused and self.record is not before:
            raise AssertionError(f"{outcome} left a trace")
        moved = not outcome.refused and action != "open"
        if moved and dict(outcome.effects) != self.plain.purse:
            raise AssertionError(f"{outcome.effects} are not {self.plain.purse}")
        self.check()

    def _apply(self, action: str, data: dict[str, Any], signers: list[str]) -> Outcome:
        text = msgspec.Raw(encode_canonical(data))
        body = Body(text, f"prepaid.{action}", 0, "r", "A" * 22, signers, "contract/c", 1)
        kind, parsed = parse_data(body)
        context = Context(
            7, 1_000, body.stream, signers, self.record, PARTIES.get, b"", None,  # type: ignore[arg-type]
            lambda _: None, lambda _: None, lambda _name, _max: [],
        )  # fmt: skip
        try:
            outcome = kind.apply(context, parsed)
        except Refusal as refusal:
            return refusal.outcome()
        self.record = context.record
        return outcome

    def check(self) -> None:
        plain, record = self.plain, self.record
        if (record is None) != (plain.needs is None):
            raise AssertionError("one of them is open")
        if record is None:
            return
        if not isinstance(record, PrepaidRecord):
            raise AssertionError(record)
        purse = {name: getattr(record, name) for name in plain.purse}
        counts = [record.prepaid_count, record.consumed_count, record.refunded_count]
        if purse != plain.purse or counts != list(plain.counts.values()):
            raise AssertionError(f"{purse} {counts}, expected {plain.purse} {plain.counts}")
        if purse["locked"] + purse["released"] + purse["refunded"] != purse["paid"]:
            raise AssertionError(f"{purse} does not conserve")
        if min(purse.values()) < 0 or max(purse.values()) > LIMIT:
            raise AssertionError(f"{purse} is out of bounds")


ROLE_SETS = st.lists(st.sampled_from(ROLES), min_size=1, max_size=3, unique=True)
SIGNERS = st.lists(
    st.sampled_from(["m-1", "bank-1", "c-1", "m-2"]), min_size=1, max_size=4, unique=True
) | st.sampled_from([["m-1"], ["m-1", "bank-1", "c-1"]])
AMOUNTS = st.integers(1, 200) | st.sampled_from([LIMIT, LIMIT - 1, LIMIT // 2, 2**32])


class LifeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.life = Life()

    @initialize(is_open=st.booleans(), prepay=ROLE_SETS, consume=ROLE_SETS, refund=ROLE_SETS)
    def begin(self, is_open: bool, **needs: list[str]) -> None:
        if is_open:
            self.open(needs["prepay"], needs["consume"], needs["refund"], ["m-1"])

    @rule(prepay=ROLE_SETS, consume=ROLE_SETS, refund=ROLE_SETS, signers=SIGNERS)
    def open(
        self, prepay: list[str], consume: list[str], refund: list[str], signers: list[str]
    ) -> None:
        needs = {"prepay": prepay, "consume": consume, "refund": refund}
        self.life.step("open", terms(attesters=needs, consumer_party="c-1"), signers)

    @rule(action=st.sampled_from(["prepay", "consume", "refund"]), amount=AMOUNTS, signers=SIGNERS)
    def move(self, action: str, amount: int, signers: list[str]) -> None:
        self.life.step(action, {"amount": amount}, signers)

    @rule(action=st.sampled_from(["consume", "refund"]), extra=st.integers(-1, 1))
    def move_about_all(self, action: str, extra: int) -> None:
        amount = self.life.plain.purse["locked"] + extra
        if 1 <= amount <= LIMIT:
            self.life.step(action, {"amount": amount}, ["m-1", "bank-1", "c-1"])

    @invariant()
    def conserves(self) -> None:
        self.life.check()


LifeMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestLifeMachine = LifeMachine.TestCase


def test_thousands_of_lives_conserve_what_was_paid() -> None:
    chance = random.Random("lives/1")
    seen: dict[str, int] = {}
    for _ in range(3_000):
        life = Life()
        needs = {
            action: chance.choice([["merchant"], ["merchant", "custodian"], ["consumer"]])
            for action in ("prepay", "consume", "refund")
        }
        for step in range(chance.randrange(4, 24)):
            signers = chance.choice([["m-1"], ["m-1", "bank-1"], ["c-1", "m-1", "bank-1"]])
            if chance.random() < 0.03:
                signers = ["m-2"]
            if step == 0 and chance.random() < 0.95:
                life.step("open", terms(attesters=needs, consumer_party="c-1"), ["m-1"])
            else:
                amount = chance.choice((1, 50, chance.randrange(1, 1_000), LIMIT))
                action = chance.choice(("prepay", "consume", "refund"))
                life.step(action, {"amount": amount}, signers)
            code = "" if life.record is None else str(life.plain.purse["locked"] > 0)
            seen[code] = seen.get(code, 0) + 1
    assert min(seen.values()) > 100  # unopened, empty and filled contracts were all lived through


def test_on_a_chain_every_record_is_countable_from_its_state_value() -> None:
    """Random blocks over many contracts: each stream's count and root follow from the log."""
    chance = random.Random("chain/1")
    world = settled_world()
    cards = {f"contract/card-{number}": PlainCard() for number in range(8)}
    needs = {action: ["merchant"] for action in ("prepay", "consume", "refund")}
    for _ in range(12):
        envelopes, expected = [], []
        for _ in range(chance.randrange(1, 25)):
            stream = chance.choice(list(cards))
            signer = chance.choice(["m-1"] * 9 + ["m-2"])
            if chance.random() < 0.15:
                envelopes.append(
                    world.submit("prepaid.open", stream, terms(attesters=needs), signer)
                )
                expected.append(cards[stream].open(needs, [signer]))
            else:
                action = chance.choice(("prepay", "consume", "refund"))
                amount = chance.randrange(1, 300)
                envelopes.append(
                    world.submit(f"prepaid.{action}", stream, {"amount": amount}, signer)
                )
                expected.append(cards[stream].move(action, amount, [signer]))
        assert [outcome.code for outcome in world.run(*envelopes)] == expected
    for stream, card in cards.items():
        check_stream(world, stream)
        record = world.record(stream)
        if card.needs is None:
            assert record is None
        else:
            assert {name: getattr(record, name) for name in card.purse} == card.purse


def check_stream(world: World, stream: str) -> None:
    own = []
    for header in world.headers[1:]:
        for leaf in world.leaves[header.first_index : header.index]:
            envelope = leaf_envelope(leaf)
            if read(envelope).transaction.body.stream == stream:
                own.append(leaf_hash(leaf))
    value = decode_stream_value(decode_stored_stream(world.memory.streams[stream]).value)
    assert (value.count, value.root) == (len(own), compute_root(own))


def leaf_envelope(leaf: bytes) -> bytes:
    packed: bytes = msgpack.packb(msgpack.unpackb(leaf)[3])
    return packed
