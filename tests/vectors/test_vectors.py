"""The vectors are what the ledger writes, and a stranger can recompute every byte of them.

The second half is that stranger: SHA-256, JSON, MessagePack, Ed25519 and docs/FORMATS.md, and
nothing of the ledger.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import msgpack
import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from ledger.refusal import Rejected
from tests.vectors.make_vectors import DOCUMENT, FOLDER, fill, to_file
from tests.vectors.normal_texts import list_normal_texts
from tests.vectors.refusals import compute_refusals
from tests.vectors.worked_example import compute_vectors, make_example
from verifier.formats import read_body

FORMATS = json.loads((FOLDER / "formats.json").read_text("utf-8"))
REFUSED = json.loads((FOLDER / "refused.json").read_text("utf-8"))
NETWORK = "example.evidence.test"


def test_vectors_and_examples_are_what_the_script_writes() -> None:
    vectors = compute_vectors(make_example())
    assert (FOLDER / "formats.json").read_text("utf-8") == to_file(vectors)
    assert (FOLDER / "refused.json").read_text("utf-8") == to_file(compute_refusals())
    assert json.loads((FOLDER / "normal.json").read_text("ascii")) == list_normal_texts()
    document = DOCUMENT.read_text("utf-8")
    assert fill(document, vectors) == document


def test_every_mutant_is_named_once_and_no_two_are_the_same() -> None:
    for group in REFUSED.values():
        assert len({case["name"] for case in group}) == len(group)
        assert len({case["hex"] for case in group}) == len(group)


@pytest.mark.parametrize("case", REFUSED["bodies"], ids=lambda case: case["name"])
def test_the_verifiers_own_reading_refuses_each_body(case: dict[str, str]) -> None:
    with pytest.raises(Rejected):
        read_body(bytes.fromhex(case["hex"]), "body")


# The stranger


def tag(name: str) -> bytes:
    return f"evidence-ledger/v1/{name}".encode() + b"\0"


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf(data: bytes) -> bytes:
    return sha(b"\0" + data)


def node(left: bytes, right: bytes) -> bytes:
    return sha(b"\1" + left + right)


def tree(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(tree(leaves[:split]), tree(leaves[split:]))


def path_of(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162 section 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*path_of(index, leaves[:split]), tree(leaves[split:])]
    return [*path_of(index - split, leaves[split:]), tree(leaves[:split])]


def key_of(name: str, purpose: str) -> SigningKey:
    return SigningKey(sha(f"{NETWORK} {name} {purpose}".encode()))


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        VerifyKey(key).verify(message, signature)
    except BadSignatureError:
        return False
    return True


def unhex(*path: str | int) -> bytes:
    value: Any = FORMATS
    for step in path:
        value = value[step]
    return bytes.fromhex(value)


CHAIN_ID = unhex("genesis", "chain_id")
LOG = [bytes.fromhex(entry) for entry in FORMATS["log"]["entries"]]


def test_a_stranger_computes_the_genesis() -> None:
    part = FORMATS["genesis"]
    document = part["document"].encode()
    read = json.loads(document)
    assert sha(tag("chain-id") + document) == CHAIN_ID
    assert part["origin"] == f"{read['network']}/{part['chain_id'][:16]}"
    names = ("vote", "cosign", "log", "party")
    validators = [
        [each["id"], *[bytes.fromhex(each["keys"][name]) for name in names]]
        for each in read["institutions"]
    ]
    for identity, *keys in validators:
        for name, key in zip(names, keys, strict=True):
            assert key == bytes(key_of(identity, name).verify_key)
    assert part["validators_hash"] == sha(tag("validator-set") + msgpack.packb(validators)).hex()
    assert unhex("genesis", "entry") == msgpack.packb([0, 0, 0, document])
    header = msgpack.unpackb(unhex("genesis", "header_entry"))[3]
    assert header[:8] == [1, CHAIN_ID, 0, bytes(32), read["time"], 0, 0, 1]
    assert header[8] == leaf(unhex("genesis", "entry"))


def test_a_stranger_signs_a_transaction() -> None:
    part = FORMATS["transaction"]
    body = part["body"].encode()
    members = json.loads(body)
    assert (
        json.dumps(members, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        == body
    )
    tx_id = sha(tag("tx-id") + body)
    assert tx_id.hex() == part["tx_id"]
    message = tag("tx-signature") + CHAIN_ID + tx_id
    assert message.hex() == part["signed"]
    keys = [key_of(name, "party") for name in members["signers"]]
    signatures = [[bytes(key.verify_key), key.sign(message).signature, None] for key in keys]
    envelope = msgpack.packb([body, signatures])
    assert envelope.hex() == part["envelope"]
    assert sha(tag("envelope") + envelope).hex() == part["envelope_hash"]
    claim = f"{members['signers'][0]}\0{members['reference']}".encode()
    assert sha(tag("reference") + claim).hex() == part["reference_key"]
    assert part["submission"] == {
        "body": part["body"],
        "signatures": [
            {"public_key": key.hex(), "signature": signature.hex()}
            for key, signature, _ in signatures
        ],
    }


def test_a_stranger_signs_a_batch() -> None:
    part = FORMATS["batch"]
    bodies = [body.encode() for body in part["bodies"]]
    ids = [sha(tag("tx-id") + body) for body in bodies]
    leaves = [leaf(tx_id) for tx_id in ids]
    assert [tx_id.hex() for tx_id in ids] == part["tx_ids"]
    assert [each.hex() for each in leaves] == part["leaf_hashes"]
    assert tree(leaves).hex() == part["root"]
    message = tag("batch-signature") + CHAIN_ID + tree(leaves) + len(leaves).to_bytes(8, "big")
    assert message.hex() == part["signed"]
    key = key_of("m-yoga", "party")
    signature = key.sign(message).signature
    for index, body in enumerate(bodies):
        signed = [bytes(key.verify_key), signature, [index, 3, path_of(index, leaves)]]
        assert msgpack.packb([body, [signed]]).hex() == part["envelopes"][index]
    assert part["submission"]["signatures"][0]["batch"] == {
        "index": 0,
        "size": 3,
        "path": [each.hex() for each in path_of(0, leaves)],
    }


def entries_of_block() -> list[bytes]:
    return [bytes.fromhex(entry) for entry in FORMATS["block"]["transaction_entries"]]


def test_a_stranger_reads_the_block() -> None:
    header = msgpack.unpackb(unhex("block", "header"))
    entries = entries_of_block()
    envelopes = [FORMATS["transaction"]["envelope"], *FORMATS["batch"]["envelopes"]]
    outcomes = [
        [False, "", [["paid", 198000], ["locked", 198000], ["released", 0], ["refunded", 0]]],
        [False, "", [["paid", 198000], ["locked", 188100], ["released", 9900], ["refunded", 0]]],
        [True, "insufficient_locked", [["locked", 188100], ["amount", 200000]]],
        [False, "", [["paid", 198000], ["locked", 188000], ["released", 9900], ["refunded", 100]]],
    ]
    first = header[6]
    for place, entry in enumerate(entries):
        envelope = msgpack.unpackb(bytes.fromhex(envelopes[place]))
        assert msgpack.packb([first + place, 3, 1, envelope, outcomes[place]]) == entry
    assert header[7] == len(entries)
    assert msgpack.packb([first + len(entries), 3, 2, header]) == unhex("block", "header_entry")
    assert sha(tag("block") + msgpack.packb(header)) == unhex("block", "block_hash")
    assert header[10] == unhex("genesis", "validators_hash")
    assert header[9] == unhex("state", "root")


def fold_state(key: bytes, start: bytes, proof: list[Any]) -> bytes:
    depth, bitmap, siblings, _ = proof
    reached = start
    bits = "".join([f"{byte:08b}" for byte in key])
    marks = "".join([f"{byte:08b}" for byte in bitmap])
    waiting = list(siblings)
    for level in reversed(range(depth)):
        sibling = waiting.pop() if marks[level] == "1" else bytes(32)
        reached = node(reached, sibling) if bits[level] == "0" else node(sibling, reached)
    assert not waiting
    return reached


@pytest.mark.parametrize("name", ["contract", "party"])
def test_a_stranger_proves_a_state_value(name: str) -> None:
    part = FORMATS["state"][name]
    key = sha(tag("state-key") + part["stream"].encode())
    value = bytes.fromhex(part["value"])
    value_hash = sha(tag("state-value") + value)
    assert (key.hex(), value_hash.hex()) == (part["key_hash"], part["value_hash"])
    proof = msgpack.unpackb(bytes.fromhex(part["proof"]))
    assert proof[3] is None
    assert fold_state(key, leaf(key + value_hash), proof) == unhex("state", "root")


def test_a_stranger_proves_an_absence() -> None:
    part = FORMATS["state"]["absent"]
    key = sha(tag("state-key") + part["stream"].encode())
    proof = msgpack.unpackb(bytes.fromhex(part["proof"]))
    other_key, other_value = proof[3]
    shared = 256 - (int.from_bytes(key) ^ int.from_bytes(other_key)).bit_length()
    assert proof[0] <= shared < 256
    assert fold_state(key, leaf(other_key + other_value), proof) == unhex("state", "root")


def test_a_stranger_counts_the_whole_record_of_the_contract() -> None:
    """Four entries of the last block and the opening before them: count and root agree."""
    count, root, record = msgpack.unpackb(unhex("state", "contract", "value"))
    leaves = [leaf(entry) for entry in entries_of_block()]
    assert count == len(leaves) + 1
    opening = next(raw for raw in LOG if b'"prepaid.open"' in raw)
    assert tree([leaf(opening), *leaves]) == root
    assert record[:4] == ["prepaid", 1, "m-yoga", "bank-1"]
    assert record[4] == unhex("consumer", "commitment")
    paid, locked, released, refunded = record[11:15]
    assert locked + released + refunded == paid == 198000


def test_a_stranger_commits_to_a_consumer() -> None:
    salt = unhex("consumer", "salt")
    data = bytes([len(salt)]) + salt + FORMATS["consumer"]["consumer_id"].encode()
    assert sha(tag("consumer-commitment") + data) == unhex("consumer", "commitment")


def test_a_stranger_verifies_the_votes() -> None:
    block_hash = unhex("block", "block_hash")
    slot = (3).to_bytes(8, "big") + (0).to_bytes(8, "big")
    for name in ("pre-prepare", "prepare", "commit"):
        message = tag(name) + CHAIN_ID + slot + block_hash
        assert message.hex() == FORMATS["votes"][name.replace("-", "_")]
    commit = tag("commit") + CHAIN_ID + slot
    height, view, named, commits = msgpack.unpackb(unhex("votes", "certificate"))
    assert (height, view, named) == (3, 0, block_hash)
    assert [replica for replica, _ in commits] == [0, 1, 2]
    for replica, signature in commits:
        key = bytes(key_of(f"bank-{replica}", "vote").verify_key)
        assert is_signed(key, commit + block_hash, signature)


def test_a_stranger_convicts_the_liar() -> None:
    block_hash = unhex("block", "block_hash")
    commit = tag("commit") + CHAIN_ID + (3).to_bytes(8, "big") + (0).to_bytes(8, "big")
    start = tag("view-change") + CHAIN_ID + (3).to_bytes(8, "big") + (1).to_bytes(8, "big")
    prepared = start + b"\1" + (0).to_bytes(8, "big") + block_hash
    voter = bytes(key_of("bank-3", "vote").verify_key)
    kind, first, second = msgpack.unpackb(unhex("evidence", "two_votes"))
    assert (kind, first[:3], second[:3]) == (1, [2, 3, 0], [2, 3, 0])
    assert first[3] < second[3]
    for vote in (first, second):
        assert vote[4] == 3
        assert is_signed(voter, commit + vote[3], vote[5])
    kind, first, second = msgpack.unpackb(unhex("evidence", "two_view_changes"))
    assert (kind, first[:4], second[:4]) == (
        2, [3, 1, None, 3], [3, 1, [0, block_hash], 3],
    )  # fmt: skip
    assert is_signed(voter, start + b"\0", first[4])
    assert is_signed(voter, prepared, second[4])
    kind, vote, change = msgpack.unpackb(unhex("evidence", "amnesia"))
    assert (kind, vote[:5], change[:4]) == (3, [2, 3, 0, block_hash, 3], [3, 1, None, 3])
    assert is_signed(voter, commit + block_hash, vote[5])
    assert is_signed(voter, start + b"\0", change[4])

    kind, replica, origin, smaller, larger, prefix, _ = msgpack.unpackb(unhex("evidence", "fork"))
    assert (kind, replica, origin) == (4, 3, FORMATS["genesis"]["origin"])
    leaves = [leaf(raw) for raw in LOG]
    assert (larger[0], larger[1]) == (len(leaves), tree(leaves))
    assert prefix == tree(leaves[: smaller[0]]) != smaller[1]
    cosigner = bytes(key_of("bank-3", "cosign").verify_key)
    for size, root, signature in (smaller, larger):
        time_s = int.from_bytes(signature[:8], "big")
        text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        signed = f"cosignature/v1\ntime {time_s}\n{text}".encode()
        assert is_signed(cosigner, signed, signature[8:])


def test_a_stranger_verifies_checkpoint_and_proof() -> None:
    part = FORMATS["checkpoint"]
    text, _, lines = part["note"].partition("\n\n")
    text += "\n"
    assert text == part["text"]
    origin, size, root = text.split("\n")[:3]
    assert origin == FORMATS["genesis"]["origin"]
    assert part["log_line"] in lines
    assert part["cosigner_line"] in lines

    def read(line: str, kind: int, identity: str, purpose: str) -> tuple[bytes, bytes]:
        name, blob = line.removeprefix("— ").split(" ")
        raw = base64.b64decode(blob)
        key = bytes(key_of(identity, purpose).verify_key)
        assert raw[:4] == sha(name.encode() + b"\n" + bytes([kind]) + key)[:4]
        return key, raw[4:]

    key, signature = read(part["log_line"], 1, "bank-0", "log")
    assert is_signed(key, text.encode(), signature)
    key, signature = read(part["cosigner_line"], 4, "bank-1", "cosign")
    time_s = int.from_bytes(signature[:8], "big")
    assert part["cosigned"] == f"cosignature/v1\ntime {time_s}\n{text}"
    assert is_signed(key, part["cosigned"].encode(), signature[8:])

    head, _, note = part["proof"].partition("\n\n")
    assert note == part["note"]
    version, index, *hashes = head.split("\n")
    assert (version, index) == ("c2sp.org/tlog-proof@v1", "index 7")
    leaves = [leaf(raw) for raw in LOG]
    assert len(leaves) == int(size)
    assert leaves[7] == leaf(entries_of_block()[1])
    assert [base64.b64decode(each) for each in hashes] == path_of(7, leaves)
    assert base64.b64decode(root) == tree(leaves)
    for key_line in (part["log_vkey"], part["cosigner_vkey"]):
        assert key_line in part["policy"]


def test_a_stranger_verifies_the_receipts() -> None:
    part = FORMATS["receipts"]
    party_key = bytes(key_of("bank-0", "party").verify_key)
    receipt = json.loads(part["receipt"])
    when = receipt["received_ms"].to_bytes(8, "big") + receipt["height_max"].to_bytes(8, "big")
    message = tag("intake-receipt") + CHAIN_ID + bytes.fromhex(receipt["tx_id"]) + when
    assert message.hex() == part["signed"]
    assert receipt["public_key"] == party_key.hex()
    assert receipt["tx_id"] == FORMATS["transaction"]["tx_id"]
    assert is_signed(party_key, message, bytes.fromhex(receipt["signature"]))
    many = json.loads(part["batch_receipt"])
    root = tree([leaf(bytes.fromhex(tx_id)) for tx_id in FORMATS["batch"]["tx_ids"]])
    assert (many["root"], many["size"]) == (root.hex(), 3)
    message = tag("batch-receipt") + CHAIN_ID + root + many["size"].to_bytes(8, "big") + when
    assert is_signed(party_key, message, bytes.fromhex(many["signature"]))
    for text in (part["receipt"], part["batch_receipt"]):
        assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) == text
