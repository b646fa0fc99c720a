"""From a strange cosignature to a conviction on the chain: forks, doubts and what is owed."""

from __future__ import annotations

from contracts.equivocation import SLOTS_MAX, ValidatorRecord, validator_stream
from contracts.execution import Chain
from genesis.document import Genesis, parse_genesis
from ledger.checkpoint import Checkpoint, cosign_checkpoint
from ledger.equivocation import CosignedTree, VoteEquivocation, decode_equivocation
from ledger.hashing import sha256
from ledger.log import extend_tiles
from ledger.merkle import Frontier, compute_root, leaf_hash
from ledger.signing import verify_signature
from ledger.transaction import decode_body, decode_transaction
from ledger.votes import COMMIT, Vote, compute_vote_message
from node.certification import HEIGHTS_MAX, Certification, cosigner_name
from node.convictions import AGAIN_TICKS, OWED_MAX, PATIENCE_TICKS, Convictions
from node.forks import FORKS_KEPT, REPORTED_MAX, ForkWatch
from node.messages import Cosigned
from tests.contracts.world import World, read, settled_world
from tests.verifier.small_chain import make_genesis, signer

LEAVES = [leaf_hash(b"%d" % number) for number in range(300)]
FALSE, OTHER = sha256(b"false"), sha256(b"other")


def root_at(size: int) -> bytes:
    return compute_root(LEAVES[:size])


def tiles_of(size: int) -> dict[tuple[int, int], bytes]:
    found: dict[tuple[int, int], bytes] = {}
    extension = extend_tiles(Frontier.empty(), LEAVES[:size], lambda level, index: b"")
    for level, index, data in extension.tiles:
        found[level, index] = data
    return found


class Log:
    """A log of 300 leaves in tiles, and one validator that cosigns what it likes."""

    def __init__(self) -> None:
        self.genesis: Genesis = parse_genesis(make_genesis(4, "forks.test"))
        tiles = tiles_of(len(LEAVES))
        self.read_tile = lambda level, index: tiles.get((level, index), b"")
        self.watch = ForkWatch(self.genesis.origin, self.read_tile)

    def cosign(self, size: int, root: bytes, replica: int = 2) -> CosignedTree:
        key = signer(f"forks.test bank-{replica} cosign")
        checkpoint = Checkpoint(self.genesis.origin, size, root)
        name = cosigner_name(self.genesis.origin, f"bank-{replica}")
        line = cosign_checkpoint(checkpoint, name, key, 1_700_000_000)
        return CosignedTree(size, root, line.signature)

    def frame(self, height: int, size: int, root: bytes, replica: int = 2) -> Cosigned:
        return Cosigned(height, size, root, self.cosign(size, root, replica).signature)


def test_a_strange_tree_convicts_once_its_signer_also_vouched_for_the_log() -> None:
    log = Log()
    assert log.watch.add_strange(2, log.cosign(7, FALSE)) == []
    assert log.watch.add_true(2, log.cosign(5, root_at(5))) == [], "that proves nothing of size 7"
    assert log.watch.add_true(1, log.cosign(300, root_at(300), 1)) == [], "another validator"
    (fork,) = log.watch.add_true(2, log.cosign(300, root_at(300)))
    fork.verify(log.genesis.validators, log.genesis.chain_id)
    assert (fork.replica, fork.slot) == (2, "checkpoint/7")
    assert not log.watch.is_news(2, 7, FALSE)
    assert log.watch.add_true(2, log.cosign(300, root_at(300))) == []


def test_or_the_other_way_round_and_for_every_size() -> None:
    log = Log()
    log.watch.add_true(2, log.cosign(260, root_at(260)))
    for size in (1, 2, 255, 256, 257, 260):
        (fork,) = log.watch.add_strange(2, log.cosign(size, FALSE))
        fork.verify(log.genesis.validators, log.genesis.chain_id)
        assert fork.slot == f"checkpoint/{size}"


