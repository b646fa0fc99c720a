"""Load at a steady rate with faults on, and what it does to memory, descriptors, disk and latency.

Every few seconds each node is measured from outside (`/proc`, its home's size, its answers). Half
of the nodes are only paused, never killed, so that what a long life does to a process is seen; the
others are killed and paused. A slope is a least-squares line over the samples of the second half of
the run, per process that lived through it. The verdict is of those that lived long enough. Caches
are so small (`tests.campaign.devnets`) that they are full by then: with the defaults they would
fill for hours at such a rate, and hide what never stops growing.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import read_memory_bytes
from cli.failure import Failure
from node.disk_usage import count_bytes
from tests.campaign.invariants import Violated, check_everything, height_of
from tests.campaign.load import Load
from tests.system.networks import Network

SAMPLE_S = 5.0
FAULT_EVERY_S = (10.0, 30.0)
PAUSE_S = (0.2, 8.0)

MEMORY_GROWTH_MAX = 0.10
"""Part by which memory may be higher at the end than in the middle of the run: caches fill."""

DESCRIPTOR_GROWTH_MAX = 8.0
LATENCY_GROWTH_MAX = 1.0
"""Part by which the median latency of the last quarter may exceed that of the second."""

WARM_UP_S = 120.0
"""A process' first minutes are not judged: caches and pools fill."""

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One node at one moment."""

    at_s: float
    replica: int
    pid: int
    memory_bytes: int
    descriptors: int
    disk_bytes: int
    height: int
    committed: int
    latency_ms: float
    """Median of the load's newest answers, over all nodes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a row of docs/CAMPAIGN-PROCESSES.md says, and whether all of it is good."""

    run: str
    lines: Sequence[str]
    """What came of it: the checks, then each node, then the latency."""
    is_good: bool


def run_soak(
    network: Network,
    arguments: argparse.Namespace,
    chance: random.Random,
    say: Callable[[str], None],
    advance: Callable[[], None],
    is_over: Callable[[], bool],
) -> Verdict:
    """Load, break and measure for so many minutes; write the samples; raise `Violated`."""
    load = Load(network, arguments.rate)
    begin = time.monotonic()
    end = begin + arguments.minutes * 60
    samples: list[Sample] = []
    faults: list[str] = []
    stop = threading.Event()
    problem: list[BaseException] = []

    def sample() -> None:
        try:
            while not stop.wait(SAMPLE_S):
                samples.extend(_measure(network, load, time.monotonic() - begin))
        except BaseException as error:  # noqa: BLE001 said by the main thread
            problem.append(error)

    def break_things() -> None:
        try:
            while not stop.wait(chance.uniform(*FAULT_EVERY_S)):
                faults.append(_break_one(network, chance, stop))
                say(f"{(time.monotonic() - begin) / 60:6.1f} min  {faults[-1]}")
        except BaseException as error:  # noqa: BLE001 said by the main thread
            problem.append(error)

    threads = [threading.Thread(target=sample), threading.Thread(target=break_things)]
    for thread in threads:
        thread.start()
    minutes = 0
    try:
        while (now := time.monotonic()) < end and not problem and not is_over():
            time.sleep(0.5)
            if (now - begin) // 60 > minutes:
                minutes += 1
                advance()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        load.stop()
    if problem:
        raise Violated(f"the soak could not go on: {type(problem[0]).__name__}: {problem[0]}")
    network.devnet.wait_ready()
    seconds = time.monotonic() - begin
    _write(arguments.csv, samples)
    checked = check_everything(network, load, chance)
    kinds = {kind: sum(kind in fault for fault in faults) for kind in ("killed", "paused")}
    run = (
        f"{seconds / 60:.1f} min, {len(load.promised)} transactions taken in "
        f"({len(load.promised) / seconds:.1f} a second), {kinds['killed']} kills, "
        f"{kinds['paused']} pauses"
    )
    return _judge(run, f"whole: {checked}", samples, load, seconds)


def _break_one(network: Network, chance: random.Random, stop: threading.Event) -> str:
    """Kill (of the second half of the nodes) or pause one; return what was done."""
    half = len(network.replicas) // 2
    replica = chance.choice(list(network.replicas))
    if replica >= half and chance.random() < 0.6:
        network.devnet.kill(replica)
        down_s = chance.uniform(0.0, 5.0)
        stop.wait(down_s)
        begin = time.monotonic()
        network.devnet.start([replica])
        try:
            network.devnet.wait_ready([replica])
        except Failure as failure:
            raise Violated(f"a killed node did not come back by itself: {failure}") from None
        return (
            f"replica {replica} killed, down {down_s:.1f} s, ready {time.monotonic() - begin:.1f} s"
            " after its start"
        )
    pause_s = chance.uniform(*PAUSE_S)
    process = network.devnet.process(replica)
    process.send_signal(signal.SIGSTOP)
    try:
        stop.wait(pause_s)
    finally:
        process.send_signal(signal.SIGCONT)
    return f"replica {replica} paused {pause_s:.1f} s"


