"""The GET routes: what each answers, and each refusal by its whole sentence."""

from __future__ import annotations

import base64

import httpx
import pytest

from api.ports import TooLong, Unavailable
from ledger.block import compute_block_hash, decode_header
from ledger.transaction import compute_tx_id
from tests.api.conftest import Connect
from tests.api.fake import GENESIS, TIME_MS, FakeNode, make_body, make_envelope

TX_ID = compute_tx_id(make_body(0)).hex()
UNKNOWN = "ab" * 32
CONTRACT_ID_RULE = "1 to 80 of a-z 0-9 . _ - starting with a letter or digit"
HEIGHT_RULE = "a decimal number from 0 to 9007199254740991 without leading zeros"


@pytest.fixture
def committed(node: FakeNode) -> FakeNode:
    node.take_in(make_envelope(0))
    node.commit()
    return node


async def refused(client: httpx.AsyncClient, path: str) -> tuple[int, str, str]:
    response = await client.get(path)
    assert response.headers["content-type"] == "application/problem+json"
    answer = response.json()
    assert answer["status"] == response.status_code
    assert answer["request_id"] == response.headers["x-request-id"]
    return answer["status"], answer["reason"], answer["detail"]


async def test_transaction_from_pending_to_certified(
    client: httpx.AsyncClient, node: FakeNode
) -> None:
    path = f"/v1/transactions/{TX_ID}"
    assert await refused(client, path) == (
        404,
        "not_found",
        f"transaction {TX_ID} is not known to this node",
    )
    node.take_in(make_envelope(0))
    assert (await client.get(path)).json() == {
        "tx_id": TX_ID,
        "status": "pending",
        "received_ms": TIME_MS,
        "height_max": 11,
    }
    node.commit()
    answer = (await client.get(path)).json()
    assert answer == {
        "tx_id": TX_ID,
        "status": "applied",
        "certified": False,
        "index": 2,
        "height": 1,
        "time_ms": TIME_MS + 1,
        "code": "",
    }
    node.certify()
    assert (await client.get(path)).json() == {**answer, "certified": True}


@pytest.mark.parametrize("tx_id", ["ab", "AB" * 32, "ab" * 33, "é" * 64])
async def test_bad_transaction_id(client: httpx.AsyncClient, tx_id: str) -> None:
    path = f"/v1/transactions/{httpx.URL('http://x', params={'q': tx_id}).query.decode()[2:]}"
    assert await refused(client, path) == (
        400,
        "bad_parameter",
        f"transaction id {tx_id!r} is not 64 lower-case hex digits",
    )


async def test_long_value_is_shown_shortened(client: httpx.AsyncClient) -> None:
    _, _, detail = await refused(client, f"/v1/transactions/{'z' * 500}")
    assert detail == f"transaction id '{'z' * 80}…' is not 64 lower-case hex digits"


async def test_proof_is_public_text(client: httpx.AsyncClient, committed: FakeNode) -> None:
    path = f"/v1/transactions/{TX_ID}/proof"
    response = await client.get(path)
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert response.json()["detail"] == "not certified yet; try again in 2 s"
    committed.certify()
    response = await client.get(path)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text.startswith("c2sp.org/tlog-proof@v1\nindex 2\n")
    assert await refused(client, f"/v1/transactions/{UNKNOWN}/proof") == (
        404,
        "not_found",
        f"transaction {UNKNOWN} is not on the chain",
    )


async def test_evidence_and_entry(connect: Connect, committed: FakeNode) -> None:
    async with connect("merchant") as client:
        evidence = f"/v1/transactions/{TX_ID}/evidence"
        response = await client.get(evidence)
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        committed.certify()
        response = await client.get(evidence)
        assert (response.status_code, response.content) == (200, b'{"index":2}')
        assert response.headers["cache-control"] == "no-store"
        entry = await client.get(f"/v1/transactions/{TX_ID}/entry")
        assert (entry.status_code, entry.content) == (200, make_envelope(0))
        assert entry.headers["content-type"] == "application/octet-stream"
        assert await refused(client, f"/v1/transactions/{UNKNOWN}/evidence") == (
            404,
            "not_found",
            f"transaction {UNKNOWN} is not known to this node",
        )


