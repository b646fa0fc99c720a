"""A transaction: the body that was signed, the envelope that carries its signatures, the outcome.

The body is canonical JSON text and is kept as the exact bytes signed. The envelope adds one
signature per required signer, in the order the body lists them: exactly those, so nobody can strip
or add one. A signature covers either the transaction id, or the RFC 9162 root over many ids of
one submitter (a batch signature), with the path from this id to that root.

The outcome says what the contracts made of it. A refused transaction is on the chain like an
applied one: the attempt is evidence too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, get_type_hints

import msgspec

from ledger import tags
from ledger.canonical import (
    DEPTH_MAX,
    MEMBER_TYPE,
    check_canonical,
    encode_canonical,
    encode_sorted,
    is_plain,
)
from ledger.hashing import HASH_BYTES, tagged_hash, tagged_hashes
from ledger.kernel import Signed, are_canonical, leaf_hash, read_envelope
from ledger.merkle import compute_root, inclusion_proofs, root_from_inclusion
from ledger.refusal import Reason, Rejected
from ledger.signing import Signer, verify_signature
from ledger.wire import StrictDecoder, encode

BODY_BYTES_MAX: Final = 32 * 1024
"""Together with an outcome of at most 16 KiB an entry stays under the 65,535 bytes of C2SP
tlog-tiles."""

EFFECTS_BYTES_MAX: Final = 16 * 1024
ENVELOPE_BYTES_MAX: Final = 48 * 1024 - 512
SIGNERS_MAX: Final = 8
"""Merchant, consumer, bank and a few more; each costs every replica a verification."""

BATCH_SIZE_MAX: Final = 65_536
"""Transactions under one batch signature: a path of at most 16 hashes."""

STREAM_PATTERN: Final = (
    r"^(contract|custodian|merchant|party|published|rules|terms|validator)"
    r"/[a-z0-9][a-z0-9._-]{0,79}$(?!\n)"
)
PARTY_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,47}$(?!\n)"
KIND_PATTERN: Final = r"^[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31}){0,3}$(?!\n)"
SALT_PATTERN: Final = r"^[A-Za-z0-9_-]{22,64}$(?!\n)"
"""At least 128 bits in base64url without padding (22 characters)."""

Stream = Annotated[str, msgspec.Meta(pattern=STREAM_PATTERN)]
PartyId = Annotated[str, msgspec.Meta(pattern=PARTY_PATTERN)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What the signers said. Members in alphabetical order, as RFC 8785 writes them."""

    data_text: msgspec.Raw = msgspec.field(name="data")
    """The kind's own fields, as the body spells them: an object. Its kind knows their type."""
    kind: str
    not_after: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    """Milliseconds since 1970 after which no block may take this transaction."""
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """The first signer's own business reference; another body under it is refused."""
    salt: str
    signers: Annotated[list[str], msgspec.Meta(min_length=1, max_length=SIGNERS_MAX)]
    """Parties whose signatures the envelope must carry, in this order."""
    stream: str
    """The contract (or merchant, party, document, validator) whose record this joins."""
    version: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    """Version of the kind's rules it is to run under."""

    @property
    def data(self) -> dict[str, Any]:
        """The kind's own fields, read anew each time."""
        return _data_decoder.decode(self.data_text)


_data_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_body_decoder: Final = msgspec.json.Decoder(Body)
_whole_decoder: Final = msgspec.json.Decoder(
    msgspec.defstruct(
        "Body",
        [
            ("data", MEMBER_TYPE) if name == "data_text" else (name, of)
            for name, of in get_type_hints(Body, include_extras=True).items()
        ],
        forbid_unknown_fields=True,
        gc=False,
    )
)
"""Reads a body with all that its data holds, every bound of `ledger.canonical` in its type."""

_HEAD: Final = b'{"data":{'
"""How every body begins: `data` is an object, and the first of all members in their order."""


def decode_body(raw: bytes) -> Body:
    """Return the body `raw` spells; raise `Rejected` with what is wrong and where."""
    if len(raw) > BODY_BYTES_MAX:
        raise Rejected(
            Reason.TOO_LARGE,
            f"body: {len(raw)} bytes; at most {BODY_BYTES_MAX} are allowed",
            f"正文：{len(raw)} 字节，至多允许 {BODY_BYTES_MAX} 字节",
        )
    check_canonical(raw, _whole_decoder, "body")
    body = _body_decoder.decode(raw)
    _check_names(body)
    _check_signers(body)
    return body


class BodyHead(msgspec.Struct):
    """Who said it, and of what: as much as a reader of the chain needs to find it."""

    signers: list[str]
    stream: str


_head_decoder = msgspec.json.Decoder(BodyHead)


