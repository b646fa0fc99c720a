"""The log: both forms, what it hides, what a peer cannot do to it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ledger.signing import SeedSigner
from node.config import LogConfig
from node.logs import (
    BURST,
    REFILL_S,
    SHAPES_MAX,
    RepetitionFilter,
    bind_context,
    configure_logs,
    redact,
)

SEED = bytes(range(32))
PASSPHRASE = "correct horse"

log = logging.getLogger("evidence_ledger.test")


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    bind_context(replica=None, height=None, view=None)
    structlog.reset_defaults()


def start(form: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logs(LogConfig(format=form, level=level), stream)  # type: ignore[arg-type]
    return stream


def test_json_line_carries_what_is_bound() -> None:
    stream = start("json")
    bind_context(replica=2, height=41)
    bind_context(height=42, view=0)
    log.info("block %d applied", 42, extra={"count": 7})
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert found == {
        "event": "block 42 applied",
        "level": "info",
        "logger": "evidence_ledger.test",
        "replica": 2,
        "height": 42,
        "view": 0,
        "count": 7,
    }


def test_human_line_is_one_line() -> None:
    stream = start("human")
    bind_context(replica=2)
    log.warning("peer connection: %s", "gone", extra={"peer": 1})
    (line,) = stream.getvalue().splitlines()
    for part in ("warning", "peer connection: gone", "peer=1", "replica=2"):
        assert part in line
    assert "\x1b" not in line


def test_level_is_kept() -> None:
    stream = start("json", "warning")
    log.info("nothing")
    logging.getLogger("uvicorn.access").info("nothing")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("form", ["human", "json"])
def test_no_seed_and_no_passphrase_is_ever_shown(form: str) -> None:
    stream = start(form)
    secrets = {"seed": SEED, "passphrase": PASSPHRASE, "vote_seed": SEED.hex()}
    log.info("opened", extra=secrets)
    log.info("opened", extra={"keys": {"vote": {"seed": SEED.hex()}, "PASSPHRASE": PASSPHRASE}})
    log.info("opened", extra={"tokens": [PASSPHRASE], "Authorization": f"Bearer {PASSPHRASE}"})
    log.info("opened with passphrase=%r and seed: %s", PASSPHRASE, SEED.hex())
    log.info('{"tls_passphrase": "%s", "private_key":"%s"}', PASSPHRASE, SEED.hex())
    log.info("header Authorization: Bearer %s", SEED.hex())
    log.info("sent bearer %s", SEED.hex())
    log.info("signer %s", SeedSigner(SEED), extra={"signer": SeedSigner(SEED)})
    bind_context(view=f"seed={SEED.hex()}")
    try:
        raise ValueError(f"passphrase='{PASSPHRASE}'\nseed = {SEED.hex()}")
    except ValueError:
        log.exception("failed")
    text = stream.getvalue()
    assert "correct" not in text
    assert "horse" not in text
    assert SEED.hex() not in text
    assert repr(SEED)[2:-1] not in text
    assert text.count("[hidden]") >= 12
    assert "Traceback" in text


@pytest.mark.parametrize("form", ["human", "json"])
def test_peers_text_cannot_forge_a_line_or_colour_a_terminal(form: str) -> None:
    stream = start(form)
    evil = "a\nerror: forged\r\x1b[31mred\x9b31m\u2028end"
    log.warning("peer said %s", evil, extra={"detail": evil})
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert not {"\x1b", "\x9b", "\r", "\u2028"} & set(text)


def test_long_text_and_bytes_are_cut() -> None:
    assert redact("detail", bytes(64)) == "00" * 64
    assert redact("detail", bytes(65)) == "<65 bytes>"
    shown = redact("detail", "x" * 10_000)
    assert isinstance(shown, str)
    assert len(shown) < 4200
    assert shown.endswith("… (10000 characters)")
    assert redact("count", 5) == 5
    assert redact("is_on", True) is True


class TestRepetition:
    def setup_method(self) -> None:
        self.now = 0.0
        self.filter = RepetitionFilter(lambda: self.now)

    def passes(
        self, message: str, *, level: int = logging.WARNING, peer: int | None = None
    ) -> bool:
        record = logging.LogRecord("evidence_ledger.x", level, "", 0, message, (), None)
        if peer is not None:
            record.peer = peer
        self.record = record
        return bool(self.filter.filter(record))

    def test_repeated_warnings_are_thinned_out_and_counted(self) -> None:
        passed = [
            self.passes(f"frame of {number} bytes from ab{number}cd") for number in range(100)
        ]
        assert passed == [True] * BURST + [False] * (100 - BURST)
        self.now += REFILL_S
        assert self.passes("frame of 1 bytes from ab1cd")
        assert self.record.left_out == 100 - BURST
        assert not self.passes("frame of 1 bytes from ab1cd")

    def test_one_peers_flood_hides_no_others(self) -> None:
        for _ in range(100):
            self.passes("bad hello", peer=1)
            self.passes("replica 1 relayed rubbish 17")
        assert self.passes("bad hello", peer=2)
        assert self.passes("replica 2 relayed rubbish 17")
        assert self.passes("another sentence", peer=1)

    def test_errors_are_never_left_out(self) -> None:
        assert all(self.passes("the disk failed", level=logging.ERROR) for _ in range(100))

    def test_memory_is_bounded(self) -> None:
        for number in range(5000):
            self.passes("x" * (number % 100) + chr(0x4E00 + number))
        assert len(self.filter._shapes) == SHAPES_MAX


@pytest.mark.parametrize("form", ["human", "json"])
def test_a_logger_of_structlog_goes_the_same_way_and_shows_no_variables(form: str) -> None:
    """Found on a full disk: a failed request wrote every frame's variables, to another stream."""
    stream = start(form)
    body = "a body that is nobody's business"
    try:
        raise RuntimeError(f"{len(body)} characters")
    except RuntimeError:
        structlog.get_logger("api").exception("request_failed", request_id="here")
    said = stream.getvalue()
    assert "request_failed" in said
    assert "here" in said
    assert "RuntimeError: 32 characters" in said
    assert "locals" not in said
    assert body not in said
