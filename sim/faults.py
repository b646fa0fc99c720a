"""Carries a plan's schedule out: one function per kind of fault, and what heals them all.

A fault looks at the world as it finds it (a node that is down cannot crash) and draws everything
else from its own stream. Crashes, power cuts, partitions, bad weather and slow machines may strike
everybody; what destroys synced data strikes the plan's victims. `heal` ends all of it; from then on
the network owes progress.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from sim.coverage import Coverage
from sim.disk import Survival
from sim.network import Conditions, Network
from sim.node import BOUNDARIES, Backup, Clock, Node, Pace, PlannedCrash
from sim.plan import Fault, Plan
from sim.world import MS, SECOND, World
from storage.memory import Fault as BatchFault

HOUR_MS: Final = 3_600_000
DOWN_US_MAX: Final = 5 * SECOND
ABSENCE_US: Final = (10 * SECOND, 25 * SECOND)
"""How long somebody is away for so long that more heights are decided than a receipt promises."""

RETURN_US: Final = 5 * SECOND
"""How long who was away is left alone."""

POWER_LOSSES: Final = tuple(item for item in Survival if item is not Survival.ALL)


class Faults:
    """See the module's text."""

    def __init__(
        self, world: World, plan: Plan, nodes: Sequence[Node], network: Network, coverage: Coverage
    ) -> None:
        self.is_healed = False
        self._world = world
        self._plan = plan
        self._nodes = [node for node in nodes if node.number not in plan.dead]
        self._network = network
        self._coverage = coverage
        self._backups: dict[int, Backup] = {}
        self._back_us: dict[int, int] = {}
        """When who was sent away has been back for a while, by process."""
        chance = world.chance("faults")
        for node in nodes:
            node.is_astray = node.number in plan.astray
            node.clock = Clock(offset_ms=chance.randint(-50, 50))
        self._perform: dict[str, Callable[[random.Random], None]] = {
            "crash at once": self._crash_at_once,
            "crash at an effect": self._crash_at_an_effect,
            "crash at a disk step": self._crash_at_a_disk_step,
            "crash of several at once": self._crash_several,
            "crash while starting": self._crash_while_starting,
            "all nodes cut": self._cut_all,
            "partition": self._partition,
            "partition one way": self._partition_one_way,
            "node cut off": self._cut_off,
            "flapping link": self._flap,
            "connection reset": self._reset,
            "weather": self._change_weather,
            "disk full": self._fill_disk,
            "fsync failed": self._fail_fsync,
            "index batch failed": partial(self._fail_batch, BatchFault.FAILS),
            "index batch failed afterwards": partial(self._fail_batch, BatchFault.FAILS_AFTERWARDS),
            "index lost a batch": self._lose_batch,
            "index removed": self._remove_index,
            "bit rot": self._rot,
            "journal lost": self._lose_journal,
            "disk lost": self._lose_disk,
            "backup taken": self._take_backup,
            "backup restored": self._restore_backup,
            "clock jump": self._jump_clock,
            "clock drift": self._drift_clock,
            "clock far off": self._set_clock_far_off,
            "slow node": self._slow_down,
            "slow disk": self._slow_disk,
            "slow signatures": self._slow_signatures,
            "paused node": self._pause,
            "long outage": partial(self._send_away, self._outage),
            "long cut": partial(self._send_away, self._long_cut),
            "long pause": partial(self._send_away, self._long_pause),
        }

    @property
    def is_anybody_away(self) -> bool:
        """Whether somebody is away for long, or has just come back."""
        return any(back_us > self._world.now_us for back_us in self._back_us.values())

    def start(self, end_us: int) -> None:
        """Have everything happen that the schedule holds before `end_us`, relative to now."""
        for number in self._plan.dead:
            self._coverage.count("dead node")
            self._world.trace(f"node-{number}", "is dead")
        for fault in self._plan.schedule:
            if fault.at_us < end_us:
                self._world.after(fault.at_us, partial(self._strike, fault))

    def heal(self) -> None:
        """End every fault; liars stay liars, and the dead stay dead."""
        self.is_healed = True
        self._network.heal()
        chance = self._world.chance("healing")
        for node in self._nodes:
            node.planned_crash = None
            node.pace = Pace()
            node.set_clock(chance.randint(-50, 50), 0)
            node.index.plan_faults()
            for directory in node.directories:
                directory.mend()
            self._world.after(chance.randint(0, 300) * MS, node.start)

    def _strike(self, fault: Fault) -> None:
        if not self.is_healed:
            self._world.trace("fault", f"{fault.name}: {fault.kind}")
            self._perform[fault.kind](self._world.chance(f"fault/{fault.name}"))

    def _victims(self) -> list[Node]:
        return [node for node in self._nodes if node.number in self._plan.victims]

    # Processes

    def _crash_at_once(self, chance: random.Random) -> None:
        node = chance.choice(self._nodes)
        if node.is_up:
            self._coverage.count("crash at once")
            self._crash(node, chance)

    def _crash_at_an_effect(self, chance: random.Random) -> None:
        self._plan_crash(
            chance.choice(self._nodes), chance.choice(BOUNDARIES), chance.randint(0, 6), chance
        )

    def _crash_at_a_disk_step(self, chance: random.Random) -> None:
        self._plan_crash(chance.choice(self._nodes), "disk step", chance.randint(0, 25), chance)

    def _plan_crash(self, node: Node, where: str, countdown: int, chance: random.Random) -> None:
        def crash() -> None:
            self._crash(node, chance)

        node.planned_crash = PlannedCrash(where, countdown, crash)

    def _crash_several(self, chance: random.Random) -> None:
        up = [node for node in self._nodes if node.is_up]
        if len(up) < 2:
            return
        self._coverage.count("crash of several at once")
        for node in chance.sample(up, chance.randint(2, len(up))):
            self._crash(node, chance)

    def _crash_while_starting(self, chance: random.Random) -> None:
        node = chance.choice(self._nodes)
        if node.is_up:
            node.end(chance.choice(list(Survival)))
        self._plan_crash(node, "disk step", chance.randint(0, 8), chance)
        self._restart_later(node, chance)

    def _cut_all(self, chance: random.Random) -> None:
        """The power goes everywhere at once."""
        self._coverage.count("all nodes cut")
        survival = chance.choice([Survival.NONE, Survival.TORN, Survival.SCATTERED])
        for node in self._nodes:
            if node.is_up:
                node.end(survival)
                self._restart_later(node, chance)

    def _crash(self, node: Node, chance: random.Random) -> None:
        survival = Survival.ALL if chance.random() < 0.3 else chance.choice(POWER_LOSSES)
        node.end(survival)
        self._restart_later(node, chance)

    def _restart_later(self, node: Node, chance: random.Random) -> None:
        if chance.random() < 0.5:
            down_us = chance.randint(1, 300) * MS
        else:
            down_us = chance.randint(300 * MS, DOWN_US_MAX)

        def restart() -> None:
            if not node.is_up:
                self._coverage.count("restart")
                node.start()

        self._world.after(down_us, restart)

    # Absences

    def _send_away(self, send: Callable[[Node, int], None], chance: random.Random) -> None:
        """One of those who may be is away for long, unless it is or has just been."""
        here = [
            node
            for node in self._nodes
            if node.number in self._plan.absent
            and self._back_us.get(node.process, 0) <= self._world.now_us
        ]
        if not here:
            return
        node, span_us = chance.choice(here), chance.randint(*ABSENCE_US)
        self._back_us[node.process] = self._world.now_us + span_us + RETURN_US
        send(node, span_us)

    def _outage(self, node: Node, span_us: int) -> None:
        self._coverage.count("long outage")
        if node.is_up:
            node.end(Survival.NONE)
        self._world.after(span_us, node.start)

    def _long_cut(self, node: Node, span_us: int) -> None:
        self._coverage.count("long cut")
        pairs = self._between({node.process})
        self._cut(pairs + [(b, a) for a, b in pairs], span_us)

    def _long_pause(self, node: Node, span_us: int) -> None:
        self._coverage.count("long pause")
        node.pause(span_us)

    # Links

    def _cut(self, pairs: Sequence[tuple[int, int]], span_us: int) -> None:
        if not pairs:
            return
        self._world.trace("network", f"cuts {sorted(pairs)}")
        self._network.block(sorted(pairs))
        self._world.after(span_us, lambda: self._network.unblock(sorted(pairs)))

    def _between(self, side: set[int]) -> list[tuple[int, int]]:
        return [(a, b) for a, b in self._network.pairs if a in side and b not in side]

    def _sides(self, chance: random.Random) -> set[int]:
        count = len(self._nodes)
        chosen = chance.sample(self._nodes, chance.randint(1, count - 1))
        return {node.process for node in chosen}

    def _partition(self, chance: random.Random) -> None:
        if len(self._nodes) < 2:
            return
        self._coverage.count("partition")
        pairs = self._between(self._sides(chance))
        pairs += [(b, a) for a, b in pairs]
        self._cut(pairs, chance.randint(200 * MS, 6 * SECOND))

    def _partition_one_way(self, chance: random.Random) -> None:
        if len(self._nodes) < 2:
            return
        self._coverage.count("partition one way")
        self._cut(self._between(self._sides(chance)), chance.randint(200 * MS, 6 * SECOND))

    def _cut_off(self, chance: random.Random) -> None:
        if len(self._nodes) < 2:
            return
        self._coverage.count("node cut off")
        pairs = self._between({chance.choice(self._nodes).process})
        pairs += [(b, a) for a, b in pairs]
        self._cut(pairs, chance.randint(SECOND, 10 * SECOND))

    def _flap(self, chance: random.Random) -> None:
        if len(self._nodes) < 2:
            return
        self._coverage.count("flapping link")
        pair = [chance.choice(self._network.pairs)]

        def flap(times: int) -> None:
            if times % 2 and not self.is_healed:
                self._network.block(pair)
            else:
                self._network.unblock(pair)
            if times > 0 and not self.is_healed:
                self._world.after(chance.randint(50, 400) * MS, partial(flap, times - 1))

        flap(chance.randint(3, 8))

    def _reset(self, chance: random.Random) -> None:
        if len(self._nodes) < 2:
            return
        self._coverage.count("connection reset")
        self._network.reset(*chance.choice(self._network.pairs))

    def _change_weather(self, chance: random.Random) -> None:
        self._network.conditions = Conditions(
            delay_us_min=chance.choice([100, 1 * MS, 20 * MS]),
            delay_us_max=chance.choice([20 * MS, 100 * MS, 600 * MS]),
            loss=chance.choice([0.0, 0.02, 0.1, 0.3]),
            duplication=chance.choice([0.0, 0.05, 0.3]),
            straggling=chance.choice([0.0, 0.02, 0.1]),
        )

    # Disks

    def _fill_disk(self, chance: random.Random) -> None:
        self._coverage.count("disk full")
        directory = chance.choice(chance.choice(self._nodes).directories)
        directory.room_bytes = chance.randint(0, 2_000)

    def _fail_fsync(self, chance: random.Random) -> None:
        self._coverage.count("fsync failed")
        directory = chance.choice(chance.choice(self._nodes).directories)
        directory.fsyncs_until_failure = chance.randint(0, 5)

    def _fail_batch(self, kind: BatchFault, chance: random.Random) -> None:
        node = chance.choice(self._nodes)
        node.index.plan_faults(*[None] * chance.randint(0, 2), kind)

    def _lose_batch(self, chance: random.Random) -> None:
        """The machine loses power, and its index had not kept what it said it had."""
        node = chance.choice(self._nodes)
        if node.is_up:
            self._coverage.count("index lost a batch")
            node.end(chance.choice(POWER_LOSSES))
            node.index.lose_newest_batch()
            self._restart_later(node, chance)

    def _remove_index(self, chance: random.Random) -> None:
        node = chance.choice(self._nodes)
        if node.is_up:
            node.end(Survival.ALL)
            node.remove_index()
            self._restart_later(node, chance)

    # What destroys synced data

    def _rot(self, chance: random.Random) -> None:
        """Flip a bit on a victim's disk, and have the process find it at its next start."""
        if not self._victims():
            return
        node = chance.choice(self._victims())
        directory = chance.choice(node.directories)
        bit = directory.draw_bit(chance)
        if bit is None:
            return
        node.rot(directory, *bit)
        if node.is_up:
            node.end(Survival.ALL)
            self._restart_later(node, chance)

    def _lose_journal(self, chance: random.Random) -> None:
        """A victim loses its journal, and recovers."""
        if not self._victims():
            return
        self._coverage.count("journal lost")
        node = chance.choice(self._victims())
        self._destroy(node, chance)
        node.recover()

    def _lose_disk(self, chance: random.Random) -> None:
        """A victim loses everything, and recovers."""
        if not self._victims():
            return
        node = chance.choice(self._victims())
        self._coverage.count("disk lost")
        self._destroy(node, chance)
        node.lose_disk()

    def _take_backup(self, chance: random.Random) -> None:
        if not self._victims():
            return
        node = chance.choice(self._victims())
        self._backups[node.process] = node.back_up()

    def _restore_backup(self, chance: random.Random) -> None:
        """A victim's disk is put back as it once was; the operator runs `recover`, or forgets to.

        Whoever forgets to is among the f: it may contradict what it signed after the backup. If
        only the journal is put back, under a chain that has gone on, the node itself says so.
        """
        known = [node for node in self._victims() if node.process in self._backups]
        if not known:
            return
        node = chance.choice(known)
        backup = self._backups[node.process]
        if node.is_up and chance.random() < 0.3 and node.put_back_journal(backup):
            self._coverage.count("journal put back")
            self._restart_later(node, chance)
            return
        self._destroy(node, chance)
        is_told = chance.random() < 0.7
        self._coverage.count("backup restored" if is_told else "backup restored in silence")
        node.restore(backup, is_told=is_told)
        if is_told:
            node.recover()

    def _destroy(self, node: Node, chance: random.Random) -> None:
        if node.is_up:
            node.end(Survival.NONE)
        node.may_be_damaged = True
        self._restart_later(node, chance)

    # Time

    def _jump_clock(self, chance: random.Random) -> None:
        """A clock is set; now and then that ends one that was far off."""
        self._coverage.count("clock jump")
        node = chance.choice(self._nodes)
        node.set_clock(chance.randint(-2_000, 2_000), node.clock.drift_ppm)

    def _drift_clock(self, chance: random.Random) -> None:
        """A clock runs fast or slow, timers and all; a bad quartz is a hundred ppm off."""
        self._coverage.count("clock drift")
        node = chance.choice(self._nodes)
        node.set_clock(node.clock_offset_ms, chance.choice([-20_000, -200, 200, 20_000]))

    def _set_clock_far_off(self, chance: random.Random) -> None:
        """The clocks of f nodes, always the same, may be far off: only the others' say counts."""
        astray = [node for node in self._nodes if node.number in self._plan.astray]
        if not astray:
            return
        node = chance.choice(astray)
        self._coverage.count("clock far off")
        offset_ms = chance.choice([-1, 1]) * chance.choice([20_000, HOUR_MS])
        node.set_clock(offset_ms, node.clock.drift_ppm)

    def _slow_down(self, chance: random.Random) -> None:
        self._coverage.count("slow node")
        chance.choice(self._nodes).pace.event_us = chance.choice([100, 2 * MS, 10 * MS])

    def _slow_disk(self, chance: random.Random) -> None:
        self._coverage.count("slow disk")
        chance.choice(self._nodes).pace.fsync_us = chance.choice([500, 20 * MS, 200 * MS])

    def _slow_signatures(self, chance: random.Random) -> None:
        self._coverage.count("slow signatures")
        chance.choice(self._nodes).pace.verify_us = chance.choice([2 * MS, 100 * MS, SECOND])

    def _pause(self, chance: random.Random) -> None:
        self._coverage.count("paused node")
        chance.choice(self._nodes).pause(chance.randint(100 * MS, 6 * SECOND))
