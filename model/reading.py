"""From the messages of `consensus` to the statements of the model.

A replica's messages repeat what it said before, and pass on what others proposed or decided; only
what is signed in its own name is a statement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from consensus.messages import (
    Commit,
    Decided,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
)
from ledger.votes import PreparedClaim, claim_of
from model.statements import Block, Claim, Kind, Statement, make_ask

NameOf = Callable[[bytes], Block]
"""Block hash → the model's name of the block."""


def read_statement(message: Message, replica: int, name_of: NameOf) -> Statement | None:
    """Return what a message says in its sender's own name; None if it only passes something on."""
    match message:
        case PrePrepare() | NewView():
            block = name_of(message.proposal.block_hash)
            return Statement(message.view, replica, Kind.PREPARE, block)
        case Prepare():
            return Statement(message.view, replica, Kind.PREPARE, name_of(message.block_hash))
        case Commit():
            return Statement(message.view, replica, Kind.COMMIT, name_of(message.block_hash))
        case ViewChange():
            return make_ask(message.view, replica, read_claim(claim_of(message.prepared), name_of))
        case Decided():
            return None
        case _ as unreachable:
            assert_never(unreachable)


def read_claim(claim: PreparedClaim | None, name_of: NameOf) -> Claim | None:
    """Return what a view-change claims."""
    return None if claim is None else Claim(claim.view, name_of(claim.block_hash))
