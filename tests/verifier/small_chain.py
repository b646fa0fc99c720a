"""A chain of four institutions in memory, made with the real ledger, contracts and genesis.

It decides nothing by vote: every block is committed by whom the test says. Because the test holds
all keys, it can also play a dishonest quorum: `forge` puts any leaf into the log and has it signed,
which is how the steps behind the Merkle proofs are reached with something wrong.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgpack
import msgspec

from contracts.custody import MERCHANT_PREFIX, ContractRecord
from contracts.execution import Chain, ExecutedBlock, execute_block, parse_candidate
from contracts.handling import Past
from contracts.papers import find_claim, plan_papers
from contracts.parties import INSTITUTION_ROLES, party_stream
from contracts.streams import StoredEntry, read_past, walk_back
from genesis.block import chain_at, compute_genesis_block
from genesis.document import Genesis, Parameters, parse_genesis
from ledger.block import Header, compute_block_hash, encode_header, encode_header_entry
from ledger.canonical import encode_canonical
from ledger.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from ledger.evidence import (
    LawPapers,
    ProvenStream,
    ShownContract,
    contract_stream,
    encode_history_evidence,
    encode_liabilities_evidence,
    encode_transaction_evidence,
)
from ledger.merkle import compute_root, inclusion_proof, leaf_hash
from ledger.note import format_note
from ledger.signing import SeedSigner
from ledger.state_tree import StateTree, encode_state_proof
from ledger.stream import (
    StreamValue,
    compute_state_key,
    compute_value_hash,
    decode_stored_stream,
    decode_stream_value,
    encode_stored_stream,
    encode_stream_value,
)
from ledger.tlog_proof import TlogProof, format_tlog_proof
from ledger.transaction import decode_transaction, encode_body, sign_transaction
from ledger.votes import (
    COMMIT,
    CommitCertificate,
    SignedBy,
    compute_vote_message,
    encode_commit_certificate,
)
from node.mldsa import MlDsaSigner
from sim.invented import encode_invented_genesis

START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
BLOCK_MS = 1_000
MONTH_MS = 2_592_000_000


def signer(name: str) -> SeedSigner:
    """The key of that name, always the same."""
    return SeedSigner(sha256(name.encode()).digest())


@dataclass
class MemoryState:
    """What execution reads, kept in dictionaries."""

    streams: dict[str, bytes] = field(default_factory=dict)
    heights: dict[bytes, int] = field(default_factory=dict)
    taken: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    buckets: dict[bytes, bytes] = field(default_factory=dict)
    entries: dict[bytes, StoredEntry] = field(default_factory=dict)

    def state(self, stream: str) -> bytes | None:
        return self.streams.get(stream)

    def transaction_height(self, tx_id: bytes) -> int | None:
        return self.heights.get(tx_id)

    def states(self, streams: Sequence[str]) -> list[bytes | None]:
        return [self.state(stream) for stream in streams]

    def references(self, keys: Sequence[bytes]) -> list[tuple[bytes, int] | None]:
        return [self.taken.get(key) for key in keys]

    def entry(self, tx_id: bytes) -> StoredEntry | None:
        return self.entries.get(tx_id)


def post_quantum_signer(network: str, at: int) -> MlDsaSigner:
    """The ML-DSA-44 key of `bank-<at>`, where a network has such keys."""
    return MlDsaSigner(sha256(f"{network} bank-{at} mldsa44".encode()).digest())


def make_genesis(
    count: int, network: str, roles: Sequence[str] = (), post_quantum: Collection[int] = ()
) -> bytes:
    return encode_invented_genesis(
        network,
        START_MS,
        [*roles[:count], *[INSTITUTION_ROLES[0]] * (count - len(roles))],
        Parameters(
            block_bytes_max=131_072,
            block_transactions_max=1_000,
            idle_block_interval_ms=60_000,
            intake_heights=10,
            proposal_clock_skew_ms=10_000,
            reference_window_ms=MONTH_MS,
            replay_window_ms=600_000,
            view_timeout_ms=1_000,
        ),
        lambda name: signer(f"{network} {name}"),
        "nanshan",
        {
            at: sha256(post_quantum_signer(network, at).public_key).hexdigest()
            for at in post_quantum
        },
    )


@dataclass
class Parts:
    """What a transaction's evidence is assembled from; a mutation replaces one of them."""

    genesis: bytes
    entry: bytes
    proof: bytes
    header: bytes
    header_proof: bytes
    certificate: bytes
    state_header: bytes
    state_header_proof: bytes
    parties: tuple[ProvenStream, ...]

    def encode(self) -> bytes:
        return encode_transaction_evidence(**vars(self))


