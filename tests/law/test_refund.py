"""The refund engine at its edges, and that it is pure: no clock, no float, nothing but Python."""

from __future__ import annotations

import ast
import copy
import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from law.canonical import decode, encode
from law.derivation import Considered, Derivation, Figures, Interest, Payment, Working
from law.facts import read_facts
from law.published import read_published
from law.refund import derive
from law.refusal import Code, Refused
from law.terms import read_terms
from tests.law.case_language import Case, instant, parse_case
from tests.law.life_checks import check_agreement, run_engine
from tests.law.random_lives import make_life
from tests.law.test_cases import PUBLISHED

ROOT = Path(__file__).parents[2]
TWENTY = "units lesson 20 for 2000; paid 2000 2025-06-03; took 8 lesson 2025-07-10"
DISCOUNTED = TWENTY.replace("2000;", "2000 list 150;", 1)


def case(text: str) -> Case:
    return parse_case(text, PUBLISHED)


def principals(derivation: Derivation) -> list[tuple[str, str, tuple[Any, ...], int | None]]:
    return [(r.route, r.cause, r.assumptions, r.figures.principal) for r in derivation.results]


def test_a_contract_that_has_not_ended_is_told_as_if_it_ended_today() -> None:
    derivation = run_engine(case(f"{TWENTY}; cause merchant; as of 2025-08-01"))
    assumed = (("ended_by", "assumed"),)
    assert principals(derivation) == [("termination", "merchant", assumed, 120_000)]
    assert [one.fen for one in derivation.results[0].figures.interest] == [0]


def test_who_asked_too_late_loses_nothing_by_asking() -> None:
    """Art. 14 gives a right beside the others: that it is not given takes none of them away."""
    text = "units lesson 20 for 2000 list 150; paid 2000 2025-06-03; took 8 lesson 2025-06-05"
    silent = run_engine(case(f"{text}; as of 2025-07-01"))
    late = run_engine(case(f"{text}; cooling-off 2025-06-20; as of 2025-07-01"))
    assert principals(late) == [("cooling_off", "any", (), 0), *principals(silent)]
    assert [fen for *_, fen in principals(silent)] == [120_000, 120_000, 80_000]
    ended = run_engine(case(f"{text}; cooling-off 2025-06-20; notice 2025-06-21"))
    assert {r.route for r in ended.results} == {"cooling_off", "termination"}
    invalid = run_engine(case(f"{text}; cooling-off 2025-06-20; invalid void 2025-06-21"))
    assert {r.route for r in invalid.results} == {"cooling_off", "invalidity"}


@pytest.mark.parametrize("role", ["merchant", "platform", "consumer", "both"])
def test_silence_withdraws_no_objection(role: str) -> None:
    given = case("units lesson 20 for 2000; paid 2000 2025-06-03; notice 2025-08-01; "
                 "took 3 lesson 2025-07-10 objected")  # fmt: skip
    before = run_engine(given)
    objection = given.facts[-1]
    data = {"answer": "silence", "of": objection["data"]["of"]}
    silent = {"at": objection["at"] + 1, "data": data, "position": 99, "role": role}
    given.facts.append(objection | silent)
    after = run_engine(given)
    assert principals(after) == principals(before)
    assert {fen for *_, fen in principals(after)} == {170_000, 200_000}
    check_agreement(given, after)


def state(given: Case, kind: str, data: Any, role: str, day: str = "2025-08-20") -> int:
    """Add a fact that was recorded when it was said; return its position."""
    position = max(fact["position"] for fact in given.facts) + 1
    at = instant(day, "12:00")
    given.facts.append(
        {"at": at, "author": role, "data": data, "kind": kind, "position": position,
         "recorded": at, "role": role}
    )  # fmt: skip
    return position


def issuer_holds_the_claim(
    assigned: str = "2025-08-05", amount: int = 120_000, paid_on: str = "2025-08-10"
) -> Case:
    """The city issued a voucher, was assigned the consumer's claim, and was paid everything."""
    given = case(
        "units lesson 20 for 2000; voucher pro_rata; paid 1400 2025-06-03 voucher 600 city; took 8 "
        f"lesson 2025-07-10; notice 2025-08-01; assigned city {assigned}; cause merchant; "
        "as of 2025-10-10"
    )
    paid = {"amount": amount, "payee": "city", "source": "merchant"}
    state(given, "refund.paid", paid, "custodian", paid_on)
    return given


