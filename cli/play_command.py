"""`play`: whole lives of contracts on a devnet, each ending in a refund that is derived offline.

The table at the end sets what was worked by hand beside what the ledger computed and what the
offline verifier derives from the evidence file alone. Anything that goes otherwise than the life's
file says is told, and the exit status is 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.arguments import Parser, add_command
from cli.failure import FAILED, OK, unusable
from cli.refusals import in_the_way
from verifier.columns import measure, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.playing import Played

LIVES: Final = Path(__file__).parents[1] / "examples" / "lives"

HELP: Final = (
    """\
Play whole lives of contracts on a running devnet.

FILE is a life (examples/lives/README.md) or a directory of them; without one, the ten example
contracts of the pilot's ten industries. Merchant, consumer, bank, regulator, court and arbitrator
sign what is theirs; what is owed is computed on the ledger and paid; each contract's evidence file
is fetched and verified offline in a process of its own. The files stay in DIR for you to verify.

examples:
  evidence-ledger play --devnet ./net
  evidence-ledger play examples/lives/fitness.json --devnet ./net -o ./gym
  evidence-ledger verify ./gym/fitness.case.json --genesis-hash HASH --working

exit status: 0 everything came out as written by hand, 1 something did not and is named
""",
    """\
在运行中的试验网络上演示合同的一生。

FILE 是一份合同的一生（见 examples/lives/README.md），或存有若干份的目录；不给出
时，演示试点十个行业各一份示例合同。经营者、消费者、银行、监管部门、法院与仲裁机
构各签各的部分；应退金额由账本计算并支付；取得每份合同的存证文件，由单独的进程离
线核验。文件留在 DIR，供您自行核验。

示例：
  evidence-ledger play --devnet ./net
  evidence-ledger play examples/lives/fitness.json --devnet ./net -o ./gym
  evidence-ledger verify ./gym/fitness.case.json --genesis-hash HASH --working

退出码：0 结果与手算一致；1 有不一致之处，并予指明
""",
)


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(
        commands, "play", ("play whole lives of contracts", "演示合同的一生"), HELP
    )
    say = parser.say
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help=say("a life, or several", "一份合同的一生，或若干份"),
    )
    parser.add_argument(
        "--devnet",
        type=Path,
        metavar="NET",
        required=True,
        help=say("directory of a running devnet", "运行中的试验网络的目录"),
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help=say("for the files (default: inside NET)", "文件的存放目录（默认：在 NET 之内）"),
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play lives and show what came of them."""
    import time

    from cli.devnet_state import read_state
    from cli.life import read_life
    from cli.playing import Player
    from cli.progress import show_progress
    from verifier.report import Words

    lives = [read_life(path) for path in find_files(arguments.files)]
    player = Player(read_state(arguments.devnet))
    directory = arguments.output or arguments.devnet / f"lives-{player.run}"
    if directory.exists():
        raise in_the_way(directory)
    begun = time.monotonic()
    with show_progress("events 事件", sum(len(life.file.events) for life in lives)) as progress:
        played = player.play(lives, progress)
    directory.mkdir(parents=True)
    player.write_keys(directory / "keys.json")
    seconds = f"{time.monotonic() - begun:.1f}"
    events = sum(one.count for one in played)
    nodes = len(player.state.nodes) - len(player.left_out)
    print(
        f"{events} events through {nodes} nodes in {seconds} s. "
        f"经 {nodes} 个节点提交 {events} 个事件，用时 {seconds} 秒。"
    )
    for url in player.left_out:
        print(f"{url} does not answer and was left out. 该节点没有应答，已跳过。")
    with show_progress("verified offline 离线核验", len(played)) as progress:
        player.fetch(played, directory, progress)
    print()
    for line in format_table(played):
        print(line)
    print()
    print(f"Files 文件: {directory}")
    print(
        "Every step of one, offline 逐步复算: evidence-ledger verify "
        f"{directory}/{lives[0].name}.case.json --genesis-hash {player.state.genesis_hash} "
        "--working"
    )
    troubles = [one for one in played if not one.is_as_written]
    for one in troubles:
        trouble = one.trouble or Words(
            "手算、链上与离线核验的结果不一致", "hand, chain and verifier disagree"
        )
        print(f"{one.life.name}: {trouble.en}.\n{one.life.name}：{trouble.zh}。")
    return FAILED if troubles else OK


def find_files(given: Sequence[Path]) -> list[Path]:
    """Return the files of lives that are meant."""
    found: list[Path] = []
    for path in given or [LIVES]:
        if path.is_dir():
            found += sorted(path.glob("*.json"))
        else:
            found.append(path)
    if not found:
        places = [str(path) for path in given or [LIVES]]
        raise unusable(
            f"There is no life in {', '.join(places)}.",
            f"{'、'.join(places)} 中没有合同的一生文件。",
        )
    names = [path.name for path in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise unusable(
            f"Two lives are called {twice}; their files would be one.",
            f"有两个文件都名为 {twice}，输出文件会相互覆盖。",
        )
    return found


HEADS: Final = ("", "by hand 手算", "on the chain 链上", "offline 离线", "articles 条文")


def format_table(played: Sequence[Played]) -> list[str]:
    """Return the lines of the table, in yuan; the lowest and the highest where they differ."""
    rows = [HEADS]
    for one in played:
        owed = one.life.owed
        rows.append(
            (
                one.life.name,
                _show((owed.low, owed.high, owed.results)),
                _show(one.on_chain),
                _show(one.offline),
                ", ".join(one.life.file.by_hand.articles),
            )
        )
    widths = [max(map(measure, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(pad, row, widths)).rstrip() for row in rows]


def _show(owed: tuple[int, int, int] | None) -> str:
    from law.amounts import show_yuan

    if owed is None:
        return "–"
    low, high, _ = owed
    return show_yuan(low) if low == high else f"{show_yuan(low)} to {show_yuan(high)}"
