"""Files spoilt by chance, put before both verifiers, which must say the same of every one.

    .venv/bin/python -m tests.page.differential --count 5000 --seed 7

Seven ways to spoil, because each check hides those behind it. *outside*: a member of the file, or
an element inside one of its binary values, is replaced, doubled, dropped or exchanged. *liars* and
*liable-liars*: a quorum that lies certifies an entry, a record of the state or a header with
another value in it, so that the steps behind the proofs read what no honest chain holds. *owed*:
they certify entries, terms or papers of a computation, named rightly as what it read, so that the
law reads them. *genesis*: another genesis document, whose hash is the trusted one. *statements*: a
Transparent Statement in which something else is said, rightly signed and registered, or a receipt
in it, or any part of it. *tokens*: bytes of an RFC 3161 token are altered, left out or doubled.
Whatever either of them raises, or one says and the other does not, is printed with the name that
makes it again.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import copy
import dataclasses
import functools
import hashlib
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cbor2
import msgpack

from ledger.canonical import encode_canonical
from ledger.evidence import LawPapers
from ledger.merkle import compute_root, leaf_hash
from ledger.scitt import compute_sign1_message
from ledger.stream import decode_stored_stream, decode_stream_value
from tests.page.conftest import ANSWER, NODE, JavaScript
from tests.verifier import (
    proof_files,
    test_disclosure,
    test_liabilities,
    test_owed,
    test_proofs,
    test_timestamps,
)
from tests.verifier.mutating import CARD, honest
from tests.verifier.small_chain import CARD_SIGNERS, SmallChain, busy_chain, forge, signer
from tests.verifier.statements import Registered, card_chain, receipt_of, register
from tests.verifier.statements import good as good_statement
from verifier.trust_root import compute_chain_id
from verifier.verify import verify_evidence

Case = tuple[bytes, bytes]
"""A file and the trusted hash."""

SAMPLES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 255, 65_536, 2**31, 2**32, 2**53 - 1, 1 - 2**53, 2**53),
    *(2**64 - 1, -(2**63), 1.5),
    *(
        "",
        "0",
        "1",
        "True",
        "None",
        "x",
        "contract/card-1",
        "party/m-1",
        "card-2",
        "AA==",
        "prepaid",
    ),
    *("contract", "merchant", "2026-02-30", "2026-01-01", "merchant custodian", "é", "e\u0301"),
    *("\u202e", "\ufeff", "\ue000", "\U0001f600", "\x7f", "\n", "a" * 300),
    *(b"", b"x", b"\0" * 32, b"\xff" * 32),
    *([], [[]], [0], [None, None], {}, {"a": 1}),
)
"""What is put where something else stood."""


# -- values and places in them


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from places(inner, (*path, place))


def take(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    take(value, path[:-1])[path[-1]] = new
    return value


def spoil(chance: random.Random, value: Any, only: Callable[[Any], bool] = lambda _: True) -> Any:
    """A copy with one place changed."""
    value = copy.deepcopy(value)
    listed = [path for path in places(value) if path]
    if not listed:
        return chance.choice([sample for sample in SAMPLES if only(sample)])
    path = chance.choice(listed)
    held = take(value, path)
    holder = take(value, path[:-1])
    way = chance.randrange(7)
    if isinstance(holder, list) and way == 0:
        holder.insert(path[-1], copy.deepcopy(chance.choice(holder)))
    elif isinstance(holder, list) and way == 1:
        del holder[path[-1]]
    elif isinstance(holder, list) and way == 2 and len(holder) > 1:
        one, other = chance.sample(range(len(holder)), 2)
        holder[one], holder[other] = holder[other], holder[one]
    elif way == 3:
        put(value, path, copy.deepcopy(take(value, chance.choice(listed))))
    elif type(held) is int and way < 6:
        put(value, path, held + chance.choice((-1, 1, 2, 10**6)))
    elif isinstance(held, str) and held and way < 6:
        at = chance.randrange(len(held))
        put(value, path, held[:at] + chance.choice(("", "0", "a", "A", " ", "é")) + held[at + 1 :])
    elif isinstance(held, bytes) and held and way < 6:
        at = chance.randrange(len(held))
        put(value, path, held[:at] + bytes([held[at] ^ 1 << chance.randrange(8)]) + held[at + 1 :])
    else:
        put(value, path, chance.choice([sample for sample in SAMPLES if only(sample)]))
    return value


def is_json(value: Any) -> bool:
    return not isinstance(value, bytes)


def is_packed(value: Any) -> bool:
    return not isinstance(value, dict | float)


def spell(value: Any) -> bytes:
    """JSON as near to canonical as the value lets it be."""
    return json.dumps(
        value,
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
        default=lambda raw: raw.hex(),
    ).encode("utf-8", "surrogatepass")


def unpack(text: str) -> list[Any] | None:
    """The array inside a base64 value, if there is one."""
    try:
        found = msgpack.unpackb(binascii.a2b_base64(text, strict_mode=True))
    except (ValueError, binascii.Error, msgpack.UnpackException):
        return None
    return found if isinstance(found, list) else None


# -- what is spoilt


@functools.cache
def good() -> list[Case]:
    """Files of every kind."""
    chain = busy_chain()
    made = [make() for make in test_proofs.GOOD.values()]
    files = [(raw, one.chain_id) for one, raw in made]
    files += [
        (chain.history("card-1", CARD_SIGNERS), chain.chain_id),
        (honest().encode(), chain.chain_id),
    ]
    claims = test_liabilities.world().chain_id
    files += [(test_liabilities.one(), claims), (test_liabilities.several(0, 2, 3, 6), claims)]
    files.append((test_owed.file(), test_owed.world().chain_id))
    shown = test_disclosure.show(test_disclosure.FIRST, "name", "health")
    files.append((test_disclosure.history(shown), test_disclosure.chain().chain_id))
    files.append((test_timestamps.good(), test_timestamps.chain()[0].chain_id))
    return files


def outside(chance: random.Random) -> Case:
    raw, chain_id = chance.choice(good())
    document = json.loads(raw)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        packed = [
            path
            for path in places(document)
            if isinstance(held := take(document, path), str) and unpack(held) is not None
        ]
        if packed and chance.random() < 0.6:
            path = chance.choice(packed)
            inner = spoil(chance, unpack(take(document, path)), is_packed)
            try:
                text = base64.b64encode(msgpack.packb(inner)).decode()
            except (TypeError, ValueError, OverflowError):
                continue
            document = put(document, path, text)
        else:
            document = spoil(chance, document, is_json)
            if not isinstance(document, dict):
                break
    return spell(document), chain_id


@functools.cache
def worlds() -> list[SmallChain]:
    return [busy_chain(), proof_files.life_chain(), test_disclosure.chain()]


def record_of(chain: SmallChain, stream: str) -> Any:
    return decode_stream_value(decode_stored_stream(chain.memory.streams[stream]).value).record


def rebody(chance: random.Random, chain: SmallChain, fields: list[Any]) -> list[Any]:
    """The entry with something else said in it, rightly signed."""
    body = json.loads(fields[3][0])
    spoilt = spoil(chance, body, lambda one: is_json(one) and not isinstance(one, float))
    try:
        raw = encode_canonical(spoilt)
    except Exception:  # noqa: BLE001 - a body that has no spelling is no body
        raw = spell(spoilt)
    signers = spoilt.get("signers") if isinstance(spoilt, dict) else None
    listed = signers if isinstance(signers, list) and signers else body["signers"]
    try:
        envelope = msgpack.unpackb(chain.signed(raw, *[str(one) for one in listed][:8]))
    except Exception:  # noqa: BLE001 - what nobody can sign keeps its old signatures
        envelope = [raw, fields[3][1]]
    return [*fields[:3], envelope, *fields[4:]]


def liars(chance: random.Random) -> Case:
    chain = chance.choice(worlds())
    indices = chain.indices_of(CARD)
    leaves: dict[int, bytes] = {}
    records: dict[str, Any] = {}
    for _ in range(chance.choice((1, 1, 2))):
        way = chance.randrange(4)
        if way < 2:
            index = chance.choice(indices)
            fields = msgpack.unpackb(chain.leaves[index])
            if way:
                fields = rebody(chance, chain, fields)
            else:
                fields[4] = spoil(chance, fields[4], is_packed)
            try:
                leaves[index] = msgpack.packb(fields)
            except (TypeError, ValueError, OverflowError):
                continue
        elif way == 2:
            records[CARD] = spoil(chance, record_of(chain, CARD), is_packed)
        else:
            stream = chance.choice(["party/m-1", "party/bank-0"])
            records[stream] = spoil(chance, record_of(chain, stream), is_packed)
    changes: dict[str, Any] = {}
    if chance.random() < 0.1:
        changes = {
            chance.choice(("time_ms", "proposer", "rule_pack_version")): chance.choice(
                (0, 5, 2**53 - 1)
            )
        }
    lying = forge(chain, leaves, records, changes=changes)
    signers = sorted(
        {
            s
            for index in indices
            for s in json.loads(msgpack.unpackb(chain.leaves[index])[3][0])["signers"]
        }
    )
    asked = chance.randrange(5)
    if asked == 0:
        return lying.history("card-1", signers), chain.chain_id
    if asked == 1:
        index = chance.choice(indices)
        own = sorted(json.loads(msgpack.unpackb(chain.leaves[index])[3][0])["signers"])
        return lying.transaction(index, own).encode(), chain.chain_id
    if asked == 2:
        return proof_files.state(
            lying, chance.choice([CARD, "party/m-1", "party/none"])
        ), chain.chain_id
    question = chance.choice(
        [question for one, question in questions() if one is chain] or [proof_files.window(0, 4)]
    )
    return proof_files.record(lying, question), chain.chain_id


@functools.cache
def questions() -> list[tuple[SmallChain, dict[str, Any]]]:
    return [make() for make in test_proofs.BASES.values()]


def liable_liars(chance: random.Random) -> Case:
    stream = chance.choice(
        [
            f"contract/k-{test_liabilities.OF}",
            f"signed/contract/k-{test_liabilities.OF}",
            "merchant/m-1",
        ]
    )
    held = record_of(test_liabilities.world(), stream)
    place = chance.randrange(len(held))
    value = chance.choice([sample for sample in SAMPLES if is_packed(sample)])
    if type(held[place]) is int and chance.random() < 0.5:
        value = held[place] + chance.choice((-1, 1))
    return test_liabilities.forged(stream, place, value)(), test_liabilities.world().chain_id


def owed(chance: random.Random) -> Case:
    made = test_owed.world()
    indices = made.indices_of(CARD)
    held = made.papers(CARD)
    assert held is not None, "something was computed"
    law = dataclasses.asdict(held)
    fields = {index: msgpack.unpackb(made.leaves[index]) for index in indices}
    for _ in range(chance.choice((1, 1, 2))):
        way = chance.randrange(6)
        index = chance.choice(indices)
        if way < 3:
            fields[index] = rebody(chance, made, fields[index])
        elif way == 3:
            fields[index][4] = spoil(chance, fields[index][4], is_packed)
        elif way == 4:
            name = chance.choice(("merchant", "pages", "times"))
            law[name] = spoil(chance, list(law[name]), is_json)
        else:
            terms = spell(spoil(chance, json.loads(law["terms"]), is_json))
            law["terms"] = terms
            body = json.loads(fields[indices[0]][3][0])
            body["data"]["terms"] = hashlib.sha256(terms).hexdigest()
            envelope = msgpack.unpackb(made.signed(encode_canonical(body), *body["signers"]))
            fields[indices[0]] = [*fields[indices[0]][:3], envelope, *fields[indices[0]][4:]]
    for _ in range(8):
        leaves = {index: msgpack.packb(entry) for index, entry in fields.items()}
        lying = forge(made, leaves)
        raw = lying.history("card-1", test_owed.SIGNERS, law=LawPapers(**law))
        ours = told_by_us(raw, made.chain_id)
        said = "" if isinstance(ours, str) else next((s[4] for s in ours if s[1] == "failed"), "")
        named = BASIS.match(said)
        if named is None or int(named[1]) not in fields:
            break
        for pair in fields[int(named[1])][4][2]:
            if pair[0] == "basis":
                pair[1] = named[2]
    return raw, made.chain_id


BASIS = re.compile(r"Entry (\d+) states basis .*; derived again it is ([0-9a-f]{64})\.")


def genesis(chance: random.Random) -> Case:
    raw, _ = chance.choice(good())
    document = json.loads(raw)
    held = json.loads(base64.b64decode(document["genesis"]))
    for _ in range(chance.choice((1, 1, 2))):
        held = spoil(chance, held, is_json)
    spoilt = spell(held)
    document["genesis"] = base64.b64encode(spoilt).decode()
    return spell(document), compute_chain_id(spoilt)


def statements(chance: random.Random) -> Case:
    made = copy.copy(good_statement())
    statement = made.statement.copy()
    way = chance.randrange(3)
    if way == 0:
        chain, about = card_chain()
        statement.header = spoil(chance, statement.header)
        return register(chain, statement, about, "m-1").transparent(), chain.chain_id
    if way == 1:
        receipts = [spoil_receipt(chance, made, one) for one in ("bank-0", "bank-2")]
        return made.transparent(receipts), made.chain.chain_id
    whole = cbor2.loads(made.transparent()).value
    whole[0] = cbor2.loads(whole[0])
    whole = spoil(chance, whole)
    if isinstance(whole, list) and whole and isinstance(whole[0], dict):
        whole[0] = cbor2.dumps(whole[0])
    return cbor2.dumps(cbor2.CBORTag(18, whole)), made.chain.chain_id


def spoil_receipt(chance: random.Random, made: Registered, institution: str) -> bytes:
    """A receipt with something else in it, signed again over the true root."""
    raw = receipt_of(made.chain, made.index, made.tx_id, institution)
    if chance.random() < 0.4:
        return raw
    protected, unprotected, payload, _ = cbor2.loads(raw).value
    parts = [cbor2.loads(protected), cbor2.loads(unprotected[396][-1][0]), payload]
    header, proof, payload = spoil(chance, parts)[:3] if chance.random() < 0.9 else parts
    root = compute_root([leaf_hash(leaf) for leaf in made.chain.leaves])
    protected = cbor2.dumps(header)
    key = signer(f"{made.chain.network} {institution} log")
    signature = key.sign(compute_sign1_message(protected, root))
    unprotected = {396: {-1: [cbor2.dumps(proof)]}}
    return cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected, payload, signature]))


def tokens(chance: random.Random) -> Case:
    raw = bytearray(test_timestamps.token())
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(len(raw))
        way = chance.randrange(6)
        if way == 0:
            del raw[at : at + chance.choice((1, 1, 2, 20))]
        elif way == 1:
            raw[at:at] = raw[at : at + chance.choice((1, 2, 20))]
        elif way == 2:
            del raw[at:]
        else:
            raw[at] = chance.choice((0, 2, 4, 5, 6, 0x18, 0x30, 0x31, 0x7F, 0x80, 0x81, 0x82, 0xFF))
        raw = raw or bytearray(b"\x30")
    return test_timestamps.with_raw(bytes(raw)), test_timestamps.chain()[0].chain_id


WAYS: dict[str, Callable[[random.Random], Case]] = {
    "outside": outside,
    "liars": liars,
    "liable-liars": liable_liars,
    "owed": owed,
    "genesis": genesis,
    "statements": statements,
    "tokens": tokens,
}


# -- both verifiers

UNCOMPARED = {
    "zh": "推算书全文的哈希，本网页不比对。",
    "en": " The hash of the working in words this page does not compare.",
}
"""What the page says of step 14 after the command line's sentence."""

