"""Step 14: what is owed, derived again from a file alone, and ways to tamper with its papers."""

from __future__ import annotations

import base64
import functools
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.refusal import Reason
from tests.contracts.life_world import CARD, LOCKED, LifeWorld, paid_world
from tests.contracts.test_refunds import AS_OF, busy_world
from tests.verifier.small_chain import alter, forge
from verifier.main import main
from verifier.report import Report, Result
from verifier.verify import verify_evidence

SIGNERS = ("m-1", "c-1", "bank-0", "court-1")


@functools.cache
def world() -> LifeWorld:
    made = busy_world()
    made.done("refund.computed", {"as_of": AS_OF}, "c-1")
    made.event("refund.paid", {"amount": 10**9, "payee": "ab" * 32, "source": "custody"}, "bank-0")
    made.done("cause.stated", {"cause": "merchant", "standing": "finding"}, "court-1")
    made.done("refund.computed", {"as_of": AS_OF}, "bank-0")
    made.done("refund.paid", {"amount": 400, "payee": "ab" * 32, "source": "custody"}, "bank-0")
    made.must("risk.lifted", "merchant/m-1", {}, "bank-2")
    made.must("closing.notified", "merchant/m-1", {"effective": "2026-03-01"}, "m-1")
    return made


@functools.cache
def file() -> bytes:
    return world().history("card-1", SIGNERS)


def examine(raw: bytes) -> Report:
    return verify_evidence(raw, world().chain_id)


