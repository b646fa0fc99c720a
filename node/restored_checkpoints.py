"""The certified checkpoints that a backup brought along, before they count as this node's own.

They are the only part of a home that nothing beside it vouches for: the segments do not give them,
and the backup's manifest stays with the backup. So each is held against genesis' keys and against
this log before it is taken over, at the start and by whoever inspects the home.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from api.problems import explain_rejected
from ledger.checkpoint import Checkpoint, LogTrust, verify_checkpoint
from ledger.log import root_from_tiles
from ledger.note import parse_note
from ledger.refusal import Reason, Rejected
from node.ledger_store import LedgerStore, Progress
from storage.backup import (
    CHECKPOINTS_FILE,
    WITHOUT_CHECKPOINTS,
    import_checkpoints,
    read_checkpoints,
)
from storage.files import Damaged

RESTORED_PROGRESS: Final = "restored checkpoints"


def take_restored(store: LedgerStore, home: Path, trust: LogTrust, progress: Progress) -> int:
    """Put what `restore` left in a home into the index; return how many, or raise `Damaged`."""
    held = _read_verified(store, home, trust, progress)
    import_checkpoints(store.chain_store, home, held)
    return len(held)


def verify_restored(store: LedgerStore, home: Path, trust: LogTrust, progress: Progress) -> int:
    """Say how many a start would take over, changing nothing; raise `Damaged` as it would."""
    return len(_read_verified(store, home, trust, progress))


def _read_verified(
    store: LedgerStore, home: Path, trust: LogTrust, progress: Progress
) -> list[tuple[int, bytes]]:
    """Every signature is verified, which takes half a second for a thousand of four members."""
    held = read_checkpoints(store.chain_store, home)
    for done, (height, note) in enumerate(held, 1):
        _judge(store, home, trust, height, note)
        progress(RESTORED_PROGRESS, done, len(held))
    return held


def verify_own_note(raw: bytes, trust: LogTrust) -> Checkpoint:
    """Return a certified checkpoint all of whose lines are of known keys; raise `Rejected`.

    Nodes write no others, and a line whose name or key id was changed would be passed over.
    """
    known = {(key.name, key.key_id) for key in (*trust.log_keys, *trust.cosigner_keys)}
    for line in parse_note(raw).signatures:
        if (line.name, line.key_id) not in known:
            name, key_id = repr(line.name[:120]), line.key_id.hex()
            raise Rejected(
                Reason.UNKNOWN_KEY,
                f"Checkpoint: {name} with key id {key_id} is no key of genesis",
                f"检查点：{name}（密钥标识 {key_id}）不是创世文件中的密钥",
            )
    return verify_checkpoint(raw, trust).checkpoint


def _judge(store: LedgerStore, home: Path, trust: LogTrust, height: int, note: bytes) -> None:
    file = str(home / CHECKPOINTS_FILE)
    begin, begin_zh = f"the checkpoint of height {height}", f"高度 {height} 的检查点"
    end, end_zh = WITHOUT_CHECKPOINTS.en, WITHOUT_CHECKPOINTS.zh
    try:
        said = verify_own_note(note, trust)
    except Rejected as rejected:
        what = f"{begin} does not verify ({rejected.detail}); {end}"
        what_zh = f"{begin_zh}未通过核验（{explain_rejected(rejected)}）；{end_zh}"
        raise Damaged(file, 0, what, what_zh) from None
    size = store.chain_store.block_position(height).end_index
    if (said.size, said.root) != (size, root_from_tiles(size, store.read_tile)):
        what = f"{begin} is of size {said.size} and root {said.root.hex()}, not this log's; {end}"
        what_zh = (
            f"{begin_zh}大小为 {said.size}、根哈希为 {said.root.hex()}，与本日志不符；{end_zh}"
        )
        raise Damaged(file, 0, what, what_zh)
