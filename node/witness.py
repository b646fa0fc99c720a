"""A witness: cosigns checkpoints of logs it follows, without being a validator of any.

A court or a notary runs one. For each log, which a genesis document names and whose members it
trusts by it, it keeps the newest checkpoint that it cosigned, in one file, written whole and synced
before the cosignature leaves. Judging, signing and writing happen in one turn, with nothing between
them that could let a second request grow from the same tree. Its key and its files belong together:
without the files it would forget what it has vouched for, so a file that is damaged or of another
key stops it at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from api.problems import explain_rejected
from genesis.document import Genesis
from ledger.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    cosigner_verifier_key,
    parse_checkpoint_text,
    verify_cosignature,
)
from ledger.note import (
    NOTE_BYTES_MAX,
    NoteSignature,
    format_note,
    format_signature_line,
    match_known_keys,
    parse_note,
)
from ledger.refusal import Rejected
from ledger.signing import Signer
from ledger.tlog_witness import (
    NOTHING,
    AddCheckpoint,
    Tree,
    find_trust,
    judge,
    parse_add_checkpoint,
)
from node.certification import log_trust
from storage.files import Damaged, Directory, write_whole

_DRAFT: Final = "draft"
_SUFFIX: Final = ".checkpoint"


@dataclass(frozen=True, slots=True)
class _Kept:
    tree: Tree
    note: bytes


class Witness:
    """One key, and the newest checkpoint of each log; see the module's text."""

    def __init__(
        self,
        name: str,
        signer: Signer,
        logs: Sequence[Genesis],
        directory: Directory,
        clock_s: Callable[[], int],
    ) -> None:
        """Open; raise `Damaged` if what is kept is not what this key cosigned."""
        self.key = cosigner_verifier_key(name, signer.public_key)
        self._signer = signer
        self._directory = directory
        self._clock_s = clock_s
        self._trusts = {genesis.origin: log_trust(genesis) for genesis in logs}
        if _DRAFT in directory.names():
            directory.remove(_DRAFT)
        directory.fsync_directory()  # what is seen may be in the page cache only, after a kill
        self._kept = {origin: self._load(origin) for origin in self._trusts}

    @property
    def sizes(self) -> dict[str, int]:
        """Size of the newest cosigned tree by origin; 0 where there is none."""
        return {origin: kept.tree.size for origin, kept in self._kept.items()}

    def add_checkpoint(self, raw: bytes) -> bytes:
        """Return the cosignature's line; raise `Refused`, or `StorageFailure` if it cannot be kept.

        Nothing is answered before the new checkpoint is durable. This waits for the disk on
        purpose: whoever could interrupt it could leave the memory behind the disk.
        """
        request = parse_add_checkpoint(raw)
        trust = find_trust(request, self._trusts)
        origin = request.origin
        tree = judge(request, trust, self._kept[origin].tree)
        checkpoint = Checkpoint(origin, tree.size, tree.root)
        line = cosign_checkpoint(checkpoint, self.key.name, self._signer, self._clock_s())
        note = format_note(checkpoint.text(), [*self._log_lines(request), line])
        write_whole(self._directory, _DRAFT, _name(origin), note)
        self._kept[origin] = _Kept(tree, note)
        return format_signature_line(line)

    def newest(self, origin_hash: str) -> bytes | None:
        """Return the newest cosigned checkpoint of the log whose origin has this SHA-256."""
        for origin, kept in self._kept.items():
            if sha256(origin.encode()).hexdigest() == origin_hash:
                return kept.note or None
        return None

    def _log_lines(self, request: AddCheckpoint) -> list[NoteSignature]:
        """Return the log's own signature lines; others would make the file grow with its sender."""
        note = parse_note(request.note)
        keys = {(key.name, key.key_id) for key in self._trusts[request.origin].log_keys}
        return [line for line in note.signatures if (line.name, line.key_id) in keys]

    def _load(self, origin: str) -> _Kept:
        name = _name(origin)
        if name not in self._directory.names():
            return _Kept(NOTHING, b"")
        raw = self._directory.pread(name, 0, NOTE_BYTES_MAX)
        try:
            note = parse_note(raw)
            checkpoint = parse_checkpoint_text(note.text)
            own = match_known_keys(note, [self.key])
            for _, key, signature in own:
                verify_cosignature(note.text, key, signature)
        except Rejected as rejected:
            raise self._damaged(name, rejected.detail, explain_rejected(rejected)) from None
        if checkpoint.origin != origin or not own:
            raise self._damaged(
                name, f"it is no checkpoint of {origin} that {self.key.name} has cosigned",
                f"不是 {self.key.name} 副署过的 {origin} 的检查点",
            )  # fmt: skip
        return _Kept(_tree_of(checkpoint), raw)

    def _damaged(self, name: str, what: str, what_zh: str) -> Damaged:
        return Damaged(f"{self._directory.path}/{name}", 0, what, what_zh)


def _tree_of(checkpoint: Checkpoint) -> Tree:
    return Tree(checkpoint.size, checkpoint.root)


def _name(origin: str) -> str:
    return sha256(origin.encode()).hexdigest() + _SUFFIX
