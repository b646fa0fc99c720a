"""What the seed decides before the first event: who is in the network, and all that will go wrong.

A plan holds the size of the network, its manner, who may be a liar, be dead or lose its disk
(together at most f, because nothing is promised beyond), and the schedule: every fault with its
time and number, drawn beforehand. A fault draws what else it needs from a stream of its own, so
leaving some out changes none of the others: that is what lets a failing seed shrink.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Final

from sim.coverage import SIZES
from sim.liars.kinds import LIARS, TWINS
from sim.liars.liar import Liar
from sim.world import MS, SECOND

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
)
NEEDS_FAULTY: Final = frozenset({"amnesia", "liars", "twins", "dead"})
"""Families that need somebody to be faulty: n ≥ 4."""

COUNTS: Final = (*SIZES, *[4] * 10, *[1, 2, 3, 5, 5, 6, 6, 7, 7])
"""Sizes drawn from: n=4 is where a quorum has no slack, the others are where arithmetic slips; a
large one takes as long as four small ones."""

FAULTS_US_MAX: Final = 60 * SECOND
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
    "amnesia": (
        "journal lost",
        "disk lost",
        "backup taken",
        "backup restored",
        "journal put back",
    ),
    "clocks": ("clock jump", "clock jump", "clock drift", "clock far off"),
    "slowness": ("slow node", "slow disk", "slow signatures", "paused node"),
}
"""The faults of each family that has any; one named twice comes twice as often."""

RARE: Final = frozenset({"blackouts", "amnesia"})
"""Families whose faults come half as often: each sets the whole network back."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    number: int
    """Its place in the schedule, and the name of its stream of chance."""
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
        if self.astray:
            parts.append(f"clocks far off: {list(self.astray)}")
        return ", ".join(parts)


def draw_plan(
    chance: random.Random, seed: int, count: int | None = None, family: str | None = None
) -> Plan:
    """Draw a plan; the main family follows from the seed, so that a range of seeds meets all."""
    main = family or FAMILIES[seed % len(FAMILIES)]
    others = [name for name in FAMILIES[1:] if chance.random() < 0.15]
    families = {main} if main == "calm" else {main, *others}
    drawn = chance.choice(COUNTS)
    size = count or (max(drawn, 4) if main in NEEDS_FAULTY else drawn)
    bad = chance.sample(range(size), (size - 1) // 3)
    roles = sorted(families & NEEDS_FAULTY)
    if "disks" in families and "amnesia" not in families:
        roles.append("amnesia")
    shared: dict[str, list[int]] = {role: [] for role in roles}
    for at, number in enumerate(bad if roles else []):
        # The main family is never left without; the others share what is over.
        role = main if at == 0 and main in shared else chance.choice(roles)
        shared[role].append(number)
    astray = chance.sample(range(size), (size - 1) // 3) if "clocks" in families else []
    is_stream = "weather" not in families and chance.random() < 0.6
    mean_us = chance.choice([250, 500, 1_000, 2_000]) * MS
    return Plan(
        count=size,
        families=frozenset(families),
        is_stream=is_stream,
        liars={number: chance.choice(LIARS) for number in shared.get("liars", [])},
        twins=tuple(sorted(shared.get("twins", []))),
        dead=tuple(sorted(shared.get("dead", []))),
        victims=tuple(sorted(shared.get("amnesia", []))),
        astray=tuple(sorted(astray)),
        schedule=_draw_schedule(chance, families, mean_us),
    )


def _draw_schedule(chance: random.Random, families: set[str], mean_us: int) -> tuple[Fault, ...]:
    drawn: list[tuple[int, str]] = []
    for family in FAMILIES:
        if family not in families or family not in KINDS:
            continue
        if family in {"weather", "clocks"}:
            drawn += [(0, kind) for kind in dict.fromkeys(KINDS[family]) if kind != "clock far off"]
        span_us = mean_us * (2 if family in RARE else 1)
        at_us = 0
        while True:
            at_us += chance.randint(span_us // 4, span_us * 7 // 4)
            if at_us >= FAULTS_US_MAX:
                break
            drawn.append((at_us, chance.choice(KINDS[family])))
    drawn.sort(key=lambda item: item[0])
    return tuple(Fault(number, at_us, kind) for number, (at_us, kind) in enumerate(drawn))


def narrow(plan: Plan, kept: frozenset[int] | None, honest: frozenset[int]) -> Plan:
    """Return the plan with only these faults of its schedule, and some faulty replicas behaving."""
    schedule = plan.schedule
    if kept is not None:
        schedule = tuple(fault for fault in schedule if fault.number in kept)
    return replace(
        plan,
        liars={number: kind for number, kind in plan.liars.items() if number not in honest},
        twins=tuple(number for number in plan.twins if number not in honest),
        dead=tuple(number for number in plan.dead if number not in honest),
        schedule=schedule,
    )
