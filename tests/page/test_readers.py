"""The page's readers of JSON, MessagePack, base64 and signatures take exactly what ours take."""

from __future__ import annotations

import json
import os
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import msgpack
import pytest

from ledger.cbor import VALUES_MAX as CBOR_VALUES_MAX
from ledger.cbor import Tagged, read_cbor
from ledger.evidence import STRING_BYTES_MAX
from ledger.note import decode_base64
from ledger.refusal import Rejected
from ledger.signing import SeedSigner, verify_signature
from tests.page.conftest import JavaScript
from tests.vectors.normal_texts import list_normal_texts
from verifier.strict_json import NORMALIZATION, VALUES_MAX, is_normal, read_object
from verifier.strict_msgpack import read_array

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "ed25519"
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="Ed25519 vectors (../shared/vectors/ed25519) are not here"
)
REFUSED = json.loads((Path(__file__).parents[1] / "vectors/refused.json").read_text("utf-8"))
ROUNDS = 400

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER = (
    0,
    1,
    P - 1,
    int.from_bytes(
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
    ),
    int.from_bytes(
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
    ),
)


def plain(value: Any) -> Any:
    """A value as `answer.mjs` tells it."""
    if isinstance(value, dict):
        return {"object": [[name, plain(held)] for name, held in value.items()]}
    if isinstance(value, list):
        return {"array": [plain(held) for held in value]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if type(value) is int and abs(value) > 2**53 - 1:
        return {"integer": str(value)}
    return value


def ours(read: Callable[[bytes, str], Any], raw: bytes) -> dict[str, Any]:
    try:
        return {"value": plain(read(raw, "value"))}
    except Rejected as rejected:
        return {"reason": str(rejected.reason)}


def both(javascript: JavaScript, what: str, raw: bytes) -> None:
    read = {"json": read_object, "msgpack": read_array}[what]
    page = javascript.ask(what, raw=raw.hex())
    page.pop("detail", None)
    assert page == ours(read, raw), raw


CHARACTERS = 'az09 "\\\b\f\n\r\t\0\x1f\x7f/é中\u0301\u1100\u1161\uac00\ufeff\uffff\U0001f600𐀀'


def some_json(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(8 if depth < 9 else 5)
    if kind == 0:
        return "".join(chance.choices(CHARACTERS, k=chance.randrange(6)))
    if kind == 1:
        return chance.choice((0, -1, 2**53 - 1, 1 - 2**53, 2**53, chance.randrange(10**6)))
    if kind < 5:
        return chance.choice((True, False, None, "", 7))
    if kind == 5:
        return [some_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {
        "".join(chance.choices(CHARACTERS, k=chance.randrange(4))): some_json(chance, depth + 1)
        for _ in range(chance.randrange(4))
    }


def spelled(chance: random.Random, value: Any) -> bytes:
    if isinstance(value, dict) and chance.random() < 0.9:
        value = dict(sorted(value.items(), key=lambda item: item[0].encode("utf-16-be")))
    text = json.dumps(value, ensure_ascii=chance.random() < 0.1, separators=(",", ":"))
    return text.replace("\\u007f", "\x7f").encode()


def damaged(chance: random.Random, raw: bytes) -> bytes:
    """The same, or with one byte changed, put in or taken out."""
    way = chance.randrange(5)
    at = chance.randrange(len(raw) + 1)
    if way == 0:
        return raw
    byte = bytes([chance.choice(b'{}[]":,\\ -01eE.u\n\x00\x80\xc3\xff') if way < 4 else 32])
    return raw[:at] + (byte if way != 2 else b"") + raw[at + (way != 3) :]


def test_json_is_read_alike(javascript: JavaScript) -> None:
    chance = random.Random("page: JSON")
    for _ in range(ROUNDS):
        value = some_json(chance)
        if not isinstance(value, dict) and chance.random() < 0.8:
            value = {"a": value}
        both(javascript, "json", damaged(chance, spelled(chance, value)))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"a":01}',
        b'{"a":-}',
        b'{"a":-0}',
        b'{"a":1e3}',
        b'{"a":9007199254740991}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":1' + b"0" * 400 + b"}",
        b'{"__proto__":{"a":1}}',
        b'{"constructor":1,"toString":2}',
        b'{"a":"\\u001F"}',
        b'{"a":"\\u001f"}',
        b'{"a":"\\/"}',
        b'{"a":"' + b"x" * 100_000 + b'"}',
        b'{"a":' + b"[" * 7 + b"]" * 7 + b"}",
        b'{"a":' + b"[" * 8 + b"]" * 8 + b"}",
        b'{"a":' + b"[" * 200_000,
        '{"\U00010000":1,"\uffff":2}'.encode(),
        '{"\uffff":1,"\U00010000":2}'.encode(),
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\x80"}',
        b'{"a":truefalse}',
        b'{"a":nul}',
    ],
)
def test_json_at_its_edges(javascript: JavaScript, raw: bytes) -> None:
    both(javascript, "json", raw)


