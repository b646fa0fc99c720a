"""From members to homes by the commands themselves, and what each refuses."""

from __future__ import annotations

import re
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from api.tokens import parse_tokens
from cli.demo import demo_institutions
from genesis.document import parse_genesis
from ledger.note import parse_verifier_key
from node.config import load_config
from node.home import NodeHome
from node.keystore import KeyPurpose, Keystore, Strength
from node.server import open_identity
from storage.files import DiskDirectory
from storage.journal import Journal
from tests.cli.running import Command


@pytest.fixture
def passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A passphrase file; keystores are made at the strength of devnets, to be quick."""
    create = Keystore.create

    def create_quickly(path: Path, passphrase: bytes, **arguments: Any) -> Keystore:
        return create(path, passphrase, **{**arguments, "strength": Strength.INTERACTIVE})

    monkeypatch.setattr(Keystore, "create", create_quickly)
    file = tmp_path / "passphrase"
    file.write_text("correct horse\n")
    file.chmod(0o600)
    return file


def make_member(command: Command, tmp_path: Path, passphrase: Path, number: int) -> Path:
    home = tmp_path / f"home-{number}"
    who = demo_institutions(4)[number]
    status = command.run(
        "genesis", "member", "--home", home, "--id", who.id, "--role", who.role,
        "--name-en", who.en, "--name-zh", who.zh, "--api", f"https://n{number}.example:8443",
        "--peer", f"n{number}.example:7443", "--passphrase-file", passphrase,
    )  # fmt: skip
    assert status == 0, command.err
    return home


def make_network(command: Command, tmp_path: Path, passphrase: Path) -> list[Path]:
    homes = [make_member(command, tmp_path, passphrase, number) for number in range(2)]
    members = [home / "member.json" for home in homes]
    status = command.run(
        "genesis", "make", *members, "--network", "test-city", "-o", tmp_path / "genesis.json",
        "--time", "1772380800000", "--set", "view_timeout_ms=4000",
    )  # fmt: skip
    assert status == 0, command.err
    return homes


def test_members_make_a_genesis_and_homes_that_open(
    command: Command, tmp_path: Path, passphrase: Path
) -> None:
    homes = make_network(command, tmp_path, passphrase)
    raw = (tmp_path / "genesis.json").read_bytes()
    genesis = parse_genesis(raw)
    assert command.out.splitlines()[-1] == genesis.chain_id.hex()
    assert [one.id for one in genesis.institutions] == ["bank-a", "pay-a"]
    assert genesis.parameters.view_timeout_ms == 4000

    for replica, home in enumerate(homes):
        arguments = ("--home", home, "--genesis", tmp_path / "genesis.json")
        assert command.run("node", "init", *arguments, "--passphrase-file", passphrase) == 0
        assert f"Genesis hash 创世哈希: {genesis.chain_id.hex()}" in command.out
        place = NodeHome(home)
        identity, keystore = open_identity(place, load_config(place))
        assert identity.replica == replica
        expected = genesis.institutions[replica].keys.party
        assert keystore.public_keys[KeyPurpose.PARTY].hex() == expected
        assert Journal.open(DiskDirectory(place.journal)).load().record is None
        assert command.run("node", "init", *arguments, "--passphrase-file", passphrase) == 2
        assert command.refusal == (
            f"{place.config} exists: this home is finished already; nothing was changed."
        )


def test_a_home_whose_making_was_cut_off_is_made_again_and_its_votes_stay(
    command: Command, tmp_path: Path, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that has lost its node.toml: a new journal would have forgotten what was signed."""
    home = NodeHome(make_network(command, tmp_path, passphrase)[0])
    arguments = ["node", "init", "--home", home.path, "--genesis", tmp_path / "genesis.json"]
    arguments += ["--passphrase-file", passphrase]
    with monkeypatch.context() as patch:
        patch.setattr("cli.founding.render_config", cut_off)
        with pytest.raises(CutOff):
            command.run(*arguments)
    with closing(DiskDirectory(home.journal)) as directory:
        journal = Journal.open(directory)
        journal.load()
        journal.save(b"votes", None)
    assert command.run(*arguments) == 0, command.err
    with closing(DiskDirectory(home.journal)) as directory:
        assert Journal.open(directory).load().record == b"votes"


class CutOff(BaseException):
    """The power went here."""


def cut_off(_: object) -> str:
    raise CutOff


