"""SCRAPI: a statement is registered by the attest that it brings; problems are CBOR."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Callable
from typing import Any

import cbor2
import httpx
import msgspec
import pytest

from api.ports import Refused
from ledger.cose_statement import sign_statement, with_envelope
from ledger.refusal import Reason, Rejected
from ledger.scitt import (
    ENVELOPE,
    STATEMENT_BYTES_MAX,
    compute_sign1_message,
    format_issuer,
    format_subject,
    read_statement,
)
from ledger.signing import SeedSigner
from ledger.transaction import compute_tx_id, encode_body, sign_transaction
from tests.api.fake import GENESIS, MERCHANT, PARTY, TIME_MS, FakeNode

ABOUT = "ab" * 32
COSE = {"Content-Type": "application/cose"}


def make_statement(signer: SeedSigner = MERCHANT, party: str = "m1", **changes: Any) -> bytes:
    """A statement of m1 about a transaction, its unprotected header empty."""
    members: dict[str, Any] = {
        "issuer": format_issuer(GENESIS.origin, party),
        "subject": format_subject(ABOUT),
        "signer": signer,
    }
    return sign_statement(b"twelve lessons", "text/plain", **members | changes)


def make_attest(
    statement: bytes, signer: SeedSigner = MERCHANT, kind: str = "attest", **changes: Any
) -> bytes:
    """The transaction that registers it."""
    digest = read_statement(statement, (), 1 << 20).digest.hex()
    data = {"note_hash": digest, "statement": "witnessed", "tx_id": ABOUT}
    body = encode_body(
        data=data | changes,
        kind=kind,
        not_after=TIME_MS + 60_000,
        reference="statement-1",
        salt="c2FsdC1zYWx0LXNhbHQtc2FsdA",
        signers=["m1"],
        stream="contract/c1",
        version=1,
    )
    return sign_transaction(body, GENESIS.chain_id, [signer])


def post_form(statement: bytes, envelope: bytes) -> bytes:
    return with_envelope(read_statement(statement, (), 1 << 20), envelope)


STATEMENT = make_statement()
POSTED = post_form(STATEMENT, make_attest(STATEMENT))


def tx_id_of(posted: bytes) -> str:
    envelope = read_statement(posted, (ENVELOPE,), 1 << 20).envelope
    assert envelope is not None
    return compute_tx_id(msgspec.msgpack.decode(envelope)[0]).hex()


TX_ID = tx_id_of(POSTED)


async def post(client: httpx.AsyncClient, raw: bytes, **headers: str) -> httpx.Response:
    return await client.post("/entries", content=raw, headers=COSE | headers)


def problem_of(answer: httpx.Response) -> tuple[int, str, str]:
    assert answer.headers["content-type"] == "application/concise-problem-details+cbor"
    problem = cbor2.loads(answer.content)
    assert set(problem) == {-1, -2}
    return answer.status_code, problem[-1], problem[-2]


async def test_a_statement_is_registered_and_answered_with_its_receipt(
    client: httpx.AsyncClient, node: FakeNode
) -> None:
    waiting = asyncio.create_task(post(client, POSTED))
    await node.arrived.wait()
    node.commit(certified=True)
    answer = await waiting
    assert (answer.status_code, answer.content) == (201, b"receipt 2")
    assert answer.headers["content-type"] == "application/cose"
    assert answer.headers["location"] == f"/entries/{TX_ID}"
    found = await client.get(answer.headers["location"])
    assert (found.status_code, found.content) == (200, b"receipt 2")
    assert found.headers["content-type"] == "application/cose"
    again = await post(client, POSTED)
    assert (again.status_code, again.content) == (201, b"receipt 2")
    assert node.submitted[0] == [make_attest(STATEMENT)]


async def test_one_that_takes_longer_is_elsewhere_until_it_is_there(
    client: httpx.AsyncClient, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: FakeNode, tx_id: bytes, level: str, timeout_s: float) -> None:
        return None

    monkeypatch.setattr(FakeNode, "wait", never)
    answer = await post(client, POSTED)
    assert (answer.status_code, answer.content) == (303, b"")
    assert (answer.headers["location"], answer.headers["retry-after"]) == (f"/entries/{TX_ID}", "1")
    for certified in (None, False, True):
        if certified is not None:
            node.commit(certified=certified)
            node.certify() if certified else None
        found = await client.get(f"/entries/{TX_ID}")
        expected = 200 if certified else 302
        assert found.status_code == expected, certified
        assert found.headers["location"] == f"/entries/{TX_ID}"


def resigned(change: Callable[[dict[Any, Any]], Any]) -> bytes:
    """The statement with another protected header, signed again."""
    protected, _, payload, _ = cbor2.loads(STATEMENT).value
    header = cbor2.loads(protected)
    change(header)
    protected = cbor2.dumps(header, canonical=True)
    signature = MERCHANT.sign(compute_sign1_message(protected, payload))
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]), canonical=True)


def attested(statement: bytes, **changes: Any) -> bytes:
    return post_form(statement, make_attest(statement, **changes))


def raw_form(statement: bytes, unprotected: dict[Any, Any]) -> bytes:
    protected, _, payload, signature = cbor2.loads(statement).value
    return cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected, payload, signature]))


REFUSED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "no-cbor": (lambda: b"{}", "Malformed request", "statement: not CBOR as it must be: "),
    "empty": (lambda: b"", "Malformed request", "it ends within the value at byte 0"),
    "no-payload": (
        lambda: raw_form(STATEMENT, {}).replace(b"\x4etwelve lessons", b"\xf6"),
        "Payload Missing",
        "statement: the payload must be in it",
    ),
    "algorithm": (
        lambda: attested_raw(resigned(lambda header: header.__setitem__(1, -7))),
        "Bad Signature Algorithm",
        "statement: alg (1) is -7; it must be -8 (EdDSA) or -19 (Ed25519)",
    ),
    "no-transaction": (
        lambda: STATEMENT,
        "Confirmation Missing",
        "statement: the transaction that registers it is missing: an attest, signed by the issuer",
    ),
    "receipts-in-it": (
        lambda: raw_form(STATEMENT, {394: [b"r"]}),
        "Rejected",
        "statement: unprotected header 394 has no place in it",
    ),
    "no-envelope": (
        lambda: raw_form(STATEMENT, {ENVELOPE: b"x"}),
        "Malformed request",
        "envelope",
    ),
    "another-kind": (
        lambda: attested(STATEMENT, kind="prepaid.consume"),
        "Rejected",
        "statement: a statement is registered by an attest transaction, not by prepaid.consume",
    ),
    "another-issuer": (
        lambda: attested(make_statement(party="m2")),
        "Rejected",
        f"registers it; its signers are {format_issuer(GENESIS.origin, 'm1')}",
    ),
    "another-key": (
        lambda: attested(make_statement(signer=PARTY)),
        "Rejected",
        "that of the key with which m1 signed the transaction is",
    ),
    "another-signature": (
        lambda: attested(STATEMENT[:-1] + bytes([STATEMENT[-1] ^ 1])),
        "Rejected",
        "statement: the signature of m1 does not verify",
    ),
    "another-subject": (
        lambda: attested(STATEMENT, tx_id="cd" * 32),
        "Rejected",
        f"and the transaction speaks of '{format_subject('cd' * 32)}'",
    ),
    "another-hash": (
        lambda: attested(STATEMENT, note_hash="cd" * 32),
        "Rejected",
        f"statement: note_hash is '{'cd' * 32}'; the SHA-256 of the statement",
    ),
}


def attested_raw(statement: bytes) -> bytes:
    """With the transaction of the good statement, where the changed one could not be read."""
    return raw_form(statement, {ENVELOPE: make_attest(STATEMENT)})


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_what_the_policy_refuses_is_never_submitted(
    client: httpx.AsyncClient, node: FakeNode, name: str
) -> None:
    make, title, detail = REFUSED[name]
    status, said, why = problem_of(await post(client, make()))
    assert (status, said) == (400, title), why
    assert detail in why
    assert node.submitted == []


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_who_names_json_is_refused_in_chinese_too(
    client: httpx.AsyncClient, name: str
) -> None:
    make, _, _ = REFUSED[name]
    told = (await post(client, make(), accept="application/json")).json()["detail_zh"]
    assert any("\u4e00" <= sign <= "\u9fff" for sign in told)
    assert ("原文" in told) is (name in ("empty", "no-cbor")), told


async def test_too_large_and_of_another_type(client: httpx.AsyncClient, node: FakeNode) -> None:
    status, _, why = problem_of(await post(client, bytes(200_000)))
    assert (status, why) == (
        413,
        "the request's body has 200000 bytes; at most 114192 are allowed here",
    )
    big = sign_statement(
        bytes(STATEMENT_BYTES_MAX), "a/b", issuer="i", subject="s", signer=MERCHANT
    )
    status, _, why = problem_of(await post(client, big))
    assert (status, "sign the SHA-256 of a larger document" in why) == (413, True)
    answer = await client.post("/entries", content=POSTED, headers={"Content-Type": "text/plain"})
    assert problem_of(answer)[0] == 415
    assert answer.headers["accept-post"] == "application/cose, application/scitt-statement+cose"
    assert problem_of(await client.post("/entries?x=1", content=POSTED, headers=COSE))[0] == 400
    assert node.submitted == []


async def test_what_the_ledger_refuses_is_said(client: httpx.AsyncClient, node: FakeNode) -> None:
    node.refuse_with = Refused(Rejected(Reason.QUOTA_EXCEEDED, "m1: enough"), None, 7)
    answer = await post(client, POSTED)
    assert problem_of(answer) == (429, "The quota is used up", "m1: enough")
    assert answer.headers["retry-after"] == "7"
    node.refuse_with = Refused(Rejected(Reason.KEY_NOT_VALID, "key is not valid"))
    assert problem_of(await post(client, POSTED))[0] == 403


async def test_one_that_the_contracts_refuse_is_not_registered(
    client: httpx.AsyncClient, node: FakeNode
) -> None:
    node.take_in(make_attest(STATEMENT))
    node.commit(certified=True)
    tx_id = bytes.fromhex(TX_ID)
    node.positions[tx_id] = dataclasses.replace(
        node.positions[tx_id], status="refused", code="not_entitled"
    )
    expected = f"transaction {TX_ID} is on the chain as refused (not_entitled)"
    assert problem_of(await post(client, POSTED)) == (
        400,
        "Rejected",
        f"{expected}; the statement is not registered",
    )
    answer = await client.get(f"/entries/{TX_ID}")
    assert problem_of(answer)[0] == 404
    assert problem_of(answer)[2] == f"{expected} and registers nothing"


async def test_problems_are_json_for_who_accepts_it(client: httpx.AsyncClient) -> None:
    for accept in ("application/problem+json", "text/html, application/json;q=0.5"):
        answer = await client.get(f"/entries/{ABOUT}", headers={"Accept": accept})
        assert answer.json()["detail"] == f"entry {ABOUT} is not known to this node"
    answer = await client.get(f"/entries/{ABOUT}")
    assert problem_of(answer)[:2] == (404, "Not Found")
    assert problem_of(await client.get("/entries/AB"))[:2] == (400, "Invalid locator")
    missing = await client.get("/.well-known/scitt-keys/AA")
    assert problem_of(missing) == (404, "No such key", "no key of this log has the id 'AA'")


async def test_no_spoilt_body_is_answered_with_a_5xx(
    client: httpx.AsyncClient, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: FakeNode, tx_id: bytes, level: str, timeout_s: float) -> None:
        return None

    monkeypatch.setattr(FakeNode, "wait", never)
    chance = random.Random("9943 entries")
    for number in range(300):
        body = bytearray(POSTED if chance.randrange(4) else STATEMENT)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(body))
            match chance.randrange(3):
                case 0:
                    body[place] ^= 1 << chance.randrange(8)
                case 1:
                    del body[place : place + chance.randint(1, 40)]
                case _:
                    body[place:place] = chance.randbytes(chance.randint(1, 9))
        answer = await post(client, bytes(body))
        assert answer.status_code < 500, (number, bytes(body))
        if answer.status_code >= 400:
            problem_of(answer)
    assert set(node.pending) <= {bytes.fromhex(TX_ID)}
