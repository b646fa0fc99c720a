"""SCITT's reference API (draft-ietf-scitt-scrapi): statements registered, receipts, the log's keys.

A statement is posted with the transaction that registers it in its unprotected header, and that
transaction goes the way of every other; this module checks the one against the other
(`ledger.scitt.check_registration`) and keeps nothing. An entry's id is the id of its transaction.

The keys are all institutions' log keys of genesis, whichever node is asked: each signs the receipts
it gives. A node's word about keys is worth as much as its TLS certificate; who judges evidence
compares them with genesis.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.ports import Known, LedgerService, NotCertified, Pending, Position, Refused
from api.problems import Problem
from api.requests import BodyBudget, read_body, read_tx_id, shown
from api.settings import ApiSettings
from api.submission import Submission, client_of
from ledger.cose_receipt import KEYS_MEDIA_TYPE, encode_cose_key, encode_cose_key_set
from ledger.refusal import Reason, Rejected
from ledger.scitt import (
    ATTEST,
    ENVELOPE,
    MEDIA_TYPE,
    STATEMENT_BYTES_MAX,
    Statement,
    Unregistrable,
    check_registration,
    compute_key_thumbprint,
    read_statement,
)
from ledger.transaction import ENVELOPE_BYTES_MAX, Transaction, decode_transaction

POSTED_BYTES_MAX: Final = STATEMENT_BYTES_MAX + ENVELOPE_BYTES_MAX + 16
"""Of a statement with its transaction; 16 bytes are the heads of the unprotected header."""

MEDIA_TYPES: Final = (MEDIA_TYPE, "application/scitt-statement+cose")
RETRY_AFTER_S: Final = 1
MALFORMED: Final = frozenset(
    {Reason.MALFORMED, Reason.NOT_CANONICAL, Reason.TOO_DEEP, Reason.NOT_INTEGER}
)

NOT_FOUND: Final = "Not Found"
NO_SUCH_KEY: Final = "No such key"
"""SCRAPI's titles; those of what is posted stand where it is read."""

CACHE = {"Cache-Control": "public, max-age=3600"}
"""They never change on a chain; an address may be given to another chain."""


class Entries:
    """The routes under /entries."""

    def __init__(
        self, service: LedgerService, submission: Submission, settings: ApiSettings
    ) -> None:
        self._service = service
        self._submission = submission
        self._settings = settings
        self._budget = BodyBudget(settings.bodies_bytes_max)

    async def post_entry(self, request: Request) -> Response:
        """POST /entries: register a statement; 201 with its receipt, or 303 to where it will be."""
        _check_content_type(request)
        settings = self._settings
        raw = await read_body(request, POSTED_BYTES_MAX, settings.body_timeout_s, self._budget)
        try:
            statement = read_statement(raw, (ENVELOPE,), POSTED_BYTES_MAX)
            envelope, transaction = _read_transaction(statement)
            check_registration(
                statement,
                self._service.genesis.origin,
                {"kind": transaction.body.kind, "data": transaction.body.data},
                _keys_of(transaction),
            )
        except Rejected as rejected:
            raise _problem_of(rejected) from None
        (intake,) = await self._service.submit((envelope,), client_of(request))
        if isinstance(intake, Refused):
            raise Problem.of(intake.rejected, intake.tx_id, intake.retry_after_s)
        position: Position | None = intake.position if isinstance(intake, Known) else None
        if position is None or not position.certified:
            position = await self._submission.wait(
                transaction.tx_id, "certified", settings.wait_timeout_default_s
            )
        if position is None:
            return _elsewhere(303, transaction.tx_id)
        if position.status == "refused":
            raise _reject(
                f"transaction {transaction.tx_id.hex()} is on the chain as refused "
                f"({position.code}); the statement is not registered",
                f"交易 {transaction.tx_id.hex()} 已在链上记录为拒绝（{position.code}）；"
                "该声明未登记",
            )
        return await self._answer_receipt(transaction.tx_id, 201)

    async def get_entry(self, request: Request) -> Response:
        """GET /entries/{tx_id}: a receipt of the entry; 302 to itself while there is none yet."""
        try:
            tx_id = read_tx_id(request)
        except Problem as problem:
            problem.title = "Invalid locator"
            raise
        position = self._service.position(tx_id)
        if position is None:
            raise _not_found(
                NOT_FOUND,
                f"entry {tx_id.hex()} is not known to this node",
                f"本节点不知道条目 {tx_id.hex()}",
            )
        if isinstance(position, Pending):
            return _elsewhere(302, tx_id)
        if position.status == "refused":
            raise _not_found(
                NOT_FOUND,
                f"transaction {tx_id.hex()} is on the chain as refused ({position.code}) and "
                "registers nothing",
                f"交易 {tx_id.hex()} 已在链上记录为拒绝（{position.code}），未登记任何声明",
            )
        try:
            return await self._answer_receipt(tx_id, 200)
        except NotCertified:
            return _elsewhere(302, tx_id)

    async def _answer_receipt(self, tx_id: bytes, status: int) -> Response:
        receipt = await self._service.receipt(tx_id)
        headers = {"Location": f"/entries/{tx_id.hex()}"}
        return Response(receipt, status, headers=headers, media_type=MEDIA_TYPE)