def with_law(change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(file())
    change(document["law"])
    return encode_canonical(document)


def test_the_file_alone_gives_the_figures_again() -> None:
    report = examine(file())
    assert report.is_consistent, [s for s in report.steps if s.result is Result.FAILED]
    step = report.steps[13]
    assert (step.number, step.result) == (14, Result.OK)
    assert report.facts["owed_fen"] == {
        "high": world().card.due_high,
        "low": world().card.due_low,
        "results": 2,
    }
    assert step.explanation.en == (
        "All 2 computations are derived again; the last has 2 results, principal and interest "
        f"from {world().card.due_low / 100:.2f} yuan to {world().card.due_high / 100:.2f} yuan."
    )


def test_the_working_is_shown_line_by_line_with_its_articles(tmp_path: Path) -> None:
    path = tmp_path / "card.case.json"
    path.write_bytes(file())
    out = io.StringIO()
    arguments = [str(path), "--genesis-hash", world().chain_id.hex(), "--lang", "en", "--working"]
    assert main(arguments, out=out) == 0
    _, _, working = out.getvalue().partition("\n\nRefund as of 2026-01-20; paid 1,000.00 yuan; ")
    assert "     [art. 15(1)] R = P − v : R = 904.00 " in working
    assert "   Interest (one-year LPR): " in working
    report = examine(file())
    assert report.facts["owed_articles"] == [
        "12", "15(1)", "16(1)", "17(1)", "18(1)(1)", "18(1)(2)", "18(2)", "19(1)", "19(3)", "20",
        "25",
    ]  # fmt: skip
    assert report.working is not None
    assert working.endswith(report.working.en.partition("yuan; ")[2])


def test_one_computation_with_one_result_is_said_as_one() -> None:
    made = paid_world()
    made.publish_data()
    made.done("termination.agreed", {}, "m-1", "c-1")
    made.done("cause.stated", {"cause": "merchant", "standing": "finding"}, "court-1")
    made.done("refund.computed", {"as_of": AS_OF}, "c-1")
    report = verify_evidence(made.history("card-1", SIGNERS), made.chain_id)
    assert report.steps[0].explanation.en.endswith(" bytes of canonical JSON, kind case.")
    assert report.steps[13].explanation.en == (
        "The computation is derived again; the last has 1 result, principal and interest are "
        f"{made.card.due_low / 100:.2f} yuan."
    )
    said = report.steps[9].explanation
    count = int(said.en.partition(", facts = ")[2].partition(",")[0])
    assert f"，所读事实数 {count}，" in said.zh


def test_where_nothing_was_computed_there_is_no_working(tmp_path: Path) -> None:
    path = tmp_path / "card.case.json"
    made = paid_world()
    path.write_bytes(made.history("card-1", ("m-1", "c-1", "bank-0")))
    out = io.StringIO()
    arguments = [str(path), "--genesis-hash", made.chain_id.hex(), "--working"]
    assert main(arguments, out=out) == 0
    assert out.getvalue().endswith("\n没有复算应退金额。\n\nWhat is owed was not derived.\n")


def drop_page(law: dict[str, Any]) -> None:
    del law["pages"][0]


def alter_rate(law: dict[str, Any]) -> None:
    law["pages"][0]["points"][-1]["ppm"] += 1


def drop_merchant(law: dict[str, Any]) -> None:
    del law["merchant"][0]


def move_time(law: dict[str, Any]) -> None:
    law["times"][1] += 1


def add_page(law: dict[str, Any]) -> None:
    law["pages"].append(law["pages"][0] | {"position": 1})


def unread_page(law: dict[str, Any]) -> None:
    """What a quorum never read is named as such, whether or not it could be read."""
    law["pages"][0]["points"] = "?"


def unread_fact(law: dict[str, Any]) -> None:
    law["merchant"][0] = {"data": [], "kind": "funds.locked", "position": 1}


def named_series(law: dict[str, Any]) -> None:
    law["merchant"].append(
        {"data": {"account": "x"}, "kind": "funds.locked", "position": 1, "é": [None, True]}
    )
    law["pages"].append({"position": 1, "series": "account/x"})


PAPERS: dict[str, Callable[[dict[str, Any]], None]] = {
    each.__name__: each
    for each in (
        *(drop_page, alter_rate, drop_merchant, move_time, add_page),
        *(unread_page, unread_fact, named_series),
    )
}


@pytest.mark.parametrize("name", PAPERS)
def test_papers_that_are_not_those_that_were_read(name: str) -> None:
    report = examine(with_law(PAPERS[name]))
    step = report.steps[13]
    assert (step.result, step.reason) == (Result.FAILED, Reason.ROOT_MISMATCH)
    assert " states basis " in step.explanation.en


# What is refused before the law is asked, by a verifier that holds no law as well.

Document = dict[str, Any]


def changed(change: Callable[[Document], Any], **members: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        document = json.loads(file())
        change(document)
        return encode_canonical(document | members)

    return make


def member(**members: Any) -> Callable[[], bytes]:
    return changed(lambda document: None, **members)


def law(change: Callable[[Document], Any]) -> Callable[[], bytes]:
    return lambda: with_law(change)


def entries(change: Callable[[list[str]], Any], times: bool = True) -> Callable[[], bytes]:
    """The entries changed, and the times beside them in the same way."""

    def alter(document: Document) -> None:
        change(document["entries"])
        if times:
            change(document["law"]["times"])

    return changed(alter)


def swapped(listed: list[Any]) -> None:
    listed[3], listed[4] = listed[4], listed[3]


def first_party(**members: str) -> Callable[[], bytes]:
    return changed(lambda document: document["parties"][0].update(members))


def later_party(name: str) -> Callable[[], bytes]:
    def alter(document: Document) -> None:
        document["parties"][0][name] = document["parties"][1][name]

    return changed(alter)


def forged_entry(place: int, change: Callable[[list[Any]], Any]) -> Callable[[], bytes]:
    """An entry as a dishonest quorum would have it, every root and signature of theirs agreeing."""

    def make() -> bytes:
        made = world()
        index = made.indices_of(CARD)[place]
        lying = forge(made, {index: alter(made.leaves[index], change)})
        return lying.history("card-1", SIGNERS, law=world().papers(CARD))

    return make


def lied(name: str, change: Callable[[Any], Any]) -> Callable[[], bytes]:
    """The last computation with another value of one effect."""

    def alter(fields: list[Any]) -> None:
        pair = next(pair for pair in fields[4][2] if pair[0] == name)
        pair[1] = change(pair[1])

    return forged_entry(-2, alter)


def flipped(document: Document) -> None:
    raw = bytearray(base64.b64decode(document["entries"][5]))
    raw[-3] ^= 1
    document["entries"][5] = base64.b64encode(raw).decode()


def of_another_contract(document: Document) -> None:
    made = world()
    index = made.indices_of("merchant/m-1")[0]
    document["entries"][-1] = base64.b64encode(made.leaves[index]).decode()


MUTATIONS: dict[str, tuple[Callable[[], bytes], int, Reason]] = {
    "law-gone": (changed(lambda document: document.pop("law")), 1, Reason.BAD_FIELD),
    "law-no-object": (member(law=[]), 1, Reason.BAD_FIELD),
    "law-member-more": (law(lambda law: law.update(more=1)), 1, Reason.BAD_FIELD),
    "law-member-gone": (law(lambda law: law.pop("pages")), 1, Reason.BAD_FIELD),
    "terms-not-base64": (law(lambda law: law.update(terms="?")), 1, Reason.BAD_FIELD),
    "times-no-list": (law(lambda law: law.update(times={})), 1, Reason.BAD_FIELD),
    "time-a-text": (law(lambda law: law.update(times=["1"])), 1, Reason.BAD_FIELD),
    "time-below-0": (law(lambda law: law.update(times=[-1])), 1, Reason.BAD_FIELD),
    "time-a-truth-value": (law(lambda law: law.update(times=[True])), 1, Reason.BAD_FIELD),
    "pages-no-list": (law(lambda law: law.update(pages=1)), 1, Reason.BAD_FIELD),
    "page-without-position": (law(lambda law: law.update(pages=[{}])), 1, Reason.BAD_FIELD),
    "page-no-object": (law(lambda law: law.update(pages=[7])), 1, Reason.BAD_FIELD),
    "merchant-no-list": (law(lambda law: law.update(merchant="m")), 1, Reason.BAD_FIELD),
    "merchant-position-a-text": (
        law(lambda law: law.update(merchant=[{"position": "1"}])), 1, Reason.BAD_FIELD,
    ),
    "member-more": (member(note="x"), 1, Reason.BAD_FIELD),
    "a-history-with-papers": (member(kind="history"), 1, Reason.BAD_FIELD),
    "a-schedule-of-one": (member(format="evidence-ledger/schedule/v1"), 1, Reason.BAD_FIELD),
    "another-genesis": (member(genesis="AAAA"), 2, Reason.WRONG_CHAIN),
    "header-proof-cut": (
        changed(lambda one: one.update(header_proof=one["header_proof"][:-9])), 4, Reason.MALFORMED,
    ),
    "cosigners-gone": (
        changed(
            lambda one: one.update(
                header_proof="".join(one["header_proof"].splitlines(keepends=True)[:-3])
            )
        ),
        4,
        Reason.NO_QUORUM,
    ),
    "header-of-nothing": (member(header="AAAA"), 5, Reason.MALFORMED),
    "contract-renamed": (member(contract="card-2"), 12, Reason.BAD_FIELD),
    "entries-swapped": (entries(swapped), 6, Reason.BAD_FIELD),
    "entry-twice": (
        entries(lambda listed: listed.insert(2, listed[2])), 6, Reason.BAD_FIELD,
    ),
    "entry-cut": (changed(lambda one: one["entries"].append("AAAA")), 6, Reason.MALFORMED),
    "entry-flipped": (changed(flipped), 6, Reason.NOT_CANONICAL),
    "entry-of-another-contract": (changed(of_another_contract), 6, Reason.BAD_FIELD),
    "signature-flipped": (
        forged_entry(0, lambda fields: fields[3][1][0].__setitem__(1, bytes(64))),
        8,
        Reason.BAD_SIGNATURE,
    ),
    "signer-gone": (
        forged_entry(0, lambda fields: fields[3][1].pop()), 7, Reason.SIGNATURE_COUNT,
    ),
    "party-gone": (changed(lambda one: one["parties"].pop()), 9, Reason.UNKNOWN_PARTY),
    "parties-swapped": (
        changed(lambda one: one["parties"].reverse()), 9, Reason.UNKNOWN_PARTY,
    ),
    "party-record-of-another": (later_party("value"), 9, Reason.BAD_PROOF),
    "party-proof-of-another": (later_party("proof"), 9, Reason.BAD_PROOF),
    "party-record-empty": (first_party(value=""), 9, Reason.BAD_PROOF),
    "first-entry-gone": (entries(lambda listed: listed.pop(0)), 12, Reason.ROOT_MISMATCH),
    "middle-entry-gone": (entries(lambda listed: listed.pop(4)), 12, Reason.ROOT_MISMATCH),
    "last-entry-gone": (entries(lambda listed: listed.pop()), 12, Reason.ROOT_MISMATCH),
    "another-balance-stated": (
        forged_entry(1, lambda fields: fields[4][2][2].__setitem__(1, 7)), 13, Reason.BAD_FIELD,
    ),
    **{
        f"{name}-{more:+}-by-liars": (
            lied(name, lambda value, more=more: value + more), 14, Reason.ROOT_MISMATCH,
        )
        for name in ("due_low", "due_high", "results")
        for more in (-1, 1)
    },
    "due-low-a-text": (lied("due_low", str), 14, Reason.ROOT_MISMATCH),
}  # fmt: skip
"""Each with the step and the reason of its refusal."""


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_case_that_was_tampered_with(name: str) -> None:
    make, number, reason = MUTATIONS[name]
    failed = examine(make()).failed
    assert failed is not None, "it passed as consistent"
    assert (failed.number, failed.reason) == (number, reason), failed.explanation.en
    assert failed.explanation.zh


def other_terms(law: dict[str, Any]) -> None:
    law["terms"] = base64.b64encode(b"{}").decode()


def time_too_few(law: dict[str, Any]) -> None:
    law["times"].pop()


def test_other_terms() -> None:
    step = examine(with_law(other_terms)).steps[13]
    assert step.explanation.en == (
        "The terms in the file are not those that the contract was signed on."
    )


def test_a_time_too_few() -> None:
    step = examine(with_law(time_too_few)).steps[13]
    assert step.explanation.en.endswith(" times.")
    assert step.reason is Reason.BAD_FIELD


@functools.cache
def never_computed() -> LifeWorld:
    made = paid_world()
    made.publish_data()
    made.must("risk.declared", "merchant/m-1", {}, "m-1")
    made.must("closing.notified", "merchant/m-1", {"effective": "2026-03-01"}, "m-1")
    return made


def swapped_times(law: dict[str, Any]) -> None:
    law["times"][-2:] = law["times"][:-3:-1]


def swapped_pages(law: dict[str, Any]) -> None:
    law["pages"][:2] = law["pages"][1::-1]


def swapped_merchant(law: dict[str, Any]) -> None:
    law["merchant"][-2:] = law["merchant"][:-3:-1]


def doubled_pages(law: dict[str, Any]) -> None:
    """After the last computation, where nobody reads that two have one position."""
    law["pages"].append(law["pages"][-1] | {"position": 9_999})
    law["pages"].append(law["pages"][-1])


def strayed_pages(law: dict[str, Any]) -> None:
    law["pages"].append(law["pages"][-1] | {"position": 9_999, "series": "account/none"})


def meeting_times(law: dict[str, Any]) -> None:
    law["times"][-1] = law["times"][-2]


ORDERS: dict[str, Callable[[dict[str, Any]], None]] = {
    each.__name__: each
    for each in (
        *(swapped_times, swapped_pages, swapped_merchant, doubled_pages, strayed_pages),
        meeting_times,
    )
}


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize(("make", "signers"), [(world, SIGNERS), (never_computed, SIGNERS[:3])])
def test_papers_stand_in_one_order(
    name: str, make: Callable[[], LifeWorld], signers: tuple[str, ...]
) -> None:
    """What no `basis` binds could stand in any order, and nobody noticed."""
    made = make()
    raw = made.history("card-1", signers)
    assert verify_evidence(raw, made.chain_id).failed is None
    document = json.loads(raw)
    ORDERS[name](document["law"])
    assert encode_canonical(document) != raw
    failed = verify_evidence(encode_canonical(document), made.chain_id).failed
    assert failed is not None, "it passed as consistent"
    assert (failed.number, failed.reason) == (14, Reason.NOT_CANONICAL), failed.explanation.en
    assert failed.explanation.en.startswith(f"law.{name.rpartition('_')[2]}[")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda law: law.update(times="x"), "evidence file: times is not a list"),
        (lambda law: law.update(times=[-1]), "evidence file: law.times[0] is no time"),
        (
            lambda law: law.update(pages=[{}]),
            "evidence file: law.pages[0] is no document with a position",
        ),
        (
            lambda law: law.update(merchant=[1]),
            "evidence file: law.merchant[0] is no document with a position",
        ),
    ],
)
def test_papers_out_of_shape_make_the_file_unusable(change: Any, sentence: str) -> None:
    report = examine(with_law(change))
    assert report.steps[0].result is Result.FAILED
    assert report.steps[0].explanation.en.endswith(f"{sentence}.") or (
        sentence in report.steps[0].explanation.en
    )


