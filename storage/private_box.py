"""Documents that can be destroyed: sealed one by one, each under a key of its own.

    <name>.box      the document under its data key (XSalsa20-Poly1305, a new nonce each time)
    <name>.key      the data key under the master key, written once and never moved
    <name>.erased   what is left of an erased document: a few words of the caller's

Erasing overwrites the key's file in place and syncs it, then the box's, then removes both. Older
boxes of the same document that a file system or a backup still has are sealed under the same key
and die with it (crypto-shredding), so only the keys must not be copied. A log-structured store
would keep both in its tables until it merges them; hence plain files. An erasure that was cut off
is finished at the next start. What a document says is not known here; blocks that a drive or a
file system copied by itself are beyond it (docs/PRIVACY.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from ledger.words import Words
from storage.files import Damaged, Directory

KEY_BYTES: Final = SecretBox.KEY_SIZE
"""256 bits, of a data key and of the master key."""

NAME_BYTES_MAX: Final = 200
"""Of a document's name in a file's, with its suffix: file systems take 255."""

SEALED_KEY_BYTES_MAX: Final = (
    SecretBox.NONCE_SIZE + SecretBox.MACBYTES + 1 + NAME_BYTES_MAX + KEY_BYTES
)

DOCUMENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of one document: its 32 fields of 1 KiB, and as many corrections of all of them."""

ERASED_BYTES_MAX: Final = 64 * 1024

_BOX: Final = ".box"
_KEY: Final = ".key"
_ERASED: Final = ".erased"
_DRAFT: Final = ".draft"


class Erased(Exception):
    """The document was destroyed; `rest` is what was kept in its place."""

    def __init__(self, rest: bytes) -> None:
        super().__init__("erased")
        self.rest = rest