UNSPELT = " cannot be derived again: terms: "
"""Terms that are no canonical JSON: each tells in its own words where."""


class Page:
    """The page's verifier, begun again whenever it ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def verify(self, raw: bytes, chain_id: bytes) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            assert NODE is not None, "Node.js is needed"
            self._process = subprocess.Popen(
                [NODE, str(ANSWER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        try:
            return JavaScript(self._process).verify(raw, chain_id)
        except (AssertionError, BrokenPipeError):
            _, told = self._process.communicate()
            return {"raised": " / ".join(told.strip().splitlines()[:6])}

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()  # which closes what it reads and what it tells


def told_by_us(raw: bytes, chain_id: bytes) -> Any:
    try:
        report = verify_evidence(raw, chain_id)
    except Exception as error:  # noqa: BLE001 - whatever is raised is a finding
        return f"raised {type(error).__name__}: {error}"
    return [
        (s.number, s.result.value, str(s.reason or ""), s.explanation.zh, s.explanation.en)
        for s in report.steps
    ]


def told_by_page(page: Page, raw: bytes, chain_id: bytes) -> Any:
    report = page.verify(raw, chain_id)
    if "raised" in report:
        return f"raised {report['raised']}"
    return [
        (s["number"], s["result"], s["reason"], s["explanation"]["zh"], s["explanation"]["en"])
        for s in report["steps"]
    ]


def compare(ours: Any, theirs: Any) -> str:
    """What differs: nothing, raised, verdict, or sentence."""
    if isinstance(ours, str) or isinstance(theirs, str):
        return "raised"
    if any(row[0] == 14 and " states derivation " in row[4] for row in ours):
        return ""  # the hash of the working, which the page does not write
    theirs = [(*row[:3], *map(without_working, row[3:])) for row in theirs]
    if [row[:3] for row in ours] != [row[:3] for row in theirs]:
        return "verdict"
    if ours == theirs:
        return ""
    pairs = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    return "" if all(UNSPELT in row[4] for pair in pairs for row in pair) else "sentence"


def without_working(sentence: str) -> str:
    for words in UNCOMPARED.values():
        sentence = sentence.removesuffix(words)
    return sentence


def run(rounds: int, seed: int, ways: Sequence[str]) -> Counter[str]:
    """Put so many files before both; return what came of them."""
    page = Page()
    count: Counter[str] = Counter()
    try:
        for number in range(rounds):
            way = ways[number % len(ways)]
            name = f"{seed}:{number}:{way}"
            try:
                raw, chain_id = WAYS[way](random.Random(name))
            except Exception as error:  # noqa: BLE001 - the liar could not even be made
                count[f"{way}: not made ({type(error).__name__})"] += 1
                continue
            ours, theirs = told_by_us(raw, chain_id), told_by_page(page, raw, chain_id)
            found = compare(ours, theirs)
            count[f"{way}: {found or 'alike'}"] += 1
            if not isinstance(ours, str):
                failed = next((row for row in ours if row[1] == "failed"), None)
                count[
                    f"  {way}: " + (f"step {failed[0]:2} {failed[2]}" if failed else "consistent")
                ] += 1
            if found:
                show(name, found, ours, theirs)
    finally:
        page.close()
    return count


def show(name: str, found: str, ours: Any, theirs: Any) -> None:
    print(f"== {found} {name}")
    if isinstance(ours, str) or isinstance(theirs, str):
        for who, told in (("python", ours), ("page", theirs)):
            said = (
                told
                if isinstance(told, str)
                else next((r for r in told if r[1] == "failed"), "consistent")
            )
            print(f"   {who}: {str(said)[:600]}")
        return
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            print(f"   python: {str(one)[:500]}\n   page:   {str(other)[:500]}")
            return


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000, help="files (default: 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--way", action="append", choices=tuple(WAYS), help="only these")
    arguments = parser.parse_args()
    count = run(arguments.count, arguments.seed, arguments.way or list(WAYS))
    for line, number in sorted(count.items()):
        print(f"{number:7} {line}")
    return 1 if find_differences(count) else 0


def find_differences(count: Counter[str]) -> list[str]:
    """The lines of a count that are about a difference."""
    return [line for line in count if line.endswith((": raised", ": verdict", ": sentence"))]


if __name__ == "__main__":
    sys.exit(main())