@pytest.mark.parametrize("form", ["proof", "receipt", "evidence", "entry"])
async def test_what_is_said_of_a_pending_transaction_is_for_later(
    connect: Connect, node: FakeNode, form: str
) -> None:
    """Whoever has its receipt asks again, and does not take it for lost."""
    node.take_in(make_envelope(0))
    async with connect("merchant") as client:
        path = f"/v1/transactions/{TX_ID}/{form}"
        assert await refused(client, path) == (
            503,
            "not_certified",
            f"transaction {TX_ID} is in no block yet; ask again",
        )
        assert (await client.get(path)).headers["retry-after"] == "1"


async def test_a_record_that_is_too_long_is_said_to_be_there(
    connect: Connect, committed: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "contract/c1 has 100001 entries; a history holds at most 100000"
    sentence_zh = "contract/c1 有 100001 个条目；一份完整记录至多容纳 100000 个"

    async def history(contract_id: str) -> bytes:
        raise TooLong(sentence, sentence_zh)

    monkeypatch.setattr(committed, "history", history)
    async with connect("merchant") as client:
        path = "/v1/contracts/c1/history"
        assert await refused(client, path) == (409, "record_too_long", sentence)
        told = (await client.get(path)).json()
    assert told["detail_zh"] == sentence_zh


async def test_contract_and_history(connect: Connect, committed: FakeNode) -> None:
    async with connect("auditor") as client:
        response = await client.get("/v1/contracts/c1")
        assert response.json() == {
            "contract": "c1",
            "height": 1,
            "count": 3,
            "root": "00" * 32,
            "record": {
                "merchant": "m1",
                "custodian": "bank-a",
                "consumer": "ab" * 32,
                "paid": 5,
            },
        }
        assert await refused(client, "/v1/contracts/c1/history") == (
            503,
            "not_certified",
            "the history of contract/c1 is not certified yet",
        )
        committed.certify()
        history = await client.get("/v1/contracts/c1/history")
        assert (history.content, history.headers["content-type"]) == (
            b'{"contract":"c1"}',
            "application/json",
        )
        for path in ("/v1/contracts/c9", "/v1/contracts/c9/history"):
            assert await refused(client, path) == (
                404,
                "not_found",
                "no entry ever named contract/c9",
            )


async def test_a_question_is_answered(connect: Connect, committed: FakeNode) -> None:
    question = {"ask": "window", "from": 1, "kinds": [], "until": 2}
    async with connect("consumer") as client:
        response = await client.post("/v1/contracts/c1/proofs", json=question)
        assert (response.status_code, response.content) == (
            200,
            b'{"contract":"c1","ask":"window"}',
        )
        assert response.headers["content-disposition"] == 'inline; filename="c1.proof.json"'
        for body, detail in (
            (b"{", "question: Input data was truncated"),
            (b'{"ask":"x"}', "question: Invalid value 'x' - at `$.ask`"),
            (
                b'{"ask":"window","from":2,"kinds":[],"until":2}',
                (
                    "question: nothing lies from 1970-01-01 00:00:00.002 UTC (2 ms) to "
                    "1970-01-01 00:00:00.002 UTC (2 ms)"
                ),
            ),
            (
                b'{"ask":"window","from":1,"kinds":["b","a"],"until":2}',
                "question: kinds are not in ascending order, each once",
            ),
            (
                b'{"ask":"terms","at":1,"document":"?"}',
                "question: document is not canonical standard base64",
            ),
            (
                b'{"ask":"omission","batch":null,"envelope":"?","receipt":{"height_max":1}}',
                "question: receipt.height_max is no height, or the envelope is no base64",
            ),
        ):
            refusal = await client.post(
                "/v1/contracts/c1/proofs",
                content=body,
                headers={"Content-Type": "application/json"},
            )
            assert (refusal.status_code // 100, refusal.json()["detail"]) == (4, detail)
        foreign = await client.post("/v1/contracts/c2/proofs", json=question)
        assert foreign.status_code == 403


async def test_growth_and_contradictions_are_public(
    client: httpx.AsyncClient, committed: FakeNode
) -> None:
    grown = await client.get("/v1/consistency/1/4")
    assert grown.json() == {"older": 1, "newer": 4}
    assert await refused(client, "/v1/consistency/4/1") == (
        404,
        "not_found",
        "heights 4 and 1 are not in order",
    )
    assert await refused(client, "/v1/validators/bank-a/equivocations/1") == (
        404,
        "not_found",
        "the chain holds 1 proofs against bank-a, counted from 0",
    )


async def test_a_stream_of_no_kind(connect: Connect) -> None:
    async with connect("auditor") as client:
        status, reason, detail = await refused(client, "/v1/state/shoe/c1")
    assert (status, reason) == (400, "bad_parameter")
    assert detail.startswith("'shoe/c1' is no stream: one of contract, custodian, merchant,")


async def test_liabilities(connect: Connect, committed: FakeNode) -> None:
    async with connect("auditor") as client:
        for path in ("/v1/contracts/c1/claim", "/v1/claims?contract=c1"):
            assert await refused(client, path) == (
                503,
                "not_certified",
                "not certified yet; try again in 3 s",
            )
        committed.certify()
        one = await client.get("/v1/contracts/c1/claim")
        assert one.json() == {"claims": ["c1"], "shown": True}
        class_of_one = await client.get("/v1/claims?contract=c1")
        assert class_of_one.json() == {"claims": ["c1"], "shown": False}
        twice = await client.get("/v1/claims?contract=c1&contract=c1")
        assert (twice.status_code, twice.json()["detail"], twice.json()["detail_zh"]) == (
            400,
            "contract 'c1' is named twice; a claim has each once",
            "合同 'c1' 列出了两次；每份合同只能列一次",
        )
        many = "&".join(f"contract=c{at}" for at in range(257))
        assert await refused(client, f"/v1/claims?{many}") == (
            400,
            "bad_parameter",
            "contract: 257 contracts are asked for; at most 256 at once",
        )
        assert await refused(client, "/v1/claims") == (
            400,
            "bad_parameter",
            "query.contract: Field required",
        )


async def test_a_schedule(connect: Connect, committed: FakeNode) -> None:
    path = "/v1/merchants/m1/schedule"
    async with connect("merchant") as client:
        assert await refused(client, path) == (
            503,
            "not_certified",
            "not certified yet; try again in 3 s",
        )
        committed.certify()
        answer = await client.get(path)
        assert answer.content == b'{"merchant":"m1"}\n{"contract":"c1"}\n'
        assert answer.headers["content-type"] == "application/jsonl"
        assert answer.headers["content-disposition"] == 'inline; filename="m1.schedule.jsonl"'
        assert await refused(client, "/v1/merchants/m2/schedule") == (
            403,
            "forbidden",
            "token 'merchant' with scope merchant:m1 does not cover every contract of m2",
        )
    async with connect("auditor") as client:
        assert await refused(client, "/v1/merchants/m2/schedule") == (
            404,
            "not_found",
            "merchant m2 has no contract under terms",
        )
        assert await refused(client, "/v1/merchants/M/schedule") == (
            400,
            "bad_parameter",
            "merchant 'M' is not 1 to 48 of a-z 0-9 - starting with a letter or digit",
        )


@pytest.mark.parametrize("contract_id", ["C1", ".c", "c" * 81, "c+1"])
async def test_bad_contract_id(connect: Connect, contract_id: str) -> None:
    quoted = repr(contract_id if len(contract_id) < 81 else "c" * 80 + "…")
    async with connect("auditor") as client:
        for path in (
            f"/v1/contracts/{contract_id}",
            f"/v1/contracts/{contract_id}/history",
            f"/v1/contracts/{contract_id}/claim",
        ):
            assert await refused(client, path) == (
                400,
                "bad_parameter",
                f"contract id {quoted} is not {CONTRACT_ID_RULE}",
            )


async def test_block(client: httpx.AsyncClient, committed: FakeNode) -> None:
    answer = (await client.get("/v1/blocks/1")).json()
    view = await committed.block(1)
    assert view is not None
    assert decode_header(base64.b64decode(answer["header_bytes"])) == view.header
    assert len(compute_block_hash(base64.b64decode(answer["header_bytes"]))) == 32
    assert answer["header"]["chain_id"] == GENESIS.chain_id.hex()
    assert answer["certificate"]["votes"] == [
        {"replica": 0, "signature": "00" * 64},
        {"replica": 2, "signature": "00" * 64},
    ]
    assert answer["transactions"] == [TX_ID]
    assert (await client.get("/v1/blocks/0")).json()["certificate"] is None
    assert await refused(client, "/v1/blocks/2") == (
        404,
        "not_found",
        "block 2 is not decided, or not known to this node",
    )


@pytest.mark.parametrize("height", ["01", "-1", "+1", "1.0", "x", "%31x", "1_0", str(2**53)])
async def test_bad_height(client: httpx.AsyncClient, height: str) -> None:
    shown = height.replace("%31", "1")
    assert await refused(client, f"/v1/blocks/{height}") == (
        400,
        "bad_parameter",
        f"height {shown!r} is not {HEIGHT_RULE}",
    )


async def test_genesis_is_the_exact_bytes(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/genesis")
    assert response.content == GENESIS.raw
    assert response.headers["content-type"] == "application/json"


async def test_status(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/status")).json()
    assert (answer["node"], answer["network"]) == ("bank-a", "pilot.example")
    assert (answer["chain_id"], answer["origin"]) == (GENESIS.chain_id.hex(), GENESIS.origin)
    assert (answer["height"], answer["quorum"], answer["mode"]) == (1, 1, "normal")


async def test_health_follows_the_node(client: httpx.AsyncClient, node: FakeNode) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await client.get(path)).json() == {"status": "ok"}
    node.obstacle = Unavailable("the store is behind its segments", "索引落后于数据段")
    for path in ("/healthz", "/readyz"):
        assert await refused(client, path) == (
            503,
            "unavailable",
            "the store is behind its segments",
        )
        assert (await client.get(path)).json()["detail_zh"] == "索引落后于数据段"


async def test_unavailable_node_says_when(client: httpx.AsyncClient, node: FakeNode) -> None:
    node.fail_with = Unavailable(
        "the node is catching up: it is at height 3 of 9", "节点正在追赶：高度 3，目标高度 9", 4
    )
    response = await client.get(f"/v1/transactions/{UNKNOWN}")
    assert (response.status_code, response.headers["retry-after"]) == (503, "4")
    assert response.json()["detail"] == "the node is catching up: it is at height 3 of 9"
    posted = await client.post(
        "/v1/transactions",
        content=make_envelope(0),
        headers={"Content-Type": "application/msgpack"},
    )
    assert posted.json()["reason"] == "unavailable"


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/status", "/v1/status/", "/docs/x", "//v1/x"])
async def test_unknown_route(client: httpx.AsyncClient, path: str) -> None:
    response = await client.request("GET", f"http://node{path}")
    answer = response.json()
    assert (response.status_code, answer["reason"]) == (404, "not_found")
    assert answer["detail"] == f"there is no route {path!r}; see /docs"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/transactions", "POST"),
        ("PUT", "/v1/transactions:batch", "POST"),
        ("DELETE", f"/v1/transactions/{TX_ID}", "GET, HEAD"),
        ("POST", "/v1/status", "GET, HEAD"),
        ("POST", "/checkpoint", "GET, HEAD"),
        ("OPTIONS", "/v1/blocks/1", "GET, HEAD"),
        ("BREW", "/v1/genesis", "GET, HEAD"),
    ],
)
async def test_wrong_method(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    shown = path if len(path) <= 80 else path[:80] + "…"
    assert response.json()["detail"] == (
        f"{method} is not allowed on {shown!r}; allowed: {allowed}"
    )


@pytest.mark.parametrize(
    "path", ["/v1/status%0A", f"/v1/transactions/{TX_ID}%0A", "/v1/blocks/1%0a", "/tile/0/000%0A"]
)
async def test_a_path_has_no_second_spelling(client: httpx.AsyncClient, path: str) -> None:
    status, reason, detail = await refused(client, path)
    assert (status, reason) == (404, "not_found")
    assert detail.startswith("there is no route '")
    assert detail.endswith("; see /docs")
