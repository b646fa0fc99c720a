"""What a PDF may cost to read: a process of its own has two bounds, far above any certificate."""

from __future__ import annotations

import os
import re
import sys
import zlib
from pathlib import Path

import pytest

from certificate.apart import CPU_S_MAX, MEMORY_BYTES_MAX, extract_apart
from certificate.attachment import NoEvidence
from tests.certificate import hostile_pdfs
from tests.certificate.hostile_pdfs import with_evidence
from tests.cli.running import Command

pytestmark = pytest.mark.xdist_group("certificate")

TOO_MUCH = (
    "reading it takes more than {} s of the processor or {} MiB of memory, which no certificate "
    "does; a certificate as it was made, or the evidence saved as a file of its own, can be read"
)
OTHER_FILTER = (
    "its evidence.json is packed otherwise than by FlateDecode once, which no certificate's is"
)


def refuse(pdf: bytes) -> str:
    """Return why no evidence is taken out."""
    with pytest.raises(NoEvidence) as refused:
        extract_apart(pdf)
    assert re.search(r"[\u4e00-\u9fff]", refused.value.detail_zh)
    return str(refused.value)


@pytest.mark.parametrize(
    "make",
    [
        hostile_pdfs.overlapping_objects,
        hostile_pdfs.predicted_rows,
        hostile_pdfs.table_streams,
    ],
)
def test_whatever_keeps_a_reader_busy_is_refused(
    make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each took minutes, or twenty seconds, in a PDF of eight megabytes."""
    monkeypatch.setattr("certificate.apart.CPU_S_MAX", 1)
    assert refuse(make(8_000_000)) == TOO_MUCH.format(1, 2048)  # type: ignore[operator]


def test_whatever_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certificate.apart.MEMORY_BYTES_MAX", 400 * 1024 * 1024)
    fits, too_large = [with_evidence(zlib.compress(bytes(size))) for size in (1_000, 250_000_000)]
    assert extract_apart(fits) == bytes(1_000)
    assert refuse(too_large) == TOO_MUCH.format(CPU_S_MAX, 400)


def test_a_reader_that_fails_is_not_called_a_large_pdf(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    assert refuse(with_evidence()) == "the process that reads it ended with status 1"


def test_the_command_refuses_in_both_languages(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certificate.apart.CPU_S_MAX", 1)
    path = tmp_path / "hostile.pdf"
    path.write_bytes(hostile_pdfs.overlapping_objects(4_000_000))
    command = Command(capsys)
    for words in (
        ["certificate", "extract", path, "-o", tmp_path / "out"],
        ["certificate", "check", path, "--genesis-hash", "00" * 32],
        ["verify", path, "--genesis-hash", "00" * 32],
    ):
        assert command.run(*words) == 2
        assert command.refusal == (
            f"No evidence was taken out of the PDF: {TOO_MUCH.format(1, 2048)}."
        )
        assert command.err.splitlines()[1] == (
            "未能从 PDF 中取出存证文件：读取它所需超过 1 秒处理器时间或 2048 MiB 内存，"
            "任何证书都不需要这么多；请提供原样的证书，或另存为单独文件的存证文件。"
        )
        assert not (tmp_path / "out").exists()


def test_without_the_library_its_package_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(with_evidence())
    monkeypatch.setitem(sys.modules, "pypdf", None)
    command = Command(capsys)
    assert command.run("certificate", "extract", path, "-o", tmp_path / "out") == 1
    assert command.refusal == (
        "The package pypdf is not installed; certificates in PDF need the packages of the extra: "
        "pip install 'evidence-ledger[certificate]'."
    )


@pytest.mark.parametrize(
    ("packed", "filters"),
    [
        (b"\x80\x0b\x60\x50" * 1000, b"/LZWDecode"),
        (b"z" * 1000 + b"~>", b"/ASCII85Decode"),
        (b"\x81\0" * 1000 + b"\x80", b"/RunLengthDecode"),
        (zlib.compress(zlib.compress(b"{}")), b"[/FlateDecode/FlateDecode]"),
    ],
)
def test_the_evidence_is_packed_in_one_way(packed: bytes, filters: bytes) -> None:
    assert refuse(with_evidence(packed, filters)) == OTHER_FILTER


@pytest.mark.parametrize("filters", [b"/FlateDecode", b"[/FlateDecode]"])
def test_that_way_has_two_spellings(filters: bytes) -> None:
    assert extract_apart(with_evidence(filters=filters)) == b"{}"


def test_an_encrypted_pdf_is_no_certificate() -> None:
    assert refuse(hostile_pdfs.encrypted()) == "it is encrypted, which a certificate never is"


def test_evidence_that_cannot_be_packed_any_smaller_is_taken_out_as_large_as_it_may_be() -> None:
    evidence = os.urandom(255 * 1024 * 1024)
    assert extract_apart(with_evidence(zlib.compress(evidence, 0))) == evidence


def test_the_bounds_are_those_that_the_document_tells() -> None:
    for language in ("", ".zh-CN"):
        told = (Path(__file__).parents[2] / f"docs/CERTIFICATE{language}.md").read_text("utf-8")
        assert re.search(rf"\b{CPU_S_MAX} ", told)
        assert f"{MEMORY_BYTES_MAX // 1024**3} GiB" in told
