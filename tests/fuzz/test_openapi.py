"""The API, asked all that its own OpenAPI document allows and much that it does not (schemathesis).

Each operation is called in process, with parameters and bodies drawn from its schemas and from
what its schemas forbid, once as drawn and once for what the node holds. No answer is a server
error; each has a status, a media type, headers and a shape that the document describes. Other
methods are refused as it says, and what needs a token is not given without one.

    CAMPAIGN=1 scripts/test tests/fuzz/test_openapi.py
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from schemathesis.transport.serialization import Binary

from api.app import create_app
from api.settings import ApiSettings
from api.tokens import TokenSet, issue_token
from ledger.transaction import decode_transaction
from tests.api.fake import TIME_MS, FakeNode, make_envelope
from tests.fuzz.amount import share

EXAMPLES = share(0.5 if os.environ.get("CAMPAIGN") else 0.02)
ANSWER_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CHECKS = [*ANSWER_CHECKS, unsupported_method, ignored_auth]
TOKEN, RECORD = issue_token("regulator", "regulator", TIME_MS, random_bytes=lambda n: bytes(n))
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HELD = {
    "tx_id": decode_transaction(make_envelope(0)).tx_id.hex(),
    "contract_id": "c1",
    "height": "1",
}

NOT_HELD = ("/v1/contracts/{contract_id}/private", "/v1/contracts/{contract_id}/disclosure")
"""This node keeps no private fields."""


def make_node() -> FakeNode:
    """Return a node that holds one certified transaction, which no submission can repeat."""
    node = FakeNode()
    node.take_in(make_envelope(0))
    node.commit(certified=True)
    return node


schema = schemathesis.openapi.from_asgi(
    "/openapi.json",
    create_app(make_node(), TokenSet([RECORD]), ApiSettings(now_ms=lambda: TIME_MS)),
)


@schemathesis.serializer("application/cose", "application/msgpack")
def write_msgpack(context: Any, value: Any) -> bytes:
    """Return bytes as they were drawn, and what was drawn as no bytes as MessagePack."""
    return value.data if isinstance(value, Binary) else msgspec.msgpack.encode(value)


@schema.auth()
class BearerToken:
    """Sends a regulator's token, which reads everything."""

    def get(self, case: Any, context: Any) -> str:
        """Return the token."""
        return TOKEN

    def set(self, case: Any, data: str, context: Any) -> None:
        """Send it."""
        case.headers["Authorization"] = f"Bearer {data}"


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_document_describes(case: schemathesis.Case) -> None:
    # A post whose form is right may still be no transaction that this chain would take.
    is_post = case.operation.method.upper() == "POST"
    case.call_and_validate(checks=CHECKS if is_post else [*CHECKS, positive_data_acceptance])
    is_asked = case.operation.method.upper() == "GET" and case.operation.path not in NOT_HELD
    if is_asked and set() != case.path_parameters.keys() <= HELD.keys():
        held = {name: HELD[name] for name in case.path_parameters}
        again = case.operation.Case(path_parameters=held, headers=BEARER)
        assert again.call_and_validate(checks=ANSWER_CHECKS).status_code == 200
