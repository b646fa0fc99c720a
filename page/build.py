"""One file out of many: the verification page as HTML that needs nothing beside itself.

The scripts of `page/verifier` and `page/screen` are ES modules for whoever reads or tests them.
Here each becomes a function that gives what it exports, in the order in which they need one
another, and all stand in one inline script. The page's Content-Security-Policy allows that script
and that style by their hashes and nothing else: no request, no frame, no form, no evaluation of
text. The same sources give the same bytes. A module may import names from modules in the two
folders and from nowhere else; whatever else is written is a mistake of ours and raises
`ValueError`.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

START: Final = "screen/start.js"
PAGE: Final = "screen/page.html"
STYLE: Final = "screen/page.css"

POLICY: Final = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""What the page itself demands. `img-src data:` is for its empty icon."""

HEADER_ONLY: Final = "; frame-ancestors 'none'"
"""What can only be said in a header (CSP Level 3 section 6.4.2)."""

_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "([^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?:async )?(?:function|const|class) (\w+)", re.MULTILINE)


def build_page() -> bytes:
    """Return the page's bytes: UTF-8 HTML."""
    return _build()[0]


def content_security_policy() -> str:
    """Return the policy that a server sends with the page."""
    return _build()[1] + HEADER_ONLY


@cache
def _build() -> tuple[bytes, str]:
    script = bundle(START)
    style = _read(STYLE)
    policy = POLICY.format(script=_hash(script), style=_hash(style))
    page = _read(PAGE)
    for mark, text in (("{policy}", policy), ("{style}", style), ("{script}", script)):
        if page.count(mark) != 1:
            raise ValueError(f"{PAGE} names {mark} {page.count(mark)} times instead of once")
        page = page.replace(mark, text)
    return page.encode(), policy


def bundle(start: str) -> str:
    """Return one classic script that runs the module `start` and all that it imports."""
    modules: dict[str, str] = {}
    _add(start, modules, ())
    return '"use strict";\n' + "".join(modules.values())


def _add(name: str, modules: dict[str, str], above: tuple[str, ...]) -> None:
    if name in above:
        raise ValueError(f"modules import one another: {' → '.join((*above, name))}")
    if name in modules:
        return
    source = _read(name)
    lines = [f"const {_variable(name)} = (() => {{\n"]
    for names, target in _IMPORT.findall(source):
        path = _resolve(name, target)
        _add(path, modules, (*above, name))
        listed = ", ".join(one.strip() for one in names.split(",") if one.strip())
        lines.append(f"const {{ {listed} }} = {_variable(path)};\n")
    exported = _EXPORT.findall(source)
    body = _EXPORT.sub(lambda found: found[0].removeprefix("export "), _IMPORT.sub("", source))
    if re.search(r"^(?:import|export)\b", body, flags=re.MULTILINE) or "</script" in body.lower():
        raise ValueError(f"{name} imports or exports in a way that the build does not know")
    lines += [body, f"return {{ {', '.join(exported)} }};\n}})();\n"]
    modules[name] = "".join(lines)


def _resolve(name: str, target: str) -> str:
    folder = name.partition("/")[0]
    path = target.replace("./", f"{folder}/", 1) if target.startswith("./") else target[3:]
    if not re.fullmatch(r"(?:verifier|screen)/\w+\.js", path):
        raise ValueError(f"{name} imports {target}, which is not a module of the page")
    return path


def _variable(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _read(name: str) -> str:
    return (files("page") / name).read_text("utf-8")


def _hash(text: str) -> str:
    """Return a CSP hash source (CSP Level 3 section 2.3.1)."""
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"
