"""Who attested and who did not, a promise that was not kept, and records not produced in time.

Each speaks against somebody, so each is held narrowly: silence is said of a whole record only, an
omission only of what could have been taken in, a failure to produce only once the deadline is over.
Why somebody did what the record shows is not said here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from law.days import parse_day, start_of
from ledger import tags
from ledger.merkle import leaf_hash, root_from_inclusion
from ledger.refusal import Reason
from ledger.signing import verify_signature
from verifier.case import Case
from verifier.evidence_file import RecordFile
from verifier.formats import Body, Entry, read_body
from verifier.question import Attestation, Omission, Production, Receipt
from verifier.record_steps import check_key, compute_signed_message
from verifier.report import Refuted, Said, Saying, Words
from verifier.span import take_after, take_span
from verifier.state_formats import PartyRecord
from verifier.wording import (
    EFFECTS_ZH,
    REFUSAL_WORDS,
    describe_kind,
    describe_role,
    format_institutions,
    format_time_ms,
    show_name,
    show_text,
)

ATTEST: Final = "attest"
REQUESTED: Final = "records.requested"
PRODUCED: Final = "records.produced"
SALES_RECORDS: Final = "sales_records.produced"
REFUSED: Final = "records.refused"

GATEWAY: Final = "gateway"
"""Role of a party that acts for the institution that registered it (docs/CONTRACTS.md)."""

_PLACES: Final[Mapping[str, tuple[int, int, int]]] = {
    "prepaid": (2, 3, 5),
    "contract": (2, 3, 4),
}
"""Where merchant, custodian and consumer's party stand in a contract's record."""

_RECORD_VERSION: Final = 1


def answer_attestation(case: Case, file: RecordFile, question: Attestation) -> Said:
    """Say who of the contract signed a transaction or spoke of it since, and who did not."""
    after = take_after(case, file, question.tx_id, None)
    body, tx_id = case.bodies[0], question.tx_id.hex()
    became = _describe_refusal(case.entries[0])
    about = [
        place
        for place in after
        if tx_id in (case.bodies[place].data.get("of"), _attested(case.bodies[place]))
    ]
    spoke = [place for place in about if not case.entries[place].outcome.refused]
    tried = [place for place in about if case.entries[place].outcome.refused]
    signers = {*body.signers, *(signer for place in about for signer in case.bodies[place].signers)}
    heard = signers | {_principal(case, signer) for signer in signers}
    parties = _parties_of(case.state_value.record)
    former = _former_consumers(case.state_value.record)
    unheard = {
        role: party
        for role, party in parties.items()
        if party not in heard and not (role == "consumer" and heard & former)
    }
    silent = [role for role, party in unheard.items() if party]
    keyless = [role for role, party in unheard.items() if not party]
    cosigned = case.facts["cosigned_by"]
    assert isinstance(cosigned, list)
    case.facts |= {
        "tx_id": tx_id,
        "signed_by": list(body.signers),
        "statements": len(spoke),
        "attempts": len(tried),
        "outcome": case.entries[0].outcome.code or "applied",
        "silent": silent,
    }

    def say() -> Words:
        roles = dict.fromkeys(former, "consumer")
        roles |= {party: role for role, party in parties.items() if party}
        names = [_name_signer(case, signer, roles) for signer in body.signers]
        said = [_describe_statement(case, place) for place in spoke]
        refused = [_describe_statement(case, place) for place in tried]
        root = case.root
        signed = format_institutions([one for one in root.institutions if one.id in cosigned])
        unsigned = format_institutions([one for one in root.institutions if one.id not in cosigned])
        time, now = format_time_ms(case.time_of(0)), format_time_ms(case.state_header.time_ms)
        up_to = case.state_header.height
        if parties:
            nobody = Words(
                f"合同各方中未签名也未陈述的：{'、'.join(_name_roles(silent)) or '无'}"
                f"{'；在账本上没有密钥、其沉默不说明任何事的：' * bool(keyless)}"
                f"{'、'.join(_name_roles(keyless))}。",
                f"of the contract's parties neither signed nor spoke: {', '.join(silent) or 'none'}"
                f"{'; has no key here, so that its silence says nothing: ' * bool(keyless)}"
                f"{', '.join(keyless)}.",
            )
        else:
            nobody = Words(
                "链上状态中没有本核验程序认识的合同，故不知其各方。",
                "the state holds no contract here that this verifier knows, so its parties are not "
                "known.",
            )
        signers_zh = "、".join([name.zh for name in names])
        signers_en = ", ".join([name.en for name in names])
        return Words(
            f"交易 {tx_id}：{became.zh}，签名者 {signers_zh}；其后截至高度 {up_to}（{now.zh}）的陈"
            f"述 {len(said)} 项{'：' * bool(said)}{'；'.join(one.zh for one in said)}；"
            f"{f'已记录为拒绝的 {len(refused)} 项：' * bool(refused)}"
            f"{'；'.join(one.zh for one in refused)}{'；' * bool(refused)}{nobody.zh}"
            f"检查点由{signed.zh}联署，文件中未见联署：{unsigned.zh}（联署可被略去，"
            f"略去不说明没有）。该区块之时（{time.zh}）的验证者即创世文件所列 "
            f"{len(root.institutions)} 家，法定多数 {root.quorum} 家；本版本尚无验证者变更。",
            f"Transaction {tx_id}: {became.en}, signed by {signers_en}; statements about it since, "
            f"up to height {up_to} ({now.en}): {len(said)}{': ' * bool(said)}"
            f"{'; '.join(one.en for one in said)}; "
            f"{f'recorded as refused: {len(refused)}: ' * bool(refused)}"
            f"{'; '.join(one.en for one in refused)}{'; ' * bool(refused)}{nobody.en} The "
            "checkpoint was cosigned by "
            f"{signed.en}; no cosignature here of: {unsigned.en} (one that is left out of a file "
            f"is not one that was not made). At the time of the block ({time.en}) the validators "
            f"were the {len(root.institutions)} of genesis and a quorum {root.quorum}: this "
            "version knows no change of validators.",
        )

    return Saying(say)


def answer_production(case: Case, file: RecordFile, question: Production) -> Said:
    """Say that what a request asks for was not produced in time (法释〔2025〕4号 art. 25)."""
    request, tx_id = None, question.tx_id.hex()
    deadline_ms = 0
    if case.bodies and case.bodies[0].tx_id == question.tx_id:
        request = case.bodies[0]
        day = parse_day(str(request.data.get("until")))
        if request.kind != REQUESTED or case.entries[0].outcome.refused or day is None:
            raise Refuted(
                Reason.BAD_FIELD,
                f"交易 {tx_id} 不是已生效的、有期限的提供记录请求。",
                f"Transaction {tx_id} is no request for records that took effect with a deadline.",
            )
        deadline_ms = start_of(day + 1)
        if case.time_of(0) >= deadline_ms:
            raise Refuted(
                Reason.BAD_FIELD,
                f"请求 {tx_id} 在其自身期限之后才上链。",
                f"Request {tx_id} was recorded after its own deadline.",
            )
    inside = take_after(case, file, question.tx_id, deadline_ms)
    assert request is not None, "take_after refuses another transaction"
    reasons: list[str] = []
    otherwise, tried = 0, list[str]()
    for place in inside:
        body = case.bodies[place]
        is_refused, is_of = case.entries[place].outcome.refused, body.data.get("of") == tx_id
        if is_refused or not is_of:
            otherwise += not is_refused and body.kind in (PRODUCED, SALES_RECORDS)
            if is_refused and is_of and body.kind == PRODUCED:
                tried.append(", ".join(body.signers))
            continue
        if body.kind == PRODUCED:
            time = format_time_ms(case.time_of(place))
            raise Refuted(
                Reason.BAD_FIELD,
                f"所请求的记录已于{time.zh} 提供（第 {place + 1} 条）。",
                f"What was asked for was produced at {time.en} (entries[{place}]).",
            )
        if body.kind == REFUSED:
            reasons.append(show_text(str(body.data.get("reason"))))
    signers = ", ".join(request.signers)
    case.facts |= {
        "tx_id": tx_id,
        "deadline_ms": deadline_ms,
        "refusals": reasons,
        "produced_otherwise": otherwise,
        "attempts": len(tried),
    }

    def say() -> Words:
        asked, deadline = format_time_ms(case.time_of(0)), format_time_ms(deadline_ms)
        besides = _describe_besides(otherwise, tried)
        stated = "; ".join(reasons)
        because = "and no reason is on record"
        if reasons:
            because = f"and the reasons stated are: {stated}"
        return Words(
            f"{signers} 于{asked.zh} 请求提供记录，期限至{deadline.zh}；在此之前没有就此提供"
            f"{f'，所载拒绝理由：{stated}' if reasons else '，也没有载明任何理由'}"
            f"（法释〔2025〕4号第二十五条）。{besides.zh}期限的末日是否为休息日，此处不查。",
            f"{signers} asked for records at {asked.en}, until {deadline.en}; nothing was produced "
            f"in answer to it before that, {because} (法释〔2025〕4号 art. 25). "
            f"{besides.en}Whether the last day is a rest day is not examined.",
        )

    return Saying(say)


def _describe_besides(otherwise: int, tried: list[str]) -> Words:
    """What stands against saying that nothing was produced, in the time that was given for it."""
    zh = en = ""
    if otherwise:
        zh = f"期间另有并非就此的提供 {otherwise} 次，是否即为所请求者，此处不作判断。"
        en = (
            f"Produced in that time, and not as an answer to it: {otherwise}; whether that is what "
            "was asked for is not said here. "
        )
    if tried:
        zh += f"提供而已记录为拒绝的 {len(tried)} 次（{'；'.join(tried)}）。"
        en += f"Attempts to produce that are recorded as refused: {len(tried)} ({'; '.join(tried)})"
        en += ". "
    return Words(zh, en)


def answer_omission(case: Case, file: RecordFile, question: Omission) -> Said:
    """Say that a transaction which a node promised is not in the contract's record in time.

    The promise counts only where the transaction was admissible in the block of the promised height
    itself, by its time, its signatures and its keys: an honest node is not blamed for one that
    nobody could take in any more. A receipt does not say under which key the transaction came, and
    a signer with another key can sign it anew; so no key of a signer may have ended meanwhile.
    """
    take_span(case, file, None, None)
    receipt = question.receipt
    body = read_body(case.omitted.body, "question.envelope: body")
    _check_receipt(case, question, receipt, body)
    if body.stream != f"contract/{file.contract}":
        raise Refuted(
            Reason.BAD_FIELD,
            f"所承诺的交易归属 {body.stream}，而不是 contract/{file.contract}。",
            f"The promised transaction names {body.stream}, not contract/{file.contract}.",
        )
    height = receipt.height_max
    _check_admissible(case, body, height)
    late = 0
    for entry, other in zip(case.entries, case.bodies, strict=True):
        if other.tx_id == body.tx_id:
            if entry.height <= height:
                raise Refuted(
                    Reason.DUPLICATE,
                    f"交易 {body.tx_id.hex()} 在高度 {entry.height} 已上链，承诺（高度 {height}）"
                    "已兑现。",
                    f"Transaction {body.tx_id.hex()} is on the chain at height {entry.height}; the "
                    f"promise of height {height} was kept.",
                )
            late = entry.height
    case.facts |= {
        "tx_id": body.tx_id.hex(),
        "promised_by": receipt.node,
        "promised_height": height,
        "late_height": late,
    }

    def say() -> Words:
        institutions = case.root.institutions
        name = format_institutions([one for one in institutions if one.id == receipt.node])
        received = format_time_ms(receipt.received_ms)
        up_to = case.state_header.height
        zh = f"它迟至高度 {late} 才" if late else "它从未"
        return Words(
            f"{name.zh}于{received.zh}（其自身时钟）承诺交易 {body.tx_id.hex()} 至迟在高度 "
            f"{height} 上链；截至高度 {up_to}，{zh}出现在该合同的全部记录中。承诺未兑现；"
            "是否故意，此处不作判断。",
            f"{name.en} promised at {received.en}, by its own clock, that transaction "
            f"{body.tx_id.hex()} would be in a block of height {height} or below; in the "
            f"contract's whole record up to height {up_to} it stands "
            f"{f'only at height {late}' if late else 'nowhere'}. The promise was not "
            "kept; whether by intent is not said here.",
        )

    return Saying(say)


def _check_receipt(case: Case, question: Omission, receipt: Receipt, body: Body) -> None:
    """The receipt is an institution's, of this chain, and about this transaction."""
    root = case.root
    if receipt.chain_id != root.chain_id:
        raise Refuted(
            Reason.WRONG_CHAIN,
            f"回执属于链 {receipt.chain_id.hex()}，而不是 {root.chain_id.hex()}。",
            f"The receipt is of chain {receipt.chain_id.hex()}, not of {root.chain_id.hex()}.",
        )
    issuer = next((one for one in root.institutions if one.id == receipt.node), None)
    if issuer is None:
        raise Refuted(
            Reason.NOT_A_VALIDATOR,
            f"回执的出具者 {show_name(receipt.node)} 不在创世文件所列机构之内。",
            f"The receipt is by {show_name(receipt.node)}, which is no institution of genesis.",
        )
    if receipt.public_key != issuer.party_key:
        raise Refuted(
            Reason.UNKNOWN_KEY,
            f"回执的密钥 {receipt.public_key.hex()} 不是 {receipt.node} 的密钥。",
            f"The receipt's key {receipt.public_key.hex()} is not that of {receipt.node}.",
        )
    if receipt.root is None:
        tag, subject = tags.INTAKE_RECEIPT, receipt.tx_id or b""
        if receipt.tx_id != body.tx_id:
            raise Refuted(
                Reason.ROOT_MISMATCH,
                f"回执针对交易 {subject.hex()}，而不是 {body.tx_id.hex()}。",
                f"The receipt is about transaction {subject.hex()}, not {body.tx_id.hex()}.",
            )
    else:
        assert question.batch is not None, "a batch receipt was read with its batch"
        index, path = question.batch
        reached = root_from_inclusion(leaf_hash(body.tx_id), index, receipt.size, path)
        if reached != receipt.root:
            raise Refuted(
                Reason.ROOT_MISMATCH,
                f"交易 {body.tx_id.hex()} 的路径得根 {reached.hex()}，回执载明 "
                f"{receipt.root.hex()}。",
                f"The path of transaction {body.tx_id.hex()} leads to root {reached.hex()}, the "
                f"receipt says {receipt.root.hex()}.",
            )
        tag = tags.BATCH_RECEIPT
        subject = receipt.root + receipt.size.to_bytes(8, "big")
    message = (
        tag
        + receipt.chain_id
        + subject
        + receipt.received_ms.to_bytes(8, "big")
        + receipt.height_max.to_bytes(8, "big")
    )
    if not verify_signature(receipt.public_key, message, receipt.signature):
        raise Refuted(
            Reason.BAD_SIGNATURE,
            f"{receipt.node} 在回执上的签名无法通过验证。",
            f"The signature of {receipt.node} on the receipt does not verify.",
        )


