"""RFC 3161: OpenSSL grants and verifies the tokens, and what is not right is refused by name."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import decode_timestamp_response

from cli.main import main
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.note import format_note
from ledger.refusal import Reason
from ledger.signing import SeedSigner
from ledger.timestamp_part import TimestampToken
from node.asking import Rounds
from node.config import TimestampConfig
from node.config_section import ConfigError
from node.home import NodeHome
from node.timestamp_integrity import find_own_signer
from node.timestamp_protocol import (
    REPLY_BYTES_MAX,
    Authority,
    BadCertificates,
    HashName,
    Token,
    TokenRefused,
    check_response,
    compute_imprint,
    find_flaw,
    is_imprint_of,
    make_request,
    read_certificates,
)
from node.timestamp_shelf import TimestampShelf
from node.timestamping import Timestamping, load_authorities
from storage.files import Damaged, DiskDirectory
from tests.outside.authority import (
    OPENSSL,
    OTHER_POLICY,
    POLICY,
    TimestampAuthority,
    make_certificate,
    needs_openssl,
)
from tests.verifier import test_timestamps
from verifier.report import Report

pytestmark = needs_openssl
ROOT = Path(__file__).parents[2]
NONCE = 0x1122334455667788
BOTH = [HashName.SHA256, HashName.SM3]


def make_note(size: int) -> bytes:
    checkpoint = Checkpoint("example.test/0011223344556677", size, bytes(32))
    return format_note(checkpoint.text(), [sign_checkpoint(checkpoint, SeedSigner(bytes(32)))])


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> TimestampAuthority:
    return TimestampAuthority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def authority(tsa: TimestampAuthority) -> Authority:
    return Authority("tsa-1", "http://tsa.test/", POLICY, read_certificates(tsa.chain.read_bytes()))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def judge(
    raw: bytes,
    authority: Authority,
    name: HashName = HashName.SHA256,
    data: bytes = b"a",
    **changed: int,
) -> Token:
    given = {"nonce": NONCE, "now_ms": now_ms(), **changed}
    return check_response(raw, authority, name, compute_imprint(name, data), **given)


def ask(
    tsa: TimestampAuthority,
    authority: Authority,
    name: HashName = HashName.SHA256,
    data: bytes = b"a",
) -> bytes:
    return tsa.answer(make_request(authority, name, compute_imprint(name, data), NONCE))


@pytest.mark.parametrize("name", BOTH)
def test_openssl_grants_what_is_asked_and_verifies_what_is_kept(
    tsa: TimestampAuthority, authority: Authority, name: HashName, tmp_path: Path
) -> None:
    note = make_note(7)
    raw = ask(tsa, authority, name, note)
    token = judge(raw, authority, name, note)
    assert (token.authority, token.hash_name, token.policy) == ("tsa-1", name, POLICY)
    assert abs(token.time_ms - now_ms()) < 60_000
    (tmp_path / "checkpoint").write_bytes(note)
    (tmp_path / "tsa-1.tsr").write_bytes(token.raw)
    assert run_openssl(tsa, tmp_path / "checkpoint", tmp_path / "tsa-1.tsr") == "Verification: OK\n"
    (tmp_path / "checkpoint").write_bytes(note + b"\n")
    assert (
        run_openssl(tsa, tmp_path / "checkpoint", tmp_path / "tsa-1.tsr")
        == "Verification: FAILED\n"
    )


def test_a_token_that_brings_its_certificates_unsorted_is_kept_as_it_is(tmp_path: Path) -> None:
    """OpenSSL writes the signer's and then its issuers', and DER, which sorts, is not asked for."""
    tsa = TimestampAuthority(tmp_path / "tsa", brings_root=True)
    authority = Authority(
        "tsa-1", "http://tsa.test/", "", read_certificates(tsa.chain.read_bytes())
    )
    raw = ask(tsa, authority)
    with pytest.raises(ValueError, match="InvalidSetOrdering"):
        decode_timestamp_response(raw)
    assert judge(raw, authority).raw == raw
    assert is_imprint_of(raw, HashName.SHA256, b"a")
    assert find_flaw(raw, compute_imprint(HashName.SHA256, b"a"), authority) == ""
    signer = find_own_signer(raw)
    assert signer is not None
    assert signer.subject == authority.certificates[0].subject
    (tmp_path / "data").write_bytes(b"a")
    (tmp_path / "tsa-1.tsr").write_bytes(raw)
    assert run_openssl(tsa, tmp_path / "data", tmp_path / "tsa-1.tsr") == "Verification: OK\n"


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("", ", accuracy not stated, of these bytes"),
        ("accuracy = secs:86400", " to within 86400 s, of these bytes"),
        ("accuracy = millisecs:500, microsecs:100", " to within 0.5001 s, of these bytes"),
    ],
)
def test_the_accuracy_that_openssl_states_is_told(tmp_path: Path, stated: str, told: str) -> None:
    tsa = TimestampAuthority(tmp_path / "tsa", accuracy=stated)
    authority = Authority("tsa-1", "", "", read_certificates(tsa.chain.read_bytes()))
    note = test_timestamps.note()
    raw = judge(ask(tsa, authority, data=note), authority, data=note).raw
    assert told in judge_file({HashName.SHA256: raw}).steps[-1].explanation.en


def test_a_token_that_may_be_off_by_more_than_a_day_is_not_kept(tmp_path: Path) -> None:
    tsa = TimestampAuthority(tmp_path / "tsa", accuracy="accuracy = secs:86401")
    authority = Authority("tsa-1", "", "", read_certificates(tsa.chain.read_bytes()))
    with pytest.raises(TokenRefused) as refused:
        judge(ask(tsa, authority), authority)
    assert str(refused.value) == ("the token's accuracy has 86401 seconds; 0 to 86400 may be")


def test_a_token_outlives_its_certificate(tmp_path: Path) -> None:
    """What docs/EVIDENCE.md says of tokens whose authority's certificates have expired."""
    tsa = TimestampAuthority(tmp_path / "tsa", lasts=timedelta(seconds=3))
    authority = Authority("tsa-1", "", "", read_certificates(tsa.chain.read_bytes()))
    note = make_note(7)
    token = judge(ask(tsa, authority, data=note), authority, data=note)
    files = tmp_path / "checkpoint", tmp_path / "tsa-1.tsr"
    files[0].write_bytes(note)
    files[1].write_bytes(token.raw)
    assert run_openssl(tsa, *files) == "Verification: OK\n"
    certificate = authority.certificates[0]
    while certificate.not_valid_after_utc.timestamp() >= time.time():
        time.sleep(0.1)
    assert run_openssl(tsa, *files) == "Verification: FAILED\n"
    assert "takes `-attime SECONDS` besides" in (ROOT / "docs/EVIDENCE.md").read_text("utf-8")
    besides = ("-attime", str(token.time_ms // 1000))
    assert run_openssl(tsa, *files, besides) == "Verification: OK\n"


def run_openssl(
    tsa: TimestampAuthority, data: Path, token: Path, besides: tuple[str, ...] = ()
) -> str:
    """Run the command of docs/FORMATS.md on these files; return what it prints."""
    text = (ROOT / "docs/FORMATS.md").read_text("utf-8")
    found = re.search(r"^openssl (ts -verify .*)$", text, re.MULTILINE)
    assert found is not None
    names: dict[str, str | Path] = {
        "checkpoint": data,
        "tsa-1.sm3.tsr": token,
        "root.pem": tsa.root,
        "signer.pem": tsa.signer,
    }
    assert OPENSSL is not None
    return subprocess.run(
        [OPENSSL, *(names.get(word, word) for word in found[1].split()), *besides],
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_tokens_of_an_evidence_file_are_verified_by_openssl_once_taken_out(
    tsa: TimestampAuthority, authority: Authority, tmp_path: Path
) -> None:
    """By the command that the verifier names; which notices what the verifier cannot."""
    note = test_timestamps.note()
    raws = {name: ask(tsa, authority, name, note) for name in BOTH}
    raw = raws[HashName.SHA256]
    assert judge_file(raws).is_consistent
    assert run_named(tsa, raws, tmp_path / "good") == "Verification: OK\n"
    sm3 = {HashName.SM3: raws[HashName.SM3]}
    assert judge_file(sm3).is_consistent
    assert run_named(tsa, sm3, tmp_path / "sm3") == "Verification: OK\n"

    at = raw.index(b"\x18\x0f") + 2
    assert raw[at : at + 2] == b"20"
    for name, changed in (
        ("time", raw[:at] + b"2091" + raw[at + 4 :]),
        ("signature", raw[:-1] + bytes((raw[-1] ^ 1,))),
    ):
        spoilt = {HashName.SHA256: changed}
        assert judge_file(spoilt).is_consistent, "only the authority's signature shows it"
        assert run_named(tsa, spoilt, tmp_path / name) == "Verification: FAILED\n"
    cut = judge_file({HashName.SHA256: raw[:-1]}).failed
    other = judge_file({HashName.SHA256: ask(tsa, authority, data=make_note(7))}).failed
    assert cut is not None
    assert other is not None
    assert (cut.number, cut.reason) == (25, Reason.MALFORMED)
    assert cut.explanation.en == "timestamps.tokens[0]: TimeStampResp is cut off."
    assert (other.number, other.reason) == (25, Reason.ROOT_MISMATCH)


def file_of(raws: Mapping[HashName, bytes]) -> bytes:
    return test_timestamps.with_part(
        tokens=tuple([TimestampToken(str(name), "tsa-1", raw) for name, raw in raws.items()])
    )


def judge_file(raws: Mapping[HashName, bytes]) -> Report:
    return test_timestamps.judge(file_of(raws))


def run_named(tsa: TimestampAuthority, raws: Mapping[HashName, bytes], folder: Path) -> str:
    """Take the tokens out and run the command of the step's sentence; return what it prints."""
    folder.mkdir()
    file, stamped = folder / "FILE", folder / "stamped"
    file.write_bytes(file_of(raws))
    said = judge_file(raws).steps[-1].explanation.en
    take_out, command = said.partition("to check them: ")[2].split(" && ")
    assert take_out == "evidence-ledger stamps --file FILE -o stamped"
    assert main(["stamps", "--file", str(file), "-o", str(stamped)]) == 0
    assert OPENSSL is not None
    names = {"openssl": OPENSSL, "root.pem": str(tsa.root), "signer.pem": str(tsa.signer)}
    return subprocess.run(
        [names.get(word, word) for word in command.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_a_request_says_hash_policy_and_nonce(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(make_request(authority, HashName.SM3, bytes(32), NONCE))
    assert OPENSSL is not None
    shown = subprocess.run(
        [OPENSSL, "ts", "-query", "-in", tmp_path / "q", "-text"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Hash Algorithm: sm3\n" in shown
    assert f"Policy OID: {POLICY}\n" in shown
    assert "Nonce: 0x1122334455667788\n" in shown
    assert "Certificate required: yes\n" in shown


def refusal(*args: Any, **given: Any) -> str:
    with pytest.raises(TokenRefused) as refused:
        judge(*args, **given)
    return str(refused.value)


def test_tokens_that_answer_something_else_are_refused(
    tsa: TimestampAuthority, authority: Authority
) -> None:
    raw = ask(tsa, authority)
    digest = {data: compute_imprint(HashName.SHA256, data).hex() for data in (b"a", b"b")}
    assert refusal(raw, authority, data=b"b") == (
        f"the token is for 2.16.840.1.101.3.4.2.1 {digest[b'a']}, "
        f"asked for was 2.16.840.1.101.3.4.2.1 {digest[b'b']}"
    )
    sm3 = compute_imprint(HashName.SM3, b"a").hex()
    assert refusal(raw, authority, HashName.SM3) == (
        f"the token is for 2.16.840.1.101.3.4.2.1 {digest[b'a']}, "
        f"asked for was 1.2.156.10197.1.401 {sm3}"
    )
    assert refusal(raw, authority, nonce=NONCE + 1) == (
        "the token does not repeat the nonce; it answers another request"
    )
    assert refusal(raw, replace(authority, policy=OTHER_POLICY)) == (
        f"the token is under policy {POLICY}, asked for was {OTHER_POLICY}"
    )
    late = refusal(raw, authority, now_ms=now_ms() + 400_000)
    assert re.fullmatch(
        r"the token's time is \d+ s from this node's; at most 300 s are accepted, so one of the "
        "two clocks is wrong",
        late,
    )


def test_sm3_of_the_same_bytes_is_no_sha256(tsa: TimestampAuthority, authority: Authority) -> None:
    """Both are 32 bytes long: a verifier that compares the bytes alone could be told anything."""
    imprint = compute_imprint(HashName.SHA256, b"a")
    raw = tsa.answer(make_request(authority, HashName.SM3, imprint, NONCE))
    assert refusal(raw, authority) == (
        f"the token is for 1.2.156.10197.1.401 {imprint.hex()}, "
        f"asked for was 2.16.840.1.101.3.4.2.1 {imprint.hex()}"
    )


def test_a_token_of_another_authority_is_refused(
    tsa: TimestampAuthority, authority: Authority, tmp_path: Path
) -> None:
    """Same names, other keys; and a token whose own certificates would vouch for it."""
    impostor = TimestampAuthority(tmp_path / "other")
    sentence = refusal(ask(impostor, authority), authority)
    assert sentence.startswith("the token does not verify: Error while verifying certificates: ")


def test_a_refusal_of_the_authority_is_told(tsa: TimestampAuthority, authority: Authority) -> None:
    raw = tsa.answer(
        make_request(
            replace(authority, policy="1.3.6.1.4.1.32473.9"), HashName.SHA256, bytes(32), NONCE
        )
    )
    assert refusal(raw, authority) == (
        "the authority answered rejection: Requested policy is not supported."
    )


def test_no_flipped_bit_is_accepted(tsa: TimestampAuthority, authority: Authority) -> None:
    raw = ask(tsa, authority)
    good = judge(raw, authority)
    harmless = 0
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 0x10
        try:
            token = judge(bytes(changed), authority)
        except TokenRefused:
            continue
        # What no signature covers, such as the certificates that nobody looks at.
        assert replace(token, raw=raw) == good
        harmless += 1
    assert harmless < len(raw) // 2
    for broken in (b"", raw[:-1], raw + b"\0", b"<html>"):
        assert refusal(broken, authority).startswith("the answer is no time-stamp response: ")


def test_certificates_that_cannot_be_pinned(tsa: TimestampAuthority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    web = make_certificate("a", key, "a", key, usages=(ExtendedKeyUsageOID.SERVER_AUTH,))
    lone = make_certificate("a", key, "b", key)
    wrong_order = (
        "the first one is not for time-stamping; put the certificate that signs tokens first, "
        "then those that issued it"
    )
    not_alone = (
        "the first one is not for time-stamping alone, as RFC 3161 asks: an extended key usage "
        "that is critical and names nothing else, and a key that only signs; openssl would refuse "
        "its tokens"
    )
    others = [
        make_certificate("a", key, "a", key, **given)
        for given in (
            {"is_critical": False},
            {"usages": (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH)},
            {"key_usage": ("digital_signature", "key_encipherment")},
            {"key_usage": ("key_cert_sign",)},
        )
    ]
    for given, sentence in (
        (b"nothing", "they are not certificates in PEM"),
        (web.public_bytes(pem), wrong_order),
        (tsa.root.read_bytes() + tsa.signer.read_bytes(), wrong_order),
        *((one.public_bytes(pem), not_alone) for one in others),
        (
            lone.public_bytes(pem),
            "none of them is a root (issued by itself); the chain has to end in one",
        ),
    ):
        with pytest.raises(BadCertificates) as refused:
            read_certificates(given)
        assert str(refused.value) == sentence


def test_configured_certificates_are_read_and_every_fault_is_said(
    tsa: TimestampAuthority, tmp_path: Path
) -> None:
    place = NodeHome(tmp_path)
    (tmp_path / "bad.pem").write_bytes(b"x")
    config = TimestampConfig(
        authorities={"a": "http://a.test/", "b": "http://b.test/", "c": "http://c.test/"},
        certificates={"a": str(tsa.chain), "b": "bad.pem", "c": "none.pem"},
    )
    with pytest.raises(ConfigError) as refused:
        load_authorities(place, config)
    assert tuple(one.en for one in refused.value.problems) == (
        f"timestamp.certificates: b: {tmp_path}/bad.pem: they are not certificates in PEM",
        f"timestamp.certificates: c: {tmp_path}/none.pem: No such file or directory",
    )
    found = load_authorities(place, replace(config, authorities={"a": "http://a.test/"}))
    assert [(one.name, one.url, one.policy, len(one.certificates)) for one in found] == [
        ("a", "http://a.test/", "", 2)
    ]


# The shelf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "timestamps"


def open_shelf(folder: Path) -> TimestampShelf:
    return TimestampShelf(DiskDirectory(folder, create=True))


def test_the_shelf_keeps_gives_back_and_finds_what_covers(
    tsa: TimestampAuthority, authority: Authority, folder: Path
) -> None:
    shelf = open_shelf(folder)
    assert (shelf.newest_size, shelf.first_size_at_or_after(0)) == (0, None)
    for size in (40, 7):
        raw = ask(tsa, authority, data=make_note(size))
        shelf.keep(size, make_note(size), 5, [judge(raw, authority, data=make_note(size))])
    (folder / "draft").write_bytes(b"{")
    (folder / "notes.txt").write_bytes(b"")
    again = open_shelf(folder)
    assert [one.en for one in again.notices] == [
        f"{folder}/notes.txt is no file of timestamps; ignored."
    ]
    assert not (folder / "draft").exists()
    assert again.newest_size == 40
    assert [again.first_size_at_or_after(size) for size in (0, 7, 8, 40, 41)] == [
        7,
        7,
        40,
        40,
        None,
    ]
    stamped, raw = again.read(7)
    assert (stamped.note, stamped.asked_ms) == (make_note(7), 5)
    [item] = json.loads(raw)["timestamps"]
    assert (item["authority"], item["hash"], item["policy"]) == ("tsa-1", "sha256", POLICY)
    assert judge(base64.b64decode(item["token"]), authority, data=make_note(7)).serial == int(
        item["serial"]
    )


def test_what_the_disk_changed_is_damaged_and_never_served(
    tsa: TimestampAuthority, authority: Authority, folder: Path
) -> None:
    shelf = open_shelf(folder)
    note = make_note(7)
    shelf.keep(7, note, 5, [judge(ask(tsa, authority, data=note), authority, data=note)])
    path = folder / "00000000000000000007.json"
    good = path.read_bytes()
    other_form = "it is not what is written as evidence-ledger/timestamps/v1"
    other_bytes = "token of tsa-1 is of other bytes"
    for old, new, sentence in (
        (b'"size":7', b'"size":8', other_form),
        (b'"asked_ms":5', b'"asked_ms": 5', other_form),
        (b"677\\n7\\n", b"677\\n8\\n", "its checkpoint is of another size"),
        (b" example.test", b" exanple.test", f"the sha256 {other_bytes}"),
        (b'"hash":"sha256"', b'"hash":"sm3"', f"the sm3 {other_bytes}"),
        (b'"hash":"sha256"', b'"hash":"md5"', "Invalid enum value 'md5'"),
        (b'"policy":"1.3', b'"policy":"1.2', "the sha256 token of tsa-1 says something else"),
        (b'"time_ms":1', b'"time_ms":2', "the sha256 token of tsa-1 says something else"),
    ):
        assert old in good, old
        path.write_bytes(good.replace(old, new))
        with pytest.raises(Damaged) as damaged:
            open_shelf(folder).read(7)
        assert str(damaged.value).startswith(f"{path}, offset 0: {sentence}")


def test_of_a_kept_token_that_is_judged_again_no_flipped_byte_is_passed_over(
    tsa: TimestampAuthority, authority: Authority
) -> None:
    """But those that nothing signs: two version numbers of CMS, the signature algorithm's name."""
    raw = ask(tsa, authority)
    imprint = compute_imprint(HashName.SHA256, b"a")
    assert find_flaw(raw, imprint, authority) == ""
    stranger = replace(authority, certificates=authority.certificates[:1])
    assert find_flaw(raw, imprint, stranger), "its root is not named"
    algorithm = raw.rindex(bytes.fromhex("2a8648ce3d040302"))
    passed_over = []
    for at in set(range(len(raw))) - set(range(algorithm, algorithm + 8)):
        changed = bytearray(raw)
        changed[at] ^= 1
        if not find_flaw(bytes(changed), imprint, authority):
            passed_over.append(at)
    assert [raw[at - 2 : at + 1].hex() for at in passed_over] == ["020103", "020101"]


def test_a_whole_token_of_another_root_is_told_from_a_damaged_one(
    tsa: TimestampAuthority, authority: Authority
) -> None:
    """What does not verify under the root that is pinned is never called whole."""
    raw = ask(tsa, authority)
    imprint = compute_imprint(HashName.SHA256, b"a")
    signer = find_own_signer(raw)
    assert signer is not None
    assert signer.subject == authority.certificates[0].subject
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1
        if find_own_signer(bytes(changed)) is not None:
            assert find_flaw(bytes(changed), imprint, authority) == "", at
    assert find_own_signer(raw[:-1]) is None
    assert find_own_signer(b"") is None


# Asking


class World:
    """A clock that sleeping moves, and what the asking said."""

    def __init__(self) -> None:
        self.start_ms = now_ms()
        self.slept_s = 0.0
        self.said: list[tuple[str, str]] = []
        self.counted: list[bool] = []
        self.naps: list[float] = []
        self.on_sleep: Callable[[], Awaitable[None]] | None = None

    def clock_ms(self) -> int:
        """The real time: tokens are compared with it. Sleeping counts beside it, in `naps`."""
        return now_ms()

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        if self.on_sleep is not None:
            await self.on_sleep()
        await asyncio.sleep(0)


@pytest.fixture
def world() -> World:
    return World()


def make_stamping(
    world: World, authorities: list[Authority], shelf: TimestampShelf, note: Callable[[], bytes]
) -> tuple[Timestamping, ThreadPoolExecutor]:
    thread = ThreadPoolExecutor(1)
    stamping = Timestamping(
        authorities,
        BOTH,
        Rounds(3600, lambda: (1, note()), clock_ms=world.clock_ms, sleep=world.sleep),
        shelf,
        thread=thread,
        say=lambda level, text: world.said.append((level, text)),
        count=world.counted.append,
    )
    return stamping, thread


class Enough(Exception):
    """The test has seen what it came for."""


async def test_every_authority_is_asked_with_every_hash_and_who_fails_is_asked_again(
    tsa: TimestampAuthority, authority: Authority, folder: Path, world: World, tmp_path: Path
) -> None:
    other = TimestampAuthority(tmp_path / "second", "second")
    urls = await tsa.serve(), await other.serve()
    authorities = [
        replace(authority, url=urls[0]),
        Authority("tsa-2", urls[1], "", read_certificates(other.chain.read_bytes())),
    ]
    tsa.requests.clear()
    other.respond = lambda request: (503, "text/html", b"")
    shelf = open_shelf(folder)
    kept_before: list[int] = []

    async def on_sleep() -> None:
        if len(world.naps) == 1:
            kept_before.append(len(json.loads(shelf.read(7)[1])["timestamps"]))
        if len(world.naps) == 2:
            other.respond = lambda request: (
                200,
                "application/timestamp-reply",
                other.answer(request),
            )
        if len(world.naps) == 3:
            raise Enough

    world.on_sleep = on_sleep
    stamping, thread = make_stamping(world, authorities, shelf, lambda: make_note(7))
    with pytest.raises(Enough):
        await stamping.run()
    thread.shutdown()
    await tsa.close()
    await other.close()
    assert world.naps[:2] == [60.0, 120.0]
    assert 3500 < world.naps[2] <= 3600
    assert kept_before == [2]
    stamped = [
        (item["authority"], item["hash"]) for item in json.loads(shelf.read(7)[1])["timestamps"]
    ]
    assert stamped == [("tsa-1", "sha256"), ("tsa-1", "sm3"), ("tsa-2", "sha256"), ("tsa-2", "sm3")]
    assert (len(tsa.requests), len(other.requests)) == (2, 6)
    assert sorted(world.counted) == [False] * 4 + [True] * 4
    line = "it answered with HTTP status 503"
    line += " 时间戳机构 tsa-2（sha256）未给出可用的令牌，原因见前"
    assert world.said[0] == ("warning", f"timestamps: tsa-2, sha256: {line}")
    assert world.said[-1] == ("info", "timestamps: size 7 has 4 tokens")


async def test_a_restart_asks_no_sooner_and_the_same_size_is_not_stamped_twice(
    tsa: TimestampAuthority, authority: Authority, folder: Path, world: World
) -> None:
    shelf = open_shelf(folder)
    raw = ask(tsa, authority, data=make_note(7))
    token = judge(raw, authority, data=make_note(7))
    shelf.keep(7, make_note(7), now_ms(), [token])

    async def stop() -> None:
        raise Enough

    world.on_sleep = stop
    stamping, thread = make_stamping(world, [authority], shelf, lambda: make_note(8))
    with pytest.raises(Enough):
        await stamping.run()
    assert 3500 < world.naps[0] <= 3600
    shelf.keep(7, make_note(7), now_ms() - 7_200_000, [token])
    world.naps.clear()
    stamping, again = make_stamping(world, [authority], shelf, lambda: make_note(7))
    with pytest.raises(Enough):
        await stamping.run()
    thread.shutdown()
    again.shutdown()
    assert world.naps == [5.0]
    assert world.counted == []


async def test_answers_over_http_that_are_no_replies(
    tsa: TimestampAuthority, authority: Authority, folder: Path, world: World
) -> None:
    """A password in the URL stands in no sentence."""
    url = (await tsa.serve()).replace("http://", "http://node:hunter2@")
    stamping, thread = make_stamping(
        world, [replace(authority, url=url)], open_shelf(folder), lambda: make_note(7)
    )
    answers = (
        ((404, "text/plain", b""), "it answered with HTTP status 404"),
        ((302, "text/plain", b""), "it answered with HTTP status 302"),
        (
            (200, "text/html; charset=utf-8", b"<p>"),
            "it answered 'text/html' instead of 'application/timestamp-reply'",
        ),
        (
            (200, "application/timestamp-reply", bytes(REPLY_BYTES_MAX + 1)),
            "it answered with more than 65536 bytes",
        ),
        ((200, "application/timestamp-reply", b"q"), "the answer is no time-stamp response: "),
    )
    sentences = [sentence for _, sentence in answers] + ["it cannot be asked: "]
    given = [respond for respond, _ in answers]
    tsa.respond = lambda request: given[len(world.naps)]

    async def on_sleep() -> None:
        if len(world.naps) == len(given):
            await tsa.close()
        if len(world.naps) > len(given):
            raise Enough

    world.on_sleep = on_sleep
    with pytest.raises(Enough):
        await stamping.run()
    thread.shutdown()
    tsa.respond = tsa._respond
    said = [text for _, text in world.said if text.startswith("timestamps: tsa-1, sm3: ")]
    assert len(said) == len(sentences)
    for text, sentence in zip(said, sentences, strict=True):
        assert text.removeprefix("timestamps: tsa-1, sm3: ").startswith(sentence)
        assert "hunter2" not in text


async def test_a_clock_that_was_set_back_costs_one_interval(
    tsa: TimestampAuthority, authority: Authority, folder: Path, world: World
) -> None:
    shelf = open_shelf(folder)
    token = judge(ask(tsa, authority, data=make_note(7)), authority, data=make_note(7))
    shelf.keep(7, make_note(7), now_ms(), [token])
    world.clock_ms = lambda: 1_000_000 + int(sum(world.naps) * 1000)  # type: ignore[method-assign]

    async def on_sleep() -> None:
        assert len(world.naps) < 3, "the node waits for the time it already had"

    world.on_sleep = on_sleep
    asked: list[float] = []

    def newest() -> bytes:
        asked.append(sum(world.naps))
        raise Enough

    stamping, thread = make_stamping(world, [authority], shelf, newest)
    with pytest.raises(Enough):
        await stamping.run()
    thread.shutdown()
    assert asked == [3600.0]


def test_the_largest_answers_can_be_read_again(
    tsa: TimestampAuthority, authority: Authority, folder: Path
) -> None:
    """One authority that is generous with bytes does not cost the others their tokens."""
    note = make_note(7)
    raw = ask(tsa, authority, data=note)
    token = judge(raw, authority, data=note)
    shelf = open_shelf(folder)
    # As many as are configured, each as long as is taken (the bytes beyond the token are padding).
    shelf.keep(7, note, 5, [replace(token, raw=raw.ljust(REPLY_BYTES_MAX, b"\0"))] * 16)
    assert (folder / f"{7:020d}.json").stat().st_size > 1024 * 1024
    with pytest.raises(Damaged) as damaged:
        shelf.read(7)
    assert "is of other bytes" in str(damaged.value), "it was read whole, and judged"


def test_the_example_certificates_are_for_time_stamping(tsa: TimestampAuthority) -> None:
    [signer] = x509.load_pem_x509_certificates(tsa.signer.read_bytes())
    usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usage.critical
