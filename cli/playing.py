"""Playing contracts' lives on a devnet: everybody signs what is theirs, and a court verifies.

Each run has a cast of its own, so that a network can be played on again and again: merchants and
consumers registered by the bank, a court and an arbitrator by regulator and bank. The lives run
beside one another and each in its order: event n of every life is sent in round n, each through
another node, and round n + 1 begins when all of round n is on the chain. A node that is down is
left out, and its part goes through the others. A life that goes otherwise than written stops there
and is told. What the offline verifier says comes from a process that is given a file and the
genesis hash and nothing else.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from cli.client import Client
from cli.demo import REGISTRAR
from cli.devnet import make_client
from cli.devnet_state import DevnetState
from cli.drafts import Draft
from cli.failure import Failure, unusable
from cli.founding import read_genesis
from cli.life import COMPUTED, Cast, Life, LifeEvent, make_commitments, make_draft
from cli.progress import Progress
from cli.submission import Result, Submitter, wait_height
from contracts.documents import account_stream
from ledger.signing import SEED_BYTES, SeedSigner
from node.private_files import write_file
from verifier.report import Words

ROOT: Final = Path(__file__).parents[1]
EXAMPLES: Final = ROOT / "examples"
PAGES: Final = ("lpr-1y", "deposit-1y", "rest-days-2025", "rest-days-2026")
"""Of `examples/published`: what the refund rules read beside a contract."""

ALREADY: Final = frozenset({"reference_reused", "version_not_above", "published_by_another"})
"""Somebody published it before; whether it is the same is seen when a contract names its hash."""

INSTITUTIONS: Final = {
    "custodian": "bank",
    "issuer": "payment",
    "regulator": "regulator",
    "district": "district",
}
"""Roles that institutions of genesis play, and whom to look for there."""

AUTHORITIES: Final = ("court", "arbitrator")

CONSUMERS: Final = ("consumer", "assignee")
"""Roles that the life's own consumers play: who signed, and who took the claim over."""


@dataclass(slots=True)
class Played:
    """What became of a life."""

    life: Life
    cast: Cast
    count: int = 0
    """Events that went as written."""
    trouble: Words | None = None
    """Where it went otherwise, and how; without a full stop."""
    computed: Result | None = None
    """The last computation of what is owed, as the chain has it."""
    file: Path | None = None
    report: dict[str, Any] = field(default_factory=dict)
    """What the offline verifier says, as JSON."""

    @property
    def on_chain(self) -> tuple[int, int, int] | None:
        """(lowest, highest, results) of the last computation's outcome."""
        if self.computed is None:
            return None
        said = dict(self.computed.effects)
        return int(said["due_low"]), int(said["due_high"]), int(said["results"])

    @property
    def offline(self) -> tuple[int, int, int] | None:
        """The same as the offline verifier derived it from the file."""
        owed = self.report.get("facts", {}).get("owed_fen")
        return None if owed is None else (owed["low"], owed["high"], owed["results"])

    @property
    def articles(self) -> list[str]:
        """The articles by which the offline verifier derived it."""
        found: list[str] = self.report.get("facts", {}).get("owed_articles", [])
        return found

    @property
    def is_as_written(self) -> bool:
        """Whether hand, chain and offline verifier agree, and nothing went otherwise."""
        owed = self.life.owed
        by_hand = (owed.low, owed.high, owed.results)
        return not self.trouble and by_hand == self.on_chain == self.offline


