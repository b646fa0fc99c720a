"""Bodies, envelopes, signatures and batch paths: what is admitted to be read at all."""

from __future__ import annotations

import base64
import random
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from ledger import kernel, kernel_plain, tags
from ledger.canonical import encode_canonical
from ledger.hashing import sha256
from ledger.merkle import compute_root, inclusion_proof, leaf_hash, root_from_inclusion
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from ledger.transaction import (
    BODY_BYTES_MAX,
    ENVELOPE_BYTES_MAX,
    SIGNERS_MAX,
    BatchPath,
    Body,
    Envelope,
    Signature,
    Transaction,
    compute_check,
    compute_reference_key,
    compute_tx_id,
    decode_bodies,
    decode_body,
    decode_transaction,
    decode_transactions,
    encode_body,
    encode_envelope,
    is_stream_name,
    sign_batch,
    sign_transaction,
    verify_transaction_signatures,
)
from ledger.wire import StrictDecoder, encode

CHAIN = bytes([7]) * 32
OTHER_CHAIN = bytes([8]) * 32
MEMBERS: dict[str, Any] = {
    "data": {"amount": 500},
    "kind": "prepaid.prepay",
    "not_after": 1_767_225_660_000,
    "reference": "R-1",
    "salt": "A" * 22,
    "signers": ["m-1"],
    "stream": "contract/c-1",
    "version": 1,
}


def body(**changes: Any) -> bytes:
    return encode_canonical(MEMBERS | changes)


def signer(number: int) -> SeedSigner:
    return SeedSigner(bytes([number]) * 32)


def reason_of(read: Any, *arguments: Any) -> Reason:
    with pytest.raises(Rejected) as caught:
        read(*arguments)
    assert caught.value.detail
    return caught.value.reason


def check(envelope: bytes, chain_id: bytes = CHAIN) -> None:
    verify_transaction_signatures(decode_transaction(envelope), chain_id)


# Bodies


def test_a_body_is_read_as_it_was_written() -> None:
    raw = encode_body(**MEMBERS)
    assert raw == body()
    read = decode_body(raw)
    data = encode_canonical(MEMBERS["data"])
    others = {name: value for name, value in MEMBERS.items() if name != "data"}
    assert read == Body(data_text=msgspec.Raw(data), **others)
    assert read.data == MEMBERS["data"]
    assert list(Body.__struct_fields__) == sorted(Body.__struct_fields__)


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_no_member_may_be_missing_null_or_of_another_type(member: str) -> None:
    missing = encode_canonical({name: MEMBERS[name] for name in MEMBERS if name != member})
    assert reason_of(decode_body, missing) is Reason.BAD_FIELD
    for value in (None, True, [], "", 1.5 if member == "data" else {"a": 1}):
        if isinstance(value, float):
            continue
        wrong = encode_canonical(MEMBERS | {member: value})
        assert reason_of(decode_body, wrong) is Reason.BAD_FIELD


def test_no_member_may_be_added() -> None:
    assert reason_of(decode_body, body(more=1)) is Reason.BAD_FIELD


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("kind", "prepaid.prepay\n"),
        ("kind", "Prepaid.open"),
        ("kind", "a.b.c.d.e"),
        ("kind", ".a"),
        ("kind", "a."),
        ("kind", "a" * 33),
        ("kind", "1a"),
        ("not_after", -1),
        ("reference", "r" * 65),
        ("salt", "A" * 21),
        ("salt", "A" * 65),
        ("salt", "A" * 22 + "="),
        ("salt", "A" * 22 + "\n"),
        ("salt", "A" * 21 + "+"),
        ("signers", ["m-1\n"]),
        ("signers", ["M-1"]),
        ("signers", [""]),
        ("signers", ["-m"]),
        ("signers", ["m_1"]),
        ("signers", ["m" * 49]),
        ("signers", [f"m-{number}" for number in range(SIGNERS_MAX + 1)]),
        ("signers", ["m-1", "m-1"]),
        ("signers", ["m-1", "m-2", "m-1"]),
        ("signers", ["m-1", None]),
        ("stream", "contract/c-1\n"),
        ("stream", "contract/"),
        ("stream", "contract"),
        ("stream", "other/c-1"),
        ("stream", "contract/c/1"),
        ("stream", "contract/.c"),
        ("stream", "contract/C"),
        ("stream", "contract/" + "c" * 81),
        ("stream", " contract/c"),
        ("stream", "a\ncontract/c"),
        ("version", 0),
        ("version", 65_536),
    ],
)
def test_a_member_out_of_bounds_is_refused(member: str, value: Any) -> None:
    assert reason_of(decode_body, body(**{member: value})) is Reason.BAD_FIELD


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("kind", "a" * 32 + (".b" + "_" * 31) * 3),
        ("not_after", 0),
        ("not_after", 2**53 - 1),
        ("reference", "🎫" * 64),
        ("reference", "\x00"),
        ("salt", "-" * 22),
        ("salt", "_" * 64),
        ("signers", ["m" * 48]),
        ("signers", ["0"]),
        ("signers", [f"m-{number}" for number in range(SIGNERS_MAX)]),
        ("stream", "contract/" + "c" * 80),
        ("stream", "party/0._-"),
        ("stream", "validator/v"),
        ("version", 65_535),
        ("data", {}),
    ],
)
def test_a_member_at_its_bound_is_read(member: str, value: Any) -> None:
    assert getattr(decode_body(body(**{member: value})), member) == value


