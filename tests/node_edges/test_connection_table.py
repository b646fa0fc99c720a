"""The API's places: the longest idle makes room, no stranger has more than a quarter."""

from __future__ import annotations

import random

import pytest

from node.connection_table import (
    REFUSAL_PLACES,
    SHARES,
    ApiDrop,
    ConnectionTable,
    Place,
)

PLACES = 8
"""For requests; the others are for refusals."""


class Door:
    """A table, who was dropped and why."""

    def __init__(self, places: int = PLACES) -> None:
        self.places = places
        self.told: list[ApiDrop] = []
        self.dropped: list[str] = []
        self.table = ConnectionTable(lambda: self.places + REFUSAL_PLACES, self.told.append)

    def come(self, address: str, name: str = "", *, works: bool = False) -> Place:
        place = self.table.admit(address, lambda: self.dropped.append(name))
        assert place is not None
        if works:
            self.table.work(place)
        return place


def stranger(number: int) -> str:
    return f"198.51.100.{number}"


def test_the_longest_idle_makes_room_and_a_request_is_not_interrupted() -> None:
    door = Door()
    places = [door.come(stranger(number), str(number)) for number in range(PLACES)]
    door.table.work(places[0])
    door.table.work(places[1])
    door.table.rest(places[1])  # idle again, and the youngest now
    for newcomer in range(PLACES, 2 * PLACES - 1):
        door.come(stranger(newcomer), str(newcomer))
    assert door.dropped == ["2", "3", "4", "5", "6", "7", "1"]
    assert set(door.told) == {ApiDrop.FULL}
    assert door.table.count == PLACES
    door.come(stranger(99), "99")
    assert door.dropped[-1] == "8"
    assert places[0].is_held


def test_where_nothing_is_idle_newcomers_are_told_so_and_then_cut_off() -> None:
    door = Door()
    held = [door.come(stranger(number), works=True) for number in range(PLACES)]
    told = [door.come(stranger(100 + number)) for number in range(REFUSAL_PLACES)]
    assert [place.is_refusal for place in told] == [True] * REFUSAL_PLACES
    assert door.table.admit(stranger(200), lambda: None) is None
    assert door.told == [ApiDrop.REFUSED] * (REFUSAL_PLACES + 1)
    assert door.table.count == door.table.limit
    door.table.leave(told[0])
    assert door.come(stranger(201)).is_refusal
    door.table.leave(held[0])
    assert not door.come(stranger(202)).is_refusal
    assert door.dropped == []


def test_one_address_makes_room_for_itself_and_keeps_nobody_out() -> None:
    door = Door()
    own = [door.come(stranger(1), f"own {number}") for number in range(PLACES)]
    assert door.dropped == [f"own {number}" for number in range(PLACES - PLACES // SHARES)]
    assert set(door.told) == {ApiDrop.ADDRESS_SHARE}
    for place in own:
        door.table.work(place)
    assert door.come(stranger(1)).is_refusal
    others = [door.come(stranger(2 + number)) for number in range(PLACES - PLACES // SHARES)]
    assert not any(place.is_refusal for place in others)


def test_addresses_of_one_line_share_and_this_machine_has_no_share() -> None:
    door = Door()
    for number in range(PLACES):
        door.come(f"2001:db8::{number:x}", "line")
    assert len(door.dropped) == PLACES - PLACES // SHARES
    door = Door()
    for _ in range(PLACES):
        assert not door.come("127.0.0.1", works=True).is_refusal
    assert door.come("::1").is_refusal


def test_this_machines_idle_connections_give_way_last() -> None:
    door = Door()
    for number in range(PLACES - 1):
        door.come("127.0.0.1", f"proxy {number}")
    door.come(stranger(1), "stranger 1")
    door.come(stranger(2), "stranger 2")
    assert door.dropped == ["stranger 1"]
    door.come("127.0.0.1", "proxy 7")
    assert door.dropped == ["stranger 1", "stranger 2"]
    door.come("127.0.0.1", "proxy 8")
    assert door.dropped[2:] == ["proxy 0"]


def test_places_follow_the_limit_as_it_stands() -> None:
    door = Door()
    for number in range(PLACES):
        door.come(stranger(number), str(number))
    door.places = 2
    door.come(stranger(100))
    assert door.dropped == ["0"]
    door.places = PLACES + 1
    door.come(stranger(101))
    assert len(door.dropped) == 1


def test_leaving_twice_and_working_after_leaving_change_nothing() -> None:
    door = Door()
    place = door.come(stranger(1))
    door.table.leave(place)
    door.table.leave(place)
    door.table.work(place)
    door.table.rest(place)
    assert door.table.count == 0
    for number in range(PLACES):
        door.come(stranger(number))
    assert door.dropped == []


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_goes_the_bounds_hold(seed: int) -> None:
    chance = random.Random(seed)
    door = Door(places=chance.randint(1, 12))
    held: list[Place] = []
    for _ in range(600):
        match chance.randrange(4):
            case 0 | 1:
                address = chance.choice(["127.0.0.1", *map(stranger, range(5))])
                place = door.table.admit(address, lambda: None)
                if place is not None:
                    held.append(place)
            case 2 if held:
                chance.choice([door.table.work, door.table.rest])(chance.choice(held))
            case _ if held:
                door.table.leave(held.pop(chance.randrange(len(held))))
        here = [place for place in held if place.is_held]
        served = [place for place in here if not place.is_refusal]
        assert door.table.count == len(here) <= door.places + REFUSAL_PLACES
        assert len(served) <= door.places
        for number in range(5):
            mine = [place for place in served if place.group == stranger(number)]
            assert len(mine) <= max(door.places // SHARES, 1)
