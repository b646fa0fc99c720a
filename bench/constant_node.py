"""A node that also answers `/constant?bytes=N`: what reading evidence is measured against.

It is the node as it is, in its own process, with one route more: the same server, TLS, edge and
request, and no work behind. Used by `evidence-ledger bench --evidence` and by nothing else.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api import app
from cli.main import main
from node import api_server

BYTES_MAX = 1_048_576


@lru_cache(maxsize=8)
def _constant(count: int) -> bytes:
    return b"x" * min(count, BYTES_MAX)


async def get_constant(request: Request) -> Response:
    """Answer as many bytes as are asked for."""
    return Response(
        _constant(int(request.query_params["bytes"])),
        headers={"Content-Disposition": 'inline; filename="constant.json"'},
        media_type="application/json",
    )


def create_app(*arguments: Any, **options: Any) -> FastAPI:
    """Return the node's application with the route."""
    made = app.create_app(*arguments, **options)
    made.add_route("/constant", get_constant, methods=["GET"])
    return made


if __name__ == "__main__":
    api_server.create_app = create_app  # type: ignore[attr-defined]
    sys.exit(main(sys.argv[1:]))
