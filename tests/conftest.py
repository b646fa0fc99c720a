"""For all tests: Hypothesis sets no time limits. A loaded machine is no mistake of the code."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
