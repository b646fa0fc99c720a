"""The routes of private fields: what a contract's custodian keeps beside the chain.

Only the custodian's own tokens write and erase, only they and the contract's consumer read; a token
that reads everything on the chain reads nothing here. Who may do what is decided behind the port,
which knows who put the fields there and writes every access down. No value of a field stands in a
path, in a problem's sentence or in a log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from api import examples
from api.access import Access, forbidden
from api.description import SECURITY_TOKEN, answer, object_answer, problems, shows
from api.forms import PrivateForm
from api.media import JSON, file_answer
from api.parameters import ContractId
from api.ports import Caller, NotEntitled, PrivateFields, PrivateRecord
from api.problems import REQUEST_ID_KEY, Problem
from api.query import StrictRoute
from api.requests import (
    BodyBudget,
    parse_contract_id,
    parse_hash,
    read_body,
    read_content_type,
    refuse_repeated_members,
)
from api.schemas import HashHex, Schema
from api.settings import ApiSettings
from api.tokens import Grant
from ledger.disclosure import FIELDS
from ledger.shape import describe_shape_zh

_ACCESS: Final = ("bad_parameter", "unauthenticated", "forbidden", "not_found", "erased")
_form_decoder = msgspec.json.Decoder(PrivateForm)


class Written(Schema):
    """Private fields are kept; the commitment belongs on the chain."""

    commitment: HashHex
    contract: str
    created_ms: int
    fields: list[str] = Field(description="names of the fields that are not empty")
    replaces: HashHex | None = Field(description="commitment of the record that this one corrects")


class Record(Schema):
    """Private fields as they once were."""

    commitment: HashHex
    created_ms: int
    fields: dict[str, str]
    replaces: HashHex | None


class Private(Schema):
    """All records of a contract's private fields, oldest first."""

    contract: str
    custodian: str
    records: list[Record]


class Erased(Schema):
    """What is left: commitments that can no longer be opened."""

    commitments: list[HashHex]
    contract: str
    erased_ms: int


