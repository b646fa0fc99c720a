"""Two processes with the identity of one institution, each with a disk of its own.

So it comes about: an operator sets up a standby behind a forwarder that knows both, and both run.
Each of them keeps every rule; together they may contradict themselves. The others go on, and nobody
but that institution is ever named. Whether it is depends on whose connection stands when: a peer
keeps only the newest of an identity, so the two cannot speak to it at once, and mostly lose their
turns (what is seen when they do contradict themselves is in `tests/sim/test_liars.py`).
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from cli.devnet_addresses import choose_ports
from tests.system.networks import running_network
from tests.system.test_liars import check_honest_agree, commit_through, convicted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("twins"),
    pytest.mark.skipif(not os.environ.get("CAMPAIGN"), reason="a longer run: CAMPAIGN=1"),
]


@contextmanager
def forwarding(port: int, ports: Sequence[int]) -> Iterator[None]:
    """Carry every connection to `port` on to one of `ports`, in turn."""
    listener = socket.create_server(("127.0.0.1", port))

    carriers: list[threading.Thread] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def carry(near: socket.socket, to: int) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", to)) as far:
            back = threading.Thread(target=pump, args=(far, near))
            back.start()
            pump(near, far)
            back.join()

    def accept() -> None:
        for to in itertools.cycle(ports):
            try:
                near, _ = listener.accept()
            except OSError:
                return  # closed: the test is over
            carriers.append(threading.Thread(target=carry, args=(near, to)))
            carriers[-1].start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for ended in (thread, *carriers):
            ended.join()


def move(home: Path, old: Sequence[str], new: Sequence[int]) -> None:
    """Have a node listen on other ports."""
    config = home / "node.toml"
    text = config.read_text()
    for before, after in zip(old, new, strict=True):
        assert f"127.0.0.1:{before}" in text
        text = text.replace(f"127.0.0.1:{before}", f"127.0.0.1:{after}")
    config.write_text(text)


def test_twins_stop_nobody_and_nobody_else_is_named(tmp_path: Path) -> None:
    directory, number, honest = tmp_path / "net", 3, [0, 1, 2]
    with running_network(directory) as network:
        devnet = network.devnet
        node = devnet.state.nodes[number]
        devnet.stop([number])
        endpoint = network.genesis.institutions[number].endpoints.peer
        public, api = endpoint.rpartition(":")[2], node.api.rpartition(":")[2]
        home, second = Path(node.home), tmp_path / "second"
        shutil.copytree(home, second)
        first_peer, second_peer, second_api = choose_ports(3, 0)
        move(home, [public], [first_peer])
        move(second, [public, api], [second_peer, second_api])
        begin = max(network.heights_of(honest))
        with (
            forwarding(int(public), [first_peer, second_peer]),
            open(tmp_path / "log", "wb") as log,
        ):
            devnet.start([number])
            twin = subprocess.Popen(
                devnet.command(msgspec.structs.replace(node, home=str(second))),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                process_group=0,
                env=devnet.environment(node),
            )
            try:
                commit_through(network, honest, 40)
                check_honest_agree(network, honest)
                name = network.genesis.institutions[number].id
                assert set(convicted(network, 0, begin)) <= {name}
                assert [twin.poll(), devnet.process(number).poll()] == [None, None]
            finally:
                twin.kill()
                twin.wait()
                if twin.stdin is not None:
                    twin.stdin.close()
                devnet.stop([number])
        place = network.settle(0, network.opening()[1])
        network.wait_level(int(str(place["height"])), honest)
