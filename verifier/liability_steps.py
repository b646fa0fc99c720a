"""Steps 16 and 17: a merchant's total, and contracts that are in it.

The certified state holds, in the merchant's record, how many contracts it has, what is locked and
owed in all, and the hash of the sum tree over them. A contract is in the total if its leaf and the
path beside it lead to that hash and to those sums; the places of several must differ, so that none
counts twice. A contract that is shown is compared with its own rows of the state. One that is not
shown is a name that says nobody's; its amounts count all the same.
"""

from __future__ import annotations

from typing import Any, Final

from ledger import tags
from ledger.evidence import CONTRACT_PREFIX, ProvenClaim, ShownContract
from ledger.hashing import HASH_BYTES, tagged_hash
from ledger.refusal import Reason
from ledger.sum_tree import SumTotal, check_amounts, compute_leaf, verify_claim
from verifier.case import Case
from verifier.evidence_file import LiabilitiesFile, ScheduleFile
from verifier.replaying import is_same
from verifier.report import Refuted, Said, Saying, Words
from verifier.strict_msgpack import take_array, take_bytes, take_integer, take_text
from verifier.wording import count_contracts, format_fen, list_numbers, show_name

_MERCHANT: Final = 14
_CONTRACT: Final = 31
_SIGNED: Final = 11
"""Members of the three records, their kind included (docs/FORMATS.md, State)."""
_SUMS: Final = {"deposited": 4, "interest": 5, "locked": 6, "released": 7, "refunded": 8, "owed": 9}
"""Places of the merchant's sums in its record."""


def compute_owed(due: int, refunded: int, interest_paid: int, repaid: int) -> int:
    """Return a contract's claim: the computed refund less what was given back of it, in fen.

    `refunded` holds the account's interest that was paid out, which is no part of the refund.
    """
    return max(0, due - (refunded - interest_paid + repaid))


def check_total(case: Case) -> Said:
    """Step 16: what the merchant's record says of all its contracts, under the state root."""
    file = case.file
    assert isinstance(file, LiabilitiesFile | ScheduleFile), "the step concerns a merchant"
    stream = file.merchant.stream
    prefix, _, merchant = stream.partition("/")
    if prefix != "merchant" or not merchant:
        raise Refuted(
            Reason.BAD_FIELD,
            f"{show_name(stream)} 不是经营者的记录。",
            f"{show_name(stream)} is not the record of a merchant.",
        )
    record = _take_record(case.read_proven(file.merchant).record, "merchant", _MERCHANT, stream)
    total = SumTotal(
        hash=take_bytes(record[11], f"{stream}: claims", HASH_BYTES),
        size=take_integer(record[3], f"{stream}: contracts"),
        locked=take_integer(record[6], f"{stream}: locked"),
        owed=take_integer(record[9], f"{stream}: owed"),
    )
    check_amounts(total.locked, total.owed)
    case.total = total
    case.sums = {name: take_integer(record[at], f"{stream}: {name}") for name, at in _SUMS.items()}
    height = case.state_header.height
    case.facts |= {
        "merchant": merchant,
        "contracts": total.size,
        "total_fen": {"locked": total.locked, "owed": total.owed},
    }

    def say() -> Words:
        locked, owed = format_fen(total.locked), format_fen(total.owed)
        return Words(
            f"截至高度 {height}，经营者 {merchant} 共有 {total.size} 份合同，托管锁定合计 "
            f"{locked.zh}，已计算的应退余额合计至多 {owed.zh}。",
            f"As of height {height} merchant {merchant} has {count_contracts(total.size)}, with "
            f"{locked.en} locked in all and at most {owed.en} owed in all, as far as computed.",
        )

    return Saying(say)


