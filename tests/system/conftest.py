"""The network that lives are played on: one for all modules that play."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.networks import Network, running_network


@pytest.fixture(scope="session")
def lives_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running_network(tmp_path_factory.mktemp("lives") / "net") as running:
        yield running
