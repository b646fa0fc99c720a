"""Signed Statements of SCITT (RFC 9943), and the policy under which this ledger registers them.

A statement is a COSE_Sign1 of anybody who is a party of this ledger, signed with the party's own
key. It is registered by an ordinary `attest` transaction: its `note_hash` is the SHA-256 of the
statement with an empty unprotected header (RFC 9943 section 6.3), its `tx_id` what the statement
speaks of, its signers the issuer among others. So consensus knows no statements, every rule about
parties, keys and contracts is the ledger's own, and whoever holds statement and entry can play the
registration again. On its way to a node a statement carries that transaction in its unprotected
header; registered, it carries receipts there, and the evidence of the entry: then it is a
Transparent Statement, which `verifier.statement_step` checks offline.

A party's key signs transactions and statements. No message of one is a message of the other: a
transaction's begins with a tag of `ledger.tags`, a COSE signature's input with the byte 0x84. Pure:
no clock; a statement that expires is refused, because nobody here could say when.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ledger.cbor import Cbor, Tagged, read_cbor, write_bytes
from ledger.hashing import HASH_BYTES, sha256
from ledger.refusal import Reason, Rejected
from ledger.signing import SIGNATURE_BYTES, verify_signature

ALGORITHM: Final = 1
CRITICAL: Final = 2
CONTENT_TYPE: Final = 3
KEY_ID: Final = 4
CWT_CLAIMS: Final = 15
PAYLOAD_HASH_ALGORITHM: Final = 258
PREIMAGE_CONTENT_TYPE: Final = 259
PAYLOAD_LOCATION: Final = 260
RECEIPTS: Final = 394
"""Header labels (RFC 9052 section 3.1, RFC 9597, RFC 9995, RFC 9942)."""

ENVELOPE: Final = -65_801
EVIDENCE: Final = -65_802
"""Our own labels, from COSE's range for private use (below -65536), in the unprotected header: the
transaction that registers the statement, and the evidence file of its entry."""

ISSUER: Final = 1
SUBJECT: Final = 2
EXPIRY: Final = 4
NOT_BEFORE: Final = 5
"""CWT claims (RFC 8392)."""

ALGORITHMS: Final = (-8, -19)
"""EdDSA (RFC 9053) and Ed25519 (RFC 9864): with our keys the same signatures."""

SHA_256: Final = -16
SIGN1: Final = 18
SIGN1_START: Final = b"\xd2"
"""How what is tagged as a COSE_Sign1 begins; canonical JSON and PDF begin otherwise."""

STATEMENT_BYTES_MAX: Final = 64 * 1024
"""Of a statement without its unprotected header; a larger payload is signed by its hash."""

TEXT_CHARS_MAX: Final = 256
SHOWN_CHARS_MAX: Final = 100
"""Of a value at fault: a subject is 94 characters."""

RECEIPTS_MAX: Final = 64
"""One of each institution, of which genesis has 64 at most."""

MEDIA_TYPE: Final = "application/cose"
ATTEST: Final = "attest"
TRANSACTION_URN: Final = "urn:evidence-ledger:transaction:"

_KEY_HEAD: Final = bytes.fromhex("a301012006215820")
"""{1: 1, -1: 6, -2: h'…'} in deterministic CBOR, up to the key's 32 bytes."""


class Unregistrable(Rejected):
    """A statement that the policy refuses; `title` is SCRAPI's short name of the refusal."""

    def __init__(self, reason: Reason, title: str, detail: str, detail_zh: str) -> None:
        super().__init__(reason, detail, detail_zh)
        self.title = title


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as it was read; nothing in it is believed yet."""

    protected: bytes
    payload: bytes
    signature: bytes
    issuer: str
    subject: str
    key_id: bytes
    content_type: str
    """Of the payload, or of what the payload is the SHA-256 of."""
    is_hash: bool
    """Whether the payload is a SHA-256 (RFC 9995, COSE Hash Envelope)."""
    receipts: tuple[bytes, ...]
    envelope: bytes | None
    evidence: bytes | None

    @property
    def registered(self) -> bytes:
        """The bytes that are registered: the statement with an empty unprotected header."""
        parts = (write_bytes(self.protected), b"\xa0", write_bytes(self.payload))
        return SIGN1_START + b"\x84" + b"".join(parts) + write_bytes(self.signature)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the registered bytes: the `note_hash` of the entry."""
        return sha256(self.registered)

    @property
    def signed_message(self) -> bytes:
        """What the issuer signed (RFC 9052 section 4.4)."""
        return compute_sign1_message(self.protected, self.payload)


