"""What peers relay, on its way to the pool: each peer's frames in the order they came, in turns.

A frame waits as it arrived, unread, in parts. When the turn of one comes it is parsed and its
signatures are checked, while the processor has it at hand; then the driver gets it. A proposal may
name a transaction before its turn comes. So what waits can be looked through by the hash of its
bytes, and what is found is dealt with first, instead of being asked of a peer and dealt with twice.

Who relays one thing that is refused has not looked at the rest either: that is dropped, and what it
relays is passed over for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

from api.problems import explain_rejected
from ledger import tags
from ledger.hashing import tagged_hash
from ledger.refusal import Reason, Rejected
from node.effects import Admitted, Say
from node.examiner import Examiner
from node.fair_turns import FairTurns
from node.intake import Parsed
from node.verification import VerifierUnavailable
from storage.files import StorageFailure

PART_COUNT: Final = 128
"""Transactions dealt with in one turn: about 3 ms of parsing and 9 ms of checks."""

DISTRUST_S: Final = 10.0
"""How long nothing that a peer relays is looked at after something that no correct peer would have:
each has verified what it passes on, and one that has not could keep all our workers busy."""


@dataclass(slots=True, eq=False)
class Envelopes:
    """Envelopes in order, and their hashes once somebody has looked for one."""

    raws: list[bytes]
    _hashes: list[bytes] = field(default_factory=list)
    """As many as `raws`, or none."""

    def hashes(self) -> list[bytes]:
        """Return the envelopes' hashes, in order."""
        if not self._hashes:
            self._hashes = [tagged_hash(tags.ENVELOPE, raw) for raw in self.raws]
        return self._hashes

    def pick(self, wanted: set[bytes]) -> Envelopes:
        """Take out those whose hashes are wanted."""
        found, left = Envelopes([]), Envelopes([])
        if not wanted.isdisjoint(self.hashes()):
            for raw, envelope_hash in zip(self.raws, self._hashes, strict=True):
                into = found if envelope_hash in wanted else left
                into.raws.append(raw)
                into._hashes.append(envelope_hash)
            self.raws, self._hashes = left.raws, left._hashes
        return found


