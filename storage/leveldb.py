"""LevelDB behind the six methods of `storage.keyvalue`.

Before LevelDB may open, its log, manifest and CURRENT are read by `storage.leveldb_files`, because
LevelDB itself drops a damaged tail of its log without a word and then deletes that log. Blocks are
not compressed (values are hashes and numbers), every read checks its CRC, and after one failed
write all are refused.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import plyvel

from ledger.words import Words
from storage.files import Damaged, InUse, StorageFailure, is_refusal
from storage.leveldb_files import cut_torn_log, is_unmade, verify_database, verify_outline

WRITE_BUFFER_BYTES: Final = 128 * 1024 * 1024
"""Default size of memory table and log file. Keys are hashes, so each table that is written is
merged with all of the level below: the larger, the less often. Measured in processor time for each
transaction, with 100,000 contracts: merging 38 µs at 8 MB, 13 at 32; over 450,000 transactions 5.6
at 64 MB, 2.7 at 128, 1.2 at 192. Storing takes 8.1, 9.6 and 10.5 at these three, because a larger
skip list misses the cache. With LevelDB's own 4 MB a full block also stalls for 200–490 ms."""

_TABLE_BYTES: Final = 16 * 1024 * 1024
"""Size of a table file: 1,000 open tables (LevelDB's default limit) reach 16 GB of index."""

_BLOCK_BYTES: Final = 8 * 1024
"""Size of a block of a table. LevelDB writes each by itself: with its own 4 kB some 0.43 calls for
each transaction (counted), with 8 kB 0.26. Larger ones would make every row that is not at hand
cost more, for its whole block is read and checked."""

_BLOOM_BITS: Final = 10
"""Bits per key of the filter: about 1 % of the lookups of an absent tx_id read a block."""

_KEPT_BATCH_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of a batch whose memory is kept for the next one: a block's some 20,000 rows are 3 MB of it. What
is put in once (a snapshot's rows, with whole documents in them) may be far more."""

_key: Final = itemgetter(0)

CACHE_BYTES: Final = 64 * 1024 * 1024
"""Default size of the cache of blocks."""


class LevelDBStore:
    """A LevelDB database in its own directory."""

    def __init__(
        self,
        path: Path,
        *,
        cache_bytes: int = CACHE_BYTES,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES,
    ) -> None:
        self.notices: list[Words] = []
        self._path = path
        self._cache_bytes = cache_bytes
        self._write_buffer_bytes = write_buffer_bytes
        self._failure: Exception | None = None
        self._db: Any = None
        self._batches: list[Any] = []
        """At most one empty batch, to be filled by whoever writes next."""
        self._open()

    def get(self, key: bytes) -> bytes | None:
        self._refuse_closed()
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True)
        except plyvel.Error as error:
            raise self._translated(error) from error
        return value

    def write(self, puts: Iterable[tuple[bytes, bytes]], deletes: Iterable[bytes] = ()) -> None:
        if self._failure is not None:
            raise StorageFailure(
                f"{self._path}: refused after a failed write ({self._failure})",
                f"{self._path}：此前写入失败，不再写入。原文：{self._failure}",
            )
        # Memory for the rows of a block is taken from the system, and zeroed by it, only once.
        batch = self._batches.pop() if self._batches else self._db.write_batch(sync=True)
        put = batch.put
        # In key order the skip list is walked where it was just walked: 30 % less per put
        # (measured). The sort is stable, so a key put twice keeps its last value.
        for key, value in sorted(puts, key=_key):
            put(key, value)
        for key in deletes:
            batch.delete(key)
        try:
            batch.write()
        except plyvel.Error as error:
            self._failure = error
            raise StorageFailure(
                f"{self._path}: write failed: {error}", f"{self._path}：写入失败。原文：{error}"
            ) from error
        if batch.approximate_size() <= _KEPT_BATCH_BYTES_MAX and not self._batches:
            batch.clear()
            self._batches.append(batch)

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self._refuse_closed()
        try:
            with self._db.iterator(
                start=start, stop=stop, reverse=reverse, verify_checksums=True
            ) as pairs:
                yield from pairs
        except plyvel.Error as error:
            raise self._translated(error) from error

    def freeze(self, start: bytes, stop: bytes) -> Generator[tuple[bytes, bytes], None, None]:
        self._refuse_closed()
        # An iterator of LevelDB reads the moment at which it was made. What is read once and in
        # order must not push the chain's own rows out of the cache.
        pairs = self._db.iterator(start=start, stop=stop, verify_checksums=True, fill_cache=False)

        def walk() -> Generator[tuple[bytes, bytes], None, None]:
            try:
                with pairs:
                    yield from pairs
            except plyvel.Error as error:
                raise self._translated(error) from error

        return walk()

    def verify(self) -> None:
        """Close the database, read every byte of its files, open it again and walk every pair."""
        self.close()
        self._batches.clear()
        verify_database(self._path)
        self._open()
        try:
            with self._db.iterator(verify_checksums=True, fill_cache=False) as pairs:
                for _ in pairs:
                    pass
        except plyvel.Error as error:
            raise self._translated(error) from error

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _refuse_closed(self) -> None:
        if self._db.closed:
            raise Damaged(
                str(self._path), 0, "stays closed, because damage was found in it",
                "发现其中有损坏，因此不再打开",
            )  # fmt: skip

    def _open(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        if is_unmade(self._path):
            (self._path / "CURRENT").unlink(missing_ok=True)  # LevelDB makes the rest anew
        else:
            verify_outline(self._path)
            self.notices.extend(cut_torn_log(self._path))
        try:
            self._db = plyvel.DB(
                str(self._path),
                create_if_missing=True,
                paranoid_checks=True,
                write_buffer_size=self._write_buffer_bytes,
                max_file_size=_TABLE_BYTES,
                block_size=_BLOCK_BYTES,
                lru_cache_size=self._cache_bytes,
                bloom_filter_bits=_BLOOM_BITS,
                compression=None,
            )
        except plyvel.IOError as error:
            if "lock" in str(error):
                raise InUse(
                    f"{self._path} is in use by another process", f"{self._path} 正被另一进程占用"
                ) from error
            if is_refusal(str(error)):
                raise StorageFailure(
                    f"{self._path}: LevelDB cannot open it: {error}",
                    f"{self._path}：LevelDB 无法打开。原文：{error}",
                ) from error
            raise Damaged(
                str(self._path),
                0,
                f"LevelDB cannot open it: {error}",
                f"LevelDB 无法打开。原文：{error}",
            ) from error
        except plyvel.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, plyvel.IOError):
            return StorageFailure(
                f"{self._path}: LevelDB cannot read: {error}",
                f"{self._path}：LevelDB 无法读取。原文：{error}",
            )
        return Damaged(
            str(self._path), 0, f"LevelDB reports: {error}", f"LevelDB 报错。原文：{error}"
        )
