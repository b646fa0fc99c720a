"""Standard terms against art. 9's seven kinds, and the proof of prompting."""

from __future__ import annotations

from typing import Any

import pytest

from law.account import fold
from law.clauses import KINDS, Phrases, check_clauses, check_prompting
from law.facts import read_facts
from law.finding import BREACH, NOTICE
from law.terms import EFFECTS, read_terms
from tests.law.case_language import parse_case


def clause(**more: Any) -> dict[str, Any]:
    return {
        "burdensome": False, "effects": [], "en": "text", "id": "c1",
        "prompt": {"en": "", "zh": ""}, "zh": "条款", **more,
    }  # fmt: skip


def check(*clauses: dict[str, Any], **members: Any) -> list[tuple[str, str, str, str]]:
    terms = parse_case("units lesson 20 for 2000; paid 2000 2025-06-03", []).terms
    terms |= members
    terms["clauses"] = list(clauses)
    found = check_clauses(read_terms(terms))
    return [(f.article, f.severity, f.en, f.zh) for f in found]


def test_plain_terms_have_nothing() -> None:
    assert check(clause(effects=["none"])) == []


DECLARED = {
    "no_refund": (
        "9(1)",
        "Clause c1 may be void: it excludes ending the contract or claiming the prepayment back.",
        "条款 c1 可能无效：排除消费者依法解除合同或者请求返还预付款的权利（第九条第一项）。",
    ),
    "no_transfer": (
        "9(2)",
        "Clause c1 may be void: it unreasonably restricts transfer of the consumer's claim.",
        "条款 c1 可能无效：不合理地限制消费者转让预付式消费合同债权（第九条第二项）。",
    ),
    "no_reissue": (
        "9(3)",
        "Clause c1 may be void: it refuses to reissue a lost named card.",
        "条款 c1 可能无效：约定消费者遗失记名预付卡后不补办（第九条第三项）。",
    ),
    "unilateral_change": (
        "9(4)",
        (
            "Clause c1 may be void: it lets the merchant alone change price, kind, quality or "
            "quantity."
        ),
        (
            "条款 c1 可能无效：约定经营者有权单方变更价款、种类、质量、数量等实质性内容"
            "（第九条第四项）。"
        ),
    ),
    "no_liability": (
        "9(5)",
        "Clause c1 may be void: it excludes liability for defects or for the consumer's loss.",
        "条款 c1 可能无效：免除经营者瑕疵担保责任或者赔偿责任（第九条第五项）。",
    ),
    "costly_dispute": (
        "9(6)",
        (
            "Clause c1 may be void: it settles disputes in a way that unreasonably adds to the "
            "consumer's cost."
        ),
        "条款 c1 可能无效：约定的解决争议方法不合理增加消费者维权成本（第九条第六项）。",
    ),
    "unfair_other": (
        "9(7)",
        (
            "Clause c1 may be void: it takes the consumer's rights, lessens the merchant's "
            "liability or adds to the consumer's."
        ),
        (
            "条款 c1 可能无效：其他排除或者限制消费者权利、减轻或者免除经营者责任、"
            "加重消费者责任的不公平情形（第九条第七项）。"
        ),
    ),
}


def test_the_seven_kinds_are_the_articles_seven() -> None:
    assert list(KINDS) == list(EFFECTS[1:])
    assert list(DECLARED) == list(KINDS)
    assert len(KINDS) == 7


@pytest.mark.parametrize("effect", DECLARED)
def test_a_declared_effect_is_a_finding(effect: str) -> None:
    article, en, zh = DECLARED[effect]
    assert check(clause(effects=[effect])) == [(article, BREACH, en, zh)]


