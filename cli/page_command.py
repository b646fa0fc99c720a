"""`page`: the verification page as one file that works from a USB stick, with no network."""

from __future__ import annotations

import argparse
from pathlib import Path

from cli.arguments import Parser, add_command, write_output
from cli.failure import OK

HELP = """\
Write the verification page: one HTML file that verifies evidence in a browser, with no network and
nothing to install. The same bytes as every node serves at /verify. 生成离线核验网页。

example:
  evidence-ledger page -o verify.html
      then open verify.html in a browser, enter the genesis hash, drop an evidence file
"""


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(commands, "page", "write the verification page: 离线核验网页", HELP)
    parser.add_argument("-o", "--output", type=Path, help="file (default: standard output)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the page."""
    from page.build import build_page

    write_output(arguments.output, build_page(), "the verification page", "离线核验网页")
    return OK
