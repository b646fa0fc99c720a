"""Two signed statements of one validator that no correct one can both have made.

The second reading of what `ledger.equivocation` defines, from docs/FORMATS.md. Genesis alone
decides: it names the validator's keys, and the two signatures do the rest. Nothing of a chain is
read, so it does not matter who brings the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ledger import tags
from ledger.checkpoint import Checkpoint, cosigner_verifier_key, verify_cosignature
from ledger.hashing import HASH_BYTES
from ledger.merkle import verify_consistency
from ledger.refusal import Reason
from ledger.signing import SIGNATURE_BYTES, verify_signature
from verifier.case import Case
from verifier.evidence_file import EquivocationFile
from verifier.formats import VIEW_MAX
from verifier.report import Refuted, Words
from verifier.strict_msgpack import read_array, take_array, take_bytes, take_integer, take_text
from verifier.trust_root import Institution
from verifier.wording import format_institutions

PHASES: Final = ("pre-prepare", "prepare", "commit")
PHASES_ZH: Final = ("预准备", "准备", "提交")
_PHASE_TAGS: Final = (tags.PRE_PREPARE, tags.PREPARE, tags.COMMIT)
_COMMIT: Final = 2
_TREE_BYTES: Final = 8 + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote for a block in a slot, as it was signed."""

    phase: int
    height: int
    view: int
    block_hash: bytes
    replica: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """A view-change with what it says was prepared."""

    height: int
    view: int
    claim: tuple[int, bytes] | None
    replica: int
    signature: bytes

    @property
    def rank(self) -> tuple[int, bytes]:
        """Order of two claims; nothing is the lowest."""
        return (-1, b"") if self.claim is None else self.claim


def check_equivocation(case: Case, file: EquivocationFile) -> Words:
    """Read the evidence, and raise `Refuted` or `Rejected` unless it contradicts itself."""
    fields = read_array(file.evidence, "equivocation")
    kind = take_integer(fields[0] if fields else None, "equivocation: kind", 1, 4)
    take_array(fields, "equivocation", 7 if kind == 4 else 3)
    if kind == 4:
        return _check_fork(case, fields)
    if kind == 1:
        return _check_votes(case, _take_vote(fields[1], "first"), _take_vote(fields[2], "second"))
    if kind == 2:
        return _check_claims(
            case, _take_claim(fields[1], "first"), _take_claim(fields[2], "second")
        )
    return _check_amnesia(
        case, _take_vote(fields[1], "commit"), _take_claim(fields[2], "view-change")
    )


def _check_votes(case: Case, first: Vote, second: Vote) -> Words:
    name = _one_validator(case, first.replica, second.replica)
    is_primary = first.replica == (first.height + first.view) % len(case.root.institutions)
    is_pair = is_primary and {first.phase, second.phase} == {0, 1}
    if (first.height, first.view) != (second.height, second.view) or not (
        first.phase == second.phase or is_pair
    ):
        _refuse(
            Reason.BAD_FIELD,
            f"两票分属 {_slot_zh(first)} 与 {_slot_zh(second)}，并不矛盾。",
            f"The votes are of slots {_slot(first)} and {_slot(second)}, which do not contradict "
            "each other.",
        )
    if first.block_hash == second.block_hash:
        _refuse(
            Reason.BAD_FIELD,
            f"两票都投给区块 {first.block_hash.hex()}。",
            f"Both votes are for block {first.block_hash.hex()}.",
        )
    if first.block_hash > second.block_hash:
        _refuse(
            Reason.NOT_CANONICAL,
            "区块哈希较小的一票应排在前面。",
            "The vote for the lower block hash stands second.",
        )
    for vote in (first, second):
        _verify_vote(case, vote)
    _tell(
        case, first.replica, f"{PHASES[min(first.phase, second.phase)]}/{first.height}/{first.view}"
    )
    return Words(
        f"{name.zh}在{_slot_zh(first)}投票给区块 {first.block_hash.hex()}，又在{_slot_zh(second)}"
        f"投票给区块 {second.block_hash.hex()}，两票均有其签名：自相矛盾。",
        f"{name.en} voted in {_slot(first)} for block {first.block_hash.hex()} and in "
        f"{_slot(second)} for block {second.block_hash.hex()}, and signed both: it contradicted "
        "itself.",
    )


