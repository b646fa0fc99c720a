"""Steps 7 to 11: what was said, who signed it, with which right, what came of it, who decided it.

A history runs steps 7 to 10 over every entry. A signature is checked over the exact bytes of the
body; a signer's key against the party record that the certified state commits to, at the height of
the entry. A later record serves as well as the one of that height, because keys carry the heights
at which they sign and are never taken out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ledger import tags
from ledger.evidence import ProvenStream
from ledger.merkle import leaf_hash, root_from_inclusion
from ledger.refusal import Reason, Rejected
from ledger.signing import verify_signature
from verifier.case import Case
from verifier.evidence_file import (
    BareProof,
    HistoryFile,
    RecordFile,
    TransactionFile,
)
from verifier.findings import check_findings
from verifier.formats import (
    Body,
    Outcome,
    Signature,
    read_body,
    read_certificate,
)
from verifier.question import Omission
from verifier.report import NotRun, Refuted, Said, Saying, Words
from verifier.state_formats import PartyKey, PartyRecord, take_party_record
from verifier.wording import (
    describe_outcome,
    describe_refusal,
    describe_role,
    format_institutions,
    format_time_ms,
    list_names,
    list_numbers,
    show_text,
)

MANY = HistoryFile | RecordFile
"""Files of several entries."""

_MONEY_AFTER = ("paid", "locked", "released", "refunded")
_CUSTODY = ("balance", "locked", "gap", "excess")


def check_bodies(case: Case) -> Said:
    """Step 7: each body is canonical, and its hash is the transaction id."""
    bodies: list[Body] = []
    seen: dict[bytes, int] = {}
    for place, entry in enumerate(case.entries):
        body = read_body(entry.body, _name(case, place, "body"))
        if len(entry.signatures) != len(body.signers):
            raise Refuted(
                Reason.SIGNATURE_COUNT,
                f"{_place_zh(case, place)}有 {len(entry.signatures)} 个签名，而正文要求 "
                f"{len(body.signers)} 个：{'、'.join(body.signers)}。",
                f"{_name(case, place, 'entry')}: {len(entry.signatures)} signatures, but the body "
                f"names {len(body.signers)} signers: {', '.join(body.signers)}.",
            )
        if body.tx_id in seen:
            raise Refuted(
                Reason.DUPLICATE,
                f"交易 {body.tx_id.hex()} 出现两次（第 {seen[body.tx_id] + 1} 条与第 "
                f"{place + 1} 条）。",
                f"Transaction {body.tx_id.hex()} stands twice, in entries[{seen[body.tx_id]}] "
                f"and entries[{place}].",
            )
        seen[body.tx_id] = place
        bodies.append(body)
    case.bodies = tuple(bodies)
    if isinstance(case.file, MANY):
        return Saying(
            lambda: Words(
                f"{len(bodies)} 条正文均为规范写法，交易号各不相同。",
                f"All {len(bodies)} bodies are canonical; their transaction ids are distinct.",
            )
        )
    body = bodies[0]
    if isinstance(case.file, TransactionFile):
        _check_deadline(case, body)
    case.facts |= {"tx_id": body.tx_id.hex(), "stream": body.stream, "kind": body.kind}
    return Saying(
        lambda: Words(
            f"正文 {len(case.entries[0].body)} 字节，为规范写法；交易号 {body.tx_id.hex()}，归属 "
            f"{body.stream}，业务编号 {show_text(body.reference)}。",
            f"The body of {len(case.entries[0].body)} bytes is canonical; transaction "
            f"{body.tx_id.hex()} in stream {body.stream}, reference "
            f"{show_text(body.reference)}.",
        )
    )


def check_signatures(case: Case) -> Said:
    """Step 8: every signature verifies, over the transaction or over its batch."""
    verified: set[tuple[bytes, bytes, bytes]] = set()
    count = batched = 0
    for place, (entry, body) in enumerate(zip(case.entries, case.bodies, strict=True)):
        for signer, signature in zip(body.signers, entry.signatures, strict=True):
            message = compute_signed_message(case, body, signature)
            triple = signature.public_key, message, signature.signature
            if (not verified or triple not in verified) and not verify_signature(*triple):
                key = signature.public_key.hex()
                raise Refuted(
                    Reason.BAD_SIGNATURE,
                    f"{_place_zh(case, place)}中 {signer} 以密钥 {key} 所作签名无法通过验证。",
                    f"{_name(case, place, 'entry')}: the signature of {signer} with key {key} "
                    "does not verify.",
                )
            count += 1
            if signature.batch is not None:  # what one signature covers besides is in other entries
                verified.add(triple)
                batched += 1
    case.facts["signatures"] = count
    return Saying(
        lambda: Words(
            f"{count} 个签名全部通过验证（其中批量签名 {batched} 个）。",
            f"All {count} signatures verify, {batched} of them made over a batch.",
        )
    )


def check_keys(case: Case) -> Said:
    """Step 9: each signer's key was valid at the entry's height, by the proven party record."""
    file = case.file
    assert isinstance(file, TransactionFile | BareProof | MANY), "the step concerns signers"
    if isinstance(file, BareProof):
        raise NotRun(
            "没有主体登记的证明：签名有效，但密钥属于谁未经核验。",
            "No party records are proven: the signatures verify, but whose keys made them is not "
            "checked.",
        )
    if case.state_header.height < case.header.height:
        raise Refuted(
            Reason.WRONG_HEIGHT,
            f"主体登记取自高度 {case.state_header.height}，早于条目的高度 {case.header.height}。",
            f"The party records are of height {case.state_header.height}, before the entry's "
            f"{case.header.height}.",
        )
    signers = {signer for body in case.bodies for signer in body.signers}
    if isinstance(file, RecordFile) and isinstance(file.question, Omission):
        signers |= set(read_body(case.omitted.body, "question.envelope: body").signers)
    expected = sorted(f"party/{signer}" for signer in signers)
    if [party.stream for party in file.parties] != expected:
        given = list_names([party.stream for party in file.parties])
        raise Refuted(
            Reason.UNKNOWN_PARTY,
            f"文件所附主体为 {given.zh}，应为 {'、'.join(expected) or '无'}。",
            f"The file holds the parties {given.en}; the signers are "
            f"{', '.join(expected) or 'none'}.",
        )
    records = {record.party: record for record in _read_parties(case, file.parties)}
    used: dict[str, set[bytes]] = {party: set() for party in records}
    for entry, body in zip(case.entries, case.bodies, strict=True):
        for signer, signature in zip(body.signers, entry.signatures, strict=True):
            check_key(records[signer], signature.public_key, entry.height)
            used[signer].add(signature.public_key)
    case.parties = records

    def say() -> Words:
        if not records:
            return Words("文件不含签名者。", "The file has no signers.")
        described = [_describe_party(record, used[party]) for party, record in records.items()]
        zh = "；".join([words.zh for words in described])
        en = "; ".join([words.en for words in described])
        return Words(f"签名时密钥均有效。{zh}。", f"Every key was valid when it signed. {en}.")

    return Saying(say)


def _read_parties(case: Case, parties: Sequence[ProvenStream]) -> list[PartyRecord]:
    """Return the records; of the line before in a schedule, if they were proven there."""
    known = case.proven_parties
    if known is None:
        return [_read_party(case, proven) for proven in parties]
    keys = [(case.state_header.state_root, proven) for proven in parties]
    records = [known.get(key) or _read_party(case, key[1]) for key in keys]
    known.clear()
    known.update(zip(keys, records, strict=True))
    return records


def _read_party(case: Case, proven: ProvenStream) -> PartyRecord:
    record = take_party_record(case.read_proven(proven).record, proven.stream)
    if proven.stream != f"party/{record.party}":
        raise Refuted(
            Reason.BAD_FIELD,
            f"{proven.stream} 下登记的是 {record.party}。",
            f"The record under {proven.stream} is of {record.party}.",
        )
    return record


def check_outcome(case: Case) -> Said:
    """Step 10: what the contracts made of it, in words."""
    if not isinstance(case.file, MANY):
        (entry,), (body,) = case.entries, case.bodies
        if not entry.outcome.refused and body.kind.startswith("prepaid."):
            _check_money(dict(entry.outcome.effects))
        if not entry.outcome.refused and (body.kind, body.version) == ("custody.stated", 1):
            _check_custody(body, entry.outcome)
        case.facts["outcome"] = entry.outcome.code if entry.outcome.refused else "applied"
        return Saying(lambda: _say_outcome(body, entry.outcome))
    refusals = Counter(e.outcome.code for e in case.entries if e.outcome.refused)
    applied = len(case.entries) - refusals.total()
    case.facts |= {"applied": applied, "refused": dict(sorted(refusals.items()))}
    found = check_findings(case)
    entries, bodies = case.entries, case.bodies

    def say() -> Words:
        whys = [(describe_refusal(code, ()), count) for code, count in sorted(refusals.items())]
        listed_zh = "；".join([f"{why.zh}× {count}" for why, count in whys])
        listed_en = "; ".join([f"{why.en} × {count}" for why, count in whys])
        last = Words("", "")
        if entries:
            words = describe_outcome(bodies[-1], entries[-1].outcome)
            last = Words(f"最后一条：{words.zh}。", f" The last: {words.en}.")
        refused = refusals.total()
        return Words(
            f"已生效 {applied} 条，已记录为拒绝 {refused} 条{'：' * bool(whys)}{listed_zh}。"
            f"{last.zh}{found.zh}",
            f"{applied} applied, {refused} recorded as refused{': ' * bool(whys)}{listed_en}."
            f"{last.en}{found.en}",
        )

    return Saying(say)


def _say_outcome(body: Body, outcome: Outcome) -> Words:
    words = describe_outcome(body, outcome)
    return Words(f"{words.zh}。", f"{words.en[0].upper()}{words.en[1:]}.")


def check_certificate(case: Case) -> Said:
    """Step 11: a quorum of commits of one view on this block (Castro & Liskov, section 4.2)."""
    file, root = case.file, case.root
    if not isinstance(file, TransactionFile):
        raise NotRun(
            "此类文件不含提交证书；其依据是法定多数联署的检查点（第 4 步）。",
            "This kind of file holds no commit certificate; it rests on the checkpoint that a "
            "quorum cosigned (step 4).",
        )
    certificate = read_certificate(file.certificate, "certificate")
    header = case.header
    if (certificate.height, certificate.block_hash) != (header.height, header.block_hash):
        raise Refuted(
            Reason.ROOT_MISMATCH,
            f"证书针对高度 {certificate.height} 的区块 {certificate.block_hash.hex()}，而不是高度 "
            f"{header.height} 的 {header.block_hash.hex()}。",
            f"The certificate is of block {certificate.block_hash.hex()} at height "
            f"{certificate.height}, not of {header.block_hash.hex()} at height {header.height}.",
        )
    replicas = [replica for replica, _ in certificate.commits]
    count = len(root.institutions)
    if any(replica >= count for replica in replicas):
        listed = list_numbers(replicas)
        raise Refuted(
            Reason.NOT_A_VALIDATOR,
            f"证书列出机构 {listed.zh}，而机构编号为 0 至 {count - 1}。",
            f"The certificate lists replicas {listed.en}; there are 0 to {count - 1}.",
        )
    if replicas != sorted(set(replicas)):
        listed = list_numbers(replicas)
        raise Refuted(
            Reason.NOT_CANONICAL,
            f"证书中的机构 {listed.zh} 未按编号递增，或有重复。",
            f"The certificate's replicas {listed.en} are not ascending, or one stands twice.",
        )
    if len(replicas) < root.quorum:
        raise Refuted(
            Reason.NO_QUORUM,
            f"证书仅有 {len(replicas)} 票，法定多数为 {root.quorum} 票。",
            f"The certificate has {len(replicas)} commits, and a quorum is {root.quorum}.",
        )
    message = (
        tags.COMMIT
        + root.chain_id
        + certificate.height.to_bytes(8, "big")
        + certificate.view.to_bytes(8, "big")
        + certificate.block_hash
    )
    for replica, signature in certificate.commits:
        if not verify_signature(root.institutions[replica].vote_key, message, signature):
            name = format_institutions([root.institutions[replica]])
            raise Refuted(
                Reason.BAD_SIGNATURE,
                f"{name.zh}在第 {certificate.view} 视图的提交票无法通过验证。",
                f"The commit of {name.en} in view {certificate.view} does not verify.",
            )
    case.facts |= {
        "view": certificate.view,
        "committed_by": [root.institutions[replica].id for replica in replicas],
    }

    def say() -> Words:
        names = format_institutions([root.institutions[replica] for replica in replicas])
        return Words(
            f"{len(replicas)} 家机构在第 {certificate.view} 视图对该区块投提交票：{names.zh}。",
            f"{len(replicas)} institutions committed to this block in view {certificate.view}: "
            f"{names.en}.",
        )

    return Saying(say)


def _name(case: Case, place: int, what: str) -> str:
    return f"entries[{place}]" if isinstance(case.file, MANY) else what


def _place_zh(case: Case, place: int) -> str:
    return f"第 {place + 1} 条" if isinstance(case.file, MANY) else "条目"


def _check_deadline(case: Case, body: Body) -> None:
    """A block takes a transaction only if header.time ≤ not_after ≤ header.time + W."""
    late = body.not_after - case.header.time_ms
    if not 0 <= late <= case.root.replay_window_ms:
        limit, time = format_time_ms(body.not_after), format_time_ms(case.header.time_ms)
        raise Refuted(
            Reason.STALE if late < 0 else Reason.TOO_FAR_AHEAD,
            f"正文的截止时间（{limit.zh}）与区块时间（{time.zh}）不合：应在其后 "
            f"{case.root.replay_window_ms} 毫秒之内。",
            f"The body's not_after ({limit.en}) does not lie within "
            f"{case.root.replay_window_ms} ms after the block's time ({time.en}).",
        )


def compute_signed_message(case: Case, body: Body, signature: Signature) -> bytes:
    """Return what a signer signed: the transaction id, or the root of its batch."""
    chain_id = case.root.chain_id
    if signature.batch is None:
        return tags.TX_SIGNATURE + chain_id + body.tx_id
    index, size, path = signature.batch
    try:
        root = root_from_inclusion(leaf_hash(body.tx_id), index, size, path)
    except Rejected as rejected:
        raise Refuted(
            Reason.BAD_BATCH_PATH,
            f"交易 {body.tx_id.hex()} 的批量签名路径不成立（第 {index} 位，共 {size} 笔，"
            f"{len(path)} 个哈希）。",
            f"Transaction {body.tx_id.hex()}: its batch path does not hold: {rejected.detail}.",
        ) from None
    return tags.BATCH_SIGNATURE + chain_id + root + size.to_bytes(8, "big")


def check_key(record: PartyRecord, public_key: bytes, height: int) -> None:
    """Raise `Refuted` unless a party's key signs for a transaction at this height."""
    key = record.find_key(public_key)
    if key is None:
        raise Refuted(
            Reason.UNKNOWN_KEY,
            f"密钥 {public_key.hex()} 从未登记为 {record.party} 的密钥。",
            f"Key {public_key.hex()} was never a key of party {record.party}.",
        )
    if record.revoked_height and height >= record.revoked_height:
        raise Refuted(
            Reason.KEY_NOT_VALID,
            f"主体 {record.party} 自高度 {record.revoked_height} 起已撤销，条目在高度 {height}。",
            f"Party {record.party} is revoked from height {record.revoked_height}; the entry is "
            f"of height {height}.",
        )
    if not key.is_valid_at(height):
        raise Refuted(
            Reason.KEY_NOT_VALID,
            f"{record.party} 的密钥 {public_key.hex()} 在高度 [{key.from_height}, "
            f"{key.until_height or '∞'}) 有效，条目在高度 {height}。",
            f"Key {public_key.hex()} of party {record.party} is valid for heights "
            f"[{key.from_height}, {key.until_height or 'open'}); the entry is of height {height}.",
        )


