"""No personal data in any file of any node: planted names, phone numbers and wallets, searched for.

A network of real processes takes a contract through its life. What was planted in its private
fields must then be nowhere: not in segments, index, journal, spool, snapshots, logs, not in the
sealed store, not in backups, and not in what lay on the disks while the nodes ran. A second
contract has the same sort of values in clear, where no rule of software can keep them out (a till's
item, a contract's id); they must be found in every node, or the search is worth nothing.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from cli.client import ApiError, Client
from cli.demo import GATEWAY
from cli.drafts import Draft
from cli.main import main
from storage.leveldb_files import verify_database
from tests.system.networks import Network, running_network, verify_offline

plyvel = pytest.importorskip("plyvel", reason="the rows of LevelDB are read by it")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("private")]

FIELDS = {
    "name": "欧阳小鹭",
    "phone": "13877654321",
    "wallet_id": "0021000987654321",
    "card_number": "6217000012345678901",
    "guardian_name": "欧阳大鹏",
    "guardian_phone": "13912340987",
    "address": "深圳市南山区某某路18号7栋2403",
    "note_1": "Wei-Ling Ouyang",
}
CORRECTED = FIELDS | {"phone": "13300001234"}
REFUSED = {"name": "慕容北山", "phone": "13455556666", "nmae": "慕容南山"}
"""In a request that is refused: a refusal must not keep them either."""

PLANTED = sorted({*FIELDS.values(), *CORRECTED.values(), *REFUSED.values()})
CLEAR = {"item": "上官西河 13711112222", "contract": "wallet-0021000555566667777"}
"""What the search must find."""

CONTRACT = "planted-1"
KEPT = "planted-2"
"""Whose fields are not erased: they are in the sealed store while everything is searched."""


def spellings(value: str) -> dict[str, bytes]:
    """A value in every spelling in which a file of this software might have it."""
    raw = value.encode()
    made = {
        "utf-8": raw,
        "utf-16-le": value.encode("utf-16-le"),
        "utf-16-be": value.encode("utf-16-be"),
        "gb18030": value.encode("gb18030"),
        "json": json.dumps(value)[1:-1].encode(),
        "hex": raw.hex().encode(),
    }
    for shift in range(3):  # base64 at any place of a longer text: what does not touch its ends
        encoded = base64.b64encode(bytes(shift) + raw)
        begin, end = (8 * shift + 5) // 6, (8 * (shift + len(raw))) // 6
        made[f"base64+{shift}"] = encoded[begin:end]
    return made


@dataclass
class Found:
    """Where a value was found: (value, spelling) by file, and by row of a node's index."""

    files: set[tuple[str, str, str]] = field(default_factory=set)
    rows: set[tuple[str, str, str]] = field(default_factory=set)

    @property
    def values(self) -> set[str]:
        return {value for value, _, _ in self.files | self.rows}

    def places_of(self, value: str) -> set[str]:
        return {place for one, _, place in self.files | self.rows if one == value}


EVERYWHERE = (
    "node-?.log",
    "node-?/index/*.log",
    "node-?/index/LOG",
    "node-?/index/MANIFEST-*",
    "node-?/journal/pending-*",
    "node-?/journal/votes",
    "node-?/segments/*.segment",
    "node-?/snapshots/*.manifest",
    "node-?/snapshots/*.rows",
    "node-?/spool/spool-*",
    "node-?/node.toml",
    "node-?/tokens.json",
)
"""Where a node writes. Of each there must be something to look into, and of no other kind."""


