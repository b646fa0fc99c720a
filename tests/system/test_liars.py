"""f institutions run a node that lies: real processes, real sockets, the liar's own keys.

The others go on committing, whoever contradicts itself is named on the chain by an entry that a
court can check without them, and nobody honest ever is. What is read comes through the REST API.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli.devnet import Devnet
from cli.devnet_state import DevnetNode, DevnetState
from cli.drafts import Draft
from cli.main import main
from cli.promises import PromiseBook
from sim.liars.kinds import LIARS
from tests.system.networks import PATIENCE_S, Network, running_network, verify_offline

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("liars")]

IS_LONG = bool(os.environ.get("CAMPAIGN"))
"""`CAMPAIGN=1` runs every kind, alone and two of seven; without it the three that matter most."""

DEFAULT_KINDS = {"equivocating primary", "double voter", "babbler"}

long_run = pytest.mark.skipif(not IS_LONG, reason="a longer run: CAMPAIGN=1")

KINDS = [
    pytest.param(liar.kind, marks=[] if liar.kind in DEFAULT_KINDS else long_run) for liar in LIARS
]

# The first with the twelfth and so on, so that those who lie about one thing are not together.
PAIRS = [
    (one.kind, other.kind)
    for one, other in zip(LIARS[: len(LIARS) // 2], LIARS[len(LIARS) // 2 :], strict=True)
]

CONTRADICTS_ITSELF = {"equivocating primary", "double voter"}
"""Kinds that the chain must name; others that sign two statements now and then may be named."""


class LyingDevnet(Devnet):
    """Runs `tests.system.liar_node` for those nodes that `kinds` names."""

    def __init__(self, directory: Path, state: DevnetState) -> None:
        super().__init__(directory, state)
        self.kinds: dict[int, str] = {}

    def command(self, node: DevnetNode) -> list[str]:
        kind = self.kinds.get(node.replica)
        if kind is None:
            return super().command(node)
        seed = os.environ.get("LIAR_SEED", "1")
        return [sys.executable, "-m", "tests.system.liar_node", kind, seed, node.home]


def become(network: Network, replica: int, kind: str) -> None:
    """Restart a node as a liar, or honest again for `""`."""
    devnet = network.devnet
    assert isinstance(devnet, LyingDevnet)
    devnet.stop([replica])
    devnet.kinds.pop(replica, None)
    if kind:
        devnet.kinds[replica] = kind
    devnet.start([replica])
    devnet.wait_ready([replica])


def convicted(network: Network, replica: int, begin: int = 0) -> dict[str, list[str]]:
    """Return the ids of applied equivocation entries from a height on, by who is named."""
    found: dict[str, list[str]] = {}
    with network.client(replica) as client:
        for height in range(begin, int(client.status()["height"]) + 1):
            transactions: Any = client.block(height)["transactions"]
            for tx_id in transactions:
                place = client.position(tx_id)
                assert place is not None
                stream = str(place["stream"])
                if stream.startswith("validator/") and place["status"] == "applied":
                    found.setdefault(stream.removeprefix("validator/"), []).append(tx_id)
    return found


def commit_through(network: Network, honest: Sequence[int], heights: int) -> None:
    """Post to every honest node in turn until so many heights have passed."""
    start = network.heights_of(honest)[0]
    turn = 0
    while True:
        replica = honest[turn % len(honest)]
        place = network.settle(replica, network.opening()[1])
        assert place["status"] == "applied"
        if int(str(place["height"])) >= start + heights:
            network.wait_level(int(str(place["height"])), honest)
            return
        turn += 1


def check_honest_agree(network: Network, honest: Sequence[int]) -> None:
    end = min(network.heights_of(honest)) + 1
    chains = [network.blocks(replica, end) for replica in honest]
    assert all(chain == chains[0] for chain in chains)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    directory = tmp_path_factory.mktemp("liars") / "net"
    with running_network(directory, make=LyingDevnet) as running:
        yield running


@pytest.fixture(scope="module")
def network_of_seven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    directory = tmp_path_factory.mktemp("seven") / "net"
    with running_network(directory, node_count=7, make=LyingDevnet) as running:
        yield running


def live_with(network: Network, liars: Mapping[int, str], directory: Path) -> None:
    """Have some lie for two turns of every node as primary, and be honest again."""
    honest = [replica for replica in network.replicas if replica not in liars]
    begin = max(network.heights())
    for replica, kind in liars.items():
        become(network, replica, kind)
    commit_through(network, honest, 2 * len(network.replicas))
    for replica, kind in liars.items():
        if kind in CONTRADICTS_ITSELF:
            wait_convicted(network, replica, begin, honest, directory)
    check_honest_agree(network, honest)
    names = {network.genesis.institutions[replica].id for replica in honest}
    assert not names & set(convicted(network, honest[0], begin)), "an honest one is convicted"
    for replica in liars:
        become(network, replica, "")
    place = network.settle(honest[0], network.opening()[1])
    network.wait_level(int(str(place["height"])))
    network.check_same_chain()


@pytest.mark.parametrize("kind", KINDS)
def test_one_liar_of_four_stops_nobody_and_is_named_if_it_contradicts_itself(
    network: Network, kind: str, tmp_path: Path
) -> None:
    live_with(network, {3: kind}, tmp_path)


@long_run
@pytest.mark.parametrize("kinds", PAIRS, ids=" and ".join)
def test_two_liars_of_seven_stop_nobody_and_are_named_if_they_contradict_themselves(
    network_of_seven: Network, kinds: tuple[str, str], tmp_path: Path
) -> None:
    live_with(network_of_seven, dict(zip((2, 5), kinds, strict=True)), tmp_path)


def test_a_censor_that_took_in_what_it_hides_is_shown_to_have_broken_its_word(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It answers the gym with a signed promise; the gym's record is complete without it."""
    censor, honest = 3, [0, 1, 2]
    become(network, censor, "censoring primary")
    _, opening = network.opening()
    stream = str(network.settle(0, opening)["stream"])
    contract = stream.removeprefix("contract/")
    _, hidden = network.sign(
        Draft("prepaid.prepay", {"amount": 10}, stream, f"{contract}-hidden", ["m-yoga"])
    )
    with network.client(censor) as client:
        answer = client.post(hidden)
    promised = int(answer["receipt"]["height_max"])
    while network.heights_of([0])[0] <= promised:
        commit_through(network, honest, 1)
    network.settle(0, network.opening()[1], "certified")
    kept, file = tmp_path / "promises.jsonl", tmp_path / "file.json"
    with PromiseBook.create(kept, network.genesis) as promises:
        promises.keep_answer(network.devnet.state.nodes[censor].api, hidden, answer)
    home = str(Path(network.devnet.state.nodes[0].home).parent)
    words = ["omission", contract, "--kept", str(kept)]
    status = main(["proof", *words, "--devnet", home, "-o", str(file)])
    assert status == 0, capsys.readouterr().err
    result = verify_offline(file, network.devnet.state.genesis_hash)
    assert result.returncode == 0, result.stdout
    name = network.genesis.institutions[censor].id
    assert name in result.stdout
    assert "not kept" in result.stdout
    become(network, censor, "")
    place = network.settle(0, network.opening()[1])
    network.wait_level(int(str(place["height"])))
    network.check_same_chain()


