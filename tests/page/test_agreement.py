"""Two verifiers that share no line say the same of every file: step, result, reason, sentence."""

from __future__ import annotations

import copy
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import cbor2
import pytest

import verifier.post_quantum_step
from law.facts import KINDS
from ledger.disclosure import FIELDS
from ledger.evidence import (
    CASE,
    CONSISTENCY,
    DISCLOSURES,
    EQUIVOCATION,
    HISTORY,
    LIABILITIES,
    MEMBERS,
    PLATFORM,
    POST_QUANTUM,
    RECORD,
    STATE,
    TIMESTAMPS,
    TRANSACTION,
)
from ledger.transaction import sign_batch
from tests.contracts.life_world import LOCKED, paid_world
from tests.contracts.test_refunds import AS_OF
from tests.page.conftest import JavaScript
from tests.page.differential import UNCOMPARED
from tests.verifier import (
    test_custody,
    test_disclosure,
    test_file,
    test_findings,
    test_history,
    test_liabilities,
    test_log_mutations,
    test_owed,
    test_platform_statement,
    test_post_quantum,
    test_proofs,
    test_record_mutations,
    test_schedule,
    test_statement,
    test_timestamps,
    test_transaction,
)
from tests.verifier.mutating import CARD, honest, set_field
from tests.verifier.small_chain import CARD_SIGNERS, SmallChain, alter, busy_chain, forge
from tests.verifier.statements import good as good_statement
from verifier.field_words import FIELD_WORDS
from verifier.report import Report
from verifier.verify import verify_evidence

MUTATIONS: dict[str, Callable[[], Any]] = {
    f"{kind}-{name}": mutation[0]
    for kind, mutations in (
        ("disclosure", test_disclosure.MUTATIONS),
        ("file", test_file.FILES),
        ("history", test_history.MUTATIONS),
        ("log", test_log_mutations.MUTATIONS),
        ("record", test_record_mutations.MUTATIONS),
    )
    for name, mutation in mutations.items()
}

UNWRITTEN = "the page does not write that working and did not compare it"

CROWDED = re.compile(
    r"\d\.\d{3}[一-鿿]|[一-鿿] 第\d银行|） [a-z一-鿿]|[一-鿿][a-z]+\.[a-z]|[a-z]\.[a-z]+[一-鿿]"
)
"""A time or a kind with no space before or behind it, and an institution or a bracket with one."""

NOISE = 300
"""Flipped bits and exchanged pieces of each kind of file."""


def bytes_of(made: Any) -> bytes:
    return made if isinstance(made, bytes) else made.encode()


def told(report: Report) -> list[tuple[int, str, str, str, str, str, str]]:
    return [
        (
            step.number,
            step.name.zh,
            step.name.en,
            step.result.value,
            str(step.reason or ""),
            step.explanation.zh,
            step.explanation.en,
        )
        for step in report.steps
    ]


def told_by_page(report: dict[str, Any]) -> list[tuple[int, str, str, str, str, str, str]]:
    return [
        (
            step["number"],
            step["name"]["zh"],
            step["name"]["en"],
            step["result"],
            step["reason"],
            step["explanation"]["zh"],
            step["explanation"]["en"],
        )
        for step in report["steps"]
    ]


def without_working(report: dict[str, Any]) -> dict[str, Any]:
    """The page's report without what it says of a working in words, which it does not write."""
    report = copy.deepcopy(report)
    report["limits"] = [one for one in report["limits"] if UNWRITTEN not in one["en"]]
    for step in report["steps"]:
        for lang, words in UNCOMPARED.items():
            step["explanation"][lang] = step["explanation"][lang].removesuffix(words)
    return report


def agree(javascript: JavaScript, raw: bytes, chain_id: bytes) -> Report:
    """Both say the same; return the Python verifier's report."""
    ours = verify_evidence(raw, chain_id)
    page = without_working(javascript.verify(raw, chain_id))
    assert told_by_page(page) == told(ours)
    assert (page["conclusion"]["zh"], page["conclusion"]["en"]) == (
        ours.conclusion.zh,
        ours.conclusion.en,
    )
    assert page["conclusion"]["exitStatus"] == ours.exit_status
    assert [(one["zh"], one["en"]) for one in page["limits"]] == [
        (one.zh, one.en) for one in ours.limits
    ]
    assert page["sha256"] == ours.file_sha256
    for words in (*(step.explanation for step in ours.steps), *ours.limits):
        assert not CROWDED.search(words.zh), words.zh
    return ours


