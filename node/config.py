"""A node's home and its configuration.

Everything one node owns lies in its home; `NodeHome` says what lies where. `node.toml` in it is
read strictly: a key nobody knows or a value of the wrong kind is refused with file and key, and all
that is wrong is said at once. Each field below carries its comment and its check, and the file that
`render_config` writes is made from the same table, so that what is taught is what is read. What all
nodes must agree on is not here but in genesis.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import json
import re
import tomllib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from genesis.document import INSTITUTIONS_MAX, Genesis
from ledger.canonical import is_normal
from ledger.note import ED25519_COSIGNATURE, parse_verifier_key
from ledger.refusal import Rejected
from ledger.words import Words
from node.endpoint import BadEndpoint, parse_endpoint
from storage.archive import LIST_FILE
from storage.backup import POST_QUANTUM_DIRECTORY, TIMESTAMPS_DIRECTORY, WITNESSED_DIRECTORY
from storage.system_words import explain_system

CONFIG_BYTES_MAX: Final = 256 * 1024
"""A configuration has 3 kB; more is another file."""

MIB: Final = 1024 * 1024

Check = Callable[[Any], Words | None]
"""Returns what is wrong with a value of the right type, None if nothing is."""


class ConfigError(Exception):
    """The configuration is refused; `problems` holds one whole sentence for each fault."""

    def __init__(self, problems: Sequence[Words]) -> None:
        super().__init__("\n".join(problem.en for problem in problems))
        self.problems = tuple(problems)
        self.detail_zh = "\n".join(problem.zh for problem in problems)


def _key(comment: str, check: Check | None = None, **default: Any) -> Any:
    return field(metadata={"comment": comment, "check": check}, **default)


def _between(low: int, high: int) -> Check:
    def check(value: int) -> Words | None:
        if low <= value <= high:
            return None
        return Words(
            f"须在 {low} 至 {high} 之间，而不是 {value}", f"must be {low} to {high}, not {value}"
        )

    return check


def _endpoint(value: str) -> Words | None:
    try:
        parse_endpoint(value)
    except BadEndpoint as error:
        return Words(error.detail_zh, str(error))
    return None


def _endpoints(value: Mapping[str, str]) -> Words | None:
    for name, endpoint in value.items():
        problem = _endpoint(endpoint)
        if problem:
            return _at(name, problem)
    return None


def _at(place: str, problem: Words) -> Words:
    """Put in front of a sentence where it applies."""
    return Words(f"{place}：{problem.zh}", f"{place}: {problem.en}")


def _is_given(value: str) -> Words | None:
    return None if value else Words("不得为空", "must not be empty")


_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


_URL: Final = re.compile(r"https?://[!-~]{1,500}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")


def _urls(value: Mapping[str, str]) -> Words | None:
    for name, url in value.items():
        if _NAME.fullmatch(name) is None:
            return Words(
                f"{name!r} 不是由 1 至 48 个 a-z 0-9 - 组成的名称",
                f"{name!r} is no name of 1 to 48 of a-z 0-9 -",
            )
        if _URL.fullmatch(url) is None:
            return Words(
                f"{name}：{url!r} 不是形如 https://tsa.example/tsr 的网址",
                f"{name}: {url!r} is not a URL like https://tsa.example/tsr",
            )
    return None


def _policies(value: Mapping[str, str]) -> Words | None:
    for name, policy in value.items():
        if _POLICY.fullmatch(policy) is None:
            return Words(
                f"{name}：{policy!r} 不是形如 1.3.6.1.4.1.32473.7.1 的对象标识符",
                f"{name}: {policy!r} is not an object identifier like 1.3.6.1.4.1.32473.7.1",
            )
    return None


_POLICY: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,17})){2,30}")


def _hashes(values: Sequence[str]) -> Words | None:
    if not values or len(set(values)) != len(values) or not {*values} <= {"sha256", "sm3"}:
        return Words(
            '须为 "sha256"、"sm3" 或二者，各一次', 'must be "sha256", "sm3" or both, each once'
        )
    return None


def _origins(values: Sequence[str]) -> Words | None:
    for value in values:
        if _ORIGIN.fullmatch(value) is None:
            return Words(
                f"{value!r} 不是形如 https://audit.example 的来源",
                f"{value!r} is not an origin like https://audit.example",
            )
    return None


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """The connections between validators (mutual TLS, certificates pinned by genesis)."""

    listen: str = _key(
        "Address and port other validators connect to.", _endpoint, default="0.0.0.0:7443"
    )
    endpoints: Mapping[str, str] = _key(
        "Where a validator is reached if not where genesis says, by institution:\n"
        '{ "bank-2" = "10.0.0.2:7443" }',
        _endpoints,
        default_factory=lambda: types.MappingProxyType({}),
    )


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """The REST API for merchants, banks, consumers and the public."""

    listen: str = _key("Address and port of the API.", _endpoint, default="127.0.0.1:8443")
    tls: bool = _key(
        "HTTPS. Plain HTTP is taken on a loopback address only, behind a proxy of your own.",
        default=True,
    )
    certificate: str = _key(
        "Certificate chain (PEM) that clients see.", _is_given, default="keys/api.crt"
    )
    key: str = _key(
        "Its private key (PEM, encrypted with the keystore's TLS secret).",
        _is_given,
        default="keys/api.key",
    )
    cors_origins: tuple[str, ...] = _key(
        'Web origins whose scripts may call the API, such as "https://audit.example".',
        _origins,
        default=(),
    )


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """The institution's private keys."""

    keystore: str = _key(
        "The sealed seeds: vote, cosign, log, party.", _is_given, default="keys/keystore.json"
    )
    passphrase_file: str = _key(
        "File with the passphrase, readable by this user only. Empty: the variable\n"
        "EVIDENCE_LEDGER_PASSPHRASE, or a prompt where there is a terminal.",
        default="",
    )


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """The index and state beside the chain's segments."""

    backend: Literal["leveldb", "rocksdb"] = _key(
        "Store for index and state. One cannot read the other's files.", default="leveldb"
    )
    archive: str = _key(
        "Folder to which `node prune` moves old segments, perhaps on another disk. While it is\n"
        "not mounted their entries are refused by name; proofs are served all the same.",
        default="",
    )
    cache_bytes: int = _key(
        "Memory for blocks read from the store.", _between(MIB, 64 * 1024 * MIB), default=64 * MIB
    )
    write_buffer_bytes: int = _key(
        "Memory for what is not in a table of the store yet, twice while one is written. The\n"
        "larger, the less is merged again.",
        _between(MIB, 1024 * MIB),
        default=64 * MIB,
    )
    rows_max: int = _key(
        "Contracts' rows kept at hand beside that, about 0.6 kB each, and as many of the state\n"
        "tree's, about 0.3 kB each.",
        _between(1024, 64 * 1024 * 1024),
        default=262_144,
    )


