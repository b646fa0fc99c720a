"""A sentence for people, in both languages.

What is said once and shown later, to a reader or in a log, is carried as a pair, so that nobody
who passes it on has to choose. The verifier has its own (`verifier.report.Words`): it imports
nothing of the ledger's.
"""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """One sentence, twice."""

    zh: str
    en: str
