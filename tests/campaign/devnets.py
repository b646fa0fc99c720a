"""Devnets whose nodes can be made to suffer: by a clock of their own, in a place of their own.

A node that does not come up is made to say where it stands (`faulthandler`) before it is blamed: a
machine that is busy with other things is slow, a node that hangs is wrong.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import Final

from bench.processes import read_cpu_s
from cli.devnet import Devnet, log_tail
from cli.devnet_state import DevnetNode
from cli.failure import Failure

READY_S: Final = 300.0
"""A start takes two seconds of CPU; on a machine with ten others at work that can be a minute."""


class PatientDevnet(Devnet):
    """Waits long for a node, and shows the stack of one that does not come."""

    def environment(self, node: DevnetNode) -> dict[str, str]:
        return super().environment(node) | {"PYTHONFAULTHANDLER": "1"}

    def wait_ready(self, replicas: Iterable[int] | None = None, ready_s: float = READY_S) -> None:
        waiting = list(range(len(self.state.nodes)) if replicas is None else replicas)
        for replica in waiting:
            try:
                super().wait_ready([replica], ready_s)
            except Failure as failure:
                process = self.process(replica)
                if process.poll() is not None:
                    raise
                used_s = read_cpu_s(process.pid)
                process.send_signal(signal.SIGABRT)
                process.wait()
                raise Failure(
                    f"{failure}\nIt had used {used_s:.1f} s of CPU and stood here:\n"
                    f"{log_tail(self.state.nodes[replica])}"
                ) from None