class Player:
    """Plays lives on one devnet, whose state names nodes, tokens and institutions' keys."""

    def __init__(self, state: DevnetState, run: str = "") -> None:
        self.state = state
        self.run = run or secrets.token_hex(3)
        self.genesis = read_genesis(Path(state.genesis))
        self.seeds = {one.id: bytes.fromhex(one.party_seed) for one in state.institutions}
        self.own: dict[str, bytes] = {}
        """Seeds made for this run, by party."""
        self.institutions = _find_institutions(state)
        self.left_out: list[str] = []
        """URLs of nodes that did not answer while it was played."""

    def play(self, lives: Sequence[Life], progress: Progress) -> list[Played]:
        """Play all lives to their ends; `progress` counts their events."""
        clients = [make_client(self.state, node.replica) for node in self.state.nodes]
        try:
            casts = [self._make_cast(life) for life in lives]
            registrations = self._make_registrations(lives, casts)
            submitter = self._submitter(clients)
            _register(registrations, submitter)
            self._publish(lives, casts, submitter)
            played = [Played(life, cast) for life, cast in zip(lives, casts, strict=True)]
            for place in range(max(len(life.file.events) for life in lives)):
                self._play_round(place, played, submitter, progress)
            self.left_out = submitter.left_out
            return played
        finally:
            for client in clients:
                client.close()

    def _make_cast(self, life: Life) -> Cast:
        name = life.name.replace("_", "-")
        parties = {
            **self.institutions,
            "merchant": f"m-{name}-{self.run}",
            "consumer": f"c-{name}-{self.run}",
            "assignee": f"a-{name}-{self.run}",
            **{role: f"{role}-{self.run}" for role in AUTHORITIES},
        }
        return Cast(f"{name}-{self.run}", parties, make_commitments(life))

    def _submitter(self, clients: Sequence[Client]) -> Submitter:
        seeds = self.seeds | self.own
        return Submitter(
            genesis=self.genesis,
            clients=clients,
            signers={party: SeedSigner(seed) for party, seed in seeds.items()},
            now_ms=_now_ms,
        )

    # Before the first event

    def _make_registrations(self, lives: Sequence[Life], casts: Sequence[Cast]) -> list[Draft]:
        """Return the drafts that register the cast, with keys made for it."""
        roles = {
            cast.parties[role]: role
            for life, cast in zip(lives, casts, strict=True)
            for role in ("merchant", *CONSUMERS, *AUTHORITIES)
            if role in ("merchant", "consumer")
            or any(role in event.by for event in life.file.events)
        }
        drafts = []
        district = self.institutions["district"]  # of a devnet: named like its government
        for party, role in roles.items():
            self.own[party] = secrets.token_bytes(SEED_BYTES)
            registrars = [REGISTRAR]
            if role in AUTHORITIES:
                registrars = [self.institutions["regulator"], REGISTRAR]
            key = SeedSigner(self.own[party]).public_key.hex()
            drafts.append(
                Draft(
                    kind="party.register",
                    data={
                        "district": district if role == "merchant" else "",
                        "keys": [key],
                        "party": party,
                        "role": "consumer" if role in CONSUMERS else role,
                    },
                    stream=f"party/{party}",
                    reference=f"register-{party}",
                    signers=registrars,
                )
            )
        return drafts

    def _publish(self, lives: Sequence[Life], casts: Sequence[Cast], submitter: Submitter) -> None:
        """Publish terms, rates, rest days and rules, each once for ever under one reference."""
        bank, regulator = self.institutions["custodian"], self.institutions["regulator"]
        drafts = {}
        for life in lives:
            reference = f"terms-{life.terms.hash[:16]}"
            stream = f"terms/{life.terms.template}"
            drafts[reference] = _publication(
                "terms.publish", life.terms_document, stream, reference, bank
            )
        for name in PAGES:
            page = msgspec.json.decode((EXAMPLES / "published" / f"{name}.json").read_bytes())
            page.pop("position", None)  # the ledger gives it
            reference = f"published-{name}"
            stream = f"published/{page['series']}"
            drafts[reference] = _publication("data.publish", page, stream, reference, regulator)
        for name in dict.fromkeys(pack for life in lives for pack in life.packs):
            pack = msgspec.json.decode((EXAMPLES / "rules" / f"{name}.v1.json").read_bytes())
            pack["publisher"] = regulator
            reference = f"rules-{name}"
            drafts[reference] = _publication(
                "rules.publish", pack, f"rules/{name}", reference, regulator
            )
        for life, cast in zip(lives, casts, strict=True):
            rate = life.file.account
            if rate is not None:
                page = {
                    "format": "evidence-ledger/published",
                    "points": [{"from": rate.from_, "ppm": rate.ppm}],
                    "series": f"account/{cast.account}",
                    "source": f"examples/lives/{life.name}",
                    "version": 1,
                }
                stream = account_stream(bank, cast.account)
                drafts[cast.account] = _publication(
                    "data.publish", page, stream, cast.account, bank
                )
        _require(submitter.submit(list(drafts.values()), _Silent()), ALREADY)

    # Events

    def _play_round(
        self, place: int, played: Sequence[Played], submitter: Submitter, progress: Progress
    ) -> None:
        going = [one for one in played if not one.trouble and place < len(one.life.file.events)]
        drafts = [make_draft(one.life, place, one.cast, _now_ms()) for one in going]
        results = submitter.submit(drafts, progress, is_ordered=False)
        for one, result in zip(going, results, strict=True):
            event = one.life.file.events[place]
            otherwise = _compare(event, result)
            if otherwise:
                one.trouble = Words(
                    f"第 {place + 1} 个事件，{event.at} 的 {event.event}：{otherwise.zh}",
                    f"event {place + 1}, {event.event} of {event.at}: {otherwise.en}",
                )
                continue
            one.count += 1
            if event.event == COMPUTED:
                one.computed = result

    # Afterwards

    def fetch(self, played: Sequence[Played], directory: Path, progress: Progress) -> None:
        """Fetch every contract's evidence file, each from another node, and verify it offline."""
        clients = [make_client(self.state, node.replica) for node in self.state.nodes]
        try:
            submitter = self._submitter(clients)
            for at, one in enumerate(played):
                if one.computed is not None:
                    self._fetch(one, one.computed.height, at, submitter, directory)
                progress.advance()
        finally:
            for client in clients:
                client.close()

    def _fetch(
        self, one: Played, height: int, at: int, submitter: Submitter, directory: Path
    ) -> None:
        def fetch(client: Client) -> bytes:
            wait_height(client, height, "certified_height")
            return client.history(one.cast.contract)

        one.file = directory / f"{one.life.name}.case.json"
        one.file.write_bytes(submitter.ask(at, fetch))
        one.report = verify_offline(one.file, self.state.genesis_hash)
        if one.report["failed_step"] and not one.trouble:
            one.trouble = describe_failed(one.report)

    def write_keys(self, path: Path) -> None:
        """Write the run's own keys, as `submit --keys` reads them; for this user only."""
        seeds = {party: seed.hex() for party, seed in self.own.items()}
        write_file(path, msgspec.json.format(msgspec.json.encode(seeds), indent=2) + b"\n")