def test_two_strange_trees_of_one_size_convict_by_themselves() -> None:
    log = Log()
    assert log.watch.add_strange(2, log.cosign(9, FALSE)) == []
    assert log.watch.is_news(2, 9, OTHER)
    (fork,) = log.watch.add_strange(2, log.cosign(9, OTHER))
    fork.verify(log.genesis.validators, log.genesis.chain_id)


def test_a_liar_fills_its_own_places_only() -> None:
    log = Log()
    for size in range(1, FORKS_KEPT + 1):
        log.watch.add_strange(2, log.cosign(size, FALSE))
    assert not log.watch.is_news(2, 99, FALSE)
    assert log.watch.is_news(1, 99, FALSE)
    assert len(log.watch.add_true(2, log.cosign(300, root_at(300)))) == FORKS_KEPT
    assert log.watch.is_news(2, 99, FALSE)


def test_who_is_proven_a_liar_often_enough_is_no_news() -> None:
    """Or it could have this node prove the same sizes, one after another, without end."""
    log = Log()
    log.watch.add_true(2, log.cosign(300, root_at(300)))
    for size in range(1, REPORTED_MAX + 1):
        assert log.watch.is_news(2, size, FALSE)
        assert log.watch.add_strange(2, log.cosign(size, FALSE))
    assert not log.watch.is_news(2, 299, FALSE)
    assert not log.watch.is_news(2, 1, OTHER)
    assert log.watch.is_news(1, 299, FALSE)


def certification_of(log: Log) -> Certification:
    certification = Certification(
        log.genesis,
        0,
        signer("forks.test bank-0 cosign"),
        signer("forks.test bank-0 log"),
        log.read_tile,
        verify_signature,
    )
    for height, size in ((1, 5), (2, 9), (3, 300)):
        certification.open_height(height, size, root_at(size))
    return certification


def test_a_cosignature_that_is_not_of_this_log_is_a_doubt() -> None:
    log = Log()
    certification = certification_of(log)
    doubt = certification.add(2, log.frame(2, 9, FALSE), 3)
    assert doubt is not None
    assert doubt.evidence == ()
    assert doubt.complaint == (
        f"validator bank-2 cosigned size 9 with root {FALSE.hex()}, where this node's log has "
        f"root {root_at(9).hex()}: one of the two has forked "
        "验证节点 bank-2 联署的大小 9 的根哈希与本节点的日志不同：二者之一已分叉"
    )
    assert certification.add(2, log.frame(2, 9, FALSE), 3) is None, "said once"
    proven = certification.add(2, log.frame(3, 300, root_at(300)), 3)
    assert proven is not None
    assert proven.complaint == ""
    assert [fork.slot for fork in proven.evidence] == ["checkpoint/9"]
    assert certification.add(2, log.frame(2, 9, FALSE), 3) is None, "proven already"
    assert certification.add(2, log.frame(2, 9, root_at(9)), 3) is None


def test_a_doubt_after_a_good_cosignature_of_the_same_block() -> None:
    log = Log()
    certification = certification_of(log)
    assert certification.add(2, log.frame(2, 9, root_at(9)), 3) is None
    doubt = certification.add(2, log.frame(2, 9, FALSE), 3)
    assert doubt is not None
    assert [fork.slot for fork in doubt.evidence] == ["checkpoint/9"]


def test_a_doubt_after_a_restart_whose_kept_checkpoint_has_the_good_cosignature() -> None:
    """Its validator may never cosign this log again: what is kept of it is what convicts it."""
    log = Log()
    before = certification_of(log)
    for replica in (1, 2, 3):
        assert before.add(replica, log.frame(3, 300, root_at(300), replica), 3) is None
    note = before.certify(3)
    assert note is not None
    certification = certification_of(log)
    certification.resume(3, note)
    assert certification.add(2, log.frame(3, 300, root_at(300)), 3) is None
    doubt = certification.add(2, log.frame(2, 9, FALSE), 3)
    assert doubt is not None
    assert [fork.slot for fork in doubt.evidence] == ["checkpoint/9"]


