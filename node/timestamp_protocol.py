"""RFC 3161: asking a time-stamping authority for a token, and judging what it answers.

A token says: this hash existed at this time, signed by an authority that is no member of the
ledger. An authority is believed by the certificates that the operator has pinned, never by those a
token brings along or the system trusts, and a token is checked whole before anybody keeps it. Pure
but for the random nonce, which is an argument. DER, CMS and X.509 are the libraries' business
(`rfc3161-client`, `cryptography`); SM3 imprints, which the client library cannot ask for, are asked
for here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import VerificationError, VerifierBuilder
from rfc3161_client.tsp import Accuracy, PKIStatus, TimeStampResponse

from node.timestamp_der import decode_response

QUERY_TYPE: Final = "application/timestamp-query"
REPLY_TYPE: Final = "application/timestamp-reply"
"""Media types of RFC 3161 section 3.4."""

REPLY_BYTES_MAX: Final = 64 * 1024
"""Largest response read: a token with four certificates has 8 kB."""

NONCE_BITS: Final = 64
"""RFC 3161 section 2.4.1 asks for a large random number, "e.g., a 64 bit integer"."""

CLOCK_DIFFERENCE_MAX_S: Final = 300
"""Beyond it either the authority's clock or this node's is wrong, and a person must look."""

ACCURACY_MAX_S: Final = 86_400
"""Largest accuracy of a token that is kept: one that is off by more than a day names no day."""


class HashName(StrEnum):
    """The hashes that an imprint may be made with."""

    SHA256 = "sha256"
    SM3 = "sm3"


_OIDS: Final = {
    HashName.SHA256: x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1"),
    HashName.SM3: x509.ObjectIdentifier("1.2.156.10197.1.401"),
}


class TokenRefused(Exception):
    """An authority gave no token, or one that is not kept; the sentence says why."""


class BadCertificates(Exception):
    """The certificates pinned for an authority cannot be used; says why in both languages."""

    def __init__(self, detail: str, detail_zh: str) -> None:
        super().__init__(detail)
        self.detail_zh = detail_zh


@dataclass(frozen=True, slots=True)
class Authority:
    """A time-stamping authority, and what its tokens are judged by."""

    name: str
    url: str
    policy: str
    """Object identifier of the policy its tokens must be under; empty takes the authority's own."""
    certificates: tuple[x509.Certificate, ...]
    """The one that signs tokens, then those that issued it, up to the root."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was found good."""

    authority: str
    hash_name: HashName
    policy: str
    serial: int
    time_ms: int
    raw: bytes
    """The whole TimeStampResp in DER, as `openssl ts` reads it."""


@asn1.sequence
class _AlgorithmIdentifier:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _MessageImprint:
    hash_algorithm: _AlgorithmIdentifier
    hashed_message: bytes


@asn1.sequence
class _TimeStampReq:
    version: int
    message_imprint: _MessageImprint
    req_policy: x509.ObjectIdentifier | None
    nonce: int | None
    cert_req: Annotated[bool, asn1.Default(False)]


def compute_imprint(hash_name: HashName, data: bytes) -> bytes:
    """Return the 32-byte hash that a token is about."""
    algorithm = hashes.SHA256() if hash_name is HashName.SHA256 else hashes.SM3()
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()


