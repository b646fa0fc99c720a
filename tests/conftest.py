"""For all tests: no time limits from Hypothesis, and groups that are kept together.

Help is in English, whatever the locale of the machine, unless a test asks for Chinese.
A loaded machine is no mistake of the code. Tests of one `xdist_group` share a network of processes;
a version of xdist or pytest that spreads them over workers would start it anew at each of them, so
such a pair of versions is refused.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from verifier.help import LANGUAGE_VARIABLE

os.environ[LANGUAGE_VARIABLE] = "en"

# Under -O the question is only whether something trusts an assert: a few examples answer it.
settings.register_profile("untimed", deadline=None, max_examples=100 if __debug__ else 10)
settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker of `--dist loadgroup`, the ids must bear the groups (xdist sends them so)."""
    if not config.getoption("loadgroup", default=False):
        return
    for item in items:
        marked = item.get_closest_marker("xdist_group") is not None
        if marked and "@" not in item.nodeid.rpartition("]")[2]:
            raise pytest.UsageError(
                f"{item.nodeid}: this pytest and this pytest-xdist do not keep groups together; "
                f"take the versions of requirements/test.txt"
            )
