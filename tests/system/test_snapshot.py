"""A real node whose home is lost joins by a snapshot, while the others go on."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.client import ApiError
from cli.demo import GATEWAY
from cli.drafts import Draft
from cli.main import main
from law.days import day_of, show_day
from node.home import NodeHome
from node.snapshot_files import Base
from storage.files import DiskDirectory
from tests.contracts.life_world import LOCKED, PERSONS, hash_of, load
from tests.system.arranged_node import Arranged
from tests.system.networks import Network, running_network, verify_offline, wait_recovered

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("snapshot")]

WINDOW_MS = 42_000
"""Of replay: what is older need not come along with a snapshot."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    directory = tmp_path_factory.mktemp("snapshot") / "net"
    with running_network(
        directory, replay_window_ms=WINDOW_MS, snapshot_blocks=8, make=Arranged
    ) as running:
        yield running


LIFE = "contract/life-1"

PLAIN = "contract/plain-1"
"""Nothing looks back on it, so that a node that joined holds only its newest entries."""


def act(
    network: Network, replica: int, kind: str, stream: str, data: dict[str, Any], signer: str
) -> str:
    """Have a transaction applied through a node; return its id."""
    tx_id, envelope = network.sign(Draft(kind, data, stream, f"{kind} {stream}", [signer]))
    place = network.settle(replica, envelope, "certified")
    assert place["status"] == "applied", place
    return tx_id


@pytest.fixture(scope="module")
def notice(network: Network) -> str:
    """A contract under terms is signed, paid and ended; the id of the notice that ends it."""
    terms = load("terms/hair-card.v1.json")
    signing = {
        "card": "bearer", "consumer_party": "", "custodian": GATEWAY, "merchant": "m-yoga",
        "persons": PERSONS, "prompted": [], "terms": hash_of(terms),
    }  # fmt: skip
    act(network, 0, "terms.publish", "terms/hair-card", {"document": terms}, "m-yoga")
    act(network, 0, "contract.signed", LIFE, signing, "m-yoga")
    act(network, 0, "funds.locked", LIFE, LOCKED, GATEWAY)
    delivery = {"debited": 4800, "item": "cut", "units": 1}
    act(network, 0, "service.delivered", LIFE, delivery, "m-yoga")
    return act(network, 0, "termination.requested", LIFE, {"cure_until": None}, "m-yoga")


@pytest.fixture(scope="module")
def joined(network: Network, notice: str) -> tuple[str, int]:
    """Replica 3 has lost its home and joined by a snapshot; of an older transaction: id, height."""
    old_id, old = network.opening()
    height = int(str(network.settle(0, old, "certified")["height"]))
    home = home_of(network, 3)
    network.devnet.kill(3)
    for name in ("segments", "index", "journal", "spool", "snapshots"):
        shutil.rmtree(home.path / name)
    opening = {
        "consumer": secrets.token_hex(32), "custodian": GATEWAY, "industry": "fitness",
        "merchant": "m-yoga", "terms_hash": secrets.token_hex(32),
    }  # fmt: skip
    act(network, 0, "prepaid.open", PLAIN, opening, "m-yoga")
    move_clocks(network, [0, 1, 2])
    settle_beyond_window(network, height)
    assert main(["node", "join", "--home", str(home.path), "--reason", "disk lost"]) == 0
    network.devnet.start([3])
    network.settle(1, network.opening()[1])  # the others do not wait for it
    network.devnet.wait_ready([3])
    wait_recovered(network, home.path)
    assert not home.join_marker.exists()
    return old_id, height


def home_of(network: Network, replica: int) -> NodeHome:
    return NodeHome(Path(network.devnet.state.nodes[replica].home))


def newest_snapshot(network: Network, replica: int) -> int:
    names = home_of(network, replica).snapshots.glob("*.manifest")
    return max((int(name.stem) for name in names), default=0)


def live_plainly(network: Network, replica: int) -> None:
    """Have something applied in `PLAIN`, and then something refused."""
    for kind, amount, status in (
        ("prepaid.prepay", 1, "applied"),
        ("prepaid.consume", 10**9, "refused"),
    ):
        reference = f"{kind} {secrets.token_hex(8)}"
        envelope = network.sign(Draft(kind, {"amount": amount}, PLAIN, reference, ["m-yoga"]))[1]
        assert network.settle(replica, envelope)["status"] == status


def move_clocks(network: Network, replicas: list[int]) -> None:
    """Start nodes anew, more than a window later by their clocks."""
    devnet = network.devnet
    assert isinstance(devnet, Arranged)
    devnet.stop(replicas)
    devnet.ahead_ms = network.ahead_ms = WINDOW_MS + 3_000
    devnet.start(replicas)
    devnet.wait_ready(replicas)


def settle_beyond_window(network: Network, height: int) -> None:
    """Have replicas 0 to 2 go on until a snapshot does not reach back to a height any more."""
    with network.client(0) as client:
        since_ms = int(client.block(height)["header"]["time_ms"])
    while True:
        place = network.settle(0, network.opening()[1])
        live_plainly(network, 0)
        snapshot = min(newest_snapshot(network, replica) for replica in range(3))
        with network.client(0) as client:
            if (
                snapshot
                and int(client.block(snapshot)["header"]["time_ms"]) > since_ms + WINDOW_MS + 3_000
            ):
                return
        assert int(str(place["height"])) < 100_000, "no snapshot is made"
        time.sleep(0.05)


