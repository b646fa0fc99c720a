"""Files that hold secrets, written whole or not at all.

A file is made beside its place with mode 0600 from its first byte, synced, and put in place by one
rename (or, where an older one must survive, by one link), so that no crash leaves half a key and no
moment passes in which others could read it.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from storage.files import sync_directory

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644


def write_file(path: Path, content: bytes, *, mode: int = PRIVATE, replace: bool = False) -> None:
    """Write a file atomically; raise `FileExistsError` if it is there and `replace` is not set."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        try:
            os.fchmod(handle, mode)  # whatever the umask took or left
            view = memoryview(content)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        except OSError as error:  # of a handle it names no file
            error.filename = str(path)
            raise
        finally:
            os.close(handle)
        if replace:
            os.replace(draft, path)
        else:
            os.link(draft, path)  # fails if the name is taken; `rename` would not
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(path.parent)


def readable_by_others(path: Path) -> bool:
    """Return whether group or others may do anything with the file."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