def test_what_is_no_doubt() -> None:
    log = Log()
    certification = certification_of(log)
    forged = Cosigned(2, 9, FALSE, log.cosign(9, OTHER).signature)
    doubt = certification.add(2, forged, 3)
    assert doubt is not None
    assert (doubt.evidence, "the cosignature of" in doubt.complaint) == ((), True)
    assert certification.add(2, log.frame(2, 7, root_at(7)), 3) is None, "a prefix of the log"
    assert certification.add(2, log.frame(2, 0, FALSE), 3) is None
    assert certification.add(2, log.frame(2, 301, FALSE), 3) is None, "nothing is known of it"
    assert certification.add(2, log.frame(9, 9, FALSE), 3) is None, "kept until height 9"
    assert [item.root for _, item in certification.take_early(9)] == [FALSE]


def test_of_what_comes_early_each_validator_has_one_place_for_the_highest() -> None:
    log = Log()
    certification = certification_of(log)
    for height in (8, 9, 7):
        assert certification.add(2, log.frame(height, height, FALSE), 3) is None
    assert [item.height for _, item in certification.take_early(9)] == [9]
    assert (certification.take_early(8), certification.take_early(7)) == ([], [])


def test_cosignatures_are_collected_of_the_newest_heights_only() -> None:
    log = Log()
    certification = certification_of(log)
    assert certification.add(2, log.frame(2, 9, root_at(9)), 3) is None
    for height in range(4, 2 + HEIGHTS_MAX + 1):
        certification.open_height(height, 300, root_at(300))
    last = 2 + HEIGHTS_MAX
    assert certification.add(2, log.frame(2, 9, FALSE), last) is None, "no height 2 any more"
    assert certification.add(2, log.frame(3, 9, FALSE), last) is not None


# What is owed to the chain


def votes(world: World, height: int = 1, view: int = 0, replica: int = 2) -> VoteEquivocation:
    key = signer(f"{world.network} bank-{replica} vote")
    pair = []
    for block_hash in (FALSE, OTHER):
        message = compute_vote_message(COMMIT, world.chain_id, height, view, block_hash)
        pair.append(Vote(COMMIT, height, view, block_hash, replica, key.sign(message)))
    return VoteEquivocation.of(*pair)


def convictions_of(world: World, replica: int = 1) -> Convictions:
    party = signer(f"{world.network} bank-{replica} party")
    return Convictions(world.genesis, replica, party)


def test_a_proof_is_owed_until_the_chain_has_it_whoever_brings_it() -> None:
    world = settled_world()
    mine, theirs = convictions_of(world, 1), convictions_of(world, 3)
    evidence = votes(world)
    assert mine.add(evidence, world.chain, 0)
    assert not mine.add(evidence, world.chain, 0)
    assert theirs.add(evidence, world.chain, 0)
    (envelope,) = theirs.take_due(world.chain, 0, world.next_ms)
    body = decode_body(decode_transaction(envelope).envelope.body)
    assert body.signers == ["bank-3"]
    assert decode_equivocation(bytes.fromhex(str(body.data["evidence"]))) == evidence
    mine.block_applied(["contract/c"], world.chain, 0)
    assert len(mine) == 1
    world.run(envelope)
    mine.block_applied([validator_stream("bank-2")], world.chain, 0)
    assert len(mine) == 0
    assert not mine.add(evidence, world.chain, 0)


def test_the_same_proof_is_the_same_body_for_a_while_and_fits_any_clock() -> None:
    world = settled_world()
    mine = convictions_of(world, 3)
    mine.add(votes(world), world.chain, 0)
    now_ms = world.chain.header.time_ms
    window_ms = world.genesis.parameters.replay_window_ms
    first = [*mine.take_due(world.chain, 0, now_ms)]
    assert first == [*mine.take_due(world.chain, AGAIN_TICKS, now_ms + 1)]
    for at, clock_ms in enumerate((0, now_ms, now_ms + window_ms, now_ms + 10**9), 2):
        (envelope,) = mine.take_due(world.chain, at * AGAIN_TICKS, clock_ms)
        not_after = decode_transaction(envelope).body.not_after
        assert now_ms < not_after <= now_ms + window_ms
        read(envelope)


