"""What a submitter keeps, so that a node which breaks its word can be convicted of it later.

A node answers what it takes in with a signed promise, the receipt. Without the receipt, and the
very bytes that it is about, nobody can prove an omission; so `submit --keep FILE` writes both down
as soon as they come, before it waits for the chain. One JSON object a line:

    {"batch", "envelope", "node", "receipt", "tx_id"}    (docs/FORMATS.md)

A receipt that proves nothing (another key, another chain, a signature that does not verify) is not
kept but said, as is one that never came: whoever signs no better does not mean to be held to it.
Each node's first promise about a transaction is kept; those after it promise less.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from cli.arguments import read_input
from cli.failure import unusable
from cli.passed_on import explain
from cli.refusals import in_the_way, unwritable
from genesis.document import Genesis
from ledger.merkle import inclusion_proofs, leaf_hash
from ledger.note import encode_base64
from ledger.receipt import (
    BatchReceipt,
    IntakeReceipt,
    read_receipt,
    verify_batch_receipt,
    verify_receipt,
)
from ledger.refusal import Reason, Rejected
from ledger.transaction import Transaction, decode_transaction

FILE_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Of what is read again: half a million transactions, each with a promise."""


class Promise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line: a transaction, and what a node promised about it."""

    batch: dict[str, Any] | None
    """`index` and `path` (list of base64) under the receipt's root; None for a receipt of its
    own."""
    envelope: str
    """Base64 of what was sent."""
    node: str
    """URL at which it was promised; the receipt names the institution."""
    receipt: dict[str, Any]
    tx_id: str
    """64 hex digits; for whoever looks for it."""

    @property
    def sent(self) -> bytes:
        """What was sent; raises ValueError."""
        return base64.b64decode(self.envelope, validate=True)


@dataclass(slots=True)
class PromiseBook:
    """A file that grows by a line for each promise; use it as a context manager.

    One without a line is taken away in the end, or it would stand in the way of the next attempt.
    May be told from several threads. Each addition is durable when it returns.
    """

    path: Path
    genesis: Genesis
    worthless: dict[str, Rejected]
    """By URL of a node, the first of its receipts that proves nothing or did not come."""
    count: int
    _descriptor: int
    _size: int
    _kept: set[tuple[str, str]]
    _guard: threading.Lock

    @classmethod
    def create(cls, path: Path, genesis: Genesis) -> PromiseBook:
        """Make the file, readable by its owner alone; raise `Failure` where it cannot be."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise in_the_way(path) from None
        except OSError as error:
            raise unwritable(path, error) from None
        return cls(path, genesis, {}, 0, descriptor, 0, set(), threading.Lock())

    def __enter__(self) -> PromiseBook:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        if not self._size:
            self.path.unlink(missing_ok=True)

    def keep_answer(self, url: str, envelope: bytes, answer: Mapping[str, Any]) -> None:
        """Keep what a node answered to one transaction, if that is a promise. Raises `Failure`."""
        if "receipt" in answer:
            self._keep(url, [envelope], answer["receipt"])
        elif answer.get("status") == "accepted":
            tx_id = decode_transaction(envelope).tx_id.hex()
            none = Rejected(Reason.BAD_FIELD, f"receipt: {tx_id} was taken in without one")
            self.worthless.setdefault(url, none)

    def keep_batch(self, url: str, envelopes: Sequence[bytes], answer: Mapping[str, Any]) -> None:
        """Keep what a node answered to a request of several. Raises `Failure`."""
        taken = [
            (envelope, result["accepted"])
            for envelope, result in zip(envelopes, answer["results"], strict=True)
            if result.get("accepted")
        ]
        if "receipt" in answer:
            self._keep(url, [envelope for envelope, _ in taken], answer["receipt"])
        else:
            for envelope, accepted in taken:
                self.keep_answer(url, envelope, accepted)

    def _keep(self, url: str, envelopes: Sequence[bytes], form: Mapping[str, Any]) -> None:
        """Write a line for each transaction of one receipt, if it holds."""
        tx_ids = [decode_transaction(envelope).tx_id for envelope in envelopes]
        try:
            receipt = read_receipt(form)
            self._verify(receipt, tx_ids)
        except Rejected as rejected:
            self.worthless.setdefault(url, rejected)
            return
        places: list[dict[str, Any] | None] = [None] * len(tx_ids)
        if isinstance(receipt, BatchReceipt):
            paths = inclusion_proofs([leaf_hash(tx_id) for tx_id in tx_ids])
            places = [
                {"index": index, "path": list(map(encode_base64, path))}
                for index, path in enumerate(paths)
            ]
        lines = []
        with self._guard:
            for envelope, tx_id, place in zip(envelopes, tx_ids, places, strict=True):
                name = tx_id.hex()
                if (url, name) not in self._kept:
                    self._kept.add((url, name))
                    lines.append(Promise(place, encode_base64(envelope), url, dict(form), name))
            self._append(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            self.count += len(lines)

    def _verify(self, receipt: IntakeReceipt | BatchReceipt, tx_ids: Sequence[bytes]) -> None:
        """Raise `Rejected` unless an institution of genesis promised these and no others."""
        chain_id, validators = self.genesis.chain_id, self.genesis.validators.validators
        issuer = next((one for one in validators if one.id == receipt.node), None)
        if issuer is None:
            raise Rejected(
                Reason.NOT_A_VALIDATOR, f"receipt: {receipt.node} is no institution of genesis"
            )
        if isinstance(receipt, BatchReceipt):
            verify_batch_receipt(receipt, chain_id, issuer.party_key, tx_ids)
            return
        verify_receipt(receipt, chain_id, issuer.party_key)
        if list(tx_ids) != [receipt.tx_id]:
            raise Rejected(
                Reason.ROOT_MISMATCH, f"receipt: it is about transaction {receipt.tx_id.hex()}"
            )

    def _append(self, lines: bytes) -> None:
        """Write durably, all or nothing. Raises `Failure`."""
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise unwritable(self.path, error) from None
        self._size += len(lines)


def find_promise(path: Path, contract: str, tx_id: str | None) -> Promise:
    """Return the promise in a kept file about a contract's transaction: the one there is, or the
    one named.

    Raises `Failure` where there is none, or several and none is named.
    """
    stream = f"contract/{contract}"
    found: dict[str, Promise] = {}
    lines = read_input(path, FILE_BYTES_MAX).splitlines(keepends=True)
    if lines and not _is_whole(lines[-1]):
        lines.pop()  # broken off as it was written: that promise was not kept, those before it are
    for number, line in enumerate(lines, 1):
        promise, transaction = _read_line(path, number, line)
        name = transaction.tx_id.hex()
        if transaction.body.stream == stream and tx_id in {None, name}:
            found.setdefault(name, promise)
    if not found:
        wanted = f" by id {tx_id}" if tx_id else ""
        wanted_zh = f"中交易 {tx_id} " if tx_id else ""
        raise unusable(
            f"{path} has no promise about a transaction of {stream}{wanted}.",
            f"{path} 中没有关于 {stream} {wanted_zh}的承诺。",
        )
    first = next(iter(found))
    if len(found) > 1:
        raise unusable(
            f"{path} has promises about {len(found)} transactions of {stream}; choose one with "
            f"--transaction, such as {first}.",
            f"{path} 中有关于 {stream} 的 {len(found)} 笔交易的承诺；请以 --transaction "
            f"指定一笔，例如 {first}。",
        )
    return found[first]


def _is_whole(line: bytes) -> bool:
    """Whether a last line has its end, or lacks only what an editor took away."""
    if line.endswith(b"\n"):
        return True
    try:
        msgspec.json.decode(line)
    except ValueError:
        return False
    return True


def _read_line(path: Path, number: int, line: bytes) -> tuple[Promise, Transaction]:
    try:
        promise = msgspec.json.decode(line, type=Promise)
        return promise, decode_transaction(promise.sent)
    except Rejected as rejected:
        english, chinese = rejected.detail, f"：{explain(rejected)}"
    except ValueError as error:  # of msgspec and of base64
        english, chinese = str(error), "，原因见上一行"
    raise unusable(
        f"{path}, line {number}: not what submit --keep wrote: {english}.",
        f"{path} 第 {number} 行不是 submit --keep 所写的内容{chinese}。",
    )
