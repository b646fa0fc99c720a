"""`inspect --home` on what a home keeps beside its chain: no byte of it changes unnoticed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from api.tokens import issue_token
from cli.founding import default_backend
from cli.node_storage import open_stopped_chain, read_tokens, write_tokens
from genesis.document import parse_genesis
from ledger.checkpoint import cosign_checkpoint, cosigner_verifier_key, parse_checkpoint_text
from ledger.note import format_note, parse_note
from ledger.post_quantum import post_quantum_cosign
from ledger.signing import SeedSigner
from ledger.snapshot import decode_manifest, encode_manifest, name_chunk, pack_chunks
from node.config import StorageConfig, load_config, render_config
from node.home import NodeHome
from node.keystore import Keystore
from node.ledger_store import LedgerStore, open_ledger
from node.messages import CertifiedBlock
from node.post_quantum_shelf import PostQuantumShelf
from node.private_audit import AuditLine, PrivateAudit
from node.private_records import _Document, _encode_rest
from node.server import open_keyvalue
from node.snapshot_export import freeze
from node.snapshot_files import SnapshotFiles
from node.snapshot_install import install, open_base, prepare_chain
from node.snapshot_shelf import SnapshotShelf
from node.timestamp_protocol import (
    Authority,
    HashName,
    check_response,
    compute_imprint,
    make_request,
    read_certificates,
)
from node.timestamp_shelf import TimestampShelf
from node.witness_shelf import WitnessShelf
from storage.chain import ChainStore
from storage.files import Damaged, DiskDirectory
from storage.private_box import PrivateBox
from tests.cli.running import Command
from tests.outside.authority import OPENSSL, TimestampAuthority

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

COURT = SeedSigner(bytes(range(32)))
COURT_NAME = "court.example/witness"


@contextmanager
def folder(path: Path) -> Iterator[DiskDirectory]:
    directory = DiskDirectory(path, create=True)
    yield directory
    directory.close()


def newest_note(home: NodeHome) -> tuple[int, bytes]:
    with open_stopped_chain(home) as store:
        found = store.newest_checkpoint()
    assert found is not None
    return found


def put_snapshot(home: NodeHome) -> None:
    """As `node.snapshot_export` makes one."""
    genesis = parse_genesis(home.genesis.read_bytes())
    with folder(home.chain) as segments, folder(home.snapshots) as directory:
        index = open_keyvalue(home.index, load_config(home).storage)
        store, chain = open_ledger(segments, index, genesis)
        frozen = freeze(store, chain.header, chain.limits)
        shelf = SnapshotShelf(directory)
        shelf.begin(chain.header.height)
        names = []
        for chunk in pack_chunks(frozen.rows()):
            if chunk is not None:
                shelf.append(chain.header.height, chunk)
                names.append(name_chunk(chunk))
        shelf.finish(chain.header.height, frozen.manifest(tuple(names)))
        frozen.close()
        store.chain_store.close()


def put_witnessed(home: NodeHome) -> None:
    """One cosignature of a witness that node.toml names."""
    _, note = newest_note(home)
    checkpoint = parse_checkpoint_text(parse_note(note).text)
    line = cosign_checkpoint(checkpoint, COURT_NAME, COURT, 1_767_225_600)
    with folder(home.witnessed) as directory:
        WitnessShelf(directory).keep(checkpoint.size, note, 1_767_225_600_000, {"court": line})
    config = load_config(home)
    key = cosigner_verifier_key(COURT_NAME, COURT.public_key).format()
    named = replace(config.witness, urls={"court": "http://127.0.0.1:1"}, keys={"court": key})
    home.config.write_text(render_config(replace(config, witness=named)))


def put_post_quantum(home: NodeHome) -> None:
    """This member's own ML-DSA-44 cosignature."""
    height, note = newest_note(home)
    checkpoint = parse_checkpoint_text(parse_note(note).text)
    signer = open_keystore(home).post_quantum_signer()
    name = parse_genesis(home.genesis.read_bytes()).post_quantum_members[0].name
    line = post_quantum_cosign(checkpoint, name, signer.public_key, signer.sign, 1_767_225_600)
    with folder(home.post_quantum) as directory:
        PostQuantumShelf(directory, 1).keep(
            height, checkpoint.size, format_note(checkpoint.text(), [line]), [signer.public_key]
        )


