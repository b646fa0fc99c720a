"""Steps 2 to 6: from the hash a person trusts to an entry's place in the log.

The chain of reasons: the trusted hash fixes the genesis document, the document fixes institutions,
keys and quorum, a quorum's cosignatures fix one tree of the log, and an inclusion proof fixes what
stands at one index of that tree. Nothing is believed that does not hang on this chain.
"""

from __future__ import annotations

from ledger.checkpoint import (
    CertifiedCheckpoint,
    count_cosignatures,
    parse_checkpoint_text,
    verify_log_signatures,
)
from ledger.merkle import verify_inclusion
from ledger.note import Note, parse_note
from ledger.refusal import Reason
from ledger.tlog_proof import TlogProof, parse_tlog_proof
from verifier.case import Case
from verifier.evidence_file import (
    BareProof,
    ConsistencyFile,
    EquivocationFile,
    HistoryFile,
    RecordFile,
    TransactionFile,
)
from verifier.formats import (
    Entry,
    Header,
    read_envelope,
    read_header_entry,
    read_transaction_entry,
)
from verifier.question import Omission
from verifier.report import NotRun, Refuted, Said, Saying, Words
from verifier.trust_root import Institution, TrustRoot, compute_chain_id, read_trust_root
from verifier.wording import count_entries, format_institutions, format_time_ms


def check_genesis(case: Case) -> Said:
    """Step 2: the file's genesis document is the one whose hash is trusted."""
    chain_id = compute_chain_id(case.file.genesis)
    if chain_id != case.trusted_chain_id:
        trusted = case.trusted_chain_id.hex()
        raise Refuted(
            Reason.WRONG_CHAIN,
            f"文件中创世文件的哈希为 {chain_id.hex()}，所信任的是 {trusted}。",
            f"The genesis document in the file has hash {chain_id.hex()}; trusted is {trusted}.",
        )
    case.facts["chain_id"] = chain_id.hex()
    return Saying(
        lambda: Words(
            f"创世文件的哈希 {chain_id.hex()} 与所信任的一致。",
            f"The genesis document's hash {chain_id.hex()} is the trusted one.",
        )
    )


def check_validators(case: Case) -> Said:
    """Step 3: institutions, keys and quorum follow from the genesis document."""
    root = case.root = read_trust_root(case.file.genesis)
    count = len(root.institutions)
    case.facts |= {
        "network": root.network,
        "validators": count,
        "faulty_max": root.faulty_max,
        "quorum": root.quorum,
    }

    def say() -> Words:
        names = format_institutions(root.institutions)
        return Words(
            f"网络 {root.network} 由 {count} 家机构共同验证：{names.zh}；至多 {root.faulty_max} 家"
            f"不诚实时仍可靠，法定多数为 {root.quorum} 家。",
            f"Network {root.network} has {count} validators: {names.en}; it holds while at most "
            f"{root.faulty_max} lie, and a quorum is {root.quorum}.",
        )

    return Saying(say)


def check_checkpoint(case: Case) -> Said:
    """Step 4: one checkpoint of this log, signed by the log and cosigned by a quorum."""
    root = case.root
    if isinstance(case.file, ConsistencyFile):
        raw = case.file.newer
    else:
        case.proofs = _read_proofs(case)
        raw = next(iter(case.proofs.values())).checkpoint
    if raw not in case.certified:
        found = certify(root, raw, is_bare=isinstance(case.file, BareProof))
        case.certified.clear()
        case.certified[raw] = found
    certified, cosigners = case.certified[raw]
    case.checkpoint = certified
    checkpoint = certified.checkpoint
    existed_by_s = certified.existed_by_s(root.faulty_max)
    case.facts |= {
        "tree_size": checkpoint.size,
        "tree_root": checkpoint.root.hex(),
        "cosigned_by": [root.institutions[at].id for at in sorted(cosigners)],
        "not_cosigned_by": [
            one.id for at, one in enumerate(root.institutions) if at not in cosigners
        ],
        "existed_by_s": existed_by_s,
    }

    def say() -> Words:
        signed, unsigned = split_cosigners(root, cosigners)
        by = format_time_ms(existed_by_s * 1000)
        return Words(
            f"检查点：树大小 {checkpoint.size}，根 {checkpoint.root.hex()}；由 {len(cosigners)} "
            f"家机构联署：{signed.zh}；文件中未见联署：{unsigned.zh}。即使其中 "
            f"{root.faulty_max} 家的时钟不实，该树最迟于{by.zh} 已存在。",
            f"Checkpoint of size {checkpoint.size}, root {checkpoint.root.hex()}, cosigned by "
            f"{len(cosigners)}: {signed.en}; no cosignature here of: {unsigned.en}. Even if "
            f"{root.faulty_max} of their clocks lie, the tree existed by {by.en}.",
        )

    return Saying(say)


