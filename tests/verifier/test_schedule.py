"""A merchant's schedule of claims: what verifies, and what must not, with step and reason.

The total is of one height, and the chain goes on while the lines are made: some contracts are
proven later than the total, with entries that came after it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from ledger.canonical import encode_canonical
from ledger.evidence import encode_schedule_head
from ledger.refusal import Reason
from ledger.stream import decode_stored_stream, decode_stream_value
from tests.contracts.life_world import LOCKED, PERSONS, LifeWorld
from tests.contracts.test_claims import crowded, stream_of
from tests.verifier.small_chain import SmallChain, forge
from tests.verifier.test_liabilities import plain
from verifier import verify
from verifier.main import main
from verifier.report import Report, Result
from verifier.verify import SCHEDULE_STEPS, verify_evidence, verify_schedule

COUNT = 5
REFUNDED = 2


def signers(chain: SmallChain, contract: str) -> list[str]:
    found: set[str] = set()
    for index in chain.indices_of(f"contract/{contract}"):
        body = json.loads(msgpack.unpackb(chain.leaves[index])[3][0])
        found.update(body["signers"])
    return sorted(found)


def head_of(chain: SmallChain, merchant: str = "m-1") -> bytes:
    newest = chain.headers[-1]
    return encode_schedule_head(
        genesis=chain.genesis.raw,
        header=chain.leaves[newest.index],
        header_proof=chain.proof(newest.index),
        merchant=chain.proven(f"merchant/{merchant}"),
    )


def line_of(chain: SmallChain, contract: str) -> bytes:
    return chain.history(contract, signers(chain, contract), genesis=None)


@functools.cache
def built() -> tuple[LifeWorld, tuple[bytes, ...]]:
    """The chain afterwards, and the lines: head, then one for each contract."""
    made = crowded(COUNT)
    made.publish_data()
    stream = stream_of(REFUNDED)
    made.must("termination.requested", stream, {"cure_until": None}, "c-1")
    made.must("refund.computed", stream, {"as_of": "2026-01-20"}, "bank-0")
    made.must("contract.signed", "contract/other", made.signing() | {"merchant": "m-2"}, "m-2")
    made.must("prepaid.open", "contract/plain", plain(), "m-1")
    lines = [head_of(made), line_of(made, "k-0")]
    # The chain goes on: another payment, a further contract, a release.
    made.must("funds.locked", stream_of(1), LOCKED | {"amount": 7}, "bank-0")
    made.must("contract.signed", "contract/late", made.signing(), "m-1", "c-1")
    lines += [line_of(made, f"k-{at}") for at in range(1, 4)]
    made.must("refund.computed", stream, {"as_of": "2026-01-21"}, "bank-0")
    lines += [line_of(made, f"k-{at}") for at in range(4, COUNT)]
    return made, tuple(lines)


def world() -> LifeWorld:
    return built()[0]


def lines_of() -> list[bytes]:
    return list(built()[1])


def whole() -> bytes:
    return b"".join(lines_of())


def examine(raw: bytes) -> Report:
    return verify_evidence(raw, world().chain_id)


def test_every_contract_is_there_with_its_amounts() -> None:
    report = examine(whole())
    assert report.is_consistent, report.failed
    assert [step.number for step in report.steps] == [1, 2, 3, 4, 5, 16, 20, 21]
    rows: Any = report.facts["schedule"]
    assert [row["contract"] for row in rows] == [f"k-{at}" for at in range(COUNT)]
    assert [row["locked"] for row in rows] == [100, 200, 300, 400, 500]  # without the later 7
    assert [row["owed"] > 0 for row in rows] == [at == REFUNDED for at in range(COUNT)]
    sums: Any = report.facts["schedule_fen"]
    assert sums == {
        name: sum(row[name] for row in rows)
        for name in ("paid", "released", "refunded", "locked", "owed")
    }
    assert report.facts["contracts"] == COUNT
    assert len({row["height"] for row in rows}) > 1
    assert report.steps[-1].explanation.en == (
        "These 5 are all contracts under terms that the merchant has as of height "
        f"{report.facts['height']}; none is left out and none "
        f"counted twice: 15.00 yuan paid, 0.00 yuan released, 0.00 yuan refunded, 15.00 yuan "
        f"locked, at most {sums['owed'] // 100}.{sums['owed'] % 100:02} yuan owed."
    )


@functools.cache
def bearing() -> tuple[LifeWorld, bytes]:
    """What the account bore was paid to a consumer whose refund was computed and paid in part."""
    made = crowded(2)
    made.publish_data()
    stream = stream_of(1)
    made.must("interest.accrued", stream, {"amount": 12}, "bank-0")
    made.must("termination.requested", stream, {"cure_until": None}, "c-1")
    made.must("refund.computed", stream, {"as_of": "2026-01-20"}, "bank-0")
    made.must("interest.paid", stream, {"amount": 12, "payee": PERSONS["party"]}, "bank-0")
    paid = {"amount": 50, "payee": PERSONS["party"], "source": "custody"}
    made.must("refund.paid", stream, paid, "bank-0")
    return made, b"".join([head_of(made), line_of(made, "k-0"), line_of(made, "k-1")])


def test_the_accounts_interest_takes_nothing_off_what_is_owed() -> None:
    made, raw = bearing()
    report = verify_evidence(raw, made.chain_id)
    assert report.is_consistent, report.failed
    rows: Any = report.facts["schedule"]
    assert rows[1] == rows[1] | {"refunded": 62, "locked": 150, "owed": 150}


def test_the_lines_may_come_one_by_one() -> None:
    """What is in memory is one line: nothing is asked for before the last is done with."""
    asked: list[int] = []

    def give() -> Any:
        for at, line in enumerate(lines_of()):
            asked.append(at)
            yield line

    report = verify_schedule(give(), world().chain_id)
    again = examine(whole())
    assert (report, report.limits) == (again, again.limits)
    assert asked == list(range(COUNT + 1))


# Mutations

Lines = list[bytes]


def changed(alter: Callable[[Lines], Any]) -> Callable[[], bytes]:
    def make() -> bytes:
        lines = lines_of()
        alter(lines)
        return b"".join(lines)

    return make


def member(at: int, **members: Any) -> Callable[[], bytes]:
    def alter(lines: Lines) -> None:
        lines[at] = encode_canonical(json.loads(lines[at]) | members) + b"\n"

    return changed(alter)


def swap(one: int, other: int) -> Callable[[Lines], None]:
    def alter(lines: Lines) -> None:
        lines[one], lines[other] = lines[other], lines[one]

    return alter


def entry_dropped(lines: Lines) -> None:
    document = json.loads(lines[2])
    document["entries"].pop()
    document["law"]["times"].pop()
    lines[2] = encode_canonical(document) + b"\n"


def early_line(lines: Lines) -> None:
    """The first contract as it was before the total's height."""
    early = crowded(COUNT)
    assert early.chain_id == world().chain_id
    lines[1] = line_of(early, "k-0")


