"""Pauses, full disks, clocks that jump and cut cables, on real processes under load.

What must hold is read through the REST API and checked by the offline verifier; nobody mends
anything but the cause. Faults that a machine does not allow are skipped by their name.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.campaign import namespaces
from tests.campaign.devnets import (
    LIBFAKETIME,
    ClockedDevnet,
    PatientDevnet,
    SmallDiskDevnet,
    can_mount,
)
from tests.campaign.invariants import check_everything, wait_until
from tests.campaign.load import Load
from tests.system.networks import Network, running_network

pytestmark = [pytest.mark.slow]

RATE = 40.0


@contextmanager
def loaded(network: Network) -> Iterator[Load]:
    """Post until the block ends; then all that was promised must be there."""
    load = Load(network, RATE)
    try:
        wait_more(load)
        yield load
        wait_more(load)
    finally:
        load.stop()
    check_everything(network, load, random.Random(1))


def wait_more(load: Load, count: int = 4) -> None:
    """Wait until so many more are committed."""
    seen = len(load.committed)
    wait_until(
        lambda: len(load.committed) >= seen + count,
        lambda: f"{len(load.committed)} are committed, and {seen} were before",
    )


@pytest.mark.xdist_group("faults-pauses")
def test_paused_nodes_stop_nobody_and_catch_up_when_they_go_on(tmp_path: Path) -> None:
    with (
        running_network(tmp_path / "net", make=PatientDevnet) as network,
        loaded(network) as load,
    ):
        for replica in network.replicas:
            process = network.devnet.process(replica)
            process.send_signal(signal.SIGSTOP)
            try:
                wait_more(load)
            finally:
                process.send_signal(signal.SIGCONT)
        for replica in (1, 2, 3):  # a quorum is gone for a moment, and then all are back
            network.devnet.process(replica).send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        for replica in (3, 1, 2):
            network.devnet.process(replica).send_signal(signal.SIGCONT)


@pytest.mark.xdist_group("faults-disk")
@pytest.mark.skipif(not can_mount(), reason="no file system of limited size can be mounted here")
def test_a_full_disk_stops_its_node_by_name_and_nothing_is_lost(tmp_path: Path) -> None:
    def said(network: Network) -> str:
        return Path(network.devnet.state.nodes[SmallDiskDevnet.REPLICA].log).read_text("utf-8")

    with (
        running_network(tmp_path / "net", make=SmallDiskDevnet) as network,
        loaded(network) as load,
    ):
        devnet = network.devnet
        assert isinstance(devnet, SmallDiskDevnet)
        for left_bytes in (0, 30_000, 150_000):  # which write meets the end differs
            process = devnet.process(devnet.REPLICA)
            devnet.fill(left_bytes)
            wait_until(lambda process=process: process.poll() is not None, lambda: said(network))  # type: ignore[misc]
            assert process.returncode == 1, said(network)
            assert "No space left on device" in said(network).splitlines()[-1], said(network)
            assert "Traceback" not in said(network)
            wait_more(load)
            devnet.kill(devnet.REPLICA)
            devnet.empty()
            devnet.start([devnet.REPLICA])
            devnet.wait_ready([devnet.REPLICA])


@pytest.mark.xdist_group("faults-clock")
@pytest.mark.skipif(LIBFAKETIME is None, reason="libfaketime is not installed: no clock can jump")
def test_clocks_that_jump_stop_nobody_and_no_time_goes_back(tmp_path: Path) -> None:
    with running_network(tmp_path / "net", make=ClockedDevnet) as network:
        devnet = network.devnet
        assert isinstance(devnet, ClockedDevnet)
        with loaded(network) as load:
            for replica, offset_s in ((3, 7200), (3, -7200), (0, 40), (3, 0), (0, 0)):
                devnet.set_clock(replica, offset_s)
                wait_more(load)
        times = [
            int(block["header"]["time_ms"])  # type: ignore[index]
            for block in network.check_same_chain()
        ]
        assert times == sorted(set(times)), "a block is not later than the one before"
        now_ms = time.time_ns() // 1_000_000
        assert times[-1] < now_ms + 3_600_000, "one wrong clock made the chain's time"


@pytest.fixture(scope="module")
def cabled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    if reason := namespaces.why_not():
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("cables") / "net"
    with (
        namespaces.namespaces(4),
        running_network(
            directory, host=namespaces.HOST, make=namespaces.NamespacedDevnet
        ) as network,
    ):
        yield network


@pytest.mark.xdist_group("faults-cables")
def test_a_cut_cable_stops_nobody_and_no_quorum_decides_nothing(cabled: Network) -> None:
    with loaded(cabled) as load:
        for replica in (0, 2):
            namespaces.cut(replica)
            wait_more(load)
            namespaces.mend(replica)
        namespaces.cut(1, 3)
        time.sleep(1)  # what was under way
        before = cabled.heights_of([0, 2])
        time.sleep(3)
        assert cabled.heights_of([0, 2]) == before, "a block without a quorum"
        namespaces.mend(1, 3)


@pytest.mark.xdist_group("faults-cables")
def test_two_that_cannot_reach_one_another_stop_nobody(cabled: Network) -> None:
    with loaded(cabled) as load:
        namespaces.part(0, 1)
        wait_more(load, 12)
        namespaces.unpart(0, 1)


@pytest.mark.xdist_group("faults-cables")
def test_slow_and_lossy_cables_stop_nobody(cabled: Network) -> None:
    if reason := namespaces.why_no_netem():
        pytest.skip(reason)
    with loaded(cabled) as load:
        for replica in cabled.replicas:
            namespaces.weather(replica, "delay", "30ms", "10ms", "loss", "3%")
        wait_more(load, 12)
        for replica in cabled.replicas:
            namespaces.weather(replica)