def read_head(raw: bytes) -> BodyHead:
    """Return the head of a body that stands on the chain, and so was read strictly before."""
    return _head_decoder.decode(raw)


def read_body(raw: bytes) -> Body:
    """Return a body that stands on the chain, and so was read strictly before."""
    return _body_decoder.decode(raw)


def _check_signers(body: Body) -> None:
    if len(set(body.signers)) != len(body.signers):
        raise Rejected(
            Reason.BAD_FIELD,
            f"body: signers {body.signers} names a party twice",
            f"正文：signers {body.signers} 中同一主体出现两次",
        )


def decode_bodies(raws: Sequence[bytes]) -> list[Body] | None:
    """Return the bodies of plain text, step by step over all; None if any is not so or is wrong.

    Whoever gets None asks `decode_body` for each.
    """
    if max(map(len, raws), default=0) > BODY_BYTES_MAX or not _are_canonical(raws):
        return None
    try:
        bodies = [_body_decoder.decode(raw) for raw in raws]
    except msgspec.DecodeError:
        return None
    if not all(map(_is_stream, [body.stream for body in bodies])):
        return None
    if not all(map(_is_salt, [body.salt for body in bodies])):
        return None
    if not _known_kinds.issuperset([body.kind for body in bodies]):
        return None
    for body in bodies:
        if len(body.signers) > 1 or body.signers[0] not in _known_parties:
            _check_names(body)
            _check_signers(body)
    return bodies


def _are_canonical(raws: Sequence[bytes]) -> bool:
    """Say whether each of these is plain text in its one spelling, its data an object."""
    if are_canonical(raws, _HEAD, DEPTH_MAX):
        return True
    if not all(map(is_plain, raws)):
        return False
    try:
        return [encode_sorted(_whole_decoder.decode(raw)) for raw in raws] == list(raws)
    except msgspec.DecodeError:
        return False


_is_stream = re.compile(STREAM_PATTERN).match
_is_party = re.compile(PARTY_PATTERN).match
_is_kind = re.compile(KIND_PATTERN).match
_is_salt = re.compile(SALT_PATTERN).match

_KNOWN_NAMES_MAX: Final = 4096
_known_kinds: set[str] = set()
_known_parties: set[str] = set()
"""Names that were found well-formed: the same few return in every body, and matching four patterns
costs as much as all the rest of reading one."""


def _check_names(body: Body) -> None:
    """Raise `Rejected` (BAD_FIELD) for a name that is not written as its pattern says."""
    if body.kind not in _known_kinds:
        if not _is_kind(body.kind):
            raise _misnamed("kind", body.kind, KIND_PATTERN)
        _learn(_known_kinds, body.kind)
    for signer in body.signers:
        if signer not in _known_parties:
            if not _is_party(signer):
                raise _misnamed("signers", signer, PARTY_PATTERN)
            _learn(_known_parties, signer)
    if not _is_stream(body.stream):
        raise _misnamed("stream", body.stream, STREAM_PATTERN)
    if not _is_salt(body.salt):
        raise _misnamed("salt", body.salt, SALT_PATTERN)


def _learn(known: set[str], name: str) -> None:
    if len(known) >= _KNOWN_NAMES_MAX:
        known.clear()
    known.add(name)


def _misnamed(member: str, name: str, pattern: str) -> Rejected:
    readable = pattern.removesuffix(r"(?!\n)")
    return Rejected(
        Reason.BAD_FIELD,
        f"body: {member} {name[:100]!r} does not match {readable}",
        f"正文：{member} {name[:100]!r} 不符合 {readable}",
    )


def encode_body(
    *,
    data: dict[str, Any],
    kind: str,
    not_after: int,
    reference: str,
    salt: str,
    signers: Sequence[str],
    stream: str,
    version: int,
) -> bytes:
    """Return the canonical text of a body; raise `Rejected` if a node would refuse it."""
    raw = encode_canonical(
        {
            "data": data,
            "kind": kind,
            "not_after": not_after,
            "reference": reference,
            "salt": salt,
            "signers": list(signers),
            "stream": stream,
            "version": version,
        }
    )
    decode_body(raw)
    return raw


def compute_tx_id(body: bytes) -> bytes:
    """Return the 32-byte transaction id of a body's exact bytes."""
    return tagged_hash(tags.TX_ID, body)