@pytest.mark.parametrize("name", ["due_low", "due_high", "results"])
def test_a_figure_that_a_quorum_of_liars_put_on_the_chain(name: str) -> None:
    """The signatures all verify; the law gives another figure."""
    report = examine(lied(name, lambda value: value + 1)())
    failed = next(step for step in report.steps if step.result is Result.FAILED)
    assert failed.number == 14
    told = re.fullmatch(
        rf"Entry \d+ states {name} (\d+); derived again it is (\d+)\.", failed.explanation.en
    )
    assert told is not None
    assert int(told[1]) == int(told[2]) + 1


def papers() -> Any:
    return world().papers(CARD)


def test_a_contract_for_which_nothing_was_computed() -> None:
    made = busy_world()
    raw = made.history("card-1", SIGNERS)
    report = verify_evidence(raw, made.chain_id)
    assert report.is_consistent
    assert report.steps[13].explanation.en == "What is owed was not computed yet."


# Step 13: the books


def entry_with(kind: str, change: Callable[[list[Any]], None]) -> Report:
    """The report on a chain whose quorum lied about the first applied entry of a kind."""
    from tests.verifier.small_chain import alter

    index = next(
        index
        for index in world().indices_of(CARD)
        if f'"kind":"{kind}"'.encode() in world().leaves[index]
    )
    lying = forge(world(), {index: alter(world().leaves[index], change)})
    return verify_evidence(lying.history("card-1", SIGNERS, law=papers()), lying.chain_id)