def test_vectors_of_refused_bodies(javascript: JavaScript) -> None:
    for body in REFUSED["bodies"]:
        both(javascript, "json", bytes.fromhex(body["hex"]))


def some_array(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(10)
    if kind < 3 and depth < 3:
        return [some_array(chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 3, 15, 16)))]
    if kind == 3:
        return chance.choice(
            (0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53, 2**64 - 1)
        )
    if kind == 4:
        return chance.choice((-1, -32, -33, -128, -129, -32_769, -(2**31), -(2**31) - 1, -(2**63)))
    if kind == 5:
        return bytes(chance.choice((0, 1, 31, 32, 255, 256)))
    if kind == 6:
        return "é" * chance.choice((0, 1, 15, 16, 127, 128))
    return chance.choice((None, True, False, 1.5, {"a": 1}, 3))


def test_messagepack_is_read_alike(javascript: JavaScript) -> None:
    chance = random.Random("page: MessagePack")
    for _ in range(ROUNDS):
        raw = bytearray(msgpack.packb([some_array(chance), some_array(chance)]))
        if chance.random() < 0.5:
            raw[chance.randrange(min(len(raw), 40))] = chance.randrange(256)
        both(javascript, "msgpack", bytes(raw[: chance.choice((None, None, len(raw) - 1))]))


@pytest.mark.parametrize("first", range(256))
def test_messagepack_of_every_first_byte(javascript: JavaScript, first: int) -> None:
    for tail in (b"", b"\0" * 5, b"\xff" * 9, b"\0\0\0\1\xc0", b"\x05\xff" + bytes(12)):
        both(javascript, "msgpack", bytes([first]) + tail)
        both(javascript, "msgpack", bytes([0x91, first]) + tail)


def test_messagepack_of_too_many_bytes(javascript: JavaScript) -> None:
    for more in (0, 1):
        raw = b"\x91\xc6" + (2**20 - 6 + more).to_bytes(4, "big") + bytes(2**20 - 6 + more)
        both(javascript, "msgpack", raw)


