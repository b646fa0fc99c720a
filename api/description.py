"""Pieces of an OpenAPI description: an answer, the problems an operation may give, who may call it.

Used by the cold routes' decorators and by the table of hot operations, so that both describe their
errors in one way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api import examples
from api.media import JSON
from api.problems import MEDIA_TYPE, PROBLEMS

BINARY: Final = {"type": "string", "format": "binary"}
OBJECT: Final = {"type": "object"}
STRING: Final = {"type": "string"}

SECURITY_NONE: Final[dict[str, Any]] = {"security": []}
SECURITY_TOKEN: Final[dict[str, Any]] = {"security": [{"token": []}]}
SECURITY_OPTIONAL: Final[dict[str, Any]] = {"security": [{}, {"token": []}]}

PROVEN: Final = ("bad_parameter", "unauthenticated", "forbidden", "not_found", "not_certified")
"""Problems of an operation that proves to whoever may read a stream what the chain says of it."""

_PROBLEM_DETAILS: Final[Mapping[str, tuple[str, str]]] = {
    "malformed": (
        "request body: Object missing required field `signatures`",
        "请求内容：缺少成员 signatures",
    ),
    "bad_parameter": (
        "height '007' is not a decimal number from 0 to 9007199254740991 without leading zeros",
        "高度 '007' 不是 0 至 9007199254740991 的十进制整数（不带前导零）",
    ),
    "too_large": (
        "the request's body has 200000 bytes; at most 131072 are allowed here",
        "请求内容有 200000 字节；此处至多允许 131072 字节",
    ),
    "bad_field": (
        "a batch has at least one transaction; this one has none",
        "一个批次至少含一笔交易；该批次没有交易",
    ),
    "bad_signature": (
        "transaction …: a signature of merchant-1 does not verify for this chain",
        "交易 …：merchant-1 的签名之一对本链无法通过验证",
    ),
    "duplicate": ("transaction … is already on the chain", "交易 … 已在链上"),
    "too_many_attempts": (
        (
            "contract/c-9 has 1000 attempts that were refused; from 1000 on only what would be "
            "applied is taken in, and as of block 812 this would be refused as not_entitled"
        ),
        (
            "contract/c-9 已有 1000 笔被拒的提交；自 1000 笔起只收录会生效的交易，而按区块 812 的"
            "状态，本笔将以 not_entitled 被拒"
        ),
    ),
    "quota_exceeded": (
        "submitter merchant-1 is over its 1000 transactions a second",
        "提交者 merchant-1 超过每秒 1000 笔的配额",
    ),
    "pool_full": (
        "the pool holds 100000 transactions and 61000000 bytes; try again shortly",
        "交易池已有 100000 笔、61000000 字节，请稍后重试",
    ),
    "set_aside": (
        (
            "transaction … is set aside: executing it failed on this node, by a mistake of the "
            "software, and it is not taken in until that is mended"
        ),
        "交易 … 已搁置：本节点执行该交易时因软件缺陷出错，修复之前不再收录",
    ),
    "unauthenticated": (
        "this needs the header Authorization: Bearer <access token>",
        "此处需要请求头 Authorization: Bearer <访问令牌>",
    ),
    "forbidden": (
        "token 'till-7' with scope merchant:merchant-1 does not cover contract/c-9",
        "访问令牌 'till-7' 的权限范围 merchant:merchant-1 不包括 contract/c-9",
    ),
    "not_found": ("transaction … is not known to this node", "本节点不知道交易 …"),
    "record_too_long": (
        (
            "contract/c-9 has 100001 entries; a history holds at most 100000: ask for shorter "
            "windows, one after another"
        ),
        (
            "contract/c-9 有 100001 个条目；一份完整记录至多容纳 100000 个："
            "请改用较短的时间段，逐段查询"
        ),
    ),
    "request_timeout": (
        "the request's body did not arrive whole within 30 s",
        "请求内容未能在 30 秒内全部到达",
    ),
    "unsupported_media_type": (
        "content-type 'text/html' is not supported; send application/json or application/msgpack",
        (
            "不支持内容类型 content-type 'text/html'；"
            "请以 application/json 或 application/msgpack 发送"
        ),
    ),
    "conflict": (
        "contract/c-9 has private fields under commitment …; name it in `replaces` to correct them",
        "contract/c-9 已有非公开信息，其承诺值为 …；如需更正，请在 `replaces` 中写明该承诺值",
    ),
    "erased": (
        "the private fields of contract/c-9 were erased",
        "contract/c-9 的非公开信息已被删除",
    ),
    "not_certified": (
        "block 4711 is committed, and a quorum has not yet cosigned a checkpoint that covers it",
        "高度 4711 的区块已确定，而覆盖它的检查点尚未经法定多数联署",
    ),
    "unavailable": ("catching up: height 100 of 4711", "正在追赶：高度 100，目标高度 4711"),
    "internal": (
        (
            "the node made a mistake answering this; its log has it under the request id "
            "5f3c9a7e21d04b86"
        ),
        "节点在应答时出现自身错误；其日志以请求编号 5f3c9a7e21d04b86 作了记录",
    ),
}


def answer(
    status: int, description: str, media_type: str, schema: Mapping[str, Any], example: Any
) -> dict[int | str, dict[str, Any]]:
    """Return one entry of an operation's responses."""
    content = {media_type: {"schema": dict(schema), "example": example}}
    return {status: {"description": description, "content": content}}


def object_answer(description: str, example: Any, *reasons: str) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an operation that answers with a JSON object of another format."""
    return {**problems(*reasons), **answer(200, description, JSON, OBJECT, example)}


def shows(example: Any, security: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an operation with a schema of its own adds: an example, and who may call it."""
    return {"responses": {"200": {"content": {JSON: {"example": example}}}}, **security}


def problems(*reasons: str) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an operation that may answer with these problems, and with 500."""
    by_status: dict[int, list[str]] = {}
    for reason in (*reasons, "internal"):
        by_status.setdefault(PROBLEMS[reason][0], []).append(reason)
    responses: dict[int | str, dict[str, Any]] = {}
    for status, named in by_status.items():
        response: dict[str, Any] = {
            "description": "; ".join(f"{reason}: {PROBLEMS[reason][1]}" for reason in named),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemForm"},
                    "examples": {
                        reason: {
                            "value": examples.problem(
                                reason, *_PROBLEM_DETAILS.get(reason, ("…", "…")), "/v1/…"
                            )
                        }
                        for reason in named
                    },
                }
            },
        }
        headers: dict[str, Any] = {}
        if status in (429, 503):
            headers["Retry-After"] = {"description": "seconds", "schema": {"type": "integer"}}
        if status == 401:
            headers["WWW-Authenticate"] = {"schema": STRING}
        if headers:
            response["headers"] = headers
        responses[status] = response
    return responses
