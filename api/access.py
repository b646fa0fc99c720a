"""Who may read what: tokens turned into grants, and grants into yes or no.

Public is what holds hashes only or is everybody's trust root: checkpoint, hash tiles, proofs,
genesis, status, block headers with certificates, and where a transaction stands. Whatever holds a
body or what a body says needs a token. The answer to somebody not entitled is the same whether or
not the thing exists, so that nobody can probe for contracts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Final

from starlette.requests import Request

from api.ports import LedgerService
from api.problems import Problem
from api.tokens import Grant, Tokens

REALM: Final = "evidence-ledger"
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Access:
    """Answers for one API: its tokens, its clock, its node."""

    def __init__(self, service: LedgerService, tokens: Tokens, now_ms: Callable[[], int]) -> None:
        self._service = service
        self._tokens = tokens
        self._now_ms = now_ms

    def find_grant(self, request: Request) -> Grant | None:
        """Return the grant of the request's token, None without one; a wrong one is a 401."""
        header = request.headers.get("authorization")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthenticated(
                "the Authorization header is not of the scheme Bearer",
                "请求头 Authorization 的方案不是 Bearer",
            )
        grant = self._tokens.find(token.strip(" "), self._now_ms())
        if grant is None:
            raise _unauthenticated(
                "the access token is unknown, revoked or expired",
                "访问令牌不存在、已撤销或已过期",
                'error="invalid_token"',
            )
        return grant

    def require_grant(self, request: Request) -> Grant:
        """Return the grant of the request's token; raise `Problem` (unauthenticated)."""
        grant = self.find_grant(request)
        if grant is None:
            raise _unauthenticated(
                "this needs the header Authorization: Bearer <access token>",
                "此处需要请求头 Authorization: Bearer <访问令牌>",
            )
        return grant

    def require_full(self, request: Request, what: str, what_zh: str) -> Grant:
        """Return the grant of a token that covers everything; raise `Problem` otherwise."""
        grant = self.require_grant(request)
        if not grant.is_full:
            raise forbidden(grant, what, what_zh)
        return grant

    def require_stream(self, request: Request, stream: str) -> Grant:
        """Return the grant of a token that covers `stream`; raise `Problem` otherwise."""
        grant = self.require_grant(request)
        if not self.is_entitled(grant, stream):
            raise forbidden(grant, stream, stream)
        return grant

    def require_merchant(self, request: Request, merchant: str) -> Grant:
        """Return the grant of a token that covers all contracts of a merchant, or raise."""
        grant = self.require_grant(request)
        if not (grant.is_full or (grant.role, grant.subject) == ("merchant", merchant)):
            raise forbidden(grant, f"every contract of {merchant}", f"经营者 {merchant} 的全部合同")
        return grant

    def is_entitled(self, grant: Grant, stream: str) -> bool:
        """Say whether a grant covers the bodies of a stream."""
        if grant.is_full:
            return True
        if grant.role == "consumer":
            return stream == f"contract/{grant.subject}"
        if grant.role == "custodian" and stream == f"custodian/{grant.subject}":
            return True
        contract = self._service.contract(stream)
        if contract is None:
            return False
        party = contract.merchant if grant.role == "merchant" else contract.custodian
        return party == grant.subject


def is_loopback(request: Request) -> bool:
    """Say whether the request comes from this machine, and was not passed on by a proxy here."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _unauthenticated(detail: str, detail_zh: str, challenge: str = "") -> Problem:
    value = f'Bearer realm="{REALM}"' + (f", {challenge}" if challenge else "")
    return Problem("unauthenticated", detail, detail_zh, headers={"WWW-Authenticate": value})


def forbidden(grant: Grant, what: str, what_zh: str) -> Problem:
    """Return the answer to a token that does not cover something, named in both languages."""
    return Problem(
        "forbidden",
        f"token {grant.name!r} with scope {grant.scope} does not cover {what}",
        f"访问令牌 {grant.name!r} 的权限范围 {grant.scope} 不包括 {what_zh}",
        headers={
            "WWW-Authenticate": f'Bearer realm="{REALM}", error="insufficient_scope"',
        },
    )