def test_nothing_in_a_home_is_readable_by_others(
    command: Command, tmp_path: Path, passphrase: Path
) -> None:
    home = make_member(command, tmp_path, passphrase, 0)
    public = {"member.json", "peer.crt"}
    for path in home.rglob("*"):
        if path.name not in public:
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_the_same_members_make_the_same_bytes(
    command: Command, tmp_path: Path, passphrase: Path
) -> None:
    homes = make_network(command, tmp_path, passphrase)
    again = tmp_path / "again.json"
    members = [home / "member.json" for home in homes]
    arguments = ("--network", "test-city", "--time", "1772380800000")
    arguments += ("--set", "view_timeout_ms=4000", "-o", str(again))
    assert command.run("genesis", "make", *members, *arguments) == 0
    assert again.read_bytes() == (tmp_path / "genesis.json").read_bytes()


def test_keys_are_never_made_over_others(
    command: Command, tmp_path: Path, passphrase: Path
) -> None:
    home = make_member(command, tmp_path, passphrase, 0)
    before = NodeHome(home).keystore.read_bytes()
    assert command.run(
        "genesis", "member", "--home", home, "--id", "x", "--role", "bank", "--name-en", "X",
        "--name-zh", "某", "--api", "https://x.example", "--peer", "x.example:1",
    ) == 2  # fmt: skip
    assert command.refusal == f"{NodeHome(home).keystore} exists; keys are never made over others."
    assert NodeHome(home).keystore.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        (
            "--id",
            "Bank-A",
            (
                "--id 'Bank-A' is not 1 to 48 lower-case letters, digits and hyphens, the first a "
                "letter or digit.\n"
            ),
        ),
        (
            "--role",
            "bnk",
            (
                "--role 'bnk' is none of bank, payment, credit_bureau, regulator, district, "
                "consumer_council.\n"
            ),
        ),
        (
            "--api",
            "x.example",
            "--api 'x.example' is not a URL such as https://node.example:8443.\n",
        ),
        ("--peer", "x", '--peer: expected "host:port" or "[address]:port", found "x".\n'),
        ("--name-zh", "", "member file: Expected `str` of length >= 1 - at "),
    ],
)
def test_a_refused_profile_leaves_no_keys_in_the_way(
    command: Command, tmp_path: Path, passphrase: Path, option: str, value: str, sentence: str
) -> None:
    given = {
        "--id": "x",
        "--role": "bank",
        "--name-en": "X",
        "--name-zh": "某",
        "--api": "https://x.example",
        "--peer": "x.example:1",
    }
    words = [word for pair in (given | {option: value}).items() for word in pair]
    home = tmp_path / "home"
    asked = ("genesis", "member", "--home", home, "--passphrase-file", passphrase)
    assert command.run(*asked, *words) == 2
    assert command.err.startswith(sentence), command.err
    assert not home.exists()


