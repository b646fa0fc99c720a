"""Parties and keys: who may sign at exactly which height, and who may change that."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.execution import Executor
from contracts.parties import (
    AUTHORITY_ROLES,
    INSTITUTION_ROLES,
    KEYS_MAX,
    KEYS_OWN_MAX,
    SUBMITTER_ROLES,
    KeyRecord,
    PartyKey,
    PartyRecord,
    check_key,
)
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from ledger.transaction import Outcome, applied, refused, sign_transaction
from tests.contracts.world import World, read

KEYS = [SeedSigner(bytes([number]) * 32) for number in range(1, 40)]
STATEMENT = {"statement": "confirmed", "tx_id": "0" * 64}


def why_inadmissible(world: World, envelope: bytes) -> Reason | None:
    """Why the envelope may not stand in the next block, if it may not."""
    (verdict,) = Executor(world.chain, world.next_ms).admit([read(envelope).transaction])
    return None if verdict is None else verdict.reason


def signed_with(world: World, key: SeedSigner) -> bytes:
    body = world.body("attest", "contract/x", STATEMENT, "m-1")
    return sign_transaction(body, world.chain_id, [key])


TWO = "bank-0 bank-1"
"""Of different roles in `two_roles`, the first being the registrar."""


def two_roles(*more: str) -> World:
    return World(count=4 + len(more), roles=("bank", "payment", "bank", "bank", *more))


def register(world: World, by: str = "bank-0", **changes: Any) -> Outcome:
    data = {"keys": [KEYS[0].public_key.hex()], "party": "m-1", "role": "merchant"} | changes
    return world.one("party.register", f"party/{data['party']}", data, *by.split())


def change_key(world: World, kind: str, key: SeedSigner, by: str = TWO) -> Outcome:
    data = {"party": "m-1", "public_key": key.public_key.hex()}
    return world.one(kind, "party/m-1", data, *by.split())


def revoke(world: World, by: str = TWO) -> Outcome:
    return world.one("party.revoke", "party/m-1", {"party": "m-1"}, *by.split())


def test_a_party_signs_from_the_height_after_its_registration() -> None:
    world = two_roles()
    envelope = signed_with(world, KEYS[0])
    data = {"keys": [KEYS[0].public_key.hex()], "party": "m-1", "role": "merchant"}
    registration = world.submit("party.register", "party/m-1", data, "bank-0")
    executor = Executor(world.chain, world.next_ms)
    assert executor.admit([read(registration).transaction]) == [None]
    assert executor.execute([read(registration)]) == []
    (verdict,) = executor.admit([read(envelope).transaction])  # in the very block that registers it
    assert verdict is not None
    assert verdict.reason is Reason.UNKNOWN_PARTY
    assert world.run(registration) == [applied(("from_height", 2))]
    assert world.chain.header.height == 1
    assert why_inadmissible(world, envelope) is None
    assert world.record("party/m-1") == PartyRecord(
        "m-1", "merchant", "", "bank-0", 1, 0, [PartyKey(KEYS[0].public_key, 2, 0, ["bank-0"])]
    )


def test_a_revoked_party_signs_up_to_the_height_of_its_revocation() -> None:
    world = two_roles()
    register(world)
    revocation = world.submit("party.revoke", "party/m-1", {"party": "m-1"}, *TWO.split())
    outcomes = world.run(revocation, signed_with(world, KEYS[0]))
    assert outcomes[0] == applied(("revoked_height", 3))
    assert world.chain.header.height == 2
    assert why_inadmissible(world, signed_with(world, KEYS[0])) is Reason.KEY_NOT_VALID
    again = refused("already_revoked", ("revoked_height", 3))
    assert revoke(world) == again
    assert change_key(world, "party.add_key", KEYS[1]) == again
    assert register(world) == refused("party_exists", ("party", "m-1"))


def test_keys_begin_and_end_at_exact_heights() -> None:
    world = two_roles()
    register(world)
    assert why_inadmissible(world, signed_with(world, KEYS[1])) is Reason.UNKNOWN_KEY
    assert change_key(world, "party.add_key", KEYS[1]) == applied(
        ("from_height", 3), ("vouched_by", TWO)
    )
    assert why_inadmissible(world, signed_with(world, KEYS[1])) is None
    assert why_inadmissible(world, signed_with(world, KEYS[0])) is None
    data = {"party": "m-1", "public_key": KEYS[0].public_key.hex()}
    end = world.submit("party.revoke_key", "party/m-1", data, "bank-0")
    assert world.run(end, signed_with(world, KEYS[0]))[0] == applied(("until_height", 4))
    assert world.chain.header.height == 3
    assert why_inadmissible(world, signed_with(world, KEYS[0])) is Reason.KEY_NOT_VALID
    assert why_inadmissible(world, signed_with(world, KEYS[1])) is None
    again = change_key(world, "party.revoke_key", KEYS[0], "bank-0")
    assert again == refused("already_revoked", ("until_height", 4))
    back = change_key(world, "party.add_key", KEYS[0])
    assert back == refused("key_exists", ("public_key", KEYS[0].public_key.hex()))
    unknown = change_key(world, "party.revoke_key", KEYS[5], "bank-0")
    assert unknown == refused("unknown_key", ("public_key", KEYS[5].public_key.hex()))
    record = world.record("party/m-1")
    assert isinstance(record, PartyRecord)
    assert record.keys == [
        PartyKey(KEYS[0].public_key, 2, 4, ["bank-0"]),
        PartyKey(KEYS[1].public_key, 3, 0, ["bank-0", "bank-1"]),
    ]


@pytest.mark.parametrize(
    ("height", "is_valid"), [(1, False), (2, False), (3, True), (4, True), (5, False), (6, False)]
)
def test_a_key_is_valid_in_a_half_open_range_of_heights(height: int, is_valid: bool) -> None:
    key = KEYS[0].public_key
    record = PartyRecord("m-1", "merchant", "", "bank-0", 2, 0, [PartyKey(key, 3, 5, ["bank-0"])])
    assert record.keys[0].is_valid_at(height) is is_valid
    if is_valid:
        check_key(record, "m-1", key, height)
        return
    with pytest.raises(Rejected) as caught:
        check_key(record, "m-1", key, height)
    assert str(caught.value) == (
        f"key_not_valid: key {key.hex()} of party m-1 is valid for heights [3, 5); this is {height}"
    )


def test_each_refusal_of_a_key_is_a_sentence() -> None:
    key = KEYS[0].public_key
    other = KEYS[1].public_key
    record = PartyRecord("m-1", "merchant", "", "bank-0", 2, 9, [PartyKey(key, 3, 0, ["bank-0"])])
    check_key(record, "m-1", key, 8)
    for holder, tried, height, sentence in (
        (
            None,
            key,
            5,
            (
                "unknown_party: party m-1 is not registered; an institution of genesis has to "
                "register it"
            ),
        ),
        (record, other, 5, f"unknown_key: key {other.hex()} was never a key of party m-1"),
        (record, key, 9, "key_not_valid: party m-1 is revoked from height 9; this is 9"),
        (
            record,
            key,
            2,
            (
                f"key_not_valid: key {key.hex()} of party m-1 is valid for heights [3, open); "
                "this is 2"
            ),
        ),
    ):
        with pytest.raises(Rejected) as caught:
            check_key(holder, "m-1", tried, height)
        assert str(caught.value) == sentence


@pytest.mark.parametrize("role", SUBMITTER_ROLES)
def test_each_role_of_a_submitter_is_registered(role: str) -> None:
    if role in AUTHORITY_ROLES:
        world = two_roles("regulator", "regulator")
        for alone, roles in (
            ("bank-4", "regulator"),
            ("bank-0", "bank"),
            ("bank-4 bank-5", "regulator regulator"),
            ("bank-4 bank-0 bank-1", "regulator bank payment"),
        ):
            assert register(world, by=alone, role=role) == refused(
                "two_roles_needed", ("signers", alone), ("roles", roles)
            )
        assert register(world, by=TWO, role=role) == refused("not_a_regulator", ("signers", TWO))
        assert not register(world, by="bank-0 bank-4", role=role).refused
        record = world.record("party/m-1")
        assert isinstance(record, PartyRecord)
        assert (record.registrar, record.keys[0].vouched_by) == ("bank-4", ["bank-0", "bank-4"])
    else:
        assert not register(two_roles(), role=role).refused


@pytest.mark.parametrize("role", [*INSTITUTION_ROLES, "", "Merchant"])
def test_no_other_role_is(role: str) -> None:
    assert register(two_roles(), role=role) == refused(
        "unknown_role",
        ("role", role),
        ("known", "merchant gateway consumer platform court arbitrator"),
    )


def test_only_a_single_institution_registers() -> None:
    world = two_roles()
    world.commit(world.registration("m-9"))
    assert register(world, by="m-9") == refused("not_an_institution", ("signers", "m-9"))
    data = {"keys": [KEYS[0].public_key.hex()], "party": "m-1", "role": "merchant"}
    both = world.one("party.register", "party/m-1", data, "bank-0", "bank-1")
    assert both == refused("not_an_institution", ("signers", "bank-0 bank-1"))
    assert world.record("party/m-1") is None


def test_a_change_stands_in_the_partys_own_stream() -> None:
    world = two_roles()
    data = {"keys": [KEYS[0].public_key.hex()], "party": "m-1", "role": "merchant"}
    for stream in ("party/m-2", "contract/m-1", "validator/m-1"):
        outcome = world.one("party.register", stream, data, "bank-0")
        assert outcome == refused("wrong_stream", ("stream", stream), ("expected", "party/m-1"))
    key = {"public_key": "0" * 64}
    for kind, more in (("party.revoke", {}), ("party.add_key", key), ("party.revoke_key", key)):
        outcome = world.one(kind, "party/m-2", {"party": "m-1"} | more, "bank-0")
        assert outcome == refused(
            "wrong_stream", ("stream", "party/m-2"), ("expected", "party/m-1")
        )


def test_a_key_stands_once_in_a_registration() -> None:
    key = KEYS[0].public_key.hex()
    assert register(two_roles(), keys=[key, key]) == refused("key_exists", ("party", "m-1"))


def test_an_unknown_party_cannot_be_changed() -> None:
    assert revoke(two_roles()) == refused("unknown_party", ("party", "m-1"))


# Who changes a party

CHANGES = pytest.mark.parametrize("kind", ["party.revoke", "party.add_key", "party.revoke_key"])


def change_data(kind: str, party: str, key: str) -> dict[str, str]:
    return {"party": party} | ({} if kind == "party.revoke" else {"public_key": key})


@CHANGES
def test_institutions_that_did_not_register_it_change_nothing(kind: str) -> None:
    world = two_roles()
    world.commit(world.registration("m-1"))
    before = world.record("party/m-1")
    data = change_data(kind, "m-1", world.key("m-1").public_key.hex())
    foreign = "bank-1" if kind == "party.revoke_key" else "bank-1 bank-2"
    assert world.one(kind, "party/m-1", data, *foreign.split()) == refused(
        "not_entitled", ("signer", foreign), ("registrar", "bank-0")
    )
    assert world.record("party/m-1") == before


@pytest.mark.parametrize("kind", ["party.add_key", "party.revoke"])
@pytest.mark.parametrize(
    ("signers", "roles"),
    [
        ("bank-0", "bank"),
        ("bank-4", "regulator"),
        ("bank-4 bank-5", "regulator regulator"),
        ("bank-0 bank-2", "bank bank"),
        ("bank-0 m-1", "bank"),
        ("bank-0 bank-1 bank-4", "bank payment regulator"),
        ("m-2", ""),
    ],
)
def test_nobody_alone_and_no_two_alike_speak_for_a_party(
    kind: str, signers: str, roles: str
) -> None:
    """A regulator alone added a key to another's party, and signed in its name."""
    world = two_roles("regulator", "regulator")
    world.commit(world.registration("m-1"), world.registration("m-2"))
    before = world.record("party/m-1")
    data = change_data(kind, "m-1", KEYS[9].public_key.hex())
    assert world.one(kind, "party/m-1", data, *signers.split()) == refused(
        "two_roles_needed", ("signers", signers), ("roles", roles)
    )
    assert world.record("party/m-1") == before


