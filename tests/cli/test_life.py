"""Lives as files: what is refused, what a draft is made of, and that the ten exercise the law."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from cli.failure import Failure
from cli.life import Cast, Role, make_commitments, make_draft, read_life
from cli.play_command import LIVES, find_files
from cli.playing import EXAMPLES
from law.amounts import show_yuan
from law.terms import INDUSTRIES
from law.terms_text import LANGUAGES, render_terms
from tests.cli.running import Command

ROOT = Path(__file__).parents[2]
FILES = sorted(LIVES.glob("*.json"))


def write(tmp_path: Path, **changes: Any) -> Path:
    """Return the pets' life with some members replaced."""
    document = json.loads((LIVES / "pets.json").read_bytes())
    document["terms"] = str(EXAMPLES / "terms" / "pets-boarding.v1.json")
    path = tmp_path / "pets.json"
    path.write_text(json.dumps(document | changes))
    return path


def event(**changes: Any) -> list[dict[str, Any]]:
    signing = {"at": "2026-05-30 10:00", "by": ["merchant", "consumer"], "event": "contract.signed"}
    owed = {"low": 0, "high": 0, "results": 1}
    computed = {
        "at": "2026-06-01 10:00", "by": ["consumer"], "event": "refund.computed",
        "data": {"as_of": "2026-06-01"}, "owed": owed,
    }  # fmt: skip
    return [signing, computed, {"at": "2026-06-02 10:00", "by": ["merchant"], **changes}]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"format": "evidence-ledger/live"},
            ": Invalid enum value 'evidence-ledger/live' - at `$.format`.",
        ),
        ({"events": event(event="service.done")}, ", event 3: there is no event 'service.done'."),
        (
            {"events": event(event="contract.signed")},
            ", event 3: a life begins with contract.signed, and with no other.",
        ),
        (
            {"events": event(event="card.activated")[1:]},
            ", event 1: a life begins with contract.signed, and with no other.",
        ),
        (
            {"events": event(event="card.activated", at="2026-06-31 10:00")},
            ", event 3: '2026-06-31 10:00' is no time such as '2026-04-24 09:00'.",
        ),
        (
            {"events": event(event="card.reissued", of="loss")},
            ", event 3: no earlier event has the name 'loss'.",
        ),
        (
            {"events": event(event="refund.computed", data={"as_of": "2026-06-02"})},
            ", event 3: `owed` stands with refund.computed, and there always.",
        ),
        (
            {"events": event()[:1]},
            ": nothing computes what is owed (refund.computed).",
        ),
        (
            {"events": event(event="refund.paid", by=["landlord"])},
            ": Invalid enum value 'landlord' - at `$.events[2].by[0]`.",
        ),
    ],
)
def test_what_is_no_life_is_refused_with_its_place(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(Failure) as refused:
        read_life(path)
    assert refused.value.english == f"{path}{sentence}"
    assert refused.value.status == 2


def test_files_that_are_not_there_and_terms_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(Failure) as refused:
        read_life(tmp_path / "nothing.json")
    assert refused.value.english == (
        f"{tmp_path}/nothing.json cannot be read: No such file or directory."
    )
    path = write(tmp_path, terms="pets.json")
    with pytest.raises(Failure) as refused:
        read_life(path)
    assert refused.value.english == (
        f"{path}: terms is 'evidence-ledger/life' version 1; 'evidence-ledger/terms' version 1 is "
        "expected."
    )


def cast_of(path: Path) -> Cast:
    life = read_life(path)
    roles = get_args(Role)
    return Cast("pets-1", {role: f"{role}-1" for role in roles}, make_commitments(life))


def test_a_draft_is_dated_as_it_happened_and_captured_now(tmp_path: Path) -> None:
    path = write(tmp_path)
    life, cast = read_life(path), cast_of(path)
    draft = make_draft(life, 5, cast, now_ms=1_800_000_000_000)
    assert draft.kind == "notice.arrived"
    assert draft.signers == ["merchant-1"]
    assert draft.stream == "contract/pets-1"
    assert draft.occurred_at == 1_780_707_600_000  # 2026-06-06 09:00 in China
    assert draft.data == {
        "of": "@consumer-1/pets-1-5",
        "provenance": {
            "captured_at": 1_800_000_000_000,
            "device": "",
            "generated_at": 1_780_707_600_000,
            "method": "import",
            "source": "examples/lives/pets",
        },
    }
    assigned = make_draft(life, 4, cast, 0).data["assignee"]
    assert assigned == cast.commitments["assignee"] != cast.commitments["party"]


def test_commitments_of_two_contracts_do_not_link(tmp_path: Path) -> None:
    life = read_life(write(tmp_path))
    assert make_commitments(life)["party"] != make_commitments(life)["party"]


def test_a_person_nobody_named_is_refused(tmp_path: Path) -> None:
    data = {"assignee": "$friend", "whole": False}
    path = write(tmp_path, events=event(event="assignment.notified", by=["consumer"], data=data))
    with pytest.raises(Failure) as refused:
        make_draft(read_life(path), 2, cast_of(path), 0)
    assert refused.value.english == "$friend names nobody; `persons` has party, assignee."


def test_files_are_taken_one_by_one_or_by_the_directory(tmp_path: Path) -> None:
    assert find_files([]) == FILES == find_files([LIVES])
    assert find_files([FILES[0]]) == [FILES[0]]
    with pytest.raises(Failure) as refused:
        find_files([tmp_path])
    assert refused.value.english == f"There is no life in {tmp_path}."
    with pytest.raises(Failure) as refused:
        find_files([FILES[0], LIVES])
    assert (
        refused.value.english == f"Two lives are called {FILES[0].name}; their files would be one."
    )


def test_a_network_that_is_not_there_is_named(tmp_path: Path, command: Command) -> None:
    assert command.run("play", "--devnet", tmp_path) == 2
    assert command.refusal == (
        f"{tmp_path}/devnet.json cannot be read; `evidence-ledger devnet --home {tmp_path}` makes "
        "a devnet there."
    )


# The ten


def test_there_is_one_for_each_industry_and_its_terms_can_be_read() -> None:
    lives = [read_life(path) for path in FILES]
    assert sorted(life.terms.industry for life in lives) == sorted(INDUSTRIES)
    assert [life.name for life in lives] == [life.terms.industry for life in lives]
    for life in lives:
        for lang in LANGUAGES:
            assert render_terms(life.terms, lang)
        assert re.search("[\u4e00-\u9fff]", life.file.title.zh + life.file.story.zh)


def test_together_they_use_every_sort_of_deal_and_release_and_most_of_the_law() -> None:
    lives = [read_life(path) for path in FILES]
    assert {life.terms.deal.kind for life in lives} == {
        "counted_units", "milestone", "period_pass", "stored_value", "stored_value_bonus",
        "unlimited",
    }  # fmt: skip
    assert {life.terms_document["release"]["every"] for life in lives} == {
        "unit", "week", "month", "milestone",
    }  # fmt: skip
    events = {event.event for life in lives for event in life.file.events}
    assert events >= {
        "assignment.notified", "business.closed", "card.lost", "card.reissued", "closing.notified",
        "cooling_off.requested", "dispute.opened", "dispute.resolved", "finance.linked",
        "funds.frozen", "funds.unfrozen", "gift.given", "interest.accrued", "invalidity.found",
        "liquidation.opened", "moving.notified", "notice.arrived", "obligation.transferred",
        "premises.moved", "price.changed", "records.refused", "risk.declared", "service.stopped",
    }  # fmt: skip
    articles = {
        int(article.partition("(")[0]) for life in lives for article in life.file.by_hand.articles
    }
    assert articles == {*range(10, 20), 21, 22, 24, 25}


@pytest.mark.parametrize(("readme", "language"), [("README.md", "en"), ("README.zh-CN.md", "zh")])
def test_the_readme_has_what_the_files_work_by_hand(readme: str, language: str) -> None:
    text = (LIVES / readme).read_text("utf-8")
    rows = re.findall(r"^\| \[.+\]\((\w+)\.json\) \| (.+) \| (.+) \| (.+) \| (.+) \|$", text, re.M)
    assert sorted(row[0] for row in rows) == [path.stem for path in FILES]
    for name, story, working, articles, figure in rows:
        life = read_life(LIVES / f"{name}.json")
        low, high = show_yuan(life.owed.low), show_yuan(life.owed.high)
        assert story == getattr(life.file.story, language)
        assert working == "<br>".join(getattr(life.file.by_hand, language))
        assert articles == (", " if language == "en" else "、").join(life.file.by_hand.articles)
        assert figure == (low if low == high else f"{low} – {high}")