def _measure(network: Network, load: Load, at_s: float) -> list[Sample]:
    newest = [latency for _, latency in load.latencies_s[-20:]]
    latency_ms = 1000 * statistics.median(newest) if newest else 0.0
    found = []
    for node in network.devnet.state.nodes:
        pid = node.pid
        try:
            descriptors = len(os.listdir(f"/proc/{pid}/fd")) if pid else 0
            memory_bytes = read_memory_bytes(pid) if descriptors else 0
        except OSError:  # it was killed meanwhile
            continue
        if not memory_bytes:
            continue
        found.append(
            Sample(
                at_s,
                node.replica,
                pid,
                memory_bytes,
                descriptors,
                count_bytes(Path(node.home)),
                height_of(network, node.replica) if _is_running(pid) else -1,
                len(load.committed),
                latency_ms,
            )
        )
    return found


def _is_running(pid: int) -> bool:
    """Say whether a process is not paused (and so may be asked)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"T", "Z"}


def _write(path: Path, samples: Sequence[Sample]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Sample.__slots__)
        writer.writerows([getattr(one, name) for name in Sample.__slots__] for one in samples)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the least-squares slope of y over x; 0 of fewer than three points."""
    if len(points) < 3:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _judge(
    run: str, checked: str, samples: Sequence[Sample], load: Load, seconds: float
) -> Verdict:
    lines = [checked]
    is_good = True
    judged = 0
    half_s = seconds / 2
    for replica in sorted({one.replica for one in samples}):
        own = [one for one in samples if one.replica == replica]
        pid = own[-1].pid
        born_s = next(one.at_s for one in own if one.pid == pid)
        lived_s = own[-1].at_s - born_s
        begin_s = max(half_s, born_s + WARM_UP_S)
        late = [one for one in own if one.pid == pid and one.at_s >= begin_s] or own[-1:]
        memory_slope = slope([(one.at_s, one.memory_bytes) for one in late])
        descriptor_slope = slope([(one.at_s, one.descriptors) for one in late])
        disk_slope = slope([(one.at_s, one.disk_bytes) for one in own if one.at_s >= half_s])
        span_s = late[-1].at_s - late[0].at_s
        lines.append(
            f"replica {replica}: memory {own[-1].memory_bytes / MB:.0f} MB, "
            f"{memory_slope * 3600 / MB:+.1f} MB/h over its last {span_s / 60:.1f} min "
            f"(process of {lived_s / 60:.1f} min); descriptors {own[-1].descriptors}, "
            f"{descriptor_slope * 3600:+.1f}/h; disk {own[-1].disk_bytes / MB:.1f} MB, "
            f"{disk_slope * 3600 / MB:+.0f} MB/h"
        )
        if span_s < seconds / 4:
            continue  # killed lately: its slope is that of a start
        judged += 1
        if memory_slope * span_s > MEMORY_GROWTH_MAX * late[0].memory_bytes:
            is_good = False
            lines.append(f"MEMORY GROWS by {memory_slope * span_s / MB:.1f} MB in {span_s:.0f} s")
        if descriptor_slope * span_s > DESCRIPTOR_GROWTH_MAX:
            is_good = False
            lines.append(f"DESCRIPTORS GROW by {descriptor_slope * span_s:.1f}")
    first = load.latencies_s[0][0] if load.latencies_s else 0.0
    second = [s for at, s in load.latencies_s if seconds / 4 <= at - first < half_s]
    last = [s for at, s in load.latencies_s if at - first >= 3 * seconds / 4]
    if second and last:
        before, after = statistics.median(second), statistics.median(last)
        lines.append(
            f"latency to committed: median {before * 1000:.0f} ms in the second quarter, "
            f"{after * 1000:.0f} ms in the last; slowest {max(last):.1f} s"
        )
        if after > (1 + LATENCY_GROWTH_MAX) * before:
            is_good = False
            lines.append("LATENCY GROWS")
    if not judged:
        lines.append("too short for a slope")
    else:
        lines.append(f"{'flat' if is_good else 'NOT FLAT'}, by {judged} that lived long enough")
    return Verdict(run, lines, is_good)