def _check_claims(case: Case, first: Claim, second: Claim) -> Words:
    name = _one_validator(case, first.replica, second.replica)
    if (first.height, first.view) != (second.height, second.view):
        _refuse(
            Reason.BAD_FIELD,
            f"两份视图变更分别针对高度 {first.height} 第 {first.view} 视图与高度 {second.height} "
            f"第 {second.view} 视图，并不矛盾。",
            f"The view-changes are of height {first.height} to view {first.view} and of height "
            f"{second.height} to view {second.view}, which do not contradict each other.",
        )
    if first.rank == second.rank:
        _refuse(Reason.BAD_FIELD, "两份视图变更所称相同。", "Both view-changes claim the same.")
    if first.rank > second.rank:
        _refuse(
            Reason.NOT_CANONICAL,
            "所称较低的视图变更应排在前面。",
            "The view-change with the lower claim stands second.",
        )
    for claim in (first, second):
        _verify_claim(case, claim)
    _tell(case, first.replica, f"view-change/{first.height}/{first.view}")
    return Words(
        f"{name.zh}在高度 {first.height} 转入第 {first.view} 视图时签署了两份内容不同的视图变更："
        "自相矛盾。",
        f"{name.en} signed two view-changes of height {first.height} to view {first.view} that "
        "claim different things: it contradicted itself.",
    )


def _check_amnesia(case: Case, commit: Vote, change: Claim) -> Words:
    name = _one_validator(case, commit.replica, change.replica)
    if commit.phase != _COMMIT or commit.height != change.height:
        _refuse(
            Reason.BAD_FIELD,
            f"{_slot_zh(commit)}的一票不涉及高度 {change.height} 的视图变更。",
            f"A vote in {_slot(commit)} says nothing about a view-change of height "
            f"{change.height}.",
        )
    if (
        change.view <= commit.view
        or change.rank[0] > commit.view
        or (change.rank == (commit.view, commit.block_hash))
    ):
        _refuse(
            Reason.BAD_FIELD,
            f"视图变更没有否认第 {commit.view} 视图的提交票。",
            f"The view-change does not deny the commit of view {commit.view}.",
        )
    _verify_vote(case, commit)
    _verify_claim(case, change)
    _tell(case, commit.replica, f"view-change/{change.height}/{change.view}")
    return Words(
        f"{name.zh}在高度 {commit.height} 第 {commit.view} 视图对区块 {commit.block_hash.hex()} "
        f"投了提交票，却在转入第 {change.view} 视图时否认：自相矛盾。",
        f"{name.en} committed to block {commit.block_hash.hex()} at height {commit.height} in view "
        f"{commit.view} and denied it when it changed to view {change.view}: it contradicted "
        "itself.",
    )


def _check_fork(case: Case, fields: list[Any]) -> Words:
    replica = take_integer(fields[1], "equivocation: replica")
    origin = take_text(fields[2], "equivocation: origin")
    trees = []
    for item, which in ((fields[3], "smaller"), (fields[4], "larger")):
        size, root, signature = take_array(item, f"equivocation: {which}", 3)
        trees.append(
            (
                take_integer(size, f"equivocation: {which}: size"),
                take_bytes(root, f"equivocation: {which}: root", HASH_BYTES),
                take_bytes(signature, f"equivocation: {which}: signature", _TREE_BYTES),
            )
        )
    prefix = take_bytes(fields[5], "equivocation: prefix root", HASH_BYTES)
    proof = [
        take_bytes(node, "equivocation: proof", HASH_BYTES)
        for node in take_array(fields[6], "equivocation: proof")
    ]
    name = _one_validator(case, replica, replica)
    if origin != case.root.origin:
        _refuse(
            Reason.WRONG_CHAIN,
            f"两棵树属于日志 {origin}，而不是 {case.root.origin}。",
            f"The trees are of log {origin}, not of {case.root.origin}.",
        )
    (size, root, _), (larger_size, larger_root, _) = trees
    if size == larger_size:
        if root >= larger_root or prefix != larger_root or proof:
            _refuse(
                Reason.NOT_CANONICAL,
                "大小相同的两棵树：根较小者在前，且不附证明。",
                "Two trees of one size: the lower root stands first, and nothing is proven.",
            )
    else:
        verify_consistency(size, larger_size, proof, prefix, larger_root)
        if prefix == root:
            _refuse(
                Reason.BAD_FIELD,
                f"大小 {larger_size} 的树以此树为开头，并不矛盾。",
                f"The tree of size {larger_size} begins with this one; they do not contradict "
                "each other.",
            )
    validator = case.root.institutions[replica]
    key = cosigner_verifier_key(f"{origin}/{validator.id}", validator.cosign_key)
    for tree_size, tree_root, signature in trees:
        verify_cosignature(Checkpoint(origin, tree_size, tree_root).text(), key, signature)
    _tell(case, replica, f"checkpoint/{size}")
    return Words(
        f"{name.zh}联署了大小 {size}、根 {root.hex()} 的树，又联署了大小 {larger_size} 的树，而后者"
        f"前 {size} 条的根为 {prefix.hex()}：两棵树不能同真，自相矛盾。",
        f"{name.en} cosigned a tree of size {size} with root {root.hex()} and one of size "
        f"{larger_size} whose first {size} entries have root {prefix.hex()}: not both can be "
        "the log; it contradicted itself.",
    )


