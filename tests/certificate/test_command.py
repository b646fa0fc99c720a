"""The commands: a certificate made, taken apart and checked, and what they say when they cannot."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    IndirectObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)

from certificate.attachment import PAGES_BYTES_MAX, NoEvidence, extract
from ledger.evidence import SCHEDULE_START
from tests.certificate.papers import evidence
from tests.cli.running import Command
from verifier.main import main as verify_alone

pytestmark = pytest.mark.xdist_group("certificate")

ROOT = Path(__file__).parents[2]

NO_EVIDENCE = (
    "It is no evidence file, and nothing can be certified of it: evidence file: format is not "
    "'evidence-ledger/evidence/v1'."
)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "card.evidence.json"
    path.write_bytes(evidence("history")[0])
    return path


@pytest.fixture(scope="module")
def genesis_hash() -> str:
    return evidence("history")[1].hex()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, genesis_hash: str) -> Iterator[Path]:
    """A certificate of the history, made by another process in another place and language."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "e.json").write_bytes(evidence("history")[0])
    path = folder / "made.pdf"
    subprocess.run(
        [
            *(sys.executable, "-m", "cli", "certificate", "make", folder / "e.json"),
            *("--genesis-hash", genesis_hash, "--lang", "zh", "-o", path),
        ],
        check=True,
        cwd=folder,
        env=os.environ
        | {"TZ": "America/Lima", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
        | {"PYTHONPATH": str(ROOT), "SOURCE_DATE_EPOCH": "1"},
    )
    return path


def test_made_extracted_verified_checked(
    command: Command, made: Path, file: Path, genesis_hash: str, tmp_path: Path
) -> None:
    here = tmp_path / "here.pdf"
    asked = (
        "certificate",
        "make",
        file,
        "--genesis-hash",
        genesis_hash,
        "--lang",
        "zh",
        "-o",
        here,
    )
    assert command.run(*asked) == 0
    assert command.out == (
        f"Wrote the certificate to {here} ({here.stat().st_size} bytes). 已写出证书。\n"
    )
    assert here.read_bytes() == made.read_bytes(), "another process made other bytes"
    assert command.run(*asked) == 2
    assert command.refusal == f"{here} exists and is not overwritten."

    out = tmp_path / "out.json"
    assert command.run("certificate", "extract", here, "-o", out) == 0
    assert out.read_bytes() == file.read_bytes()

    assert command.run("verify", here, "--genesis-hash", genesis_hash, "--lang", "en") == 0
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert f"Conclusion: consistent\nSHA-256: {digest}\n" in command.out
    assert command.err == (
        "Verified is the evidence attached to the PDF; its pages are not looked at "
        "(evidence-ledger certificate check does). 核验的是附件，不是纸面。\n"
    )

    assert command.run("certificate", "check", here, "--genesis-hash", genesis_hash) == 0
    assert "结论：一致\n" in command.out
    assert command.out.endswith(
        "证书纸面与附件逐字节相符。The pages are, byte for byte, what the evidence gives.\n"
    )


def test_pages_that_somebody_changed_are_noticed(
    command: Command, made: Path, genesis_hash: str, tmp_path: Path
) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(made.read_bytes()))
    writer.remove_links()
    altered = tmp_path / "altered.pdf"
    writer.write(altered)
    assert extract(altered.read_bytes()) == evidence("history")[0]
    assert command.run("certificate", "check", altered, "--genesis-hash", genesis_hash) == 1
    assert command.refusal == (
        "The pages are not what evidence-ledger 0.1.0 makes of the evidence inside and this "
        "genesis hash: they were made with another hash or version, or somebody changed them. Do "
        "not rely on them; `evidence-ledger verify` judges the evidence alone."
    )


def test_a_name_in_the_evidence_obeys_no_terminal(
    command: Command, file: Path, genesis_hash: str, tmp_path: Path
) -> None:
    """What a file makes up stands in the refusal, and neither moves the cursor nor turns text."""
    spoilt = tmp_path / "spoilt.json"
    stream = '"stream":"party/'
    made_up = stream + "\\nConclusion: consistent\\u001b[2J\u202e"
    spoilt.write_text(file.read_text("utf-8").replace(stream, made_up, 1), "utf-8")
    path = tmp_path / "no.pdf"
    asked = ("certificate", "make", spoilt, "--genesis-hash", genesis_hash, "-o", path)
    assert command.run(*asked) == 1
    assert "Conclusion: consistent" in command.refusal
    assert all(one.isprintable() for one in command.refusal)


