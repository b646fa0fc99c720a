"""Backup and restore of one node's chain.

A backup is the segments up to the applied block, the snapshot that the chain began with if it did
not begin with genesis, the certified checkpoints, what outsiders said of them, and the files
named by the caller (the genesis document), with a manifest of SHA-256 per file; the index is
not in it, because it is built again from the segments. The vote journal is never in it: restored
votes would be old ones, and a node that has forgotten its newest votes can break the quorum's
promise (silent amnesia). So `restore` leaves the durable marker file `RECOVER`, and a node that
finds it starts in `recover`. The marker is written first and removed by nobody but the node that
has recovered. A running node makes its own backup: what is applied lies still, later blocks are
left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from ledger.system_words import explain_system
from ledger.words import Words
from storage.chain import ChainStore
from storage.files import Damaged, Refusal, StorageFailure, sync_directory
from storage.segments import segment_name

RECOVER_MARKER: Final = "RECOVER"
"""Name of the file in a node's home that makes it start in `recover`."""

SEGMENTS_DIRECTORY: Final = "segments"
BASE_DIRECTORY: Final = "base"
"""The snapshot that a chain began with; there is none where it began with genesis."""

TIMESTAMPS_DIRECTORY: Final = "timestamps"
WITNESSED_DIRECTORY: Final = "witnessed"
POST_QUANTUM_DIRECTORY: Final = "postquantum"
STATEMENT_DIRECTORIES: Final = (TIMESTAMPS_DIRECTORY, WITNESSED_DIRECTORY, POST_QUANTUM_DIRECTORY)
"""What authorities, witnesses and members said of checkpoints: nobody can be asked again about the
past."""

CHECKPOINTS_FILE: Final = "checkpoints.json"
WITHOUT_CHECKPOINTS: Final = Words(
    "删去该文件，节点会收集之后的检查点", "without the file later ones are collected"
)
MANIFEST_FILE: Final = "manifest.json"

