"""What one read of a connection may cost before anything else has its turn.

A server reads up to 256 KiB at once, and h11 takes them apart in one go: chunks of one byte would
keep the event loop, and with it the node's votes, for most of a second. So here a head is bounded
also when it comes whole, the fields behind the last chunk as a head, and a body by how it is cut.
What a single line may cost is `node.linear_http`'s. Pure; it knows no sockets.
"""

from __future__ import annotations

import re
from typing import Any, Final

import h11
from h11._receivebuffer import ReceiveBuffer

from api.problems import Problem
from api.settings import BATCH_BYTES_MAX
from ledger.refusal import Reason
from node.linear_http import use_linear_patterns

SMALL_CHUNKS_MAX: Final = 256
"""Chunks that may have any length; reading as many takes some 4 ms."""

CHUNK_BYTES_MEAN_MIN: Final = 64
"""Beyond those, one chunk more for so many bytes of the body: what reading a chunk takes (15 µs)
is then little beside what is done with its bytes."""

_HEAD_END: Final = re.compile(rb"\n\r?\n")


class RefusedHttp(h11.RemoteProtocolError):
    """HTTP that is not read any further, though it may be right."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem: Final = problem


class BoundedHttp(h11.Connection):
    """h11's server side with those bounds; `next_event` raises `RemoteProtocolError` for each."""

    def __init__(self, head_bytes_max: int) -> None:
        use_linear_patterns()
        super().__init__(h11.SERVER, head_bytes_max)
        self._receive_buffer = _BoundedBuffer(head_bytes_max)
        self._chunk_count = self._body_bytes = 0

    def next_event(self) -> Any:
        """Return what comes next, as h11 does."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunk_count = self._body_bytes = 0
        elif isinstance(event, h11.Data):
            self._body_bytes += len(event.data)
            self._chunk_count += event.chunk_start
            if self._chunk_count > SMALL_CHUNKS_MAX + self._body_bytes // CHUNK_BYTES_MEAN_MIN:
                raise RefusedHttp(_small_chunks())
        # h11 tells of a chunk when bytes of it are here, and its length may have twenty digits.
        if getattr(self._reader, "_bytes_in_chunk", 0) > BATCH_BYTES_MAX:
            raise RefusedHttp(_endless_chunk())
        return event


class _BoundedBuffer(ReceiveBuffer):
    """What arrived and is not read yet.

    h11 takes a head, and what stands behind the last chunk, out of it with one call, and bounds
    neither where it is whole.
    """

    def __init__(self, head_bytes_max: int) -> None:
        super().__init__()
        self._head_bytes_max = head_bytes_max

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines up to an empty one, if it is here; raise where they are too many."""
        is_over = len(self) > self._head_bytes_max and not self._data.startswith((b"\n", b"\r\n"))
        if is_over and _HEAD_END.search(self._data, 0, self._head_bytes_max) is None:
            raise h11.RemoteProtocolError("Receive buffer too long")
        return super().maybe_extract_lines()


def _endless_chunk() -> Problem:
    return Problem(
        Reason.TOO_LARGE,
        f"a chunk of the request's body announces more than {BATCH_BYTES_MAX} bytes, and no body "
        "may have more",
        f"请求内容的一个分块所报长度超过 {BATCH_BYTES_MAX} 字节；任何请求内容均不得超过此数",
        headers={"Connection": "close"},
    )


def _small_chunks() -> Problem:
    return Problem(
        "bad_request",
        f"the request's body comes in more than {SMALL_CHUNKS_MAX} chunks of fewer than "
        f"{CHUNK_BYTES_MEAN_MIN} bytes on average; send it in larger ones, or with a "
        "Content-Length",
        f"请求内容的分块超过 {SMALL_CHUNKS_MAX} 个，而平均不足 {CHUNK_BYTES_MEAN_MIN} 字节；"
        "请以较大的分块发送，或注明 Content-Length",
        headers={"Connection": "close"},
    )
