"""Height 0, computed by everyone alike and voted on by nobody.

Entry 0 is the genesis document, entry 1 the header of height 0. The state at height 0 holds one
party record per institution, so that institutions sign transactions by the same rule as everyone.
"""

from __future__ import annotations

from contracts.execution import Chain, ExecutedBlock, Limits, make_claims
from contracts.parties import PartyKey, PartyRecord, party_stream
from contracts.streams import Parties, StateReader, StreamState
from genesis.document import Genesis
from ledger.block import (
    GENESIS_PARENT,
    HEADER_VERSION,
    Header,
    compute_block_hash,
    encode_genesis_entry,
    encode_header,
    encode_header_entry,
)
from ledger.merkle import Frontier, leaf_hash
from ledger.state_tree import StateTree
from ledger.stream import compute_state_key, compute_value_hash, encode_stored_stream


def institution_record(genesis: Genesis, replica: int) -> PartyRecord:
    """Return the party record an institution of genesis starts with."""
    institution = genesis.institutions[replica]
    return PartyRecord(
        party=institution.id,
        role=institution.role,
        district=institution.district,
        registrar=institution.id,
        registered_height=0,
        revoked_height=0,
        keys=[PartyKey(bytes.fromhex(institution.keys.party), 0, 0, [institution.id])],
    )


def compute_genesis_block(genesis: Genesis, tree: StateTree) -> ExecutedBlock:
    """Return block 0 over an empty state tree."""
    stored: list[tuple[str, bytes]] = []
    updates: dict[bytes, bytes] = {}
    for replica, institution in enumerate(genesis.institutions):
        stream = party_stream(institution.id)
        state = StreamState(record=institution_record(genesis, replica))
        value = state.encode()
        stored.append((stream, encode_stored_stream(value, state.peaks, state.newest)))
        updates[compute_state_key(stream)] = compute_value_hash(value)
    plan = tree.plan(updates)
    document_entry = encode_genesis_entry(genesis.raw)
    document_leaf = leaf_hash(document_entry)
    log = Frontier.empty().append(document_leaf)
    header = Header(
        version=HEADER_VERSION,
        chain_id=genesis.chain_id,
        height=0,
        parent_hash=GENESIS_PARENT,
        time_ms=genesis.time_ms,
        proposer=0,
        first_index=0,
        count=1,
        log_root=log.root(),
        state_root=plan.root,
        validators_hash=genesis.validators.hash,
        rule_pack_version=genesis.rule_pack.version,
    )
    header_bytes = encode_header(header)
    header_entry = encode_header_entry(header)
    header_leaf = leaf_hash(header_entry)
    return ExecutedBlock(
        header=header,
        header_bytes=header_bytes,
        block_hash=compute_block_hash(header_bytes),
        entries=[document_entry, header_entry],
        leaf_hashes=[document_leaf, header_leaf],
        encoded_outcomes=[],
        refused_count=0,
        rows=[],
        stored=stored,
        tree=plan,
        log=log.append(header_leaf),
        claims={},
    )


def limits_of(genesis: Genesis) -> Limits:
    """Return the parameters of genesis that decide admissibility."""
    return Limits(
        replay_window_ms=genesis.parameters.replay_window_ms,
        reference_window_ms=genesis.parameters.reference_window_ms,
    )


def chain_at(
    genesis: Genesis, reader: StateReader, tree: StateTree, header: Header, log: Frontier
) -> Chain:
    """Return the chain as it stands at an applied header."""
    header_bytes = encode_header(header)
    return Chain(
        chain_id=genesis.chain_id,
        validators=genesis.validators,
        limits=limits_of(genesis),
        reader=reader,
        parties=Parties(reader),
        claims=make_claims(reader),
        tree=tree,
        header=header,
        header_bytes=header_bytes,
        header_hash=compute_block_hash(header_bytes),
        log=log,
    )