_FORMAT: Final = "evidence-ledger/backup/v1"
_CHUNK_BYTES: Final = 4 * 1024 * 1024
"""Bytes copied and hashed at a time."""
_MANIFEST_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest manifest read: 100 bytes per segment, so 40 PB of chain."""
_NAME: Final = re.compile(
    r"base/[A-Za-z]{1,20}|segments/[0-9]{8}\.segment|(?:timestamps|witnessed|postquantum)"
    r"/[0-9]{20}\.json"
    r"|[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
)


_RESERVED: Final = frozenset(
    {
        RECOVER_MARKER,
        MANIFEST_FILE,
        SEGMENTS_DIRECTORY,
        BASE_DIRECTORY,
        *STATEMENT_DIRECTORIES,
        "votes",
    }
)
"""Names that a backup may not bring into a home."""


class BackupRefused(Refusal):
    """A backup cannot be made or used as asked; nothing was changed."""


@dataclass(frozen=True, slots=True)
class BackedUpFile:
    """One file of a backup."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    applied_height: int
    log_size: int
    files: tuple[BackedUpFile, ...]

    def to_json(self) -> bytes:
        """Return the manifest's one spelling."""
        value = {
            "format": _FORMAT,
            "applied_height": self.applied_height,
            "log_size": self.log_size,
            "files": [
                {"name": file.name, "size_bytes": file.size_bytes, "sha256": file.sha256}
                for file in self.files
            ],
        }
        return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Read a manifest; `BackupRefused` unless it is spelled as `to_json` spells it."""
        try:
            value = json.loads(data)
            files = tuple(
                BackedUpFile(str(file["name"]), int(file["size_bytes"]), str(file["sha256"]))
                for file in value["files"]
            )
            manifest = cls(int(value["applied_height"]), int(value["log_size"]), files)
        except (ValueError, KeyError, TypeError) as error:
            raise BackupRefused(
                f"{MANIFEST_FILE} cannot be read: {error}",
                f"{MANIFEST_FILE} 无法解读。原文：{error}",
            ) from None
        if manifest.to_json() != data:
            raise BackupRefused(
                f"{MANIFEST_FILE} is not a manifest of format {_FORMAT}",
                f"{MANIFEST_FILE} 不是 {_FORMAT} 格式的清单",
            )
        seen: set[str] = set()
        for name in (file.name for file in files):
            if _NAME.fullmatch(name) is None or name in seen or name in _RESERVED:
                raise BackupRefused(
                    f"{MANIFEST_FILE} names {name!r}, which is no file of a backup",
                    f"{MANIFEST_FILE} 列有 {name!r}，这不是备份中的文件",
                )
            seen.add(name)
        return manifest


def back_up(
    store: ChainStore, destination: Path, home: Path, extra_names: Sequence[str] = ()
) -> Manifest:
    """Write a backup to a new directory, or to a new tar file if the name ends in `.tar`.

    `extra_names` are files directly in `home`; name none that hold a private key.
    """
    height = store.applied_height
    if height is None:
        raise BackupRefused(
            "the chain is empty, there is nothing to back up", "链为空，没有可备份的数据"
        )
    if destination.exists():
        raise BackupRefused(
            f"{destination} exists; a backup never overwrites",
            f"{destination} 已存在；备份绝不覆盖",
        )
    last = store.block_position(height)
    for name in extra_names:
        if _NAME.fullmatch(name) is None or name in {*_RESERVED, CHECKPOINTS_FILE}:
            raise BackupRefused(
                f"{name!r} is not the name of a file directly in the home",
                f"{name!r} 不是节点目录下文件的名称",
            )
    store.flush_checkpoints()
    encoded = _encode_checkpoints(
        [(at, note) for at, note in store.scan_checkpoints() if at <= height]
    )
    with _writer(destination) as write:
        files = []
        for number in range(last.place.segment + 1):
            is_last = number == last.place.segment
            size = last.place.end if is_last else store.segments.size(number)
            chunks = store.segments.copy(number, size)
            files.append(write(f"{SEGMENTS_DIRECTORY}/{segment_name(number)}", size, chunks))
        base = (BASE_DIRECTORY,) if store.start.height else ()
        for name in _find_files(home, (*base, *STATEMENT_DIRECTORIES)):
            path = home / name
            files.append(write(name, path.stat().st_size, _read_chunks(path)))
        for name in extra_names:
            data = (home / name).read_bytes()
            files.append(write(name, len(data), [data]))
        files.append(write(CHECKPOINTS_FILE, len(encoded), [encoded]))
        manifest = Manifest(height, last.end_index, tuple(files))
        data = manifest.to_json()
        write(MANIFEST_FILE, len(data), [data])
    return manifest


def _find_files(home: Path, folders: Sequence[str]) -> Iterator[str]:
    """Yield the names of the files in these folders that belong into a backup, and no others."""
    for folder in folders:
        for path in sorted((home / folder).glob("*")):
            name = f"{folder}/{path.name}"
            if _NAME.fullmatch(name) and path.is_file():
                yield name


def verify_backup(source: Path) -> Manifest:
    """Read a whole backup and compare it with its manifest; `BackupRefused` if it differs."""
    with _reader(source) as read:
        manifest = _read_manifest(read)
        for file in manifest.files:
            for _ in _checked(read(file.name), file):
                pass
    return manifest


def restore(source: Path, home: Path) -> Manifest:
    """Restore a backup into an empty or absent home, which then must go through `recover`.

    The whole backup is checked before the first byte is written and again while it is copied.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise BackupRefused(
            f"{home} is not empty; restore never overwrites a node's home",
            f"{home} 不是空目录；恢复备份绝不覆盖节点目录",
        )
    manifest = verify_backup(source)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    sentence = (
        f"Restored from a backup at height {manifest.applied_height}. The votes of this node are "
        "not in a backup: it must go through recover before it votes.\n"
    )
    _write_file(home / RECOVER_MARKER, [sentence.encode()])
    partial = home / (SEGMENTS_DIRECTORY + ".partial")
    partial.mkdir(mode=0o700)
    with _reader(source) as read:
        for file in manifest.files:
            name = file.name.removeprefix(SEGMENTS_DIRECTORY + "/")
            target = (home if name == file.name else partial) / name
            target.parent.mkdir(mode=0o700, exist_ok=True)
            _write_file(target, _checked(read(file.name), file))
    os.rename(partial, home / SEGMENTS_DIRECTORY)
    sync_directory(home)
    sync_directory(home.parent)
    return manifest


