"""What an RFC 3161 token says of itself: which hash of which bytes, when, and how exactly.

A small reader of DER (X.690) that goes down one way only, from the TimeStampResp to the TSTInfo in
it, and holds every element on that way to its one spelling: tag, shortest definite length, nothing
missing, nothing behind. Certificates and signatures are passed over as whole elements. So a token
that is read is well-formed where it was read, and no more: anybody can write one. Whether an
authority signed it is for software that knows CMS and the authority's certificates (`openssl ts`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NoReturn

from ledger.refusal import Reason, Rejected
from ledger.timestamp_part import ACCURACY_MAX_S, SHA256, SM3

_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_OID: Final = 0x06
_TIME: Final = 0x18
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_CONTEXT_0: Final = 0xA0
_CONTEXT_1: Final = 0xA1

_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
"""1.2.840.113549.1.7.2 (RFC 5652 section 5.1)."""
_TST_INFO: Final = bytes.fromhex("2a864886f70d0109100104")
"""1.2.840.113549.1.9.16.1.4 (RFC 3161 section 2.4.2)."""
_HASH_OIDS: Final = {
    SHA256: bytes.fromhex("608648016503040201"),
    SM3: bytes.fromhex("2a811ccf55018311"),
}
"""2.16.840.1.101.3.4.2.1 (NIST) and 1.2.156.10197.1.401 (GM/T 0006)."""
_NULL: Final = b"\x05\x00"

IMPRINT_BYTES: Final = 32
"""Of SHA-256 and of SM3."""

_ACCURACY: Final = (
    (_INTEGER, "accuracy.seconds", range(ACCURACY_MAX_S + 1), 1_000_000),
    (0x80, "accuracy.millis", range(1000), 1000),
    (0x81, "accuracy.micros", range(1000), 1),
)
"""RFC 3161 section 2.4.2: tag, name, numbers that may stand there, microseconds in one. Zero, which
may not, says what its absence says."""

_GENERALIZED: Final = re.compile(rb"([0-9]{14})(?:\.([0-9]{0,8}[1-9]))?Z")
"""RFC 3161 section 2.4.2: seconds are given, a fraction has no zeros at its end."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TokenContent:
    """What a token says; nothing of it is verified."""

    imprint: bytes
    """32 bytes: the hash of what was stamped."""
    time_ms: int
    accuracy_us: int | None
    """By how much the time may be off, earlier or later; None where the token does not say."""


class _Elements:
    """The elements in a constructed value, taken one after another; raises `Rejected`."""

    def __init__(self, raw: bytes, token: str, name: str) -> None:
        self._raw = raw
        self._at = 0
        self._token = token
        self._name = name

    @property
    def is_empty(self) -> bool:
        return self._at == len(self._raw)

    def next_tag(self) -> int | None:
        """The tag of the element that comes next, if one does."""
        return None if self.is_empty else self._raw[self._at]

    def take(self, tag: int, name: str) -> bytes:
        """Take an element of this tag; return what is in it."""
        found = self.next_tag()
        if found is None:
            _refuse(self._token, f"{name} is missing")
        if found != tag:
            _refuse(self._token, f"{name} has tag {found:#04x} instead of {tag:#04x}")
        return self._take(name)

    def open(self, tag: int, name: str) -> _Elements:
        """Take a constructed element of this tag."""
        return _Elements(self.take(tag, name), self._token, name)

    def pass_over(self) -> None:
        """Take all elements that are left, each whole, and look at none."""
        while not self.is_empty:
            self._take(f"an element of {self._name}")

    def close(self) -> None:
        """Refuse whatever is left."""
        left = len(self._raw) - self._at
        if left:
            _refuse(self._token, f"{left} bytes too many in {self._name}")

    def _take(self, name: str) -> bytes:
        """Take an element: a tag of one byte, its length in the shortest form, its content."""
        raw, at = self._raw, self._at
        if raw[at] & 0x1F == 0x1F:
            _refuse(self._token, f"{name} has a tag of several bytes")
        if at + 1 >= len(raw):
            _refuse(self._token, f"{name} is cut off")
        length, begin = raw[at + 1], at + 2
        if length >= 0x80:
            digits = length - 0x80
            if digits not in (1, 2):
                _refuse(self._token, f"{name} has a length that is not DER, or too large")
            if begin + digits > len(raw):
                _refuse(self._token, f"{name} is cut off")
            length, begin = int.from_bytes(raw[begin : begin + digits], "big"), begin + digits
            if length < (0x80, 0x100)[digits - 1]:
                _refuse(self._token, f"{name} has a length that is not DER, or too large")
        if begin + length > len(raw):
            _refuse(self._token, f"{name} is cut off")
        self._at = begin + length
        return raw[begin : self._at]