@pytest.mark.skipif(not os.environ.get("CAMPAIGN"), reason="ten seconds of reading: CAMPAIGN=1")
def test_json_of_too_many_values(javascript: JavaScript) -> None:
    for more in (0, 1):
        raw = b'{"a":[' + b",".join([b"1"] * (VALUES_MAX - 2 + more)) + b"]}"
        page = javascript.ask("json", raw=raw.hex())
        if more:
            assert page == {
                "reason": "too_large",
                "detail": "value: more than 4194304 values",
            }
        else:
            assert len(page["value"]["object"][0][1]["array"]) == VALUES_MAX - 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"a" * STRING_BYTES_MAX + b'"', None),
        (b"a" * (STRING_BYTES_MAX + 1) + b'"', "too_large"),
        (b"a" * (STRING_BYTES_MAX - 2) + b'\\n"', None),
        (b"a" * (STRING_BYTES_MAX - 1) + b'\\n"', "too_large"),
        (b"a" * (STRING_BYTES_MAX - 6) + b'\\u0007"', None),
        (b"a" * STRING_BYTES_MAX + b'\\u0007"', "too_large"),
        (b"a" * STRING_BYTES_MAX + b'\\u0041"', "malformed"),
        (b"a" * STRING_BYTES_MAX + b"\x01", "malformed"),
        (b"a" * (STRING_BYTES_MAX + 1) + b"\x01", "too_large"),
        (b"a" * (STRING_BYTES_MAX + 1), "too_large"),
        (b"a" + "中".encode() * (STRING_BYTES_MAX // 3) + b'"', None),
        (b"aa" + "中".encode() * (STRING_BYTES_MAX // 3) + b'"', "too_large"),
        (b"\xff" * STRING_BYTES_MAX + b'"', "malformed"),
        (b"\xff" * (STRING_BYTES_MAX + 1) + b'"', "too_large"),
    ],
    ids=lambda value: str(value) if value is None or type(value) is str else value[-8:].hex(),
)
def test_json_of_a_long_string(javascript: JavaScript, text: bytes, reason: str | None) -> None:
    """What is counted is the spelling, and what is wrong behind the bound is not looked at."""
    for head, tail in ((b'{"a":"', b"}"), (b'{"', b":0}")):
        raw = head + text + tail
        assert ours(read_object, raw).get("reason") == reason
        both(javascript, "json", raw)


def test_json_without_a_string_where_one_belongs(javascript: JavaScript) -> None:
    """What does not begin with a quotation mark is no string, and none of too many bytes."""
    for head, reason in (
        (b"{x", "malformed"),
        (b'{"a":0,x', "malformed"),
        (b"{ ", "not_canonical"),
    ):
        raw = head + b"a" * (STRING_BYTES_MAX + 1)
        assert ours(read_object, raw).get("reason") == reason
        both(javascript, "json", raw)


@pytest.mark.parametrize("depth", [15, 16, 17, 1_023, 1_024, 1_025, 5_000])
def test_messagepack_of_depth(javascript: JavaScript, depth: int) -> None:
    both(javascript, "msgpack", b"\x91" * depth + b"\xc0")


def some_cbor(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(10)
    if kind < 2 and depth < 9:
        return [some_cbor(chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 24 >> depth)))]
    if kind < 4 and depth < 9:
        keys = (0, 1, -1, 23, 24, -65_802, 2**64 - 1, -(2**64), "", "'", "é\u202e", "x" * 50)
        return {chance.choice(keys): some_cbor(chance, depth + 1) for _ in range(2)}
    if kind == 4 and depth < 9:
        return cbor2.CBORTag(chance.choice((0, 18, 255, 2**64 - 1)), some_cbor(chance, depth + 1))
    if kind < 7:
        edge = 2 ** chance.choice((3, 5, 8, 16, 32, 53, 63))
        return chance.choice((1, -1)) * (edge + chance.choice((-1, 0, 1)))
    return chance.choice(
        (None, True, False, 1.5, b"", bytes(24), bytes(256), "", "中" * 8, "a" * 90)
    )


def plain_cbor(value: Any) -> Any:
    if isinstance(value, Tagged):
        return {"tag": plain(value.tag), "value": plain_cbor(value.value)}
    if isinstance(value, dict):
        return {"object": [[plain(key), plain_cbor(held)] for key, held in value.items()]}
    if isinstance(value, list):
        return {"array": [plain_cbor(one) for one in value]}
    return plain(value)


def cbor_is_read_alike(javascript: JavaScript, raws: list[bytes]) -> None:
    """The same value, or the same refusal to the letter."""
    ours = []
    for raw in raws:
        try:
            ours.append({"value": plain_cbor(read_cbor(raw, "value"))})
        except Rejected as rejected:
            ours.append({"reason": str(rejected.reason), "detail": rejected.detail})
    page = javascript.ask("cbor", raws=[raw.hex() for raw in raws])["value"]
    for raw, one, other in zip(raws, ours, page, strict=True):
        assert other == one, raw


def test_cbor_is_read_alike(javascript: JavaScript) -> None:
    chance = random.Random("page: CBOR")
    raws = []
    for _ in range(3 * ROUNDS):
        raw = bytearray(cbor2.dumps(some_cbor(chance)))
        if chance.random() < 0.5:
            raw[chance.randrange(min(len(raw), 40))] = chance.randrange(256)
        raws.append(bytes(raw[: chance.choice((None, None, len(raw) - 1))]))
    cbor_is_read_alike(javascript, raws)


def test_cbor_at_its_edges(javascript: JavaScript) -> None:
    tails = (b"", b"\0" * 9, b"\xff" * 9, b"\1" * 9, b"\0\0\0\1\xf6", bytes(300))
    raws = [
        bytes([*before, first]) + tail
        for before in (b"", b"\x81")
        for first in range(256)
        for tail in tails
    ]
    raws += [b"\x81" * depth + b"\xf6" for depth in (7, 8, 200_000)]
    raws += [b"\xd2" * 200_000, b"\xa1\x01" * 200_000]
    for more in (0, 1):
        items = CBOR_VALUES_MAX - 1 + more
        raws.append(b"\x99" + items.to_bytes(2, "big") + b"\xf6" * items)
    raws += [b"\x62\xc3\x28", b"\x63\xed\xa0\x80", b"\x63\xef\xbb\xbf", b"\xa2\x61a\x00\x61a\x00"]
    raws += [b"\xa2\x39\xff\xff\0\x39\xff\xff\0", b"\xa2" + (b"\x1b" + b"\xff" * 8 + b"\0") * 2]
    raws += [b"\xa2" + (b"\x78\x60" + b"'" * 96 + b"\0") * 2, b"\xa1\xf4\0", b"\xa1\xc1\0\0"]
    cbor_is_read_alike(javascript, raws)


def test_base64_has_one_spelling(javascript: JavaScript) -> None:
    chance = random.Random("page: base64")
    alphabet = "AQgw0+/=_- \né"
    texts = [
        "",
        "=",
        "==",
        "A===",
        "AA==",
        "AB==",
        "AAA=",
        "AAB=",
        "AAAA",
        "AA=A",
        "AAAA=",
        "AA==AA==",
    ]
    texts += ["".join(chance.choices(alphabet, k=chance.randrange(9))) for _ in range(ROUNDS)]
    for text in texts:
        found = decode_base64(text)
        expected = None if found is None else found.hex()
        assert javascript.ask("base64", text=text) == {"value": expected}, text


def test_vectors_of_normal_text(javascript: JavaScript) -> None:
    for case in list_normal_texts():
        both(javascript, "json", f'{{"a":"{case["text"]}"}}'.encode())
    texts = [case["text"] for case in list_normal_texts()]
    assert javascript.ask("normal", texts=texts) == {
        "value": [case["normal"] for case in list_normal_texts()]
    }


def test_normal_text_is_the_same_text(javascript: JavaScript) -> None:
    """Characters alone and between a letter and a mark, mixtures, old and later, and runs of marks
    that a browser would sort by the square of their number (three minutes for the last)."""
    chance = random.Random("page: normal text")
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    old = [one for one in every if NORMALIZATION.category(one) not in ("Cn", "Co")]
    later = [
        one
        for one in every
        if NORMALIZATION.category(one) == "Cn" and unicodedata.category(one) != "Cn"
    ]
    marks = [one for one in old + later if unicodedata.combining(one)]
    composing = [one for one in old + later if unicodedata.decomposition(one)]
    telling = marks + composing + chance.sample(old, 4_000) + chance.sample(later, 4_000)
    texts = telling + [f"a{one}\u0323" for one in telling] + [f"e{one}\u0301" for one in telling]
    texts += ["".join(chance.choices(old, k=30)) for _ in range(200)]
    texts += ["".join(chance.choices(marks + composing, k=6)) for _ in range(10 * ROUNDS)]
    texts += [unicodedata.normalize("NFD", one)[:2] for one in composing]
    runs = ["".join(chance.choices(chance.sample(marks, 3), k=80)) for _ in range(10 * ROUNDS)]
    texts += [f"q{form}" for run in runs for form in (run, unicodedata.normalize("NFC", run))]
    texts += ["a" + "\u0323" * 50_000 + "\u0301" * 50_000, "a" + "\u0301\u0323" * 100_000]
    for start in range(0, len(texts), 10_000):
        some = texts[start : start + 10_000]
        told = javascript.ask("normal", texts=some)["value"]
        differing = [
            ascii(text) for text, one in zip(some, told, strict=True) if one != is_normal(text)
        ]
        assert not differing


def signature_agrees(javascript: JavaScript, key: bytes, message: bytes, signature: bytes) -> bool:
    page: bool = javascript.ask(
        "signature", key=key.hex(), message=message.hex(), signature=signature.hex()
    )["value"]
    assert page == verify_signature(key, message, signature), (key.hex(), signature.hex())
    return page


def test_signatures_of_every_edge(javascript: JavaScript) -> None:
    signer = SeedSigner(bytes(range(32)))
    message = b"page"
    good = signer.sign(message)
    assert signature_agrees(javascript, signer.public_key, message, good)
    s = int.from_bytes(good[32:], "little")
    points = [
        (y | sign << 255).to_bytes(32, "little")
        for small in SMALL_ORDER
        for y in (small, small + P)
        if y < 2**255
        for sign in (0, 1)
    ]
    points += [(P + at).to_bytes(32, "little") for at in range(19)]
    points += [bytes([at]) + bytes(31) for at in range(2, 12)]
    for point in points:
        assert not signature_agrees(javascript, point, message, good)
        assert not signature_agrees(javascript, signer.public_key, message, point + good[32:])
        assert not signature_agrees(javascript, point, message, point + bytes(32))
    for scalar in (0, L - 1, L, L + 1, s + L, s + 2 * L, 2**256 - 1):
        spoilt = good[:32] + (scalar % 2**256).to_bytes(32, "little")
        assert not signature_agrees(javascript, signer.public_key, message, spoilt)
    for length in (0, 31, 63, 65):
        assert not signature_agrees(javascript, signer.public_key, message, (good + good)[:length])
        assert not signature_agrees(javascript, (good + good)[:length], message, good)


def test_form_is_checked_before_any_browser_is_asked(javascript: JavaScript) -> None:
    """Whatever a browser's Ed25519 would let pass."""
    signer = SeedSigner(bytes(range(32)))
    key, good = signer.public_key, signer.sign(b"page")

    def is_strict(key: bytes, signature: bytes) -> bool:
        answer: bool = javascript.ask("strict", key=key.hex(), signature=signature.hex())["value"]
        return answer

    assert is_strict(key, good)
    assert is_strict(key, good[:32] + (L - 1).to_bytes(32, "little"))
    for scalar in (L, L + 1, 2**255, 2**256 - 1):
        assert not is_strict(key, good[:32] + scalar.to_bytes(32, "little"))
    for y in (*SMALL_ORDER, *range(P, 2**255)):
        for sign in (0, 1):
            point = (y | sign << 255).to_bytes(32, "little")
            assert not is_strict(point, good)
            assert not is_strict(key, point + good[32:])
    assert not is_strict(key[:31], good)
    assert not is_strict(key, good[:63])


@needs_vectors
def test_cctv_accepts_the_same_43(javascript: JavaScript) -> None:
    cases = json.loads((VECTORS / "cctv.json").read_text())
    accepted = [
        signature_agrees(
            javascript,
            bytes.fromhex(case["key"]),
            case["msg"].encode(),
            bytes.fromhex(case["sig"]),
        )
        for case in cases
    ]
    assert (len(accepted), sum(accepted)) == (914, 43)


@needs_vectors
def test_wycheproof_is_judged_alike(javascript: JavaScript) -> None:
    document = json.loads((VECTORS / "wycheproof.json").read_text())
    count = 0
    for group in document["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            is_good = signature_agrees(
                javascript, key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            )
            assert is_good == (case["result"] == "valid"), case["tcId"]
            count += 1
    assert count > 100
