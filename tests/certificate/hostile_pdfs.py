"""PDFs that are small and keep a reader busy, each by another part, of a size that is asked for."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

HEAD = b"%PDF-1.7\n"


def make_stream(members: bytes, packed: bytes, filters: bytes = b"/FlateDecode") -> bytes:
    """A stream of these bytes, with these members beside its filter and length."""
    head = b"<<%s/Filter%s/Length %d>>" % (members, filters, len(packed))
    return b"%s\nstream\n%s\nendstream" % (head, packed)


def make_pdf(objects: dict[int, bytes], trailer: bytes = b"") -> bytes:
    """A PDF of these objects, of which 1 is the catalog, with a plain table."""
    pdf, places = bytearray(HEAD), {}
    for number, value in objects.items():
        places[number] = len(pdf)
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, value)
    return bytes(pdf) + make_table(places, trailer) + b"startxref\n%d\n%%%%EOF\n" % len(pdf)


def make_table(places: dict[int, int], trailer: bytes = b"") -> bytes:
    """A plain cross-reference of objects from 1 on."""
    rows = b"".join([b"%010d 00000 n \n" % places[one] for one in sorted(places)])
    spans = b"xref\n0 1\n0000000000 65535 f \n1 %d\n" % len(places)
    size = len(places) + 1
    return spans + rows + b"trailer\n<</Size %d/Root 1 0 R%s>>\n" % (size, trailer)


def with_evidence(
    packed: bytes = zlib.compress(b"{}"), filters: bytes = b"/FlateDecode", trailer: bytes = b""
) -> bytes:
    """A PDF with one evidence file."""
    return make_pdf(
        {
            1: b"<</Type/Catalog/AF[2 0 R]>>",
            2: b"<</Type/Filespec/F(evidence.json)/UF(evidence.json)/EF<</F 3 0 R>>>>",
            3: make_stream(b"/Type/EmbeddedFile", packed, filters),
        },
        trailer,
    )


def _chain(tables: Iterator[Callable[[bytes], bytes]], most: int) -> bytes:
    """Tables one after another, each given where the one before it is, in so many bytes."""
    pdf = bytearray(HEAD + b"1 0 obj\n<</Type/Catalog>>\nendobj\n")
    before = b""
    for make in tables:
        table = make(before)
        if len(pdf) + len(table) > most:
            break
        before = b"/Prev %d" % len(pdf)
        pdf += table
    return bytes(pdf) + b"startxref\n%s\n%%%%EOF\n" % before.removeprefix(b"/Prev ")


def _table_streams(members: bytes, packed: bytes) -> Iterator[Callable[[bytes], bytes]]:
    for number in range(2, 10**6):
        yield (
            lambda before, number=number: (
                b"%d 0 obj\n%s\nendobj\n"
                % (
                    number,
                    make_stream(b"/Type/XRef/Size 2/Root 1 0 R%s%s" % (members, before), packed),
                )
            )
        )


def table_streams(most: int) -> bytes:
    """Table after table, each unpacking a thousandfold to rows that nobody asked for."""
    packed = zlib.compress(bytes(16 * 1024 * 1024 - 8), 9)
    return _chain(_table_streams(b"/Index[]/W[1 4 1]", packed), most)


def predicted_rows(most: int) -> bytes:
    """Table after table, each row told by its difference from the one above."""
    packed = zlib.compress((b"\4" + bytes(24)) * 60_000, 9)
    parameters = b"/DecodeParms<</Predictor 15/Columns 24>>"
    return _chain(_table_streams(b"/Index[]/W[8 8 8]" + parameters, packed), most)


def overlapping_objects(most: int) -> bytes:
    """Objects of which each has within it the heads of all that follow, in a comment."""
    count = min(2_000, most // 80)
    pdf, places = bytearray(HEAD), {1: len(HEAD)}
    pdf += b"1 0 obj\n<</Type/Catalog/Held[%s]>>\nendobj\n" % b" ".join(
        [b"%d 0 R" % one for one in range(2, 2 + count)]
    )
    for number in range(2, 2 + count):
        places[number] = len(pdf)
        pdf += b"%d 0 obj %%" % number
    pdf += b"%s\nnull endobj\n" % (b" " * (most // 2))
    return bytes(pdf) + make_table(places) + b"startxref\n%d\n%%%%EOF\n" % len(pdf)


def encrypted() -> bytes:
    """Encrypted for nobody: whoever opens it is to work for it."""
    long, short = b"<%s>" % (b"00" * 48), b"<%s>" % (b"00" * 32)
    value = b"<</Filter/Standard/V 5/R 6/Length 256/P -4/O%s/U%s/OE%s/UE%s/Perms<%s>>>" % (
        long, long, short, short, b"00" * 16,
    )  # fmt: skip
    return with_evidence(trailer=b"/Encrypt %s" % value)
