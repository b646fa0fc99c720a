"""Steps 23 and 24: a SCITT statement with its receipts; what is bent is refused by name."""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable
from typing import Any

import cbor2
import pytest

from ledger.hashing import sha256
from ledger.merkle import compute_root, leaf_hash
from ledger.refusal import Reason
from ledger.scitt import (
    ENVELOPE,
    EVIDENCE,
    RECEIPTS,
    STATEMENT_BYTES_MAX,
    compute_key_thumbprint,
    compute_sign1_message,
    format_issuer,
    format_subject,
    read_statement,
)
from ledger.signing import SeedSigner
from tests.verifier.small_chain import signer
from tests.verifier.statements import (
    CARD,
    PAYLOAD,
    Registered,
    Signed,
    card_chain,
    good,
    receipt_of,
    register,
    registered_bytes,
    statement_of,
)
from verifier.report import Report, Result
from verifier.verify import verify_evidence

Bent = Callable[[], tuple[Registered, bytes]]


def test_a_registered_statement_with_receipts_is_consistent() -> None:
    made = good()
    report = verify_evidence(made.transparent(), made.chain.chain_id)
    assert report.is_consistent, report.failed
    origin = made.chain.genesis.origin
    digest = sha256(registered_bytes(made.statement)).hex()
    subject = made.statement.header[15][2]
    steps = {step.number: step.explanation for step in report.steps}
    assert steps[23].en == (
        f"Its issuer m-1 signed it with the key of the entry; its hash {digest} is the entry's; "
        f'its subject is {subject}; its content is "text/plain; charset=utf-8", '
        f"{len(PAYLOAD)} bytes, SHA-256 {sha256(PAYLOAD).hex()}."
    )
    assert steps[23].zh.startswith(f"签发者 m-1 以登记的密钥签署；声明哈希 {digest} 与条目相符；")
    assert steps[24].en == (
        "2 receipts are of this entry and their signatures verify: Bank 0 (bank-0), "
        "Bank 2 (bank-2). A receipt signs neither index nor size; the place rests on step 6."
    )
    assert {name: report.facts[name] for name in report.facts if "state" in name[:10]} == {
        "state_height": 6,
        "statement_issuer": f"{origin}/m-1",
        "statement_subject": subject,
        "statement_sha256": digest,
        "statement_content_type": "text/plain; charset=utf-8",
        "statement_payload_sha256": sha256(PAYLOAD).hex(),
    }
    assert report.facts["receipts_by"] == ["bank-0", "bank-2"]
    assert (
        "the transaction that it speaks of is on this chain, this file does not prove."
        in report.limits[-1].en
    )


def hashed() -> Registered:
    """RFC 9995; and the issuer may be an institution, with another after it in the signatures."""
    chain, about = card_chain()
    statement = statement_of(chain, "bank-1", about)
    del statement.header[3]
    statement.header |= {258: -16, 259: "application/pdf", 260: "https://example.test/a.pdf"}
    statement.payload = sha256(b"%PDF-1.7 ...")
    return register(chain, statement, about, "m-1", "bank-1")


def by_the_new_number() -> Registered:
    """A key that signs Ed25519 by the number of RFC 9864 is the same."""
    chain, about = card_chain()
    statement = statement_of(chain, "m-1", about)
    statement.header[1] = -19
    return register(chain, statement, about, "m-1")


GOOD: dict[str, Callable[[], Registered]] = {
    "a-text": good,
    "hash-of-a-document": hashed,
    "ed25519-by-its-new-number": by_the_new_number,
}


def test_the_hash_of_a_document_may_stand_for_it() -> None:
    made = hashed()
    report = verify_evidence(made.transparent(), made.chain.chain_id)
    assert report.is_consistent, report.failed
    assert "the SHA-256 of a document of type application/pdf" in report.steps[-2].explanation.en
    assert report.facts["statement_payload_sha256"] == sha256(b"%PDF-1.7 ...").hex()
    assert report.limits[-1].en.startswith("The statement has the SHA-256 of a document and not")


