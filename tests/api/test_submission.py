"""Posting: both forms, every answer, waiting, batches."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest

from api.forms import SubmissionForm, compute_envelope
from api.problems import Problem
from api.requests import BodyBudget
from api.settings import ApiSettings
from ledger.receipt import decode_receipt, verify_receipt
from ledger.refusal import Reason
from ledger.transaction import Envelope, compute_tx_id
from tests.api.conftest import Connect
from tests.api.fake import (
    GENESIS,
    PARTY,
    TIME_MS,
    FakeNode,
    make_batch,
    make_body,
    make_envelope,
    refusal,
)

JSON = {"Content-Type": "application/json"}
MSGPACK = {"Content-Type": "application/msgpack"}
ONE = "/v1/transactions"
MANY = "/v1/transactions:batch"


def json_of(envelope: bytes) -> dict[str, Any]:
    """The JSON form, written by hand and not by the code under test."""
    decoded = msgspec.msgpack.decode(envelope, type=Envelope)
    signatures = []
    for signature in decoded.signatures:
        form: dict[str, Any] = {
            "public_key": signature.public_key.hex(),
            "signature": signature.signature.hex(),
        }
        if signature.batch is not None:
            form["batch"] = {
                "index": signature.batch.index,
                "size": signature.batch.size,
                "path": [node.hex() for node in signature.batch.hashes],
            }
        signatures.append(form)
    return {"body": decoded.body.decode(), "signatures": signatures}


async def test_accepted_with_a_receipt_that_verifies(client: httpx.AsyncClient) -> None:
    envelope = make_envelope(0)
    tx_id = compute_tx_id(make_body(0))
    response = await client.post(ONE, content=envelope, headers=MSGPACK)
    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/transactions/{tx_id.hex()}"
    answer = response.json()
    assert (answer["tx_id"], answer["status"]) == (tx_id.hex(), "accepted")
    raw = json.dumps(answer["receipt"], separators=(",", ":"), sort_keys=True).encode()
    receipt = decode_receipt(raw)
    verify_receipt(receipt, GENESIS.chain_id, PARTY.public_key)
    assert (receipt.tx_id, receipt.received_ms, receipt.height_max) == (tx_id, TIME_MS, 11)


@pytest.mark.parametrize("batched", [False, True])
async def test_json_and_msgpack_become_the_same_envelope(
    client: httpx.AsyncClient, node: FakeNode, batched: bool
) -> None:
    envelope = make_batch(3)[1] if batched else make_envelope(0)
    first = await client.post(ONE, content=envelope, headers=MSGPACK)
    second = await client.post(ONE, json=json_of(envelope))
    assert node.submitted == [[envelope], [envelope]]
    assert first.json() == second.json()
    assert node.clients == ["192.0.2.7", "192.0.2.7"]


async def test_duplicate_is_answered_with_the_same_position(
    client: httpx.AsyncClient, node: FakeNode
) -> None:
    envelope = make_envelope(0)
    await client.post(ONE, content=envelope, headers=MSGPACK)
    node.commit()
    answers = [await client.post(ONE, content=envelope, headers=MSGPACK) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json() == {
        "tx_id": compute_tx_id(make_body(0)).hex(),
        "status": "applied",
        "certified": False,
        "index": 2,
        "height": 1,
        "time_ms": TIME_MS + 1,
        "code": "",
        "stream": "contract/c1",
        "effects": [["paid", 5]],
    }


@pytest.mark.parametrize(("level", "certified"), [("committed", False), ("certified", True)])
async def test_wait_answers_when_the_level_is_reached(
    client: httpx.AsyncClient, node: FakeNode, level: str, certified: bool
) -> None:
    request = asyncio.create_task(
        client.post(f"{ONE}?wait={level}&timeout=5", content=make_envelope(0), headers=MSGPACK)
    )
    await node.arrived.wait()
    node.commit()
    await asyncio.sleep(0.01)
    assert request.done() is not certified
    node.certify()
    response = await request
    assert (response.status_code, response.json()["status"]) == (200, "applied")
    assert response.json()["certified"] is certified


async def test_wait_for_the_certificate_of_a_known_transaction(
    client: httpx.AsyncClient, node: FakeNode
) -> None:
    await client.post(ONE, content=make_envelope(0), headers=MSGPACK)
    node.commit()
    late = client.post(f"{ONE}?wait=certified&timeout=1", content=make_envelope(0), headers=MSGPACK)
    assert (await late).json()["certified"] is False
    node.certify()
    seen = client.post(f"{ONE}?wait=certified&timeout=1", content=make_envelope(0), headers=MSGPACK)
    assert (await seen).json()["certified"] is True


async def test_wait_that_times_out_answers_with_the_receipt(client: httpx.AsyncClient) -> None:
    response = await client.post(
        f"{ONE}?wait=committed&timeout=1", content=make_envelope(0), headers=MSGPACK
    )
    assert (response.status_code, response.json()["status"]) == (202, "accepted")


async def test_too_many_waiters_get_their_receipt_at_once(
    connect: Connect, node: FakeNode, settings: ApiSettings
) -> None:
    async with connect(settings=replace(settings, waiters_max=1)) as client:
        url = f"{ONE}?wait=committed&timeout=60"
        first = asyncio.create_task(client.post(url, content=make_envelope(0), headers=MSGPACK))
        await node.arrived.wait()
        second = await client.post(url, content=make_envelope(1), headers=MSGPACK)
        assert second.status_code == 202
        node.commit()
        assert (await first).status_code == 200


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("wait=soon", "wait is 'soon'; it must be committed or certified"),
        ("wait=", "wait is ''; it must be committed or certified"),
        ("timeout=5", "timeout is given without wait=committed or wait=certified"),
        *(
            (
                f"wait=certified&timeout={value}",
                f"timeout is {value!r}; it must be a whole number of seconds from 1 to 60",
            )
            for value in ("0", "61", "-1", "1.5", "01", "", "9" * 70)
        ),
        ("wait=certified&wait=certified", "query parameter 'wait' is given more than once"),
        ("w=1", "query parameter 'w' is not known here; known parameters: timeout, wait"),
    ],
)
async def test_bad_query(client: httpx.AsyncClient, query: str, detail: str) -> None:
    response = await client.post(f"{ONE}?{query}", content=make_envelope(0), headers=MSGPACK)
    assert (response.status_code, response.json()["reason"]) == (400, "bad_parameter")
    assert response.json()["detail"] == detail


async def test_batch_takes_no_query(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{MANY}?wait=committed", content=b"\x90", headers=MSGPACK)
    assert response.json()["detail"] == (
        "query parameter 'wait' is not known here; known parameters: none"
    )


TYPED = "request body: Expected "
NOT_JSON = "request body: not JSON: "
MALFORMED = NOT_JSON + "JSON is malformed: "
GOOD = json_of(make_envelope(0))
SIGNATURE = GOOD["signatures"][0]


@pytest.mark.parametrize(
    ("content", "status", "reason", "detail"),
    [
        (b"", 400, "malformed", "request body: not JSON: Input data was truncated"),
        (b"nul", 400, "malformed", "request body: not JSON: Input data was truncated"),
        (
            b"{]",
            400,
            "malformed",
            MALFORMED + "object keys must be strings (byte 1)",
        ),
        (
            b"[]",
            400,
            "malformed",
            TYPED + "`object`, got `array`",
        ),
        (
            b'{"body":"x"}',
            400,
            "malformed",
            "request body: Object missing required field `signatures`",
        ),
        (
            json.dumps({**GOOD, "extra": 1}).encode(),
            400,
            "malformed",
            "request body: Object contains unknown field `extra`",
        ),
        (
            json.dumps({**GOOD, "signatures": []}).encode(),
            400,
            "malformed",
            TYPED + "`array` of length >= 1 - at `$.signatures`",
        ),
        (
            json.dumps({**GOOD, "signatures": [{**SIGNATURE, "public_key": "AB" * 32}]}).encode(),
            422,
            "bad_field",
            f"signatures[0].public_key is '{'AB' * 32}', not 64 lower-case hex digits",
        ),
        (
            json.dumps(
                {**GOOD, "signatures": [{**SIGNATURE, "public_key": "ab" * 32 + "\n"}]}
            ).encode(),
            422,
            "bad_field",
            "signatures[0].public_key is " + ascii("ab" * 32 + "\n") + ", not 64 lower-case hex "
            "digits",
        ),
        (
            b'{"body":"' + b"\\ud800" + b'","signatures":[]}',
            400,
            "malformed",
            MALFORMED + "unexpected end of escaped utf-16 surrogate pair (byte 15)",
        ),
        (
            b'{"body":"\xff","signatures":[]}',
            400,
            "malformed",
            NOT_JSON + "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (
            b'{"body":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
            400,
            "malformed",
            TYPED + "`str`, got `array` - at `$.body`",
        ),
        (
            b'{"body":"another",' + json.dumps(GOOD).encode()[1:],
            400,
            "malformed",
            "request body: member 'body' stands more than once in one object",
        ),
        (
            json.dumps(GOOD)
            .encode()
            .replace(b'{"public_key"', b'{"public\\u005fkey":"","public_key"'),
            400,
            "malformed",
            "request body: member 'public_key' stands more than once in one object",
        ),
    ],
)
async def test_unreadable_json(
    client: httpx.AsyncClient, content: bytes, status: int, reason: str, detail: str
) -> None:
    response = await client.post(ONE, content=content, headers=JSON)
    answer = response.json()
    assert (response.status_code, answer["reason"], answer["detail"]) == (status, reason, detail)


async def test_deep_body_is_refused_by_name(client: httpx.AsyncClient) -> None:
    body = json.loads(make_body(0))
    body["data"] = {"deep": json.loads("[" * 20 + "]" * 20)}
    text = json.dumps(body, separators=(",", ":"), sort_keys=True)
    response = await client.post(ONE, json={**GOOD, "body": text})
    assert (response.status_code, response.json()["reason"]) == (400, "too_deep")
    assert response.json()["detail"] == "body: nested deeper than 8 levels"


@pytest.mark.parametrize("reason", list(Reason))
async def test_every_refusal_has_its_problem(
    client: httpx.AsyncClient, node: FakeNode, reason: Reason
) -> None:
    retry_after_s = 7 if reason in (Reason.QUOTA_EXCEEDED, Reason.POOL_FULL) else None
    node.refuse_with = refusal(reason, retry_after_s)
    response = await client.post(ONE, content=make_envelope(0), headers=MSGPACK)
    answer = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert answer["type"] == f"urn:evidence-ledger:problem:{reason}"
    assert answer["status"] == response.status_code
    assert answer["detail"] == f"it is {reason}"
    assert answer["detail_zh"] == f"{answer['title_zh']}。原文：it is {reason}"
    assert answer["instance"] == ONE
    assert answer["tx_id"] == "00" * 32
    assert answer["title"] != "The input was refused"
    assert any("\u4e00" <= sign <= "\u9fff" for sign in answer["title_zh"])
    ours = {Reason.POOL_FULL: 503, Reason.SET_ASIDE: 500}
    if reason in ours:
        assert response.status_code == ours[reason]
    else:
        assert 400 <= response.status_code < 500
    assert response.headers.get("retry-after") == (retry_after_s and str(retry_after_s))


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        ("text/plain", "'text/plain'"),
        ("application/json; charset=latin-1", "'application/json; charset=latin-1'"),
        ("application/x-msgpack", "'application/x-msgpack'"),
        ("", "''"),
    ],
)
async def test_wrong_content_type(client: httpx.AsyncClient, content_type: str, shown: str) -> None:
    response = await client.post(ONE, content=b"{}", headers={"Content-Type": content_type})
    assert response.status_code == 415
    assert response.json()["detail"] == (
        f"content-type {shown} is not supported; send application/json or application/msgpack"
    )
    assert response.headers["accept-post"] == "application/json, application/msgpack"


async def test_charset_may_be_named(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": 'Application/JSON; charset="UTF-8"'}
    response = await client.post(ONE, content=json.dumps(GOOD), headers=headers)
    assert response.status_code == 202


async def test_compressed_body_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(ONE, content=b"x", headers={**JSON, "Content-Encoding": "gzip"})
    assert (response.status_code, response.json()["detail"]) == (
        415,
        "content-encoding 'gzip' is not supported; send the body as it is",
    )


async def test_declared_length_beyond_the_bound_is_refused_unread(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(ONE, content=b"x" * 131_073, headers=JSON)
    assert response.status_code == 413
    assert response.json()["detail"] == (
        "the request's body has 131073 bytes; at most 131072 are allowed here"
    )


async def test_streamed_body_is_read_no_further_than_the_bound(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 4096

    response = await client.post(ONE, content=endless(), headers=JSON)
    assert response.status_code == 413
    assert response.json()["detail"] == (
        "the request's body has more than 131072 bytes; at most 131072 are allowed here"
    )
    assert sent == 33


async def test_slow_body_times_out(connect: Connect, settings: ApiSettings) -> None:
    async def slow() -> Any:
        yield b"{"
        await asyncio.sleep(30)

    async with connect(settings=replace(settings, body_timeout_s=0.05)) as client:
        response = await client.post(ONE, content=slow(), headers=JSON)
    assert (response.status_code, response.json()["detail"]) == (
        408,
        "the request's body did not arrive whole within 0.05 s",
    )


async def test_bad_content_length(client: httpx.AsyncClient) -> None:
    response = await client.post(ONE, content=b"{}", headers={**JSON, "Content-Length": "1e3"})
    assert (response.status_code, response.json()["detail"]) == (
        400,
        "content-length '1e3' is not a length",
    )


async def test_batch_answers_each_as_if_alone(client: httpx.AsyncClient, node: FakeNode) -> None:
    envelopes = make_batch(4)
    await client.post(ONE, content=envelopes[0], headers=MSGPACK)
    node.commit()
    envelopes[2] = envelopes[2][:-1]
    packed = msgspec.msgpack.encode(envelopes)
    response = await client.post(MANY, content=packed, headers=MSGPACK)
    answer = response.json()
    assert response.status_code == 200
    assert (answer["accepted"], answer["known"], answer["refused"]) == (2, 1, 1)
    assert [item["http_status"] for item in answer["results"]] == [200, 202, 400, 202]
    assert node.submitted[-1] == envelopes
    for number, (item, envelope) in enumerate(zip(answer["results"], envelopes, strict=True)):
        alone = await client.post(ONE, content=envelope, headers=MSGPACK)
        expected = alone.json()
        if "problem" in item:
            expected["instance"] = f"{MANY}#{number}"
            expected["request_id"] = response.headers["x-request-id"]
        assert [item[name] for name in item if name != "http_status"] == [expected]


async def test_batch_in_json_is_the_same_batch(client: httpx.AsyncClient, node: FakeNode) -> None:
    envelopes = make_batch(5)
    packed = await client.post(MANY, content=msgspec.msgpack.encode(envelopes), headers=MSGPACK)
    spelled = await client.post(
        MANY, json={"transactions": [json_of(envelope) for envelope in envelopes]}
    )
    assert packed.json() == spelled.json()
    assert node.submitted == [envelopes, envelopes]


async def test_batch_says_when_to_come_again(client: httpx.AsyncClient, node: FakeNode) -> None:
    node.refuse_with = refusal(Reason.POOL_FULL, 9)
    response = await client.post(MANY, content=msgspec.msgpack.encode([b"x"]), headers=MSGPACK)
    assert (response.status_code, response.headers["retry-after"]) == (200, "9")
    assert response.json()["results"][0]["problem"]["retry_after_s"] == 9


@pytest.mark.parametrize(
    ("content", "headers", "expected"),
    [
        (
            b"\x90",
            MSGPACK,
            (422, "bad_field", "a batch has at least one transaction; this one has none"),
        ),
        (
            b'{"transactions":[]}',
            JSON,
            (
                400,
                "malformed",
                TYPED + "`array` of length >= 1 - at `$.transactions`",
            ),
        ),
        (
            msgspec.msgpack.encode([b""] * 1001),
            MSGPACK,
            (413, "too_large", "a batch of more than 1000 transactions; at most 1000 are allowed"),
        ),
        (
            json.dumps({"transactions": [GOOD] * 1001}).encode(),
            JSON,
            (413, "too_large", "a batch of 1001 transactions; at most 1000 are allowed"),
        ),
        (
            msgspec.msgpack.encode(["text"]),
            MSGPACK,
            (400, "malformed", TYPED + "`bytes`, got `str` - at `$[0]`"),
        ),
        (
            b"\xdd\xff\xff\xff\xff",
            MSGPACK,
            (413, "too_large", "a batch of more than 1000 transactions; at most 1000 are allowed"),
        ),
        (
            b"\x91\xc4",
            MSGPACK,
            (400, "malformed", "request body: not MessagePack: Input data was truncated"),
        ),
        (
            json.dumps({"transactions": [GOOD, {"body": 1, "signatures": []}]}).encode(),
            JSON,
            (
                400,
                "malformed",
                TYPED + "`str`, got `int` - at `$.transactions[1].body`",
            ),
        ),
        (
            b'{"transactions":['
            + json.dumps(GOOD).encode()
            + b'],"transactions":['
            + json.dumps(json_of(make_envelope(1))).encode()
            + b"]}",
            JSON,
            (
                400,
                "malformed",
                "request body: member 'transactions' stands more than once in one object",
            ),
        ),
    ],
)
async def test_unreadable_batch(
    client: httpx.AsyncClient,
    node: FakeNode,
    content: bytes,
    headers: dict[str, str],
    expected: tuple[int, str, str],
) -> None:
    response = await client.post(MANY, content=content, headers=headers)
    answer = response.json()
    assert (response.status_code, answer["reason"], answer["detail"]) == expected
    assert node.submitted == []


async def test_batch_bound_is_its_own(client: httpx.AsyncClient) -> None:
    headers = {**MSGPACK, "Content-Length": "8388609"}
    response = await client.post(MANY, content=b"", headers=headers)
    assert response.json()["detail"] == (
        "the request's body has 8388609 bytes; at most 8388608 are allowed here"
    )


def test_envelope_of_a_form_is_what_was_signed() -> None:
    for envelope in (make_envelope(3), *make_batch(7)):
        form = msgspec.convert(json_of(envelope), SubmissionForm)
        assert compute_envelope(form) == envelope


async def test_bodies_being_received_are_bounded_together() -> None:
    budget = BodyBudget(10)
    budget.take(7)
    with pytest.raises(Problem) as caught:
        budget.take(4)
    assert caught.value.status == 503
    assert caught.value.detail == "7 bytes of requests are being received; try again shortly"
    budget.held -= 7
    budget.take(10)
