"""What must hold after any faults, checked as an outsider can: REST API and offline verifier.

Nothing here reads a node's files or knows how it works. Every promise and every position a node
gave is looked up; every node's chain is read whole and compared byte by byte (log entries as tiles,
and each block as it is served); samples of evidence are verified by a process without a network.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.client import ApiError, Unreachable
from tests.campaign.load import Load
from tests.system.networks import Network, verify_offline

PATIENCE_S = 300.0
"""How long a healed network may take to keep what it promised, on a machine however busy."""

BUNDLE = 256
"""Entries of a full tile."""


class Violated(Exception):
    """A promise of this ledger does not hold."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at."""

    promised: int
    committed: int
    heights: int
    entries: int
    verified: int

    def __str__(self) -> str:
        return (
            f"{self.promised} promises kept, {self.committed} committed positions unmoved, "
            f"0 lost, 0 twice, {self.heights} blocks and {self.entries} entries the same to the "
            f"byte on every node, {self.verified} evidence files consistent offline"
        )


def check_everything(network: Network, load: Load, chance: random.Random) -> Checked:
    """Raise `Violated` unless all holds. The load has stopped and all nodes run."""
    level = wait_same_height(network)
    recorded = _check_blocks(network, level)
    _check_promises(network, load, recorded)
    entries = check_same_entries(network)
    verified = check_evidence(network, load, chance, 5)
    return Checked(len(load.promised), len(load.committed), level, entries, verified)


def wait_until(holds: Callable[[], bool], sentence: Callable[[], str]) -> None:
    """Wait for a healed network; raise `Violated` if it does not come to it by itself."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise Violated(sentence())
        time.sleep(0.05)


def wait_same_height(network: Network) -> int:
    """Wait until every node has what any had at the beginning, certified; return that height."""
    level = max(network.heights())

    def lagging() -> list[str]:
        found = []
        for replica in network.replicas:
            with network.client(replica) as client:
                status = client.status()
            if int(status["height"]) < level or int(status["certified_height"]) < level:
                found.append(f"replica {replica} is at {status['height']}: {status['detail']}")
        return found

    wait_until(
        lambda: not lagging(),
        lambda: f"not every node came to height {level} by itself: {'; '.join(lagging())}",
    )
    return level


def _check_blocks(network: Network, level: int) -> dict[str, int]:
    """Compare all blocks of all nodes; return the height of every transaction, each once."""
    recorded: dict[str, int] = {}
    clients = [network.client(replica) for replica in network.replicas]
    try:
        for height in range(level + 1):
            first: dict[str, object] = {}
            for replica, client in enumerate(clients):
                block = client.block(height)
                del block["certificate"], block["certified"]
                first = first or block
                if block != first:
                    raise Violated(f"replica {replica} has another block {height} than replica 0")
            transactions = first["transactions"]
            if not isinstance(transactions, list):
                raise Violated(f"block {height} is served without its transactions")
            for transaction in transactions:
                tx_id = transaction if isinstance(transaction, str) else str(transaction["tx_id"])
                if tx_id in recorded:
                    raise Violated(f"{tx_id} is in blocks {recorded[tx_id]} and {height}")
                recorded[tx_id] = height
    finally:
        for client in clients:
            client.close()
    return recorded


def _check_promises(network: Network, load: Load, recorded: Mapping[str, int]) -> None:
    with network.client(0) as client:
        for tx_id, position in load.committed.items():
            if tx_id not in recorded:
                raise Violated(f"{tx_id} was reported committed at {position} and is lost")
            place = client.position(tx_id)
            if place is None or (place["height"], place["index"]) != position:
                raise Violated(f"{tx_id} was reported committed at {position} and is at {place}")
        for tx_id, promise in load.promised.items():
            height = recorded.get(tx_id)
            if height is None:  # decided after the level that was compared
                place = client.position(tx_id)
                if place is None or place["status"] not in {"applied", "refused"}:
                    raise Violated(
                        f"replica {promise.replica} promised {tx_id} by height "
                        f"{promise.height_max}; it is {place}"
                    )
                height = int(place["height"])
            if height > promise.height_max:
                raise Violated(
                    f"replica {promise.replica} promised {tx_id} by height {promise.height_max}; "
                    f"it came at {height}"
                )


def check_same_entries(network: Network) -> int:
    """Compare the log's entry tiles of all nodes; return how many entries that is."""
    clients = [network.client(replica) for replica in network.replicas]
    try:
        size = min(int(client.checkpoint().split("\n")[1]) for client in clients)
        for index in range(-(-size // BUNDLE)):
            width = min(BUNDLE, size - index * BUNDLE)
            name = f"{index % 1000:03d}"
            rest = index // 1000
            while rest:
                name, rest = f"x{rest % 1000:03d}/{name}", rest // 1000
            path = f"/tile/entries/{name}" + ("" if width == BUNDLE else f".p/{width}")
            bundles = [client._get(path).content for client in clients]
            for replica, bundle in enumerate(bundles):
                if bundle != bundles[0]:
                    raise Violated(f"replica {replica} serves another {path} than replica 0")
        return size
    finally:
        for client in clients:
            client.close()


def check_evidence(network: Network, load: Load, chance: random.Random, count: int) -> int:
    """Verify samples of evidence and one history of every node offline; return how many."""
    genesis_hash = network.devnet.state.genesis_hash
    verified = 0
    samples = sorted(load.committed)
    streams = sorted(set(load.streams.values()))
    with tempfile.TemporaryDirectory(prefix="evidence-") as directory:
        for replica in network.replicas:
            with network.client(replica) as client:
                chosen = chance.sample(samples, min(count, len(samples)))
                files = [(f"evidence of {tx_id}", client.evidence(tx_id)) for tx_id in chosen]
                for stream in streams[:1]:
                    contract = stream.removeprefix("contract/")
                    files.append((f"history of {contract}", client.history(contract)))
            for what, raw in files:
                file = Path(directory) / "evidence.json"
                file.write_bytes(raw)
                result = verify_offline(file, genesis_hash)
                if result.returncode != 0:
                    raise Violated(f"replica {replica}, {what}: {result.stdout}{result.stderr}")
                verified += 1
    return verified


def height_of(network: Network, replica: int) -> int:
    """Return a node's height, or -1 while it does not answer."""
    try:
        with network.client(replica, patience_s=0) as client:
            return int(client.status()["height"])
    except (Unreachable, ApiError):
        return -1
