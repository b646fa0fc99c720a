"""The node's API on its socket: uvicorn, its TLS and its bounds, and the tokens as they change.

Whoever can reach the port can open connections and leave them, so they are counted, a request's
head has a size and a time, and its body has both of the API's own (`api.settings`). What happens
behind the socket is `api.app`'s business.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.app import create_app
from api.ports import LedgerService
from api.settings import ApiSettings
from api.tokens import Grant, TokenSet, parse_tokens
from ledger.refusal import Rejected
from node.config import ApiConfig, ConfigError, NodeHome
from node.endpoint import parse_endpoint

GRACE_S: Final = 3
"""How long answers under way may take once the node was asked to stop."""

CONNECTIONS_MAX: Final = 1200
"""A thousand requests may wait (`ApiSettings.waiters_max`), and some that do not come beside them;
one more is answered 503. With files and peers it stays below 8,192 descriptors."""

HEAD_BYTES_MAX: Final = 16 * 1024
"""Request line and headers: a token, a few ids and what proxies add have 2 kB."""

HEAD_TIMEOUT_S: Final = 20.0
"""Time for a request's head, after which (at the latest after twice as long) the connection is
closed: uvicorn itself waits for one for ever."""

log = logging.getLogger("evidence_ledger.node")


class BoundedProtocol(H11Protocol):
    """uvicorn's connection, closed when no whole head of a request comes in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._last_cycle: object = None
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Close the connection if no request began since the last look and none is under way."""
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        is_waiting = cycle is None or cycle.response_complete
        if is_waiting and cycle is self._last_cycle:
            self.transport.close()
            return
        self._last_cycle = cycle
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._look)


def make_api_server(
    service: LedgerService, home: NodeHome, config: ApiConfig, tls_passphrase: bytes
) -> uvicorn.Server:
    """Return the server of a node's API, to be served; raise `ConfigError`."""
    settings = ApiSettings(cors_origins=tuple(config.cors_origins))
    host, port = parse_endpoint(config.listen)
    served = uvicorn.Config(
        create_app(service, LiveTokens(home.tokens), settings),
        host=host,
        port=port,
        http=BoundedProtocol,
        ws="none",
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        limit_concurrency=CONNECTIONS_MAX,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    if config.tls:
        served.load()
        served.ssl = make_api_context(home, config, tls_passphrase)
    return uvicorn.Server(served)


def make_api_context(home: NodeHome, config: ApiConfig, tls_passphrase: bytes) -> ssl.SSLContext:
    """Return the API's TLS; raise `ConfigError` when certificate or key cannot be used."""
    certificate, key = home.resolve(config.certificate), home.resolve(config.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=tls_passphrase)
    except OSError as error:  # ssl.SSLError is one
        problem = f"api: {certificate} and {key} are no certificate with its key: {error}"
        raise ConfigError([problem]) from None
    return context


class LiveTokens:
    """The access tokens of a home, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed_ns = -1
        self._tokens: TokenSet = parse_tokens(b"[]")

    def find(self, token: str, now_ms: int) -> Grant | None:
        """Return what a token grants; a file that cannot be read grants what it did before."""
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self._tokens = parse_tokens(self._path.read_bytes())
                self._changed_ns = changed_ns
        except FileNotFoundError:
            self._tokens = parse_tokens(b"[]")
            self._changed_ns = -1
        except (OSError, Rejected) as error:
            log.error("tokens: %s", error)
        return self._tokens.find(token, now_ms)
