"""Parameters of paths and queries, as the OpenAPI document describes them.

They reach the routes as text: `api.requests` checks them, with a better sentence than the
framework's. The document says exactly what those checks take, and a test asks for what it says.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Query

from api import examples
from api.requests import HEIGHT_MAX, STREAM_KINDS
from api.tokens import CONTRACT_PATTERN

CLAIMS_MAX: Final = 256
"""Contracts of one request: a few milliseconds' work, and an address of some 16 kB."""

_NAME: Final[dict[str, Any]] = {"pattern": f"^{CONTRACT_PATTERN}$"}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": HEIGHT_MAX}

ContractId = Annotated[
    str,
    Path(
        description="the contract's id, without `contract/`",
        examples=[examples.CONTRACT_ID],
        json_schema_extra=_NAME,
    ),
]
ContractIds = Annotated[
    list[str],
    Query(
        description=f"ids without `contract/`, repeated; at most {CLAIMS_MAX}",
        examples=[[examples.CONTRACT_ID]],
        json_schema_extra={
            "items": {"type": "string", **_NAME},
            "minItems": 1,
            "maxItems": CLAIMS_MAX,
            "uniqueItems": True,
        },
    ),
]
Height = Annotated[
    str,
    Path(
        description="decimal, 0 is genesis",
        examples=[examples.HEIGHT],
        json_schema_extra=_COUNT,
    ),
]
Size = Annotated[
    str,
    Path(
        description="how many entries it must cover",
        examples=[examples.SIZE],
        json_schema_extra=_COUNT,
    ),
]
IsJoined = Annotated[
    str,
    Query(
        alias="path",
        description="`true`: with the consistency proof from `size` to this checkpoint, for an "
        "evidence file's `timestamps`",
        examples=["true"],
        json_schema_extra={"enum": ["true", "false"]},
    ),
]
StreamKind = Annotated[
    str,
    Path(
        description="kind of stream",
        examples=["contract"],
        json_schema_extra={"enum": list(STREAM_KINDS)},
    ),
]
StreamName = Annotated[
    str, Path(description="its name", examples=[examples.CONTRACT_ID], json_schema_extra=_NAME)
]
Merchant = Annotated[
    str,
    Path(
        description="its party id",
        examples=["merchant-1"],
        json_schema_extra={"pattern": "^[a-z0-9][a-z0-9-]{0,47}$"},
    ),
]
Validator = Annotated[str, Path(description="its id", examples=["bank-a"], json_schema_extra=_NAME)]
Number = Annotated[str, Path(description="from 0", examples=["0"], json_schema_extra=_COUNT)]
