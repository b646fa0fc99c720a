"""A node's configuration: `node.toml` in its home.

It is read strictly: a key nobody knows or a value of the wrong kind is refused with file and key,
and all that is wrong is said at once. Each field below carries its comment and its check, and the
file that `render_config` writes is made from the same table, so that what is taught is what is
read. What all nodes must agree on is not here but in genesis.
"""

from __future__ import annotations

import ipaddress
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from genesis.document import INSTITUTIONS_MAX, Genesis
from ledger.system_words import explain_system
from ledger.words import Words
from node import config_checks as check
from node.config_section import ConfigError, at, read_section, render_section, setting, suggest
from node.endpoint import parse_endpoint
from node.home import NodeHome

CONFIG_BYTES_MAX: Final = 256 * 1024
"""A configuration has 3 kB; more is another file."""

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """The connections between validators (mutual TLS, certificates pinned by genesis)."""

    listen: str = setting(
        "Address and port other validators connect to.", check.endpoint, default="0.0.0.0:7443"
    )
    endpoints: Mapping[str, str] = setting(
        "Where a validator is reached if not where genesis says, by institution:\n"
        '{ "bank-2" = "10.0.0.2:7443" }',
        check.endpoints,
        default_factory=lambda: types.MappingProxyType({}),
    )


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """The REST API for merchants, banks, consumers and the public."""

    listen: str = setting("Address and port of the API.", check.endpoint, default="127.0.0.1:8443")
    tls: bool = setting(
        "HTTPS. Plain HTTP is taken on a loopback address only, behind a proxy of your own.",
        default=True,
    )
    certificate: str = setting(
        "Certificate chain (PEM) that clients see.", check.given, default="keys/api.crt"
    )
    key: str = setting(
        "Its private key (PEM, encrypted with the keystore's TLS secret).",
        check.given,
        default="keys/api.key",
    )
    cors_origins: tuple[str, ...] = setting(
        'Web origins whose scripts may call the API, such as "https://audit.example".',
        check.origins,
        default=(),
    )


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """The institution's private keys."""

    keystore: str = setting(
        "The sealed seeds: vote, cosign, log, party.", check.given, default="keys/keystore.json"
    )
    passphrase_file: str = setting(
        "File with the passphrase, readable by this user only. Empty: the variable\n"
        "EVIDENCE_LEDGER_PASSPHRASE, or a prompt where there is a terminal.",
        default="",
    )


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """The index and state beside the chain's segments."""

    backend: Literal["leveldb", "rocksdb"] = setting(
        "Store for index and state. One cannot read the other's files.", default="leveldb"
    )
    archive: str = setting(
        "Folder to which `node prune` moves old segments, perhaps on another disk. While it is\n"
        "not mounted their entries are refused by name; proofs are served all the same.",
        default="",
    )
    cache_bytes: int = setting(
        "Memory for blocks read from the store.",
        check.between(MIB, 64 * 1024 * MIB),
        default=64 * MIB,
    )
    write_buffer_bytes: int = setting(
        "Memory for what is not in a table of the store yet, twice while one is written. The\n"
        "larger, the less is merged again.",
        check.between(MIB, 1024 * MIB),
        default=128 * MIB,
    )
    rows_max: int = setting(
        "Contracts' rows kept at hand beside that, about 0.6 kB each, and as many of the state\n"
        "tree's, about 0.3 kB each.",
        check.between(1024, 64 * 1024 * 1024),
        default=262_144,
    )


@dataclass(frozen=True, slots=True)
class SnapshotConfig:
    """Snapshots of the state, from which a new or long absent node joins."""

    interval_blocks: int = setting(
        "One is made at every height divisible by this; 0 makes none. A node that joins wants the\n"
        "same one from several members, so all of a network set the same number.",
        check.between(0, 1_000_000_000),
        default=4096,
    )


AUTHORITIES_MAX: Final = 8
"""Time-stamping authorities of one node: their tokens are served in one answer."""


