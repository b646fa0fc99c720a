"""The transport on real loopback sockets."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger.wire import encode
from node.certificates import make_api_certificate, make_authority
from node.frames import FRAME_BYTES_MAX
from node.peer_link import PROTOCOL, Hello, PeerLink, Pins, Timing
from node.peer_queues import QueueLimits
from node.tls import PeerRefusal, PeerRefused, TlsIdentity, TlsIdentityError, make_contexts
from node.transport import NEWS_BYTES_MAX, Transport
from tests.node_edges.conftest import GUARD_S

Until = Callable[[Callable[[], bool]], Any]


class RawPeer:
    """The dialling side by hand, with the standard library's own TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def dial(
        cls,
        port: int,
        identity: TlsIdentity | None,
        *,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> RawPeer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = version
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key, identity.passphrase)
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    async def frame(self, payload: bytes) -> None:
        self.writer.write(len(payload).to_bytes(4, "big") + payload)
        await self.writer.drain()

    async def hello(self, chain_id: bytes, sender: int, receiver: int) -> None:
        await self.frame(encode(Hello(PROTOCOL, chain_id, sender, receiver)))

    async def answer(self) -> bytes:
        length = int.from_bytes(await self.reader.readexactly(4), "big")
        return await self.reader.readexactly(length)

    async def is_cut(self) -> bool:
        try:
            while await self.reader.read(4096):
                pass
        except OSError:
            pass
        return True

    async def close(self) -> None:
        self.writer.transport.abort()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass


async def test_three_nodes_exchange_frames_in_order(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    trio = [await nodes.start(network, replica) for replica in range(3)]
    await nodes.connect(*trio)
    sent = [f"frame {number}".encode() for number in range(500)]
    for payload in sent:
        assert trio[0].transport.broadcast(payload) == 2
    assert trio[1].transport.send(2, b"to one") is True
    await wait_until(lambda: len(trio[1].frames) == 500 and len(trio[2].frames) == 501)
    assert [payload for sender, payload in trio[1].frames] == sent
    assert {sender for sender, _ in trio[1].frames} == {0}
    assert [payload for sender, payload in trio[2].frames if sender == 0] == sent
    assert (1, b"to one") in trio[2].frames
    assert trio[0].frames == []
    assert set(trio[0].meter.refused) <= {"unreachable"}  # the others were not listening yet
    assert dict(trio[0].peers) == {1: True, 2: True}


async def test_news_reach_every_peer_that_is_here(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    trio = [await nodes.start(network, replica) for replica in range(3)]
    await nodes.connect(*trio)
    assert trio[0].transport.tell(b"news") == 2
    await wait_until(lambda: all((0, b"news") in node.frames for node in trio[1:]))
    with pytest.raises(ValueError, match="at most 65536 go first"):
        trio[0].transport.tell(bytes(NEWS_BYTES_MAX + 1))


async def test_the_largest_frame_arrives_whole(network: Any, nodes: Any, wait_until: Until) -> None:
    one, two = [await nodes.start(network, replica) for replica in (0, 1)]
    await wait_until(lambda: 1 in one.transport.connected)
    payload = random.Random(7).randbytes(FRAME_BYTES_MAX)
    assert one.transport.send(1, payload)
    one.transport.send(1, b"after")
    await wait_until(lambda: len(two.frames) == 2)
    assert two.frames == [(0, payload), (0, b"after")]
    for wrong in (b"", bytes(FRAME_BYTES_MAX + 1)):
        with pytest.raises(ValueError) as caught:
            one.transport.send(1, wrong)
        assert str(caught.value) == f"a payload has 1 to {FRAME_BYTES_MAX} bytes, not {len(wrong)}"


async def test_small_frames_share_writes(network: Any, nodes: Any, wait_until: Until) -> None:
    one, two = [await nodes.start(network, replica) for replica in (0, 1)]
    await wait_until(lambda: 1 in one.transport.connected)
    writes: list[int] = []
    link = one.transport._peers[1].link
    write = link.write
    link.write = lambda data: (writes.append(len(data)), write(data))
    for number in range(1000):
        one.transport.send(1, b"%03d" % number)
    await wait_until(lambda: len(two.frames) == 1000)
    assert [size for size in writes if size > 4] == [7000]


async def test_stranger_is_refused_by_name(
    network: Any, strangers: Any, nodes: Any, wait_until: Until
) -> None:
    node = await nodes.start(network, 0)
    peer = await RawPeer.dial(node.transport.port, strangers.identities[1])
    assert await peer.is_cut()
    await wait_until(lambda: bool(node.refused(PeerRefusal.UNLISTED_CERTIFICATE)))
    (detail,) = node.refused(PeerRefusal.UNLISTED_CERTIFICATE)
    assert "the peer's certificate is not listed in genesis" in detail
    assert node.meter.refused.count("unlisted_certificate") == 1
    await peer.close()


async def test_dialling_a_stranger_is_refused_by_both(
    network: Any, strangers: Any, nodes: Any, wait_until: Until
) -> None:
    ours = await nodes.start(network, 0)
    theirs = await nodes.start(strangers, 1, listen="127.0.0.1:0", endpoints={})
    port = theirs.transport.port
    await nodes.stop(ours)
    ours = await nodes.start(network, 0, endpoints={1: f"127.0.0.1:{port}", 2: "127.0.0.1:1"})
    await wait_until(lambda: bool(ours.refused(PeerRefusal.UNLISTED_CERTIFICATE)))
    await wait_until(lambda: bool(ours.refused(PeerRefusal.UNREACHABLE)))
    assert ours.transport.connected == frozenset()
    assert ours.peers == []


def test_certificate_issued_by_a_pinned_one_is_still_a_strangers(network: Any) -> None:
    now = dt.datetime.now(dt.UTC)
    authority_key, authority = make_authority("pinned", now=now)
    _, leaf = make_api_certificate(authority_key, authority, now=now)
    pins = Pins(network.genesis.chain_id, 1, {authority: 0, network.genesis.certificate(1): 1})
    assert pins.identify(authority) == 0
    with pytest.raises(PeerRefused) as caught:
        pins.identify(leaf)
    assert caught.value.refusal is PeerRefusal.UNLISTED_CERTIFICATE
    assert caught.value.detail == "the peer's certificate is not listed in genesis"


async def test_own_certificate_is_refused(network: Any, nodes: Any, wait_until: Until) -> None:
    node = await nodes.start(network, 0)
    peer = await RawPeer.dial(node.transport.port, network.identities[0])
    assert await peer.is_cut()
    await wait_until(lambda: bool(node.refused(PeerRefusal.OWN_CERTIFICATE)))
    assert node.refused(PeerRefusal.OWN_CERTIFICATE)[0].endswith(
        ": the peer showed this node's own certificate (replica 0)"
    )
    await peer.close()


async def test_dialling_oneself_is_refused(network: Any, nodes: Any, wait_until: Until) -> None:
    own = nodes.reserve(0)
    node = await nodes.start(network, 0, endpoints={1: f"127.0.0.1:{own}", 2: "127.0.0.1:1"})
    await wait_until(lambda: bool(node.refused(PeerRefusal.OWN_CERTIFICATE)))


async def test_no_certificate_is_refused(network: Any, nodes: Any, wait_until: Until) -> None:
    node = await nodes.start(network, 0)
    peer = await RawPeer.dial(node.transport.port, None)
    assert await peer.is_cut()
    await wait_until(lambda: bool(node.refused(PeerRefusal.NO_CERTIFICATE)))
    await peer.close()


async def test_tls_1_2_is_refused(network: Any, nodes: Any, wait_until: Until) -> None:
    node = await nodes.start(network, 0)
    with pytest.raises(ssl.SSLError):
        await RawPeer.dial(
            node.transport.port, network.identities[1], version=ssl.TLSVersion.TLSv1_2
        )
    await wait_until(lambda: bool(node.refused(PeerRefusal.TLS_FAILED)))
    assert "UNSUPPORTED_PROTOCOL" in node.refused(PeerRefusal.TLS_FAILED)[0]


async def test_not_tls_is_refused(network: Any, nodes: Any, wait_until: Until) -> None:
    node = await nodes.start(network, 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", node.transport.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await reader.read()
    await wait_until(lambda: bool(node.refused(PeerRefusal.TLS_FAILED)))
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("sender", "receiver", "chain", "refusal", "sentence"),
    [
        (
            2,
            0,
            None,
            PeerRefusal.WRONG_REPLICA,
            "the peer says it is replica 2; its certificate is replica 1's",
        ),
        (
            1,
            2,
            None,
            PeerRefusal.WRONG_REPLICA,
            "the peer wants replica 2; this is replica 0",
        ),
        (1, 0, bytes(32), PeerRefusal.WRONG_CHAIN, f"the peer is on chain {'00' * 32}; "),
    ],
)
async def test_wrong_hello_is_refused(
    network: Any,
    nodes: Any,
    wait_until: Until,
    sender: int,
    receiver: int,
    chain: bytes | None,
    refusal: PeerRefusal,
    sentence: str,
) -> None:
    node = await nodes.start(network, 0)
    peer = await RawPeer.dial(node.transport.port, network.identities[1])
    await peer.hello(chain or network.genesis.chain_id, sender, receiver)
    assert await peer.is_cut()
    await wait_until(lambda: bool(node.refused(refusal)))
    assert sentence in node.refused(refusal)[0]
    assert [who for who, reason, _ in node.refusals if reason is refusal] == [1]
    await peer.close()


@pytest.mark.parametrize("raw", [b"\x00", b"\x94", encode(["other", b"", 1, 0]), b"\xdc\x00\x04"])
async def test_misshapen_hello_is_refused(
    network: Any, nodes: Any, wait_until: Until, raw: bytes
) -> None:
    node = await nodes.start(network, 0)
    peer = await RawPeer.dial(node.transport.port, network.identities[1])
    await peer.frame(raw)
    assert await peer.is_cut()
    await wait_until(lambda: bool(node.refused(PeerRefusal.BAD_HELLO)))
    assert node.frames == []
    await peer.close()


async def test_huge_frame_is_refused_before_a_byte_of_it_is_taken(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    node = await nodes.start(network, 0)
    peer = await RawPeer.dial(node.transport.port, network.identities[1])
    peer.writer.write((300).to_bytes(4, "big"))  # a stranger may not even send this much
    assert await peer.is_cut()
    await wait_until(lambda: len(node.refused(PeerRefusal.FRAME_TOO_LARGE)) == 1)
    await peer.close()
    peer = await RawPeer.dial(node.transport.port, network.identities[1])
    await peer.hello(network.genesis.chain_id, 1, 0)
    await peer.answer()
    peer.writer.write((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
    assert await peer.is_cut()
    await wait_until(lambda: len(node.refused(PeerRefusal.FRAME_TOO_LARGE)) == 2)
    assert node.refused(PeerRefusal.FRAME_TOO_LARGE)[1].endswith(
        f"a frame of {FRAME_BYTES_MAX + 1} bytes was announced; at most {FRAME_BYTES_MAX} are "
        "taken here"
    )
    await peer.close()


async def test_acceptor_that_sends_frames_is_dropped(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    context, _ = make_contexts(
        network.identities[1],
        network.genesis.certificate(1),
        [network.genesis.certificate(n) for n in range(3)],
    )

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            length = int.from_bytes(await reader.readexactly(4), "big")
            await reader.readexactly(length)
            hello = encode(Hello(PROTOCOL, network.genesis.chain_id, 1, 0))
            writer.write(len(hello).to_bytes(4, "big") + hello + b"\0\0\0\0" + b"\0\0\0\x03bad")
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", nodes.reserve(1), ssl=context)
    node = await nodes.start(network, 0)
    await wait_until(lambda: bool(node.refused(PeerRefusal.UNEXPECTED_FRAME)))
    assert node.refused(PeerRefusal.UNEXPECTED_FRAME)[0].endswith(
        "the peer sent 3 bytes where only heartbeats are taken"
    )
    assert node.frames == []
    await nodes.stop(node)
    server.close()
    await server.wait_closed()


async def test_silent_stranger_and_silent_peer_are_dropped(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    hasty = Timing(connect_s=0.2, retry_first_s=5, retry_max_s=5, beat_s=0.1, silent_beats_max=3)
    node = await nodes.start(network, 0, timing=hasty)
    reader, writer = await asyncio.open_connection("127.0.0.1", node.transport.port)
    assert await reader.read() == b""
    await wait_until(lambda: bool(node.refused(PeerRefusal.HANDSHAKE_TIMEOUT)))
    writer.close()
    await writer.wait_closed()
    peer = await RawPeer.dial(node.transport.port, network.identities[1])
    await peer.hello(network.genesis.chain_id, 1, 0)
    assert await peer.is_cut()
    await wait_until(lambda: bool(node.refused(PeerRefusal.IDLE)))
    await peer.close()


async def test_an_attempt_is_given_up_in_the_moment_in_which_it_succeeds(
    network: Any, nodes: Any, wait_until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a pause of the whole machine: the event loop has closed what was just connected."""
    made = PeerLink.connection_made

    def connect_and_pause(link: PeerLink, transport: asyncio.BaseTransport) -> None:
        made(link, transport)
        time.sleep(0.3)

    monkeypatch.setattr(PeerLink, "connection_made", connect_and_pause)
    mistakes: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: mistakes.append(said))
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", nodes.reserve(1)
    )
    hasty = Timing(connect_s=0.2, retry_first_s=5, retry_max_s=5)
    node = await nodes.start(network, 0, timing=hasty)
    await wait_until(lambda: bool(mistakes or node.refused(PeerRefusal.HANDSHAKE_TIMEOUT)))
    assert mistakes == []
    await nodes.stop(node)
    server.close()
    await server.wait_closed()


async def test_idle_connections_stay_by_their_heartbeats(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    timing = Timing(retry_first_s=0.01, retry_max_s=0.05, beat_s=0.05, silent_beats_max=6)
    one = await nodes.start(network, 0, timing=timing)
    two = await nodes.start(network, 1, timing=timing)
    await wait_until(lambda: bool(one.transport.connected and two.transport.connected))
    await asyncio.sleep(1.0)
    assert one.peers == [(1, True)]
    assert two.peers == [(0, True)]


async def test_too_many_strangers_push_out_the_oldest(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    node = await nodes.start(network, 0)
    port = node.transport.port
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(70)]
    await wait_until(lambda: len(node.refused(PeerRefusal.TOO_MANY_CONNECTIONS)) == 6)
    peer = await RawPeer.dial(port, network.identities[1])  # an honest one still gets in
    await peer.hello(network.genesis.chain_id, 1, 0)
    assert await peer.answer()
    await peer.close()
    for _, writer in silent:
        writer.transport.abort()
    await asyncio.sleep(0)


async def test_a_host_that_floods_pushes_out_its_own_connections(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    """Or whoever can reach the port keeps all peers out, whose handshakes take longer than that."""
    node = await nodes.start(network, 0)
    port = node.transport.port
    slow = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    flood = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
    await wait_until(lambda: len(node.refused(PeerRefusal.TOO_MANY_CONNECTIONS)) == 137)
    dropped = node.refused(PeerRefusal.TOO_MANY_CONNECTIONS)
    assert not [refusal for refusal in dropped if "127.0.0.2" in str(refusal)]
    for _, writer in (slow, *flood):
        writer.transport.abort()
    await asyncio.sleep(0)


async def test_reconnects_after_a_restart(network: Any, nodes: Any, wait_until: Until) -> None:
    one = await nodes.start(network, 0)
    two = await nodes.start(network, 1)
    await wait_until(lambda: 1 in one.transport.connected and 0 in two.transport.connected)
    await nodes.stop(two)
    await wait_until(lambda: 1 not in one.transport.connected)
    assert one.transport.send(1, b"kept", bulk=False) is True
    assert one.transport.send(1, b"refused", bulk=True) is False
    assert one.meter.dropped == {"consensus": 0, "bulk": 1}
    two = await nodes.start(network, 1)
    await wait_until(lambda: two.frames == [(0, b"kept")])
    assert one.peers == [(1, True), (1, False), (1, True)]


async def test_new_connection_of_a_peer_replaces_its_old_one(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    node = await nodes.start(network, 0)
    peers = []
    for _ in range(2):
        peer = await RawPeer.dial(node.transport.port, network.identities[1])
        await peer.hello(network.genesis.chain_id, 1, 0)
        await peer.answer()
        peers.append(peer)
    assert await peers[0].is_cut()
    assert node.refused(PeerRefusal.REPLACED)
    await peers[1].frame(b"still here")
    await wait_until(lambda: node.frames == [(1, b"still here")])
    for peer in peers:
        await peer.close()


async def flood(peer: RawPeer, payload: bytes) -> None:
    frame = len(payload).to_bytes(4, "big") + payload
    lot = frame * max(1, 65536 // len(frame))
    try:
        while True:
            peer.writer.write(lot)
            await peer.writer.drain()
    except OSError:
        pass


@pytest.mark.parametrize("size", [1, 200, 100_000])
async def test_flooding_peer_is_bounded_and_starves_nobody(
    network: Any, nodes: Any, wait_until: Until, size: int
) -> None:
    limits = QueueLimits(inbox_bytes_max=1024 * 1024, inbox_count_max=512)
    held_bytes_max = held_count_max = 0
    counts = {1: 0, 2: 0}

    def on_frame(replica: int, payload: bytes) -> None:
        nonlocal held_bytes_max, held_count_max
        counts[replica] += 1
        inbox = node.transport._inbox
        held_bytes_max = max(held_bytes_max, inbox.held_bytes(1))
        held_count_max = max(held_count_max, len(inbox._frames[1]))

    node = await nodes.start(network, 0, limits=limits, on_frame=on_frame)
    flooder = await RawPeer.dial(node.transport.port, network.identities[1])
    await flooder.hello(network.genesis.chain_id, 1, 0)
    await flooder.answer()
    task = asyncio.create_task(flood(flooder, b"x" * size))
    await wait_until(lambda: counts[1] > 100)
    honest = await nodes.start(network, 2)
    await wait_until(lambda: 0 in honest.transport.connected)
    for number in range(300):
        honest.transport.send(0, b"vote %d" % number)
        await asyncio.sleep(0)
    await wait_until(lambda: counts[2] == 300)
    assert counts[1] > 100
    # One read of a quarter MiB may lie above the bound, plus the frame it completes.
    assert held_bytes_max <= limits.inbox_bytes_max + 256 * 1024 + size
    assert held_count_max <= limits.inbox_count_max + 256 * 1024 // (size + 4) + 1
    task.cancel()
    await asyncio.wait([task])
    await flooder.close()


async def test_held_peer_waits_and_loses_nothing(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    one = await nodes.start(network, 0, limits=QueueLimits(bulk_count_max=20_000))
    two = await nodes.start(
        network, 1, limits=QueueLimits(inbox_bytes_max=100_000, inbox_count_max=64)
    )
    three = await nodes.start(network, 2)
    await nodes.connect(one, two, three)
    two.transport.hold(0)
    sent = [bytes([number % 251]) * 1000 for number in range(10_000)]
    for payload in sent:
        assert one.transport.send(1, payload, bulk=True)
    three.transport.send(1, b"unhindered")
    await wait_until(lambda: two.frames == [(2, b"unhindered")])
    await asyncio.sleep(0.3)
    assert two.transport._inbox.held_bytes(0) <= 100_000 + 256 * 1024 + 1000
    two.transport.release(0)
    await wait_until(lambda: len(two.frames) == 10_001)
    assert [payload for sender, payload in two.frames if sender == 0] == sent


async def test_peer_that_does_not_read_costs_a_bounded_queue(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    limits = QueueLimits(
        consensus_bytes_max=1_000_000, consensus_count_max=100, bulk_bytes_max=1_000_000
    )
    one = await nodes.start(network, 0, limits=limits)
    two = await nodes.start(network, 1, limits=QueueLimits(inbox_bytes_max=1))
    await wait_until(lambda: 1 in one.transport.connected)
    two.transport.hold(0)
    queue = one.transport._peers[1]._queue
    accepted = 0
    for number in range(3000):
        one.transport.send(1, b"c" * 10_000)
        accepted += one.transport.send(1, b"b" * 10_000, bulk=True)
        assert queue.held_bytes <= 2_000_000 + 20_000
        if number % 50 == 0:
            await asyncio.sleep(0.001)
    assert one.meter.dropped["consensus"] > 0
    assert one.meter.dropped["bulk"] == 3000 - accepted > 0


async def test_close_delivers_what_is_queued(network: Any, nodes: Any, wait_until: Until) -> None:
    """Also to a peer that is slow, and whose heartbeats are still coming in.

    Found on a busy machine: they met a closed socket, whose reset took the last frames with it.
    """
    frames: list[int] = []

    def on_frame(replica: int, payload: bytes) -> None:
        time.sleep(0.005)
        frames.append(len(payload))

    one = await nodes.start(network, 0)
    await nodes.start(network, 1, on_frame=on_frame)
    await wait_until(lambda: 1 in one.transport.connected)
    for _ in range(40):
        one.transport.send(1, bytes(500_000))
    await nodes.stop(one, grace_s=GUARD_S)
    await one.transport.close()
    await wait_until(lambda: len(frames) == 40)
    assert one.transport.connected == frozenset()


async def test_close_does_not_wait_for_a_peer_that_never_reads(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    one = await nodes.start(network, 0)
    two = await nodes.start(network, 1, limits=QueueLimits(inbox_bytes_max=1))
    await wait_until(lambda: 1 in one.transport.connected)
    two.transport.hold(0)
    for _ in range(40):
        one.transport.send(1, bytes(500_000))
    await nodes.stop(one, grace_s=0.1)
    assert one.transport.connected == frozenset()


async def test_error_of_the_node_does_not_stop_delivery(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    frames: list[bytes] = []

    def on_frame(replica: int, payload: bytes) -> None:
        if payload == b"bad":
            raise ZeroDivisionError
        frames.append(payload)

    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, what: errors.append(what["exception"])
    )
    one = await nodes.start(network, 0)
    await nodes.start(network, 1, on_frame=on_frame)
    await wait_until(lambda: 1 in one.transport.connected)
    for payload in (b"a", b"bad", b"b"):
        one.transport.send(1, payload)
    await wait_until(lambda: frames == [b"a", b"b"])
    assert [type(error) for error in errors] == [ZeroDivisionError]


def build(network: Any, **changes: Any) -> Transport:
    settings = {
        "replica": 0,
        "genesis": network.genesis,
        "listen": "127.0.0.1:0",
        "tls": network.identities[0],
        "on_frame": lambda replica, payload: None,
    }
    return Transport(**(settings | changes))


async def test_own_certificate_and_key_must_fit(network: Any) -> None:
    with pytest.raises(TlsIdentityError) as caught:
        build(network, tls=network.identities[1])
    assert str(caught.value) == (
        f"{network.identities[1].certificate} is not the certificate genesis lists for this "
        "replica; its peers would refuse it"
    )
    with pytest.raises(TlsIdentityError, match=r"bank-1\.key: not the private key of test-bank-0"):
        build(network, tls=replace(network.identities[0], key=network.identities[1].key))
    with pytest.raises(TlsIdentityError, match="not encrypted with this passphrase"):
        build(network, tls=replace(network.identities[0], passphrase=b"wrong"))
    with pytest.raises(TlsIdentityError, match="no certificate in PEM"):
        build(network, tls=replace(network.identities[0], certificate=network.directory / "none"))
    with pytest.raises(ValueError) as wrong:
        build(network, listen="7443")
    assert str(wrong.value) == 'expected "host:port" or "[address]:port", found "7443"'
    assert "of the tests" not in repr(network.identities[0])


async def test_taken_port_is_an_oserror(network: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        transport = build(network, listen=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(OSError, match="address"):
            await transport.start()
        await transport.close()


async def test_absent_peer_is_dialled_ever_less_often_and_soon_once_it_is_heard_of(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    patient = Timing(retry_first_s=0.02, retry_max_s=60)
    node = await nodes.start(network, 0, timing=patient)
    await asyncio.sleep(1.0)
    # Both peers are absent: 0.02 s doubling makes at most seven attempts each in a second.
    attempts = len(node.refused(PeerRefusal.UNREACHABLE))
    assert 4 <= attempts <= 16
    node.transport._peers[1]._timing = Timing(retry_first_s=0.02, retry_max_s=0.3)
    peer = await RawPeer.dial(node.transport.port, network.identities[1])
    await peer.hello(network.genesis.chain_id, 1, 0)
    await peer.answer()
    await wait_until(lambda: len(node.refused(PeerRefusal.UNREACHABLE)) > attempts)
    # Heard of once, dialled early once: after that the delay is as before.
    attempts = len(node.refused(PeerRefusal.UNREACHABLE))
    await asyncio.sleep(1.0)
    assert len(node.refused(PeerRefusal.UNREACHABLE)) - attempts <= 12
    await peer.close()


async def test_peer_that_this_node_makes_wait_is_not_taken_for_gone(
    network: Any, nodes: Any, wait_until: Until
) -> None:
    timing = Timing(retry_first_s=0.01, retry_max_s=0.05, beat_s=0.1, silent_beats_max=6)
    one = await nodes.start(network, 0, timing=timing)
    two = await nodes.start(network, 1, timing=timing, limits=QueueLimits(inbox_count_max=4))
    await wait_until(lambda: bool(one.transport.connected))
    two.transport.hold(0)
    for number in range(100):
        one.transport.send(1, b"%d" % number)
    await asyncio.sleep(1.5)
    two.transport.release(0)
    await wait_until(lambda: len(two.frames) == 100)
    assert two.refused(PeerRefusal.IDLE) == []
    assert one.peers == [(1, True)]
