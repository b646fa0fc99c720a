"""Frames on a byte stream: u32be length, then that many bytes.

A frame of length 0 is a heartbeat. A reader holds at most one unfinished frame, grows only with
bytes that really came (an announced length reserves nothing), and refuses a length above its bound
before it takes the first byte. What a frame means is not known here.
"""

from __future__ import annotations

from typing import Final

from node.tls import PeerRefusal, PeerRefused

FRAME_BYTES_MAX: Final = 24 * 1024 * 1024
"""A proposal is the largest message: 16 MiB of envelopes (genesis' greatest `block_bytes_max`, from
JR/T 0314-2024), 65,536 leaf hashes of 32 bytes (2 MiB), and room for framing and one certificate of
36 signatures. Catch-up answers are cut to fit."""

HELLO_BYTES_MAX: Final = 256
"""The first frame of a connection is a hello of about 70 bytes; until it is accepted, nothing
larger is taken from the peer."""

PREFIX_BYTES: Final = 4
HEARTBEAT: Final = bytes(PREFIX_BYTES)


def encode_prefix(payload_bytes: int) -> bytes:
    """Return the length prefix of a payload."""
    return payload_bytes.to_bytes(PREFIX_BYTES, "big")


class FrameReader:
    """Cuts a byte stream into payloads; `frame_bytes_max` may be raised once a peer is known."""

    __slots__ = ("_need", "_pending", "frame_bytes_max")

    def __init__(self, frame_bytes_max: int = HELLO_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._pending = bytearray()
        self._need = PREFIX_BYTES
        """Bytes `_pending` must hold before it is worth looking at again."""

    @property
    def pending_bytes(self) -> int:
        """Bytes of the unfinished frame held now."""
        return len(self._pending)

    def feed(self, data: memoryview) -> list[bytes]:
        """Return the payloads that `data` completes, in order; heartbeats are empty payloads.

        Raises `PeerRefused` (FRAME_TOO_LARGE); the reader is of no use afterwards.
        """
        pending = self._pending
        if not pending:
            return self._cut(data)
        pending += data
        if len(pending) < self._need:
            return []
        self._pending = bytearray()
        return self._cut(memoryview(pending))

    def _cut(self, data: memoryview) -> list[bytes]:
        payloads: list[bytes] = []
        start = 0
        end = len(data)
        self._need = PREFIX_BYTES
        while end - start >= PREFIX_BYTES:
            length = int.from_bytes(data[start : start + PREFIX_BYTES], "big")
            if length > self.frame_bytes_max:
                raise PeerRefused(
                    PeerRefusal.FRAME_TOO_LARGE,
                    f"a frame of {length} bytes was announced; at most {self.frame_bytes_max} "
                    "are taken here",
                )
            stop = start + PREFIX_BYTES + length
            if stop > end:
                self._need = PREFIX_BYTES + length
                break
            payloads.append(bytes(data[start + PREFIX_BYTES : stop]))
            start = stop
        if start < end:
            self._pending += data[start:]
        return payloads