def test_a_lost_node_joins_by_a_snapshot_and_has_the_same_chain(
    network: Network, joined: tuple[str, int], tmp_path: Path
) -> None:
    old_id, old_height = joined
    home = home_of(network, 3)
    base = Base(DiskDirectory(home.base, is_read_only=True))
    assert base.start.height > old_height
    new_id, new = network.opening()
    newest = int(str(network.settle(3, new, "certified")["height"]))
    network.wait_level(newest)
    with network.client(0) as one, network.client(3) as three:
        for height in range(base.start.height, newest + 1):
            blocks = [one.block(height), three.block(height)]
            assert blocks[0]["block_hash"] == blocks[1]["block_hash"]
            assert blocks[0]["transactions"] == blocks[1]["transactions"]
        held = (
            f"is not held here: this node began with a snapshot and holds blocks from "
            f"{base.start.height} and entries from {base.start.log_size} on; ask another node"
        )
        for ask, what in (
            (lambda: three.block(1), "block 1"),
            (lambda: three.proof(old_id), f"transaction {old_id}, if it is on the chain,"),
            (lambda: three.evidence(old_id), f"transaction {old_id}, if it is on the chain,"),
        ):
            with pytest.raises(ApiError) as refused:
                ask()
            assert (refused.value.http_status, refused.value.detail) == (404, f"{what} {held}")
        old_position = one.position(old_id)
        assert old_position is not None
        contract = str(old_position["stream"]).removeprefix("contract/")
        with pytest.raises(ApiError) as refused:
            three.history(contract)
        assert refused.value.detail == f"1 of the 1 entries of contract/{contract} {held}"
        file = tmp_path / "new.evidence.json"
        file.write_bytes(three.evidence(new_id))
    result = verify_offline(file, network.devnet.state.genesis_hash)
    assert result.returncode == 0, result.stdout + result.stderr
    # With one of the others gone the network needs its vote.
    network.devnet.kill(0)
    assert network.settle(3, network.opening()[1])["status"] == "applied"
    network.devnet.start([0])
    network.devnet.wait_ready([0])


@pytest.mark.usefixtures("joined")
def test_a_joined_node_computes_what_is_owed_from_entries_older_than_its_base(
    network: Network, notice: str, tmp_path: Path
) -> None:
    with network.client(3) as three, pytest.raises(ApiError) as refused:
        three.proof(notice)
    assert refused.value.http_status == 404
    network.devnet.kill(0)  # the network needs the joined node's vote
    act(network, 3, "notice.arrived", LIFE, {"of": notice}, GATEWAY)
    tomorrow = show_day(day_of(time.time_ns() // 1_000_000) + 1)
    act(network, 3, "refund.computed", LIFE, {"as_of": tomorrow}, GATEWAY)
    file = tmp_path / "life.case.json"
    with network.client(3) as three:
        file.write_bytes(three.history(LIFE.removeprefix("contract/")))
    result = verify_offline(file, network.devnet.state.genesis_hash)
    assert result.returncode == 0, result.stdout + result.stderr
    network.devnet.start([0])
    network.devnet.wait_ready([0])


@pytest.mark.usefixtures("joined")
def test_what_a_joined_node_holds_is_whole_and_its_index_is_built_again(network: Network) -> None:
    home = home_of(network, 3)
    live_plainly(network, 3)
    network.devnet.stop([3])
    assert main(["inspect", "--home", str(home.path)]) == 0
    shutil.rmtree(home.index)
    network.devnet.start([3])
    network.devnet.wait_ready([3])
    network.settle(3, network.opening()[1], "certified")
    network.devnet.stop([3])
    assert main(["inspect", "--home", str(home.path)]) == 0
    network.devnet.start([3])
    network.devnet.wait_ready([3])


@pytest.mark.usefixtures("joined")
def test_a_joined_node_is_restored_from_its_backup(network: Network, tmp_path: Path) -> None:
    home = home_of(network, 3)
    backup = tmp_path / "backup.tar"
    network.devnet.stop([3])
    assert main(["node", "backup", "--home", str(home.path), "-o", str(backup)]) == 0
    for name in ("segments", "index", "journal", "spool", "snapshots", "base"):
        shutil.rmtree(home.path / name)
    assert main(["node", "restore", str(backup), "--home", str(home.path)]) == 0
    network.devnet.start([3])
    network.devnet.wait_ready([3])
    wait_recovered(network, home.path)
    network.settle(3, network.opening()[1], "certified")


def test_blocks_are_given_up_only_when_that_is_said(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    home = home_of(network, 2)
    network.devnet.stop([2])
    arguments = ["node", "join", "--home", str(home.path), "--reason", "a try"]
    assert main(arguments) == 1
    assert "catches up by blocks when it is started. Nothing was changed." in (
        capsys.readouterr().err
    )
    assert not home.join_marker.exists()
    assert not home.recover_marker.exists()
    network.devnet.start([2])
    network.devnet.wait_ready([2])
