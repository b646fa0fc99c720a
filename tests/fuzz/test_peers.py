"""One authenticated peer of four that says anything at all, to real drivers.

Replica 3 is the attacker: it has its keys and hears everything. It sends spoilt copies of the
frames it hears, and consensus messages with a field changed and a good signature under them. The
other three must refuse by name, keep what they hold bounded, and go on.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    decode_message,
    encode_message,
)
from ledger import tags
from ledger.hashing import tagged_hash
from ledger.refusal import Rejected
from ledger.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    compute_view_change_message,
    compute_vote_message,
)
from node.effects import Admitted, Effect, FrameReceived, VerifyEnvelopes
from node.intake import parse_relayed
from node.messages import Consensus, Frame, decode_frame, encode_frame
from tests.fuzz.amount import chance_of, share
from tests.fuzz.mutations import SCALARS, mutate
from tests.node.driving import Drivers, Machine

ATTACKER = 3
ROUNDS = 4

pytestmark = pytest.mark.slow


def is_verification(effect: Effect) -> bool:
    return isinstance(effect, VerifyEnvelopes)


def verify_held(machine: Machine) -> None:
    """Do what the shell does with envelopes of a peer: parse, refuse, admit."""
    chain_id = machine.driver.chain.chain_id
    while machine.held:
        effect = machine.held.pop(0)
        assert isinstance(effect, VerifyEnvelopes)
        good, bad = [], []
        for raw in effect.envelopes:
            try:
                good.append(parse_relayed(raw, chain_id).candidate)
            except Rejected as rejected:
                bad.append((tagged_hash(tags.ENVELOPE, raw), rejected))
        machine.step(Admitted(good, bad, is_local=False))


def forge(chance: random.Random, drivers: Drivers, message: Message) -> bytes:
    """Change one field of a message and sign it again as the attacker."""
    chain_id = drivers.deployment.genesis.chain_id
    vote = drivers.deployment.signers[ATTACKER].vote
    fields: dict[str, Any] = {}
    name = chance.choice([one.name for one in msgspec.structs.fields(type(message))])
    near = getattr(message, name)
    if isinstance(near, int):
        fields[name] = chance.choice([near - 1, near + 1, near + 7, 2**40, 0])
    elif name == "block_hash":
        fields[name] = chance.randbytes(32)
    if "replica" in message.__struct_fields__:
        fields["replica"] = ATTACKER
    changed: Any = msgspec.structs.replace(message, **fields)
    match changed:
        case Prepare() | Commit():
            phase = COMMIT if isinstance(changed, Commit) else PREPARE
            block_hash = changed.block_hash
        case PrePrepare() | NewView():
            phase, block_hash = PRE_PREPARE, changed.proposal.block_hash
        case ViewChange():
            signed = compute_view_change_message(
                chain_id, max(changed.height, 0), max(changed.view, 0), changed.prepared
            )
            return encode_message(msgspec.structs.replace(changed, signature=vote.sign(signed)))
        case _:
            return encode_message(changed)
    signed = compute_vote_message(
        phase, chain_id, max(changed.height, 0), max(changed.view, 0), block_hash
    )
    return encode_message(msgspec.structs.replace(changed, signature=vote.sign(signed)))


def attack(chance: random.Random, drivers: Drivers, heard: list[bytes]) -> bytes:
    """Return a frame the attacker makes up."""
    raw = chance.choice(heard[-200:])
    if chance.random() < 0.6:
        return mutate(chance, raw, heard[-200:])
    frame = decode_frame(raw)
    try:
        if isinstance(frame, Consensus):
            return encode_frame(Consensus(forge(chance, drivers, decode_message(frame.payload))))
        name = chance.choice([one.name for one in msgspec.structs.fields(type(frame))])
        changed = msgspec.structs.replace(frame, **{name: chance.choice(SCALARS)})
        return encode_frame(changed)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return raw


def test_a_peer_that_says_anything_is_refused_and_stops_nobody() -> None:
    chance = chance_of("peers")
    for round_ in range(ROUNDS):
        drivers = Drivers(4).start()
        heard: list[bytes] = []

        def hear(sender: int, receiver: int, frame: Frame, heard: list[bytes] = heard) -> bool:
            if sender != ATTACKER:
                heard.append(encode_frame(frame))
            return sender == ATTACKER

        drivers.loses = hear
        honest = drivers.machines[:ATTACKER]
        for machine in honest:
            machine.holds = is_verification
        grow(drivers, honest, 3)
        for number in range(share(1.0)):
            machine = chance.choice(honest)
            payload = attack(chance, drivers, heard)
            try:
                machine.step(FrameReceived(ATTACKER, payload))
                verify_held(machine)
            except Exception as error:  # noqa: BLE001 it is what is looked for
                pytest.fail(f"round {round_}, frame {number}: {error!r} for {payload.hex()}")
            assert not machine.driver.halted, (machine.driver.halted, payload.hex())
            if number % 100 == 99:
                drivers.tick(2, 0, 1, 2)
        for machine in honest:
            machine.done.clear()
        before = max(machine.height for machine in honest)
        grow(drivers, honest, 3)
        assert min(machine.height for machine in honest) >= before
        blocks = [
            [machine.store.block(height)[0] for height in range(1, before + 1)]
            for machine in honest
        ]
        assert blocks[0] == blocks[1] == blocks[2]


def grow(drivers: Drivers, honest: list[Machine], heights: int) -> None:
    """Decide so many more blocks on the honest, the attacker saying nothing of use."""
    target = max(machine.height for machine in honest) + heights
    for _ in range(8_000):
        if min(machine.height for machine in honest) >= target:
            return
        if len(honest[0].driver.pool) < 3:
            drivers.submit(0, drivers.transaction(f"r{drivers.salts}"))
        drivers.tick(1, 0, 1, 2)
        for machine in honest:
            verify_held(machine)
    raise AssertionError(f"no height {target}: {[machine.height for machine in honest]}")