class PrivateBox:
    """Sealed documents in one directory. Not for two threads at once."""

    def __init__(
        self,
        directory: Directory,
        master_key: bytes,
        *,
        random_bytes: Callable[[int], bytes] = os.urandom,
        is_read_only: bool = False,
    ) -> None:
        """Open the store and finish every erasure that was begun; `master_key` has 32 bytes.

        One that is read only is looked at as it lies there.
        """
        self._directory = directory
        self._master = SecretBox(master_key)
        self._random_bytes = random_bytes
        self.notices: list[Words] = []
        if not is_read_only:
            self._finish(directory)

    def _finish(self, directory: Directory) -> None:
        # After a kill what is seen may be in the page cache only, and a key is destroyed for it.
        directory.fsync_directory()
        names = set(directory.names())
        if _DRAFT in names:
            self._destroy(_DRAFT)
        for name in sorted(names):
            document = name.removesuffix(_ERASED)
            if document != name and names & {document + _KEY, document + _BOX}:
                self._shred(document)
                self.notices.append(
                    Words(
                        f"{document} 的删除此前已开始，现已完成",
                        f"the erasure of {document} was begun; it is finished now",
                    )
                )

    def documents(self) -> list[str]:
        """Return the names of all documents, erased ones and lone keys included."""
        names = [os.path.splitext(name) for name in self._directory.names()]
        return sorted({stem for stem, suffix in names if stem and suffix in (_BOX, _KEY, _ERASED)})

    def read(self, name: str) -> bytes | None:
        """Return a document; None where there is none. Raises `Erased`, `Damaged`."""
        rest = self._read(name + _ERASED, ERASED_BYTES_MAX)
        if rest is not None:
            raise Erased(rest)
        sealed = self._read(name + _BOX, DOCUMENT_BYTES_MAX + 1024)
        if sealed is None:
            return None
        return self._open(name + _BOX, SecretBox(self.read_key(name)), name, sealed)

    def write(self, name: str, document: bytes) -> None:
        """Seal a document durably in the place of whatever it was; raise `Erased`."""
        rest = self._read(name + _ERASED, ERASED_BYTES_MAX)
        if rest is not None:
            raise Erased(rest)
        if len(document) > DOCUMENT_BYTES_MAX:
            raise ValueError(f"a document has at most {DOCUMENT_BYTES_MAX} bytes")
        if self._exists(name + _KEY):
            key = self.read_key(name)
        else:
            # Durable before the first box that needs it.
            key = self._random_bytes(KEY_BYTES)
            self._write_whole(name + _KEY, self._seal(self._master, name, key))
        self._write_whole(name + _BOX, self._seal(SecretBox(key), name, document))

    def erase(self, name: str, rest: bytes) -> None:
        """Destroy a document and its key for good; `rest` stays, in clear."""
        if len(rest) > ERASED_BYTES_MAX:
            raise ValueError(f"what is left has at most {ERASED_BYTES_MAX} bytes")
        self._write_whole(name + _ERASED, rest)
        self._shred(name)

    def forget(self, name: str, rest: bytes) -> None:
        """Destroy a document as `erase` does, and then what is left of it: the name is free again.

        Power lost on the way leaves it erased.
        """
        if not self._exists(name + _ERASED):
            self.erase(name, rest)
        if self._exists(name + _ERASED):
            self._directory.remove(name + _ERASED)
            self._directory.fsync_directory()

    def _shred(self, name: str) -> None:
        for suffix in (_KEY, _BOX):  # the key first: without it the box is noise
            if self._exists(name + suffix):
                self._destroy(name + suffix)
        self._directory.fsync_directory()

    def _destroy(self, file: str) -> None:
        """Overwrite a file where it lies, and remove it."""
        self._directory.pwrite(file, 0, bytes(self._directory.size(file)))
        self._directory.fsync(file)
        self._directory.remove(file)

    def _write_whole(self, file: str, data: bytes) -> None:
        """As `storage.files.write_whole`, without listing a directory of many files each time.

        There is no draft left over: opening removed it, and after a failure nothing is written.
        """
        self._directory.create(_DRAFT)
        self._directory.pwrite(_DRAFT, 0, data)
        self._directory.fsync(_DRAFT)
        self._directory.rename(_DRAFT, file)
        self._directory.fsync_directory()

    def _seal(self, box: SecretBox, name: str, plain: bytes) -> bytes:
        nonce = self._random_bytes(SecretBox.NONCE_SIZE)
        return bytes(box.encrypt(_bind(name, plain), nonce))

    def read_key(self, name: str) -> bytes:
        """Return a document's key; raise `Damaged`."""
        sealed = self._read(name + _KEY, SEALED_KEY_BYTES_MAX)
        if sealed is None:
            raise Damaged(
                self._say(name + _KEY), 0, "is missing, and the box beside it needs it",
                "缺失，而旁边的密封文件需要它",
            )  # fmt: skip
        return self._open(name + _KEY, self._master, name, sealed)

    def _open(self, file: str, box: SecretBox, name: str, sealed: bytes) -> bytes:
        """Return what is sealed in a file under its own name; raise `Damaged`."""
        try:
            plain = bytes(box.decrypt(sealed))
        except (CryptoError, ValueError):
            raise Damaged(
                self._say(file), 0, "is damaged, or sealed under another key than this node's",
                "已损坏，或不是用本节点的密钥密封的",
            ) from None  # fmt: skip
        head = _bind(name, b"")
        if not plain.startswith(head):
            raise Damaged(
                self._say(file), 0, "is the file of another document", "是另一份文档的文件"
            )
        return plain[len(head) :]

    def _read(self, file: str, bytes_max: int) -> bytes | None:
        if not self._exists(file):
            return None
        size = self._directory.size(file)
        if size > bytes_max:
            raise Damaged(
                self._say(file), 0, f"has {size} bytes; at most {bytes_max} are written",
                f"有 {size} 字节；写入的至多 {bytes_max} 字节",
            )  # fmt: skip
        return self._directory.pread(file, 0, size)

    def _exists(self, file: str) -> bool:
        try:
            self._directory.size(file)
        except FileNotFoundError:
            return False
        return True

    def _say(self, file: str) -> str:
        return f"{self._directory.path}/{file}"


def _bind(name: str, document: bytes) -> bytes:
    """Put the name inside, so that one document's box never passes for another's."""
    raw = name.encode()
    return bytes([len(raw)]) + raw + document