def test_a_regulator_and_another_may_change_a_party_that_neither_registered() -> None:
    world = two_roles("regulator")
    register(world)
    added = change_key(world, "party.add_key", KEYS[1], "bank-1 bank-4")
    assert added == applied(("from_height", 3), ("vouched_by", "bank-1 bank-4"))
    assert change_key(world, "party.revoke_key", KEYS[0], "bank-4") == applied(("until_height", 4))
    assert revoke(world, "bank-1 bank-4") == applied(("revoked_height", 5))


def test_a_party_gives_itself_a_key_and_ends_one() -> None:
    """Its own signature is enough, and its own name stands beside the key."""
    world = two_roles()
    world.commit(world.registration("m-1"))
    own = world.key("m-1").public_key
    assert change_key(world, "party.add_key", KEYS[1], "m-1") == applied(
        ("from_height", 3), ("vouched_by", "m-1")
    )
    assert change_key(world, "party.revoke_key", KEYS[1], "m-1") == applied(("until_height", 4))
    record = world.record("party/m-1")
    assert isinstance(record, PartyRecord)
    assert record.keys == [
        PartyKey(own, 2, 0, ["bank-0"]), PartyKey(KEYS[1].public_key, 3, 4, ["m-1"])
    ]  # fmt: skip
    assert revoke(world, "m-1") == refused("two_roles_needed", ("signers", "m-1"), ("roles", ""))


