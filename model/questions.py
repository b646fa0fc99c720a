"""The real replica, asked in every state of the model what it says; it must say what the rules say.

For each reachable state, each correct replica and each statement that could come next, a real
`consensus.replica` that has made exactly its own statements of that state is restarted from its
durable record, hears everything the statement could rest on (or as much of it as was said), and is
watched: it must sign the statement if and only if the rules allow it, and nothing else. So the real
replicas reach exactly the states of the model, restarts between any two statements included.
Answers are remembered: the same replica that hears the same says the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from consensus import actions as act
from consensus import events as ev
from consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    SignedClaim,
    ViewChange,
    decode_message,
    encode_message,
)
from consensus.replica import Replica
from consensus.timers import Timing
from ledger.block import HEADER_VERSION, Header, compute_block_hash, encode_header
from ledger.hashing import ZERO_HASH, sha256
from ledger.validators import Validator, ValidatorSet
from ledger.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    PreparedCertificate,
    PreparedClaim,
    SignedBy,
    compute_view_change_message,
    compute_vote_message,
)
from model.properties import describe
from model.reading import read_statement
from model.rules import Rules
from model.statements import Block, Book, Claim, Kind, Statement, make_ask

CHAIN_ID = sha256(b"model")
NOW_MS = 1_000_000
PATIENCE = Timing(view_timeout_ticks=1_000, resend_interval_ticks=1_000)
"""Nothing happens here because time passes."""


class ModelSigner:
    """A key that anybody can use: the model decides who says what."""

    def __init__(self, replica: int) -> None:
        self.public_key = sha256(b"vote %d" % replica)

    def sign(self, message: bytes) -> bytes:
        """Return a 64-byte stand-in for a signature."""
        return sign(self.public_key, message)


def sign(public_key: bytes, message: bytes) -> bytes:
    """Return what `verify` accepts of this key."""
    digest = sha256(public_key + message)
    return digest + digest


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the signature is the key's on the message."""
    return signature == sign(public_key, message)


Own = frozenset[Statement]
"""Everything one replica signed."""


@dataclass(frozen=True)
class Memory:
    """What survives a restart."""

    record: bytes | None = None
    pending: Proposal | None = None


@dataclass(frozen=True)
class Answer:
    """What a replica did about what it heard."""

    statements: frozenset[Statement]
    """What it signed and had not signed before."""
    decided: Block | None


@dataclass(frozen=True)
class Question:
    """Something a replica hears, in one or more ways, and what it must say to it."""

    what: str
    """For people, and to tell kinds of questions apart."""
    heard: Hashable
    """Equal here and in `what`: the same is heard."""
    hearings: Callable[[], Iterable[Sequence[Message]]]
    expected: Answer
    """What the rules say, all hearings together."""
    has_work: bool = False
    """Whether a primary is given something to propose."""
    without: Own = frozenset()
    """What it has not said yet when it begins to listen, and says again: no restart since."""


