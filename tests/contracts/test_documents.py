"""Terms, rule packs, published pages and competence on the chain: who may publish what."""

from __future__ import annotations

from typing import Any

from contracts.documents import DocumentRecord, VersionsRecord
from law.canonical import encode
from law.days import day_of, show_day
from ledger.transaction import Outcome, applied, refused
from tests.contracts.life_world import LifeWorld, hash_of, load, paid_world
from tests.contracts.samples import SAMPLES

COMPETENCE = {
    "regulators": [
        {
            "department": "market_regulation",
            "industries": ["*"],
            "regulator": "bank-1",
            "series": ["lpr_1y", "deposit_1y"],
        },
        {
            "department": "education",
            "industries": ["training"],
            "regulator": "bank-2",
            "series": [],
        },
    ]
}


def pack(**changes: Any) -> dict[str, Any]:
    return load("rules/offcampus-training.v1.json") | {"publisher": "bank-2"} | changes


def publish(
    world: LifeWorld, kind: str, document: dict[str, Any], signer: str, stream: str
) -> Outcome:
    return world.one(kind, stream, {"document": document}, signer)


def agree(world: LifeWorld) -> None:
    world.must("competence.publish", "published/competence", COMPETENCE, "bank-1", "bank-2")


def test_terms_are_kept_by_hash_and_versions_only_go_up() -> None:
    world = LifeWorld()
    second = load("terms/hair-card.v2.json")
    outcome = publish(world, "terms.publish", second, "m-1", "terms/hair-card")
    assert outcome == applied(("hash", hash_of(second)), ("version", 2))
    record = world.record("terms/hair-card")
    assert isinstance(record, VersionsRecord)
    assert [version.version for version in record.versions] == [1, 2]
    assert world.leaves[record.versions[1].position] == world.block.entries[0]
    kept = world.record(f"document/{hash_of(second)}")
    assert isinstance(kept, DocumentRecord)
    assert publish(world, "terms.publish", world.terms, "m-1", "terms/hair-card") == refused(
        "version_not_above", ("version", 1), ("newest", 2)
    )
    third = second | {"template": {"id": "hair-card", "version": 3}}
    assert publish(world, "terms.publish", third, "m-2", "terms/hair-card") == refused(
        "published_by_another", ("publisher", "m-1")
    )
    assert publish(world, "terms.publish", third, "c-1", "terms/hair-card") == refused(
        "not_entitled", ("signer", "c-1")
    )
    assert publish(world, "terms.publish", third, "m-1", "terms/other") == refused(
        "wrong_stream", ("stream", "terms/other"), ("expected", "terms/hair-card")
    )


def test_a_document_that_is_none_is_refused_in_a_sentence() -> None:
    world = LifeWorld()
    wrong = world.terms | {"industry": "banking"}
    outcome = publish(world, "terms.publish", wrong, "m-1", "terms/hair-card")
    assert outcome.code == "document_refused"
    assert dict(outcome.effects)["why"] == "unknown_word"
    assert str(dict(outcome.effects)["detail"]).startswith(
        "terms.industry is 'banking'; one of training, "
    )


def test_pages_of_a_series_are_bounded_together() -> None:
    """Every computation parses them all: 256 of the largest would take it two seconds."""
    world = LifeWorld()
    day = 86_400_000
    points = [{"published": number * day, "ppm": 31_000} for number in range(700)]
    page = {
        "format": "evidence-ledger/published",
        "version": 1,
        "series": "deposit_1y",
        "source": "a bank",
        "points": points,
    }
    outcomes = []
    while not outcomes or not outcomes[-1].refused:
        outcomes.append(publish(world, "data.publish", page, "bank-1", "published/deposit_1y"))
    size = len(encode(page))
    assert len(outcomes) - 1 == 65_536 // size > 1
    assert outcomes[-1] == refused(
        "series_too_large", ("bytes", len(outcomes) * size), ("allowed", 65_536)
    )


def test_versions_are_bounded() -> None:
    world = LifeWorld()
    for version in range(2, 257):
        document = world.terms | {"template": {"id": "hair-card", "version": version}}
        assert publish(world, "terms.publish", document, "m-1", "terms/hair-card").code == ""
    document = world.terms | {"template": {"id": "hair-card", "version": 257}}
    assert publish(world, "terms.publish", document, "m-1", "terms/hair-card") == refused(
        "too_many_versions", ("versions", 256), ("allowed", 256)
    )


