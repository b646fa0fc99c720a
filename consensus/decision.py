"""From a quorum of commits to an applied block (*committed-local*, Castro & Liskov, section 4.2).

A quorum of commits of one view decides whenever it comes together: in that view, in a later one,
during a view change, or inside somebody's `Decided`. The block is handed on once its bytes are at
hand and were executed here. Bytes can be false although the block is decided, so they are asked
for from other voters until they agree; f+1 that were asked and all give what this replica cannot
reproduce contain a correct one, and then this replica is the one that is wrong, and halts. What
stood in a proposal counts for nobody: whoever passed it on may have changed it.
"""

from __future__ import annotations

from consensus.actions import Decide, Halt
from consensus.state import HeightState
from ledger.votes import CommitCertificate


def decide(state: HeightState, certificate: CommitCertificate | None = None) -> None:
    """Decide if a quorum of commits, or a verified certificate, is there; then pursue the block."""
    if state.decided is None:
        found = certificate or state.votes.find_commit_certificate(state.membership.quorum)
        if found is None:
            return
        state.decided = found
        state.is_building = False
    _pursue(state, state.decided)


def _pursue(state: HeightState, certificate: CommitCertificate) -> None:
    if state.is_decide_sent or state.is_halted:
        return
    block_hash = certificate.block_hash
    if len(state.bad_sources) >= state.membership.weak_quorum:
        state.is_halted = True
        state.emit(
            Halt(
                state.height,
                block_hash,
                f"block {block_hash.hex()} of height {state.height} is committed in view "
                f"{certificate.view}, but what replicas {sorted(state.bad_sources)} gave for it "
                "cannot be reproduced here",
            )
        )
        return
    held = state.proposals.get(block_hash)
    if held is None:
        voters = tuple(item.replica for item in certificate.commits)
        better = tuple(item for item in voters if item not in state.bad_sources)
        state.fetch(block_hash, better or voters)
    elif held.is_ok:
        state.is_decide_sent = True
        state.emit(Decide(state.height, certificate, block_hash))
    elif held.checking_view is None:
        state.check_body(held.proposal, block_hash, held.source)