@dataclass(frozen=True, slots=True)
class SnapshotConfig:
    """Snapshots of the state, from which a new or long absent node joins."""

    interval_blocks: int = _key(
        "One is made at every height divisible by this; 0 makes none. A node that joins wants the\n"
        "same one from several members, so all of a network set the same number.",
        _between(0, 1_000_000_000),
        default=4096,
    )


AUTHORITIES_MAX: Final = 8
"""Time-stamping authorities of one node: their tokens are served in one answer."""


@dataclass(frozen=True, slots=True)
class TimestampConfig:
    """Time-stamping authorities (RFC 3161) that are asked for tokens of certified checkpoints."""

    interval_s: int = _key(
        "Seconds between two checkpoints that are stamped.", _between(60, 31_536_000), default=3600
    )
    hashes: tuple[str, ...] = _key(
        'Hashes to ask for: "sha256", "sm3" or both.', _hashes, default=("sha256",)
    )
    authorities: Mapping[str, str] = _key(
        'Where each is asked, by a name of yours: { "tsa-1" = "https://tsa.example/tsr" }.\n'
        "Without any, nothing is stamped.",
        _urls,
        default_factory=lambda: types.MappingProxyType({}),
    )
    certificates: Mapping[str, str] = _key(
        "What each is believed by, and nothing else: a PEM file with the certificate that signs\n"
        'its tokens first, then its issuers up to the root: { "tsa-1" = "tsa-1.pem" }.',
        default_factory=lambda: types.MappingProxyType({}),
    )
    policies: Mapping[str, str] = _key(
        "The policy its tokens must be under, where you insist on one: an object identifier.",
        _policies,
        default_factory=lambda: types.MappingProxyType({}),
    )

    def find_problems(self) -> list[Words]:
        """Return what is wrong between the tables, as whole sentences without the file's name."""
        tables = {"certificates": self.certificates, "policies": self.policies}
        return _compare_tables(
            "timestamp", "authorities", self.authorities, AUTHORITIES_MAX, tables,
            needed={"certificates": Words("缺少证书", "no certificates")},
        )  # fmt: skip


