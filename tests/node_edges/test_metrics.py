"""Metrics: every fact arrives under its name, and the number of series is fixed."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ledger.refusal import Reason
from node.connection_table import ApiDrop
from node.effects import CommitBlock
from node.metrics import NodeMetrics
from node.server import _Observer
from node.snapshot_export import SnapshotExport
from node.tls import PeerRefusal
from tests.contracts.world import CARD, open_world


def samples(metrics: NodeMetrics) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_a_blocks_transactions_are_counted_by_what_became_of_them() -> None:
    world = open_world()
    metrics = NodeMetrics(world.genesis)
    observer = _Observer(metrics, cast("SnapshotExport", SimpleNamespace(block_applied=id)))
    attempts = [
        world.submit(f"prepaid.{kind}", CARD, {"amount": 5}, "m-1")
        for kind in ("prepay", "refund", "refund", "prepay", "open", "prepay")
    ]
    outcomes = world.run(*attempts)
    assert sum(outcome.refused for outcome in outcomes) == 2
    observer.committed(CommitBlock(world.block, b""))
    found = samples(metrics)
    assert found["evidence_ledger_transactions_total{outcome=applied}"] == 4
    assert found["evidence_ledger_transactions_total{outcome=refused}"] == 2


def test_every_fact_has_its_sample_and_no_series_appears_later(network: Any) -> None:
    metrics = NodeMetrics(network.genesis)
    before = samples(metrics)
    metrics.block_applied(height=7, applied=3, refused=1)
    metrics.block_applied(height=8, applied=2, refused=0)
    metrics.height_certified(6)
    metrics.watch(
        view=lambda: 2,
        view_changes=lambda: 3,
        pool_count=lambda: 11,
        pool_bytes=lambda: 12,
        storage_bytes=lambda: 13,
        api_connections=lambda: 14,
        api_places=lambda: 15,
    )
    for drop in ApiDrop:
        metrics.api_dropped(drop)
    for reason in Reason:
        metrics.intake_refused(reason)
    metrics.verified(5, 2, 0.003)
    metrics.verifier_restarted()
    metrics.peer_sent(1, 100)
    metrics.peer_received(2, 200)
    metrics.peer_dropped(1, "bulk", 3)
    metrics.peer_connected(1, True)
    for refusal in PeerRefusal:
        metrics.peer_refused(refusal)
    after = samples(metrics)
    assert set(before) == set(after)
    expected = {
        "height{}": 8,
        "certified_height{}": 6,
        "view{}": 2,
        "view_changes_total{}": 3,
        "blocks_total{}": 2,
        "transactions_total{outcome=applied}": 5,
        "transactions_total{outcome=refused}": 1,
        "pool_transactions{}": 11,
        "pool_bytes{}": 12,
        "storage_bytes{}": 13,
        "intake_refusals_total{reason=duplicate}": 1,
        "signature_checks_total{result=good}": 5,
        "signature_checks_total{result=bad}": 2,
        "signature_check_seconds_sum{}": 0.003,
        "verifier_restarts_total{}": 1,
        "peer_sent_bytes_total{peer=bank-1}": 100,
        "peer_received_bytes_total{peer=bank-2}": 200,
        "peer_dropped_frames_total{peer=bank-1,traffic=bulk}": 3,
        "peer_connected{peer=bank-1}": 1,
        "peer_refusals_total{reason=unlisted_certificate}": 1,
        "api_connections{}": 14,
        "api_places{}": 15,
        "api_drops_total{reason=address_share}": 1,
    }
    assert {name: after[f"evidence_ledger_{name}"] for name in expected} == expected


def test_a_start_shows_what_is_on_disk(network: Any) -> None:
    metrics = NodeMetrics(network.genesis)
    metrics.resumed(height=41, certified=40)
    found = samples(metrics)
    assert found["evidence_ledger_height{}"] == 41
    assert found["evidence_ledger_certified_height{}"] == 40
    assert found["evidence_ledger_blocks_total{}"] == 0


def test_view_changes_are_counted_on_from_one_reading_to_the_next(network: Any) -> None:
    metrics = NodeMetrics(network.genesis)
    count = 0
    metrics.watch(
        view=lambda: 0,
        view_changes=lambda: count,
        pool_count=lambda: 0,
        pool_bytes=lambda: 0,
        storage_bytes=lambda: 0,
        api_connections=lambda: 0,
        api_places=lambda: 0,
    )
    seen = []
    for count in (0, 2, 2, 5):  # noqa: B007 the closure reads it
        seen.append(samples(metrics)["evidence_ledger_view_changes_total{}"])
    assert seen == [0, 2, 2, 5]


def test_two_nodes_in_one_process_do_not_mix(network: Any) -> None:
    one, two = NodeMetrics(network.genesis), NodeMetrics(network.genesis)
    one.height_certified(5)
    assert samples(two)["evidence_ledger_certified_height{}"] == 0


def test_unknown_label_values_are_our_mistake(network: Any) -> None:
    with pytest.raises(KeyError):
        NodeMetrics(network.genesis).peer_refused("from the wire")


async def test_event_loop_lag_is_measured(network: Any, wait_until: Any) -> None:
    metrics = NodeMetrics(network.genesis)
    task = asyncio.create_task(metrics.watch_event_loop())
    name = "evidence_ledger_event_loop_lag_seconds_count{}"
    await wait_until(lambda: samples(metrics)[name] >= 1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
