"""Step 19: a file's tree is the beginning of one that a quorum cosigned with ML-DSA-44."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

import verifier.post_quantum_step
from ledger.canonical import encode_canonical
from ledger.checkpoint import Checkpoint
from ledger.evidence import add_post_quantum
from ledger.merkle import compute_root, consistency_proof, leaf_hash
from ledger.note import NoteSignature, format_note, parse_note
from ledger.post_quantum import PostQuantumPart, describe_part, post_quantum_cosign
from ledger.refusal import Reason
from tests.verifier.small_chain import START_MS, SmallChain, post_quantum_signer
from verifier.report import Report, Result
from verifier.verify import verify_evidence

CARD = "contract/card-1"
TIME_S = START_MS // 1000 + 900
OTHER = SmallChain(network="other.evidence.example", post_quantum=range(4))


@functools.cache
def chain() -> tuple[SmallChain, bytes]:
    """A chain of which bank-3 has no ML-DSA key, and a history that is older than its newest."""
    made = SmallChain(post_quantum=range(3))
    data = {"keys": [made.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    made.commit(made.submit("party.register", "party/m-1", data, "bank-0"))
    made.commit(made.submit("prepaid.prepay", CARD, {"amount": 1}, "m-1"))
    raw = made.history("card-1", ["m-1"])
    made.commit(made.submit("prepaid.prepay", CARD, {"amount": 2}, "m-1"))
    return made, raw


def older_size() -> int:
    made, _ = chain()
    return made.headers[-2].index + 1


def part(
    cosigners: Sequence[int] = (0, 1, 2), size: int | None = None, of: SmallChain | None = None
) -> PostQuantumPart:
    made = of or chain()[0]
    leaves = [leaf_hash(leaf) for leaf in made.leaves[: size or len(made.leaves)]]
    checkpoint = Checkpoint(made.genesis.origin, len(leaves), compute_root(leaves))
    lines, keys = [], []
    for at in cosigners:
        key = post_quantum_signer(made.network, at)
        name = f"{made.genesis.origin}/bank-{at}"
        lines.append(
            post_quantum_cosign(checkpoint, name, key.public_key, key.sign, TIME_S + 10 * at)
        )
        keys.append(key.public_key)
    path = consistency_proof(leaves, older_size()) if older_size() < len(leaves) else []
    return PostQuantumPart(format_note(checkpoint.text(), lines).decode(), tuple(keys), tuple(path))


@functools.cache
def good() -> bytes:
    return add_post_quantum(chain()[1], part())


def with_part(**changes: Any) -> bytes:
    return add_post_quantum(chain()[1], replace(part(), **changes))


def with_line(change: Callable[[NoteSignature], NoteSignature], at: int = 0) -> bytes:
    """The good file with one line of the note changed."""
    note = parse_note(part().checkpoint.encode())
    lines = list(note.signatures)
    lines[at] = change(lines[at])
    return with_part(checkpoint=format_note(note.text, lines).decode())


def with_lines_of(size: int) -> bytes:
    """The good file with good lines of another tree."""
    text = parse_note(part().checkpoint.encode()).text
    lines = parse_note(part(size=size).checkpoint.encode()).signatures
    return with_part(checkpoint=format_note(text, lines).decode())


def with_text(old: str, new: str) -> bytes:
    return with_part(checkpoint=part().checkpoint.replace(old, new, 1))


def with_member(**changes: Any) -> bytes:
    """The good file with members of the part set to what no writer of ours writes."""
    document = json.loads(chain()[1])
    document["post_quantum"] = describe_part(part()) | changes
    return encode_canonical(document)


def flip(blob: bytes, at: int) -> bytes:
    return blob[:at] + bytes((blob[at] ^ 1,)) + blob[at + 1 :]


def exchanged(items: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (items[1], items[0], *items[2:])


def reordered() -> bytes:
    note = parse_note(part().checkpoint.encode())
    first, second, *others = note.signatures
    return with_part(
        checkpoint=format_note(note.text, [second, first, *others]).decode(),
        keys=exchanged(part().keys),
    )


def renamed(line: NoteSignature) -> NoteSignature:
    return replace(line, name=line.name.replace("bank-0", "bank-3"))


MUTATIONS: dict[str, tuple[Callable[[], bytes], int, Reason]] = {
    "no-quorum": (lambda: add_post_quantum(chain()[1], part((0, 1))), 19, Reason.NO_QUORUM),
    "without-key-in-genesis": (
        lambda: add_post_quantum(chain()[1], part((0, 1, 3))), 19, Reason.UNKNOWN_KEY,
    ),
    "key-exchanged": (lambda: with_part(keys=exchanged(part().keys)), 19, Reason.UNKNOWN_KEY),
    "key-flipped": (
        lambda: with_part(keys=(flip(part().keys[0], 9), *part().keys[1:])),
        19,
        Reason.UNKNOWN_KEY,
    ),
    "key-short": (
        lambda: with_part(keys=(part().keys[0][:-1], *part().keys[1:])), 19, Reason.BAD_FIELD,
    ),
    "key-missing": (lambda: with_part(keys=part().keys[:-1]), 19, Reason.SIGNATURE_COUNT),
    "reordered": (reordered, 19, Reason.BAD_FIELD),
    "twice": (lambda: add_post_quantum(chain()[1], part((0, 0, 1))), 19, Reason.BAD_FIELD),
    "stranger": (
        lambda: with_line(lambda line: replace(line, name="stranger")), 19, Reason.NOT_A_VALIDATOR,
    ),
    "renamed": (lambda: with_line(renamed), 19, Reason.UNKNOWN_KEY),
    "key-id": (
        lambda: with_line(lambda line: replace(line, key_id=flip(line.key_id, 0))),
        19,
        Reason.MALFORMED,
    ),
    "signature-short": (
        lambda: with_line(lambda line: replace(line, signature=line.signature[:-1])),
        19,
        Reason.MALFORMED,
    ),
    "time-zero": (
        lambda: with_line(lambda line: replace(line, signature=bytes(8) + line.signature[8:])),
        19,
        Reason.MALFORMED,
    ),
    "other-chain": (
        lambda: add_post_quantum(chain()[1], part(of=OTHER)), 19, Reason.WRONG_CHAIN,
    ),
    "older-than-the-file": (
        lambda: add_post_quantum(chain()[1], part(size=older_size() - 1)), 19, Reason.BAD_PROOF,
    ),
    "path-dropped": (lambda: with_part(path=part().path[:-1]), 19, Reason.BAD_PROOF),
    "path-added": (lambda: with_part(path=(*part().path, bytes(32))), 19, Reason.BAD_PROOF),
    "path-flipped": (
        lambda: with_part(path=(flip(part().path[0], 3), *part().path[1:])), 19, Reason.BAD_PROOF,
    ),
    "extension-line": (lambda: with_text("\n\n", "\nextension\n\n"), 19, Reason.MALFORMED),
    "no-lines": (lambda: with_part(checkpoint="text\n"), 19, Reason.MALFORMED),
    "not-an-object": (
        lambda: encode_canonical(
            json.loads(chain()[1]) | {"post_quantum": []}
        ),
        1,
        Reason.BAD_FIELD,
    ),
    "member-unknown": (lambda: with_member(more=1), 1, Reason.BAD_FIELD),
    "keys-not-a-list": (lambda: with_member(keys={}), 1, Reason.BAD_FIELD),
    "key-not-base64": (lambda: with_member(keys=["?"]), 1, Reason.BAD_FIELD),
    "node-short": (lambda: with_member(path=["AAAA"]), 1, Reason.BAD_FIELD),
    "checkpoint-number": (lambda: with_member(checkpoint=1), 1, Reason.BAD_FIELD),
    "member-missing": (
        lambda: encode_canonical(json.loads(chain()[1]) | {"post_quantum": {"keys": []}}),
        1,
        Reason.BAD_FIELD,
    ),
    "null": (
        lambda: encode_canonical(json.loads(chain()[1]) | {"post_quantum": None}),
        1,
        Reason.BAD_FIELD,
    ),
    "key-added": (
        lambda: with_part(keys=(*part().keys, part().keys[0])), 19, Reason.SIGNATURE_COUNT,
    ),
    "no-keys": (lambda: with_part(keys=()), 19, Reason.SIGNATURE_COUNT),
    "line-dropped": (
        lambda: with_part(checkpoint=part((0, 1)).checkpoint), 19, Reason.SIGNATURE_COUNT,
    ),
    "signature-long": (
        lambda: with_line(lambda line: replace(line, signature=line.signature + b"\0")),
        19,
        Reason.MALFORMED,
    ),
    "another-root": (
        lambda: with_text(
            part().checkpoint.split("\n")[2], "A" * 43 + "="
        ),
        19,
        Reason.BAD_PROOF,
    ),
    "size-not-a-number": (
        lambda: with_text("\n" + part().checkpoint.split("\n")[1] + "\n", "\nx\n"),
        19,
        Reason.MALFORMED,
    ),
    "path-reversed": (lambda: with_part(path=part().path[::-1]), 19, Reason.BAD_PROOF),
    "control-character": (lambda: with_text("\n\n", "\t\n\n"), 19, Reason.MALFORMED),
}  # fmt: skip
"""What is found without any implementation of ML-DSA-44."""

SIGNED: dict[str, Callable[[], bytes]] = {
    "signature-flipped": lambda: with_line(
        lambda line: replace(line, signature=flip(line.signature, 1000))
    ),
    "later": lambda: with_line(lambda line: replace(line, signature=flip(line.signature, 7))),
    "of-another-size": lambda: with_lines_of(older_size()),
}
"""What only the signatures show."""


def judge(raw: bytes) -> Report:
    return verify_evidence(raw, chain()[0].chain_id)


def test_a_quorum_outlives_ed25519() -> None:
    report = judge(good())
    assert report.is_consistent
    step = report.steps[-1]
    size = len(chain()[0].leaves)
    assert (step.number, step.result, step.explanation.en) == (
        19,
        Result.OK,
        (
            f"3 institutions cosigned the checkpoint of size {size} with ML-DSA-44; this "
            "file's log is the beginning of it."
        ),
    )
    assert report.facts["post_quantum_cosigners"] == ["bank-0", "bank-1", "bank-2"]
    assert report.facts["post_quantum_existed_by_s"] == TIME_S + 10


def test_the_same_tree_needs_no_path() -> None:
    assert judge(add_post_quantum(chain()[1], part(size=older_size()))).is_consistent


def test_a_file_without_the_part_has_no_such_step() -> None:
    assert [step.number for step in judge(chain()[1]).steps] == list(range(1, 16))


def test_without_a_library_nothing_is_passed_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verifier.post_quantum_step, "find_verify", lambda: None)
    for raw in (good(), SIGNED["signature-flipped"]()):
        report = judge(raw)
        assert report.is_consistent
        assert (report.steps[-1].result, report.steps[-1].explanation.en) == (
            Result.NOT_RUN,
            (
                "3 ML-DSA-44 signatures not checked: install the Python package "
                "cryptography>=48 and run evidence-ledger verify. Their keys are those of "
                "genesis, and the log's path holds."
            ),
        )
        assert report.limits[-1].en.startswith("The post-quantum cosignatures were not checked:")
        assert "post_quantum_cosigners" not in report.facts


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_is_not_genesis_quorum_is_refused(name: str) -> None:
    make, number, reason = MUTATIONS[name]
    failed = judge(make()).failed
    assert failed is not None
    assert (failed.number, failed.reason) == (number, reason)


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_of_anything_else_is_refused(name: str) -> None:
    failed = judge(SIGNED[name]()).failed
    assert failed is not None
    assert (failed.number, failed.reason, failed.explanation.en) == (
        19,
        Reason.BAD_SIGNATURE,
        f"Checkpoint: the ML-DSA-44 cosignature of {chain()[0].genesis.origin}/bank-0 is wrong.",
    )
