"""Client signatures are checked in other processes, so that the event loop never waits for one.

Checks from all callers wait in one line. Whenever a worker has room it takes a chunk: what waits,
shared out among the workers, 32 to 256 at a time; so single checks that arrive together cost one
message, and under load chunks grow by themselves. A worker is a plain child process on a socket
pair rather than a `ProcessPoolExecutor`'s: it needs no threads in the node, does not import the
node's main module, and costs the node 1.0 µs per check where the executor cost 2.3 (measured, both
in chunks of 256). When the node dies, however it dies, its end of the pair closes and the worker
ends; `PR_SET_PDEATHSIG` would do the same, but fires already when the thread that started it ends.
A worker that dies, or answers nothing for long, is started anew and its chunks are tried once more.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias, cast

from ledger.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify_signature
from node.keystore import PASSPHRASE_VARIABLE
from node.verification_worker import encode_chunk

Check: TypeAlias = tuple[bytes, bytes, bytes]
"""Public key, message, signature."""

CHUNK_COUNT_MIN: Final = 32
"""A chunk costs about 60 µs beside its checks, one check about 65 µs of work."""
CHUNK_COUNT_MAX: Final = 256
"""About 17 ms of work: what a caller with one check may have to wait behind."""
CHUNKS_PER_WORKER_MAX: Final = 2
"""One under way and one in the socket, so that a worker never waits for the event loop."""
MESSAGE_BYTES_MAX: Final = 4096
"""What a client signs is a tag and two hashes, about 90 bytes; so a chunk is at most 1 MiB."""
WAITING_COUNT_MAX: Final = 65_536
"""Checks in line; who comes with more waits outside. About four seconds of work for one core."""
INLINE_COUNT: Final = 16
"""Without workers: checks (about 1 ms) between two looks at the event loop. With twice as many, who
reads evidence beside a full load waits for 2.4 s in the median instead of 76 ms (measured)."""
WORKERS_MAX: Final = 64
RESTART_DELAY_MAX_S: Final = 5.0
LOOK_S: Final = 1.0
"""Between two looks at whether the workers come on."""
LOOKS_MAX: Final = 10
"""Looks that may find a worker at the same chunk; at the next it hangs and is replaced. Looks, not
seconds: a node that stood still itself blames nobody for it."""
FIRST_LOOKS_MAX: Final = 60
"""The same for its first chunk, which waits until the process has started: on a busy machine that
can take long, and one that is replaced meanwhile would never have started."""
END_S: Final = 2.0
"""From closing a worker's socket to killing it; a chunk takes 17 ms."""


_KNOWN_GOOD: Final[Check] = (
    bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
    b"",
    bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
        "b46bd25bf5f0595bbe24655141438e7a100b"
    ),
)
"""RFC 8032 section 7.1, TEST 1."""


class VerifierUnavailable(Exception):
    """A chunk could not be checked; nothing is said about its signatures."""

    def __init__(self, detail: str, detail_zh: str) -> None:
        super().__init__(detail)
        self.detail_zh = detail_zh


class VerificationMeter(Protocol):
    """What the verifier counts."""

    def verified(self, good_count: int, bad_count: int, seconds: float) -> None:
        """Checks were answered, `seconds` after they were handed in."""

    def verifier_restarted(self) -> None:
        """A worker died and was replaced."""


class _NoMeter:
    def verified(self, good_count: int, bad_count: int, seconds: float) -> None:
        pass

    def verifier_restarted(self) -> None:
        pass


NO_METER: Final[VerificationMeter] = _NoMeter()


@dataclass(slots=True, eq=False)
class _Lot:
    """One caller's checks."""

    checks: Sequence[Check]
    results: list[bool]
    remaining: int
    answered: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class _Chunk:
    """Parts of lots that travel together: (lot, start, stop)."""

    parts: list[tuple[_Lot, int, int]]
    raw: bytes
    count: int
    is_retry: bool = False


