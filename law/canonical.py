"""RFC 8785 canonical JSON with the standard library alone.

A document of law has one spelling, so that its hash means its content: members sorted by UTF-16
unit, no spaces, shortest escapes, whole numbers only (|n| ≤ 2^53−1), text that `is_normal`, bounded
depth and size.

Reading decodes, writes again and compares. The ledger has the same rules in a faster form
(`ledger.canonical`); this one must run where nothing but Python is installed, and the tests hold
the two against each other.
"""

from __future__ import annotations

import json
import re
import unicodedata
from hashlib import sha256
from typing import Any, Final, NoReturn

from law.refusal import Code, Refused

INTEGER_MAX: Final = 2**53 - 1
"""Largest integer every JSON reader holds exactly (RFC 8785 section 3.2.2.3, I-JSON)."""

DEPTH_MAX: Final = 8
"""Arrays and objects inside one another, the outermost counted; the bound of a transaction body."""

DOCUMENT_BYTES_MAX: Final = 32 * 1024
"""The bound of a transaction body, which carries a document to the ledger."""

NORMALIZATION: Final = unicodedata.ucd_3_2_0
"""Unicode 3.2: a later Unicode must not make an old document wrong. Every Python has the same
tables of what 3.2 assigns; `is_normal` asks about nothing else."""

_CONTAINERS: Final = frozenset((dict, list, tuple))
_QUESTIONABLE: Final = re.compile(
    r"[^\x00-\x7f\xb1\xb7\xd7\u03a3\u2010-\u2027\u2190-\u2193\u2212\u2264\u2265\u2308-\u230b"
    r"\u3001-\u3029\u4e00-\u9fa5\uff01-\uff5e]"
)
"""What is not of ASCII, of the signs of reckoning, of dashes and quotation marks, or of Chinese and
its punctuation: of these every character is assigned, stays as it is in any normal form, joins no
other, and sorts by UTF-16 units as by code points."""

_ASCII: Final = bytes(range(128))
_INTEGER_CHARS_MAX: Final = len(str(-INTEGER_MAX))


def encode(value: Any, name: str = "document") -> bytes:
    """Return the canonical text of `value`, in UTF-8; raise `Refused` where it has none."""
    if _is_plain(value, DEPTH_MAX):
        raw = to_bytes(_dumps(value))
        if is_beyond_question(raw):
            return raw
    has_high_names = _check(value, name, "$", 1)
    try:
        # Below the surrogates code points and UTF-16 units sort alike; json sorts by the former.
        text = _write(value) if has_high_names else _dumps(value)
        return text.encode()
    except UnicodeEncodeError:
        raise Refused(Code.MALFORMED, f"{name}: text holds half a surrogate pair") from None


def decode(raw: bytes, name: str = "document") -> dict[str, Any]:
    """Return the object that `raw` spells canonically.

    Raises `Refused`: TOO_LARGE, MALFORMED, NOT_INTEGER, TOO_DEEP, WRONG_TYPE, NOT_CANONICAL.
    """
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise Refused(
            Code.TOO_LARGE, f"{name}: {len(raw)} bytes; at most {DOCUMENT_BYTES_MAX} are allowed"
        )

    def refuse_number(token: str) -> NoReturn:
        raise Refused(
            Code.NOT_INTEGER,
            f"{name}: {token} is not a whole number; money is whole fen, rates are millionths",
        )

    def read_integer(token: str) -> int:
        if len(token) > _INTEGER_CHARS_MAX:
            raise Refused(Code.NOT_INTEGER, f"{name}: {token[:24]}… is beyond ±{INTEGER_MAX}")
        return int(token)

    def read_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            twice = next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
            raise Refused(Code.NOT_CANONICAL, f"{name}: member {twice!r} stands twice")
        return members

    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=read_members,
            parse_constant=refuse_number,
            parse_float=refuse_number,
            parse_int=read_integer,
        )
    except RecursionError:
        raise Refused(Code.TOO_DEEP, f"{name}: nested deeper than {DEPTH_MAX} levels") from None
    except ValueError as error:
        raise Refused(Code.MALFORMED, f"{name}: not JSON in UTF-8: {error}") from None
    if not isinstance(value, dict):
        raise Refused(Code.WRONG_TYPE, f"{name}: an object is expected, not {raw[:24]!r}")
    if encode(value, name) != raw:
        raise Refused(
            Code.NOT_CANONICAL,
            f"{name}: not the RFC 8785 spelling (members sorted, no spaces, shortest escapes)",
        )
    return value


