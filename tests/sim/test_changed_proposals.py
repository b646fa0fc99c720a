"""A liar that passes others' proposals on with another body: nobody is halted and nothing stops.

A proposal's signature covers the block hash alone, and the envelopes' hashes do not enter it. So
whoever passes a proposal on can name an envelope that is none, and when it likes give that too.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from consensus.messages import Commit, NewView, Prepare, PrePrepare
from ledger import tags
from ledger.hashing import HASH_BYTES, tagged_hash
from node.driver import Driver
from node.messages import FetchedProposal, FetchedTransactions, Frame, encode_frame
from sim.liars.liar import Liar, Packet, Sent, read, read_overheard, write
from sim.plan import Plan
from sim.simulation import Options, Simulation
from sim.world import MS

JUNK = b"no envelope"


class ProposalChanger(Liar):
    """Passes each proposal on, changed; gives the bad envelope later, and false bodies if asked."""

    kind = "changed proposal"
    _heard: PrePrepare | NewView | None = None

    def overhear(self, payload: bytes) -> None:
        message = read_overheard(payload)
        if isinstance(message, PrePrepare | NewView) and message.proposal.envelope_hashes:
            self._heard = message

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        heard, self._heard = self._heard, None
        if heard is not None and self._lies(1.0):
            rest = heard.proposal.envelope_hashes[HASH_BYTES:]
            hashes = tagged_hash(tags.ENVELOPE, JUNK) + rest
            body = msgspec.structs.replace(heard.proposal, envelope_hashes=hashes)
            for peer in peers:
                yield Packet(peer, write(msgspec.structs.replace(heard, proposal=body)))
                delay_us = self._chance.randint(20, 150) * MS
                yield Packet(peer, encode_frame(FetchedTransactions([JUNK])), delay_us)
        if isinstance(frame, FetchedProposal):
            frame = msgspec.structs.replace(frame, leaf_hashes=bytes(len(frame.leaf_hashes)))
        yield from super().tamper(driver, frame, peers)


def test_a_changed_proposal_halts_nobody_and_convicts_nobody() -> None:
    """With this seed a node that took the changed body for its primary's was halted by the one
    liar: the two of them, it thought, had given what cannot be reproduced."""
    seed, heights = 6, 20
    plan = Plan(4, frozenset({"liars"}), is_stream=False, liars={1: ProposalChanger})
    simulation = Simulation(seed, Options(heights=heights), plan=plan)
    conditions = simulation.network.conditions
    conditions.delay_us_max, conditions.straggle_us_max = 60 * MS, 300 * MS
    conditions.straggling = 0.1
    result = simulation.run()
    assert result.violation is None
    assert result.counts["liar: changed proposal"] > heights // 2
    assert not [name for name in result.counts if name.startswith("convicted")]


class ProposalHolder(ProposalChanger):
    """Passes each proposal on with the hash of an envelope that nobody has, and does not vote."""

    kind = "held proposal"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        heard, self._heard = self._heard, None
        if heard is not None and self._lies(1.0):
            hashes = bytes(HASH_BYTES) + heard.proposal.envelope_hashes[HASH_BYTES:]
            body = msgspec.structs.replace(heard.proposal, envelope_hashes=hashes)
            for peer in peers:
                yield Packet(peer, write(msgspec.structs.replace(heard, proposal=body)))
        if not isinstance(read(frame), Prepare | Commit):
            yield from Liar.tamper(self, driver, frame, peers)


def test_a_proposal_held_up_on_its_way_costs_no_view() -> None:
    """Where the liar was faster than the primary its body stayed, and waited: with this seed that
    cost 22 changes of view, for the three others have to agree where the fourth does not vote."""
    plan = Plan(4, frozenset({"liars"}), is_stream=False, liars={1: ProposalHolder})
    simulation = Simulation(990902, Options(heights=12), plan=plan)
    conditions = simulation.network.conditions
    conditions.delay_us_max, conditions.straggle_us_max = 60 * MS, 300 * MS
    conditions.straggling = 0.3
    result = simulation.run()
    assert result.violation is None
    assert result.counts["liar: held proposal"] > 0
    assert result.counts["view change"] == 0
