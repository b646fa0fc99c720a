"""Timestamped checkpoints over HTTP: whoever asks for one gets the first that covers it."""

from __future__ import annotations

import httpx

from tests.api.fake import FakeNode, make_envelope


async def test_timestamps_of_a_size(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/checkpoints/2/timestamps")
    assert (response.status_code, response.json()) == (200, {"size": 3})
    assert response.headers["content-type"] == "application/json"
    absent = await client.get("/v1/checkpoints/4/timestamps")
    assert (absent.status_code, absent.json()["detail"]) == (
        404,
        "this node has no timestamped checkpoint of 4 entries or more",
    )
    wrong = await client.get("/v1/checkpoints/04/timestamps")
    assert (wrong.status_code, wrong.json()["detail"]) == (
        400,
        "size '04' is not a decimal number from 0 to 9007199254740991 without leading zeros",
    )


async def test_timestamps_of_a_size_with_what_joins_them(client: httpx.AsyncClient) -> None:
    path = "/v1/checkpoints/2/timestamps"
    joined = await client.get(path, params={"path": "true"})
    assert (joined.status_code, joined.json()) == (200, {"path": [], "size": 3})
    plain = await client.get(path, params={"path": "false"})
    assert (plain.status_code, plain.json()) == (200, {"size": 3})
    wrong = await client.get(path, params={"path": "1"})
    assert (wrong.status_code, wrong.json()["detail"]) == (400, "path is '1'; it is true or false")


async def test_timestamps_of_a_transaction_are_public(
    client: httpx.AsyncClient, node: FakeNode
) -> None:
    tx_id = node.take_in(make_envelope(0)).tx_id  # type: ignore[union-attr]
    path = f"/v1/transactions/{tx_id.hex()}/timestamps"
    assert (await client.get(path)).status_code == 404
    node.commit(certified=True)
    response = await client.get(path)
    assert (response.status_code, response.json()) == (200, {"index": 2})
    wrong = await client.get("/v1/transactions/9F/timestamps")
    assert (wrong.status_code, wrong.json()["detail"]) == (
        400,
        "transaction id '9F' is not 64 lower-case hex digits",
    )


async def test_witnesses_of_a_size(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/checkpoints/4/witnesses")
    assert (response.status_code, response.json()) == (200, {"size": 4})
    absent = await client.get("/v1/checkpoints/5/witnesses")
    assert (absent.status_code, absent.json()["detail"]) == (
        404,
        "this node has no witnessed checkpoint of 5 entries or more",
    )


async def test_post_quantum_cosignatures_of_a_size(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/checkpoints/5/post-quantum")
    assert (response.status_code, response.json()) == (200, {"size": 5})
    absent = await client.get("/v1/checkpoints/6/post-quantum")
    assert (absent.status_code, absent.json()["detail"]) == (
        404,
        "no checkpoint of 6 entries or more has a quorum's post-quantum cosignatures here",
    )
