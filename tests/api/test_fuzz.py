"""Ten thousand bodies, random and spoilt: no 5xx, every refusal a whole problem."""

from __future__ import annotations

import json
import random

import httpx
import msgspec
import pytest

from tests.api.fake import make_batch, make_envelope
from tests.api.test_submission import json_of

SEED = 20_231_120
SAMPLES = [make_envelope(0), *make_batch(3)]
JSON_SAMPLES = [json.dumps(json_of(envelope)).encode() for envelope in SAMPLES]
BATCH_SAMPLES = [
    msgspec.msgpack.encode(SAMPLES),
    json.dumps({"transactions": [json_of(envelope) for envelope in SAMPLES]}).encode(),
]
TOKENS = [b"{", b"}", b"[", b"]", b'"', b"\\u0000", b"\\ud83d", b"null", b"1e999", b"-0", b"\xc1"]


def spoil(rng: random.Random, raw: bytes) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                data[place:place] = rng.choice(TOKENS) * rng.choice([1, 1, 1, 300])
            case 2:
                del data[place : place + rng.randint(1, 40)]
            case 3:
                del data[place:]
            case _:
                data[place:place] = data[: rng.randint(0, 80)]
    return bytes(data)


@pytest.mark.parametrize("path", ["/v1/transactions", "/v1/transactions:batch"])
async def test_no_body_is_answered_with_a_5xx(client: httpx.AsyncClient, path: str) -> None:
    rng = random.Random(f"{SEED} {path}")
    samples = BATCH_SAMPLES if path.endswith("batch") else [*SAMPLES, *JSON_SAMPLES]
    statuses: set[int] = set()
    for number in range(5000):
        if rng.randrange(4):
            body = spoil(rng, rng.choice(samples))
        else:
            body = rng.randbytes(rng.randrange(200))
        kind = "application/json" if body[:1] in b"{[" else "application/msgpack"
        response = await client.post(path, content=body, headers={"Content-Type": kind})
        statuses.add(response.status_code)
        assert response.status_code < 500, (number, body)
        if response.status_code >= 400:
            assert set(response.json()) >= {
                "type",
                "title",
                "title_zh",
                "status",
                "detail",
                "detail_zh",
            }
            assert "Traceback" not in response.text
    assert 400 in statuses
    assert statuses <= {200, 202, 400, 403, 413, 422}
