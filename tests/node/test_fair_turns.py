"""Turns go round among the sources, and are never lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Hashable

import pytest

from node.fair_turns import FairTurns


class Line:
    """Who asked for turns, and in which order they had them."""

    def __init__(self, width: int = 1) -> None:
        self.turns = FairTurns(width)
        self.had: list[str] = []
        self.at_once = self.most_at_once = 0
        self.tasks: list[asyncio.Task[None]] = []

    def ask(self, name: str, source: Hashable | None) -> None:
        """Ask for a turn: of a source, or one that is urgent."""
        self.tasks.append(asyncio.create_task(self._have(name, source)))

    async def _have(self, name: str, source: Hashable | None) -> None:
        async with self.turns.turn(source):
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.had.append(name)
            await asyncio.sleep(0)
            self.at_once -= 1

    async def end(self) -> list[str]:
        """Wait until everybody had a turn or gave up; return who had one, in order."""
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return self.had


async def test_turns_go_round_however_much_one_source_asks_for() -> None:
    line = Line()
    for number in range(4):
        line.ask(f"a{number}", "a")
    line.ask("b0", "b")
    for number in range(2):
        line.ask(f"c{number}", "c")
    line.ask("b1", "b")
    assert await line.end() == ["a0", "a1", "b0", "c0", "a2", "b1", "c1", "a3"]


async def test_what_is_urgent_is_before_all() -> None:
    line = Line()
    line.ask("a0", "a")
    line.ask("a1", "a")
    line.ask("b0", "b")
    line.ask("u0", None)
    line.ask("u1", None)
    assert await line.end() == ["a0", "u0", "u1", "a1", "b0"]


@pytest.mark.parametrize("width", [1, 2, 5])
async def test_as_many_at_a_time_as_there_are(width: int) -> None:
    line = Line(width)
    for number in range(20):
        line.ask(str(number), number % 3)
    assert sorted(await line.end()) == sorted(str(number) for number in range(20))
    assert line.most_at_once == width


async def test_a_turn_that_failed_is_given_back() -> None:
    turns = FairTurns(1)
    for _ in range(3):
        with pytest.raises(LookupError):
            async with turns.turn("a"):
                raise LookupError
    async with turns.turn("a"):
        pass


@pytest.mark.parametrize("seed", range(30))
async def test_whoever_gives_up_takes_no_turn_with_it(seed: int) -> None:
    """Given up while waiting, while holding, and between being given a turn and knowing it."""
    chance = random.Random(seed)
    width = chance.randint(1, 3)
    line = Line(width)
    for number in range(60):
        line.ask(str(number), chance.choice([None, "a", "b", "c"]))
        if chance.random() < 0.4:
            await asyncio.sleep(0)
        if chance.random() < 0.4:
            chance.choice(line.tasks).cancel()
    had = Counter(await line.end())
    assert max(had.values()) == 1
    assert all(had[str(number)] or task.cancelled() for number, task in enumerate(line.tasks)), (
        "nobody waits for ever"
    )
    line.had, line.tasks, line.at_once, line.most_at_once = [], [], 0, 0
    for number in range(2 * width):
        line.ask(str(number), "a")
    await line.end()
    assert line.most_at_once == width, "all turns are there again, and no more"