def fill(length: int) -> bytes:
    """A body of exactly `length` bytes."""
    return body(data={"f": "f" * (length - len(body(data={"f": ""})))})


def test_a_body_has_at_most_32_kib() -> None:
    assert len(fill(BODY_BYTES_MAX)) == BODY_BYTES_MAX
    decode_body(fill(BODY_BYTES_MAX))
    with pytest.raises(Rejected) as caught:
        decode_body(fill(BODY_BYTES_MAX + 1))
    assert str(caught.value) == "too_large: body: 32769 bytes; at most 32768 are allowed"


def test_depth_counts_from_the_body() -> None:
    def nest(levels: int) -> Any:
        return 1 if levels == 0 else [nest(levels - 1)]

    assert decode_body(body(data={"a": nest(6)})).data == {"a": nest(6)}
    raw = body().replace(b'{"amount":500}', b'{"a":' + b"[" * 7 + b"1" + b"]" * 7 + b"}")
    assert reason_of(decode_body, raw) is Reason.TOO_DEEP


def test_a_salt_of_128_bits_fits() -> None:
    salt = base64.urlsafe_b64encode(bytes(16)).rstrip(b"=").decode()
    assert len(salt) == 22
    decode_body(body(salt=salt))


def test_stream_names() -> None:
    assert is_stream_name("contract/a")
    for name in ("contract/a\n", "contract/", "a", "contract/a/b", "contract/a "):
        assert not is_stream_name(name)


# Identity


def test_tags_separate_every_hash_and_signature() -> None:
    raw = body()
    assert compute_tx_id(raw) == sha256(b"evidence-ledger/v1/tx-id\0" + raw)
    envelope = sign_transaction(raw, CHAIN, [signer(1)])
    transaction = decode_transaction(envelope)
    assert transaction.tx_id == compute_tx_id(raw)
    assert transaction.envelope_hash == sha256(b"evidence-ledger/v1/envelope\0" + envelope)
    values = [value for name, value in vars(tags).items() if name.isupper()]
    assert len(values) == len(set(values)) >= 19
    for value in values:
        assert value.startswith(b"evidence-ledger/v1/")
        assert value.index(b"\0") == len(value) - 1
        assert not any(other != value and other.startswith(value) for other in values)


def test_a_reference_key_cannot_be_shifted_between_party_and_reference() -> None:
    assert compute_reference_key("ab", "c") != compute_reference_key("a", "bc")
    assert compute_reference_key("a", "b\0c") != compute_reference_key("a", "b")


# Envelopes


def two_signers() -> tuple[bytes, list[SeedSigner]]:
    return body(signers=["m-1", "bank-1"]), [signer(1), signer(2)]


def test_an_envelope_carries_each_signers_signature_in_order() -> None:
    raw, signers = two_signers()
    envelope = sign_transaction(raw, CHAIN, signers)
    transaction = decode_transaction(envelope)
    verify_transaction_signatures(transaction, CHAIN)
    message = b"evidence-ledger/v1/tx-signature\0" + CHAIN + compute_tx_id(raw)
    for each, key in zip(transaction.envelope.signatures, signers, strict=True):
        assert each.public_key == key.public_key
    assert transaction.envelope.signatures[0].signature == (
        SigningKey(bytes([1]) * 32).sign(message).signature
    )


