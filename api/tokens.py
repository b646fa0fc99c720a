"""Access tokens: who may read what is not public.

A token is 256 random bits, shown once when it is issued; the node's home keeps only the SHA-256 of
it, with a scope and perhaps an expiry, under a checksum, so that no rotten byte makes another scope
of one. Nothing can be learnt from the file that would let anybody in, and a plain hash is enough
because the secret is not guessable. Scopes:

    regulator | auditor | operator      everything
    merchant:<party id>                 the contracts of that merchant
    custodian:<party id>                the contracts whose money that institution holds
    consumer:<contract id>              that one contract

Issuing, writing and reading are pure; where the file lies is the node's affair.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Protocol

import msgspec

from ledger.refusal import Reason, Rejected
from ledger.shape import describe_shape_zh
from ledger.transaction import PARTY_PATTERN

SECRET_BYTES: Final = 32
"""256 bits: out of reach of guessing, so no slow password hash is needed."""

TOKEN_PREFIX: Final = "el1_"  # noqa: S105 - lets a scanner recognise a leaked token; no secret
TOKENS_MAX: Final = 100_000
"""One consumer token for each contract of a large merchant, held in memory at 0.5 kB each."""

FULL_ROLES: Final = ("regulator", "auditor", "operator")
PARTY_ROLES: Final = ("merchant", "custodian")
PREFIX_BYTES: Final = 8
"""Of a token's hash, to find it by: enough that two tokens seldom share one."""

CONTRACT_PATTERN: Final = r"[a-z0-9][a-z0-9._-]{0,79}"
"""A contract's id: its stream's name without `contract/`."""

_TOKEN = re.compile(rf"{TOKEN_PREFIX}[A-Za-z0-9_-]{{43}}")
_PARTY = re.compile(PARTY_PATTERN.removeprefix("^").removesuffix("$"))
_CONTRACT = re.compile(CONTRACT_PATTERN)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows."""

    name: str
    """The operator's name for the token, as problems and logs show it."""
    role: str
    subject: str
    """Party id or contract id; empty for a role that covers everything."""

    @property
    def scope(self) -> str:
        """The scope as it is written in the file."""
        return f"{self.role}:{self.subject}" if self.subject else self.role

    @property
    def is_full(self) -> bool:
        """Say whether this covers everything."""
        return self.role in FULL_ROLES


class TokenRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the token file."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$(?!\n)")]
    scope: Annotated[str, msgspec.Meta(max_length=128)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    """Hash of the 32 secret bytes."""
    issued_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    expires_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] | None = None
    """First millisecond at which it no longer counts."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checksum: str
    """SHA-256 of the list as compact JSON: no guard against anybody, but against rot."""
    tokens: list[TokenRecord]


class Tokens(Protocol):
    """What the API needs: a secret in, a grant out."""

    def find(self, token: str, now_ms: int) -> Grant | None:
        """Return the grant of a token that counts now."""


def parse_scope(scope: str) -> tuple[str, str]:
    """Return (role, subject); raise `Rejected` for a scope that does not exist."""
    role, colon, subject = scope.partition(":")
    if role in FULL_ROLES and not colon:
        return role, ""
    if (role in PARTY_ROLES and _PARTY.fullmatch(subject)) or (
        role == "consumer" and _CONTRACT.fullmatch(subject)
    ):
        return role, subject
    raise Rejected(
        Reason.BAD_FIELD,
        f"token scope {scope[:80]!r} is none of regulator, auditor, operator, merchant:<party>, "
        "custodian:<party>, consumer:<contract>",
    )


def issue_token(
    name: str,
    scope: str,
    issued_ms: int,
    *,
    expires_ms: int | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[str, TokenRecord]:
    """Return a new token, which is shown once, and the record to keep; raise `Rejected`."""
    parse_scope(scope)
    secret = random_bytes(SECRET_BYTES)
    fields = {
        "name": name,
        "scope": scope,
        "sha256": sha256(secret).hexdigest(),
        "issued_ms": issued_ms,
        "expires_ms": expires_ms,
    }
    try:
        return format_token(secret), msgspec.convert(fields, TokenRecord)
    except msgspec.ValidationError as error:
        raise Rejected(Reason.BAD_FIELD, f"token {name[:80]!r}: {error}") from None


def encode_tokens(records: Iterable[TokenRecord]) -> bytes:
    """Return the file's bytes: one record after another, for people to read."""
    tokens = list(records)
    file = _File(sha256(msgspec.json.encode(tokens)).hexdigest(), tokens)
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def parse_tokens(raw: bytes) -> TokenSet:
    """Read a token file; raise `Rejected` with what is wrong in it.

    Versions before the checksum wrote the list alone.
    """
    try:
        file = msgspec.json.decode(raw, type=_File | list[TokenRecord])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(
            Reason.MALFORMED,
            f"token file: {error}",
            f"访问令牌文件：{describe_shape_zh(str(error))}",
        ) from None
    if isinstance(file, list):
        return TokenSet(file)
    if encode_tokens(file.tokens) != raw:
        raise Rejected(
            Reason.NOT_CANONICAL,
            "token file: was changed since it was written: its checksum differs",
            "访问令牌文件写入后被改动：校验和不符",
        )
    return TokenSet(file.tokens)


def parse_token(token: str) -> bytes | None:
    """Return a token's secret bytes, None when it is not written like a token."""
    if _TOKEN.fullmatch(token) is None:
        return None
    secret = base64.urlsafe_b64decode(token.removeprefix(TOKEN_PREFIX) + "=")
    return secret if format_token(secret) == token else None


def format_token(secret: bytes) -> str:
    """Return the one spelling of a token."""
    return TOKEN_PREFIX + base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


class TokenSet:
    """Issued tokens, looked up by their hash.

    The table is keyed by the first bytes of a hash of the secret, so the time a look-up takes can
    tell at most about those, from which no secret follows; the hash is compared in constant time.
    """

    def __init__(self, records: Iterable[TokenRecord] = ()) -> None:
        self.records = tuple(records)
        if len(self.records) > TOKENS_MAX:
            raise Rejected(
                Reason.TOO_LARGE,
                f"token file: {len(self.records)} tokens; at most {TOKENS_MAX} are allowed",
            )
        self._by_prefix: dict[bytes, list[tuple[bytes, Grant, int | None]]] = {}
        hashes: set[bytes] = set()
        names: set[str] = set()
        for record in self.records:
            if record.name in names:
                raise Rejected(
                    Reason.BAD_FIELD, f"token file: the name {record.name!r} stands twice"
                )
            names.add(record.name)
            grant = Grant(record.name, *parse_scope(record.scope))
            digest = bytes.fromhex(record.sha256)
            if digest in hashes:
                raise Rejected(
                    Reason.BAD_FIELD, f"token file: {record.name!r} has the hash of another token"
                )
            hashes.add(digest)
            entry = (digest, grant, record.expires_ms)
            self._by_prefix.setdefault(digest[:PREFIX_BYTES], []).append(entry)

    def find(self, token: str, now_ms: int) -> Grant | None:
        """Return the grant of a token that counts now; None for any other."""
        secret = parse_token(token)
        if secret is None:
            return None
        digest = sha256(secret).digest()
        for known, grant, expires_ms in self._by_prefix.get(digest[:PREFIX_BYTES], ()):
            if hmac.compare_digest(known, digest) and (expires_ms is None or now_ms < expires_ms):
                return grant
        return None
