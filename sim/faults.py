"""What goes wrong in a simulation: a plan drawn from the seed, and the processes that carry it out.

A plan holds the size of the network, its manner, the families of faults and who may be a liar or
lose its disk: together at most f, because nothing is promised beyond. Crashes, power cuts of all at
once, partitions, bad weather and slow machines may meet everybody. `heal` ends all of it; from then
on the network owes progress.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sim.byzantine import LIARS, Liar
from sim.coverage import Coverage
from sim.disk import Survival
from sim.network import Conditions, Network
from sim.node import Node, Pace
from sim.world import MS, SECOND, World

FAMILIES: Final = (
    "calm",
    "crashes",
    "blackouts",
    "partitions",
    "weather",
    "disks",
    "amnesia",
    "clocks",
    "slowness",
    "liars",
)
COUNTS: Final = (4, 4, 4, 4, 4, 4, 1, 2, 3, 5, 6, 7)
"""Sizes drawn from: n=4 is where a quorum has no slack, the others are where arithmetic slips."""

HOUR_MS: Final = 3_600_000
DOWN_US_MAX: Final = 8 * SECOND


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the seed decides before the first event."""

    count: int
    families: frozenset[str]
    is_stream: bool
    liars: dict[int, type[Liar]] = field(default_factory=dict)
    victims: tuple[int, ...] = ()
    """Nodes whose disk may be destroyed; with the liars at most f."""
    mean_us: int = 3 * SECOND
    """Mean span between two faults of one family."""

    def describe(self) -> str:
        """Return the plan in one line."""
        liars = ", ".join(f"{number} {kind.kind}" for number, kind in sorted(self.liars.items()))
        return (
            f"{self.count} nodes, {'stream' if self.is_stream else 'datagram'} network, "
            f"families {' '.join(sorted(self.families))}, liars: "
            f"{liars or 'none'}, victims: {list(self.victims)}"
        )


def draw_plan(
    chance: random.Random, seed: int, count: int | None = None, family: str | None = None
) -> Plan:
    """Draw a plan; the main family follows from the seed, so that a range of seeds meets all."""
    main = family or FAMILIES[seed % len(FAMILIES)]
    others = [name for name in FAMILIES[1:] if chance.random() < 0.2]
    families = {main} if main == "calm" else {main, *others}
    drawn = chance.choice(COUNTS)
    if main in {"liars", "amnesia"}:
        drawn = max(drawn, 4)
    size = count or drawn
    faulty = (size - 1) // 3
    bad = chance.sample(range(size), faulty)
    liar_count = 0
    if "liars" in families:
        liar_count = faulty if "amnesia" not in families else chance.randint(0, faulty)
    liars = {number: chance.choice(LIARS) for number in bad[:liar_count]}
    can_lose = {"amnesia", "disks"} & families
    is_stream = "weather" not in families and chance.random() < 0.6
    return Plan(
        count=size,
        families=frozenset(families),
        is_stream=is_stream,
        liars=liars,
        victims=tuple(bad[liar_count:]) if can_lose else (),
        mean_us=chance.choice([400, 1_000, 2_000, 4_000]) * MS,
    )


