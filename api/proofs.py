"""Routes to evidence files that answer one question (docs/PROOFS.md).

What a file says of a body needs a token that covers the stream; growth of the log and a validator's
contradiction hold hashes and signatures only and are public. A question is posted as the very
object that will stand in the file, and every answer is verified by whoever gets it.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import examples
from api.access import Access
from api.description import OBJECT, PROVEN, SECURITY_NONE, SECURITY_TOKEN, object_answer
from api.media import JSON, file_answer
from api.parameters import ContractId, Height, Number, StreamKind, StreamName, Validator
from api.ports import LedgerService
from api.problems import Problem
from api.query import StrictRoute
from api.requests import (
    BodyBudget,
    parse_contract_id,
    parse_height,
    parse_stream,
    read_body,
    read_content_type,
)
from api.settings import ApiSettings
from contracts.questions import QUESTION_BYTES_MAX

QUESTIONS_BYTES_MAX: Final = 16 * 1024 * 1024
"""Questions being received, of all requests together: 128 of the largest."""


def proof_router(service: LedgerService, access: Access, settings: ApiSettings) -> APIRouter:
    """Return the routes over `service`."""
    router = APIRouter(route_class=StrictRoute)
    budget = BodyBudget(QUESTIONS_BYTES_MAX)

    @router.post(
        "/v1/contracts/{contract_id}/proofs",
        tags=["proofs"],
        operation_id="postQuestion",
        summary="The part of a contract's record that answers a question, with proof",
        description="Asks for `window`, `balance`, `terms`, `attestation`, `omission` or "
        "`production`; the body is the object `question` of the evidence file.",
        response_class=Response,
        responses=object_answer(
            "the evidence file",
            examples.EVIDENCE,
            "malformed",
            "bad_parameter",
            "unauthenticated",
            "forbidden",
            "not_found",
            "request_timeout",
            "too_large",
            "unsupported_media_type",
            "bad_field",
            "wrong_height",
            "unknown_party",
            "record_too_long",
            "not_certified",
            "unavailable",
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": OBJECT, "example": examples.QUESTION}},
            },
            **SECURITY_TOKEN,
        },
    )
    async def post_question(
        contract_id: ContractId,
        request: Request,
    ) -> Response:
        access.require_stream(request, parse_contract_id(contract_id))
        if read_content_type(request) != JSON:
            raise Problem(
                "unsupported_media_type",
                f"a question is sent as {JSON}",
                f"问题须以 {JSON} 发送",
            )
        raw = await read_body(request, QUESTION_BYTES_MAX, settings.body_timeout_s, budget)
        return file_answer(await service.record(contract_id, raw), f"{contract_id}.proof.json")

    @router.get(
        "/v1/state/{kind}/{name}",
        tags=["proofs"],
        operation_id="getState",
        summary="A stream's value at the newest height, or its absence, with proof",
        response_class=Response,
        responses=object_answer("the evidence file", examples.EVIDENCE, *PROVEN),
        openapi_extra=SECURITY_TOKEN,
    )
    async def get_state(kind: StreamKind, name: StreamName, request: Request) -> Response:
        stream = parse_stream(kind, name)
        access.require_stream(request, stream)
        return file_answer(await service.state(stream), f"{kind}-{name}.state.json")

    @router.get(
        "/v1/consistency/{older_height}/{newer_height}",
        tags=["proofs"],
        operation_id="getConsistency",
        summary="That the log only grew between two heights' certified checkpoints",
        response_class=Response,
        responses=object_answer(
            "the evidence file", examples.EVIDENCE, "bad_parameter", "not_found", "not_certified"
        ),
        openapi_extra=SECURITY_NONE,
    )
    async def get_consistency(older_height: Height, newer_height: Height) -> Response:
        older, newer = parse_height(older_height), parse_height(newer_height)
        return file_answer(
            await service.consistency(older, newer), f"{older}-{newer}.consistency.json"
        )

    @router.get(
        "/v1/validators/{validator}/equivocations/{number}",
        tags=["proofs"],
        operation_id="getEquivocation",
        summary="That a validator contradicted itself, verifiable with genesis alone",
        response_class=Response,
        responses=object_answer(
            "the evidence file",
            examples.EVIDENCE,
            "bad_parameter",
            "not_found",
            "record_too_long",
            "unavailable",
        ),
        openapi_extra=SECURITY_NONE,
    )
    async def get_equivocation(validator: Validator, number: Number) -> Response:
        parse_stream("validator", validator)
        content = await service.equivocation(validator, parse_height(number))
        return file_answer(content, f"{validator}-{number}.equivocation.json")

    return router