def test_the_next_after_the_liar_submits_at_once_and_the_others_in_turn() -> None:
    world = settled_world()
    due: dict[int, list[int]] = {}
    for replica in (3, 0, 1):
        mine = convictions_of(world, replica)
        mine.add(votes(world), world.chain, 100)
        ticks = range(100, 100 + AGAIN_TICKS + 3 * PATIENCE_TICKS)
        due[replica] = [tick for tick in ticks if [*mine.take_due(world.chain, tick, 0)]]
    assert due == {3: [100, 140], 0: [110, 150], 1: [120, 160]}


def test_after_a_conviction_further_proofs_wait_and_go_together() -> None:
    """Each conviction is a block, in which a liar lies again: the chain must not run on that."""
    world = settled_world()
    mine = convictions_of(world, 3)
    mine.block_applied([validator_stream("bank-2")], world.chain, 100)
    for view in range(5):
        mine.add(votes(world, view=view), world.chain, 100 + view)
    assert [*mine.take_due(world.chain, 99 + AGAIN_TICKS, 0)] == []
    assert len([*mine.take_due(world.chain, 100 + AGAIN_TICKS, 0)]) == 5
    other = convictions_of(world, 3)
    other.block_applied([validator_stream("bank-1")], world.chain, 100)
    other.add(votes(world), world.chain, 101)
    assert len([*other.take_due(world.chain, 101, 0)]) == 1, "another validator was convicted"


def test_a_proof_that_others_overtake_moves_forward_until_it_is_first() -> None:
    """New lies brought by those before it must not keep an old proof waiting for ever."""
    world = settled_world()
    mine = convictions_of(world, 1)  # the last of those who accuse replica 2 of four
    mine.add(votes(world), world.chain, 0)
    waited = []
    for conviction in range(1, 5):
        at = conviction * 1_000
        mine.block_applied([validator_stream("bank-2")], world.chain, at)
        ticks = range(at, at + AGAIN_TICKS + 3 * PATIENCE_TICKS)
        due = [tick for tick in ticks if [*mine.take_due(world.chain, tick, 0)]]
        waited.append(due[0] - at - AGAIN_TICKS)
    assert waited == [PATIENCE_TICKS, 0, 0, 0]


def test_a_proof_of_a_height_not_yet_begun_waits() -> None:
    world = settled_world()
    mine = convictions_of(world, 3)
    mine.add(votes(world, height=world.chain.header.height + 2), world.chain, 0)
    assert [*mine.take_due(world.chain, 0, 0)] == []
    mine.add(votes(world, height=world.chain.header.height + 1), world.chain, 0)
    assert len([*mine.take_due(world.chain, 0, 0)]) == 1


def test_a_liar_is_owed_so_much_and_no_more() -> None:
    world = settled_world()
    mine = convictions_of(world)
    for view in range(OWED_MAX):
        assert mine.add(votes(world, view=view), world.chain, 0)
    assert not mine.add(votes(world, view=OWED_MAX), world.chain, 0)
    assert mine.add(votes(world, replica=3), world.chain, 0)


class FullRecord:
    """A chain whose record of a validator is full."""

    def __init__(self, chain: Chain) -> None:
        self.header = chain.header

    def stream(self, stream: str) -> FullRecord:
        return self

    @property
    def record(self) -> ValidatorRecord:
        return ValidatorRecord([f"commit/{number}/0" for number in range(SLOTS_MAX)])


def test_nothing_is_owed_against_a_validator_whose_record_is_full() -> None:
    world = settled_world()
    chain = FullRecord(world.chain)
    assert not convictions_of(world).add(votes(world, view=7), chain, 0)  # type: ignore[arg-type]