def test_a_key_that_signs_ed25519_by_its_new_number_is_the_same() -> None:
    made = by_the_new_number()
    assert verify_evidence(made.transparent(), made.chain.chain_id).is_consistent


# What is bent, at which step it is refused, by which reason and which words.

BENT: dict[str, tuple[Bent, int, Reason, str]] = {}


def bent(name: str, step: int, reason: Reason, words: str) -> Callable[[Bent], Bent]:
    def keep(make: Bent) -> Bent:
        BENT[name] = (make, step, reason, words)
        return make

    return keep


def of_file(name: str, reason: Reason, words: str, change: Callable[[Signed], Any]) -> None:
    """A change of the Transparent Statement as a whole; the file is then unusable (step 1)."""

    def make() -> tuple[Registered, bytes]:
        statement = good().statement.copy()
        statement.unprotected = {
            RECEIPTS: [receipt()],
            EVIDENCE: good().chain.transaction(good().index, good().signers).encode(),
        }
        made = change(statement)
        return good(), made if isinstance(made, bytes) else statement.encode()

    BENT[name] = (make, 1, reason, words)


@functools.cache
def receipt(institution: str = "bank-0") -> bytes:
    return receipt_of(good().chain, good().index, good().tx_id, institution)


def without(key: Any) -> Callable[[Signed], None]:
    return lambda made: made.header.__delitem__(key)


def with_header(key: Any, value: Any) -> Callable[[Signed], None]:
    return lambda made: made.header.__setitem__(key, value)


def with_claim(key: Any, value: Any) -> Callable[[Signed], None]:
    return lambda made: made.header[15].__setitem__(key, value)


def with_part(key: Any, value: Any) -> Callable[[Signed], None]:
    return lambda made: made.unprotected.__setitem__(key, value)


def swapped_payload(payload: bytes | None, **header: Any) -> Callable[[Signed], None]:
    def change(made: Signed) -> None:
        made.payload = payload
        made.header |= {int(key[1:]): value for key, value in header.items()}

    return change


