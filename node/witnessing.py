"""Asking configured witnesses, in the background, to cosign certified checkpoints.

At a configured interval each witness is shown the newest certified checkpoint and the proof that it
grew from the one that witness knows; a witness that knows another size says so, and is asked once
more. Who could not be asked, or could not judge, is shown the same checkpoint again, less and less
often, until the next interval begins; who refused is not. What comes back is checked with the
pinned key and kept apart from the quorum's cosignatures. Nothing of the ledger waits for it. A
witness that knows another tree, of the same size or one from which this node's does not grow, has
seen a fork, and that is an error in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import httpx

from ledger.checkpoint import Checkpoint, parse_checkpoint_text, parse_decimal, verify_cosignature
from ledger.log import ReadTile, consistency_proof_from_tiles
from ledger.merkle import SIZE_MAX
from ledger.note import (
    NoteSignature,
    VerifierKey,
    parse_note,
    parse_signature_line,
    parse_verifier_key,
)
from ledger.refusal import Rejected
from ledger.tlog_witness import SIZE_TYPE, format_add_checkpoint
from node.asking import NoAnswer, Rounds, open_client, post
from node.config import WitnessConfig
from node.effects import Say
from node.witness_shelf import WitnessShelf

ANSWER_BYTES_MAX: Final = 16 * 1024
"""A few signature lines of at most 3.3 kB."""
CLOCK_DIFFERENCE_MAX_S: Final = 300
GROWS_FROM_ANOTHER: Final = 422
"""C2SP tlog-witness: this tree does not grow from the one that the witness knows, or is another of
the same size. Up to v1.0.0 the latter was a conflict (409) with the size that was named."""
TOO_MANY_REQUESTS: Final = 429
"""RFC 6585 section 4."""


class NotWitnessed(Exception):
    """A witness gave no cosignature; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Outsider:
    """A configured witness."""

    name: str
    url: str
    key: VerifierKey


def load_witnesses(config: WitnessConfig) -> list[Outsider]:
    """Return the configured witnesses, whose keys the configuration has judged."""
    return [
        Outsider(name, url.rstrip("/"), parse_verifier_key(config.keys[name]))
        for name, url in config.urls.items()
    ]


