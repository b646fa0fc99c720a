"""Errors as RFC 9457 problems: one table from a named reason to status and titles.

A problem's `type` is `urn:evidence-ledger:problem:<reason>`, stable, for programs; `title` and
`title_zh` are the same for every occurrence; `detail` and `detail_zh` are a whole sentence with the
values at fault. Of a refusal whose sentence nobody wrote in Chinese (`Rejected`, where bytes that
are no transaction are read), `detail_zh` is the Chinese title with the English sentence behind it,
marked as such.
Reasons are those of `ledger.refusal.Reason` (what is wrong with a transaction) and a few of the
web's own below. Bad input is never a 5xx: 503 says "later", and 500 is a mistake of ours, whose
details go to the log under the request's id and never to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote

import cbor2
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ledger.refusal import Reason, Rejected

TYPE_PREFIX: Final = "urn:evidence-ledger:problem:"
MEDIA_TYPE: Final = "application/problem+json"
CONCISE_MEDIA_TYPE: Final = "application/concise-problem-details+cbor"
CONCISE_PREFIXES: Final = ("/entries", "/.well-known/scitt-keys")
REQUEST_ID_KEY: Final = "evidence_ledger.request_id"
"""Where the edge puts the request's id in the ASGI scope."""

RETRY_AFTER_DEFAULT_S: Final = 1
"""For a refusal that passes by itself and whose end nobody computed: one block's time."""

WEB_PROBLEMS: Final[Mapping[str, tuple[int, str, str]]] = {
    "bad_parameter": (400, "A parameter is not acceptable", "参数不符合要求"),
    "unauthenticated": (401, "A valid access token is needed", "需要有效的访问令牌"),
    "forbidden": (403, "The access token does not cover this", "访问令牌无权访问该资源"),
    "not_found": (404, "There is no such thing", "资源不存在"),
    "record_too_long": (409, "The record is too long for one answer", "记录过长，无法一次给出"),
    "method_not_allowed": (405, "The method is not allowed here", "不允许使用该请求方法"),
    "conflict": (409, "What is stored does not allow this", "与已存内容冲突"),
    "erased": (410, "It was erased", "已被删除"),
    "request_timeout": (408, "The request took too long to arrive", "请求接收超时"),
    "unsupported_media_type": (415, "The content type is not supported", "不支持的内容类型"),
    "bad_request": (400, "The request is not acceptable", "请求不符合要求"),
    "internal": (500, "The node made a mistake", "节点内部错误"),
    "not_certified": (503, "No certified checkpoint covers it yet", "尚无检查点认证，请稍后重试"),
    "unavailable": (503, "The node cannot answer now", "节点暂时无法应答"),
}

REASON_PROBLEMS: Final[Mapping[str, tuple[int, str, str]]] = {
    Reason.MALFORMED: (400, "The bytes cannot be read", "数据无法解析"),
    Reason.NOT_CANONICAL: (400, "Not the one canonical spelling", "不是规范编码"),
    Reason.TOO_LARGE: (413, "Too large", "数据过大"),
    Reason.TOO_DEEP: (400, "Nested too deeply", "嵌套层数过多"),
    Reason.NOT_INTEGER: (400, "A number is not a permitted integer", "数字不是允许的整数"),
    Reason.BAD_FIELD: (422, "A field is not acceptable", "字段不符合要求"),
    Reason.BAD_SIGNATURE: (403, "A signature does not verify", "签名验证失败"),
    Reason.SIGNATURE_COUNT: (422, "Not exactly one signature per signer", "签名数量与签名方不符"),
    Reason.BAD_BATCH_PATH: (422, "A batch path does not fit", "批量签名路径无效"),
    Reason.UNKNOWN_PARTY: (403, "A party is not registered", "主体未登记"),
    Reason.UNKNOWN_KEY: (403, "A key does not belong to its party", "密钥不属于该主体"),
    Reason.KEY_NOT_VALID: (403, "A key is not valid at this height", "密钥在此高度无效"),
    Reason.STALE: (422, "The transaction's time is over", "交易已过有效期"),
    Reason.TOO_FAR_AHEAD: (422, "The transaction's time is too far ahead", "交易有效期过长"),
    Reason.DUPLICATE: (409, "Already on the chain", "交易已上链"),
    Reason.UNKNOWN_KIND: (422, "The kind is not known", "未知的类型"),
    Reason.WRONG_CHAIN: (422, "It belongs to another chain", "不属于本链"),
    Reason.WRONG_HEIGHT: (422, "It belongs to another height", "区块高度不符"),
    Reason.NOT_A_VALIDATOR: (403, "Not a validator", "不是验证节点"),
    Reason.NO_QUORUM: (422, "No quorum signed it", "签名未达到法定数量"),
    Reason.BAD_PROOF: (422, "A proof does not verify", "证明验证失败"),
    Reason.ROOT_MISMATCH: (422, "A root differs", "根哈希不一致"),
    Reason.QUOTA_EXCEEDED: (429, "The quota is used up", "超出配额"),
    Reason.POOL_FULL: (503, "The pool of waiting transactions is full", "交易池已满"),
    Reason.SET_ASIDE: (500, "Executing it failed on this node", "本节点执行该交易时出错"),
    Reason.TOO_MANY_ATTEMPTS: (409, "Too many attempts on this record", "该记录的失败提交过多"),
}

