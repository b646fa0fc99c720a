"""A real node, and what others' software says to its receipts, keys and time-stamps."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cbor2
import pytest
import scitt_cose
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cwt import COSEKey

from cli.client import ApiError, Client
from cli.main import main
from ledger.checkpoint import verify_cosignature
from ledger.kernel import leaf_hash
from ledger.note import parse_note, parse_signature_line, parse_verifier_key
from ledger.scitt import compute_key_thumbprint
from ledger.tlog_proof import parse_tlog_proof, verify_tlog_proof
from ledger.transaction import decode_transaction
from node.certification import log_trust
from node.home import NodeHome
from node.timestamp_protocol import HashName, is_imprint_of
from tests.outside.authority import OPENSSL, TimestampAuthority, needs_openssl
from tests.outside.test_cose_receipts import public_pem
from tests.system.networks import Network, running_network

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, needs_openssl]


@contextmanager
def running_witness(network: Network, folder: Path) -> Iterator[tuple[str, str]]:
    """Run a witness of the network's log; yield its URL and verifier key."""
    passphrase = folder / "passphrase"
    passphrase.write_text("a long passphrase")
    passphrase.chmod(0o600)
    home = folder / "witness"
    given = ["--home", str(home), "--passphrase-file", str(passphrase)]
    program = [sys.executable, "-m", "cli", "witness"]
    made = subprocess.run(
        [*program, "init", *given, "--name", "court.example/witness"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    run = ["run", *given, "--genesis", network.devnet.state.genesis]
    with subprocess.Popen([*program, *run, "--listen", f"127.0.0.1:{port}"], cwd=ROOT) as process:
        try:
            wait_until_it_listens(process, port)
            yield f"http://127.0.0.1:{port}", made.stdout.splitlines()[-1]
        finally:
            process.terminate()


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    """A node that finds nobody there asks again after a minute."""
    while True:
        assert process.poll() is None
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)


def configure(
    network: Network, tsa: TimestampAuthority, url: str, witness: tuple[str, str]
) -> None:
    home = NodeHome(Path(network.devnet.state.nodes[0].home))
    text = home.config.read_text()
    for old, new in (
        ('hashes = ["sha256"]', 'hashes = ["sha256", "sm3"]'),
        ("authorities = {}", f'authorities = {{ "tsa-1" = "{url}" }}'),
        ("certificates = {}", f'certificates = {{ "tsa-1" = "{tsa.chain}" }}'),
        ("urls = {}", f'urls = {{ "court" = "{witness[0]}" }}'),
        ("keys = {}", f'keys = {{ "court" = "{witness[1]}" }}'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    home.config.write_text(text)


def check_witnessed(client: Client, vkey: str) -> None:
    """The node serves a witnessed checkpoint, whose line verifies and counts for no quorum."""
    while True:
        try:
            found = client._json("GET", "/v1/checkpoints/1/witnesses")
            break
        except ApiError:
            time.sleep(0.1)
    [item] = found["cosignatures"]
    key = parse_verifier_key(vkey)
    note = parse_note(found["checkpoint"].encode())
    line = parse_signature_line(item["line"])
    assert (item["witness"], line.name, line.key_id) == ("court", key.name, key.key_id)
    verify_cosignature(note.text, key, line.signature)
    assert key.name not in [one.name for one in note.signatures]


def check_receipts(client: Client, network: Network, tx_id: str, entry: bytes) -> None:
    """The receipt verifies with a key that its own id leads to, and with that of genesis."""
    receipt = client._get(f"/v1/transactions/{tx_id}/receipt").content
    assert receipt == client._get(f"/v1/transactions/{tx_id}/receipt").content
    log_key = network.genesis.validators[0].log_key
    result = scitt_cose.verify_receipt(
        receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=public_pem(log_key)
    )
    assert (result.ok, result.errors) == (True, [])
    assert result.leaf_index == client.position(tx_id)["index"]  # type: ignore[index]
    assert result.issuer == f"{network.genesis.origin}/bank-a"
    assert result.subject == f"urn:evidence-ledger:transaction:{tx_id}"
    name = base64.urlsafe_b64encode(result.protected_header_ext[4]).decode().rstrip("=")
    key = client._get(f"/.well-known/scitt-keys/{name}").content
    assert COSEKey.new(cbor2.loads(key)).kid == result.protected_header_ext[4]
    assert cbor2.loads(client._get("/.well-known/scitt-keys").content) == [cbor2.loads(key)]
    assert cbor2.loads(key)[-2] == log_key


def check_statements(network: Network, folder: Path, tx_id: str, contract: str) -> None:
    """A statement made here, and one made by others, registered and verified from one file."""
    network_options = ["--devnet", str(folder / "net")]
    (folder / "report.txt").write_text("twelve lessons 十二次课", "utf-8")
    seed = next(one.seed for one in network.devnet.state.submitters if one.party == "m-yoga")
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    theirs = scitt_cose.build_signed_statement(
        b"twelve lessons",
        alg="EdDSA",
        private_key_pem=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        issuer=f"{network.genesis.origin}/m-yoga",
        subject=f"urn:evidence-ledger:transaction:{tx_id}",
        content_type="text/plain",
        kid=compute_key_thumbprint(key.public_key().public_bytes_raw()),
    )
    (folder / "theirs.cose").write_bytes(theirs)
    trusted = ["--genesis-hash", network.genesis.chain_id.hex()]
    for name, given in (
        ("ours", ["--document", str(folder / "report.txt"), "--type", "text/plain"]),
        ("others", ["--statement", str(folder / "theirs.cose")]),
    ):
        out = folder / f"{name}.transparent.cose"
        command = ["statement", "register", contract, "--about", tx_id, "--issuer", "m-yoga"]
        assert main([*command, *given, *network_options, "-o", str(out)]) == 0
        assert main(["verify", str(out), *trusted]) == 0
        assert main(["certificate", "make", str(out), *trusted, "-o", str(folder / "x.pdf")]) == 2
        evidence = folder / f"{name}.evidence.json"
        extract = ["statement", "extract", str(out), "--part", "evidence", "-o", str(evidence)]
        assert main(extract) == 0
        assert main(["verify", str(evidence), *trusted]) == 0
        document = json.loads(evidence.read_bytes())
        entry = base64.b64decode(document["entry"])
        pem = public_pem(key.public_key().public_bytes_raw())
        scitt_cose.parse_signed_statement(out.read_bytes(), public_key_pem=pem)
        [receipt] = scitt_cose.extract_receipts(out.read_bytes())
        result = scitt_cose.verify_receipt(
            receipt,
            leaf_entry_hex=entry.hex(),
            log_public_key_pem=public_pem(network.genesis.validators[0].log_key),
        )
        assert (result.ok, result.errors) == (True, [])
        assert result.subject is not None
        registered = result.subject.rpartition(":")[2]
        again = folder / f"{name}.again.cose"
        collect = ["statement", "collect", str(out), "--entry", registered, *network_options]
        assert main([*collect, "-o", str(again)]) == 0
        assert main(["verify", str(again), *trusted]) == 0
        assert main([*command, *given, *network_options, "-o", str(folder / "twice.cose")]) == 1


def test_a_node_has_its_checkpoints_stamped_and_witnessed(
    served: tuple[TimestampAuthority, str], tmp_path: Path
) -> None:
    tsa, url = served
    with (
        running_network(tmp_path / "net", node_count=1) as network,
        running_witness(network, tmp_path) as witness,
    ):
        tx_id, envelope = network.opening()
        network.settle(0, envelope, "certified")
        with network.client(0) as client, pytest.raises(ApiError) as refused:
            client.timestamps(tx_id)
        assert refused.value.http_status == 404
        network.devnet.kill(0)
        configure(network, tsa, url, witness)
        network.devnet.start()
        network.devnet.wait_ready()
        with network.client(0) as client:
            while True:
                try:
                    client.timestamps(tx_id)
                    break
                except ApiError:
                    time.sleep(0.1)
            while len(client.timestamps(tx_id)["timestamps"]["timestamps"]) < 2:
                time.sleep(0.1)
            entry = client._get(f"/v1/transactions/{tx_id}/entry").content
            check_receipts(client, network, tx_id, entry)
            check_witnessed(client, witness[1])
        check_stamped_file(network, tmp_path, tx_id)
        contract = decode_transaction(envelope).body.stream.removeprefix("contract/")
        check_statements(network, tmp_path, tx_id, contract)
        folder = tmp_path / "stamped"
        command = ["stamps", tx_id, "--devnet", str(tmp_path / "net"), "-o", str(folder)]
        assert main(command) == 0
        assert main(command) == 2, "what is there is not overwritten"
    names = ["checkpoint", f"{tx_id}.tlog-proof", "tsa-1.sha256.tsr", "tsa-1.sm3.tsr"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    for name in names[2:]:
        assert OPENSSL is not None
        command = [OPENSSL, "ts", "-verify", "-data", str(folder / "checkpoint")]
        command += ["-in", str(folder / name), "-CAfile", str(tsa.root), "-untrusted"]
        result = subprocess.run([*command, tsa.signer], capture_output=True, text=True, check=False)
        assert result.stdout == "Verification: OK\n", result.stderr
    raw = (folder / names[1]).read_bytes()
    verify_tlog_proof(raw, leaf_hash(entry), log_trust(network.genesis))
    checkpoint = (folder / "checkpoint").read_bytes()
    assert parse_tlog_proof(raw).checkpoint == checkpoint
    assert len(parse_note(checkpoint).signatures) == 2


def check_stamped_file(network: Network, folder: Path, tx_id: str) -> None:
    """The tokens go into an evidence file, which verifies with them, and come out of it again."""
    net = ["--devnet", str(folder / "net")]
    plain, file, out = folder / "plain.json", folder / "stamped.json", folder / "taken"
    assert main(["evidence", tx_id, *net, "-o", str(plain)]) == 0
    assert main(["proof", "timestamps", str(plain), *net, "-o", str(file)]) == 0
    assert main(["verify", str(file), "--genesis-hash", network.genesis.chain_id.hex()]) == 0
    assert main(["stamps", "--file", str(file), "-o", str(out)]) == 0
    assert sorted(one.name for one in out.iterdir()) == [
        "checkpoint", "tsa-1.sha256.tsr", "tsa-1.sm3.tsr",
    ]  # fmt: skip
    note = (out / "checkpoint").read_bytes()
    for name in HashName:
        raw = (out / f"tsa-1.{name}.tsr").read_bytes()
        assert is_imprint_of(raw, name, note)


def test_stamps_says_what_is_no_transaction(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stamps", "9F", "--api", "https://node.test", "-o", "x"]) == 2
    assert capsys.readouterr().err == (
        "'9F' is not a transaction id of 64 lower-case hex digits.\n"
        "'9F' 不是交易号：应为 64 位小写十六进制数。\n"
    )
