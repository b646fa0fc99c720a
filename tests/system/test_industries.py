"""Ten contracts, one of each industry, from signing to refund on four real nodes.

What is owed was worked by hand (examples/lives); the chain computes it, and a process that is given
the evidence file and the genesis hash, and cannot open a socket, derives it again.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.life import read_life
from cli.main import main
from cli.play_command import LIVES
from cli.playing import Played, Player
from ledger.block import TransactionEntry, decode_entry
from ledger.canonical import encode_canonical
from tests.system.networks import Network, verify_offline
from tests.verifier.small_chain import alter

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("industries")]

NAMES = [path.stem for path in sorted(LIVES.glob("*.json"))]


class Silent:
    def advance(self, count: int = 1) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def network(lives_network: Network) -> Network:
    return lives_network


@pytest.fixture(scope="module")
def played(network: Network, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    player = Player(network.devnet.state, run="t1")
    lives = [read_life(LIVES / f"{name}.json") for name in NAMES]
    found = player.play(lives, Silent())
    player.fetch(found, tmp_path_factory.mktemp("cases"), Silent())
    return {one.life.name: one for one in found}


@pytest.mark.parametrize("name", NAMES)
def test_hand_chain_and_offline_verifier_agree(played: dict[str, Played], name: str) -> None:
    one = played[name]
    assert one.trouble is None
    assert one.count == len(one.life.file.events)
    owed = one.life.owed
    by_hand = (owed.low, owed.high, owed.results)
    assert one.on_chain == by_hand
    assert one.report["conclusion"] == "consistent"
    results = {step["number"]: step["result"] for step in one.report["steps"]}
    assert {number for number, result in results.items() if result != "ok"} == {11, 15}
    assert one.offline == by_hand
    assert one.is_as_written


@pytest.mark.parametrize("name", NAMES)
def test_the_articles_of_the_hand_are_those_of_the_derivation(
    played: dict[str, Played], name: str
) -> None:
    """Arts 11 and 24 say whose the refund is and that a balance stays; no sum comes from them."""
    derived = {article.partition("(")[0] for article in played[name].articles}
    cited = {article.partition("(")[0] for article in played[name].life.file.by_hand.articles}
    assert cited - {"11", "24", "25"} <= derived


@pytest.mark.parametrize("name", NAMES)
def test_what_was_paid_is_what_the_books_say_and_never_above_what_is_owed(
    network: Network, played: dict[str, Played], name: str
) -> None:
    one = played[name]
    paid = {"custody": 0, "merchant": 0}
    for event in one.life.file.events:
        if event.event == "refund.paid":
            paid[event.data["source"]] += event.data["amount"]
    with network.client(3) as client:
        record = client.contract(one.cast.contract)["record"]
    returned = record["refunded"] - record["interest_paid"]
    assert (returned, record["repaid"]) == (paid["custody"], paid["merchant"])
    assert one.life.owed.low <= sum(paid.values()) <= one.life.owed.high
    assert record["locked"] + record["released"] + record["refunded"] == (
        record["deposited"] + record["interest"]
    )
    is_closed = any(event.event == "contract.closed" for event in one.life.file.events)
    assert record["phase"] == ("closed" if is_closed else "ending")


def test_every_signature_is_its_partys_and_every_node_was_used(
    network: Network, played: dict[str, Played]
) -> None:
    nodes = set()
    for one in played.values():
        assert one.computed is not None
        nodes.add(one.computed.node)
        assert one.file is not None
        document = json.loads(one.file.read_bytes())
        bodies = [body_of(entry) for entry in document["entries"]]
        signed = bodies[0]
        assert signed["signers"] == [one.cast.parties["merchant"], one.cast.parties["consumer"]]
        locked = next(body for body in bodies if body["kind"] == "funds.locked")
        expected = "merchant" if one.life.name == "hair_beauty" else "custodian"
        assert locked["signers"] == [one.cast.parties[expected]]
        for body in bodies:
            provenance = body["data"]["provenance"]
            assert provenance["method"] == "import"
            assert provenance["generated_at"] == body["data"]["occurred_at"]
            assert provenance["captured_at"] > body["data"]["occurred_at"]
    assert nodes == {node.api for node in network.devnet.state.nodes}


def test_refused_attempts_stand_in_the_evidence_with_their_reason(
    played: dict[str, Played],
) -> None:
    assert {
        name: one.report["facts"]["refused"]
        for name, one in played.items()
        if one.report["facts"]["refused"]
    } == {
        "car_wash": {"counter_repeated": 1},
        "driving": {"consumers_interest": 1},
        "fitness": {"frozen": 2, "not_enough_approvers": 1},
        "pets": {"claim_assigned": 1},
    }


def test_what_the_rules_found_comes_along_in_words(played: dict[str, Played]) -> None:
    """Each life in which rules were looked at; the sentences are those whose hash is on record."""
    asked = {
        name: [event.rules for event in one.life.file.events if event.event == "findings.computed"]
        for name, one in played.items()
    }
    assert any(asked.values())
    for name, looks in asked.items():
        told = played[name].report["facts"].get("findings", [])
        assert len(told) == len(looks), name
        for computed, wanted in zip(told, looks, strict=True):
            found = computed["findings"]
            assert set(wanted or ()) <= {one["rule"] for one in found}, name
            for one in found:
                assert any("\u4e00" <= sign <= "\u9fff" for sign in one["zh"]), one
                assert one["en"].endswith("."), one


def body_of(entry: str) -> dict[str, Any]:
    decoded = decode_entry(base64.b64decode(entry))
    assert isinstance(decoded, TransactionEntry)
    body: dict[str, Any] = json.loads(decoded.envelope.body)
    return body


def place_of(document: dict[str, Any], kind: str) -> int:
    return next(n for n, e in enumerate(document["entries"]) if body_of(e)["kind"] == kind)


def state_a_fen_more(document: dict[str, Any]) -> None:
    place = place_of(document, "refund.computed")

    def lie(fields: list[Any]) -> None:
        effects = fields[4][2]
        at = next(n for n, (name, _) in enumerate(effects) if name == "due_high")
        effects[at][1] += 1

    leaf = alter(base64.b64decode(document["entries"][place]), lie)
    document["entries"][place] = base64.b64encode(leaf).decode()


def leave_out_a_delivery(document: dict[str, Any]) -> None:
    place = place_of(document, "service.delivered")
    del document["entries"][place], document["law"]["times"][place]


def raise_a_rate(document: dict[str, Any]) -> None:
    page = next(page for page in document["law"]["pages"] if page["series"] == "lpr_1y")
    page["points"][-1]["ppm"] += 1


def lower_a_price(document: dict[str, Any]) -> None:
    terms = base64.b64decode(document["law"]["terms"])
    changed = terms.replace(b'"price":3200', b'"price":3100')
    assert changed != terms
    document["law"]["terms"] = base64.b64encode(changed).decode()


def test_it_verifies_in_a_process_that_cannot_open_a_socket(
    network: Network, played: dict[str, Played]
) -> None:
    file = played["catering"].file
    assert file is not None
    result = verify_offline(file, network.devnet.state.genesis_hash)
    assert result.returncode == 0, result.stdout
    assert (
        "The computation is derived again; the last has 1 result, principal and interest are "
        "588.44 yuan."
    ) in result.stdout


@pytest.mark.parametrize(
    ("change", "step", "sentence"),
    [
        (
            state_a_fen_more,
            12,
            (
                r"The root of 22 entries is \w{64}, the state says \w{64}: some entry was "
                r"replaced, altered or moved\."
            ),
        ),
        (
            leave_out_a_delivery,
            12,
            r"The state counts 22 entries and the file holds 21: 1 missing\.",
        ),
        (raise_a_rate, 14, r"Entry \d+ states basis \w{64}; derived again it is \w{64}\."),
        (
            lower_a_price,
            14,
            r"The terms in the file are not those that the contract was signed on\.",
        ),
    ],
)
def test_a_file_that_was_changed_is_refused_and_the_step_named(
    network: Network,
    played: dict[str, Played],
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    step: int,
    sentence: str,
) -> None:
    original = played["catering"].file
    assert original is not None
    document = json.loads(original.read_bytes())
    change(document)
    file = tmp_path / "changed.json"
    file.write_bytes(encode_canonical(document))
    result = verify_offline(file, network.devnet.state.genesis_hash)
    assert result.returncode == 1
    assert f"Conclusion: inconsistent (step {step} failed)" in result.stdout
    failed = result.stdout.partition(f"\n{step:>2}  failed ")[2].splitlines()
    assert re.fullmatch(sentence, failed[2].strip()), failed[2]


# The command


def test_the_command_plays_verifies_and_leaves_files_for_everybody(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, out = network.devnet.directory, tmp_path / "out"
    assert main(["play", str(LIVES / "pets.json"), "--devnet", str(net), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "16 events through 4 nodes in " in said
    row = next(line for line in said.splitlines() if line.startswith("pets"))
    assert re.split("  +", row) == [
        "pets", *["1,260.00 to 1,261.45"] * 3, "11, 13, 15, 16, 17, 18(1)",
    ]  # fmt: skip
    assert sorted(path.name for path in out.iterdir()) == ["keys.json", "pets.case.json"]
    assert (out / "keys.json").stat().st_mode & 0o777 == 0o600
    shown = re.search(r"evidence-ledger (verify .*)$", said, re.MULTILINE)
    assert shown is not None
    assert main(shown[1].split()) == 0
    assert "Refund as of 2026-06-26; paid 2,100.00 yuan; terms " in capsys.readouterr().out
    assert main(["play", str(LIVES / "pets.json"), "--devnet", str(net), "-o", str(out)]) == 2
    assert capsys.readouterr().err.startswith(f"{out} exists and is not overwritten.\n")


def test_a_node_that_is_down_is_left_out_and_the_lives_are_played_through_the_others(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first node, which every round and every fetching begins with."""
    net, out = network.devnet.directory, tmp_path / "out"
    network.devnet.stop([0])
    try:
        assert main(["play", str(LIVES / "pets.json"), "--devnet", str(net), "-o", str(out)]) == 0
    finally:
        network.devnet.start([0])
        network.devnet.wait_ready([0])
    said = capsys.readouterr().out
    assert "16 events through 3 nodes in " in said
    url = network.devnet.state.nodes[0].api
    assert f"{url} does not answer and was left out. 该节点没有应答，已跳过。\n" in said
    row = next(line for line in said.splitlines() if line.startswith("pets"))
    assert row.count("1,260.00 to 1,261.45") == 3


