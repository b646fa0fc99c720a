"""Documents of the law on the ledger: terms, rule packs, rates and rest days, and who is competent.

Each is canonical JSON inside the body that publishes it; its bytes are kept under `document/<hash>`
and are never replaced, so that a contract made under an old version stays under it for ever. A
stream for each name counts its versions: a version follows a lower one and comes from the same
publisher. What may be published by whom is the competence document's, which a majority of the
regulators of genesis signs; until there is one, every regulator is competent for everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from contracts.handling import Context, Refusal
from law.canonical import compute_hash, encode
from law.days import day_of
from law.published import ACCOUNT, read_published
from law.refusal import Refused
from law.rules import Pack, check_publisher, check_replaced, find_replaced, parse_pack
from law.terms import INDUSTRIES, parse_terms
from ledger.transaction import Outcome, applied

DOCUMENT_PREFIX: Final = "document/"
TERMS_PREFIX: Final = "terms/"
RULES_PREFIX: Final = "rules/"
PUBLISHED_PREFIX: Final = "published/"
COMPETENCE_STREAM: Final = "published/competence"

VERSIONS_MAX: Final = 256
"""Versions of one document, or pages of one series: twenty years of a monthly rate."""
SERIES_BYTES_MAX: Final = 64 * 1024
"""Of all pages of one series together, because every computation parses them: twenty years of a
monthly rate have 50 kB."""
READ_BYTES: Final = 256
"""Of a rule pack, as long to parse as an entry to read (55 µs, measured)."""
REGULATORS_MAX: Final = 64
DETAIL_CHARS_MAX: Final = 400
"""Of the sentence in which the law refuses a document."""

EVERYTHING: Final = ("*",)

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Place = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9-]{1,32}|\*)$(?!\n)")]


class PublishData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`terms.publish`, `rules.publish`, `data.publish`: the document itself."""

    document: dict[str, Any]


class Competent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one regulator may do."""

    regulator: Word
    department: Word
    industries: Annotated[list[Word], msgspec.Meta(max_length=16)]
    """`*` for all."""
    series: Annotated[list[Word], msgspec.Meta(max_length=16)]
    """Of `data.publish`."""
    districts: Annotated[list[Place], msgspec.Meta(max_length=32)] = msgspec.field(
        default_factory=lambda: ["*"]
    )
    """Of the merchants it acts upon; `*` for all."""


class CompetenceData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`competence.publish`: all regulators with their competence, replacing what stood before."""

    regulators: Annotated[list[Competent], msgspec.Meta(min_length=1, max_length=REGULATORS_MAX)]