def _describe_party(record: PartyRecord, used: set[bytes]) -> Words:
    """Who it is by the state, and of the keys it signed with here those that it did not have from
    its registrar alone."""
    role = describe_role(record.role)
    if record.registrar == record.party:
        return Words(
            f"{record.party}（{role.zh}），创世机构", f"{record.party} ({role.en}), of genesis"
        )
    keys = [
        _describe_key(record, key)
        for key in record.keys
        if key.public_key in used and key.vouched_by != (record.registrar,)
    ]
    return Words(
        f"{record.party}（{role.zh}），由 {record.registrar} 于高度 "
        f"{record.registered_height} 登记{''.join([words.zh for words in keys])}",
        f"{record.party} ({role.en}), registered by {record.registrar} at height "
        f"{record.registered_height}{''.join([words.en for words in keys])}",
    )


def _describe_key(record: PartyRecord, key: PartyKey) -> Words:
    """Who vouched for a key: whoever reads a signature is told whose word it rests on."""
    shown, since = key.public_key.hex(), key.from_height
    if key.vouched_by == (record.party,):
        return Words(
            f"，其密钥 {shown} 由其自行增加，自高度 {since} 起有效",
            f", its key {shown} added by itself, valid from height {since}",
        )
    return Words(
        f"，密钥 {shown} 由 {'、'.join(key.vouched_by)} 为其登记，未经其本人签名，自高度 {since} "
        "起有效",
        f", key {shown} given to it by {' and '.join(key.vouched_by)} without its own signature, "
        f"valid from height {since}",
    )


