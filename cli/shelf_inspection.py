"""The offline check of what a home keeps beside its chain: archive, snapshots, statements, secrets.

None of it decides anything of the chain, and most of it can be had from nobody again. What is said
of a checkpoint is held against the log here and verified with the keys that are at hand; each check
returns what it found as a sentence and raises, as those of `cli.inspection`, where it is wrong.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from cli.failure import Failure
from cli.node_storage import read_tokens
from cli.passed_on import explain
from cli.read_only import ReadOnlyDirectory
from genesis.document import Genesis
from ledger.block import decode_header, encode_header
from ledger.checkpoint import (
    parse_checkpoint_text,
    verify_cosignature,
)
from ledger.log import root_from_tiles
from ledger.note import decode_base64, parse_note, parse_signature_line, parse_verifier_key
from ledger.post_quantum import read_lines, verify_line
from ledger.refusal import Rejected
from ledger.snapshot import Manifest, edge_from_tiles
from ledger.words import Words
from node.api_server import make_api_context
from node.archived import read_archived
from node.certification import log_trust
from node.checkpoint_files import CheckpointFile, CheckpointFiles, F
from node.config import NodeConfig
from node.config_section import ConfigError
from node.home import NodeHome
from node.keystore import (
    Keystore,
    KeystoreError,
    PassphraseError,
    WrongPassphrase,
    read_passphrase,
)
from node.ledger_store import LedgerStore
from node.mldsa import verify_mldsa
from node.post_quantum_shelf import PostQuantumShelf, QuantumCheckpoint
from node.private_audit import verify_audit
from node.private_records import find_missing, verify_records
from node.restored_checkpoints import verify_own_note
from node.server import open_identity
from node.snapshot_files import MANIFEST_FILE, Base
from node.snapshot_shelf import SnapshotShelf
from node.timestamp_integrity import find_own_signer
from node.timestamp_protocol import Authority, compute_imprint, find_flaw
from node.timestamp_shelf import StampedCheckpoint, TimestampShelf
from node.timestamping import load_authorities
from node.tls import TlsIdentity, TlsIdentityError, make_contexts
from node.witness_shelf import WitnessedCheckpoint, WitnessShelf
from storage.files import Damaged, Directory

LONE_MAX: Final = 8
"""Keys without a box that are named."""

READ_BYTES: Final = 4 * 1024 * 1024
"""Bytes of an archived file hashed at a time."""


class Caution(Words):
    """What a check says of something that is no damage by itself and that people should look at."""

    __slots__ = ()


def check_secrets(home: NodeHome, config: NodeConfig) -> Words:
    """Read tokens and keystore; open keys and private fields where the passphrase is at hand."""
    said = _open_secrets(home, config)
    lone = _check_private_names(home)
    return _with_lone_keys(said, lone) if lone else said


def _open_secrets(home: NodeHome, config: NodeConfig) -> Words:
    tokens = len(read_tokens(home))
    _check_api_certificates(home, config)
    file = home.resolve(config.keys.passphrase_file) if config.keys.passphrase_file else None
    try:
        Keystore.verify(home.resolve(config.keys.keystore))
        read_passphrase(file, environ=os.environ)
        identity, keystore = open_identity(home, config)
        _open_tls(home, config, identity.genesis, keystore.tls_passphrase)
    except (PassphraseError, WrongPassphrase) as error:
        return Words(
            f"{tokens} 个访问令牌；密钥库文件完好，与非公开信息均未打开：{error.detail_zh}",
            f"{tokens} tokens; the keystore is intact and, like private fields, was not opened: "
            f"{error}",
        )
    except (KeystoreError, TlsIdentityError, ConfigError) as error:
        raise Failure(str(error), error.detail_zh) from None
    if not home.private.is_dir():
        return Words(f"{tokens} 个访问令牌，每个密钥", f"{tokens} tokens, every key")
    with closing(ReadOnlyDirectory(home.private)) as directory:
        count = verify_records(directory, keystore.private_fields_key)
    return Words(
        f"{tokens} 个访问令牌，每个密钥，{count} 份合同的非公开信息",
        f"{tokens} tokens, every key, private fields of {count} contracts",
    )


def _check_private_names(home: NodeHome) -> list[str]:
    """Raise `Failure` where a file is missing that the audit proves; return lone keys."""
    if not home.private.is_dir():
        return []
    with closing(ReadOnlyDirectory(home.private)) as directory:
        missing, lone = find_missing(directory)
    if missing is not None:
        raise Failure(missing.en, missing.zh)
    return lone


def _with_lone_keys(said: Words, lone: Sequence[str]) -> Caution:
    listed = ", ".join(lone[:LONE_MAX]) + (" …" if len(lone) > LONE_MAX else "")
    return Caution(
        f"{said.zh}；private/ 中有 {len(lone)} 个密钥没有对应的 .box（{listed}）：或为首次写入时"
        "断电所留，此时应由保管方再次写入；或其 .box 已丢失，此时应从自己的备份取回",
        f"{said.en}; in private/ {len(lone)} keys are without their .box ({listed}): a power loss "
        "in a first writing leaves one, and the custodian writes again; or the .box is lost, and "
        "comes back from your own backup",
    )


def _open_tls(home: NodeHome, config: NodeConfig, genesis: Genesis, passphrase: bytes) -> None:
    """Open the keys of both servers, as a start does."""
    pinned = [genesis.certificate(replica) for replica in range(len(genesis.institutions))]
    peer = TlsIdentity(home.tls_certificate, home.tls_key, passphrase)
    make_contexts(peer, pinned[config.replica], pinned)
    if config.api.tls:
        make_api_context(home, config.api, passphrase)


def _check_api_certificates(home: NodeHome, config: NodeConfig) -> None:
    """Verify each certificate of the API by the next, and the last by its authority if it is here.

    A start looks at the first one's key alone, and it is the clients that would refuse the rest.
    """
    file = home.resolve(config.api.certificate)
    if not config.api.tls or not file.exists():
        return  # a start says that it is missing
    issuers = str(file)
    try:
        chain = x509.load_pem_x509_certificates(file.read_bytes())
        if home.api_authority.exists():
            issuers += f", {home.api_authority}"
            authority = x509.load_pem_x509_certificate(home.api_authority.read_bytes())
            if chain[-1].issuer == authority.subject or file == home.api_certificate:
                chain += [authority, authority]
        for certificate, issuer in pairwise(chain):
            certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError) as error:
        why = str(error) or "a signature does not verify"
        raise Failure(
            f"{issuers}: the API's certificate does not verify up to its last issuer: {why}",
            f"{issuers}：API 的证书未能逐级核验到最后的签发者。原文：{why}",
        ) from None


def check_audit(home: NodeHome) -> Words:
    """Hold each line about who looked at private fields against its hash."""
    if not home.private.is_dir():
        return Words("无", "none")
    with closing(ReadOnlyDirectory(home.private)) as directory:
        count = verify_audit(directory)
    said = f"{count.lines} lines, each as it was written"
    said_zh = f"{count.lines} 行，均与写入时相同"
    if count.unsealed:
        said += f"; but of {count.unsealed}, which older versions wrote without a hash, none tells"
        said_zh += f"；其中 {count.unsealed} 行由旧版本写入而无哈希，无从判断"
    if not count.empty:
        return Words(said_zh, said)
    listed = ", ".join(count.empty)
    return Caution(
        f"{said_zh}；{listed} 没有任何一行：或为开始写入时断电所留，或其各行已丢失",
        f"{said}; {listed} has no line: the power was lost as it was begun, or its lines are lost",
    )


def check_archive(home: NodeHome, segments: Directory, store: LedgerStore) -> Words:
    """Compare every archived file with the home's list, which has to be true itself."""
    last = {each.name: each.last_height for each in store.chain_store.segments.sealed()}
    moved = read_archived(home)
    for file in moved:
        if last.get(file.name) != file.last_height:
            raise Damaged(
                str(home.archived), 0, f"{file.name} does not end at {file.last_height}",
                f"{file.name} 并非止于 {file.last_height}",
            )  # fmt: skip
        digest = hashlib.sha256()
        for offset in range(0, file.size_bytes, READ_BYTES):
            digest.update(segments.pread(file.name, offset, READ_BYTES))
        if digest.hexdigest() != file.sha256:
            what = f"its SHA-256 is {digest.hexdigest()}, and {home.archived} has {file.sha256}"
            what_zh = f"其 SHA-256 为 {digest.hexdigest()}，而 {home.archived} 载明 {file.sha256}"
            raise Damaged(f"{segments.path}/{file.name}", 0, what, what_zh)
    if not moved:
        return Words("没有移入归档的数据段", "nothing was moved there")
    return Words(f"{len(moved)} 个数据段，均与清单相符", f"{len(moved)} segments, each as listed")


