"""Reading a request: bounded, in time, and strict about every parameter.

Nothing here trusts a length that a client names: bytes are counted as they arrive, and the reading
stops at the bound. A parameter has one spelling; anything else is refused with the value at fault,
shortened so that an answer is never longer than its cause deserves.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request

from api.media import JSON, MSGPACK
from api.problems import Problem
from api.tokens import CONTRACT_PATTERN
from ledger.checkpoint import parse_decimal
from ledger.refusal import Reason
from ledger.transaction import PARTY_PATTERN

SHOWN_CHARS_MAX: Final = 80
"""Characters of a value at fault that a problem repeats."""

HEIGHT_MAX: Final = 2**53 - 1

STREAM_KINDS: Final = (
    "contract",
    "custodian",
    "merchant",
    "party",
    "published",
    "rules",
    "terms",
    "validator",
)
"""What stands before the slash of a stream's name (docs/FORMATS.md)."""

_TX_ID = re.compile(r"[0-9a-f]{64}")
_CONTRACT_ID = re.compile(CONTRACT_PATTERN)
_PARTY_ID = re.compile(PARTY_PATTERN)


def shown(text: str) -> str:
    """Return a value as a problem's sentence shows it: quoted, escaped, shortened."""
    short = text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…"
    return ascii(short) if not short.isprintable() else repr(short)


def read_content_type(request: Request) -> str:
    """Return `JSON` or `MSGPACK`; raise `Problem` (unsupported_media_type)."""
    headers = request.headers
    encoding = headers.get("content-encoding")
    if encoding is not None and encoding != "identity":
        raise Problem(
            "unsupported_media_type",
            f"content-encoding {shown(encoding)} is not supported; send the body as it is",
            f"不支持内容编码 content-encoding {shown(encoding)}；请按原样发送请求内容",
        )
    content_type = headers.get("content-type", "")
    if content_type in (JSON, MSGPACK):
        return content_type
    name, _, parameters = content_type.partition(";")
    name = name.strip().lower()
    charset = parameters.strip().lower().replace('"', "")
    if name in (JSON, MSGPACK) and charset in ("", "charset=utf-8"):
        return name
    raise Problem(
        "unsupported_media_type",
        f"content-type {shown(content_type)} is not supported; send {JSON} or {MSGPACK}",
        f"不支持内容类型 content-type {shown(content_type)}；请以 {JSON} 或 {MSGPACK} 发送",
        headers={"Accept-Post": f"{JSON}, {MSGPACK}"},
    )


@dataclass(slots=True)
class BodyBudget:
    """Bytes of bodies that have begun to arrive and are not dealt with, of all requests together.

    Without it, slow clients who send nearly all of many large bodies would fill the memory.
    """

    bytes_max: int
    held: int = 0

    def take(self, count: int) -> None:
        """Count bytes that arrived; raise `Problem` (busy) beyond the bound."""
        if self.held + count > self.bytes_max:
            raise Problem(
                Reason.POOL_FULL,
                f"{self.held} bytes of requests are being received; try again shortly",
                f"正在接收的请求内容已有 {self.held} 字节；请稍后再试",
                headers={"Retry-After": "1", "Connection": "close"},
            )
        self.held += count


async def read_body(
    request: Request, bytes_max: int, timeout_s: float, budget: BodyBudget
) -> bytes:
    """Return the request's body; raise `Problem` (too_large, request_timeout, pool_full)."""
    declared = request.headers.get("content-length")
    if declared is not None:
        length = parse_decimal(declared, 2**63 - 1)
        if length is None:
            raise Problem(
                "bad_request",
                f"content-length {shown(declared)} is not a length",
                f"请求头 content-length 为 {shown(declared)}，不是长度",
            )
        if length > bytes_max:
            raise _too_large(f"{length} bytes", f"有 {length} 字节", bytes_max)
    try:
        async with asyncio.timeout(timeout_s):
            return await _read_counted(request, bytes_max, budget)
    except TimeoutError:
        raise Problem(
            "request_timeout",
            f"the request's body did not arrive whole within {timeout_s:g} s",
            f"请求内容未能在 {timeout_s:g} 秒内全部到达",
        ) from None


async def _read_counted(request: Request, bytes_max: int, budget: BodyBudget) -> bytes:
    counted = 0

    def count(chunk: bytes) -> None:
        nonlocal counted
        budget.take(len(chunk))
        counted += len(chunk)

    try:
        return await _read_chunks(request, bytes_max, count)
    finally:
        budget.held -= counted


async def _read_chunks(request: Request, bytes_max: int, count: Callable[[bytes], None]) -> bytes:
    chunks: list[bytes] = []
    total = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        total += len(chunk)
        if total > bytes_max:
            raise _too_large(f"more than {bytes_max} bytes", f"超过 {bytes_max} 字节", bytes_max)
        count(chunk)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(what: str, what_zh: str, bytes_max: int) -> Problem:
    return Problem(
        Reason.TOO_LARGE,
        f"the request's body has {what}; at most {bytes_max} are allowed here",
        f"请求内容{what_zh}；此处至多允许 {bytes_max} 字节",
        headers={"Connection": "close"},
    )