PROBLEMS: Final[Mapping[str, tuple[int, str, str]]] = {**WEB_PROBLEMS, **REASON_PROBLEMS}
UNLISTED: Final = (422, "The input was refused", "输入被拒绝")
"""For a reason added to the ledger and not yet here; a test keeps the table complete."""

RETRY_STATUSES: Final = frozenset({429, 503})


class ProblemForm(msgspec.Struct, frozen=True, gc=False, rename={"type_": "type"}):
    """A problem as RFC 9457 writes it; `title_zh`, `detail_zh`, `reason` and what follows are
    extensions."""

    type_: str
    title: str
    title_zh: str
    status: int
    detail: str
    detail_zh: str
    instance: str
    reason: str
    request_id: str
    tx_id: str | msgspec.UnsetType = msgspec.UNSET
    retry_after_s: int | msgspec.UnsetType = msgspec.UNSET


class Problem(Exception):
    """A request that gets an error: raised anywhere in a handler, rendered in one place."""

    def __init__(
        self,
        reason: str,
        detail: str,
        detail_zh: str,
        *,
        tx_id: bytes | None = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.tx_id = tx_id
        self.status, self.title, self.title_zh = PROBLEMS.get(reason, UNLISTED)
        self.detail_zh = detail_zh
        if self.status in RETRY_STATUSES and retry_after_s is None:
            retry_after_s = RETRY_AFTER_DEFAULT_S
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)

    @classmethod
    def of(
        cls, rejected: Rejected, tx_id: bytes | None = None, retry_after_s: int | None = None
    ) -> Problem:
        """Return the problem that says why input was refused."""
        return cls(
            rejected.reason,
            rejected.detail,
            explain_rejected(rejected),
            tx_id=tx_id,
            retry_after_s=retry_after_s,
        )


def explain_rejected(rejected: Rejected) -> str:
    """Return in Chinese why input was refused, around the English where that is all there is."""
    _, _, title_zh = PROBLEMS.get(rejected.reason, UNLISTED)
    return rejected.detail_zh or quote_zh(title_zh, rejected.detail)


def quote_zh(title_zh: str, detail: str) -> str:
    """Return the Chinese sentence around one that is in English alone."""
    return f"{title_zh}。原文：{detail}"


_encoder = msgspec.json.Encoder()


def problem_form(problem: Problem, instance: str, request_id: str) -> ProblemForm:
    """Return what the problem's JSON says."""
    return ProblemForm(
        TYPE_PREFIX + problem.reason,
        problem.title,
        problem.title_zh,
        problem.status,
        problem.detail,
        problem.detail_zh,
        instance,
        problem.reason,
        request_id,
        msgspec.UNSET if problem.tx_id is None else problem.tx_id.hex(),
        msgspec.UNSET if problem.retry_after_s is None else problem.retry_after_s,
    )


def request_instance(scope: Mapping[str, Any]) -> str:
    """Return the request's path as a URI reference, bounded."""
    return quote(scope["path"][:200], errors="replace", safe="/:@!$&'()*+,;=~-._")


def render_problem(scope: Mapping[str, Any], problem: Problem) -> Response:
    """Return the response to a request that `problem` answers.

    SCITT's routes answer in CBOR (RFC 9290), as SCRAPI asks, unless the client accepts JSON.
    """
    if scope["path"].startswith(CONCISE_PREFIXES) and not _accepts_json(scope):
        concise = cbor2.dumps({-1: problem.title, -2: problem.detail}, canonical=True)
        return Response(
            concise, problem.status, headers=problem.headers, media_type=CONCISE_MEDIA_TYPE
        )
    form = problem_form(problem, request_instance(scope), scope.get(REQUEST_ID_KEY, ""))
    return Response(
        _encoder.encode(form), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def _accepts_json(scope: Mapping[str, Any]) -> bool:
    """Say whether a client names JSON among what it accepts; `*/*` does not name it."""
    accepted = b",".join([value for name, value in scope["headers"] if name == b"accept"])
    return any(
        item.partition(b";")[0].strip().lower() in (b"application/json", MEDIA_TYPE.encode())
        for item in accepted.split(b",")
    )


def let_go(error: BaseException) -> None:
    """Drop the frames that an exception holds: a slow client's answer would keep them as long as
    it is not taken, and with them the records that they were at work on."""
    error.__traceback__ = error.__context__ = error.__cause__ = None


async def answer_problem(request: Request, error: Exception) -> Response:
    """Exception handler: `Problem` and `Rejected`."""
    let_go(error)
    problem = Problem.of(error) if isinstance(error, Rejected) else cast(Problem, error)
    return render_problem(request.scope, problem)
