"""How the commands take their arguments: one parser a language, and the options that several share.

Light on purpose: building the whole parser imports the standard library only, so that `--help` is
quick and `verify` runs where nothing but PyNaCl and msgpack is installed. What a command does is
imported when it runs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cli.argument_refusals import translate
from cli.failure import UNUSABLE, unusable
from cli.refusals import in_the_way, unreadable, unwritable
from verifier.help import HelpParser, Pair, choose_language

if TYPE_CHECKING:
    from cli.client import Client

Run = Callable[[argparse.Namespace], int]
Commands = "argparse._SubParsersAction[Parser]"

INPUT_BYTES_MAX = 16 * 1024 * 1024
"""Far more than a genesis document, terms, an envelope or a node's answer to one has."""

TOKEN_VARIABLE = "EVIDENCE_LEDGER_TOKEN"  # noqa: S105 - a variable's name


class Parser(HelpParser):
    """Says what is wrong as a sentence in each language, and where to read more."""

    def error(self, message: str) -> NoReturn:
        """End with the sentences and status 2."""
        english, chinese = translate(message)
        self.exit(
            UNUSABLE,
            f"{english[:1].upper()}{english[1:]}. See {self.prog} --help.\n"
            f"{chinese}。用法见 {self.prog} --help。\n",
        )


class ChineseParser(Parser):
    """The same, with its help in Chinese."""

    language = "zh"


def choose_parser(argv: Sequence[str]) -> type[Parser]:
    """Return the parser of the language in which whoever calls wants help."""
    return ChineseParser if choose_language(argv, os.environ) == "zh" else Parser


def add_command(
    commands: argparse._SubParsersAction[Parser], name: str, summary: Pair, text: Pair
) -> Parser:
    """Add a command with its one-line summary and its help's text, examples included."""
    say = commands._parser_class.say
    return commands.add_parser(name, help=say(*summary), description=say(*text))


def add_output_option(parser: Parser) -> None:
    """Add where what a command makes is written."""
    text = parser.say("file (default: standard output)", "写入的文件（默认：标准输出）")
    parser.add_argument("-o", "--output", type=Path, help=text)


def add_node_options(parser: Parser) -> None:
    """Add the options that say which nodes to talk to, and as whom."""
    say = parser.say
    group = parser.add_argument_group(say("which network", "连接哪个网络"))
    group.add_argument(
        "--devnet",
        type=Path,
        metavar="DIR",
        help=say(
            "a devnet's directory: addresses and tokens", "试验网络的目录，含各节点地址与访问令牌"
        ),
    )
    group.add_argument(
        "--api",
        action="append",
        default=[],
        metavar="URL",
        help=say(
            "a node's API, such as https://node.example:8443; may be repeated",
            "节点的接口网址，例如 https://node.example:8443；可多次给出",
        ),
    )
    group.add_argument(
        "--authority",
        type=Path,
        metavar="PEM",
        help=say(
            "certificate that signed the nodes' (default: the system's authorities)",
            "节点证书的签发者证书（默认：系统所信任的签发者）",
        ),
    )
    add_token_option(group, say)


def add_token_option(group: argparse._ArgumentGroup, say: Callable[[str, str], str]) -> None:
    """Add where the access token comes from."""
    group.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=say(
            f"file with your access token (default: the variable {TOKEN_VARIABLE})",
            f"存有访问令牌的文件（默认：环境变量 {TOKEN_VARIABLE}）",
        ),
    )


def make_clients(arguments: argparse.Namespace) -> list[Client]:
    """Return a client of every node that the options name; raise `Failure` when they name none."""
    from cli.client import Client

    if arguments.devnet is not None:
        if arguments.api:
            raise unusable(
                "Give either --devnet or --api, not both.", "--devnet 与 --api 只能给出其一。"
            )
        from cli.devnet import make_client
        from cli.devnet_state import read_state

        state = read_state(arguments.devnet)
        return [make_client(state, node.replica) for node in state.nodes]
    if not arguments.api:
        raise unusable(
            "Name a network: --devnet DIR, or --api URL with --authority PEM.",
            "请指明网络：--devnet DIR，或 --api URL 连同 --authority PEM。",
        )
    token = read_token(arguments.token_file)
    return [Client(url, authority=arguments.authority, token=token) for url in arguments.api]


def read_token(file: Path | None) -> str:
    """Return the access token: from the file, else from the environment, else none."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise unusable(
            f"The token file {file} cannot be read: {error}.", f"无法读取访问令牌文件 {file}。"
        ) from None


def add_passphrase_option(parser: Parser) -> None:
    """Add where the keystore's passphrase comes from."""
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=parser.say(
            "file with the keystore's passphrase, mode 0600 (default: the variable "
            "EVIDENCE_LEDGER_PASSPHRASE, or a question at the terminal)",
            "存有密钥库口令的文件，权限须为 0600（默认：环境变量 EVIDENCE_LEDGER_PASSPHRASE，"
            "否则在终端询问）",
        ),
    )


def read_passphrase_option(file: Path | None, *, is_new: bool) -> bytes:
    """Return the passphrase; a new one is asked for twice."""
    from node.keystore import read_passphrase

    return read_passphrase(file, environ=os.environ, prompt=passphrase_prompt(is_new=is_new))


def passphrase_prompt(*, is_new: bool) -> Callable[[], str] | None:
    """Return what asks for the passphrase at the terminal; None where there is no terminal."""
    import getpass
    import sys

    def ask() -> str:
        try:
            first = getpass.getpass("Passphrase of the keystore 密钥库口令: ")
            if is_new and getpass.getpass("The same again 再次输入: ") != first:
                raise unusable(
                    "The two passphrases differ; nothing was changed.",
                    "两次输入的口令不一致；未作任何更改。",
                )
        except EOFError:
            raise unusable(
                "No passphrase was typed; nothing was changed.", "未输入口令；未作任何更改。"
            ) from None
        return first

    return ask if sys.stdin is not None and sys.stdin.isatty() else None


def read_input(
    path: Path, bytes_max: int = INPUT_BYTES_MAX, *, is_splittable: bool = False
) -> bytes:
    """Return a file's bytes; raise `Failure` where it cannot be read, or is too large to be one.

    `is_splittable`: the same may be given as several files, which is then said.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(bytes_max + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    if len(raw) > bytes_max:
        remedy, remedy_zh = ("; split it", "，请拆分") if is_splittable else ("", "")
        raise unusable(
            f"{path} has more than {bytes_max} bytes{remedy}.",
            f"{path} 超过 {bytes_max} 字节{remedy_zh}。",
        )
    return raw


def check_output(path: Path | None) -> None:
    """Refuse, before work that cannot be done twice, a file that could not be written after it."""
    if path is not None and str(path) != "-":
        _write_new(path, b"")
        path.unlink()


def write_output(path: Path | None, content: bytes, english: str, chinese: str) -> None:
    """Write to a file that is not there yet, which is then said, or to standard output."""
    import sys

    if path is None or str(path) == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    _write_new(path, content)
    tell_written(path, len(content), english, chinese)


def tell_written(path: Path, size_bytes: int, english: str, chinese: str) -> None:
    """Say what was written, and where."""
    print(f"Wrote {english} to {path} ({size_bytes} bytes). 已写出{chinese}。")


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet; of one that cannot be written whole, nothing stays."""
    try:
        stream = path.open("xb")
    except FileExistsError:
        raise in_the_way(path) from None
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        with stream:
            stream.write(content)
    except OSError as error:
        path.unlink()
        raise unwritable(path, error) from None