def test_one_institution_ends_a_stolen_key_and_none_gives_another() -> None:
    world = two_roles("regulator")
    register(world)
    assert change_key(world, "party.revoke_key", KEYS[0], "bank-0").code == ""
    for alone, role in (("bank-0", "bank"), ("bank-4", "regulator")):
        assert change_key(world, "party.add_key", KEYS[1], alone) == refused(
            "two_roles_needed", ("signers", alone), ("roles", role)
        )
    assert change_key(world, "party.add_key", KEYS[1], "bank-0 bank-4").code == ""
    assert why_inadmissible(world, signed_with(world, KEYS[1])) is None


@CHANGES
@pytest.mark.parametrize("by", ["bank-0", "bank-1", "bank-0 bank-1"])
def test_an_institution_of_genesis_is_beyond_change(kind: str, by: str) -> None:
    world = two_roles()
    before = world.record("party/bank-0")
    data = change_data(kind, "bank-0", world.key("bank-0").public_key.hex())
    outcome = world.one(kind, "party/bank-0", data, *by.split())
    assert outcome == refused("institution_of_genesis", ("party", "bank-0"))
    over = {"keys": [KEYS[0].public_key.hex()], "party": "bank-0", "role": "merchant"}
    outcome = world.one("party.register", "party/bank-0", over, by.split(maxsplit=1)[0])
    assert outcome == refused("party_exists", ("party", "bank-0"))
    assert world.record("party/bank-0") == before