def _check_admissible(case: Case, body: Body, height: int) -> None:
    """The block of the promised height itself could have taken the transaction in."""
    time_ms = case.blocks[height].time_ms
    if not 0 <= body.not_after - time_ms <= case.root.replay_window_ms:
        limit, time = format_time_ms(body.not_after), format_time_ms(time_ms)
        raise Refuted(
            Reason.STALE if body.not_after < time_ms else Reason.TOO_FAR_AHEAD,
            f"所承诺高度的区块（{time.zh}）已不能或尚不能收入截止时间为{limit.zh} 的交易；"
            "不构成遗漏。",
            f"The block of the promised height ({time.en}) could not take in a transaction whose "
            f"not_after is {limit.en}; that is no omission.",
        )
    if len(case.omitted.signatures) != len(body.signers):
        raise Refuted(
            Reason.SIGNATURE_COUNT,
            f"所承诺的交易有 {len(case.omitted.signatures)} 个签名，应为 {len(body.signers)} 个；"
            "不构成遗漏。",
            f"The promised transaction has {len(case.omitted.signatures)} signatures and names "
            f"{len(body.signers)} signers; that is no omission.",
        )
    for signer, signature in zip(body.signers, case.omitted.signatures, strict=True):
        message = compute_signed_message(case, body, signature)
        if not verify_signature(signature.public_key, message, signature.signature):
            raise Refuted(
                Reason.BAD_SIGNATURE,
                f"所承诺的交易中 {signer} 的签名无法通过验证；不构成遗漏。",
                f"In the promised transaction the signature of {signer} does not verify; that is "
                "no omission.",
            )
        check_key(case.parties[signer], signature.public_key, height)
        _check_no_key_ended(case, case.parties[signer], height)


