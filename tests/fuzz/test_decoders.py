"""Every decoder, given spoilt input: it reads it or refuses it by name, and does nothing else."""

from __future__ import annotations

import pytest

from ledger.refusal import Rejected
from node.frames import FRAME_BYTES_MAX, FrameReader, encode_prefix
from node.tls import PeerRefusal, PeerRefused
from tests.fuzz.amount import COUNT, chance_of, share
from tests.fuzz.mutations import mutate
from tests.fuzz.targets import CORPUS, TARGETS, Target

DETAIL_CHARS_MAX = 4_000
"""A refusal goes into a log and an answer: it may quote, and not repeat everything."""

RETURNS_REFUSALS = {"bodies", "envelopes", "checkpoint text", "signature line", "verifier key"}
"""Decoders that may give a refusal back (None, or one of many) instead of raising it."""


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_spoilt_input_is_read_or_refused_by_name(target: Target) -> None:
    chance = chance_of(target.name)
    samples = target.load()
    refused = 0
    for number in range(COUNT):
        raw = (
            samples[number]
            if number < len(samples)
            else mutate(chance, chance.choice(samples), samples)
        )
        try:
            target.decode(raw)
        except target.refusals as refusal:
            refused += 1
            text = refusal.detail if isinstance(refusal, Rejected) else str(refusal)
            assert text, raw.hex()
            assert len(text) <= DETAIL_CHARS_MAX, f"{len(text)} characters for {raw.hex()}"
        except Exception as error:  # noqa: BLE001 it is what is looked for
            pytest.fail(f"{target.name} raised {error!r} for {raw.hex()}")
    if target.refusals and target.name not in RETURNS_REFUSALS:
        assert refused, "nothing was refused: the samples are not of this format"


def test_every_folder_of_the_corpus_is_used() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == {target.samples for target in TARGETS}
    assert all(file.stat().st_size <= 65_536 for file in CORPUS.rglob("*") if file.is_file())


def test_a_stream_cut_anywhere_is_the_same_frames_or_is_refused_by_name() -> None:
    chance = chance_of("frame reader")
    for _ in range(share(0.3)):
        payloads = [chance.randbytes(chance.choice([0, 1, 5, 300])) for _ in range(6)]
        stream = b"".join(encode_prefix(len(one)) + one for one in payloads)
        is_spoilt = chance.random() < 0.5
        if is_spoilt:
            stream = mutate(chance, stream, [stream])
        reader = FrameReader(chance.choice([300, FRAME_BYTES_MAX]))
        found: list[bytes] = []
        at = 0
        try:
            while at < len(stream):
                end = at + chance.choice([1, 2, 3, 7, 100, 10_000])
                found += reader.feed(memoryview(stream)[at:end])
                at = end
                assert reader.pending_bytes <= len(stream)
        except PeerRefused as refused:
            reason = refused.refusal
            assert is_spoilt
            assert reason is PeerRefusal.FRAME_TOO_LARGE
        else:
            assert is_spoilt or found == payloads
