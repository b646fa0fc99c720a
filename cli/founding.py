"""From nothing to a node's home: a member's keys, the genesis document of all, the finished home.

    member file (public) of each institution ──► genesis document ──► home of each node

Private keys are made in the home in which they stay: only the member file leaves it, and it holds
public keys, a public certificate and two addresses. The order of members in genesis is the order of
replicas. A home gets its empty vote journal here and nowhere else: a node that finds none must not
make one, since it could not know what it once signed.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import importlib.util
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from cli.arguments import read_input
from cli.failure import Failure, unusable
from cli.passed_on import explain
from contracts.parties import INSTITUTION_ROLES
from genesis.document import (
    Endpoints,
    Genesis,
    Institution,
    Keys,
    Name,
    Parameters,
    RulePack,
    encode_genesis,
    parse_genesis,
)
from ledger.canonical import check_canonical, encode_canonical
from ledger.hashing import sha256
from ledger.refusal import Rejected
from ledger.transaction import PARTY_PATTERN
from node.certificates import (
    LOOPBACK_HOSTS,
    PrivateKey,
    make_api_certificate,
    make_authority,
    make_node_certificate,
    read_certificate,
    write_certificate,
    write_private_key,
)
from node.config import NodeConfig, render_config
from node.config_section import ConfigError
from node.endpoint import parse_endpoint
from node.home import NodeHome
from node.keystore import KeyPurpose, Keystore, Strength
from node.private_files import PUBLIC, write_file
from storage.files import DiskDirectory
from storage.journal import VOTES_FILE, Journal

Backend = Literal["leveldb", "rocksdb"]

MEMBER_FORMAT: Final = "evidence-ledger/member/v1"

DEFAULT_PARAMETERS: Final = Parameters(
    block_bytes_max=4 * 1024 * 1024,
    block_transactions_max=4096,
    idle_block_interval_ms=60_000,
    intake_heights=100,
    proposal_clock_skew_ms=10_000,
    reference_window_ms=10 * 365 * 86_400_000,
    replay_window_ms=3_600_000,
    view_timeout_ms=2_000,
)
"""4 MiB is a quarter of what JR/T 0314-2024 allows a block; some 6,000 transactions of the usual
700 bytes fill it, and a view's 2 s are five times what such a block takes on two cores. A reference
stays taken for ten years (records of cards are kept for five); an hour is ample to carry a signed
transaction over."""

DEFAULT_RULE_PACK: Final = RulePack(id="prepaid-base", version=1)


class _Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Annotated[str, msgspec.Meta(pattern=f"^{MEMBER_FORMAT}$")]
    institution: Institution


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """What a member says of itself, its keys apart."""

    id: str
    role: str
    district: str
    name_en: str
    name_zh: str
    api: str
    """URL of its API."""
    peer: str
    """host:port of its peer transport."""


def create_member(
    home: NodeHome,
    profile: Profile,
    passphrase: bytes,
    *,
    strength: Strength,
    seeds: Mapping[KeyPurpose, bytes] | None = None,
) -> bytes:
    """Make a member's keys and certificate in `home`; return its public member file's bytes.

    What the member says of itself is judged before anything is made: keys are never made over
    others, so a home with keys and no member file would be in the way of the next attempt.
    """
    _check_profile(profile)
    home.create()
    keystore = Keystore.create(home.keystore, passphrase, strength=strength, seeds=seeds)
    key, certificate = make_node_certificate(profile.id)
    write_private_key(home.tls_key, key, keystore.tls_passphrase)
    write_certificate(home.tls_certificate, certificate)
    keys = keystore.public_keys
    raw = _encode_member(
        profile,
        Keys(
            cosign=keys[KeyPurpose.COSIGN].hex(),
            log=keys[KeyPurpose.LOG].hex(),
            party=keys[KeyPurpose.PARTY].hex(),
            vote=keys[KeyPurpose.VOTE].hex(),
            mldsa44=sha256(keystore.post_quantum_signer().public_key).hex(),
        ),
        certificate,
    )
    write_file(home.path / "member.json", raw, mode=PUBLIC)
    return raw


def _encode_member(profile: Profile, keys: Keys, certificate: bytes) -> bytes:
    """Return the member file's bytes; raise `Failure` with what nobody could read in it."""
    institution = Institution(
        district=profile.district,
        endpoints=Endpoints(api=profile.api, peer=profile.peer),
        id=profile.id,
        keys=keys,
        name=Name(en=profile.name_en, zh=profile.name_zh),
        role=profile.role,
        tls_certificate=base64.b64encode(certificate).decode(),
    )
    raw = encode_canonical(
        {"format": MEMBER_FORMAT, "institution": msgspec.to_builtins(institution)}
    )
    parse_member(raw, "member file")
    return raw


