"""What the API is told when the node beneath it fails."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.ports import Unavailable
from ledger.words import Words
from node.service import NodeService
from node.submissions import tip_unknown
from node.timestamp_shelf import TimestampShelf
from storage.files import DiskDirectory, StorageFailure
from tests.outside.logs import leaves, make_note, prove


async def test_a_full_disk_is_unavailable_and_no_mistake() -> None:
    """Found on a full disk: it was answered 500 `internal`, with a traceback in the log."""

    async def submit(_: Any) -> Any:
        raise StorageFailure("spool-0: write failed: No space left on device", "磁盘空间不足")

    nobody: Any = None
    submissions: Any = SimpleNamespace(submit=submit)
    service = NodeService(nobody, submissions, nobody, nobody, nobody, nobody, nobody, nobody)
    with pytest.raises(Unavailable) as refused:
        await service.submit([b"envelope"], "somebody")
    assert str(refused.value) == "nothing can be written to this node's disk; it stops"


@pytest.mark.parametrize(
    ("changes", "en", "zh"),
    [
        ({}, None, None),
        (
            {"connected_count": 1},
            "1 peers are connected; a quorum needs 3 institutions, this one included",
            "已连接 1 个其他节点；法定多数须有 3 家机构，本节点计算在内",
        ),
        (
            {"catch_up": SimpleNamespace(target=71)},
            "catching up: height 50 of 71",
            "正在追赶：高度 50，目标高度 71",
        ),
        (
            {"tip_height": None},
            tip_unknown().detail,
            tip_unknown().detail_zh,
        ),
        (
            {"halted": Words("区块 51 无法复现", "block 51 cannot be reproduced")},
            "block 51 cannot be reproduced",
            "节点已停止：区块 51 无法复现",
        ),
    ],
)
def test_a_node_says_in_both_languages_why_nobody_is_to_be_sent_there(
    changes: dict[str, Any], en: str | None, zh: str | None
) -> None:
    validators, header = SimpleNamespace(quorum=3), SimpleNamespace(height=50)
    given = {
        "catch_up": SimpleNamespace(target=70),
        "chain": SimpleNamespace(validators=validators, header=header),
        "connected_count": 2,
        "halted": None,
        "tip_height": 70,
    } | changes
    shell: Any = SimpleNamespace(driver=SimpleNamespace(**given), is_stopped=bool(given["halted"]))
    nobody: Any = None
    service = NodeService(shell, nobody, nobody, nobody, nobody, nobody, nobody, nobody)
    obstacle = service.find_obstacle()
    assert (obstacle and obstacle.detail, obstacle and obstacle.detail_zh) == (en, zh)
    assert (service.find_failure() is not None) == bool(given["halted"])


async def test_a_stamp_from_beyond_the_chain_is_unavailable_until_the_node_has_caught_up(
    tmp_path: Path,
) -> None:
    """A backup brings back the time-stamps, and the blocks after it come from the peers."""
    shelf = TimestampShelf(DiskDirectory(tmp_path))
    shelf.keep(20, make_note(20), 5, [])
    shell: Any = SimpleNamespace(chain=SimpleNamespace(header=SimpleNamespace(log_size=7)))
    queries: Any = SimpleNamespace(index=lambda tx_id: 3)
    nobody: Any = None
    service = NodeService(shell, nobody, queries, nobody, shelf, nobody, nobody, nobody)
    for ask in (
        lambda: service.transaction_timestamps(bytes(32)),
        lambda: service.timestamps(3, is_joined=True),
    ):
        with pytest.raises(Unavailable) as refused:
            ask()
        assert str(refused.value) == (
            "the timestamped checkpoint has 20 entries, and this node has caught up with 7 of them"
        )
    kept = json.loads(service.timestamps(3, is_joined=False) or b"")
    assert (kept["size"], "path" in kept) == (20, False)


async def test_a_stamped_checkpoint_is_joined_to_the_size_that_was_asked_for(
    tmp_path: Path,
) -> None:
    shelf = TimestampShelf(DiskDirectory(tmp_path))
    shelf.keep(20, make_note(20), 5, [])
    hashes = leaves(20)
    store = SimpleNamespace(read_tile=lambda level, index: b"".join(hashes))
    header = SimpleNamespace(log_size=20)
    shell: Any = SimpleNamespace(
        chain=SimpleNamespace(header=header), disk=SimpleNamespace(store=store)
    )
    nobody: Any = None
    service = NodeService(shell, nobody, nobody, nobody, shelf, nobody, nobody, nobody)
    kept = json.loads(service.timestamps(20, is_joined=False) or b"")
    for size in (0, 1, 7, 16, 19, 20):
        answer = json.loads(service.timestamps(size, is_joined=True) or b"")
        path = [base64.b64decode(node) for node in answer.pop("path")]
        assert answer == kept
        assert path == prove(size, 20)
    assert service.timestamps(21, is_joined=True) is None
