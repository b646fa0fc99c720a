"""Reading at scale: what an evidence request costs a node, and what it costs consensus.

Rates on a shared machine say little, so what is counted is the node's processor time for each
request: its reciprocal is what one core gives. The ratio is that of a constant of the same size,
answered by the same process over the same connections, to that of evidence. Beside full load the
figures are latencies, and how far the commit rate falls, against the share of the processor that
the readers take: their own and the nodes' for them.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from urllib.parse import urlsplit

from bench.processes import read_cpu_s
from bench.verifying import measure_verifying
from cli.client import Client

CONNECTIONS = 8
"""To each node."""
SAMPLES = 2_000
"""Transactions whose evidence is asked for, drawn from the whole chain."""
SPELLS = 3
"""Times that evidence and constant are measured in turn."""
VERIFIED = 100
"""Files verified for the cost of verifying."""
VERIFYING_TURNS = 20
"""Times that each of them is verified."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One node as readers see it."""

    api: str
    authority: str
    token: str


@dataclass(frozen=True, slots=True)
class Read:
    """What came of reading."""

    count: int
    refused: int
    """Answered otherwise than 200."""
    seconds: float
    own_cpu_s: float
    latencies_s: list[float]


@dataclass(frozen=True, slots=True)
class ReadingResult:
    """Figures of reading; see the module's text."""

    evidence_bytes: float
    """Mean size of an evidence file."""
    evidence_us: float
    """Processor time of a node for one, its TLS and HTTP included."""
    constant_us: float
    ratio: float
    """Evidence requests a second on one core ÷ those of the constant."""
    rate: float
    """Evidence requests a second on one core."""
    signatures: float
    """Signature checks that verifying one file cannot do without, mean."""
    verify_us: float
    """Processor time of verifying one, offline."""
    verify_ratio: float
    """`verify_us` ÷ the time of those signature checks alone."""


@dataclass(frozen=True, slots=True)
class BesideLoad:
    """Full load with and without readers."""

    asked: float
    """Evidence requests a second, as asked for."""
    answered: float
    refused: int
    latency_ms: list[float]
    """50th, 95th and 99th percentile of the readers' latency."""
    alone_rate: float
    """Committed transactions a second without readers, mean of before and after."""
    beside_rate: float
    fall: float
    """1 − beside ÷ alone."""
    share: float
    """Of the machine's processor that the nodes' answers and the readers themselves take."""


def sample_transactions(client: Client, count: int = SAMPLES) -> list[str]:
    """Return ids of transactions from blocks all over the chain, in a fixed random order."""
    chance = random.Random("evidence-ledger/bench/reading")
    heights = list(range(1, int(client.status()["height"]) + 1))
    chance.shuffle(heights)
    found: list[str] = []
    for height in heights:
        listed = client.block(height)["transactions"]
        found += chance.sample(listed, min(len(listed), max(count // 50, 1)))
        if len(found) >= count:
            break
    chance.shuffle(found)
    return found[:count]


def read_for(
    readers: Sequence[Reader], paths: Sequence[str], seconds: float, rate: float = 0
) -> Read:
    """Ask for `paths` in turn at all nodes; `rate` a second in all, 0: as fast as they answer.

    A request's latency counts from when it was due, so that a wait in the reader's own line is in
    it (coordinated omission).
    """
    return asyncio.run(_read(readers, paths, seconds, rate))


async def _read(
    readers: Sequence[Reader], paths: Sequence[str], seconds: float, rate: float
) -> Read:
    latencies: list[float] = []
    refused = 0
    begun_cpu, begin = time.process_time(), time.perf_counter()
    end = begin + seconds
    taken = 0

    def take() -> int:
        nonlocal taken
        taken += 1
        return taken - 1

    async def work(reader: Reader) -> None:
        nonlocal refused
        context = ssl.create_default_context(cafile=reader.authority) if reader.authority else None
        parts = urlsplit(reader.api)
        source, sink = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        try:
            while True:
                number = take()
                due = begin + number / rate if rate else time.perf_counter()
                if due >= end:
                    return
                if due > time.perf_counter():
                    await asyncio.sleep(due - time.perf_counter())
                status = await _get(source, sink, paths[number % len(paths)], reader.token)
                latencies.append(time.perf_counter() - due)
                refused += status != 200
        finally:
            sink.close()

    await asyncio.gather(*[work(reader) for reader in readers for _ in range(CONNECTIONS)])
    return Read(
        len(latencies),
        refused,
        time.perf_counter() - begin,
        time.process_time() - begun_cpu,
        latencies,
    )


async def _get(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, path: str, token: str
) -> int:
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    sink.write(head.encode())
    await sink.drain()
    lines = (await source.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    length = next(
        int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:")
    )
    await source.readexactly(length)
    return int(lines[0].split()[1])


class ReadingProcess:
    """Reads in a process of its own, so that its processor time is told apart."""

    def __enter__(self) -> ReadingProcess:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._pool.submit(int).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    async def read(
        self, readers: Sequence[Reader], paths: Sequence[str], seconds: float, rate: float = 0
    ) -> Read:
        """Do what `read_for` does."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, read_for, readers, paths, seconds, rate)


async def measure_reading(
    process: ReadingProcess,
    reader: Reader,
    pid: int,
    transactions: Sequence[str],
    files: Sequence[bytes],
    chain_id: bytes,
    seconds: float,
    say: Callable[[str], None],
) -> ReadingResult:
    """Measure one node that has nothing else to do; `files` are evidence to be verified."""
    size = sum(map(len, files)) / len(files)
    evidence = [f"/v1/transactions/{tx_id}/evidence" for tx_id in transactions]
    constant = [f"/constant?bytes={round(size)}"]
    costs: dict[str, list[float]] = {"evidence": [], "constant": []}
    for spell in range(SPELLS):
        for name, paths in (("evidence", evidence), ("constant", constant)):
            before = read_cpu_s(pid)
            read = await process.read([reader], paths, seconds / SPELLS)
            cost = (read_cpu_s(pid) - before) / max(read.count - read.refused, 1) * 1e6
            costs[name].append(cost)
            say(
                f"{name} {spell + 1}/{SPELLS}: {read.count} answers, {read.refused} refused, "
                f"{cost:.0f} µs of the node each."
            )
    evidence_us, constant_us = min(costs["evidence"]), min(costs["constant"])
    measured = [measure_verifying(raw, chain_id, VERIFYING_TURNS) for raw in files]
    verify_us = sum([one.verify_us for one in measured]) / len(measured)
    checks_us = sum([one.checks_us for one in measured]) / len(measured)
    return ReadingResult(
        size,
        evidence_us,
        constant_us,
        constant_us / evidence_us,
        1e6 / evidence_us,
        sum([one.checks for one in measured]) / len(measured),
        verify_us,
        verify_us / checks_us,
    )