def _check_money(effects: dict[str, int | str]) -> None:
    """The balances after it, where it states them: locked + released + refunded = paid."""
    if not set(_MONEY_AFTER) <= set(effects):  # `open` names only what is locked
        return
    money = {name: effects[name] for name in _MONEY_AFTER}
    fen = [value for value in money.values() if type(value) is int]
    if len(fen) != len(money) or fen[0] != sum(fen[1:]):
        stated = ", ".join(f"{name} {value}" for name, value in money.items())
        raise Refuted(
            Reason.BAD_FIELD,
            f"锁定、已释放、已退款之和不等于已付：{stated}（分）。",
            f"Locked, released and refunded do not add up to paid: {stated} (fen).",
        )


def _check_custody(body: Body, outcome: Outcome) -> None:
    """What is short or above follows from what was stated and what was locked, and is of whom the
    custodian spoke."""
    effects = dict(outcome.effects)
    told = [effects.get(name) for name in _CUSTODY]
    fen = [value for value in (body.data.get("balance"), *told) if type(value) is int]
    if len(fen) == len(told) + 1:
        stated, balance, locked, gap, excess = fen
        if (
            stated == balance
            and (gap, excess) == (max(0, locked - balance), max(0, balance - locked))
            and (("finding", "custody_short") in outcome.effects) == (gap > 0)
            and effects.get("merchant", "") == body.data.get("merchant", "")
        ):
            return
    said = ", ".join(f"{name} {value}" for name, value in zip(_CUSTODY, told, strict=True))
    raise Refuted(
        Reason.BAD_FIELD,
        f"缺口与盈余不是由所称余额与锁定之数得出：{said}（分）。",
        f"Gap and excess do not follow from the balance stated and what is locked: {said} (fen).",
    )
