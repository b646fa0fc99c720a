"""`evidence-ledger bench`: how many transactions a second, at what cost, against what bound.

A devnet of n nodes runs on loopback with everything switched on (TLS, durable votes, state tree,
receipts, cosignatures). Contracts are opened until the state is as large as asked for; then two
loads are posted through the API of all nodes, each signed beforehand: individually signed, and
batch-signed by 100. What counts is what is committed, read from the nodes themselves. With
`--catch-up` one node is then killed, the others go on without it, and it has to fetch and execute
what it missed: the ratio is its rate to that of the individually signed live load just measured.
With `--evidence` reading is measured instead (`bench.reading`).
With `--dead` nodes are killed in the middle of a load: the ratio is the rate after to that before.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import json
import os
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.bound import measure_bound
from bench.growth import run_growth
from bench.load import LoadMaker, Merchant
from bench.posting import post_load, post_probes
from bench.processes import read_cpu_s, read_memory_bytes
from bench.reading import (
    VERIFIED,
    BesideLoad,
    Reader,
    ReadingProcess,
    ReadingResult,
    measure_reading,
    sample_transactions,
)
from cli.arguments import Parser, choose_parser
from cli.client import Unreachable
from cli.devnet import Devnet, open_devnet
from cli.devnet_addresses import Layout
from cli.devnet_state import DevnetNode, DevnetState
from genesis.document import parse_genesis
from ledger.signing import SeedSigner
from ledger.transaction import encode_body, sign_transaction
from ledger.validators import compute_faulty_max

MERCHANTS: Final = 8
REQUEST_SIZE: Final = 500
PER_NODE: Final = 3
"""Requests under way at each node; with 500 transactions each, 6,000 in four nodes' hands."""

PROBE_INTERVAL_S: Final = 0.5
CATCH_UP_POLL_S: Final = 0.1
PAUSE_POLL_S: Final = 0.2
NODES_FOR_ONE_AWAY: Final = 4
"""The fewest of which a quorum remains when one is away."""

EVIDENCE_RATE: Final = 500
"""Evidence requests a second beside full load, of all nodes together."""

REST_POLL_S: Final = 1.0
REST_SHARE: Final = 0.05
"""Of one core: nodes that use less, each in the mean, rest. Without load it is a hundredth."""
REST_MAX_S: Final = 60.0

STEADY: Final = 1.1
"""Times that the signature bound may move during a load before its ratio says little."""

WARM_UP_S: Final = 5.0
"""Posted before the clock starts, so that pools and caches are as they stay."""


@dataclass(frozen=True, slots=True)
class Result:
    """One load's figures."""

    load: str
    seconds: float
    transactions: int
    rate: float
    """Committed transactions per second."""
    ratio: float
    """`rate` ÷ `bound`."""
    bound: float
    """Signature bound, tx/s: the mean of `bounds`."""
    bounds: tuple[float, float]
    """The same just before and just after this load: how far the machine's speed moved."""
    cpu_us: float
    """CPU microseconds per transaction and replica, worker processes included."""
    sender_cpu_us: float
    """CPU microseconds per transaction that the load generator used."""
    latency_ms: dict[str, list[float]]
    """Per level: 50th, 95th and 99th percentile."""
    block_size: float
    """Transactions per block."""
    memory_mb: float
    """Largest resident memory of a node."""


@dataclass(frozen=True, slots=True)
class CatchUpResult:
    """How fast a node that was away caught up by blocks, nobody posting."""

    transactions: int
    """How many it was behind."""
    seconds: float
    """From its first answer until it was at the others' height."""
    rate: float
    """Transactions per second."""
    ratio: float
    """`rate` ÷ the individually signed live rate of the same run."""
    start_s: float
    """From the process's start to its first answer."""


@dataclass(frozen=True, slots=True)
class DeadResult:
    """One load, individually signed and posted to those that live on, before and after deaths."""

    dead: int
    """Nodes killed between the halves."""
    alive_rate: float
    """Committed transactions per second with all alive."""
    dead_rate: float
    """The same from the kill on: what noticing it costs is in it."""
    ratio: float
    """`dead_rate` ÷ `alive_rate`."""
    alive_pause_s: float
    """Longest time without a new block, all alive, to within `PAUSE_POLL_S`."""
    dead_pause_s: float
    """The same from the kill on."""


