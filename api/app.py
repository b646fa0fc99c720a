"""The REST API as one ASGI application over the node's port.

    Edge (ids, headers, HEAD, last resort) → CORS, if asked for → large answers, bounded
        → exception handlers → routes

Hot routes are Starlette's with msgspec, cold ones FastAPI's with pydantic; all are in the OpenAPI
document. Handlers hold no state but the count of waiters, do no blocking work, and know the node
as `api.ports.LedgerService` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api import documentation, verify_page
from api.access import Access
from api.chain import chain_router
from api.edge import Edge
from api.large_answers import LargeAnswers, Standing
from api.media import JSON
from api.openapi import build_openapi
from api.ports import Later, LedgerService, PrivateFields, Unanswered
from api.private import private_router
from api.problems import Problem, answer_problem, let_go, render_problem
from api.proofs import proof_router
from api.query import strict
from api.requests import shown
from api.scitt import Entries, ScittKeys
from api.settings import ApiSettings
from api.submission import Submission
from api.tiles import Tiles
from api.tokens import Tokens
from api.transactions import Transactions
from ledger.refusal import Rejected

TITLE: Final = "Evidence ledger"
API_VERSION: Final = "1"

CORS_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE")
CORS_HEADERS: Final = ("Authorization", "Content-Type", "X-Request-Id")
CORS_EXPOSED: Final = ("Location", "Retry-After", "X-Request-Id")


def create_app(
    service: LedgerService,
    tokens: Tokens,
    settings: ApiSettings | None = None,
    private: PrivateFields | None = None,
) -> FastAPI:
    """Return the application; without `private` it says that no private fields are kept here."""
    settings = settings or ApiSettings()
    app = FastAPI(
        title=TITLE,
        version=API_VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={
            Problem: answer_problem,
            Rejected: answer_problem,
            Unanswered: _answer_unanswered,
            HTTPException: _answer_http_exception,
            RequestValidationError: _answer_validation_error,
        },
    )
    access = Access(service, tokens, settings.now_ms)
    _add_hot_routes(app, service, access, settings)
    app.include_router(chain_router(service, access, settings))
    app.include_router(proof_router(service, access, settings))
    app.include_router(private_router(private, access, settings))
    _add_documentation(app)
    app.add_middleware(LargeAnswers, bytes_max=settings.answers_bytes_max)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=CORS_METHODS,
            allow_headers=CORS_HEADERS,
            expose_headers=CORS_EXPOSED,
            max_age=600,
        )
    app.add_middleware(Edge)
    return app


def _add_hot_routes(
    app: FastAPI, service: LedgerService, access: Access, settings: ApiSettings
) -> None:
    submission = Submission(service, settings)
    transactions = Transactions(service, access)
    tiles = Tiles(service, access)
    keys = ScittKeys(service)
    entries = Entries(service, submission, settings)
    posts = {
        "/v1/transactions": submission.post_transaction,
        "/v1/transactions:batch": submission.post_batch,
        "/entries": entries.post_entry,
    }
    gets = {
        "/v1/transactions/{tx_id}": transactions.get_transaction,
        "/v1/transactions/{tx_id}/proof": transactions.get_proof,
        "/v1/transactions/{tx_id}/receipt": transactions.get_receipt,
        "/v1/transactions/{tx_id}/timestamps": transactions.get_timestamps,
        "/v1/transactions/{tx_id}/evidence": transactions.get_evidence,
        "/v1/transactions/{tx_id}/entry": transactions.get_entry,
        "/checkpoint": tiles.get_checkpoint,
        "/tile/{path:path}": tiles.get_tile,
        "/entries/{tx_id}": entries.get_entry,
        "/.well-known/scitt-keys": keys.get_keys,
        "/.well-known/scitt-keys/{kid}": keys.get_key,
    }
    for path, post in posts.items():
        app.add_route(path, strict(post, "post", path), methods=["POST"])
    for path, get in gets.items():
        app.add_route(path, strict(get, "get", path), methods=["GET"])


def _add_documentation(app: FastAPI) -> None:
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(build_openapi(app))
        return document

    @cache
    def render() -> bytes:
        return bytes(JSONResponse(openapi()).body)

    async def get_openapi_document(request: Request) -> Response:
        headers = {"Cache-Control": "public, max-age=3600"}
        return Standing(render(), headers=headers, media_type=JSON)

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_route("/openapi.json", get_openapi_document, methods=["GET"])
    for path, endpoint in {**documentation.ROUTES, **verify_page.ROUTES}.items():
        app.add_route(path, endpoint, methods=["GET"])


async def _answer_unanswered(request: Request, error: Exception) -> Response:
    let_go(error)
    why = cast(Unanswered, error)
    retry_after_s = why.retry_after_s if isinstance(why, Later) else None
    problem = Problem(why.reason, why.detail, why.detail_zh, retry_after_s=retry_after_s)
    return render_problem(request.scope, problem)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router itself refuses: an unknown route, or a method that one has not."""
    refusal = cast(HTTPException, error)
    headers: Mapping[str, str] = refusal.headers or {}
    path = shown(request.scope["path"])
    if refusal.status_code == HTTPStatus.NOT_FOUND:
        problem = Problem(
            "not_found", f"there is no route {path}; see /docs", f"没有路径 {path}；请见 /docs"
        )
    elif refusal.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = {name.strip() for name in headers.get("Allow", "").split(",") if name.strip()}
        if "GET" in allowed:
            allowed.add("HEAD")
        listed = ", ".join(sorted(allowed))
        problem = Problem(
            "method_not_allowed",
            f"{request.method} is not allowed on {path}; allowed: {listed}",
            f"路径 {path} 不允许使用 {request.method}；可用的请求方法：{listed}",
            headers={"Allow": listed},
        )
    else:
        problem = Problem(
            "bad_request",
            f"the request could not be read: {refusal.detail}",
            f"请求无法读取。原文：{refusal.detail}",
        )
    return render_problem(request.scope, problem)


async def _answer_validation_error(request: Request, error: Exception) -> Response:
    """Answer what FastAPI refuses of a cold route's parameters, naming the first."""
    first = cast(RequestValidationError, error).errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    problem = Problem(
        "bad_parameter",
        f"{where}: {first['msg']}",
        f"参数 {where} 不符合要求。原文：{first['msg']}",
    )
    return render_problem(request.scope, problem)
