"""Go implementations of others judge checkpoint, quorum, policy, proof and every tile of a log."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from api.tiles import format_tile_index
from ledger.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from ledger.log import (
    TILE_WIDTH,
    encode_bundle,
    extend_tiles,
    inclusion_proof_from_tiles,
)
from ledger.merkle import Frontier, leaf_hash
from ledger.note import format_note
from ledger.post_quantum import post_quantum_cosign, post_quantum_key
from ledger.tlog_policy import format_tlog_policy
from ledger.tlog_proof import TlogProof, format_tlog_proof
from node.certification import cosigner_keys, log_trust
from node.mldsa import MlDsaSigner
from tests.outside.logs import DEPLOYMENT, GENESIS, TIME_S

SIZE = 600
INDEX = 300


def write_log(folder: Path, cosigners: int = 3) -> None:
    """Publish a log as a node does: checkpoint, tiles, bundles, a proof, the policy."""
    entries = [b"entry %d" % number for number in range(SIZE)]
    grown = extend_tiles(
        Frontier(0, b""), [leaf_hash(entry) for entry in entries], lambda level, index: b""
    )
    tiles = {(level, index): data for level, index, data in grown.tiles}
    checkpoint = Checkpoint(GENESIS.origin, SIZE, grown.frontier.root())
    members = list(zip(cosigner_keys(GENESIS), DEPLOYMENT.signers, strict=True))
    lines = [sign_checkpoint(checkpoint, DEPLOYMENT.signers[0].log)]
    lines += [
        cosign_checkpoint(checkpoint, key.name, signers.cosign, TIME_S)
        for key, signers in members[:cosigners]
    ]
    note = format_note(checkpoint.text(), lines)
    path = inclusion_proof_from_tiles(INDEX, SIZE, lambda level, index: tiles[level, index])
    trust = log_trust(GENESIS)
    policy = format_tlog_policy(
        trust.log_keys,
        [(f"member-{number}", key) for number, key in enumerate(trust.cosigner_keys)],
        trust.quorum,
    )
    files = {
        "checkpoint": note,
        "policy": policy.encode(),
        "entry": entries[INDEX],
        "proof": format_tlog_proof(TlogProof(INDEX, tuple(path), note)),
    }
    for (level, index), data in tiles.items():
        width = len(data) // 32
        files[tile_name(str(level), index, width)] = data
        if level == 0:
            begin = index * TILE_WIDTH
            bundle = encode_bundle(entries[begin : begin + width])
            files[tile_name("entries", index, width)] = bundle
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def tile_name(level: str, index: int, width: int) -> str:
    part = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{level}/{format_tile_index(index)}{part}"


def judge(program: Path, folder: Path, *mode: str) -> str:
    result = subprocess.run([program, *mode, folder], capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).strip()


def test_go_accepts_what_we_publish(program: Path, tmp_path: Path) -> None:
    write_log(tmp_path)
    assert judge(program, tmp_path) == "proof: entry 300 of 600\nlog: 600 entries"


def test_go_wants_the_quorum_too(program: Path, tmp_path: Path) -> None:
    write_log(tmp_path, cosigners=2)
    assert judge(program, tmp_path) == "refused: the policy is not satisfied"


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("entry", replaced(b"300", b"301"), "calculated root"),
        ("proof", replaced(b"index 300", b"index 301"), "calculated root"),
        ("proof", replaced(b"\n600\n", b"\n599\n"), "the policy is not satisfied"),
        ("checkpoint", replaced(b"\n600\n", b"\n601\n"), "the policy is not satisfied"),
        ("tile/0/001", replaced(b"", b"\0"), "downloaded inconsistent tile"),
        ("tile/entries/002.p/88", replaced(b"entry 550", b"entry 5x0"), "entry 550 is another"),
    ],
)
def test_go_refuses_what_was_changed(
    program: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes], sentence: str
) -> None:
    write_log(tmp_path)
    path = tmp_path / name
    data = path.read_bytes()
    path.write_bytes(change(data) if name != "tile/0/001" else bytes(32) + data[32:])
    answer = judge(program, tmp_path)
    assert "refused: " in answer
    assert sentence in answer


def write_post_quantum(folder: Path, size: int = SIZE) -> None:
    """Write a note that two validators cosigned with ML-DSA-44, and their verifier keys."""
    checkpoint = Checkpoint(GENESIS.origin, SIZE, leaf_hash(b"root"))
    signed = Checkpoint(GENESIS.origin, size, checkpoint.root)
    lines, vkeys = [], []
    for at in range(2):
        key, name = MlDsaSigner(bytes([at]) * 32), f"{GENESIS.origin}/member-{at}"
        lines.append(post_quantum_cosign(signed, name, key.public_key, key.sign, TIME_S + at))
        vkeys.append(post_quantum_key(name, key.public_key).format())
    (folder / "post-quantum").write_bytes(format_note(checkpoint.text(), lines))
    (folder / "vkeys").write_text("\n".join(vkeys))


def test_go_verifies_post_quantum_cosignatures(program: Path, tmp_path: Path) -> None:
    write_post_quantum(tmp_path)
    assert judge(program, tmp_path, "post-quantum").splitlines() == [
        f"cosigned: {GENESIS.origin}/member-{at} at {TIME_S + at}" for at in range(2)
    ]


def test_go_refuses_post_quantum_cosignatures_of_another_tree(
    program: Path, tmp_path: Path
) -> None:
    write_post_quantum(tmp_path, size=SIZE + 1)
    assert judge(program, tmp_path, "post-quantum").startswith("refused: invalid signature")