WITNESSES_MAX: Final = 16
"""Witnesses of one node: their cosignatures are served in one answer."""


def _witness_keys(value: Mapping[str, str]) -> Words | None:
    for name, key in value.items():
        try:
            found = parse_verifier_key(key)
        except Rejected as rejected:
            return Words(
                f"{name}：不是验证公钥。原文：{rejected.detail}", f"{name}: {rejected.detail}"
            )
        if found.algorithm != ED25519_COSIGNATURE:
            return Words(
                f"{name}：{found.name} 是 {found.algorithm:#04x} 类公钥，应为 0x04",
                f"{name}: {found.name} is a key of type {found.algorithm:#04x}, not 0x04",
            )
    return None


@dataclass(frozen=True, slots=True)
class WitnessConfig:
    """Witnesses (C2SP tlog-witness) that are asked to cosign certified checkpoints."""

    interval_s: int = _key(
        "Seconds between two checkpoints that are shown to them.",
        _between(10, 31_536_000),
        default=3600,
    )
    urls: Mapping[str, str] = _key(
        'Where each is asked, by a name of yours: { "court" = "https://witness.court.example" }.',
        _urls,
        default_factory=lambda: types.MappingProxyType({}),
    )
    keys: Mapping[str, str] = _key(
        "The verifier key of each, as `witness init` prints it.",
        _witness_keys,
        default_factory=lambda: types.MappingProxyType({}),
    )

    def find_problems(self) -> list[Words]:
        """Return what is wrong between the tables, as whole sentences without the file's name."""
        return _compare_tables(
            "witness", "urls", self.urls, WITNESSES_MAX, {"keys": self.keys},
            needed={"keys": Words("缺少公钥", "no key")},
        )  # fmt: skip


def _compare_tables(
    section: str,
    asked: str,
    urls: Mapping[str, str],
    count_max: int,
    tables: Mapping[str, Mapping[str, str]],
    needed: Mapping[str, Words],
) -> list[Words]:
    """Return what is wrong between `urls`, who is asked by name, and `tables` about the same names.

    `needed` says what is missing where a table has nothing for somebody.
    """
    problems = [
        Words(
            f"{section}.{table}：{section}.{asked} 中的 {name!r} {missing.zh}",
            f"{section}.{table}: {missing.en} for {name!r} of {section}.{asked}",
        )
        for table, missing in needed.items()
        for name in urls
        if name not in tables[table]
    ]
    problems += [
        _suggest(
            f"{section}.{table}：{section}.{asked} 中没有 {name!r}",
            f"{section}.{table}: {section}.{asked} names no {name!r}",
            name,
            urls,
        )
        for table, values in tables.items()
        for name in values
        if name not in urls
    ]
    if len(urls) > count_max:
        problems.append(
            Words(
                f"{section}.{asked}：列有 {len(urls)} 个；至多向 {count_max} 个请求",
                f"{section}.{asked}: {len(urls)} are named; at most {count_max} are asked",
            )
        )
    return problems


