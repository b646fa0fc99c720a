"""A network of four real processes on loopback, and transactions for it."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cli.client import Client
from cli.demo import GATEWAY
from cli.devnet import Devnet, open_devnet
from cli.devnet_addresses import Layout
from cli.devnet_state import DevnetState
from cli.drafts import Draft, complete_body
from cli.founding import Backend, read_genesis
from cli.registration import register_submitters
from cli.submission import wait_height
from genesis.document import Genesis
from ledger.signing import SeedSigner
from ledger.transaction import compute_tx_id, sign_transaction

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0
"""For what must come in the end, on a machine however busy: nothing is judged by its time."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Network:
    """A devnet with the means to write transactions for it."""

    def __init__(self, devnet: Devnet) -> None:
        self.devnet = devnet
        self.ahead_ms = 0
        """How far the nodes' clocks are ahead, and those of who signs."""
        self.genesis: Genesis = read_genesis(Path(devnet.state.genesis))
        self._signers = {
            who.party: SeedSigner(bytes.fromhex(who.seed)) for who in devnet.state.submitters
        }

    @property
    def replicas(self) -> range:
        return range(len(self.devnet.state.nodes))

    def client(self, replica: int, patience_s: float = -1) -> Client:
        client = self.devnet.client(replica)
        client.patience_s = patience_s if patience_s >= 0 else client.patience_s
        return client

    def sign(self, draft: Draft) -> tuple[str, bytes]:
        """Return (tx id, envelope)."""
        window_ms = self.genesis.parameters.replay_window_ms
        body = complete_body(draft, now_ms() + self.ahead_ms + min(600_000, window_ms // 2), {})
        signers = [self._signers[party] for party in draft.signers]
        envelope = sign_transaction(body, self.genesis.chain_id, signers)
        return compute_tx_id(body).hex(), envelope

    def opening(self, merchant: str = "m-yoga") -> tuple[str, bytes]:
        """Return (tx id, envelope) of a new contract's first transaction."""
        contract = f"t-{secrets.token_hex(8)}"
        data = {
            "consumer": secrets.token_hex(32),
            "custodian": GATEWAY,
            "industry": "fitness",
            "merchant": merchant,
            "terms_hash": secrets.token_hex(32),
        }
        return self.sign(Draft("prepaid.open", data, f"contract/{contract}", contract, [merchant]))

    def settle(self, replica: int, envelope: bytes, level: str = "committed") -> dict[str, object]:
        with self.client(replica) as client:
            return client.settle(envelope, level)

    def heights(self) -> list[int]:
        return self.heights_of(self.replicas)

    def heights_of(self, replicas: Sequence[int]) -> list[int]:
        found = []
        for replica in replicas:
            with self.client(replica) as client:
                found.append(int(client.status()["height"]))
        return found

    def wait_level(self, height: int, replicas: Sequence[int] | None = None) -> None:
        """Wait until nodes have applied `height`."""
        for replica in self.replicas if replicas is None else replicas:
            with self.client(replica) as client:
                wait_height(client, height)

    def blocks(self, replica: int, end: int) -> list[dict[str, object]]:
        """Return blocks [0, end) as a node serves them, without what may differ by node."""
        blocks = []
        with self.client(replica) as client:
            for height in range(end):
                block = client.block(height)
                del block["certificate"], block["certified"]
                blocks.append(block)
        return blocks

    def check_same_chain(self) -> list[dict[str, object]]:
        """Compare every block that all nodes have; return them."""
        end = min(self.heights()) + 1
        chains = [self.blocks(replica, end) for replica in self.replicas]
        for replica, chain in enumerate(chains):
            assert chain == chains[0], f"replica {replica} has another chain than replica 0"
        return chains[0]


def wait_recovered(network: Network, home: Path) -> None:
    """Have the others decide until a recovering node is allowed to vote."""
    while (home / "RECOVER").exists():
        network.settle(1, network.opening()[1])
    for _ in range(3):
        network.settle(1, network.opening()[1])


OFFLINE = """\
import sys
for name in ("socket", "_socket", "ssl", "asyncio", "urllib.request", "httpx", "msgspec"):
    sys.modules[name] = None
from verifier.main import main
sys.exit(main(sys.argv[1:]))
"""


def verify_offline(file: Path, genesis_hash: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier in a process that cannot open a socket."""
    return subprocess.run(
        [sys.executable, "-c", OFFLINE, str(file), "--genesis-hash", genesis_hash],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def flip(home: Path, copy: Path, pattern: str, share: float) -> str:
    """Copy a home, flip one bit at `share` of the first file that matches; return its name."""
    shutil.copytree(home, copy)
    file = next(file for file in sorted(copy.glob(pattern)) if file.stat().st_size)
    raw = bytearray(file.read_bytes())
    raw[round(share * (len(raw) - 1))] ^= 4
    file.write_bytes(raw)
    return file.name


@contextmanager
def running_network(
    directory: Path,
    backend: Backend | None = None,
    *,
    node_count: int = 4,
    host: str = "",
    replay_window_ms: int = 0,
    snapshot_blocks: int = 0,
    make: Callable[[Path, DevnetState], Devnet] = Devnet,
) -> Iterator[Network]:
    """Make and start four nodes or another number; nothing of them is left afterwards."""
    layout = Layout(
        directory=directory,
        node_count=node_count,
        host=host,
        view_timeout_ms=1_000,
        backend=backend,
        replay_window_ms=replay_window_ms,
        snapshot_blocks=snapshot_blocks,
    )
    state = open_devnet(layout, print)
    with make(directory, state) as devnet:
        devnet.start()
        devnet.wait_ready()
        register_submitters(state)
        yield Network(devnet)
