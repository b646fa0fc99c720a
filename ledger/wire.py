"""MessagePack arrays in one spelling only.

Everything around a transaction's body (envelopes, entries, headers, votes, frames) is a MessagePack
array in fixed field order. MessagePack allows many spellings of one value (a 5 may be written in
nine ways), and two spellings of one vote would be two hashes of one statement. So a decoder here
decodes, encodes again and compares: what was read is the only way to write it. msgspec does both
in about a microsecond; the plain `msgpack` package is the independent reading in the tests and in
the verifier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from ledger.refusal import Reason, Rejected
from ledger.shape import describe_shape_zh

T = TypeVar("T")

WIRE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)
"""What msgspec raises over foreign bytes: bad text and deep nesting are no `DecodeError` to it."""

encode: Final[Callable[[Any], bytes]] = msgspec.msgpack.Encoder().encode
"""Return the one encoding of a struct, list, int, str, bytes or None."""


class StrictDecoder(Generic[T]):
    """Decodes one type and refuses every second spelling of it.

    Structs must be declared with `array_like=True`. msgspec ignores extra trailing fields of such
    a struct; encoding again drops them, so the comparison refuses them too.
    """

    def __init__(self, type_: type[T], name: str) -> None:
        decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(type_)
        self._decode = decoder.decode
        self._name = name
        self._name_zh = {"envelope": "封装"}.get(name, name)

    def decode(self, raw: bytes) -> T:
        """Return the value; raise `Rejected` (MALFORMED or NOT_CANONICAL)."""
        try:
            value = self._decode(raw)
        except WIRE_ERRORS as error:
            raise Rejected(
                Reason.MALFORMED,
                f"{self._name}: {error}",
                f"{self._name_zh}：{describe_shape_zh(str(error))}",
            ) from None
        if encode(value) != raw:
            raise Rejected(
                Reason.NOT_CANONICAL,
                f"{self._name}: these {len(raw)} bytes are not the one encoding of their value",
                f"{self._name_zh}：这 {len(raw)} 字节不是其值的规范编码",
            )
        return value
