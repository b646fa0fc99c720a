"""What a contract's code is given, and how it refuses.

A handler is a function `(context, data) → Outcome`. The context is its whole world: the height and
time of the block, who signed (their keys already found valid), the record of the stream the
transaction names, the records of parties, other rows of the state as this block has left them so
far, and a stream's earlier applied entries. A handler that applies sets `context.record` and may
`write` other rows; one that refuses raises `Refusal` and leaves no trace but the outcome. Any other
exception is a mistake of ours: the node cannot vote on that block, and no outcome is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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


READS_MAX: Final = 20_000
"""Earlier applied entries that all transactions of one block together may read: about a second's
work. `contracts.room` keeps a contract and its merchant below it. What takes as long as reading one
counts as one (`Context.charge`), so a block holds some 300 computations of short records."""


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier transaction on the chain, this block's included."""

    position: int
    """Index of its entry in the log."""
    tx_id: bytes
    time_ms: int
    """Of its block."""
    stream: str
    kind: str
    data: Mapping[str, Any]
    signers: Sequence[str]
    refused: bool
    effects: Mapping[str, int | str]


class Context:
    """One transaction's view of the state."""

    __slots__ = (
        "_find",
        "_history",
        "_read",
        "chain_id",
        "entries",
        "height",
        "party",
        "position",
        "reads_left",
        "record",
        "signers",
        "stream",
        "time_ms",
        "tx_id",
        "validators",
        "writes",
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
        read: Callable[[str], Any],
        find: Callable[[bytes], Past | None],
        history: Callable[[str, int], list[Past] | None],
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
        self.tx_id = b""
        self.position = 0
        """Index that this transaction's entry gets in the log."""
        self.writes: dict[str, Any] = {}
        """Rows that this transaction changes beside its own stream's."""
        self.entries = 0
        """Applied entries of the stream before this one. To be asked only of a stream on which may
        be looked back (`contracts.lookback`): of others not every node knows it."""
        self.reads_left = READS_MAX
        self._read = read
        self._find = find
        self._history = history

    def read(self, name: str) -> Any:
        """Return another row's record as this block has left it so far; None if there is none."""
        return self.writes[name] if name in self.writes else self._read(name)

    def write(self, name: str, record: Any) -> None:
        """Let another row hold `record`, if this transaction is applied."""
        self.writes[name] = record

    def find(self, tx_id: bytes) -> Past | None:
        """Return an earlier transaction, wherever it stands."""
        return self._find(tx_id)

    def history(self, stream: str) -> list[Past]:
        """Return a stream's earlier applied transactions, oldest first.

        Raises `Refusal` (too_much_to_read) beyond `READS_MAX` of one block.
        """
        found = self._history(stream, self.reads_left)
        if found is None:
            raise Refusal("too_much_to_read", ("stream", stream), ("allowed", READS_MAX))
        self.reads_left -= len(found) + 1
        return found

    def charge(self, reads: int, stream: str) -> None:
        """Count work about a stream that takes as long as so many reads.

        Raises `Refusal` (too_much_to_read) beyond `READS_MAX` of one block.
        """
        if reads > self.reads_left:
            raise Refusal("too_much_to_read", ("stream", stream), ("allowed", READS_MAX))
        self.reads_left -= reads
