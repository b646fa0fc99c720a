"""The witness protocol: every status of the text, what survives a restart, and asking."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cli.main import main
from ledger.checkpoint import verify_cosignature
from ledger.log import extend_tiles
from ledger.merkle import Frontier
from ledger.note import parse_note, parse_signature_line, parse_verifier_key
from ledger.signing import SeedSigner
from ledger.tlog_witness import REQUEST_BYTES_MAX, SIZE_TYPE, format_add_checkpoint
from node.asking import NoAnswer, Rounds, open_client, post
from node.witness import Witness
from node.witness_server import make_app, run_witness, write_identity
from node.witness_shelf import WitnessShelf
from node.witnessing import Outsider, Witnessing
from sim.disk import ProcessEnded, Survival
from storage.files import Damaged, DiskDirectory, StorageFailure
from tests.outside.logs import GENESIS, TIME_S, leaves, make_note, prove
from tests.storage.crashing import CrashingDirectory

SIGNER = SeedSigner(sha256(b"witness").digest())
NAME = "court.example/witness"
ROOT = Path(__file__).parents[2]
FORK = (
    "witnesses: court knows another tree of size 7 than this node: one of the two was shown a fork "
    "见证方 court 所知的大小 7 的树与本节点不同：二者之一所见为分叉"
)
UNUSABLE = "见证方 court 未给出可用的副署，原因见前"
ORIGIN_HASH = sha256(GENESIS.origin.encode()).hexdigest()


def open_witness(folder: Path, signer: SeedSigner = SIGNER, name: str = NAME) -> Witness:
    return Witness(name, signer, [GENESIS], DiskDirectory(folder, create=True), lambda: TIME_S)


def connect(witness: Witness, stopped: list[StorageFailure] | None = None) -> httpx.AsyncClient:
    app = make_app(witness, ([] if stopped is None else stopped).append)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://witness.test")


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return open_witness(tmp_path / "logs")


async def add(
    client: httpx.AsyncClient, old: int, proof: list[bytes], note: bytes
) -> httpx.Response:
    return await client.post("/add-checkpoint", content=format_add_checkpoint(old, proof, note))


async def test_a_growing_log_is_cosigned_step_by_step(witness: Witness) -> None:
    async with connect(witness) as client:
        old = 0
        for size in (1, 2, 2, 3, 8, 100, 257):
            note = make_note(size)
            answer = await add(client, old, prove(old, size), note)
            assert answer.status_code == 200, answer.text
            line = parse_signature_line(answer.text.rstrip("\n"))
            assert answer.text.endswith("\n")
            assert (line.name, line.key_id) == (NAME, witness.key.key_id)
            assert verify_cosignature(parse_note(note).text, witness.key, line.signature) == TIME_S
            old = size
        shown = await client.get(f"/{ORIGIN_HASH}/checkpoint")
        assert shown.status_code == 200
        assert parse_note(shown.content).text == parse_note(note).text
        assert [one.name for one in parse_note(shown.content).signatures] == [GENESIS.origin, NAME]
        other = await client.get(f"/{'0' * 64}/checkpoint")
        assert (other.status_code, other.text) == (
            404,
            "no checkpoint of such a log is cosigned here\n",
        )


async def test_what_is_not_cosigned_has_the_protocols_status(witness: Witness) -> None:
    forked = prove(5, 9, fork_at=3)
    root = {n: base64.b64decode(make_note(5, fork_at=n).split(b"\n")[2]).hex() for n in (3, 9)}
    cases: list[tuple[int, list[bytes], bytes, int, str]] = [
        (
            5, prove(5, 9), make_note(9, origin="other.test/00"), 404,
            "log 'other.test/00' is not witnessed here",
        ),
        (
            5, prove(5, 9), make_note(9, cosigners=2), 403,
            "Checkpoint: 2 of 4 cosigners signed size 9, and 3 are needed",
        ),
        (10, [], make_note(9), 400, "old size 10 is above the checkpoint's 9"),
        (4, prove(4, 9), make_note(9), 409, "5"),
        (0, [], make_note(9), 409, "5"),
        (
            5, [], make_note(5, fork_at=3), 422,
            f"size 5 has two roots, {root[9]} and {root[3]}: the log has forked",
        ),
        (
            5, prove(5, 9)[1:], make_note(9), 422,
            "Consistency proof: 4 hashes are too few from size 5 to size 9",
        ),
        (5, [], make_note(9), 422, "Consistency proof: it is empty, from size 5 to size 9"),
        (5, [bytes(32)], make_note(5), 422,
         "1 hashes lead from size 5 to size 5, where there is nothing to prove"),
    ]  # fmt: skip
    async with connect(witness) as client:
        first = await add(client, 0, [bytes(32)], make_note(5))
        assert (first.status_code, first.text) == (
            422,
            "1 hashes lead from size 0 to size 5, where there is nothing to prove\n",
        )
        assert (await add(client, 0, [], make_note(5))).status_code == 200
        for old, proof, note, status, sentence in cases:
            answer = await add(client, old, proof, note)
            assert (answer.status_code, answer.text) == (status, f"{sentence}\n")
            kind = "text/x.tlog.size" if status == 409 else "text/plain; charset=utf-8"
            assert answer.headers["content-type"] == kind
        answer = await add(client, 5, forked, make_note(9, fork_at=3))
        assert answer.status_code == 422
        assert answer.text == (
            f"Consistency proof: it leads to old root {root[3]} at size 5, not to {root[9]}\n"
        )
        assert witness.sizes == {GENESIS.origin: 5}
        assert (await add(client, 5, prove(5, 9), make_note(9))).status_code == 200


async def test_bytes_that_are_no_request(witness: Witness) -> None:
    good = format_add_checkpoint(0, [], make_note(5))
    shape = (
        "the request is not an old size, proof lines, an empty line and a checkpoint, of at most "
        f"{REQUEST_BYTES_MAX} bytes"
    )
    async with connect(witness) as client:
        for body, sentence in (
            (b"", shape),
            (b"old 0\n", shape),
            (good.replace(b"old 0", b"old 00"), "'old 00' is not a line like 'old 42'"),
            (good.replace(b"old 0", b"old -1"), "'old -1' is not a line like 'old 42'"),
            (good.replace(b"old 0", b"new 0"), "'new 0' is not a line like 'old 42'"),
            (good.replace(b"old 0", b"old 0\nAAAA"), "'AAAA' is not a hash in base64"),
            (
                format_add_checkpoint(0, [bytes(32)] * 64, make_note(5)),
                "64 proof lines are more than 63",
            ),
            (b"old 0\n\nnonsense", "Note: it has no signature lines after an empty line"),
        ):
            answer = await client.post("/add-checkpoint", content=body)
            assert (answer.status_code, answer.text) == (400, f"{sentence}\n")
        # An extension line, which C2SP allows: another log's checkpoint may have one.
        foreign = make_note(5, origin="other.test/00").replace(b"\n\n", b"\nmore\n\n", 1)
        unknown = await client.post(
            "/add-checkpoint", content=format_add_checkpoint(0, [], foreign)
        )
        assert (unknown.status_code, unknown.text) == (
            404,
            "log 'other.test/00' is not witnessed here\n",
        )
        large = await client.post("/add-checkpoint", content=bytes(REQUEST_BYTES_MAX + 1))
        assert large.status_code == 413
        assert (await client.get("/add-checkpoint")).status_code == 405
    assert witness.sizes == {GENESIS.origin: 0}


def test_a_changed_signature_of_a_known_key_is_forbidden(witness: Witness) -> None:
    """The log's first line of four is spoilt; the rest would do, and yet the note is refused."""
    text, _, lines = make_note(5).partition(b"\n\n")
    first, rest = lines.split(b"\n", 1)
    spoilt = first[:-6] + (b"AAAA" if first[-6:-2] != b"AAAA" else b"BBBB") + first[-2:]
    with pytest.raises(Exception, match=r"the log signature of .* is wrong") as refused:
        witness.add_checkpoint(format_add_checkpoint(0, [], text + b"\n\n" + spoilt + b"\n" + rest))
    assert refused.value.status == 403  # type: ignore[attr-defined]


