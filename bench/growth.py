"""How much more a transaction costs when there are many contracts: the same work on two chains.

Two chains are built in this process on the real store, one with 1,000 contracts and one with as
many as asked for, of mixed kinds: plain prepaid ones and one template of each deal kind under the
law, all opened, paid into and used by real transactions in big blocks. Then blocks of one kind of
transaction after another are executed and stored on both, turn by turn, so that the machine's noise
meets both. What counts is CPU time: executing and storing, without parsing, signatures, consensus
and network, which know nothing of the number of contracts and would only flatter the ratio. A block
takes a contract at most once, at both sizes.
"""

from __future__ import annotations

import base64
import gc
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from cli.founding import default_backend
from contracts.execution import execute_block, parse_candidate
from genesis.document import Parameters, parse_genesis
from law.canonical import compute_hash, encode
from ledger.signing import SeedSigner
from ledger.transaction import decode_transactions, sign_transaction
from node.config import StorageConfig
from node.ledger_store import open_ledger
from node.server import open_keyvalue
from sim.invented import encode_invented_genesis
from storage.files import DiskDirectory

SMALL: Final = 1_000
"""Contracts of the chain compared with."""

MERCHANTS: Final = 100
FILL_BLOCK: Final = 4_000
"""Transactions of a block while a chain is built."""

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
TEMPLATES: Final = (
    ("housekeeping-hours.v1", "hour", 90_000),
    ("hair-card.v1", "cut", 100_000),
    ("catering-card.v1", "set-meal", 100_000),
    ("pets-boarding.v1", "boarding", 210_000),
    ("fitness-year.v1", "entry", 288_000),
    ("driving-c1.v1", "subject-1", 60_000),
)
"""Counted units, stored value, with bonus, period pass, unlimited use, milestones; with an item
that is delivered and a price."""

PLAIN_EVERY: Final = 4
"""Each fourth contract is a plain one."""

BANK: Final = "bank-0"
ROLES: Final = ("bank", "regulator", "district", "bank")
START_MS: Final = 1_767_225_600_000
NOTE: Final = "0f" * 32


@dataclass(frozen=True, slots=True)
class Cost:
    """What a transaction of one kind costs, CPU microseconds."""

    kind: str
    count: int
    """Transactions measured on each chain."""
    refused: int
    """Of both; a refusal costs less and would flatter."""
    small_us: float
    large_us: float

    @property
    def ratio(self) -> float:
        """How much more it costs with many contracts."""
        return self.large_us / self.small_us


@dataclass(slots=True)
class _Spent:
    cpu_s: float = 0.0
    count: int = 0
    refused: int = 0


