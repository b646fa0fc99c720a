"""The verifier's command line: a file and a trusted hash in, sentences and an exit status out.

No network, no clock, no configuration. The genesis hash is never taken from the file: whoever made
the file could have made a whole chain. When it is not given, the file's own is shown as what to
compare with a trusted source, and nothing is verified.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NoReturn, TextIO

from ledger.evidence import FILE_BYTES_MAX, SCHEDULE_START
from ledger.refusal import Rejected
from ledger.system_words import explain_system
from ledger.tlog_proof import FIRST_LINE
from verifier.evidence_file import read_evidence, read_schedule_head
from verifier.help import HelpParser, Language, choose_language
from verifier.report import (
    Report,
    format_findings,
    format_json,
    format_schedule,
    format_text,
    format_working,
    printable,
)
from verifier.standard_streams import prepare_standard_streams
from verifier.trust_root import compute_chain_id
from verifier.verify import verify_bare_proof, verify_evidence, verify_schedule

CONSISTENT: Final = 0
INCONSISTENT: Final = 1
UNUSABLE: Final = 2

NO_MEMORY: Final = (
    "this machine has not the memory to verify it; nothing was verified. "
    "本机内存不足，未作任何核验。"
)
NOT_WRITTEN: Final = (
    "the report could not be written whole; take no conclusion from it. "
    "报告未能完整写出，不可据以得出结论。"
)
HASH_HEX_CHARS: Final = 64
PDF_MAGIC: Final = b"%PDF-"

HELP_HEAD: Final = (
    "Verify evidence of the ledger, offline: no network, no account, no trust in any node.",
    "离线核验账本证据：不联网、不需账号、不必信任任何节点。",
)

HELP_TAIL: Final = (
    """\
examples:
  %(prog)s card-8c1.evidence.json --genesis-hash 5f0c…e1
      every step with its result, in Chinese and English
  %(prog)s card-8c1.evidence.json --genesis-hash 5f0c…e1 --lang zh
  %(prog)s card-8c1.evidence.json --genesis-hash 5f0c…e1 --json
      the same for programs
  %(prog)s gym.case.json --genesis-hash 5f0c…e1 --working
      with every step by which what is owed was derived
  %(prog)s m-yoga.schedule.jsonl --genesis-hash 5f0c…e1
      every contract of a merchant, that none is left out, and a table of them
  %(prog)s --entry 17.entry --proof 17.tlog-proof \\
      --genesis genesis.json --genesis-hash 5f0c…e1
      an entry and its C2SP tlog-proof, without the records of its signers

The genesis hash (the chain id, 64 hex digits) is what you trust. Take it from a source that is
independent of whoever gave you the file: a court's or an authority's notice, or several
institutions' own websites.

exit status:
  0  consistent    every step that applies to the file passed
  1  inconsistent  a step failed; it is named, with the reason
  2  unusable      not an evidence file, no genesis hash given, or the report not written
""",
    """\
示例：
  %(prog)s card-8c1.evidence.json --genesis-hash 5f0c…e1
      列出每一步及其结果，中英文对照
  %(prog)s card-8c1.evidence.json --genesis-hash 5f0c…e1 --lang zh
      只用中文
  %(prog)s card-8c1.evidence.json --genesis-hash 5f0c…e1 --json
      供程序读取
  %(prog)s gym.case.json --genesis-hash 5f0c…e1 --working
      并列出应退金额的每一步推算
  %(prog)s m-yoga.schedule.jsonl --genesis-hash 5f0c…e1
      经营者的全部合同，证明没有遗漏，并列成表
  %(prog)s --entry 17.entry --proof 17.tlog-proof \\
      --genesis genesis.json --genesis-hash 5f0c…e1
      一个条目及其 C2SP tlog-proof，不含签名者的登记记录

您所信任的是创世哈希（即链标识，64 位十六进制）。须取自独立于文件提供者的来源：
法院或主管机关的公告，或多家机构各自的网站。

退出码：
  0  一致      适用于此文件的各步全部通过
  1  不一致    有一步失败；指明该步与原因
  2  无法核验  不是存证文件，未给出创世哈希，或报告未能完整写出
