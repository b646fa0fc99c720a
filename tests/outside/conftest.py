"""The API over a node in memory, as the tests of the API have it."""

from __future__ import annotations

from tests.api.conftest import client, connect, node, secrets_by_name, settings, token_set

__all__ = ["client", "connect", "node", "secrets_by_name", "settings", "token_set"]
