"""Every parameter of a query is one that its route declares, or the request is refused by name."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.query import STRICT_PREFIXES
from api.tokens import TokenSet
from tests.api.conftest import Connect
from tests.api.fake import FakeNode, make_envelope

OPERATIONS: list[tuple[str, str, dict[str, Any]]] = [
    (method, path, operation)
    for path, item in create_app(FakeNode(), TokenSet()).openapi()["paths"].items()
    for method, operation in item.items()
]
STRICT = [each for each in OPERATIONS if each[1].startswith(STRICT_PREFIXES)]
PLACES = {"height": "0", "older_height": "0", "newer_height": "0", "size": "0", "number": "0"}


def fill(path: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: PLACES.get(found[1], "0" * 64), path)


def known_of(operation: dict[str, Any]) -> list[str]:
    return sorted(each["name"] for each in operation.get("parameters", ()) if each["in"] == "query")


@pytest.mark.parametrize(("method", "path", "operation"), STRICT, ids=lambda each: str(each)[:60])
async def test_an_unknown_parameter_is_refused_and_what_is_known_is_named(
    client: httpx.AsyncClient, method: str, path: str, operation: dict[str, Any]
) -> None:
    known = known_of(operation)
    query = "&".join([*[f"{name}=x" for name in known], "forn=s3cret"])
    headers = {"Accept": "application/problem+json"}
    answer = await client.request(method, f"{fill(path)}?{query}", headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (400, "bad_parameter")
    assert problem["detail"] == (
        "query parameter 'forn' is not known here; known parameters: "
        + (", ".join(known) or "none")
    )
    assert problem["detail_zh"] == (
        "此处没有名为 'forn' 的查询参数；可用的参数：" + ("、".join(known) or "无")
    )
    assert "s3cret" not in answer.text
    assert "bad_parameter" in str(operation["responses"]["400"]["description"])


async def test_the_documented_ones_are_these() -> None:
    """What is asked for above stands in the document; here that it is not empty by mistake."""
    assert {
        f"{method} {path}": known for method, path, each in STRICT if (known := known_of(each))
    } == {
        "post /v1/transactions": ["timeout", "wait"],
        "get /v1/claims": ["contract"],
        "get /v1/contracts/{contract_id}/disclosure": ["commitment", "fields"],
        "get /v1/checkpoints/{size}/timestamps": ["path"],
    }


@pytest.mark.parametrize(
    "query", ["forn", "forn=", "=x", "%66orn=1", "x=1&path=true", "path=true&PATH=true", "a;b=1"]
)
async def test_every_spelling_of_what_is_not_known(client: httpx.AsyncClient, query: str) -> None:
    path = "/v1/checkpoints/0/timestamps"
    answer = await client.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_parameter")
    assert "is not known here; known parameters: path" in answer.json()["detail"]
    head = await client.head(f"{path}?{query}")
    assert (head.status_code, head.headers["content-length"]) == (
        400,
        answer.headers["content-length"],
    )


async def test_what_is_no_list_is_given_once(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/checkpoints/0/timestamps?path=false&path=true")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "query parameter 'path' is given more than once"
    assert answer.json()["detail_zh"] == "查询参数 'path' 出现不止一次"


async def test_a_list_may_be_repeated_and_an_empty_query_is_none(connect: Connect) -> None:
    async with connect("operator") as client:
        several = await client.get("/v1/claims?contract=c1&contract=c2")
        assert several.json().get("reason") != "bad_parameter"
        assert (await client.get("/v1/status?")).status_code == 200


async def test_what_the_path_alone_names_is_answered_whatever_the_query(
    connect: Connect, node: FakeNode
) -> None:
    """Caches, monitors, probes and scrapers append their own."""
    node.take_in(make_envelope(0))
    node.commit(certified=True)
    paths = {fill(path) for _, path, _ in OPERATIONS if not path.startswith(STRICT_PREFIXES)}
    paths |= {"/docs", "/docs/start.js", "/openapi.json", "/verify"}
    async with connect("operator") as client:
        for path in paths:
            plain = await client.get(path)
            asked = await client.get(f"{path}?t=1767225600&name[]=up")
            assert asked.status_code == plain.status_code, path
        assert (await client.get("/checkpoint?t=1")).status_code == 200
        assert (await client.get("/healthz?full=1")).status_code == 200
