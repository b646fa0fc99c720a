"""`certificate make`, `certificate extract`, `certificate check`: evidence as a PDF, and back.

A certificate is made only of what the verifier judged, against a genesis hash that the user gives.
To check one is to take the evidence out, verify it, make the certificate again and compare bytes:
then the pages say what the evidence proves, and nobody has changed a word of them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.arguments import Parser, add_command, add_output_option, read_input, write_output
from cli.failure import FAILED, OK, UNUSABLE, Failure, unusable
from cli.refusals import not_a_hash

if TYPE_CHECKING:
    from verifier.report import Report

MAKE_HELP: Final = (
    """\
Make a certificate (PDF/A-3, Chinese and English) of an evidence file.

The file is verified first, against the genesis hash that you trust. Of an inconsistent file the
PDF says “不一致”, the step and the reason, and certifies nothing; the exit status is then 1. The
evidence is attached inside the PDF, so that the one document can be filed and verified again.

examples:
  evidence-ledger certificate make card.evidence.json --genesis-hash 5f0c…e1 -o card.pdf
  evidence-ledger certificate make card.evidence.json --genesis-hash 5f0c…e1 -o card.pdf --lang zh

The same file, language and version of this software give the same bytes. It needs the packages of
the extra `certificate`: pip install 'evidence-ledger[certificate]'.
""",
    """\
生成存证文件的核验证书（PDF/A-3，中文与英文）。

先以您所信任的创世哈希核验该文件。文件不一致时，PDF 载明“不一致”、所在步骤与原
因，不作任何证明，退出码为 1。存证文件附于 PDF 之内，一份文件既可入卷，也可复
核。

示例：
  evidence-ledger certificate make card.evidence.json \\
      --genesis-hash 5f0c…e1 -o card.pdf
  evidence-ledger certificate make card.evidence.json \\
      --genesis-hash 5f0c…e1 -o card.pdf --lang zh

文件、语言与软件版本相同，生成的证书逐字节相同。须安装附加软件包：pip install
'evidence-ledger[certificate]'。
""",
)

EXTRACT_HELP: Final = (
    """\
Take the evidence file out of a certificate.

example:
  evidence-ledger certificate extract card.pdf -o card.evidence.json
  evidence-ledger verify card.evidence.json --genesis-hash 5f0c…e1
""",
    """\
从证书中取出存证文件。

示例：
  evidence-ledger certificate extract card.pdf -o card.evidence.json
  evidence-ledger verify card.evidence.json --genesis-hash 5f0c…e1
""",
)

CHECK_HELP: Final = (
    """\
Check a certificate, its pages and its evidence.

The evidence inside is verified against the genesis hash that you trust, the certificate is made
again from it, and the two are compared byte for byte. `verify` looks at the evidence alone.

example:
  evidence-ledger certificate check card.pdf --genesis-hash 5f0c…e1

exit status: 0 consistent, and the pages say what the evidence proves; 1 inconsistent, or the pages
are not what this version makes of the evidence; 2 no certificate.
""",
    """\
核验证书的纸面与所附的存证文件。

以您所信任的创世哈希核验所附的存证文件，据以重新生成证书，再将两份证书逐字节比
较。verify 命令只看存证文件。

示例：
  evidence-ledger certificate check card.pdf --genesis-hash 5f0c…e1

退出码：0 一致，且纸面所载即证据所证明的；1 不一致，或纸面不是本版本据此证据生成
的；2 不是证书。
""",
)


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the commands."""
    text = (
        "Evidence as a PDF that a court can file, and the evidence out of it again.",
        "将存证文件制成可以入卷的 PDF 证书，或从证书中取出存证文件。",
    )
    parser = add_command(
        commands, "certificate", ("evidence as a PDF", "存证文件的 PDF 证书"), text
    )
    inner = parser.add_subparsers(metavar="command", required=True)
    make = add_command(
        inner, "make", ("make a certificate of an evidence file", "生成存证文件的证书"), MAKE_HELP
    )
    say = make.say
    make.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help=say("evidence file of any kind", "存证文件，何种均可"),
    )
    _add_genesis_hash(make)
    make.add_argument(
        "--lang",
        choices=("zh", "en", "both"),
        default="both",
        help=say(
            "language; both: the Chinese pages, then the English (default)",
            "语言；both：先中文页，后英文页（默认）",
        ),
    )
    make.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help=say("the PDF; - for standard output", "写出的 PDF；写 - 则为标准输出"),
    )
    make.set_defaults(run=run_make)
    extract = add_command(
        inner,
        "extract",
        ("take the evidence out of a certificate", "从证书中取出存证文件"),
        EXTRACT_HELP,
    )
    extract.add_argument("file", type=Path, metavar="PDF", help=say("a certificate", "证书"))
    add_output_option(extract)
    extract.set_defaults(run=run_extract)
    check = add_command(
        inner,
        "check",
        ("verify a certificate, pages and evidence", "核验证书的纸面与附件"),
        CHECK_HELP,
    )
    check.add_argument("file", type=Path, metavar="PDF", help=say("a certificate", "证书"))
    _add_genesis_hash(check)
    check.set_defaults(run=run_check)


