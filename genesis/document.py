"""The genesis document: the one thing a stranger has to trust, as a value.

It is RFC 8785 canonical JSON. The hash of its exact bytes is the chain id; whoever knows that hash
knows the institutions, their keys, the parameters and the rule pack, and needs nothing else to
check a proof. An institution's place in the list is its replica number.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from contracts.parties import INSTITUTION_ROLES, District
from ledger import tags
from ledger.canonical import check_canonical, encode_canonical
from ledger.hashing import tagged_hash
from ledger.post_quantum import Member
from ledger.refusal import Reason, Rejected
from ledger.transaction import PartyId
from ledger.validators import Validator, ValidatorSet

FORMAT: Final = "evidence-ledger/genesis/v1"
DOCUMENT_BYTES_MAX: Final = 60_000
"""It is entry 0 of the log, and an entry is below 65,536 bytes."""
INSTITUTIONS_MAX: Final = 36
"""All institutions and districts the plan names; more would not fit one entry."""
CERTIFICATE_BYTES_MAX: Final = 2048

HexKey = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
Endpoint = Annotated[str, msgspec.Meta(min_length=3, max_length=200, pattern=r"^[!-~]+$(?!\n)")]


class Name(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An institution's name in English and Chinese."""

    en: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    zh: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An institution's public keys, all distinct, one for each purpose; all but one Ed25519."""

    cosign: HexKey
    """C2SP cosignatures of checkpoints."""
    log: HexKey
    """The log's own signature on checkpoints this node serves."""
    party: HexKey
    """Transactions and intake receipts of the institution."""
    vote: HexKey
    """PBFT messages."""
    mldsa44: HexKey | msgspec.UnsetType = msgspec.UNSET
    """SHA-256 of the ML-DSA-44 public key of post-quantum cosignatures, where there is one."""


class Endpoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the node is reached when the network starts; a node's configuration may override."""

    api: Endpoint
    """URL of the REST API."""
    peer: Endpoint
    """host:port of the peer transport."""


class Institution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One institution, which runs one validator."""

    district: District
    endpoints: Endpoints
    id: PartyId
    keys: Keys
    name: Name
    role: str
    tls_certificate: str
    """Base64 of the self-signed X.509 certificate (DER) its peers pin."""


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every node must agree on; times in milliseconds."""

    block_bytes_max: Annotated[int, msgspec.Meta(ge=131_072, le=16 * 1024 * 1024)]
    """Bytes of envelopes in one block (JR/T 0314-2024: a block is at most 16 MB)."""
    block_transactions_max: Annotated[int, msgspec.Meta(ge=1, le=16_384)]
    """At most what one proposal names (`consensus.messages.PROPOSAL_TRANSACTIONS_MAX`)."""
    idle_block_interval_ms: Milliseconds
    """A header-only block is proposed after so long without transactions."""
    intake_heights: Annotated[int, msgspec.Meta(ge=1, le=10**6)]
    """K: an intake receipt promises inclusion in at or before height h+K."""
    proposal_clock_skew_ms: Milliseconds
    """How far a fresh proposal's time may lie ahead of a replica's own clock."""
    reference_window_ms: Annotated[int, msgspec.Meta(ge=1, le=10**14)]
    replay_window_ms: Milliseconds
    """W: how far ahead `not_after` may lie; also the window of the duplicate set."""
    view_timeout_ms: Milliseconds


class RulePack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules transactions run under at genesis."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31)]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    institutions: Annotated[
        list[Institution], msgspec.Meta(min_length=1, max_length=INSTITUTIONS_MAX)
    ]
    network: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$(?!\n)")]
    parameters: Parameters
    rule_pack: RulePack
    time: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


_decoder = msgspec.json.Decoder(_Document)


@dataclass(frozen=True, slots=True)
class Genesis:
    """A genesis document, read strictly."""

    raw: bytes
    """Its exact bytes."""
    chain_id: bytes
    network: str
    time_ms: int
    institutions: tuple[Institution, ...]
    parameters: Parameters
    rule_pack: RulePack
    validators: ValidatorSet

    @property
    def origin(self) -> str:
        """Origin line of this log's checkpoints (C2SP tlog-checkpoint)."""
        return compute_origin(self.network, self.chain_id)

    @property
    def post_quantum_members(self) -> tuple[Member, ...]:
        """Return every validator as post-quantum cosignatures know it, in replica order."""
        return tuple(
            [
                Member(
                    f"{self.origin}/{one.id}",
                    None
                    if isinstance(one.keys.mldsa44, msgspec.UnsetType)
                    else bytes.fromhex(one.keys.mldsa44),
                )
                for one in self.institutions
            ]
        )

    def certificate(self, replica: int) -> bytes:
        """Return the pinned X.509 certificate (DER) of a replica."""
        return base64.b64decode(self.institutions[replica].tls_certificate)