def test_signatures_stripped_added_or_garbled_are_refused() -> None:
    raw, signers = two_signers()
    signatures = decode_transaction(sign_transaction(raw, CHAIN, signers)).envelope.signatures
    first, second = signatures
    for wrong in ([first], [second], [first, second, first], [first, first, second]):
        assert reason_of(decode_transaction, encode_envelope(raw, wrong)) is Reason.SIGNATURE_COUNT
    assert reason_of(decode_transaction, encode_envelope(raw, [])) is Reason.MALFORMED
    many = [first] * (SIGNERS_MAX + 1)
    assert reason_of(decode_transaction, encode_envelope(raw, many)) is Reason.MALFORMED
    # Reordered, or the same one twice: readable, and each signature verifies under the key that
    # stands beside it. That the key is not the i-th signer's is found when keys are looked up.
    swapped = decode_transaction(encode_envelope(raw, [second, first]))
    assert [s.public_key for s in swapped.envelope.signatures] == [
        second.public_key,
        first.public_key,
    ]
    for position in range(64):
        flipped = bytearray(first.signature)
        flipped[position] ^= 1
        garbled = Signature(first.public_key, bytes(flipped), None)
        assert reason_of(check, encode_envelope(raw, [garbled, second])) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    raw = encode([body(), [[bytes(length), bytes(64), None]]])
    assert reason_of(decode_transaction, raw) is Reason.MALFORMED


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    raw = encode([body(), [[bytes(32), bytes(length), None]]])
    assert reason_of(decode_transaction, raw) is Reason.MALFORMED


def test_a_signature_is_bound_to_chain_body_and_purpose() -> None:
    raw = body()
    envelope = sign_transaction(raw, CHAIN, [signer(1)])
    check(envelope)
    assert reason_of(check, envelope, OTHER_CHAIN) is Reason.BAD_SIGNATURE
    signature = decode_transaction(envelope).envelope.signatures[0]
    other = encode_envelope(body(reference="R-2"), [signature])
    assert reason_of(check, other) is Reason.BAD_SIGNATURE
    # A batch of one has the id's leaf hash as its root; neither signature stands for the other.
    as_batch = Signature(signature.public_key, signature.signature, BatchPath(0, 1, []))
    assert reason_of(check, encode_envelope(raw, [as_batch])) is Reason.BAD_SIGNATURE
    batched = decode_transaction(sign_batch([raw], CHAIN, signer(1))[0]).envelope.signatures[0]
    as_single = Signature(batched.public_key, batched.signature, None)
    assert reason_of(check, encode_envelope(raw, [as_single])) is Reason.BAD_SIGNATURE


def test_a_refused_signature_names_the_signer_and_the_key() -> None:
    raw, signers = two_signers()
    envelope = sign_transaction(raw, CHAIN, [signers[0], signers[0]])
    tampered = decode_transaction(envelope).envelope.signatures
    wrong = Signature(signers[1].public_key, tampered[1].signature, None)
    with pytest.raises(Rejected) as caught:
        check(encode_envelope(raw, [tampered[0], wrong]))
    assert caught.value.detail == (
        f"transaction {compute_tx_id(raw).hex()}: the signature of bank-1 with key "
        f"{signers[1].public_key.hex()} does not verify"
    )


def test_an_envelope_is_bounded_before_it_is_read() -> None:
    raw = bytes(ENVELOPE_BYTES_MAX + 1)
    assert reason_of(decode_transaction, raw) is Reason.TOO_LARGE
    assert reason_of(decode_transaction, raw[:-1]) is Reason.MALFORMED


def test_the_largest_possible_envelope_is_within_the_bound() -> None:
    largest = fill(BODY_BYTES_MAX - 402)
    signers = [f"{'m' * 47}{number}" for number in range(SIGNERS_MAX)]
    raw = largest.replace(b'"signers":["m-1"]', b'"signers":%s' % encode_canonical(signers))
    path = BatchPath(65_535, 65_536, [bytes(32)] * 16)
    envelope = encode_envelope(raw, [Signature(bytes(32), bytes(64), path)] * SIGNERS_MAX)
    assert len(raw) == BODY_BYTES_MAX
    assert len(envelope) < ENVELOPE_BYTES_MAX
    assert decode_transaction(envelope).raw == envelope


