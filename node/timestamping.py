"""Asking time-stamping authorities, in the background, for tokens of certified checkpoints.

At a configured interval the newest certified checkpoint is taken and every configured authority is
asked for a token of it, once for each configured hash; who fails is asked again, less and less
often, until the next interval begins. Nothing waits for this and nothing of the ledger depends on
it: an authority that is silent, slow or wrong costs a line in the log. A token is kept only once
`node.timestamp_protocol` has found it good.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Final

import httpx

from ledger.checkpoint import parse_checkpoint_text
from ledger.note import parse_note
from node.config import ConfigError, NodeHome, TimestampConfig
from node.effects import Say
from node.timestamp_protocol import (
    NONCE_BITS,
    QUERY_TYPE,
    REPLY_BYTES_MAX,
    REPLY_TYPE,
    Authority,
    BadCertificates,
    HashName,
    Token,
    TokenRefused,
    check_response,
    compute_imprint,
    make_request,
    read_certificates,
)
from node.timestamp_shelf import TimestampShelf
from storage.files import Damaged

CERTIFICATES_BYTES_MAX: Final = 64 * 1024
"""A chain of four certificates has 8 kB."""

ANSWER_TIMEOUT_S: Final = 30.0
"""An authority answers within a second or two; the whole answer has to be here by then."""

RETRY_FIRST_S: Final = 60.0
RETRY_MAX_S: Final = 3600.0
"""Pause before asking again who failed: doubled each time, up to this."""

POLL_S: Final = 5.0
"""Pause before looking again for a checkpoint that is larger than the last one stamped."""


def load_authorities(place: NodeHome, config: TimestampConfig) -> list[Authority]:
    """Read the pinned certificates of every configured authority; raise `ConfigError`."""
    found, problems = [], []
    for name, url in config.authorities.items():
        path = place.resolve(config.certificates[name])
        try:
            with path.open("rb") as stream:
                certificates = read_certificates(stream.read(CERTIFICATES_BYTES_MAX))
        except OSError as error:
            problems.append(f"timestamp.certificates: {name}: {path}: {error.strerror}")
        except BadCertificates as error:
            problems.append(f"timestamp.certificates: {name}: {path}: {error}")
        else:
            found.append(Authority(name, url, config.policies.get(name, ""), certificates))
    if problems:
        raise ConfigError(problems)
    return found


class Timestamping:
    """One node's asking; see the module's text."""

    def __init__(
        self,
        authorities: Sequence[Authority],
        hash_names: Sequence[HashName],
        interval_s: int,
        shelf: TimestampShelf,
        newest: Callable[[], tuple[int, bytes] | None],
        *,
        thread: Executor,
        say: Say,
        count: Callable[[bool], None],
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`newest` returns the newest certified checkpoint as (height, note).

        `count` is told of every token asked for, whether it was kept. Files are written on
        `thread`, of one worker.
        """
        self._authorities = authorities
        self._hash_names = hash_names
        self._interval_ms = interval_s * 1000
        self._shelf = shelf
        self._newest = newest
        self._thread = thread
        self._say = say
        self._count = count
        self._clock_ms = clock_ms
        self._sleep = sleep
        self._due_ms = 0

    async def run(self) -> None:
        """Stamp until cancelled; raise `StorageFailure` if the disk fails."""
        self._due_ms = self._last_asked_ms() + self._interval_ms
        async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_S, follow_redirects=False) as client:
            while True:
                wait_ms = self._due_ms - self._clock_ms()
                found = self._newest() if wait_ms <= 0 else None
                size = 0 if found is None else parse_checkpoint_text(parse_note(found[1]).text).size
                if found is None or size <= self._shelf.newest_size:
                    await self._sleep(max(POLL_S, wait_ms / 1000))
                    continue
                self._due_ms = self._clock_ms() + self._interval_ms
                await self._stamp(client, size, found[1])

    def _last_asked_ms(self) -> int:
        """Return when the newest kept one was asked for: a restart asks no sooner."""
        if not self._shelf.newest_size:
            return 0
        try:
            return min(self._shelf.read(self._shelf.newest_size).asked_ms, self._clock_ms())
        except Damaged as damaged:
            self._say("error", f"timestamps: {damaged}")
            return 0

    async def _stamp(self, client: httpx.AsyncClient, size: int, note: bytes) -> None:
        """Collect the tokens of one checkpoint until the next one is due."""
        asked_ms = self._clock_ms()
        missing = [(one, name) for one in self._authorities for name in self._hash_names]
        tokens: dict[tuple[str, HashName], Token] = {}
        pause_s = RETRY_FIRST_S
        while True:
            answers = await asyncio.gather(
                *(self._ask(client, note, authority, name) for authority, name in missing)
            )
            fresh = [token for token in answers if token is not None]
            if fresh:
                tokens |= {(token.authority, token.hash_name): token for token in fresh}
                kept = [tokens[key] for key in sorted(tokens)]
                await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._shelf.keep, size, note, asked_ms, kept
                )
            missing = [pair for pair, token in zip(missing, answers, strict=True) if token is None]
            if not missing or self._clock_ms() + pause_s * 1000 >= self._due_ms:
                break
            await self._sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MAX_S)
        if tokens:
            self._say("info", f"timestamps: size {size} has {len(tokens)} tokens")

    async def _ask(
        self, client: httpx.AsyncClient, note: bytes, authority: Authority, name: HashName
    ) -> Token | None:
        """Return an authority's token of a note, found good; None, with the reason said."""
        imprint, nonce = compute_imprint(name, note), secrets.randbits(NONCE_BITS)
        try:
            raw = await fetch_reply(
                client, authority.url, make_request(authority, name, imprint, nonce)
            )
            token = check_response(
                raw, authority, name, imprint, nonce=nonce, now_ms=self._clock_ms()
            )
        except TokenRefused as refused:
            self._say("warning", f"timestamps: {authority.name}, {name}: {refused}")
            self._count(False)
            return None
        self._count(True)
        return token


async def fetch_reply(client: httpx.AsyncClient, url: str, request: bytes) -> bytes:
    """Send a query over HTTP (RFC 3161 section 3.4) and return the reply's bytes, unjudged.

    Raises `TokenRefused` unless a reply of bounded size arrives whole in time.
    """
    headers = {"Content-Type": QUERY_TYPE, "Accept": REPLY_TYPE}
    try:
        async with (
            asyncio.timeout(ANSWER_TIMEOUT_S),
            client.stream("POST", url, content=request, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise TokenRefused(f"{url} answered with HTTP status {response.status_code}")
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != REPLY_TYPE:
                raise TokenRefused(f"{url} answered {media_type[:80]!r} instead of {REPLY_TYPE!r}")
            raw = bytearray()
            async for chunk in response.aiter_raw():
                raw += chunk
                if len(raw) > REPLY_BYTES_MAX:
                    raise TokenRefused(f"{url} answered with more than {REPLY_BYTES_MAX} bytes")
            return bytes(raw)
    except TimeoutError:
        raise TokenRefused(f"{url} did not answer within {ANSWER_TIMEOUT_S:g} s") from None
    except httpx.HTTPError as error:
        raise TokenRefused(f"{url} cannot be asked: {str(error) or type(error).__name__}") from None