def refuse_repeated_members(raw: bytes) -> None:
    """Raise `Problem` (malformed) if an object of a request's JSON has a member twice.

    msgspec keeps the last one and says nothing, and what stood under the first would be lost
    without a word to whoever sent it. For what msgspec has decoded: depth and numbers are bounded
    there.
    """
    json.loads(raw, object_pairs_hook=_check_members)


def _check_members(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    names = [name for name, _ in pairs]
    twice = next(name for place, name in enumerate(names) if name in names[:place])
    raise Problem(
        Reason.MALFORMED,
        f"request body: member {shown(twice)} stands more than once in one object",
        f"请求内容：同一对象中成员 {shown(twice)} 出现不止一次",
    )


def read_tx_id(request: Request) -> bytes:
    """Return the path's transaction id; raise `Problem` (bad_parameter)."""
    text: str = request.path_params["tx_id"]
    if _TX_ID.fullmatch(text) is None:
        raise Problem(
            "bad_parameter",
            f"transaction id {shown(text)} is not 64 lower-case hex digits",
            f"交易号 {shown(text)} 不是 64 位小写十六进制数字",
        )
    return bytes.fromhex(text)


def parse_hash(name: str, text: str) -> bytes:
    """Return 32 bytes that a parameter gives in hex; raise `Problem` (bad_parameter)."""
    if _TX_ID.fullmatch(text) is None:
        raise Problem(
            "bad_parameter",
            f"{name} {shown(text)} is not 64 lower-case hex digits",
            f"参数 {name} 为 {shown(text)}，应为 64 位小写十六进制数字",
        )
    return bytes.fromhex(text)


def parse_contract_id(text: str) -> str:
    """Return a contract's id as its stream; raise `Problem` (bad_parameter)."""
    if _CONTRACT_ID.fullmatch(text) is None:
        raise Problem(
            "bad_parameter",
            f"contract id {shown(text)} is not 1 to 80 of a-z 0-9 . _ - starting with a letter "
            "or digit",
            f"合同编号 {shown(text)} 不符合要求：应为 1 至 80 个字符，只用 a-z 0-9 . _ -，以字母或"
            "数字开头",
        )
    return f"contract/{text}"


def check_each_once(contracts: Sequence[str]) -> None:
    """Raise `Problem` (bad_parameter) where a contract of a claim is named twice."""
    for place, contract in enumerate(contracts):
        if contract in contracts[:place]:
            raise Problem(
                "bad_parameter",
                f"contract {shown(contract)} is named twice; a claim has each once",
                detail_zh=f"合同 {shown(contract)} 列出了两次；每份合同只能列一次",
            )


def parse_merchant(text: str) -> str:
    """Return a merchant's party id; raise `Problem` (bad_parameter)."""
    if _PARTY_ID.fullmatch(text) is None:
        raise Problem(
            "bad_parameter",
            f"merchant {shown(text)} is not 1 to 48 of a-z 0-9 - starting with a letter or digit",
            f"经营者编号 {shown(text)} 不符合要求：应为 1 至 48 个字符，只用 a-z 0-9 -，以字母或"
            "数字开头",
        )
    return text


def parse_stream(kind: str, name: str) -> str:
    """Return a stream from its kind and name; raise `Problem` (bad_parameter)."""
    if kind not in STREAM_KINDS or _CONTRACT_ID.fullmatch(name) is None:
        raise Problem(
            "bad_parameter",
            f"{shown(f'{kind}/{name}')} is no stream: one of {', '.join(STREAM_KINDS)}, then a "
            "slash and 1 to 80 of a-z 0-9 . _ - starting with a letter or digit",
            f"{shown(f'{kind}/{name}')} 不是记录的名称：应为 {'、'.join(STREAM_KINDS)} 之一，接一个"
            "斜杠，再接 1 至 80 个字符，只用 a-z 0-9 . _ -，以字母或数字开头",
        )
    return f"{kind}/{name}"


def parse_height(text: str) -> int:
    """Return a block's height; raise `Problem` (bad_parameter)."""
    height = parse_decimal(text, HEIGHT_MAX)
    if height is None:
        raise Problem(
            "bad_parameter",
            f"height {shown(text)} is not a decimal number from 0 to {HEIGHT_MAX} without "
            "leading zeros",
            f"高度 {shown(text)} 不是 0 至 {HEIGHT_MAX} 的十进制整数（不带前导零）",
        )
    return height


def parse_size(text: str) -> int:
    """Return a number of entries; raise `Problem` (bad_parameter)."""
    size = parse_decimal(text, HEIGHT_MAX)
    if size is None:
        raise Problem(
            "bad_parameter",
            f"size {shown(text)} is not a decimal number from 0 to {HEIGHT_MAX} without "
            "leading zeros",
            f"条目数 {shown(text)} 不是 0 至 {HEIGHT_MAX} 的十进制整数（不带前导零）",
        )
    return size
