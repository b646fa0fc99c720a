"""Registering a devnet's demo submitters on its chain, by the bank's signature.

Each registration has one reference for ever, so that doing it again after an interruption changes
nothing: what is registered stays, and a second attempt is recorded as refused. A key signs from the
height after its registration, so this ends when every node has applied that height.
"""

from __future__ import annotations

import time
from typing import Final

from cli.demo import REGISTRAR
from cli.devnet import make_client
from cli.devnet_state import DevnetState, DevnetSubmitter
from cli.drafts import Draft
from cli.failure import Failure
from cli.founding import read_genesis
from cli.progress import Progress
from cli.submission import Submitter, wait_height
from ledger.signing import SeedSigner

ALREADY: Final = frozenset({"party_exists", "reference_reused"})


class _Silent:
    def advance(self, count: int = 1) -> None:
        """Say nothing."""


def register_submitters(state: DevnetState, progress: Progress | None = None) -> int:
    """Register whoever is not yet, through the first node; return how many were new."""
    from pathlib import Path

    new = [who for who in state.submitters if not who.tx_id]
    if not new:
        return 0
    seed = next(one.party_seed for one in state.institutions if one.id == REGISTRAR)
    clients = [make_client(state, node.replica) for node in state.nodes]
    try:
        submitter = Submitter(
            genesis=read_genesis(Path(state.genesis)),
            clients=clients[:1],
            signers={REGISTRAR: SeedSigner(bytes.fromhex(seed))},
            now_ms=lambda: time.time_ns() // 1_000_000,
        )
        results = submitter.submit([_draft(who) for who in new], progress or _Silent())
        for who, result in zip(new, results, strict=True):
            if result.status != "applied" and result.code not in ALREADY:
                raise Failure(
                    f"{who.party} could not be registered: {result.code} {result.detail}".strip()
                    + ".",
                    f"无法登记 {who.party}：{result.why_zh}。",
                )
            who.tx_id = result.tx_id
        height = max(result.height for result in results)
        for client in clients:
            wait_height(client, height)
    finally:
        for client in clients:
            client.close()
    return sum(result.status == "applied" for result in results)


def _draft(who: DevnetSubmitter) -> Draft:
    return Draft(
        kind="party.register",
        data={
            "district": who.district,
            "keys": [who.public_key],
            "party": who.party,
            "role": who.role,
        },
        stream=f"party/{who.party}",
        reference=f"register-{who.party}",
        signers=[REGISTRAR],
    )