def forged_record(stream: str, place: int, value: Any) -> Callable[[], bytes]:
    """What a dishonest quorum would state in the merchant's record, every proof agreeing."""

    def make() -> bytes:
        made = world()
        record = decode_stream_value(decode_stored_stream(made.memory.streams[stream]).value)
        assert record.record is not None
        lying_record = list(record.record)
        lying_record[place] = value(lying_record[place]) if callable(value) else value
        lying = forge(made, records={stream: lying_record})
        contracts = [f"k-{at}" for at in range(COUNT)] + ["late"]
        return head_of(lying) + b"".join(line_of(lying, contract) for contract in contracts)

    return make


def of_party(**members: str) -> Callable[[], bytes]:
    """Another record or proof of a party in the third line, whose header is that of the second."""

    def alter(lines: Lines) -> None:
        assert json.loads(lines[2])["header"] == json.loads(lines[3])["header"]
        document = json.loads(lines[3])
        first, second = document["parties"][:2]
        first |= {name: second[taken] for name, taken in members.items()}
        lines[3] = encode_canonical(document) + b"\n"

    return changed(alter)


def with_line(at: int, contract: str) -> Callable[[], bytes]:
    return changed(lambda lines: lines.__setitem__(at, line_of(world(), contract)))


Mutation = tuple[Callable[[], bytes], int, Reason]
MUTATIONS: dict[str, Mutation] = {
    **{
        f"contract-{at}-left-out": (changed(lambda lines, at=at: lines.pop(at)), 21, reason)
        for at, reason in ((1, Reason.ROOT_MISMATCH), (3, Reason.ROOT_MISMATCH))
    },
    "the-last-left-out": (changed(lambda lines: lines.pop()), 21, Reason.ROOT_MISMATCH),
    "none-there": (lambda: lines_of()[0], 21, Reason.ROOT_MISMATCH),
    "one-left-out-one-twice": (
        changed(lambda lines: lines.__setitem__(3, lines[2])), 21, Reason.ROOT_MISMATCH,
    ),
    "one-too-many": (changed(lambda lines: lines.append(lines[1])), 21, Reason.ROOT_MISMATCH),
    "a-later-contract-added": (
        changed(lambda lines: lines.append(line_of(world(), "late"))), 21, Reason.ROOT_MISMATCH,
    ),
    "a-later-contract-instead": (with_line(3, "late"), 20, Reason.WRONG_HEIGHT),
    "another-merchants-instead": (with_line(3, "other"), 20, Reason.BAD_FIELD),
    "a-plain-one-instead": (with_line(3, "plain"), 20, Reason.BAD_FIELD),
    "two-exchanged": (changed(swap(1, 2)), 21, Reason.ROOT_MISMATCH),
    "reversed": (changed(lambda lines: lines.__setitem__(slice(1, None), lines[:0:-1])), 21,
                 Reason.ROOT_MISMATCH),
    "head-last": (changed(swap(0, COUNT)), 1, Reason.NOT_CANONICAL),
    "head-twice": (changed(lambda lines: lines.insert(0, lines[0])), 20, Reason.BAD_FIELD),
    "an-entry-dropped": (changed(entry_dropped), 20, Reason.ROOT_MISMATCH),
    "a-line-of-before-the-total": (changed(early_line), 20, Reason.WRONG_HEIGHT),
    "cut-in-the-last-line": (lambda: whole()[:-100], 20, Reason.MALFORMED),
    "last-line-feed-gone": (lambda: whole()[:-1], 20, Reason.MALFORMED),
    "cut-in-the-head": (lambda: lines_of()[0][:-100], 1, Reason.MALFORMED),
    "an-empty-line": (changed(lambda lines: lines.insert(2, b"\n")), 20, Reason.MALFORMED),
    "a-carriage-return": (
        changed(lambda lines: lines.__setitem__(2, lines[2][:-1] + b"\r\n")), 20,
        Reason.NOT_CANONICAL,
    ),
    "a-space": (
        changed(lambda lines: lines.__setitem__(2, b" " + lines[2])), 20, Reason.NOT_CANONICAL,
    ),
    "an-empty-line-at-the-end": (lambda: whole() + b"\n", 21, Reason.ROOT_MISMATCH),
    "genesis-in-a-line": (member(2, genesis="AAAA"), 20, Reason.BAD_FIELD),
    "unknown-member": (member(2, comment="see page 3"), 20, Reason.BAD_FIELD),
    "unknown-member-in-the-head": (member(0, note="x"), 1, Reason.BAD_FIELD),
    "another-partys-record": (of_party(value="value"), 20, Reason.BAD_PROOF),
    "another-partys-proof": (of_party(proof="proof"), 20, Reason.BAD_PROOF),
    "another-partys-record-and-proof": (
        of_party(value="value", proof="proof"), 20, Reason.BAD_PROOF,
    ),
    "another-partys-name": (of_party(stream="stream"), 20, Reason.UNKNOWN_PARTY),
    "the-parties-of-an-earlier-state": (
        changed(lambda lines: lines.__setitem__(
            2, encode_canonical(json.loads(lines[2]) | {
                "parties": json.loads(lines[1])["parties"]
            }) + b"\n")),
        20, Reason.BAD_PROOF,
    ),
    "another-contracts-name": (member(2, contract="k-2"), 20, Reason.BAD_FIELD),
    "entries-of-none": (member(2, entries=[]), 20, Reason.UNKNOWN_PARTY),
    "another-header": (
        changed(lambda lines: lines.__setitem__(
            4, encode_canonical(json.loads(lines[4]) | {
                name: json.loads(lines[1])[name] for name in ("header", "header_proof")
            }) + b"\n")),
        20, Reason.BAD_PROOF,
    ),
    "head-of-another-height": (
        changed(lambda lines: lines.__setitem__(
            0, encode_canonical(json.loads(lines[0]) | {
                name: json.loads(lines[4])[name] for name in ("header", "header_proof")
            }) + b"\n")),
        16, Reason.BAD_PROOF,
    ),
    "merchant-of-another": (
        changed(lambda lines: lines.__setitem__(0, head_of(world(), "m-2"))), 20,
        Reason.WRONG_HEIGHT,
    ),
    "other-chain": (
        lambda: head_of(_other()), 2, Reason.WRONG_CHAIN,
    ),
    "quorum-lies-of-the-number": (forged_record("merchant/m-1", 3, COUNT), 21,
                                  Reason.ROOT_MISMATCH),
    "quorum-lies-of-the-hash": (forged_record("merchant/m-1", 11, bytes(32)), 21,
                                Reason.ROOT_MISMATCH),
    "quorum-lies-of-what-was-released": (forged_record("merchant/m-1", 7, 5), 21,
                                         Reason.ROOT_MISMATCH),
    "quorum-lies-of-what-is-locked": (
        forged_record("merchant/m-1", 6, lambda locked: locked - 500), 21, Reason.ROOT_MISMATCH,
    ),
    "quorum-lies-of-one-contract": (
        forged_record(stream_of(0), 13, lambda locked: locked + 1), 20, Reason.ROOT_MISMATCH,
    ),
}  # fmt: skip