def put_private(home: NodeHome) -> None:
    """A document of private fields of a custodian."""
    document = msgspec.msgpack.encode((1, "bank-a", []))
    with folder(home.private) as directory:
        PrivateBox(directory, open_keystore(home).private_fields_key).write("a", document)
        line = AuditLine("read", "a", [], "done", "r-1", "custodian:bank-a", "now", "till")
        PrivateAudit(directory, NEW_YEAR).write(line, NEW_YEAR)


def put_stamped(home: NodeHome, tsa: TimestampAuthority, pinned: Path) -> None:
    """A token of an authority for which node.toml pins the certificates of `pinned`."""
    _, note = newest_note(home)
    size = parse_checkpoint_text(parse_note(note).text).size
    asked = Authority("tsa-1", "http://127.0.0.1:1", "", read_certificates(tsa.chain.read_bytes()))
    imprint = compute_imprint(HashName.SHA256, note)
    answer = tsa.answer(make_request(asked, HashName.SHA256, imprint, 7))
    now_ms = time.time_ns() // 1_000_000
    token = check_response(answer, asked, HashName.SHA256, imprint, nonce=7, now_ms=now_ms)
    with folder(home.timestamps) as directory:
        TimestampShelf(directory).keep(size, note, now_ms, [token])
    config = load_config(home)
    named = replace(
        config.timestamp,
        authorities={"tsa-1": "http://127.0.0.1:1"},
        certificates={"tsa-1": str(pinned)},
    )
    home.config.write_text(render_config(replace(config, timestamp=named)))


def open_keystore(home: NodeHome) -> Keystore:
    return Keystore.open(home.keystore, home.passphrase.read_bytes().strip())


@pytest.fixture
def kept(home: Path) -> NodeHome:
    """The stored chain's home with one of each beside it."""
    place = NodeHome(home)
    for put in (put_snapshot, put_witnessed, put_post_quantum, put_private):
        put(place)
    token = issue_token("till", "merchant:m-yoga", 1)[1]
    write_tokens(place, [*read_tokens(place), token])
    return place


def damaged(command: Command, home: NodeHome) -> list[str]:
    status = command.run("inspect", "--home", home.path)
    lines = [line for line in command.out.splitlines() if line.startswith("DAMAGED")]
    assert status == bool(lines), command.out
    return lines


def test_whole_shelves_are_counted(command: Command, kept: NodeHome) -> None:
    assert damaged(command, kept) == []
    for line in (
        "every key, private fields of 1 contracts",
        "ok       audit: 1 lines, each as it was written ",
        "ok       archive: nothing was moved there",
        "ok       snapshots: 1 snapshots, every chunk as its manifest says",
        "ok       statements: checkpoints: 0 stamped, 1 witnessed, 1 cosigned with ML-DSA-44 ",
    ):
        assert line in command.out


@pytest.mark.parametrize(
    "pattern",
    [
        "snapshots/*.manifest", "snapshots/*.rows", "witnessed/*", "postquantum/*",
        "private/*.box", "private/*.key", "private/audit-*.log", "keys/keystore.json",
        "tokens.json",
    ],
)  # fmt: skip
def test_a_flipped_byte_beside_the_chain_is_named(
    command: Command, kept: NodeHome, pattern: str
) -> None:
    (file,) = kept.path.glob(pattern)
    raw = file.read_bytes()
    for share in (0, 0.2, 0.45, 0.6, 0.8, 1):
        changed = bytearray(raw)
        changed[round(share * (len(raw) - 1))] ^= 1
        file.write_bytes(changed)
        lines = damaged(command, kept)
        assert any(file.name in line for line in lines), (share, command.out)
    file.write_bytes(raw)
    assert damaged(command, kept) == []


