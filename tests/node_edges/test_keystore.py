"""Keys at rest: round trip, damage, wrong passphrases, and that nothing secret shows."""

from __future__ import annotations

import json
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest
from nacl import pwhash

import node.keystore as keystore_module
from ledger.signing import public_key_of, verify_signature
from node.keystore import (
    PASSPHRASE_VARIABLE,
    DamagedKeystore,
    KeyPurpose,
    Keystore,
    KeystoreError,
    PassphraseError,
    Strength,
    WrongPassphrase,
    read_passphrase,
)

PASSPHRASE = b"correct horse battery staple"
SEEDS = {purpose: bytes([65 + place]) * 32 for place, purpose in enumerate(KeyPurpose)}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "keystore.json"
    Keystore.create(path, PASSPHRASE, strength=Strength.INTERACTIVE, seeds=SEEDS)
    return path


def test_round_trip(kept: Path) -> None:
    opened = Keystore.open(kept, PASSPHRASE)
    for purpose, seed in SEEDS.items():
        signer = opened.signer(purpose)
        assert signer.public_key == public_key_of(seed) == opened.public_keys[purpose]
        assert verify_signature(signer.public_key, b"message", signer.sign(b"message"))
    assert opened.tls_passphrase == Keystore.open(kept, PASSPHRASE).tls_passphrase
    assert len(opened.tls_passphrase) == 64
    assert opened.private_fields_key == Keystore.open(kept, PASSPHRASE).private_fields_key
    assert len(opened.private_fields_key) == 32
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in kept.parent.iterdir()] == ["keystore.json"]


def test_random_keys_all_differ(tmp_path: Path) -> None:
    stores = [
        Keystore.create(tmp_path / str(number), PASSPHRASE, strength=Strength.INTERACTIVE)
        for number in range(2)
    ]
    assert len({key for store in stores for key in store.public_keys.values()}) == 8
    assert stores[0].tls_passphrase != stores[1].tls_passphrase
    assert stores[0].private_fields_key != stores[1].private_fields_key


def test_file_tells_its_parameters_and_no_secret(kept: Path) -> None:
    text = kept.read_text()
    content = json.loads(text)
    assert content["derivation"]["memory_bytes"] == 64 * 1024 * 1024
    assert content["derivation"]["operations"] == 2
    assert content["derivation"]["algorithm"] == "argon2id13"
    tls_passphrase = Keystore.open(kept, PASSPHRASE).tls_passphrase.decode()
    for secret in [*(seed.hex() for seed in SEEDS.values()), PASSPHRASE.decode(), tls_passphrase]:
        assert secret not in text


def test_moderate_strength_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "k"
    Keystore.create(path, PASSPHRASE, strength=Strength.MODERATE, seeds=SEEDS)
    assert json.loads(path.read_text())["derivation"]["memory_bytes"] == 256 * 1024 * 1024
    assert Keystore.open(path, PASSPHRASE).public_keys


def test_never_overwritten(kept: Path) -> None:
    before = kept.read_bytes()
    with pytest.raises(KeystoreError) as caught:
        Keystore.create(kept, b"other", strength=Strength.INTERACTIVE)
    assert str(caught.value) == (
        f"{kept} exists; a keystore is never overwritten, since its keys cannot be made again"
    )
    assert kept.read_bytes() == before


def test_wrong_passphrase_is_named(kept: Path) -> None:
    with pytest.raises(WrongPassphrase) as caught:
        Keystore.open(kept, PASSPHRASE + b" ")
    assert str(caught.value) == f"this passphrase does not open {kept}"


def test_every_changed_byte_is_named_as_damage(kept: Path) -> None:
    raw = kept.read_bytes()
    assert keystore_module._decode_file(kept, raw).public_keys
    mutants = [
        raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :]
        for at in range(len(raw))
        for mask in (0x01, 0x20, 0x80)
    ]
    mutants += [b"", raw[:-1], raw + b"\n", raw[: len(raw) // 2], b" " + raw, raw * 9]
    for mutant in mutants:
        with pytest.raises(DamagedKeystore):
            keystore_module._decode_file(kept, mutant)


def test_damage_is_found_before_the_passphrase_is_tried(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keystore_module, "_derive", None)
    kept.write_bytes(kept.read_bytes().replace(b"7", b"8"))
    with pytest.raises(DamagedKeystore) as caught:
        Keystore.open(kept, PASSPHRASE)
    assert str(caught.value) == f"{kept} was changed since it was written: its checksum differs"


def rewrite(path: Path, change: Any) -> None:
    """Change the content as somebody would who also corrects the checksum."""
    content = json.loads(path.read_text())
    del content["checksum"]
    change(content)
    contents = keystore_module.msgspec.convert(content, keystore_module._Contents)
    path.write_bytes(keystore_module._encode_file(contents))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda c: c["derivation"].update(memory_bytes=2**40),
            (
                "argon2id with 2 operations and 1099511627776 bytes is outside what this software "
                "accepts"
            ),
        ),
        (
            lambda c: c["derivation"].update(operations=1),
            "argon2id with 1 operations and 67108864 bytes is outside what this software accepts",
        ),
        (
            lambda c: c["derivation"].update(salt="00"),
            "salt or sealed part is not what this software writes",
        ),
        (lambda c: c.update(sealed="%%"), "salt or sealed part is not what this software writes"),
        (
            lambda c: c["public_keys"].update(vote="00" * 32),
            "the public vote key is not its seed's",
        ),
        (
            lambda c: c.update(cipher="none"),
            (
                "'evidence-ledger/keystore/v1' with 'argon2id13' and 'none'; this software reads "
                "'evidence-ledger/keystore/v1' with 'argon2id13' and 'xsalsa20-poly1305'"
            ),
        ),
    ],
)
def test_tampering_with_a_correct_checksum(kept: Path, change: Any, sentence: str) -> None:
    rewrite(kept, change)
    with pytest.raises(DamagedKeystore) as caught:
        Keystore.open(kept, PASSPHRASE)
    assert str(caught.value) == f"{kept}: {sentence}"