def test_what_an_issuer_who_holds_the_claim_was_paid_bears_no_more_interest() -> None:
    derivation = run_engine(issuer_holds_the_claim())
    check_agreement(issuer_holds_the_claim(), derivation)
    (result,) = derivation.results
    assert [payee.payee for payee in derivation.payees] == ["city"]
    # 840 × 3/100 × 9/365 ≈ 0.62; what is paid beyond it is the issuer's own share.
    assert result.figures.interest == (Interest("lpr_1y", 62, 0),)


@pytest.mark.parametrize(
    ("assigned", "interest"),
    [
        # 840 × 3/100 × 70/365 ≈ 4.83: its own share was paid while it held no other.
        ("2025-08-05", Interest("lpr_1y", 483, 84_483)),
        # 840 × 3/100 × 2/365 + (840 + 0.138… − 360) × 3/100 × 68/365 ≈ 2.82
        ("2025-08-03", Interest("lpr_1y", 282, 48_282)),
    ],
)
def test_what_an_issuer_was_paid_before_it_held_the_claim_was_its_own_share(
    assigned: str, interest: Interest
) -> None:
    """A merchant who had paid the issuer its share owed less interest on the consumer's."""
    given = issuer_holds_the_claim(assigned, 36_000, "2025-08-03")
    derivation = run_engine(given)
    check_agreement(given, derivation)
    assert derivation.results[0].figures.interest == (interest,)


def test_an_issuer_who_signs_as_the_consumer_says_against_itself_that_it_was_paid() -> None:
    given = issuer_holds_the_claim()
    given.facts[-1]["role"] = "consumer"
    derivation = run_engine(given)
    check_agreement(given, derivation)
    assert derivation.returned == (0, 120_000)
    assert "refund_claimed" not in {told.what for told in derivation.told}


def found_causes(given: Case) -> set[str]:
    derivation = run_engine(given)
    check_agreement(given, derivation)
    return {result.cause for result in derivation.results}


def test_what_a_court_found_no_regulator_finds_otherwise() -> None:
    """An authority that regulates does not undo a judgment, an award or what both sides agreed."""
    for first in ("court", "arbitrator", "both"):
        given = case(f"{TWENTY}; notice 2025-08-01")
        state(given, "cause.stated", {"cause": "merchant", "standing": "finding"}, first)
        state(given, "cause.stated", {"cause": "consumer", "standing": "finding"}, "regulator")
        assert found_causes(given) == {"merchant"}
    given = case(f"{TWENTY}; notice 2025-08-01")
    state(given, "cause.stated", {"cause": "consumer", "standing": "finding"}, "regulator")
    assert found_causes(given) == {"consumer"}
    state(given, "cause.stated", {"cause": "merchant", "standing": "finding"}, "court")
    assert found_causes(given) == {"merchant"}


def find_principals(standing: str, *stated: tuple[int, str]) -> set[int | None]:
    """Return what is owed by a consumer's cause with market prices stated so, (price, by whom)."""
    given = case(f"{DISCOUNTED}; notice 2025-08-01; cause consumer; disputes price")
    for price, role in stated:
        data = {"item": "lesson", "price": price, "standing": standing}
        state(given, "market_price.stated", data, role)
    derivation = run_engine(given)
    check_agreement(given, derivation)
    return {fen for *_, fen in principals(derivation)}


def test_a_market_price_that_a_court_found_stands_against_a_regulators() -> None:
    found = find_principals("finding", (11_000, "court"), (15_000, "regulator"))
    assert found == {80_000, 112_000}


def test_what_both_sides_say_of_earlier_use_the_consumer_says() -> None:
    """Of the exception of art. 14(1) the consumer's admission is enough, signed alone or not."""
    for role in ("consumer", "both"):
        given = case("units lesson 20 for 2000; paid 2000 2025-06-03; cooling-off 2025-06-05")
        data = {"from": "other_merchant", "standing": "claim"}
        state(given, "prior_use.stated", data, role)
        derivation = run_engine(given)
        check_agreement(given, derivation)
        assert principals(derivation)[0] == ("cooling_off", "any", (), 0)


def test_a_market_price_that_both_sides_state_is_the_consumers_assertion_too() -> None:
    found = find_principals("claim", (11_000, "consumer"), (12_000, "both"))
    assert found == {80_000, 104_000}


def test_no_notice_arrives_before_it_was_sent() -> None:
    """Whoever receives it may say when, but not that it came before anybody had written it."""
    text = "unlimited 365 days from 2025-06-03 for 3650; paid 3650 2025-06-03; cause merchant"
    for notices in ("ledger", "other"):
        given = case(f"{text}; notices {notices}; as of 2025-10-10")
        sent = state(given, "termination.requested", {"cure_until": None}, "merchant", "2025-09-10")
        state(given, "notice.arrived", {"of": sent}, "consumer", "2025-06-03")
        derivation = run_engine(given)
        check_agreement(given, derivation)
        assert principals(derivation) == [("termination", "merchant", (), 265_000)]
        assert [one.fen for one in derivation.results[0].figures.interest] == [653]


