"""One peer as this node sees it when sending: a queue, and the connection dialled to empty it.

The dialler always wants a connection. It tries again after a delay that doubles up to a bound, with
jitter, and at once (though never before the first delay) when the peer itself connects to us: then
it is back. Frames queued in one pass of the event loop leave together in one write.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable
from typing import Final

from node.peer_link import PeerLink, Pins, Timing
from node.peer_meter import PeerMeter
from node.peer_queues import Dropped, QueueLimits, SendQueue
from node.tls import PeerRefusal, PeerRefused

WRITES_PER_TURN: Final = 4
"""Writes to one peer before others have their turn: 1 MiB, about 1 ms of encryption."""

CLOSE_S: Final = 0.5
"""What a peer gets to read the goodbye when this node stops; frames had their time before."""


class Dialler:
    """Owns the sending connection to one peer."""

    def __init__(
        self,
        replica: int,
        endpoint: tuple[str, int],
        *,
        context: ssl.SSLContext,
        pins: Pins,
        scratch: bytearray,
        limits: QueueLimits,
        timing: Timing,
        chance: random.Random,
        meter: PeerMeter,
        on_change: Callable[[int, bool], None],
        on_refused: Callable[[int | None, PeerRefused, str], None],
    ) -> None:
        self._replica = replica
        self._endpoint = endpoint
        self._context = context
        self._pins = pins
        self._scratch = scratch
        self._timing = timing
        self._chance = chance
        self._meter = meter
        self._on_change = on_change
        self._on_refused = on_refused
        self._queue = SendQueue(limits)
        self._is_flushing = False
        self._wake = asyncio.Event()
        self._known: asyncio.Future[None] | None = None
        self._attempt: PeerLink | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_ending = False
        self.link: PeerLink | None = None
        """The connection to send on, while it stands."""

    def start(self) -> None:
        """Begin dialling."""
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"dial replica {self._replica}"
        )
        self._task.add_done_callback(_raise_error)

    def push(self, payload: bytes, bulk: bool) -> bool:
        """Queue a frame; return False if it was refused."""
        dropped = self._queue.push(payload, bulk=bulk)
        self._count(dropped)
        self._flush_soon()
        return not dropped.bulk

    def tell(self, payload: bytes) -> bool:
        """Queue what is true now; return False if the peer is away."""
        is_taken = self._queue.tell(payload)
        self._flush_soon()
        return is_taken

    def _flush_soon(self) -> None:
        if self.link is not None and not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def wake(self) -> None:
        """Dial soon: the peer has just been heard of."""
        self._wake.set()

    async def drain(self) -> None:
        """Dial no more; wait until a peer that is here has read all that is queued and closed."""
        self._is_ending = True
        # Polled: nobody is told when the queue is empty, and this runs once.
        while self.link is not None and self._queue:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if self.link is not None:
            link = self.link
            link.finish()
            await asyncio.wait([link.lost])

    async def stop(self) -> None:
        """Give the connection up for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._attempt is not None:
            await self._attempt.ended(CLOSE_S)

    # What the link tells.

    def link_known(self, link: PeerLink) -> None:
        """The peer answered: sending may begin."""
        if self._known is not None and not self._known.done():
            self._known.set_result(None)

    def link_frames(self, link: PeerLink, payloads: list[bytes]) -> None:
        """Never: a link that dialled takes no frames."""

    def link_writable(self, link: PeerLink) -> None:
        """The socket takes more again."""
        if not self._is_flushing:
            self._flush()

    def link_lost(self, link: PeerLink, refused: PeerRefused | None) -> None:
        """The connection, or the attempt, is over."""
        if self._known is not None and not self._known.done():
            self._known.set_exception(
                refused
                or PeerRefused(PeerRefusal.REFUSED_BY_PEER, "the peer closed without an answer")
            )
        elif link is self.link:
            self._leave(refused)

    # What happens inside.

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        delay_s = self._timing.retry_first_s
        while True:
            try:
                link = await self._connect()
            except PeerRefused as refused:
                self._report(refused)
            else:
                since = loop.time()
                try:
                    await asyncio.shield(link.lost)
                finally:
                    if not link.lost.done():  # stopped: say goodbye
                        self._leave(None)
                        link.close()
                        await link.ended(CLOSE_S)
                if self._is_ending:
                    return
                if loop.time() - since >= self._timing.stable_s:
                    delay_s = self._timing.retry_first_s
            await self._pause(delay_s)
            delay_s = min(2 * delay_s, self._timing.retry_max_s)

    async def _pause(self, delay_s: float) -> None:
        """Wait between half and all of `delay_s`, or less if the peer is heard of."""
        first_s = min(self._timing.retry_first_s, delay_s)
        await asyncio.sleep(first_s)
        rest_s = delay_s * self._chance.uniform(0.5, 1.0) - first_s
        try:
            async with asyncio.timeout(max(rest_s, 0)):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _connect(self) -> PeerLink:
        """Return a link whose peer answered; raise `PeerRefused`."""
        loop = asyncio.get_running_loop()
        host, port = self._endpoint
        self._known = loop.create_future()
        link = PeerLink(self, self._context, self._pins, self._scratch, self._replica)
        self._attempt = None  # until it is connected, the event loop closes it if it is given up
        try:
            async with asyncio.timeout(self._timing.connect_s):
                await loop.create_connection(lambda: link, host, port)
                self._attempt = link
                await self._known
        except TimeoutError:
            refused = PeerRefused(
                PeerRefusal.HANDSHAKE_TIMEOUT, f"no answer within {self._timing.connect_s:g} s"
            )
            if self._attempt is not None:
                link.refuse(refused)
            raise refused from None
        except OSError as error:
            raise PeerRefused(PeerRefusal.UNREACHABLE, str(error)) from None
        except asyncio.CancelledError:
            if self._attempt is not None:
                link.close()
            raise
        finally:
            if self._known.done() and not self._known.cancelled():
                self._known.exception()  # seen, also when something else went wrong first
            self._known = None
        if link.lost.done():
            raise PeerRefused(PeerRefusal.UNREACHABLE, "the connection broke after the answer")
        self.link = link
        self._queue.arrive()
        self._on_change(self._replica, True)
        self._flush()
        return link

    def _leave(self, refused: PeerRefused | None) -> None:
        self.link = None
        self._count(self._queue.leave())
        self._on_change(self._replica, False)
        if refused is not None:
            self._report(refused)

    def _flush(self) -> None:
        self._is_flushing = False
        link = self.link
        if link is None:
            return
        writes = 0
        while link.is_writable and self._queue:
            if writes == WRITES_PER_TURN:
                self._is_flushing = True
                asyncio.get_running_loop().call_soon(self._flush)
                return
            data = self._queue.next_write()
            link.write(data)
            self._meter.peer_sent(self._replica, len(data))
            writes += 1

    def _count(self, dropped: Dropped) -> None:
        if dropped.consensus:
            self._meter.peer_dropped(self._replica, "consensus", dropped.consensus)
        if dropped.bulk:
            self._meter.peer_dropped(self._replica, "bulk", dropped.bulk)

    def _report(self, refused: PeerRefused) -> None:
        host, port = self._endpoint
        self._on_refused(
            self._replica, refused, f"dialling replica {self._replica} at {host}:{port}"
        )


def _raise_error(task: asyncio.Task[None]) -> None:
    """Give a mistake of our own to the event loop's exception handler, as a callback's would go."""
    if not task.cancelled():
        task.result()