class GrowthChain:
    """One chain on disk, and everybody's keys."""

    def __init__(self, home: Path, contract_count: int, merchant_count: int) -> None:
        self.contract_count = contract_count
        self.merchant_count = merchant_count
        self.spent: dict[str, _Spent] = defaultdict(_Spent)
        self._genesis = parse_genesis(_make_genesis())
        self._store, self._chain = open_ledger(
            DiskDirectory(home / "chain", create=True),
            open_keyvalue(home / "index", StorageConfig(backend=default_backend())),
            self._genesis,
        )
        self._chance = random.Random(20260101)
        self._count = 0
        self._keys: dict[str, SeedSigner] = {}
        self._terms: list[str] = []

    def build(self, say: Callable[[str, int, int], None]) -> None:
        """Register everybody, publish the law's documents, and open, pay and use the contracts."""
        self.run("", [self._register(self._merchant(at)) for at in range(self.merchant_count)])
        for at, (name, _, _) in enumerate(TEMPLATES):
            document = json.loads((EXAMPLES / "terms" / f"{name}.json").read_text("utf-8"))
            stream = f"terms/{document['template']['id']}"
            merchant = self._merchant(at % self.merchant_count)
            self.run("", [self._make("terms.publish", stream, {"document": document}, merchant)])
            self._terms.append(compute_hash(encode(document)))
        for name in ("lpr-1y", "deposit-1y", "rest-days-2025", "rest-days-2026"):
            document = json.loads((EXAMPLES / "published" / f"{name}.json").read_text("utf-8"))
            document.pop("position", None)
            stream = f"published/{document['series']}"
            self.run("", [self._make("data.publish", stream, {"document": document}, "bank-1")])
        done = 0
        for begin in range(0, self.contract_count, FILL_BLOCK):
            numbers = range(begin, min(begin + FILL_BLOCK, self.contract_count))
            for make in (self.sign, self.pay, self.use):
                self.run("", [make(number) for number in numbers])
            done += len(numbers)
            say("Opening contracts", done, self.contract_count)

    def run(self, kind: str, envelopes: Sequence[bytes]) -> None:
        """Commit a block and add what it took to a kind's account; without one, all must apply."""
        candidates = []
        for transaction in decode_transactions(envelopes):
            if isinstance(transaction, Exception):
                raise transaction
            candidates.append(parse_candidate(transaction))
        chain, store = self._chain, self._store
        begin = time.process_time()
        block = execute_block(chain, self._next_ms, candidates, proposer=0, rule_pack_version=1)
        store.commit(block, b"", chain.log)
        chain.adopt(block)
        taken = time.process_time() - begin
        refused = [outcome for outcome in block.outcomes if outcome.refused]
        if not kind and refused:
            raise RuntimeError(f"a transaction that builds the chain was refused: {refused[0]}")
        spent = self.spent[kind]
        spent.cpu_s += taken
        spent.count += len(candidates)
        spent.refused += len(refused)

    # Transactions

    def sign(self, number: int) -> bytes:
        """Open a contract."""
        merchant = self._merchant(number % self.merchant_count)
        consumer = _consumer(number)
        if _is_plain(number):
            return self._make(
                "prepaid.open",
                _stream(number),
                {
                    "consumer": consumer,
                    "custodian": BANK,
                    "industry": "fitness",
                    "merchant": merchant,
                    "terms_hash": NOTE,
                },
                merchant,
            )
        nobody = dict.fromkeys(
            (
                "beneficiary", "franchisor", "guardian", "holder", "landlord", "lender",
                "liquidation_obligor", "payer",
            )
        )  # fmt: skip
        return self._make(
            "contract.signed",
            _stream(number),
            {
                "card": "named",
                "custodian": BANK,
                "merchant": merchant,
                "persons": {"age_band": "adult", "party": consumer, **nobody},
                "prompted": [],
                "terms": self._terms[number % len(TEMPLATES)],
            },
            merchant,
        )

    def pay(self, number: int) -> bytes:
        """Pay the contract's price into custody."""
        price = TEMPLATES[number % len(TEMPLATES)][2]
        if _is_plain(number):
            merchant = self._merchant(number % self.merchant_count)
            data = {"amount": price, "channel": "ecny"}
            return self._make("prepaid.prepay", _stream(number), data, merchant)
        return self._make(
            "funds.locked",
            _stream(number),
            {
                "account": None,
                "amount": price,
                "bonus": 0,
                "channel": "ecny",
                "custody": "held",
                "vouchers": [],
            },
            BANK,
        )

    def use(self, number: int) -> bytes:
        """Deliver once."""
        merchant = self._merchant(number % self.merchant_count)
        if _is_plain(number):
            data = {"amount": 100, "item": "visit", "units": 1}
            return self._make("prepaid.consume", _stream(number), data, merchant)
        item = TEMPLATES[number % len(TEMPLATES)][1]
        data = {"debited": 100, "item": item, "units": 1}
        return self._make("service.delivered", _stream(number), data, merchant)

    def event(self, kind: str, number: int, data: dict[str, Any], *signers: str) -> bytes:
        """Return another event of a contract; its merchant signs where nobody is named."""
        merchant = self._merchant(number % self.merchant_count)
        return self._make(kind, _stream(number), data, *(signers or (merchant,)))

    def _register(self, party: str) -> bytes:
        data = {"keys": [self._key(party).public_key.hex()], "party": party, "role": "merchant"}
        return self._make("party.register", f"party/{party}", data, BANK)

    def _make(self, kind: str, stream: str, data: dict[str, Any], *signers: str) -> bytes:
        self._count += 1
        body = _encoder.encode(
            {
                "data": data,
                "kind": kind,
                "not_after": self._next_ms + 1_000,
                "reference": f"GROWTH-{self._count}",
                "salt": base64.urlsafe_b64encode(self._chance.randbytes(18)).decode(),
                "signers": signers,
                "stream": stream,
                "version": 1,
            }
        )
        keys = [self._key(signer) for signer in signers]
        return sign_transaction(body, self._genesis.chain_id, keys)

    def _key(self, party: str) -> SeedSigner:
        key = self._keys.get(party)
        if key is None:
            key = self._keys[party] = _key_of(f"{party} party")
        return key

    @property
    def _next_ms(self) -> int:
        return self._chain.header.time_ms + 1_000

    @staticmethod
    def _merchant(at: int) -> str:
        return f"merchant-{at}"