class BatchPath(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Inclusion of a transaction id in a batch's root (RFC 9162 section 2.1.3)."""

    index: Annotated[int, msgspec.Meta(ge=0, lt=BATCH_SIZE_MAX)]
    size: Annotated[int, msgspec.Meta(ge=1, le=BATCH_SIZE_MAX)]
    hashes: Annotated[
        list[Annotated[bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]],
        msgspec.Meta(max_length=16),
    ]


class Signature(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One signer's Ed25519 signature, over the transaction id or over a batch's root."""

    public_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
    batch: BatchPath | None


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A body's exact bytes and the signatures its signers made."""

    body: bytes
    signatures: Annotated[list[Signature], msgspec.Meta(min_length=1, max_length=SIGNERS_MAX)]


_envelope_decoder = StrictDecoder(Envelope, "envelope")


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """An envelope, read once: what every later step needs and none computes again."""

    raw: bytes
    """The envelope's bytes."""
    envelope_hash: bytes
    tx_id: bytes
    body: Body
    signed: tuple[Signed, ...]
    """What each signature covers, in the order of the body's signers."""
    reference_key: bytes
    """Hash of the first signer and its business reference."""

    @property
    def envelope(self) -> Envelope:
        """The envelope, read again: for whoever wants its paths."""
        return _envelope_decoder.decode(self.raw)


def decode_transaction(raw: bytes) -> Transaction:
    """Read an envelope and its body strictly; signatures are not verified here.

    Raises `Rejected`: everything `decode_body` raises, TOO_LARGE, SIGNATURE_COUNT, BAD_BATCH_PATH.
    """
    body_bytes, tx_id, signed = _read_envelope(raw)
    body = decode_body(body_bytes)
    if len(signed) != len(body.signers):
        raise Rejected(
            Reason.SIGNATURE_COUNT,
            f"envelope: {len(signed)} signatures for {len(body.signers)} signers "
            f"({', '.join(body.signers)}); exactly one each, in that order",
            f"封装：{len(signed)} 个签名，而签名者有 {len(body.signers)} 个"
            f"（{'、'.join(body.signers)}）；须按此次序每人恰有一个",
        )
    return Transaction(
        raw,
        tagged_hash(tags.ENVELOPE, raw),
        tx_id,
        body,
        signed,
        compute_reference_key(body.signers[0], body.reference),
    )


def decode_transactions(raws: Sequence[bytes]) -> list[Transaction | Rejected]:
    """Read envelopes as `decode_transaction` does, each in its place: the transaction, or why not.

    Step by step over all of them, which costs half of one after another; if anything is wrong with
    any, one after another all the same.
    """
    reads: list[tuple[bytes, bytes, tuple[Signed, ...]]] = []
    bodies: list[Body] | None = None
    try:
        reads = [_read_envelope(raw) for raw in raws]
        bodies = decode_bodies([body for body, _, _ in reads])
    except Rejected:
        pass
    if bodies is None or [len(signed) for _, _, signed in reads] != [
        len(body.signers) for body in bodies
    ]:
        return [_decode_or_reject(raw) for raw in raws]
    hashes = tagged_hashes(tags.ENVELOPE, raws)
    references = [f"{body.signers[0]}\0{body.reference}".encode() for body in bodies]
    keys = tagged_hashes(tags.REFERENCE, references)
    return [
        Transaction(raw, envelope_hash, tx_id, body, signed, key)
        for raw, envelope_hash, (_, tx_id, signed), body, key in zip(
            raws, hashes, reads, bodies, keys, strict=True
        )
    ]


def _decode_or_reject(raw: bytes) -> Transaction | Rejected:
    try:
        return decode_transaction(raw)
    except Rejected as rejected:
        return rejected


def _read_envelope(raw: bytes) -> tuple[bytes, bytes, tuple[Signed, ...]]:
    """Return (body, transaction id, what each signature covers)."""
    if len(raw) > ENVELOPE_BYTES_MAX:
        raise Rejected(
            Reason.TOO_LARGE,
            f"envelope: {len(raw)} bytes; at most {ENVELOPE_BYTES_MAX} allowed",
            f"封装：{len(raw)} 字节，至多允许 {ENVELOPE_BYTES_MAX} 字节",
        )
    read = read_envelope(raw, tags.TX_ID)
    if read is not None:
        return read
    envelope = _envelope_decoder.decode(raw)
    tx_id = compute_tx_id(envelope.body)
    signed = tuple([_read_signature(each, tx_id) for each in envelope.signatures])
    return envelope.body, tx_id, signed


def _read_signature(signature: Signature, tx_id: bytes) -> Signed:
    """Return what a signature covers; raise `Rejected` (BAD_BATCH_PATH) for a path to nowhere."""
    batch = signature.batch
    if batch is None:
        return signature.public_key, signature.signature, b"", 0
    try:
        root = root_from_inclusion(leaf_hash(tx_id), batch.index, batch.size, batch.hashes)
    except Rejected as error:
        raise Rejected(
            Reason.BAD_BATCH_PATH,
            f"batch signature: {error.detail}",
            f"批量签名的路径不成立。原文：{error.detail}",
        ) from None
    return signature.public_key, signature.signature, root, batch.size


def compute_reference_key(party: str, reference: str) -> bytes:
    """Return the key under which a party's business reference is remembered."""
    return tagged_hash(tags.REFERENCE, f"{party}\0{reference}".encode())


def encode_envelope(body: bytes, signatures: Sequence[Signature]) -> bytes:
    """Return an envelope's bytes."""
    return encode(Envelope(body, list(signatures)))


def compute_signed_message(chain_id: bytes, tx_id: bytes) -> bytes:
    """Return the bytes a signer signs for one transaction."""
    return tags.TX_SIGNATURE + chain_id + tx_id


def compute_batch_message(chain_id: bytes, root: bytes, size: int) -> bytes:
    """Return the bytes a submitter signs once for `size` transactions.

    The size is signed because a root alone leaves it open: one path verifies at several sizes and
    places, and an envelope must have one spelling.
    """
    return b"".join((tags.BATCH_SIGNATURE, chain_id, root, size.to_bytes(8, "big")))


def sign_transaction(body: bytes, chain_id: bytes, signers: Iterable[Signer]) -> bytes:
    """Return the envelope of `body` signed individually by `signers`, in the body's order."""
    message = compute_signed_message(chain_id, compute_tx_id(body))
    return encode_envelope(
        body, [Signature(signer.public_key, signer.sign(message), None) for signer in signers]
    )


def sign_batch(bodies: Sequence[bytes], chain_id: bytes, signer: Signer) -> list[bytes]:
    """Return one envelope per body, all under one signature of `signer` (their only signer)."""
    if not 1 <= len(bodies) <= BATCH_SIZE_MAX:
        raise ValueError(f"a batch holds 1 to {BATCH_SIZE_MAX} bodies, not {len(bodies)}")
    leaves = [leaf_hash(compute_tx_id(body)) for body in bodies]
    paths = inclusion_proofs(leaves)
    signature = signer.sign(compute_batch_message(chain_id, compute_root(leaves), len(leaves)))
    size = len(leaves)
    return [
        encode_envelope(
            body, [Signature(signer.public_key, signature, BatchPath(index, size, paths[index]))]
        )
        for index, body in enumerate(bodies)
    ]


Check = tuple[bytes, bytes, bytes]
"""Public key, message, signature: what Ed25519 has to verify."""


def compute_check(signed: Signed, chain_id: bytes, tx_id: bytes) -> Check:
    """Return the check that one signature of transaction `tx_id` amounts to.

    Transactions of one batch give the same check, so a caller may verify it once.
    """
    public_key, signature, root, size = signed
    if size:
        return public_key, compute_batch_message(chain_id, root, size), signature
    return public_key, compute_signed_message(chain_id, tx_id), signature


def verify_transaction_signatures(transaction: Transaction, chain_id: bytes) -> None:
    """Raise `Rejected` (BAD_SIGNATURE) unless every signature verifies.

    Whether the keys belong to the named parties at a height is not known here; see
    `contracts.parties.check_key`.
    """
    for signer, signed in zip(transaction.body.signers, transaction.signed, strict=True):
        key, message, signature = compute_check(signed, chain_id, transaction.tx_id)
        if not verify_signature(key, message, signature):
            raise Rejected(
                Reason.BAD_SIGNATURE,
                f"transaction {transaction.tx_id.hex()}: the signature of {signer} with key "
                f"{key.hex()} does not verify",
                f"交易 {transaction.tx_id.hex()}：{signer} 以密钥 {key.hex()} 所作签名无法通过验证",
            )


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What executing a transaction did. Effects carry no roots: those are in the header."""

    refused: bool
    code: str
    """Empty when applied; otherwise the named reason of the refusal."""
    effects: list[tuple[str, int | str]]
    """Named values: the balances after it, or the values that made it refused."""

    @property
    def status(self) -> str:
        """`applied` or `refused`."""
        return "refused" if self.refused else "applied"


_outcome_decoder: Final = msgspec.msgpack.Decoder(Outcome)


def decode_outcome(raw: bytes) -> Outcome:
    """Return the outcome that this node itself encoded."""
    return _outcome_decoder.decode(raw)


def applied(*effects: tuple[str, int | str]) -> Outcome:
    """Return the outcome of a transaction that took effect."""
    return Outcome(False, "", list(effects))


def refused(code: str, *effects: tuple[str, int | str]) -> Outcome:
    """Return the outcome of a transaction that is recorded but changed nothing."""
    return Outcome(True, code, list(effects))


def is_stream_name(name: str) -> bool:
    """Say whether `name` may name a stream."""
    return re.match(STREAM_PATTERN, name) is not None
