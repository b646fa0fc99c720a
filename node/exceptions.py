"""What becomes of an exception that nobody caught: does this node stop, or only say it?

A task or a timer that broke off would leave the node half alive, so it stops, and its supervisor
starts it again. What went wrong with one connection, or with checks that can be asked for again,
ends there: nobody outside may stop a node by a request.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Any

from ledger.words import Words
from node.verification import VerifierUnavailable
from storage.files import Damaged, StorageFailure

log = logging.getLogger("evidence_ledger.node")

ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]


def make_exception_handler(fail: Callable[[Words], None]) -> ExceptionHandler:
    """Return what the event loop calls with such an exception; `fail` stops the node."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.error("event loop: %s 事件循环出错", context.get("message"), exc_info=error)
        if isinstance(error, Exception) and not _is_passing(error, context):
            fail(describe_failure(error))

    return handle


def describe_failure(error: Exception) -> Words:
    """Return in words what kept a node from going on: its disk, what lies there, or a mistake."""
    match error:
        case StorageFailure():
            return Words(f"磁盘出错：{error.detail_zh}", f"the disk failed: {error}")
        case Damaged():
            return Words(
                f"所存数据已损坏：{error.detail_zh}", f"what is stored here is damaged: {error}"
            )
        case _:
            said = f"{type(error).__name__}: {error}"
            return Words(f"本程序自身的错误。原文：{said}", f"a mistake of this program: {said}")


def _is_passing(error: Exception, context: dict[str, Any]) -> bool:
    if isinstance(error, OSError | VerifierUnavailable) or "protocol" in context:
        return True
    frames = traceback.walk_tb(error.__traceback__)
    return any(str(frame.f_globals.get("__name__")).startswith("uvicorn.") for frame, _ in frames)