@dataclass(frozen=True, slots=True)
class PostQuantumConfig:
    """Post-quantum cosignatures (ML-DSA-44), where genesis names keys for them."""

    interval_heights: int = _key(
        "Every so many heights, the same on every node; also whenever work has ceased.",
        _between(1, 1_000_000),
        default=1024,
    )


@dataclass(frozen=True, slots=True)
class PrivateConfig:
    """Private fields of contracts, which this node keeps for its custodians beside the chain."""

    keep: bool = _key("Keep them here, sealed, and serve them to whom they concern.", default=True)


PLATFORM_TEXT_CHARS_MAX: Final = 4000
"""Characters of a text in the platform statement; both fit into one that is read."""


def _statement_text(value: str) -> Words | None:
    if len(value) > PLATFORM_TEXT_CHARS_MAX:
        return Words(
            f"有 {len(value)} 个字符；至多允许 {PLATFORM_TEXT_CHARS_MAX} 个",
            f"has {len(value)} characters; at most {PLATFORM_TEXT_CHARS_MAX} are allowed",
        )
    if not is_normal(value):
        return Words("不是 Unicode 规范化形式 C", "is not in Unicode Normalization Form C")
    if any(character < " " or character == "\x7f" for character in value):
        return Words("含有控制字符；请写成一行", "has control characters; write it in one line")
    return None


@dataclass(frozen=True, slots=True)
class PlatformConfig:
    """What this institution says of its node to courts, signed (`GET /v1/platform`)."""

    time_source: str = _key(
        "Where its time comes from, in words.",
        lambda value: _is_given(value) or _statement_text(value),
        default="the operating system's clock",
    )
    conflicts_of_interest: str = _key(
        "Ties between this institution and parties of recorded contracts. Empty: none declared.",
        _statement_text,
        default="",
    )


@dataclass(frozen=True, slots=True)
class QuotaConfig:
    """How much this node takes in before it says "later"."""

    pool_transactions_max: int = _key(
        "Transactions waiting for a block, from all submitters.",
        _between(100, 10_000_000),
        default=100_000,
    )
    pool_bytes_max: int = _key("Their bytes.", _between(MIB, 64 * 1024 * MIB), default=256 * MIB)
    transactions_per_second_per_submitter: int = _key(
        "What one submitter may send on average.", _between(1, 1_000_000), default=2_000
    )
    burst_per_submitter: int = _key(
        "What it may send at once.", _between(1, 1_000_000), default=10_000
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What the node writes to standard error."""

    format: Literal["human", "json"] = _key(
        '"human" for a terminal, "json" (one object a line) for a log collector.', default="human"
    )
    level: Literal["debug", "info", "warning", "error"] = _key(
        "The least important kind of line that is written.", default="info"
    )


@dataclass(frozen=True, slots=True)
class VerificationConfig:
    """Client signatures are checked in processes of their own."""

    workers: int = _key(
        "Number of them: one less than there are cores; 0 checks in the node itself.",
        _between(0, 64),
        default=1,
    )


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node's configuration."""

    replica: int = _key(
        "This node's place in genesis' list of institutions, from 0.",
        _between(0, INSTITUTIONS_MAX - 1),
    )
    genesis: str = _key("The genesis document.", _is_given, default="genesis.json")
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
                    _suggest(
                        f"peer.endpoints：创世文件中没有机构 {name!r}",
                        f"peer.endpoints: genesis names no institution {name!r}",
                        name,
                        replicas,
                    )
                    for name in unknown
                ]
            )
        return {replicas[name]: endpoint for name, endpoint in self.peer.endpoints.items()}