def copy_running(folder: Path, copy: Path) -> None:
    """Copy what lies on the disks while the nodes run; a file may go meanwhile."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            into = copy / file.relative_to(folder)
            into.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(file, into)


def search(folder: Path, values: list[str], *, rows: bool = True) -> Found:
    """Look at every byte of every file under `folder`, and at every row of every index."""
    needles = [(value, *item) for value in values for item in spellings(value).items()]
    found = Found()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            raw = file.read_bytes()
            place = str(file.relative_to(folder))
            found.files |= {
                (value, how, place)
                for value, how, needle in needles
                if needle in raw or needle in place.encode()
            }
    for index in sorted(folder.glob("node-*/index")) if rows else ():
        verify_database(index)  # which refuses a compressed block: raw bytes hide nothing else
        place = str(index.relative_to(folder))
        for key, row in rows_of(index):
            found.rows |= {
                (value, how, place)
                for value, how, needle in needles
                if needle in key or needle in row
            }
    return found


def rows_of(index: Path) -> Iterator[tuple[bytes, bytes]]:
    """Every row of a closed store, read from a copy."""
    copy = index.with_name("index-copy")
    shutil.copytree(index, copy)
    database = plyvel.DB(str(copy), paranoid_checks=True)
    try:
        yield from database
    finally:
        database.close()
        shutil.rmtree(copy)


@dataclass
class Lived:
    """What is left of the network, and what was seen while it ran."""

    folder: Path
    genesis_hash: str
    court: Path
    """Evidence with a disclosure in it, made before the erasure."""
    sealed: dict[str, bytes]
    """The sealed files before the erasure, by name."""
    audit: list[dict[str, Any]]
    heights: list[int]
    running: list[Path]
    """Copies of all homes made while the nodes ran, and a backup of each node at last."""
    backups: Path


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = tmp_path_factory.mktemp("planted")
    outside = tmp_path_factory.mktemp("outside")
    with running_network(folder / "net", node_count=2, snapshot_blocks=4) as network:
        lived = live(network, folder / "net", outside)
    lived.backups.mkdir()
    for home in sorted(lived.folder.glob("node-?")):
        for suffix in ("", ".tar"):
            made = lived.backups / f"{home.name}{suffix}"
            assert main(["node", "backup", "--home", str(home), "-o", str(made)]) == 0
    return lived


def live(network: Network, folder: Path, outside: Path) -> Lived:
    """A contract's life with private fields, corrected and erased; and one with none."""
    node = network.devnet.state.nodes[0]
    home = Path(node.home)
    token = outside / "bank.token"
    token.write_text(issue(home, "bank", f"custodian:{GATEWAY}"), "ascii")
    reach = ["--api", node.api, "--token-file", str(token)]
    if network.devnet.state.authority:
        reach += ["--authority", network.devnet.state.authority]
    assert put_refused(network, node.api, token) == "bad_field bad_parameter"
    first = put(outside, reach, FIELDS)
    opening = {
        "consumer": first,
        "custodian": GATEWAY,
        "industry": "fitness",
        "merchant": "m-yoga",
        "terms_hash": "cd" * 32,
    }
    opened = do(network, "prepaid.open", opening, "m-yoga")
    do(network, "prepaid.prepay", {"amount": 10_000}, "m-yoga")
    second = put(outside, reach, CORRECTED, "--replaces", first)
    do(network, "private.committed", {"commitment": second, "of": opened}, GATEWAY)
    do(network, "prepaid.consume", {"amount": 2_500, "item": "团课"}, "m-yoga")
    do(network, "prepaid.consume", {"amount": 99_999}, "m-yoga", code="insufficient_locked")
    do(network, "prepaid.refund", {"amount": 7_500}, "m-yoga")
    with network.client(1) as client:
        history = outside / "planted.history.json"
        history.write_bytes(client.history(CONTRACT))
    court = outside / "court.json"
    shown = ["disclose", CONTRACT, "--fields", "name,phone,health", "--into", str(history)]
    assert main(["private", *shown, *reach, "-o", str(court)]) == 0
    sealed = {
        file.name: file.read_bytes()
        for file in (home / "private").iterdir()
        if file.suffix in (".box", ".key")
    }
    running = [outside / "running-before-erasure", outside / "running-at-last"]
    copy_running(folder, running[0])
    assert main(["private", "erase", CONTRACT, "--confirm", CONTRACT, *reach]) == 0
    assert main(["private", "show", CONTRACT, *reach]) == 1
    put(outside, reach, FIELDS, contract=KEPT)
    in_clear(network)
    for _ in range(5):  # past the next snapshot
        network.settle(1, network.opening()[1])
    network.wait_level(max(network.heights()))
    (log,) = (home / "private").glob("audit-*.log")
    audit = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    genesis_hash = network.devnet.state.genesis_hash
    heights = network.heights()
    copy_running(folder, running[1])
    backups = outside / "backups"
    return Lived(folder, genesis_hash, court, sealed, audit, heights, running, backups)