def _take_vote(item: Any, name: str) -> Vote:
    name = f"equivocation: {name}"
    phase, height, view, block_hash, replica, signature = take_array(item, name, 6)
    return Vote(
        take_integer(phase, f"{name}: phase", 0, _COMMIT),
        take_integer(height, f"{name}: height", 1),
        take_integer(view, f"{name}: view", 0, VIEW_MAX),
        take_bytes(block_hash, f"{name}: block hash", HASH_BYTES),
        take_integer(replica, f"{name}: replica"),
        take_bytes(signature, f"{name}: signature", SIGNATURE_BYTES),
    )


def _take_claim(item: Any, name: str) -> Claim:
    name = f"equivocation: {name}"
    height, view, claim, replica, signature = take_array(item, name, 5)
    view = take_integer(view, f"{name}: view", 1, VIEW_MAX)
    prepared = None
    if claim is not None:
        prepared_view, block_hash = take_array(claim, f"{name}: claim", 2)
        prepared = (
            take_integer(prepared_view, f"{name}: prepared view", 0, view - 1),
            take_bytes(block_hash, f"{name}: block hash", HASH_BYTES),
        )
    return Claim(
        take_integer(height, f"{name}: height", 1),
        view,
        prepared,
        take_integer(replica, f"{name}: replica"),
        take_bytes(signature, f"{name}: signature", SIGNATURE_BYTES),
    )


def _one_validator(case: Case, one: int, other: int) -> Words:
    count = len(case.root.institutions)
    if one != other:
        _refuse(
            Reason.BAD_FIELD,
            f"两份陈述分属验证者 {one} 与 {other}。",
            f"The statements are of two validators, {one} and {other}.",
        )
    if one >= count:
        _refuse(
            Reason.NOT_A_VALIDATOR,
            f"验证者 {one} 不在 {count} 家机构之列。",
            f"Validator {one} is not one of {count} institutions.",
        )
    return format_institutions([case.root.institutions[one]])


def _verify_vote(case: Case, vote: Vote) -> None:
    message = (
        _PHASE_TAGS[vote.phase]
        + case.root.chain_id
        + vote.height.to_bytes(8, "big")
        + vote.view.to_bytes(8, "big")
        + vote.block_hash
    )
    _verify(
        case.root.institutions[vote.replica], message, vote.signature, _slot_zh(vote), _slot(vote)
    )


def _verify_claim(case: Case, claim: Claim) -> None:
    message = (
        tags.VIEW_CHANGE
        + case.root.chain_id
        + claim.height.to_bytes(8, "big")
        + claim.view.to_bytes(8, "big")
    )
    if claim.claim is None:
        message += b"\x00"
    else:
        message += b"\x01" + claim.claim[0].to_bytes(8, "big") + claim.claim[1]
    _verify(
        case.root.institutions[claim.replica],
        message,
        claim.signature,
        f"高度 {claim.height} 转入第 {claim.view} 视图",
        f"view-change/{claim.height}/{claim.view}",
    )


def _verify(who: Institution, message: bytes, signature: bytes, slot_zh: str, slot: str) -> None:
    if not verify_signature(who.vote_key, message, signature):
        name = format_institutions([who])
        _refuse(
            Reason.BAD_SIGNATURE,
            f"{name.zh}在{slot_zh}的签名无法通过验证。",
            f"The signature of {name.en} in {slot} does not verify.",
        )


def _tell(case: Case, replica: int, slot: str) -> None:
    case.facts |= {"validator": case.root.institutions[replica].id, "slot": slot}


def _slot(vote: Vote) -> str:
    return f"{PHASES[vote.phase]}/{vote.height}/{vote.view}"


def _slot_zh(vote: Vote) -> str:
    return f"高度 {vote.height} 第 {vote.view} 视图{PHASES_ZH[vote.phase]}阶段"


def _refuse(reason: Reason, zh: str, en: str) -> NoReturn:
    raise Refuted(reason, zh, en)