class Replicas:
    """Real replicas of one world. Needs a quorum of at least three: each says one thing at once."""

    def __init__(self, rules: Rules) -> None:
        self.rules: Final = rules
        setting = rules.setting
        self._validators: Final = ValidatorSet(
            [
                Validator(
                    f"institution-{i}",
                    ModelSigner(i).public_key,
                    *(sha256(b"%s %d" % (use, i)) for use in (b"cosign", b"log", b"party")),
                )
                for i in range(setting.replica_count)
            ]
        )
        self._genesis: Final = Header(
            HEADER_VERSION, CHAIN_ID, 0, ZERO_HASH, NOW_MS - 1, 0, 0, 1, ZERO_HASH, ZERO_HASH,
            self._validators.hash, 1,
        )  # fmt: skip
        self._proposals: Final[dict[Block, Proposal]] = {}
        self._names: Final[dict[bytes, Block]] = {}
        for view in range(setting.view_count):
            for block in rules.fresh_blocks(view):
                self._make_block(block, rules.primary(view))
        self._memories: Final[dict[tuple[int, Own], Memory]] = {
            (replica, frozenset()): Memory() for replica in setting.correct
        }
        self._answers: Final[dict[Hashable, Answer]] = {}

    @property
    def question_count(self) -> int:
        """How many different questions were answered."""
        return len(self._answers)

    def look(self, book: Book, newest: Statement | None) -> str | None:
        """Put the questions of a state to every correct replica; return a difference, if any.

        `newest` is the statement that led here. Whatever has nothing to do with it was asked in the
        state before.
        """
        for replica in self.rules.setting.correct:
            own = frozenset(
                statement
                for (_, _, who), said in book.own.items()
                if who == replica
                for statement in said
            )
            is_own = newest is None or newest.replica == replica
            for view in range(self.rules.setting.view_count):
                for question in self._questions(book, replica, view, None if is_own else newest):
                    key = (replica, own, view, question.what, question.heard)
                    answer = self._answers.get(key)
                    if answer is None:
                        answer = self._answers[key] = self._ask(replica, own, question)
                    if answer != question.expected:
                        return _difference(replica, answer, question)
        return None

    # Questions

    def _questions(
        self, book: Book, replica: int, view: int, heard: Statement | None
    ) -> Iterator[Question]:
        """Yield the questions about a view, only those that `heard` may change if it is given."""
        kind = None if heard is None else heard.kind
        if (
            heard is None
            or (kind is Kind.ASK and view == heard.view)
            or (kind is Kind.PREPARE and view >= heard.view)
        ):
            if self.rules.primary(view) != replica:
                yield from self._about_proposals(book, replica, view)
            elif view == 0 or view < book.view_of(replica) or book.has(view, Kind.ASK, replica):
                yield self._about_own_proposal(book, replica, view)
            # else: hearing others ask for the view makes it ask too, which is another question.
        if kind in {None, Kind.PREPARE}:
            yield self._about_prepares(book, replica, view)
        if kind in {None, Kind.COMMIT}:
            yield from self._about_commits(book, replica, view)
        if heard is None and view:
            ask = make_ask(view, replica, self.rules.claim(book, replica))
            allowed = {ask} if self.rules.may_ask(book, replica, view) else set()
            yield Question(
                f"urged into view {view}",
                None,
                lambda: [self._urge(replica, view)],
                _signs(allowed),
            )

    def _about_own_proposal(self, book: Book, replica: int, view: int) -> Question:
        """What does a primary propose, whichever view-changes it hears?"""
        expected = _signs(self.rules.prepares(book, replica, view))
        if view == 0:
            return Question("with work", None, lambda: [()], expected, has_work=True)
        others = [(who, claim) for who, claim in self._asks(book, view) if who != replica]
        lies: list[tuple[int, Claim | None]] = [
            (liar, claim)
            for liar in sorted(self.rules.setting.liars)
            for claim in (None, *sorted(self.rules.liar_claims(book, view)))
        ]

        def hearings() -> Iterator[Sequence[Message]]:
            for count in range(len(others) + 1):
                for heard in combinations(others, count):
                    yield [self._view_change(book, view, *item) for item in heard]
                    for lie in lies:
                        yield [self._view_change(book, view, *item) for item in (*heard, lie)]

        return Question(f"hearing view {view} asked for", (*others, *lies), hearings, expected)

    def _about_proposals(self, book: Book, replica: int, view: int) -> Iterator[Question]:
        """Does a replica prepare what the primary proposes, and only what is justified?"""
        primary = self.rules.primary(view)
        offered = self.rules.offered_blocks(book, replica, view)
        allowed = list(self.rules.prepares(book, replica, view))
        attempts = set(offered)
        if primary in self.rules.setting.liars:
            attempts.update(block for earlier, block in book.prepares if earlier < view)
            attempts.update(self.rules.fresh_blocks(view))
        asks = tuple(self._asks(book, view))
        claims = tuple(sorted(self.rules.liar_claims(book, view))) if view else ()
        for block in sorted(attempts):
            expected = _signs(item for item in allowed if item.block == block)
            what = f"hearing {block} proposed in view {view}"
            if block in offered:
                proposal = self._proposal(book, view, block)
                yield Question(what, proposal, lambda p=proposal: [[p]], expected)  # type: ignore[misc]
            else:
                yield Question(
                    f"{what} without a reason",
                    (asks, claims),
                    lambda b=block: self._false_proposals(book, view, b),  # type: ignore[misc]
                    expected,
                )

    def _about_prepares(self, book: Book, replica: int, view: int) -> Question:
        """Does a replica commit what it prepared, and only once a quorum prepared that here?

        One block's bytes survive a restart: the prepared block's, else the own proposal's. So a
        primary that proposes another block than the one it had prepared, and restarts before that
        is prepared too, says nothing more in its view; the timer ends it. It is asked unrestarted.
        """
        block = book.voted_for(view, Kind.PREPARE, replica)
        is_primary = self.rules.primary(view) == replica
        without: Own = frozenset()
        expected = set(self.rules.commits(book, replica, view))
        prepared = book.highest.get(replica)
        if is_primary and expected and prepared is not None and prepared.block != block:
            without = frozenset(book.own[view, Kind.PREPARE, replica])
            expected |= without
        heard = [
            (voted_view, voter, voted)
            for (voted_view, voted), voters in sorted(book.prepares.items())
            if voted_view == view or (voted == block and voted_view != book.view_of(replica))
            for voter in sorted(voters)
            if voter not in {replica, self.rules.primary(voted_view)}
        ]

        def hearings() -> Iterator[Sequence[Message]]:
            messages: list[Message] = []
            if block is not None and not is_primary:
                messages.append(self._proposal(book, view, block))
            if block is not None and without:
                messages += self._justifying_asks(book, view, block)
            messages += [self._vote(PREPARE, *item) for item in heard]
            for liar in sorted(self.rules.setting.liars):
                messages.append(self._vote(PREPARE, view, liar, block or f"A{view}"))
            yield messages

        return Question(
            f"hearing prepares of view {view}",
            tuple(heard),
            hearings,
            _signs(expected),
            without=without,
        )

    def _about_commits(self, book: Book, replica: int, view: int) -> Iterator[Question]:
        """Does a replica decide, and only once a quorum committed one block in one view?

        Of its own commits a restarted replica knows that of its view and the newest of the views
        it left; an older one can no longer make a quorum full for it. That costs no safety, and no
        liveness either: whoever heard it may decide, and a later view decides again.
        """
        commits = [
            statement
            for (_, kind, _), said in book.own.items()
            if kind is Kind.COMMIT
            for statement in said
        ]
        here = book.view_of(replica)
        left = [item.view for item in commits if item.replica == replica and item.view < here]
        known = Book(
            item
            for item in commits
            if item.replica != replica or item.view in {here, max(left, default=here)}
        )
        heard = {
            (voted_view, voter, voted)
            for (voted_view, voted), voters in known.commits.items()
            for voter in voters
            if voter != replica
        }
        for block in sorted({voted for voted_view, _, voted in heard if voted_view == view}):
            is_decided = self.rules.is_decided(known, view, block)
            others = {item for item in heard if item[0] == view or item[2] == block}
            if not is_decided:  # what another view decides is that view's question
                others = {
                    item for item in others if not self.rules.is_decided(known, item[0], item[2])
                }
            chosen = sorted(others)

            def hearings(
                block: Block = block, chosen: Sequence[tuple[int, int, Block]] = tuple(chosen)
            ) -> Iterator[Sequence[Message]]:
                liars = sorted(self.rules.setting.liars)
                yield [self._vote(COMMIT, view, liar, block) for liar in liars] + [
                    self._vote(COMMIT, *item) for item in chosen
                ]

            expected = Answer(frozenset(), block if is_decided else None)
            yield Question(
                f"hearing commits of {block} in view {view}", tuple(chosen), hearings, expected
            )

    # Messages

    def _asks(self, book: Book, view: int) -> list[tuple[int, Claim | None]]:
        return sorted(book.asks.get(view, {}).items())

    def _urge(self, replica: int, view: int) -> Sequence[Message]:
        """Return view-changes of f+1 others of which the lowest is to `view`."""
        others = [i for i in range(self.rules.setting.replica_count) if i != replica]
        urging = others[: self.rules.setting.faulty_max + 1]
        views = [view] + [view + 100] * (len(urging) - 1)
        return [
            self._view_change(Book(), wanted, other, None)
            for wanted, other in zip(views, urging, strict=True)
        ]

    def _view_change(self, book: Book, view: int, replica: int, claim: Claim | None) -> ViewChange:
        signed = self._signed_claim(view, replica, claim)
        return ViewChange(1, view, self._certificate(book, claim), replica, signed.signature)

    def _signed_claim(self, view: int, replica: int, claim: Claim | None) -> SignedClaim:
        prepared = None
        if claim is not None:
            prepared = PreparedClaim(claim.view, self._proposals[claim.block].block_hash)
        message = compute_view_change_message(CHAIN_ID, 1, view, prepared)
        return SignedClaim(replica, prepared, sign(_key(replica), message))

    def _certificate(self, book: Book, claim: Claim | None) -> PreparedCertificate | None:
        """Return the proof of a claim, made of those who did prepare and of liars."""
        if claim is None:
            return None
        view, block = claim
        primary = self.rules.primary(view)
        voters = sorted((book.prepares[view, block] | self.rules.setting.liars) - {primary})
        block_hash = self._proposals[block].block_hash
        prepares = voters[: self.rules.quorum - 1]
        return PreparedCertificate(
            view,
            block_hash,
            self._signature(PRE_PREPARE, view, primary, block),
            tuple(SignedBy(i, self._signature(PREPARE, view, i, block)) for i in prepares),
        )

    def _signature(self, phase: int, view: int, replica: int, block: Block) -> bytes:
        block_hash = self._proposals[block].block_hash
        return sign(_key(replica), compute_vote_message(phase, CHAIN_ID, 1, view, block_hash))

    def _vote(self, phase: int, view: int, replica: int, block: Block) -> Prepare | Commit:
        kind = Prepare if phase == PREPARE else Commit
        signature = self._signature(phase, view, replica, block)
        return kind(1, view, self._proposals[block].block_hash, replica, signature)

    def _proposal(self, book: Book, view: int, block: Block) -> PrePrepare | NewView:
        """Return the primary's justified proposal of a block."""
        if view == 0:
            return self._pre_prepare(block)
        return self._new_view(book, view, *self._justify(book, view, block), block)

    def _justifying_asks(self, book: Book, view: int, block: Block) -> list[Message]:
        """Return the view-changes that have a primary propose a block again, its claim first."""
        chosen, proven = self._justify(book, view, block)
        order = sorted(chosen, key=lambda who: (chosen[who] != proven, who))
        return [
            self._view_change(book, view, who, chosen[who])
            for who in order
            if who != self.rules.primary(view)
        ]

    def _justify(
        self, book: Book, view: int, block: Block
    ) -> tuple[dict[int, Claim | None], Claim | None]:
        """Return a quorum's claims that let a block be proposed, and the claim it rests on."""
        asks = dict(self._asks(book, view))
        claims = {claim for claim in asks.values() if claim is not None}
        claims.update(self.rules.liar_claims(book, view))
        own = asks.get(self.rules.primary(view))
        limits = [claim for claim in sorted(claims, reverse=True) if claim.block == block]
        proven = next(
            (
                claim
                for claim in limits
                if self.rules.count_asks(book, view, claim.view) >= self.rules.quorum
                and (own is None or own.view <= claim.view)
            ),
            None,
        )
        limit = -1 if proven is None else proven.view
        chosen = {who: claim for who, claim in asks.items() if claim is None or claim.view <= limit}
        for liar in self.rules.setting.liars:
            chosen[liar] = None if proven in chosen.values() else proven
        return chosen, proven

    def _false_proposals(self, book: Book, view: int, block: Block) -> Iterator[Sequence[Message]]:
        """Yield what a lying primary may try for a block that nothing justifies."""
        if view == 0:
            yield [self._pre_prepare(block)]
            return
        asks = dict(self._asks(book, view))
        liars: dict[int, Claim | None] = dict.fromkeys(self.rules.setting.liars)
        everybody = asks | liars
        claims = sorted({claim for claim in asks.values() if claim is not None})
        highest = claims[-1] if claims else None
        own = [claim for claim in self.rules.liar_claims(book, view) if claim.block == block]
        yield [self._new_view(book, view, everybody, highest, block)]
        yield [self._new_view(book, view, everybody, None, block)]
        yield [self._new_view(book, view, liars, None, block)]
        for claim in own:
            lying = asks | dict.fromkeys(self.rules.setting.liars, claim)
            yield [self._new_view(book, view, lying, claim, block)]
            few = {who: what for who, what in lying.items() if what is None or what <= claim}
            yield [self._new_view(book, view, few, claim, block)]

    def _pre_prepare(self, block: Block) -> PrePrepare:
        signature = self._signature(PRE_PREPARE, 0, self.rules.primary(0), block)
        return PrePrepare(1, 0, self._proposals[block], signature)

    def _new_view(
        self,
        book: Book,
        view: int,
        asks: Mapping[int, Claim | None],
        proven: Claim | None,
        block: Block,
    ) -> NewView:
        return NewView(
            1,
            view,
            tuple(self._signed_claim(view, who, asks[who]) for who in sorted(asks)),
            self._certificate(book, proven),
            self._proposals[block],
            self._signature(PRE_PREPARE, view, self.rules.primary(view), block),
        )

    # Answers

    def _ask(self, replica: int, own: Own, question: Question) -> Answer:
        statements: set[Statement] = set()
        decided: Block | None = None
        for messages in question.hearings():
            begun = own - question.without
            listener = Listener(self, replica, begun, has_work=question.has_work)
            for message in messages:
                listener.hear(message)
            statements |= listener.statements
            decided = decided or listener.decided
            self._memories.setdefault((replica, begun | listener.statements), listener.memory)
        return Answer(frozenset(statements), decided)

    def memory_of(self, replica: int, own: Own) -> Memory:
        """Return what a replica that signed exactly this has on its disk."""
        return self._memories[replica, own]

    def start(self, replica: int) -> Replica:
        """Return a real replica that has not been told yet what its disk holds."""
        return Replica(
            own=replica,
            validators=self._validators,
            chain_id=CHAIN_ID,
            signer=ModelSigner(replica),
            verify_signature=verify,
            timing=PATIENCE,
        )

    @property
    def genesis(self) -> Header:
        """The header of height 0."""
        return self._genesis

    def proposal_of(self, block: Block) -> Proposal:
        """Return a block's bytes."""
        return self._proposals[block]

    def name_of(self, block_hash: bytes) -> Block:
        """Return a block's name."""
        return self._names[block_hash]

    def _make_block(self, block: Block, proposer: int) -> None:
        header = Header(
            HEADER_VERSION, CHAIN_ID, 1, compute_block_hash(encode_header(self._genesis)), NOW_MS,
            proposer, self._genesis.log_size, 0, sha256(block.encode()), ZERO_HASH,
            self._validators.hash, 1,
        )  # fmt: skip
        proposal = Proposal(encode_header(header), b"", b"")
        self._proposals[block] = proposal
        self._names[proposal.block_hash] = block