def test_what_was_cosigned_is_remembered_and_a_changed_file_stops_the_start(
    tmp_path: Path, witness: Witness
) -> None:
    folder = tmp_path / "logs"
    witness.add_checkpoint(format_add_checkpoint(0, [], make_note(5)))
    (folder / "draft").write_bytes(b"torn")
    assert open_witness(folder).sizes == {GENESIS.origin: 5}
    assert [path.name for path in folder.iterdir()] == [f"{ORIGIN_HASH}.checkpoint"]
    path = folder / f"{ORIGIN_HASH}.checkpoint"
    good = path.read_bytes()
    foreign = f"it is no checkpoint of {GENESIS.origin} that {NAME} has cosigned"
    for content, sentence in (
        (good.replace(b"\n5\n", b"\n4\n"), f"Checkpoint: the cosignature of {NAME} "),
        (make_note(5), foreign),
        (good[:40], "Note: it has no signature lines after an empty line"),
    ):
        path.write_bytes(content)
        with pytest.raises(Damaged) as damaged:
            open_witness(folder)
        assert str(damaged.value).startswith(f"{path}, offset 0: {sentence}")
    path.write_bytes(good)
    with pytest.raises(Damaged):
        open_witness(folder, SeedSigner(sha256(b"another").digest()))


def test_what_a_killed_witness_cosigned_is_durable_before_it_is_shown() -> None:
    """A kill leaves a name that only the page cache holds; a loss of power would take it, and the
    witness, asked about another tree, would not know what it has shown."""
    for step in range(8):
        directory = CrashingDirectory()
        at = Witness(NAME, SIGNER, [GENESIS], directory, lambda: TIME_S)
        directory.crash_at = directory.step + step
        with suppress(ProcessEnded):
            at.add_checkpoint(format_add_checkpoint(0, [], make_note(5)))
        directory.crash_at = None
        shown = Witness(NAME, SIGNER, [GENESIS], directory, lambda: TIME_S).newest(ORIGIN_HASH)
        directory.lose_power(Survival.NONE)
        after = Witness(NAME, SIGNER, [GENESIS], directory, lambda: TIME_S)
        assert after.newest(ORIGIN_HASH) == shown, step


