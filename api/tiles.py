"""The log as static resources: checkpoint, tiles and entry bundles (C2SP tlog-tiles).

A path has one spelling: `/tile/<L>/<N>[.p/<W>]` with L from 0 to 63, N in zero-padded groups of
three digits of which all but the last begin with `x` (1234067 is `x001/x234/067`), W from 1 to 255;
for entry bundles L is `entries`. Anything else names no resource and is a 404. A tile never changes
and may be kept for ever; the checkpoint changes with every block. Tiles hold hashes and are public,
bundles hold bodies and are not.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.access import Access
from api.media import OCTETS, TEXT
from api.ports import LedgerService
from api.problems import Problem
from api.requests import shown
from ledger.log import TILE_LEVEL_MAX, TILE_WIDTH

FULL_CACHE: Final = "public, max-age=31536000, immutable"
PARTIAL_CACHE: Final = "public, max-age=3600"
"""The bytes never change either, but a log may drop a partial tile once the full one exists."""
PRIVATE_FULL_CACHE: Final = "private, max-age=31536000, immutable"
PRIVATE_PARTIAL_CACHE: Final = "private, max-age=3600"
CHECKPOINT_CACHE: Final = "public, max-age=1"
"""tlog-tiles: not beyond a few seconds."""

GROUPS_MAX: Final = 6
"""18 digits: an index beyond 2^56 would need a log larger than SIZE_MAX allows."""

_PATH = re.compile(
    r"(?P<level>0|[1-9][0-9]?|entries)"
    rf"/(?P<index>(?:x[0-9]{{3}}/){{0,{GROUPS_MAX - 1}}}[0-9]{{3}})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


def parse_tile_path(path: str) -> tuple[int | None, int, int] | None:
    """Return (level, index, width) of what follows `/tile/`, level None for an entry bundle.

    None when this is not the one spelling of a tile's path (tlog-tiles, "Merkle Tree").
    """
    match = _PATH.fullmatch(path)
    if match is None or not path.isascii():
        return None
    level = None if match["level"] == "entries" else int(match["level"])
    if level is not None and level > TILE_LEVEL_MAX:
        return None
    width = TILE_WIDTH if match["width"] is None else int(match["width"])
    if match["width"] is not None and width >= TILE_WIDTH:
        return None
    index = int(match["index"].replace("x", "").replace("/", ""))
    return (level, index, width) if format_tile_index(index) == match["index"] else None


def format_tile_index(index: int) -> str:
    """Return the path elements of a tile's index."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


class Tiles:
    """The routes of C2SP tlog-tiles."""

    def __init__(self, service: LedgerService, access: Access) -> None:
        self._service = service
        self._access = access

    async def get_checkpoint(self, request: Request) -> Response:
        """GET /checkpoint."""
        checkpoint = self._service.checkpoint()
        if checkpoint is None:
            raise Problem(
                "not_certified",
                "no checkpoint of this log is certified yet",
                "本日志尚无经认证的检查点",
            )
        return Response(checkpoint, headers={"Cache-Control": CHECKPOINT_CACHE}, media_type=TEXT)

    async def get_tile(self, request: Request) -> Response:
        """GET /tile/<L>/<N>[.p/<W>] and /tile/entries/<N>[.p/<W>]."""
        path: str = request.path_params["path"]
        parsed = parse_tile_path(path)
        if parsed is None:
            raise Problem(
                "not_found",
                f"{shown(path)} is not a tile's path: <level 0 to 63 or entries>/<index in groups "
                "of three digits, x before all but the last>[.p/<width 1 to 255>]",
                f"{shown(path)} 不是瓦片的路径；应为：<层 0 至 63，或 entries>/<序号，每三位一组，"
                "除末组外前加 x>[.p/<宽度 1 至 255>]",
            )
        level, index, width = parsed
        is_full = width == TILE_WIDTH
        if level is None:
            self._access.require_full(request, "entry bundles", "条目包")
            data = self._service.entry_bundle(index, width)
            cache = PRIVATE_FULL_CACHE if is_full else PRIVATE_PARTIAL_CACHE
        else:
            data = self._service.tile(level, index, width)
            cache = FULL_CACHE if is_full else PARTIAL_CACHE
        if data is None:
            raise Problem(
                "not_found",
                f"the certified log has no tile {path} of width {width}",
                f"经认证的日志没有宽度为 {width} 的瓦片 {path}",
            )
        return Response(data, headers={"Cache-Control": cache}, media_type=OCTETS)
