"""The evidence inside a certificate's PDF: taken out, never believed.

A PDF comes from anybody. It is read only for its one attachment of the certificate's name, within
the evidence file's own bound of size; what the pages say is not read at all. Whatever is wrong with
the PDF is one refusal, `NoEvidence`.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from ledger.evidence import FILE_BYTES_MAX

if TYPE_CHECKING:
    from pypdf import PdfReader
    from pypdf.generic import DictionaryObject

ATTACHMENT_NAME: Final = "evidence.json"

PDF_BYTES_MAX: Final = FILE_BYTES_MAX + 16 * 1024 * 1024
"""Largest PDF that is read: the largest evidence file, not compressed, and the pages."""

_MAGIC: Final = b"%PDF-"


class NoEvidence(Exception):
    """The PDF holds no evidence file that can be taken out; the text says why."""


def is_pdf(raw: bytes) -> bool:
    """Say whether a file's first bytes are a PDF's."""
    return raw.startswith(_MAGIC)


def extract(pdf: bytes) -> bytes:
    """Return the evidence file attached to a certificate; raise `NoEvidence`."""
    if len(pdf) > PDF_BYTES_MAX:
        raise NoEvidence(f"the PDF has more than {PDF_BYTES_MAX} bytes")
    if not is_pdf(pdf):
        raise NoEvidence("it is not a PDF")
    import pypdf

    try:
        with pypdf.apply_configuration(
            maximum_declared_stream_length=PDF_BYTES_MAX,
            zlib_maximum_output_length=FILE_BYTES_MAX,
        ):
            return _read_attachment(pypdf.PdfReader(io.BytesIO(pdf), strict=True))
    except NoEvidence:
        raise
    except Exception as error:  # noqa: BLE001 - a hostile PDF fails in any way its reader can
        raise NoEvidence(f"the PDF cannot be read: {type(error).__name__}") from None


def _read_attachment(reader: PdfReader) -> bytes:
    """Unpack the one attachment, having seen that it is one and simply compressed.

    Each of many could unpack to the bound of size, and a predictor undoes a row of two bytes at a
    time.
    """
    found = [
        attached
        for attached in reader.attachment_list
        if ATTACHMENT_NAME in (attached.name, attached.alternative_name)
    ]
    if len(found) != 1:
        raise NoEvidence(
            f"it has {len(found)} attachments named {ATTACHMENT_NAME}; a certificate has one"
        )
    named: DictionaryObject = found[0].pdf_object["/EF"].get_object()  # type: ignore[assignment]
    streams = {id(stream): stream for stream in [one.get_object() for one in named.values()]}
    if len(streams) != 1:
        raise NoEvidence(
            f"its {ATTACHMENT_NAME} is {len(streams)} files, one for some readers and one for "
            "others; a certificate's is one"
        )
    if any("/DecodeParms" in stream for stream in streams.values()):
        raise NoEvidence(
            f"its {ATTACHMENT_NAME} is encoded with parameters, which no certificate has"
        )
    return found[0].content