MEMBERS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"cooling_off": {"days": 3, "despite_prior": False, "use": "unsaid"}}, "9(1)", BREACH,
     ("The terms give 3 days to leave without a reason; art. 14 gives 7, and the engine counts "
     "those.")),
    ({"transfer": "forbidden"}, "9(2)", BREACH,
     "The terms forbid any transfer of the consumer's claim."),
    ({"reissue": "none"}, "9(3)", BREACH,
     "The terms refuse to reissue a lost card; a named one must be reissued (art. 24)."),
    ({"price_changes": "unilateral"}, "9(4)", BREACH,
     "The terms let the merchant change prices alone; that has no effect (art. 12)."),
    ({"disputes": {"en": "", "forum": "arbitration", "zh": ""}}, "9(6)", NOTICE,
     ("The terms choose how disputes are settled; whether that adds to the consumer's cost must be "
     "weighed.")),
    ({"expiry": {"after": "forfeits", "months": 12}}, "9(7)", BREACH,
     "The terms forfeit a balance on expiry; expiry never takes a balance (art. 24)."),
    ({"interest": {"basis": "365", "first_day": False, "last_day": True, "ppm": 0,
                   "start": "ended"}}, "9(7)", NOTICE,
     "The terms exclude interest on what is returned."),
    ({"agreements": [{"den": 10, "num": 1, "what": "fee", "when": ["consumer"]}]}, "9(7)", BREACH,
     "Agreement 0 is less than the law gives; the engine lists it and does not apply it."),
    ({"agreements": [{"basis": "undiscounted", "what": "value_at", "when": ["neither"]}]},
     "9(7)", BREACH,
     "Agreement 0 is less than the law gives; the engine lists it and does not apply it."),
    ({"agreements": [{"den": 2, "num": 0, "what": "share", "when": ["merchant"]}]}, "9(7)", BREACH,
     "Agreement 0 is less than the law gives; the engine lists it and does not apply it."),
    ({"agreements": [{"prices": [{"item": "lesson", "price": 10_001}], "what": "prices",
                      "when": ["consumer"]}]}, "9(7)", BREACH,
     "Agreement 0 is less than the law gives; the engine lists it and does not apply it."),
    ({"closes": 11 * 60 + 59}, "9(1)", NOTICE,
     ("By the terms business ends at 11:59, and with it the last day to leave without a reason; "
      "whether it does must be weighed.")),
]  # fmt: skip


@pytest.mark.parametrize(("members", "article", "severity", "sentence"), MEMBERS)
def test_what_the_members_say_by_themselves(
    members: dict[str, Any], article: str, severity: str, sentence: str
) -> None:
    ((found_article, found_severity, en, zh),) = check(**members)
    assert (found_article, found_severity, en) == (article, severity, sentence)
    assert zh


def test_agreements_that_help_are_no_finding() -> None:
    assert (
        check(
            agreements=[
                {"basis": "discounted", "what": "value_at", "when": ["consumer"]},
                {"basis": "undiscounted", "what": "value_at", "when": ["consumer"]},
                {"den": 2, "num": 1, "what": "share", "when": ["consumer"]},
                {"den": 2, "num": 0, "what": "fee", "when": ["consumer"]},
                {
                    "prices": [{"item": "lesson", "price": 10_000}],
                    "what": "prices",
                    "when": ["consumer"],
                },
            ]
        )
        == []
    )


def test_a_phrase_is_told_once_and_not_where_the_clause_declares_it() -> None:
    phrases = [Phrases("no_refund", ("概不退款", "不退不换"), "pack@1/words")]
    case = parse_case("units lesson 20 for 2000; paid 2000 2025-06-03", [])
    for effects, rules in (([], ["pack@1/words/c1"]), (["no_refund"], ["art9/c1"])):
        case.terms["clauses"] = [clause(zh="概不退款，不退不换。", effects=effects)]
        found = check_clauses(read_terms(case.terms), phrases)
        assert [finding.rule for finding in found] == rules
    case.terms["clauses"] = [clause(zh="概不退款，不退不换。")]
    (finding,) = check_clauses(read_terms(case.terms), phrases)
    assert (finding.severity, finding.en, finding.zh) == (
        NOTICE,
        (
            "Clause c1 says “概不退款”, words known from void clauses: it excludes ending the "
            "contract or claiming the prepayment back."
        ),
        (
            "条款 c1 含有“概不退款”，此类用语常见于无效条款："
            "排除消费者依法解除合同或者请求返还预付款的权利（第九条第一项）。"
        ),
    )


def test_a_burdensome_clause_is_pointed_out_and_that_is_proven() -> None:
    silent = clause(burdensome=True)
    assert check(silent) == [
        ("civil code 496; consumer law 26", BREACH,
         ("Clause c1 is of great interest to the consumer, and the terms do not say how it is "
         "pointed out."),
         "条款 c1 与消费者有重大利害关系，合同未写明以何种方式提示。"),
    ]  # fmt: skip
    case = parse_case("units lesson 20 for 2000; paid 2000 2025-06-03", [])
    case.terms["clauses"] = [clause(burdensome=True, prompt={"en": "ticked", "zh": "勾选"})]
    terms = read_terms(case.terms)
    assert check_clauses(terms) == ()
    (finding,) = check_prompting(terms, fold(terms, read_facts(case.facts)))
    assert (finding.article, finding.en, finding.zh, finding.positions) == (
        "civil code 496(2)",
        (
            "No proof was recorded that clause c1 was pointed out and explained; the consumer may "
            "claim that it is no part of the contract."
        ),
        "未记录已提示并说明条款 c1 的证明；消费者可以主张该条款不成为合同的内容。",
        (9,),
    )
    case.facts[0]["data"]["prompted"] = [{"clause": "c1", "proof": "0" * 64}]
    assert check_prompting(terms, fold(terms, read_facts(case.facts))) == ()
