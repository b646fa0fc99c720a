"""A real node process that lies: `python -m tests.system.liar_node KIND SEED HOME`.

Everything is the node's own (keys, TLS, sockets, disk, API) but one thing: between the driver and
the wire sits one of the simulator's liars (`sim.byzantine`), which changes, doubles, drops or
invents frames and signs them with this institution's keys. The product has no such switch; this
module puts its own shell in the place of the node's and then runs the node.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import node.server
from cli.node_command import _stop_with_stdin
from node.effects import BroadcastFrame, Effect, SendFrame
from node.messages import Frame
from node.shell import Shell
from node.steps import DiskWork
from sim.byzantine import LIARS, Liar, Sent
from sim.coverage import Coverage


class Mute(Liar):
    """Says nothing to anybody, ever; it still listens."""

    kind = "mute"

    def tamper(self, driver: object, frame: Frame, peers: Sequence[int]) -> Sent:
        return iter(())


KINDS: dict[str, type[Liar]] = {liar.kind: liar for liar in (*LIARS, Mute)}


def lying_shell(kind: str, seed: str) -> type[Shell]:
    """Return a shell that lets a liar say what its driver wanted to say."""

    class LyingShell(Shell):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            identity = self.driver.identity
            self._liar = KINDS[kind](
                identity.replica, identity.signers, random.Random(seed), Coverage()
            )
            self._others = [
                number
                for number in range(len(identity.genesis.validators))
                if number != identity.replica
            ]

        def _perform(self, effect: Effect) -> DiskWork | None:
            if isinstance(effect, BroadcastFrame):
                self._tell(effect.frame, self._others, effect.is_bulk)
                return None
            if isinstance(effect, SendFrame):
                self._tell(effect.frame, [effect.replica], effect.is_bulk)
                return None
            return super()._perform(effect)

        def _tell(self, frame: Frame, peers: Sequence[int], is_bulk: bool) -> None:
            if self.carrier is None:
                return
            for peer, payload in self._liar.tamper(self.driver, frame, peers):
                if payload:
                    self.carrier.send(peer, payload, is_bulk)

    return LyingShell


def main(kind: str, seed: str, home: str) -> int:
    """Run the node until it is told to stop."""
    node.server.Shell = lying_shell(kind, seed)  # type: ignore[misc]
    _stop_with_stdin()
    return node.server.run_node(Path(home))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
