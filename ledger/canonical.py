"""RFC 8785 canonical JSON, restricted to what a court can read back exactly.

The bytes a submitter signed are the bytes the ledger keeps, so there must be one spelling of a
value: RFC 8785 (JSON Canonicalization Scheme) with three further bounds: integers only
(|n| ≤ 2^53−1, where every JSON reader agrees), text that `is_normal`, and a bounded depth.

Reading has a fast path: msgspec decodes into a type that has no float in it and no depth beyond
the bound, sorts, writes again, and the bytes are compared. msgspec sorts member names by code
point, RFC 8785 by UTF-16 unit; the two differ beyond the Basic Multilingual Plane, so the
`rfc8785` library decides over text that is not plain (`PLAIN_TEXT`).
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec
import rfc8785

from ledger.refusal import Reason, Rejected
from ledger.shape import describe_shape_zh

INTEGER_MAX: Final = 2**53 - 1
"""Largest integer every JSON reader holds exactly (RFC 8785 section 3.2.2.3, I-JSON)."""

DEPTH_MAX: Final = 8
"""Arrays and objects inside one another, the outermost counted. Contracts need four; a bound that
the decoder's type itself states cannot be forgotten."""

SHOWN_CHARS_MAX: Final = 80
"""Characters of a member's name that a sentence repeats."""

PLAIN_TEXT: Final = re.compile(
    "[\0-\u02ff\u2010-\u2027\u2030-\u2052\u20a0-\u20b1\u2460-\u24ea\u2500-\u25ff"
    "\u3001-\u3029\u3400-\u4db5\u4e00-\u9fa5\uff01-\uff5e\uffe0-\uffe6]*"
)
"""Text that is in NFC and sorts alike by code point and by UTF-16 unit, whatever stands beside
what: Latin, Chinese and its punctuation, symbols. Only for speed: all of it is in Unicode 3.2."""

NORMALIZATION: Final = unicodedata.ucd_3_2_0
"""Unicode 3.2 (RFC 3454 stands on it): what it assigns, and how that composes, is the same in every
Python. The newest tables change with the interpreter, and two nodes would disagree about a block.
These do too, for the characters that 3.2 does not assign: `is_normal` never asks about one."""