# Whose a key is


def test_a_key_is_of_one_party_for_ever() -> None:
    """Merchant and consumer with one key would confirm for each other."""
    world = two_roles()
    register(world)
    taken = refused("key_of_another", ("public_key", KEYS[0].public_key.hex()), ("party", "m-1"))
    assert register(world, party="c-1", role="consumer") == taken
    assert world.record("party/c-1") is None
    both = [KEYS[1].public_key.hex(), KEYS[0].public_key.hex()]
    assert register(world, party="c-1", role="consumer", keys=both) == taken
    assert register(world, party="c-1", role="consumer", keys=both[:1]).code == ""
    data = {"party": "c-1", "public_key": KEYS[0].public_key.hex()}
    for signers in (("c-1",), TWO.split()):
        body = world.body("party.add_key", "party/c-1", data, *signers)
        keys = [KEYS[1] if one == "c-1" else world.key(one) for one in signers]
        assert world.run(sign_transaction(body, world.chain_id, keys)) == [taken]
    assert change_key(world, "party.revoke_key", KEYS[0], "bank-0").code == ""
    assert world.one("party.add_key", "party/c-1", data, *TWO.split()) == taken
    assert world.record(f"key/{KEYS[0].public_key.hex()}") == KeyRecord("m-1")


def test_of_two_that_take_a_key_in_one_block_the_first_has_it() -> None:
    world = two_roles()
    data = {"keys": [KEYS[0].public_key.hex()], "role": "merchant"}
    outcomes = world.run(*[
        world.submit("party.register", f"party/{party}", data | {"party": party}, "bank-0")
        for party in ("m-1", "m-2")
    ])  # fmt: skip
    assert outcomes == [
        applied(("from_height", 2)),
        refused("key_of_another", ("public_key", KEYS[0].public_key.hex()), ("party", "m-1")),
    ]