def test_seconds_are_no_time_of_genesis(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "g.json"
    asked = ("genesis", "make", "a.json", "--network", "n", "-o", out, "--time", "1767225600")
    assert command.run(*asked) == 2
    assert command.refusal == (
        "Argument --time: '1767225600' is no time in milliseconds since 1970, such as "
        "1767225600000. See evidence-ledger genesis make --help."
    )


def test_a_member_named_twice_is_refused(
    command: Command, tmp_path: Path, passphrase: Path
) -> None:
    member = make_member(command, tmp_path, passphrase, 0) / "member.json"
    out = tmp_path / "twice.json"
    assert command.run("genesis", "make", member, member, "--network", "n", "-o", out) == 2
    assert command.refusal == (
        "This is no genesis document: genesis: institution ids ['bank-a', 'bank-a'] are not "
        "distinct."
    )
    assert not out.exists()


def test_a_changed_member_file_is_refused(
    command: Command, tmp_path: Path, passphrase: Path
) -> None:
    member = make_member(command, tmp_path, passphrase, 0) / "member.json"
    member.write_bytes(member.read_bytes().replace(b'"role":"bank"', b'"role": "bank"'))
    out = tmp_path / "out.json"
    assert command.run("genesis", "make", member, "--network", "n", "-o", out) == 2
    assert command.err.startswith(f"{member}: not the RFC 8785 spelling")


def test_a_wrong_passphrase_is_said(command: Command, tmp_path: Path, passphrase: Path) -> None:
    homes = make_network(command, tmp_path, passphrase)
    passphrase.write_text("wrong\n")
    arguments = ("--home", homes[0], "--genesis", tmp_path / "genesis.json")
    assert command.run("node", "init", *arguments, "--passphrase-file", passphrase) == 1
    keystore = NodeHome(homes[0]).keystore
    assert command.refusal == f"This passphrase does not open {keystore}."


def test_a_home_of_another_network_is_refused(
    command: Command, tmp_path: Path, passphrase: Path
) -> None:
    make_network(command, tmp_path, passphrase)
    stranger = make_member(command, tmp_path, passphrase, 2)
    arguments = ("--home", stranger, "--genesis", tmp_path / "genesis.json")
    assert command.run("node", "init", *arguments, "--passphrase-file", passphrase) == 1
    assert command.refusal == (
        f"The certificate in {stranger}/keys/peer.crt is none of those that the genesis document "
        "pins (bank-a, pay-a); this home belongs to another network."
    )


def test_genesis_is_shown_in_both_languages(
    command: Command, tmp_path: Path, passphrase: Path
) -> None:
    make_network(command, tmp_path, passphrase)
    file = tmp_path / "genesis.json"
    chain_id = parse_genesis(file.read_bytes()).chain_id.hex()
    assert command.run("genesis", "show", file, "--lang", "zh") == 0
    assert f"创世哈希（链标识）  {chain_id}" in command.out
    assert "示例支付公司甲 (payment)" in command.out
    assert "北京时间 2026-03-02 00:00:00" in command.out
    assert command.run("genesis", "show", file, "--lang", "en") == 0
    assert "Quorum                   2 of 2; bears 0 dishonest or failed" in command.out
    assert "2026-03-01 16:00:00 UTC" in command.out
    assert not re.search(r"[\u4e00-\u9fff]", command.out)


def test_genesis_is_printed_as_a_policy(command: Command, tmp_path: Path, passphrase: Path) -> None:
    make_network(command, tmp_path, passphrase)
    file = tmp_path / "genesis.json"
    genesis = parse_genesis(file.read_bytes())
    assert command.run("genesis", "policy", file) == 0
    lines = [line.split(" ") for line in command.out.splitlines() if line]
    for line, validator in zip(lines[:2], genesis.validators.validators, strict=True):
        key = parse_verifier_key(line[1])
        assert (line[0], key.name, key.public_key) == ("log", genesis.origin, validator.log_key)
    for line, validator in zip(lines[2:4], genesis.validators.validators, strict=True):
        key = parse_verifier_key(line[2])
        assert line[:2] == ["witness", validator.id]
        assert (key.name, key.public_key) == (
            f"{genesis.origin}/{validator.id}",
            validator.cosign_key,
        )
    assert lines[4:] == [
        ["group", "quorum-of-validators", "2", "bank-a", "pay-a"],
        ["quorum", "quorum-of-validators"],
    ]


def test_tokens_are_issued_listed_and_revoked(command: Command, home: Path) -> None:
    arguments = ("--home", home)
    assert command.run(
        "node", "token", "issue", *arguments,
        "--name", "insp", "--scope", "regulator", "--days", "30",
    ) == 0  # fmt: skip
    token = command.out.strip()
    grant = parse_tokens((home / "tokens.json").read_bytes()).find(token, 0)
    assert grant is not None
    assert (grant.name, grant.role) == ("insp", "regulator")
    assert token not in (home / "tokens.json").read_text()
    assert command.run("node", "token", "list", *arguments) == 0
    assert re.search(r"^insp +regulator +until \d{4}-", command.out, flags=re.MULTILINE)
    issue = ("node", "token", "issue", *arguments, "--name", "insp", "--scope", "auditor")
    assert command.run(*issue) == 2
    assert command.refusal == "There is a token 'insp' already; revoke it or choose a name."
    assert command.run("node", "token", "revoke", *arguments, "--name", "insp") == 0
    assert parse_tokens((home / "tokens.json").read_bytes()).find(token, 0) is None
    assert command.run("node", "token", "revoke", *arguments, "--name", "insp") == 1
    assert command.refusal == "There is no token 'insp'; `node token list` shows them."


def test_a_scope_that_does_not_exist_is_refused(command: Command, home: Path) -> None:
    issue = ("node", "token", "issue", "--home", home, "--name", "x", "--scope", "king")
    assert command.run(*issue) == 1
    assert command.err.startswith("Token scope 'king' is none of regulator, auditor, operator")