async def test_a_cosignature_leaves_only_after_the_disk_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, witness: Witness
) -> None:
    stopped: list[StorageFailure] = []
    seen: list[dict[str, int]] = []

    def failing(*_: object) -> None:
        seen.append(dict(witness.sizes))
        raise StorageFailure("draft: write failed: No space left on device", "磁盘空间不足")

    async with connect(witness, stopped) as client:
        monkeypatch.setattr("node.witness.write_whole", failing)
        answer = await add(client, 0, [], make_note(5))
        assert (answer.status_code, answer.text) == (
            503,
            "this witness cannot write to its disk; it stops\n",
        )
        assert [str(one) for one in stopped] == ["draft: write failed: No space left on device"]
        assert seen == [{GENESIS.origin: 0}]
        assert "—" not in answer.text


# Asking


ROUNDS = Rounds(3600, lambda: None, clock_ms=lambda: TIME_S * 1000)


class Tiles:
    """The hash tiles of a log in memory."""

    def __init__(self, size: int) -> None:
        self._tiles: dict[tuple[int, int], bytes] = {}
        extension = extend_tiles(Frontier(0, b""), leaves(size), self.read)
        for level, index, data in extension.tiles:
            self._tiles[level, index] = data

    def read(self, level: int, index: int) -> bytes:
        return self._tiles.get((level, index), b"")


async def ask(
    witness: Witness,
    shelf: WitnessShelf,
    said: list[tuple[str, str]],
    sizes: list[int],
    app: Starlette | None = None,
) -> None:
    """Have one node show these sizes to a witness, one after another; or to `app` in its place."""
    outsider = Outsider("court", "http://witness.test", witness.key)
    with ThreadPoolExecutor(1) as thread:
        witnessing = Witnessing(
            [outsider],
            ROUNDS,
            shelf,
            lambda level, index: Tiles(max(sizes)).read(level, index),
            thread=thread,
            say=lambda level, text: said.append((level, text)),
        )
        app = app or make_app(witness, [].append)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://witness.test") as client:
            for size in sizes:
                await witnessing.ask_all(client, make_note(size))


