"""Certificates and key files, read back by other software than wrote them."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from node.certificates import (
    make_api_certificate,
    make_authority,
    make_node_certificate,
    read_certificate,
    write_certificate,
    write_private_key,
)

NOW = dt.datetime.now(dt.UTC)


def test_node_certificate_is_small_self_signed_and_does_not_expire() -> None:
    key, der = make_node_certificate("bank-1")
    certificate = x509.load_der_x509_certificate(der)
    certificate.verify_directly_issued_by(certificate)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    assert certificate.subject.rfc4514_string() == "CN=bank-1"
    assert certificate.not_valid_after_utc == dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    assert certificate.not_valid_before_utc.year == 2000
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    # 36 of them, with keys and names, must fit a genesis document of 60,000 bytes.
    assert len(der) <= 400


def test_long_institution_name_is_cut_to_what_x509_takes() -> None:
    _, der = make_node_certificate("x" * 200)
    assert x509.load_der_x509_certificate(der).subject.rfc4514_string() == "CN=" + "x" * 64


def test_private_key_is_encrypted_private_and_not_overwritten(tmp_path: Path) -> None:
    key, der = make_node_certificate("bank-1")
    path = tmp_path / "peer.key"
    write_private_key(path, key, b"secret")
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_private_key(path, key, b"secret")
    with pytest.raises(ValueError, match="not written without a passphrase"):
        write_private_key(tmp_path / "other", key, b"")
    write_certificate(tmp_path / "peer.crt", der)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "peer.crt", path, b"secret")
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(tmp_path / "peer.crt", path, b"wrong")
    replacement, _ = make_node_certificate("bank-1")
    write_private_key(path, replacement, b"secret", replace=True)
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(tmp_path / "peer.crt", path, b"secret")


def test_certificate_files_are_read_back(tmp_path: Path) -> None:
    _, one = make_node_certificate("one")
    _, two = make_node_certificate("two")
    write_certificate(tmp_path / "chain.crt", one, two)
    assert read_certificate(tmp_path / "chain.crt") == one
    (tmp_path / "none.crt").write_text("nothing")
    with pytest.raises(ValueError, match=r"none\.crt: no certificate in PEM"):
        read_certificate(tmp_path / "none.crt")


async def test_browser_like_client_accepts_the_api_certificate(tmp_path: Path) -> None:
    authority_key, authority = make_authority("devnet", now=NOW)
    key, der = make_api_certificate(authority_key, authority, now=NOW)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificate = x509.load_der_x509_certificate(der)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life <= dt.timedelta(days=398)
    write_private_key(tmp_path / "api.key", key, b"secret")
    write_certificate(tmp_path / "api.crt", der, authority)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tmp_path / "api.crt", tmp_path / "api.key", b"secret")

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    context = ssl.create_default_context(cadata=authority)
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # what newer Pythons ask for by default
    for name in ("127.0.0.1", "localhost"):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name
        )
        writer.close()
        await writer.wait_closed()
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="evil.test")
    server.close()
    await server.wait_closed()
    with pytest.raises(ValueError, match="at least one host"):
        make_api_certificate(authority_key, authority, (), now=NOW)