def check_claims(case: Case) -> Said:
    """Step 17: each claim of the file is in the total, in a place of its own."""
    file = _file(case)
    places = [claim.place for claim in file.claims]
    if not places or places != sorted(set(places)):
        listed = list_numbers(places)
        raise Refuted(
            Reason.NOT_CANONICAL,
            f"合同位置 {listed.zh} 未按次序递增、有重复或为空。",
            f"The claims' places {listed.en} are not ascending, or one stands twice, or there is "
            "none.",
        )
    shown = []
    for claim in file.claims:
        leaf = compute_leaf(claim.name, claim.locked, claim.owed)
        verify_claim(case.total, claim.place, leaf, claim.path)
        if claim.shown is not None:
            shown.append(_check_shown(case, file, claim, claim.shown))
    locked = sum([claim.locked for claim in file.claims])
    owed = sum([claim.owed for claim in file.claims])
    case.facts |= {
        "claims": len(places),
        "claims_fen": {"locked": locked, "owed": owed},
        "shown": shown,
    }

    def say() -> Words:
        names = ", ".join(shown)
        locked_words, owed_words = format_fen(locked), format_fen(owed)
        return Words(
            f"{len(places)} 份合同各占一位、均计入上述合计，无一重复计算：锁定 {locked_words.zh}，"
            f"应退余额至多 {owed_words.zh}。所示合同：{names or '无'}；其余仅以不可辨认的代号"
            "列出。",
            f"{_tell_places(len(places))}: {locked_words.en} locked, at most {owed_words.en} owed. "
            f"Shown: {names or 'none'}; the others stand under names that say nobody's.",
        )

    return Saying(say)


def _tell_places(count: int) -> str:
    if count == 1:
        return "1 contract is in that total, in a place of its own and counted once"
    return f"{count} contracts are in that total, each in a place of its own and none counted twice"


def _check_shown(
    case: Case, file: LiabilitiesFile, claim: ProvenClaim, shown: ShownContract
) -> str:
    """Compare a claim with the rows of the contract that it is; return the contract's stream."""
    stream = shown.contract.stream
    if not stream.startswith(CONTRACT_PREFIX) or shown.signed.stream != f"signed/{stream}":
        one, other = show_name(stream), show_name(shown.signed.stream)
        raise Refuted(
            Reason.BAD_FIELD,
            f"第 {claim.place} 位所附为 {one} 与 {other}，不是同一合同的两项记录。",
            f"The claim at place {claim.place} shows {one} and {other}, which are not the two rows "
            "of one contract.",
        )
    record = _take_record(case.read_proven(shown.contract).record, "contract", _CONTRACT, stream)
    signed = _take_record(
        case.read_proven(shown.signed).record, "signed", _SIGNED, shown.signed.stream
    )
    merchant = f"merchant/{take_text(record[2], f'{stream}: merchant')}"
    due = record[21]
    if type(due) is not int or due < -1:
        raise Refuted(
            Reason.BAD_FIELD, f"{stream} 的应退金额不是整数。", f"{stream}: due_high is no amount."
        )
    refunded = take_integer(record[15], f"{stream}: refunded")
    repaid = take_integer(record[16], f"{stream}: repaid")
    interest_paid = take_integer(record[26], f"{stream}: interest_paid")
    party = take_bytes(signed[8], f"{shown.signed.stream}: party", HASH_BYTES)
    expected = {
        "merchant": (merchant, file.merchant.stream),
        "place": (take_integer(record[25], f"{stream}: place"), claim.place),
        "locked": (take_integer(record[13], f"{stream}: locked"), claim.locked),
        "owed": (compute_owed(due, refunded, interest_paid, repaid), claim.owed),
        "name": (tagged_hash(tags.CLAIM, party + stream.encode()).hex(), claim.name.hex()),
    }
    for member, (held, said) in expected.items():
        if held != said:
            raise Refuted(
                Reason.ROOT_MISMATCH,
                f"第 {claim.place} 位的 {member} 为 {said}，而 {stream} 的记录为 {held}。",
                f"The claim at place {claim.place} has {member} {said}, and the record of "
                f"{stream} has {held}.",
            )
    return stream


def _take_record(record: list[Any] | None, kind: str, length: int, name: str) -> list[Any]:
    if record is None or not is_same(record[:2], [kind, 1]) or len(record) != length:
        raise Refuted(
            Reason.BAD_FIELD,
            f"{name} 在链上状态中不是本核验程序认识的 {kind} 记录。",
            f"The state holds no {kind} record under {name} that this verifier knows.",
        )
    return take_array(record, name)


def _file(case: Case) -> LiabilitiesFile:
    assert isinstance(case.file, LiabilitiesFile), "only such a file is examined by these steps"
    return case.file
