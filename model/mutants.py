"""The same rules with one mistake each: every one must lead to a breach, or the check is blind.

Most of these mistakes were made by somebody; the docstrings say where. A mutant changes a single
rule and names the property that it breaks; `python -m model --mutant NAME` prints one of its
shortest counterexamples.
"""

from __future__ import annotations

from typing import ClassVar, Final

from model.rules import Rules, Setting
from model.statements import Block, Book, Claim, Kind, Statement, make_ask


class Mutant(Rules):
    """Rules with one mistake."""

    breaks: ClassVar[str]
    """The property that its counterexample breaks."""
    setting_for_it: ClassVar[Setting] = Setting(liars=frozenset({1}))
    """A world small enough to show it: who lies matters."""
    opening: ClassVar[tuple[Statement, ...]] = ()
    """Steps that are taken before the search begins, where the whole world is too large."""


class QuorumLessOne(Mutant):
    """A quorum of one vote too few: two quorums may share nobody who is correct."""

    breaks = "agreement"

    def compute_quorum(self, count: int, faulty_max: int) -> int:
        """One too few."""
        return super().compute_quorum(count, faulty_max) - 1


class QuorumOfTwoFPlusOne(Mutant):
    """2f+1 where n is not 3f+1: of 5 replicas two quorums of 3 share one, which may lie."""

    breaks = "agreement"
    setting_for_it = Setting(replica_count=5, liars=frozenset({1}), view_count=1)

    def compute_quorum(self, count: int, faulty_max: int) -> int:
        """The formula of n = 3f+1 only."""
        return 2 * faulty_max + 1


class CountsByView(Mutant):
    """Votes of one view counted together whatever block they name (Sawtooth PBFT beb1bc2)."""

    breaks = "agreement"

    def is_prepared(self, book: Book, view: int, block: Block) -> bool:
        """Count every prepare of the view."""
        voters = {
            voter
            for (voted_view, _), several in book.prepares.items()
            if voted_view == view
            for voter in several
        }
        return len(voters) + self.setting.liar_votes >= self.quorum

    def is_decided(self, book: Book, view: int, block: Block) -> bool:
        """Count every commit of the view."""
        voters = {
            voter
            for (voted_view, _), several in book.commits.items()
            if voted_view == view
            for voter in several
        }
        return len(voters) + self.setting.liar_votes >= self.quorum


class MixedViewCommits(Mutant):
    """A commit certificate of one block whose votes are of several views.

    It needs four views. The search begins where one replica has committed a block in view 0 and
    another one a second block in view 1, both rightly.
    """

    breaks = "agreement"
    setting_for_it = Setting(liars=frozenset({1}), view_count=4)
    opening = (
        Statement(0, 0, Kind.PREPARE, "A0"),
        Statement(0, 3, Kind.PREPARE, "A0"),
        Statement(0, 0, Kind.COMMIT, "A0"),
        make_ask(1, 2, None),
        make_ask(1, 3, None),
        Statement(1, 2, Kind.PREPARE, "A1"),
        Statement(1, 3, Kind.PREPARE, "A1"),
        Statement(1, 2, Kind.COMMIT, "A1"),
    )

    def is_decided(self, book: Book, view: int, block: Block) -> bool:
        """Count the block's commits of all views."""
        voters = {
            voter
            for (_, voted), several in book.commits.items()
            if voted == block
            for voter in several
        }
        return len(voters) + self.setting.liar_votes >= self.quorum


class ViewNotSigned(Mutant):
    """Prepares that do not sign their view: those of one view pass for those of another."""

    breaks = "agreement"
    setting_for_it = Setting(liars=frozenset({2}))

    def is_prepared(self, book: Book, view: int, block: Block) -> bool:
        """Count the block's prepares of all views."""
        voters = {
            voter
            for (_, voted), several in book.prepares.items()
            if voted == block
            for voter in several
        }
        return len(voters) + self.setting.liar_votes >= self.quorum

    def liar_claims(self, book: Book, view: int) -> list[Claim]:
        """A liar names the view that suits it."""
        blocks = {claim.block for claim in super().liar_claims(book, view)}
        return [Claim(earlier, block) for earlier in range(view) for block in sorted(blocks)]


class PrimaryCountsTwice(Mutant):
    """The primary's pre-prepare and a prepare of its own both count (Sawtooth PBFT 180ceed)."""

    breaks = "agreement"

    def is_prepared(self, book: Book, view: int, block: Block) -> bool:
        """Count one more for the primary."""
        voters = book.prepares.get((view, block), ())
        return len(voters) + 1 + self.setting.liar_votes >= self.quorum


class LiarCountsTwice(Mutant):
    """The same voter counted again when its vote comes again."""

    breaks = "agreement"

    def is_prepared(self, book: Book, view: int, block: Block) -> bool:
        """Count a liar's repetition."""
        return (
            len(book.prepares.get((view, block), ())) + 2 * self.setting.liar_votes >= self.quorum
        )

    def is_decided(self, book: Book, view: int, block: Block) -> bool:
        """Count a liar's repetition."""
        return len(book.commits.get((view, block), ())) + 2 * self.setting.liar_votes >= self.quorum


