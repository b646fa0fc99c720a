"""Media types, and the answer that a browser may keep as a file of its own.

Requests, answers and their description name a media type by these words. A file answer is shown
where it is opened, and carries the name to keep it under: what is handed to a court is found again.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
OCTETS: Final = "application/octet-stream"
TEXT: Final = "text/plain"
"""Starlette adds `; charset=utf-8`, as tlog-tiles asks for the checkpoint."""


def file_answer(content: bytes | str, name: str, media_type: str = JSON) -> Response:
    """Return an answer that is shown, and that carries the name to keep it under."""
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return Response(content, headers=headers, media_type=media_type)
