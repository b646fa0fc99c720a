"""A devnet's homes: whole, closed to others, resumed as they are, on ports that are free."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import cli.devnet
from cli.devnet import open_devnet
from cli.devnet_addresses import HELD_MAX, Layout, choose_ports
from cli.devnet_homes import create_devnet, move_ports
from cli.devnet_state import read_state, write_state
from cli.failure import Failure
from genesis.document import parse_genesis
from ledger.signing import public_key_of
from node.config import load_config
from node.endpoint import parse_endpoint
from node.home import NodeHome
from node.server import LOCK_FILE, open_identity
from storage.files import DiskDirectory
from tests.cli.running import Command


def test_every_home_opens_as_the_institution_genesis_names(tmp_path: Path) -> None:
    state = create_devnet(Layout(tmp_path / "net", 3))
    genesis = parse_genesis(Path(state.genesis).read_bytes())
    assert genesis.chain_id.hex() == state.genesis_hash
    for node, institution, secret in zip(
        state.nodes, genesis.institutions, state.institutions, strict=True
    ):
        home = NodeHome(Path(node.home))
        identity, _ = open_identity(home, load_config(home))
        assert identity.replica == node.replica
        assert (node.id, node.api, node.peer) == (
            institution.id, institution.endpoints.api, institution.endpoints.peer,
        )  # fmt: skip
        assert public_key_of(bytes.fromhex(secret.party_seed)).hex() == institution.keys.party
        assert {"operator", "auditor", "merchant:m-yoga"} <= set(node.tokens)
    for who in state.submitters:
        assert public_key_of(bytes.fromhex(who.seed)).hex() == who.public_key
    mode = stat.S_IMODE((tmp_path / "net/devnet.json").stat().st_mode)
    assert mode == 0o600


def test_homes_for_containers_listen_on_every_address(command: Command, tmp_path: Path) -> None:
    arguments = ("--directory", tmp_path, "--replicas", "4", "--host", "node-{replica}")
    ports = ("--api-port", "8443", "--peer-port", "7443")
    assert command.run("devnet", "init", *arguments, *ports) == 0
    state = read_state(tmp_path)
    assert [node.api for node in state.nodes] == [f"https://node-{at}:8443" for at in range(4)]
    before = (tmp_path / "devnet.json").read_bytes()
    for at in range(4):
        home = NodeHome(tmp_path / f"node-{at}")
        config = load_config(home)
        assert (config.api.listen, config.peer.listen) == ("0.0.0.0:8443", "0.0.0.0:7443")
        assert not Path(config.keys.passphrase_file).is_absolute(), "the home must be movable"
        assert str(tmp_path) not in home.config.read_text()
    assert command.run("devnet", "init", *arguments, *ports) == 0
    assert (
        command.out == f"{tmp_path} holds a devnet already; nothing was changed. 未作任何更改。\n"
    )
    assert (tmp_path / "devnet.json").read_bytes() == before


def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "node-red").mkdir()
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Failure) as refused:
        create_devnet(Layout(tmp_path, 1))
    assert refused.value.english == (
        f"{tmp_path} is neither empty nor a devnet: it holds letter.txt, node-red. Name an empty "
        "directory."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt", "node-red"]


def test_what_an_interruption_left_is_made_anew(tmp_path: Path) -> None:
    create_devnet(Layout(tmp_path / "net", 2))
    (tmp_path / "net/devnet.json").unlink()
    state = create_devnet(Layout(tmp_path / "net", 2))
    assert read_state(tmp_path / "net") == state


def test_a_port_taken_meanwhile_is_replaced_everywhere(tmp_path: Path) -> None:
    state = create_devnet(Layout(tmp_path / "net", 2))
    assert move_ports(state) == []
    peer = parse_endpoint(state.nodes[1].peer)[1]
    with socket.create_server(("127.0.0.1", peer)):
        (sentence,) = move_ports(state)
    moved = parse_endpoint(state.nodes[1].peer)[1]
    assert sentence == f"Port {peer} of pay-a is in use; it takes {moved} instead. 端口已改。"
    write_state(tmp_path / "net", state)
    genesis = parse_genesis(Path(state.genesis).read_bytes())
    first, second = (load_config(NodeHome(Path(node.home))) for node in state.nodes)
    assert second.peer.listen == f"127.0.0.1:{moved}"
    assert first.endpoints_by_replica(genesis) == {1: f"127.0.0.1:{moved}"}


def test_a_move_that_was_interrupted_is_brought_to_its_end(tmp_path: Path) -> None:
    """One home named its new port, and neither the other one nor devnet.json did yet."""
    state = create_devnet(Layout(tmp_path / "net", 2))
    old = [Path(node.home, "node.toml").read_bytes() for node in state.nodes]
    peer = parse_endpoint(state.nodes[1].peer)[1]
    with socket.create_server(("127.0.0.1", peer)):
        move_ports(state)
    moved = state.nodes[1].peer
    Path(state.nodes[0].home, "node.toml").write_bytes(old[0])
    state = read_state(tmp_path / "net")
    assert state.nodes[1].peer == f"127.0.0.1:{peer}"
    assert move_ports(state) == []
    assert state.nodes[1].peer == moved
    genesis = parse_genesis(Path(state.genesis).read_bytes())
    first = load_config(NodeHome(Path(state.nodes[0].home)))
    assert first.endpoints_by_replica(genesis) == {1: moved}


def test_a_devnet_that_runs_keeps_its_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened beside itself it finds its ports taken: by its own nodes."""
    state = create_devnet(Layout(tmp_path / "net", 2))
    home = Path(state.nodes[1].home)
    files = [tmp_path / "net/devnet.json", *(Path(node.home) / "node.toml" for node in state.nodes)]
    before = [file.read_bytes() for file in files]
    said: list[str] = []
    monkeypatch.setattr(cli.devnet, "STOP_S", 0.1)
    api = int(state.nodes[1].api.rpartition(":")[2])
    with closing(DiskDirectory(home)) as held, socket.create_server(("127.0.0.1", api)):
        held.lock(LOCK_FILE)
        with pytest.raises(Failure) as refused:
            open_devnet(Layout(tmp_path / "net", 2), said.append)
    holder = f"{home} is in use by process {os.getpid()} "
    assert refused.value.english.startswith(holder)
    assert refused.value.english.endswith("; stop it first. Nothing was changed.")
    assert [line.startswith(holder) for line in said] == [True]
    assert said[0].endswith("; waiting for its end. 目录被占用，等待其结束。")
    assert [file.read_bytes() for file in files] == before


