"""File descriptors: how many this process may have, and who gets them.

Everything a node does takes some: the store its tables, the chain its segments, each peer its two
connections, each client one. Whoever can reach the API's port can open connections, and a store
that finds no descriptor left cannot open its next file and stops the node. So what the node itself
may need at the most is set aside first, from the limit as it stands, and clients share the rest.
"""

from __future__ import annotations

import resource
from typing import Final

from node.transport import STRANGERS_MAX
from storage.files import OPEN_FILES_MAX

DESCRIPTORS_MAX: Final = 65_536
"""Asked for where the system allows more: the store's tables alone would take a petabyte."""

CONNECTIONS_MAX: Final = 1200
"""A thousand requests may wait (`ApiSettings.waiters_max`), and some that do not come beside them;
with TLS each holds some 50 kB."""

CONNECTIONS_MIN: Final = 64
"""With fewer places for clients a node is of no use to anybody, and does not start."""

_TABLES_MIN: Final = 256
"""Open table files of a small store. LevelDB maps a thousand into memory, which takes none, and
keeps one descriptor in five for the rest; `storage.rocks` keeps as many as this at most."""

_JOURNAL_SPOOL_LOCK: Final = 8

_PROCESS: Final = 32
"""Standard streams, the event loop's own, listening sockets, a backup being read."""

_OF_A_PEER: Final = 3
"""Sending, receiving, and one that is about to replace either."""

_OF_A_WORKER: Final = 3
"""Two ends of a socket pair and what watches the process."""


class TooFewDescriptors(Exception):
    """The system allows this process too few open files for a node."""

    def __init__(self, limit: int, needed: int) -> None:
        super().__init__(
            f"this process may have {limit} open files, and a node needs {needed}: raise the "
            "limit (LimitNOFILE= in a systemd unit, ulimit -n in a shell)"
        )
        self.detail_zh = (
            f"本进程至多可打开 {limit} 个文件，而节点需要 {needed} 个：请提高上限"
            "（systemd 单元中的 LimitNOFILE=，或 shell 中的 ulimit -n）"
        )


def raise_limit() -> None:
    """Allow as many open files as the system lets this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def count_own(limit: int, peer_count: int, worker_count: int) -> int:
    """Return how many of `limit` the node itself may need."""
    return (
        max(limit // 5, _TABLES_MIN)
        + OPEN_FILES_MAX
        + _JOURNAL_SPOOL_LOCK
        + _PROCESS
        + STRANGERS_MAX
        + _OF_A_PEER * peer_count
        + _OF_A_WORKER * worker_count
    )


class ClientPlaces:
    """How many API connections there may be, by the limit as it stands at the moment of asking."""

    def __init__(self, peer_count: int, worker_count: int) -> None:
        self._peer_count = peer_count
        self._worker_count = worker_count

    def check(self) -> None:
        """Raise `TooFewDescriptors` unless some clients find a place."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = count_own(limit, self._peer_count, self._worker_count) + CONNECTIONS_MIN
        if limit < needed:
            raise TooFewDescriptors(limit, needed)

    def count(self) -> int:
        """Return how many places there are."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        left = limit - count_own(limit, self._peer_count, self._worker_count)
        return max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, left))
