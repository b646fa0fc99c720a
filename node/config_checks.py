"""What a configured value may be: each check returns what is wrong with it, None if nothing is.

Values have their right type when they come here (`node.config_section`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from ledger.canonical import is_normal
from ledger.note import ED25519_COSIGNATURE, parse_verifier_key
from ledger.refusal import Rejected
from ledger.words import Words
from node.config_section import Check, at, suggest
from node.endpoint import BadEndpoint, parse_endpoint

PLATFORM_TEXT_CHARS_MAX: Final = 4000
"""Characters of a text in the platform statement; both fit into one that is read."""

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_URL: Final = re.compile(r"https?://[!-~]{1,500}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_POLICY: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,17})){2,30}")


def between(low: int, high: int) -> Check:
    """Return a check that an integer lies between these two, or is one of them."""

    def check(value: int) -> Words | None:
        if low <= value <= high:
            return None
        return Words(
            f"须在 {low} 至 {high} 之间，而不是 {value}", f"must be {low} to {high}, not {value}"
        )

    return check


def endpoint(value: str) -> Words | None:
    """Address and port."""
    try:
        parse_endpoint(value)
    except BadEndpoint as error:
        return Words(error.detail_zh, str(error))
    return None


def endpoints(value: Mapping[str, str]) -> Words | None:
    """One of each name."""
    for name, each in value.items():
        problem = endpoint(each)
        if problem:
            return at(name, problem)
    return None


def given(value: str) -> Words | None:
    """Anything but nothing."""
    return None if value else Words("不得为空", "must not be empty")


def urls(value: Mapping[str, str]) -> Words | None:
    """A URL of each name, for names that may be part of a path."""
    for name, url in value.items():
        if _NAME.fullmatch(name) is None:
            return Words(
                f"{name!r} 不是由 1 至 48 个 a-z 0-9 - 组成的名称",
                f"{name!r} is no name of 1 to 48 of a-z 0-9 -",
            )
        if _URL.fullmatch(url) is None:
            return Words(
                f"{name}：{url!r} 不是形如 https://tsa.example/tsr 的网址",
                f"{name}: {url!r} is not a URL like https://tsa.example/tsr",
            )
    return None


def policies(value: Mapping[str, str]) -> Words | None:
    """An object identifier of each name."""
    for name, policy in value.items():
        if _POLICY.fullmatch(policy) is None:
            return Words(
                f"{name}：{policy!r} 不是形如 1.3.6.1.4.1.32473.7.1 的对象标识符",
                f"{name}: {policy!r} is not an object identifier like 1.3.6.1.4.1.32473.7.1",
            )
    return None


def hashes(values: Sequence[str]) -> Words | None:
    """Hashes for time stamps."""
    if not values or len(set(values)) != len(values) or not {*values} <= {"sha256", "sm3"}:
        return Words(
            '须为 "sha256"、"sm3" 或二者，各一次', 'must be "sha256", "sm3" or both, each once'
        )
    return None


def origins(values: Sequence[str]) -> Words | None:
    """Web origins (RFC 6454): scheme, host and perhaps port."""
    for value in values:
        if _ORIGIN.fullmatch(value) is None:
            return Words(
                f"{value!r} 不是形如 https://audit.example 的来源",
                f"{value!r} is not an origin like https://audit.example",
            )
    return None


def witness_keys(value: Mapping[str, str]) -> Words | None:
    """A verifier key (C2SP signed-note) for cosignatures of each name."""
    for name, key in value.items():
        try:
            found = parse_verifier_key(key)
        except Rejected as rejected:
            return Words(
                f"{name}：不是验证公钥。原文：{rejected.detail}", f"{name}: {rejected.detail}"
            )
        if found.algorithm != ED25519_COSIGNATURE:
            return Words(
                f"{name}：{found.name} 是 {found.algorithm:#04x} 类公钥，应为 0x04",
                f"{name}: {found.name} is a key of type {found.algorithm:#04x}, not 0x04",
            )
    return None


def statement_text(value: str) -> Words | None:
    """A line of the platform statement."""
    if len(value) > PLATFORM_TEXT_CHARS_MAX:
        return Words(
            f"有 {len(value)} 个字符；至多允许 {PLATFORM_TEXT_CHARS_MAX} 个",
            f"has {len(value)} characters; at most {PLATFORM_TEXT_CHARS_MAX} are allowed",
        )
    if not is_normal(value):
        return Words("不是 Unicode 规范化形式 C", "is not in Unicode Normalization Form C")
    if any(character < " " or character == "\x7f" for character in value):
        return Words("含有控制字符；请写成一行", "has control characters; write it in one line")
    return None


def compare_tables(
    section: str,
    asked: str,
    urls: Mapping[str, str],
    count_max: int,
    tables: Mapping[str, Mapping[str, str]],
    needed: Mapping[str, Words],
) -> list[Words]:
    """Return what is wrong between `urls`, who is asked by name, and `tables` about the same names.

    `needed` says what is missing where a table has nothing for somebody.
    """
    problems = [
        Words(
            f"{section}.{table}：{section}.{asked} 中的 {name!r} {missing.zh}",
            f"{section}.{table}: {missing.en} for {name!r} of {section}.{asked}",
        )
        for table, missing in needed.items()
        for name in urls
        if name not in tables[table]
    ]
    problems += [
        suggest(
            f"{section}.{table}：{section}.{asked} 中没有 {name!r}",
            f"{section}.{table}: {section}.{asked} names no {name!r}",
            name,
            urls,
        )
        for table, values in tables.items()
        for name in values
        if name not in urls
    ]
    if len(urls) > count_max:
        problems.append(
            Words(
                f"{section}.{asked}：列有 {len(urls)} 个；至多向 {count_max} 个请求",
                f"{section}.{asked}: {len(urls)} are named; at most {count_max} are asked",
            )
        )
    return problems
