"""The name of the file inside a certificate, which its writer and its reader both go by."""

from __future__ import annotations

from typing import Final

ATTACHMENT_NAME: Final = "evidence.json"
