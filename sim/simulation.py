"""One seed from beginning to end: build the world, let it go wrong, heal it, and demand progress.

The phases: faults, until the chain has the wanted height or the time is over; then healing, after
which every correct node must apply a new block within `PROGRESS_TIMEOUTS_MAX` of the longest view
timeouts; then whatever of the wanted heights is still missing; then, within as long again, every
correct node must hold every transaction that was ordered, have the same bytes, and be certified.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ledger.refusal import Rejected
from node.driver import Driver
from node.effects import PeerChanged
from node.intake import Parsed, parse_all_relayed
from sim import ending
from sim.checkers import Checkers
from sim.client import Clients
from sim.coverage import Coverage
from sim.deployment import MEMORY, TICK_MS, TIMING, Deployment, make_deployment
from sim.disk import ProcessEnded
from sim.faults import Faults
from sim.liars.kinds import TWINS
from sim.liars.liar import Liar
from sim.network import Network
from sim.node import DriverFactory, Node, Surroundings, Wait
from sim.plan import FAULTS_US_MAX, Plan, draw_plan, narrow
from sim.violation import Violation
from sim.world import MS, SECOND, World

FAULTS_US_MIN: Final = 4 * SECOND

PROGRESS_TIMEOUTS_MAX: Final = 10
"""Longest view timeouts (16 s) after healing within which every correct node must have applied a
new block, and after the last order within which everything must be on every correct node and
certified. A healed network first sits out a timeout that has doubled to the cap, may pass the turns
of f liars in a row, and meets them again at later heights."""

PROGRESS_US: Final = PROGRESS_TIMEOUTS_MAX * TIMING.view_timeout_ticks_max * TICK_MS * MS
EVIDENCE_US: Final = 40 * SECOND
"""How long evidence may take onto the chain while a liar goes on: each conviction makes a block, of
which it can cosign a false tree again, and two liars keep one another at it for minutes (at most
128 convictions each). A proof that others overtake moves forward each time, eight times at most."""

MARKERS: Final = 3
"""Transactions ordered after healing: the network must take new work, not only finish the old."""

MARKER_US: Final = 700 * MS
"""Between two of these."""

EVENTS_BETWEEN: Final = 64
"""Events between two looks at whether a phase is over."""

ENVELOPES_MAX: Final = 4_096
"""Relayed envelopes remembered as they were read; one simulation has a few hundred."""

BUSY_US: Final = 120 * MS
"""Mean span between two orders where somebody is away for long: that much is to be missed."""

BEGIN_US: Final = 300 * MS
"""When faults begin: the processes have started and the first transactions are under way."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a simulation is asked for; what is not given the seed decides."""

    heights: int = 20
    count: int | None = None
    family: str | None = None
    faults: tuple[str, ...] | None = None
    """Names of the faults to keep of the seed's schedule."""
    honest: tuple[int, ...] = ()
    """Faulty replicas of the plan that behave."""
    until_ms: int = FAULTS_US_MAX // MS
    """Virtual time at which everything is healed, if it was not before."""

    def arguments(self) -> str:
        """Return the command line's arguments that ask for this."""
        usual = Options()
        parts = []
        if self.heights != usual.heights:
            parts.append(f" --heights {self.heights}")
        if self.count is not None:
            parts.append(f" --nodes {self.count}")
        if self.family is not None:
            parts.append(f" --family {self.family}")
        if self.faults is not None:
            parts.append(f" --faults {','.join(self.faults) or 'none'}")
        if self.honest:
            parts.append(f" --honest {','.join(map(str, self.honest))}")
        if self.until_ms != usual.until_ms:
            parts.append(f" --until {self.until_ms}")
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class Result:
    """How a seed ended."""

    seed: int
    count: int
    plan: str
    violation: str | None
    height: int
    event_count: int
    virtual_ms: int
    resuming_ms: int
    """Virtual time from healing until every correct node had applied a new block; 0 if never."""
    settling_ms: int
    """Virtual time from the last order until everything was well; 0 if it never was."""
    longest_view_ms: int
    """Longest that a correct node was in one view after healing."""
    most_items: int
    """Most items that a driver held in memory."""
    trace_digest: str
    chain_digest: str
    counts: Counter[str]

    @property
    def rule(self) -> str | None:
        """The rule that was broken."""
        return None if self.violation is None else self.violation.partition(":")[0]


