"""An institution's private keys at rest: one file, one passphrase, argon2id.

The file is canonical JSON: key derivation and its parameters, the public keys, the sealed seeds
(XSalsa20-Poly1305), and a checksum over all of it. The checksum guards nothing from an attacker; it
tells a damaged file from a wrong passphrase. A node asks a `SignerProvider` for signers and never
sees a seed, so a hardware module can stand in the keystore's place. The keystore also holds the
random secret that opens the TLS keys: PKCS8 files are far easier to guess than argon2id, and so
a person's passphrase is tried against argon2id or nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Final, Protocol

import msgspec
from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from ledger.shape import describe_shape_zh
from ledger.signing import SEED_BYTES, SeedSigner, Signer
from ledger.system_words import explain_system
from node.mldsa import MlDsaSigner
from node.private_files import readable_by_others, write_file

FORMAT: Final = "evidence-ledger/keystore/v1"

PRIVATE_FIELDS_LABEL: Final = b"evidence-ledger/v1/private-fields-key"
"""What tells the key derived for private fields from whatever else may be derived one day."""

POST_QUANTUM_LABEL: Final = b"evidence-ledger/v1/mldsa44-seed"
"""The same, of the seed of the ML-DSA-44 key."""

PASSPHRASE_VARIABLE: Final = "EVIDENCE_LEDGER_PASSPHRASE"  # noqa: S105 a name

PASSPHRASE_BYTES_MAX: Final = 1024
"""More is a mistaken file, not a passphrase."""

KEYSTORE_BYTES_MAX: Final = 8192
"""A keystore has about 1 kB."""

MEMORY_BYTES_MAX: Final = 1024 * 1024 * 1024
OPERATIONS_MAX: Final = 4
"""libsodium's "sensitive" strength, the most it advises. A tampered file must not make a node
allocate without bound."""


class KeystoreError(Exception):
    """The keystore cannot be used; says why in English and in Chinese."""

    def __init__(self, detail: str, detail_zh: str) -> None:
        super().__init__(detail)
        self.detail_zh = detail_zh


class WrongPassphrase(KeystoreError):
    """The file is whole, and this passphrase does not open it."""


class DamagedKeystore(KeystoreError):
    """The file is not what was written."""


class PassphraseError(KeystoreError):
    """No usable passphrase was given."""


class KeyPurpose(StrEnum):
    """What a key signs; the names are those of genesis."""

    COSIGN = "cosign"
    LOG = "log"
    PARTY = "party"
    VOTE = "vote"


class Strength(Enum):
    """What guessing one passphrase costs (libsodium's presets for argon2id 1.3)."""

    INTERACTIVE = (pwhash.argon2id.OPSLIMIT_INTERACTIVE, pwhash.argon2id.MEMLIMIT_INTERACTIVE)
    """64 MiB, about 0.1 s: for networks to try things on."""
    MODERATE = (pwhash.argon2id.OPSLIMIT_MODERATE, pwhash.argon2id.MEMLIMIT_MODERATE)
    """256 MiB, about 0.7 s: for an institution's node."""


class SignerProvider(Protocol):
    """Where a node's signers come from: this keystore, or a hardware module."""

    @property
    def public_keys(self) -> Mapping[KeyPurpose, bytes]:
        """The public key of every purpose, to be compared with genesis."""

    @property
    def tls_passphrase(self) -> bytes:
        """What opens the node's TLS key files."""

    @property
    def private_fields_key(self) -> bytes:
        """What the keys of private fields are sealed under: 32 bytes."""

    def signer(self, purpose: KeyPurpose) -> Signer:
        """Return the signer of one purpose."""

    def post_quantum_signer(self) -> Signer:
        """Return the signer of post-quantum cosignatures (ML-DSA-44)."""


class _Derivation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    algorithm: str
    memory_bytes: int
    operations: int
    salt: str


class _Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cipher: str
    derivation: _Derivation
    format: str
    public_keys: dict[KeyPurpose, str]
    sealed: str


class _File(_Contents, frozen=True, forbid_unknown_fields=True, kw_only=True):
    checksum: str


_Seed = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seeds: dict[KeyPurpose, _Seed]
    tls_passphrase: _Seed


_ALGORITHM: Final = "argon2id13"
_CIPHER: Final = "xsalsa20-poly1305"
_encoder = msgspec.json.Encoder(order="sorted")
_file_decoder = msgspec.json.Decoder(_File)
_sealed_decoder = msgspec.json.Decoder(_Sealed)


class Keystore:
    """An opened keystore: signers by purpose. Neither `repr` nor pickling gives a secret away."""

    __slots__ = ("_path", "_signers", "_tls_passphrase")

    def __init__(self, path: Path, sealed: _Sealed) -> None:
        self._path = path
        self._signers = {
            purpose: SeedSigner(bytes.fromhex(seed)) for purpose, seed in sealed.seeds.items()
        }
        self._tls_passphrase = sealed.tls_passphrase.encode("ascii")

    @classmethod
    def create(
        cls,
        path: Path,
        passphrase: bytes,
        *,
        strength: Strength,
        seeds: Mapping[KeyPurpose, bytes] | None = None,
    ) -> Keystore:
        """Write a new keystore, with random seeds unless given; never over another file."""
        _check_passphrase(passphrase, "the passphrase", "口令")
        chosen = seeds or {purpose: secrets.token_bytes(SEED_BYTES) for purpose in KeyPurpose}
        if set(chosen) != set(KeyPurpose):
            raise ValueError(f"a keystore needs one seed for each of {', '.join(KeyPurpose)}")
        if len(set(chosen.values())) != len(KeyPurpose):
            raise ValueError("the seeds of a keystore must all differ")
        sealed = _Sealed(
            {purpose: seed.hex() for purpose, seed in chosen.items()}, secrets.token_hex(32)
        )
        store = cls(path, sealed)
        operations, memory_bytes = strength.value
        derivation = _Derivation(
            _ALGORITHM,
            memory_bytes,
            operations,
            secrets.token_bytes(pwhash.argon2id.SALTBYTES).hex(),
        )
        box = _derive(passphrase, derivation)
        contents = _Contents(
            cipher=_CIPHER,
            derivation=derivation,
            format=FORMAT,
            public_keys={purpose: key.hex() for purpose, key in sorted(store.public_keys.items())},
            sealed=base64.b64encode(box.encrypt(_encoder.encode(sealed))).decode("ascii"),
        )
        try:
            write_file(path, _encode_file(contents))
        except FileExistsError:
            raise KeystoreError(
                f"{path} exists; a keystore is never overwritten, since its keys cannot be made "
                "again",
                f"{path} 已存在；密钥库绝不覆盖，因为其中的密钥无法再次生成",
            ) from None
        return store

    @classmethod
    def open(cls, path: Path, passphrase: bytes) -> Keystore:
        """Open a keystore; raise `DamagedKeystore`, `WrongPassphrase` or `KeystoreError`."""
        contents = _read_file(path)
        _check_passphrase(passphrase, "the passphrase", "口令")
        box = _derive(passphrase, contents.derivation)
        try:
            plain = box.decrypt(base64.b64decode(contents.sealed))
        except CryptoError:
            raise WrongPassphrase(
                f"this passphrase does not open {path}", f"此口令不能打开 {path}"
            ) from None
        try:
            sealed = _sealed_decoder.decode(plain)
        except msgspec.DecodeError:
            raise DamagedKeystore(
                f"{path}: the sealed part is not a list of seeds", f"{path}：密封部分不是种子清单"
            ) from None
        if set(sealed.seeds) != set(KeyPurpose):
            raise DamagedKeystore(
                f"{path}: needs one seed for each of {', '.join(KeyPurpose)}",
                f"{path}：{'、'.join(KeyPurpose)} 须各有一个种子",
            )
        store = cls(path, sealed)
        for purpose, key in store.public_keys.items():
            if contents.public_keys.get(purpose) != key.hex():
                raise DamagedKeystore(
                    f"{path}: the public {purpose} key is not its seed's",
                    f"{path}：{purpose} 公钥与其种子不符",
                )
        return store

    @classmethod
    def verify(cls, path: Path) -> None:
        """Read a keystore's file without opening it; raise `DamagedKeystore` or `KeystoreError`."""
        _read_file(path)

    @property
    def public_keys(self) -> Mapping[KeyPurpose, bytes]:
        """The public key of every purpose."""
        return {purpose: signer.public_key for purpose, signer in self._signers.items()}

    @property
    def tls_passphrase(self) -> bytes:
        """The random secret that opens this node's TLS key files."""
        return self._tls_passphrase

    @property
    def private_fields_key(self) -> bytes:
        """The key over the private fields' keys, derived so that no older keystore lacks it."""
        return hashlib.blake2b(
            PRIVATE_FIELDS_LABEL, key=self._tls_passphrase, digest_size=SecretBox.KEY_SIZE
        ).digest()

    def signer(self, purpose: KeyPurpose) -> Signer:
        """Return the signer of one purpose."""
        return self._signers[purpose]

    def post_quantum_signer(self) -> Signer:
        """Return the ML-DSA-44 signer; its seed is derived, so that no older keystore lacks it."""
        return MlDsaSigner(
            hashlib.blake2b(
                POST_QUANTUM_LABEL, key=self._tls_passphrase, digest_size=SEED_BYTES
            ).digest()
        )

    def __repr__(self) -> str:
        return f"Keystore({str(self._path)!r})"

    def __reduce__(self) -> str:
        raise TypeError("a Keystore holds private keys and is not pickled")


def read_passphrase(
    file: Path | None,
    *,
    environ: Mapping[str, str],
    prompt: Callable[[], str] | None = None,
) -> bytes:
    """Return the operator's passphrase: from the file, else the environment, else the prompt.

    One newline at the end of the file is not part of it. Raises `PassphraseError`.
    """
    if file is not None:
        try:
            with file.open("rb") as stream:
                raw = stream.read(PASSPHRASE_BYTES_MAX + 2)
        except OSError as error:
            raise PassphraseError(
                f"the passphrase file {file} cannot be read: {error.strerror}",
                f"口令文件 {file} 无法读取：{explain_system(error)}",
            ) from None
        if readable_by_others(file):
            raise PassphraseError(
                f"the passphrase file {file} is open to other users; run: chmod 600 {file}",
                f"口令文件 {file} 可被其他用户读取；请运行：chmod 600 {file}",
            )
        return _check_passphrase(
            raw.removesuffix(b"\n").removesuffix(b"\r"),
            f"the passphrase in {file}",
            f"{file} 中的口令",
        )
    if PASSPHRASE_VARIABLE in environ:
        value = environ[PASSPHRASE_VARIABLE].encode("utf-8", "surrogateescape")
        return _check_passphrase(
            value, f"the passphrase in {PASSPHRASE_VARIABLE}", f"{PASSPHRASE_VARIABLE} 中的口令"
        )
    if prompt is None:
        raise PassphraseError(
            f"no passphrase: name a file in node.toml (keys.passphrase_file), set "
            f"{PASSPHRASE_VARIABLE}, or start from a terminal",
            "没有口令：请在 node.toml 中写明口令文件（keys.passphrase_file），或设置环境变量 "
            f"{PASSPHRASE_VARIABLE}，或在终端启动",
        )
    return _check_passphrase(prompt().encode("utf-8"), "the passphrase typed", "所键入的口令")


def _check_passphrase(passphrase: bytes, what: str, what_zh: str) -> bytes:
    if not passphrase:
        raise PassphraseError(f"{what} is empty", f"{what_zh}为空")
    if len(passphrase) > PASSPHRASE_BYTES_MAX:
        raise PassphraseError(
            f"{what} has more than {PASSPHRASE_BYTES_MAX} bytes",
            f"{what_zh}超过 {PASSPHRASE_BYTES_MAX} 字节",
        )
    return passphrase


def _derive(passphrase: bytes, derivation: _Derivation) -> SecretBox:
    return SecretBox(
        pwhash.argon2id.kdf(
            SecretBox.KEY_SIZE,
            passphrase,
            bytes.fromhex(derivation.salt),
            opslimit=derivation.operations,
            memlimit=derivation.memory_bytes,
        )
    )


def _encode_file(contents: _Contents) -> bytes:
    checksum = hashlib.sha256(_encoder.encode(contents)).hexdigest()
    whole = _File(checksum=checksum, **msgspec.structs.asdict(contents))
    return msgspec.json.format(_encoder.encode(whole), indent=2) + b"\n"


def _read_file(path: Path) -> _Contents:
    try:
        with path.open("rb") as stream:
            raw = stream.read(KEYSTORE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise KeystoreError(
            f"{path} does not exist; no keys were made here yet", f"{path} 不存在；此处尚未生成密钥"
        ) from None
    except OSError as error:
        raise KeystoreError(
            f"{path} cannot be read: {error.strerror}", f"{path} 无法读取：{explain_system(error)}"
        ) from None
    if readable_by_others(path):
        raise KeystoreError(
            f"{path} is open to other users; run: chmod 600 {path}",
            f"{path} 可被其他用户读取；请运行：chmod 600 {path}",
        )
    return _decode_file(path, raw)


def _decode_file(path: Path, raw: bytes) -> _Contents:
    """Read the file strictly: no byte may differ from what was written."""
    if len(raw) > KEYSTORE_BYTES_MAX:
        raise DamagedKeystore(
            f"{path} has more than {KEYSTORE_BYTES_MAX} bytes",
            f"{path} 超过 {KEYSTORE_BYTES_MAX} 字节",
        )
    try:
        whole = _file_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedKeystore(
            f"{path} is not a keystore: {error}",
            f"{path} 不是密钥库：{describe_shape_zh(str(error))}",
        ) from None
    fields = msgspec.structs.asdict(whole)
    del fields["checksum"]
    contents = _Contents(**fields)
    if _encode_file(contents) != raw:
        raise DamagedKeystore(
            f"{path} was changed since it was written: its checksum differs",
            f"{path} 写入后被改动：校验和不符",
        )
    derivation = contents.derivation
    if (contents.format, contents.cipher, derivation.algorithm) != (FORMAT, _CIPHER, _ALGORITHM):
        raise DamagedKeystore(
            f"{path}: {contents.format!r} with {derivation.algorithm!r} and {contents.cipher!r}; "
            f"this software reads {FORMAT!r} with {_ALGORITHM!r} and {_CIPHER!r}",
            f"{path}：为 {contents.format!r}、{derivation.algorithm!r}、{contents.cipher!r}；"
            f"本软件读取 {FORMAT!r}、{_ALGORITHM!r}、{_CIPHER!r}",
        )
    weakest = Strength.INTERACTIVE.value
    if not (
        weakest[0] <= derivation.operations <= OPERATIONS_MAX
        and weakest[1] <= derivation.memory_bytes <= MEMORY_BYTES_MAX
    ):
        raise DamagedKeystore(
            f"{path}: argon2id with {derivation.operations} operations and "
            f"{derivation.memory_bytes} bytes is outside what this software accepts",
            f"{path}：argon2id 的 {derivation.operations} 次运算与 {derivation.memory_bytes} "
            "字节超出本软件接受的范围",
        )
    try:
        is_sized = len(bytes.fromhex(derivation.salt)) == pwhash.argon2id.SALTBYTES
        base64.b64decode(contents.sealed, validate=True)
    except (ValueError, binascii.Error):
        is_sized = False
    if not is_sized:
        raise DamagedKeystore(
            f"{path}: salt or sealed part is not what this software writes",
            f"{path}：盐或密封部分不是本软件所写的格式",
        )
    return contents