def test_another_genesis_is_inconsistent_on_paper_too(
    command: Command, file: Path, tmp_path: Path
) -> None:
    other = "ab" * 32
    path = tmp_path / "no.pdf"
    assert command.run("certificate", "make", file, "--genesis-hash", other, "-o", path) == 1
    assert command.refusal == (
        "The evidence is inconsistent, and the document says so: step 2, the trusted genesis. The "
        f"genesis document in the file has hash {evidence('history')[1].hex()}; trusted is "
        f"{other}."
    )
    assert command.run("certificate", "check", path, "--genesis-hash", other) == 1
    assert "Conclusion: inconsistent (step 2 failed)" in command.out


@pytest.mark.parametrize(
    ("words", "content", "sentence"),
    [
        (
            "certificate make",
            b"{}",
            NO_EVIDENCE,
        ),
        ("certificate check", b"{}", "{path} is not a PDF."),
        ("certificate extract", b"{}", "{path} is not a PDF."),
        (
            "certificate extract",
            b"%PDF-1.7\nnothing",
            "No evidence was taken out of the PDF: the PDF cannot be read: PdfReadError.",
        ),
        (
            "certificate make",
            SCHEDULE_START,
            (
                "It is a merchant's schedule of claims, of which no certificate is made; "
                "`evidence-ledger verify` examines it and prints its table."
            ),
        ),
        ("certificate make", None, "{path} cannot be read: No such file or directory."),
    ],
)
def test_refusals_are_sentences(
    command: Command, tmp_path: Path, words: str, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "given"
    if content is not None:
        path.write_bytes(content)
    more = ["-o", tmp_path / "made"] if words != "certificate check" else []
    more += ["--genesis-hash", "00" * 32] if words != "certificate extract" else []
    assert command.run(*words.split(), path, *more) == 2
    assert command.refusal == sentence.format(path=path)
    assert not (tmp_path / "made").exists()


def test_a_check_that_is_not_written_whole_says_nothing_of_the_file(
    made: Path, genesis_hash: str
) -> None:
    words = ("certificate", "check", str(made), "--genesis-hash", genesis_hash)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words], cwd=ROOT, stdout=full, check=False
        )
    assert done.returncode == 2


def test_a_hash_that_is_none_is_refused(command: Command, file: Path, tmp_path: Path) -> None:
    asked = ("certificate", "make", file, "--genesis-hash", "5f0c", "-o", tmp_path / "x")
    assert command.run(*asked) == 2
    assert command.refusal == "--genesis-hash '5f0c' is not 64 hex digits."


def pdf_with(*names: str) -> bytes:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    for name in names:
        writer.add_attachment(name, b"{}")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("pdf", "sentence"),
    [
        (b"", "it is not a PDF"),
        (pdf_with(), "0 files can be taken out of it; a certificate has one"),
        (pdf_with("other.json"), "the file in it is not named evidence.json, and that alone"),
        (
            pdf_with("evidence.json", "evidence.json"),
            "2 files can be taken out of it; a certificate has one",
        ),
    ],
)
def test_a_pdf_without_exactly_one_evidence_file_is_none(pdf: bytes, sentence: str) -> None:
    with pytest.raises(NoEvidence) as refused:
        extract(pdf)
    assert str(refused.value) == sentence


def test_of_two_attachments_of_its_name_neither_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pdf = pdf_with("evidence.json", "evidence.json")

    def unpack(self: StreamObject) -> bytes:
        raise AssertionError("an attachment may unpack to a thousand times its size")

    monkeypatch.setattr(StreamObject, "get_data", unpack)
    with pytest.raises(NoEvidence, match="2 files can be taken out of it"):
        extract(pdf)


def refuse(writer: pypdf.PdfWriter) -> str:
    """Return why no evidence is taken out of what is written."""
    written = io.BytesIO()
    writer.write(written)
    with pytest.raises(NoEvidence) as refused:
        extract(written.getvalue())
    return str(refused.value)


def test_an_attachment_behind_a_predictor_is_not_unpacked() -> None:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    attached = writer.add_attachment("evidence.json", b"")
    stream = attached.pdf_object["/EF"]["/F"].get_object()
    stream.set_data(zlib.compress(b"\x00{\x00}"))
    stream[NameObject("/Filter")] = NameObject("/FlateDecode")
    stream[NameObject("/DecodeParms")] = DictionaryObject(
        {NameObject("/Predictor"): NumberObject(15), NameObject("/Columns"): NumberObject(1)}
    )
    assert refuse(writer) == (
        "its evidence.json is encoded with parameters, which no certificate has"
    )