def wait_convicted(
    network: Network, liar: int, begin: int, honest: Sequence[int], directory: Path
) -> None:
    """Go on until the chain names the liar, and have the entry's evidence checked offline."""
    name = network.genesis.institutions[liar].id
    for _ in range(20):
        found = convicted(network, honest[0], begin).get(name)
        if found:
            break
        commit_through(network, honest, 2)
    else:
        pytest.fail(f"{name} contradicts itself and no entry of the chain says so")
    network.settle(honest[0], network.opening()[1], "certified")
    with network.client(honest[-1]) as client:
        file = directory / "evidence.json"
        file.write_bytes(client.evidence(found[0]))
    result = verify_offline(file, network.devnet.state.genesis_hash)
    assert result.returncode == 0, result.stdout + result.stderr
    assert name in result.stdout


def test_n_minus_quorum_plus_one_silent_decide_nothing_and_lose_nothing(network: Network) -> None:
    """One says nothing, another is paused: the two left promise, and keep it when one returns."""
    become(network, 3, "mute")
    process = network.devnet.process(2)
    process.send_signal(19)  # SIGSTOP
    try:
        time.sleep(0.5)  # what was under way
        before = network.heights_of([0, 1])
        promised = []
        for replica in (0, 1):
            tx_id, envelope = network.opening()
            with network.client(replica) as client:
                assert client.post(envelope)["status"] == "accepted"
            promised.append(tx_id)
        time.sleep(3)  # three view timeouts
        assert network.heights_of([0, 1]) == before, "a block without a quorum"
    finally:
        process.send_signal(18)  # SIGCONT
    honest = [0, 1, 2]
    place = network.settle(1, network.opening()[1])
    network.wait_level(int(str(place["height"])), honest)
    with network.client(2) as client:
        for tx_id in promised:
            assert wait_applied(client, tx_id)
    check_honest_agree(network, honest)
    become(network, 3, "")
    network.wait_level(int(str(place["height"])))
    network.check_same_chain()


def wait_applied(client: Any, tx_id: str) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        place = client.position(tx_id)
        if place is not None and place["status"] == "applied":
            return True
        time.sleep(0.05)
    return False