""",
)


class _Unusable(Exception):
    """The input cannot be verified at all; its text says why."""


class _Parser(HelpParser):
    def error(self, message: str) -> NoReturn:
        raise _Unusable(f"{message}; see {self.prog} --help. 命令行参数有误，用法见 --help。")


class _ChineseParser(_Parser):
    language = "zh"


def make_parser(prog: str, language: Language = "en") -> HelpParser:
    """Return the parser of the verifier's arguments, with its help in one language."""
    program = _ChineseParser if language == "zh" else _Parser
    say = program.say
    parser = program(prog=prog, description=say(*HELP_HEAD), epilog=say(*HELP_TAIL))
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help=say("evidence file, of any kind", "存证文件，何种均可"),
    )
    parser.add_argument(
        "--genesis-hash",
        metavar="HEX",
        help=say("the genesis hash that you trust; required", "您所信任的创世哈希；必须给出"),
    )
    parser.add_argument(
        "--lang",
        choices=("zh", "en", "both"),
        default="both",
        help=say("language of the report (default: both)", "报告的语言（默认 both：中英文）"),
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help=say("print the report as JSON", "以 JSON 输出报告"),
    )
    parser.add_argument(
        "--working",
        action="store_true",
        help=say(
            "after the report, show how what is owed was derived: article, formula, entries",
            "报告之后列出应退金额如何得出：条文、算式、所引条目",
        ),
    )
    bare = parser.add_argument_group(say("instead of FILE", "不给出 FILE 时"))
    bare.add_argument(
        "--entry",
        metavar="FILE",
        help=say("an entry's bytes (leaf data)", "条目的原始字节（叶数据）"),
    )
    bare.add_argument(
        "--proof", metavar="FILE", help=say("its C2SP tlog-proof", "该条目的 C2SP tlog-proof")
    )
    bare.add_argument("--genesis", metavar="FILE", help=say("the genesis document", "创世文件"))
    return parser


def main(
    argv: Sequence[str],
    prog: str = "python -m verifier",
    out: TextIO | None = None,
    unpack: Callable[[bytes], bytes] | None = None,
) -> int:
    """Verify what `argv` names and print the report; return the exit status.

    `unpack` takes the evidence out of a file that holds it, as a certificate does; the verifier by
    itself reads evidence files only.
    """
    prepare_standard_streams()
    stream = out or sys.stdout
    arguments = argparse.Namespace(file=None, entry=None)
    try:
        arguments = make_parser(prog, choose_language(argv, os.environ)).parse_args(argv)
        report = _verify(arguments, unpack)
    except _Unusable as error:
        write_whole([printable(str(error))], stream)
        return UNUSABLE
    except MemoryError:
        write_whole([f"{printable(str(arguments.file or arguments.entry))}: {NO_MEMORY}"], stream)
        return UNUSABLE
    except SystemExit:  # argparse has printed its help
        return CONSISTENT
    return (
        report.exit_status if write_whole(_lines(report, arguments, stream), stream) else UNUSABLE
    )


def _lines(report: Report, arguments: argparse.Namespace, stream: TextIO) -> Iterator[str]:
    if arguments.json:
        yield format_json(report, getattr(stream, "encoding", None) or "utf-8")
        return
    yield from format_text(report, arguments.lang)
    yield from format_schedule(report, arguments.lang)
    yield from format_findings(report, arguments.lang)
    if arguments.working:
        yield from format_working(report, arguments.lang)


def write_whole(lines: Iterable[str], stream: TextIO) -> bool:
    """Write a report's lines; False where not all could be written, as on a full disk.

    A report of which somebody has a part must not end with a status that says what is in the rest.
    """
    try:
        stream.writelines(f"{line}\n" for line in lines)
        stream.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # its reader has left and wants no more
            _say_beside(f"{NOT_WRITTEN} ({error.strerror})")
        _drop_what_is_buffered(stream)
        return False
    return True


