"""Steps 2 to 6 of a transaction: genesis, checkpoint, headers and the entry's place."""

from __future__ import annotations

import base64

import pytest

from ledger.merkle import compute_root, leaf_hash
from ledger.refusal import Reason
from tests.verifier.mutating import (
    CARD,
    Mutation,
    at_index,
    check,
    doubled,
    forged_entry,
    forged_header,
    forged_header_leaf,
    genesis_edit,
    honest,
    note_edit,
    note_of,
    other_chain,
    own_lines_on_foreign_cosigners,
    path_of,
    proof_edit,
    set_field,
    swapped,
    time_zero,
)
from tests.verifier.small_chain import START_MS, alter, busy_chain, forge

MUTATIONS: dict[str, Mutation] = {
    # 2: genesis
    "genesis-one-byte": (
        lambda: genesis_edit(lambda raw: raw.replace(b"Bank 1", b"Bank 7")),
        2,
        Reason.WRONG_CHAIN,
        "trusted is",
    ),
    "genesis-of-another-chain": (
        lambda: honest(genesis=other_chain().genesis.raw),
        2,
        Reason.WRONG_CHAIN,
        "trusted is",
    ),
    "genesis-empty": (lambda: honest(genesis=b""), 2, Reason.WRONG_CHAIN, "trusted is"),
    "genesis-trailing-byte": (
        lambda: genesis_edit(lambda raw: raw + b"\n"),
        2,
        Reason.WRONG_CHAIN,
        "trusted is",
    ),
    # 4: checkpoint
    "two-of-four-cosigned": (
        lambda: note_of(cosigners=(1, 3)),
        4,
        Reason.NO_QUORUM,
        "(Bank 1 (bank-1), Bank 3 (bank-3)), and a quorum is 3; not: Bank 0 (bank-0), Bank 2 (",
    ),
    "nobody-cosigned": (lambda: note_of(cosigners=()), 4, Reason.NO_QUORUM, "Only 0"),
    "same-cosigner-twice": (
        lambda: note_of(cosigners=(0, 1, 1)),
        4,
        Reason.DUPLICATE,
        "/bank-1",
    ),
    "log-line-twice": (
        lambda: note_of(log_signers=(0, 0)),
        4,
        Reason.DUPLICATE,
        "twice",
    ),
    "log-did-not-sign": (
        lambda: note_of(log_signers=()),
        4,
        Reason.BAD_SIGNATURE,
        "none of the 4 known keys",
    ),
    "unknown-cosigner": (
        lambda: note_edit(b"/bank-3 ", b"/bank-9 "),
        4,
        Reason.UNKNOWN_KEY,
        "/bank-9",
    ),
    "line-under-anothers-name": (
        lambda: note_edit(b"/bank-3 ", b"/bank-2 "),
        4,
        Reason.UNKNOWN_KEY,
        "/bank-2",
    ),
    "cosigners-of-another-network": (
        own_lines_on_foreign_cosigners,
        4,
        Reason.UNKNOWN_KEY,
        "line of an unknown key",
    ),
    "checkpoint-of-another-log": (
        lambda: note_of(origin="other.evidence.example/0123456789abcdef"),
        4,
        Reason.WRONG_CHAIN,
        "is of log other.evidence.example/0123456789abcdef",
    ),
    "size-swapped": (
        lambda: note_edit(b"\n18\n", b"\n19\n"),
        4,
        Reason.BAD_SIGNATURE,
        "is wrong",
    ),
    "size-with-zero": (
        lambda: note_edit(b"\n18\n", b"\n018\n"),
        4,
        Reason.MALFORMED,
        "'018' is not a tree size",
    ),
    "extension-line": (
        lambda: note_edit(b"\n\n", b"\nextension\n\n"),
        4,
        Reason.MALFORMED,
        "lines instead of",
    ),
    "root-of-another-tree": (
        lambda: note_edit(
            base64.b64encode(compute_root([leaf_hash(leaf) for leaf in busy_chain().leaves])),
            base64.b64encode(bytes(32)),
        ),
        4,
        Reason.BAD_SIGNATURE,
        "is wrong",
    ),
    "time-zero": (
        time_zero,
        4,
        Reason.BAD_SIGNATURE,
        "/bank-3 (",
    ),
    "proofs-of-two-checkpoints": (
        lambda: honest(proof=busy_chain().proof(11, busy_chain().note(time_s=START_MS))),
        4,
        Reason.BAD_PROOF,
        "different checkpoints",
    ),
    "extra-line": (
        lambda: proof_edit("proof", extra=b"page 3"),
        4,
        Reason.MALFORMED,
        "extra line",
    ),
    "proof-empty": (lambda: honest(header_proof=b""), 4, Reason.MALFORMED, "no checkpoint"),
    "proof-crlf": (
        lambda: honest(proof=honest().proof.replace(b"\n", b"\r\n")),
        4,
        Reason.MALFORMED,
        "no checkpoint after an empty line",
    ),
    # 5: header
    "header-of-another-block": (
        lambda: honest(header=busy_chain().leaves[busy_chain().headers[2].index]),
        5,
        Reason.BAD_PROOF,
        "says it stands at index 8, its proof says 12",
    ),
    "header-is-a-transaction": (
        lambda: honest(header=honest().entry),
        5,
        Reason.BAD_FIELD,
        "it is a transaction entry, not a header",
    ),
    "header-altered": (
        lambda: honest(header=alter(honest().header, set_field(3, 4, value=START_MS))),
        5,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "header-version": (
        lambda: honest(header=alter(honest().header, set_field(3, 0, value=2))),
        5,
        Reason.BAD_FIELD,
        "version: 2 is not between 1 and 1",
    ),
    "header-boolean-for-integer": (
        lambda: honest(header=alter(honest().header, set_field(3, 0, value=True))),
        5,
        Reason.MALFORMED,
        "an integer is expected, not bool",
    ),
    "header-height-lies": (
        lambda: honest(header=alter(honest().header, set_field(1, value=4))),
        5,
        Reason.BAD_FIELD,
        "height 4, but its header says",
    ),
    "header-trailing-byte": (
        lambda: doubled(honest(), "header"),
        5,
        Reason.MALFORMED,
        "bytes are not MessagePack",
    ),
    "header-proof-shifted": (
        lambda: proof_edit("header_proof", index=13),
        5,
        Reason.BAD_PROOF,
        "its proof says 13",
    ),
    "header-path-cut": (
        lambda: proof_edit("header_proof", path=path_of("header_proof")[:-1]),
        5,
        Reason.BAD_PROOF,
        "too few",
    ),
    "header-path-longer": (
        lambda: proof_edit("header_proof", path=(*path_of("header_proof"), bytes(32))),
        5,
        Reason.BAD_PROOF,
        "too many",
    ),
    "header-path-swapped": (
        lambda: proof_edit("header_proof", path=swapped(path_of("header_proof"))),
        5,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "header-path-none": (
        lambda: proof_edit("header_proof", path=()),
        5,
        Reason.BAD_PROOF,
        "too few",
    ),
    "header-of-another-chain": (
        lambda: forged_header(chain_id=bytes(32)),
        5,
        Reason.WRONG_CHAIN,
        "of chain 0000",
    ),
    "header-of-another-set": (
        lambda: forged_header(validators_hash=bytes(32)),
        5,
        Reason.ROOT_MISMATCH,
        "is not that of genesis",
    ),
    "header-of-an-unknown-proposer": (
        lambda: honest(
            forge(
                busy_chain(),
                {12: alter(busy_chain().leaves[12], set_field(3, 5, value=9))},
            )
        ),
        5,
        Reason.NOT_A_VALIDATOR,
        "Proposer 9 is not one of 4",
    ),
    "header-of-another-version": (
        lambda: forged_header_leaf(set_field(3, 0, value=2)),
        5,
        Reason.BAD_FIELD,
        "state header: version",
    ),
    "header-with-a-map": (
        lambda: forged_header_leaf(set_field(3, value={"a": 1})),
        5,
        Reason.MALFORMED,
        "a dict has no place in it",
    ),
    "header-with-a-float": (
        lambda: forged_header_leaf(set_field(3, 4, value=1.5)),
        5,
        Reason.MALFORMED,
        "a float has no place in it",
    ),
    # 6: entry
    "entry-of-another-block": (
        lambda: at_index(busy_chain().indices_of(CARD)[1]),
        6,
        Reason.WRONG_HEIGHT,
        "the block of height 3 holds [9, 12)",
    ),
    "entry-replaced": (
        lambda: honest(entry=busy_chain().leaves[9]),
        6,
        Reason.BAD_PROOF,
        "says it stands at index 9, its proof says 11",
    ),
    "entry-replaced-index-kept": (
        lambda: honest(entry=alter(busy_chain().leaves[9], set_field(0, value=11))),
        6,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "entry-is-a-header": (
        lambda: honest(entry=honest().header),
        6,
        Reason.BAD_FIELD,
        "it is a header entry",
    ),
    "entry-is-genesis": (lambda: at_index(0), 6, Reason.BAD_FIELD, "it is a genesis entry"),
    "entry-outcome-altered": (
        lambda: honest(entry=alter(honest().entry, set_field(4, 2, 0, 1, value=5))),
        6,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "entry-outcome-refused-without-code": (
        lambda: honest(entry=alter(honest().entry, set_field(4, 0, value=True))),
        6,
        Reason.BAD_FIELD,
        "refused is True, but its code is ''",
    ),
    "entry-signature-dropped": (
        lambda: honest(entry=alter(honest().entry, lambda f: f[3][1].pop())),
        6,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "entry-without-signatures": (
        lambda: honest(entry=alter(honest().entry, set_field(3, 1, value=[]))),
        6,
        Reason.SIGNATURE_COUNT,
        "0 signatures",
    ),
    "entry-longer": (
        lambda: honest(entry=alter(honest().entry, lambda f: f.append(0))),
        6,
        Reason.MALFORMED,
        "6 elements; 5 are expected",
    ),
    "entry-second-spelling": (
        lambda: honest(entry=honest().entry.replace(b"\x95\x0b", b"\x95\xcc\x0b", 1)),
        6,
        Reason.NOT_CANONICAL,
        "not the one encoding",
    ),
    "entry-extension-type": (
        lambda: honest(entry=b"\x95\x0b\x03\x01\xd4\x05\x00\xc0"),
        6,
        Reason.MALFORMED,
        "bytes are not MessagePack",
    ),
    "entry-empty": (lambda: honest(entry=b""), 6, Reason.MALFORMED, "bytes are not MessagePack"),
    "entry-too-large": (
        lambda: honest(entry=bytes(65_536)),
        6,
        Reason.TOO_LARGE,
        "65536 bytes; at most 65535",
    ),
    "entry-index-shifted": (
        lambda: proof_edit("proof", index=10),
        6,
        Reason.BAD_PROOF,
        "its proof says 10",
    ),
    "entry-path-cut": (
        lambda: proof_edit("proof", path=path_of("proof")[1:]),
        6,
        Reason.BAD_PROOF,
        "too few",
    ),
    "entry-path-of-another": (
        lambda: proof_edit("proof", path=path_of("header_proof")),
        6,
        Reason.BAD_PROOF,
        "",
    ),
    "entry-height-lies": (
        lambda: forged_entry(set_field(1, value=4)),
        6,
        Reason.WRONG_HEIGHT,
        "is of height 4 at index 11",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_refused(name: str) -> None:
    make, step, reason, says = MUTATIONS[name]
    check(make().encode(), step, reason, says)
