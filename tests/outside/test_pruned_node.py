"""A node that has moved old segments to its archive: what others' software says is as before."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest
import scitt_cose

from cli.client import ApiError, Client
from cli.main import main
from ledger.log import TILE_WIDTH
from node.archived import find_archived
from node.home import NodeHome
from tests.outside.authority import TimestampAuthority, needs_openssl
from tests.outside.test_cose_receipts import public_pem
from tests.outside.test_go import judge, tile_name
from tests.outside.test_timestamps import run_openssl
from tests.system.arranged_node import Arranged
from tests.system.networks import Network, running_network

pytestmark = [pytest.mark.slow, needs_openssl]

WINDOW_MS = 42_000
SIZE = TILE_WIDTH + 50
SEGMENT_BYTES = 8192


def configure(home: NodeHome, tsa: TimestampAuthority, url: str, archive: Path) -> None:
    text = home.config.read_text()
    for old, new in (
        ('archive = ""', f'archive = "{archive}"'),
        ("authorities = {}", f'authorities = {{ "tsa-1" = "{url}" }}'),
        ("certificates = {}", f'certificates = {{ "tsa-1" = "{tsa.chain}" }}'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    home.config.write_text(text)


def restart(network: Network) -> None:
    network.devnet.start()
    network.devnet.wait_ready()


def write_log(client: Client, folder: Path, policy: str, tx_id: str) -> None:
    """Lay the whole log out as `tests/outside/go` reads it, fetched from the node."""
    files = {
        "policy": policy.encode(),
        "checkpoint": client.checkpoint().encode(),
        "entry": client._get(f"/v1/transactions/{tx_id}/entry").content,
        "proof": client.proof(tx_id),
    }
    size = int(files["checkpoint"].split(b"\n")[1])
    for level in range(2):
        count = size // TILE_WIDTH**level
        for index in range(-(-count // TILE_WIDTH)):
            width = min(TILE_WIDTH, count - index * TILE_WIDTH)
            for kind in ("0", "entries") if level == 0 else ("1",):
                name = tile_name(kind, index, width)
                files[name] = client._get(f"/{name}").content
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_after_pruning_strangers_check_the_same(
    served: tuple[TimestampAuthority, str],
    program: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tsa, url = served
    (tmp_path / "archive").mkdir()
    net = ["--devnet", str(tmp_path / "net")]
    with running_network(
        tmp_path / "net",
        node_count=1,
        replay_window_ms=WINDOW_MS,
        make=partial(Arranged, segment_bytes=SEGMENT_BYTES),
    ) as network:
        devnet = network.devnet
        assert isinstance(devnet, Arranged)
        home = NodeHome(Path(network.devnet.state.nodes[0].home))
        trusted = ["--genesis-hash", network.genesis.chain_id.hex()]
        tx_id, envelope = network.opening()
        network.settle(0, envelope, "certified")
        with network.client(0) as client:
            while int(client.checkpoint().split("\n")[1]) < SIZE:
                client.post_batch([network.opening()[1] for _ in range(10)])
        network.devnet.stop()
        configure(home, tsa, url, tmp_path / "archive")
        restart(network)
        with network.client(0) as client:
            while True:
                try:
                    client.timestamps(tx_id)
                    break
                except ApiError:
                    time.sleep(0.1)
        before = tmp_path / "before.json"
        assert main(["evidence", tx_id, *net, "-o", str(before)]) == 0
        network.devnet.stop()
        devnet.ahead_ms = network.ahead_ms = WINDOW_MS
        restart(network)
        network.settle(0, network.opening()[1], "certified")
        network.devnet.stop()
        assert main(["node", "prune", "--home", str(home.path), "--keep-blocks", "1"]) == 0
        restart(network)
        with network.client(0) as client:
            assert int(client.position(tx_id)["height"]) < find_archived(home)  # type: ignore[index]
            capsys.readouterr()
            assert main(["genesis", "policy", network.devnet.state.genesis]) == 0
            write_log(client, tmp_path, capsys.readouterr().out, tx_id)
            receipt = client._get(f"/v1/transactions/{tx_id}/receipt").content
        after, stamped = tmp_path / "after.json", tmp_path / "stamped.json"
        assert main(["evidence", tx_id, *net, "-o", str(after)]) == 0
        assert main(["proof", "timestamps", str(before), *net, "-o", str(stamped)]) == 0
        for file in (before, after, stamped):
            assert main(["verify", str(file), *trusted]) == 0
        taken = tmp_path / "taken"
        assert main(["stamps", "--file", str(stamped), "-o", str(taken)]) == 0
        log_key = network.genesis.validators[0].log_key
    entries = judge(program, tmp_path).splitlines()
    assert [line.partition(":")[0] for line in entries] == ["proof", "log"], entries
    judged = scitt_cose.verify_receipt(
        receipt,
        leaf_entry_hex=(tmp_path / "entry").read_bytes().hex(),
        log_public_key_pem=public_pem(log_key),
    )
    assert (judged.ok, judged.errors) == (True, [])
    found = run_openssl(tsa, taken / "checkpoint", taken / "tsa-1.sha256.tsr")
    assert found == "Verification: OK\n"