# Batches


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 100])
def test_a_batch_is_signed_once_for_any_size(size: int) -> None:
    bodies = [body(reference=f"R-{number}") for number in range(size)]
    leaves = [leaf_hash(compute_tx_id(raw)) for raw in bodies]
    envelopes = sign_batch(bodies, CHAIN, signer(1))
    checks = set()
    for index, envelope in enumerate(envelopes):
        transaction = decode_transaction(envelope)
        verify_transaction_signatures(transaction, CHAIN)
        (signature,) = transaction.envelope.signatures
        assert signature.batch == BatchPath(index, size, inclusion_proof(leaves, index))
        (signed,) = transaction.signed
        checks.add(compute_check(signed, CHAIN, transaction.tx_id))
    size = len(leaves).to_bytes(8, "big")
    message = b"evidence-ledger/v1/batch-signature\0" + CHAIN + compute_root(leaves) + size
    assert checks == {
        (signer(1).public_key, message, SigningKey(bytes([1]) * 32).sign(message).signature)
    }


@pytest.mark.parametrize("count", [0, 65_537])
def test_a_batch_has_a_bound(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 65536"):
        sign_batch([b""] * count, CHAIN, signer(1))


def batch_of(size: int, index: int) -> tuple[bytes, Signature]:
    bodies = [body(reference=f"R-{number}") for number in range(size)]
    envelope = sign_batch(bodies, CHAIN, signer(1))[index]
    return bodies[index], decode_transaction(envelope).envelope.signatures[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda i, n, p: (i, n, p[:-1]), Reason.BAD_BATCH_PATH, id="too-short"),
        pytest.param(lambda i, n, p: (i, n, [*p, p[0]]), Reason.BAD_BATCH_PATH, id="too-long"),
        pytest.param(lambda i, n, p: (i, n, []), Reason.BAD_BATCH_PATH, id="no-path"),
        pytest.param(lambda i, n, p: (n, n, p), Reason.BAD_BATCH_PATH, id="index-is-size"),
        pytest.param(lambda i, n, p: (9, n, p), Reason.BAD_BATCH_PATH, id="index-past-size"),
        pytest.param(lambda i, n, p: (i, 1, p), Reason.BAD_BATCH_PATH, id="size-of-one"),
        pytest.param(
            lambda i, n, p: (i, n, [p[0][:31], *p[1:]]), Reason.MALFORMED, id="short-hash"
        ),
        pytest.param(
            lambda i, n, p: (i, n, [p[0] + b"\0", *p[1:]]), Reason.MALFORMED, id="long-hash"
        ),
        pytest.param(lambda i, n, p: (i ^ 1, n, p), Reason.BAD_SIGNATURE, id="sibling's-index"),
        pytest.param(lambda i, n, p: (i, n, p[::-1]), Reason.BAD_SIGNATURE, id="reversed"),
        pytest.param(
            lambda i, n, p: (i, n, [bytes(32), *p[1:]]), Reason.BAD_SIGNATURE, id="other-hash"
        ),
    ],
)
def test_a_path_that_does_not_fit_is_refused(change: Any, reason: Reason) -> None:
    raw, signature = batch_of(5, 2)
    path = signature.batch
    assert path is not None
    index, size, hashes = change(path.index, path.size, path.hashes)
    wrong = Signature(
        signature.public_key, signature.signature, BatchPath(index, size, list(hashes))
    )
    assert reason_of(check, encode_envelope(raw, [wrong])) is reason


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (65_536, 65_536), (0, 0), (0, 65_537)])
def test_a_path_out_of_bounds_is_not_read(index: int, size: int) -> None:
    raw = encode([body(), [[bytes(32), bytes(64), [index, size, []]]]])
    assert reason_of(decode_transaction, raw) is Reason.MALFORMED


def test_a_path_has_at_most_sixteen_hashes() -> None:
    raw = encode([body(), [[bytes(32), bytes(64), [0, 65_536, [bytes(32)] * 17]]]])
    assert reason_of(decode_transaction, raw) is Reason.MALFORMED


def test_another_members_place_in_the_batch_is_of_no_use() -> None:
    bodies = [body(reference=f"R-{number}") for number in range(3)]
    envelopes = [decode_transaction(raw) for raw in sign_batch(bodies, CHAIN, signer(1))]
    for one in range(3):
        for other in range(3):
            envelope = encode_envelope(bodies[one], envelopes[other].envelope.signatures)
            if one == other:
                check(envelope)
            else:
                assert reason_of(check, envelope) is Reason.BAD_SIGNATURE


def test_a_batch_is_bound_to_its_chain() -> None:
    (envelope,) = sign_batch([body()], CHAIN, signer(1))
    check(envelope)
    assert reason_of(check, envelope, OTHER_CHAIN) is Reason.BAD_SIGNATURE