Integer = Annotated[int, msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
JsonValue = Any
"""Inside the bounds above; Python has no recursive type that mypy and msgspec both read."""


def _value_type(depth: int) -> Any:
    scalar = Integer | str | bool | None
    if depth == 0:
        return scalar
    inner: Any = _value_type(depth - 1)
    return scalar | list[inner] | dict[str, inner]


VALUE_TYPE: Final = _value_type(DEPTH_MAX)
OBJECT_TYPE: Final = dict[str, _value_type(DEPTH_MAX - 1)]  # type: ignore[misc]
MEMBER_TYPE: Final = dict[str, _value_type(DEPTH_MAX - 2)]  # type: ignore[misc]
"""Type of an object that is itself a member of the outermost object."""

encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode
"""Return a value's JSON text, members by code point: RFC 8785's spelling where all is ASCII."""

_value_decoder = msgspec.json.Decoder(VALUE_TYPE)


def encode_canonical(value: JsonValue) -> bytes:
    """Return the RFC 8785 text of `value`, in UTF-8.

    Raises `Rejected` (NOT_INTEGER, MALFORMED, TOO_DEEP) where `decode_canonical` would refuse it.
    """
    broken = _find_bound_broken(value, "value", "$", 1)
    if broken is not None:
        raise broken
    try:
        text = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise Rejected(
            Reason.MALFORMED,
            f"value: not expressible in RFC 8785: {error}",
            f"该值无法写成 RFC 8785 规范 JSON。原文：{error}",
        ) from None
    check_canonical(text, _value_decoder, "value")
    return text


def decode_canonical(raw: bytes, name: str = "document") -> dict[str, JsonValue]:
    """Return the object that `raw` spells canonically; raise `Rejected` with the reason."""
    return check_canonical(raw, _object_decoder, name)  # type: ignore[no-any-return]


_object_decoder = msgspec.json.Decoder(OBJECT_TYPE)


def check_canonical(raw: bytes, decoder: msgspec.json.Decoder[Any], name: str) -> Any:
    """Decode `raw` with `decoder` and refuse it unless it is the canonical spelling.

    Raises `Rejected`: NOT_CANONICAL, NOT_INTEGER, TOO_DEEP, BAD_FIELD or MALFORMED.
    """
    try:
        value = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(raw, name, error) from None
    if is_plain(raw):
        if encode_sorted(value) != raw:
            raise _not_canonical(name)
        return value
    if not _is_rfc8785(value, raw):
        raise _not_canonical(name)
    if not is_normal(raw.decode()):
        raise Rejected(
            Reason.NOT_CANONICAL,
            f"{name}: strings must be in Unicode Normalization Form C",
            f"{_name_zh(name)}：字符串须为 Unicode 规范化形式 C",
        )
    return value


def is_plain(raw: bytes) -> bool:
    """Return whether these bytes are UTF-8 and `PLAIN_TEXT`."""
    if raw.isascii():
        return True
    try:
        return PLAIN_TEXT.fullmatch(raw.decode()) is not None
    except UnicodeDecodeError:
        return False


def is_normal(text: str) -> bool:
    """Return whether each longest run of characters that Unicode 3.2 assigns is in its NFC.

    A character of a later version stays as it is, and nothing composes with it or across it
    (ADR 0025); U+0000, which composes with nothing, stands for it here.
    """
    later = {ord(one): "\0" for one in set(text) if NORMALIZATION.category(one) == "Cn"}
    asked = text.translate(later) if later else text
    return _may_be_nfc(asked) and NORMALIZATION.is_normalized("NFC", asked)


def _may_be_nfc(text: str) -> bool:
    """Return whether each character may stand in NFC, and marks follow one another in its order.

    Python sorts marks one by one, each past all that belong behind it. Of text that passes here
    none moves further than over the marks of one letter's decomposition; other text is not in NFC,
    and sorting it would take the square of its length.
    """
    characters = set(text)
    if not all(NORMALIZATION.is_normalized("NFC", one) for one in characters):
        return False
    if not any(map(NORMALIZATION.combining, characters)):
        return True
    return not any(
        0 < behind < before for before, behind in pairwise(map(NORMALIZATION.combining, text))
    )


def _not_canonical(name: str) -> Rejected:
    return Rejected(
        Reason.NOT_CANONICAL,
        f"{name}: not the RFC 8785 spelling (members sorted, no spaces, shortest escapes, "
        "no duplicate members)",
        f"{_name_zh(name)}：不是 RFC 8785 的规范写法（成员排序、无空格、最短转义、成员不重复）",
    )


def _is_rfc8785(value: Any, raw: bytes) -> bool:
    try:
        return rfc8785.dumps(msgspec.to_builtins(value)) == raw
    except (rfc8785.CanonicalizationError, RecursionError):
        return False


def _explain(raw: bytes, name: str, error: Exception) -> Rejected:
    """Name what is wrong with text that the bounded type refused."""
    text = str(error)
    if isinstance(error, RecursionError) or "maximum recursion" in text.lower():
        return _too_deep(name)
    try:
        loose = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        if isinstance(cause, RecursionError):
            return _too_deep(name)
        return Rejected(
            Reason.MALFORMED,
            f"{name}: not JSON: {cause}",
            f"{_name_zh(name)}：不是 JSON。原文：{cause}",
        )
    return _find_bound_broken(loose, name, "$", 1) or Rejected(
        Reason.BAD_FIELD, f"{name}: {text}", f"{_name_zh(name)}：{describe_shape_zh(text)}"
    )


def _too_deep(name: str) -> Rejected:
    return Rejected(
        Reason.TOO_DEEP,
        f"{name}: nested deeper than {DEPTH_MAX} levels",
        f"{_name_zh(name)}：嵌套超过 {DEPTH_MAX} 层",
    )


def _name_zh(name: str) -> str:
    """Return what is read, in Chinese, where it has a name in it."""
    names = {"body": "正文", "document": "文件", "genesis": "创世文件", "value": "该值"}
    return names.get(name, name)


def _find_bound_broken(value: Any, name: str, path: str, depth: int) -> Rejected | None:
    if isinstance(value, float):
        return Rejected(
            Reason.NOT_INTEGER,
            f"{name}: {path} is {value!r}; only integers are allowed (money is whole fen)",
            f"{_name_zh(name)}：{path} 为 {value!r}；只允许整数（金额以分为单位）",
        )
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > INTEGER_MAX:
        bits = value.bit_length()
        shown = value if bits <= 128 else f"an integer of {bits} bits"
        shown_zh = value if bits <= 128 else f"{bits} 位二进制整数"
        return Rejected(
            Reason.NOT_INTEGER,
            f"{name}: {path} is {shown}, beyond ±{INTEGER_MAX} (2^53−1)",
            f"{_name_zh(name)}：{path} 为 {shown_zh}，超出 ±{INTEGER_MAX}（2^53−1）",
        )
    if isinstance(value, dict | list):
        if depth > DEPTH_MAX:
            return _too_deep(name)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            found = _find_bound_broken(inner, name, f"{path}.{_shorten(str(key))}", depth + 1)
            if found is not None:
                return found
    return None


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…"
