"""Real replicas, asked in every state of two views, say what the rules say; broken ones do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from model.explorer import Exploration, Explorer
from model.questions import Replicas
from model.rules import Rules, Setting
from tests.model.test_exploration import documented
from tests.model.test_refinement import forget_lock, forget_votes, lower_quorum


def ask_all(liar: int) -> tuple[Exploration, Replicas]:
    rules = Rules(Setting(liars=frozenset({liar}), view_count=2))
    replicas = Replicas(rules)
    return Explorer(rules, merges_letters=False).run(look=replicas.look), replicas


@pytest.mark.parametrize("liar", range(4))
def test_real_replicas_say_what_the_rules_say(liar: int) -> None:
    seen, replicas = ask_all(liar)
    assert seen.breach is None
    in_two_views = documented("The real replica")[str(liar)][:2]
    assert in_two_views == [seen.state_count, replicas.question_count]


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (
            forget_lock,
            (
                "urged into view 1, it says: replica 0 asks for view 1 and claims nothing; the "
                "rules say: replica 0 asks for view 1 and claims A0 of view 0"
            ),
        ),
        (
            lower_quorum,
            (
                "hearing A0 proposed in view 0, it says: replica 0 prepares A0 in view "
                "0; replica 0 commits A0 in view 0; the rules say: replica 0 prepares A0 in view 0"
            ),
        ),
        (
            forget_votes,
            (
                "hearing B0 proposed in view 0, it says: replica 0 prepares B0 in view "
                "0; the rules say: nothing"
            ),
        ),
    ],
)
def test_a_broken_replica_differs(
    break_it: Callable[[pytest.MonkeyPatch], None],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_it(monkeypatch)
    seen, _ = ask_all(1)
    assert seen.breach is not None
    assert seen.breach.sentence == f"real replica: {sentence}"