def private_router(
    private: PrivateFields | None, access: Access, settings: ApiSettings
) -> APIRouter:
    """Return the routes over `private`, or ones that say that nothing is kept here."""
    router = APIRouter(route_class=StrictRoute)
    budget = BodyBudget(settings.bodies_bytes_max)

    def open_store(request: Request) -> tuple[PrivateFields, Grant, Caller]:
        grant = access.require_grant(request)
        if private is None:
            raise Problem(
                "not_found", "this node keeps no private fields", "本节点不保存非公开信息"
            )
        request_id = request.scope.get(REQUEST_ID_KEY, "")
        return private, grant, Caller(grant.name, grant.role, grant.subject, request_id)

    @router.put(
        "/v1/contracts/{contract_id}/private",
        status_code=201,
        tags=["private"],
        operation_id="putPrivate",
        summary="Keep a contract's private fields beside the chain",
        description="Answers the commitment that belongs on the chain. A correction names the "
        "newest record's commitment in `replaces`.",
        responses={
            **problems(
                *_ACCESS,
                "conflict",
                "malformed",
                "request_timeout",
                "too_large",
                "unsupported_media_type",
                "bad_field",
                "not_canonical",
                "pool_full",
                "unavailable",
            ),
            **answer(
                201,
                "kept",
                JSON,
                {"$ref": "#/components/schemas/Written"},
                examples.PRIVATE_WRITTEN,
            ),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    JSON: {
                        "schema": {"$ref": "#/components/schemas/PrivateForm"},
                        "example": examples.PRIVATE_FORM,
                    }
                },
            },
            **SECURITY_TOKEN,
        },
    )
    async def put_private(contract_id: ContractId, request: Request) -> Written:
        contract = _read_contract(contract_id)
        store, grant, caller = open_store(request)
        if read_content_type(request) != JSON:
            raise Problem(
                "unsupported_media_type",
                f"private fields are sent as {JSON}",
                f"非公开信息须以 {JSON} 发送",
            )
        raw = await read_body(
            request, settings.transaction_bytes_max, settings.body_timeout_s, budget
        )
        form = _decode(raw)
        replaces = None if form.replaces is None else bytes.fromhex(form.replaces)
        try:
            record = await store.write(caller, contract, form.fields, replaces)
        except NotEntitled:
            raise _refuse(grant, contract) from None
        return Written(
            commitment=record.commitment.hex(),
            contract=contract,
            created_ms=record.created_ms,
            fields=sorted(record.values),
            replaces=_hex(record.replaces),
        )

    @router.get(
        "/v1/contracts/{contract_id}/private",
        tags=["private"],
        operation_id="getPrivate",
        summary="A contract's private fields, with every correction",
        description="For the custodian that keeps them and for the contract's consumer.",
        responses=problems(*_ACCESS, "unavailable"),
        openapi_extra=shows(examples.PRIVATE, SECURITY_TOKEN),
    )
    async def get_private(contract_id: ContractId, request: Request) -> Private:
        contract = _read_contract(contract_id)
        store, grant, caller = open_store(request)
        try:
            view = await store.read(caller, contract)
        except NotEntitled:
            raise _refuse(grant, contract) from None
        return Private(
            contract=view.contract,
            custodian=view.custodian,
            records=[_describe(record) for record in view.records],
        )

    @router.delete(
        "/v1/contracts/{contract_id}/private",
        tags=["private"],
        operation_id="deletePrivate",
        summary="Destroy a contract's private fields, salts and values",
        description="The commitments stay on the chain, and nobody can open them any more.",
        responses=problems(*_ACCESS, "unavailable"),
        openapi_extra=shows(examples.PRIVATE_ERASED, SECURITY_TOKEN),
    )
    async def delete_private(contract_id: ContractId, request: Request) -> Erased:
        contract = _read_contract(contract_id)
        store, grant, caller = open_store(request)
        try:
            erased = await store.erase(caller, contract)
        except NotEntitled:
            raise _refuse(grant, contract) from None
        return Erased(
            commitments=[commitment.hex() for commitment in erased.commitments],
            contract=erased.contract,
            erased_ms=erased.erased_ms,
        )

    @router.get(
        "/v1/contracts/{contract_id}/disclosure",
        tags=["private"],
        operation_id="getDisclosure",
        summary="Chosen fields, with what proves them against the commitment on the chain",
        response_class=Response,
        responses=object_answer("the disclosure", examples.DISCLOSURE, *_ACCESS, "unavailable"),
        openapi_extra={
            "parameters": [
                {
                    "in": "query",
                    "name": "fields",
                    "required": True,
                    "description": "names of the fields to show, joined by commas",
                    "schema": {"type": "string"},
                    "example": "name,phone",
                },
                {
                    "in": "query",
                    "name": "commitment",
                    "required": False,
                    "description": "of which record; the newest one if left out",
                    "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                    "example": examples.PRIVATE_WRITTEN["commitment"],
                },
            ],
            **SECURITY_TOKEN,
        },
    )
    async def get_disclosure(contract_id: ContractId, request: Request) -> Response:
        contract = _read_contract(contract_id)
        store, grant, caller = open_store(request)
        query = request.query_params
        names = _read_names(query.get("fields", ""))
        commitment = (
            parse_hash("commitment", query["commitment"]) if "commitment" in query else None
        )
        try:
            raw = await store.disclose(caller, contract, names, commitment)
        except NotEntitled:
            raise _refuse(grant, contract) from None
        return file_answer(raw, f"{contract}.disclosure.json")

    return router


def _read_contract(text: str) -> str:
    return parse_contract_id(text).removeprefix("contract/")


def _read_names(text: str) -> Sequence[str]:
    """Return the names asked for; raise `Problem` (bad_parameter) without repeating a value."""
    names = text.split(",") if text else []
    if not names or any(name not in FIELDS for name in names) or len(set(names)) != len(names):
        raise Problem(
            "bad_parameter",
            "the query parameter fields names one or more fields, each once, joined by commas; "
            f"fields are {', '.join(FIELDS)}",
            "查询参数 fields 须写明一个或多个字段，各写一次，以英文逗号分隔；可用的字段："
            f"{'、'.join(FIELDS)}",
        )
    return names


def _decode(raw: bytes) -> PrivateForm:
    try:
        form = _form_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # msgspec's sentences name members and types, never a value.
        raise Problem(
            "malformed", f"request body: {error}", f"请求内容：{describe_shape_zh(str(error))}"
        ) from None
    refuse_repeated_members(raw)
    return form


def _refuse(grant: Grant, contract: str) -> Problem:
    return forbidden(
        grant,
        f"the private fields of contract/{contract}",
        f"contract/{contract} 的非公开信息",
    )


def _describe(record: PrivateRecord) -> Record:
    return Record(
        commitment=record.commitment.hex(),
        created_ms=record.created_ms,
        fields=dict(record.values),
        replaces=_hex(record.replaces),
    )


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
