"""A witness on its socket: C2SP tlog-witness over HTTP, on a loopback address behind a proxy.

`POST /add-checkpoint` is the protocol's; `GET /<SHA-256 of the origin, hex>/checkpoint` shows the
newest cosigned checkpoint to monitors. Refusals are the protocol's statuses with a sentence as
plain text. A disk that fails ends the process: a witness that cannot remember must not vouch.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.problems import PROBLEMS, Problem
from api.requests import BodyBudget, read_body
from genesis.document import Genesis
from ledger.checkpoint import cosigner_verifier_key
from ledger.note import VerifierKey
from ledger.signing import Signer
from ledger.tlog_witness import REQUEST_BYTES_MAX, SIZE_TYPE, Refused
from node.endpoint import parse_endpoint
from node.private_files import write_file
from node.witness import Witness
from storage.files import DiskDirectory, StorageFailure

FORMAT: Final = "evidence-ledger/witness/v1"

LOCK_FILE: Final = "witness.lock"
BODY_TIMEOUT_S: Final = 20.0
BODIES_BYTES_MAX: Final = 64 * REQUEST_BYTES_MAX
CONNECTIONS_MAX: Final = 128
"""A witness is asked by the nodes of a few logs, once a minute or an hour each."""

log = logging.getLogger("evidence_ledger.witness")


class _Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    name: str


def write_identity(home: Path, name: str, public_key: bytes) -> VerifierKey:
    """Write the witness's name into a new home; return its key. Raise `Rejected` for no name."""
    key = cosigner_verifier_key(name, public_key)
    raw = msgspec.json.encode(_Identity(FORMAT, name), order="sorted") + b"\n"
    write_file(home / "witness.json", raw)
    return key


def read_identity(home: Path) -> str:
    """Return the witness's name; raise `ValueError` with a sentence, or `OSError`."""
    path = home / "witness.json"
    try:
        identity = msgspec.json.decode(path.read_bytes(), type=_Identity)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    if identity.format != FORMAT:
        raise ValueError(f"{path}: its format is {identity.format!r}, not {FORMAT!r}")
    return identity.name


def make_app(witness: Witness, stop: Callable[[StorageFailure], None]) -> Starlette:
    """Return the protocol's two routes over a witness; `stop` is told of a disk that failed."""
    budget = BodyBudget(BODIES_BYTES_MAX)

    async def add_checkpoint(request: Request) -> Response:
        try:
            raw = await read_body(request, REQUEST_BYTES_MAX, BODY_TIMEOUT_S, budget)
            line = witness.add_checkpoint(raw)
        except Problem as problem:
            return _text(PROBLEMS[problem.reason][0], problem.detail)
        except Refused as refused:
            log.warning("%d: %s 拒绝副署，原因见前", refused.status, refused.detail)
            if refused.size is not None:
                return Response(f"{refused.size}\n", refused.status, {"Content-Type": SIZE_TYPE})
            return _text(refused.status, refused.detail)
        except StorageFailure as failure:
            stop(failure)
            return _text(503, "this witness cannot write to its disk; it stops")
        log.info("cosigned %s", ", ".join(f"{o} at {n}" for o, n in witness.sizes.items()))
        return Response(line, media_type="text/plain")

    async def get_checkpoint(request: Request) -> Response:
        origin_hash = request.path_params["origin_hash"]
        note = witness.newest(origin_hash) if re.fullmatch(r"[0-9a-f]{64}", origin_hash) else None
        if note is None:
            return _text(404, "no checkpoint of such a log is cosigned here")
        return Response(note, media_type="text/plain", headers={"Cache-Control": "max-age=1"})

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin_hash}/checkpoint", get_checkpoint, methods=["GET"]),
        ]
    )


def _text(status: int, sentence: str) -> Response:
    return Response(f"{sentence}\n", status, media_type="text/plain")


def run_witness(home: Path, signer: Signer, logs: Sequence[Genesis], listen: str) -> int:
    """Serve until told to stop; return the exit status. Raise `Damaged`, `InUse`, `OSError`."""
    host, port = parse_endpoint(listen)
    directory = DiskDirectory(home / "logs", create=True)
    failures: list[StorageFailure] = []
    try:
        directory.lock(LOCK_FILE)
        witness = Witness(
            read_identity(home), signer, logs, directory, lambda: time.time_ns() // 1_000_000_000
        )

        def stop(failure: StorageFailure) -> None:
            failures.append(failure)
            log.error("this witness stops: %s 见证服务停止：%s", failure, failure.detail_zh)
            server.should_exit = True

        server = uvicorn.Server(
            uvicorn.Config(
                make_app(witness, stop),
                host=host,
                port=port,
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_graceful_shutdown=3,
            )
        )
        log.info("witness %s for %s", witness.key.format(), ", ".join(sorted(witness.sizes)))
        with contextlib.suppress(SystemExit):  # uvicorn's, which has said why it cannot listen
            asyncio.run(_serve(server))
    finally:
        directory.close()
    return 1 if failures or not server.started else 0


async def _serve(server: uvicorn.Server) -> None:
    """Serve until told to stop; uvicorn's own `serve` would end the process by the signal."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    await server._serve()