def check_snapshots(home: NodeHome, store: LedgerStore) -> Words:
    """Read every chunk, and compare with the chain what a manifest says of it."""
    if not home.snapshots.is_dir():
        return Words("未曾制作", "none was made")
    with closing(ReadOnlyDirectory(home.snapshots)) as directory:
        shelf = SnapshotShelf(directory)
        if shelf.notices:
            raise complaint(shelf.notices)
        for height in shelf.heights:
            manifest = shelf.verify(height)
            first, last = store.first_height, store.chain_store.applied_height or 0
            if first <= manifest.base_height <= height <= last:
                _compare_manifest(f"{directory.path}/{height:016d}.manifest", manifest, store)
            # Else it is of a chain that has been replaced: members take what f+1 of them have.
        count, unfinished = len(shelf.heights), shelf.unfinished
    said = f"{count} snapshots, every chunk as its manifest says"
    said_zh = f"{count} 份快照，每一块均与其清单相符"
    if not unfinished:
        return Words(said_zh, said)
    listed = ", ".join(unfinished)
    return Caution(
        f"{said_zh}；{listed} 没有清单：或为制作中断所留，或其清单已丢失；下次启动即删除，"
        "此后的快照自会制作",
        f"{said}; {listed} has no manifest: its making was cut off, or the manifest is lost; the "
        "next start removes it, and later snapshots are made by themselves",
    )