def read_checkpoints(store: ChainStore, home: Path) -> list[tuple[int, bytes]]:
    """Return the (height, note) of the checkpoints that `restore` left in a home.

    Those of blocks that are not here are left out. Raises `Damaged`.
    """
    file = home / CHECKPOINTS_FILE
    if not file.exists():
        return []
    raw = file.read_bytes()
    try:
        checkpoints = [(int(at), str(note).encode()) for at, note in json.loads(raw)]
        if _encode_checkpoints(checkpoints) != raw:
            raise ValueError("it is not spelled as a backup spells it")
    except (ValueError, TypeError) as error:
        what = f"is no list of checkpoints ({error}); {WITHOUT_CHECKPOINTS.en}"
        what_zh = f"不是检查点清单；{WITHOUT_CHECKPOINTS.zh}。原文：{error}"
        raise Damaged(str(file), 0, what, what_zh) from None
    applied = -1 if store.applied_height is None else store.applied_height
    return [(at, note) for at, note in checkpoints if store.start.height <= at <= applied]


def import_checkpoints(store: ChainStore, home: Path, held: Sequence[tuple[int, bytes]]) -> None:
    """Put checkpoints that `restore` left in a home into the index, and take their file away.

    `held` is what `read_checkpoints` returned; the caller has verified it.
    """
    for height, note in held:
        store.put_checkpoint(height, note)
    store.flush_checkpoints()
    if (home / CHECKPOINTS_FILE).exists():
        (home / CHECKPOINTS_FILE).unlink()
        sync_directory(home)


def _encode_checkpoints(checkpoints: Sequence[tuple[int, bytes]]) -> bytes:
    listed = [[at, note.decode("utf-8")] for at, note in checkpoints]
    return json.dumps(listed, ensure_ascii=False).encode()


def is_recovery_demanded(home: Path) -> bool:
    """Say whether a node with this home must start in `recover`."""
    return (home / RECOVER_MARKER).exists()


def demand_recovery(home: Path, reason: str) -> None:
    """Leave the durable marker that makes the node start in `recover`.

    A marker counts whatever is in it, so one that could not be written whole is not left: whoever
    is told that it failed goes on with the journal there is.
    """
    marker = home / RECOVER_MARKER
    draft = home / (RECOVER_MARKER + ".draft")
    try:
        _write_file(draft, [reason.encode() + b"\n"])
        os.rename(draft, marker)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(home)


def clear_recovery(home: Path) -> None:
    """Remove the marker: the node has recovered, and its new journal says so durably."""
    (home / RECOVER_MARKER).unlink(missing_ok=True)
    sync_directory(home)


_Chunks = Sequence[bytes] | Iterator[bytes]
_Write = Callable[[str, int, _Chunks], BackedUpFile]
_Read = Callable[[str], IO[bytes]]


@contextmanager
def _writer(destination: Path) -> Iterator[_Write]:
    """Write into a partial directory or tar beside the destination; name it rightly at the end.

    What fails takes its part away again, or it would hold the room that was wanting and stand in
    the next one's way. A process that is killed leaves it, and the next one says so.
    """
    partial = destination.with_name(destination.name + ".partial")
    if partial.exists():
        raise BackupRefused(
            f"{partial} exists, left by a backup that was cut short; remove it",
            f"{partial} 已存在，是中断的备份所留；请先删除",
        )
    try:
        with _tar_writer(partial) if destination.suffix == ".tar" else _writer_into(partial) as one:
            yield one
        os.rename(partial, destination)
    except FileExistsError:
        raise  # another's, begun at the same moment
    except BaseException as error:
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise StorageFailure(
                f"{partial}: write failed: {error.strerror or error}",
                f"{partial}：写入失败：{explain_system(error)}",
            ) from error
        raise
    sync_directory(destination.parent)


