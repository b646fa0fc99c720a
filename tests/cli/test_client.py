"""What the command line makes of a node that answers something else than nodes answer."""

from __future__ import annotations

import httpx
import pytest

from cli.client import ApiError, Client


def asking(answer: httpx.Response) -> Client:
    client = Client("http://127.0.0.1:1")
    client._http = httpx.Client(
        base_url=client.url, transport=httpx.MockTransport(lambda _: answer)
    )
    return client


@pytest.mark.parametrize("answer", [{}, {"results": None}, {"results": []}, {"results": {"a": 1}}])
def test_a_batch_without_a_result_for_each_is_a_refusal_and_no_mistake(answer: object) -> None:
    with (
        asking(httpx.Response(200, json=answer)) as client,
        pytest.raises(ApiError, match="answered 200 no_results: there is no result for each"),
    ):
        client.post_batch([b"one", b"two"])


def test_a_batch_with_a_result_for_each_is_returned() -> None:
    results = [{"http_status": 202}, {"http_status": 422}]
    with asking(httpx.Response(200, json={"results": results})) as client:
        assert client.post_batch([b"one", b"two"])["results"] == results
