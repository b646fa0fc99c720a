"""What peers relay: in turns, what a proposal names first, and nothing after what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ledger import tags
from ledger.hashing import tagged_hash
from ledger.transaction import Check
from node.effects import Admitted
from node.examiner import Examiner
from node.fair_turns import FairTurns
from node.relayed import DISTRUST_S, PART_COUNT, Relayed
from node.verification import VerifierUnavailable
from storage.files import StorageFailure
from tests.contracts.world import CARD, World

WORLD = World()
FORGED = b"forged"


def relay(count: int) -> list[bytes]:
    """Envelopes that a correct peer might relay, each of its own."""
    return [WORLD.submit("prepaid.prepay", CARD, {"amount": 1}, "m-1") for _ in range(count)]


def names(raws: Sequence[bytes]) -> list[bytes]:
    return [tagged_hash(tags.ENVELOPE, raw) for raw in raws]


class Node:
    """Everything around what is tested: a verifier that answers when it may, a pool, a log."""

    def __init__(self, width: int = 1) -> None:
        self.is_open = asyncio.Event()
        """Signatures are checked."""
        self.is_open.set()
        self.fails: Exception | None = None
        self.bad: set[bytes] = set()
        """Signers' messages whose signatures do not verify."""
        self.checked: list[Check] = []
        self.admitted: list[Admitted] = []
        self.pooled: set[bytes] = set()
        self.said: list[str] = []
        self.ended: list[int] = []
        self.relayed = Relayed(
            Examiner(self, WORLD.chain_id),
            FairTurns(width),
            find_pooled=lambda hashes: [each if each in self.pooled else None for each in hashes],
            admit=self.admit,
            say=lambda _, text: self.said.append(text),
        )

    async def verify(self, checks: Sequence[Check]) -> list[bool]:
        await self.is_open.wait()
        if self.fails is not None:
            raise self.fails
        self.checked += checks
        return [check[1] not in self.bad for check in checks]

    async def admit(self, event: Admitted) -> None:
        if isinstance(self.fails, StorageFailure):
            raise self.fails
        self.admitted.append(event)

    def hear(self, replica: int, raws: Sequence[bytes], wanted: Sequence[bytes] = ()) -> None:
        self.relayed.take(replica, raws, lambda: self.ended.append(replica), wanted)

    async def settle(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    def got(self) -> list[bytes]:
        """Envelopes that were found good, in the order in which they were handed over."""
        return [each.transaction.raw for event in self.admitted for each in event.candidates]


def forge(node: Node, raw: bytes) -> None:
    """From now on this envelope's signature does not verify."""
    (parsed,) = Examiner(node, WORLD.chain_id).parse_relayed([raw])
    node.bad.add(parsed.checks[0][1])  # type: ignore[union-attr]


async def test_a_frame_is_dealt_with_in_parts_and_counts_until_it_is() -> None:
    node = Node()
    raws = relay(2 * PART_COUNT + 3)
    node.is_open.clear()
    node.hear(1, raws)
    assert (node.relayed.count, node.relayed.bytes) == (len(raws), sum(map(len, raws)))
    await node.settle()
    assert (node.relayed.count, node.ended) == (len(raws), [])
    node.is_open.set()
    await node.settle()
    assert [len(event.candidates) for event in node.admitted] == [PART_COUNT, PART_COUNT, 3]
    assert node.got() == raws
    assert not any(event.is_local for event in node.admitted)
    assert (node.relayed.count, node.relayed.bytes, node.ended) == (0, 0, [1])


async def test_peers_take_turns_and_each_ones_frames_stay_in_order() -> None:
    node = Node()
    node.is_open.clear()
    first, second, other = relay(2 * PART_COUNT), relay(PART_COUNT), relay(PART_COUNT)
    node.hear(1, first)
    node.hear(1, second)
    node.hear(2, other)
    await node.settle()
    node.is_open.set()
    await node.settle()
    got = node.got()
    assert [raw for raw in got if raw not in other] == first + second
    assert got.index(other[0]) < got.index(second[0])
    assert sorted(node.ended) == [1, 1, 2]


async def test_what_a_proposal_names_is_dealt_with_first_and_once() -> None:
    node = Node()
    node.is_open.clear()
    frames = [relay(2 * PART_COUNT) for _ in range(4)]
    for replica, raws in enumerate(frames):
        node.hear(replica, raws)
    await node.settle()  # the first part of the first frame is being checked
    elsewhere = names(relay(2))
    wanted = [frames[0][1], frames[3][7], frames[2][200], frames[2][5]]
    asked = [elsewhere[0], *names(wanted), elsewhere[1]]
    assert node.relayed.hasten(asked) == elsewhere, "these have to be asked of a peer"
    assert node.relayed.hasten(asked) == elsewhere, "and the others are still under way"
    await node.settle()
    assert node.relayed.hasten(asked) == elsewhere
    assert node.relayed.count == 8 * PART_COUNT
    node.is_open.set()
    await node.settle()
    got = node.got()
    assert got[:PART_COUNT] == frames[0][:PART_COUNT], "what was begun is ended"
    assert got[PART_COUNT : PART_COUNT + 3] == [frames[2][5], frames[2][200], frames[3][7]]
    assert sorted(got) == sorted(raw for raws in frames for raw in raws), "each once"
    assert len(node.checked) == len(set(node.checked)) == 8 * PART_COUNT
    assert (node.relayed.count, node.relayed.bytes) == (0, 0)
    assert node.relayed.hasten(asked) == asked, "nothing waits any more"


async def test_an_answer_does_not_wait_behind_what_the_same_peer_relays() -> None:
    """Nobody asks for it again for half a second, and a block waits for it."""
    node = Node()
    node.is_open.clear()
    before, answer = [relay(PART_COUNT) for _ in range(3)], relay(3)
    for raws in before:
        node.hear(1, raws)
    await node.settle()
    wanted = [answer[2], before[1][5], answer[1]]
    node.hear(1, answer, names(wanted))
    node.hear(2, again := [answer[2], *relay(1)], names(wanted))
    await node.settle()
    node.is_open.set()
    await node.settle()
    got = node.got()
    assert got[PART_COUNT : PART_COUNT + 2] == answer[1:], "and what was not asked for waits"
    assert sorted(got) == sorted([*before[0], *before[1], *before[2], *answer, *again])
    assert (node.relayed.count, node.relayed.bytes) == (0, 0)
    assert sorted(node.ended) == [1, 1, 1, 1, 2]


async def test_more_than_one_part_may_be_named() -> None:
    node = Node()
    node.is_open.clear()
    raws, named = relay(PART_COUNT), relay(2 * PART_COUNT + 1)
    node.hear(1, raws)
    node.hear(2, relay(1))
    node.hear(1, named)
    await node.settle()
    assert node.relayed.hasten(names(named)) == []
    await node.settle()
    node.is_open.set()
    await node.settle()
    assert node.got()[PART_COUNT : PART_COUNT + len(named)] == named
    assert sorted(node.ended) == [1, 1, 2]


async def test_a_frame_all_of_which_was_named_has_nothing_left() -> None:
    node = Node()
    node.is_open.clear()
    node.hear(1, relay(1))
    named = relay(3)
    node.hear(2, named)
    assert node.relayed.hasten(names(named)) == []
    node.is_open.set()
    await node.settle()
    assert len(node.admitted) == 2
    assert sorted(node.ended) == [1, 2]
    assert node.relayed.count == 0


async def test_what_is_named_is_refused_as_anything_else_and_asked_for_again() -> None:
    node = Node()
    node.is_open.clear()
    node.hear(1, relay(1))
    (named,) = raws = relay(1)
    forge(node, named)
    node.hear(2, raws)
    assert node.relayed.hasten(names(raws)) == []
    node.is_open.set()
    await node.settle()
    ((envelope_hash, rejected),) = [each for event in node.admitted for each in event.rejected]
    assert [envelope_hash] == names(raws)
    assert str(rejected).startswith("bad_signature: ")
    assert not node.relayed.is_trusted(2)
    assert node.relayed.is_trusted(1)
    assert node.relayed.hasten(names(raws)) == names(raws)


async def test_what_is_in_the_pool_is_not_checked_again() -> None:
    node = Node()
    raws = relay(3)
    node.pooled.update(names(raws[:2]))
    node.hear(1, raws)
    await node.settle()
    assert node.got() == raws[2:]
    assert len(node.checked) == 1


@pytest.mark.parametrize("refused", ["unreadable", "badly signed"])
async def test_who_relays_what_is_refused_has_the_rest_dropped(refused: str) -> None:
    """A frame holds thousands of empty envelopes, and each costs more than it is long."""
    node = Node()
    raws = relay(3 * PART_COUNT)
    if refused == "unreadable":
        raws[5] = FORGED
    else:
        forge(node, raws[5])
    node.hear(1, raws)
    node.hear(1, relay(1))
    node.hear(2, others := relay(1))
    await node.settle()
    assert node.got() == raws[:5] + raws[6:PART_COUNT] + others
    assert [len(event.rejected) for event in node.admitted] == [1, 0]
    assert [text.partition(":")[0] for text in node.said] == (
        ["replica 1 relayed what is refused"] if refused == "unreadable" else []
    )
    assert sorted(node.ended) == [1, 1, 2]
    assert (node.relayed.count, node.relayed.bytes) == (0, 0)


async def test_who_relayed_what_is_refused_is_passed_over_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A correct peer has verified what it relays; a liar could keep all workers at forgeries."""
    node = Node()
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    for late_s, admitted in ((0.0, 2), (DISTRUST_S - 1, 3), (DISTRUST_S + 1, 5)):
        monkeypatch.setattr(loop, "time", lambda late_s=late_s: begun_s + late_s)
        node.hear(1, [FORGED])
        node.hear(2, relay(1))
        await node.settle()
        assert len(node.admitted) == admitted
    assert len(node.said) == 2


async def test_of_a_peers_frame_nothing_is_read_behind_what_cannot_be() -> None:
    """A correct peer has read what it passes on. Of what cannot be read one is told."""
    node = Node()
    node.hear(1, [FORGED] * (3 * PART_COUNT))
    await node.settle()
    (admitted,) = node.admitted
    assert (len(admitted.rejected), admitted.candidates) == (PART_COUNT, [])
    assert len(node.said) == 1


async def test_what_this_node_kept_itself_is_read_to_the_end() -> None:
    node = Node()
    raws = relay(2 * PART_COUNT)
    own = [*raws[:PART_COUNT], FORGED, *raws[PART_COUNT:], FORGED]
    await node.relayed.take_own(own)
    assert node.got() == raws
    assert all(event.is_local for event in node.admitted)
    assert sum(len(event.rejected) for event in node.admitted) == len(node.said) == 2


async def test_without_a_verifier_nobody_is_blamed_and_it_can_be_asked_for() -> None:
    node = Node()
    node.fails = VerifierUnavailable("the worker process ended", "验签进程已终止")
    raws = relay(2)
    node.hear(1, raws)
    await node.settle()
    assert node.admitted == []
    assert node.said[0].startswith("2 relayed transactions dropped: the worker process ended ")
    assert node.relayed.is_trusted(1)
    assert node.relayed.hasten(names(raws)) == names(raws)


async def test_without_a_verifier_what_was_promised_here_is_not_dropped() -> None:
    """No peer may have it, so nobody sends it again: the node has to start once more."""
    node = Node()
    node.fails = VerifierUnavailable("the worker process ended", "验签进程已终止")
    with pytest.raises(VerifierUnavailable, match=r"^the worker process ended$"):
        await node.relayed.take_own(relay(1))
    assert node.said == []


async def test_a_failing_disk_ends_it_without_a_word() -> None:
    """The node stops, and has said why."""
    node = Node()
    node.hear(1, relay(1))
    await node.settle()
    node.fails = StorageFailure("the disk is full", "磁盘空间不足")
    node.pooled.update(names(raws := relay(1)))
    node.hear(1, raws)
    await node.settle()
    assert (len(node.admitted), node.ended, node.said) == (1, [1, 1], [])


async def test_closing_ends_what_is_under_way() -> None:
    node = Node()
    node.is_open.clear()
    node.hear(1, relay(2 * PART_COUNT))
    node.hear(2, raws := relay(1))
    await node.settle()
    assert node.relayed.hasten(names(raws)) == []
    await node.settle()
    await node.relayed.close()
    assert (node.admitted, node.relayed.count) == ([], 0)
