"""The outermost layer: request ids, security headers, HEAD, and the last resort for mistakes.

Every request gets an id, its own if it brought an acceptable one, and every answer carries it back.
HEAD is answered by running GET and keeping the body to ourselves, so each route has it and both
give the same headers. An exception that no handler expected is logged with the id and answered
with a problem that says nothing of our insides.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import REQUEST_ID_KEY, Problem, let_go, render_problem
from api.requests import shown

REQUEST_ID_BYTES: Final = 8
"""Sixteen hex digits: distinct within the logs of one node, short enough to read out."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Added where a handler did not say otherwise (the documentation's page, tiles)."""

STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")

_ABSOLUTE_FORM = re.compile(r"https?://[^/?]+(?=/|$)", re.IGNORECASE)

_log = structlog.get_logger("api")


class Edge:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _read_request_id(scope)
        scope = {**scope, **_read_target(scope), REQUEST_ID_KEY: request_id.decode()}
        added = [*SECURITY_HEADERS, (b"x-request-id", request_id)]
        if scope["scheme"] == "https":
            added.append(STRICT_TRANSPORT)
        is_head = scope["method"] == "HEAD"
        if is_head:
            scope["method"] = "GET"
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = list(message.get("headers", ()))
                present = {name for name, _ in headers}
                headers += [header for header in added if header[0] not in present]
                message = {**message, "headers": headers}
            elif is_head:
                await send({"type": "http.response.body", "body": b""})
                if message.get("more_body", False):
                    raise ClientDisconnect  # all is said, and nothing more need be made
                return
            await send(message)

        refusal = _find_refusal(scope)
        if refusal is not None:
            await render_problem(scope, refusal)(scope, receive, send_guarded)
            return
        try:
            await self._app(scope, receive, send_guarded)
        except ClientDisconnect:
            return
        except Exception as error:
            _log.exception(
                "request_failed",
                request_id=scope[REQUEST_ID_KEY],
                method=scope["method"],
                path=scope["path"][:200],
            )
            if started:
                raise
            let_go(error)
            problem = Problem(
                "internal",
                "the node made a mistake answering this; its log has it under the request id "
                f"{scope[REQUEST_ID_KEY]}",
                f"节点在应答时出现自身错误；其日志以请求编号 {scope[REQUEST_ID_KEY]} 作了记录",
            )
            await render_problem(scope, problem)(scope, receive, send_guarded)


def _read_target(scope: Scope) -> dict[str, object]:
    """Return the path of a target that names this server as well, as proxies are sent it.

    RFC 9112 section 3.2.2: a server must accept the absolute form.
    """
    absolute = _ABSOLUTE_FORM.match(scope["path"])
    if absolute is None:
        return {}
    path = scope["path"][absolute.end() :] or "/"
    return {"path": path, "raw_path": path.encode("utf-8")}


def _find_refusal(scope: Scope) -> Problem | None:
    """Return why no route may see a request."""
    if "\n" in scope["path"]:
        # Starlette's patterns end in `$`, which also matches before a final newline.
        path = shown(scope["path"])
        return Problem(
            "not_found", f"there is no route {path}; see /docs", f"没有路径 {path}；请见 /docs"
        )
    if {name for name, _ in scope["headers"]} >= {b"content-length", b"transfer-encoding"}:
        # RFC 9112 section 6.3: it may be smuggled through a proxy that goes by the other one.
        return Problem(
            "bad_request",
            "the request has both Content-Length and Transfer-Encoding, and two lengths are none",
            "请求同时带有 Content-Length 和 Transfer-Encoding；有两个长度，便无从确定长度",
            headers={"Connection": "close"},
        )
    return None


def answer_unreadable(why: str, scheme: str | None) -> Response:
    """Return the answer to bytes that are no HTTP/1.1 request; behind it the server closes.

    `why` is the server's reason. It may repeat what was sent, so it is shortened and escaped.
    """
    problem = Problem(
        "bad_request",
        f"what was sent is no HTTP/1.1 request: {shown(why)}",
        f"所发送的内容不是 HTTP/1.1 请求。原文：{shown(why)}",
        headers={"Connection": "close"},
    )
    return answer_unread(problem, scheme)


def answer_unread(problem: Problem, scheme: str | None) -> Response:
    """Return the answer to a request that no route has seen, with what every answer carries."""
    request_id = secrets.token_hex(REQUEST_ID_BYTES)
    scope = {"path": "", "headers": [], REQUEST_ID_KEY: request_id}
    response = render_problem(scope, problem)
    response.raw_headers += [*SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
    if scheme == "https":
        response.raw_headers.append(STRICT_TRANSPORT)
    return response


def _read_request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(REQUEST_ID_BYTES).encode()
