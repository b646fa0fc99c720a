"""What is known so far about one file: each step reads what earlier steps established.

A field is set by the step that verified it and by no other, and a later step that needs it runs
only when that one passed. Reading a field too early is a mistake of ours and raises
`AttributeError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import tags
from ledger.checkpoint import CertifiedCheckpoint
from ledger.evidence import ProvenStream, StateClaim
from ledger.hashing import tagged_hash
from ledger.merkle import verify_inclusion
from ledger.state_proof import verify_state_proof
from ledger.sum_tree import SumTotal
from ledger.tlog_proof import TlogProof
from verifier.evidence_file import EvidenceFile
from verifier.formats import Body, Entry, Envelope, Header
from verifier.life_replay import Books
from verifier.report import Bilingual, FactValue
from verifier.state_formats import PartyRecord, StateValue, read_state_proof, read_state_value
from verifier.trust_root import TrustRoot

if TYPE_CHECKING:
    from law.case import KnownPage


class Case:
    """One file under examination."""

    file: EvidenceFile
    """Set by step 1."""
    root: TrustRoot
    """Set by step 3; its chain id is the trusted one since step 2."""
    checkpoint: CertifiedCheckpoint
    """Set by step 4, with the proofs that all carry it."""
    proofs: dict[str, TlogProof]
    header: Header
    """Set by step 5: of the entry's block, or the one under which a history is proven."""
    state_header: Header
    """Set by step 5: whose state root the parties' records are under."""
    entries: tuple[Entry, ...]
    """Set by step 6."""
    blocks: dict[int, Header]
    """Set by step 6 of a record: the headers of its entries' blocks, by height."""
    omitted: Envelope
    """Set by step 6 of a record that is asked for an omission: what was promised."""
    bodies: tuple[Body, ...]
    """Set by step 7, in the order of the entries."""
    parties: dict[str, PartyRecord]
    """Set by step 9: the signers' records, by id."""
    state_value: StateValue
    """Set by step 12: the contract's own state value."""
    books: Books | None = None
    """Set by step 13 of a contract under terms: its amounts after all its entries."""
    working: Bilingual | None = None
    """Set by step 14: the derivation computed last, as text; None where nothing was computed."""

    total: SumTotal
    """Set by step 16: of the merchant's contracts."""
    sums: dict[str, int]
    """Set by step 16: over the merchant's contracts, in fen."""
    reached: SumTotal
    """Set by step 20: what the contracts of a schedule add up to."""
    reached_sums: dict[str, int]
    """Set by step 20: the same as `sums`, and `paid`."""
    stated_count: int = 0
    """Set by step 20: contracts of which what is owed was computed and not derived again."""

    def __init__(self, trusted_chain_id: bytes) -> None:
        self.trusted_chain_id = trusted_chain_id
        self.certified: dict[bytes, tuple[CertifiedCheckpoint, set[int]]] = {}
        """The note certified last, under `root`, with its cosigners; the lines of a schedule share
        it, and many of them have the same."""
        self.proven_parties: dict[tuple[bytes, ProvenStream], PartyRecord] | None = None
        """Records of the parties that were proven last, by the state root that each is under; the
        lines of a schedule share them, and most have merchant and custodian in common. One file
        alone has no party twice."""
        self.known_pages: dict[str, KnownPage] | None = None
        """Published pages that those lines have had; one file alone has none twice."""
        self.facts: dict[str, FactValue] = {}

    def share(self, other: Case) -> None:
        """Have in common with another case what was certified, proven and read of the same chain,
        so that each part is looked at once; `other` is of a line of the schedule that this is."""
        if self.proven_parties is None or self.known_pages is None:
            self.proven_parties, self.known_pages = {}, {}
        other.root, other.certified = self.root, self.certified
        other.proven_parties, other.known_pages = self.proven_parties, self.known_pages

    def check_inclusion(self, leaf: bytes, proof: TlogProof) -> None:
        """Raise `Rejected` unless the leaf stands where `proof` says, under the checkpoint."""
        tree = self.checkpoint.checkpoint
        verify_inclusion(leaf, proof.index, tree.size, proof.path, tree.root)

    def time_of(self, place: int) -> int:
        """Return the time of the block of a record's entry, ms."""
        return self.blocks[self.entries[place].height].time_ms

    def read_proven(self, proven: ProvenStream) -> StateValue:
        """Return a state value that `state_header` commits to; raise `Rejected`."""
        self._prove(proven.stream, tagged_hash(tags.STATE_VALUE, proven.value), proven.proof)
        return read_state_value(proven.value, f"state of {proven.stream!r}")

    def read_claim(self, claim: StateClaim) -> StateValue | None:
        """Return a state value, or None if `state_header` commits to none; raise `Rejected`."""
        if claim.value is None:
            self._prove(claim.stream, None, claim.proof)
            return None
        return self.read_proven(ProvenStream(claim.stream, claim.value, claim.proof))

    def _prove(self, stream: str, value_hash: bytes | None, proof: bytes) -> None:
        verify_state_proof(
            self.state_header.state_root,
            tagged_hash(tags.STATE_KEY, stream.encode()),
            value_hash,
            read_state_proof(proof, f"state of {stream!r}: proof"),
        )