@functools.cache
def _other() -> LifeWorld:
    made = crowded(1)
    made.genesis = SmallChain(network="other.evidence.example").genesis
    return made


@functools.cache
def computed(more_ppm: int = 0) -> tuple[LifeWorld, tuple[bytes, ...]]:
    """A schedule of two contracts for which the law selects from the same pages."""
    made = crowded(2)
    made.publish_data(more_ppm)
    for at in range(2):
        made.must("refund.computed", stream_of(at), {"as_of": "2026-01-20"}, "bank-0")
    return made, (head_of(made), *(line_of(made, f"k-{at}") for at in range(2)))


@pytest.mark.parametrize("line", [1, 2])
@pytest.mark.parametrize("altered", ["", "ppm", "source"])
def test_a_page_is_judged_in_each_line_by_what_it_says_there(line: int, altered: str) -> None:
    made, (head, *lines) = computed()
    document = json.loads(lines[line - 1])
    page = document["law"]["pages"][0]
    if altered == "ppm":
        page["points"][0]["ppm"] += 1
    elif altered:
        page[altered] += "?"
    lines[line - 1] = encode_canonical(document) + b"\n"
    report = verify_evidence(b"".join([head, *lines]), made.chain_id)
    if not altered:
        assert report.is_consistent
        return
    assert report.failed is not None
    assert (report.failed.number, report.failed.reason) == (20, Reason.ROOT_MISMATCH)
    assert report.failed.explanation.en.startswith(f"Contract {line}, step 14 (what is owed)")


