"""A node in memory: the port `api.ports.LedgerService`, small enough to see through."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Sequence
from hashlib import sha256

from api.ports import (
    Accepted,
    BlockView,
    CertificateView,
    ContractView,
    Intake,
    Known,
    Level,
    NotCertified,
    NotFound,
    Pending,
    Position,
    Refused,
    StatusView,
    Unavailable,
)
from contracts.questions import read_question
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
from ledger.block import Header
from ledger.receipt import sign_receipt
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from ledger.transaction import (
    decode_transaction,
    encode_body,
    sign_batch,
    sign_transaction,
    verify_transaction_signatures,
)

TIME_MS = 1_767_225_600_000
PARTY = SeedSigner(sha256(b"party").digest())
MERCHANT = SeedSigner(sha256(b"merchant").digest())


def make_genesis() -> Genesis:
    keys = [sha256(word).hexdigest() for word in (b"cosign", b"log", b"vote")]
    institution = Institution(
        district="futian",
        endpoints=Endpoints(api="https://bank-a.example:8443", peer="bank-a.example:7000"),
        id="bank-a",
        keys=Keys(cosign=keys[0], log=keys[1], party=PARTY.public_key.hex(), vote=keys[2]),
        name=Name(en="Bank A", zh="甲银行"),
        role="bank",
        tls_certificate=base64.b64encode(b"certificate").decode(),
    )
    parameters = Parameters(
        block_bytes_max=1 << 20,
        block_transactions_max=1000,
        idle_block_interval_ms=60_000,
        intake_heights=10,
        proposal_clock_skew_ms=10_000,
        reference_window_ms=86_400_000,
        replay_window_ms=600_000,
        view_timeout_ms=2000,
    )
    return parse_genesis(
        encode_genesis(
            network="pilot.example",
            time_ms=TIME_MS,
            institutions=[institution],
            parameters=parameters,
            rule_pack=RulePack(id="prepaid", version=1),
        )
    )


GENESIS = make_genesis()


def make_body(number: int, contract: str = "c1", stream: str = "") -> bytes:
    return encode_body(
        data={"amount": number + 1},
        kind="prepaid.prepay",
        not_after=TIME_MS + 60_000,
        reference=f"r{number}",
        salt="c2FsdC1zYWx0LXNhbHQtc2FsdA",
        signers=["m1"],
        stream=stream or f"contract/{contract}",
        version=1,
    )


def make_envelope(number: int, contract: str = "c1", stream: str = "") -> bytes:
    return sign_transaction(make_body(number, contract, stream), GENESIS.chain_id, [MERCHANT])


def make_batch(count: int) -> list[bytes]:
    return sign_batch([make_body(number) for number in range(count)], GENESIS.chain_id, MERCHANT)


class FakeNode:
    """Takes in, and puts on the chain when told to."""

    genesis = GENESIS
    node_id = "bank-a"

    def __init__(self) -> None:
        self.pending: dict[bytes, tuple[bytes, str]] = {}
        self.positions: dict[bytes, Position] = {}
        self.entries: dict[bytes, bytes] = {}
        self.submitted: list[list[bytes]] = []
        self.clients: list[str] = []
        self.changed = asyncio.Event()
        self.arrived = asyncio.Event()
        self.refuse_with: Refused | None = None
        self.fail_with: Exception | None = None
        self.obstacle: Unavailable | None = None

    async def submit(self, envelopes: Sequence[bytes], client: str) -> list[Intake]:
        if self.fail_with is not None:
            raise self.fail_with
        self.submitted.append(list(envelopes))
        self.clients.append(client)
        self.arrived.set()
        return [self.take_in(raw) for raw in envelopes]

    def take_in(self, raw: bytes) -> Intake:
        if self.refuse_with is not None:
            return self.refuse_with
        tx_id = None
        try:
            transaction = decode_transaction(raw)
            tx_id = transaction.tx_id
            verify_transaction_signatures(transaction, GENESIS.chain_id)
        except Rejected as rejected:
            return Refused(rejected, tx_id)
        if tx_id in self.positions:
            return Known(self.positions[tx_id])
        self.pending[tx_id] = (raw, transaction.body.stream)
        receipt = sign_receipt(
            PARTY, self.node_id, GENESIS.chain_id, tx_id, received_ms=TIME_MS, height_max=11
        )
        return Accepted(tx_id, receipt)

    def commit(self, *, certified: bool = False) -> None:
        for tx_id, (raw, stream) in self.pending.items():
            index = 2 + len(self.positions)
            self.entries[tx_id] = raw
            self.positions[tx_id] = Position(
                tx_id, index, 1, TIME_MS + 1, "applied", "", [("paid", 5)], certified, stream
            )
        self.pending.clear()
        self.changed.set()

    def certify(self) -> None:
        for tx_id, p in self.positions.items():
            self.positions[tx_id] = Position(
                p.tx_id, p.index, p.height, p.time_ms, p.status, p.code, p.effects, True, p.stream
            )
        self.changed.set()

    async def wait(self, tx_id: bytes, level: Level, timeout_s: float) -> Position | None:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    position = self.positions.get(tx_id)
                    if position is not None and (level == "committed" or position.certified):
                        return position
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return None

    def position(self, tx_id: bytes) -> Position | Pending | None:
        if self.fail_with is not None:
            raise self.fail_with
        if tx_id in self.pending:
            return Pending(tx_id, TIME_MS, 11)
        return self.positions.get(tx_id)

    def entry(self, tx_id: bytes) -> bytes | None:
        return self.entries.get(tx_id)

    def contract(self, stream: str) -> ContractView | None:
        if stream not in ("contract/c1", "contract/c2"):
            return None
        merchant = "m1" if stream == "contract/c1" else "m2"
        record = {"merchant": merchant, "custodian": "bank-a", "consumer": "ab" * 32, "paid": 5}
        return ContractView(stream, 1, 3, bytes(32), record, merchant, "bank-a", "")

    def _require_certified(self, tx_id: bytes) -> Position:
        position = self.positions.get(tx_id)
        if position is None:
            raise NotFound(
                f"transaction {tx_id.hex()} is not on the chain", f"交易 {tx_id.hex()} 不在链上"
            )
        if not position.certified:
            raise not_certified(2)
        return position

    async def proof(self, tx_id: bytes) -> str:
        return f"c2sp.org/tlog-proof@v1\nindex {self._require_certified(tx_id).index}\n\n…\n"

    async def receipt(self, tx_id: bytes) -> bytes:
        return b"receipt %d" % self._require_certified(tx_id).index

    def timestamps(self, size: int, *, is_joined: bool) -> bytes | None:
        if size > 3:
            return None
        return b'{"path":[],"size":3}' if is_joined else b'{"size":3}'

    def witnesses(self, size: int) -> bytes | None:
        return b'{"size":4}' if size <= 4 else None

    def post_quantum(self, size: int) -> bytes | None:
        return b'{"size":5}' if size <= 5 else None

    def platform(self) -> bytes:
        return b'{"statement":{}}'

    def transaction_timestamps(self, tx_id: bytes) -> bytes:
        return b'{"index":%d}' % self._require_certified(tx_id).index

    async def evidence(self, tx_id: bytes) -> bytes:
        return b'{"index":%d}' % self._require_certified(tx_id).index

    async def history(self, contract_id: str) -> bytes:
        if self.contract(f"contract/{contract_id}") is None:
            raise NotFound(
                f"no entry ever named contract/{contract_id}",
                f"链上没有任何条目提及 contract/{contract_id}",
            )
        if not any(position.certified for position in self.positions.values()):
            raise NotCertified(
                f"the history of contract/{contract_id} is not certified yet",
                f"contract/{contract_id} 的完整记录尚未认证",
                3,
            )
        return b'{"contract":"%s"}' % contract_id.encode()

    async def record(self, contract_id: str, question: bytes) -> bytes:
        asked = read_question(question)
        return b'{"contract":"%s","ask":"%s"}' % (
            contract_id.encode(),
            type(asked).__name__.lower().encode(),
        )

    async def state(self, stream: str) -> bytes:
        return b'{"stream":"%s"}' % stream.encode()

    async def consistency(self, older_height: int, newer_height: int) -> bytes:
        if older_height > newer_height:
            raise NotFound(
                f"heights {older_height} and {newer_height} are not in order",
                f"高度 {older_height} 与 {newer_height} 次序不对",
            )
        return b'{"older":%d,"newer":%d}' % (older_height, newer_height)

    async def equivocation(self, validator: str, number: int) -> bytes:
        if number:
            raise NotFound(
                f"the chain holds 1 proofs against {validator}, counted from 0",
                f"链上有 1 份针对 {validator} 的自相矛盾证据，自 0 起编号",
            )
        return b'{"validator":"%s"}' % validator.encode()

    async def liabilities(self, contracts: Sequence[str], *, is_shown: bool) -> bytes:
        for contract_id in contracts:
            if self.contract(f"contract/{contract_id}") is None:
                raise NotFound(
                    f"no contract under terms was signed as contract/{contract_id}",
                    f"没有以 contract/{contract_id} 为名、依条款订立的合同",
                )
        if not any(position.certified for position in self.positions.values()):
            raise not_certified(3)
        return json.dumps({"claims": list(contracts), "shown": is_shown}).encode()

    async def schedule(self, merchant: str, reader: str) -> AsyncGenerator[bytes, None]:
        if merchant != "m1":
            raise NotFound(
                f"merchant {merchant} has no contract under terms",
                f"经营者 {merchant} 没有依条款订立的合同",
            )
        if not any(position.certified for position in self.positions.values()):
            raise not_certified(3)
        return self._schedule_lines()

    async def _schedule_lines(self) -> AsyncGenerator[bytes, None]:
        for line in (b'{"merchant":"m1"}\n', b'{"contract":"c1"}\n'):
            await asyncio.sleep(0)
            yield line

    async def block(self, height: int) -> BlockView | None:
        if height > 1:
            return None
        zero = bytes(32)
        header = Header(
            version=1,
            chain_id=GENESIS.chain_id,
            height=height,
            parent_hash=zero,
            time_ms=TIME_MS,
            proposer=0,
            first_index=0 if height == 0 else 2,
            count=1 if height == 0 else len(self.positions),
            log_root=zero,
            state_root=zero,
            validators_hash=zero,
            rule_pack_version=1,
        )
        certificate = None if height == 0 else CertificateView(0, [(0, bytes(64)), (2, bytes(64))])
        tx_ids = [] if height == 0 else list(self.positions)
        return BlockView(header, bytes([height]) * 32, certificate, tx_ids, True)

    def checkpoint(self) -> str | None:
        certified = any(position.certified for position in self.positions.values())
        return f"{GENESIS.origin}\n3\nAAAA\n\n— sig\n" if certified else None

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        return b"h" * 32 * width if (level, index) in ((0, 0), (1, 1_234_067)) else None

    def entry_bundle(self, index: int, width: int) -> bytes | None:
        return b"\0\1e" * width if index == 0 else None

    def status(self) -> StatusView:
        return StatusView(
            version="0.1.0",
            mode="normal",
            detail="",
            detail_zh="",
            height=1,
            block_hash=bytes(32),
            time_ms=TIME_MS,
            log_size=3,
            log_root=bytes(32),
            state_root=bytes(32),
            certified_height=1,
            certified_size=3,
            view=0,
            primary=0,
            validator_count=1,
            quorum=1,
            peers_connected=0,
            pool_count=len(self.pending),
            pool_bytes=0,
        )

    def find_failure(self) -> Unavailable | None:
        return self.obstacle

    def find_obstacle(self) -> Unavailable | None:
        return self.obstacle

    def metrics(self) -> bytes:
        return b"ledger_height 1\n"


def not_certified(retry_after_s: int) -> NotCertified:
    return NotCertified(
        f"not certified yet; try again in {retry_after_s} s",
        f"尚未认证；请在 {retry_after_s} 秒后再试",
        retry_after_s,
    )


def refusal(reason: Reason, retry_after_s: int | None = None) -> Refused:
    return Refused(Rejected(reason, f"it is {reason}"), bytes(32), retry_after_s)
