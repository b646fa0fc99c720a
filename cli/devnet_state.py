"""`devnet.json`: what clients of a devnet need to know, in one file only its owner can read.

It names every node with its addresses and tokens, and holds the seeds of the demo submitters and of
the institutions, so that anybody who has it can act for all of them. `pid` is that of a node while
`devnet` runs, and 0 otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from cli.failure import Failure, unusable
from node.private_files import write_file

STATE_FILE: Final = "devnet.json"


class DevnetNode(msgspec.Struct):
    """One node, as clients and `devnet up` need it."""

    id: str
    replica: int
    home: str
    api: str
    peer: str
    tokens: dict[str, str]
    """Bearer tokens of this node's API, by scope."""
    log: str
    pid: int = 0
    """0 while it does not run."""


class DevnetInstitution(msgspec.Struct):
    """An institution and the seed that signs its transactions."""

    id: str
    role: str
    party_seed: str


class DevnetSubmitter(msgspec.Struct):
    """A demo submitter and its seed."""

    party: str
    role: str
    district: str
    industry: str
    name_zh: str
    seed: str
    public_key: str
    tx_id: str = ""
    """Of its registration; empty before."""


class DevnetState(msgspec.Struct):
    """The contents of `devnet.json`."""

    genesis_hash: str
    genesis: str
    authority: str
    """PEM of what signed the API certificates; empty for plain HTTP."""
    nodes: list[DevnetNode]
    submitters: list[DevnetSubmitter]
    institutions: list[DevnetInstitution]


def read_state(directory: Path) -> DevnetState:
    """Read `devnet.json`; raise `Failure` where there is none."""
    path = directory / STATE_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=DevnetState)
    except OSError:
        raise unusable(
            f"{path} cannot be read; `evidence-ledger devnet --home {directory}` makes a devnet "
            "there.",
            f"无法读取 {path}；可用 evidence-ledger devnet --home {directory} 在该处建立试验网络。",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{path} is damaged: {error}.", f"{path} 已损坏。") from None


def write_state(directory: Path, state: DevnetState) -> None:
    """Write `devnet.json`, readable by this user only."""
    raw = msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n"
    write_file(directory / STATE_FILE, raw, replace=True)


def is_initialised(directory: Path) -> bool:
    """Say whether a devnet stands in `directory`."""
    return (directory / STATE_FILE).exists()