def _add_genesis_hash(parser: Parser) -> None:
    say = parser.say
    parser.add_argument(
        "--genesis-hash",
        metavar="HEX",
        required=True,
        help=say(
            "the genesis hash that you trust, from a source independent of the file",
            "您所信任的创世哈希，须取自独立于文件提供者的来源",
        ),
    )


def run_make(arguments: argparse.Namespace) -> int:
    """Make a certificate."""
    from ledger.evidence import FILE_BYTES_MAX
    from verifier.report import describe_failure

    raw = read_input(arguments.file, FILE_BYTES_MAX)
    chain_id = _read_hash(arguments.genesis_hash)
    report = _verify(raw, chain_id)
    made = _make(raw, report, chain_id, arguments.lang)
    write_output(arguments.output, made, "the certificate", "证书")
    failed = report.failed
    if failed is None:
        return OK
    why = describe_failure(failed)
    raise Failure(
        f"The evidence is inconsistent, and the document says so: {why.en}",
        f"证据不一致，证书已如实载明：{why.zh}",
    )


def run_extract(arguments: argparse.Namespace) -> int:
    """Take the evidence out."""
    from certificate.attachment import PDF_BYTES_MAX

    pdf = read_input(arguments.file, PDF_BYTES_MAX)
    write_output(arguments.output, _extract(arguments.file, pdf), "the evidence", "存证文件")
    return OK


def run_check(arguments: argparse.Namespace) -> int:
    """Verify the evidence and compare the pages."""
    from certificate.attachment import PDF_BYTES_MAX
    from certificate.render import CHOICES
    from verifier.main import write_whole
    from verifier.report import format_text

    chain_id = _read_hash(arguments.genesis_hash)
    pdf = read_input(arguments.file, PDF_BYTES_MAX)
    evidence = _extract(arguments.file, pdf)
    report = _verify(evidence, chain_id)
    for language in CHOICES:
        if _make(evidence, report, chain_id, language) == pdf:
            break
    else:
        raise Failure(
            f"The pages are not what {_software()} makes of the evidence inside and this genesis "
            "hash: they were made with another hash or version, or somebody changed them. Do not "
            "rely on them; `evidence-ledger verify` judges the evidence alone.",
            f"纸面内容不是 {_software()} 由所附证据与此创世哈希制成的：所用哈希或版本不同，"
            "或已被改动。不可采信纸面；可用 evidence-ledger verify 单独核验证据。",
        )
    lines = [
        *format_text(report, language),
        "证书纸面与附件逐字节相符。The pages are, byte for byte, what the evidence gives.",
    ]
    if not write_whole(lines, sys.stdout):
        return UNUSABLE
    return OK if report.is_consistent else FAILED


def unpack(raw: bytes) -> bytes:
    """Return the evidence in a file: of a PDF its attachment, else the file itself."""
    from certificate.apart import extract_apart
    from certificate.attachment import NoEvidence, is_pdf

    if not is_pdf(raw):
        return raw
    try:
        return extract_apart(raw)
    except NoEvidence as error:
        raise unusable(
            f"No evidence was taken out of the PDF: {error}.",
            f"未能从 PDF 中取出存证文件：{error.detail_zh}。",
        ) from None


def _extract(path: Path, raw: bytes) -> bytes:
    from certificate.attachment import is_pdf

    if not is_pdf(raw):
        raise unusable(f"{path} is not a PDF.", f"{path} 不是 PDF 文件。")
    return unpack(raw)


def _verify(raw: bytes, chain_id: bytes) -> Report:
    from ledger.evidence import SCHEDULE_START
    from ledger.scitt import SIGN1_START
    from verifier.verify import verify_evidence

    if raw.startswith(SCHEDULE_START):
        raise unusable(
            "It is a merchant's schedule of claims, of which no certificate is made; "
            "`evidence-ledger verify` examines it and prints its table.",
            "债权表不制作证书，请以 evidence-ledger verify 核验。",
        )
    if raw.startswith(SIGN1_START):
        raise unusable(
            "It is a SCITT statement, and a certificate is made of an evidence file. Take it out: "
            "evidence-ledger statement extract FILE --part evidence -o card.evidence.json",
            "这是 SCITT 声明，而证书由存证文件制作。请先取出：evidence-ledger statement extract "
            "FILE --part evidence -o card.evidence.json",
        )
    report = verify_evidence(raw, chain_id)
    if report.exit_status == UNUSABLE:
        said = report.steps[0].explanation
        raise unusable(
            f"It is no evidence file, and nothing can be certified of it: {said.en}",
            f"这不是存证文件，无从制作证书：{said.zh}",
        )
    return report


def _make(raw: bytes, report: Report, chain_id: bytes, language: str) -> bytes:
    from certificate.contents import find_time_s, make_certificate
    from certificate.qr import format_code
    from certificate.render import render

    certificate = make_certificate(raw, report, chain_id.hex(), _software())
    code = format_code(report.file_sha256, chain_id.hex())
    return render(certificate, raw, code, find_time_s(report), language)


def _software() -> str:
    from importlib.metadata import version

    return f"evidence-ledger {version('evidence-ledger')}"


def _read_hash(given: str) -> bytes:
    from verifier.main import parse_hash

    chain_id = parse_hash(given)
    if chain_id is None:
        raise not_a_hash(given)
    return chain_id
