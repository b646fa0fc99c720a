"""Refusals that several commands make, each worded once: of files, of hashes and ids, of no node.

The standard library is all that this and what it imports take, as building the parser does.
"""

from __future__ import annotations

import re
from pathlib import Path

from cli.failure import Failure, unusable
from ledger.system_words import explain_system


def unreadable(path: Path | str, error: OSError) -> Failure:
    """Return the failure of a file that the system does not let us read."""
    return unusable(
        f"{path} cannot be read: {error.strerror}.", f"{path} 无法读取：{explain_system(error)}。"
    )


def unwritable(path: Path, error: OSError) -> Failure:
    """Return the failure of a file that the system does not let us write."""
    return unusable(
        f"{path} cannot be written: {error.strerror}.",
        f"{path} 无法写入：{explain_system(error)}。",
    )


def not_made(path: Path, error: OSError) -> Failure:
    """Return the failure of a folder that the system does not let us make."""
    return unusable(
        f"{path} cannot be made: {error.strerror}.", f"{path} 无法创建：{explain_system(error)}。"
    )


def in_the_way(path: Path) -> Failure:
    """Return the failure of what was to be written where something is already."""
    return unusable(f"{path} exists and is not overwritten.", f"{path} 已存在，不予覆盖。")


def no_node() -> Failure:
    """Return the failure of a command that was to ask nodes and has none."""
    return unusable("No node was named.", "未指明任何节点。")


def not_a_hash(given: str) -> Failure:
    """Return the failure of a genesis hash that is none."""
    return unusable(
        f"--genesis-hash {given!r} is not 64 hex digits.",
        f"--genesis-hash {given!r} 不是 64 位十六进制数。",
    )


def check_tx_id(text: str) -> str:
    """Return a transaction id as it was given; raise `Failure` at what is none."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise unusable(
            f"{text!r} is not a transaction id of 64 lower-case hex digits.",
            f"{text!r} 不是交易号：应为 64 位小写十六进制数。",
        )
    return text
