"""A node whose index has lost its rows: it starts, has everything again, and proves as before.

Only certified checkpoints are in the index and nowhere else. What they are needed for is proven by
later ones, which the members cosign, and where no quorum is left, by those of a backup.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cli.client import Unreachable
from cli.main import main
from tests.leveldb import needs_leveldb
from tests.system.networks import PATIENCE_S, Network, running_network, verify_offline

pytestmark = needs_leveldb  # RocksDB, stopped, has all rows in tables


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running_network(tmp_path_factory.mktemp("lost") / "net") as running:
        yield running


def empty_index(home: Path) -> None:
    """As a file system may leave it: the log, with all rows of a small chain, has no byte."""
    for file in (home / "index").iterdir():
        if file.suffix == ".log":
            file.write_bytes(b"")
        assert file.suffix != ".ldb", "all rows are in the log"


def wait_certified(network: Network, replica: int) -> None:
    """Wait until a node's newest block is covered by a checkpoint."""
    deadline = time.monotonic() + PATIENCE_S
    with network.client(replica) as client:
        while (status := client.status())["height"] != status["certified_height"]:
            assert time.monotonic() < deadline, status
            time.sleep(0.1)


def wait_serving(network: Network, replica: int) -> None:
    """Wait until a node answers, ready or not."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with network.client(replica) as client, suppress(Unreachable):
            client.status()
            return
        time.sleep(0.1)


def save_evidence(network: Network, replica: int, tx_id: str, file: Path) -> dict[str, object]:
    with network.client(replica) as client:
        file.write_bytes(client.evidence(tx_id))
    checked = verify_offline(file, network.devnet.state.genesis_hash)
    assert checked.returncode == 0, checked.stdout
    held: dict[str, object] = json.loads(file.read_bytes())
    return held


def test_a_node_whose_index_lost_its_rows_has_everything_again(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    devnet = network.devnet
    home = Path(devnet.state.nodes[3].home)
    tx_id, envelope = network.opening()
    place = network.settle(3, envelope, "certified")
    network.wait_level(int(str(place["height"])))
    save_evidence(network, 3, tx_id, tmp_path / "before.json")
    devnet.stop([3])
    assert main(["inspect", "--home", str(home)]) == 0, capsys.readouterr().out
    capsys.readouterr()
    empty_index(home)
    assert main(["inspect", "--home", str(home)]) == 1
    said = capsys.readouterr().out
    assert f"DAMAGED  index: {home}/index lacks " in said
    assert said.count("DAMAGED") == 1, said
    devnet.start([3])
    devnet.wait_ready([3])
    log = Path(devnet.state.nodes[3].log).read_text("utf-8")
    assert "The index is empty and the segments reach block " in log
    with network.client(3) as client:
        assert client.position(tx_id) == place
    network.settle(0, network.opening()[1], "certified")
    save_evidence(network, 3, tx_id, tmp_path / "after.json")
    network.check_same_chain()
    devnet.stop([3])
    assert main(["inspect", "--home", str(home)]) == 0, capsys.readouterr().out
    devnet.start([3])
    devnet.wait_ready([3])


def test_where_no_quorum_is_left_a_backups_checkpoints_prove(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last node of a network that ended; nobody is there to cosign anything."""
    devnet = network.devnet
    home = Path(devnet.state.nodes[2].home)
    tx_id, envelope = network.opening()
    place = network.settle(2, envelope, "certified")
    network.wait_level(int(str(place["height"])))
    wait_certified(network, 2)
    devnet.stop([2])
    backup = tmp_path / "backup.tar"
    assert main(["node", "backup", "--home", str(home), "-o", str(backup)]) == 0
    devnet.stop([0, 1, 3])
    shutil.rmtree(home / "index")
    (home / "index").mkdir()
    with tarfile.open(backup) as tar:
        listed = tar.extractfile("checkpoints.json")
        assert listed is not None
        (home / "checkpoints.json").write_bytes(listed.read())
    devnet.start([2])
    wait_serving(network, 2)
    with network.client(2) as client:
        status = client.status()
    assert status["certified_height"] >= int(str(place["height"])), "nobody certifies it anew"
    save_evidence(network, 2, tx_id, tmp_path / "alone.json")
    assert not (home / "checkpoints.json").exists()
    devnet.start([0, 1, 3])
    devnet.wait_ready()
