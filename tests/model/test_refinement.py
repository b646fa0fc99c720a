"""Runs of real replicas are runs of the model, and a replica that breaks a rule is noticed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from consensus.durable import DurableRecord
from consensus.membership import Membership
from consensus.messages import Commit, Decided, Message, Proposal, ViewChange
from consensus.restart import resume
from consensus.state import HeightState
from ledger.votes import CommitCertificate
from model.refinement import HEIGHTS_KEPT, NotAStep, Refinement
from sim.plan import FAMILIES
from sim.simulation import Options
from tests.consensus import test_agreement
from tests.consensus.network import (
    Network,
    make_certificate,
    make_genesis,
    make_proposal,
    make_validators,
    sign_commit,
    sign_new_view,
    sign_pre_prepare,
    sign_prepare,
    sign_view_change,
)
from tests.model.watched import WatchedNetwork, watch_simulation

VALIDATORS = make_validators(4)
BLOCK = make_proposal(make_genesis(VALIDATORS), 1, 1_000_001, b"a")
OTHER = make_proposal(make_genesis(VALIDATORS), 2, 1_000_001, b"b")
HASH = BLOCK.block_hash


def run_schedules(seeds: range, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run random schedules with loss, power cuts and liars; return how many steps were checked."""
    networks: list[WatchedNetwork] = []

    def make_network(count: int, seed: int | None = None) -> Network:
        networks.append(WatchedNetwork(count, seed))
        return networks[-1]

    monkeypatch.setattr(test_agreement, "Network", make_network)
    for seed in seeds:
        test_agreement.run_random_schedule(seed)
    return sum(network.watched.step_count for network in networks)


def test_random_schedules_are_runs_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_schedules(range(2_000, 2_040), monkeypatch) > 4_000


