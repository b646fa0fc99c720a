"""The node's API on its socket: uvicorn, its TLS and its bounds, and the tokens as they change.

How a connection comes to be and how long it may be idle is `node.api_listener`'s business, how many
there may be `node.connection_table`'s; uvicorn bounds the head of a request and times the pause
between two, and the API the body (`api.settings`). What happens behind the socket is `api.app`'s.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Final

import uvicorn

from api.app import create_app
from api.ports import LedgerService, PrivateFields
from api.problems import explain_rejected
from api.settings import ApiSettings
from api.tokens import Grant, TokenSet, parse_tokens
from ledger.refusal import Rejected
from ledger.system_words import explain_system
from ledger.words import Words
from node.api_listener import Listener
from node.config import ApiConfig
from node.config_section import ConfigError
from node.connection_table import ConnectionTable
from node.endpoint import parse_endpoint
from node.home import NodeHome

GRACE_S: Final = 3
"""How long answers under way may take once the node was asked to stop."""

HEAD_BYTES_MAX: Final = 16 * 1024
"""Request line and headers: a token, a few ids and what proxies add have 2 kB."""

KEEP_ALIVE_S: Final = 75
"""How long a connection may be idle between two requests: longer than the 60 s after which proxies
commonly close theirs, so that no request is on its way to a connection closed here."""

log = logging.getLogger("evidence_ledger.node")


class ApiServer:
    """The server of a node's API."""

    def __init__(
        self,
        service: LedgerService,
        home: NodeHome,
        config: ApiConfig,
        tls_passphrase: bytes,
        table: ConnectionTable,
        private: PrivateFields | None = None,
    ) -> None:
        """Prepare; raise `ConfigError` when certificate or key cannot be used."""
        settings = ApiSettings(cors_origins=tuple(config.cors_origins))
        context = make_api_context(home, config, tls_passphrase) if config.tls else None
        served = uvicorn.Config(
            create_app(service, LiveTokens(home.tokens), settings, private),
            ws="none",
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        served.load()
        self._server = uvicorn.Server(served)
        host, port = parse_endpoint(config.listen)
        self._listener = Listener(host, port, context, table, served, self._server.server_state)

    async def serve(self) -> None:
        """Serve until `stop`; raise `OSError` if the address cannot be had."""
        await self._listener.open()
        try:
            await self._server._serve(sockets=[])  # its `serve` would take the signals as well
        finally:
            self._listener.close()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens; none before it does."""
        return self._listener.addresses

    def stop(self) -> None:
        """Accept no more; answers under way have `GRACE_S`."""
        self._listener.close()
        self._server.should_exit = True


def make_api_context(home: NodeHome, config: ApiConfig, tls_passphrase: bytes) -> ssl.SSLContext:
    """Return the API's TLS; raise `ConfigError` when certificate or key cannot be used."""
    certificate, key = home.resolve(config.certificate), home.resolve(config.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=tls_passphrase)
    except OSError as error:  # ssl.SSLError is one
        problem = Words(
            f"api：{certificate} 与 {key} 不是一份证书及其私钥。原文：{error}",
            f"api: {certificate} and {key} are no certificate with its key: {error}",
        )
        raise ConfigError([problem]) from None
    return context


class LiveTokens:
    """The access tokens of a home, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        """Of the file last looked into, good or bad. Its time alone would not do: a clock ticks
        every few milliseconds, and a token may be revoked in the one in which it was issued."""
        self._tokens: TokenSet = parse_tokens(b"[]")

    def find(self, token: str, now_ms: int) -> Grant | None:
        """Return what a token grants; a file that cannot be read grants what it did before.

        What is wrong in it is said once and not to everybody who asks.
        """
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_ino, status.st_size
            if seen != self._seen:
                self._seen = seen
                self._tokens = parse_tokens(self._path.read_bytes())
        except FileNotFoundError:
            self._tokens = parse_tokens(b"[]")
            self._seen = None
        except Rejected as rejected:
            log.error(
                "tokens: %s; those known before still count 访问令牌：%s；此前已知的令牌仍然有效",
                rejected,
                explain_rejected(rejected),
            )
        except OSError as error:
            self._seen = None
            log.error(
                "tokens: %s; those known before still count "
                "访问令牌文件无法读取：%s；此前已知的令牌仍然有效",
                error,
                explain_system(error),
            )
        return self._tokens.find(token, now_ms)