def _check_profile(profile: Profile) -> None:
    if not re.fullmatch(PARTY_PATTERN, profile.id):
        raise unusable(
            f"--id {profile.id!r} is not 1 to 48 lower-case letters, digits and hyphens, "
            "the first a letter or digit.",
            f"--id {profile.id!r} 须为 1 至 48 个小写字母、数字或连字符，且以字母或数字开头。",
        )
    if profile.role not in INSTITUTION_ROLES:
        raise unusable(
            f"--role {profile.role!r} is none of {', '.join(INSTITUTION_ROLES)}.",
            f"--role {profile.role!r} 不在可选角色之列：{'、'.join(INSTITUTION_ROLES)}。",
        )
    _check_addresses(profile)
    none = "0" * 64
    _encode_member(profile, Keys(cosign=none, log=none, party=none, vote=none), b"")


def _check_addresses(profile: Profile) -> None:
    if urlsplit(profile.api).scheme not in {"https", "http"} or not urlsplit(profile.api).hostname:
        raise unusable(
            f"--api {profile.api!r} is not a URL such as https://node.example:8443.",
            f"--api {profile.api!r} 不是网址，应如 https://node.example:8443。",
        )
    try:
        parse_endpoint(profile.peer)
    except ValueError as error:
        raise unusable(f"--peer: {error}.", f"--peer {profile.peer!r} 不是“主机:端口”。") from None


_member_decoder = msgspec.json.Decoder(_Member)


def parse_member(raw: bytes, name: str) -> Institution:
    """Read a member file strictly; raise `Failure` with what is wrong."""
    try:
        member: _Member = check_canonical(raw, _member_decoder, name)
    except Rejected as rejected:
        raise unusable(
            f"{rejected.detail}.", f"{name} 不是成员文件：{explain(rejected)}。"
        ) from None
    return member.institution


def fingerprint(raw: bytes) -> str:
    """Return what two people read to one another to know that they hold the same member file."""
    return sha256(raw).hex()


def make_genesis(
    members: Sequence[Institution],
    *,
    network: str,
    time_ms: int,
    parameters: Parameters = DEFAULT_PARAMETERS,
    rule_pack: RulePack = DEFAULT_RULE_PACK,
) -> Genesis:
    """Return the genesis of these members, in this order; raise `Failure` if it would not parse."""
    try:
        raw = encode_genesis(
            network=network,
            time_ms=time_ms,
            institutions=list(members),
            parameters=parameters,
            rule_pack=rule_pack,
        )
        return parse_genesis(raw)
    except Rejected as rejected:
        raise unusable(
            f"This is no genesis document: {rejected.detail}.",
            f"如此不能构成创世文件：{explain(rejected)}。",
        ) from None


def read_genesis(path: Path) -> Genesis:
    """Read a genesis document; raise `Failure`."""
    raw = read_input(path)
    try:
        return parse_genesis(raw)
    except Rejected as rejected:
        raise Failure(
            f"{path} is not a genesis document: {rejected.detail}.",
            f"{path} 不是创世文件：{explain(rejected)}。",
        ) from None


def default_backend() -> Backend:
    """Return the store this Python has: plyvel (LevelDB) has no wheel past CPython 3.12."""
    return "leveldb" if importlib.util.find_spec("plyvel") is not None else "rocksdb"