def compute_sign1_message(protected: bytes, payload: bytes) -> bytes:
    """Return the `Sig_structure` of a COSE_Sign1 (RFC 9052 section 4.4), no external data."""
    return b"\x84\x6aSignature1" + write_bytes(protected) + b"\x40" + write_bytes(payload)


def compute_key_thumbprint(public_key: bytes) -> bytes:
    """Return the COSE Key Thumbprint (RFC 9679) of an Ed25519 key, its `kid` everywhere."""
    return sha256(_KEY_HEAD + public_key)


def format_issuer(origin: str, party: str) -> str:
    """Return the name of a party as an issuer, as institutions are named in receipts."""
    return f"{origin}/{party}"


def format_subject(tx_id: str) -> str:
    """Return the name of a transaction (hex) as a subject."""
    return f"{TRANSACTION_URN}{tx_id}"


def read_sign1(raw: bytes, name: str) -> tuple[bytes, dict[Any, Any], Cbor, bytes]:
    """Return protected bytes, unprotected header, payload and signature of a tagged COSE_Sign1.

    Raises `Rejected`.
    """
    value = read_cbor(raw, name)
    if not isinstance(value, Tagged) or value.tag != SIGN1:
        _refuse(
            name,
            "it is not a COSE_Sign1 with its tag 18",
            "不是带标签 18 的 COSE_Sign1",
            Reason.MALFORMED,
        )
    parts = value.value
    if not isinstance(parts, list) or len(parts) != 4:
        _refuse(
            name,
            "a COSE_Sign1 is an array of four",
            "COSE_Sign1 应为四个元素的数组",
            Reason.MALFORMED,
        )
    protected, unprotected, payload, signature = parts
    if not isinstance(protected, bytes) or not isinstance(unprotected, dict):
        _refuse(
            name,
            "its headers are not a byte string and a map",
            "其头部不是一个字节串和一个映射",
            Reason.MALFORMED,
        )
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
        _refuse(
            name,
            f"its signature is not {SIGNATURE_BYTES} bytes",
            f"其签名不是 {SIGNATURE_BYTES} 字节",
            Reason.MALFORMED,
        )
    return protected, unprotected, payload, signature


def read_protected(protected: bytes, name: str) -> dict[Any, Any]:
    """Return a protected header with algorithm, key id, issuer and subject as they must be.

    Raises `Unregistrable` for an algorithm, `Rejected` for the rest.
    """
    header = read_cbor(protected, f"{name}: protected header")
    if not isinstance(header, dict):
        _refuse(name, "the protected header is not a map", "受保护头部不是映射", Reason.MALFORMED)
    if header.get(ALGORITHM) not in ALGORITHMS:
        raise Unregistrable(
            Reason.BAD_FIELD,
            "Bad Signature Algorithm",
            f"{name}: alg (1) is {_show(header.get(ALGORITHM))}; it must be -8 (EdDSA) or -19 "
            "(Ed25519)",
            f"{_name_zh(name)}：alg (1) 为 {_show(header.get(ALGORITHM))}；应为 -8（EdDSA）或 -19"
            "（Ed25519）",
        )
    if CRITICAL in header:
        _refuse(
            name,
            "crit (2) names headers that must be understood; none is known here",
            "crit (2) 列出了必须理解的头部；此处均不支持",
        )
    key_id = header.get(KEY_ID)
    if not isinstance(key_id, bytes) or len(key_id) != HASH_BYTES:
        _refuse(
            name,
            "kid (4) is not the 32 bytes of a COSE Key Thumbprint (RFC 9679)",
            "kid (4) 不是 32 字节的 COSE 密钥指纹（RFC 9679）",
        )
    claims = header.get(CWT_CLAIMS)
    if not isinstance(claims, dict):
        _refuse(name, "the CWT claims (15) are missing", "缺少 CWT 声明项（15）")
    for label, what in ((ISSUER, "iss (1)"), (SUBJECT, "sub (2)")):
        _take_text(claims.get(label), name, f"claim {what}", f"声明项 {what}")
    for label, what in ((EXPIRY, "exp (4)"), (NOT_BEFORE, "nbf (5)")):
        if label in claims:
            _refuse(
                name,
                f"claim {what}: what is registered does not expire; leave it out",
                f"声明项 {what}：已登记的内容不会过期；请勿写入",
            )
    return header


