"""Height 0: computed by everyone alike."""

from __future__ import annotations

from contracts.parties import PartyKey, PartyRecord
from genesis.block import chain_at, compute_genesis_block, institution_record, limits_of
from genesis.document import parse_genesis
from ledger.block import Header, decode_entry, encode_genesis_entry, encode_header_entry
from ledger.merkle import compute_root, leaf_hash
from ledger.state_proof import verify_state_proof
from ledger.state_tree import StateTree
from ledger.stream import compute_state_key, compute_value_hash, decode_stored_stream
from tests.verifier.small_chain import START_MS, MemoryState, make_genesis

GENESIS = parse_genesis(make_genesis(5, "net.example"))


def test_block_zero_is_the_document_and_its_header() -> None:
    memory = MemoryState()
    tree = StateTree(memory.buckets.get)
    block = compute_genesis_block(GENESIS, tree)
    document = encode_genesis_entry(GENESIS.raw)
    assert block.header == Header(
        version=1,
        chain_id=GENESIS.chain_id,
        height=0,
        parent_hash=bytes(32),
        time_ms=START_MS,
        proposer=0,
        first_index=0,
        count=1,
        log_root=leaf_hash(document),
        state_root=block.tree.root,
        validators_hash=GENESIS.validators.hash,
        rule_pack_version=1,
    )
    assert block.entries == [document, encode_header_entry(block.header)]
    assert block.log.size == 2
    assert block.log.root() == compute_root([leaf_hash(entry) for entry in block.entries])
    assert [decode_entry(entry).index for entry in block.entries] == [0, 1]
    assert (block.outcomes, block.refused_count, block.rows) == ([], 0, [])


def test_every_institution_is_a_party_of_the_first_state() -> None:
    memory = MemoryState()
    tree = StateTree(memory.buckets.get)
    block = compute_genesis_block(GENESIS, tree)
    memory.streams.update(block.stored)
    memory.buckets.update({name: raw for name, raw in block.tree.buckets if raw is not None})
    tree.apply(block.tree)
    for replica, institution in enumerate(GENESIS.institutions):
        assert institution_record(GENESIS, replica) == PartyRecord(
            institution.id,
            "bank",
            "nanshan",
            institution.id,
            0,
            0,
            [PartyKey(bytes.fromhex(institution.keys.party), 0, 0, [institution.id])],
        )
        stream = f"party/{institution.id}"
        key = compute_state_key(stream)
        value = decode_stored_stream(memory.streams[stream]).value
        verify_state_proof(block.header.state_root, key, compute_value_hash(value), tree.prove(key))
    chain = chain_at(GENESIS, memory, tree, block.header, block.log)
    party = chain.party("bank-4")
    assert party is not None
    assert party.is_institution
    assert chain.party("bank-5") is None
    assert chain.header_hash == block.block_hash
    assert (chain.limits.replay_window_ms, chain.limits.reference_window_ms) == (
        GENESIS.parameters.replay_window_ms,
        GENESIS.parameters.reference_window_ms,
    )
    assert chain.limits == limits_of(GENESIS)


def test_another_document_is_another_chain() -> None:
    other = parse_genesis(make_genesis(5, "net2.example"))
    tree = StateTree(MemoryState().buckets.get)
    assert other.chain_id != GENESIS.chain_id
    assert (
        compute_genesis_block(other, tree).block_hash
        != compute_genesis_block(GENESIS, StateTree(MemoryState().buckets.get)).block_hash
    )
