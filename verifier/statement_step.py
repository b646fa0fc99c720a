"""Steps 23 and 24: a SCITT statement is what its entry registered; its receipts are of that entry.

The entry's place, its signatures and its signers' keys were established by the steps before. Here
the statement is bound to it: the entry is an `attest` that took effect and names the statement's
hash; the issuer is one of its signers, and signed the statement with the very key that signed the
entry, whose validity at that height step 9 has proven. A receipt (RFC 9942) is one institution's
signature on a root that the entry leads to. It signs neither index nor size: the index must be that
of the entry, and of the size nothing is said. The place of the entry rests on step 6, never on a
receipt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ledger.cbor import read_cbor
from ledger.hashing import HASH_BYTES, sha256
from ledger.merkle import root_from_inclusion
from ledger.refusal import Reason, Rejected
from ledger.scitt import (
    ATTEST,
    CWT_CLAIMS,
    ISSUER,
    KEY_ID,
    SUBJECT,
    Statement,
    compute_key_thumbprint,
    compute_sign1_message,
    format_issuer,
    format_subject,
    read_protected,
    read_sign1,
)
from ledger.signing import verify_signature
from verifier.case import Case
from verifier.evidence_file import EvidenceFile, TransactionFile
from verifier.report import Refuted, Said, Saying, Words, words_of
from verifier.strict_msgpack import COUNT_MAX
from verifier.trust_root import Institution
from verifier.wording import format_institutions, show_text

PROOF_STRUCTURE: Final = 395
PROOFS: Final = 396
RFC9162_SHA256: Final = 1
INCLUSION: Final = -1
"""Header labels and values of RFC 9942, sections 2, 5.1 and 5.2."""

PATH_MAX: Final = 53
"""Hashes of a path in a tree of at most 2^53 entries."""


def find_statement(file: EvidenceFile) -> Statement | None:
    """Return the statement whose registration a file proves, if it has one."""
    return file.statement if isinstance(file, TransactionFile) else None


def describe_limits(file: EvidenceFile) -> list[Words]:
    """Return what the registration of a statement does not prove."""
    statement = find_statement(file)
    if statement is None:
        return []
    limits = [
        Words(
            "证明：该声明由签发者签署，并最迟于该条目上链时存在；声明内容是否"
            "属实、所述交易是否在链上，此文件不能证明。",
            "Proven: the issuer signed the statement, and it existed when the entry was put on the "
            "chain. Whether what it says is true, and whether the transaction that it speaks of is "
            "on this chain, this file does not prove.",
        )
    ]
    if statement.is_hash:
        limits.append(
            Words(
                "声明只含所述文件的 SHA-256；请自行计算该文件的 SHA-256 并与之比对。",
                "The statement has the SHA-256 of a document and not the document: compute the "
                "document's SHA-256 and compare.",
            )
        )
    return limits


def check_statement(case: Case) -> Said:
    """Step 23: the statement is the one that the entry registered, signed by its issuer."""
    statement = find_statement(case.file)
    assert statement is not None, "the step concerns a statement"
    (entry,), (body,) = case.entries, case.bodies
    if body.kind != ATTEST or entry.outcome.refused:
        outcome = (
            Words("已记录为拒绝的", "refused") if entry.outcome.refused else Words("", "applied")
        )
        raise Refuted(
            Reason.UNKNOWN_KIND,
            f"声明由已生效的 {ATTEST} 条目登记，而此条目为{outcome.zh} {body.kind}。",
            f"A statement is registered by an {ATTEST} entry that was applied; this one is "
            f"{body.kind}, {outcome.en}.",
        )
    digest, named = statement.digest.hex(), body.data.get("note_hash")
    if named != digest:
        raise Refuted(
            Reason.ROOT_MISMATCH,
            f"条目登记的声明哈希为 {show_text(str(named))}，而此声明的哈希为 {digest}。",
            f"The entry registers the statement with hash {show_text(str(named))}; the hash of "
            f"this one is {digest}.",
        )
    party = statement.issuer.removeprefix(f"{case.root.origin}/")
    if statement.issuer != format_issuer(case.root.origin, party) or party not in body.signers:
        raise Refuted(
            Reason.UNKNOWN_PARTY,
            f"声明的签发者 {show_text(statement.issuer)} 不是该条目的签名者"
            f"（{'、'.join(body.signers)}）。",
            f"The statement's issuer {show_text(statement.issuer)} is not one of the entry's "
            f"signers ({', '.join(body.signers)}).",
        )
    key = entry.signatures[body.signers.index(party)].public_key
    if statement.key_id != compute_key_thumbprint(key):
        raise Refuted(
            Reason.UNKNOWN_KEY,
            f"声明的 kid 为 {statement.key_id.hex()}，而 {party} 签署该条目之密钥的指纹为 "
            f"{compute_key_thumbprint(key).hex()}。",
            f"The statement's kid is {statement.key_id.hex()}; the thumbprint of the key with "
            f"which {party} signed the entry is {compute_key_thumbprint(key).hex()}.",
        )
    if not verify_signature(key, statement.signed_message, statement.signature):
        raise Refuted(
            Reason.BAD_SIGNATURE,
            f"{party} 对声明的签名无法通过验证。",
            f"The signature of {party} on the statement does not verify.",
        )
    subject = format_subject(str(body.data.get("tx_id")))
    if statement.subject != subject:
        raise Refuted(
            Reason.BAD_FIELD,
            f"声明的主题为 {show_text(statement.subject)}，而条目所指为 {show_text(subject)}。",
            f"The statement's subject is {show_text(statement.subject)}; the entry speaks of "
            f"{show_text(subject)}.",
        )
    payload = (statement.payload if statement.is_hash else sha256(statement.payload)).hex()
    case.facts |= {
        "statement_issuer": statement.issuer,
        "statement_subject": statement.subject,
        "statement_sha256": digest,
        "statement_content_type": statement.content_type,
        "statement_payload_sha256": payload,
    }

    def say() -> Words:
        kind = show_text(statement.content_type)
        what = (
            Words(f"一份 {kind} 文件的 SHA-256", f"the SHA-256 of a document of type {kind}")
            if statement.is_hash
            else Words(
                f"{kind}，{len(statement.payload)} 字节", f"{kind}, {len(statement.payload)} bytes"
            )
        )
        return Words(
            f"签发者 {party} 以登记的密钥签署；声明哈希 {digest} 与条目相符；主题 {subject}；内容为"
            f"{what.zh}，SHA-256 {payload}。",
            f"Its issuer {party} signed it with the key of the entry; its hash {digest} is the "
            f"entry's; its subject is {subject}; its content is {what.en}, SHA-256 {payload}.",
        )

    return Saying(say)


def check_receipts(case: Case) -> Said:
    """Step 24: each receipt is of this entry, by an institution of genesis, and no two by one."""
    statement = find_statement(case.file)
    assert statement is not None, "the step concerns a statement"
    if not statement.receipts:
        raise Refuted(
            Reason.SIGNATURE_COUNT,
            "声明未附收据（标头 394），因此不是透明声明。",
            "The statement has no receipt (header 394), so it is not a Transparent Statement.",
        )
    keys = {compute_key_thumbprint(one.log_key): one for one in case.root.institutions}
    found: list[Institution] = []
    for number, raw in enumerate(statement.receipts):
        try:
            receipt = _read_receipt(raw, f"receipts[{number}]")
            institution = _check_receipt(case, receipt, keys)
        except Rejected as rejected:
            said = words_of(rejected)
            raise Refuted(rejected.reason, f"第 {number + 1} 份收据：{said.zh}", said.en) from None
        if institution in found:
            raise Refuted(
                Reason.DUPLICATE,
                f"第 {number + 1} 份收据出自 {institution.id}，其已有一份收据。",
                f"receipts[{number}]: {institution.id} has given a receipt already.",
            )
        found.append(institution)
    case.facts["receipts_by"] = [one.id for one in found]

    def say() -> Words:
        names = format_institutions(found)
        return Words(
            f"{len(found)} 份收据均针对该条目，签名有效：{names.zh}。收据不签署位置与树的大小，"
            "位置以第 6 步为准。",
            f"{len(found)} receipts are of this entry and their signatures verify: {names.en}. A "
            "receipt signs neither index nor size; the place rests on step 6.",
        )

    return Saying(say)


@dataclass(frozen=True, slots=True)
class _Receipt:
    """One receipt as it was read."""

    name: str
    protected: bytes
    header: dict[Any, Any]
    size: int
    index: int
    path: tuple[bytes, ...]
    signature: bytes


def _read_receipt(raw: bytes, name: str) -> _Receipt:
    """Read a receipt with one inclusion proof (RFC 9942 section 5.2); raise `Rejected`."""
    protected, unprotected, payload, signature = read_sign1(raw, name)
    header = read_protected(protected, name)
    structure = header.get(PROOF_STRUCTURE)
    if type(structure) is not int or structure != RFC9162_SHA256:
        _refuse(Reason.BAD_FIELD, f"{name}: vds (395) is not 1, RFC9162_SHA256")
    if payload is not None:
        _refuse(Reason.BAD_FIELD, f"{name}: the payload of a receipt is detached, and null stands")
    proofs = unprotected.get(PROOFS)
    if set(unprotected) != {PROOFS} or not isinstance(proofs, dict) or set(proofs) != {INCLUSION}:
        _refuse(
            Reason.BAD_FIELD,
            f"{name}: its unprotected header is not proofs of inclusion (396, -1) alone",
        )
    listed = proofs[INCLUSION]
    if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], bytes):
        _refuse(Reason.MALFORMED, f"{name}: it has not exactly one proof of inclusion")
    proof: Any = read_cbor(listed[0], f"{name}: proof")
    if not isinstance(proof, list) or len(proof) != 3:
        _refuse(Reason.MALFORMED, f"{name}: the proof is not size, index and path")
    size, index, path = proof
    for number, what in ((size, "size"), (index, "index")):
        if type(number) is not int or not 0 <= number <= COUNT_MAX:
            _refuse(Reason.BAD_FIELD, f"{name}: the proof's {what} is no count")
    if (
        not isinstance(path, list)
        or not 1 <= len(path) <= PATH_MAX
        or not all(isinstance(node, bytes) and len(node) == HASH_BYTES for node in path)
    ):
        _refuse(Reason.BAD_PROOF, f"{name}: the path is not 1 to {PATH_MAX} hashes")
    return _Receipt(name, protected, header, size, index, tuple(path), signature)


def _check_receipt(case: Case, receipt: _Receipt, keys: Mapping[bytes, Institution]) -> Institution:
    """Return the institution that gave a receipt of the file's entry, one of those whose log keys
    have these thumbprints; raise `Rejected`."""
    (entry,), (body,) = case.entries, case.bodies
    name, header, root = receipt.name, receipt.header, case.root
    institution = keys.get(header[KEY_ID])
    if institution is None:
        _refuse(
            Reason.UNKNOWN_KEY,
            f"{name}: kid {header[KEY_ID].hex()} is of no log key of genesis",
        )
    claims = header[CWT_CLAIMS]
    expected = {
        ISSUER: format_issuer(root.origin, institution.id),
        SUBJECT: format_subject(body.tx_id.hex()),
    }
    if claims != expected:
        _refuse(
            Reason.BAD_FIELD,
            f"{name}: its claims are not issuer {expected[ISSUER]} and subject {expected[SUBJECT]}",
        )
    if receipt.index != entry.index:
        _refuse(
            Reason.BAD_PROOF,
            f"{name}: its proof is of index {receipt.index}, and the entry stands at {entry.index}",
        )
    try:
        tree = root_from_inclusion(entry.leaf, receipt.index, receipt.size, receipt.path)
    except Rejected as rejected:
        _refuse(Reason.BAD_PROOF, f"{name}: {rejected.detail}")
    message = compute_sign1_message(receipt.protected, tree)
    if not verify_signature(institution.log_key, message, receipt.signature):
        _refuse(
            Reason.BAD_SIGNATURE,
            f"{name}: the signature of {institution.id} on the root that the entry leads to does "
            "not verify",
        )
    return institution


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise Rejected(reason, detail)
