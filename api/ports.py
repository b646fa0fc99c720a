"""What the API asks of the node: one port, and the values that cross it.

The API parses HTTP, checks tokens and writes answers; everything it knows about the chain it asks
of a `LedgerService`, which the node implements and the tests fake. Values are frozen, hold raw
bytes for hashes (hex is the web's spelling) and never a live object of the node. A method that is
not `async` answers from memory or an index within microseconds; an `async` one may wait. Refused
input is `ledger.refusal.Rejected`, inside `Refused` where one of many is meant; what is merely
absent is `None`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from genesis.document import Genesis
from ledger.block import Header
from ledger.receipt import BatchReceipt, IntakeReceipt
from ledger.refusal import Rejected

Level = Literal["committed", "certified"]
"""committed: decided by a quorum; certified: a quorum also cosigned a checkpoint that covers it."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a transaction stands on the chain, and what became of it."""

    tx_id: bytes
    index: int
    """Index of its entry in the log."""
    height: int
    time_ms: int
    """The block's header time."""
    status: Literal["applied", "refused"]
    code: str
    """Empty when applied, otherwise the contract's named reason."""
    effects: Sequence[tuple[str, int | str]]
    certified: bool
    stream: str
    """`contract/<id>`, `party/<id>` or `validator/<id>`."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A transaction this node holds and no block has yet."""

    tx_id: bytes
    received_ms: int
    height_max: int
    """What the intake receipt promised; 0 when another node took it in."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Taken in: the node promises a height."""

    tx_id: bytes
    receipt: IntakeReceipt | BatchReceipt
    """A batch receipt when several were submitted together: one object, shared by all of them."""


@dataclass(frozen=True, slots=True)
class Known:
    """Already on the chain: the same body again is answered with the same position."""

    position: Position


@dataclass(frozen=True, slots=True)
class Refused:
    """Not taken in."""

    rejected: Rejected
    tx_id: bytes | None = None
    """Known once the body could be read."""
    retry_after_s: int | None = None
    """For QUOTA_EXCEEDED and POOL_FULL: when to try again."""


Intake = Accepted | Known | Refused


@dataclass(frozen=True, slots=True)
class ContractView:
    """A stream's committed value at the newest applied height."""

    stream: str
    height: int
    """The height as of which the rest is true."""
    count: int
    """Transaction entries of the stream, refused ones included."""
    root: bytes
    """RFC 9162 root over their leaf hashes."""
    record: Mapping[str, Any] | None
    """The record as named values, bytes already in hex; None while only refused attempts exist."""
    merchant: str
    """Party ids; empty where there is no record or no such party."""
    custodian: str
    consumer_party: str


@dataclass(frozen=True, slots=True)
class CertificateView:
    """A quorum's commit votes of one view on one block."""

    view: int
    votes: Sequence[tuple[int, bytes]]
    """(replica number, Ed25519 signature), ascending."""


@dataclass(frozen=True, slots=True)
class BlockView:
    """A decided block, without any body."""

    header: Header
    block_hash: bytes
    certificate: CertificateView | None
    """None at height 0, which is computed and not voted."""
    tx_ids: Sequence[bytes]
    """In the block's order: the i-th has log index `header.first_index + i`."""
    certified: bool


@dataclass(frozen=True, slots=True)
class StatusView:
    """How this node is, in figures that are nobody's secret."""

    version: str
    """Version of the software."""
    mode: Literal["starting", "normal", "catching_up", "recovering", "halted"]
    detail: str
    """A sentence; empty in normal operation."""
    detail_zh: str
    """The same in Chinese."""
    height: int
    """Newest applied height."""
    block_hash: bytes
    time_ms: int
    """Header time of the newest applied block."""
    log_size: int
    log_root: bytes
    """RFC 9162 root of the log of `log_size` entries."""
    state_root: bytes
    certified_height: int
    certified_size: int
    """Size of the newest certified checkpoint; 0 while there is none."""
    view: int
    primary: int
    """Replica number expected to propose the next block."""
    validator_count: int
    quorum: int
    peers_connected: int
    pool_count: int
    """Transactions waiting for a block."""
    pool_bytes: int