class Simulation:
    """All parts of one seed, wired."""

    def __init__(
        self,
        seed: int,
        options: Options,
        *,
        show: Callable[[str], None] | None = None,
        make_driver: DriverFactory = Driver,
        broken: frozenset[int] | None = None,
        wait: Wait = Wait.AFTERWARDS,
        plan: Plan | None = None,
    ) -> None:
        """`make_driver` is used for the nodes in `broken`, for all of them if that is None.

        A `plan` given here takes the place of the seed's.
        """
        MEMORY.forget()
        self.world: Final = World(seed, show)
        self.options: Final = options
        self.coverage: Final = Coverage()
        drawn = plan or draw_plan(self.world, options.count, options.family)
        kept = None if options.faults is None else frozenset(options.faults)
        self.plan: Final[Plan] = narrow(drawn, kept, frozenset(options.honest))
        self.deployment: Final[Deployment] = make_deployment(self.plan.count)
        self.checkers: Final = Checkers(self.deployment, self.world, self.coverage)
        identities = [*range(self.plan.count), *self.plan.twins]
        self.network: Final = Network(
            self.world,
            identities,
            self.plan.is_stream,
            self._deliver,
            self._notify,
            self.coverage,
        )
        self._processes: Final = [
            [process for process, number in enumerate(identities) if number == replica]
            for replica in range(self.plan.count)
        ]
        around = Surroundings(
            self.world,
            self.deployment,
            self.checkers,
            self.coverage,
            self._send,
            # It comes to every node; reading is pure, and what is read is frozen.
            lru_cache(ENVELOPES_MAX)(_read_relayed),
            self.network.node_up,
            self.network.node_down,
        )
        self.nodes: Final = [
            Node(
                process,
                number,
                around,
                make_driver=make_driver if broken is None or number in broken else Driver,
                liar=self._make_liar(number),
                is_twin=number in self.plan.twins,
                wait=wait,
            )
            for process, number in enumerate(identities)
        ]
        self.checkers.watch(self.nodes)
        self.checkers.evidence.is_calm = not self.plan.schedule
        living = [node for node in self.nodes if node.number not in self.plan.dead]
        self.clients: Final = Clients(
            self.world, self.deployment, living, self.checkers.chain, self.coverage
        )
        if self.plan.absent:
            self.clients.interval_us = BUSY_US
        self.faults: Final = Faults(self.world, self.plan, self.nodes, self.network, self.coverage)
        self._living: Final = living
        self._healed_us = 0
        self._healed_height = 0
        self._ordered_us = 0
        self._resuming_us = 0
        self._settling_us = 0

    @property
    def correct(self) -> list[Node]:
        """The nodes that owe everything."""
        return [node for node in self._living if node.is_correct]

    def run(self) -> Result:
        """Run the seed to its end."""
        violation = None
        self.world.trace("plan", self.plan.describe())
        try:
            self._go()
            ending.check(self.correct, self.deployment, self.checkers, self.world.seed)
        except Violation as error:
            violation = str(error)
            self.world.trace("VIOLATION", violation)
        except (Exception, ProcessEnded) as error:  # noqa: BLE001 - a campaign goes on and tells
            violation = "the simulator raised: " + "".join(traceback.format_exception(error))
            self.world.trace("VIOLATION", type(error).__name__)
        for node in self.nodes:
            node.abandon()
        for family in self.plan.families:
            self.coverage.count(f"family: {family}")
        return Result(
            seed=self.world.seed,
            count=self.plan.count,
            plan=self.plan.describe(),
            violation=violation,
            height=len(self.checkers.chain.blocks) - 1,
            event_count=self.world.event_count,
            virtual_ms=self.world.now_us // MS,
            resuming_ms=self._resuming_us // MS,
            settling_ms=self._settling_us // MS,
            longest_view_ms=self.checkers.views.longest_us // MS,
            most_items=self.checkers.bounds.most_items,
            trace_digest=self.world.digest,
            chain_digest=ending.digest(self.checkers),
            counts=self.coverage.counts,
        )

    def _go(self) -> None:
        for node in self._living:
            self.world.after(node.process * MS, node.start)
        for _ in self.plan.twins:
            self.coverage.count(f"liar: {TWINS}")
        until_us = self.options.until_ms * MS
        self.world.after(200 * MS, self.clients.start)
        self.world.after(BEGIN_US, lambda: self.faults.start(until_us))
        self._run_until(self._is_tried, until_us)
        self.world.trace("faults", "healed")
        self.faults.heal()
        self.checkers.views.healed()
        self._healed_us = self.world.now_us
        self._healed_height = len(self.checkers.chain.blocks) - 1
        if not self._run_until(self._is_resumed, self._healed_us + PROGRESS_US):
            raise Violation("progress", self._why_not_resumed())
        self._resuming_us = self.world.now_us - self._healed_us
        deadline_us = self.world.now_us + self.options.heights * PROGRESS_US
        self._run_until(self._is_high, deadline_us)
        self.clients.is_ordering = False
        self._ordered_us = self.world.now_us
        for number in range(MARKERS):
            self.world.after((number + 1) * MARKER_US, self._mark)
        if not self._run_until(self._is_well, self._ordered_us + PROGRESS_US):
            raise Violation(*self._why_not_well())
        self._settling_us = self.world.now_us - self._ordered_us

    def _mark(self) -> None:
        self.clients.order_marker()

    def _run_until(self, is_done: Callable[[], bool], deadline_us: int) -> bool:
        while self.world.now_us < deadline_us:
            if not self.world.step():
                break
            if self.world.event_count % EVENTS_BETWEEN == 0:
                self.checkers.bounds.check_links(self.network.most_in_flight)
                if is_done():
                    return True
        return False

    def _is_tried(self) -> bool:
        return (
            self._is_high()
            and self.world.now_us >= FAULTS_US_MIN
            and not self.faults.is_anybody_away
        )

    def _is_high(self) -> bool:
        return len(self.checkers.chain.blocks) > self.options.heights

    def _is_resumed(self) -> bool:
        return all(node.height > self._healed_height for node in self.correct)

    def _is_well(self) -> bool:
        if self.world.now_us < self._ordered_us + (MARKERS + 1) * MARKER_US:
            return False
        return not self._unwell()

    def _unwell(self) -> list[str]:
        """Return what still keeps the healed network from being well.

        At first no evidence may be missing; of liars that make more in every block only what has
        been held for long.
        """
        return ending.find_unwell(self.correct, self.clients, self.checkers, self._held_us())

    def _held_us(self) -> int:
        is_first_half = self.world.now_us < self._ordered_us + PROGRESS_US // 2
        return 0 if is_first_half else EVIDENCE_US

    def _why_not_resumed(self) -> str:
        heights = {node.name: node.height for node in self.correct}
        return (
            f"{PROGRESS_US // SECOND} s after healing ({PROGRESS_TIMEOUTS_MAX} longest view "
            f"timeouts) at height {self._healed_height}, the heights are {heights}"
        )

    def _why_not_well(self) -> tuple[str, str]:
        """Return the rule that is broken, and what is still missing."""
        unwell = self._unwell()
        is_well_otherwise = len(unwell) == 1 and self.checkers.evidence.find_missing(
            self._held_us()
        )
        rule = "evidence" if is_well_otherwise else "progress"
        missing = "; ".join(unwell) or "nothing happens any more"
        timeouts = f"{PROGRESS_TIMEOUTS_MAX} longest view timeouts"
        return rule, f"{PROGRESS_US // SECOND} s after the last order ({timeouts}): {missing}"

    def _make_liar(self, number: int) -> Liar | None:
        kind = self.plan.liars.get(number)
        if kind is None:
            return None
        return kind(number, self.deployment, self.world, self.coverage)

    def _send(self, process: int, replica: int, payload: bytes, at_us: int) -> None:
        for receiver in self._processes[replica]:
            self.network.send(process, receiver, payload, at_us)

    def _deliver(self, sender: int, receiver: int, payload: bytes) -> None:
        self.nodes[receiver].frame_arrived(self.nodes[sender].number, payload)

    def _notify(self, process: int, peer: int, is_connected: bool) -> None:
        self.nodes[process].receive(PeerChanged(self.nodes[peer].number, is_connected))


def _read_relayed(raw: bytes, chain_id: bytes) -> Parsed | Rejected:
    (item,) = parse_all_relayed([raw], chain_id)
    return item


def run_seed(seed: int, options: Options, show: Callable[[str], None] | None = None) -> Result:
    """Run one seed with the real driver on every node."""
    return Simulation(seed, options, show=show).run()