@contextmanager
def _tar_writer(partial: Path) -> Iterator[_Write]:
    with open(partial, "xb", opener=_open_private) as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            yield lambda name, size, chunks: _write_member(tar, name, size, chunks)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _writer_into(partial: Path) -> Iterator[_Write]:
    partial.mkdir(mode=0o700, parents=True)
    for name in (SEGMENTS_DIRECTORY, BASE_DIRECTORY, *STATEMENT_DIRECTORIES):
        (partial / name).mkdir(mode=0o700)
    yield lambda name, size, chunks: _write_hashed(partial, name, size, chunks)
    sync_directory(partial / SEGMENTS_DIRECTORY)
    for name in (BASE_DIRECTORY, *STATEMENT_DIRECTORIES):
        sync_directory(partial / name)
        if not any((partial / name).iterdir()):
            (partial / name).rmdir()
    sync_directory(partial)


@contextmanager
def _reader(source: Path) -> Iterator[_Read]:
    if source.is_dir():
        yield lambda name: _open_file(source, name)
        return
    try:
        with tarfile.open(source, mode="r:") as tar:
            yield lambda name: _open_member(tar, name)
    except (tarfile.TarError, FileNotFoundError) as error:
        raise BackupRefused(
            f"{source} is no backup: {error}", f"{source} 不是备份。原文：{error}"
        ) from None


def _read_manifest(read: _Read) -> Manifest:
    with read(MANIFEST_FILE) as stream:
        return Manifest.from_json(stream.read(_MANIFEST_BYTES_MAX))


def _checked(stream: IO[bytes], file: BackedUpFile) -> Iterator[bytes]:
    """Yield a file's chunks; raise at the end unless they were what the manifest says."""
    digest = hashlib.sha256()
    size = 0
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
    if (size, digest.hexdigest()) != (file.size_bytes, file.sha256):
        raise BackupRefused(
            f"{file.name} has {size} bytes of SHA-256 {digest.hexdigest()}, the manifest says "
            f"{file.size_bytes} of {file.sha256}",
            f"{file.name} 有 {size} 字节，SHA-256 为 {digest.hexdigest()}，而清单写明 "
            f"{file.size_bytes} 字节，{file.sha256}",
        )


def _write_hashed(directory: Path, name: str, size: int, chunks: _Chunks) -> BackedUpFile:
    digest = hashlib.sha256()

    def observed() -> Iterator[bytes]:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk

    _write_file(directory / name, observed())
    return BackedUpFile(name, size, digest.hexdigest())


def _read_chunks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


class _Stream:
    """Turns chunks into the file object that tarfile reads, hashing what passes."""

    def __init__(self, chunks: _Chunks) -> None:
        self._chunks = iter(chunks)
        self._rest = BytesIO()
        self.digest = hashlib.sha256()

    def read(self, length: int) -> bytes:
        parts = []
        while length > 0:
            part = self._rest.read(length)
            if not part:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._rest = BytesIO(chunk)
                continue
            parts.append(part)
            length -= len(part)
        data = b"".join(parts)
        self.digest.update(data)
        return data


def _write_member(tar: tarfile.TarFile, name: str, size: int, chunks: _Chunks) -> BackedUpFile:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    stream = _Stream(chunks)
    tar.addfile(member, stream)  # type: ignore[arg-type] # it only reads
    return BackedUpFile(name, size, stream.digest.hexdigest())


def _open_file(directory: Path, name: str) -> IO[bytes]:
    file = directory / name
    if file.is_symlink() or not file.is_file():
        raise BackupRefused(f"{file} is missing from the backup", f"备份中缺少 {file}")
    return open(file, "rb")


def _open_member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        member = tar.getmember(name)
    except KeyError:
        raise BackupRefused(f"{name} is missing from the backup", f"备份中缺少 {name}") from None
    stream = tar.extractfile(member) if member.isreg() else None
    if stream is None:
        raise BackupRefused(
            f"{name} is not a plain file in the backup", f"备份中的 {name} 不是普通文件"
        )
    return stream


def _open_private(path: str, flags: int) -> int:
    """Open for this user alone: bodies are in it, which a node shows by token only."""
    return os.open(path, flags, 0o600)


def _write_file(path: Path, chunks: _Chunks) -> None:
    try:
        with open(path, "wb", opener=_open_private) as stream:
            for chunk in chunks:
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        sync_directory(path.parent)
    except OSError as error:
        raise StorageFailure(
            f"{path}: write failed: {error.strerror or error}",
            f"{path}：写入失败：{explain_system(error)}",
        ) from error
