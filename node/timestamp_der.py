"""A TimeStampResp as authorities write it, read by a library that wants DER throughout.

RFC 5652 asks for DER in signed attributes alone; elsewhere BER will do. OpenSSL and others write
the certificates that a token brings along in the order in which they were given them, and DER sorts
a SET. Nothing signs that order (the certificates are beside what is signed), so a copy with them
sorted is what the library reads, and the bytes that the authority sent are what is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rfc3161_client import decode_timestamp_response
from rfc3161_client.tsp import TimeStampResponse

_CERTIFICATES: Final = 0xA0
"""SignedData's certificates: a SET, implicitly tagged [0], behind version, hashes and content."""


def decode_response(raw: bytes) -> TimeStampResponse:
    """Return a TimeStampResp; raise what the library raises of one that cannot be read."""
    return decode_timestamp_response(_sort_certificates(raw))


def read_values(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (tag, contents, whole) of the DER values that stand one after another."""
    at = 0
    while at < len(data):
        begin, length, start = at, data[at + 1], at + 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[at + 2 : start])
        at = start + length
        if at > len(data):
            raise ValueError(f"a value of {length} bytes reaches past its end")
        yield data[begin], data[start:at], data[begin:at]


def read_signed_data(raw: bytes) -> list[tuple[int, bytes, bytes]]:
    """Return the parts of the SignedData in a TimeStampResp; raise `ValueError` or `IndexError`."""
    [(_, response, _)] = read_values(raw)
    _, (_, content_info, _) = read_values(response)
    _, (_, explicit, _) = read_values(content_info)
    [(_, signed_data, _)] = read_values(explicit)
    return list(read_values(signed_data))


def _sort_certificates(raw: bytes) -> bytes:
    try:
        parts = read_signed_data(raw)
        tag, contents, _ = parts[3]
        if tag != _CERTIFICATES:
            return raw
        certificates = [whole for _, _, whole in read_values(contents)]
    except (ValueError, IndexError):
        return raw
    end = len(raw) - sum(len(whole) for _, _, whole in parts[4:])
    return raw[: end - len(contents)] + b"".join(sorted(certificates)) + raw[end:]
