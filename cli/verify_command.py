"""`verify`: the offline verifier under the program's own name. See `verifier.main`.

`cli.main` hands it over before any parser is built; what stands here is its line in the help.
"""

from __future__ import annotations

import argparse
from typing import Final

from cli.arguments import Parser, add_command

SUMMARY: Final = ("verify an evidence file, offline", "离线核验存证文件")


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command's line."""
    add_command(commands, "verify", SUMMARY, SUMMARY)