@dataclass(frozen=True, slots=True)
class NodeHome:
    """The directory one node owns, and what lies where in it."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.path / "node.toml"

    @property
    def genesis(self) -> Path:
        """The genesis document."""
        return self.path / "genesis.json"

    @property
    def chain(self) -> Path:
        """The chain's segments."""
        return self.path / "segments"

    @property
    def index(self) -> Path:
        """The key-value store: index and state."""
        return self.path / "index"

    @property
    def journal(self) -> Path:
        """The vote journal: what this node has signed."""
        return self.path / "journal"

    @property
    def spool(self) -> Path:
        """Transactions this node gave receipts for."""
        return self.path / "spool"

    @property
    def private(self) -> Path:
        """Private fields of contracts, sealed, and who looked at them."""
        return self.path / "private"

    @property
    def keys(self) -> Path:
        """Private keys and certificates."""
        return self.path / "keys"

    @property
    def keystore(self) -> Path:
        """The sealed seeds."""
        return self.keys / "keystore.json"

    @property
    def passphrase(self) -> Path:
        """Where a devnet keeps the keystore's passphrase."""
        return self.keys / "passphrase"

    @property
    def tls_certificate(self) -> Path:
        """The certificate genesis pins."""
        return self.keys / "peer.crt"

    @property
    def tls_key(self) -> Path:
        """Its private key."""
        return self.keys / "peer.key"

    @property
    def api_certificate(self) -> Path:
        """The API's certificate chain."""
        return self.keys / "api.crt"

    @property
    def api_key(self) -> Path:
        """Its private key."""
        return self.keys / "api.key"

    @property
    def api_authority(self) -> Path:
        """The certificate a devnet's clients trust."""
        return self.keys / "api-authority.crt"

    @property
    def tokens(self) -> Path:
        """Hashes of the API's bearer tokens."""
        return self.path / "tokens.json"

    @property
    def archived(self) -> Path:
        """Which segments were moved to the archive."""
        return self.path / LIST_FILE

    @property
    def snapshots(self) -> Path:
        """The snapshots this node has made and serves."""
        return self.path / "snapshots"

    @property
    def timestamps(self) -> Path:
        """Timestamped checkpoints with their tokens."""
        return self.path / TIMESTAMPS_DIRECTORY

    @property
    def witnessed(self) -> Path:
        """Witnessed checkpoints with their cosignatures."""
        return self.path / WITNESSED_DIRECTORY

    @property
    def post_quantum(self) -> Path:
        """Checkpoints with post-quantum cosignatures of a quorum."""
        return self.path / POST_QUANTUM_DIRECTORY

    @property
    def base(self) -> Path:
        """The snapshot this node's chain began with, if not with genesis."""
        return self.path / "base"

    @property
    def joining(self) -> Path:
        """A snapshot that is being fetched."""
        return self.path / "joining"

    @property
    def join_marker(self) -> Path:
        """If this file is there, the node takes a snapshot from its peers before it starts."""
        return self.path / "JOIN"

    @property
    def recover_marker(self) -> Path:
        """If this file is there, the node starts as one that has forgotten what it signed."""
        return self.path / "RECOVER"

    def create(self) -> None:
        """Make the directories, open to this user only."""
        folders = (
            self.chain, self.index, self.journal, self.spool, self.private, self.snapshots,
            self.keys,
        )  # fmt: skip
        for path in (self.path, *folders):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def resolve(self, path: str) -> Path:
        """Return a path of the configuration: relative ones start at the home."""
        return self.path / path


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
    config = _read(NodeConfig, table, "", problems)
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
        raise ConfigError([_at(name, problem) for problem in problems])
    return config  # type: ignore[no-any-return]


def render_config(config: NodeConfig) -> str:
    """Return the configuration as a commented file; reading it gives `config` again."""
    lines = ["# Configuration of one node of the evidence ledger. Relative paths start here."]
    _render(config, "", lines)
    return "\n".join(lines) + "\n"


# Reading


