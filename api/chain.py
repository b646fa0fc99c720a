"""The cold routes: contracts, blocks, genesis, status, health and metrics.

People read these in the documentation more often than programs call them, so they are ordinary
FastAPI routes with pydantic schemas. Parameters come in as text and are read strictly by
`api.requests`, which says what is wrong in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import examples
from api.access import Access, is_loopback
from api.description import (
    OBJECT,
    PROVEN,
    SECURITY_NONE,
    SECURITY_TOKEN,
    answer,
    object_answer,
    problems,
    shows,
)
from api.large_answers import Paced
from api.media import JSON
from api.parameters import (
    CLAIMS_MAX,
    ContractId,
    ContractIds,
    Height,
    IsJoined,
    Merchant,
    Size,
)
from api.ports import LedgerService, Unavailable
from api.problems import Problem
from api.query import StrictRoute
from api.requests import (
    check_each_once,
    parse_contract_id,
    parse_height,
    parse_merchant,
    parse_size,
)
from api.schemas import Block, Contract, Healthy, Status
from api.settings import ApiSettings
from ledger.evidence import SCHEDULE_MEDIA_TYPE

METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
GENESIS_CACHE: Final = "public, max-age=3600"
"""It never changes on a chain; an address may be given to another chain."""


def chain_router(service: LedgerService, access: Access, settings: ApiSettings) -> APIRouter:
    """Return the cold routes over `service`."""
    router = APIRouter(route_class=StrictRoute)

    @router.get(
        "/v1/contracts/{contract_id}",
        tags=["contracts"],
        operation_id="getContract",
        summary="A contract's record and the root of its history",
        description="For the contract's merchant, custodian and consumer, and for regulators.",
        responses=problems("bad_parameter", "unauthenticated", "forbidden", "not_found"),
        openapi_extra=shows(examples.CONTRACT, SECURITY_TOKEN),
    )
    async def get_contract(contract_id: ContractId, request: Request) -> Contract:
        stream = parse_contract_id(contract_id)
        access.require_stream(request, stream)
        view = service.contract(stream)
        if view is None:
            raise Problem(
                "not_found",
                f"no entry ever named {stream}",
                f"链上没有任何条目提及 {stream}",
            )
        return Contract.of(view)

    @router.get(
        "/v1/contracts/{contract_id}/history",
        tags=["contracts"],
        operation_id="getHistory",
        summary="A contract's complete history, with the proof that nothing is left out",
        response_class=Response,
        responses=object_answer(
            "the history", examples.HISTORY, *PROVEN, "record_too_long", "unavailable"
        ),
        openapi_extra=SECURITY_TOKEN,
    )
    async def get_history(contract_id: ContractId, request: Request) -> Response:
        access.require_stream(request, parse_contract_id(contract_id))
        return Response(await service.history(contract_id), media_type=JSON)

    @router.get(
        "/v1/contracts/{contract_id}/claim",
        tags=["contracts"],
        operation_id="getClaim",
        summary="The proof that a contract is in its merchant's total",
        description="What is locked and owed in all, and that this contract is counted in it. Of "
        "the merchant's other contracts it holds sums and hashes, and says nobody's name.",
        response_class=Response,
        responses=object_answer("an evidence file", examples.LIABILITIES, *PROVEN),
        openapi_extra=SECURITY_TOKEN,
    )
    async def get_claim(contract_id: ContractId, request: Request) -> Response:
        access.require_stream(request, parse_contract_id(contract_id))
        return Response(await service.liabilities([contract_id], is_shown=True), media_type=JSON)

    @router.get(
        "/v1/claims",
        tags=["contracts"],
        operation_id="getClaims",
        summary="The proof that several contracts are in their one merchant's total, unnamed",
        description="For a class of consumers: so many contracts, so much in all, none counted "
        "twice, and not whose they are. The token must cover each of them.",
        response_class=Response,
        responses=object_answer("an evidence file", examples.LIABILITIES, *PROVEN),
        openapi_extra=SECURITY_TOKEN,
    )
    async def get_claims(contract: ContractIds, request: Request) -> Response:
        if len(contract) > CLAIMS_MAX:
            raise Problem(
                "bad_parameter",
                f"contract: {len(contract)} contracts are asked for; at most {CLAIMS_MAX} at once",
                f"参数 contract：所列合同有 {len(contract)} 份；一次至多 {CLAIMS_MAX} 份",
            )
        for contract_id in contract:
            access.require_stream(request, parse_contract_id(contract_id))
        check_each_once(contract)
        return Response(await service.liabilities(contract, is_shown=False), media_type=JSON)

    @router.get(
        "/v1/merchants/{merchant}/schedule",
        tags=["contracts"],
        operation_id="getSchedule",
        summary="A merchant's schedule of claims: every contract with its whole record",
        description="JSON Lines, sent as they are made: the merchant's total, then a line for each "
        "contract under terms, which the total makes provably all. An answer that ends early is "
        "no schedule. For the merchant itself and for tokens that cover everything.",
        response_class=Response,
        responses={
            **problems(
                "bad_parameter",
                "unauthenticated",
                "forbidden",
                "not_found",
                "not_certified",
                "unavailable",
            ),
            **answer(
                200, "the schedule", SCHEDULE_MEDIA_TYPE, {"type": "string"}, examples.SCHEDULE
            ),
        },
        openapi_extra=SECURITY_TOKEN,
    )
    async def get_schedule(merchant: Merchant, request: Request) -> Response:
        party = parse_merchant(merchant)
        grant = access.require_merchant(request, party)
        headers = {"Content-Disposition": f'inline; filename="{party}.schedule.jsonl"'}
        return Paced(await service.schedule(party, grant.name), headers, SCHEDULE_MEDIA_TYPE)

    @router.get(
        "/v1/blocks/{height}",
        tags=["chain"],
        operation_id="getBlock",
        summary="A block's header, commit certificate and transaction ids",
        responses=problems("bad_parameter", "not_found", "unavailable"),
        openapi_extra=shows(examples.BLOCK, SECURITY_NONE),
    )
    async def get_block(height: Height) -> Block:
        number = parse_height(height)
        view = await service.block(number)
        if view is None:
            raise Problem(
                "not_found",
                f"block {number} is not decided, or not known to this node",
                f"高度 {number} 的区块尚未确定，或本节点尚不知道",
            )
        return Block.of(view)

    @router.get(
        "/v1/checkpoints/{size}/timestamps",
        tags=["log"],
        operation_id="getTimestamps",
        summary="The first timestamped checkpoint of at least this size, with its RFC 3161 tokens",
        response_class=Response,
        responses=object_answer(
            "checkpoint and tokens",
            examples.TIMESTAMPS,
            "bad_parameter",
            "not_found",
            "unavailable",
        ),
        openapi_extra=SECURITY_NONE,
    )
    async def get_timestamps(size: Size, is_joined: IsJoined = "false") -> Response:
        if is_joined not in ("true", "false"):
            raise Problem(
                "bad_parameter",
                f"path is {is_joined[:40]!r}; it is true or false",
                f"参数 path 为 {is_joined[:40]!r}；应为 true 或 false",
            )
        return _first_covering(
            partial(service.timestamps, is_joined=is_joined == "true"),
            size,
            "this node has no timestamped checkpoint of {size} entries or more",
            "本节点没有加盖时间戳、条目数不少于 {size} 的检查点",
        )

    @router.get(
        "/v1/checkpoints/{size}/witnesses",
        tags=["log"],
        operation_id="getWitnesses",
        summary="The first checkpoint of at least this size that witnesses cosigned",
        description="The witnesses' cosignatures stand apart from the quorum's.",
        response_class=Response,
        responses=object_answer(
            "checkpoint and cosignatures",
            examples.WITNESSED,
            "bad_parameter",
            "not_found",
            "unavailable",
        ),
        openapi_extra=SECURITY_NONE,
    )
    async def get_witnesses(size: Size) -> Response:
        return _first_covering(
            service.witnesses,
            size,
            "this node has no witnessed checkpoint of {size} entries or more",
            "本节点没有经见证副署、条目数不少于 {size} 的检查点",
        )

    @router.get(
        "/v1/checkpoints/{size}/post-quantum",
        tags=["log"],
        operation_id="getPostQuantum",
        summary="The first checkpoint of at least this size with a quorum's ML-DSA-44 cosignatures",
        description="With the consistency proof from this size, and the keys genesis has hashed.",
        response_class=Response,
        responses=object_answer(
            "checkpoint, keys and path",
            examples.POST_QUANTUM,
            "bad_parameter",
            "not_found",
            "unavailable",
        ),
        openapi_extra=SECURITY_NONE,
    )
    async def get_post_quantum(size: Size) -> Response:
        return _first_covering(
            service.post_quantum,
            size,
            "no checkpoint of {size} entries or more has a quorum's post-quantum cosignatures here",
            "本节点没有经法定多数后量子联署、条目数不少于 {size} 的检查点",
        )

    @router.get(
        "/v1/genesis",
        tags=["chain"],
        operation_id="getGenesis",
        summary="The genesis document's exact bytes, whose tagged hash is the chain id",
        response_class=Response,
        responses={
            **problems("bad_parameter"),
            **answer(200, "RFC 8785 canonical JSON", JSON, OBJECT, {"format": "…"}),
        },
        openapi_extra=SECURITY_NONE,
    )
    async def get_genesis() -> Response:
        headers = {"Cache-Control": GENESIS_CACHE}
        return Response(service.genesis.raw, headers=headers, media_type=JSON)

    @router.get(
        "/v1/status",
        tags=["node"],
        operation_id="getStatus",
        summary="How this node is",
        responses=problems("bad_parameter"),
        openapi_extra=shows(examples.STATUS, SECURITY_NONE),
    )
    async def get_status() -> Status:
        return Status.of(service, service.status())

    @router.get(
        "/v1/platform",
        tags=["node"],
        operation_id="getPlatform",
        summary="What the institution says of its node, signed: software, clock, interests, health",
        description="For a court (人民法院在线诉讼规则 art. 17). Signed with the log key of "
        "genesis; anew at every request.",
        response_class=Response,
        responses=object_answer(
            "a platform statement", examples.PLATFORM, "bad_parameter", "unavailable"
        ),
        openapi_extra=SECURITY_NONE,
    )
    async def get_platform() -> Response:
        return Response(service.platform(), media_type=JSON)

    @router.get(
        "/healthz",
        tags=["node"],
        operation_id="getHealth",
        summary="Whether the process works at all",
        responses=problems("unavailable"),
        openapi_extra=shows({"status": "ok"}, SECURITY_NONE),
    )
    async def get_health() -> Healthy:
        return _require_none(service.find_failure())

    @router.get(
        "/readyz",
        tags=["node"],
        operation_id="getReadiness",
        summary="Whether to send requests here",
        responses=problems("unavailable"),
        openapi_extra=shows({"status": "ok"}, SECURITY_NONE),
    )
    async def get_readiness() -> Healthy:
        return _require_none(service.find_obstacle())

    @router.get(
        "/metrics",
        tags=["node"],
        operation_id="getMetrics",
        summary="Metrics for Prometheus: to this machine itself, or with a full token",
        response_class=Response,
        responses={
            **problems("unauthenticated", "forbidden"),
            **answer(200, "Prometheus text format", METRICS, {"type": "string"}, "ledger_height 9"),
        },
        openapi_extra=SECURITY_TOKEN,
    )
    async def get_metrics(request: Request) -> Response:
        if not (settings.metrics_on_loopback and is_loopback(request)):
            access.require_full(request, "metrics", "运行指标")
        return Response(service.metrics(), headers={"Content-Type": METRICS})

    return router


def _first_covering(
    find: Callable[[int], bytes | None], size: str, missing: str, missing_zh: str
) -> Response:
    """Answer with the first checkpoint kept of at least `size`; `missing` says there is none."""
    number = parse_size(size)
    found = find(number)
    if found is None:
        raise Problem("not_found", missing.format(size=number), missing_zh.format(size=number))
    return Response(found, media_type=JSON)


def _require_none(obstacle: Unavailable | None) -> Healthy:
    if obstacle is not None:
        raise obstacle
    return Healthy()
