"""Platform statements: read strictly, and verified against the genesis document alone.

A good signature shows that the institution said this of its node at the time it names. Whether it
is true is for the court to ask: two things can be compared, the build hash with published source,
and the health with what the log shows of the same time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.platform_statement import (
    BYTES_MAX,
    FORMAT,
    HEAD,
    HEALTH_MEMBERS,
    MEMBERS,
    MIDDLE,
    SIGNATURE_HEX_CHARS,
    TAIL,
    TIME_SOURCE_MEMBERS,
    compute_statement_message,
)
from ledger.refusal import Reason, Rejected
from ledger.signing import verify_signature
from verifier.report import Words
from verifier.strict_json import JsonValue, read_object
from verifier.strict_msgpack import take_integer
from verifier.trust_root import TrustRoot
from verifier.wording import format_time_ms, show_text

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_SIGNATURE: Final = re.compile(rb"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Health:
    """How the node was."""

    mode: str
    detail: str
    height: int
    certified_height: int
    peers_connected: int
    is_ready: bool


@dataclass(frozen=True, slots=True)
class PlatformStatement:
    """What one institution said of its node; its signature is verified."""

    node: str
    operator_zh: str
    operator_en: str
    version: str
    build_sha256: str
    build_files: int
    kernel: str
    kernel_sha256: str | None
    versions: tuple[tuple[str, str], ...]
    cryptography: tuple[str, ...]
    time_source: str
    is_synchronized: bool | None
    error_max_us: int | None
    conflicts_of_interest: str
    health: Health
    time_ms: int


def read_platform_statement(raw: bytes, root: TrustRoot) -> PlatformStatement:
    """Return a statement whose signature is good; raise `Rejected`.

    Reasons: TOO_LARGE, MALFORMED, WRONG_CHAIN, NOT_A_VALIDATOR, BAD_SIGNATURE, BAD_FIELD and those
    of `read_object`.
    """
    if len(raw) > BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"{len(raw)} bytes; at most {BYTES_MAX} are allowed")
    start = len(HEAD) + SIGNATURE_HEX_CHARS
    signature = raw[len(HEAD) : start]
    is_framed = (
        raw.startswith(HEAD)
        and _SIGNATURE.fullmatch(signature) is not None
        and raw.startswith(MIDDLE, start)
        and raw.endswith(TAIL)
    )
    if not is_framed:
        _refuse(Reason.MALFORMED, f"not of the format {FORMAT!r}")
    signed = raw[start + len(MIDDLE) : -len(TAIL)]
    members = read_object(signed, "platform statement")
    _check_members(members, MEMBERS, "statement")
    chain_id = _take_text(members["chain_id"], "chain_id")
    if chain_id != root.chain_id.hex():
        _refuse(Reason.WRONG_CHAIN, f"chain {chain_id[:64]!r}, not {root.chain_id.hex()}")
    node = _take_text(members["node"], "node")
    institution = next((one for one in root.institutions if one.id == node), None)
    if institution is None:
        _refuse(Reason.NOT_A_VALIDATOR, f"{node[:120]!r} is no institution of genesis")
    message = compute_statement_message(root.chain_id, signed)
    if not verify_signature(institution.log_key, message, bytes.fromhex(signature.decode())):
        _refuse(
            Reason.BAD_SIGNATURE,
            f"the signature of {node} with its log key {institution.log_key.hex()} does not verify",
        )
    operator = _take_object(members["operator"], ("en", "zh"), "operator")
    if (operator["zh"], operator["en"]) != (institution.name_zh, institution.name_en):
        _refuse(Reason.BAD_FIELD, f"the operator's names are not those genesis gives {node}")
    return _read(members, node, institution.name_zh, institution.name_en)


def _read(
    members: dict[str, JsonValue], node: str, name_zh: str, name_en: str
) -> PlatformStatement:
    build = _take_object(members["build"], ("files", "sha256"), "build")
    kernel = _take_object(members["kernel"], ("kind", "sha256"), "kernel")
    clock = _take_object(members["time_source"], TIME_SOURCE_MEMBERS, "time_source")
    health = _take_object(members["health"], HEALTH_MEMBERS, "health")
    versions = members["versions"]
    if not isinstance(versions, dict):
        _refuse(Reason.BAD_FIELD, "versions is not an object")
    schemes = members["cryptography"]
    if not isinstance(schemes, list):
        _refuse(Reason.BAD_FIELD, "cryptography is not a list")
    error_us = clock["error_max_us"]
    return PlatformStatement(
        node=node,
        operator_zh=name_zh,
        operator_en=name_en,
        version=_take_text(members["version"], "version"),
        build_sha256=_take_hash(build["sha256"], "build"),
        build_files=_take_integer(build["files"], "build.files"),
        kernel=_take_text(kernel["kind"], "kernel.kind"),
        kernel_sha256=None if kernel["sha256"] is None else _take_hash(kernel["sha256"], "kernel"),
        versions=tuple(
            [(name, _take_text(one, f"versions.{name[:40]}")) for name, one in versions.items()]
        ),
        cryptography=tuple([_take_text(one, "a scheme of cryptography") for one in schemes]),
        time_source=_take_text(clock["text"], "time_source.text"),
        is_synchronized=None
        if clock["is_synchronized"] is None
        else _take_bool(clock["is_synchronized"], "time_source.is_synchronized"),
        error_max_us=None
        if error_us is None
        else _take_integer(error_us, "time_source.error_max_us"),
        conflicts_of_interest=_take_text(members["conflicts_of_interest"], "conflicts_of_interest"),
        health=Health(
            mode=_take_text(health["mode"], "health.mode"),
            detail=_take_text(health["detail"], "health.detail"),
            height=_take_integer(health["height"], "health.height"),
            certified_height=_take_integer(health["certified_height"], "health.certified_height"),
            peers_connected=_take_integer(health["peers_connected"], "health.peers_connected"),
            is_ready=_take_bool(health["is_ready"], "health.is_ready"),
        ),
        time_ms=_take_integer(members["time_ms"], "time_ms"),
    )


def describe_platform_statement(said: PlatformStatement) -> list[tuple[Words, Words]]:
    """Return the statement in words: what each line is about, and what is said."""
    health = said.health
    mode, detail = show_text(health.mode), show_text(health.detail)
    detail_zh, detail_en = (f"（{detail}）", f" ({detail})") if health.detail else ("", "")
    ready_zh, ready_en = ("可用", "ready") if health.is_ready else ("不可用", "not ready")
    return [
        (
            Words("运营机构", "Operator"),
            Words(f"{said.operator_zh}（{said.node}）", f"{said.operator_en} ({said.node})"),
        ),
        (Words("声明时间", "Said at"), format_time_ms(said.time_ms)),
        (
            Words("软件", "Software"),
            Words(
                f"版本 {show_text(said.version)}，源码哈希 {said.build_sha256}"
                f"（{said.build_files} 个文件），内核 {show_text(said.kernel)}",
                f"version {show_text(said.version)}, build hash {said.build_sha256} "
                f"({said.build_files} files), kernel {show_text(said.kernel)}",
            ),
        ),
        (
            Words("程序库", "Libraries"),
            _list([f"{name} {one}" for name, one in said.versions]),
        ),
        (Words("密码技术", "Cryptography"), _list(said.cryptography)),
        (Words("时间来源", "Source of time"), _say_clock(said)),
        (
            Words("利害关系", "Conflicts of interest"),
            _list([said.conflicts_of_interest])
            if said.conflicts_of_interest
            else Words("未声明", "none declared"),
        ),
        (
            Words("节点状态", "Health"),
            Words(
                f"{mode}{detail_zh}，{ready_zh}，高度 {health.height}，"
                f"已认证至 {health.certified_height}，连接节点 {health.peers_connected} 个",
                f"{mode}{detail_en}, {ready_en}, height {health.height}, certified to "
                f"{health.certified_height}, {health.peers_connected} peers connected",
            ),
        ),
    ]


def _say_clock(said: PlatformStatement) -> Words:
    error_us = said.error_max_us
    if said.is_synchronized is None:
        known = Words("是否同步不明", "whether it is synchronized is not known")
    elif not said.is_synchronized:
        known = Words("系统未报告同步", "the system does not report it synchronized")
    elif error_us is None:
        known = Words("已同步", "synchronized")
    else:
        known = Words(
            f"已同步，系统估计误差不超过 {error_us} 微秒",
            f"synchronized, to within {error_us} microseconds as the system estimates",
        )
    text = show_text(said.time_source)
    return Words(f"{text}，{known.zh}", f"{text}, {known.en}")


def _list(texts: Iterable[str]) -> Words:
    shown = [show_text(text) for text in texts]
    return Words("、".join(shown), ", ".join(shown))


def _check_members(members: dict[str, JsonValue], expected: tuple[str, ...], name: str) -> None:
    if tuple(members) != expected:  # both are in order
        _refuse(
            Reason.BAD_FIELD,
            f"{name} has the members {', '.join(members)[:200]} instead of {', '.join(expected)}",
        )


def _take_object(value: JsonValue, expected: tuple[str, ...], name: str) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, f"{name} is not an object")
    _check_members(value, expected, name)
    return value


def _take_text(value: JsonValue, name: str) -> str:
    if not isinstance(value, str):
        _refuse(Reason.BAD_FIELD, f"{name} is not a text")
    return value


def _take_hash(value: JsonValue, name: str) -> str:
    text = _take_text(value, f"{name}.sha256")
    if not _HEX.fullmatch(text):
        _refuse(Reason.BAD_FIELD, f"{name}.sha256 is not 64 hex digits")
    return text


def _take_bool(value: JsonValue, name: str) -> bool:
    if not isinstance(value, bool):
        _refuse(Reason.BAD_FIELD, f"{name} is neither true nor false")
    return value


def _take_integer(value: JsonValue, name: str) -> int:
    return take_integer(value, f"platform statement: {name}")


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise Rejected(reason, f"platform statement: {detail}")