def issue(home: Path, name: str, scope: str) -> str:
    """Issue a token as the node's operator does; return it."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        command = ["node", "token", "issue", "--home", str(home), "--name", name, "--scope", scope]
        assert main(command) == 0
    return next(word for word in out.getvalue().split() if word.startswith("el1_"))


def put(
    outside: Path,
    reach: list[str],
    values: dict[str, str],
    *more: str,
    contract: str = CONTRACT,
) -> str:
    """Keep fields by the command line; return the commitment it prints."""
    file = outside / "fields.json"
    file.write_text(json.dumps(values, ensure_ascii=False), "utf-8")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["private", "put", contract, str(file), *more, *reach]) == 0
    return out.getvalue().strip()


def put_refused(network: Network, api: str, token: Path) -> str:
    """Send fields that are refused, in the body and in a query; return the reasons."""
    authority = network.devnet.state.authority
    reasons = []
    with Client(
        api, authority=Path(authority) if authority else None, token=token.read_text("ascii")
    ) as client:
        for ask in (
            lambda: client.put_private(CONTRACT, REFUSED),
            lambda: client.disclosure(CONTRACT, list(REFUSED.values())),
        ):
            with pytest.raises(ApiError) as refused:
                ask()
            reasons.append(refused.value.reason)
    return " ".join(reasons)


def do(
    network: Network,
    kind: str,
    data: dict[str, Any],
    signer: str,
    *,
    code: str = "",
    contract: str = CONTRACT,
) -> str:
    """Put a transaction on the chain; return its id."""
    reference = f"{contract}-{kind}-{len(json.dumps(data))}-{data.get('amount', '')}"
    tx_id, envelope = network.sign(Draft(kind, data, f"contract/{contract}", reference, [signer]))
    place = network.settle(0, envelope, "certified")
    assert place["code"] == code, place
    return tx_id


def in_clear(network: Network) -> None:
    """What no till should do, and some till will."""
    opening = {
        "consumer": "ab" * 32,
        "custodian": GATEWAY,
        "industry": "fitness",
        "merchant": "m-yoga",
        "terms_hash": "cd" * 32,
    }
    contract = CLEAR["contract"]
    do(network, "prepaid.open", opening, "m-yoga", contract=contract)
    paid = {"amount": 100, "item": CLEAR["item"]}
    do(network, "prepaid.prepay", paid, "m-yoga", contract=contract)


def test_nothing_planted_is_in_any_file_or_row_of_any_node(lived: Lived) -> None:
    assert (lived.folder / "node-0/private" / f"{KEPT}.box").stat().st_size > 500
    assert list(lived.folder.glob("node-*/snapshots/*")), "no snapshot was made to look into"
    found = search(lived.folder, PLANTED)
    assert (found.files, found.rows) == (set(), set())


def test_there_is_something_of_every_kind_to_look_into(lived: Lived) -> None:
    """So that a folder that moves, or a new one, is not forgotten by the search."""
    folder = lived.running[1]
    for pattern in EVERYWHERE:
        assert any(file.stat().st_size for file in folder.glob(pattern)), pattern
    known = {file for pattern in EVERYWHERE for file in folder.glob(pattern)}
    others = {
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and file not in known
    }
    fixed = ("authority.pem", "devnet.json", "genesis.json", "node-?/genesis.json")
    homes = ("node-?/member.json", "node-?/node.lock", "node-?/keys/*", "node-?/private/*")
    index = ("node-?/index/CURRENT", "node-?/index/LOCK", "node-?/index/*.ldb")
    assert [
        name for name in sorted(others) if not any(fnmatch(name, p) for p in fixed + homes + index)
    ] == []


def test_nothing_planted_was_on_a_disk_while_the_nodes_ran(lived: Lived) -> None:
    """Journals and spools are cut, rows compacted; what was in them for a while counts too."""
    for copy in lived.running:
        assert list(copy.glob("node-0/private/*.box")), copy
        assert search(copy, PLANTED, rows=False).files == set()
        assert search(copy, list(CLEAR.values()), rows=False).values == (
            set() if copy == lived.running[0] else set(CLEAR.values())
        )


def test_nothing_planted_is_in_a_backup_and_nothing_of_the_sealed_store(lived: Lived) -> None:
    assert search(lived.backups, PLANTED, rows=False).files == set()
    found = search(lived.backups, list(CLEAR.values()), rows=False)
    assert {place.split("/")[0] for _, _, place in found.files} == {
        "node-0", "node-0.tar", "node-1", "node-1.tar",
    }  # fmt: skip
    sealed = [path.read_bytes() for path in (lived.folder / "node-0/private").glob(f"{KEPT}.*")]
    for raw in (*sealed, *lived.sealed.values()):
        for file in lived.backups.rglob("*"):
            assert not file.is_file() or raw not in file.read_bytes(), file


def test_the_search_finds_what_is_there(lived: Lived) -> None:
    """In clear on the chain, in every node's segments; the contract's id in every index's rows."""
    found = search(lived.folder, list(CLEAR.values()))
    assert found.values == set(CLEAR.values())
    for node in ("node-0", "node-1"):
        places = found.places_of(CLEAR["item"])
        assert any(place.startswith(f"{node}/segments/") for place in places), places
        assert any(place.startswith(f"{node}/") for place in found.places_of(CLEAR["contract"]))
    assert {place for _, _, place in found.rows} == {"node-0/index", "node-1/index"}