@dataclass(frozen=True, slots=True)
class TimestampConfig:
    """Time-stamping authorities (RFC 3161) that are asked for tokens of certified checkpoints."""

    interval_s: int = setting(
        "Seconds between two checkpoints that are stamped.",
        check.between(60, 31_536_000),
        default=3600,
    )
    hashes: tuple[str, ...] = setting(
        'Hashes to ask for: "sha256", "sm3" or both.', check.hashes, default=("sha256",)
    )
    authorities: Mapping[str, str] = setting(
        'Where each is asked, by a name of yours: { "tsa-1" = "https://tsa.example/tsr" }.\n'
        "Without any, nothing is stamped.",
        check.urls,
        default_factory=lambda: types.MappingProxyType({}),
    )
    certificates: Mapping[str, str] = setting(
        "What each is believed by, and nothing else: a PEM file with the certificate that signs\n"
        'its tokens first, then its issuers up to the root: { "tsa-1" = "tsa-1.pem" }.',
        default_factory=lambda: types.MappingProxyType({}),
    )
    policies: Mapping[str, str] = setting(
        "The policy its tokens must be under, where you insist on one: an object identifier.",
        check.policies,
        default_factory=lambda: types.MappingProxyType({}),
    )

    def find_problems(self) -> list[Words]:
        """Return what is wrong between the tables, as whole sentences without the file's name."""
        tables = {"certificates": self.certificates, "policies": self.policies}
        return check.compare_tables(
            "timestamp", "authorities", self.authorities, AUTHORITIES_MAX, tables,
            needed={"certificates": Words("缺少证书", "no certificates")},
        )  # fmt: skip


WITNESSES_MAX: Final = 16
"""Witnesses of one node: their cosignatures are served in one answer."""