class SignatureVerifier:
    """Checks signatures in `workers` processes, or inline when there are none."""

    def __init__(self, workers: int, *, meter: VerificationMeter = NO_METER) -> None:
        if not 0 <= workers <= WORKERS_MAX:
            raise ValueError(f"workers must be 0 to {WORKERS_MAX}, not {workers}")
        self._count = workers
        self._meter = meter
        self._workers: list[_Worker] = []
        self._waiting: deque[tuple[_Lot, int, int]] = deque()
        self._waiting_count = 0
        self._retries: deque[_Chunk] = deque()
        self._room = asyncio.Event()
        self._closing = asyncio.Event()
        self._is_scheduled = False
        self._is_closed = False
        self._restart_delay_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_look: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start the workers and see one work; raise `OSError` or `VerifierUnavailable`."""
        self._room.set()
        for _ in range(self._count):
            await self._add_worker()
        self._look()
        if not all(await self._check([_KNOWN_GOOD])):
            await self.close()
            raise VerifierUnavailable(
                "the workers refuse a signature that is known to be good",
                "验签进程拒绝了一个已知有效的签名",
            )

    async def verify(self, checks: Sequence[Check]) -> list[bool]:
        """Return, in order, whether each signature is good; raise `VerifierUnavailable`."""
        if not checks:
            return []
        begin = time.perf_counter()
        results = await self._check(checks)
        good_count = sum(results)
        self._meter.verified(good_count, len(results) - good_count, time.perf_counter() - begin)
        return results

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(worker.pid for worker in self._workers)

    async def close(self) -> None:
        """End the workers; checks still waiting raise `VerifierUnavailable`."""
        self._is_closed = True
        self._closing.set()
        self._room.set()
        if self._next_look is not None:
            self._next_look.cancel()
        workers, self._workers = self._workers, []
        for worker in workers:
            for chunk in worker.chunks:
                self._give_up(chunk)
            worker.close()
        for chunk in self._retries:
            self._give_up(chunk)
        for lot, _, _ in self._waiting:
            _fail(lot)
        self._waiting.clear()
        self._retries.clear()
        await asyncio.gather(*[worker.reap() for worker in workers], *self._tasks)

    async def _check(self, checks: Sequence[Check]) -> list[bool]:
        if self._count == 0:
            return await _verify_inline(checks)
        return await self._verify_in_workers(checks)

    async def _verify_in_workers(self, checks: Sequence[Check]) -> list[bool]:
        while self._waiting_count >= WAITING_COUNT_MAX and not self._is_closed:
            self._room.clear()
            await self._room.wait()
        if self._is_closed:
            raise VerifierUnavailable("the verifier is closed", "验签已关闭")
        sent = checks
        is_sized = [
            len(key) == PUBLIC_KEY_BYTES and len(signature) == SIGNATURE_BYTES
            for key, _, signature in checks
        ]
        if not all(is_sized):  # a wrong length is merely a wrong signature
            sent = [check for check, fits in zip(checks, is_sized, strict=True) if fits]
        if max((len(check[1]) for check in sent), default=0) > MESSAGE_BYTES_MAX:
            raise ValueError(f"a signed message has more than {MESSAGE_BYTES_MAX} bytes")
        if not sent:
            return is_sized
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lot = _Lot(sent, [False] * len(sent), len(sent), future)
        self._waiting.append((lot, 0, len(sent)))
        self._waiting_count += len(sent)
        self._schedule()
        await future
        if sent is checks:
            return lot.results
        answers = iter(lot.results)
        return [fits and next(answers) for fits in is_sized]

    # Sharing out.

    def _schedule(self) -> None:
        """Share out once everybody who is about to come in this pass of the loop has come."""
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._share_out)

    def _share_out(self) -> None:
        self._is_scheduled = False
        for depth in range(CHUNKS_PER_WORKER_MAX):
            for worker in self._workers:
                if len(worker.chunks) == depth:
                    chunk = self._next_chunk()
                    if chunk is None:
                        return
                    worker.send(chunk)

    def _next_chunk(self) -> _Chunk | None:
        if self._retries:
            return self._retries.popleft()
        share = -(-self._waiting_count // self._count)
        room = min(max(share, CHUNK_COUNT_MIN), CHUNK_COUNT_MAX)
        parts: list[tuple[_Lot, int, int]] = []
        checks: list[Check] = []
        while self._waiting and room:
            lot, start, stop = self._waiting.popleft()
            if lot.answered.done():  # its caller is gone
                self._waiting_count -= stop - start
                continue
            end = min(stop, start + room)
            if end < stop:
                self._waiting.appendleft((lot, end, stop))
            parts.append((lot, start, end))
            checks.extend(lot.checks[start:end])
            room -= end - start
        self._waiting_count -= len(checks)
        if self._waiting_count < WAITING_COUNT_MAX:
            self._room.set()
        return _Chunk(parts, encode_chunk(checks), len(checks)) if checks else None

    # What workers tell.

    def _look(self) -> None:
        """Part with workers that do not come on; that their sockets close is then the news."""
        for worker in self._workers:
            if worker.chunks:
                worker.looks += 1
                if worker.looks > worker.looks_max:
                    worker.close()
        if self._count and not self._is_closed:
            self._next_look = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def chunk_answered(self, chunk: _Chunk, answer: bytes) -> None:
        """A worker answered."""
        self._restart_delay_s = 0.0
        offset = 0
        for lot, start, stop in chunk.parts:
            count = stop - start
            lot.results[start:stop] = [flag == 1 for flag in answer[offset : offset + count]]
            offset += count
            lot.remaining -= count
            if lot.remaining == 0 and not lot.answered.done():
                lot.answered.set_result(None)
        self._share_out()

    def worker_lost(self, worker: _Worker) -> None:
        """A worker died: replace it, and try its chunks once more."""
        if self._is_closed or worker not in self._workers:
            return
        self._workers.remove(worker)
        worker.close()
        for chunk in reversed(worker.chunks):
            # Only the chunk under way can be what killed it; the one behind it was not looked at.
            if chunk.is_retry and chunk is worker.chunks[0]:
                self._give_up(chunk)
            else:
                chunk.is_retry = chunk is worker.chunks[0]
                self._retries.appendleft(chunk)
        self._meter.verifier_restarted()
        self._keep(worker.reap())
        self._keep(self._replace())

    async def _replace(self) -> None:
        delay_s = self._restart_delay_s
        self._restart_delay_s = min(max(2 * delay_s, 0.1), RESTART_DELAY_MAX_S)
        while True:
            try:
                async with asyncio.timeout(delay_s):
                    await self._closing.wait()
                return
            except TimeoutError:
                pass
            try:
                await self._add_worker()
            except OSError:  # no process to be had now
                delay_s = RESTART_DELAY_MAX_S
            else:
                return

    async def _add_worker(self) -> None:
        worker = _Worker(self)
        await worker.start()
        if self._is_closed:
            worker.close()
            await worker.reap()
            return
        self._workers.append(worker)
        if worker.is_lost:  # before anybody knew it
            self.worker_lost(worker)
        else:
            self._share_out()

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _give_up(self, chunk: _Chunk) -> None:
        for lot, _, _ in chunk.parts:
            _fail(lot)


class _Worker(asyncio.Protocol):
    """One process, and the socket to it."""

    def __init__(self, owner: SignatureVerifier) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._pending = bytearray()
        self._process: subprocess.Popen[bytes] | None = None
        self.is_lost = False
        self.chunks: deque[_Chunk] = deque()
        """Sent and not answered yet, oldest first."""
        self.looks = 0
        """How many have found it at its oldest chunk."""
        self.looks_max = FIRST_LOOKS_MAX
        """How many may."""

    async def start(self) -> None:
        """Start the process; it is sent work at once and begins once it has imported libsodium."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _spawn(theirs)
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid if self._process is not None else 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, chunk: _Chunk) -> None:
        """Hand a chunk over."""
        self.chunks.append(chunk)
        if self._transport is not None:
            self._transport.write(chunk.raw)

    def data_received(self, data: bytes) -> None:
        """Take answers: they come in the order of the chunks."""
        self._pending += data
        while self.chunks and len(self._pending) >= self.chunks[0].count:
            chunk = self.chunks.popleft()
            self.looks, self.looks_max = 0, LOOKS_MAX
            answer = bytes(self._pending[: chunk.count])
            del self._pending[: chunk.count]
            self._owner.chunk_answered(chunk, answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process is gone, or this node closed the socket."""
        self.is_lost = True
        self._owner.worker_lost(self)

    def close(self) -> None:
        """Let the process end: it does at the end of its input."""
        if self._transport is not None:
            self._transport.abort()

    async def reap(self) -> None:
        """Wait for the process to end; kill it if it does not."""
        process = self._process
        if process is None:
            return
        deadline = time.monotonic() + END_S
        while process.poll() is None:  # a child's end is no event of a portable event loop
            if time.monotonic() > deadline:
                process.kill()
            await asyncio.sleep(0.005)


def _spawn(connection: socket.socket) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parent.parent)
    environment = {k: v for k, v in os.environ.items() if k != PASSPHRASE_VARIABLE}
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = f"{root}{os.pathsep}{inherited}" if inherited else root
    descriptor = connection.fileno()
    command = [sys.executable, "-P", "-m", "node.verification_worker", str(descriptor)]
    return subprocess.Popen(  # noqa: S603 our own module in our own interpreter
        command,
        pass_fds=(descriptor,),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        process_group=0,  # a terminal's Ctrl-C is for the node, which then ends its workers
    )


def _fail(lot: _Lot) -> None:
    if not lot.answered.done():
        lot.answered.set_exception(
            VerifierUnavailable(
                f"{len(lot.checks)} signatures were not checked: the worker process ended",
                f"{len(lot.checks)} 个签名未能验证：验签进程已终止",
            )
        )


async def _verify_inline(checks: Sequence[Check]) -> list[bool]:
    results: list[bool] = []
    for start in range(0, len(checks), INLINE_COUNT):
        if start:
            await asyncio.sleep(0)
        chunk = checks[start : start + INLINE_COUNT]
        results += [verify_signature(key, message, signature) for key, message, signature in chunk]
    return results