@pytest.mark.parametrize("how", spellings("x"))
def test_the_search_knows_each_spelling(tmp_path: Path, how: str) -> None:
    value = FIELDS["address"]
    (tmp_path / "node-0").mkdir()
    for at in range(3):
        text = b"abc" + bytes(at) + value.encode() + b"xyz"
        raw = base64.b64encode(text) if how.startswith("base64") else spellings(value)[how]
        (tmp_path / "node-0" / f"log-{at}").write_bytes(b"before" + raw + b"after")
    assert any(one == how for _, one, _ in search(tmp_path, [value]).files)


def test_erased_keys_and_boxes_are_in_no_file_not_even_in_part(lived: Lived) -> None:
    assert sorted(lived.sealed) == [f"{CONTRACT}.box", f"{CONTRACT}.key"]
    pieces = {
        raw[at : at + 16] for raw in lived.sealed.values() for at in range(0, len(raw) - 15, 16)
    }
    assert len(pieces) > 10
    for file in lived.folder.rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            assert not [piece for piece in pieces if piece in raw], file
    left = {file.name for file in (lived.folder / "node-0" / "private").iterdir()}
    assert {name for name in left if not name.startswith("audit-")} == {
        f"{CONTRACT}.erased",
        f"{KEPT}.box",
        f"{KEPT}.key",
    }


def test_only_the_custodians_node_ever_held_any(lived: Lived) -> None:
    assert list((lived.folder / "node-1" / "private").iterdir()) == []


def test_what_was_disclosed_before_still_verifies(lived: Lived) -> None:
    """The proof outlives the erasure: the court's file needs no store and no network."""
    result = verify_offline(lived.court, lived.genesis_hash)
    assert result.returncode == 0, result.stdout
    assert '3 disclosed: health is empty, name = "欧阳小鹭", phone = 13300001234' in result.stdout
    assert "29 withheld, filled or empty, and proven unchanged: " in result.stdout
    assert (
        '披露 3 项：健康信息为空、消费者姓名 = "欧阳小鹭"、消费者电话 = 13300001234；未披露 29 项'
        in result.stdout
    )
    document = json.loads(lived.court.read_bytes())
    document["disclosures"][0]["fields"][2]["value"] = "13300001235"
    spoilt = lived.court.with_name("spoilt.json")
    spoilt.write_text(
        json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True), "utf-8"
    )
    result = verify_offline(spoilt, lived.genesis_hash)
    assert result.returncode == 1
    assert "disclosures[0]: field phone with its value, salt and path leads to" in result.stdout


def test_every_access_is_in_the_audit(lived: Lived) -> None:
    told = [(line["action"], line["outcome"]) for line in lived.audit]
    assert told == [
        ("write", "refused"),
        ("write", "done"),
        ("correct", "done"),
        ("disclose", "done"),
        ("erase", "done"),
        ("read", "erased before"),
        ("write", "done"),
    ]
    assert {line["scope"] for line in lived.audit} == {f"custodian:{GATEWAY}"}
