"""What a person is refused, said in Chinese and English: by argparse, by deeper parts, by nodes."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from api.problems import REASON_PROBLEMS
from cli.argument_refusals import OTHERWISE, translate, unfit
from cli.arguments import Parser, read_input
from cli.client import ApiError, Unreachable, ask_first
from cli.failure import Failure
from cli.passed_on import pass_on
from ledger.refusal import Reason, Rejected
from node.config import parse_config
from node.config_section import ConfigError
from node.endpoint import BadEndpoint
from node.keystore import DamagedKeystore, KeystoreError, PassphraseError, WrongPassphrase
from node.tls import TlsIdentityError
from storage.archive import NotMounted
from storage.backup import BackupRefused
from storage.files import Damaged, InUse, StorageFailure

# Arguments


def make_parser() -> Parser:
    """A parser with an argument of each sort that argparse knows how to refuse."""

    def small(text: str) -> int:
        raise unfit(f"{text!r} is not small", f"{text!r} 不够小")

    parser = Parser(prog="try")
    parser.add_argument("--count", type=int)
    parser.add_argument("--pair", nargs=2)
    parser.add_argument("--many", nargs="+")
    parser.add_argument("--small", type=small)
    parser.add_argument("--flag", action="store_true")
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--one", action="store_true")
    either.add_argument("--other", action="store_true")
    parser.add_argument("kind", choices=("a", "b"))
    return parser


@pytest.mark.parametrize(
    ("given", "english", "chinese"),
    [
        (
            "--one",
            "The following arguments are required: kind",
            "缺少必需的参数：kind",
        ),
        ("--one a b", "Unrecognized arguments: b", "无法识别的参数：b"),
        (
            "a",
            "One of the arguments --one --other is required",
            "以下参数须给出其中一个：--one --other",
        ),
        ("--one c", "Argument kind: invalid choice: 'c' ", "参数 kind 不能取 'c'；可取："),
        (
            "--one a --count x",
            "Argument --count: invalid int value: 'x'",
            "参数 --count 的值 'x' 不符合要求",
        ),
        (
            "--one a --count",
            "Argument --count: expected one argument",
            "参数 --count 须给出一个值",
        ),
        ("--one a --pair x", "Argument --pair: expected 2 arguments", "参数 --pair 的值的个数不符"),
        (
            "--one a --many",
            "Argument --many: expected at least one argument",
            "参数 --many 的值的个数不符",
        ),
        (
            "--one --other a",
            "Argument --other: not allowed with argument --one",
            "参数 --other 与 --one 不能同时使用",
        ),
        (
            "--one a --flag=x",
            "Argument --flag: ignored explicit argument 'x'",
            "参数 --flag 不带值，却给出了 'x'",
        ),
        ("--one a --small 9", "Argument --small: '9' is not small", "参数 --small：'9' 不够小"),
    ],
)
def test_what_argparse_refuses_is_said_in_both(
    capsys: pytest.CaptureFixture[str], given: str, english: str, chinese: str
) -> None:
    with pytest.raises(SystemExit) as end:
        make_parser().parse_args(given.split())
    assert end.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(english)
    assert first.endswith(". See try --help.")
    assert second.startswith(chinese)
    assert second.endswith("。用法见 try --help。")


def test_what_another_python_may_say_is_wrong_in_both_all_the_same() -> None:
    assert translate("argument --x: of a later Python") == (
        "argument --x: of a later Python",
        OTHERWISE,
    )


# Deeper parts


def parse_refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        parse_config(text)
    return refused.value


@pytest.mark.parametrize(
    ("error", "english", "chinese"),
    [
        (
            parse_refused("replica = []\na = 1"),
            "node.toml: a: no such key\nnode.toml: replica: expected an integer, found a list.",
            "配置不符合要求：node.toml：a：没有这一项\nnode.toml：replica：应为整数，而不是列表。",
        ),
        (WrongPassphrase("not this one", "打不开"), "Not this one.", "口令不符：打不开。"),
        (DamagedKeystore("bad", "校验和不符"), "Bad.", "密钥库文件已损坏或被改动：校验和不符。"),
        (PassphraseError("none", "口令为空"), "None.", "没有可用的密钥库口令：口令为空。"),
        (KeystoreError("none", "尚无密钥"), "None.", "密钥库无法使用：尚无密钥。"),
        (
            BackupRefused("b.tar has no", "链为空"),
            "b.tar has no.",
            "无法备份或使用该备份，未作任何更改：链为空。",
        ),
        (
            Damaged("a/00.segment", 7, "torn", "残缺"),
            "a/00.segment, offset 7: torn.",
            "存储的数据已损坏：a/00.segment，偏移 7：残缺。",
        ),
        (InUse("/net is in use", "/net 在用"), "/net is in use.", "目录正被占用：/net 在用。"),
        (StorageFailure("full", "磁盘已满"), "Full.", "存储读写失败：磁盘已满。"),
        (
            NotMounted("0", "a", 9),
            str(NotMounted("0", "a", 9)) + ".",
            (
                "操作未能完成：0 已移至归档，而归档未挂载在 a（该处没有本链的 ARCHIVE 文件）；"
                "本节点存有高度 9 起的区块。"
            ),
        ),
        (
            BadEndpoint("nowhere"),
            'Expected "host:port" or "[address]:port", found "nowhere".',
            '操作未能完成：应为 "主机:端口" 或 "[地址]:端口"，而不是 "nowhere"。',
        ),
        (TlsIdentityError("no key", "没有私钥"), "No key.", "操作未能完成：没有私钥。"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/net/file"),
            "/net/file: No space left on device.",
            "操作未能完成：/net/file：磁盘空间不足。",
        ),
        (
            OSError(errno.EXDEV, os.strerror(errno.EXDEV)),
            "Invalid cross-device link.",
            "操作未能完成：系统报错：Invalid cross-device link。",
        ),
        (
            Rejected(Reason.BAD_FIELD, "data: no", "数据不对"),
            "Data: no.",
            "输入被拒绝：数据不对。",
        ),
        (
            Rejected(
                Reason.MALFORMED, "genesis: not JSON: byte 0", "genesis：不是 JSON。原文：byte 0"
            ),
            "Genesis: not JSON: byte 0.",
            "输入被拒绝：genesis：不是 JSON。",
        ),
    ],
)
def test_what_a_deeper_part_refuses_is_passed_on_in_both(
    error: Exception, english: str, chinese: str
) -> None:
    failure = pass_on(error)
    assert failure is not None
    assert (failure.english, failure.chinese, failure.status) == (english, chinese, 1)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_without_a_sentence_in_chinese_has_its_name(reason: Reason) -> None:
    failure = pass_on(Rejected(reason, "the detail"))
    assert failure is not None
    assert failure.english == "The detail."
    assert failure.chinese == f"输入被拒绝：{REASON_PROBLEMS[reason][2]}。"


def test_a_mistake_of_ours_is_no_refusal() -> None:
    assert pass_on(ZeroDivisionError("x")) is None


# Nodes


@pytest.mark.parametrize(
    ("detail_zh", "chinese"),
    [
        ("合同 'a' 列出了两次", "https://n.test/v1 答复 400：合同 'a' 列出了两次。"),
        ("参数不符合要求。原文：no such a", "https://n.test/v1 答复 400：参数不符合要求。"),
        ("", "https://n.test/v1 答复 400：未说明中文原因，详见上一行。"),
    ],
)
def test_what_a_node_refuses_is_passed_on_in_both(detail_zh: str, chinese: str) -> None:
    refused = ApiError(400, "bad_parameter", "no such a", "https://n.test/v1", detail_zh)
    assert str(refused) == f"https://n.test/v1 answered 400 bad_parameter: no such a\n{chinese}"


class Down:
    """A node that does not answer."""

    def __init__(self, name: str) -> None:
        self.name = name

    def genesis(self) -> bytes:
        raise Unreachable(f"{self.name} does not answer.", f"{self.name} 没有应答。")


class Up(Down):
    """One that does."""

    def genesis(self) -> bytes:
        return self.name.encode()


@pytest.mark.parametrize(
    ("nodes", "answer"),
    [([Up("a"), Up("b")], b"a"), ([Down("a"), Up("b")], b"b")],
)
def test_the_first_node_that_answers_is_believed_to_be_there(
    nodes: list[Down], answer: bytes
) -> None:
    assert ask_first(nodes, lambda node: node.genesis()) == answer  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([Down("a"), Down("b")], "b does not answer.\nb 没有应答。"),
        ([], "No node was named.\n未指明任何节点。"),
    ],
)
def test_no_node_that_answers_is_said_in_both(nodes: list[Down], said: str) -> None:
    ask: Callable[[Down], bytes] = lambda node: node.genesis()  # noqa: E731
    with pytest.raises(Failure, match=f"^{re.escape(said)}$"):
        ask_first(nodes, ask)  # type: ignore[arg-type]


# The system


def test_a_file_that_is_not_there_is_said_in_both(tmp_path: Path) -> None:
    with pytest.raises(Failure) as refused:
        read_input(tmp_path / "gone")
    assert refused.value.chinese == f"{tmp_path}/gone 无法读取：没有这个文件或目录。"
