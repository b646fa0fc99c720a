"""An application over the node in memory, and clients with each kind of token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from hashlib import sha256

import httpx
import pytest

from api.app import create_app
from api.settings import ApiSettings
from api.tokens import TokenSet, issue_token
from tests.api.fake import TIME_MS, FakeNode

SCOPES = {
    "regulator": "regulator",
    "auditor": "auditor",
    "operator": "operator",
    "merchant": "merchant:m1",
    "other-merchant": "merchant:m2",
    "custodian": "custodian:bank-a",
    "other-custodian": "custodian:bank-b",
    "consumer": "consumer:c1",
    "other-consumer": "consumer:c2",
}


def _secret_of(name: str, _count: int) -> bytes:
    return sha256(name.encode()).digest()


_ISSUED = {
    name: issue_token(name, scope, TIME_MS, random_bytes=partial(_secret_of, name))
    for name, scope in SCOPES.items()
}
_EXPIRED = issue_token("expired", "operator", TIME_MS - 10, expires_ms=TIME_MS)


@pytest.fixture
def secrets_by_name() -> dict[str, str]:
    return {**{name: token for name, (token, _) in _ISSUED.items()}, "expired": _EXPIRED[0]}


@pytest.fixture
def token_set() -> TokenSet:
    return TokenSet([*(record for _, record in _ISSUED.values()), _EXPIRED[1]])


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def settings() -> ApiSettings:
    return ApiSettings(now_ms=lambda: TIME_MS)


Connect = Callable[..., httpx.AsyncClient]


@pytest.fixture
def connect(
    node: FakeNode, token_set: TokenSet, secrets_by_name: dict[str, str], settings: ApiSettings
) -> Connect:
    """Return a client of an application: `connect("merchant")` sends that token."""

    def make(
        token: str | None = None,
        *,
        settings: ApiSettings = settings,
        address: str = "192.0.2.7",
        scheme: str = "http",
    ) -> httpx.AsyncClient:
        headers = {} if token is None else {"Authorization": f"Bearer {secrets_by_name[token]}"}
        transport = httpx.ASGITransport(
            app=create_app(node, token_set, settings),
            raise_app_exceptions=True,
            client=(address, 5000),
        )
        return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://node", headers=headers)

    return make


@pytest.fixture
async def client(connect: Connect) -> AsyncIterator[httpx.AsyncClient]:
    async with connect() as made:
        yield made
