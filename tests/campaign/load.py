"""A steady load on a real network, and an exact memory of what its nodes said.

One thread for each node posts batches through the REST API at its share of the rate and waits until
the last of a batch is committed. What a node answered counts from the moment the whole answer was
here: a promise (the batch's receipt) and a position. A node that is dead, paused or full costs its
thread time and nothing else; nothing is posted twice, so what is on the chain twice is not ours.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import msgpack

from cli.client import MSGPACK, ApiError, Client, Unreachable
from tests.system.networks import Network

BATCH = 8
WAIT_S = 5


@dataclass(frozen=True, slots=True)
class Promise:
    """A node took a transaction in and signed that it would be in a block by `height_max`."""

    replica: int
    height_max: int


class Load:
    """Posts until told to stop. `committed` and `promised` may be read at any time."""

    def __init__(self, network: Network, rate_per_s: float) -> None:
        self._network = network
        self._stop = threading.Event()
        self._interval_s = BATCH * len(network.replicas) / rate_per_s
        self.committed: dict[str, tuple[int, int]] = {}
        """(height, index) that a node gave, by transaction id."""
        self.promised: dict[str, Promise] = {}
        self.streams: dict[str, str] = {}
        """A committed transaction of each thread's last batch, by stream: for histories."""
        self.latencies_s: list[tuple[float, float]] = []
        """(when, seconds until committed) of one transaction of every batch."""
        self._threads = [
            threading.Thread(target=self._run, args=(replica,), daemon=True)
            for replica in network.replicas
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, replica: int) -> None:
        due = time.monotonic()
        with self._network.client(replica, patience_s=0) as client:
            while not self._stop.is_set():
                due = max(due + self._interval_s, time.monotonic())
                try:
                    self._post(replica, client)
                except (Unreachable, ApiError):
                    self._stop.wait(0.1)
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _post(self, replica: int, client: Client) -> None:
        group = [self._network.opening() for _ in range(BATCH)]
        begin = time.monotonic()
        answer: dict[str, Any] = client._json(
            "POST",
            "/v1/transactions:batch",
            content=msgpack.packb([envelope for _, envelope in group]),
            headers=MSGPACK,
        )
        for (tx_id, _), result in zip(group, answer["results"], strict=True):
            if "accepted" in result:
                self.promised[tx_id] = Promise(replica, int(answer["receipt"]["height_max"]))
        tx_id, envelope = group[-1]
        place = client.post(envelope, "committed", WAIT_S)
        if place["status"] == "applied":
            self.committed[tx_id] = (int(place["height"]), int(place["index"]))
            self.streams[f"{replica}"] = str(place["stream"])
            self.latencies_s.append((begin, time.monotonic() - begin))

    def stop(self) -> None:
        """Stop posting; every answer that is still to come has come."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