@pytest.mark.parametrize("purpose", ["party_key", "vote_key", "cosign_key", "log_key"])
def test_no_key_of_an_institution_is_a_partys(purpose: str) -> None:
    world = two_roles()
    key = getattr(world.chain.validators.validators[2], purpose).hex()
    assert register(world, keys=[key]) == refused(
        "key_of_another", ("public_key", key), ("party", "bank-2")
    )


def test_a_party_ever_holds_a_bounded_number_of_keys() -> None:
    world = two_roles()
    register(world)
    for key in KEYS[1:KEYS_MAX]:
        assert not change_key(world, "party.add_key", key).refused
    more = refused("too_many_keys", ("keys", KEYS_MAX), ("allowed", KEYS_MAX))
    assert change_key(world, "party.add_key", KEYS[KEYS_MAX]) == more
    assert not change_key(world, "party.revoke_key", KEYS[0], "bank-0").refused
    assert change_key(world, "party.add_key", KEYS[KEYS_MAX]) == more


def test_a_thief_of_one_key_does_not_use_up_the_places_of_the_next() -> None:
    """By its own word a party had all its places at once, and was then locked out for ever."""
    world = two_roles()
    world.commit(world.registration("m-1"))
    for key in KEYS[1:KEYS_OWN_MAX]:
        assert not change_key(world, "party.add_key", key, "m-1").refused
    assert change_key(world, "party.add_key", KEYS[KEYS_OWN_MAX], "m-1") == refused(
        "too_many_keys", ("keys", KEYS_OWN_MAX), ("allowed", KEYS_OWN_MAX)
    )
    assert not change_key(world, "party.add_key", KEYS[KEYS_OWN_MAX]).refused


def test_two_changes_of_one_block_both_count() -> None:
    world = two_roles()
    register(world)
    changes = [
        world.submit(
            "party.add_key",
            "party/m-1",
            {"party": "m-1", "public_key": key.public_key.hex()},
            *TWO.split(),
        )
        for key in (KEYS[1], KEYS[1], KEYS[2])
    ]
    assert [outcome.code for outcome in world.run(*changes)] == ["", "key_exists", ""]
    record = world.record("party/m-1")
    assert isinstance(record, PartyRecord)
    assert len(record.keys) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"party": "M"},
        {"keys": []},
        {"keys": ["0" * 63]},
        {"keys": ["0" * 64 + "\n"]},
        {"keys": ["A" * 64]},
        {"keys": ["0" * 64] * 5},
        {"role": "r" * 33},
        {"district": "d" * 33},
        {"district": "D"},
        {"district": "d\n"},
        {"more": 1},
    ],
)
def test_misshapen_data_is_recorded_as_refused(changes: dict[str, Any]) -> None:
    data = {"keys": [KEYS[0].public_key.hex()], "party": "m-1", "role": "merchant"} | changes
    outcome = two_roles().one("party.register", "party/m-1", data, "bank-0")
    assert outcome == refused("malformed_data", ("kind", "party.register"))
