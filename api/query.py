"""The query of a request: what its route declares, once each, and nothing else.

A parameter that nobody knows is a misspelt one, and to leave it out of account would answer another
question than was asked. So it is refused by name, at every route under `STRICT_PREFIXES`, before
the route sees the request; what a route knows is what its own description declares, and no list
stands beside it.

The others take no parameters and are answered whatever the query says: static resources (C2SP's
checkpoint and tiles, keys, the documentation, the verification page), probes and metrics. There the
path alone says what is asked, so nothing else can be answered, and caches, monitors, load balancers
and scrapers do append their own (`?t=1767225600`, `?name[]=…`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import wraps
from typing import Any, Final, get_origin

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api.operations import HOT_OPERATIONS
from api.problems import Problem
from api.requests import shown

STRICT_PREFIXES: Final = ("/v1/", "/entries")

Known = Mapping[str, bool]
"""The names of a route's parameters, and of each whether it may be repeated."""


def check_query(request: Request, known: Known) -> None:
    """Raise `Problem` (bad_parameter) unless each parameter is known and given once, where it is
    not one that is repeated. Values stand in no sentence: they may be secrets."""
    if not request.scope["query_string"]:
        return
    found: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise _unknown(name, known)
        if name in found and not known[name]:
            raise Problem(
                "bad_parameter",
                f"query parameter {name!r} is given more than once",
                f"查询参数 {name!r} 出现不止一次",
            )
        found.add(name)


def strict(
    endpoint: Callable[[Request], Awaitable[Response]], method: str, path: str
) -> Callable[[Request], Awaitable[Response]]:
    """Return a hot route's endpoint behind the check, by its row in `api.operations`."""
    if not path.startswith(STRICT_PREFIXES):
        return endpoint
    known = _read_described(HOT_OPERATIONS[path][method].get("parameters", ()))

    @wraps(endpoint)
    async def checked(request: Request) -> Response:
        check_query(request, known)
        return await endpoint(request)

    return checked


class StrictRoute(APIRoute):
    """A cold route behind the check, by its signature and what its description adds."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler behind the check."""
        handle = super().get_route_handler()
        if not self.path.startswith(STRICT_PREFIXES):
            return handle
        declared = {
            field.alias: get_origin(field.field_info.annotation) is list
            for field in self.dependant.query_params
        }
        described = (self.openapi_extra or {}).get("parameters", ())
        known = declared | _read_described(described)

        async def checked(request: Request) -> Response:
            check_query(request, known)
            return await handle(request)

        return checked


def _read_described(parameters: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """Return the query's parameters among those that OpenAPI describes."""
    return {
        parameter["name"]: parameter["schema"].get("type") == "array"
        for parameter in parameters
        if parameter["in"] == "query"
    }


def _unknown(name: str, known: Known) -> Problem:
    listed = sorted(known)
    return Problem(
        "bad_parameter",
        f"query parameter {shown(name)} is not known here; "
        f"known parameters: {', '.join(listed) or 'none'}",
        f"此处没有名为 {shown(name)} 的查询参数；可用的参数：{'、'.join(listed) or '无'}",
    )
