"""A time-stamping authority on loopback, made with `openssl ts`: nothing of it is ours.

Its certificates are made here, its tokens by OpenSSL. It can be told to misbehave, which is done to
bytes that OpenSSL wrote or by asking OpenSSL for another thing than was asked for.
"""

from __future__ import annotations

import asyncio
import datetime
import shutil
import subprocess
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="the program openssl is not installed")

POLICY = "1.3.6.1.4.1.32473.7.1"
"""Below the arc for examples in documents (RFC 5612)."""
OTHER_POLICY = "1.3.6.1.4.1.32473.7.2"

_CONFIG = """\
[ tsa ]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = {policy}
other_policies = {other}
digests = sha256, sm3
{accuracy}
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""

KEY_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
"""What `x509.KeyUsage` is asked for, each by its name."""

Key = ec.EllipticCurvePrivateKey


def make_certificate(
    name: str,
    key: Key,
    issuer: str,
    issuer_key: Key,
    *,
    is_authority: bool = False,
    usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.TIME_STAMPING,),
    is_critical: bool = True,
    key_usage: Collection[str] = (),
    lasts: datetime.timedelta = datetime.timedelta(days=3650),
) -> x509.Certificate:
    """Make a certificate; `usages` is the extended key usage of one that signs tokens, and
    `key_usage` what else its key is said to be for; nothing: it is not said."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + lasts)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not is_authority and usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=is_critical)
    if key_usage:
        uses = {name: name in key_usage for name in KEY_USES}
        builder = builder.add_extension(x509.KeyUsage(**uses), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


class TimestampAuthority:
    """The authority: `answer` makes a response, `serve` does so over HTTP."""

    def __init__(
        self,
        folder: Path,
        name: str = "tsa",
        lasts: datetime.timedelta = datetime.timedelta(days=3650),
        accuracy: str = "accuracy = secs:1",
        *,
        brings_root: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        root_key = ec.generate_private_key(ec.SECP256R1())
        key = ec.generate_private_key(ec.SECP256R1())
        root = make_certificate(
            f"{name} root", root_key, f"{name} root", root_key, is_authority=True
        )
        signer = make_certificate(name, key, f"{name} root", root_key, lasts=lasts)
        self.root, self.signer, self.chain = (
            folder / "root.pem",
            folder / "signer.pem",
            folder / "chain.pem",
        )
        pem = serialization.Encoding.PEM
        self.root.write_bytes(root.public_bytes(pem))
        self.signer.write_bytes(signer.public_bytes(pem))
        self.chain.write_bytes(signer.public_bytes(pem) + root.public_bytes(pem))
        (folder / "key.pem").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(
            _CONFIG.format(folder=folder, policy=POLICY, other=OTHER_POLICY, accuracy=accuracy)
        )
        self._brings = ["-chain", self.root] if brings_root else []
        self._lock = threading.Lock()
        self.requests: list[bytes] = []
        self.respond: Callable[[bytes], tuple[int, str, bytes]] = self._respond
        self._server: asyncio.Server | None = None

    def answer(self, request: bytes) -> bytes:
        """Return OpenSSL's TimeStampResp to a TimeStampReq."""
        with self._lock:
            return self._answer(request)

    def _answer(self, request: bytes) -> bytes:
        query, reply = self.folder / "query.tsq", self.folder / "reply.tsr"
        query.write_bytes(request)
        assert OPENSSL is not None
        command = [OPENSSL, "ts", "-reply", "-config", self.folder / "tsa.cnf", "-section", "tsa"]
        command += ["-signer", self.signer, "-inkey", self.folder / "key.pem"]
        command += [*self._brings, "-queryfile", query, "-out", reply]
        subprocess.run(command, check=True, capture_output=True)
        return reply.read_bytes()

    def _respond(self, request: bytes) -> tuple[int, str, bytes]:
        return 200, "application/timestamp-reply", self.answer(request)

    async def serve(self) -> str:
        """Listen on loopback; return the URL."""
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}/tsr"

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(
            line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line
        )
        assert head.startswith(b"POST /tsr HTTP/1.1\r\n")
        assert fields["content-type"] == "application/timestamp-query"
        request = await reader.readexactly(int(fields["content-length"]))
        self.requests.append(request)
        status, media_type, body = await asyncio.to_thread(self.respond, request)
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()