def _say_beside(sentence: str) -> None:
    """Write to standard error; where nobody can be told, the status stays what it is."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{sentence}\n")


def _drop_what_is_buffered(stream: TextIO) -> None:
    """Let the interpreter end in silence: it writes once more what could not be written."""
    with open(os.devnull, "wb") as nowhere, contextlib.suppress(OSError):
        os.dup2(nowhere.fileno(), stream.fileno())


def _verify(arguments: argparse.Namespace, unpack: Callable[[bytes], bytes] | None) -> Report:
    bare = (arguments.genesis, arguments.entry, arguments.proof)
    if arguments.file is None and all(bare):
        genesis, entry, proof = (_read_file(path) for path in bare)
        chain_id = _trusted_hash(arguments.genesis_hash, genesis)
        return verify_bare_proof(genesis, entry, proof, chain_id)
    if arguments.file is None or any(bare):
        raise _Unusable(
            "give either FILE, or --entry, --proof and --genesis; see --help. "
            "请给出一个文件，或同时给出 --entry、--proof 与 --genesis。"
        )
    schedule = _verify_schedule(arguments)
    if schedule is not None:
        return schedule
    raw = _read_file(arguments.file)
    if raw.startswith(PDF_MAGIC):
        if unpack is None:
            raise _Unusable(
                f"{arguments.file} is a PDF. Take the evidence out of it first: save its "
                "attachment, or run evidence-ledger certificate extract. "
                "该文件是 PDF，请先取出所附的存证文件。"
            )
        raw = unpack(raw)
        _say_beside(
            "Verified is the evidence attached to the PDF; its pages are not looked at "
            "(evidence-ledger certificate check does). 核验的是附件，不是纸面。"
        )
    if raw.startswith(FIRST_LINE.encode()):
        raise _Unusable(
            f"{arguments.file} is a tlog-proof, which does not hold its entry: give --entry, "
            "--proof and --genesis; see --help. "
            "该文件是 tlog-proof，不含条目本身，请给出 --entry、--proof 与 --genesis。"
        )
    return verify_evidence(raw, _trusted_hash(arguments.genesis_hash, raw))


def _verify_schedule(arguments: argparse.Namespace) -> Report | None:
    """Verify a schedule line by line, so that it may be of any length; None for another file."""
    try:
        with Path(arguments.file).open("rb") as file:
            if file.read(len(SCHEDULE_START)) != SCHEDULE_START:
                return None
            file.seek(0)
            head = file.readline(FILE_BYTES_MAX + 1)
            chain_id = _trusted_hash(arguments.genesis_hash, head)
            file.seek(0)
            return verify_schedule(_read_lines(file), chain_id)
    except (OSError, ValueError) as error:
        raise _unreadable(arguments.file, error) from None


def _read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines with their line feeds; one that is too long comes in pieces, and is refused."""
    while line := file.readline(FILE_BYTES_MAX + 1):
        yield line


def _trusted_hash(given: str | None, raw: bytes) -> bytes:
    """Return the hash that the person trusts; without one, tell what to compare."""
    if given is None:
        try:
            is_schedule = raw.startswith(SCHEDULE_START)
            read = read_schedule_head(raw, iter(())) if is_schedule else read_evidence(raw)
            own = compute_chain_id(read.genesis).hex()
        except Rejected:
            own = compute_chain_id(raw).hex()
        raise _Unusable(
            f"--genesis-hash is required: the hash that you trust, from an independent source. "
            f"The file's own genesis document has {own}; that alone proves nothing. "
            f"须以 --genesis-hash 给出可信来源的创世哈希；文件自带者为 {own}，"
            "仅凭它不能证明任何事。"
        )
    chain_id = parse_hash(given)
    if chain_id is None:
        raise _Unusable(
            f"--genesis-hash {given!r} is not {HASH_HEX_CHARS} hex digits. "
            f"创世哈希须为 {HASH_HEX_CHARS} 位十六进制。"
        )
    return chain_id


def parse_hash(given: str) -> bytes | None:
    """Return the hash that a person wrote as 64 hex digits; None if it is not that."""
    try:
        found = bytes.fromhex(given) if len(given) == HASH_HEX_CHARS else b""
    except ValueError:
        return None
    return found if len(found) * 2 == HASH_HEX_CHARS else None


def _read_file(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if len(raw) > FILE_BYTES_MAX:
        raise _Unusable(
            f"{path} has more than {FILE_BYTES_MAX} bytes. 文件超过 {FILE_BYTES_MAX} 字节。"
        )
    return raw


def _unreadable(path: str, error: OSError | ValueError) -> _Unusable:
    if not isinstance(error, OSError):
        return _Unusable(f"{path} cannot be read: {error}. {path} 无法读取。原文：{error}")
    why = error.strerror or error
    return _Unusable(f"{path} cannot be read: {why}. {path} 无法读取：{explain_system(error)}。")
