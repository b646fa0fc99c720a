"""A network of institutions with real certificates, made once."""

from __future__ import annotations

import asyncio
import base64
import os
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvloop

from cli.devnet_addresses import choose_ports
from genesis.document import (
    Endpoints,
    Genesis,
    Institution,
    Keys,
    Name,
    Parameters,
    RulePack,
    encode_genesis,
    parse_genesis,
)
from ledger.signing import public_key_of
from node.certificates import make_node_certificate, write_certificate, write_private_key
from node.peer_link import Timing
from node.peer_queues import QueueLimits
from node.tls import PeerRefusal, TlsIdentity
from node.transport import Transport


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """All runs on the event loop of production; with CAMPAIGN=1 also on the standard library's."""
    if not os.environ.get("CAMPAIGN"):
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


PASSPHRASE = b"of the tests"

QUICK = Timing(
    connect_s=5.0,
    retry_first_s=0.01,
    retry_max_s=0.1,
    stable_s=0.5,
    beat_s=0.1,
    silent_beats_max=20,
)

GUARD_S = 60.0
"""Only against waiting for ever."""


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not holds():  # noqa: ASYNC110 what is waited for sets no event
            await asyncio.sleep(0.005)


class Meter:
    """Counts what the transport says."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.received_bytes = 0
        self.dropped = {"consensus": 0, "bulk": 0}
        self.refused: list[str] = []

    def peer_sent(self, replica: int, count_bytes: int) -> None:
        self.sent_bytes += count_bytes

    def peer_received(self, replica: int, count_bytes: int) -> None:
        self.received_bytes += count_bytes

    def peer_dropped(self, replica: int, traffic: str, count: int) -> None:
        self.dropped[traffic] += count

    def peer_connected(self, replica: int, is_connected: bool) -> None:
        pass

    def peer_refused(self, refusal: str) -> None:
        self.refused.append(refusal)


@dataclass
class Network:
    """Genesis, and where each institution's TLS files lie."""

    genesis: Genesis
    identities: list[TlsIdentity]
    directory: Path


@dataclass(eq=False)
class Node:
    """A transport with what it said."""

    transport: Transport
    meter: Meter
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    peers: list[tuple[int, bool]] = field(default_factory=list)
    refusals: list[tuple[int | None, PeerRefusal, str]] = field(default_factory=list)

    def refused(self, refusal: PeerRefusal) -> list[str]:
        return [detail for _, reason, detail in self.refusals if reason is refusal]


def make_network(directory: Path, count: int, network: str = "test") -> Network:
    institutions = []
    identities = []
    for number in range(count):
        name = f"bank-{number}"
        key, certificate = make_node_certificate(name)
        identity = TlsIdentity(
            directory / f"{network}-{name}.crt", directory / f"{network}-{name}.key", PASSPHRASE
        )
        write_certificate(identity.certificate, certificate)
        write_private_key(identity.key, key, PASSPHRASE)
        identities.append(identity)
        keys = {
            purpose: public_key_of(bytes([number, place]) * 16).hex()
            for place, purpose in enumerate(("cosign", "log", "party", "vote"))
        }
        institutions.append(
            Institution(
                district="pudong",
                endpoints=Endpoints(api="https://127.0.0.1:1", peer="127.0.0.1:1"),
                id=name,
                keys=Keys(**keys),
                name=Name(en=name, zh=name),
                role="bank",
                tls_certificate=base64.b64encode(certificate).decode(),
            )
        )
    raw = encode_genesis(
        network=network,
        time_ms=1_700_000_000_000,
        institutions=institutions,
        parameters=Parameters(
            block_bytes_max=1024 * 1024,
            block_transactions_max=1000,
            idle_block_interval_ms=60_000,
            intake_heights=100,
            proposal_clock_skew_ms=10_000,
            reference_window_ms=1_000_000,
            replay_window_ms=100_000,
            view_timeout_ms=1000,
        ),
        rule_pack=RulePack(id="test", version=1),
    )
    return Network(parse_genesis(raw), identities, directory)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return make_network(tmp_path_factory.mktemp("network"), 3)


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Another network, whose certificates nobody in the first one knows."""
    return make_network(tmp_path_factory.mktemp("strangers"), 3, "other")


class Nodes:
    """Starts transports and closes them all in the end."""

    def __init__(self) -> None:
        self.running: list[Node] = []
        self.ports: dict[int, int] = {}

    def reserve(self, replica: int) -> int:
        """A port for a replica that is dialled before it listens, and again after a restart."""
        if replica not in self.ports:
            (self.ports[replica],) = choose_ports(1, 0)
        return self.ports[replica]

    async def start(
        self,
        network: Network,
        replica: int,
        *,
        timing: Timing = QUICK,
        limits: QueueLimits = QueueLimits(),  # noqa: B008
        on_frame: Callable[[int, bytes], None] | None = None,
        **changes: Any,
    ) -> Node:
        meter = Meter()
        frames: list[tuple[int, bytes]] = []
        peers: list[tuple[int, bool]] = []
        refusals: list[tuple[int | None, PeerRefusal, str]] = []
        count = len(network.genesis.institutions)
        settings: dict[str, Any] = {
            "replica": replica,
            "genesis": network.genesis,
            "listen": f"127.0.0.1:{self.reserve(replica)}",
            "endpoints": {n: f"127.0.0.1:{self.reserve(n)}" for n in range(count) if n != replica},
            "tls": network.identities[replica],
        }
        transport = Transport(
            **(settings | changes),
            on_frame=on_frame or (lambda sender, payload: frames.append((sender, payload))),
            on_peer=lambda peer, connected: peers.append((peer, connected)),
            on_refusal=lambda *what: refusals.append(what),
            meter=meter,
            chance=random.Random(replica),
            timing=timing,
            limits=limits,
        )
        node = Node(transport, meter, frames, peers, refusals)
        await transport.start()
        self.running.append(node)
        return node

    async def stop(self, node: Node, grace_s: float = 2.0) -> None:
        self.running.remove(node)
        await node.transport.close(grace_s)

    async def connect(self, *nodes: Node) -> None:
        await until(lambda: all(len(n.transport.connected) == len(nodes) - 1 for n in nodes))


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[Nodes]:
    running = Nodes()
    yield running
    for node in list(running.running):
        await running.stop(node)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], Any]:
    return until
