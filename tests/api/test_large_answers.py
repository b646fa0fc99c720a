"""Large answers go out in pieces, and only so many are in memory at once."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Iterator

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message
from structlog.testing import capture_logs

from api import large_answers
from api.app import create_app
from api.large_answers import LARGE_BYTES, PIECE_BYTES, LargeAnswers
from api.ports import NotCertified
from api.problems import Problem
from api.settings import ApiSettings
from api.tokens import TokenSet
from ledger.refusal import Reason, Rejected
from ledger.transaction import compute_tx_id
from tests.api.fake import TIME_MS, FakeNode, make_body, make_envelope

LARGE = bytes(range(256)) * (LARGE_BYTES // 256) + b"more"


class Client:
    """One request and what comes back; takes a message only while it may."""

    def __init__(
        self, app: ASGIApp, *, takes: bool = True, address: str = "192.0.2.7", token: str = ""
    ) -> None:
        self.app = app
        self.client = (address, 5000)
        self.sent_headers = [(b"authorization", token.encode())] if token else []
        self.messages: list[Message] = []
        self.fails: Exception | None = None
        self.may_take = asyncio.Event()
        if takes:
            self.may_take.set()

    async def ask(self, path: str = "/", method: str = "GET") -> Client:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": self.sent_headers,
            "client": self.client,
            "server": ("node", 80),
        }
        await self.app(scope, self._receive, self._send)
        return self

    async def _receive(self) -> Message:
        await asyncio.Event().wait()  # no body, and the connection stays
        raise AssertionError

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        if self.fails is not None and message.get("more_body", False):
            raise self.fails
        await self.may_take.wait()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        assert self.messages[-1].get("more_body", False) is False
        assert all(each["more_body"] for each in self.messages[1:-1])
        return b"".join([each["body"] for each in self.messages[1:]])


def answering(body: bytes, bytes_max: int) -> LargeAnswers:
    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        await Response(body)(scope, receive, send)

    return LargeAnswers(app, bytes_max)


async def test_a_large_answer_goes_out_whole_in_pieces_and_a_small_one_at_once() -> None:
    client = await Client(answering(LARGE, len(LARGE))).ask()
    assert client.body == LARGE
    assert client.headers[b"content-length"] == str(len(LARGE)).encode()
    assert max(len(each["body"]) for each in client.messages[1:]) == PIECE_BYTES
    small = await Client(answering(LARGE[:LARGE_BYTES], 0)).ask()
    assert len(small.messages) == 2
    assert small.body == LARGE[:LARGE_BYTES]


async def test_what_would_be_too_much_at_once_is_asked_for_again() -> None:
    app = answering(LARGE, 2 * len(LARGE))
    slow = [Client(app, takes=False, address=f"192.0.2.{number}") for number in range(2)]
    asking = [asyncio.create_task(each.ask()) for each in slow]
    await asyncio.sleep(0)
    for _ in range(3):
        refused = await Client(app).ask()
        assert refused.status == 503
        assert refused.headers[b"retry-after"] == b"5"
        assert b"other large answers are being sent; ask again in a moment" in refused.body
        assert "正在发送其他较大的应答，请稍后再试".encode() in refused.body
    slow[0].may_take.set()
    await asking[0]
    assert (await Client(app).ask()).body == LARGE
    slow[1].may_take.set()
    await asking[1]
    assert [each.body for each in slow] == [LARGE, LARGE]


@pytest.mark.parametrize(
    "askers",
    [
        [("Bearer el1_a", "198.51.100.1"), ("bearer el1_a", "198.51.100.2")],
        [("Bearer el1_a", "198.51.100.1"), ("BEARER   el1_a  ", "198.51.100.3")],
        [("", "192.0.2.7"), ("", "192.0.2.7")],
        [("", "2001:db8:1:2::9"), ("", "2001:db8:1:2:3:4:5:6")],
    ],
    ids=["spelling", "spaces", "address", "line"],
)
async def test_no_reader_keeps_the_others_out(askers: list[tuple[str, str]]) -> None:
    """However large its answer, however slow it is, however often it asks, from wherever."""
    app = answering(LARGE, 2 * len(LARGE))
    (token, address), _ = askers
    slow = Client(app, takes=False, token=token, address=address)
    asking = asyncio.create_task(slow.ask())
    await asyncio.sleep(0)
    for token, address in askers:
        assert (await Client(app, token=token, address=address).ask()).status == 503
        assert (await Client(app, token="Bearer el1_b").ask()).body == LARGE
    slow.may_take.set()
    await asking
    assert (await Client(app, token=token, address=address).ask()).body == LARGE


async def test_a_single_one_beyond_the_bound_leaves_half_to_the_others() -> None:
    app = answering(LARGE, len(LARGE) // 2)
    slow = [Client(app, takes=False, address=f"192.0.2.{number}") for number in range(2)]
    asking = []
    for each in slow:
        asking.append(asyncio.create_task(each.ask()))
        await asyncio.sleep(0)
        assert each.status == 200
    assert (await Client(app).ask()).status == 503
    for each, task in zip(slow, asking, strict=True):
        each.may_take.set()
        await task
        assert each.body == LARGE


class Record(bytearray):
    """What an answer is made of, and can be seen to be let go."""


class Records(FakeNode):
    """A node whose records are large, each made anew."""

    def __init__(self) -> None:
        super().__init__()
        self.take_in(make_envelope(0))
        self.commit(certified=True)
        self.made: list[weakref.ref[Record]] = []

    def make(self) -> memoryview:
        record = Record(LARGE)
        self.made.append(weakref.ref(record))
        return memoryview(record)

    @property
    def kept(self) -> list[bool]:
        return [made() is not None for made in self.made]

    async def history(self, contract_id: str) -> memoryview:  # type: ignore[override]
        return self.make()

    def entry(self, tx_id: bytes) -> memoryview:  # type: ignore[override]
        return self.make()

    async def _schedule_lines(self) -> AsyncGenerator[memoryview, None]:  # type: ignore[override]
        while True:
            yield self.make()


HISTORY = "/v1/contracts/c1/history"
ENTRY = f"/v1/transactions/{compute_tx_id(make_body(0)).hex()}/entry"
SCHEDULE = "/v1/merchants/m1/schedule"


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What is let go is so at once, and not when the collector comes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("path", [HISTORY, ENTRY, SCHEDULE])
async def test_what_is_refused_is_let_go_before_a_slow_client_is_told(
    path: str, token_set: TokenSet, secrets_by_name: dict[str, str]
) -> None:
    """A client whose connection is full of an earlier answer takes the refusal when it likes."""
    node = Records()
    settings = ApiSettings(now_ms=lambda: TIME_MS, answers_bytes_max=len(LARGE))
    app = create_app(node, token_set, settings)
    token = f"Bearer {secrets_by_name['operator']}"
    held = Client(app, takes=False, token=token)
    told = Client(app, takes=False, token=token)
    asking = [asyncio.create_task(held.ask(HISTORY))]
    while not held.messages:  # noqa: ASYNC110 it sets no event
        await asyncio.sleep(0)
    asking.append(asyncio.create_task(told.ask(path)))
    while not told.messages:  # noqa: ASYNC110 it sets no event
        await asyncio.sleep(0)
    assert told.status == 503
    for _ in range(5):
        await asyncio.sleep(0)  # the event loop closes a generator that nobody goes on with
    assert node.kept == [True, False]
    for each in (held, told):
        each.may_take.set()
    await asyncio.gather(*asking)
    assert b"other large answers are being sent" in told.body


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "refusal",
    [
        NotCertified("not certified yet", "尚未认证", 1),
        Problem("unavailable", "not now", "现在不行"),
        Rejected(Reason.BAD_FIELD, "question"),
        RuntimeError("a mistake"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_what_a_refusal_was_made_of_is_let_go_before_a_slow_client_is_told(
    refusal: Exception, token_set: TokenSet, secrets_by_name: dict[str, str]
) -> None:
    node = Records()

    async def history(contract_id: str) -> bytes:
        record = node.make()
        try:
            raise KeyError(record[0])
        except KeyError:
            raise refusal from None

    node.history = history  # type: ignore[method-assign]
    app = create_app(node, token_set, ApiSettings(now_ms=lambda: TIME_MS))
    told = Client(app, takes=False, token=f"Bearer {secrets_by_name['operator']}")
    with capture_logs():  # which shows no large record
        asking = asyncio.create_task(told.ask(HISTORY))
        while not told.messages:  # noqa: ASYNC110 it sets no event
            await asyncio.sleep(0)
    assert told.status >= 400
    assert node.kept == [False]
    told.may_take.set()
    await asking


async def test_who_asks_by_head_has_nothing_made_beyond_the_first_piece(
    token_set: TokenSet, secrets_by_name: dict[str, str]
) -> None:
    """Nothing is taken, so nothing would slow a schedule of any length down."""
    node = Records()
    app = create_app(node, token_set, ApiSettings(now_ms=lambda: TIME_MS))
    client = Client(app, token=f"Bearer {secrets_by_name['operator']}")
    async with asyncio.timeout(60):
        await client.ask(SCHEDULE, "HEAD")
    assert (client.status, client.body, len(node.made)) == (200, b"", 1)
    large = Client(app, token=f"Bearer {secrets_by_name['operator']}")
    await large.ask(HISTORY, "HEAD")
    assert large.body == b""
    assert large.headers[b"content-length"] == str(len(LARGE)).encode()
    assert (await large.ask(HISTORY)).status == 200


async def test_what_stands_in_memory_once_goes_in_pieces_and_is_never_refused(
    token_set: TokenSet,
) -> None:
    app = create_app(Records(), token_set, ApiSettings(answers_bytes_max=1))
    slow = []
    for path in ("/docs/swagger-ui-bundle.js", "/verify", "/openapi.json") * 2:
        slow.append((Client(app, takes=False), path))
        slow[-1][0].task = asyncio.create_task(slow[-1][0].ask(path))
    await asyncio.sleep(0)
    for client, path in slow:
        client.may_take.set()
        await client.task
        assert client.status == 200, path
        assert len(client.body) == int(client.headers[b"content-length"])
        assert max(len(each["body"]) for each in client.messages[1:]) == PIECE_BYTES


async def test_what_is_made_as_it_is_taken_must_be_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Line by line each in time, and all together so slowly that it never ends."""
    closed = asyncio.Event()

    async def lines() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"line"
        finally:
            closed.set()

    monkeypatch.setattr(large_answers, "GRACE_S", 0.1)
    begun_s = asyncio.get_running_loop().time()
    taken = 0

    async def take_slowly() -> None:
        nonlocal taken
        async for _ in large_answers.keep_pace(lines()):
            taken += 1
            await asyncio.sleep(0.03)

    with pytest.raises(ClientDisconnect):
        await take_slowly()
    assert asyncio.get_running_loop().time() - begun_s >= 0.1
    assert taken > 1
    assert closed.is_set()