class _Silent:
    def advance(self, count: int = 1) -> None:
        """Say nothing."""


def _register(registrations: Sequence[Draft], submitter: Submitter) -> None:
    """Register the cast; its keys sign when every node that answers has applied that block."""
    results = submitter.submit(registrations, _Silent(), is_ordered=False)
    _require(results, frozenset())
    submitter.wait_everywhere(max(result.height for result in results))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _find_institutions(state: DevnetState) -> dict[str, str]:
    found = {}
    for role, wanted in INSTITUTIONS.items():
        ids = [one.id for one in state.institutions if one.role == wanted]
        if not ids:
            raise unusable(
                f"The network has no {wanted}; lives are played with a bank, a payment company and "
                "a regulator and a district, so by four nodes or more.",
                f"网络中没有 {wanted} 角色的机构；演示合同的一生须有银行、支付机构、监管部门"
                "和区政府，即至少四个节点。",
            )
        found[role] = ids[0]
    return found


def _publication(
    kind: str, document: Mapping[str, Any], stream: str, reference: str, signer: str
) -> Draft:
    return Draft(
        kind=kind,
        data={"document": dict(document)},
        stream=stream,
        reference=reference,
        signers=[signer],
    )


def _require(results: Sequence[Result], but: frozenset[str]) -> None:
    """Raise `Failure` unless everything was applied, or refused with one of these codes."""
    for result in results:
        if result.status != "applied" and result.code not in but:
            said = f"{result.code} {result.detail}".strip()
            raise Failure(
                f"{result.kind} in {result.stream} was {result.status}: {said}.",
                f"{result.stream} 的 {result.kind} 未能执行：{result.why_zh}。",
            )


def _compare(event: LifeEvent, result: Result) -> Words | None:
    """Return how a result differs from what the life says, None if it does not."""
    if result.status == "rejected":
        return Words(
            f"未收下：{result.why_zh}", f"not taken in: {result.code} {result.detail}".strip()
        )
    if result.code != event.refused:
        is_, was = _tell_outcome(result.code), _tell_outcome(event.refused or "")
        return Words(f"{is_.zh}，而文件写明{was.zh}", f"{is_.en}, where {was.en} was written")
    written = [event.finding] if event.finding else []
    if result.findings != written:
        is_, was = _list(result.findings), _list(written)
        return Words(
            f"发现 {is_.zh}，而文件写明 {was.zh}", f"found {is_.en}, where {was.en} was written"
        )
    rules = [str(value) for name, value in result.effects if name == "rule"]
    if rules != event.rules:
        is_, was = _list(rules), _list(event.rules)
        return Words(
            f"违反 {is_.zh}，而文件写明 {was.zh}",
            f"breaches of {is_.en}, where {was.en} was written",
        )
    if event.owed is not None:
        said = dict(result.effects)
        for name, by_hand in (
            ("due_low", event.owed.low),
            ("due_high", event.owed.high),
            ("results", event.owed.results),
        ):
            if said.get(name) != by_hand:
                on_chain = said.get(name)
                return Words(
                    f"{name} 链上为 {on_chain}，手算为 {by_hand}",
                    f"{name} is {on_chain} on the chain and {by_hand} by hand",
                )
    return None


def _tell_outcome(code: str) -> Words:
    return Words(f"被拒绝（{code}）", f"refused as {code}") if code else Words("已执行", "applied")


def _list(names: Sequence[str]) -> Words:
    return Words("、".join(names) or "无", ", ".join(names) or "none")


def verify_offline(file: Path, genesis_hash: str) -> dict[str, Any]:
    """Verify in a process that is given file and hash and nothing else; return its report."""
    done = subprocess.run(
        [
            sys.executable, "-m", "verifier", str(file.absolute()),
            "--genesis-hash", genesis_hash, "--json",
        ],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )  # fmt: skip
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise Failure(
            "The verifier gave no report:", f"核验程序未给出报告：\n{done.stdout}{done.stderr}"
        ) from None
    return report


def describe_failed(report: Mapping[str, Any]) -> Words:
    """Return the step at which an offline report failed, and why."""
    step = report["steps"][report["failed_step"] - 1]
    number, name, said = step["number"], step["name"], step["explanation"]
    return Words(
        f"第 {number} 步，{name['zh']}：{said['zh'].removesuffix('。')}",
        f"step {number}, {name['en']}: {said['en'].removesuffix('.')}",
    )
