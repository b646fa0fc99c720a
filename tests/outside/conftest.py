"""The API over a node in memory, a time-stamping authority that serves, and the judge in Go."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import client, connect, node, secrets_by_name, settings, token_set
from tests.outside.authority import TimestampAuthority

__all__ = ["client", "connect", "node", "secrets_by_name", "settings", "token_set"]

GO = shutil.which("go")
SOURCE = Path(__file__).parent / "go"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[TimestampAuthority, str]]:
    """An authority that serves on a thread of its own."""
    tsa = TimestampAuthority(tmp_path / "tsa")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    url = asyncio.run_coroutine_threadsafe(tsa.serve(), loop).result()
    yield tsa, url
    asyncio.run_coroutine_threadsafe(tsa.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled judge; its modules are pinned by hash in go.sum."""
    if GO is None:
        pytest.skip("Go is not installed: its C2SP implementations judge nothing here")
    fetched = subprocess.run(
        [GO, "mod", "download"], cwd=SOURCE, capture_output=True, text=True, check=False
    )
    if fetched.returncode != 0:
        pytest.skip(f"Go's modules cannot be had here: {fetched.stderr.strip()[-200:]}")
    target = tmp_path_factory.mktemp("go") / "outside"
    built = subprocess.run(
        [GO, "build", "-mod=readonly", "-o", target, "."],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return target