def find_replica(home: NodeHome, genesis: Genesis) -> int:
    """Return whose home this is, by the certificate that genesis pins; raise `Failure`."""
    try:
        own = read_certificate(home.tls_certificate)
    except (OSError, ValueError):
        raise unusable(
            f"{home.path} holds no member's keys; make them with `evidence-ledger genesis member "
            f"--home {home.path} …`.",
            f"{home.path} 中没有成员密钥；请以 evidence-ledger genesis member --home {home.path} … "
            "生成。",
        ) from None
    for replica in range(len(genesis.institutions)):
        if genesis.certificate(replica) == own:
            return replica
    names = ", ".join(institution.id for institution in genesis.institutions)
    raise Failure(
        f"The certificate in {home.tls_certificate} is none of those that the genesis document "
        f"pins ({names}); this home belongs to another network.",
        f"{home.tls_certificate} 中的证书不在创世文件所列（{names}）之中；此目录属于另一网络。",
    )


def check_keys(keystore: Keystore, genesis: Genesis, replica: int) -> None:
    """Raise `Failure` unless genesis gives this replica the keystore's public keys."""
    institution = genesis.institutions[replica]
    for purpose, key in keystore.public_keys.items():
        expected = getattr(institution.keys, purpose.value)
        if key.hex() != expected:
            raise Failure(
                f"The {purpose.value} key of this home is {key.hex()}, and the genesis document "
                f"gives {institution.id} {expected}.",
                f"此目录的 {purpose.value} 密钥为 {key.hex()}，而创世文件载明 {institution.id} 为 "
                f"{expected}。",
            )
    named = institution.keys.mldsa44
    own = sha256(keystore.post_quantum_signer().public_key).hex()
    if named not in (own, msgspec.UNSET):
        raise Failure(
            f"The SHA-256 of this home's mldsa44 key is {own}, and the genesis document gives "
            f"{institution.id} {named}.",
            f"此目录 mldsa44 密钥的 SHA-256 为 {own}，而创世文件载明 {institution.id} 为 {named}。",
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Authority:
    """What signs the API's certificates where no public authority does."""

    key: PrivateKey
    certificate: bytes

    @classmethod
    def make(cls, name: str) -> Authority:
        """Return a new one; its key is to be forgotten once the certificates are signed."""
        return cls(*make_authority(name, now=dt.datetime.now(dt.UTC)))


def make_home(
    home: NodeHome,
    genesis: Genesis,
    config: NodeConfig,
    keystore: Keystore,
    *,
    authority: Authority | None,
    hosts: Sequence[str] = LOOPBACK_HOSTS,
) -> None:
    """Finish a member's home so that a node can run in it; never over a finished one."""
    if home.config.exists():
        raise unusable(
            f"{home.config} exists: this home is finished already; nothing was changed.",
            f"{home.config} 已存在：此目录已初始化；未作任何更改。",
        )
    try:
        config.endpoints_by_replica(genesis)
    except ConfigError as error:
        raise unusable(f"{error}.", "节点配置与创世文件不符，原因见上一行。") from None
    check_keys(keystore, genesis, config.replica)
    home.create()
    if home.genesis.exists() and home.genesis.read_bytes() != genesis.raw:
        raise unusable(
            f"{home.genesis} is the genesis document of another network.",
            f"{home.genesis} 是另一网络的创世文件。",
        )
    write_file(home.genesis, genesis.raw, mode=PUBLIC, replace=True)
    if authority is not None:
        key, certificate = make_api_certificate(
            authority.key, authority.certificate, hosts, now=dt.datetime.now(dt.UTC)
        )
        write_private_key(home.api_key, key, keystore.tls_passphrase, replace=True)
        write_certificate(home.api_certificate, certificate, replace=True)
        write_certificate(home.api_authority, authority.certificate, replace=True)
    with closing(DiskDirectory(home.journal)) as journal:
        if VOTES_FILE not in journal.names():  # of an attempt that was cut off, or of lost settings
            Journal.create(journal)
    # The configuration comes last: a home that has one is whole.
    write_file(home.config, render_config(config).encode())