def read_token(raw: bytes, algorithm: str, token: str) -> TokenContent:
    """Read a TimeStampResp of at most 64 KiB; `token` names it. Raises `Rejected`."""
    top = _Elements(raw, token, "the token")
    response = top.open(_SEQUENCE, "TimeStampResp")
    top.close()
    status = response.open(_SEQUENCE, "status")
    if status.take(_INTEGER, "status.status") != b"\x00":
        _refuse(token, "status.status is not 0 (granted)", Reason.BAD_FIELD)
    status.pass_over()
    content = response.open(_SEQUENCE, "timeStampToken")
    response.close()
    _take_oid(content, "contentType", _SIGNED_DATA, token)
    wrapped = content.open(_CONTEXT_0, "content")
    content.close()
    signed = wrapped.open(_SEQUENCE, "SignedData")
    wrapped.close()
    info = _open_info(signed, token)
    if info.take(_INTEGER, "TSTInfo.version") != b"\x01":
        _refuse(token, "TSTInfo.version is not 1", Reason.BAD_FIELD)
    info.take(_OID, "policy")
    imprint = _take_imprint(info.open(_SEQUENCE, "messageImprint"), algorithm, token)
    info.take(_INTEGER, "serialNumber")
    time_ms = _read_time(info.take(_TIME, "genTime"), token)
    accuracy_us = _read_accuracy(info, token)
    info.pass_over()
    return TokenContent(imprint, time_ms, accuracy_us)


def _open_info(signed: _Elements, token: str) -> _Elements:
    """Go from a SignedData (RFC 5652 section 5.1) to the TSTInfo that it is about."""
    signed.take(_INTEGER, "SignedData.version")
    signed.take(_SET, "digestAlgorithms")
    encapsulated = signed.open(_SEQUENCE, "encapContentInfo")
    for tag, name in ((_CONTEXT_0, "certificates"), (_CONTEXT_1, "crls")):
        if signed.next_tag() == tag:
            signed.take(tag, name)
    if not signed.take(_SET, "signerInfos"):
        _refuse(token, "signerInfos is empty")
    signed.close()
    _take_oid(encapsulated, "eContentType", _TST_INFO, token)
    wrapped = encapsulated.open(_CONTEXT_0, "eContent")
    encapsulated.close()
    octets = wrapped.open(_OCTETS, "eContent")
    wrapped.close()
    info = octets.open(_SEQUENCE, "TSTInfo")
    octets.close()
    return info


def _take_oid(elements: _Elements, name: str, expected: bytes, token: str) -> None:
    found = elements.take(_OID, name)
    if found != expected:
        _refuse(
            token,
            f"{name} is the identifier {found.hex()[:40]} instead of {expected.hex()}",
            Reason.BAD_FIELD,
        )


def _take_imprint(elements: _Elements, algorithm: str, token: str) -> bytes:
    identifier = elements.open(_SEQUENCE, "hashAlgorithm")
    _take_oid(identifier, "hashAlgorithm", _HASH_OIDS[algorithm], token)
    if not identifier.is_empty and identifier.take(_NULL[0], "hashAlgorithm.parameters"):
        _refuse(token, "hashAlgorithm.parameters is not empty")
    identifier.close()
    imprint = elements.take(_OCTETS, "hashedMessage")
    elements.close()
    if len(imprint) != IMPRINT_BYTES:
        _refuse(
            token,
            f"hashedMessage has {len(imprint)} bytes instead of {IMPRINT_BYTES}",
            Reason.BAD_FIELD,
        )
    return imprint


def _read_time(raw: bytes, token: str) -> int:
    """Return a GeneralizedTime as RFC 3161 has it, ms since 1970, what is smaller cut off."""
    found = _GENERALIZED.fullmatch(raw)
    try:
        moment = None if found is None else _read_moment(found[1].decode())
    except ValueError:
        moment = None
    if found is None or moment is None or moment < _EPOCH:
        _refuse(token, "genTime is no moment since 1970 as YYYYMMDDhhmmss[.f]Z", Reason.BAD_FIELD)
    passed = moment - _EPOCH
    fraction = (found[2] or b"").decode().ljust(3, "0")[:3]
    return (passed.days * 86_400 + passed.seconds) * 1000 + int(fraction)


def _read_accuracy(info: _Elements, token: str) -> int | None:
    """Return the accuracy in microseconds, where one is stated; what is missing in it is zero."""
    if info.next_tag() != _SEQUENCE:
        return None
    parts = info.open(_SEQUENCE, "accuracy")
    accuracy_us = 0
    for tag, name, allowed, unit_us in _ACCURACY:
        if parts.next_tag() != tag:
            continue
        raw = parts.take(tag, name)
        number = int.from_bytes(raw, "big", signed=True)
        if number not in allowed or len(raw) != number.bit_length() // 8 + 1:
            said = f"{name} is no number from {allowed[0]} to {allowed[-1]}"
            _refuse(token, said, Reason.BAD_FIELD)
        accuracy_us += number * unit_us
    parts.close()
    return accuracy_us


def _read_moment(text: str) -> datetime:
    """Return the moment of 14 digits; raise `ValueError` where the calendar has none."""
    month, day, hour, minute, second = [int(text[at : at + 2]) for at in range(4, 14, 2)]
    return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC)


def _refuse(token: str, detail: str, reason: Reason = Reason.MALFORMED) -> NoReturn:
    raise Rejected(reason, f"{token}: {detail}")
