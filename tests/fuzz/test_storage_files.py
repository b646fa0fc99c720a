"""What is stored, spoilt on the disk: it opens as it was, without a torn end, or is `Damaged`."""

from __future__ import annotations

import random
from collections.abc import Callable

from sim.disk import VirtualDirectory
from storage.files import Damaged
from storage.journal import Journal
from storage.segments import SegmentLog
from storage.spool import Spool
from tests.fuzz.amount import chance_of, share
from tests.fuzz.mutations import mutate

BLOCKS = [([b"entry %d" % height, b"more" * height], b"votes %d" % height) for height in range(6)]


def spoil(chance: random.Random, build: Callable[[VirtualDirectory], None]) -> VirtualDirectory:
    """Return a directory of which one file is spoilt."""
    built = VirtualDirectory("fuzz")
    build(built)
    names = built.names()
    victim = chance.choice(names)
    found = VirtualDirectory("fuzz")
    raws = {name: built.pread(name, 0, built.size(name)) for name in names}
    raws[victim] = mutate(chance, raws[victim], list(raws.values()))
    for name, raw in raws.items():
        found.create(name)
        found.append(name, raw)
    return found


def build_segments(directory: VirtualDirectory) -> None:
    log = SegmentLog.open(directory, None, segment_bytes=200)
    for height, (entries, certificate) in enumerate(BLOCKS):
        log.append_block(height, entries, certificate)
        log.sync()


def test_spoilt_segments_hold_a_beginning_of_what_they_held_or_are_damaged() -> None:
    chance = chance_of("segments")
    for _ in range(share(0.6)):
        directory = spoil(chance, build_segments)
        try:
            log = SegmentLog.open(directory, None, segment_bytes=200)
            log.verify()
            found = [(block.entries, block.certificate) for block in log.scan()]
        except Damaged:
            continue
        assert found == BLOCKS[: len(found)]


def build_journal(directory: VirtualDirectory) -> None:
    journal = Journal.create(directory)
    journal.load()
    for number in range(4):
        journal.save(b"record %d" % number, b"pending %d" % number)


def test_a_spoilt_journal_holds_its_newest_record_or_is_damaged() -> None:
    chance = chance_of("journal")
    older = 0
    for _ in range(share(0.6)):
        directory = spoil(chance, build_journal)
        try:
            state = Journal.open(directory).load()
        except Damaged:
            continue
        assert (state.record, state.pending) in {
            (b"record %d" % number, b"pending %d" % number) for number in range(4)
        }, state
        older += state.record != b"record 3"
    assert older == 0, f"{older} journals forgot their newest vote and did not say so"


def build_spool(directory: VirtualDirectory) -> None:
    spool = Spool(directory)
    spool.load()
    spool.append([b"envelope %d" % number for number in range(8)])


def test_a_spoilt_spool_gives_back_nothing_that_was_not_put_in() -> None:
    chance = chance_of("spool")
    put_in = {b"envelope %d" % number for number in range(8)}
    for _ in range(share(0.6)):
        directory = spoil(chance, build_spool)
        spool = Spool(directory)
        try:
            found = spool.load()
        except Damaged:
            continue
        assert set(found) <= put_in
