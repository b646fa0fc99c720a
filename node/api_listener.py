"""The API's port: connections accepted, given a place, brought through TLS, watched.

uvicorn serves what arrives here and knows nothing of what is before a connection is made, so the
socket is this module's: accepting goes through `node.connection_table`, a handshake has a time and
counts from its first packet, and whoever must leave is cut off in whatever state it is. On an open
connection uvicorn times the pause between two requests; here the head of a request has its time as
well, and the taking of an answer its pace. A client that ends its side behind a whole request, and
over plain TCP may still read, is answered.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import ssl
import struct
import sys
import termios
from typing import Any, Final

import h11
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from api.edge import Edge, answer_unread, answer_unreadable
from api.problems import Problem, render_problem
from ledger.system_words import explain_system
from node.connection_table import ApiDrop, ConnectionTable, Place
from node.http_bounds import BoundedHttp, RefusedHttp

BACKLOG: Final = 512
"""Connections the kernel holds until they are accepted here."""

ACCEPTED_AT_ONCE: Final = 64
"""Connections accepted before others get a turn on the event loop."""

ACCEPT_PAUSE_S: Final = 1.0
"""Until the next attempt when the system has no descriptor or memory for a connection."""

HANDSHAKE_S: Final = 10.0
"""Time for the TLS handshake: some round trips, of a second at the worst."""

GOODBYE_S: Final = 2.0
"""Time for the other side to answer TLS's closing alert, after which the socket is closed."""

LOOK_INTERVAL_S: Final = 20.0
"""Time for a request's head (at the latest twice that: it is looked at this often)."""

ANSWER_BYTES_PER_LOOK_MIN: Final = 20 * 1024
"""A client takes at least 1 kB/s of its answer."""

_BYTES_ACKED: Final = struct.Struct("=120xQ")
"""Of Linux' `struct tcp_info`, the field `tcpi_bytes_acked`."""

log = logging.getLogger("evidence_ledger.node")


class Listener:
    """The listening sockets of one API and what they accept."""

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        table: ConnectionTable,
        config: Config,
        state: ServerState,
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._table = table
        self._config = config
        self._state = state
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen on every address of the host; raise `OSError` if one cannot be had."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                listening = socket.create_server(address, family=family, backlog=BACKLOG)
                listening.setblocking(False)
                self._sockets.append(listening)
        except OSError:
            self.close()
            raise
        for listening in self._sockets:
            loop.add_reader(listening, self._accept, listening)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        return [listening.getsockname()[:2] for listening in self._sockets]

    def close(self) -> None:
        """Accept no more, and give up what has not come through its handshake."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            loop.remove_reader(listening)
            listening.close()
        self._sockets.clear()
        for task in self._tasks:
            task.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error(
                    "api: no connection can be accepted: %s 接口无法接受连接：%s",
                    error,
                    explain_system(error),
                )
                self._pause(listening)
                return
            self._admit(accepted, address[0])

    def _pause(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)

        def go_on() -> None:
            if listening in self._sockets:
                loop.add_reader(listening, self._accept, listening)

        loop.call_later(ACCEPT_PAUSE_S, go_on)

    def _admit(self, accepted: socket.socket, address: str) -> None:
        arriving = _Arriving(accepted)
        place = self._table.admit(address, arriving.drop)
        if place is None:
            accepted.close()
            return
        accepted.setblocking(False)
        arriving.task = asyncio.create_task(self._connect(arriving, place))
        self._tasks.add(arriving.task)
        # A task that is cancelled before it began runs nothing of itself, so this is not in it.
        arriving.task.add_done_callback(lambda task: self._arrived(task, arriving, place))

    async def _connect(self, arriving: _Arriving, place: Place) -> None:
        """Bring a connection to where uvicorn takes it over."""
        accepted = arriving.accepted
        timing: dict[str, Any] = {}
        if self._context is not None:
            timing = {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": GOODBYE_S}
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            arriving.transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: BoundedProtocol(self._config, self._state, self._table, place, accepted),
                accepted,
                ssl=self._context,
                **timing,
            )
        except OSError as error:
            log.debug("api: a connection did not come about: %s", error)
            self._table.tell(ApiDrop.HANDSHAKE)

    def _arrived(self, task: asyncio.Task[None], arriving: _Arriving, place: Place) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A mistake in one connection's coming about is not the end of the node.
            log.error("api: a connection broke off 一个接口连接中断", exc_info=task.exception())
        if arriving.transport is None:
            arriving.accepted.close()
            self._table.leave(place)


class _Arriving:
    """A connection before and after uvicorn has it: what must be cut off to be rid of it."""

    def __init__(self, accepted: socket.socket) -> None:
        self.accepted: Final = accepted
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.WriteTransport | None = None

    def drop(self) -> None:
        """Cut it off."""
        if self.transport is not None:
            self.transport.abort()
        elif self.task is not None:
            self.task.cancel()


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request for which there is no place, whatever it asks."""
    problem = Problem(
        "unavailable",
        "every connection that this node takes, or takes from one address, is in use by a request "
        "under way; ask again in a moment",
        "本节点接受的全部连接，或自同一地址接受的全部连接，均被正在处理的请求占用；请稍后再试",
        headers={"Connection": "close"},
    )
    await render_problem(scope, problem)(scope, receive, send)