def read_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read pinned certificates: the signing one first, then its issuers, a root among them.

    The signing one is for time-stamping alone (RFC 3161 section 2.3), as `openssl ts` has it.
    Raises `BadCertificates`.
    """
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise BadCertificates("they are not certificates in PEM", "不是 PEM 格式的证书") from None
    try:
        usage = found[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        usage = None
    if usage is None or ExtendedKeyUsageOID.TIME_STAMPING not in usage.value:
        raise BadCertificates(
            "the first one is not for time-stamping; put the certificate that signs tokens first, "
            "then those that issued it",
            "第一份不是时间戳证书；请将签发令牌的证书放在最前，其后为逐级签发者",
        )
    if not usage.critical or len(usage.value) != 1 or not _is_for_signing_alone(found[0]):
        raise BadCertificates(
            "the first one is not for time-stamping alone, as RFC 3161 asks: an extended key usage "
            "that is critical and names nothing else, and a key that only signs; openssl would "
            "refuse its tokens",
            "第一份不是 RFC 3161 所要求的专用时间戳证书：扩展密钥用途须为关键项且仅此一项，"
            "密钥只可用于签名；openssl 会拒绝其令牌",
        )
    if not _roots(found):
        raise BadCertificates(
            "none of them is a root (issued by itself); the chain has to end in one",
            "其中没有根证书（自行签发者）；证书链须以根证书结尾",
        )
    return tuple(found)


def _is_for_signing_alone(certificate: x509.Certificate) -> bool:
    """Whether its key is for signatures and nothing else, where that is said at all."""
    try:
        use = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    others = (
        use.key_encipherment,
        use.data_encipherment,
        use.key_agreement,
        use.key_cert_sign,
        use.crl_sign,
    )
    return (use.digital_signature or use.content_commitment) and not any(others)


def _roots(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    return [item for item in certificates if item.issuer == item.subject]


def make_request(authority: Authority, hash_name: HashName, imprint: bytes, nonce: int) -> bytes:
    """Return a TimeStampReq in DER (RFC 3161 section 2.4.1); the token is to bring certificates."""
    return asn1.encode_der(
        _TimeStampReq(
            version=1,
            message_imprint=_MessageImprint(
                hash_algorithm=_AlgorithmIdentifier(
                    algorithm=_OIDS[hash_name], parameters=asn1.Null()
                ),
                hashed_message=imprint,
            ),
            req_policy=x509.ObjectIdentifier(authority.policy) if authority.policy else None,
            nonce=nonce,
            cert_req=True,
        )
    )


def check_response(
    raw: bytes,
    authority: Authority,
    hash_name: HashName,
    imprint: bytes,
    *,
    nonce: int,
    now_ms: int,
) -> Token:
    """Judge the answer to a request (RFC 3161 section 2.2, last paragraph); raise `TokenRefused`.

    1. It is a TimeStampResp that grants a token.
    2. The imprint, its hash and the nonce are those of the request.
    3. The pinned certificate signed it, for time-stamping, and leads to a pinned root; all were
       valid at the token's time. The policy is the one asked for.
    4. The time is near this node's own, and its accuracy one that verifiers read.
    """
    try:
        response = decode_response(raw)
        _check_granted(response)
        info = response.tst_info
        found = info.message_imprint
        if (found.hash_algorithm, found.message) != (_OIDS[hash_name], imprint):
            raise TokenRefused(
                f"the token is for {found.hash_algorithm.dotted_string} {found.message.hex()}, "
                f"asked for was {_OIDS[hash_name].dotted_string} {imprint.hex()}"
            )
        if info.nonce != nonce:
            raise TokenRefused("the token does not repeat the nonce; it answers another request")
        if authority.policy and info.policy.dotted_string != authority.policy:
            raise TokenRefused(
                f"the token is under policy {info.policy.dotted_string}, asked for was "
                f"{authority.policy}"
            )
        signer = authority.certificates[0]
        VerifierBuilder(
            tsa_certificate=signer,
            intermediates=list(authority.certificates[1:]),
            roots=_roots(authority.certificates),
        ).build().verify(response, imprint)
        time_ms = int(info.gen_time.timestamp() * 1000)
    except VerificationError as error:
        raise TokenRefused(f"the token does not verify: {error}") from None
    except TokenRefused:
        raise
    except Exception as error:  # noqa: BLE001 - hostile DER makes the libraries raise all sorts
        raise TokenRefused(f"the answer is no time-stamp response: {error}") from None
    if abs(time_ms - now_ms) > CLOCK_DIFFERENCE_MAX_S * 1000:
        raise TokenRefused(
            f"the token's time is {abs(time_ms - now_ms) // 1000} s from this node's; at most "
            f"{CLOCK_DIFFERENCE_MAX_S} s are accepted, so one of the two clocks is wrong"
        )
    _check_accuracy(info.accuracy)
    return Token(
        authority.name, hash_name, info.policy.dotted_string, info.serial_number, time_ms, raw
    )


def _check_accuracy(accuracy: Accuracy | None) -> None:
    if accuracy is None:
        return
    parts = (
        ("seconds", accuracy.seconds, range(ACCURACY_MAX_S + 1)),
        ("millis", accuracy.millis, range(1, 1000)),
        ("micros", accuracy.micros, range(1, 1000)),
    )
    for name, number, allowed in parts:
        if number is not None and number not in allowed:
            raise TokenRefused(
                f"the token's accuracy has {number} {name}; {allowed[0]} to {allowed[-1]} may be"
            )


def _check_granted(response: TimeStampResponse) -> None:
    try:
        status = PKIStatus(response.status)
    except ValueError:
        raise TokenRefused(f"the authority answered with status {response.status}") from None
    if status is not PKIStatus.GRANTED:
        said = "; ".join(response.status_string)
        raise TokenRefused(
            f"the authority answered {status.name.lower()}" + (f": {said[:200]}" if said else "")
        )


def is_imprint_of(raw: bytes, hash_name: HashName, data: bytes) -> bool:
    """Whether a kept response is about this data: what a damaged file is told by."""
    try:
        found = decode_response(raw).tst_info.message_imprint
    except Exception:  # noqa: BLE001 - as above
        return False
    return (found.hash_algorithm, found.message) == (
        _OIDS[hash_name],
        compute_imprint(hash_name, data),
    )


def read_said(raw: bytes) -> tuple[str, int, int]:
    """Return (policy, serial, time in ms) as a response that `is_imprint_of` something has them."""
    info = decode_response(raw).tst_info
    return info.policy.dotted_string, info.serial_number, int(info.gen_time.timestamp() * 1000)


def find_flaw(raw: bytes, imprint: bytes, authority: Authority) -> str:
    """Return why a response kept before does not verify, empty if it does.

    The certificate that signed it is the one it brought along: it may have been renewed since, and
    has to lead to a pinned root all the same.
    """
    try:
        VerifierBuilder(
            intermediates=list(authority.certificates[1:]), roots=_roots(authority.certificates)
        ).build().verify(decode_response(raw), imprint)
    except Exception as error:  # noqa: BLE001 - as above
        return str(error)
    return ""