@pytest.mark.parametrize("name", ["peer.crt", "peer.key", "api.crt", "api.key"])
def test_what_the_node_could_not_start_with_is_named(
    command: Command, kept: NodeHome, name: str
) -> None:
    file = kept.keys / name
    raw = file.read_bytes()
    changed = bytearray(raw)
    changed[len(raw) // 2] ^= 1
    for damage in (bytes(changed), raw[: len(raw) // 2], b""):
        file.write_bytes(damage)
        lines = damaged(command, kept)
        assert any(str(file) in line for line in lines), command.out
    file.write_bytes(raw)
    assert damaged(command, kept) == []


@pytest.mark.parametrize("name", ["api.crt", "api-authority.crt", "api.key", "peer.key"])
def test_a_flipped_byte_of_a_servers_key_or_certificate_is_named(
    command: Command, kept: NodeHome, name: str
) -> None:
    """A start would not notice most of them in a certificate, and clients would turn away.

    A key's last sixth is the padding of its cipher: one flip of 256 there leaves the key whole.
    """
    file = kept.keys / name
    raw = file.read_bytes()
    ends = (0.75,) if name.endswith(".key") else (0.8, 0.85)
    for share in (0.05, 0.2, 0.4, 0.6, *ends):
        changed = bytearray(raw)
        at = round(share * len(raw))
        changed[at + (raw[at] == 0x0A)] ^= 1  # the end of a line says nothing in PEM
        file.write_bytes(changed)
        (line,) = damaged(command, kept)
        assert line.startswith("DAMAGED  secrets: "), (share, command.out)
        assert str(file) in line


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not here")
def test_a_token_whose_root_was_replaced_is_whole_and_told_to_be(
    command: Command, kept: NodeHome, tmp_path: Path
) -> None:
    tsa, other = TimestampAuthority(tmp_path / "a"), TimestampAuthority(tmp_path / "b", "new")
    put_stamped(kept, tsa, other.chain)
    assert damaged(command, kept) == []
    assert (
        "1 stamped, 1 witnessed, 1 cosigned with ML-DSA-44; 1 tokens of tsa-1 are whole and verify "
        "by the certificate that each brought along, which leads to no root that node.toml pins now"
    ) in command.out
    assert "tsa-1 的 1 个令牌完好，以各自所附的证书核验通过，但该证书不能追溯到" in command.out
    other.chain.write_bytes(other.chain.read_bytes() + tsa.root.read_bytes())
    assert damaged(command, kept) == []
    assert "1 stamped, 1 witnessed, 1 cosigned with ML-DSA-44 时间戳" in command.out
    (file,) = kept.timestamps.iterdir()
    raw = file.read_bytes()
    at = raw.index(b'"token":"') + 1000
    file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    for pinned in (other.chain, tsa.chain):
        other.chain.write_bytes(pinned.read_bytes())
        (line,) = damaged(command, kept)
        assert file.name in line


def test_a_snapshot_without_its_rows_is_told_and_a_strangers_file_is_left(
    command: Command, kept: NodeHome
) -> None:
    (kept.snapshots / "notes.txt").write_bytes(b"somebody's")
    assert len(damaged(command, kept)) == 1
    assert "notes.txt is no file of a snapshot; ignored." in command.out
    (rows,) = kept.snapshots.glob("*.rows")
    size = rows.stat().st_size
    rows.unlink()
    assert len(damaged(command, kept)) == 1
    assert f"a start removes it; there are 0 of {size} bytes of its rows." in command.out
    with folder(kept.snapshots) as directory:
        assert len(SnapshotShelf(directory).notices) == 2
    assert [path.name for path in kept.snapshots.iterdir()] == ["notes.txt"]


def test_rows_of_a_snapshot_without_their_manifest_are_told(
    command: Command, kept: NodeHome
) -> None:
    """A crash in its making leaves them as well, so this is no damage."""
    (manifest,) = kept.snapshots.glob("*.manifest")
    manifest.unlink()
    assert damaged(command, kept) == []
    rows = manifest.with_suffix(".rows").name
    said = f"WARNING  snapshots: 0 snapshots, every chunk as its manifest says; {rows} has no "
    assert said in command.out
    assert "快照：请留意。" in command.out


def put_line(home: NodeHome, action: str, outcome: str = "done", scope: str = "bank-a") -> None:
    line = AuditLine(action, "a", [], outcome, "r-1", f"custodian:{scope}", "now", "till")
    with folder(home.private) as directory:
        PrivateAudit(directory, NEW_YEAR).write(line, NEW_YEAR)


def test_a_key_without_its_box_is_told(command: Command, kept: NodeHome) -> None:
    """A power loss in the first writing leaves one; nobody was told then that it was written."""
    (kept.private / "a.box").unlink()
    assert damaged(command, kept) == []
    said = "; in private/ 1 keys are without their .box (a.key): a power loss in a first writing "
    (line,) = [line for line in command.out.splitlines() if line.startswith("WARNING")]
    assert said in line


@pytest.mark.parametrize("names", [["a.box"], ["a.box", "a.key"]])
def test_private_fields_that_the_audit_has_as_written_are_missed(
    command: Command, kept: NodeHome, names: list[str]
) -> None:
    put_line(kept, "write")
    put_line(kept, "write", "not entitled")
    assert damaged(command, kept) == []
    for name in names:
        (kept.private / name).unlink()
    (line,) = damaged(command, kept)
    assert line.startswith(
        f"DAMAGED  secrets: {kept.private}/a.box is missing: by audit-2026-01.log the private "
        "fields of a were written at now "
    )
    put_line(kept, "write", "conflict", "bank-b")
    assert damaged(command, kept) == [], "the name became another's, who found room under it"


def test_what_is_left_of_fields_that_the_audit_has_as_erased_is_missed(
    command: Command, kept: NodeHome
) -> None:
    with folder(kept.private) as directory:
        box = PrivateBox(directory, open_keystore(kept).private_fields_key)
        box.erase("a", _encode_rest(_Document(1, "bank-a", []), 7))
    put_line(kept, "write")
    put_line(kept, "erase")
    assert damaged(command, kept) == []
    (kept.private / "a.erased").unlink()
    (line,) = damaged(command, kept)
    assert line.startswith(
        f"DAMAGED  secrets: {kept.private}/a.erased is missing: by audit-2026-01.log the private "
        "fields of a were erased at now "
    )


def test_an_audit_without_a_line_is_told(command: Command, kept: NodeHome) -> None:
    (kept.private / "audit-2026-01.log").write_bytes(b"")
    assert damaged(command, kept) == []
    said = "WARNING  audit: 0 lines, each as it was written; audit-2026-01.log has no line: "
    assert said in command.out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"court.example/witness", b"court.exbmple/witness", "the line of court is signed as "),
        (b'"witness":"court"', b'"witness":"cnurt"', "what it has as of 'cnurt' is court's "),
    ],
)
def test_a_changed_name_of_a_witness_is_named(
    command: Command, kept: NodeHome, old: bytes, new: bytes, said: str
) -> None:
    """Its signature holds as before, and whoever reads the note would pass over it."""
    (file,) = kept.witnessed.iterdir()
    raw = file.read_bytes()
    assert raw.count(old) == 1
    file.write_bytes(raw.replace(old, new))
    (line,) = damaged(command, kept)
    assert f"{file}, offset 0: {said}" in line


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not here")
def test_a_changed_name_of_an_authority_is_named(
    command: Command, kept: NodeHome, tmp_path: Path
) -> None:
    tsa = TimestampAuthority(tmp_path / "a")
    put_stamped(kept, tsa, tsa.chain)
    (file,) = kept.timestamps.iterdir()
    file.write_bytes(file.read_bytes().replace(b'"authority":"tsa-1"', b'"authority":"tsa-0"'))
    (line,) = damaged(command, kept)
    assert f"{file}, offset 0: what it has as of 'tsa-0' is tsa-1's " in line


