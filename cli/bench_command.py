"""`bench`: the benchmarks of a checkout. The package `bench` stands above this one and is found by
name, because an installed node does not need it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from collections.abc import Sequence
from typing import Final

from cli.arguments import Parser, add_command
from cli.failure import unusable

SUMMARY: Final = ("measure throughput and latency", "测量吞吐量与延迟")


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command's line; `cli.main` hands its arguments over as they are."""
    add_command(commands, "bench", SUMMARY, SUMMARY)


def run_bench(argv: Sequence[str]) -> int:
    """Run `bench.main`."""
    if importlib.util.find_spec("bench") is None or importlib.util.find_spec("bench.main") is None:
        raise unusable(
            "The benchmarks are not installed here; run this in a checkout.",
            "此处未安装基准测试；请在源码目录中运行。",
        )
    return int(importlib.import_module("bench.main").main(list(argv)))