def test_a_majority_of_the_regulators_says_who_is_competent() -> None:
    world = LifeWorld()
    stream = "published/competence"
    assert world.one("competence.publish", stream, COMPETENCE, "bank-1") == refused(
        "no_majority", ("signed", 1), ("needed", 2)
    )
    assert world.one("competence.publish", stream, COMPETENCE, "bank-1", "bank-0") == refused(
        "not_entitled", ("signer", "bank-0")
    )
    wrong = {"regulators": [COMPETENCE["regulators"][0] | {"industries": ["banking"]}]}
    assert world.one("competence.publish", stream, wrong, "bank-1", "bank-2") == refused(
        "unknown_industry", ("industry", "banking")
    )
    outcome = world.one("competence.publish", stream, COMPETENCE, "bank-1", "bank-2")
    assert outcome == applied(("regulators", 2))


def test_rules_are_published_by_the_competent_regulator() -> None:
    world = LifeWorld()
    agree(world)
    stream = "rules/offcampus-training"
    assert publish(world, "rules.publish", pack(), "bank-2", stream).code == ""
    assert publish(world, "rules.publish", pack(), "bank-1", stream) == refused(
        "not_entitled", ("signer", "bank-1")
    )
    assert publish(world, "rules.publish", pack(), "m-1", stream) == refused(
        "not_a_regulator", ("signers", "m-1")
    )
    wider = pack(
        industries=["training", "fitness"], pack={"id": "offcampus-training", "version": 2}
    )
    outcome = publish(world, "rules.publish", wider, "bank-2", stream)
    assert outcome.code == "document_refused"
    assert dict(outcome.effects)["detail"] == (
        "rules offcampus-training@2 are published by the department education for fitness; it is "
        "competent for training"
    )


def test_a_regulator_of_one_district_binds_no_other() -> None:
    """Its pack bound merchants of every district."""
    world = LifeWorld()
    scoped = [COMPETENCE["regulators"][0], COMPETENCE["regulators"][1] | {"districts": ["nanshan"]}]
    world.must(
        "competence.publish", "published/competence", {"regulators": scoped}, "bank-1", "bank-2"
    )
    stream = "rules/offcampus-training"
    for districts, where in (([], "every district"), (["nanshan", "futian"], "futian")):
        document = pack(**({"districts": districts} if districts else {}))
        assert publish(world, "rules.publish", document, "bank-2", stream) == refused(
            "document_refused",
            ("why", "not_entitled"),
            ("detail", (
                f"rules offcampus-training@1 are published by bank-2 for {where}; it is competent "
                "in nanshan"
            )),
        )  # fmt: skip
    assert publish(world, "rules.publish", pack(districts=["nanshan"]), "bank-2", stream).code == ""


def test_a_pack_finds_breaches_of_merchants_of_its_districts_alone() -> None:
    world = LifeWorld()
    phrases = load("rules/spc-prepaid-arts-9-24-25.v1.json") | {
        "districts": ["nanshan"], "publisher": "bank-1",
    }  # fmt: skip
    stream = f"rules/{phrases['pack']['id']}"
    assert publish(world, "rules.publish", phrases, "bank-1", stream).code == ""
    found = {}
    for district in ("nanshan", "futian", ""):
        merchant = f"m-of-{district or 'none'}"
        data = {
            "district": district, "keys": [world.key(merchant).public_key.hex()],
            "party": merchant, "role": "merchant",
        }  # fmt: skip
        world.must("party.register", f"party/{merchant}", data, "bank-0")
        card = f"contract/{merchant}"
        world.must("contract.signed", card, world.signing() | {"merchant": merchant}, merchant)
        world.must("balance.forfeited", card, {"amount": 5}, merchant)
        look = {"as_of": "2026-01-20", "packs": [phrases["pack"]["id"]]}
        outcome = world.one("findings.computed", card, look, merchant)
        found[district] = [value for name, value in outcome.effects if name == "rule"]
    forfeit = "spc-prepaid-arts-9-24-25@1/forfeit"
    assert {district: forfeit in rules for district, rules in found.items()} == {
        "nanshan": True, "futian": False, "": False,
    }  # fmt: skip


def test_rules_that_change_days_that_are_over_are_found() -> None:
    """Whoever publishes could take a rule back for the day on which it was broken; and could make
    one, under a name of its own, for a day on which everybody kept all rules."""
    world = LifeWorld()
    today = show_day(day_of(world.next_ms))
    yesterday = show_day(day_of(world.next_ms) - 1)
    draft = {"effective_from": None, "status": "draft"}
    for name, number, changes, found in (
        ("offcampus-training", 1, {}, True),
        ("offcampus-training", 2, {"effective_from": yesterday}, True),
        ("offcampus-training", 3, {"effective_from": today}, False),
        ("another", 1, {"effective_from": yesterday}, True),
        ("from-today", 1, {"effective_from": today}, False),
        ("some-day", 1, draft, False),
    ):
        document = pack(**changes, pack={"id": name, "version": number})
        outcome = publish(world, "rules.publish", document, "bank-2", f"rules/{name}")
        assert outcome == applied(
            ("hash", hash_of(document)),
            ("version", number),
            *([("finding", "rules_backdated")] if found else []),
        )