async def test_whoever_is_cancelled_or_gone_gives_back_what_it_held() -> None:
    app = answering(LARGE, 2 * len(LARGE))
    for _ in range(3):
        slow = Client(app, takes=False)
        asking = asyncio.create_task(slow.ask())
        await asyncio.sleep(0)
        assert slow.status == 200
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    gone = Client(app)
    gone.fails = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        await gone.ask()
    assert (await Client(app).ask()).body == LARGE


async def test_a_single_answer_may_have_any_size_and_nothing_stays_held() -> None:
    app = answering(LARGE, 1)
    for _ in range(3):
        assert (await Client(app).ask()).body == LARGE


async def test_who_does_not_take_a_large_answer_in_time_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large_answers, "GRACE_S", 0.01)
    monkeypatch.setattr(large_answers, "BYTES_PER_S_MIN", 10**12)
    app = answering(LARGE, 1)
    with pytest.raises(ClientDisconnect):
        await Client(app, takes=False).ask()
    monkeypatch.setattr(large_answers, "GRACE_S", 60.0)
    assert (await Client(app).ask()).body == LARGE


async def test_an_answer_in_parts_goes_on_in_its_parts() -> None:
    parts = [b"one", LARGE, b"three"]

    async def lines():  # type: ignore[no-untyped-def]
        for part in parts:
            yield part

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        await StreamingResponse(lines()).stream_response(send)

    client = await Client(LargeAnswers(app, 1)).ask()
    assert client.body == b"".join(parts)


async def test_a_route_that_fails_before_its_answer_has_begun_none() -> None:
    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a mistake")

    client = Client(LargeAnswers(app, 1))
    with pytest.raises(RuntimeError, match="a mistake"):
        await client.ask()
    assert client.messages == []