class Listener:
    """One real replica from a restart on, and the driver and disk around it."""

    def __init__(self, world: Replicas, number: int, own: Own, *, has_work: bool) -> None:
        self.statements: set[Statement] = set()
        self.decided: Block | None = None
        self.memory = world.memory_of(number, own)
        self._world = world
        self._number = number
        self._own = own
        self._replica = world.start(number)
        self._waiting: deque[ev.Event] = deque()
        self._step(ev.Restored(self.memory.record, self.memory.pending, world.genesis))
        self._step(ev.Tick(NOW_MS, has_work))

    def hear(self, message: Message) -> None:
        """Let it hear a message, as bytes."""
        self._step(ev.Received(decode_message(encode_message(message))))

    def _step(self, event: ev.Event) -> None:
        self._waiting.append(event)
        while self._waiting:
            for action in self._replica.step(self._waiting.popleft()):
                self._perform(action)

    def _perform(self, action: act.Action) -> None:
        world = self._world
        match action:
            case act.Persist():
                pending = self.memory.pending
                if action.pending is None:
                    pending = None
                elif isinstance(action.pending, bytes):
                    pending = world.proposal_of(world.name_of(action.pending))
                self.memory = Memory(action.record, pending)
            case act.Broadcast():
                statement = read_statement(action.message, self._number, world.name_of)
                if statement is not None and statement not in self._own:
                    self.statements.add(statement)
            case act.BuildProposal():
                block = world.rules.fresh_blocks(action.view)[0]
                built = ev.ProposalBuilt(action.height, action.view, world.proposal_of(block))
                self._waiting.append(built)
            case act.CheckProposal():
                block_hash = action.proposal.block_hash
                is_valid = world.rules.is_executable(world.name_of(block_hash))
                verdict = ev.Verdict.OK if is_valid else ev.Verdict.INADMISSIBLE
                self._waiting.append(
                    ev.ProposalChecked(action.height, action.view, block_hash, verdict)
                )
            case act.FetchProposal():
                proposal = world.proposal_of(world.name_of(action.block_hash))
                self._waiting.append(
                    ev.ProposalFetched(action.block_hash, proposal, action.from_replicas[0])
                )
            case act.Decide():
                self.decided = world.name_of(action.block_hash)
            case _:
                pass


def _key(replica: int) -> bytes:
    return ModelSigner(replica).public_key


def _signs(statements: Iterable[Statement]) -> Answer:
    return Answer(frozenset(statements), None)


def _difference(replica: int, answer: Answer, question: Question) -> str:
    def tell(given: Answer) -> str:
        order = sorted(given.statements, key=lambda item: (item.view, item.kind, item.block or ""))
        said = [describe(item) for item in order]
        if given.decided is not None:
            said.append(f"replica {replica} decides {given.decided}")
        return "; ".join(said) or "nothing"

    return (
        f"real replica: {question.what}, it says: {tell(answer)}; the rules say: "
        f"{tell(question.expected)}"
    )