BAD = Reason.BAD_FIELD
of_file("truncated", Reason.MALFORMED, "it ends within the value", lambda m: m.encode()[:-1])
of_file("trailing-byte", Reason.MALFORMED, "1 bytes follow its value", lambda m: m.encode() + b"\0")
of_file(
    "other-tag", Reason.MALFORMED, "a value is expected at byte 0", lambda m: setattr(m, "tag", 17)
)
of_file(
    "array-of-three",
    Reason.MALFORMED,
    "a COSE_Sign1 is an array of four",
    lambda m: b"\xd2" + cbor2.dumps([b"", {}, b""]),
)
of_file("no-payload", BAD, "the payload must be in it", swapped_payload(None))
of_file("empty-payload", BAD, "the payload must be in it", swapped_payload(b""))
of_file("other-algorithm", BAD, "alg (1) is -7; it must be -8", with_header(1, -7))
of_file("no-algorithm", BAD, "alg (1) is None", without(1))
of_file("critical", BAD, "crit (2) names headers", with_header(2, [99]))
of_file("short-kid", BAD, "kid (4) is not the 32 bytes", with_header(4, b"key"))
of_file("no-kid", BAD, "kid (4) is not the 32 bytes", without(4))
of_file("no-claims", BAD, "the CWT claims (15) are missing", without(15))
of_file("no-issuer", BAD, "claim iss (1) is not a text", lambda m: m.header[15].pop(1))
of_file("no-subject", BAD, "claim sub (2) is not a text", lambda m: m.header[15].pop(2))
of_file("long-subject", BAD, "claim sub (2) is not a text", with_claim(2, "x" * 257))
of_file("expires", BAD, "claim exp (4): what is registered", with_claim(4, 1_900_000_000))
of_file("not-before", BAD, "claim nbf (5): what is registered", with_claim(5, 1_900_000_000))
of_file("no-content-type", BAD, "content type (3) is not a text", without(3))
of_file("coap-content-type", BAD, "content type (3) is not a text", with_header(3, 0))
of_file("hash-and-type", BAD, "content type (3) has no place", with_header(258, -16))
of_file("other-hash", BAD, "payload-hash-alg (258) is -43", with_header(258, -43))
of_file("hash-of-no-length", BAD, "payload-hash-alg (258) is None", with_header(259, "text/plain"))
of_file("unknown-part", BAD, "unprotected header 33 has no place", with_part(33, b"chain"))
of_file("envelope-left-in", BAD, f"header {ENVELOPE} has no place", with_part(ENVELOPE, b""))
of_file(
    "no-evidence",
    BAD,
    "it has no evidence of its entry",
    lambda m: m.unprotected.__delitem__(EVIDENCE),
)
of_file("evidence-as-text", Reason.MALFORMED, "is not a byte string", with_part(EVIDENCE, "{}"))
of_file("receipts-no-array", Reason.MALFORMED, "receipts (394) is not", with_part(RECEIPTS, b""))
of_file("receipts-empty", Reason.MALFORMED, "receipts (394) is not", with_part(RECEIPTS, []))
of_file("receipts-many", Reason.MALFORMED, "394) is not", with_part(RECEIPTS, [b""] * 65))
of_file("receipt-unwrapped", Reason.MALFORMED, "394) is not", with_part(RECEIPTS, [[b""]]))
of_file(
    "evidence-of-another-kind",
    BAD,
    "its evidence is of kind history, not transaction",
    lambda m: with_part(EVIDENCE, good().chain.history("card-1", ["m-1", "bank-1"]))(m),
)
of_file(
    "evidence-a-statement-again",
    Reason.MALFORMED,
    "evidence file",
    lambda m: with_part(EVIDENCE, good().transparent())(m),
)
of_file(
    "evidence-not-canonical",
    Reason.NOT_CANONICAL,
    "evidence file",
    lambda m: m.unprotected.__setitem__(EVIDENCE, m.unprotected[EVIDENCE] + b"\n"),
)
of_file(
    "protected-key-twice",
    Reason.NOT_CANONICAL,
    "the key 1 stands twice in one map",
    lambda m: setattr(m, "protected", b"\xa2\x01\x27\x01\x27"),
)
of_file(
    "protected-longer-head",
    Reason.NOT_CANONICAL,
    "the head at byte 2 is not the shortest",
    lambda m: setattr(m, "protected", b"\xa1\x01\x38\x07"),
)
of_file(
    "protected-indefinite",
    Reason.MALFORMED,
    "the head 0xbf at byte 0 has no place",
    lambda m: setattr(m, "protected", b"\xbf\x01\x27\xff"),
)
of_file(
    "protected-empty",
    Reason.MALFORMED,
    "it ends within the value at byte 0",
    lambda m: setattr(m, "protected", b""),
)
of_file(
    "protected-no-map",
    Reason.MALFORMED,
    "the protected header is not a map",
    lambda m: setattr(m, "protected", b"\x80"),
)
of_file(
    "too-deep",
    Reason.TOO_DEEP,
    "nested deeper than 8 levels",
    lambda m: setattr(m, "protected", b"\x81" * 9 + b"\x00"),
)
of_file(
    "too-large",
    Reason.TOO_LARGE,
    "bytes without its unprotected header; at most 65536 are registered",
    swapped_payload(bytes(STATEMENT_BYTES_MAX)),
)
of_file(
    "short-signature",
    Reason.MALFORMED,
    "its signature is not 64 bytes",
    lambda m: setattr(m, "signature", bytes(63)),
)


@bent("payload-changed", 23, Reason.ROOT_MISMATCH, "The entry registers the statement with hash")
def payload_changed() -> tuple[Registered, bytes]:
    made = copy.copy(good())
    made.statement = Signed(**vars(made.statement) | {"payload": PAYLOAD + b"!"})
    return made, made.transparent()


