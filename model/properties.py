"""What must hold in every state, said once for the rules, their mutants and real traces.

- *agreement*: at most one block is decided (Castro & Liskov, OSDI '99, section 4.5.1);
- *validity*: only blocks that execution accepts, made by the primary of their view, are decided;
- *one word*: no correct replica signs two different statements of a kind in a view, or commits
  another block than it prepared;
- *left views*: no correct replica votes in a view below one it asked for or voted in;
- *decision reachable*: with the liars silent and the network healed, some later view decides, and
  decides the block that was decided before, if one was (section 4.5.2).
Each function returns the sentence of a breach, or None.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import assert_never

from model.rules import INVALID, Rules
from model.statements import Block, Book, Kind, Statement, make_ask


def breach_of_step(book: Book, statement: Statement) -> str | None:
    """Judge one statement against what its replica said before."""
    view, replica, kind, block, _ = statement
    if view < book.view_of(replica) and kind is not Kind.ASK:
        return (
            f"left views: replica {replica} votes in view {view} after view {book.view_of(replica)}"
        )
    for earlier in book.own.get((view, kind, replica), ()):
        if earlier != statement:
            return (
                f"one word: replica {replica} says both “{describe(earlier)}” and "
                f"“{describe(statement)}”"
            )
    if kind is Kind.COMMIT and book.voted_for(view, Kind.PREPARE, replica) != block:
        return f"one word: replica {replica} commits {block} in view {view}, not what it prepared"
    return None


def breach_of_state(rules: Rules, book: Book) -> str | None:
    """Judge a state by itself."""
    decided = rules.decided_blocks(book)
    if len(decided) > 1:
        return _disagreement(decided)
    for block in decided:
        if block.startswith(INVALID):
            return f"validity: {block} is decided and cannot be executed"
        if block not in _all_fresh(rules):
            return f"validity: {block} is decided and nobody's"
    return None


def _all_fresh(rules: Rules) -> set[Block]:
    return {block for view in range(rules.setting.view_count) for block in rules.fresh_blocks(view)}


def heal(rules: Rules, book: Book) -> tuple[str | None, tuple[Statement, ...]]:
    """Let the liars fall silent and everybody be heard: return a breach, if any, and what is said.

    Everybody asks for one view after another. The view of a liar passes unused; in any other the
    primary proposes what it may, and everybody says whatever is allowed. One of the first n views
    must decide, and what was decided before.
    """
    before = rules.decided_blocks(book)
    healing = rules.silenced()
    correct = healing.setting.correct
    healed = Book(statement for said in book.own.values() for statement in said)
    path: list[Statement] = []

    def say(statements: Iterable[Statement]) -> None:
        for statement in tuple(statements):
            healed.add(statement)
            path.append(statement)

    first = max((healed.view_of(replica) for replica in correct), default=0) + 1
    for view in range(first, first + healing.setting.replica_count):
        for replica in correct:
            if healing.may_ask(healed, replica, view):
                say([make_ask(view, replica, healing.claim(healed, replica))])
        primary = healing.primary(view)
        if primary in correct:
            say(islice(healing.prepares(healed, primary, view), 1))
            for votes in (healing.prepares, healing.commits):
                for replica in correct:
                    say(votes(healed, replica, view))
        decided = {
            block
            for voted_view, block in healed.commits
            if voted_view == view and healing.is_decided(healed, view, block)
        }
        if len(before | decided) > 1:
            return _disagreement(before | decided), tuple(path)
        if decided:
            return None, tuple(path)
    return "decision reachable: everybody correct is heard, and no later view decides", ()


def _disagreement(decided: set[Block]) -> str:
    return f"agreement: {' and '.join(sorted(decided))} are both decided"


def describe(statement: Statement, rules: Rules | None = None) -> str:
    """Return a statement as a sentence."""
    view, replica, kind, block, _ = statement
    match kind:
        case Kind.ASK:
            claim = statement.claim
            claims = "nothing" if claim is None else f"{claim.block} of view {claim.view}"
            return f"replica {replica} asks for view {view} and claims {claims}"
        case Kind.PREPARE:
            is_primary = rules is not None and rules.primary(view) == replica
            verb = "proposes" if is_primary else "prepares"
            return f"replica {replica} {verb} {block} in view {view}"
        case Kind.COMMIT:
            return f"replica {replica} commits {block} in view {view}"
        case _ as unreachable:
            assert_never(unreachable)
