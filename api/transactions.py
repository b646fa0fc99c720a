"""Reading one transaction: where it stands, its proof, its entry, the whole evidence.

Where a transaction stands is public, and so are its proofs, which are hashes only: a body's salt
keeps anybody from learning the body from its id. The stream and the effects say what the body said,
so they are shown to those only who may read the body, as are the entry and the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response

from api.access import Access
from api.forms import encode_form, pending_form, position_form
from api.media import JSON, OCTETS, TEXT, file_answer
from api.ports import LedgerService, NotFound, Pending, Position
from api.problems import Problem
from api.requests import read_tx_id
from ledger.cose_receipt import MEDIA_TYPE as RECEIPT


class Transactions:
    """The GET routes under /v1/transactions."""

    def __init__(self, service: LedgerService, access: Access) -> None:
        self._service = service
        self._access = access

    async def get_transaction(self, request: Request) -> Response:
        """GET /v1/transactions/{tx_id}."""
        tx_id = read_tx_id(request)
        grant = self._access.find_grant(request)
        position = self._service.position(tx_id)
        if position is None:
            raise _unknown(tx_id)
        if isinstance(position, Pending):
            return Response(encode_form(pending_form(position)), media_type=JSON)
        entitled = grant is not None and self._access.is_entitled(grant, position.stream)
        form = position_form(position, with_body_facts=entitled)
        return Response(encode_form(form), media_type=JSON)

    async def get_proof(self, request: Request) -> Response:
        """GET /v1/transactions/{tx_id}/proof."""
        tx_id = read_tx_id(request)
        with self._later_if_pending(tx_id):
            proof = await self._service.proof(tx_id)
        return file_answer(proof, f"{tx_id.hex()}.tlog-proof", TEXT)

    async def get_receipt(self, request: Request) -> Response:
        """GET /v1/transactions/{tx_id}/receipt."""
        tx_id = read_tx_id(request)
        with self._later_if_pending(tx_id):
            receipt = await self._service.receipt(tx_id)
        return file_answer(receipt, f"{tx_id.hex()}.receipt.cose", RECEIPT)

    async def get_timestamps(self, request: Request) -> Response:
        """GET /v1/transactions/{tx_id}/timestamps."""
        tx_id = read_tx_id(request)
        return Response(self._service.transaction_timestamps(tx_id), media_type=JSON)

    async def get_evidence(self, request: Request) -> Response:
        """GET /v1/transactions/{tx_id}/evidence."""
        tx_id = read_tx_id(request)
        self._require_body(request, tx_id)
        evidence = await self._service.evidence(tx_id)
        return file_answer(evidence, f"{tx_id.hex()}.evidence.json")

    async def get_entry(self, request: Request) -> Response:
        """GET /v1/transactions/{tx_id}/entry."""
        tx_id = read_tx_id(request)
        self._require_body(request, tx_id)
        entry = self._service.entry(tx_id)
        if entry is None:
            raise _unknown(tx_id)
        return Response(entry, media_type=OCTETS)

    @contextmanager
    def _later_if_pending(self, tx_id: bytes) -> Iterator[None]:
        """Say of what is not on the chain that it may be soon, where this node waits for it."""
        try:
            yield
        except NotFound:
            if isinstance(self._service.position(tx_id), Pending):
                raise _in_no_block(tx_id) from None
            raise

    def _require_body(self, request: Request, tx_id: bytes) -> Position:
        """Return the position of a transaction whose body the request's token covers."""
        self._access.require_grant(request)
        position = self._service.position(tx_id)
        if position is None:
            raise _unknown(tx_id)
        if isinstance(position, Pending):
            raise _in_no_block(tx_id)
        self._access.require_stream(request, position.stream)
        return position


def _in_no_block(tx_id: bytes) -> Problem:
    return Problem(
        "not_certified",
        f"transaction {tx_id.hex()} is in no block yet; ask again",
        f"交易 {tx_id.hex()} 尚未进入任何区块；请稍后再查询",
    )


def _unknown(tx_id: bytes) -> Problem:
    return Problem(
        "not_found",
        f"transaction {tx_id.hex()} is not known to this node",
        f"本节点不知道交易 {tx_id.hex()}",
    )
