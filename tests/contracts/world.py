"""A chain in memory on which a test runs blocks and looks at their outcomes."""

from __future__ import annotations

from typing import Any

from contracts.execution import Candidate, ExecutedBlock, parse_candidate
from contracts.handling import Context
from contracts.kinds import Record
from contracts.streams import decode_record
from ledger.stream import decode_stored_stream
from ledger.transaction import Outcome, decode_transaction
from tests.verifier.small_chain import SmallChain

CARD = "contract/card-1"


class World(SmallChain):
    """`SmallChain`, with four institutions `bank-0` to `bank-3`."""

    block: ExecutedBlock

    def _store(self, block: ExecutedBlock) -> None:
        self.block = block
        super()._store(block)

    def run(self, *envelopes: bytes) -> list[Outcome]:
        """Commit a block and return its outcomes."""
        self.commit(*envelopes)
        return self.block.outcomes

    def one(
        self, kind: str, stream: str, data: dict[str, Any], *signers: str, **changes: Any
    ) -> Outcome:
        """Commit a block of one transaction and return its outcome."""
        return self.run(self.submit(kind, stream, data, *signers, **changes))[0]

    def candidate(
        self, kind: str, stream: str, data: dict[str, Any], *signers: str, **changes: Any
    ) -> Candidate:
        """Return a transaction as a block's check has it."""
        return read(self.submit(kind, stream, data, *signers, **changes))

    def registration(self, party: str, role: str = "merchant", by: str = "bank-0") -> bytes:
        """Return the envelope that registers a party with its usual key; `by` one institution, or
        two with a space between."""
        data = {"keys": [self.key(party).public_key.hex()], "party": party, "role": role}
        return self.submit("party.register", f"party/{party}", data, *by.split())

    def record(self, stream: str) -> Record | None:
        """Return the record a stream holds."""
        raw = self.memory.streams.get(stream)
        return None if raw is None else decode_record(decode_stored_stream(raw).value)


def lone_context(
    world: SmallChain, stream: str, record: Any, *signers: str, height: int = 3
) -> Context:
    """A context that sees parties and its own record, and nothing else."""
    return Context(
        height, 0, stream, signers, record, world.chain.party, world.chain_id,
        world.chain.validators, lambda _: None, lambda _: None, lambda _name, _max: [],
    )  # fmt: skip


def read(envelope: bytes) -> Candidate:
    """Return an envelope as a block's check has it."""
    return parse_candidate(decode_transaction(envelope))


def terms(**changes: Any) -> dict[str, Any]:
    """Return the data of `prepaid.open`."""
    return {
        "consumer": "ab" * 32,
        "custodian": "bank-1",
        "industry": "fitness",
        "merchant": "m-1",
        "terms_hash": "cd" * 32,
    } | changes


def settled_world() -> World:
    """Return a chain with merchants m-1 and m-2, consumer c-1 and gateway g-1."""
    world = World(roles=("bank", "payment"))
    world.commit(
        world.registration("m-1"),
        world.registration("m-2"),
        world.registration("c-1", "consumer"),
        world.registration("g-1", "gateway", by="bank-1"),
    )
    return world


def open_world(**changes: Any) -> World:
    """Return that chain with `CARD` opened by m-1."""
    world = settled_world()
    outcome = world.one("prepaid.open", CARD, terms(**changes), "m-1")
    if outcome.refused:
        raise ValueError(f"the card could not be opened: {outcome}")
    return world