def read_statement(raw: bytes, labels: Collection[int], bytes_max: int) -> Statement:
    """Return the statement that `raw` is, with no unprotected header but `labels`.

    Raises `Rejected` with what is wrong, `Unregistrable` where SCRAPI has a name for it.
    """
    name = "statement"
    if len(raw) > bytes_max:
        _refuse(
            name,
            f"{len(raw)} bytes; at most {bytes_max} are allowed",
            f"有 {len(raw)} 字节；至多允许 {bytes_max} 字节",
            Reason.TOO_LARGE,
        )
    protected, unprotected, payload, signature = read_sign1(raw, name)
    header = read_protected(protected, name)
    if not isinstance(payload, bytes) or not payload:
        raise Unregistrable(
            Reason.BAD_FIELD,
            "Payload Missing",
            f"{name}: the payload must be in it; sign the SHA-256 of a document that shall not be "
            "(RFC 9995)",
            f"{_name_zh(name)}：须含有载荷；文件本身不宜写入的，请签署其 SHA-256（RFC 9995）",
        )
    for label in unprotected:
        if label not in labels:
            _refuse(
                name,
                f"unprotected header {_show(label)} has no place in it",
                f"不应有未受保护头部 {_show(label)}",
            )
    statement = Statement(
        protected,
        payload,
        signature,
        issuer=header[CWT_CLAIMS][ISSUER],
        subject=header[CWT_CLAIMS][SUBJECT],
        key_id=header[KEY_ID],
        content_type=_read_content_type(header, payload, name),
        is_hash=PAYLOAD_HASH_ALGORITHM in header,
        receipts=_read_receipts(unprotected, name),
        envelope=_read_part(unprotected, ENVELOPE, name, "transaction", "交易"),
        evidence=_read_part(unprotected, EVIDENCE, name, "evidence", "存证文件"),
    )
    if len(statement.registered) > STATEMENT_BYTES_MAX:
        _refuse(
            name,
            f"{len(statement.registered)} bytes without its unprotected header; at most "
            f"{STATEMENT_BYTES_MAX} are registered; sign the SHA-256 of a larger document",
            f"不计未受保护头部有 {len(statement.registered)} 字节；至多登记 {STATEMENT_BYTES_MAX} "
            "字节；文件较大的，请签署其 SHA-256",
            Reason.TOO_LARGE,
        )
    return statement


def _read_content_type(header: dict[Any, Any], payload: bytes, name: str) -> str:
    """Return what the payload, or the document that it is the hash of, is."""
    hashed = (PAYLOAD_HASH_ALGORITHM, PREIMAGE_CONTENT_TYPE, PAYLOAD_LOCATION)
    if not any(label in header for label in hashed):
        return _take_text(header.get(CONTENT_TYPE), name, "content type (3)", "content type (3)")
    if header.get(PAYLOAD_HASH_ALGORITHM) != SHA_256:
        given = _show(header.get(PAYLOAD_HASH_ALGORITHM))
        _refuse(
            name,
            f"payload-hash-alg (258) is {given}; it must be -16 (SHA-256)",
            f"payload-hash-alg (258) 为 {given}；应为 -16（SHA-256）",
        )
    if CONTENT_TYPE in header:
        _refuse(
            name,
            "content type (3) has no place beside payload-hash-alg (258)",
            "有 payload-hash-alg (258) 时不应有 content type (3)",
        )
    if len(payload) != HASH_BYTES:
        _refuse(
            name,
            f"the payload has {len(payload)} bytes, and a SHA-256 has {HASH_BYTES}",
            f"载荷有 {len(payload)} 字节，而 SHA-256 为 {HASH_BYTES} 字节",
        )
    if PAYLOAD_LOCATION in header:
        location = "payload-location (260)"
        _take_text(header[PAYLOAD_LOCATION], name, location, location)
    preimage = "preimage-content-type (259)"
    return _take_text(header.get(PREIMAGE_CONTENT_TYPE), name, preimage, preimage)


def _read_receipts(unprotected: dict[Any, Any], name: str) -> tuple[bytes, ...]:
    if RECEIPTS not in unprotected:
        return ()
    receipts = unprotected[RECEIPTS]
    if (
        not isinstance(receipts, list)
        or not 1 <= len(receipts) <= RECEIPTS_MAX
        or not all(isinstance(one, bytes) for one in receipts)
    ):
        _refuse(
            name,
            f"receipts (394) is not an array of 1 to {RECEIPTS_MAX} byte strings",
            f"receipts (394) 不是 1 至 {RECEIPTS_MAX} 个字节串的数组",
            Reason.MALFORMED,
        )
    return tuple(receipts)


