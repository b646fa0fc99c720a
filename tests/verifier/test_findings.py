"""What the law found, in words: the file's are the chain's, and people read them."""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.evidence import FINDINGS_MAX
from ledger.refusal import Reason
from tests.contracts.life_world import CARD, LifeWorld, load, paid_world
from tests.verifier.small_chain import alter, forge
from verifier.main import main
from verifier.verify import verify_evidence

SIGNERS = ("m-1", "c-1", "bank-0")
AS_OF = "2026-01-20"
PACK = "consumer-regulation-22"


@functools.cache
def world() -> LifeWorld:
    """Two computations, with a rule pack published between them; a third one is refused."""
    made = paid_world()
    made.publish_data()
    made.done("price.changed", {"item": "cut", "price": 9000})
    made.done("findings.computed", {"as_of": AS_OF, "packs": []}, "bank-0")
    rules = load(f"rules/{PACK}.v1.json") | {"publisher": "bank-1"}
    made.must("rules.publish", f"rules/{PACK}", {"document": rules}, "bank-1")
    made.done("findings.computed", {"as_of": AS_OF, "packs": [PACK]}, "bank-0")
    made.event("findings.computed", {"as_of": AS_OF, "packs": ["none"]}, "bank-0")
    return made


@functools.cache
def file() -> bytes:
    return world().history("card-1", SIGNERS)


def given(raw: bytes) -> list[Any]:
    listed: list[Any] = json.loads(raw)["law"]["findings"]
    return listed


def with_findings(change: Callable[[list[Any]], Any]) -> Callable[[], bytes]:
    """The file with what `change` makes of its findings, or with what it returns."""

    def make() -> bytes:
        document = json.loads(file())
        made = change(document["law"]["findings"])
        if made is not None:
            document["law"]["findings"] = made
        return encode_canonical(document)

    return make


def without_entries() -> bytes:
    """The file with its findings and no entry that they could be of."""
    document = json.loads(file()) | {"entries": [], "parties": []}
    document["law"]["times"] = []
    return encode_canonical(document)


def rewritten(change: Callable[[list[Any]], Any]) -> Callable[[], bytes]:
    """The newest computation's documents changed."""

    def rewrite(listed: list[Any]) -> None:
        documents = json.loads(base64.b64decode(listed[1]["documents"]))
        change(documents["findings"])
        listed[1]["documents"] = base64.b64encode(encode_canonical(documents)).decode()

    return with_findings(rewrite)


def certified(documents: bytes, count: int) -> Callable[[], bytes]:
    """Documents of which liars, a quorum of them, have put the hash on record."""

    def make() -> bytes:
        made = world()
        position = given(file())[1]["position"]

        def lie(fields: list[Any]) -> None:
            values = {"findings": sha256(documents).hexdigest(), "count": count}
            fields[4][2] = [[name, values.get(name, held)] for name, held in fields[4][2]]

        lying = forge(made, {position: alter(made.leaves[position], lie)})
        raw = lying.history("card-1", SIGNERS, law=made.papers(CARD))
        document = json.loads(raw)
        document["law"]["findings"][1]["documents"] = base64.b64encode(documents).decode()
        return encode_canonical(document)

    return make


def finding(**members: Any) -> bytes:
    whole = {
        "article": "1",
        "en": "e",
        "positions": [],
        "rule": "r",
        "severity": "notice",
        "values": [],
        "zh": "z",
    }
    return encode_canonical({"findings": [whole | members]})