def _read(section: type[Any], table: Mapping[str, Any], prefix: str, problems: list[Words]) -> Any:
    """Return a section's value, or None with `problems` longer."""
    hints = typing.get_type_hints(section)
    fields = {item.name: item for item in dataclasses.fields(section)}
    problems_before = len(problems)
    for name in table:
        if name not in fields:
            key = prefix + name
            problems.append(_suggest(f"{key}：没有这一项", f"{key}: no such key", name, fields))
    values: dict[str, Any] = {}
    for name, item in fields.items():
        key = prefix + name
        if name not in table:
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                problems.append(
                    Words(f"{key}：缺少；此项没有默认值", f"{key}: missing; it has no default")
                )
            continue
        value = table[name]
        if dataclasses.is_dataclass(hints[name]):
            if isinstance(value, dict):
                values[name] = _read(hints[name], value, f"{key}.", problems)
            else:
                found = _describe(value)
                problems.append(
                    Words(
                        f"{key}：应为一节 [{key}]，而不是{found.zh}",
                        f"{key}: expected a section [{key}], found {found.en}",
                    )
                )
            continue
        problem, values[name] = _convert(hints[name], value)
        if problem is None and item.metadata["check"] is not None:
            problem = item.metadata["check"](values[name])
        if problem is not None:
            problems.append(_at(key, problem))
    return section(**values) if len(problems) == problems_before else None


def _convert(hint: Any, value: Any) -> tuple[Words | None, Any]:
    """Return (what is wrong, None) or (None, the value)."""
    origin = typing.get_origin(hint)
    expected: Words
    if origin is Literal:
        choices = typing.get_args(hint)
        if isinstance(value, str) and value in choices:
            return None, value
        quoted = [json.dumps(choice) for choice in choices]
        expected = Words(f" {' 或 '.join(quoted)}", " or ".join(quoted))
    elif origin is tuple:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return None, tuple(value)
        expected = Words("字符串列表", "a list of strings")
    elif origin is not None:
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return None, types.MappingProxyType(value)
        expected = Words("字符串表", "a table of strings")
    else:
        if type(value) is hint:  # exactly: TOML's booleans are integers to Python
            return None, value
        expected = _SCALARS[hint]
    found = _describe(value)
    problem = Words(
        f"应为{expected.zh}，而不是{found.zh}", f"expected {expected.en}, found {found.en}"
    )
    return problem, None


_SCALARS: Final[Mapping[type, Words]] = {
    str: Words("字符串", "a string"),
    int: Words("整数", "an integer"),
    bool: Words(" true 或 false", "true or false"),
}


def _describe(value: Any) -> Words:
    match value:
        case bool():
            said = "true" if value else "false"
            return Words(f" {said}", said)
        case str():
            quoted = json.dumps(value, ensure_ascii=False)
            return Words(f"字符串 {quoted}", f"the string {quoted}")
        case int():
            return Words(f"整数 {value}", f"the integer {value}")
        case float():
            return Words(f"数 {value}", f"the number {value}")
        case list():
            return Words("列表", "a list")
        case dict():
            return Words("表", "a table")
        case _:
            return Words("日期或时间", "a date or time")


def _suggest(said_zh: str, said: str, name: str, known: typing.Iterable[str]) -> Words:
    """Return a sentence about a name that is not known, with the known one that is close to it."""
    close = difflib.get_close_matches(name, list(known), n=1)
    if not close:
        return Words(said_zh, said)
    return Words(f"{said_zh}；是否应为 {close[0]!r}？", f"{said}; did you mean {close[0]!r}?")


def _is_loopback(endpoint: str) -> bool:
    host, _ = parse_endpoint(endpoint)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# Writing


def _render(section: Any, prefix: str, lines: list[str]) -> None:
    nested: list[tuple[str, Any]] = []
    for item in dataclasses.fields(section):
        value = getattr(section, item.name)
        if dataclasses.is_dataclass(value):
            nested.append((prefix + item.name, value))
            continue
        lines.append("")
        lines.extend(f"# {line}" for line in item.metadata["comment"].split("\n"))
        lines.append(f"{item.name} = {_toml(value)}")
    for name, value in nested:
        lines.extend(["", "", f"# {type(value).__doc__}", f"[{name}]"])
        _render(value, f"{name}.", lines)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            # A TOML basic string is a JSON string but for DEL, which TOML wants escaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            inner = ", ".join(f"{_toml(name)} = {_toml(item)}" for name, item in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case _:
            return f"[{', '.join(_toml(item) for item in value)}]"
