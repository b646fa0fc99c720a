"""RocksDB behind the six methods of `storage.keyvalue`, for the day plyvel has no wheel.

An optional back end: `rocksdict` is imported here and nowhere else. It passes the same contract
tests; what it lacks is an independent reader of its files, so `verify` sees what RocksDB's own
checksums see, and `ChainStore.verify` compares the rest with the segments.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from ledger.words import Words
from storage.files import Damaged, InUse, StorageFailure, is_refusal

WRITE_BUFFER_BYTES: Final = 128 * 1024 * 1024
"""As for LevelDB: a whole block of 5,000 transactions fits many times."""

_BLOOM_BITS: Final = 10
"""As for LevelDB: about 1 % of the lookups of an absent key read a block."""

_OPEN_TABLES_MAX: Final = 200
"""Descriptors of table files: RocksDB's default is one for each there is, and clients' connections
want some too (`node.descriptors`)."""

CACHE_BYTES: Final = 64 * 1024 * 1024
"""Default size of the cache of blocks: as much as the write buffer."""


class RocksStore:
    """A RocksDB database in its own directory."""

    def __init__(
        self,
        path: Path,
        *,
        cache_bytes: int = CACHE_BYTES,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES,
        is_strict: bool = False,
    ) -> None:
        """Open or make it. A log that ends in a torn batch is cut there, or `Damaged` if strict:
        RocksDB does not say whether it has cut anything."""
        self.notices: list[Words] = []
        self._path = path
        self._failure: Exception | None = None
        path.mkdir(parents=True, exist_ok=True)
        try:
            self._db = Rdict(str(path), _options(cache_bytes, write_buffer_bytes, is_strict))
        except Exception as error:  # rocksdict raises nothing narrower
            if "lock file" in str(error).lower() or "lock hold" in str(error):
                raise InUse(
                    f"{path} is in use by another process", f"{path} 正被另一进程占用"
                ) from error
            if is_refusal(str(error)):
                raise StorageFailure(
                    f"{path}: RocksDB cannot open it: {error}",
                    f"{path}：RocksDB 无法打开。原文：{error}",
                ) from error
            raise Damaged(
                str(path), 0, f"RocksDB cannot open it: {error}", f"RocksDB 无法打开。原文：{error}"
            ) from error
        self._synced = WriteOptions()
        self._synced.sync = True
        self._db.set_read_options(_read_options())

    def get(self, key: bytes) -> bytes | None:
        try:
            value = self._db.get(key)
        except DbClosedError:
            raise
        except Exception as error:  # rocksdict raises nothing narrower
            raise self._reported(error) from error
        return None if value is None else bytes(value)

    def write(self, puts: Iterable[tuple[bytes, bytes]], deletes: Iterable[bytes] = ()) -> None:
        if self._failure is not None:
            raise StorageFailure(
                f"{self._path}: refused after a failed write ({self._failure})",
                f"{self._path}：此前写入失败，不再写入。原文：{self._failure}",
            )
        batch = WriteBatch(raw_mode=True)
        for key, value in puts:
            batch.put(key, value)
        for key in deletes:
            batch.delete(key)
        try:
            self._db.write(batch, self._synced)
        except DbClosedError:
            raise
        except Exception as error:  # rocksdict raises nothing narrower
            self._failure = error
            raise StorageFailure(
                f"{self._path}: write failed: {error}", f"{self._path}：写入失败。原文：{error}"
            ) from error

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return self._walk(self._db.iter(_read_options()), start, stop, reverse)

    def freeze(self, start: bytes, stop: bytes) -> Generator[tuple[bytes, bytes], None, None]:
        # An iterator of RocksDB reads the moment at which it was made.
        return self._walk(self._db.iter(_read_options()), start, stop, False)

    def _walk(
        self, pairs: RdictIter, start: bytes, stop: bytes, reverse: bool
    ) -> Generator[tuple[bytes, bytes], None, None]:
        if reverse:
            pairs.seek_for_prev(stop)
            if pairs.valid() and pairs.key() == stop:
                pairs.prev()
        else:
            pairs.seek(start)
        while pairs.valid():
            key = bytes(pairs.key())
            if key < start if reverse else key >= stop:
                return
            yield key, bytes(pairs.value())
            if reverse:
                pairs.prev()
            else:
                pairs.next()
        self._check(pairs)

    def verify(self) -> None:
        """Walk every pair with RocksDB's own checksums on."""
        self._db.flush(wait=True)
        pairs = self._db.iter(_read_options())
        pairs.seek_to_first()
        while pairs.valid():
            pairs.next()
        self._check(pairs)

    def close(self) -> None:
        try:
            self._db.close()
        except DbClosedError:
            return

    def _reported(self, error: Exception) -> Damaged:
        return Damaged(
            str(self._path), 0, f"RocksDB reports: {error}", f"RocksDB 报错。原文：{error}"
        )

    def _check(self, pairs: RdictIter) -> None:
        """Raise if an iterator ended at damage and not at the end."""
        try:
            pairs.status()
        except Exception as error:  # rocksdict raises nothing narrower
            raise self._reported(error) from error


def _read_options() -> ReadOptions:
    options = ReadOptions()
    options.set_verify_checksums(True)
    return options


def _options(cache_bytes: int, write_buffer_bytes: int, is_strict: bool) -> Options:
    table = BlockBasedOptions()
    table.set_bloom_filter(_BLOOM_BITS, False)
    table.set_block_cache(Cache(cache_bytes))
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_paranoid_checks(True)
    if is_strict:
        # Who wants to see every flaw wants to see the tables as they lie there.
        options.set_disable_auto_compactions(True)
    options.set_write_buffer_size(write_buffer_bytes)
    options.set_max_open_files(_OPEN_TABLES_MAX)
    options.set_compression_type(DBCompressionType.none())
    options.set_wal_recovery_mode(
        DBRecoveryMode.absolute_consistency()
        if is_strict
        else DBRecoveryMode.tolerate_corrupted_tail_records()
    )
    options.set_block_based_table_factory(table)
    return options