BAD, ROOT = Reason.BAD_FIELD, Reason.ROOT_MISMATCH
MUTATIONS: dict[str, tuple[Callable[[], bytes], int, Reason]] = {
    "no-list": (with_findings(lambda listed: {}), 1, BAD),
    "empty": (with_findings(lambda listed: []), 1, BAD),
    "too-many": (with_findings(lambda listed: listed * FINDINGS_MAX), 1, BAD),
    "no-object": (with_findings(lambda listed: [1]), 1, BAD),
    "member-more": (with_findings(lambda listed: listed[0].update(more=1)), 1, BAD),
    "member-gone": (with_findings(lambda listed: listed[0].pop("position") and None), 1, BAD),
    "position-a-text": (with_findings(lambda listed: listed[0].update(position="1")), 1, BAD),
    "position-below-0": (with_findings(lambda listed: listed[0].update(position=-1)), 1, BAD),
    "no-base64": (with_findings(lambda listed: listed[0].update(documents="?")), 1, BAD),
    "of-nothing": (with_findings(lambda listed: listed[0].update(position=0)), 10, BAD),
    "of-another-kind": (
        with_findings(lambda listed: listed[0].update(position=world().indices_of(CARD)[1])),
        10,
        BAD,
    ),
    "of-an-empty-record": (without_entries, 10, BAD),
    "of-a-refused-one": (
        with_findings(lambda listed: listed[1].update(position=world().indices_of(CARD)[-1])),
        10,
        BAD,
    ),
    "exchanged": (with_findings(lambda listed: listed.reverse()), 10, BAD),
    "twice": (with_findings(lambda listed: [listed[1], listed[1]]), 10, BAD),
    "of-the-other": (
        with_findings(lambda listed: listed[0].update(documents=listed[1]["documents"])),
        10,
        ROOT,
    ),
    "sentence-changed": (rewritten(lambda found: found[0].update(zh="无")), 10, ROOT),
    "one-dropped": (rewritten(lambda found: found.pop()), 10, ROOT),
    "one-doubled": (rewritten(lambda found: found.append(found[0])), 10, ROOT),
    "order-changed": (rewritten(lambda found: found.reverse()), 10, ROOT),
    "no-json": (with_findings(lambda listed: listed[1].update(documents="AAAA")), 10, BAD),
    "count-certified-wrong": (certified(finding(), 2), 10, ROOT),
    "shape-certified": (certified(finding(en=1), 1), 10, BAD),
    "member-certified": (certified(finding(more=1), 1), 10, BAD),
    "no-findings-certified": (certified(b'{"findings":{}}', 1), 10, BAD),
}
MUTATIONS["no-json"] = (MUTATIONS["no-json"][0], 10, Reason.MALFORMED)


@pytest.mark.parametrize("name", MUTATIONS)
def test_findings_that_are_not_the_chains_are_refused(name: str) -> None:
    make, number, reason = MUTATIONS[name]
    failed = verify_evidence(make(), world().chain_id).failed
    assert failed is not None
    assert (failed.number, failed.reason) == (number, reason), failed.explanation.en


def test_each_computation_has_the_words_of_its_own_time() -> None:
    report = verify_evidence(file(), world().chain_id)
    assert report.is_consistent, report.failed
    first, second = report.facts["findings"]
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert [one["rule"] for one in first["findings"]] == ["art9/price"]
    assert [one["rule"] for one in second["findings"]] == ["art9/price", f"{PACK}@1/rise"]
    assert report.steps[9].explanation.en.endswith(
        " The 3 findings of 2 computations in the file are those whose hash is on the chain."
    )
    assert report.steps[9].explanation.zh.endswith("所附 2 次查核的 3 项发现与链上所载哈希相符。")


def test_rules_published_later_change_nothing() -> None:
    """The words are those of the computation's own time, whatever was published since."""
    made = paid_world()
    made.publish_data()
    made.done("price.changed", {"item": "cut", "price": 9000})
    rules = load(f"rules/{PACK}.v1.json") | {"publisher": "bank-1"}
    made.must("rules.publish", f"rules/{PACK}", {"document": rules}, "bank-1")
    made.done("findings.computed", {"as_of": AS_OF, "packs": [PACK]}, "bank-0")
    later = rules | {"pack": {"id": PACK, "version": 2}, "effective_from": "2025-12-31"}
    made.must("rules.publish", f"rules/{PACK}", {"document": later}, "bank-1")
    report = verify_evidence(made.history("card-1", SIGNERS), made.chain_id)
    (only,) = report.facts["findings"]
    assert isinstance(only, dict)
    assert [one["rule"] for one in only["findings"]] == ["art9/price", f"{PACK}@1/rise"]


