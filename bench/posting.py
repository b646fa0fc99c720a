"""Posting the load: a fixed number of requests under way at each node, and probes beside them.

Sending is raw HTTP/1.1 over TLS on few connections, because the sender shares the machine with the
nodes and what it uses is taken from them. A request that is told "later" is posted again after a
moment; so the load is as much as the nodes take. Probes are single transactions posted with
`?wait=`, and give the latencies a merchant would see under that load.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import msgspec

LATER_S: Final = 0.1
UNAVAILABLE: Final = 503
"""Status of a node that cannot answer just now, as when its verifier has just been replaced."""


class _Counts(msgspec.Struct):
    accepted: int
    known: int
    refused: int


_counts_decoder = msgspec.json.Decoder(_Counts)


@dataclass(slots=True)
class Connection:
    """One kept-alive HTTP/1.1 connection."""

    api: str
    context: ssl.SSLContext | None
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Post MessagePack; return (status, body of the answer)."""
        if self._writer is None or self._reader is None:
            parts = urlsplit(self.api)
            self._reader, self._writer = await asyncio.open_connection(
                parts.hostname, parts.port, ssl=self.context
            )
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/msgpack\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        await self._writer.drain()
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lines = answer.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        length = 0
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        return status, await self._reader.readexactly(length)

    def close(self) -> None:
        """Drop the connection."""
        if self._writer is not None:
            self._writer.close()


@dataclass(slots=True)
class Posted:
    """What came of a load."""

    accepted: int = 0
    refused: int = 0
    later: int = 0
    latencies_s: dict[str, list[float]] = field(default_factory=dict)


async def post_load(
    apis: list[str],
    context: ssl.SSLContext | None,
    requests: Iterator[bytes],
    *,
    per_node: int,
    is_over: Callable[[], bool],
) -> Posted:
    """Post requests, `per_node` at a time to each node, until there are no more or it is over."""
    posted = Posted()

    async def send(api: str) -> None:
        connection = Connection(api, context)
        with contextlib.closing(connection):
            while not is_over():
                body = next(requests, None)
                if body is None:
                    return
                while not is_over():
                    status, answer = await connection.post("/v1/transactions:batch", body)
                    if status == UNAVAILABLE:  # a problem, and no counts: nothing was taken in
                        await asyncio.sleep(LATER_S)
                        continue
                    counts = _counts_decoder.decode(answer)
                    posted.accepted += counts.accepted
                    if not counts.refused:
                        break
                    posted.later += counts.refused
                    await asyncio.sleep(LATER_S)

    await asyncio.gather(*[send(api) for api in apis for _ in range(per_node)])
    return posted


async def post_probes(
    apis: list[str],
    context: ssl.SSLContext | None,
    probes: Iterator[bytes],
    *,
    interval_s: float,
    is_over: Callable[[], bool],
) -> dict[str, list[float]]:
    """Post single transactions in turn and return the seconds until committed and certified."""
    latencies: dict[str, list[float]] = {"committed": [], "certified": []}

    async def probe(api: str, level: str, body: bytes) -> None:
        connection = Connection(api, context)
        with contextlib.closing(connection):
            begin = time.perf_counter()
            status, _ = await connection.post(f"/v1/transactions?wait={level}&timeout=30", body)
            if status == 200:
                latencies[level].append(time.perf_counter() - begin)

    tasks = []
    for turn, body in enumerate(probes):
        if is_over():
            break
        level = ("committed", "certified")[turn % 2]
        tasks.append(asyncio.create_task(probe(apis[turn % len(apis)], level, body)))
        await asyncio.sleep(interval_s)
    await asyncio.gather(*tasks, return_exceptions=True)
    return latencies