def reach(world: LifeWorld, **changes: Any) -> None:
    """Say how far the regulator of training reaches from now on."""
    scoped = [COMPETENCE["regulators"][0], COMPETENCE["regulators"][1] | changes]
    world.must(
        "competence.publish", "published/competence", {"regulators": scoped}, "bank-1", "bank-2"
    )


def test_no_version_ends_what_its_publisher_is_not_competent_for() -> None:
    """A version for one district would end what holds in all, by whoever may no longer say so."""
    world = LifeWorld()
    stream = "rules/offcampus-training"

    def next_version(number: int, **changes: Any) -> Outcome:
        document = pack(**changes, pack={"id": "offcampus-training", "version": number})
        return publish(world, "rules.publish", document, "bank-2", stream)

    def not_competent(number: int, held: int, where: str, reached: str) -> Outcome:
        return refused(
            "document_refused",
            ("why", "not_entitled"),
            ("detail", (
                f"rules offcampus-training@{number} take the place of offcampus-training@{held}, "
                f"which hold for {where}; bank-2 is competent for {reached}"
            )),
        )  # fmt: skip

    reach(world)
    assert next_version(1).code == ""
    here = {"districts": ["nanshan"]}
    reach(world, **here)
    for changes in (
        here,
        here | {"effective_from": "2035-01-01"},
        here | {"effective_from": None, "status": "draft"},
    ):
        assert next_version(2, **changes) == not_competent(2, 1, "every district", "nanshan")
    reach(world)
    later = {"effective_from": "2035-01-01"}
    assert next_version(2, **here, **later).code == "", "whoever may speak for all may narrow it"
    reach(world, **here)
    assert next_version(3, **here, effective_from="2034-01-01") == not_competent(
        3, 1, "every district", "nanshan"
    ), "the version that is still to come leaves the one before it in force until then"
    assert next_version(3, **here, **later).code == "", "which only ends what is of the district"
    reach(world, **here, industries=["fitness"])
    other = here | later | {"industries": ["fitness"]}
    assert next_version(4, **other) == not_competent(4, 3, "training", "fitness")


def test_rates_are_published_by_whom_their_series_is() -> None:
    world = LifeWorld()
    agree(world)
    page = load("published/lpr-1y.json")
    page.pop("position", None)
    assert publish(world, "data.publish", page, "bank-1", "published/lpr_1y").code == ""
    assert publish(world, "data.publish", page, "bank-2", "published/lpr_1y") == refused(
        "not_competent_for_series", ("signer", "bank-2"), ("series", "lpr_1y")
    )
    assert publish(world, "data.publish", page, "bank-0", "published/lpr_1y") == refused(
        "not_a_regulator", ("signers", "bank-0")
    )
    placed = page | {"position": 3}
    assert publish(world, "data.publish", placed, "bank-1", "published/lpr_1y") == refused(
        "document_refused",
        ("why", "unknown_member"),
        ("detail", "document.position is given by the ledger; leave it out"),
    )
    account = {
        "format": "evidence-ledger/published",
        "points": [{"from": "2026-01-01", "ppm": 3500}],
        "series": "account/acc-1",
        "source": "the bank's own rate",
        "version": 1,
    }
    for signer in ("bank-0", "m-1"):
        stream = f"published/account.{signer}.acc-1"
        for other in ("published/account.acc-1", "published/account.bank-4.acc-1"):
            assert publish(world, "data.publish", account, signer, other) == refused(
                "wrong_stream", ("stream", other), ("expected", stream)
            )
        outcome = publish(world, "data.publish", account, signer, stream)
        assert outcome.code == ("" if signer == "bank-0" else "not_an_institution")


def test_a_regulator_without_competence_for_the_industry_freezes_nothing() -> None:
    world = paid_world()
    agree(world)
    frozen = SAMPLES["funds.frozen"]
    assert world.event("funds.frozen", frozen, "bank-1", "bank-2") == refused(
        "not_competent", ("signer", "bank-2"), ("industry", "hair_beauty")
    )
    assert world.event("funds.frozen", frozen, "bank-1", "bank-3").code == "wrong_district"
    assert world.event("funds.frozen", frozen, "court-1").code == ""
