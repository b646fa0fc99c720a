"""Checkpoint and tiles: one spelling of a path, the right type and caching of each."""

from __future__ import annotations

import httpx
import pytest

from api.tiles import format_tile_index, parse_tile_path
from tests.api.conftest import Connect
from tests.api.fake import GENESIS, FakeNode, make_envelope


async def test_checkpoint(client: httpx.AsyncClient, node: FakeNode) -> None:
    response = await client.get("/checkpoint")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["detail"] == "no checkpoint of this log is certified yet"
    node.take_in(make_envelope(0))
    node.commit(certified=True)
    response = await client.get("/checkpoint")
    assert response.text.startswith(f"{GENESIS.origin}\n3\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["cache-control"] == "public, max-age=1"


@pytest.mark.parametrize(
    ("path", "width", "cache"),
    [
        ("0/000", 256, "public, max-age=31536000, immutable"),
        ("0/000.p/17", 17, "public, max-age=3600"),
        ("1/x001/x234/067", 256, "public, max-age=31536000, immutable"),
        ("1/x001/x234/067.p/255", 255, "public, max-age=3600"),
    ],
)
async def test_tile(client: httpx.AsyncClient, path: str, width: int, cache: str) -> None:
    response = await client.get(f"/tile/{path}")
    assert (response.status_code, len(response.content)) == (200, 32 * width)
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["cache-control"] == cache


async def test_entry_bundle(connect: Connect) -> None:
    async with connect("auditor") as client:
        full = await client.get("/tile/entries/000")
        assert (full.content, full.headers["cache-control"]) == (
            b"\0\1e" * 256,
            "private, max-age=31536000, immutable",
        )
        part = await client.get("/tile/entries/000.p/3")
        assert (part.content, part.headers["cache-control"]) == (
            b"\0\1e" * 3,
            "private, max-age=3600",
        )
        absent = await client.get("/tile/entries/001")
        assert (absent.status_code, absent.json()["detail"]) == (
            404,
            "the certified log has no tile entries/001 of width 256",
        )


async def test_tile_that_is_not_there(client: httpx.AsyncClient) -> None:
    response = await client.get("/tile/0/001.p/4")
    assert (response.status_code, response.json()["detail"]) == (
        404,
        "the certified log has no tile 0/001.p/4 of width 4",
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/",
        "0/0",
        "0/00",
        "0/0000",
        "00/000",
        "01/000",
        "64/000",
        "-1/000",
        "+1/000",
        "0/x000/001",
        "0/x000",
        "0/001/002",
        "0/x001/x002",
        "0/X001/002",
        "0/000.p/0",
        "0/000.p/00",
        "0/000.p/01",
        "0/000.p/256",
        "0/000.p/1000",
        "0/000.p/",
        "0/000.p",
        "0/000.p/-1",
        "0/000/",
        "0/000.p/1/",
        " 0/000",
        "0/٠٠٠",
        "0/000\n",
        "entry/000",
        "entries/0",
        "entries",
        "entries/000.p/256",
        "0//000",
        "0/x001/" * 6 + "000",
        "0/" + "x001/" * 6 + "000",
    ],
)
async def test_path_of_any_other_spelling(client: httpx.AsyncClient, path: str) -> None:
    assert parse_tile_path(path) is None
    response = await client.get(f"http://node/tile/{httpx.QueryParams(q=path)!s}".replace("q=", ""))
    assert response.status_code == 404
    assert response.json()["reason"] == "not_found"


async def test_the_sentence_says_how_a_path_is_spelt(client: httpx.AsyncClient) -> None:
    assert (await client.get("/tile/0/1")).json()["detail"] == (
        "'0/1' is not a tile's path: <level 0 to 63 or entries>/<index in groups of three digits, "
        "x before all but the last>[.p/<width 1 to 255>]"
    )


@pytest.mark.parametrize("index", [0, 1, 999, 1000, 1_234_067, 999_999, 10**6, 10**18 - 1])
def test_index_round_trip(index: int) -> None:
    path = format_tile_index(index)
    assert parse_tile_path(f"63/{path}") == (63, index, 256)
    assert parse_tile_path(f"entries/{path}.p/9") == (None, index, 9)


def test_index_as_the_specification_writes_it() -> None:
    assert format_tile_index(1_234_067) == "x001/x234/067"
