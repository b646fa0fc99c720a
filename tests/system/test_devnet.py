"""Four real processes on loopback: what is promised holds when they are killed.

The processes are this test's own children; only they are ever killed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from cli.client import ApiError, Client, Unreachable
from cli.drafts import Draft, complete_body
from cli.failure import Failure
from cli.main import main
from ledger.canonical import encode_canonical
from ledger.receipt import decode_receipt, verify_receipt
from ledger.signing import SeedSigner
from ledger.transaction import sign_transaction
from node.build_hash import compute_build, find_own_root
from tests.ledger import independent_c2sp
from tests.system.networks import (
    PATIENCE_S,
    Network,
    now_ms,
    running_network,
    verify_offline,
    wait_recovered,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("devnet")]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running_network(tmp_path_factory.mktemp("net") / "net") as running:
        yield running


def test_a_transaction_is_committed_and_certified(network: Network) -> None:
    tx_id, envelope = network.opening()
    place = network.settle(0, envelope, "certified")
    assert (place["tx_id"], place["status"], place["certified"]) == (tx_id, "applied", True)


def test_the_same_transaction_at_every_node_has_one_position(network: Network) -> None:
    _, envelope = network.opening()
    places = [network.settle(replica, envelope) for replica in (2, 0, 1, 3)]
    assert len({(place["height"], place["index"]) for place in places}) == 1


def test_two_nodes_given_the_same_transaction_at_once_record_it_once(network: Network) -> None:
    tx_id, envelope = network.opening()
    with network.client(0) as one, network.client(1) as other:
        one.post(envelope)
        other.post(envelope)
    place = network.settle(3, envelope)
    network.wait_level(int(str(place["height"])))
    blocks = network.check_same_chain()
    assert [tx_id in str(block["transactions"]) for block in blocks].count(True) == 1


def test_a_body_the_contract_refuses_is_recorded(network: Network) -> None:
    _, envelope = network.sign(
        Draft("prepaid.consume", {"amount": 1}, "contract/nowhere", "nowhere-1", ["m-yoga"])
    )
    place = network.settle(1, envelope)
    assert (place["status"], place["code"]) == ("refused", "unknown_contract")


def test_a_reference_used_again_with_another_body_is_recorded_as_refused(network: Network) -> None:
    reference = f"receipt-{secrets.token_hex(8)}"
    places = []
    for replica, amount in ((0, 1), (2, 2)):
        draft = Draft("prepaid.consume", {"amount": amount}, "contract/none", reference, ["m-yoga"])
        places.append(network.settle(replica, network.sign(draft)[1]))
    assert [place["code"] for place in places] == ["unknown_contract", "reference_reused"]


def test_an_institution_registers_a_merchant_with_the_key_sealed_in_its_home(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = network.devnet.state.nodes[1]
    merchant = SeedSigner(secrets.token_bytes(32))
    party = f"m-{secrets.token_hex(6)}"
    draft = {
        "kind": "party.register",
        "stream": f"party/{party}",
        "reference": f"register-{party}",
        "signers": [node.id],
        "data": {"party": party, "role": "merchant", "keys": [merchant.public_key.hex()]},
    }
    file = tmp_path / "register.json"
    file.write_text(json.dumps(draft))
    arguments = ["submit", str(file), "--api", node.api, "--home", node.home]
    assert main([*arguments, "--authority", network.devnet.state.authority]) == 0
    assert "1 applied, 0 recorded as refused, 0 not taken in." in capsys.readouterr().out
    network.wait_level(*network.heights_of([1]))  # applied there, and elsewhere a moment later
    body = complete_body(
        Draft("prepaid.consume", {"amount": 1}, "contract/none", "1", [party]),
        now_ms() + 60_000,
        {},
    )
    envelope = sign_transaction(body, network.genesis.chain_id, [merchant])
    assert network.settle(3, envelope)["code"] == "unknown_contract", "the key is not known"


def test_an_intake_receipt_is_a_promise_signed_by_its_institution(network: Network) -> None:
    tx_id, envelope = network.opening()
    with network.client(1) as client:
        answer = client.post(envelope)
    assert (answer["status"], answer["tx_id"]) == ("accepted", tx_id)
    receipt = decode_receipt(encode_canonical(answer["receipt"]))
    validator = network.genesis.validators[1]
    verify_receipt(receipt, network.genesis.chain_id, validator.party_key)
    assert (receipt.tx_id.hex(), receipt.node) == (tx_id, validator.id)
    place = network.settle(2, envelope)
    assert int(str(place["height"])) <= receipt.height_max


def test_every_institution_states_its_platform(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = network.devnet.directory
    assert main(["platform", "--devnet", str(folder), "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    build = compute_build(find_own_root())
    assert shown.count("signature good 签名有效") == shown.count(f"build hash {build.sha256}") == 4
    assert shown.count("The build hash is that of the source here.") == 4
    files = sorted(tmp_path.glob("*.platform.json"))
    trust = ["--genesis", network.devnet.state.genesis]
    trust += ["--genesis-hash", network.devnet.state.genesis_hash]
    assert main(["platform", *map(str, files), *trust]) == 0
    with network.client(0) as client:
        tx_id, envelope = network.opening()
        network.settle(0, envelope, "certified")
        (tmp_path / "plain.json").write_bytes(client.evidence(tx_id))
    into = ["proof", "platform", str(tmp_path / "plain.json"), "-o", str(tmp_path / "full.json")]
    given = [word for file in files[1:] for word in ("--statement", str(file))]
    assert main([*into, *given, "--devnet", str(folder)]) == 0
    verified = verify_offline(tmp_path / "full.json", network.devnet.state.genesis_hash)
    assert verified.returncode == 0, verified.stdout
    assert "4 platform statements with good signatures." in " ".join(verified.stdout.split())
    files[0].write_bytes(files[0].read_bytes().replace(b'"mode":"normal"', b'"mode":"narmol"'))
    capsys.readouterr()
    assert main(["platform", str(files[0]), *trust]) == 1
    assert f"REFUSED 不予采信 {files[0]}: platform statement: the signature of" in (
        capsys.readouterr().out
    )


def test_a_wrong_signature_is_refused_by_name(network: Network) -> None:
    _, envelope = network.opening()
    with network.client(1) as client, pytest.raises(ApiError) as refused:
        client.post(envelope[:-10] + bytes([envelope[-10] ^ 1]) + envelope[-9:])
    assert (refused.value.http_status, refused.value.reason) == (403, "bad_signature")


def test_evidence_of_any_node_verifies_without_a_network(network: Network, tmp_path: Path) -> None:
    tx_id, envelope = network.opening()
    network.settle(0, envelope, "certified")
    genesis_hash = network.devnet.state.genesis_hash
    for replica in network.replicas:
        with network.client(replica) as client:
            network.settle(replica, envelope, "certified")
            raw = client.evidence(tx_id)
        file = tmp_path / f"{replica}.evidence.json"
        file.write_bytes(raw)
        result = verify_offline(file, genesis_hash)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "Conclusion: consistent" in result.stdout
    other = "0" * 64
    assert verify_offline(tmp_path / "0.evidence.json", other).returncode == 1


def vkey(name: str, kind: int, public_key: str) -> str:
    """A verifier key as C2SP signed-note writes it."""
    material = bytes([kind]) + bytes.fromhex(public_key)
    key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(material).decode()}"


def policy_of(genesis: bytes) -> tuple[str, str]:
    """Return (origin, tlog-policy) as docs/FORMATS.md makes them from a genesis document's text."""
    document = json.loads(genesis)
    chain_id = hashlib.sha256(b"evidence-ledger/v1/chain-id\0" + genesis).hexdigest()
    origin = f"{document['network']}/{chain_id[:16]}"
    members = document["institutions"]
    names = [member["id"] for member in members]
    lines = [f"log {vkey(origin, 1, member['keys']['log'])}" for member in members]
    for name, member in zip(names, members, strict=True):
        lines.append(f"witness {name} {vkey(f'{origin}/{name}', 4, member['keys']['cosign'])}")
    lines += [f"group quorum 3 {' '.join(names)}", "quorum quorum", ""]
    return origin, "\n".join(lines)


def test_a_reader_written_from_the_texts_follows_the_log_to_its_root(network: Network) -> None:
    """Checkpoint, every tile and a proof, by `tests/ledger/independent_c2sp.py` alone."""
    group = [network.opening() for _ in range(300)]  # more than one tile at the lowest level
    with network.client(0) as client:
        client.post_batch([envelope for _, envelope in group])
        for _, envelope in group:  # a later one may be decided sooner, by way of another node
            client.settle(envelope, "committed")
    tx_id, envelope = group[-1]
    place = network.settle(2, envelope, "certified")
    origin, policy = policy_of(Path(network.devnet.state.genesis).read_bytes())
    for replica in network.replicas:
        network.settle(replica, envelope, "certified")
        with network.client(replica) as client:
            checkpoint = client._get("/checkpoint").content
            fetched: list[str] = []

            def get(url: str, client: Client = client, fetched: list[str] = fetched) -> bytes:
                fetched.append(url)
                return client._get(url).content

            name, size, signed_root = independent_c2sp.read_checkpoint(checkpoint)
            root, entries = independent_c2sp.read_log(size, get)
            proof = client.proof(tx_id)
        assert (name, root) == (origin, signed_root)
        assert {"/tile/0/000", "/tile/1/000.p/1", "/tile/entries/000"} <= set(fetched)
        logs, quorum = independent_c2sp.read_policy(policy)
        words = [line.split() for line in policy.splitlines()]
        witnesses = [line[2] for line in words if line[0] == "witness"]
        assert independent_c2sp.signers_of(checkpoint, logs)
        assert quorum(set(independent_c2sp.signers_of(checkpoint, witnesses)))
        found = independent_c2sp.check_proof(proof, entries[int(str(place["index"]))], policy)
        assert found["index"] == place["index"]
        assert msgpack.unpackb(envelope)[0] in entries[found["index"]]
        with pytest.raises(independent_c2sp.Wrong, match="root"):
            independent_c2sp.check_proof(proof, entries[0], policy)
        with network.client(replica) as client:
            block = client.block(int(str(place["height"])))
        # The block's time is not after the moment by which its tree is said to have existed.
        assert found["times"][1] * 1000 >= block["header"]["time_ms"]


