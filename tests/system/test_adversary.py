"""What an outsider may try on four real processes: bad signatures, bytes, files, tokens, sockets.

Seeds are fixed; only this test's own processes are ever touched. What is known not to hold yet is
marked `xfail` with the promise it breaks; whoever mends it removes the mark.
"""

from __future__ import annotations

import contextlib
import random
import re
import resource
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgpack
import nacl.signing
import pytest

from cli.client import ApiError, make_context
from cli.drafts import Draft, complete_body
from cli.main import main
from ledger.signing import SeedSigner
from ledger.transaction import sign_batch, sign_transaction
from node.descriptors import count_own
from tests.leveldb import needs_leveldb
from tests.system.networks import Network, flip, now_ms, running_network
from verifier.main import main as verify

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("adversary")]

Sig = list[object]
MSGPACK = {"Content-Type": "application/msgpack"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running_network(tmp_path_factory.mktemp("adversary") / "net") as running:
        yield running


def open_http(network: Network, replica: int = 0) -> httpx.Client:
    state = network.devnet.state
    node = state.nodes[replica]
    context = make_context(node.api, Path(state.authority))
    return httpx.Client(base_url=node.api, verify=context, trust_env=False, timeout=None)


def post_status(network: Network, replica: int, envelope: bytes) -> int:
    """Post; return the status, 599 for a refusal that names no reason."""
    with network.client(replica, patience_s=0) as client:
        try:
            client.post(envelope)
        except ApiError as error:
            return error.http_status if error.reason else 599
        return 200


def spoil(body: bytes, signatures: list[Sig], donor: list[Sig]) -> dict[str, list[Sig]]:
    """Signatures that must not pass for this body; `donor` signed another one."""
    key, signature, _ = signatures[0]
    assert isinstance(signature, bytes)
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    found = {
        "none": [],
        "added": [*signatures, signatures[0]],
        "garbage": [[key, bytes(64), None], *signatures[1:]],
        "a bit flipped": [[key, flipped, None], *signatures[1:]],
        "of another body": [donor[0], *signatures[1:]],
        "as a batch of one": [[key, signature, [0, 1, []]], *signatures[1:]],
        "a path too many": [[key, signature, [0, 2, [bytes(32)]]], *signatures[1:]],
        "an impossible index": [[key, signature, [9, 2, [bytes(32)]]], *signatures[1:]],
    }
    if len(signatures) > 1:
        found["stripped"] = signatures[:1]
    return found


@pytest.mark.parametrize("is_on_chain", [False, True], ids=["unknown body", "body on chain"])
def test_spoilt_signatures_never_pass(network: Network, is_on_chain: bool) -> None:
    _, envelope = network.opening()
    _, other = network.opening()
    if is_on_chain:
        place = network.settle(0, envelope)
        network.wait_level(int(str(place["height"])))
    body, signatures = msgpack.unpackb(envelope)
    for name, wrong in spoil(body, signatures, msgpack.unpackb(other)[1]).items():
        for replica in (0, 2):
            status = post_status(network, replica, msgpack.packb([body, wrong]))
            assert 400 <= status < 500, (name, replica, status)


def test_a_tampered_batch_path_never_passes(network: Network) -> None:
    signer = network._signers["m-yoga"]
    drafts = [
        Draft("prepaid.consume", {"amount": 1}, "contract/none", secrets.token_hex(8), ["m-yoga"])
        for _ in range(3)
    ]
    bodies = [complete_body(draft, now_ms() + 600_000, {}) for draft in drafts]
    envelopes = sign_batch(bodies, network.genesis.chain_id, signer)
    places = [network.settle(replica, envelopes[0]) for replica in (0, 1)]
    assert places[0]["index"] == places[1]["index"]
    body, ((key, signature, (index, size, path)),) = msgpack.unpackb(envelopes[0])
    for batch in (
        [index, size, path[:-1]],
        [index, size, [bytes(32), *path[1:]]],
        [index + 1, size, path],
        [index, size + 1, path],
        None,
    ):
        status = post_status(network, 0, msgpack.packb([body, [[key, signature, batch]]]))
        assert 400 <= status < 500, batch


def test_a_body_on_the_chain_is_not_answered_to_a_strangers_key(network: Network) -> None:
    _, envelope = network.opening()
    place = network.settle(0, envelope)
    network.wait_level(int(str(place["height"])))
    body = msgpack.unpackb(envelope)[0]
    stranger = SeedSigner(bytes(nacl.signing.SigningKey.generate()))
    forged = sign_transaction(body, network.genesis.chain_id, [stranger])
    assert 400 <= post_status(network, 0, forged) < 500


def test_every_receipt_is_kept_or_not_given(network: Network) -> None:
    signer = network._signers["m-yoga"]
    promised = []
    with network.client(1, patience_s=0) as client:
        for number in range(12):
            draft = Draft("prepaid.consume", {"amount": 1}, "contract/none",
                          f"short-{number}-{secrets.token_hex(4)}", ["m-yoga"])  # fmt: skip
            body = complete_body(draft, now_ms() + 12, {})
            with contextlib.suppress(ApiError):
                answer = client.post(sign_transaction(body, network.genesis.chain_id, [signer]))
                promised.append(str(answer["tx_id"]))
        network.settle(1, network.opening()[1])
        time.sleep(1)
        network.settle(1, network.opening()[1])
        states = [client.position(tx_id) for tx_id in promised]
    lost = [one for one in states if one is None or one["status"] == "pending"]
    assert not lost, f"{len(lost)} of {len(promised)} promises are not kept"


def mutate(chance: random.Random, raw: bytes) -> bytes:
    bytes_ = bytearray(raw)
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(bytes_))
        match chance.randrange(4):
            case 0:
                bytes_[at] ^= 1 << chance.randrange(8)
            case 1:
                bytes_[at] = chance.choice([0, 255, 0x7F, 0x80, 0x5B, 0x22, 0xC1, 0xDD, 0xC6])
            case 2:
                del bytes_[at : at + chance.randrange(1, 6)]
            case _:
                bytes_[at:at] = chance.randbytes(chance.randrange(1, 6))
    return bytes(bytes_)


