"""Headers, ids, HEAD, CORS, documentation, and what happens when we are at fault."""

from __future__ import annotations

import re

import httpx
import pytest
from structlog.testing import capture_logs

from api.settings import ApiSettings
from tests.api.conftest import Connect
from tests.api.fake import FakeNode, make_envelope

MSGPACK = {"Content-Type": "application/msgpack"}


async def test_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/v1/status", "/nowhere", "/v1/transactions"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers
        assert "access-control-allow-origin" not in headers


async def test_strict_transport_over_tls_only(connect: Connect) -> None:
    async with connect(scheme="https") as client:
        headers = (await client.get("/v1/status")).headers
    assert headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [("abc-1.2_3", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("a\u00e9", False)],
)
async def test_request_id(client: httpx.AsyncClient, sent: str, is_kept: bool) -> None:
    headers = {"X-Request-Id": sent.encode()}
    response = await client.get("/nowhere", headers=headers)  # type: ignore[arg-type]
    answered = response.headers["x-request-id"]
    assert response.json()["request_id"] == answered
    if is_kept:
        assert answered == sent
    else:
        assert re.fullmatch("[0-9a-f]{16}", answered)


async def test_request_ids_differ(client: httpx.AsyncClient) -> None:
    ids = {(await client.get("/healthz")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize(
    "path",
    ["/v1/status", "/v1/genesis", "/tile/0/000", "/openapi.json", "/docs/swagger-ui.css", "/no"],
)
async def test_head_is_get_without_the_body(client: httpx.AsyncClient, path: str) -> None:
    got = await client.get(path, headers={"X-Request-Id": "x"})
    head = await client.head(path, headers={"X-Request-Id": "x"})
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert {**head.headers} == {**got.headers}
    assert int(head.headers["content-length"]) == len(got.content) > 0


async def test_mistake_of_ours_tells_nothing(client: httpx.AsyncClient, node: FakeNode) -> None:
    node.fail_with = RuntimeError("the secret is 42")
    with capture_logs() as logs:
        response = await client.post(
            "/v1/transactions",
            content=make_envelope(0),
            headers={**MSGPACK, "X-Request-Id": "here"},
        )
    assert response.status_code == 500
    assert response.json() == {
        "type": "urn:evidence-ledger:problem:internal",
        "title": "The node made a mistake",
        "title_zh": "节点内部错误",
        "status": 500,
        "detail": "the node made a mistake answering this; its log has it under the request id "
        "here",
        "detail_zh": "节点在应答时出现自身错误；其日志以请求编号 here 作了记录",
        "instance": "/v1/transactions",
        "reason": "internal",
        "request_id": "here",
    }
    assert response.headers["x-content-type-options"] == "nosniff"
    (log,) = logs
    assert (log["event"], log["request_id"], log["exc_info"]) == ("request_failed", "here", True)


async def test_cors_is_for_listed_origins_only(connect: Connect) -> None:
    settings = ApiSettings(cors_origins=("https://audit.example",))
    async with connect(settings=settings) as client:
        ours = await client.get("/v1/status", headers={"Origin": "https://audit.example"})
        assert ours.headers["access-control-allow-origin"] == "https://audit.example"
        theirs = await client.get("/v1/status", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in theirs.headers
        for method in ("GET", "POST", "PUT", "DELETE"):
            preflight = await client.options(
                f"/v1/contracts/{'00' * 32}/private",
                headers={
                    "Origin": "https://audit.example",
                    "Access-Control-Request-Method": method,
                    "Access-Control-Request-Headers": "content-type,authorization",
                },
            )
            assert preflight.status_code == 200
            assert method in preflight.headers["access-control-allow-methods"]


async def test_cors_is_off_by_default(client: httpx.AsyncClient) -> None:
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert (await client.options("/v1/transactions", headers=headers)).status_code == 405


@pytest.mark.parametrize("origin", ["*", "audit.example", "https://a.example/", "https://A"])
def test_bad_origin(origin: str) -> None:
    with pytest.raises(ValueError) as caught:
        ApiSettings(cors_origins=(origin,))
    assert str(caught.value) == (
        f"cors_origins: {origin!r} is not an origin like https://audit.example"
    )


def test_bad_wait_bounds() -> None:
    with pytest.raises(ValueError) as caught:
        ApiSettings(wait_timeout_default_s=61)
    assert str(caught.value) == (
        "wait_timeout_default_s 61 is not between 1 and wait_timeout_max_s 60"
    )


async def test_documentation_needs_no_other_host(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert "//" not in page.text.replace("<!DOCTYPE html>", "")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert "docs/swagger-ui-bundle.js" in sources
    for source in sources:
        if not source.startswith("data:"):
            assert (await client.get(f"/{source}")).status_code == 200, source
    assert not re.findall(r"<script>|<style|\son\w+=", page.text)
    script = await client.get("/docs/swagger-ui-bundle.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert len(script.content) > 1_000_000
