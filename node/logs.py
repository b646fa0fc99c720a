"""The node's log: lines for a person or JSON for a collector, with nothing secret in either.

Modules log through the standard library (`logging.getLogger("evidence_ledger.<part>")`), so that
libraries' lines come the same way; structlog renders them, and every line carries what is bound
once (replica, height, view). Values are hidden by the name they go under, wherever they stand. What
a peer wrote cannot break a line or colour a terminal: control characters are escaped. Warnings that
repeat are thinned out by their shape, because a bad peer decides how often they occur; errors never
are.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from node.config import LogConfig

HIDDEN: Final = "[hidden]"

_NAMES: Final = "passphrase|password|passwd|secret|seed|private_?key|api_?key|token|authorization"
_SECRET_NAME: Final = re.compile(_NAMES, re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(
    rf"((?:{_NAMES})[\"']?\s*[=:]\s*(?:bearer\s+)?)(?!\[hidden\])(b?\"[^\"]*\"|b?'[^']*'|[^\s,;}}\])]+)"
    r"|(\bbearer\s+)(?!\[hidden\])[^\s,;]+",
    re.IGNORECASE,
)
_CONTROL: Final = {
    number: f"\\x{number:02x}" for number in (*range(0x20), 0x7F, *range(0x80, 0xA0))
} | {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x2028: "\\u2028", 0x2029: "\\u2029"}

TEXT_LENGTH_MAX: Final = 4096
"""A sentence has some hundred characters; what a peer makes longer is cut."""
BYTES_SHOWN_MAX: Final = 64
"""A hash, a key or a signature is shown whole, in hex; more than that only by its length."""

BURST: Final = 10
REFILL_S: Final = 10.0
"""Of warnings of one shape ten come through at once, then one in ten seconds."""
SHAPES_MAX: Final = 512
"""Shapes remembered; the one not seen for longest is forgotten."""
SHAPE_LENGTH_MAX: Final = 120

_bound: dict[str, object] = {}


def bind_context(**fields: object) -> None:
    """Put fields (replica, height, view) on every line from now on; None takes one off."""
    for name, value in fields.items():
        if value is None:
            _bound.pop(name, None)
        else:
            _bound[name] = value


def configure_logs(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send every logger's lines to `stream` (standard error) in the configured form."""
    target = stream or sys.stderr
    renderers: list[Processor]
    if config.format == "json":
        renderers = [
            structlog.processors.format_exc_info,
            _redact,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ]
    else:
        renderers = [
            structlog.processors.format_exc_info,
            _redact,
            structlog.dev.ConsoleRenderer(
                colors=target.isatty(), pad_event_to=0, pad_level=True, sort_keys=False
            ),
        ]
    # Loggers of structlog itself write by their own rules until they are told to go the same way.
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ExtraAdder(),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _add_context,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *renderers,
        ]
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(formatter)
    handler.addFilter(RepetitionFilter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(config.level.upper())
    # Libraries' everyday lines say nothing an operator can act on.
    for name in ("asyncio", "httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def redact(name: str, value: object) -> object:
    """Return what may be logged of a value under its name."""
    if _SECRET_NAME.search(name):
        return HIDDEN
    match value:
        case str():
            return redact_text(value)
        case bytes() | bytearray() | memoryview():
            raw = bytes(value)
            return raw.hex() if len(raw) <= BYTES_SHOWN_MAX else f"<{len(raw)} bytes>"
        case Mapping():
            return {str(key): redact(str(key), item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redact(name, item) for item in value]
        case bool() | int() | float() | None:
            return value
        case _:
            return redact_text(str(value))


def redact_text(text: str) -> str:
    """Return text with `secret=value` and control characters made harmless, cut to a bound."""
    if len(text) > TEXT_LENGTH_MAX:
        text = f"{text[:TEXT_LENGTH_MAX]}… ({len(text)} characters)"
    text = _SECRET_TEXT.sub(lambda found: f"{found[1] or found[3]}{HIDDEN}", text)
    return text.translate(_CONTROL)


class RepetitionFilter(logging.Filter):
    """Thins out warnings of one shape; the next one that passes says how many did not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._shapes: OrderedDict[tuple[str, str, str], _Allowance] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is written."""
        if record.levelno != logging.WARNING:
            return True
        shape = compute_shape(record)
        now = self._clock()
        allowance = self._shapes.pop(shape, None) or _Allowance(float(BURST), now)
        self._shapes[shape] = allowance
        if len(self._shapes) > SHAPES_MAX:
            self._shapes.popitem(last=False)
        allowance.level = min(float(BURST), allowance.level + (now - allowance.at) / REFILL_S)
        allowance.at = now
        if allowance.level < 1:
            allowance.left_out += 1
            return False
        allowance.level -= 1
        if allowance.left_out:
            record.left_out = allowance.left_out
            allowance.left_out = 0
        return True


@dataclass(slots=True)
class _Allowance:
    level: float
    at: float
    left_out: int = 0


_NUMBER: Final = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*", re.IGNORECASE)
_REPLICA: Final = re.compile(r"\breplica (\d{1,2})\b")


def compute_shape(record: logging.LogRecord) -> tuple[str, str, str]:
    """Return (logger, peer, message without its numbers): what makes two lines repetitions."""
    message = record.getMessage()[:TEXT_LENGTH_MAX]
    peer = getattr(record, "peer", None)
    if peer is None:
        found = _REPLICA.search(message)
        peer = found[1] if found else ""
    return record.name, str(peer), _NUMBER.sub("#", message)[:SHAPE_LENGTH_MAX]


def _add_context(_: object, __: str, event: EventDict) -> EventDict:
    for name, value in _bound.items():
        event.setdefault(name, value)
    return event


def _redact(_: object, __: str, event: EventDict) -> MutableMapping[str, Any]:
    exception = event.pop("exception", None)
    clean = {name: redact(name, value) for name, value in event.items() if value is not None}
    if exception is not None:
        # A traceback keeps its lines, each made harmless.
        clean["exception"] = "\n".join(redact_text(line) for line in str(exception).splitlines())
    return clean


def _to_json(event: Any, **_: object) -> str:
    return msgspec.json.encode(event).decode("utf-8")
