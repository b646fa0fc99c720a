"""The OpenAPI 3.1 document: every route, with summaries, examples and errors.

FastAPI describes the cold routes, `api.operations` the hot ones; the hot ones' schemas come from
the msgspec types that really read and write them, so they cannot drift apart.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import forms
from api.operations import HOT_OPERATIONS
from api.problems import ProblemForm

DESCRIPTION: Final = """\
A permissioned BFT ledger of evidence for prepaid-card contracts.

Transactions carry their own signatures, so posting needs no token. Proofs, checkpoints and hash
tiles are public; whatever says what a body said needs a token. Errors are RFC 9457 problems, whose
`type` is stable and whose `detail` is a whole sentence. HEAD works wherever GET does.
Under `/v1` and `/entries` a query parameter that is not listed here is refused by name.
"""

TAGS: Final = [
    {
        "name": "transactions",
        "description": "Post signed transactions, read what became of them.",
    },
    {"name": "contracts", "description": "A contract's record and complete history."},
    {
        "name": "proofs",
        "description": "Evidence files that answer one question (docs/PROOFS.md).",
    },
    {
        "name": "private",
        "description": "A contract's private fields, kept by its custodian beside the chain.",
    },
    {"name": "chain", "description": "Blocks with their certificates, and genesis."},
    {"name": "log", "description": "The log as static resources (C2SP tlog-tiles)."},
    {"name": "node", "description": "How this node is."},
]

_FORMS: Final = (
    forms.SubmissionForm,
    forms.BatchSubmissionForm,
    forms.AcceptedForm,
    forms.PositionForm,
    forms.PendingForm,
    forms.BatchResultForm,
    forms.PrivateForm,
    ProblemForm,
)


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """Return the whole document."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
    )
    for path in document["paths"].values():
        for operation in path.values():
            # Parameters are read by api.requests; what a route says itself of 422 stays.
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    _, components = msgspec.json.schema_components(
        _FORMS, ref_template="#/components/schemas/{name}"
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas.update(components)
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "issued by the operator"}
    }
    for path, operations in HOT_OPERATIONS.items():
        document["paths"][path] = {
            method: {
                **operation,
                "responses": {str(code): r for code, r in operation["responses"].items()},
            }
            for method, operation in operations.items()
        }
    document["paths"] = dict(sorted(document["paths"].items()))
    return document
