"""Evidence of every kind and certificates of it, made once for all tests of a process."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import pypdf

from certificate.contents import find_time_s, make_certificate
from certificate.document import Certificate
from certificate.qr import format_code
from certificate.render import render
from tests.verifier import test_owed
from tests.verifier.small_chain import CARD_SIGNERS, busy_chain
from verifier.report import Report
from verifier.verify import verify_evidence

SOFTWARE = "evidence-ledger 9.9.9"


@dataclass(frozen=True)
class Paper:
    """A certificate with all that it was made of."""

    evidence: bytes
    chain_id: bytes
    report: Report
    certificate: Certificate
    pdf: bytes

    @functools.cached_property
    def reader(self) -> pypdf.PdfReader:
        return pypdf.PdfReader(io.BytesIO(self.pdf), strict=True)

    @functools.cached_property
    def text(self) -> str:
        """The text of all pages as a reader of PDF copies it, without white space."""
        return squeeze("".join(page.extract_text() for page in self.reader.pages))

    def lacks(self, *texts: str) -> list[str]:
        """Those of `texts` that the pages do not say."""
        return [text for text in texts if squeeze(text) not in self.text]


def squeeze(text: str) -> str:
    """A line breaks where the page ends; so white space does not count."""
    return "".join(text.split())


def make(evidence: bytes, chain_id: bytes, language: str) -> Paper:
    report = verify_evidence(evidence, chain_id)
    certificate = make_certificate(evidence, report, chain_id.hex(), SOFTWARE)
    code = format_code(report.file_sha256, chain_id.hex())
    pdf = render(certificate, evidence, code, find_time_s(report), language)
    return Paper(evidence, chain_id, report, certificate, pdf)


@functools.cache
def evidence(kind: str) -> tuple[bytes, bytes]:
    """An evidence file of this kind, and the hash of its genesis."""
    if kind == "case":
        return test_owed.file(), test_owed.world().chain_id
    chain = busy_chain()
    if kind == "history":
        return chain.history("card-1", CARD_SIGNERS), chain.chain_id
    index = chain.indices_of("contract/card-1")[2]
    return chain.transaction(index, ("m-1", "bank-1")).encode(), chain.chain_id


@functools.cache
def paper(kind: str, language: str) -> Paper:
    return make(*evidence(kind), language)


@functools.cache
def refuted() -> Paper:
    """A history held against another chain's hash."""
    return make(evidence("history")[0], bytes(32), "both")
