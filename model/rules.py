"""The protocol's rules a second time, as plainly as they can be written: who may say what.

The rules are Castro & Liskov's (OSDI '99, sections 4.2 and 4.4) in their per-height form, over sets
of statements instead of messages and inboxes. They are written from the papers and share no line
with `consensus`; `model.questions` and `model.refinement` compare the two.
Time is not here: a replica may ask for any later view at any moment, so no choice of timers can
matter to what is checked. A liar may say whatever its key can sign, and is bound only where a
statement of its own needs the signatures of others.
Each rule is a method of its own, so that a mutant can break exactly one (`model.mutants`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from model.statements import Block, Book, Claim, Kind, Statement, make_ask

INVALID = "X"
"""First letter of a block that execution refuses."""


@dataclass(frozen=True)
class Setting:
    """How large the world is, and who lies in it."""

    replica_count: int = 4
    liars: frozenset[int] = frozenset({1})
    view_count: int = 3
    """Views 0 to `view_count` − 1 are explored."""
    height: int = 1
    """Decides whose turn the first view is."""
    are_liars_silent: bool = False
    """Whether liars have crashed instead; for asking whether a decision can still be reached."""

    @cached_property
    def faulty_max(self) -> int:
        """f = ⌊(n−1)/3⌋."""
        return (self.replica_count - 1) // 3

    @cached_property
    def correct(self) -> tuple[int, ...]:
        """The replicas that keep to the rules, ascending."""
        return tuple(i for i in range(self.replica_count) if i not in self.liars)

    @cached_property
    def liar_votes(self) -> int:
        """How many votes the liars add to anything."""
        return 0 if self.are_liars_silent else len(self.liars)

    def describe(self) -> str:
        """Return the setting in a few words."""
        replicas = f"{self.replica_count} replica{'s' if self.replica_count > 1 else ''}"
        views = f"{self.view_count} view{'s' if self.view_count > 1 else ''}"
        lying = " and ".join(f"replica {i} lies" for i in sorted(self.liars)) or "nobody lies"
        return f"{replicas}, {views}; {lying}"


class Rules:
    """Per-height PBFT; every method is a rule."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.quorum = self.compute_quorum(setting.replica_count, setting.faulty_max)

    def silenced(self) -> Rules:
        """Return the same rules in a world whose liars have crashed and whose views go on."""
        setting = self.setting
        later = 2 * setting.replica_count
        return type(self)(
            replace(setting, are_liars_silent=True, view_count=setting.view_count + later)
        )

    # Who and how many

    def compute_quorum(self, count: int, faulty_max: int) -> int:
        """⌊(n+f)/2⌋+1: two quorums share f+1 replicas, hence a correct one (section 4)."""
        return (count + faulty_max) // 2 + 1

    def primary(self, view: int) -> int:
        """The primary of a view: (height + view) mod n (section 4.2, per height)."""
        return (self.setting.height + view) % self.setting.replica_count

    # What a quorum of votes says

    def is_prepared(self, book: Book, view: int, block: Block) -> bool:
        """*prepared* (section 4.2): pre-prepare and prepares of one view for one block, a quorum.

        Every liar's vote counts once, for any block.
        """
        voters = book.prepares.get((view, block), ())
        return len(voters) + self.setting.liar_votes >= self.quorum

    def is_decided(self, book: Book, view: int, block: Block) -> bool:
        """*committed* (section 4.2): a quorum of commits of one view for one block."""
        voters = book.commits.get((view, block), ())
        return len(voters) + self.setting.liar_votes >= self.quorum

    def decided_blocks(self, book: Book) -> set[Block]:
        """Every block that some replica may hold a commit certificate of."""
        return {block for view, block in book.commits if self.is_decided(book, view, block)}

    # Leaving a view

    def may_ask(self, book: Book, replica: int, view: int) -> bool:
        """A replica may leave for any later view, and asks once for each (section 4.4)."""
        return view > book.view_of(replica)

    def claim(self, book: Book, replica: int) -> Claim | None:
        """P of the view-change (section 4.4): the block prepared in the highest view."""
        return book.highest.get(replica)

    def liar_claims(self, book: Book, view: int) -> list[Claim]:
        """A claim must be proven, so a liar claims only what is prepared (or nothing)."""
        if not self.setting.liar_votes:
            return []
        return [
            Claim(earlier, block)
            for earlier, block in book.prepares
            if earlier < view and self.is_prepared(book, earlier, block)
        ]

    # Entering a view

    def fresh_blocks(self, view: int) -> tuple[Block, ...]:
        """The blocks that a primary may make: one if it is correct, three if it lies."""
        if self.primary(view) in self.setting.liars:
            return (f"A{view}", f"B{view}", f"{INVALID}{view}")
        return (f"A{view}",)

    def count_asks(self, book: Book, view: int, limit: int) -> int:
        """Count who asked for exactly this view and claims nothing above view `limit`."""
        asks = book.asks.get(view, {})
        return self.setting.liar_votes + sum(
            claim is None or claim.view <= limit for claim in asks.values()
        )

    def view_change_quorum(self) -> int:
        """A new-view rests on a quorum of view-changes (section 4.4)."""
        return self.quorum

    def proposable_blocks(self, book: Book, view: int) -> set[Block]:
        """O of the new-view (section 4.4): what some quorum of view-changes lets be proposed.

        The highest claim of the quorum decides; only a quorum without claims allows a fresh block.
        A correct primary has its own view-change in every quorum it makes.
        """
        primary = self.primary(view)
        asks = book.asks.get(view, {})
        own: Claim | None = None
        if primary in self.setting.correct:
            if primary not in asks:
                return set()
            own = asks[primary]
        lowest = -1 if own is None else own.view
        enough = self.view_change_quorum()
        claims = {claim for claim in asks.values() if claim is not None}
        claims.update(self.liar_claims(book, view))
        found = {
            claim.block
            for claim in claims
            if claim.view >= lowest and self.count_asks(book, view, claim.view) >= enough
        }
        if lowest < 0 and self.count_asks(book, view, -1) >= enough:
            found.update(self.fresh_blocks(view))
        return found

    # Voting

    def is_executable(self, block: Block) -> bool:
        """Nobody votes for a block that its own execution refuses."""
        return not block.startswith(INVALID)

    def lowest_view(self, book: Book, replica: int) -> int:
        """Whoever asked for a view, or voted in one, votes in no lower one (section 4.4)."""
        return book.view_of(replica)

    def has_prepared(self, book: Book, replica: int, view: int) -> bool:
        """One accepted proposal per view, restarts included (section 4.2)."""
        return book.has(view, Kind.PREPARE, replica)

    def offered_blocks(self, book: Book, replica: int, view: int) -> set[Block]:
        """What a replica may hear proposed in a view, or as its primary propose."""
        primary = self.primary(view)
        if primary != replica and primary in self.setting.correct:
            block = book.voted_for(view, Kind.PREPARE, primary)
            return set() if block is None else {block}
        if primary in self.setting.liars and self.setting.are_liars_silent:
            return set()
        if view == 0:
            return set(self.fresh_blocks(0))
        return self.proposable_blocks(book, view)

    def prepares(self, book: Book, replica: int, view: int) -> Iterator[Statement]:
        """The prepares (of a primary: proposals) a replica may sign in a view."""
        if view < self.lowest_view(book, replica) or self.has_prepared(book, replica, view):
            return
        for block in sorted(self.offered_blocks(book, replica, view)):
            if self.is_executable(block):
                yield Statement(view, replica, Kind.PREPARE, block)

    def commits(self, book: Book, replica: int, view: int) -> Iterator[Statement]:
        """The commit a replica may sign in a view: for what it prepared, once it is prepared."""
        block = book.voted_for(view, Kind.PREPARE, replica)
        if block is None or book.has(view, Kind.COMMIT, replica):
            return
        if view >= self.lowest_view(book, replica) and self.is_prepared(book, view, block):
            yield Statement(view, replica, Kind.COMMIT, block)

    def next_statements(self, book: Book) -> Iterator[Statement]:
        """Everything that any correct replica may say now."""
        for replica in self.setting.correct:
            for view in range(self.lowest_view(book, replica), self.setting.view_count):
                yield from self.prepares(book, replica, view)
                yield from self.commits(book, replica, view)
                if self.may_ask(book, replica, view):
                    yield make_ask(view, replica, self.claim(book, replica))