class Unanswered(Exception):
    """Why there is no answer, as a whole sentence in English and in Chinese."""

    reason: ClassVar[str]
    """Of the problem that it is (`api.problems`)."""

    def __init__(self, detail: str, detail_zh: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.detail_zh = detail_zh


class NotFound(Unanswered):
    """What was asked for is not on the chain."""

    reason = "not_found"


class TooLong(Unanswered):
    """A record that is on the chain and longer than an answer may be."""

    reason = "record_too_long"


class Later(Unanswered):
    """There may be an answer in a while."""

    def __init__(self, detail: str, detail_zh: str, retry_after_s: int) -> None:
        super().__init__(detail, detail_zh)
        self.retry_after_s = retry_after_s


class NotCertified(Later):
    """On the chain, but no certified checkpoint covers it yet."""

    reason = "not_certified"


class Unavailable(Later):
    """The node cannot answer now (starting, catching up, shutting down); the sentence says why."""

    reason = "unavailable"

    def __init__(self, detail: str, detail_zh: str, retry_after_s: int = 5) -> None:
        super().__init__(detail, detail_zh, retry_after_s)


class DiskFailed(Unavailable):
    """The node's disk takes nothing any more, and the node stops."""

    def __init__(self) -> None:
        super().__init__(
            "nothing can be written to this node's disk; it stops",
            "本节点的磁盘无法写入；节点即将停止",
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for private fields: what is written down of every access, allowed or not."""

    token: str
    """The operator's name for the access token."""
    role: str
    subject: str
    """Party id or contract id."""
    request_id: str


@dataclass(frozen=True, slots=True)
class PrivateRecord:
    """Private fields of a contract as they once were."""

    commitment: bytes
    """What belongs on the chain (`ledger.disclosure`)."""
    created_ms: int
    replaces: bytes | None
    """Commitment of the record that this one corrects."""
    values: Mapping[str, str]
    """The fields that are not empty."""


@dataclass(frozen=True, slots=True)
class PrivateView:
    """All records of one contract, oldest first."""

    contract: str
    """Id, without `contract/`."""
    custodian: str
    records: Sequence[PrivateRecord]


@dataclass(frozen=True, slots=True)
class ErasedView:
    """What is left of erased records."""

    contract: str
    erased_ms: int
    commitments: Sequence[bytes]
    """They stand on the chain for ever and can no longer be opened by anybody."""


class NotEntitled(Exception):
    """The caller's token does not cover these private fields."""


class Conflict(Unanswered):
    """What is stored does not allow this."""

    reason = "conflict"


class Gone(Unanswered):
    """It was erased."""

    reason = "erased"


class PrivateFields(Protocol):
    """The custodian's store beside the chain, as the API sees it.

    Any method may raise `NotEntitled`, `NotFound`, `Gone` and `Unavailable`; each access is written
    down, without the values, before it is answered.
    """

    async def write(
        self, caller: Caller, contract: str, values: Mapping[str, str], replaces: bytes | None
    ) -> PrivateRecord:
        """Keep fields of a contract, or a correction; raise `Conflict`, `Rejected`."""

    async def read(self, caller: Caller, contract: str) -> PrivateView:
        """Return everything kept of a contract."""

    async def erase(self, caller: Caller, contract: str) -> ErasedView:
        """Destroy everything kept of a contract, salts and values, for good."""

    async def disclose(
        self, caller: Caller, contract: str, names: Sequence[str], commitment: bytes | None
    ) -> bytes:
        """Return a disclosure file of these fields, of the newest record unless one is named."""


class LedgerService(Protocol):
    """The node, as the API sees it. Any method may raise `Unavailable`."""

    @property
    def genesis(self) -> Genesis:
        """The chain's genesis document."""

    @property
    def node_id(self) -> str:
        """Id of the institution that runs this node."""

    async def submit(self, envelopes: Sequence[bytes], client: str) -> Sequence[Intake]:
        """Take in envelopes (MessagePack, not decoded yet); one result each, in order.

        `client` is the peer's network address, for quotas and logs. Never raises `Rejected`.
        """

    async def wait(self, tx_id: bytes, level: Level, timeout_s: float) -> Position | None:
        """Return the position once `level` is reached, None when the time is over."""

    def position(self, tx_id: bytes) -> Position | Pending | None:
        """Return where a transaction is."""

    def entry(self, tx_id: bytes) -> bytes | None:
        """Return a transaction's log entry, the exact leaf data."""

    def contract(self, stream: str) -> ContractView | None:
        """Return a stream; None when no entry ever named it."""

    async def proof(self, tx_id: bytes) -> str:
        """Return a C2SP tlog-proof of the entry; raise `NotFound` or `NotCertified`."""

    async def receipt(self, tx_id: bytes) -> bytes:
        """Return a COSE Receipt of the entry; raise `NotFound` or `NotCertified`."""

    def timestamps(self, size: int, *, is_joined: bool) -> bytes | None:
        """Return the first timestamped checkpoint of at least `size` entries with its tokens, JSON.

        With the consistency proof from `size` where it is to be joined; then `Unavailable` may be
        raised. None where there is none yet.
        """

    def witnesses(self, size: int) -> bytes | None:
        """Return the first witnessed checkpoint of at least `size` entries, JSON.

        None where there is none yet.
        """

    def post_quantum(self, size: int) -> bytes | None:
        """Return the first checkpoint of at least `size` entries with ML-DSA-44 lines, JSON.

        With the consistency proof from `size`. None where there is none yet.
        """

    def transaction_timestamps(self, tx_id: bytes) -> bytes:
        """Return the first timestamped checkpoint that covers a transaction, with a tlog-proof.

        JSON. Raises `NotFound`.
        """

    async def evidence(self, tx_id: bytes) -> bytes:
        """Return the evidence package, canonical JSON; raise `NotFound` or `NotCertified`."""

    async def history(self, contract_id: str) -> bytes:
        """Return a contract's complete history with its proof, JSON.

        `contract_id` is without the `contract/`. Raises `NotFound`, `TooLong` or `NotCertified`.
        """

    async def record(self, contract_id: str, question: bytes) -> bytes:
        """Return the part of a contract's record that answers `question` (JSON), an evidence file.

        Raises `Rejected` where the question is none or cannot be answered (yet), `NotFound` or
        `NotCertified`.
        """

    async def state(self, stream: str) -> bytes:
        """Return the evidence file of a stream's value at the newest height, or of its absence."""

    async def consistency(self, older_height: int, newer_height: int) -> bytes:
        """Return the evidence file that the log only grew; raise `NotFound` or `NotCertified`."""

    async def equivocation(self, validator: str, number: int) -> bytes:
        """Return the evidence file of a validator's `number`-th contradiction on the chain, from 0.

        Raises `NotFound`.
        """

    async def liabilities(self, contracts: Sequence[str], *, is_shown: bool) -> bytes:
        """Return the evidence that contracts are in their one merchant's total, canonical JSON.

        Ids are without the `contract/`. `is_shown`: with the contracts' own records, otherwise
        under names that say nobody's. Raises `NotFound` or `NotCertified`.
        """

    async def schedule(self, merchant: str, reader: str) -> AsyncGenerator[bytes, None]:
        """Return a merchant's schedule of claims, line by line: every contract under terms.

        `reader` says who takes it: of one few are made at a time. Raises `NotFound`, `NotCertified`
        or `Unavailable` before the first line; what fails later ends the answer.
        """

    async def block(self, height: int) -> BlockView | None:
        """Return a decided block."""

    def checkpoint(self) -> str | None:
        """Return the newest certified checkpoint with its signatures."""

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return exactly `width` (1..256) hashes of a tile of the certified tree, 32 bytes each."""

    def entry_bundle(self, index: int, width: int) -> bytes | None:
        """Return `width` (1..256) entries from 256·index on, each after its u16 length."""

    def platform(self) -> bytes:
        """Return what the institution says of this node, signed (`ledger.platform_statement`)."""

    def status(self) -> StatusView:
        """Return how this node is."""

    def find_failure(self) -> Unavailable | None:
        """Return why the process does not work at all (restart it), None where it does."""

    def find_obstacle(self) -> Unavailable | None:
        """Return why to send no requests here, None where they may come."""

    def metrics(self) -> bytes:
        """Return the metrics in Prometheus text format 0.0.4."""
