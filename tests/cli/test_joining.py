"""`node join`: what a home must be for it, and what it leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.devnet_addresses import Layout
from cli.devnet_homes import create_devnet
from node.home import NodeHome
from tests.cli.running import Command


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    """A home of a network of four that never ran."""
    state = create_devnet(Layout(directory=tmp_path / "net", node_count=4))
    return NodeHome(Path(state.nodes[3].home))


def join(command: Command, home: NodeHome, *more: str) -> int:
    return command.run("node", "join", "--home", home.path, "--reason", "new disk", *more)


def test_both_marks_are_left_with_the_reason(command: Command, home: NodeHome) -> None:
    assert join(command, home) == 0
    assert home.join_marker.read_text() == "new disk\n"
    assert home.recover_marker.read_text() == "Joining by a snapshot: new disk\n"
    assert command.out == (
        f"Left {home.join_marker}. When the node starts, it takes a snapshot from its peers and\n"
        f"then recovers: {home.recover_marker} is there as well.\n"
        "已留下标记。节点启动后，先从其他节点取得快照，再进入恢复。\n"
    )
    assert join(command, home) == 2
    assert f"{home.join_marker} is there already; nothing was changed." in command.err


def test_blocks_are_given_up_only_with_a_word(command: Command, home: NodeHome) -> None:
    (home.chain / "00000000.segment").write_bytes(b"blocks")
    assert join(command, home) == 1
    assert not home.join_marker.exists()
    assert not home.recover_marker.exists()
    assert join(command, home, "--discard-blocks") == 0
    assert f"The blocks in {home.chain} are removed once a snapshot is fetched." in command.out
    assert (home.chain / "00000000.segment").exists(), "not before there is something better"


def test_a_network_in_which_nobody_can_recover_is_refused(command: Command, tmp_path: Path) -> None:
    state = create_devnet(Layout(directory=tmp_path / "one", node_count=1))
    home = NodeHome(Path(state.nodes[0].home))
    shutil.rmtree(home.chain)
    home.chain.mkdir()
    assert join(command, home) == 1
    assert command.refusal == (
        "Recovery cannot end in this network: it needs the answers of one other, and there are "
        "none. Nothing was changed: a node that joins by a snapshot has to recover."
    )
    assert not home.join_marker.exists()