def split_cosigners(root: TrustRoot, cosigners: set[int]) -> tuple[Words, Words]:
    """Return the institutions that cosigned, and those that did not."""
    listed = list(enumerate(root.institutions))
    return (
        format_institutions([one for at, one in listed if at in cosigners]),
        format_institutions([one for at, one in listed if at not in cosigners]),
    )


def certify(
    root: TrustRoot, raw: bytes, *, is_bare: bool = False
) -> tuple[CertifiedCheckpoint, set[int]]:
    """Return a checkpoint of this log that a quorum cosigned, and the cosigners' places.

    In a bare proof lines of unknown keys are ignored, as C2SP asks. Raises `Refuted`, `Rejected`.
    """
    note = parse_note(raw)
    checkpoint = parse_checkpoint_text(note.text)
    if checkpoint.origin != root.origin:
        raise Refuted(
            Reason.WRONG_CHAIN,
            f"检查点属于日志 {checkpoint.origin}，而不是 {root.origin}。",
            f"The checkpoint is of log {checkpoint.origin}, not of {root.origin}.",
        )
    if not is_bare:
        _check_lines(note, root)
    cosignatures = count_cosignatures(note, root.cosigner_keys)
    cosigners = {one.cosigner for one in cosignatures}
    if len(cosigners) < root.quorum:
        signed, unsigned = split_cosigners(root, cosigners)
        raise Refuted(
            Reason.NO_QUORUM,
            f"检查点仅由 {len(cosigners)} 家机构联署（{signed.zh}），法定多数为 {root.quorum} 家；"
            f"未联署：{unsigned.zh}。",
            f"Only {len(cosigners)} institutions cosigned the checkpoint ({signed.en}), and a "
            f"quorum is {root.quorum}; not: {unsigned.en}.",
        )
    log_keys = verify_log_signatures(note, root.log_trust)
    return CertifiedCheckpoint(checkpoint, log_keys, cosignatures), cosigners


def check_headers(case: Case) -> Said:
    """Step 5: each header of the file is in the log and of this chain and validator set."""
    file = case.file
    if isinstance(file, BareProof):
        raise NotRun(
            "只有条目及其日志证明，没有区块头。", "There is an entry with its proof, and no header."
        )
    assert not isinstance(file, ConsistencyFile | EquivocationFile), "the step concerns headers"
    case.header = case.state_header = _check_header(
        case, file.header, "header", case.proofs["header_proof"]
    )
    if isinstance(file, TransactionFile):
        case.state_header = _check_header(
            case, file.state_header, "state header", case.proofs["state_header_proof"]
        )
    header, state_header = case.header, case.state_header
    case.facts |= {
        "height": header.height,
        "block_hash": header.block_hash.hex(),
        "parent_hash": header.parent_hash.hex(),
        "block_time_ms": header.time_ms,
        "header_index": header.index,
        "state_height": state_header.height,
    }
    institution = _find_proposer(case, header.proposer)

    def say() -> Words:
        time = format_time_ms(header.time_ms)
        proposer = format_institutions([institution])
        return Words(
            f"高度 {header.height} 的区块头在日志第 {header.index} 位，区块哈希 "
            f"{header.block_hash.hex()}，区块时间{time.zh}，最初由{proposer.zh}提议，规则包版本 "
            f"{header.rule_pack_version}；状态根取自高度 {state_header.height}。",
            f"The header of height {header.height} stands at index {header.index}: block hash "
            f"{header.block_hash.hex()}, time {time.en}, first proposed by {proposer.en}, rule "
            f"pack version {header.rule_pack_version}; the state root is that of height "
            f"{state_header.height}.",
        )

    return Saying(say)


def check_entries(case: Case) -> Said:
    """Step 6: each entry is at the place that it names itself."""
    if isinstance(case.file, RecordFile):
        return _check_record_entries(case, case.file)
    if isinstance(case.file, HistoryFile):
        return _check_history_entries(case, case.file)
    assert isinstance(case.file, TransactionFile | BareProof), "the step concerns entries"
    entry = read_transaction_entry(case.file.entry, "entry")
    proof = case.proofs["proof"]
    if proof.index != entry.index:
        raise Refuted(
            Reason.BAD_PROOF,
            f"条目自称在第 {entry.index} 位，日志证明却指第 {proof.index} 位。",
            f"The entry says it stands at index {entry.index}, its proof says {proof.index}.",
        )
    case.check_inclusion(entry.leaf, proof)
    case.facts |= {"index": entry.index, "entry_height": entry.height}
    case.entries = (entry,)
    if isinstance(case.file, BareProof):
        return Saying(
            lambda: Words(
                f"条目在日志第 {entry.index} 位，自称属于高度 {entry.height}。",
                f"The entry stands at index {entry.index} and says it is of height {entry.height}.",
            )
        )
    header = case.header
    if entry.height != header.height or not header.first_index <= entry.index < header.index:
        raise Refuted(
            Reason.WRONG_HEIGHT,
            f"条目在高度 {entry.height}、第 {entry.index} 位，而高度 {header.height} 的区块包含 "
            f"[{header.first_index}, {header.index})。",
            f"The entry is of height {entry.height} at index {entry.index}, but the block of "
            f"height {header.height} holds [{header.first_index}, {header.index}).",
        )
    return Saying(
        lambda: Words(
            f"条目在日志第 {entry.index} 位，属于高度 {entry.height} 的区块"
            f"（该块包含 [{header.first_index}, {header.index})）。",
            f"The entry stands at index {entry.index}, in the block of height {entry.height}, "
            f"which holds [{header.first_index}, {header.index}).",
        )
    )


