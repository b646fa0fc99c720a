"""What the API is told when the node beneath it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from api.ports import Unavailable
from node.service import NodeService
from storage.files import StorageFailure


async def test_a_full_disk_is_unavailable_and_no_mistake() -> None:
    """Found on a full disk: it was answered 500 `internal`, with a traceback in the log."""

    async def submit(_: Any) -> Any:
        raise StorageFailure("spool-0: write failed: No space left on device")

    nobody: Any = None
    submissions: Any = SimpleNamespace(submit=submit)
    service = NodeService(nobody, submissions, nobody, nobody, nobody, nobody)
    with pytest.raises(Unavailable) as refused:
        await service.submit([b"envelope"], "somebody")
    assert str(refused.value) == "nothing can be written to this node's disk; it stops"