class CommitsUnprepared(Mutant):
    """Commits on the primary's word, without a quorum of prepares."""

    breaks = "agreement"

    def is_prepared(self, book: Book, view: int, block: Block) -> bool:
        """One prepare is enough."""
        return bool(book.prepares.get((view, block)))


class ForgetsPrepared(Mutant):
    """A view-change that claims nothing: the lock is forgotten when the view is left."""

    breaks = "agreement"
    setting_for_it = Setting(liars=frozenset({2}))

    def claim(self, book: Book, replica: int) -> Claim | None:
        """Claim nothing."""
        return None


class ProposesFreshAnyway(Mutant):
    """A new-view may propose a fresh block although one is claimed (IBFT as of EIP-650)."""

    breaks = "agreement"
    setting_for_it = Setting(liars=frozenset({2}))

    def proposable_blocks(self, book: Book, view: int) -> set[Block]:
        """What the rules allow, and a fresh one in any case."""
        found = super().proposable_blocks(book, view)
        return found.union(self.fresh_blocks(view)) if found else found


class ProposesAnyClaim(Mutant):
    """A new-view may propose any claimed block, not only that of the highest claim."""

    breaks = "agreement"
    setting_for_it = Setting(liars=frozenset({3}))

    def count_asks(self, book: Book, view: int, limit: int) -> int:
        """Count everybody who asked, whatever they claim, once something is proposed again."""
        return super().count_asks(book, view, self.setting.view_count if limit >= 0 else limit)


class BelievesClaims(Mutant):
    """A claim is believed without its prepared certificate."""

    breaks = "agreement"
    setting_for_it = Setting(liars=frozenset({2}))

    def liar_claims(self, book: Book, view: int) -> list[Claim]:
        """A liar claims what it likes."""
        blocks = {block for _, block in book.prepares}
        return [Claim(earlier, block) for earlier in range(view) for block in sorted(blocks)]


class WeakViewChange(Mutant):
    """A new-view that rests on f+1 view-changes."""

    breaks = "agreement"
    setting_for_it = Setting(liars=frozenset({2}))

    def view_change_quorum(self) -> int:
        """One correct replica among them is not enough."""
        return self.setting.faulty_max + 1


class PrePrepareInAnyView(Mutant):
    """A proposal without justification is accepted in a later view."""

    breaks = "agreement"
    setting_for_it = Setting(liars=frozenset({2}))

    def offered_blocks(self, book: Book, replica: int, view: int) -> set[Block]:
        """A lying primary needs no new-view."""
        offered = super().offered_blocks(book, replica, view)
        is_lying = self.primary(view) in self.setting.liars and not self.setting.are_liars_silent
        return offered.union(self.fresh_blocks(view)) if is_lying else offered


class VotesInLeftView(Mutant):
    """A replica goes on voting in a view it has asked to leave."""

    breaks = "left views"

    def lowest_view(self, book: Book, replica: int) -> int:
        """Every view stays open."""
        return 0


class ForgetsVoteAtRestart(Mutant):
    """A vote that was sent before it was durable is made again, differently, after a restart."""

    breaks = "one word"

    def has_prepared(self, book: Book, replica: int, view: int) -> bool:
        """It does not know."""
        return False


class ExecutesNothing(Mutant):
    """Votes for blocks it never executed."""

    breaks = "validity"

    def is_executable(self, block: Block) -> bool:
        """Everything seems so, to those who vote."""
        return True


class LocksForGood(Mutant):
    """Whoever prepared a block votes for no other one again, and a new primary proposes its own
    lock: IBFT as of 2018 blocks itself (arXiv 1901.07160)."""

    breaks = "decision reachable"

    def proposable_blocks(self, book: Book, view: int) -> set[Block]:
        """The primary's own lock, or a fresh block."""
        lock = book.highest.get(self.primary(view))
        return set(self.fresh_blocks(view)) if lock is None else {lock.block}

    def offered_blocks(self, book: Book, replica: int, view: int) -> set[Block]:
        """What the own lock allows of what is offered."""
        offered = super().offered_blocks(book, replica, view)
        lock = book.highest.get(replica)
        return offered if lock is None else offered & {lock.block}


class WaitsForEverybody(Mutant):
    """A new primary that waits for the view-changes of all, also of those who are silent."""

    breaks = "decision reachable"

    def view_change_quorum(self) -> int:
        """All n."""
        return self.setting.replica_count


class SamePrimary(Mutant):
    """View changes that keep the primary: one that is silent stays."""

    breaks = "decision reachable"

    def primary(self, view: int) -> int:
        """The first one for ever."""
        return super().primary(0)


MUTANTS: Final[tuple[type[Mutant], ...]] = (
    QuorumLessOne,
    QuorumOfTwoFPlusOne,
    CountsByView,
    MixedViewCommits,
    ViewNotSigned,
    PrimaryCountsTwice,
    LiarCountsTwice,
    CommitsUnprepared,
    ForgetsPrepared,
    ProposesFreshAnyway,
    ProposesAnyClaim,
    BelievesClaims,
    WeakViewChange,
    PrePrepareInAnyView,
    VotesInLeftView,
    ForgetsVoteAtRestart,
    ExecutesNothing,
    LocksForGood,
    WaitsForEverybody,
    SamePrimary,
)