OTHERWISE: dict[str, tuple[dict[str, Any], str]] = {
    "a-fen-more": (
        {"refund.computed": {"owed": {"low": 126000, "high": 126146, "results": 1}}},
        (
            "event 13, refund.computed of 2026-06-26 10:00: due_high is 126145 on the chain and "
            "126146 by hand"
        ),
    ),
    "beyond-custody": (
        {"funds.released": {"data": {"amount": 210001}}},
        (
            "event 8, funds.released of 2026-06-08 10:00: refused as insufficient_locked, where "
            "applied was written"
        ),
    ),
    "not-refused": (
        {"funds.released": {"refused": "frozen"}},
        "event 8, funds.released of 2026-06-08 10:00: applied, where refused as frozen was written",
    ),
    "not-found": (
        {"service.delivered": {"finding": "debit_after_loss"}},
        (
            "event 7, service.delivered of 2026-06-08 09:00: found none, where debit_after_loss "
            "was written"
        ),
    ),
    "out-of-shape": (
        {"service.delivered": {"data": {"item": "day", "units": -1, "debited": 0}}},
        (
            "event 7, service.delivered of 2026-06-08 09:00: not taken in: bad_field data of "
            "service.delivered: Expected `int` >= 0 - at `$.units`"
        ),
    ),
}
"""What is written otherwise in the pets' life, and what is said of it."""


