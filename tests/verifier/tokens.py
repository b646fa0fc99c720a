"""RFC 3161 tokens that nobody signed, written element by element, each of which may be bent.

What a verifier without CMS can tell of a token, it must tell of these; real ones are OpenSSL's
(`tests.outside.authority`).
"""

from __future__ import annotations

from ledger.hashing import sha256

SHA256_OID = bytes.fromhex("608648016503040201")
SM3_OID = bytes.fromhex("2a811ccf55018311")
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
TST_INFO = bytes.fromhex("2a864886f70d0109100104")
POLICY = bytes.fromhex("2b0601040181fd590701")
TIME = b"20260101001500Z"
ACCURACY, NONCE = bytes.fromhex("3003020101"), bytes.fromhex("02081122334455667788")
NULL = b"\x05\x00"


def element(tag: int, *parts: bytes) -> bytes:
    """An element in DER."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        head = bytes((length,))
    else:
        digits = (length.bit_length() + 7) // 8
        head = bytes((0x80 + digits,)) + length.to_bytes(digits, "big")
    return bytes((tag,)) + head + content


def make_info(
    note: bytes,
    *,
    version: bytes = element(0x02, b"\x01"),
    policy: bytes = element(0x06, POLICY),
    oid: bytes = SHA256_OID,
    parameters: bytes = NULL,
    imprint: bytes | None = None,
    imprint_tail: bytes = b"",
    serial: bytes = element(0x02, b"\x07"),
    time: bytes = TIME,
    time_tag: int = 0x18,
    tail: bytes = ACCURACY + NONCE,
) -> bytes:
    """A TSTInfo (RFC 3161 section 2.4.2) over a note's bytes."""
    identifier = element(0x30, element(0x06, oid), parameters)
    digest = sha256(note) if imprint is None else imprint
    stamped = element(0x30, identifier, element(0x04, digest), imprint_tail)
    return element(0x30, version, policy, stamped, serial, element(time_tag, time), tail)


def make_token(
    info: bytes,
    *,
    status: bytes = element(0x30, element(0x02, b"\x00")),
    content_type: bytes = element(0x06, SIGNED_DATA),
    content_tail: bytes = b"",
    version: bytes = element(0x02, b"\x03"),
    digests: bytes = element(0x31, element(0x30, element(0x06, SHA256_OID))),
    info_type: bytes = element(0x06, TST_INFO),
    info_tag: int = 0x04,
    info_tail: bytes = b"",
    certificates: bytes = element(0xA0, b"\x30\x00" * 100),
    signers: bytes = element(0x31, b"\x30\x00"),
    signed_tail: bytes = b"",
    response_tail: bytes = b"",
) -> bytes:
    """A TimeStampResp (RFC 3161 section 2.4.2) with a CMS SignedData (RFC 5652 section 5.1)."""
    wrapped = element(0xA0, element(info_tag, info, info_tail))
    encapsulated = element(0x30, info_type, wrapped)
    signed = element(0x30, version, digests, encapsulated, certificates, signers, signed_tail)
    content = element(0x30, content_type, element(0xA0, signed), content_tail)
    return element(0x30, status, content, response_tail)
