"""The simulator's disk, its steps numbered, so that a test can end the process before each one."""

from __future__ import annotations

import random

from sim.disk import ProcessEnded, Survival, VirtualDirectory


class CrashingDirectory(VirtualDirectory):
    """One directory, in which the process ends before the step `crash_at`."""

    def __init__(self) -> None:
        super().__init__("fake", self._count)
        self.step = 0
        self.crash_at: int | None = None

    def lose_power(self, survival: Survival, seed: int = 0) -> None:
        """Lose what was not synced and start again."""
        self.crash_at = None
        self.power_loss(survival, random.Random(seed))

    def _count(self, _: str) -> None:
        if self.step == self.crash_at:
            raise ProcessEnded
        self.step += 1