class Faults:
    """Carries a plan out."""

    def __init__(
        self, world: World, plan: Plan, nodes: Sequence[Node], network: Network, coverage: Coverage
    ) -> None:
        self.is_healed = False
        self._world = world
        self._plan = plan
        self._nodes = nodes
        self._network = network
        self._coverage = coverage
        self._chance = world.chance("faults")
        self._victims = list(plan.victims)
        for node in nodes:
            node.on_crash = self._crash
            node.clock_offset_ms = self._chance.randint(-50, 50)

    def start(self) -> None:
        """Begin whatever the plan's families ask for."""
        families = self._plan.families
        processes: dict[str, Callable[[], None]] = {
            "crashes": self._arm_crash,
            "blackouts": self._blackout,
            "partitions": self._partition,
            "weather": self._change_weather,
            "disks": self._trouble_disk,
            "amnesia": self._destroy,
            "clocks": self._move_clock,
            "slowness": self._slow_down,
        }
        if "clocks" in families:
            for node in self._nodes:
                node.clock_offset_ms = self._chance.randint(-2_000, 2_000)
                node.tick_us += self._chance.randint(-500, 500)
        if "weather" in families:
            self._change_weather()
        for name, action in processes.items():
            if name in families:
                rarity = 2 if name in {"blackouts", "amnesia"} else 1
                self._repeat(action, self._plan.mean_us * rarity)

    def heal(self) -> None:
        """End every fault; liars stay liars."""
        self.is_healed = True
        self._network.heal()
        for node in self._nodes:
            node.effects_until_crash = node.steps_until_crash = None
            node.pace = Pace()
            node.clock_offset_ms = self._chance.randint(-50, 50)
            for directory in (node.votes, node.segments):
                directory.mend()
            self._world.after(self._chance.randint(0, 500) * MS, node.start)

    def _repeat(self, action: Callable[[], None], mean_us: int) -> None:
        def again() -> None:
            if not self.is_healed:
                action()
                self._repeat(action, mean_us)

        self._world.after(self._chance.randint(mean_us // 4, mean_us * 7 // 4), again)

    def _some_node(self) -> Node:
        return self._chance.choice(self._nodes)

    # Crashes

    def _arm_crash(self) -> None:
        node, chance = self._some_node(), self._chance
        if not node.is_up:
            node.steps_until_crash = chance.randint(0, 30) if chance.random() < 0.5 else None
            return
        match chance.randrange(3):
            case 0:
                node.effects_until_crash = chance.randint(0, 25)
            case 1:
                node.steps_until_crash = chance.randint(0, 25)
            case _:
                self._coverage.count("crash at once")
                self._crash(node)

    def _crash(self, node: Node) -> None:
        chance = self._chance
        survival = Survival.ALL if chance.random() < 0.3 else chance.choice(list(Survival)[1:])
        node.end(survival)
        if "disks" in self._plan.families and chance.random() < 0.15:
            self._coverage.count("index lost a batch")
            node.index.lose_newest_batch()
        self._restart_later(node)

    def _restart_later(self, node: Node) -> None:
        down_us = self._chance.choice(
            [self._chance.randint(1, 300) * MS, self._chance.randint(300 * MS, DOWN_US_MAX)]
        )

        def restart() -> None:
            if not node.is_up:
                self._coverage.count("restart")
                node.start()

        self._world.after(down_us, restart)

    def _blackout(self) -> None:
        """The power goes everywhere at once."""
        self._coverage.count("all nodes cut")
        survival = self._chance.choice([Survival.NONE, Survival.TORN, Survival.SCATTERED])
        for node in self._nodes:
            if node.is_up:
                node.end(survival)
                self._restart_later(node)

    # Network

    def _partition(self) -> None:
        chance, count = self._chance, len(self._nodes)
        if count < 2:
            return
        kind = chance.randrange(4)
        if kind == 3 and self._network.is_stream:
            self._coverage.count("connection reset")
            one, other = chance.sample(range(count), 2)
            self._network.reset(one, other)
            return
        side = set(chance.sample(range(count), chance.randint(1, count - 1)))
        pairs = [(a, b) for a in side for b in range(count) if b not in side]
        if kind == 0:
            self._coverage.count("partition one way")
        elif kind == 1 and len(pairs) > 1:
            self._coverage.count("flapping link")
            pairs = [chance.choice(pairs)]
            self._flap(pairs, chance.randint(3, 8))
            return
        else:
            self._coverage.count("partition")
            pairs += [(b, a) for a, b in pairs]
        self._world.trace("network", f"cuts {sorted(pairs)}")
        self._network.block(sorted(pairs))
        self._world.after(
            chance.randint(200 * MS, 10 * SECOND), lambda: self._network.unblock(sorted(pairs))
        )

    def _flap(self, pairs: list[tuple[int, int]], times: int) -> None:
        if self.is_healed:
            return
        span_us = self._chance.randint(50, 400) * MS
        if times % 2:
            self._network.block(pairs)
        else:
            self._network.unblock(pairs)
        if times > 0:
            self._world.after(span_us, lambda: self._flap(pairs, times - 1))
        else:
            self._network.unblock(pairs)

    def _change_weather(self) -> None:
        chance = self._chance
        self._network.conditions = Conditions(
            delay_us_min=chance.choice([100, 1 * MS, 20 * MS]),
            delay_us_max=chance.choice([20 * MS, 100 * MS, 600 * MS]),
            loss=chance.choice([0.0, 0.02, 0.1, 0.3]),
            duplication=chance.choice([0.0, 0.05, 0.3]),
            straggling=chance.choice([0.0, 0.02, 0.1]),
        )

    # Disks

    def _trouble_disk(self) -> None:
        node, chance = self._some_node(), self._chance
        directory = chance.choice([node.votes, node.segments])
        kind = chance.randrange(4)
        if kind == 0:
            self._coverage.count("disk full")
            directory.room_bytes = chance.randint(0, 2_000)
        elif kind == 1:
            self._coverage.count("fsync failed")
            directory.fsyncs_until_failure = chance.randint(0, 5)
        elif kind == 2 and node.is_up:
            node.end(Survival.ALL)
            node.remove_index()
            self._restart_later(node)
        elif self._victims:
            self._rot(self._nodes[chance.choice(self._victims)])

    def _rot(self, node: Node) -> None:
        """Flip a bit on a victim's disk, and have the process find it at its next start."""
        directory = self._chance.choice([node.votes, node.segments])
        where = directory.rot(self._chance)
        if where is None:
            return
        self._coverage.count("bit rot")
        self._world.trace(node.name, f"rots: {directory.path}/{where}")
        node.may_be_damaged = True
        node.may_lose_tail |= directory is node.segments
        if node.is_up:
            node.end(Survival.ALL)
            self._restart_later(node)

    def _destroy(self) -> None:
        """A victim loses its journal, perhaps its whole disk, and recovers."""
        if not self._victims:
            return
        node = self._nodes[self._victims.pop()]
        if self._chance.random() < 0.3:
            self._put_back_later(node, node.keep_journal())
            return
        if node.is_up:
            node.end(Survival.NONE)
        node.may_be_damaged = True
        node.recover()
        if self._chance.random() < 0.5:
            node.remove_ledger()
        self._restart_later(node)

    def _put_back_later(self, node: Node, put_back: Callable[[], bool]) -> None:
        """Put an old copy of the journal under the newer chain."""

        def again() -> None:
            if self.is_healed:
                return
            if put_back():
                self._coverage.count("journal put back")
                self._restart_later(node)
            else:
                self._put_back_later(node, put_back)

        self._world.after(self._chance.randint(200 * MS, 2 * SECOND), again)

    # Time

    def _move_clock(self) -> None:
        chance, count = self._chance, len(self._nodes)
        faulty = (count - 1) // 3
        far = [node for node in self._nodes if abs(node.clock_offset_ms) > 5_000]
        if faulty and (len(far) >= faulty or chance.random() < 0.3):
            for node in far:
                node.clock_offset_ms = chance.randint(-2_000, 2_000)
        elif faulty and chance.random() < 0.5:
            self._coverage.count("clock far off")
            self._some_node().clock_offset_ms = chance.choice([-1, 1]) * chance.choice(
                [20_000, HOUR_MS]
            )
            return
        self._coverage.count("clock jump")
        node = self._some_node()
        if abs(node.clock_offset_ms) <= 5_000:
            node.clock_offset_ms = chance.randint(-2_000, 2_000)

    def _slow_down(self) -> None:
        node, chance = self._some_node(), self._chance
        if chance.random() < 0.4:
            self._coverage.count("paused node")
            node.pause(chance.randint(100 * MS, 6 * SECOND))
            return
        self._coverage.count("slow node")
        node.pace = Pace(
            event_us=chance.choice([100, 2 * MS, 10 * MS]),
            fsync_us=chance.choice([500, 20 * MS, 200 * MS]),
            verify_us=chance.choice([2 * MS, 100 * MS, 1 * SECOND]),
        )