class Version(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One version of a document, or one page of a series."""

    version: int
    hash: bytes
    position: int
    """Index of the entry that published it."""


class VersionsRecord(msgspec.Struct, frozen=True, array_like=True, tag="versions", gc=False):
    """What was published under one name."""

    publisher: str
    versions: list[Version]


class DocumentRecord(msgspec.Struct, frozen=True, array_like=True, tag="document", gc=False):
    """The bytes of one document."""

    raw: bytes


class CompetenceRecord(msgspec.Struct, frozen=True, array_like=True, tag="competence", gc=False):
    """(regulator, department, industries, series, districts) of each."""

    regulators: list[tuple[str, str, list[str], list[str], list[str]]]


class Competence(NamedTuple):
    """How far one regulator reaches."""

    department: str
    industries: tuple[str, ...]
    """`EVERYTHING` for all."""
    districts: tuple[str, ...]


def find_competence(context: Context, regulator: str) -> Competence:
    """Return a regulator's competence: all as long as nothing is published, else what is said."""
    record = context.read(COMPETENCE_STREAM)
    if not isinstance(record, CompetenceRecord):
        return Competence("", EVERYTHING, EVERYTHING)
    for known, department, industries, _, districts in record.regulators:
        if known == regulator:
            return Competence(department, _scope(industries), _scope(districts))
    return Competence("", (), ())


def _scope(names: Sequence[str]) -> tuple[str, ...]:
    return EVERYTHING if "*" in names else tuple(names)


def read_document(context: Context, digest: bytes) -> bytes | None:
    """Return a published document's bytes."""
    record = context.read(DOCUMENT_PREFIX + digest.hex())
    return record.raw if isinstance(record, DocumentRecord) else None


@contextmanager
def refused_by_law(code: str) -> Iterator[None]:
    """Refuse as `code` what the law refuses inside, with its reason and sentence."""
    try:
        yield
    except Refused as refused:
        raise Refusal(
            code, ("why", str(refused.code)), ("detail", refused.detail[:DETAIL_CHARS_MAX])
        ) from None


def apply_terms(context: Context, data: PublishData) -> Outcome:
    """Publish terms: a template, or one contract's own; by a merchant or an institution."""
    with refused_by_law("document_refused"):
        raw = encode(data.document)
        terms = parse_terms(raw)
    for signer in context.signers:
        party = context.party(signer)
        if party is None or not (party.role == "merchant" or party.is_institution):
            raise Refusal("not_entitled", ("signer", signer))
        if party.role == "regulator":
            _, industries, _ = find_competence(context, signer)
            if industries != EVERYTHING and terms.industry not in industries:
                raise Refusal("not_competent", ("signer", signer), ("industry", terms.industry))
    _check_stream(context, TERMS_PREFIX + terms.template)
    return _add(context, raw, terms.template_version)


def apply_rules(context: Context, data: PublishData) -> Outcome:
    """Publish a rule pack; by the regulator it names, competent for its industries and districts.

    A version takes the place of earlier ones, so its publisher has to be competent for what these
    held for as well. One that begins before it is published, be it the first, changes what held on
    days that are over: that may be a correction, or a law older than the ledger, and is a finding
    (立法法 104: no rule looks back but in favour of those it protects).
    """
    with refused_by_law("document_refused"):
        raw = encode(data.document)
        pack = parse_pack(raw)
    signer = _require_regulator(context)
    department, industries, districts = find_competence(context, signer)
    if pack.publisher != signer or (department and pack.department != department):
        raise Refusal("not_entitled", ("signer", signer))
    with refused_by_law("document_refused"):
        check_publisher(pack, {pack.department: industries}, districts)
    _check_stream(context, RULES_PREFIX + pack.id)
    known = context.record
    if isinstance(known, VersionsRecord) and known.publisher == signer:
        earlier = (
            read_pack(context, context.stream, version) for version in reversed(known.versions)
        )
        with refused_by_law("document_refused"):
            check_replaced(find_replaced(earlier, pack), pack, industries, districts)
    begins = pack.effective_from
    if begins is not None and begins < day_of(context.time_ms):
        return _add(context, raw, pack.version, ("finding", "rules_backdated"))
    return _add(context, raw, pack.version)


def read_pack(context: Context, stream: str, version: Version) -> Pack:
    """Return a published version of a rule pack; refuse more than a block may read."""
    raw = read_document(context, version.hash)
    assert raw is not None, "a published pack is never removed"
    context.charge(1 + len(raw) // READ_BYTES, stream)
    return parse_pack(raw)


def apply_data(context: Context, data: PublishData) -> Outcome:
    """Publish a page of rates or rest days; the rates of its own accounts by an institution, the
    rest by the regulator whose competence names the series."""
    if "position" in data.document:
        raise Refusal(
            "document_refused",
            ("why", "unknown_member"),
            ("detail", "document.position is given by the ledger; leave it out"),
        )
    with refused_by_law("document_refused"):
        raw = encode(data.document)
        read_published([{**data.document, "position": context.position}])
    series = str(data.document["series"])
    if series.startswith(ACCOUNT):
        signer = context.signers[0]
        _check_stream(context, account_stream(signer, series.removeprefix(ACCOUNT)))
        party = context.party(signer)
        if len(context.signers) != 1 or party is None or not party.is_institution:
            raise Refusal("not_an_institution", ("signers", " ".join(context.signers)))
    else:
        _check_stream(context, published_stream(series))
        signer = _require_regulator(context)
        record = context.read(COMPETENCE_STREAM)
        if isinstance(record, CompetenceRecord) and not any(
            known == signer and series in allowed for known, _, _, allowed, _ in record.regulators
        ):
            raise Refusal("not_competent_for_series", ("signer", signer), ("series", series))
    known = context.record.versions if isinstance(context.record, VersionsRecord) else []
    size = len(raw) + sum(len(read_document(context, each.hash) or b"") for each in known)
    if size > SERIES_BYTES_MAX:
        raise Refusal("series_too_large", ("bytes", size), ("allowed", SERIES_BYTES_MAX))
    return _add(context, raw, len(known) + 1)


def apply_competence(context: Context, data: CompetenceData) -> Outcome:
    """Say which regulator is competent for what; signed by a majority of genesis' regulators."""
    _check_stream(context, COMPETENCE_STREAM)
    regulators = []
    for validator in context.validators.validators:
        party = context.party(validator.id)
        if party is not None and party.role == "regulator":
            regulators.append(validator.id)
    for signer in context.signers:
        if signer not in regulators:
            raise Refusal("not_entitled", ("signer", signer))
    needed = len(regulators) // 2 + 1
    if len(context.signers) < needed:
        raise Refusal("no_majority", ("signed", len(context.signers)), ("needed", needed))
    for each in data.regulators:
        for industry in each.industries:
            if industry != "*" and industry not in INDUSTRIES:
                raise Refusal("unknown_industry", ("industry", industry))
    context.record = CompetenceRecord(
        [
            (each.regulator, each.department, each.industries, each.series, each.districts)
            for each in data.regulators
        ]
    )
    return applied(("regulators", len(data.regulators)))


def published_stream(series: str) -> str:
    """Return the stream of a series: `published/lpr_1y`."""
    return PUBLISHED_PREFIX + series.replace("/", ".")


def account_stream(institution: str, account: str) -> str:
    """Return the stream of the rates that an institution says its account bears.

    Each has its own for any account, so that nobody takes the name of another's. No party's id has
    a full stop in it, so no two are the same.
    """
    return published_stream(f"{ACCOUNT}{institution}.{account}")


def _add(context: Context, raw: bytes, version: int, *effects: tuple[str, str]) -> Outcome:
    """Add a version to the stream's record, and its bytes to the state."""
    publisher = context.signers[0]
    record = context.record
    versions: list[Version] = []
    if isinstance(record, VersionsRecord):
        if record.publisher != publisher:
            raise Refusal("published_by_another", ("publisher", record.publisher))
        versions = record.versions
    if versions and version <= versions[-1].version:
        raise Refusal("version_not_above", ("version", version), ("newest", versions[-1].version))
    if len(versions) >= VERSIONS_MAX:
        raise Refusal("too_many_versions", ("versions", len(versions)), ("allowed", VERSIONS_MAX))
    digest = bytes.fromhex(compute_hash(raw))
    context.record = VersionsRecord(
        publisher, [*versions, Version(version, digest, context.position)]
    )
    context.write(DOCUMENT_PREFIX + digest.hex(), DocumentRecord(raw))
    return applied(("hash", digest.hex()), ("version", version), *effects)


def _require_regulator(context: Context) -> str:
    signer = context.signers[0]
    party = context.party(signer)
    if len(context.signers) != 1 or party is None or party.role != "regulator":
        raise Refusal("not_a_regulator", ("signers", " ".join(context.signers)))
    return signer


def _check_stream(context: Context, expected: str) -> None:
    if context.stream != expected:
        raise Refusal("wrong_stream", ("stream", context.stream), ("expected", expected))