class SmallChain:
    """The chain, its leaves, and everybody's keys."""

    def __init__(
        self,
        count: int = 4,
        network: str = "test.evidence.example",
        roles: Sequence[str] = (),
        post_quantum: Collection[int] = (),
    ) -> None:
        self.network = network
        self.genesis: Genesis = parse_genesis(make_genesis(count, network, roles, post_quantum))
        self.memory = MemoryState()
        tree = StateTree(self.memory.buckets.get)
        first = compute_genesis_block(self.genesis, tree)
        self.leaves: list[bytes] = []
        self.headers: list[Header] = []
        self._store(first)
        tree.apply(first.tree)
        self.chain: Chain = chain_at(self.genesis, self.memory, tree, first.header, first.log)
        self._salt = 0
        self.step_ms = BLOCK_MS
        """From one block to the next."""

    @property
    def chain_id(self) -> bytes:
        return self.genesis.chain_id

    @property
    def next_ms(self) -> int:
        return self.chain.header.time_ms + self.step_ms

    def body(
        self, kind: str, stream: str, data: dict[str, Any], *signers: str, **changes: Any
    ) -> bytes:
        self._salt += 1
        members: dict[str, Any] = {
            "data": data,
            "kind": kind,
            "not_after": self.next_ms + 60_000,
            "reference": f"R-{self._salt}",
            "salt": f"salt{self._salt:020}",
            "signers": signers,
            "stream": stream,
            "version": 1,
        }
        members |= changes
        return encode_body(**members)

    def key(self, party: str) -> SeedSigner:
        return signer(f"{self.network} {party} party")

    def signed(self, body: bytes, *signers: str) -> bytes:
        return sign_transaction(body, self.chain_id, [self.key(name) for name in signers])

    def submit(
        self, kind: str, stream: str, data: dict[str, Any], *signers: str, **changes: Any
    ) -> bytes:
        """Return the envelope of one transaction."""
        return self.signed(self.body(kind, stream, data, *signers, **changes), *signers)

    def commit(self, *envelopes: bytes) -> Header:
        """Execute a block and make it the newest."""
        candidates = [parse_candidate(decode_transaction(raw)) for raw in envelopes]
        height = self.chain.header.height + 1
        block = execute_block(
            self.chain,
            self.next_ms,
            candidates,
            proposer=height % len(self.genesis.institutions),
            rule_pack_version=1,
        )
        for place, row in enumerate(block.rows):
            self.memory.heights[row.tx_id] = height
            self.memory.entries[row.tx_id] = StoredEntry(
                block.entries[place],
                block.header.time_ms,
                row.previous,
                row.previous_applied,
            )
            if row.reference_key:
                self.memory.taken[row.reference_key] = (row.tx_id, block.header.time_ms)
        self._store(block)
        self.chain.adopt(block)
        return block.header

    def _store(self, block: ExecutedBlock) -> None:
        self.memory.streams.update(block.stored)
        for name, record in block.tree.buckets:
            assert record is not None
            self.memory.buckets[name] = record
        self.leaves += block.entries
        self.headers.append(block.header)

    def indices_of(self, stream: str) -> list[int]:
        """Log indices of a stream's entries, by what the bodies say."""
        quoted = f'"stream":"{stream}"'.encode()
        return [index for index, leaf in enumerate(self.leaves) if quoted in leaf]

    # Evidence, as an honest node would make it.

    def note(
        self,
        leaves: Sequence[bytes] | None = None,
        cosigners: Iterable[int] | None = None,
        log_signers: Iterable[int] = (0,),
        origin: str | None = None,
        time_s: int = START_MS // 1000 + 100,
    ) -> bytes:
        """A checkpoint over `leaves`; the i-th cosigner's clock says `time_s` + 10 i."""
        leaves = self.leaves if leaves is None else leaves
        count = len(self.genesis.institutions)
        root = compute_root([leaf_hash(leaf) for leaf in leaves])
        origin = origin or self.genesis.origin
        checkpoint = Checkpoint(origin, len(leaves), root)
        lines = [
            sign_checkpoint(checkpoint, signer(f"{self.network} bank-{at} log"))
            for at in log_signers
        ]
        lines += [
            cosign_checkpoint(
                checkpoint,
                f"{origin}/bank-{at}",
                signer(f"{self.network} bank-{at} cosign"),
                time_s + 10 * at,
            )
            for at in (range(count) if cosigners is None else cosigners)
        ]
        return format_note(checkpoint.text(), lines)

    def proof(
        self, index: int, note: bytes | None = None, leaves: Sequence[bytes] | None = None
    ) -> bytes:
        leaves = self.leaves if leaves is None else leaves
        path = inclusion_proof([leaf_hash(leaf) for leaf in leaves], index)
        note = self.note(leaves) if note is None else note
        return format_tlog_proof(TlogProof(index, tuple(path), note))

    def certificate(
        self,
        header: Header,
        replicas: Iterable[int] = (0, 1, 2),
        view: int = 0,
        phase: int = COMMIT,
        chain_id: bytes | None = None,
        signed_views: Sequence[int] = (),
    ) -> bytes:
        """Commits of `replicas`; `signed_views` are the views that they really signed."""
        block_hash = compute_block_hash(encode_header(header))
        commits = []
        for place, at in enumerate(replicas):
            message = compute_vote_message(
                phase,
                chain_id or self.chain_id,
                header.height,
                signed_views[place] if signed_views else view,
                block_hash,
            )
            vote_key = signer(f"{self.network} bank-{at % len(self.genesis.institutions)} vote")
            commits.append(SignedBy(at, vote_key.sign(message)))
        return encode_commit_certificate(
            CommitCertificate(header.height, view, block_hash, tuple(commits))
        )

    def proven(self, stream: str) -> ProvenStream:
        stored = decode_stored_stream(self.memory.streams[stream])
        proof = self.chain.tree.prove(compute_state_key(stream))
        return ProvenStream(stream, stored.value, encode_state_proof(proof))

    def parties(self, signers: Iterable[str]) -> tuple[ProvenStream, ...]:
        return tuple([self.proven(party_stream(name)) for name in sorted(set(signers))])

    def transaction(self, index: int, signers: Iterable[str], note: bytes | None = None) -> Parts:
        note = self.note() if note is None else note
        header = next(h for h in self.headers if h.first_index <= index < h.index)
        newest = self.headers[-1]
        return Parts(
            genesis=self.genesis.raw,
            entry=self.leaves[index],
            proof=self.proof(index, note),
            header=self.leaves[header.index],
            header_proof=self.proof(header.index, note),
            certificate=self.certificate(header),
            state_header=self.leaves[newest.index],
            state_header_proof=self.proof(newest.index, note),
            parties=self.parties(signers),
        )

    def history(self, contract: str, signers: Iterable[str], **changes: Any) -> bytes:
        stream = contract_stream(contract)
        newest = self.headers[-1]
        members: dict[str, Any] = {
            "contract": contract,
            "genesis": self.genesis.raw,
            "header": self.leaves[newest.index],
            "header_proof": self.proof(newest.index),
            "state": self.proven(stream) if stream in self.memory.streams else None,
            "entries": [self.leaves[index] for index in self.indices_of(stream)],
            "parties": self.parties(signers),
            "law": self.papers(stream),
        }
        members |= changes
        return encode_history_evidence(**members)

    def papers(self, stream: str) -> LawPapers | None:
        record = self.chain.stream(stream).record
        if not isinstance(record, ContractRecord):
            return None
        merchant = self.past(MERCHANT_PREFIX + record.merchant)
        plan = plan_papers(self.chain, stream, self.past(stream), merchant)
        return None if plan is None else plan()

    def past(self, stream: str) -> list[Past]:
        """Return all of a stream's transactions, refused ones too, oldest first."""
        entries = walk_back(self.chain.reader.entry, stream, self.chain.stream(stream))
        return [read_past(tx_id, stored) for tx_id, stored in entries][::-1]

    def liabilities(self, *contracts: str, is_shown: bool = True, **changes: Any) -> bytes:
        newest = self.headers[-1]
        claims = []
        for contract in contracts:
            stream = contract_stream(contract)
            found = find_claim(self.chain, stream)
            assert found is not None
            merchant, claim = found
            shown = ShownContract(self.proven(stream), self.proven(f"signed/{stream}"))
            claims.append(dataclasses.replace(claim, shown=shown if is_shown else None))
        members: dict[str, Any] = {
            "genesis": self.genesis.raw,
            "header": self.leaves[newest.index],
            "header_proof": self.proof(newest.index),
            "merchant": self.proven(f"merchant/{merchant}"),
            "claims": claims,
        }
        members |= changes
        return encode_liabilities_evidence(**members)


