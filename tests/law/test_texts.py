"""Derivations as people read them, in both languages, and the documents' lists of questions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from contracts.events import GroundData
from law.derivation_text import (
    FORMULAS,
    GROUNDS,
    LABELS,
    LEGEND,
    ROUTES,
    SPEAKERS,
    STANDARDS,
    TOLD,
    render_derivation,
    split_label,
)
from law.facts import ROLES
from law.questions import QUESTIONS
from law.terms_text import LANGUAGES
from tests.law.case_language import parse_case
from tests.law.life_checks import run_engine
from tests.law.random_lives import make_life
from tests.law.test_cases import CASES, PUBLISHED

ROOT = Path(__file__).parents[2]


def test_every_step_of_every_case_and_many_lives_has_words_in_both_languages() -> None:
    formulas, labels = set(), set()
    derivations = [run_engine(parse_case(row[2], PUBLISHED)) for row in CASES]
    derivations += [run_engine(make_life(seed)) for seed in range(150)]
    for derivation in derivations:
        for lang in LANGUAGES:
            assert render_derivation(derivation, lang)
        for result in derivation.results:
            for step in result.steps:
                formulas.add(step.formula)
                labels |= {given.name for given in step.inputs} | {step.name}
    assert formulas == set(FORMULAS)
    named = {split_label(label)[0] for label in labels}
    assert named - set(LABELS) == {
        "B", "F", "I", "P", "R", "U", "W", "a", "k", "m", "u", "v",
    }  # fmt: skip
    assert set(LABELS) <= named


def test_a_derivation_reads_well() -> None:
    case = parse_case(
        "units lesson 30 for 3000 +5; agreed any fee 1/10; paid 2700 2025-06-03 voucher 300 city "
        "held; voucher pro_rata; took 10 lesson 2025-07-10; gift towel 59 2025-07-10; notice "
        "2025-08-01; cause merchant; as of 2025-10-10",
        PUBLISHED,
    )
    derivation = run_engine(case)
    english = render_derivation(derivation, "en").splitlines()
    assert english[1:4] == ["Payee: consumer", LEGEND.en, ""]
    assert english[4:17] == [
        "1. ended (arts 13, 15) · the merchant's cause",
        "   Assuming bonus_units=bonus: the extra units lower the price of all (art. 18(1)(2), 21)",
        "   Ended 2025-08-01",
        (
            "     [art. 15(1), 18(1)(1)] v = Σ k × price : v = 857.14…  ← k lesson 10 "
            "(entries 11), a lesson 85.71…"
        ),
        "     [art. 15(1)] R = P − v : R = 2,142.86…  ← P 3,000.00 (entries 10), v 857.14…",
        (
            "     [art. 15(1), 18(2), 19(3), 20] principal = max(0, min(P, best of law and "
            "agreements)) : principal = 2,142.86 (half up)  ← R 2,142.86…"
        ),
        (
            "     [art. 15(1)] issuers = ⌊principal × vouchers/P⌋ : issuers = 214.28  ← principal "
            "2,142.86, vouchers 300.00 (entries 10), P 3,000.00 (entries 10)"
        ),
        (
            "     [art. 15(1)] consumer = principal − issuers : consumer = 1,928.58  ← principal "
            "2,142.86, issuers 214.28"
        ),
        (
            "     [art. 16(1), 17(1)] I = Σ owed × ppm/1000000 × days/basis : I lpr_1y = 11.10 "
            "(half up)  ← principal 1,928.58, from 2025-08-01 (entries 13), to 2025-10-10, first "
            "day not counted, last day counted, basis 365, exact 11.10…, ppm 30000 (entries 2)"
        ),
        "   Principal: 2,142.86",
        "     custody → consumer: 1,928.58",
        "     custody → city: 214.28",
        "   Interest (one-year LPR): 11.10, still owed 1,939.68",
    ]
    chinese = render_derivation(derivation, "zh").splitlines()
    assert chinese[4:7] == [
        "1. 合同解除（第十三、十五条） · 因经营者原因",
        "   假设 bonus_units=bonus: 赠送次数摊低单价 (第十八条第一款第二项、第二十一条)",
        "   终止日 2025-08-01",
    ]
    assert "   约定 0 的手续费 214.29：不扣减，另行主张" in chinese
    assert chinese[-1] == "条文未定之处并列各种结果及其假设，由法院或仲裁机构决定。"
    assert "  赠品，从不冲抵；0 至此数 59.00 (第二十一条)（第 12 条）" in chinese
    assert "  gifts, never netted; from 0 to this value 59.00 (art. 21) (entries 12)" in english


def test_what_is_not_known_is_said() -> None:
    case = parse_case(
        "units lesson 20 for 2000 list 150; paid 2000 2018-06-04; took 8 lesson 2018-07-10; "
        "disputes price; cause consumer; notice 2025-08-01; as of 2025-10-10",
        [],
    )
    english = render_derivation(run_engine(case), "en")
    chinese = render_derivation(run_engine(case), "zh")
    assert "   Principal: not known" in english
    assert "   本金：未知" in chinese
    assert "   Interest (one-year deposit benchmark): not known" in english
    assert "   利息（一年期存款基准利率）：未知" in chinese
    assert "   Assuming price=market: the court takes the market price (art. 19(2))" in english
    assert "   Ended 2025-08-01" in english
    with pytest.raises(ValueError, match="language 'fr'; zh or en"):
        render_derivation(run_engine(case), "fr")


@pytest.mark.parametrize("name", ["docs/LAW.md", "docs/LAW.zh-CN.md"])
def test_the_documents_list_every_question_and_answer(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (`.+?) \| .+ \|$", text, re.MULTILINE)
    listed = {question: set(re.findall(r"`(\w+)`", answers)) for question, answers in rows}
    assert {q: listed.get(q) for q in QUESTIONS} == {
        q: set(known.answers) for q, known in QUESTIONS.items()
    }
    for standard in STANDARDS:
        assert f"`{standard}`" in text


def test_the_words_are_whole() -> None:
    for table in (ROUTES, STANDARDS, TOLD):
        assert all(words.en and words.zh for words in table.values())
    for question in QUESTIONS.values():
        assert question.article
        assert all(words.en and words.zh for words in question.answers.values())


def test_what_is_told_of_cause_and_ground_is_chinese_in_chinese() -> None:
    given = parse_case(
        "card 1000 cut 48; paid 1000 2025-06-03; notice 2025-08-01; as of 2025-08-01", PUBLISHED
    )
    at = given.facts[-1]["at"]
    for position, kind, data, role in (
        (80, "cause.stated", {"cause": "merchant", "standing": "claim"}, "consumer"),
        (82, "ground.stated", {"ground": "premises_moved", "standing": "finding"}, "court"),
    ):
        given.facts.append(
            {"at": at, "author": role, "data": data, "kind": kind, "position": position,
             "recorded": at, "role": role}
        )  # fmt: skip
    derivation = run_engine(given)
    chinese = render_derivation(derivation, "zh")
    assert "  解除事由 (第十三条第一款第一项)：变更经营场所（法院认定）（第 82 条）\n" in chinese
    assert (
        "  原因 (第十六条第一款、第十八条第一款第一项、第十八条第一款第二项、第十九条第一款)："
        "因经营者原因（消费者主张）（第 80 条）\n" in chinese
    )
    assert (
        "  ground (art. 13(1)(1)): premises_moved, found by court (entries 82)\n"
        in render_derivation(derivation, "en")
    )
    assert tuple(SPEAKERS) == ROLES
    assert set(GROUNDS) == set(get_args(get_type_hints(GroundData)["ground"]))


def render(text: str, lang: str) -> str:
    return render_derivation(run_engine(parse_case(text, PUBLISHED)), lang)


def test_what_nothing_has_ended_is_said_to_be_assumed() -> None:
    text = "units lesson 20 for 2000; notices other; paid 2000 2025-06-03; notice 2025-08-01"
    english, chinese = render(text, "en"), render(text, "zh")
    assert english.count("   Ended 2025-08-01?\n") == 3
    assert english.count(
        "   Assuming ended_by=assumed: the contract ends on the as-of day "
        "(art. 17(1), civil code art. 565(1), 565(2))\n"
    ) == 3  # fmt: skip
    assert chinese.count("   终止日 2025-08-01?\n") == 3
    assert chinese.count("   假设 ended_by=assumed: 假设合同于截止日终止 (") == 3
    assert "assumed" not in render(text.replace("notices other; ", ""), "en")


def test_who_asked_too_late_has_ended_nothing() -> None:
    text = "units lesson 20 for 2000; paid 2000 2025-04-20; cooling-off 2025-04-28 00:00"
    assert "   Asked 2025-04-28\n" in render(text, "en")
    assert "   Ended 2025-04-28\n" not in render(text, "en")
    assert "   请求日 2025-04-28\n" in render(text, "zh")


def test_agreements_are_named_by_words_and_by_their_number_in_the_terms() -> None:
    text = (
        "card; price cut 60 list 80; order bonus_first; agreed any share 1/2; agreed any "
        "discounted; agreed consumer price cut 70; paid 1000 2025-06-03 bonus 200; took 5 cut "
        "2025-07-10 debit 300; notice 2025-08-01; cause consumer"
    )
    english, chinese = render(text, "en"), render(text, "zh")
    assert "R 600.00, agreement 0 500.00, agreement 1 750.00, agreement 2 650.00, order of" in (
        english
    )
    assert "   Agreement order of spending (the bonus first): 900.00 (more" in english
    assert "   Agreement 0 (a share of what was paid): 500.00 (not more favourable)\n" in english
    assert "   Agreement 1 (what was delivered is valued as agreed): 750.00 (not" in english
    assert "   Agreement 2 (agreed prices): 650.00 (not" in english
    assert "约定 2 650.00, 扣用顺序 900.00\n" in chinese
    assert "   约定 扣用顺序（先用赠送金额）：900.00（更有利，从约定）\n" in chinese
    assert "   约定 0（退还已付款的约定份额）：500.00（并非更有利，不适用）\n" in chinese


def test_values_that_are_words_are_chinese_in_chinese() -> None:
    held = "units lesson 20 for 2000; paid 2000 2025-06-03"
    over = "unlimited 365 days from 2025-06-01 for 3650; paid 3650 2025-05-30"
    assigned = render(f"{held}; assigned B 2025-07-10; notice 2025-08-01", "zh")
    assert "B [债权转让及于退款，第十一条第一款] | consumer [债权转让不及于退款，" in assigned
    broken = render(f"{over}; stopped 2025-07-01; resumed 2025-07-11; notice 2025-08-01", "zh")
    assert "计量 日, 末日 计为已用, 计至 2025-08-01, 中断 计为剩余（第 11, 12 条）" in broken
    asked = render(f"{held}; paid 500 2025-06-05; use discounted; cooling-off 2025-06-06", "zh")
    assert "起算 各笔付款\n" in asked
    never = render("pass 30 days from activation for 300; paid 300 2025-06-03; notice "
                   "2025-08-01; basis actual", "zh")  # fmt: skip
    assert "起始日 尚未开始" in never
    assert "年日数 当年实际日数" in never
    dear = "units lesson 20 for 2000 list 150; paid 2000 2025-06-03; took 8 lesson 2025-07-10"
    unknown = render(f"{dear}; disputes price; cause consumer; notice 2025-08-01", "zh")
    assert " = 未知" in unknown


def test_published_data_are_named_by_their_entries() -> None:
    text = (
        "units lesson 20 for 2000; paid 2000 2025-06-03 ordered; notice 2025-08-01; asks account; "
        "account 0.5% 2025-01-01; as of 2025-08-31; cause merchant"
    )
    assert "in the account 2,000.00, account ppm from 2025-01-01 5000 (entries 5)\n" in (
        render(text, "en")
    )


def test_use_after_the_seven_days_is_not_said_to_be_inside_them() -> None:
    text = (
        "units lesson 20 for 2000; paid 2000 2025-06-03; cooling-off 2025-06-05; took 8 lesson "
        "2025-07-10"
    )
    said = "   Assuming use=not_deducted: what was used is not deducted (art. 14(1))\n"
    assert said in render(text, "en")
    assert "   假设 use=not_deducted: 已用部分不扣减 (第十四条第一款)\n" in render(text, "zh")


def find_interest(text: str, lang: str) -> list[str]:
    return [line for line in render(text, lang).splitlines() if "1000000" in line]


ACCOUNT = (
    "units lesson 20 for 2000; paid 2000 2025-06-03 ordered; notice 2025-08-01; asks account; "
    "account 0.5% 2025-01-01; account 0.4% 2025-08-16; as of 2025-08-31; cause merchant"
)


def test_money_at_the_accounts_rate_is_worked_with_that_rate_and_no_other() -> None:
    (english,), (chinese,) = find_interest(ACCOUNT, "en"), find_interest(ACCOUNT, "zh")
    assert english.endswith(
        " I = Σ (in the account × account ppm + rest × ppm)/1000000 × days/basis : "
        "I lpr_1y+account = 0.73 (half up)  ← principal 2,000.00, from 2025-08-01 (entries 11), "
        "to 2025-08-31, first day not counted, last day counted, basis 365, exact 0.73…, "
        "in the account 2,000.00, account ppm from 2025-01-01 5000 (entries 5), "
        "account ppm from 2025-08-16 4000 (entries 5)"
    )
    assert chinese.endswith(
        "账户内部分 2,000.00, 2025-01-01 起的账户利率（百万分之） 5000（第 5 条）, "
        "2025-08-16 起的账户利率（百万分之） 4000（第 5 条）"
    )


def test_the_standards_rate_stands_beside_the_accounts_where_a_part_bears_it() -> None:
    (line,) = find_interest(ACCOUNT.replace("2000 2025-06-03 ordered", "500 2025-06-03 ordered; "
                            "paid 1500 2025-06-03"), "en")  # fmt: skip
    assert "ppm 30000 (entries 2), in the account 500.00, account ppm from 2025-01-01 5000" in line


def test_the_account_whose_rate_is_not_published_is_told_from_the_standard_and_the_day() -> None:
    text = ACCOUNT.replace("account 0.5% 2025-01-01; ", "")
    (english,) = [line for line in render(text, "en").splitlines() if "unknown" in line]
    assert english.endswith(
        "the account's rate is not published : I lpr_1y+account = unknown  ← from 2025-08-01 "
        "(entries 11), without a rate on 2025-08-02"
    )
    assert (
        "账户利率未公布 : I lpr_1y+account = 未知  ← 起算日 2025-08-01（第 11 条）, 无利率之日 "
        in (render(text, "zh"))
    )


def test_what_was_paid_back_by_the_as_of_day_is_said_of_every_route() -> None:
    text = (
        "units lesson 20 for 2000; paid 2000 2025-06-03 held; cooling-off 2025-06-05; repaid 600 "
        "custody 2025-06-20; repaid 400 merchant 2025-06-21; repaid 1000 custody 2025-07-02; "
        "as of 2025-07-01"
    )
    english, chinese = render(text, "en").splitlines(), render(text, "zh").splitlines()
    assert english[2] == "Paid back by that day: from custody 600.00, by the merchant 400.00"
    assert chinese[2] == "至该日已退：托管 600.00，经营者 400.00"
    assert not [line for line in render(ACCOUNT, "en").splitlines() if "Paid back" in line]


def test_what_was_paid_after_the_end_is_told_with_the_interest_it_bears() -> None:
    text = (
        "card; price cut 60; paid 500 2025-06-03; paid 500 2025-08-05; notice 2025-08-01; "
        "served 2025-08-10; cause merchant; as of 2025-08-20"
    )
    assert (
        "  paid after the end, and counted as paid from the end on 500.00 (art. 17(1)) "
        "(entries 11)\n" in render(text, "en")
    )
    assert "  终止之后的付款，计息时视同终止时已付 500.00 (第十七条第一款)（第 11 条）\n" in (
        render(text, "zh")
    )
    assert "after the end" not in render(text.replace("paid 500 2025-08-05; ", ""), "en")
    assert "paid after the end" not in render(text.replace("08-20", "07-30"), "en"), "it is whole"


def test_a_finding_of_invalidity_is_no_end_and_one_after_the_as_of_day_is_told() -> None:
    text = (
        "units lesson 20 for 2000; paid 2000 2025-06-03; invalid void 2025-08-01; took 1 lesson "
        "2025-08-05; cause merchant; as of 2025-08-10"
    )
    english, chinese = render(text, "en"), render(text, "zh")
    assert "   Found 2025-08-01\n" in english
    assert "   确认之日 2025-08-01\n" in chinese
    assert "what was delivered after the recorded end or finding counts as delivered (" in english
    assert "已记录的终止或者确认之后的提供计为已提供 (" in chinese
    assert "Ended" not in english
    assert "after the as-of day" not in english
    early = text.replace("2025-08-10", "2025-07-20")
    told = "  came after the as-of day, and counts all the same (entries 11)\n"
    assert told in render(early, "en")
    assert "  在截止日之后，仍予计入（第 11 条）\n" in render(early, "zh")
    asked = "units lesson 20 for 2000; paid 2000 2025-06-03; cooling-off 2025-06-09; as of {}"
    assert told in render(asked.format("2025-06-05"), "en")
    assert told not in render(asked.format("2025-06-09"), "en")


def test_what_was_paid_back_is_dated_in_the_working_of_interest() -> None:
    text = (
        "units lesson 20 for 2000; paid 2000 2025-06-03 held; notice 2025-08-01; repaid 400 "
        "custody 2025-08-11; repaid 300 merchant 2025-08-21; repaid 100 merchant 2025-08-21; "
        "as of 2025-10-10; cause merchant"
    )
    (english,), (chinese,) = find_interest(text, "en"), find_interest(text, "zh")
    assert english.endswith(
        "paid back from custody on 2025-08-11 400.00 (entries 12), "
        "paid back by the merchant on 2025-08-21 400.00 (entries 13, 14)"
    )
    assert chinese.endswith(
        "首日 不计, 末日 计入, 年日数 365, 精确值 7.90…, 利率（百万分之） 30000（第 2 条）, "
        "2025-08-11 托管已退 400.00（第 12 条）, "
        "2025-08-21 经营者已退 400.00（第 13, 14 条）"
    )