def check_base(base: Base | None, path: Path, genesis: Genesis, store: LedgerStore) -> Words:
    """Compare what the chain began with, whose rows were read already, with the chain."""
    if base is None:
        return Words("链自创世开始", "the chain began with genesis")
    file = f"{path}/{MANIFEST_FILE}"
    _compare_manifest(file, base.manifest, store)
    try:
        said = verify_own_note(base.note, log_trust(genesis))
    except Rejected as rejected:
        raise Damaged(file, 0, rejected.detail, explain(rejected)) from None
    if said.size <= store.chain_store.log_size:
        root = root_from_tiles(said.size, store.read_tile)
        if said.root != root:
            fork = _tell_fork(said.root, root)
            raise Damaged(file, 0, fork.en, fork.zh)
    height = base.header.height
    return Words(
        f"区块 {height} 的快照，与本链一致", f"the snapshot of block {height}, as this chain has it"
    )


def _compare_manifest(file: str, manifest: Manifest, store: LedgerStore) -> None:
    """Raise `Damaged` unless a manifest says of its block and the log what the chain does."""
    try:
        height = decode_header(manifest.header).height
    except Rejected as rejected:
        raise Damaged(file, 0, rejected.detail, explain(rejected)) from None
    size = store.chain_store.block_position(manifest.base_height).first_index
    header = store.header(height)
    if (manifest.header, manifest.chain_id, manifest.base_size, manifest.edge) != (
        encode_header(header),
        header.chain_id,
        size,
        edge_from_tiles(size, store.read_tile),
    ):
        raise Damaged(
            file, 0, f"is not of block {height} of this chain", f"不属于本链的区块 {height}"
        )


def check_statements(
    home: NodeHome, config: NodeConfig, genesis: Genesis, store: LedgerStore
) -> Words:
    """Verify what authorities, witnesses and members said of checkpoints, and that they are ours.

    A token is judged by the roots of its authority and a witness's line by its key, as node.toml
    names them now; of others the form alone is. A token of another root than those is told from a
    damaged one by the certificate that it brought along.
    """
    try:
        authorities = load_authorities(home, config.timestamp)
    except ConfigError as error:
        raise Failure(str(error), error.detail_zh) from None
    judge = _Judge(genesis, store, config, authorities)
    with ExitStack() as stack:

        def look_at(folder: Path) -> Directory | None:
            if not folder.is_dir():
                return None
            directory = ReadOnlyDirectory(folder)
            stack.callback(directory.close)
            return directory

        stamped = look_at(home.timestamps)
        witnessed = look_at(home.witnessed)
        cosigned = look_at(home.post_quantum)
        counts = (
            _verify(None if stamped is None else TimestampShelf(stamped), judge.stamped),
            _verify(None if witnessed is None else WitnessShelf(witnessed), judge.witnessed),
            _verify(None if cosigned is None else PostQuantumShelf(cosigned, 1), judge.cosigned),
        )
    said = "checkpoints: {} stamped, {} witnessed, {} cosigned with ML-DSA-44".format(*counts)
    said_zh = "检查点：{} 个有时间戳，{} 个有见证副署，{} 个有 ML-DSA-44 联署".format(*counts)
    if judge.unjudged:
        said += f"; of {judge.unjudged} tokens and lines node.toml names no certificate or key"
        said_zh += f"；其中 {judge.unjudged} 个令牌与副署，node.toml 未载明其证书或公钥"
    for name, count in sorted(judge.unpinned.items()):
        said += (
            f"; {count} tokens of {name} are whole and verify by the certificate that each brought "
            "along, which leads to no root that node.toml pins now: put the former root behind the "
            f"others in timestamp.certificates.{name} and they are judged by it"
        )
        said_zh += (
            f"；{name} 的 {count} 个令牌完好，以各自所附的证书核验通过，但该证书不能追溯到 "
            f"node.toml 现在载明的根证书：将原来的根证书补在 timestamp.certificates.{name} "
            "的其余证书之后，即可据以核验"
        )
    return Words(said_zh, said)