def resident_bytes(network: Network, replica: int) -> int:
    pages = Path(f"/proc/{network.devnet.process(replica).pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def stream_of(size: int) -> Iterator[bytes]:
    """A body whose length is not said beforehand."""
    for _ in range(size // 65536):
        yield bytes(65536)


def test_mutated_input_is_refused_by_name_and_stops_nothing(network: Network) -> None:
    chance = random.Random(20260301)
    signer = network._signers["m-yoga"]
    chain_id = network.genesis.chain_id
    batch: list[bytes] = []
    with open_http(network) as http:
        for number in range(400):
            body, _ = msgpack.unpackb(network.opening()[1])
            if number % 2:  # a mutated body, well signed
                envelope = sign_transaction(mutate(chance, body), chain_id, [signer])
            else:
                envelope = mutate(chance, sign_transaction(body, chain_id, [signer]))
            batch.append(envelope)
            if number % 4 < 2:
                kind = "application/json" if number % 8 == 1 else "application/msgpack"
                answer = http.post(
                    "/v1/transactions", content=envelope, headers={"Content-Type": kind}
                )
                problem = answer.json() if answer.status_code >= 400 else {"reason": "-"}
                assert answer.status_code < 500, (number, answer.text, envelope.hex())
                assert problem["reason"]
        for start in range(0, len(batch), 100):
            part = batch[start : start + 100]
            answer = http.post(
                "/v1/transactions:batch", content=msgpack.packb(part), headers=MSGPACK
            )
            assert answer.status_code == 200
            results = answer.json()["results"]
            assert len(results) == len(part)
            assert all(result["http_status"] < 500 for result in results)
        memory_before = resident_bytes(network, 0)
        for _ in range(40):
            answer = http.post(
                "/v1/transactions:batch", content=stream_of(9 * 1024 * 1024), headers=MSGPACK
            )
            assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
        grown = resident_bytes(network, 0) - memory_before
        assert grown < 100 * 1024 * 1024, f"360 MB of refused bodies left {grown} bytes behind"
        for deep in (b"[" * 100_000, b"\x91" * 100_000, b'{"a":' * 20_000):
            for kind in ("application/json", "application/msgpack"):
                for path in ("/v1/transactions", "/v1/transactions:batch"):
                    answer = http.post(path, content=deep, headers={"Content-Type": kind})
                    assert 400 <= answer.status_code < 500
                    assert answer.json()["reason"]
    place = network.settle(3, network.opening()[1])
    assert place["status"] == "applied"
    network.wait_level(int(str(place["height"])))
    network.check_same_chain()


def test_flipped_bytes_of_evidence_are_never_consistent(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(20260302)
    tx_id, envelope = network.opening()
    place = network.settle(0, envelope, "certified")
    with network.client(0) as client:
        files = [client.evidence(tx_id), client.history(str(place["stream"])[len("contract/") :])]
    genesis_hash = network.devnet.state.genesis_hash
    file = tmp_path / "flipped.json"
    for raw in files:
        file.write_bytes(raw)
        assert verify([str(file), "--genesis-hash", genesis_hash]) == 0
        assert verify([str(file), "--genesis-hash", "0" * 64]) == 1
        for at in [0, len(raw) - 1, *(chance.randrange(len(raw)) for _ in range(60))]:
            flipped = bytearray(raw)
            flipped[at] ^= 1 << chance.randrange(8)
            file.write_bytes(flipped)
            assert verify([str(file), "--genesis-hash", genesis_hash]) in {1, 2}, at
    capsys.readouterr()


@pytest.fixture(scope="module")
def stopped_home(network: Network) -> Iterator[Path]:
    """The home of replica 3, stopped; it starts again afterwards."""
    network.devnet.stop([3])
    network.devnet.start([3])  # opening the index again moves its rows into a table
    network.devnet.wait_ready([3])
    network.settle(3, network.opening()[1])  # so that its spool holds a promise
    place = network.settle(0, network.opening()[1])
    network.wait_level(int(str(place["height"])))
    network.devnet.stop([3])
    yield Path(network.devnet.state.nodes[3].home)
    network.devnet.start([3])
    network.devnet.wait_ready([3])


CHAIN_FILES = ("segments/*.segment", "journal/votes", "journal/pending-*")
INDEX_FILES = ("index/*.ldb", "index/*.log", "index/MANIFEST-*", "index/CURRENT")
"""Of LevelDB; those of RocksDB have their test in `test_rocksdb.py`."""


@pytest.mark.parametrize("share", [0.0, 0.37, 1.0])
@pytest.mark.parametrize(
    "pattern",
    [*CHAIN_FILES, *[pytest.param(pattern, marks=needs_leveldb) for pattern in INDEX_FILES]],
)
def test_a_flipped_byte_is_named(
    stopped_home: Path,
    tmp_path: Path,
    pattern: str,
    share: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = flip(stopped_home, tmp_path / "home", pattern, share)
    assert main(["inspect", "--home", str(tmp_path / "home")]) == 1
    said = capsys.readouterr().out
    assert "DAMAGED" in said
    assert name in said


def test_a_flipped_byte_of_the_spool_is_told_by_inspect(
    stopped_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(stopped_home, tmp_path / "home", "spool/spool-*", 1.0)
    assert main(["inspect", "--home", str(tmp_path / "home")]) == 1
    assert "DAMAGED" in capsys.readouterr().out


def test_inspection_changes_nothing(
    stopped_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "home"
    shutil.copytree(stopped_home, copy)
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    assert main(["inspect", "--home", str(copy)]) == 0
    capsys.readouterr()
    after = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    assert sorted(before) == sorted(after)
    assert before == after


def test_reading_needs_the_proper_token(network: Network) -> None:
    tx_id, envelope = network.opening()
    place = network.settle(0, envelope, "certified")
    contract = str(place["stream"])[len("contract/") :]
    tokens = network.devnet.state.nodes[0].tokens
    closed = [f"/v1/transactions/{tx_id}/evidence", f"/v1/transactions/{tx_id}/entry",
              f"/v1/contracts/{contract}", f"/v1/contracts/{contract}/history"]  # fmt: skip
    bundle = f"/tile/entries/000.p/{min(int(str(place['index'])), 255)}"
    public = ["/v1/genesis", "/v1/status", "/checkpoint", "/v1/blocks/1", "/healthz",
              f"/v1/transactions/{tx_id}", f"/v1/transactions/{tx_id}/proof"]  # fmt: skip
    expected = {"operator": (200, 200), "merchant:m-yoga": (200, 403), "merchant:m-art": (403, 403)}
    with open_http(network) as http:
        for path in public:
            assert http.get(path).status_code == 200, path
        for path in [*closed, bundle]:
            assert http.get(path).status_code == 401, path
            asked = http.get(path, params={"access_token": tokens["operator"]})
            assert asked.status_code in {400, 401}, path
            for token in (network.devnet.state.nodes[1].tokens["operator"], "el1_" + "A" * 43):
                answer = http.get(path, headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 401, path
        for scope, (own, bundles) in expected.items():
            headers = {"Authorization": f"Bearer {tokens[scope]}"}
            assert {http.get(path, headers=headers).status_code for path in closed} == {own}, scope
            assert http.get(bundle, headers=headers).status_code == bundles, scope


def test_idle_connections_leave_descriptors_for_the_node(network: Network) -> None:
    """With none left LevelDB could not open its next file, and the node would stop."""
    process = network.devnet.process(2)
    usual = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    parts = urlsplit(network.devnet.state.nodes[2].api)
    descriptors = Path(f"/proc/{process.pid}/fd")
    used_before = len(list(descriptors.iterdir()))
    places = 512 - count_own(512, peer_count=3, worker_count=0)
    held: list[socket.socket] = []
    try:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (512, usual[1]))
        for number in range(600):
            held.append(socket.create_connection((parts.hostname, parts.port), timeout=5))
            if number % 3 == 0:
                held[-1].sendall(b"\x16\x03\x01\x00")  # the beginning of a TLS record
            if number % 100 == 50:  # those who want something are served meanwhile
                assert network.settle(2, network.opening()[1])["status"] == "applied"
        used = len(list(descriptors.iterdir()))
        # Beside the places: what is being closed just now, and peers that reconnect.
        assert used <= used_before + places + 32, f"{used} of 512 descriptors are in use"
        with open_http(network, 2) as http:
            token = network.devnet.state.nodes[2].tokens["operator"]
            text = http.get("/metrics", headers={"Authorization": f"Bearer {token}"}).text
        assert f"evidence_ledger_api_places {float(places)}\n" in text
        dropped = re.search(r'api_drops_total\{reason="full"\} (\S+)', text)
        assert dropped is not None
        assert float(dropped[1]) >= 500
    finally:
        for one in held:
            one.close()
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, usual)
