"""The documentation's page: Swagger UI from the node itself, no other host, no inline script.

The assets are those the package `fastapi-offline` ships. The page has its own content security
policy: scripts from this origin only, requests to this origin only. Styles may be inline, because
Swagger UI writes some; images may be data, because its style sheet holds its icons. Tokens typed
into the page are not kept by the browser.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import fastapi_offline
from starlette.requests import Request
from starlette.responses import Response

from api.large_answers import Standing

ASSETS: Final = Path(str(files(fastapi_offline) / "static"))

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {"Content-Security-Policy": POLICY, "Cache-Control": "public, max-age=3600"}

PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evidence ledger API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>The description of this API for machines is <a href="openapi.json">openapi.json</a>.
</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

START: Final = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  queryConfigEnabled: false,
  persistAuthorization: false,
  syntaxHighlight: false,
});
"""
"""No validator and no configuration from the address: nothing here talks to another host."""


async def get_page(request: Request) -> Response:
    """GET /docs."""
    return Response(PAGE, headers=HEADERS, media_type="text/html")


async def get_start(request: Request) -> Response:
    """GET /docs/start.js."""
    return Response(START, headers=HEADERS, media_type="text/javascript")


async def get_script(request: Request) -> Response:
    """GET /docs/swagger-ui-bundle.js."""
    return Standing(_read("swagger-ui-bundle.js"), headers=HEADERS, media_type="text/javascript")


async def get_style(request: Request) -> Response:
    """GET /docs/swagger-ui.css."""
    return Standing(_read("swagger-ui.css"), headers=HEADERS, media_type="text/css")


@cache
def _read(name: str) -> bytes:
    """Return an asset: read once, so that no reader of it holds a descriptor."""
    return (ASSETS / name).read_bytes()


ROUTES: Final = {
    "/docs": get_page,
    "/docs/start.js": get_start,
    "/docs/swagger-ui-bundle.js": get_script,
    "/docs/swagger-ui.css": get_style,
}
"""Not in the OpenAPI document: they are its reader."""
