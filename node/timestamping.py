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
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

import httpx

from ledger.checkpoint import parse_checkpoint_text
from ledger.note import parse_note
from ledger.system_words import explain_system
from ledger.words import Words
from node.asking import Answer, NoAnswer, Rounds, open_client, post
from node.config import TimestampConfig
from node.config_section import ConfigError
from node.effects import Say
from node.home import NodeHome
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

CERTIFICATES_BYTES_MAX: Final = 64 * 1024
"""A chain of four certificates has 8 kB."""


def load_authorities(place: NodeHome, config: TimestampConfig) -> list[Authority]:
    """Read the pinned certificates of every configured authority; raise `ConfigError`."""
    found, problems = [], []
    for name, url in config.authorities.items():
        path = place.resolve(config.certificates[name])
        try:
            with path.open("rb") as stream:
                certificates = read_certificates(stream.read(CERTIFICATES_BYTES_MAX))
        except OSError as error:
            problems.append(_unfit(name, path, error.strerror or "", explain_system(error)))
        except BadCertificates as error:
            problems.append(_unfit(name, path, str(error), error.detail_zh))
        else:
            found.append(Authority(name, url, config.policies.get(name, ""), certificates))
    if problems:
        raise ConfigError(problems)
    return found


def _unfit(name: str, path: Path, why: str, why_zh: str) -> Words:
    return Words(
        f"timestamp.certificates：{name}：{path}：{why_zh}",
        f"timestamp.certificates: {name}: {path}: {why}",
    )


class Timestamping:
    """One node's asking; see the module's text."""

    def __init__(
        self,
        authorities: Sequence[Authority],
        hash_names: Sequence[HashName],
        rounds: Rounds,
        shelf: TimestampShelf,
        *,
        thread: Executor,
        say: Say,
        count: Callable[[bool], None],
    ) -> None:
        """`count` is told of every token asked for, whether it was kept.

        Files are written on `thread`, of one worker.
        """
        self._authorities = authorities
        self._hash_names = hash_names
        self._rounds = rounds
        self._shelf = shelf
        self._thread = thread
        self._say = say
        self._count = count

    async def run(self) -> None:
        """Stamp until cancelled; raise `StorageFailure` if the disk fails."""
        self._rounds.resume(self._shelf, self._say)
        async with open_client() as client:
            while True:
                # A checkpoint of the same size would be stamped twice.
                note = await self._rounds.next(
                    lambda note: _size_of(note) > self._shelf.newest_size
                )
                await self._stamp(client, _size_of(note), note)

    async def _stamp(self, client: httpx.AsyncClient, size: int, note: bytes) -> None:
        """Collect the tokens of one checkpoint until the next one is due."""
        asked_ms = self._rounds.clock_ms()
        missing = [(one, name) for one in self._authorities for name in self._hash_names]
        tokens: dict[tuple[str, HashName], Token] = {}
        failures = 0
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
            failures += 1
            if not missing or not await self._rounds.pause(failures):
                break
        if tokens:
            self._say("info", f"timestamps: size {size} has {len(tokens)} tokens")

    async def _ask(
        self, client: httpx.AsyncClient, note: bytes, authority: Authority, name: HashName
    ) -> Token | None:
        """Return an authority's token of a note, found good; None, with the reason said."""
        imprint, nonce = compute_imprint(name, note), secrets.randbits(NONCE_BITS)
        try:
            query = make_request(authority, name, imprint, nonce)
            headers = {"Content-Type": QUERY_TYPE, "Accept": REPLY_TYPE}
            answer = await post(client, authority.url, query, REPLY_BYTES_MAX, headers)
            raw, now_ms = _read_reply(answer), self._rounds.clock_ms()
            token = check_response(raw, authority, name, imprint, nonce=nonce, now_ms=now_ms)
        except (NoAnswer, TokenRefused) as refused:
            self._say(
                "warning",
                f"timestamps: {authority.name}, {name}: {refused} "
                f"时间戳机构 {authority.name}（{name}）未给出可用的令牌，原因见前",
            )
            self._count(False)
            return None
        self._count(True)
        return token


def _read_reply(answer: Answer) -> bytes:
    """Return the reply of an answer (RFC 3161 section 3.4), unjudged; raise `TokenRefused`."""
    if answer.status != 200:
        raise TokenRefused(f"it answered with HTTP status {answer.status}")
    if answer.media_type != REPLY_TYPE:
        raise TokenRefused(f"it answered {answer.media_type[:80]!r} instead of {REPLY_TYPE!r}")
    return answer.raw


def _size_of(note: bytes) -> int:
    return parse_checkpoint_text(parse_note(note).text).size