def _read_proofs(case: Case) -> dict[str, TlogProof]:
    file = case.file
    if isinstance(file, BareProof):
        return {"proof": parse_tlog_proof(file.proof)}
    assert not isinstance(file, ConsistencyFile | EquivocationFile), "they hold no log proof"
    texts = {"header_proof": file.header_proof}
    if isinstance(file, TransactionFile):
        texts |= {"proof": file.proof, "state_header_proof": file.state_header_proof}
    proofs = {}
    for name, raw in texts.items():
        proof = proofs[name] = parse_tlog_proof(raw)
        if proof.extra is not None:
            raise Refuted(
                Reason.MALFORMED,
                f"{name} 含有未受签名保护的 extra 行，存证文件不允许。",
                f"{name} has an extra line, which no signature covers; evidence has none.",
            )
        if proof.checkpoint != proofs["header_proof"].checkpoint:
            raise Refuted(
                Reason.BAD_PROOF,
                f"{name} 与 header_proof 的检查点不同；一份证据只有一个检查点。",
                f"{name} and header_proof carry different checkpoints; evidence has one.",
            )
    return proofs


def _check_lines(note: Note, root: TrustRoot) -> None:
    """Every signature line must be an institution's, and none may stand twice.

    C2SP signed-note ignores unknown keys; evidence does not, so that no byte of it is idle.
    """
    seen: set[tuple[str, bytes]] = set()
    for line in note.signatures:
        key = (line.name, line.key_id)
        if key not in root.line_keys:
            raise Refuted(
                Reason.UNKNOWN_KEY,
                f"检查点含有未知密钥的签名行：{line.name}（{line.key_id.hex()}）。",
                f"The checkpoint has a line of an unknown key: {line.name} ({line.key_id.hex()}).",
            )
        if key in seen:
            raise Refuted(
                Reason.DUPLICATE,
                f"检查点中 {line.name}（{line.key_id.hex()}）的签名行出现两次。",
                f"The checkpoint has the line of {line.name} ({line.key_id.hex()}) twice.",
            )
        seen.add(key)


def _check_header(case: Case, raw: bytes, name: str, proof: TlogProof) -> Header:
    header = read_header_entry(raw, name)
    if proof.index != header.index:
        raise Refuted(
            Reason.BAD_PROOF,
            f"区块头自称在第 {header.index} 位，日志证明却指第 {proof.index} 位。",
            f"The header says it stands at index {header.index}, its proof says {proof.index}.",
        )
    case.check_inclusion(header.leaf, proof)
    _check_own(case, header)
    return header


def _check_own(case: Case, header: Header) -> None:
    """The header is of this chain and of the validators of genesis."""
    root = case.root
    if header.chain_id != root.chain_id:
        raise Refuted(
            Reason.WRONG_CHAIN,
            f"区块头属于链 {header.chain_id.hex()}，而不是 {root.chain_id.hex()}。",
            f"The header is of chain {header.chain_id.hex()}, not of {root.chain_id.hex()}.",
        )
    if header.validators_hash != root.validators_hash:
        raise Refuted(
            Reason.ROOT_MISMATCH,
            f"区块头的验证者集合哈希 {header.validators_hash.hex()} 与创世文件的 "
            f"{root.validators_hash.hex()} 不符。",
            f"The header's validator set {header.validators_hash.hex()} is not that of genesis, "
            f"{root.validators_hash.hex()}.",
        )