def _check_no_key_ended(case: Case, record: PartyRecord, height: int) -> None:
    """Whatever key the transaction came under, it was valid up to the promised height."""
    promised_at = max(0, height - case.root.intake_heights)  # 0 stands for a key that is open
    for key in record.keys:
        if promised_at < key.until_height <= height:
            raise Refuted(
                Reason.KEY_NOT_VALID,
                f"{record.party} 的密钥 {key.public_key.hex()} 在承诺之后、不晚于所承诺高度失效"
                f"（高度 {key.until_height}）；所收的交易可能由它签名，不构成遗漏。",
                f"Key {key.public_key.hex()} of party {record.party} ended at height "
                f"{key.until_height}, after the promise and not after the promised height; what "
                "was taken in may have been signed with it, and that is no omission.",
            )


def _principal(case: Case, signer: str) -> str:
    """Return whose word a signature is: a gateway's is that of who registered it."""
    record = case.parties[signer]
    return record.registrar if record.role == GATEWAY else signer


def _name_signer(case: Case, signer: str, roles: Mapping[str, str]) -> Words:
    """Return a signer with what it is to the contract."""
    principal = _principal(case, signer)
    if signer in roles:
        return Words(
            f"{signer}（{describe_role(roles[signer]).zh}）", f"{signer} ({roles[signer]})"
        )
    if principal in roles:
        return Words(
            f"{signer}（{describe_role(roles[principal]).zh}的网关）",
            f"{signer} (gateway of the {roles[principal]})",
        )
    return Words(f"{signer}（非合同方）", f"{signer} (no party of it)")


