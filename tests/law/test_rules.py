"""Rule packs and their checks: every rule broken and kept, each finding's whole sentence."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from law.checks import CHECKS, find_breaches
from law.days import parse_day
from law.facts import read_facts
from law.finding import Finding
from law.published import Published, read_published
from law.refusal import Code, Refused
from law.rules import EVERYWHERE, PARAMETERS, Pack, check_publisher, parse_pack, read_pack, schedule
from law.terms import INDUSTRIES, read_terms
from tests.law.case_language import Case, instant, parse_case
from tests.law.test_cases import PUBLISHED

ROOT = Path(__file__).parents[2]
PACKS = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "examples/rules").glob("*.v*.json"))
}
COMPETENCE = json.loads((ROOT / "examples/rules/competence.json").read_text("utf-8"))
SEEN_ON = "2026-03-01"


CALENDAR = read_published(PUBLISHED)


def day(text: str) -> int:
    found = parse_day(text)
    assert found is not None
    return found


def look(name: str, case: Case, on: str = SEEN_ON, **terms: Any) -> list[Finding]:
    """Findings of one pack over one case, seen on a day."""
    case.terms.update(terms)
    packs = schedule([read_pack(PACKS[name])])
    return list(
        find_breaches(packs, read_terms(case.terms), read_facts(case.facts), CALENDAR, day(on), "")
    )


def add(case: Case, kind: str, on: str, data: Any, role: str, clock: str = "12:00") -> int:
    """Add a fact; return its position."""
    position = max(fact["position"] for fact in case.facts) + 1
    at = instant(on, clock)
    case.facts.append(
        {"at": at, "author": role, "data": data, "kind": kind, "position": position,
         "recorded": at, "role": role}
    )  # fmt: skip
    return position


def lessons(text: str = "") -> Case:
    return parse_case(f"units lesson 20 for 2000; paid 2000 2025-06-03 ordered{text}", [])


def card(text: str = "") -> Case:
    case = parse_case(f"card; price cut 30; paid 1000 2025-06-03{text}", [])
    case.terms["industry"] = "hair_beauty"
    return case


def sentences(findings: list[Finding]) -> list[tuple[str, str, str, str]]:
    return [(f.rule, f.severity, f.en, f.zh) for f in findings]


# -- packs


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_is_named_by_its_file_and_its_publisher_is_competent(name: str) -> None:
    pack = read_pack(PACKS[name])
    assert f"{pack.id}.v{pack.version}" == name
    assert parse_pack(pack.raw) == pack
    check_publisher(pack, COMPETENCE, EVERYWHERE)


def test_the_packs_use_every_check_and_every_industry_has_one() -> None:
    rules = [rule for pack in PACKS.values() for rule in read_pack(pack).rules]
    assert {rule.check for rule in rules} == set(PARAMETERS) == set(CHECKS)
    assert {i for pack in PACKS.values() for i in pack["industries"]} == set(INDUSTRIES)


def test_the_documents_list_every_pack_and_every_check() -> None:
    for name in ("docs/LAW.md", "docs/LAW.zh-CN.md"):
        text = (ROOT / name).read_text("utf-8")
        for pack in PACKS.values():
            assert f"`{pack['pack']['id']}`" in text, (name, pack["pack"]["id"])
    text = (ROOT / "docs/TERMS.md").read_text("utf-8").partition("## Rule packs")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", text.partition("\n## ")[0], re.MULTILINE)
    listed = {check: set(re.findall(r"`(\w+)`", members)) for check, members in rows}
    expected = {check: set(members) for check, members in PARAMETERS.items()}
    expected["void_phrases"] = {"effect", "phrases"}
    assert listed == expected


def version(number: int, begins: str | None, ends: str | None = None) -> Pack:
    document = copy.deepcopy(PACKS["offcampus-training.v1"])
    document["pack"]["version"] = number
    document["effective_from"], document["effective_until"] = begins, ends
    document["status"] = "draft" if begins is None else "in_force"
    return read_pack(document)


def test_a_later_version_ends_an_earlier_one_on_the_day_it_begins() -> None:
    one, two = version(1, "2025-01-01"), version(2, "2025-07-01", "2026-01-01")
    days = {
        held.pack.version: (held.begin, held.end) for held in schedule([two, one, version(3, None)])
    }
    assert days == {
        1: (day("2025-01-01"), day("2025-07-01")),
        2: (day("2025-07-01"), day("2026-01-01")),
    }
    with pytest.raises(
        Refused, match=r"^inconsistent: rules offcampus-training@1 are there twice$"
    ):
        schedule([one, one])


def test_an_event_is_judged_by_the_version_of_its_own_day() -> None:
    document = copy.deepcopy(PACKS["offcampus-training.v1"])
    document["pack"]["version"] = 2
    document["effective_from"] = "2025-07-01"
    document["rules"] = [
        {"article": "new", "check": "payment_max", "id": "amount", "parameters": {"fen": 100_000},
         "severity": "breach"}
    ]  # fmt: skip
    packs = schedule([read_pack(PACKS["offcampus-training.v1"]), read_pack(document)])
    for paid_on, rules in (("2025-06-30", []), ("2025-07-01", ["offcampus-training@2/amount"])):
        case = parse_case(f"units lesson 20 for 2000; paid 2000 {paid_on} ordered", [])
        found = find_breaches(
            packs, read_terms(case.terms), read_facts(case.facts), CALENDAR, day(SEEN_ON), ""
        )
        assert [finding.rule for finding in found] == rules


REFUSALS: list[tuple[Callable[[dict[str, Any]], Any], Code, str]] = [
    (lambda p: p.update(effective_from=None), Code.INCONSISTENT,
     ("rules offcampus-training@1 are in force and have no effective_from; only a draft may lack "
      "it")),
    (lambda p: p["rules"].append(p["rules"][0]), Code.INCONSISTENT,
     "rules.rules has 'amount' more than once"),
    (lambda p: p["rules"][0].update(severity="fatal"), Code.UNKNOWN_WORD,
     "rules.rules[0].severity is 'fatal'; one of notice, breach, grave is expected"),
    (lambda p: p["rules"][0]["parameters"].update(yuan=1), Code.UNKNOWN_MEMBER,
     "rules.rules[0].parameters has the unknown member 'yuan'"),
    (lambda p: p["rules"][0]["parameters"].clear(), Code.MISSING_MEMBER,
     "rules.rules[0].parameters lacks the member 'fen'"),
    (lambda p: p.update(industries=["casino"]), Code.UNKNOWN_WORD,
     ("rules.industries holds 'casino'; some of training, catering, housekeeping, fitness, "
     "vocational, culture_sports, pets, hair_beauty, driving, car_wash are expected")),
    (lambda p: p.update(districts=[]), Code.INCONSISTENT,
     "rules.districts is []; districts are expected, or * alone for all of them"),
    (lambda p: p.update(districts=["nanshan", "*"]), Code.INCONSISTENT,
     "rules.districts is ['nanshan', '*']; districts are expected, or * alone for all of them"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "sentence"), REFUSALS)
def test_packs_are_refused_by_name(
    change: Callable[[dict[str, Any]], Any], code: Code, sentence: str
) -> None:
    document = copy.deepcopy(PACKS["offcampus-training.v1"])
    change(document)
    with pytest.raises(Refused) as caught:
        read_pack(document)
    assert (caught.value.code, caught.value.detail) == (code, sentence)


def test_a_department_publishes_for_its_own_industries_only() -> None:
    document = copy.deepcopy(PACKS["offcampus-training.v1"])
    document["industries"] = ["training", "driving"]
    with pytest.raises(Refused) as caught:
        check_publisher(read_pack(document), COMPETENCE, EVERYWHERE)
    assert caught.value.code == Code.NOT_ENTITLED
    assert caught.value.detail == (
        "rules offcampus-training@1 are published by the department education for driving; it is "
        "competent for training"
    )


def of_districts(*districts: str) -> Pack:
    return read_pack(PACKS["offcampus-training.v1"] | {"districts": list(districts)})


@pytest.mark.parametrize(
    ("named", "competent", "sentence"),
    [
        (("*",), ("nanshan",), "every district; it is competent in nanshan"),
        (("futian", "nanshan"), ("nanshan", "yantian"),
         "futian; it is competent in nanshan, yantian"),
        (("nanshan",), (), "nanshan; it is competent in none"),
    ],
)  # fmt: skip
def test_a_regulator_publishes_for_its_own_districts_only(
    named: tuple[str, ...], competent: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(Refused) as caught:
        check_publisher(of_districts(*named), COMPETENCE, competent)
    assert caught.value.code == Code.NOT_ENTITLED
    publisher = PACKS["offcampus-training.v1"]["publisher"]
    assert caught.value.detail == (
        f"rules offcampus-training@1 are published by {publisher} for {sentence}"
    )
    check_publisher(of_districts("nanshan"), COMPETENCE, ("nanshan", "yantian"))
    check_publisher(of_districts("nanshan"), COMPETENCE, EVERYWHERE)


def test_a_pack_binds_in_its_districts_and_one_that_names_none_everywhere() -> None:
    case = lessons()
    case.facts[-1]["data"]["channel"] = "loan"
    for pack, bound in (
        (of_districts("nanshan", "yantian"), ["nanshan", "yantian"]),
        (of_districts("*"), ["", "futian", "nanshan", "yantian"]),
        (read_pack(PACKS["offcampus-training.v1"]), ["", "futian", "nanshan", "yantian"]),
    ):
        for district in ("", "futian", "nanshan", "yantian"):
            facts = read_facts(case.facts)
            found = find_breaches(
                schedule([pack]), read_terms(case.terms), facts, CALENDAR, day(SEEN_ON), district
            )
            assert bool(found) == (district in bound)


# -- what the merchant alone dates


def test_no_rule_is_evaded_by_the_merchants_own_date() -> None:
    """Signed and paid under the new rule, and dated to before it by the merchant alone."""
    document = copy.deepcopy(PACKS["offcampus-training.v1"])
    document["effective_from"] = "2025-06-01"
    packs = schedule([read_pack(document)])
    late = instant("2025-06-10", "12:00")

    def found(role: str, recorded: int) -> set[str]:
        case = parse_case("units lesson 61 for 6100; paid 6100 2025-05-20 ordered", [])
        for fact in case.facts:
            fact |= {"recorded": recorded, "role": role}
        facts = read_facts(case.facts)
        seen = find_breaches(packs, read_terms(case.terms), facts, CALENDAR, day(SEEN_ON), "")
        return {finding.rule.partition("/")[2] for finding in seen}

    assert found("merchant", late) == {"amount", "lessons"}
    assert found("both", late) == set()
    assert found("merchant", instant("2025-05-20", "12:00")) == set()


def test_a_notice_before_closing_counts_from_its_record() -> None:
    case = card()
    add(case, "closing.notified", "2025-06-30", {"effective": "2025-08-01"}, "merchant")
    case.facts[-1]["recorded"] = instant("2025-07-31", "12:00")
    add(case, "business.closed", "2025-08-01", {}, "merchant")
    assert [f.en for f in look("shanghai-2019.v1", case)] == [
        "The merchant closed on 2025-08-01, 1 days after telling consumers; 30 are required."
    ]
    case.facts[-2]["recorded"] = instant("2025-06-30", "12:00")
    assert look("shanghai-2019.v1", case) == []


def test_intake_after_a_risk_is_not_hidden_by_the_merchants_own_date() -> None:
    case = lessons()
    paid = case.facts[-1]
    add(case, "risk.declared", "2025-06-10", {}, "regulator")
    assert look("consumer-regulation-22.v1", case, liability={"en": "x", "zh": "x"}) == []
    paid |= {"recorded": instant("2025-06-12", "12:00"), "role": "merchant"}
    assert [f.rule for f in look("consumer-regulation-22.v1", case)] == [
        "consumer-regulation-22@1/risk"
    ]


# -- off-campus training


def test_a_lawful_training_contract_breaks_nothing() -> None:
    case = lessons("; took 5 lesson 2025-07-01; released 500 2025-07-02")
    assert look("offcampus-training.v1", case) == []


def test_too_much_too_many_lessons_and_too_long() -> None:
    case = parse_case("units lesson 58 for 5800 +3; paid 5800 2025-06-03 ordered", [])
    assert sentences(look("offcampus-training.v1", case)) == [
        ("offcampus-training@1/amount", "breach",
         "5,800.00 yuan were taken at once; at most 5,000.00 may be.",
         "一次收取 5,800.00 元，超过 5,000.00 元。"),
        ("offcampus-training@1/lessons", "breach",
         "The contract sells 61 units at once; at most 60 may be charged.",
         "合同一次收取 61 课时（次）的费用，超过 60。"),
    ]  # fmt: skip
    case = parse_case("pass 4 months from 2025-09-01 for 2400; paid 2400 2025-08-25 ordered", [])
    assert sentences(look("offcampus-training.v1", case)) == [
        ("offcampus-training@1/months", "breach",
         "The charge spans 2025-09-01 to 2025-12-31, more than 3 months.",
         "收费时间跨度为 2025-09-01 至 2025-12-31，超过 3 个月。"),
    ]  # fmt: skip
    case = parse_case("pass 3 months from 2025-09-01 for 2400; paid 2400 2025-08-25 ordered", [])
    assert look("offcampus-training.v1", case) == []


def test_exactly_the_limits_are_allowed() -> None:
    case = parse_case("units lesson 60 for 5000; paid 5000 2025-06-03 ordered", [])
    assert look("offcampus-training.v1", case) == []


def test_money_past_the_supervised_account_and_by_loan() -> None:
    case = parse_case("units lesson 20 for 2000; paid 1000 2025-06-03; paid 1000 2025-06-04", [])
    case.facts[-1]["data"]["channel"] = "loan"
    position = case.facts[-1]["position"]
    found = look("offcampus-training.v1", case)
    assert sentences(found) == [
        ("offcampus-training@1/account", "grave",
         "1,000.00 yuan did not go into the supervised account.",
         "1,000.00 元未进入监管账户。"),
        ("offcampus-training@1/account", "grave",
         "1,000.00 yuan did not go into the supervised account.",
         "1,000.00 元未进入监管账户。"),
        ("offcampus-training@1/loan", "breach",
         "The fee was paid by a training loan.", "以培训贷方式缴纳费用。"),
    ]  # fmt: skip
    assert found[-1].positions == (position,)


def test_two_accounts_are_one_too_many() -> None:
    case = lessons("; paid 100 2025-06-04 ordered")
    case.facts[-1]["data"]["account"] = "a-2"
    assert [f.en for f in look("offcampus-training.v1", case)] == [
        "Prepayments went into more than one account."
    ]


def test_releases_ahead_of_delivery() -> None:
    case = lessons(
        "; took 5 lesson 2025-07-01; released 500 2025-07-02; released 1 2025-07-03; "
        "took 1 lesson 2025-07-04; released 99 2025-07-05"
    )
    found = look("offcampus-training.v1", case)
    assert sentences(found) == [
        ("offcampus-training@1/step", "grave",
         "501.00 yuan were released when 500.00 had been delivered.",
         "已释放 501.00 元，而当时已提供的价款为 500.00 元。"),
    ]  # fmt: skip
    assert found[0].values == (("released", 50_100), ("delivered", 50_000))


def test_a_delivery_taken_back_was_no_delivery_for_a_release() -> None:
    case = lessons("; took 5 lesson 2025-07-01 reversed; released 100 2025-07-02")
    assert [f.values for f in look("offcampus-training.v1", case)] == [
        (("released", 10_000), ("delivered", 0))
    ]


def test_a_pass_is_released_by_the_day() -> None:
    case = parse_case(
        "pass 90 days from 2025-09-01 for 2700; paid 2700 2025-08-28 ordered; "
        "released 300 2025-09-10; released 1 2025-09-10",
        [],
    )
    assert [f.en for f in look("offcampus-training.v1", case)] == [
        "301.00 yuan were released when 300.00 had been delivered."
    ]


def test_lessons_end_in_the_evening() -> None:
    case = lessons("; took 1 lesson 2025-07-01 20:30; took 1 lesson 2025-07-02 20:31")
    assert sentences(look("offcampus-training.v1", case)) == [
        ("offcampus-training@1/hours", "notice",
         "The lesson ended at 20:31; 20:30 is the latest.", "课程于 20:31 结束，晚于 20:30。"),
    ]  # fmt: skip


# -- single-purpose cards


def test_a_lawful_card_breaks_nothing() -> None:
    assert look("single-purpose-card.v1", card("; took 5 cut 2025-07-01 debit 150")) == []


def test_the_limits_of_named_and_bearer_cards() -> None:
    case = card("; took 1 cut 2025-06-10 debit 30; paid 4030 2025-06-11; paid 0.01 2025-06-12")
    assert sentences(look("single-purpose-card.v1", case)) == [
        ("single-purpose-card@1/limit", "breach",
         "The card holds 5,000.01 yuan; at most 5,000.00 may be on a named card.",
         "卡内金额 5,000.01 元，超过限额 5,000.00 元。"),
    ]  # fmt: skip
    case = card("; paid 0.01 2025-06-11")
    case.facts[0]["data"]["card"] = "bearer"
    assert [f.values for f in look("single-purpose-card.v1", case)] == [
        (("balance", 100_001), ("limit", 100_000))
    ]


def test_names_transfers_and_validity() -> None:
    case = parse_case("card; price cut 30; paid 50000 2025-06-03", [])
    case.facts[0]["data"]["card"] = "bearer"
    case.facts[-1]["data"]["channel"] = "cash"
    case.terms["industry"] = "catering"
    case.terms["expiry"] = {"after": "reactivates", "months": 35}
    found = sentences(look("single-purpose-card.v1", case))
    assert found[1:] == [
        ("single-purpose-card@1/name", "breach",
         "50,000.00 yuan were paid for bearer cards at once and no buyer is recorded.",
         "一次性购买不记名卡 50,000.00 元，未登记购卡人。"),
        ("single-purpose-card@1/cash", "breach",
         "50,000.00 yuan were paid in cash; from 50,000.00 a transfer is required.",
         "以现金支付 50,000.00 元；50,000.00 元以上须转账。"),
        ("single-purpose-card@1/validity", "breach",
         "The terms let a bearer card expire after 35 months; 36 are the least.",
         "合同约定不记名卡 35 个月有效，少于 36 个月。"),
    ]  # fmt: skip
    case.facts[0]["data"]["card"] = "named"
    assert sentences(look("single-purpose-card.v1", case))[-1] == (
        "single-purpose-card@1/validity", "breach",
        "The terms let a named card expire after 35 months; it must not expire.",
        "合同约定记名卡 35 个月有效；记名卡不得设有效期。",
    )  # fmt: skip


def test_what_an_issuer_keeps_in_custody() -> None:
    def reported(custody: int, issuer_class: str) -> list[Finding]:
        data = {"balance": 1_000_000, "custody": custody, "issuer_class": issuer_class,
                "quarter_end": "2025-06-30"}  # fmt: skip
        case = card()
        add(case, "balance.reported", "2025-07-05", data, "merchant")
        return look("single-purpose-card.v1", case)

    for issuer_class, least in (("scale", 200_000), ("group", 300_000), ("brand", 400_000)):
        assert reported(least, issuer_class) == []
        assert len(reported(least - 1, issuer_class)) == 1
    assert reported(0, "other") == []
    assert sentences(reported(199_999, "scale")) == [
        ("single-purpose-card@1/custody", "grave",
         "At 2025-06-30 1,999.99 yuan were in custody, less than 20 % of the balance of 10,000.00.",
         "2025-06-30 存管资金 1,999.99 元，低于预收资金余额 10,000.00 元的 20%。"),
    ]  # fmt: skip


# -- the regulation on consumer protection


def test_the_written_contract_says_how_one_gets_out() -> None:
    case = lessons()
    case.terms["refund"] = {"en": "", "within_days": 0, "zh": ""}
    case.terms["liability"] = {"en": "", "zh": ""}
    assert sentences(look("consumer-regulation-22.v1", case)) == [
        ("consumer-regulation-22@1/written", "breach",
         "The written contract lacks refund and liability.",
         "书面合同缺少：预付款退还方式、违约责任。"),
    ]  # fmt: skip


def test_money_taken_after_a_major_risk_was_declared() -> None:
    case = lessons()
    risk = add(case, "risk.declared", "2025-06-04", {}, "regulator")
    assert look("consumer-regulation-22.v1", case) == []
    later = add(case, "funds.locked", "2025-06-05", case.facts[1]["data"], "custodian")
    found = look("consumer-regulation-22.v1", case)
    assert sentences(found) == [
        ("consumer-regulation-22@1/risk", "grave",
         f"2,000.00 yuan were taken after a major business risk was declared at entry {risk}.",
         f"出现重大经营风险（第 {risk} 条）之后仍收取 2,000.00 元。"),
    ]  # fmt: skip
    assert found[0].positions == (risk, later)


def test_closing_and_moving_are_told_before() -> None:
    case = lessons()
    add(case, "business.closed", "2025-08-01", {}, "district")
    assert sentences(look("consumer-regulation-22.v1", case)) == [
        ("consumer-regulation-22@1/notice", "breach",
         "The merchant closed on 2025-08-01 without telling consumers before.",
         "经营者于 2025-08-01 停业，未提前告知消费者。"),
    ]  # fmt: skip
    add(case, "closing.notified", "2025-07-31", {"effective": "2025-08-01"}, "merchant")
    assert look("consumer-regulation-22.v1", case) == []


def test_thirty_days_before_where_a_rule_says_thirty() -> None:
    case = card()
    told = add(case, "moving.notified", "2025-07-03", {"effective": "2025-08-01"}, "merchant")
    moved = add(case, "premises.moved", "2025-08-01", {}, "merchant")
    found = look("shanghai-2019.v1", case)
    assert sentences(found) == [
        ("shanghai-2019@1/notice", "breach",
         "The merchant moved on 2025-08-01, 29 days after telling consumers; 30 are required.",
         "经营者于 2025-08-01 迁移，仅提前 29 日告知，应提前 30 日。"),
    ]  # fmt: skip
    assert found[0].positions == (told, moved)
    add(case, "moving.notified", "2025-07-02", {"effective": "2025-08-01"}, "merchant")
    assert look("shanghai-2019.v1", case) == []


def test_a_rise_without_consent() -> None:
    case = card("; consented cut 35 2025-06-20; raised cut 45 2025-06-21; raised cut 20 2025-06-22")
    assert sentences(look("consumer-regulation-22.v1", case)) == [
        ("consumer-regulation-22@1/rise", "breach",
         ("The price of cut was raised from 35.00 to 45.00 yuan without the consumer's recorded "
         "consent."),
         "未经消费者同意，cut 由 35.00 元涨至 45.00 元。"),
    ]  # fmt: skip


# -- 法释〔2025〕4号 arts 9, 24, 25


def test_expiry_never_takes_a_balance() -> None:
    case = card()
    add(case, "balance.forfeited", "2025-12-01", {"amount": 12_300}, "merchant")
    assert sentences(look("spc-prepaid-arts-9-24-25.v1", case)) == [
        ("spc-prepaid-arts-9-24-25@1/forfeit", "grave",
         "123.00 yuan of balance were taken; expiry never takes a balance.",
         "扣除余额 123.00 元；过期不没收余额。"),
    ]  # fmt: skip


def test_a_lost_card_is_not_debited_until_it_is_reissued() -> None:
    case = card("; took 1 cut 2025-07-01 debit 30")
    loss = add(case, "card.lost", "2025-07-05", {}, "consumer")
    assert look("spc-prepaid-arts-9-24-25.v1", case) == []
    debit = add(case, "service.delivered", "2025-07-06", case.facts[2]["data"], "merchant")
    add(case, "card.reissued", "2025-07-07", {"of": loss}, "merchant")
    add(case, "service.delivered", "2025-07-08", case.facts[2]["data"], "merchant")
    found = look("spc-prepaid-arts-9-24-25.v1", case)
    assert sentences(found) == [
        ("spc-prepaid-arts-9-24-25@1/loss", "breach",
         f"The card was debited after its loss had been reported at entry {loss}.",
         f"挂失（第 {loss} 条）之后仍有扣款。"),
    ]  # fmt: skip
    assert found[0].positions == (loss, debit)


def test_records_are_produced_in_time_or_provably_not() -> None:
    case = lessons()
    asked = add(case, "records.requested", "2025-07-01", {"until": "2025-07-15"}, "consumer")
    pack = "spc-prepaid-arts-9-24-25.v1"
    assert look(pack, case, on="2025-07-15") == []
    found = look(pack, case, on="2025-07-16")
    assert sentences(found) == [
        ("spc-prepaid-arts-9-24-25@1/records", "breach",
         "Records requested until 2025-07-15 were neither produced nor refused.",
         "请求于 2025-07-15 前提交的记录既未提交也未说明理由。"),
    ]  # fmt: skip
    refused = copy.deepcopy(case)
    add(refused, "records.refused", "2025-07-10", {"of": asked, "reason": "flood"}, "merchant")
    assert sentences(look(pack, refused, on="2025-07-16")) == [
        ("spc-prepaid-arts-9-24-25@1/records", "notice",
         ("Records requested until 2025-07-15 were refused for “flood”; whether that is a good "
         "reason, a court says."),
         "请求于 2025-07-15 前提交的记录被拒绝，理由“flood”是否正当由法院认定。"),
    ]  # fmt: skip
    late = copy.deepcopy(case)
    produced = add(late, "records.produced", "2025-07-15", {"of": asked}, "merchant")
    late.facts[-1]["recorded"] = instant("2025-07-16", "00:00")  # its own date helps it nothing
    found = look(pack, late, on="2025-07-20")
    assert sentences(found) == [
        ("spc-prepaid-arts-9-24-25@1/records", "notice",
         "Records requested until 2025-07-15 were produced on 2025-07-16 only.",
         "请求于 2025-07-15 前提交的记录至 2025-07-16 才提交。"),
    ]  # fmt: skip
    assert found[0].positions == (asked, produced)
    add(late, "records.produced", "2025-07-15", {"of": asked}, "custodian")
    assert look(pack, late, on="2025-07-20") == []
    add(case, "records.produced", "2025-07-15", {"of": asked}, "merchant")
    assert look(pack, case, on="2025-07-16") == []


def test_words_of_void_clauses() -> None:
    case = lessons()
    clause = {"burdensome": False, "effects": [], "en": "No refunds. We explain it.", "id": "c9",
              "prompt": {"en": "", "zh": ""}, "zh": "概不退款，最终解释权归我方"}  # fmt: skip
    found = look("spc-prepaid-arts-9-24-25.v1", case, clauses=[clause])
    assert [(f.rule, f.article, f.severity, f.values) for f in found] == [
        ("spc-prepaid-arts-9-24-25@1/no-refund/c9", "9(1)", "notice",
         (("effect", "no_refund"), ("phrase", "概不退款"))),
        ("spc-prepaid-arts-9-24-25@1/other/c9", "9(7)", "notice",
         (("effect", "unfair_other"), ("phrase", "最终解释权"))),
    ]  # fmt: skip


# -- what a merchant might try


def test_a_price_split_over_one_day_is_one_price() -> None:
    case = parse_case(
        "units lesson 50 for 12000; paid 5000 2025-06-03 ordered; paid 0.01 2025-06-03 ordered; "
        "paid 5000 2025-06-04 ordered",
        [],
    )
    found = look("offcampus-training.v1", case)
    assert sentences(found) == [
        ("offcampus-training@1/amount", "breach",
         "5,000.01 yuan were taken at once; at most 5,000.00 may be.",
         "一次收取 5,000.01 元，超过 5,000.00 元。"),
    ]  # fmt: skip
    first, second = (fact["position"] for fact in case.facts[1:3])
    assert found[0].positions == (first, second)


def test_a_split_is_not_hidden_by_the_merchants_own_dates() -> None:
    """On either day: as they are dated, and as they were recorded."""
    case = parse_case(
        "units lesson 50 for 10000; paid 5000 2025-06-03 ordered; paid 5000 2025-06-04 ordered", []
    )
    assert look("offcampus-training.v1", case) == []
    for fact in case.facts[1:]:
        fact |= {"recorded": instant("2025-06-05", "12:00"), "role": "merchant"}
    assert [f.values for f in look("offcampus-training.v1", case)] == [
        (("taken", 1_000_000), ("limit", 500_000))
    ]


def test_cash_and_bearer_cards_are_counted_by_the_day() -> None:
    case = parse_case("card; price cut 30; paid 30000 2025-06-03; paid 20000 2025-06-03", [])
    case.facts[0]["data"]["card"] = "bearer"
    case.facts[1]["data"]["channel"] = case.facts[2]["data"]["channel"] = "cash"
    case.terms["industry"] = "catering"
    found = {f.rule.partition("/")[2]: f for f in look("single-purpose-card.v1", case)[2:]}
    positions = tuple(fact["position"] for fact in case.facts[1:])
    assert found["cash"].en == (
        "50,000.00 yuan were paid in cash; from 50,000.00 a transfer is required."
    )
    assert found["cash"].positions == positions
    case.facts[2]["data"]["channel"] = "transfer"
    assert not [f for f in look("single-purpose-card.v1", case) if f.rule.endswith("cash")]
    small = parse_case("card; price cut 30; paid 6000 2025-06-03; paid 4000 2025-06-03", [])
    small.facts[0]["data"]["card"] = "bearer"
    small.terms["industry"] = "catering"
    named = [f for f in look("single-purpose-card.v1", small) if f.rule.endswith("name")]
    assert [(f.en, f.positions) for f in named] == [
        (
            "10,000.00 yuan were paid for bearer cards at once and no buyer is recorded.",
            tuple(fact["position"] for fact in small.facts[1:]),
        )
    ]


def test_money_taken_after_a_risk_was_lifted_is_no_breach() -> None:
    case = lessons()
    paid = case.facts[1]["data"]
    risk = add(case, "risk.declared", "2025-06-04", {}, "regulator")
    taken = add(case, "funds.locked", "2025-06-05", paid, "custodian")
    add(case, "risk.lifted", "2025-06-10", {}, "regulator")
    add(case, "funds.locked", "2025-06-11", paid, "custodian")
    again = add(case, "risk.declared", "2025-06-20", {}, "district")
    last = add(case, "funds.locked", "2025-06-21", paid, "custodian")
    found = look("consumer-regulation-22.v1", case)
    assert [f.positions for f in found] == [(risk, taken), (again, last)]


def test_money_that_may_have_been_taken_under_a_risk_is_a_breach_on_either_day() -> None:
    for dated, recorded, is_found in (
        ("2025-06-05", "2025-06-12", True),  # dated into the risk
        ("2025-06-02", "2025-06-05", True),  # recorded in it
        ("2025-06-02", "2025-06-12", True),  # neither, and who knows
        ("2025-06-11", "2025-06-12", False),
    ):
        case = lessons()
        add(case, "risk.declared", "2025-06-04", {}, "regulator")
        add(case, "risk.lifted", "2025-06-10", {}, "regulator")
        add(case, "funds.locked", dated, case.facts[1]["data"], "merchant")
        case.facts[-1]["recorded"] = instant(recorded, "12:00")
        rules = [f.rule for f in look("consumer-regulation-22.v1", case)]
        assert rules == ["consumer-regulation-22@1/risk"] * is_found, (dated, recorded)


def test_one_notice_is_no_notice_of_every_later_closing() -> None:
    """A notice speaks of the day that it names, and not of another years later."""
    case = card()
    told = add(case, "closing.notified", "2025-06-05", {"effective": "2025-07-10"}, "merchant")
    closed = add(case, "business.closed", "2025-12-01", {}, "merchant")
    found = look("shanghai-2019.v1", case)
    assert sentences(found) == [
        ("shanghai-2019@1/notice", "breach",
         "The merchant closed on 2025-12-01 and had told consumers of 2025-07-10.",
         "经营者于 2025-12-01 停业，而告知消费者的日期是 2025-07-10。"),
    ]  # fmt: skip
    assert found[0].positions == (told, closed)
    case.facts[-2]["data"]["effective"] = "2030-01-01"
    assert [f.en for f in look("shanghai-2019.v1", case)] == [
        "The merchant closed on 2025-12-01 and had told consumers of 2030-01-01."
    ]
    case.facts[-2]["data"]["effective"] = "2025-11-01"
    assert look("shanghai-2019.v1", case) == [], "thirty days later than announced, and no more"
    case.facts[-2]["data"]["effective"] = "2025-10-31"
    assert len(look("shanghai-2019.v1", case)) == 1


def test_a_delivery_recorded_after_the_release_was_not_delivered_for_it() -> None:
    """The merchant dates it to before; that covers no release that ran ahead."""
    case = lessons("; took 5 lesson 2025-07-01; released 500 2025-07-02")
    assert look("offcampus-training.v1", case) == []
    case.facts[-2]["recorded"] = instant("2025-07-03", "12:00")
    assert [f.values for f in look("offcampus-training.v1", case)] == [
        (("released", 50_000), ("delivered", 0))
    ]
    case.facts[-1]["recorded"] = instant("2025-07-04", "12:00")
    assert look("offcampus-training.v1", case) == [], "both were recorded late, in their order"
    case.facts[-1]["recorded"] = instant("2025-07-02", "12:00")
    case.facts[-2]["role"] = "both"
    assert look("offcampus-training.v1", case) == []


def test_no_time_to_pay_back_runs_from_the_consumers_own_date() -> None:
    """A request that the consumer alone dates to last year was made when it was recorded, unless
    whoever received it says that it came before."""
    case = lessons("; notice 2025-06-20")
    request = case.facts[-1]
    request["recorded"] = instant("2025-08-01", "12:00")
    assert look("beijing-2022.v1", case, on="2025-08-16") == []
    assert [f.en for f in look("beijing-2022.v1", case, on="2025-08-17")] == [
        "Nothing was paid back within 15 days, by 2025-08-16."
    ]
    add(case, "notice.arrived", "2025-06-21", {"of": request["position"]}, "merchant")
    assert [f.en for f in look("beijing-2022.v1", case, on="2025-07-07")] == [
        "Nothing was paid back within 15 days, by 2025-07-06."
    ]


def test_words_of_void_clauses_are_looked_for_wherever_the_terms_have_words() -> None:
    case = lessons()
    words = {"en": "No refunds.", "zh": "本卡概 不\u200b退款"}
    found = look("spc-prepaid-arts-9-24-25.v1", case, refund={**words, "within_days": 15})
    assert sentences(found) == [
        ("spc-prepaid-arts-9-24-25@1/no-refund/refund", "notice",
         ("The terms say “概不退款” under refund, words known from void clauses: it excludes "
         "ending the contract or claiming the prepayment back."),
         ("合同 refund 项含有“概不退款”，此类用语常见于无效条款："
         "排除消费者依法解除合同或者请求返还预付款的权利（第九条第一项）。")),
    ]  # fmt: skip
    everywhere = look(
        "spc-prepaid-arts-9-24-25.v1", case, liability=words, title=words,
        refund={**words, "within_days": 15},
        disputes={**words, "forum": "statutory"}, legal_basis={**words, "custody": "none"},
        items=[{"id": "lesson", **words}],
    )  # fmt: skip
    assert [f.rule.rpartition("/")[2] for f in everywhere] == [
        "title", "items[0]", "refund", "liability", "disputes", "legal_basis"
    ]  # fmt: skip


# -- drafts and comparators


def test_a_draft_does_nothing_until_a_date_is_set_and_then_only_notes() -> None:
    case = lessons("; cooling-off 2025-06-05")
    assert look("shenzhen-draft.v1", case) == []
    document = copy.deepcopy(PACKS["shenzhen-draft.v1"])
    document["effective_from"] = "2025-06-01"
    packs = schedule([read_pack(document)])

    def found(on: str) -> list[Finding]:
        facts = read_facts(case.facts)
        return list(find_breaches(packs, read_terms(case.terms), facts, CALENDAR, day(on), ""))

    assert found("2025-06-15") == []
    assert sentences(found("2025-06-16")) == [
        ("shenzhen-draft@1/refund", "notice",
         "Nothing was paid back within 10 days, by 2025-06-15. (By a draft.)",
         "未在 10 日内（2025-06-15 前）退款。（依征求意见稿。）"),
    ]  # fmt: skip


def test_refunds_within_five_and_fifteen_days() -> None:
    case = lessons("; cooling-off 2025-06-05; notice 2025-06-20")
    assert [f.en for f in look("beijing-2022.v1", case)] == [
        "Nothing was paid back within 5 days, by 2025-06-10.",
        "Nothing was paid back within 15 days, by 2025-07-05.",
    ]
    data = {"amount": 200_000, "payee": "ab" * 32, "source": "merchant"}
    add(case, "refund.paid", "2025-06-09", data, "merchant")
    assert len(look("beijing-2022.v1", case)) == 2, "the merchant's own word is no payment"
    add(case, "refund.paid", "2025-06-10", data | {"source": "custody"}, "custodian")
    assert [f.en for f in look("beijing-2022.v1", case)] == [
        "Nothing was paid back within 15 days, by 2025-07-05."
    ]


@pytest.mark.parametrize(
    ("asked", "clock", "is_breach"),
    [
        ("2025-06-10", "23:59", True),  # the seventh day, a Tuesday
        ("2025-06-11", "00:00", False),
        ("2025-06-02", "12:00", False),  # nothing was paid yet
    ],
)
def test_a_request_that_comes_too_late_obliges_nobody(
    asked: str, clock: str, is_breach: bool
) -> None:
    case = lessons()
    add(case, "cooling_off.requested", asked, {}, "consumer", clock)
    assert bool(look("beijing-2022.v1", case)) is is_breach


def test_of_a_request_that_rest_days_decide_the_rule_speaks_as_long_as_they_are_unknown() -> None:
    """Paid on 24 September 2025: the last day moves past the holidays of October, to the 9th."""
    case = parse_case("units lesson 20 for 2000; paid 2000 2025-09-24 ordered", [])
    packs = schedule([read_pack(PACKS["beijing-2022.v1"])])

    def is_found(asked: str, published: Published) -> bool:
        late = copy.deepcopy(case)
        add(late, "cooling_off.requested", asked, {}, "consumer")
        terms, facts = read_terms(late.terms), read_facts(late.facts)
        return bool(find_breaches(packs, terms, facts, published, day("2026-01-01"), ""))

    unknown = read_published([])
    assert [is_found("2025-10-09", each) for each in (CALENDAR, unknown)] == [True, True]
    assert [is_found("2025-10-10", each) for each in (CALENDAR, unknown)] == [False, True]
    assert [is_found("2025-11-02", each) for each in (CALENDAR, unknown)] == [False, False]


def test_rules_of_other_industries_are_left_alone() -> None:
    case = lessons()
    case.terms["industry"] = "driving"
    case.facts[-1]["data"]["channel"] = "loan"
    assert look("offcampus-training.v1", case) == []


def test_a_finding_is_a_document_in_both_languages() -> None:
    case = card()
    position = add(case, "balance.forfeited", "2025-12-01", {"amount": 5}, "merchant")
    (finding,) = look("spc-prepaid-arts-9-24-25.v1", case)
    assert finding.to_document() == {
        "article": "24",
        "en": "0.05 yuan of balance were taken; expiry never takes a balance.",
        "positions": [position],
        "rule": "spc-prepaid-arts-9-24-25@1/forfeit",
        "severity": "grave",
        "values": [["amount", 5]],
        "zh": "扣除余额 0.05 元；过期不没收余额。",
    }
