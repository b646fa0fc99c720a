"""Notes, checkpoints, cosignatures, proofs and policies: the texts' own examples, our own made
things read by an independent reader, and mutants."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import (
    CertifiedCheckpoint,
    Checkpoint,
    Cosignature,
    LogTrust,
    cosign_checkpoint,
    cosigner_verifier_key,
    count_cosignatures,
    log_verifier_key,
    parse_checkpoint_text,
    parse_decimal,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from ledger.merkle import compute_root, inclusion_proof, leaf_hash
from ledger.note import (
    ED25519,
    SIGNATURE_COUNT_MAX,
    Note,
    NoteSignature,
    VerifierKey,
    decode_base64,
    encode_base64,
    format_note,
    make_verifier_key,
    parse_note,
    parse_verifier_key,
    sign_note,
    verify_note,
)
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from ledger.tlog_policy import format_tlog_policy
from ledger.tlog_proof import (
    PATH_LENGTH_MAX,
    TlogProof,
    format_tlog_proof,
    parse_tlog_proof,
    verify_tlog_proof,
)
from tests.ledger import independent_c2sp

# C2SP signed-note, "Example".
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAl"
    "TgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

# C2SP tlog-cosignature, the example at the top (its public keys are not given there).
SPEC_COSIGNED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5"
    "/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dl"
    "rDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()

ORIGIN = "qianhai.example/evidence/0123456789abcdef"
NAMES = ["alpha", "beta", "gamma", "delta"]
LOG = [SeedSigner(hashlib.sha256(f"log {name}".encode()).digest()) for name in NAMES]
COSIGN = [SeedSigner(hashlib.sha256(f"cosign {name}".encode()).digest()) for name in NAMES]
LOG_KEYS = tuple(log_verifier_key(ORIGIN, signer.public_key) for signer in LOG)
COSIGNER_KEYS = tuple(
    cosigner_verifier_key(f"{ORIGIN}/{name}", signer.public_key)
    for name, signer in zip(NAMES, COSIGN, strict=True)
)
TRUST = LogTrust(ORIGIN, LOG_KEYS, COSIGNER_KEYS, 3)
POLICY = format_tlog_policy(LOG_KEYS, list(zip(NAMES, COSIGNER_KEYS, strict=True)), 3)

ENTRIES = [f"entry {number}".encode() for number in range(11)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
CHECKPOINT = Checkpoint(ORIGIN, 11, compute_root(LEAVES))


def cosign(replica: int, time_s: int, checkpoint: Checkpoint = CHECKPOINT) -> NoteSignature:
    return cosign_checkpoint(checkpoint, COSIGNER_KEYS[replica].name, COSIGN[replica], time_s)


def make_note(*cosigners: int) -> bytes:
    lines = [sign_checkpoint(CHECKPOINT, LOG[0])]
    lines += [cosign(replica, 1_800_000_000 + replica) for replica in cosigners]
    return format_note(CHECKPOINT.text(), lines)


def refusal(reason: Reason, function: object, *arguments: object) -> str:
    with pytest.raises(Rejected) as caught:
        function(*arguments)  # type: ignore[operator]
    assert caught.value.reason == reason, caught.value
    return caught.value.detail


# Notes


def test_the_specs_own_note_verifies_and_formats_back() -> None:
    key = parse_verifier_key(SPEC_VKEY)
    assert (key.name, key.algorithm, key.format()) == ("example.com/foo", ED25519, SPEC_VKEY)
    note = parse_note(SPEC_NOTE)
    assert note.text == "This is an example message.\n"
    assert verify_note(note, [key]) == (key,)
    assert note.format() == SPEC_NOTE
    assert independent_c2sp.signers_of(SPEC_NOTE, [SPEC_VKEY]) == {SPEC_VKEY: None}


def test_text_may_have_empty_lines() -> None:
    text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è sera.\n"
    raw = format_note(text, [sign_note(text, "quasimodo.example", LOG[0])])
    assert parse_note(raw).text == text
    key = make_verifier_key("quasimodo.example", ED25519, LOG[0].public_key)
    assert verify_note(parse_note(raw), [key]) == (key,)


@given(st.binary(max_size=6), st.integers(0, len(SPEC_NOTE) - 1), st.integers(0, 3))
def test_a_changed_note_never_verifies(insert: bytes, at: int, drop: int) -> None:
    mutant = SPEC_NOTE[:at] + insert + SPEC_NOTE[at + drop :]
    key = parse_verifier_key(SPEC_VKEY)
    try:
        note = parse_note(mutant)
        assert note.format() == mutant
        verify_note(note, [key])
    except Rejected:
        return
    assert note.text == "This is an example message.\n"
    assert any(line.name == key.name for line in note.signatures)


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"", "Note: it has no signature lines after an empty line"),
        (b"text\n", "Note: it has no signature lines after an empty line"),
        (b"text\n\n", "Note: it has no signature lines after an empty line"),
        (SPEC_NOTE[:-1], "Note: it has no signature lines after an empty line"),
        (SPEC_NOTE.replace(b"is an", b"is\ran"),
         "Note: it has a control character other than newline"),
        (SPEC_NOTE.replace(b"is an", b"is\tan"),
         "Note: it has a control character other than newline"),
        (SPEC_NOTE.replace(b"is an", b"is\xffan"), "Note: it is not valid UTF-8"),
        (b"t\n\n- a AAAAAAA=\n", "Note: '- a AAAAAAA=' is not a signature line"),
        ("t\n\n\u2014 a AAAAAA==\n".encode(), "Note: '\u2014 a AAAAAA==' is not a signature line"),
        ("t\n\n\u2014 a AAAAAAB=\n".encode(), "Note: '\u2014 a AAAAAAB=' is not a signature line"),
        ("t\n\n\u2014 a AAAAAAA\n".encode(), "Note: '\u2014 a AAAAAAA' is not a signature line"),
        ("t\n\n\u2014 a+b AAAAAAA=\n".encode(),
         "Note: '\u2014 a+b AAAAAAA=' is not a signature line"),
        ("t\n\n\u2014  AAAAAAA=\n".encode(), "Note: '\u2014  AAAAAAA=' is not a signature line"),
        ("t\n\n\u2014 a\u2003b AAAAAAA=\n".encode(),
         "Note: '\u2014 a\\u2003b AAAAAAA=' is not a signature line"),
        ("t\n\n\u2014 a AAAAAAA= \n".encode(),
         "Note: '\u2014 a AAAAAAA= ' is not a signature line"),
    ],
)  # fmt: skip
def test_malformed_notes(raw: bytes, detail: str) -> None:
    assert refusal(Reason.MALFORMED, parse_note, raw) == detail


def test_notes_are_bounded() -> None:
    line = sign_note("t\n", "a", LOG[0])
    assert len(parse_note(format_note("t\n", [line] * SIGNATURE_COUNT_MAX)).signatures) == 256
    assert (
        refusal(
            Reason.TOO_LARGE, parse_note, format_note("t\n", [line] * (SIGNATURE_COUNT_MAX + 1))
        )
        == "Note: 257 signatures, more than 256"
    )
    assert refusal(Reason.TOO_LARGE, parse_note, b"a" * 300_000) == (
        "Note: 300000 bytes, more than 262144"
    )


def test_unknown_keys_are_ignored_and_known_ones_must_be_right() -> None:
    key = make_verifier_key("a", ED25519, LOG[0].public_key)
    good = sign_note("t\n", "a", LOG[0])
    unknown = sign_note("t\n", "b", LOG[1])
    bad = replace(good, signature=bytes(64))
    assert verify_note(Note("t\n", (unknown, good, good)), [key]) == (key,)
    same_name = replace(bad, key_id=b"\0\0\0\0")
    same_id = replace(bad, name="c")
    assert verify_note(Note("t\n", (same_name, same_id, good)), [key]) == (key,)
    assert refusal(Reason.BAD_SIGNATURE, verify_note, Note("t\n", (good, bad)), [key]) == (
        f"Note: the signature of a ({key.key_id.hex()}) is wrong"
    )
    assert refusal(Reason.BAD_SIGNATURE, verify_note, Note("t\n", (unknown,)), [key]) == (
        "Note: none of the 1 known keys has signed it"
    )
    assert refusal(Reason.BAD_FIELD, verify_note, Note("t\n", (good,)), [key, key]) == (
        f"Known keys: two are named a with key id {key.key_id.hex()}"
    )


@pytest.mark.parametrize(
    "vkey",
    [
        "", "a", "a+b", SPEC_VKEY + "=", SPEC_VKEY[:-1], SPEC_VKEY.replace("530d903a", "530D903A"),
        SPEC_VKEY.replace("530d903a", "530d903b"), SPEC_VKEY.replace("foo", "bar"),
        SPEC_VKEY.replace("+Aek", "+Ask"), " " + SPEC_VKEY, "+" + SPEC_VKEY,
        "a+00000000+", "a+00000000+AQ==", SPEC_VKEY + "\n",
    ],
)  # fmt: skip
def test_bad_vkeys(vkey: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_verifier_key(vkey)
    assert caught.value.reason in {Reason.MALFORMED, Reason.BAD_FIELD}


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\x01b", "\u2028"])
def test_bad_key_names(name: str) -> None:
    assert refusal(Reason.BAD_FIELD, cosigner_verifier_key, name, bytes(32)) == (
        f"Key name: {name!r} is empty or has a space, '+' or control"
    )


@given(st.binary(max_size=40))
def test_base64_has_one_spelling(data: bytes) -> None:
    text = encode_base64(data)
    assert text == base64.b64encode(data).decode()
    assert decode_base64(text) == data
    for mutant in (text + "=", text + "\n", " " + text, text.rstrip("=") + "é"):
        assert decode_base64(mutant) is None
    if text.endswith("="):
        assert decode_base64(text.rstrip("=")) is None


@pytest.mark.parametrize(
    ("alphabet", "length"), [*(("AQg/=-\n", length) for length in range(7)), ("AQ=", 8)]
)
def test_base64_that_is_read_is_what_would_be_written(alphabet: str, length: int) -> None:
    for signs in product(alphabet, repeat=length):
        text = "".join(signs)
        data = decode_base64(text)
        try:
            loosely = base64.b64decode(text)
        except ValueError:
            loosely = None
        if loosely is None or encode_base64(loosely) != text:
            assert data is None
        else:
            assert data == loosely


# Checkpoints


def test_the_specs_own_checkpoint_parses_and_formats_back() -> None:
    note = parse_note(SPEC_COSIGNED)
    checkpoint = parse_checkpoint_text(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == note.text
    assert note.format() == SPEC_COSIGNED
    cosignature = note.signatures[1]
    assert int.from_bytes(cosignature.signature[:8], "big") == 1679315147
    assert len(cosignature.signature) == 72


ROOT_LINE = encode_base64(CHECKPOINT.root)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (f"o\n1\n{ROOT_LINE}\next\n",
         "Checkpoint: it has 4 lines instead of origin, size and root"),
        (f"o\n1\n{ROOT_LINE}", "Checkpoint: it has 2 lines instead of origin, size and root"),
        ("o\n1\n", "Checkpoint: it has 2 lines instead of origin, size and root"),
        (f"\n1\n{ROOT_LINE}\n", "Checkpoint: the origin is empty"),
        (f"o\n01\n{ROOT_LINE}\n", "Checkpoint: '01' is not a tree size"),
        (f"o\n+1\n{ROOT_LINE}\n", "Checkpoint: '+1' is not a tree size"),
        (f"o\n\n{ROOT_LINE}\n", "Checkpoint: '' is not a tree size"),
        (f"o\n\u0661\n{ROOT_LINE}\n", "Checkpoint: '\u0661' is not a tree size"),
        (f"o\n{2**63}\n{ROOT_LINE}\n", f"Checkpoint: '{2**63}' is not a tree size"),
        ("o\n1\nAAAA\n", "Checkpoint: 'AAAA' is not a root hash"),
        (f"o\n1\n{ROOT_LINE[:-1]}\n", f"Checkpoint: '{ROOT_LINE[:-1]}' is not a root hash"),
    ],
)  # fmt: skip
def test_malformed_checkpoints(text: str, detail: str) -> None:
    assert refusal(Reason.MALFORMED, parse_checkpoint_text, text) == detail


def test_decimals() -> None:
    assert parse_decimal("0", 9) == 0
    assert parse_decimal("9", 9) == 9
    for text in ("10", "-0", "00", " 1", "1_0", "", "²", "9" * 5000):
        assert parse_decimal(text, 9) is None


def test_a_certified_checkpoint() -> None:
    certified = verify_checkpoint(make_note(2, 0, 1), TRUST)
    assert certified == CertifiedCheckpoint(
        CHECKPOINT,
        LOG_KEYS[:1],
        tuple(
            Cosignature(replica, f"{ORIGIN}/{NAMES[replica]}", 1_800_000_000 + replica)
            for replica in range(3)
        ),
    )
    assert [certified.existed_by_s(f) for f in range(3)] == [1_800_000_000 + f for f in range(3)]
    with pytest.raises(ValueError, match="3 cosignatures do not outvote 3 liars"):
        certified.existed_by_s(3)


def test_an_institution_counts_once() -> None:
    lines = (sign_checkpoint(CHECKPOINT, LOG[0]), cosign(0, 30), cosign(0, 10), cosign(0, 20))
    note = Note(CHECKPOINT.text(), lines)
    assert count_cosignatures(note, COSIGNER_KEYS) == (Cosignature(0, COSIGNER_KEYS[0].name, 10),)
    assert refusal(Reason.NO_QUORUM, verify_checkpoint, note.format(), TRUST) == (
        "Checkpoint: 1 of 4 cosigners signed size 11, and 3 are needed"
    )
    twice = (COSIGNER_KEYS[0], cosigner_verifier_key("other", COSIGN[0].public_key))
    assert refusal(Reason.BAD_FIELD, count_cosignatures, note, twice) == (
        "Cosigners: 2 keys have 2 names and 1 public keys"
    )
    renamed = (COSIGNER_KEYS[0], cosigner_verifier_key(COSIGNER_KEYS[0].name, bytes(32)))
    assert refusal(Reason.BAD_FIELD, count_cosignatures, note, renamed) == (
        "Cosigners: 2 keys have 1 names and 2 public keys"
    )


def test_what_a_checkpoint_is_refused_for() -> None:
    note = parse_note(make_note(0, 1, 2))
    wrong = replace(note.signatures[3], signature=note.signatures[3].signature[:-1] + b"\0")
    key = COSIGNER_KEYS[2]
    assert (
        refusal(
            Reason.BAD_SIGNATURE,
            verify_checkpoint,
            Note(note.text, (*note.signatures[:3], wrong)).format(),
            TRUST,
        )
        == f"Checkpoint: the cosignature of {key.name} ({key.key_id.hex()}) is wrong"
    )
    unsigned = Note(note.text, note.signatures[1:]).format()
    assert refusal(Reason.BAD_SIGNATURE, verify_checkpoint, unsigned, TRUST) == (
        f"Checkpoint: none of the 4 known keys of log {ORIGIN} has signed it"
    )
    forged = replace(note.signatures[0], signature=bytes(64))
    assert (
        refusal(
            Reason.BAD_SIGNATURE,
            verify_checkpoint,
            Note(note.text, (forged, *note.signatures)).format(),
            TRUST,
        )
        == f"Checkpoint: the log signature of {ORIGIN} ({LOG_KEYS[0].key_id.hex()}) is wrong"
    )
    assert (
        refusal(
            Reason.WRONG_CHAIN,
            verify_checkpoint,
            make_note(0, 1, 2),
            replace(TRUST, origin="other"),
        )
        == f"Checkpoint: its origin is {ORIGIN!r} instead of 'other'"
    )
    other = replace(CHECKPOINT, size=12)
    moved = Note(other.text(), note.signatures).format()
    refusal(Reason.BAD_SIGNATURE, verify_checkpoint, moved, TRUST)
    with pytest.raises(ValueError, match="a quorum of 0 certifies nothing"):
        replace(TRUST, quorum=0)


def test_cosignatures_bind_time_and_text_and_type() -> None:
    text, key = CHECKPOINT.text(), COSIGNER_KEYS[0]
    good = cosign(0, 77).signature
    assert verify_cosignature(text, key, good) == 77
    as_log = VerifierKey(key.name, ED25519, key.public_key)
    plain = COSIGN[0].sign(text.encode())
    for bad in (
        (text, key, (78).to_bytes(8, "big") + good[8:]),
        (text, key, bytes(8) + good[8:]),
        (text, key, (2**63).to_bytes(8, "big") + good[8:]),
        (text, key, good + b"\0"),
        (text, key, good[:-1]),
        (text, key, b""),
        (text, key, (77).to_bytes(8, "big") + plain),
        (replace(CHECKPOINT, size=10).text(), key, good),
        (text, COSIGNER_KEYS[1], good),
        (text, as_log, good),
    ):
        refusal(Reason.BAD_SIGNATURE, verify_cosignature, *bad)
    zero = COSIGN[0].sign(b"cosignature/v1\ntime 0\n" + text.encode())
    refusal(Reason.BAD_SIGNATURE, verify_cosignature, text, key, bytes(8) + zero)
    for time_s in (0, -1, 2**63):
        with pytest.raises(ValueError, match="is not a cosignature time in seconds"):
            cosign(0, time_s)


# Proofs and policies, read by the other reader


@pytest.mark.parametrize("index", range(len(ENTRIES)))
@pytest.mark.parametrize("extra", [None, b"\0opaque"])
def test_both_readers_accept_our_proofs(index: int, extra: bytes | None) -> None:
    path = tuple(inclusion_proof(LEAVES, index))
    proof = TlogProof(index, path, make_note(3, 1, 0), extra)
    raw = format_tlog_proof(proof)
    assert parse_tlog_proof(raw) == proof
    read, certified = verify_tlog_proof(raw, LEAVES[index], TRUST)
    assert (read, certified.checkpoint) == (proof, CHECKPOINT)
    assert independent_c2sp.check_proof(raw, ENTRIES[index], POLICY) == {
        "index": index,
        "size": 11,
        "extra": extra,
        "times": [1_800_000_000, 1_800_000_001, 1_800_000_003],
    }


def test_the_other_reader_refuses_what_we_refuse() -> None:
    path = tuple(inclusion_proof(LEAVES, 4))
    few = format_tlog_proof(TlogProof(4, path, make_note(0, 1)))
    assert refusal(Reason.NO_QUORUM, verify_tlog_proof, few, LEAVES[4], TRUST) == (
        "Checkpoint: 2 of 4 cosigners signed size 11, and 3 are needed"
    )
    with pytest.raises(independent_c2sp.Wrong, match="no quorum"):
        independent_c2sp.check_proof(few, ENTRIES[4], POLICY)
    moved = format_tlog_proof(TlogProof(5, path, make_note(0, 1, 2)))
    refusal(Reason.BAD_PROOF, verify_tlog_proof, moved, LEAVES[4], TRUST)
    with pytest.raises(independent_c2sp.Wrong, match="root"):
        independent_c2sp.check_proof(moved, ENTRIES[4], POLICY)
    good = format_tlog_proof(TlogProof(4, path, make_note(0, 1, 2)))
    refusal(Reason.BAD_PROOF, verify_tlog_proof, good, LEAVES[5], TRUST)


def test_every_changed_byte_of_a_proof_is_refused() -> None:
    good = format_tlog_proof(TlogProof(4, tuple(inclusion_proof(LEAVES, 4)), make_note(0, 1, 2)))
    verify_tlog_proof(good, LEAVES[4], TRUST)
    for at in range(len(good)):
        for flip in (1, 0x80):
            mutant = good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :]
            with pytest.raises(Rejected):
                verify_tlog_proof(mutant, LEAVES[4], TRUST)


NOTE = make_note(0, 1, 2)
HEAD = b"c2sp.org/tlog-proof@v1\n"
HASH = encode_base64(bytes(32)).encode()


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"", "it has no checkpoint after an empty line"),
        (HEAD + b"index 0\n\n", "it has no checkpoint after an empty line"),
        (HEAD + b"index 0\n" + NOTE.replace(b"\n\n", b"\n"),
         "it has no checkpoint after an empty line"),
        (b"c2sp.org/tlog-proof@v2\nindex 0\n\n" + NOTE,
         "it does not begin with 'c2sp.org/tlog-proof@v1'"),
        (HEAD + b"\n" + NOTE, "'' is not an index line"),
        (HEAD + b"index 00\n\n" + NOTE, "'index 00' is not an index line"),
        (HEAD + b"index -1\n\n" + NOTE, "'index -1' is not an index line"),
        (HEAD + b"index  1\n\n" + NOTE, "'index  1' is not an index line"),
        (HEAD + b"Index 1\n\n" + NOTE, "'Index 1' is not an index line"),
        (HEAD + b"index %d\n\n" % 2**63 + NOTE, f"'index {2**63}' is not an index line"),
        (HEAD + b"extra \nindex 1\n\n" + NOTE,
         "its extra line is not 1 to 131072 bytes of base64"),
        (HEAD + b"extra A\nindex 1\n\n" + NOTE,
         "its extra line is not 1 to 131072 bytes of base64"),
        (HEAD + b"index 1\nextra AAAA\n\n" + NOTE, "'extra AAAA' is not a hash"),
        (HEAD + b"extra AAAA\nextra AAAA\nindex 1\n\n" + NOTE,
         "'extra AAAA' is not an index line"),
        (HEAD + b"index 1\n" + HASH[:-1] + b"\n\n" + NOTE, f"{HASH[:-1].decode()!r} is not a hash"),
        (HEAD + b"index 1\r\n\n" + NOTE, "'index 1\\r' is not an index line"),
        (HEAD + b"index 1\n" + (HASH + b"\n") * 64 + b"\n" + NOTE, "64 hashes are more than 63"),
    ],
)  # fmt: skip
def test_malformed_proofs(raw: bytes, detail: str) -> None:
    assert refusal(Reason.MALFORMED, parse_tlog_proof, raw) == "Log proof: " + detail


def test_proofs_are_bounded() -> None:
    assert refusal(Reason.TOO_LARGE, parse_tlog_proof, bytes(600_000)) == (
        "Log proof: 600000 bytes, more than 524288"
    )
    with pytest.raises(ValueError, match="no log has a leaf"):
        format_tlog_proof(TlogProof(0, (bytes(32),) * (PATH_LENGTH_MAX + 1), NOTE))
    with pytest.raises(ValueError, match="extra data has 1 to 131072 bytes, not 0"):
        format_tlog_proof(TlogProof(0, (), NOTE, b""))


def test_the_policy_file_whole() -> None:
    lines = POLICY.split("\n")
    assert lines[:4] == [f"log {key.format()}" for key in LOG_KEYS]
    assert lines[5:9] == [
        f"witness {name} {key.format()}" for name, key in zip(NAMES, COSIGNER_KEYS, strict=True)
    ]
    assert lines[9:] == [
        "",
        "group quorum-of-validators 3 alpha beta gamma delta",
        "quorum quorum-of-validators",
        "",
    ]
    logs, quorum = independent_c2sp.read_policy(POLICY)
    assert logs == [key.format() for key in LOG_KEYS]
    vkeys = [key.format() for key in COSIGNER_KEYS]
    assert quorum(set(vkeys[1:]))
    assert not quorum(set(vkeys[2:]))
    for key in (*LOG_KEYS, *COSIGNER_KEYS):
        assert parse_verifier_key(key.format()) == key


def test_policies_we_refuse_to_write() -> None:
    pairs = list(zip(NAMES, COSIGNER_KEYS, strict=True))
    for quorum in (0, 5):
        with pytest.raises(ValueError, match="a quorum of 1 to 4"):
            format_tlog_policy(LOG_KEYS, pairs, quorum)
    for name in ("none", "beta", "a b", "", "#a", "quorum-of-validators"):
        with pytest.raises(ValueError, match="is no name for exactly one witness"):
            format_tlog_policy(LOG_KEYS, [(name, COSIGNER_KEYS[0]), *pairs[1:]], 3)
    with pytest.raises(ValueError, match="twice among the log keys"):
        format_tlog_policy([*LOG_KEYS, LOG_KEYS[0]], pairs, 3)
    with pytest.raises(ValueError, match="a witness key of a policy has signature type 0x04"):
        format_tlog_policy(LOG_KEYS, [("alpha", LOG_KEYS[0])], 1)
