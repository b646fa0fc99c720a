"""Tables of TOML to frozen dataclasses and back: strictly, and with all that is wrong at once.

A section is a dataclass whose fields are made by `setting`: each carries its comment and its check,
so that the file that is written and the one that is read come from the same table. A key nobody
knows or a value of the wrong kind is refused by its name, with the known name that is close to it.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Literal

from ledger.words import Words

Check = Callable[[Any], Words | None]
"""Returns what is wrong with a value of the right type, None if nothing is."""


class ConfigError(Exception):
    """The configuration is refused; `problems` holds one whole sentence for each fault."""

    def __init__(self, problems: Sequence[Words]) -> None:
        super().__init__("\n".join(problem.en for problem in problems))
        self.problems = tuple(problems)
        self.detail_zh = "\n".join(problem.zh for problem in problems)


def setting(comment: str, check: Check | None = None, **default: Any) -> Any:
    """Return a field of a section, with its comment in the file and the check of its value."""
    return field(metadata={"comment": comment, "check": check}, **default)


def at(place: str, problem: Words) -> Words:
    """Return a sentence with the place it is about before it."""
    return Words(f"{place}：{problem.zh}", f"{place}: {problem.en}")


def read_section(
    section: type[Any], table: Mapping[str, Any], prefix: str, problems: list[Words]
) -> Any:
    """Return a section's value, or None with `problems` longer; `prefix` stands before its keys."""
    hints = typing.get_type_hints(section)
    fields = {item.name: item for item in dataclasses.fields(section)}
    problems_before = len(problems)
    for name in table:
        if name not in fields:
            place = prefix + name
            problems.append(suggest(f"{place}：没有这一项", f"{place}: no such key", name, fields))
    values: dict[str, Any] = {}
    for name, item in fields.items():
        place = prefix + name
        if name not in table:
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                problems.append(
                    Words(f"{place}：缺少；此项没有默认值", f"{place}: missing; it has no default")
                )
            continue
        value = table[name]
        if dataclasses.is_dataclass(hints[name]):
            if isinstance(value, dict):
                values[name] = read_section(hints[name], value, f"{place}.", problems)
            else:
                found = _describe(value)
                problems.append(
                    Words(
                        f"{place}：应为一节 [{place}]，而不是{found.zh}",
                        f"{place}: expected a section [{place}], found {found.en}",
                    )
                )
            continue
        problem, values[name] = _convert(hints[name], value)
        if problem is None and item.metadata["check"] is not None:
            problem = item.metadata["check"](values[name])
        if problem is not None:
            problems.append(at(place, problem))
    return section(**values) if len(problems) == problems_before else None


def _convert(hint: Any, value: Any) -> tuple[Words | None, Any]:
    """Return (what is wrong, None) or (None, the value)."""
    origin = typing.get_origin(hint)
    expected: Words
    if origin is Literal:
        choices = typing.get_args(hint)
        if isinstance(value, str) and value in choices:
            return None, value
        quoted = [json.dumps(choice) for choice in choices]
        expected = Words(f" {' 或 '.join(quoted)}", " or ".join(quoted))
    elif origin is tuple:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return None, tuple(value)
        expected = Words("字符串列表", "a list of strings")
    elif origin is not None:
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return None, types.MappingProxyType(value)
        expected = Words("字符串表", "a table of strings")
    else:
        if type(value) is hint:  # exactly: TOML's booleans are integers to Python
            return None, value
        expected = _SCALARS[hint]
    found = _describe(value)
    problem = Words(
        f"应为{expected.zh}，而不是{found.zh}", f"expected {expected.en}, found {found.en}"
    )
    return problem, None


_SCALARS: Final[Mapping[type, Words]] = {
    str: Words("字符串", "a string"),
    int: Words("整数", "an integer"),
    bool: Words(" true 或 false", "true or false"),
}


def _describe(value: Any) -> Words:
    match value:
        case bool():
            said = "true" if value else "false"
            return Words(f" {said}", said)
        case str():
            quoted = json.dumps(value, ensure_ascii=False)
            return Words(f"字符串 {quoted}", f"the string {quoted}")
        case int():
            return Words(f"整数 {value}", f"the integer {value}")
        case float():
            return Words(f"数 {value}", f"the number {value}")
        case list():
            return Words("列表", "a list")
        case dict():
            return Words("表", "a table")
        case _:
            return Words("日期或时间", "a date or time")


def suggest(said_zh: str, said: str, name: str, known: typing.Iterable[str]) -> Words:
    """Return a sentence about a name that is not known, with the known one that is close to it."""
    close = difflib.get_close_matches(name, list(known), n=1)
    if not close:
        return Words(said_zh, said)
    return Words(f"{said_zh}；是否应为 {close[0]!r}？", f"{said}; did you mean {close[0]!r}?")


def render_section(section: Any, prefix: str, lines: list[str]) -> None:
    """Append a section's lines, and those of the sections in it."""
    nested: list[tuple[str, Any]] = []
    for item in dataclasses.fields(section):
        value = getattr(section, item.name)
        if dataclasses.is_dataclass(value):
            nested.append((prefix + item.name, value))
            continue
        lines.append("")
        lines.extend(f"# {line}" for line in item.metadata["comment"].split("\n"))
        lines.append(f"{item.name} = {_toml(value)}")
    for name, value in nested:
        lines.extend(["", "", f"# {type(value).__doc__}", f"[{name}]"])
        render_section(value, f"{name}.", lines)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            # A TOML basic string is a JSON string but for DEL, which TOML wants escaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            inner = ", ".join(f"{_toml(name)} = {_toml(item)}" for name, item in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case _:
            return f"[{', '.join(_toml(item) for item in value)}]"
