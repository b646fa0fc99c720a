"""A network namespace for each node, joined by a bridge in one more, where the clients are.

Cutting a cable here is what it is in the world: nobody is told, packets vanish, TCP waits. The
calling thread (and what it starts) is moved into the bridge's namespace for the time; everything
is removed afterwards. Needs root and Linux.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cli.devnet_state import DevnetNode
from tests.campaign.devnets import PatientDevnet

CLONE_NEWNET: Final = 0x40000000
PREFIX: Final = f"evl{os.getpid()}"
SWITCH: Final = f"{PREFIX}s"
HOST: Final = "10.77.0.1{replica}"
"""Addresses 10.77.0.10, 10.77.0.11, …; the bridge itself is 10.77.0.9."""


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of iproute2."""
    return subprocess.run(command, check=check, capture_output=True, text=True)


def why_not() -> str:
    """Return why namespaces cannot be made here, or nothing."""
    try:
        made = run("ip", "netns", "add", f"{PREFIX}t", check=False)
    except OSError:
        return "iproute2 is not installed"
    if made.returncode != 0:
        return f"no network namespace can be made: {made.stderr.strip()}"
    try:
        bridged = run(
            "ip", "-n", f"{PREFIX}t", "link", "add", "name", "br0", "type", "bridge", check=False
        )
        return "" if bridged.returncode == 0 else f"no bridge: {bridged.stderr.strip()}"
    finally:
        run("ip", "netns", "del", f"{PREFIX}t")


def why_no_netem() -> str:
    """Return why the kernel cannot delay and lose packets, or nothing."""
    run("ip", "netns", "add", f"{PREFIX}t")
    try:
        netem = (
            "tc",
            "-n",
            f"{PREFIX}t",
            "qdisc",
            "add",
            "dev",
            "lo",
            "root",
            "netem",
            "delay",
            "1ms",
        )
        done = run(*netem, check=False)
        return "" if done.returncode == 0 else f"no netem: {done.stderr.strip()}"
    finally:
        run("ip", "netns", "del", f"{PREFIX}t")


@contextmanager
def namespaces(count: int) -> Iterator[None]:
    """Make the namespaces of so many nodes and stand in the bridge's until the block ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    names = [SWITCH, *(f"{PREFIX}n{replica}" for replica in range(count))]
    try:
        for name in names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", SWITCH, "link", "add", "name", "br0", "type", "bridge")
        run("ip", "-n", SWITCH, "addr", "add", "10.77.0.9/24", "dev", "br0")
        run("ip", "-n", SWITCH, "link", "set", "br0", "up")
        for replica, name in enumerate(names[1:]):
            cable = f"cable{replica}"
            run(
                *("ip", "-n", SWITCH, "link", "add", cable, "type", "veth"),
                *("peer", "name", "eth0", "netns", name),
            )
            run("ip", "-n", SWITCH, "link", "set", cable, "master", "br0", "up")
            address = HOST.format(replica=replica)
            run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
        with Path(f"/run/netns/{SWITCH}").open("rb") as switch:
            if libc.setns(switch.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(own, CLONE_NEWNET)
        os.close(own)
        for name in names:
            run("ip", "netns", "del", name, check=False)


def cut(*replicas: int) -> None:
    """Unplug nodes' cables."""
    for replica in replicas:
        run("ip", "-n", SWITCH, "link", "set", f"cable{replica}", "down")


def mend(*replicas: int) -> None:
    """Plug them in again."""
    for replica in replicas:
        run("ip", "-n", SWITCH, "link", "set", f"cable{replica}", "up")


def part(one: int, other: int) -> None:
    """Let two nodes not reach one another, while both reach everybody else."""
    address = HOST.format(replica=other)
    run("ip", "-n", f"{PREFIX}n{one}", "route", "add", "blackhole", f"{address}/32")


def unpart(one: int, other: int) -> None:
    """Undo `part`."""
    address = HOST.format(replica=other)
    run("ip", "-n", f"{PREFIX}n{one}", "route", "del", "blackhole", f"{address}/32")


def weather(replica: int, *netem: str) -> None:
    """Give a node's cable delay and loss, in `tc netem`'s words; none of it without words."""
    device = ("dev", f"cable{replica}", "root")
    run("tc", "-n", SWITCH, "qdisc", "del", *device, check=False)
    if netem:
        run("tc", "-n", SWITCH, "qdisc", "add", *device, "netem", *netem)


class NamespacedDevnet(PatientDevnet):
    """Runs each node in its namespace."""

    def command(self, node: DevnetNode) -> list[str]:
        return ["ip", "netns", "exec", f"{PREFIX}n{node.replica}", *super().command(node)]
