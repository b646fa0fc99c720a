"""Step 15: fields shown in a file are those that its entries commit to; all else is refused."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.disclosure import (
    FIELDS,
    Disclosure,
    compute_commitment,
    describe_disclosure,
    disclose,
    make_fields,
)
from ledger.evidence import add_disclosures
from ledger.refusal import Reason
from tests.contracts.life_world import PERSONS, LifeWorld
from tests.verifier.small_chain import SmallChain
from verifier.field_words import FIELD_WORDS
from verifier.report import Report, Result
from verifier.verify import verify_evidence

CARD = "contract/card-1"
VALUES = {"name": "张小宝", "phone": "13800138000", "wallet_id": "0021000312345678"}
CORRECTED = VALUES | {"phone": "13900139000"}


def fields(values: dict[str, str], seed: int) -> Any:
    chance = random.Random(seed)
    return make_fields(values, [chance.randbytes(16) for _ in FIELDS])


FIRST, SECOND, FOREIGN = fields(VALUES, 1), fields(CORRECTED, 2), fields(VALUES, 3)


def show(which: Any, *names: str, contract: str = "card-1") -> Disclosure:
    return disclose(contract, which, names)


@functools.cache
def chain() -> SmallChain:
    """A card opened with a field commitment in the consumer's place, then corrected."""
    made = SmallChain()
    data = {"keys": [made.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    made.commit(made.submit("party.register", "party/m-1", data, "bank-0"))
    opening = {
        "consumer": compute_commitment("card-1", FIRST).hex(),
        "custodian": "bank-1",
        "industry": "fitness",
        "merchant": "m-1",
        "terms_hash": "cd" * 32,
    }
    made.commit(made.submit("prepaid.open", CARD, opening, "m-1"))
    opened = made.chain.stream(CARD).newest.hex()
    made.commit(made.submit("prepaid.prepay", CARD, {"amount": 100}, "m-1"))
    correction = {"commitment": compute_commitment("card-1", SECOND).hex(), "of": opened}
    made.commit(
        made.submit("private.committed", CARD, correction, "bank-1"),
        made.submit(
            "private.committed",
            CARD,
            {"commitment": compute_commitment("card-1", FOREIGN).hex()},
            "m-1",  # refused: the custodian must sign
        ),
    )
    made.commit()
    return made


def named(value: str) -> tuple[SmallChain, bytes]:
    """A card whose consumer's name is any text, and its record with the name shown."""
    held = fields({"name": value}, 4)
    made = SmallChain()
    data = {"keys": [made.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    made.commit(made.submit("party.register", "party/m-1", data, "bank-0"))
    opening = {
        "consumer": compute_commitment("card-1", held).hex(),
        "custodian": "bank-1",
        "industry": "fitness",
        "merchant": "m-1",
        "terms_hash": "cd" * 32,
    }
    made.commit(made.submit("prepaid.open", CARD, opening, "m-1", reference="R。1, R = 2"))
    return made, add_disclosures(made.history("card-1", ["m-1"]), [show(held, "name")])


def history(*disclosures: Disclosure) -> bytes:
    return add_disclosures(chain().history("card-1", ["m-1", "bank-1"]), disclosures)


def step_of(report: Report) -> Any:
    return next(step for step in report.steps if step.number == 15)


def test_what_is_shown_and_what_is_withheld_is_said() -> None:
    report = verify_evidence(history(show(FIRST, "name", "health")), chain().chain_id)
    assert report.is_consistent, report.failed
    withheld = [name for name in FIELDS if name not in ("name", "health")]
    told = [f"{FIELD_WORDS[name].zh}（{name}）" for name in withheld]
    assert told[0] == "银行账号（account_number）"
    step = step_of(report)
    assert step.explanation.en == (
        "The entry at index 4 (height 2, prepaid.open) commits to 32 fields as consumer; "
        '2 disclosed: health is empty, name = "张小宝"; 30 withheld, filled or empty, and proven '
        f"unchanged: {', '.join(withheld)}. This commitment was corrected later, in the entry at "
        "index 8."
    )
    assert step.explanation.zh == (
        "第 4 号条目（高度 2）的 prepaid.open 以 consumer 承诺了 32 项信息；披露 2 项：健康信息"
        '为空、消费者姓名 = "张小宝"；未披露 30 项（有无内容不可知），经证明未改动：'
        f"{'、'.join(told)}。该承诺其后已被更正（第 8 号条目）。"
    )
    assert report.facts["disclosed"] == [
        {
            "commitment": compute_commitment("card-1", FIRST).hex(),
            "fields": {"health": None, "name": "张小宝"},
            "index": 4,
            "member": "consumer",
            "withheld": withheld,
        }
    ]
    assert "whether they were true then, this file does not prove" in report.limits[-1].en


def test_a_value_does_not_read_like_another_field() -> None:
    """Who chose the values would show a name, and withhold the identity number beside it."""
    for value, shown in (
        ("Alice, id_number = 440300199001011234", '"Alice, id_number = 440300199001011234"'),
        ('Alice" and more', '"Alice\\" and more"'),
        ("Alice; 0 withheld", '"Alice; 0 withheld"'),
        ("Alice ", '"Alice "'),
        ("Alice Wong", "Alice Wong"),
        ("is empty\n", '"is empty\\n"'),
    ):
        made, raw = named(value)
        report = verify_evidence(raw, made.chain_id)
        assert report.is_consistent, report.failed
        assert f" 1 disclosed: name = {shown}; 31 withheld" in step_of(report).explanation.en


def test_before_and_after_a_correction_stand_in_one_file() -> None:
    raw = history(show(FIRST, "phone"), show(SECOND, "phone"))
    report = verify_evidence(raw, chain().chain_id)
    assert report.is_consistent, report.failed
    said = step_of(report).explanation.en
    assert "phone = 13800138000" in said
    assert "phone = 13900139000" in said
    assert said.endswith("It was not corrected since.")
    assert "balance_fen" in report.facts, "a commitment among its entries hinders no replay"


def test_the_file_of_one_transaction_shows_fields_as_well() -> None:
    index = chain().indices_of(CARD)[2]
    parts = chain().transaction(index, ["bank-1"])
    raw = add_disclosures(parts.encode(), [show(SECOND, "phone")])
    report = verify_evidence(raw, chain().chain_id)
    assert report.is_consistent, report.failed
    assert "private.committed) commits to 32 fields as commitment" in step_of(report).explanation.en
    other = add_disclosures(parts.encode(), [show(FIRST, "phone")])
    failed = verify_evidence(other, chain().chain_id).failed
    assert failed is not None
    assert failed.reason is Reason.ROOT_MISMATCH


def test_a_guardian_of_a_case_is_shown() -> None:
    world = LifeWorld()
    guardian = fields({"guardian_name": "李大宝"}, 4)
    commitment = compute_commitment("card-1", guardian).hex()
    assert not world.sign(persons=PERSONS | {"guardian": commitment}).refused
    world.commit()
    raw = add_disclosures(
        world.history("card-1", ["m-1", "c-1"]), [disclose("card-1", guardian, ["guardian_name"])]
    )
    assert json.loads(raw)["kind"] == "case"
    report = verify_evidence(raw, world.chain_id)
    assert report.is_consistent, report.failed
    assert "contract.signed) commits to 32 fields as persons.guardian; 1 disclosed: " in (
        step_of(report).explanation.en
    )


def test_a_file_without_any_says_so() -> None:
    report = verify_evidence(chain().history("card-1", ["m-1", "bank-1"]), chain().chain_id)
    assert report.is_consistent
    assert step_of(report).result is Result.NOT_RUN
    assert step_of(report).explanation.en == "The file discloses no private fields."
    assert "disclosed" not in report.facts


def edited(change: Callable[[list[Any]], Any]) -> bytes:
    """A history whose disclosures, as JSON, were changed."""
    document = json.loads(history(show(FIRST, "name", "phone")))
    change(document["disclosures"])
    return encode_canonical(document)


def put(member: str, value: Any, at: int = 0) -> Callable[[list[Any]], None]:
    def change(listed: list[Any]) -> None:
        listed[0]["fields"][at][member] = value

    return change


def swap_names(listed: list[Any]) -> None:
    one, other = listed[0]["fields"]
    one["value"], other["value"] = other["value"], one["value"]


def swap_paths(listed: list[Any]) -> None:
    one, other = listed[0]["fields"]
    one["path"], other["path"] = other["path"], one["path"]


LEADS = "with its value, salt and path leads to commitment"
MUTATIONS: dict[str, tuple[Callable[[], bytes], int, Reason, str]] = {
    "value": (lambda: edited(put("value", "张小贝")), 15, Reason.BAD_PROOF, f"field name {LEADS}"),
    "value-emptied": (lambda: edited(put("value", None)), 15, Reason.BAD_PROOF, f"name {LEADS}"),
    "values-exchanged": (lambda: edited(swap_names), 15, Reason.BAD_PROOF, f"field name {LEADS}"),
    "salt": (lambda: edited(put("salt", "00" * 16)), 15, Reason.BAD_PROOF, f"field name {LEADS}"),
    "salt-short": (lambda: edited(put("salt", "00")), 1, Reason.BAD_FIELD, "salt is not 32 lower"),
    "path": (
        lambda: edited(put("path", ["00" * 32] * 5)), 15, Reason.BAD_PROOF, f"field name {LEADS}",
    ),
    "path-short": (lambda: edited(put("path", ["00" * 32])), 1, Reason.BAD_FIELD, "of 5 hashes"),
    "name-moved": (
        lambda: edited(put("name", "holder_name")), 15, Reason.BAD_PROOF, f"holder_name {LEADS}",
    ),
    "name-unknown": (
        lambda: edited(put("name", "nobody")), 1, Reason.BAD_FIELD, "there is no field 'nobody'",
    ),
    "second-field": (
        lambda: edited(put("value", "1", 1)), 15, Reason.BAD_PROOF, f"field phone {LEADS}",
    ),
    "shown-twice": (
        lambda: edited(lambda d: d[0]["fields"].insert(0, d[0]["fields"][0])),
        15, Reason.DUPLICATE, "disclosures[0]: field name is shown twice.",
    ),
    "out-of-order": (
        lambda: edited(lambda d: d[0]["fields"].reverse()),
        15, Reason.NOT_CANONICAL, "field name stands behind phone; fields are ascending",
    ),
    "no-field": (
        lambda: edited(lambda d: d[0]["fields"].clear()), 1, Reason.BAD_FIELD, "1 to 32 fields",
    ),
    "commitment": (
        lambda: edited(lambda d: d[0].update(commitment="00" * 32)),
        15, Reason.BAD_PROOF, f"field name {LEADS}",
    ),
    "other-contract": (
        lambda: edited(lambda d: d[0].update(contract="card-2")),
        15, Reason.BAD_FIELD, "it is of contract/card-2; the file is of contract/card-1",
    ),
    "made-for-another-contract": (
        lambda: history(show(FIRST, "name", contract="card-2")),
        15, Reason.BAD_FIELD, "it is of contract/card-2; the file is of contract/card-1",
    ),
    "renamed-to-this-contract": (
        lambda: edited(
            lambda d: d[0].update(
                fields=describe_disclosure(show(FIRST, "name", contract="card-2"))["fields"],
                commitment=compute_commitment("card-2", FIRST).hex(),
            )
        ),
        15, Reason.BAD_PROOF, f"field name {LEADS}",
    ),
    "never-committed": (
        lambda: history(show(fields(VALUES, 9), "name")),
        15, Reason.ROOT_MISMATCH, "no applied entry of this file holds commitment",
    ),
    "committed-by-a-refused-entry": (
        lambda: history(show(FOREIGN, "name")),
        15, Reason.ROOT_MISMATCH, "no applied entry of this file holds commitment",
    ),
    "same-commitment-twice": (
        lambda: history(show(FIRST, "name"), show(FIRST, "phone")),
        15, Reason.DUPLICATE, "has a disclosure already",
    ),
    "second-of-two": (
        lambda: history(show(FIRST, "name"), show(FOREIGN, "name")),
        15, Reason.ROOT_MISMATCH, "disclosures[1]: no applied entry",
    ),
    "empty-list": (
        lambda: edited(lambda d: d.clear()), 1, Reason.BAD_FIELD, "disclosures has 0; 1 to 64 may",
    ),
    "too-many": (
        lambda: edited(lambda d: d.extend(d * 64)), 1, Reason.BAD_FIELD, "disclosures has 65; 1 to",
    ),
    "member-more": (
        lambda: edited(lambda d: d[0].update(more=1)), 1, Reason.BAD_FIELD, "exactly commitment,",
    ),
    "format": (
        lambda: edited(lambda d: d[0].update(format="x")), 1, Reason.BAD_FIELD, "format is not",
    ),
    "paths-exchanged": (
        lambda: edited(swap_paths), 15, Reason.BAD_PROOF, f"field name {LEADS}",
    ),
    "path-longer": (
        lambda: edited(put("path", ["00" * 32] * 6)), 1, Reason.BAD_FIELD, "of 5 hashes",
    ),
    "path-of-no-hashes": (
        lambda: edited(put("path", ["0"] * 5)), 1, Reason.BAD_FIELD, "is not 64 lower",
    ),
    "value-a-number": (
        lambda: edited(put("value", 1)), 1, Reason.BAD_FIELD, "the value is no text",
    ),
    "salt-in-capitals": (
        lambda: edited(put("salt", "AB" * 16)), 1, Reason.BAD_FIELD, "salt is not 32 lower",
    ),
    "field-member-more": (
        lambda: edited(put("more", 1)), 1, Reason.BAD_FIELD, "exactly name, path, salt, value",
    ),
    "commitment-short": (
        lambda: edited(lambda d: d[0].update(commitment="00")), 1, Reason.BAD_FIELD,
        "commitment is not 64 lower",
    ),
    "not-a-list": (
        lambda: encode_canonical(json.loads(history(show(FIRST, "name"))) | {"disclosures": {}}),
        1, Reason.BAD_FIELD, "disclosures is not a list",
    ),
    "entry-of-the-commitment-gone": (
        lambda: encode_canonical(
            json.loads(history(show(FIRST, "name")))
            | {"entries": json.loads(history(show(FIRST, "name")))["entries"][1:]}
        ),
        12, Reason.ROOT_MISMATCH, "1 missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MUTATIONS)
def test_tampering_is_refused_by_name(what: str) -> None:
    make, number, reason, says = MUTATIONS[what]
    report = verify_evidence(make(), chain().chain_id)
    failed = report.failed
    assert failed is not None, "it passed as consistent"
    assert (failed.number, failed.reason) == (number, reason), failed
    assert says in failed.explanation.en, failed.explanation.en
    assert failed.explanation.zh
    assert "disclosed" not in report.facts


def test_the_commitment_of_an_earlier_step_is_not_trusted_alone() -> None:
    """A file whose entry was swapped for one with another commitment fails where entries are."""
    document = json.loads(history(show(FIRST, "name")))
    document["entries"] = document["entries"][1:]
    failed = verify_evidence(encode_canonical(document), chain().chain_id).failed
    assert failed is not None
    assert failed.number < 15
