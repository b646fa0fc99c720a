"""Findings: a rule was broken, as it seems, and this is where it stands.

A finding is recorded and never blocks; history stays as it is, and whoever must decide, decides. It
names the rule and its article, says what happened in both languages, and gives the values and the
entries, so that it can be checked and contested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

NOTICE: Final = "notice"
BREACH: Final = "breach"
GRAVE: Final = "grave"
SEVERITIES: Final = (NOTICE, BREACH, GRAVE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding."""

    rule: str
    """`<pack>@<version>/<rule>`, or `art9/<clause>` for a clause of the terms."""
    article: str
    severity: str
    en: str
    zh: str
    values: tuple[tuple[str, int | str], ...] = ()
    positions: tuple[int, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return the finding as it is written."""
        return {
            "article": self.article,
            "en": self.en,
            "positions": list(self.positions),
            "rule": self.rule,
            "severity": self.severity,
            "values": [list(pair) for pair in self.values],
            "zh": self.zh,
        }
