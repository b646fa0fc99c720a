"""Steps 7 to 11 of a transaction: body, signatures, keys, outcome and commit certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.refusal import Reason
from ledger.votes import PREPARE
from tests.verifier.mutating import (
    CARD,
    SIGNERS,
    Mutation,
    absent_proof,
    alter_signatures,
    body_text,
    certificate,
    certificate_bytes,
    check,
    doubled,
    flip,
    forged_body,
    forged_entry,
    forged_header,
    forged_party,
    honest,
    other_chain,
    other_party,
    resigned,
    set_field,
    state_of,
)
from tests.verifier.small_chain import MONTH_MS, START_MS, alter, busy_chain, forge

NO_MONEY = [["paid", 100_000], ["locked", 1], ["released", 9_950], ["refunded", 0]]
ELSE_MONEY = [["paid", 100_000], ["locked", "x"], ["released", 9_950], ["refunded", 0]]

MUTATIONS: dict[str, Mutation] = {
    # 7: body
    "body-with-a-space": (
        lambda: forged_body(body_text('"kind":', '"kind": ')),
        7,
        Reason.NOT_CANONICAL,
        "body: a value is expected",
    ),
    "body-not-sorted": (
        lambda: forged_body(body_text('{"data"', '{"kind":"x","data"')),
        7,
        Reason.NOT_CANONICAL,
        "'data' at byte 12 is not in order",
    ),
    "body-member-twice": (
        lambda: forged_body(body_text('"version":1', '"version":1,"version":1')),
        7,
        Reason.NOT_CANONICAL,
        "stands twice",
    ),
    "body-with-a-float": (
        lambda: forged_body(body_text('"amount":9950', '"amount":99.5')),
        7,
        Reason.NOT_INTEGER,
        "money is whole fen",
    ),
    "body-not-normalised": (
        lambda: forged_body(body_text('"R-8"', '"Re\u0301-8"')),
        7,
        Reason.NOT_CANONICAL,
        "Normalization Form C",
    ),
    "body-with-another-member": (
        lambda: forged_body(body_text('"kind"', '"ghost":1,"kind"')),
        7,
        Reason.BAD_FIELD,
        "unknown: 'ghost'",
    ),
    "body-signer-twice": (
        lambda: forged_body(body_text('["m-1","c-1"]', '["m-1","m-1"]'), "m-1", "m-1"),
        7,
        Reason.BAD_FIELD,
        "names a party twice",
    ),
    "body-salt-short": (
        lambda: forged_body(body_text('"salt":"salt0000', '"salt":"')),
        7,
        Reason.BAD_FIELD,
        "salt: ",
    ),
    "signature-missing": (
        lambda: forged_entry(lambda f: f[3][1].pop()),
        7,
        Reason.SIGNATURE_COUNT,
        "1 signatures, but the body names 2 signers: m-1, c-1",
    ),
    "signature-added": (
        lambda: forged_entry(lambda f: f[3][1].append(f[3][1][0])),
        7,
        Reason.SIGNATURE_COUNT,
        "3 signatures",
    ),
    "body-too-late": (
        lambda: forged_body(busy_chain().body("attest", CARD, {}, *SIGNERS, not_after=START_MS)),
        7,
        Reason.STALE,
        "does not lie within 600000 ms",
    ),
    "body-too-far-ahead": (
        lambda: forged_body(
            busy_chain().body("attest", CARD, {}, *SIGNERS, not_after=START_MS + MONTH_MS)
        ),
        7,
        Reason.TOO_FAR_AHEAD,
        "does not lie within",
    ),
    # 8: signatures
    "signatures-swapped": (
        lambda: forged_entry(lambda f: f[3][1].reverse()),
        9,
        Reason.UNKNOWN_KEY,
        "was never a key of party m-1",
    ),
    "signature-of-another-body": (
        lambda: resigned(
            lambda e, c: e.__setitem__(1, alter_signatures(c.signed(b"other", *SIGNERS)))
        ),
        8,
        Reason.BAD_SIGNATURE,
        "the signature of m-1",
    ),
    "signature-of-another-chain": (
        lambda: resigned(
            lambda e, c: e.__setitem__(1, alter_signatures(other_chain().signed(e[0], *SIGNERS)))
        ),
        8,
        Reason.BAD_SIGNATURE,
        "does not verify",
    ),
    "signature-one-bit": (
        lambda: forged_entry(lambda f: f[3][1][1].__setitem__(1, flip(f[3][1][1][1]))),
        8,
        Reason.BAD_SIGNATURE,
        "the signature of c-1",
    ),
    "key-of-another": (
        lambda: forged_entry(lambda f: f[3][1][0].__setitem__(0, f[3][1][1][0])),
        8,
        Reason.BAD_SIGNATURE,
        "the signature of m-1",
    ),
    "individual-as-batch": (
        lambda: forged_entry(set_field(3, 1, 0, 2, value=[0, 1, []])),
        8,
        Reason.BAD_SIGNATURE,
        "the signature of m-1",
    ),
    "batch-path-too-long": (
        lambda: forged_entry(set_field(3, 1, 0, 2, value=[0, 1, [bytes(32)]])),
        8,
        Reason.BAD_BATCH_PATH,
        "too many",
    ),
    "batch-index-outside": (
        lambda: forged_entry(set_field(3, 1, 0, 2, value=[2, 2, []])),
        8,
        Reason.BAD_BATCH_PATH,
        "leaf 2 is not in a tree of size 2",
    ),
    # 9: parties
    "party-dropped": (
        lambda: honest(parties=honest().parties[1:]),
        9,
        Reason.UNKNOWN_PARTY,
        "holds the parties party/m-1; the signers are party/c-1, party/m-1",
    ),
    "parties-none": (lambda: honest(parties=()), 9, Reason.UNKNOWN_PARTY, "holds the parties none"),
    "party-added": (
        lambda: honest(parties=(busy_chain().proven("party/bank-1"), *honest().parties)),
        9,
        Reason.UNKNOWN_PARTY,
        "party/bank-1",
    ),
    "party-renamed": (
        lambda: honest(
            parties=(replace(honest().parties[0], stream="party/x-1"), honest().parties[1])
        ),
        9,
        Reason.UNKNOWN_PARTY,
        "party/x-1",
    ),
    "party-value-of-another": (
        lambda: other_party("value"),
        9,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "party-proof-of-another": (
        lambda: other_party("proof"),
        9,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "party-proof-of-absence": (
        lambda: honest(
            parties=(honest().parties[0], absent_proof(busy_chain())),
        ),
        9,
        Reason.BAD_PROOF,
        "claimed present beside another leaf",
    ),
    "party-value-trailing-byte": (
        lambda: honest(
            parties=(
                honest().parties[0],
                replace(honest().parties[1], value=honest().parties[1].value + b"\0"),
            )
        ),
        9,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "state-before-the-entry": (
        lambda: state_of(2),
        9,
        Reason.WRONG_HEIGHT,
        "are of height 2, before the entry's 3",
    ),
    "state-of-another-height": (lambda: state_of(0), 9, Reason.WRONG_HEIGHT, "height 0"),
    "state-root-lies": (
        lambda: forged_header(state_root=bytes(32)),
        9,
        Reason.BAD_PROOF,
        "leads to root",
    ),
    "party-revoked": (
        lambda: forged_party(revoked_height=3),
        9,
        Reason.KEY_NOT_VALID,
        "m-1 is revoked from height 3; the entry is of height 3",
    ),
    "key-not-yet-valid": (
        lambda: forged_party(keys=[[busy_chain().key("m-1").public_key, 4, 0, ["bank-0"]]]),
        9,
        Reason.KEY_NOT_VALID,
        "valid for heights [4, open)",
    ),
    "key-no-longer-valid": (
        lambda: forged_party(keys=[[busy_chain().key("m-1").public_key, 2, 3, ["bank-0"]]]),
        9,
        Reason.KEY_NOT_VALID,
        "valid for heights [2, 3)",
    ),
    "key-never-held": (
        lambda: forged_party(keys=[[busy_chain().key("c-1").public_key, 2, 0, ["bank-0"]]]),
        9,
        Reason.UNKNOWN_KEY,
        "was never a key of party m-1",
    ),
    "record-of-another-party": (
        lambda: forged_party(party="m-2"),
        9,
        Reason.BAD_FIELD,
        "The record under party/m-1 is of m-2",
    ),
    "record-is-no-party": (
        lambda: forged_party(tag="prepaid"),
        9,
        Reason.BAD_FIELD,
        "the state holds no party here",
    ),
    "record-without-keys": (lambda: forged_party(keys=[]), 9, Reason.BAD_FIELD, "0 keys"),
    "record-nil": (
        lambda: honest(forge(busy_chain(), records={"party/m-1": None})),
        9,
        Reason.BAD_FIELD,
        "the state holds no party here",
    ),
    # 10: outcome
    "money-does-not-add-up": (
        lambda: forged_entry(set_field(4, 2, value=NO_MONEY)),
        10,
        Reason.BAD_FIELD,
        "paid 100000, locked 1, released 9950, refunded 0 (fen)",
    ),
    "money-is-text": (
        lambda: forged_entry(set_field(4, 2, value=ELSE_MONEY)),
        10,
        Reason.BAD_FIELD,
        "do not add up",
    ),
    # 11: certificate
    "certificate-of-another-block": (
        lambda: honest(certificate=busy_chain().certificate(busy_chain().headers[4])),
        11,
        Reason.ROOT_MISMATCH,
        "at height 4, not of",
    ),
    "certificate-of-two": (
        lambda: certificate(replicas=(0, 3)),
        11,
        Reason.NO_QUORUM,
        "has 2 commits, and a quorum is 3",
    ),
    "certificate-of-none": (
        lambda: certificate(replicas=()),
        11,
        Reason.NO_QUORUM,
        "has 0 commits",
    ),
    "certificate-same-replica-twice": (
        lambda: certificate(replicas=(0, 1, 1)),
        11,
        Reason.NOT_CANONICAL,
        "[0, 1, 1] are not ascending, or one stands twice",
    ),
    "certificate-not-ascending": (
        lambda: certificate(replicas=(1, 0, 2)),
        11,
        Reason.NOT_CANONICAL,
        "[1, 0, 2]",
    ),
    "certificate-unknown-replica": (
        lambda: certificate(replicas=(0, 1, 4)),
        11,
        Reason.NOT_A_VALIDATOR,
        "there are 0 to 3",
    ),
    "certificate-mixed-views": (
        lambda: certificate(view=1, signed_views=(1, 0, 1)),
        11,
        Reason.BAD_SIGNATURE,
        "The commit of Bank 1 (bank-1) in view 1 does not verify",
    ),
    "certificate-one-wrong-of-four": (
        lambda: certificate(replicas=(0, 1, 2, 3), signed_views=(0, 0, 0, 1)),
        11,
        Reason.BAD_SIGNATURE,
        "Bank 3 (bank-3)",
    ),
    "certificate-of-prepares": (
        lambda: certificate(phase=PREPARE),
        11,
        Reason.BAD_SIGNATURE,
        "does not verify",
    ),
    "certificate-of-another-chain": (
        lambda: certificate(chain_id=bytes(32)),
        11,
        Reason.BAD_SIGNATURE,
        "does not verify",
    ),
    "certificate-view-moved": (
        lambda: certificate_bytes(lambda raw: alter(raw, set_field(1, value=7))),
        11,
        Reason.BAD_SIGNATURE,
        "in view 7",
    ),
    "certificate-view-huge": (
        lambda: certificate_bytes(lambda raw: alter(raw, set_field(1, value=2**40))),
        11,
        Reason.BAD_FIELD,
        "is not between 0 and 1000000",
    ),
    "certificate-height-moved": (
        lambda: certificate_bytes(lambda raw: alter(raw, set_field(0, value=4))),
        11,
        Reason.ROOT_MISMATCH,
        "at height 4",
    ),
    "certificate-trailing-byte": (
        lambda: doubled(honest(), "certificate"),
        11,
        Reason.MALFORMED,
        "bytes are not MessagePack",
    ),
    "certificate-second-spelling": (
        lambda: certificate_bytes(lambda raw: raw[:1] + b"\xcc" + raw[1:]),
        11,
        Reason.NOT_CANONICAL,
        "not the one encoding",
    ),
    "certificate-empty": (
        lambda: honest(certificate=b""),
        11,
        Reason.MALFORMED,
        "bytes are not MessagePack",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_refused(name: str) -> None:
    make, step, reason, says = MUTATIONS[name]
    check(make().encode(), step, reason, says)
