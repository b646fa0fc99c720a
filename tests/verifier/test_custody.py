"""What a custodian states of its balance: told in words, computed again, none left out.

`tests/page` asks the page of the same tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.refusal import Reason
from tests.contracts.life_world import paid_world
from tests.verifier.mutating import set_field
from tests.verifier.proof_files import custody, custody_chain, state
from tests.verifier.small_chain import SmallChain, alter, forge
from verifier.report import Report
from verifier.verify import verify_evidence

Made = tuple[SmallChain, bytes]

STREAM = "custodian/bank-0"

GOOD: dict[str, Callable[[], Made]] = {
    "short": lambda: (custody_chain(), custody(1)),
    "equal": lambda: (custody_chain(), custody(2)),
    "state": lambda: (custody_chain(), state(custody_chain(), STREAM)),
    "state-without-statements": lambda: (paid_world(), state(paid_world(), STREAM)),
    "state-of-no-custodian": lambda: (custody_chain(), state(custody_chain(), "custodian/bank-9")),
    "state-of-rules-not-known": lambda: recorded(1, 2),
    "state-of-more-members": lambda: recorded(None, 0),
    "state-of-fewer-members": lambda: recorded(8),
}


def lied(number: int, *path: int, value: Any) -> Made:
    """A quorum of liars certified another outcome of a statement."""
    chain = custody_chain()
    index = chain.indices_of(STREAM)[number - 1]
    lying = forge(chain, {index: alter(chain.leaves[index], set_field(4, 2, *path, value=value))})
    return lying, custody(number, lying)


def recorded(place: int | None, *values: Any) -> Made:
    """A quorum of liars certified another record of the custodian: with other members, or none, in
    a place; None: at its end."""
    record: list[Any] = ["custodian", 1, 1, 100_000, 0, 100_000, 0, 0, 2]
    record[slice(len(record), None) if place is None else slice(place, place + 1)] = values
    lying = forge(custody_chain(), records={STREAM: record})
    return lying, state(lying, STREAM)


LIES: dict[str, tuple[Callable[[], Made], int, Reason]] = {
    "another-balance": (lambda: lied(1, 2, 1, value=90_001), 10, Reason.BAD_FIELD),
    "less-locked": (lambda: lied(1, 3, 1, value=99_999), 10, Reason.BAD_FIELD),
    "a-smaller-gap": (lambda: lied(1, 4, 1, value=9_999), 10, Reason.BAD_FIELD),
    "an-excess": (lambda: lied(1, 5, 1, value=1), 10, Reason.BAD_FIELD),
    "no-finding": (lambda: lied(1, 6, 1, value="custody_full"), 10, Reason.BAD_FIELD),
    "of-another-merchant": (lambda: lied(1, 1, 1, value="m-2"), 10, Reason.BAD_FIELD),
    "a-balance-in-words": (lambda: lied(1, 2, 1, value="90000"), 10, Reason.BAD_FIELD),
    "no-gap": (lambda: lied(2, 3, 0, value="hole"), 10, Reason.BAD_FIELD),
    "a-gap-of-nothing": (lambda: lied(2, 3, 1, value=1), 10, Reason.BAD_FIELD),
    "a-count-below-0": (lambda: recorded(8, -1), 18, Reason.BAD_FIELD),
    "a-sum-in-words": (lambda: recorded(5, "1"), 18, Reason.MALFORMED),
}


def examine(made: Made) -> Report:
    chain, raw = made
    return verify_evidence(raw, chain.chain_id)


def say(made: Made, number: int) -> tuple[str, str]:
    report = examine(made)
    assert report.is_consistent, report.failed
    words = next(step for step in report.steps if step.number == number).explanation
    return words.en, words.zh


def test_a_gap_is_told_in_words() -> None:
    english, chinese = say(GOOD["short"](), 10)
    assert english == (
        "A custodian's statement of its balance (custody.stated version 1): applied; after it "
        "number = 1, merchant = m-1, balance that the custodian states 900.00 yuan, locked 1000.00 "
        "yuan, gap (locked less balance) 100.00 yuan, balance above what is locked 0.00 yuan, "
        "found: less stands in custody than the ledger has locked (custody_short)."
    )
    assert chinese == (
        "托管机构陈述余额（custody.stated 第 1 版）：已生效，其后 编号 1，经营者 m-1，"
        "托管机构所称余额 900.00 元，锁定 1000.00 元，缺口（锁定减余额） 100.00 元，超出锁定之数 "
        "0.00 元，发现：托管余额少于账本锁定金额（custody_short）。"
    )


def test_a_gateway_signed_for_its_bank_and_nothing_is_short() -> None:
    english, _ = say(GOOD["equal"](), 10)
    assert english.endswith(
        "applied; after it number = 2, balance that the custodian states 1000.00 yuan, locked "
        "1000.00 yuan, gap (locked less balance) 0.00 yuan, balance above what is locked 0.00 yuan."
    )


def test_the_state_says_how_many_statements_there_are() -> None:
    english, chinese = say(GOOD["state"](), 18)
    assert english.endswith(
        "its record is custodian. Contracts whose money it keeps: 1, with 1000.00 yuan locked; "
        "its statements of a balance (custody.stated) have the numbers 1 to 2: whoever is "
        "shown fewer is not shown all."
    )
    assert chinese.endswith(
        "其登记为 custodian。该机构保管 1 份合同的资金，账本锁定 1000.00 元；其余额陈述"
        "（custody.stated）共 2 次，编号 1 至 2：出示不足此数的，即有未出示者。"
    )


def test_the_state_says_that_there_is_none() -> None:
    english, chinese = say(GOOD["state-without-statements"](), 18)
    assert english.endswith("it never stated a balance (custody.stated).")
    assert chinese.endswith("其从未陈述余额（custody.stated）。")
    assert (
        "has no custodian/bank-9: up to it no entry ever named it"
        in (say(GOOD["state-of-no-custodian"](), 18)[0])
    )


@pytest.mark.parametrize(
    "name", ["state-of-rules-not-known", "state-of-more-members", "state-of-fewer-members"]
)
def test_of_a_record_that_is_not_known_it_is_said_so(name: str) -> None:
    """Silence would look like a custodian that never stated anything."""
    english, chinese = say(GOOD[name](), 18)
    assert english.endswith(
        "; its record is custodian. The form of this record is not known here: its sums, and how "
        "many statements of a balance (custody.stated) there are, are not told."
    )
    assert chinese.endswith(
        "其登记为 custodian。此登记的格式不为本软件所识，其金额与余额陈述（custody.stated）次数"
        "未予说明。"
    )


@pytest.mark.parametrize("name", LIES)
def test_a_quorums_lie_about_custody_is_found(name: str) -> None:
    make, number, reason = LIES[name]
    failed = examine(make()).failed
    assert failed is not None
    assert (failed.number, failed.reason) == (number, reason)


def test_what_does_not_follow_is_told_with_its_values() -> None:
    failed = examine(LIES["a-smaller-gap"][0]()).failed
    assert failed is not None
    assert failed.explanation.en == (
        "Gap and excess do not follow from the balance stated and what is locked: balance 90000, "
        "locked 100000, gap 9999, excess 0 (fen)."
    )