def _check_record_entries(case: Case, file: RecordFile) -> Said:
    """The entries of a record, each in its own proven block."""
    tree = case.checkpoint.checkpoint
    blocks: list[Header] = []
    for place, block in enumerate(file.blocks):
        header = read_header_entry(block.header, f"blocks[{place}]")
        verify_inclusion(header.leaf, header.index, tree.size, block.path, tree.root)
        _check_own(case, header)
        before = blocks[-1] if blocks else None
        if before is not None and (
            header.height <= before.height or header.time_ms <= before.time_ms
        ):
            raise Refuted(
                Reason.NOT_CANONICAL,
                f"第 {place + 1} 个区块（高度 {header.height}）没有排在前一个（高度 "
                f"{before.height}）之后。",
                f"blocks[{place}] of height {header.height} does not come after the one before it, "
                f"of height {before.height}.",
            )
        blocks.append(header)
    case.blocks = {header.height: header for header in blocks}
    entries: list[Entry] = []
    for place, raw in enumerate(file.entries):
        entry = read_transaction_entry(raw, f"entries[{place}]")
        own = case.blocks.get(entry.height)
        index = entries[-1].index if entries else -1
        if own is None or not own.first_index <= entry.index < own.index or entry.index <= index:
            raise Refuted(
                Reason.WRONG_HEIGHT,
                f"第 {place + 1} 条在第 {entry.index} 位、高度 {entry.height}，文件中没有与之相符且"
                "依次递增的区块。",
                f"entries[{place}] at index {entry.index}, height {entry.height}: the file has no "
                "block that holds it, or it does not come after the one before it.",
            )
        entries.append(entry)
    wanted = {entry.height for entry in entries}
    if isinstance(file.question, Omission):
        case.omitted = read_envelope(file.question.envelope, "question.envelope")
        wanted.add(file.question.receipt.height_max)
    given, expected = list(case.blocks), sorted(wanted)
    if given != expected or max(expected, default=0) > case.header.height:
        raise Refuted(
            Reason.WRONG_HEIGHT,
            f"文件所附区块的高度为 {given}，应为 {expected}，且不高于 {case.header.height}。",
            f"The file has blocks of heights {given}; they should be {expected}, none above "
            f"{case.header.height}.",
        )
    case.entries = tuple(entries)
    case.facts |= {"entries": len(entries), "first": file.first}
    if not entries:
        return Words("文件不含条目。", "The file holds no entries.")
    begin, end = case.time_of(0), case.time_of(-1)

    def say() -> Words:
        first, last = format_time_ms(begin), format_time_ms(end)
        return Words(
            f"{len(entries)} 条记录依次递增，各在其区块之内；区块时间自{first.zh} 至{last.zh}。",
            f"{count_entries(len(entries))} in ascending order, each in its block; the blocks are "
            f"of {first.en} to {last.en}.",
        )

    return Saying(say)


def _check_history_entries(case: Case, file: HistoryFile) -> Said:
    header = case.header
    entries: list[Entry] = []
    for place, raw in enumerate(file.entries):
        entry = read_transaction_entry(raw, f"entries[{place}]")
        before = entries[-1] if entries else None
        if before is not None and (entry.index <= before.index or entry.height < before.height):
            raise Refuted(
                Reason.BAD_FIELD,
                f"第 {place + 1} 条（第 {entry.index} 位，高度 {entry.height}）没有排在前一条"
                f"（第 {before.index} 位，高度 {before.height}）之后。",
                f"entries[{place}] (index {entry.index}, height {entry.height}) does not come "
                f"after the one before it (index {before.index}, height {before.height}).",
            )
        if entry.height == header.height:
            is_in_place = header.first_index <= entry.index < header.index
        else:
            is_in_place = entry.height < header.height and entry.index < header.first_index
        if not is_in_place:
            raise Refuted(
                Reason.WRONG_HEIGHT,
                f"第 {place + 1} 条在第 {entry.index} 位、高度 {entry.height}，与高度 "
                f"{header.height} 的区块 [{header.first_index}, {header.index}) 矛盾。",
                f"entries[{place}] at index {entry.index}, height {entry.height}, contradicts "
                f"the block of height {header.height}, [{header.first_index}, {header.index}).",
            )
        entries.append(entry)
    case.entries = tuple(entries)
    case.facts["entries"] = len(entries)
    if not entries:
        return Words("文件不含条目。", "The file holds no entries.")
    first, last = entries[0], entries[-1]
    return Saying(
        lambda: Words(
            f"{len(entries)} 条记录依次递增：第 {first.index} 位（高度 {first.height}）至第 "
            f"{last.index} 位（高度 {last.height}）；是否齐全见第 12 步。",
            f"{count_entries(len(entries))} in ascending order, from index {first.index} (height "
            f"{first.height}) to {last.index} (height {last.height}); step 12 says whether they "
            "are all.",
        )
    )


def _find_proposer(case: Case, replica: int) -> Institution:
    institutions = case.root.institutions
    if replica >= len(institutions):
        raise Refuted(
            Reason.NOT_A_VALIDATOR,
            f"提议者 {replica} 不在 {len(institutions)} 家机构之列。",
            f"Proposer {replica} is not one of {len(institutions)} institutions.",
        )
    return institutions[replica]