def test_signers_may_each_sign_their_own_batch() -> None:
    mixed = body(signers=["m-1", "bank-1"])
    mine = sign_batch([mixed, body()], CHAIN, signer(1))
    decoder = StrictDecoder(Envelope, "envelope")
    theirs = sign_batch([body(reference="R-9"), body(reference="R-8"), mixed], CHAIN, signer(2))
    assert reason_of(decode_transaction, mine[0]) is Reason.SIGNATURE_COUNT
    signatures = [decoder.decode(raw).signatures[0] for raw in (mine[0], theirs[2])]
    check(encode_envelope(mixed, signatures))


@given(
    st.dictionaries(
        st.text(string.ascii_lowercase, min_size=1, max_size=8),
        st.integers(-(2**53) + 1, 2**53 - 1) | st.text("abc中é", max_size=8) | st.booleans(),
        max_size=5,
    ),
    st.lists(st.integers(1, 9), min_size=1, max_size=SIGNERS_MAX, unique=True),
)
def test_decoding_gives_back_what_was_signed(data: dict[str, Any], numbers: list[int]) -> None:
    raw = encode_body(**MEMBERS | {"data": data, "signers": [f"m-{n}" for n in numbers]})
    envelope = sign_transaction(raw, CHAIN, [signer(n) for n in numbers])
    transaction = decode_transaction(envelope)
    assert transaction.envelope.body == raw
    assert transaction.body.data == data
    verify_transaction_signatures(transaction, CHAIN)
    assert encode_envelope(raw, transaction.envelope.signatures) == envelope


# Many at once, and in one pass


def outcome_of(raw: bytes) -> Transaction | str:
    try:
        return decode_transaction(raw)
    except Rejected as rejected:
        return str(rejected)


def spoilt(raw: bytes, chance: random.Random) -> bytes:
    """An envelope with some bytes changed, cut off or added."""
    data = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2))):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at] = chance.choice((0, 0x90, 0x91, 0x92, 0x93, 0xC0, 0xC4, 0xC5, 0xCC, 0xDC))
            case 2:
                del data[at : at + chance.choice((1, 2, 32))]
            case _:
                data[at:at] = chance.randbytes(chance.choice((1, 2)))
        if not data:
            return b""
    return bytes(data)


def some_envelopes(seed: int) -> list[bytes]:
    chance = random.Random(seed)
    size = chance.choice((1, 2, 3, 7, 100, 130))
    bodies = [body(reference=f"R-{number}") for number in range(size)]
    raws = sign_batch(bodies, CHAIN, signer(1))[:8]
    raws += [sign_transaction(raw, CHAIN, [signer(1)]) for raw in bodies[:3]]
    two, keys = two_signers()
    raws.append(sign_transaction(two, CHAIN, keys))
    if seed % 2:  # one that is not plain, and all are read one after another
        raws.append(sign_transaction(body(data={"text": "中é😀"}), CHAIN, [signer(1)]))
    raws.append(sign_transaction(fill(chance.choice((300, 2_000))), CHAIN, [signer(1)]))
    chance.shuffle(raws)
    return raws


@pytest.mark.parametrize("seed", range(30))
def test_many_are_read_as_each_is(seed: int) -> None:
    chance = random.Random(seed)
    raws = some_envelopes(seed)
    if seed % 3:
        for _ in range(chance.randrange(3)):
            raws[chance.randrange(len(raws))] = spoilt(chance.choice(raws), chance)
    answers = [
        str(each) if isinstance(each, Rejected) else each for each in decode_transactions(raws)
    ]
    assert answers == [outcome_of(raw) for raw in raws]
    assert decode_transactions([]) == []


def wrong_envelopes() -> dict[str, bytes]:
    """Envelopes of plain text but for one, with one thing wrong each."""
    two, keys = two_signers()
    good = body()
    decomposed = body(data={"text": "é"}).replace("é".encode(), "e\u0301".encode())
    both = decode_transaction(sign_transaction(two, CHAIN, keys)).envelope.signatures
    return {
        "signature left out": encode_envelope(two, both[:1]),
        "signature added": encode_envelope(good, both),
        "not in NFC": sign_transaction(decomposed, CHAIN, [signer(1)]),
        "space": sign_transaction(good.replace(b":", b": ", 1), CHAIN, [signer(1)]),
        "signer twice": sign_transaction(body(signers=["m-1", "m-1"]), CHAIN, keys),
        "stream": sign_transaction(body(stream="Contract/c-1"), CHAIN, [signer(1)]),
        "no JSON": sign_transaction(good[:-1], CHAIN, [signer(1)]),
        "too long": sign_transaction(fill(BODY_BYTES_MAX + 1), CHAIN, [signer(1)]),
    }