def test_a_time_to_perform_that_has_not_run_out_has_ended_nothing() -> None:
    """Civil code 565(1): such a notice ends the contract when its time runs out, not before."""
    text = "unlimited 365 days from 2025-06-03 for 3650; paid 3650 2025-06-03; cause merchant"
    given = case(f"{text}; as of 2025-09-10")
    cure = {"cure_until": instant("2030-01-01", "12:00")}
    sent = state(given, "termination.requested", cure, "merchant", "2025-06-10")
    derivation = run_engine(given)
    check_agreement(given, derivation)
    assumed = (("ended_by", "assumed"),)
    assert principals(derivation) == [("termination", "merchant", assumed, 265_000)]
    given.as_of = "2030-01-01"
    assert principals(run_engine(given)) == [("termination", "merchant", (), 0)]
    check_agreement(given, run_engine(given))
    assert sent


def test_several_routes_stand_side_by_side() -> None:
    text = f"{TWENTY}; cooling-off 2025-06-05; invalid void 2025-08-05; notice 2025-08-01"
    routes = {r.route for r in run_engine(case(text)).results}
    assert routes == {"cooling_off", "invalidity", "termination"}


def test_other_terms_than_those_signed_are_refused() -> None:
    given = case(TWENTY)
    terms = read_terms(given.terms)
    with pytest.raises(Refused) as caught:
        derive(terms, read_facts(given.facts), read_published(PUBLISHED), 739_000)
    assert caught.value.code == Code.INCONSISTENT
    assert caught.value.detail == (
        f"the contract at entry 9 was signed on the terms {'0' * 64}, not on {terms.hash}"
    )


def test_a_deadline_without_published_rest_days_is_refused() -> None:
    given = parse_case("units lesson 20 for 2000; paid 2000 2031-06-02; cooling-off 2031-06-10", [])
    with pytest.raises(Refused) as caught:
        run_engine(given)
    assert caught.value.code == Code.MISSING_DATA
    assert caught.value.detail == (
        "the rest days of 2031 are not published; a deadline on 2031-06-09 needs the page "
        "rest_days of that year"
    )


@pytest.mark.parametrize(
    ("asked", "by_article_14"),
    [
        ("2031-06-09 23:59", 200_000),
        ("2031-07-11", 0),
    ],
)
def test_a_deadline_that_no_calendar_decides_needs_none(asked: str, by_article_14: int) -> None:
    """Rest days move a last day on, by days: a request before it is in time, one a month after it
    too late. A merchant's payment of one fen, dated to such a year, once ended all computing."""
    given = parse_case(f"units lesson 20 for 2000; paid 2000 2031-06-02; cooling-off {asked}", [])
    results = run_engine(given).results
    assert results[0].route == "cooling_off"
    assert results[0].figures.principal == by_article_14


def test_delivered_without_a_price_is_told_and_counts_nothing() -> None:
    derivation = run_engine(case(f"{TWENTY}; took 1 massage 2025-07-11; notice 2025-08-01"))
    assert {r.figures.principal for r in derivation.results} == {120_000}
    (told,) = derivation.told
    assert (told.what, told.detail, told.positions) == (
        "unpriced", "delivered, but the terms have no price for it", (12,),
    )  # fmt: skip


def test_debited_for_what_the_price_list_lacks_is_told() -> None:
    """It counts as debited, for the consumer did not object; that no price was agreed is told."""
    taken = "took 1 cut 2025-07-10 debit 30; took 1 mask 2025-07-11 debit 500; notice 2025-08-01"
    derivation = run_engine(case(f"card; price cut 30; paid 1000 2025-06-03; {taken}"))
    assert {r.figures.principal for r in derivation.results} == {47_000}
    (told,) = derivation.told
    assert (told.what, told.fen, told.positions) == ("unpriced", 50_000, (12,))
    assert run_engine(case(f"card; paid 1000 2025-06-03; {taken}")).told == ()


