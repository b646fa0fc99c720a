"""Four real processes on RocksDB, the store that takes over where LevelDB has no package."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import main
from node.config import load_config
from node.home import NodeHome
from tests.system.networks import Network, flip, running_network, verify_offline

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("rocksdb"),
    pytest.mark.skipif(
        importlib.util.find_spec("rocksdict") is None,
        reason="rocksdict is not installed: no node can run on RocksDB here",
    ),
]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running_network(tmp_path_factory.mktemp("rocks") / "net", "rocksdb") as running:
        yield running


def test_every_node_keeps_its_index_in_rocksdb(network: Network) -> None:
    for node in network.devnet.state.nodes:
        home = NodeHome(Path(node.home))
        assert load_config(home).storage.backend == "rocksdb"
        assert list(home.index.glob("OPTIONS-*")), "RocksDB writes its options beside its tables"


def test_a_killed_node_catches_up_and_all_evidence_verifies(
    network: Network, tmp_path: Path
) -> None:
    tx_id, envelope = network.opening()
    network.settle(1, envelope, "certified")
    network.devnet.kill(2)
    places = [network.settle(replica, network.opening()[1]) for replica in (0, 1, 3)]
    again = network.settle(0, envelope)
    network.devnet.start([2])
    network.devnet.wait_ready([2])
    network.wait_level(max(int(str(place["height"])) for place in places))
    assert network.settle(2, envelope, "certified")["index"] == again["index"]
    network.check_same_chain()
    for replica in network.replicas:
        file = tmp_path / f"{replica}.evidence.json"
        with network.client(replica) as client:
            file.write_bytes(client.evidence(tx_id))
        result = verify_offline(file, network.devnet.state.genesis_hash)
        assert result.returncode == 0, result.stdout + result.stderr


def test_all_killed_go_on_with_what_was_committed(network: Network) -> None:
    tx_id, envelope = network.opening()
    place = network.settle(0, envelope)
    for replica in network.replicas:
        network.devnet.process(replica).kill()
    for replica in network.replicas:
        network.devnet.kill(replica)
    network.devnet.start()
    network.devnet.wait_ready()
    with network.client(3) as client:
        found = client.position(tx_id)
    assert found is not None
    assert (found["height"], found["index"]) == (place["height"], place["index"])
    network.settle(3, network.opening()[1], "certified")
    network.check_same_chain()


@pytest.fixture(scope="module")
def stopped_home(network: Network) -> Iterator[Path]:
    """The home of replica 3, stopped; it starts again afterwards."""
    network.devnet.stop([3])
    network.devnet.start([3])  # opening the index again moves its rows into a table
    network.devnet.wait_ready([3])
    place = network.settle(0, network.opening()[1])
    network.wait_level(int(str(place["height"])))
    network.devnet.kill(3)  # stopped in order it would leave its log empty
    yield Path(network.devnet.state.nodes[3].home)
    network.devnet.start([3])
    network.devnet.wait_ready([3])


def test_inspection_passes_and_changes_nothing(
    stopped_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def read() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in stopped_home.rglob("*") if file.is_file()}

    before = read()
    assert main(["inspect", "--home", str(stopped_home)]) == 0, capsys.readouterr().out
    assert read() == before


@pytest.mark.parametrize("share", [0.1, 0.37, 0.99])
@pytest.mark.parametrize("pattern", ["index/*.sst", "index/*.log", "index/MANIFEST-*"])
def test_a_flipped_byte_is_told(
    stopped_home: Path,
    tmp_path: Path,
    pattern: str,
    share: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """RocksDB itself names the file, if anybody does."""
    flip(stopped_home, tmp_path / "home", pattern, share)
    assert main(["inspect", "--home", str(tmp_path / "home")]) == 1
    said = capsys.readouterr().out
    assert re.search(
        rf"^DAMAGED  .*: {tmp_path}/home/index, offset 0: RocksDB ", said, re.MULTILINE
    )
