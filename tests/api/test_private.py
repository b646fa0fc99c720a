"""Private fields over the API: who may, what is answered, written down, and destroyed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.settings import ApiSettings
from api.tokens import TokenSet
from ledger.disclosure import FIELDS, read_disclosure, verify_disclosure
from ledger.words import Words
from node.private_audit import AuditCount, verify_audit
from node.private_records import RECORDS_MAX, PrivateRecords, verify_records
from storage.files import Damaged, DiskDirectory
from storage.private_box import DOCUMENT_BYTES_MAX
from tests.api.fake import TIME_MS, FakeNode

FIELDS_OF_ONE = {"name": "张小宝", "phone": "13800138000", "wallet_id": "0021000312345678"}
PRIVATE = "/v1/contracts/c1/private"
DISCLOSURE = "/v1/contracts/c1/disclosure"
MASTER = bytes(range(32))


class Store:
    """The real store in a folder, behind the API of a node in memory."""

    def __init__(self, folder: Path, node: FakeNode, tokens: TokenSet, secret: dict[str, str]):
        self.folder = folder
        self.stopped: list[Words] = []
        self.node, self._tokens, self._secret = node, tokens, secret
        self._thread = ThreadPoolExecutor(1)
        self.directory = DiskDirectory(folder, create=True)
        self.reopen()

    def reopen(self) -> list[str]:
        """Open the store as after a restart; return what it mended."""

        def custodian_of(contract: str) -> str:
            view = self.node.contract(f"contract/{contract}")
            return "" if view is None else view.custodian

        records = PrivateRecords(
            self.directory,
            MASTER,
            custodian_of=custodian_of,
            thread=self._thread,
            stop=self.stopped.append,
            now_ms=lambda: TIME_MS,
        )
        self._app = create_app(
            self.node, self._tokens, ApiSettings(now_ms=lambda: TIME_MS), records
        )
        return [notice.en for notice in records.notices]

    def connect(self, token: str | None = "custodian") -> httpx.AsyncClient:
        headers = {"X-Request-Id": "r-1"}
        if token is not None:
            headers["Authorization"] = f"Bearer {self._secret[token]}"
        transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=True)
        return httpx.AsyncClient(transport=transport, base_url="http://node", headers=headers)

    @property
    def audit(self) -> list[dict[str, Any]]:
        file = self.folder / "audit-2026-01.log"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self._thread.shutdown()
        self.directory.close()


@pytest.fixture
def store(
    tmp_path: Path, node: FakeNode, token_set: TokenSet, secrets_by_name: dict[str, str]
) -> Iterator[Store]:
    made = Store(tmp_path / "private", node, token_set, secrets_by_name)
    yield made
    made.close()


def detail(answer: httpx.Response) -> tuple[int, str, str]:
    problem = answer.json()
    return answer.status_code, problem["reason"], problem["detail"]


async def put(store: Store, values: dict[str, str], replaces: str | None = None) -> dict[str, Any]:
    async with store.connect() as client:
        answer = await client.put(PRIVATE, json={"fields": values, "replaces": replaces})
    assert answer.status_code == 201, answer.text
    written: dict[str, Any] = answer.json()
    return written


async def test_what_is_put_is_read_again_and_disclosed(store: Store) -> None:
    written = await put(store, FIELDS_OF_ONE)
    assert written == {
        "commitment": written["commitment"],
        "contract": "c1",
        "created_ms": TIME_MS,
        "fields": ["name", "phone", "wallet_id"],
        "replaces": None,
    }
    for token in ("custodian", "consumer"):
        async with store.connect(token) as client:
            answer = await client.get(PRIVATE)
            assert answer.json() == {
                "contract": "c1",
                "custodian": "bank-a",
                "records": [
                    {
                        "commitment": written["commitment"],
                        "created_ms": TIME_MS,
                        "fields": FIELDS_OF_ONE,
                        "replaces": None,
                    }
                ],
            }
            answer = await client.get(DISCLOSURE, params={"fields": "phone,guardian_name"})
        disclosure = read_disclosure(answer.json())
        verify_disclosure(disclosure)
        assert disclosure.commitment.hex() == written["commitment"]
        assert disclosure.contract == "c1"
        shown = {each.field.name: each.field.value for each in disclosure.shown}
        assert shown == {"guardian_name": None, "phone": "13800138000"}
        assert "张小宝" not in answer.text
        assert answer.headers["cache-control"] == "no-store"


async def test_a_correction_is_a_new_record_that_names_the_old_one(store: Store) -> None:
    first = await put(store, FIELDS_OF_ONE)
    second = await put(store, FIELDS_OF_ONE | {"phone": "13900139000"}, first["commitment"])
    assert second["replaces"] == first["commitment"]
    async with store.connect() as client:
        records = (await client.get(PRIVATE)).json()["records"]
        assert [record["fields"]["phone"] for record in records] == ["13800138000", "13900139000"]
        newest = (await client.get(DISCLOSURE, params={"fields": "phone"})).json()
        old = {"fields": "phone", "commitment": first["commitment"]}
        older = (await client.get(DISCLOSURE, params=old)).json()
        assert (newest["fields"][0]["value"], older["fields"][0]["value"]) == (
            "13900139000",
            "13800138000",
        )
        old["commitment"] = "00" * 32
        assert detail(await client.get(DISCLOSURE, params=old)) == (
            404,
            "not_found",
            "no record of contract/c1 here has the commitment asked for",
        )


async def test_a_correction_that_does_not_name_the_newest_is_a_conflict(store: Store) -> None:
    sentence = (
        "contract/c1 has private fields under commitment {}; name it in `replaces` to correct them"
    )
    async with store.connect() as client:
        absent = await client.put(PRIVATE, json={"fields": {}, "replaces": "00" * 32})
        assert detail(absent) == (
            409,
            "conflict",
            "contract/c1 has no private fields here that could be corrected",
        )
        first = await put(store, FIELDS_OF_ONE)
        for replaces in (None, "00" * 32):
            again = await client.put(PRIVATE, json={"fields": FIELDS_OF_ONE, "replaces": replaces})
            assert detail(again) == (
                409,
                "conflict",
                sentence.format(first["commitment"]),
            )


async def test_corrections_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.private_records.RECORDS_MAX", 2)
    first = await put(store, FIELDS_OF_ONE)
    second = await put(store, FIELDS_OF_ONE, first["commitment"])
    async with store.connect() as client:
        body = {"fields": {}, "replaces": second["commitment"]}
        assert detail(await client.put(PRIVATE, json=body)) == (
            409,
            "conflict",
            "contract/c1 has 2 records of private fields; no more are kept",
        )
        assert len((await client.get(PRIVATE)).json()["records"]) == 2


async def test_as_many_corrections_as_are_allowed_fit_into_a_document(store: Store) -> None:
    await put(store, dict.fromkeys(FIELDS, "王" * 341 + "x"))
    one = (store.folder / "c1.box").stat().st_size
    assert RECORDS_MAX * one <= DOCUMENT_BYTES_MAX


REQUESTS = {
    "put": lambda client: client.put(PRIVATE, json={"fields": FIELDS_OF_ONE}),
    "get": lambda client: client.get(PRIVATE),
    "delete": lambda client: client.delete(PRIVATE),
    "disclosure": lambda client: client.get(DISCLOSURE, params={"fields": "phone"}),
}
STRANGERS = (
    "regulator", "auditor", "operator", "merchant", "other-merchant", "other-custodian",
    "other-consumer",
)  # fmt: skip


@pytest.mark.parametrize("what", REQUESTS)
@pytest.mark.parametrize("token", STRANGERS)
async def test_nobody_else_is_answered_whether_or_not_there_is_anything(
    store: Store, what: str, token: str
) -> None:
    async with store.connect(token) as client:
        empty = await REQUESTS[what](client)
        await put(store, FIELDS_OF_ONE)
        there = await REQUESTS[what](client)
        async with store.connect() as custodian:
            await custodian.delete(PRIVATE)
        erased = await REQUESTS[what](client)
    assert {answer.status_code for answer in (empty, there, erased)} == {403}
    assert detail(empty) == detail(there) == detail(erased)
    assert detail(empty)[2].endswith("does not cover the private fields of contract/c1")


@pytest.mark.parametrize("what", ["put", "delete"])
async def test_the_consumer_reads_only(store: Store, what: str) -> None:
    await put(store, FIELDS_OF_ONE)
    async with store.connect("consumer") as client:
        status, reason, says = detail(await REQUESTS[what](client))
        assert (status, reason) == (403, "forbidden")
        assert says == (
            "token 'consumer' with scope consumer:c1 does not cover the private fields of "
            "contract/c1"
        )
        assert (await client.get(PRIVATE)).status_code == 200


@pytest.mark.parametrize("what", REQUESTS)
async def test_without_a_token_nothing_is_answered(store: Store, what: str) -> None:
    async with store.connect(None) as client:
        answer = await REQUESTS[what](client)
    assert detail(answer)[:2] == (401, "unauthenticated")
    assert store.audit == []


async def test_a_contract_need_not_be_on_the_chain_but_is_then_whose_it_was(store: Store) -> None:
    path = "/v1/contracts/not-yet/private"
    async with store.connect("other-custodian") as first, store.connect() as second:
        assert (await first.put(path, json={"fields": FIELDS_OF_ONE})).status_code == 201
        assert (await second.put(path, json={"fields": FIELDS_OF_ONE})).status_code == 403
        assert (await second.get(path)).status_code == 403
        assert (await first.get(path)).status_code == 200


@pytest.mark.parametrize("is_erased", [False, True])
async def test_a_name_taken_before_its_contract_is_the_chains_custodians(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_erased: bool
) -> None:
    """Another custodian could guess the name, and keep the true one out for ever."""
    with monkeypatch.context() as before:
        before.setattr(store.node, "contract", lambda stream: None)
        async with store.connect("other-custodian") as other:
            assert (await other.put(PRIVATE, json={"fields": {"name": "x"}})).status_code == 201
            if is_erased:
                assert (await other.delete(PRIVATE)).status_code == 200
    async with store.connect("consumer") as consumer, store.connect() as custodian:
        assert detail(await consumer.get(PRIVATE))[:2] == (404, "not_found")
        assert (await custodian.get(PRIVATE)).status_code == 403
        await put(store, FIELDS_OF_ONE)
        assert [
            record["fields"] for record in (await custodian.get(PRIVATE)).json()["records"]
        ] == [FIELDS_OF_ONE]
        assert (await consumer.get(PRIVATE)).status_code == 200
    async with store.connect("other-custodian") as other:
        for ask in REQUESTS.values():
            assert (await ask(other)).status_code == 403


async def test_a_consumer_for_whom_nothing_is_kept_is_told_so(store: Store) -> None:
    async with store.connect("consumer") as client:
        assert detail(await client.get(PRIVATE)) == (
            404,
            "not_found",
            "no private fields of contract/c1 are kept here",
        )


async def test_erasing_destroys_and_says_so_for_ever(store: Store) -> None:
    first = await put(store, FIELDS_OF_ONE)
    second = await put(store, FIELDS_OF_ONE, first["commitment"])
    async with store.connect() as client:
        answer = await client.delete(PRIVATE)
        assert answer.json() == {
            "commitments": [first["commitment"], second["commitment"]],
            "contract": "c1",
            "erased_ms": TIME_MS,
        }
        store.reopen()
        for ask in REQUESTS.values():
            async with store.connect() as again:
                assert detail(await ask(again)) == (
                    410,
                    "erased",
                    "the private fields of contract/c1 were erased",
                )
    assert sorted(file.name for file in store.folder.iterdir()) == [
        "audit-2026-01.log",
        "c1.erased",
    ]


async def test_every_access_is_written_down_without_a_value(store: Store) -> None:
    first = await put(store, FIELDS_OF_ONE)
    async with store.connect() as client:
        await client.put(PRIVATE, json={"fields": {"name": "x"}})
        await client.put(PRIVATE, json={"fields": {"nmae": "x"}, "replaces": first["commitment"]})
        await client.get(DISCLOSURE, params={"fields": "phone,name"})
        await client.delete(PRIVATE)
        await client.get(PRIVATE)
    async with store.connect("regulator") as client:
        await client.get(PRIVATE)
    told = [(line["action"], line["fields"], line["outcome"]) for line in store.audit]
    assert told == [
        ("write", ["name", "phone", "wallet_id"], "done"),
        ("write", ["name"], "conflict"),
        ("correct", [], "refused"),
        ("disclose", ["name", "phone"], "done"),
        ("erase", [], "done"),
        ("read", [], "erased before"),
        ("read", [], "not entitled"),
    ]
    assert store.audit[0] == {
        "action": "write",
        "contract": "c1",
        "fields": ["name", "phone", "wallet_id"],
        "outcome": "done",
        "request_id": "r-1",
        "scope": "custodian:bank-a",
        "sha256": store.audit[0]["sha256"],
        "time": "2026-01-01T00:00:00.000+00:00",
        "token": "custodian",
    }
    assert verify_audit(store.directory) == AuditCount(lines=7, unsealed=0)
    raw = (store.folder / "audit-2026-01.log").read_text("utf-8")
    assert not [value for value in FIELDS_OF_ONE.values() if value in raw]


async def test_no_answer_leaves_when_the_audit_cannot_be_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(store, FIELDS_OF_ONE)
    real = store.directory.append

    def full(name: str, data: bytes) -> None:
        monkeypatch.setattr("os.pwrite", _no_space)
        real(name, data)

    monkeypatch.setattr(store.directory, "append", full)
    async with store.connect() as client:
        answer = await client.get(PRIVATE)
    assert detail(answer) == (
        503,
        "unavailable",
        "nothing can be written to this node's disk; it stops",
    )
    assert len(store.stopped) == 1
    assert store.stopped[0].en.startswith("the private fields' disk failed: ")
    assert "13800138000" not in answer.text


async def test_a_line_that_power_lost_broke_off_spoils_no_other(store: Store) -> None:
    await put(store, FIELDS_OF_ONE)
    file = store.folder / "audit-2026-01.log"
    raw = file.read_bytes()
    file.write_bytes(raw + raw[:50])
    assert store.reopen() == [f"{file}: its last line was broken off; it stays so"]
    async with store.connect() as client:
        await client.get(PRIVATE)
    first, torn, told, last = file.read_bytes().splitlines()
    assert (first + b"\n", torn) == (raw, raw[:50])
    assert json.loads(told)["outcome"] == "the line before was broken off"
    assert json.loads(last)["action"] == "read"
    assert store.reopen() == []
    assert verify_audit(store.directory) == AuditCount(lines=4, unsealed=0)


async def test_no_byte_of_what_is_left_of_erased_fields_changes_unseen(store: Store) -> None:
    await put(store, FIELDS_OF_ONE)
    async with store.connect() as client:
        await client.delete(PRIVATE)
    file = store.folder / "c1.erased"
    raw = file.read_bytes()
    assert verify_records(store.directory, MASTER) == 1
    for at in range(len(raw)):
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(Damaged, match=r"c1\.erased, offset 0: is not what is left"):
            verify_records(store.directory, MASTER)
    older = {name: value for name, value in json.loads(raw).items() if name != "checksum"}
    file.write_bytes(json.dumps(older, separators=(",", ":")).encode())
    assert verify_records(store.directory, MASTER) == 1, "as versions before the checksum wrote it"


async def test_what_is_left_of_erased_fields_may_be_damaged_too(store: Store) -> None:
    await put(store, FIELDS_OF_ONE)
    async with store.connect() as client:
        await client.delete(PRIVATE)
        (store.folder / "c1.erased").write_bytes(b'{"custodian":')
        answer = await client.get(PRIVATE)
    assert detail(answer)[:2] == (503, "unavailable")
    assert store.audit[-1]["outcome"] == "damaged"


def _no_space(*_: object) -> int:
    raise OSError(28, "No space left on device")


async def test_damage_is_named_in_the_log_and_not_to_the_client(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await put(store, FIELDS_OF_ONE)
    file = store.folder / "c1.box"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    async with store.connect() as client:
        answer = await client.get(PRIVATE)
    assert detail(answer) == (
        503,
        "unavailable",
        "what is kept of contract/c1 is damaged; the node's log says which file",
    )
    assert "c1.box, offset 0: is damaged, or sealed under another key" in caplog.text
    assert store.audit[-1]["outcome"] == "damaged"


@pytest.mark.parametrize(
    ("body", "status", "reason", "says"),
    [
        (b"", 400, "malformed", "request body: "),
        (b'{"fields":{"name":7}}', 400, "malformed", "request body: Expected `str`, got `int`"),
        (
            b'{"fields":{"name":"x","name":"y"}}',
            400,
            "malformed",
            "request body: member 'name' stands more than once in one object",
        ),
        (b'{"fields":{"name":"x"},"salt":1}', 400, "malformed", "request body: Object contains u"),
        (b'{"fields":{"name":"x"},"replaces":"x"}', 400, "malformed", "request body: Expected `s"),
        (b'{"fields":{"nmae":"x"}}', 422, "bad_field", "there is no field 'nmae'; fields are ac"),
        (b'{"fields":{"name":""}}', 422, "bad_field", "name: the value has 0 bytes in UTF-8; 1 "),
        ('{"fields":{"name":"e\u0301"}}'.encode(), 400, "not_canonical", "name: the value is not"),
        (b"x" * 131_073, 413, "too_large", "the request's body has 131073 bytes; at most 131072"),
    ],
)
async def test_a_bad_body_is_refused_by_name_and_nothing_is_kept(
    store: Store, body: bytes, status: int, reason: str, says: str
) -> None:
    headers = {"Content-Type": "application/json"}
    async with store.connect() as client:
        answer = await client.put(PRIVATE, content=body, headers=headers)
        assert detail(answer)[:2] == (status, reason)
        assert detail(answer)[2].startswith(says)
        told = answer.json()["detail_zh"]
        assert any("\u4e00" <= sign <= "\u9fff" for sign in told)
        assert reason == "malformed" or "原文" not in told
        packed = await client.put(
            PRIVATE, content=b"\x80", headers={"Content-Type": "application/msgpack"}
        )
        assert detail(packed) == (
            415,
            "unsupported_media_type",
            "private fields are sent as application/json",
        )
    assert not [file for file in store.folder.iterdir() if file.suffix != ".log"]


@pytest.mark.parametrize("fields", ["", "name,name", "nmae", "name,", "张小宝"])
async def test_fields_are_asked_for_by_their_names(store: Store, fields: str) -> None:
    await put(store, FIELDS_OF_ONE)
    async with store.connect() as client:
        answer = await client.get(DISCLOSURE, params={"fields": fields} if fields else {})
    status, reason, says = detail(answer)
    assert (status, reason) == (400, "bad_parameter")
    assert says.startswith(
        "the query parameter fields names one or more fields, each once, joined by commas; fields"
    )
    assert "张小宝" not in says


async def test_a_node_that_keeps_none_says_so(
    node: FakeNode, token_set: TokenSet, secrets_by_name: dict[str, str]
) -> None:
    app = create_app(node, token_set, ApiSettings(now_ms=lambda: TIME_MS))
    headers = {"Authorization": f"Bearer {secrets_by_name['custodian']}"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://node", headers=headers
    ) as client:
        answer = await client.get(PRIVATE)
    assert detail(answer) == (404, "not_found", "this node keeps no private fields")