def make_parser(program: type[Parser] = Parser) -> Parser:
    """Return the command's arguments."""
    say = program.say
    parser = program(
        prog="evidence-ledger bench",
        description=say(
            "Measure throughput end to end on this machine, against its signature bound.",
            "在本机测量端到端的吞吐量，并与验签速度的上限比较。",
        ),
        epilog=say(
            "example:\n  evidence-ledger bench --nodes 4 --seconds 60 --contracts 100000",
            "示例：\n  evidence-ledger bench --nodes 4 --seconds 60 --contracts 100000",
        ),
    )
    parser.add_argument(
        "--nodes", type=int, default=4, help=say("institutions (default 4)", "机构数（默认 4）")
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=60,
        help=say("per load (default 60)", "每种负载的秒数（默认 60）"),
    )
    parser.add_argument(
        "--contracts",
        type=int,
        default=100_000,
        help=say("in the state before", "开始时状态中已有的合同数"),
    )
    parser.add_argument(
        "--load",
        choices=("individual", "batch", "both"),
        default="both",
        help=say(
            "how transactions are signed: each by itself, many at once, or both in turn (default)",
            "交易的签名方式：逐笔、整批，或两者先后各测一次（默认）",
        ),
    )
    parser.add_argument(
        "--catch-up",
        type=int,
        default=0,
        metavar="N",
        help=say(
            "then leave a node N transactions behind and measure how fast it catches up",
            "随后使一个节点落后 N 笔交易，测量其追赶的速度",
        ),
    )
    parser.add_argument(
        "--growth",
        type=int,
        default=0,
        metavar="N",
        help=say(
            "instead, without a network: what a transaction costs with N contracts of mixed "
            "kinds, as a ratio to its cost with 1,000",
            "不建立网络，只测量：有 N 份各类合同时一笔交易的开销，与 1,000 份时之比",
        ),
    )
    parser.add_argument(
        "--dead",
        type=int,
        default=0,
        metavar="N",
        help=say(
            "then kill N nodes in the middle of a load: the rate after as a ratio to before",
            "随后在负载之中终止 N 个节点：其后与其前的速率之比",
        ),
    )
    parser.add_argument(
        "--evidence",
        action="store_true",
        help=say(
            "instead of the loads' own figures: what reading evidence costs a node, as a ratio to "
            "a constant of the same size; its latency beside full load, and what that load loses",
            "不测各负载本身，改测读取证据的开销，与读取同样大小的固定内容之比；"
            "满负载时读取的延迟，以及负载因此损失多少",
        ),
    )
    parser.add_argument(
        "--rate-max",
        type=int,
        default=14_000,
        help=say("loads are signed for this", "负载按此速率预先签名"),
    )
    parser.add_argument(
        "--no-tls",
        action="store_true",
        help=say("plain HTTP on loopback", "本机回环地址上使用明文 HTTP"),
    )
    parser.add_argument(
        "--home", type=Path, help=say("keep the network's folder here", "网络目录存放于此并保留")
    )
    parser.add_argument(
        "--json", type=Path, help=say("write the figures to a file", "将测得的数值写入文件")
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = make_parser(choose_parser(sys.argv[1:] if argv is None else argv))
    arguments = parser.parse_args(argv)
    if arguments.catch_up and (arguments.load == "batch" or arguments.nodes < NODES_FOR_ONE_AWAY):
        parser.error(
            f"--catch-up wants the individually signed load beside it, and at least "
            f"{NODES_FOR_ONE_AWAY} nodes, so that the others go on without one"
        )
    if not 0 <= arguments.dead <= compute_faulty_max(arguments.nodes):
        parser.error(
            f"--dead {arguments.dead}: of {arguments.nodes} nodes "
            f"{compute_faulty_max(arguments.nodes)} may be dead, so that the others go on"
        )
    with tempfile.TemporaryDirectory(prefix="evidence-ledger-bench-") as folder:
        if arguments.growth:
            return run_growth(Path(folder), arguments.growth, arguments.json)
        home = arguments.home or Path(folder) / "devnet"
        if arguments.evidence:
            return _run_evidence(arguments, home)
        results, caught_up, dead = _run(arguments, home)
    _print_table(arguments, results)
    if caught_up is not None:
        _print_catch_up(caught_up)
    if dead is not None:
        _print_dead(dead)
    if arguments.json is not None:
        document = {
            "results": [asdict(result) for result in results],
            "catch_up": None if caught_up is None else asdict(caught_up),
            "dead": None if dead is None else asdict(dead),
        }
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


def _run(
    arguments: argparse.Namespace, home: Path
) -> tuple[list[Result], CatchUpResult | None, DeadResult | None]:
    state = open_devnet(Layout(home, arguments.nodes, is_tls=not arguments.no_tls), _say)
    _raise_quotas(state)
    with Devnet(home, state) as devnet:
        devnet.start()
        devnet.wait_ready()
        bench = Bench(devnet, arguments)
        bench.register()
        bench.fill(arguments.contracts)
        loads = ("individual", "batch") if arguments.load == "both" else (arguments.load,)
        results = [bench.measure(load) for load in loads]
        caught_up = dead = None
        if arguments.catch_up:
            caught_up = bench.catch_up(arguments.catch_up, results[0].rate)
        if arguments.dead:
            dead = bench.measure_dead(arguments.dead)
        return results, caught_up, dead


class _ConstantDevnet(Devnet):
    """Nodes that also answer a constant."""

    def command(self, node: DevnetNode) -> list[str]:
        """Return the command line of a node's process."""
        return ["bench.constant_node" if word == "cli" else word for word in super().command(node)]


def _run_evidence(arguments: argparse.Namespace, home: Path) -> int:
    state = open_devnet(Layout(home, arguments.nodes, is_tls=not arguments.no_tls), _say)
    _raise_quotas(state)
    with _ConstantDevnet(home, state) as devnet, ReadingProcess() as process:
        devnet.start()
        devnet.wait_ready()
        bench = Bench(devnet, arguments)
        bench.register()
        bench.fill(arguments.contracts)
        reading = bench.measure_reading(process)
        _print_reading(reading)
        beside = bench.measure_beside(process)
        _print_beside(beside)
    if arguments.json is not None:
        document = {"reading": asdict(reading), "beside": asdict(beside)}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


class Bench:
    """A running devnet and the loads for it."""

    def __init__(self, devnet: Devnet, arguments: argparse.Namespace) -> None:
        self._devnet = devnet
        self._arguments = arguments
        state = devnet.state
        self._genesis = parse_genesis(Path(state.genesis).read_bytes())
        self._apis = [node.api for node in state.nodes]
        self._context = (
            ssl.create_default_context(cafile=state.authority) if state.authority else None
        )
        self._merchants = [
            Merchant(f"bench-merchant-{at}", SeedSigner(bytes([at + 1]) * 32))
            for at in range(MERCHANTS)
        ]

    def register(self) -> None:
        """Register the load's merchants."""
        institution = self._devnet.state.institutions[0]
        signer = SeedSigner(bytes.fromhex(institution.party_seed))
        with self._devnet.client(0) as client:
            for merchant in self._merchants:
                body = encode_body(
                    data={
                        "keys": [merchant.signer.public_key.hex()],
                        "party": merchant.party,
                        "role": "merchant",
                    },
                    kind="party.register",
                    not_after=_not_after(),
                    reference=f"register-{merchant.party}",
                    salt=os.urandom(16).hex(),
                    signers=[institution.id],
                    stream=f"party/{merchant.party}",
                    version=1,
                )
                client.post(
                    sign_transaction(body, self._genesis.chain_id, [signer]), wait="certified"
                )

    def fill(self, count: int) -> None:
        """Open contracts until the state holds `count`."""
        _say(f"Opening {count} contracts.")
        requests = self._maker().open_contracts(count, REQUEST_SIZE)
        begin = time.perf_counter()
        asyncio.run(
            post_load(self._apis, self._context, requests, per_node=PER_NODE, is_over=lambda: False)
        )
        self._settle()
        _say(f"Opened at {count / (time.perf_counter() - begin):,.0f} a second.")

    def measure(self, load: str) -> Result:
        """Sign a load, post it, and return its figures."""
        arguments = self._arguments
        is_batch = load == "batch"
        rate_max = arguments.rate_max if is_batch else int(self._bound(arguments.nodes))
        count = int(rate_max * (arguments.seconds + 2 * WARM_UP_S))
        _say(f"Signing {count} transactions ({load}).")
        maker = self._maker()
        requests = list(
            maker.prepayments(arguments.contracts, count, REQUEST_SIZE, is_batch_signed=is_batch)
        )
        probe_count = int((arguments.seconds + 10) / PROBE_INTERVAL_S)
        probes = [
            request[3:] if request[0] == 0xDC else request[1:]
            for request in maker.prepayments(
                arguments.contracts, probe_count, 1, is_batch_signed=False, opened_size=REQUEST_SIZE
            )
        ]
        gc.collect()
        gc.freeze()
        _say(f"Posting for {arguments.seconds:g} s.")
        before = self._bound(arguments.nodes)  # signing took a while
        result = asyncio.run(self._measure(load, iter(requests), probes))
        bounds = (before, self._bound(arguments.nodes))
        bound = statistics.mean(bounds)
        return dataclasses.replace(result, bound=bound, bounds=bounds, ratio=result.rate / bound)

    async def _measure(self, load: str, requests: Iterator[bytes], probes: list[bytes]) -> Result:
        is_over = False
        pids = [self._devnet.process(node.replica).pid for node in self._devnet.state.nodes]
        posting = asyncio.create_task(
            post_load(
                self._apis, self._context, requests, per_node=PER_NODE, is_over=lambda: is_over
            )
        )
        await asyncio.sleep(WARM_UP_S)
        probing = asyncio.create_task(
            post_probes(
                self._apis,
                self._context,
                iter([_unwrap(probe) for probe in probes]),
                interval_s=PROBE_INTERVAL_S,
                is_over=lambda: is_over,
            )
        )
        begin_count, begin_height, begin = await asyncio.to_thread(self._committed)
        begin_cpu = sum([read_cpu_s(pid) for pid in pids])
        begin_own = time.process_time()
        await asyncio.sleep(self._arguments.seconds)
        end_count, end_height, end = await asyncio.to_thread(self._committed)
        end_cpu = sum([read_cpu_s(pid) for pid in pids])
        own = time.process_time() - begin_own
        memory = max([read_memory_bytes(pid) for pid in pids])
        is_over = True
        latencies = await probing
        posted = await posting
        await asyncio.to_thread(self._settle)
        done = end_count - begin_count
        rate = done / (end - begin)
        if posted.refused:
            _say(f"{posted.refused} transactions were refused.")
        return Result(
            load=load,
            seconds=end - begin,
            transactions=done,
            rate=rate,
            ratio=0.0,
            bound=0.0,
            bounds=(0.0, 0.0),
            cpu_us=(end_cpu - begin_cpu) / max(done, 1) / len(pids) * 1e6,
            sender_cpu_us=own / max(done, 1) * 1e6,
            latency_ms={level: _percentiles(values) for level, values in latencies.items()},
            block_size=done / max(end_height - begin_height, 1),
            memory_mb=memory / 1e6,
        )

    def measure_reading(self, process: ReadingProcess) -> ReadingResult:
        """Measure what reading costs the first node, with nothing else to do."""
        _say("Reading, with nobody posting.")
        with self._devnet.client(0) as client:
            self._transactions = sample_transactions(client)
            files = [client.evidence(tx_id) for tx_id in self._transactions[:VERIFIED]]
        return asyncio.run(
            measure_reading(
                process,
                self._readers()[0],
                self._devnet.process(0).pid,
                self._transactions,
                files,
                self._genesis.chain_id,
                self._arguments.seconds,
                _say,
            )
        )

    def measure_beside(self, process: ReadingProcess) -> BesideLoad:
        """Post one individually signed load; alone, beside readers, and alone again."""
        seconds = self._arguments.seconds
        count = int(self._bound(self._arguments.nodes) * (3 * seconds + 2 * WARM_UP_S))
        _say(f"Signing {count} transactions (individual).")
        requests = list(
            self._maker().prepayments(
                self._arguments.contracts, count, REQUEST_SIZE, is_batch_signed=False
            )
        )
        gc.collect()
        gc.freeze()
        return asyncio.run(self._measure_beside(process, iter(requests)))

    async def _measure_beside(
        self, process: ReadingProcess, requests: Iterator[bytes]
    ) -> BesideLoad:
        is_over = False
        seconds = self._arguments.seconds
        posting = asyncio.create_task(
            post_load(
                self._apis, self._context, requests, per_node=PER_NODE, is_over=lambda: is_over
            )
        )
        await asyncio.sleep(WARM_UP_S)
        everywhere = range(len(self._apis))
        rates = []
        paths = [f"/v1/transactions/{tx_id}/evidence" for tx_id in self._transactions]
        read = None
        pids = [self._devnet.process(node.replica).pid for node in self._devnet.state.nodes]
        cpu_per_tx = []
        for is_read in (False, True, False):
            _say(f"Posting for {seconds:g} s, {'beside' if is_read else 'without'} readers.")
            reading = (
                asyncio.create_task(process.read(self._readers(), paths, seconds, EVIDENCE_RATE))
                if is_read
                else None
            )
            begin_cpu = sum([read_cpu_s(pid) for pid in pids])
            rate, _ = await asyncio.to_thread(self._watch, everywhere)
            cpu_s = sum([read_cpu_s(pid) for pid in pids]) - begin_cpu
            rates.append(rate)
            cpu_per_tx.append((rate, cpu_s / seconds))
            if reading is not None:
                read = await reading
        is_over = True
        if posting.done():
            _say("The load was over before the time was: the last rate is too low.")
        await posting
        await asyncio.to_thread(self._settle)
        assert read is not None, "the second spell reads"
        alone = (rates[0] + rates[2]) / 2
        answered = read.count - read.refused
        cores = os.cpu_count() or 1
        # What the nodes used beside readers, less what that many transactions cost without.
        cost_per_tx = (cpu_per_tx[0][1] + cpu_per_tx[2][1]) / max(rates[0] + rates[2], 1.0)
        of_nodes = max(cpu_per_tx[1][1] - rates[1] * cost_per_tx, 0.0)
        return BesideLoad(
            asked=EVIDENCE_RATE,
            answered=answered / read.seconds,
            refused=read.refused,
            latency_ms=_percentiles(read.latencies_s),
            alone_rate=alone,
            beside_rate=rates[1],
            fall=1 - rates[1] / max(alone, 1.0),
            share=(of_nodes + read.own_cpu_s / read.seconds) / cores,
        )

    def _readers(self) -> list[Reader]:
        state = self._devnet.state
        return [
            Reader(node.api, state.authority or "", node.tokens["auditor"]) for node in state.nodes
        ]

    def catch_up(self, count: int, live_rate: float) -> CatchUpResult:
        """Kill the last node, let the others commit `count`, and time how it catches up."""
        away = len(self._apis) - 1
        others = range(away)
        known, _, _ = self._committed([away])
        self._devnet.kill(away)
        _say(f"Posting {count} transactions to the other {away}.")
        requests = self._maker().prepayments(
            self._arguments.contracts, count, REQUEST_SIZE, is_batch_signed=True
        )
        asyncio.run(
            post_load(
                self._apis[:away],
                self._context,
                requests,
                per_node=PER_NODE,
                is_over=lambda: False,
            )
        )
        self._settle(others)
        target, _, _ = self._committed(others)
        _say(f"The node is {target - known} transactions behind and starts.")
        started = time.perf_counter()
        self._devnet.start([away])
        at, begin = self._first_answer(away)
        done, end = at, begin
        while done < target:
            time.sleep(CATCH_UP_POLL_S)
            done, _, end = self._committed([away])
        rate = (target - at) / max(end - begin, CATCH_UP_POLL_S)
        return CatchUpResult(target - at, end - begin, rate, rate / live_rate, begin - started)

    def measure_dead(self, dead: int) -> DeadResult:
        """Post one load, kill the last `dead` nodes in its middle, and compare its halves."""
        arguments = self._arguments
        living = len(self._apis) - dead
        bound = self._bound(living)  # those that live on may have the processor of the dead
        count = int(bound * 2 * (arguments.seconds + WARM_UP_S))
        _say(f"Signing {count} transactions (individual).")
        requests = list(
            self._maker().prepayments(
                arguments.contracts, count, REQUEST_SIZE, is_batch_signed=False
            )
        )
        gc.collect()
        gc.freeze()
        return asyncio.run(self._measure_dead(dead, range(living), iter(requests)))

    async def _measure_dead(
        self, dead: int, living: range, requests: Iterator[bytes]
    ) -> DeadResult:
        is_over = False
        posting = asyncio.create_task(
            post_load(
                self._apis[: len(living)],
                self._context,
                requests,
                per_node=PER_NODE,
                is_over=lambda: is_over,
            )
        )
        await asyncio.sleep(WARM_UP_S)
        _say(f"Posting to {len(living)} nodes for {self._arguments.seconds:g} s, all alive.")
        alive_rate, alive_pause_s = await asyncio.to_thread(self._watch, living)
        for replica in range(len(living), len(self._apis)):
            self._devnet.kill(replica)
        _say(f"Killed {dead}; posting on for {self._arguments.seconds:g} s.")
        dead_rate, dead_pause_s = await asyncio.to_thread(self._watch, living)
        is_over = True
        if posting.done():
            _say("The load was over before the time was: the rate after the kill is too low.")
        await posting
        await asyncio.to_thread(self._settle, living)
        return DeadResult(
            dead,
            alive_rate,
            dead_rate,
            dead_rate / max(alive_rate, 1.0),
            alive_pause_s,
            dead_pause_s,
        )

    def _watch(self, replicas: Iterable[int]) -> tuple[float, float]:
        """Return (transactions a second, longest time without a block) over the load's seconds."""
        chosen = list(replicas)
        begin_count, height, begin = self._committed(chosen)
        count, changed, now, pause_s = begin_count, begin, begin, 0.0
        while now - begin < self._arguments.seconds:
            time.sleep(PAUSE_POLL_S)
            count, newest, now = self._committed(chosen)
            pause_s = max(pause_s, now - changed)
            if newest > height:
                height, changed = newest, now
        return (count - begin_count) / (now - begin), pause_s

    def _first_answer(self, replica: int) -> tuple[int, float]:
        """Return (transactions committed at a node that starts, time) as soon as it answers."""
        while True:
            self._devnet.check_alive()
            try:
                count, _, at = self._committed([replica])
            except Unreachable:
                time.sleep(CATCH_UP_POLL_S)
            else:
                return count, at

    def _committed(self, replicas: Iterable[int] | None = None) -> tuple[int, int, float]:
        """Return (transactions committed at the slowest of these nodes, its height, time)."""
        counts = []
        for replica in range(len(self._apis)) if replicas is None else replicas:
            with self._devnet.client(replica) as client:
                status = client.status()
                counts.append((status["log_size"] - status["height"] - 2, status["height"]))
        return *min(counts), time.perf_counter()

    def _settle(self, replicas: Iterable[int] | None = None) -> None:
        """Wait until these nodes' pools are empty and they are at one height."""
        chosen = list(range(len(self._apis)) if replicas is None else replicas)
        while True:
            seen = []
            for replica in chosen:
                with self._devnet.client(replica) as client:
                    status = client.status()
                    seen.append((status["height"], status["pool_count"]))
            if len(set(seen)) == 1 and seen[0][1] == 0:
                return
            time.sleep(0.2)

    def _bound(self, node_count: int) -> float:
        """Return the signature bound as the machine is now: its neighbours come and go."""
        cores = os.cpu_count() or 1
        self._rest()
        _say(f"Measuring the signature bound on {cores} cores.")
        return measure_bound(cores, node_count)

    def _rest(self) -> None:
        """Wait until the nodes rest: for seconds after a load they merge what it wrote, and what
        that takes of the processor would be missing in the bound."""
        pids = [self._devnet.process(node.replica).pid for node in self._devnet.state.nodes]
        end = time.monotonic() + REST_MAX_S
        while time.monotonic() < end:
            self._devnet.check_alive()
            before_s = sum([read_cpu_s(pid) for pid in pids])
            time.sleep(REST_POLL_S)
            used_s = sum([read_cpu_s(pid) for pid in pids]) - before_s
            if used_s < REST_SHARE * REST_POLL_S * len(pids):
                return
        _say(f"The nodes did not rest within {REST_MAX_S:g} s: the bound comes out too low.")

    def _maker(self) -> LoadMaker:
        return LoadMaker(
            self._genesis.chain_id,
            self._merchants,
            self._genesis.institutions[0].id,
            _not_after(),
        )


def _unwrap(request: bytes) -> bytes:
    """Return the one envelope inside a request of one (bin 8, 16 or 32)."""
    header = {0xC4: 2, 0xC5: 3, 0xC6: 5}[request[0]]
    return request[header:]


def _not_after() -> int:
    return time.time_ns() // 1_000_000 + 3_000_000


def _percentiles(values: list[float]) -> list[float]:
    if len(values) < 2:
        return [value * 1000 for value in values]
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return [round(cuts[at - 1] * 1000, 1) for at in (50, 95, 99)]


def _raise_quotas(state: DevnetState) -> None:
    """Let the load's eight merchants send what a city's thousands would."""
    from node.config import load_config, render_config
    from node.home import NodeHome

    for node in state.nodes:
        home = NodeHome(Path(node.home))
        config = load_config(home)
        quotas = type(config.quotas)(
            pool_transactions_max=config.quotas.pool_transactions_max,
            pool_bytes_max=config.quotas.pool_bytes_max,
            transactions_per_second_per_submitter=1_000_000,
            burst_per_submitter=1_000_000,
        )
        home.config.write_text(render_config(dataclasses.replace(config, quotas=quotas)))


def _print_table(arguments: argparse.Namespace, results: list[Result]) -> None:
    bounds = ", ".join([f"{result.bound:,.0f} ({result.load})" for result in results])
    print(f"\nsignature bound of this machine at n={arguments.nodes}, tx/s: {bounds}")
    print("load        tx/s    ratio  cpu µs/tx/replica  sender µs/tx  committed ms 50/95/99")
    for result in results:
        latency = "/".join([f"{value:.0f}" for value in result.latency_ms["committed"]])
        print(
            f"{result.load:<10} {result.rate:>6,.0f}  {result.ratio:>6.2f}  {result.cpu_us:>17.1f}"
            f"  {result.sender_cpu_us:>12.1f}  {latency}"
        )
        latency = "/".join([f"{value:.0f}" for value in result.latency_ms["certified"]])
        print(
            f"           certified ms 50/95/99 {latency}; {result.block_size:,.0f} tx a block; "
            f"memory {result.memory_mb:.0f} MB"
        )
        before, after = result.bounds
        if max(before, after) > STEADY * min(before, after):
            print(
                f"           the machine was not steady: its bound was {before:,.0f} before and "
                f"{after:,.0f} after; measure again"
            )


def _print_catch_up(result: CatchUpResult) -> None:
    print(
        f"\ncatching up by blocks, no live load: {result.transactions:,} transactions in "
        f"{result.seconds:.1f} s, {result.rate:,.0f} tx/s, {result.ratio:.2f} times the "
        f"individually signed live rate; {result.start_s:.1f} s until its first answer"
    )


def _print_dead(result: DeadResult) -> None:
    print(
        f"\n{result.dead} dead of the nodes, individually signed: {result.dead_rate:,.0f} tx/s, "
        f"{result.ratio:.2f} times the {result.alive_rate:,.0f} tx/s with all alive; longest "
        f"without a block {result.dead_pause_s:.1f} s, {result.alive_pause_s:.1f} s before"
    )


def _print_reading(result: ReadingResult) -> None:
    print(
        f"\nevidence of one transaction, {result.evidence_bytes:,.0f} bytes: "
        f"{result.evidence_us:,.0f} µs of the node's processor, {result.rate:,.0f} a second on one "
        f"core; a constant of that size {result.constant_us:,.0f} µs; ratio {result.ratio:.2f}\n"
        f"verifying one offline: {result.verify_us:,.0f} µs with {result.signatures:.1f} signature "
        f"checks, {result.verify_ratio:.2f} times these alone"
    )


def _print_beside(result: BesideLoad) -> None:
    latency = "/".join([f"{value:.0f}" for value in result.latency_ms])
    print(
        f"beside full load {result.answered:,.0f} evidence requests a second of {result.asked:g} "
        f"asked, {result.refused} refused, ms 50/95/99 {latency}; committed "
        f"{result.beside_rate:,.0f} tx/s against {result.alone_rate:,.0f} without: "
        f"{result.fall:.1%} less, and reading took {result.share:.1%} of the machine"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
