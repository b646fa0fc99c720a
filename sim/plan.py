"""What the seed decides before the first event: who is in the network, and all that will go wrong.

A plan holds the size of the network, its manner, who may be a liar, be dead or lose its disk
(together at most f, because nothing is promised beyond), and the schedule: every fault with its
time and name, drawn beforehand. A fault draws what else it needs from a stream of its own, so
leaving some out changes none of the others: that is what lets a failing seed shrink.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Final

from sim.coverage import SIZES
from sim.liars.kinds import LIARS, TWINS
from sim.liars.liar import Liar
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
    "twins",
    "dead",
    "absences",
)
MAINS: Final = FAMILIES[:-1]
"""Which of them a seed has for its main one; `absences` come beside it, or if it is asked for."""

NEEDS_FAULTY: Final = frozenset({"absences", "amnesia", "liars", "twins", "dead"})
"""Families that need somebody to be faulty: n ≥ 4."""

COUNTS: Final = (*SIZES, *[4] * 10, *[1, 2, 3, 5, 5, 6, 6, 7, 7])
"""Sizes drawn from: n=4 is where a quorum has no slack, the others are where arithmetic slips; a
large one takes as long as four small ones."""

FAULTS_US_MAX: Final = 45 * SECOND
"""Faults end after so long even if the chain stood still, as it may while they last."""

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "crashes": (
        "crash at once",
        "crash at an effect",
        "crash at an effect",
        "crash at a disk step",
        "crash at a disk step",
        "crash of several at once",
        "crash while starting",
    ),
    "blackouts": ("all nodes cut",),
    "partitions": (
        "partition",
        "partition",
        "partition one way",
        "node cut off",
        "flapping link",
        "connection reset",
    ),
    "weather": ("weather",),
    "disks": (
        "disk full",
        "fsync failed",
        "index batch failed",
        "index batch failed afterwards",
        "index lost a batch",
        "index removed",
        "bit rot",
    ),
    "amnesia": ("journal lost", "disk lost", "backup taken", "backup restored"),
    "clocks": ("clock jump", "clock jump", "clock drift", "clock far off"),
    "slowness": ("slow node", "slow disk", "slow signatures", "paused node"),
    "absences": ("long outage", "long cut", "long pause"),
}
"""The faults of each family that has any; one named twice comes twice as often."""

STANDING: Final[dict[str, tuple[str, ...]]] = {
    "weather": ("weather",),
    "clocks": ("clock jump", "clock drift"),
}
"""What is so from the beginning in a family."""

MEANS_US: Final = (200 * MS, 400 * MS, 800 * MS, 1_600 * MS)
"""Mean spans between two faults of one family; one of them holds for a whole seed."""

OTHERS_PART: Final = 0.15
"""How often a seed has a further family beside its main one, each for itself."""

STREAM_PART: Final = 0.6
"""How often the network is one of streams."""

RARE: Final = frozenset({"blackouts", "amnesia"})
"""Families whose faults come half as often: each sets the whole network back."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    """Its family and its place in that family's schedule: `crashes-3`."""
    at_us: int
    kind: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the seed decides before the first event."""

    count: int
    families: frozenset[str]
    is_stream: bool
    liars: dict[int, type[Liar]] = field(default_factory=dict)
    twins: tuple[int, ...] = ()
    """Replicas that run twice, with one identity and two disks."""
    dead: tuple[int, ...] = ()
    """Replicas that never run."""
    victims: tuple[int, ...] = ()
    """Replicas whose disk may be destroyed."""
    absent: tuple[int, ...] = ()
    """Replicas that may be away for so long that the others decide more heights than a receipt
    promises."""
    astray: tuple[int, ...] = ()
    """Replicas whose clock may be far off: f others, for a quorum outvotes f liars and f clocks."""
    schedule: tuple[Fault, ...] = ()

    @property
    def faulty(self) -> frozenset[int]:
        """Replicas that are promised nothing and of which nothing is expected."""
        return frozenset({*self.liars, *self.twins, *self.dead})

    def describe(self) -> str:
        """Return the plan in one line."""
        liars = [f"{number} {kind.kind}" for number, kind in sorted(self.liars.items())]
        liars += [f"{number} {TWINS}" for number in self.twins]
        parts = [
            f"{self.count} nodes",
            f"{'stream' if self.is_stream else 'datagram'} network",
            f"families {' '.join(sorted(self.families))}",
            f"liars: {', '.join(liars) or 'none'}",
        ]
        if self.dead:
            parts.append(f"dead: {list(self.dead)}")
        if self.victims:
            parts.append(f"victims: {list(self.victims)}")
        if self.absent:
            parts.append(f"away for long: {list(self.absent)}")
        if self.astray:
            parts.append(f"clocks far off: {list(self.astray)}")
        return ", ".join(parts)


def draw_plan(world: World, count: int | None = None, family: str | None = None) -> Plan:
    """Draw a seed's plan; the main family follows from the seed, so that a range meets all.

    Each part has a stream of its own, so that a further draw in one leaves the others as they were.
    """
    main = family or MAINS[world.seed % len(MAINS)]
    others = [
        name for name in FAMILIES[1:] if world.chance(f"plan/family/{name}").random() < OTHERS_PART
    ]
    families = {main} if main == "calm" else {main, *others}
    drawn = world.chance("plan/count").choice(COUNTS)
    size = count or (max(drawn, 4) if main in NEEDS_FAULTY else drawn)
    roles = _draw_roles(world, size, main, families)
    kinds = world.chance("plan/liars")
    astray = world.chance("plan/clocks").sample(range(size), (size - 1) // 3)
    is_stream = "weather" not in families and world.chance("plan/network").random() < STREAM_PART
    return Plan(
        count=size,
        families=frozenset(families),
        is_stream=is_stream,
        liars={number: kinds.choice(LIARS) for number in roles.get("liars", ())},
        twins=roles.get("twins", ()),
        dead=roles.get("dead", ()),
        victims=roles.get("amnesia", ()),
        absent=roles.get("absences", ()),
        astray=tuple(sorted(astray)) if "clocks" in families else (),
        schedule=_draw_schedule(world, families),
    )


def _draw_roles(
    world: World, size: int, main: str, families: set[str]
) -> dict[str, tuple[int, ...]]:
    """Return who may be faulty in which way: f replicas at most."""
    chance = world.chance("plan/roles")
    roles = sorted(families & NEEDS_FAULTY)
    if "disks" in families and "amnesia" not in families:
        roles.append("amnesia")
    shared: dict[str, list[int]] = {role: [] for role in roles}
    for at, number in enumerate(chance.sample(range(size), (size - 1) // 3) if roles else []):
        # The main family is never left without; the others share what is over.
        role = main if at == 0 and main in shared else chance.choice(roles)
        shared[role].append(number)
    return {role: tuple(sorted(numbers)) for role, numbers in shared.items()}


def _draw_schedule(world: World, families: set[str]) -> tuple[Fault, ...]:
    mean_us = world.chance("plan/pace").choice(MEANS_US)
    drawn: list[Fault] = []
    for family in sorted(families & KINDS.keys()):
        chance = world.chance(f"schedule/{family}")
        times = _draw_times(chance, mean_us * (2 if family in RARE else 1))
        faults = [(at_us, chance.choice(KINDS[family])) for at_us in times]
        if family in STANDING:
            faults = [(0, kind) for kind in STANDING[family]] + faults
        drawn += [Fault(f"{family}-{at}", *fault) for at, fault in enumerate(faults)]
    return tuple(sorted(drawn, key=lambda fault: (fault.at_us, fault.name)))


def _draw_times(chance: random.Random, mean_us: int) -> list[int]:
    times: list[int] = []
    at_us = 0
    while True:
        at_us += chance.randint(mean_us // 4, mean_us * 7 // 4)
        if at_us >= FAULTS_US_MAX:
            return times
        times.append(at_us)


def narrow(plan: Plan, kept: frozenset[str] | None, honest: frozenset[int]) -> Plan:
    """Return the plan with only these faults of its schedule, and some faulty replicas behaving."""
    schedule = plan.schedule
    if kept is not None:
        schedule = tuple(fault for fault in schedule if fault.name in kept)
    return replace(
        plan,
        liars={number: kind for number, kind in plan.liars.items() if number not in honest},
        twins=tuple(number for number in plan.twins if number not in honest),
        dead=tuple(number for number in plan.dead if number not in honest),
        schedule=schedule,
    )
