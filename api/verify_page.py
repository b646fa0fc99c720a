"""The verification page, the same bytes from every node: GET /verify.

The page asks the node that serves it for nothing: its policy forbids every request, so a node
learns no more than that somebody fetched it. Whoever does not want to trust a node for the page
either writes it with `evidence-ledger page`, from software of their own.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.large_answers import Standing
from page.build import build_page, content_security_policy

PATH: Final = "/verify"


async def get_verify_page(request: Request) -> Response:
    """GET /verify."""
    return Standing(
        build_page(),
        headers={
            "Content-Security-Policy": content_security_policy(),
            "Cache-Control": "public, max-age=3600",
        },
        media_type="text/html",
    )


ROUTES: Final = {PATH: get_verify_page}
"""Not in the OpenAPI document: it is a page for people."""