def _read_part(
    unprotected: dict[Any, Any], label: int, name: str, what: str, what_zh: str
) -> bytes | None:
    if label not in unprotected:
        return None
    part = unprotected[label]
    if not isinstance(part, bytes):
        _refuse(
            name,
            f"{what} ({label}) is not a byte string",
            f"{what_zh}（{label}）不是字节串",
            Reason.MALFORMED,
        )
    return part


def check_registration(
    statement: Statement, origin: str, body: Mapping[str, Any], keys: Mapping[str, bytes]
) -> str:
    """Return the issuer's party if `body` registers `statement`; raise `Unregistrable`.

    `body` has the members `kind`, `data` of the transaction that shall register it, and `keys` the
    key with which each of its signers signed it. That those keys are the parties' own, and valid,
    is what the ledger asks of every transaction.
    """
    if body["kind"] != ATTEST:
        _reject(
            Reason.UNKNOWN_KIND,
            f"a statement is registered by an {ATTEST} transaction, not by {body['kind']}",
            f"声明须由 {ATTEST} 交易登记，而不是 {body['kind']}",
        )
    party = statement.issuer.removeprefix(f"{origin}/")
    if statement.issuer != format_issuer(origin, party) or party not in keys:
        _reject(
            Reason.UNKNOWN_PARTY,
            f"the issuer {_show(statement.issuer)} is no signer of the transaction that registers "
            f"it; its signers are {', '.join(format_issuer(origin, one) for one in keys)}",
            f"签发者 {_show(statement.issuer)} 不是登记该声明的交易的签名方；其签名方为："
            f"{'、'.join(format_issuer(origin, one) for one in keys)}",
        )
    if statement.key_id != compute_key_thumbprint(keys[party]):
        _reject(
            Reason.UNKNOWN_KEY,
            f"kid is {statement.key_id.hex()}; that of the key with which {party} signed the "
            f"transaction is {compute_key_thumbprint(keys[party]).hex()}",
            f"kid 为 {statement.key_id.hex()}；{party} 签署该交易所用密钥的指纹为 "
            f"{compute_key_thumbprint(keys[party]).hex()}",
        )
    if not verify_signature(keys[party], statement.signed_message, statement.signature):
        _reject(
            Reason.BAD_SIGNATURE,
            f"the signature of {party} does not verify",
            f"{party} 的签名无法通过验证",
        )
    of = str(body["data"].get("tx_id"))
    if statement.subject != format_subject(of):
        _reject(
            Reason.BAD_FIELD,
            f"the subject is {_show(statement.subject)}, and the transaction speaks of "
            f"{_show(format_subject(of))}",
            f"主题为 {_show(statement.subject)}，而该交易所述为 {_show(format_subject(of))}",
        )
    if body["data"].get("note_hash") != statement.digest.hex():
        _reject(
            Reason.ROOT_MISMATCH,
            f"note_hash is {_show(body['data'].get('note_hash'))}; the SHA-256 of the statement "
            f"with an empty unprotected header is {statement.digest.hex()}",
            f"note_hash 为 {_show(body['data'].get('note_hash'))}；该声明以空的未受保护头部计算的 "
            f"SHA-256 为 {statement.digest.hex()}",
        )
    return party


def _take_text(value: object, name: str, what: str, what_zh: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= TEXT_CHARS_MAX:
        _refuse(
            name,
            f"{what} is not a text of 1 to {TEXT_CHARS_MAX} characters",
            f"{what_zh} 不是 1 至 {TEXT_CHARS_MAX} 个字符的文本",
        )
    return value


def _show(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}…"


def _name_zh(name: str) -> str:
    return name.replace("statement", "声明")


def _reject(reason: Reason, detail: str, detail_zh: str) -> NoReturn:
    raise Unregistrable(reason, "Rejected", f"statement: {detail}", f"声明：{detail_zh}")


def _refuse(name: str, detail: str, detail_zh: str, reason: Reason = Reason.BAD_FIELD) -> NoReturn:
    raise Rejected(reason, f"{name}: {detail}", f"{_name_zh(name)}：{detail_zh}")
