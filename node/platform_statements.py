"""The platform statement of this node: gathered, and signed with the institution's log key.

What cannot change while the process runs (source, libraries, kernel) is found once, on a thread;
how the node is and what its clock is worth, whenever somebody asks. The format stands in
`ledger.platform_statement`.
"""

from __future__ import annotations

import asyncio
import platform
import ssl
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from api.ports import StatusView
from genesis.document import Genesis
from ledger.platform_statement import CRYPTOGRAPHY, POST_QUANTUM, sign_platform_statement
from ledger.signing import Signer
from node.build_hash import compute_build, find_kernel, find_own_root
from node.config import PlatformConfig
from node.system_clock import ClockState, read_clock_state

LIBRARIES: Final = (
    "cryptography",
    "msgpack",
    "msgspec",
    "plyvel",
    "pynacl",
    "rfc8785",
    "rocksdict",
)
"""Packages on which what a node accepts, writes or sends depends. PyNaCl brings libsodium."""


class PlatformStatements:
    """Says what this node is, as often as it is asked."""

    def __init__(
        self,
        genesis: Genesis,
        replica: int,
        signer: Signer,
        config: PlatformConfig,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clock_state: Callable[[], ClockState] = read_clock_state,
    ) -> None:
        self._genesis = genesis
        self._institution = genesis.institutions[replica]
        self._has_post_quantum = genesis.post_quantum_members[replica].key_hash is not None
        self._signer = signer
        self._config = config
        self._clock_ms = clock_ms
        self._clock_state = clock_state
        self._fixed: dict[str, Any] | None = None

    async def prepare(self) -> None:
        """Find what does not change, on a thread; raise OSError where a file cannot be read."""
        self._fixed = await asyncio.to_thread(_find_fixed)

    def make(self, status: StatusView, *, is_ready: bool) -> bytes | None:
        """Return the statement as of now; None until `prepare` has ended."""
        if self._fixed is None:
            return None
        clock = self._clock_state()
        name = self._institution.name
        statement = {
            **self._fixed,
            "chain_id": self._genesis.chain_id.hex(),
            "conflicts_of_interest": self._config.conflicts_of_interest,
            "cryptography": [*CRYPTOGRAPHY, *([POST_QUANTUM] if self._has_post_quantum else [])],
            "health": {
                "certified_height": status.certified_height,
                "detail": status.detail,
                "height": status.height,
                "is_ready": is_ready,
                "mode": status.mode,
                "peers_connected": status.peers_connected,
            },
            "node": self._institution.id,
            "operator": {"en": name.en, "zh": name.zh},
            "time_ms": self._clock_ms(),
            "time_source": {
                "error_max_us": clock.error_max_us,
                "is_synchronized": clock.is_synchronized,
                "text": self._config.time_source,
            },
            "version": status.version,
        }
        return sign_platform_statement(self._signer, self._genesis.chain_id, statement)


def _find_fixed() -> dict[str, Any]:
    build = compute_build(find_own_root())
    return {
        "build": {"files": build.file_count, "sha256": build.sha256},
        "kernel": find_kernel(),
        "versions": find_versions(),
    }


def find_versions() -> dict[str, str]:
    """Return the versions of Python, OpenSSL and the libraries that are installed."""
    found = {
        "openssl": ssl.OPENSSL_VERSION,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # one of the two stores
            continue
    return found
