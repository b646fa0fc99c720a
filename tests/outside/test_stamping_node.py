"""A real node with a real authority: stamped, served, written to files, verified by OpenSSL."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.client import ApiError
from cli.main import main
from ledger.kernel import leaf_hash
from ledger.note import parse_note
from ledger.tlog_proof import parse_tlog_proof, verify_tlog_proof
from node.certification import log_trust
from node.config import NodeHome
from tests.outside.authority import OPENSSL, TimestampAuthority, needs_openssl
from tests.system.networks import Network, running_network

pytestmark = [pytest.mark.slow, needs_openssl]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[TimestampAuthority, str]]:
    """An authority that serves on a thread of its own."""
    tsa = TimestampAuthority(tmp_path / "tsa")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    url = asyncio.run_coroutine_threadsafe(tsa.serve(), loop).result()
    yield tsa, url
    asyncio.run_coroutine_threadsafe(tsa.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def configure(network: Network, tsa: TimestampAuthority, url: str) -> None:
    home = NodeHome(Path(network.devnet.state.nodes[0].home))
    text = home.config.read_text()
    for old, new in (
        ('hashes = ["sha256"]', 'hashes = ["sha256", "sm3"]'),
        ("authorities = {}", f'authorities = {{ "tsa-1" = "{url}" }}'),
        ("certificates = {}", f'certificates = {{ "tsa-1" = "{tsa.chain}" }}'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    home.config.write_text(text)


def test_a_node_has_its_checkpoints_stamped(
    served: tuple[TimestampAuthority, str], tmp_path: Path
) -> None:
    tsa, url = served
    with running_network(tmp_path / "net", node_count=1) as network:
        tx_id, envelope = network.opening()
        network.settle(0, envelope, "certified")
        with network.client(0) as client, pytest.raises(ApiError) as refused:
            client.timestamps(tx_id)
        assert refused.value.http_status == 404
        network.devnet.kill(0)
        configure(network, tsa, url)
        network.devnet.start()
        network.devnet.wait_ready()
        with network.client(0) as client:
            while True:
                try:
                    client.timestamps(tx_id)
                    break
                except ApiError:
                    time.sleep(0.1)
            while len(client.timestamps(tx_id)["timestamps"]["timestamps"]) < 2:
                time.sleep(0.1)
            entry = client._get(f"/v1/transactions/{tx_id}/entry").content
        folder = tmp_path / "stamped"
        command = ["stamps", tx_id, "--devnet", str(tmp_path / "net"), "-o", str(folder)]
        assert main(command) == 0
        assert main(command) == 2, "what is there is not overwritten"
    names = ["checkpoint", f"{tx_id}.tlog-proof", "tsa-1.sha256.tsr", "tsa-1.sm3.tsr"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    for name in names[2:]:
        assert OPENSSL is not None
        command = [OPENSSL, "ts", "-verify", "-data", str(folder / "checkpoint")]
        command += ["-in", str(folder / name), "-CAfile", str(tsa.root), "-untrusted"]
        result = subprocess.run([*command, tsa.signer], capture_output=True, text=True, check=False)
        assert result.stdout == "Verification: OK\n", result.stderr
    raw = (folder / names[1]).read_bytes()
    verify_tlog_proof(raw, leaf_hash(entry), log_trust(network.genesis))
    checkpoint = (folder / "checkpoint").read_bytes()
    assert parse_tlog_proof(raw).checkpoint == checkpoint
    assert len(parse_note(checkpoint).signatures) == 2


def test_stamps_says_what_is_no_transaction(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stamps", "9F", "--api", "https://node.test", "-o", "x"]) == 2
    assert capsys.readouterr().err == (
        "'9F' is not a transaction id of 64 lower-case hex digits.\n"
    )