@pytest.mark.parametrize("wrong", wrong_envelopes())
def test_one_wrong_among_many_plain_ones_is_found(wrong: str) -> None:
    bodies = [
        body(reference=f"R-{number}", data={"amount": 500, "item": item})
        for number, item in enumerate(["haircut", "理发", "素描课 × 24", "“团课”", "é"])
    ]
    assert decode_bodies(bodies) == [decode_body(raw) for raw in bodies], "all at once"
    good = sign_batch(bodies, CHAIN, signer(1))
    bad = wrong_envelopes()[wrong]
    answers = decode_transactions([*good[:3], bad, *good[3:]])
    assert isinstance(answers[3], Rejected)
    assert str(answers.pop(3)) == outcome_of(bad)
    assert answers == [decode_transaction(raw) for raw in good]


@pytest.mark.parametrize("seed", range(60))
def test_the_one_pass_takes_nothing_that_the_strict_reading_refuses(seed: int) -> None:
    """And what it takes it reads alike; None leaves it to the strict reading."""
    chance = random.Random(seed)
    decoder = StrictDecoder(Envelope, "envelope")
    for raw in some_envelopes(seed):
        for candidate in [raw, *[spoilt(raw, chance) for _ in range(150)]]:
            read = kernel.read_envelope(candidate, tags.TX_ID)
            if read is None:
                continue
            body_bytes, tx_id, signed = read
            envelope = decoder.decode(candidate)
            assert envelope.body == body_bytes
            assert tx_id == compute_tx_id(body_bytes)
            assert [each[:2] for each in signed] == [
                (each.public_key, each.signature) for each in envelope.signatures
            ]
            for (_, _, root, size), each in zip(signed, envelope.signatures, strict=True):
                if each.batch is None:
                    assert (root, size) == (b"", 0)
                    continue
                leaf = leaf_hash(tx_id)
                path = each.batch
                assert size == path.size
                assert root == root_from_inclusion(leaf, path.index, path.size, path.hashes)
        if kernel.KERNEL == "native":
            assert kernel.read_envelope(raw, tags.TX_ID) is not None


@pytest.mark.skipif(kernel.KERNEL != "native", reason="the plain kernel leaves all to that reading")
@pytest.mark.parametrize("size", [2, 3, 5, 8, 13, 64, 100, 129])
def test_paths_that_meet_the_last_one_are_judged_as_if_alone(size: int) -> None:
    """The kernel climbs only to where a path meets the one before; a wrong rest is not taken."""
    chance = random.Random(size)
    decoder = StrictDecoder(Envelope, "envelope")
    names = [[f"{batch}-{number}" for number in range(size)] for batch in "AB"]
    batches = [
        [
            decoder.decode(raw)
            for raw in sign_batch([body(reference=name) for name in each], CHAIN, signer(1))
        ]
        for each in names
    ]
    roots = [compute_root([leaf_hash(compute_tx_id(each.body)) for each in row]) for row in batches]
    right = 0
    for _ in range(600):
        envelope, other = (chance.choice(chance.choice(batches)) for _ in range(2))
        ((key, signature, path),) = [
            (each.public_key, each.signature, each.batch) for each in envelope.signatures
        ]
        strange = other.signatures[0].batch
        assert path is not None
        assert strange is not None
        index, hashes = path.index, list(path.hashes)
        at = chance.randrange(len(hashes))
        match chance.randrange(8):
            case 0:
                hashes[at] = chance.choice([*strange.hashes, *hashes, bytes(32)])
            case 1:
                hashes[at:] = strange.hashes[at:]
            case 2:
                hashes = list(strange.hashes)
            case 3:
                index = strange.index
        raw = encode_envelope(
            envelope.body, [Signature(key, signature, BatchPath(index, size, hashes))]
        )
        read = kernel.read_envelope(raw, tags.TX_ID)
        leaf = leaf_hash(compute_tx_id(envelope.body))
        root = kernel_plain.fold_path(leaf, index, size, hashes)
        assert (read and read[2][0][2]) == root
        right += root in roots
    assert 200 < right < 550, "both right and wrong paths were met"