def _is_plain(number: int) -> bool:
    return number % PLAIN_EVERY == 0


def _stream(number: int) -> str:
    return f"contract/growth-{number:07d}"


def _key_of(name: str) -> SeedSigner:
    return SeedSigner(sha256(name.encode()).digest())


def _make_genesis() -> bytes:
    return encode_invented_genesis(
        "growth.example",
        START_MS,
        ROLES,
        Parameters(
            block_bytes_max=8_388_608,
            block_transactions_max=FILL_BLOCK,
            idle_block_interval_ms=60_000,
            intake_heights=10,
            proposal_clock_skew_ms=10_000,
            reference_window_ms=2_592_000_000,
            replay_window_ms=600_000,
            view_timeout_ms=1_000,
        ),
        _key_of,
    )


_encoder: Final = msgspec.json.Encoder(order="sorted")

# The work that is measured

Make = Callable[[GrowthChain, int], bytes]


def _say_event(kind: str, data: dict[str, Any], *signers: str) -> Make:
    return lambda chain, number: chain.event(kind, number, data, *signers)


PLAIN_WORK: Final[dict[str, Make]] = {
    "prepaid.prepay": GrowthChain.pay,
    "prepaid.consume": GrowthChain.use,
    "prepaid.refund": _say_event("prepaid.refund", {"amount": 10}),
}
LAW_WORK: Final[dict[str, Make]] = {
    "funds.locked": GrowthChain.pay,
    "service.delivered": GrowthChain.use,
    "funds.released": _say_event("funds.released", {"amount": 100}, BANK),
    "interest.accrued": _say_event("interest.accrued", {"amount": 3}, BANK),
    "gift.given": _say_event("gift.given", {"item": "towel", "worth": 500}),
    "cause.stated": _say_event("cause.stated", {"cause": "merchant", "standing": "claim"}),
}
ENDING_WORK: Final[tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...]] = (
    ("termination.requested", {"cure_until": None}, ()),
    ("refund.computed", {"as_of": "2026-01-20"}, (BANK,)),
    ("refund.paid", {"amount": 1, "payee": "", "source": "custody"}, (BANK,)),
)
"""The end of a contract, for a few of them; its consumer is the payee."""


def _consumer(number: int) -> str:
    """Return the commitment to a contract's consumer, hex."""
    return sha256(b"consumer %d" % number).hexdigest()


