"""Addresses of a devnet's nodes: a port pair each on loopback, or a host each with fixed ports.

Ports on loopback are looked for where the system does not give them to outgoing connections, and a
port that was chosen is held until this process ends: bound, never listening. Whoever looks for a
port beside us finds it taken; our node, which allows the address to be reused as every server does,
listens on it all the same.
"""

from __future__ import annotations

import atexit
import collections
import dataclasses
import secrets
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cli.failure import Failure, unusable
from cli.founding import Backend
from genesis.document import INSTITUTIONS_MAX
from node.certificates import LOOPBACK_HOSTS

LOOPBACK: Final = "127.0.0.1"

PORTS_FIRST: Final = 20_000
PORTS_END: Final = 32_000
"""Free ports are taken from here: below the range from which the system gives ports to outgoing
connections (32768 on Linux), so that none of those takes one between choosing and listening."""

HELD_MAX: Final = 2 * INSTITUTIONS_MAX
"""So many ports are held at once, enough for the largest devnet; the oldest is let go first."""
_held: collections.OrderedDict[int, socket.socket] = collections.OrderedDict()


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Where a devnet's nodes are to be reached."""

    directory: Path
    node_count: int
    host: str = ""
    """Host name of a node, with `{replica}`; empty for loopback."""
    api_port: int = 0
    peer_port: int = 0
    """Ports of every node, where each has a host of its own."""
    base_port: int = 0
    """First port, where all share loopback; 0 for free ones."""
    is_tls: bool = True
    backend: Backend | None = None
    """None for what this Python has."""
    view_timeout_ms: int = 0
    """0 for the default."""
    replay_window_ms: int = 0
    """0 for the default."""
    snapshot_blocks: int = 0
    """Between two snapshots; 0 for the default."""

    def __post_init__(self) -> None:
        """Refuse a number of nodes that no genesis document holds."""
        if not 1 <= self.node_count <= INSTITUTIONS_MAX:
            raise unusable(
                f"A network has 1 to {INSTITUTIONS_MAX} nodes, not {self.node_count}; four is the "
                "fewest that bears one faulty institution.",
                f"网络须有 1 至 {INSTITUTIONS_MAX} 个节点，而非 {self.node_count} 个；"
                "至少四个方可容忍一家机构失效。",
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where one node listens, and under which names it is reached."""

    api: str
    peer: str
    api_listen: str
    peer_listen: str
    hosts: tuple[str, ...]


def choose_addresses(layout: Layout) -> Iterator[Address]:
    """Yield an address for each node, in replica order; raise `Failure`."""
    scheme = "https" if layout.is_tls else "http"
    if layout.host:
        if not layout.is_tls:
            raise unusable(
                "Plain HTTP is for loopback only; leave out --host or --no-tls.",
                "明文 HTTP 只用于本机回环地址；请去掉 --host 或 --no-tls。",
            )
        if layout.node_count > 1 and "{replica}" not in layout.host:
            raise unusable(
                f"--host {layout.host!r} is the same for every node; write it with {{replica}}, "
                "such as node-{replica}.",
                f"--host {layout.host!r} 对每个节点都相同；请写入 {{replica}}，"
                "例如 node-{replica}。",
            )
        for at in range(layout.node_count):
            host = layout.host.replace("{replica}", str(at))
            api_port, peer_port = layout.api_port or 8443, layout.peer_port or 7443
            yield Address(
                f"{scheme}://{host}:{api_port}",
                f"{host}:{peer_port}",
                f"0.0.0.0:{api_port}",
                f"0.0.0.0:{peer_port}",
                (host, *LOOPBACK_HOSTS),
            )
        return
    if layout.api_port or layout.peer_port:
        raise unusable(
            "--api-port and --peer-port go with --host; on loopback use --base-port.",
            "--api-port 与 --peer-port 须与 --host 一并使用；回环地址请用 --base-port。",
        )
    ports = choose_ports(2 * layout.node_count, layout.base_port)
    for at in range(layout.node_count):
        api, peer = f"{LOOPBACK}:{ports[2 * at]}", f"{LOOPBACK}:{ports[2 * at + 1]}"
        yield Address(f"{scheme}://{api}", peer, api, peer, LOOPBACK_HOSTS)


def choose_ports(count: int, base: int, taken: Sequence[int] = ()) -> list[int]:
    """Return ports on loopback that nobody listens on: from `base` on in a row, or any if 0."""
    if base:
        ports = list(range(base, base + count))
        if not 1024 <= base <= 65_536 - count:
            raise unusable(
                f"--base-port {base} leaves no {count} ports between 1024 and 65535.",
                f"自 --base-port {base} 起，在 1024 至 65535 之间不足 {count} 个端口。",
            )
        for port in ports:
            if not hold(port, even_if_resting=True):
                raise unusable(
                    f"Port {port} of {LOOPBACK} is in use; choose another --base-port.",
                    f"{LOOPBACK} 的端口 {port} 已被占用；请另选 --base-port。",
                )
        return ports
    start = PORTS_FIRST + secrets.randbelow(PORTS_END - PORTS_FIRST)
    found: list[int] = []
    for step in range(PORTS_END - PORTS_FIRST):
        port = PORTS_FIRST + (start - PORTS_FIRST + step) % (PORTS_END - PORTS_FIRST)
        if port not in taken and port not in _held and hold(port):
            found.append(port)
            if len(found) == count:
                return found
    raise Failure(
        f"There are no {count} free ports on {LOOPBACK}.", f"{LOOPBACK} 上空闲端口不足 {count} 个。"
    )


@atexit.register
def _let_go() -> None:
    while _held:
        _held.popitem()[1].close()


def hold(port: int, *, even_if_resting: bool = False) -> bool:
    """Keep a port of loopback for a server of ours; say whether it was to be had.

    A port rests for a minute after its last connection (TIME_WAIT). A server may have it at once,
    but nobody can tell then whether another process holds it: only for a port that is wanted
    whatever comes, such as the one a node had before, is that good enough.
    """
    if port in _held:
        _held.pop(port).close()
    for reuse in (False, True) if even_if_resting else (False,):
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            holder.bind((LOOPBACK, port))
        except OSError:
            holder.close()
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
        _held[port] = holder
        if len(_held) > HELD_MAX:
            _held.popitem(last=False)[1].close()
        return True
    return False
