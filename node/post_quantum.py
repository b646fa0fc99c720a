"""Cosigning certified checkpoints with ML-DSA-44, in the background, and collecting the others'.

At every n-th height, and at the first block without transactions after some with, a validator
cosigns the checkpoint that the quorum's Ed25519 cosignatures have certified, and tells its peers.
Once a quorum has done so the lines are kept and served. Nothing waits for this: a checkpoint whose
lines never become a quorum is forgotten, and the next one covers it. What a peer sends waits in
few slots, is looked at once a second and costs one check, whatever the peer does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

from genesis.document import Genesis
from ledger.block import Header
from ledger.checkpoint import Checkpoint, parse_checkpoint_text
from ledger.hashing import sha256
from ledger.note import NoteSignature, format_note, parse_note
from ledger.post_quantum import post_quantum_cosign, post_quantum_key, read_line, verify_line
from ledger.refusal import Rejected
from ledger.signing import Signer
from node.effects import Say
from node.messages import PostQuantumCosigned, decode_frame, encode_frame
from node.mldsa import verify_mldsa
from node.post_quantum_shelf import PostQuantumShelf

HEIGHTS_MAX: Final = 4
"""Heights whose lines are still collected; a later checkpoint covers the older ones."""

POLL_S: Final = 1.0
RESEND_S: Final = 30.0
"""Pause before this node's newest line is told again, while some member's is missing."""


@dataclass(slots=True)
class _Height:
    checkpoint: Checkpoint
    lines: dict[int, tuple[NoteSignature, bytes]] = field(default_factory=dict)
    """Line and public key by replica."""
    kept_count: int = 0


class PostQuantumCosigning:
    """One node's cosigning; see the module's text."""

    def __init__(
        self,
        genesis: Genesis,
        replica: int,
        signer: Signer,
        shelf: PostQuantumShelf,
        interval_heights: int,
        checkpoint_at: Callable[[int], bytes | None],
        broadcast: Callable[[bytes], object],
        *,
        thread: Executor,
        say: Say,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`checkpoint_at` returns the certified checkpoint of a height, or None.

        Signatures are made and checked, and files written, on `thread`, of one worker.
        """
        self._genesis = genesis
        self._members = genesis.post_quantum_members
        self._replica = replica
        self._signer = signer
        self._shelf = shelf
        self._interval = interval_heights
        self._checkpoint_at = checkpoint_at
        self._broadcast = broadcast
        self._thread = thread
        self._say = say
        self._clock_ms = clock_ms
        self._sleep = sleep
        self._was_busy = False
        self._idle: list[int] = []
        self._due: list[int] = []
        self._certified = 0
        self._heights: dict[int, _Height] = {}
        self._inbox: dict[int, dict[int, PostQuantumCosigned]] = {}
        self._said_ms = 0

    @property
    def can_sign(self) -> bool:
        """Say whether genesis names this very key for this replica."""
        return self._members[self._replica].key_hash == sha256(self._signer.public_key)

    def committed(self, header: Header) -> None:
        """A block is durable; the first without transactions after some with is a height too."""
        if header.count == 0 and self._was_busy:
            self._idle = [*self._idle, header.height][-HEIGHTS_MAX:]
        self._was_busy = header.count > 0

    def certified(self, height: int) -> None:
        """A height's checkpoint is certified (again, when more have cosigned it)."""
        is_news = height > self._certified
        self._certified = max(self._certified, height)
        if is_news and self._is_due(height):
            self._due = [*self._due, height][-HEIGHTS_MAX:]

    def frame_arrived(self, replica: int, payload: bytes) -> None:
        """A peer's line: put into one of its few slots, unread but for its height."""
        try:
            frame = decode_frame(payload)
        except Rejected as rejected:
            self._say(
                "warning",
                f"replica {replica} sent what is refused: {rejected} "
                f"第 {replica} 号副本发来的内容被拒绝，原因见前",
            )
            return
        if isinstance(frame, PostQuantumCosigned):
            waiting = self._inbox.setdefault(replica, {})
            waiting[frame.height] = frame
            while len(waiting) > HEIGHTS_MAX:
                del waiting[min(waiting)]

    def resume(self, newest_height: int) -> None:
        """Begin with the last height of the interval, unless its lines are kept already."""
        self._certified = max(self._certified, newest_height)
        height = newest_height - newest_height % self._interval
        note = self._checkpoint_at(height) if height > 0 else None
        if note is not None and not self._shelf.holds(_read_checkpoint(note).size):
            self._due.append(height)

    async def run(self) -> None:
        """Cosign and collect until cancelled; raise `StorageFailure` if the disk fails."""
        while True:
            await self.work()
            await self._sleep(POLL_S)

    async def work(self) -> None:
        """Do what is to be done now."""
        loop = asyncio.get_running_loop()
        due, self._due = self._due, []
        for height in due:
            await loop.run_in_executor(self._thread, self._open, height)
        for replica in list(self._inbox):
            await self._read_inbox(replica)
        for height, opened in list(self._heights.items()):
            count = len(opened.lines)
            if count > opened.kept_count and count >= self._genesis.validators.quorum:
                await loop.run_in_executor(self._thread, self._keep, height, opened)
        self._say_again()

    def _is_due(self, height: int) -> bool:
        return height > 0 and (height % self._interval == 0 or height in self._idle)

    def _open(self, height: int) -> None:
        """Cosign a certified checkpoint and begin to collect the others' lines."""
        note = self._checkpoint_at(height)
        if note is None:
            return
        opened = _Height(_read_checkpoint(note))
        self._heights[height] = opened
        while len(self._heights) > HEIGHTS_MAX:
            del self._heights[min(self._heights)]
        if self.can_sign:
            name, key = self._members[self._replica].name, self._signer.public_key
            line = post_quantum_cosign(
                opened.checkpoint, name, key, self._signer.sign, self._clock_ms() // 1000
            )
            opened.lines[self._replica] = (line, key)
            self._said_ms = 0

    async def _read_inbox(self, replica: int) -> None:
        """Judge the lines of a peer whose heights are open; those of later heights wait.

        While one is judged others arrive, and may push out what waited.
        """
        loop = asyncio.get_running_loop()
        waiting = self._inbox.get(replica, {})
        for height in list(waiting):
            if height not in self._heights:
                if height <= self._certified and height not in self._due:
                    waiting.pop(height, None)
                continue
            frame = waiting.pop(height, None)
            opened = self._heights[height]
            if frame is None or replica in opened.lines:
                continue
            try:
                opened.lines[replica] = await loop.run_in_executor(
                    self._thread, self._judge, replica, frame, opened.checkpoint
                )
            except Rejected as rejected:
                self._say(
                    "warning",
                    f"post-quantum: replica {replica}: {rejected} "
                    f"第 {replica} 号副本的后量子联署未通过核验，原因见前",
                )

    def _judge(
        self, replica: int, frame: PostQuantumCosigned, checkpoint: Checkpoint
    ) -> tuple[NoteSignature, bytes]:
        """Return a peer's line and key, verified over this node's own certified tree."""
        name = self._members[replica].name
        key_id = post_quantum_key(name, frame.public_key).key_id
        line = NoteSignature(name, key_id, frame.signature)
        verify_line(read_line(line, frame.public_key, self._members), checkpoint, verify_mldsa)
        return line, frame.public_key

    def _keep(self, height: int, opened: _Height) -> None:
        ordered = [opened.lines[replica] for replica in sorted(opened.lines)]
        note = format_note(opened.checkpoint.text(), [line for line, _ in ordered])
        self._shelf.keep(height, opened.checkpoint.size, note, [key for _, key in ordered])
        opened.kept_count = len(ordered)
        self._say(
            "info",
            f"post-quantum: size {opened.checkpoint.size} has {len(ordered)} ML-DSA-44 "
            "cosignatures",
        )

    def _say_again(self) -> None:
        """Tell the peers this node's newest line, again from time to time while one is missing."""
        height = max(self._heights, default=0)
        if height == 0 or self._replica not in self._heights[height].lines:
            return
        opened = self._heights[height]
        expected = sum(member.key_hash is not None for member in self._members)
        now_ms = self._clock_ms()
        # A clock that was set back may not keep it silent until it is there again.
        if self._said_ms and (
            len(opened.lines) >= expected or 0 <= now_ms - self._said_ms < RESEND_S * 1000
        ):
            return
        self._said_ms = now_ms
        line, key = opened.lines[self._replica]
        tree = opened.checkpoint
        self._broadcast(
            encode_frame(PostQuantumCosigned(height, tree.size, tree.root, key, line.signature))
        )


def _read_checkpoint(note: bytes) -> Checkpoint:
    return parse_checkpoint_text(parse_note(note).text)
