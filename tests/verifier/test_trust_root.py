"""Step 3: a genesis document that is trusted by its hash and yet fixes nothing that can be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.refusal import Reason
from ledger.validators import compute_faulty_max, compute_quorum
from tests.verifier.mutating import honest
from tests.verifier.small_chain import SmallChain, busy_chain
from verifier.trust_root import compute_chain_id, read_trust_root
from verifier.verify import verify_evidence

Document = dict[str, Any]


def put(document: Document, value: Any, *path: str | int) -> None:
    inner: Any = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value


FAULTS: dict[str, tuple[Callable[[Document], None], str]] = {
    "format": (lambda d: put(d, "v2", "format"), "format is 'v2'"),
    "no-institutions": (lambda d: put(d, [], "institutions"), "a list of 1 to 64"),
    "institutions-no-list": (lambda d: put(d, {}, "institutions"), "a list of 1 to 64"),
    "institution-no-object": (lambda d: put(d, 1, "institutions", 0), "is not an object"),
    "id-twice": (lambda d: put(d, "bank-0", "institutions", 1, "id"), "are not distinct"),
    "id-no-id": (lambda d: put(d, "Bank 0", "institutions", 0, "id"), "an institution's id"),
    "key-twice": (
        lambda d: put(
            d, d["institutions"][0]["keys"]["cosign"], "institutions", 1, "keys", "cosign"
        ),
        "16 keys, of which only 15 are distinct",
    ),
    "key-short": (
        lambda d: put(d, "ab", "institutions", 1, "keys", "vote"),
        "bank-1: vote key",
    ),
    "name-missing": (
        lambda d: put(d, {"en": "Bank"}, "institutions", 1, "name"),
        "bank-1: name in Chinese",
    ),
    "no-parameters": (lambda d: put(d, None, "parameters"), "parameters is not an object"),
    "network": (lambda d: put(d, "A B", "network"), "network is missing"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_trusted_genesis_that_cannot_be_used(name: str) -> None:
    spoil, says = FAULTS[name]
    document = json.loads(busy_chain().genesis.raw)
    spoil(document)
    raw = encode_canonical(document)
    report = verify_evidence(honest(genesis=raw).encode(), compute_chain_id(raw))
    assert report.failed is not None
    assert (report.failed.number, report.failed.reason) == (3, Reason.BAD_FIELD)
    assert says in report.failed.explanation.en


def test_trusted_genesis_of_another_spelling() -> None:
    raw = busy_chain().genesis.raw + b"\n"
    report = verify_evidence(honest(genesis=raw).encode(), compute_chain_id(raw))
    assert report.failed is not None
    assert (report.failed.number, report.failed.reason) == (3, Reason.NOT_CANONICAL)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 10, 33, 36])
def test_what_follows_from_genesis_is_what_the_ledger_says(count: int) -> None:
    genesis = SmallChain(count).genesis
    root = read_trust_root(genesis.raw)
    assert (root.chain_id, root.origin) == (genesis.chain_id, genesis.origin)
    assert (root.faulty_max, root.quorum) == (compute_faulty_max(count), compute_quorum(count))
    assert root.validators_hash == genesis.validators.hash
    assert root.replay_window_ms == genesis.parameters.replay_window_ms