def without_papers(*places: int) -> tuple[bytes, bytes]:
    """A schedule of two contracts, of some of them the record alone; and its chain's id."""
    made, (head, *lines) = computed()
    for place in places:
        document = json.loads(lines[place])
        del document["law"]
        lines[place] = encode_canonical(document | {"kind": "history"}) + b"\n"
    return b"".join([head, *lines]), made.chain_id


@pytest.mark.parametrize("places", [(), (1,), (0, 1)])
def test_what_is_not_derived_again_is_counted_among_the_limits(places: tuple[int, ...]) -> None:
    report = verify_evidence(*without_papers(*places))
    assert report.is_consistent, report.failed
    said = [limit for limit in report.limits if "was not derived again" in limit.en]
    assert len(said) == bool(places)
    if places:
        contracts = "1 contract" if len(places) == 1 else f"{len(places)} contracts"
        assert said[0].en == (
            f"Of {contracts} what is owed is as it was computed on the chain, and was not derived "
            "again: the file holds no terms and no published data of theirs."
        )
        assert f"其中 {len(places)} 份合同的应退余额" in said[0].zh


@pytest.mark.parametrize("order", [(0, 20_000), (20_000, 0)])
def test_two_pages_of_one_place_are_each_read_in_its_own_line(order: tuple[int, int]) -> None:
    """A quorum of liars may sign two histories whose pages differ where one place is concerned.
    Each line is then judged by its own, and no line by what was read for the one before."""
    (made, (head, first, _)), (_, (_, _, second)) = (computed(more) for more in order)
    pages = [json.loads(line)["law"]["pages"] for line in (first, second)]
    assert [page["position"] for page in pages[0]] == [page["position"] for page in pages[1]]
    assert pages[0] != pages[1]
    report = verify_evidence(b"".join([head, first, second]), made.chain_id)
    assert report.is_consistent, report.failed