def test_the_books_are_replayed() -> None:
    report = examine(file())
    assert report.steps[12].explanation.en == (
        "Replayed: locked 996.00 yuan + released 0.00 yuan + refunded 4.00 yuan = deposited "
        "1000.00 yuan + interest 0.00 yuan, as the state holds it."
    )
    assert report.facts["balance_fen"] == {
        "deposited": 100_000, "interest": 0, "locked": 99_600, "paid": 100_000,
        "refunded": 400, "released": 0,
    }  # fmt: skip


def test_a_balance_that_does_not_follow() -> None:
    def lie(fields: list[Any]) -> None:
        place = next(n for n, (name, _) in enumerate(fields[4][2]) if name == "locked")
        fields[4][2][place][1] += 1

    step = entry_with("funds.locked", lie).steps[12]
    assert step.explanation.en == (
        "entries[1]: it states locked 100001, but the entries give 100000 (fen)."
    )


def test_a_record_that_does_not_follow() -> None:
    import msgpack

    from ledger.stream import decode_stored_stream

    record = msgpack.unpackb(decode_stored_stream(world().memory.streams[CARD]).value)[2]
    record[8] += 1
    lying = forge(world(), records={CARD: record})
    report = verify_evidence(lying.history("card-1", SIGNERS, law=papers()), lying.chain_id)
    assert report.steps[12].explanation.en == (
        "The state holds paid 100001; the entries give 100000."
    )


