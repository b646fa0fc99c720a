"""The hot routes' operations, as OpenAPI describes them.

They are plain Starlette routes, which FastAPI does not describe; so what each takes and answers
stands here in one table. A test keeps the table and the application's routes equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api import examples, forms
from api.description import (
    BINARY,
    SECURITY_NONE,
    SECURITY_OPTIONAL,
    SECURITY_TOKEN,
    STRING,
    answer,
    problems,
)
from api.media import JSON, MSGPACK, OCTETS, TEXT
from api.problems import CONCISE_MEDIA_TYPE
from ledger.cose_receipt import KEYS_MEDIA_TYPE
from ledger.cose_receipt import MEDIA_TYPE as RECEIPT
from ledger.scitt import MEDIA_TYPE as STATEMENT


def _ref(form: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{form.__name__}"}


def _parameter(
    where: str, name: str, description: str, schema: Mapping[str, Any], example: Any
) -> dict[str, Any]:
    return {
        "in": where,
        "name": name,
        "required": where == "path",
        "description": description,
        "schema": dict(schema),
        "example": example,
    }


_TX_ID = _parameter(
    "path",
    "tx_id",
    "the transaction's id in lower-case hex",
    {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    examples.TX_ID,
)
_INDEX = _parameter(
    "path",
    "index",
    "index in groups of three digits, `x` before all but the last: 1234067 is `x001/x234/067`; "
    "the slashes are path separators",
    {"type": "string", "pattern": "^(x[0-9]{3}/)*[0-9]{3}$"},
    "018",
)
_WIDTH = _parameter(
    "path",
    "width",
    "width of a partial tile",
    {"type": "integer", "minimum": 1, "maximum": 255},
    36,
)
_LEVEL = _parameter(
    "path", "level", "level of the tile", {"type": "integer", "minimum": 0, "maximum": 63}, 0
)
_WAIT = [
    _parameter(
        "query",
        "wait",
        "answer only once the transaction is decided (`committed`), or covered by a certified "
        "checkpoint (`certified`)",
        {"type": "string", "enum": ["committed", "certified"]},
        "committed",
    ),
    _parameter(
        "query",
        "timeout",
        "seconds to wait at most; when they are over, the answer is the receipt. The node may "
        "answer with the receipt at once when too many wait",
        {"type": "integer", "minimum": 1, "maximum": 60, "default": 10},
        10,
    ),
]

_INTAKE_REASONS: Final = (
    "malformed",
    "not_canonical",
    "too_deep",
    "not_integer",
    "bad_signature",
    "unknown_party",
    "unknown_key",
    "key_not_valid",
    "request_timeout",
    "too_large",
    "unsupported_media_type",
    "bad_field",
    "signature_count",
    "bad_batch_path",
    "stale",
    "too_far_ahead",
    "unknown_kind",
    "duplicate",
    "too_many_attempts",
    "quota_exceeded",
    "pool_full",
    "set_aside",
    "unavailable",
    "bad_parameter",
)
_BODY_REASONS: Final = ("bad_parameter", "unauthenticated", "forbidden", "not_found")


def _concise(*reasons: str) -> dict[int | str, dict[str, Any]]:
    """Return problems that are CBOR (RFC 9290) for whoever does not name JSON."""
    described = problems(*reasons)
    for response in described.values():
        response["content"][CONCISE_MEDIA_TYPE] = {"schema": BINARY}
    return described


def _request_body(form: type, example: Any, msgpack: str) -> dict[str, Any]:
    return {
        "required": True,
        "content": {
            JSON: {"schema": _ref(form), "example": example},
            MSGPACK: {"schema": {**BINARY, "description": msgpack}},
        },
    }


def _tile_operation(
    name: str, summary: str, parameters: list[dict[str, Any]], *, is_public: bool
) -> dict[str, Any]:
    closed = ("unauthenticated", "forbidden", "not_found", "unavailable")
    reasons = ("not_found",) if is_public else closed
    return {
        "tags": ["log"],
        "operationId": name,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "the bytes; they never change",
                "content": {OCTETS: {"schema": BINARY}},
            },
            **problems(*reasons),
        },
        **(SECURITY_NONE if is_public else SECURITY_TOKEN),
    }


HOT_OPERATIONS: Final[Mapping[str, Mapping[str, dict[str, Any]]]] = {
    "/v1/transactions": {
        "post": {
            "tags": ["transactions"],
            "operationId": "postTransaction",
            "summary": "Submit one signed transaction",
            "description": "The same body again is answered with the same position. As "
            "`application/msgpack` the request's body is the envelope's bytes.",
            "parameters": _WAIT,
            "requestBody": _request_body(
                forms.SubmissionForm, examples.SUBMISSION, "the envelope's bytes"
            ),
            "responses": {
                **answer(200, "on the chain", JSON, _ref(forms.PositionForm), examples.POSITION),
                **answer(
                    202,
                    "taken in, with the node's signed receipt",
                    JSON,
                    _ref(forms.AcceptedForm),
                    examples.ACCEPTED,
                ),
                **problems(*_INTAKE_REASONS),
            },
            **SECURITY_NONE,
        }
    },
    "/v1/transactions:batch": {
        "post": {
            "tags": ["transactions"],
            "operationId": "postBatch",
            "summary": "Submit up to 1000 signed transactions",
            "description": "Always 200 when the request itself could be read; each result has in "
            "`http_status` what posting that transaction alone would have answered. As "
            "`application/msgpack` the request's body is an array of envelopes as bin.",
            "requestBody": _request_body(
                forms.BatchSubmissionForm, examples.BATCH, "array of bin, each an envelope's bytes"
            ),
            "responses": {
                **answer(
                    200,
                    "one result for each transaction, in order",
                    JSON,
                    _ref(forms.BatchResultForm),
                    examples.BATCH_RESULT,
                ),
                **problems(
                    "malformed",
                    "too_deep",
                    "bad_parameter",
                    "request_timeout",
                    "too_large",
                    "unsupported_media_type",
                    "bad_field",
                    "unavailable",
                ),
            },
            **SECURITY_NONE,
        }
    },
    "/v1/transactions/{tx_id}": {
        "get": {
            "tags": ["transactions"],
            "operationId": "getTransaction",
            "summary": "Where a transaction stands",
            "description": "Public. `stream` and `effects` are shown with a token that covers the "
            "transaction.",
            "parameters": [_TX_ID],
            "responses": {
                200: {
                    "description": "on the chain, or waiting for a block",
                    "content": {
                        JSON: {
                            "schema": {
                                "anyOf": [_ref(forms.PositionForm), _ref(forms.PendingForm)]
                            },
                            "examples": {
                                "public": {"value": examples.PUBLIC_POSITION},
                                "entitled": {"value": examples.POSITION},
                                "pending": {"value": examples.PENDING},
                            },
                        }
                    },
                },
                **problems("bad_parameter", "unauthenticated", "not_found", "unavailable"),
            },
            **SECURITY_OPTIONAL,
        }
    },
    "/v1/transactions/{tx_id}/proof": {
        "get": {
            "tags": ["transactions"],
            "operationId": "getProof",
            "summary": "A C2SP tlog-proof of the transaction's entry",
            "parameters": [_TX_ID],
            "responses": {
                **answer(200, "the proof", TEXT, STRING, examples.PROOF),
                **problems("bad_parameter", "not_found", "not_certified"),
            },
            **SECURITY_NONE,
        }
    },
    "/v1/transactions/{tx_id}/receipt": {
        "get": {
            "tags": ["transactions"],
            "operationId": "getReceipt",
            "summary": "A COSE Receipt (RFC 9942) of the transaction's entry",
            "description": "Signed by this institution alone, and neither index nor size is "
            "signed; the tlog-proof says more.",
            "parameters": [_TX_ID],
            "responses": {
                "200": {"description": "COSE_Sign1", "content": {RECEIPT: {"schema": BINARY}}},
                **problems("bad_parameter", "not_found", "not_certified"),
            },
            **SECURITY_NONE,
        }
    },
    "/entries": {
        "post": {
            "tags": ["log"],
            "operationId": "registerStatement",
            "summary": "Register a SCITT Signed Statement (RFC 9943)",
            "description": "A tagged COSE_Sign1 by a party of the ledger, with the attest "
            "transaction that registers it as a byte string under label -65801 of its unprotected "
            "header. The transaction goes the way of every other; nothing else is kept. Errors are "
            "concise problem details in CBOR (RFC 9290), or JSON if that is accepted.",
            "requestBody": {
                "required": True,
                "content": {STATEMENT: {"schema": BINARY}},
            },
            "responses": {
                "201": {
                    "description": "registered; the receipt",
                    "content": {STATEMENT: {"schema": BINARY}},
                },
                "303": {"description": "being registered; where the receipt will be"},
                **_concise(*_INTAKE_REASONS),
            },
            **SECURITY_NONE,
        }
    },
    "/entries/{tx_id}": {
        "get": {
            "tags": ["log"],
            "operationId": "resolveReceipt",
            "summary": "A COSE Receipt (RFC 9942) of a registered statement's entry",
            "parameters": [_TX_ID],
            "responses": {
                "200": {"description": "the receipt", "content": {STATEMENT: {"schema": BINARY}}},
                "302": {"description": "being registered; ask again"},
                **_concise("bad_parameter", "not_found", "unavailable"),
            },
            **SECURITY_NONE,
        }
    },
    "/.well-known/scitt-keys": {
        "get": {
            "tags": ["log"],
            "operationId": "getScittKeys",
            "summary": "The keys that sign receipts: a COSE Key Set (RFC 9052)",
            "responses": {
                "200": {"description": "keys", "content": {KEYS_MEDIA_TYPE: {"schema": BINARY}}},
                **_concise(),
            },
            **SECURITY_NONE,
        }
    },
    "/.well-known/scitt-keys/{kid}": {
        "get": {
            "tags": ["log"],
            "operationId": "getScittKey",
            "summary": "One of these keys, by its COSE Key Thumbprint (RFC 9679)",
            "parameters": [
                _parameter(
                    "path",
                    "kid",
                    "the key id in base64url without padding",
                    {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
                    "9rVjzYkzqb1sC4Lb8oF0bZgK0o3mVYlq1QX9w2kqB3A",
                )
            ],
            "responses": {
                "200": {
                    "description": "COSE_Key",
                    "content": {KEYS_MEDIA_TYPE: {"schema": BINARY}},
                },
                **_concise("not_found"),
            },
            **SECURITY_NONE,
        }
    },
    "/v1/transactions/{tx_id}/timestamps": {
        "get": {
            "tags": ["transactions"],
            "operationId": "getTransactionTimestamps",
            "summary": "The first timestamped checkpoint that covers the transaction",
            "description": "The entry's C2SP tlog-proof in that checkpoint, and the RFC 3161 "
            "tokens of it.",
            "parameters": [_TX_ID],
            "responses": {
                **answer(
                    200,
                    "proof, checkpoint and tokens",
                    JSON,
                    {"type": "object"},
                    examples.TRANSACTION_TIMESTAMPS,
                ),
                **problems("bad_parameter", "not_found", "unavailable"),
            },
            **SECURITY_NONE,
        }
    },
    "/v1/transactions/{tx_id}/evidence": {
        "get": {
            "tags": ["transactions"],
            "operationId": "getEvidence",
            "summary": "The evidence package: one file that a court verifies offline",
            "parameters": [_TX_ID],
            "responses": {
                **answer(200, "the package", JSON, {"type": "object"}, examples.EVIDENCE),
                **problems(*_BODY_REASONS, "not_certified"),
            },
            **SECURITY_TOKEN,
        }
    },
    "/v1/transactions/{tx_id}/entry": {
        "get": {
            "tags": ["transactions"],
            "operationId": "getEntry",
            "summary": "The log entry's exact bytes, which the proof is about",
            "parameters": [_TX_ID],
            "responses": {
                "200": {"description": "leaf data", "content": {OCTETS: {"schema": BINARY}}},
                **problems(*_BODY_REASONS, "not_certified"),
            },
            **SECURITY_TOKEN,
        }
    },
    "/checkpoint": {
        "get": {
            "tags": ["log"],
            "operationId": "getCheckpoint",
            "summary": "The newest certified checkpoint (C2SP tlog-checkpoint)",
            "responses": {
                **answer(200, "a signed note", TEXT, STRING, examples.CHECKPOINT),
                **problems("not_certified"),
            },
            **SECURITY_NONE,
        }
    },
    "/tile/{level}/{index}": {
        "get": _tile_operation(
            "getTile", "A full tile of 256 hashes", [_LEVEL, _INDEX], is_public=True
        )
    },
    "/tile/{level}/{index}.p/{width}": {
        "get": _tile_operation(
            "getPartialTile", "A partial tile", [_LEVEL, _INDEX, _WIDTH], is_public=True
        )
    },
    "/tile/entries/{index}": {
        "get": _tile_operation(
            "getEntryBundle", "256 entries, each after its u16 length", [_INDEX], is_public=False
        )
    },
    "/tile/entries/{index}.p/{width}": {
        "get": _tile_operation(
            "getPartialEntryBundle",
            "Fewer entries, each after its u16 length",
            [_INDEX, _WIDTH],
            is_public=False,
        )
    },
}