def test_a_freeze_is_told_until_it_is_lifted_or_lapses() -> None:
    given = case(f"{TWENTY}; notice 2025-08-01; as of 2025-08-10")
    at = given.facts[-1]["at"]
    frozen = {
        "at": at, "author": "court", "data": {"amount": 30_000, "until": None},
        "kind": "funds.frozen", "position": 90, "recorded": at, "role": "court",
    }  # fmt: skip
    given.facts.append(frozen)
    assert [(t.what, t.fen, t.positions) for t in run_engine(given).told] == [
        ("frozen", 30_000, (90,))
    ]
    frozen["data"] = {"amount": 30_000, "until": at}
    assert run_engine(given).told == ()
    frozen["data"] = {"amount": 30_000, "until": None}
    lifted = {**frozen, "data": {"of": 90}, "kind": "funds.unfrozen", "position": 91}
    given.facts.append(lifted)
    assert run_engine(given).told == ()


def test_claims_about_cause_and_ground_are_told_with_their_author() -> None:
    given = case(f"{TWENTY}; notice 2025-08-01")
    at = given.facts[-1]["at"]
    for position, kind, data, role in (
        (80, "cause.stated", {"cause": "merchant", "standing": "claim"}, "consumer"),
        (81, "cause.stated", {"cause": "consumer", "standing": "finding"}, "merchant"),
        (82, "ground.stated", {"ground": "premises_moved", "standing": "finding"}, "court"),
    ):
        given.facts.append(
            {"at": at, "author": role, "data": data, "kind": kind, "position": position,
             "recorded": at, "role": role}
        )  # fmt: skip
    derivation = run_engine(given)
    assert {r.cause for r in derivation.results} == {"merchant", "neither", "consumer"}
    assert [(t.what, t.article, t.detail) for t in derivation.told] == [
        ("ground", "13(1)(1)", "premises_moved, found by court"),
        ("cause", "16(1), 18(1)(1), 18(1)(2), 19(1)", "merchant, claimed by consumer"),
        ("cause", "16(1), 18(1)(1), 18(1)(2), 19(1)", "consumer, claimed by merchant"),
    ]


def test_what_was_paid_back_is_added_up_by_source() -> None:
    text = f"{TWENTY}; notice 2025-08-01; repaid 500 custody 2025-08-02"
    text += "; repaid 100 merchant 2025-08-03"
    assert run_engine(case(text)).returned == (50_000, 10_000)


PINNED = [
    (
        f"{TWENTY}; notice 2025-08-01; as of 2025-10-10",
        "890b4ab3852247c730c38c8b17f23f6ce9b8d8c03e310b2ad81e646ae3ccebae",
    ),
    (
        (
            "card; paid 1000 2025-06-03 bonus 200 voucher 300 city ordered; "
            "account 0.35% 2025-01-01; took 1 meal 2025-07-10 debit 300 objected; "
            "notice 2025-08-01; served 2025-08-20; "
            "repaid 500 custody 2025-09-01; gift towel 59 2025-07-01; as of 2025-10-10"
        ),
        "4985b92a03f4b5a86b71d71d8a9477f26de4fbb39ca4f4501cd8da6b84aaa7ec",
    ),
    (
        (
            "unlimited 12 months from 2025-07-01 for 1200 list 1500; paid 1200 2025-06-28; "
            "stopped 2025-08-01 claimed; cooling-off 2025-07-03; notice 2025-10-08"
        ),
        "4c4781d7c28f9722a037c9f4b92ad20bb591cc011f7011762cfcac7eff38ca5a",
    ),
]


@pytest.mark.parametrize(("text", "digest"), PINNED)
def test_the_bytes_of_a_derivation_are_pinned(text: str, digest: str) -> None:
    """If this fails, derivations made before are spelled or worked differently: then the engine
    needs a new version, and the old one stays."""
    assert hashlib.sha256(run_engine(case(text)).encode()).hexdigest() == digest


def test_a_derivation_is_canonical_and_holds_no_fraction_but_as_text() -> None:
    for seed in range(60):
        document = run_engine(make_life(seed)).to_document()
        raw = encode(document)
        assert raw == run_engine(make_life(seed)).encode()
        assert json.loads(raw) == document
        if len(raw) <= 32_768:
            assert decode(raw) == document


ODD = ['le"sson', "les\\son", '"steps":[]', "les\x01\nson", "课程", "caf\u00e9", "\U0001f600"]


@pytest.mark.parametrize("item", ODD)
def test_steps_written_by_themselves_are_spelled_like_the_rest(item: str) -> None:
    given = case("units lesson 9000 for 9000; paid 9000 2025-06-03; notice 2025-08-01")
    given.terms["items"][0]["id"] = given.terms["deal"]["lines"][0]["item"] = item
    derivation = run_engine(given)
    assert f"a {item}" in {
        given.name
        for result in derivation.results
        for step in result.steps
        for given in step.inputs
    }
    assert derivation.encode() == encode(derivation.to_document())