@pytest.mark.parametrize("family", FAMILIES)
def test_seeds_of_the_simulator_are_runs_of_the_model(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = 5_000 + FAMILIES.index(family)
    violation, refinement = watch_simulation(
        seed, Options(heights=5, count=4, family=family), monkeypatch
    )
    assert violation is None
    assert refinement.step_count > 40


def lose_commits(sender: int, receiver: int, message: Message) -> bool:
    """Keep the commits of the first two views from everybody, so that prepared blocks move on."""
    return not (isinstance(message, Commit) and message.view < 2)


def run_through_view_changes() -> None:
    network = WatchedNetwork(4)
    network.filter = lose_commits
    network.start().run_to(1, ticks_max=300)
    assert network.watched.step_count > 20


def forget_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = HeightState.sign_view_change

    def sign_view_change(state: HeightState) -> ViewChange:
        state.prepared = None
        return plain(state)

    monkeypatch.setattr(HeightState, "sign_view_change", sign_view_change)


def lower_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Membership.quorum.fget
    assert plain is not None
    monkeypatch.setattr(Membership, "quorum", property(lambda self: plain(self) - 1))


def forget_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = resume

    def forgetful(state: HeightState, record: DurableRecord, pending: Proposal | None) -> None:
        plain(state, msgspec.structs.replace(record, votes=()), pending)

    monkeypatch.setattr("consensus.replica.resume", forgetful)


def test_real_view_changes_are_steps() -> None:
    run_through_view_changes()


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (forget_lock, r"asks for view 1 and claims nothing; allowed there: .* claims [0-9a-f]{64}"),
        (lower_quorum, r"commits [0-9a-f]{64} in view 0; allowed there: nothing"),
    ],
)
def test_a_broken_replica_is_noticed(
    break_it: Callable[[pytest.MonkeyPatch], None],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_it(monkeypatch)
    with pytest.raises(NotAStep, match=sentence):
        run_through_view_changes()


def fed(*messages: tuple[int, Message]) -> Refinement:
    refinement = Refinement(4, frozenset({3}))
    for replica, message in messages:
        refinement.sent(replica, message)
    return refinement


NORMAL = (
    (1, sign_pre_prepare(1, 1, BLOCK)),
    (0, sign_prepare(0, 1, 0, HASH)),
    (2, sign_prepare(2, 1, 0, HASH)),
    (0, sign_commit(0, 1, 0, HASH)),
    (2, sign_commit(2, 1, 0, HASH)),
)
CHANGE = [sign_view_change(i, 1, 1, None) for i in range(3)]
NEW_VIEW = sign_new_view(2, 1, 1, CHANGE, OTHER)


def test_an_ordinary_conversation_is_made_of_steps() -> None:
    refinement = fed(*NORMAL, *NORMAL)
    assert refinement.step_count == 5, "repetitions are none"
    certificate = make_certificate(VALIDATORS, 1, 0, HASH)
    genuine = msgspec.structs.replace(
        certificate, commits=(certificate.commits[0], certificate.commits[2])
    )
    with pytest.raises(NotAStep, match=r"a commit of replica 1 for .* that it did not make"):
        refinement.decided(0, certificate)
    refinement.decided(0, genuine)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        (NORMAL[1:2], "replica 0 prepares .* in view 0; allowed there: nothing"),
        ((*NORMAL[:2], (0, sign_prepare(0, 1, 0, OTHER.block_hash))), "allowed there: nothing"),
        ((NORMAL[0], NORMAL[3]), "replica 0 commits .* in view 0; allowed there: nothing"),
        (
            (NORMAL[0], *((i, CHANGE[i]) for i in (0, 2)), NORMAL[1]),
            "replica 0 prepares .* in view 0; allowed there: nothing",
        ),
        (
            (*NORMAL[:4], (0, CHANGE[0])),
            "allowed there: replica 0 asks for view 1 and claims [0-9a-f]{64} of view 0",
        ),
        (
            (*((i, CHANGE[i]) for i in (0, 2)), (2, NEW_VIEW)),
            "the new-view of view 1 lists a claim that replica 1 did not make",
        ),
        (
            (*((i, CHANGE[i]) for i in range(3)), (2, sign_new_view(2, 1, 1, CHANGE, BLOCK))),
            "replica 2 prepares .* in view 1; allowed there: nothing",
        ),
        (
            (*NORMAL[:4], (1, Decided(make_certificate(VALIDATORS, 1, 0, HASH)))),
            "has a commit of replica 1 for .* that it did not make",
        ),
    ],
)
def test_what_is_no_step_is_refused(
    messages: tuple[tuple[int, Message], ...], sentence: str
) -> None:
    with pytest.raises(NotAStep, match=sentence):
        fed(*messages)


def test_a_view_change_and_its_new_view_are_steps() -> None:
    refinement = fed(*((i, CHANGE[i]) for i in range(3)), (2, NEW_VIEW))
    assert refinement.step_count == 4
    refinement.sent(0, sign_prepare(0, 1, 1, OTHER.block_hash))


def test_a_certificate_needs_a_quorum_in_its_view() -> None:
    refinement = fed(*NORMAL[:4])
    commits = make_certificate(VALIDATORS, 1, 0, HASH).commits[:1]
    with pytest.raises(NotAStep, match="and no quorum committed it there"):
        refinement.decided(0, CommitCertificate(1, 0, HASH, commits))


def test_liars_are_free_and_name_any_height() -> None:
    refinement = fed(*NORMAL)
    for height in (1, 2, 3, 2**50):
        for message in (
            sign_prepare(3, height, 0, OTHER.block_hash),
            sign_commit(3, height, 7, HASH),
            sign_new_view(3, height, 2, [], OTHER),
        ):
            refinement.sent(3, message)
    assert len(refinement._heights) == 2
    assert refinement.step_count == 5


def test_old_heights_are_forgotten() -> None:
    refinement = fed(*NORMAL)
    for height in range(2, 3 * HEIGHTS_KEPT):
        refinement.sent(0, sign_view_change(0, height, 1, None))
    assert len(refinement._heights) <= HEIGHTS_KEPT + 1
    refinement.sent(0, sign_prepare(0, 1, 5, HASH))