@bent("signature-changed", 23, Reason.ROOT_MISMATCH, "The entry registers the statement with hash")
def signature_changed() -> tuple[Registered, bytes]:
    made = copy.copy(good())
    made.statement = Signed(**vars(made.statement) | {"signature": bytes(64)})
    return made, made.transparent()


def registered(change: Callable[[Signed], Any], *signers: str, **others: Any) -> Bent:
    """A statement that is not as it must be, and that an attest registered all the same."""

    def make() -> tuple[Registered, bytes]:
        chain, about = card_chain()
        statement = statement_of(chain, "m-1", about)
        change(statement)
        made = register(chain, statement, about, *(signers or ("m-1",)), **others)
        return made, made.transparent()

    return make


def set_header(label: int, value: Callable[[Signed], Any]) -> Callable[[Signed], None]:
    return lambda made: made.header.__setitem__(label, value(made))


BENT["never-signed"] = (
    registered(lambda made: setattr(made, "signature", bytes(64))),
    23,
    Reason.BAD_SIGNATURE,
    "The signature of m-1 on the statement does not verify.",
)
BENT["signed-by-another"] = (
    registered(lambda made: setattr(made, "key", SeedSigner(sha256(b"another")))),
    23,
    Reason.BAD_SIGNATURE,
    "The signature of m-1 on the statement does not verify.",
)
BENT["signed-as-a-transaction"] = (
    registered(lambda made: setattr(made, "signature", made.key.sign(registered_bytes(made)[:40]))),
    23,
    Reason.BAD_SIGNATURE,
    "The signature of m-1 on the statement does not verify.",
)
BENT["kid-of-another-key"] = (
    registered(set_header(4, lambda _: compute_key_thumbprint(bytes(32)))),
    23,
    Reason.UNKNOWN_KEY,
    "the thumbprint of the key with which m-1 signed the entry is",
)
BENT["issuer-who-did-not-sign-the-entry"] = (
    registered(
        lambda made: made.header[15].__setitem__(1, made.header[15][1].replace("/m-1", "/m-2"))
    ),
    23,
    Reason.UNKNOWN_PARTY,
    "is not one of the entry's signers (m-1).",
)
BENT["issuer-of-another-chain"] = (
    registered(lambda made: made.header[15].__setitem__(1, "other.example/00112233/m-1")),
    23,
    Reason.UNKNOWN_PARTY,
    "is not one of the entry's signers (m-1).",
)
BENT["issuer-without-a-chain"] = (
    registered(lambda made: made.header[15].__setitem__(1, "m-1")),
    23,
    Reason.UNKNOWN_PARTY,
    "The statement's issuer m-1 is not one of the entry's signers (m-1).",
)
BENT["subject-of-another-transaction"] = (
    registered(lambda made: made.header[15].__setitem__(2, format_subject("00" * 32))),
    23,
    Reason.BAD_FIELD,
    '; the entry speaks of "urn:evidence-ledger:transaction:',
)
BENT["no-hash-registered"] = (
    registered(lambda made: None, note_hash=""),
    23,
    Reason.ROOT_MISMATCH,
    "The entry registers the statement with hash",
)
BENT["attest-refused"] = (
    registered(
        lambda made: made.header[15].__setitem__(1, made.header[15][1].replace("/m-1", "/m-2")),
        "m-2",
    ),
    23,
    Reason.UNKNOWN_KIND,
    "this one is attest, refused.",
)


@bent("entry-of-another-kind", 23, Reason.UNKNOWN_KIND, "this one is prepaid.prepay, applied.")
def other_entry() -> tuple[Registered, bytes]:
    made = good()
    index = made.chain.indices_of(CARD)[1]
    return made, made.transparent(
        evidence=made.chain.transaction(index, ("m-1", "bank-1")).encode()
    )


@bent("attest-of-another-statement", 23, Reason.ROOT_MISMATCH, "the hash of this one is")
def other_statement() -> tuple[Registered, bytes]:
    chain, about = card_chain()
    first = register(chain, statement_of(chain, "m-1", about), about, "m-1")
    second = statement_of(chain, "m-1", about)
    second.payload = b"another"
    later = register(chain, second, about, "m-1")
    later.statement = first.statement
    return later, later.transparent()