def compute_chain_id(raw: bytes) -> bytes:
    """Return the hash of a genesis document's exact bytes: the trust root."""
    return tagged_hash(tags.CHAIN_ID, raw)


def compute_origin(network: str, chain_id: bytes) -> str:
    """Return network name + '/' + the first 16 hex digits of the chain id."""
    return f"{network}/{chain_id.hex()[:16]}"


def encode_genesis(
    *,
    network: str,
    time_ms: int,
    institutions: list[Institution],
    parameters: Parameters,
    rule_pack: RulePack,
) -> bytes:
    """Return the canonical bytes of a genesis document; raise `Rejected` if it would not parse."""
    raw = encode_canonical(
        msgspec.to_builtins(
            _Document(FORMAT, institutions, network, parameters, rule_pack, time_ms)
        )
    )
    parse_genesis(raw)
    return raw


def parse_genesis(raw: bytes) -> Genesis:
    """Read a genesis document strictly; raise `Rejected` with what is wrong and where."""
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise Rejected(
            Reason.TOO_LARGE,
            f"genesis: {len(raw)} bytes; at most {DOCUMENT_BYTES_MAX} allowed",
            f"创世文件：{len(raw)} 字节；至多允许 {DOCUMENT_BYTES_MAX} 字节",
        )
    document: _Document = check_canonical(raw, _decoder, "genesis")
    if document.format != FORMAT:
        raise _bad(
            f"format is {document.format!r}; this software reads {FORMAT!r}",
            f"格式为 {document.format!r}；本软件读取 {FORMAT!r}",
        )
    _check_institutions(document.institutions)
    return Genesis(
        raw=raw,
        chain_id=compute_chain_id(raw),
        network=document.network,
        time_ms=document.time,
        institutions=tuple(document.institutions),
        parameters=document.parameters,
        rule_pack=document.rule_pack,
        validators=ValidatorSet(
            tuple(
                Validator(
                    id=institution.id,
                    vote_key=bytes.fromhex(institution.keys.vote),
                    cosign_key=bytes.fromhex(institution.keys.cosign),
                    log_key=bytes.fromhex(institution.keys.log),
                    party_key=bytes.fromhex(institution.keys.party),
                )
                for institution in document.institutions
            )
        ),
    )


def _check_institutions(institutions: list[Institution]) -> None:
    ids = [institution.id for institution in institutions]
    if len(set(ids)) != len(ids):
        raise _bad(f"institution ids {ids} are not distinct", f"机构标识 {ids} 有重复")
    seen: dict[str, str] = {}
    certificates: set[bytes] = set()
    for institution in institutions:
        if institution.role not in INSTITUTION_ROLES:
            raise _bad(
                f"institution {institution.id}: role {institution.role!r}; known roles are "
                f"{', '.join(INSTITUTION_ROLES)}",
                f"机构 {institution.id}：角色 {institution.role!r} 未知；已知的有"
                f"{'、'.join(INSTITUTION_ROLES)}",
            )
        keys = institution.keys
        for purpose, key in (
            ("cosign", keys.cosign),
            ("log", keys.log),
            ("party", keys.party),
            ("vote", keys.vote),
            ("mldsa44", keys.mldsa44),
        ):
            if isinstance(key, msgspec.UnsetType):
                continue
            owner = f"{institution.id}.{purpose}"
            if key in seen:
                raise _bad(
                    f"key {key} stands for {seen[key]} and for {owner}; all must differ",
                    f"公钥 {key} 既用于 {seen[key]} 又用于 {owner}；各公钥不得相同",
                )
            seen[key] = owner
        try:
            der = base64.b64decode(institution.tls_certificate, validate=True)
        except ValueError as error:  # of binascii, or because it is not ASCII
            raise _bad(
                f"institution {institution.id}: tls_certificate: {error}",
                f"机构 {institution.id}：tls_certificate 不是 base64。原文：{error}",
            ) from None
        if not 0 < len(der) <= CERTIFICATE_BYTES_MAX:
            raise _bad(
                f"institution {institution.id}: tls_certificate has {len(der)} bytes; 1 to "
                f"{CERTIFICATE_BYTES_MAX} are allowed",
                f"机构 {institution.id}：tls_certificate 有 {len(der)} 字节；允许 1 至 "
                f"{CERTIFICATE_BYTES_MAX} 字节",
            )
        if base64.b64encode(der).decode() != institution.tls_certificate:
            raise _bad(
                f"institution {institution.id}: tls_certificate is not canonical base64",
                f"机构 {institution.id}：tls_certificate 不是规范的 base64",
            )
        if der in certificates:
            raise _bad(
                f"institution {institution.id}: tls_certificate is another's too",
                f"机构 {institution.id}：tls_certificate 与另一机构的相同",
            )
        certificates.add(der)


def _bad(detail: str, detail_zh: str) -> Rejected:
    return Rejected(Reason.BAD_FIELD, f"genesis: {detail}", f"创世文件：{detail_zh}")