def _check_content_type(request: Request) -> None:
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() not in MEDIA_TYPES:
        raise Problem(
            "unsupported_media_type",
            f"content-type {shown(given)} is not supported; send {MEDIA_TYPE}",
            f"不支持内容类型 content-type {shown(given)}；请以 {MEDIA_TYPE} 发送",
            headers={"Accept-Post": ", ".join(MEDIA_TYPES)},
        )


def _read_transaction(statement: Statement) -> tuple[bytes, Transaction]:
    """Return the transaction that a posted statement carries; raise `Rejected`."""
    if statement.envelope is None:
        raise Unregistrable(
            Reason.BAD_FIELD,
            "Confirmation Missing",
            f"statement: the transaction that registers it is missing: an attest, signed by the "
            f"issuer, whose note_hash is {statement.digest.hex()}, as a byte string under label "
            f"{ENVELOPE} of the unprotected header",
            f"声明：缺少登记它的交易：应为由签发者签名的 {ATTEST} 交易，其 note_hash 为 "
            f"{statement.digest.hex()}，以字节串置于未受保护头部的标签 {ENVELOPE} 之下",
        )
    return statement.envelope, decode_transaction(statement.envelope)


def _keys_of(transaction: Transaction) -> dict[str, bytes]:
    """Return the key with which each signer signed; the intake asks whose they are."""
    keys = [one.public_key for one in transaction.envelope.signatures]
    return dict(zip(transaction.body.signers, keys, strict=True))


def _problem_of(rejected: Rejected) -> Problem:
    """Return a refusal with SCRAPI's title for it; who posted can mend each, so it is a 400."""
    problem = Problem.of(rejected)
    if rejected.reason is Reason.TOO_LARGE:
        return problem
    problem.status = 400
    if isinstance(rejected, Unregistrable):
        problem.title = rejected.title
    else:
        problem.title = "Malformed request" if rejected.reason in MALFORMED else "Rejected"
    return problem


def _reject(detail: str, detail_zh: str) -> Problem:
    problem = Problem(Reason.BAD_FIELD, detail, detail_zh)
    problem.status, problem.title = 400, "Rejected"
    return problem


def _not_found(title: str, detail: str, detail_zh: str) -> Problem:
    problem = Problem("not_found", detail, detail_zh)
    problem.title = title
    return problem


def _elsewhere(status: int, tx_id: bytes) -> Response:
    """Return where the receipt will be."""
    headers = {"Location": f"/entries/{tx_id.hex()}", "Retry-After": str(RETRY_AFTER_S)}
    return Response(b"", status, headers=headers, media_type=MEDIA_TYPE)


class ScittKeys:
    """The routes under /.well-known/scitt-keys."""

    def __init__(self, service: LedgerService) -> None:
        keys = [item.log_key for item in service.genesis.validators.validators]
        self._set = encode_cose_key_set(keys)
        self._keys = {compute_key_thumbprint(key): encode_cose_key(key) for key in keys}

    async def get_keys(self, request: Request) -> Response:
        """GET /.well-known/scitt-keys: a COSE Key Set."""
        return Response(self._set, headers=CACHE, media_type=KEYS_MEDIA_TYPE)

    async def get_key(self, request: Request) -> Response:
        """GET /.well-known/scitt-keys/{kid}: the COSE Key with this key id, in base64url."""
        text: str = request.path_params["kid"]
        key = self._keys.get(_decode_key_id(text))
        if key is None:
            raise _not_found(
                NO_SUCH_KEY,
                f"no key of this log has the id {shown(text)}",
                f"本日志没有标识为 {shown(text)} 的密钥",
            )
        return Response(key, headers=CACHE, media_type=KEYS_MEDIA_TYPE)


def _decode_key_id(text: str) -> bytes:
    """Return the id that this is the one spelling of, without padding; nothing for another."""
    try:
        key_id = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return key_id if base64.urlsafe_b64encode(key_id).decode().rstrip("=") == text else b""