_REFUSAL: Final = Edge(refuse)


class BoundedProtocol(H11Protocol):
    """uvicorn's connection in its place, closed when the other side lets it wait too long."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        table: ConnectionTable,
        place: Place,
        accepted: socket.socket,
    ) -> None:
        super().__init__(config, state, {})
        if config.h11_max_incomplete_event_size is not None:
            self.conn = BoundedHttp(config.h11_max_incomplete_event_size)
        if place.is_refusal:
            self.app = _REFUSAL
        self._table = table
        self._place = place
        self._accepted = accepted
        self._is_working = self._has_ended = False
        self._last_cycle: object = None
        self._was_headless = True
        self._last_unsent_bytes = self._last_taken_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(LOOK_INTERVAL_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._table.leave(self._place)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        self._mark()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._mark()
        if self._has_ended and not self._owes_answer():
            self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Go on if the client has ended its side behind a whole request; else the end is the end.

        Nothing tells who only sends no more (shutdown(2), `nc -N`) from who has gone, so from here
        on the connection is the first to make room, as an idle one. TLS has no such half: whoever
        ends it there is not answered any more.
        """
        self._has_ended = self.scheme == "http" and self._owes_answer()
        self._mark()
        return self._has_ended

    def _owes_answer(self) -> bool:
        """Whether a request has come whole and its answer has not gone."""
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is not None and not cycle.response_complete and not cycle.more_body

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as every refusal is answered, while an answer can begin; close.

        uvicorn calls this where h11 gave up, also behind an answer to a request whose body had not
        all arrived. Nothing can be sent there any more, and an attempt would be a mistake of ours.
        """
        error = sys.exception()
        state = self.conn.our_state
        if state in (h11.IDLE, h11.SEND_RESPONSE):
            if isinstance(error, RefusedHttp):
                response = answer_unread(error.problem, self.scheme)
            else:
                # What h11 repeats of the client's bytes it says behind a colon, as Python's own.
                why = str(error or msg).partition(": bytearray(")[0]
                response = answer_unreadable(why, self.scheme)
            is_head = state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"
            events = [
                h11.Response(status_code=response.status_code, headers=response.raw_headers),
                *([] if is_head else [h11.Data(data=bytes(response.body))]),
                h11.EndOfMessage(),
            ]
            self.transport.write(b"".join([self.conn.send(event) or b"" for event in events]))
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # what the application still says goes nowhere
            cycle.message_event.set()
        self.transport.close()

    def _mark(self) -> None:
        """Tell the table when a request began, and when none is under way any more."""
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        is_working = cycle is not None and not cycle.response_complete and not self._has_ended
        if is_working != self._is_working:
            self._is_working = is_working
            if is_working:
                self._table.work(self._place)
            else:
                self._table.rest(self._place)

    def _look(self) -> None:
        """Close the connection if what it waits for has not moved since the last look."""
        self._timer = self.loop.call_later(LOOK_INTERVAL_S, self._look)
        if self._accepted.fileno() < 0:
            return  # it is closed, which under TLS is told a moment later
        unsent_bytes, taken_bytes = measure_answers(self._accepted)
        expected_bytes = min(self._last_unsent_bytes, ANSWER_BYTES_PER_LOOK_MIN)
        is_busy = self._is_working or self._has_ended
        is_headless = not is_busy and self.timeout_keep_alive_task is None
        if taken_bytes - self._last_taken_bytes < expected_bytes:
            self._table.tell(ApiDrop.STALLED)
            self.transport.abort()
        elif is_headless and self._was_headless and self.cycle is self._last_cycle:
            self._table.tell(ApiDrop.NO_REQUEST)
            self.transport.close()
        self._last_unsent_bytes, self._last_taken_bytes = unsent_bytes, taken_bytes
        self._was_headless, self._last_cycle = is_headless, self.cycle


def measure_answers(connected: socket.socket) -> tuple[int, int]:
    """Return how many bytes wait in the kernel to be taken, and how many were taken so far.

    The transport's own buffer would not do: behind TLS it is another's. Linux tells both (tcp(7),
    SIOCOUTQ and TCP_INFO); elsewhere nothing is said to wait.
    """
    if sys.platform != "linux":
        return 0, 0
    waiting = fcntl.ioctl(connected, termios.TIOCOUTQ, bytes(4))
    info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
    return int.from_bytes(waiting, sys.byteorder), int(_BYTES_ACKED.unpack(info)[0])