def attach(writer: pypdf.PdfWriter, name: str = "evidence.json") -> IndirectObject:
    """Add a file that hangs nowhere yet; return its specification."""
    stream = StreamObject()
    stream.set_data(b'{"another":"file"}')
    named = TextStringObject(name)
    return writer._add_object(
        DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Filespec"),
                NameObject("/F"): named,
                NameObject("/UF"): named,
                NameObject("/EF"): DictionaryObject({NameObject("/F"): writer._add_object(stream)}),
            }
        )
    )


def hang_in_a_note(writer: pypdf.PdfWriter, name: str = "evidence.json") -> None:
    note = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"),
            NameObject("/Subtype"): NameObject("/FileAttachment"),
            NameObject("/Rect"): ArrayObject([NumberObject(at) for at in (0, 0, 9, 9)]),
            NameObject("/FS"): attach(writer, name),
        }
    )
    writer.pages[0][NameObject("/Annots")] = ArrayObject([writer._add_object(note)])


def hang_under_a_child_of_a_child(writer: pypdf.PdfWriter) -> None:
    """In the tree of names one level deeper than some readers go."""
    leaf = {NameObject("/Names"): ArrayObject([TextStringObject("z"), attach(writer)])}
    node = DictionaryObject(leaf)
    for _ in range(2):
        node = DictionaryObject({NameObject("/Kids"): ArrayObject([writer._add_object(node)])})
    tree = writer.root_object["/Names"]["/EmbeddedFiles"]
    tree[NameObject("/Kids")] = node["/Kids"]


def hang_beside_a_font(writer: pypdf.PdfWriter) -> None:
    fonts = writer.pages[0]["/Resources"]["/Font"]
    font = next(iter(fonts.values())).get_object()
    font[NameObject("/AF")] = ArrayObject([attach(writer)])


def hang_in_the_information(writer: pypdf.PdfWriter) -> None:
    """Where no reader looks, today."""
    writer._info[NameObject("/Later")] = attach(writer)


def be_one_for_some_readers(writer: pypdf.PdfWriter, name: str = "/F") -> None:
    """Readers choose between the two names of a file; what they save must be what is verified."""
    stream = StreamObject()
    stream.set_data(b'{"another":"file"}')
    (specification,) = writer.root_object["/AF"]
    specification.get_object()["/EF"][NameObject(name)] = writer._add_object(stream)


def be_one_for_other_readers(writer: pypdf.PdfWriter) -> None:
    be_one_for_some_readers(writer, "/UF")


def be_related(writer: pypdf.PdfWriter) -> None:
    """In the list of files that belong to the one (ISO 32000-2 section 7.11.4.3)."""
    stream = StreamObject()
    stream[NameObject("/Type")] = NameObject("/EmbeddedFile")
    stream.set_data(b'{"another":"file"}')
    (specification,) = writer.root_object["/AF"]
    specification.get_object()[NameObject("/RF")] = DictionaryObject(
        {
            NameObject("/F"): ArrayObject(
                [TextStringObject("evidence.json"), writer._add_object(stream)]
            )
        }
    )


@pytest.mark.parametrize(
    "hang",
    [
        hang_in_a_note,
        lambda writer: hang_in_a_note(writer, "other.json"),
        hang_under_a_child_of_a_child,
        hang_beside_a_font,
        hang_in_the_information,
        be_one_for_some_readers,
        be_one_for_other_readers,
        be_related,
    ],
)
def test_wherever_a_second_file_hangs_neither_is_taken(
    made: Path, hang: Callable[[pypdf.PdfWriter], None]
) -> None:
    writer = pypdf.PdfWriter(clone_from=made)
    hang(writer)
    assert refuse(writer) == "2 files can be taken out of it; a certificate has one"


def test_a_file_with_another_name_for_some_readers_is_none(made: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=made)
    (specification,) = writer.root_object["/AF"]
    specification.get_object()[NameObject("/DOS")] = TextStringObject("OTHER.TXT")
    assert refuse(writer) == "the file in it is not named evidence.json, and that alone"