def _name_roles(roles: Iterable[str]) -> list[str]:
    return [describe_role(role).zh for role in roles]


def _attested(body: Body) -> object:
    return body.data.get("tx_id") if body.kind == ATTEST else None


def _describe_refusal(entry: Entry) -> Words:
    """Whether a transaction took effect: a signature under what was refused attests an attempt."""
    if not entry.outcome.refused:
        return Words("已生效", "applied")
    code = entry.outcome.code
    why = REFUSAL_WORDS.get(code, Words(code, code))
    return Words(
        f"已记录为拒绝（{why.zh}，{code}），未生效",
        f"recorded as refused and of no effect ({why.en}, {code})",
    )


def _parties_of(record: list[object] | None) -> dict[str, str]:
    """Return the party of each role of a contract; empty for a consumer who does not sign.

    Of a record of another kind or version, as of none, no party is known.
    """
    places = _PLACES.get(str(record[0])) if record else None
    if record is None or places is None or len(record) <= max(places):
        return {}
    if type(record[1]) is not int or record[1] != _RECORD_VERSION:
        return {}
    return {
        role: str(record[place])
        for role, place in zip(("merchant", "custodian", "consumer"), places, strict=True)
    }


def _former_consumers(record: list[object] | None) -> set[str]:
    """Return the parties under which consumers signed before they assigned their claim."""
    assigned = record[28] if record and record[0] == "contract" and len(record) > 28 else None
    if not isinstance(assigned, list):
        return set()
    return {str(one[2]) for one in assigned if isinstance(one, list) and len(one) > 2} - {""}


def _describe_statement(case: Case, place: int) -> Words:
    body, time = case.bodies[place], format_time_ms(case.time_of(place))
    kind = describe_kind(body.kind, body.version)
    stated = [(name, body.data.get(name)) for name in ("statement", "answer")]
    told = [_tell(name, one) for name, one in stated if isinstance(one, str) and one]
    said = told[0] if told else Words("", "")
    signers = ", ".join(body.signers)
    return Words(
        f"{signers}，{time.zh}，{kind.zh}{said.zh}", f"{signers} at {time.en}, {kind.en}{said.en}"
    )


def _tell(name: str, stated: str) -> Words:
    """Return what somebody stated, to stand behind its kind."""
    shown = show_text(stated)
    zh = EFFECTS_ZH.get(f"{name}.{stated}")
    return Words(f"：{shown}" if zh is None else f"：{zh}（{shown}）", f" {shown}")