@bent("other-genesis", 2, Reason.WRONG_CHAIN, "")
def other_genesis() -> tuple[Registered, bytes]:
    made = copy.copy(good())
    made.chain = copy.copy(made.chain)
    made.chain.genesis = copy.copy(made.chain.genesis)
    raw = made.transparent()
    object.__setattr__(made.chain.genesis, "chain_id", bytes(32))
    return made, raw


# Receipts.


def receipts(name: str, reason: Reason, words: str, *bad: Callable[[], bytes]) -> None:
    BENT[name] = (
        lambda: (good(), good().transparent(receipts=[make() for make in bad])),
        24,
        reason,
        words,
    )


def unpacked() -> tuple[dict[Any, Any], list[Any], bytes]:
    """Header, inclusion proof [size, index, path] and signature of the good receipt."""
    protected, unprotected, _, signature = cbor2.loads(receipt()).value
    return cbor2.loads(protected), cbor2.loads(unprotected[396][-1][0]), signature


def repacked(
    change: Callable[[dict[Any, Any], list[Any]], Any] = lambda header, proof: None,
    *,
    key: str = "bank-0 log",
    resigned: bool = False,
    parts: dict[Any, Any] | None = None,
    payload: bytes | None = None,
) -> bytes:
    """The good receipt, changed; signed again over the true root if `resigned`."""
    header, proof, signature = unpacked()
    change(header, proof)
    chain = good().chain
    protected = cbor2.dumps(header, canonical=True)
    if resigned:
        root = compute_root([leaf_hash(leaf) for leaf in chain.leaves])
        signature = signer(f"{chain.network} {key}").sign(compute_sign1_message(protected, root))
    unprotected = {396: {-1: [cbor2.dumps(proof)]}} if parts is None else parts
    return cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected, payload, signature]))


BENT["no-receipts"] = (
    lambda: (good(), _without_receipts()),
    24,
    Reason.SIGNATURE_COUNT,
    "The statement has no receipt (header 394), so it is not a Transparent Statement.",
)


def _without_receipts() -> bytes:
    made = good().statement.copy()
    evidence = good().chain.transaction(good().index, good().signers).encode()
    made.unprotected = {EVIDENCE: evidence}
    return made.encode()


