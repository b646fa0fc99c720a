"""Mutual TLS 1.3 between nodes, with certificates pinned by genesis.

Trust is a list, not an authority: the certificates in genesis are the only anchors, and after the
handshake the peer's certificate is compared byte by byte with them, so that a certificate which
one of them might have issued is still a stranger's. Names and dates inside a certificate decide
nothing. `TlsPipe` is TLS without a socket (bytes in, bytes out): it behaves alike on every event
loop, names why a handshake failed, and carried more than the loops' own TLS when measured.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

RECORD_BYTES_MAX: Final = 16 * 1024
"""Plaintext of one TLS record (RFC 8446 section 5.1); one read returns at most one record."""


class PeerRefusal(StrEnum):
    """Why a connection was refused or dropped."""

    NO_CERTIFICATE = "no_certificate"
    UNLISTED_CERTIFICATE = "unlisted_certificate"
    OWN_CERTIFICATE = "own_certificate"
    WRONG_REPLICA = "wrong_replica"
    WRONG_CHAIN = "wrong_chain"
    BAD_HELLO = "bad_hello"
    TLS_FAILED = "tls_failed"
    REFUSED_BY_PEER = "refused_by_peer"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    FRAME_TOO_LARGE = "frame_too_large"
    UNEXPECTED_FRAME = "unexpected_frame"
    IDLE = "idle"
    REPLACED = "replaced"
    UNREACHABLE = "unreachable"


REFUSALS_ZH: Final[Mapping[PeerRefusal, str]] = {
    PeerRefusal.NO_CERTIFICATE: "对方没有出示证书",
    PeerRefusal.UNLISTED_CERTIFICATE: "对方的证书不在创世文件之列",
    PeerRefusal.OWN_CERTIFICATE: "对方出示的是本节点自己的证书",
    PeerRefusal.WRONG_REPLICA: "对方不是所要连接的副本",
    PeerRefusal.WRONG_CHAIN: "对方属于另一条链",
    PeerRefusal.BAD_HELLO: "对方的首条消息不符合要求",
    PeerRefusal.TLS_FAILED: "TLS 出错",
    PeerRefusal.REFUSED_BY_PEER: "对方拒绝了本节点",
    PeerRefusal.HANDSHAKE_TIMEOUT: "握手超时",
    PeerRefusal.TOO_MANY_CONNECTIONS: "连接过多",
    PeerRefusal.FRAME_TOO_LARGE: "对方发来的帧过大",
    PeerRefusal.UNEXPECTED_FRAME: "对方发来了不应出现的帧",
    PeerRefusal.IDLE: "对方久无消息",
    PeerRefusal.REPLACED: "已由新的连接取代",
    PeerRefusal.UNREACHABLE: "无法连接对方",
}


class PeerRefused(Exception):
    """A connection is not kept; `refusal` names why, `detail` says it in a sentence."""

    def __init__(self, refusal: PeerRefusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal
        self.detail = detail


class TlsIdentityError(Exception):
    """This node's own certificate or key cannot be used; says why in English and in Chinese."""

    def __init__(self, detail: str, detail_zh: str) -> None:
        super().__init__(detail)
        self.detail_zh = detail_zh


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Where this node's certificate and encrypted private key (both PEM) lie."""

    certificate: Path
    key: Path
    passphrase: bytes = field(repr=False)


def make_contexts(
    identity: TlsIdentity, own_der: bytes, pinned: Sequence[bytes]
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts for accepting and for dialling; raise `TlsIdentityError`.

    `own_der` is the certificate genesis lists for this replica, `pinned` are all of genesis.
    """
    try:
        certificate_pem = identity.certificate.read_text("ascii")
        certificate = ssl.PEM_cert_to_DER_cert(certificate_pem)
    except (OSError, ValueError) as error:
        raise TlsIdentityError(
            f"{identity.certificate}: no certificate in PEM: {error}",
            f"{identity.certificate}：不是 PEM 格式的证书。原文：{error}",
        ) from None
    if certificate != own_der:
        raise TlsIdentityError(
            f"{identity.certificate} is not the certificate genesis lists for this replica; "
            "its peers would refuse it",
            f"{identity.certificate} 不是创世文件为本副本载明的证书；其他节点会拒绝它",
        )
    contexts = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    for context in contexts:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # the certificate is pinned; a name would add nothing
        context.verify_mode = ssl.CERT_REQUIRED
        # A pinned certificate is an anchor whether or not it calls itself an authority.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cadata=b"".join(pinned))
        except ssl.SSLError as error:
            raise TlsIdentityError(
                f"genesis: a tls_certificate is not X.509: {error.reason}",
                f"创世文件：某个 tls_certificate 不是 X.509 证书。原文：{error.reason}",
            ) from None
        try:
            context.load_cert_chain(identity.certificate, identity.key, lambda: identity.passphrase)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise TlsIdentityError(
                f"{identity.key}: not the private key of {identity.certificate.name}, or not "
                f"encrypted with this passphrase: {error}",
                f"{identity.key}：不是 {identity.certificate.name} 的私钥，或不是用此口令加密的。"
                f"原文：{error}",
            ) from None
    # A resumed session would skip the certificate; every connection shows its own.
    contexts[0].num_tickets = 0
    return contexts


class TlsPipe:
    """One side of a TLS connection: ciphertext in and out, plaintext in and out, no socket."""

    __slots__ = ("_incoming", "_object", "_outgoing", "_server_side")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._server_side = server_side
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)

    def feed(self, ciphertext: memoryview) -> None:
        """Take bytes that came from the socket."""
        self._incoming.write(ciphertext)

    def take(self) -> bytes:
        """Return the bytes that must go to the socket now, perhaps none."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def handshake(self) -> bytes | None:
        """Go on with the handshake; return the peer's certificate (DER) once it is done."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLError as error:
            raise self._refuse(error) from None
        certificate = self._object.getpeercert(binary_form=True)
        if not certificate:
            raise PeerRefused(PeerRefusal.NO_CERTIFICATE, "the peer showed no certificate")
        return certificate

    def read_into(self, buffer: bytearray) -> int | None:
        """Read at most one record; return its length, None if none is complete, 0 at the end."""
        try:
            return cast(int, self._object.read(len(buffer), buffer))  # bytes only without a buffer
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return 0
        except ssl.SSLError as error:
            raise self._refuse(error) from None

    def write(self, plaintext: bytes | memoryview) -> None:
        """Encrypt; the result waits in `take`. The whole of it is taken (the BIO is unbounded)."""
        try:
            self._object.write(plaintext)
        except ssl.SSLError as error:
            raise self._refuse(error) from None

    def say_goodbye(self) -> None:
        """Put the closing alert (close_notify) into `take`."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass  # the answer to it is not waited for, and a broken session needs none

    def _refuse(self, error: ssl.SSLError) -> PeerRefused:
        reason = error.reason or str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return PeerRefused(
                PeerRefusal.UNLISTED_CERTIFICATE,
                f"the peer's certificate is not listed in genesis ({error.verify_message})",
            )
        if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return PeerRefused(PeerRefusal.NO_CERTIFICATE, "the peer showed no certificate")
        if "ALERT" in reason:
            return PeerRefused(
                PeerRefusal.REFUSED_BY_PEER, f"the peer refused this node's TLS: {reason}"
            )
        side = "accepting" if self._server_side else "dialling"
        return PeerRefused(PeerRefusal.TLS_FAILED, f"TLS failed while {side}: {reason}")