def alter(leaf: bytes, change: Callable[[list[Any]], None]) -> bytes:
    """Return leaf data with its array changed by `change`."""
    fields = msgpack.unpackb(leaf)
    change(fields)
    altered: bytes = msgpack.packb(fields)
    return altered


def forge(
    chain: SmallChain,
    leaves: dict[int, bytes] | None = None,
    records: dict[str, list[Any] | None] | None = None,
    roots: dict[str, tuple[int, bytes]] | None = None,
    changes: dict[str, Any] | None = None,
) -> SmallChain:
    """Return the chain as a quorum of liars would have it: every root and signature agrees.

    `leaves` replaces leaf data, `records` a stream's record, `roots` its count and root, and
    `changes` fields of the newest header; whatever follows from them is computed anew.
    """
    lying = copy.copy(chain)
    lying.leaves = list(chain.leaves)
    lying.headers = list(chain.headers)
    for index, leaf in (leaves or {}).items():
        lying.leaves[index] = leaf
    lying.memory = MemoryState()
    tree = StateTree(lying.memory.buckets.get)
    updates = {}
    for stream, stored in chain.memory.streams.items():
        hashes = [leaf_hash(lying.leaves[index]) for index in lying.indices_of(stream)]
        count, root = (roots or {}).get(stream, (len(hashes), compute_root(hashes)))
        record = decode_stream_value(decode_stored_stream(stored).value).record
        record = (records or {}).get(stream, record)
        value = encode_stream_value(StreamValue(count, root, record))
        lying.memory.streams[stream] = encode_stored_stream(value, b"", bytes(32))
        updates[compute_state_key(stream)] = compute_value_hash(value)
    plan = tree.plan(updates)
    for name, bucket in plan.buckets:
        assert bucket is not None
        lying.memory.buckets[name] = bucket
    tree.apply(plan)
    newest = msgspec.structs.replace(
        chain.headers[-1], **({"state_root": plan.root} | (changes or {}))
    )
    lying.headers[-1] = newest
    if newest.index < len(lying.leaves) and newest.index not in (leaves or {}):
        lying.leaves[newest.index] = encode_header_entry(newest)
    lying.chain = copy.copy(chain.chain)
    lying.chain.tree = tree
    return lying


