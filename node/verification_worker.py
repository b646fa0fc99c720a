"""A process that checks signatures and does nothing else.

It reads a chunk from its one socket, answers with one byte per check, and ends when the socket
does: if the node dies, however it dies, the kernel closes its end. It holds no keys, opens no files
and imports only libsodium's binding, so that it starts quickly and stays small. A chunk is
u32be length, u32be count, count times u32be message length, the public keys, the signatures, the
messages; an answer is `count` bytes, 1 for good.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Final

from ledger.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify_signature

LENGTH: Final = struct.Struct(">I")


def encode_chunk(checks: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
    """Return the bytes of a chunk; keys and signatures must have their right lengths."""
    keys, messages, signatures = zip(*checks, strict=True)
    count = len(checks)
    payload = b"".join(
        (
            struct.pack(f">{count + 1}I", count, *map(len, messages)),
            *keys,
            *signatures,
            *messages,
        )
    )
    return LENGTH.pack(len(payload)) + payload


def verify_chunk(payload: bytes) -> bytes:
    """Return the answer to a chunk (its length prefix taken off)."""
    (count,) = LENGTH.unpack_from(payload)
    lengths = struct.unpack_from(f">{count}I", payload, LENGTH.size)
    keys = LENGTH.size * (count + 1)
    signatures = keys + PUBLIC_KEY_BYTES * count
    messages = signatures + SIGNATURE_BYTES * count
    ends = accumulate(lengths, initial=messages)
    start = next(ends)
    answer = bytearray(count)
    for index, end in enumerate(ends):
        key = keys + PUBLIC_KEY_BYTES * index
        signature = signatures + SIGNATURE_BYTES * index
        answer[index] = verify_signature(
            payload[key : key + PUBLIC_KEY_BYTES],
            payload[start:end],
            payload[signature : signature + SIGNATURE_BYTES],
        )
        start = end
    return bytes(answer)


def serve(connection: socket.socket) -> None:
    """Answer chunks until the other end is closed, be it in the middle of one."""
    with (
        connection,
        connection.makefile("rb", buffering=256 * 1024) as stream,
        suppress(BrokenPipeError, ConnectionResetError),
    ):
        while len(prefix := stream.read(LENGTH.size)) == LENGTH.size:
            (length,) = LENGTH.unpack(prefix)
            payload = stream.read(length)
            if len(payload) < length:
                return
            connection.sendall(verify_chunk(payload))


def main() -> None:
    """Serve the socket whose descriptor is the first argument."""
    # The node decides when its workers end: by closing the socket, after its own work is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
