"""A real node process that lies: `python -m tests.system.liar_node KIND SEED HOME`.

Everything is the node's own (keys, TLS, sockets, disk, API) but one thing: between the driver and
the wire sits one of the simulator's liars (`sim.liars`), which changes, doubles, drops or
invents frames and signs them with this institution's keys. The product has no such switch; this
module puts its own shell in the place of the node's and then runs the node.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import node.server
from cli.node_command import _stop_with_stdin
from node.effects import BroadcastFrame, Effect, SendFrame
from node.messages import Frame
from node.shell import Shell
from node.steps import DiskWork
from sim.coverage import Coverage
from sim.deployment import Deployment
from sim.liars.kinds import LIARS
from sim.liars.liar import Liar, Sent
from sim.liars.proposing import Censor
from sim.world import EPOCH_MS, MS, SECOND, World


class Mute(Liar):
    """Says nothing to anybody, ever; it still listens."""

    kind = "mute"

    def tamper(self, driver: object, frame: Frame, peers: Sequence[int]) -> Sent:
        return iter(())


class GymCensor(Censor):
    """Keeps the devnet's gym out of its blocks."""

    merchant = "m-yoga"


KINDS: dict[str, type[Liar]] = {liar.kind: liar for liar in (*LIARS, Mute, GymCensor)}
"""By name; of two with one name the last."""


def lying_shell(kind: str, seed: int) -> type[Shell]:
    """Return a shell that lets a liar say what its driver wanted to say."""

    class LyingShell(Shell):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            identity = self.driver.identity
            count = len(identity.genesis.validators)
            self._others = [number for number in range(count) if number != identity.replica]
            self._world = World(seed)
            # It looks up nobody's keys but its own, and here are no others.
            deployment = Deployment(identity.genesis, (identity.signers,) * count)
            self._liar = KINDS[kind](identity.replica, deployment, self._world, Coverage())

        def frame_arrived(self, replica: int, payload: bytes) -> None:
            self._liar.overhear(payload)
            super().frame_arrived(replica, payload)

        def _perform(self, effect: Effect) -> DiskWork | None:
            if isinstance(effect, BroadcastFrame):
                self._tell(effect.frame, self._others, effect.is_bulk or effect.is_news)
                return None
            if isinstance(effect, SendFrame):
                self._tell(effect.frame, [effect.replica], effect.is_bulk)
                return None
            return super()._perform(effect)

        def _tell(self, frame: Frame, peers: Sequence[int], is_bulk: bool) -> None:
            self._world.now_us = time.time_ns() // 1000 - EPOCH_MS * MS
            loop = asyncio.get_running_loop()
            for packet in self._liar.tamper(self.driver, frame, peers):
                if packet.payload:
                    delay_s = packet.delay_us / SECOND
                    loop.call_later(delay_s, self._send, packet.replica, packet.payload, is_bulk)

        def _send(self, replica: int, payload: bytes, is_bulk: bool) -> None:
            if self.carrier is not None:
                self.carrier.send(replica, payload, is_bulk)

    return LyingShell


def main(kind: str, seed: str, home: str) -> int:
    """Run the node until it is told to stop."""
    node.server.Shell = lying_shell(kind, int(seed))  # type: ignore[misc]
    node.server.Mempool = lambda *_: KINDS[kind].make_pool()  # type: ignore[assignment,misc]
    _stop_with_stdin()
    return node.server.run_node(Path(home))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
