"""Runs that once failed, each with its story. A run never leaves this list.

A run is a seed and what was asked of it, as `python -m sim` prints it, shrunk or not. What a seed
means changes when the simulator draws differently; where the mistake is named, a test makes it
again and sees that the run still finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest

from sim.node import Wait
from sim.simulation import Options
from tests.sim import broken


@dataclass(frozen=True)
class Regression:
    """A run that failed, and must not fail again."""

    seed: int
    options: Options
    story: str
    rule: str = ""
    """The rule it broke."""
    mistake: Callable[[pytest.MonkeyPatch], None] | None = None
    """Makes the mistake again, with which the run must break the rule again."""
    wait: Wait = Wait.AFTERWARDS
    """Likewise, where the mistake was in the shell."""


SHORT: Final = Options(heights=10)

REGRESSIONS: Final[tuple[Regression, ...]] = (
    Regression(
        1,
        Options(heights=8),
        "The shell stepped `Committed` inside the effects of the step that caused it, so the outer "
        "step's journal record was written over the inner step's newer one, and a smaller tree was "
        "cosigned after a larger one. First found with seed 33, in a network of one node.",
        rule="cosignature",
        wait=Wait.NESTED,
    ),
    Regression(
        1013,
        Options(heights=14, family="liars"),
        "A replica compared only the view-changes it counts. One whose sender had already asked "
        "for a later view was dropped, so a commit that it denied did not convict its sender. "
        "First found with seed 29.",
        rule="evidence",
        mistake=broken.forgets_overtaken_view_changes,
    ),
    Regression(
        26,
        Options(heights=8, family="liars"),
        "A primary's prepare for another block than it proposed was not compared with its "
        "pre-prepare, and so convicted nobody.",
        rule="evidence",
        mistake=broken.ignores_a_primarys_prepares,
    ),
    Regression(31, SHORT, "Four nodes that crash: the cosigned size in the journal goes back."),
    Regression(33, SHORT, "A single node, where a step inside a step was found first."),
    Regression(54, SHORT, "Five nodes in bad weather: a vote of the next height was forgotten."),
    Regression(8, SHORT, "Three slow nodes catch up; a step inside a step once more."),
    Regression(48, SHORT, "Six nodes with a liar and a recovery; likewise."),
    Regression(
        3343,
        SHORT,
        "A node whose clock is an hour ahead dated its evidence of a double voter by that clock; "
        "no other node would take it. Evidence is now owed until it is on the chain.",
    ),
    Regression(
        23,
        SHORT,
        "A spool file that had grown and lost its bytes to a power cut was read as records of "
        "nothing, a promise each.",
    ),
    Regression(
        127,
        SHORT,
        "A clock jumped an hour ahead for a second, and the node dropped all that it had promised "
        "as too late.",
    ),
    Regression(
        200205,
        Options(),
        "Eleven nodes, two of which forge cosignatures of old trees. Those who bring a proof at "
        "once kept those whose turn comes later waiting, as long as there were new lies. A proof "
        "that is overtaken now moves a place forward.",
    ),
    Regression(
        200382,
        Options(),
        "An old journal was put back, and an operator called a second before removed the chain, "
        "the only thing that shows how old a journal is. Whoever removes a chain over a journal "
        "that was put back must recover, and the manual says so.",
    ),
    Regression(
        201302,
        Options(heights=3),
        "Power failed before the mark of the newest vote was synced, then a bit of that vote's "
        "slot rotted: the two looked like a record that was never finished, and the node went "
        "back by one. Each slot is written as two copies now, and one is enough.",
    ),
    Regression(
        204127,
        Options(),
        "The simulator's own: a journal rotted, was copied so, and could not be read when it was "
        "to be put back.",
    ),
    Regression(
        203933,
        Options(heights=8),
        "The simulator's own: two rots struck both copies of a node's newest votes, and the chain "
        "that would have told it was removed as damaged. Such a node is one of the f, and was "
        "judged as a correct one.",
    ),
    Regression(
        996188,
        Options(),
        "A node was killed between giving its new spool file its name and syncing the directory. "
        "It went on with that file and promised three transactions; power failed, the old file was "
        "back, and they were gone. Whoever opens a spool syncs what it sees now.",
    ),
    Regression(
        1000006,
        Options(),
        "The first runs whose nodes sign receipts could not end a process: requests that waited at "
        "the door went on though they had been cancelled, for `asyncio.wait_for` of Python 3.11 "
        "forgets a cancellation that meets what was waited for.",
    ),
)