@dataclass(frozen=True, slots=True)
class WitnessConfig:
    """Witnesses (C2SP tlog-witness) that are asked to cosign certified checkpoints."""

    interval_s: int = setting(
        "Seconds between two checkpoints that are shown to them.",
        check.between(10, 31_536_000),
        default=3600,
    )
    urls: Mapping[str, str] = setting(
        'Where each is asked, by a name of yours: { "court" = "https://witness.court.example" }.',
        check.urls,
        default_factory=lambda: types.MappingProxyType({}),
    )
    keys: Mapping[str, str] = setting(
        "The verifier key of each, as `witness init` prints it.",
        check.witness_keys,
        default_factory=lambda: types.MappingProxyType({}),
    )

    def find_problems(self) -> list[Words]:
        """Return what is wrong between the tables, as whole sentences without the file's name."""
        return check.compare_tables(
            "witness", "urls", self.urls, WITNESSES_MAX, {"keys": self.keys},
            needed={"keys": Words("缺少公钥", "no key")},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PostQuantumConfig:
    """Post-quantum cosignatures (ML-DSA-44), where genesis names keys for them."""

    interval_heights: int = setting(
        "Every so many heights, the same on every node; also whenever work has ceased.",
        check.between(1, 1_000_000),
        default=1024,
    )


@dataclass(frozen=True, slots=True)
class PrivateConfig:
    """Private fields of contracts, which this node keeps for its custodians beside the chain."""

    keep: bool = setting(
        "Keep them here, sealed, and serve them to whom they concern.", default=True
    )


@dataclass(frozen=True, slots=True)
class PlatformConfig:
    """What this institution says of its node to courts, signed (`GET /v1/platform`)."""

    time_source: str = setting(
        "Where its time comes from, in words.",
        lambda value: check.given(value) or check.statement_text(value),
        default="the operating system's clock",
    )
    conflicts_of_interest: str = setting(
        "Ties between this institution and parties of recorded contracts. Empty: none declared.",
        check.statement_text,
        default="",
    )


@dataclass(frozen=True, slots=True)
class QuotaConfig:
    """How much this node takes in before it says "later"."""

    pool_transactions_max: int = setting(
        "Transactions waiting for a block, from all submitters.",
        check.between(100, 10_000_000),
        default=100_000,
    )
    pool_bytes_max: int = setting(
        "Their bytes.", check.between(MIB, 64 * 1024 * MIB), default=256 * MIB
    )
    transactions_per_second_per_submitter: int = setting(
        "What one submitter may send on average.", check.between(1, 1_000_000), default=2_000
    )
    burst_per_submitter: int = setting(
        "What it may send at once.", check.between(1, 1_000_000), default=10_000
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What the node writes to standard error."""

    format: Literal["human", "json"] = setting(
        '"human" for a terminal, "json" (one object a line) for a log collector.', default="human"
    )
    level: Literal["debug", "info", "warning", "error"] = setting(
        "The least important kind of line that is written.", default="info"
    )


@dataclass(frozen=True, slots=True)
class VerificationConfig:
    """Client signatures are checked in processes of their own."""

    workers: int = setting(
        "Number of them: one less than there are cores; 0 checks in the node itself.",
        check.between(0, 64),
        default=1,
    )


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node's configuration."""

    replica: int = setting(
        "This node's place in genesis' list of institutions, from 0.",
        check.between(0, INSTITUTIONS_MAX - 1),
    )
    genesis: str = setting("The genesis document.", check.given, default="genesis.json")
    peer: PeerConfig = field(default_factory=PeerConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    keys: KeysConfig = field(default_factory=KeysConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    snapshot: SnapshotConfig = field(default_factory=SnapshotConfig)
    private: PrivateConfig = field(default_factory=PrivateConfig)
    timestamp: TimestampConfig = field(default_factory=TimestampConfig)
    witness: WitnessConfig = field(default_factory=WitnessConfig)
    post_quantum: PostQuantumConfig = field(default_factory=PostQuantumConfig)
    platform: PlatformConfig = field(default_factory=PlatformConfig)
    quotas: QuotaConfig = field(default_factory=QuotaConfig)
    log: LogConfig = field(default_factory=LogConfig)
    verification: VerificationConfig = field(default_factory=VerificationConfig)

    def endpoints_by_replica(self, genesis: Genesis) -> dict[int, str]:
        """Return the overriding endpoints by replica; raise `ConfigError` for an unknown name."""
        replicas = {item.id: number for number, item in enumerate(genesis.institutions)}
        unknown = [name for name in self.peer.endpoints if name not in replicas]
        if unknown:
            raise ConfigError(
                [
                    suggest(
                        f"peer.endpoints：创世文件中没有机构 {name!r}",
                        f"peer.endpoints: genesis names no institution {name!r}",
                        name,
                        replicas,
                    )
                    for name in unknown
                ]
            )
        return {replicas[name]: endpoint for name, endpoint in self.peer.endpoints.items()}


def load_config(home: NodeHome) -> NodeConfig:
    """Read a home's configuration; raise `ConfigError`."""
    path = home.config
    try:
        with path.open("rb") as stream:
            raw = stream.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        problem = Words(
            f"{path}：无法读取：{explain_system(error)}",
            f"{path}: cannot be read: {error.strerror}",
        )
        raise ConfigError([problem]) from None
    if len(raw) > CONFIG_BYTES_MAX:
        problem = Words(
            f"{path}：超过 {CONFIG_BYTES_MAX} 字节", f"{path}: more than {CONFIG_BYTES_MAX} bytes"
        )
        raise ConfigError([problem])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = Words(
            f"{path}：第 {error.start} 字节不是 UTF-8", f"{path}: not UTF-8 at byte {error.start}"
        )
        raise ConfigError([problem]) from None
    return parse_config(text, str(path))


def parse_config(text: str, name: str = "node.toml") -> NodeConfig:
    """Read a configuration strictly; raise `ConfigError` with everything that is wrong."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = Words(f"{name}：不是 TOML。原文：{error}", f"{name}: not TOML: {error}")
        raise ConfigError([problem]) from None
    problems: list[Words] = []
    config = read_section(NodeConfig, table, "", problems)
    if not problems and not config.api.tls and not _is_loopback(config.api.listen):
        problems.append(
            Words(
                f"api.tls：为 false，而 api.listen 为 {config.api.listen!r}；"
                "明文 HTTP 只可用于本机回环地址",
                f"api.tls: false while api.listen is {config.api.listen!r}; plain HTTP is taken "
                "on a loopback address only",
            )
        )
    if not problems:
        problems += config.timestamp.find_problems() + config.witness.find_problems()
    if problems:
        raise ConfigError([at(name, problem) for problem in problems])
    return config  # type: ignore[no-any-return]


def render_config(config: NodeConfig) -> str:
    """Return the configuration as a commented file; reading it gives `config` again."""
    lines = ["# Configuration of one node of the evidence ledger. Relative paths start here."]
    render_section(config, "", lines)
    return "\n".join(lines) + "\n"


def _is_loopback(endpoint: str) -> bool:
    host, _ = parse_endpoint(endpoint)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