async def test_a_node_asks_finds_the_known_size_and_keeps_the_cosignature_apart(
    witness: Witness, tmp_path: Path
) -> None:
    said: list[tuple[str, str]] = []
    folder = tmp_path / "witnessed"
    shelf = WitnessShelf(DiskDirectory(folder, create=True))
    await ask(witness, shelf, said, [3])
    await ask(witness, shelf, said, [7, 7, 20])  # a node that knows nothing of the witness
    assert said == [
        ("info", f"witnesses: size {size} has 1 cosignatures") for size in (3, 7, 7, 20)
    ]
    assert [shelf.first_size_at_or_after(size) for size in (0, 4, 8, 21)] == [3, 7, 20, None]
    answer = json.loads(shelf.read(7)[1])
    assert answer["checkpoint"].encode() == make_note(7)
    [item] = answer["cosignatures"]
    line = parse_signature_line(item["line"])
    assert item["witness"] == "court"
    assert verify_cosignature(parse_note(make_note(7)).text, witness.key, line.signature) == TIME_S
    (folder / f"{7:020d}.json").write_bytes(shelf.read(7)[1].replace(b'"size":7', b'"size":8'))
    with pytest.raises(Damaged) as damaged:
        shelf.read(7)
    assert str(damaged.value) == (
        f"{folder}/{7:020d}.json, offset 0: it is not what is written as "
        "evidence-ledger/witnessed/v1"
    )