def test_a_truth_value_in_the_record_is_no_number() -> None:
    import msgpack

    from ledger.stream import decode_stored_stream

    record = msgpack.unpackb(decode_stored_stream(world().memory.streams[CARD]).value)[2]
    for place, value, sentence in (
        (1, True, "The state's record is not of a version this verifier knows."),
        (14, False, "The state holds released False; the entries give 0."),
    ):
        assert record[place] == value
        changed = [*record[:place], value, *record[place + 1 :]]
        lying = forge(world(), records={CARD: changed})
        report = verify_evidence(lying.history("card-1", SIGNERS, law=papers()), lying.chain_id)
        assert report.steps[12].explanation.en == sentence


def test_a_refusal_that_names_another_balance() -> None:
    made = LifeWorld()
    made.sign()
    made.done("funds.locked", LOCKED, "bank-0")
    made.event("funds.released", {"amount": 100_001}, "bank-0")
    signers = ("m-1", "c-1", "bank-0")
    assert verify_evidence(made.history("card-1", signers), made.chain_id).is_consistent
    index = made.indices_of(CARD)[-1]

    def lie(fields: list[Any]) -> None:
        fields[4][2][0][1] = 7

    from tests.verifier.small_chain import alter

    law = made.papers(CARD)
    lying = forge(made, {index: alter(made.leaves[index], lie)})
    report = verify_evidence(lying.history("card-1", signers, law=law), lying.chain_id)
    assert report.steps[12].explanation.en == (
        "entries[2]: refused 100001 fen as more than is locked, but 100000 fen were locked."
    )


