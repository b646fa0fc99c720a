"""What a contract's code is given, and how it refuses.

A handler is a function `(context, data) → Outcome`. The context is its whole world: the height and
time of the block, who signed (their keys already found valid), the record of the stream the
transaction names, and the records of parties. A handler that applies sets `context.record`; one
that refuses raises `Refusal` and leaves no trace but the outcome. Any other exception is a mistake
of ours: the node cannot vote on that block, and no outcome is recorded for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ledger.transaction import Outcome, refused
from ledger.validators import ValidatorSet

if TYPE_CHECKING:
    from contracts.parties import PartyRecord


class Refusal(Exception):
    """A transaction that is recorded but changes nothing: its named reason and the values."""

    def __init__(self, code: str, *effects: tuple[str, int | str]) -> None:
        super().__init__(code)
        self.code = code
        self.effects = effects

    def outcome(self) -> Outcome:
        """Return the outcome that goes on the chain."""
        return refused(self.code, *self.effects)


class Context:
    """One transaction's view of the state."""

    __slots__ = (
        "chain_id",
        "height",
        "party",
        "record",
        "signers",
        "stream",
        "time_ms",
        "validators",
    )

    def __init__(
        self,
        height: int,
        time_ms: int,
        stream: str,
        signers: Sequence[str],
        record: Any,
        party: Callable[[str], PartyRecord | None],
        chain_id: bytes,
        validators: ValidatorSet,
    ) -> None:
        self.height = height
        self.time_ms = time_ms
        """The block's header time, milliseconds since 1970: the only clock a contract has."""
        self.stream = stream
        self.signers = signers
        self.record = record
        """The stream's record before; whatever stands here afterwards is the record after."""
        self.party = party
        """Looks a party up as it was before this block."""
        self.chain_id = chain_id
        self.validators = validators
        """The set that votes on this block."""