async def test_a_fork_seen_by_a_witness_is_an_error(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(format_add_checkpoint(0, [], make_note(7, fork_at=3)))
    said: list[tuple[str, str]] = []
    shelf = WitnessShelf(DiskDirectory(tmp_path / "witnessed", create=True))
    await ask(witness, shelf, said, [7])
    assert said[0] == ("error", FORK)
    assert said[1][1].startswith("witnesses: court: it answered 422: 'size 7 has two roots")
    assert shelf.newest_size == 0


async def test_a_fork_told_by_the_elder_text_of_the_protocol_is_an_error_too(
    witness: Witness, tmp_path: Path
) -> None:
    """tlog-witness v1.0.0 answers another root of the known size with 409, and its size."""
    said: list[tuple[str, str]] = []
    shelf = WitnessShelf(DiskDirectory(tmp_path / "witnessed", create=True))

    async def reply(request: Request) -> Response:
        return Response(b"7\n", 409, media_type=SIZE_TYPE)

    app = Starlette(routes=[Route("/add-checkpoint", reply, methods=["POST"])])
    await ask(witness, shelf, said, [7], app)
    assert said == [
        ("error", FORK),
        ("warning", f"witnesses: court: it refuses this node's tree of size 7 {UNUSABLE}"),
    ]
    assert shelf.newest_size == 0


async def test_a_fork_below_the_known_size_is_an_error_too(
    witness: Witness, tmp_path: Path
) -> None:
    witness.add_checkpoint(format_add_checkpoint(0, [], make_note(7, fork_at=3)))
    said: list[tuple[str, str]] = []
    shelf = WitnessShelf(DiskDirectory(tmp_path / "witnessed", create=True))
    await ask(witness, shelf, said, [20])
    assert said[0] == ("error", FORK)
    assert said[1][1].startswith("witnesses: court: it answered 422: ")
    assert shelf.newest_size == 0


async def test_what_one_witness_said_stays_when_only_another_answers(
    witness: Witness, tmp_path: Path
) -> None:
    """While nothing is appended the same size is shown again and again."""
    shelf = WitnessShelf(DiskDirectory(tmp_path / "witnessed", create=True))
    line = witness.add_checkpoint(format_add_checkpoint(0, [], make_note(7)))
    cosignature = parse_signature_line(line.decode().rstrip("\n"))
    shelf.keep(7, make_note(7), 1, {"notary": cosignature})
    await ask(witness, shelf, [], [7])
    file, _ = shelf.read(7)
    assert ([item.witness for item in file.cosignatures], file.asked_ms) == (["court", "notary"], 1)
    # A file that is damaged cannot be added to, and is written anew.
    (tmp_path / "witnessed" / f"{7:020d}.json").write_bytes(b"{")
    shelf.keep(7, make_note(7), 2, {"notary": cosignature})
    assert [item.witness for item in shelf.read(7)[0].cosignatures] == ["notary"]


async def test_a_witness_that_knows_what_this_node_does_not_hold_is_passed_over(
    witness: Witness, tmp_path: Path
) -> None:
    """As after a start from a snapshot: the tiles before it are not here."""
    witness.add_checkpoint(format_add_checkpoint(0, [], make_note(3)))
    said: list[tuple[str, str]] = []
    shelf = WitnessShelf(DiskDirectory(tmp_path / "witnessed", create=True))
    with ThreadPoolExecutor(1) as thread:
        witnessing = Witnessing(
            [Outsider("court", "http://witness.test", witness.key)],
            ROUNDS,
            shelf,
            lambda level, index: b"",
            thread=thread,
            say=lambda level, text: said.append((level, text)),
        )
        async with connect(witness) as client:
            await witnessing.ask_all(client, make_note(20))
    sentence = (
        "witnesses: court: it knows size 3, from before what this node holds of the log; another "
        f"member has to show it a newer one {UNUSABLE}"
    )
    assert said == [("warning", sentence)]


async def test_who_could_not_be_asked_is_asked_again_and_who_refused_is_not(
    witness: Witness, tmp_path: Path
) -> None:
    """A witness that starts later than the node is heard in the same round, at the same size."""
    naps: list[float] = []
    asked: list[str] = []
    said: list[tuple[str, str]] = []
    line = witness.add_checkpoint(format_add_checkpoint(0, [], make_note(7)))

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        if request.url.host == "refusing":
            return httpx.Response(403, content=stream(b"no\n"))
        if request.url.host == "late":
            if not naps:
                raise httpx.ConnectError("All connection attempts failed")
            if len(naps) < 3:
                return httpx.Response(503 if len(naps) == 1 else 429, content=stream(b"soon\n"))
        return httpx.Response(200, content=stream(line))

    rounds = Rounds(3600, lambda: (1, make_note(7)), clock_ms=lambda: TIME_S * 1000, sleep=sleep)
    shelf = WitnessShelf(DiskDirectory(tmp_path / "witnessed", create=True))
    names = ("court", "late", "refusing")
    with ThreadPoolExecutor(1) as thread:
        witnessing = Witnessing(
            [Outsider(name, f"http://{name}", witness.key) for name in names],
            rounds,
            shelf,
            Tiles(7).read,
            thread=thread,
            say=lambda level, text: said.append((level, text.partition(" 见证方")[0])),
        )
        async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as client:
            await witnessing.ask_all(client, await rounds.next())
    assert sorted(asked) == ["court", *["late"] * 4, "refusing"]
    assert naps == [60, 120, 240]
    assert [item.witness for item in shelf.read(7)[0].cosignatures] == ["court", "late"]
    assert said == [
        ("warning", "witnesses: late: it cannot be asked: All connection attempts failed"),
        ("warning", "witnesses: refusing: it answered 403: 'no'"),
        ("info", "witnesses: size 7 has 1 cosignatures"),
        ("warning", "witnesses: late: it answered 503: 'soon'"),
        ("warning", "witnesses: late: it answered 429: 'soon'"),
        ("info", "witnesses: size 7 has 2 cosignatures"),
    ]


async def test_pauses_double_up_to_an_hour_and_end_where_a_round_is_due_first() -> None:
    naps: list[float] = []
    now_ms = TIME_S * 1000

    async def sleep(seconds: float) -> None:
        nonlocal now_ms
        naps.append(seconds)
        now_ms += int(seconds * 1000)

    rounds = Rounds(5 * 3600, lambda: (1, make_note(7)), clock_ms=lambda: now_ms, sleep=sleep)
    await rounds.next()
    failures = 1
    while await rounds.pause(failures):
        failures += 1
    assert naps == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    rounds = Rounds(60, lambda: (1, make_note(7)), clock_ms=lambda: now_ms, sleep=sleep)
    await rounds.next()
    assert not await rounds.pause(1), "the next round asks everybody anyway"
    assert len(naps) == 9


async def stream(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_outsiders_set_no_cookies_and_lead_nowhere() -> None:
    seen: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie", ""))
        headers = {"set-cookie": f"n{len(seen)}={'x' * 4000}", "location": "http://other.test/"}
        return httpx.Response(302, headers=headers, content=stream(b""))

    async with open_client() as client:
        client._mounts.clear()
        client._transport = httpx.MockTransport(reply)
        for _ in range(3):
            answer = await post(client, "http://witness.test/add-checkpoint", b"", 100)
            assert answer.status == 302
        assert list(client.cookies.jar) == []
        with pytest.raises(NoAnswer) as unusable:
            await post(client, "http://[::1/", b"", 100)
    assert seen == ["", "", ""]
    assert str(unusable.value) == "its URL in node.toml cannot be used"


async def test_a_server_that_packs_what_may_be_packed_is_understood() -> None:
    """Proxies do: an answer is unpacked by nobody here, so none may come packed."""

    def reply(request: httpx.Request) -> httpx.Response:
        if "gzip" in request.headers.get("accept-encoding", "gzip"):
            packed = gzip.compress(b"5\n")
            return httpx.Response(200, headers={"content-encoding": "gzip"}, content=stream(packed))
        return httpx.Response(200, content=stream(b"5\n"))

    async with open_client() as client:
        client._mounts.clear()
        client._transport = httpx.MockTransport(reply)
        answer = await post(client, "http://witness.test/add-checkpoint", b"", 100)
    assert answer.raw == b"5\n"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda line: (500, b"down"), "it answered 500: 'down'"),
        (lambda line: (409, b"5\n"), "it answered 409: '5'"),
        (
            lambda line: (409, b"0\n", SIZE_TYPE),
            "it wants to be shown growth from size 0, and was",
        ),
        (lambda line: (200, b""), f"its answer has no line of {NAME}"),
        (lambda line: (200, b"\xff"), "its answer is no signature lines"),
        (lambda line: (200, bytes(20_000)), "it answered with more than 16384 bytes"),
        (
            lambda line: (200, line[:-20] + b"AAAA" + line[-16:]),
            f"Checkpoint: the cosignature of {NAME} ",
        ),
        (
            lambda line: (200, line.replace(b"court", b"other")),
            f"its answer has no line of {NAME}",
        ),
    ],
)
async def test_answers_of_a_witness_that_are_not_kept(
    witness: Witness, tmp_path: Path, answer: Callable[[bytes], tuple[Any, ...]], sentence: str
) -> None:
    line = witness.add_checkpoint(format_add_checkpoint(0, [], make_note(7)))
    status, content, media_type = (*answer(line), "text/plain")[:3]

    async def reply(request: Request) -> Response:
        return Response(content, status, media_type=media_type)

    app = Starlette(routes=[Route("/add-checkpoint", reply, methods=["POST"])])
    said: list[tuple[str, str]] = []
    shelf = WitnessShelf(DiskDirectory(tmp_path / "witnessed", create=True))
    with ThreadPoolExecutor(1) as thread:
        witnessing = Witnessing(
            [Outsider("court", "http://witness.test", witness.key)],
            ROUNDS,
            shelf,
            Tiles(7).read,
            thread=thread,
            say=lambda level, text: said.append((level, text)),
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            await witnessing.ask_all(client, make_note(7))
    [(level, text)] = said
    assert level == "warning"
    assert text.startswith(f"witnesses: court: {sentence}")
    assert shelf.newest_size == 0


# The command


def test_a_witness_is_made_runs_and_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a long passphrase\n")
    passphrase.chmod(0o600)
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(GENESIS.raw)
    home = tmp_path / "witness"
    given = ["--home", str(home), "--passphrase-file", str(passphrase)]
    assert main(["witness", "init", *given, "--name", "two words"]) == 1
    assert not home.exists()
    capsys.readouterr()
    assert main(["witness", "init", *given, "--name", NAME]) == 0
    key = parse_verifier_key(capsys.readouterr().out.splitlines()[-1])
    assert key.name == NAME
    assert main(["witness", "run", *given, "--genesis", str(genesis), "--listen", "0.0.0.0:1"]) == 2
    assert capsys.readouterr().err == (
        "--listen 0.0.0.0:1 is not a loopback address; put a proxy with TLS before a witness that "
        "others reach.\n"
        "--listen 0.0.0.0:1 不是本机回环地址；供他人访问的见证服务，请在其前设置带 TLS 的代理。\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "cli", "witness", "run", *given, "--genesis", str(genesis)]
    with subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}"], cwd=ROOT) as process:
        body = format_add_checkpoint(0, [], make_note(5))
        answer = None
        while answer is None and process.poll() is None:
            try:
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/add-checkpoint", content=body, trust_env=False
                )
            except httpx.TransportError:
                time.sleep(0.05)
        process.terminate()
        assert process.wait() == 0
    assert answer is not None
    line = parse_signature_line(answer.text.rstrip("\n"))
    verify_cosignature(parse_note(make_note(5)).text, key, line.signature)
    assert len(list((home / "logs").glob("*.checkpoint"))) == 1


def test_an_address_that_is_taken_ends_a_witness_as_a_failure(tmp_path: Path) -> None:
    write_identity(tmp_path, NAME, SIGNER.public_key)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run_witness(tmp_path, SIGNER, [GENESIS], listen) == 1
