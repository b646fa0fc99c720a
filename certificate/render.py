"""From a document to PDF: one file, PDF/A-3a (ISO 19005-3) and PDF/UA-1, the evidence inside.

The typesetter is given all it needs: the layout and the fonts of this package, in a folder which is
all that it sees, the document as JSON, and the evidence file. It reads no font of the system and no
clock, so the same document gives the same bytes wherever the same versions run.
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import typst

from certificate.attachment import ATTACHMENT_NAME
from certificate.document import LANGUAGES, Certificate, encode_document
from certificate.qr import draw_code

LAYOUT: Final = "layout.typ"
STANDARDS: Final[list[typst.PDFStandard]] = ["a-3a", "ua-1"]
CHOICES: Final = (*LANGUAGES, "both")


def render(
    certificate: Certificate, evidence: bytes, code: str, time_s: int, language: str
) -> bytes:
    """Return the PDF; `time_s` is its date, seconds since 1970, and `language` one of CHOICES."""
    languages = LANGUAGES if language == "both" else (language,)
    document = {
        "attachment": ATTACHMENT_NAME,
        "code": draw_code(code),
        "code_text": code,
        "parts": [encode_document(certificate, one) for one in languages],
    }
    with TemporaryDirectory(prefix="certificate-") as folder:
        for name, content in _materials().items():
            (Path(folder) / name).write_bytes(content)
        return typst.compile(
            str(Path(folder) / LAYOUT),
            root=folder,
            font_paths=[folder],
            ignore_system_fonts=True,
            sys_inputs={
                "document": json.dumps(document, ensure_ascii=False),
                "evidence": evidence.decode("utf-8"),
            },
            pdf_standards=STANDARDS,
            timestamp=time_s,
        )


@cache
def _materials() -> dict[str, bytes]:
    """The layout and the fonts by file name; the typesetter reads fonts from a folder only."""
    folder = files("certificate")
    fonts = {
        f"{name}.otf": lzma.decompress((folder / f"fonts/{name}.otf.xz").read_bytes())
        for name in ("text", "headings")
    }
    return {LAYOUT: (folder / LAYOUT).read_bytes(), **fonts}
