"""Fixtures of the command line's tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from node import keystore
from tests.cli.running import Command, StoredChain, amount, opening, registrations


@pytest.fixture(scope="session", autouse=True)
def derived_once() -> Iterator[None]:
    """The key of one passphrase and salt, derived once: it takes 0.1 s, and is the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keystore, "_derive", cache(keystore._derive))
        yield


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture(scope="session")
def stored_chain(tmp_path_factory: pytest.TempPathFactory) -> StoredChain:
    """A chain of six blocks; not to be changed (see `home`)."""
    chain = StoredChain(tmp_path_factory.mktemp("stored") / "net")
    chain.append(
        registrations(chain.state),
        [opening("a"), opening("b")],
        [amount("prepaid.prepay", "a", 5000, "pay-a"), amount("prepaid.prepay", "b", 70, "pay-b")],
        [amount("prepaid.consume", "a", 6000, "too-much")],
        [amount("prepaid.consume", "a", 100, "pay-a"), amount("prepaid.refund", "b", 70, "back")],
    )
    return chain


@pytest.fixture
def home(stored_chain: StoredChain, tmp_path: Path) -> Path:
    """A copy of the stored chain's home, to be damaged."""
    return Path(shutil.copytree(stored_chain.home.path, tmp_path / "home"))