class Witnessing:
    """One node's asking; see the module's text."""

    def __init__(
        self,
        witnesses: Sequence[Outsider],
        rounds: Rounds,
        shelf: WitnessShelf,
        read_tile: ReadTile,
        *,
        thread: Executor,
        say: Say,
    ) -> None:
        """Files are written on `thread`, of one worker."""
        self._witnesses = witnesses
        self._rounds = rounds
        self._shelf = shelf
        self._read_tile = read_tile
        self._thread = thread
        self._say = say
        self._known_sizes = dict.fromkeys([one.name for one in witnesses], 0)

    async def run(self) -> None:
        """Ask until cancelled; raise `StorageFailure` if the disk fails."""
        self._rounds.resume(self._shelf, self._say)
        async with open_client() as client:
            while True:
                await self.ask_all(client, await self._rounds.next())

    async def ask_all(self, client: httpx.AsyncClient, note: bytes) -> None:
        """Ask every witness about one certified checkpoint, and keep what is good."""
        asked_ms = self._rounds.clock_ms()
        checkpoint = parse_checkpoint_text(parse_note(note).text)
        unheard, heard, failures = list(self._witnesses), 0, 0
        while True:
            answers = await asyncio.gather(
                *(self._ask(client, one, note, checkpoint) for one in unheard)
            )
            pairs = list(zip(unheard, answers, strict=True))
            lines = {one.name: line for one, line in pairs if isinstance(line, NoteSignature)}
            if lines:
                await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._shelf.keep, checkpoint.size, note, asked_ms, lines
                )
                heard += len(lines)
                self._say("info", f"witnesses: size {checkpoint.size} has {heard} cosignatures")
            unheard = [one for one, answer in pairs if isinstance(answer, NoAnswer)]
            failures += 1
            if not unheard or not await self._rounds.pause(failures):
                return

    async def _ask(
        self, client: httpx.AsyncClient, witness: Outsider, note: bytes, checkpoint: Checkpoint
    ) -> NoteSignature | NoAnswer | NotWitnessed:
        """Return a witness's cosignature; or why there is none, which is said as well."""
        try:
            return await self._obtain(client, witness, note, checkpoint)
        except (NoAnswer, NotWitnessed) as refused:
            self._say(
                "warning",
                f"witnesses: {witness.name}: {refused} "
                f"见证方 {witness.name} 未给出可用的副署，原因见前",
            )
            return refused

    async def _obtain(
        self, client: httpx.AsyncClient, witness: Outsider, note: bytes, checkpoint: Checkpoint
    ) -> NoteSignature:
        """Return a witness's cosignature; raise `NotWitnessed` if it refused, else `NoAnswer`."""
        for _ in range(2):
            old_size = self._known_sizes[witness.name]
            if old_size > checkpoint.size:
                self._known_sizes[witness.name] = 0
                raise NotWitnessed(
                    f"it knows size {old_size} already, beyond this node's {checkpoint.size}"
                )
            proof = self._prove_growth(old_size, checkpoint.size)
            body = format_add_checkpoint(old_size, proof, note)
            answer = await post(client, f"{witness.url}/add-checkpoint", body, ANSWER_BYTES_MAX)
            if answer.status == 200:
                line = self._judge(witness, note, answer.raw)
                self._known_sizes[witness.name] = checkpoint.size
                return line
            is_size = (answer.status, answer.media_type) == (409, SIZE_TYPE)
            size = _read_size(answer.raw) if is_size else None
            if size is None:
                if answer.status == GROWS_FROM_ANOTHER and old_size:
                    self._tell_fork(witness, old_size)
                sentence = answer.raw[:200].decode("utf-8", "replace").strip()
                unable = answer.status >= 500 or answer.status == TOO_MANY_REQUESTS
                refusal = NoAnswer if unable else NotWitnessed
                raise refusal(f"it answered {answer.status}: {sentence!r}")
            if size == old_size == checkpoint.size:
                self._tell_fork(witness, size)
                raise NotWitnessed(f"it refuses this node's tree of size {size}")
            if size == old_size:
                raise NotWitnessed(f"it wants to be shown growth from size {size}, and was")
            self._known_sizes[witness.name] = size
        raise NoAnswer("it named two other sizes in a row; others are asking it too")

    def _prove_growth(self, old_size: int, size: int) -> list[bytes]:
        """Return the consistency proof from what a witness knows; raise `NotWitnessed`."""
        if not 0 < old_size < size:
            return []
        try:
            return consistency_proof_from_tiles(old_size, size, self._read_tile)
        except ValueError:  # a tile is not here: this node began with a snapshot after that size
            raise NotWitnessed(
                f"it knows size {old_size}, from before what this node holds of the log; another "
                "member has to show it a newer one"
            ) from None

    def _tell_fork(self, witness: Outsider, size: int) -> None:
        self._say(
            "error",
            f"witnesses: {witness.name} knows another tree of size {size} than this node: "
            f"one of the two was shown a fork 见证方 {witness.name} 所知的大小 {size} 的树与本节点"
            "不同：二者之一所见为分叉",
        )

    def _judge(self, witness: Outsider, note: bytes, raw: bytes) -> NoteSignature:
        """Return the line of the pinned key, verified; lines of other keys are ignored."""
        text = parse_note(note).text
        try:
            lines = [parse_signature_line(line) for line in raw.decode().splitlines()]
            for line in lines:
                if (line.name, line.key_id) == (witness.key.name, witness.key.key_id):
                    time_s = verify_cosignature(text, witness.key, line.signature)
                    away_s = abs(time_s - self._rounds.clock_ms() // 1000)
                    if away_s > CLOCK_DIFFERENCE_MAX_S:
                        raise NotWitnessed(
                            f"its time is {away_s} s from this node's; at most "
                            f"{CLOCK_DIFFERENCE_MAX_S} s are accepted"
                        )
                    return line
        except UnicodeDecodeError:
            raise NotWitnessed("its answer is no signature lines") from None
        except Rejected as rejected:
            raise NotWitnessed(rejected.detail) from None
        raise NotWitnessed(f"its answer has no line of {witness.key.name}")


def _read_size(raw: bytes) -> int | None:
    if not raw.isascii() or not raw.endswith(b"\n"):
        return None
    return parse_decimal(raw.decode("ascii")[:-1], SIZE_MAX)
