"""Real runs are runs of the model: what a correct replica sends is a step that the rules allow.

Fed with what the replicas of a real network send, in the order in which they send it, and with what
they decide. Each statement that was not made before must be one that the rules of `model.rules`
allow its replica after all that was said so far; liars are free, and nothing is asked of them. A
new-view must list nothing that a correct replica did not claim, and a certificate no commit that it
did not sign. Blocks are named by their hashes, heights and views are unbounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from consensus.messages import Decided, Message, NewView, PrePrepare, Proposal
from ledger.block import decode_header
from ledger.refusal import Rejected
from ledger.votes import CommitCertificate
from model.properties import describe
from model.reading import read_claim, read_statement
from model.rules import Rules, Setting
from model.statements import Block, Book, Kind, Statement, make_ask

HEIGHTS_KEPT = 64
"""Heights whose statements are remembered; messages of lower ones are repetitions."""


class NotAStep(Exception):
    """A correct replica did what the rules do not allow."""


class Height(Rules):
    """The rules at one height of a real run, and what was said there."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.book = Book()
        self.statements: set[Statement] = set()
        self._makers: dict[Block, int] = {}

    def learn(self, proposal: Proposal) -> None:
        """Remember who made a block that somebody proposes."""
        try:
            header = decode_header(proposal.header)
        except Rejected:
            return
        self._makers[proposal.block_hash.hex()] = header.proposer

    def fresh_blocks(self, view: int) -> tuple[Block, ...]:
        """Return the known blocks of the view's primary."""
        primary = self.primary(view)
        return tuple(block for block, maker in self._makers.items() if maker == primary)

    def is_executable(self, block: Block) -> bool:
        """What cannot be executed is not known here; the replica's own driver judges it."""
        return True

    def say(self, statement: Statement) -> None:
        """Take one more statement of a correct replica, or raise `NotAStep`."""
        if statement in self.statements:
            return
        allowed = list(self._allowed(*statement[:3]))
        if statement not in allowed:
            instead = " or ".join(describe(item) for item in allowed) or "nothing"
            raise NotAStep(
                f"height {self.setting.height}: {describe(statement)}; allowed there: {instead}"
            )
        self.statements.add(statement)
        self.book.add(statement)

    def _allowed(self, view: int, replica: int, kind: Kind) -> Iterator[Statement]:
        match kind:
            case Kind.ASK:
                if self.may_ask(self.book, replica, view):
                    yield make_ask(view, replica, self.claim(self.book, replica))
            case Kind.PREPARE:
                yield from self.prepares(self.book, replica, view)
            case Kind.COMMIT:
                yield from self.commits(self.book, replica, view)
            case _ as unreachable:
                assert_never(unreachable)


class Refinement:
    """All heights of one run."""

    def __init__(self, replica_count: int, liars: frozenset[int]) -> None:
        self._replica_count = replica_count
        self._liars = liars
        self._heights: dict[int, Height] = {}
        self._top = 0
        """The highest height at which a correct replica spoke; liars may name any number."""
        self.step_count = 0
        """Statements that were steps so far."""

    def sent(self, replica: int, message: Message) -> None:
        """Take what a replica sends; raise `NotAStep` if a correct one may not."""
        if isinstance(message, Decided):
            self._check_certificate(replica, message.certificate)
            return
        if replica not in self._liars:
            self._top = max(self._top, message.height)
        height = self._at(message.height)
        if height is None:
            return
        if isinstance(message, PrePrepare | NewView):
            height.learn(message.proposal)
            if height.primary(message.view) != replica:
                return  # passed on
        if replica in self._liars:
            return
        if isinstance(message, NewView):
            self._check_claims(height, replica, message)
        statement = read_statement(message, replica, bytes.hex)
        if statement is not None and statement not in height.statements:
            height.say(statement)
            self.step_count += 1

    def decided(self, replica: int, certificate: CommitCertificate) -> None:
        """Take what a correct replica decides, with its proof."""
        self._check_certificate(replica, certificate)

    def _at(self, number: int) -> Height | None:
        found = self._heights.get(number)
        if found is None and self._top - HEIGHTS_KEPT < number <= self._top + 1:
            setting = Setting(replica_count=self._replica_count, liars=self._liars, height=number)
            found = self._heights[number] = Height(setting)
            for old in [item for item in self._heights if item <= self._top - HEIGHTS_KEPT]:
                del self._heights[old]
        return found

    def _check_claims(self, height: Height, primary: int, message: NewView) -> None:
        for signed in message.view_changes:
            ask = make_ask(message.view, signed.replica, read_claim(signed.claim, bytes.hex))
            if signed.replica == primary:
                height.say(ask)  # after a power cut it may never have been sent by itself
            elif signed.replica not in self._liars and ask not in height.statements:
                raise NotAStep(
                    f"height {message.height}: the new-view of view {message.view} lists a claim "
                    f"that replica {signed.replica} did not make"
                )

    def _check_certificate(self, replica: int, certificate: CommitCertificate) -> None:
        height = self._at(certificate.height)
        if height is None:
            return
        block = certificate.block_hash.hex()
        voters = height.book.commits.get((certificate.view, block), set())
        for item in certificate.commits:
            if item.replica not in voters and item.replica not in self._liars:
                raise NotAStep(
                    f"height {certificate.height}: replica {replica} has a commit of replica "
                    f"{item.replica} for {block} in view {certificate.view} that it did not make"
                )
        if not height.is_decided(height.book, certificate.view, block):
            raise NotAStep(
                f"height {certificate.height}: replica {replica} holds {block} decided in view "
                f"{certificate.view}, and no quorum committed it there"
            )