def test_a_step_whose_text_has_no_normal_form_is_refused_like_any_text() -> None:
    working = Working()
    working.text("v", "15(1)", "e\u0301", "1")
    derivation = run_engine(case("units lesson 9000 for 9000; paid 9000 2025-06-03"))
    one = dataclasses.replace(derivation.results[0], steps=tuple(working.steps))
    with pytest.raises(Refused, match="Normalization Form C"):
        dataclasses.replace(derivation, results=(one,)).encode()


_BEYOND = 2**53


@pytest.mark.parametrize(
    "changed",
    [
        {"figures": Figures(_BEYOND)},
        {"figures": Figures(0, consumer=_BEYOND)},
        {"figures": Figures(0, issuers=(("i", _BEYOND),))},
        {"figures": Figures(0, custody=-_BEYOND)},
        {"figures": Figures(0, merchant=_BEYOND)},
        {"figures": Figures(0, beyond=_BEYOND)},
        {"figures": Figures(0, interest=(Interest("lpr_1y", _BEYOND, 0),))},
        {"figures": Figures(0, interest=(Interest("lpr_1y", 0, _BEYOND),))},
        {"payments": (Payment("consumer", "custody", _BEYOND),)},
        {"considered": (Considered(0, "share", _BEYOND, False),)},
        {"fees": ((0, _BEYOND),)},
    ],
)
def test_an_amount_beyond_the_bound_is_refused_wherever_it_stands(changed: dict[str, Any]) -> None:
    derivation = run_engine(case("units lesson 9000 for 9000; paid 9000 2025-06-03"))
    one = dataclasses.replace(derivation.results[0], **changed)
    with pytest.raises(Refused, match=r"is beyond ±9007199254740991"):
        dataclasses.replace(derivation, results=(one,)).encode()


@pytest.mark.parametrize("seed", range(60))
def test_results_written_by_themselves_are_spelled_as_documents_are(seed: int) -> None:
    derivation = run_engine(make_life(seed))
    assert derivation.encode() == encode(derivation.to_document())


def test_a_derivation_of_many_deliveries_writes_each_position_once() -> None:
    given = case("units lesson 9000 for 9000; paid 9000 2025-06-03; notice 2025-08-01")
    at = given.facts[-1]["at"]
    for number in range(3_000):
        given.facts.append(
            {"at": at, "author": "m", "data": {"debited": 0, "item": "lesson", "units": 1},
             "kind": "service.delivered", "position": 10_000 + number, "recorded": at,
             "role": "merchant"}
        )  # fmt: skip
    derivation = run_engine(given)
    assert {r.figures.principal for r in derivation.results} == {600_000}
    raw = derivation.encode()
    assert raw.count(b"12999") == 1
    assert len(raw) < 3_000 * 6 + 12_000


def test_amounts_beyond_the_bound_are_refused_and_not_rounded() -> None:
    given = case(TWENTY)
    given.facts[1]["data"]["amount"] = 10**10 + 1
    with pytest.raises(Refused, match=r"data\.amount is 10000000001; 0 to 10000000000 is expected"):
        run_engine(given)


def test_reading_leaves_its_input_alone() -> None:
    given = case(f"{TWENTY}; notice 2025-08-01")
    before = copy.deepcopy(given)
    run_engine(given)
    assert given == before


PURE = """
import sys
sys.path.insert(0, {root!r})
import law.checks, law.derivation_text, law.facts, law.published, law.refund, law.rules
import law.terms_text
known = set(sys.stdlib_module_names) | {{"law"}}
strangers = sorted(name for name in {{n.partition(".")[0] for n in sys.modules}} - known)
print([name for name in strangers if not name.startswith("_")])
"""


def test_the_law_runs_on_bare_python() -> None:
    """`-I -S`: no site packages at all, as on a court's machine."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PURE.format(root=str(ROOT))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_the_law_knows_no_float() -> None:
    found = []
    for path in sorted((ROOT / "law").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
            names_it = isinstance(node, ast.Name) and node.id in ("float", "round", "Decimal")
            if is_float or names_it:
                found.append(f"{path.name}:{node.lineno}")  # type: ignore[attr-defined]
    assert found == []


@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_hash_seeds_change_nothing(hash_seed: str) -> None:
    program = (
        "import hashlib\n"
        "from tests.law.life_checks import run_engine\n"
        "from tests.law.random_lives import make_life\n"
        "d = hashlib.sha256()\n"
        "for s in range(25): d.update(run_engine(make_life(s)).encode())\n"
        "print(d.hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    digest = hashlib.sha256()
    for seed in range(25):
        digest.update(run_engine(make_life(seed)).encode())
    assert done.stdout.strip() == digest.hexdigest()
