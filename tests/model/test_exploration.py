"""All states of the bounded worlds, the reductions that make them few, and rules with a mistake."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import pytest

from model.__main__ import main, worlds
from model.explorer import Exploration, Explorer
from model.mutants import MUTANTS, Mutant
from model.properties import breach_of_step, describe, heal
from model.rules import Rules, Setting
from model.statements import Book, Claim, Kind, Statement, make_ask
from model.telling import tell_breach

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/MODEL.md").read_text("utf-8")


@cache
def explored(replica_count: int, view_count: int, liars: frozenset[int]) -> Exploration:
    setting = Setting(replica_count=replica_count, view_count=view_count, liars=liars)
    return Explorer(Rules(setting)).run()


def documented(heading: str) -> dict[str, list[int]]:
    """A table of docs/MODEL.md: who lies → the figures."""
    section = DOCUMENT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([\d, ]+|nobody) \|((?: [\d,]+ \|)+)$", section, re.MULTILINE)
    return {
        liars: [int(cell.replace(",", "")) for cell in cells.strip(" |").split(" | ")]
        for liars, cells in rows
    }


@pytest.mark.parametrize("liar", range(4) if os.environ.get("CAMPAIGN") else (0, 1))
def test_every_state_of_four_replicas_and_three_views_is_well(liar: int) -> None:
    """Without CAMPAIGN=1 of a liar that is no primary, and of one that is the first."""
    seen = explored(4, 3, frozenset({liar}))
    assert seen.breach is None
    assert documented("What is visited")[str(liar)] == [
        seen.state_count,
        seen.step_count,
        seen.decided_count,
        len(seen.situations),
        seen.depth,
    ]


@pytest.mark.parametrize(("count", "views"), [(1, 3), (2, 3), (3, 2), (5, 2), (6, 1), (7, 1)])
def test_other_numbers_of_replicas_are_well(count: int, views: int) -> None:
    settings = worlds(count, views, None)
    assert len(settings) == {1: 1, 2: 1, 3: 1, 5: 5, 6: 6, 7: 21}[count]
    for setting in settings:
        seen = explored(count, views, setting.liars)
        assert seen.breach is None
        assert seen.decided_count > 0


@pytest.mark.parametrize("liar", range(4))
def test_states_merged_by_their_letters_stand_for_all(liar: int) -> None:
    """Each visited state and its image under the exchange of A and B are all states there are."""
    setting = Setting(liars=frozenset({liar}), view_count=2)
    merged, plain = Explorer(Rules(setting)), Explorer(Rules(setting), merges_letters=False)
    assert merged.run().breach is None
    count = plain.run().state_count

    def image(statements: frozenset[Statement]) -> frozenset[Statement]:
        return frozenset(merged._swap(statement) for statement in statements)

    visited = {frozenset(merged.decode(state)) for state in merged.visited}
    assert len(visited | {image(state) for state in visited}) == count
    assert {frozenset(plain.decode(state)) for state in plain.visited} == visited | {
        image(state) for state in visited
    }


def test_a_state_bound_stops_the_exploration() -> None:
    seen = Explorer(Rules(Setting())).run(states_max=100)
    assert (seen.state_count, seen.breach) == (100, None)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_mistake_in_one_rule_is_found_out(mutant: type[Mutant]) -> None:
    rules = mutant(mutant.setting_for_it)
    breach = Explorer(rules).run(opening=mutant.opening).breach
    assert breach is not None
    assert breach.sentence.startswith(f"{mutant.breaks}:")
    book = Book()
    for statement in breach.trace[:-1]:
        if mutant.breaks != "agreement":
            assert breach_of_step(book, statement) is None
        book.add(statement)
    assert (mutant.__doc__ or "").strip()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_without_its_mistake_the_world_of_a_mutant_is_well(mutant: type[Mutant]) -> None:
    """The breach comes from the mistake, and not from the setting or the opening."""
    setting = mutant.setting_for_it
    seen = Explorer(Rules(setting)).run(opening=mutant.opening, states_max=3_000)
    assert seen.breach is None


def test_an_opening_must_be_made_of_steps() -> None:
    opening = (Statement(0, 0, Kind.COMMIT, "A0"),)
    with pytest.raises(
        ValueError, match="the opening's “replica 0 commits A0 in view 0” is not a step"
    ):
        Explorer(Rules(Setting())).run(opening=opening)


def test_healing_decides_what_was_decided() -> None:
    rules = Rules(Setting(liars=frozenset({1})))
    book = Book(
        [
            *(Statement(0, i, Kind.PREPARE, "B0") for i in (0, 2)),
            *(Statement(0, i, Kind.COMMIT, "B0") for i in (0, 2)),
            make_ask(1, 3, None),
        ]
    )
    sentence, said = heal(rules, book)
    assert sentence is None
    assert said[0] == make_ask(2, 0, Claim(0, "B0"))
    assert [item.block for item in said if item.kind is Kind.COMMIT] == ["B0"] * 3


def test_statements_are_told_in_words() -> None:
    rules = Rules(Setting())
    assert [
        describe(make_ask(2, 0, None), rules),
        describe(make_ask(2, 0, Claim(1, "A1")), rules),
        describe(Statement(1, 2, Kind.PREPARE, "A1"), rules),
        describe(Statement(1, 3, Kind.PREPARE, "A1"), rules),
        describe(Statement(1, 3, Kind.COMMIT, "A1"), rules),
    ] == [
        "replica 0 asks for view 2 and claims nothing",
        "replica 0 asks for view 2 and claims A1 of view 1",
        "replica 2 proposes A1 in view 1",
        "replica 3 prepares A1 in view 1",
        "replica 3 commits A1 in view 1",
    ]


def test_the_document_shows_a_counterexample_as_it_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    block = re.search(r"```text\n\$ python -m model --mutant (\w+)\n(.*?)```", DOCUMENT, re.DOTALL)
    assert block is not None
    assert main(["--mutant", block[1]]) == 0
    assert capsys.readouterr().out == block[2]


def test_the_document_lists_every_mutant() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", DOCUMENT, re.MULTILINE)
    assert rows == [(mutant.__name__, mutant.breaks) for mutant in MUTANTS]


def test_a_mutant_that_breaks_nothing_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Harmless(Mutant):
        """No mistake at all."""

        breaks = "agreement"
        setting_for_it = Setting(view_count=1)

    monkeypatch.setattr("model.__main__.MUTANTS", (Harmless,))
    assert main(["--mutants"]) == 1
    assert capsys.readouterr().out == "Harmless: NOT NOTICED; it should break agreement\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--replicas", "0"], "there is at least one replica and one view"),
        (["--views", "0"], "there is at least one replica and one view"),
        (["--liars", "4"], "liars are among the replicas 0 to 3"),
        (["--liars", "0,1"], "of 4 replicas at most 1 may lie; more promises nothing"),
        (
            ["--real", "--replicas", "3"],
            "--real needs four or more replicas: with fewer, one message can cause two statements",
        ),
    ],
)
def test_wishes_that_cannot_be_met_are_named(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"python -m model: error: {sentence}\n")


def test_a_run_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--views", "1", "--liars", "1", "--workers", "1"]) == 0
    assert re.search(r"│ 1 +│ +39 │ +84 │", capsys.readouterr().out)


def test_a_breach_is_told_with_its_certificates() -> None:
    from model.mutants import QuorumLessOne

    rules = QuorumLessOne(Setting(view_count=1))
    breach = Explorer(rules).run().breach
    assert breach is not None
    lines = list(tell_breach(rules, breach))
    assert lines == [
        "agreement: A0 and B0 are both decided.",
        "4 replicas, 1 view; replica 1 lies, and may have said anything that is not listed:",
        "   1. replica 0 prepares B0 in view 0",
        "   2. replica 0 commits B0 in view 0",
        "   3. replica 2 prepares A0 in view 0",
        "   4. replica 2 commits A0 in view 0",
        "      A0 is decided in view 0: commits of 2 and the liar 1",
        "      B0 is decided in view 0: commits of 0 and the liar 1",
    ]
