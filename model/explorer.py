"""Every state that correct replicas and liars can bring about, breadth first, each visited once.

What is not enumerated, and why nothing is lost by it:
- *inboxes*: a statement once made can reach anybody at any later time or never, so what a replica
  has heard is whatever subset its next statement needs; every delivery order of a real network is
  one of these (`model.refinement` checks real runs for it);
- *crashes*: what was signed is durable, so a restarted replica is in the state it was in;
- *liars*: they may have said anything that keys and certificates allow, so they need no state;
- *names*: a lying primary's blocks A and B differ in nothing but their letters, so of two states
  that are equal after swapping them one is visited;
- *more blocks*: rules only ask whether two blocks are equal. A breach concerns two blocks; rename
  all the others to one of these, and it is a breach of a world with two.
The first breach found is one of the shortest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from model.properties import breach_of_state, breach_of_step, describe, heal
from model.rules import Rules
from model.statements import Block, Book, Statement

State = int
"""A set of statements: the sum of their bits."""

Look = Callable[[Book, Statement | None], str | None]
"""One more judge of a state, told which statement led there: returns the sentence of a breach."""

STATES_PER_REPORT = 2_000


@dataclass(frozen=True)
class Breach:
    """A property that does not hold, and the statements that lead there."""

    sentence: str
    trace: tuple[Statement, ...]


@dataclass
class Exploration:
    """What was seen."""

    state_count: int = 0
    """States visited, of those that differ only in a liar's letters one."""
    step_count: int = 0
    """Steps between them."""
    decided_count: int = 0
    """States in which a block is decided."""
    depth: int = 0
    """Most statements of a state."""
    breach: Breach | None = None
    situations: set[Hashable] = field(default_factory=set)
    """What distinguishes states for the views to come; a decision was reached from each."""


class Explorer:
    """One world and its rules."""

    def __init__(self, rules: Rules, *, merges_letters: bool = True) -> None:
        self.rules = rules
        setting = rules.setting
        has_lying_primary = any(
            rules.primary(view) in setting.liars for view in range(setting.view_count)
        )
        self._merges_letters = merges_letters and has_lying_primary
        self._origin: dict[State, tuple[State, State]] = {0: (0, 0)}
        """Every state met, in its canonical letters → the state before it and the step's bit."""
        self._bits: dict[Statement, State] = {}
        self._statements: list[Statement] = []
        self._swapped: dict[State, State] = {}

    def run(
        self,
        *,
        opening: Sequence[Statement] = (),
        states_max: int | None = None,
        look: Look = lambda _book, _newest: None,
        report: Callable[[int], None] = lambda _: None,
    ) -> Exploration:
        """Visit every state reachable after `opening`, or stop at the first breach.

        Each statement of an opening must be a step itself; a `ValueError` says which is not. `look`
        is one more judge of every state; `report` is told how many more states were visited.
        """
        seen = Exploration()
        origin = self._origin
        start = 0
        for statement in opening:
            if statement not in self.rules.next_statements(Book(self.decode(start))):
                raise ValueError(f"the opening's “{describe(statement)}” is not a step")
            bit = self._bit(statement)
            origin[start | bit] = (start, bit)
            start |= bit
        waiting = deque([start])
        while waiting and (states_max is None or seen.state_count < states_max):
            state = waiting.popleft()
            book = Book(self.decode(state))
            seen.state_count += 1
            seen.depth = max(seen.depth, state.bit_count())
            if seen.state_count % STATES_PER_REPORT == 0:
                report(STATES_PER_REPORT)
            newest = self._statements[origin[state][1].bit_length() - 1] if state else None
            breach = self._judge(book, newest, seen, look)
            if breach is not None:
                seen.breach = self._after(state, breach)
                return seen
            for statement in self.rules.next_statements(book):
                sentence = breach_of_step(book, statement)
                if sentence is not None:
                    seen.breach = self._after(state, Breach(sentence, (statement,)))
                    return seen
                seen.step_count += 1
                bit = self._bit(statement)
                following = self._canonical(state | bit)
                if following not in origin:
                    origin[following] = (state, bit)
                    waiting.append(following)
        report(seen.state_count % STATES_PER_REPORT)
        return seen

    @property
    def visited(self) -> Iterable[State]:
        """Every state met."""
        return self._origin

    def decode(self, state: State) -> list[Statement]:
        """Return a state's statements."""
        statements = []
        while state:
            lowest = state & -state
            statements.append(self._statements[lowest.bit_length() - 1])
            state ^= lowest
        return statements

    def _judge(
        self, book: Book, newest: Statement | None, seen: Exploration, look: Look
    ) -> Breach | None:
        """Return what is wrong with a state, and what is said after it to show that."""
        sentence = breach_of_state(self.rules, book) or look(book, newest)
        if sentence is not None:
            return Breach(sentence, ())
        decided = frozenset(self.rules.decided_blocks(book))
        seen.decided_count += bool(decided)
        situation = _situation(self.rules, book, decided)
        if situation in seen.situations:
            return None
        seen.situations.add(situation)
        sentence, said = heal(self.rules, book)
        return None if sentence is None else Breach(sentence, said)

    def _after(self, state: State, breach: Breach) -> Breach:
        return Breach(breach.sentence, (*self._trace(state), *breach.trace))

    # Bits

    def _bit(self, statement: Statement) -> State:
        bit = self._bits.get(statement)
        if bit is None:
            bit = self._bits[statement] = 1 << len(self._statements)
            self._statements.append(statement)
        return bit

    def _canonical(self, state: State) -> State:
        if not self._merges_letters:
            return state
        other = 0
        rest = state
        while rest:
            lowest = rest & -rest
            swapped = self._swapped.get(lowest)
            if swapped is None:
                swapped = self._bit(self._swap(self._statements[lowest.bit_length() - 1]))
                self._swapped[lowest] = swapped
            other |= swapped
            rest ^= lowest
        return min(state, other)

    def _swap(self, statement: Statement) -> Statement:
        """Exchange the letters A and B of the liars' own blocks."""
        block = statement.block
        if block is None or self.rules.primary(int(block[1:])) in self.rules.setting.correct:
            return statement
        letter = {"A": "B", "B": "A"}.get(block[0], block[0])
        return statement._replace(block=letter + block[1:])

    def _trace(self, state: State) -> list[Statement]:
        """Return the steps that lead to a state, in that state's letters."""
        steps: list[Statement] = []
        is_swapped = False
        while state:
            earlier, bit = self._origin[state]
            is_swapped ^= earlier | bit != state
            statement = self._statements[bit.bit_length() - 1]
            steps.append(self._swap(statement) if is_swapped else statement)
            state = earlier
        steps.reverse()
        return steps


def _situation(rules: Rules, book: Book, decided: frozenset[Block]) -> Hashable:
    """Return all of a state that a later view can still learn: claims, decisions, where all are.

    Healing begins above every view in use, so votes of earlier views reach it only through these.
    """
    correct = rules.setting.correct
    return (
        max(book.view_of(replica) for replica in correct),
        tuple(book.highest.get(replica) for replica in correct),
        decided,
    )