receipts("receipt-no-cbor", Reason.MALFORMED, "receipts[0]: not CBOR as it must be", lambda: b"x")
receipts(
    "receipt-trailing-byte",
    Reason.MALFORMED,
    "receipts[0]: not CBOR as it must be: 1 bytes follow its value.",
    lambda: receipt() + b"\0",
)
receipts(
    "receipt-of-another-entry",
    BAD,
    "receipts[0]: its claims are not issuer",
    lambda: receipt_of(good().chain, good().chain.indices_of(CARD)[1], bytes(32)),
)
receipts(
    "receipt-of-another-place",
    Reason.BAD_PROOF,
    "receipts[0]: its proof is of index 8, and the entry stands at 10",
    lambda: receipt_of(good().chain, good().chain.indices_of(CARD)[1], good().tx_id),
)
receipts(
    "receipt-index-moved",
    Reason.BAD_PROOF,
    "its proof is of index 11, and the entry stands at 10",
    lambda: repacked(lambda header, proof: proof.__setitem__(1, proof[1] + 1)),
)
receipts(
    "receipt-size-and-index-swapped",
    Reason.BAD_PROOF,
    "its proof is of index 13, and the entry stands at 10",
    lambda: repacked(lambda header, proof: proof.__setitem__(slice(0, 2), proof[1::-1])),
)
receipts(
    "receipt-size-not-above-index",
    Reason.BAD_PROOF,
    "receipts[0]: ",
    lambda: repacked(lambda header, proof: proof.__setitem__(0, proof[1])),
)
receipts(
    "receipt-size-doubled",
    Reason.BAD_PROOF,
    "receipts[0]: ",
    lambda: repacked(lambda header, proof: proof.__setitem__(0, 2 * proof[0] + 20)),
)
receipts(
    "receipt-size-negative",
    BAD,
    "receipts[0]: the proof's size is no count",
    lambda: repacked(lambda header, proof: proof.__setitem__(0, -1)),
)
receipts(
    "receipt-index-no-integer",
    BAD,
    "receipts[0]: the proof's index is no count",
    lambda: repacked(lambda header, proof: proof.__setitem__(1, True)),
)
receipts(
    "receipt-path-hash-changed",
    Reason.BAD_SIGNATURE,
    "the signature of bank-0 on the root that the entry leads to does not verify",
    lambda: repacked(lambda header, proof: proof[2].__setitem__(0, bytes(32))),
)
receipts(
    "receipt-path-reordered",
    Reason.BAD_SIGNATURE,
    "the signature of bank-0 on the root",
    lambda: repacked(lambda header, proof: proof[2].reverse()),
)
receipts(
    "receipt-path-shortened",
    Reason.BAD_PROOF,
    "receipts[0]: ",
    lambda: repacked(lambda header, proof: proof[2].pop()),
)
receipts(
    "receipt-path-lengthened",
    Reason.BAD_PROOF,
    "receipts[0]: ",
    lambda: repacked(lambda header, proof: proof[2].append(bytes(32))),
)
receipts(
    "receipt-path-empty",
    Reason.BAD_PROOF,
    "the path is not 1 to 53 hashes",
    lambda: repacked(lambda header, proof: proof[2].clear()),
)
receipts(
    "receipt-path-short-hash",
    Reason.BAD_PROOF,
    "the path is not 1 to 53 hashes",
    lambda: repacked(lambda header, proof: proof[2].__setitem__(0, bytes(31))),
)
receipts(
    "receipt-signed-by-the-cosigner",
    Reason.BAD_SIGNATURE,
    "the signature of bank-0 on the root",
    lambda: repacked(resigned=True, key="bank-0 cosign"),
)
receipts(
    "receipt-of-a-stranger",
    Reason.UNKNOWN_KEY,
    "is of no log key of genesis",
    lambda: repacked(
        lambda header, proof: header.__setitem__(
            4, compute_key_thumbprint(signer("stranger log").public_key)
        ),
        resigned=True,
        key="stranger log",
    ),
)
receipts(
    "receipt-in-another-institutions-name",
    BAD,
    "its claims are not issuer",
    lambda: repacked(
        lambda header, proof: header[15].__setitem__(
            1, format_issuer(good().chain.genesis.origin, "bank-1")
        ),
        resigned=True,
    ),
)
receipts(
    "receipt-of-another-log",
    BAD,
    "its claims are not issuer",
    lambda: repacked(
        lambda header, proof: header[15].__setitem__(1, "other.example/0011223344556677/bank-0"),
        resigned=True,
    ),
)
receipts(
    "receipt-with-one-more-claim",
    BAD,
    "its claims are not issuer",
    lambda: repacked(lambda header, proof: header[15].__setitem__(6, 1), resigned=True),
)
receipts(
    "receipt-vds-of-another-kind",
    BAD,
    "vds (395) is not 1, RFC9162_SHA256",
    lambda: repacked(lambda header, proof: header.__setitem__(395, 2), resigned=True),
)
receipts(
    "receipt-vds-that-is-true",
    BAD,
    "vds (395) is not 1, RFC9162_SHA256",
    lambda: repacked(lambda header, proof: header.__setitem__(395, True), resigned=True),
)
receipts(
    "receipt-without-vds",
    BAD,
    "vds (395) is not 1, RFC9162_SHA256",
    lambda: repacked(lambda header, proof: header.pop(395), resigned=True),
)
receipts(
    "receipt-other-algorithm",
    BAD,
    "receipts[0]: alg (1) is -7",
    lambda: repacked(lambda header, proof: header.__setitem__(1, -7), resigned=True),
)
receipts(
    "receipt-payload-attached",
    BAD,
    "the payload of a receipt is detached",
    lambda: repacked(payload=bytes(32)),
)
receipts(
    "receipt-consistency-proof",
    BAD,
    "its unprotected header is not proofs of inclusion",
    lambda: repacked(parts={396: {-2: [b""]}}),
)
receipts(
    "receipt-two-proofs",
    Reason.MALFORMED,
    "it has not exactly one proof of inclusion",
    lambda: repacked(parts={396: {-1: [cbor2.dumps(unpacked()[1])] * 2}}),
)
receipts(
    "receipt-no-proof",
    BAD,
    "its unprotected header is not proofs of inclusion",
    lambda: repacked(parts={}),
)
receipts(
    "receipt-proof-of-two",
    Reason.MALFORMED,
    "the proof is not size, index and path",
    lambda: repacked(lambda header, proof: proof.pop()),
)
receipts(
    "receipt-twice",
    Reason.DUPLICATE,
    "receipts[1]: bank-0 has given a receipt already.",
    receipt,
    receipt,
)
receipts(
    "second-receipt-bad",
    Reason.BAD_SIGNATURE,
    "receipts[1]: the signature of bank-2",
    receipt,
    lambda: receipt("bank-2")[:-1] + bytes([receipt("bank-2")[-1] ^ 1]),
)


