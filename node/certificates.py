"""X.509 certificates of a node: one that genesis pins, and those of its API.

The peer certificate is self-signed Ed25519: some 300 bytes, so that 36 of them fit a genesis
document, and TLS 1.3 is the only protocol that will meet it. It never expires by itself
(RFC 5280 section 4.1.2.5: 99991231235959Z is "no well-defined expiration date") and begins in the
past: genesis decides whom to trust, and a wrong clock must not cut a node off. The API is for
browsers, which do not take Ed25519, so its certificates are P-256; a devnet signs them with an
authority of its own. Private keys are written encrypted (PKCS8), never otherwise.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from node.private_files import PRIVATE, PUBLIC, write_file

PrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

NOT_BEFORE: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
NOT_AFTER: Final = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
"""RFC 5280 section 4.1.2.5."""

API_DAYS: Final = 397
"""Browsers refuse certificates that are valid for longer than 398 days."""

COMMON_NAME_LENGTH_MAX: Final = 64
"""RFC 5280 appendix A, ub-common-name."""

LOOPBACK_HOSTS: Final = ("127.0.0.1", "::1", "localhost")


def make_node_certificate(institution: str) -> tuple[PrivateKey, bytes]:
    """Return a new peer key and its self-signed certificate (DER), which goes into genesis."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = _name(institution)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .sign(key, None)
    )
    return key, _der(certificate)


def make_authority(name: str, *, now: dt.datetime) -> tuple[PrivateKey, bytes]:
    """Return a devnet's API authority: key and certificate (DER). It may not have sub-authorities.

    It lives ten years; to import it into a browser is to trust whoever holds its key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, _der(certificate)


def make_api_certificate(
    authority_key: PrivateKey,
    authority: bytes,
    hosts: Sequence[str] = LOOPBACK_HOSTS,
    *,
    now: dt.datetime,
    days: int = API_DAYS,
) -> tuple[PrivateKey, bytes]:
    """Return a server key and its certificate (DER) for host names and addresses."""
    if not hosts:
        raise ValueError("a server certificate needs at least one host")
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_der_x509_certificate(authority)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(hosts[0]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_host(h) for h in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    return key, _der(certificate)


def write_private_key(
    path: Path, key: PrivateKey, passphrase: bytes, *, replace: bool = False
) -> None:
    """Write an encrypted PKCS8 key (PEM, mode 0600); never over another unless told to.

    2,048 rounds of PBKDF2 protect it, weak against guessing: `passphrase` is to be a random secret
    (such as `Keystore.tls_passphrase`), not what a person remembers.
    """
    if not passphrase:
        raise ValueError("a private key is not written without a passphrase")
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )
    write_file(path, pem, mode=PRIVATE, replace=replace)


def write_certificate(path: Path, *certificates: bytes, replace: bool = False) -> None:
    """Write certificates (DER) as one PEM file, the server's own first."""
    pem = "".join(ssl.DER_cert_to_PEM_cert(certificate) for certificate in certificates)
    write_file(path, pem.encode("ascii"), mode=PUBLIC, replace=replace)


def read_certificate(path: Path) -> bytes:
    """Return the first certificate (DER) of a PEM file; raise `OSError` or `ValueError`."""
    pem = path.read_text("ascii")
    end = "-----END CERTIFICATE-----"
    head, found, _ = pem.partition(end)
    if not found:
        raise ValueError(f"{path}: no certificate in PEM")
    return ssl.PEM_cert_to_DER_cert(head[head.index("-----BEGIN") :] + end + "\n")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:COMMON_NAME_LENGTH_MAX])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
