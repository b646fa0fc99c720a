"""Whether a kept time-stamp token is still as its signer made it, whoever that was.

A token that leads to no pinned root may be damaged, or whole and of a root that is pinned no more.
The certificate that came along tells the two apart: what it signed holds the hash of the content
and of that very certificate (RFC 5652 section 5.4, RFC 5035 section 3), so no byte of these can
have changed. It is no ground for belief: anybody can make a certificate. Signatures of ECDSA and of
RSA (PKCS1 v1.5) are read, as authorities make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client.tsp import PKIStatus

from node.timestamp_der import decode_response, read_signed_data, read_values

_SET: Final = 0x31
_SIGNED_ATTRIBUTES: Final = 0xA0
"""Implicitly tagged [0]; what is signed are the same bytes under the tag of a SET."""

_TOKEN_CONTENT: Final = bytes.fromhex("2a864886f70d0109100104")
"""Object identifier of a token's content (RFC 3161 section 2.4.2)."""

_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "608648016503040201": hashes.SHA256(),
    "608648016503040202": hashes.SHA384(),
    "608648016503040203": hashes.SHA512(),
}
"""By the object identifier's bytes (RFC 5754 section 2)."""

_CERTIFICATE_HASHES: Final = (hashes.SHA1(), *_HASHES.values())  # noqa: S303 - as RFC 2634 names it


def find_own_signer(raw: bytes) -> x509.Certificate | None:
    """Return the certificate in a TimeStampResp that signed it; None where none of them did."""
    try:
        response = decode_response(raw)
        found = response.signed_data.certificates
        certificates = [x509.load_der_x509_certificate(der) for der in found]
        content, info = _take_apart(raw)
        if response.status != PKIStatus.GRANTED:
            return None
        return next((one for one in certificates if _has_signed(one, content, info)), None)
    except Exception:  # noqa: BLE001 - damaged DER makes the libraries raise all sorts
        return None


def _take_apart(raw: bytes) -> tuple[bytes, list[tuple[int, bytes, bytes]]]:
    """Return the content that a response's token is about, and the parts of its SignerInfo."""
    parts = read_signed_data(raw)
    (_, kind, _), (_, octets, _) = read_values(parts[2][1])
    if kind != _TOKEN_CONTENT:
        raise ValueError("the content is no time-stamp token's")
    [(_, content, _)] = read_values(octets)
    [(_, signed, _)] = read_values(parts[-1][1])
    info = list(read_values(signed))
    if info[2][2] != parts[1][1]:
        raise ValueError("the signer's hash is not the one that the token announces")
    return content, info


def _has_signed(
    certificate: x509.Certificate, content: bytes, info: list[tuple[int, bytes, bytes]]
) -> bool:
    """Say whether a certificate's key signed the content and the hash of the certificate."""
    _, (_, signer, _), (_, algorithm, _), (tag, attributes, whole), _, (_, signature, _) = info[:6]
    (_, _, issuer), (_, serial, _) = read_values(signer)
    named = certificate.issuer.public_bytes(), certificate.serial_number
    if (issuer, int.from_bytes(serial)) != named:
        return False
    [(_, oid, _), *_] = read_values(algorithm)
    chosen = _HASHES[oid.hex()]
    der = certificate.public_bytes(Encoding.DER)
    is_named = any(_digest(der, one) in attributes for one in _CERTIFICATE_HASHES)
    if tag != _SIGNED_ATTRIBUTES or not is_named or _digest(content, chosen) not in attributes:
        return False
    signed = bytes([_SET]) + whole[1:]
    try:
        match certificate.public_key():
            case ec.EllipticCurvePublicKey() as key:
                key.verify(signature, signed, ec.ECDSA(chosen))
            case rsa.RSAPublicKey() as key:
                key.verify(signature, signed, padding.PKCS1v15(), chosen)
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _digest(data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()