@pytest.mark.parametrize("name", sorted(BENT))
def test_what_is_bent_is_refused_by_name(name: str) -> None:
    make, number, reason, words = BENT[name]
    made, raw = make()
    report = verify_evidence(raw, made.chain.chain_id)
    failed = report.failed
    assert failed is not None
    assert (failed.number, failed.reason) == (number, reason), failed.explanation.en
    assert words in failed.explanation.en
    assert any("\u4e00" <= sign <= "\u9fff" for sign in failed.explanation.zh)
    assert report.exit_status == (2 if number == 1 else 1)
    assert [step.result for step in report.steps if step.number > number] == [
        Result.NOT_RUN for step in report.steps if step.number > number
    ]


def test_there_are_enough_of_them() -> None:
    assert len(BENT) >= 80
    assert {BENT[name][1] for name in BENT} == {1, 2, 23, 24}


def test_no_flipped_bit_is_accepted() -> None:
    """Anywhere but in a receipt's size, which no signature covers (docs/adr/0024)."""
    made = good()
    raw = made.transparent()
    sizes = set()
    start = 0
    for _ in range(2):
        start = raw.index(cbor2.dumps([len(made.chain.leaves), made.index])[1:], start) + 1
        sizes.add(start - 1)
    chance = random.Random(9943)
    places = chance.sample(range(len(raw)), 220)
    end = raw.index(b'"certificate"')
    places += range(0, end, 7)  # the statement's own head and the receipts
    for place in places:
        changed = bytearray(raw)
        changed[place] ^= 1 << chance.randrange(8)
        if place not in sizes:
            assert not verify_evidence(bytes(changed), made.chain.chain_id).is_consistent, place


def test_what_is_not_of_this_process_is_told_without_a_genesis_hash(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from verifier.main import main

    path = tmp_path / "s.cose"
    path.write_bytes(good().transparent())
    assert main([str(path)]) == 2
    said = capsys.readouterr().out
    assert f"The file's own genesis document has {good().chain.chain_id.hex()}" in said
    assert main([str(path), "--genesis-hash", good().chain.chain_id.hex(), "--lang", "zh"]) == 0
    assert "COSE 收据" in capsys.readouterr().out


def test_the_unprotected_header_is_no_part_of_what_is_registered() -> None:
    made = good()
    read = read_statement(made.transparent(), (RECEIPTS, EVIDENCE), 1 << 20)
    assert read.registered == registered_bytes(made.statement)
    report: Report = verify_evidence(made.transparent([receipt("bank-3")]), made.chain.chain_id)
    assert report.facts["receipts_by"] == ["bank-3"]
