"""What a node counts, for Prometheus.

One registry per node and one method per fact; nobody else touches the client library. Labels take
their values from closed lists (institutions of genesis, reasons, phases), never from input, so the
number of series is fixed. What is known elsewhere (pool, view, disk) is read when somebody asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from genesis.document import Genesis
from ledger.kernel import KERNEL
from ledger.refusal import Reason
from node.connection_table import ApiDrop
from node.tls import PeerRefusal

PREFIX: Final = "evidence_ledger"

TRAFFIC: Final = ("consensus", "bulk")

_VERIFY_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

LAG_INTERVAL_S: Final = 0.5


class NodeMetrics:
    """The metrics of one node. It is the `PeerMeter` and the `VerificationMeter` of its parts."""

    def __init__(self, genesis: Genesis) -> None:
        self._registry = CollectorRegistry()
        names = [institution.id for institution in genesis.institutions]
        build = self._gauge("build_info", "Which kernel computes hashes here; always 1.", "kernel")
        build.labels(KERNEL).set(1)
        self._height = self._gauge("height", "Highest applied height.")
        self._certified = self._gauge("certified_height", "Highest certified height.")
        self._view = self._gauge("view", "View of the height in progress.")
        self._pool_count = self._gauge("pool_transactions", "Transactions in the pool.")
        self._pool_bytes = self._gauge("pool_bytes", "Bytes of the transactions in the pool.")
        self._storage = self._gauge("storage_bytes", "Bytes on disk in this node's home.")
        outcomes = self._counter("transactions", "Transactions applied to the chain.", "outcome")
        self._applied = outcomes.labels("applied")
        self._refused = outcomes.labels("refused")
        self._blocks = self._counter("blocks", "Blocks applied.")
        intake = self._counter("intake_refusals", "Transactions refused at the door.", "reason")
        self._intake = {reason: intake.labels(reason.value) for reason in Reason}
        self._view_changes = self._counter("view_changes", "View changes entered.")
        self._view_change_count: Callable[[], int] = lambda: 0
        self._view_changes_counted = 0

        checks = self._counter("signature_checks", "Client signatures checked.", "result")
        self._good = checks.labels("good")
        self._bad = checks.labels("bad")
        self._verify = self._histogram(
            "signature_check_seconds", "Time a caller waited for its checks.", _VERIFY_BUCKETS
        )
        self._restarts = self._counter("verifier_restarts", "Verification workers replaced.")

        sent = self._counter("peer_sent_bytes", "Bytes of frames written to a peer.", "peer")
        self._sent = [sent.labels(name) for name in names]
        received = self._counter("peer_received_bytes", "Bytes of frames from a peer.", "peer")
        self._received = [received.labels(name) for name in names]
        dropped = self._counter(
            "peer_dropped_frames", "Frames not sent to a peer.", "peer", "traffic"
        )
        self._dropped = [
            {traffic: dropped.labels(name, traffic) for traffic in TRAFFIC} for name in names
        ]
        connected = self._gauge("peer_connected", "Whether a peer can be sent to.", "peer")
        self._connected = [connected.labels(name) for name in names]
        refusals = self._counter("peer_refusals", "Peer connections refused or dropped.", "reason")
        self._refusals = {reason.value: refusals.labels(reason.value) for reason in PeerRefusal}
        self._api_connections = self._gauge("api_connections", "Connections to the API.")
        self._api_places = self._gauge("api_places", "How many connections there may be.")
        drops = self._counter("api_drops", "API connections dropped or refused.", "reason")
        self._api_drops = {reason: drops.labels(reason.value) for reason in ApiDrop}
        stamps = self._counter("timestamps", "Timestamp tokens asked for.", "outcome")
        self._stamps = {True: stamps.labels("kept"), False: stamps.labels("failed")}
        self._lag = self._histogram(
            "event_loop_lag_seconds", "How late the event loop runs a timer.", _LAG_BUCKETS
        )

    # The chain

    def resumed(self, *, height: int, certified: int) -> None:
        """The chain was opened, with so much on disk."""
        self._height.set(height)
        self._certified.set(certified)

    def block_applied(self, *, height: int, applied: int, refused: int) -> None:
        """A block is durable, with so many transactions of each outcome."""
        self._height.set(height)
        self._blocks.inc()
        self._applied.inc(applied)
        self._refused.inc(refused)

    def height_certified(self, height: int) -> None:
        """A checkpoint that covers this height is certified."""
        self._certified.set(height)

    def intake_refused(self, reason: Reason) -> None:
        """A submitted transaction was refused."""
        self._intake[reason].inc()

    def watch(
        self,
        *,
        view: Callable[[], int],
        view_changes: Callable[[], int],
        pool_count: Callable[[], int],
        pool_bytes: Callable[[], int],
        storage_bytes: Callable[[], int],
        api_connections: Callable[[], int],
        api_places: Callable[[], int],
    ) -> None:
        """Read these whenever the metrics are asked for."""
        self._view.set_function(view)
        self._view_change_count = view_changes
        self._pool_count.set_function(pool_count)
        self._pool_bytes.set_function(pool_bytes)
        self._storage.set_function(storage_bytes)
        self._api_connections.set_function(api_connections)
        self._api_places.set_function(api_places)

    # Time-stamping authorities

    def timestamp_asked(self, is_kept: bool) -> None:
        """An authority was asked for a token, which was kept or not."""
        self._stamps[is_kept].inc()

    # The API's connections

    def api_dropped(self, reason: ApiDrop) -> None:
        """A client's connection was dropped or refused."""
        self._api_drops[reason].inc()

    # Signatures (`node.verification.VerificationMeter`)

    def verified(self, good_count: int, bad_count: int, seconds: float) -> None:
        """Checks were answered, `seconds` after they were handed in."""
        self._good.inc(good_count)
        self._bad.inc(bad_count)
        self._verify.observe(seconds)

    def verifier_restarted(self) -> None:
        """A worker died and was replaced."""
        self._restarts.inc()

    # Peers (`node.peer_meter.PeerMeter`)

    def peer_sent(self, replica: int, count_bytes: int) -> None:
        """Bytes of frames were written."""
        self._sent[replica].inc(count_bytes)

    def peer_received(self, replica: int, count_bytes: int) -> None:
        """Bytes of frames were read."""
        self._received[replica].inc(count_bytes)

    def peer_dropped(self, replica: int, traffic: str, count: int) -> None:
        """Frames of a class (one of `TRAFFIC`) were forgotten or refused."""
        self._dropped[replica][traffic].inc(count)

    def peer_connected(self, replica: int, is_connected: bool) -> None:
        """The sending connection was made or lost."""
        self._connected[replica].set(is_connected)

    def peer_refused(self, refusal: str) -> None:
        """A connection was refused or dropped (a value of `PeerRefusal`)."""
        self._refusals[refusal].inc()

    # The process

    async def watch_event_loop(self) -> None:
        """Measure the event loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL_S
            await asyncio.sleep(LAG_INTERVAL_S)
            self._lag.observe(max(0.0, loop.time() - due))

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        count = self._view_change_count()
        self._view_changes.inc(count - self._view_changes_counted)
        self._view_changes_counted = count
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", text, labels, registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self._registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", text, labels, registry=self._registry, buckets=buckets)
