"""Pieces of an OpenAPI description: an answer, the problems an operation may give, who may call it.

Used by the cold routes' decorators and by the table of hot operations, so that both describe their
errors in one way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api import examples
from api.media import JSON
from api.problems import MEDIA_TYPE, PROBLEMS

BINARY: Final = {"type": "string", "format": "binary"}
OBJECT: Final = {"type": "object"}
STRING: Final = {"type": "string"}

SECURITY_NONE: Final[dict[str, Any]] = {"security": []}
SECURITY_TOKEN: Final[dict[str, Any]] = {"security": [{"token": []}]}
SECURITY_OPTIONAL: Final[dict[str, Any]] = {"security": [{}, {"token": []}]}

PROVEN: Final = ("bad_parameter", "unauthenticated", "forbidden", "not_found", "not_certified")
"""Problems of an operation that proves to whoever may read a stream what the chain says of it."""

_PROBLEM_DETAILS: Final[Mapping[str, str]] = {
    "malformed": "request body: Object missing required field `signatures`",
    "bad_parameter": "height '007' is not a decimal number from 0 to 9007199254740991 without "
    "leading zeros",
    "too_large": "the request's body has 200000 bytes; at most 131072 are allowed here",
    "bad_field": "a batch has at least one transaction; this one has none",
    "bad_signature": "transaction …: the signature of merchant-1 with key … does not verify",
    "duplicate": "transaction … is already on the chain",
    "too_many_attempts": "contract/c-9 has 1000 attempts that were refused; from 1000 on only what "
    "would be applied is taken in, and as of block 812 this would be refused as not_entitled",
    "quota_exceeded": "merchant-1 sent 1000 transactions in this minute; at most 1000 are allowed",
    "pool_full": "100000 transactions wait for a block; at most 100000 may",
    "unauthenticated": "this needs the header Authorization: Bearer <access token>",
    "forbidden": "token 'till-7' with scope merchant:merchant-1 does not cover contract/c-9",
    "not_found": "transaction … is not known to this node",
    "record_too_long": "contract/c-9 has 100001 entries; a history holds at most 100000: ask for "
    "shorter windows, one after another",
    "request_timeout": "the request's body did not arrive whole within 30 s",
    "unsupported_media_type": "content-type 'text/html' is not supported; send application/json "
    "or application/msgpack",
    "conflict": "contract/c-9 has private fields under commitment …; name it in `replaces` to "
    "correct them",
    "erased": "the private fields of contract/c-9 were erased",
    "not_certified": "not certified yet; try again in 2 s",
    "unavailable": "the node is catching up: it is at height 100 of 4711",
    "internal": "the node made a mistake answering this; its log has it under the request id "
    "5f3c9a7e21d04b86",
}


def answer(
    status: int, description: str, media_type: str, schema: Mapping[str, Any], example: Any
) -> dict[int | str, dict[str, Any]]:
    """Return one entry of an operation's responses."""
    content = {media_type: {"schema": dict(schema), "example": example}}
    return {status: {"description": description, "content": content}}


def object_answer(description: str, example: Any, *reasons: str) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an operation that answers with a JSON object of another format."""
    return {**problems(*reasons), **answer(200, description, JSON, OBJECT, example)}


def shows(example: Any, security: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an operation with a schema of its own adds: an example, and who may call it."""
    return {"responses": {"200": {"content": {JSON: {"example": example}}}}, **security}


def problems(*reasons: str) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an operation that may answer with these problems, and with 500."""
    by_status: dict[int, list[str]] = {}
    for reason in (*reasons, "internal"):
        by_status.setdefault(PROBLEMS[reason][0], []).append(reason)
    responses: dict[int | str, dict[str, Any]] = {}
    for status, named in by_status.items():
        response: dict[str, Any] = {
            "description": "; ".join(f"{reason}: {PROBLEMS[reason][1]}" for reason in named),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemForm"},
                    "examples": {
                        reason: {
                            "value": examples.problem(
                                reason, _PROBLEM_DETAILS.get(reason, "…"), "/v1/…"
                            )
                        }
                        for reason in named
                    },
                }
            },
        }
        headers: dict[str, Any] = {}
        if status in (429, 503):
            headers["Retry-After"] = {"description": "seconds", "schema": {"type": "integer"}}
        if status == 401:
            headers["WWW-Authenticate"] = {"schema": STRING}
        if headers:
            response["headers"] = headers
        responses[status] = response
    return responses