@pytest.mark.parametrize("name", test_platform_statement.FILES)
def test_platform_statements(name: str, javascript: JavaScript) -> None:
    made = test_platform_statement.FILES[name][0]()
    agree(javascript, made, test_platform_statement.chain()[0].chain_id)


@pytest.mark.parametrize("name", ["good", *test_post_quantum.MUTATIONS, *test_post_quantum.SIGNED])
def test_post_quantum_cosignatures_with_and_without_mldsa(
    javascript: JavaScript, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where WebCrypto has none, the page says what the verifier says where no library is."""
    if not javascript.ask("mldsa")["value"]:
        monkeypatch.setattr(verifier.post_quantum_step, "find_verify", lambda: None)
    makers = {name: made[0] for name, made in test_post_quantum.MUTATIONS.items()}
    makers |= test_post_quantum.SIGNED | {"good": test_post_quantum.good}
    agree(javascript, makers[name](), test_post_quantum.chain()[0].chain_id)


@pytest.mark.parametrize("name", test_timestamps.MUTATIONS)
def test_time_stamps_are_refused_by_both_for_the_same_reason(
    javascript: JavaScript, name: str
) -> None:
    make, number, reason, _ = test_timestamps.MUTATIONS[name]
    failed = agree(javascript, make(), test_timestamps.chain()[0].chain_id).failed
    assert failed is not None
    assert (failed.number, failed.reason) == (number, reason)


@pytest.mark.parametrize("name", test_timestamps.GOOD | test_timestamps.UNNOTICED)
def test_time_stamps_are_read_alike(javascript: JavaScript, name: str) -> None:
    raw = (test_timestamps.GOOD | test_timestamps.UNNOTICED)[name]()
    report = agree(javascript, raw, test_timestamps.chain()[0].chain_id)
    assert report.is_consistent


def good_files() -> dict[str, tuple[bytes, SmallChain]]:
    chain = busy_chain()
    grown = test_history.grown(65)
    spent = SmallChain()
    data = {"keys": [spent.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    spent.commit(spent.submit("party.register", "party/m-1", data, "bank-0"))
    spent.commit(
        spent.submit("prepaid.open", CARD, test_history.TERMS, "m-1"),
        spent.submit("prepaid.prepay", CARD, {"amount": 2**53 - 1}, "m-1"),
        spent.submit("prepaid.consume", CARD, {"amount": 1}, "m-1"),
        spent.submit("prepaid.refund", CARD, {"amount": 2**53 - 2}, "m-1"),
        spent.submit("prepaid.consume", CARD, {"amount": 1}, "m-1"),
    )
    one = SmallChain(count=1, network="one.evidence.example")
    one.commit(one.submit("prepaid.prepay", CARD, {"amount": 1}, "bank-0"))
    files = {
        "history": (chain.history("card-1", CARD_SIGNERS), chain),
        "history-of-another-card": (chain.history("card-2", ["m-1"]), chain),
        "history-never-opened": (grown.history("card-1", ["bank-0"]), grown),
        "history-of-a-card-all-spent": (spent.history("card-1", ["m-1"]), spent),
        "history-with-disclosures": (
            test_disclosure.history(
                test_disclosure.show(test_disclosure.FIRST, "name", "health"),
                test_disclosure.show(test_disclosure.SECOND, *FIELDS),
            ),
            test_disclosure.chain(),
        ),
        "history-with-a-value-like-a-field": test_disclosure.named(
            'Alice", id_number = "1\n\u202e'
        )[::-1],
        "history-of-one-institution": (one.history("card-1", ["bank-0"]), one),
        "history-with-keys-that-were-given": test_transaction.with_given_keys(),
    }
    for place, index in enumerate(chain.indices_of(CARD)):
        signers = {0: ("m-1",), 1: ("m-1",), 2: ("m-1", "bank-1"), 5: ("m-1",), 6: ("bank-2",)}
        parts = chain.transaction(index, signers.get(place, ("m-1", "c-1")))
        files[f"transaction-{place}"] = (parts.encode(), chain)
    return files


@pytest.mark.parametrize("name", good_files())
def test_good_file_is_consistent_for_both(javascript: JavaScript, name: str) -> None:
    raw, chain = good_files()[name]
    assert agree(javascript, raw, chain.chain_id).exit_status == 0


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_refused_by_both_for_the_same_reason(javascript: JavaScript, name: str) -> None:
    raw = bytes_of(MUTATIONS[name]())
    report = agree(javascript, raw, busy_chain().chain_id)
    assert report.failed is not None


@pytest.mark.parametrize("name", test_proofs.GOOD)
def test_good_proof_is_consistent_for_both(javascript: JavaScript, name: str) -> None:
    chain, raw = test_proofs.GOOD[name]()
    assert agree(javascript, raw, chain.chain_id).exit_status == 0


@pytest.mark.parametrize("kind", test_proofs.tables())
def test_spoilt_proofs_are_refused_by_both_for_the_same_reason(
    javascript: JavaScript, kind: str
) -> None:
    for name, (make, _, reason) in test_proofs.tables()[kind].items():
        chain, raw = make()
        failed = agree(javascript, raw, chain.chain_id).failed
        assert failed is not None, name
        assert failed.reason is reason, name


@pytest.mark.parametrize("name", test_custody.GOOD)
def test_what_custodians_state_is_consistent_for_both(javascript: JavaScript, name: str) -> None:
    chain, raw = test_custody.GOOD[name]()
    assert agree(javascript, raw, chain.chain_id).exit_status == 0


@pytest.mark.parametrize("name", test_custody.LIES)
def test_lies_about_custody_are_refused_by_both(javascript: JavaScript, name: str) -> None:
    make, number, reason = test_custody.LIES[name]
    chain, raw = make()
    failed = agree(javascript, raw, chain.chain_id).failed
    assert failed is not None
    assert (failed.number, failed.reason) == (number, reason)


@pytest.mark.parametrize("name", test_liabilities.MUTATIONS)
def test_liabilities_are_refused_by_both_for_the_same_reason(
    javascript: JavaScript, name: str
) -> None:
    make, number, reason = test_liabilities.MUTATIONS[name]
    report = agree(javascript, make(), test_liabilities.world().chain_id)
    assert report.failed is not None
    assert (report.failed.number, report.failed.reason) == (number, reason)


def test_liabilities_are_consistent_for_both(javascript: JavaScript) -> None:
    chain_id = test_liabilities.world().chain_id
    for raw in (test_liabilities.one(), test_liabilities.several(0, 2, 3, 6)):
        assert agree(javascript, raw, chain_id).exit_status == 0


@pytest.mark.parametrize("name", test_schedule.MUTATIONS)
def test_schedules_are_refused_by_both_for_the_same_reason(
    javascript: JavaScript, name: str
) -> None:
    make, number, reason = test_schedule.MUTATIONS[name]
    report = agree(javascript, make(), test_schedule.world().chain_id)
    assert report.failed is not None
    assert (report.failed.number, report.failed.reason) == (number, reason)


def test_a_schedule_is_consistent_for_both(javascript: JavaScript) -> None:
    report = agree(javascript, test_schedule.whole(), test_schedule.world().chain_id)
    assert report.exit_status == 0
    for places in ((), (1,), (0, 1)):
        assert agree(javascript, *test_schedule.without_papers(*places)).exit_status == 0
    made, raw = test_schedule.bearing()
    assert agree(javascript, raw, made.chain_id).exit_status == 0


def test_what_is_owed_is_the_same_but_for_the_working(javascript: JavaScript) -> None:
    raw, chain_id = test_owed.file(), test_owed.world().chain_id
    report = agree(javascript, raw, chain_id)
    assert report.exit_status == 0
    assert report.steps[12].explanation.en.startswith("Replayed: locked ")
    assert report.steps[9].explanation.en.endswith(
        ", repaid by the merchant 0.00 yuan, still owed 949.49 yuan."
    )
    assert report.steps[9].explanation.zh.endswith("，经营者已退 0.00 元，尚应退 949.49 元。")
    assert report.steps[13].explanation.en.startswith("All 2 computations are derived again; ")
    page = javascript.verify(raw, chain_id)
    for lang, words in UNCOMPARED.items():
        assert page["steps"][13]["explanation"][lang].endswith(words)
    assert UNWRITTEN in page["limits"][-1]["en"]
    assert "不撰写推算书" in page["limits"][-1]["zh"]


def test_what_is_dated_ahead_counts_as_of_its_block_in_both(javascript: JavaScript) -> None:
    made = paid_world()
    made.publish_data()
    made.done("funds.locked", LOCKED | {"occurred_at": 2**42}, "bank-0")
    made.done("refund.computed", {"as_of": AS_OF}, "c-1")
    raw = made.history("card-1", ("m-1", "c-1", "bank-0"))
    report = agree(javascript, raw, made.chain_id)
    assert report.steps[13].explanation.en.startswith("The computation is derived again; ")
    assert report.exit_status == 0


def test_the_hash_of_the_working_is_for_the_command_line(javascript: JavaScript) -> None:
    """Of liars that altered it alone the page finds nothing, and its limit says so."""
    raw = test_owed.lied("derivation", lambda value: value[::-1])()
    chain_id = test_owed.world().chain_id
    failed = verify_evidence(raw, chain_id).failed
    assert failed is not None
    assert " states derivation " in failed.explanation.en
    assert javascript.verify(raw, chain_id)["failedAt"] == 0


@pytest.mark.parametrize(
    "change",
    [
        *(*test_owed.PAPERS.values(), *test_owed.ORDERS.values()),
        *(test_owed.other_terms, test_owed.time_too_few),
    ],
    ids=lambda change: change.__name__,
)
def test_papers_that_were_not_read_are_refused_by_both(
    javascript: JavaScript, change: Callable[[dict[str, Any]], None]
) -> None:
    report = agree(javascript, test_owed.with_law(change), test_owed.world().chain_id)
    assert report.failed is not None
    assert report.failed.number == 14


def test_the_fields_have_the_same_names_on_the_page_and_on_paper(javascript: JavaScript) -> None:
    rows = javascript.ask("field_words")["value"]
    assert [(name, zh, en) for name, (zh, en) in rows] == [
        (name, FIELD_WORDS[name].zh, FIELD_WORDS[name].en) for name in FIELDS
    ]


def test_who_may_state_a_fact_is_the_same_in_the_page(javascript: JavaScript) -> None:
    rows = javascript.ask("fact_roles")["value"]
    assert {kind: tuple(roles) for kind, roles in rows} == {
        kind: held.roles for kind, held in KINDS.items()
    }


@pytest.mark.parametrize("name", test_owed.MUTATIONS)
def test_cases_are_refused_by_both_for_the_same_reason(javascript: JavaScript, name: str) -> None:
    make, number, reason = test_owed.MUTATIONS[name]
    report = agree(javascript, make(), test_owed.world().chain_id)
    assert report.failed is not None
    assert (report.failed.number, report.failed.reason) == (number, reason)


@pytest.mark.parametrize("name", test_statement.GOOD)
def test_a_transparent_statement_is_consistent_for_both(javascript: JavaScript, name: str) -> None:
    made = test_statement.GOOD[name]()
    report = agree(javascript, made.transparent(), made.chain.chain_id)
    assert report.exit_status == 0
    assert [step.number for step in report.steps[-2:]] == [23, 24]


@pytest.mark.parametrize("name", sorted(test_statement.BENT))
def test_transparent_statements_are_refused_by_both_for_the_same_reason(
    javascript: JavaScript, name: str
) -> None:
    make, number, reason, _ = test_statement.BENT[name]
    made, raw = make()
    report = agree(javascript, raw, made.chain.chain_id)
    assert report.failed is not None
    assert (report.failed.number, report.failed.reason) == (number, reason)


def test_findings_are_the_chains_for_both(javascript: JavaScript) -> None:
    chain_id = test_findings.world().chain_id
    ours = verify_evidence(test_findings.file(), chain_id)
    page = javascript.verify(test_findings.file(), chain_id)
    assert told_by_page(page)[:13] == told(ours)[:13]
    made, raw = test_findings.refused_pack()
    assert (
        told_by_page(javascript.verify(raw, made.chain_id))[9]
        == told(verify_evidence(raw, made.chain_id))[9]
    )
    for name, (make, number, reason) in test_findings.MUTATIONS.items():
        failed = agree(javascript, make(), chain_id).failed
        assert failed is not None, name
        assert (failed.number, failed.reason) == (number, reason), name


QUOTED = (
    *(True, False, None, 0, 2**53, 2**64 - 1, -(2**64), "", "x" * 300, "é'", "\"'\u202e\U0001f600"),
    *(b"", b"'", b"\0'\"\\\x7f\xff", bytes(200), b"'" * 2**20, "中" * 2**20, [], {}),
    *([1, ["a", b"b"]], {1: "a", "b'": {2: None}}, cbor2.CBORTag(7, {"k": ["é" * 200]})),
)
"""What may stand where a number or a label is expected, and is quoted in the refusal."""


def test_what_a_statement_should_not_hold_is_quoted_alike(javascript: JavaScript) -> None:
    made = good_statement()
    for value in QUOTED:
        for label in (1, 258):
            bent = made.statement.copy()
            bent.header[label] = value
            report = agree(javascript, bent.encode(), made.chain.chain_id)
            assert report.failed is not None
            assert len(report.failed.explanation.en) < 200
    for label in ("", "'é\n", "x" * 300, 2**64 - 1, -(2**64)):
        bent = made.statement.copy()
        bent.unprotected = {label: 1}
        report = agree(javascript, bent.encode(), made.chain.chain_id)
        assert report.failed is not None
        assert "has no place in it" in report.failed.explanation.en


def count_mutations() -> dict[str, int]:
    """How many of each kind of file, and of each part that a file may have, both refuse."""
    tables = test_proofs.tables()
    own = Counter(name.partition("-")[0] for name in MUTATIONS)
    records = {kind: len(tables[kind]) for kind in test_proofs.BASES}
    return records | {
        CASE: len(test_owed.MUTATIONS),
        CONSISTENCY: len(tables["consistency"]),
        DISCLOSURES: own["disclosure"],
        EQUIVOCATION: len(tables["equivocation"]),
        HISTORY: own["history"],
        LIABILITIES: len(test_liabilities.MUTATIONS),
        PLATFORM: sum(reason is not None for _, reason in test_platform_statement.FILES.values()),
        POST_QUANTUM: len(test_post_quantum.MUTATIONS),
        RECORD: sum(records.values()),
        "schedule": len(test_schedule.MUTATIONS),
        "statement": len(test_statement.BENT),
        STATE: len(tables["state"]),
        TIMESTAMPS: len(test_timestamps.MUTATIONS),
        TRANSACTION: own["log"] + own["record"],
        "unreadable": own["file"],
    }


def test_there_are_enough_mutations_of_each_kind() -> None:
    count = count_mutations()
    parts = {DISCLOSURES, PLATFORM, POST_QUANTUM, TIMESTAMPS}
    assert set(count) >= {*MEMBERS, *parts, "schedule", "statement"}
    assert {kind: number for kind, number in count.items() if number < 30} == {}


def test_rules_that_are_not_known_are_not_replayed(javascript: JavaScript) -> None:
    raw = test_history.rebodied(6, "prepaid.freeze", {}, "m-1", version=3)
    raw = test_history.edit_parties(raw, ("m-1", "c-1", "bank-1"))
    assert agree(javascript, raw, busy_chain().chain_id).exit_status == 0
    raw = test_history.forged_record(1, 2)
    assert agree(javascript, raw, busy_chain().chain_id).exit_status == 0


def test_stale_state_and_another_trusted_hash(javascript: JavaScript) -> None:
    chain_id = SmallChain().chain_id
    assert agree(javascript, test_history.stale_state(), chain_id).exit_status == 1
    report = agree(javascript, honest().encode(), bytes(32))
    assert report.failed is not None
    assert report.failed.number == 2


def test_batch_signatures(javascript: JavaScript) -> None:
    chain = SmallChain()
    data = {"keys": [chain.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    bodies = [
        chain.body("prepaid.prepay", f"contract/k-{at}", {"amount": 1}, "m-1") for at in range(3)
    ]
    chain.commit(*sign_batch(bodies, chain.chain_id, chain.key("m-1")))
    (index,) = chain.indices_of("contract/k-2")
    parts = chain.transaction(index, ["m-1"])
    assert agree(javascript, parts.encode(), chain.chain_id).exit_status == 0
    for change in (
        set_field(3, 1, 0, 2, 0, value=1),
        set_field(3, 1, 0, 2, 1, value=7),
        set_field(3, 1, 0, 2, 2, value=[bytes(32)]),
        set_field(3, 1, 0, 2, 2, 0, value=bytes(32)),
    ):
        lying = forge(chain, {index: alter(chain.leaves[index], change)})
        spoilt = lying.transaction(index, ["m-1"])
        report = agree(javascript, spoilt.encode(), chain.chain_id)
        assert report.failed is not None
        assert report.failed.number == 8


def noisy(kind: str) -> bytes:
    if kind == "transaction":
        return honest().encode()
    if kind == "statement":
        return good_statement().transparent()
    return test_history.history() if kind == "history" else test_proofs.GOOD[kind]()[1]


@pytest.mark.parametrize(
    "kind",
    [
        "transaction",
        "history",
        "consistency",
        "state",
        "omission",
        "equivocation-fork",
        "statement",
    ],
)
def test_noise_is_judged_alike(javascript: JavaScript, kind: str) -> None:
    raw = noisy(kind)
    own = good_statement().chain if kind == "statement" else busy_chain()
    chance = random.Random(f"page: noise in a {kind}")
    for _ in range(NOISE):
        spoilt = bytearray(raw)
        if chance.random() < 0.7:
            bit = chance.randrange(len(raw) * 8)
            spoilt[bit // 8] ^= 1 << bit % 8
        else:
            length = chance.randrange(1, 200)
            at, to = (chance.randrange(len(raw) - length) for _ in range(2))
            spoilt[to : to + length] = raw[at : at + length]
        if spoilt != raw:
            agree(javascript, bytes(spoilt), own.chain_id)
