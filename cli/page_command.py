"""`page`: the verification page as one file that works from a USB stick, with no network."""

from __future__ import annotations

import argparse
from typing import Final

from cli.arguments import Parser, add_command, add_output_option, write_output
from cli.failure import OK

HELP: Final = (
    """\
Write the verification page: one HTML file that verifies evidence in a browser, with no network and
nothing to install. The same bytes as every node serves at /verify.

example:
  evidence-ledger page -o verify.html
      then open verify.html in a browser, enter the genesis hash, drop an evidence file
""",
    """\
生成离线核验网页：一个 HTML 文件，在浏览器中核验存证文件，不联网，无需安装。与每
个节点在 /verify 提供的逐字节相同。

示例：
  evidence-ledger page -o verify.html
      然后用浏览器打开 verify.html，填写创世哈希，拖入存证文件
""",
)


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(
        commands, "page", ("write the verification page", "生成离线核验网页"), HELP
    )
    add_output_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the page."""
    from page.build import build_page

    write_output(arguments.output, build_page(), "the verification page", "离线核验网页")
    return OK
