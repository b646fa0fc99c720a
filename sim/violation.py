"""How a breach is reported: the rule that was broken and what was seen.

It ends the simulation; its text and the seed are all that a reader needs.
"""

from __future__ import annotations


class Violation(Exception):
    """Something that must hold does not."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail
