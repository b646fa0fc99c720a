"""Signature checks in worker processes: right answers, and workers that end when they must."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

import node.verification as verification_module
from ledger.signing import SeedSigner, verify_signature
from node.verification import Check, SignatureVerifier, VerifierUnavailable
from node.verification_worker import encode_chunk, serve, verify_chunk

ROOT = Path(__file__).parents[2]
SIGNER = SeedSigner(bytes(32))


def good(number: int) -> Check:
    message = b"message %d" % number * (number % 7)
    return SIGNER.public_key, message, SIGNER.sign(message)


def bad(number: int) -> Check:
    key, message, signature = good(number)
    return key, message + b"!", signature


def mixed(count: int) -> tuple[list[Check], list[bool]]:
    truth = [number % 3 != 1 for number in range(count)]
    return [good(n) if truth[n] else bad(n) for n in range(count)], truth


@pytest_asyncio.fixture(params=[0, 1, 2])
async def verifier(request: pytest.FixtureRequest) -> AsyncIterator[SignatureVerifier]:
    made = SignatureVerifier(request.param)
    await made.start()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def two_workers() -> AsyncIterator[SignatureVerifier]:
    made = SignatureVerifier(2)
    await made.start()
    yield made
    await made.close()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=20))
def test_chunk_is_answered_as_the_plain_rule_answers(cases: list[tuple[int, bool]]) -> None:
    checks = [good(number) if is_good else bad(number) for number, is_good in cases]
    raw = encode_chunk(checks)
    assert int.from_bytes(raw[:4], "big") == len(raw) - 4
    assert list(verify_chunk(raw[4:])) == [verify_signature(*check) for check in checks]


def run_instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Have a shell script started where a worker would start Python."""
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))


async def test_answers_are_in_order(verifier: SignatureVerifier) -> None:
    checks, truth = mixed(1000)
    assert await verifier.verify(checks) == truth
    assert await verifier.verify([]) == []


async def test_wrong_lengths_are_wrong_signatures(verifier: SignatureVerifier) -> None:
    key, message, signature = good(1)
    checks = [
        (key[:-1], message, signature + b"\0"),
        (key, message, signature),
        (key, message, signature[:-1]),
        (b"", message, b""),
        (key, message, signature),
    ]
    assert await verifier.verify(checks) == [False, True, False, False, True]
    assert await verifier.verify(checks[2:4]) == [False, False]


async def test_many_callers_at_once(verifier: SignatureVerifier) -> None:
    lots = [mixed(1 + number % 40) for number in range(60)]
    answers = await asyncio.gather(*(verifier.verify(checks) for checks, _ in lots))
    assert answers == [truth for _, truth in lots]


async def test_calls_made_together_share_chunks(
    two_workers: SignatureVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def count(checks: list[Check]) -> bytes:
        sizes.append(len(checks))
        return encode_chunk(checks)

    monkeypatch.setattr(verification_module, "encode_chunk", count)
    await asyncio.gather(*(two_workers.verify([good(number)]) for number in range(200)))
    assert sum(sizes) == 200
    assert len(sizes) <= 6
    sizes.clear()
    await two_workers.verify([good(1)] * 3000)
    assert max(sizes) == 256
    assert len(sizes) <= 3000 // 256 + 10


async def test_caller_who_gives_up_disturbs_nobody(two_workers: SignatureVerifier) -> None:
    checks, truth = mixed(3000)
    gone = asyncio.create_task(two_workers.verify(checks))
    staying = asyncio.create_task(two_workers.verify(checks))
    await asyncio.sleep(0.01)
    gone.cancel()
    assert await staying == truth
    assert two_workers._waiting_count == 0


async def test_line_is_bounded(
    two_workers: SignatureVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification_module, "WAITING_COUNT_MAX", 500)
    checks, truth = mixed(400)
    tasks = [asyncio.create_task(two_workers.verify(checks)) for _ in range(20)]
    seen = 0
    while not all(task.done() for task in tasks):
        seen = max(seen, two_workers._waiting_count)
        await asyncio.sleep(0)
    assert [task.result() for task in tasks] == [truth] * 20
    assert seen < 500 + 400


async def test_killed_worker_is_replaced_and_its_checks_tried_again(
    two_workers: SignatureVerifier, wait_until: Callable[..., Any]
) -> None:
    checks, truth = mixed(4000)
    task = asyncio.create_task(two_workers.verify(checks))
    await asyncio.sleep(0.03)
    before = two_workers.worker_pids
    os.kill(before[0], signal.SIGKILL)
    assert await task == truth
    await wait_until(lambda: len(two_workers.worker_pids) == 2)
    assert before[0] not in two_workers.worker_pids
    assert await two_workers.verify(checks) == truth


async def test_worker_that_hangs_is_replaced_and_its_checks_tried_again(
    two_workers: SignatureVerifier, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = two_workers.worker_pids[0]
    checks, truth = mixed(4000)
    os.kill(hung, signal.SIGSTOP)
    task = asyncio.create_task(two_workers.verify(checks))
    await asyncio.sleep(0.05)
    monkeypatch.setattr(verification_module, "LOOK_S", 0.4)
    assert await task == truth
    await wait_until(lambda: len(two_workers.worker_pids) == 2)
    assert hung not in two_workers.worker_pids
    await wait_until(lambda: not Path(f"/proc/{hung}").exists())
    assert await two_workers.verify(checks) == truth


async def test_worker_that_is_slow_to_begin_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_instead(monkeypatch, tmp_path, f'#!/bin/sh\nsleep 1\nexec {sys.executable} "$@"\n')
    monkeypatch.setattr(verification_module, "LOOK_S", 0.04)
    monkeypatch.setattr(verification_module, "FIRST_LOOKS_MAX", 10_000)
    verifier = SignatureVerifier(1)
    await verifier.start()
    monkeypatch.setattr(verification_module, "LOOK_S", 5.0)
    begun = verifier.worker_pids
    assert await verifier.verify([good(1), bad(1)]) == [True, False]
    assert verifier.worker_pids == begun
    await verifier.close()


async def test_worker_that_never_begins_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_instead(monkeypatch, tmp_path, "#!/bin/sh\nexec sleep 3600\n")
    monkeypatch.setattr(verification_module, "LOOK_S", 0.001)
    monkeypatch.setattr(verification_module, "END_S", 0.1)
    verifier = SignatureVerifier(1)
    with pytest.raises(VerifierUnavailable):
        await verifier.start()
    await verifier.close()


async def test_workers_that_hang_are_ended_together(
    two_workers: SignatureVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification_module, "END_S", 1.0)
    pids = two_workers.worker_pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    alive: list[int] = []
    task = asyncio.create_task(two_workers.close())
    while not task.done():
        alive.append(sum(map(is_running, pids)))
        await asyncio.sleep(0.1)
    assert alive.count(1) < 5, "one was waited for after the other"
    assert not any(map(is_running, pids))


async def test_no_worker_is_blamed_for_time_in_which_the_node_stood_still(
    two_workers: SignatureVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification_module, "LOOK_S", 0.2)
    before = two_workers.worker_pids
    checks, truth = mixed(4000)
    task = asyncio.create_task(two_workers.verify(checks))
    await asyncio.sleep(0)
    time.sleep(2.5)  # noqa: ASYNC251 the whole event loop stands still, as the process would
    assert await task == truth
    assert two_workers.worker_pids == before


async def test_chunk_that_kills_two_workers_is_given_up(
    wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A chunk whose length and content contradict each other kills whoever reads it.
    def poison(checks: list[Check]) -> bytes:
        raw = encode_chunk(checks)
        if checks[0][1] == b"poison":
            return raw[:4] + b"\x7f\xff\xff\xff" + raw[8:]
        return raw

    monkeypatch.setattr(verification_module, "encode_chunk", poison)
    restarts: list[int] = []

    class Meter:
        def verified(self, good_count: int, bad_count: int, seconds: float) -> None:
            assert seconds > 0

        def verifier_restarted(self) -> None:
            restarts.append(1)

    verifier = SignatureVerifier(1, meter=Meter())
    await verifier.start()
    key, _, signature = good(0)
    with pytest.raises(VerifierUnavailable) as caught:
        await verifier.verify([(key, b"poison", signature)])
    assert str(caught.value) == "1 signatures were not checked: the worker process ended"
    assert len(restarts) == 2
    assert await verifier.verify([good(1), bad(1)]) == [True, False]
    await verifier.close()


async def test_start_fails_when_no_worker_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_instead(monkeypatch, tmp_path, "#!/bin/sh\nexit 1\n")
    verifier = SignatureVerifier(1)
    with pytest.raises(VerifierUnavailable):
        await verifier.start()
    await verifier.close()


async def test_close_ends_workers_and_tells_who_waits() -> None:
    verifier = SignatureVerifier(2)
    await verifier.start()
    pids = verifier.worker_pids
    assert len(pids) == 2
    task = asyncio.create_task(verifier.verify([good(1)] * 20_000))
    await asyncio.sleep(0.01)
    await verifier.close()
    with pytest.raises(VerifierUnavailable):
        await task
    for pid in pids:
        assert not is_running(pid)
    with pytest.raises(VerifierUnavailable, match="the verifier is closed"):
        await verifier.verify([good(1)])


def test_worker_ends_quietly_when_its_answers_are_not_read() -> None:
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as threads:
        ended = threads.submit(serve, theirs)
        ours.sendall(encode_chunk([good(0)]))
        assert select.select([ours], [], [])[0]
        ours.close()  # what is unread makes it a reset
        assert ended.result() is None


def test_bounds_are_ours() -> None:
    with pytest.raises(ValueError, match="workers must be 0 to 64, not 65"):
        SignatureVerifier(65)


async def test_message_too_long_is_our_mistake(two_workers: SignatureVerifier) -> None:
    key, _, signature = good(0)
    with pytest.raises(ValueError, match="more than 4096 bytes"):
        await two_workers.verify([(key, bytes(4097), signature)])


PARENT = """
import asyncio, sys
from node.verification import SignatureVerifier
async def main():
    verifier = SignatureVerifier(2)
    await verifier.start()
    from ledger.signing import SeedSigner
    signer = SeedSigner(bytes(32))
    check = (signer.public_key, b"m", signer.sign(b"m"))
    assert all(await verifier.verify([check] * 2000))  # every worker has had its share
    print(*verifier.worker_pids, flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""


Parent = tuple[subprocess.Popen[str], list[int]]


@pytest.fixture
def parent_and_workers() -> Iterator[Parent]:
    """A node-like process and the process ids of its two workers; it is killed in the end."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"EVIDENCE_LEDGER_PASSPHRASE": "secret"},
    )
    assert parent.stdout is not None
    try:
        yield parent, [int(pid) for pid in parent.stdout.readline().split()]
    finally:
        parent.kill()
        parent.communicate()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_workers_die_with_a_parent_that_is_killed(parent_and_workers: Parent) -> None:
    parent, pids = parent_and_workers
    assert len(pids) == 2
    for pid in pids:
        assert is_running(pid)
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"EVIDENCE_LEDGER_PASSPHRASE" not in environment
    parent.kill()
    deadline = time.monotonic() + 60
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_leave_signals_to_the_node(parent_and_workers: Parent) -> None:
    parent, pids = parent_and_workers
    for pid in pids:
        assert os.getpgid(pid) != os.getpgid(parent.pid)  # a terminal's Ctrl-C does not reach it
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.2)
    assert all(map(is_running, pids))


def test_worker_imports_nothing_of_the_node() -> None:
    code = (
        "import sys, node.verification_worker;"
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('asyncio', 'msgspec', 'cryptography', 'structlog', 'uvloop', 'genesis')])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"