class Relayed:
    """See the module's text. All methods are called on the event loop."""

    def __init__(
        self,
        examiner: Examiner,
        turns: FairTurns,
        *,
        find_pooled: Callable[[Sequence[bytes]], Sequence[object]],
        admit: Callable[[Admitted], Awaitable[None]],
        say: Say,
    ) -> None:
        """`find_pooled` returns of each envelope's hash what the pool holds under it, which is
        verified already, or None; `admit` takes what was looked at."""
        self._examiner = examiner
        self._turns = turns
        self._find_pooled = find_pooled
        self._admit = admit
        self._say = say
        self._waiting: dict[Envelopes, int] = {}
        """Parts of frames that have had no turn, and whose they are; in order of arrival."""
        self._under_way: set[Envelopes] = set()
        self._distrusted: dict[int, float] = {}
        """Until when, on the event loop's clock, what a peer relays is passed over."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.count = self.bytes = 0
        """Envelopes of peers that are here and not dealt with, and their bytes."""

    def is_trusted(self, replica: int) -> bool:
        """Say whether anything that this peer relays is looked at."""
        return asyncio.get_running_loop().time() >= self._distrusted.get(replica, 0.0)

    def take(
        self,
        replica: int,
        envelopes: Sequence[bytes],
        ended: Callable[[], None],
        wanted: Sequence[bytes] = (),
    ) -> None:
        """Have a peer's frame dealt with, part by part; `ended` is called when it is.

        What of it is wanted, given by hashes, is dealt with first: it was asked for.
        """
        parts = [
            Envelopes(list(envelopes[begin : begin + PART_COUNT]))
            for begin in range(0, len(envelopes), PART_COUNT)
        ]
        missing = self._not_begun(wanted)
        for part in parts:
            self._waiting[part] = replica
            self._count(part, 1)
            self._pick(part, replica, missing)
        self._start(self._deal_with_frame(parts, replica, ended))

    async def take_own(self, envelopes: Sequence[bytes]) -> None:
        """Deal with what this node itself has kept: to the end, whatever is refused.

        Raises `VerifierUnavailable`: what was promised is not dropped, for nobody sends it again.
        """
        for begin in range(0, len(envelopes), PART_COUNT):
            await self._hand_over(await self._look_at(envelopes[begin : begin + PART_COUNT], None))

    def hasten(self, wanted: Sequence[bytes]) -> list[bytes]:
        """Deal at once with those of these envelopes, given their hashes, that wait here.

        Returns the hashes of those that are not here.
        """
        missing = self._not_begun(wanted)
        for part, replica in self._waiting.items():
            if not missing:
                break
            self._pick(part, replica, missing)
        return [envelope_hash for envelope_hash in wanted if envelope_hash in missing]

    async def close(self) -> None:
        """Stop, in the middle of anything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _not_begun(self, wanted: Sequence[bytes]) -> set[bytes]:
        """Return those of these hashes whose envelopes nobody is dealing with."""
        missing = set(wanted)
        for part in self._under_way:
            missing.difference_update(part.hashes())
        return missing

    def _pick(self, waiting: Envelopes, replica: int, missing: set[bytes]) -> None:
        """Deal first with what of a part is missing, which it then is no longer."""
        part = waiting.pick(missing) if missing else Envelopes([])
        if part.raws:
            missing.difference_update(part.hashes())
            self._under_way.add(part)
            self._start(self._deal_with(part, replica, None))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _count(self, part: Envelopes, sign: int) -> None:
        self.count += sign * len(part.raws)
        self.bytes += sign * sum(map(len, part.raws))

    async def _deal_with_frame(
        self, parts: Sequence[Envelopes], replica: int, ended: Callable[[], None]
    ) -> None:
        try:
            await asyncio.gather(*[self._deal_with(part, replica, replica) for part in parts])
        finally:
            ended()

    async def _deal_with(self, part: Envelopes, replica: int, source: int | None) -> None:
        """Deal with a part in a turn of a source; what waits for the driver holds no turn."""
        looked_at = None
        try:
            async with self._turns.turn(source):
                self._waiting.pop(part, None)
                self._under_way.add(part)
                if part.raws and self.is_trusted(replica):
                    looked_at = await self._look_at(part.raws, replica)
            await self._hand_over(looked_at)
        finally:
            self._waiting.pop(part, None)
            self._under_way.discard(part)
            self._count(part, -1)

    async def _hand_over(self, looked_at: Admitted | None) -> None:
        if looked_at is not None:
            try:
                await self._admit(looked_at)
            except StorageFailure:
                return  # the node stops, and has said why

    async def _look_at(self, raws: Sequence[bytes], replica: int | None) -> Admitted | None:
        """Parse and have the signatures checked; `replica` is None for our own.

        Returns what there is to hand over, or None where there is nothing. Raises
        `VerifierUnavailable` for our own.
        """
        parsed, rejected = self._parse(raws, replica)
        try:
            good, bad = await self._examiner.verify(parsed)
        except VerifierUnavailable as error:
            if replica is None:
                raise
            # Nothing is known of these signatures, so nobody is blamed; peers send them again.
            self._say(
                "warning",
                f"{len(parsed)} relayed transactions dropped: {error} "
                f"放弃转来的 {len(parsed)} 笔交易：{error.detail_zh}",
            )
            return None
        for item in bad:
            transaction = item.candidate.transaction
            reason = Rejected(
                Reason.BAD_SIGNATURE,
                f"transaction {transaction.tx_id.hex()}: a signature does not verify",
            )
            rejected.append((transaction.envelope_hash, reason))
        if rejected and replica is not None:
            self._distrusted[replica] = asyncio.get_running_loop().time() + DISTRUST_S
        if not good and not rejected:
            return None
        candidates = [item.candidate for item in good]
        return Admitted(candidates, rejected, is_local=replica is None)

    def _parse(
        self, raws: Sequence[bytes], replica: int | None
    ) -> tuple[list[Parsed], list[tuple[bytes, Rejected]]]:
        """Return what can be read and is not here already, and (hash, why) of what cannot."""
        parsed: list[Parsed] = []
        rejected: list[tuple[bytes, Rejected]] = []
        read = self._examiner.parse_relayed(raws)
        for raw, item in zip(raws, read, strict=True):
            if isinstance(item, Rejected):
                if not rejected or replica is None:
                    self._say(
                        "warning",
                        f"replica {replica} relayed what is refused: {item} "
                        f"第 {replica} 号副本转来的交易被拒绝：{explain_rejected(item)}",
                    )
                rejected.append((tagged_hash(tags.ENVELOPE, raw), item))
            else:
                parsed.append(item)
        if replica is None:
            return parsed, rejected
        here = self._find_pooled([each.candidate.transaction.envelope_hash for each in parsed])
        new = [item for item, known in zip(parsed, here, strict=True) if known is None]
        return new, rejected
