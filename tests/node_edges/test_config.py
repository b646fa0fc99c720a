"""The configuration: strict, and every refusal by its whole sentence."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.config import (
    ApiConfig,
    KeysConfig,
    LogConfig,
    NodeConfig,
    PeerConfig,
    StorageConfig,
    VerificationConfig,
    load_config,
    parse_config,
    render_config,
)
from node.config_section import ConfigError
from node.home import NodeHome


def test_defaults_need_only_the_replica() -> None:
    assert parse_config("replica = 3") == NodeConfig(replica=3)


def test_rendered_file_teaches_every_key_and_reads_back() -> None:
    config = NodeConfig(
        replica=1,
        genesis="/etc/genesis 中.json",
        peer=PeerConfig(listen="[::]:7443", endpoints={"bank-2": "10.0.0.2:7443", 'o"d\\d': "h:1"}),
        api=ApiConfig(tls=False, listen="127.0.0.1:80", cors_origins=("https://audit.example",)),
        storage=StorageConfig(backend="rocksdb"),
        log=LogConfig(format="json", level="debug"),
        verification=VerificationConfig(workers=0),
    )
    text = render_config(config)
    assert parse_config(text) == config
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line


@settings(deadline=None)
@given(st.text(max_size=50), st.text(max_size=50))
def test_any_text_survives_rendering(path: str, name: str) -> None:
    config = NodeConfig(
        replica=0,
        keys=KeysConfig(passphrase_file=path),
        peer=PeerConfig(endpoints={name: "h:1"}),
    )
    assert parse_config(render_config(config)) == config


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "node.toml: replica: missing; it has no default"),
        ('replica = "1"', 'node.toml: replica: expected an integer, found the string "1"'),
        ("replica = true", "node.toml: replica: expected an integer, found true"),
        ("replica = 1.0", "node.toml: replica: expected an integer, found the number 1.0"),
        ("replica = 36", "node.toml: replica: must be 0 to 35, not 36"),
        ("replica = 0\nreplcia = 1", "node.toml: replcia: no such key; did you mean 'replica'?"),
        ("replica = 0\nzzz = 1", "node.toml: zzz: no such key"),
        ("replica = 0\napi = 1", "node.toml: api: expected a section [api], found the integer 1"),
        (
            "replica = 0\n[api]\nlisten = 8443",
            "node.toml: api.listen: expected a string, found the integer 8443",
        ),
        (
            'replica = 0\n[api]\nlisten = "8443"',
            'node.toml: api.listen: expected "host:port" or "[address]:port", found "8443"',
        ),
        (
            'replica = 0\n[api]\nlisten = "::1:8443"',
            'node.toml: api.listen: expected "host:port" or "[address]:port", found "::1:8443"',
        ),
        (
            'replica = 0\n[api]\nlisten = "h:70000"',
            'node.toml: api.listen: expected "host:port" or "[address]:port", found "h:70000"',
        ),
        (
            'replica = 0\n[api]\ntls = "yes"',
            'node.toml: api.tls: expected true or false, found the string "yes"',
        ),
        (
            'replica = 0\n[api]\ntls = false\nlisten = "0.0.0.0:8443"',
            (
                "node.toml: api.tls: false while api.listen is '0.0.0.0:8443'; plain HTTP is "
                "taken on a loopback address only"
            ),
        ),
        (
            'replica = 0\n[api]\ncors_origins = ["https://a.example/"]',
            (
                "node.toml: api.cors_origins: 'https://a.example/' is not an origin like "
                "https://audit.example"
            ),
        ),
        (
            "replica = 0\n[api]\ncors_origins = [1]",
            "node.toml: api.cors_origins: expected a list of strings, found a list",
        ),
        (
            "replica = 0\n[peer]\nendpoints = { bank-2 = 7443 }",
            "node.toml: peer.endpoints: expected a table of strings, found a table",
        ),
        (
            'replica = 0\n[peer.endpoints]\nbank-2 = "x"',
            'node.toml: peer.endpoints: bank-2: expected "host:port" or "[address]:port", found "x"',  # noqa: E501
        ),
        (
            'replica = 0\n[storage]\nbackend = "sqlite"',
            'node.toml: storage.backend: expected "leveldb" or "rocksdb", found the string "sqlite"',  # noqa: E501
        ),
        (
            "replica = 0\n[storage]\ncache_bytes = 1024",
            "node.toml: storage.cache_bytes: must be 1048576 to 68719476736, not 1024",
        ),
        (
            "replica = 0\n[log]\nlevel = 1979-05-27",
            (
                'node.toml: log.level: expected "debug" or "info" or "warning" or "error", found a '
                "date or time"
            ),
        ),
        (
            "replica = 0\n[verification]\nworkers = 65",
            "node.toml: verification.workers: must be 0 to 64, not 65",
        ),
        (
            "replica = 0\n[timestamp]\ninterval_s = 59",
            "node.toml: timestamp.interval_s: must be 60 to 31536000, not 59",
        ),
        (
            'replica = 0\n[timestamp]\nhashes = ["md5"]',
            'node.toml: timestamp.hashes: must be "sha256", "sm3" or both, each once',
        ),
        (
            'replica = 0\n[timestamp]\nauthorities = { "A b" = "http://a/" }',
            "node.toml: timestamp.authorities: 'A b' is no name of 1 to 48 of a-z 0-9 -",
        ),
        (
            'replica = 0\n[timestamp]\nauthorities = { a = "ftp://a/" }',
            (
                "node.toml: timestamp.authorities: a: 'ftp://a/' is not a URL like "
                "https://tsa.example/tsr"
            ),
        ),
        (
            'replica = 0\n[timestamp]\nauthorities = { a = "http://a/" }',
            "node.toml: timestamp.certificates: no certificates for 'a' of timestamp.authorities",
        ),
        (
            'replica = 0\n[timestamp]\ncertificates = { a = "a.pem" }',
            "node.toml: timestamp.certificates: timestamp.authorities names no 'a'",
        ),
        (
            'replica = 0\n[timestamp]\npolicies = { a = "1.two" }',
            (
                "node.toml: timestamp.policies: a: '1.two' is not an object identifier like "
                "1.3.6.1.4.1.32473.7.1"
            ),
        ),
        (
            'replica = 0\n[witness]\nurls = { court = "http://a/" }',
            "node.toml: witness.keys: no key for 'court' of witness.urls",
        ),
        (
            'replica = 0\n[witness]\nkeys = { court = "x" }',
            "node.toml: witness.keys: court: Verifier key: 'x' is not <name>+<key id>+<base64>",
        ),
        ('replica = 0\ngenesis = ""', "node.toml: genesis: must not be empty"),
        ("replica = ", "node.toml: not TOML: Invalid value (at end of document)"),
    ],
)
def test_refusals(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert str(caught.value) == sentence


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config('replica = -1\n[log]\nformat = "xml"\ncolour = true', "home/node.toml")
    assert tuple(one.en for one in caught.value.problems) == (
        "home/node.toml: replica: must be 0 to 35, not -1",
        "home/node.toml: log.colour: no such key",
        'home/node.toml: log.format: expected "human" or "json", found the string "xml"',
    )
    assert caught.value.detail_zh.splitlines() == [
        "home/node.toml：replica：须在 0 至 35 之间，而不是 -1",
        "home/node.toml：log.colour：没有这一项",
        'home/node.toml：log.format：应为 "human" 或 "json"，而不是字符串 "xml"',
    ]


def test_home_is_private_and_its_paths_are_fixed(tmp_path: Path) -> None:
    home = NodeHome(tmp_path / "home")
    home.create()
    home.create()
    for path in (
        home.path,
        home.chain,
        home.index,
        home.journal,
        home.spool,
        home.private,
        home.keys,
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert home.recover_marker == home.path / "RECOVER"
    assert home.resolve("keys/peer.key") == home.tls_key
    assert home.resolve("/etc/x") == Path("/etc/x")


def test_the_homes_paths_are_the_configurations_defaults(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    config = NodeConfig(replica=0)
    assert home.resolve(config.genesis) == home.genesis
    assert home.resolve(config.keys.keystore) == home.keystore
    assert home.resolve(config.api.certificate) == home.api_certificate
    assert home.resolve(config.api.key) == home.api_key


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    path = home.config
    with pytest.raises(ConfigError) as caught:
        load_config(home)
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"
    path.write_bytes(b"replica = 0 # \xff")
    with pytest.raises(ConfigError) as caught:
        load_config(home)
    assert str(caught.value) == f"{path}: not UTF-8 at byte 14"
    path.write_bytes(b"#" * (256 * 1024 + 1))
    with pytest.raises(ConfigError) as caught:
        load_config(home)
    assert str(caught.value) == f"{path}: more than 262144 bytes"
    path.write_text("replica = 1")
    assert load_config(home) == NodeConfig(replica=1)


def test_endpoints_are_by_institution(network: Any) -> None:
    config = NodeConfig(replica=0, peer=PeerConfig(endpoints={"bank-2": "h:1"}))
    assert config.endpoints_by_replica(network.genesis) == {2: "h:1"}
    config = NodeConfig(replica=0, peer=PeerConfig(endpoints={"bank2": "h:1"}))
    with pytest.raises(ConfigError) as caught:
        config.endpoints_by_replica(network.genesis)
    assert str(caught.value) == (
        "peer.endpoints: genesis names no institution 'bank2'; did you mean 'bank-2'?"
    )