def run_growth(home: Path, contract_count: int, output: Path | None) -> int:
    """Measure, print the table, and write the figures to a file if one is named."""
    begin = time.perf_counter()

    def say(what: str, done: int, total: int) -> None:
        seconds = time.perf_counter() - begin
        print(f"{what}: {done:,} of {total:,} ({seconds:.0f} s)", file=sys.stderr, flush=True)

    costs = measure_growth(home, contract_count, say=say)
    print(f"\nkind                      µs at {SMALL:,}   µs at {contract_count:,}   ratio")
    for cost in costs:
        refused = f"   {cost.refused} refused" if cost.refused else ""
        print(
            f"{cost.kind:<24} {cost.small_us:>11.1f} {cost.large_us:>13.1f} "
            f"{cost.ratio:>7.2f}{refused}"
        )
    small, large = compute_mean(costs)
    print(f"{'all of them':<24} {small:>11.1f} {large:>13.1f} {large / small:>7.2f}")
    if output is not None:
        output.write_text(json.dumps([asdict(cost) for cost in costs], indent=2) + "\n")
    return 0


def compute_mean(costs: Sequence[Cost]) -> tuple[float, float]:
    """Return what a transaction costs on average, every transaction measured counting once."""
    count = sum([cost.count for cost in costs])
    return (
        sum([cost.small_us * cost.count for cost in costs]) / count,
        sum([cost.large_us * cost.count for cost in costs]) / count,
    )


def measure_growth(
    home: Path,
    contract_count: int,
    *,
    rounds: int = 8,
    block: int = 200,
    merchants: int = MERCHANTS,
    say: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Cost]:
    """Return each kind's cost at `SMALL` and at `contract_count` contracts.

    Raises `RuntimeError` when a transaction that builds a chain is refused.
    """
    chains = [GrowthChain(home / f"{count}", count, merchants) for count in (SMALL, contract_count)]
    for chain in chains:
        chain.build(say)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(rounds):
            _measure_turn(chains if turn % 2 else chains[::-1], turn, block)
            gc.collect()
            say("Measuring", turn + 1, rounds)
    finally:
        gc.enable()
        gc.unfreeze()
    return list(_compare(chains[0].spent, chains[1].spent))


def _measure_turn(chains: Sequence[GrowthChain], turn: int, block: int) -> None:
    chance = random.Random(turn)
    seed = chance.random()
    for kind, make, wants_plain in _list_work():
        for chain in chains:
            numbers = _choose(chain, random.Random(seed), wants_plain, block)
            chain.run(kind, [make(chain, number) for number in numbers])
    for chain in chains:
        numbers = [
            number for number in range(1 + turn * 40, chain.contract_count) if not _is_plain(number)
        ][:20]
        for kind, data, signers in ENDING_WORK:
            for_each = [
                data | {"payee": _consumer(number)} if "payee" in data else data
                for number in numbers
            ]
            pairs = zip(numbers, for_each, strict=True)
            chain.run(kind, [chain.event(kind, number, one, *signers) for number, one in pairs])
    for chain in chains:
        first = chain.contract_count
        chain.contract_count += block
        chain.run("opening", [chain.sign(number) for number in range(first, first + block)])
        chain.run("", [chain.pay(number) for number in range(first, first + block)])


def _list_work() -> Iterator[tuple[str, Make, bool]]:
    for kind, make in PLAIN_WORK.items():
        yield kind, make, True
    for kind, make in LAW_WORK.items():
        yield kind, make, False


def _choose(
    chain: GrowthChain, chance: random.Random, wants_plain: bool, count: int
) -> Iterable[int]:
    """Return different contracts, of one sort, that are not being ended."""
    half = chain.contract_count // 2
    numbers = [
        number for number in range(half, chain.contract_count) if _is_plain(number) is wants_plain
    ]
    return chance.sample(numbers, min(count, len(numbers)))


def _compare(small: dict[str, _Spent], large: dict[str, _Spent]) -> Iterator[Cost]:
    for kind, few in small.items():
        if kind:
            many = large[kind]
            yield Cost(
                kind,
                many.count,
                few.refused + many.refused,
                few.cpu_s / few.count * 1e6,
                many.cpu_s / many.count * 1e6,
            )