def to_bytes(text: str) -> bytes:
    """Return written text in UTF-8; half a surrogate pair stays, and is then questionable."""
    return text.encode("utf-8", "surrogatepass")


def is_beyond_question(raw: bytes) -> bool:
    """Return whether written text has no character whose normal form or order one must ask about.

    So it is of nearly every document.
    """
    return raw.isascii() or not _QUESTIONABLE.search(
        raw.translate(None, _ASCII).decode("utf-8", "surrogatepass")
    )


def compute_hash(raw: bytes) -> str:
    """Return the SHA-256 of a document's canonical bytes, as 64 hex digits."""
    return sha256(raw).hexdigest()


def is_normal(text: str) -> bool:
    """Return whether each longest run of characters that Unicode 3.2 assigns is in its NFC.

    A character of a later version stays as it is; nothing composes with it or across it (ADR 0025).
    """
    if not _QUESTIONABLE.search(text):
        return True
    runs, start = [], 0
    for at, one in enumerate(text):
        if NORMALIZATION.category(one) == "Cn":
            runs.append(text[start:at])
            start = at + 1
    return all(_is_nfc(run) for run in (*runs, text[start:]))


def _is_nfc(run: str) -> bool:
    """Return whether characters of Unicode 3.2 are in NFC, in time proportional to their number.

    Python sorts marks one by one, each past all that belong behind it. So what is seen not to be in
    NFC, because a character never is or two marks stand in the wrong order, is not sorted first.
    """
    if not all(NORMALIZATION.is_normalized("NFC", one) for one in set(run)):
        return False
    previous = 0
    for one in run:
        order = NORMALIZATION.combining(one)
        if 0 < order < previous:
            return False
        previous = order
    return NORMALIZATION.is_normalized("NFC", run)


quote: Final = json.encoder.encode_basestring
"""Writes a text as JSON does, in quotation marks and with the shortest escapes."""

_dumps: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False
).encode


def _write(value: Any) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_write(key)}:{_write(item)}" for key, item in members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_write(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _is_plain(value: Any, levels: int) -> bool:
    """Return whether a container of so many levels has nothing in it that `_check` must look at,
    but for text, which is looked at when it is written.

    That is so of nearly all, and asking is several times quicker than looking.
    """
    kind = type(value)
    if not levels or kind not in _CONTAINERS:
        return False
    if kind is dict:
        for key in value:
            if type(key) is not str:
                return False
        value = value.values()
    for item in value:
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is int:
            if not -INTEGER_MAX <= item <= INTEGER_MAX:
                return False
        elif not _is_plain(item, levels - 1):
            return False
    return True


def _check(value: Any, name: str, path: str, depth: int) -> bool:
    """Refuse what has no canonical spelling; tell whether a member's name sorts by UTF-16 only."""
    kind = type(value)
    if kind is str:
        # The written text counts: after an escape, a mark stands beside the escape's last letter.
        if not value.isascii() and not is_normal(_dumps(value)):
            raise Refused(Code.NOT_CANONICAL, f"{name}: {path} is not in Normalization Form C")
        return False
    if kind is int:
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise Refused(Code.NOT_INTEGER, f"{name}: {path} is beyond ±{INTEGER_MAX} (2^53−1)")
        return False
    if kind is bool or value is None:
        return False
    if kind not in (dict, list, tuple):
        raise Refused(Code.NOT_INTEGER, f"{name}: {path} is {value!r}, not JSON of whole numbers")
    if depth > DEPTH_MAX:
        raise Refused(Code.TOO_DEEP, f"{name}: nested deeper than {DEPTH_MAX} levels")
    if kind is not dict:
        found = [_check(item, name, f"{path}[{n}]", depth + 1) for n, item in enumerate(value)]
        return any(found)
    is_high = False
    for key, item in value.items():
        if type(key) is not str:
            raise Refused(Code.MALFORMED, f"{name}: {path} has a member named {key!r}, not text")
        if not key.isascii():
            _check(key, name, f"{path}: a member's name", depth)
            is_high = is_high or max(key) >= "\ud800"
        is_high |= _check(item, name, f"{path}.{key[:64]}", depth + 1)
    return is_high