def edit(raw: bytes, **changes: Any) -> bytes:
    """The same document, canonical, with members replaced; None takes one away."""
    document = json.loads(raw) | changes
    return encode_canonical({name: value for name, value in document.items() if value is not None})


@functools.cache
def busy_chain() -> SmallChain:
    """The chain of `open_busy_chain`, made once; nobody may go on with it."""
    return open_busy_chain()


def open_busy_chain() -> SmallChain:
    """Five heights: a merchant registered, a card opened, used, overdrawn, refunded, spoken of."""
    chain = SmallChain()
    card, other = "contract/card-1", "contract/card-2"

    def register(party: str, role: str) -> bytes:
        data = {"keys": [chain.key(party).public_key.hex()], "party": party, "role": role}
        return chain.submit("party.register", f"party/{party}", data, "bank-0")

    def terms(**more: Any) -> dict[str, Any]:
        return {
            "consumer": "ab" * 32,
            "custodian": "bank-1",
            "industry": "fitness",
            "merchant": "m-1",
            "terms_hash": "cd" * 32,
        } | more

    chain.commit(register("m-1", "merchant"), register("c-1", "consumer"))
    chain.commit(
        chain.submit("prepaid.prepay", card, {"amount": 500}, "m-1"),  # refused: not yet open
        chain.submit(
            "prepaid.open",
            card,
            terms(
                attesters={
                    "prepay": ["merchant", "custodian"],
                    "consume": ["merchant", "consumer"],
                    "refund": ["merchant"],
                },
                consumer_party="c-1",
            ),
            "m-1",
        ),
        chain.submit("prepaid.open", other, terms(), "m-1"),
    )
    chain.commit(
        chain.submit("prepaid.prepay", card, {"amount": 100_000}, "m-1", "bank-1"),
        chain.submit("prepaid.prepay", other, {"amount": 7}, "m-1"),
        chain.submit("prepaid.consume", card, {"amount": 9_950}, "m-1", "c-1"),
    )
    chain.commit(
        chain.submit("prepaid.consume", card, {"amount": 99_999}, "m-1", "c-1"),  # overdrawn
        chain.submit("prepaid.refund", card, {"amount": 50}, "m-1"),
        chain.submit("attest", card, {"statement": "confirmed", "tx_id": "ef" * 32}, "bank-2"),
    )
    chain.commit()
    return chain


CARD_SIGNERS = ("m-1", "c-1", "bank-1", "bank-2")