def test_a_life_that_goes_otherwise_than_written_is_named_and_the_others_go_on(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, (changes, _) in OTHERWISE.items():
        document = json.loads((LIVES / "pets.json").read_bytes())
        document["terms"] = str(LIVES / document["terms"])
        for kind, change in changes.items():
            next(event for event in document["events"] if event["event"] == kind).update(change)
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    (tmp_path / "pets.json").write_text(json.dumps(document | {"events": pets_events()}))
    out = tmp_path / "out"
    arguments = ["play", str(tmp_path), "--devnet", str(network.devnet.directory), "-o", str(out)]
    assert main(arguments) == 1
    said = capsys.readouterr().out.splitlines()
    told = said[-2 * len(OTHERWISE) :]
    assert told[::2] == [
        f"{name}: {sentence}." for name, (_, sentence) in sorted(OTHERWISE.items())
    ]
    assert [line.partition("：")[0] for line in told[1::2]] == sorted(OTHERWISE)
    row = next(line for line in said if line.startswith("pets"))
    assert row.count("1,260.00 to 1,261.45") == 3


def pets_events() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads((LIVES / "pets.json").read_bytes())["events"]
    return events


def test_a_network_that_does_not_run_is_said_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, out = tmp_path / "net", tmp_path / "out"
    assert main(["devnet", "init", "--home", str(home)]) == 0
    capsys.readouterr()
    assert main(["play", "--devnet", str(home), "-o", str(out)]) == 1
    assert capsys.readouterr().err.startswith("No node answers any more. https://127.0.0.1:")
    assert not out.exists()
