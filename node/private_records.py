"""The custodian's private fields beside the chain: who may, what is kept, and what is written down.

    private/<contract>.box, .key     the records, sealed (storage.private_box)
    private/<contract>.erased        commitments and time of what was erased
    private/audit-<year>-<month>.log one line for each access, allowed or not (node.private_audit)

Records belong to the party that put them here. A contract's name is anybody's until the chain says
who its custodian is: from then on that custodian alone writes, what another had put under the name
is nothing to the consumer, and the custodian's first record takes its place. A consumer's token
reads its own contract's. Everything else is refused, full tokens too: whoever audits the chain has
no need of names. An answer leaves only when its line of the audit is on the disk; no line holds a
value or a salt. All of it runs on one thread of its own, so the files have one writer and consensus
does not wait for them. Nothing here reaches the chain, a peer, a snapshot or a backup.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec

from api.ports import (
    Caller,
    Conflict,
    DiskFailed,
    ErasedView,
    Gone,
    NotEntitled,
    NotFound,
    PrivateRecord,
    PrivateView,
    Unavailable,
)
from ledger.disclosure import (
    FIELDS,
    SALT_BYTES,
    PrivateField,
    compute_commitment,
    disclose,
    encode_disclosure,
    make_fields,
)
from ledger.evidence import DISCLOSURES_MAX
from ledger.refusal import Rejected
from ledger.words import Words
from node.private_audit import AuditLine, PrivateAudit, read_lines
from storage.files import Damaged, Directory, StorageFailure
from storage.private_box import Erased, PrivateBox

RECORDS_MAX: Final = DISCLOSURES_MAX
"""Records of one contract: as many as one evidence file can show."""

FORMAT_VERSION: Final = 1

log = logging.getLogger("evidence_ledger.private")

Answer = TypeVar("Answer")


class _Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    commitment: bytes
    created_ms: int
    replaces: bytes | None
    fields: list[tuple[bytes, str | None]]
    """(salt, value) of each of `FIELDS`, in their order."""


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    custodian: str
    records: list[_Record]


class _Rest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    commitments: list[str]
    custodian: str
    erased_ms: int
    checksum: str = ""
    """SHA-256 of the file without this member; older versions wrote none."""


_NO_REST: Final = ("is not what is left of erased fields", "不是已删除信息的留存说明")

_document_decoder = msgspec.msgpack.Decoder(_Document)
_rest_decoder = msgspec.json.Decoder(_Rest)
_encoder = msgspec.json.Encoder(order="sorted")


def wall_clock_ms() -> int:
    """Return the time for records and audit; nothing on the chain reads it."""
    return time.time_ns() // 1_000_000


def verify_records(directory: Directory, master_key: bytes) -> int:
    """Open everything that is kept and change nothing; return how much it is, or raise `Damaged`.

    A key without its box, as a power loss may leave one, is opened too.
    """
    box = PrivateBox(directory, master_key, is_read_only=True)
    documents = box.documents()
    for name in documents:
        try:
            raw = box.read(name)
        except Erased as erased:
            _read_rest(directory, name, erased)
            continue
        if raw is None:
            box.read_key(name)
        else:
            _read_document(directory, name, raw)
    return len(documents)


def find_missing(directory: Directory) -> tuple[Words | None, list[str]]:
    """Return what of the files is missing that the audit proves, and the keys without a box.

    Where the audit has fields as written or erased, a box or what is left of one has to be there,
    unless another custodian, whose contract the name became, then tried to write there. A key alone
    is what a power loss leaves of the first writing, which was then not answered and has no line.
    """
    names = set(directory.names())
    keys = [name.removesuffix(".key") for name in sorted(names) if name.endswith(".key")]
    lone = [f"{one}.key" for one in keys if not names & {f"{one}.box", f"{one}.erased"}]
    done: dict[str, tuple[str, AuditLine]] = {}
    for file, line in read_lines(directory):
        if line.action in ("write", "correct", "erase"):
            before = done.get(line.contract)
            if line.outcome == "done":
                done[line.contract] = file, line
            elif before is not None and line.scope != before[1].scope:
                del done[line.contract]
    for contract, (file, line) in sorted(done.items()):
        if not names & {f"{contract}.box", f"{contract}.erased"}:
            what, what_zh, suffix = ("written", "写入", "box")
            if line.action == "erase":
                what, what_zh, suffix = ("erased", "删除", "erased")
            place = f"{directory.path}/{contract}.{suffix}"
            return Words(
                f"{place}：缺失；据 {file}，{contract} 的非公开信息已于 {line.time} {what_zh}",
                f"{place} is missing: by {file} the private fields of {contract} were {what} at "
                f"{line.time}",
            ), lone
    return None, lone


def _read_document(directory: Directory, contract: str, raw: bytes) -> _Document:
    """Return what a box holds; raise `Damaged`."""
    file = f"{directory.path}/{contract}.box"
    try:
        document = _document_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        raise Damaged(
            file, 0, "is sealed and holds no private fields", "密封完好，内容却不是非公开信息"
        ) from None
    if document.version != FORMAT_VERSION:
        what = f"has version {document.version}; this software reads {FORMAT_VERSION}"
        what_zh = f"版本为 {document.version}；本软件读取版本 {FORMAT_VERSION}"
        raise Damaged(file, 0, what, what_zh)
    return document


def _read_rest(directory: Directory, contract: str, erased: Erased) -> _Rest:
    """Return what is left of an erased document; raise `Damaged`."""
    file = f"{directory.path}/{contract}.erased"
    try:
        rest = _rest_decoder.decode(erased.rest)
    except (msgspec.DecodeError, UnicodeError):
        rest = None
    is_older = rest is not None and not rest.checksum
    if rest is None or (rest if is_older else _with_checksum(rest)) != rest:
        raise Damaged(file, 0, *_NO_REST)
    if _encoder.encode(rest) != erased.rest:
        raise Damaged(file, 0, *_NO_REST)
    return rest


class PrivateRecords:
    """One node's store of private fields: `api.ports.PrivateFields`."""

    def __init__(
        self,
        directory: Directory,
        master_key: bytes,
        *,
        custodian_of: Callable[[str], str],
        thread: Executor,
        stop: Callable[[Words], None],
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Open the store; `custodian_of` gives a contract's custodian on the chain, or nothing.

        `stop` is called once when the disk fails, since nothing can be written down after that.
        """
        self._directory = directory
        self._box = PrivateBox(directory, master_key)
        self._custodian_of = custodian_of
        self._thread = thread
        self._stop = stop
        self._now_ms = now_ms
        self._audit = PrivateAudit(directory, self._now())
        self.notices = [*self._box.notices, *self._audit.notices]
        """What was mended when the store was opened."""

    # api.ports.PrivateFields

    async def write(
        self, caller: Caller, contract: str, values: Mapping[str, str], replaces: bytes | None
    ) -> PrivateRecord:
        """Keep fields of a contract, or a correction."""
        names = [name for name in FIELDS if name in values]
        chain = self._custodian_of(contract)
        return await self._run(
            "correct" if replaces else "write", caller, contract, names,
            lambda: self._write(caller, contract, chain, values, replaces),
        )  # fmt: skip

    async def read(self, caller: Caller, contract: str) -> PrivateView:
        """Return everything kept of a contract."""
        chain = self._custodian_of(contract)

        def work() -> PrivateView:
            document = self._open(caller, contract, chain, may_consumer=True)
            records = [_view(record) for record in document.records]
            return PrivateView(contract, document.custodian, records)

        return await self._run("read", caller, contract, [], work)

    async def erase(self, caller: Caller, contract: str) -> ErasedView:
        """Destroy everything kept of a contract."""
        chain = self._custodian_of(contract)

        def work() -> ErasedView:
            document = self._open(caller, contract, chain, may_consumer=False)
            erased = ErasedView(
                contract, self._now_ms(), [record.commitment for record in document.records]
            )
            self._box.erase(contract, _encode_rest(document, erased.erased_ms))
            return erased

        return await self._run("erase", caller, contract, [], work)

    async def disclose(
        self, caller: Caller, contract: str, names: Sequence[str], commitment: bytes | None
    ) -> bytes:
        """Return a disclosure file of these fields."""
        chain = self._custodian_of(contract)

        def work() -> bytes:
            document = self._open(caller, contract, chain, may_consumer=True)
            for record in reversed(document.records):
                if commitment is None or record.commitment == commitment:
                    return encode_disclosure(disclose(contract, _fields_of(record), names))
            raise NotFound(
                f"no record of contract/{contract} here has the commitment asked for",
                f"本节点没有 contract/{contract} 的、承诺值与所求一致的非公开信息记录",
            )

        return await self._run("disclose", caller, contract, sorted(names), work)

    # On the thread of the store

    def _write(
        self,
        caller: Caller,
        contract: str,
        chain: str,
        values: Mapping[str, str],
        replaces: bytes | None,
    ) -> PrivateRecord:
        if caller.role != "custodian" or chain not in ("", caller.subject):
            raise NotEntitled
        if chain == caller.subject:
            self._make_room(contract, chain)
        document = self._read(caller, contract, chain)
        if document is None:
            document = _Document(FORMAT_VERSION, caller.subject, [])
        elif document.custodian != caller.subject:
            raise NotEntitled
        newest = document.records[-1].commitment if document.records else None
        if newest is None and replaces is not None:
            raise Conflict(
                f"contract/{contract} has no private fields here that could be corrected",
                f"contract/{contract} 在本节点没有可供更正的非公开信息",
            )
        if newest is not None and newest != replaces:
            raise Conflict(
                f"contract/{contract} has private fields under commitment {newest.hex()}; "
                "name it in `replaces` to correct them",
                f"contract/{contract} 已有非公开信息，其承诺值为 {newest.hex()}；如需更正，请在 "
                "`replaces` 中写明该承诺值",
            )
        if len(document.records) >= RECORDS_MAX:
            raise Conflict(
                f"contract/{contract} has {RECORDS_MAX} records of private fields; no more are "
                "kept",
                f"contract/{contract} 已有 {RECORDS_MAX} 份非公开信息记录，不再接受更多",
            )
        # Salts are drawn anew for each record, so that what did not change does not show.
        fields = make_fields(values, [secrets.token_bytes(SALT_BYTES) for _ in FIELDS])
        record = _Record(
            compute_commitment(contract, fields),
            self._now_ms(),
            replaces,
            [(field.salt, field.value) for field in fields],
        )
        self._box.write(
            contract,
            msgspec.msgpack.encode(
                _Document(FORMAT_VERSION, document.custodian, [*document.records, record])
            ),
        )
        return _view(record)

    def _make_room(self, contract: str, custodian: str) -> None:
        """Destroy what somebody else put under a name that became this custodian's contract."""
        try:
            kept = self._read_document(contract)
        except Erased as erased:
            if _read_rest(self._directory, contract, erased).custodian != custodian:
                self._box.forget(contract, erased.rest)
        else:
            if kept is not None and kept.custodian != custodian:
                self._box.forget(contract, _encode_rest(kept, self._now_ms()))

    def _open(self, caller: Caller, contract: str, chain: str, *, may_consumer: bool) -> _Document:
        """Return what is kept, to somebody entitled to it."""
        if caller.role == "consumer":
            if not may_consumer or caller.subject != contract:
                raise NotEntitled
        elif caller.role != "custodian":
            raise NotEntitled
        document = self._read(caller, contract, chain)
        if caller.role == "custodian" and (
            document is None or document.custodian != caller.subject
        ):
            raise NotEntitled
        if document is None:
            raise NotFound(
                f"no private fields of contract/{contract} are kept here",
                f"本节点不存有 contract/{contract} 的非公开信息",
            )
        return document

    def _read(self, caller: Caller, contract: str, chain: str) -> _Document | None:
        """Return what is kept and concerns the caller; raise `Gone`, or `NotEntitled`."""
        try:
            document = self._read_document(contract)
        except Erased as erased:
            owner = _read_rest(self._directory, contract, erased).custodian
            if caller.role == "consumer" and chain not in ("", owner):
                return None
            if caller.role == "custodian" and owner != caller.subject:
                raise NotEntitled from None
            raise Gone(
                f"the private fields of contract/{contract} were erased",
                f"contract/{contract} 的非公开信息已被删除",
            ) from None
        if document is None or (
            caller.role == "consumer" and chain not in ("", document.custodian)
        ):
            return None
        return document

    def _read_document(self, contract: str) -> _Document | None:
        raw = self._box.read(contract)
        if raw is None:
            return None
        return _read_document(self._directory, contract, raw)

    async def _run(
        self,
        action: str,
        caller: Caller,
        contract: str,
        names: list[str],
        work: Callable[[], Answer],
    ) -> Answer:
        """Do it on the store's thread, and let no answer out before the audit has its line."""

        def audited() -> Answer:
            try:
                answer = work()
            except (NotEntitled, NotFound, Conflict, Gone, Damaged, Rejected) as refused:
                self._note(action, caller, contract, names, _OUTCOMES[type(refused)])
                raise
            self._note(action, caller, contract, names, "done")
            return answer

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, audited)
        except Damaged as damaged:
            log.error("private fields: %s 非公开信息：%s", damaged, damaged.detail_zh)
            raise Unavailable(
                f"what is kept of contract/{contract} is damaged; the node's log says which file",
                f"所存 contract/{contract} 的内容已损坏；是哪个文件，见节点日志",
            ) from None
        except StorageFailure as failure:
            self._stop(
                Words(
                    f"非公开信息所在的磁盘出错：{failure.detail_zh}",
                    f"the private fields' disk failed: {failure}",
                )
            )
            raise DiskFailed from None

    def _note(
        self, action: str, caller: Caller, contract: str, names: list[str], outcome: str
    ) -> None:
        now = self._now()
        line = AuditLine(
            action=action,
            contract=contract,
            fields=names,
            outcome=outcome,
            request_id=caller.request_id,
            scope=f"{caller.role}:{caller.subject}" if caller.subject else caller.role,
            time=now.isoformat(timespec="milliseconds"),
            token=caller.token,
        )
        self._audit.write(line, now)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._now_ms() / 1000, UTC)


_OUTCOMES: Final[Mapping[type[Exception], str]] = {
    NotEntitled: "not entitled",
    NotFound: "not found",
    Conflict: "conflict",
    Gone: "erased before",
    Damaged: "damaged",
    Rejected: "refused",
}


def _encode_rest(document: _Document, erased_ms: int) -> bytes:
    commitments = [record.commitment.hex() for record in document.records]
    return _encoder.encode(_with_checksum(_Rest(commitments, document.custodian, erased_ms)))


def _with_checksum(rest: _Rest) -> _Rest:
    plain = _Rest(rest.commitments, rest.custodian, rest.erased_ms)
    checksum = hashlib.sha256(_encoder.encode(plain)).hexdigest()
    return msgspec.structs.replace(plain, checksum=checksum)


def _view(record: _Record) -> PrivateRecord:
    values = {
        name: value
        for name, (_, value) in zip(FIELDS, record.fields, strict=True)
        if value is not None
    }
    return PrivateRecord(record.commitment, record.created_ms, record.replaces, values)


def _fields_of(record: _Record) -> list[PrivateField]:
    return [
        PrivateField(name, salt, value)
        for name, (salt, value) in zip(FIELDS, record.fields, strict=True)
    ]
