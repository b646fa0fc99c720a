"""Step 25: RFC 3161 tokens are of a certified checkpoint whose tree begins with the file's own.

Looked at here: the checkpoint's signatures and quorum, the path, each token's form, that its
SHA-256 imprint is that of the checkpoint's bytes, and what time it says and how exactly, which
cannot be before the cosignatures among those bytes were made. Not looked at, here or in
the page: the authority's signature and certificates, which take CMS, X.509 and somebody's trust in
an authority; the sentence has the `openssl ts` command that does. Nor is SM3 computed: a token with
that imprint is read, and said not to be compared. The step is no condition of any other.
"""

from __future__ import annotations

from typing import Final

from ledger.hashing import sha256
from ledger.merkle import verify_consistency
from ledger.refusal import Reason
from ledger.timestamp_part import SHA256, TimestampPart, TimestampToken
from verifier.case import Case
from verifier.evidence_file import WITHOUT_MORE, EvidenceFile
from verifier.log_steps import certify
from verifier.report import NotRun, Refuted, Said, Saying, Words
from verifier.timestamp_token import TokenContent, read_token
from verifier.wording import format_accuracy_us, format_time_ms

CLOCK_DIFFERENCE_MAX_S: Final = 300
"""Between the clocks of cosigners and authorities; nodes keep no token that is further away."""

TIMESTAMP_LIMIT: Final = Words(
    "时间戳只经读取：时间戳机构的签名与证书未核验，因此由谁加盖、何时加盖均未得到证明，"
    "须以 openssl ts 核验；机构名称是取得时间戳的节点所起的名称。",
    "The time stamps were read, no more: the authorities' signatures and certificates were not "
    "checked, so neither who stamped nor when is proven until openssl ts does; an authority's name "
    "is what the node that asked calls it.",
)


def find_timestamps(file: EvidenceFile) -> TimestampPart | None:
    """Return a file's time stamps, if it has any."""
    if isinstance(file, WITHOUT_MORE):
        return None
    return file.timestamps


def check_timestamps(case: Case) -> Said:
    """Step 25: one certified checkpoint that the file's leads to, and tokens of exactly it."""
    part = find_timestamps(case.file)
    assert part is not None, "the step is in the plan only where there are some"
    note = part.checkpoint.encode()
    certified = case.certified.get(note) or certify(case.root, note)
    older, newer = case.checkpoint.checkpoint, certified[0].checkpoint
    verify_consistency(older.size, newer.size, part.path, older.root, newer.root)
    digest = sha256(note)
    cosigned_ms = certified[0].cosigned_from_s(case.root.faulty_max) * 1000
    contents: list[TokenContent] = []
    facts: list[dict[str, object]] = []
    for at, token in enumerate(part.tokens):
        name = f"timestamps.tokens[{at}]"
        found = read_token(token.raw, token.algorithm, name)
        is_compared = token.algorithm == SHA256
        if is_compared and found.imprint != digest:
            raise Refuted(
                Reason.ROOT_MISMATCH,
                f"第 {at + 1} 个时间戳的摘要为 {found.imprint.hex()}，而检查点的 SHA-256 为 "
                f"{digest.hex()}。",
                f"{name}: the imprint is {found.imprint.hex()}; the checkpoint's SHA-256 is "
                f"{digest.hex()}.",
            )
        if found.time_ms < cosigned_ms - CLOCK_DIFFERENCE_MAX_S * 1000:
            by, since = format_time_ms(found.time_ms), format_time_ms(cosigned_ms)
            raise Refuted(
                Reason.BAD_FIELD,
                f"第 {at + 1} 个时间戳自称的时间为{by.zh}，而其检查点在{since.zh} 之前尚未联署。",
                f"{name}: it says {by.en}, and its checkpoint was not cosigned before {since.en}.",
            )
        contents.append(found)
        facts.append(
            {
                "accuracy_us": found.accuracy_us,
                "algorithm": token.algorithm,
                "authority": token.authority,
                "is_imprint_compared": is_compared,
                "time_ms": found.time_ms,
            }
        )
    case.facts["timestamps"] = facts
    case.facts["timestamps_size"] = newer.size
    said = Saying(lambda: _say(part, contents, newer.size))
    if all(token.algorithm != SHA256 for token in part.tokens):
        raise NotRun(said.words.zh, said.words.en)
    return said


def _say(part: TimestampPart, contents: list[TokenContent], size: int) -> Words:
    told = [_describe(*pair) for pair in zip(part.tokens, contents, strict=True)]
    first = part.tokens[0]
    command = (
        "evidence-ledger stamps --file FILE -o stamped && openssl ts -verify -data "
        f"stamped/checkpoint -in stamped/{first.authority}.{first.algorithm}.tsr -CAfile root.pem "
        "-untrusted signer.pem"
    )
    return Words(
        f"大小为 {size} 的检查点由法定多数联署，此文件的日志是其开头；其 {len(told)} 个时间戳"
        f"自称的时间：{'；'.join([one.zh for one in told])}。时间戳机构的签名与证书未在此核验，"
        f"核验命令：{command}",
        f"A quorum cosigned the checkpoint of size {size}; this file's log is the beginning "
        f"of it. What its {len(told)} time stamps say: {'; '.join([one.en for one in told])}. The "
        f"authorities' signatures and certificates are not checked here; to check them: {command}",
    )


def _describe(token: TimestampToken, content: TokenContent) -> Words:
    by, exactly = format_time_ms(content.time_ms), format_accuracy_us(content.accuracy_us)
    is_compared = token.algorithm == SHA256
    return Words(
        f"{token.authority}（{token.algorithm}）：{by.zh}{exactly.zh}，"
        f"{'摘要相符' if is_compared else '摘要未比对'}",
        f"{token.authority} ({token.algorithm}): {by.en}{exactly.en}, "
        f"{'of these bytes' if is_compared else 'imprint not compared'}",
    )