def test_a_history_of_any_node_is_complete(network: Network, tmp_path: Path) -> None:
    _, envelope = network.opening()
    place = network.settle(0, envelope)
    contract = str(place["stream"]).removeprefix("contract/")
    stream = f"contract/{contract}"
    for number in range(3):
        data = {"amount": 100 + number}
        _, paid = network.sign(Draft("prepaid.prepay", data, stream, f"{contract}-{number}",
                                     ["m-yoga"]))  # fmt: skip
        network.settle(number, paid, "certified")
    with network.client(3) as client:
        file = tmp_path / "history.json"
        network.settle(3, paid, "certified")
        file.write_bytes(client.history(contract))
    result = verify_offline(file, network.devnet.state.genesis_hash)
    assert result.returncode == 0, result.stdout
    assert "12  ok" in result.stdout


DOWN_S = 0.1
"""A submitter whose node does not answer pauses so long, or it would take the processor."""


class Load:
    """Submits to every node until told to stop; remembers what it was told."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._stop = threading.Event()
        self.committed: dict[str, tuple[object, object]] = {}
        self.promised: dict[str, bytes] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(replica,)) for replica in network.replicas
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, replica: int) -> None:
        with self._network.client(replica, patience_s=0) as client:
            while not self._stop.is_set():
                group = [self._network.opening() for _ in range(8)]
                try:
                    answers = client.post_batch([envelope for _, envelope in group])["results"]
                    for (tx_id, envelope), answer in zip(group, answers, strict=True):
                        if "accepted" in answer:
                            self.promised[tx_id] = envelope
                    tx_id, envelope = group[-1]
                    place = client.post(envelope, "committed", 5)
                except (Unreachable, ApiError):
                    self._stop.wait(DOWN_S)
                    continue
                if place["status"] == "applied":
                    self.committed[tx_id] = (place["height"], place["index"])

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_committed(self, count: int) -> None:
        """Wait until so many were reported committed since this was begun."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.committed) < count:
            assert time.monotonic() < deadline, f"{len(self.committed)} of {count} are committed"
            time.sleep(0.05)