def test_what_a_killed_devnet_leaves_behind_is_waited_for(tmp_path: Path) -> None:
    state = create_devnet(Layout(tmp_path / "net", 2))
    said: list[str] = []
    with closing(DiskDirectory(Path(state.nodes[0].home))) as held:
        held.lock(LOCK_FILE)

        def hear(sentence: str) -> None:
            said.append(sentence)
            held.close()

        opened = open_devnet(Layout(tmp_path / "net", 2), hear)
    assert opened == state
    assert [line.endswith("; waiting for its end. 目录被占用，等待其结束。") for line in said] == [
        True
    ]


def test_ports_in_a_row_that_are_taken_are_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Failure, match=f"Port {port} of 127.0.0.1 is in use"):
            choose_ports(2, port)
    with pytest.raises(Failure, match="--base-port 65535 leaves no 8 ports"):
        choose_ports(8, 65_535)


def test_a_chosen_port_is_nobody_elses_until_its_server_listens() -> None:
    """Two devnets made at once took the same port: one node could not start."""
    (port,) = choose_ports(1, 0)
    other = "from cli.devnet_addresses import hold; import sys; sys.exit(hold(int(sys.argv[1])))"
    run = [sys.executable, "-c", other, str(port)]
    assert subprocess.run(run, check=False).returncode == 0
    assert port not in choose_ports(100, 0)
    with socket.create_server(("127.0.0.1", port)) as server:
        assert subprocess.run(run, check=False).returncode == 0
        with socket.create_connection(server.getsockname()):
            pass
    choose_ports(HELD_MAX, 0)
    assert subprocess.run(run, check=False).returncode == 1