def test_tampered_seal_opens_with_no_passphrase(kept: Path) -> None:
    def flip(content: Any) -> None:
        sealed = content["sealed"]
        content["sealed"] = sealed[:-8] + ("A" if sealed[-8] != "A" else "B") + sealed[-7:]

    rewrite(kept, flip)
    with pytest.raises(WrongPassphrase):
        Keystore.open(kept, PASSPHRASE)


def test_missing_and_open_files_are_named(kept: Path) -> None:
    missing = kept.with_name("none.json")
    with pytest.raises(KeystoreError) as caught:
        Keystore.open(missing, PASSPHRASE)
    assert str(caught.value) == f"{missing} does not exist; no keys were made here yet"
    kept.chmod(0o640)
    with pytest.raises(KeystoreError) as caught:
        Keystore.open(kept, PASSPHRASE)
    assert str(caught.value) == f"{kept} is open to other users; run: chmod 600 {kept}"


def test_seeds_must_be_all_and_different(tmp_path: Path) -> None:
    path = tmp_path / "k"
    for seeds in ({KeyPurpose.VOTE: b"a" * 32}, dict.fromkeys(KeyPurpose, b"a" * 32)):
        with pytest.raises(ValueError):
            Keystore.create(path, PASSPHRASE, strength=Strength.INTERACTIVE, seeds=seeds)
    assert not path.exists()


def test_nothing_secret_in_repr_or_pickle(kept: Path) -> None:
    opened = Keystore.open(kept, PASSPHRASE)
    shown = repr(opened) + repr(opened.signer(KeyPurpose.VOTE)) + str(opened)
    for secret in (*SEEDS.values(), opened.tls_passphrase):
        assert secret.hex() not in shown
        assert secret.decode() not in shown
    with pytest.raises(TypeError, match="holds private keys and is not pickled"):
        pickle.dumps(opened)


def test_strengths_are_libsodiums() -> None:
    assert Strength.INTERACTIVE.value == (
        pwhash.argon2id.OPSLIMIT_INTERACTIVE,
        pwhash.argon2id.MEMLIMIT_INTERACTIVE,
    )


class TestPassphrase:
    def test_file_before_variable_before_prompt(self, tmp_path: Path) -> None:
        file = tmp_path / "passphrase"
        file.write_bytes(b"from file\n")
        file.chmod(0o600)
        environ = {PASSPHRASE_VARIABLE: "from variable"}
        assert read_passphrase(file, environ=environ) == b"from file"
        assert read_passphrase(None, environ=environ) == b"from variable"
        assert read_passphrase(None, environ={}, prompt=lambda: "typed") == b"typed"

    def test_only_the_last_newline_is_cut(self, tmp_path: Path) -> None:
        file = tmp_path / "passphrase"
        file.write_bytes(b" a b \n\r\n")
        file.chmod(0o400)
        assert read_passphrase(file, environ={}) == b" a b \n"

    def test_refusals_are_named(self, tmp_path: Path) -> None:
        file = tmp_path / "passphrase"
        cases: list[tuple[bytes, int, str]] = [
            (b"\n", 0o600, f"the passphrase in {file} is empty"),
            (b"x" * 1025, 0o600, f"the passphrase in {file} has more than 1024 bytes"),
            (
                b"x",
                0o644,
                f"the passphrase file {file} is open to other users; run: chmod 600 {file}",
            ),
        ]
        for content, mode, sentence in cases:
            file.write_bytes(content)
            file.chmod(mode)
            with pytest.raises(PassphraseError) as caught:
                read_passphrase(file, environ={})
            assert str(caught.value) == sentence
            file.unlink()
        with pytest.raises(PassphraseError) as caught:
            read_passphrase(file, environ={})
        assert str(caught.value) == (
            f"the passphrase file {file} cannot be read: No such file or directory"
        )
        with pytest.raises(PassphraseError) as caught:
            read_passphrase(None, environ={PASSPHRASE_VARIABLE: ""})
        assert str(caught.value) == "the passphrase in EVIDENCE_LEDGER_PASSPHRASE is empty"
        with pytest.raises(PassphraseError) as caught:
            read_passphrase(None, environ={})
        assert str(caught.value) == (
            "no passphrase: name a file in node.toml (keys.passphrase_file), set "
            "EVIDENCE_LEDGER_PASSPHRASE, or start from a terminal"
        )
