"""The evidence inside a certificate's PDF: taken out, never believed.

A PDF comes from anybody. It is read only for the one file in it, of the certificate's name and
within the evidence file's own bound of size; what the pages say is not read at all. Wherever a
second file could be taken from, in the tree of names, beside any object or in a note on a page,
somebody's reader shows that one: so every value of the PDF is looked at, and of two none is taken.
Whatever is wrong with the PDF is one refusal, `NoEvidence`.
"""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING, Final

from ledger.evidence import FILE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypdf import PdfReader
    from pypdf.generic import PdfObject, StreamObject

ATTACHMENT_NAME: Final = "evidence.json"

PAGES_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of whatever is in the PDF beside the evidence file."""

PDF_BYTES_MAX: Final = FILE_BYTES_MAX + PAGES_BYTES_MAX
"""Largest PDF that is read: the largest evidence file, not compressed, and the pages."""

VALUES_MAX: Final = 1_000_000
"""Values in a PDF, each looked at once: a certificate of 120 entries in two languages has some
thirty thousand."""

_MAGIC: Final = b"%PDF-"


class NoEvidence(Exception):
    """The PDF holds no evidence file that can be taken out; the text says why."""

    def __init__(self, detail: str, detail_zh: str) -> None:
        super().__init__(detail)
        self.detail_zh = detail_zh


def is_pdf(raw: bytes) -> bool:
    """Say whether a file's first bytes are a PDF's."""
    return raw.startswith(_MAGIC)


def extract(pdf: bytes) -> bytes:
    """Return the evidence file attached to a certificate; raise `NoEvidence`."""
    if len(pdf) > PDF_BYTES_MAX:
        raise NoEvidence(
            f"the PDF has more than {PDF_BYTES_MAX} bytes", f"PDF 超过 {PDF_BYTES_MAX} 字节"
        )
    if not is_pdf(pdf):
        raise NoEvidence("it is not a PDF", "它不是 PDF 文件")
    import pypdf

    try:
        with pypdf.apply_configuration(
            maximum_declared_stream_length=PDF_BYTES_MAX,
            zlib_maximum_output_length=PAGES_BYTES_MAX,
        ):
            reader = pypdf.PdfReader(io.BytesIO(pdf), strict=True)
            if reader.is_encrypted:
                raise NoEvidence(
                    "it is encrypted, which a certificate never is", "它已加密，而证书从不加密"
                )
            _unpack_objects(reader)
            file = _find_file(reader)
        with pypdf.apply_configuration(
            zlib_maximum_output_length=FILE_BYTES_MAX,
            stream_decoding_work_maximum_length=PDF_BYTES_MAX + FILE_BYTES_MAX,
        ):
            return file.get_data()
    except (NoEvidence, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a hostile PDF fails in any way its reader can
        kind = type(error).__name__
        raise NoEvidence(f"the PDF cannot be read: {kind}", f"无法读取该 PDF：{kind}") from None


def _unpack_objects(reader: PdfReader) -> None:
    """Unpack the streams that hold objects; raise `NoEvidence` where they have too many bytes.

    Each stays in memory, and thousands of them, packed a thousandfold, fit into a small PDF.
    """
    from pypdf.generic import IndirectObject, StreamObject

    room = PAGES_BYTES_MAX
    for number in sorted({stream for stream, _ in reader.xref_objStm.values()}):
        stream = IndirectObject(number, 0, reader).get_object()
        if isinstance(stream, StreamObject):
            room -= len(stream.get_data())
        if room < 0:
            raise NoEvidence(
                f"its objects have more than {PAGES_BYTES_MAX} bytes unpacked",
                f"其对象解压后超过 {PAGES_BYTES_MAX} 字节",
            )


def _find_file(reader: PdfReader) -> StreamObject:
    """Return the one file embedded in a PDF, packed, having seen that it is one and how.

    A file is a stream in the `EF` of a file specification (ISO 32000-2 section 7.11.4), or one that
    calls itself `EmbeddedFile`. Each of many could unpack to the bound of size, and a predictor
    undoes a row of two bytes at a time.
    """
    from pypdf.generic import DictionaryObject, NameObject, StreamObject

    table = copy.deepcopy(reader.xref)
    files: dict[int, StreamObject] = {}
    names: set[str] = set()
    for value in _walk(reader):
        if not isinstance(value, DictionaryObject):
            continue
        kind, embedded = [_read(value.get(key)) for key in ("/Type", "/EF")]
        if kind == NameObject("/EmbeddedFile") and isinstance(value, StreamObject):
            files[id(value)] = value
        if isinstance(embedded, DictionaryObject):
            streams = [one.get_object() for one in embedded.values()]
            files |= {id(one): one for one in streams if isinstance(one, StreamObject)}
            names |= {str(value[key]) for key in _NAMES if key in value}
    if reader.xref != table:
        raise NoEvidence(
            "its table says falsely where an object is, so that readers may differ",
            "其交叉引用表所载对象位置不实，不同阅读器所见可能不同",
        )
    if len(files) != 1:
        raise NoEvidence(
            f"{len(files)} files can be taken out of it; a certificate has one",
            f"从中可以取出 {len(files)} 个文件，而证书只含一个",
        )
    if names != {ATTACHMENT_NAME}:
        raise NoEvidence(
            f"the file in it is not named {ATTACHMENT_NAME}, and that alone",
            f"其中的文件并非名为且仅名为 {ATTACHMENT_NAME}",
        )
    (file,) = files.values()
    if "/DecodeParms" in file:
        raise NoEvidence(
            f"its {ATTACHMENT_NAME} is encoded with parameters, which no certificate has",
            f"其 {ATTACHMENT_NAME} 以附带参数的方式编码，而证书从不如此",
        )
    if _read(file.get("/Filter")) not in _FILTERS:
        raise NoEvidence(
            f"its {ATTACHMENT_NAME} is packed otherwise than by FlateDecode once, which no "
            "certificate's is",
            f"其 {ATTACHMENT_NAME} 并非仅以 FlateDecode 压缩一次，而证书均如此",
        )
    return file


_FILTERS: Final[tuple[object, ...]] = (None, "/FlateDecode", ["/FlateDecode"])

_NAMES: Final = ("/F", "/UF", "/DOS", "/Mac", "/Unix")
"""A file specification's names, for different readers."""


def _read(value: PdfObject | None) -> PdfObject | None:
    """Return a member's value, which may stand elsewhere."""
    return None if value is None else value.get_object()


def _walk(reader: PdfReader) -> Iterator[PdfObject]:
    """Yield every value that can be reached from the trailer, each indirect one once."""
    from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject

    seen: set[tuple[int, int]] = set()
    todo: list[PdfObject] = [reader.trailer]
    count = 0
    while todo:
        value = todo.pop()
        if isinstance(value, IndirectObject):
            if (value.idnum, value.generation) in seen:
                continue
            seen.add((value.idnum, value.generation))
            found = value.get_object()
            if found is None:
                continue
            value = found
        count += 1
        if count > VALUES_MAX:
            raise NoEvidence(f"it has more than {VALUES_MAX} values", f"其值超过 {VALUES_MAX} 个")
        yield value
        if isinstance(value, DictionaryObject):
            todo += value.values()
        elif isinstance(value, ArrayObject):
            todo += list(value)