def test_money_that_was_not_there() -> None:
    def lie(fields: list[Any]) -> None:
        fields[4] = [False, "", [["state", "ending"], ["finding", "none"]]]

    step = entry_with("refund.paid", lie).steps[12]
    assert step.explanation.en == (
        "entries[9]: 1000000000 fen were moved, but only 100000 were locked."
    )


def rates_of(account: str, ppm: int) -> dict[str, Any]:
    return {
        "format": "evidence-ledger/published",
        "points": [{"from": "2025-01-01", "ppm": ppm}],
        "series": f"account/{account}",
        "source": "the bank",
        "version": 1,
    }


@pytest.mark.parametrize("locked", [("a/1", "a.1"), ("a.1",)])
def test_pages_of_two_accounts_in_one_stream_are_no_disorder(locked: tuple[str, ...]) -> None:
    """Names with a stroke and a full stop share a stream: an honest node's file was refused."""
    made = LifeWorld()
    assert not made.sign().refused
    for account in locked:
        made.done("funds.locked", LOCKED | {"account": account, "custody": "ordered"}, "bank-0")
    for ppm, account in enumerate(("a/1", "a.1", "a/1")):
        page = {"document": rates_of(account, ppm)}
        made.must("data.publish", "published/account.bank-0.a.1", page, "bank-0")
    made.publish_data()
    made.done("refund.computed", {"as_of": AS_OF}, "c-1")
    report = verify_evidence(made.history("card-1", SIGNERS[:3]), made.chain_id)
    assert report.failed is None, report.failed.explanation.en