def test_a_checkpoint_of_another_log_is_found(command: Command, kept: NodeHome) -> None:
    """Intact and signed, as the file of another network's node would be."""
    (file,) = kept.post_quantum.iterdir()
    signer = open_keystore(kept).post_quantum_signer()
    _, note = newest_note(kept)
    checkpoint = replace(parse_checkpoint_text(parse_note(note).text), root=bytes(32))
    name = parse_genesis(kept.genesis.read_bytes()).post_quantum_members[0].name
    line = post_quantum_cosign(checkpoint, name, signer.public_key, signer.sign, 1_767_225_600)
    with folder(kept.post_quantum) as directory:
        PostQuantumShelf(directory, 1).keep(
            5, checkpoint.size, format_note(checkpoint.text(), [line]), [signer.public_key]
        )
    (found,) = damaged(command, kept)
    assert f"{file}, offset 0: its root is {bytes(32).hex()}, and this log's " in found


def test_without_the_passphrase_what_is_sealed_is_not_opened_and_that_is_said(
    command: Command, kept: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.passphrase.unlink()
    assert damaged(command, kept) == []
    assert (
        "the keystore is intact and, like private fields, was not opened: the pass" in command.out
    )
    kept.passphrase.write_bytes(b"another\n")
    kept.passphrase.chmod(0o600)
    assert damaged(command, kept) == []
    assert "was not opened: this passphrase does not open " in command.out


@pytest.fixture
def joined(kept: NodeHome) -> NodeHome:
    """The same home as of a node that joined by the snapshot."""
    _, note = newest_note(kept)
    with folder(kept.chain) as chain, folder(kept.snapshots) as made, ExitStack() as stack:
        shelf = SnapshotShelf(made)
        (height,) = shelf.heights
        found = shelf.manifest(height)
        assert found is not None
        manifest = decode_manifest(found[0])
        store = LedgerStore(
            ChainStore.open(
                chain, open_keyvalue(kept.index, StorageConfig(backend=default_backend()))
            )
        )
        stack.callback(store.chain_store.close)
        files = SnapshotFiles(
            stack.enter_context(folder(kept.joining)),
            stack.enter_context(folder(kept.joining / "segments")),
        )
        files.keep_manifest(found[0], note)
        for index in range(len(manifest.chunks)):
            chunk = shelf.chunk(height, index)
            assert chunk is not None
            files.keep_chunk(index, chunk)
        for at in range(manifest.base_height, height + 1):
            entries, certificate = store.block(at)
            files.keep_block(at, CertifiedBlock(list(entries), certificate))
        files.complete()
    install(kept)
    prepare_chain(
        kept,
        lambda path: open_keyvalue(path, StorageConfig(backend=default_backend())),
        lambda what, done, total: None,
    )
    return kept


def test_a_flipped_byte_of_what_a_chain_began_with_is_named(
    command: Command, joined: NodeHome
) -> None:
    """The index was made of it and does not read it again until it is lost."""
    assert damaged(command, joined) == []
    assert "ok       base: the snapshot of block 5, as this chain has it" in command.out
    for name in ("manifest", "rows"):
        file = joined.base / name
        raw = file.read_bytes()
        for share in (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1):
            changed = bytearray(raw)
            changed[round(share * (len(raw) - 1))] ^= 1
            file.write_bytes(changed)
            lines = damaged(command, joined)
            assert any("base" in line for line in lines), (name, share, lines)
        file.write_bytes(raw)


def test_a_removed_index_of_a_chain_that_began_with_a_snapshot_is_built_as_by_a_start(
    command: Command, joined: NodeHome
) -> None:
    shutil.rmtree(joined.index)
    joined.index.mkdir()
    assert damaged(command, joined) == []
    assert "WARNING  index: there is none, and the segments have " in command.out
    assert list(joined.index.iterdir()) == []


def test_a_line_of_nobody_in_a_kept_checkpoint_is_named(command: Command, joined: NodeHome) -> None:
    """A changed name or key id makes it one that a reader of notes passes over."""
    base = open_base(joined)
    assert base is not None
    file = joined.base / "manifest"
    line = b"AAAAAAAA" * 8
    more = base.note + b"\xe2\x80\x94 nobody.example/x " + line + b"\n"
    with folder(joined.joining) as made, folder(joined.joining / "segments") as segments:
        raw = encode_manifest(base.manifest)
        SnapshotFiles(made, segments).keep_manifest(raw, more)
    file.write_bytes((joined.joining / "manifest").read_bytes())
    (found,) = damaged(command, joined)
    assert f"base: {file}, offset 0: Checkpoint: 'nobody.example/x' with key id 00000000" in found


def test_a_base_whose_header_is_none_is_damage(joined: NodeHome) -> None:
    """A node says so at its start."""
    base = open_base(joined)
    assert base is not None
    file = joined.base / "manifest"
    raw = file.read_bytes()
    at = raw.index(base.manifest.header)
    file.write_bytes(raw[:at] + b"\xc1" + raw[at + 1 :])
    with pytest.raises(Damaged, match="manifest, offset 0: "):
        open_base(joined)
