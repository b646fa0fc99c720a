"""The log's keys for COSE Receipts, as transparency services of RFC 9943 publish them.

All institutions' log keys of genesis, whichever node is asked: each signs the receipts it gives. A
node's word about keys is worth as much as its TLS certificate; who judges evidence compares them
with genesis.
"""

from __future__ import annotations

import base64
import binascii

from starlette.requests import Request
from starlette.responses import Response

from api.ports import LedgerService
from api.problems import Problem
from api.requests import shown
from ledger.cose_receipt import (
    KEYS_MEDIA_TYPE,
    compute_key_thumbprint,
    encode_cose_key,
    encode_cose_key_set,
)

CACHE = {"Cache-Control": "public, max-age=3600"}
"""They never change on a chain; an address may be given to another chain."""


class ScittKeys:
    """The routes under /.well-known/scitt-keys."""

    def __init__(self, service: LedgerService) -> None:
        keys = [item.log_key for item in service.genesis.validators.validators]
        self._set = encode_cose_key_set(keys)
        self._keys = {compute_key_thumbprint(key): encode_cose_key(key) for key in keys}

    async def get_keys(self, request: Request) -> Response:
        """GET /.well-known/scitt-keys: a COSE Key Set."""
        return Response(self._set, headers=CACHE, media_type=KEYS_MEDIA_TYPE)

    async def get_key(self, request: Request) -> Response:
        """GET /.well-known/scitt-keys/{kid}: the COSE Key with this key id, in base64url."""
        text: str = request.path_params["kid"]
        key = self._keys.get(_decode_key_id(text))
        if key is None:
            raise Problem("not_found", f"no key of this log has the id {shown(text)}")
        return Response(key, headers=CACHE, media_type=KEYS_MEDIA_TYPE)


def _decode_key_id(text: str) -> bytes:
    """Return the id that this is the one spelling of, without padding; nothing for another."""
    try:
        key_id = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return key_id if base64.urlsafe_b64encode(key_id).decode().rstrip("=") == text else b""
