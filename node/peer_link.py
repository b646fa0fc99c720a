"""One TCP connection to or from a peer: TLS, then a hello each way, then frames.

The dialler says hello once TLS stands, naming the chain, itself and whom it expects; the acceptor
compares that with the certificate it was shown and answers in kind. Only then is the peer known.
TLS 1.3 lets a dialler finish its handshake before the acceptor has looked at its certificate, so
without the answer it would not learn that it was refused. After that payloads flow from dialler to
acceptor only; against them come heartbeats, so that both sides notice when the other is gone.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

import msgspec

from ledger.refusal import Rejected
from ledger.wire import StrictDecoder, encode
from node.frames import FRAME_BYTES_MAX, HEARTBEAT, FrameReader, encode_prefix
from node.tls import RECORD_BYTES_MAX, PeerRefusal, PeerRefused, TlsPipe

PROTOCOL: Final = "evidence-ledger/peer/v1"

READ_BYTES: Final = 256 * 1024
"""One read from a socket; what a single peer can put before a single read of another."""

LINGER_S: Final = 5.0
"""How long a closed connection may take to get rid of its last bytes before it is cut."""

WRITE_BUFFER_BYTES: Final = 1024 * 1024
"""Ciphertext the event loop holds for a slow peer before frames wait in their queue instead."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Patience of the transport, in seconds."""

    connect_s: float = 10.0
    """From dialling to the peer's hello, and from accepting to it."""
    retry_first_s: float = 0.1
    retry_max_s: float = 5.0
    """Doubling from the first to this: a peer that returns is found within five seconds."""
    stable_s: float = 10.0
    """A connection that stood so long starts the doubling anew."""
    beat_s: float = 5.0
    silent_beats_max: int = 4
    """A peer silent for four beats (20 s) is gone. Beats are counted, not seconds, so that a pause
    of this very machine cuts nobody off."""


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """First frame in each direction."""

    protocol: str
    chain_id: bytes
    sender: int
    receiver: int


_hello_decoder: Final = StrictDecoder(Hello, "hello")


@dataclass(frozen=True, slots=True)
class Pins:
    """Who this node is, and whom it may talk to."""

    chain_id: bytes
    replica: int
    replica_of: dict[bytes, int]
    """Replica number by certificate (DER)."""

    def identify(self, certificate: bytes) -> int:
        """Return whose certificate this is; raise `PeerRefused` for a stranger's or one's own."""
        replica = self.replica_of.get(certificate)
        if replica is None:
            raise PeerRefused(
                PeerRefusal.UNLISTED_CERTIFICATE, "the peer's certificate is not listed in genesis"
            )
        if replica == self.replica:
            raise PeerRefused(
                PeerRefusal.OWN_CERTIFICATE,
                f"the peer showed this node's own certificate (replica {replica})",
            )
        return replica

    def hello(self, receiver: int) -> bytes:
        """Return the hello for a peer."""
        return encode(Hello(PROTOCOL, self.chain_id, self.replica, receiver))

    def check_hello(self, raw: bytes, replica: int) -> None:
        """Raise `PeerRefused` unless `raw` is a hello from `replica` to this node."""
        try:
            hello = _hello_decoder.decode(raw)
        except Rejected as error:
            raise PeerRefused(PeerRefusal.BAD_HELLO, error.detail) from None
        if hello.protocol != PROTOCOL:
            raise PeerRefused(
                PeerRefusal.BAD_HELLO,
                f"the peer speaks {hello.protocol[:64]!r}; this node speaks {PROTOCOL!r}",
            )
        if hello.chain_id != self.chain_id:
            raise PeerRefused(
                PeerRefusal.WRONG_CHAIN,
                f"the peer is on chain {hello.chain_id[:32].hex()}; this node is on "
                f"{self.chain_id.hex()}",
            )
        if hello.sender != replica:
            raise PeerRefused(
                PeerRefusal.WRONG_REPLICA,
                f"the peer says it is replica {hello.sender}; its certificate is replica "
                f"{replica}'s",
            )
        if hello.receiver != self.replica:
            raise PeerRefused(
                PeerRefusal.WRONG_REPLICA,
                f"the peer wants replica {hello.receiver}; this is replica {self.replica}",
            )


