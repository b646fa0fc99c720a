"""Evidence of one transaction: what an honest file says, and what a bare proof says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ledger.evidence import encode_transaction_evidence
from ledger.refusal import Reason
from ledger.tlog_proof import format_tlog_proof, parse_tlog_proof
from ledger.transaction import sign_batch, sign_transaction
from tests.verifier.mutating import CARD, SIGNERS, check, consumption, honest, line
from tests.verifier.small_chain import START_MS, Parts, SmallChain, busy_chain
from verifier.report import Result
from verifier.verify import verify_bare_proof, verify_evidence


def test_honest_file_is_consistent() -> None:
    report = verify_evidence(honest().encode(), busy_chain().chain_id)
    assert [(s.number, str(s.result)) for s in report.steps] == [
        *[(number, "ok") for number in range(1, 12)],
        (12, "not-run"),
        (13, "not-run"),
        (14, "not-run"),
        (15, "not-run"),
    ]
    assert report.exit_status == 0
    assert report.conclusion.zh == "一致"
    assert "1000.00" in report.steps[9].explanation.en
    assert report.facts["cosigned_by"] == ["bank-0", "bank-1", "bank-2", "bank-3"]
    assert report.facts["not_cosigned_by"] == []
    assert report.facts["outcome"] == "applied"
    assert report.facts["height"] == 3


def test_bound_on_time_is_the_second_smallest_of_four() -> None:
    report = verify_evidence(honest().encode(), busy_chain().chain_id)
    assert report.facts["existed_by_s"] == START_MS // 1000 + 110


def test_absent_cosigner_is_named() -> None:
    chain = busy_chain()
    parts = chain.transaction(consumption(chain), SIGNERS, chain.note(cosigners=(0, 2, 3)))
    report = verify_evidence(parts.encode(), chain.chain_id)
    assert report.is_consistent
    assert report.facts["not_cosigned_by"] == ["bank-1"]
    assert "no cosignature here of: Bank 1 (bank-1)" in report.steps[3].explanation.en
    assert report.facts["existed_by_s"] == START_MS // 1000 + 120


def test_a_cosignature_that_was_left_out_is_not_said_never_to_have_been_made() -> None:
    """Whoever hands on a file may strike a line of it, as long as a quorum is left."""
    chain = busy_chain()
    whole = chain.note()
    lines = whole.splitlines(keepends=True)
    struck = b"".join(line for line in lines if b"/bank-1 " not in line)
    assert whole.count(b"\n") - struck.count(b"\n") == 1
    parts = chain.transaction(consumption(chain), SIGNERS, struck)
    report = verify_evidence(parts.encode(), chain.chain_id)
    assert report.is_consistent
    said = report.steps[3].explanation
    assert "no cosignature here of: Bank 1 (bank-1)." in said.en
    assert "文件中未见联署：第1银行（bank-1）。" in said.zh


def test_refused_transaction_is_evidence_too() -> None:
    chain = busy_chain()
    parts = chain.transaction(chain.indices_of(CARD)[4], SIGNERS)
    report = verify_evidence(parts.encode(), chain.chain_id)
    assert report.is_consistent
    assert report.steps[9].explanation.en == (
        "Release for a delivery (prepaid.consume version 1) of 999.99 yuan: recorded as refused, "
        "because less is locked than was asked for (insufficient_locked); locked 900.50 yuan, "
        "amount 999.99 yuan."
    )
    assert report.facts["outcome"] == "insufficient_locked"


def test_batch_signature_and_later_revocation() -> None:
    chain = SmallChain(roles=("bank", "payment"))
    data = {"keys": [chain.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    bodies = [
        chain.body("prepaid.prepay", f"contract/k-{at}", {"amount": 1}, "m-1") for at in range(3)
    ]
    chain.commit(*sign_batch(bodies, chain.chain_id, chain.key("m-1")))
    chain.commit(chain.submit("party.revoke", "party/m-1", {"party": "m-1"}, "bank-0", "bank-1"))
    (index,) = chain.indices_of("contract/k-2")
    report = verify_evidence(chain.transaction(index, ["m-1"]).encode(), chain.chain_id)
    assert report.is_consistent
    assert "1 of them made over a batch" in report.steps[7].explanation.en


def with_given_keys() -> tuple[bytes, SmallChain]:
    """A record whose merchant signs with the key of its registration, with one it added itself, and
    with one that two institutions gave to it."""
    chain = SmallChain(roles=("bank", "payment"))
    names = ("m-1", "m-1 own", "m-1 given")
    keys = [chain.key(name).public_key.hex() for name in names]
    data = {"keys": keys[:1], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    for key, signers in ((keys[1], ["m-1"]), (keys[2], ["bank-1", "bank-0"])):
        added = {"party": "m-1", "public_key": key}
        chain.commit(chain.submit("party.add_key", "party/m-1", added, *signers))
    bodies = [chain.body("prepaid.prepay", "contract/k", {"amount": 1}, "m-1") for _ in names]
    for body, name in zip(bodies, names, strict=True):
        chain.commit(sign_transaction(body, chain.chain_id, [chain.key(name)]))
    return chain.history("k", ["m-1"]), chain


def test_whose_word_a_key_rests_on_is_said() -> None:
    raw, chain = with_given_keys()
    own, given = [chain.key(name).public_key.hex() for name in ("m-1 own", "m-1 given")]
    step = verify_evidence(raw, chain.chain_id).steps[8]
    assert step.result is Result.OK
    assert step.explanation.en == (
        "Every key was valid when it signed. m-1 (merchant), registered by bank-0 at height 1, its "
        f"key {own} added by itself, valid from height 3, key {given} given to it by bank-1 and "
        "bank-0 without its own signature, valid from height 4."
    )
    assert step.explanation.zh == (
        f"签名时密钥均有效。m-1（经营者），由 bank-0 于高度 1 登记，其密钥 {own} 由其自行增加，"
        f"自高度 3 起有效，密钥 {given} 由 bank-1、bank-0 为其登记，未经其本人签名，自高度 4 起"
        "有效。"
    )


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7])
def test_quorum_of_other_sizes(count: int) -> None:
    chain = SmallChain(count)
    data = {"keys": ["ab" * 32], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    quorum = (count + (count - 1) // 3) // 2 + 1
    for cosigners, step in ((quorum, None), (quorum - 1, 4)):
        note = chain.note(cosigners=range(cosigners)) if cosigners else chain.note(cosigners=())
        parts = chain.transaction(chain.indices_of("party/m-1")[0], ["bank-0"], note)
        header = chain.headers[1]
        enough = replace(parts, certificate=chain.certificate(header, range(quorum)))
        report = verify_evidence(enough.encode(), chain.chain_id)
        assert (report.failed.number if report.failed else None) == step
        if step is None:
            short = replace(parts, certificate=chain.certificate(header, range(quorum - 1)))
            failed = verify_evidence(short.encode(), chain.chain_id).failed
            assert failed is not None
            assert (failed.number, failed.reason) == (11, Reason.NO_QUORUM)


def test_trusted_hash_decides_not_the_file() -> None:
    """A whole honest chain of somebody else is consistent only for who trusts its genesis."""
    chain = SmallChain(network="other.evidence.example")
    chain.commit(
        chain.submit(
            "party.register",
            "party/m-1",
            {"keys": ["ab" * 32], "party": "m-1", "role": "merchant"},
            "bank-0",
        )
    )
    raw = chain.transaction(chain.indices_of("party/m-1")[0], ["bank-0"]).encode()
    assert verify_evidence(raw, chain.chain_id).is_consistent
    check(raw, 2, Reason.WRONG_CHAIN, "trusted is")


def test_bare_proof() -> None:
    chain = busy_chain()
    parts = honest()
    report = verify_bare_proof(parts.genesis, parts.entry, parts.proof, chain.chain_id)
    assert report.is_consistent
    assert [s.number for s in report.steps if s.result is Result.NOT_RUN] == [
        5, 9, 11, 12, 13, 14, 15,
    ]  # fmt: skip
    assert any("whose keys signed" in limit.en for limit in report.limits)


def test_bare_proof_follows_c2sp_about_unknown_keys_and_extra_data() -> None:
    """C2SP tlog-proof: unknown keys are ignored and extra data means nothing."""
    chain = busy_chain()
    foreign = line(chain.note(), 4).replace(b"/bank-3 ", b"/witness ")
    parsed = parse_tlog_proof(honest().proof)
    proof = replace(parsed, checkpoint=parsed.checkpoint + foreign, extra=b"page 3")
    report = verify_bare_proof(
        honest().genesis, honest().entry, format_tlog_proof(proof), chain.chain_id
    )
    assert report.is_consistent


@pytest.mark.parametrize(
    ("entry", "proof", "step"),
    [
        (lambda p: p.entry[:-1], lambda p: p.proof, 6),
        (lambda p: p.header, lambda p: p.header_proof, 6),
        (lambda p: p.entry, lambda p: p.header_proof, 6),
        (lambda p: p.entry, lambda p: b"", 4),
    ],
)
def test_bare_proof_refused(
    entry: Callable[[Parts], bytes], proof: Callable[[Parts], bytes], step: int
) -> None:
    parts = honest()
    report = verify_bare_proof(parts.genesis, entry(parts), proof(parts), busy_chain().chain_id)
    assert report.failed is not None
    assert report.failed.number == step


def test_builder_sorts_parties_and_keeps_each_once() -> None:
    parts = honest()
    shuffled = replace(parts, parties=(*reversed(parts.parties), *parts.parties))
    assert encode_transaction_evidence(**vars(shuffled)) == parts.encode()
