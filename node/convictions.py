"""Proof against validators that this node owes to the chain.

Whoever holds two contradictory statements of a validator submits them as an ordinary transaction
(`contracts.equivocation`), and again until the validator's stream records that slot: a full pool, a
transaction that went stale while nothing was decided, or another one in its place must not let a
liar off. Whoever stands next after the liar submits at once and the others one after another, so
that usually one proof comes onto the chain and not n. After a conviction all wait a little, since
each makes a block, and a liar that lies in every block would keep the chain running for nothing but
its own convictions. A proof that is overtaken by another moves a place forward, or new lies would
keep it waiting for ever. Everything in its body follows from the evidence and the chain (the salt
too), so the same proof found again soon makes the same body again, and a repeat is recognised as
one. Bounded per validator, as its record on the chain is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from contracts.equivocation import SLOTS_MAX, ValidatorRecord, validator_stream
from contracts.execution import Chain
from genesis.document import Genesis
from ledger import tags
from ledger.block import Header
from ledger.equivocation import Equivocation, encode_equivocation
from ledger.hashing import tagged_hash
from ledger.signing import Signer
from ledger.transaction import encode_body, sign_transaction

OWED_MAX: Final = 64
"""Proofs of one validator kept until they are on the chain; the next ones wait for room."""


PATIENCE_TICKS: Final = 10
"""How long each waits for the one before it (0.5 s at 50 ms): about a block."""

PATIENCE_RANKS_MAX: Final = 8
"""After so many the rest submit together: a liar is convicted within seconds in any network."""

AGAIN_TICKS: Final = 40
"""Between two submissions of a proof that is not on the chain yet, and after a conviction of the
same validator (2 s)."""


@dataclass(slots=True)
class _Owed:
    equivocation: Equivocation
    due_tick: int
    overtaken: int = 0
    """Blocks with other proofs against the same validator that came before it."""


class Convictions:
    """The proofs one node holds; see the module's text."""

    def __init__(self, genesis: Genesis, replica: int, party: Signer) -> None:
        self._genesis = genesis
        self._replica = replica
        self._party = party
        self._owed: dict[int, dict[str, _Owed]] = {}
        self._open_tick: dict[int, int] = {}
        """From when on proofs against a validator may be submitted again."""
        self._streams = {
            validator_stream(validator.id): number
            for number, validator in enumerate(genesis.validators.validators)
        }

    def __len__(self) -> int:
        return sum([len(proofs) for proofs in self._owed.values()])

    def add(self, equivocation: Equivocation, chain: Chain, tick: int) -> bool:
        """Keep a proof; return False if it is kept or on the chain already, or there is no room."""
        owed = self._owed.get(equivocation.replica, {})
        if equivocation.slot in owed or len(owed) >= OWED_MAX:
            return False
        if self._is_recorded(equivocation, chain):
            return False
        from_tick = max(tick, self._open_tick.get(equivocation.replica, 0))
        item = _Owed(equivocation, from_tick + self._patience(equivocation.replica, 0))
        self._owed.setdefault(equivocation.replica, {})[equivocation.slot] = item
        return True

    def block_applied(self, streams: Iterable[str], chain: Chain, tick: int) -> None:
        """Forget what a block has put on the chain, whoever submitted it."""
        for stream in streams:
            number = self._streams.get(stream)
            if number is None:
                continue
            self._open_tick[number] = open_tick = tick + AGAIN_TICKS
            owed = self._owed.get(number, {})
            for slot, item in list(owed.items()):
                if self._is_recorded(item.equivocation, chain):
                    del owed[slot]
                else:
                    item.overtaken += 1
                    item.due_tick = open_tick + self._patience(number, item.overtaken)

    def take_due(self, chain: Chain, tick: int, now_ms: int) -> Iterator[bytes]:
        """Yield the envelope of each proof whose turn it is and that may enter the next block."""
        for number, owed in self._owed.items():
            if tick < self._open_tick.get(number, 0):
                continue
            for item in owed.values():
                is_reached = item.equivocation.height <= chain.header.height + 1
                if is_reached and tick >= item.due_tick:
                    item.due_tick = tick + AGAIN_TICKS
                    yield self.make_envelope(item.equivocation, chain.header, now_ms)

    def make_envelope(self, equivocation: Equivocation, header: Header, now_ms: int) -> bytes:
        """Return the envelope in which this institution reports an equivocation.

        Its `not_after` is near the chain's own time, so that a wrong clock here does not make it
        inadmissible elsewhere, and of a fixed grid, so that soon the same is made again.
        """
        evidence = encode_equivocation(equivocation)
        half_ms = self._genesis.parameters.replay_window_ms // 2
        near_ms = min(max(now_ms, header.time_ms), header.time_ms + half_ms)
        step_ms = max(half_ms // 2, 1)
        body = encode_body(
            data={"evidence": evidence.hex()},
            kind="validator.equivocation",
            not_after=near_ms // step_ms * step_ms + half_ms,
            reference=f"equivocation/{equivocation.replica}/{equivocation.slot}"[:64],
            salt=tagged_hash(tags.REFERENCE, evidence).hex()[:43],
            signers=[self._genesis.institutions[self._replica].id],
            stream=self._stream_of(equivocation),
            version=1,
        )
        return sign_transaction(body, self._genesis.chain_id, [self._party])

    def _patience(self, convicted: int, overtaken: int) -> int:
        """Return for how many ticks this node lets those before it go first."""
        rank = (self._replica - convicted - 1) % len(self._genesis.validators)
        return max(0, min(rank, PATIENCE_RANKS_MAX) - overtaken) * PATIENCE_TICKS

    def _is_recorded(self, equivocation: Equivocation, chain: Chain) -> bool:
        record = chain.stream(self._stream_of(equivocation)).record
        if not isinstance(record, ValidatorRecord):
            return False
        return equivocation.slot in record.slots or len(record.slots) >= SLOTS_MAX

    def _stream_of(self, equivocation: Equivocation) -> str:
        return validator_stream(self._genesis.validators[equivocation.replica].id)