class LinkOwner(Protocol):
    """What a link tells the transport; every call is made on the event loop."""

    def link_known(self, link: PeerLink) -> None:
        """The peer is known: `link.replica` holds."""

    def link_frames(self, link: PeerLink, payloads: list[bytes]) -> None:
        """The peer sent frames (to an acceptor only)."""

    def link_writable(self, link: PeerLink) -> None:
        """The socket takes more again."""

    def link_lost(self, link: PeerLink, refused: PeerRefused | None) -> None:
        """The connection is gone, for the named reason if there is one; said exactly once."""


class PeerLink(asyncio.BufferedProtocol):
    """A connection being made or standing. `expected` is whom a dialler wants, None to accept."""

    def __init__(
        self,
        owner: LinkOwner,
        context: ssl.SSLContext,
        pins: Pins,
        scratch: bytearray,
        expected: int | None,
    ) -> None:
        self._owner = owner
        self._pins = pins
        self._expected = expected
        self._pipe = TlsPipe(context, server_side=expected is None)
        self._reader = FrameReader()
        self._scratch = memoryview(scratch)
        """Where the socket is read into: shared, since it is emptied before the next read."""
        self._record = bytearray(RECORD_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._refused: PeerRefused | None = None
        self._is_secure = False
        self._is_closing = False
        self._is_reading = True
        self._was_quiet = True
        self._linger: asyncio.TimerHandle | None = None
        self.replica: int | None = None
        """Whose connection this is, once the hellos are exchanged."""
        self.certified: int | None = None
        """Whose certificate was shown, once TLS stands."""
        self.host = "?"
        self.address = "?"
        self.is_writable = False
        """Whether the socket takes more now."""
        self.silent_beats = 0
        """Heartbeats in a row without a byte from the peer."""
        self.received_bytes = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin TLS."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        peer = transport.get_extra_info("peername")
        if peer:
            self.host, self.address = peer[0], f"{peer[0]}:{peer[1]}"
        self.is_writable = True
        self._guarded(self._shake)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the room for one read."""
        return self._scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Take one read; once goodbye is said, nothing that still comes is looked at."""
        if self._is_closing:
            return
        self._pipe.feed(self._scratch[:nbytes])
        self.silent_beats = 0
        self.received_bytes += nbytes
        self._guarded(self._shake if not self._is_secure else self._read)

    def eof_received(self) -> bool:
        """Close on the peer's EOF; there are no half-open links."""
        return False

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """The socket's buffer has room again."""
        self.is_writable = not self._is_closing
        if self.is_writable and self.replica is not None:
            self._owner.link_writable(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, once."""
        self.is_writable = False
        self._is_closing = True
        if self._linger is not None:
            self._linger.cancel()
        if self._refused is None and isinstance(exc, OSError):
            self._refused = PeerRefused(PeerRefusal.UNREACHABLE, f"the connection broke: {exc}")
        if not self.lost.done():
            self.lost.set_result(None)
        self._owner.link_lost(self, self._refused)

    # What the owner calls.

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes made of whole frames, or a slice of one."""
        if self._is_closing or self._transport is None:
            return
        self._was_quiet = False
        try:
            self._pipe.write(data)
        except PeerRefused as refused:
            self.refuse(refused)
        else:
            self._transport.write(self._pipe.take())

    def beat(self) -> None:
        """Send a heartbeat unless something else was sent since the last call."""
        if self._was_quiet and self.is_writable and self.replica is not None:
            self.write(HEARTBEAT)
        self._was_quiet = True
        if self._is_reading:
            self.silent_beats += 1

    @property
    def unsent_bytes(self) -> int:
        """Ciphertext the event loop has not handed to the kernel."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def pause_reading(self) -> None:
        """Let the peer wait; TCP tells it."""
        if self._is_reading and self._transport is not None and not self._is_closing:
            self._is_reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if not self._is_reading and self._transport is not None and not self._is_closing:
            self._is_reading = True
            self.silent_beats = 0
            self._transport.resume_reading()

    def finish(self) -> None:
        """Say goodbye and send no more, but stay until the peer has read it all and closes.

        A socket that is closed while the peer's heartbeats are still coming in is reset, and what
        the kernel has not delivered by then never arrives.
        """
        if self._is_closing or self._transport is None:
            return
        self._is_closing = True
        self.is_writable = False
        self._pipe.say_goodbye()
        self._transport.write(self._pipe.take())
        self._transport.write_eof()

    def close(self) -> None:
        """Say goodbye and close once all is sent."""
        if self._is_closing or self._transport is None:
            return
        self._is_closing = True
        self.is_writable = False
        if self._is_secure:
            self._pipe.say_goodbye()
        self._transport.write(self._pipe.take())
        self._transport.close()
        self._linger = asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def refuse(self, refused: PeerRefused) -> None:
        """Drop the connection now, for a named reason."""
        if self._refused is None:
            self._refused = refused
        if self._transport is not None:
            if not self._is_closing:
                self._is_closing = True
                self.is_writable = False
                self._transport.write(self._pipe.take())  # the alert that says why
                self._transport.close()
            if self._transport.get_write_buffer_size():
                self._transport.abort()

    async def ended(self, patience_s: float) -> None:
        """Wait until the connection is gone; cut it when patience is."""
        if self._transport is None or self.lost.done():
            return
        await asyncio.wait([self.lost], timeout=patience_s)
        self._transport.abort()
        await self.lost

    # What happens inside.

    def _guarded(self, step: Callable[[], None]) -> None:
        if self._is_closing:
            return
        try:
            step()
        except PeerRefused as refused:
            self.refuse(refused)

    def _shake(self) -> None:
        certificate = self._pipe.handshake()
        if self._transport is not None:
            self._transport.write(self._pipe.take())
        if certificate is None:
            return
        self._is_secure = True
        replica = self._pins.identify(certificate)
        if self._expected is not None and replica != self._expected:
            raise PeerRefused(
                PeerRefusal.WRONG_REPLICA,
                f"replica {self._expected} was dialled; the certificate is replica {replica}'s",
            )
        self.certified = replica
        if self._expected is not None:
            self._send_hello(replica)
        self._read()

    def _send_hello(self, replica: int) -> None:
        hello = self._pins.hello(replica)
        self.write(encode_prefix(len(hello)) + hello)

    def _read(self) -> None:
        while not self._is_closing:
            length = self._pipe.read_into(self._record)
            if length is None:
                self._flush()
                return
            if length == 0:
                self.close()
                return
            payloads = self._reader.feed(memoryview(self._record)[:length])
            if payloads:
                self._take(payloads)

    def _flush(self) -> None:
        """Send what TLS itself has to say (a key update's answer), to a peer that also listens."""
        answer = self._pipe.take()
        if answer and self._transport is not None:
            self._transport.write(answer)
            if self.unsent_bytes > 2 * WRITE_BUFFER_BYTES:
                raise PeerRefused(
                    PeerRefusal.IDLE,
                    f"the peer left {self.unsent_bytes} bytes unread and asks for more",
                )

    def _take(self, payloads: list[bytes]) -> None:
        if self.replica is None:
            replica = self.certified
            if replica is None:
                raise RuntimeError("a frame before the certificate")
            self._pins.check_hello(payloads.pop(0), replica)
            self.replica = replica
            if self._expected is None:
                self._reader.frame_bytes_max = FRAME_BYTES_MAX
                self._send_hello(replica)
            self._owner.link_known(self)
        payloads = [payload for payload in payloads if payload]
        if not payloads:
            return
        if self._expected is not None:
            raise PeerRefused(
                PeerRefusal.UNEXPECTED_FRAME,
                f"the peer sent {len(payloads[0])} bytes where only heartbeats are taken",
            )
        self._owner.link_frames(self, payloads)