def _verify(shelf: CheckpointFiles[F] | None, judge: Callable[[F], Words | None]) -> int:
    if shelf is None:
        return 0
    if shelf.notices:
        raise complaint(shelf.notices)
    return shelf.verify(judge)


class _Judge:
    """Judges files of what was said of checkpoints; counts what nothing at hand can judge."""

    def __init__(
        self,
        genesis: Genesis,
        store: LedgerStore,
        config: NodeConfig,
        authorities: Sequence[Authority],
    ) -> None:
        self._genesis = genesis
        self._trust = log_trust(genesis)
        self._store = store
        self._witness_keys = config.witness.keys
        self._authorities = {one.name: one for one in authorities}
        self.unjudged = 0
        self.unpinned: Counter[str] = Counter()
        """Tokens by authority that are whole and lead to none of the roots pinned for it now."""

    def stamped(self, file: StampedCheckpoint) -> Words | None:
        """Return what is wrong with a timestamped checkpoint."""
        verify_own_note(file.note, self._trust)
        for item in file.timestamps:
            authority = self._authorities.get(item.authority)
            token = decode_base64(item.token) or b""
            if authority is None:
                imprint = compute_imprint(item.hash, file.note)
                for other in self._authorities.values():
                    if not find_flaw(token, imprint, other):
                        return _not_its_own(item.authority, other.name)
                self.unjudged += 1
                continue
            flaw = find_flaw(token, compute_imprint(item.hash, file.note), authority)
            if flaw and find_own_signer(token) is not None:
                self.unpinned[item.authority] += 1
            elif flaw:
                return Words(
                    f"{item.authority} 的 {item.hash} 令牌未通过核验。原文：{flaw}",
                    f"the {item.hash} token of {item.authority} does not verify: {flaw}",
                )
        return self._find_fork(file)

    def witnessed(self, file: WitnessedCheckpoint) -> Words | None:
        """Return what is wrong with a witnessed checkpoint."""
        verify_own_note(file.note, self._trust)
        for item in file.cosignatures:
            line = parse_signature_line(item.line)
            named = self._witness_keys.get(item.witness)
            if named is None:
                for other, text in self._witness_keys.items():
                    key = parse_verifier_key(text)
                    if (line.name, line.key_id) == (key.name, key.key_id):
                        return _not_its_own(item.witness, other)
                self.unjudged += 1
                continue
            key = parse_verifier_key(named)
            if (line.name, line.key_id) != (key.name, key.key_id):
                told = f"{line.name[:120]!r} {line.key_id.hex()}"
                return Words(
                    f"{item.witness} 的副署以 {told} 具名，而 node.toml 载明的公钥为 {named}",
                    f"the line of {item.witness} is signed as {told}, and node.toml names its key "
                    f"{named}",
                )
            verify_cosignature(parse_note(file.note).text, key, line.signature)
        return self._find_fork(file)

    def cosigned(self, file: QuantumCheckpoint) -> Words | None:
        """Return what is wrong with a checkpoint that has ML-DSA-44 cosignatures."""
        note = parse_note(file.note)
        checkpoint = parse_checkpoint_text(note.text)
        keys = [decode_base64(key) or b"" for key in file.keys]
        for line in read_lines(note, keys, self._genesis.post_quantum_members):
            verify_line(line, checkpoint, verify_mldsa)
        chain = self._store.chain_store
        if chain.start.height <= file.height <= (chain.applied_height or 0):
            size = self._store.header(file.height).log_size
            if size != file.size:
                return Words(
                    f"载明属于区块 {file.height}，而该区块止于大小 {size}",
                    f"it is said to be of block {file.height}, which ends at size {size}",
                )
        return self._find_fork(file)

    def _find_fork(self, file: CheckpointFile) -> Words | None:
        """Return how a checkpoint differs from this log, as far as it reaches and is held."""
        chain = self._store.chain_store
        if not chain.start.log_size < file.size <= chain.log_size:
            return None
        root = root_from_tiles(file.size, self._store.read_tile)
        said = parse_checkpoint_text(parse_note(file.note).text).root
        return None if said == root else _tell_fork(said, root)


def _not_its_own(name: str, other: str) -> Words:
    return Words(
        f"所载的 {name!r} 不是其来源：它出自 {other}",
        f"what it has as of {name!r} is {other}'s",
    )


def _tell_fork(said: bytes, root: bytes) -> Words:
    return Words(
        f"其根哈希为 {said.hex()}，而本日志的为 {root.hex()}",
        f"its root is {said.hex()}, and this log's {root.hex()}",
    )


def complaint(found: Sequence[Words]) -> Failure:
    """Return the failure that several sentences about what lies there make together."""
    said = join_words(found)
    return Failure(said.en, said.zh)


def join_words(found: Sequence[Words]) -> Words:
    """Return sentences one after another."""
    return Words("".join(one.zh for one in found), " ".join(one.en for one in found))