def test_every_proof_of_a_node_verifies_without_a_network(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fetched as people fetch them; a promise that was kept is no omission."""
    opened, envelope = network.opening()
    with network.client(1) as client:
        answer = client.post(envelope)
    place = network.settle(0, envelope, "certified")
    stream = str(place["stream"])
    contract = stream.removeprefix("contract/")
    receipt, sent = tmp_path / "receipt.json", tmp_path / "sent.bin"
    receipt.write_text(json.dumps(answer))
    sent.write_bytes(envelope)
    promised = int(answer["receipt"]["height_max"])
    number, newest, newest_envelope = 0, place, envelope
    while int(str(newest["height"])) <= promised:
        number += 1
        draft = Draft("prepaid.prepay", {"amount": 10}, stream, f"{contract}-{number}", ["m-yoga"])
        newest_envelope = network.sign(draft)[1]
        newest = network.settle(number % 4, newest_envelope)
    network.settle(0, newest_envelope, "certified")
    until = str(newest["time_ms"])
    asked = (
        ("consistency", str(place["height"]), str(newest["height"])),
        ("state", "contract/nobody-named-it"),
        ("window", contract, "--from", str(place["time_ms"]), "--until", until, "--kind",
         "prepaid.consume"),
        ("balance", contract, "--until", until, "--stated", str(10 * (number - 1))),
        ("terms", contract, "--at", until),
        ("attestation", contract, opened),
        ("omission", contract, "--receipt", str(receipt), "--envelope", str(sent)),
    )  # fmt: skip
    home = str(Path(network.devnet.state.nodes[0].home).parent)
    for words in asked:
        if words[0] == "terms":
            network.settle(1, network.sign(
                Draft("prepaid.prepay", {"amount": 1}, stream, f"{contract}-last", ["m-yoga"])
            )[1], "certified")  # fmt: skip
        file = tmp_path / f"{words[0]}.json"
        status = main(["proof", *words, "--devnet", home, "-o", str(file)])
        assert status == 0, capsys.readouterr().err
        result = verify_offline(file, network.devnet.state.genesis_hash)
        if words[0] == "omission":
            assert result.returncode == 1
            assert f"the promise of height {promised} was kept." in result.stdout
        else:
            assert result.returncode == 0, result.stdout
            assert "18  ok" in result.stdout


def check_kept(network: Network, load: Load) -> None:
    """Check that every promise is kept, nothing committed is lost or moved, nothing is twice."""
    with network.client(1) as client:
        for tx_id, envelope in load.promised.items():
            # By the nodes themselves: nothing is posted again here.
            place = wait_for_position(client, tx_id)
            assert place["status"] == "applied", (tx_id, envelope.hex())
    network.wait_level(max(network.heights()))
    recorded = [tx_id for block in network.check_same_chain() for tx_id in block["transactions"]]  # type: ignore[attr-defined]
    assert len(recorded) == len(set(recorded)), "a transaction stands on the chain twice"
    with network.client(2) as client:
        for tx_id, (height, index) in load.committed.items():
            place = client.position(tx_id)
            assert place is not None, f"{tx_id} was reported committed and is lost"
            assert (place["height"], place["index"]) == (height, index)


def test_each_killed_under_load_in_turn_stops_nobody_and_comes_back_to_the_same(
    network: Network,
) -> None:
    """Each is the primary of every fourth height, so every role is met; moments are the load's."""
    tx_id, envelope = network.opening()
    place = network.settle(0, envelope)
    load = Load(network)
    try:
        for replica in network.replicas:
            load.wait_committed(len(load.committed) + 3)
            network.devnet.kill(replica)
            load.wait_committed(len(load.committed) + 6)
            network.devnet.start([replica])
            network.devnet.wait_ready([replica])
    finally:
        load.stop()
    check_kept(network, load)
    for replica in network.replicas:  # all of them restarted since it was submitted
        assert network.settle(replica, envelope)["index"] == place["index"], tx_id


def test_all_killed_under_load_lose_nothing_and_repeat_nothing(network: Network) -> None:
    load = Load(network)
    try:
        load.wait_committed(12)
        for replica in network.replicas:
            network.devnet.process(replica).kill()
    finally:
        load.stop()
    for replica in network.replicas:
        network.devnet.kill(replica)
    network.devnet.start()
    network.devnet.wait_ready()
    check_kept(network, load)


def wait_for_position(client: Client, tx_id: str) -> dict[str, object]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        place = client.position(tx_id)
        if place is not None and place["status"] != "pending":
            return place
        assert time.monotonic() < deadline, f"the promise of {tx_id} is not kept: {place}"
        time.sleep(0.05)


def test_a_running_node_is_named_to_whoever_wants_its_home(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    home = network.devnet.state.nodes[2].home
    pid = network.devnet.process(2).pid
    command = (
        f"process {pid} ({sys.executable} -P -m cli node run --home {home} --until-stdin-closes)"
    )
    said = f"{home} is in use by {command}; stop it first.\n{home} 正被占用；请先停止该进程。\n"
    for arguments in (["recover", "--reason", "a try"], ["backup", "--output", "/nowhere/b.tar"]):
        assert main(["node", *arguments, "--home", home]) == 1
        assert capsys.readouterr().err == said
    assert main(["inspect", "--home", home]) == 1
    assert capsys.readouterr().err == said
    assert not (Path(home) / "RECOVER").exists()


def test_a_node_that_is_told_to_stop_ends_in_order(network: Network) -> None:
    process = network.devnet.process(1)
    network.devnet.stop([1])
    assert process.returncode == 0
    assert "stopping" not in Path(network.devnet.state.nodes[1].log).read_text("utf-8")
    network.devnet.start([1])
    network.devnet.wait_ready([1])


def test_a_node_that_dies_is_said_with_its_log(network: Network) -> None:
    network.devnet.process(3).kill()
    network.devnet.process(3).wait()
    with pytest.raises(Failure, match=r"^Node district-a \(replica 3\) was killed by signal 9\.\n"):
        network.devnet.check_alive()
    network.devnet.kill(3)
    network.devnet.start([3])
    network.devnet.wait_ready([3])


def test_an_old_journal_put_under_a_newer_chain_does_not_vote_until_recovered(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody restores `journal/` from a copy of files: the rest of the home is the newest."""
    devnet = network.devnet
    home = Path(devnet.state.nodes[3].home)
    devnet.stop([3])
    old = Path(shutil.copytree(home / "journal", home.with_name("old-journal")))
    devnet.start([3])
    devnet.wait_ready([3])
    for _ in range(3):
        place = network.settle(0, network.opening()[1])
        network.wait_level(int(str(place["height"])))
    devnet.stop([3])
    shutil.rmtree(home / "journal")
    shutil.copytree(old, home / "journal")
    devnet.start([3])
    said = "the vote journal is older than the chain: it ends at height "
    with pytest.raises(Failure, match=said) as failed:
        devnet.wait_ready([3])
    assert failed.value.english == "Node district-a (replica 3) ended with status 1."
    assert "`evidence-ledger node recover`" in str(failed.value)
    devnet.kill(3)
    assert main(["inspect", "--home", str(home)]) == 1
    assert f"DAMAGED  votes and chain: {home}/journal: {said}" in capsys.readouterr().out
    assert main(["node", "recover", "--home", str(home), "--reason", "an old journal"]) == 0
    devnet.start([3])
    devnet.wait_ready([3])
    wait_recovered(network, home)
    assert (home / "journal" / "votes.damaged-1").exists()
    network.check_same_chain()


def test_a_node_restored_from_a_backup_recovers_and_votes_again(
    network: Network, tmp_path: Path
) -> None:
    """Its votes since the backup are forgotten: it must come back through recovery."""
    devnet = network.devnet
    home = Path(devnet.state.nodes[3].home)
    devnet.kill(3)
    backup = tmp_path / "backup.tar"
    # A killed node may have a block in its segments that is not applied; a start settles that.
    devnet.start([3])
    devnet.wait_ready([3])
    devnet.stop([3])
    assert main(["node", "backup", "--home", str(home), "-o", str(backup)]) == 0
    for name in ("segments", "index", "journal", "spool"):
        shutil.rmtree(home / name)
    assert main(["node", "restore", str(backup), "--home", str(home)]) == 0
    places = [network.settle(0, network.opening()[1]) for _ in range(3)]
    devnet.start([3])
    devnet.wait_ready([3])
    network.wait_level(max(int(str(place["height"])) for place in places))
    wait_recovered(network, home)
    # With one of the others gone the network needs its vote.
    devnet.kill(0)
    assert network.settle(3, network.opening()[1])["status"] == "applied"
    devnet.start([0])
    devnet.wait_ready([0])
    network.wait_level(max(network.heights()))
    network.check_same_chain()
