"""The transport: frames between pinned peers over mutual TLS 1.3.

Every node dials every other and sends on that connection only; on connections it accepted it only
receives. So no two nodes have to agree which of two connections survives, and a peer's queue
belongs to exactly one socket. Delivery is at most once and in order within a class; what is lost
PBFT sends again. Everything a peer can make this node hold is bounded by `QueueLimits`, and belongs
to the replica, not to its connection, so that connecting again earns nothing. The transport knows
nothing of what frames mean.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final

from genesis.document import Genesis
from node.dialler import CLOSE_S, Dialler
from node.endpoint import parse_endpoint
from node.frames import FRAME_BYTES_MAX
from node.peer_link import READ_BYTES, PeerLink, Pins, Timing
from node.peer_meter import NO_METER, PeerMeter
from node.peer_queues import FairInbox, QueueLimits
from node.tls import (
    REFUSALS_ZH,
    PeerRefusal,
    PeerRefused,
    TlsIdentity,
    TlsIdentityError,
    make_contexts,
)

__all__ = [
    "FRAME_BYTES_MAX",
    "PeerMeter",
    "PeerRefusal",
    "QueueLimits",
    "Timing",
    "TlsIdentity",
    "TlsIdentityError",
    "Transport",
]

NEWS_BYTES_MAX: Final = 64 * 1024
"""Largest payload that goes before all that waits: a status with some hundred votes is a tenth."""

STRANGERS_MAX: Final = 64
"""Accepted connections whose peer is not known yet. Above it one is dropped, the oldest of the host
that has most of them: an honest handshake takes milliseconds, so it is not honest peers that wait
there, and a host that opens them faster than that pushes out its own."""


_log = logging.getLogger("evidence_ledger.transport")


def log_refusal(replica: int | None, refusal: PeerRefusal, detail: str) -> None:
    """Say in the log why a connection was not kept."""
    _log.warning(
        "peer connection: %s 节点间的连接：%s",
        detail,
        REFUSALS_ZH[refusal],
        extra={"peer": replica, "refusal": refusal.value},
    )


class Transport:
    """This node's end of all its peer connections. All methods are called on the event loop."""

    def __init__(
        self,
        *,
        replica: int,
        genesis: Genesis,
        listen: str,
        endpoints: Mapping[int, str] | None = None,
        tls: TlsIdentity,
        on_frame: Callable[[int, bytes], None],
        on_peer: Callable[[int, bool], None] | None = None,
        on_refusal: Callable[[int | None, PeerRefusal, str], None] = log_refusal,
        meter: PeerMeter = NO_METER,
        chance: random.Random | None = None,
        timing: Timing = Timing(),  # noqa: B008 frozen
        limits: QueueLimits = QueueLimits(),  # noqa: B008 frozen
    ) -> None:
        """Prepare; nothing is opened before `start`.

        `on_frame(replica, payload)` is called once per frame, peers taking turns. `on_peer` says
        when frames can be sent to a peer and when no longer. `on_refusal(replica or None, reason,
        sentence)` writes to the log unless given. Raises `TlsIdentityError` or `ValueError` for
        what is wrong with this node's own certificate, key or addresses.
        """
        count = len(genesis.institutions)
        certificates = [genesis.certificate(number) for number in range(count)]
        self._pins = Pins(
            genesis.chain_id,
            replica,
            {certificate: number for number, certificate in enumerate(certificates)},
        )
        self._accepting, dialling = make_contexts(tls, certificates[replica], certificates)
        self._listen = parse_endpoint(listen)
        self._scratch = bytearray(READ_BYTES)
        # Jitter only: it keeps peers from dialling in step and guards nothing.
        chance = chance or random.Random()  # noqa: S311
        overrides = endpoints or {}
        self._peers = {
            number: Dialler(
                number,
                parse_endpoint(overrides.get(number, genesis.institutions[number].endpoints.peer)),
                context=dialling,
                pins=self._pins,
                scratch=self._scratch,
                limits=limits,
                timing=timing,
                chance=chance,
                meter=meter,
                on_change=self._peer_changed,
                on_refused=self._report,
            )
            for number in range(count)
            if number != replica
        }
        self._inbox = FairInbox(count, limits)
        self._on_frame = on_frame
        self._on_peer = on_peer
        self._on_refusal = on_refusal
        self._meter = meter
        self._timing = timing
        self._strangers: deque[tuple[PeerLink, asyncio.TimerHandle]] = deque()
        self._incoming: dict[int, PeerLink] = {}
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beat_timer: asyncio.TimerHandle | None = None
        self._is_dispatching = False
        self._is_closed = False

    # Public.

    async def start(self) -> None:
        """Listen and begin dialling; raise `OSError` if the address cannot be had."""
        self._loop = asyncio.get_running_loop()
        host, port = self._listen
        self._server = await self._loop.create_server(self._accept, host, port)
        self._beat_timer = self._loop.call_later(self._timing.beat_s, self._beat)
        for peer in self._peers.values():
            peer.start()

    @property
    def port(self) -> int:
        """The port listened on (of use when the configured one is 0)."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the transport is not listening")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connected(self) -> frozenset[int]:
        """Replicas that frames can be sent to now."""
        return frozenset(number for number, peer in self._peers.items() if peer.link is not None)

    def send(self, replica: int, payload: bytes, bulk: bool = False) -> bool:
        """Queue a frame for one peer; return False if it was refused (bulk only)."""
        _check_payload(payload)
        return self._peers[replica].push(payload, bulk)

    def broadcast(self, payload: bytes, bulk: bool = False) -> int:
        """Queue a frame for every peer; return how many queues took it."""
        _check_payload(payload)
        return sum(peer.push(payload, bulk) for peer in self._peers.values())

    def tell(self, payload: bytes) -> int:
        """Queue for every peer that is here what is true now, at most `NEWS_BYTES_MAX`, before all
        that waits; return how many there are. A newer one takes the place of one that waits."""
        _check_payload(payload)
        if len(payload) > NEWS_BYTES_MAX:
            raise ValueError(f"news of {len(payload)} bytes; at most {NEWS_BYTES_MAX} go first")
        return sum(peer.tell(payload) for peer in self._peers.values())

    def hold(self, replica: int) -> None:
        """Deliver no frames of this peer until `release`; soon TCP makes it wait."""
        self._inbox.hold(replica)

    def release(self, replica: int) -> None:
        """Deliver this peer's frames again."""
        self._inbox.release(replica)
        self._dispatch_soon()

    async def close(self, grace_s: float = 2.0) -> None:
        """Stop: no new connections, what is queued gets `grace_s` to arrive, then goodbye."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        if self._server is not None:
            self._server.close()
        try:
            async with asyncio.timeout(grace_s):
                await asyncio.gather(*(peer.drain() for peer in self._peers.values()))
        except TimeoutError:
            pass
        await asyncio.gather(*(peer.stop() for peer in self._peers.values()))
        links = [*self._incoming.values(), *(link for link, _ in self._strangers)]
        for link in links:
            link.close()
        await asyncio.gather(*(link.ended(CLOSE_S) for link in links))
        if self._server is not None:
            await self._server.wait_closed()

    # Receiving.

    def _accept(self) -> PeerLink:
        """Make the protocol of a connection somebody opened (called by the event loop)."""
        if self._loop is None:
            raise RuntimeError("not started")
        link = PeerLink(self, self._accepting, self._pins, self._scratch, None)
        if len(self._strangers) >= STRANGERS_MAX:
            self._drop_stranger()
        timer = self._loop.call_later(
            self._timing.connect_s,
            link.refuse,
            PeerRefused(
                PeerRefusal.HANDSHAKE_TIMEOUT,
                f"no hello within {self._timing.connect_s:g} s of connecting",
            ),
        )
        self._strangers.append((link, timer))
        return link

    def _drop_stranger(self) -> None:
        links = [link for link, _ in self._strangers]
        ((crowded, _),) = Counter(link.host for link in links).most_common(1)
        oldest = next(link for link in links if link.host == crowded)
        oldest.refuse(
            PeerRefused(
                PeerRefusal.TOO_MANY_CONNECTIONS,
                f"{STRANGERS_MAX} connections wait for their handshake; the oldest of the host "
                "with most of them is dropped",
            )
        )
        self._forget_stranger(oldest)

    def _forget_stranger(self, link: PeerLink) -> None:
        for entry in self._strangers:
            if entry[0] is link:
                entry[1].cancel()
                self._strangers.remove(entry)
                return

    def link_known(self, link: PeerLink) -> None:
        """An accepted peer said who it is: its new connection replaces an old one."""
        self._forget_stranger(link)
        replica = link.replica
        if replica is None or self._is_closed:
            link.close()
            return
        old = self._incoming.get(replica)
        self._incoming[replica] = link
        if old is not None:
            old.refuse(PeerRefused(PeerRefusal.REPLACED, f"replica {replica} connected once more"))
        if self._inbox.is_full(replica):
            link.pause_reading()
        self._peers[replica].wake()

    def link_frames(self, link: PeerLink, payloads: list[bytes]) -> None:
        """Frames came in: they wait for their peer's turn."""
        replica = link.replica
        if replica is None or self._is_closed:
            return
        self._inbox.push(replica, payloads)
        self._meter.peer_received(replica, sum(map(len, payloads)))
        if self._inbox.is_full(replica):
            link.pause_reading()
        self._dispatch_soon()

    def link_writable(self, link: PeerLink) -> None:
        """Nothing but heartbeats is written to accepted connections."""

    def link_lost(self, link: PeerLink, refused: PeerRefused | None) -> None:
        """An accepted connection is gone."""
        self._forget_stranger(link)
        if link.replica is not None and self._incoming.get(link.replica) is link:
            del self._incoming[link.replica]
        if refused is not None:
            self._report(link.certified, refused, f"from {link.address}")

    def _dispatch_soon(self) -> None:
        if not self._is_dispatching and self._inbox.is_waiting and self._loop is not None:
            self._is_dispatching = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        """Give one peer its turn, then let the event loop look at sockets and timers."""
        self._is_dispatching = False
        if self._is_closed:
            return
        inbox = self._inbox
        replica = inbox.begin_turn()
        if replica is None:
            return
        try:
            while (payload := inbox.take(replica)) is not None:
                self._on_frame(replica, payload)
        finally:
            link = self._incoming.get(replica)
            if link is not None and inbox.is_low(replica):
                link.resume_reading()
            self._dispatch_soon()

    # Both ways.

    def _peer_changed(self, replica: int, is_connected: bool) -> None:
        self._meter.peer_connected(replica, is_connected)
        if self._on_peer is not None:
            self._on_peer(replica, is_connected)

    def _beat(self) -> None:
        if self._loop is None or self._is_closed:
            return
        self._beat_timer = self._loop.call_later(self._timing.beat_s, self._beat)
        links = [peer.link for peer in self._peers.values() if peer.link is not None]
        for link in [*links, *self._incoming.values()]:
            if link.silent_beats >= self._timing.silent_beats_max:
                silent_s = link.silent_beats * self._timing.beat_s
                link.refuse(PeerRefused(PeerRefusal.IDLE, f"not a byte came for {silent_s:g} s"))
            else:
                link.beat()

    def _report(self, replica: int | None, refused: PeerRefused, where: str) -> None:
        self._meter.peer_refused(refused.refusal)
        self._on_refusal(replica, refused.refusal, f"{where}: {refused.detail}")


def _check_payload(payload: bytes) -> None:
    if not 0 < len(payload) <= FRAME_BYTES_MAX:
        raise ValueError(f"a payload has 1 to {FRAME_BYTES_MAX} bytes, not {len(payload)}")
