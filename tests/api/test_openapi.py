"""The OpenAPI document: valid, complete, its examples true to their schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from fastapi.openapi.models import OpenAPI

from api import examples, forms, schemas
from api.app import create_app
from api.problems import PROBLEMS, REASON_PROBLEMS, Problem, ProblemForm
from api.requests import parse_contract_id, parse_height
from api.tokens import TokenSet
from ledger.refusal import Reason
from tests.api.fake import FakeNode

NOT_DESCRIBED = {
    "/openapi.json",
    "/docs",
    "/docs/start.js",
    "/docs/swagger-ui-bundle.js",
    "/docs/swagger-ui.css",
    "/verify",
}
BINARY_TYPES = {
    "application/cbor",
    "application/concise-problem-details+cbor",
    "application/cose",
    "application/msgpack",
    "application/octet-stream",
    "application/scitt-receipt+cose",
}
TILES = {
    "/tile/{level}/{index}",
    "/tile/{level}/{index}.p/{width}",
    "/tile/entries/{index}",
    "/tile/entries/{index}.p/{width}",
}
"""One Starlette route, whose parameter is strict by `parse_tile_path`."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(FakeNode(), TokenSet()).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def test_is_an_openapi_document(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPI.model_validate(document)
    schemas_by_name = document["components"]["schemas"]
    for value in walk(document):
        reference = value.get("$ref")
        if isinstance(reference, str):
            assert reference.removeprefix("#/components/schemas/") in schemas_by_name


def test_covers_every_route(document: dict[str, Any]) -> None:
    app = create_app(FakeNode(), TokenSet())
    served = set()
    pending: list[Any] = list(app.routes)
    while pending:
        route = pending.pop()
        if hasattr(route, "path") and hasattr(route, "methods"):
            served |= {(route.path, method.lower()) for method in route.methods - {"HEAD"}}
        else:
            pending += route.original_router.routes
    tile = ("/tile/{path:path}", "get")
    assert tile in served
    expected = {pair for pair in served - {tile} if pair[0] not in NOT_DESCRIBED}
    expected |= {(path, "get") for path in TILES}
    assert {(path, method) for path, method, _ in operations(document)} == expected
    assert len(expected) == 40


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    names = set()
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["operationId"] not in names, where
        names.add(operation["operationId"])
        assert operation["tags"][0] in {tag["name"] for tag in document["tags"]}, where
        assert "security" in operation, where
        assert "422" not in operation["responses"] or method in ("post", "put"), where
        described = set(re.findall(r"{(\w+)}", path))
        parameters = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert parameters == described, where
        errors = [code for code in operation["responses"] if int(code) >= 400]
        assert errors or path in ("/v1/genesis", "/v1/status"), where
        for code in errors:
            assert "application/problem+json" in operation["responses"][code]["content"], where


def test_path_parameters_are_described_as_they_are_read(document: dict[str, Any]) -> None:
    """A contract's id and a height, which the framework itself would describe as any text."""
    described = {
        parameter["name"]: parameter["schema"]
        for path in ("/v1/contracts/{contract_id}/history", "/v1/blocks/{height}")
        for parameter in document["paths"][path]["get"]["parameters"]
    }
    assert re.fullmatch(described["contract_id"]["pattern"], "c" * 80)
    for text in ("", "c" * 81, "-c", "C", "c/d", "c\n"):
        assert not re.fullmatch(described["contract_id"]["pattern"], text)
        with pytest.raises(Problem):
            parse_contract_id(text)
    height = described["height"]
    assert (height["type"], height["minimum"]) == ("integer", parse_height("0"))
    assert height["maximum"] == parse_height(str(height["maximum"]))
    with pytest.raises(Problem):
        parse_height(str(height["maximum"] + 1))


def test_answers_and_bodies_have_examples(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [answer.get("content", {}) for answer in operation["responses"].values()]
        for content in contents:
            for media_type, media in content.items():
                if media_type not in BINARY_TYPES:
                    assert "example" in media or "examples" in media, (method, path, media_type)


@pytest.mark.parametrize(
    ("example", "form"),
    [
        (examples.SUBMISSION, forms.SubmissionForm),
        (examples.BATCH_SIGNED_SUBMISSION, forms.SubmissionForm),
        (examples.BATCH, forms.BatchSubmissionForm),
        (examples.ACCEPTED, forms.AcceptedForm),
        (examples.PENDING, forms.PendingForm),
        (examples.POSITION, forms.PositionForm),
        (examples.PUBLIC_POSITION, forms.PositionForm),
        (examples.problem("stale", "…", "…", "/"), ProblemForm),
    ],
)
def test_examples_decode_as_their_form(example: Any, form: type) -> None:
    decoded: Any = msgspec.convert(example, form)
    written = msgspec.json.decode(msgspec.json.encode(decoded).replace(b',"batch":null', b""))
    assert written == example


def test_example_of_a_batch_result() -> None:
    results = examples.BATCH_RESULT["results"]
    msgspec.convert(results[0]["accepted"], forms.AcceptedForm)
    msgspec.convert(results[1]["problem"], ProblemForm)
    fields = {field.encode_name for field in msgspec.structs.fields(forms.BatchResultForm)}
    assert set(examples.BATCH_RESULT) == fields


@pytest.mark.parametrize(
    ("example", "schema"),
    [
        (examples.CONTRACT, schemas.Contract),
        (examples.BLOCK, schemas.Block),
        (examples.STATUS, schemas.Status),
    ],
)
def test_examples_validate_as_their_schema(example: Any, schema: type[schemas.Schema]) -> None:
    assert schema.model_validate(example).model_dump() == example


def test_every_reason_has_a_problem() -> None:
    assert set(REASON_PROBLEMS) == set(Reason)
    for reason, (status, title, title_zh) in PROBLEMS.items():
        assert re.fullmatch(r"[a-z_]+", reason)
        assert 400 <= status <= 503
        assert title.isascii()
        assert any("\u4e00" <= sign <= "\u9fff" for sign in title_zh)
    assert {reason for reason, row in PROBLEMS.items() if row[0] >= 500} == {
        "internal",
        "not_certified",
        "unavailable",
        "pool_full",
        "set_aside",
    }