def test_a_table_that_points_elsewhere_is_not_mended(made: Path) -> None:
    """A reader that mends it looks for the object, and another finds another one of its number."""
    good = made.read_bytes()
    number = pypdf.PdfReader(io.BytesIO(good)).root_object["/AF"][0].get_object()["/EF"]
    reference = number.raw_get("/F")
    header = f"{reference.idnum} {reference.generation} obj".encode()
    at = good.index(b"\n" + header) + 1
    spoilt = good.replace(f"{at:010} 00000 n".encode(), f"{at + 3:010} 00000 n".encode())
    assert spoilt != good
    with pytest.raises(NoEvidence) as refused:
        extract(spoilt)
    assert str(refused.value) == (
        "its table says falsely where an object is, so that readers may differ"
    )


def pdf_of_object_streams(sizes: Sequence[int]) -> bytes:
    """A PDF whose catalog names an object in each of some streams, unpacked of these sizes."""
    packed_from, held_from = 10, 10 + len(sizes)
    held = range(held_from, held_from + len(sizes))
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R/Held[%s]>>" % b" ".join(b"%d 0 R" % one for one in held),
        2: b"<</Type/Pages/Kids[]/Count 0>>",
    }
    for number, (one, size) in enumerate(zip(held, sizes, strict=True), packed_from):
        packed = zlib.compress((b"%d 0 null" % one).ljust(size))
        head = b"/Type/ObjStm/N 1/First %d" % len(b"%d 0 " % one)
        objects[number] = make_stream(head, packed)
    pdf, table = bytearray(b"%PDF-1.7\n"), {0: b"\0\0\0\0\0\xff"}
    for number, value in objects.items():
        table[number] = b"\x01" + len(pdf).to_bytes(4, "big") + b"\0"
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, value)
    for place, one in enumerate(held):
        table[one] = b"\x02" + (packed_from + place).to_bytes(4, "big") + b"\0"
    count = held.stop
    rows = b"".join([table.get(number, table[0]) for number in range(count)])
    head = b"/Type/XRef/Size %d/W[1 4 1]/Root 1 0 R" % count
    end = b"%d 0 obj\n%s\nendobj\n" % (count, make_stream(head, zlib.compress(rows)))
    return bytes(pdf) + end + b"startxref\n%d\n%%%%EOF\n" % len(pdf)


def make_stream(head: bytes, packed: bytes) -> bytes:
    return b"<<%s/Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (head, len(packed), packed)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ((PAGES_BYTES_MAX - 64, 64), "0 files can be taken out of it; a certificate has one"),
        (
            (PAGES_BYTES_MAX - 64, 65, PAGES_BYTES_MAX),
            f"its objects have more than {PAGES_BYTES_MAX} bytes unpacked",
        ),
    ],
)
def test_streams_of_objects_unpack_to_a_bound_together(sizes: list[int], sentence: str) -> None:
    """Each stays in memory: fifty of them, in a PDF of 800 kB, took 900 MB."""
    with pytest.raises(NoEvidence) as refused:
        extract(pdf_of_object_streams(sizes))
    assert str(refused.value) == sentence


def test_a_pdf_of_too_many_values_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certificate.attachment.VALUES_MAX", 20_000)
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.root_object[NameObject("/Many")] = ArrayObject(
        [ArrayObject([NumberObject(0)] * 1000)] * 20
    )
    assert refuse(writer) == "it has more than 20000 values"


def test_a_spoilt_pdf_is_refused_and_never_a_traceback(made: Path) -> None:
    good = made.read_bytes()
    places = 60 if os.environ.get("CAMPAIGN") else 20
    for at in range(0, len(good), len(good) // places):
        spoilt = good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :]
        for pdf in (spoilt, good[:at]):
            try:
                taken = extract(pdf)
            except NoEvidence:
                continue
            assert isinstance(taken, bytes)


def test_the_verifier_alone_says_what_to_do_with_a_pdf(made: Path, genesis_hash: str) -> None:
    out = io.StringIO()
    assert verify_alone([str(made), "--genesis-hash", genesis_hash], out=out) == 2
    assert out.getvalue() == (
        f"{made} is a PDF. Take the evidence out of it first: save its attachment, or run "
        "evidence-ledger certificate extract. 该文件是 PDF，请先取出所附的存证文件。\n"
    )


@pytest.mark.parametrize("package", ["segno", "typst"])
def test_a_missing_extra_is_named(
    command: Command,
    file: Path,
    genesis_hash: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "certificate"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    asked = ("certificate", "make", file, "--genesis-hash", genesis_hash, "-o", tmp_path / "x")
    assert command.run(*asked) == 1
    assert command.refusal == (
        f"The package {package} is not installed; certificates in PDF need the packages of the "
        "extra: pip install 'evidence-ledger[certificate]'."
    )