def test_no_more_than_the_newest_sixteen_come_along() -> None:
    made = paid_world()
    made.publish_data()
    for _ in range(FINDINGS_MAX + 1):
        made.done("findings.computed", {"as_of": AS_OF, "packs": []}, "bank-0")
    raw = made.history("card-1", SIGNERS)
    assert [one["position"] for one in given(raw)] == made.indices_of(CARD)[-FINDINGS_MAX:]
    assert verify_evidence(raw, made.chain_id).is_consistent


def test_what_is_too_long_for_a_file_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each comes by itself, so that one long list does not make the file unreadable."""
    longest = max(len(base64.b64decode(one["documents"])) for one in given(file()))
    monkeypatch.setattr("contracts.papers.FINDINGS_BYTES_MAX", longest - 1)
    raw = world().history("card-1", SIGNERS)
    assert given(raw) == given(file())[:1]
    assert verify_evidence(raw, world().chain_id).is_consistent


def refused_pack() -> tuple[LifeWorld, bytes]:
    """A rule pack that is no document of its format, as its publisher's own record has it."""
    made = paid_world()
    rules = load(f"rules/{PACK}.v1.json") | {"publisher": "bank-1", "format": "other"}
    made.commit(made.submit("rules.publish", CARD, {"document": rules}, "bank-1"))
    return made, made.history("card-1", (*SIGNERS, "bank-1"))


def test_a_cause_inside_an_outcome_is_said_in_words() -> None:
    made, raw = refused_pack()
    step = verify_evidence(raw, made.chain_id).steps[9].explanation
    assert "文件不合格式（document_refused）；缘由：格式或版本未知（unknown_format）" in step.zh
    assert (
        "the document is not of its format (document_refused); cause: the format or version is "
        "not known (unknown_format)"
    ) in step.en


def test_the_newest_are_enough() -> None:
    """Whoever leaves the words of one out proves what is there and no more."""
    raw = with_findings(lambda listed: listed[1:])()
    assert verify_evidence(raw, world().chain_id).is_consistent
    document = json.loads(file())
    del document["law"]["findings"]
    report = verify_evidence(encode_canonical(document), world().chain_id)
    assert report.is_consistent
    assert "findings" not in report.facts


def test_people_read_them(tmp_path: Path) -> None:
    path = tmp_path / "card.case.json"
    path.write_bytes(file())
    position = given(file())[1]["position"]

    def told(language: str) -> str:
        out = io.StringIO()
        asked = [str(path), "--genesis-hash", world().chain_id.hex(), "--lang", language]
        assert main(asked, out=out) == 0
        return out.getvalue().rpartition("\n\n")[2]

    assert told("en") == (
        f"Findings: 2 (entry at index {position} of the log, as of {AS_OF})\n"
        "  1. [breach] civil code 496(2) · art9/price\n"
        "     No proof was recorded that clause price was pointed out and explained; the consumer "
        "may claim that it is no part of the contract.\n"
        f"  2. [breach] 22(2) · {PACK}@1/rise\n"
        "     The price of cut was raised from 48.00 to 90.00 yuan without the consumer's recorded "
        "consent.\n"
    )
    assert told("zh").startswith(f"查核发现 2 项（日志第 {position} 位的条目，截至 {AS_OF}）\n")
    assert "  2. [违规] 22(2) · " in told("zh")
    assert "     未经消费者同意，cut 由 48.00 元涨至 90.00 元。\n" in told("both")
    assert "  1. [违规 breach] " in told("both")


def test_where_nothing_is_consistent_nothing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.case.json"
    path.write_bytes(MUTATIONS["sentence-changed"][0]())
    out = io.StringIO()
    assert main([str(path), "--genesis-hash", world().chain_id.hex()], out=out) == 1
    assert "Findings:" not in out.getvalue()
