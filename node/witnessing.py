"""Asking configured witnesses, in the background, to cosign certified checkpoints.

At a configured interval each witness is shown the newest certified checkpoint and the proof that it
grew from the one that witness knows; a witness that knows another size says so, and is asked once
more. What comes back is checked with the pinned key and kept apart from the quorum's cosignatures.
Nothing of the ledger waits for it. A witness that knows another tree of the same size has seen a
fork, and that is an error in the log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
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
from node.config import WitnessConfig
from node.effects import Say
from node.witness_shelf import WitnessShelf
from storage.files import Damaged

ANSWER_TIMEOUT_S: Final = 30.0
ANSWER_BYTES_MAX: Final = 16 * 1024
"""A few signature lines of at most 3.3 kB."""
POLL_S: Final = 5.0
CLOCK_DIFFERENCE_MAX_S: Final = 300


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
        interval_s: int,
        shelf: WitnessShelf,
        newest: Callable[[], tuple[int, bytes] | None],
        read_tile: ReadTile,
        *,
        thread: Executor,
        say: Say,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`newest` returns the newest certified checkpoint as (height, note).

        Files are written on `thread`, of one worker.
        """
        self._witnesses = witnesses
        self._interval_ms = interval_s * 1000
        self._shelf = shelf
        self._newest = newest
        self._read_tile = read_tile
        self._thread = thread
        self._say = say
        self._clock_ms = clock_ms
        self._sleep = sleep
        self._known_sizes = dict.fromkeys([one.name for one in witnesses], 0)

    async def run(self) -> None:
        """Ask until cancelled; raise `StorageFailure` if the disk fails."""
        due_ms = self._last_asked_ms() + self._interval_ms
        async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_S, follow_redirects=False) as client:
            while True:
                wait_ms = due_ms - self._clock_ms()
                found = self._newest() if wait_ms <= 0 else None
                if found is None:
                    await self._sleep(max(POLL_S, wait_ms / 1000))
                    continue
                due_ms = self._clock_ms() + self._interval_ms
                await self.ask_all(client, found[1])

    async def ask_all(self, client: httpx.AsyncClient, note: bytes) -> None:
        """Ask every witness about one certified checkpoint, and keep what is good."""
        asked_ms = self._clock_ms()
        checkpoint = parse_checkpoint_text(parse_note(note).text)
        answers = await asyncio.gather(
            *(self._ask(client, one, note, checkpoint) for one in self._witnesses)
        )
        lines = {
            one.name: line
            for one, line in zip(self._witnesses, answers, strict=True)
            if line is not None
        }
        if lines:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self._shelf.keep, checkpoint.size, note, asked_ms, lines
            )
            self._say("info", f"witnesses: size {checkpoint.size} has {len(lines)} cosignatures")

    def _last_asked_ms(self) -> int:
        if not self._shelf.newest_size:
            return 0
        try:
            return min(self._shelf.asked_ms(self._shelf.newest_size), self._clock_ms())
        except Damaged as damaged:
            self._say("error", f"witnesses: {damaged}")
            return 0

    async def _ask(
        self, client: httpx.AsyncClient, witness: Outsider, note: bytes, checkpoint: Checkpoint
    ) -> NoteSignature | None:
        """Return a witness's cosignature; None, with the reason said."""
        try:
            return await self._obtain(client, witness, note, checkpoint)
        except NotWitnessed as refused:
            self._say("warning", f"witnesses: {witness.name}: {refused}")
        return None

    async def _obtain(
        self, client: httpx.AsyncClient, witness: Outsider, note: bytes, checkpoint: Checkpoint
    ) -> NoteSignature:
        for _ in range(2):
            old_size = self._known_sizes[witness.name]
            if old_size > checkpoint.size:
                self._known_sizes[witness.name] = 0
                raise NotWitnessed(
                    f"it knows size {old_size} already, beyond this node's {checkpoint.size}"
                )
            proof = (
                consistency_proof_from_tiles(old_size, checkpoint.size, self._read_tile)
                if 0 < old_size < checkpoint.size
                else []
            )
            body = format_add_checkpoint(old_size, proof, note)
            status, media_type, raw = await _post(client, f"{witness.url}/add-checkpoint", body)
            if status == 200:
                line = self._judge(witness, note, raw)
                self._known_sizes[witness.name] = checkpoint.size
                return line
            size = _read_size(raw) if (status, media_type) == (409, SIZE_TYPE) else None
            if size is None:
                sentence = raw[:200].decode("utf-8", "replace").strip()
                raise NotWitnessed(f"it answered {status}: {sentence!r}")
            if size == old_size:
                self._say(
                    "error",
                    f"witnesses: {witness.name} knows another tree of size {size} than this node: "
                    "one of the two was shown a fork",
                )
                raise NotWitnessed(f"it refuses this node's tree of size {checkpoint.size}")
            self._known_sizes[witness.name] = size
        raise NotWitnessed("it named two other sizes in a row; others are asking it too")

    def _judge(self, witness: Outsider, note: bytes, raw: bytes) -> NoteSignature:
        """Return the line of the pinned key, verified; lines of other keys are ignored."""
        text = parse_note(note).text
        try:
            lines = [parse_signature_line(line) for line in raw.decode().splitlines()]
            for line in lines:
                if (line.name, line.key_id) == (witness.key.name, witness.key.key_id):
                    time_s = verify_cosignature(text, witness.key, line.signature)
                    away_s = abs(time_s - self._clock_ms() // 1000)
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


async def _post(client: httpx.AsyncClient, url: str, body: bytes) -> tuple[int, str, bytes]:
    """Return (status, media type, body) of an answer of bounded size; raise `NotWitnessed`."""
    try:
        async with (
            asyncio.timeout(ANSWER_TIMEOUT_S),
            client.stream("POST", url, content=body) as response,
        ):
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            raw = bytearray()
            async for chunk in response.aiter_raw():
                raw += chunk
                if len(raw) > ANSWER_BYTES_MAX:
                    raise NotWitnessed(f"it answered with more than {ANSWER_BYTES_MAX} bytes")
            return response.status_code, media_type, bytes(raw)
    except TimeoutError:
        raise NotWitnessed(f"it did not answer within {ANSWER_TIMEOUT_S:g} s") from None
    except httpx.HTTPError as error:
        raise NotWitnessed(f"it cannot be asked: {str(error) or type(error).__name__}") from None