def test_there_are_enough_mutations() -> None:
    assert len(MUTATIONS) >= 30


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_refused(name: str) -> None:
    make, number, reason = MUTATIONS[name]
    report = examine(make())
    failed = report.failed
    assert failed is not None, name
    assert (failed.number, failed.reason) == (number, reason), failed.explanation.en
    after = report.steps[report.steps.index(failed) + 1 :]
    assert all(step.result is Result.NOT_RUN for step in after)


def test_a_contract_left_out_is_told_by_number() -> None:
    failed = examine(MUTATIONS["contract-3-left-out"][0]()).failed
    assert failed is not None
    assert failed.explanation.en == (
        "The merchant's record counts 5 contracts and the file holds 4: 1 missing."
    )
    assert failed.explanation.zh == "经营者的记录载明 5 份合同，文件中有 4 份，缺少 1 份。"


def test_the_line_and_the_step_at_fault_are_told() -> None:
    failed = examine(MUTATIONS["an-entry-dropped"][0]()).failed
    assert failed is not None
    assert failed.explanation.en == (
        "Contract 2, step 12 (completeness): The state counts 3 entries and the file holds 2: 1 "
        "missing."
    )


def test_the_command_line_prints_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "m-1.schedule.jsonl"
    file.write_bytes(whole())
    trusted = ["--genesis-hash", world().chain_id.hex()]
    assert main([str(file), *trusted, "--lang", "en"]) == 0
    rows = capsys.readouterr().out.splitlines()[-COUNT - 2 :]
    assert rows[0].split() == ["contract", "paid", "released", "refunded", "locked", "owed"]
    assert rows[1].split() == ["k-0", "1.00", "0.00", "0.00", "1.00", "0.00"]
    assert rows[-1].split()[:5] == ["all", "15.00", "0.00", "0.00", "15.00"]
    file.write_bytes(MUTATIONS["contract-3-left-out"][0]())
    assert main([str(file), *trusted, "--lang", "zh"]) == 1
    said = capsys.readouterr().out
    assert "结论：不一致（第 21 步失败）" in said
    assert "  k-0  " not in said
    assert "应退余额" not in said.splitlines()[-1]
    assert main([str(file)]) == 2
    assert world().chain_id.hex() in capsys.readouterr().out


def test_a_line_beyond_the_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command reads no more of a line than the bound allows."""
    bound = max(map(len, lines_of())) - 1
    for module in ("verifier.main", "verifier.evidence_file"):
        monkeypatch.setattr(f"{module}.FILE_BYTES_MAX", bound)
    file = tmp_path / "m-1.schedule.jsonl"
    file.write_bytes(whole())
    assert main([str(file), "--genesis-hash", world().chain_id.hex(), "--lang", "en"]) == 1
    assert f"more than {bound} bytes in a line." in capsys.readouterr().out


def test_the_steps_of_a_line_are_those_of_a_history() -> None:
    assert SCHEDULE_STEPS[5][0] == 20
    assert [number for number, _, _ in verify.STEPS[2:]] == list(range(4, 16))
